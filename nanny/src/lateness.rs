//! Counts the probes that begin later than they are due, and says now and then how many. Pure.
//!
//! A late probe is a sign that this machine has too much to do: a dead server is found later than was asked for. A server
//! that answers slowly makes no probe late, because an interval is counted from the end of the probe before.

use std::time::Duration;

use daemonkit::clock::Mono;

/// How late a probe may begin, whatever the interval.
pub const TOLERANCE: Duration = Duration::from_millis(100);
/// Of a short interval no more than this part may pass besides.
const SHARE: u32 = 10;
/// Least time between two messages.
pub const PERIOD: Duration = Duration::from_secs(60);

/// Probes that began late since the last message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Late {
    /// How many; at least 1.
    pub starts: u32,
    /// How late the latest of them was.
    pub worst: Duration,
}

/// What is known of late probes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lateness {
    tolerance: Duration,
    untold: Option<Late>,
    quiet_until: Mono,
}

impl Lateness {
    /// For probes that come once an interval.
    #[must_use]
    pub fn new(interval: Duration) -> Self {
        Self { tolerance: TOLERANCE.min(interval / SHARE), untold: None, quiet_until: Mono::ZERO }
    }

    /// A probe that was due at `due` begins at `now`. Returns what is to be told by now: at once after a quiet
    /// [`PERIOD`], else with the first probe after it.
    pub fn begins(&mut self, due: Mono, now: Mono) -> Option<Late> {
        let by = now.since(due);
        if by > self.tolerance {
            let before = self.untold.unwrap_or(Late { starts: 0, worst: Duration::ZERO });
            self.untold = Some(Late { starts: before.starts.saturating_add(1), worst: before.worst.max(by) });
        }
        if now < self.quiet_until {
            return None;
        }
        let late = self.untold.take()?;
        self.quiet_until = now + PERIOD;
        Some(late)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    /// What is told of a probe that is due at this second and begins so many milliseconds later.
    fn begins(lateness: &mut Lateness, second: u64, by: u64) -> Option<Late> {
        let due = Mono::from_millis(second * 1000);
        lateness.begins(due, due + ms(by))
    }

    #[test]
    fn a_probe_may_be_a_tenth_of_a_second_late_or_a_tenth_of_a_short_interval() {
        let told = |interval, by| begins(&mut Lateness::new(ms(interval)), 7, by);
        assert_eq!(told(10_000, 100), None);
        assert_eq!(told(10_000, 101), Some(Late { starts: 1, worst: ms(101) }));
        assert_eq!(told(200, 20), None);
        assert_eq!(told(200, 21), Some(Late { starts: 1, worst: ms(21) }));
    }

    #[test]
    fn the_first_is_told_at_once_and_the_others_of_a_minute_together_after_it() {
        let mut lateness = Lateness::new(ms(6000));
        assert_eq!(begins(&mut lateness, 0, 5), None);
        assert_eq!(begins(&mut lateness, 6, 250), Some(Late { starts: 1, worst: ms(250) }));
        for second in [12, 18, 24] {
            assert_eq!(begins(&mut lateness, second, 100 * second), None);
        }
        assert_eq!(begins(&mut lateness, 60, 0), None);
        assert_eq!(begins(&mut lateness, 67, 0), Some(Late { starts: 3, worst: ms(2400) }));
        assert_eq!(begins(&mut lateness, 200, 0), None, "nothing new");
    }
}
