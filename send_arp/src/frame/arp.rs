//! ARP for IPv4 over Ethernet (RFC 826), between [`Arp`] and its 28 octets.
//!
//! ```text
//!  0        2        4    5    6         8           14         18          24         28
//!  +--------+--------+----+----+---------+-----------+----------+-----------+----------+
//!  |hardware|protocol| 6  | 4  |operation|sender MAC |sender IP |target MAC |target IP |
//!  +--------+--------+----+----+---------+-----------+----------+-----------+----------+
//! ```

use std::fmt;
use std::net::Ipv4Addr;

use pnet_packet::arp::{ArpHardwareTypes, ArpOperation, ArpOperations, ArpPacket, MutableArpPacket};
use pnet_packet::ethernet::EtherTypes;

use super::{FrameError, short};
use crate::mac::Mac;

const ARP_LEN: usize = 28;

/// An ARP packet for IPv4 over Ethernet (RFC 826).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arp {
    /// What is asked or told.
    pub operation: Operation,
    /// MAC address of `sender_ip`.
    pub sender_mac: Mac,
    /// The address that the packet is about.
    pub sender_ip: Ipv4Addr,
    /// MAC address of `target_ip`, if known.
    pub target_mac: Mac,
    /// Whom it is for; equal to `sender_ip` in a gratuitous packet.
    pub target_ip: Ipv4Addr,
}

/// The operation field of ARP (RFC 826, "ar$op").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// 1: who has the target address?
    Request,
    /// 2: the sender address is at the sender's MAC address.
    Reply,
    /// A value that RFC 826 does not define; kept as it came.
    Other(u16),
}

impl From<u16> for Operation {
    fn from(value: u16) -> Self {
        match ArpOperation(value) {
            ArpOperations::Request => Operation::Request,
            ArpOperations::Reply => Operation::Reply,
            ArpOperation(other) => Operation::Other(other),
        }
    }
}

impl From<Operation> for u16 {
    fn from(operation: Operation) -> Self {
        match operation {
            Operation::Request => ArpOperations::Request.0,
            Operation::Reply => ArpOperations::Reply.0,
            Operation::Other(value) => value,
        }
    }
}

impl Arp {
    pub(super) fn emit(&self) -> Vec<u8> {
        let mut bytes = vec![0; ARP_LEN];
        let mut packet = MutableArpPacket::new(&mut bytes).expect("28 octets were reserved");
        packet.set_hardware_type(ArpHardwareTypes::Ethernet);
        packet.set_protocol_type(EtherTypes::Ipv4);
        packet.set_hw_addr_len(6);
        packet.set_proto_addr_len(4);
        packet.set_operation(ArpOperation(self.operation.into()));
        packet.set_sender_hw_addr(self.sender_mac.0.into());
        packet.set_sender_proto_addr(self.sender_ip);
        packet.set_target_hw_addr(self.target_mac.0.into());
        packet.set_target_proto_addr(self.target_ip);
        bytes
    }

    pub(super) fn parse(bytes: &[u8]) -> Result<Self, FrameError> {
        let packet = ArpPacket::new(bytes).ok_or_else(|| short("ARP packet", bytes, ARP_LEN))?;
        let kind = (
            packet.get_hardware_type(),
            packet.get_protocol_type(),
            packet.get_hw_addr_len(),
            packet.get_proto_addr_len(),
        );
        if kind != (ArpHardwareTypes::Ethernet, EtherTypes::Ipv4, 6, 4) {
            return Err(FrameError::NotIpv4OverEthernet);
        }
        Ok(Arp {
            operation: packet.get_operation().0.into(),
            sender_mac: Mac(packet.get_sender_hw_addr().octets()),
            sender_ip: packet.get_sender_proto_addr(),
            target_mac: Mac(packet.get_target_hw_addr().octets()),
            target_ip: packet.get_target_proto_addr(),
        })
    }
}

impl fmt::Display for Arp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.operation {
            Operation::Request => write!(f, "ARP request who-has {} tell {}", self.target_ip, self.sender_ip),
            Operation::Reply => write!(f, "ARP reply {} is-at {}", self.sender_ip, self.sender_mac),
            Operation::Other(value) => write!(f, "ARP operation {value} from {}", self.sender_ip),
        }
    }
}
