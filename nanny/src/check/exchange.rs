//! Connect, send a request, expect an answer: over TCP or UDP.
//!
//! ```text
//!  Started -> wait for the connection -> Connected -> send -> Sent -> wait for the answer -> verdict
//! ```
//!
//! Two steps are limited in time: the connection, and everything after it. A stream's
//! answer may come in any pieces. UDP has no connection: a reply is the only proof of life, silence means down, and
//! what the server's machine says of a closed port (ICMP) ends the wait. Each datagram is an answer of its own.

use daemonkit::clock::Mono;
use nix::errno::Errno;

use super::{Conversation, Event, Failure, Limits, Next, Success, Verdict};
use crate::expect::{Expect, Judgement, LIMIT};

/// How the bytes travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// A connection with a stream of bytes in either direction.
    Tcp,
    /// Datagrams.
    Udp,
    /// An association of SCTP, used as a connection with one stream.
    Sctp,
}

/// An exchange as it was asked for.
#[derive(Debug, Clone)]
pub struct Exchange {
    /// How the bytes travel.
    pub transport: Transport,
    /// The request; empty means that nothing is sent.
    pub send: Vec<u8>,
    /// What the answer must look like. Without it a TCP server need not answer, and any reply of a UDP server will do.
    pub expect: Option<Expect>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Connecting,
    Sending,
    Receiving,
}

/// One exchange with one server.
#[derive(Debug)]
pub struct Talk<'c> {
    check: &'c Exchange,
    limits: Limits,
    phase: Phase,
    until: Mono,
    received: Vec<u8>,
}

impl Conversation for Talk<'_> {
    fn step(&mut self, now: Mono, event: Event<'_>) -> Next {
        match (self.phase, event) {
            (_, Event::Started) => {
                self.until = now + self.limits.connect;
                self.wait()
            }
            (Phase::Connecting, Event::Connected) => {
                self.until = now + self.limits.step;
                self.connected()
            }
            (Phase::Sending, Event::Sent) => self.sent(),
            (Phase::Receiving, Event::Received(bytes)) => self.received(bytes),
            (Phase::Receiving, Event::Closed) => self.closed(),
            (_, Event::Failed(errno)) => self.failed(errno),
            (_, Event::Deadline) => self.too_late(),
            _ => self.wait(),
        }
    }
}

impl<'c> Talk<'c> {
    /// A new conversation; its first event is [`Event::Started`] or [`Event::Failed`].
    #[must_use]
    pub fn new(check: &'c Exchange, limits: Limits) -> Self {
        Self { check, limits, phase: Phase::Connecting, until: Mono::ZERO, received: Vec::new() }
    }

    fn wait(&self) -> Next {
        Next::Wait { until: self.until }
    }

    fn connected(&mut self) -> Next {
        if self.check.send.is_empty() {
            return self.sent();
        }
        self.phase = Phase::Sending;
        Next::Send { bytes: self.check.send.clone(), until: self.until }
    }

    fn sent(&mut self) -> Next {
        self.phase = Phase::Receiving;
        match (&self.check.expect, self.check.transport) {
            (None, Transport::Tcp | Transport::Sctp) if self.check.send.is_empty() => {
                Next::healthy(Success::Connected)
            }
            (None, Transport::Tcp | Transport::Sctp) => Next::healthy(Success::Sent),
            _ => self.wait(),
        }
    }

    fn received(&mut self, bytes: &[u8]) -> Next {
        let Some(expect) = &self.check.expect else { return Next::healthy(Success::Answered) };
        let success =
            if matches!(expect, Expect::Anything) { Success::Answered } else { Success::AsExpected };
        let room = LIMIT.saturating_sub(self.received.len());
        self.received.extend_from_slice(&bytes[..bytes.len().min(room)]);
        let judgement = match self.check.transport {
            Transport::Udp if expect.accepts(&self.received) => Judgement::Matches,
            Transport::Udp => Judgement::Fails,
            Transport::Tcp | Transport::Sctp => expect.judge(&self.received),
        };
        let expected = expect.to_string();
        match judgement {
            Judgement::Matches => Next::healthy(success),
            Judgement::Undecided => self.wait(),
            Judgement::Fails if self.received.len() >= LIMIT => {
                Next::unhealthy(Failure::TooLong { got: std::mem::take(&mut self.received), expected })
            }
            Judgement::Fails => {
                Next::unhealthy(Failure::Mismatch { got: std::mem::take(&mut self.received), expected })
            }
        }
    }

    fn closed(&mut self) -> Next {
        if self.received.is_empty() {
            return Next::unhealthy(Failure::Closed);
        }
        Next::unhealthy(Failure::ClosedAfter {
            got: std::mem::take(&mut self.received),
            expected: self.expected(),
        })
    }

    fn failed(&self, errno: Errno) -> Next {
        if self.check.transport == Transport::Udp && errno == Errno::ECONNREFUSED {
            return Next::unhealthy(Failure::PortUnreachable);
        }
        Next::Done(match self.phase {
            Phase::Connecting => Verdict::failed("connect", errno, Failure::Connect),
            Phase::Sending => Verdict::failed("send", errno, Failure::Send),
            Phase::Receiving => Verdict::failed("receive", errno, Failure::Receive),
        })
    }

    fn too_late(&mut self) -> Next {
        let within = self.limits.step;
        Next::unhealthy(match self.phase {
            Phase::Connecting => Failure::ConnectTimeout(self.limits.connect),
            Phase::Sending => Failure::SendTimeout(within),
            Phase::Receiving if self.received.is_empty() => Failure::NoAnswer(within),
            Phase::Receiving => Failure::Incomplete {
                within,
                got: std::mem::take(&mut self.received),
                expected: self.expected(),
            },
        })
    }

