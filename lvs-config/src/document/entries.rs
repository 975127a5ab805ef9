//! Directives: setting them and taking them away.

use std::ops::Range;

use super::layout::{Layout, whole_entries, word};
use super::lines;
use super::scope::Scope;
use super::splice::{Splice, Statement};
use crate::diagnostic::{Code, Problem, shown};
use crate::keys::Key;
use crate::span::Span;
use crate::token::Token;
use crate::tree::{Block, Entry, Node, Tree, blocks};

/// The entries of `directive` among `nodes`.
pub(super) fn given<'s>(
    tree: &'s Tree<'_>,
    nodes: &'s [Node],
    directive: &'s str,
) -> impl DoubleEndedIterator<Item = &'s Entry> {
    nodes.iter().filter_map(move |node| match node {
        Node::Entry(entry) if entry.name.text(tree.text) == directive => Some(entry),
        _ => None,
    })
}

/// Gives `directive` these values.
pub(super) fn set<'s>(
    tree: &'s Tree<'_>,
    scope: &'s Scope,
    directive: &'s str,
    values: &'s [String],
) -> Result<Vec<Splice<'s>>, Problem> {
    let block = scope.find(tree)?;
    let Some(entry) = given(tree, tree.nodes_of(block), directive).next_back() else {
        return insert(tree, scope, block, directive, values).map(|splice| vec![splice]);
    };
    let old = entry.values(tree.text).map(|value| value.text(tree.text));
    if is_whole(entry) && old.eq(values.iter()) {
        return Ok(Vec::new());
    }
    let text = replaced(tree, entry, values)?;
    let statements = vec![Statement::entry(directive, values)];
    Ok(vec![Splice { range: extent(tree, entry), text, statements }])
}

fn is_whole(entry: &Entry) -> bool {
    entry.has_equals && !entry.is_broken
}

/// Where `entry` stands: to the end of its values, or of its line when something is wrong with it.
fn extent(tree: &Tree<'_>, entry: &Entry) -> Range<usize> {
    let start = entry.name.span().start as usize;
    let Some(equals) = tree.equals(entry).filter(|_| is_whole(entry)) else {
        let line = &tree.text[start..lines::end(tree.text, start)];
        return start..start + line.trim_end_matches([' ', '\t']).len();
    };
    let end = entry.values(tree.text).last().map_or(equals.end, |value| value.span().end);
    start..end as usize
}

/// `entry` with other values: its name, blanks and quotes stay.
fn replaced(tree: &Tree<'_>, entry: &Entry, values: &[String]) -> Result<String, Problem> {
    let text = tree.text;
    let raw_name = entry.name.span().of(text);
    let Some(equals) = tree.equals(entry).filter(|_| is_whole(entry)) else {
        return Layout::usual(String::new()).line(raw_name, values, entry.name.span());
    };
    let old: Vec<Token> = entry.values(text).collect();
    let head_end = old.first().map_or(equals.end, |first| first.span().start) as usize;
    let mut out = text[entry.name.span().start as usize..head_end].to_owned();
    if old.is_empty() && out.trim_end_matches('=').ends_with([' ', '\t']) {
        out.push(' ');
    }
    for (at, value) in values.iter().enumerate() {
        if at > 0 {
            let between =
                old.get(at).map(|next| &text[old[at - 1].span().end as usize..next.span().start as usize]);
            out.push_str(between.unwrap_or(" "));
        }
        let like = old.get(at).or(old.last()).map(|token| (*token, token.span().of(text)));
        out.push_str(&word(entry.name.text(text), value, like, entry.name.span())?);
    }
    Ok(out)
}

