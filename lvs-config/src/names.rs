//! What reading a file needs of the world outside, which is passed in: names of hosts and services to numbers, and the
//! addresses of interfaces. Literal addresses and numbers never get here.

use std::net::{IpAddr, ToSocketAddrs as _};

use crate::interfaces::InterfaceAddress;
use crate::model::Protocol;

/// Address family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// The family of `address`.
    pub fn of(address: IpAddr) -> Self {
        if address.is_ipv4() { Self::V4 } else { Self::V6 }
    }
}

/// Resolves names that a configuration contains.
pub trait Names {
    /// The first address of `name` in the family `wanted`, else its first address of any; `None` when it has none.
    fn host(&self, name: &str, wanted: Family) -> Option<IpAddr>;

    /// Whether what [`Names::host`] says is the address that `name` had when it could last be resolved.
    fn is_of_old(&self, _name: &str, _wanted: Family) -> bool {
        false
    }

    /// The port of the service `name` for `protocol`, else for the other protocol; `None` when it is not known.
    fn service(&self, name: &str, protocol: Protocol) -> Option<u16>;

    /// The addresses of the interfaces of the machine that the file is for; none where that may be another machine.
    /// Nothing but warnings depends on them.
    fn interface_addresses(&self) -> Vec<InterfaceAddress> {
        Vec::new()
    }
}

/// The system's resolver (`getaddrinfo`) and services database (`/etc/services`).
///
/// A look-up of a host may wait for name servers as long as the system's resolver is configured to.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemNames;

impl Names for SystemNames {
    fn host(&self, name: &str, wanted: Family) -> Option<IpAddr> {
        let found: Vec<IpAddr> = (name, 0).to_socket_addrs().ok()?.map(|a| a.ip()).collect();
        found.iter().find(|a| Family::of(**a) == wanted).or(found.first()).copied()
    }

    fn service(&self, name: &str, protocol: Protocol) -> Option<u16> {
        service_in(&std::fs::read_to_string("/etc/services").ok()?, name, protocol)
    }
}

/// Looks `name` up in the text of a services database, services(5): `name port/protocol alias…  # comment`.
fn service_in(database: &str, name: &str, protocol: Protocol) -> Option<u16> {
    let mut other = None;
    for line in database.lines() {
        let mut words = line.split('#').next().unwrap_or_default().split_ascii_whitespace();
        let (Some(official), Some(target)) = (words.next(), words.next()) else { continue };
        if official != name && !words.any(|alias| alias == name) {
            continue;
        }
        let Some((port, kind)) = target.split_once('/') else { continue };
        let Ok(port) = port.parse() else { continue };
        if kind == protocol.name() {
            return Some(port);
        }
        if matches!(kind, "tcp" | "udp") {
            other.get_or_insert(port);
        }
    }
    other
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATABASE: &str = "# comment\nhttp 80/tcp www # web\ndomain\t53/tcp\ndomain\t53/udp\nsyslog 514/udp\nodd 7/sctp\nbad x/tcp\n";

    #[test]
    fn services_are_found_by_name_alias_and_protocol() {
        assert_eq!(service_in(DATABASE, "http", Protocol::Tcp), Some(80));
        assert_eq!(service_in(DATABASE, "www", Protocol::Tcp), Some(80));
        assert_eq!(service_in(DATABASE, "domain", Protocol::Udp), Some(53));
    }

    #[test]
    fn the_other_protocol_stands_in() {
        assert_eq!(service_in(DATABASE, "http", Protocol::Udp), Some(80));
        assert_eq!(service_in(DATABASE, "syslog", Protocol::Tcp), Some(514));
    }

    #[test]
    fn unknown_and_unusable_services_are_not_found() {
        for name in ["https", "odd", "bad", "web", ""] {
            assert_eq!(service_in(DATABASE, name, Protocol::Tcp), None, "{name}");
        }
    }

    #[test]
    fn the_system_knows_this_host() {
        let address = SystemNames.host("localhost", Family::V4).unwrap();
        assert!(address.is_loopback(), "{address}");
    }
}
