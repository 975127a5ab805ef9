//! The command line: what each is understood as, what is said about a wrong one, and what is listed.
#![allow(clippy::unwrap_used)] // helpers of tests

mod completion;
mod diff;
mod json;
mod manual;
mod messages;

use std::ffi::OsString;
use std::io::Write;
use std::net::SocketAddr;
use std::process::{Command as Process, Stdio};
use std::time::Duration;

use ipvsadm::cli::args::{self, Columns, Command, List, Listed};
use ipvsadm::cli::names::Numeric;
use ipvsadm::cli::run::Session;
use ipvsadm::fake::{FakeKernel, FakeTransport};
use ipvsadm::{
    Destination, DestinationEntry, Errno, Forward, Granularity, Ipvs, Persistence, PersistenceEngine, Rates,
    Request, Scheduler, Service, ServiceEntry, ServiceFlags, ServiceId, Stats, SyncDaemon, SyncRole, Table,
    Tunnel, TunnelChecksum,
};

fn words(line: &str) -> Vec<OsString> {
    line.split_whitespace().map(OsString::from).collect()
}

fn parse(line: &str) -> Command {
    args::parse(words(line), &Numeric).unwrap_or_else(|error| panic!("{line}: {}", error.message))
}

/// The change that a line asks for, spelled out in full.
fn change(line: &str) -> String {
    match parse(line) {
        Command::Change(request) => request.to_string(),
        other => panic!("{line}: {other:?}"),
    }
}

fn wrong(line: &str) -> (String, u8) {
    let error = args::parse(words(line), &Numeric).unwrap_err();
    (error.message, error.status)
}

