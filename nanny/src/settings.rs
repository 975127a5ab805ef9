//! Options into settings: defaults, what options mean together, and what cannot go together.

use std::ffi::OsStr;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use checkspec::program::Surroundings;
use daemonkit::exit;
use ipvsadm::{Destination, DestinationId, Family, Forward, Protocol, ServiceId, Tunnel};

use crate::args::{Args, Method, UsageError, refuse};
use crate::check::{Check, Exchange, Kind, Limits, Medium, ProgramCheck, Transport, asked, program};
use crate::confine::user::User;
use crate::escape::translate;
use crate::expect::Expect;
use crate::health::Thresholds;
use crate::measure::Source;
use crate::monitor::Rules;
use crate::once::UNKNOWN;
use crate::row::Duty;

/// Port of a virtual server that names none.
pub const DEFAULT_PORT: u16 = 80;
/// Time between two probes, when none is given.
pub const DEFAULT_INTERVAL: Duration = Duration::from_secs(10);
/// Re-entry time of a real server, when none is given. A failover service's is the interval.
pub const DEFAULT_REENTRY: Duration = Duration::from_secs(180);
/// Largest multiple of the weight, when none is given.
pub const DEFAULT_SCALE: u16 = 10;

/// Where the process and its log are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In the foreground; log to standard error.
    Foreground,
    /// Where it was started, without a terminal; log to syslog.
    Detached,
    /// A daemon of its own; log to syslog.
    Daemon,
}

/// All that a monitor needs.
#[derive(Debug)]
pub struct Settings {
    /// Address and port of the real server.
    pub server: SocketAddr,
    /// Address and port that are probed: the same, unless the check names another port.
    pub target: SocketAddr,
    /// The virtual server, for people.
    pub service: String,
    /// How the server is probed.
    pub check: Check,
    /// When, and what follows from it.
    pub rules: Rules,
    /// Who tells the load, within one interval.
    pub load: Option<Source>,
    /// The row of the IPVS table to look after, if that is this process's duty.
    pub duty: Option<Duty>,
    /// Where to run.
    pub place: Place,
    /// As whom to run, if somebody was asked for.
    pub user: Option<User>,
    /// Whether whoever reads the reports logs the transitions; then they are details here.
    pub reports_only: bool,
    /// Whether to log each probe.
    pub verbose: bool,
    /// Whether to log what happens in a probe, for somebody who looks on.
    pub narrated: bool,
    /// Whether one probe is all.
    pub once: bool,
    /// What looks like a mistake and is none that stops anything.
    pub warnings: Vec<&'static str>,
}

