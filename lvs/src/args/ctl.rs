//! The words after `lvs ctl`: a verb, what it is about, and its options.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use lexopt::Arg::{Long, Short, Value};
use lvs_config::nearest;
use lvs_config::units::Weight;
use lvs_ipc::control::{Command, MAX_REASON};
use lvs_ipc::status::RUN_DIR;

use super::UsageError;

/// The verbs with what follows them.
const VERBS: [(&str, &str); 10] = [
    ("reload", ""),
    ("drain", "VIRTUAL/SERVER [--deadline TIME]"),
    ("undrain", "VIRTUAL/SERVER"),
    ("weight", "VIRTUAL/SERVER WEIGHT"),
    ("enable", "VIRTUAL/SERVER [--force]"),
    ("disable", "VIRTUAL/SERVER"),
    ("sorry", "VIRTUAL on|off"),
    ("reset", "[VIRTUAL[/SERVER]]"),
    ("check-now", "VIRTUAL[/SERVER]"),
    ("list", ""),
];

/// What to ask the director for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ctl {
    /// What.
    pub command: Command,
    /// Folder of its socket.
    pub run_dir: PathBuf,
    /// The answer as JSON.
    pub json: bool,
}

/// What may be given beside verb and words.
#[derive(Default)]
struct Options {
    deadline: Option<Duration>,
    reason: Option<String>,
    force: bool,
    json: bool,
    run_dir: Option<PathBuf>,
}

/// Reads what follows `ctl`. `None`: help is asked for.
///
/// # Errors
/// [`UsageError`].
pub(super) fn parse(
    parser: &mut lexopt::Parser,
    run_dir: Option<PathBuf>,
) -> Result<Option<Ctl>, UsageError> {
    let mut words: Vec<String> = Vec::new();
    let mut options = Options { run_dir, ..Options::default() };
    while let Some(word) = parser.next()? {
        match word {
            Short('h' | '?') | Long("help") => return Ok(None),
            Long("deadline") => options.deadline = Some(time(parser.value()?)?),
            Long("reason") => options.reason = Some(reason(parser.value()?)?),
            Long("force") => options.force = true,
            Long("json") => options.json = true,
            Long("run-dir") => options.run_dir = Some(parser.value()?.into()),
            Value(word) => words.push(text(word)?),
            other => return Err(other.unexpected().into()),
        }
    }
    let (json, run_dir) = (options.json, options.run_dir.take());
    let command = command(&words, options)?;
    Ok(Some(Ctl { command, run_dir: run_dir.unwrap_or_else(|| RUN_DIR.into()), json }))
}

fn command(words: &[String], options: Options) -> Result<Command, UsageError> {
    let Some((verb, rest)) = words.split_first() else {
        return Err(UsageError::Ctl(format!("\"ctl\" needs one of {}", verbs())));
    };
    let Options { deadline, reason, force, .. } = options;
    let only = |given: bool, option: &str, with: &[&str]| match given && !with.contains(&verb.as_str()) {
        true => Err(UsageError::Ctl(format!("{option} does not go with \"ctl {verb}\""))),
        false => Ok(()),
    };
    only(deadline.is_some(), "--deadline", &["drain"])?;
    only(force, "--force", &["enable"])?;
    only(reason.is_some(), "--reason", &["drain", "weight", "enable", "disable", "sorry"])?;
    let rest: Vec<&str> = rest.iter().map(String::as_str).collect();
    let target = |word: &str| word.to_owned();
    Ok(match (verb.as_str(), &rest[..]) {
        ("reload", []) => Command::Reload,
        ("list", []) => Command::List,
        ("drain", [server]) => {
            let deadline_ms = deadline.map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
            Command::Drain { target: target(server), deadline_ms, reason }
        }
        ("undrain", [server]) => Command::Undrain { target: target(server) },
        ("weight", [server, word]) => {
            Command::Weight { target: target(server), weight: weight(word)?, reason }
        }
        ("enable", [server]) => Command::Enable { target: target(server), force, reason },
        ("disable", [server]) => Command::Disable { target: target(server), reason },
        ("sorry", [name, "on"]) => Command::Sorry { target: target(name), on: true, reason },
        ("sorry", [name, "off"]) => Command::Sorry { target: target(name), on: false, reason },
        ("check-now", [what]) => Command::CheckNow { target: target(what) },
        ("reset", []) => Command::Reset { target: None },
        ("reset", [what]) => Command::Reset { target: Some(target(what)) },
        _ => return Err(UsageError::Ctl(wrong(verb))),
    })
}

/// What is wrong with a verb and the words after it.
fn wrong(verb: &str) -> String {
    match VERBS.iter().find(|(known, _)| *known == verb) {
        Some((known, rest)) => format!("usage: lvs ctl {}", format!("{known} {rest}").trim_end()),
        None => match nearest(verb, VERBS.map(|(known, _)| known)) {
            Some(near) => format!("\"ctl\" knows no {verb:?}; did you mean \"{near}\"?"),
            None => format!("\"ctl\" knows no {verb:?}; it knows {}", verbs()),
        },
    }
}

fn verbs() -> String {
    VERBS.map(|(verb, _)| verb).join(", ")
}

fn text(word: OsString) -> Result<String, UsageError> {
    word.into_string().map_err(|word| UsageError::Ctl(format!("{} is not UTF-8", word.display())))
}

fn time(word: OsString) -> Result<Duration, UsageError> {
    let word = text(word)?;
    daemonkit::duration::parse(&word).map_err(|error| UsageError::Ctl(format!("--deadline: {error}")))
}

fn weight(word: &str) -> Result<u32, UsageError> {
    let weight = word.parse().ok().filter(|weight| *weight <= Weight::MAX);
    weight.ok_or_else(|| UsageError::Ctl(format!("{word:?} is no weight; 0 to {} is allowed", Weight::MAX)))
}

fn reason(word: OsString) -> Result<String, UsageError> {
    let word = text(word)?;
    if word.chars().count() > MAX_REASON || word.contains(char::is_control) {
        let what = format!("--reason may have {MAX_REASON} characters and none that cannot be printed");
        return Err(UsageError::Ctl(what));
    }
    Ok(word)
}
