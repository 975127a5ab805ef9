//! What given options mean: services, real servers, timeouts, daemons, listings.

use std::net::Ipv6Addr;
use std::num::{NonZeroU16, NonZeroU32};
use std::time::Duration;

use super::address::Endpoint;
use super::args::{ArgsError, Columns, Command, List, Listed, Parsed};
use super::given::Given;
use super::names::Names;
use super::options::Key;
use super::values::{LONGEST_TIMEOUT, endpoint, group, netmask, number, scheduler_flags};
use crate::model::{
    Destination, DestinationId, Family, Forward, Granularity, Persistence, PersistenceEngine, Protocol,
    Scheduler, Service, ServiceFlags, ServiceId, SyncDaemon, SyncRole, Timeouts, Tunnel, TunnelChecksum,
};
use crate::request::Request;

/// Persistence timeout when `-p` has no value, in seconds.
const DEFAULT_PERSISTENCE: u32 = 360;

/// What is said of a service whose port is 0.
const EVERY_PORT: &str = "a port of 0 (every port) is for persistent services only (-p)";

impl Given {
    /// The command that was given; none at all lists the table.
    pub(super) fn meaning(&self, names: &dyn Names) -> Parsed<Command> {
        let id = self.service_id(names)?;
        // `check` has made sure that the commands that need one have one.
        let service = || id.ok_or_else(|| ArgsError::wrong("a virtual service is needed"));
        let request = match self.command.unwrap_or(Key::List) {
            Key::Help => return Ok(Command::Help),
            Key::Version => return Ok(Command::Version),
            Key::Restore => return Ok(Command::Restore),
            Key::Save => return Ok(Command::Save { numeric: self.has(Key::Numeric) }),
            Key::AddService => Request::AddService(self.service(service()?)?),
            Key::EditService => Request::EditService(self.service(service()?)?),
            Key::DeleteService => Request::DeleteService(service()?),
            Key::Clear => Request::Flush,
            Key::AddServer => Request::AddDestination(service()?, self.destination(service()?, names)?),
            Key::EditServer => Request::EditDestination(service()?, self.destination(service()?, names)?),
            Key::DeleteServer => Request::DeleteDestination(service()?, self.real_server(service()?, names)?),
            Key::Zero => Request::Zero(id),
            Key::Set => Request::SetTimeouts(self.timeouts()?),
            Key::StartDaemon => Request::StartDaemon(self.daemon()?),
            Key::StopDaemon => {
                self.sync_id()?;
                Request::StopDaemon(self.role(Key::StopDaemon)?)
            }
            _ => return List::of(self, id).map(Command::List),
        };
        Ok(Command::Change(request))
    }

    pub(super) fn service_id(&self, names: &dyn Names) -> Parsed<Option<ServiceId>> {
        let six = self.has(Key::Ipv6);
        if let Some(text) = self.value(Key::FwmarkService) {
            let mark = text.trim_ascii_start().parse::<NonZeroU32>().map_err(|_| {
                ArgsError::wrong(format!("-f `{text}`: a firewall mark is a number from 1 to 4294967295"))
            })?;
            let family = if six { Family::V6 } else { Family::V4 };
            return Ok(Some(ServiceId::FwMark { mark, family }));
        }
        if six {
            return Err(ArgsError::wrong("-6 goes with -f only"));
        }
        let protocols = [
            (Key::TcpService, Protocol::Tcp),
            (Key::UdpService, Protocol::Udp),
            (Key::SctpService, Protocol::Sctp),
        ];
        for (key, protocol) in protocols {
            if let Some(text) = self.value(key) {
                let Endpoint { address, port } = endpoint(key, text, protocol, names)?;
                return Ok(Some(ServiceId::Address { protocol, address, port: port.unwrap_or(0) }));
            }
        }
        Ok(None)
    }