impl Settings {
    /// Decides what `args` mean together.
    ///
    /// # Errors
    /// [`UsageError`] for an option that is missing or that does not fit the others.
    pub fn resolve(args: &Args) -> Result<Self, UsageError> {
        let address = args.server.ok_or(UsageError::Missing {
            option: "-h/--server",
            needed: "give the address of the real server",
        })?;
        let port = args.port.unwrap_or(DEFAULT_PORT);
        let server = SocketAddr::new(address, args.real_port.unwrap_or(port));
        let target = SocketAddr::new(
            address,
            args.check.as_ref().and_then(checkspec::Check::port).unwrap_or(server.port()),
        );
        let interval = args.interval.unwrap_or(DEFAULT_INTERVAL);
        if args.udp && args.sctp {
            let allowed = "a service has one protocol: give one of the two";
            return Err(refuse("-u/--udp", OsStr::new("--sctp"), allowed));
        }
        let mut warnings = Vec::new();
        let weight = args.weight.unwrap_or(1);
        let service = service_name(args, port);
        let surroundings = Surroundings { server, service: &service, weight };
        let kind = kind(args, surroundings, port, &mut warnings)?;
        let check = Check { kind, limits: limits(args, interval) };
        if target.port() == 0 && matches!(check.medium(), Medium::Socket(_)) {
            let allowed = "port 0 cannot be probed: give another, or a program (-e) that knows what to do";
            return Err(refuse("-r/--rport", OsStr::new("0"), allowed));
        }
        if !matches!(check.medium(), Medium::Program(_)) && is_link_local(address) {
            warnings.push(
                "a link-local address cannot be reached without its interface, which cannot be given: use another",
            );
        }
        let default_reentry = if args.failover { interval } else { DEFAULT_REENTRY };
        let reentry = args.reentry.filter(|time| !time.is_zero()).unwrap_or(default_reentry);
        let load = load(args, server, interval)?;
        let phase = args.phase.unwrap_or(interval);
        if phase > interval {
            let allowed = "write a time up to the interval";
            return Err(refuse("--phase", OsStr::new(&format!("{phase:?}")), allowed));
        }
        if args.damping.is_some_and(|damping| damping.within < reentry * damping.times) {
            warnings.push(
                "--damping has no effect: a server that comes back after its re-entry time cannot go down so often",
            );
        }
        let rules = Rules {
            interval,
            failing_interval: args.failing_interval.unwrap_or(interval),
            jitter: args.jitter,
            damping: args.damping,
            phase,
            was: args.was,
            settling: reentry.min(interval),
            thresholds: Thresholds::new(reentry, interval, args.rise.unwrap_or(1), args.fall.unwrap_or(1)),
            failover: args.failover,
            weight,
            scale: args.scale.unwrap_or(DEFAULT_SCALE),
            measure_every: load.as_ref().map(|source| source.period(interval)),
        };
        Ok(Self {
            server,
            target,
            service,
            check,
            rules,
            load,
            duty: duty(args, server, port, weight, &mut warnings)?,
            place: place(args),
            user: args.user.clone(),
            reports_only: args.report,
            verbose: args.verbose,
            narrated: args.verbose && place(args) == Place::Foreground && !args.report,
            once: args.once,
            warnings,
        })
    }

    /// The exit status of a process that ends before its time: nobody wants to know any more.
    #[must_use]
    pub fn unasked(&self) -> u8 {
        if self.once { UNKNOWN } else { exit::OK }
    }
}

fn place(args: &Args) -> Place {
    match (args.foreground || args.once, args.no_fork) {
        (true, _) => Place::Foreground,
        (false, true) => Place::Detached,
        (false, false) => Place::Daemon,
    }
}

fn limits(args: &Args, interval: Duration) -> Limits {
    Limits {
        connect: args.connect_timeout.unwrap_or(interval),
        step: args.answer_timeout.unwrap_or(interval),
        total: args.check_timeout,
    }
}

/// Whether an address means something on one link only (fe80::/10), so that a connection has to name the link.
fn is_link_local(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(address) if address.is_unicast_link_local())
}

fn kind(
    args: &Args,
    surroundings: Surroundings<'_>,
    virtual_port: u16,
    warnings: &mut Vec<&'static str>,
) -> Result<Kind, UsageError> {
    if let Some(check) = &args.check {
        excludes(args)?;
        return asked::kind(check.clone(), surroundings)
            .map_err(|reason| refuse("--check", OsStr::new(&check.to_string()), reason));
    }
    let text = |typed: &Option<Vec<u8>>| match typed {
        // The original leaves strings of a single character alone, which is the same thing.
        Some(typed) if !args.keep_backslashes => translate(typed),
        Some(typed) => typed.clone(),
        None => Vec::new(),
    };
    let (send, expected) = (text(&args.send), text(&args.expect));
    if let Some(command) = &args.program {
        let words = program::split(command, surroundings.server);
        if words.is_empty() {
            return Err(refuse("-e/--send_program", OsStr::new(""), "write a program and its arguments"));
        }
        if args.regex {
            warnings.push("--regex has no effect with a program: its whole output is compared");
        }
        let expect = (!expected.is_empty()).then_some(expected);
        let expect = expect.map(Expect::Equals);
        return Ok(Kind::Program(ProgramCheck { words, environment: Vec::new(), expect, warning: None }));
    }
    let transport = transport(args);
    let says_nothing = args.send.is_none() && args.expect.is_none();
    if says_nothing && virtual_port == 80 && transport == Transport::Tcp {
        let (send, expect) = (b"GET / HTTP/1.0\r\n\r\n".to_vec(), Some(Expect::Literal(b"HTTP".to_vec())));
        return Ok(Kind::Exchange(Exchange::ask(transport, send, expect)));
    }
    if args.udp && send.is_empty() {
        warnings.push("a UDP server that is sent nothing answers nothing and counts as down: give -s or -e");
    }
    let expect = match expected.as_slice() {
        b"" => None,
        _ if args.regex => Some(Expect::pattern(&expected).map_err(|error| {
            let reason = error.lines().last().unwrap_or_default().trim().to_owned();
            let option = "-x/--expect_string";
            refuse(option, OsStr::from_bytes(&expected), format!("write a regular expression ({reason})"))
        })?),
        b"*" => Some(Expect::Anything),
        _ => Some(Expect::Literal(expected)),
    };
    Ok(Kind::Exchange(Exchange::ask(transport, send, expect)))
}

