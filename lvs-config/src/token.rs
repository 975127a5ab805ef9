//! Characters to tokens, one line at a time.
//!
//! Blanks are space and tab. A line ends at LF, CRLF or CR. Outside quotes a `#` that begins a token starts a comment.
//! A quoted token runs to the next quote of the same kind on its line; nothing is an escape here, so a backslash is
//! kept for `nanny`. `=` is a token of its own only where a directive can have one, so that values may contain it; the
//! same goes for braces. What stands behind `check =` without quotes around all of it is one token: it has words and
//! quotes of its own, in which nothing ends the line early. Tokens say where they are in the text, and everything between
//! them is blank, line end or comment: the text can be put together again byte by byte.
//!
//! What the tokens of a line mean is `tree.rs`' business.

use std::ops::Range;

use checkspec::words::first_len;
use memchr::memchr2;

use crate::diagnostic::{Code, Problem};
use crate::span::Span;

/// The directive whose value has a grammar of its own.
pub(crate) const CHECK: &str = "check";

/// Longest line in bytes. A longer one is reported and skipped, so that 16 bits hold every length on a line.
const MAX_LINE: usize = u16::MAX as usize;

/// What the whole text was found to contain, so that most texts need not be looked at character by character.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Oddities {
    /// U+FFFD in the place of bytes that are not UTF-8.
    pub(crate) replacements: bool,
    /// ASCII control characters other than tab, CR and LF.
    pub(crate) controls: bool,
}

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A run of characters without blanks.
    Word,
    /// Text in quotes.
    Quoted,
    /// `=` after a directive's name.
    Equals,
    /// `{`.
    Open,
    /// `}`.
    Close,
}

/// One token. The tree keeps one for each line of a file, so it is small.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Token {
    start: u32,
    line: u32,
    length: u16,
    /// What it is.
    pub(crate) kind: Kind,
}

impl Token {
    /// Where it is, quotes included.
    pub(crate) fn span(self) -> Span {
        Span { start: self.start, end: self.start + u32::from(self.length), line: self.line }
    }

    /// Its text, without the quotes.
    pub(crate) fn text(self, text: &str) -> &str {
        let span = self.span();
        match self.kind {
            Kind::Quoted => Span { start: span.start + 1, end: span.end - 1, ..span }.of(text),
            _ => span.of(text),
        }
    }
}

/// A line of the text without its end.
pub(crate) struct Line {
    start: usize,
    end: usize,
    number: u32,
}

impl Line {
    fn span(&self, start: usize, end: usize) -> Span {
        Span { start: position(start), end: position(end), line: self.number }
    }
}

/// Texts are limited to far less than 4 GiB before they get here.
fn position(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

/// The lines of `range` of `text` in order, with their numbers in it.
pub(crate) fn lines(text: &str, range: Range<usize>) -> impl Iterator<Item = Line> + '_ {
    let bytes = &text.as_bytes()[..range.end];
    let mut start = range.start;
    let mut number = 0;
    std::iter::from_fn(move || {
        if start >= bytes.len() {
            return None;
        }
        let end = memchr2(b'\n', b'\r', &bytes[start..]).map_or(bytes.len(), |n| start + n);
        number += 1;
        let line = Line { start, end, number };
        start = end + if bytes[end..].starts_with(b"\r\n") { 2 } else { 1 };
        Some(line)
    })
}

/// What may come next on the line.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Expect {
    /// A directive's or block's keyword, or a brace.
    Keyword,
    /// `=`, the name of a block, `{`.
    AfterKeyword,
    /// The value after `=`, whatever it is.
    FirstValue,
    /// The value of [`CHECK`].
    Check,
    /// Further values, to the end of the line or a `}`.
    Values,
}