#[test]
fn every_way_to_say_a_thing_is_understood() {
    let table = [
        ("-A -t 10.0.0.1:80", "-A -t 10.0.0.1:80 -s wlc"),
        ("--add-service --tcp-service 10.0.0.1:80 --scheduler rr", "-A -t 10.0.0.1:80 -s rr"),
        ("-A --tcp-service=10.0.0.1:80 -srr", "-A -t 10.0.0.1:80 -s rr"),
        ("-At 10.0.0.1:80", "-A -t 10.0.0.1:80 -s wlc"),
        ("-A -u [2001:db8::1]:53 -s sh -b sh-port -o", "-A -u [2001:db8::1]:53 -s sh -o -b sh-port"),
        ("-A --sctp-service 10.0.0.1:9 -p", "-A --sctp-service 10.0.0.1:9 -s wlc -p 360"),
        ("-A -t 10.0.0.1 -p -s rr", "-A -t 10.0.0.1:0 -s rr -p 360"),
        ("-A -t 2001:db8::1 -p 60", "-A -t [2001:db8::1]:0 -s wlc -p 60"),
        ("-A -t 10.0.0.1:80 -p50", "-A -t 10.0.0.1:80 -s wlc -p 50"),
        ("-A -t 10.0.0.1:80 -p=70", "-A -t 10.0.0.1:80 -s wlc -p 70"),
        ("-A -t 10.0.0.1:80 --persistent=80 --pe sip", "-A -t 10.0.0.1:80 -s wlc -p 80 --pe sip"),
        ("-A -t 10.0.0.1:80 -p 9 -M 255.255.0.0", "-A -t 10.0.0.1:80 -s wlc -p 9 -M 255.255.0.0"),
        ("-A -t 10.0.0.1:80 -p 9 -M 255.0.255.0", "-A -t 10.0.0.1:80 -s wlc -p 9 -M 255.0.255.0"),
        ("-A -p 9 -M 16 -t 10.0.0.1:80", "-A -t 10.0.0.1:80 -s wlc -p 9 -M 255.255.0.0"),
        ("-A -t [2001:db8::1]:80 -p 9 -M 64", "-A -t [2001:db8::1]:80 -s wlc -p 9 -M 64"),
        ("-E -f 7 -6 -s mh -b mh-port,mh-fallback,flag-3", "-E -f 7 -6 -s mh -b mh-fallback,mh-port,flag-3"),
        ("-E -f 4294967295 -o", "-E -f 4294967295 -s wlc -o"),
        ("-D -u 10.0.0.1:53", "-D -u 10.0.0.1:53"),
        ("-C", "-C"),
        ("-Z", "-Z"),
        ("--zero -f 7", "-Z -f 7"),
        ("-a -t 10.0.0.1:80 -r 10.2.0.1", "-a -t 10.0.0.1:80 -r 10.2.0.1:80 -g -w 1"),
        ("-a -t 10.0.0.1:80 -r 10.2.0.1:8080 -m -w 0", "-a -t 10.0.0.1:80 -r 10.2.0.1:8080 -m -w 0"),
        ("-a -r 10.2.0.1 -m -t 10.0.0.1:80", "-a -t 10.0.0.1:80 -r 10.2.0.1:80 -m -w 1"),
        // Direct routing and tunnelling cannot change the port.
        ("-a -t 10.0.0.1:80 -r 10.2.0.1:8080 -g", "-a -t 10.0.0.1:80 -r 10.2.0.1:80 -g -w 1"),
        ("-a -f 7 -r 10.2.0.1:8080 -g", "-a -f 7 -r 10.2.0.1:8080 -g -w 1"),
        ("-a -f 7 -r 10.2.0.1", "-a -f 7 -r 10.2.0.1:0 -g -w 1"),
        (
            "-e -t 10.0.0.1:80 -r [2001:db8::2]:80 -i",
            "-e -t 10.0.0.1:80 -r [2001:db8::2]:80 -i -w 1 --tun-type ipip",
        ),
        (
            "-a -t 10.0.0.1:80 -r 10.2.0.1 -i --tun-type gue --tun-port 6080 --tun-remcsum -x 9 -y 3",
            "-a -t 10.0.0.1:80 -r 10.2.0.1:80 -i -w 1 -x 9 -y 3 --tun-type gue --tun-port 6080 --tun-remcsum",
        ),
        (
            "-a -t 10.0.0.1:80 -r 10.2.0.1 -i --tun-type gre",
            "-a -t 10.0.0.1:80 -r 10.2.0.1:80 -i -w 1 --tun-type gre --tun-nocsum",
        ),
        ("-d -t 10.0.0.1:80 -r 10.2.0.1", "-d -t 10.0.0.1:80 -r 10.2.0.1:80"),
        ("--set 1 0 3", "--set 1 0 3"),
        ("--start-daemon master", "--start-daemon master --mcast-interface eth0 --syncid 0"),
        (
            "--start-daemon backup --mcast-interface eth1 --syncid 9 --sync-maxlen 1400 --mcast-group ff02::81 \
             --mcast-port 99 --mcast-ttl 2",
            "--start-daemon backup --mcast-interface eth1 --syncid 9 --sync-maxlen 1400 --mcast-group ff02::81 \
             --mcast-port 99 --mcast-ttl 2",
        ),
        ("--stop-daemon backup --syncid 9", "--stop-daemon backup"),
    ];
    for (line, meant) in table {
        assert_eq!(change(line), meant, "{line}");
        // What is displayed is understood as itself.
        assert_eq!(change(meant), meant);
    }
}

#[test]
fn listings_are_understood() {
    let table = |columns, exact, sorted| Listed::Table { only: None, columns, exact, sorted };
    let cases = [
        ("", false, table(Columns::Usual, false, true)),
        ("-L", false, table(Columns::Usual, false, true)),
        ("-Ln", true, table(Columns::Usual, false, true)),
        ("-l --numeric --stats --exact", true, table(Columns::Stats, true, true)),
        ("--list --rate --nosort --stats", false, table(Columns::Stats, false, false)),
        ("-L --rate --sort", false, table(Columns::Rate, false, true)),
        ("-L --thresholds", false, table(Columns::Thresholds, false, true)),
        ("-L --persistent-conn", false, table(Columns::Persistence, false, true)),
        ("-L --tun-info", false, table(Columns::Tunnels, false, true)),
        ("-Lnc --persistent-conn", true, Listed::Connections { engines: true }),
        ("-L --timeout", false, Listed::Timeouts),
        ("-L --daemon", false, Listed::Daemons),
    ];
    for (line, numeric, what) in cases {
        assert_eq!(parse(line), Command::List(List { what, numeric, json: false }), "{line}");
    }
    let what = table(Columns::Stats, false, true);
    assert_eq!(parse("-L --stats --json"), Command::List(List { what, numeric: false, json: true }));
    assert_eq!(parse("-S -n"), Command::Save { numeric: true });
    assert_eq!(parse("--restore"), Command::Restore);
    assert_eq!(parse("-h"), Command::Help);
    assert_eq!(parse("-v"), Command::Version);
}

