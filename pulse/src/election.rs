//! Who serves: this router or the other. Pure; it hears heartbeats and the time and says what to do.
//!
//! Not decided here: how the service is taken and given back ([`crate::takeover`]), on which links heartbeats travel
//! ([`crate::heartbeat`]), what is logged.
//!
//! | this router | event | what it does |
//! | --- | --- | --- |
//! | waits | nothing heard for `deadtime` | takes over |
//! | waits | other one asks it to take over, or stopped and unfit | takes over, if fit itself |
//! | waits | other one stopped, an original or this is the primary | takes over, if fit |
//! | waits | other one stopped, fit, of this suite, and this is the backup | lets the primary go first, for `deadtime` |
//! | serves | other one serves with a higher term | says once more that it serves, and gives way |
//! | serves | other one serves with a lower term | stays and announces again |
//! | serves | other one serves with an equal term, or is an original | the backup does the first, the primary the second |
//! | serves | cannot run its service for `deadtime`, other one is stopped and fit | gives way and asks it to take over |
//! | serves | none of its links is up | gives way; takes nothing over before one is, and `deadtime` has passed |
//! | serves | sent nothing for `deadtime`, because this process did not run | gives way |
//! | either | is told to leave | gives way and asks the other to take over |
//!
//! A takeover begins with a heartbeat on every path: it carries a higher term than any heard before, which is how the
//! other router, should it be alive after all, is told to stop. A router that comes back hears that the other one
//! serves, and waits. Nobody preempts.
//!
//! Who gives way says first that it has served: its announcements may be the latest that the LAN heard, and the router
//! that stays must be told to announce again. That one also does so when the other one returns from silence, as it may
//! have served meanwhile; at most once a `deadtime`, but it never skips the last.
//!
//! Time during which this process did not run is not counted as silence of the other router, whose heartbeats may
//! lie unread. After so long a time that the other one may have taken over meanwhile, these may be outdated too: for a
//! `keepalive` no "stopped" is taken as an invitation.

use std::fmt;
use std::time::Duration;

use daemonkit::clock::Mono;

use crate::heartbeat::paths::{Change, Paths};
use crate::heartbeat::wire::{ByteOrder, Heartbeat, Trailer, Word};

/// Which of the two routers of the file this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Router {
    /// It has the address `primary`.
    Primary,
    /// It has the address `backup`.
    Backup,
}

impl fmt::Display for Router {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Primary => "primary",
            Self::Backup => "backup",
        })
    }
}

/// What an election has to know of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Which router this is.
    pub router: Router,
    /// Number of paths to the other router; 0 when there is none.
    pub paths: usize,
    /// Send interval.
    pub keepalive: Duration,
    /// Silence after which the other router counts as dead.
    pub deadtime: Duration,
    /// Random number of this run.
    pub incarnation: u64,
}

/// What happens to an election.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// A heartbeat of the other router came in on a path.
    Heartbeat {
        /// Index of the path.
        path: usize,
        /// What it said.
        heartbeat: Heartbeat,
    },
    /// Time has passed.
    Tick,
    /// Take over without waiting (`--forceactive`).
    Force,
    /// Whether this router can run its service; `Err` says why not.
    Fitness(Result<(), String>),
    /// Whether any link is up over which the other router or a client could be reached.
    Linked(bool),
    /// The addresses and services are complete.
    Settled,
    /// The timers of a new configuration.
    Timers {
        /// Send interval.
        keepalive: Duration,
        /// Silence after which the other router counts as dead.
        deadtime: Duration,
    },
    /// The program is to end.
    Leave,
}

/// What is to be done, in this order.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Send this heartbeat on every path.
    Send(Heartbeat),
    /// Take the addresses and start the service.
    TakeOver(Cause),
    /// Give the addresses and the service back.
    Release(Cause),
    /// Announce the addresses once more: another router had them too, or may have had.
    Announce,
    /// A path fell silent or is heard again.
    Path(Change),
    /// What is known of the other router has changed.
    Peer(PeerState, Cause),
}

