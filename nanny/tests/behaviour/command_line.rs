//! Help, version, usage errors, and the manual page.

use std::collections::BTreeSet;
use std::process::Output;

use super::support::command;

fn run(words: &[&str]) -> Output {
    command(words).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn help_and_version_go_to_standard_output() {
    for word in ["--help", "-?", "--usage"] {
        let output = run(&["-v", word]);
        assert_eq!(output.status.code(), Some(0));
        assert!(text(&output.stdout).starts_with("usage: nanny -h ADDRESS"), "{word}");
    }
    let output = run(&["--version"]);
    assert_eq!(text(&output.stdout), format!("nanny {} (lvs-router)\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn a_usage_error_is_one_line_and_status_2() {
    for (words, message) in [
        (&[][..], "nanny: -h/--server is missing; give the address of the real server\n"),
        (&["-h", "10.0.0.1", "--frob"], "nanny: invalid option '--frob'\n"),
        (
            &["-h", "10.0.0.1", "-t", "5x"],
            "nanny: -t/--interval: \"5x\" is not allowed; “5x” has an unknown unit; the units are ms, s, m and h\n",
        ),
        (
            &["-h", "10.0.0.1", "--regex", "-x", "["],
            "nanny: -x/--expect_string: \"[\" is not allowed; write a regular expression \
             (error: unclosed character class)\n",
        ),
    ] {
        let output = run(words);
        assert_eq!((output.status.code(), text(&output.stderr).as_str()), (Some(2), message));
        assert!(output.stdout.is_empty());
    }
}

/// The options among the words of `tag`.
fn options(tag: &str) -> Vec<String> {
    tag.split(|c: char| !(c.is_ascii_alphanumeric() || "-_?".contains(c)))
        .filter(|word| word.starts_with('-'))
        .map(str::to_owned)
        .collect()
}

#[test]
fn the_manual_page_lists_exactly_the_options_of_help() {
    let described = nanny::args::HELP.lines().filter(|line| line.trim_start().starts_with('-'));
    // Descriptions follow two blanks, and may mention other options.
    let tags = described.map(|line| line.trim_start().split("  ").next().unwrap_or_default());
    let help: BTreeSet<String> = tags.flat_map(options).collect();
    assert!(help.len() > 40, "{help:?}");

    let page = include_str!("../../../docs/man/nanny.8").replace("\\-", "-");
    let (_, section) = page.split_once(".SH OPTIONS").unwrap();
    let (section, _) = section.split_once(".SH SIGNALS").unwrap();
    let tags = section.split("\n.TP\n").skip(1).map(|entry| entry.lines().next().unwrap_or_default());
    let manual: BTreeSet<String> = tags.flat_map(options).collect();
    assert_eq!(manual, help);
}
