//! What is wrong with a file, told to a person: one line for logs, or the annotated source for terminals.
//!
//! Nothing here knows what a configuration is. `annotate-snippets` is used in this file only.

use std::fmt::{self, Write as _};
use std::path::Path;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use crate::source::Sources;
use crate::span::{Place, Span};

/// Most errors, and most warnings, that are told about one file.
pub(crate) const MAX_REPORTED: usize = 100;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The file cannot be used.
    Error,
    /// The file is used; something in it probably does not do what was meant.
    Warning,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
        })
    }
}

/// The kind of a diagnostic, for programs that read them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Code {
    /// Larger than what is read.
    FileTooLarge,
    /// Longer than what is read.
    LineTooLong,
    /// A NUL character, or bytes that are not UTF-8.
    BadCharacter,
    /// A quote that is not closed, or not followed by a blank.
    Quoting,
    /// A brace that is missing or too many, or a block where none can be.
    Structure,
    /// No such directive, or not in this kind of block.
    UnknownDirective,
    /// No `=` after the directive.
    MissingEquals,
    /// Too few or too many values.
    ValueCount,
    /// A value of the wrong type.
    BadValue,
    /// A number or time outside its range.
    OutOfRange,
    /// A file that cannot be included.
    Include,
    /// A name that cannot be resolved.
    UnknownName,
    /// A directive that must be given is not.
    Missing,
    /// A directive is given twice.
    Repeated,
    /// Two things that cannot be together.
    Conflict,
    /// A floating address in no network of its interface.
    OtherNetwork,
    /// Accepted, without effect.
    NoEffect,
    /// An edit of a block that is not there.
    NoSuchBlock,
    /// Further diagnostics are not shown.
    TooMany,
}

impl Code {
    /// Stable name, for example `out-of-range`.
    pub fn name(self) -> &'static str {
        match self {
            Self::FileTooLarge => "file-too-large",
            Self::LineTooLong => "line-too-long",
            Self::BadCharacter => "bad-character",
            Self::Quoting => "quoting",
            Self::Structure => "structure",
            Self::UnknownDirective => "unknown-directive",
            Self::MissingEquals => "missing-equals",
            Self::ValueCount => "value-count",
            Self::BadValue => "bad-value",
            Self::OutOfRange => "out-of-range",
            Self::Include => "include",
            Self::UnknownName => "unknown-name",
            Self::Missing => "missing",
            Self::Repeated => "repeated",
            Self::Conflict => "conflict",
            Self::OtherNetwork => "other-network",
            Self::NoEffect => "no-effect",
            Self::NoSuchBlock => "no-such-block",
            Self::TooMany => "too-many",
        }
    }
}

/// A second place that explains a diagnostic, such as the first of two definitions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// Where.
    pub place: Place,
    /// What is there.
    pub message: String,
}

/// One thing that is wrong, or odd, in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// Which kind it is.
    pub code: Code,
    /// Where it is.
    pub place: Place,
    /// What was found.
    pub message: String,
    /// What is allowed, or what to do.
    pub help: Option<String>,
    /// A second place that explains it.
    pub note: Option<Note>,
}

impl Diagnostic {
    /// `file:line:column: error: message; help (note at line N)`, without a line end. `path` is the file that was read;
    /// what is in a file that it includes says so.
    pub fn one_line(&self, path: &Path) -> String {
        let Place { line, column, .. } = self.place;
        let file = self.place.file.as_deref().map_or_else(|| path.display().to_string(), shown_path);
        let mut text = format!("{file}:{line}:{column}: {}: {}", self.severity, self.message);
        // Writing to a String cannot fail.
        if let Some(help) = &self.help {
            let _ = write!(text, "; {help}");
        }
        if let Some(Note { place, message }) = &self.note {
            let _ = match &place.file {
                file if *file == self.place.file => write!(text, " ({message} at line {})", place.line),
                Some(file) => write!(text, " ({message} at {}:{})", shown_path(file), place.line),
                None => write!(text, " ({message} at {}:{})", path.display(), place.line),
            };
        }
        text
    }

    /// The source line with the place underlined, as compilers show it; several lines without a final line end.
    /// `colour` is for terminals only.
    pub fn annotated(&self, path: &Path, colour: bool) -> String {
        let shown_file =
            |place: &Place| place.file.as_deref().map_or_else(|| path.display().to_string(), shown_path);
        let file = shown_file(&self.place);
        let note_file = self.note.as_ref().map(|note| shown_file(&note.place)).unwrap_or_default();
        let level = match self.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let mut main = level.primary_title(&self.message).id(self.code.name()).element(snippet(
            &self.place,
            &file,
            AnnotationKind::Primary,
        ));
        if let Some(help) = &self.help {
            main = main.element(Level::HELP.message(help));
        }
        let mut groups = vec![main];
        if let Some(note) = &self.note {
            let group = Group::with_title(Level::NOTE.secondary_title(&note.message));
            groups.push(group.element(snippet(&note.place, &note_file, AnnotationKind::Primary)));
        }
        let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
        renderer.render(&groups)
    }
}

