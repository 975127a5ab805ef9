//! Blocks: adding, removing, renaming and moving them.
//!
//! A block that begins and ends on lines of its own is handled by lines, together with its comment and with the blank line
//! that sets it apart; one that shares lines is handled by tokens, as far as that goes.

use std::ops::Range;

use super::layout::{self, name_word};
use super::lines;
use super::scope::{Scope, named};
use super::splice::{Splice, Statement, statements_of};
use crate::diagnostic::{Code, Problem, shown};
use crate::span::Span;
use crate::token::Token;
use crate::tree::{Block, BlockKind, Node, Tree, blocks};

/// A block, the one around it, and what stands in that.
struct Spot<'s> {
    kind: BlockKind,
    block: &'s Block,
    around: Option<&'s Block>,
    siblings: &'s [Node],
}

impl<'s> Spot<'s> {
    fn find(tree: &'s Tree<'_>, scope: &Scope) -> Result<Self, Problem> {
        let around = scope.parent().find(tree)?;
        let (Some(kind), Some(block)) = (scope.kind(), scope.find(tree)?) else { return Err(no_block()) };
        Ok(Self { kind, block, around, siblings: tree.nodes_of(around) })
    }
}

fn no_block() -> Problem {
    let message = "what stands outside of all blocks is no block";
    Problem::error(Code::NoSuchBlock, Span::START, message).help("name a block")
}

fn is_new(tree: &Tree<'_>, siblings: &[Node], kind: BlockKind, name: &str) -> Result<(), Problem> {
    let Some(there) = named(tree, siblings, kind, name).first().copied() else { return Ok(()) };
    let message = format!("`{} {}` is there already", kind.keyword(), shown(name));
    Err(Problem::error(Code::Repeated, there.keyword, message).help("choose another name"))
}

/// The closing brace of `block`.
fn closing_brace(tree: &Tree<'_>, block: &Block) -> Result<Span, Problem> {
    block.close.map(Token::span).ok_or_else(|| {
        let name = block.name.map_or("", |name| name.text(tree.text));
        let message = format!("`{} {}` is not closed", block.kind.keyword(), shown(name));
        Problem::error(Code::Structure, block.keyword, message).help("add its `}` first")
    })
}

/// Adds a block.
pub(super) fn add<'s>(
    tree: &'s Tree<'_>,
    scope: &'s Scope,
    entries: &'s [(String, Vec<String>)],
) -> Result<Vec<Splice<'s>>, Problem> {
    let (Some(kind), Some(name)) = (scope.kind(), scope.name()) else { return Err(no_block()) };
    let around = scope.parent().find(tree)?;
    let siblings = tree.nodes_of(around);
    is_new(tree, siblings, kind, name)?;
    let place = around.map_or(Span::START, |block| block.keyword);
    if kind == BlockKind::Server && around.is_none() {
        let problem = Problem::error(Code::Structure, place, "`server` outside of a `virtual` block");
        return Err(problem.help("name the `virtual` block that it belongs in"));
    }
    let alike: Vec<&Block> = blocks(siblings).filter(|block| block.kind == kind).collect();
    let gap = match (alike.last(), around) {
        (Some(last), _) => after_sibling(tree, &alike, last)?,
        (None, Some(around)) => at_end_of(tree, around)?,
        (None, None) => at_end_of_text(tree.text),
    };
    let like = alike.last().copied().or_else(|| any_of(&tree.nodes, kind));
    let text = tree.text;
    let ending = lines::ending(text, gap.range.start);
    let indentation = indentation(tree, &alike, around);
    let block = layout::block(tree, like, (kind, name), entries, &indentation, place, ending)?;
    let content = if gap.is_apart { format!("{ending}{block}") } else { block };
    let text = match gap.outer {
        Some(outer) => format!("{ending}{content}{ending}{outer}"),
        None => lines::inserted(text, gap.range.start, &content, ending),
    };
    let mut statements = vec![Statement::Open(kind, Some(name.into()))];
    statements.extend(entries.iter().map(|(directive, values)| Statement::entry(directive, values)));
    statements.push(Statement::Close(true));
    Ok(vec![Splice { range: gap.range, text, statements }])
}

/// Where a new block goes.
struct Gap {
    range: Range<usize>,
    /// Whether a blank line sets it apart from what is before it.
    is_apart: bool,
    /// Indentation of what follows on the line that is broken up for it, if it is not put between two lines.
    outer: Option<String>,
}

fn after_sibling(tree: &Tree<'_>, alike: &[&Block], last: &Block) -> Result<Gap, Problem> {
    let text = tree.text;
    let end = closing_brace(tree, last)?.end as usize;
    let is_apart = match alike {
        [only] => only.kind != BlockKind::Server,
        _ => is_blank_above(text, first_line(tree, last)),
    };
    if lines::is_last(text, end) {
        let at = lines::next(text, end);
        return Ok(Gap { range: at..at, is_apart, outer: None });
    }
    let outer = lines::indentation(text, end).to_owned();
    Ok(Gap { range: end..lines::after_blanks(text, end), is_apart: false, outer: Some(outer) })
}

