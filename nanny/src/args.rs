//! Command-line words into options: spelling and ranges of each one alone. What they mean together is decided in
//! [`crate::settings`].
//!
//! The spellings are those of the original's program and of its manual page, which differ in four places.

use std::ffi::{OsStr, OsString};
use std::net::IpAddr;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::time::Duration;

use checkspec::{Check, SpecError};
use daemonkit::duration;
use lexopt::Arg::{Long, Short};
use lexopt::Parser;

use crate::confine::user::User;
use crate::escape::quote;
use crate::flapping::Damping;
use crate::health::State;
use crate::jitter;

/// Longest time for which something is waited.
const DAY: Duration = Duration::from_secs(86_400);

/// What `--help` prints. The manual page lists the same options.
pub const HELP: &str = "\
usage: nanny -h ADDRESS [-p PORT] [-r PORT] [options]

Checks one service on one real server, again and again, and reports on standard output when it comes and goes.

What is checked:
  -h, --server ADDRESS          real server, an IPv4 or IPv6 address (required)
  -p, --port PORT               port of the virtual server (80)
  -r, --rport PORT              port of the real server (that of the virtual server)
  -u, --udp, --UDP              UDP, not TCP
      --sctp                    SCTP, not TCP
  -V, --virtaddress ADDRESS     address of the virtual server
  -f, --fwmark MARK             firewall mark of the virtual server

How it is checked:
  -s, --send_string, --send_str TEXT
                                send this after connecting; \\r \\n \\t \\\\ \\' \\\" are translated
  -x, --expect_string, --expect_str TEXT
                                the answer must begin with this; * means any answer
      --regex                   the expected text is a regular expression
  -e, --send_program COMMAND    run this instead; a word %h is the server's address, %p its port
  -T, --suppress                translate no backslashes
      --check CHECK             in place of all these: a kind of check and its options, such as
                                \"tcp expect=220 send=QUIT\\r\\n expect=221\"; lvs.cf(5) lists them

When:
  -t, --interval TIME           time between probes, and limit of each step of one (10s)
  -a, --reentrytime TIME        time of good probes before a failed server comes back (180s; --fos: the interval)
      --rise NUMBER             good probes in a row that it takes besides, 1 to 100 (1)
      --fall NUMBER             failed probes in a row that take a server down, 1 to 100 (1)
      --damping NUMBER/TIME     a server that goes down more than NUMBER times within TIME flaps: each time more doubles the
                                good probes that bring it back, up to those of TIME (none)
      --was up|down|unknown         go on from this state: --fall or re-entry applies from the first probe on (unknown)
      --failing-interval TIME   time between probes while the last one has failed (the interval)
      --jitter PERCENT          each time between probes differs by up to this much, 0 to 50 (0)
      --connect-timeout TIME    limit of the connection (the interval)
      --answer-timeout TIME     limit of each answer, and of a program (the interval)
      --check-timeout TIME      limit of all of a probe (none)
      --phase TIME                  time from the first probe to the second, at most the interval (the interval)

Weight:
  -w, --weight NUMBER           weight of the real server, 0 to 65535 (1)
  -U, --loadcmd COMMAND         run this with the address to learn the load; none means never (none)
  -S, --scale NUMBER            largest multiple of the weight that a low load can give, 1 to 1000 (10)

What is done about it:
      --report                  only report, whatever else is given; this is how lvs runs it
      --lvs                     change the IPVS table, unless --report is given
      --fos                     monitor of a failover service: end when it fails
  -q, --quiesce_server, --quiesce-server
                                weight 0 instead of removal when the server fails
  -M, --method m|g|i            forwarding: m or nat, g or direct, i or tunnel (m)
  -I, --ipvsadm PATH            accepted and not used: the table is changed without a program
      --test-start, --norun     do not change the table

How it runs:
  -n, --nodaemon                stay in the foreground, log to standard error
  -c, --nofork                  let go of the terminal without forking, log to syslog
      --once                    make one probe, write its outcome to standard output, and end with status 0 (healthy),
                                1 (unhealthy) or 3 (unknown)
      --user NAME|UID:GID       when started by root, run as this user (lvs-nanny, or else nobody)
  -v, --verbose                 log each probe, and in the foreground without --report what happens in it
      --version                 print the version
  -?, --help, --usage           print this
";

