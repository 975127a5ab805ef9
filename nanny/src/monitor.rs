//! When to probe, measure, report and stop. Pure: time and outcomes come in, actions go out.
//!
//! | phase | `Tick` when due | `Probed` | `CheckNow` | `ForceDown`, `ForceUp` |
//! | --- | --- | --- | --- | --- |
//! | waiting | probe | – | probe | report; suspended |
//! | probing | – | judge, report a transition; waiting for one interval | the probe under way counts | stop the probe, report; suspended |
//! | suspended | – | – | probe | report |
//!
//! While the last probe has failed, the interval is [`Rules::failing_interval`]. Every interval differs by up to
//! [`Rules::jitter`] percent of it. A server that goes down too often ([`Rules::damping`]) is kept out for longer
//! ([`crate::flapping`]); `CheckNow` ends that too.
//!
//! An interval is counted from the end of a probe, so a slow probe delays the next one. `CheckNow` also lets the next
//! good probe bring the server up without re-entry delay. The first probe comes at once and the second after
//! [`Rules::phase`], so that monitors that were started together do not probe together ever after.
//!
//! A monitor that goes on from a known state ([`Rules::was`]) tells it again as soon as a probe agrees. A server that was
//! down stays so for [`Rules::settling`], however good its probes: the wait for re-entry begins with this process.
//!
//! A server that is up is told again when there is something to look after ([`Success::concern`]), when that changes, and
//! when it is over.
//!
//! A server whose probes are good is asked for its load, if that is wanted, after a good probe; what follows for its weight
//! is decided in [`crate::weighing`]. An agent that objects takes the server down, and back up when it objects no longer,
//! whatever `rise` and re-entry: it knows.
//!
//! A monitor of a failover service says what it has to say by ending.

use std::time::Duration;

use daemonkit::clock::Mono;

use crate::check::{Failure, Fault, Success, Verdict};
use crate::flapping::{Damping, Flapping};
use crate::health::{Health, State, Thresholds, Transition};
use crate::jitter::Jitter;
use crate::lateness::{Late, Lateness};
use crate::weighing::{Change, Measured, Weighing};

/// Least time between two measurements by a program.
pub const LOAD_PERIOD: Duration = Duration::from_secs(20);

/// What the monitor has to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// Time between two probes.
    pub interval: Duration,
    /// Time between two probes while the last one has failed.
    pub failing_interval: Duration,
    /// By how many percent an interval may differ, at most [`crate::jitter::MOST`].
    pub jitter: u8,
    /// When the server is kept out for flapping.
    pub damping: Option<Damping>,
    /// Probes in a row that take the server down or bring it back.
    pub thresholds: Thresholds,
    /// Whether this is the monitor of a failover service.
    pub failover: bool,
    /// Time from the end of the first probe to the second, at most the interval.
    pub phase: Duration,
    /// What is known of the server already, from the monitor before this one.
    pub was: State,
    /// Time from the start in which good probes do not count for a server that was down.
    pub settling: Duration,
    /// Configured weight.
    pub weight: u16,
    /// Largest multiple of the weight that a low load can give.
    pub scale: u16,
    /// Least time between two measurements of the load, if it is measured.
    pub measure_every: Option<Duration>,
}

/// What can happen.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// Time has passed.
    Tick,
    /// The probe ended.
    Probed {
        /// With this verdict.
        verdict: Verdict,
        /// After this time.
        took: Duration,
    },
    /// The load was measured, or could not be.
    Measured(Option<Measured>),
    /// Probe now, and end an override (SIGHUP).
    CheckNow,
    /// The server is down until `CheckNow` (SIGUSR1).
    ForceDown,
    /// The server is up until `CheckNow` (SIGUSR2).
    ForceUp,
}

/// What is to be done, in this order.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Begin a probe; tell its end.
    StartProbe,
    /// Give up the probe under way, without a word.
    StopProbe,
    /// Measure the load; tell the result.
    Measure,
    /// The server is up.
    Up {
        /// What changed; nothing when an override confirms what is.
        transition: Option<Transition>,
        /// Why.
        reason: Success,
        /// Duration of the deciding probe.
        took: Duration,
    },
    /// The server is down.
    Down {
        /// What changed; nothing when an override confirms what is.
        transition: Option<Transition>,
        /// Why.
        reason: Failure,
        /// Duration of the deciding probe.
        took: Duration,
    },
    /// The server is to get this weight.
    Weight(Change),
    /// A probe could not be made, the first in a row.
    CannotProbe(Fault),
    /// Probes have begun later than they were due.
    Late(Late),
    /// End the process with this status.
    Exit(u8),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Waiting { next: Mono },
    Probing,
    Suspended,
}