/// Cuts one line into tokens, appended to `out`.
///
/// # Errors
/// The first thing that cannot be a token. The tokens before it have been appended.
pub(crate) fn tokenize(
    text: &str,
    line: &Line,
    oddities: Oddities,
    out: &mut Vec<Token>,
) -> Result<(), Problem> {
    let first = out.len();
    if line.end - line.start > MAX_LINE {
        let message = format!("the line is {} bytes long", line.end - line.start);
        let span = line.span(line.start, line.start);
        return Err(
            Problem::error(Code::LineTooLong, span, message).help(format!("allowed: up to {MAX_LINE}"))
        );
    }
    if oddities.controls
        && let Some(at) = text[line.start..line.end].find('\0')
    {
        let span = line.span(line.start + at, line.start + at + 1);
        return Err(Problem::error(Code::BadCharacter, span, "a NUL character cannot be in this file"));
    }
    let mut lexer = Lexer::new(text, line, Expect::Keyword);
    while let Some(token) = lexer.next().map_err(|fault| fault.problem(text, line))? {
        out.push(token);
    }
    if oddities != Oddities::default() {
        out[first..].iter().try_for_each(|token| plain_characters(text, *token, oddities))?;
    }
    Ok(())
}

/// What a comment may contain and a token may not.
fn plain_characters(text: &str, token: Token, oddities: Oddities) -> Result<(), Problem> {
    let is_odd =
        |c: char| c.is_control() && c != '\t' || oddities.replacements && c == char::REPLACEMENT_CHARACTER;
    let Some((at, c)) = token.span().of(text).char_indices().find(|(_, c)| is_odd(*c)) else { return Ok(()) };
    let start = token.start + position(at);
    let span = Span { start, end: start + position(c.len_utf8()), line: token.line };
    let message = match c {
        char::REPLACEMENT_CHARACTER => "bytes that are not UTF-8 outside a comment".to_owned(),
        _ => format!("a control character, {}, outside a comment", c.escape_unicode()),
    };
    Err(Problem::error(Code::BadCharacter, span, message))
}

/// The tokens of `text`, line by line; of a line with something that cannot be one, those before it.
pub(crate) fn all(text: &str, oddities: Oddities) -> Vec<Token> {
    let mut tokens = Vec::new();
    for line in lines(text, 0..text.len()) {
        // What is wrong is told by those who read the structure.
        let _ = tokenize(text, &line, oddities, &mut tokens);
    }
    tokens
}

/// The values in `span` of `text`, again as they were cut when the line was: behind the `=` of the directive `name`, or
/// behind a directive that has none.
pub(crate) fn values<'t>(
    text: &'t str,
    name: &str,
    span: Span,
    has_equals: bool,
) -> impl Iterator<Item = Token> + use<'t> {
    let line = Line { start: span.start as usize, end: span.end as usize, number: span.line };
    let expect = match has_equals {
        true if name == CHECK => Expect::Check,
        true => Expect::FirstValue,
        false => Expect::AfterKeyword,
    };
    let mut lexer = Lexer::new(text, &line, expect);
    std::iter::from_fn(move || lexer.next().ok().flatten())
}

/// Whether `value` can stand behind `check =` without quotes around it.
pub(crate) fn is_bare_check(value: &str) -> bool {
    let line = Line { start: 0, end: value.len(), number: 1 };
    let first = Lexer::new(value, &line, Expect::Check).next();
    matches!(first, Ok(Some(token)) if token.kind == Kind::Word && token.text(value) == value)
}

/// What cannot be a token, and where.
#[derive(Debug, Clone, Copy)]
enum Fault {
    /// A quote that is not closed on its line.
    Unclosed(usize),
    /// No blank after a closing quote.
    NoBlank(usize),
}

impl Fault {
    #[cold]
    fn problem(self, text: &str, line: &Line) -> Problem {
        let (span, message) = match self {
            Self::Unclosed(at) => {
                let quote = text[at..].chars().next().unwrap_or('"');
                (line.span(at, line.end), format!("the quote {quote} is not closed on its line"))
            }
            Self::NoBlank(at) => {
                let end = if text.is_char_boundary(at + 1) { at + 1 } else { at };
                (line.span(at, end), "a blank is missing after the closing quote".to_owned())
            }
        };
        Problem::error(Code::Quoting, span, message).help(
            "a quoted value cannot contain its own quote character; the other kind may be used around it",
        )
    }
}

