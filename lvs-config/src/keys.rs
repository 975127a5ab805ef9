//! The table of directives: where each may stand, what it takes, what it is when not given, what it does.
//!
//! It drives the reading of values (`lower`), what messages say is allowed, the search for a misspelt word, and the
//! reference for people ([`crate::reference_markdown`]).

use std::time::Duration;

use crate::include::INCLUDE;
use crate::model::{Forwarding, Protocol, Scheduler, ServiceKind, StartPolicy, TunnelChecksum};
use crate::sched_flags;
use crate::token::CHECK;
use crate::units::Weight;
use crate::words::{self, TunnelKind};

/// Where a directive may stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Section {
    /// Outside all blocks.
    Global,
    /// In a `virtual` or `failover` block.
    Service,
    /// In a `server` block.
    Server,
}

impl Section {
    pub(crate) const ALL: [Self; 3] = [Self::Global, Self::Service, Self::Server];

    /// As it stands in messages: "belongs …".
    pub(crate) fn place(self) -> &'static str {
        match self {
            Self::Global => "outside of all blocks",
            Self::Service => "in a `virtual` or `failover` block",
            Self::Server => "in a `server` block",
        }
    }
}

/// Type and range of a directive's value.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Value {
    /// A whole number: decimal, `0x` hexadecimal or, with a leading `0`, octal.
    Number(u64, u64),
    /// 0 or 1.
    Switch,
    /// 0, or any other number for "on".
    NonZero,
    /// A port by number, or by the name of a service.
    Port,
    /// A port by number; 0 only for a server of a firewall mark service.
    ServerPort,
    /// An address or the name of a host.
    Host,
    /// A host with optional `/N`, and a device.
    Floating,
    /// An address with optional port, and an optional forwarding method.
    Sorry,
    /// A dotted mask or a prefix length.
    Mask,
    /// A time in this range.
    Time(Duration, Duration),
    /// A time in this range without a fraction of a second.
    WholeTime(Duration, Duration),
    /// How weights grow: a word, or a time in this range.
    Climb(Duration, Duration),
    /// One of a few words.
    Choice(fn() -> Vec<&'static str>),
    /// The name of a network interface without alias.
    Interface,
    /// An address and a port above the privileged ones, at which a program without privileges can listen.
    Listen,
    /// A user's name, or numbers of a user and a group.
    User,
    /// Any text.
    Text,
    /// A command and its arguments, split at blanks.
    Command,
    /// `[ a b … ]`.
    List,
    /// `leave`, or `[ NAME=VALUE … ]`.
    Sysctls,
    /// A check: a kind and its options.
    Check,
    /// How often within which time, each in this range.
    Rate((u32, u32), (Duration, Duration)),
    /// A path, in whose last part there may be wildcards.
    Files,
    /// Some of a few words, with commas between them.
    Words(fn() -> Vec<&'static str>),
}

impl Value {
    /// What may be written, for messages: "allowed: …".
    pub(crate) fn allowed(self) -> String {
        match self {
            Self::Number(min, max) => format!("{min} to {max}"),
            Self::Switch => "0 or 1".to_owned(),
            Self::NonZero => "0, or another number for on".to_owned(),
            Self::Port => "1 to 65535, or the name of a service".to_owned(),
            Self::ServerPort => "1 to 65535; 0 only where the virtual server has a `fwmark`".to_owned(),
            Self::Host => "an IPv4 or IPv6 address, or the name of a host".to_owned(),
            Self::Floating => "an address and a device, such as `192.0.2.1 eth0:1`".to_owned(),
            Self::Sorry => {
                "an IPv4 or IPv6 address, perhaps with `:PORT`, and perhaps a method: nat, direct or tunnel"
                    .to_owned()
            }
            Self::Mask => "a mask such as 255.255.255.0, or a prefix length such as 24".to_owned(),
            Self::Time(min, max) => time_range(min, max),
            Self::Climb(min, max) => format!("{}, or {}", words::climbs().join(", "), time_range(min, max)),
            Self::WholeTime(min, max) => {
                format!("{} to {}, in whole seconds, minutes or hours", time_text(min), time_text(max))
            }
            Self::Choice(words) => words().join(", "),
            Self::Interface => "the name of a network interface, such as `eth0`".to_owned(),
            Self::Listen => {
                "an address and a port from 1024 on, such as `192.0.2.2:9646` or `[::1]:9646`".to_owned()
            }
            Self::User => "a user's name, or its numbers as `UID:GID`".to_owned(),
            Self::Text => "text".to_owned(),
            Self::Command => "a command".to_owned(),
            Self::Words(words) => format!("{}, with commas between them", words().join(", ")),
            Self::Sysctls => {
                "leave, or a list such as `[ net.ipv4.vs.conntrack=1 net.ipv4.ip_forward=leave ]`".to_owned()
            }
            Self::Check => {
                let kinds: Vec<_> = checkspec::described().map(|kind| kind.name).collect();
                format!(
                    "a kind of check ({}) and its options, such as `tcp expect=\"220 \"`",
                    kinds.join(", ")
                )
            }
            Self::Rate((fewest, most), (min, max)) => format!(
                "a number from {fewest} to {most}, `/` and a time from {} to {}, such as `3/10m`",
                time_text(min),
                time_text(max)
            ),
            Self::Files => "the path of a file, in whose name there may be wildcards".to_owned(),
            Self::List => "a list such as `[ a b ]`".to_owned(),
        }
    }
}

fn time_range(min: Duration, max: Duration) -> String {
    format!("{} to {}, in seconds or with a unit such as 500ms or 2m", time_text(min), time_text(max))
}

/// A time as the file can say it: seconds without a unit, else milliseconds.
pub(crate) fn time_text(time: Duration) -> String {
    if time.subsec_millis() == 0 { time.as_secs().to_string() } else { format!("{}ms", time.as_millis()) }
}

/// Every directive. `address`, `active`, `port` and `network` mean something else in another section.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Directive {
    SerialNo,
    Service,
    Primary,
    PrimaryPrivate,
    PrimaryShared,
    Backup,
    BackupPrivate,
    BackupShared,
    BackupActive,
    Heartbeat,
    HeartbeatPort,
    Keepalive,
    Deadtime,
    ReservationConflictAction,
    Network,
    NatRouter,
    NatNmask,
    ActiveCmd,
    InactiveCmd,
    MonitorLinks,
    Metrics,
    MonitorUser,
    HardShutdown,
    Syncdaemon,
    SyncdIface,
    SyncdId,
    TcpTimeout,
    TcpfinTimeout,
    UdpTimeout,
    Ipvsadm,
    RshCommand,
    DebugLevel,
    Sync,
    Active,
    Address,
    VipNmask,
    SorryServer,
    Fwmark,
    Protocol,
    Port,
    Scheduler,
    Persistent,
    Pmask,
    ClientMonitor,
    Send,
    Expect,
    UseRegex,
    SendProgram,
    Timeout,
    Reentry,
    LoadMonitor,
    QuiesceServer,
    StartCmd,
    StopCmd,
    Master,
    Dirs,
    Weight,
    OnePacket,
    SchedFlags,
    MaxConnections,
    MinConnections,
    Sysctl,
    SlowStart,
    Drain,
    Start,
    Rise,
    Fall,
    Quorum,
    QuorumHysteresis,
    OnUp,
    OnDown,
    TunnelType,
    TunnelPort,
    TunnelChecksum,
    Check,
    ConnectTimeout,
    AnswerTimeout,
    CheckTimeout,
    FailingInterval,
    Jitter,
    Damping,
    Include,
}