    fn service(&self, id: ServiceId) -> Parsed<Service> {
        // Like the original takes an empty name for none; that a name can be no scheduler's it learns from the kernel.
        let scheduler = match self.value(Key::Scheduler).filter(|name| !name.is_empty()) {
            Some(name) => Scheduler::new(name).map_err(|error| ArgsError::unknown(format!("-s: {error}")))?,
            None => Scheduler::WLC,
        };
        let persistence = self.persistence(id.family())?;
        if let ServiceId::Address { protocol, port, .. } = id {
            if port == 0 && persistence.is_none() {
                return Err(ArgsError::wrong(self.zero_port()));
            }
            if self.has(Key::Ops) && protocol != Protocol::Udp {
                return Err(ArgsError::wrong(
                    "-o (one-packet scheduling) is for UDP services and firewall marks",
                ));
            }
        }
        let mut flags = match self.value(Key::SchedFlags) {
            Some(words) => scheduler_flags(words, scheduler)?,
            None => ServiceFlags::NONE,
        };
        if self.has(Key::Ops) {
            flags |= ServiceFlags::ONE_PACKET;
        }
        Ok(Service { flags, persistence, ..Service::new(id, scheduler) })
    }

    /// Why a service cannot be without a port; often it was meant to have one.
    fn zero_port(&self) -> String {
        let keys = [Key::TcpService, Key::UdpService, Key::SctpService];
        let given = keys.into_iter().find_map(|key| Some((key, self.value(key)?)));
        let Some((key, text)) = given else { return EVERY_PORT.to_owned() };
        let word = key.word();
        match text.parse::<Ipv6Addr>().is_ok().then(|| text.rsplit_once(':')).flatten() {
            Some((address, port)) if address.parse::<Ipv6Addr>().is_ok() && port.parse::<u16>().is_ok() => {
                format!(
                    "{word} `{text}` is an IPv6 address without a port; if {port} is meant to be its port, write \
                 [{address}]:{port}; {EVERY_PORT}"
                )
            }
            Some(_) => format!("{word} `{text}` has no port, as in [{text}]:80; {EVERY_PORT}"),
            None if text.contains(':') => format!("{word} `{text}`: {EVERY_PORT}"),
            None => format!("{word} `{text}` has no port, as in {text}:80; {EVERY_PORT}"),
        }
    }

    fn persistence(&self, family: Family) -> Parsed<Option<Persistence>> {
        let granularity = match self.value(Key::Netmask) {
            Some(text) => netmask(text, family)?,
            None => Granularity::single_client(family),
        };
        let engine = self.value(Key::Engine).filter(|name| !name.is_empty());
        let engine = engine.map(PersistenceEngine::new).transpose();
        let engine = engine.map_err(|error| ArgsError::unknown(format!("--pe: {error}")))?;
        if !self.has(Key::Persistent) {
            return match engine {
                Some(_) => Err(ArgsError::wrong("--pe has no effect without -p")),
                None => Ok(None),
            };
        }
        let seconds = self.number(Key::Persistent, 1, LONGEST_TIMEOUT)?.unwrap_or(DEFAULT_PERSISTENCE);
        let timeout = Duration::from_secs(seconds.into());
        Ok(Some(Persistence { timeout, granularity, engine }))
    }

    fn real_server(&self, service: ServiceId, names: &dyn Names) -> Parsed<DestinationId> {
        let text = self.value(Key::RealServer).unwrap_or_default();
        let protocol = match service {
            ServiceId::Address { protocol, .. } => protocol,
            ServiceId::FwMark { .. } => Protocol::Tcp,
        };
        let Endpoint { address, port } = endpoint(Key::RealServer, text, protocol, names)?;
        Ok(DestinationId { address, port: port.unwrap_or(service.port()) })
    }

