//! Bounded waiting for a condition that nobody announces.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};

/// Pause between two looks: short against every timer of the suite, long against the cost of a look.
const PAUSE: Duration = Duration::from_millis(5);

/// Calls `look` again and again until it answers `Ok`, at most `within`.
///
/// `look` says with `Err` what it saw instead; the last such observation is part of the failure.
///
/// # Errors
/// When the time is up: what was waited for, how long, and the last observation.
pub fn eventually<T>(within: Duration, what: &str, look: impl FnMut() -> Result<T, String>) -> Result<T> {
    eventually_every(PAUSE, within, what, look)
}

/// The same for a look that costs more: with this pause between two of them.
pub(crate) fn eventually_every<T>(
    pause: Duration,
    within: Duration,
    what: &str,
    mut look: impl FnMut() -> Result<T, String>,
) -> Result<T> {
    let deadline = Instant::now() + within;
    loop {
        let seen = match look() {
            Ok(found) => return Ok(found),
            Err(seen) => seen,
        };
        if Instant::now() >= deadline {
            bail!("waited {within:?} for {what}; last seen: {seen}");
        }
        thread::sleep(pause);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_success_ends_the_waiting() {
        let mut looks = 0;
        let found = eventually(Duration::from_secs(10), "the third look", || {
            looks += 1;
            if looks == 3 { Ok(looks) } else { Err(format!("look {looks}")) }
        });
        assert_eq!(found.ok(), Some(3));
    }

    #[test]
    fn the_failure_tells_what_was_seen_last() {
        let failure = eventually(Duration::ZERO, "rain", || Err::<(), _>("sun".to_owned()));
        assert_eq!(failure.unwrap_err().to_string(), "waited 0ns for rain; last seen: sun");
    }
}
