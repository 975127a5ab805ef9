//! The command line of the monitor of one real server: the words that the original director passed, in its order,
//! so that its monitors can be run in place of ours.
//!
//! ```text
//! MONITOR [--report] -c -h REALIP -p VPORT -r RPORT [-f FWMARK] [-u | --sctp] [-e PROGRAM] [-s SEND] [-x EXPECT] [-q] [--regex] [-v]
//!         -a REENTRY -I IPVSADM -t TIMEOUT -w WEIGHT -V VIP -M m|g|i [-U LOADCMD] [--nodaemon] --lvs
//! ```
//!
//! `--report` is for our own `nanny` only: it tells what it sees and leaves the kernel to us. Without it a monitor
//! programs IPVS by itself. `--nodaemon` makes ours log to our standard error, when we are in the foreground; others
//! always get it, because without it the original's closes its standard output, which is our pipe.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use lvs_config::model::{Check, Config, Forwarding, Protocol, RealServer, VirtualServer};

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
    /// Where the weight stands in `arguments`, when it does not matter to the check.
    weight_at: Option<usize>,
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
        let mut words = Words(Vec::with_capacity(32));
        words.flag("--report", ours);
        words.flag("-c", true);
        words.option("-h", &server.address);
        words.option("-p", &virtual_server.port);
        words.option("-r", &server.port);
        if let Some(mark) = virtual_server.fwmark {
            words.option("-f", &mark);
        }
        words.flag("-u", virtual_server.protocol == Protocol::Udp);
        words.flag("--sctp", virtual_server.protocol == Protocol::Sctp);
        words.texts(check);
        words.flag("-q", virtual_server.quiesce);
        words.flag("--regex", check.use_regex);
        words.flag("-v", settings.verbose);
        words.option("-a", &time(check.reentry));
        words.option("-I", &config.ipvsadm.display());
        words.option("-t", &time(check.interval));
        words.option("-w", &server.weight);
        let weight_at = words.0.len() - 1;
        words.option("-V", &virtual_server.address.address);
        words.option("-M", &method(server.forwarding));
        let load = check.load_monitor.as_deref();
        if let Some(load) = load {
            words.option("-U", &if load == "uptime" { &config.rsh_command } else { load });
        }
        words.flag("--nodaemon", settings.foreground || !ours);
        words.flag("--lvs", true);
        // A monitor that computes weights from the load needs to know the weight that they are relative to.
        let computes_weights = load.is_some_and(|load| load != "none") || !ours;
        Self {
            program: check.client_monitor.as_deref().unwrap_or(&settings.nanny).to_owned(),
            arguments: words.0,
            ours,
            weight_at: (!computes_weights).then_some(weight_at),
        }
    }

    /// Whether a monitor started with `other` would do the same as one started with this: nothing differs, or
    /// only a weight that the monitor does not use.
    #[must_use]
    pub fn checks_like(&self, other: &Self) -> bool {
        let matters = |at: usize| self.weight_at != Some(at) || other.weight_at != Some(at);
        self.program == other.program
            && self.arguments.len() == other.arguments.len()
            && self
                .arguments
                .iter()
                .zip(&other.arguments)
                .enumerate()
                .all(|(at, (one, two))| one == two || !matters(at))
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
struct Words(Vec<String>);

impl Words {
    fn flag(&mut self, name: &str, given: bool) {
        if given {
            self.0.push(name.to_owned());
        }
    }

    fn option(&mut self, name: &str, value: &dyn fmt::Display) {
        self.0.push(name.to_owned());
        self.0.push(value.to_string());
    }

    fn texts(&mut self, check: &Check) {
        for (name, text) in [("-e", &check.send_program), ("-s", &check.send), ("-x", &check.expect)] {
            if let Some(text) = text {
                self.option(name, text);
            }
        }
    }
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
