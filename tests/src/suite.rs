//! `cargo lab test`: every tier of the tests, the scenarios each in a kernel of its own.
//!
//! Builds the workspace, runs `cargo test`, then the scenarios, shows one line for each, the failures' reports at
//! the end, and counts. A tier that cannot run is a failure.

use std::{
    collections::VecDeque,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Mutex,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, anyhow, bail, ensure};

use crate::{
    cargo::{build_workspace, cargo},
    journal::locked,
    kernel::{Console, Kernel, Outcome, Task},
    paths,
    scenario::{ASKED, Listed, TIME_LIMIT},
};

/// Time for the boot of a guest and the end of a scenario, on top of the scenario's own limit.
const BOOT: Duration = Duration::from_secs(60);
/// Memory of a scenario's guest in MiB.
const MEMORY_MIB: u32 = 1024;
/// Lines of the console shown when a guest failed without a report.
const CONSOLE_TAIL: usize = 30;

/// What `cargo lab test` was asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// Only scenarios whose name contains one of these.
    pub names: Vec<String>,
    /// Only the scenarios, without `cargo test`.
    pub only_lab: bool,
    /// Scenarios at a time.
    pub jobs: Option<usize>,
    /// Which kernel (`native`, `uml`).
    pub kernel: Option<String>,
    /// Keep journal and console of scenarios that passed, too.
    pub keep: bool,
    /// Only list the scenarios.
    pub list: bool,
}

/// Passed and failed tests of a tier.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Counts {
    passed: usize,
    failed: usize,
}

impl Counts {
    fn add(self, other: Self) -> Self {
        Self { passed: self.passed + other.passed, failed: self.failed + other.failed }
    }
}

/// Runs it and says whether everything passed.
///
/// # Errors
/// When nothing could be run at all: a build that fails, a name that is unknown.
pub fn run(options: &Options) -> Result<bool> {
    build_workspace()?;
    let executable = scenarios_executable()?;
    let all = list(&executable)?;
    let chosen = choose(&all, &options.names)?;
    if options.list {
        for scenario in &chosen {
            println!("{:60} at most {} s", scenario.name, scenario.limit_seconds);
        }
        return Ok(true);
    }
    let mut summary = Vec::new();
    let mut total = Counts::default();
    if !options.only_lab && options.names.is_empty() {
        let counts = cargo_tests();
        summary.push(format!("unit and property: {}", shown(counts)));
        total = total.add(counts);
    }
    let counts = match Kernel::choose(options.kernel.as_deref()) {
        Ok(kernel) => run_scenarios(&kernel, &executable, &chosen, options)?,
        Err(error) => {
            eprintln!("the lab cannot run: {error:#}");
            Counts { passed: 0, failed: 1 }
        }
    };
    summary.push(format!("lab: {}", shown(counts)));
    total = total.add(counts);
    println!("\n{}", summary.join("\n"));
    println!("{} passed, {} failed", total.passed, total.failed);
    Ok(total.failed == 0)
}

fn shown(counts: Counts) -> String {
    match counts.failed {
        0 => format!("{} passed", counts.passed),
        failed => format!("{} passed, {failed} failed", counts.passed),
    }
}

/// Builds the scenarios and finds their executable. As part of the whole workspace: for one package cargo would choose
/// other features of the dependencies and build them all anew.
fn scenarios_executable() -> Result<PathBuf> {
    let args = ["test", "--workspace", "--test", "scenarios", "--no-run", "--message-format=json"];
    let output = cargo(&args)?.stderr(Stdio::inherit()).output().context("start cargo")?;
    ensure!(output.status.success(), "the scenarios do not build");
    let text = String::from_utf8_lossy(&output.stdout);
    let executable = text.lines().find_map(|line| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        let ours = message["target"]["name"] == "scenarios";
        message["executable"].as_str().filter(|_| ours).map(PathBuf::from)
    });
    executable.ok_or_else(|| anyhow!("cargo named no executable of the scenarios"))
}

fn list(executable: &Path) -> Result<Vec<Listed>> {
    let output = Command::new(executable).env(ASKED, "--list").output().context("start the scenarios")?;
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines()
        .map(|line| serde_json::from_str(line).with_context(|| format!("list of scenarios: {line}")))
        .collect()
}

/// The scenarios whose names contain one of the words, all if there is no word.
fn choose(all: &[Listed], words: &[String]) -> Result<Vec<Listed>> {
    for word in words {
        if !all.iter().any(|scenario| scenario.name.contains(word.as_str())) {
            bail!("no scenario is called like `{word}`; {}", suggestion(all, word));
        }
    }
    let wanted = |scenario: &&Listed| {
        words.is_empty() || words.iter().any(|word| scenario.name.contains(word.as_str()))
    };
    Ok(all.iter().filter(wanted).cloned().collect())
}

/// Names that are similar, or all.
fn suggestion(all: &[Listed], word: &str) -> String {
    let similarity = |name: &str| {
        let parts = name.split("::").chain(name.split([':', '_']));
        parts.map(|part| strsim::jaro_winkler(part, word)).fold(0.0, f64::max)
    };
    let mut close: Vec<_> =
        all.iter().map(|s| (similarity(&s.name), &s.name)).filter(|(s, _)| *s > 0.75).collect();
    close.sort_by(|a, b| b.0.total_cmp(&a.0));
    if close.is_empty() {
        return "`cargo lab test --list` lists them".to_owned();
    }
    let names: Vec<String> = close.iter().take(5).map(|(_, name)| format!("\n  {name}")).collect();
    format!("did you mean{}", names.concat())
}

