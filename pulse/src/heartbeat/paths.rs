//! On which links the other router is heard. A path is silent when nothing came over it for `deadtime`.
//!
//! This is bookkeeping for the log, the status and the election's "all silent"; who serves is not decided here.

use std::time::Duration;

use daemonkit::clock::Mono;

/// A path that became silent or is heard again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// Index of the path.
    pub path: usize,
    /// Whether the other router is heard on it from now on.
    pub heard: bool,
    /// How long the path had been silent until now.
    pub silence: Duration,
}

/// The state of all paths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paths {
    deadtime: Duration,
    paths: Vec<Path>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Path {
    heard: bool,
    last: Mono,
}

impl Paths {
    /// `count` paths that count as heard until `deadtime` after `now`, so that a start is not reported as a loss.
    #[must_use]
    pub fn new(count: usize, deadtime: Duration, now: Mono) -> Self {
        Self { deadtime, paths: vec![Path { heard: true, last: now }; count] }
    }

    /// A heartbeat came in on `path`.
    pub fn heard(&mut self, now: Mono, path: usize) -> Option<Change> {
        let state = self.paths.get_mut(path)?;
        let silence = now.since(state.last);
        state.last = now;
        let change = Change { path, heard: true, silence };
        (!std::mem::replace(&mut state.heard, true)).then_some(change)
    }

    /// The paths that have become silent since the last call.
    pub fn expire(&mut self, now: Mono) -> Vec<Change> {
        let deadtime = self.deadtime;
        let silent = |(path, state): (usize, &mut Path)| {
            let silence = now.since(state.last);
            let expired = state.heard && silence >= deadtime;
            state.heard &= !expired;
            expired.then_some(Change { path, heard: false, silence })
        };
        self.paths.iter_mut().enumerate().filter_map(silent).collect()
    }

    /// Gives every path `time` more, because nobody listened for so long.
    pub fn forgive(&mut self, time: Duration) {
        for path in &mut self.paths {
            path.last = path.last + time;
        }
    }

    /// Takes over a new `deadtime`.
    pub fn set_deadtime(&mut self, deadtime: Duration) {
        self.deadtime = deadtime;
    }

    /// When [`Paths::expire`] has something to do if nothing is heard until then.
    #[must_use]
    pub fn deadline(&self) -> Option<Mono> {
        self.paths.iter().filter(|path| path.heard).map(|path| path.last + self.deadtime).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    fn at(seconds: u64) -> Mono {
        Mono::from_millis(seconds * 1000)
    }

    #[test]
    fn each_path_falls_silent_and_returns_on_its_own() {
        let mut paths = Paths::new(2, 5 * S, at(0));
        assert_eq!(paths.deadline(), Some(at(5)));
        assert_eq!(paths.heard(at(3), 0), None);
        assert_eq!(paths.expire(at(5)), [Change { path: 1, heard: false, silence: 5 * S }]);
        assert_eq!(paths.expire(at(6)), []);
        assert_eq!(paths.deadline(), Some(at(8)));
        assert_eq!(paths.heard(at(7), 1), Some(Change { path: 1, heard: true, silence: 7 * S }));
        assert_eq!(paths.expire(at(9)), [Change { path: 0, heard: false, silence: 6 * S }]);
    }

    #[test]
    fn time_in_which_nobody_listened_is_no_silence() {
        let mut paths = Paths::new(1, 5 * S, at(0));
        paths.forgive(4 * S);
        assert_eq!(paths.expire(at(8)), []);
        assert_eq!(paths.expire(at(9)), [Change { path: 0, heard: false, silence: 5 * S }]);
    }
}
