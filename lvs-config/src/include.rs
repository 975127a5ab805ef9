//! `include = PATTERN`: the entries and blocks of other files, put where the directive stands.
//!
//! A file is read by itself: its blocks begin and end in it. What it contains then stands behind the directive, so that
//! `lower` reads one tree whatever it came from. Wildcards are in the file's name only, which makes a search one look
//! into one folder. How deep, how many and how large is limited, so that reading ends for any files.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use glob::{MatchOptions, Pattern};

use crate::MAX_FILE;
use crate::diagnostic::{Code, Problem, Report, shown, shown_path};
use crate::files::Files;
use crate::keys::Value;
use crate::source::{Part, Sources};
use crate::span::Span;
use crate::token::Token;
use crate::tree::{self, BlockKind, Entry, Node, Tree};

/// The directive.
pub(crate) const INCLUDE: &str = "include";
/// Most files within each other, the first one not counted.
pub(crate) const MAX_DEPTH: usize = 8;
/// Most files, each counted as often as it is included.
pub(crate) const MAX_INCLUDED: usize = 10_000;

/// As a shell matches names: hidden files, such as those that editors leave, are not meant by `*`.
const OPTIONS: MatchOptions =
    MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: true };

/// Reads the structure of the first of `sources`, found at `first`, and of everything that it includes. Patterns start
/// at the folder of `path`.
pub(crate) fn read<'s>(
    sources: &'s mut Sources<'_>,
    first: &Part,
    path: &Path,
    files: &dyn Files,
    report: &mut Report,
) -> Tree<'s> {
    let mut reading = Reading {
        sources,
        files,
        report,
        chain: vec![path.to_owned()],
        count: 0,
        bytes: first.range.len(),
        is_exhausted: false,
    };
    let nodes = reading.part(first, None);
    Tree { text: sources.text(), nodes }
}

struct Reading<'r, 't> {
    sources: &'r mut Sources<'t>,
    files: &'r dyn Files,
    report: &'r mut Report,
    /// The file that is read and those that include it, outermost first.
    chain: Vec<PathBuf>,
    /// How many files have been included.
    count: usize,
    /// Length of all together.
    bytes: usize,
    /// Whether a limit has been passed, so that nothing more is included.
    is_exhausted: bool,
}

impl Reading<'_, '_> {
    fn part(&mut self, part: &Part, within: Option<BlockKind>) -> Vec<Node> {
        let text = self.sources.text();
        let (nodes, has_includes) = tree::read_part(text, part, within, self.report);
        if has_includes { self.expand(nodes, within) } else { nodes }
    }

    fn expand(&mut self, nodes: impl IntoIterator<Item = Node>, within: Option<BlockKind>) -> Vec<Node> {
        let mut expanded = Vec::new();
        for node in nodes {
            match node {
                Node::Entry(entry) => {
                    let include = self.include(&entry);
                    expanded.push(Node::Entry(entry));
                    if let Some(value) = include {
                        self.follow(value, within, &mut expanded);
                    }
                }
                Node::Block(mut block) => {
                    if within.is_none() && block.kind != BlockKind::Server {
                        block.nodes = self.expand(std::mem::take(&mut block.nodes), Some(block.kind)).into();
                    }
                    expanded.push(Node::Block(block));
                }
            }
        }
        expanded
    }

    /// The value of `entry` if it includes something. What is wrong with its form is told by `lower`.
    fn include(&self, entry: &Entry) -> Option<Token> {
        let text = self.sources.text();
        let is_whole = entry.has_equals && !entry.is_broken;
        let mut values = (is_whole && entry.name.text(text) == INCLUDE).then(|| entry.values(text))?;
        values.next().filter(|_| values.next().is_none())
    }

    /// Adds what the files that `value` means contain.
    fn follow(&mut self, value: Token, within: Option<BlockKind>, into: &mut Vec<Node>) {
        let pattern = value.text(self.sources.text()).to_owned();
        let paths = match self.found(&pattern, value.span()) {
            Ok(paths) => paths,
            Err(problem) => return self.report.add(problem),
        };
        for path in paths {
            if self.is_exhausted {
                return;
            }
            match self.admitted(&path, value.span()) {
                Ok(part) => {
                    self.chain.push(path);
                    into.extend(self.part(&part, within));
                    self.chain.pop();
                }
                Err(problem) => self.report.add(problem),
            }
        }
    }

