//! The command line: words to [`Command`]. Pure; `--help` says what is accepted.

mod ctl;

use std::ffi::{OsStr, OsString};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use lexopt::Arg::{Long, Short, Value};
use lexopt::ValueExt as _;
use lvs_ipc::status::RUN_DIR;

pub use ctl::Ctl;

use crate::migration_args;
use crate::state::STATE_DIR;

/// Time between two looks of `--watch`.
const USUAL_WATCH: Duration = Duration::from_secs(2);

/// Text of `--help`.
pub const HELP: &str = "\
Usage: lvs [OPTION]...
       lvs check [--json] [FILE] [--run-dir DIR]
       lvs doctor [--json] [FILE]
       lvs status [--json | --metrics] [--watch [SECONDS]] [VS[/RS]]...
       lvs ctl VERB [ARGUMENT]... [--reason TEXT] [--json] [--run-dir DIR]
       lvs diff FILE [--json] [--run-dir DIR]
       lvs migrate [--clean] [FILE]
       lvs convert-keepalived [-i ID] [FILE]
       lvs --withdraw [--run-dir DIR] [-n | --nofork] [-v]

The director: keeps the kernel's IPVS table equal to what lvs.cf and the health
of the real servers ask for, and runs one monitor (nanny) per real server.
SIGHUP reads the file again; SIGTERM withdraws the services and ends.

  -c, --configfile FILE  the configuration [default: /etc/lvs-router/lvs.cf if
                         there is one, else /etc/sysconfig/ha/lvs.cf]
  -n, --nodaemon         stay in the foreground, log to standard error
      --nofork           do not fork, log to syslog
      --nanny PATH       the monitor [default: nanny beside this program if it
                         is there, else /usr/sbin/nanny]
      --run-dir DIR      folder of pid file, sockets and list of services
                         [default: /run/lvs-router]
      --state-dir DIR    folder of what survives a restart: overrides, drains,
                         failures [default: /var/lib/lvs-router]
      --metrics ADDRESS:PORT  serve metrics over HTTP there (GET /metrics);
                         the file cannot change it [default: what the file says]
  -t, --test-start       print what would be done, and do nothing
      --withdraw         withdraw the services that an earlier run left, and end
      --check            check the configuration and end, as \"lvs check\"
  -v, --verbose          log more, and make the monitors verbose
  -h, --help             show this help
      --version          show the version

lvs check tells all that is wrong or odd in a file, and what in the file of the
pulse that runs takes effect only with its restart, with --json as one line of
JSON on standard output. lvs status prints the virtual and real servers, or only
those named, with state, weight, connections and rates; every detail of a real
server named alone. --json prints what the status socket gives, --metrics the
metrics for Prometheus, --watch again every 2 or SECONDS seconds.

lvs ctl tells the director that runs what to do; only root may. VIRTUAL and
SERVER are the names in the file, SERVER may also be its address[:port]:

  reload                    read the file again, and wait until that is done
  drain VIRTUAL/SERVER      no new connections; out of the table when none is
      [--deadline TIME]     left, or after TIME [default: drain of the file]
  undrain VIRTUAL/SERVER    end a drain
  weight VIRTUAL/SERVER N   this weight instead of the file's
  disable VIRTUAL/SERVER    out of the table at once, whatever its check says
  enable VIRTUAL/SERVER     end disable; with --force: serve, whatever its
      [--force]             check says
  sorry VIRTUAL on|off      the sorry server alone takes new connections
  reset [VIRTUAL[/SERVER]]  forget all overrides, or those of one
  check-now VIRTUAL[/SERVER]
                            check at once; what passes is back without delay
  list                      show the overrides in force

Overrides survive a restart; --reason is kept with them and shown.

lvs diff prints what a reload to FILE would do to the director that runs, in
words and as lines of ipvsadm, and does nothing.

lvs migrate explains what a file of Piranha means and what became of its quirks;
with --clean it prints the file as it is written today. lvs convert-keepalived
prints an lvs.cf for the virtual servers of a keepalived.conf, and on standard
error what it could not carry; -i gives the id of its conditional lines.

lvs doctor tells what is wrong or missing on this router for a file, and what
its real servers need, with the commands to type; exit status 1 when something
is worse than a note.

