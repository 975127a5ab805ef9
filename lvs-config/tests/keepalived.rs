//! Files of keepalived: what they become, and what is said about them.
//!
//! Beside every `testdata/keepalived/*.conf` is an `.expected`: what was left, then the result.
//! `UPDATE_EXPECTED=1 cargo test -p lvs-config --test keepalived` writes those files anew; read the difference.

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::Table;
use lvs_config::keepalived::{Conversion, convert};
use lvs_config::{Severity, SystemFiles, parse};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/keepalived")
}

fn samples() -> Vec<PathBuf> {
    let entries = fs::read_dir(folder()).unwrap();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "conf"));
    files.sort();
    files
}

/// The result with something in its blanks.
fn filled(conversion: &Conversion) -> String {
    let mut lines: Vec<String> = conversion.text.lines().map(str::to_owned).collect();
    for (n, blank) in conversion.blanks.iter().enumerate() {
        let line = &mut lines[blank.line as usize - 1];
        let (given, wanted) = line.split_once("# FILL IN: ").unwrap();
        let given = given.trim_end();
        *line = match given.trim_start().split_once(" =").unwrap() {
            ("address", "") if wanted.contains("IPv6") => format!("{given} 2001:db8:{n}::1 eth0"),
            ("address", "") => format!("{given} 203.0.113.{n} eth0"),
            ("address", _) => format!("{given} eth0"),
            _ => format!("{given} 198.51.100.{n}"),
        };
    }
    lines.join("\n")
}

#[test]
fn every_sample_becomes_what_is_written_beside_it() {
    let update = std::env::var_os("UPDATE_EXPECTED").is_some();
    let samples = samples();
    assert_eq!(samples.len(), 5);
    for path in samples {
        let conversion = convert(&path, &SystemFiles, "main").unwrap();
        let mut text = String::new();
        for left in &conversion.left {
            let name = left.file.file_name().unwrap().to_string_lossy();
            text.push_str(&format!("## {name}:{}: {}\n", left.line, left.message));
        }
        text.push_str(&conversion.text);
        let expected = path.with_extension("expected");
        if update {
            fs::write(&expected, &text).unwrap();
        }
        assert_eq!(text, fs::read_to_string(&expected).unwrap(), "{}", path.display());
    }
}

#[test]
fn results_are_accepted_once_their_blanks_are_filled() {
    for path in samples() {
        let conversion = convert(&path, &SystemFiles, "main").unwrap();
        let parsed = parse(filled(&conversion), &Table);
        let said: Vec<String> = parsed.diagnostics.iter().map(|d| d.one_line(&path)).collect();
        assert!(parsed.config.is_some(), "{said:#?}\n{}", filled(&conversion));
    }
}

#[test]
fn each_blank_is_an_error_of_the_check_and_nothing_else_is() {
    for path in samples() {
        let conversion = convert(&path, &SystemFiles, "main").unwrap();
        let parsed = parse(&conversion.text, &Table);
        let mut wrong: Vec<u32> = parsed
            .diagnostics
            .iter()
            .filter(|d| d.severity == Severity::Error)
            .map(|d| d.place.line)
            .collect();
        wrong.dedup();
        let blanks: Vec<u32> = conversion.blanks.iter().map(|blank| blank.line).collect();
        assert_eq!(wrong, blanks, "{}", path.display());
    }
}
