//! `lvs convert-keepalived FILE`: the `lvs.cf` on standard output, what it lacks on standard error.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;

use daemonkit::exit;
use lvs_config::keepalived::{Conversion, Left, convert};
use lvs_config::{Severity, SystemFiles, SystemNames};

/// Converts `path` and returns the exit code: [`exit::CONFIG`] when the result cannot be used as it is.
#[must_use]
pub fn run(path: &Path, config_id: Option<String>) -> u8 {
    let conversion = match convert(path, &SystemFiles, &config_id.unwrap_or_else(host_name)) {
        Ok(conversion) => conversion,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "lvs: {}: {error}", path.display());
            let denied = error.kind() == std::io::ErrorKind::PermissionDenied;
            return if denied { exit::NO_PERMISSION } else { exit::CONFIG };
        }
    };
    let wrong = wrong(&conversion);
    let mut report = left(&conversion.left);
    for blank in &conversion.blanks {
        // Writing to a String cannot fail.
        let _ = writeln!(report, "line {} of the result is to be filled in: {}", blank.line, blank.message);
    }
    report.extend(wrong.iter().map(|line| format!("{line}\n")));
    // A reader that has gone away has seen enough.
    let _ = std::io::stderr().write_all(report.as_bytes());
    let _ = std::io::stdout().write_all(conversion.text.as_bytes());
    if conversion.blanks.is_empty() && wrong.is_empty() { exit::OK } else { exit::CONFIG }
}

/// The first part of the name of this machine, which keepalived compares conditions with.
fn host_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    name.trim().split('.').next().unwrap_or_default().to_owned()
}

/// What was left, the same thing once with its first place.
fn left(all: &[Left]) -> String {
    let mut places: HashMap<&str, usize> = HashMap::new();
    for left in all {
        *places.entry(&left.message).or_default() += 1;
    }
    let mut text = String::new();
    for left in all {
        let Some(count) = places.remove(left.message.as_str()) else { continue };
        let more = if count > 1 { format!(" (and in {} more places)", count - 1) } else { String::new() };
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{}:{}: not carried: {}{more}", left.file.display(), left.line, left.message);
    }
    text
}

/// What the check of the result says, but for the blanks.
fn wrong(conversion: &Conversion) -> Vec<String> {
    let parsed = lvs_config::parse(&conversion.text, &SystemNames);
    let is_blank = |line: u32| conversion.blanks.iter().any(|blank| blank.line == line);
    let errors = parsed.diagnostics.iter().filter(|found| found.severity == Severity::Error);
    errors
        .filter(|found| !is_blank(found.place.line))
        .map(|found| found.one_line(Path::new("the result")))
        .collect()
}
