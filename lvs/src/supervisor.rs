//! Keeps one monitor running per real server. Decides when to start, restart, stop and give up; starts nothing
//! itself.
//!
//! | state \ event | due | ended, would help to restart | ended for good | no longer wanted, or wanted otherwise |
//! | --- | --- | --- | --- | --- |
//! | waiting | spawn, running | – | – | gone, or due at once |
//! | running | – | waiting (back-off) | given up | terminate; leaving |
//! | given up | – | – | – | gone; any new wish: due at once |
//! | leaving | kill when the grace is over | gone | gone | – |
//!
//! A monitor that is replaced leaves on its own time: what it still says is not heard.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use daemonkit::children::Exit;
use daemonkit::clock::Mono;
use daemonkit::exit::{DO_NOT_RESTART, USAGE};
use lvs_ipc::status::Child;

use crate::action::Action;
use crate::backoff::Backoff;
use crate::event::Event;
use crate::identity::ServerKey;
use crate::nanny_args::MonitorCommand;

/// Longest wait before a restart.
pub const RESTART_LIMIT: Duration = Duration::from_secs(60);
/// A monitor that ran this long had no trouble starting.
pub const HEALTHY: Duration = Duration::from_secs(60);
/// Time between asking a monitor to end and killing it.
pub const GRACE: Duration = Duration::from_secs(2);
/// Most monitors started in one go. New ones are due so many each [`PACE`], that the checks do not fall on one instant.
pub const BURST: usize = 16;
/// Time between two bursts.
pub const PACE: Duration = Duration::from_millis(10);

/// One monitor that should run.
#[derive(Debug)]
struct Slot {
    command: MonitorCommand,
    state: State,
    reason: String,
    since: Mono,
    backoff: Backoff,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Waiting { due: Mono, started_before: bool },
    Running { token: u64 },
    GivenUp,
}

/// Something to look at when its time comes; whether it still matters is decided then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    Start(ServerKey),
    Mute(u64),
    Kill(u64),
}

/// The monitors.
#[derive(Debug, Default)]
pub struct Supervisor {
    slots: BTreeMap<ServerKey, Slot>,
    running: HashMap<u64, ServerKey>,
    leaving: BTreeSet<u64>,
    timers: BTreeSet<(Mono, Timer)>,
    last_token: u64,
}

impl Supervisor {
    /// Says which monitors are to run from now on. One whose check is still the same is left alone; one that had
    /// been given up is tried again. Returns what to do at once and how many monitors are concerned; starts come
    /// with [`Supervisor::tick`].
    pub fn want(&mut self, now: Mono, commands: Vec<(ServerKey, MonitorCommand)>) -> (Vec<Action>, usize) {
        let mut actions = Vec::new();
        let mut changed = 0;
        let mut old = std::mem::take(&mut self.slots);
        let mut new_ones = 0;
        for (key, command) in commands {
            let slot = match old.remove(&key) {
                Some(slot) if slot.state != State::GivenUp && slot.command.checks_like(&command) => {
                    Slot { command, ..slot }
                }
                before => {
                    changed += 1;
                    if let Some(Slot { state: State::Running { token }, .. }) = before {
                        self.stop(now, token, &mut actions);
                    }
                    let due = now + PACE * u32::try_from(new_ones / BURST).unwrap_or(u32::MAX);
                    new_ones += 1;
                    self.new_slot(now, due, key, command)
                }
            };
            self.slots.insert(key, slot);
        }
        changed += old.len();
        for slot in old.into_values() {
            if let State::Running { token } = slot.state {
                self.stop(now, token, &mut actions);
            }
        }
        (actions, changed)
    }

    fn new_slot(&mut self, now: Mono, due: Mono, key: ServerKey, command: MonitorCommand) -> Slot {
        self.timers.insert((due, Timer::Start(key)));
        Slot {
            command,
            state: State::Waiting { due, started_before: false },
            reason: "about to be started".into(),
            since: now,
            backoff: Backoff::default(),
        }
    }

    fn stop(&mut self, now: Mono, token: u64, actions: &mut Vec<Action>) {
        self.running.remove(&token);
        self.leaving.insert(token);
        self.timers.insert((now + GRACE, Timer::Kill(token)));
        actions.push(Action::Terminate(token));
    }

    /// The real server that the monitor `token` speaks for; `None` once it is not to be heard any more.
    #[must_use]
    pub fn server_of(&self, token: u64) -> Option<ServerKey> {
        self.running.get(&token).copied()
    }

