//! Ethernet frames seen on a wire, and what of them the scenarios assert on: ARP, UDP, IPv6 neighbour
//! advertisements; any other IP packet is a [`Packet`]. Reading only; a frame that is cut short or of another kind is
//! simply not one of these.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use crate::packet::Packet;

/// A hardware address.
pub type Mac = [u8; 6];

/// `linux/if_ether.h`: ETH_P_IP, ETH_P_ARP, ETH_P_IPV6.
const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPE_ARP: u16 = 0x0806;
const ETHERTYPE_IPV6: u16 = 0x86dd;
/// IANA protocol numbers.
const PROTOCOL_UDP: u8 = 17;
const PROTOCOL_ICMPV6: u8 = 58;
/// RFC 4861 section 4.4.
const NEIGHBOUR_ADVERTISEMENT: u8 = 136;
/// RFC 4861 section 4.4: the Override flag in the first byte of the flags.
const OVERRIDE: u8 = 0x20;

/// One captured frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// The kernel's time stamp, as time since the lab started.
    pub at: Duration,
    /// The frame from its destination address on.
    pub bytes: Vec<u8>,
}

/// An ARP message for IPv4 over Ethernet (RFC 826).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arp {
    /// Destination of the Ethernet frame.
    pub destination: Mac,
    /// 1 request, 2 reply.
    pub operation: u16,
    /// Sender hardware address.
    pub sender_mac: Mac,
    /// Sender protocol address.
    pub sender_ip: Ipv4Addr,
    /// Target hardware address.
    pub target_mac: Mac,
    /// Target protocol address.
    pub target_ip: Ipv4Addr,
}

impl Arp {
    /// Whether it announces its sender's own address (RFC 5227 section 3; both forms have sender = target).
    pub fn is_gratuitous(&self) -> bool {
        self.sender_ip == self.target_ip && !self.sender_ip.is_unspecified()
    }

    /// Whether it asks.
    pub fn is_request(&self) -> bool {
        self.operation == 1
    }

    /// Whether it answers.
    pub fn is_reply(&self) -> bool {
        self.operation == 2
    }
}

/// A UDP datagram (unfragmented).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Udp {
    /// Source address and port.
    pub from: SocketAddr,
    /// Destination address and port.
    pub to: SocketAddr,
    /// Time to live, or hop limit.
    pub ttl: u8,
    /// The payload.
    pub payload: Vec<u8>,
}

/// An IPv6 neighbour advertisement (RFC 4861 section 4.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NeighbourAdvertisement {
    /// Source of the packet.
    pub from: Ipv6Addr,
    /// Destination of the packet.
    pub to: Ipv6Addr,
    /// The address it is about.
    pub target: Ipv6Addr,
    /// The target link-layer address option, where there is one.
    pub mac: Option<Mac>,
    /// The Override flag: replace what you knew.
    pub overrides: bool,
    /// Source of the Ethernet frame.
    pub source_mac: Mac,
}

/// Bytes `from .. from + N`, if there.
fn field<const N: usize>(bytes: &[u8], from: usize) -> Option<[u8; N]> {
    bytes.get(from..from.checked_add(N)?)?.try_into().ok()
}

fn number(bytes: &[u8], from: usize) -> Option<u16> {
    field(bytes, from).map(u16::from_be_bytes)
}

impl Frame {
    /// Destination hardware address.
    pub fn destination(&self) -> Option<Mac> {
        field(&self.bytes, 0)
    }

    /// Source hardware address.
    pub fn source(&self) -> Option<Mac> {
        field(&self.bytes, 6)
    }

    /// The ARP message in it.
    pub fn arp(&self) -> Option<Arp> {
        let body = self.body(ETHERTYPE_ARP)?;
        // Ethernet (1), IPv4 (0x0800), address lengths 6 and 4.
        if field(body, 0)? != [0, 1, 8, 0, 6, 4] {
            return None;
        }
        Some(Arp {
            destination: self.destination()?,
            operation: number(body, 6)?,
            sender_mac: field(body, 8)?,
            sender_ip: field::<4>(body, 14)?.into(),
            target_mac: field(body, 18)?,
            target_ip: field::<4>(body, 24)?.into(),
        })
    }

    /// The UDP datagram in it.
    pub fn udp(&self) -> Option<Udp> {
        let packet = self.packet().filter(|packet| packet.protocol == PROTOCOL_UDP)?;
        let length = usize::from(number(&packet.payload, 4)?);
        Some(Udp {
            from: SocketAddr::new(packet.from, number(&packet.payload, 0)?),
            to: SocketAddr::new(packet.to, number(&packet.payload, 2)?),
            ttl: packet.ttl,
            payload: packet.payload.get(8..length)?.to_vec(),
        })
    }

