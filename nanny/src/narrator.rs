//! A conversation that is told to whoever looks on, as it goes: `nanny -n -v`.
//!
//! ```text
//! after 0.4ms: connected
//! after 0.9ms: received 18 bytes "220 mail1 ready\r\n"
//! after 0.9ms: step 1 of 3 done: expect "220 "
//! ```
//!
//! Decided here is what that looks like: everything is escaped and short, whatever the server says.

use std::fmt;
use std::time::Duration;

use daemonkit::clock::Mono;

use crate::check::{Conversation, Event, Next, Verdict};
use crate::escape::excerpt;

/// A conversation that goes its way and is told.
#[derive(Debug)]
pub struct Narrated<'c> {
    inner: Box<dyn Conversation + 'c>,
    narrator: Narrator,
}

impl<'c> Narrated<'c> {
    /// Tells `inner`.
    #[must_use]
    pub fn new(inner: Box<dyn Conversation + 'c>) -> Self {
        let narrator = Narrator { steps: inner.steps(), ..Narrator::default() };
        Self { inner, narrator }
    }
}

impl Conversation for Narrated<'_> {
    fn step(&mut self, now: Mono, event: Event<'_>) -> Next {
        let happened = self.narrator.event(now, event);
        let next = self.inner.step(now, event);
        let followed = self.narrator.next(now, &next, self.inner.done());
        for line in happened.into_iter().chain(followed) {
            tracing::debug!("{line}");
        }
        next
    }

    fn done(&self) -> usize {
        self.inner.done()
    }

    fn steps(&self) -> Vec<String> {
        self.inner.steps()
    }
}

/// What is said of a conversation.
#[derive(Debug, Default)]
struct Narrator {
    steps: Vec<String>,
    done: usize,
    started: Option<Mono>,
    is_connected: bool,
    sending: Vec<u8>,
}

impl Narrator {
    fn line(&self, now: Mono, what: impl fmt::Display) -> String {
        let after = self.started.map_or(Duration::ZERO, |started| now.since(started));
        format!("after {:.1}ms: {what}", after.as_secs_f64() * 1000.0)
    }

    /// What has happened.
    fn event(&mut self, now: Mono, event: Event<'_>) -> Option<String> {
        let what = match event {
            Event::Started => {
                self.started.get_or_insert(now);
                return None;
            }
            Event::Connected => {
                self.is_connected = true;
                "connected".to_owned()
            }
            Event::Sent => format!("sent {}", some(&std::mem::take(&mut self.sending))),
            Event::Received(bytes) => format!("received {}", some(bytes)),
            Event::Closed => "the server closed the connection".to_owned(),
            Event::Failed(errno) => format!("failed: {}", errno.desc()),
            Event::Exited { exit, said: b"" } => format!("the program {exit}"),
            Event::Exited { exit, said } => format!("the program {exit}; standard error: {}", some(said)),
            Event::Deadline => "the time is over".to_owned(),
        };
        Some(self.line(now, what))
    }

    /// What follows from it, when so many steps are done.
    fn next(&mut self, now: Mono, next: &Next, done: usize) -> Vec<String> {
        let before = std::mem::replace(&mut self.done, done);
        let mut lines: Vec<String> = (before..done).map(|step| self.step(now, step, "done")).collect();
        match next {
            Next::Send { bytes, .. } => self.sending.clone_from(bytes),
            Next::Done(Verdict::Unhealthy(_)) if self.is_connected && done < self.steps.len() => {
                lines.push(self.step(now, done, "failed"));
            }
            _ => {}
        }
        lines
    }

    fn step(&self, now: Mono, step: usize, outcome: &str) -> String {
        let text = self.steps.get(step).map_or("", String::as_str);
        self.line(now, format_args!("step {} of {} {outcome}: {text}", step + 1, self.steps.len()))
    }
}

/// `6 bytes "QUIT\r\n"`.
fn some(bytes: &[u8]) -> String {
    let unit = if bytes.len() == 1 { "byte" } else { "bytes" };
    format!("{} {unit} {}", bytes.len(), excerpt(bytes))
}

#[cfg(test)]
mod tests {
    use daemonkit::children::Exit;
    use nix::errno::Errno;

    use super::*;
    use crate::check::{Failure, Success};

    fn narrator(steps: &[&str]) -> Narrator {
        Narrator { steps: steps.iter().map(|step| (*step).to_owned()).collect(), ..Narrator::default() }
    }

    fn at(millis: u64) -> Mono {
        Mono::from_millis(millis)
    }

    #[test]
    fn a_dialogue_reads_as_it_goes() {
        let mut narrator = narrator(&["expect \"220 \"", "send \"QUIT\\r\\n\"", "expect \"221 \""]);
        let mut story = Vec::new();
        let mut tell = |now, event, next: Next, done| {
            story.extend(narrator.event(now, event));
            story.extend(narrator.next(now, &next, done));
        };
        let wait = || Next::Wait { until: at(99) };
        let send = Next::Send { bytes: b"QUIT\r\n".into(), until: at(99) };
        tell(at(10), Event::Started, wait(), 0);
        tell(at(11), Event::Connected, wait(), 0);
        tell(at(13), Event::Received(b"220 ready\r\n"), send, 1);
        tell(at(13), Event::Sent, wait(), 2);
        tell(at(23), Event::Received(b"\xff"), Next::Done(Verdict::Unhealthy(Failure::Closed)), 2);
        assert_eq!(
            story,
            [
                "after 1.0ms: connected",
                r#"after 3.0ms: received 11 bytes "220 ready\r\n""#,
                r#"after 3.0ms: step 1 of 3 done: expect "220 ""#,
                r#"after 3.0ms: sent 6 bytes "QUIT\r\n""#,
                r#"after 3.0ms: step 2 of 3 done: send "QUIT\r\n""#,
                r#"after 13.0ms: received 1 byte "\xff""#,
                r#"after 13.0ms: step 3 of 3 failed: expect "221 ""#,
            ]
        );
    }

    #[test]
    fn what_ends_a_conversation_is_told() {
        let line = |event| narrator(&[]).event(at(0), event).unwrap();
        assert_eq!(line(Event::Failed(Errno::ECONNREFUSED)), "after 0.0ms: failed: Connection refused");
        assert_eq!(line(Event::Closed), "after 0.0ms: the server closed the connection");
        assert_eq!(line(Event::Deadline), "after 0.0ms: the time is over");
        let exit = Exit::Status(1);
        let said = r#"after 0.0ms: the program exited with status 1; standard error: 4 bytes "no!\n""#;
        assert_eq!(line(Event::Exited { exit, said: b"no!\n" }), said);
        assert_eq!(line(Event::Exited { exit, said: b"" }), "after 0.0ms: the program exited with status 1");
    }

    #[test]
    fn a_refused_connection_is_no_failed_step() {
        let mut narrator = narrator(&["expect \"220 \""]);
        let refused = Next::Done(Verdict::Unhealthy(Failure::Closed));
        assert!(narrator.next(at(0), &refused, 0).is_empty());
        let good = Next::Done(Verdict::Healthy(Success::AsExpected));
        assert_eq!(narrator.next(at(0), &good, 1).len(), 1);
    }
}
