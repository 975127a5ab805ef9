//! One question to a name server, and its answer: as a datagram, or over a connection with the length before each
//! message (RFC 1035, section 4.2).
//!
//! The question has a number that cannot be guessed. A datagram that has another, or answers another question, is taken for
//! a stranger's: it changes nothing, and the time runs out. In a stream there are no strangers, so it is a failure there.
//! What bytes mean is in [`message`].

pub mod message;

use std::fmt;
use std::time::Duration;

use checkspec::Dns;
use checkspec::dns::{Rcode, Rcodes, Transport as Carrier};
use daemonkit::clock::Mono;
use daemonkit::duration;

use self::message::{Judgement, judge, query};
use super::progress::Progress;
use super::{Conversation, Event, Failure, Limits, Next, Transport};

/// What was to come, for messages about what did not.
const EXPECTED: &str = "a DNS message";

/// What is wrong with the answer to a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Flaw {
    /// Its records cannot be read.
    Garbled,
    /// Over TCP: it answers something else.
    OfAnother,
    /// Over UDP: only answers to something else came.
    OnlyOthers {
        /// How many.
        count: u32,
        /// In this time.
        within: Duration,
    },
    /// It has a response code that is not good.
    Rcode {
        /// Which.
        got: Rcode,
        /// Which are good.
        accepted: Rcodes,
    },
    /// It lacks the expected record.
    Absent {
        /// What the record was to hold.
        expected: String,
        /// What the first records of that type hold.
        found: Vec<String>,
    },
    /// It was truncated, and what is there lacks the expected record.
    Truncated {
        /// What the record was to hold.
        expected: String,
    },
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Garbled => f.write_str("garbled answer"),
            Self::OfAnother => f.write_str("answer to another question"),
            Self::OnlyOthers { count, within } => {
                let within = duration::format(*within);
                write!(f, "no answer within {within}; {count} to other questions ignored")
            }
            Self::Rcode { got, accepted } => write!(f, "answered {got}, expected {accepted}"),
            Self::Absent { expected, found } if found.is_empty() => {
                write!(f, "answered without such a record, expected {expected}")
            }
            Self::Absent { expected, found } => {
                write!(f, "answered {}, expected {expected}", found.join(" "))
            }
            Self::Truncated { expected } => {
                write!(f, "truncated answer without {expected}; transport=tcp gets all of it")
            }
        }
    }
}

/// One question.
#[derive(Debug)]
pub struct Talk<'c> {
    check: &'c Dns,
    query: Vec<u8>,
    progress: Progress,
    limit: Duration,
    received: Vec<u8>,
    others: u32,
}

/// What carries the question.
#[must_use]
pub fn transport(check: &Dns) -> Transport {
    match check.transport {
        Carrier::Udp => Transport::Udp,
        Carrier::Tcp => Transport::Tcp,
    }
}

impl Conversation for Talk<'_> {
    fn step(&mut self, now: Mono, event: Event<'_>) -> Next {
        match event {
            Event::Started => self.progress.connect(now),
            Event::Connected => self.progress.send(now, self.request()),
            Event::Sent => self.progress.sent(),
            Event::Received(bytes) if self.progress.is_receiving() => match self.check.transport {
                Carrier::Udp => self.datagram(bytes),
                Carrier::Tcp => self.piece(bytes),
            },
            Event::Closed => Progress::closed(std::mem::take(&mut self.received), EXPECTED),
            Event::Failed(errno) => self.progress.failed(errno),
            Event::Deadline if self.others > 0 => {
                let flaw = Flaw::OnlyOthers { count: self.others, within: self.limit };
                Next::unhealthy(Failure::Dns(flaw))
            }
            Event::Deadline => self.progress.late(std::mem::take(&mut self.received), EXPECTED),
            Event::Received(_) | Event::Exited { .. } => self.progress.wait(),
        }
    }
}

impl<'c> Talk<'c> {
    /// A new conversation with a question of this number; its first event is [`Event::Started`] or [`Event::Failed`].
    #[must_use]
    pub fn new(check: &'c Dns, limits: Limits, id: u16) -> Self {
        let progress = Progress::new(transport(check), limits);
        Self { check, query: query(check, id), progress, limit: limits.step, received: Vec::new(), others: 0 }
    }

    /// The question as it is sent.
    fn request(&self) -> Vec<u8> {
        match self.check.transport {
            Carrier::Udp => self.query.clone(),
            Carrier::Tcp => {
                // A question is some hundred bytes long at most.
                let length = u16::try_from(self.query.len()).unwrap_or_default();
                [&length.to_be_bytes()[..], &self.query].concat()
            }
        }
    }

    fn datagram(&mut self, bytes: &[u8]) -> Next {
        match judge(self.check, &self.query, bytes) {
            Judgement::Good(success) => Next::healthy(success),
            Judgement::Bad(flaw) => Next::unhealthy(Failure::Dns(flaw)),
            Judgement::Strange => {
                self.others = self.others.saturating_add(1);
                self.progress.wait()
            }
        }
    }

    /// The next piece of a stream, of which the first message is the answer.
    fn piece(&mut self, bytes: &[u8]) -> Next {
        self.received.extend_from_slice(bytes);
        let [high, low, rest @ ..] = &self.received[..] else { return self.progress.wait() };
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        let Some(message) = rest.get(..length) else { return self.progress.wait() };
        match judge(self.check, &self.query, message) {
            Judgement::Good(success) => Next::healthy(success),
            Judgement::Bad(flaw) => Next::unhealthy(Failure::Dns(flaw)),
            Judgement::Strange => Next::unhealthy(Failure::Dns(Flaw::OfAnother)),
        }
    }
}

