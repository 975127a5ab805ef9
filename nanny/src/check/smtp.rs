//! A mail server's greeting: 220, then `EHLO` or else `HELO` and 250, then `QUIT` (RFC 5321, sections 3.1, 3.2 and 4.2).
//!
//! A reply is one line or more, each with the same kind of beginning: three digits, and `-` if another line follows. It is
//! looked at line by line, so the pieces in which it arrives change nothing. After consent the server has shown what it
//! has to: `QUIT` is said out of politeness, and whatever becomes of it, the verdict stays.

use std::fmt;

use checkspec::smtp::HeloName;
use daemonkit::clock::Mono;

use super::progress::Progress;
use super::{Conversation, Event, Failure, Limits, Next, Success, Transport};
use crate::escape::quote;

/// Longest line of a reply that is looked at; RFC 5321 allows 512 bytes, of which servers make more.
const LONGEST_LINE: usize = 2048;
/// Most lines of a reply.
const MOST_LINES: usize = 100;

/// A greeting as it was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Greeting {
    /// How this machine introduces itself.
    pub helo: HeloName,
}

/// What is wrong with a reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Flaw {
    /// It does not say what it should.
    Refused {
        /// To what it is the reply.
        to: Stage,
        /// Its last line.
        line: Vec<u8>,
    },
    /// A line is none of a reply, or longer than any.
    Strange {
        /// To what it is the reply.
        to: Stage,
        /// The line, as far as it was looked at.
        line: Vec<u8>,
    },
    /// It has more lines than any.
    Endless {
        /// To what it is the reply.
        to: Stage,
    },
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused { to, line } => write!(f, "{to} {}, expected {}", quote(line), to.code()),
            Self::Strange { to, line } => write!(f, "{to} {}, which is no SMTP", quote(line)),
            Self::Endless { to } => write!(f, "{to} of more than {MOST_LINES} lines"),
        }
    }
}

/// To what the server is to reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The connection.
    Greeting,
    /// `EHLO`.
    Ehlo,
    /// `HELO`.
    Helo,
    /// `QUIT`.
    Quit,
}

impl Stage {
    /// The code of the reply that is wanted.
    fn code(self) -> u16 {
        match self {
            Self::Greeting => 220,
            Self::Ehlo | Self::Helo => 250,
            Self::Quit => 221,
        }
    }
}

/// The reply in the middle of a sentence.
impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Greeting => "greeting",
            Self::Ehlo => "reply to EHLO",
            Self::Helo => "reply to HELO",
            Self::Quit => "reply to QUIT",
        })
    }
}

/// One greeting.
#[derive(Debug)]
pub struct Talk<'c> {
    check: &'c Greeting,
    progress: Progress,
    stage: Stage,
    /// What has come of the next line.
    received: Vec<u8>,
    /// The line before it, if that was one of the same reply.
    before: Vec<u8>,
    lines: usize,
}

impl Conversation for Talk<'_> {
    fn step(&mut self, now: Mono, event: Event<'_>) -> Next {
        match event {
            Event::Started => self.progress.connect(now),
            Event::Connected => self.progress.listen(now),
            Event::Sent => {
                let wait = self.progress.sent();
                self.read(now).unwrap_or(wait)
            }
            Event::Received(bytes) if self.progress.is_receiving() => {
                self.received.extend_from_slice(bytes);
                self.read(now).unwrap_or(self.progress.wait())
            }
            Event::Received(_) | Event::Exited { .. } => self.progress.wait(),
            Event::Closed | Event::Failed(_) | Event::Deadline if self.stage == Stage::Quit => {
                Next::healthy(Success::AsExpected)
            }
            Event::Closed => Progress::closed(self.last_words(), self.expected()),
            Event::Failed(errno) => self.progress.failed(errno),
            Event::Deadline => self.progress.late(self.last_words(), self.expected()),
        }
    }
}

impl<'c> Talk<'c> {
    /// A new conversation; its first event is [`Event::Started`] or [`Event::Failed`].
    #[must_use]
    pub fn new(check: &'c Greeting, limits: Limits) -> Self {
        let progress = Progress::new(Transport::Tcp, limits);
        Self { check, progress, stage: Stage::Greeting, received: Vec::new(), before: Vec::new(), lines: 0 }
    }

    fn expected(&self) -> String {
        self.stage.code().to_string()
    }

    /// The line that was not completed, or else the one before.
    fn last_words(&self) -> Vec<u8> {
        if self.received.is_empty() { self.before.clone() } else { self.received.clone() }
    }

