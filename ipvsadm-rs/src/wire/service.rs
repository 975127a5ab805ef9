//! Service attributes.
//!
//! ```text
//! SERVICE { AF, PROTOCOL + ADDR + PORT  or  FWMARK,                      identity
//!           SCHED_NAME, FLAGS, TIMEOUT, NETMASK [, PE_NAME],             the rest of a request
//!           STATS, STATS64 }                                             replies only
//! ```
//! Unknown attributes are kept ([`Service::unknown`]) and sent back with a change.

use std::num::NonZeroU32;
use std::time::Duration;

use netlink_packet_core::{NlaBuffer, NlasIterator};

use super::consts::{SVC_F_HASHED, SVC_F_PERSISTENT, svc};
use super::value::{
    Value, address_bytes, address_of_bytes, array, be16_of, bytes_of_address, family_of_number, nla_by_value,
    number_and_flags, number_of_family, text_of, u16_of, u32_of,
};
use super::{WireError, stats};
use crate::model::{
    Family, Foreign, Granularity, Persistence, PersistenceEngine, Protocol, Scheduler, Service, ServiceFlags,
    ServiceId, Stats, UnknownAttributes,
};

/// One attribute of the service nest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServiceAttribute {
    /// Address family.
    Family(Family),
    /// IP protocol number.
    Protocol(u16),
    /// Address, in a form that does not say its family.
    Address([u8; 16]),
    /// Port.
    Port(u16),
    /// Firewall mark.
    FwMark(u32),
    /// Scheduler.
    Scheduler(Scheduler),
    /// Flags, and which of them count.
    Flags(u32, u32),
    /// Persistence timeout in seconds.
    Timeout(u32),
    /// Persistence granularity, the raw bytes; their meaning depends on the family.
    Netmask([u8; 4]),
    /// Persistence engine.
    Engine(PersistenceEngine),
    /// Counters of 32 bits.
    Stats(Stats),
    /// Counters of 64 bits.
    Stats64(Stats),
    /// An attribute of a newer kernel.
    Other(u16, Vec<u8>),
}

impl ServiceAttribute {
    fn number(&self) -> u16 {
        match self {
            Self::Family(_) => svc::AF,
            Self::Protocol(_) => svc::PROTOCOL,
            Self::Address(_) => svc::ADDR,
            Self::Port(_) => svc::PORT,
            Self::FwMark(_) => svc::FWMARK,
            Self::Scheduler(_) => svc::SCHED_NAME,
            Self::Flags(..) => svc::FLAGS,
            Self::Timeout(_) => svc::TIMEOUT,
            Self::Netmask(_) => svc::NETMASK,
            Self::Engine(_) => svc::PE_NAME,
            Self::Stats(_) => svc::STATS,
            Self::Stats64(_) => svc::STATS64,
            Self::Other(number, _) => *number,
        }
    }

    fn value(&self) -> Value<'_> {
        match self {
            Self::Family(family) => Value::inline(number_of_family(*family).to_ne_bytes()),
            Self::Protocol(number) => Value::inline(number.to_ne_bytes()),
            Self::Address(bytes) => Value::inline(*bytes),
            Self::Port(port) => Value::inline(port.to_be_bytes()),
            Self::FwMark(number) | Self::Timeout(number) => Value::inline(number.to_ne_bytes()),
            Self::Scheduler(name) => Value::text(name.as_str()),
            Self::Engine(name) => Value::text(name.as_str()),
            Self::Flags(flags, mask) => {
                let both = (u64::from(flags.to_be()) << 32) | u64::from(mask.to_be());
                Value::inline(both.to_be_bytes())
            }
            Self::Netmask(bytes) => Value::inline(*bytes),
            Self::Stats(counters) => Value::Owned(stats::emit(counters, false)),
            Self::Stats64(counters) => Value::Owned(stats::emit(counters, true)),
            Self::Other(_, bytes) => Value::Borrowed(bytes),
        }
    }

    fn parse(nla: &NlaBuffer<&[u8]>) -> Result<Self, WireError> {
        let (number, value) = (nla.kind(), nla.value());
        let name = |text: &'static str| {
            move |_| WireError::Value { attribute: text, value: value.escape_ascii().to_string() }
        };
        Ok(match number {
            svc::AF => {
                Self::Family(family_of_number("IPVS_SVC_ATTR_AF", u16_of("IPVS_SVC_ATTR_AF", value)?)?)
            }
            svc::PROTOCOL => Self::Protocol(u16_of("IPVS_SVC_ATTR_PROTOCOL", value)?),
            svc::ADDR => Self::Address(address_bytes("IPVS_SVC_ATTR_ADDR", value)?),
            svc::PORT => Self::Port(be16_of("IPVS_SVC_ATTR_PORT", value)?),
            svc::FWMARK => Self::FwMark(u32_of("IPVS_SVC_ATTR_FWMARK", value)?),
            svc::SCHED_NAME => {
                let text = text_of("IPVS_SVC_ATTR_SCHED_NAME", value)?;
                Self::Scheduler(Scheduler::new(text).map_err(name("IPVS_SVC_ATTR_SCHED_NAME"))?)
            }
            svc::FLAGS => {
                let [a, b, c, d, e, f, g, h] = array("IPVS_SVC_ATTR_FLAGS", value)?;
                Self::Flags(u32::from_ne_bytes([a, b, c, d]), u32::from_ne_bytes([e, f, g, h]))
            }
            svc::TIMEOUT => Self::Timeout(u32_of("IPVS_SVC_ATTR_TIMEOUT", value)?),
            svc::NETMASK => Self::Netmask(array("IPVS_SVC_ATTR_NETMASK", value)?),
            svc::PE_NAME => {
                let text = text_of("IPVS_SVC_ATTR_PE_NAME", value)?;
                Self::Engine(PersistenceEngine::new(text).map_err(name("IPVS_SVC_ATTR_PE_NAME"))?)
            }
            svc::STATS => Self::Stats(stats::parse(value)?),
            svc::STATS64 => Self::Stats64(stats::parse(value)?),
            _ => Self::Other(number_and_flags(nla), value.to_vec()),
        })
    }
}

