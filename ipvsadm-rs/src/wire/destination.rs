//! Destination attributes.
//!
//! ```text
//! DEST { ADDR, PORT, ADDR_FAMILY,                                         identity
//!        FWD_METHOD, WEIGHT, U_THRESH, L_THRESH [, TUN_TYPE, TUN_PORT, TUN_FLAGS],
//!        ACTIVE_CONNS, INACT_CONNS, PERSIST_CONNS, STATS, STATS64 }       replies only
//! ```
//! `ADDR_FAMILY` is absent in kernels before 3.18; then the address is of the service's family.

use std::num::NonZeroU16;

use netlink_packet_core::{NlaBuffer, NlasIterator};

use super::consts::{dest, fwd, tun};
use super::value::{
    Value, address_bytes, address_of_bytes, be16_of, bytes_of_address, family_of_number, nla_by_value,
    number_and_flags, number_of_family, u8_of, u16_of, u32_of,
};
use super::{WireError, stats};
use crate::model::{
    Destination, DestinationEntry, DestinationId, Family, Foreign, Forward, Stats, Tunnel, TunnelChecksum,
    UnknownAttributes,
};

/// One attribute of the destination nest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DestinationAttribute {
    /// Address, in a form that does not say its family.
    Address([u8; 16]),
    /// Port.
    Port(u16),
    /// Forwarding method, with connection flags in the higher bits.
    Forward(u32),
    /// Weight.
    Weight(u32),
    /// Upper connection threshold.
    UpperThreshold(u32),
    /// Lower connection threshold.
    LowerThreshold(u32),
    /// Active connections.
    Active(u32),
    /// Inactive connections.
    Inactive(u32),
    /// Persistence templates.
    Persistent(u32),
    /// Counters of 32 bits.
    Stats(Stats),
    /// Address family.
    Family(Family),
    /// Counters of 64 bits.
    Stats64(Stats),
    /// Encapsulation.
    TunnelType(u8),
    /// UDP port of GUE.
    TunnelPort(u16),
    /// Checksum bits of the tunnel.
    TunnelFlags(u16),
    /// An attribute of a newer kernel.
    Other(u16, Vec<u8>),
}

impl DestinationAttribute {
    fn number(&self) -> u16 {
        match self {
            Self::Address(_) => dest::ADDR,
            Self::Port(_) => dest::PORT,
            Self::Forward(_) => dest::FWD_METHOD,
            Self::Weight(_) => dest::WEIGHT,
            Self::UpperThreshold(_) => dest::U_THRESH,
            Self::LowerThreshold(_) => dest::L_THRESH,
            Self::Active(_) => dest::ACTIVE_CONNS,
            Self::Inactive(_) => dest::INACT_CONNS,
            Self::Persistent(_) => dest::PERSIST_CONNS,
            Self::Stats(_) => dest::STATS,
            Self::Family(_) => dest::ADDR_FAMILY,
            Self::Stats64(_) => dest::STATS64,
            Self::TunnelType(_) => dest::TUN_TYPE,
            Self::TunnelPort(_) => dest::TUN_PORT,
            Self::TunnelFlags(_) => dest::TUN_FLAGS,
            Self::Other(number, _) => *number,
        }
    }

