//! Files of keepalived: what they become, and what is said about them.
//!
//! Beside every `testdata/keepalived/*.conf` is an `.expected`: what was left, then the result.
//! `UPDATE_EXPECTED=1 cargo test -p lvs-config --test keepalived` writes those files anew; read the difference.

mod common;

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use common::Table;
use lvs_config::keepalived::{Conversion, convert};
use lvs_config::{Code, Files, Severity, SystemFiles, parse};
use proptest::prelude::*;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/keepalived")
}

fn samples() -> Vec<PathBuf> {
    let entries = fs::read_dir(folder()).expect("a folder of samples");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "conf"));
    files.sort();
    files
}

/// The result with something in its blanks.
fn filled(conversion: &Conversion) -> String {
    let mut lines: Vec<String> = conversion.text.lines().map(str::to_owned).collect();
    for (n, blank) in conversion.blanks.iter().enumerate() {
        let line = &mut lines[blank.line as usize - 1];
        let (given, wanted) = line.split_once("# FILL IN: ").expect("a blank");
        let given = given.trim_end();
        *line = match given.trim_start().split_once(" =").expect("a directive") {
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

/// Codes of errors that only our own writing could cause.
const OURS: [Code; 5] =
    [Code::Quoting, Code::Structure, Code::UnknownDirective, Code::MissingEquals, Code::BadCharacter];

/// Holds one file, whatever is asked for.
struct One(String);

impl Files for One {
    fn names(&self, _: &Path) -> io::Result<Vec<OsString>> {
        Ok(Vec::new())
    }

    fn read(&self, path: &Path, _: usize) -> io::Result<Vec<u8>> {
        if path == Path::new("k") { Ok(self.0.clone().into()) } else { Err(io::ErrorKind::NotFound.into()) }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn mutated_samples_become_well_formed_files(
        sample in 0..5_usize,
        cuts in prop::collection::vec((any::<prop::sample::Index>(), 0..12_usize, "[ -~\n]{0,6}"), 0..8),
    ) {
        let mut text: Vec<char> = fs::read_to_string(&samples()[sample]).unwrap().chars().collect();
        for (at, length, inserted) in cuts {
            let at = at.index(text.len() + 1);
            let end = (at + length).min(text.len());
            text.splice(at..end, inserted.chars());
        }
        let conversion = convert(Path::new("k"), &One(text.into_iter().collect()), "main").unwrap();
        let found = parse(&conversion.text, &Table).diagnostics;
        let odd = found.iter().find(|d| {
            let is_blank = conversion.blanks.iter().any(|blank| blank.line == d.place.line);
            d.severity == Severity::Error && !is_blank && OURS.contains(&d.code)
        });
        prop_assert!(odd.is_none(), "{odd:?}\n{}", conversion.text);
    }
}

#[test]
fn files_that_include_each_other_end() {
    let looped = One("include k\ninclude k\nvirtual_server 192.0.2.1 80 {\n}\n".to_owned());
    let conversion = convert(Path::new("k"), &looped, "main").unwrap();
    assert!(conversion.left.iter().any(|left| left.message == "include: files are nested too deeply"));
}

#[test]
fn a_tunnel_that_does_not_exist_is_left_and_not_written() {
    let converted = |method: &str| {
        let text = format!(
            "virtual_server 192.0.2.1 80 {{\n protocol TCP\n lvs_method {method}\n real_server 10.0.0.1 80 {{\n }}\n}}\n"
        );
        let conversion = convert(Path::new("k"), &One(text), "main").unwrap();
        let left: Vec<String> = conversion.left.iter().map(|left| left.message.clone()).collect();
        let tunnel = conversion.text.lines().map(str::trim).filter(|line| line.starts_with("tunnel_"));
        (tunnel.map(str::to_owned).collect::<Vec<_>>(), left.into_iter().find(|l| l.contains("lvs_method")))
    };
    let told = |text: &str| Some(text.to_owned());
    assert_eq!(converted("TUN type gue port 6080").0, ["tunnel_type = gue", "tunnel_port = 6080"]);
    let (written, left) = converted("TUN type gue\u{18}}x");
    assert_eq!(written, [""; 0]);
    assert_eq!(left, told("lvs_method TUN type gue\\u{18}}x: the tunnel is neither ipip, gue nor gre"));
    let (written, left) = converted("TUN type gue port 0");
    assert_eq!(written, ["tunnel_type = gue"]);
    assert_eq!(left, told("lvs_method TUN type gue port 0: the port is not a number from 1 to 65535"));
}