/// What is known of the other router.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PeerState {
    /// Nothing heard since the start.
    Unknown,
    /// It says that it serves.
    Serving,
    /// It says that it does not serve.
    Waiting,
    /// Nothing heard for `deadtime`, or it said that it leaves.
    Gone,
}

/// Why something happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// No heartbeat on any path for this long.
    PeerSilent(Duration),
    /// The other router said that it serves.
    PeerServes,
    /// The other router said that it does not serve.
    PeerWaits,
    /// The other router asked this one to take over.
    PeerAsked,
    /// The other router cannot run its service.
    PeerUnfit,
    /// The other router took over later than this one.
    HigherTerm {
        /// Ours.
        ours: u32,
        /// Its.
        theirs: u32,
    },
    /// Both served, and this is the backup.
    BothServe,
    /// The file names no other router.
    Alone,
    /// `--forceactive`.
    Forced,
    /// This router cannot run its service.
    Unfit(String),
    /// None of this router's links is up.
    NoLink,
    /// This process did not run for so long.
    Frozen(Duration),
    /// The program was told to end.
    Leaving,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PeerSilent(time) => write!(f, "no heartbeat on any path for {}ms", time.as_millis()),
            Self::PeerServes => f.write_str("the other router serves"),
            Self::PeerWaits => f.write_str("the other router does not serve"),
            Self::PeerAsked => f.write_str("the other router asked to be relieved"),
            Self::PeerUnfit => f.write_str("the other router cannot serve"),
            Self::HigherTerm { ours, theirs } => {
                write!(f, "the other router took over later (term {theirs}, ours {ours})")
            }
            Self::BothServe => f.write_str("both routers served, and this is the backup"),
            Self::Alone => f.write_str("the file names no other router"),
            Self::Forced => f.write_str("--forceactive"),
            Self::Unfit(why) => write!(f, "this router cannot serve: {why}"),
            Self::NoLink => f.write_str("none of this router's links is up"),
            Self::Frozen(time) => write!(f, "this process did not run for {}ms", time.as_millis()),
            Self::Leaving => f.write_str("told to end"),
        }
    }
}

/// The election as one router sees it.
#[derive(Debug, Clone)]
pub struct Election {
    settings: Settings,
    paths: Paths,
    role: Role,
    peer: Peer,
    /// Highest term seen or used.
    term: u32,
    sequence: u64,
    fitness: Result<(), String>,
    /// Since when the service cannot be run.
    unfit_since: Option<Mono>,
    /// Whether any link is up.
    linked: bool,
    next_send: Mono,
    /// When the other router counts as dead unless it is heard before.
    silent_at: Mono,
    /// What [`Election::deadline`] said last: an input that comes later than this comes late.
    expected: Mono,
    /// Until then a heartbeat may be one that lay unread while this process did not run.
    outdated_until: Mono,
}

/// This router's role, with what is known only in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    /// Another router serves, or should.
    Waiting {
        /// Since when the other one is heard not to serve, although it could.
        idle_since: Option<Mono>,
    },
    /// This router serves.
    Serving {
        /// Whether addresses and services are complete.
        settled: bool,
        /// Whether the other router served too, or may have, so that the addresses have to be announced again.
        announce_due: bool,
        /// When that may be done. Rate limited: whoever can forge a heartbeat must not be able to make us busy.
        announce_after: Mono,
    },
    /// The program is ending.
    Left,
}

/// The other router.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Peer {
    state: PeerState,
    order: ByteOrder,
    incarnation: u64,
    sequence: u64,
    fit: bool,
}

impl Election {
    /// A router that has just started: it waits, and takes over when it hears nothing for `deadtime`, or at once when
    /// there is nobody to hear.
    #[must_use]
    pub fn new(now: Mono, settings: Settings) -> Self {
        let peer = Peer {
            state: PeerState::Unknown,
            order: ByteOrder::default(),
            incarnation: 0,
            sequence: 0,
            fit: true,
        };
        let silent_at = if settings.paths == 0 { now } else { now + settings.deadtime };
        Self {
            paths: Paths::new(settings.paths, settings.deadtime, now),
            role: Role::Waiting { idle_since: None },
            peer,
            term: 0,
            sequence: 0,
            fitness: Ok(()),
            unfit_since: None,
            linked: true,
            next_send: now + settings.keepalive,
            silent_at,
            expected: now + settings.keepalive,
            outdated_until: now,
            settings,
        }
    }

