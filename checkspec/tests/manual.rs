//! docs/checks.md says of each kind which options it has, in a table that is made from what the reader knows.
//!
//! A table stands between `<!-- options of KIND -->` and `<!-- end -->`. `UPDATE_EXPECTED=1 cargo test -p checkspec` writes
//! all of them anew; a kind that the page lacks has to be given its section by hand first.

#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

use std::fmt::Write as _;

use checkspec::Check;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/checks.md");

/// The table of a kind's options.
fn table(kind: &checkspec::Described) -> String {
    let mut table = format!("{}\n\n| option | default | meaning |\n| --- | --- | --- |\n", kind.about);
    for option in kind.options {
        let name = match option.value {
            "" => format!("`{}`", option.name),
            value => format!("`{}={}`", option.name, value.replace('|', "\\|")),
        };
        let default = if option.repeated { "any number" } else { option.default };
        writeln!(table, "| {name} | {default} | {} |", option.about.replace('|', "\\|")).unwrap();
    }
    table
}

#[test]
fn the_manual_has_the_options_of_every_kind() {
    let before = std::fs::read_to_string(PAGE).unwrap();
    let mut page = before.clone();
    for kind in checkspec::described() {
        let mark = format!("<!-- options of {} -->\n", kind.name);
        let begin = page.find(&mark).map(|at| at + mark.len());
        let begin = begin.unwrap_or_else(|| panic!("docs/checks.md has no {}", mark.trim()));
        let len = page[begin..].find("<!-- end -->").unwrap();
        page.replace_range(begin..begin + len, &table(&kind));
    }
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        std::fs::write(PAGE, &page).unwrap();
    } else {
        assert!(page == before, "docs/checks.md is out of date: UPDATE_EXPECTED=1 cargo test -p checkspec");
    }
}

#[test]
fn the_examples_of_the_manual_can_be_used() {
    let page = std::fs::read_to_string(PAGE).unwrap();
    let mut count = 0;
    for line in page.lines().filter_map(|line| line.strip_prefix("check = ")) {
        let check: Check = line.parse().unwrap_or_else(|error| panic!("{line}: {error}"));
        assert_eq!(check.to_string().parse::<Check>().unwrap(), check, "{line}");
        count += 1;
    }
    assert!(count >= 10, "only {count} examples were found");
}
