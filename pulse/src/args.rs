//! The command line of `pulse`: words to a [`Command`]. Pure; nothing is read or started here.

use std::ffi::OsString;
use std::path::PathBuf;

use lexopt::prelude::{Long, Short, Value};

/// What `--help` prints.
pub const HELP: &str = "\
Usage: pulse [OPTION]...
       pulse status [--json] [--run-dir DIR]

Exchanges heartbeats with the other router and decides which of the two serves.

  -c, --configfile FILE   configuration (default /etc/lvs-router/lvs.cf if it
                          exists, else /etc/sysconfig/ha/lvs.cf)
  -n, --nodaemon          stay in the foreground and log to standard error
  -v, --verbose           log every heartbeat and every decision
      --forceactive       start in the active role
  -t, --test-start        change nothing: print what this router would do
      --norun             the same
      --check FILE        check FILE, say what is wrong with it, and exit
      --lvs PATH          the lvs program (default: beside this program)
      --lvsd PATH         the same
      --send-arp PATH     the send_arp program (default: beside this program)
      --fos PATH          accepted for old scripts; failover services are not supported
      --run-dir DIR       pid file and status socket (default /run/lvs-router)
      --version           print the version and exit
  -?, --help              print this and exit
      --usage             the same

status                    what the running pulse knows
      --json              as JSON

Signals: TERM and INT hand over and end; HUP reads the configuration again.
Exit status: 0 success, 1 failure, 2 usage, 77 permission, 78 configuration.
";

/// What the words ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Print [`HELP`].
    Help,
    /// Print the version.
    Version,
    /// Check a file.
    Check(PathBuf),
    /// Show what the running `pulse` knows.
    Status {
        /// As JSON instead of a table.
        json: bool,
        /// Where its socket is.
        run_dir: PathBuf,
    },
    /// Run.
    Run(Run),
}

/// How to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// The configuration, when not the default.
    pub config: Option<PathBuf>,
    /// Stay in the foreground.
    pub foreground: bool,
    /// Log everything.
    pub verbose: bool,
    /// Start active.
    pub force_active: bool,
    /// Only print what would be done.
    pub dry_run: bool,
    /// The `lvs` program, when not the default.
    pub lvs: Option<PathBuf>,
    /// The `send_arp` program, when not the default.
    pub send_arp: Option<PathBuf>,
    /// Where the pid file and the status socket are.
    pub run_dir: PathBuf,
}

/// Words that cannot be understood.
#[derive(Debug, thiserror::Error)]
pub enum ArgsError {
    /// An unknown option, or a value that is missing or not wanted.
    #[error("{0}")]
    Option(#[from] lexopt::Error),
    /// A word that is no option.
    #[error("unexpected argument “{0}”; the only command is “status”")]
    Unexpected(String),
    /// An option that goes only with the command `status`.
    #[error("--json goes only with the command “status”")]
    JsonWithoutStatus,
}

/// Reads the words after the program's name.
///
/// # Errors
/// [`ArgsError`], whose text is meant for the user.
pub fn parse(words: impl IntoIterator<Item = OsString>) -> Result<Command, ArgsError> {
    let mut run = Run {
        config: None,
        foreground: false,
        verbose: false,
        force_active: false,
        dry_run: false,
        lvs: None,
        send_arp: None,
        run_dir: PathBuf::from(lvs_ipc::status::RUN_DIR),
    };
    let (mut status, mut json, mut check) = (false, false, None);
    let mut parser = lexopt::Parser::from_args(words);
    while let Some(word) = parser.next()? {
        match word {
            Short('?') | Long("help" | "usage") => return Ok(Command::Help),
            Long("version") => return Ok(Command::Version),
            Short('c') | Long("configfile") => run.config = Some(parser.value()?.into()),
            Short('n') | Long("nodaemon") => run.foreground = true,
            Short('v') | Long("verbose") => run.verbose = true,
            Long("forceactive") => run.force_active = true,
            Short('t') | Long("test-start" | "norun") => run.dry_run = true,
            Long("check") => check = Some(parser.value()?.into()),
            Long("lvs" | "lvsd") => run.lvs = Some(parser.value()?.into()),
            Long("send-arp") => run.send_arp = Some(parser.value()?.into()),
            Long("fos") => drop(parser.value()?),
            Long("run-dir") => run.run_dir = parser.value()?.into(),
            Long("json") => json = true,
            Value(word) if word == "status" && !status => status = true,
            Value(word) => return Err(ArgsError::Unexpected(word.to_string_lossy().into_owned())),
            other => return Err(other.unexpected().into()),
        }
    }
    match (status, check) {
        (true, _) => Ok(Command::Status { json, run_dir: run.run_dir }),
        (false, _) if json => Err(ArgsError::JsonWithoutStatus),
        (false, Some(file)) => Ok(Command::Check(file)),
        (false, None) => Ok(Command::Run(run)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(words: &str) -> Result<Command, String> {
        parse(words.split_whitespace().map(OsString::from)).map_err(|error| error.to_string())
    }

    fn run(words: &str) -> Run {
        match parsed(words) {
            Ok(Command::Run(run)) => run,
            other => panic!("{words}: {other:?}"),
        }
    }

    #[test]
    fn the_options_of_the_original_are_understood() {
        let all = run("-c /x/lvs.cf -n -v --forceactive --lvsd /x/lvsd --fos /x/fos -t");
        assert_eq!(all.config, Some("/x/lvs.cf".into()));
        assert_eq!(all.lvs, Some("/x/lvsd".into()));
        assert!(all.foreground && all.verbose && all.force_active && all.dry_run);
        assert_eq!(run("--configfile /y --nodaemon --verbose --test-start --lvs /l"), {
            let lvs = Some("/l".into());
            Run { config: Some("/y".into()), lvs, force_active: false, ..all }
        });
        assert!(run("--norun").dry_run);
        assert_eq!(run("").run_dir, PathBuf::from("/run/lvs-router"));
    }

    #[test]
    fn help_and_version_win_over_what_follows() {
        for words in ["--help", "-?", "--usage", "-n --help --nonsense"] {
            assert_eq!(parsed(words), Ok(Command::Help), "{words}");
        }
        assert_eq!(parsed("--version"), Ok(Command::Version));
    }

    #[test]
    fn commands_are_told_from_running() {
        assert_eq!(parsed("--check /x"), Ok(Command::Check("/x".into())));
        assert_eq!(
            parsed("status --json --run-dir /r"),
            Ok(Command::Status { json: true, run_dir: "/r".into() })
        );
    }

    #[test]
    fn errors_name_the_word() {
        assert_eq!(parsed("--nonsense"), Err("invalid option '--nonsense'".into()));
        assert_eq!(parsed("-c"), Err("missing argument for option '-c'".into()));
        assert_eq!(parsed("start"), Err("unexpected argument “start”; the only command is “status”".into()));
        assert_eq!(parsed("--json"), Err("--json goes only with the command “status”".into()));
    }

    #[test]
    fn every_option_that_is_understood_is_in_the_help_and_the_manual() {
        let manual = include_str!("../../docs/man/pulse.8");
        for word in HELP.split([' ', ',', '\n']).filter(|word| word.starts_with("--")) {
            let value = if matches!(word, "--help" | "--version") { "" } else { " x" };
            let known = parsed(&format!("{word}{value}"));
            assert!(!known.is_err_and(|error| error.contains("invalid option")), "{word} is not understood");
            assert!(manual.contains(&word.replace('-', "\\-")), "{word} is not in the manual");
        }
    }
}
