//! Any bytes as a `keepalived.conf` that includes itself. Whatever it says, a result comes of it whose only errors are its
//! blanks or things that contradict each other, and everything that was left has a place.
#![no_main]

use std::ffi::OsString;
use std::io;
use std::net::IpAddr;
use std::path::Path;

use libfuzzer_sys::fuzz_target;
use lvs_config::keepalived::convert;
use lvs_config::model::Protocol;
use lvs_config::{Code, Family, Files, Names, Severity, parse};

fuzz_target!(|bytes: &[u8]| {
    let lines = String::from_utf8_lossy(bytes).lines().count();
    // Including itself twice, again and again, or multiplying, takes its time.
    let multiplies = bytes.windows(7).filter(|window| *window == b"include").count() > 1 || bytes.contains(&b'~');
    if multiplies {
        return;
    }
    let Ok(conversion) = convert(Path::new("k"), &Itself(bytes), "main") else { return };
    for left in &conversion.left {
        assert!(left.line >= 1 && left.line as usize <= lines, "{left:?}");
        assert!(!left.message.contains('\n'), "{left:?}");
    }
    let parsed = parse(&conversion.text, &NoNames);
    for found in parsed.diagnostics.iter().filter(|found| found.severity == Severity::Error) {
        let is_blank = conversion.blanks.iter().any(|blank| blank.line == found.place.line);
        let is_meaning = !matches!(
            found.code,
            Code::Quoting | Code::Structure | Code::UnknownDirective | Code::MissingEquals | Code::BadCharacter
        );
        assert!(is_blank || is_meaning, "{}\n{}", found.one_line(Path::new("lvs.cf")), conversion.text);
    }
});

/// Every file is the same one.
struct Itself<'b>(&'b [u8]);

impl Files for Itself<'_> {
    fn names(&self, _: &Path) -> io::Result<Vec<OsString>> {
        Ok(vec!["k".into()])
    }

    fn read(&self, _: &Path, _: usize) -> io::Result<Vec<u8>> {
        Ok(self.0.to_vec())
    }
}

/// A world without names.
struct NoNames;

impl Names for NoNames {
    fn host(&self, _: &str, _: Family) -> Option<IpAddr> {
        None
    }

    fn service(&self, _: &str, _: Protocol) -> Option<u16> {
        None
    }
}