#[test]
fn a_wrong_command_line_is_explained() {
    let cases = [
        ("-A", "-A needs a virtual service (-t, -u, --sctp-service or -f)", 2),
        ("-a -t 10.0.0.1:80", "-a needs -r", 2),
        ("-A -t 10.0.0.1:80 -w 3", "-w does not go with -A, but with -a and -e", 2),
        ("-A -t 10.0.0.1:80 -t 10.0.0.2:80", "-t is given twice", 2),
        ("-A -t 10.0.0.1:80 -u 10.0.0.2:80", "-t and -u exclude each other", 2),
        ("-a -t 10.0.0.1:80 -r 10.2.0.1 -m -g", "-m and -g exclude each other", 2),
        ("-A -t 10.0.0.1:80 extra", "unexpected word `extra`: -A takes options only, each with its value", 2),
        ("-A -L", "two commands: -A and -L", 2),
        (
            "-A -t 10.0.0.1",
            "-t `10.0.0.1` has no port, as in 10.0.0.1:80; a port of 0 (every port) is for persistent services only (-p)",
            2,
        ),
        (
            "-A -u 10.0.0.1:0",
            "-u `10.0.0.1:0`: a port of 0 (every port) is for persistent services only (-p)",
            2,
        ),
        (
            "-A -t 2001:db8::1:80",
            "-t `2001:db8::1:80` is an IPv6 address without a port; if 80 is meant to be its port, write [2001:db8::1]:80; \
             a port of 0 (every port) is for persistent services only (-p)",
            2,
        ),
        (
            "-A -t 2001:db8::1",
            "-t `2001:db8::1` has no port, as in [2001:db8::1]:80; a port of 0 (every port) is for persistent services \
             only (-p)",
            2,
        ),
        (
            "-a -t [2001:db8::1]:80 -r 2001:db8:1:2:3:4:5:6:80",
            "-r `2001:db8:1:2:3:4:5:6:80`: an IPv6 address with a port is written with brackets: \
             `[2001:db8:1:2:3:4:5:6]:80`",
            2,
        ),
        ("-A -t 10.0.0.1:80 -o", "-o (one-packet scheduling) is for UDP services and firewall marks", 2),
        ("-A -t 80", "-t `80`: `80` is neither an address nor the name of a host with an IPv4 address", 2),
        (
            "-A -t 10.0.0.1:x",
            "-t `10.0.0.1:x`: `x` is neither a port from 0 to 65535 nor a known TCP service",
            2,
        ),
        ("-A -f 0", "-f `0`: a firewall mark is a number from 1 to 4294967295", 2),
        ("-A -t 10.0.0.1:80 -6", "-6 goes with -f only", 2),
        ("-A -t 10.0.0.1:80 -p 0", "-p `0`: a whole number from 1 to 2678400 is needed", 2),
        ("-A -t 10.0.0.1:80 --pe sip", "--pe has no effect without -p", 2),
        (
            "-A -t 10.0.0.1:80 -p -M 255.0.255",
            "-M `255.0.255`: a mask, such as 255.255.255.0, or a prefix length from 0 to 32 is needed",
            2,
        ),
        ("-A -t [::1]:80 -p -M 0", "-M `0`: for IPv6 a prefix length from 1 to 128 is needed", 2),
        ("-A -t 10.0.0.1:80 -b sh-port", "-b `sh-port`: the flags of wlc are flag-1, flag-2, flag-3", 2),
        (
            "-A -t 10.0.0.1:80 -s sh -b mh-port",
            "-b `mh-port`: the flags of sh are sh-fallback, sh-port, flag-3",
            2,
        ),
        (
            "-A -t 10.0.0.1:80 -s abcdefghijklmnop",
            "-s: `abcdefghijklmnop` is not a scheduler name: 1 to 15 printable ASCII characters without spaces are allowed, the first not a #",
            255,
        ),
        (
            "-A -t 10.0.0.1:80 -s #rr",
            "-s: `#rr` is not a scheduler name: 1 to 15 printable ASCII characters without spaces are allowed, the first not a #",
            255,
        ),
        (
            "-A -t 10.0.0.1:80 -p --pe #sip",
            "--pe: `#sip` is not a persistence engine name: 1 to 15 printable ASCII characters without spaces are allowed, the first not a #",
            255,
        ),
        (
            "-a -t 10.0.0.1:80 -r [::2]:80 -m",
            "-r `[::2]:80`: a real server of the other address family than its service can be reached by tunnelling (-i) only",
            2,
        ),
        ("-a -t 10.0.0.1:80 -r 10.2.0.1 -w -1", "-w `-1`: a whole number from 0 to 2147483647 is needed", 2),
        ("-a -t 10.0.0.1:80 -r 10.2.0.1 --tun-csum", "--tun-csum is for tunnelling (-i)", 2),
        ("-a -t 10.0.0.1:80 -r 10.2.0.1 -i --tun-csum", "--tun-csum does not go with --tun-type ipip", 2),
        ("-a -t 10.0.0.1:80 -r 10.2.0.1 -i --tun-type gue", "--tun-type gue needs --tun-port", 2),
        (
            "-a -t 10.0.0.1:80 -r 10.2.0.1 -i --tun-type gre --tun-port 4",
            "--tun-port does not go with --tun-type gre",
            2,
        ),
        (
            "-a -t 10.0.0.1:80 -r 10.2.0.1 -i --tun-type gre --tun-remcsum",
            "--tun-remcsum does not go with --tun-type gre",
            2,
        ),
        (
            "-a -t 10.0.0.1:80 -r 10.2.0.1 -i --tun-type foo",
            "--tun-type `foo`: the types are ipip, gue and gre",
            2,
        ),
        ("--set 1 2", "--set needs three timeouts in seconds: tcp, tcpfin and udp", 2),
        ("--set 1 2 3 4", "unexpected word `4` after the three timeouts", 2),
        ("--set 1 2 2678401", "--set `2678401`: a whole number from 0 to 2678400 is needed", 2),
        ("--start-daemon foo", "--start-daemon `foo`: the states are master and backup", 2),
        (
            "--start-daemon master --mcast-group 10.0.0.1",
            "--mcast-group `10.0.0.1`: an IPv4 or IPv6 multicast address is needed",
            2,
        ),
        (
            "--start-daemon master --mcast-interface abcdefghijklmnop",
            "--mcast-interface `abcdefghijklmnop`: a name has 1 to 15 bytes, without blanks, `/` and `:`, the first not a #",
            255,
        ),
        (
            "--start-daemon master --mcast-interface #eth0",
            "--mcast-interface `#eth0`: a name has 1 to 15 bytes, without blanks, `/` and `:`, the first not a #",
            255,
        ),
        (
            "--start-daemon master --mcast-interface eth0:1",
            "--mcast-interface `eth0:1`: a name has 1 to 15 bytes, without blanks, `/` and `:`, the first not a #",
            255,
        ),
        ("-L --timeout --daemon", "--timeout and --daemon exclude each other", 2),
        ("-L -c --stats", "-c and --stats exclude each other", 2),
        ("-L --daemon --persistent-conn", "--daemon and --persistent-conn exclude each other", 2),
        ("-q", "unknown command -q; try --help", 255),
        ("-n -L", "a command must come before -n; try --help", 255),
        ("list", "`list` is not a command; did you mean --list?", 255),
        ("--add -t 10.0.0.1:80", "unknown command --add; did you mean --add-service or --add-server?", 255),
        // The original knows no abbreviations either.
        ("-A --tcp-serv 10.0.0.1:80", "unknown option --tcp-serv; did you mean --tcp-service?", 255),
        ("-A -t 10.0.0.1:80 --shceduler rr", "unknown option --shceduler; did you mean --scheduler?", 255),
        ("-L --timeouts", "unknown option --timeouts; did you mean --timeout?", 255),
        // What does not go with the command is not suggested.
        ("-A -t 10.0.0.1:80 --weigth 3", "unknown option --weigth; try --help", 255),
        ("-A -t", "-t needs a value: host[:port]", 255),
        ("-A --list= -t 10.0.0.1:80", "--list takes no value; try --help", 255),
        ("--help=5", "--help takes no value; try --help", 255),
        ("list -L", "unexpected word `list`: -L takes options only, each with its value", 2),
        ("-L --syncid 256", "--syncid `256`: a whole number from 0 to 255 is needed", 2),
        ("--stop-daemon master --syncid x", "--syncid `x`: a whole number from 0 to 255 is needed", 2),
        ("--sort -L", "a command must come before --sort; try --help", 255),
    ];
    for (line, message, status) in cases {
        assert_eq!(wrong(line), (message.to_owned(), status), "{line}");
    }
}

