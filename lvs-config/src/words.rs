//! The words of the file that stand for one of a few choices, each next to what it means.

use crate::model::{Forwarding, Protocol, Scheduler, ServiceKind};

/// A type whose values each have a word.
pub(crate) trait Word: Copy + PartialEq + 'static {
    /// Every value with its word, in the order in which they are listed to people.
    const ALL: &'static [(&'static str, Self)];
}

/// The words of `T`.
pub(crate) fn all<T: Word>() -> Vec<&'static str> {
    T::ALL.iter().map(|(word, _)| *word).collect()
}

/// The value of `word`.
pub(crate) fn value<T: Word>(word: &str) -> Option<T> {
    T::ALL.iter().find(|(known, _)| *known == word).map(|(_, value)| *value)
}

fn word<T: Word>(value: T) -> &'static str {
    // Every value is in the list; the test below sees to it.
    T::ALL.iter().find(|(_, known)| *known == value).map_or("", |(word, _)| word)
}

impl Word for ServiceKind {
    const ALL: &'static [(&'static str, Self)] = &[("lvs", Self::Lvs), ("fos", Self::Fos)];
}

impl Word for Forwarding {
    const ALL: &'static [(&'static str, Self)] =
        &[("nat", Self::Nat), ("direct", Self::Direct), ("tunnel", Self::Tunnel)];
}

impl Word for Protocol {
    const ALL: &'static [(&'static str, Self)] =
        &[("tcp", Self::Tcp), ("udp", Self::Udp), ("sctp", Self::Sctp)];
}

impl Word for Scheduler {
    const ALL: &'static [(&'static str, Self)] = &[
        ("rr", Self::Rr),
        ("wrr", Self::Wrr),
        ("lc", Self::Lc),
        ("wlc", Self::Wlc),
        ("lblc", Self::Lblc),
        ("lblcr", Self::Lblcr),
        ("dh", Self::Dh),
        ("sh", Self::Sh),
        ("sed", Self::Sed),
        ("nq", Self::Nq),
        ("fo", Self::Fo),
        ("ovf", Self::Ovf),
        ("mh", Self::Mh),
        ("twos", Self::Twos),
    ];
}

impl ServiceKind {
    /// The word of the file.
    pub fn name(self) -> &'static str {
        word(self)
    }
}

impl Forwarding {
    /// The word of the file.
    pub fn name(self) -> &'static str {
        word(self)
    }
}

impl Protocol {
    /// The word of the file, which is also the protocol's name in services(5).
    pub fn name(self) -> &'static str {
        word(self)
    }
}

impl Scheduler {
    /// The word of the file, which is also the kernel's name of the scheduler.
    pub fn name(self) -> &'static str {
        word(self)
    }
}
