//! How long to wait after a failure: one second, doubling up to a limit.

use std::time::Duration;

/// Wait after the first failure.
pub const FIRST: Duration = Duration::from_secs(1);

/// Counts failures in a row by the wait that the next one causes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    next: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { next: FIRST }
    }
}

impl Backoff {
    /// One more failure: how long to wait, at most `limit`.
    pub fn fail(&mut self, limit: Duration) -> Duration {
        let wait = self.next.min(limit);
        self.next = wait.saturating_mul(2);
        wait
    }

    /// All is well: the next failure is a first one.
    pub fn reset(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_limit_and_begin_anew() {
        let mut backoff = Backoff::default();
        let waits: Vec<u64> = (0..8).map(|_| backoff.fail(Duration::from_secs(60)).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60]);
        backoff.reset();
        assert_eq!(backoff.fail(Duration::from_secs(60)), FIRST);
    }
}
