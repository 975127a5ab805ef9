//! Connect, then send and expect, step by step: over TCP, UDP or SCTP.
//!
//! ```text
//!  Started -> wait for the connection -> Connected -> step -> step -> ... -> verdict
//!               send: until Sent      expect: until what came is as expected
//! ```
//!
//! The connection has its limit; from there on each answer has one, which includes sending what is asked for. What of a
//! stream a step looks at, [`answer`](super::answer) says. UDP has no connection: a reply is the only proof of life,
//! unless it is said that silence is good, and what the server's machine says of a closed port (ICMP) ends the wait. Each
//! datagram is an answer of its own.

use std::fmt;

use daemonkit::clock::Mono;
use nix::errno::Errno;

use super::answer::Answer;
use super::{Conversation, Event, Failure, Limits, Next, Success, Transport, Verdict};
use crate::escape::excerpt;
use crate::expect::{Expect, Judgement, LIMIT};

/// An exchange as it was asked for.
#[derive(Debug, Clone)]
pub struct Exchange {
    /// How the bytes travel.
    pub transport: Transport,
    /// What is done once the connection stands, in this order. Without any the connection is enough, but for UDP, where
    /// at the end some datagram must have come.
    pub steps: Vec<Step>,
    /// Whether it is good when nothing comes at the end. Only for datagrams of which nothing is expected.
    pub silence_is_up: bool,
}

/// One step.
#[derive(Debug, Clone)]
pub enum Step {
    /// These bytes, of which there is at least one, are sent.
    Send(Vec<u8>),
    /// What comes must be so.
    Expect(Expect),
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Send(bytes) => write!(f, "send {}", excerpt(bytes)),
            Self::Expect(expect) => write!(f, "expect {expect}"),
        }
    }
}

impl Exchange {
    /// One request, if there is anything to send, and one answer, if anything is expected.
    #[must_use]
    pub fn ask(transport: Transport, send: Vec<u8>, expect: Option<Expect>) -> Self {
        let send = Some(send).filter(|send| !send.is_empty()).map(Step::Send);
        let steps = send.into_iter().chain(expect.map(Step::Expect)).collect();
        Self { transport, steps, silence_is_up: false }
    }

    fn expects(&self) -> impl Iterator<Item = &Expect> {
        self.steps.iter().filter_map(|step| match step {
            Step::Expect(expect) => Some(expect),
            Step::Send(_) => None,
        })
    }

    /// What it means when all steps are done.
    fn success(&self) -> Success {
        if self.steps.is_empty() {
            Success::Connected
        } else if self.expects().next().is_none() {
            Success::Sent
        } else if self.expects().all(|expect| matches!(expect, Expect::Anything)) {
            Success::Answered
        } else {
            Success::AsExpected
        }
    }
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
    /// The step under way, once the connection stands.
    at: usize,
    until: Mono,
    answer: Answer,
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
                self.go_on(now)
            }
            (Phase::Sending, Event::Sent) => {
                self.at += 1;
                self.go_on(now)
            }
            (Phase::Receiving, Event::Received(bytes)) => self.received(now, bytes),
            (Phase::Receiving, Event::Closed) => self.closed(now),
            (_, Event::Failed(errno)) => self.failed(errno),
            (_, Event::Deadline) => self.too_late(),
            _ => self.wait(),
        }
    }

    fn done(&self) -> usize {
        self.at
    }

    fn steps(&self) -> Vec<String> {
        self.check.steps.iter().map(ToString::to_string).collect()
    }
}

impl<'c> Talk<'c> {
    /// A new conversation; its first event is [`Event::Started`] or [`Event::Failed`].
    #[must_use]
    pub fn new(check: &'c Exchange, limits: Limits) -> Self {
        let answer = Answer::default();
        Self { check, limits, phase: Phase::Connecting, at: 0, until: Mono::ZERO, answer }
    }

    fn wait(&self) -> Next {
        Next::Wait { until: self.until }
    }

    fn has_datagrams(&self) -> bool {
        self.check.transport == Transport::Udp
    }

