//! What a stand-in for a real server has to answer so that the file's check of it passes and a client can tell who
//! answered. Pure.
//!
//! Candidates are made from the `send` and `expect` of the file, the obvious ones first, and judged by the monitor's
//! own rule ([`nanny::expect`]); the first that satisfies every check of the port is taken.

use lvs_config::model::{Check, Protocol};
use nanny::{
    escape::translate,
    expect::{Expect, Judgement},
};
use regex_syntax::hir::{Class, Hir, HirKind};
use serde::{Deserialize, Serialize};

/// What stands before the name of the server in every answer.
pub(crate) const MARKER: &str = "served by ";
/// Stands in a candidate where the server's name goes; no byte of a text file.
const HOLE: u8 = 0;
/// The port that is checked by HTTP when the file says nothing, as the monitor has it.
const HTTP_PORT: u16 = 80;

/// An answer, with a place for the server's name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Answer {
    template: Vec<u8>,
    /// Whether the server speaks before it is asked, as mail servers do.
    pub(crate) speaks_first: bool,
}

impl Answer {
    /// The answer of the server of this name.
    pub(crate) fn of(&self, server: &str) -> Vec<u8> {
        let mut answer = Vec::new();
        for byte in &self.template {
            match *byte {
                HOLE => answer.extend_from_slice(format!("{MARKER}{server}\n").as_bytes()),
                other => answer.push(other),
            }
        }
        answer
    }
}

/// How one virtual server checks a port of a real server.
#[derive(Debug)]
pub(crate) struct Wish {
    send: Vec<u8>,
    expect: Option<Expect>,
    /// The text of `expect`, as the monitor sees it.
    text: Vec<u8>,
    udp: bool,
}

impl Wish {
    /// Reads a check of a virtual server with this protocol and port.
    ///
    /// # Errors
    /// When the expression of `expect` is not one, or the check is one of those that stand-ins know nothing of.
    pub(crate) fn new(check: &Check, protocol: Protocol, virtual_port: u16) -> Result<Self, String> {
        if let Some(spec) = &check.spec {
            return Err(format!("stand-ins cannot answer `check = {spec}`"));
        }
        let bytes = |text: &Option<String>| translate(text.as_deref().unwrap_or_default().as_bytes());
        let (mut send, mut text) = (bytes(&check.send), bytes(&check.expect));
        let udp = protocol == Protocol::Udp;
        let says_nothing = check.send.is_none() && check.expect.is_none();
        if says_nothing && virtual_port == HTTP_PORT && !udp {
            (send, text) = (b"GET / HTTP/1.0\r\n\r\n".to_vec(), b"HTTP".to_vec());
        }
        let expect = match text.as_slice() {
            [] => None,
            _ if check.use_regex => {
                Some(Expect::pattern(&text).map_err(|why| format!("its expression: {why}"))?)
            }
            b"*" => Some(Expect::Anything),
            _ => Some(Expect::Literal(text.clone())),
        };
        Ok(Self { send, expect, text, udp })
    }

    fn accepts(&self, answer: &[u8]) -> bool {
        match &self.expect {
            None => true,
            Some(expect) if self.udp => expect.accepts(answer),
            Some(expect) => expect.judge(answer) == Judgement::Matches,
        }
    }

    fn is_http(&self) -> bool {
        let asks = self.send.split(|byte| *byte == b'\n').next().unwrap_or_default();
        asks.windows(5).any(|word| word == b"HTTP/") || self.text.starts_with(b"HTTP")
    }

    /// Whether the server has to speak before it hears anything.
    fn waits_silently(&self) -> bool {
        !self.udp && self.send.is_empty() && self.expect.is_some()
    }

