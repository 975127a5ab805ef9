//! The text that is read and those that it includes, one behind the other, so that a position says by itself in which
//! file it is.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::Decoded;
use crate::span::{Place, Span};
use crate::token::Oddities;

/// All texts of one reading.
pub(crate) struct Sources<'t> {
    text: Cow<'t, str>,
    /// Where each included text begins, in the order of the text.
    starts: Vec<(usize, PathBuf)>,
    included: HashMap<PathBuf, Part>,
}

/// One of the texts.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    /// Where it is in the text of all.
    pub(crate) range: Range<usize>,
    /// What was found in it.
    pub(crate) oddities: Oddities,
}

impl<'t> Sources<'t> {
    /// A text that includes nothing yet.
    pub(crate) fn new(text: impl Into<Cow<'t, str>>) -> Self {
        Self { text: text.into(), starts: Vec::new(), included: HashMap::new() }
    }

    /// The text of all.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Adds the bytes of an included file.
    pub(crate) fn add(&mut self, path: &Path, bytes: &[u8]) -> Part {
        let Decoded { text, oddities, .. } = Decoded::new(bytes);
        let all = self.text.to_mut();
        // The text before need not end with the end of a line.
        all.push('\n');
        let start = all.len();
        all.push_str(&text);
        let part = Part { range: start..all.len(), oddities };
        self.starts.push((start, path.to_owned()));
        self.included.insert(path.to_owned(), part.clone());
        part
    }

    /// The text of `path`, if it has been added.
    pub(crate) fn find(&self, path: &Path) -> Option<Part> {
        self.included.get(path).cloned()
    }

    /// What `span` is for people.
    pub(crate) fn place(&self, span: Span) -> Place {
        let after = self.starts.partition_point(|(start, _)| *start <= span.start as usize);
        let file = after.checked_sub(1).map(|at| self.starts[at].1.clone());
        Place { file, ..Place::new(&self.text, span) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(start: u32, line: u32) -> Span {
        Span { start, end: start + 1, line }
    }

    #[test]
    fn a_place_is_in_the_file_that_its_text_came_from() {
        let mut sources = Sources::new("a\nb");
        let part = sources.add("x.cf".as_ref(), "\u{feff}c\r\nd".as_bytes());
        assert_eq!(part.range, 4..8);
        sources.add("y.cf".as_ref(), b"");
        sources.add("z.cf".as_ref(), b"e");
        let told = |start, line| {
            let place = sources.place(span(start, line));
            let file = place.file.map(|path| path.display().to_string());
            (file.unwrap_or_default(), place.line, place.column, place.source)
        };
        assert_eq!(told(2, 2), (String::new(), 2, 1, "b".into()));
        assert_eq!(told(4, 1), ("x.cf".into(), 1, 1, "c".into()));
        assert_eq!(told(7, 2), ("x.cf".into(), 2, 1, "d".into()));
        assert_eq!(told(10, 1), ("z.cf".into(), 1, 1, "e".into()));
        assert_eq!(sources.find("x.cf".as_ref()).map(|part| part.range), Some(4..8));
        assert!(sources.find("w.cf".as_ref()).is_none());
    }
}
