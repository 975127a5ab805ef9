//! Whether a virtual server has enough real servers, so that its sorry server need not stand in.
//!
//! Counted is the weight of the real servers that take connections. With `quorum = W` and `quorum_hysteresis = H`:
//!
//! | state | below W − H | from W − H to W + H | W + H and more |
//! | --- | --- | --- | --- |
//! | undecided (first checks) | **lost**, once nobody is waited for | **held**, once nobody is waited for | **held** |
//! | held | **lost**, once nobody is waited for | – | – |
//! | lost | – | – | **held** |
//!
//! So a start gives the benefit of the doubt, and a service found in the kernel at start goes on as it was found. What
//! was found or assumed is told as soon as the service's checks confirm it. What a lost quorum makes of the table is
//! decided in [`crate::desired`].

use std::collections::HashMap;

use daemonkit::clock::Mono;
use ipvsadm::ServiceId;
use lvs_config::model::Quorum as Rule;

use crate::tally::Tally;

/// Where a virtual server stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum State {
    /// Its first checks are under way.
    #[default]
    Undecided,
    /// Enough real servers.
    Held,
    /// Too few.
    Lost,
}

/// The quorum of one virtual server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Quorum {
    state: State,
    since: Mono,
    /// What was last counted.
    tally: Tally,
    /// Whether the state has been told, and not only found or assumed.
    told: bool,
}

impl Quorum {
    fn new(now: Mono, state: State) -> Self {
        Self { state, since: now, tally: Tally::default(), told: false }
    }

    /// The state.
    pub(super) fn state(&self) -> State {
        self.state
    }

    /// Since when.
    pub(super) fn since(&self) -> Mono {
        self.since
    }

    /// What was last counted.
    pub(super) fn tally(&self) -> Tally {
        self.tally
    }

    /// Takes a new count. `checked` is whether a check of this service has decided anything yet. Returns the state when
    /// it is to be told: never twice the same in a row.
    fn judge(&mut self, now: Mono, rule: Rule, tally: Tally, checked: bool) -> Option<State> {
        self.tally = tally;
        let before = self.state;
        self.state = match before {
            State::Undecided | State::Lost if tally.gains(rule) => State::Held,
            State::Undecided | State::Held if tally.loses(rule) => State::Lost,
            State::Undecided if !tally.awaited => State::Held,
            _ => before,
        };
        if self.state != before {
            self.since = now;
            self.told = false;
        }
        let is_news = !self.told && checked && self.state != State::Undecided;
        self.told |= is_news;
        is_news.then_some(self.state)
    }
}

/// The quorums of all virtual servers.
#[derive(Debug, Clone, Default)]
pub(super) struct Quorums(HashMap<ServiceId, Quorum>);

impl Quorums {
    /// The service is in the kernel already, with or without its sorry server serving, and goes on like that.
    pub(super) fn found(&mut self, now: Mono, service: ServiceId, sorry: bool) {
        let state = if sorry { State::Lost } else { State::Held };
        self.0.entry(service).or_insert_with(|| Quorum::new(now, state));
    }

    /// Takes a new count of a service's real servers; see [`Quorum::judge`]. Returns where it stands and whether that is
    /// news.
    pub(super) fn judge(
        &mut self,
        now: Mono,
        service: ServiceId,
        rule: Rule,
        tally: Tally,
        checked: bool,
    ) -> (State, bool) {
        let quorum = self.0.entry(service).or_insert_with(|| Quorum::new(now, State::Undecided));
        let news = quorum.judge(now, rule, tally, checked);
        (quorum.state, news.is_some())
    }

    /// Whether a service has its quorum.
    pub(super) fn is_held(&self, service: &ServiceId) -> bool {
        self.of(service).is_some_and(|quorum| quorum.state == State::Held)
    }

    /// What is known of a service.
    pub(super) fn of(&self, service: &ServiceId) -> Option<&Quorum> {
        self.0.get(service)
    }