/// Why a command line cannot be used. The text names the option, what was found and what is allowed.
#[derive(Debug, thiserror::Error)]
pub enum UsageError {
    /// An unknown option, a missing argument, a superfluous word.
    #[error("{0}")]
    Words(#[from] lexopt::Error),
    /// An argument that its option does not take.
    #[error("{option}: \"{found}\" is not allowed; {allowed}")]
    NotAllowed {
        /// The option, by both of its names.
        option: &'static str,
        /// Its argument, made printable.
        found: String,
        /// What it takes, as a sentence.
        allowed: String,
    },
    /// A check that cannot be read.
    #[error("--check, at {place}: {error}")]
    Check {
        /// What is wrong with it.
        error: SpecError,
        /// The part of it that is wrong, quoted.
        place: String,
    },
    /// Two options that cannot be given together.
    #[error("{one} and {other} cannot be given together; {help}")]
    Conflict {
        /// One of them.
        one: &'static str,
        /// The other.
        other: &'static str,
        /// What to do, as a sentence.
        help: &'static str,
    },
    /// An option that must be given is not.
    #[error("{option} is missing; {needed}")]
    Missing {
        /// The option.
        option: &'static str,
        /// What it is needed for, as a sentence.
        needed: &'static str,
    },
}

/// What the words ask for.
#[derive(Debug)]
pub enum Invocation {
    /// To run.
    Run(Box<Args>),
    /// To print [`HELP`].
    Help,
    /// To print the version.
    Version,
}

/// How packets reach the real server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Method {
    /// Network address translation.
    #[default]
    Nat,
    /// Direct routing.
    Direct,
    /// Tunnelling.
    Tunnel,
}

/// The options, each valid for itself. `None` means "not given".
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Args {
    /// `--server`.
    pub server: Option<IpAddr>,
    /// `--virtaddress`, any text: only the IPVS table needs an address.
    pub virtual_address: Option<String>,
    /// `--port`; 0 means every port.
    pub port: Option<u16>,
    /// `--rport`.
    pub real_port: Option<u16>,
    /// `--interval`, 10 ms to 1 day.
    pub interval: Option<Duration>,
    /// `--reentrytime`, at most 1 year. Zero counts as not given.
    pub reentry: Option<Duration>,
    /// `--rise`, 1 to 100.
    pub rise: Option<u32>,
    /// `--fall`, 1 to 100.
    pub fall: Option<u32>,
    /// `--damping`.
    pub damping: Option<Damping>,
    /// `--failing-interval`, 10 ms to 1 day.
    pub failing_interval: Option<Duration>,
    /// `--jitter`, 0 to 50.
    pub jitter: u8,
    /// `--connect-timeout`, 10 ms to 1 day.
    pub connect_timeout: Option<Duration>,
    /// `--answer-timeout`, 10 ms to 1 day.
    pub answer_timeout: Option<Duration>,
    /// `--check-timeout`, 10 ms to 1 day.
    pub check_timeout: Option<Duration>,
    /// `--was`.
    pub was: State,
    /// `--phase`, at most 1 day.
    pub phase: Option<Duration>,
    /// `--weight`.
    pub weight: Option<u16>,
    /// `--fwmark`; 0 counts as not given.
    pub fwmark: u32,
    /// `--udp`.
    pub udp: bool,
    /// `--sctp`.
    pub sctp: bool,
    /// `--send_string`, as typed.
    pub send: Option<Vec<u8>>,
    /// `--expect_string`, as typed.
    pub expect: Option<Vec<u8>>,
    /// `--send_program`, as typed.
    pub program: Option<Vec<u8>>,
    /// `--regex`.
    pub regex: bool,
    /// `--suppress`.
    pub keep_backslashes: bool,
    /// `--check`.
    pub check: Option<Check>,
    /// `--quiesce_server`.
    pub quiesce: bool,
    /// `--method`.
    pub method: Method,
    /// `--loadcmd`, as typed.
    pub load_command: Option<Vec<u8>>,
    /// `--scale`, 1 to 1000.
    pub scale: Option<u16>,
    /// `--lvs`.
    pub lvs: bool,
    /// `--fos`.
    pub failover: bool,
    /// `--report`.
    pub report: bool,
    /// `--test-start`.
    pub no_table: bool,
    /// `--nodaemon`.
    pub foreground: bool,
    /// `--nofork`.
    pub no_fork: bool,
    /// `--once`.
    pub once: bool,
    /// `--user`.
    pub user: Option<User>,
    /// `--verbose`.
    pub verbose: bool,
}