/// Cuts a line. Everything that is read goes through it, value by value, so it looks at each byte no more than it must.
struct Lexer<'t> {
    /// The text up to the end of the line.
    bytes: &'t [u8],
    at: usize,
    line: u32,
    expect: Expect,
    /// Whether the directive that was last named is [`CHECK`].
    is_check: bool,
}

impl<'t> Lexer<'t> {
    fn new(text: &'t str, line: &Line, expect: Expect) -> Self {
        let bytes = text.as_bytes().get(..line.end).unwrap_or_default();
        Self { bytes, at: line.start, line: line.number, expect, is_check: false }
    }

    // Called for every token of a file: the call would cost as much as the work.
    #[inline(always)]
    fn next(&mut self) -> Result<Option<Token>, Fault> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let Some(blanks) = rest.iter().position(|byte| !is_blank(*byte)) else { return Ok(None) };
        self.at += blanks;
        let rest = &rest[blanks..];
        let is_value = self.expects_value();
        let (kind, length) = match rest[0] {
            b'#' => return Ok(None),
            quote @ (b'"' | b'\'') => (Kind::Quoted, self.quoted(rest, quote)?),
            b'=' if !is_value => (Kind::Equals, 1),
            b'{' if !is_value => (Kind::Open, 1),
            _ if self.expect == Expect::Check => (Kind::Word, check_length(rest)),
            b'}' if !is_value || self.expect == Expect::Values && ends_token(rest, 1) => (Kind::Close, 1),
            _ => (Kind::Word, self.word_length(rest)),
        };
        if self.expect == Expect::Keyword {
            let quotes = usize::from(kind == Kind::Quoted);
            self.is_check = rest.get(quotes..length - quotes) == Some(CHECK.as_bytes());
        }
        self.expect = match kind {
            Kind::Open | Kind::Close => Expect::Keyword,
            Kind::Equals if self.is_check => Expect::Check,
            Kind::Equals => Expect::FirstValue,
            Kind::Word | Kind::Quoted if is_value => Expect::Values,
            Kind::Word | Kind::Quoted => Expect::AfterKeyword,
        };
        let start = position(self.at);
        self.at += length;
        // Lines are limited to that before they get here.
        let length = u16::try_from(length).unwrap_or(u16::MAX);
        Ok(Some(Token { start, line: self.line, length, kind }))
    }

    fn expects_value(&self) -> bool {
        matches!(self.expect, Expect::FirstValue | Expect::Check | Expect::Values)
    }

    /// Length of the word that `rest` begins with.
    fn word_length(&self, rest: &[u8]) -> usize {
        match self.expect {
            Expect::Keyword => {
                length_until(rest, |byte| is_blank(byte) || matches!(byte, b'=' | b'{' | b'}'))
            }
            Expect::AfterKeyword => {
                // `virtual name{`: the brace is not part of the name.
                let blank = length_until(rest, is_blank);
                rest[..blank].iter().rposition(|byte| *byte != b'{').map_or(blank, |last| last + 1)
            }
            Expect::FirstValue | Expect::Check | Expect::Values => length_until(rest, is_blank),
        }
    }

    /// Length of what `rest` begins with in quotes.
    fn quoted(&self, rest: &[u8], quote: u8) -> Result<usize, Fault> {
        let inside = rest[1..].iter().position(|byte| *byte == quote).ok_or(Fault::Unclosed(self.at))?;
        let length = inside + 2;
        let punctuation = !self.expects_value() && matches!(rest.get(length), Some(b'=' | b'{' | b'}'));
        if punctuation || ends_token(rest, length) {
            Ok(length)
        } else {
            Err(Fault::NoBlank(self.at + length))
        }
    }
}

