//! The manual's commands and options as a table of its own, and the values that the generator gives them.
//!
//! It deliberately knows nothing of the tool's own table: what that lacks must be missed here.

/// How a value follows an option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Takes {
    /// None.
    Nothing,
    /// One, attached or as the next word.
    Value,
    /// One or none.
    Perhaps,
}

/// A command or an option of the manual.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row {
    /// Its long name, without hyphens; also its name here.
    pub(super) long: &'static str,
    /// Its letter.
    pub(super) short: Option<char>,
    /// Its value.
    pub(super) takes: Takes,
    /// Values that are usually accepted.
    pub(super) good: &'static [&'static str],
    /// Values that are usually not, or that look odd.
    pub(super) odd: &'static [&'static str],
}

const fn flag(long: &'static str, short: Option<char>) -> Row {
    Row { long, short, takes: Takes::Nothing, good: &[], odd: &[] }
}

const fn value(
    long: &'static str,
    short: Option<char>,
    good: &'static [&'static str],
    odd: &'static [&'static str],
) -> Row {
    Row { long, short, takes: Takes::Value, good, odd }
}

/// Addresses of virtual services. No three of them are so far apart that the order of listings runs in a circle and
/// depends on the kernel's order, which differs between two routers.
const TCP: &[&str] = &[
    "10.0.0.1:80",
    "10.0.0.1:443",
    "10.0.0.2:8443",
    "192.168.7.9:80",
    "[2001:db8::1]:80",
    "[2001:db8::9]:443",
    "www.example.com:http",
    "10.0.0.2:webcache",
];
const UDP: &[&str] =
    &["10.0.0.1:53", "10.0.0.2:69", "192.168.7.9:5060", "[2001:db8::1]:53", "longvs:domain", "10.0.0.2:tftp"];
const SCTP: &[&str] = &["10.0.0.1:3868", "192.168.7.9:diameter", "[2001:db8::1]:3868"];
const ODD_SERVICES: &[&str] = &[
    "",
    ":",
    ":80",
    "80",
    "10.0.0.1",
    "10.0.0.1:",
    "10.0.0.1:0",
    "10.0.0.1:65535",
    "10.0.0.1:65536",
    "10.0.0.1:-1",
    "10.0.0.1:+80",
    "10.0.0.1:0080",
    "10.0.0.1:0x50",
    "10.0.0.1:80x",
    "10.0.0.1:80:80",
    "10.0.0.1:HTTP",
    "10.0.0.1:tftp",
    "10.0.0.1:diameter",
    "10.0.0.1/32:80",
    "10.0.0:80",
    "10.1:80",
    "0x0a000001:80",
    "012.0.0.1:80",
    "256.0.0.1:80",
    "10.0.0.1.:80",
    "no.such.host:80",
    "www",
    "WWW.EXAMPLE.COM:80",
    "[10.0.0.1]:80",
    "[2001:db8::1]",
    "[2001:db8::1]:",
    "[2001:db8::1]80",
    "[2001:db8::1",
    "2001:db8::1]:80",
    "[[2001:db8::1]]:80",
    "[2001:db8::1%eth0]:80",
    "[www6]:80",
    "www6:80",
    "2001:db8::1",
    "2001:DB8::1:80",
    "::",
    "::ffff:10.0.0.1",
    "1:2:3:4:5:6:7:8:80",
];

/// Commands, in the order of the manual.
pub(super) const COMMANDS: &[Row] = &[
    flag("add-service", Some('A')),
    flag("edit-service", Some('E')),
    flag("delete-service", Some('D')),
    flag("clear", Some('C')),
    flag("restore", Some('R')),
    flag("save", Some('S')),
    flag("add-server", Some('a')),
    flag("edit-server", Some('e')),
    flag("delete-server", Some('d')),
    flag("list", Some('L')),
    flag("zero", Some('Z')),
    flag("set", None),
    value("start-daemon", None, &["master", "backup"], &["", "MASTER", "both", "master "]),
    value("stop-daemon", None, &["master", "backup"], &["", "BACKUP", "-1"]),
    flag("help", Some('h')),
];