    fn expected(&self) -> String {
        self.check.expect.as_ref().map_or(String::new(), ToString::to_string)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn tcp(send: &str, expect: Option<Expect>) -> Exchange {
        Exchange { transport: Transport::Tcp, send: send.into(), expect }
    }

    fn talk(check: &Exchange) -> Talk<'_> {
        Talk::new(check, Limits::each(Duration::from_secs(2)))
    }

    fn at(millis: u64) -> Mono {
        Mono::from_millis(millis)
    }

    fn expect(text: &str) -> Option<Expect> {
        Some(Expect::Literal(text.into()))
    }

    #[test]
    fn a_connection_is_enough_when_nothing_else_is_asked_for() {
        let check = tcp("", None);
        let mut conversation = talk(&check);
        assert_eq!(conversation.step(at(0), Event::Started), Next::Wait { until: at(2_000) });
        assert_eq!(conversation.step(at(3), Event::Connected), Next::healthy(Success::Connected));
    }

    #[test]
    fn an_answer_in_pieces_has_one_limit_counted_from_the_connection() {
        let check = tcp("PING", expect("PONG"));
        let mut conversation = talk(&check);
        conversation.step(at(0), Event::Started);
        let send = Next::Send { bytes: b"PING".to_vec(), until: at(3_500) };
        assert_eq!(conversation.step(at(1_500), Event::Connected), send);
        assert_eq!(conversation.step(at(1_501), Event::Sent), Next::Wait { until: at(3_500) });
        assert_eq!(conversation.step(at(1_900), Event::Received(b"PO")), Next::Wait { until: at(3_500) });
        let incomplete = Failure::Incomplete {
            within: Duration::from_secs(2),
            got: b"PO".into(),
            expected: "\"PONG\"".into(),
        };
        assert_eq!(conversation.step(at(3_500), Event::Deadline), Next::unhealthy(incomplete));
    }

    #[test]
    fn a_stream_that_ends_or_breaks_is_told_apart() {
        let check = tcp("", expect("PONG"));
        let in_receiving = |event| {
            let mut conversation = talk(&check);
            conversation.step(at(0), Event::Started);
            conversation.step(at(0), Event::Connected);
            conversation.step(at(1), event)
        };
        assert_eq!(in_receiving(Event::Closed), Next::unhealthy(Failure::Closed));
        let reset = Event::Failed(Errno::ECONNRESET);
        assert_eq!(in_receiving(reset), Next::unhealthy(Failure::Receive(Errno::ECONNRESET)));
        let mismatch = Failure::Mismatch { got: b"PX".into(), expected: "\"PONG\"".into() };
        assert_eq!(in_receiving(Event::Received(b"PX")), Next::unhealthy(mismatch));
    }

    #[test]
    fn an_endless_answer_is_given_up_at_the_limit() {
        let check = tcp("", Some(Expect::pattern(b"needle").unwrap()));
        let mut conversation = talk(&check);
        conversation.step(at(0), Event::Started);
        conversation.step(at(0), Event::Connected);
        let piece = [b'x'; 4096];
        for _ in 0..3 {
            assert_eq!(conversation.step(at(1), Event::Received(&piece)), Next::Wait { until: at(2_000) });
        }
        let Next::Done(verdict) = conversation.step(at(1), Event::Received(&piece)) else {
            panic!("not done")
        };
        let Verdict::Unhealthy(failure) = verdict else { panic!("healthy") };
        assert_eq!(
            failure.to_string(),
            format!(
                "answer begins with \"{}\"…, expected a match of \"needle\" within the first 16384 bytes",
                "x".repeat(60)
            )
        );
    }

    #[test]
    fn udp_takes_any_reply_or_exactly_the_expected_datagram() {
        let udp = |expect| Exchange { transport: Transport::Udp, ..tcp("q", expect) };
        let answered = |check: &Exchange, event: Event<'_>| {
            let mut conversation = talk(check);
            conversation.step(at(0), Event::Started);
            conversation.step(at(0), Event::Connected);
            conversation.step(at(0), Event::Sent);
            match conversation.step(at(1), event) {
                Next::Done(verdict) => verdict,
                other => panic!("{other:?}"),
            }
        };
        let anything = Verdict::Healthy(Success::Answered);
        assert_eq!(answered(&udp(None), Event::Received(b"")), anything);
        assert_eq!(answered(&udp(Some(Expect::Anything)), Event::Received(b"")), anything);
        assert_eq!(
            answered(&udp(expect("yes")), Event::Received(b"yes!")),
            Verdict::Healthy(Success::AsExpected)
        );
        let short = Failure::Mismatch { got: b"ye".into(), expected: "\"yes\"".into() };
        assert_eq!(answered(&udp(expect("yes")), Event::Received(b"ye")), Verdict::Unhealthy(short));
        let closed_port = Event::Failed(Errno::ECONNREFUSED);
        assert_eq!(answered(&udp(None), closed_port), Verdict::Unhealthy(Failure::PortUnreachable));
        let silence = Failure::NoAnswer(Duration::from_secs(2));
        assert_eq!(answered(&udp(None), Event::Deadline), Verdict::Unhealthy(silence));
    }

    #[test]
    fn a_lack_of_descriptors_or_ports_here_says_nothing_about_the_server() {
        let check = tcp("", None);
        let verdict = |errno| talk(&check).step(at(0), Event::Failed(errno));
        assert!(matches!(verdict(Errno::EMFILE), Next::Done(Verdict::Unknown(_))));
        assert!(matches!(verdict(Errno::EADDRNOTAVAIL), Next::Done(Verdict::Unknown(_))));
        assert_eq!(verdict(Errno::ENETUNREACH), Next::unhealthy(Failure::Connect(Errno::ENETUNREACH)));
    }
}
