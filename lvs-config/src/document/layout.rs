//! How new lines look: as those around them do.
//!
//! Indentation, the blanks around `=` (columns of `=` included), quotes and the blank before `{` are taken from the text.
//! Where there is nothing to follow, it is four blanks a level and one around `=`.

use crate::diagnostic::{Code, Problem, shown};
use crate::document::lines;
use crate::span::Span;
use crate::token::{CHECK, Kind, Token, is_bare_check};
use crate::tree::{Block, BlockKind, Entry, Node, Tree, blocks};
use crate::write::quoted;

/// How a directive's line looks.
pub(super) struct Layout<'t> {
    pub(super) indentation: String,
    before_equals: &'t str,
    /// Where `=` stands after the name's start, when it is padded to a column.
    column: Option<usize>,
    after_equals: &'t str,
}

impl<'t> Layout<'t> {
    /// The usual one.
    pub(super) fn usual(indentation: String) -> Self {
        Self { indentation, before_equals: " ", column: None, after_equals: " " }
    }

    /// That of `entry`, which is whole.
    pub(super) fn of(tree: &Tree<'t>, entry: &Entry) -> Self {
        let text = tree.text;
        let name = entry.name.span();
        let mut indentation = lines::indentation(text, name.start as usize).to_owned();
        if !lines::is_first(text, name.start as usize) {
            indentation.push_str(unit(tree));
        }
        let usual = Self::usual(indentation);
        let Some(equals) = tree.equals(entry) else { return usual };
        let before_equals = &text[name.end as usize..equals.start as usize];
        let is_padded = before_equals.len() > 1 && before_equals.bytes().all(|b| b == b' ');
        let width = entry.name.span().of(text).chars().count() + before_equals.len();
        let first = entry.values(text).next();
        let after_equals =
            first.map_or(usual.after_equals, |first| &text[equals.end as usize..first.span().start as usize]);
        Self { before_equals, column: is_padded.then_some(width), after_equals, ..usual }
    }

    /// That of the directives in `block`.
    pub(super) fn within(tree: &Tree<'t>, block: &Block) -> Self {
        let text = tree.text;
        let first = |entry: &&Entry| lines::is_first(text, entry.name.span().start as usize);
        match whole_entries(&block.nodes).find(first) {
            Some(entry) => Self::of(tree, entry),
            None => Self::usual(format!(
                "{}{}",
                lines::indentation(text, block.keyword.start as usize),
                unit(tree)
            )),
        }
    }

    /// The line without its end.
    pub(super) fn line(&self, name: &str, values: &[String], place: Span) -> Result<String, Problem> {
        let gap = match self.column {
            Some(column) => " ".repeat(column.saturating_sub(name.chars().count()).max(1)),
            None => self.before_equals.to_owned(),
        };
        let words: Result<Vec<String>, Problem> =
            values.iter().map(|value| word(name, value, None, place)).collect();
        let line = format!("{}{name}{gap}={}{}", self.indentation, self.after_equals, words?.join(" "));
        Ok(line.trim_end_matches([' ', '\t']).to_owned())
    }
}

/// The directives among `nodes` that nothing is wrong with.
pub(super) fn whole_entries(nodes: &[Node]) -> impl DoubleEndedIterator<Item = &Entry> {
    nodes.iter().filter_map(|node| match node {
        Node::Entry(entry) if entry.has_equals && !entry.is_broken => Some(entry),
        _ => None,
    })
}

/// How much deeper the contents of a block stand than its first line.
pub(super) fn unit<'t>(tree: &Tree<'t>) -> &'t str {
    blocks(&tree.nodes).find_map(|block| deeper(tree, block)).unwrap_or("    ")
}

/// How much deeper the directives of `block` stand than its first line, where that can be seen.
fn deeper<'t>(tree: &Tree<'t>, block: &Block) -> Option<&'t str> {
    let text = tree.text;
    let outer = lines::indentation(text, block.keyword.start as usize);
    let inner = whole_entries(&block.nodes).map(|entry| entry.name.span().start as usize);
    inner
        .filter(|at| lines::is_first(text, *at))
        .find_map(|at| lines::indentation(text, at).strip_prefix(outer).filter(|deeper| !deeper.is_empty()))
        .or_else(|| blocks(&block.nodes).find_map(|inner| deeper(tree, inner)))
}

/// A block with these directives, lines without the last line end. `like` is the nearest block of the kind, if any.
pub(super) fn block(
    tree: &Tree<'_>,
    like: Option<&Block>,
    (kind, name): (BlockKind, &str),
    entries: &[(String, Vec<String>)],
    indentation: &str,
    place: Span,
    ending: &str,
) -> Result<String, Problem> {
    let text = tree.text;
    let gap = like.and_then(|block| {
        let name_end = block.name?.span().end as usize;
        text.get(name_end..tree.brace(block)?.start as usize)
            .filter(|gap| gap.bytes().all(|b| matches!(b, b' ' | b'\t')))
    });
    let mut layout = like.map_or_else(|| Layout::usual(String::new()), |block| Layout::within(tree, block));
    let deeper = like.and_then(|block| deeper(tree, block)).unwrap_or_else(|| unit(tree));
    layout.indentation = format!("{indentation}{deeper}");
    let name = name_word(name, None, place)?;
    let mut lines = vec![format!("{indentation}{} {name}{}{{", kind.keyword(), gap.unwrap_or(" "))];
    for (directive, values) in entries {
        lines.push(layout.line(directive, values, place)?);
    }
    lines.push(format!("{indentation}}}"));
    Ok(lines.join(ending))
}

/// `value` as one token, with the quotes of `like` if it can have them.
pub(super) fn word(
    directive: &str,
    value: &str,
    like: Option<(Token, &str)>,
    place: Span,
) -> Result<String, Problem> {
    let is_quoted = matches!(like, Some((Token { kind: Kind::Quoted, .. }, _)));
    if directive == CHECK && !is_quoted && !has_line_end(value) && is_bare_check(value) {
        return Ok(value.to_owned());
    }
    let is_word =
        !value.is_empty() && !value.starts_with(['"', '\'', '#', '{', '}']) && !value.contains([' ', '\t']);
    if matches!(like, Some((Token { kind: Kind::Word, .. }, _))) && is_word && !has_line_end(value) {
        return Ok(value.to_owned());
    }
    in_quotes(value, like, is_word).ok_or_else(|| {
        let message = format!("`{directive}` cannot be given `{}`", shown(value));
        Problem::error(Code::Quoting, place, message).help(WRITABLE)
    })
}

/// `name` as the name of a block, with the quotes of `like` if it can have them.
pub(super) fn name_word(name: &str, like: Option<(Token, &str)>, place: Span) -> Result<String, Problem> {
    in_quotes(name, like, false).filter(|_| !name.is_empty()).ok_or_else(|| {
        let message = format!("a block cannot be named `{}`", shown(name));
        Problem::error(Code::Quoting, place, message).help(WRITABLE)
    })
}

const WRITABLE: &str =
    "allowed: text on one line, without NUL, with at most one kind of quotes if it has blanks";

fn in_quotes(text: &str, like: Option<(Token, &str)>, may_be_bare: bool) -> Option<String> {
    if has_line_end(text) || text.contains('"') && text.contains('\'') && !may_be_bare {
        return None;
    }
    match like {
        Some((Token { kind: Kind::Quoted, .. }, raw)) if !text.contains(&raw[..1]) => {
            Some(format!("{0}{text}{0}", &raw[..1]))
        }
        _ => Some(quoted(text)),
    }
}

fn has_line_end(text: &str) -> bool {
    text.contains(['\n', '\r', '\0'])
}