    fn destination(&self, service: ServiceId, names: &dyn Names) -> Parsed<Destination> {
        const MOST: u32 = i32::MAX.unsigned_abs();
        let mut id = self.real_server(service, names)?;
        let forward = self.forward()?;
        if Family::of(id.address) != service.family() && !matches!(forward, Forward::Tunnel(_)) {
            let text = self.value(Key::RealServer).unwrap_or_default();
            return Err(ArgsError::wrong(format!(
                "-r `{text}`: a real server of the other address family than its service can be reached by tunnelling \
                 (-i) only"
            )));
        }
        // Neither can change the port, so like the original take the service's, whatever was said.
        let fixed = matches!(forward, Forward::Tunnel(_) | Forward::DirectRoute);
        if fixed && matches!(service, ServiceId::Address { .. }) {
            id.port = service.port();
        }
        Ok(Destination {
            weight: self.number(Key::Weight, 0, MOST)?.unwrap_or(1),
            upper_threshold: self.number(Key::UThreshold, 0, MOST)?.unwrap_or(0),
            lower_threshold: self.number(Key::LThreshold, 0, MOST)?.unwrap_or(0),
            ..Destination::new(id, forward)
        })
    }

    fn forward(&self) -> Parsed<Forward> {
        if self.has(Key::Ipip) {
            return Ok(Forward::Tunnel(self.tunnel()?));
        }
        let of_tunnels = [Key::TunType, Key::TunPort, Key::TunNocsum, Key::TunCsum, Key::TunRemcsum];
        if let Some(key) = of_tunnels.into_iter().find(|key| self.has(*key)) {
            return Err(ArgsError::wrong(format!("{} is for tunnelling (-i)", key.word())));
        }
        Ok(if self.has(Key::Masquerading) { Forward::Masquerade } else { Forward::DirectRoute })
    }

    fn tunnel(&self) -> Parsed<Tunnel> {
        let kinds = [Key::TunNocsum, Key::TunCsum, Key::TunRemcsum];
        let given = kinds.into_iter().find(|key| self.has(*key));
        let checksum = match given {
            Some(Key::TunCsum) => TunnelChecksum::Checksum,
            Some(Key::TunRemcsum) => TunnelChecksum::Remote,
            _ => TunnelChecksum::None,
        };
        let port = self.number(Key::TunPort, 1, 65_535)?;
        let port = port.and_then(|port| NonZeroU16::new(u16::try_from(port).unwrap_or(u16::MAX)));
        let kind = self.value(Key::TunType).unwrap_or("ipip");
        let excess =
            |key: Key| Err(ArgsError::wrong(format!("{} does not go with --tun-type {kind}", key.word())));
        match (kind, port, given) {
            ("ipip", Some(_), _) | ("gre", Some(_), _) => excess(Key::TunPort),
            ("ipip", None, Some(key)) => excess(key),
            ("ipip", None, None) => Ok(Tunnel::Ipip),
            ("gre", None, Some(Key::TunRemcsum)) => excess(Key::TunRemcsum),
            ("gre", None, _) => Ok(Tunnel::Gre { checksum: checksum == TunnelChecksum::Checksum }),
            ("gue", None, _) => Err(ArgsError::wrong("--tun-type gue needs --tun-port")),
            ("gue", Some(port), _) => Ok(Tunnel::Gue { port, checksum }),
            (other, ..) => {
                Err(ArgsError::wrong(format!("--tun-type `{other}`: the types are ipip, gue and gre")))
            }
        }
    }

    fn timeouts(&self) -> Parsed<Timeouts> {
        let mut seconds = self.others.iter().map(|text| {
            number("--set", text, 0, LONGEST_TIMEOUT).map(|seconds| Duration::from_secs(seconds.into()))
        });
        match (seconds.next(), seconds.next(), seconds.next()) {
            (Some(tcp), Some(tcp_fin), Some(udp)) => Ok(Timeouts { tcp: tcp?, tcp_fin: tcp_fin?, udp: udp? }),
            _ => Err(ArgsError::wrong("--set needs three timeouts in seconds: tcp, tcpfin and udp")),
        }
    }

