//! Sync daemon attributes.
//!
//! ```text
//! DAEMON { STATE, MCAST_IFN, SYNC_ID [, SYNC_MAXLEN, MCAST_GROUP or MCAST_GROUP6, MCAST_PORT, MCAST_TTL] }
//! ```

use std::net::IpAddr;

use netlink_packet_core::NlasIterator;

use super::WireError;
use super::consts::{daemon, sync};
use super::value::{Value, array, nla_by_value, text_of, u8_of, u16_of, u32_of};
use crate::model::{SyncDaemon, SyncRole};

/// One attribute of the daemon nest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DaemonAttribute {
    /// Which daemon.
    State(u32),
    /// Interface.
    Interface(String),
    /// Identity.
    SyncId(u32),
    /// Longest message in bytes.
    MaxLen(u16),
    /// IPv4 or IPv6 group.
    Group(IpAddr),
    /// UDP port.
    Port(u16),
    /// Time to live.
    Ttl(u8),
    /// An attribute of a newer kernel.
    Other(u16, Vec<u8>),
}

impl DaemonAttribute {
    fn number(&self) -> u16 {
        match self {
            Self::State(_) => daemon::STATE,
            Self::Interface(_) => daemon::MCAST_IFN,
            Self::SyncId(_) => daemon::SYNC_ID,
            Self::MaxLen(_) => daemon::SYNC_MAXLEN,
            Self::Group(IpAddr::V4(_)) => daemon::MCAST_GROUP,
            Self::Group(IpAddr::V6(_)) => daemon::MCAST_GROUP6,
            Self::Port(_) => daemon::MCAST_PORT,
            Self::Ttl(_) => daemon::MCAST_TTL,
            Self::Other(number, _) => *number,
        }
    }

    fn value(&self) -> Value<'_> {
        match self {
            Self::State(it) | Self::SyncId(it) => Value::inline(it.to_ne_bytes()),
            Self::Interface(name) => Value::text(name),
            Self::MaxLen(it) | Self::Port(it) => Value::inline(it.to_ne_bytes()),
            Self::Group(IpAddr::V4(group)) => Value::inline(group.octets()),
            Self::Group(IpAddr::V6(group)) => Value::inline(group.octets()),
            Self::Ttl(it) => Value::inline([*it]),
            Self::Other(_, bytes) => Value::Borrowed(bytes),
        }
    }

    fn parse(number: u16, value: &[u8]) -> Result<Self, WireError> {
        Ok(match number {
            daemon::STATE => Self::State(u32_of("IPVS_DAEMON_ATTR_STATE", value)?),
            daemon::MCAST_IFN => Self::Interface(text_of("IPVS_DAEMON_ATTR_MCAST_IFN", value)?.to_owned()),
            daemon::SYNC_ID => Self::SyncId(u32_of("IPVS_DAEMON_ATTR_SYNC_ID", value)?),
            daemon::SYNC_MAXLEN => Self::MaxLen(u16_of("IPVS_DAEMON_ATTR_SYNC_MAXLEN", value)?),
            daemon::MCAST_GROUP => {
                Self::Group(IpAddr::from(array::<4>("IPVS_DAEMON_ATTR_MCAST_GROUP", value)?))
            }
            daemon::MCAST_GROUP6 => {
                Self::Group(IpAddr::from(array::<16>("IPVS_DAEMON_ATTR_MCAST_GROUP6", value)?))
            }
            daemon::MCAST_PORT => Self::Port(u16_of("IPVS_DAEMON_ATTR_MCAST_PORT", value)?),
            daemon::MCAST_TTL => Self::Ttl(u8_of("IPVS_DAEMON_ATTR_MCAST_TTL", value)?),
            other => Self::Other(other, value.to_vec()),
        })
    }
}

nla_by_value!(DaemonAttribute);

/// Reads the attributes of a daemon nest.
///
/// # Errors
/// [`WireError`] if the nest is malformed or a known attribute's value is.
pub fn parse(nest: &[u8]) -> Result<Vec<DaemonAttribute>, WireError> {
    NlasIterator::new(nest)
        .map(|nla| {
            let nla = nla?;
            DaemonAttribute::parse(nla.kind(), nla.value())
        })
        .collect()
}

/// The attribute that names a daemon.
#[must_use]
pub fn identity(role: SyncRole) -> DaemonAttribute {
    DaemonAttribute::State(match role {
        SyncRole::Master => sync::MASTER,
        SyncRole::Backup => sync::BACKUP,
    })
}

/// The attributes of a request to start a daemon, and of a reply.
#[must_use]
pub fn attributes(from: &SyncDaemon) -> Vec<DaemonAttribute> {
    let mut all = vec![
        identity(from.role),
        DaemonAttribute::Interface(from.interface.clone()),
        DaemonAttribute::SyncId(from.sync_id.into()),
    ];
    all.extend(from.max_len.map(DaemonAttribute::MaxLen));
    all.extend(from.group.map(DaemonAttribute::Group));
    all.extend(from.port.map(DaemonAttribute::Port));
    all.extend(from.ttl.map(DaemonAttribute::Ttl));
    all
}

/// The daemon that a list of attributes names.
///
/// # Errors
/// [`WireError`] if the state is absent or unknown.
pub fn role(attributes: &[DaemonAttribute]) -> Result<SyncRole, WireError> {
    let state = attributes.iter().rev().find_map(|attribute| match attribute {
        DaemonAttribute::State(state) => Some(*state),
        _ => None,
    });
    match state.ok_or(WireError::Missing("IPVS_DAEMON_ATTR_STATE"))? {
        sync::MASTER => Ok(SyncRole::Master),
        sync::BACKUP => Ok(SyncRole::Backup),
        other => Err(WireError::Value { attribute: "IPVS_DAEMON_ATTR_STATE", value: other.to_string() }),
    }
}

/// The daemon that a list of attributes describes.
///
/// # Errors
/// [`WireError`] if state, interface or identity are absent, the state is unknown or the identity above 255.
pub fn daemon(attributes: &[DaemonAttribute]) -> Result<SyncDaemon, WireError> {
    let mut into = SyncDaemon::new(role(attributes)?, "", 0);
    let mut sync_id = None;
    for attribute in attributes {
        match attribute {
            DaemonAttribute::Interface(name) => into.interface.clone_from(name),
            DaemonAttribute::SyncId(id) => sync_id = Some(*id),
            DaemonAttribute::MaxLen(length) => into.max_len = Some(*length),
            DaemonAttribute::Group(group) => into.group = Some(*group),
            DaemonAttribute::Port(port) => into.port = Some(*port),
            DaemonAttribute::Ttl(ttl) => into.ttl = Some(*ttl),
            DaemonAttribute::State(_) | DaemonAttribute::Other(..) => {}
        }
    }
    if into.interface.is_empty() {
        return Err(WireError::Missing("IPVS_DAEMON_ATTR_MCAST_IFN"));
    }
    let sync_id = sync_id.ok_or(WireError::Missing("IPVS_DAEMON_ATTR_SYNC_ID"))?;
    into.sync_id = u8::try_from(sync_id).map_err(|_| WireError::Value {
        attribute: "IPVS_DAEMON_ATTR_SYNC_ID",
        value: sync_id.to_string(),
    })?;
    Ok(into)
}
