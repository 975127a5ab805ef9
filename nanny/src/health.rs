//! When verdicts make a server up or down. No clock: probes are counted.
//!
//! `threshold` is the re-entry time divided by the interval, rounded down.
//!
//! | state | good probe | bad probe |
//! | --- | --- | --- |
//! | unknown (start) | **up**, at once | **down** |
//! | down | **up** when this is the `threshold`-th good probe in a row (or the first, for a threshold below 2) | counting begins anew |
//! | up | – | **down**, at once |
//!
//! `recheck` ends the wait for re-entry: the next good probe brings the server up. `force` sets the state; after a
//! forced "down" re-entry applies.

use std::time::Duration;

/// What is known of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Nothing yet.
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

/// How many good probes in a row bring a server back after a failure.
#[must_use]
pub fn threshold(reentry: Duration, interval: Duration) -> u32 {
    let whole = reentry.as_nanos().checked_div(interval.as_nanos()).unwrap_or(0);
    u32::try_from(whole).unwrap_or(u32::MAX)
}

/// One server's health.
#[derive(Debug, Clone)]
pub struct Health {
    state: State,
    threshold: u32,
    good_in_a_row: u32,
}

impl Health {
    /// Nothing is known yet, and the first good probe will do.
    #[must_use]
    pub fn new(threshold: u32) -> Self {
        Self { state: State::Unknown, threshold, good_in_a_row: threshold }
    }

    /// What is known now.
    #[must_use]
    pub fn state(&self) -> State {
        self.state
    }

    /// Takes a probe's outcome into account, and returns the transition if there is one.
    pub fn probed(&mut self, healthy: bool) -> Option<Transition> {
        if !healthy {
            self.good_in_a_row = 0;
            return self.change(State::Down);
        }
        self.good_in_a_row = self.good_in_a_row.saturating_add(1);
        if self.good_in_a_row >= self.threshold { self.change(State::Up) } else { None }
    }

    /// Lets the next good probe bring the server up.
    pub fn recheck(&mut self) {
        self.good_in_a_row = self.threshold;
    }

    /// Sets the state, whatever the probes said.
    pub fn force(&mut self, up: bool) -> Option<Transition> {
        self.good_in_a_row = 0;
        self.change(if up { State::Up } else { State::Down })
    }

    fn change(&mut self, to: State) -> Option<Transition> {
        let from = std::mem::replace(&mut self.state, to);
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

    #[test]
    fn the_threshold_is_reentry_by_interval_rounded_down() {
        for (reentry, interval, expected) in [(180, 10, 18), (180, 7, 25), (5, 10, 0), (1, 0, 0)] {
            assert_eq!(threshold(reentry * SECOND, interval * SECOND), expected);
        }
        assert_eq!(threshold(SECOND, Duration::from_millis(300)), 3);
        assert_eq!(threshold(Duration::from_secs(3_000_000_000), Duration::from_millis(1)), u32::MAX);
    }

    #[test]
    fn the_first_good_probe_after_start_brings_the_server_up() {
        let mut health = Health::new(18);
        assert_eq!(health.probed(true), goes(State::Unknown, State::Up));
        assert_eq!(health.probed(true), None);
    }

    #[test]
    fn one_failure_takes_it_down_and_eighteen_good_probes_bring_it_back() {
        let mut health = Health::new(threshold(180 * SECOND, 10 * SECOND));
        health.probed(true);
        assert_eq!(health.probed(false), goes(State::Up, State::Down));
        for _ in 0..17 {
            assert_eq!(health.probed(true), None);
        }
        assert_eq!(health.probed(true), goes(State::Down, State::Up));
    }

    #[test]
    fn a_failure_during_re_entry_begins_the_count_anew() {
        let mut health = Health::new(3);
        assert_eq!(health.probed(false), goes(State::Unknown, State::Down));
        let answers = [true, true, false, true, true];
        assert!(answers.into_iter().all(|healthy| health.probed(healthy).is_none()));
        assert_eq!(health.probed(true), goes(State::Down, State::Up));
    }

    #[test]
    fn a_threshold_of_zero_needs_one_good_probe() {
        let mut health = Health::new(0);
        health.probed(false);
        assert_eq!(health.probed(true), goes(State::Down, State::Up));
    }

    #[test]
    fn a_recheck_skips_the_wait_and_force_sets_the_state() {
        let mut health = Health::new(18);
        assert_eq!(health.force(true), goes(State::Unknown, State::Up));
        assert_eq!(health.force(true), None);
        assert_eq!(health.force(false), goes(State::Up, State::Down));
        assert_eq!(health.probed(true), None);
        health.recheck();
        assert_eq!(health.probed(true), goes(State::Down, State::Up));
    }

    proptest! {
        #[test]
        fn the_state_is_what_the_last_probes_say(threshold in 0u32..5, probes in prop::collection::vec(any::<bool>(), 1..40)) {
            let mut health = Health::new(threshold);
            for healthy in &probes {
                health.probed(*healthy);
            }
            let row = probes.iter().rev().take_while(|healthy| **healthy).count();
            let never_failed = row == probes.len();
            // Once up, it stays up as long as the row lasts, so only the row's length counts.
            let up = row > 0 && (never_failed || row >= usize::try_from(threshold).unwrap());
            prop_assert_eq!(health.state() == State::Up, up);
        }
    }
}
