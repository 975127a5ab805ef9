//! A virtual service: what clients connect to, and how their connections are spread.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::ops::{BitOr, BitOrAssign};
use std::time::Duration;

use super::{Foreign, Granularity, PersistenceEngine, Scheduler, UnknownAttributes};
use crate::request::line::set_scheduler_flags;

/// Address family of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// The family that an address belongs to.
    #[must_use]
    pub fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }

    /// Length of an address in bits, which is also the prefix length of a single host: 32 or 128.
    #[must_use]
    pub fn bits(self) -> u8 {
        match self {
            Self::V4 => 32,
            Self::V6 => 128,
        }
    }
}

/// Transport protocol of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
    /// Another IP protocol, that a newer kernel reported, by its number (IANA).
    Other(Foreign<u16>),
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp => f.pad("TCP"),
            Self::Udp => f.pad("UDP"),
            Self::Sctp => f.pad("SCTP"),
            Self::Other(protocol) => f.pad(&format!("IP({})", protocol.number())),
        }
    }
}

/// What identifies a service in the kernel's table.
///
/// Displayed as in a listing: `TCP 10.1.0.100:80`, `TCP [2001:db8::1]:80`, `FWM 80`, `FWM 80 IPv6`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ServiceId {
    /// Packets of one protocol to one address and port.
    Address {
        /// Transport protocol.
        protocol: Protocol,
        /// Virtual address (VIP).
        address: IpAddr,
        /// Port; 0 means every port and is valid for persistent services only.
        port: u16,
    },
    /// Packets that the firewall marked.
    FwMark {
        /// The mark.
        mark: NonZeroU32,
        /// Family of the marked packets; the same mark of the other family is another service.
        family: Family,
    },
}

impl ServiceId {
    /// A TCP service.
    #[must_use]
    pub fn tcp(address: SocketAddr) -> Self {
        Self::Address { protocol: Protocol::Tcp, address: address.ip(), port: address.port() }
    }

    /// A UDP service.
    #[must_use]
    pub fn udp(address: SocketAddr) -> Self {
        Self::Address { protocol: Protocol::Udp, address: address.ip(), port: address.port() }
    }

    /// Address family of the clients.
    #[must_use]
    pub fn family(&self) -> Family {
        match self {
            Self::Address { address, .. } => Family::of(*address),
            Self::FwMark { family, .. } => *family,
        }
    }

    /// The service's port, 0 for a firewall mark.
    #[must_use]
    pub fn port(&self) -> u16 {
        match self {
            Self::Address { port, .. } => *port,
            Self::FwMark { .. } => 0,
        }
    }
}

impl fmt::Display for ServiceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address { protocol, address, port } => {
                write!(f, "{protocol} {}", SocketAddr::new(*address, *port))
            }
            Self::FwMark { mark, family: Family::V4 } => write!(f, "FWM {mark}"),
            Self::FwMark { mark, family: Family::V6 } => write!(f, "FWM {mark} IPv6"),
        }
    }
}

/// Switches of a service, a set of bits as in `ip_vs.h: IP_VS_SVC_F_*`.
///
/// The bits that say "persistent" and "in the kernel's hash" are never part of it: the first follows from
/// [`Service::persistence`], the second is the kernel's own business. Bits of a newer kernel are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ServiceFlags(u32);

impl ServiceFlags {
    /// No switch set.
    pub const NONE: Self = Self(0);
    /// One-packet scheduling: every UDP datagram is scheduled on its own.
    pub const ONE_PACKET: Self = Self(0x04);
    /// First flag of the scheduler: fallback to another server for `sh` and `mh`.
    pub const SCHEDULER_1: Self = Self(0x08);
    /// Second flag of the scheduler: the source port counts too, for `sh` and `mh`.
    pub const SCHEDULER_2: Self = Self(0x10);
    /// Third flag of the scheduler; no scheduler of Linux uses it.
    pub const SCHEDULER_3: Self = Self(0x20);

    /// Bits that are not switches: persistent and hashed.
    const NOT_OURS: u32 = 0x03;

    /// Takes the kernel's bits, without those that are not switches.
    #[must_use]
    pub fn from_bits(bits: u32) -> Self {
        Self(bits & !Self::NOT_OURS)
    }

    /// The bits, as in `ip_vs.h`.
    #[must_use]
    pub fn bits(self) -> u32 {
        self.0
    }

    /// Whether all switches of `other` are set.
    #[must_use]
    pub fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

impl BitOr for ServiceFlags {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for ServiceFlags {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

/// Keeping a client on the server that it got first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Persistence {
    /// How long after its last connection a client is remembered; whole seconds, the rest is cut off.
    pub timeout: Duration,
    /// Which clients count as one.
    pub granularity: Granularity,
    /// Persistence engine, if the key is more than the client's address.
    pub engine: Option<PersistenceEngine>,
}

impl Persistence {
    /// Persistence for each client address by itself.
    #[must_use]
    pub fn per_client(timeout: Duration, family: Family) -> Self {
        Self { timeout, granularity: Granularity::single_client(family), engine: None }
    }
}

/// A virtual service as it is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Service {
    /// Identity; the rest can be changed with [`crate::Request::EditService`].
    pub id: ServiceId,
    /// How connections are spread.
    pub scheduler: Scheduler,
    /// One-packet scheduling and the scheduler's flags.
    pub flags: ServiceFlags,
    /// Persistence, if wanted.
    pub persistence: Option<Persistence>,
    /// What a newer kernel said beyond that.
    pub unknown: UnknownAttributes,
}

impl Service {
    /// A service without flags and without persistence.
    #[must_use]
    pub fn new(id: ServiceId, scheduler: Scheduler) -> Self {
        Self {
            id,
            scheduler,
            flags: ServiceFlags::NONE,
            persistence: None,
            unknown: UnknownAttributes::default(),
        }
    }

    /// The names of the scheduler's flags that are set, as `ipvsadm -b` takes them, lowest bit first: `sh-port`, or `flag-2`
    /// where the scheduler has no name for it.
    pub fn scheduler_flag_names(&self) -> impl Iterator<Item = &'static str> {
        set_scheduler_flags(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_id_is_displayed_as_in_a_listing() {
        let mark = NonZeroU32::new(80).unwrap();
        assert_eq!(ServiceId::tcp("10.1.0.100:80".parse().unwrap()).to_string(), "TCP 10.1.0.100:80");
        assert_eq!(ServiceId::udp("[2001:db8::1]:53".parse().unwrap()).to_string(), "UDP [2001:db8::1]:53");
        assert_eq!(ServiceId::FwMark { mark, family: Family::V4 }.to_string(), "FWM 80");
        assert_eq!(ServiceId::FwMark { mark, family: Family::V6 }.to_string(), "FWM 80 IPv6");
    }

    #[test]
    fn flags_keep_unknown_bits_and_drop_the_kernels_own() {
        let flags = ServiceFlags::from_bits(0x8000_0007);
        assert_eq!(flags.bits(), 0x8000_0004);
        assert!(flags.contains(ServiceFlags::ONE_PACKET));
        assert!(!flags.contains(ServiceFlags::ONE_PACKET | ServiceFlags::SCHEDULER_1));
    }
}
