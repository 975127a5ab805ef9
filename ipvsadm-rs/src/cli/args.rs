//! Words of the command line to a [`Command`]: pure, in the original's grammar.
//!
//! Two steps: collect options and values, check that they go together; then give them their meaning. Unlike
//! in the original the order of the options does not matter after the command.

use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU32;
use std::time::Duration;

use super::address::{self, Endpoint};
use super::exit;
use super::names::Names;
use super::options::{self, Key, Value};
use crate::model::{
    Destination, DestinationId, Family, Forward, Persistence, PersistenceEngine, Protocol, Scheduler,
    Service, ServiceFlags, ServiceId, SyncDaemon, SyncRole, Timeouts, Tunnel, TunnelChecksum,
};
use crate::request::{Request, scheduler_flag_names};

/// Longest timeout that the original takes: 31 days.
const LONGEST_TIMEOUT: u32 = 31 * 86_400;
/// Persistence timeout when `-p` has no value, in seconds.
const DEFAULT_PERSISTENCE: u32 = 360;

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Show the help text.
    Help,
    /// Show the version.
    Version,
    /// Change something.
    Change(Request),
    /// Read rules from standard input.
    Restore,
    /// Write rules.
    Save {
        /// Whether addresses and ports stay numbers.
        numeric: bool,
    },
    /// List something.
    List(List),
}

/// What is to be listed, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct List {
    /// What.
    pub what: Listed,
    /// Whether addresses and ports stay numbers.
    pub numeric: bool,
}

/// What is to be listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listed {
    /// The table, or one service of it.
    Table {
        /// The service.
        only: Option<ServiceId>,
        /// What is shown of each.
        columns: Columns,
        /// Whether counters are shown in full.
        exact: bool,
        /// Whether it is sorted.
        sorted: bool,
    },
    /// Connections.
    Connections {
        /// Whether the data of persistence engines is shown.
        engines: bool,
    },
    /// Timeouts.
    Timeouts,
    /// Sync daemons.
    Daemons,
}

/// Columns of a listing of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Columns {
    /// Forwarding method, weight, connections.
    Usual,
    /// Counters.
    Stats,
    /// Rates.
    Rate,
    /// Thresholds and connections.
    Thresholds,
    /// Weight, persistence templates, connections.
    Persistence,
    /// The usual ones and the tunnel.
    Tunnels,
}

/// Why a command line is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArgsError {
    /// What was found and what is allowed.
    pub message: String,
    /// Exit status.
    pub status: u8,
    /// Whether the original reads no further lines after such a one.
    pub ends_restore: bool,
}

impl ArgsError {
    fn wrong(message: impl Into<String>) -> Self {
        Self { message: message.into(), status: exit::USAGE, ends_restore: true }
    }

    /// An option that does not exist or lacks its value.
    fn unknown(message: impl Into<String>) -> Self {
        Self { message: message.into(), status: exit::REFUSED, ends_restore: false }
    }

    fn no_command(message: impl Into<String>) -> Self {
        Self { message: message.into(), status: exit::REFUSED, ends_restore: true }
    }
}

type Parsed<T> = Result<T, ArgsError>;

/// Reads a command line without the program's name. No words at all list the table.
///
/// # Errors
/// [`ArgsError`] that names the option, what was found and what is allowed.
pub fn parse(words: impl IntoIterator<Item = OsString>, names: &dyn Names) -> Parsed<Command> {
    let words: Vec<OsString> = words.into_iter().collect();
    if words.is_empty() {
        return List::of(&Given::default(), None).map(Command::List);
    }
    let given = Given::collect(words)?;
    given.check()?;
    given.meaning(names)
}

/// A command with its options, not yet understood.
#[derive(Debug, Default)]
struct Given {
    command: Option<Key>,
    options: Vec<(Key, Option<String>)>,
    others: Vec<String>,
}

