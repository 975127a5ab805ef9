//! A line to words and back.
//!
//! Words are separated by blanks. A word is `NAME` or `NAME=VALUE`; a value that holds blanks or quotes, or is empty,
//! stands in double quotes. In a value `\r`, `\n`, `\t`, `\\` and `\"` stand for the usual characters and `\xHH` for any
//! byte; a backslash before anything else is kept, so that regular expressions can hold their own. So a value is bytes,
//! NUL included.

use std::ops::Range;

use crate::error::{SpecError, printable};

/// Longest text of a check in bytes, which leaves room on a command line.
pub const LONGEST: usize = 16 * 1024;

/// One word of the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word<'a> {
    /// The word as it is written.
    pub raw: &'a str,
    /// Where it is written, in bytes.
    pub place: Range<usize>,
    /// What stands before `=`, or all of it.
    pub name: &'a str,
    /// What stands after `=`, as it is written but without its quotes; `None` without `=`.
    pub value: Option<&'a str>,
}

impl Word<'_> {
    /// Whether it is this name and nothing else.
    #[must_use]
    pub fn is_plain(&self, name: &str) -> bool {
        self.value.is_none() && self.name == name
    }
}

/// Cuts `text` into words.
///
/// # Errors
/// Text that is too long or holds control characters, quotes that are not closed, and what follows closing quotes directly.
pub fn split(text: &str) -> Result<Vec<Word<'_>>, SpecError> {
    if text.len() > LONGEST {
        let message = format!("the check is {} bytes long", text.len());
        return Err(SpecError::new(0..0, message, format!("allowed: up to {LONGEST}")));
    }
    if let Some((at, c)) = text.char_indices().find(|(_, c)| c.is_control() && *c != '\t') {
        let message = format!("a control character, {}", c.escape_unicode());
        return Err(SpecError::new(at..at + c.len_utf8(), message, r"write it as \r, \n, \t or \xHH"));
    }
    let is_blank = |c: char| c == ' ' || c == '\t';
    let mut words = Vec::new();
    let mut at = 0;
    while let Some(start) = text[at..].find(|c| !is_blank(c)).map(|blanks| at + blanks) {
        let rest = &text[start..];
        let name_len = rest.find(|c| is_blank(c) || c == '=').unwrap_or(rest.len());
        let (name, after) = rest.split_at(name_len);
        let (value, len) = match after.strip_prefix('=') {
            None => (None, name_len),
            Some(after) if after.starts_with('"') => {
                let begin = start + name_len + 1;
                let inner = closing(&after.as_bytes()[1..]).ok_or_else(|| {
                    SpecError::new(
                        begin..text.len(),
                        "the quotes are not closed",
                        "write \" at the end of the value",
                    )
                })?;
                (Some(&after[1..=inner]), name_len + 1 + inner + 2)
            }
            Some(after) => {
                let value_len = after.find(is_blank).unwrap_or(after.len());
                if let Some(quote) = after[..value_len].find('"').filter(|at| !after[..*at].ends_with('\\')) {
                    let at = start + name_len + 1 + quote;
                    return Err(SpecError::new(
                        at..at + 1,
                        "quotes in the middle of a value",
                        "put all of the value in quotes",
                    ));
                }
                (Some(&after[..value_len]), name_len + 1 + value_len)
            }
        };
        let place = start..start + len;
        if text[place.end..].starts_with(|c| !is_blank(c)) {
            let help = "write a blank after the closing quotes, or \\\" for quotes in the value";
            let next = text[place.end..].chars().next().map_or(0, char::len_utf8);
            return Err(SpecError::new(
                place.end..place.end + next,
                "text directly after closing quotes",
                help,
            ));
        }
        at = place.end;
        words.push(Word { raw: &text[place.clone()], place, name, value });
    }
    Ok(words)
}

