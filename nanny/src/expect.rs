//! What an answer must look like, judged on the bytes that have arrived so far.
//!
//! A stream may come in any pieces: a judgement that is not final asks for more, up to [`LIMIT`] bytes. Time is the
//! caller's business.

use std::fmt;

use checkspec::posix;
use memchr::memmem;
use regex::bytes::{Regex, RegexBuilder};

use crate::escape::quote;

/// Most bytes of an answer that are looked at.
pub const LIMIT: usize = 16 * 1024;

/// Memory that one compiled regular expression, and its lazily built automaton, may take, in bytes.
const REGEX_LIMIT: usize = 1 << 20;

/// A requirement on an answer.
#[derive(Debug, Clone)]
pub enum Expect {
    /// At least one byte.
    Anything,
    /// The answer begins with these bytes.
    Literal(Vec<u8>),
    /// These bytes are somewhere in the answer.
    Contains(Vec<u8>),
    /// The answer is these bytes and ends after them.
    Equals(Vec<u8>),
    /// The expression matches somewhere in the answer.
    Pattern {
        /// The expression, compiled.
        regex: Regex,
        /// The expression as it was typed.
        typed: String,
    },
}

/// What the bytes so far say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judgement {
    /// The answer is as expected, whatever follows.
    Matches,
    /// More bytes can make it match.
    Undecided,
    /// No further byte can make it match.
    Fails,
}

impl Expect {
    /// Compiles an extended regular expression (see [`posix`]). It sees bytes, not characters: `.` is any byte, newline included; `^` is the
    /// beginning of the answer; `$` is the end of what has arrived.
    ///
    /// # Errors
    /// The text of [`regex::Error`] for an expression that is malformed, not UTF-8 or too large.
    pub fn pattern(expression: &[u8]) -> Result<Self, String> {
        let text = std::str::from_utf8(expression).map_err(|error| error.to_string())?;
        RegexBuilder::new(&posix::translate(text))
            .unicode(false)
            .dot_matches_new_line(true)
            .size_limit(REGEX_LIMIT)
            .dfa_size_limit(REGEX_LIMIT)
            .build()
            .map(|regex| Self::Pattern { regex, typed: text.to_owned() })
            .map_err(|error| error.to_string())
    }

    /// Judges `received`, all bytes of the answer so far.
    #[must_use]
    pub fn judge(&self, received: &[u8]) -> Judgement {
        let (matches, hopeless) = match self {
            Self::Anything => (!received.is_empty(), false),
            Self::Literal(expected) => (received.starts_with(expected), !expected.starts_with(received)),
            Self::Contains(part) => (memmem::find(received, part).is_some(), received.len() >= LIMIT),
            // That nothing follows is known only when the stream ends.
            Self::Equals(expected) => (false, !expected.starts_with(received)),
            Self::Pattern { regex, .. } => (regex.is_match(received), received.len() >= LIMIT),
        };
        match (matches, hopeless) {
            (true, _) => Judgement::Matches,
            (false, true) => Judgement::Fails,
            (false, false) => Judgement::Undecided,
        }
    }

    /// Whether a whole message, such as a datagram, is as expected.
    #[must_use]
    pub fn accepts(&self, message: &[u8]) -> bool {
        match self {
            Self::Anything => true,
            Self::Equals(expected) => message == expected,
            _ => self.judge(message) == Judgement::Matches,
        }
    }

    /// How many bytes at the beginning of an answer that matches it takes for that, which is as few as can be.
    #[must_use]
    pub fn extent(&self, received: &[u8]) -> usize {
        let extent = match self {
            Self::Anything => 1,
            Self::Literal(expected) | Self::Equals(expected) => expected.len(),
            Self::Contains(part) => memmem::find(received, part).map_or(0, |at| at + part.len()),
            Self::Pattern { regex, .. } => shortest(received.len(), |len| regex.is_match(&received[..len])),
        };
        extent.min(received.len())
    }
}

/// The least length that is enough, if `longest` is and more is never worse; found by halving.
fn shortest(longest: usize, is_enough: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut high) = (0, longest);
    while low < high {
        let middle = low + (high - low) / 2;
        if is_enough(middle) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    high
}

