//! The addresses that names had last, so that a name that stops resolving keeps its own. Pure; `resolver.rs` asks and
//! `Resolver` keeps the book in a file.
//!
//! A name with several addresses keeps the one that it has for as long as it is among them: name servers give them in
//! another order each time. It does not change to the other family.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write as _};
use std::net::IpAddr;

use crate::names::Family;
use crate::value::{self, Literal};

/// First line of the text form.
const HEAD: &str = "# Names in lvs.cf and their last addresses, kept for when they cannot be resolved.\n";

/// A name and the family in which an address of it is preferred.
pub(crate) type Question = (String, Family);

/// The last address of each name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct NameBook {
    entries: BTreeMap<Question, Entry>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Entry {
    address: IpAddr,
    /// Whether the last look-up found nothing.
    is_lost: bool,
}

/// What a look-up changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NameChange {
    /// The name has another address.
    Moved {
        /// The name.
        name: String,
        /// Its address before.
        from: IpAddr,
        /// Its address now.
        to: IpAddr,
    },
    /// The name cannot be resolved and keeps its address.
    Lost {
        /// The name.
        name: String,
        /// The address.
        kept: IpAddr,
    },
    /// The name, which could not be resolved, can be again, to the address that it kept.
    Back {
        /// The name.
        name: String,
        /// The address.
        address: IpAddr,
    },
}

impl fmt::Display for NameChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Moved { name, from, to } => write!(f, "{name} has another address: {to}, before {from}"),
            Self::Lost { name, kept } => {
                write!(f, "{name} cannot be resolved and keeps its last address, {kept}")
            }
            Self::Back { name, address } => write!(f, "{name} can be resolved again: {address} as before"),
        }
    }
}

impl NameBook {
    /// The book in `text`, and what in it is no entry.
    pub(crate) fn parse(text: &str) -> (Self, Vec<String>) {
        let mut book = Self::default();
        let mut faults = Vec::new();
        for (at, line) in
            text.lines().enumerate().filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
        {
            match entry(line) {
                Some((question, address)) => {
                    book.entries.insert(question, Entry { address, is_lost: false });
                }
                None => faults.push(format!("line {}: no name with family and address", at + 1)),
            }
        }
        (book, faults)
    }

    /// The text that [`NameBook::parse`] reads: a line `NAME FAMILY ADDRESS` each.
    pub(crate) fn text(&self) -> String {
        let mut text = HEAD.to_owned();
        for ((name, family), entry) in &self.entries {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{name} {} {}", word(*family), entry.address);
        }
        text
    }

    /// The address of `name`, and whether that is one of old.
    pub(crate) fn address(&self, question: &Question) -> Option<(IpAddr, bool)> {
        self.entries.get(question).map(|entry| (entry.address, entry.is_lost))
    }

    /// Takes in what a look-up found.
    pub(crate) fn learn(&mut self, question: &Question, found: &[IpAddr]) -> Option<NameChange> {
        let (name, wanted) = question;
        let before = self.entries.get(question).copied();
        let kept = before.map(|entry| entry.address).filter(|address| found.contains(address));
        // An address of the other family would do for a name that never had one of this.
        let had_wanted = before.is_some_and(|entry| Family::of(entry.address) == *wanted);
        let other = found.first().filter(|_| !had_wanted);
        let preferred = || found.iter().find(|address| Family::of(**address) == *wanted).or(other);
        let Some(address) = kept.or_else(|| preferred().copied()) else {
            let entry = self.entries.get_mut(question).filter(|entry| !entry.is_lost)?;
            entry.is_lost = true;
            return Some(NameChange::Lost { name: name.clone(), kept: entry.address });
        };
        self.entries.insert(question.clone(), Entry { address, is_lost: false });
        let before = before?;
        if before.address != address {
            return Some(NameChange::Moved { name: name.clone(), from: before.address, to: address });
        }
        before.is_lost.then(|| NameChange::Back { name: name.clone(), address })
    }

    /// Forgets all names but those.
    pub(crate) fn retain(&mut self, asked: &BTreeSet<Question>) {
        self.entries.retain(|question, _| asked.contains(question));
    }
}

