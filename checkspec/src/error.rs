//! What is wrong with the text of a check: where, what was found, what is allowed.

use std::fmt;
use std::ops::Range;

use crate::words::Word;

/// What is wrong, for the first thing that is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpecError {
    /// The bytes of the text that it is about.
    pub place: Range<usize>,
    /// What was found.
    pub message: String,
    /// What is allowed, as the rest of a sentence; empty if that goes without saying.
    pub help: String,
}

impl SpecError {
    /// `message` about the bytes at `place`, and what is allowed there.
    #[must_use]
    pub fn new(place: Range<usize>, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { place, message: message.into(), help: help.into() }
    }

    pub(crate) fn no_kind<'a>(text: &str, names: impl Iterator<Item = &'a str>) -> Self {
        Self::new(text.len()..text.len(), "the kind of check is missing", allowed(names))
    }

    pub(crate) fn unknown_kind<'a>(word: &Word<'_>, names: impl Iterator<Item = &'a str> + Clone) -> Self {
        let meant = suggestion(word.raw, names.clone());
        let message = format!("unknown kind of check `{}`{meant}", printable(word.raw));
        Self::new(word.place.clone(), message, allowed(names))
    }
}

/// `message; help`.
impl fmt::Display for SpecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if self.help.is_empty() { Ok(()) } else { write!(f, "; {}", self.help) }
    }
}

impl std::error::Error for SpecError {}

/// `allowed: a, b, c`.
pub(crate) fn allowed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    format!("allowed: {}", names.collect::<Vec<_>>().join(", "))
}

/// `, did you mean …?`, if one of `names` is close to what was found.
pub(crate) fn suggestion<'a>(found: &str, names: impl Iterator<Item = &'a str>) -> String {
    let close = names.map(|name| (strsim::damerau_levenshtein(found, name), name)).min();
    let is_close = |distance: usize| distance <= found.len().max(3) / 3;
    close
        .filter(|(distance, _)| is_close(*distance))
        .map_or(String::new(), |(_, name)| format!(", did you mean `{name}`?"))
}

/// A piece of the text as it can stand in a message.
pub(crate) fn printable(text: &str) -> String {
    text.escape_debug().to_string()
}
