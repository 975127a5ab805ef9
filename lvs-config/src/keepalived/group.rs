//! What a virtual server stands for: an address and port, a firewall mark, or a group of them.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::notes::Notes;
use super::tree::Node;
use super::{MAX_SERVICES, values};
use crate::names::Family;

/// One service of the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Target {
    /// Of an address and a port.
    Address(IpAddr, u16),
    /// Of a firewall mark, and of a family where that is said.
    Mark(u32, Option<Family>),
}

/// The groups of a file by their names.
pub(super) type Groups = HashMap<String, Vec<Target>>;

/// Reads every group among `nodes`.
pub(super) fn groups(nodes: &[Node], notes: &mut Notes) -> Groups {
    let mut groups = Groups::new();
    for node in nodes.iter().filter(|node| node.keyword() == "virtual_server_group") {
        let targets: Vec<Target> = node.nodes.iter().flat_map(|line| line_of_group(line, notes)).collect();
        let name = node.argument().unwrap_or_default().to_owned();
        if groups.insert(name, targets).is_some() {
            notes.leave(node.place, &node.words, "a second group of this name takes the place of the first");
        }
    }
    groups
}

fn line_of_group(line: &Node, notes: &mut Notes) -> Vec<Target> {
    if line.keyword() == "fwmark" {
        let family = line.words.get(2).and_then(|word| family(word));
        let mark = line.argument().and_then(|text| text.parse().ok()).filter(|mark| *mark > 0);
        let found = mark.map(|mark| Target::Mark(mark, family));
        if found.is_none() {
            notes.leave(line.place, &line.words, "not a firewall mark");
        }
        return found.into_iter().collect();
    }
    let Some(port) = line.argument().and_then(port) else {
        notes.leave(
            line.place,
            &line.words,
            "a service needs a port from 1 to 65535; all ports need a `fwmark`",
        );
        return Vec::new();
    };
    match range(line.keyword()) {
        Some(addresses) => addresses.into_iter().map(|address| Target::Address(address, port)).collect(),
        None => {
            let why = format!("not an address or a range of at most {MAX_SERVICES}");
            notes.leave(line.place, &line.words, &why);
            Vec::new()
        }
    }
}

/// What the words after `virtual_server` stand for; `None` is noted.
pub(super) fn targets(node: &Node, groups: &Groups, notes: &mut Notes) -> Vec<Target> {
    let found = match node.arguments() {
        [word, name, ..] if word == "group" => groups.get(name).cloned(),
        [word, mark, ..] if word == "fwmark" => {
            let mark = mark.parse().ok().filter(|mark| *mark > 0);
            mark.map(|mark| vec![Target::Mark(mark, None)])
        }
        [address, number, ..] => {
            let target = address.parse().ok().zip(port(number));
            target.map(|(address, port)| vec![Target::Address(address, port)])
        }
        _ => None,
    };
    found.filter(|targets| !targets.is_empty()).unwrap_or_else(|| {
        let why = "not an address and port from 1 to 65535, a firewall mark or a group; for all ports use a `fwmark`";
        notes.leave(node.place, &node.words, why);
        Vec::new()
    })
}

/// `inet` or `inet6`.
pub(super) fn family(word: &str) -> Option<Family> {
    match word {
        "inet" => Some(Family::V4),
        "inet6" => Some(Family::V6),
        _ => None,
    }
}

/// A port by number.
pub(super) fn port(text: &str) -> Option<u16> {
    text.parse().ok().filter(|port| *port > 0)
}

/// The addresses of `A`, `A-LAST`, `A-B` or `A/LENGTH`, both ends included.
fn range(text: &str) -> Option<Vec<IpAddr>> {
    if let Some((address, length)) = values::prefixed(text).filter(|_| text.contains('/')) {
        let (bits, number) = as_number(address);
        let host_bits = u32::from(bits - length);
        let mask = if host_bits >= 128 { u128::MAX } else { (1_u128 << host_bits) - 1 };
        return span(address, number & !mask, number | mask);
    }
    let Some((first, last)) = text.split_once('-') else {
        return text.parse().ok().map(|address| vec![address]);
    };
    let first: IpAddr = first.parse().ok()?;
    let (_, start) = as_number(first);
    let end = match (first, last.parse::<IpAddr>()) {
        (IpAddr::V4(_), Ok(end @ IpAddr::V4(_))) | (IpAddr::V6(_), Ok(end @ IpAddr::V6(_))) => {
            as_number(end).1
        }
        (IpAddr::V4(_), Err(_)) => (start & !0xff) | u128::from(last.parse::<u8>().ok()?),
        (IpAddr::V6(_), Err(_)) => (start & !0xffff) | u128::from(u16::from_str_radix(last, 16).ok()?),
        _ => return None,
    };
    span(first, start, end)
}

fn as_number(address: IpAddr) -> (u8, u128) {
    match address {
        IpAddr::V4(address) => (32, u128::from(u32::from(address))),
        IpAddr::V6(address) => (128, u128::from(address)),
    }
}

/// The addresses of the family of `like` from `start` to `end`; `None` when there are none, or too many.
fn span(like: IpAddr, start: u128, end: u128) -> Option<Vec<IpAddr>> {
    let count = end.checked_sub(start)?.checked_add(1)?;
    if count > MAX_SERVICES as u128 {
        return None;
    }
    let address = |number: u128| match like {
        IpAddr::V4(_) => u32::try_from(number).ok().map(|number| IpAddr::V4(Ipv4Addr::from(number))),
        IpAddr::V6(_) => Some(IpAddr::V6(Ipv6Addr::from(number))),
    };
    (start..=end).map(address).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str) -> Option<Vec<String>> {
        Some(range(text)?.into_iter().map(|address| address.to_string()).collect())
    }

    #[test]
    fn ranges_have_both_their_ends() {
        assert_eq!(texts("192.0.2.1").unwrap(), ["192.0.2.1"]);
        assert_eq!(texts("192.0.2.9-11").unwrap(), ["192.0.2.9", "192.0.2.10", "192.0.2.11"]);
        assert_eq!(texts("192.0.2.255-192.0.3.0").unwrap(), ["192.0.2.255", "192.0.3.0"]);
        assert_eq!(texts("192.0.2.8/30").unwrap(), ["192.0.2.8", "192.0.2.9", "192.0.2.10", "192.0.2.11"]);
        assert_eq!(texts("2001:db8::9-b").unwrap(), ["2001:db8::9", "2001:db8::a", "2001:db8::b"]);
        for bad in [
            "192.0.2.9-8",
            "192.0.2.1-300",
            "::/0",
            "0.0.0.0/1",
            "x",
            "192.0.2.1-2001:db8::1",
            "192.0.2.0/33",
        ] {
            assert_eq!(texts(bad), None, "{bad}");
        }
    }
}