    /// The neighbour advertisement in it.
    pub fn neighbour_advertisement(&self) -> Option<NeighbourAdvertisement> {
        let packet = self.packet().filter(|packet| packet.protocol == PROTOCOL_ICMPV6)?;
        let (IpAddr::V6(from), IpAddr::V6(to)) = (packet.from, packet.to) else { return None };
        let message = &packet.payload;
        if field(message, 0)? != [NEIGHBOUR_ADVERTISEMENT, 0] {
            return None;
        }
        // Option 2 of length 1 (eight bytes) is the target's link-layer address; senders put it first.
        let has_mac = field(message, 24) == Some([2, 1]);
        Some(NeighbourAdvertisement {
            from,
            to,
            target: field::<16>(message, 8)?.into(),
            mac: if has_mac { field(message, 26) } else { None },
            overrides: message.get(4)? & OVERRIDE != 0,
            source_mac: self.source()?,
        })
    }

    fn body(&self, ethertype: u16) -> Option<&[u8]> {
        (number(&self.bytes, 12)? == ethertype).then(|| self.bytes.get(14..))?
    }

    /// The IP packet in it.
    pub fn packet(&self) -> Option<Packet> {
        Packet::read(self.body(ETHERTYPE_IPV4).or_else(|| self.body(ETHERTYPE_IPV6))?)
    }
}

impl fmt::Display for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:9.3} ", self.at.as_secs_f64())?;
        if let Some(arp) = self.arp() {
            let kind = if arp.is_request() { "request" } else { "reply" };
            let gratuitous = if arp.is_gratuitous() { "gratuitous " } else { "" };
            write!(
                f,
                "ARP {gratuitous}{kind} {} is at {:02x?}, target {}",
                arp.sender_ip, arp.sender_mac, arp.target_ip
            )
        } else if let Some(udp) = self.udp() {
            write!(f, "UDP {} > {} {} bytes", udp.from, udp.to, udp.payload.len())
        } else if let Some(na) = self.neighbour_advertisement() {
            write!(f, "NA {} is at {:02x?} override {}", na.target, na.mac, na.overrides)
        } else if let Some(packet) = self.packet() {
            write!(f, "IP {} > {} protocol {}", packet.from, packet.to, packet.protocol)
        } else {
            write!(f, "{} bytes", self.bytes.len())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(hex: &str) -> Frame {
        let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
        let bytes = digits
            .chunks(2)
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).expect("ascii"), 16).expect("hex"))
            .collect();
        Frame { at: Duration::ZERO, bytes }
    }

    #[test]
    fn a_gratuitous_arp_request_is_read() {
        // Broadcast, from 02:00:00:00:00:02; request; 10.1.0.100 is at 02:..:02; target zero / 10.1.0.100.
        let arp = frame(
            "ffffffffffff 020000000002 0806 0001 0800 06 04 0001 020000000002 0a010064 000000000000 0a010064",
        )
        .arp()
        .expect("it is one");
        assert!(arp.is_gratuitous() && arp.is_request());
        assert_eq!(arp.sender_ip, Ipv4Addr::new(10, 1, 0, 100));
        assert_eq!(arp.sender_mac, [2, 0, 0, 0, 0, 2]);
        assert_eq!(arp.destination, [0xff; 6]);
    }

    #[test]
    fn a_datagram_is_read_without_the_padding_of_a_short_frame() {
        // IPv4, 32 bytes in all, TTL 64, UDP 10.1.0.11:1000 > 10.1.0.12:539, four bytes, then padding.
        let udp = frame(
            "020000000002 020000000001 0800 45 00 0020 0000 0000 40 11 0000 0a01000b 0a01000c
             03e8 021b 000c 0000 cafebabe 000000",
        )
        .udp()
        .expect("it is one");
        assert_eq!(udp.from, "10.1.0.11:1000".parse().expect("address"));
        assert_eq!(udp.to, "10.1.0.12:539".parse().expect("address"));
        assert_eq!((udp.ttl, udp.payload), (64, vec![0xca, 0xfe, 0xba, 0xbe]));
    }

    #[test]
    fn an_unsolicited_neighbour_advertisement_is_read() {
        // IPv6, 32 bytes of ICMPv6, hop limit 255, fd00:1::64 > ff02::1; NA, Override; option 2 with the MAC.
        let na = frame(
            "333300000001 020000000002 86dd 60000000 0020 3a ff
             fd000001000000000000000000000064 ff020000000000000000000000000001
             88 00 0000 20000000 fd000001000000000000000000000064 02 01 020000000002",
        )
        .neighbour_advertisement()
        .expect("it is one");
        assert_eq!(na.target, "fd00:1::64".parse::<Ipv6Addr>().expect("address"));
        assert_eq!((na.mac, na.overrides), (Some([2, 0, 0, 0, 0, 2]), true));
    }

    #[test]
    fn frames_cut_short_anywhere_are_nothing() {
        let whole = frame(
            "ffffffffffff 020000000002 0806 0001080006040001 020000000002 0a010064 000000000000 0a010064",
        );
        for length in 0..whole.bytes.len() {
            let cut = Frame { at: Duration::ZERO, bytes: whole.bytes[..length].to_vec() };
            assert_eq!((cut.arp(), cut.udp(), cut.neighbour_advertisement()), (None, None, None));
        }
    }
}