/// Options.
pub(super) const OPTIONS: &[Row] = &[
    value("tcp-service", Some('t'), TCP, ODD_SERVICES),
    value("udp-service", Some('u'), UDP, ODD_SERVICES),
    value("sctp-service", None, SCTP, ODD_SERVICES),
    value(
        "fwmark-service",
        Some('f'),
        &["1", "2", "700", "2147483647", "+3"],
        &["0", "-1", "", "x", "1x", "0x1", "01", "4294967296", "99999999999999999999", "10.0.0.1:80"],
    ),
    flag("ipv6", Some('6')),
    value(
        "scheduler",
        Some('s'),
        &["rr", "wrr", "lc", "wlc", "lblc", "lblcr", "dh", "sh", "sed", "nq", "fo", "ovf", "mh"],
        &["", "RR", "nosuch", "rr ", "a-scheduler-with-a-long-name", "twos", "../rr"],
    ),
    value(
        "sched-flags",
        Some('b'),
        &[
            "flag-1",
            "flag-2,flag-1",
            "sh-port",
            "sh-fallback,sh-port",
            "mh-port",
            "mh-fallback",
            "flag-1,flag-2,flag-3",
        ],
        &[
            "",
            "flag-4",
            "flag",
            "FLAG-1",
            "flag-1 flag-2",
            "sh-port,mh-port",
            ",flag-1",
            "flag-1,,flag-2",
            "flag-2,",
        ],
    ),
    Row {
        long: "persistent",
        short: Some('p'),
        takes: Takes::Perhaps,
        good: &["1", "60", "360", "2678400", "+7", "010"],
        odd: &["0", "2678401", "x", "5x", "0x10", "", "1.5", "99999999999999999999"],
    },
    value(
        "netmask",
        Some('M'),
        &[
            "255.255.255.0",
            "255.255.0.0",
            "255.255.255.255",
            "0.0.0.0",
            "128.0.0.0",
            "255.0.255.0",
            "0.0.0.1",
        ],
        &["", "x", "255.255.255.0.0", "256.0.0.0", "/24", "ffff::", "-1"],
    ),
    value("pe", None, &["sip"], &["", "nosuch", "SIP", "an-engine-with-a-long-name"]),
    flag("ops", Some('o')),
    value(
        "real-server",
        Some('r'),
        &[
            "10.2.0.1",
            "10.2.0.1:80",
            "10.2.0.2:8080",
            "172.16.0.9:80",
            "rs1",
            "longrs:http",
            "[2001:db8:2::1]:80",
            "[2001:db8:2::2]:8080",
            "2001:db8:2::2",
        ],
        ODD_SERVICES,
    ),
    flag("gatewaying", Some('g')),
    flag("ipip", Some('i')),
    flag("masquerading", Some('m')),
    value("tun-type", None, &["ipip", "gue", "gre"], &["", "GUE", "vxlan", "0"]),
    value("tun-port", None, &["6080", "1", "65535"], &["0", "65536", "-1", "x", "", "http"]),
    flag("tun-nocsum", None),
    flag("tun-csum", None),
    flag("tun-remcsum", None),
    value(
        "weight",
        Some('w'),
        &["0", "1", "100", "65535", "2147483647", "+5", " 6", "-0"],
        &["-1", "2147483648", "x", "1x", "", "0x10", "1 ", "1.5"],
    ),
    value("u-threshold", Some('x'), &["0", "100", "65535"], &["-1", "2147483648", "x", "", "1,000"]),
    value("l-threshold", Some('y'), &["0", "50", "2147483647"], &["-1", "2147483648", "x", "", "5 "]),
    flag("numeric", Some('n')),
    flag("exact", Some('X')),
    flag("stats", None),
    flag("rate", None),
    flag("thresholds", None),
    flag("persistent-conn", None),
    flag("tun-info", None),
    flag("connection", Some('c')),
    flag("timeout", None),
    flag("daemon", None),
    flag("sort", None),
    flag("nosort", None),
    value(
        "mcast-interface",
        None,
        &["eth0", "lo"],
        &["", "nosuch0", "eth0:1", "an-interface-with-a-long-name", "e/h", "#eth0"],
    ),
    value("syncid", None, &["0", "7", "255"], &["256", "-1", "x", ""]),
    value("sync-maxlen", None, &["1400", "1", "65507"], &["0", "65508", "x", ""]),
    value(
        "mcast-group",
        None,
        &["224.0.0.81", "239.255.255.255", "ff02::81", "ff05::1"],
        &["10.0.0.1", "2001:db8::1", "x", "", "224.1", "[ff02::81]", "240.0.0.1"],
    ),
    value("mcast-port", None, &["8848", "65535", "1"], &["0", "65536", "x", ""]),
    value("mcast-ttl", None, &["1", "64", "255"], &["0", "256", "-1", "x"]),
];

/// The row of a name.
pub(super) fn row(long: &str) -> &'static Row {
    let found = COMMANDS.iter().chain(OPTIONS).find(|row| row.long == long);
    found.expect("the generator names only rows of the table")
}

/// What goes with a command, in groups of which each listed set is drawn together.
pub(super) fn fitting(command: &str) -> &'static [&'static str] {
    match command {
        "add-service" | "edit-service" => &["scheduler", "sched-flags", "persistent", "netmask", "pe", "ops"],
        "add-server" | "edit-server" => &[
            "gatewaying",
            "ipip",
            "masquerading",
            "weight",
            "u-threshold",
            "l-threshold",
            "tun-type",
            "tun-port",
            "tun-nocsum",
            "tun-csum",
            "tun-remcsum",
        ],
        "list" => &[
            "numeric",
            "exact",
            "stats",
            "rate",
            "thresholds",
            "persistent-conn",
            "tun-info",
            "connection",
            "timeout",
            "daemon",
            "sort",
            "nosort",
            "syncid",
        ],
        "save" => &["numeric"],
        "start-daemon" => {
            &["mcast-interface", "syncid", "sync-maxlen", "mcast-group", "mcast-port", "mcast-ttl"]
        }
        "stop-daemon" => &["syncid"],
        _ => &[],
    }
}