#[cfg(test)]
mod samples;

#[cfg(test)]
mod tests {
    use nix::errno::Errno;
    use proptest::prelude::*;

    use super::samples::{Answer, asked, record};
    use super::*;
    use crate::check::{Success, Verdict};

    const SECOND: Duration = Duration::from_secs(1);

    fn at(millis: u64) -> Mono {
        Mono::from_millis(millis)
    }

    fn talk(check: &Dns) -> Talk<'_> {
        Talk::new(check, Limits { connect: 2 * SECOND, step: SECOND, total: None }, 7)
    }

    /// One that has sent its question.
    fn asking(check: &Dns) -> Talk<'_> {
        let mut talk = talk(check);
        assert_eq!(talk.step(at(0), Event::Started), Next::Wait { until: at(2_000) });
        assert!(
            matches!(talk.step(at(100), Event::Connected), Next::Send { until, .. } if until == at(1_100))
        );
        assert_eq!(talk.step(at(200), Event::Sent), Next::Wait { until: at(1_100) });
        talk
    }

    fn reason(next: Next) -> String {
        match next {
            Next::Done(Verdict::Unhealthy(failure)) => failure.to_string(),
            other => panic!("{other:?}"),
        }
    }

    fn framed(message: &[u8]) -> Vec<u8> {
        [&u16::try_from(message.len()).unwrap().to_be_bytes(), message].concat()
    }

    #[test]
    fn a_datagram_of_somebody_else_changes_nothing() {
        let check = asked("dns name=a.example");
        let mut talk = asking(&check);
        let ours = query(&check, 7);
        let other = Answer::default().bytes(&query(&check, 8));
        for stranger in [&other[..], b"", &ours] {
            assert_eq!(talk.step(at(300), Event::Received(stranger)), Next::Wait { until: at(1_100) });
        }
        let late = "no answer within 1s; 3 to other questions ignored";
        assert_eq!(reason(talk.step(at(1_100), Event::Deadline)), late);

        let mut talk = asking(&check);
        talk.step(at(300), Event::Received(&other));
        let answer = Answer::default().bytes(&ours);
        assert_eq!(talk.step(at(300), Event::Received(&answer)), Next::healthy(Success::Answered));
    }

    #[test]
    fn silence_and_a_closed_port_are_told() {
        let check = asked("dns");
        assert_eq!(reason(asking(&check).step(at(1_100), Event::Deadline)), "no answer within 1s");
        let refused = Event::Failed(Errno::ECONNREFUSED);
        assert_eq!(reason(asking(&check).step(at(300), refused)), "port unreachable");
        let check = asked("dns transport=tcp");
        let mut talk = talk(&check);
        talk.step(at(0), Event::Started);
        assert_eq!(reason(talk.step(at(1), refused)), "connection refused");
    }

    #[test]
    fn in_a_stream_the_first_message_is_the_answer() {
        let check = asked("dns transport=tcp");
        let sent = match talk(&check).step(at(0), Event::Connected) {
            Next::Send { bytes, .. } => bytes,
            other => panic!("{other:?}"),
        };
        assert_eq!(sent, framed(&query(&check, 7)));
        let other = framed(&Answer::default().bytes(&query(&check, 8)));
        assert_eq!(
            reason(asking(&check).step(at(300), Event::Received(&other))),
            "answer to another question"
        );
        assert_eq!(
            reason(asking(&check).step(at(300), Event::Received(&[0, 0]))),
            "answer to another question"
        );
        assert_eq!(reason(asking(&check).step(at(300), Event::Closed)), "closed before answering");
        let mut short = asking(&check);
        short.step(at(300), Event::Received(b"\0\x0cHTTP"));
        assert_eq!(
            reason(short.step(at(400), Event::Closed)),
            r#"closed after "\x00\x0cHTTP", expected a DNS message"#
        );
        let mut slow = asking(&check);
        slow.step(at(300), Event::Received(b"\0"));
        assert_eq!(
            reason(slow.step(at(1_100), Event::Deadline)),
            r#"only "\x00" within 1s, expected a DNS message"#
        );
    }

    proptest! {
        #[test]
        fn the_pieces_of_a_stream_change_nothing(
            answers_us: bool, last in 0..4_u8, code in 0..3_u8, more: Vec<u8>, cuts: [usize; 4],
        ) {
            let check = asked("dns transport=tcp expect=10.0.0.1");
            let answer = Answer { code, records: vec![record(1, &[10, 0, 0, last])], ..Answer::default() };
            let mut stream = framed(&answer.bytes(&query(&check, if answers_us { 7 } else { 8 })));
            stream.extend(more);
            let whole = asking(&check).step(at(300), Event::Received(&stream));
            prop_assert!(matches!(whole, Next::Done(_)));
            let mut ends = cuts.map(|cut| cut % (stream.len() + 1)).to_vec();
            ends.push(stream.len());
            ends.sort_unstable();
            let (mut talk, mut begin) = (asking(&check), 0);
            for end in ends {
                match talk.step(at(300), Event::Received(&stream[begin..end])) {
                    Next::Wait { .. } => begin = end,
                    next => {
                        prop_assert_eq!(next, whole);
                        return Ok(());
                    }
                }
            }
            prop_assert!(false, "no verdict");
        }
    }
}
