//! Lines to nested blocks. What does not fit is noted and passed over.

use super::notes::Notes;
use super::source::{Line, Place};
use super::words::{self, Word};

/// Deepest nesting that is read.
const MAX_DEPTH: usize = 32;

/// A line, with the block that follows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Node {
    /// Its words; at least one.
    pub(super) words: Vec<String>,
    pub(super) place: Place,
    pub(super) nodes: Vec<Node>,
}

impl Node {
    /// The first word.
    pub(super) fn keyword(&self) -> &str {
        self.words.first().map_or("", String::as_str)
    }

    /// The word after the keyword.
    pub(super) fn argument(&self) -> Option<&str> {
        self.words.get(1).map(String::as_str)
    }

    /// The words after the keyword.
    pub(super) fn arguments(&self) -> &[String] {
        self.words.get(1..).unwrap_or_default()
    }
}

/// The blocks of `lines`.
pub(super) fn read(lines: Vec<Line>, notes: &mut Notes) -> Vec<Node> {
    let mut builder = Builder { top: Vec::new(), open: Vec::new(), skipped: 0, notes };
    for line in lines {
        let (words, is_open) = words::split(&line.text);
        if is_open {
            builder.notes.add(line.place, "a quote is not closed on its line");
        }
        builder.line(words, line.place);
    }
    if let Some(node) = builder.open.last() {
        builder.notes.add(node.place, format!("`{}` is not closed", node.keyword()));
    }
    while builder.close() {}
    builder.top
}

struct Builder<'n> {
    top: Vec<Node>,
    open: Vec<Node>,
    /// Open braces of blocks that cannot be read.
    skipped: usize,
    notes: &'n mut Notes,
}

impl Builder<'_> {
    fn line(&mut self, words: Vec<Word>, place: Place) {
        let mut texts = Vec::new();
        for word in words {
            match word {
                Word::Text(text) => texts.push(text),
                Word::Open => {
                    self.statement(&mut texts, place);
                    self.brace(place);
                }
                Word::Close => {
                    self.statement(&mut texts, place);
                    if !self.close() {
                        self.notes.add(place, "`}` without a block to close");
                    }
                }
            }
        }
        self.statement(&mut texts, place);
    }

    fn statement(&mut self, texts: &mut Vec<String>, place: Place) {
        let words = std::mem::take(texts);
        if !words.is_empty() && self.skipped == 0 {
            self.siblings().push(Node { words, place, nodes: Vec::new() });
        }
    }

    /// `{`, which may stand on a line of its own: the block of the last statement.
    fn brace(&mut self, place: Place) {
        if self.skipped > 0 {
            self.skipped += 1;
            return;
        }
        let is_deep = self.open.len() >= MAX_DEPTH;
        match self.siblings().pop() {
            Some(node) if node.nodes.is_empty() && !is_deep => self.open.push(node),
            other => {
                self.siblings().extend(other);
                self.notes
                    .add(place, if is_deep { "blocks are nested too deeply" } else { "`{` without a block" });
                // Its contents go nowhere, but its `}` finds it.
                self.skipped = 1;
            }
        }
    }

    fn siblings(&mut self) -> &mut Vec<Node> {
        self.open.last_mut().map_or(&mut self.top, |node| &mut node.nodes)
    }

    fn close(&mut self) -> bool {
        if self.skipped > 0 {
            self.skipped -= 1;
            return true;
        }
        let Some(node) = self.open.pop() else { return false };
        self.siblings().push(node);
        true
    }
}
