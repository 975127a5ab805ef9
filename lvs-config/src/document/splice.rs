//! Making an edit, and proving that it did what was meant and nothing else.
//!
//! A splice is planned on the text that the lexer sees and made on the bytes of the file. The proof compares the
//! statements of the file before and after: directives with their values, beginnings and ends of blocks.

use std::borrow::Cow;
use std::ops::Range;

use crate::Decoded;
use crate::diagnostic::Report;
use crate::tree::{self, Block, BlockKind, Entry, Node, Tree};

/// A range of the text, what replaces it, and the statements that it then holds.
#[derive(Debug)]
pub(super) struct Splice<'t> {
    pub(super) range: Range<usize>,
    pub(super) text: String,
    pub(super) statements: Vec<Statement<'t>>,
}

/// What a file consists of for the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Statement<'t> {
    /// A directive with its values, and whether it has its `=`.
    Entry(Cow<'t, str>, Vec<Cow<'t, str>>, bool),
    /// The beginning of a block.
    Open(BlockKind, Option<Cow<'t, str>>),
    /// The end of a block, and whether it has its brace.
    Close(bool),
}

impl<'t> Statement<'t> {
    /// A whole directive.
    pub(super) fn entry(name: &'t str, values: &'t [String]) -> Self {
        Self::Entry(name.into(), values.iter().map(|value| value.as_str().into()).collect(), true)
    }

    fn of(tree: &Tree<'t>, entry: &Entry) -> Self {
        let values = entry.values(tree.text).map(|value| value.text(tree.text).into()).collect();
        Self::Entry(entry.name.text(tree.text).into(), values, entry.has_equals)
    }
}

/// `bytes` with `splices` made, which are in order and do not overlap.
pub(super) fn make(bytes: &[u8], decoded: &Decoded<'_>, splices: &[Splice<'_>]) -> Vec<u8> {
    let positions = Positions::new(bytes, decoded);
    let mut after = Vec::with_capacity(bytes.len());
    let mut done = 0;
    for splice in splices {
        after.extend_from_slice(&bytes[done..positions.byte(splice.range.start)]);
        after.extend_from_slice(splice.text.as_bytes());
        done = positions.byte(splice.range.end);
    }
    after.extend_from_slice(&bytes[done..]);
    after
}

/// Positions of the text as positions of the bytes, which differ after a byte order mark and after every run of bytes that
/// are not UTF-8.
struct Positions(Vec<(usize, usize)>);

impl Positions {
    fn new(bytes: &[u8], decoded: &Decoded<'_>) -> Self {
        let mut known = vec![(0, decoded.mark)];
        if decoded.oddities.replacements {
            let (mut text, mut byte) = (0, decoded.mark);
            for chunk in bytes[decoded.mark..].utf8_chunks() {
                text += chunk.valid().len();
                byte += chunk.valid().len();
                if !chunk.invalid().is_empty() {
                    text += char::REPLACEMENT_CHARACTER.len_utf8();
                    byte += chunk.invalid().len();
                    known.push((text, byte));
                }
            }
        }
        Self(known)
    }

    fn byte(&self, at: usize) -> usize {
        let next = self.0.partition_point(|(text, _)| *text <= at);
        let (text, byte) = self.0[next - 1];
        byte + (at - text)
    }
}

/// Whether the statements of `after` are those of `before`, except that each range holds what its splice says.
pub(super) fn is_exact(before: &Tree<'_>, splices: &[Splice<'_>], after: &[u8]) -> bool {
    let old = statements(before, &before.nodes);
    let mut expected = Vec::with_capacity(old.len());
    let mut done = 0;
    for splice in splices {
        let first = old.partition_point(|(at, _)| *at < splice.range.start);
        let next = old.partition_point(|(at, _)| *at < splice.range.end);
        expected.extend(old[done..first].iter().map(|(_, statement)| statement));
        expected.extend(&splice.statements);
        done = next;
    }
    expected.extend(old[done..].iter().map(|(_, statement)| statement));
    let decoded = Decoded::new(after);
    let text = &*decoded.text;
    let tree = tree::read(text, decoded.oddities, &mut Report::default());
    let new = statements(&tree, &tree.nodes);
    new.len() == expected.len() && new.iter().zip(expected).all(|((_, new), old)| new == old)
}

/// The statements of `nodes` with their positions, in order. The end of a block without a brace is where the next
/// statement begins.
pub(super) fn statements<'t>(tree: &Tree<'t>, nodes: &[Node]) -> Vec<(usize, Statement<'t>)> {
    const UNKNOWN: usize = usize::MAX;
    let mut found = Vec::new();
    collect(tree, nodes, &mut found);
    let mut next = tree.text.len();
    for (at, _) in found.iter_mut().rev() {
        if *at == UNKNOWN {
            *at = next;
        }
        next = *at;
    }
    found
}

fn collect<'t>(tree: &Tree<'t>, nodes: &[Node], found: &mut Vec<(usize, Statement<'t>)>) {
    for node in nodes {
        match node {
            Node::Entry(entry) => found.push((entry.name.span().start as usize, Statement::of(tree, entry))),
            Node::Block(block) => collect_block(tree, block, found),
        }
    }
}

fn collect_block<'t>(tree: &Tree<'t>, block: &Block, found: &mut Vec<(usize, Statement<'t>)>) {
    let name = block.name.map(|name| name.text(tree.text).into());
    found.push((block.keyword.start as usize, Statement::Open(block.kind, name)));
    collect(tree, &block.nodes, found);
    let at = block.close.map_or(usize::MAX, |close| close.span().start as usize);
    found.push((at, Statement::Close(block.close.is_some())));
}

/// The statements of `block` itself.
pub(super) fn statements_of<'t>(tree: &Tree<'t>, block: &Block) -> Vec<Statement<'t>> {
    let mut found = Vec::new();
    collect_block(tree, block, &mut found);
    found.into_iter().map(|(_, statement)| statement).collect()
}
