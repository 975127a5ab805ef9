//! Why a server is up or down, as data; the text is for people and is bounded and printable.

use std::fmt;
use std::time::Duration;

use daemonkit::children::Exit;
use daemonkit::duration;
use nix::errno::Errno;

use super::{HttpFailure, TlsFailure, dns, smtp};
use crate::escape::quote;
use crate::expect::LIMIT;
use crate::flapping::Hold;
use crate::program::{CANNOT_RUN, NOT_FOUND};

/// Why a probe succeeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Success {
    /// The connection was accepted, and nothing more was asked for.
    Connected,
    /// The request could be sent, and no answer was asked for.
    Sent,
    /// An answer came, and any answer would do.
    Answered,
    /// The answer was as expected.
    AsExpected,
    /// No answer came, none was asked for, and nobody said that the port is closed.
    Silent,
    /// The web server answered with this status, which is good.
    Status(u16),
    /// The web server answered with this status, which is good, and a page that is as expected.
    Page(u16),
    /// The TLS handshake is done, and nothing more was asked for.
    Handshake,
    /// The server does what is asked of it, but not for long.
    Expiring {
        /// Whole days until a certificate of its chain ends.
        days: u16,
    },
    /// The program ended with status 0 and, if one was asked for, with the expected output.
    ProgramPassed,
    /// The program ended with the status of a warning, which leaves the server a part of its weight.
    ProgramWarned {
        /// The part, 0 to 100.
        percent: u8,
    },
    /// The server's agent objects no longer.
    Advised,
    /// An operator said so (SIGUSR2).
    Forced,
}

impl Success {
    /// The part of its weight, in percent, that it leaves the server.
    #[must_use]
    pub fn percent(&self) -> u16 {
        match self {
            Self::ProgramWarned { percent } => (*percent).into(),
            _ => 100,
        }
    }

    /// What an operator should look after although all is well, if that is something.
    #[must_use]
    pub fn concern(self) -> Option<Self> {
        matches!(self, Self::Expiring { .. }).then_some(self)
    }
}

impl fmt::Display for Success {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Status(status) => return write!(f, "status {status}"),
            Self::Page(status) => return write!(f, "status {status}, body as expected"),
            Self::Expiring { days: 0 } => "healthy, but a certificate ends today",
            Self::Expiring { days: 1 } => "healthy, but a certificate ends in 1 day",
            Self::Expiring { days } => return write!(f, "healthy, but a certificate ends in {days} days"),
            Self::Handshake => "TLS handshake done",
            Self::Connected => "connected",
            Self::Sent => "connected and took the request",
            Self::Answered => "answered",
            Self::AsExpected => "answered as expected",
            Self::Silent => "took the datagram and did not refuse it",
            Self::ProgramPassed => "program passed",
            Self::ProgramWarned { percent } => return write!(f, "program warned: {percent}% of the weight"),
            Self::Advised => "agent objects no longer",
            Self::Forced => "forced up by SIGUSR2",
        })
    }
}

