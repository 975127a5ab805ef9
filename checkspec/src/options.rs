//! The words after the kind: which options there are, each at most once unless it is said otherwise, and their values as
//! numbers, choices, bytes and expressions.

use std::ops::RangeInclusive;

use crate::error::{SpecError, allowed, printable, suggestion};
use crate::pattern::Pattern;
use crate::words::{Word, unescape};

/// What is known of an option, for reading and for the manual.
#[derive(Debug, Clone, Copy)]
pub struct About {
    /// Its name.
    pub name: &'static str,
    /// What stands for its value in the manual, such as `PORT`; empty for one that is given without a value.
    pub value: &'static str,
    /// What it means when it is not given, in Markdown; empty for nothing.
    pub default: &'static str,
    /// What it means, in Markdown.
    pub about: &'static str,
    /// Whether it may be given more than once; then the order counts.
    pub repeated: bool,
}

impl About {
    /// An option that is given at most once.
    #[must_use]
    pub const fn once(
        name: &'static str,
        value: &'static str,
        default: &'static str,
        about: &'static str,
    ) -> Self {
        Self { name, value, default, about, repeated: false }
    }

    /// An option that may be given more than once.
    #[must_use]
    pub const fn repeated(name: &'static str, value: &'static str, about: &'static str) -> Self {
        Self { name, value, default: "", about, repeated: true }
    }
}

/// The options of one check, all of which its kind has.
#[derive(Debug)]
pub struct Options<'a> {
    kind: &'static str,
    end: usize,
    words: &'a [Word<'a>],
}

impl<'a> Options<'a> {
    /// The options of a check of this kind, which has those of `table`. `end` is where the text ends.
    ///
    /// # Errors
    /// An option that the kind does not have, has with a value or without one, or has only once.
    pub fn new(
        kind: &'static str,
        table: &[About],
        words: &'a [Word<'a>],
        end: usize,
    ) -> Result<Self, SpecError> {
        for (at, word) in words.iter().enumerate() {
            let names = || table.iter().map(|about| about.name);
            let Some(about) = table.iter().find(|about| about.name == word.name) else {
                let name = printable(word.name);
                let message = match word.value {
                    None => format!("`{kind}` has no word `{name}`{}", suggestion(word.name, names())),
                    Some(_) => format!("`{kind}` has no option `{name}`{}", suggestion(word.name, names())),
                };
                let help = if table.is_empty() { "allowed: none".into() } else { allowed(names()) };
                return Err(SpecError::new(word.place.clone(), message, help));
            };
            match (about.value, word.value) {
                ("", Some(_)) => {
                    let message = format!("`{}` has no value", word.name);
                    return Err(SpecError::new(word.place.clone(), message, "write it without `=`"));
                }
                (value, None) if !value.is_empty() => {
                    let message = format!("`{}` needs a value", word.name);
                    let help = format!("write {}={value}", word.name);
                    return Err(SpecError::new(word.place.clone(), message, help));
                }
                _ => {}
            }
            if !about.repeated && words[..at].iter().any(|before| before.name == word.name) {
                let message = format!("`{}` is given twice", word.name);
                return Err(SpecError::new(word.place.clone(), message, ""));
            }
        }
        Ok(Self { kind, end, words })
    }

    /// All of them in order.
    pub fn all(&self) -> impl Iterator<Item = &'a Word<'a>> {
        self.words.iter()
    }

    /// Those of this name, in order.
    pub fn each(&self, name: &str) -> impl Iterator<Item = &'a Word<'a>> {
        self.words.iter().filter(move |word| word.name == name)
    }

    /// The one of this name.
    #[must_use]
    pub fn one(&self, name: &str) -> Option<&'a Word<'a>> {
        self.each(name).next()
    }

    /// Whether an option without a value is given.
    #[must_use]
    pub fn flag(&self, name: &str) -> bool {
        self.one(name).is_some()
    }

    /// A port from 1 to 65535.
    ///
    /// # Errors
    /// Anything else.
    pub fn port(&self, name: &str) -> Result<Option<u16>, SpecError> {
        self.number(name, 1..=65_535)
    }

    /// A whole number in a range.
    ///
    /// # Errors
    /// Anything else.
    pub fn number<N>(&self, name: &str, range: RangeInclusive<N>) -> Result<Option<N>, SpecError>
    where
        N: std::str::FromStr + PartialOrd + std::fmt::Display + Copy,
    {
        let Some(word) = self.one(name) else { return Ok(None) };
        let parsed = word.value.and_then(|value| value.parse().ok()).filter(|number| range.contains(number));
        let help = || format!("allowed: a whole number from {} to {}", range.start(), range.end());
        parsed.map(Some).ok_or_else(|| word.refuse(help()))
    }

    /// One of several words, and what it stands for.
    ///
    /// # Errors
    /// Anything else.
    pub fn choice<T: Copy>(&self, name: &str, choices: &[(&str, T)]) -> Result<Option<T>, SpecError> {
        let Some(word) = self.one(name) else { return Ok(None) };
        let found = choices.iter().find(|(choice, _)| Some(*choice) == word.value);
        let help = || allowed(choices.iter().map(|(choice, _)| *choice));
        found.map(|(_, meaning)| Some(*meaning)).ok_or_else(|| word.refuse(help()))
    }

    /// Text of printable characters, not empty.
    ///
    /// # Errors
    /// Anything else.
    pub fn text(&self, name: &str) -> Result<Option<String>, SpecError> {
        self.one(name).map(Word::text).transpose()
    }

    /// An error about an option that is not there.
    #[must_use]
    pub fn missing(&self, name: &str, help: &str) -> SpecError {
        SpecError::new(self.end..self.end, format!("`{}` needs `{name}`", self.kind), help)
    }
}

