//! IP packets: who sends them to whom, what they carry, and the packet that a tunnel carries.
//!
//! Tunnels are those that IPVS speaks: IP in IP (protocols 4 and 41), GRE (RFC 2784) and GUE on its registered UDP
//! port. Reading only; checksums are not verified, and a fragment is not read at all, as it lacks what is asked for here.

use std::net::{IpAddr, SocketAddr};

use pnet_packet::{
    Packet as _,
    ethernet::EtherTypes,
    gre::GrePacket,
    icmp::{
        IcmpTypes,
        destination_unreachable::{DestinationUnreachablePacket, IcmpCodes},
    },
    icmpv6::{Icmpv6Packet, Icmpv6Types},
    ip::{IpNextHeaderProtocol, IpNextHeaderProtocols},
    ipv4::Ipv4Packet,
    ipv6::Ipv6Packet,
    udp::UdpPacket,
};

/// UDP port of GUE (IANA service name `gue`).
pub const GUE_PORT: u16 = 6080;

/// GUE: the bits of the first octet that hold the length of the optional fields, in words of four octets.
const GUE_LENGTH: u8 = 0x1f;
/// GUE: the bits of the first octet that tell version and control messages; zero for data of version 0.
const GUE_VERSION_AND_CONTROL: u8 = 0xe0;
/// GUE: octets before the optional fields.
const GUE_HEADER: usize = 4;
/// GUE: octets of a word of the optional fields.
const GUE_WORD: usize = 4;
/// GUE as Linux speaks it (`net/gue.h`): the flag that says that private flags follow.
const GUE_PRIVATE: u16 = 0x0001;
/// The private flag of a remote checksum offload.
const GUE_REMOTE_CHECKSUM: u32 = 0x8000_0000;
/// RFC 768: octets of the header of UDP.
const UDP_HEADER: usize = 8;
/// RFC 8200: octets of the header of IPv6.
const IPV6_HEADER: usize = 40;

/// An IP packet of either version, its options and extensions left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet {
    /// Source.
    pub from: IpAddr,
    /// Destination.
    pub to: IpAddr,
    /// Time to live, or hop limit.
    pub ttl: u8,
    /// What it carries (IANA protocol number).
    pub protocol: u8,
    /// Octets of the whole packet by its header; more than were captured where the frame was cut.
    pub length: usize,
    /// What was captured behind the header.
    pub payload: Vec<u8>,
}

/// How a packet carries another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tunnel {
    /// As its payload: protocol 4 for IPv4, 41 for IPv6.
    Ipip,
    /// Behind a header of GRE (protocol 47).
    Gre {
        /// Its checksum, where it has one.
        checksum: Option<u16>,
    },
    /// Behind headers of UDP and GUE.
    Gue {
        /// The checksum of UDP; zero is none.
        checksum: u16,
        /// Whether the receiver is asked to fill in the checksum of what is carried.
        remote_checksum: bool,
    },
}

/// A router's word that a packet is too big for the next hop (RFC 1191, RFC 4443).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TooBig {
    /// The most octets that would pass.
    pub mtu: u32,
    /// The destination of the packet in question.
    pub about: IpAddr,
}