/// Reads the words after the program's name. `--help` and `--version` win over whatever follows them.
///
/// # Errors
/// [`UsageError`] for the first word that cannot be used.
pub fn parse(words: impl IntoIterator<Item = OsString>) -> Result<Invocation, UsageError> {
    let mut parser = Parser::from_args(words);
    let mut args = Args::default();
    while let Some(word) = parser.next()? {
        match word {
            Short('?') | Long("help" | "usage") => return Ok(Invocation::Help),
            Long("version") => return Ok(Invocation::Version),
            Short('h') | Long("server") => args.server = Some(address(&parser.value()?)?),
            Short('V') | Long("virtaddress") => args.virtual_address = Some(lossy(&parser.value()?)),
            Short('p') | Long("port") => args.port = Some(number("-p/--port", &parser.value()?)?),
            Short('r') | Long("rport") => args.real_port = Some(number("-r/--rport", &parser.value()?)?),
            Short('w') | Long("weight") => args.weight = Some(number("-w/--weight", &parser.value()?)?),
            Short('S') | Long("scale") => args.scale = Some(scale(&parser.value()?)?),
            Short('f') | Long("fwmark") => args.fwmark = fwmark(&parser.value()?)?,
            Short('t') | Long("interval") => args.interval = Some(pause("-t/--interval", &parser.value()?)?),
            Short('a') | Long("reentrytime") => args.reentry = Some(reentry(&parser.value()?)?),
            Long("failing-interval") => {
                args.failing_interval = Some(pause("--failing-interval", &parser.value()?)?);
            }
            Long("connect-timeout") => {
                args.connect_timeout = Some(pause("--connect-timeout", &parser.value()?)?);
            }
            Long("answer-timeout") => {
                args.answer_timeout = Some(pause("--answer-timeout", &parser.value()?)?);
            }
            Long("check-timeout") => args.check_timeout = Some(pause("--check-timeout", &parser.value()?)?),
            Long("jitter") => args.jitter = jitter(&parser.value()?)?,
            Long("damping") => args.damping = Some(damping(&parser.value()?)?),
            Long("rise") => args.rise = Some(probes("--rise", &parser.value()?)?),
            Long("fall") => args.fall = Some(probes("--fall", &parser.value()?)?),
            Long("was") => args.was = was(&parser.value()?)?,
            Long("phase") => args.phase = Some(phase(&parser.value()?)?),
            Short('M') | Long("method") => args.method = method(&parser.value()?)?,
            Short('s') | Long("send_string" | "send_str") => args.send = Some(parser.value()?.into_vec()),
            Short('x') | Long("expect_string" | "expect_str") => {
                args.expect = Some(parser.value()?.into_vec());
            }
            Short('e') | Long("send_program") => args.program = Some(parser.value()?.into_vec()),
            Long("check") => args.check = Some(check(&parser.value()?)?),
            Short('U') | Long("loadcmd") => args.load_command = Some(parser.value()?.into_vec()),
            Long("user") => args.user = Some(user(&parser.value()?)?),
            Short('I') | Long("ipvsadm") => drop(parser.value()?),
            other => switch(&mut args, other)?,
        }
    }
    Ok(Invocation::Run(Box::new(args)))
}

/// An option without an argument.
fn switch(args: &mut Args, word: lexopt::Arg<'_>) -> Result<(), UsageError> {
    let flag = match word {
        Short('u') | Long("udp" | "UDP") => &mut args.udp,
        Long("sctp") => &mut args.sctp,
        Long("regex") => &mut args.regex,
        Short('T') | Long("suppress") => &mut args.keep_backslashes,
        Short('q') | Long("quiesce_server" | "quiesce-server") => &mut args.quiesce,
        Long("lvs") => &mut args.lvs,
        Long("fos") => &mut args.failover,
        Long("report") => &mut args.report,
        Long("test-start" | "norun") => &mut args.no_table,
        Short('n') | Long("nodaemon") => &mut args.foreground,
        Short('c') | Long("nofork") => &mut args.no_fork,
        Long("once") => &mut args.once,
        Short('v') | Long("verbose") => &mut args.verbose,
        other => return Err(other.unexpected().into()),
    };
    *flag = true;
    Ok(())
}