    fn role(&self, command: Key) -> Parsed<SyncRole> {
        match self.value(command).unwrap_or_default() {
            "master" => Ok(SyncRole::Master),
            "backup" => Ok(SyncRole::Backup),
            other => {
                let word = command.word();
                Err(ArgsError::wrong(format!("{word} `{other}`: the states are master and backup")))
            }
        }
    }

    /// Listings and `--stop-daemon` take it too, without effect.
    fn sync_id(&self) -> Parsed<u8> {
        let id = self.number(Key::Syncid, 0, 255)?.unwrap_or(0);
        Ok(u8::try_from(id).unwrap_or(u8::MAX))
    }

    fn daemon(&self) -> Parsed<SyncDaemon> {
        let interface = self.value(Key::McastInterface).filter(|name| !name.is_empty()).unwrap_or("eth0");
        // What Linux allows, but for the `#`, which begins a comment where lines are read.
        let is_odd = |letter: char| letter.is_whitespace() || matches!(letter, '/' | ':');
        if !(1..=15).contains(&interface.len()) || interface.starts_with('#') || interface.contains(is_odd) {
            return Err(ArgsError::unknown(format!(
                "--mcast-interface `{interface}`: a name has 1 to 15 bytes, without blanks, `/` and `:`, the first \
                 not a #"
            )));
        }
        let small = |value: u32| u16::try_from(value).unwrap_or(u16::MAX);
        let tiny = |value: u32| u8::try_from(value).unwrap_or(u8::MAX);
        Ok(SyncDaemon {
            role: self.role(Key::StartDaemon)?,
            interface: interface.to_owned(),
            sync_id: self.sync_id()?,
            max_len: self.number(Key::SyncMaxlen, 1, 65_507)?.map(small),
            group: self.value(Key::McastGroup).map(group).transpose()?,
            port: self.number(Key::McastPort, 1, 65_535)?.map(small),
            ttl: self.number(Key::McastTtl, 1, 255)?.map(tiny),
        })
    }
}

impl List {
    fn of(given: &Given, only: Option<ServiceId>) -> Parsed<Self> {
        given.sync_id()?;
        let kinds = [Key::Connection, Key::Timeout, Key::Daemon];
        let kind = kinds.into_iter().find(|key| given.has(*key));
        let service = [Key::TcpService, Key::UdpService, Key::SctpService, Key::FwmarkService];
        let table = [Key::Stats, Key::Rate, Key::Thresholds];
        if let Some(kind) = kind {
            let others = kinds.iter().filter(|key| **key != kind).chain(&service).chain(&table);
            let templates = (kind != Key::Connection).then_some(&Key::PersistentConn);
            if let Some(other) = others.chain(templates).find(|key| given.has(**key)) {
                let (first, second) = (kind.word(), other.word());
                return Err(ArgsError::wrong(format!("{first} and {second} exclude each other")));
            }
        }
        let what = match kind {
            Some(Key::Connection) => Listed::Connections { engines: given.has(Key::PersistentConn) },
            Some(Key::Timeout) => Listed::Timeouts,
            Some(_) => Listed::Daemons,
            None => {
                let (exact, sorted) = (given.has(Key::Exact), !given.has(Key::Nosort));
                Listed::Table { only, columns: columns(given), exact, sorted }
            }
        };
        Ok(Self { what, numeric: given.has(Key::Numeric), json: given.has(Key::Json) })
    }
}

/// Of several, the original's first choice.
fn columns(given: &Given) -> Columns {
    let choices = [
        (Key::Stats, Columns::Stats),
        (Key::Rate, Columns::Rate),
        (Key::Thresholds, Columns::Thresholds),
        (Key::PersistentConn, Columns::Persistence),
        (Key::TunInfo, Columns::Tunnels),
    ];
    choices.into_iter().find(|(key, _)| given.has(*key)).map_or(Columns::Usual, |(_, columns)| columns)
}
