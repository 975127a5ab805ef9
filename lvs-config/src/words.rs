//! The words of the file that stand for one of a few choices, each next to what it means.

use crate::keys::time_text;
use crate::model::{
    Forwarding, Protocol, Scheduler, ServiceKind, SlowStart, StartPolicy, Tunnel, TunnelChecksum,
};

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

/// The values of `slow_start` that have a word; the others are times.
const CLIMBS: [(&str, SlowStart); 2] = [("doubling", SlowStart::Doubling), ("off", SlowStart::Off)];

/// The words of `slow_start`.
pub(crate) fn climbs() -> [&'static str; 2] {
    CLIMBS.map(|(word, _)| word)
}

/// What a word of `slow_start` stands for.
pub(crate) fn climb(word: &str) -> Option<SlowStart> {
    CLIMBS.into_iter().find(|(known, _)| *known == word).map(|(_, climb)| climb)
}

/// `slow_start` as the file says it.
pub(crate) fn climb_text(slow_start: SlowStart) -> String {
    match slow_start {
        SlowStart::Even(time) => time_text(time),
        SlowStart::Off | SlowStart::Doubling => {
            let known = CLIMBS.into_iter().find(|(_, known)| *known == slow_start);
            known.map_or_else(String::new, |(word, _)| word.to_owned())
        }
    }
}

impl Word for ServiceKind {
    const ALL: &'static [(&'static str, Self)] = &[("lvs", Self::Lvs), ("fos", Self::Fos)];
}

impl Word for Forwarding {
    const ALL: &'static [(&'static str, Self)] =
        &[("nat", Self::Nat), ("direct", Self::Direct), ("tunnel", Self::Tunnel(Tunnel::Ipip))];
}

/// `tunnel_type`: which [`Tunnel`], without what belongs to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TunnelKind {
    Ipip,
    Gue,
    Gre,
}

impl Word for TunnelKind {
    const ALL: &'static [(&'static str, Self)] =
        &[("ipip", Self::Ipip), ("gue", Self::Gue), ("gre", Self::Gre)];
}

impl TunnelKind {
    /// The kind of `tunnel`.
    pub(crate) fn of(tunnel: Tunnel) -> Self {
        match tunnel {
            Tunnel::Ipip => Self::Ipip,
            Tunnel::Gue { .. } => Self::Gue,
            Tunnel::Gre { .. } => Self::Gre,
        }
    }

    /// The word of the file.
    pub(crate) fn name(self) -> &'static str {
        word(self)
    }
}

impl Word for TunnelChecksum {
    const ALL: &'static [(&'static str, Self)] =
        &[("none", Self::None), ("csum", Self::Checksum), ("remcsum", Self::Remote)];
}

impl Word for StartPolicy {
    const ALL: &'static [(&'static str, Self)] =
        &[("up", Self::Up), ("down", Self::Down), ("probe", Self::Probe)];
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
    /// The word of the file, the same for every tunnel.
    pub fn name(self) -> &'static str {
        match self {
            Self::Nat => "nat",
            Self::Direct => "direct",
            Self::Tunnel(_) => "tunnel",
        }
    }
}

impl TunnelChecksum {
    /// The word of the file.
    pub fn name(self) -> &'static str {
        word(self)
    }
}

impl StartPolicy {
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