    /// Looks at what has come; nothing if more is needed.
    fn read(&mut self, now: Mono) -> Option<Next> {
        loop {
            let end = self.received.iter().take(LONGEST_LINE).position(|byte| *byte == b'\n');
            let Some(end) = end else {
                let is_too_long = self.received.len() >= LONGEST_LINE;
                return is_too_long.then(|| self.strange(self.received[..LONGEST_LINE].to_vec()));
            };
            let line: Vec<u8> = self.received.drain(..=end).collect();
            self.lines += 1;
            match Line::read(&line) {
                None => return Some(self.strange(line)),
                Some(Line { is_last: false, .. }) if self.lines >= MOST_LINES => {
                    return Some(self.flawed(Flaw::Endless { to: self.stage }));
                }
                Some(Line { is_last: false, .. }) => self.before = line,
                Some(Line { code, .. }) => return Some(self.replied(now, code, line)),
            }
        }
    }

    /// A reply is complete.
    fn replied(&mut self, now: Mono, code: u16, line: Vec<u8>) -> Next {
        let is_as_wanted = code == self.stage.code();
        match self.stage {
            Stage::Quit => Next::healthy(Success::AsExpected),
            Stage::Greeting if is_as_wanted => {
                self.say(now, Stage::Ehlo, &format!("EHLO {}", self.check.helo))
            }
            Stage::Ehlo | Stage::Helo if is_as_wanted => self.say(now, Stage::Quit, "QUIT"),
            // A server that does not know a command says so with a permanent failure.
            Stage::Ehlo if code >= 500 => self.say(now, Stage::Helo, &format!("HELO {}", self.check.helo)),
            to => self.flawed(Flaw::Refused { to, line }),
        }
    }

    fn say(&mut self, now: Mono, stage: Stage, command: &str) -> Next {
        self.stage = stage;
        self.lines = 0;
        self.before.clear();
        self.progress.send(now, format!("{command}\r\n").into_bytes())
    }

    fn strange(&self, line: Vec<u8>) -> Next {
        self.flawed(Flaw::Strange { to: self.stage, line })
    }

    fn flawed(&self, flaw: Flaw) -> Next {
        match self.stage {
            Stage::Quit => Next::healthy(Success::AsExpected),
            _ => Next::unhealthy(Failure::Smtp(flaw)),
        }
    }
}

/// One line of a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Line {
    code: u16,
    is_last: bool,
}

