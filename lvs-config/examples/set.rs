//! Sets one directive of an `lvs.cf`, keeping everything else of the file:
//!
//! ```console
//! $ cargo run -p lvs-config --example set -- lvs.cf keepalive 500ms
//! $ cargo run -p lvs-config --example set -- lvs.cf virtual web server web1 weight 3
//! ```

use std::path::Path;
use std::process::ExitCode;

use lvs_config::{DocumentFile, Edit, FileError, Policy, Saved, Scope, SystemNames};

const USAGE: &str = "usage: set FILE [virtual NAME | failover NAME [server NAME]] DIRECTIVE VALUE...";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let Some((file, edit)) = understood(&words) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    match edited(Path::new(file), edit) {
        Ok(Saved::Unchanged) => println!("{file}: it says so already"),
        Ok(Saved::Written { serial_no }) => println!("{file}: saved, serial_no {serial_no}"),
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

/// The file and what is to be done to it.
fn understood<'w>(words: &[&'w str]) -> Option<(&'w str, Edit)> {
    let (file, rest) = words.split_first()?;
    let (scope, rest) = match rest {
        ["virtual", name, rest @ ..] => (Scope::virtual_server(*name), rest),
        ["failover", name, rest @ ..] => (Scope::failover(*name), rest),
        _ => (Scope::global(), rest),
    };
    let (scope, rest) = match rest {
        ["server", name, rest @ ..] => (scope.server(*name), rest),
        _ => (scope, rest),
    };
    match rest {
        [directive, values @ ..] if !values.is_empty() => {
            Some((file, Edit::set(scope, *directive, values.iter().copied())))
        }
        _ => None,
    }
}

fn edited(path: &Path, edit: Edit) -> Result<Saved, FileError> {
    let mut file = DocumentFile::open(path)?;
    file.document.apply(&[edit], Policy::NoNewErrors(&SystemNames))?;
    file.save()
}