fn at_end_of(tree: &Tree<'_>, around: &Block) -> Result<Gap, Problem> {
    let text = tree.text;
    let close = closing_brace(tree, around)?.start as usize;
    if !lines::is_first(text, close) {
        let start = text[..close].trim_end_matches([' ', '\t']).len();
        let outer = lines::indentation(text, around.keyword.start as usize).to_owned();
        return Ok(Gap { range: start..close, is_apart: false, outer: Some(outer) });
    }
    let at = lines::before_blanks(text, lines::start(text, close));
    // Directly below a comment it would seem to be what the comment speaks of.
    let is_apart = lines::above(text, at).is_some_and(|line| lines::is_comment(&text[line]));
    Ok(Gap { range: at..at, is_apart, outer: None })
}

fn at_end_of_text(text: &str) -> Gap {
    let at = lines::after_contents(text);
    Gap { range: at..at, is_apart: at > 0, outer: None }
}

fn indentation(tree: &Tree<'_>, alike: &[&Block], around: Option<&Block>) -> String {
    let text = tree.text;
    let on_own_line = |block: &&&Block| lines::is_first(text, block.keyword.start as usize);
    match (alike.iter().rev().find(on_own_line), around) {
        (Some(block), _) => lines::indentation(text, block.keyword.start as usize).to_owned(),
        (None, Some(around)) => layout::Layout::within(tree, around).indentation,
        (None, None) => String::new(),
    }
}

/// A block of `kind` among `nodes`, or in one of them.
fn any_of(nodes: &[Node], kind: BlockKind) -> Option<&Block> {
    blocks(nodes).find_map(|block| if block.kind == kind { Some(block) } else { any_of(&block.nodes, kind) })
}

fn is_blank_above(text: &str, start: usize) -> bool {
    lines::above(text, start).is_some_and(|line| lines::is_blank(&text[line]))
}

/// Start of the first line that belongs to `block`: its own, or that of the comment directly above it.
pub(super) fn first_line(tree: &Tree<'_>, block: &Block) -> usize {
    let text = tree.text;
    let own = lines::start(text, block.keyword.start as usize);
    let mut first = own;
    while let Some(line) = lines::above(text, first).filter(|line| lines::is_comment(&text[line.clone()])) {
        first = line.start;
    }
    // What stands at the top of the file speaks of the file.
    if first == 0 { own } else { first }
}

/// The lines of a block, and the blank line that goes with it.
struct Chunk {
    lines: Range<usize>,
    with_blank: Range<usize>,
}

impl Chunk {
    /// `None` when it shares lines with something else.
    fn of(tree: &Tree<'_>, spot: &Spot<'_>) -> Result<Option<Self>, Problem> {
        let text = tree.text;
        let end = closing_brace(tree, spot.block)?.end as usize;
        if !lines::is_first(text, spot.block.keyword.start as usize) || !lines::is_last(text, end) {
            return Ok(None);
        }
        let lines = first_line(tree, spot.block)..lines::next(text, end);
        let next_line = &text[lines.end..lines::next(text, lines.end)];
        let is_blank_below = !next_line.is_empty() && lines::is_blank(next_line);
        let is_end_below = Self::is_end(text, spot, lines.end);
        let is_first = named_kind(spot).next().is_some_and(|first| std::ptr::eq(first, spot.block));
        let mut with_blank = lines.clone();
        if is_blank_above(text, lines.start) && (is_blank_below || is_end_below || !is_first) {
            with_blank.start = lines::above(text, lines.start).map_or(lines.start, |line| line.start);
        } else if is_blank_below && !is_end_below && Self::is_start(tree, spot, lines.start) {
            with_blank.end = lines::next(text, lines.end);
        }
        Ok(Some(Self { lines, with_blank }))
    }

    /// Whether nothing but blank lines follows in the block around.
    fn is_end(text: &str, spot: &Spot<'_>, at: usize) -> bool {
        let rest = &text[at..];
        let content = at + (rest.len() - rest.trim_start_matches([' ', '\t', '\n', '\r']).len());
        content == text.len()
            || spot
                .around
                .and_then(|block| block.close)
                .is_some_and(|close| close.span().start as usize == content)
    }

    /// Whether the line at `at` is the first one in the block around.
    fn is_start(tree: &Tree<'_>, spot: &Spot<'_>, at: usize) -> bool {
        match (lines::above(tree.text, at), spot.around.and_then(|block| tree.brace(block))) {
            (None, _) => true,
            (Some(line), Some(brace)) => line.contains(&(brace.start as usize)),
            (Some(_), None) => false,
        }
    }

