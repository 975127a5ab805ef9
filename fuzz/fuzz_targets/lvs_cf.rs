//! Any bytes as an `lvs.cf`. Whatever it says, every diagnostic points into the text and can be shown, and a
//! configuration that results is written and read again as the same.
#![no_main]

use std::net::IpAddr;
use std::path::Path;

use libfuzzer_sys::fuzz_target;
use lvs_config::model::Protocol;
use lvs_config::{Config, Family, Names, Place, Severity, parse, write};

fuzz_target!(|bytes: &[u8]| {
    let parsed = parse(bytes, &FewNames);
    let has_errors = parsed.diagnostics.iter().any(|it| it.severity == Severity::Error);
    assert_eq!(parsed.config.is_none(), has_errors);

    let text = String::from_utf8_lossy(bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes));
    let text = text.replace("\r\n", "\n");
    let lines: Vec<&str> = text.split(['\n', '\r']).collect();
    for diagnostic in &parsed.diagnostics {
        is_within(&diagnostic.place, &lines);
        if let Some(note) = &diagnostic.note {
            is_within(&note.place, &lines);
        }
        let line = diagnostic.one_line(Path::new("lvs.cf"));
        assert!(!line.contains(char::is_control), "{line:?}");
    }
    // Drawing is slow, so one has to do, but not always the first.
    if let Some(diagnostic) = parsed.diagnostics.get(bytes.len() % parsed.diagnostics.len().max(1)) {
        assert!(!diagnostic.annotated(Path::new("lvs.cf"), true).is_empty());
    }

    if let Some(config) = parsed.config {
        let written = write(&config);
        let again = parse(&written, &FewNames);
        assert_eq!(again.config.map(meaning), Some(meaning(config)), "{written}{:#?}", again.diagnostics);
    }
});

/// A resolver that never leaves the process.
struct FewNames;

impl Names for FewNames {
    fn host(&self, name: &str, wanted: Family) -> Option<IpAddr> {
        match (name, wanted) {
            ("a", Family::V4) => Some([192, 0, 2, 80].into()),
            ("a", Family::V6) => Some([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x80].into()),
            ("b", _) => Some([10, 44, 0, 53].into()),
            _ => None,
        }
    }

    fn service(&self, name: &str, _: Protocol) -> Option<u16> {
        (name == "http").then_some(80)
    }
}

fn is_within(place: &Place, lines: &[&str]) {
    assert_eq!(lines.get(place.line as usize - 1), Some(&place.source.as_str()), "{place:?}");
    let end = place.column - 1 + place.length;
    assert!(end as usize <= place.source.chars().count(), "{place:?}");
}

/// `config` without line numbers: they belong to a text, not to what it means.
fn meaning(mut config: Config) -> Config {
    for virtual_server in &mut config.virtual_servers {
        virtual_server.line = 0;
        for server in &mut virtual_server.servers {
            server.line = 0;
        }
    }
    for service in &mut config.failover_services {
        service.line = 0;
    }
    config
}