/// The decisions of one monitor.
#[derive(Debug)]
pub struct Monitor {
    rules: Rules,
    health: Health,
    jitter: Jitter,
    flapping: Flapping,
    phase: Phase,
    /// What has been told of the server.
    told: State,
    weighing: Weighing,
    measure_at: Mono,
    measuring: bool,
    faulty: bool,
    /// The second probe's time is another than that of all later ones.
    probed: bool,
    /// The state that it goes on from has not been told by this process.
    untold: bool,
    /// What the operator was last told to look after while the server is up.
    concern: Option<Success>,
    settled: Mono,
    was_up: bool,
    failures_before_up: u32,
    lateness: Lateness,
}

impl Monitor {
    /// A monitor that wants its first probe at once. What is random in it follows from `seed`.
    #[must_use]
    pub fn new(now: Mono, rules: Rules, seed: u64) -> Self {
        Self {
            rules,
            health: Health::going_on(rules.thresholds, rules.was),
            jitter: Jitter::new(rules.jitter, seed),
            flapping: Flapping::new(rules.damping),
            phase: Phase::Waiting { next: now },
            told: rules.was,
            weighing: Weighing::new(rules.weight, rules.scale),
            measure_at: now,
            measuring: false,
            faulty: false,
            probed: false,
            untold: rules.was != State::Unknown,
            concern: None,
            settled: if rules.was == State::Down { now + rules.settling } else { now },
            was_up: rules.was == State::Up,
            failures_before_up: 0,
            lateness: Lateness::new(rules.interval.min(rules.failing_interval)),
        }
    }

    /// When to call [`Monitor::step`] with [`Input::Tick`], if nothing else happens before.
    #[must_use]
    pub fn deadline(&self) -> Option<Mono> {
        match self.phase {
            Phase::Waiting { next } => Some(next),
            Phase::Probing | Phase::Suspended => None,
        }
    }

    /// What has been told of the server.
    #[must_use]
    pub fn state(&self) -> State {
        self.told
    }

    /// Decides what `input` means at `now`. Inputs that do not fit the phase change nothing.
    pub fn step(&mut self, now: Mono, input: Input) -> Vec<Action> {
        match (self.phase, input) {
            (Phase::Waiting { next }, Input::Tick) if now >= next => {
                let late = self.lateness.begins(next, now).map(Action::Late);
                self.probe().into_iter().chain(late).collect()
            }
            (Phase::Probing, Input::Probed { verdict, took }) => {
                self.phase = Phase::Waiting { next: now + self.pause(&verdict) };
                self.judge(now, verdict, took)
            }
            (phase, Input::CheckNow) => {
                self.health.recheck();
                self.flapping.forget();
                self.settled = now;
                if phase == Phase::Probing { Vec::new() } else { self.probe() }
            }
            (_, Input::ForceDown) => self.force(now, false),
            (_, Input::ForceUp) => self.force(now, true),
            (_, Input::Measured(measured)) => self.measured(now, measured),
            (_, Input::Tick | Input::Probed { .. }) => Vec::new(),
        }
    }

    fn probe(&mut self) -> Vec<Action> {
        self.phase = Phase::Probing;
        vec![Action::StartProbe]
    }

    /// Time until the next probe, after one with this verdict.
    fn pause(&mut self, verdict: &Verdict) -> Duration {
        let Rules { interval, failing_interval, phase, .. } = self.rules;
        let has_failed = matches!(verdict, Verdict::Unhealthy(_));
        let pause = if has_failed { failing_interval } else { interval };
        if std::mem::replace(&mut self.probed, true) {
            return self.jitter.spread(pause);
        }
        // The phase spreads probes over an interval; it is the same share of another one.
        let share = phase.as_nanos() * pause.as_nanos();
        let scaled = share.checked_div(interval.as_nanos()).unwrap_or(0);
        Duration::from_nanos(u64::try_from(scaled).unwrap_or(u64::MAX))
    }

    fn judge(&mut self, now: Mono, verdict: Verdict, took: Duration) -> Vec<Action> {
        let known = !matches!(verdict, Verdict::Unknown(_));
        let faulty_before = std::mem::replace(&mut self.faulty, !known);
        match verdict {
            Verdict::Unknown(_) if faulty_before => Vec::new(),
            Verdict::Unknown(fault) => vec![Action::CannotProbe(fault)],
            Verdict::Healthy(reason) => self.good(now, reason, took),
            Verdict::Unhealthy(reason) => self.bad(now, reason, took),
        }
    }

    fn good(&mut self, now: Mono, reason: Success, took: Duration) -> Vec<Action> {
        if self.health.state() == State::Down && now < self.settled {
            return Vec::new();
        }
        self.health.probed(true);
        self.weighing.probed(reason.percent());
        let mut actions: Vec<Action> = self.good_news(now, reason, took).into_iter().collect();
        actions.extend(self.new_weight());
        let is_asked = self.rules.measure_every.is_some() && self.health.state() == State::Up;
        if actions.is_empty() && is_asked && now >= self.measure_at && !self.measuring {
            self.measuring = true;
            self.measure_next(now);
            actions.push(Action::Measure);
        }
        actions
    }

