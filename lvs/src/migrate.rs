//! `lvs migrate FILE`: what a file of the original means, line by line, or the file as it is written today.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::Path;

use daemonkit::exit;
use lvs_config::{Change, Diagnostic, MAX_FILE, Migration, Severity, SystemFiles, SystemNames, migrate};

/// Width of the text.
const WIDTH: usize = 100;

/// Explains `path` on standard output, or with `clean` prints it as it is written today; what needs a decision of the
/// operator goes to standard error. Returns the exit code: [`exit::CONFIG`] when the cleaned file cannot be used yet.
#[must_use]
pub fn run(path: &Path, clean: bool) -> u8 {
    let bytes = match read(path) {
        Ok(bytes) => bytes,
        Err(error) => {
            let _ = writeln!(io::stderr(), "lvs: {}: {error}", path.display());
            let denied = error.kind() == io::ErrorKind::PermissionDenied;
            return if denied { exit::NO_PERMISSION } else { exit::CONFIG };
        }
    };
    let migration = migrate(path, &bytes, &SystemNames, &SystemFiles);
    let (out, problems) = if clean {
        (migration.clean.clone(), lines(&migration.after, path))
    } else {
        (explanation(&migration, path).into_bytes(), String::new())
    };
    // A reader that has gone away has seen enough.
    let _ = io::stderr().write_all(problems.as_bytes());
    let _ = io::stdout().write_all(&out);
    let is_wrong = migration.after.iter().any(|found| found.severity == Severity::Error);
    if is_wrong { exit::CONFIG } else { exit::OK }
}

/// The bytes of `path`, or enough of a file that is too large for that to be seen.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(MAX_FILE as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn lines(diagnostics: &[Diagnostic], path: &Path) -> String {
    diagnostics.iter().map(|found| format!("{}\n", found.one_line(path))).collect()
}

/// The whole of `migration` as text.
fn explanation(migration: &Migration, path: &Path) -> String {
    let mut text = String::new();
    for line in &migration.lines {
        let indent = 4 * line.depth;
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{:>5}  {:indent$}{}", line.line, "", line.text);
        paragraph(&mut text, indent, &line.meaning);
        for quirk in &line.quirks {
            paragraph(&mut text, indent, &format!("! {quirk}"));
        }
        match &line.change {
            Some(Change::Removed) => paragraph(&mut text, indent, "> removed"),
            Some(Change::Becomes(value)) => paragraph(&mut text, indent, &format!("> becomes {value}")),
            None => {}
        }
        // What is wrong with a line that becomes another one has been told as its reason.
        let is_about = |found: &&Diagnostic| {
            line.change.is_none() && found.place.file.is_none() && found.place.line == line.line
        };
        for found in migration.before.iter().filter(is_about) {
            let told = format!("{}: {}", found.severity, with_help(found));
            paragraph(&mut text, indent, &format!("! {told}"));
        }
    }
    if !migration.differences.is_empty() {
        text.push_str("\nWhatever the file says:\n");
        for difference in &migration.differences {
            paragraph(&mut text, 0, &format!("- {difference}"));
        }
    }
    let changes = migration.lines.iter().filter(|line| line.change.is_some()).count();
    let _ = writeln!(text, "\nLines that `lvs migrate --clean {}` changes: {changes}", path.display());
    if !migration.after.is_empty() {
        text.push_str("\nIn the cleaned file this is left for you to decide:\n");
        for found in &migration.after {
            paragraph(&mut text, 0, &format!("- line {}: {}", found.place.line, with_help(found)));
        }
    }
    text
}

fn with_help(found: &Diagnostic) -> String {
    match &found.help {
        Some(help) => format!("{}; {help}", found.message),
        None => found.message.clone(),
    }
}

/// `words` below a line that is `indent` deep.
fn paragraph(text: &mut String, indent: usize, words: &str) {
    let indent = indent + 11;
    let mut column = 0;
    for word in words.split_whitespace() {
        let length = word.chars().count();
        if column > 0 && column + 1 + length > WIDTH {
            text.push('\n');
            column = 0;
        }
        if column == 0 {
            text.extend(std::iter::repeat_n(' ', indent));
            column = indent;
        } else {
            text.push(' ');
            column += 1;
        }
        text.push_str(word);
        column += length;
    }
    text.push('\n');
}