Without -n and --nofork it becomes a daemon. Standard output carries nothing but
the line \"ready\" once the services are in the kernel, except for -t and the
commands.

Exit status: 0 done, 1 failed, 2 usage, 77 no permission (needs CAP_NET_ADMIN),
78 the configuration cannot be used.
";

/// What the user wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Print [`HELP`].
    Help,
    /// Print the version.
    Version,
    /// Check a file.
    Check {
        /// As JSON instead of as lines.
        json: bool,
        /// The file, if not the default one.
        file: Option<PathBuf>,
        /// Where `pulse` has its socket.
        run_dir: PathBuf,
    },
    /// Tell what is wrong or missing on this router, and what real servers need.
    Doctor {
        /// As JSON instead of as text.
        json: bool,
        /// The file, if not the default one.
        file: Option<PathBuf>,
    },
    /// Print the state of the director that runs.
    Status(Query),
    /// Explain a file of the original, or print it as it is written today.
    Migrate {
        /// The file, if not the default one.
        file: Option<PathBuf>,
        /// Print the file instead of explaining it.
        clean: bool,
    },
    /// Print an `lvs.cf` for a `keepalived.conf`.
    ConvertKeepalived {
        /// The file.
        file: PathBuf,
        /// Id of its conditional lines, if not the name of this machine.
        config_id: Option<String>,
    },
    /// Ask the director that runs for something.
    Ctl(Ctl),
    /// Tell what a reload of a file would do.
    Diff {
        /// The file.
        file: PathBuf,
        /// As JSON.
        json: bool,
        /// Folder of the director's socket.
        run_dir: PathBuf,
        /// Folder of what it remembers, for when none runs.
        state_dir: PathBuf,
    },
    /// Withdraw what an earlier run left in the kernel.
    Withdraw(Withdraw),
    /// Print what [`Command::Run`] would do.
    DryRun(Run),
    /// Serve.
    Run(Run),
}

/// What to print of the state of the director that runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// How it looks.
    pub form: Form,
    /// Again and again, with this time between.
    pub watch: Option<Duration>,
    /// Only these virtual servers (`VS`) and real servers (`VS/RS`); all if there are none.
    pub names: Vec<String>,
    /// Folder of its socket.
    pub run_dir: PathBuf,
}

/// How the state looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// For people.
    Table,
    /// What the status socket gives.
    Json,
    /// For Prometheus.
    Metrics,
}

/// How to serve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// Relation to the terminal.
    pub mode: Mode,
    /// The file, if not the default one.
    pub config: Option<PathBuf>,
    /// The monitor, if not the default one.
    pub nanny: Option<PathBuf>,
    /// Folder of pid file and sockets.
    pub run_dir: PathBuf,
    /// Folder of the state file.
    pub state_dir: PathBuf,
    /// Log more.
    pub verbose: bool,
    /// Where to serve metrics, whatever the file says.
    pub metrics: Option<SocketAddr>,
}

/// How to withdraw what an earlier run left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Withdraw {
    /// Folder of pid file and list of services.
    pub run_dir: PathBuf,
    /// Log to syslog instead of standard error.
    pub syslog: bool,
    /// Log more.
    pub verbose: bool,
}

/// Relation to the terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// In the background, log to syslog.
    Daemon,
    /// In the foreground, log to standard error.
    Foreground,
    /// Not forked, log to syslog.
    NoFork,
}

/// Why the command line cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum UsageError {
    /// An unknown option, or one without its value.
    #[error(transparent)]
    Option(#[from] lexopt::Error),
    /// A word that means nothing here.
    #[error(
        "unexpected word {0:?}; the commands are \"check\", \"doctor\", \"status\", \"ctl\", \"diff\", \"migrate\" \
         and \"convert-keepalived\", and none to serve"
    )]
    Word(OsString),
    /// One word too many.
    #[error("unexpected word {word:?}; usage: lvs {command}")]
    TooMany {
        /// What may be written.
        command: &'static str,
        /// The word.
        word: OsString,
    },
    /// Words after `ctl` or `diff` that mean nothing.
    #[error("{0}")]
    Ctl(String),
    /// A value of `--metrics` that is no place to listen at.
    #[error("--metrics {0:?}: not ADDRESS:PORT, such as 192.0.2.2:9646 or [::1]:9646")]
    Metrics(String),
    /// A value of `--watch` that is no time, or out of range.
    #[error("--watch {0:?}: not a time from 0.1 to 3600 seconds")]
    Watch(String),
    /// An option that does not go with the command.
    #[error("{option} does not go with {command}")]
    NotWith {
        /// The option.
        option: &'static str,
        /// The command.
        command: &'static str,
    },
}

