//! `cargo lab`: one command for people and CI to run the suite on a real kernel with IPVS.
//!
//! Reads the words, does what they say; the same executable is the first process inside a guest.

use std::{env, ffi::OsString, path::PathBuf, process::ExitCode};

use anyhow::{Result, bail};
use lab::{bench, fetch, kernel::Kernel, kill_guests_when_interrupted, run_inside, shell, story, suite};
use lexopt::Arg::{Long, Short, Value};

const USAGE: &str = "\
usage: cargo lab COMMAND

  fetch                 only gets the lab kernel (and tools that the machine lacks) into target/lab
  test [NAME...]        runs all tests; with names only the scenarios that have one of them in theirs
      --only lab        without the unit and property tests
      --jobs N          scenarios at a time (default: one per two processors)
      --list            only lists the scenarios
      --keep            keeps the logs of scenarios that passed in target/lab/logs
  demo                  shows two routers at work, and what happens when something dies
      --config FILE     rehearses this lvs.cf (default: lvs.cf.example)
  bench [NAME...]       measures the suite and its peers doing the same work; writes target/lab/bench/NAME.json
  shell                 an interactive cluster to play in

options of demo, test, bench and shell:
  --kernel uml|native   forces the kernel (so does LVS_LAB_KERNEL); default: native for root with IPVS, else uml

benchmarks:
";

/// The usage, with all benchmarks.
fn usage() -> String {
    USAGE.to_owned() + &bench::list()
}

/// Exit status when all went well.
const SUCCESS: u8 = 0;
/// Exit status when a test failed or a benchmark missed its target.
const FAILURE: u8 = 1;
/// Exit status for a wrong command line.
const USAGE_ERROR: u8 = 2;

/// What the words ask for.
#[derive(Debug, PartialEq)]
enum Command {
    Help,
    Fetch,
    Demo(story::Options),
    Test(suite::Options),
    Bench(bench::Options),
    Shell { kernel: Option<String> },
}