/// Refuses what a check says itself.
fn excludes(args: &Args) -> Result<(), UsageError> {
    // By hand the protocol also says which row of the IPVS table is meant.
    let is_row = args.lvs && !args.report;
    let protocol = "write the protocol in the check: tcp, udp or sctp";
    let others = [
        ("-s/--send_string", args.send.is_some(), "write send=TEXT in the check"),
        (
            "-x/--expect_string",
            args.expect.is_some(),
            "write expect=TEXT, regex=EXPRESSION or any in the check",
        ),
        ("--regex", args.regex, "write regex=EXPRESSION in the check"),
        ("-e/--send_program", args.program.is_some(), "give one of the two"),
        ("-T/--suppress", args.keep_backslashes, "write \\\\ for a backslash in the check"),
        ("-u/--udp", args.udp && !is_row, protocol),
        ("--sctp", args.sctp && !is_row, protocol),
    ];
    let conflict = others.into_iter().find(|(_, is_given, _)| *is_given);
    conflict.map_or(Ok(()), |(other, _, help)| Err(UsageError::Conflict { one: "--check", other, help }))
}

fn transport(args: &Args) -> Transport {
    match (args.udp, args.sctp) {
        (true, _) => Transport::Udp,
        (false, true) => Transport::Sctp,
        (false, false) => Transport::Tcp,
    }
}

fn load(args: &Args, server: SocketAddr, interval: Duration) -> Result<Option<Source>, UsageError> {
    let Some(command) = args.load_command.as_deref().filter(|command| *command != b"none") else {
        return Ok(None);
    };
    let source = Source::named(command, server, interval);
    source.map(Some).map_err(|reason| refuse("-U/--loadcmd", OsStr::from_bytes(command), reason))
}

fn service_name(args: &Args, port: u16) -> String {
    match (&args.virtual_address, args.fwmark) {
        (_, mark) if mark != 0 => format!("fwmark {mark}"),
        (Some(address), _) => match address.parse::<IpAddr>() {
            Ok(address) => SocketAddr::new(address, port).to_string(),
            Err(_) => format!("{}:{port}", address.escape_default()),
        },
        (None, _) => "-".to_owned(),
    }
}

fn duty(
    args: &Args,
    server: SocketAddr,
    port: u16,
    weight: u16,
    warnings: &mut Vec<&'static str>,
) -> Result<Option<Duty>, UsageError> {
    if !args.lvs || args.failover || args.report || args.no_table || args.once {
        return Ok(None);
    }
    let virtual_address = args.virtual_address.as_deref();
    let service = match (NonZeroU32::new(args.fwmark), virtual_address) {
        (Some(mark), _) => ServiceId::FwMark { mark, family: family(virtual_address, server.ip()) },
        (None, Some(text)) => {
            let address: IpAddr = text.parse().map_err(|_| {
                let allowed = "the IPVS table needs the virtual server's IPv4 or IPv6 address";
                refuse("-V/--virtaddress", OsStr::new(text), allowed)
            })?;
            let protocol = match transport(args) {
                Transport::Tcp => Protocol::Tcp,
                Transport::Udp => Protocol::Udp,
                Transport::Sctp => Protocol::Sctp,
            };
            ServiceId::Address { protocol, address, port }
        }
        (None, None) => {
            warnings.push("--lvs without -V or -f names no virtual server: the IPVS table is left alone");
            return Ok(None);
        }
    };
    let forward = match args.method {
        Method::Nat => Forward::Masquerade,
        Method::Direct => Forward::DirectRoute,
        Method::Tunnel => Forward::Tunnel(Tunnel::Ipip),
    };
    // Only address translation can change the port; like ipvsadm, do not ask the kernel for what it refuses.
    let keeps_port = forward != Forward::Masquerade && matches!(service, ServiceId::Address { .. });
    let real_port = if keeps_port { port } else { server.port() };
    let id = DestinationId::new(server.ip(), real_port);
    let destination = Destination { weight: weight.into(), ..Destination::new(id, forward) };
    Ok(Some(Duty { service, destination, quiesce: args.quiesce }))
}