/// What ipvsadm 1.31 takes without a word.
#[test]
fn the_originals_leniency_is_kept() {
    let change = |words: &[&str]| match args::parse(words.iter().map(OsString::from), &Numeric) {
        Ok(Command::Change(request)) => request.to_string(),
        other => panic!("{words:?}: {other:?}"),
    };
    let web = "-t 10.0.0.1:80";
    assert_eq!(change(&["-A", "-t", "10.0.0.1:80", "-s", ""]), format!("-A {web} -s wlc"));
    assert_eq!(
        change(&["-A", "-t", "10.0.0.1:80", "-p", " +9", "--pe", ""]),
        format!("-A {web} -s wlc -p 9")
    );
    assert_eq!(
        change(&["-a", "-t", "10.0.0.1:80", "-r", "10.2.0.1", "-w", "-0"]),
        format!("-a {web} -r 10.2.0.1:80 -g -w 0")
    );
    assert_eq!(change(&["-D", "-t", "10.0.0.1: +80"]), format!("-D {web}"));
    assert_eq!(change(&["-D", "-f", " 7"]), "-D -f 7");
    assert_eq!(change(&["-D", "--sort", "-t", "10.0.0.1:80", "--sort"]), format!("-D {web}"));
    assert_eq!(
        change(&["--start-daemon", "backup", "--mcast-interface", ""]),
        "--start-daemon backup --mcast-interface eth0 --syncid 0"
    );
    assert_eq!(change(&["1", "--set", "2", "3"]), "--set 1 2 3");
    for line in ["-h -n", "--help anything -A --unknown", "-h -x", "-hx", "first -h"] {
        assert_eq!(parse(line), Command::Help, "{line}");
    }
    assert_eq!(parse("-v --unknown"), Command::Version);
    assert_eq!(parse("-L --nosort --sort"), parse("-L --nosort"));
}