/// Why a probe failed: the phase that it reached, and the outcome there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// No connection: refused, unreachable, reset.
    Connect(Errno),
    /// No connection within this time.
    ConnectTimeout(Duration),
    /// The server's machine answered that nothing listens at the UDP port (ICMP port unreachable).
    PortUnreachable,
    /// The connection broke while the request was sent.
    Send(Errno),
    /// The request could not be handed over within this time.
    SendTimeout(Duration),
    /// The connection broke before the answer was complete.
    Receive(Errno),
    /// Not one byte of an answer within this time.
    NoAnswer(Duration),
    /// The server closed the connection without an answer.
    Closed,
    /// The answer ended too early.
    ClosedAfter {
        /// What had arrived.
        got: Vec<u8>,
        /// What should have.
        expected: String,
    },
    /// The answer was not complete in time.
    Incomplete {
        /// How long it was waited for.
        within: Duration,
        /// What had arrived.
        got: Vec<u8>,
        /// What should have.
        expected: String,
    },
    /// The answer is a different one.
    Mismatch {
        /// What arrived.
        got: Vec<u8>,
        /// What should have.
        expected: String,
    },
    /// What was expected is not among the bytes that are looked at.
    TooLong {
        /// What arrived.
        got: Vec<u8>,
        /// What should have.
        expected: String,
    },
    /// One step of several failed.
    InStep {
        /// Which, counted from 1.
        step: usize,
        /// How many there are.
        of: usize,
        /// Why.
        failure: Box<Failure>,
    },
    /// The server has gone down too often, and this was the last time.
    Flapping {
        /// How often, within which time, and how many good probes it takes now.
        hold: Hold,
        /// How long these take.
        back_after: Duration,
        /// Why it went down.
        failure: Box<Failure>,
    },
    /// The answer of a web server is not good enough.
    Http(HttpFailure),
    /// There is no TLS.
    Tls(TlsFailure),
    /// The program could not be started.
    ProgramNotStarted(Errno),
    /// The program ended with another status than 0, or by a signal.
    ProgramFailed {
        /// How it ended.
        exit: Exit,
        /// The beginning of what it wrote to standard error.
        said: Vec<u8>,
    },
    /// The program ran for too long and was killed.
    ProgramTimeout(Duration),
    /// Earlier runs of the program were killed and are still there.
    ProgramStuck,
    /// The program wrote something else than it should have.
    ProgramOutput {
        /// What it wrote, up to the limit.
        got: Vec<u8>,
        /// What it should have written.
        expected: String,
    },
    /// The server's agent says this.
    Advised(String),
    /// A name server's answer is not as it should be.
    Dns(dns::Flaw),
    /// A mail server does not answer as it should.
    Smtp(smtp::Flaw),
    /// The probe as a whole took longer than this.
    TotalTimeout(Duration),
    /// An operator said so (SIGUSR1).
    Forced,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let within = |time: &Duration| duration::format(*time);
        match self {
            Self::Connect(errno) => f.write_str(&describe(*errno)),
            Self::ConnectTimeout(time) => write!(f, "no connection within {}", within(time)),
            Self::PortUnreachable => f.write_str("port unreachable"),
            Self::Send(errno) => write!(f, "sending failed: {}", describe(*errno)),
            Self::SendTimeout(time) => write!(f, "request not taken within {}", within(time)),
            Self::Receive(errno) => write!(f, "receiving failed: {}", describe(*errno)),
            Self::NoAnswer(time) => write!(f, "no answer within {}", within(time)),
            Self::Closed => f.write_str("closed before answering"),
            Self::ClosedAfter { got, expected } => {
                write!(f, "closed after {}, expected {expected}", quote(got))
            }
            Self::Incomplete { within: time, got, expected } => {
                write!(f, "only {} within {}, expected {expected}", quote(got), within(time))
            }
            Self::Mismatch { got, expected } => {
                write!(f, "answer begins with {}, expected {expected}", quote(got))
            }
            Self::TooLong { got, expected } => {
                let got = quote(got);
                write!(f, "answer begins with {got}, expected {expected} within the first {LIMIT} bytes")
            }
            Self::InStep { step, of, failure } => write!(f, "step {step} of {of}: {failure}"),
            Self::Flapping { hold, back_after, failure } => {
                let (times, time, back_after) = (hold.times, within(&hold.within), within(back_after));
                write!(
                    f,
                    "flapping, down {times} times within {time}, so back only after {back_after} of good probes: {failure}"
                )
            }
            Self::Http(failure) => write!(f, "{failure}"),
            Self::Tls(failure) => write!(f, "{failure}"),
            Self::ProgramNotStarted(errno) => write!(f, "cannot run the program: {}", describe(*errno)),
            Self::ProgramFailed { exit, said } if !said.is_empty() => {
                write!(f, "program {exit}, saying {}", quote(said))
            }
            Self::ProgramFailed { exit, .. } if exit.is(NOT_FOUND) => write!(f, "program {exit} (not found)"),
            Self::ProgramFailed { exit, .. } if exit.is(CANNOT_RUN) => {
                write!(f, "program {exit} (cannot be run)")
            }
            Self::ProgramFailed { exit, .. } => write!(f, "program {exit}"),
            Self::ProgramTimeout(time) => write!(f, "program killed after {}", within(time)),
            Self::ProgramStuck => f.write_str("earlier runs of the program cannot be killed"),
            Self::ProgramOutput { got, expected } => {
                write!(f, "program wrote {}, expected {expected}", quote(got))
            }
            Self::Advised(objection) => f.write_str(objection),
            Self::Dns(flaw) => flaw.fmt(f),
            Self::Smtp(flaw) => flaw.fmt(f),
            Self::TotalTimeout(time) => write!(f, "not over within {}", within(time)),
            Self::Forced => f.write_str("forced down by SIGUSR1"),
        }
    }
}

