//! A file of the original explained line by line, and as it is written today.
//!
//! Each line gets its meaning in words (`meaning.rs`) and, where Piranha did something of its own with it, the quirk and
//! what becomes of the line (`quirks.rs`). What is obsolete is taken away and what was only understood by chance is
//! written plainly, by edits that leave everything else of the file as it is, comments included (`clean.rs`). What the
//! suite does differently although nothing in the file says so is told at the end (`differences.rs`).
//!
//! The cleaned file means the same, except for what has no effect and for text that Piranha read in a way of its own,
//! each of which is told.

mod clean;
mod differences;
mod meaning;
mod quirks;
mod walk;

use std::path::Path;

use crate::diagnostic::Diagnostic;
use crate::files::Files;
use crate::names::Names;

/// A file, explained and cleaned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Migration {
    /// Its directives and blocks in order.
    pub lines: Vec<Line>,
    /// What is different although no line says so.
    pub differences: Vec<String>,
    /// What is wrong or odd in the file as it is.
    pub before: Vec<Diagnostic>,
    /// The file as it is written today.
    pub clean: Vec<u8>,
    /// What is still wrong or odd in that: it needs a decision.
    pub after: Vec<Diagnostic>,
}

/// What one line of the file is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Its number, counted from 1.
    pub line: u32,
    /// In how many blocks it stands.
    pub depth: usize,
    /// The directive with its values, or the header of a block, as it stands there.
    pub text: String,
    /// What it means.
    pub meaning: String,
    /// What Piranha did with it that is not plain, and what is done here.
    pub quirks: Vec<String>,
    /// What becomes of it in the cleaned file.
    pub change: Option<Change>,
}

/// What becomes of a directive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// It goes.
    Removed,
    /// It gets this value.
    Becomes(String),
}

/// Explains and cleans `bytes`, which are the file `path`. Names are looked up in `names`, and what the file includes in
/// `files`; that itself is not explained.
pub fn migrate(path: &Path, bytes: &[u8], names: &dyn Names, files: &dyn Files) -> Migration {
    let parsed = crate::parse_with_files(bytes, path, names, files);
    let mended = clean::mend(bytes);
    let found = walk::lines(&mended);
    let clean = clean::apply(path, mended, &found);
    // The cleaned file is what the quirks are gone from; what is odd in it is not of our making.
    let after = crate::parse_with_files(&clean, path, names, files).diagnostics;
    let differences = parsed.config.as_ref().map(differences::all).unwrap_or_default();
    let mut lines: Vec<Line> = found.into_iter().map(|entry| entry.line).collect();
    let layout = quirks::of_layout(bytes);
    if let (Some(first), false) = (lines.first_mut(), layout.is_empty()) {
        first.quirks.splice(0..0, layout);
    }
    Migration { lines, differences, before: parsed.diagnostics, clean, after }
}