impl Directive {
    /// How many there are.
    pub(crate) const COUNT: usize = Self::Include as usize + 1;
}

/// One row of the table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Key {
    pub(crate) directive: Directive,
    /// The word in the file.
    pub(crate) name: &'static str,
    pub(crate) value: Value,
    /// What holds when it is not given, as it would be written; empty for none.
    pub(crate) default: &'static str,
    /// For people, in Markdown.
    pub(crate) help: &'static str,
}

impl Key {
    /// The row of `name` in `section`.
    pub(crate) fn find(section: Section, name: &str) -> Option<&'static Self> {
        Self::in_section(section).iter().find(|key| key.name == name)
    }

    /// The row of `directive` in `section`.
    pub(crate) fn of(section: Section, directive: Directive) -> Option<&'static Self> {
        let rows = match section {
            Section::Global => &GLOBAL_ROWS,
            Section::Service => &SERVICE_ROWS,
            Section::Server => &SERVER_ROWS,
        };
        Self::in_section(section).get(usize::from(rows[directive as usize]))
    }

    /// The rows of `section`.
    pub(crate) fn in_section(section: Section) -> &'static [Self] {
        match section {
            Section::Global => GLOBAL,
            Section::Service => SERVICE,
            Section::Server => SERVER,
        }
    }
}