    /// Forgets services that nobody wants any more.
    pub(super) fn retain(&mut self, is_wanted: impl Fn(&ServiceId) -> bool) {
        self.0.retain(|service, _| is_wanted(service));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::tally::{gained_from, lost_below};

    const DEFAULT: Rule = Rule { weight: 1, hysteresis: 0 };
    const FOUR_AND_ONE: Rule = Rule { weight: 4, hysteresis: 1 };

    fn tally(weight: u64) -> Tally {
        Tally { weight, ..Tally::default() }
    }

    fn awaited(weight: u64) -> Tally {
        Tally { awaited: true, ..tally(weight) }
    }

    /// What the counts lead to one after the other: `H`eld, `L`ost, undecided `?`; followed by `!` when it is told.
    fn story(mut quorum: Quorum, rule: Rule, tallies: &[Tally]) -> String {
        let states = tallies.iter().map(|tally| {
            let news = quorum.judge(Mono::ZERO, rule, *tally, true);
            let letter = match quorum.state {
                State::Undecided => "?",
                State::Held => "H",
                State::Lost => "L",
            };
            format!("{letter}{}", if news.is_some() { "!" } else { "" })
        });
        states.collect()
    }

    fn undecided() -> Quorum {
        Quorum::new(Mono::ZERO, State::Undecided)
    }

    #[test]
    fn it_is_lost_below_and_regained_above_the_band() {
        let counts = [5, 4, 3, 2, 3, 4, 5, 3].map(tally);
        assert_eq!(story(undecided(), FOUR_AND_ONE, &counts), "H!HHL!LLH!H");
    }

    #[test]
    fn the_default_is_lost_with_the_last_server_and_regained_with_the_first() {
        assert_eq!(story(undecided(), DEFAULT, &[1, 2, 1, 0, 0, 1].map(tally)), "H!HHL!LH!");
    }

    #[test]
    fn a_start_is_decided_by_enough_servers_or_when_nobody_is_waited_for() {
        assert_eq!(story(undecided(), FOUR_AND_ONE, &[awaited(0), awaited(4), awaited(5)]), "??H!");
        assert_eq!(story(undecided(), FOUR_AND_ONE, &[awaited(4), tally(3)]), "?H!");
        assert_eq!(story(undecided(), FOUR_AND_ONE, &[awaited(4), tally(2)]), "?L!");
    }

    #[test]
    fn it_is_not_lost_while_first_checks_are_waited_for() {
        assert_eq!(story(undecided(), DEFAULT, &[tally(1), awaited(0), tally(0)]), "H!HL!");
    }

    #[test]
    fn what_was_found_goes_on_and_is_told_when_a_check_confirms_it() {
        let mut found = Quorums::default();
        let service = ServiceId::tcp("10.1.0.100:80".parse().unwrap());
        let rule = FOUR_AND_ONE;
        found.found(Mono::ZERO, service, true);
        found.found(Mono::ZERO, service, false);
        assert_eq!(found.judge(Mono::ZERO, service, rule, tally(4), false), (State::Lost, false));
        assert_eq!(found.judge(Mono::ZERO, service, rule, tally(4), true), (State::Lost, true));
        assert_eq!(found.judge(Mono::ZERO, service, rule, tally(4), true), (State::Lost, false));
        assert_eq!(found.judge(Mono::from_millis(9), service, rule, tally(5), true), (State::Held, true));
        assert_eq!(found.of(&service).unwrap().since(), Mono::from_millis(9));
        found.retain(|_| false);
        assert_eq!(found.of(&service), None);
    }

    #[test]
    fn a_state_that_passed_before_any_check_is_never_told() {
        let mut quorum = undecided();
        assert_eq!(quorum.judge(Mono::ZERO, DEFAULT, tally(0), false), None);
        assert_eq!(quorum.state(), State::Lost);
        assert_eq!(quorum.judge(Mono::ZERO, DEFAULT, tally(1), true), Some(State::Held));
    }

    proptest! {
        #[test]
        fn telling_alternates_and_the_band_changes_nothing(
            weight in 1u32..9,
            below in 0u32..9,
            counts in prop::collection::vec(0u64..20, 1..40),
        ) {
            let rule = Rule { weight, hysteresis: below % weight };
            let (mut quorum, mut told) = (undecided(), None);
            for count in counts {
                let before = quorum.state;
                let news = quorum.judge(Mono::ZERO, rule, tally(count), true);
                if let Some(news) = news {
                    prop_assert_ne!(told.replace(news), Some(news));
                }
                if count < lost_below(rule) {
                    prop_assert_eq!(quorum.state, State::Lost);
                } else if count >= gained_from(rule) {
                    prop_assert_eq!(quorum.state, State::Held);
                } else if before != State::Undecided {
                    prop_assert_eq!(quorum.state, before);
                }
            }
        }
    }
}
