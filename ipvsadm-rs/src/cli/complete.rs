//! What could be typed next: the candidates that a shell offers when it completes a command line.
//!
//! `ipvsadm complete WORD...` prints them for the last word, one a line, with a tab and an explanation where there is
//! one. The shells' own files (`packaging/completions`) only hand words to it, so what they offer follows the [table of
//! options](super::options) and needs no upkeep. Pure but for [`Around`], through which the caller lets it see the
//! kernel's table. Nothing here says whether a command line is right.

use std::ffi::OsString;
use std::fmt::{Display, Write as _};

use super::given::{self, Given};
use super::names::Numeric;
use super::options::{self, Key, Row};
use crate::model::{DestinationId, Protocol, Scheduler, ServiceId, Table};
use crate::request::line::scheduler_flag_names;

/// The word after the program's name that asks for candidates.
const WORD: &str = "complete";

/// What the words may refer to. Asked for only when it matters.
pub trait Around {
    /// The kernel's table; empty if it cannot be read, as without permission.
    fn table(&self) -> Table;
    /// The names of the network interfaces.
    fn interfaces(&self) -> Vec<String>;
}

/// The words to be completed, without the program's name, if a command line asks for that.
#[must_use]
pub fn asked(words: &[OsString]) -> Option<Vec<String>> {
    let (first, others) = words.split_first()?;
    (first == WORD).then(|| others.iter().map(|word| word.to_string_lossy().into_owned()).collect())
}

/// The candidates for the last of the words, a line each.
#[must_use]
pub fn candidates(words: &[String], around: &dyn Around) -> String {
    let (last, before) = words.split_last().map_or(("", words), |(last, before)| (last.as_str(), before));
    let line = Line::read(before);
    let found = match (line.awaits, last.split_once('=')) {
        (Some(key), _) => line.values(key, last, around),
        (None, Some((name, value))) => {
            match options::all().find(|row| name.strip_prefix("--") == Some(row.long)) {
                Some(row) => {
                    let prefixed = |it: Candidate| Candidate { word: format!("{name}={}", it.word), ..it };
                    line.values(row.key, value, around).into_iter().map(prefixed).collect()
                }
                None => Vec::new(),
            }
        }
        (None, None) => line.options(last.starts_with("--")),
    };
    let mut text = String::new();
    for Candidate { word, meaning } in found.into_iter().filter(|it| it.word.starts_with(last)) {
        let tab = if meaning.is_empty() { "" } else { "\t" };
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{word}{tab}{meaning}");
    }
    text
}

/// A word that could be the next one.
struct Candidate {
    word: String,
    meaning: &'static str,
}

fn plain(word: impl Display) -> Candidate {
    Candidate { word: word.to_string(), meaning: "" }
}

/// The words before the one to be completed, as far as they are understood.
#[derive(Default)]
struct Line {
    given: Given,
    /// The option whose value comes next.
    awaits: Option<Key>,
}

impl Line {
    fn read(words: &[String]) -> Self {
        let mut line = Self::default();
        let mut parser = lexopt::Parser::from_args(words);
        // What is wrong in the words before is said when they are used.
        while let Some(next) = parser.next().transpose() {
            let Some(row) = next.ok().and_then(|word| given::row_of(&word)) else { continue };
            if row.key.is_command() {
                line.given.command.get_or_insert(row.key);
            }
            match given::value(&mut parser, row.value, row.long) {
                Ok(value) => line.given.options.push((row.key, value)),
                Err(_) => line.awaits = Some(row.key),
            }
        }
        line
    }

    /// The commands, or the options that still fit the one that is given. By their short names unless `long`.
    fn options(&self, long: bool) -> Vec<Candidate> {
        let fits = |row: &&Row| match self.given.command {
            None => row.key.is_command(),
            Some(command) => {
                options::fitting(command).0.contains(&row.key.group()) && !self.is_settled(row.key)
            }
        };
        let word = |row: &Row| if long { format!("--{}", row.long) } else { row.key.word() };
        let candidate = |row: &Row| Candidate { word: word(row), meaning: row.help };
        options::all().filter(fits).map(candidate).collect()
    }

    /// Whether an option has been given, or has no use with what has.
    fn is_settled(&self, key: Key) -> bool {
        let needs = match key {
            Key::Ipv6 => Some(Key::FwmarkService),
            Key::TunType | Key::TunPort | Key::TunNocsum | Key::TunCsum | Key::TunRemcsum => Some(Key::Ipip),
            _ => None,
        };
        needs.is_some_and(|other| !self.given.has(other))
            || self.given.options.iter().any(|(given, _)| given.group() == key.group())
    }

    /// What the value of an option could be; nothing where only the user knows.
    fn values(&self, key: Key, begun: &str, around: &dyn Around) -> Vec<Candidate> {
        let words = |words: &[&str]| words.iter().map(plain).collect();
        match key {
            Key::StartDaemon | Key::StopDaemon => words(&["master", "backup"]),
            Key::Scheduler => Scheduler::KNOWN.iter().map(plain).collect(),
            Key::SchedFlags => self.flags(begun),
            Key::Engine => words(&["sip"]),
            Key::TunType => words(&["ipip", "gue", "gre"]),
            Key::McastInterface => around.interfaces().iter().map(plain).collect(),
            // A service that is to be added is not there yet.
            _ if self.given.command == Some(Key::AddService) => Vec::new(),
            Key::TcpService => services(&around.table(), Protocol::Tcp),
            Key::UdpService => services(&around.table(), Protocol::Udp),
            Key::SctpService => services(&around.table(), Protocol::Sctp),
            Key::FwmarkService => marks(&around.table()),
            Key::RealServer if self.given.command != Some(Key::AddServer) => {
                self.real_servers(&around.table())
            }
            _ => Vec::new(),
        }
    }

    /// The flags of the scheduler that are not in the list yet, each behind what is.
    fn flags(&self, begun: &str) -> Vec<Candidate> {
        let list = begun.rsplit_once(',').map_or("", |(list, _)| list);
        let comma = if list.is_empty() { "" } else { "," };
        let names = scheduler_flag_names(self.given.value(Key::Scheduler).unwrap_or_default());
        let left = names.iter().filter(|name| !list.split(',').any(|it| it == **name));
        left.map(|name| plain(format!("{list}{comma}{name}"))).collect()
    }

    fn real_servers(&self, table: &Table) -> Vec<Candidate> {
        let service = self.given.service_id(&Numeric).ok().flatten();
        let entry = service.and_then(|id| table.find(&id));
        let ids = entry.into_iter().flat_map(|entry| &entry.destinations).map(|it| it.destination.id);
        ids.map(|id: DestinationId| plain(id)).collect()
    }
}

fn services(table: &Table, wanted: Protocol) -> Vec<Candidate> {
    let endpoint = |id: &ServiceId| match id {
        ServiceId::Address { protocol, address, port } if *protocol == wanted => {
            Some(plain(DestinationId::new(*address, *port)))
        }
        _ => None,
    };
    table.services.iter().filter_map(|entry| endpoint(&entry.service.id)).collect()
}

fn marks(table: &Table) -> Vec<Candidate> {
    let mark = |id: &ServiceId| match id {
        ServiceId::FwMark { mark, .. } => Some(mark.get()),
        ServiceId::Address { .. } => None,
    };
    let mut marks: Vec<u32> = table.services.iter().filter_map(|entry| mark(&entry.service.id)).collect();
    // The same mark may be there for both families.
    marks.sort_unstable();
    marks.dedup();
    marks.into_iter().map(plain).collect()
}
