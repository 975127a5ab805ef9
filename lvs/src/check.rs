//! `lvs check FILE`: everything that is wrong or odd in a file, without touching anything, and what in it takes effect
//! only when the `pulse` that runs is restarted.

use std::io::{IsTerminal as _, Write as _};
use std::path::Path;

use daemonkit::exit;
use lvs_config::Diagnostic;
use lvs_config::model::Config;
use lvs_ipc::check::{self as ipc, CheckReport};

use crate::configuration::{NO_FAILOVER, Unusable, Usable, load};
use crate::running_pulse;
use crate::wording::counted;

/// Checks `path`, tells what was found and returns the exit code. People get the diagnostics on standard error and the
/// verdict on standard output, programs (`json`) a [`CheckReport`] on standard output. `pulse` is asked in `run_dir`.
#[must_use]
pub fn check(path: &Path, run_dir: &Path, json: bool) -> u8 {
    let result = load(path);
    let restarts = match &result {
        Ok(usable) => running_pulse::restarts(run_dir, path, &usable.config),
        Err(_) => Vec::new(),
    };
    let (out, problems) = if json {
        (as_json(path, &result, &restarts), String::new())
    } else {
        let warn = |restart: &String| format!("{}: warning: {restart}\n", path.display());
        let warnings: String = restarts.iter().map(warn).collect();
        (verdict(path, &result), as_text(path, &result, Style::of_stderr()) + &warnings)
    };
    // A reader that has gone away has seen enough.
    let _ = std::io::stderr().write_all(problems.as_bytes());
    let _ = std::io::stdout().write_all(out.as_bytes());
    let code = result.as_ref().map_or_else(exit_code, |_| exit::OK);
    // The program ends now: taking a large configuration apart would only take time.
    std::mem::forget(result);
    code
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

/// How many virtual servers there are, and how many real servers they have together.
fn counts(config: &Config) -> (usize, usize) {
    (config.virtual_servers.len(), config.virtual_servers.iter().map(|v| v.servers.len()).sum())
}

fn diagnostics(result: &Result<Usable, Unusable>) -> &[Diagnostic] {
    match result {
        Ok(usable) => &usable.warnings,
        Err(unusable) => unusable.diagnostics(),
    }
}

fn verdict(path: &Path, result: &Result<Usable, Unusable>) -> String {
    let Ok(usable) = result else { return String::new() };
    let (virtual_servers, real_servers) = counts(&usable.config);
    format!(
        "{}: configuration OK ({}, {})\n",
        path.display(),
        counted(virtual_servers, "virtual server"),
        counted(real_servers, "real server")
    )
}

/// How diagnostics are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    /// One line each, for logs.
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

fn as_text(path: &Path, result: &Result<Usable, Unusable>, style: Style) -> String {
    let show = |diagnostic: &Diagnostic| {
        let line = diagnostic.one_line(path);
        match style {
            Style::Lines => format!("{line}\n"),
            Style::Annotated { colour } => format!("{line}\n{}\n\n", diagnostic.annotated(path, colour)),
        }
    };
    match result {
        // It is about the file as a whole.
        Err(unusable) if unusable.diagnostics().is_empty() => format!("{unusable}\n"),
        _ => diagnostics(result).iter().map(show).collect(),
    }
}

fn as_json(path: &Path, result: &Result<Usable, Unusable>, restarts: &[String]) -> String {
    let file = path.display().to_string();
    let mut problems: Vec<ipc::Problem> = diagnostics(result).iter().map(|d| problem(&file, d)).collect();
    if let Err(unusable) = result {
        problems.extend(unserved(&file, unusable));
    }
    let restart = |said: &String| whole_file(&file, ipc::Severity::Warning, "restart", said.clone());
    problems.extend(restarts.iter().map(restart));
    let counts = result.as_ref().ok().map(|usable| counts(&usable.config));
    let report = CheckReport {
        file,
        good: result.is_ok(),
        virtual_servers: counts.map(|(virtual_servers, _)| virtual_servers),
        real_servers: counts.map(|(_, real_servers)| real_servers),
        problems,
    };
    // There is nothing in it that JSON has no form for.
    serde_json::to_string(&report).unwrap_or_default() + "\n"
}

fn problem(file: &str, diagnostic: &Diagnostic) -> ipc::Problem {
    let file_of = |place: &lvs_config::Place| {
        place.file.as_ref().map_or_else(|| file.to_owned(), |included| included.display().to_string())
    };
    ipc::Problem {
        file: file_of(&diagnostic.place),
        place: Some(place(&diagnostic.place)),
        severity: match diagnostic.severity {
            lvs_config::Severity::Error => ipc::Severity::Error,
            lvs_config::Severity::Warning => ipc::Severity::Warning,
        },
        code: diagnostic.code.name().to_owned(),
        message: diagnostic.message.clone(),
        help: diagnostic.help.clone(),
        note: diagnostic.note.as_ref().map(|note| ipc::Note {
            file: file_of(&note.place),
            place: place(&note.place),
            message: note.message.clone(),
        }),
    }
}

fn place(place: &lvs_config::Place) -> ipc::Place {
    ipc::Place { line: place.line, column: place.column, length: place.length }
}

/// Why the file as a whole cannot be served.
fn unserved(file: &str, unusable: &Unusable) -> Option<ipc::Problem> {
    let (code, message) = match unusable {
        Unusable::Load(lvs_config::LoadError::Read { source, .. }) => ("unreadable", source.to_string()),
        Unusable::Load(lvs_config::LoadError::Invalid { .. }) => return None,
        Unusable::FailoverServices(_) => ("unsupported", NO_FAILOVER.to_owned()),
    };
    Some(whole_file(file, ipc::Severity::Error, code, message))
}

fn whole_file(file: &str, severity: ipc::Severity, code: &str, message: String) -> ipc::Problem {
    ipc::Problem {
        file: file.to_owned(),
        place: None,
        severity,
        code: code.to_owned(),
        message,
        help: None,
        note: None,
    }
}