#[test]
fn words_that_are_not_utf8_are_refused() {
    use std::os::unix::ffi::OsStringExt as _;
    let line = vec!["-A".into(), "-t".into(), OsString::from_vec(vec![b'1', 0xff])];
    assert_eq!(args::parse(line, &Numeric).unwrap_err().message, "-t `1\u{fffd}` is not UTF-8");
}

/// What a command writes, and its status.
fn run(kernel: &FakeKernel, line: &str, input: &str) -> (u8, String, String) {
    let mut ipvs: Ipvs<FakeTransport> = Ipvs::with_transport(kernel.connect()).unwrap();
    let (mut output, mut errors) = (Vec::new(), Vec::new());
    let mut session = Session {
        ipvs: &mut ipvs,
        names: &Numeric,
        input: &mut input.as_bytes(),
        output: &mut output,
        errors: &mut errors,
    };
    let status = session.run(&parse(line));
    (status, String::from_utf8(output).unwrap(), String::from_utf8(errors).unwrap())
}

fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// A kernel with one service of every kind.
fn kernel() -> FakeKernel {
    let stats = Stats {
        connections: 18,
        packets_in: 97,
        packets_out: 90,
        bytes_in: 123_456_789,
        bytes_out: 7604,
        rates: Rates { cps: 2, pps_in: 12, pps_out: 11, bps_in: 787, bps_out: 950 },
    };
    let entry = |destination, stats| DestinationEntry {
        destination,
        active_connections: 1,
        inactive_connections: 8,
        persistent_connections: 3,
        stats,
    };
    let persistence = |granularity| Persistence {
        timeout: Duration::from_secs(360),
        granularity,
        engine: PersistenceEngine::new("sip").ok(),
    };
    let masquerade = Destination {
        weight: 5,
        upper_threshold: 100,
        lower_threshold: 50,
        ..Destination::new(at("10.2.0.11:8080").into(), Forward::Masquerade)
    };
    let gue = Tunnel::Gue { port: 6080.try_into().unwrap(), checksum: TunnelChecksum::Checksum };
    let tunnel = Destination::new(at("[2001:db8::9]:80").into(), Forward::Tunnel(gue));
    let web = Service {
        flags: ServiceFlags::SCHEDULER_1 | ServiceFlags::SCHEDULER_2,
        persistence: Some(persistence(Granularity::prefix(24))),
        ..Service::new(ServiceId::tcp(at("10.1.0.100:80")), Scheduler::SH)
    };
    let dns = Service {
        flags: ServiceFlags::ONE_PACKET,
        ..Service::new(ServiceId::udp(at("[2001:db8::1]:53")), Scheduler::RR)
    };
    let mark = ServiceId::FwMark { mark: 7.try_into().unwrap(), family: ipvsadm::Family::V6 };
    let services = vec![
        ServiceEntry {
            service: Service::new(mark, Scheduler::NQ),
            stats: Stats::default(),
            destinations: Vec::new(),
        },
        ServiceEntry { service: dns, stats: Stats::default(), destinations: Vec::new() },
        ServiceEntry {
            service: web,
            stats,
            destinations: vec![entry(tunnel, Stats::default()), entry(masquerade, stats)],
        },
    ];
    let kernel = FakeKernel::new();
    kernel.set_table(Table { services });
    kernel
}