/// Length of the word that `text` begins with: to the blank behind it, or to the end of the text when its quotes are not
/// closed. For those who find a check among other text.
#[must_use]
pub fn first_len(text: &[u8]) -> usize {
    let until_blank = |from: usize| {
        let rest = text.get(from..).unwrap_or_default();
        from + rest.iter().position(|byte| matches!(byte, b' ' | b'\t')).unwrap_or(rest.len())
    };
    let blank = until_blank(0);
    let quoted = text[..blank].iter().position(|byte| *byte == b'=').map(|equals| equals + "=".len());
    match quoted.and_then(|value| Some((value + 1, text[value..].strip_prefix(b"\"")?))) {
        None => blank,
        Some((begin, inner)) => closing(inner).map_or(text.len(), |len| until_blank(begin + len + 1)),
    }
}

/// Length of what stands before the closing quotes.
fn closing(text: &[u8]) -> Option<usize> {
    let mut is_escaped = false;
    text.iter().position(|byte| {
        let closes = *byte == b'"' && !is_escaped;
        is_escaped = *byte == b'\\' && !is_escaped;
        closes
    })
}

/// The bytes that a value stands for.
///
/// # Errors
/// What is wrong with a `\x` that two hexadecimal digits do not follow.
pub fn unescape(value: &str) -> Result<Vec<u8>, String> {
    let mut out = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let [first, tail @ ..] = rest {
        let (byte, used) = match (first, tail) {
            (b'\\', [b'r', ..]) => (b'\r', 1),
            (b'\\', [b'n', ..]) => (b'\n', 1),
            (b'\\', [b't', ..]) => (b'\t', 1),
            (b'\\', [mark @ (b'\\' | b'"'), ..]) => (*mark, 1),
            (b'\\', [b'x', digits @ ..]) => (hexadecimal(digits).ok_or_else(|| bad_hexadecimal(digits))?, 3),
            _ => (*first, 0),
        };
        out.push(byte);
        rest = &tail[used..];
    }
    Ok(out)
}

fn hexadecimal(digits: &[u8]) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let [high, low, ..] = digits else { return None };
    Some(digit(*high)? << 4 | digit(*low)?)
}

fn bad_hexadecimal(digits: &[u8]) -> String {
    let found = String::from_utf8_lossy(&digits[..digits.len().min(2)]).into_owned();
    format!("`\\x{}` is no byte", printable(&found))
}

/// A regular expression as it is written in a value: only `\"` is translated, everything else is the expression's own.
#[must_use]
pub fn unquote(value: &str) -> String {
    value.replace("\\\"", "\"")
}

/// A line in the making.
#[derive(Debug, Default)]
pub struct Line(String);

impl Line {
    /// What has been written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A word without a value.
    pub fn word(&mut self, name: &str) {
        if !self.0.is_empty() {
            self.0.push(' ');
        }
        self.0.push_str(name);
    }

    /// `name=value`, of a value that is one plain word.
    pub fn plain(&mut self, name: &str, value: impl std::fmt::Display) {
        self.word(&format!("{name}={value}"));
    }

    /// `name=value`, of bytes: escaped and quoted as far as they need it.
    pub fn bytes(&mut self, name: &str, value: &[u8]) {
        self.quoted(name, &escape(value));
    }

    /// `name=value`, of a regular expression.
    pub fn regex(&mut self, name: &str, expression: &str) {
        self.quoted(name, &expression.replace('"', "\\\""));
    }

    fn quoted(&mut self, name: &str, written: &str) {
        let is_plain = !written.is_empty() && !written.contains([' ', '"']);
        if is_plain { self.plain(name, written) } else { self.plain(name, format_args!("\"{written}\"")) }
    }
}

