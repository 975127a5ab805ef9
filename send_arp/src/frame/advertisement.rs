//! Neighbour advertisements (RFC 4861 section 4.4), between [`Advertisement`] and IPv6 packets.
//!
//! The message is drawn after the IPv6 header's 40 octets; the target link-layer address option begins at 24.
//!
//! ```text
//!  0     1     2          4       5          8                24   25   26      32
//!  +-----+-----+----------+-------+----------+----------------+----+----+-------+
//!  | 136 |  0  | checksum | R S O | reserved | target address | 2  | 1  |  MAC  |
//!  +-----+-----+----------+-------+----------+----------------+----+----+-------+
//! ```

use std::fmt;
use std::net::Ipv6Addr;

use pnet_packet::Packet;
use pnet_packet::icmpv6::ndp::{
    MutableNdpOptionPacket, MutableNeighborAdvertPacket, NdpOptionPacket, NdpOptionTypes,
    NeighborAdvertFlags, NeighborAdvertPacket,
};
use pnet_packet::icmpv6::{self, Icmpv6Code, Icmpv6Packet, Icmpv6Types};
use pnet_packet::ip::IpNextHeaderProtocols;
use pnet_packet::ipv6::{Ipv6Packet, MutableIpv6Packet};

use super::{FrameError, short};
use crate::mac::Mac;

const IPV6_HEADER: usize = 40;
const ADVERTISEMENT_LEN: usize = 24;
const OPTION_LEN: usize = 8;
/// Length of the link-layer address option in its own unit of eight octets (RFC 4861 section 4.6.1).
const OPTION_UNITS: u8 = 1;
/// A lower hop limit means that a router forwarded the packet; receivers drop it (RFC 4861 section 7.1.2).
const HOP_LIMIT: u8 = 255;

/// An ICMPv6 neighbour advertisement (RFC 4861 section 4.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Advertisement {
    /// IPv6 source of the packet.
    pub source_ip: Ipv6Addr,
    /// IPv6 destination of the packet.
    pub destination_ip: Ipv6Addr,
    /// The sender forwards packets. A host that sees it cleared stops using the sender as a default router.
    pub router: bool,
    /// The advertisement answers a solicitation.
    pub solicited: bool,
    /// Receivers shall replace the link-layer address that they have cached.
    pub override_cache: bool,
    /// The address that the packet is about.
    pub target: Ipv6Addr,
    /// Link-layer address of `target`, if the option is present.
    pub target_mac: Option<Mac>,
}

impl Advertisement {
    pub(super) fn emit(&self) -> Vec<u8> {
        let message = self.emit_message();
        let mut bytes = vec![0; IPV6_HEADER + message.len()];
        let mut packet = MutableIpv6Packet::new(&mut bytes).expect("an IPv6 header was reserved");
        packet.set_version(6);
        packet.set_payload_length(u16::try_from(message.len()).expect("32 octets at most"));
        packet.set_next_header(IpNextHeaderProtocols::Icmpv6);
        packet.set_hop_limit(HOP_LIMIT);
        packet.set_source(self.source_ip);
        packet.set_destination(self.destination_ip);
        packet.set_payload(&message);
        bytes
    }

    /// The ICMPv6 message with its option and its checksum.
    fn emit_message(&self) -> Vec<u8> {
        let mut bytes = vec![0; ADVERTISEMENT_LEN];
        if let Some(mac) = self.target_mac {
            let mut option = [0; OPTION_LEN];
            let mut packet = MutableNdpOptionPacket::new(&mut option).expect("8 octets were reserved");
            packet.set_option_type(NdpOptionTypes::TargetLLAddr);
            packet.set_length(OPTION_UNITS);
            packet.set_data(&mac.0);
            bytes.extend_from_slice(&option);
        }
        let mut packet = MutableNeighborAdvertPacket::new(&mut bytes).expect("24 octets were reserved");
        packet.set_icmpv6_type(Icmpv6Types::NeighborAdvert);
        packet.set_icmpv6_code(Icmpv6Code(0));
        packet.set_flags(self.flags());
        packet.set_target_addr(self.target);
        let checksum = checksum(packet.packet(), self.source_ip, self.destination_ip);
        packet.set_checksum(checksum);
        bytes
    }