const BANNER: &str = "IP Virtual Server version 1.2.1 (size=4096)\n";

#[test]
fn the_table_is_listed_as_by_the_original() {
    let usual = "\
Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port           Forward Weight ActiveConn InActConn
TCP  10.1.0.100:80 sh (sh-fallback,sh-port) persistent 360 mask 255.255.255.0 pe sip
  -> 10.2.0.11:8080               Masq    5      1          8         
  -> [2001:db8::9]:80             Tunnel  1      1          8         
UDP  [2001:db8::1]:53 rr ops
FWM  7 IPv6 nq
";
    assert_eq!(run(&kernel(), "-L -n", ""), (0, format!("{BANNER}{usual}"), String::new()));
    let only = "\
Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port           Forward Weight ActiveConn InActConn
UDP  [2001:db8::1]:53 rr ops
";
    assert_eq!(run(&kernel(), "-L -n -u [2001:db8::1]:53", "").1, only);
    let missing = run(&kernel(), "-L -n -t 10.0.0.1:80", "");
    assert_eq!(
        missing,
        (
            1,
            String::new(),
            "ipvsadm: there is no such service: TCP 10.0.0.1:80; \
             there is FWM 7 IPv6, UDP [2001:db8::1]:53, TCP 10.1.0.100:80\n"
                .to_owned()
        )
    );
}

#[test]
fn every_choice_of_columns_is_listed_as_by_the_original() {
    let listed = |line: &str| run(&kernel(), line, "").1.strip_prefix(BANNER).unwrap().to_owned();
    assert_eq!(
        listed("-L -n --stats"),
        "\
Prot LocalAddress:Port               Conns   InPkts  OutPkts  InBytes OutBytes
  -> RemoteAddress:Port
TCP  10.1.0.100:80                      18       97       90  123456K     7604
  -> 10.2.0.11:8080                     18       97       90  123456K     7604
  -> [2001:db8::9]:80                    0        0        0        0        0
UDP  [2001:db8::1]:53                    0        0        0        0        0
FWM  7 IPv6                              0        0        0        0        0
"
    );
    assert!(listed("-L -n --stats --exact").contains("       97       90 123456789     7604\n"));
    assert!(listed("-L -n --rate").contains(
        "\
TCP  10.1.0.100:80                       2       12       11      787      950
  -> 10.2.0.11:8080                      2       12       11      787      950
"
    ));
    assert!(listed("-L -n --thresholds").contains(
        "\
Prot LocalAddress:Port            Uthreshold Lthreshold ActiveConn InActConn 
  -> RemoteAddress:Port
TCP  10.1.0.100:80 sh (sh-fallback,sh-port) persistent 360 mask 255.255.255.0 pe sip
  -> 10.2.0.11:8080               100        50         1          8         
"
    ));
    assert!(listed("-L -n --persistent-conn").contains(
        "\
Prot LocalAddress:Port            Weight    PersistConn ActiveConn InActConn 
  -> RemoteAddress:Port
TCP  10.1.0.100:80 sh (sh-fallback,sh-port) persistent 360 mask 255.255.255.0 pe sip
  -> 10.2.0.11:8080               5         3           1          8         
"
    ));
    assert!(listed("-L -n --tun-info").contains(
        "\
  -> RemoteAddress:Port           Forward TunnelInfo    Weight ActiveConn InActConn
TCP  10.1.0.100:80 sh (sh-fallback,sh-port) persistent 360 mask 255.255.255.0 pe sip
  -> 10.2.0.11:8080               Masq    n/a           5      1          8         
  -> [2001:db8::9]:80             Tunnel  gue:6080:+c   1      1          8         
"
    ));
    assert!(listed("-L -n --nosort").starts_with(
        "\
Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port           Forward Weight ActiveConn InActConn
FWM  7 IPv6 nq
"
    ));
}