    /// What is known of the other router.
    #[must_use]
    pub fn peer(&self) -> PeerState {
        self.peer.state
    }

    /// How often the service has been taken over, as far as this router knows.
    #[must_use]
    pub fn term(&self) -> u32 {
        self.term
    }

    /// When to call [`Election::step`] with a tick if nothing else happens.
    #[must_use]
    pub fn deadline(&self) -> Option<Mono> {
        let mut deadlines = Vec::new();
        if self.settings.paths > 0 {
            deadlines.push(self.next_send);
            deadlines.extend(self.paths.deadline().filter(|_| self.role != Role::Left));
        }
        match self.role {
            Role::Waiting { idle_since } => {
                deadlines.extend(self.linked.then_some(self.silent_at));
                let idle_since = idle_since.filter(|_| self.fitness.is_ok());
                deadlines.extend(idle_since.map(|since| since + self.settings.deadtime));
            }
            Role::Serving { announce_due: true, announce_after, .. } => deadlines.push(announce_after),
            Role::Serving { .. } | Role::Left => {}
        }
        deadlines.into_iter().min()
    }

    /// Takes one event at `now`, which never runs backwards.
    pub fn step(&mut self, now: Mono, input: Input) -> Vec<Action> {
        let mut out = Vec::new();
        self.notice_absence(now, &mut out);
        match input {
            Input::Heartbeat { path, heartbeat } => self.hear(now, path, &heartbeat, &mut out),
            Input::Tick => self.tick(now, &mut out),
            Input::Force => self.take_over(now, Cause::Forced, &mut out),
            Input::Fitness(fitness) => self.set_fitness(now, fitness),
            Input::Linked(linked) => self.set_linked(now, linked, &mut out),
            Input::Settled => {
                if let Role::Serving { settled, .. } = &mut self.role {
                    *settled = true;
                }
            }
            Input::Timers { keepalive, deadtime } => self.set_timers(now, keepalive, deadtime),
            Input::Leave => self.leave(now, &mut out),
        }
        self.expected = self.deadline().unwrap_or(now).max(now);
        out
    }

    /// Whatever comes first after a time in which this process did not run, be it a tick or a heartbeat.
    fn notice_absence(&mut self, now: Mono, out: &mut Vec<Action>) {
        let Settings { paths, keepalive, deadtime, .. } = self.settings;
        let late = now.since(self.expected);
        if self.role == Role::Left || paths == 0 || late <= deadtime / 4 {
            return;
        }
        self.paths.forgive(late);
        self.silent_at = self.silent_at + late;
        // The last heartbeat may have gone out a keepalive before the time that is missing.
        if late + keepalive <= deadtime {
            return;
        }
        self.outdated_until = now + keepalive;
        let peer_was_there = matches!(self.peer.state, PeerState::Serving | PeerState::Waiting);
        if peer_was_there && matches!(self.role, Role::Serving { .. }) {
            self.silent_at = now + deadtime;
            self.release(now, Cause::Frozen(late), false, out);
        }
    }

    fn hear(&mut self, now: Mono, path: usize, heartbeat: &Heartbeat, out: &mut Vec<Action>) {
        if self.role == Role::Left {
            return;
        }
        out.extend(self.paths.heard(now, path).map(Action::Path));
        self.silent_at = now + self.settings.deadtime;
        self.peer.order = heartbeat.order;
        if let Some(trailer) = &heartbeat.trailer {
            // The copy that took the other path, or one that was overtaken on the way, says nothing new.
            if trailer.incarnation == self.peer.incarnation && trailer.sequence <= self.peer.sequence {
                return;
            }
            self.peer.incarnation = trailer.incarnation;
            self.peer.sequence = trailer.sequence;
        }
        self.peer.fit = heartbeat.trailer.is_none_or(|trailer| trailer.fit);
        let ours = self.term;
        self.term = ours.max(heartbeat.trailer.map_or(0, |trailer| trailer.term));
        match heartbeat.word {
            Word::Running => self.hear_running(now, ours, heartbeat.trailer, out),
            Word::Stopped => self.hear_stopped(now, heartbeat.trailer, out),
            Word::Alive => {}
        }
    }