    /// Answers that may do, each with a hole for the name.
    fn candidates(&self) -> Vec<Vec<u8>> {
        let sample = match &self.expect {
            Some(Expect::Pattern { .. }) => sample(&self.text),
            Some(Expect::Literal(text) | Expect::Contains(text) | Expect::Equals(text)) => Some(text.clone()),
            Some(Expect::Anything) | None => Some(Vec::new()),
        };
        let Some(sample) = sample else { return Vec::new() };
        let without_hole: Vec<u8> = sample.iter().copied().filter(|byte| *byte != HOLE).collect();
        let mut found = Vec::new();
        if self.is_http() || (!self.udp && self.expect.is_none()) {
            found.push(http(b"HTTP/1.1 200 OK\r\n", b""));
            found.push(http(b"HTTP/1.0 200 OK\r\n", b""));
            found.push(http(b"HTTP/1.1 200 OK\r\n", &without_hole));
            let end: &[u8] = if without_hole.ends_with(b"\n") { b"" } else { b"\r\n" };
            found.push(http(&[&without_hole, end].concat(), b""));
        }
        let blank = if without_hole.last().is_none_or(u8::is_ascii_whitespace) { "" } else { " " };
        found.push([&without_hole, blank.as_bytes(), &[HOLE]].concat());
        if sample.contains(&HOLE) {
            found.push(sample);
        }
        found.push([&[HOLE][..], &without_hole].concat());
        found
    }
}

/// The answer with which every check of a port passes.
///
/// # Errors
/// When no answer that names the server is found.
pub(crate) fn answer(wishes: &[Wish]) -> Result<Answer, String> {
    let speaks_first = wishes.iter().any(Wish::waits_silently);
    let candidates = wishes.iter().flat_map(Wish::candidates);
    let fits = |template: &Vec<u8>| {
        let answer = Answer { template: template.clone(), speaks_first }.of("name");
        wishes.iter().all(|wish| wish.accepts(&answer))
    };
    // One hole: the client looks at the first name.
    let named = |template: &Vec<u8>| template.iter().filter(|byte| **byte == HOLE).count() == 1;
    let template = candidates.into_iter().filter(named).find(fits).ok_or_else(|| {
        let texts: Vec<String> =
            wishes.iter().map(|wish| format!("\"{}\"", wish.text.escape_ascii())).collect();
        format!("no answer was found that passes the check {} and also names the server", texts.join(" and "))
    })?;
    Ok(Answer { template, speaks_first })
}

/// An HTTP response with this status line (with its end) and this text before the name.
fn http(status: &[u8], text: &[u8]) -> Vec<u8> {
    let head = b"Content-Type: text/plain\r\nConnection: close\r\n\r\n";
    let blank: &[u8] = if text.is_empty() { b"" } else { b" " };
    [status, head, text, blank, &[HOLE]].concat()
}

/// A text that a regular expression matches, with a hole where anything may stand; nothing for one that is not
/// understood.
fn sample(pattern: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(pattern).ok()?;
    let parsed = regex_syntax::ParserBuilder::new()
        .unicode(false)
        .utf8(false)
        .dot_matches_new_line(true)
        .build()
        .parse(text)
        .ok()?;
    let mut out = Vec::new();
    let mut hole = true;
    matching(&parsed, &mut hole, &mut out)?;
    Some(out)
}

/// Appends what `part` matches. `hole` says whether the hole is still to be placed.
fn matching(part: &Hir, hole: &mut bool, out: &mut Vec<u8>) -> Option<()> {
    match part.kind() {
        HirKind::Empty | HirKind::Look(_) => {}
        HirKind::Literal(literal) => out.extend_from_slice(&literal.0),
        HirKind::Class(class) => out.push(member(class)?),
        HirKind::Capture(group) => matching(&group.sub, hole, out)?,
        HirKind::Concat(parts) => parts.iter().try_for_each(|part| matching(part, hole, out))?,
        HirKind::Alternation(parts) => matching(parts.first()?, hole, out)?,
        HirKind::Repetition(repetition) => {
            let takes_anything = repetition.max.is_none() && is_any(&repetition.sub);
            if takes_anything && *hole {
                *hole = false;
                out.push(HOLE);
            } else {
                (0..repetition.min.min(64)).try_for_each(|_| matching(&repetition.sub, hole, out))?;
            }
        }
    }
    Some(())
}

fn is_any(part: &Hir) -> bool {
    let HirKind::Class(class) = part.kind() else { return false };
    (b' '..=b'~').chain([b'\n']).all(|byte| contains(class, byte))
}

/// A printable member of a class, letters and digits first.
fn member(class: &Class) -> Option<u8> {
    let order = (b'a'..=b'z').chain(b'0'..=b'9').chain(b'A'..=b'Z').chain(b' '..=b'~').chain([b'\n', b'\r']);
    order.into_iter().find(|byte| contains(class, *byte))
}

