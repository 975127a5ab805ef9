//! Carries out what [`crate::election`] and [`crate::takeover`] decide: the one owner of all state of a running `pulse`.
//!
//! The owner thread waits on one channel until the earliest deadline. Threads for signals, for each heartbeat socket and
//! for the children's output turn their sources into [`Event`]s and do nothing else. Nothing here waits for a child or
//! for the network, so heartbeats go out whatever the rest does.

use std::collections::{HashMap, VecDeque};
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use daemonkit::children::{Children, Exit};
use daemonkit::clock::Mono;
use daemonkit::lines::{self, LineReader};
use daemonkit::signals;
use daemonkit::status_socket::StatusSocket;
use lvs_config::Config;
use lvs_config::model::FloatingAddress;
use lvs_ipc::ready::READY;
use lvs_ipc::status::{AddressStatus, Child, PULSE_SOCKET, PathStatus, Peer, PulseStatus, Role, Since};
use nix::sys::signal::Signal;

use crate::connection_sync::ConnectionSync;
use crate::election::{self, Election, PeerState, Router, Settings};
use crate::heartbeat::paths::Change as PathChange;
use crate::heartbeat::socket::{Path, Received, Sockets};
use crate::rtnetlink::Rtnetlink;
use crate::takeover::{self, Takeover};
use crate::vip::{self, Change, ChangeKind, Problem};

/// Events that may wait for the owner. A flood beyond it is dropped at its source.
const QUEUE: usize = 1024;
/// How often a serving router announces its addresses again.
const REFRESH: &str = "60s";
/// Lease of the addresses of a router that has no other: long, because nobody else would take them.
const LONE_LEASE: Duration = Duration::from_secs(10);
/// Shortest lease that is surely renewed in time, as repairs come every second.
const MIN_LEASE: Duration = Duration::from_secs(2);

/// What a run needs, all of it found and checked before.
#[derive(Debug)]
pub struct Setup {
    /// The configuration's file.
    pub config_path: PathBuf,
    /// What it says.
    pub config: Config,
    /// Which router this is.
    pub router: Router,
    /// The paths to the other one.
    pub paths: Vec<Path>,
    /// Their sockets.
    pub sockets: Sockets,
    /// The `lvs` program.
    pub lvs: PathBuf,
    /// The `send_arp` program.
    pub send_arp: PathBuf,
    /// Where the status sockets are.
    pub run_dir: PathBuf,
    /// Whether children stay in the foreground too.
    pub foreground: bool,
    /// Whether children are to log everything too.
    pub verbose: bool,
    /// Take the service at once.
    pub force_active: bool,
    /// Random number of this run.
    pub incarnation: u64,
}

/// What the other threads send to the owner.
enum Event {
    Heartbeat(Received),
    Signal(i32),
    Line(u64, lines::Event),
}

/// Something still to be done.
enum Work {
    Election(election::Action),
    Takeover(takeover::Action),
}

/// A child that was started, until it has been reaped and all that it wrote has been read.
#[derive(Debug, Clone, Copy)]
struct Started {
    purpose: Purpose,
    reaped: bool,
    read: bool,
}

/// What a child was started for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Lvs,
    Announcer,
    Command(&'static str),
}

/// Runs until SIGTERM or SIGINT.
///
/// # Errors
/// When something that a run cannot do without cannot be set up.
pub fn run(setup: Setup) -> anyhow::Result<()> {
    let (to, events) = bounded(QUEUE);
    let watched =
        [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGCHLD].map(|signal| signal as i32);
    signals::forward(&watched, to.clone(), Event::Signal).context("cannot install signal handlers")?;
    setup.sockets.receive(&setup.paths, &to, Event::Heartbeat).context("cannot receive heartbeats")?;
    Shell::new(setup, &to)?.run(&events);
    Ok(())
}

