//! A whole message of the family: a command and its top-level attributes.
//!
//! ```text
//! nlmsghdr | genlmsghdr { cmd, version 1 } | SERVICE {..} DEST {..} | DAEMON {..} | TIMEOUT_* | INFO
//! ```
//! Both directions use the same type, because the kernel answers a question with the command that would have
//! set what it tells.

use std::time::Duration;

use netlink_packet_core::{
    DecodeError, Emitable, NLA_F_NESTED, Nla, NlaBuffer, NlasIterator, ParseableParametrized,
};
use netlink_packet_generic::{GenlFamily, GenlHeader};

use super::WireError;
use super::consts::{FAMILY, VERSION, attr, cmd, info};
use super::daemon::{self, DaemonAttribute};
use super::destination::{self, DestinationAttribute};
use super::service::{self, ServiceAttribute};
use super::value::{Value, number_and_flags, u32_of};
use crate::model::{Destination, Info, ServiceId, Timeouts};
use crate::request::Request;

/// One attribute of the top level.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attribute {
    /// A service.
    Service(Vec<ServiceAttribute>),
    /// A destination.
    Destination(Vec<DestinationAttribute>),
    /// A sync daemon.
    Daemon(Vec<DaemonAttribute>),
    /// TCP timeout in seconds.
    TimeoutTcp(u32),
    /// TCP timeout after a FIN in seconds.
    TimeoutTcpFin(u32),
    /// UDP timeout in seconds.
    TimeoutUdp(u32),
    /// Version of IPVS.
    InfoVersion(u32),
    /// Buckets of the connection table.
    InfoTableSize(u32),
    /// An attribute of a newer kernel.
    Other(u16, Vec<u8>),
}

impl Attribute {
    fn value(&self) -> Value<'_> {
        fn nest<T: Nla>(attributes: &[T]) -> Value<'static> {
            let mut bytes = vec![0; attributes.buffer_len()];
            attributes.emit(&mut bytes);
            Value::Owned(bytes)
        }
        match self {
            Self::Service(attributes) => nest(attributes),
            Self::Destination(attributes) => nest(attributes),
            Self::Daemon(attributes) => nest(attributes),
            Self::TimeoutTcp(it)
            | Self::TimeoutTcpFin(it)
            | Self::TimeoutUdp(it)
            | Self::InfoVersion(it)
            | Self::InfoTableSize(it) => Value::inline(it.to_ne_bytes()),
            Self::Other(_, bytes) => Value::Borrowed(bytes),
        }
    }

    fn number(&self) -> u16 {
        match self {
            Self::Service(_) => attr::SERVICE | NLA_F_NESTED,
            Self::Destination(_) => attr::DEST | NLA_F_NESTED,
            Self::Daemon(_) => attr::DAEMON | NLA_F_NESTED,
            Self::TimeoutTcp(_) => attr::TIMEOUT_TCP,
            Self::TimeoutTcpFin(_) => attr::TIMEOUT_TCP_FIN,
            Self::TimeoutUdp(_) => attr::TIMEOUT_UDP,
            Self::InfoVersion(_) => info::VERSION,
            Self::InfoTableSize(_) => info::CONN_TAB_SIZE,
            Self::Other(number, _) => *number,
        }
    }

    /// `command` decides what a number means: the information reply has numbers of its own.
    fn parse(command: u8, nla: &NlaBuffer<&[u8]>) -> Result<Self, WireError> {
        let (number, value) = (nla.kind(), nla.value());
        Ok(match (command, number) {
            (cmd::SET_INFO, info::VERSION) => Self::InfoVersion(u32_of("IPVS_INFO_ATTR_VERSION", value)?),
            (cmd::SET_INFO, info::CONN_TAB_SIZE) => {
                Self::InfoTableSize(u32_of("IPVS_INFO_ATTR_CONN_TAB_SIZE", value)?)
            }
            (cmd::SET_INFO, _) => Self::Other(number_and_flags(nla), value.to_vec()),
            (_, attr::SERVICE) => Self::Service(service::parse(value)?),
            (_, attr::DEST) => Self::Destination(destination::parse(value)?),
            (_, attr::DAEMON) => Self::Daemon(daemon::parse(value)?),
            (_, attr::TIMEOUT_TCP) => Self::TimeoutTcp(u32_of("IPVS_CMD_ATTR_TIMEOUT_TCP", value)?),
            (_, attr::TIMEOUT_TCP_FIN) => {
                Self::TimeoutTcpFin(u32_of("IPVS_CMD_ATTR_TIMEOUT_TCP_FIN", value)?)
            }
            (_, attr::TIMEOUT_UDP) => Self::TimeoutUdp(u32_of("IPVS_CMD_ATTR_TIMEOUT_UDP", value)?),
            _ => Self::Other(number_and_flags(nla), value.to_vec()),
        })
    }
}

