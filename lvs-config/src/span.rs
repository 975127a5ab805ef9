//! Where something stands in the text: byte ranges, and their translation into the line and column that people count.
//!
//! A [`Span`] is cheap and made for every token; a [`Place`] is made only for what is reported.

use std::path::PathBuf;

/// A range of bytes on one line of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    /// First byte, counted from the start of the text.
    pub(crate) start: u32,
    /// One past the last byte.
    pub(crate) end: u32,
    /// Line, counted from 1.
    pub(crate) line: u32,
}

impl Span {
    /// The empty range before the first character: for what is said about the text as a whole.
    pub(crate) const START: Self = Self { start: 0, end: 0, line: 1 };

    /// The text of the range.
    pub(crate) fn of(self, text: &str) -> &str {
        text.get(self.start as usize..self.end as usize).unwrap_or_default()
    }

    /// From the start of `self` to the end of `last`, which is on the same line.
    pub(crate) fn to(self, last: Self) -> Self {
        Self { end: last.end.max(self.end), ..self }
    }
}

/// A range of characters on a line, with the line: enough to show it without the rest of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file, if it is one that the file which was read includes.
    pub file: Option<PathBuf>,
    /// Line, counted from 1.
    pub line: u32,
    /// First character, counted from 1.
    pub column: u32,
    /// Number of characters; 0 for a point.
    pub length: u32,
    /// The whole line without its end. Bytes that are not UTF-8 stand as U+FFFD.
    pub source: String,
}

impl Place {
    /// The place of `span` in `text`, which is of no file.
    pub(crate) fn new(text: &str, span: Span) -> Self {
        let is_end = |c: char| c == '\n' || c == '\r';
        let (before, rest) = text.split_at_checked(span.start as usize).unwrap_or((text, ""));
        let line_start = before.rfind(is_end).map_or(0, |at| at + 1);
        let rest = rest.split(is_end).next().unwrap_or_default();
        let column = before[line_start..].chars().count() + 1;
        let line_end = before.len() + rest.len();
        Self {
            file: None,
            line: span.line,
            column: u32::try_from(column).unwrap_or(u32::MAX),
            length: u32::try_from(span.of(text).chars().count()).unwrap_or(u32::MAX),
            source: text[line_start..line_end].to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters_and_lines_end_at_any_line_end() {
        let text = "a = 1\r\nnäme = ö\rnext";
        let start = u32::try_from(text.find('ö').unwrap()).unwrap();
        let place = Place::new(text, Span { start, end: start + 2, line: 2 });
        assert_eq!((place.line, place.column, place.length, place.source.as_str()), (2, 8, 1, "näme = ö"));
    }

    #[test]
    fn an_empty_text_has_a_start() {
        let place = Place::new("", Span::START);
        assert_eq!((place.line, place.column, place.length, place.source.as_str()), (1, 1, 0, ""));
    }
}
