//! The journal of a lab: one time line of everything that happened in it.
//!
//! Programs' output lines, deeds of the scenario (a link cut, a process killed) and notes all land here with
//! the time since the lab started, so that a failure report can show them in one order. Waiting for a line is
//! waiting for the journal to grow. It does not judge what it records.

use std::{
    fmt,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// Entries kept; later ones are counted but not stored, so that a program gone wild cannot eat the memory.
const CAPACITY: usize = 200_000;

/// Locks a mutex whose data stays valid even when a thread panicked while holding it.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Time since the lab started.
    pub at: Duration,
    /// Who: a program (`r1/pulse`), a host (`r1`), or `lab`.
    pub source: Arc<str>,
    /// What: one line, without its end.
    pub text: String,
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:9.3} {:<14} {}", self.at.as_secs_f64(), self.source, self.text)
    }
}

#[derive(Default)]
struct Pages {
    entries: Vec<Entry>,
    dropped: usize,
}

/// The time line; shared by everything in a lab.
pub struct Journal {
    started: Instant,
    pages: Mutex<Pages>,
    grown: Condvar,
}

impl Journal {
    /// An empty journal whose time starts now.
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { started: Instant::now(), pages: Mutex::default(), grown: Condvar::new() })
    }

    /// Time since the lab started.
    pub fn now(&self) -> Duration {
        self.started.elapsed()
    }

    /// The journal's time of a moment; moments before its start are its start.
    pub fn time_of(&self, moment: Instant) -> Duration {
        moment.saturating_duration_since(self.started)
    }

    /// Records a line, now.
    pub fn note(&self, source: &Arc<str>, text: impl Into<String>) {
        let at = self.now();
        let mut pages = locked(&self.pages);
        if pages.entries.len() < CAPACITY {
            pages.entries.push(Entry { at, source: Arc::clone(source), text: text.into() });
        } else {
            pages.dropped += 1;
        }
        drop(pages);
        self.grown.notify_all();
    }

    /// Wakes everyone who waits, so that they look again (for events that are not lines, like an exit).
    pub(crate) fn nudge(&self) {
        drop(locked(&self.pages));
        self.grown.notify_all();
    }

    /// All entries of one source.
    pub fn of(&self, source: &str) -> Vec<Entry> {
        locked(&self.pages).entries.iter().filter(|e| &*e.source == source).cloned().collect()
    }

    /// All entries in order of arrival, and how many more were not stored.
    pub fn all(&self) -> (Vec<Entry>, usize) {
        let pages = locked(&self.pages);
        (pages.entries.clone(), pages.dropped)
    }

    /// Number of entries so far: a mark from which [`Journal::wait_for`] can start.
    pub fn mark(&self) -> usize {
        locked(&self.pages).entries.len()
    }

    /// Waits until `look` says something about the entries from `mark` on, at most `within`.
    ///
    /// `look` is called once at the start and again whenever the journal grew.
    pub fn wait_for<T>(
        &self,
        mark: usize,
        within: Duration,
        mut look: impl FnMut(&[Entry]) -> Option<T>,
    ) -> Option<T> {
        let deadline = Instant::now() + within;
        let mut pages = locked(&self.pages);
        loop {
            let from = mark.min(pages.entries.len());
            if let Some(found) = look(&pages.entries[from..]) {
                return Some(found);
            }
            let left = deadline.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())?;
            pages = self.grown.wait_timeout(pages, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn waiting_ends_when_the_line_arrives() {
        let journal = Journal::new();
        let writer = {
            let journal = Arc::clone(&journal);
            thread::spawn(move || journal.note(&Arc::from("r1/pulse"), "active"))
        };
        let found = journal.wait_for(0, Duration::from_secs(10), |entries| {
            entries.iter().find(|e| e.text == "active").map(|e| e.source.to_string())
        });
        writer.join().expect("the writer does not panic");
        assert_eq!(found.as_deref(), Some("r1/pulse"));
    }

    #[test]
    fn waiting_is_bounded_and_ignores_lines_before_the_mark() {
        let journal = Journal::new();
        journal.note(&Arc::from("r1"), "old");
        let mark = journal.mark();
        let found = journal
            .wait_for(mark, Duration::from_millis(20), |entries| entries.first().map(|e| e.text.clone()));
        assert_eq!(found, None);
    }
}