impl Given {
    fn collect(words: Vec<OsString>) -> Parsed<Self> {
        let mut given = Self::default();
        let mut parser = lexopt::Parser::from_args(words);
        loop {
            let word = parser.next().map_err(|error| ArgsError::unknown(error.to_string()))?;
            let (row, name) = match word {
                None => break,
                Some(lexopt::Arg::Value(value)) => {
                    if given.command.is_none() {
                        let text = value.to_string_lossy();
                        return Err(ArgsError::no_command(format!("`{text}` is not a command; try --help")));
                    }
                    given.others.push(value.to_string_lossy().into_owned());
                    continue;
                }
                Some(lexopt::Arg::Short(short)) => {
                    (options::all().find(|row| row.short.contains(&short)), format!("-{short}"))
                }
                Some(lexopt::Arg::Long(long)) => {
                    (options::all().find(|row| row.long == long), format!("--{long}"))
                }
            };
            let Some(row) = row else {
                return Err(match given.command {
                    None => ArgsError::no_command(format!("unknown command {name}; try --help")),
                    Some(_) => ArgsError::unknown(format!("unknown option {name}; try --help")),
                });
            };
            let value = value(&mut parser, row.value, &name)?;
            given.add(row.key, value)?;
        }
        match given.command {
            Some(_) => Ok(given),
            None => Err(ArgsError::no_command("no command is given; try --help")),
        }
    }

    fn add(&mut self, key: Key, value: Option<String>) -> Parsed<()> {
        let command = self.command;
        match (key.is_command(), command) {
            (true, None) => self.command = Some(key),
            (true, Some(first)) => {
                let (first, second) = (first.word(), key.word());
                return Err(ArgsError::wrong(format!("two commands: {first} and {second}")));
            }
            (false, None) => {
                let word = key.word();
                return Err(ArgsError::no_command(format!("a command must come before {word}; try --help")));
            }
            (false, Some(_)) => {
                if let Some((other, _)) = self.options.iter().find(|(other, _)| other.group() == key.group())
                {
                    let (first, second) = (other.word(), key.word());
                    return Err(ArgsError::wrong(match first == second {
                        true => format!("{first} is given twice"),
                        false => format!("{first} and {second} exclude each other"),
                    }));
                }
            }
        }
        // The value of a command is kept like an option's.
        if !key.is_command() || value.is_some() {
            self.options.push((key, value));
        }
        Ok(())
    }

    /// Whether the options fit the command.
    fn check(&self) -> Parsed<()> {
        let command = self.command.unwrap_or(Key::List);
        let word = command.word();
        let (takes, needs) = options::fitting(command);
        for (key, _) in &self.options {
            if !key.is_command() && !takes.contains(&key.group()) {
                return Err(ArgsError::wrong(format!("{} does not go with {word}", key.word())));
            }
        }
        for key in needs {
            if !self.options.iter().any(|(given, _)| given.group() == *key) {
                let wanted = match key {
                    Key::TcpService => "a virtual service (-t, -u, --sctp-service or -f)".to_owned(),
                    other => other.word(),
                };
                return Err(ArgsError::wrong(format!("{word} needs {wanted}")));
            }
        }
        let takes = if command == Key::Set { 3 } else { 0 };
        match self.others.get(takes) {
            Some(word) => Err(ArgsError::wrong(format!("unexpected word `{word}`"))),
            None => Ok(()),
        }
    }

    fn has(&self, key: Key) -> bool {
        self.options.iter().any(|(given, _)| *given == key)
    }

    fn value(&self, key: Key) -> Option<&str> {
        self.options.iter().find(|(given, _)| *given == key)?.1.as_deref()
    }

    fn number(&self, key: Key, least: u32, most: u32) -> Parsed<Option<u32>> {
        self.value(key).map(|text| number(&key.word(), text, least, most)).transpose()
    }