fn main() -> ExitCode {
    let args: Vec<OsString> = env::args_os().skip(1).collect();
    let first = args.first().and_then(|word| word.to_str());
    let inside = matches!(first, Some("first-process" | "become-native" | "inside"));
    let result = if inside {
        run_inside(&args).map(|()| SUCCESS)
    } else {
        match parse(args.into_iter()) {
            Ok(command) => carry_out(command),
            Err(error) => {
                eprintln!("cargo lab: {error}\n\n{}", usage());
                return ExitCode::from(USAGE_ERROR);
            }
        }
    };
    match result {
        Ok(status) => ExitCode::from(status),
        Err(error) => {
            eprintln!("cargo lab: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Does what was asked and returns the exit status.
fn carry_out(command: Command) -> Result<u8> {
    match command {
        Command::Help => {
            print!("{}", usage());
            Ok(SUCCESS)
        }
        Command::Fetch => fetch::run().map(|()| SUCCESS),
        Command::Demo(options) => {
            kill_guests_when_interrupted()?;
            story::run(&options)
        }
        Command::Test(options) => {
            kill_guests_when_interrupted()?;
            suite::run(&options).map(|passed| if passed { SUCCESS } else { FAILURE })
        }
        Command::Bench(options) => {
            kill_guests_when_interrupted()?;
            bench::run(&options).map(|good| if good { SUCCESS } else { FAILURE })
        }
        Command::Shell { kernel } => shell::run(&Kernel::choose(kernel.as_deref())?).map(|()| SUCCESS),
    }
}

fn parse(args: impl Iterator<Item = OsString>) -> Result<Command> {
    let mut parser = lexopt::Parser::from_args(args.collect::<Vec<_>>());
    let mut words = Vec::new();
    let mut options = suite::Options::default();
    let mut config = None;
    let mut only_for_test = None;
    while let Some(arg) = parser.next()? {
        let word = match &arg {
            Long(word) => format!("--{word}"),
            Short(letter) => format!("-{letter}"),
            Value(word) => {
                words.push(word.to_string_lossy().into_owned());
                continue;
            }
        };
        match word.as_str() {
            "-h" | "--help" => return Ok(Command::Help),
            "--kernel" => options.kernel = Some(parser.value()?.to_string_lossy().into_owned()),
            "--config" | "-c" => config = Some(PathBuf::from(parser.value()?)),
            "--jobs" | "-j" => options.jobs = Some(jobs(&parser.value()?.to_string_lossy())?),
            "--list" => options.list = true,
            "--keep" => options.keep = true,
            "--only" => match parser.value()?.to_string_lossy().as_ref() {
                "lab" => options.only_lab = true,
                other => bail!("--only {other}: only `lab` is possible"),
            },
            _ => return Err(arg.unexpected().into()),
        }
        if !["--kernel", "--config", "-c"].contains(&word.as_str()) {
            only_for_test = Some(word);
        }
    }
    let mut words = words.into_iter();
    let command = words.next();
    options.names = words.collect();
    if let (Some(word), true) = (&only_for_test, command.as_deref() != Some("test")) {
        bail!("{word} belongs to `test`");
    }
    let takes_names = matches!(command.as_deref(), Some("test" | "bench"));
    if let (Some(name), false) = (options.names.first(), takes_names) {
        bail!("unexpected word `{name}`");
    }
    if config.is_some() && command.as_deref() != Some("demo") {
        bail!("--config belongs to `demo`");
    }
    match command.as_deref() {
        Some("demo") => Ok(Command::Demo(story::Options { config, kernel: options.kernel })),
        Some("fetch") => Ok(Command::Fetch),
        Some("test") => Ok(Command::Test(options)),
        Some("bench") => {
            let options = bench::Options { names: options.names, kernel: options.kernel };
            options.benchmarks()?;
            Ok(Command::Bench(options))
        }
        Some("shell") => Ok(Command::Shell { kernel: options.kernel }),
        Some("help") => Ok(Command::Help),
        Some(other) => bail!("unknown command `{other}`"),
        None => bail!("which command?"),
    }
}

fn jobs(text: &str) -> Result<usize> {
    match text.parse() {
        Ok(jobs @ 1..=64) => Ok(jobs),
        _ => bail!("--jobs {text}: a number from 1 to 64"),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt as _;

    use super::*;

    fn parsed(words: &str) -> Result<Command> {
        parse(words.split_whitespace().map(OsString::from))
    }

    fn refusal(words: &str) -> String {
        parsed(words).expect_err("a wrong command line").to_string()
    }

    #[test]
    fn bench_takes_names_and_a_kernel() {
        let bench = |names: &[&str], kernel: Option<&str>| {
            let names = names.iter().map(|name| (*name).to_owned()).collect();
            Command::Bench(bench::Options { names, kernel: kernel.map(str::to_owned) })
        };
        assert_eq!(parsed("bench").expect("right"), bench(&[], None));
        assert_eq!(parsed("bench ipvs").expect("right"), bench(&["ipvs"], None));
        assert_eq!(parsed("bench --kernel uml ipvs").expect("right"), bench(&["ipvs"], Some("uml")));
    }

    #[test]
    fn an_unknown_benchmark_is_refused_before_anything_runs() {
        assert_eq!(refusal("bench ipvs speed"), "there is no benchmark `speed`; there are: ipvs, lvs");
    }

    #[test]
    fn options_of_one_command_are_refused_by_the_others() {
        assert_eq!(refusal("bench --only lab"), "--only belongs to `test`");
        assert_eq!(refusal("bench --jobs 2"), "--jobs belongs to `test`");
        assert_eq!(refusal("bench --config lvs.cf"), "--config belongs to `demo`");
        assert_eq!(refusal("shell ipvs"), "unexpected word `ipvs`");
    }

    #[test]
    fn a_word_that_is_no_text_is_refused_like_any_other() {
        let refusal = |words: &[&[u8]]| {
            let words = words.iter().map(|word| OsString::from_vec(word.to_vec()));
            parse(words).expect_err("a wrong command line").to_string()
        };
        assert_eq!(refusal(&[b"b\xffnch"]), "unknown command `b\u{fffd}nch`");
        assert_eq!(refusal(&[b"bench", b"\xff"]), "there is no benchmark `\u{fffd}`; there are: ipvs, lvs");
        assert_eq!(refusal(&[b"--b\xff"]), "invalid option '--b\u{fffd}'");
    }

    #[test]
    fn the_usage_is_shown_for_help_in_any_place() {
        for words in ["--help", "bench --help", "bench -h ipvs", "help"] {
            assert_eq!(parsed(words).expect("right"), Command::Help, "{words}");
        }
        assert!(usage().contains("\n  bench [NAME...] ") && usage().contains("\nbenchmarks:\n  ipvs "));
    }

    #[test]
    fn test_takes_parts_of_names() {
        let options =
            suite::Options { names: vec!["failover".to_owned()], only_lab: true, ..Default::default() };
        assert_eq!(parsed("test --only lab failover").expect("right"), Command::Test(options));
    }
}
