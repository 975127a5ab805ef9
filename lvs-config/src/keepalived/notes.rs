//! What could not be carried, as it is found.

use std::collections::HashSet;

use super::Left;
use super::source::{Origins, Place};
use crate::diagnostic::shown;

/// One thing that was left, at its place in the source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Note {
    pub(super) place: Place,
    pub(super) message: String,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Notes {
    all: Vec<Note>,
    /// What has been said of the present part of the file.
    said: HashSet<String>,
    from: usize,
}

impl Notes {
    /// Begins a part of the file, in which the same thing is said once.
    pub(super) fn begin(&mut self) {
        self.said.clear();
        self.from = self.all.len();
    }

    /// Notes that `message` holds of `place`.
    pub(super) fn add(&mut self, place: Place, message: impl Into<String>) {
        let message = message.into();
        if self.said.insert(message.clone()) {
            self.all.push(Note { place, message });
        }
    }

    /// Notes that the line of `words` is not carried, and why.
    pub(super) fn leave(&mut self, place: Place, words: &[String], why: &str) {
        self.add(place, format!("{}: {why}", shown(&words.join(" "))));
    }

    /// What has been said since [`Notes::begin`].
    pub(super) fn part(&self) -> Vec<Note> {
        self.all.get(self.from..).unwrap_or_default().to_vec()
    }

    /// Everything, in the order of the source.
    pub(super) fn finish(mut self, files: &Origins) -> Vec<Left> {
        self.all.sort_by_key(|note| (note.place.file, note.place.line));
        let left = |note: Note| Left {
            file: files.path(note.place.file).to_owned(),
            line: note.place.line,
            message: note.message,
        };
        self.all.into_iter().map(left).collect()
    }
}