/// Runs `cargo test` of the workspace and counts.
fn cargo_tests() -> Counts {
    println!("running unit and property tests");
    let output = cargo(&["test", "--workspace", "--no-fail-fast"])
        .and_then(|mut command| command.stderr(Stdio::inherit()).output().context("start cargo"));
    let output = match output {
        Ok(output) => output,
        Err(error) => {
            eprintln!("{error:#}");
            return Counts { passed: 0, failed: 1 };
        }
    };
    let text = String::from_utf8_lossy(&output.stdout);
    let mut counts = text.lines().filter_map(test_result).fold(Counts::default(), Counts::add);
    if !output.status.success() {
        println!("{text}");
        // A test executable that does not build or crashes counts nothing itself.
        counts.failed = counts.failed.max(1);
    }
    counts
}

/// The counts in `test result: ok. 3 passed; 0 failed; ...`.
fn test_result(line: &str) -> Option<Counts> {
    let rest = line.trim().strip_prefix("test result: ")?.split_once(". ")?.1;
    let number = |what: &str| {
        let part = rest.split(';').find_map(|part| part.trim().strip_suffix(what));
        part.and_then(|n| n.trim().parse().ok())
    };
    Some(Counts { passed: number("passed")?, failed: number("failed")? })
}

/// Runs the scenarios, several at a time where there are processors for it, and prints the reports of failures.
fn run_scenarios(kernel: &Kernel, executable: &Path, chosen: &[Listed], options: &Options) -> Result<Counts> {
    let logs = paths::lab_folder()?.join("logs");
    let jobs = options.jobs.unwrap_or_else(default_jobs).max(1);
    println!("running {} scenarios, {jobs} at a time", chosen.len());
    let waiting: Mutex<VecDeque<&Listed>> = Mutex::new(chosen.iter().collect());
    let failures: Mutex<Vec<(String, String)>> = Mutex::default();
    thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                loop {
                    let next = locked(&waiting).pop_front();
                    let Some(scenario) = next else { return };
                    let begun = Instant::now();
                    let folder = logs.join(scenario.name.replace("::", "."));
                    let failure = run_scenario(kernel, executable, scenario, &folder);
                    let word = if failure.is_none() { "ok    " } else { "FAILED" };
                    println!("{word}  {:58} {:6.1} s", scenario.name, begun.elapsed().as_secs_f64());
                    match failure {
                        Some(report) => locked(&failures).push((scenario.name.clone(), report)),
                        // What passed needs no log, and a log that cannot be removed does no harm.
                        None if !options.keep => drop(fs::remove_dir_all(&folder)),
                        None => {}
                    }
                }
            });
        }
    });
    let failures = locked(&failures);
    for (name, report) in failures.iter() {
        println!("\n---- {name} ----\n{}", report.trim_end());
        println!("whole journal and console: {}", logs.join(name.replace("::", ".")).display());
    }
    Ok(Counts { passed: chosen.len() - failures.len(), failed: failures.len() })
}

/// Timing matters more than speed: one guest per two processors.
fn default_jobs() -> usize {
    thread::available_parallelism().map_or(1, |processors| processors.get() / 2).max(1)
}

/// Runs one scenario in a fresh kernel and returns the report if it failed.
fn run_scenario(kernel: &Kernel, executable: &Path, scenario: &Listed, folder: &Path) -> Option<String> {
    let task = Task {
        command: vec![executable.display().to_string()],
        env: vec![
            (ASKED.to_owned(), scenario.name.clone()),
            // An error then knows the line of the scenario that it came from.
            ("RUST_LIB_BACKTRACE".to_owned(), "1".to_owned()),
        ],
        results: folder.to_owned(),
        limit: Duration::from_secs(scenario.limit_seconds) + BOOT,
        console: Console::Kept,
        memory_mib: MEMORY_MIB,
    };
    let outcome = match kernel.run(&task) {
        Ok(Outcome::Exited(0)) => return None,
        Ok(outcome) => outcome,
        Err(error) => return Some(format!("{error:#}")),
    };
    let why = match outcome {
        Outcome::Exited(TIME_LIMIT) => "the scenario reached its time limit".to_owned(),
        Outcome::Exited(code) => format!("the scenario failed (exit status {code})"),
        other => other.to_string(),
    };
    let report = fs::read_to_string(folder.join("report"));
    Some(report.unwrap_or_else(|_| format!("{why}; end of the console:\n{}", console_tail(folder))))
}

fn console_tail(folder: &Path) -> String {
    let console = fs::read(folder.join("console")).unwrap_or_default();
    let text = String::from_utf8_lossy(&console).replace('\r', "");
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(CONSOLE_TAIL)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(names: &[&str]) -> Vec<Listed> {
        names.iter().map(|name| Listed { name: (*name).to_owned(), limit_seconds: 1 }).collect()
    }

    #[test]
    fn counts_are_read_from_the_test_runners_last_line() {
        let line = "test result: FAILED. 40 passed; 2 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.1s";
        assert_eq!(test_result(line), Some(Counts { passed: 40, failed: 2 }));
        assert_eq!(test_result("running 3 tests"), None);
    }

    #[test]
    fn a_part_of_a_name_chooses_every_scenario_that_has_it() {
        let all = listed(&["failover::a", "failover::b", "health::a"]);
        let chosen = choose(&all, &["failover".to_owned()]).expect("known");
        assert_eq!(chosen, listed(&["failover::a", "failover::b"]));
    }

    #[test]
    fn an_unknown_name_is_answered_with_similar_ones() {
        let all = listed(&["failover::backup_takes_over", "health::hang"]);
        let failure = choose(&all, &["failovr".to_owned()]).expect_err("unknown");
        assert_eq!(
            failure.to_string(),
            "no scenario is called like `failovr`; did you mean\n  failover::backup_takes_over"
        );
    }
}
