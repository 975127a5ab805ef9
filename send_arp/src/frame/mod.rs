//! The frames that announce an address, between typed values and bytes.
//!
//! In: a [`Frame`]; out: the octets that go on the wire, and back. Pure. Which addresses are announced, where and
//! how often is decided elsewhere. Nothing outside this folder knows `pnet_packet`.
//!
//! ```text
//!  0             6        12          14
//!  +-------------+--------+-----------+-------------------------------------------------+----------+
//!  | destination | source | EtherType | ARP packet (0806), or IPv6 packet (86dd) that   | zeroes   |
//!  |             |        |           | holds a neighbour advertisement                 | up to 60 |
//!  +-------------+--------+-----------+-------------------------------------------------+----------+
//! ```

mod advertisement;
mod arp;
#[cfg(test)]
mod tests;

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use pnet_packet::Packet;
use pnet_packet::ethernet::{EtherTypes, EthernetPacket, MutableEthernetPacket};
use thiserror::Error;

pub use self::advertisement::Advertisement;
pub use self::arp::{Arp, Operation};
use crate::mac::Mac;

/// Shortest Ethernet frame without its check sequence (IEEE 802.3 section 4A.4.2: minFrameSize 64, FCS 4).
pub const MIN_FRAME: usize = 60;
/// The group of all IPv6 nodes on the link, `ff02::1` (RFC 4291 section 2.7.1).
pub const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

const ETHERNET_HEADER: usize = 14;

/// One Ethernet frame that announces an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame {
    /// Ethernet destination.
    pub destination: Mac,
    /// Ethernet source; switches learn from it behind which port the announced station is.
    pub source: Mac,
    /// What the frame says.
    pub body: Body,
}

/// The packet inside a [`Frame`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Body {
    /// An ARP packet about an IPv4 address.
    Arp(Arp),
    /// A neighbour advertisement of an IPv6 address.
    Advertisement(Advertisement),
}

/// Why octets are not a [`Frame`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum FrameError {
    /// Fewer octets than the named header needs.
    #[error("{what} cut short: {found} octets where {needed} are needed")]
    Short {
        /// Which header or packet.
        what: &'static str,
        /// Octets present.
        found: usize,
        /// Octets needed.
        needed: usize,
    },
    /// A frame of another protocol.
    #[error("EtherType {0:#06x} is neither ARP (0x0806) nor IPv6 (0x86dd)")]
    EtherType(u16),
    /// ARP, but not for IPv4 addresses over Ethernet.
    #[error("ARP for other addresses than IPv4 over Ethernet")]
    NotIpv4OverEthernet,
    /// IPv6, but not directly followed by a neighbour advertisement.
    #[error("an IPv6 packet that is not a neighbour advertisement")]
    NotAdvertisement,
    /// The packet passed a router, so it cannot come from a neighbour.
    #[error("hop limit {0} where 255 is required")]
    HopLimit(u8),
    /// The ICMPv6 checksum does not match.
    #[error("ICMPv6 checksum {found:#06x} where {computed:#06x} is right")]
    Checksum {
        /// As in the packet.
        found: u16,
        /// As computed over it.
        computed: u16,
    },
    /// Options other than one target link-layer address.
    #[error("a neighbour advertisement with unknown or malformed options")]
    Options,
}

impl Frame {
    /// The address that the frame is about.
    #[must_use]
    pub fn address(&self) -> IpAddr {
        match &self.body {
            Body::Arp(arp) => arp.sender_ip.into(),
            Body::Advertisement(advertisement) => advertisement.target.into(),
        }
    }

    /// The octets of this frame, padded with zeroes to [`MIN_FRAME`]; without the frame check sequence, which the
    /// network card adds.
    #[must_use]
    pub fn emit(&self) -> Vec<u8> {
        let (ethertype, packet) = match &self.body {
            Body::Arp(arp) => (EtherTypes::Arp, arp.emit()),
            Body::Advertisement(advertisement) => (EtherTypes::Ipv6, advertisement.emit()),
        };
        let mut bytes = vec![0; MIN_FRAME.max(ETHERNET_HEADER + packet.len())];
        let mut ethernet = MutableEthernetPacket::new(&mut bytes).expect("at least 60 octets were reserved");
        ethernet.set_destination(self.destination.0.into());
        ethernet.set_source(self.source.0.into());
        ethernet.set_ethertype(ethertype);
        ethernet.set_payload(&packet);
        bytes
    }

    /// Reads a frame as captured: with or without padding, without the frame check sequence.
    ///
    /// # Errors
    /// [`FrameError`] says what the octets are instead of an ARP packet or a neighbour advertisement.
    pub fn parse(bytes: &[u8]) -> Result<Self, FrameError> {
        let ethernet =
            EthernetPacket::new(bytes).ok_or_else(|| short("Ethernet header", bytes, ETHERNET_HEADER))?;
        let body = match ethernet.get_ethertype() {
            EtherTypes::Arp => Body::Arp(Arp::parse(ethernet.payload())?),
            EtherTypes::Ipv6 => Body::Advertisement(Advertisement::parse(ethernet.payload())?),
            other => return Err(FrameError::EtherType(other.0)),
        };
        Ok(Frame {
            destination: Mac(ethernet.get_destination().octets()),
            source: Mac(ethernet.get_source().octets()),
            body,
        })
    }
}

fn short(what: &'static str, bytes: &[u8], needed: usize) -> FrameError {
    FrameError::Short { what, found: bytes.len(), needed }
}

impl fmt::Display for Frame {
    /// One line for people, in the words of tcpdump.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} > {} ", self.source, self.destination)?;
        match &self.body {
            Body::Arp(arp) => arp.fmt(f),
            Body::Advertisement(advertisement) => advertisement.fmt(f),
        }
    }
}