/// Why this machine could not ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// What was tried.
    pub doing: &'static str,
    /// The kernel's answer.
    pub errno: Errno,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot {}: {}", self.doing, describe(self.errno))
    }
}

/// The kernel's reason as it reads in the middle of a sentence.
pub(super) fn describe(errno: Errno) -> String {
    let text = errno.desc();
    let mut letters = text.chars();
    letters.next().map_or(String::new(), |first| first.to_lowercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_read_as_an_operator_would_say_them() {
        let two = Duration::from_secs(2);
        let expected = || "\"HTTP/1.1 200\"".to_owned();
        let failed = |exit, said: &str| Failure::ProgramFailed { exit, said: said.into() };
        for (failure, text) in [
            (Failure::Connect(Errno::ECONNREFUSED), "connection refused"),
            (Failure::Connect(Errno::EHOSTUNREACH), "no route to host"),
            (Failure::ConnectTimeout(Duration::from_millis(200)), "no connection within 200ms"),
            (Failure::Receive(Errno::ECONNRESET), "receiving failed: connection reset by peer"),
            (Failure::NoAnswer(two), "no answer within 2s"),
            (Failure::Closed, "closed before answering"),
            (
                Failure::ClosedAfter { got: b"HT".into(), expected: expected() },
                "closed after \"HT\", expected \"HTTP/1.1 200\"",
            ),
            (
                Failure::Incomplete { within: two, got: b"HT".into(), expected: expected() },
                "only \"HT\" within 2s, expected \"HTTP/1.1 200\"",
            ),
            (
                Failure::Mismatch { got: b"HTTP/1.1 500".into(), expected: expected() },
                "answer begins with \"HTTP/1.1 500\", expected \"HTTP/1.1 200\"",
            ),
            (Failure::ProgramNotStarted(Errno::ENOENT), "cannot run the program: no such file or directory"),
            (failed(Exit::Status(3), ""), "program exited with status 3"),
            (
                failed(Exit::Status(3), "no \x1b[1mroute\nat all\n"),
                r#"program exited with status 3, saying "no \x1b[1mroute"…"#,
            ),
            (failed(Exit::Status(127), ""), "program exited with status 127 (not found)"),
            (failed(Exit::Status(126), ""), "program exited with status 126 (cannot be run)"),
            (failed(Exit::Signal(11), ""), "program killed by SIGSEGV"),
            (Failure::ProgramTimeout(two), "program killed after 2s"),
            (Failure::TotalTimeout(two), "not over within 2s"),
            (
                Failure::Flapping {
                    hold: Hold { times: 4, within: Duration::from_secs(600), probes: 36 },
                    back_after: Duration::from_secs(72),
                    failure: Box::new(Failure::Closed),
                },
                "flapping, down 4 times within 10m, so back only after 72s of good probes: closed before answering",
            ),
            (
                Failure::ProgramOutput { got: b"no".into(), expected: "exactly \"OK\"".into() },
                "program wrote \"no\", expected exactly \"OK\"",
            ),
        ] {
            assert_eq!(failure.to_string(), text);
        }
        let fault = Fault { doing: "open a socket", errno: Errno::EMFILE };
        assert_eq!(fault.to_string(), "cannot open a socket: too many open files");
    }
}
