//! Monotonic time as plain data, so that decisions can be tested with numbers.
//!
//! [`Mono::now`] is the only place in the suite that reads the monotonic clock. Wall-clock time is for people, in
//! log lines and snapshots, and decides nothing.

use std::ops::{Add, Sub};
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

/// A moment of `CLOCK_MONOTONIC`, counted from an origin that means nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mono(Duration);

impl Mono {
    /// The origin; tests start here.
    pub const ZERO: Self = Self(Duration::ZERO);

    /// Reads the clock.
    #[must_use]
    pub fn now() -> Self {
        // The clock exists on every Linux and the call takes no pointer of ours, so it cannot fail.
        clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(Self::ZERO, |time| Self(time.into()))
    }

    /// The moment `millis` milliseconds after the origin.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(Duration::from_millis(millis))
    }

    /// How long `earlier` lies back; zero when it lies ahead.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<Duration> for Mono {
    type Output = Self;

    fn add(self, rhs: Duration) -> Self {
        Self(self.0.saturating_add(rhs))
    }
}

impl Sub<Duration> for Mono {
    type Output = Self;

    fn sub(self, rhs: Duration) -> Self {
        Self(self.0.saturating_sub(rhs))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_ahead_is_no_time_ago() {
        assert_eq!(Mono::from_millis(5).since(Mono::from_millis(9)), Duration::ZERO);
        assert_eq!(Mono::from_millis(9).since(Mono::from_millis(5)), Duration::from_millis(4));
    }

    #[test]
    fn the_clock_does_not_run_backwards() {
        let first = Mono::now();
        assert!(Mono::now() >= first);
        assert!(first > Mono::ZERO);
    }
}