impl Line {
    /// Reads a line with its end, be that CR LF or LF alone.
    fn read(line: &[u8]) -> Option<Self> {
        let (code, rest) = line.split_at_checked(3)?;
        let digits = code.iter().all(u8::is_ascii_digit).then(|| str::from_utf8(code).ok())??;
        let is_last = match rest.first()? {
            b'-' => false,
            b' ' | b'\r' | b'\n' => true,
            _ => return None,
        };
        Some(Self { code: digits.parse().ok()?, is_last })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use nix::errno::Errno;
    use proptest::prelude::*;

    use super::*;
    use crate::check::Verdict;

    fn at(millis: u64) -> Mono {
        Mono::from_millis(millis)
    }

    /// A server that says each of `replies` in turn, the first on its own account, in pieces that end at `cuts`, and then
    /// does `end`. What it was told, and what became of it.
    fn met(replies: &[&[u8]], cuts: &[usize], end: Event<'_>) -> (String, Verdict) {
        let check = Greeting { helo: "lb1.example.org".parse().unwrap() };
        let mut talk = Talk::new(&check, Limits::each(Duration::from_secs(1)));
        let mut told = Vec::new();
        talk.step(at(0), Event::Started);
        let mut next = talk.step(at(0), Event::Connected);
        for reply in replies {
            let mut ends: Vec<usize> = cuts.iter().map(|cut| cut % (reply.len() + 1)).collect();
            ends.push(reply.len());
            ends.sort_unstable();
            let mut begin = 0;
            for end in ends {
                if let Next::Wait { .. } = next {
                    next = talk.step(at(1), Event::Received(&reply[begin..end]));
                    begin = end;
                }
                while let Next::Send { bytes, until } = &next {
                    assert_eq!(*until, at(1_001), "each command has its own time");
                    told.extend_from_slice(bytes);
                    next = talk.step(at(1), Event::Sent);
                }
            }
        }
        if let Next::Wait { .. } = next {
            next = talk.step(at(2), end);
        }
        match next {
            Next::Done(verdict) => (String::from_utf8(told).unwrap(), verdict),
            other => panic!("{other:?}"),
        }
    }

    fn reason(replies: &[&[u8]], end: Event<'_>) -> String {
        match met(replies, &[], end).1 {
            Verdict::Unhealthy(failure) => failure.to_string(),
            other => panic!("{other:?}"),
        }
    }

    const HEALTHY: Verdict = Verdict::Healthy(Success::AsExpected);
    const HELLO: &[u8] = b"250-mail\r\n250-PIPELINING\r\n250 HELP\r\n";

    #[test]
    fn a_server_that_greets_and_consents_is_told_good_bye() {
        let (told, verdict) =
            met(&[b"220-mail\r\n220 ready\r\n", HELLO, b"221 bye\r\n"], &[], Event::Deadline);
        assert_eq!((&*told, verdict), ("EHLO lb1.example.org\r\nQUIT\r\n", HEALTHY));
    }

    #[test]
    fn one_that_does_not_know_ehlo_is_told_helo() {
        let replies: [&[u8]; 4] = [b"220 mail\n", b"502 what?\n", b"250\n", b"221 bye\n"];
        let (told, verdict) = met(&replies, &[], Event::Deadline);
        assert_eq!(told, "EHLO lb1.example.org\r\nHELO lb1.example.org\r\nQUIT\r\n");
        assert_eq!(verdict, HEALTHY);
        let neither: [&[u8]; 3] = [b"220 mail\r\n", b"500 what?\r\n", b"550 go away\r\n"];
        assert_eq!(reason(&neither, Event::Closed), r#"reply to HELO "550 go away", expected 250"#);
    }

    #[test]
    fn what_becomes_of_the_good_bye_does_not_matter() {
        let reset = Event::Failed(Errno::ECONNRESET);
        for end in [Event::Closed, reset, Event::Deadline] {
            assert_eq!(met(&[b"220 m\r\n", HELLO], &[], end).1, HEALTHY, "{end:?}");
        }
        for last in [&b"421 too late\r\n"[..], b"nonsense\r\n", &[b'x'; 3_000]] {
            assert_eq!(met(&[b"220 m\r\n", HELLO, last], &[], Event::Closed).1, HEALTHY);
        }
    }

    #[test]
    fn refusals_are_quoted() {
        for (replies, text) in [
            (&[&b"421 mail too busy\r\n"[..]][..], r#"greeting "421 mail too busy", expected 220"#),
            (&[b"554-no\r\n554 not for you\r\n"], r#"greeting "554 not for you", expected 220"#),
            (&[b"220 mail\r\n", b"451 later\r\n"], r#"reply to EHLO "451 later", expected 250"#),
            (&[b"250 mail\r\n"], r#"greeting "250 mail", expected 220"#),
        ] {
            assert_eq!(reason(replies, Event::Closed), text);
        }
    }

    #[test]
    fn what_is_no_reply_is_told_so() {
        for line in
            [&b"HTTP/1.1 400 Bad Request\r\n"[..], b"2200 mail\r\n", b"22\r\n", b"\r\n", b"22x mail\r\n"]
        {
            let quoted = quote(line);
            assert_eq!(reason(&[line], Event::Closed), format!("greeting {quoted}, which is no SMTP"));
        }
        let flood = [b'x'; 2 * LONGEST_LINE];
        let quoted = format!("\"{}\"…", "x".repeat(60));
        assert_eq!(reason(&[&flood], Event::Closed), format!("greeting {quoted}, which is no SMTP"));
        let endless = b"220-more\r\n".repeat(MOST_LINES);
        assert_eq!(reason(&[&endless], Event::Closed), "greeting of more than 100 lines");
        let long = [&endless[10..], b"220 done\r\n"].concat();
        assert_eq!(met(&[&long, HELLO], &[], Event::Closed).1, HEALTHY);
    }

    #[test]
    fn an_end_in_the_middle_is_told_with_the_last_words() {
        assert_eq!(reason(&[], Event::Closed), "closed before answering");
        assert_eq!(reason(&[], Event::Deadline), "no answer within 1s");
        assert_eq!(reason(&[b"220 ma"], Event::Deadline), r#"only "220 ma" within 1s, expected 220"#);
        assert_eq!(reason(&[b"220-mail\r\n"], Event::Closed), r#"closed after "220-mail", expected 220"#);
        let reset = Event::Failed(Errno::ECONNRESET);
        assert_eq!(reason(&[b"220 mail\r\n"], reset), "receiving failed: connection reset by peer");
    }

    #[test]
    fn a_server_that_talks_out_of_turn_is_heard_in_turn() {
        let (told, verdict) = met(&[b"220 mail\r\n250 hello\r\n221 bye\r\n"], &[], Event::Deadline);
        assert_eq!((&*told, verdict), ("EHLO lb1.example.org\r\nQUIT\r\n", HEALTHY));
    }

    proptest! {
        #[test]
        fn the_pieces_of_a_reply_change_nothing(
            lines in prop::collection::vec("(220|250|554|42)[- x]?[a-z]{0,3}\r?\n?", 0..5), cuts: [usize; 4],
        ) {
            let stream = lines.concat();
            let whole = met(&[stream.as_bytes()], &[], Event::Closed);
            prop_assert_eq!(met(&[stream.as_bytes()], &cuts, Event::Closed), whole);
        }

        #[test]
        fn any_bytes_end_in_a_verdict(greeting: Vec<u8>, reply: Vec<u8>) {
            met(&[&greeting, &reply], &[], Event::Closed);
            met(&[b"220 m\r\n", &reply], &[], Event::Closed);
        }
    }
}
