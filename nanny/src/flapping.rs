//! When a server goes down too often, and how long it is kept out for that. No clock: moments come in.
//!
//! ```text
//!  --damping 3/10m, 5 good probes needed to come back:
//!
//!  down for the ...th time within 10 minutes   1  2  3   4   5   6 ...
//!  good probes in a row that bring it back     5  5  5  10  20  40 ... at most 10 minutes of them
//! ```
//!
//! What lies further back than the time is forgotten; so a server that has been up for that long, or has passed its probes
//! for as long as it can be kept out at most, begins anew. Only failures that probes find count, not what an operator
//! orders.

use std::collections::VecDeque;
use std::time::Duration;

use daemonkit::clock::Mono;

/// Most failures that are remembered: more doublings than any time has probes.
const MOST: usize = 256;

/// What is called flapping: to go down more than `times` times `within` a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Damping {
    /// So often is no harm, 1 to 100.
    pub times: u32,
    /// The time that counts, and the longest for which a server is kept out.
    pub within: Duration,
}

/// Why and how long a server is kept out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hold {
    /// How often it went down,
    pub times: u32,
    /// within this time.
    pub within: Duration,
    /// Good probes in a row that bring it back.
    pub probes: u32,
}

/// The failures of one server that count.
#[derive(Debug)]
pub struct Flapping {
    damping: Option<Damping>,
    falls: VecDeque<Mono>,
}

impl Flapping {
    /// Nothing is known of earlier failures. Without `damping` no server is kept out.
    #[must_use]
    pub fn new(damping: Option<Damping>) -> Self {
        Self { damping, falls: VecDeque::new() }
    }

    /// The server has gone down. It would come back with `up` good probes in a row, an `interval` apart.
    pub fn fell(&mut self, now: Mono, up: u32, interval: Duration) -> Option<Hold> {
        let Damping { times, within } = self.damping?;
        self.falls.push_back(now);
        while self.falls.len() > MOST || self.falls.front().is_some_and(|fall| now.since(*fall) > within) {
            self.falls.pop_front();
        }
        let count = u32::try_from(self.falls.len()).unwrap_or(u32::MAX);
        let doubled = count.checked_sub(times).filter(|excess| *excess > 0)?;
        let most = within.as_nanos().checked_div(interval.as_nanos()).unwrap_or(0);
        let wanted = 2u32.checked_pow(doubled).and_then(|factor| up.max(1).checked_mul(factor));
        let probes = wanted.unwrap_or(u32::MAX).min(u32::try_from(most).unwrap_or(u32::MAX));
        (probes > up).then_some(Hold { times: count, within, probes })
    }

    /// Forgets all failures.
    pub fn forget(&mut self) {
        self.falls.clear();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const TEN_MINUTES: Duration = Duration::from_secs(600);

    fn at(seconds: u64) -> Mono {
        Mono::from_millis(seconds * 1000)
    }

    fn flapping(times: u32) -> Flapping {
        Flapping::new(Some(Damping { times, within: TEN_MINUTES }))
    }

    #[test]
    fn each_failure_too_many_doubles_the_probes_up_to_the_time() {
        let mut flapping = flapping(3);
        let probes: Vec<u32> = (0..11)
            .map(|fall| flapping.fell(at(10 * fall), 5, SECOND).map_or(5, |hold| hold.probes))
            .collect();
        assert_eq!(probes, [5, 5, 5, 10, 20, 40, 80, 160, 320, 600, 600]);
    }

    #[test]
    fn failures_that_lie_back_further_than_the_time_are_forgotten() {
        let mut flapping = flapping(2);
        for seconds in [0, 300, 601, 902] {
            assert_eq!(flapping.fell(at(seconds), 1, SECOND), None);
        }
        let hold = Hold { times: 3, within: TEN_MINUTES, probes: 2 };
        assert_eq!(flapping.fell(at(903), 1, SECOND), Some(hold));
        flapping.forget();
        assert_eq!(flapping.fell(at(904), 1, SECOND), None);
    }

    #[test]
    fn a_re_entry_that_is_long_anyway_and_no_damping_hold_nothing() {
        let mut flapping = flapping(1);
        let mut off = Flapping::new(None);
        for fall in 0..600 {
            assert_eq!(flapping.fell(at(fall), 600, SECOND), None);
            assert_eq!(off.fell(at(fall), 1, SECOND), None);
        }
    }

    proptest! {
        #[test]
        fn it_is_held_when_and_only_when_it_fell_too_often_and_never_for_longer_than_the_time(
            times in 1u32..5, up in 0u32..700, falls in prop::collection::vec(0u64..900, 1..400),
        ) {
            let (mut flapping, mut now, mut all) = (flapping(times), 0, Vec::new());
            for after in falls {
                now += after;
                all.push(now);
                let hold = flapping.fell(at(now), up, SECOND);
                let count = all.iter().filter(|fall| now - **fall <= 600).count();
                let is_flapping = count > usize::try_from(times).unwrap();
                prop_assert_eq!(hold.is_some(), is_flapping && up < 600);
                if let Some(hold) = hold {
                    prop_assert!(hold.probes > up && hold.probes <= 600);
                }
                prop_assert!(flapping.falls.len() <= MOST);
            }
        }
    }
}