    fn has_blank(&self) -> bool {
        self.lines != self.with_blank
    }
}

fn named_kind<'s>(spot: &Spot<'s>) -> impl Iterator<Item = &'s Block> {
    let kind = spot.kind;
    blocks(spot.siblings).filter(move |block| block.kind == kind)
}

/// Removes a block.
pub(super) fn remove<'s>(tree: &'s Tree<'_>, scope: &Scope) -> Result<Vec<Splice<'s>>, Problem> {
    let spot = Spot::find(tree, scope)?;
    let text = tree.text;
    let range = match Chunk::of(tree, &spot)? {
        Some(chunk) => lines::removed(text, chunk.with_blank),
        None => {
            let start = spot.block.keyword.start as usize;
            let end = closing_brace(tree, spot.block)?.end as usize;
            if lines::is_first(text, start) {
                start..lines::after_blanks(text, end)
            } else {
                text[..start].trim_end_matches([' ', '\t']).len()..end
            }
        }
    };
    Ok(vec![Splice { range, text: String::new(), statements: Vec::new() }])
}

/// Renames a block.
pub(super) fn rename<'s>(
    tree: &'s Tree<'_>,
    scope: &Scope,
    name: &'s str,
) -> Result<Vec<Splice<'s>>, Problem> {
    let Spot { kind, block, siblings, .. } = Spot::find(tree, scope)?;
    let Some(old) = block.name.filter(|_| scope.name() != Some(name)) else { return Ok(Vec::new()) };
    is_new(tree, siblings, kind, name)?;
    let word = name_word(name, Some((old, old.span().of(tree.text))), block.keyword)?;
    let start = block.keyword.start as usize;
    let text = format!("{}{word}", &tree.text[start..old.span().start as usize]);
    let statements = vec![Statement::Open(kind, Some(name.into()))];
    Ok(vec![Splice { range: start..old.span().end as usize, text, statements }])
}

/// Moves a block before another one, or after the last.
pub(super) fn shift<'s>(
    tree: &'s Tree<'_>,
    scope: &Scope,
    before: Option<&Scope>,
) -> Result<Vec<Splice<'s>>, Problem> {
    let spot = Spot::find(tree, scope)?;
    let target = before.map(|before| destination(tree, scope, before)).transpose()?;
    let all: Vec<&Block> = blocks(spot.siblings).collect();
    let index = |block: &Block| all.iter().position(|other| std::ptr::eq(*other, block));
    let from = index(spot.block);
    let to = target.map_or(Some(all.len()), index);
    if to == from || to == from.map(|from| from + 1) {
        return Ok(Vec::new());
    }
    let text = tree.text;
    let chunk = Chunk::of(tree, &spot)?.ok_or_else(|| shares_lines(tree, spot.block))?;
    let ending = lines::ending(text, chunk.lines.start);
    let own = text[chunk.lines.clone()].trim_end_matches(['\n', '\r']);
    let blank = if chunk.has_blank() { ending } else { "" };
    let (at, content) = match (target, all.last()) {
        (Some(target), _) => {
            if !lines::is_first(text, target.keyword.start as usize) {
                return Err(shares_lines(tree, target));
            }
            (first_line(tree, target), format!("{own}{blank}"))
        }
        (None, Some(last)) => {
            let end = closing_brace(tree, last)?.end as usize;
            if !lines::is_last(text, end) {
                return Err(shares_lines(tree, last));
            }
            (lines::next(text, end), format!("{blank}{own}"))
        }
        (None, None) => return Ok(Vec::new()),
    };
    let statements = statements_of(tree, spot.block);
    let paste = Splice { range: at..at, text: lines::inserted(text, at, &content, ending), statements };
    let cut =
        Splice { range: lines::removed(text, chunk.with_blank), text: String::new(), statements: Vec::new() };
    Ok(if at <= cut.range.start { vec![paste, cut] } else { vec![cut, paste] })
}

/// The block before which another is to stand.
fn destination<'s>(tree: &'s Tree<'_>, scope: &Scope, before: &Scope) -> Result<&'s Block, Problem> {
    let target = Spot::find(tree, before)?;
    if before.parent() == scope.parent() {
        return Ok(target.block);
    }
    let message = "a block can be moved only among the blocks around it";
    Err(Problem::error(Code::Structure, target.block.keyword, message)
        .help("remove it here and add it there"))
}

fn shares_lines(tree: &Tree<'_>, block: &Block) -> Problem {
    let name = block.name.map_or("", |name| name.text(tree.text));
    let message = format!("`{} {}` shares a line with something else", block.kind.keyword(), shown(name));
    Problem::error(Code::Structure, block.keyword, message).help("give it lines of its own")
}
