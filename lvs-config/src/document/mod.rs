//! An `lvs.cf` that can be changed and written back: what is not meant by an edit stays as it is, byte by byte.
//!
//! A [`Document`] is the bytes of the file and nothing else, so writing what was read is trivially the same, whatever it
//! is: NUL, bytes that are not UTF-8, a byte order mark, mixed line ends, blocks that are not closed. The way of an edit:
//!
//! 1. the bytes become text, tokens and tree, by the reader that [`crate::parse`] uses (`token.rs`, `tree.rs`); bytes that
//!    are not UTF-8 stand in the text as U+FFFD, and positions are translated back (`splice.rs`);
//! 2. a [`Scope`] finds its block in the tree (`scope.rs`);
//! 3. an [`Edit`] becomes a few splices, ranges of the text and what to put there: `entries.rs` for directives, `blocks.rs`
//!    for blocks, both with the indentation and spacing of the neighbours (`layout.rs`, `lines.rs`);
//! 4. the splices are made, the new bytes are read again, and their tree must be the old one with exactly what was meant
//!    added and taken away (`splice.rs`); if not, the edit is refused, however odd the file is;
//! 5. after the last edit the parser reads the whole, and errors that were not there before refuse all of them.
//!
//! A document is one file. A directive `include` is edited like any other, and the blocks of the files that it names are
//! not to be found here; the parser, in the last step, reads them with the file when the document is [`Document::in_file`].
//!
//! Nothing here writes files; `file.rs` does.
//!
//! Comments: lines of comment directly above a block belong to it, and move and go with it; the run that begins on the
//! first line of the file belongs to the file. A comment above a directive stays when the directive goes, because it
//! often speaks of several; one behind it on its line goes with it. Of a directive that is given twice, the last one
//! holds: it is what is read and set, and all are taken away.

mod blocks;
mod edit;
mod entries;
mod file;
mod layout;
mod lines;
mod scope;
mod splice;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

pub use edit::Edit;
pub use file::{DocumentFile, FileError, Saved};
pub use scope::Scope;

use crate::diagnostic::{Code, Diagnostic, Problem, Report, Severity};
use crate::files::{Files, NoFiles, SystemFiles};
use crate::names::Names;
use crate::source::Sources;
use crate::span::Span;
use crate::tree::{self, Node};
use crate::{Decoded, MAX_FILE, Parsed, load};

/// The bytes of an `lvs.cf`, with the path that messages name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    path: PathBuf,
    bytes: Vec<u8>,
    /// Whether the files that it includes are read with it.
    follows_includes: bool,
}

/// What an edit may do to a file.
#[derive(Clone, Copy)]
pub enum Policy<'n> {
    /// The edits together may add no error that was not there before; names are looked up in this. Errors that are there
    /// already do not matter, so that a broken file can be repaired step by step.
    NoNewErrors(&'n dyn Names),
    /// The file may become invalid, for a draft.
    AllowErrors,
}

/// Why a document was not changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", load::lines(path, diagnostics))]
pub struct Refused {
    /// The path of the document.
    pub path: PathBuf,
    /// What is wrong. The places of what the parser found are those of the text as it would have become.
    pub diagnostics: Vec<Diagnostic>,
}

impl Document {
    /// The document of these bytes, whatever they are. `path` is for messages only: to the parser, files that it
    /// includes cannot be read.
    pub fn new(path: impl Into<PathBuf>, bytes: impl Into<Vec<u8>>) -> Self {
        Self { path: path.into(), bytes: bytes.into(), follows_includes: false }
    }

    /// The document of these bytes, which are in the file `path`: the parser reads also the files that they include.
    pub fn in_file(path: impl Into<PathBuf>, bytes: impl Into<Vec<u8>>) -> Self {
        Self { follows_includes: true, ..Self::new(path, bytes) }
    }

    /// The path that messages name.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The bytes as they are to be written.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What it means, and everything that is wrong with it.
    pub fn parse(&self, names: &dyn Names) -> Parsed {
        self.parsed(&self.bytes, names)
    }

    /// The values of `directive` in `scope` as the file gives them, without quotes; `None` when it is not given, whatever
    /// its default.
    ///
    /// # Errors
    /// When there is no such block, or more than one.
    pub fn get(&self, scope: &Scope, directive: &str) -> Result<Option<Vec<String>>, Refused> {
        self.look(|tree| {
            let nodes = tree.nodes_of(scope.find(tree)?);
            let entry = entries::given(tree, nodes, directive).last();
            Ok(entry.map(|e| e.values(tree.text).map(|v| v.text(tree.text).to_owned()).collect()))
        })
    }

    /// The blocks directly in `scope`, in the order of the file. Of blocks with the same keyword and name each is told with
    /// its [`Scope::nth`].
    ///
    /// # Errors
    /// When there is no such block, or more than one.
    pub fn blocks(&self, scope: &Scope) -> Result<Vec<Scope>, Refused> {
        self.look(|tree| {
            let nodes = tree.nodes_of(scope.find(tree)?);
            Ok(scope.within(tree, nodes))
        })
    }

