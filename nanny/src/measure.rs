//! One measurement of the load under way: the program's output, bounded in size and time.

use std::ffi::OsString;

use daemonkit::children::Exit;
use daemonkit::clock::Mono;
use nix::errno::Errno;

use crate::check::program::OUTPUT_LIMIT;
use crate::load;
use crate::program::{Dying, Program};

/// A measurement under way.
#[derive(Debug)]
pub struct Measurement {
    program: Program,
    output: Vec<u8>,
    until: Mono,
}

impl Measurement {
    /// Starts the program; it is given up at `until`.
    ///
    /// # Errors
    /// The kernel's reason why it cannot be started.
    pub fn start(words: &[OsString], until: Mono) -> Result<Self, Errno> {
        Ok(Self { program: Program::start(words)?, output: Vec::new(), until })
    }

    /// The program, to wait for its output.
    #[must_use]
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// When to call [`Measurement::advance`] at the latest.
    #[must_use]
    pub fn deadline(&self) -> Mono {
        self.until
    }

    /// Reads what there is. The outer `Some` means that it is over, the inner one that it gave a load.
    pub fn advance(&mut self, now: Mono) -> Option<Option<f64>> {
        let output = &mut self.output;
        let end = self.program.drain(|piece| {
            let room = OUTPUT_LIMIT.saturating_sub(output.len());
            output.extend_from_slice(&piece[..piece.len().min(room)]);
        });
        match end {
            Some(Exit::Status(0)) => Some(load::parse(&self.output)),
            Some(_) => Some(None),
            None => (now >= self.until).then_some(None),
        }
    }

    /// Ends the program, if it still runs.
    #[must_use]
    pub fn stop(self) -> Dying {
        self.program.kill()
    }
}