#[derive(Default)]
struct Words {
    mode: Option<Mode>,
    config: Option<PathBuf>,
    nanny: Option<PathBuf>,
    run_dir: Option<PathBuf>,
    state_dir: Option<PathBuf>,
    verbose: bool,
    dry_run: bool,
    json: bool,
    metrics: Option<SocketAddr>,
    as_metrics: bool,
    watch: Option<Duration>,
    names: Vec<String>,
    withdraw: bool,
    verb: Option<Verb>,
    file: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Verb {
    Check,
    Status,
    Diff,
    Doctor,
}

/// Reads the arguments, without the program's own name.
///
/// # Errors
/// [`UsageError`], whose text is meant for the user.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Command, UsageError> {
    let mut parser = lexopt::Parser::from_args(arguments);
    let mut words = Words::default();
    while let Some(word) = parser.next()? {
        match word {
            Short('h' | '?') | Long("help") => return Ok(Command::Help),
            Long("version") => return Ok(Command::Version),
            Short('n') | Long("nodaemon") => words.mode = Some(Mode::Foreground),
            // The foreground is the stronger wish, as in the original.
            Long("nofork") => words.mode = words.mode.or(Some(Mode::NoFork)),
            Short('c') | Long("configfile") => words.config = Some(parser.value()?.into()),
            Long("nanny") => words.nanny = Some(parser.value()?.into()),
            Long("run-dir") => words.run_dir = Some(parser.value()?.into()),
            Long("state-dir") => words.state_dir = Some(parser.value()?.into()),
            Short('v') | Long("verbose") => words.verbose = true,
            Short('t') | Long("test-start") => words.dry_run = true,
            Long("json") => words.json = true,
            Long("metrics") if words.verb == Some(Verb::Status) => words.as_metrics = true,
            Long("metrics") => words.metrics = Some(address(&parser.value()?)?),
            Long("watch") => words.watch = Some(watch(&mut parser)?),
            Long("withdraw") => words.withdraw = true,
            Long("check") => words.verb = Some(Verb::Check),
            Value(word) if words.verb.is_none() && word == "check" => words.verb = Some(Verb::Check),
            Value(word) if words.verb.is_none() && word == "doctor" => words.verb = Some(Verb::Doctor),
            Value(word) if words.verb.is_none() && word == "status" => words.verb = Some(Verb::Status),
            Value(word) if words.verb.is_none() && word == "migrate" => {
                return migration_args::migrate(parser);
            }
            Value(word) if words.verb.is_none() && word == "convert-keepalived" => {
                return migration_args::convert_keepalived(parser);
            }
            Value(word) if words.verb.is_none() && word == "diff" => words.verb = Some(Verb::Diff),
            Value(word) if words.verb.is_none() && word == "ctl" => {
                return Ok(ctl::parse(&mut parser, words.run_dir)?.map_or(Command::Help, Command::Ctl));
            }
            Value(word)
                if matches!(words.verb, Some(Verb::Check | Verb::Diff | Verb::Doctor))
                    && words.file.is_none() =>
            {
                words.file = Some(word.into());
            }
            Value(word) if words.verb == Some(Verb::Status) => words.names.push(word.string()?),
            Value(word) => return Err(UsageError::Word(word)),
            other => return Err(other.unexpected().into()),
        }
    }
    words.fit_together()
}

fn address(word: &OsStr) -> Result<SocketAddr, UsageError> {
    let text = word.to_string_lossy();
    text.parse().map_err(|_| UsageError::Metrics(text.into_owned()))
}