#[test]
fn saved_rules_restore_the_same_table() {
    let (status, saved, _) = run(&kernel(), "-S -n", "");
    assert_eq!(status, 0);
    assert_eq!(
        saved,
        "\
-A -t 10.1.0.100:80 -s sh -p 360 -M 255.255.255.0 --pe sip -b sh-fallback,sh-port
-a -t 10.1.0.100:80 -r 10.2.0.11:8080 -m -w 5 -x 100 -y 50
-a -t 10.1.0.100:80 -r [2001:db8::9]:80 -i -w 1 --tun-type gue --tun-port 6080 --tun-csum
-A -u [2001:db8::1]:53 -s rr -o
-A -f 7 -6 -s nq
"
    );
    let fresh = FakeKernel::new();
    assert_eq!(run(&fresh, "-R", &saved), (0, String::new(), String::new()));
    assert_eq!(run(&fresh, "-S -n", "").1, saved);
}

#[test]
fn restoring_goes_on_after_what_the_kernel_refuses_and_ends_at_a_wrong_line() {
    let kernel = FakeKernel::new();
    let rules = "# web\n-A -t 10.5.0.1:80 -s rr\n\n-A -t 10.5.0.1:80 -s rr\n-A -t 10.5.0.2:80 -s rr\n";
    let (status, _, errors) = run(&kernel, "-R", rules);
    // As in the original the status is the last line's.
    assert_eq!(status, 0);
    assert_eq!(
        errors,
        "ipvsadm: line 4: -A -t 10.5.0.1:80 -s rr: the service exists already (EEXIST); -E changes it\n"
    );
    assert_eq!(kernel.table().services.len(), 2);

    let rules = "-A -t 10.5.0.3:80\n-A -t 10.5.0.4:80 -w 4\n-A -t 10.5.0.5:80\n";
    let (status, _, errors) = run(&kernel, "-R", rules);
    assert_eq!(
        (status, errors.as_str()),
        (
            2,
            "ipvsadm: line 2: `-A -t 10.5.0.4:80 -w 4`: -w does not go with -A, but with -a and -e; what comes after it was not read\n"
        )
    );
    assert_eq!(kernel.table().services.len(), 3);

    let rules = "-A -t 10.5.0.6:80\n-A --unknown\n-A -t 10.5.0.7:80\n";
    let (status, _, errors) = run(&kernel, "-R", rules);
    assert_eq!(
        (status, errors.as_str()),
        (0, "ipvsadm: line 2: `-A --unknown`: unknown option --unknown; try --help\n")
    );
    assert_eq!(kernel.table().services.len(), 5);

    let rules = "-A -t 10.5.0.8:80 -s abcdefghijklmnop\n-A -t 10.5.0.7:80\n";
    assert_eq!(run(&kernel, "-R", rules).0, 255);
    assert_eq!(kernel.table().services.len(), 5);

    let (status, _, errors) = run(&kernel, "-R", "-h\n-A -t 10.5.0.8:80\n");
    assert_eq!((status, errors.as_str()), (0, ""));
    assert_eq!(kernel.table().services.len(), 5);

    let (status, _, errors) = run(&kernel, "-R", "-R\n-A -t 10.5.0.8:80\n");
    assert_eq!(
        (status, errors.as_str()),
        (
            255,
            "ipvsadm: line 1: `-R`: -R cannot be one of the rules that it reads; what comes after it was not read\n"
        )
    );
    assert_eq!(kernel.table().services.len(), 5);
}

#[test]
fn a_rule_that_lists_sees_what_the_rules_above_it_did() {
    let kernel = FakeKernel::new();
    let (status, output, _) = run(&kernel, "-R", "-A -t 10.5.0.1:80 -s rr\n-S -n\n-D -t 10.5.0.1:80\n");
    assert_eq!((status, output.as_str()), (0, "-A -t 10.5.0.1:80 -s rr\n"));
    assert_eq!(kernel.table().services.len(), 0);
}