    fn value(&self) -> Value<'_> {
        match self {
            Self::Address(bytes) => Value::inline(*bytes),
            Self::Port(port) | Self::TunnelPort(port) => Value::inline(port.to_be_bytes()),
            Self::Forward(it)
            | Self::Weight(it)
            | Self::UpperThreshold(it)
            | Self::LowerThreshold(it)
            | Self::Active(it)
            | Self::Inactive(it)
            | Self::Persistent(it) => Value::inline(it.to_ne_bytes()),
            Self::Stats(counters) => Value::Owned(stats::emit(counters, false)),
            Self::Family(family) => Value::inline(number_of_family(*family).to_ne_bytes()),
            Self::Stats64(counters) => Value::Owned(stats::emit(counters, true)),
            Self::TunnelType(number) => Value::inline([*number]),
            Self::TunnelFlags(bits) => Value::inline(bits.to_ne_bytes()),
            Self::Other(_, bytes) => Value::Borrowed(bytes),
        }
    }

    fn parse(nla: &NlaBuffer<&[u8]>) -> Result<Self, WireError> {
        let (number, value) = (nla.kind(), nla.value());
        const FAMILY: &str = "IPVS_DEST_ATTR_ADDR_FAMILY";
        Ok(match number {
            dest::ADDR => Self::Address(address_bytes("IPVS_DEST_ATTR_ADDR", value)?),
            dest::PORT => Self::Port(be16_of("IPVS_DEST_ATTR_PORT", value)?),
            dest::FWD_METHOD => Self::Forward(u32_of("IPVS_DEST_ATTR_FWD_METHOD", value)?),
            dest::WEIGHT => Self::Weight(u32_of("IPVS_DEST_ATTR_WEIGHT", value)?),
            dest::U_THRESH => Self::UpperThreshold(u32_of("IPVS_DEST_ATTR_U_THRESH", value)?),
            dest::L_THRESH => Self::LowerThreshold(u32_of("IPVS_DEST_ATTR_L_THRESH", value)?),
            dest::ACTIVE_CONNS => Self::Active(u32_of("IPVS_DEST_ATTR_ACTIVE_CONNS", value)?),
            dest::INACT_CONNS => Self::Inactive(u32_of("IPVS_DEST_ATTR_INACT_CONNS", value)?),
            dest::PERSIST_CONNS => Self::Persistent(u32_of("IPVS_DEST_ATTR_PERSIST_CONNS", value)?),
            dest::STATS => Self::Stats(stats::parse(value)?),
            dest::ADDR_FAMILY => Self::Family(family_of_number(FAMILY, u16_of(FAMILY, value)?)?),
            dest::STATS64 => Self::Stats64(stats::parse(value)?),
            dest::TUN_TYPE => Self::TunnelType(u8_of("IPVS_DEST_ATTR_TUN_TYPE", value)?),
            dest::TUN_PORT => Self::TunnelPort(be16_of("IPVS_DEST_ATTR_TUN_PORT", value)?),
            dest::TUN_FLAGS => Self::TunnelFlags(u16_of("IPVS_DEST_ATTR_TUN_FLAGS", value)?),
            _ => Self::Other(number_and_flags(nla), value.to_vec()),
        })
    }
}

nla_by_value!(DestinationAttribute);

/// Reads the attributes of a destination nest.
///
/// # Errors
/// [`WireError`] if the nest is malformed or a known attribute's value is.
pub fn parse(nest: &[u8]) -> Result<Vec<DestinationAttribute>, WireError> {
    NlasIterator::new(nest)
        .map(|nla| {
            let nla = nla?;
            DestinationAttribute::parse(&nla)
        })
        .collect()
}

/// The attributes that identify a destination.
#[must_use]
pub fn identity(id: &DestinationId) -> Vec<DestinationAttribute> {
    vec![
        DestinationAttribute::Address(bytes_of_address(id.address)),
        DestinationAttribute::Port(id.port),
        DestinationAttribute::Family(Family::of(id.address)),
    ]
}

/// The attributes of a request to add or change a destination.
#[must_use]
pub fn attributes(destination: &Destination) -> Vec<DestinationAttribute> {
    let (method, tunnel) = numbers_of_forward(&destination.forward);
    let mut all = identity(&destination.id);
    all.extend([
        DestinationAttribute::Forward(method),
        DestinationAttribute::Weight(destination.weight),
        DestinationAttribute::UpperThreshold(destination.upper_threshold),
        DestinationAttribute::LowerThreshold(destination.lower_threshold),
    ]);
    // Always sent: a change from a tunnel to something else must not leave the old encapsulation behind.
    let (kind, port, flags) = tunnel;
    all.extend([
        DestinationAttribute::TunnelType(kind),
        DestinationAttribute::TunnelPort(port),
        DestinationAttribute::TunnelFlags(flags),
    ]);
    let unknown = destination.unknown.iter();
    all.extend(unknown.map(|(number, bytes)| DestinationAttribute::Other(number, bytes.to_vec())));
    all
}

/// The attributes of a reply.
#[must_use]
pub fn entry_attributes(entry: &DestinationEntry) -> Vec<DestinationAttribute> {
    let mut all = attributes(&entry.destination);
    all.extend([
        DestinationAttribute::Active(entry.active_connections),
        DestinationAttribute::Inactive(entry.inactive_connections),
        DestinationAttribute::Persistent(entry.persistent_connections),
        DestinationAttribute::Stats(entry.stats),
        DestinationAttribute::Stats64(entry.stats),
    ]);
    all
}

