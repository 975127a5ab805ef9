//! Report lines on standard output, never waited for.
//!
//! A line that the reader has no room for waits here, and the oldest of too many goes: only the latest state counts.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd};

use lvs_ipc::report::Report;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// Most lines kept for a reader that does not read.
const BACKLOG: usize = 16;

/// Nobody reads the reports any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gone;

/// The writing side.
#[derive(Debug)]
pub struct Reporter {
    stdout: io::Stdout,
    waiting: VecDeque<String>,
}

impl Reporter {
    /// Reports to standard output.
    #[must_use]
    pub fn new() -> Self {
        Self { stdout: io::stdout(), waiting: VecDeque::new() }
    }

    /// Writes `report` as one line, now or as soon as there is room.
    ///
    /// # Errors
    /// [`Gone`] when the reader has closed its end.
    pub fn report(&mut self, report: &Report) -> Result<(), Gone> {
        if self.waiting.len() >= BACKLOG {
            self.waiting.pop_front();
        }
        self.waiting.push_back(format!("{report}\n"));
        self.flush()
    }

    /// What to wait for: always the reader's end of life, and room while lines wait.
    #[must_use]
    pub fn interest(&self) -> (BorrowedFd<'_>, PollFlags) {
        let flags = if self.waiting.is_empty() { PollFlags::empty() } else { PollFlags::POLLOUT };
        (self.stdout.as_fd(), flags)
    }

    /// Writes what there is room for.
    ///
    /// # Errors
    /// [`Gone`] when the reader has closed its end.
    pub fn flush(&mut self) -> Result<(), Gone> {
        while let Some(line) = self.waiting.front() {
            let mut room = [PollFd::new(self.stdout.as_fd(), PollFlags::POLLOUT)];
            // A pipe is writable when it has room for PIPE_BUF bytes, which is more than a line.
            if !matches!(poll(&mut room, PollTimeout::ZERO), Ok(1)) {
                return Ok(());
            }
            let mut stdout = self.stdout.lock();
            match stdout.write_all(line.as_bytes()).and_then(|()| stdout.flush()) {
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Err(Gone),
                // A full disk behind a redirection must not end the check.
                Ok(()) | Err(_) => {}
            }
            self.waiting.pop_front();
        }
        Ok(())
    }
}

impl Default for Reporter {
    fn default() -> Self {
        Self::new()
    }
}