/// Which row of a section each directive is; beyond the last one if it has none. Looked up for every directive that could
/// stand in a block, which in a large file is far more often than one does.
type Rows = [u8; Directive::COUNT];

static GLOBAL_ROWS: Rows = rows(GLOBAL);
static SERVICE_ROWS: Rows = rows(SERVICE);
static SERVER_ROWS: Rows = rows(SERVER);

const fn rows(section: &[Key]) -> Rows {
    let mut rows = [u8::MAX; Directive::COUNT];
    let mut row = 0;
    while (row as usize) < section.len() {
        rows[section[row as usize].directive as usize] = row;
        row += 1;
    }
    rows
}

const fn key(
    directive: Directive,
    name: &'static str,
    value: Value,
    default: &'static str,
    help: &'static str,
) -> Key {
    Key { directive, name, value, default, help }
}

const fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

const fn millis(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// The kernel keeps connection timeouts in jiffies; `ipvsadm` limits them to 31 days as well.
const KERNEL_TIMEOUT: Value = Value::WholeTime(seconds(0), seconds(31 * 86_400));
/// The kernel counts the connections of a server in an `int`.
const CONNECTIONS: Value = Value::Number(0, i32::MAX as u64);
const U32_MAX: u64 = u32::MAX as u64;
/// What a step of a check may take, and the time between two checks.
const STEP: Value = Value::Time(millis(10), seconds(3600));
/// Checks in a row.
const CHECKS: Value = Value::Number(1, 100);
/// A sum of weights, which is kept as `u32`.
const WEIGHTS: u64 = i32::MAX as u64;

/// Everywhere but in a `server` block.
const fn include(help: &'static str) -> Key {
    key(Directive::Include, INCLUDE, Value::Files, "", help)
}

const GLOBAL: &[Key] = &[
    key(
        Directive::SerialNo,
        "serial_no",
        Value::Number(0, u64::MAX),
        "0",
        "Edit counter of the tools that write the file.",
    ),
    key(
        Directive::Service,
        "service",
        Value::Choice(words::all::<ServiceKind>),
        "lvs",
        "Which services the routers run: `lvs`, the `virtual` blocks, or `fos`, the `failover` blocks.",
    ),
    key(
        Directive::Primary,
        "primary",
        Value::Host,
        "",
        "**Required.** Public address of the primary router. A router that has this address is the primary one.",
    ),
    key(
        Directive::PrimaryPrivate,
        "primary_private",
        Value::Host,
        "",
        "Its address on a private link: a second path for heartbeats.",
    ),
    key(
        Directive::PrimaryShared,
        "primary_shared",
        Value::Text,
        "",
        "Shared SCSI device of failover services. Accepted for old files.",
    ),
    key(
        Directive::Backup,
        "backup",
        Value::Host,
        "0.0.0.0",
        "Public address of the backup router; `0.0.0.0` when there is none.",
    ),
    key(
        Directive::BackupPrivate,
        "backup_private",
        Value::Host,
        "",
        "Its address on the private link. Needed with `primary_private`, ignored without.",
    ),
    key(Directive::BackupShared, "backup_shared", Value::Text, "", "As `primary_shared`."),
    key(
        Directive::BackupActive,
        "backup_active",
        Value::Switch,
        "0",
        "Whether the backup router takes part: without it no heartbeats are exchanged.",
    ),
    key(
        Directive::Heartbeat,
        "heartbeat",
        Value::Switch,
        "0",
        "Accepted for old files; `backup_active` decides.",
    ),
    key(
        Directive::HeartbeatPort,
        "heartbeat_port",
        Value::Port,
        "539",
        "UDP port of heartbeats on both routers.",
    ),
    key(
        Directive::Keepalive,
        "keepalive",
        Value::Time(millis(10), seconds(3600)),
        "2",
        "How often a heartbeat is sent.",
    ),
    key(
        Directive::Deadtime,
        "deadtime",
        Value::Time(millis(20), seconds(86_400)),
        "5",
        "How long the partner may be silent before it counts as dead; longer than `keepalive`.",
    ),
    key(
        Directive::ReservationConflictAction,
        "reservation_conflict_action",
        Value::Choice(|| vec!["nothing", "preempt"]),
        "",
        "For shared SCSI devices. Accepted for old files.",
    ),
    key(
        Directive::Network,
        "network",
        Value::Choice(words::all::<Forwarding>),
        "nat",
        "How packets get to real servers: `nat`, `direct` (direct routing) or `tunnel` (IP in IP).",
    ),
    key(
        Directive::NatRouter,
        "nat_router",
        Value::Floating,
        "",
        "Inside address that moves with the active router, the real servers' gateway; used where `network = nat`, for all or for one real server.",
    ),
    key(
        Directive::NatNmask,
        "nat_nmask",
        Value::Mask,
        "",
        "Mask of `nat_router`. Without it, that of the network which the interface is already in.",
    ),
    key(
        Directive::ActiveCmd,
        "active_cmd",
        Value::Command,
        "",
        "Command that is run when this router becomes active.",
    ),
    key(
        Directive::InactiveCmd,
        "inactive_cmd",
        Value::Command,
        "",
        "Command that is run at start and when this router stops being active.",
    ),
    key(
        Directive::MonitorLinks,
        "monitor_links",
        Value::NonZero,
        "0",
        "Whether a router that loses a link of its own counts as failed.",
    ),
    key(
        Directive::Metrics,
        "metrics",
        Value::Listen,
        "",
        "Where `lvs` serves its metrics over HTTP, to whoever can connect. Without it, only at a Unix socket.",
    ),
    key(
        Directive::MonitorUser,
        "monitor_user",
        Value::User,
        "",
        "As whom checks are made and their programs run. Without it, as `lvs-nanny` where `/etc/passwd` has that user, else \
         as `nobody`; `root` where programs need what only root can read.",
    ),
    key(
        Directive::HardShutdown,
        "hard_shutdown",
        Value::Switch,
        "1",
        "Accepted for old files; a monitor that dies is started again whatever it says.",
    ),
    key(
        Directive::Syncdaemon,
        "syncdaemon",
        Value::Switch,
        "0",
        "Whether the kernel's connection synchronisation daemon is run.",
    ),
    key(
        Directive::SyncdIface,
        "syncd_iface",
        Value::Interface,
        "eth0",
        "Interface on which it sends and receives.",
    ),
    key(Directive::SyncdId, "syncd_id", Value::Number(0, 255), "0", "Its id, the same on both routers."),
    key(
        Directive::TcpTimeout,
        "tcp_timeout",
        KERNEL_TIMEOUT,
        "0",
        "How long the kernel keeps an idle TCP connection; 0 leaves its setting as it is.",
    ),
    key(Directive::TcpfinTimeout, "tcpfin_timeout", KERNEL_TIMEOUT, "0", "The same after a FIN."),
    key(Directive::UdpTimeout, "udp_timeout", KERNEL_TIMEOUT, "0", "The same for UDP."),
    key(
        Directive::Ipvsadm,
        "ipvsadm",
        Value::Text,
        "/sbin/ipvsadm",
        "Path of an `ipvsadm`, for `client_monitor` programs that want one.",
    ),
    key(
        Directive::RshCommand,
        "rsh_command",
        Value::Text,
        "rsh",
        "Command that asks a real server for its load when `load_monitor = uptime`.",
    ),
    key(
        Directive::Sysctl,
        "sysctl",
        Value::Sysctls,
        "",
        "Settings of the kernel that are to have another value than the virtual servers need, or that they do not need; \
         `leave` in place of a value leaves a setting alone, `leave` in place of the list all of them. Without it, \
         `net.ipv4.ip_forward` and whatever else the forwarding methods need is set while this router serves, and set \
         back afterwards. A dot in the name of an interface stays a dot.",
    ),
    key(Directive::DebugLevel, "debug_level", Value::Text, "NONE", "Accepted for old files, without effect."),
    key(Directive::Sync, "sync", Value::Switch, "0", "Accepted for old files, without effect."),
    include(
        "Reads other files as if they stood here, see [Included files](#included-files). A relative path starts at the \
         folder of this file.",
    ),
];

const SERVICE: &[Key] = &[
    key(
        Directive::Active,
        "active",
        Value::Switch,
        "0",
        "Whether the block is used. An inactive block is checked and otherwise ignored.",
    ),
    key(
        Directive::Address,
        "address",
        Value::Floating,
        "",
        "**Required.** The virtual IP address (VIP) and the alias device that it is put on.",
    ),
    key(
        Directive::VipNmask,
        "vip_nmask",
        Value::Mask,
        "",
        "Mask of the VIP. Without it, that of the network which the interface is already in.",
    ),
    key(
        Directive::SorryServer,
        "sorry_server",
        Value::Sorry,
        "",
        "Server that is used while no real server can serve, or while the `quorum` is lost. Without a port, on the \
         virtual server's; one of its own needs `nat`: `10.0.0.99:8080 nat`, `[2001:db8::99]:8080 nat`. \
         Without a method, by that of the virtual server.",
    ),
    key(
        Directive::Fwmark,
        "fwmark",
        Value::Number(0, U32_MAX),
        "0",
        "Firewall mark that chooses the packets, instead of address and port; 0 for none.",
    ),
    key(Directive::Protocol, "protocol", Value::Choice(words::all::<Protocol>), "tcp", "Transport protocol."),
    key(
        Directive::OnePacket,
        "one_packet",
        Value::Switch,
        "0",
        "Whether each datagram is scheduled by itself, whoever sent it; with `protocol = udp` or a `fwmark` only. \
         Nothing is remembered of a datagram, so `network = nat` does not translate the answers.",
    ),
    key(Directive::Port, "port", Value::Port, "80", "Port of the virtual server."),
    key(
        Directive::Network,
        "network",
        Value::Choice(words::all::<Forwarding>),
        "",
        "As the global `network`, for this virtual server alone.",
    ),
    key(
        Directive::TunnelType,
        "tunnel_type",
        Value::Choice(words::all::<TunnelKind>),
        "ipip",
        "What packets travel in to those real servers that `network = tunnel` reaches: `ipip` (IP in IP), `gue` (generic \
         UDP encapsulation) or `gre`.",
    ),
    key(
        Directive::TunnelPort,
        "tunnel_port",
        Value::Port,
        "6080",
        "UDP port of the real servers' end of the tunnel; with `tunnel_type = gue`.",
    ),
    key(
        Directive::TunnelChecksum,
        "tunnel_checksum",
        Value::Choice(words::all::<TunnelChecksum>),
        "none",
        "Checksum of the outer packet: `none`, `csum` (computed by the router; with `gue` or `gre`) or `remcsum` (remote \
         checksum offload; with `gue`).",
    ),
    key(
        Directive::Scheduler,
        "scheduler",
        Value::Choice(words::all::<Scheduler>),
        "wlc",
        "How the kernel chooses among the real servers.",
    ),
    key(
        Directive::SchedFlags,
        "sched_flags",
        Value::Words(sched_flags::names),
        "",
        "Switches of the scheduler. `sh` and `mh` have two: `sh-port` or `mh-port` counts the client's port beside its \
         address, `sh-fallback` or `mh-fallback` takes another real server in place of one \
         that takes no new connections. `flag-1` \
         to `flag-3` are the same switches by number.",
    ),
    key(
        Directive::Persistent,
        "persistent",
        KERNEL_TIMEOUT,
        "0",
        "How long a client stays with its real server; 0 for not at all.",
    ),
    key(
        Directive::Pmask,
        "pmask",
        Value::Mask,
        "",
        "Clients whose addresses agree under this mask go to the same real server, with `persistent`. \
         Without it, each client by itself.",
    ),
    key(
        Directive::ClientMonitor,
        "client_monitor",
        Value::Text,
        "/usr/sbin/nanny",
        "Program that checks real servers; the default is the suite's own `nanny`, wherever it is.",
    ),
    key(
        Directive::Check,
        CHECK,
        Value::Check,
        "",
        "What is asked of a real server, on one line, in place of `send`, `expect`, `use_regex` and `send_program`; see \
         [Kinds of checks](#kinds-of-checks). The quotes in it are its own, none are needed around it.",
    ),
    key(
        Directive::Send,
        "send",
        Value::Text,
        "",
        "What a check sends. `\\r`, `\\n`, `\\t`, `\\\\`, `\\'` and `\\\"` stand for the usual characters.",
    ),
    key(Directive::Expect, "expect", Value::Text, "", "What the answer must begin with; `*` for any answer."),
    key(
        Directive::UseRegex,
        "use_regex",
        Value::Switch,
        "0",
        "Whether `expect` is a regular expression that is looked for in the answer.",
    ),
    key(
        Directive::SendProgram,
        "send_program",
        Value::Text,
        "",
        "Program that checks, instead of `send`. A word `%h` becomes the address and a word `%p` the port of the real server.",
    ),
    key(
        Directive::Timeout,
        "timeout",
        STEP,
        "10",
        "Time between two checks, and limit of each step of a check that has none of its own.",
    ),
    key(
        Directive::ConnectTimeout,
        "connect_timeout",
        STEP,
        "",
        "How long connecting may take. Without it, `timeout`.",
    ),
    key(
        Directive::AnswerTimeout,
        "answer_timeout",
        STEP,
        "",
        "How long each answer may take, and a program. Without it, `timeout`.",
    ),
    key(
        Directive::CheckTimeout,
        "check_timeout",
        STEP,
        "",
        "How long all of a check may take. Without it, as long as its steps.",
    ),
    key(
        Directive::FailingInterval,
        "failing_interval",
        STEP,
        "",
        "Time between two checks while the last one has failed. Without it, `timeout`. On the way back checks are `timeout` \
         apart, so `reentry` is as long as ever.",
    ),
    key(
        Directive::Jitter,
        "jitter",
        Value::Number(0, 50),
        "0",
        "By how many percent, at random, each time between two checks may be shorter or longer. Checks of different servers \
         are spread evenly without it.",
    ),
    key(
        Directive::Reentry,
        "reentry",
        Value::Time(seconds(0), seconds(86_400)),
        "180",
        "How long a failed real server must answer well before it is used again; 0 means 180.",
    ),
    key(
        Directive::Rise,
        "rise",
        CHECKS,
        "1",
        "How many checks in a row a failed real server must pass before it is used again, beside `reentry`. A server's \
         first check decides alone.",
    ),
    key(
        Directive::Fall,
        "fall",
        CHECKS,
        "1",
        "How many checks in a row must fail before a real server counts as failed. A server's first check decides alone.",
    ),
    key(
        Directive::Damping,
        "damping",
        Value::Rate((1, 100), (seconds(1), seconds(86_400))),
        "",
        "What is called flapping. With `3/10m`, a real server that fails more than three times within ten minutes takes twice \
         as many good checks to come back as `reentry` and `rise` ask for, with each further time twice as many again, but \
         not those of more than ten minutes. `lvs ctl check-now` ends the wait. Without it, nothing is.",
    ),
    key(
        Directive::Start,
        "start",
        Value::Choice(words::all::<StartPolicy>),
        "probe",
        "What a real server is before its first check: `probe`, not used, and the sorry server waits up to a second for \
         the first checks too; `up`, used until a check fails; `down`, failed, so that the sorry server serves at once. \
         A server that is in the kernel already when `lvs` starts stays as it is, whatever this says.",
    ),
    key(
        Directive::SlowStart,
        "slow_start",
        Value::Climb(seconds(1), seconds(3600)),
        "doubling",
        "How the weight of a real server grows that comes up while others serve. `doubling`, as with Piranha: from the \
         32nd part, at least 1, doubled every 20 seconds. A time: from a sixteenth (at least 1) to the full weight within \
         it, in up to 16 even steps. `off`, or 0: it is there at once. A service that starts, or comes back after none of \
         its servers served, has its full weights at once, and so has the last server that is left. Nothing grows with \
         `scheduler = rr`, `lc` or `dh`, which know no weights, and nothing doubles with `fo`, where the greatest weight \
         takes all, nor with `sh` and `mh`, where each step would send clients to other servers. A program that is run as \
         `client_monitor` has its own ways.",
    ),
    key(
        Directive::Drain,
        "drain",
        Value::Time(seconds(1), seconds(86_400)),
        "",
        "How long a real server that is taken out of the file, or made inactive, keeps its connections at most. Without \
         it, it is removed at once. The clients that \
         `persistent` remembers go elsewhere at once, unless `net.ipv4.vs.expire_quiescent_template` is 0: see lvs(8), drain.",
    ),
    key(
        Directive::Quorum,
        "quorum",
        Value::Number(1, WEIGHTS),
        "1",
        "Sum of the weights of real servers that take connections, below which the sorry server, if there is one, serves \
         alone: the others get weight 0, which keeps their connections. Without one they go on. The weights are those of \
         this file, 0 counts as 1.",
    ),
    key(
        Directive::QuorumHysteresis,
        "quorum_hysteresis",
        Value::Number(0, WEIGHTS),
        "0",
        "The quorum is lost when the sum is below `quorum` less this, and back when it is at least `quorum` and this; \
         less than `quorum`.",
    ),
    key(
        Directive::OnUp,
        "on_up",
        Value::Command,
        "",
        "Command that is run when the `quorum` is reached, first by the first checks after a start. See lvs(8), HOOKS.",
    ),
    key(
        Directive::OnDown,
        "on_down",
        Value::Command,
        "",
        "Command that is run when the `quorum` is lost, by default with the last real server. See lvs(8), HOOKS.",
    ),
    key(
        Directive::LoadMonitor,
        "load_monitor",
        Value::Text,
        "",
        "How the load of real servers is measured: `none`, `uptime`, `rup`, `ruptime` or a program.",
    ),
    key(
        Directive::QuiesceServer,
        "quiesce_server",
        Value::Switch,
        "0",
        "Whether a failed real server gets weight 0, which keeps its connections, instead of being removed.",
    ),
    key(
        Directive::MaxConnections,
        "max_connections",
        CONNECTIONS,
        "0",
        "For each real server without one of its own: with this many connections, open and closing ones together, it \
         gets no new ones; 0 for no limit. Where all are full a connection is refused; the sorry server does not help.",
    ),
    key(
        Directive::MinConnections,
        "min_connections",
        CONNECTIONS,
        "0",
        "A full real server gets new connections again when it has fewer than this, at most `max_connections`; 0 for \
         three quarters of `max_connections`.",
    ),
    key(Directive::StartCmd, "start_cmd", Value::Command, "", "Starts a failover service. Required there."),
    key(Directive::StopCmd, "stop_cmd", Value::Command, "", "Stops a failover service. Required there."),
    key(Directive::Master, "master", Value::Text, "", "Accepted for old files, without effect."),
    key(Directive::Dirs, "dirs", Value::List, "", "Accepted for old files, without effect."),
    include("As outside of the blocks: directives of this block and `server` blocks, from other files."),
];

const SERVER: &[Key] = &[
    key(Directive::Address, "address", Value::Host, "", "**Required.** Address of the real server."),
    key(Directive::Active, "active", Value::Switch, "0", "Whether it is used."),
    key(
        Directive::Weight,
        "weight",
        Value::Number(0, Weight::MAX as u64),
        "1",
        "Its share of the work; 0 for no new connections.",
    ),
    key(Directive::Port, "port", Value::ServerPort, "", "Its port; without it, the virtual server's."),
    key(
        Directive::MaxConnections,
        "max_connections",
        CONNECTIONS,
        "",
        "As the virtual server's `max_connections`, for this real server alone.",
    ),
    key(
        Directive::MinConnections,
        "min_connections",
        CONNECTIONS,
        "",
        "As the virtual server's `min_connections`, for this real server alone.",
    ),
    key(
        Directive::Network,
        "network",
        Value::Choice(words::all::<Forwarding>),
        "",
        "As the virtual server's `network`, for this real server alone.",
    ),
    key(
        Directive::TunnelType,
        "tunnel_type",
        Value::Choice(words::all::<TunnelKind>),
        "",
        "As the virtual server's `tunnel_type`, for this real server alone, which then takes neither port nor checksum \
         from there.",
    ),
    key(
        Directive::TunnelPort,
        "tunnel_port",
        Value::Port,
        "",
        "As the virtual server's `tunnel_port`, for this real server alone.",
    ),
    key(
        Directive::TunnelChecksum,
        "tunnel_checksum",
        Value::Choice(words::all::<TunnelChecksum>),
        "",
        "As the virtual server's `tunnel_checksum`, for this real server alone.",
    ),
    key(
        Directive::OnUp,
        "on_up",
        Value::Command,
        "",
        "Command that is run when this real server comes up, first by its first check. See lvs(8), HOOKS.",
    ),
    key(
        Directive::OnDown,
        "on_down",
        Value::Command,
        "",
        "Command that is run when this real server fails, first by its first check. See lvs(8), HOOKS.",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_in_their_section() {
        for section in Section::ALL {
            for key in Key::in_section(section) {
                assert!(std::ptr::eq(Key::find(section, key.name).unwrap(), key), "{}", key.name);
                assert!(std::ptr::eq(Key::of(section, key.directive).unwrap(), key), "{}", key.name);
            }
        }
    }
}