    /// `ours` is the term with which this router serves, if it does.
    fn hear_running(&mut self, now: Mono, ours: u32, trailer: Option<Trailer>, out: &mut Vec<Action>) {
        self.set_peer(PeerState::Serving, Cause::PeerServes, out);
        let backup = self.settings.router == Router::Backup;
        let Role::Serving { announce_due, .. } = &mut self.role else {
            self.role = Role::Waiting { idle_since: None };
            return;
        };
        let cause = match trailer {
            Some(Trailer { term: theirs, .. }) if theirs > ours => Some(Cause::HigherTerm { ours, theirs }),
            Some(Trailer { term: theirs, .. }) if theirs < ours => None,
            _ => backup.then_some(Cause::BothServe),
        };
        if let Some(cause) = cause {
            // On hearing this the router that stays announces its addresses again; an original primary does so too.
            let highest = std::mem::replace(&mut self.term, ours);
            self.send(now, false, out);
            self.term = highest;
            self.release(now, cause, false, out);
        } else {
            *announce_due = true;
            self.announce_if_due(now, out);
        }
    }

    fn announce_if_due(&mut self, now: Mono, out: &mut Vec<Action>) {
        let Role::Serving { announce_due: due @ true, announce_after, .. } = &mut self.role else { return };
        if now < *announce_after {
            return;
        }
        *due = false;
        *announce_after = now + self.settings.deadtime;
        self.send(now, false, out);
        out.push(Action::Announce);
    }

    fn hear_stopped(&mut self, now: Mono, trailer: Option<Trailer>, out: &mut Vec<Action>) {
        let asked = trailer.is_some_and(|trailer| trailer.take_over);
        let cause = if asked { Cause::PeerAsked } else { Cause::PeerWaits };
        let before = self.peer.state;
        self.set_peer(PeerState::Waiting, cause.clone(), out);
        if let Role::Serving { announce_due, .. } = &mut self.role
            && matches!(before, PeerState::Serving | PeerState::Gone)
        {
            // It may have served while it was not heard, and its last word may be lost.
            *announce_due = true;
            self.announce_if_due(now, out);
        }
        let Role::Waiting { idle_since } = &mut self.role else { return };
        if now < self.outdated_until {
            return;
        }
        let primary = self.settings.router == Router::Primary;
        let unfit_and_so_are_we = self.fitness.is_err() && !self.peer.fit && primary;
        if self.fitness.is_err() && !unfit_and_so_are_we {
            // Nothing would be won. When the other one falls silent we try all the same.
        } else if asked || trailer.is_none() || primary {
            self.take_over(now, cause, out);
        } else if !self.peer.fit {
            self.take_over(now, Cause::PeerUnfit, out);
        } else if now.since(*idle_since.get_or_insert(now)) >= self.settings.deadtime {
            self.take_over(now, cause, out);
        }
    }

    fn tick(&mut self, now: Mono, out: &mut Vec<Action>) {
        if self.role == Role::Left {
            // The invitation to take over may have been lost.
            if now >= self.next_send {
                self.send(now, true, out);
            }
            return;
        }
        out.extend(self.paths.expire(now).into_iter().map(Action::Path));
        if now >= self.silent_at {
            self.peer_is_silent(now, out);
        }
        if let Role::Waiting { idle_since: Some(since) } = self.role
            && self.fitness.is_ok()
            && now.since(since) >= self.settings.deadtime
        {
            self.take_over(now, Cause::PeerWaits, out);
        }
        self.relieve_if_unfit(now, out);
        self.announce_if_due(now, out);
        if now >= self.next_send {
            self.send(now, false, out);
        }
    }