impl Packet {
    /// Reads a packet from its first octet on; what follows it is left out.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        match bytes.first()? >> 4 {
            4 => Self::read_v4(bytes),
            6 => Self::read_v6(bytes),
            _ => None,
        }
    }

    fn read_v4(bytes: &[u8]) -> Option<Self> {
        let packet = Ipv4Packet::new(bytes)?;
        let more_fragments = packet.get_flags() & 1 != 0;
        if packet.get_fragment_offset() != 0 || more_fragments {
            return None;
        }
        let (header, length) =
            (usize::from(packet.get_header_length()) * 4, usize::from(packet.get_total_length()));
        Some(Self {
            from: packet.get_source().into(),
            to: packet.get_destination().into(),
            ttl: packet.get_ttl(),
            protocol: packet.get_next_level_protocol().0,
            length,
            payload: bytes.get(header..length.min(bytes.len()))?.to_vec(),
        })
    }

    fn read_v6(bytes: &[u8]) -> Option<Self> {
        let packet = Ipv6Packet::new(bytes)?;
        let length = IPV6_HEADER + usize::from(packet.get_payload_length());
        Some(Self {
            from: packet.get_source().into(),
            to: packet.get_destination().into(),
            ttl: packet.get_hop_limit(),
            protocol: packet.get_next_header().0,
            length,
            payload: bytes.get(IPV6_HEADER..length.min(bytes.len()))?.to_vec(),
        })
    }

    /// Source and destination with their ports, if it carries TCP, UDP or SCTP; they begin alike.
    pub fn ends(&self) -> Option<(SocketAddr, SocketAddr)> {
        let with_ports =
            [IpNextHeaderProtocols::Tcp, IpNextHeaderProtocols::Udp, IpNextHeaderProtocols::Sctp];
        if !with_ports.contains(&self.carries()) {
            return None;
        }
        let port = |at: usize| Some(u16::from_be_bytes(self.payload.get(at..at + 2)?.try_into().ok()?));
        Some((SocketAddr::new(self.from, port(0)?), SocketAddr::new(self.to, port(2)?)))
    }

    /// The packet that it carries, and how.
    pub fn inside(&self) -> Option<(Tunnel, Self)> {
        match self.carries() {
            IpNextHeaderProtocols::Ipv4 | IpNextHeaderProtocols::Ipv6 => {
                let inner = Self::read(&self.payload)
                    .filter(|inner| inner.number_when_carried() == self.carries())?;
                Some((Tunnel::Ipip, inner))
            }
            IpNextHeaderProtocols::Gre => self.inside_gre(),
            IpNextHeaderProtocols::Udp => self.inside_gue(),
            _ => None,
        }
    }

    fn inside_gre(&self) -> Option<(Tunnel, Self)> {
        // Source routing is what the reader of GRE cannot do.
        let packet = GrePacket::new(&self.payload).filter(|packet| packet.get_routing_present() == 0)?;
        let inner = Self::read(packet.payload())?;
        let named = if inner.from.is_ipv4() { EtherTypes::Ipv4 } else { EtherTypes::Ipv6 };
        (packet.get_protocol_type() == named.0).then_some(())?;
        let checksum = packet.get_checksum_raw().first_chunk().map(|octets| u16::from_be_bytes(*octets));
        Some((Tunnel::Gre { checksum }, inner))
    }

    fn inside_gue(&self) -> Option<(Tunnel, Self)> {
        let datagram = UdpPacket::new(&self.payload).filter(|udp| udp.get_destination() == GUE_PORT)?;
        let message = self.payload.get(UDP_HEADER..)?;
        let [first, carried, flags @ ..] = *message.first_chunk::<GUE_HEADER>()?;
        if first & GUE_VERSION_AND_CONTROL != 0 {
            return None;
        }
        let optional = usize::from(first & GUE_LENGTH) * GUE_WORD;
        let (fields, inner) = message.get(GUE_HEADER..)?.split_at_checked(optional)?;
        let private = match u16::from_be_bytes(flags) & GUE_PRIVATE {
            0 => 0,
            _ => u32::from_be_bytes(*fields.first_chunk()?),
        };
        let remote_checksum = private & GUE_REMOTE_CHECKSUM != 0;
        let inner = Self::read(inner).filter(|inner| inner.number_when_carried().0 == carried)?;
        Some((Tunnel::Gue { checksum: datagram.get_checksum(), remote_checksum }, inner))
    }

    /// The word that a packet was too big, if it is one.
    pub fn too_big(&self) -> Option<TooBig> {
        let quoted = |message: &[u8]| Self::read(message).map(|packet| packet.to);
        match self.carries() {
            IpNextHeaderProtocols::Icmp => {
                let message = DestinationUnreachablePacket::new(&self.payload)?;
                let is = message.get_icmp_type() == IcmpTypes::DestinationUnreachable
                    && message.get_icmp_code() == IcmpCodes::FragmentationRequiredAndDFFlagSet;
                is.then_some(())?;
                Some(TooBig { mtu: message.get_next_hop_mtu().into(), about: quoted(message.payload())? })
            }
            IpNextHeaderProtocols::Icmpv6 => {
                let message = Icmpv6Packet::new(&self.payload)?;
                (message.get_icmpv6_type() == Icmpv6Types::PacketTooBig).then_some(())?;
                let (mtu, packet) = message.payload().split_first_chunk()?;
                Some(TooBig { mtu: u32::from_be_bytes(*mtu), about: quoted(packet)? })
            }
            _ => None,
        }
    }

    fn carries(&self) -> IpNextHeaderProtocol {
        IpNextHeaderProtocol::new(self.protocol)
    }

    /// The protocol number by which a packet of its version is carried.
    fn number_when_carried(&self) -> IpNextHeaderProtocol {
        if self.from.is_ipv4() { IpNextHeaderProtocols::Ipv4 } else { IpNextHeaderProtocols::Ipv6 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(hex: &str) -> Vec<u8> {
        let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
        let octet =
            |pair| u8::from_str_radix(std::str::from_utf8(pair).expect("ascii"), 16).expect("two digits");
        digits.chunks(2).map(octet).collect()
    }

    /// UDP 10.1.0.2:1000 > 10.1.0.100:53 with the payload `cafe`, TTL 63; 30 octets.
    const QUESTION: &str = "45 00 001e 0000 4000 3f 11 0000 0a010002 0a010064  03e8 0035 000a 0000 cafe";
    /// UDP [fd00:1::2]:1000 > [fd00:1::100]:53 with the payload `cafe`, hop limit 63; 50 octets.
    const QUESTION6: &str = "60000000 000a 11 3f fd000001000000000000000000000002
        fd000001000000000000000000000100  03e8 0035 000a 0000 cafe";

    /// A packet from 10.2.0.11 to 10.2.0.101, TTL 64, of a protocol.
    fn outer(protocol: u8, payload: &str) -> Vec<u8> {
        let payload = bytes(payload);
        let length = u8::try_from(20 + payload.len()).expect("short");
        let header = format!("45 00 00{length:02x} 0000 4000 40 {protocol:02x} 0000 0a02000b 0a020065");
        [bytes(&header), payload].concat()
    }

    fn inside(protocol: u8, payload: &str) -> Option<(Tunnel, Packet)> {
        Packet::read(&outer(protocol, payload)).expect("a packet").inside()
    }

    #[test]
    fn both_versions_are_read_with_their_ends() {
        let question = Packet::read(&bytes(&format!("{QUESTION} 0000"))).expect("with padding");
        assert_eq!((question.ttl, question.protocol, question.length), (63, 17, 30));
        assert_eq!(question.payload, bytes("03e8 0035 000a 0000 cafe"));
        let ends = |from: &str, to: &str| Some((from.parse().expect("from"), to.parse().expect("to")));
        assert_eq!(question.ends(), ends("10.1.0.2:1000", "10.1.0.100:53"));
        let question = Packet::read(&bytes(QUESTION6)).expect("a packet");
        assert_eq!((question.ttl, question.protocol, question.length), (63, 17, 50));
        assert_eq!(question.ends(), ends("[fd00:1::2]:1000", "[fd00:1::100]:53"));
    }

    #[test]
    fn a_packet_is_found_in_each_tunnel() {
        let gre = |checksum| Tunnel::Gre { checksum };
        let gue = |checksum, remote_checksum| Tunnel::Gue { checksum, remote_checksum };
        for (protocol, header, carried, tunnel) in [
            (4, "", QUESTION, Tunnel::Ipip),
            (41, "", QUESTION6, Tunnel::Ipip),
            (47, "0000 0800", QUESTION, gre(None)),
            (47, "0000 86dd", QUESTION6, gre(None)),
            (47, "8000 0800 abcd 0000", QUESTION, gre(Some(0xabcd))),
            (17, "1234 17c0 002a 0000  00 04 0000", QUESTION, gue(0, false)),
            (17, "1234 17c0 002a beef  00 29 0000", QUESTION6, gue(0xbeef, false)),
            // Private flags and the two words of a remote checksum: start and offset.
            (17, "1234 17c0 0032 0000  02 04 0001 80000000 0014 001a", QUESTION, gue(0, true)),
        ] {
            let found = inside(protocol, &format!("{header} {carried}"));
            let expected = Packet::read(&bytes(carried)).expect("a packet");
            assert_eq!(found, Some((tunnel, expected)), "{header}");
        }
    }

    #[test]
    fn what_names_itself_otherwise_is_no_tunnel() {
        for (protocol, header, carried) in [
            (41, "", QUESTION),
            (47, "0000 86dd", QUESTION),
            (47, "4000 0800 0000 0000", QUESTION),
            (17, "1234 17c0 002a 0000  00 29 0000", QUESTION),
            (17, "1234 17c0 002a 0000  20 04 0000", QUESTION),
            (17, "1234 17c1 002a 0000  00 04 0000", QUESTION),
            (6, "", QUESTION),
        ] {
            assert_eq!(inside(protocol, &format!("{header} {carried}")), None, "{protocol} {header}");
        }
    }

    #[test]
    fn a_packet_too_big_is_told_with_the_room_there_is() {
        let about: IpAddr = "10.1.0.100".parse().expect("address");
        let message = Packet::read(&outer(1, &format!("03 04 0000 0000 05c8 {QUESTION}"))).expect("a packet");
        assert_eq!(message.too_big(), Some(TooBig { mtu: 1480, about }));
        let unreachable = Packet::read(&outer(1, &format!("03 03 0000 0000 0000 {QUESTION}"))).expect("one");
        assert_eq!(unreachable.too_big(), None);

        let header = "60000000 003a 3a 40 fd000001000000000000000000000011 fd000001000000000000000000000002";
        let message = bytes(&format!("{header} 02 00 0000 000005b4 {QUESTION6}"));
        let about: IpAddr = "fd00:1::100".parse().expect("address");
        assert_eq!(Packet::read(&message).expect("a packet").too_big(), Some(TooBig { mtu: 1460, about }));
    }

    #[test]
    fn fragments_and_packets_cut_short_are_nothing_or_less() {
        assert_eq!(Packet::read(&bytes(&QUESTION.replace("4000 3f", "2000 3f"))), None);
        assert_eq!(Packet::read(&bytes(&QUESTION.replace("4000 3f", "0001 3f"))), None);
        for (protocol, header) in
            [(4, ""), (47, "8000 0800 abcd 0000"), (17, "1234 17c0 0032 0000 02 04 0001 80000000 0014 001a")]
        {
            let whole = outer(protocol, &format!("{header} {QUESTION}"));
            for length in 0..whole.len() {
                let Some(cut) = Packet::read(&whole[..length]) else { continue };
                assert_eq!(cut.length, whole.len());
                let inner = cut.inside().map(|(_, inner)| inner.payload.len());
                assert!(inner.is_none_or(|kept| kept < 10), "{length} of {protocol}");
                assert_eq!((cut.too_big(), cut.ends().is_some()), (None, protocol == 17 && length >= 24));
            }
        }
    }
}