    fn bad(&mut self, now: Mono, reason: Failure, took: Duration) -> Vec<Action> {
        let transition = self.health.probed(false);
        let has_fallen = transition.is_some_and(|transition| transition.from == State::Up);
        let reason = if has_fallen { self.fallen(now, reason) } else { reason };
        self.failures_before_up = self.failures_before_up.saturating_add(1);
        let mut actions: Vec<Action> = self.bad_news(reason, took).into_iter().collect();
        if self.rules.failover && self.was_up && self.health.state() == State::Down {
            actions.push(Action::Exit(0));
        } else if self.rules.failover && !self.was_up && self.failures_before_up >= 2 {
            actions.push(Action::Exit(1));
        }
        actions
    }

    /// Holds a server that goes down too often, and returns why it is down.
    fn fallen(&mut self, now: Mono, reason: Failure) -> Failure {
        let Rules { thresholds, interval, .. } = self.rules;
        let Some(hold) = self.flapping.fell(now, thresholds.up, interval) else { return reason };
        self.health.hold(hold.probes);
        Failure::Flapping { hold, back_after: interval * hold.probes, failure: Box::new(reason) }
    }

    /// Tells that the server is up, if it is and that is news. It then has its configured weight, and its load is measured
    /// a while later.
    fn good_news(&mut self, now: Mono, reason: Success, took: Duration) -> Option<Action> {
        let is_up = self.health.state() == State::Up && self.weighing.objection().is_none();
        let is_news = self.told != State::Up || self.untold || self.concern != reason.concern();
        if !is_up || !is_news {
            return None;
        }
        self.concern = reason.concern();
        let transition = self.tell(State::Up);
        self.weighing.came_up();
        self.measure_next(now);
        self.was_up = true;
        Some(Action::Up { transition, reason, took })
    }

    /// Tells that the server is down, if it is and that is news.
    fn bad_news(&mut self, reason: Failure, took: Duration) -> Option<Action> {
        let is_down = self.health.state() == State::Down || self.weighing.objection().is_some();
        if !is_down || (self.told == State::Down && !self.untold) {
            return None;
        }
        let transition = self.tell(State::Down);
        Some(Action::Down { transition, reason, took })
    }

    fn tell(&mut self, to: State) -> Option<Transition> {
        self.untold = false;
        let from = std::mem::replace(&mut self.told, to);
        (from != to).then_some(Transition { from, to })
    }

    fn new_weight(&mut self) -> Option<Action> {
        if self.told == State::Up { self.weighing.change().map(Action::Weight) } else { None }
    }

    fn measure_next(&mut self, now: Mono) {
        self.measure_at = now + self.rules.measure_every.unwrap_or_default();
    }

    fn force(&mut self, now: Mono, up: bool) -> Vec<Action> {
        let stop = (self.phase == Phase::Probing).then_some(Action::StopProbe);
        self.phase = Phase::Suspended;
        self.health.force(up);
        let took = Duration::ZERO;
        let transition = self.tell(if up { State::Up } else { State::Down });
        let report = if up {
            self.weighing.came_up();
            self.measure_next(now);
            self.was_up = true;
            Action::Up { transition, reason: Success::Forced, took }
        } else {
            Action::Down { transition, reason: Failure::Forced, took }
        };
        stop.into_iter().chain([report]).collect()
    }

    /// What was measured of a server whose probes have failed meanwhile, or that is forced, counts later.
    fn measured(&mut self, now: Mono, measured: Option<Measured>) -> Vec<Action> {
        self.measuring = false;
        let Some(measured) = measured else { return Vec::new() };
        self.weighing.measured(measured);
        if self.phase == Phase::Suspended || self.health.state() != State::Up {
            return Vec::new();
        }
        let news = match self.weighing.objection() {
            Some(objection) => self.bad_news(Failure::Advised(objection), Duration::ZERO),
            None => self.good_news(now, Success::Advised, Duration::ZERO),
        };
        news.into_iter().chain(self.new_weight()).collect()
    }
}

#[cfg(test)]
mod tests {
    use nix::errno::Errno;
    use proptest::prelude::*;

    use super::*;
    use crate::advice::Advice;

    const TOOK: Duration = Duration::from_millis(3);

    fn rules() -> Rules {
        Rules {
            interval: s(10),
            failing_interval: s(10),
            jitter: 0,
            damping: None,
            thresholds: Thresholds { up: 18, down: 1 },
            failover: false,
            phase: s(10),
            was: State::Unknown,
            settling: s(10),
            weight: 100,
            scale: 10,
            measure_every: None,
        }
    }

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn at(seconds: u64) -> Mono {
        Mono::from_millis(seconds * 1000)
    }

    fn good() -> Input {
        Input::Probed { verdict: Verdict::Healthy(Success::Connected), took: TOOK }
    }

    fn refused() -> Failure {
        Failure::Connect(Errno::ECONNREFUSED)
    }

