//! Every directive and block of a file in order, each with what is to be said of it.

use super::quirks::{self, Around};
use super::{Change, Line, meaning};
use crate::diagnostic::Report;
use crate::document::{Edit, Scope};
use crate::keys::{Key, Section};
use crate::tree::{self, Entry, Node, Tree};
use crate::{Decoded, MAX_FILE};

/// A line, and the edits that clean it.
pub(super) struct Found {
    pub(super) line: Line,
    pub(super) edits: Vec<Edit>,
}

/// Everything in `bytes`.
pub(super) fn lines(bytes: &[u8]) -> Vec<Found> {
    if bytes.len() > MAX_FILE {
        return Vec::new();
    }
    let decoded = Decoded::new(bytes);
    let text = &*decoded.text;
    let tree = tree::read(text, decoded.oddities, &mut Report::default());
    let mut walker = Walker { tree: &tree, found: Vec::new() };
    walker.nodes(&tree.nodes, &Scope::global(), None, 0);
    walker.found
}

struct Walker<'t> {
    tree: &'t Tree<'t>,
    found: Vec<Found>,
}

impl<'t> Walker<'t> {
    fn nodes(&mut self, nodes: &[Node], scope: &Scope, outer: Option<&Around<'t>>, depth: usize) {
        let around = Around::new(self.tree, nodes, outer);
        let scopes = scope.within(self.tree, nodes);
        let mut named = scopes.iter();
        for (at, node) in nodes.iter().enumerate() {
            match node {
                Node::Entry(entry) => self.entry(entry, nodes, scope, &around, depth),
                Node::Block(block) => {
                    let name = block.name.map(|name| name.text(self.tree.text));
                    let inner = name.and_then(|_| named.next());
                    let target = inner.unwrap_or(scope);
                    let mut quirks = quirks::of_block(self.tree, block, &around);
                    let mut edits = Vec::new();
                    if let Some(port) = quirks::early_port(self.tree, nodes, at) {
                        quirks.push(format!(
                            "It has no `port`, and that of its block stands behind it: Piranha gave it {port}, which was \
                             known at its line. The cleaned file says so; without, it would be the block's."
                        ));
                        edits.push(Edit::set(target.clone(), "port", [port]));
                    }
                    let line = Line {
                        line: block.keyword.line,
                        depth,
                        text: format!("{} {} {{", block.kind.keyword(), name.unwrap_or("?")),
                        meaning: meaning::block(block.kind, name.unwrap_or("?")),
                        quirks,
                        change: None,
                    };
                    self.found.push(Found { line, edits });
                    self.nodes(&block.nodes, target, Some(&around), depth + 1);
                }
            }
        }
    }

    fn entry(&mut self, entry: &Entry, nodes: &[Node], scope: &Scope, around: &Around<'t>, depth: usize) {
        let text = self.tree.text;
        let name = entry.name.text(text);
        let values: Vec<&str> = entry.values(text).map(|value| value.text(text)).collect();
        let section = scope.section();
        let key = Key::find(section, name);
        let same = same(self.tree, nodes, name);
        let is_last = same.last().is_some_and(|last| *last == entry.name.span().start);
        let (quirks, change) = match key {
            Some(key) if is_last => quirks::of_entry(section, key, &values, around),
            Some(_) => {
                let again = "given again below; the last one holds, as in Piranha";
                (vec![again.to_owned()], Some(Change::Removed))
            }
            None => (Vec::new(), None),
        };
        let directive = || name.to_owned();
        let mut edits = Vec::new();
        if is_last && (same.len() > 1 || change == Some(Change::Removed)) {
            edits.push(Edit::unset(scope.clone(), directive()));
        }
        match &change {
            Some(Change::Becomes(value)) => {
                edits.push(Edit::set(scope.clone(), directive(), value.split(' ')));
            }
            None if is_last && same.len() > 1 => {
                edits.push(Edit::set(scope.clone(), directive(), values.iter().copied()));
            }
            _ => {}
        }
        let shown: Vec<String> = entry.values(text).map(|value| value.span().of(text).to_owned()).collect();
        let line = Line {
            line: entry.name.span().line,
            depth,
            text: format!("{name} = {}", shown.join(" ")),
            meaning: key.map_or_else(|| unknown(section), |key| meaning::entry(section, key, &values)),
            quirks,
            change,
        };
        self.found.push(Found { line, edits });
    }
}

fn unknown(section: Section) -> String {
    format!(
        "Not a directive that can stand {}; Piranha refused the file as well.",
        section.place().trim_start_matches("in ")
    )
}

/// Where the directives called `name` among `nodes` begin.
fn same(tree: &Tree<'_>, nodes: &[Node], name: &str) -> Vec<u32> {
    let begin = |node: &Node| match node {
        Node::Entry(other) if other.name.text(tree.text) == name => Some(other.name.span().start),
        _ => None,
    };
    nodes.iter().filter_map(begin).collect()
}
