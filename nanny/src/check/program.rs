//! An external program as a check: how it ends, and what it writes.
//!
//! Healthy means that it was started, ended by itself with status 0 within its time and, where an output is
//! expected, wrote that (a newline at the end of its output does not count). It never means less, but for one thing: where
//! status 1 is a warning, as with the plugins of Nagios, the server is up with a part of its weight.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::time::Duration;

use daemonkit::children::Exit;
use daemonkit::clock::Mono;

use super::{Conversation, Event, Failure, Limits, Next, Success, Verdict};
use crate::expect::Expect;
use crate::program::COMPLAINT;

/// Most bytes of output that are kept; the rest is read and thrown away, and then matches no expected output.
pub const OUTPUT_LIMIT: usize = 4095;

/// A program as it was asked for.
#[derive(Debug, Clone)]
pub struct ProgramCheck {
    /// The program, looked up in `PATH` unless it holds a `/`, and its arguments. Not empty.
    pub words: Vec<OsString>,
    /// Variables that are added to its environment.
    pub environment: Vec<(String, String)>,
    /// What it must write to standard output, or `None` if only its status counts.
    pub expect: Option<Expect>,
    /// The part of its weight, in percent, that the server has after status [`WARNING`]; `None` if that is a failure.
    pub warning: Option<u8>,
}

/// The status by which plugins of Nagios warn.
pub const WARNING: u8 = 1;

/// Splits a command at blanks, without any quoting, and replaces words that are exactly `%h` by the server's address
/// and `%p` by its port.
#[must_use]
pub fn split(command: &[u8], server: SocketAddr) -> Vec<OsString> {
    command
        .split(u8::is_ascii_whitespace)
        .filter(|word| !word.is_empty())
        .map(|word| match word {
            b"%h" => server.ip().to_string().into(),
            b"%p" => server.port().to_string().into(),
            _ => OsString::from_vec(word.to_vec()),
        })
        .collect()
}

/// One run of the program, which may take as long as a step.
#[derive(Debug)]
pub struct Talk<'c> {
    check: &'c ProgramCheck,
    limit: Duration,
    until: Mono,
    output: Vec<u8>,
}

impl Conversation for Talk<'_> {
    fn step(&mut self, now: Mono, event: Event<'_>) -> Next {
        let verdict = match event {
            Event::Started => {
                self.until = now + self.limit;
                return Next::Wait { until: self.until };
            }
            Event::Received(bytes) => {
                // One byte more than the limit tells output that is too long from output that just fits.
                let room = (OUTPUT_LIMIT + 1).saturating_sub(self.output.len());
                self.output.extend_from_slice(&bytes[..bytes.len().min(room)]);
                return Next::Wait { until: self.until };
            }
            Event::Connected | Event::Sent | Event::Closed => return Next::Wait { until: self.until },
            Event::Failed(errno) => Verdict::failed("run the program", errno, Failure::ProgramNotStarted),
            Event::Exited { exit: Exit::Status(0), .. } => self.passed(Success::ProgramPassed),
            Event::Exited { exit, said } => match self.check.warning {
                Some(percent) if exit.is(WARNING) => self.passed(Success::ProgramWarned { percent }),
                _ => Verdict::Unhealthy(Failure::ProgramFailed { exit, said: self.complaint(said) }),
            },
            Event::Deadline => Verdict::Unhealthy(Failure::ProgramTimeout(self.limit)),
        };
        Next::Done(verdict)
    }

    fn answer(&self) -> &[u8] {
        &self.output
    }
}

impl<'c> Talk<'c> {
    /// A new conversation; its first event is [`Event::Started`] or [`Event::Failed`].
    #[must_use]
    pub fn new(check: &'c ProgramCheck, limits: Limits) -> Self {
        Self { check, limit: limits.step, until: Mono::ZERO, output: Vec::new() }
    }

    fn passed(&self, success: Success) -> Verdict {
        let output = self.output.strip_suffix(b"\n").unwrap_or(&self.output);
        let is_cut = self.output.len() > OUTPUT_LIMIT;
        let is_expected = |expect: &Expect| match expect {
            Expect::Anything => !output.is_empty(),
            Expect::Equals(_) => !is_cut && expect.accepts(output),
            _ => expect.accepts(output),
        };
        match &self.check.expect {
            Some(expect) if !is_expected(expect) => {
                let (got, expected) = (output.to_vec(), expect.to_string());
                Verdict::Unhealthy(Failure::ProgramOutput { got, expected })
            }
            _ => Verdict::Healthy(success),
        }
    }

    /// What it says about its failure: plugins do so on standard output.
    fn complaint(&self, said: &[u8]) -> Vec<u8> {
        let complaint = if said.is_empty() { &self.output } else { said };
        complaint[..complaint.len().min(COMPLAINT)].to_vec()
    }
}

/// The program's name for people.
#[must_use]
pub fn name(words: &[OsString]) -> String {
    words.first().map_or(String::new(), |word| word.as_bytes().escape_ascii().to_string())
}

#[cfg(test)]
mod tests {
    use nix::errno::Errno;

    use super::*;

