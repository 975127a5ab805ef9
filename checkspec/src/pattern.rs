//! A regular expression that has been looked at: what it says is valid, and can be written on one line.

use std::fmt;

use regex_syntax::ParserBuilder;

use crate::posix;
use crate::words;

/// A valid extended regular expression over bytes.
///
/// `^` is the beginning of the answer, `.` any byte, line ends included. Besides what POSIX has, `\d`, `\w`, `\s`, `\b` and
/// the like are known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(String);

impl Pattern {
    /// An expression as it is. Control characters in it become the escapes that stand for them.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn new(expression: &str) -> Result<Self, String> {
        let mut text = String::with_capacity(expression.len());
        let mut is_escaped = false;
        for c in expression.chars() {
            let escaped = is_escaped;
            is_escaped = c == '\\' && !escaped;
            match c {
                // A quote means itself with and without a backslash.
                '"' if escaped => {
                    text.pop();
                    text.push(c);
                }
                c if c.is_control() => {
                    if escaped {
                        text.pop();
                    }
                    text.push_str(&format!("\\x{{{:x}}}", u32::from(c)));
                }
                c => text.push(c),
            }
        }
        let mut parser = ParserBuilder::new().unicode(false).utf8(false).dot_matches_new_line(true).build();
        parser.parse(&posix::translate(&text)).map_err(|error| reason(&error))?;
        Ok(Self(text))
    }

    /// An expression as it is written in the value of an option: `\"` stands for quotes.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn from_value(value: &str) -> Result<Self, String> {
        Self::new(&words::unquote(value))
    }

    /// The expression in the syntax of the crate `regex`.
    #[must_use]
    pub fn translated(&self) -> String {
        posix::translate(&self.0)
    }

    /// The expression as it is written by people.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The parser's reason without the picture of the expression.
fn reason(error: &regex_syntax::Error) -> String {
    match error {
        regex_syntax::Error::Parse(error) => error.kind().to_string(),
        regex_syntax::Error::Translate(error) => error.kind().to_string(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::words::Line;

    #[test]
    fn an_expression_is_valid_or_refused_with_a_reason() {
        assert_eq!(Pattern::new(r"^HTTP/1.[01] 2\d\d").unwrap().as_str(), r"^HTTP/1.[01] 2\d\d");
        assert_eq!(Pattern::new("[[]OK[]]").unwrap().translated(), r"[\[]OK[\]]");
        assert_eq!(Pattern::new("(").unwrap_err(), "unclosed group");
        assert_eq!(Pattern::new("*a").unwrap_err(), "repetition operator missing expression");
    }

    #[test]
    fn quotes_and_control_characters_have_one_form() {
        assert_eq!(Pattern::new("a\\\"b\nc").unwrap().as_str(), "a\"b\\x{a}c");
        assert_eq!(Pattern::new("a\\\\\"").unwrap().as_str(), "a\\\\\"");
    }

    proptest! {
        #[test]
        fn what_is_valid_reads_back(expression in "[a.\\\\\" \n\u{e9}*(|)0-9]{0,12}") {
            if let Ok(pattern) = Pattern::new(&expression) {
                let mut line = Line::default();
                line.regex("regex", pattern.as_str());
                let words = words::split(line.as_str()).unwrap();
                prop_assert_eq!(words.len(), 1, "{}", line.as_str());
                prop_assert_eq!(words[0].pattern().unwrap(), pattern);
            }
        }
    }
}
