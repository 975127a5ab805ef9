//! The cleaned file: first its bytes are mended where the original was blind, then directives are edited.

use std::ops::Range;
use std::path::Path;

use super::walk::Found;
use crate::diagnostic::Report;
use crate::document::{Document, Policy};
use crate::token::{self, Kind, Oddities};
use crate::tree::{self, Node};
use crate::{Decoded, MAX_FILE};

/// `bytes` with line ends of one kind, without what stands behind a `}`, and with its blocks closed: all of which the
/// original read past.
pub(super) fn mend(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() + 16);
    let mut rest = bytes;
    while let [first, tail @ ..] = rest {
        rest = tail;
        match first {
            b'\r' => {
                rest = tail.strip_prefix(b"\n").unwrap_or(tail);
                out.push(b'\n');
            }
            other => out.push(*other),
        }
    }
    if out.len() > MAX_FILE {
        return out;
    }
    let decoded = Decoded::new(&out);
    let text = &*decoded.text;
    let tree = tree::read(text, decoded.oddities, &mut Report::default());
    let open = open_at_end(&tree.nodes);
    // Positions are those of the bytes only where all of them are text.
    let mark = decoded.mark;
    let ignored = if decoded.oddities.replacements { Vec::new() } else { ignored(text, decoded.oddities) };
    let mut mended = out.clone();
    for range in ignored.into_iter().rev() {
        mended.drain(range.start + mark..range.end + mark);
    }
    if open > 0 && !mended.ends_with(b"\n") {
        mended.push(b'\n');
    }
    for depth in (0..open).rev() {
        mended.extend(std::iter::repeat_n(b' ', depth * 4));
        mended.extend_from_slice(b"}\n");
    }
    mended
}

/// How many blocks the end of the file closes.
fn open_at_end(nodes: &[Node]) -> usize {
    match nodes.last() {
        Some(Node::Block(block)) if block.close.is_none() => 1 + open_at_end(&block.nodes),
        _ => 0,
    }
}

/// What stands behind a `}` on its line and means nothing.
fn ignored(text: &str, oddities: Oddities) -> Vec<Range<usize>> {
    let tokens = token::all(text, oddities);
    let mut found: Vec<Range<usize>> = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        let Some(next) = tokens.get(at + 1).filter(|next| next.span().line == token.span().line) else {
            continue;
        };
        let is_header = ["virtual", "failover", "server"].contains(&next.span().of(text));
        let start = next.span().start as usize;
        let is_inside = found.last().is_some_and(|last| start < last.end);
        if token.kind != Kind::Close || next.kind == Kind::Close || is_header || is_inside {
            continue;
        }
        let on_line = tokens[at + 1..].iter().take_while(|t| t.span().line == token.span().line);
        let end = on_line.last().map_or(start, |last| last.span().end as usize);
        found.push(token.span().end as usize..end);
    }
    found
}

/// `bytes` after the edits in `found`. One that cannot be made is left out.
pub(super) fn apply(path: &Path, bytes: Vec<u8>, found: &[Found]) -> Vec<u8> {
    let mut document = Document::new(path, bytes);
    for entry in found {
        // A file too broken there keeps its line; the check of the result tells why.
        let _ = document.apply(&entry.edits, Policy::AllowErrors);
    }
    document.as_bytes().to_owned()
}