    fn expect(&self) -> Option<&'c Expect> {
        match self.check.steps.get(self.at) {
            Some(Step::Expect(expect)) => Some(expect),
            Some(Step::Send(_)) | None => None,
        }
    }

    /// Does all steps that can be done without waiting.
    fn go_on(&mut self, now: Mono) -> Next {
        loop {
            match self.check.steps.get(self.at) {
                None => return self.end(),
                Some(Step::Send(bytes)) => {
                    self.phase = Phase::Sending;
                    self.answer.ask();
                    return Next::Send { bytes: bytes.clone(), until: self.until };
                }
                Some(Step::Expect(expect)) => {
                    self.phase = Phase::Receiving;
                    if self.answer.is_empty() || self.has_datagrams() {
                        return self.wait();
                    }
                    match self.answer.judge(expect) {
                        Judgement::Matches => self.is_met(now, expect),
                        Judgement::Undecided => return self.wait(),
                        Judgement::Fails => return self.is_wrong(expect),
                    }
                }
            }
        }
    }

    fn end(&mut self) -> Next {
        if self.has_datagrams() && self.check.expects().next().is_none() {
            self.phase = Phase::Receiving;
            return self.wait();
        }
        Next::healthy(self.check.success())
    }

    fn is_met(&mut self, now: Mono, expect: &Expect) {
        self.at += 1;
        self.until = now + self.limits.step;
        // What else came before something is sent, or at the end, is of no interest.
        if self.expect().is_some() {
            self.answer.take(expect);
        }
    }

    fn is_wrong(&mut self, expect: &Expect) -> Next {
        let (got, expected) = (self.answer.give(), expect.to_string());
        let is_long = got.len() >= LIMIT;
        self.unhealthy(if is_long {
            Failure::TooLong { got, expected }
        } else {
            Failure::Mismatch { got, expected }
        })
    }

    fn received(&mut self, now: Mono, bytes: &[u8]) -> Next {
        if !self.has_datagrams() {
            self.answer.add(bytes);
            return self.go_on(now);
        }
        let Some(expect) = self.expect() else { return Next::healthy(Success::Answered) };
        if !expect.accepts(bytes) {
            self.answer.add(bytes);
            return self.is_wrong(expect);
        }
        self.at += 1;
        self.until = now + self.limits.step;
        self.go_on(now)
    }

    fn closed(&mut self, now: Mono) -> Next {
        let Some(expect) = self.expect() else { return self.wait() };
        if self.answer.is_whole(expect) {
            self.is_met(now, expect);
            return self.go_on(now);
        }
        let got = self.answer.give();
        self.unhealthy(if got.is_empty() {
            Failure::Closed
        } else {
            Failure::ClosedAfter { got, expected: expect.to_string() }
        })
    }

    fn failed(&self, errno: Errno) -> Next {
        if self.has_datagrams() && errno == Errno::ECONNREFUSED {
            return Next::unhealthy(Failure::PortUnreachable);
        }
        let verdict = match self.phase {
            Phase::Connecting => Verdict::failed("connect", errno, Failure::Connect),
            Phase::Sending => Verdict::failed("send", errno, Failure::Send),
            Phase::Receiving => Verdict::failed("receive", errno, Failure::Receive),
        };
        match verdict {
            Verdict::Unhealthy(failure) => self.unhealthy(failure),
            verdict => Next::Done(verdict),
        }
    }

    fn too_late(&mut self) -> Next {
        let within = self.limits.step;
        if self.phase == Phase::Connecting {
            return Next::unhealthy(Failure::ConnectTimeout(self.limits.connect));
        }
        let Some(expect) = self.expect() else {
            return match self.phase {
                Phase::Sending => self.unhealthy(Failure::SendTimeout(within)),
                _ if self.check.silence_is_up => Next::healthy(Success::Silent),
                _ => Next::unhealthy(Failure::NoAnswer(within)),
            };
        };
        let got = self.answer.give();
        self.unhealthy(if got.is_empty() {
            Failure::NoAnswer(within)
        } else {
            Failure::Incomplete { within, got, expected: expect.to_string() }
        })
    }

    /// A failure, with the step that it came at if the exchange has more than a request and its answer.
    fn unhealthy(&self, failure: Failure) -> Next {
        let is_dialogue = self.phase != Phase::Connecting && self.check.expects().nth(1).is_some();
        Next::unhealthy(if is_dialogue {
            let (step, of) = (self.at + 1, self.check.steps.len());
            Failure::InStep { step, of, failure: Box::new(failure) }
        } else {
            failure
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use checkspec::program::Surroundings;

    use super::*;

    fn tcp(send: &str, expect: Option<Expect>) -> Exchange {
        Exchange::ask(Transport::Tcp, send.into(), expect)
    }

    fn talk(check: &Exchange) -> Talk<'_> {
        Talk::new(check, Limits::each(Duration::from_secs(2)))
    }

    fn here() -> Surroundings<'static> {
        Surroundings { server: ([10, 2, 0, 11], 80).into(), service: "-", weight: 1 }
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
        let udp = |expect| Exchange::ask(Transport::Udp, b"q".into(), expect);
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

    fn steps(text: &str) -> Exchange {
        match super::super::asked::kind(text.parse().unwrap(), here()) {
            Ok(super::super::Kind::Exchange(exchange)) => exchange,
            other => panic!("{other:?}"),
        }
    }

    /// What comes of a connection at 0 and of `events`, one each 100 ms: what is sent, and the verdict.
    fn dialogue(check: &Exchange, events: &[Event<'_>]) -> (Vec<u8>, Option<Verdict>) {
        let (mut conversation, mut sent) = (talk(check), Vec::new());
        let mut next = conversation.step(at(0), Event::Started);
        let mut events = [Event::Connected].iter().chain(events);
        for millis in (0..).step_by(100) {
            next = match next {
                Next::Send { bytes, .. } => {
                    sent.extend(bytes);
                    conversation.step(at(millis), Event::Sent)
                }
                Next::Wait { .. } => match events.next() {
                    Some(event) => conversation.step(at(millis), *event),
                    None => break,
                },
                Next::Reconnect => panic!("one connection is all it has"),
                Next::Done(verdict) => return (sent, Some(verdict)),
            };
        }
        (sent, None)
    }

    fn reason(verdict: Option<Verdict>) -> String {
        match verdict {
            Some(Verdict::Healthy(success)) => success.to_string(),
            Some(Verdict::Unhealthy(failure)) => failure.to_string(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_dialogue_sends_each_request_after_the_answer_to_the_one_before() {
        let check =
            steps(r#"tcp expect="220 " send="NOOP\r\n" expect="250" send=QUIT\r\n regex="^221 .*bye""#);
        let said = [b"22".as_slice(), b"0 re", b"ady\r\n", b"250 ok\r\n", b"221 good", b"bye\r\n"];
        let events = said.map(Event::Received);
        let (sent, verdict) = dialogue(&check, &events);
        assert_eq!(sent, b"NOOP\r\nQUIT\r\n");
        assert_eq!(verdict, Some(Verdict::Healthy(Success::AsExpected)));
        let (sent, verdict) =
            dialogue(&check, &[events[0], Event::Received(b"0 ready\r\n"), Event::Received(b"500 no")]);
        assert_eq!(sent, b"NOOP\r\n");
        assert_eq!(reason(verdict), r#"step 3 of 5: answer begins with "500 no", expected "250""#);
    }

    #[test]
    fn each_answer_of_a_dialogue_has_its_own_limit() {
        let check = steps("tcp expect=a expect=b send=c expect=d");
        let mut conversation = talk(&check);
        conversation.step(at(0), Event::Started);
        assert_eq!(conversation.step(at(10), Event::Connected), Next::Wait { until: at(2_010) });
        assert_eq!(conversation.step(at(1_000), Event::Received(b"a")), Next::Wait { until: at(3_000) });
        let send = Next::Send { bytes: b"c".into(), until: at(4_500) };
        assert_eq!(conversation.step(at(2_500), Event::Received(b"b")), send);
        let Next::Done(verdict) = conversation.step(at(4_500), Event::Deadline) else { panic!("not done") };
        assert_eq!(reason(Some(verdict)), "step 3 of 4: request not taken within 2s");
    }

    #[test]
    fn an_answer_that_must_be_all_is_judged_when_the_stream_ends() {
        let check = steps("tcp send=q equals=OK");
        let outcome = |events: &[Event<'_>]| reason(dialogue(&check, events).1);
        let ok = [Event::Received(b"O"), Event::Received(b"K"), Event::Closed];
        assert_eq!(outcome(&ok), "answered as expected");
        assert_eq!(dialogue(&check, &ok[..2]).1, None);
        assert_eq!(outcome(&[ok[0], Event::Closed]), r#"closed after "O", expected exactly "OK""#);
        assert_eq!(outcome(&[Event::Closed]), "closed before answering");
        assert_eq!(outcome(&[Event::Received(b"OK\n")]), r#"answer begins with "OK", expected exactly "OK""#);
        assert_eq!(outcome(&[ok[0], Event::Deadline]), r#"only "O" within 2s, expected exactly "OK""#);
        let nothing = steps("tcp equals=");
        assert_eq!(reason(dialogue(&nothing, &[Event::Closed]).1), "answered as expected");
    }

    #[test]
    fn each_datagram_is_an_answer_of_its_own() {
        let check = steps("udp send=a expect=1 send=b contains=2 equals=3");
        let two = [Event::Received(b"1 2 3"), Event::Received(b"x2y")];
        let (sent, verdict) = dialogue(&check, &[two[0], two[1], Event::Received(b"3")]);
        assert_eq!((sent.as_slice(), reason(verdict).as_str()), (&b"ab"[..], "answered as expected"));
        let (_, verdict) = dialogue(&check, &[two[0], two[1], Event::Received(b"33")]);
        assert_eq!(reason(verdict), r#"step 5 of 5: answer begins with "33", expected exactly "3""#);
    }

    #[test]
    fn silence_is_good_only_where_it_is_said_and_never_when_the_port_is_closed() {
        let check = steps("udp send=a silence=up");
        let outcome = |event| reason(dialogue(&check, &[event]).1);
        assert_eq!(outcome(Event::Deadline), "took the datagram and did not refuse it");
        assert_eq!(outcome(Event::Received(b"")), "answered");
        assert_eq!(outcome(Event::Failed(Errno::ECONNREFUSED)), "port unreachable");
        assert_eq!(reason(dialogue(&steps("udp send=a"), &[Event::Deadline]).1), "no answer within 2s");
    }
}