    fn flags(&self) -> u8 {
        [
            (self.router, NeighborAdvertFlags::Router),
            (self.solicited, NeighborAdvertFlags::Solicited),
            (self.override_cache, NeighborAdvertFlags::Override),
        ]
        .into_iter()
        .filter_map(|(set, bit)| set.then_some(bit))
        .fold(0, |flags, bit| flags | bit)
    }

    pub(super) fn parse(bytes: &[u8]) -> Result<Self, FrameError> {
        let ip = Ipv6Packet::new(bytes).ok_or_else(|| short("IPv6 header", bytes, IPV6_HEADER))?;
        let length = usize::from(ip.get_payload_length());
        let message = bytes[IPV6_HEADER..]
            .get(..length)
            .ok_or_else(|| short("IPv6 packet", bytes, IPV6_HEADER + length))?;
        if ip.get_version() != 6
            || ip.get_next_header() != IpNextHeaderProtocols::Icmpv6
            || message.first() != Some(&Icmpv6Types::NeighborAdvert.0)
        {
            return Err(FrameError::NotAdvertisement);
        }
        let packet = NeighborAdvertPacket::new(message)
            .ok_or_else(|| short("neighbour advertisement", message, ADVERTISEMENT_LEN))?;
        if ip.get_hop_limit() != HOP_LIMIT {
            return Err(FrameError::HopLimit(ip.get_hop_limit()));
        }
        let (source_ip, destination_ip) = (ip.get_source(), ip.get_destination());
        let (found, computed) = (packet.get_checksum(), checksum(message, source_ip, destination_ip));
        if found != computed {
            return Err(FrameError::Checksum { found, computed });
        }
        let flags = packet.get_flags();
        Ok(Advertisement {
            source_ip,
            destination_ip,
            router: flags & NeighborAdvertFlags::Router != 0,
            solicited: flags & NeighborAdvertFlags::Solicited != 0,
            override_cache: flags & NeighborAdvertFlags::Override != 0,
            target: packet.get_target_addr(),
            target_mac: parse_option(&message[ADVERTISEMENT_LEN..])?,
        })
    }
}

/// Nothing, or exactly one target link-layer address option.
fn parse_option(bytes: &[u8]) -> Result<Option<Mac>, FrameError> {
    if bytes.is_empty() {
        return Ok(None);
    }
    let bytes: &[u8; OPTION_LEN] = bytes.try_into().map_err(|_| FrameError::Options)?;
    let option = NdpOptionPacket::new(bytes).ok_or(FrameError::Options)?;
    if (option.get_option_type(), option.get_length()) != (NdpOptionTypes::TargetLLAddr, OPTION_UNITS) {
        return Err(FrameError::Options);
    }
    let [_, _, mac @ ..] = *bytes;
    Ok(Some(Mac(mac)))
}

/// The ICMPv6 checksum over message and pseudo-header (RFC 4443 section 2.3), whatever its own field holds.
fn checksum(message: &[u8], source: Ipv6Addr, destination: Ipv6Addr) -> u16 {
    let packet = Icmpv6Packet::new(message).expect("callers pass at least 24 octets");
    icmpv6::checksum(&packet, &source, &destination)
}

impl fmt::Display for Advertisement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "neighbour advertisement {}", self.target)?;
        if let Some(mac) = self.target_mac {
            write!(f, " is-at {mac}")?;
        }
        for (set, word) in
            [(self.router, "router"), (self.solicited, "solicited"), (self.override_cache, "override")]
        {
            if set {
                write!(f, " {word}")?;
            }
        }
        Ok(())
    }
}
