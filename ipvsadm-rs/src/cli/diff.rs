//! `ipvsadm diff FILE`: what would have to be done so that the kernel's table is the one that saved rules make.
//!
//! What is wanted is the table that restoring the file into an empty one gives. With a file that could not be restored
//! so without a complaint nothing is compared; all that is wrong with it is said. Nothing is changed here.

use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;

use super::args::{ArgsError, Command, Parsed};
use super::names::Names;
use super::render::Named;
use super::run::{Session, Stop, place};
use super::{advice, exit, rules};
use crate::model::Table;
use crate::request::Request;
use crate::request::line::line;
use crate::transport::Transport;

/// The word after the program's name that asks for it.
pub(super) const WORD: &str = "diff";
/// Most complaints about one file that are shown.
const MOST: usize = 20;
/// What rules to compare with may consist of.
const ALLOWED: &str = "a table is made by -A, -a, -E, -e, -D, -d and -C only";

/// What to compare with, and how to show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diff {
    /// The file of rules; `None` for standard input.
    pub file: Option<PathBuf>,
    /// Whether addresses and ports stay numbers.
    pub numeric: bool,
}

/// Reads the words after [`WORD`].
pub(super) fn parse(words: impl Iterator<Item = OsString>) -> Parsed<Command> {
    let (mut file, mut numeric) = (None, false);
    let mut parser = lexopt::Parser::from_args(words);
    while let Some(word) = parser.next().map_err(|error| ArgsError::wrong(format!("{WORD}: {error}")))? {
        let other = match word {
            lexopt::Arg::Short('n') | lexopt::Arg::Long("numeric") => {
                numeric = true;
                continue;
            }
            lexopt::Arg::Short('h') | lexopt::Arg::Long("help") => return Ok(Command::Help),
            lexopt::Arg::Value(value) if file.is_none() => {
                file = Some(value);
                continue;
            }
            lexopt::Arg::Value(value) => value.to_string_lossy().into_owned(),
            lexopt::Arg::Short(short) => format!("-{short}"),
            lexopt::Arg::Long(long) => format!("--{long}"),
        };
        return Err(ArgsError::wrong(format!("unexpected word `{other}`: {WORD} takes one file and -n")));
    }
    let file = file.ok_or_else(|| {
        ArgsError::wrong(format!("{WORD} needs a file of rules, as -S writes them, or - for standard input"))
    })?;
    let file = (file != "-").then(|| file.into());
    Ok(Command::Diff(Diff { file, numeric }))
}

/// The table that rules make, or everything that is wrong with them, each with its line.
fn wanted(text: &str, names: &dyn Names) -> Result<Table, Vec<String>> {
    let (mut numbers, mut requests, mut complaints) = (Vec::new(), Vec::new(), Vec::new());
    for (number, line) in (1..).zip(text.lines()) {
        match rules::read(line, names) {
            Ok(None) => {}
            Ok(Some(Command::Change(request))) if makes_tables(&request) => {
                numbers.push(number);
                requests.push(request);
            }
            Ok(Some(_)) => complaints.push((number, format!("{}: {ALLOWED}", place(number, line)))),
            Err(error) => complaints.push((number, format!("{}: {}", place(number, line), error.message))),
        }
    }
    let mut table = Table::default();
    for (number, outcome) in numbers.into_iter().zip(table.apply(&requests)) {
        if let Err(error) = outcome {
            complaints.push((number, format!("line {number}: {error}{}", advice::to(&error, None))));
        }
    }
    if complaints.is_empty() {
        return Ok(table);
    }
    complaints.sort_by_key(|(number, _)| *number);
    Err(complaints.into_iter().map(|(_, complaint)| complaint).collect())
}

fn makes_tables(request: &Request) -> bool {
    !matches!(
        request,
        Request::Zero(_) | Request::SetTimeouts(_) | Request::StartDaemon(_) | Request::StopDaemon(_)
    )
}

impl<T: Transport> Session<'_, T> {
    /// Shows the difference. Whatever goes wrong has the same status, so that the others can be relied on.
    pub(super) fn diff(&mut self, diff: &Diff) -> Result<u8, Stop> {
        self.compare(diff).map_err(|_| Stop::Failed(exit::USAGE))
    }

    fn compare(&mut self, diff: &Diff) -> Result<u8, Stop> {
        let file = diff.file.as_ref().map_or("standard input".into(), |path| path.display().to_string());
        let text = self.rules_in(diff, &file)?;
        let wanted = match wanted(&text, self.names) {
            Ok(table) => table,
            Err(complaints) => return Err(self.complain(&file, &complaints)),
        };
        let actual = self.ipvs.table();
        let actual = self.read(actual)?;
        let requests = actual.diff(&wanted);
        let spelling = Named(self.names_for(diff.numeric));
        let lines: String = requests.iter().map(|request| line(request, &spelling) + "\n").collect();
        let written = self.output.write_all(lines.as_bytes()).and_then(|()| self.output.flush());
        match written {
            // A reader that has seen enough has seen a difference.
            Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
                Err(self.fail(exit::USAGE, &format!("writing the difference failed: {error}")))
            }
            _ if requests.is_empty() => Ok(exit::SUCCESS),
            _ => Ok(exit::DIFFERENT),
        }
    }

    fn rules_in(&mut self, diff: &Diff, file: &str) -> Result<String, Stop> {
        let mut bytes = Vec::new();
        let read = match &diff.file {
            Some(path) => fs::read(path).map(|content| bytes = content),
            None => self.input.read_to_end(&mut bytes).map(drop),
        };
        match read {
            // Bytes that are no text make a word that is no command, and are reported as such.
            Ok(()) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
            Err(error) => Err(self.fail(exit::USAGE, &format!("cannot read {file}: {error}"))),
        }
    }

    fn complain(&mut self, file: &str, complaints: &[String]) -> Stop {
        for complaint in complaints.iter().take(MOST) {
            self.say(&format!("{file}: {complaint}"));
        }
        match complaints.len().saturating_sub(MOST) {
            0 => Stop::Failed(exit::USAGE),
            more => self.fail(exit::USAGE, &format!("{file}: and {more} more lines are wrong")),
        }
    }
}
