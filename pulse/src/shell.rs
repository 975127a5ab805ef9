//! Carries out what [`crate::election`] and [`crate::takeover`] decide: the one owner of all state of a running `pulse`.
//!
//! The owner thread waits on one channel until the earliest deadline. Threads for signals, for each heartbeat socket, for
//! what programs write and for reading the file again turn their sources into events and do nothing else. Nothing
//! here waits for the end of a program, a name server or the network, so heartbeats go out whatever the rest does. Two
//! things the owner does wait for, as a rule for less than a millisecond: the kernel's answers about addresses, and until a
//! program that it starts has been found and loaded.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use daemonkit::clock::Mono;
use daemonkit::notify::Notifier;
use daemonkit::status_socket::StatusSocket;
use daemonkit::{lines, signals};
use lvs_config::model::FloatingAddress;
use lvs_config::{Config, LoadError, Loaded, Resolver};
use lvs_ipc::status::{Child, PULSE_SOCKET, Role};
use nix::sys::signal::Signal;

use crate::addresses::{self, Addresses, State};
use crate::connection_sync::ConnectionSync;
use crate::election::{self, Cause, Election, Router, Settings};
use crate::fitness::{self, Fitness};
use crate::heartbeat::socket::{Path, Received, Sockets};
use crate::heartbeat::wire::Heartbeat;
use crate::programs::{self, Ended, Programs};
use crate::reading::Reading;
use crate::router;
use crate::status::Status;
use crate::takeover::{self, Takeover};

/// Events that may wait for the owner. A flood of heartbeats beyond it is dropped at its source.
const QUEUE: usize = 1024;
/// File mode of the status socket. To connect takes the right to write; nothing that is written is read.
const STATUS_MODE: u32 = 0o660;

/// What a run needs, all of it found and checked before.
pub struct Setup {
    /// What the file says.
    pub config: Config,
    /// Who read it, and will again.
    pub resolver: Resolver,
    /// Which router this is.
    pub router: Router,
    /// The paths to the other one.
    pub paths: Vec<Path>,
    /// Their sockets.
    pub sockets: Sockets,
    /// How programs are started; the file's path is in it.
    pub programs: programs::Settings,
    /// Take the service at once.
    pub force_active: bool,
    /// Random number of this run.
    pub incarnation: u64,
    /// The way to the service manager.
    pub notifier: Notifier,
}

/// What the other threads send to the owner.
enum Event {
    Heartbeat(Received),
    Signal(i32),
    Wrote(u64, lines::Event),
    Loaded(Box<Result<Loaded, LoadError>>),
}

/// Something still to be done.
enum Work {
    Election(election::Action),
    Takeover(takeover::Action),
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
    let force_active = setup.force_active;
    Shell::new(setup, &to)?.run(&events, force_active);
    Ok(())
}

