//! Names of hosts and services: a seam, so that parsing and rendering stay pure, and the system's own.

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs};
use std::sync::OnceLock;

use crate::model::Protocol;

/// Turns names into numbers and back.
pub trait Names {
    /// The IPv4 address of a host, if it has one. (The original resolves no IPv6 names.)
    fn address(&self, host: &str) -> Option<Ipv4Addr>;
    /// The port of a service.
    fn port(&self, service: &str, protocol: Protocol) -> Option<u16>;
    /// The name of a host.
    fn host(&self, address: IpAddr) -> Option<String>;
    /// The name of a port.
    fn service(&self, port: u16, protocol: Protocol) -> Option<String>;
}

/// Knows no names: everything stays a number.
#[derive(Debug, Clone, Copy, Default)]
pub struct Numeric;

impl Names for Numeric {
    fn address(&self, _: &str) -> Option<Ipv4Addr> {
        None
    }

    fn port(&self, _: &str, _: Protocol) -> Option<u16> {
        None
    }

    fn host(&self, _: IpAddr) -> Option<String> {
        None
    }

    fn service(&self, _: u16, _: Protocol) -> Option<String> {
        None
    }
}

/// The system's resolver, and `/etc/services`, which is read when the first service name is needed.
///
/// An address is looked up once: real servers recur in service after service, and where no name server answers each
/// question takes seconds.
#[derive(Debug, Default)]
pub struct System {
    services: OnceLock<Services>,
    hosts: RefCell<HashMap<IpAddr, Option<String>>>,
}

impl System {
    fn services(&self) -> &Services {
        self.services.get_or_init(|| {
            // Without the file no service has a name, which is no reason to stop.
            Services::parse(&std::fs::read_to_string("/etc/services").unwrap_or_default())
        })
    }
}

impl Names for System {
    fn address(&self, host: &str) -> Option<Ipv4Addr> {
        (host, 0).to_socket_addrs().ok()?.find_map(|address| match address {
            SocketAddr::V4(address) => Some(*address.ip()),
            SocketAddr::V6(_) => None,
        })
    }

    fn port(&self, service: &str, protocol: Protocol) -> Option<u16> {
        self.services().ports.get(&(protocol_name(protocol)?.to_owned(), service.to_owned())).copied()
    }

    fn host(&self, address: IpAddr) -> Option<String> {
        let mut hosts = self.hosts.borrow_mut();
        hosts.entry(address).or_insert_with(|| dns_lookup::lookup_addr(&address).ok()).clone()
    }

    fn service(&self, port: u16, protocol: Protocol) -> Option<String> {
        self.services().names.get(&(protocol_name(protocol)?.to_owned(), port)).cloned()
    }
}

fn protocol_name(protocol: Protocol) -> Option<&'static str> {
    match protocol {
        Protocol::Tcp => Some("tcp"),
        Protocol::Udp => Some("udp"),
        Protocol::Sctp => Some("sctp"),
        Protocol::Other(_) => None,
    }
}

/// The content of a services file, services(5); the first of several entries wins.
#[derive(Debug, Default)]
struct Services {
    ports: HashMap<(String, String), u16>,
    names: HashMap<(String, u16), String>,
}

impl Services {
    fn parse(text: &str) -> Self {
        let mut into = Self::default();
        for line in text.lines() {
            let line = line.split('#').next().unwrap_or_default();
            let mut words = line.split_whitespace();
            let (Some(name), Some(number)) = (words.next(), words.next()) else { continue };
            let Some((port, protocol)) = number.split_once('/') else { continue };
            let Ok(port) = port.parse::<u16>() else { continue };
            into.names.entry((protocol.to_owned(), port)).or_insert_with(|| name.to_owned());
            for alias in std::iter::once(name).chain(words) {
                into.ports.entry((protocol.to_owned(), alias.to_owned())).or_insert(port);
            }
        }
        into
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_looked_up_once() {
        let system = System::default();
        let address = IpAddr::from([127, 0, 0, 1]);
        let found = system.host(address);
        assert_eq!(system.hosts.borrow().get(&address), Some(&found));
        system.hosts.borrow_mut().insert(address, Some("known".to_owned()));
        assert_eq!(system.host(address).as_deref(), Some("known"));
    }

    #[test]
    fn a_services_file_is_read_with_aliases_and_comments() {
        let text =
            "# services\nhttp 80/tcp www # WorldWideWeb\ndomain\t53/udp\nbroken\nbad x/tcp\nweb 80/tcp\n";
        let services = Services::parse(text);
        let key = |protocol: &str, name: &str| (protocol.to_owned(), name.to_owned());
        assert_eq!(services.ports.get(&key("tcp", "www")), Some(&80));
        assert_eq!(services.ports.get(&key("tcp", "web")), Some(&80));
        assert_eq!(services.ports.get(&key("tcp", "domain")), None);
        assert_eq!(services.names.get(&("tcp".to_owned(), 80)).unwrap(), "http");
        assert_eq!(services.names.len(), 2);
    }
}
