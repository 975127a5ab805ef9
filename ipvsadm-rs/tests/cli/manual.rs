//! The manual page against the table of options.

use ipvsadm::cli::options;

pub(super) const MANUAL: &str = include_str!("../../../docs/man/ipvsadm.8");

/// The options that a text names at the beginning of its lines.
fn named(text: &str, begin: &str) -> Vec<String> {
    let mut names: Vec<String> = text
        .lines()
        .filter(|line| line.starts_with(begin))
        .flat_map(str::split_whitespace)
        .map(|word| word.trim_matches(','))
        .filter(|word| word.starts_with("--"))
        .map(str::to_owned)
        .collect();
    names.sort();
    names.dedup();
    names
}

#[test]
fn the_manual_page_describes_what_the_help_names() {
    let manual = MANUAL.replace("\\-", "-").replace("\\fB", " ").replace("\\fR", " ").replace("\\fI", " ");
    let described = named(&manual, ".B ").into_iter().chain(named(&manual, ".BI ")).collect::<Vec<_>>();
    for row in options::all() {
        let name = format!("--{}", row.long);
        assert!(described.contains(&name), "the manual page does not describe {name}");
    }
    for name in described {
        assert!(options::all().any(|row| format!("--{}", row.long) == name), "{name} does not exist");
    }
}
