//! Arithmetic of IPv4 networks: which addresses are in one, which are still free. Pure.

use std::{collections::BTreeSet, fmt, net::Ipv4Addr};

use serde::{Deserialize, Serialize};

/// Longest prefix of a network that has room for two hosts.
pub(crate) const LONGEST: u8 = 30;
/// Addresses looked at for a free one.
const LOOKS: usize = 4096;

/// An IPv4 network with room for hosts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Network {
    base: Ipv4Addr,
    prefix: u8,
}

impl Network {
    /// The network of a prefix length (at most [`LONGEST`]) that an address is in.
    pub(crate) fn of(address: Ipv4Addr, prefix: u8) -> Self {
        let prefix = prefix.min(LONGEST);
        Self { base: Ipv4Addr::from_bits(address.to_bits() & mask(prefix)), prefix }
    }

    /// The smallest network, of a prefix no longer than `longest`, in which all addresses can be hosts'.
    pub(crate) fn spanning(addresses: &[Ipv4Addr], longest: u8) -> Option<Self> {
        let first = *addresses.first()?;
        let fits = |network: &Self| addresses.iter().all(|address| network.has_host(*address));
        (0..=longest.min(LONGEST)).rev().map(|prefix| Self::of(first, prefix)).find(fits)
    }

    /// Its prefix length.
    pub(crate) fn prefix(self) -> u8 {
        self.prefix
    }

    /// Whether a host in it can have this address: neither the network's own nor the broadcast address.
    pub(crate) fn has_host(self, address: Ipv4Addr) -> bool {
        let host = address.to_bits() & !mask(self.prefix);
        Self::of(address, self.prefix) == self && host != 0 && host != !mask(self.prefix)
    }

    /// Whether the two have an address in common.
    pub(crate) fn overlaps(self, other: Self) -> bool {
        let prefix = self.prefix.min(other.prefix);
        Self::of(self.base, prefix) == Self::of(other.base, prefix)
    }

    /// Takes the highest address that nobody has.
    pub(crate) fn take_free(self, taken: &mut BTreeSet<Ipv4Addr>) -> Option<Ipv4Addr> {
        let last = (self.base.to_bits() | !mask(self.prefix)).saturating_sub(1);
        let candidates = (self.base.to_bits() + 1..=last).rev().take(LOOKS).map(Ipv4Addr::from_bits);
        let free = candidates.into_iter().find(|address| !taken.contains(address))?;
        taken.insert(free);
        Some(free)
    }

    /// An address with this network's prefix length, as `ip` wants it.
    pub(crate) fn cidr(self, address: Ipv4Addr) -> String {
        format!("{address}/{}", self.prefix)
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.base, self.prefix)
    }
}

fn mask(prefix: u8) -> u32 {
    u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> Ipv4Addr {
        text.parse().expect("an address")
    }

    #[test]
    fn a_network_knows_its_hosts() {
        let network = Network::of(ip("192.0.2.77"), 26);
        assert_eq!(network.to_string(), "192.0.2.64/26");
        let hosts = ["192.0.2.64", "192.0.2.65", "192.0.2.126", "192.0.2.127", "192.0.2.128"];
        assert_eq!(hosts.map(|host| network.has_host(ip(host))), [false, true, true, false, false]);
    }

    #[test]
    fn the_smallest_network_that_has_all_is_found() {
        let spanning = |list: &[&str], longest| {
            let list: Vec<_> = list.iter().map(|text| ip(text)).collect();
            Network::spanning(&list, longest).map(|network| network.to_string())
        };
        assert_eq!(spanning(&["172.16.0.1", "172.16.0.2"], 30).as_deref(), Some("172.16.0.0/30"));
        assert_eq!(spanning(&["172.16.0.1", "172.16.0.4"], 30).as_deref(), Some("172.16.0.0/29"));
        assert_eq!(spanning(&["10.0.0.1", "10.0.0.2"], 24).as_deref(), Some("10.0.0.0/24"));
        assert_eq!(spanning(&[], 24), None);
    }

    #[test]
    fn networks_overlap_when_one_is_in_the_other() {
        let wide = Network::of(ip("10.0.0.0"), 8);
        assert!(wide.overlaps(Network::of(ip("10.1.2.3"), 24)));
        assert!(!Network::of(ip("10.1.2.3"), 24).overlaps(Network::of(ip("10.1.3.3"), 24)));
    }

    #[test]
    fn free_addresses_come_from_the_end_and_end_with_the_network() {
        let network = Network::of(ip("192.0.2.0"), 29);
        let mut taken: BTreeSet<_> = ["192.0.2.6", "192.0.2.5"].map(ip).into();
        assert_eq!(network.take_free(&mut taken), Some(ip("192.0.2.4")));
        for _ in 1..=3 {
            assert!(network.take_free(&mut taken).is_some());
        }
        assert_eq!(network.take_free(&mut taken), None);
    }
}
