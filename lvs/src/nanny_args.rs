//! The command line of the monitor of one real server: the words that the original director passed, in its order,
//! so that its monitors can be run in place of ours.
//!
//! ```text
//! MONITOR [--report] -c -h REALIP -p VPORT -r RPORT [-f FWMARK] [-u | --sctp] [-e PROGRAM] [-s SEND] [-x EXPECT]
//!         [--check CHECK] [-q] [--regex] [-v] -a REENTRY [PACE] -I IPVSADM -t TIMEOUT -w WEIGHT -V VIP -M m|g|i
//!         [-U LOADCMD] [--user USER] [--nodaemon] --lvs
//! ```
//!
//! `--report`, `--check` and PACE, which is `--rise`, `--fall`, `--connect-timeout`, `--answer-timeout`, `--check-timeout`,
//! `--failing-interval`, `--jitter` and `--damping`, and `--user` are for our own `nanny` only. With the first it tells what it
//! sees and leaves the kernel to us; without it a monitor programs IPVS by itself. `--check` stands in place of how and what to send
//! and expect. `--nodaemon` makes ours log to our standard error, when we are in the foreground; others
//! always get it, because without it the original's closes its standard output, which is our pipe.
//!
//! When one of ours is started it is told besides what no two starts share ([`MonitorCommand::handed_over`]): `--was up|down`,
//! what is known of the server already, so that the death of a monitor is neither the way back for a failed server nor
//! the end of a good one; and `--phase TIME`, how long after its first probe the second one comes, so that monitors that
//! start together do not probe together ever after.
//!
//! Much of this says for whom is checked, not what: one of ours that only reports can serve all virtual servers that
//! want the same check of the same server. Which words those are is decided here, as [`CheckIdentity`].

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use lvs_config::model::{Check, Config, Damping, Forwarding, Pace, Protocol, RealServer, VirtualServer};

use crate::identity::ServerKey;

/// What is needed beside the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MonitorSettings {
    /// The suite's own monitor, for virtual servers that name none.
    pub nanny: PathBuf,
    /// Whether monitors are to be verbose too.
    pub verbose: bool,
    /// Whether the director logs to its standard error, so that its monitors shall too.
    pub foreground: bool,
}

/// How to start one monitor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MonitorCommand {
    /// The program.
    pub program: PathBuf,
    /// Its arguments, without its own name.
    pub arguments: Vec<String>,
    /// Whether it is the suite's own, which ends its output only with itself.
    pub ours: bool,
    /// Time between two checks.
    interval: Duration,
    /// Where in `arguments` stand words that do not matter to the check.
    incidental: Vec<usize>,
    /// Whether the virtual port makes it ask for a web page, as without any text it does for port 80.
    asks_for_page: bool,
    /// The only server that it can speak for; `None` if its reports are true for whoever wants the same check.
    only_for: Option<ServerKey>,
}

/// What a monitor does, whoever wants to know: commands of which this is equal need one monitor only.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CheckIdentity<'a> {
    program: &'a Path,
    words: Vec<&'a str>,
    asks_for_page: bool,
    only_for: Option<ServerKey>,
}

impl MonitorCommand {
    /// The monitor of `server` in `virtual_server`.
    #[must_use]
    pub fn new(
        settings: &MonitorSettings,
        config: &Config,
        virtual_server: &VirtualServer,
        server: &RealServer,
    ) -> Self {
        let check = &virtual_server.check;
        let ours = check.client_monitor.is_none();
        let load = check.load_monitor.as_deref();
        let mut words = Words::default();
        words.flag("--report", ours);
        words.flag("-c", true);
        words.option("-h", &server.address);
        words.incidental(|words| words.option("-p", &virtual_server.port));
        words.option("-r", &server.port);
        if let Some(mark) = virtual_server.fwmark {
            words.incidental(|words| words.option("-f", &mark));
        }
        match check.spec.as_ref() {
            Some(spec) => words.option("--check", spec),
            None => words.exchange(virtual_server.protocol, check),
        }
        words.incidental(|words| words.flag("-q", virtual_server.quiesce));
        words.flag("--regex", check.use_regex);
        words.flag("-v", settings.verbose);
        words.option("-a", &time(check.reentry));
        if ours {
            words.pace(check);
        }
        words.incidental(|words| words.option("-I", &config.ipvsadm.display()));
        words.option("-t", &time(check.interval));
        words.incidental(|words| {
            words.option("-w", &server.weight);
            words.option("-V", &virtual_server.address.address);
            words.option("-M", &method(server.forwarding));
            if let Some(load) = load {
                words.option("-U", &if load == "uptime" { &config.rsh_command } else { load });
            }
        });
        if let Some(user) = config.monitor_user.as_ref().filter(|_| ours) {
            words.option("--user", user);
        }
        words.flag("--nodaemon", settings.foreground || !ours);
        words.flag("--lvs", true);
        // One that computes weights, or whose check asks about its virtual server, is that one's; one of somebody else's
        // changes the rows of one virtual server.
        let own = !ours
            || load.is_some_and(|load| load != "none")
            || check.spec.as_ref().is_some_and(checkspec::Check::is_of_one_service);
        let texts = [&check.send, &check.expect, &check.send_program];
        let says_nothing = check.spec.is_none() && texts.iter().all(|text| text.is_none());
        Self {
            program: check.client_monitor.as_deref().unwrap_or(&settings.nanny).to_owned(),
            arguments: words.all,
            ours,
            interval: check.interval,
            incidental: if own { Vec::new() } else { words.incidental },
            asks_for_page: says_nothing
                && virtual_server.protocol == Protocol::Tcp
                && virtual_server.port == 80,
            only_for: own.then(|| ServerKey::of(virtual_server, server)),
        }
    }

