//! What of a configuration the kernel's settings depend on: a few facts, however many servers there are.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

use lvs_config::Config;
use lvs_config::model::{Forwarding, Protocol};
use lvs_config::sysctl::Sysctls;

/// What a configuration asks of the kernel's settings.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Needs {
    /// One IPv4 real server with `network = nat` of each network of 256 addresses: those of one such network are behind
    /// one interface.
    pub nat_ipv4: BTreeSet<IpAddr>,
    /// Whether an IPv6 real server is served by NAT.
    pub nat_ipv6: bool,
    /// Whether a virtual server is persistent.
    pub persistence: bool,
    /// Whether something is served and all of it is UDP.
    pub only_udp: bool,
    /// What the file says of single settings.
    pub chosen: Sysctls,
}

impl Needs {
    /// What `config` asks.
    #[must_use]
    pub fn of(config: &Config) -> Self {
        let mut needs = Self { chosen: config.sysctls.clone(), ..Self::default() };
        let mut others = false;
        for virtual_server in config.active_virtual_servers() {
            needs.persistence |= virtual_server.persistence.is_some();
            let is_udp = virtual_server.protocol == Protocol::Udp && virtual_server.fwmark.is_none();
            needs.only_udp |= is_udp;
            others |= !is_udp;
            let servers = virtual_server.active_servers().map(|server| (server.address, server.forwarding));
            let sorry = virtual_server.sorry_server.map(|sorry| (sorry.address, sorry.forwarding));
            for (address, _) in servers.chain(sorry).filter(|(_, method)| *method == Forwarding::Nat) {
                match address {
                    IpAddr::V4(address) => needs.add(address),
                    IpAddr::V6(_) => needs.nat_ipv6 = true,
                }
            }
        }
        needs.only_udp &= !others;
        needs
    }

    fn add(&mut self, address: Ipv4Addr) {
        let [a, b, c, _] = address.octets();
        let network = IpAddr::from([a, b, c, 0])..=IpAddr::from([a, b, c, 255]);
        if self.nat_ipv4.range(network).next().is_none() {
            self.nat_ipv4.insert(address.into());
        }
    }
}