fn contains(class: &Class, byte: u8) -> bool {
    match class {
        Class::Unicode(class) => {
            let wanted = char::from(byte);
            class.iter().any(|range| (range.start()..=range.end()).contains(&wanted))
        }
        Class::Bytes(class) => class.iter().any(|range| (range.start()..=range.end()).contains(&byte)),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use lvs_config::model::Pace;

    use super::*;

    fn check(send: Option<&str>, expect: Option<&str>, use_regex: bool) -> Check {
        Check {
            client_monitor: None,
            spec: None,
            send: send.map(str::to_owned),
            expect: expect.map(str::to_owned),
            use_regex,
            send_program: None,
            interval: Duration::from_secs(1),
            pace: Pace::default(),
            reentry: Duration::from_secs(1),
            rise: 1,
            fall: 1,
            damping: None,
            load_monitor: None,
        }
    }

    fn answered(check: &Check, protocol: Protocol, port: u16) -> Result<String, String> {
        let wish = Wish::new(check, protocol, port)?;
        answer(&[wish]).map(|answer| String::from_utf8_lossy(&answer.of("web1")).into_owned())
    }

    #[test]
    fn a_check_in_one_line_is_refused_by_name() {
        let check = Check { spec: "tcp any".parse().ok(), ..check(None, None, false) };
        let refused = answered(&check, Protocol::Tcp, 80).unwrap_err();
        assert_eq!(refused, "stand-ins cannot answer `check = tcp any`");
    }

    #[test]
    fn a_web_server_answers_as_one() {
        let head = "Content-Type: text/plain\r\nConnection: close\r\n\r\n";
        let page = |status| Ok(format!("HTTP/{status}\r\n{head}served by web1\n"));
        let get = Some(r"GET / HTTP/1.0\r\n\r\n");
        for (check, wanted) in [
            (check(get, Some("HTTP/"), false), "1.1 200 OK"),
            (check(get, Some("HTTP/1.0"), false), "1.0 200 OK"),
            (check(get, Some("HTTP/1.1 302"), false), "1.1 302"),
            (check(get, Some(r"^HTTP/1\.[01] 200"), true), "1.1 200 OK"),
            (check(None, None, false), "1.1 200 OK"),
        ] {
            assert_eq!(answered(&check, Protocol::Tcp, 80), page(wanted), "{check:?}");
        }
        let with_text = answered(&check(get, Some("Welcome"), true), Protocol::Tcp, 80);
        assert_eq!(with_text, Ok(format!("HTTP/1.1 200 OK\r\n{head}Welcome served by web1\n")));
    }

    #[test]
    fn a_line_service_answers_what_is_expected_and_its_name() {
        for (send, expect, regex, wanted) in [
            (Some(r"PING\n"), "PONG", false, "PONG served by web1\n"),
            (None, "220 ", false, "220 served by web1\n"),
            (Some("x"), "^OK [0-9]+", true, "OK 0 served by web1\n"),
            (Some("x"), "ready$", true, "served by web1\nready"),
            (Some("x"), "^(up|ready) .* now$", true, "up served by web1\n now"),
            (Some("x"), "*", false, "served by web1\n"),
        ] {
            let got = answered(&check(send, Some(expect), regex), Protocol::Tcp, 7000);
            assert_eq!(got.as_deref(), Ok(wanted), "{expect}");
        }
    }

    #[test]
    fn who_must_speak_first_does() {
        let wish = Wish::new(&check(None, Some("220 "), false), Protocol::Tcp, 25).expect("plain text");
        assert!(answer(&[wish]).expect("a greeting").speaks_first);
    }

    #[test]
    fn one_answer_satisfies_all_checks_of_a_port() {
        let wish =
            |expect| Wish::new(&check(Some("x"), Some(expect), false), Protocol::Tcp, 7).expect("text");
        let both = answer(&[wish("OK"), wish("OK 1")]).map(|answer| answer.of("a"));
        assert_eq!(both, Ok(b"OK 1 served by a\n".to_vec()));
        assert!(answer(&[wish("yes"), wish("no")]).is_err());
    }

    #[test]
    fn what_leaves_no_room_for_a_name_is_explained() {
        let failure = answered(&check(Some("x"), Some("^OK$"), true), Protocol::Tcp, 7).expect_err("no room");
        assert_eq!(failure, r#"no answer was found that passes the check "^OK$" and also names the server"#);
    }
}