#[test]
fn a_refused_change_has_the_originals_status() {
    let kernel = FakeKernel::new();
    kernel.refuse(0, Errno::ENOMEM, None);
    let (status, output, errors) = run(&kernel, "-A -t 10.5.0.1:80", "");
    assert_eq!((status, output.as_str()), (255, ""));
    assert_eq!(errors, "ipvsadm: -A -t 10.5.0.1:80 -s wlc: the kernel is out of memory (ENOMEM)\n");
}

#[test]
fn timeouts_and_daemons_are_listed_as_by_the_original() {
    let kernel = FakeKernel::new();
    assert_eq!(run(&kernel, "-L --timeout", "").1, "Timeout (tcp tcpfin udp): 900 120 300\n");
    assert_eq!(run(&kernel, "-L --daemon", "").1, "");
    let mut ipvs = Ipvs::with_transport(kernel.connect()).unwrap();
    let daemon = Request::StartDaemon(SyncDaemon::new(SyncRole::Master, "eth0", 5));
    assert_eq!(ipvs.apply(&[daemon]).unwrap(), [Ok(())]);
    assert_eq!(
        run(&kernel, "-L --daemon", "").1,
        "master sync daemon (mcast=eth0, syncid=5, maxlen=1472, group=224.0.0.81, port=8848, ttl=1)\n"
    );
}

/// Fails at every write, as a pipe does that nobody reads or a disk without room.
struct Failing(Errno);

impl Write for Failing {
    fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
        Err(self.0.into())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Runs a command whose output fails, and gives its status and what it says.
fn run_unwritten(line: &str, why: Errno) -> (u8, String) {
    let mut ipvs = Ipvs::with_transport(kernel().connect()).unwrap();
    let mut errors = Vec::new();
    let mut session = Session {
        ipvs: &mut ipvs,
        names: &Numeric,
        input: &mut std::io::empty(),
        output: &mut Failing(why),
        errors: &mut errors,
    };
    (session.run(&parse(line)), String::from_utf8(errors).unwrap())
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    assert_eq!(run_unwritten("-L -n", Errno::EPIPE), (0, String::new()));
}

#[test]
fn rules_that_could_not_be_written_are_not_taken_for_saved() {
    for line in ["-S -n", "-L -n", "-L --json", "-L --timeout", "-h"] {
        let (status, errors) = run_unwritten(line, Errno::ENOSPC);
        let said = "ipvsadm: writing to standard output failed, what was written is not complete: No space left on \
                    device (os error 28)\n";
        assert_eq!((status, errors.as_str()), (1, said), "{line}");
    }
}

#[test]
fn a_refusal_that_nobody_can_hear_has_its_status_and_stops_nothing() {
    for why in [Errno::EPIPE, Errno::ENOSPC] {
        let kernel = kernel();
        let mut ipvs = Ipvs::with_transport(kernel.connect()).unwrap();
        let rules = "-D -t 10.9.9.9:9\n-A -t 10.9.9.1:80 --nonsense\n-A -t 10.9.9.2:80\n-D -t 10.9.9.9:9\n";
        let mut session = Session {
            ipvs: &mut ipvs,
            names: &Numeric,
            input: &mut rules.as_bytes(),
            output: &mut std::io::sink(),
            errors: &mut Failing(why),
        };
        assert_eq!(session.run(&Command::Restore), 255);
        assert_eq!(run(&kernel, "-L -n -t 10.9.9.2:80", "").0, 0, "the rule after the refused ones");
    }
}

#[test]
fn the_program_helps_and_explains_without_a_kernel() {
    let run = |words: &[&str]| {
        let program = env!("CARGO_BIN_EXE_ipvsadm");
        Process::new(program).args(words).stdin(Stdio::null()).output().unwrap()
    };
    let help = run(&["--help"]);
    assert!(help.status.success());
    assert!(String::from_utf8(help.stdout).unwrap().contains("-A, --add-service"));
    let wrong = run(&["-A"]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(String::from_utf8(wrong.stderr).unwrap().starts_with("ipvsadm: -A needs a virtual service"));
}

#[test]
fn the_program_ends_in_order_where_nothing_can_be_written() {
    let full = || std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    for (words, status) in [("-A", 2), ("--nonsense", 255), ("--help", 1)] {
        let mut program = Process::new(env!("CARGO_BIN_EXE_ipvsadm"));
        program.arg(words).stdin(Stdio::null()).stdout(full()).stderr(full());
        assert_eq!(program.status().unwrap().code(), Some(status), "{words}");
    }
}