    fn bad() -> Input {
        Input::Probed { verdict: Verdict::Unhealthy(refused()), took: TOOK }
    }

    fn up(from: State) -> Vec<Action> {
        let transition = Some(Transition { from, to: State::Up });
        vec![Action::Up { transition, reason: Success::Connected, took: TOOK }]
    }

    fn down(from: State) -> Vec<Action> {
        let transition = Some(Transition { from, to: State::Down });
        vec![Action::Down { transition, reason: refused(), took: TOOK }]
    }

    #[test]
    fn the_original_numbers_180_by_10_in_simulated_time() {
        let mut monitor = Monitor::new(at(0), rules(), 0);
        assert_eq!(monitor.step(at(0), Input::Tick), [Action::StartProbe]);
        assert_eq!(monitor.step(at(0), Input::Tick), []);
        assert_eq!(monitor.step(at(0), good()), up(State::Unknown));
        assert_eq!(monitor.deadline(), Some(at(10)));
        assert_eq!(monitor.step(at(9), Input::Tick), []);
        // A probe that takes four seconds: the next one comes ten seconds after its end.
        assert_eq!(monitor.step(at(10), Input::Tick), [Action::StartProbe]);
        assert_eq!(monitor.deadline(), None);
        assert_eq!(monitor.step(at(14), bad()), down(State::Up));
        assert_eq!(monitor.deadline(), Some(at(24)));
        for probe in 1..18 {
            let now = at(14 + 10 * probe);
            assert_eq!(monitor.step(now, Input::Tick), [Action::StartProbe]);
            assert_eq!(monitor.step(now, good()), []);
        }
        assert_eq!(monitor.step(at(194), Input::Tick), [Action::StartProbe]);
        assert_eq!(monitor.step(at(194), good()), up(State::Down));
    }

    #[test]
    fn a_concern_is_told_once_as_it_changes_and_when_it_is_over() {
        let mut monitor = Monitor::new(at(0), rules(), 0);
        let mut probe = |seconds, reason| {
            monitor.step(at(seconds), Input::Tick);
            monitor.step(at(seconds), Input::Probed { verdict: Verdict::Healthy(reason), took: TOOK })
        };
        let told = |reason| vec![Action::Up { transition: None, reason, took: TOOK }];
        let (twelve, eleven) = (Success::Expiring { days: 12 }, Success::Expiring { days: 11 });
        let first = Some(Transition { from: State::Unknown, to: State::Up });
        assert_eq!(probe(0, twelve), [Action::Up { transition: first, reason: twelve, took: TOOK }]);
        assert_eq!(probe(10, twelve), []);
        assert_eq!(probe(20, eleven), told(eleven));
        assert_eq!(probe(30, eleven), []);
        assert_eq!(probe(40, Success::Handshake), told(Success::Handshake));
        assert_eq!(probe(50, Success::Connected), [], "no concern, whatever the reason");
    }

    #[test]
    fn a_server_with_rise_and_fall_leaves_with_the_third_failure_and_is_back_with_the_second_success() {
        let thresholds = Thresholds { up: 2, down: 3 };
        let mut monitor = Monitor::new(at(0), Rules { thresholds, ..rules() }, 0);
        let mut probe = |seconds, outcome| {
            assert_eq!(monitor.step(at(seconds), Input::Tick), [Action::StartProbe]);
            monitor.step(at(seconds), outcome)
        };
        assert_eq!(probe(0, good()), up(State::Unknown));
        assert_eq!(probe(10, bad()), []);
        assert_eq!(probe(20, bad()), []);
        assert_eq!(probe(30, good()), []);
        assert_eq!(probe(40, bad()), []);
        assert_eq!(probe(50, bad()), []);
        assert_eq!(probe(60, bad()), down(State::Up));
        assert_eq!(probe(70, good()), []);
        assert_eq!(probe(80, bad()), []);
        assert_eq!(probe(90, good()), []);
        assert_eq!(probe(100, good()), up(State::Down));
    }

    #[test]
    fn a_server_that_was_down_serves_the_whole_re_entry_again_before_it_is_up() {
        // 180 s by 10 s, and a second probe after 3 s: the probes of the first interval do not count.
        let mut monitor = Monitor::new(at(0), Rules { was: State::Down, phase: s(3), ..rules() }, 0);
        for probe in 0..19 {
            let now = at(if probe == 0 { 0 } else { 3 + 10 * (probe - 1) });
            assert_eq!(monitor.step(now, Input::Tick), [Action::StartProbe]);
            assert_eq!(monitor.step(now, good()), [], "{now:?}");
        }
        assert_eq!(monitor.step(at(183), Input::Tick), [Action::StartProbe]);
        assert_eq!(monitor.step(at(183), good()), up(State::Down));
    }

