//! Any bytes as an `lvs.cf` and the files that it includes. Whatever they say, every diagnostic points into its text and
//! can be shown, and a configuration that results is written and read again as the same.
#![no_main]

use std::ffi::OsString;
use std::io;
use std::net::IpAddr;
use std::path::Path;

use libfuzzer_sys::fuzz_target;
use lvs_config::model::Protocol;
use lvs_config::{Config, Family, Files, InterfaceAddress, Names, Place, Severity, parse, parse_with_files, write};

fuzz_target!(|bytes: &[u8]| {
    let includes = bytes.windows(INCLUDE.len()).filter(|window| *window == INCLUDE);
    // Few can become thousands, which takes its time.
    if includes.count() > 8 {
        return;
    }
    let files = Pieces(split(bytes));
    let parsed = parse_with_files(files.0[0], Path::new("0"), &FewNames, &files);
    let has_errors = parsed.diagnostics.iter().any(|it| it.severity == Severity::Error);
    assert_eq!(parsed.config.is_none(), has_errors);

    let texts: Vec<String> = files.0.iter().map(|piece| as_read(piece)).collect();
    for diagnostic in &parsed.diagnostics {
        is_within(&diagnostic.place, &texts);
        if let Some(note) = &diagnostic.note {
            is_within(&note.place, &texts);
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

const INCLUDE: &[u8] = b"include";

/// Files `0`, `1`, …: the pieces of the input between lines that begin with this.
const CUT: &[u8] = b"\n#---";

fn split(bytes: &[u8]) -> Vec<&[u8]> {
    let mut pieces = Vec::new();
    let mut rest = bytes;
    while let Some(at) = rest.windows(CUT.len()).position(|window| window == CUT) {
        pieces.push(&rest[..at]);
        rest = &rest[at + CUT.len()..];
    }
    pieces.push(rest);
    pieces
}

/// The first piece is the file that is read, and may be included like the others.
struct Pieces<'b>(Vec<&'b [u8]>);

impl Files for Pieces<'_> {
    fn names(&self, folder: &Path) -> io::Result<Vec<OsString>> {
        if folder != Path::new("") {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok((0..self.0.len()).map(|number| number.to_string().into()).collect())
    }

    fn read(&self, path: &Path, _: usize) -> io::Result<Vec<u8>> {
        number_of(path)
            .and_then(|number| self.0.get(number))
            .map(|piece| piece.to_vec())
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

fn number_of(path: &Path) -> Option<usize> {
    path.to_str()?.parse().ok()
}

/// The text of a piece, with the line ends that the lines below are cut at.
fn as_read(piece: &[u8]) -> String {
    let text = String::from_utf8_lossy(piece.strip_prefix("\u{feff}".as_bytes()).unwrap_or(piece));
    text.replace("\r\n", "\n")
}

/// A resolver that never leaves the process, of a machine with one interface.
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

    fn interface_addresses(&self) -> Vec<InterfaceAddress> {
        let of = |address: IpAddr, prefix| InterfaceAddress { interface: "eth0".into(), address, prefix };
        vec![of([192, 0, 2, 2].into(), 25), of([0x2001, 0xdb8, 0, 0, 0, 0, 0, 2].into(), 64)]
    }
}

fn is_within(place: &Place, texts: &[String]) {
    let text = place.file.as_deref().map_or(Some(0), number_of).and_then(|number| texts.get(number));
    let line = text.and_then(|text| text.split(['\n', '\r']).nth(place.line as usize - 1));
    assert_eq!(line, Some(place.source.as_str()), "{place:?}");
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