    /// Makes all of `edits`, one after the other, or none. An edit that changes nothing leaves every byte as it is.
    ///
    /// # Errors
    /// [`Refused`], with the document as it was: a block that is not there or there already, a value that cannot be
    /// written, a file too broken at that place, and what `policy` does not allow.
    pub fn apply(&mut self, edits: &[Edit], policy: Policy<'_>) -> Result<(), Refused> {
        let mut bytes = None;
        for edit in edits {
            let before = bytes.as_ref().unwrap_or(&self.bytes);
            if let Some(after) = edited(before, edit).map_err(|found| self.refused(found))? {
                bytes = Some(after);
            }
        }
        let Some(bytes) = bytes else { return Ok(()) };
        if let Policy::NoNewErrors(names) = policy {
            let found = self.new_errors(&bytes, names);
            if !found.is_empty() {
                return Err(self.refused(found));
            }
        }
        self.bytes = bytes;
        Ok(())
    }

    /// The errors of `after` that are not there now. Lines move, so errors are compared by what they say.
    fn new_errors(&self, after: &[u8], names: &dyn Names) -> Vec<Diagnostic> {
        let errors = |bytes: &[u8]| {
            let mut found = self.parsed(bytes, names).diagnostics;
            found.retain(|diagnostic| diagnostic.severity == Severity::Error);
            found
        };
        let mut after = errors(after);
        if after.is_empty() {
            return after;
        }
        let mut known: HashMap<(Code, String), usize> = HashMap::new();
        let mut is_cut = false;
        for error in errors(&self.bytes) {
            is_cut |= error.code == Code::TooMany;
            *known.entry((error.code, error.message)).or_default() += 1;
        }
        after.retain(|error| match known.get_mut(&(error.code, error.message.clone())) {
            Some(left) if *left > 0 => {
                *left -= 1;
                false
            }
            // With more errors than are told, one that was not among them shows up when another goes.
            _ => error.code != Code::TooMany && !(is_cut && is_line_of(&self.bytes, &error.place.source)),
        });
        after
    }

    fn parsed(&self, bytes: &[u8], names: &dyn Names) -> Parsed {
        let files: &dyn Files = if self.follows_includes { &SystemFiles } else { &NoFiles };
        crate::parse_with_files(bytes, &self.path, names, files)
    }

    fn look<T>(&self, look: impl FnOnce(&tree::Tree<'_>) -> Result<T, Problem>) -> Result<T, Refused> {
        with_tree(&self.bytes, |tree, _| look(tree)).map_err(|found| self.refused(found))
    }

    fn refused(&self, diagnostics: Vec<Diagnostic>) -> Refused {
        Refused { path: self.path.clone(), diagnostics }
    }
}

/// `bytes` after `edit`; `None` when they stay as they are.
fn edited(bytes: &[u8], edit: &Edit) -> Result<Option<Vec<u8>>, Vec<Diagnostic>> {
    with_tree(bytes, |tree, decoded| {
        let splices = edit.plan(tree)?;
        if splices.is_empty() {
            return Ok(None);
        }
        let after = splice::make(bytes, decoded, &splices);
        if splice::is_exact(tree, &splices, &after) {
            return Ok(Some(after));
        }
        let place = splices.first().map_or(0, |s| s.range.start);
        let message = "what stands here cannot be edited without changing something else";
        let problem = Problem::error(Code::Structure, lines::span_of_line(tree.text, place), message);
        Err(problem.help("give each directive and brace a line of its own, and mend what the parser reports"))
    })
}

/// What `act` makes of the structure of `bytes`.
fn with_tree<T>(
    bytes: &[u8],
    act: impl FnOnce(&tree::Tree<'_>, &Decoded<'_>) -> Result<T, Problem>,
) -> Result<T, Vec<Diagnostic>> {
    if bytes.len() > MAX_FILE {
        let mut report = Report::default();
        let message = format!("the file is larger than {MAX_FILE} bytes and cannot be edited");
        report.add(Problem::error(Code::FileTooLarge, Span::START, message));
        return Err(report.finish(&Sources::new("")));
    }
    let decoded = Decoded::new(bytes);
    let text = &*decoded.text;
    // What is wrong with the file is told when the parser reads it, not at each look.
    let tree = tree::read(text, decoded.oddities, &mut Report::default());
    act(&tree, &decoded).map_err(|problem| {
        let mut report = Report::default();
        report.add(problem);
        report.finish(&Sources::new(text))
    })
}

/// Whether `bytes` have the line `source`.
fn is_line_of(bytes: &[u8], source: &str) -> bool {
    Decoded::new(bytes).text.split(['\n', '\r']).any(|line| line == source)
}

impl<'t> tree::Tree<'t> {
    /// What stands in `block`, or outside of all blocks.
    fn nodes_of<'s>(&'s self, block: Option<&'s tree::Block>) -> &'s [Node] {
        block.map_or(&self.nodes, |block| &block.nodes)
    }
}
