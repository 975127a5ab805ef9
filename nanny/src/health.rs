//! When verdicts make a server up or down. No clock: probes are counted.
//!
//! [`Thresholds`] says how many probes in a row it takes: `up` is the greater of `rise` and the re-entry time divided by
//! the interval, rounded down; `down` is `fall`.
//!
//! | state | good probe | bad probe |
//! | --- | --- | --- |
//! | unknown (start) | **up**, at once | **down**, at once |
//! | down | **up** when this is the `up`-th good probe in a row (or the first, for a threshold below 2) | counting begins anew |
//! | up | counting begins anew | **down** when this is the `down`-th bad probe in a row |
//!
//! A monitor that takes over from another goes on from the state that it is told: then the first probe decides nothing
//! alone.
//!
//! `hold` raises the `up` of the next time that the server comes back, and only of that.
//!
//! `recheck` ends the wait for re-entry: the next good probe brings the server up. `force` sets the state; after a
//! forced "down" re-entry applies.

use std::time::Duration;

/// What is known of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum State {
    /// Nothing yet.
    #[default]
    Unknown,
    /// Not to be used.
    Down,
    /// To be used.
    Up,
}

impl State {
    /// The state's name in log lines.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Down => "down",
            Self::Up => "up",
        }
    }
}

/// A change of state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transition {
    /// The state before.
    pub from: State,
    /// The state from now on.
    pub to: State,
}

/// How many probes in a row change the state. Zero is as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Thresholds {
    /// Good ones that bring a server back after a failure.
    pub up: u32,
    /// Bad ones that take down a server that is up.
    pub down: u32,
}

impl Thresholds {
    /// What the options mean together: a server comes back when it has answered well for `reentry`, and `rise` times.
    #[must_use]
    pub fn new(reentry: Duration, interval: Duration, rise: u32, fall: u32) -> Self {
        let whole = reentry.as_nanos().checked_div(interval.as_nanos()).unwrap_or(0);
        Self { up: u32::try_from(whole).unwrap_or(u32::MAX).max(rise), down: fall }
    }
}

/// One server's health.
#[derive(Debug, Clone)]
pub struct Health {
    state: State,
    thresholds: Thresholds,
    /// Good probes that it takes this time.
    needed: u32,
    good_in_a_row: u32,
    bad_in_a_row: u32,
}

impl Health {
    /// Nothing is known yet, and the first probe decides.
    #[must_use]
    pub fn new(thresholds: Thresholds) -> Self {
        let up = thresholds.up;
        Self { state: State::Unknown, thresholds, needed: up, good_in_a_row: up, bad_in_a_row: 0 }
    }

    /// `state` is known already. Nothing is known of the probes that led to it, so the counts begin anew.
    #[must_use]
    pub fn going_on(thresholds: Thresholds, state: State) -> Self {
        match state {
            State::Unknown => Self::new(thresholds),
            State::Down | State::Up => Self { state, good_in_a_row: 0, ..Self::new(thresholds) },
        }
    }

    /// What is known now.
    #[must_use]
    pub fn state(&self) -> State {
        self.state
    }

    /// Takes a probe's outcome into account, and returns the transition if there is one.
    pub fn probed(&mut self, healthy: bool) -> Option<Transition> {
        if healthy {
            self.bad_in_a_row = 0;
            self.good_in_a_row = self.good_in_a_row.saturating_add(1);
            return if self.good_in_a_row >= self.needed { self.change(State::Up) } else { None };
        }
        self.good_in_a_row = 0;
        self.bad_in_a_row = self.bad_in_a_row.saturating_add(1);
        let is_enough = self.state != State::Up || self.bad_in_a_row >= self.thresholds.down;
        if is_enough { self.change(State::Down) } else { None }
    }

    /// Lets so many good probes bring back the server that is down, if they are more than usual.
    pub fn hold(&mut self, probes: u32) {
        self.needed = probes.max(self.thresholds.up);
    }

    /// Lets the next good probe bring the server up.
    pub fn recheck(&mut self) {
        self.needed = self.thresholds.up;
        self.good_in_a_row = self.thresholds.up;
    }

    /// Sets the state, whatever the probes said.
    pub fn force(&mut self, up: bool) -> Option<Transition> {
        self.good_in_a_row = 0;
        self.bad_in_a_row = 0;
        self.change(if up { State::Up } else { State::Down })
    }