/// Adds a line for `directive`.
fn insert<'s>(
    tree: &'s Tree<'_>,
    scope: &'s Scope,
    block: Option<&Block>,
    directive: &'s str,
    values: &'s [String],
) -> Result<Splice<'s>, Problem> {
    let text = tree.text;
    let place = block.map_or(Span::START, |block| block.keyword);
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    if directive.is_empty() || !directive.chars().all(is_name) {
        let message = format!("`{}` cannot be the name of a directive", shown(directive));
        let problem = Problem::error(Code::UnknownDirective, place, message);
        return Err(problem.help("allowed: letters, digits, `_`, `-` and `.`"));
    }
    let statements = vec![Statement::entry(directive, values)];
    if let Some(anchor) = anchor(tree, scope, tree.nodes_of(block), directive) {
        let layout = Layout::of(tree, anchor);
        let line = layout.line(directive, values, place)?;
        return Ok(after(text, extent(tree, anchor).end, &line, block, &layout.indentation, statements));
    }
    if let Some(block) = block {
        let brace = tree.brace(block).ok_or_else(|| {
            let message = format!("`{{` is missing after `{}`", block.kind.keyword());
            Problem::error(Code::Structure, block.keyword, message).help("add it first")
        })?;
        let layout = Layout::within(tree, block);
        let line = layout.line(directive, values, place)?;
        return Ok(after(text, brace.end as usize, &line, Some(block), &layout.indentation, statements));
    }
    let line = Layout::usual(String::new()).line(directive, values, place)?;
    let ending = lines::ending(text, 0);
    let (at, content) = match blocks(&tree.nodes).next() {
        // A blank line keeps it apart from the block and its comment.
        Some(first) => (super::blocks::first_line(tree, first), format!("{line}{ending}")),
        None => (lines::after_contents(text), line),
    };
    Ok(Splice { range: at..at, text: lines::inserted(text, at, &content, ending), statements })
}

/// The entry after which a line for `directive` belongs: of those that come before it in the table the last, else the last
/// of those before the blocks.
fn anchor<'s>(tree: &Tree<'_>, scope: &Scope, nodes: &'s [Node], directive: &str) -> Option<&'s Entry> {
    let table = Key::in_section(scope.section());
    let rank = |name: &str| table.iter().position(|key| key.name == name);
    let own = rank(directive);
    let rank_of = |entry: &&Entry| rank(entry.name.text(tree.text)).filter(|rank| Some(*rank) < own);
    let before = whole_entries(nodes).filter(|entry| rank_of(entry).is_some()).max_by_key(rank_of);
    let is_entry = |node: &&Node| matches!(node, Node::Entry(_));
    let leading = nodes.iter().take_while(is_entry).count();
    before.or_else(|| whole_entries(&nodes[..leading]).next_back())
}

/// A line after what ends at `at`, in `block`.
fn after<'s>(
    text: &str,
    at: usize,
    line: &str,
    block: Option<&Block>,
    indentation: &str,
    statements: Vec<Statement<'s>>,
) -> Splice<'s> {
    let ending = lines::ending(text, at);
    if lines::is_last(text, at) {
        let at = lines::next(text, at);
        return Splice { range: at..at, text: lines::inserted(text, at, line, ending), statements };
    }
    let next = lines::after_blanks(text, at);
    let outer = match block {
        Some(block) if text[next..].starts_with('}') => {
            lines::indentation(text, block.keyword.start as usize)
        }
        _ => indentation,
    };
    Splice { range: at..next, text: format!("{ending}{line}{ending}{outer}"), statements }
}

/// Takes `directive` away.
pub(super) fn unset<'s>(
    tree: &'s Tree<'_>,
    scope: &Scope,
    directive: &'s str,
) -> Result<Vec<Splice<'s>>, Problem> {
    let text = tree.text;
    let nodes = tree.nodes_of(scope.find(tree)?);
    let mut ranges: Vec<Range<usize>> = Vec::new();
    for entry in given(tree, nodes, directive) {
        let Range { start, end } = extent(tree, entry);
        let range = if lines::is_first(text, start) && lines::is_last(text, end) {
            lines::start(text, start)..lines::next(text, end)
        } else {
            start..lines::after_blanks(text, end)
        };
        match ranges.last_mut() {
            Some(last) if last.end == range.start => last.end = range.end,
            _ => ranges.push(range),
        }
    }
    let splice =
        |range| Splice { range: lines::removed(text, range), text: String::new(), statements: Vec::new() };
    Ok(ranges.into_iter().map(splice).collect())
}