/// Family of a marked service: its virtual address's, or else the real server's.
fn family(virtual_address: Option<&str>, server: IpAddr) -> Family {
    Family::of(virtual_address.and_then(|text| text.parse().ok()).unwrap_or(server))
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;
    use crate::args::{Invocation, parse};
    use crate::check::Step;
    use crate::health::State;

    fn resolve(line: &[&str]) -> Result<Settings, String> {
        let words = ["-h", "10.2.0.11"].iter().chain(line).map(OsString::from);
        match parse(words) {
            Ok(Invocation::Run(args)) => Settings::resolve(&args).map_err(|error| error.to_string()),
            other => panic!("{other:?}"),
        }
    }

    fn exchange(line: &[&str]) -> Exchange {
        match resolve(line).unwrap().check.kind {
            Kind::Exchange(exchange) => exchange,
            other => panic!("{other:?}"),
        }
    }

    fn sent(line: &[&str]) -> Vec<u8> {
        let send = |step| if let Step::Send(bytes) = step { Some(bytes) } else { None };
        exchange(line).steps.into_iter().find_map(send).unwrap_or_default()
    }

    fn expected(line: &[&str]) -> String {
        let expect = |step| if let Step::Expect(expect) = step { Some(expect.to_string()) } else { None };
        exchange(line).steps.into_iter().find_map(expect).unwrap_or("-".into())
    }

    #[test]
    fn defaults_are_those_of_the_original() {
        let settings = resolve(&[]).unwrap();
        let thresholds = Thresholds { up: 18, down: 1 };
        let interval = DEFAULT_INTERVAL;
        let rules = Rules {
            interval,
            failing_interval: interval,
            jitter: 0,
            damping: None,
            thresholds,
            failover: false,
            phase: interval,
            was: State::Unknown,
            settling: interval,
            weight: 1,
            scale: DEFAULT_SCALE,
            measure_every: None,
        };
        assert_eq!((settings.server, settings.rules), ("10.2.0.11:80".parse().unwrap(), rules));
        assert_eq!((settings.place, settings.duty), (Place::Daemon, None));
        assert_eq!(settings.check.limits, Limits { connect: interval, step: interval, total: None });
        assert_eq!(resolve(&["--fos", "-t", "3"]).unwrap().rules.thresholds.up, 1);
        assert_eq!(resolve(&["-a", "0", "-t", "1"]).unwrap().rules.thresholds.up, 180);
        assert_eq!(resolve(&["-p", "81"]).unwrap().server.port(), 81);
        assert_eq!(resolve(&["-p", "81", "-r", "82"]).unwrap().server.port(), 82);
    }

    #[test]
    fn the_phase_is_at_most_the_interval_and_settling_too() {
        let rules = resolve(&["-t", "5", "-a", "2", "--phase", "4999ms", "--was", "down"]).unwrap().rules;
        let two = Duration::from_secs(2);
        assert_eq!((rules.phase, rules.was, rules.settling), (Duration::from_millis(4999), State::Down, two));
        assert_eq!(
            resolve(&["-t", "5", "--phase", "5001ms"]).unwrap_err(),
            "--phase: \"5.001s\" is not allowed; write a time up to the interval"
        );
    }

    #[test]
    fn one_probe_is_made_in_the_foreground_and_told_only_to_who_asks() {
        let once = resolve(&["--once", "-c"]).unwrap();
        assert_eq!((once.place, once.once, once.narrated), (Place::Foreground, true, false));
        assert_eq!((once.unasked(), resolve(&[]).unwrap().unasked()), (3, 0));
        let narrated = |line: &[&str]| resolve(line).unwrap().narrated;
        assert!(narrated(&["-n", "-v"]) && narrated(&["--once", "-v"]));
        assert!(!narrated(&["-n"]) && !narrated(&["-c", "-v"]) && !narrated(&["-n", "-v", "--report"]));
    }

    #[test]
    fn each_limit_of_a_probe_has_its_own_option() {
        let limits = |line: &[&str]| resolve(line).unwrap().check.limits;
        let (interval, half) = (Duration::from_secs(4), Duration::from_millis(500));
        let usual = Limits { connect: interval, step: interval, total: None };
        let connect = Limits { connect: half, ..usual };
        assert_eq!(limits(&["-t", "4", "--connect-timeout", "500ms"]), connect);
        let step = Limits { step: half, total: Some(Duration::from_secs(3)), ..usual };
        assert_eq!(limits(&["-t", "4", "--answer-timeout", "0.5", "--check-timeout", "3"]), step);
    }

    #[test]
    fn damping_that_can_never_hold_a_server_is_warned_of() {
        let warned = |line: &[&str]| resolve(line).unwrap().warnings.len();
        assert_eq!(warned(&["--damping", "3/10m"]), 0, "three times 180 s fit");
        assert_eq!(warned(&["--damping", "4/10m"]), 1);
        assert_eq!(warned(&["--damping", "4/10m", "-a", "60"]), 0);
    }

    #[test]
    fn rise_works_with_re_entry_and_fall_alone() {
        let thresholds = |line: &[&str]| resolve(line).unwrap().rules.thresholds;
        assert_eq!(thresholds(&["--rise", "30", "--fall", "3"]), Thresholds { up: 30, down: 3 });
        assert_eq!(thresholds(&["--rise=3", "-a", "60"]), Thresholds { up: 6, down: 1 });
    }

    #[test]
    fn the_web_check_is_for_virtual_port_80_with_nothing_said() {
        assert_eq!(sent(&["-r", "8080"]), b"GET / HTTP/1.0\r\n\r\n");
        assert_eq!(expected(&["-r", "8080"]), "\"HTTP\"");
        for line in [&["-p", "8080", "-r", "80"][..], &["-s", ""], &["-u"], &["--sctp"]] {
            assert!(exchange(line).steps.is_empty(), "{line:?}");
        }
        assert!(sent(&["-x", "220 "]).is_empty());
    }

    #[test]
    fn expected_text_is_literal_anything_or_a_pattern() {
        assert_eq!(expected(&["-x", "a*"]), "\"a*\"");
        assert_eq!(expected(&["-x", "*"]), "anything");
        assert_eq!(expected(&["-x", "^HTTP/1.[01] [23]", "--regex"]), "a match of \"^HTTP/1.[01] [23]\"");
        assert_eq!(expected(&["-x", r"\d\.\\d", "--regex"]), r#"a match of "\\d\\.\\d""#);
        assert_eq!(sent(&["-s", r"a\r\n"]), b"a\r\n");
        assert_eq!(sent(&["-T", "-s", r"a\r\n"]), br"a\r\n");
        assert_eq!(
            resolve(&["-x", "(", "--regex"]).unwrap_err(),
            "-x/--expect_string: \"(\" is not allowed; write a regular expression (error: unclosed group)"
        );
    }

    #[test]
    fn a_program_overrides_what_would_be_sent() {
        let Kind::Program(check) = resolve(&["-e", "check %h %p", "-s", "x", "-x", "OK"]).unwrap().check.kind
        else {
            panic!("not a program")
        };
        assert_eq!(check.words, ["check", "10.2.0.11", "80"]);
        assert_eq!(check.expect.unwrap().to_string(), "exactly \"OK\"");
        assert!(resolve(&["-e", " "]).is_err());
    }

    #[test]
    fn a_check_says_what_is_asked_and_may_name_its_port() {
        let line = &["-r", "8080", "--check", r"tcp port=25 expect=220 send=QUIT\r\n"];
        let settings = resolve(line).unwrap();
        assert_eq!((settings.server.port(), settings.target.port()), (8080, 25));
        assert_eq!((sent(line).as_slice(), expected(line).as_str()), (&b"QUIT\r\n"[..], "\"220\""));
        assert_eq!(resolve(&["--check", "tcp"]).unwrap().target.port(), 80);
        assert!(exchange(&["--check", "tcp"]).steps.is_empty(), "no page is asked for");
        assert!(resolve(&["-r", "0", "--check", "tcp port=25"]).is_ok());
        assert!(resolve(&["-r", "0", "--check", "tcp"]).unwrap_err().starts_with("-r/--rport: \"0\""));
    }

    #[test]
    fn a_check_does_not_go_with_the_options_that_it_takes_the_place_of() {
        for (option, text) in [
            (&["-s", "a"][..], "-s/--send_string cannot be given together; write send=TEXT in the check"),
            (&["-e", "a"], "-e/--send_program cannot be given together; give one of the two"),
            (&["--regex"], "--regex cannot be given together; write regex=EXPRESSION in the check"),
            (&["-u"], "-u/--udp cannot be given together; write the protocol in the check: tcp, udp or sctp"),
            (
                &["--sctp", "--lvs", "--report"],
                "--sctp cannot be given together; write the protocol in the check: tcp, udp or sctp",
            ),
        ] {
            let line = [&["--check", "tcp"], option].concat();
            assert_eq!(resolve(&line).unwrap_err(), format!("--check and {text}"));
        }
        let by_hand = ["--check", "tcp", "-u", "--lvs", "-V", "10.1.0.100"];
        let settings = resolve(&by_hand).unwrap();
        assert_eq!(settings.duty.unwrap().service.to_string(), "UDP 10.1.0.100:80");
    }

    #[test]
    fn a_check_that_cannot_be_done_is_refused() {
        let error = resolve(&["--check", "tcp regex=((a{1000}){1000}){1000}"]).unwrap_err();
        assert!(
            error
                .starts_with("--check: \"tcp regex=((a{1000}){1000}){1000}\" is not allowed; the expression"),
            "{error}"
        );
    }

    #[test]
    fn a_service_has_one_protocol() {
        assert_eq!(exchange(&[]).transport, Transport::Tcp);
        assert_eq!(exchange(&["-u"]).transport, Transport::Udp);
        assert_eq!(exchange(&["--sctp"]).transport, Transport::Sctp);
        for (options, service) in [(&["-u"][..], "UDP"), (&["--sctp"], "SCTP")] {
            let line = [&["--lvs", "-V", "10.1.0.100"], options].concat();
            let duty = resolve(&line).unwrap().duty.unwrap();
            assert_eq!(duty.service.to_string(), format!("{service} 10.1.0.100:80"));
        }
        assert_eq!(
            resolve(&["--sctp", "-u"]).unwrap_err(),
            "-u/--udp: \"--sctp\" is not allowed; a service has one protocol: give one of the two"
        );
    }

    #[test]
    fn a_link_local_address_is_warned_of_unless_a_program_knows_the_link() {
        let warned = |line: &[&str]| resolve(line).unwrap().warnings.len();
        assert_eq!(warned(&["-h", "fe80::1"]), 1);
        assert_eq!(warned(&["-h", "fe80::1", "-e", "check"]), 0);
        assert_eq!(warned(&["-h", "fe80::1", "--check", "ping"]), 1);
        assert_eq!(warned(&["-h", "2001:db8::1"]), 0);
    }

    #[test]
    fn port_zero_is_for_programs_and_echoes() {
        assert!(resolve(&["-p", "0", "-e", "check"]).is_ok());
        assert!(resolve(&["-p", "0", "--check", "ping"]).is_ok());
        assert!(resolve(&["-p", "0", "--check", "dns"]).is_err());
        assert_eq!(
            resolve(&["-p", "0"]).unwrap_err(),
            "-r/--rport: \"0\" is not allowed; port 0 cannot be probed: give another, or a program (-e) that knows \
             what to do"
        );
        let Ok(Invocation::Run(args)) = parse([]) else { panic!("refused") };
        assert_eq!(
            Settings::resolve(&args).unwrap_err().to_string(),
            "-h/--server is missing; give the address of the real server"
        );
    }

    #[test]
    fn a_remote_shell_is_asked_for_the_uptime() {
        let words = |command: &str| match resolve(&["-U", command]).unwrap().load.unwrap().check.kind {
            Kind::Program(program) => program.words,
            other => panic!("{other:?}"),
        };
        assert!(resolve(&["-U", "none"]).unwrap().load.is_none());
        assert_eq!(words("rup"), ["rup", "10.2.0.11"]);
        assert_eq!(words("ssh"), ["ssh", "10.2.0.11", "uptime"]);
        assert_eq!(words("/usr/bin/load -q"), ["/usr/bin/load", "-q", "10.2.0.11"]);
        assert_eq!(resolve(&["-U", "rup"]).unwrap().rules.measure_every, Some(Duration::from_secs(20)));
    }

    #[test]
    fn an_agent_is_asked_as_often_as_the_server_and_must_have_a_port() {
        let interval = Duration::from_secs(4);
        let settings = resolve(&["-t", "4", "-U", "agent port=5309"]).unwrap();
        assert_eq!(settings.rules.measure_every, Some(interval));
        assert_eq!(
            resolve(&["-U", "agent"]).unwrap_err(),
            "-U/--loadcmd: \"agent\" is not allowed; `agent` needs `port`; write port=PORT, where the agent listens"
        );
    }

    #[test]
    fn the_table_is_a_duty_only_by_hand() {
        let by_hand = ["--lvs", "-V", "10.1.0.100", "-w", "3", "-q"];
        let duty = resolve(&by_hand).unwrap().duty.unwrap();
        assert_eq!(duty.service.to_string(), "TCP 10.1.0.100:80");
        assert_eq!((duty.destination.weight, duty.quiesce), (3, true));
        for more in ["--report", "--test-start", "--norun", "--fos", "--once"] {
            let line: Vec<&str> = by_hand.into_iter().chain([more]).collect();
            assert_eq!(resolve(&line).unwrap().duty, None, "{more}");
        }
        assert_eq!(resolve(&["-V", "10.1.0.100"]).unwrap().duty, None);
        let marked = resolve(&["--lvs", "-f", "7", "-M", "g", "-r", "8080"]).unwrap().duty.unwrap();
        assert_eq!(marked.service.to_string(), "FWM 7");
        assert_eq!(marked.destination.id.port, 8080);
        let direct = resolve(&["--lvs", "-V", "10.1.0.100", "-M", "g", "-r", "8080"]).unwrap().duty.unwrap();
        assert_eq!(direct.destination.id.port, 80);
        let nameless = resolve(&["--lvs"]).unwrap();
        assert_eq!((nameless.duty, nameless.warnings.len()), (None, 1));
        assert_eq!(
            resolve(&["--lvs", "-V", "www"]).unwrap_err(),
            "-V/--virtaddress: \"www\" is not allowed; the IPVS table needs the virtual server's IPv4 or IPv6 address"
        );
    }

    #[test]
    fn services_are_named_for_people() {
        let name = |line: &[&str]| resolve(line).unwrap().service;
        assert_eq!(name(&["-V", "10.1.0.100", "-p", "53"]), "10.1.0.100:53");
        assert_eq!(name(&["-V", "2001:db8::1"]), "[2001:db8::1]:80");
        assert_eq!(name(&["-V", "10.1.0.100", "-f", "9"]), "fwmark 9");
        assert_eq!((name(&["-V", "ww\nw"]), name(&[])), ("ww\\nw:80".into(), "-".into()));
    }
}
