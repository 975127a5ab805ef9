//! The addresses that interfaces of this machine have: what the system says, and which network an address makes.
//!
//! What they mean for a configuration is decided in `lower/networks.rs`.

use std::fmt;
use std::net::IpAddr;

use nix::ifaddrs::getifaddrs;
use nix::net::if_::InterfaceFlags;
use nix::sys::socket::SockaddrStorage;

/// An address of an interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InterfaceAddress {
    /// The interface, without alias.
    pub interface: String,
    /// Its address.
    pub address: IpAddr,
    /// Prefix length of the network that the address is in.
    pub prefix: u8,
}

/// A network, displayed as `192.0.2.0/24`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Network {
    first: IpAddr,
    prefix: u8,
}

impl Network {
    /// The network of `address`; bits beyond `prefix` do not matter.
    pub(crate) fn of(address: IpAddr, prefix: u8) -> Self {
        let length = u32::from(prefix);
        let first = match address {
            IpAddr::V4(v4) => {
                let mask = u32::MAX.checked_shl(u32::BITS.saturating_sub(length)).unwrap_or(0);
                IpAddr::V4((v4.to_bits() & mask).into())
            }
            IpAddr::V6(v6) => {
                let mask = u128::MAX.checked_shl(u128::BITS.saturating_sub(length)).unwrap_or(0);
                IpAddr::V6((v6.to_bits() & mask).into())
            }
        };
        Self { first, prefix }
    }

    /// Whether `address` is in it.
    pub(crate) fn contains(self, address: IpAddr) -> bool {
        Self::of(address, self.prefix) == self
    }

    /// Whether it is one address only.
    pub(crate) fn is_host(self) -> bool {
        self.prefix >= if self.first.is_ipv4() { 32 } else { 128 }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first, self.prefix)
    }
}

/// The addresses of this machine's interfaces, those of loopback left out; none where the system does not tell them.
pub(crate) fn of_system() -> Vec<InterfaceAddress> {
    let Ok(found) = getifaddrs() else { return Vec::new() };
    let mut addresses = Vec::new();
    for one in found.filter(|one| !one.flags.contains(InterfaceFlags::IFF_LOOPBACK)) {
        let (Some(address), Some(mask)) = (ip(one.address.as_ref()), ip(one.netmask.as_ref())) else {
            continue;
        };
        let prefix = match mask {
            IpAddr::V4(v4) => v4.to_bits().leading_ones(),
            IpAddr::V6(v6) => v6.to_bits().leading_ones(),
        };
        let Ok(prefix) = u8::try_from(prefix) else { continue };
        // The C library names an IPv4 address after its label, `eth0:1`; the interface is before the colon.
        let interface = one.interface_name.split(':').next().unwrap_or_default().to_owned();
        addresses.push(InterfaceAddress { interface, address, prefix });
    }
    addresses
}

fn ip(address: Option<&SockaddrStorage>) -> Option<IpAddr> {
    let address = address?;
    let v4 = address.as_sockaddr_in().map(|v4| v4.ip().into());
    v4.or_else(|| address.as_sockaddr_in6().map(|v6| v6.ip().into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(address: &str, prefix: u8) -> Network {
        Network::of(address.parse().unwrap(), prefix)
    }

    #[test]
    fn a_network_is_shown_by_its_first_address() {
        for (address, prefix, shown) in [
            ("192.0.2.77", 24, "192.0.2.0/24"),
            ("10.1.255.9", 15, "10.0.0.0/15"),
            ("10.1.2.3", 0, "0.0.0.0/0"),
            ("10.1.2.3", 32, "10.1.2.3/32"),
            ("2001:db8:1:2:3::4", 64, "2001:db8:1:2::/64"),
            ("2001:db8::4", 0, "::/0"),
            ("2001:db8::4", 128, "2001:db8::4/128"),
        ] {
            assert_eq!(network(address, prefix).to_string(), shown);
        }
    }

    #[test]
    fn a_network_contains_what_begins_like_it_and_nothing_of_the_other_family() {
        let contains = |n: Network, address: &str| n.contains(address.parse().unwrap());
        let ours = network("192.0.2.1", 25);
        assert!(contains(ours, "192.0.2.127"));
        assert!(!contains(ours, "192.0.2.128"));
        assert!(!contains(ours, "::192.0.2.1"));
        assert!(contains(network("10.0.0.1", 0), "192.0.2.1"));
        assert!(!contains(network("10.0.0.1", 0), "2001:db8::1"));
    }

    #[test]
    fn only_a_full_prefix_is_a_host() {
        let hosts = [("192.0.2.1", 32), ("192.0.2.1", 31), ("2001:db8::1", 128), ("2001:db8::1", 32)];
        assert_eq!(
            hosts.map(|(address, prefix)| network(address, prefix).is_host()),
            [true, false, true, false]
        );
    }

    #[test]
    fn loopback_is_left_out_of_what_the_system_says() {
        for one in of_system() {
            assert!(!one.address.is_loopback() && !one.interface.contains(':'), "{one:?}");
            assert!(one.prefix <= if one.address.is_ipv4() { 32 } else { 128 }, "{one:?}");
        }
    }
}
