//! When the next round of announcements is due. Pure: it is told the time and never reads a clock.
//!
//! | state          | at the deadline           | next state                                        |
//! |----------------|---------------------------|---------------------------------------------------|
//! | burst, n left  | round of the burst        | burst with n-1 left, due one interval later       |
//! | burst, 1 left  | last round of the burst   | refresh if asked for, else finished               |
//! | refresh        | one round                 | refresh, due one period later, without end        |
//! | finished       | —                         | finished                                          |

use std::time::Duration;

use daemonkit::clock::Mono;

/// What is to be sent now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Round {
    /// Round of the burst, counted from 1.
    Burst(u32),
    /// A repetition after the burst.
    Refresh,
}

/// The rounds still to come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    next: Option<(Mono, Round)>,
    count: u32,
    interval: Duration,
    refresh: Option<Duration>,
}

impl Schedule {
    /// A burst of `count` rounds, the first at `start` and then one every `interval`; afterwards, with `refresh`, one
    /// round every `refresh` for ever. A `count` of zero leaves only the refresh, which then begins at `start`.
    #[must_use]
    pub fn new(start: Mono, count: u32, interval: Duration, refresh: Option<Duration>) -> Self {
        let first = if count > 0 { Some(Round::Burst(1)) } else { refresh.map(|_| Round::Refresh) };
        Schedule { next: first.map(|round| (start, round)), count, interval, refresh }
    }

    /// When to call [`step`](Self::step) next; `None` when no round is left.
    #[must_use]
    pub fn deadline(&self) -> Option<Mono> {
        self.next.map(|(at, _)| at)
    }

    /// The round that is due at `now`, if any. A round that comes late moves the following ones: rounds are never
    /// closer together than the interval, so a stopped machine does not catch up with a storm.
    pub fn step(&mut self, now: Mono) -> Option<Round> {
        let (due, round) = self.next.filter(|&(at, _)| at <= now)?;
        self.next = self.after(round).map(|(wait, round)| {
            let planned = due + wait;
            (if planned > now { planned } else { now + wait }, round)
        });
        Some(round)
    }

    fn after(&self, round: Round) -> Option<(Duration, Round)> {
        match round {
            Round::Burst(number) if number < self.count => Some((self.interval, Round::Burst(number + 1))),
            _ => self.refresh.map(|period| (period, Round::Refresh)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use daemonkit::clock::Mono;

    use super::{Round, Schedule};

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_burst_starts_at_once_keeps_its_pace_and_ends() {
        let start = Mono::ZERO;
        let mut schedule = Schedule::new(start, 3, SECOND, None);
        assert_eq!(schedule.step(start), Some(Round::Burst(1)));
        assert_eq!(schedule.step(start), None, "an early tick does nothing");
        assert_eq!(schedule.deadline(), Some(start + SECOND));
        // 30 ms late does not shift the third round.
        assert_eq!(schedule.step(start + SECOND + Duration::from_millis(30)), Some(Round::Burst(2)));
        assert_eq!(schedule.deadline(), Some(start + SECOND * 2));
        assert_eq!(schedule.step(start + SECOND * 2), Some(Round::Burst(3)));
        assert_eq!(schedule.deadline(), None);
        assert_eq!(schedule.step(start + SECOND * 100), None);
    }

    #[test]
    fn refresh_goes_on_after_the_burst() {
        let start = Mono::ZERO;
        let mut schedule = Schedule::new(start, 1, SECOND, Some(SECOND * 10));
        assert_eq!(schedule.step(start), Some(Round::Burst(1)));
        assert_eq!(schedule.deadline(), Some(start + SECOND * 10));
        assert_eq!(schedule.step(start + SECOND * 10), Some(Round::Refresh));
        assert_eq!(schedule.deadline(), Some(start + SECOND * 20));
    }

    #[test]
    fn refresh_without_burst_starts_at_once() {
        let start = Mono::ZERO;
        let mut schedule = Schedule::new(start, 0, SECOND, Some(SECOND * 10));
        assert_eq!(schedule.step(start), Some(Round::Refresh));
        assert_eq!(Schedule::new(start, 0, SECOND, None).deadline(), None);
    }

    #[test]
    fn a_machine_that_slept_sends_one_round_and_not_all_it_missed() {
        let start = Mono::ZERO;
        let mut schedule = Schedule::new(start, 5, SECOND, None);
        schedule.step(start);
        let woken = start + SECOND * 60;
        assert_eq!(schedule.step(woken), Some(Round::Burst(2)));
        assert_eq!(schedule.step(woken), None);
        assert_eq!(schedule.deadline(), Some(woken + SECOND));
    }
}
