//! How a report is shown to people. Pure.

use std::fmt::Write as _;

use super::{Finding, Recipe, Report, Severity};

/// The report as text.
#[must_use]
pub fn render(report: &Report) -> String {
    let mut text = String::from("This router\n");
    if report.findings.is_empty() {
        text.push_str("  nothing is wrong\n");
    }
    for finding in &report.findings {
        one_finding(&mut text, finding);
    }
    for recipe in &report.real_servers {
        one_recipe(&mut text, recipe);
    }
    text
}

// Writing to a String cannot fail.

fn one_finding(text: &mut String, finding: &Finding) {
    let word = match finding.severity {
        Severity::Error => "ERROR",
        Severity::Warning => "warning",
        Severity::Note => "note",
    };
    let Finding { code, found, needed, commands, .. } = finding;
    let _ = writeln!(text, "  {word}: {found} [{code}]\n      needed: {needed}");
    for command in commands {
        let _ = writeln!(text, "      # {command}");
    }
}

fn one_recipe(text: &mut String, recipe: &Recipe) {
    let Recipe { virtual_server, method, servers, notes, commands } = recipe;
    let _ = writeln!(text, "\nReal servers of {virtual_server} by {method}: {}", servers.join(", "));
    for note in notes {
        let _ = writeln!(text, "  {note}");
    }
    for command in commands {
        let _ = writeln!(text, "      {command}");
    }
}