struct Shell {
    setup: Setup,
    election: Election,
    takeover: Takeover,
    kernel: Option<Rtnetlink>,
    sync: Option<ConnectionSync>,
    children: Children,
    lines: LineReader,
    started: HashMap<u64, Started>,
    last_token: u64,
    work: VecDeque<Work>,
    now: Mono,
    settled: bool,
    leaving: bool,
    finished: bool,
    problems: Vec<Problem>,
    fitness: Fitness,
    socket: StatusSocket,
    status: PulseStatus,
}

impl Shell {
    fn new(setup: Setup, to: &Sender<Event>) -> anyhow::Result<Self> {
        let now = Mono::now();
        let settings = Settings {
            router: setup.router,
            paths: setup.paths.len(),
            keepalive: setup.config.heartbeat.keepalive,
            deadtime: setup.config.heartbeat.deadtime,
            incarnation: setup.incarnation,
        };
        let socket_path = setup.run_dir.join(PULSE_SOCKET);
        let socket = StatusSocket::listen(&socket_path, 0o640)
            .with_context(|| format!("cannot listen at {}", socket_path.display()))?;
        let sync = setup.config.sync_daemon.clone().map(ConnectionSync::start).transpose();
        Ok(Self {
            election: Election::new(now, settings),
            takeover: Takeover::new(now),
            kernel: None,
            sync: sync.context("cannot start the synchronisation thread")?,
            children: Children::default(),
            lines: LineReader::start(to.clone(), Event::Line).context("cannot read from children")?,
            started: HashMap::new(),
            last_token: 0,
            work: VecDeque::new(),
            now,
            settled: false,
            leaving: false,
            finished: false,
            problems: Vec::new(),
            fitness: Fitness::default(),
            socket,
            status: initial_status(&setup),
            setup,
        })
    }