    /// The files that `pattern`, given at `span`, means: in the order of their names.
    fn found(&mut self, pattern: &str, span: Span) -> Result<Vec<PathBuf>, Problem> {
        let refused = |reason: &str| {
            let message = format!("`{INCLUDE}` cannot be `{}`: {reason}", shown(pattern));
            Problem::error(Code::Include, span, message).help(format!("allowed: {}", Value::Files.allowed()))
        };
        let name_at = pattern.rfind('/').map_or(0, |slash| slash + 1);
        let (folder, name) = pattern.split_at(name_at);
        if matches!(name, "" | "." | "..") {
            return Err(refused("it is no name of a file"));
        }
        if has_wildcards(folder) {
            return Err(refused("there are wildcards in the name of a folder"));
        }
        let base = self.chain.last().and_then(|path| path.parent()).unwrap_or(Path::new(""));
        let folder = base.join(folder);
        if !has_wildcards(name) {
            return Ok(vec![folder.join(name)]);
        }
        let wanted = Pattern::new(name).map_err(|error| refused(error.msg))?;
        let names = self.files.names(&folder).map_err(|error| unreadable(&folder, &error, span))?;
        let is_wanted = |it: &OsString| wanted.matches_with(&it.to_string_lossy(), OPTIONS);
        let mut names: Vec<OsString> = names.into_iter().filter(is_wanted).collect();
        names.sort();
        if names.is_empty() {
            let message = format!("no file is named `{}`", shown_path(&folder.join(name)));
            self.report.add(Problem::warning(Code::NoEffect, span, message));
        }
        Ok(names.into_iter().map(|name| folder.join(name)).collect())
    }

    /// The text of `path`, if it may be included by what stands at `span`.
    fn admitted(&mut self, path: &Path, span: Span) -> Result<Part, Problem> {
        let refused = |code, reason: String| {
            Problem::error(code, span, format!("`{}` is not included: {reason}", shown_path(path)))
        };
        if self.chain.iter().any(|open| open == path) {
            return Err(refused(Code::Include, format!("it includes itself: {}", self.chain_to(path))));
        }
        if self.chain.len() > MAX_DEPTH {
            let reason = format!("more than {MAX_DEPTH} files include each other: {}", self.chain_to(path));
            return Err(refused(Code::Include, reason));
        }
        self.count += 1;
        if self.count > MAX_INCLUDED {
            self.is_exhausted = true;
            return Err(refused(Code::Include, format!("{MAX_INCLUDED} files have been included before it")));
        }
        let left = MAX_FILE.saturating_sub(self.bytes);
        let part = match self.sources.find(path) {
            Some(part) => Some(part),
            None => {
                let bytes = self.files.read(path, left).map_err(|error| unreadable(path, &error, span))?;
                (bytes.len() <= left).then(|| self.sources.add(path, &bytes))
            }
        };
        let Some(part) = part.filter(|part| part.range.len() <= left) else {
            self.is_exhausted = true;
            let reason = format!("the files together are larger than {MAX_FILE} bytes");
            return Err(refused(Code::FileTooLarge, reason));
        };
        self.bytes += part.range.len();
        Ok(part)
    }

    /// The files that include each other up to `path`, for people.
    fn chain_to(&self, path: &Path) -> String {
        let names: Vec<String> =
            self.chain.iter().map(PathBuf::as_path).chain([path]).map(shown_path).collect();
        names.join(" -> ")
    }
}

fn has_wildcards(text: &str) -> bool {
    text.contains(['*', '?', '['])
}

fn unreadable(path: &Path, error: &io::Error, span: Span) -> Problem {
    Problem::error(Code::Include, span, format!("`{}` cannot be read: {error}", shown_path(path)))
}