    #[test]
    fn a_server_that_was_up_leaves_with_the_third_failure_and_not_with_the_first() {
        let thresholds = Thresholds { up: 18, down: 3 };
        let mut monitor = Monitor::new(at(0), Rules { was: State::Up, thresholds, ..rules() }, 0);
        for seconds in [0, 10] {
            monitor.step(at(seconds), Input::Tick);
            assert_eq!(monitor.step(at(seconds), bad()), []);
        }
        monitor.step(at(20), Input::Tick);
        assert_eq!(monitor.step(at(20), bad()), down(State::Up));
    }

    #[test]
    fn a_known_state_is_told_once_as_soon_as_a_probe_agrees() {
        let confirmed = Action::Up { transition: None, reason: Success::Connected, took: TOOK };
        let mut monitor = Monitor::new(at(0), Rules { was: State::Up, ..rules() }, 0);
        for (seconds, told) in [(0, vec![confirmed]), (10, vec![])] {
            monitor.step(at(seconds), Input::Tick);
            assert_eq!(monitor.step(at(seconds), good()), told);
        }
        let confirmed = Action::Down { transition: None, reason: refused(), took: TOOK };
        let mut monitor = Monitor::new(at(0), Rules { was: State::Down, ..rules() }, 0);
        for (seconds, told) in [(0, vec![confirmed]), (10, vec![])] {
            monitor.step(at(seconds), Input::Tick);
            assert_eq!(monitor.step(at(seconds), bad()), told);
        }
    }

    #[test]
    fn a_check_that_is_asked_for_ends_the_wait_of_a_server_that_was_down() {
        let mut monitor = Monitor::new(at(0), Rules { was: State::Down, ..rules() }, 0);
        assert_eq!(monitor.step(at(1), Input::CheckNow), [Action::StartProbe]);
        assert_eq!(monitor.step(at(1), good()), up(State::Down));
    }

    #[test]
    fn the_second_probe_comes_after_the_phase_and_all_others_after_the_interval() {
        let mut monitor = Monitor::new(at(0), Rules { phase: s(3), ..rules() }, 0);
        for (now, next) in [(0, 3), (3, 13), (13, 23)] {
            assert_eq!(monitor.step(at(now), Input::Tick), [Action::StartProbe]);
            monitor.step(at(now), good());
            assert_eq!(monitor.deadline(), Some(at(next)));
        }
    }

    #[test]
    fn while_probes_fail_they_come_after_the_failing_interval() {
        let failing = Rules { failing_interval: s(2), phase: s(5), ..rules() };
        let mut monitor = Monitor::new(at(0), failing, 0);
        // The phase is half of the interval, so the second probe comes after half of the failing one.
        for (now, outcome, next) in [(0, bad(), 1), (1, bad(), 3), (3, good(), 13), (13, bad(), 15)] {
            assert_eq!(monitor.step(at(now), Input::Tick), [Action::StartProbe]);
            monitor.step(at(now), outcome);
            assert_eq!(monitor.deadline(), Some(at(next)));
        }
    }

    #[test]
    fn a_faster_interval_while_failing_leaves_the_re_entry_time_as_it_is() {
        let mut monitor = Monitor::new(at(0), Rules { failing_interval: s(1), ..rules() }, 0);
        monitor.step(at(0), Input::Tick);
        assert_eq!(monitor.step(at(0), bad()), down(State::Unknown));
        let mut now = at(0);
        let mut actions = Vec::new();
        while actions.is_empty() {
            now = monitor.deadline().unwrap();
            monitor.step(now, Input::Tick);
            actions = monitor.step(now, good());
        }
        // The first good one comes after a second, seventeen more are ten seconds apart: 180 s as ever, less the wait before.
        assert_eq!((now, actions), (at(1 + 170), up(State::Down)));
    }

    #[test]
    fn intervals_differ_by_the_jitter_and_for_each_seed() {
        let pauses = |seed| {
            let mut monitor = Monitor::new(at(0), Rules { jitter: 10, ..rules() }, seed);
            let mut now = at(0);
            let pause = |_| {
                monitor.step(now, Input::Tick);
                monitor.step(now, good());
                let pause = monitor.deadline().unwrap().since(now);
                now = now + pause;
                pause
            };
            (0..20).map(pause).collect::<Vec<_>>()
        };
        let first = pauses(1);
        assert_eq!(first[0], s(10), "the second probe comes after the phase");
        assert!(first.iter().all(|pause| (s(9)..=s(11)).contains(pause)), "{first:?}");
        assert!(first[1..].windows(2).all(|two| two[0] != two[1]));
        assert_ne!(first, pauses(2));
    }

    /// How long a server with these rules is up and down in turn, if it fails whenever it has been up for 20 s.
    fn flaps(rules: Rules, count: usize) -> Vec<u64> {
        let (mut monitor, mut now, mut since, mut times) =
            (Monitor::new(at(0), rules, 0), at(0), at(0), Vec::new());
        while times.len() < count {
            monitor.step(now, Input::Tick);
            let has_failed = monitor.state() == State::Up && now.since(since) >= s(20);
            let actions = monitor.step(now, if has_failed { bad() } else { good() });
            if !actions.is_empty() {
                times.push(now.since(since).as_secs());
                since = now;
            }
            now = monitor.deadline().unwrap();
        }
        times
    }

