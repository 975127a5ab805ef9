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
        Ok(Self { program: Program::start(words, &[])?, output: Vec::new(), until })
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

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::time::{Duration, Instant};

    use super::*;

    /// What a measurement by the shell script gives; `now` stands still.
    fn measured(script: &str, now: Mono) -> Option<f64> {
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", script]);
        let program = Program::start_command(shell).unwrap();
        let until = Mono::from_millis(1_000);
        let mut measurement = Measurement { program, output: Vec::new(), until };
        let started = Instant::now();
        while started.elapsed() < Duration::from_secs(10) {
            if let Some(load) = measurement.advance(now) {
                return load;
            }
            std::thread::yield_now();
        }
        panic!("still running")
    }

    #[test]
    fn the_load_is_taken_from_a_program_that_ends_well_and_in_time() {
        let early = Mono::ZERO;
        assert_eq!(measured("echo ' 10:11 up 3 days, load average: 0.31, 0.2, 0.1'", early), Some(0.31));
        assert_eq!(measured("echo 'load average: 0.31, 0.2, 0.1'; exit 1", early), None);
        assert_eq!(measured("echo nothing", early), None);
        assert_eq!(measured("head -c 100000 /dev/zero; echo 'load: 1,'", early), None);
        assert_eq!(measured("sleep 600", Mono::from_millis(1_000)), None);
    }
}