    fn meaning(&self, names: &dyn Names) -> Parsed<Command> {
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
            Key::StopDaemon => Request::StopDaemon(self.role(Key::StopDaemon)?),
            _ => return List::of(self, id).map(Command::List),
        };
        Ok(Command::Change(request))
    }

    fn service_id(&self, names: &dyn Names) -> Parsed<Option<ServiceId>> {
        let six = self.has(Key::Ipv6);
        if let Some(text) = self.value(Key::FwmarkService) {
            let mark = text.parse::<NonZeroU32>().map_err(|_| {
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
        let scheduler = match self.value(Key::Scheduler) {
            Some(name) => Scheduler::new(name).map_err(|error| ArgsError::wrong(format!("-s: {error}")))?,
            None => Scheduler::WLC,
        };
        let persistence = self.persistence(id.family())?;
        if let ServiceId::Address { protocol, port, .. } = id {
            if port == 0 && persistence.is_none() {
                return Err(ArgsError::wrong(
                    "a port of 0 (every port) is for persistent services only: add -p",
                ));
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
        Ok(Service { id, scheduler, flags, persistence })
    }

    fn persistence(&self, family: Family) -> Parsed<Option<Persistence>> {
        let granularity = match self.value(Key::Netmask) {
            Some(text) => netmask(text, family)?,
            None => family.bits(),
        };
        let engine = self.value(Key::Engine).map(PersistenceEngine::new).transpose();
        let engine = engine.map_err(|error| ArgsError::wrong(format!("--pe: {error}")))?;
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
            let message = "a real server of the other address family can be reached by tunnelling (-i) only";
            return Err(ArgsError::wrong(message));
        }
        // Neither can change the port, so like the original take the service's, whatever was said.
        let fixed = matches!(forward, Forward::Tunnel(_) | Forward::DirectRoute);
        if fixed && matches!(service, ServiceId::Address { .. }) {
            id.port = service.port();
        }
        Ok(Destination {
            id,
            forward,
            weight: self.number(Key::Weight, 0, MOST)?.unwrap_or(1),
            upper_threshold: self.number(Key::UThreshold, 0, MOST)?.unwrap_or(0),
            lower_threshold: self.number(Key::LThreshold, 0, MOST)?.unwrap_or(0),
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
        let port = self.number(Key::TunPort, 1, 65_535)?.map(|port| u16::try_from(port).unwrap_or(u16::MAX));
        let kind = self.value(Key::TunType).unwrap_or("ipip");
        let excess =
            |key: Key| Err(ArgsError::wrong(format!("{} does not go with --tun-type {kind}", key.word())));
        match (kind, port, given) {
            ("ipip", Some(_), _) | ("gre", Some(_), _) => excess(Key::TunPort),
            ("ipip", None, Some(key)) => excess(key),
            ("ipip", None, None) => Ok(Tunnel::Ipip),
            ("gre", None, Some(Key::TunRemcsum)) => excess(Key::TunRemcsum),
            ("gre", None, _) => Ok(Tunnel::Gre { checksum }),
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

    fn daemon(&self) -> Parsed<SyncDaemon> {
        let interface = self.value(Key::McastInterface).unwrap_or("eth0");
        if interface.is_empty() || interface.len() > 15 {
            let message = format!("--mcast-interface `{interface}`: a name has 1 to 15 bytes");
            return Err(ArgsError::wrong(message));
        }
        let small = |value: u32| u16::try_from(value).unwrap_or(u16::MAX);
        let tiny = |value: u32| u8::try_from(value).unwrap_or(u8::MAX);
        Ok(SyncDaemon {
            role: self.role(Key::StartDaemon)?,
            interface: interface.to_owned(),
            sync_id: tiny(self.number(Key::Syncid, 0, 255)?.unwrap_or(0)),
            max_len: self.number(Key::SyncMaxlen, 1, 65_507)?.map(small),
            group: self.value(Key::McastGroup).map(group).transpose()?,
            port: self.number(Key::McastPort, 1, 65_535)?.map(small),
            ttl: self.number(Key::McastTtl, 1, 255)?.map(tiny),
        })
    }
}

impl List {
    fn of(given: &Given, only: Option<ServiceId>) -> Parsed<Self> {
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
        Ok(Self { what, numeric: given.has(Key::Numeric) })
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

/// The value of an option, if it takes one and has one.
fn value(parser: &mut lexopt::Parser, kind: Value, name: &str) -> Parsed<Option<String>> {
    let text = |value: OsString| {
        value
            .into_string()
            .map_err(|value| ArgsError::wrong(format!("{name} `{}` is not UTF-8", value.to_string_lossy())))
    };
    match kind {
        Value::No | Value::Three(_) => Ok(None),
        Value::Required(_) => match parser.value() {
            Ok(value) => text(value).map(Some),
            Err(_) => Err(ArgsError::unknown(format!("{name} needs a value; try --help"))),
        },
        Value::Optional(_) => {
            if let Some(value) = parser.optional_value() {
                return text(value).map(Some);
            }
            // Like the original, take the next word too, unless it is an option.
            let next = parser
                .try_raw_args()
                .and_then(|mut words| words.next_if(|word| !word.as_encoded_bytes().starts_with(b"-")));
            next.map(text).transpose()
        }
    }
}

fn endpoint(key: Key, text: &str, protocol: Protocol, names: &dyn Names) -> Parsed<Endpoint> {
    address::parse(text, protocol, names)
        .map_err(|message| ArgsError::wrong(format!("{} `{text}`: {message}", key.word())))
}

fn number(name: &str, text: &str, least: u32, most: u32) -> Parsed<u32> {
    text.parse().ok().filter(|number| (least..=most).contains(number)).ok_or_else(|| {
        ArgsError::wrong(format!("{name} `{text}`: a whole number from {least} to {most} is needed"))
    })
}

/// A mask, or a prefix length, which the original has for IPv6 only.
fn netmask(text: &str, family: Family) -> Parsed<u8> {
    let length = text.parse::<u8>().ok();
    match (family, length) {
        (Family::V4, Some(length @ 0..=32)) | (Family::V6, Some(length @ 1..=128)) => Ok(length),
        (Family::V6, _) => {
            Err(ArgsError::wrong(format!("-M `{text}`: for IPv6 a prefix length from 1 to 128 is needed")))
        }
        (Family::V4, _) => {
            let mask = text.parse::<Ipv4Addr>().map(Ipv4Addr::to_bits).ok();
            let contiguous = mask.filter(|mask| mask.leading_ones() == mask.count_ones());
            let length = contiguous.and_then(|mask| u8::try_from(mask.count_ones()).ok());
            length.ok_or_else(|| {
                ArgsError::wrong(format!(
                    "-M `{text}`: a mask without holes, such as 255.255.255.0, or a prefix length from 0 to 32 is needed"
                ))
            })
        }
    }
}

fn scheduler_flags(words: &str, scheduler: Scheduler) -> Parsed<ServiceFlags> {
    let bits = [ServiceFlags::SCHEDULER_1, ServiceFlags::SCHEDULER_2, ServiceFlags::SCHEDULER_3];
    let own = scheduler_flag_names(scheduler.as_str());
    let plain = scheduler_flag_names("");
    let mut flags = ServiceFlags::NONE;
    for word in words.split(',').filter(|word| !word.is_empty()) {
        let place = own.iter().position(|name| *name == word).or(plain.iter().position(|name| *name == word));
        match place.and_then(|place| bits.get(place)) {
            Some(bit) => flags |= *bit,
            None => {
                let known = own.join(", ");
                return Err(ArgsError::wrong(format!("-b `{word}`: the flags of {scheduler} are {known}")));
            }
        }
    }
    Ok(flags)
}

fn group(text: &str) -> Parsed<IpAddr> {
    text.parse().ok().filter(IpAddr::is_multicast).ok_or_else(|| {
        ArgsError::wrong(format!("--mcast-group `{text}`: an IPv4 or IPv6 multicast address is needed"))
    })
}