    #[test]
    fn a_flapping_server_is_kept_out_longer_and_longer_and_no_longer_than_the_time() {
        let thresholds = Thresholds { up: 1, down: 1 };
        let usual = Rules { thresholds, ..rules() };
        assert_eq!(flaps(usual, 7), [0, 20, 10, 20, 10, 20, 10]);
        let damping = Some(Damping { times: 2, within: s(300) });
        let damped = flaps(Rules { damping, ..usual }, 40);
        assert_eq!(damped[..13], [0, 20, 10, 20, 10, 20, 20, 20, 40, 20, 80, 20, 160]);
        assert!(damped.iter().all(|time| *time <= 300), "{damped:?}");
    }

    #[test]
    fn a_server_that_is_held_says_so_and_a_check_that_is_asked_for_ends_it() {
        let damping = Some(Damping { times: 1, within: s(600) });
        let thresholds = Thresholds { up: 2, down: 1 };
        let mut monitor = Monitor::new(at(0), Rules { damping, thresholds, ..rules() }, 0);
        let mut now = at(0);
        let mut probe = |monitor: &mut Monitor, outcome| {
            monitor.step(now, Input::Tick);
            let actions = monitor.step(now, outcome);
            now = now + s(10);
            actions
        };
        probe(&mut monitor, good());
        assert_eq!(probe(&mut monitor, bad()), down(State::Up));
        probe(&mut monitor, good());
        assert_eq!(probe(&mut monitor, good()), up(State::Down));
        let [Action::Down { reason, .. }] = &probe(&mut monitor, bad())[..] else { panic!("not down") };
        let text =
            "flapping, down 2 times within 10m, so back only after 40s of good probes: connection refused";
        assert_eq!(reason.to_string(), text);
        for _ in 0..3 {
            assert_eq!(probe(&mut monitor, good()), []);
        }
        assert_eq!(monitor.step(at(49), Input::CheckNow), [Action::StartProbe]);
        assert_eq!(monitor.step(at(49), good()), up(State::Down));
    }

    #[test]
    fn a_failover_monitor_ends_only_with_the_failure_that_takes_the_service_down() {
        let thresholds = Thresholds { up: 1, down: 2 };
        let mut monitor = Monitor::new(at(0), Rules { failover: true, thresholds, ..rules() }, 0);
        let mut probe = |seconds, outcome| {
            monitor.step(at(seconds), Input::Tick);
            monitor.step(at(seconds), outcome)
        };
        probe(0, good());
        assert_eq!(probe(10, bad()), []);
        assert_eq!(probe(20, bad())[1..], [Action::Exit(0)]);
    }

    #[test]
    fn an_override_stops_the_probe_and_lasts_until_a_check_is_asked_for() {
        let mut monitor = Monitor::new(at(0), rules(), 0);
        monitor.step(at(0), Input::Tick);
        let forced_down = |transition| Action::Down { transition, reason: Failure::Forced, took: s(0) };
        let from_unknown = Some(Transition { from: State::Unknown, to: State::Down });
        assert_eq!(monitor.step(at(1), Input::ForceDown), [Action::StopProbe, forced_down(from_unknown)]);
        assert_eq!(monitor.step(at(1), Input::ForceDown), [forced_down(None)]);
        assert_eq!((monitor.deadline(), monitor.step(at(99), Input::Tick)), (None, vec![]));
        let transition = Some(Transition { from: State::Down, to: State::Up });
        let forced_up = Action::Up { transition, reason: Success::Forced, took: s(0) };
        assert_eq!(monitor.step(at(100), Input::ForceUp), [forced_up]);
        assert_eq!(monitor.step(at(101), Input::CheckNow), [Action::StartProbe]);
        assert_eq!(monitor.step(at(101), bad()), down(State::Up));
        assert_eq!(monitor.step(at(102), Input::CheckNow), [Action::StartProbe]);
        assert_eq!(monitor.step(at(102), good()), up(State::Down));
    }

    #[test]
    fn what_this_machine_cannot_do_changes_nothing_and_is_told_once() {
        let mut monitor = Monitor::new(at(0), rules(), 0);
        monitor.step(at(0), Input::Tick);
        monitor.step(at(0), good());
        let fault = Fault { doing: "connect", errno: Errno::EMFILE };
        let unknown = || Input::Probed { verdict: Verdict::Unknown(fault), took: TOOK };
        monitor.step(at(10), Input::Tick);
        assert_eq!(monitor.step(at(10), unknown()), [Action::CannotProbe(fault)]);
        monitor.step(at(20), Input::Tick);
        assert_eq!(monitor.step(at(20), unknown()), []);
        assert_eq!((monitor.state(), monitor.deadline()), (State::Up, Some(at(30))));
        monitor.step(at(30), Input::Tick);
        assert_eq!(monitor.step(at(30), bad()), down(State::Up));
    }

