//! The table of commands and options: names, values, help, and which go together.
//!
//! One row each; the parser, the help text and the manual page's test all read this table.

/// A command or an option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is described by its row in the table")]
pub enum Key {
    AddService,
    EditService,
    DeleteService,
    Clear,
    Restore,
    Save,
    AddServer,
    EditServer,
    DeleteServer,
    List,
    Zero,
    Set,
    StartDaemon,
    StopDaemon,
    Help,
    Version,
    TcpService,
    UdpService,
    SctpService,
    FwmarkService,
    Ipv6,
    Scheduler,
    SchedFlags,
    Persistent,
    Netmask,
    Engine,
    Ops,
    RealServer,
    Gatewaying,
    Ipip,
    Masquerading,
    Weight,
    UThreshold,
    LThreshold,
    TunType,
    TunPort,
    TunNocsum,
    TunCsum,
    TunRemcsum,
    Numeric,
    Exact,
    Stats,
    Rate,
    Thresholds,
    PersistentConn,
    TunInfo,
    Connection,
    Timeout,
    Daemon,
    Sort,
    Nosort,
    Json,
    McastInterface,
    Syncid,
    SyncMaxlen,
    McastGroup,
    McastPort,
    McastTtl,
}

/// Whether a value follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value {
    /// None.
    No,
    /// One must follow; the word stands for it in the help.
    Required(&'static str),
    /// One may follow.
    Optional(&'static str),
    /// Three must follow.
    Three(&'static str),
}

/// One row of the table.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// What it is.
    pub key: Key,
    /// Short names, the usual one first.
    pub short: &'static [char],
    /// Long name.
    pub long: &'static str,
    /// Its value.
    pub value: Value,
    /// What it does, for the help text.
    pub help: &'static str,
}

const fn row(key: Key, short: &'static [char], long: &'static str, value: Value, help: &'static str) -> Row {
    Row { key, short, long, value, help }
}

use Value::{No, Optional, Required, Three};

/// The commands; exactly one, and first.
pub const COMMANDS: &[Row] = &[
    row(Key::AddService, &['A'], "add-service", No, "add a virtual service"),
    row(
        Key::EditService,
        &['E'],
        "edit-service",
        No,
        "change a virtual service; what is not given gets its default",
    ),
    row(Key::DeleteService, &['D'], "delete-service", No, "delete a virtual service and its real servers"),
    row(Key::Clear, &['C'], "clear", No, "delete all virtual services"),
    row(Key::Restore, &['R'], "restore", No, "read rules from standard input, one command a line"),
    row(Key::Save, &['S'], "save", No, "write rules to standard output as --restore reads them"),
    row(Key::AddServer, &['a'], "add-server", No, "add a real server to a virtual service"),
    row(
        Key::EditServer,
        &['e'],
        "edit-server",
        No,
        "change a real server; what is not given gets its default",
    ),
    row(Key::DeleteServer, &['d'], "delete-server", No, "delete a real server from a virtual service"),
    row(Key::List, &['L', 'l'], "list", No, "list the table, one service, connections, timeouts or daemons"),
    row(Key::Zero, &['Z'], "zero", No, "set the counters of one or all virtual services to zero"),
    row(Key::Set, &[], "set", Three("tcp tcpfin udp"), "set connection timeouts in seconds; 0 keeps what is"),
    row(Key::StartDaemon, &[], "start-daemon", Required("master|backup"), "start a connection sync daemon"),
    row(Key::StopDaemon, &[], "stop-daemon", Required("master|backup"), "stop a connection sync daemon"),
    row(Key::Help, &['h'], "help", No, "show this text"),
    row(Key::Version, &['v'], "version", No, "show the version"),
];

/// The options that name a virtual service.
pub const SERVICE: &[Row] = &[
    row(
        Key::TcpService,
        &['t'],
        "tcp-service",
        Required("host[:port]"),
        "TCP service; [address]:port for IPv6",
    ),
    row(Key::UdpService, &['u'], "udp-service", Required("host[:port]"), "UDP service"),
    row(Key::SctpService, &[], "sctp-service", Required("host[:port]"), "SCTP service"),
    row(
        Key::FwmarkService,
        &['f'],
        "fwmark-service",
        Required("mark"),
        "packets with a firewall mark from 1 to 4294967295",
    ),
    row(Key::Ipv6, &['6'], "ipv6", No, "the marked packets are IPv6"),
];

/// The other options.
pub const OPTIONS: &[Row] = &[
    row(
        Key::Scheduler,
        &['s'],
        "scheduler",
        Required("name"),
        "rr, wrr, lc, wlc (default), lblc, lblcr, dh, sh, sed, nq, fo, ovf, mh, twos",
    ),
    row(
        Key::SchedFlags,
        &['b'],
        "sched-flags",
        Required("flags"),
        "sh-fallback, sh-port, mh-fallback, mh-port, flag-1, flag-2, flag-3",
    ),
    row(
        Key::Persistent,
        &['p'],
        "persistent",
        Optional("seconds"),
        "keep clients on their real server for 1 to 2678400 s (default 360)",
    ),
    row(
        Key::Netmask,
        &['M'],
        "netmask",
        Required("mask"),
        "clients count as one within this mask or prefix length",
    ),
    row(Key::Engine, &[], "pe", Required("engine"), "persistence engine: sip"),
    row(Key::Ops, &['o'], "ops", No, "one-packet scheduling, for UDP"),
    row(
        Key::RealServer,
        &['r'],
        "real-server",
        Required("host[:port]"),
        "real server; its port is the service's unless given",
    ),
    row(Key::Gatewaying, &['g'], "gatewaying", No, "forward by direct routing (default)"),
    row(Key::Ipip, &['i'], "ipip", No, "forward by tunnelling"),
    row(Key::Masquerading, &['m'], "masquerading", No, "forward by network address translation"),
    row(Key::TunType, &[], "tun-type", Required("type"), "ipip (default), gue or gre"),
    row(Key::TunPort, &[], "tun-port", Required("port"), "UDP port of gue, 1 to 65535"),
    row(Key::TunNocsum, &[], "tun-nocsum", No, "no checksum in the tunnel's header (default)"),
    row(Key::TunCsum, &[], "tun-csum", No, "checksum in the tunnel's header"),
    row(Key::TunRemcsum, &[], "tun-remcsum", No, "remote checksum offload (gue only)"),
    row(
        Key::Weight,
        &['w'],
        "weight",
        Required("n"),
        "capacity, 0 to 2147483647 (default 1); 0 gets no new connections",
    ),
    row(
        Key::UThreshold,
        &['x'],
        "u-threshold",
        Required("n"),
        "no new connections above this many; 0 (default) is no limit",
    ),
    row(Key::LThreshold, &['y'], "l-threshold", Required("n"), "new connections again below this many"),
    row(Key::Numeric, &['n'], "numeric", No, "addresses and ports as numbers"),
    row(Key::Exact, &['X'], "exact", No, "counters in full"),
    row(Key::Stats, &[], "stats", No, "list counters"),
    row(Key::Rate, &[], "rate", No, "list rates per second"),
    row(Key::Thresholds, &[], "thresholds", No, "list connection thresholds"),
    row(
        Key::PersistentConn,
        &[],
        "persistent-conn",
        No,
        "list persistence templates; with -c, their engine's data",
    ),
    row(Key::TunInfo, &[], "tun-info", No, "list tunnels"),
    row(Key::Connection, &['c'], "connection", No, "list connections"),
    row(Key::Timeout, &[], "timeout", No, "list timeouts"),
    row(Key::Daemon, &[], "daemon", No, "list sync daemons"),
    row(Key::Nosort, &[], "nosort", No, "list in the kernel's order"),
    row(Key::Sort, &[], "sort", No, "list sorted (default)"),
    row(Key::Json, &[], "json", No, "list as JSON: complete, exact and numeric"),
];

/// The options of `--start-daemon`.
pub const DAEMON: &[Row] = &[
    row(Key::McastInterface, &[], "mcast-interface", Required("name"), "network interface (default eth0)"),
    row(
        Key::Syncid,
        &[],
        "syncid",
        Required("id"),
        "0 to 255 (default 0); a backup with 0 accepts every sender",
    ),
    row(
        Key::SyncMaxlen,
        &[],
        "sync-maxlen",
        Required("bytes"),
        "longest message, 1 to 65507 (default by the interface)",
    ),
    row(Key::McastGroup, &[], "mcast-group", Required("address"), "multicast group (default 224.0.0.81)"),
    row(Key::McastPort, &[], "mcast-port", Required("port"), "UDP port (default 8848)"),
    row(Key::McastTtl, &[], "mcast-ttl", Required("ttl"), "time to live, 1 to 255 (default 1)"),
];

/// Every row.
pub fn all() -> impl Iterator<Item = &'static Row> {
    [COMMANDS, SERVICE, OPTIONS, DAEMON].into_iter().flatten()
}

