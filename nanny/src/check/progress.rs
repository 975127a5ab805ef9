//! How far a conversation over a socket has come, until when it waits, and what an end of it at that point means: the
//! part that is the same whatever is talked about.

use daemonkit::clock::Mono;
use nix::errno::Errno;

use super::{Failure, Limits, Next, Transport, Verdict};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// There is no socket yet.
    Opening,
    Connecting,
    Sending,
    Receiving,
}

/// The progress of one conversation.
#[derive(Debug)]
pub(super) struct Progress {
    transport: Transport,
    limits: Limits,
    phase: Phase,
    until: Mono,
}

impl Progress {
    /// Nothing has happened yet.
    pub(super) fn new(transport: Transport, limits: Limits) -> Self {
        Self { transport, limits, phase: Phase::Opening, until: Mono::ZERO }
    }

    /// Whether there is no socket yet.
    pub(super) fn is_opening(&self) -> bool {
        self.phase == Phase::Opening
    }

    /// Whether the server is to talk.
    pub(super) fn is_receiving(&self) -> bool {
        self.phase == Phase::Receiving
    }

    /// The driver began to connect at `now`.
    pub(super) fn connect(&mut self, now: Mono) -> Next {
        self.phase = Phase::Connecting;
        self.until = now + self.limits.connect;
        self.wait()
    }

    /// A step that begins with `bytes`.
    pub(super) fn send(&mut self, now: Mono, bytes: Vec<u8>) -> Next {
        self.phase = Phase::Sending;
        self.until = now + self.limits.step;
        Next::Send { bytes, until: self.until }
    }

    /// A step in which the server talks first.
    pub(super) fn listen(&mut self, now: Mono) -> Next {
        self.until = now + self.limits.step;
        self.sent()
    }

    /// What was to be sent is; the server is to talk.
    pub(super) fn sent(&mut self) -> Next {
        self.phase = Phase::Receiving;
        self.wait()
    }

    /// Goes on waiting.
    pub(super) fn wait(&self) -> Next {
        Next::Wait { until: self.until }
    }

    /// A system call failed.
    pub(super) fn failed(&self, errno: Errno) -> Next {
        if self.transport == Transport::Udp && errno == Errno::ECONNREFUSED {
            return Next::unhealthy(Failure::PortUnreachable);
        }
        Next::Done(match self.phase {
            Phase::Opening | Phase::Connecting => Verdict::failed("connect", errno, Failure::Connect),
            Phase::Sending => Verdict::failed("send", errno, Failure::Send),
            Phase::Receiving => Verdict::failed("receive", errno, Failure::Receive),
        })
    }

    /// The time is over; the server said `got` instead of what was `expected`.
    pub(super) fn late(&self, got: Vec<u8>, expected: impl Into<String>) -> Next {
        let within = self.limits.step;
        Next::unhealthy(match self.phase {
            Phase::Opening | Phase::Connecting => Failure::ConnectTimeout(self.limits.connect),
            Phase::Sending => Failure::SendTimeout(within),
            Phase::Receiving if got.is_empty() => Failure::NoAnswer(within),
            Phase::Receiving => Failure::Incomplete { within, got, expected: expected.into() },
        })
    }

    /// The server closed the stream after `got` instead of what was `expected`.
    pub(super) fn closed(got: Vec<u8>, expected: impl Into<String>) -> Next {
        Next::unhealthy(match got.is_empty() {
            true => Failure::Closed,
            false => Failure::ClosedAfter { got, expected: expected.into() },
        })
    }
}