/// What a list of destination attributes says, collected; everything may be absent.
#[derive(Debug, Default)]
struct Fields {
    family: Option<Family>,
    address: Option<[u8; 16]>,
    port: Option<u16>,
    forward: Option<u32>,
    weight: Option<u32>,
    upper: Option<u32>,
    lower: Option<u32>,
    active: u32,
    inactive: u32,
    persistent: u32,
    stats: Option<Stats>,
    stats64: Option<Stats>,
    tunnel_type: u8,
    tunnel_port: u16,
    tunnel_flags: u16,
    unknown: Vec<(u16, Vec<u8>)>,
}

impl Fields {
    fn add(&mut self, attribute: DestinationAttribute) {
        match attribute {
            DestinationAttribute::Address(it) => self.address = Some(it),
            DestinationAttribute::Port(it) => self.port = Some(it),
            DestinationAttribute::Forward(it) => self.forward = Some(it),
            DestinationAttribute::Weight(it) => self.weight = Some(it),
            DestinationAttribute::UpperThreshold(it) => self.upper = Some(it),
            DestinationAttribute::LowerThreshold(it) => self.lower = Some(it),
            DestinationAttribute::Active(it) => self.active = it,
            DestinationAttribute::Inactive(it) => self.inactive = it,
            DestinationAttribute::Persistent(it) => self.persistent = it,
            DestinationAttribute::Stats(it) => self.stats = Some(it),
            DestinationAttribute::Family(it) => self.family = Some(it),
            DestinationAttribute::Stats64(it) => self.stats64 = Some(it),
            DestinationAttribute::TunnelType(it) => self.tunnel_type = it,
            DestinationAttribute::TunnelPort(it) => self.tunnel_port = it,
            DestinationAttribute::TunnelFlags(it) => self.tunnel_flags = it,
            DestinationAttribute::Other(number, bytes) => self.unknown.push((number, bytes)),
        }
    }

    fn collect(attributes: &[DestinationAttribute]) -> Self {
        let mut fields = Self::default();
        attributes.iter().cloned().for_each(|attribute| fields.add(attribute));
        fields
    }

    fn id(&self, service: Family) -> Result<DestinationId, WireError> {
        let address = self.address.ok_or(WireError::Missing("IPVS_DEST_ATTR_ADDR"))?;
        Ok(DestinationId {
            address: address_of_bytes(self.family.unwrap_or(service), address),
            port: self.port.ok_or(WireError::Missing("IPVS_DEST_ATTR_PORT"))?,
        })
    }

    fn forward(&self) -> Result<Forward, WireError> {
        let method = self.forward.ok_or(WireError::Missing("IPVS_DEST_ATTR_FWD_METHOD"))?;
        Ok(forward_of_numbers(method, (self.tunnel_type, self.tunnel_port, self.tunnel_flags)))
    }

    fn entry(self, service: Family) -> Result<DestinationEntry, WireError> {
        let destination = Destination {
            id: self.id(service)?,
            forward: self.forward()?,
            weight: self.weight.ok_or(WireError::Missing("IPVS_DEST_ATTR_WEIGHT"))?,
            upper_threshold: self.upper.ok_or(WireError::Missing("IPVS_DEST_ATTR_U_THRESH"))?,
            lower_threshold: self.lower.ok_or(WireError::Missing("IPVS_DEST_ATTR_L_THRESH"))?,
            unknown: UnknownAttributes::new(self.unknown),
        };
        Ok(DestinationEntry {
            destination,
            active_connections: self.active,
            inactive_connections: self.inactive,
            persistent_connections: self.persistent,
            stats: self.stats64.or(self.stats).unwrap_or_default(),
        })
    }
}

/// The identity that a list of attributes gives, in a service of the given family.
///
/// # Errors
/// [`WireError::Missing`] if address or port are absent.
pub fn id(attributes: &[DestinationAttribute], service: Family) -> Result<DestinationId, WireError> {
    Fields::collect(attributes).id(service)
}

