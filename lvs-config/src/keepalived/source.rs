//! A `keepalived.conf` and all that it includes, as plain lines: without comments, definitions and conditions.

use std::io;
use std::path::{Path, PathBuf};

use super::expand::{Definitions, definition};
use super::files::matching;
use super::notes::Notes;
use super::words::{self, Word};
use crate::MAX_FILE;
use crate::diagnostic::shown;
use crate::files::Files;

/// Deepest nesting of included files.
const MAX_INCLUDES: usize = 16;
/// Most files that are read.
const MAX_FILES: usize = 10_000;
/// Most lines that come out, after macros and sequences.
const MAX_LINES: usize = 1_000_000;

/// A place in the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// Which of [`Origins`].
    pub(super) file: usize,
    /// Which line of it, counted from 1.
    pub(super) line: u32,
}

/// The files that were read, in order.
#[derive(Debug, Default)]
pub(super) struct Origins(Vec<PathBuf>);

impl Origins {
    /// The path of file number `file`.
    pub(super) fn path(&self, file: usize) -> &Path {
        self.0.get(file).map_or(Path::new(""), PathBuf::as_path)
    }
}

/// A line that means something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) text: String,
    pub(super) place: Place,
}

/// The lines of `path` and of what it includes.
pub(super) fn read(
    path: &Path,
    files: &dyn Files,
    config_id: &str,
    origins: &mut Origins,
    notes: &mut Notes,
) -> io::Result<Vec<Line>> {
    let bytes = files.read(path, MAX_FILE)?;
    let definitions = Definitions::new(config_id);
    let mut reader =
        Reader { files, config_id, origins, notes, definitions, lines: Vec::new(), is_full: false };
    reader.file(path, &bytes, 0);
    Ok(reader.lines)
}

struct Reader<'r> {
    files: &'r dyn Files,
    config_id: &'r str,
    origins: &'r mut Origins,
    notes: &'r mut Notes,
    definitions: Definitions,
    lines: Vec<Line>,
    is_full: bool,
}

impl Reader<'_> {
    fn file(&mut self, path: &Path, bytes: &[u8], depth: usize) {
        let file = self.origins.0.len();
        self.origins.0.push(path.to_owned());
        let folder = path.parent().unwrap_or(Path::new("")).to_owned();
        let text = String::from_utf8_lossy(bytes);
        let mut physical = (1..).zip(text.lines());
        while let Some((line, text)) = physical.next() {
            let place = Place { file, line };
            let text = words::without_comment(text);
            self.definitions.enter(&folder);
            if let Some(body) = self.definition(text, place) {
                let name = body;
                let mut lines = Vec::new();
                for (_, text) in physical.by_ref() {
                    let text = words::without_comment(text);
                    let more = text.strip_suffix('\\');
                    lines.push(more.unwrap_or(text).trim().to_owned());
                    if more.is_none() {
                        break;
                    }
                }
                self.definitions.define(&name, lines);
                continue;
            }
            self.line(text, place, &folder, depth);
        }
    }

    /// Takes `$NAME=VALUE`; gives the name when the value is on the lines after it.
    fn definition(&mut self, text: &str, place: Place) -> Option<String> {
        let text = self.conditional(text)?;
        let (name, value) = definition(&text)?;
        if let Some(rest) = value.strip_suffix('\\') {
            if !rest.trim().is_empty() {
                self.notes.add(place, format!("`${name}`: what stands on the line of the name is not read"));
            }
            return Some(name.to_owned());
        }
        None
    }

    /// The line without its condition; `None` when the condition does not hold.
    fn conditional(&self, text: &str) -> Option<String> {
        let Some(rest) = text.strip_prefix('@') else { return Some(text.to_owned()) };
        let (id, rest) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        let holds = match id.strip_prefix('^') {
            Some(id) => id != self.config_id,
            None => id == self.config_id,
        };
        holds.then(|| rest.trim_start().to_owned())
    }

    fn line(&mut self, text: &str, place: Place, folder: &Path, depth: usize) {
        if text.is_empty() || self.is_full {
            return;
        }
        // As in keepalived, before conditions and macros are looked at.
        if let Some(pattern) = included(text) {
            self.include(&pattern, place, folder, depth);
            return;
        }
        let (lines, complete) = self.definitions.expand(text);
        if !complete || self.lines.len() + lines.len() > MAX_LINES {
            self.is_full = self.lines.len() + lines.len() > MAX_LINES;
            self.notes.add(place, format!("{}: it becomes too many or too long lines", shown(text)));
            return;
        }
        for text in lines {
            let Some(text) = self.conditional(&text) else { continue };
            if let Some((name, value)) = definition(&text) {
                self.definitions.define(name, vec![value.to_owned()]);
            } else if !text.is_empty() {
                self.lines.push(Line { text, place });
            }
        }
    }

    fn include(&mut self, pattern: &str, place: Place, folder: &Path, depth: usize) {
        if depth >= MAX_INCLUDES {
            self.notes.add(place, "include: files are nested too deeply");
            return;
        }
        let paths = matching(self.files, &folder.join(pattern));
        if paths.is_empty() {
            self.notes.add(place, format!("include {}: there is no such file", shown(pattern)));
        }
        for path in paths {
            if self.origins.0.len() >= MAX_FILES {
                self.notes.add(place, "include: too many files");
                return;
            }
            match self.files.read(&path, MAX_FILE) {
                Ok(bytes) => self.file(&path, &bytes, depth + 1),
                Err(error) => self.notes.add(place, format!("include {}: {error}", path.display())),
            }
            self.definitions.enter(folder);
        }
    }
}

/// The pattern of an `include` line.
fn included(text: &str) -> Option<String> {
    const KEYWORDS: [&str; 6] = ["include", "includer", "includem", "includew", "includeb", "includea"];
    let keyword = text.split_whitespace().next()?;
    if !KEYWORDS.contains(&keyword) {
        return None;
    }
    match words::split(&text[keyword.len()..]).0.into_iter().next() {
        Some(Word::Text(pattern)) => Some(pattern),
        _ => None,
    }
}
