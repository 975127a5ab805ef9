//! The programs that `pulse` runs: `lvs`, `send_arp`, and the administrator's commands. Starts and signals them and
//! reads what they write; when to do so is decided in [`crate::takeover`].

use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crossbeam_channel::Sender;
use daemonkit::children::{Children, Exit};
use daemonkit::lines::{self, LineReader};
use daemonkit::notify;
use lvs_config::model::FloatingAddress;
use lvs_ipc::ready::READY;
use nix::sys::signal::Signal;

/// How often a serving router announces its addresses again.
const REFRESH: &str = "60s";

/// How the programs are started.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The `lvs` program.
    pub lvs: PathBuf,
    /// The `send_arp` program.
    pub send_arp: PathBuf,
    /// The configuration, for `lvs`.
    pub config: PathBuf,
    /// Where `lvs` has its pid file and status socket.
    pub run_dir: PathBuf,
    /// Whether `lvs` logs to standard error too.
    pub foreground: bool,
    /// Whether `lvs` logs everything.
    pub verbose: bool,
}

/// What a program was started for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To serve, or to withdraw what an earlier one left.
    Lvs {
        /// Whether it serves: only then does its readiness mean anything.
        serves: bool,
    },
    /// To announce addresses until it is told to stop.
    Announcer,
    /// To announce addresses once more.
    Repeater,
    /// A command of the file, by the name of its directive.
    Command(&'static str),
}

/// A program that ended and whose end matters to the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// `lvs`, in this way.
    Lvs(Exit),
    /// The one that announces, although it should have gone on.
    Announcer,
}

/// A program, until it has been reaped and all that it wrote has been read.
#[derive(Debug, Clone, Copy)]
struct Started {
    purpose: Purpose,
    reaped: bool,
    read: bool,
}

/// All programs that were started and are not over.
#[derive(Debug)]
pub struct Programs {
    settings: Settings,
    children: Children,
    lines: LineReader,
    started: HashMap<u64, Started>,
    last_token: u64,
}

impl Programs {
    /// None yet; what they write will be sent to `to`.
    ///
    /// # Errors
    /// When the thread that reads what they write cannot be started.
    pub fn new<M, F>(settings: Settings, to: Sender<M>, to_message: F) -> io::Result<Self>
    where
        M: Send + 'static,
        F: Fn(u64, lines::Event) -> M + Send + 'static,
    {
        let lines = LineReader::start(to, to_message)?;
        Ok(Self { settings, children: Children::default(), lines, started: HashMap::new(), last_token: 0 })
    }

    /// Starts `lvs` to serve, or only to withdraw what an earlier one left in the kernel.
    ///
    /// # Errors
    /// Why it could not be started, in words.
    pub fn start_lvs(&mut self, only_withdraw: bool) -> Result<(), String> {
        let Settings { lvs, config, run_dir, foreground, verbose, .. } = &self.settings;
        let mut command = Command::new(lvs);
        command.arg(if *foreground { "--nodaemon" } else { "--nofork" }).arg("--run-dir").arg(run_dir);
        if only_withdraw {
            command.arg("--withdraw");
        } else {
            command.arg("-c").arg(config);
        }
        if *verbose {
            command.arg("-v");
        }
        let name = lvs.display().to_string();
        self.start(Purpose::Lvs { serves: !only_withdraw }, |children, token| children.spawn(token, command))
            .map_err(|error| format!("could not be started: {name}: {error}"))
    }

    /// Announces `addresses`, then again from time to time until it is told to stop.
    pub fn keep_announcing(&mut self, addresses: &[FloatingAddress]) {
        self.announce(Purpose::Announcer, addresses, &["--refresh", REFRESH]);
    }

    /// Announces `addresses` in `rounds` rounds.
    pub fn announce_rounds(&mut self, addresses: &[FloatingAddress], rounds: &str) {
        self.announce(Purpose::Repeater, addresses, &["--count", rounds]);
    }

    fn announce(&mut self, purpose: Purpose, addresses: &[FloatingAddress], options: &[&str]) {
        let mut command = Command::new(&self.settings.send_arp);
        command.arg("--stdin").args(options);
        let line = |vip: &FloatingAddress| format!("{} {}\n", vip.address, vip.device.interface());
        let list: String = addresses.iter().map(line).collect();
        let started = self.start(purpose, |children, token| children.spawn_with_input(token, command, list));
        if let Err(error) = started {
            tracing::error!(program = %self.settings.send_arp.display(), %error, "cannot announce the addresses");
        }
    }

    /// Runs a command of the file: its directive, and its words if it is given. One that is to outlive this process
    /// (`alone`) writes to nobody, so that the end of this process is not the end of it.
    pub fn run_command(&mut self, name: &'static str, words: Option<&Vec<String>>, alone: bool) {
        let Some((program, arguments)) = words.and_then(|words| words.split_first()) else { return };
        let mut command = Command::new(program);
        command.args(arguments);
        let started = if alone {
            notify::hide_from(&mut command);
            command.stdin(Stdio::null()).stdout(Stdio::null()).process_group(0).spawn().map(drop)
        } else {
            let purpose = Purpose::Command(name);
            self.start(purpose, |children, token| children.spawn_foreign(token, command))
        };
        if let Err(error) = started {
            tracing::error!(command = name, %program, %error, "cannot run");
        }
    }