/// Writes bytes so that [`unescape`] reads them back: what is no printable ASCII is escaped.
fn escape(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for byte in bytes {
        match byte {
            b'\r' => out.push_str("\\r"),
            b'\n' => out.push_str("\\n"),
            b'\t' => out.push_str("\\t"),
            b'\\' => out.push_str("\\\\"),
            b'"' => out.push_str("\\\""),
            b' '..=b'~' => out.push(char::from(*byte)),
            _ => out.push_str(&format!("\\x{byte:02x}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn values(text: &str) -> Vec<(&str, Option<&str>)> {
        split(text).unwrap().into_iter().map(|word| (word.name, word.value)).collect()
    }

    fn wrong(text: &str) -> (String, &str) {
        let error = split(text).unwrap_err();
        (error.message.clone(), &text[error.place])
    }

    #[test]
    fn words_have_names_and_values_quoted_or_not() {
        assert_eq!(
            values("  tcp\tsend=a=b  expect=\"c \\\" d\" x= "),
            [("tcp", None), ("send", Some("a=b")), ("expect", Some("c \\\" d")), ("x", Some("")),]
        );
        assert_eq!(values(""), []);
        assert_eq!(split("tcp a=\"b c\"").unwrap()[1].raw, "a=\"b c\"");
    }

    #[test]
    fn a_word_ends_at_a_blank_outside_of_its_quotes() {
        for (text, first) in [
            ("tcp send=x", "tcp"),
            ("send=a\tb", "send=a"),
            (r#"send="a \" b" x"#, r#"send="a \" b""#),
            (r#"send="a"b c"#, r#"send="a"b"#),
            (r#"send=a" b"#, r#"send=a""#),
            (r#"send="a b"#, r#"send="a b"#),
            ("", ""),
        ] {
            assert_eq!(&text[..first_len(text.as_bytes())], first);
        }
    }

    #[test]
    fn what_cannot_be_cut_is_told_with_its_place() {
        assert_eq!(wrong("tcp send=\"abc"), ("the quotes are not closed".into(), "\"abc"));
        assert_eq!(wrong("tcp send=\"abc\\\""), ("the quotes are not closed".into(), "\"abc\\\""));
        assert_eq!(wrong("tcp send=\"a\"b"), ("text directly after closing quotes".into(), "b"));
        assert_eq!(wrong("tcp send=a\"b c\""), ("quotes in the middle of a value".into(), "\""));
        assert_eq!(wrong("tcp send=a\nb"), ("a control character, \\u{a}".into(), "\n"));
        let long = format!("tcp send={}", "x".repeat(LONGEST));
        assert_eq!(wrong(&long).0, "the check is 16393 bytes long");
    }

    #[test]
    fn escapes_are_those_of_the_old_strings_and_any_byte() {
        assert_eq!(unescape(r#"\r\n\t\\\"\x00\xfF \d\"#).unwrap(), b"\r\n\t\\\"\0\xff \\d\\");
        assert_eq!(unescape(r"\xg0").unwrap_err(), r"`\xg0` is no byte");
        assert_eq!(unescape(r"\x1").unwrap_err(), r"`\x1` is no byte");
    }

    #[test]
    fn bytes_are_written_with_as_few_marks_as_they_need() {
        let mut line = Line::default();
        line.word("tcp");
        line.bytes("send", b"QUIT\r\n");
        line.bytes("send", b"");
        line.bytes("send", b"a b\0");
        line.regex("regex", r#"^"\d "#);
        assert_eq!(line.as_str(), r#"tcp send=QUIT\r\n send="" send="a b\x00" regex="^\"\d ""#);
    }

    proptest! {
        #[test]
        fn bytes_read_back(value: Vec<u8>) {
            let mut line = Line::default();
            line.word("tcp");
            line.bytes("send", &value);
            let words = split(line.as_str()).unwrap();
            prop_assert_eq!(words.len(), 2);
            prop_assert_eq!(unescape(words[1].value.unwrap()).unwrap(), value);
        }

        #[test]
        fn any_text_is_cut_or_refused_at_a_place_in_it(text in "[a-z=\"\\\\ \t\u{e9}\n]{0,30}") {
            match split(&text) {
                Ok(words) => {
                    for word in words {
                        prop_assert_eq!(first_len(&text.as_bytes()[word.place.start..]), word.raw.len());
                        prop_assert_eq!(word.raw, &text[word.place]);
                    }
                }
                Err(error) => prop_assert!(text.get(error.place).is_some()),
            }
        }
    }
}