nla_by_value!(ServiceAttribute);

/// Reads the attributes of a service nest.
///
/// # Errors
/// [`WireError`] if the nest is malformed or a known attribute's value is.
pub fn parse(nest: &[u8]) -> Result<Vec<ServiceAttribute>, WireError> {
    NlasIterator::new(nest)
        .map(|nla| {
            let nla = nla?;
            ServiceAttribute::parse(&nla)
        })
        .collect()
}

/// The attributes that identify a service.
#[must_use]
pub fn identity(id: &ServiceId) -> Vec<ServiceAttribute> {
    let family = ServiceAttribute::Family(id.family());
    match id {
        ServiceId::FwMark { mark, .. } => vec![family, ServiceAttribute::FwMark(mark.get())],
        ServiceId::Address { protocol, address, port } => vec![
            family,
            ServiceAttribute::Protocol(number_of_protocol(*protocol)),
            ServiceAttribute::Address(bytes_of_address(*address)),
            ServiceAttribute::Port(*port),
        ],
    }
}

/// The attributes of a request to add or change a service.
#[must_use]
pub fn attributes(service: &Service) -> Vec<ServiceAttribute> {
    let mut all = identity(&service.id);
    let family = service.id.family();
    let persistent = if service.persistence.is_some() { SVC_F_PERSISTENT } else { 0 };
    let (seconds, granularity) = match &service.persistence {
        Some(persistence) => (persistence.timeout.as_secs(), persistence.granularity),
        None => (0, Granularity::single_client(family)),
    };
    let netmask = match (family, granularity.prefix_length()) {
        (Family::V6, Some(length)) => u32::from(length).to_ne_bytes(),
        _ => granularity.to_mask().octets(),
    };
    all.extend([
        ServiceAttribute::Scheduler(service.scheduler),
        ServiceAttribute::Flags(service.flags.bits() | persistent, u32::MAX),
        ServiceAttribute::Timeout(u32::try_from(seconds).unwrap_or(u32::MAX)),
        ServiceAttribute::Netmask(netmask),
    ]);
    all.extend(service.persistence.and_then(|it| it.engine).map(ServiceAttribute::Engine));
    all.extend(service.unknown.iter().map(|(number, bytes)| ServiceAttribute::Other(number, bytes.to_vec())));
    all
}

/// The attributes of a reply. The kernel sets a flag of its own on every service that it has hashed, and so
/// does this.
#[must_use]
pub fn entry_attributes(service: &Service, stats: Stats) -> Vec<ServiceAttribute> {
    let mut all = attributes(service);
    for attribute in &mut all {
        if let ServiceAttribute::Flags(flags, _) = attribute {
            *flags |= SVC_F_HASHED;
        }
    }
    all.extend([ServiceAttribute::Stats(stats), ServiceAttribute::Stats64(stats)]);
    all
}

/// What a list of service attributes says, collected; everything may be absent.
#[derive(Debug, Default)]
struct Fields {
    family: Option<Family>,
    protocol: Option<u16>,
    address: Option<[u8; 16]>,
    port: Option<u16>,
    mark: Option<u32>,
    scheduler: Option<Scheduler>,
    flags: u32,
    timeout: u32,
    netmask: Option<[u8; 4]>,
    engine: Option<PersistenceEngine>,
    stats: Option<Stats>,
    stats64: Option<Stats>,
    unknown: Vec<(u16, Vec<u8>)>,
}