/// The destination, its connections and counters that a list of attributes gives, in a service of the given
/// family. The 64-bit counters win.
///
/// # Errors
/// [`WireError::Missing`] if an attribute is absent that a request needs.
pub fn entry(attributes: &[DestinationAttribute], service: Family) -> Result<DestinationEntry, WireError> {
    Fields::collect(attributes).entry(service)
}

/// What a nest holds: [`parse`] and [`entry`] in one, without a list in between.
///
/// # Errors
/// Those of both.
pub fn read(nest: &[u8], service: Family) -> Result<DestinationEntry, WireError> {
    let mut fields = Fields::default();
    let mut narrow = None;
    for nla in NlasIterator::new(nest) {
        let nla = nla?;
        match nla.kind() {
            dest::STATS => narrow = Some(nla),
            _ => fields.add(DestinationAttribute::parse(&nla)?),
        }
    }
    // The counters of 32 bits only count where those of 64 are missing, and reading them is half the work.
    if let (None, Some(nla)) = (fields.stats64, narrow) {
        fields.stats = Some(stats::parse(nla.value())?);
    }
    fields.entry(service)
}

/// The forwarding method of a number, and of type, port and switches of the tunnel if it is one; by name where there is
/// one.
#[must_use]
pub fn forward_of_numbers(method: u32, tunnel: (u8, u16, u16)) -> Forward {
    match method & fwd::MASK {
        fwd::MASQ => Forward::Masquerade,
        fwd::LOCALNODE => Forward::Local,
        fwd::TUNNEL => Forward::Tunnel(tunnel_of_numbers(tunnel)),
        fwd::DROUTE => Forward::DirectRoute,
        fwd::BYPASS => Forward::Bypass,
        other => Forward::Other(Foreign::new(u8::try_from(other).unwrap_or(u8::MAX))),
    }
}

fn tunnel_of_numbers((kind, port, flags): (u8, u16, u16)) -> Tunnel {
    let checksum = match flags {
        0 => Some(TunnelChecksum::None),
        tun::FLAG_CSUM => Some(TunnelChecksum::Checksum),
        tun::FLAG_REMCSUM => Some(TunnelChecksum::Remote),
        _ => None,
    };
    match (kind, checksum, NonZeroU16::new(port)) {
        (tun::IPIP, Some(TunnelChecksum::None), _) => Tunnel::Ipip,
        (tun::GUE, Some(checksum), Some(port)) => Tunnel::Gue { port, checksum },
        (tun::GRE, Some(TunnelChecksum::None), _) => Tunnel::Gre { checksum: false },
        (tun::GRE, Some(TunnelChecksum::Checksum), _) => Tunnel::Gre { checksum: true },
        _ => Tunnel::Other { kind, port, flags: Foreign::new(flags) },
    }
}

/// Method, and type, port and flags of the tunnel.
fn numbers_of_forward(forward: &Forward) -> (u32, (u8, u16, u16)) {
    match forward {
        Forward::Masquerade => (fwd::MASQ, (0, 0, 0)),
        Forward::Local => (fwd::LOCALNODE, (0, 0, 0)),
        Forward::DirectRoute => (fwd::DROUTE, (0, 0, 0)),
        Forward::Bypass => (fwd::BYPASS, (0, 0, 0)),
        Forward::Other(method) => (u32::from(method.number()), (0, 0, 0)),
        Forward::Tunnel(tunnel) => (fwd::TUNNEL, numbers_of_tunnel(tunnel)),
    }
}

fn numbers_of_tunnel(tunnel: &Tunnel) -> (u8, u16, u16) {
    let flags = |checksum: &TunnelChecksum| match checksum {
        TunnelChecksum::None => 0,
        TunnelChecksum::Checksum => tun::FLAG_CSUM,
        TunnelChecksum::Remote => tun::FLAG_REMCSUM,
    };
    match tunnel {
        Tunnel::Ipip => (tun::IPIP, 0, 0),
        Tunnel::Gue { port, checksum } => (tun::GUE, port.get(), flags(checksum)),
        Tunnel::Gre { checksum: false } => (tun::GRE, 0, 0),
        Tunnel::Gre { checksum: true } => (tun::GRE, 0, tun::FLAG_CSUM),
        Tunnel::Other { kind, port, flags } => (*kind, *port, flags.number()),
    }
}