    fn outcome(expect: Option<&str>, events: &[Event<'_>]) -> Verdict {
        let expect = expect.map(|text| Expect::Equals(text.into()));
        outcome_of(&ProgramCheck { expect, ..check() }, events)
    }

    fn check() -> ProgramCheck {
        ProgramCheck { words: vec!["check".into()], environment: Vec::new(), expect: None, warning: None }
    }

    fn outcome_of(check: &ProgramCheck, events: &[Event<'_>]) -> Verdict {
        let mut conversation = Talk::new(check, Limits::each(Duration::from_secs(2)));
        let wait = Next::Wait { until: Mono::from_millis(2_000) };
        assert_eq!(conversation.step(Mono::ZERO, Event::Started), wait);
        for event in events {
            match conversation.step(Mono::from_millis(1), *event) {
                Next::Done(verdict) => return verdict,
                next => assert_eq!(next, wait),
            }
        }
        panic!("not done")
    }

    const PASSED: Event<'_> = Event::Exited { exit: Exit::Status(0), said: b"warning" };
    const HEALTHY: Verdict = Verdict::Healthy(Success::ProgramPassed);

    #[test]
    fn words_are_split_at_blanks_and_only_whole_words_are_replaced() {
        let words = split(b" /usr/bin/check  %h x%h\t%p '%p %p' ", "[2001:db8::1]:53".parse().unwrap());
        assert_eq!(words, ["/usr/bin/check", "2001:db8::1", "x%h", "53", "'%p", "%p'"]);
        assert!(split(b"  ", "10.0.0.1:1".parse().unwrap()).is_empty());
    }

    #[test]
    fn status_zero_is_healthy_when_no_output_is_expected() {
        assert_eq!(outcome(None, &[PASSED]), HEALTHY);
        assert_eq!(outcome(None, &[Event::Received(b"whatever"), PASSED]), HEALTHY);
    }

    #[test]
    fn the_whole_output_must_equal_what_is_expected() {
        assert_eq!(outcome(Some("OK"), &[Event::Received(b"O"), Event::Received(b"K\n"), PASSED]), HEALTHY);
        assert_eq!(outcome(Some("OK"), &[Event::Received(b"OK"), PASSED]), HEALTHY);
        let wrong = |got: &str| {
            Verdict::Unhealthy(Failure::ProgramOutput { got: got.into(), expected: "exactly \"OK\"".into() })
        };
        assert_eq!(outcome(Some("OK"), &[Event::Received(b"OK\n\n"), PASSED]), wrong("OK\n"));
        assert_eq!(outcome(Some("OK"), &[Event::Received(b"OKAY\n"), PASSED]), wrong("OKAY"));
        assert_eq!(outcome(Some("OK"), &[PASSED]), wrong(""));
    }

    #[test]
    fn the_right_output_does_not_excuse_a_bad_end() {
        for exit in [Exit::Status(1), Exit::Signal(9)] {
            let end = [Event::Received(b"OK\n"), Event::Exited { exit, said: b"no" }];
            let failed = Failure::ProgramFailed { exit, said: b"no".into() };
            assert_eq!(outcome(Some("OK"), &end), Verdict::Unhealthy(failed));
        }
        let late = Failure::ProgramTimeout(Duration::from_secs(2));
        assert_eq!(
            outcome(Some("OK"), &[Event::Received(b"OK\n"), Event::Deadline]),
            Verdict::Unhealthy(late)
        );
        let missing = Failure::ProgramNotStarted(Errno::ENOENT);
        assert_eq!(outcome(None, &[Event::Failed(Errno::ENOENT)]), Verdict::Unhealthy(missing));
        assert!(matches!(outcome(None, &[Event::Failed(Errno::EAGAIN)]), Verdict::Unknown(_)));
    }

    #[test]
    fn a_flood_is_bounded_and_never_what_was_expected() {
        let piece = [b'x'; 4096];
        let text = "x".repeat(OUTPUT_LIMIT);
        assert_eq!(outcome(Some(&text), &[Event::Received(&piece[1..]), PASSED]), HEALTHY);
        assert!(matches!(
            outcome(Some(&text), &[Event::Received(&piece), Event::Received(&piece), PASSED]),
            Verdict::Unhealthy(Failure::ProgramOutput { got, .. }) if got.len() == OUTPUT_LIMIT + 1
        ));
    }

    #[test]
    fn an_output_can_be_looked_for_in_other_ways() {
        let with = |expect| ProgramCheck { expect: Some(expect), ..check() };
        let said = |expect, output: &'static [u8]| {
            outcome_of(&with(expect), &[Event::Received(output), PASSED]) == HEALTHY
        };
        assert!(
            said(Expect::Contains(b"PONG".into()), b"+PONG\n")
                && !said(Expect::Contains(b"PONG".into()), b"P")
        );
        assert!(said(Expect::Anything, b".") && !said(Expect::Anything, b"\n"));
        assert!(said(Expect::pattern(b"^up [0-9]+$").unwrap(), b"up 12\n"));
        assert!(said(Expect::Literal(b"up".into()), b"up and well\n"));
    }

    #[test]
    fn a_warning_is_a_part_of_the_weight_only_where_that_is_said() {
        let warned = Event::Exited { exit: Exit::Status(1), said: b"" };
        let nagios = ProgramCheck { warning: Some(40), ..check() };
        let part = Verdict::Healthy(Success::ProgramWarned { percent: 40 });
        assert_eq!(outcome_of(&nagios, &[Event::Received(b"WARNING - busy\n"), warned]), part);
        let failed = |exit| Verdict::Unhealthy(Failure::ProgramFailed { exit, said: b"CRITICAL\n".into() });
        let critical = Event::Exited { exit: Exit::Status(2), said: b"" };
        assert_eq!(outcome_of(&nagios, &[Event::Received(b"CRITICAL\n"), critical]), failed(Exit::Status(2)));
        assert_eq!(outcome_of(&check(), &[Event::Received(b"CRITICAL\n"), warned]), failed(Exit::Status(1)));
        let picky = ProgramCheck { expect: Some(Expect::Contains(b"busy".into())), ..nagios };
        assert!(matches!(outcome_of(&picky, &[warned]), Verdict::Unhealthy(Failure::ProgramOutput { .. })));
    }
}
