//! Keeps one monitor running per check. Decides when to start, restart, stop and give up; starts nothing itself.
//!
//! Servers of several virtual servers that want the same check share a monitor ([`crate::feeds`]). It is started in the
//! name of the first of them in the file, and goes on when that one goes.
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
use lvs_ipc::report::Report;
use lvs_ipc::status::Child;

use crate::action::Action;
use crate::backoff::Backoff;
use crate::event::Event;
use crate::feeds::Feed;
use crate::identity::ServerKey;
use crate::nanny_args::CheckIdentity;

/// Longest wait before a restart.
pub const RESTART_LIMIT: Duration = Duration::from_secs(60);
/// A monitor that ran this long had no trouble starting.
pub const HEALTHY: Duration = Duration::from_secs(60);
/// Time between asking a monitor to end and killing it.
pub const GRACE: Duration = Duration::from_secs(2);
/// Most monitors started in one go. New ones are due so many each [`PACE`], that the first checks do not fall on one
/// instant; later ones are spread over the interval by the number of the monitor ([`crate::nanny_args`]).
pub const BURST: usize = 16;
/// Time between two bursts.
pub const PACE: Duration = Duration::from_millis(10);

/// One monitor that should run.
#[derive(Debug, Clone)]
struct Slot {
    feed: Feed,
    /// What it last said of its server, for who joins later.
    last: Option<Report>,
    /// Whether the process that runs has said anything: it hears signals.
    has_spoken: bool,
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
    Start(u64),
    Mute(u64),
    Kill(u64),
}

/// The monitors. Each has a number while it is wanted, and a token while it runs.
#[derive(Debug, Clone, Default)]
pub struct Supervisor {
    slots: BTreeMap<u64, Slot>,
    /// The numbers by the servers that they are for.
    numbers: HashMap<ServerKey, u64>,
    running: HashMap<u64, u64>,
    leaving: BTreeSet<u64>,
    timers: BTreeSet<(Mono, Timer)>,
    last_number: u64,
    last_token: u64,
}

/// What follows from a new wish.
#[derive(Debug, Default, PartialEq)]
pub struct Rearranged {
    /// What to do at once; starts come with [`Supervisor::tick`].
    pub actions: Vec<Action>,
    /// How many monitors are started, stopped or replaced.
    pub changed: usize,
    /// What is known already of servers that join a monitor, because it said so before: it will not say it again.
    pub known: Vec<(ServerKey, Report)>,
}

/// Processes that begin and end, each in the order of the wishes.
#[derive(Debug)]
pub(crate) struct Changes<'s> {
    /// Those that are started, at once or in their turn.
    pub(crate) started: Vec<&'s Feed>,
    /// Those that ran and are asked to end.
    pub(crate) stopped: Vec<&'s Feed>,
}

impl Supervisor {
    /// Says which monitors are to run from now on. One whose check is still the same is left alone, whoever it is for;
    /// one that had been given up is tried again.
    pub fn want(&mut self, now: Mono, feeds: Vec<Feed>) -> Rearranged {
        let kept = self.kept(&feeds);
        let mut old = std::mem::take(&mut self.slots);
        let before = std::mem::take(&mut self.numbers);
        let mut rearranged = Rearranged::default();
        let mut replaced: BTreeSet<u64> = BTreeSet::new();
        for (feed, kept) in feeds.into_iter().zip(kept) {
            let slot = kept.and_then(|number| Some((number, old.remove(&number)?)));
            let (number, slot) = match slot {
                Some((number, slot)) => {
                    let joining = feed.users.iter().filter(|user| before.get(user) != Some(&number));
                    let known = joining.filter_map(|user| Some((*user, slot.last.clone()?)));
                    rearranged.known.extend(known);
                    (number, Slot { feed, ..slot })
                }
                None => {
                    replaced.extend(feed.users.iter().filter_map(|user| before.get(user)));
                    let bursts = u32::try_from(rearranged.changed / BURST).unwrap_or(u32::MAX);
                    rearranged.changed += 1;
                    self.new_slot(now, now + PACE * bursts, feed)
                }
            };
            self.numbers.extend(slot.feed.users.iter().map(|user| (*user, number)));
            self.slots.insert(number, slot);
        }
        rearranged.changed += old.keys().filter(|number| !replaced.contains(number)).count();
        for slot in old.into_values() {
            if let State::Running { token } = slot.state {
                self.stop(now, token, &mut rearranged.actions);
            }
        }
        rearranged
    }

    /// The number of the monitor that does already what each of `feeds` asks for.
    fn kept(&self, feeds: &[Feed]) -> Vec<Option<u64>> {
        let usable = self.slots.iter().filter(|(_, slot)| slot.state != State::GivenUp);
        let known: HashMap<CheckIdentity<'_>, u64> =
            usable.map(|(number, slot)| (slot.feed.command.identity(), *number)).collect();
        feeds.iter().map(|feed| known.get(&feed.command.identity()).copied()).collect()
    }

