//! Which block of a file is meant: the way to it, by keyword and name.
//!
//! Names need not be unique in a file, so a block can also be told by its number; a name that means several blocks
//! means none.

use std::collections::HashMap;

use crate::diagnostic::{Code, Problem, shown};
use crate::keys::Section;
use crate::span::Span;
use crate::suggest::nearest;
use crate::tree::{Block, BlockKind, Node, Tree, blocks};

/// Most blocks that a message lists.
const LISTED: usize = 10;

/// A part of a file: what stands outside of all blocks, or a block.
///
/// ```
/// # use lvs_config::{Document, Scope};
/// let document = Document::new("lvs.cf", "virtual web {\n server one {\n  weight = 3\n }\n}\n");
/// let server = Scope::virtual_server("web").server("one");
/// assert_eq!(document.get(&server, "weight").unwrap(), Some(vec!["3".to_owned()]));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope(Vec<Step>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Step {
    kind: BlockKind,
    name: String,
    nth: Option<usize>,
}

impl Scope {
    /// Outside of all blocks.
    pub fn global() -> Self {
        Self(Vec::new())
    }

    /// `virtual NAME`.
    pub fn virtual_server(name: impl Into<String>) -> Self {
        Self::global().then(BlockKind::Virtual, name.into())
    }

    /// `failover NAME`.
    pub fn failover(name: impl Into<String>) -> Self {
        Self::global().then(BlockKind::Failover, name.into())
    }

    /// `server NAME` in this block.
    #[must_use]
    pub fn server(self, name: impl Into<String>) -> Self {
        self.then(BlockKind::Server, name.into())
    }

    /// The `nth` one, counted from 1, of the blocks of this name; for files in which there are several. Without it the
    /// name must be unique. It has no meaning outside of all blocks.
    #[must_use]
    pub fn nth(mut self, nth: usize) -> Self {
        if let Some(last) = self.0.last_mut() {
            last.nth = Some(nth);
        }
        self
    }

    /// The name of the block; `None` outside of all blocks.
    pub fn name(&self) -> Option<&str> {
        self.0.last().map(|step| step.name.as_str())
    }

    fn then(mut self, kind: BlockKind, name: String) -> Self {
        self.0.push(Step { kind, name, nth: None });
        self
    }

    /// Its keyword; `None` outside of all blocks.
    pub(super) fn kind(&self) -> Option<BlockKind> {
        self.0.last().map(|step| step.kind)
    }

    /// The scope around this one; the outermost is its own.
    pub(super) fn parent(&self) -> Self {
        Self(self.0.split_last().map_or_else(Vec::new, |(_, outer)| outer.to_vec()))
    }

    /// The directives that may stand in it.
    pub(crate) fn section(&self) -> Section {
        match self.kind() {
            None => Section::Global,
            Some(BlockKind::Virtual | BlockKind::Failover) => Section::Service,
            Some(BlockKind::Server) => Section::Server,
        }
    }

    /// Its block in `tree`; `None` outside of all blocks.
    pub(super) fn find<'s>(&self, tree: &'s Tree<'_>) -> Result<Option<&'s Block>, Problem> {
        let mut found: Option<&Block> = None;
        for step in &self.0 {
            let nodes = tree.nodes_of(found);
            let around = found.map_or(Span::START, |block| block.keyword);
            found = Some(step.find(tree, nodes, around)?);
        }
        Ok(found)
    }

    /// The scopes of the blocks among `nodes`, which stand in this one.
    pub(crate) fn within(&self, tree: &Tree<'_>, nodes: &[Node]) -> Vec<Self> {
        let named: Vec<(BlockKind, &str)> =
            blocks(nodes).filter_map(|block| Some((block.kind, block.name?.text(tree.text)))).collect();
        let mut counts = HashMap::new();
        for key in &named {
            counts.entry(*key).or_insert((0, 0)).0 += 1;
        }
        let mut scopes = Vec::new();
        for (kind, name) in named {
            let scope = self.clone().then(kind, name.to_owned());
            let (all, seen) = counts.entry((kind, name)).or_default();
            *seen += 1;
            scopes.push(if *all > 1 { scope.nth(*seen) } else { scope });
        }
        scopes
    }
}

impl Step {
    fn find<'s>(&self, tree: &Tree<'_>, nodes: &'s [Node], around: Span) -> Result<&'s Block, Problem> {
        let found = named(tree, nodes, self.kind, &self.name);
        let what = format!("`{} {}`", self.kind.keyword(), shown(&self.name));
        match (found.as_slice(), self.nth) {
            ([], _) => Err(self.missing(tree, nodes, around, &what)),
            ([only], None) => Ok(only),
            ([first, second, ..], None) => {
                let message = format!("there are {} blocks {what}", found.len());
                let problem = Problem::error(Code::Repeated, second.keyword, message);
                Err(problem.help("say which one by its number").note(first.keyword, "the first is"))
            }
            (several, Some(nth)) => {
                nth.checked_sub(1).and_then(|at| several.get(at)).copied().ok_or_else(|| {
                    let message = format!("there is no {what} number {nth}");
                    Problem::error(Code::NoSuchBlock, around, message)
                        .help(format!("allowed: 1 to {}", several.len()))
                })
            }
        }
    }

    fn missing(&self, tree: &Tree<'_>, nodes: &[Node], around: Span, what: &str) -> Problem {
        let names: Vec<&str> = blocks(nodes)
            .filter(|block| block.kind == self.kind)
            .filter_map(|block| Some(block.name?.text(tree.text)))
            .collect();
        let keyword = self.kind.keyword();
        let problem = Problem::error(Code::NoSuchBlock, around, format!("there is no {what}"));
        if let Some(near) = nearest(&self.name, names.iter().copied()) {
            return problem.help(format!("did you mean `{}`?", shown(near)));
        }
        if names.is_empty() {
            return problem.help(format!("there is no `{keyword}` block here"));
        }
        let listed: Vec<String> =
            names.iter().take(LISTED).map(|name| format!("`{}`", shown(name))).collect();
        let more = if names.len() > LISTED { ", …" } else { "" };
        problem.help(format!("there are: {}{more}", listed.join(", ")))
    }
}

/// The blocks `kind name` among `nodes`.
pub(super) fn named<'s>(tree: &Tree<'_>, nodes: &'s [Node], kind: BlockKind, name: &str) -> Vec<&'s Block> {
    let is_named = |block: &&Block| block.name.is_some_and(|token| token.text(tree.text) == name);
    blocks(nodes).filter(|block| block.kind == kind).filter(is_named).collect()
}
