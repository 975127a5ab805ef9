//! `ping`: whether a machine answers an echo request of ICMP or ICMPv6.

use std::ops::RangeInclusive;

use crate::error::SpecError;
use crate::options::{About, Options};
use crate::words::Line;

pub(crate) const ABOUT: &str = "Sends one echo request (ICMP, or ICMPv6 to an IPv6 address) and waits for its answer. It says that the machine is \
     there, and nothing about a service. The kernel must allow such sockets to the group of the monitor: \
     `net.ipv4.ping_group_range`, which counts for IPv6 too. Where it does not, the state of the server stays as it is.";

/// Options of `ping`.
pub(crate) const OPTIONS: &[About] = &[About::once(
    "size",
    "BYTES",
    "`56`",
    "How many bytes follow the header of the request, from 16 to 65507.",
)];

/// Payloads of a request: the smallest leaves room for what tells an answer from others, the largest is IPv4's.
const SIZES: RangeInclusive<u16> = 16..=65_507;
/// The size that is usual, as with ping(8).
const USUAL: u16 = 56;

/// An echo request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ping {
    /// Bytes that follow the header of the request, from 16 to 65507.
    pub size: u16,
}

impl Ping {
    pub(crate) fn read(options: &Options<'_>) -> Result<Self, SpecError> {
        Ok(Self { size: options.number("size", SIZES)?.unwrap_or(USUAL) })
    }

    pub(crate) fn write(self, line: &mut Line) {
        line.word("ping");
        if self.size != USUAL {
            line.plain("size", self.size);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Check;

    #[test]
    fn a_size_is_what_a_request_can_hold() {
        let read = |text: &str| text.parse::<Check>().map_err(|error| error.to_string());
        for (text, size) in [("ping", 56), ("ping size=16", 16), ("ping size=65507", 65_507)] {
            let check = Check::Ping(Ping { size });
            assert_eq!(read(text), Ok(check.clone()));
            assert_eq!(check.to_string(), text);
        }
        let allowed = "allowed: a whole number from 16 to 65507";
        assert_eq!(read("ping size=15"), Err(format!("`size` is `15`; {allowed}")));
        assert_eq!(read("ping size=65508"), Err(format!("`size` is `65508`; {allowed}")));
        assert_eq!(read("ping port=7"), Err("`ping` has no option `port`; allowed: size".into()));
    }
}
