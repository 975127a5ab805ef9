//! `lvs check FILE`: everything that is wrong or odd in a file, without touching anything.

use std::io::{IsTerminal as _, Write as _};
use std::path::Path;

use daemonkit::exit;
use lvs_config::Diagnostic;

use crate::configuration::{Unusable, load};

/// Prints the diagnostics of `path` to standard error and the verdict to standard output; returns the exit code.
#[must_use]
pub fn check(path: &Path) -> u8 {
    let result = load(path);
    let style = Style::of_stderr();
    let problems = match &result {
        Ok(usable) => render(path, &usable.warnings, style),
        Err(unusable) => match unusable.diagnostics() {
            [] => format!("{unusable}\n"),
            diagnostics => render(path, diagnostics, style),
        },
    };
    // A reader that has gone away has seen enough.
    let _ = std::io::stderr().write_all(problems.as_bytes());
    match result {
        Ok(usable) => {
            let virtual_servers = usable.config.virtual_servers.len();
            let real_servers: usize = usable.config.virtual_servers.iter().map(|v| v.servers.len()).sum();
            let verdict = format!(
                "{}: configuration OK ({}, {})\n",
                path.display(),
                counted(virtual_servers, "virtual server"),
                counted(real_servers, "real server")
            );
            let _ = std::io::stdout().write_all(verdict.as_bytes());
            exit::OK
        }
        Err(unusable) => exit_code(&unusable),
    }
}

/// The exit code for a file that cannot be served.
#[must_use]
pub fn exit_code(unusable: &Unusable) -> u8 {
    match unusable {
        Unusable::Load(lvs_config::LoadError::Read { source, .. })
            if source.kind() == std::io::ErrorKind::PermissionDenied =>
        {
            exit::NO_PERMISSION
        }
        Unusable::Load(_) | Unusable::FailoverServices(_) => exit::CONFIG,
    }
}

/// How diagnostics are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    /// One line each, for programs.
    Lines,
    /// One line each, and the place in the file below it, for people.
    Annotated { colour: bool },
}

impl Style {
    fn of_stderr() -> Self {
        if !std::io::stderr().is_terminal() {
            return Self::Lines;
        }
        Self::Annotated { colour: std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()) }
    }
}

fn render(path: &Path, diagnostics: &[Diagnostic], style: Style) -> String {
    let show = |diagnostic: &Diagnostic| {
        let line = diagnostic.one_line(path);
        match style {
            Style::Lines => format!("{line}\n"),
            Style::Annotated { colour } => format!("{line}\n{}\n\n", diagnostic.annotated(path, colour)),
        }
    };
    diagnostics.iter().map(show).collect()
}

fn counted(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}
