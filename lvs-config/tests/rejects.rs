//! Files that are refused: every `testdata/broken/*.cf` yields exactly the lines of the `.expected` beside it.
//!
//! `UPDATE_EXPECTED=1 cargo test -p lvs-config --test rejects` writes those files anew; read the difference.

mod common;

use std::fs;
use std::path::Path;

use common::{Table, files};
use lvs_config::{Code, Diagnostic, LoadError, MAX_FILE, Severity, load, parse};

#[test]
fn every_broken_file_yields_exactly_its_diagnostics() {
    let files = files("testdata/broken");
    assert!(files.len() >= 20, "only {} files", files.len());
    let update = std::env::var_os("UPDATE_EXPECTED").is_some();
    for path in files {
        let parsed = parse(fs::read(&path).unwrap(), &Table);
        let name = Path::new(path.file_name().unwrap());
        let lines: String = parsed.diagnostics.iter().map(|d| d.one_line(name) + "\n").collect();
        let expected = path.with_extension("expected");
        if update {
            fs::write(&expected, &lines).unwrap();
        }
        assert_eq!(lines, fs::read_to_string(&expected).unwrap(), "{}", path.display());
        assert_eq!(parsed.config, None, "{}", path.display());
        assert!(parsed.diagnostics.iter().any(|d| d.severity == Severity::Error), "{}", path.display());
    }
}

fn diagnostics(text: impl AsRef<[u8]>) -> Vec<Diagnostic> {
    let parsed = parse(text, &Table);
    assert_eq!(parsed.config, None);
    parsed.diagnostics
}

fn lines(text: impl AsRef<[u8]>) -> Vec<String> {
    diagnostics(text).iter().map(|d| d.one_line("lvs.cf".as_ref())).collect()
}

#[test]
fn a_name_that_does_not_resolve_is_an_error_once_per_place() {
    let text = "primary = gone.example\nbackup = gone.example\n";
    assert_eq!(
        lines(text),
        [
            "lvs.cf:1:11: error: `primary` cannot be `gone.example`: the name cannot be resolved; \
             allowed: an IPv4 or IPv6 address, or the name of a host",
            "lvs.cf:2:10: error: `backup` cannot be `gone.example`: the name cannot be resolved; \
             allowed: an IPv4 or IPv6 address, or the name of a host",
        ]
    );
}

#[test]
fn at_most_a_hundred_errors_are_told_and_the_others_counted() {
    let text = format!("primary = 192.0.2.2\n{}", "x = 1\n".repeat(250));
    let diagnostics = diagnostics(text);
    assert_eq!(diagnostics.len(), 101);
    let last = diagnostics.last().unwrap();
    assert_eq!(
        (last.code, last.message.as_str(), last.place.line),
        (Code::TooMany, "and 150 more errors", 102)
    );
}

#[test]
fn many_warnings_do_not_hide_an_error() {
    let text = format!("primary = 192.0.2.2\n{}x = 1\n", "keepalive = 2\n".repeat(250));
    let diagnostics = diagnostics(text);
    assert_eq!(diagnostics.iter().filter(|d| d.severity == Severity::Error).count(), 1);
    assert_eq!(diagnostics.iter().filter(|d| d.code == Code::Repeated).count(), 100);
    assert_eq!(diagnostics.last().unwrap().message, "and 149 more warnings");
}

#[test]
fn a_line_that_is_too_long_is_skipped() {
    let text = format!("primary = 192.0.2.2\nsend = \"{}\"\n", "a".repeat(70_000));
    assert_eq!(lines(text), ["lvs.cf:2:1: error: the line is 70009 bytes long; allowed: up to 65535"]);
}

#[test]
fn a_text_that_is_too_large_is_not_read() {
    let text = vec![b'#'; MAX_FILE + 1];
    assert_eq!(lines(text), ["lvs.cf:1:1: error: the file is larger than 67108864 bytes"]);
}

#[test]
fn what_is_shown_of_a_file_stays_on_one_line() {
    let text = format!("primary = 192.0.2.2\n\u{1b}[2J{} = 1\n", "é".repeat(100));
    let line = &lines(text)[0];
    assert!(!line.contains(char::is_control), "{line:?}");
    assert_eq!(line, "lvs.cf:2:1: error: a control character, \\u{1b}, outside a comment");
}

#[test]
fn load_names_the_file() {
    let missing = Path::new("/nonexistent/lvs.cf");
    let Err(error @ LoadError::Read { .. }) = load(missing) else { panic!("loaded") };
    assert_eq!(error.to_string(), "/nonexistent/lvs.cf: No such file or directory (os error 2)");

    let broken = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/broken/20-words.cf");
    let Err(error @ LoadError::Invalid { .. }) = load(&broken) else { panic!("loaded") };
    let shown = error.to_string();
    assert_eq!(shown.lines().count(), 4);
    let first = format!(
        "{}:1:11: error: `service` cannot be `lsv`; did you mean `lvs`? allowed: lvs, fos",
        broken.display()
    );
    assert_eq!(shown.lines().next(), Some(first.as_str()));
}

#[test]
fn load_says_when_it_is_given_a_folder() {
    let Err(error) = load(Path::new("/")) else { panic!("loaded") };
    assert_eq!(error.to_string(), "/: Is a directory (os error 21)");
}

/// Ways to get a line of `lvs.cf.example` wrong.
fn mistakes(line: &str) -> Vec<(&'static str, String)> {
    let trimmed = line.trim();
    let mut wrong = Vec::new();
    if trimmed == "}" {
        wrong.push(("brace left out", String::new()));
        wrong.push(("brace too many", format!("{line}\n{line}")));
    } else if let Some(header) = line.strip_suffix(" {") {
        wrong.push(("brace of the header left out", header.to_owned()));
        wrong.push(("brace of the header on the next line", format!("{header}\n{{")));
        wrong.push(("name left out", format!("{} {{", trimmed.split(' ').next().unwrap_or_default())));
        wrong.push(("name of two words", format!("{header} two {{")));
    } else if let Some((name, value)) = line.split_once(" = ") {
        wrong.push(("misspelt", format!("{name}x = {value}")));
        wrong.push(("equals left out", format!("{name} {value}")));
        wrong.push(("value left out", format!("{name} =")));
        wrong.push(("a value too many", format!("{name} = {value} eth0 eth1")));
        wrong.push(("quote not closed", format!("{name} = \"{}", value.trim_matches('"'))));
        wrong.push(("control character", format!("{name} = \u{1}{value}")));
    }
    wrong
}

#[test]
fn one_mistake_is_told_once() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../lvs.cf.example");
    let text = fs::read_to_string(path).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let mut count = 0;
    for (at, line) in lines.iter().enumerate() {
        for (what, wrong) in mistakes(line) {
            let mut changed = lines.clone();
            changed[at] = &wrong;
            let parsed = parse(changed.join("\n"), &Table);
            let told: Vec<String> =
                parsed.diagnostics.iter().map(|d| d.one_line("lvs.cf".as_ref())).collect();
            assert_eq!(told.len(), 1, "line {}, {what}: {told:#?}", at + 1);
            count += 1;
        }
    }
    assert!(count > 200, "only {count} mistakes");
}