impl Fields {
    fn add(&mut self, attribute: ServiceAttribute) {
        match attribute {
            ServiceAttribute::Family(it) => self.family = Some(it),
            ServiceAttribute::Protocol(it) => self.protocol = Some(it),
            ServiceAttribute::Address(it) => self.address = Some(it),
            ServiceAttribute::Port(it) => self.port = Some(it),
            ServiceAttribute::FwMark(it) => self.mark = Some(it),
            ServiceAttribute::Scheduler(it) => self.scheduler = Some(it),
            ServiceAttribute::Flags(flags, mask) => self.flags = flags & mask,
            ServiceAttribute::Timeout(it) => self.timeout = it,
            ServiceAttribute::Netmask(it) => self.netmask = Some(it),
            ServiceAttribute::Engine(it) => self.engine = Some(it),
            ServiceAttribute::Stats(it) => self.stats = Some(it),
            ServiceAttribute::Stats64(it) => self.stats64 = Some(it),
            ServiceAttribute::Other(number, bytes) => self.unknown.push((number, bytes)),
        }
    }

    fn collect(attributes: &[ServiceAttribute]) -> Self {
        let mut fields = Self::default();
        attributes.iter().cloned().for_each(|attribute| fields.add(attribute));
        fields
    }

    fn id(&self) -> Result<ServiceId, WireError> {
        let family = self.family.ok_or(WireError::Missing("IPVS_SVC_ATTR_AF"))?;
        if let Some(mark) = self.mark.and_then(NonZeroU32::new) {
            return Ok(ServiceId::FwMark { mark, family });
        }
        let protocol = self.protocol.ok_or(WireError::Missing("IPVS_SVC_ATTR_PROTOCOL"))?;
        let address = self.address.ok_or(WireError::Missing("IPVS_SVC_ATTR_ADDR"))?;
        Ok(ServiceId::Address {
            protocol: protocol_of_number(protocol),
            address: address_of_bytes(family, address),
            port: self.port.ok_or(WireError::Missing("IPVS_SVC_ATTR_PORT"))?,
        })
    }

    fn persistence(&self, family: Family) -> Result<Option<Persistence>, WireError> {
        if self.flags & SVC_F_PERSISTENT == 0 {
            return Ok(None);
        }
        let granularity = match (family, self.netmask) {
            (family, None) => Granularity::single_client(family),
            (Family::V4, Some(mask)) => Granularity::mask(mask.into()),
            (Family::V6, Some(prefix)) => {
                let prefix = u32::from_ne_bytes(prefix);
                let length = u8::try_from(prefix).ok().filter(|it| *it <= 128);
                length.map(Granularity::prefix).ok_or_else(|| WireError::Value {
                    attribute: "IPVS_SVC_ATTR_NETMASK",
                    value: prefix.to_string(),
                })?
            }
        };
        let timeout = Duration::from_secs(self.timeout.into());
        Ok(Some(Persistence { timeout, granularity, engine: self.engine }))
    }

    fn service(self) -> Result<(Service, Stats), WireError> {
        let id = self.id()?;
        let service = Service {
            id,
            scheduler: self.scheduler.ok_or(WireError::Missing("IPVS_SVC_ATTR_SCHED_NAME"))?,
            flags: ServiceFlags::from_bits(self.flags),
            persistence: self.persistence(id.family())?,
            unknown: UnknownAttributes::new(self.unknown),
        };
        Ok((service, self.stats64.or(self.stats).unwrap_or_default()))
    }
}

/// The identity that a list of attributes gives.
///
/// # Errors
/// [`WireError::Missing`] if an attribute that identifies a service is absent.
pub fn id(attributes: &[ServiceAttribute]) -> Result<ServiceId, WireError> {
    Fields::collect(attributes).id()
}

/// The service and its counters that a list of attributes gives. The 64-bit counters win.
///
/// # Errors
/// [`WireError::Missing`] if the identity or the scheduler is absent, [`WireError::Value`] if an IPv6
/// granularity is above 128.
pub fn service(attributes: &[ServiceAttribute]) -> Result<(Service, Stats), WireError> {
    Fields::collect(attributes).service()
}

/// The service and its counters that a nest holds: [`parse`] and [`service`] in one, without a list in between.
///
/// # Errors
/// Those of both.
pub fn read(nest: &[u8]) -> Result<(Service, Stats), WireError> {
    let mut fields = Fields::default();
    let mut narrow = None;
    for nla in NlasIterator::new(nest) {
        let nla = nla?;
        match nla.kind() {
            svc::STATS => narrow = Some(nla),
            _ => fields.add(ServiceAttribute::parse(&nla)?),
        }
    }
    // The counters of 32 bits only count where those of 64 are missing, and reading them is half the work.
    if let (None, Some(nla)) = (fields.stats64, narrow) {
        fields.stats = Some(stats::parse(nla.value())?);
    }
    fields.service()
}

/// IP protocol numbers (IANA).
fn number_of_protocol(protocol: Protocol) -> u16 {
    match protocol {
        Protocol::Tcp => 6,
        Protocol::Udp => 17,
        Protocol::Sctp => 132,
        Protocol::Other(protocol) => protocol.number(),
    }
}

/// The protocol of a number (IANA), by its name if it has one.
#[must_use]
pub fn protocol_of_number(number: u16) -> Protocol {
    match number {
        6 => Protocol::Tcp,
        17 => Protocol::Udp,
        132 => Protocol::Sctp,
        other => Protocol::Other(Foreign::new(other)),
    }
}
