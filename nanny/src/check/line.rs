//! Connect, perhaps send something, and take one line, whatever it says: how agents are asked.
//!
//! The line ends with a line feed or with the connection. Each of the two steps has its limit; an answer that goes on
//! without an end of line is cut at [`LONGEST`] bytes.

use daemonkit::clock::Mono;

use super::progress::Progress;
use super::{Conversation, Event, Failure, Limits, Next, Success, Transport};

/// Most bytes of a line that are taken.
pub const LONGEST: usize = 1024;

/// A question.
#[derive(Debug, Clone)]
pub struct LineCheck {
    /// What is sent first; empty for nothing.
    pub send: Vec<u8>,
}

/// One question.
#[derive(Debug)]
pub struct Talk<'c> {
    check: &'c LineCheck,
    progress: Progress,
    line: Vec<u8>,
}

impl Conversation for Talk<'_> {
    fn step(&mut self, now: Mono, event: Event<'_>) -> Next {
        match event {
            Event::Started => self.progress.connect(now),
            Event::Connected if self.check.send.is_empty() => self.progress.listen(now),
            Event::Connected => self.progress.send(now, self.check.send.clone()),
            Event::Sent => self.progress.sent(),
            Event::Received(bytes) if self.progress.is_receiving() => {
                let room = LONGEST.saturating_sub(self.line.len());
                self.line.extend_from_slice(&bytes[..bytes.len().min(room)]);
                let is_done = self.line.contains(&b'\n') || self.line.len() >= LONGEST;
                if is_done { Next::healthy(Success::Answered) } else { self.progress.wait() }
            }
            Event::Closed if self.line.is_empty() => Next::unhealthy(Failure::Closed),
            Event::Closed => Next::healthy(Success::Answered),
            Event::Failed(errno) => self.progress.failed(errno),
            Event::Deadline => self.progress.late(std::mem::take(&mut self.line), "the end of a line"),
            _ => self.progress.wait(),
        }
    }

    fn answer(&self) -> &[u8] {
        &self.line
    }
}

impl<'c> Talk<'c> {
    /// A new conversation; its first event is [`Event::Started`] or [`Event::Failed`].
    #[must_use]
    pub fn new(check: &'c LineCheck, limits: Limits) -> Self {
        Self { check, progress: Progress::new(Transport::Tcp, limits), line: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use nix::errno::Errno;

    use super::super::Verdict;
    use super::*;

    const LIMITS: Limits =
        Limits { connect: Duration::from_secs(1), step: Duration::from_secs(2), total: None };

    /// What comes of a connection and `events`: what was taken, and the verdict.
    fn asked(send: &str, events: &[Event<'_>]) -> (Vec<u8>, Option<Verdict>) {
        let check = LineCheck { send: send.into() };
        let mut talk = Talk::new(&check, LIMITS);
        let mut verdict = None;
        for event in [Event::Started].iter().chain(events) {
            if let Next::Done(done) = talk.step(Mono::ZERO, *event) {
                verdict = Some(done);
                break;
            }
        }
        (talk.answer().to_vec(), verdict)
    }

    const ANSWERED: Option<Verdict> = Some(Verdict::Healthy(Success::Answered));

    #[test]
    fn a_line_ends_with_its_feed_or_the_connection() {
        let pieces = [Event::Connected, Event::Received(b"up 7"), Event::Received(b"5%\n")];
        assert_eq!(asked("", &pieces), (b"up 75%\n".to_vec(), ANSWERED));
        let closed = [Event::Connected, Event::Received(b"up"), Event::Closed];
        assert_eq!(asked("", &closed), (b"up".to_vec(), ANSWERED));
        let asks = [Event::Connected, Event::Sent, Event::Received(b"ready\n")];
        assert_eq!(asked("state\n", &asks).1, ANSWERED);
    }

    #[test]
    fn an_endless_line_is_cut() {
        let flood = [b'x'; 4096];
        let (line, verdict) = asked("", &[Event::Connected, Event::Received(&flood)]);
        assert_eq!((line.len(), verdict), (LONGEST, ANSWERED));
    }

    #[test]
    fn an_agent_that_says_nothing_is_told_apart() {
        let failed = |failure| Some(Verdict::Unhealthy(failure));
        assert_eq!(asked("", &[Event::Connected, Event::Closed]).1, failed(Failure::Closed));
        let silence = failed(Failure::NoAnswer(LIMITS.step));
        assert_eq!(asked("", &[Event::Connected, Event::Deadline]).1, silence);
        assert_eq!(asked("", &[Event::Deadline]).1, failed(Failure::ConnectTimeout(LIMITS.connect)));
        let refused = Event::Failed(Errno::ECONNREFUSED);
        assert_eq!(asked("", &[refused]).1, failed(Failure::Connect(Errno::ECONNREFUSED)));
        assert!(matches!(asked("", &[Event::Failed(Errno::EMFILE)]).1, Some(Verdict::Unknown(_))));
    }
}
