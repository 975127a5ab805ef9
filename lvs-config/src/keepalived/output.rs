//! The `lvs.cf` as it is written, line by line.

use std::fmt::Display;

use super::Blank;
use super::notes::Note;
use super::source::{Origins, Place};
use crate::diagnostic::shown;

/// Text of an `lvs.cf` in the making.
pub(super) struct Output<'f> {
    files: &'f Origins,
    lines: Vec<String>,
    indent: usize,
    blanks: Vec<Blank>,
}

impl<'f> Output<'f> {
    pub(super) fn new(files: &'f Origins) -> Self {
        Self { files, lines: Vec::new(), indent: 0, blanks: Vec::new() }
    }

    fn line(&mut self, text: &str) {
        self.lines.push(format!("{:width$}{text}", "", width = self.indent * 4));
    }

    /// An empty line.
    pub(super) fn gap(&mut self) {
        self.lines.push(String::new());
    }

    pub(super) fn comment(&mut self, text: &str) {
        self.line(&format!("# {text}"));
    }

    pub(super) fn entry(&mut self, directive: &str, value: impl Display) {
        self.line(&format!("{directive} = {value}"));
    }

    pub(super) fn optional(&mut self, directive: &str, value: Option<impl Display>) {
        if let Some(value) = value {
            self.entry(directive, value);
        }
    }

    /// A directive whose value, or the rest of it, the source does not give.
    pub(super) fn blank(&mut self, directive: &str, given: &str, wanted: &str) {
        self.line(format!("{directive} = {given}").trim_end());
        let last = self.lines.len();
        if let Some(line) = self.lines.last_mut() {
            line.push_str(&format!("     # FILL IN: {wanted}"));
        }
        let line = u32::try_from(last).unwrap_or(u32::MAX);
        self.blanks.push(Blank { line, message: format!("{directive}: {wanted}") });
    }

    pub(super) fn open(&mut self, header: &str) {
        self.line(&format!("{header} {{"));
        self.indent += 1;
    }

    pub(super) fn close(&mut self) {
        self.indent = self.indent.saturating_sub(1);
        self.line("}");
    }

    /// What could not be carried, where it would stand.
    pub(super) fn notes(&mut self, notes: &[Note]) {
        for note in notes {
            let line = note.place.line;
            let text = format!("not carried: {} (line {line})", note.message.replace(char::is_control, " "));
            self.comment(&text);
        }
    }

    /// Where something comes from.
    pub(super) fn origin(&mut self, place: Place, words: &[String]) {
        let path = self.files.path(place.file);
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
        let text = format!("{}:{}: {}", shown(&name), place.line, shown(&words.join(" ")));
        self.comment(&text);
    }

    pub(super) fn finish(self) -> (String, Vec<Blank>) {
        (self.lines.join("\n") + "\n", self.blanks)
    }
}