/// Makes an error about the argument `found` of `option`.
pub(crate) fn refuse(option: &'static str, found: &OsStr, allowed: impl Into<String>) -> UsageError {
    UsageError::NotAllowed {
        option,
        found: found.as_bytes().escape_ascii().to_string(),
        allowed: allowed.into(),
    }
}

fn lossy(word: &OsStr) -> String {
    word.to_string_lossy().into_owned()
}

fn address(word: &OsStr) -> Result<IpAddr, UsageError> {
    let parsed = word.to_str().and_then(|text| text.parse().ok());
    let allowed = "write an IPv4 or IPv6 address, such as 10.2.0.11 (for help use --help)";
    parsed.ok_or_else(|| refuse("-h/--server", word, allowed))
}

fn number(option: &'static str, word: &OsStr) -> Result<u16, UsageError> {
    let parsed = word.to_str().and_then(|text| text.parse().ok());
    parsed.ok_or_else(|| refuse(option, word, "write a whole number from 0 to 65535"))
}

fn probes(option: &'static str, word: &OsStr) -> Result<u32, UsageError> {
    let parsed = word.to_str().and_then(|text| text.parse().ok()).filter(|count| (1..=100).contains(count));
    parsed.ok_or_else(|| refuse(option, word, "write a whole number from 1 to 100"))
}

fn scale(word: &OsStr) -> Result<u16, UsageError> {
    let parsed = word.to_str().and_then(|text| text.parse().ok()).filter(|scale| (1..=1000).contains(scale));
    parsed.ok_or_else(|| refuse("-S/--scale", word, "write a whole number from 1 to 1000"))
}

fn fwmark(word: &OsStr) -> Result<u32, UsageError> {
    let parsed = word.to_str().and_then(|text| text.parse().ok());
    parsed.ok_or_else(|| {
        refuse("-f/--fwmark", word, "write a whole number from 1 to 4294967295, or 0 for none")
    })
}

/// A time that is not shorter than `lowest` nor longer than `highest`.
fn time(
    option: &'static str,
    word: &OsStr,
    (lowest, highest): (Duration, Duration),
    allowed: &str,
) -> Result<Duration, UsageError> {
    let time =
        duration::parse(&word.to_string_lossy()).map_err(|error| refuse(option, word, error.to_string()))?;
    let is_allowed = (lowest..=highest).contains(&time);
    is_allowed.then_some(time).ok_or_else(|| refuse(option, word, allowed))
}

/// A time for which something is waited.
fn pause(option: &'static str, word: &OsStr) -> Result<Duration, UsageError> {
    let allowed = "write a time from 10ms to 24h; seconds need no unit";
    time(option, word, (Duration::from_millis(10), DAY), allowed)
}

fn reentry(word: &OsStr) -> Result<Duration, UsageError> {
    let allowed = "write a time up to 8760h, or 0 for the default";
    time("-a/--reentrytime", word, (Duration::ZERO, 365 * DAY), allowed)
}

fn phase(word: &OsStr) -> Result<Duration, UsageError> {
    time("--phase", word, (Duration::ZERO, DAY), "write a time up to the interval")
}

fn jitter(word: &OsStr) -> Result<u8, UsageError> {
    let parsed = word.to_str().and_then(|text| text.parse().ok()).filter(|percent| *percent <= jitter::MOST);
    parsed.ok_or_else(|| refuse("--jitter", word, "write a whole number of percent from 0 to 50"))
}

fn damping(word: &OsStr) -> Result<Damping, UsageError> {
    let allowed = "write a number from 1 to 100, a slash and a time from 1s to 24h, such as 3/10m";
    let text = word.to_string_lossy();
    let (times, within) = text.split_once('/').ok_or_else(|| refuse("--damping", word, allowed))?;
    let times = times.parse().ok().filter(|times| (1..=100).contains(times));
    let within = duration::parse(within).ok().filter(|time| (Duration::from_secs(1)..=DAY).contains(time));
    let both = times.zip(within).map(|(times, within)| Damping { times, within });
    both.ok_or_else(|| refuse("--damping", word, allowed))
}

