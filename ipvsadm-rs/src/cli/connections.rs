//! `/proc/net/ip_vs_conn` to the listing of connections, and to one by one for others.
//!
//! Generic netlink does not carry connections, so like the original this reads the kernel's text table:
//!
//! ```text
//! TCP 0A010002 9756 0A010064 0050 0A02000C 0050 TIME_WAIT       118 [engine data]
//! ```
//! Addresses are in hexadecimal (IPv4) or in full (IPv6), ports in hexadecimal, the last number is seconds.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::names::Names;
use super::render::Named;
use crate::model::Protocol;
use crate::request::line::Spelling;

/// One connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Connection<'a> {
    pub(super) protocol: &'a str,
    pub(super) client: (IpAddr, u16),
    pub(super) service: (IpAddr, u16),
    pub(super) destination: (IpAddr, u16),
    pub(super) state: &'a str,
    /// Until it is forgotten.
    pub(super) seconds: u32,
    /// Name and data of the persistence engine.
    pub(super) engine: Option<(&'a str, &'a str)>,
}

/// The connections, from the content of the kernel's table. Lines that cannot be read are left out.
pub(super) fn all(table: &str) -> impl Iterator<Item = Connection<'_>> {
    table.lines().skip(1).filter_map(read)
}

/// The listing, from the content of the kernel's table.
#[must_use]
pub fn listing(table: &str, engines: bool, names: &dyn Names) -> String {
    let mut text = "IPVS connection entries\n".to_owned();
    // Writing to a String cannot fail.
    let (state, source, service, destination) = ("state", "source", "virtual", "destination");
    let _ = write!(text, "pro expire {state:<11} {source:<18} {service:<18} ");
    let _ = match engines {
        true => writeln!(text, "{destination:<18} {:<16} pe_data", "pe name"),
        false => writeln!(text, "{destination}"),
    };
    for connection in all(table) {
        write_line(&mut text, &connection, engines, names);
    }
    text
}

fn write_line(text: &mut String, connection: &Connection<'_>, engines: bool, names: &dyn Names) {
    let protocol = match connection.protocol {
        "TCP" => Some(Protocol::Tcp),
        "UDP" => Some(Protocol::Udp),
        "SCTP" => Some(Protocol::Sctp),
        _ => None,
    };
    let name = |(address, port)| {
        let mut name = String::new();
        Named(names).endpoint(&mut name, address, port, protocol);
        name
    };
    let Connection { protocol, client, service, destination, state, seconds, engine } = connection;
    let expire = format!("{:02}:{:02}", seconds / 60, seconds % 60);
    let (client, service, destination) = (name(*client), name(*service), name(*destination));
    let _ = write!(text, "{protocol:<3} {expire:<6} {state:<11} {client:<18} {service:<18} ");
    let _ = match engine.filter(|_| engines) {
        Some((engine, data)) => writeln!(text, "{destination:<16} {engine:<18} {data}"),
        None => writeln!(text, "{destination}"),
    };
}

fn read(line: &str) -> Option<Connection<'_>> {
    let mut words = line.split_whitespace();
    let endpoint = |words: &mut std::str::SplitWhitespace<'_>| {
        Some((address(words.next()?)?, u16::from_str_radix(words.next()?, 16).ok()?))
    };
    Some(Connection {
        protocol: words.next()?,
        client: endpoint(&mut words)?,
        service: endpoint(&mut words)?,
        destination: endpoint(&mut words)?,
        state: words.next()?,
        seconds: words.next()?.parse().ok()?,
        engine: words.next().zip(words.next()),
    })
}

fn address(word: &str) -> Option<IpAddr> {
    if word.contains(':') {
        return word.trim_matches(['[', ']']).parse::<Ipv6Addr>().ok().map(IpAddr::V6);
    }
    u32::from_str_radix(word, 16).ok().map(|bits| Ipv4Addr::from_bits(bits).into())
}

#[cfg(test)]
mod tests {
    use super::super::names::Numeric;
    use super::*;

    /// As Linux 7.2 wrote it after some requests to a NAT service with persistence.
    const TABLE: &str = "\
Pro FromIP   FPrt ToIP     TPrt DestIP   DPrt State       Expires PEName PEData
TCP 0A010002 9756 0A010064 0050 0A02000C 0050 TIME_WAIT       118
TCP 0A010000 0000 0A010064 0050 0A02000B 0050 ASSURED         359
TCP 0A010002 9776 0A010064 0050 0A02000B 0050 ESTABLISHED     899
";

    #[test]
    fn connections_are_listed_as_by_the_original() {
        assert_eq!(
            listing(TABLE, false, &Numeric),
            "IPVS connection entries\n\
             pro expire state       source             virtual            destination\n\
             TCP 01:58  TIME_WAIT   10.1.0.2:38742     10.1.0.100:80      10.2.0.12:80\n\
             TCP 05:59  ASSURED     10.1.0.0:0         10.1.0.100:80      10.2.0.11:80\n\
             TCP 14:59  ESTABLISHED 10.1.0.2:38774     10.1.0.100:80      10.2.0.11:80\n"
        );
    }

    #[test]
    fn the_data_of_an_engine_is_shown_when_asked_for() {
        let line = "UDP 0A010002 13C4 0A010064 13C4 0A02000C 13C4 UDP  50 sip 1234@host";
        let table = format!("Pro\n{line}\nbroken line\n");
        let listed = listing(&table, true, &Numeric);
        assert_eq!(
            listed.lines().skip(1).collect::<Vec<_>>(),
            [
                "pro expire state       source             virtual            destination        pe name          pe_data",
                "UDP 00:50  UDP         10.1.0.2:5060      10.1.0.100:5060    10.2.0.12:5060   sip                1234@host",
            ]
        );
    }

    #[test]
    fn an_ipv6_connection_is_read_in_full_notation() {
        let word = "2001:0db8:0000:0000:0000:0000:0000:0009";
        assert_eq!(address(word), Some("2001:db8::9".parse().unwrap()));
        assert_eq!(address("[2001:0db8:0000:0000:0000:0000:0000:0009]"), address(word));
        assert_eq!(address("xyz"), None);
    }
}