    fn change(&mut self, to: State) -> Option<Transition> {
        let from = std::mem::replace(&mut self.state, to);
        if to == State::Up {
            self.needed = self.thresholds.up;
        }
        (from != to).then_some(Transition { from, to })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn goes(from: State, to: State) -> Option<Transition> {
        Some(Transition { from, to })
    }

    /// One bad probe takes a server down, and this many good ones bring it back.
    fn back_after(up: u32) -> Health {
        Health::new(Thresholds { up, down: 1 })
    }

    /// What a row of probes does, one letter each: `g`ood or `b`ad in; `U`p, `D`own or `.` for no change out.
    fn story(health: &mut Health, probes: &str) -> String {
        let outcomes = probes.chars().map(|probe| match health.probed(probe == 'g') {
            Some(Transition { to: State::Up, .. }) => 'U',
            Some(Transition { to: State::Down, .. }) => 'D',
            _ => '.',
        });
        outcomes.collect()
    }

    #[test]
    fn the_threshold_is_reentry_by_interval_rounded_down_and_at_least_rise() {
        let up = |reentry, interval, rise| Thresholds::new(reentry, interval, rise, 1).up;
        for (reentry, interval, expected) in [(180, 10, 18), (180, 7, 25), (5, 10, 1), (1, 0, 1)] {
            assert_eq!(up(reentry * SECOND, interval * SECOND, 1), expected);
        }
        assert_eq!(up(SECOND, Duration::from_millis(300), 1), 3);
        assert_eq!(up(SECOND, Duration::from_millis(300), 4), 4);
        assert_eq!(up(Duration::from_secs(3_000_000_000), Duration::from_millis(1), 100), u32::MAX);
        assert_eq!(Thresholds::new(SECOND, SECOND, 2, 7).down, 7);
    }

    #[test]
    fn the_first_probe_after_start_decides_alone() {
        let thresholds = Thresholds { up: 18, down: 5 };
        assert_eq!(story(&mut Health::new(thresholds), "gg"), "U.");
        assert_eq!(story(&mut Health::new(thresholds), "bb"), "D.");
    }

    #[test]
    fn with_a_known_state_the_first_probe_decides_nothing_alone() {
        let thresholds = Thresholds { up: 3, down: 3 };
        let going_on = |state| Health::going_on(thresholds, state);
        assert_eq!(story(&mut going_on(State::Down), "gggg"), "..U.");
        assert_eq!(story(&mut going_on(State::Down), "bggg"), "...U");
        assert_eq!(story(&mut going_on(State::Up), "bbgbbb"), ".....D");
        assert_eq!(story(&mut going_on(State::Unknown), "g"), "U");
        assert_eq!(story(&mut going_on(State::Unknown), "b"), "D");
    }

    #[test]
    fn one_failure_takes_it_down_and_eighteen_good_probes_bring_it_back() {
        let mut health = Health::new(Thresholds::new(180 * SECOND, 10 * SECOND, 1, 1));
        assert_eq!(story(&mut health, "gb"), "UD");
        assert_eq!(story(&mut health, &"g".repeat(18)), format!("{}U", ".".repeat(17)));
    }

    #[test]
    fn fall_takes_a_server_down_with_so_many_bad_probes_in_a_row_and_not_before() {
        let mut health = Health::new(Thresholds::new(SECOND, SECOND, 1, 3));
        assert_eq!(story(&mut health, "gbbgbgbbgbbbb"), "U..........D.");
    }

    #[test]
    fn rise_brings_it_back_with_so_many_good_probes_in_a_row_and_not_before() {
        let mut health = Health::new(Thresholds::new(SECOND, SECOND, 3, 1));
        assert_eq!(story(&mut health, "gbggbgbgggg"), "UD.......U.");
    }

    #[test]
    fn a_flapping_server_stays_as_it_is_with_rise_and_fall_of_two() {
        let mut health = Health::new(Thresholds::new(SECOND, SECOND, 2, 2));
        assert_eq!(story(&mut health, "gbgbgbgbb"), "U.......D");
        assert_eq!(story(&mut health, "gbgbgbgg"), ".......U");
    }

    #[test]
    fn re_entry_and_rise_both_have_to_be_served() {
        let mut reentry_is_longer = Health::new(Thresholds::new(4 * SECOND, SECOND, 2, 2));
        assert_eq!(story(&mut reentry_is_longer, "bgggg"), "D...U");
        let mut rise_is_longer = Health::new(Thresholds::new(2 * SECOND, SECOND, 4, 2));
        assert_eq!(story(&mut rise_is_longer, "bgggg"), "D...U");
    }

    #[test]
    fn a_failure_during_re_entry_begins_the_count_anew() {
        assert_eq!(story(&mut back_after(3), "bggbggg"), "D.....U");
    }

    #[test]
    fn a_threshold_of_zero_needs_one_good_probe() {
        assert_eq!(story(&mut back_after(0), "bg"), "DU");
    }

    #[test]
    fn a_hold_is_for_one_way_back_and_a_recheck_ends_it() {
        let mut health = back_after(2);
        assert_eq!(story(&mut health, "gb"), "UD");
        health.hold(4);
        assert_eq!(story(&mut health, "ggbggggbgg"), "......UD.U");
        health.force(false);
        health.hold(4);
        health.recheck();
        assert_eq!(story(&mut health, "g"), "U");
    }

    #[test]
    fn a_recheck_skips_the_wait_and_force_sets_the_state() {
        let mut health = back_after(18);
        assert_eq!(health.force(true), goes(State::Unknown, State::Up));
        assert_eq!(health.force(true), None);
        assert_eq!(health.force(false), goes(State::Up, State::Down));
        assert_eq!(health.probed(true), None);
        health.recheck();
        assert_eq!(health.probed(true), goes(State::Down, State::Up));
    }

    #[test]
    fn a_forced_state_forgets_the_failures_before_it() {
        let mut health = Health::new(Thresholds { up: 1, down: 2 });
        assert_eq!(story(&mut health, "gb"), "U.");
        assert_eq!(health.force(true), None);
        assert_eq!(story(&mut health, "bb"), ".D");
    }

    proptest! {
        #[test]
        fn the_state_is_what_the_last_probes_say(
            up in 0u32..5,
            down in 0u32..5,
            probes in prop::collection::vec(any::<bool>(), 1..60),
        ) {
            let mut health = Health::new(Thresholds { up, down });
            let at_least = |count: u32| usize::try_from(count.max(1)).unwrap();
            // The model looks back: only a row that is long enough changes anything, but for the very first probe.
            let mut is_up = probes[0];
            for (at, healthy) in probes.iter().enumerate() {
                health.probed(*healthy);
                let row = probes[..=at].iter().rev().take_while(|probe| *probe == healthy).count();
                if row >= at_least(if *healthy { up } else { down }) {
                    is_up = *healthy;
                }
                prop_assert_eq!(health.state() == State::Up, is_up, "after {} of {:?}", at + 1, probes);
            }
        }
    }
}