/// An attribute whose value is written once and then emitted, so that nests are not built twice.
struct Ready(u16, Vec<u8>);

impl Nla for Ready {
    fn value_len(&self) -> usize {
        self.1.len()
    }

    fn kind(&self) -> u16 {
        self.0
    }

    fn emit_value(&self, buffer: &mut [u8]) {
        buffer.copy_from_slice(&self.1);
    }
}

/// A command with its attributes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// One of [`cmd`].
    pub command: u8,
    /// Attributes of the top level.
    pub attributes: Vec<Attribute>,
}

impl Message {
    /// A message.
    #[must_use]
    pub fn new(command: u8, attributes: Vec<Attribute>) -> Self {
        Self { command, attributes }
    }

    /// The message that asks for a change.
    #[must_use]
    pub fn of_request(request: &Request) -> Self {
        let id = |id: &ServiceId| Attribute::Service(service::identity(id));
        let (command, attributes) = match request {
            Request::AddService(it) => (cmd::NEW_SERVICE, vec![Attribute::Service(service::attributes(it))]),
            Request::EditService(it) => (cmd::SET_SERVICE, vec![Attribute::Service(service::attributes(it))]),
            Request::DeleteService(service) => (cmd::DEL_SERVICE, vec![id(service)]),
            Request::AddDestination(service, it) => {
                (cmd::NEW_DEST, vec![id(service), Attribute::Destination(destination::attributes(it))])
            }
            Request::EditDestination(service, it) => {
                (cmd::SET_DEST, vec![id(service), Attribute::Destination(destination::attributes(it))])
            }
            Request::DeleteDestination(service, it) => {
                (cmd::DEL_DEST, vec![id(service), Attribute::Destination(destination::identity(it))])
            }
            Request::Flush => (cmd::FLUSH, Vec::new()),
            Request::Zero(service) => (cmd::ZERO, service.iter().map(id).collect()),
            Request::SetTimeouts(timeouts) => (cmd::SET_CONFIG, timeout_attributes(timeouts)),
            Request::StartDaemon(it) => (cmd::NEW_DAEMON, vec![Attribute::Daemon(daemon::attributes(it))]),
            Request::StopDaemon(role) => {
                (cmd::DEL_DAEMON, vec![Attribute::Daemon(vec![daemon::identity(*role)])])
            }
        };
        Self { command, attributes }
    }

    /// The change that a message asks for, `None` if it asks a question. The reverse of
    /// [`Message::of_request`], as the kernel has to do it.
    ///
    /// # Errors
    /// [`WireError`] if attributes are missing or out of range.
    pub fn to_request(&self) -> Result<Option<Request>, WireError> {
        Ok(Some(match self.command {
            cmd::NEW_SERVICE => Request::AddService(service::service(self.required_service()?)?.0),
            cmd::SET_SERVICE => Request::EditService(service::service(self.required_service()?)?.0),
            cmd::DEL_SERVICE => Request::DeleteService(service::id(self.required_service()?)?),
            cmd::NEW_DEST => {
                let (id, destination) = self.required_destination()?;
                Request::AddDestination(id, destination)
            }
            cmd::SET_DEST => {
                let (id, destination) = self.required_destination()?;
                Request::EditDestination(id, destination)
            }
            cmd::DEL_DEST => {
                let id = service::id(self.required_service()?)?;
                let nest = self.destination().ok_or(WireError::Missing("IPVS_CMD_ATTR_DEST"))?;
                Request::DeleteDestination(id, destination::id(nest, id.family())?)
            }
            cmd::FLUSH => Request::Flush,
            cmd::ZERO => Request::Zero(self.service().map(service::id).transpose()?),
            cmd::SET_CONFIG => Request::SetTimeouts(self.timeouts()),
            cmd::NEW_DAEMON => Request::StartDaemon(daemon::daemon(self.required_daemon()?)?),
            cmd::DEL_DAEMON => Request::StopDaemon(daemon::role(self.required_daemon()?)?),
            _ => return Ok(None),
        }))
    }

    fn required_service(&self) -> Result<&[ServiceAttribute], WireError> {
        self.service().ok_or(WireError::Missing("IPVS_CMD_ATTR_SERVICE"))
    }

    fn required_destination(&self) -> Result<(ServiceId, Destination), WireError> {
        let id = service::id(self.required_service()?)?;
        let nest = self.destination().ok_or(WireError::Missing("IPVS_CMD_ATTR_DEST"))?;
        Ok((id, destination::entry(nest, id.family())?.destination))
    }

