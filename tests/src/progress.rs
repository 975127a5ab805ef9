//! Progress of something that takes a while: one line that moves on a terminal, a few plain lines elsewhere.

use std::io::{IsTerminal as _, Write as _, stderr};

/// Without a terminal a line is printed each time this many percent more are done.
const STEP: f64 = 25.0;

/// The progress of one job, written to standard error.
pub(crate) struct Progress {
    what: String,
    terminal: bool,
    next: f64,
}

impl Progress {
    /// Announces the job.
    pub(crate) fn new(what: &str) -> Self {
        let progress = Self { what: what.to_owned(), terminal: stderr().is_terminal(), next: STEP };
        if progress.terminal {
            progress.redraw("...");
        } else {
            eprintln!("{what} ...");
        }
        progress
    }

    /// So many percent are done.
    pub(crate) fn at(&mut self, percent: f64) {
        if self.terminal {
            self.redraw(&format!("{percent:.0} %"));
        } else if percent >= self.next && percent < 100.0 {
            eprintln!("{} {percent:.0} %", self.what);
            self.next = percent + STEP;
        }
    }

    /// It is over.
    pub(crate) fn done(&mut self) {
        if self.terminal {
            self.redraw("done");
            eprintln!();
        } else {
            eprintln!("{} done", self.what);
        }
    }

    fn redraw(&self, state: &str) {
        // A terminal that cannot be written to cannot be told so either.
        let _ = write!(stderr(), "\r{} {state}\x1b[K", self.what);
        let _ = stderr().flush();
    }
}
