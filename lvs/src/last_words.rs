//! A child's end is told after its last line. The kernel tells of both at once, and two threads pass it on: without an order
//! the line that says why a monitor or a hook ended would now and then be that of nobody.
//!
//! A program that it has started may hold the pipe open for longer than the child lives; the end waits [`PATIENCE`] for
//! that and no longer.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use daemonkit::children::Exit;
use daemonkit::clock::Mono;

/// How long an end waits for the end of the output.
const PATIENCE: Duration = Duration::from_millis(500);

/// The children whose output can be read, and those that have ended meanwhile.
#[derive(Debug, Default)]
pub(crate) struct LastWords {
    open: HashSet<u64>,
    ended: BTreeMap<u64, (Exit, Mono)>,
}

impl LastWords {
    /// The output of `token` can be read from now on.
    pub(crate) fn opened(&mut self, token: u64) {
        self.open.insert(token);
    }

    /// The output of `token` has been read to its end; how the child ended, if that waits to be told.
    pub(crate) fn closed(&mut self, token: u64) -> Option<Exit> {
        self.open.remove(&token);
        self.ended.remove(&token).map(|(exit, _)| exit)
    }

    /// The child `token` ended; whether that may be told at once.
    pub(crate) fn ended(&mut self, now: Mono, token: u64, exit: Exit) -> Option<Exit> {
        if !self.open.contains(&token) {
            return Some(exit);
        }
        self.ended.insert(token, (exit, now + PATIENCE));
        None
    }

    /// The next moment at which [`LastWords::overdue`] has something.
    pub(crate) fn deadline(&self) -> Option<Mono> {
        self.ended.values().map(|(_, until)| *until).min()
    }

    /// Those that have waited long enough.
    pub(crate) fn overdue(&mut self, now: Mono) -> Vec<(u64, Exit)> {
        let (open, mut over) = (&mut self.open, Vec::new());
        self.ended.retain(|token, (exit, until)| {
            let waits = *until > now;
            if !waits {
                open.remove(token);
                over.push((*token, *exit));
            }
            waits
        });
        over
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXIT: Exit = Exit::Status(3);

    fn at(millis: u64) -> Mono {
        Mono::from_millis(millis)
    }

    #[test]
    fn an_end_waits_for_the_end_of_the_output() {
        let mut words = LastWords::default();
        words.opened(1);
        assert_eq!((words.ended(at(0), 1, EXIT), words.deadline()), (None, Some(at(500))));
        assert_eq!(words.overdue(at(499)), []);
        assert_eq!((words.closed(1), words.deadline()), (Some(EXIT), None));
        assert_eq!(words.overdue(at(1000)), []);
    }

    #[test]
    fn an_end_after_that_of_the_output_is_told_at_once() {
        let mut words = LastWords::default();
        words.opened(1);
        assert_eq!(words.closed(1), None);
        assert_eq!(words.ended(at(0), 1, EXIT), Some(EXIT));
    }

    #[test]
    fn an_end_does_not_wait_for_whoever_holds_the_pipe() {
        let mut words = LastWords::default();
        words.opened(1);
        words.opened(2);
        words.ended(at(0), 1, EXIT);
        assert_eq!(words.overdue(at(500)), [(1, EXIT)]);
        assert_eq!((words.closed(1), words.deadline()), (None, None));
    }
}