    fn new_slot(&mut self, now: Mono, due: Mono, feed: Feed) -> (u64, Slot) {
        self.last_number += 1;
        self.timers.insert((due, Timer::Start(self.last_number)));
        let slot = Slot {
            feed,
            last: None,
            has_spoken: false,
            state: State::Waiting { due, started_before: false },
            reason: "about to be started".into(),
            since: now,
            backoff: Backoff::default(),
        };
        (self.last_number, slot)
    }

    fn stop(&mut self, now: Mono, token: u64, actions: &mut Vec<Action>) {
        self.running.remove(&token);
        self.leaving.insert(token);
        self.timers.insert((now + GRACE, Timer::Kill(token)));
        actions.push(Action::Terminate(token));
    }

    /// The real servers that the monitor `token` speaks for; none once it is not to be heard any more.
    #[must_use]
    pub fn servers_of(&self, token: u64) -> &[ServerKey] {
        let slot = self.running.get(&token).and_then(|number| self.slots.get(number));
        slot.map_or(&[], |slot| &slot.feed.users)
    }

    /// The monitor of a server, if it can be told to check at once; else why not. A process that has just begun does not
    /// hear signals yet, and is about to check by itself.
    ///
    /// # Errors
    /// Why not, as the rest of a sentence about the server.
    pub fn promptable(&self, key: &ServerKey) -> Result<u64, String> {
        let slot = self.slot_of(key).ok_or("it has no monitor")?;
        match slot.state {
            State::Running { token } if slot.has_spoken => Ok(token),
            State::Running { .. } | State::Waiting { started_before: false, .. } => {
                Err("its first check is under way".into())
            }
            State::Waiting { .. } => Err(format!("its monitor is started again soon: {}", slot.reason)),
            State::GivenUp => Err(format!("its monitor was given up until a reload: {}", slot.reason)),
        }
    }

    /// Remembers what the monitor `token` said of its server's health.
    pub fn heard(&mut self, token: u64, report: &Report) {
        let slot = self.running.get(&token).and_then(|number| self.slots.get_mut(number));
        let Some(slot) = slot else { return };
        slot.has_spoken = true;
        if matches!(report, Report::Active { .. } | Report::Inactive { .. }) {
            slot.last = Some(report.clone());
        }
    }

    /// A monitor ended.
    pub fn ended(&mut self, now: Mono, token: u64, exit: Exit) -> Vec<Action> {
        if self.leaving.remove(&token) {
            return Vec::new();
        }
        let Some(number) = self.running.remove(&token) else { return Vec::new() };
        let Some(slot) = self.slots.get_mut(&number) else { return Vec::new() };
        let (vs, key) = (slot.feed.vs.clone(), slot.feed.name());
        if exit.is(DO_NOT_RESTART) || exit.is(USAGE) {
            slot.become_state(now, State::GivenUp, exit.to_string());
            return vec![Action::Log(Event::MonitorGivenUp { vs, key, exit })];
        }
        if now.since(slot.since) >= HEALTHY {
            slot.backoff.reset();
        }
        let restart_in = slot.restart_later(now, exit.to_string());
        self.timers.insert((now + restart_in, Timer::Start(number)));
        vec![Action::Log(Event::MonitorEnded { vs, key, exit, restart_in })]
    }

    /// A monitor could not be started.
    pub fn spawn_failed(&mut self, now: Mono, token: u64, reason: String) -> Vec<Action> {
        let Some(number) = self.running.remove(&token) else { return Vec::new() };
        let Some(slot) = self.slots.get_mut(&number) else { return Vec::new() };
        let retry_in = slot.restart_later(now, reason.clone());
        self.timers.insert((now + retry_in, Timer::Start(number)));
        vec![Action::Log(Event::MonitorNotStarted {
            vs: slot.feed.vs.clone(),
            key: slot.feed.name(),
            reason,
            retry_in,
        })]
    }

    /// A monitor's output ended. Most often it has ended too and its exit arrives any moment; one of ours that
    /// goes on without output is useless and is replaced when the grace is over.
    pub fn output_ended(&mut self, now: Mono, token: u64) {
        let slot = self.running.get(&token).and_then(|number| self.slots.get(number));
        if slot.is_some_and(|slot| slot.feed.command.ours) {
            self.timers.insert((now + GRACE, Timer::Mute(token)));
        }
    }

