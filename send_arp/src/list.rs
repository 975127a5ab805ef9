//! What the caller asks to announce: addresses on the command line or a list, one announcement per line.
//!
//! ```text
//! # address        device   MAC address         text after `#` is a comment
//! 10.1.0.100       eth0:1
//! 2001:db8::100    eth0     00:16:3e:12:34:56
//! 10.2.0.1
//! ```
//!
//! Decides what a line may say and reports every line that says something else. Whether a device exists, and which
//! one an address without a device belongs to, is decided by [`plan`](crate::plan).

use std::fmt;
use std::net::IpAddr;

use thiserror::Error;

use crate::mac::{Mac, MacError};

/// Most octets of a list: room for 60,000 addresses with device and MAC address.
pub const MAX_LIST: u64 = 4 << 20;
/// Most characters of an unusable word that a message repeats.
const MAX_QUOTE: usize = 60;

/// One address that the caller wants announced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Where the caller said so.
    pub origin: Origin,
    /// The address.
    pub address: IpAddr,
    /// The interface to announce it on, without alias label; `None` leaves the choice to the plan.
    pub device: Option<String>,
    /// The MAC address to announce it at; `None` means the interface's own.
    pub mac: Option<Mac>,
}

/// Where an [`Entry`] comes from, for messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Line of the list, counted from 1.
    Line(usize),
    /// An argument of the command line.
    CommandLine,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Line(number) => write!(f, "line {number}"),
            Origin::CommandLine => f.write_str("command line"),
        }
    }
}

/// Something that cannot be announced.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{origin}: {reason}")]
pub struct Problem<R: fmt::Display> {
    /// Which line or argument.
    pub origin: Origin,
    /// Why not.
    pub reason: R,
}

/// Why a line of the list is unusable.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LineError {
    /// The first word is not an address that can be announced.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// The second word cannot name a network interface.
    #[error("`{0}` is not a device name: 1 to 15 characters without `/`")]
    Device(String),
    /// The third word is not a MAC address.
    #[error(transparent)]
    Mac(#[from] MacError),
    /// The third word is a MAC address that no single station has.
    #[error("{0} is not the MAC address of a station: it is zero or a group address")]
    NotStation(Mac),
    /// There is a fourth word.
    #[error("`{0}` is one word too many: a line holds ADDRESS [DEVICE [MAC]]")]
    Surplus(String),
}

/// Why an address cannot be announced.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AddressError {
    /// Not an address at all.
    #[error("`{0}` is not an IPv4 or IPv6 address")]
    Syntax(String),
    /// An address, but not of one station on a LAN.
    #[error("{0} is {1}, which cannot be announced")]
    NotUnicast(IpAddr, &'static str),
}

/// Reads an address that one station on a LAN can own.
///
/// # Errors
/// [`AddressError`] when it is no address, or one of a group, of this host only, or of nobody.
pub fn parse_address(text: &str) -> Result<IpAddr, AddressError> {
    let address: IpAddr = text.parse().map_err(|_| AddressError::Syntax(quote(text)))?;
    let kind = match address {
        _ if address.is_unspecified() => "the unspecified address",
        _ if address.is_loopback() => "a loopback address",
        _ if address.is_multicast() => "a multicast address",
        IpAddr::V4(v4) if v4.is_broadcast() => "the broadcast address",
        IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some() => "an IPv4-mapped address",
        _ => return Ok(address),
    };
    Err(AddressError::NotUnicast(address, kind))
}

/// The interface behind an alias: `eth0` for `eth0:1`. Aliases only label addresses; frames leave by the interface.
#[must_use]
pub fn strip_alias(device: &str) -> &str {
    device.split_once(':').map_or(device, |(interface, _)| interface)
}

/// Reads a MAC address that one station can have.
///
/// # Errors
/// [`LineError::Mac`] when it is not written as one, [`LineError::NotStation`] when it is zero or a group address.
pub fn parse_station(text: &str) -> Result<Mac, LineError> {
    let mac: Mac = text.parse().map_err(|_| MacError(quote(text)))?;
    if mac.is_station() { Ok(mac) } else { Err(LineError::NotStation(mac)) }
}

/// Checks that a name can be a network interface's and strips its alias label.
///
/// # Errors
/// [`LineError::Device`] when Linux could not have an interface of that name (15 characters at most, no slash).
pub fn parse_device(text: &str) -> Result<String, LineError> {
    let interface = strip_alias(text);
    let plausible = (1..=15).contains(&interface.len())
        && !interface.chars().any(|c| c == '/' || c.is_whitespace() || c.is_control())
        && !matches!(interface, "." | "..");
    if plausible { Ok(interface.to_owned()) } else { Err(LineError::Device(quote(text))) }
}

/// Reads a whole list. Blank lines and text after `#` are skipped; every unusable line is reported and leaves the
/// others as they are.
#[must_use]
pub fn parse(text: &str) -> (Vec<Entry>, Vec<Problem<LineError>>) {
    let mut entries = Vec::new();
    let mut problems = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let origin = Origin::Line(number);
        match parse_line(origin, line) {
            Ok(entry) => entries.extend(entry),
            Err(reason) => problems.push(Problem { origin, reason }),
        }
    }
    (entries, problems)
}

