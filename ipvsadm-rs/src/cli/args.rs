//! Words of the command line to a [`Command`]: pure, in the original's grammar.
//!
//! Two steps: collect options and values and check that they go together (`given`); then give them their
//! meaning (`meaning`). Unlike in the original the order of the options does not matter after the
//! command.

use std::ffi::OsString;

use super::diff::{self, Diff};
use super::exit;
use super::given::Given;
use super::names::Names;
use crate::model::ServiceId;
use crate::request::Request;

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Show the help text.
    Help,
    /// Show the version.
    Version,
    /// Change something.
    Change(Request),
    /// Read rules from standard input.
    Restore,
    /// Write rules.
    Save {
        /// Whether addresses and ports stay numbers.
        numeric: bool,
    },
    /// List something.
    List(List),
    /// Compare the table with rules.
    Diff(Diff),
}

/// What is to be listed, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct List {
    /// What.
    pub what: Listed,
    /// Whether addresses and ports stay numbers.
    pub numeric: bool,
    /// Whether it is written for programs; then there is but one way to write it.
    pub json: bool,
}

/// What is to be listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listed {
    /// The table, or one service of it.
    Table {
        /// The service.
        only: Option<ServiceId>,
        /// What is shown of each.
        columns: Columns,
        /// Whether counters are shown in full.
        exact: bool,
        /// Whether it is sorted.
        sorted: bool,
    },
    /// Connections.
    Connections {
        /// Whether the data of persistence engines is shown.
        engines: bool,
    },
    /// Timeouts.
    Timeouts,
    /// Sync daemons.
    Daemons,
}

/// Columns of a listing of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Columns {
    /// Forwarding method, weight, connections.
    Usual,
    /// Counters.
    Stats,
    /// Rates.
    Rate,
    /// Thresholds and connections.
    Thresholds,
    /// Weight, persistence templates, connections.
    Persistence,
    /// The usual ones and the tunnel.
    Tunnels,
}

/// Why a command line is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArgsError {
    /// What was found and what is allowed.
    pub message: String,
    /// Exit status.
    pub status: u8,
    /// Whether the original reads no further lines after such a one.
    pub ends_restore: bool,
}

impl ArgsError {
    pub(super) fn wrong(message: impl Into<String>) -> Self {
        Self { message: message.into(), status: exit::USAGE, ends_restore: true }
    }

    /// An option that does not exist or lacks its value.
    pub(super) fn unknown(message: impl Into<String>) -> Self {
        Self { message: message.into(), status: exit::REFUSED, ends_restore: false }
    }

    pub(super) fn no_command(message: impl Into<String>) -> Self {
        Self { message: message.into(), status: exit::REFUSED, ends_restore: true }
    }
}

pub(super) type Parsed<T> = Result<T, ArgsError>;

/// Reads a command line without the program's name. No words at all list the table.
///
/// # Errors
/// [`ArgsError`] that names the option, what was found and what is allowed.
pub fn parse(words: impl IntoIterator<Item = OsString>, names: &dyn Names) -> Parsed<Command> {
    let words: Vec<OsString> = words.into_iter().collect();
    if words.is_empty() {
        return Given::default().meaning(names);
    }
    if words.first().is_some_and(|word| word == diff::WORD) {
        return diff::parse(words.into_iter().skip(1));
    }
    let given = Given::collect(words)?;
    given.check()?;
    given.meaning(names)
}