/// The time of `--watch`: after `=`, or a next word that is a number.
fn watch(parser: &mut lexopt::Parser) -> Result<Duration, UsageError> {
    let word = parser.optional_value().or_else(|| {
        let mut words = parser.try_raw_args()?;
        let is_number = |word: &OsStr| word.to_str().is_some_and(|word| word.parse::<f64>().is_ok());
        words.next_if(is_number)
    });
    let Some(word) = word else { return Ok(USUAL_WATCH) };
    let text = word.to_string_lossy();
    let seconds: Option<f64> = text.parse().ok().filter(|seconds| (0.1..=3600.0).contains(seconds));
    seconds.map(Duration::from_secs_f64).ok_or_else(|| UsageError::Watch(text.into_owned()))
}

impl Words {
    fn fit_together(self) -> Result<Command, UsageError> {
        let not_with = |given: bool, option, command| match given {
            true => Err(UsageError::NotWith { option, command }),
            false => Ok(()),
        };
        not_with(self.watch.is_some() && self.verb != Some(Verb::Status), "--watch", "anything but status")?;
        let run_dir = self.run_dir.unwrap_or_else(|| RUN_DIR.into());
        match self.verb {
            Some(Verb::Check) => {
                not_with(self.withdraw, "--withdraw", "check")?;
                not_with(self.metrics.is_some(), "--metrics", "check")?;
                not_with(self.dry_run, "-t", "check")?;
                not_with(self.file.is_some() && self.config.is_some(), "-c", "check FILE")?;
                Ok(Command::Check { json: self.json, file: self.file.or(self.config), run_dir })
            }
            Some(Verb::Doctor) => {
                not_with(self.withdraw, "--withdraw", "doctor")?;
                not_with(self.metrics.is_some(), "--metrics", "doctor")?;
                not_with(self.dry_run, "-t", "doctor")?;
                not_with(self.file.is_some() && self.config.is_some(), "-c", "doctor FILE")?;
                Ok(Command::Doctor { json: self.json, file: self.file.or(self.config) })
            }
            Some(Verb::Status) => {
                not_with(self.withdraw, "--withdraw", "status")?;
                not_with(self.dry_run, "-t", "status")?;
                not_with(self.config.is_some(), "-c", "status")?;
                not_with(self.metrics.is_some(), "--metrics ADDRESS", "status")?;
                not_with(self.json && self.as_metrics, "--metrics", "--json")?;
                not_with(self.as_metrics && !self.names.is_empty(), "--metrics", "a name")?;
                let form = match (self.json, self.as_metrics) {
                    (true, _) => Form::Json,
                    (_, true) => Form::Metrics,
                    _ => Form::Table,
                };
                Ok(Command::Status(Query { form, watch: self.watch, names: self.names, run_dir }))
            }
            Some(Verb::Diff) => {
                not_with(self.withdraw, "--withdraw", "diff")?;
                not_with(self.dry_run, "-t", "diff")?;
                not_with(self.config.is_some(), "-c", "diff FILE")?;
                let file = self.file.ok_or_else(|| UsageError::Ctl("usage: lvs diff FILE".to_owned()))?;
                let state_dir = self.state_dir.unwrap_or_else(|| STATE_DIR.into());
                Ok(Command::Diff { file, json: self.json, run_dir, state_dir })
            }
            None if self.withdraw => {
                not_with(self.json, "--json", "--withdraw")?;
                not_with(self.metrics.is_some(), "--metrics", "--withdraw")?;
                not_with(self.dry_run, "-t", "--withdraw")?;
                not_with(self.config.is_some(), "-c", "--withdraw")?;
                let syslog = self.mode == Some(Mode::NoFork);
                Ok(Command::Withdraw(Withdraw { run_dir, syslog, verbose: self.verbose }))
            }
            None => {
                not_with(self.json, "--json", "serving; it belongs to \"lvs check\" and \"lvs status\"")?;
                let Self { config, nanny, verbose, metrics, .. } = self;
                let mode = self.mode.unwrap_or(Mode::Daemon);
                let state_dir = self.state_dir.unwrap_or_else(|| STATE_DIR.into());
                let run = Run { mode, config, nanny, run_dir, state_dir, verbose, metrics };
                Ok(if self.dry_run { Command::DryRun(run) } else { Command::Run(run) })
            }
        }
    }
}