    /// A monitor ended.
    pub fn ended(&mut self, now: Mono, token: u64, exit: Exit) -> Vec<Action> {
        if self.leaving.remove(&token) {
            return Vec::new();
        }
        let Some(key) = self.running.remove(&token) else { return Vec::new() };
        let Some(slot) = self.slots.get_mut(&key) else { return Vec::new() };
        if exit.is(DO_NOT_RESTART) || exit.is(USAGE) {
            slot.become_state(now, State::GivenUp, exit.to_string());
            return vec![Action::Log(Event::MonitorGivenUp { key, exit })];
        }
        if now.since(slot.since) >= HEALTHY {
            slot.backoff.reset();
        }
        let restart_in = self.restart_later(now, key, exit.to_string());
        vec![Action::Log(Event::MonitorEnded { key, exit, restart_in })]
    }

    /// A monitor could not be started.
    pub fn spawn_failed(&mut self, now: Mono, token: u64, reason: String) -> Vec<Action> {
        let Some(key) = self.running.remove(&token) else { return Vec::new() };
        let retry_in = self.restart_later(now, key, reason.clone());
        vec![Action::Log(Event::MonitorNotStarted { key, reason, retry_in })]
    }

    fn restart_later(&mut self, now: Mono, key: ServerKey, reason: String) -> Duration {
        let Some(slot) = self.slots.get_mut(&key) else { return Duration::ZERO };
        let wait = slot.backoff.fail(RESTART_LIMIT);
        let due = now + wait;
        slot.become_state(now, State::Waiting { due, started_before: true }, reason);
        self.timers.insert((due, Timer::Start(key)));
        wait
    }

    /// A monitor's output ended. Most often it has ended too and its exit arrives any moment; one of ours that
    /// goes on without output is useless and is replaced when the grace is over.
    pub fn output_ended(&mut self, now: Mono, token: u64) {
        let slot = self.running.get(&token).and_then(|key| self.slots.get(key));
        if slot.is_some_and(|slot| slot.command.ours) {
            self.timers.insert((now + GRACE, Timer::Mute(token)));
        }
    }

    /// Does what is due, but starts no more than [`BURST`] monitors: starting programs takes long, and whoever starts
    /// them has reports and signals to hear in between. The rest is still due.
    pub fn tick(&mut self, now: Mono) -> Vec<Action> {
        let mut actions = Vec::new();
        let mut started = 0;
        while started < BURST && self.timers.first().is_some_and(|(due, _)| *due <= now) {
            match self.timers.pop_first() {
                Some((due, Timer::Start(key))) => started += self.start(now, due, key, &mut actions),
                Some((_, Timer::Mute(token))) => self.replace_mute(now, token, &mut actions),
                Some((_, Timer::Kill(token))) if self.leaving.contains(&token) => {
                    actions.push(Action::Kill(token));
                }
                Some(_) | None => {}
            }
        }
        actions
    }

    /// Starts the monitor of `key` if its timer still matters; returns how many were started.
    fn start(&mut self, now: Mono, timer: Mono, key: ServerKey, actions: &mut Vec<Action>) -> usize {
        let Some(slot) = self.slots.get_mut(&key) else { return 0 };
        if !matches!(slot.state, State::Waiting { due, .. } if due == timer) {
            return 0;
        }
        self.last_token += 1;
        let token = self.last_token;
        slot.become_state(now, State::Running { token }, "started".into());
        self.running.insert(token, key);
        actions.push(Action::Log(Event::MonitorStarted(key)));
        actions.push(Action::Spawn(token, slot.command.clone()));
        1
    }

    fn replace_mute(&mut self, now: Mono, token: u64, actions: &mut Vec<Action>) {
        let Some(key) = self.running.get(&token).copied() else { return };
        actions.push(Action::Log(Event::MonitorMute(key)));
        self.stop(now, token, actions);
        self.restart_later(now, key, "closed its output".into());
    }

    /// The next moment at which [`Supervisor::tick`] has something to do.
    #[must_use]
    pub fn deadline(&self) -> Option<Mono> {
        self.timers.first().map(|(due, _)| *due)
    }

    /// How many monitors have been told to end and have not yet.
    #[must_use]
    pub fn leaving(&self) -> usize {
        self.leaving.len()
    }

    /// State of a server's monitor, why and since when; `None` when it has none.
    #[must_use]
    pub fn state(&self, key: &ServerKey) -> Option<(Child, &str, Mono)> {
        let slot = self.slots.get(key)?;
        let state = match slot.state {
            State::Waiting { started_before: false, .. } => Child::Starting,
            State::Waiting { .. } => Child::Waiting,
            State::Running { .. } => Child::Running,
            State::GivenUp => Child::Stopped,
        };
        Some((state, &slot.reason, slot.since))
    }
}

impl Slot {
    fn become_state(&mut self, now: Mono, state: State, reason: String) {
        self.state = state;
        self.reason = reason;
        self.since = now;
    }
}
