//! The list of the services that are ours, as text: one service a line, as `ipvsadm` names it.
//!
//! ```text
//! -t 10.1.0.100:80
//! -u [2001:db8::1]:53
//! -f 80
//! -f 80 -6
//! ```
//!
//! Strict, because whatever it says is removed from the kernel: a line counts only if it is written exactly as
//! [`render`] would write it, and its end has to be there. Where the text is kept is not decided here.

use std::collections::BTreeSet;
use std::fmt;
use std::net::SocketAddr;

use ipvsadm::{Family, Protocol, ServiceId};

/// Most bytes of a list that are read, room for some 20 000 services; what follows is left out.
pub const MAX_BYTES: usize = 1 << 20;
/// Most characters of a bad line that are repeated in its complaint.
const QUOTED: usize = 60;

/// A line that names no service and is left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadLine {
    /// Its number, from 1.
    pub number: usize,
    /// How it begins.
    pub text: String,
}

impl fmt::Display for BadLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { number, text } = self;
        write!(f, "line {number}: {text:?} names no service; such as \"-t 10.1.0.100:80\" is allowed")
    }
}

/// The services that `text` lists, and the lines that list none.
#[must_use]
pub fn parse(text: &[u8]) -> (BTreeSet<ServiceId>, Vec<BadLine>) {
    let text = String::from_utf8_lossy(text.get(..MAX_BYTES).unwrap_or(text));
    let (mut services, mut bad) = (BTreeSet::new(), Vec::new());
    for (line, number) in text.split_inclusive('\n').zip(1..) {
        // Without its end a line may be the beginning of another service's.
        match line.strip_suffix('\n').and_then(service) {
            Some(id) => drop(services.insert(id)),
            None => bad.push(BadLine { number, text: line.trim_end().chars().take(QUOTED).collect() }),
        }
    }
    (services, bad)
}

/// The text that lists `services`.
#[must_use]
pub fn render(services: &BTreeSet<ServiceId>) -> String {
    services.iter().filter_map(words).map(|line| line + "\n").collect()
}

/// The service that a line without its end names.
pub(crate) fn service(line: &str) -> Option<ServiceId> {
    let (option, rest) = line.split_once(' ')?;
    let address = |protocol| {
        let to: SocketAddr = rest.parse().ok()?;
        Some(ServiceId::Address { protocol, address: to.ip(), port: to.port() })
    };
    let id = match option {
        "-t" => address(Protocol::Tcp),
        "-u" => address(Protocol::Udp),
        "--sctp-service" => address(Protocol::Sctp),
        "-f" => {
            let (mark, family) = match rest.strip_suffix(" -6") {
                Some(mark) => (mark, Family::V6),
                None => (rest, Family::V4),
            };
            Some(ServiceId::FwMark { mark: mark.parse().ok()?, family })
        }
        _ => None,
    };
    id.filter(|id| words(id).as_deref() == Some(line))
}

/// A service as `ipvsadm` names it; none of an unknown protocol, which this program never serves.
pub(crate) fn words(id: &ServiceId) -> Option<String> {
    match *id {
        ServiceId::Address { protocol, address, port } => {
            let option = match protocol {
                Protocol::Tcp => "-t",
                Protocol::Udp => "-u",
                Protocol::Sctp => "--sctp-service",
                Protocol::Other(_) => return None,
            };
            Some(format!("{option} {}", SocketAddr::new(address, port)))
        }
        ServiceId::FwMark { mark, family: Family::V4 } => Some(format!("-f {mark}")),
        ServiceId::FwMark { mark, family: Family::V6 } => Some(format!("-f {mark} -6")),
    }
}