    fn run(mut self, events: &Receiver<Event>) {
        tracing::info!(
            router = %self.setup.router, version = env!("CARGO_PKG_VERSION"),
            config = %self.setup.config_path.display(), "pulse started"
        );
        for path in &self.setup.paths {
            tracing::info!(path = path.name, local = %path.local, remote = %path.remote, "heartbeat path");
        }
        self.sync_connections(false);
        self.run_command("inactive_cmd");
        if self.setup.force_active {
            self.elect(election::Input::Force);
        }
        while !self.finished {
            match events.recv_timeout(self.until_deadline()) {
                Ok(event) => {
                    self.handle(event);
                    // What has arrived is heard before time is allowed to pass judgement.
                    for event in events.try_iter().take(QUEUE) {
                        self.handle(event);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            self.advance(Mono::now());
            if self.until_deadline().is_zero() {
                self.elect(election::Input::Tick);
                self.take(takeover::Input::Tick);
            }
            self.publish();
        }
        if let Some(sync) = self.sync {
            sync.finish();
        }
        tracing::info!("pulse ended");
    }

    /// Time never runs backwards, whatever the order in which stamped events are handled.
    fn advance(&mut self, now: Mono) {
        self.now = self.now.max(now);
    }

    fn until_deadline(&self) -> Duration {
        let deadline = [self.election.deadline(), self.takeover.deadline()].into_iter().flatten().min();
        // Something is always due within the repair interval.
        deadline.map_or(takeover::REPAIR_INTERVAL, |deadline| deadline.since(Mono::now()))
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Heartbeat(Received { path, heartbeat, at }) => {
                self.advance(at);
                self.elect(election::Input::Heartbeat { path, heartbeat });
            }
            Event::Signal(number) => {
                self.advance(Mono::now());
                self.handle_signal(number);
            }
            Event::Line(token, lines::Event::Line(line)) => {
                self.advance(Mono::now());
                self.handle_line(token, &line);
            }
            Event::Line(token, lines::Event::End) => self.forget(token, |child| child.read = true),
        }
    }

    fn handle_signal(&mut self, number: i32) {
        match Signal::try_from(number) {
            Ok(Signal::SIGCHLD) => {
                for (token, exit) in self.children.reap() {
                    self.child_ended(token, exit);
                }
            }
            Ok(Signal::SIGHUP) => self.reload(),
            Ok(signal @ (Signal::SIGTERM | Signal::SIGINT)) if !self.leaving => {
                tracing::info!(%signal, "told to end");
                self.leaving = true;
                self.elect(election::Input::Leave);
                self.take(takeover::Input::Leave);
            }
            Ok(_) | Err(_) => {}
        }
    }

    fn handle_line(&mut self, token: u64, line: &str) {
        match self.started.get(&token).map(|child| child.purpose) {
            Some(Purpose::Lvs) if line == READY => self.take(takeover::Input::LvsReady),
            Some(Purpose::Command(name)) => tracing::info!(command = name, output = line, "command wrote"),
            Some(purpose) => tracing::debug!(?purpose, line, "child wrote"),
            None => {}
        }
    }

    fn child_ended(&mut self, token: u64, exit: Exit) {
        let purpose = self.started.get(&token).map(|child| child.purpose);
        self.forget(token, |child| child.reaped = true);
        match purpose {
            Some(Purpose::Lvs) => self.take(takeover::Input::LvsExited(exit)),
            Some(Purpose::Announcer) if exit.is(0) => {}
            Some(Purpose::Announcer) => tracing::warn!(%exit, "send_arp failed"),
            Some(Purpose::Command(name)) => tracing::info!(command = name, %exit, "command ended"),
            None => {}
        }
    }

    /// Notes what is over of a child, and forgets it when all of it is.
    fn forget(&mut self, token: u64, note: impl FnOnce(&mut Started)) {
        if let Some(child) = self.started.get_mut(&token) {
            note(child);
            if child.reaped && child.read {
                self.started.remove(&token);
            }
        }
    }

    fn elect(&mut self, input: election::Input) {
        let actions = self.election.step(self.now, input);
        self.work.extend(actions.into_iter().map(Work::Election));
        self.work_off();
    }

    fn take(&mut self, input: takeover::Input) {
        let actions = self.takeover.step(self.now, input);
        self.work.extend(actions.into_iter().map(Work::Takeover));
        self.work_off();
    }

    /// Actions lead to inputs, which lead to actions; all are carried out in the order in which they were decided.
    fn work_off(&mut self) {
        while let Some(work) = self.work.pop_front() {
            match work {
                Work::Election(action) => self.carry_out_election(action),
                Work::Takeover(action) => self.carry_out_takeover(action),
            }
        }
    }

    fn carry_out_election(&mut self, action: election::Action) {
        match action {
            election::Action::Send(heartbeat) => {
                tracing::debug!(word = ?heartbeat.word, trailer = ?heartbeat.trailer, "heartbeat sent");
                for (path, result) in self.setup.paths.iter().zip(self.setup.sockets.send(&heartbeat.emit()))
                {
                    if let Err(error) = result {
                        tracing::debug!(path = path.name, %error, "heartbeat could not be sent");
                    }
                }
            }
            election::Action::TakeOver(cause) => {
                tracing::info!(reason = %cause, term = self.election.term(), "taking the service");
                self.settled = false;
                set(&mut self.status.role, Role::TakingOver, cause.to_string());
                let actions = self.takeover.step(self.now, takeover::Input::Take);
                self.work.extend(actions.into_iter().map(Work::Takeover));
            }
            election::Action::Release(cause) => {
                tracing::info!(reason = %cause, "giving the service back");
                self.settled = false;
                set(&mut self.status.role, Role::Releasing, cause.to_string());
                let mut actions = self.takeover.step(self.now, takeover::Input::GiveBack).into_iter();
                // The addresses go before the heartbeat that invites the other router; the rest can wait for it.
                let first = actions.next().map(Work::Takeover);
                self.work.extend(actions.map(Work::Takeover));
                if let Some(first) = first {
                    self.work.push_front(first);
                }
            }
            election::Action::Announce => {
                tracing::warn!("the other router serves too: announcing the addresses again");
                let addresses = self.floating_addresses();
                self.announce(&addresses, &["--count", "1"]);
            }
            election::Action::Path(change) => self.path_changed(change),
            election::Action::Peer(state, cause) => {
                let peer = peer_of(state);
                tracing::info!(peer = %peer, reason = %cause, "other router");
                if let Some(status) = &mut self.status.peer {
                    set(status, peer, cause.to_string());
                }
            }
        }
    }

    fn path_changed(&mut self, change: PathChange) {
        let PathChange { path, heard, silence } = change;
        let Some(status) = self.status.paths.get_mut(path) else { return };
        let silent_ms = u64::try_from(silence.as_millis()).unwrap_or(u64::MAX);
        let (name, remote) = (&status.name, &status.remote);
        if heard {
            tracing::info!(path = %name, %remote, silent_ms, "heartbeat path works again");
        } else {
            tracing::warn!(path = %name, %remote, silent_ms, "heartbeat path is dead");
        }
        let reason = if heard { "heartbeats arrive" } else { "no heartbeat for deadtime" };
        set(&mut status.heard, heard, reason.into());
    }

    fn carry_out_takeover(&mut self, action: takeover::Action) {
        match action {
            takeover::Action::HoldAddresses => self.hold_addresses(),
            takeover::Action::DropAddresses => {
                let addresses = self.floating_addresses();
                self.drop_addresses(&addresses);
            }
            takeover::Action::Announce => {
                let addresses = self.floating_addresses();
                self.announce(&addresses, &["--refresh", REFRESH]);
            }
            takeover::Action::StopAnnouncing => self.signal(Purpose::Announcer, Signal::SIGTERM),
            takeover::Action::StartLvs => self.start_lvs(),
            takeover::Action::TerminateLvs => self.signal(Purpose::Lvs, Signal::SIGTERM),
            takeover::Action::KillLvs => {
                tracing::warn!("lvs does not end: killing it");
                self.signal(Purpose::Lvs, Signal::SIGKILL);
            }
            takeover::Action::ReloadLvs => self.signal(Purpose::Lvs, Signal::SIGHUP),
            takeover::Action::SyncConnections(serving) => self.sync_connections(serving),
            takeover::Action::RunCommand(active) => {
                self.run_command(if active { "active_cmd" } else { "inactive_cmd" });
            }
            takeover::Action::Settled => self.settle(),
            takeover::Action::Fitness(lvs) => self.set_fitness(Fitness { lvs, ..self.fitness.clone() }),
            takeover::Action::Lvs(state, reason) => {
                let running = matches!(state, Child::Starting | Child::Running);
                if running || self.leaving || !self.takeover.wanted() {
                    tracing::info!(state = %state, %reason, "lvs");
                } else {
                    tracing::warn!(state = %state, %reason, "lvs");
                }
                set(&mut self.status.lvs, state, reason);
                if state == Child::Stopped {
                    self.release_is_complete();
                }
            }
            takeover::Action::Exit => self.finished = true,
        }
    }

    /// Tells the election when what keeps this router from serving has changed.
    fn set_fitness(&mut self, fitness: Fitness) {
        let (before, now) = (self.fitness.verdict(), fitness.verdict());
        self.fitness = fitness;
        if now == before {
            return;
        }
        match &now {
            Ok(()) => tracing::info!("this router can serve again"),
            Err(why) => tracing::warn!(reason = %why, "this router cannot serve"),
        }
        let actions = self.election.step(self.now, election::Input::Fitness(now));
        self.work.extend(actions.into_iter().map(Work::Election));
    }

    fn settle(&mut self) {
        if !self.settled {
            self.settled = true;
            let since = Duration::from_millis(unix_ms().saturating_sub(self.status.role.since_ms));
            let took_ms = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
            tracing::info!(reason = %self.status.role.reason, took_ms, "active");
            let reason = self.status.role.reason.clone();
            set(&mut self.status.role, Role::Active, reason);
        }
        let actions = self.election.step(self.now, election::Input::Settled);
        self.work.extend(actions.into_iter().map(Work::Election));
    }

    fn release_is_complete(&mut self) {
        if self.status.role.state == Role::Releasing {
            let reason = self.status.role.reason.clone();
            tracing::info!(%reason, "backup");
            set(&mut self.status.role, Role::Backup, reason);
        }
    }

    fn floating_addresses(&self) -> Vec<FloatingAddress> {
        self.setup.config.floating_addresses().into_iter().cloned().collect()
    }

    fn hold_addresses(&mut self) {
        let wanted = self.floating_addresses();
        let Some((interfaces, present)) = self.read_kernel() else { return };
        let (changes, problems) = vip::hold(&wanted, &interfaces, &present);
        let added = self.apply(&changes, problems);
        let announced =
            self.started.values().any(|child| child.purpose == Purpose::Announcer && !child.reaped);
        if announced && !added.is_empty() {
            let lost: Vec<_> = wanted.into_iter().filter(|vip| added.contains(&vip.address)).collect();
            tracing::warn!(count = lost.len(), "addresses had been taken away behind our back");
            self.announce(&lost, &[]);
        }
    }

    fn drop_addresses(&mut self, unwanted: &[FloatingAddress]) {
        let Some((interfaces, present)) = self.read_kernel() else { return };
        let changes = vip::drop(unwanted, &interfaces, &present);
        self.apply(&changes, Vec::new());
    }

    /// Reads interfaces and addresses; a connection that broke is opened anew at the next attempt.
    fn read_kernel(&mut self) -> Option<(Vec<vip::Interface>, Vec<vip::Present>)> {
        let read = |kernel: &mut Option<Rtnetlink>| {
            let kernel = match kernel {
                Some(kernel) => kernel,
                None => kernel.insert(Rtnetlink::open()?),
            };
            Ok::<_, std::io::Error>((kernel.interfaces()?, kernel.addresses()?))
        };
        match read(&mut self.kernel) {
            Ok((interfaces, present)) => {
                if self.setup.config.monitor_links {
                    let ends = self.setup.paths.iter().map(|path| path.local);
                    let links = vip::links_of(ends, &interfaces, &present);
                    self.set_fitness(Fitness { links, ..self.fitness.clone() });
                }
                Some((interfaces, present))
            }
            Err(error) => {
                self.kernel = None;
                tracing::error!(%error, "cannot read interfaces and addresses, trying again");
                None
            }
        }
    }

    /// Carries out `changes`, logs what changed, and returns the addresses that were added.
    fn apply(&mut self, changes: &[Change], mut problems: Vec<Problem>) -> Vec<std::net::IpAddr> {
        let lease = self.lease();
        let Some(kernel) = &mut self.kernel else { return Vec::new() };
        let results = match kernel.apply(changes, Some(lease)) {
            Ok(results) => results,
            Err(error) => {
                self.kernel = None;
                tracing::error!(%error, "cannot change addresses, trying again");
                return Vec::new();
            }
        };
        let mut added = Vec::new();
        for (change, result) in changes.iter().zip(results) {
            let Change { kind, address, prefix, label, .. } = change;
            match (result, kind) {
                (Ok(()), ChangeKind::Add) => {
                    tracing::info!(address = %format_args!("{address}/{prefix}"), device = %label, "address added");
                    added.push(*address);
                }
                (Ok(()), ChangeKind::Remove) => {
                    tracing::info!(address = %format_args!("{address}/{prefix}"), device = %label, "address removed");
                }
                (Ok(()), ChangeKind::Renew) => {}
                (Err(error), kind) => {
                    let what = match kind {
                        ChangeKind::Add => "add",
                        ChangeKind::Renew => "renew",
                        ChangeKind::Remove => "remove",
                    };
                    let reason = format!("cannot {what} it: {error}");
                    problems.push(Problem { address: *address, label: label.clone(), reason });
                }
            }
        }
        self.note_addresses(changes, problems);
        added
    }

    /// Brings the status up to date and logs each problem once.
    fn note_addresses(&mut self, changes: &[Change], problems: Vec<Problem>) {
        for problem in problems.iter().filter(|problem| !self.problems.contains(problem)) {
            tracing::error!(
                address = %problem.address, device = %problem.label, reason = %problem.reason, "address problem"
            );
        }
        let floating = self.floating_addresses();
        let wanted = self.takeover.wanted();
        let status_of = |vip: &FloatingAddress| {
            let changed = changes.iter().rfind(|change| change.address == vip.address);
            let prefix = changed.map(|change| change.prefix).or(vip.prefix);
            let failed = problems.iter().any(|problem| problem.address == vip.address);
            AddressStatus {
                address: prefix.map_or(vip.address.to_string(), |prefix| format!("{}/{prefix}", vip.address)),
                device: vip.device.label().to_owned(),
                present: wanted != failed,
            }
        };
        self.status.addresses = floating.iter().map(status_of).collect();
        self.problems = problems;
    }

    /// How long an address outlives this process: shorter than the time after which the other router takes over,
    /// where whole seconds allow it.
    fn lease(&self) -> Duration {
        if self.setup.paths.is_empty() {
            return LONE_LEASE;
        }
        let margin = Duration::from_millis(100);
        let deadtime = self.setup.config.heartbeat.deadtime;
        Duration::from_secs(deadtime.saturating_sub(margin).as_secs()).max(MIN_LEASE)
    }

    fn announce(&mut self, addresses: &[FloatingAddress], options: &[&str]) {
        let mut command = Command::new(&self.setup.send_arp);
        command.arg("--stdin").args(options);
        let list: String =
            addresses.iter().map(|vip| format!("{} {}\n", vip.address, vip.device.interface())).collect();
        let token = self.next_token(Purpose::Announcer);
        let output = self.children.spawn_with_input(token, command, list);
        if let Err(error) = self.watch(token, output) {
            tracing::error!(program = %self.setup.send_arp.display(), %error, "cannot announce the addresses");
        }
    }

    fn start_lvs(&mut self) {
        let mut command = Command::new(&self.setup.lvs);
        command.arg(if self.setup.foreground { "--nodaemon" } else { "--nofork" });
        command.arg("-c").arg(&self.setup.config_path).arg("--run-dir").arg(&self.setup.run_dir);
        if self.setup.verbose {
            command.arg("-v");
        }
        let token = self.next_token(Purpose::Lvs);
        let output = self.children.spawn(token, command);
        if let Err(error) = self.watch(token, output) {
            let why = format!("could not be started: {}: {error}", self.setup.lvs.display());
            let actions = self.takeover.step(self.now, takeover::Input::SpawnFailed(why));
            self.work.extend(actions.into_iter().map(Work::Takeover));
        }
    }

    fn run_command(&mut self, name: &'static str) {
        let config = &self.setup.config;
        let words = if name == "active_cmd" { &config.active_cmd } else { &config.inactive_cmd };
        let Some((program, arguments)) = words.as_ref().and_then(|words| words.split_first()) else { return };
        let mut command = Command::new(program);
        command.args(arguments);
        let token = self.next_token(Purpose::Command(name));
        let output = self.children.spawn_foreign(token, command);
        if let Err(error) = self.watch(token, output) {
            tracing::error!(command = name, %error, "cannot run");
        }
    }

    fn sync_connections(&self, serving: bool) {
        if let Some(sync) = &self.sync {
            sync.set_serving(serving);
        }
    }

    fn next_token(&mut self, purpose: Purpose) -> u64 {
        self.last_token += 1;
        self.started.insert(self.last_token, Started { purpose, reaped: false, read: false });
        self.last_token
    }

    /// Reads what a child that was just started writes; forgets one that could not be started.
    fn watch(&mut self, token: u64, output: std::io::Result<std::os::fd::OwnedFd>) -> std::io::Result<()> {
        let result = output.and_then(|output| self.lines.add(token, output));
        if result.is_err() && self.children.pid(token).is_none() {
            self.started.remove(&token);
        }
        result
    }

    /// Sends `signal` to every child with this purpose.
    fn signal(&self, purpose: Purpose, signal: Signal) {
        for (token, _) in self.started.iter().filter(|(_, child)| child.purpose == purpose) {
            self.children.signal(*token, signal);
        }
    }

    /// Reads the file again. A file that is not in order changes nothing.
    fn reload(&mut self) {
        let loaded = match lvs_config::load(&self.setup.config_path) {
            Ok(loaded) => loaded,
            Err(error) => {
                for line in error.to_string().lines() {
                    tracing::error!(problem = line, "configuration refused");
                }
                tracing::error!("the configuration in force stays as it was");
                return;
            }
        };
        let new = loaded.config;
        let old = &self.setup.config;
        if new.primary != old.primary
            || new.backup != old.backup
            || new.backup_active != old.backup_active
            || new.heartbeat.port != old.heartbeat.port
            || new.sync_daemon != old.sync_daemon
        {
            tracing::error!(
                "the routers' addresses, backup_active, heartbeat_port and syncdaemon change only with a restart: \
                 the configuration in force stays as it was"
            );
            return;
        }
        let before = self.floating_addresses();
        let timers = (old.heartbeat != new.heartbeat).then_some(new.heartbeat);
        self.status.serial_no = new.serial_no;
        self.setup.config = new;
        tracing::info!(serial_no = self.status.serial_no, "configuration read again");
        if let Some(timers) = timers {
            self.elect(election::Input::Timers { keepalive: timers.keepalive, deadtime: timers.deadtime });
        }
        let after = self.floating_addresses();
        let gone: Vec<_> = before.iter().filter(|vip| !still_there(vip, &after)).cloned().collect();
        if !gone.is_empty() {
            self.drop_addresses(&gone);
        }
        if self.takeover.wanted() && after != before {
            self.signal(Purpose::Announcer, Signal::SIGTERM);
            self.hold_addresses();
            self.announce(&after, &["--refresh", REFRESH]);
        }
        self.take(takeover::Input::Reload);
    }

    fn publish(&mut self) {
        match serde_json::to_string(&self.status) {
            Ok(text) => self.socket.publish(text + "\n"),
            Err(error) => tracing::error!(%error, "cannot write the status"),
        }
    }
}

/// What keeps this router from serving.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Fitness {
    /// Whether `lvs` runs.
    lvs: Result<(), String>,
    /// Whether the links of the heartbeat paths are up, where `monitor_links` asks for it.
    links: Result<(), String>,
}

impl Default for Fitness {
    fn default() -> Self {
        Self { lvs: Ok(()), links: Ok(()) }
    }
}

impl Fitness {
    fn verdict(&self) -> Result<(), String> {
        self.lvs.clone().and_then(|()| self.links.clone())
    }
}

/// Whether `vip` is still wanted on its interface.
fn still_there(vip: &FloatingAddress, wanted: &[FloatingAddress]) -> bool {
    let interface = vip.device.interface();
    wanted.iter().any(|other| other.address == vip.address && other.device.interface() == interface)
}

fn initial_status(setup: &Setup) -> PulseStatus {
    let started = |state, reason: &str| Since { state, reason: reason.into(), since_ms: unix_ms() };
    let path = |path: &Path| PathStatus {
        name: path.name.into(),
        local: path.local.to_string(),
        remote: path.remote.to_string(),
        heard: Since { state: true, reason: "assumed at start".into(), since_ms: unix_ms() },
    };
    PulseStatus {
        version: env!("CARGO_PKG_VERSION").into(),
        pid: std::process::id(),
        config: setup.config_path.display().to_string(),
        serial_no: setup.config.serial_no,
        router: setup.router.to_string(),
        role: started(Role::Backup, "just started"),
        peer: (!setup.paths.is_empty()).then(|| Since {
            state: Peer::Unknown,
            reason: "just started".into(),
            since_ms: unix_ms(),
        }),
        paths: setup.paths.iter().map(path).collect(),
        addresses: Vec::new(),
        lvs: Since { state: Child::Stopped, reason: "just started".into(), since_ms: unix_ms() },
    }
}

fn peer_of(state: PeerState) -> Peer {
    match state {
        PeerState::Unknown => Peer::Unknown,
        PeerState::Serving => Peer::Active,
        PeerState::Waiting => Peer::Backup,
        PeerState::Gone => Peer::Dead,
    }
}

fn set<T>(status: &mut Since<T>, state: T, reason: String) {
    *status = Since { state, reason, since_ms: unix_ms() };
}

/// Wall-clock time, for people.
fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