    fn peer_is_silent(&mut self, now: Mono, out: &mut Vec<Action>) {
        let cause = match self.settings.paths {
            0 => Cause::Alone,
            _ => Cause::PeerSilent(self.settings.deadtime + now.since(self.silent_at)),
        };
        self.set_peer(PeerState::Gone, cause.clone(), out);
        self.take_over(now, cause, out);
    }

    fn relieve_if_unfit(&mut self, now: Mono, out: &mut Vec<Action>) {
        let Err(why) = &self.fitness else { return };
        let long = self.unfit_since.is_some_and(|since| now.since(since) >= self.settings.deadtime);
        let serving = matches!(self.role, Role::Serving { .. });
        if long && serving && self.peer.fit && self.peer.state == PeerState::Waiting {
            let cause = Cause::Unfit(why.clone());
            self.release(now, cause, true, out);
        }
    }

    fn set_fitness(&mut self, now: Mono, fitness: Result<(), String>) {
        self.unfit_since = match fitness {
            Ok(()) => None,
            Err(_) => self.unfit_since.or(Some(now)),
        };
        self.fitness = fitness;
    }

    /// A router without any link serves nobody; it gives the service back so that it has nothing to give back when its
    /// links return and the other one serves.
    fn set_linked(&mut self, now: Mono, linked: bool, out: &mut Vec<Action>) {
        let before = std::mem::replace(&mut self.linked, linked);
        if before && !linked && matches!(self.role, Role::Serving { .. }) {
            self.release(now, Cause::NoLink, true, out);
        }
        if linked && !before {
            self.silent_at = now + self.settings.deadtime;
        }
    }

    fn set_timers(&mut self, now: Mono, keepalive: Duration, deadtime: Duration) {
        // What has been silence so far stays silence.
        self.silent_at = self.silent_at - self.settings.deadtime + deadtime;
        self.settings.keepalive = keepalive;
        self.settings.deadtime = deadtime;
        self.paths.set_deadtime(deadtime);
        self.next_send = self.next_send.min(now + keepalive);
    }

    fn leave(&mut self, now: Mono, out: &mut Vec<Action>) {
        match self.role {
            Role::Serving { .. } => self.release(now, Cause::Leaving, true, out),
            Role::Waiting { .. } => self.send(now, true, out),
            Role::Left => {}
        }
        self.role = Role::Left;
    }

    fn take_over(&mut self, now: Mono, cause: Cause, out: &mut Vec<Action>) {
        // Without a link everybody is silent, and nobody could be served.
        if !matches!(self.role, Role::Waiting { .. }) || !self.linked {
            return;
        }
        self.term = self.term.saturating_add(1);
        self.role = Role::Serving { settled: false, announce_due: false, announce_after: now };
        self.send(now, false, out);
        out.push(Action::TakeOver(cause));
    }

    /// Says "stopped" only after the addresses are gone: the other router takes over on hearing it.
    fn release(&mut self, now: Mono, cause: Cause, ask_to_take_over: bool, out: &mut Vec<Action>) {
        self.role = Role::Waiting { idle_since: None };
        out.push(Action::Release(cause));
        self.send(now, ask_to_take_over, out);
    }

    fn set_peer(&mut self, state: PeerState, cause: Cause, out: &mut Vec<Action>) {
        if std::mem::replace(&mut self.peer.state, state) != state && self.settings.paths > 0 {
            out.push(Action::Peer(state, cause));
        }
    }

    fn send(&mut self, now: Mono, take_over: bool, out: &mut Vec<Action>) {
        self.next_send = now + self.settings.keepalive;
        if self.settings.paths == 0 {
            return;
        }
        self.sequence += 1;
        let (word, settled) = match self.role {
            Role::Serving { settled, .. } => (Word::Running, settled),
            Role::Waiting { .. } | Role::Left => (Word::Stopped, false),
        };
        let trailer = Trailer {
            fit: self.fitness.is_ok(),
            settled,
            take_over,
            term: self.term,
            incarnation: self.settings.incarnation,
            sequence: self.sequence,
            echo: self.peer.incarnation,
        };
        out.push(Action::Send(Heartbeat { word, order: self.peer.order, trailer: Some(trailer) }));
    }
}