    #[test]
    fn a_failover_monitor_speaks_by_ending() {
        let failover = Rules { failover: true, thresholds: Thresholds { up: 1, down: 1 }, ..rules() };
        let mut monitor = Monitor::new(at(0), failover, 0);
        monitor.step(at(0), Input::Tick);
        assert_eq!(monitor.step(at(0), bad()), down(State::Unknown));
        monitor.step(at(10), Input::Tick);
        assert_eq!(monitor.step(at(10), bad()), [Action::Exit(1)]);

        let mut monitor = Monitor::new(at(0), failover, 0);
        monitor.step(at(0), Input::Tick);
        monitor.step(at(0), bad());
        monitor.step(at(10), Input::Tick);
        assert_eq!(monitor.step(at(10), good()), up(State::Down));
        monitor.step(at(20), Input::Tick);
        let mut last = down(State::Up);
        last.push(Action::Exit(0));
        assert_eq!(monitor.step(at(20), bad()), last);
    }

    #[test]
    fn the_weight_follows_the_load_every_twenty_seconds() {
        let mut monitor = Monitor::new(at(0), Rules { measure_every: Some(LOAD_PERIOD), ..rules() }, 0);
        let mut probe = |now: u64, input: Input| {
            monitor.step(at(now), Input::Tick);
            let actions = monitor.step(at(now), input);
            let loads = if actions == [Action::Measure] { Some(0.0) } else { None };
            (
                actions.len(),
                loads.map(|load| monitor.step(at(now + 1), Input::Measured(Some(Measured::Load(load))))),
            )
        };
        assert_eq!(probe(0, good()), (1, None));
        assert_eq!(probe(10, good()), (0, None));
        assert_eq!(
            probe(20, good()),
            (1, Some(vec![Action::Weight(Change { weight: 150, reason: "load 0.00".into() })]))
        );
        assert_eq!(probe(30, good()), (0, None));
        assert_eq!(
            probe(40, good()),
            (1, Some(vec![Action::Weight(Change { weight: 200, reason: "load 0.00".into() })]))
        );
        assert_eq!(probe(50, bad()), (1, None));
        assert_eq!(
            monitor.step(at(51), Input::Measured(Some(Measured::Load(0.0)))),
            [],
            "a server that is down has no weight"
        );
    }

    fn agent(line: &str) -> Input {
        Input::Measured(Advice::parse(line.as_bytes()).map(Measured::Advice))
    }

    fn weight(weight: u16, reason: &str) -> Action {
        Action::Weight(Change { weight, reason: reason.into() })
    }

    #[test]
    fn an_agent_that_objects_takes_a_good_server_down_and_lets_it_back_at_once() {
        let mut monitor = Monitor::new(at(0), Rules { measure_every: Some(s(10)), ..rules() }, 0);
        let mut probe = |seconds, outcome| {
            monitor.step(at(seconds), Input::Tick);
            monitor.step(at(seconds), outcome)
        };
        assert_eq!(probe(0, good()), up(State::Unknown));
        assert_eq!(probe(10, good()), [Action::Measure]);
        let transition = Some(Transition { from: State::Up, to: State::Down });
        let reason = Failure::Advised("agent says maint".into());
        let objected = Action::Down { transition, reason, took: s(0) };
        assert_eq!(monitor.step(at(10), agent("maint")), [objected]);
        let mut probe = |seconds, outcome| {
            monitor.step(at(seconds), Input::Tick);
            monitor.step(at(seconds), outcome)
        };
        // It is asked on, and its silence changes nothing.
        assert_eq!(probe(20, good()), [Action::Measure]);
        assert_eq!(monitor.step(at(20), Input::Measured(None)), []);
        monitor.step(at(30), Input::Tick);
        assert_eq!(monitor.step(at(30), good()), [Action::Measure]);
        let transition = Some(Transition { from: State::Down, to: State::Up });
        let back = Action::Up { transition, reason: Success::Advised, took: s(0) };
        assert_eq!(monitor.step(at(30), agent("ready 50%")), [back, weight(50, "agent says 50%")]);
    }

    #[test]
    fn a_server_that_fails_while_its_agent_objects_is_down_for_both_reasons() {
        let mut monitor = Monitor::new(at(0), Rules { measure_every: Some(s(10)), ..rules() }, 0);
        for seconds in [0, 10] {
            monitor.step(at(seconds), Input::Tick);
            monitor.step(at(seconds), good());
        }
        assert_eq!(monitor.step(at(10), agent("down")).len(), 1);
        monitor.step(at(20), Input::Tick);
        assert_eq!(monitor.step(at(20), bad()), []);
        assert_eq!(monitor.step(at(21), agent("up")), []);
        assert_eq!(monitor.state(), State::Down);
        assert_eq!(monitor.step(at(22), Input::CheckNow), [Action::StartProbe]);
        assert_eq!(monitor.step(at(22), good()), up(State::Down));
    }

