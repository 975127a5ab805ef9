//! `lvs.cf`, from text to types.
//!
//! The way of a file: characters become tokens that know where they are (`token.rs`), tokens become entries and blocks
//! (`tree.rs`), and those become a [`Config`] (`lower`) with the help of one table of directives (`keys.rs`). Everything
//! that is wrong with a file is found in one run and told as [`Diagnostic`]s; each step recovers, so that one mistake is
//! told once. Tokens and tree keep to ranges of the original text and lose none of it.
//!
//! A file that is to be changed is a [`Document`]: its bytes, edited through the same tokens and tree and written back with
//! every byte that was not meant to change.
//!
//! Files that it includes (`include.rs`) are put where they are included before anything is made of the tree.
//!
//! There is no I/O except in [`load()`], in [`Resolver`], in [`DocumentFile`], in [`SystemNames`],
//! [`SystemLookup`] and [`SystemFiles`].
//!
//! ```
//! let text = "primary = 192.0.2.2\nkeepalive = 500ms\ndeadtme = 2\n";
//! let parsed = lvs_config::parse(text, &lvs_config::SystemNames);
//! assert_eq!(parsed.config, None);
//! assert_eq!(
//!     parsed.diagnostics[0].one_line("lvs.cf".as_ref()),
//!     "lvs.cf:3:1: error: unknown directive `deadtme`; did you mean `deadtime`?"
//! );
//! ```

mod book;
mod diagnostic;
mod document;
mod files;
mod include;
mod interfaces;
mod keys;
mod load;
mod lower;
mod manual;
mod migrate;
mod names;
mod pulse;
mod reference;
mod resolver;
mod sched_flags;
mod source;
mod span;
mod suggest;
mod token;
mod tree;
mod value;
mod words;
mod write;

pub mod keepalived;
pub mod model;
pub mod sysctl;
pub mod units;

pub use book::NameChange;
pub use diagnostic::{Code, Diagnostic, Note, Severity};
pub use document::{Document, DocumentFile, Edit, FileError, Policy, Refused, Saved, Scope};
pub use files::{Files, NoFiles, SystemFiles};
pub use interfaces::InterfaceAddress;
pub use load::{LoadError, Loaded, ORIGINAL_FILE, OWN_FILE, default_file, load};
pub use manual::reference_man;
pub use migrate::{Change, Line as MigratedLine, Migration, migrate};
pub use model::Config;
pub use names::{Family, Names, SystemNames};
pub use reference::reference_markdown;
pub use resolver::{Lookup, NAMES_FILE, NameNote, Patience, Resolver, SystemLookup};
pub use span::Place;
pub use suggest::nearest;
pub use write::write;

use std::borrow::Cow;
use std::path::Path;

use diagnostic::{Problem, Report};
use source::{Part, Sources};
use span::Span;
use token::Oddities;

/// Largest text that is read, in bytes.
pub const MAX_FILE: usize = 64 * 1024 * 1024;

/// What became of a text.
#[derive(Debug, Clone, PartialEq)]
pub struct Parsed {
    /// What it means; `None` when anything in it is an error.
    pub config: Option<Config>,
    /// Everything that is wrong or odd, in the order of the text.
    pub diagnostics: Vec<Diagnostic>,
}

/// Reads the text of an `lvs.cf` that includes no other files. It takes any bytes, in time proportional to their number;
/// names are looked up in `names`.
pub fn parse(text: impl AsRef<[u8]>, names: &dyn Names) -> Parsed {
    parse_with_files(text, Path::new(""), names, &NoFiles)
}

/// As [`parse`], with the files that the text includes: they are found and read in `files`, relative to the folder of
/// `path`.
pub fn parse_with_files(text: impl AsRef<[u8]>, path: &Path, names: &dyn Names, files: &dyn Files) -> Parsed {
    let bytes = text.as_ref();
    let mut report = Report::default();
    if bytes.len() > MAX_FILE {
        let message = format!("the file is larger than {MAX_FILE} bytes");
        report.add(Problem::error(Code::FileTooLarge, Span::START, message));
        return Parsed { config: None, diagnostics: report.finish(&Sources::new("")) };
    }
    let Decoded { text, oddities, .. } = Decoded::new(bytes);
    let whole = Part { range: 0..text.len(), oddities };
    let mut sources = Sources::new(text);
    let tree = include::read(&mut sources, &whole, path, files, &mut report);
    let config = lower::lower(tree, names, &mut report);
    Parsed { config, diagnostics: report.finish(&sources) }
}

/// The text of a file, as it is read.
struct Decoded<'b> {
    /// Without a mark at its start; U+FFFD stands for bytes that are not UTF-8.
    text: Cow<'b, str>,
    oddities: Oddities,
    /// Length of the mark in bytes.
    mark: usize,
}

impl<'b> Decoded<'b> {
    fn new(bytes: &'b [u8]) -> Self {
        // Editors of another system begin a file with this mark.
        let marked = bytes.strip_prefix("\u{feff}".as_bytes());
        let body = marked.unwrap_or(bytes);
        let text = match str::from_utf8(body) {
            Ok(text) => Cow::Borrowed(text),
            Err(_) => String::from_utf8_lossy(body),
        };
        let oddities = Oddities {
            replacements: matches!(text, Cow::Owned(_)),
            // Without an early end, so that it is many bytes at a time.
            controls: body.iter().fold(false, |found, b| found | is_odd_control(*b)),
        };
        Self { text, oddities, mark: bytes.len() - body.len() }
    }
}

fn is_odd_control(byte: u8) -> bool {
    byte.is_ascii_control() && !matches!(byte, b'\t' | b'\n' | b'\r')
}