impl Key {
    /// Its row.
    #[must_use]
    pub fn row(self) -> &'static Row {
        all().find(|row| row.key == self).expect("a test sees to it that every key has a row")
    }

    /// Whether it is a command.
    #[must_use]
    pub fn is_command(self) -> bool {
        COMMANDS.iter().any(|row| row.key == self)
    }

    /// The option that stands for all of which only one may be given.
    #[must_use]
    pub fn group(self) -> Self {
        match self {
            Self::UdpService | Self::SctpService | Self::FwmarkService => Self::TcpService,
            Self::Ipip | Self::Masquerading => Self::Gatewaying,
            Self::TunCsum | Self::TunRemcsum => Self::TunNocsum,
            other => other,
        }
    }

    /// Its name for messages, such as `-w` or `--pe`.
    #[must_use]
    pub fn word(self) -> String {
        let row = self.row();
        match row.short.first() {
            Some(short) => format!("-{short}"),
            None => format!("--{}", row.long),
        }
    }
}

/// The groups of options that a command takes, and those that it must have.
#[must_use]
pub fn fitting(command: Key) -> (&'static [Key], &'static [Key]) {
    use Key as K;
    const LIST: &[Key] = &[
        K::TcpService,
        K::Ipv6,
        K::Numeric,
        K::Exact,
        K::Stats,
        K::Rate,
        K::Thresholds,
        K::PersistentConn,
        K::TunInfo,
        K::Connection,
        K::Timeout,
        K::Daemon,
        K::Sort,
        K::Nosort,
        K::Json,
        K::Syncid,
    ];
    const NAMED: &[Key] = &[K::TcpService, K::Ipv6];
    const OF_SERVICE: &[Key] =
        &[K::TcpService, K::Ipv6, K::Scheduler, K::SchedFlags, K::Persistent, K::Netmask, K::Engine, K::Ops];
    const OF_SERVER: &[Key] = &[
        K::TcpService,
        K::Ipv6,
        K::RealServer,
        K::Gatewaying,
        K::Weight,
        K::UThreshold,
        K::LThreshold,
        K::TunType,
        K::TunPort,
        K::TunNocsum,
    ];
    match command {
        K::AddService | K::EditService => (OF_SERVICE, &[K::TcpService]),
        K::DeleteService => (NAMED, &[K::TcpService]),
        K::AddServer | K::EditServer => (OF_SERVER, &[K::TcpService, K::RealServer]),
        K::DeleteServer => (&[K::TcpService, K::Ipv6, K::RealServer], &[K::TcpService, K::RealServer]),
        K::List => (LIST, &[]),
        K::Zero => (NAMED, &[]),
        K::Save => (&[K::Numeric], &[]),
        K::StartDaemon => {
            (&[K::McastInterface, K::Syncid, K::SyncMaxlen, K::McastGroup, K::McastPort, K::McastTtl], &[])
        }
        K::StopDaemon => (&[K::Syncid], &[]),
        _ => (&[], &[]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_every_group_is_in_the_table() {
        let rows: Vec<&Row> = all().collect();
        for (index, row) in rows.iter().enumerate() {
            for other in &rows[index + 1..] {
                assert_ne!(row.key, other.key);
                assert_ne!(row.long, other.long);
                assert!(!row.short.iter().any(|it| other.short.contains(it)), "{} {}", row.long, other.long);
            }
        }
        for command in COMMANDS {
            let (takes, needs) = fitting(command.key);
            for key in takes.iter().chain(needs) {
                assert_eq!(key.row().key, *key);
                assert_eq!(key.group(), *key);
            }
        }
    }
}
