//! A destination: one real server behind a virtual service, and how packets get there.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU16;

use super::{Foreign, UnknownAttributes};

/// What identifies a destination within its service. Displayed as `10.2.0.11:80`, `[2001:db8::1]:80`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DestinationId {
    /// Address of the real server. Its family may differ from the service's for tunnelling only.
    pub address: IpAddr,
    /// Port on the real server; 0 for a firewall mark means the client's destination port. Direct routing
    /// and tunnelling cannot change the port, so it must equal the service's there.
    pub port: u16,
}

impl DestinationId {
    /// From an address and a port.
    #[must_use]
    pub fn new(address: IpAddr, port: u16) -> Self {
        Self { address, port }
    }
}

impl From<SocketAddr> for DestinationId {
    fn from(address: SocketAddr) -> Self {
        Self { address: address.ip(), port: address.port() }
    }
}

impl fmt::Display for DestinationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        SocketAddr::new(self.address, self.port).fmt(f)
    }
}

/// Forwarding method (`ip_vs.h: IP_VS_CONN_F_*`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Forward {
    /// Network address translation; replies must come back through the router.
    Masquerade,
    /// Delivered on the router itself. Not needed for that: the kernel delivers packets to an address of its own
    /// whatever the method is, and shows the one that was asked for.
    Local,
    /// Encapsulated and sent to the real server, which answers the client directly.
    Tunnel(Tunnel),
    /// Sent unchanged to the real server's MAC address; it answers the client directly.
    DirectRoute,
    /// Transparent cache bypass; the kernel's own, not for destinations.
    Bypass,
    /// A method of a newer kernel, by its number.
    Other(Foreign<u8>),
}

/// Encapsulation of [`Forward::Tunnel`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Tunnel {
    /// IP in IP.
    Ipip,
    /// Generic UDP encapsulation.
    Gue {
        /// UDP destination port.
        port: NonZeroU16,
        /// Checksum of the outer header.
        checksum: TunnelChecksum,
    },
    /// GRE.
    Gre {
        /// Whether the outer header has a checksum.
        checksum: bool,
    },
    /// An encapsulation of a newer kernel, or a known one with switches of a newer kernel, by its numbers.
    Other {
        /// Type, `IP_VS_CONN_F_TUNNEL_TYPE_*`.
        kind: u8,
        /// UDP destination port.
        port: u16,
        /// Switches, `IP_VS_TUNNEL_ENCAP_FLAG_*`.
        flags: Foreign<u16>,
    },
}

/// Checksum of a tunnel's outer header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum TunnelChecksum {
    /// None.
    #[default]
    None,
    /// Computed here.
    Checksum,
    /// Remote checksum offload (GUE only).
    Remote,
}

/// A destination as it is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Destination {
    /// Identity within its service; the rest can be changed with [`crate::Request::EditDestination`].
    pub id: DestinationId,
    /// Forwarding method.
    pub forward: Forward,
    /// Capacity relative to the others, 0 to 2,147,483,647; 0 quiesces: open connections live on, no new ones.
    pub weight: u32,
    /// No new connections above this many; 0 means no limit.
    pub upper_threshold: u32,
    /// New connections again below this many; 0 means three quarters of the upper one.
    pub lower_threshold: u32,
    /// What a newer kernel said beyond that.
    pub unknown: UnknownAttributes,
}

impl Destination {
    /// A destination of weight 1 without thresholds.
    #[must_use]
    pub fn new(id: DestinationId, forward: Forward) -> Self {
        Self {
            id,
            forward,
            weight: 1,
            upper_threshold: 0,
            lower_threshold: 0,
            unknown: UnknownAttributes::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_destination_id_is_displayed_with_brackets_for_ipv6() {
        let show = |text: &str| DestinationId::from(text.parse::<SocketAddr>().unwrap()).to_string();
        assert_eq!(show("10.2.0.11:80"), "10.2.0.11:80");
        assert_eq!(show("[2001:db8::1]:80"), "[2001:db8::1]:80");
    }
}