fn snippet<'a>(
    place: &'a Place,
    path: &'a str,
    kind: AnnotationKind,
) -> Snippet<'a, annotate_snippets::Annotation<'a>> {
    let byte = |column: u32| {
        let skipped = place.source.char_indices().nth(column as usize);
        skipped.map_or(place.source.len(), |(at, _)| at)
    };
    let start = byte(place.column - 1);
    let end = byte(place.column - 1 + place.length);
    Snippet::source(place.source.as_str())
        .line_start(place.line as usize)
        .path(path)
        .annotation(kind.span(start..end))
}

/// A diagnostic whose places are still ranges of the text.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    severity: Severity,
    code: Code,
    span: Span,
    message: String,
    help: Option<String>,
    note: Option<(Span, String)>,
}

impl Problem {
    /// An error at `span`.
    pub(crate) fn error(code: Code, span: Span, message: impl Into<String>) -> Self {
        Self { severity: Severity::Error, code, span, message: message.into(), help: None, note: None }
    }

    /// A warning at `span`.
    pub(crate) fn warning(code: Code, span: Span, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, span, message) }
    }

    /// Adds what is allowed, or what to do.
    pub(crate) fn help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }

    /// Adds a second place.
    pub(crate) fn note(self, span: Span, message: impl Into<String>) -> Self {
        Self { note: Some((span, message.into())), ..self }
    }

    fn locate(self, sources: &Sources<'_>) -> Diagnostic {
        let note = self.note.map(|(span, message)| Note { place: sources.place(span), message });
        Diagnostic {
            severity: self.severity,
            code: self.code,
            place: sources.place(self.span),
            message: self.message,
            help: self.help,
            note,
        }
    }
}

/// Collects what is found in one reading, bounded: the first [`MAX_REPORTED`] errors and as many warnings are kept,
/// the others counted.
#[derive(Default)]
pub(crate) struct Report {
    kept: Vec<Problem>,
    errors: Tally,
    warnings: Tally,
}

#[derive(Default)]
struct Tally {
    count: usize,
    first_dropped: Option<Span>,
}

impl Report {
    pub(crate) fn add(&mut self, problem: Problem) {
        let tally = match problem.severity {
            Severity::Error => &mut self.errors,
            Severity::Warning => &mut self.warnings,
        };
        if tally.count < MAX_REPORTED {
            // A file that is included twice has each problem twice.
            if !self.kept.contains(&problem) {
                tally.count += 1;
                self.kept.push(problem);
            }
        } else {
            tally.count += 1;
            tally.first_dropped.get_or_insert(problem.span);
        }
    }

    /// Whether further errors are only counted, so that nothing needs to be found out for them.
    pub(crate) fn is_full(&self) -> bool {
        self.errors.count >= MAX_REPORTED
    }

    pub(crate) fn has_errors(&self) -> bool {
        self.errors.count > 0
    }

    /// Everything in the order of the text; how much was dropped comes last.
    pub(crate) fn finish(mut self, sources: &Sources<'_>) -> Vec<Diagnostic> {
        self.kept.sort_by_key(|problem| problem.span.start);
        for (tally, severity) in [(self.errors, Severity::Error), (self.warnings, Severity::Warning)] {
            if let Some(span) = tally.first_dropped {
                let message = format!("and {} more {severity}s", tally.count - MAX_REPORTED);
                self.kept.push(Problem { severity, ..Problem::error(Code::TooMany, span, message) });
            }
        }
        self.kept.into_iter().map(|problem| problem.locate(sources)).collect()
    }
}

/// `text` as it can stand in a message: on one line, without control characters, and not long.
pub(crate) fn shown(text: &str) -> String {
    const LONGEST: usize = 60;
    let mut shown = escaped(text.chars().take(LONGEST));
    if text.chars().nth(LONGEST).is_some() {
        shown.push('…');
    }
    shown
}

/// `path` as it can stand in a message: whole, on one line, without control characters.
pub(crate) fn shown_path(path: &Path) -> String {
    escaped(path.to_string_lossy().chars())
}

fn escaped(text: impl Iterator<Item = char>) -> String {
    let mut escaped = String::new();
    for c in text {
        if matches!(c, '"' | '\'' | '\\') {
            escaped.push(c);
        } else {
            escaped.extend(c.escape_debug());
        }
    }
    escaped
}