    fn start(
        &mut self,
        purpose: Purpose,
        spawn: impl FnOnce(&mut Children, u64) -> io::Result<OwnedFd>,
    ) -> io::Result<()> {
        self.last_token += 1;
        let token = self.last_token;
        let output = spawn(&mut self.children, token)?;
        self.started.insert(token, Started { purpose, reaped: false, read: false });
        self.lines.add(token, output)
    }

    /// Sends `signal` to `lvs`, whatever it was started for.
    pub fn signal_lvs(&self, signal: Signal) {
        self.signal(|purpose| matches!(purpose, Purpose::Lvs { .. }), signal);
    }

    /// Stops all announcements.
    pub fn stop_announcing(&self) {
        let announces = |purpose| matches!(purpose, Purpose::Announcer | Purpose::Repeater);
        self.signal(announces, Signal::SIGTERM);
    }

    fn signal(&self, to: impl Fn(Purpose) -> bool, signal: Signal) {
        for (token, _) in self.started.iter().filter(|(_, program)| to(program.purpose)) {
            self.children.signal(*token, signal);
        }
    }

    /// Reaps what has ended, logs it, and returns what matters to the service.
    pub fn reap(&mut self) -> Vec<Ended> {
        let mut ended = Vec::new();
        for (token, exit) in self.children.reap() {
            let purpose = self.started.get(&token).map(|program| program.purpose);
            self.note(token, |program| program.reaped = true);
            match purpose {
                Some(Purpose::Lvs { .. }) => ended.push(Ended::Lvs(exit)),
                Some(Purpose::Command(name)) => tracing::info!(command = name, %exit, "command ended"),
                // Told to stop it ends with 0.
                Some(Purpose::Announcer | Purpose::Repeater) if exit.is(0) => {}
                Some(purpose @ (Purpose::Announcer | Purpose::Repeater)) => {
                    tracing::warn!(%exit, "send_arp failed");
                    ended.extend((purpose == Purpose::Announcer).then_some(Ended::Announcer));
                }
                None => {}
            }
        }
        ended
    }

    /// Takes what a program wrote. True when it is an `lvs` that serves, saying that it is ready: neither one that only
    /// withdraws nor one that has ended, whose line may be read only after its successor was started.
    pub fn wrote(&mut self, token: u64, event: &lines::Event) -> bool {
        let lines::Event::Line(line) = event else {
            self.note(token, |program| program.read = true);
            return false;
        };
        match self.started.get(&token) {
            Some(Started { purpose: Purpose::Lvs { serves: true }, reaped: false, .. }) if line == READY => {
                return true;
            }
            Some(Started { purpose: Purpose::Command(name), .. }) => {
                tracing::info!(command = name, output = %line, "command wrote");
            }
            Some(Started { purpose, .. }) => tracing::debug!(?purpose, %line, "program wrote"),
            None => {}
        }
        false
    }

    /// Notes what is over of a program, and forgets it when all of it is.
    fn note(&mut self, token: u64, over: impl FnOnce(&mut Started)) {
        if let Some(program) = self.started.get_mut(&token) {
            over(program);
            if program.reaped && program.read {
                self.started.remove(&token);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::time::Duration;

    use crossbeam_channel::{Receiver, unbounded};

    use super::*;

    type Wrote = (u64, lines::Event);

    fn next(wrote: &Receiver<Wrote>) -> Wrote {
        wrote.recv_timeout(Duration::from_secs(5)).unwrap()
    }

    #[test]
    fn only_an_lvs_that_serves_and_lives_can_be_ready() {
        let lvs = std::env::temp_dir().join(format!("lvs-{}", std::process::id()));
        fs::write(&lvs, "#!/bin/sh\necho ready\nexec sleep 60\n").unwrap();
        fs::set_permissions(&lvs, fs::Permissions::from_mode(0o755)).unwrap();
        let settings = Settings {
            lvs: lvs.clone(),
            send_arp: "/no/such/program".into(),
            config: "/no/such/file".into(),
            run_dir: "/no/such/folder".into(),
            foreground: false,
            verbose: false,
        };
        let (to, wrote) = unbounded();
        let mut programs = Programs::new(settings, to, |token, event| (token, event)).unwrap();

        programs.start_lvs(true).unwrap();
        let (token, ready) = next(&wrote);
        assert_eq!(ready, lines::Event::Line(READY.into()));
        assert!(!programs.wrote(token, &ready), "it only withdraws");
        programs.signal_lvs(Signal::SIGKILL);
        assert_eq!(next(&wrote), (token, lines::Event::End));

        programs.start_lvs(false).unwrap();
        let (token, ready) = next(&wrote);
        assert!(programs.wrote(token, &ready));
        programs.signal_lvs(Signal::SIGKILL);
        let mut ended = Vec::new();
        while ended.len() < 2 {
            ended.extend(programs.reap());
            std::thread::yield_now();
        }
        assert!(!programs.wrote(token, &ready), "it is dead");
        fs::remove_file(lvs).unwrap();
    }
}