fn parse_line(origin: Origin, line: &str) -> Result<Option<Entry>, LineError> {
    let content = line.split_once('#').map_or(line, |(content, _)| content);
    let mut words = content.split_whitespace();
    let Some(address) = words.next() else { return Ok(None) };
    let entry = Entry {
        origin,
        address: parse_address(address)?,
        device: words.next().map(parse_device).transpose()?,
        mac: words.next().map(parse_station).transpose()?,
    };
    match words.next() {
        Some(word) => Err(LineError::Surplus(quote(word))),
        None => Ok(Some(entry)),
    }
}

/// The text as a message may show it: printable and short.
fn quote(text: &str) -> String {
    text.chars().take(MAX_QUOTE).flat_map(char::escape_debug).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop_assert, proptest};

    use super::{Entry, Origin, parse, strip_alias};
    use crate::mac::Mac;

    fn complaints(text: &str) -> Vec<String> {
        parse(text).1.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_list_mixes_families_comments_aliases_and_line_ends() {
        let text =
            "# takeover\n\n10.1.0.100 eth0:1 # web\r\n2001:db8::64\teth1 00:16:3e:00:00:0b\n  10.2.0.1";
        let (entries, problems) = parse(text);
        assert_eq!(problems, []);
        assert_eq!(
            entries,
            [
                Entry {
                    origin: Origin::Line(3),
                    address: [10, 1, 0, 100].into(),
                    device: Some("eth0".into()),
                    mac: None
                },
                Entry {
                    origin: Origin::Line(4),
                    address: "2001:db8::64".parse().unwrap(),
                    device: Some("eth1".into()),
                    mac: Some(Mac([0x00, 0x16, 0x3e, 0x00, 0x00, 0x0b])),
                },
                Entry { origin: Origin::Line(5), address: [10, 2, 0, 1].into(), device: None, mac: None },
            ]
        );
    }

    #[test]
    fn unusable_lines_are_reported_by_number_and_the_rest_stands() {
        let text = "10.0.0.300\n10.0.0.3 eth0\n10.0.0.4 a/b\n10.0.0.5 eth0 12:34\n10.0.0.6 eth0 ff:ff:ff:ff:ff:ff\n\
                    10.0.0.7 eth0 001122334455 more\n10.0.0.8/24";
        assert_eq!(parse(text).0.len(), 1);
        assert_eq!(
            complaints(text),
            [
                "line 1: `10.0.0.300` is not an IPv4 or IPv6 address",
                "line 3: `a/b` is not a device name: 1 to 15 characters without `/`",
                "line 4: `12:34` is not a MAC address: six pairs of hexadecimal digits, such as 00:16:3e:12:34:56 or \
                 00163E123456",
                "line 5: ff:ff:ff:ff:ff:ff is not the MAC address of a station: it is zero or a group address",
                "line 6: `more` is one word too many: a line holds ADDRESS [DEVICE [MAC]]",
                "line 7: `10.0.0.8/24` is not an IPv4 or IPv6 address",
            ]
        );
    }

    #[test]
    fn only_unicast_addresses_are_announced() {
        assert_eq!(
            complaints("0.0.0.0\n127.0.0.1\n224.0.0.18\n255.255.255.255\n::\n::1\nff02::1\n::ffff:10.0.0.1"),
            [
                "line 1: 0.0.0.0 is the unspecified address, which cannot be announced",
                "line 2: 127.0.0.1 is a loopback address, which cannot be announced",
                "line 3: 224.0.0.18 is a multicast address, which cannot be announced",
                "line 4: 255.255.255.255 is the broadcast address, which cannot be announced",
                "line 5: :: is the unspecified address, which cannot be announced",
                "line 6: ::1 is a loopback address, which cannot be announced",
                "line 7: ff02::1 is a multicast address, which cannot be announced",
                "line 8: ::ffff:10.0.0.1 is an IPv4-mapped address, which cannot be announced",
            ]
        );
    }

    #[test]
    fn messages_stay_short_and_printable() {
        let complaint = complaints(&format!("\u{1b}[2J{}", "x".repeat(500))).remove(0);
        assert_eq!(
            complaint,
            format!("line 1: `\\u{{1b}}[2J{}` is not an IPv4 or IPv6 address", "x".repeat(56))
        );
    }

    #[test]
    fn an_alias_names_its_interface() {
        assert_eq!(strip_alias("eth0:1"), "eth0");
        assert_eq!(strip_alias("bond0.12:vip"), "bond0.12");
        assert_eq!(strip_alias("eth0"), "eth0");
    }

    proptest! {
        #[test]
        fn every_line_is_an_entry_a_problem_or_blank(text in "([0-9a-f:. #/\n]|\\PC){0,200}") {
            let (entries, problems) = parse(&text);
            prop_assert!(entries.len() + problems.len() <= text.lines().count());
        }
    }
}