    #[test]
    fn a_probe_that_warns_takes_a_part_of_the_weight_and_the_next_good_one_gives_it_back() {
        let mut monitor = Monitor::new(at(0), rules(), 0);
        let warned = || {
            let reason = Success::ProgramWarned { percent: 40 };
            Input::Probed { verdict: Verdict::Healthy(reason), took: TOOK }
        };
        let mut probe = |seconds, outcome| {
            monitor.step(at(seconds), Input::Tick);
            monitor.step(at(seconds), outcome)
        };
        let transition = Some(Transition { from: State::Unknown, to: State::Up });
        let reason = Success::ProgramWarned { percent: 40 };
        let up = Action::Up { transition, reason, took: TOOK };
        assert_eq!(probe(0, warned()), [up, weight(40, "check leaves 40%")]);
        assert_eq!(probe(10, warned()), []);
        assert_eq!(probe(20, good()), [weight(100, "check leaves 100%")]);
    }

    #[derive(Debug, Clone, Copy)]
    enum Happening {
        Second,
        Good,
        Bad,
        Fault,
        Now,
        Down,
        Up,
    }

    fn happening() -> impl Strategy<Value = Happening> {
        use Happening::{Bad, Down, Fault, Good, Now, Second, Up};
        prop::sample::select(vec![Second, Second, Second, Good, Good, Bad, Fault, Now, Down, Up])
    }

    proptest! {
        #[test]
        fn one_probe_at_a_time_and_one_report_for_each_change(
            was in prop::sample::select(vec![State::Unknown, State::Down, State::Up]),
            phase in 0u64..=2,
            settling in 0u64..20,
            (up, down) in (1u32..=3, 1u32..=2),
            (failing, jitter, damped) in (1u64..=2, 0u8..=50, any::<bool>()),
            events in prop::collection::vec(happening(), 0..200),
        ) {
            let thresholds = Thresholds { up, down };
            let (phase, settling) = (s(phase), s(settling));
            let damping = Some(Damping { times: 1, within: s(20) }).filter(|_| damped);
            let failing_interval = s(failing);
            let rules =
                Rules { interval: s(2), failing_interval, jitter, damping, phase, thresholds, was, settling, ..rules() };
            let (mut monitor, mut now) = (Monitor::new(at(0), rules, 0), at(0));
            let (mut probing, mut told) = (false, was);
            let (mut untold, mut settled) = (was != State::Unknown, at(0));
            if was == State::Down {
                settled = at(0) + settling;
            }
            for event in events {
                let fault = Fault { doing: "connect", errno: Errno::EMFILE };
                let input = match event {
                    Happening::Second => Input::Tick,
                    Happening::Good => good(),
                    Happening::Bad => bad(),
                    Happening::Fault => Input::Probed { verdict: Verdict::Unknown(fault), took: TOOK },
                    Happening::Now => Input::CheckNow,
                    Happening::Down => Input::ForceDown,
                    Happening::Up => Input::ForceUp,
                };
                if input == Input::Tick {
                    now = now + s(1);
                }
                let ends_probe = matches!(input, Input::Probed { .. });
                if ends_probe && !probing {
                    prop_assert_eq!(monitor.step(now, input), []);
                    continue;
                }
                probing &= !ends_probe;
                if input == Input::CheckNow {
                    settled = now;
                }
                for action in monitor.step(now, input) {
                    match action {
                        Action::StartProbe => {
                            prop_assert!(!probing);
                            probing = true;
                        }
                        Action::StopProbe => {
                            prop_assert!(probing);
                            probing = false;
                        }
                        Action::Up { transition, reason, .. } => {
                            let forced = reason == Success::Forced;
                            prop_assert_eq!(transition, changed(told, State::Up));
                            prop_assert!(forced || untold || transition.is_some());
                            prop_assert!(forced || told != State::Down || now >= settled);
                            (told, untold) = (State::Up, false);
                        }
                        Action::Down { transition, reason, .. } => {
                            prop_assert_eq!(transition, changed(told, State::Down));
                            prop_assert!(reason == Failure::Forced || untold || transition.is_some());
                            (told, untold) = (State::Down, false);
                        }
                        // Ticks come by the second here, whenever a probe is due.
                        Action::CannotProbe(_) | Action::Late(_) => {}
                        other => prop_assert!(false, "{:?}", other),
                    }
                }
                prop_assert_eq!(monitor.state(), told);
                prop_assert!(monitor.deadline().is_none_or(|deadline| !probing && deadline <= now + s(3)));
            }
        }
    }

    fn changed(from: State, to: State) -> Option<Transition> {
        (from != to).then_some(Transition { from, to })
    }
}