fn check(word: &OsStr) -> Result<Check, UsageError> {
    let text =
        word.to_str().ok_or_else(|| refuse("--check", word, "write UTF-8, and other bytes as \\xHH"))?;
    text.parse().map_err(|error: SpecError| {
        let place = match text.get(error.place.clone()) {
            None | Some("") if error.place.start == 0 => "the beginning".to_owned(),
            None | Some("") => "the end".to_owned(),
            Some(found) => quote(found.as_bytes()),
        };
        UsageError::Check { error, place }
    })
}

fn user(word: &OsStr) -> Result<User, UsageError> {
    let user = word.to_str().and_then(User::parse);
    user.ok_or_else(|| refuse("--user", word, "write a user's name, or numbers as UID:GID"))
}

fn was(word: &OsStr) -> Result<State, UsageError> {
    match word.to_str() {
        Some("up") => Ok(State::Up),
        Some("down") => Ok(State::Down),
        Some("unknown") => Ok(State::Unknown),
        _ => Err(refuse("--was", word, "write up, down or unknown")),
    }
}

fn method(word: &OsStr) -> Result<Method, UsageError> {
    let text = word.to_string_lossy();
    match text.strip_prefix('-').unwrap_or(&text) {
        "m" | "nat" | "masq" | "masquerading" => Ok(Method::Nat),
        "g" | "direct" | "gatewaying" => Ok(Method::Direct),
        "i" | "tunnel" | "ipip" => Ok(Method::Tunnel),
        _ => Err(refuse("-M/--method", word, "write m or nat, g or direct, i or tunnel")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(line: &[&str]) -> Args {
        match parse(line.iter().map(OsString::from)) {
            Ok(Invocation::Run(args)) => *args,
            other => panic!("{other:?}"),
        }
    }

    fn error(line: &[&str]) -> String {
        match parse(line.iter().map(OsString::from)) {
            Err(error) => error.to_string(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_argument_list_of_the_original_director_is_understood() {
        let line = "-c -h 10.2.0.11 -p 80 -r 8080 -f 7 -u -e /bin/check -s GET\\r\\n -x HTTP -q --regex -v \
                    -a 180 -I /sbin/ipvsadm -t 10 -w 3 -V 10.1.0.100 -M g -U none --nodaemon --lvs";
        let words: Vec<&str> = line.split_whitespace().collect();
        let expected = Args {
            server: Some("10.2.0.11".parse().unwrap()),
            virtual_address: Some("10.1.0.100".into()),
            port: Some(80),
            real_port: Some(8080),
            interval: Some(Duration::from_secs(10)),
            reentry: Some(Duration::from_secs(180)),
            weight: Some(3),
            fwmark: 7,
            udp: true,
            send: Some(b"GET\\r\\n".into()),
            expect: Some(b"HTTP".into()),
            program: Some(b"/bin/check".into()),
            regex: true,
            quiesce: true,
            method: Method::Direct,
            load_command: Some(b"none".into()),
            lvs: true,
            foreground: true,
            no_fork: true,
            verbose: true,
            ..Args::default()
        };
        assert_eq!(args(&words), expected);
    }

    #[test]
    fn both_spellings_of_an_option_mean_the_same() {
        for (program, manual) in [
            (&["--udp"][..], &["--UDP"][..]),
            (&["--send_string", "x"], &["--send_str", "x"]),
            (&["--expect_string=x"], &["--expect_str", "x"]),
            (&["--quiesce_server"], &["--quiesce-server"]),
            (&["--test-start"], &["--norun"]),
            (&["-t", "500ms"], &["--interval", "0.5"]),
            (&["-M", "-i"], &["--method", "tunnel"]),
            (&["-M", "nat"], &["-Mm"]),
        ] {
            assert_eq!(args(program), args(manual), "{program:?}");
        }
    }

    #[test]
    fn what_a_monitor_takes_over_is_understood() {
        let taken_over = args(&["--was", "down", "--phase", "370ms"]);
        assert_eq!((taken_over.was, taken_over.phase), (State::Down, Some(Duration::from_millis(370))));
        assert_eq!((args(&[]).was, args(&["--was=up"]).was), (State::Unknown, State::Up));
    }

    #[test]
    fn times_of_a_probe_and_between_probes_are_understood() {
        let line = "--connect-timeout 200ms --answer-timeout 1s --check-timeout 1m --failing-interval 2 --jitter 10 \
                    --damping 3/10m";
        let words: Vec<&str> = line.split_whitespace().collect();
        let expected = Args {
            connect_timeout: Some(Duration::from_millis(200)),
            answer_timeout: Some(Duration::from_secs(1)),
            check_timeout: Some(Duration::from_secs(60)),
            failing_interval: Some(Duration::from_secs(2)),
            jitter: 10,
            damping: Some(Damping { times: 3, within: Duration::from_secs(600) }),
            ..Args::default()
        };
        assert_eq!(args(&words), expected);
    }

    #[test]
    fn values_may_look_like_options_and_hold_any_byte() {
        assert_eq!(args(&["-s", "-x", "-x", "--help"]).expect, Some(b"--help".into()));
        let raw = OsString::from_vec(b"\xff\x01".to_vec());
        let Ok(Invocation::Run(args)) = parse(["-s".into(), raw]) else { panic!("refused") };
        assert_eq!(args.send, Some(b"\xff\x01".into()));
    }

    #[test]
    fn help_and_version_win_over_what_follows() {
        for word in ["-?", "--help", "--usage"] {
            assert!(matches!(parse([word.into(), "--nonsense".into()]), Ok(Invocation::Help)));
        }
        assert!(matches!(parse(["--version".into(), "-p".into()]), Ok(Invocation::Version)));
    }

    #[test]
    fn each_error_names_the_option_what_was_found_and_what_is_allowed() {
        for (line, text) in [
            (&["--prot", "80"][..], "invalid option '--prot'"),
            (&["-p"], "missing argument for option '-p'"),
            (&["word"], "unexpected argument \"word\""),
            (&["-p", "65536"], "-p/--port: \"65536\" is not allowed; write a whole number from 0 to 65535"),
            (&["-w", "-1"], "-w/--weight: \"-1\" is not allowed; write a whole number from 0 to 65535"),
            (&["-S", "0"], "-S/--scale: \"0\" is not allowed; write a whole number from 1 to 1000"),
            (&["--fall", "0"], "--fall: \"0\" is not allowed; write a whole number from 1 to 100"),
            (&["--rise=101"], "--rise: \"101\" is not allowed; write a whole number from 1 to 100"),
            (
                &["-f", "x"],
                "-f/--fwmark: \"x\" is not allowed; write a whole number from 1 to 4294967295, or 0 for none",
            ),
            (
                &["-t", "0"],
                "-t/--interval: \"0\" is not allowed; write a time from 10ms to 24h; seconds need no unit",
            ),
            (
                &["-t", "5d"],
                "-t/--interval: \"5d\" is not allowed; “5d” has an unknown unit; the units are ms, s, m and h",
            ),
            (
                &["-a", "9000h"],
                "-a/--reentrytime: \"9000h\" is not allowed; write a time up to 8760h, or 0 for the default",
            ),
            (
                &["-h", "rs1.example"],
                "-h/--server: \"rs1.example\" is not allowed; write an IPv4 or IPv6 address, such as 10.2.0.11 \
                 (for help use --help)",
            ),
            (
                &["--check-timeout", "25h"],
                "--check-timeout: \"25h\" is not allowed; write a time from 10ms to 24h; seconds need no unit",
            ),
            (
                &["--jitter", "51"],
                "--jitter: \"51\" is not allowed; write a whole number of percent from 0 to 50",
            ),
            (
                &["--damping", "3/0"],
                "--damping: \"3/0\" is not allowed; \
                 write a number from 1 to 100, a slash and a time from 1s to 24h, such as 3/10m",
            ),
            (
                &["--damping", "10m"],
                "--damping: \"10m\" is not allowed; \
                 write a number from 1 to 100, a slash and a time from 1s to 24h, such as 3/10m",
            ),
            (&["--was", "failed"], "--was: \"failed\" is not allowed; write up, down or unknown"),
            (&["--phase", "25h"], "--phase: \"25h\" is not allowed; write a time up to the interval"),
            (
                &["--check", "tcp snd=x"],
                "--check, at \"snd=x\": `tcp` has no option `snd`, did you mean `send`?; \
                 allowed: send, expect, contains, equals, regex, any, port",
            ),
            (
                &["--check", "udp"],
                "--check, at the end: `udp` needs `send`; nobody answers what was not asked",
            ),
            (&["-M", "t"], "-M/--method: \"t\" is not allowed; write m or nat, g or direct, i or tunnel"),
        ] {
            assert_eq!(error(line), text, "{line:?}");
        }
    }
}