    /// The same for the start of the monitor with this number, of whose server is known whether it was up.
    #[must_use]
    pub fn handed_over(mut self, number: u64, was_up: Option<bool>) -> Self {
        if self.ours {
            let was = was_up.map(|up| if up { "up" } else { "down" });
            self.arguments.extend(was.into_iter().flat_map(|was| ["--was".into(), was.into()]));
            self.arguments.extend(["--phase".into(), time(phase(self.interval, number))]);
        }
        self
    }

    /// What a monitor started with this does.
    #[must_use]
    pub fn identity(&self) -> CheckIdentity<'_> {
        let words = self.arguments.iter().enumerate();
        CheckIdentity {
            program: &self.program,
            words: words
                .filter(|(at, _)| !self.incidental.contains(at))
                .map(|(_, word)| word.as_str())
                .collect(),
            asks_for_page: self.asks_for_page,
            only_for: self.only_for,
        }
    }

    /// The line to type in a shell that starts this monitor.
    #[must_use]
    pub fn shell_line(&self) -> String {
        let mut line = quoted(&self.program.display().to_string());
        for word in &self.arguments {
            line.push(' ');
            line.push_str(&quoted(word));
        }
        line
    }
}

/// Arguments in the making.
#[derive(Default)]
struct Words {
    all: Vec<String>,
    /// Where those are that do not matter to the check.
    incidental: Vec<usize>,
}

impl Words {
    fn flag(&mut self, name: &str, given: bool) {
        if given {
            self.all.push(name.to_owned());
        }
    }

    fn option(&mut self, name: &str, value: &dyn fmt::Display) {
        self.all.push(name.to_owned());
        self.all.push(value.to_string());
    }

    /// What `add` adds does not matter to the check.
    fn incidental(&mut self, add: impl FnOnce(&mut Self)) {
        let from = self.all.len();
        add(self);
        self.incidental.extend(from..self.all.len());
    }

    /// When our own monitor checks, beside re-entry and interval, and what its verdicts count.
    fn pace(&mut self, check: &Check) {
        for (name, count) in [("--rise", check.rise), ("--fall", check.fall)] {
            if count != 1 {
                self.option(name, &count);
            }
        }
        let Pace { connect, answer, probe, failing, jitter } = check.pace;
        let times = [
            ("--connect-timeout", connect),
            ("--answer-timeout", answer),
            ("--check-timeout", probe),
            ("--failing-interval", failing),
        ];
        for (name, given) in times {
            if let Some(given) = given {
                self.option(name, &time(given));
            }
        }
        if jitter > 0 {
            self.option("--jitter", &jitter);
        }
        if let Some(Damping { times, within }) = check.damping {
            self.option("--damping", &format_args!("{times}/{}", time(within)));
        }
    }

    /// The exchange that a check without a text of its own is.
    fn exchange(&mut self, protocol: Protocol, check: &Check) {
        self.flag("-u", protocol == Protocol::Udp);
        self.flag("--sctp", protocol == Protocol::Sctp);
        for (name, text) in [("-e", &check.send_program), ("-s", &check.send), ("-x", &check.expect)] {
            if let Some(text) = text {
                self.option(name, text);
            }
        }
    }
}

/// When in its interval the monitor with this number probes, from 1 ms to the whole of it. Consecutive numbers are a golden
/// section of the interval apart, which spreads any count of them as evenly as can be without knowing the count: of `n` no
/// two are closer than a third of an `n`-th.
fn phase(interval: Duration, number: u64) -> Duration {
    /// The golden section of 2^64.
    const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
    let share = u128::from(number.wrapping_mul(STEP) >> 32);
    let millis = ((interval.as_nanos() * share) >> 32).div_ceil(1_000_000);
    Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX).max(1))
}

/// A time as monitors read it: bare seconds, which every monitor understands, or milliseconds with their unit.
fn time(time: Duration) -> String {
    if time.subsec_nanos() == 0 {
        time.as_secs().to_string()
    } else {
        format!("{}ms", time.as_nanos().div_ceil(1_000_000))
    }
}

fn method(forwarding: Forwarding) -> &'static str {
    match forwarding {
        Forwarding::Nat => "m",
        Forwarding::Direct => "g",
        Forwarding::Tunnel(_) => "i",
    }
}

/// `word` so that a shell reads it back as it is.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}