fn word(family: Family) -> &'static str {
    match family {
        Family::V4 => "ipv4",
        Family::V6 => "ipv6",
    }
}

fn entry(line: &str) -> Option<(Question, IpAddr)> {
    let mut words = line.split(' ');
    let (name, family, address) = (words.next()?, words.next()?, words.next()?);
    let family = [Family::V4, Family::V6].into_iter().find(|it| word(*it) == family)?;
    let is_name = value::literal(name) == Literal::NameLike && words.next().is_none();
    is_name.then_some(((name.to_owned(), family), address.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn question(name: &str) -> Question {
        (name.to_owned(), Family::V4)
    }

    #[test]
    fn a_name_keeps_its_address_among_several_and_moves_when_it_is_gone() {
        let mut book = NameBook::default();
        let web = question("web");
        let (one, two, six) = (ip("10.0.0.1"), ip("10.0.0.2"), ip("2001:db8::1"));
        assert_eq!(book.learn(&web, &[six, one, two]), None);
        assert_eq!(book.address(&web), Some((one, false)));
        assert_eq!(book.learn(&web, &[two, one]), None);
        assert_eq!(book.address(&web), Some((one, false)));
        let moved = NameChange::Moved { name: "web".into(), from: one, to: two };
        assert_eq!(book.learn(&web, &[two, six]), Some(moved.clone()));
        assert_eq!(moved.to_string(), "web has another address: 10.0.0.2, before 10.0.0.1");
        assert_eq!(book.address(&web), Some((two, false)));
        book.learn(&web, &[six]);
        assert_eq!(book.address(&web), Some((two, true)));
        book.learn(&question("six"), &[six]);
        assert_eq!(book.address(&question("six")), Some((six, false)));
        book.learn(&question("six"), &[six, one]);
        assert_eq!(book.address(&question("six")), Some((six, false)));
    }

    #[test]
    fn a_name_that_is_lost_keeps_its_address_and_is_told_once() {
        let mut book = NameBook::default();
        let (web, one) = (question("web"), ip("10.0.0.1"));
        assert_eq!(book.learn(&web, &[]), None);
        assert_eq!(book.address(&web), None);
        book.learn(&web, &[one]);
        assert_eq!(book.learn(&web, &[]), Some(NameChange::Lost { name: "web".into(), kept: one }));
        assert_eq!(book.learn(&web, &[]), None);
        assert_eq!(book.address(&web), Some((one, true)));
        assert_eq!(book.learn(&web, &[one]), Some(NameChange::Back { name: "web".into(), address: one }));
        assert_eq!(book.address(&web), Some((one, false)));
    }

    #[test]
    fn a_book_reads_back() {
        let mut book = NameBook::default();
        book.learn(&question("web"), &[ip("10.0.0.1")]);
        book.learn(&("web".into(), Family::V6), &[ip("2001:db8::1")]);
        book.learn(&question("db-1.example"), &[ip("10.0.0.2")]);
        let text = book.text();
        assert_eq!(
            text.strip_prefix(HEAD),
            Some("db-1.example ipv4 10.0.0.2\nweb ipv4 10.0.0.1\nweb ipv6 2001:db8::1\n")
        );
        assert_eq!(NameBook::parse(&text), (book.clone(), vec![]));
        book.retain(&BTreeSet::from([question("web")]));
        assert_eq!(book.text().lines().count(), 2);
    }

    #[test]
    fn what_is_no_entry_is_told_and_the_rest_is_read() {
        let text = "web ipv4 10.0.0.1\nweb\nweb ipv5 10.0.0.1\nweb ipv4 10.0.0\n10.0.0.1 ipv4 10.0.0.1\nw ipv4 10.0.0.1 x\n\u{0}";
        let (book, faults) = NameBook::parse(text);
        assert_eq!(book.text().lines().count(), 2);
        assert_eq!(faults.len(), 6, "{faults:?}");
        assert_eq!(faults[0], "line 2: no name with family and address");
    }
}