struct Shell {
    config: Config,
    config_path: PathBuf,
    paths: Vec<Path>,
    sockets: Sockets,
    election: Election,
    takeover: Takeover,
    fitness: Fitness,
    addresses: Addresses,
    programs: Programs,
    sync: Option<ConnectionSync>,
    status: Status,
    socket: StatusSocket,
    notifier: Notifier,
    work: VecDeque<Work>,
    now: Mono,
    /// Whether the addresses have been announced since they were taken: then one that is missing was taken away.
    announced: bool,
    reading: Reading,
    /// On which paths the last heartbeat could not be sent.
    unsendable: Vec<bool>,
    leaving: bool,
    finished: bool,
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
        let config_path = setup.programs.config.clone();
        let status = Status::new(&config_path, &setup.config, setup.router, &setup.paths);
        let socket_path = setup.programs.run_dir.join(PULSE_SOCKET);
        let socket = StatusSocket::listen(&socket_path, STATUS_MODE)
            .with_context(|| format!("cannot listen at {}", socket_path.display()))?;
        let sync = setup.config.sync_daemon.clone().map(ConnectionSync::start).transpose();
        let to_owner = to.clone();
        // The owner may have ended meanwhile.
        let deliver = move |loaded| drop(to_owner.send(Event::Loaded(Box::new(loaded))));
        let reading = Reading::start(config_path.clone(), setup.resolver, deliver);
        let programs = Programs::new(setup.programs, to.clone(), Event::Wrote);
        Ok(Self {
            config: setup.config,
            config_path,
            unsendable: vec![false; setup.paths.len()],
            paths: setup.paths,
            sockets: setup.sockets,
            election: Election::new(now, settings),
            takeover: Takeover::new(now),
            fitness: Fitness::default(),
            addresses: Addresses::default(),
            programs: programs.context("cannot read what programs write")?,
            sync: sync.context("cannot start the synchronisation thread")?,
            status,
            socket,
            notifier: setup.notifier,
            work: VecDeque::new(),
            now,
            announced: false,
            reading: reading.context("cannot start the thread that reads the file")?,
            leaving: false,
            finished: false,
        })
    }

    fn run(mut self, events: &Receiver<Event>, force_active: bool) {
        let router = &self.status.snapshot().router;
        let version = env!("CARGO_PKG_VERSION");
        tracing::info!(%router, version, config = %self.config_path.display(), "pulse started");
        for path in &self.paths {
            tracing::info!(path = path.name, local = %path.local, remote = %path.remote, "heartbeat path");
        }
        self.take(takeover::Input::Begin);
        if force_active {
            self.elect(election::Input::Force);
        }
        self.notifier.ready();
        while !self.finished {
            match events.recv_timeout(self.longest_wait()) {
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
            if let Some(text) = self.status.changed() {
                self.socket.publish(text);
                self.notifier.status(&self.status.summary());
            }
            // Whoever waits for the end of a reload finds the new status.
            if self.reading.is_done() {
                self.notifier.reloaded();
            }
            self.notifier.turn(self.now);
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

    fn longest_wait(&self) -> Duration {
        let alive = self.notifier.deadline().map(|deadline| deadline.since(Mono::now()));
        alive.map_or(self.until_deadline(), |alive| alive.min(self.until_deadline()))
    }

    fn handle(&mut self, event: Event) {
        let at = match &event {
            Event::Heartbeat(received) => received.at,
            Event::Signal(_) | Event::Wrote(..) | Event::Loaded(_) => Mono::now(),
        };
        self.advance(at);
        match event {
            Event::Heartbeat(Received { path, heartbeat, .. }) => {
                self.elect(election::Input::Heartbeat { path, heartbeat });
            }
            Event::Signal(number) => self.handle_signal(number),
            Event::Wrote(token, event) => {
                if self.programs.wrote(token, &event) {
                    self.take(takeover::Input::LvsReady);
                }
            }
            Event::Loaded(loaded) => {
                self.reading.came();
                self.reload(*loaded);
            }
        }
    }

    fn handle_signal(&mut self, number: i32) {
        match Signal::try_from(number) {
            Ok(Signal::SIGCHLD) => {
                for ended in self.programs.reap() {
                    self.take(match ended {
                        Ended::Lvs(exit) => takeover::Input::LvsExited(exit),
                        Ended::Announcer => takeover::Input::AnnouncerEnded,
                    });
                }
            }
            Ok(Signal::SIGHUP) => {
                self.notifier.reloading(self.now);
                self.reading.read_again();
            }
            Ok(signal @ (Signal::SIGTERM | Signal::SIGINT)) if !self.leaving => {
                tracing::info!(%signal, "told to end");
                self.leaving = true;
                self.notifier.stopping();
                self.elect(election::Input::Leave);
                self.take(takeover::Input::Leave);
            }
            Ok(_) | Err(_) => {}
        }
    }

    fn elect(&mut self, input: election::Input) {
        self.decide_election(input);
        self.work_off();
    }

    fn take(&mut self, input: takeover::Input) {
        self.decide_takeover(input);
        self.work_off();
    }

    fn decide_election(&mut self, input: election::Input) {
        let actions = self.election.step(self.now, input);
        self.work.extend(actions.into_iter().map(Work::Election));
    }

    fn decide_takeover(&mut self, input: takeover::Input) {
        let actions = self.takeover.step(self.now, input);
        self.work.extend(actions.into_iter().map(Work::Takeover));
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
            election::Action::Send(heartbeat) => self.send(&heartbeat),
            election::Action::TakeOver(cause) => {
                tracing::info!(reason = %cause, term = self.election.term(), "taking the service");
                self.status.set_role(Role::TakingOver, cause.to_string());
                self.decide_takeover(takeover::Input::Take);
            }
            election::Action::Release(cause) => self.release(&cause),
            election::Action::Announce => {
                tracing::info!(
                    "announcing the addresses again: the other router may have announced them too"
                );
                let addresses = self.floating_addresses();
                self.programs.announce_rounds(&addresses, "1");
            }
            election::Action::Path(change) => self.status.set_path(change),
            election::Action::Peer(state, cause) => self.status.set_peer(state, &cause),
        }
    }

    fn send(&mut self, heartbeat: &Heartbeat) {
        tracing::debug!(word = ?heartbeat.word, trailer = ?heartbeat.trailer, "heartbeat sent");
        let results = self.sockets.send(&heartbeat.emit());
        for ((path, result), unsendable) in self.paths.iter().zip(results).zip(&mut self.unsendable) {
            let failed = result.is_err();
            match result {
                Err(error) if !*unsendable => {
                    tracing::warn!(path = path.name, remote = %path.remote, %error, "heartbeats cannot be sent");
                }
                Ok(()) if *unsendable => {
                    tracing::info!(path = path.name, remote = %path.remote, "heartbeats can be sent again");
                }
                _ => {}
            }
            *unsendable = failed;
        }
    }

    fn release(&mut self, cause: &Cause) {
        tracing::info!(reason = %cause, "giving the service back");
        self.status.set_role(Role::Releasing, cause.to_string());
        let mut actions =
            self.takeover.step(self.now, takeover::Input::GiveBack).into_iter().map(Work::Takeover);
        // The addresses go before the heartbeat that invites the other router; the rest can wait for it.
        let first = actions.next();
        self.work.extend(actions);
        if let Some(first) = first {
            self.work.push_front(first);
        }
    }

    fn carry_out_takeover(&mut self, action: takeover::Action) {
        match action {
            takeover::Action::HoldAddresses => self.hold_addresses(),
            takeover::Action::DropAddresses => {
                let addresses = self.floating_addresses();
                if let Some(status) = self.drop_addresses(&addresses) {
                    self.status.set_addresses(status);
                }
            }
            takeover::Action::Announce => {
                let addresses = self.floating_addresses();
                self.programs.keep_announcing(&addresses);
                self.announced = true;
            }
            takeover::Action::StopAnnouncing => {
                self.programs.stop_announcing();
                self.announced = false;
            }
            takeover::Action::StartLvs => self.start_lvs(false),
            takeover::Action::WithdrawLeftovers => self.start_lvs(true),
            takeover::Action::TerminateLvs => self.programs.signal_lvs(Signal::SIGTERM),
            takeover::Action::KillLvs => {
                tracing::warn!("lvs does not end: killing it");
                self.programs.signal_lvs(Signal::SIGKILL);
            }
            takeover::Action::ReloadLvs => self.programs.signal_lvs(Signal::SIGHUP),
            takeover::Action::SyncConnections(serving) => {
                if let Some(sync) = &self.sync {
                    sync.set_serving(serving);
                }
            }
            takeover::Action::RunCommand(true) => {
                self.programs.run_command("active_cmd", self.config.active_cmd.as_ref(), false);
            }
            takeover::Action::RunCommand(false) => {
                self.programs.run_command("inactive_cmd", self.config.inactive_cmd.as_ref(), self.leaving);
            }
            takeover::Action::Settled => {
                self.status.set_settled();
                self.decide_election(election::Input::Settled);
            }
            takeover::Action::Fitness(lvs) => self.set_fitness(Fitness { lvs, ..self.fitness.clone() }),
            takeover::Action::Lvs(state, reason) => {
                let expected = self.leaving || !self.takeover.wanted() || state != Child::Waiting;
                self.status.set_lvs(state, reason, expected);
            }
            takeover::Action::Exit => self.finished = true,
        }
    }

    fn start_lvs(&mut self, only_withdraw: bool) {
        if let Err(why) = self.programs.start_lvs(only_withdraw) {
            self.decide_takeover(takeover::Input::SpawnFailed(why));
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
        self.decide_election(election::Input::Fitness(now));
    }

    fn floating_addresses(&self) -> Vec<FloatingAddress> {
        self.config.floating_addresses().into_iter().cloned().collect()
    }

    /// Reads interfaces and addresses, and watches the links on the way.
    fn read_addresses(&mut self) -> Option<State> {
        let state = self.addresses.read()?;
        let State { interfaces, present } = &state;
        let ends = || self.paths.iter().map(|path| path.local);
        let links = match self.config.monitor_links {
            true => fitness::links_of(ends(), interfaces, present),
            false => Ok(()),
        };
        let linked = fitness::any_link_up(ends(), &self.floating_addresses(), interfaces, present);
        if !self.paths.is_empty() {
            self.decide_election(election::Input::Linked(linked));
        }
        self.set_fitness(Fitness { links, ..self.fitness.clone() });
        Some(state)
    }

    fn hold_addresses(&mut self) {
        let wanted = self.floating_addresses();
        let deadtime = (!self.paths.is_empty()).then_some(self.config.heartbeat.deadtime);
        let Some(state) = self.read_addresses() else { return };
        let Some(outcome) = self.addresses.hold(&wanted, &state, addresses::lease(deadtime)) else { return };
        self.status.set_addresses(outcome.status);
        if self.announced && !outcome.added.is_empty() {
            let lost: Vec<_> =
                wanted.into_iter().filter(|vip| outcome.added.contains(&vip.address)).collect();
            tracing::warn!(count = lost.len(), "addresses had been taken away behind our back");
            self.programs.announce_rounds(&lost, "5");
        }
    }

    fn drop_addresses(
        &mut self,
        unwanted: &[FloatingAddress],
    ) -> Option<Vec<lvs_ipc::status::AddressStatus>> {
        let state = self.read_addresses()?;
        Some(self.addresses.drop(unwanted, &state)?.status)
    }

    /// Takes over a file that was read again. One that is not in order changes nothing.
    fn reload(&mut self, loaded: Result<Loaded, LoadError>) {
        let new = match loaded {
            Ok(loaded) => loaded.config,
            Err(error) => {
                self.status.set_refused(&error.to_string());
                return;
            }
        };
        if let Err(why) = router::reloadable(&self.config, &new) {
            self.status.set_refused(&format!("{}: {why}", self.config_path.display()));
            return;
        }
        let before = self.floating_addresses();
        let timers = new.heartbeat;
        self.config = new;
        self.status.set_read(self.config.serial_no);
        self.elect(election::Input::Timers { keepalive: timers.keepalive, deadtime: timers.deadtime });
        self.move_addresses(&before);
        self.take(takeover::Input::Reload);
    }

    /// Drops the addresses that a new file does not name any more, and takes the new ones if this router serves.
    fn move_addresses(&mut self, before: &[FloatingAddress]) {
        let after = self.floating_addresses();
        let stays = |vip: &FloatingAddress| {
            let interface = vip.device.interface();
            after.iter().any(|other| other.address == vip.address && other.device.interface() == interface)
        };
        let gone: Vec<_> = before.iter().filter(|vip| !stays(vip)).cloned().collect();
        if !gone.is_empty() {
            self.drop_addresses(&gone);
        }
        if self.takeover.wanted() && after != before {
            self.programs.stop_announcing();
            // What is missing now is new, not taken away.
            self.announced = false;
            self.hold_addresses();
            self.programs.keep_announcing(&after);
            self.announced = true;
        }
    }
}