    fn required_daemon(&self) -> Result<&[DaemonAttribute], WireError> {
        self.daemon().ok_or(WireError::Missing("IPVS_CMD_ATTR_DAEMON"))
    }

    /// Reads what follows the generic netlink header.
    ///
    /// # Errors
    /// [`WireError`] if the attributes are malformed or a known one's value is.
    pub fn parse(command: u8, bytes: &[u8]) -> Result<Self, WireError> {
        let attributes = NlasIterator::new(bytes)
            .map(|nla| {
                let nla = nla?;
                Attribute::parse(command, &nla)
            })
            .collect::<Result<_, WireError>>()?;
        Ok(Self { command, attributes })
    }

    /// The attributes of the service nest, if there is one.
    #[must_use]
    pub fn service(&self) -> Option<&[ServiceAttribute]> {
        self.attributes.iter().find_map(|attribute| match attribute {
            Attribute::Service(nest) => Some(nest.as_slice()),
            _ => None,
        })
    }

    /// The attributes of the destination nest, if there is one.
    #[must_use]
    pub fn destination(&self) -> Option<&[DestinationAttribute]> {
        self.attributes.iter().find_map(|attribute| match attribute {
            Attribute::Destination(nest) => Some(nest.as_slice()),
            _ => None,
        })
    }

    /// The attributes of the daemon nest, if there is one.
    #[must_use]
    pub fn daemon(&self) -> Option<&[DaemonAttribute]> {
        self.attributes.iter().find_map(|attribute| match attribute {
            Attribute::Daemon(nest) => Some(nest.as_slice()),
            _ => None,
        })
    }

    /// The timeouts; an absent one is zero.
    #[must_use]
    pub fn timeouts(&self) -> Timeouts {
        let mut into = Timeouts::default();
        for attribute in &self.attributes {
            match attribute {
                Attribute::TimeoutTcp(it) => into.tcp = Duration::from_secs((*it).into()),
                Attribute::TimeoutTcpFin(it) => into.tcp_fin = Duration::from_secs((*it).into()),
                Attribute::TimeoutUdp(it) => into.udp = Duration::from_secs((*it).into()),
                _ => {}
            }
        }
        into
    }

    /// Version and table size.
    ///
    /// # Errors
    /// [`WireError::Missing`] if one is absent.
    pub fn info(&self) -> Result<Info, WireError> {
        let (mut version, mut table_size) = (None, None);
        for attribute in &self.attributes {
            match attribute {
                Attribute::InfoVersion(it) => version = Some(*it),
                Attribute::InfoTableSize(it) => table_size = Some(*it),
                _ => {}
            }
        }
        Ok(Info {
            version: version.ok_or(WireError::Missing("IPVS_INFO_ATTR_VERSION"))?,
            table_size: table_size.ok_or(WireError::Missing("IPVS_INFO_ATTR_CONN_TAB_SIZE"))?,
        })
    }

    /// Appends the whole message, from the netlink header on. `family` is the resolved family number.
    pub fn write(&self, family: u16, flags: u16, sequence: u32, into: &mut Vec<u8>) {
        let ready: Vec<Ready> =
            self.attributes.iter().map(|it| Ready(it.number(), it.value().bytes().to_vec())).collect();
        let header = GenlHeader { cmd: self.command, version: VERSION };
        let body = header.buffer_len() + ready.as_slice().buffer_len();
        super::ack::write_header(body, family, flags, sequence, into);
        let start = into.len();
        into.resize(start + body, 0);
        header.emit(&mut into[start..]);
        ready.as_slice().emit(&mut into[start + header.buffer_len()..]);
    }
}

/// The attributes that carry timeouts, both ways.
#[must_use]
pub fn timeout_attributes(timeouts: &Timeouts) -> Vec<Attribute> {
    let seconds = |it: Duration| u32::try_from(it.as_secs()).unwrap_or(u32::MAX);
    vec![
        Attribute::TimeoutTcp(seconds(timeouts.tcp)),
        Attribute::TimeoutTcpFin(seconds(timeouts.tcp_fin)),
        Attribute::TimeoutUdp(seconds(timeouts.udp)),
    ]
}

impl GenlFamily for Message {
    fn family_name() -> &'static str {
        FAMILY
    }

    fn command(&self) -> u8 {
        self.command
    }

    fn version(&self) -> u8 {
        VERSION
    }
}

impl ParseableParametrized<[u8], GenlHeader> for Message {
    fn parse_with_param(bytes: &[u8], header: GenlHeader) -> Result<Self, DecodeError> {
        Self::parse(header.cmd, bytes).map_err(|error| error.to_string().into())
    }
}