impl fmt::Display for Expect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anything => f.write_str("anything"),
            Self::Literal(expected) => f.write_str(&quote(expected)),
            Self::Contains(part) => write!(f, "{} anywhere", quote(part)),
            Self::Equals(expected) => write!(f, "exactly {}", quote(expected)),
            Self::Pattern { typed, .. } => write!(f, "a match of {}", quote(typed.as_bytes())),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn literal(text: &[u8]) -> Expect {
        Expect::Literal(text.to_vec())
    }

    /// Judges `answer` as it arrives in pieces that end at `cuts`; the end of the answer fails what is undecided.
    fn verdict(expect: &Expect, answer: &[u8], cuts: &[usize]) -> bool {
        let mut ends: Vec<usize> = cuts.iter().map(|cut| cut % (answer.len() + 1)).collect();
        ends.push(answer.len());
        ends.sort_unstable();
        let first_final = ends.iter().map(|end| expect.judge(&answer[..*end]));
        first_final.into_iter().find(|j| *j != Judgement::Undecided) == Some(Judgement::Matches)
    }

    #[test]
    fn a_literal_waits_for_the_rest_and_fails_at_the_first_wrong_byte() {
        let expect = literal(b"HTTP/1.1 200");
        assert_eq!(expect.judge(b""), Judgement::Undecided);
        assert_eq!(expect.judge(b"HTTP/1."), Judgement::Undecided);
        assert_eq!(expect.judge(b"HTTP/1.1 200 OK"), Judgement::Matches);
        assert_eq!(expect.judge(b"HTTP/1.0"), Judgement::Fails);
    }

    #[test]
    fn anything_needs_one_byte_of_a_stream_but_takes_an_empty_datagram() {
        assert_eq!(Expect::Anything.judge(b""), Judgement::Undecided);
        assert_eq!(Expect::Anything.judge(b"\0"), Judgement::Matches);
        assert!(Expect::Anything.accepts(b""));
    }

    #[test]
    fn bytes_anywhere_are_looked_for_up_to_the_limit() {
        let expect = Expect::Contains(b"\0OK".into());
        assert_eq!(expect.judge(b"x\0O"), Judgement::Undecided);
        assert_eq!((expect.judge(b"x\0OK!"), expect.extent(b"x\0OK!")), (Judgement::Matches, 4));
        assert_eq!(expect.judge(&[b'x'; LIMIT]), Judgement::Fails);
        assert_eq!(expect.to_string(), r#""\x00OK" anywhere"#);
    }

    #[test]
    fn a_whole_answer_is_known_only_at_its_end() {
        let expect = Expect::Equals(b"OK".into());
        assert_eq!((expect.judge(b"O"), expect.judge(b"OK")), (Judgement::Undecided, Judgement::Undecided));
        assert_eq!(expect.judge(b"OK!"), Judgement::Fails);
        assert!(expect.accepts(b"OK") && !expect.accepts(b"O"));
        assert_eq!(expect.to_string(), r#"exactly "OK""#);
    }

    #[test]
    fn a_pattern_takes_as_few_bytes_as_match() {
        let extent =
            |expression: &str, answer: &[u8]| Expect::pattern(expression.as_bytes()).unwrap().extent(answer);
        assert_eq!(extent(r"\d+", b"ab123"), 3);
        assert_eq!(extent(r"\d+ ", b"ab123 x"), 6);
        assert_eq!(extent("x*", b"ab"), 0);
    }

    #[test]
    fn a_pattern_sees_bytes_anywhere_up_to_the_limit() {
        let expect = Expect::pattern(br"^HTTP/1.[01] [23]").unwrap();
        assert_eq!(expect.judge(b"HTTP/1.1 204"), Judgement::Matches);
        assert_eq!(expect.judge(b"xHTTP/1.1 204"), Judgement::Undecided);
        assert_eq!(expect.judge(&[b'x'; LIMIT]), Judgement::Fails);
        let across_lines = Expect::pattern(b"a.b").unwrap();
        assert_eq!(across_lines.judge(b"\xff\0 a\nb"), Judgement::Matches);
    }

    #[test]
    fn expressions_of_the_original_keep_their_meaning() {
        for (expression, answer) in [
            ("[[]OK[]]", &b"220 [OK]"[..]),
            ("^a{,2}b+(c||d)$", b"aabd"),
            ("[a&&b]{2}", b"&&"),
            ("^[0-9]{3}[ -]ready.$", b"220 ready\n"),
        ] {
            assert!(Expect::pattern(expression.as_bytes()).unwrap().accepts(answer), "{expression}");
        }
    }

    #[test]
    fn a_bad_or_huge_expression_is_refused_with_a_reason() {
        assert!(Expect::pattern(b"(").unwrap_err().contains("unclosed group"));
        assert!(Expect::pattern(b"((a{1000}){1000}){1000}").unwrap_err().contains("size limit"));
        assert!(Expect::pattern(b"\xff").is_err());
    }

    proptest! {
        #[test]
        fn a_literal_is_judged_alike_in_any_pieces(
            expected in "[ab]{0,6}", answer in "[ab]{0,8}", cuts: [usize; 3]
        ) {
            let expect = literal(expected.as_bytes());
            prop_assert_eq!(verdict(&expect, answer.as_bytes(), &cuts), answer.starts_with(&expected));
        }

        #[test]
        fn a_pattern_is_judged_alike_in_any_pieces(answer in "[abc]{0,12}", cuts: [usize; 4]) {
            let expect = Expect::pattern(b"^.?ab+c|bb").unwrap();
            prop_assert_eq!(verdict(&expect, answer.as_bytes(), &cuts), expect.accepts(answer.as_bytes()));
        }
    }
}