impl Word<'_> {
    /// The value as bytes, escapes translated.
    ///
    /// # Errors
    /// A `\x` without two hexadecimal digits.
    pub fn bytes(&self) -> Result<Vec<u8>, SpecError> {
        unescape(self.value.unwrap_or_default()).map_err(|message| {
            SpecError::new(self.place.clone(), message, r"write \x and two hexadecimal digits, or \\x")
        })
    }

    /// The value as bytes, not empty.
    ///
    /// # Errors
    /// As [`Word::bytes`], and no bytes at all.
    pub fn some_bytes(&self) -> Result<Vec<u8>, SpecError> {
        let bytes = self.bytes()?;
        if bytes.is_empty() {
            let message = format!("`{}` is empty", self.name);
            return Err(SpecError::new(self.place.clone(), message, "write at least one character"));
        }
        Ok(bytes)
    }

    /// The value as text of printable characters, not empty, escapes translated.
    ///
    /// # Errors
    /// As [`Word::some_bytes`], and bytes that are no such text.
    pub fn text(&self) -> Result<String, SpecError> {
        let text = String::from_utf8(self.some_bytes()?).ok().filter(|text| !text.contains(char::is_control));
        text.ok_or_else(|| self.refuse("write printable characters"))
    }

    /// The value as a regular expression.
    ///
    /// # Errors
    /// What is wrong with the expression.
    pub fn pattern(&self) -> Result<Pattern, SpecError> {
        Pattern::from_value(self.value.unwrap_or_default()).map_err(|reason| {
            let message = format!("`{}` is no regular expression: {reason}", self.name);
            SpecError::new(self.place.clone(), message, "")
        })
    }

    /// An error about the value, and what is allowed instead.
    #[must_use]
    pub fn refuse(&self, help: impl Into<String>) -> SpecError {
        let found = printable(self.value.unwrap_or_default());
        SpecError::new(self.place.clone(), format!("`{}` is `{found}`", self.name), help)
    }
}