    /// Does what is due, but starts no more than [`BURST`] monitors: starting programs takes long, and whoever starts
    /// them has reports and signals to hear in between. The rest is still due.
    ///
    /// A monitor that starts is told what is known of its servers by `was_up`, unless that differs.
    pub fn tick(&mut self, now: Mono, was_up: impl Fn(&ServerKey) -> Option<bool>) -> Vec<Action> {
        let mut actions = Vec::new();
        let mut started = 0;
        while started < BURST && self.timers.first().is_some_and(|(due, _)| *due <= now) {
            match self.timers.pop_first() {
                Some((due, Timer::Start(number))) => {
                    started += self.start(now, due, number, &was_up, &mut actions);
                }
                Some((_, Timer::Mute(token))) => self.replace_mute(now, token, &mut actions),
                Some((_, Timer::Kill(token))) if self.leaving.contains(&token) => {
                    actions.push(Action::Kill(token));
                }
                Some(_) | None => {}
            }
        }
        actions
    }

    /// Starts the monitor `number` if its timer still matters; returns how many were started.
    fn start(
        &mut self,
        now: Mono,
        timer: Mono,
        number: u64,
        was_up: impl Fn(&ServerKey) -> Option<bool>,
        actions: &mut Vec<Action>,
    ) -> usize {
        let Some(slot) = self.slots.get_mut(&number) else { return 0 };
        if !matches!(slot.state, State::Waiting { due, .. } if due == timer) {
            return 0;
        }
        self.last_token += 1;
        let token = self.last_token;
        slot.become_state(now, State::Running { token }, "started".into());
        slot.has_spoken = false;
        self.running.insert(token, number);
        actions.push(Action::Log(Event::MonitorStarted { vs: slot.feed.vs.clone(), key: slot.feed.name() }));
        let known = slot.feed.users.iter().filter_map(was_up);
        let command = slot.feed.command.clone().handed_over(number, agreed(known));
        actions.push(Action::Spawn(token, command));
        1
    }

    fn replace_mute(&mut self, now: Mono, token: u64, actions: &mut Vec<Action>) {
        let Some(number) = self.running.get(&token).copied() else { return };
        let Some(slot) = self.slots.get_mut(&number) else { return };
        actions.push(Action::Log(Event::MonitorMute { vs: slot.feed.vs.clone(), key: slot.feed.name() }));
        let restart_in = slot.restart_later(now, "closed its output".into());
        self.timers.insert((now + restart_in, Timer::Start(number)));
        self.stop(now, token, actions);
    }

    /// What became of the monitors since they were as in `before`, of which this is a later state. A monitor that waits
    /// for its start or restart is no process, so its end is none.
    pub(crate) fn changes_since<'s>(&'s self, before: &'s Self) -> Changes<'s> {
        let missing = |from: &'s Self, of: &Self| -> Vec<&'s Slot> {
            let missing = from.slots.iter().filter(|(number, _)| !of.slots.contains_key(number));
            missing.map(|(_, slot)| slot).collect()
        };
        let ran =
            missing(before, self).into_iter().filter(|slot| matches!(slot.state, State::Running { .. }));
        Changes {
            started: missing(self, before).into_iter().map(|slot| &slot.feed).collect(),
            stopped: ran.map(|slot| &slot.feed).collect(),
        }
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

    /// How many monitors run that are wanted.
    #[must_use]
    pub fn running(&self) -> usize {
        self.running.len()
    }

    /// Token of a server's monitor while it runs.
    #[must_use]
    pub fn token_of(&self, key: &ServerKey) -> Option<u64> {
        match self.slot_of(key)?.state {
            State::Running { token } => Some(token),
            State::Waiting { .. } | State::GivenUp => None,
        }
    }

    /// All real servers that share the monitor of this one, itself included; none if it has none.
    #[must_use]
    pub fn sharing(&self, key: &ServerKey) -> &[ServerKey] {
        self.slot_of(key).map_or(&[], |slot| &slot.feed.users)
    }

    fn slot_of(&self, key: &ServerKey) -> Option<&Slot> {
        self.slots.get(self.numbers.get(key)?)
    }

    /// State of a server's monitor, why and since when; `None` when it has none.
    #[must_use]
    pub fn state(&self, key: &ServerKey) -> Option<(Child, &str, Mono)> {
        let slot = self.slot_of(key)?;
        let state = match slot.state {
            State::Waiting { started_before: false, .. } => Child::Starting,
            State::Waiting { .. } => Child::Waiting,
            State::Running { .. } => Child::Running,
            State::GivenUp => Child::Stopped,
        };
        Some((state, &slot.reason, slot.since))
    }
}

/// What all that is known says, if it says anything.
fn agreed(mut known: impl Iterator<Item = bool>) -> Option<bool> {
    let first = known.next()?;
    known.all(|other| other == first).then_some(first)
}

impl Slot {
    fn become_state(&mut self, now: Mono, state: State, reason: String) {
        self.state = state;
        self.reason = reason;
        self.since = now;
    }

    /// Waits for a restart; returns how long.
    fn restart_later(&mut self, now: Mono, reason: String) -> Duration {
        let wait = self.backoff.fail(RESTART_LIMIT);
        self.become_state(now, State::Waiting { due: now + wait, started_before: true }, reason);
        wait
    }
}