/// Length of the words of a check that `rest` begins with, up to a comment or a brace that stands by itself.
fn check_length(rest: &[u8]) -> usize {
    let mut length = first_len(rest);
    while let Some(blanks) = rest[length..].iter().position(|byte| !is_blank(*byte)) {
        let next = &rest[length + blanks..];
        let word = &next[..first_len(next)];
        if word.starts_with(b"#") || word == b"}" {
            break;
        }
        length += blanks + word.len();
    }
    length
}

/// How many bytes stand before the first one that `ends`.
fn length_until(bytes: &[u8], ends: impl Fn(u8) -> bool) -> usize {
    bytes.iter().position(|byte| ends(*byte)).unwrap_or(bytes.len())
}

/// Whether the token that would be the first `length` bytes of `rest` is followed by a blank or the end of the line.
fn ends_token(rest: &[u8], length: usize) -> bool {
    rest.get(length).is_none_or(|byte| is_blank(*byte))
}

/// Space and tab.
pub(crate) fn is_blank(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<(Kind, &str)> {
        all(text, Oddities::default()).iter().map(|t| (t.kind, t.text(text))).collect()
    }

    #[test]
    fn quotes_are_removed_and_backslashes_kept() {
        assert_eq!(
            words(r#"send = "GET /\r\n" 'a "b"' # why"#),
            [
                (Kind::Word, "send"),
                (Kind::Equals, "="),
                (Kind::Quoted, r"GET /\r\n"),
                (Kind::Quoted, r#"a "b""#)
            ]
        );
    }

    #[test]
    fn blanks_around_equals_and_braces_are_optional_but_values_keep_theirs() {
        assert_eq!(words("port=80"), [(Kind::Word, "port"), (Kind::Equals, "="), (Kind::Word, "80")]);
        assert_eq!(words("virtual a{"), [(Kind::Word, "virtual"), (Kind::Word, "a"), (Kind::Open, "{")]);
        assert_eq!(
            words("expect=a=b{c}"),
            [(Kind::Word, "expect"), (Kind::Equals, "="), (Kind::Word, "a=b{c}")]
        );
        assert_eq!(words("weight = 1 }")[3], (Kind::Close, "}"));
        assert_eq!(words("expect = }")[2], (Kind::Word, "}"));
        assert_eq!(words("expect = a#b #c")[2..], [(Kind::Word, "a#b")]);
    }

    #[test]
    fn the_value_of_a_check_is_one_token_whatever_is_in_its_quotes() {
        for check in [
            "tcp",
            r#"tcp  send="a # b" expect=#1"#,
            r#"tcp send="} 'x" contains=}x"#,
            r#"tcp regex="\" # }""#,
            "é 'x",
            "}",
        ] {
            for (before, after) in
                [("check = ", ""), ("check=", " # why"), ("check =\t", "  # 'why"), ("\"check\" = ", " ")]
            {
                let text = format!("{before}{check}{after}");
                let tokens = all(&text, Oddities::default());
                let [_, _, token] = *tokens else { panic!("{text}: {tokens:?}") };
                assert_eq!((token.kind, token.text(&text)), (Kind::Word, check), "{text}");
            }
        }
        let value = |text: &'static str| words(text)[2..].to_vec();
        assert_eq!(value("check = tcp send=x }"), [(Kind::Word, "tcp send=x"), (Kind::Close, "}")]);
        assert_eq!(value("check = 'tcp send=\"# \"' # why"), [(Kind::Quoted, "tcp send=\"# \"")]);
        assert_eq!(value(r#"check = tcp send="a # b }"#), [(Kind::Word, r#"tcp send="a # b }"#)]);
        assert_eq!(value("check = # tcp"), []);
        assert_eq!(words("virtual check { port = a 'b c' }").len(), 8);
    }

    #[test]
    fn lines_end_at_lf_crlf_and_cr() {
        let numbers: Vec<u32> = lines("a\nb\r\nc\r\rd", 0..9).map(|l| l.number).collect();
        assert_eq!(numbers, [1, 2, 3, 4, 5]);
    }
}
