//! Files that are accepted: what they mean, in the canonical form, and what is said about them.
//!
//! Beside every `testdata/valid/*.cf` is an `.expected`: its warnings as comments, then the canonical text.
//! `UPDATE_EXPECTED=1 cargo test -p lvs-config --test accepts` writes those files anew; read the difference.

mod common;

use std::fs;
use std::path::Path;

use common::{Table, files, meaning};
use lvs_config::{Config, Parsed, parse, write};

fn accepted(text: &[u8]) -> Config {
    let Parsed { config, diagnostics } = parse(text, &Table);
    let lines: Vec<String> = diagnostics.iter().map(|d| d.one_line("test.cf".as_ref())).collect();
    config.unwrap_or_else(|| panic!("refused: {lines:#?}"))
}

#[test]
fn every_valid_file_means_what_is_written_beside_it() {
    let update = std::env::var_os("UPDATE_EXPECTED").is_some();
    let files = files("testdata/valid");
    assert!(files.len() >= 7, "only {} files", files.len());
    for path in files {
        let parsed = parse(fs::read(&path).unwrap(), &Table);
        let name = Path::new(path.file_name().unwrap());
        let warnings: String =
            parsed.diagnostics.iter().map(|d| format!("# {}\n", d.one_line(name))).collect();
        let text = warnings + &parsed.config.map_or_else(|| "refused".to_owned(), |config| write(&config));
        let expected = path.with_extension("expected");
        if update {
            fs::write(&expected, &text).unwrap();
        }
        assert_eq!(text, fs::read_to_string(&expected).unwrap(), "{}", path.display());
    }
}

#[test]
fn the_canonical_text_means_the_same() {
    for path in files("testdata/valid") {
        let config = accepted(&fs::read(&path).unwrap());
        let canonical = write(&config);
        let again = accepted(canonical.as_bytes());
        assert_eq!(meaning(again.clone()), meaning(config), "{}", path.display());
        assert_eq!(write(&again), canonical, "{}", path.display());
    }
}

#[test]
fn line_ends_do_not_matter() {
    for path in files("testdata/valid") {
        let unix = fs::read_to_string(&path).unwrap();
        let config = accepted(unix.as_bytes());
        for end in ["\r\n", "\r"] {
            let other = accepted(unix.replace('\n', end).as_bytes());
            assert_eq!(other, config, "{} with {end:?}", path.display());
        }
        // A line end of another kind in the middle is a line end like the others.
        let mixed = unix.replacen('\n', "\r", 3);
        assert_eq!(accepted(mixed.as_bytes()), config, "{}", path.display());
        assert_eq!(accepted(unix.trim_end().as_bytes()), config, "{} without its last", path.display());
    }
}

#[test]
fn a_byte_order_mark_is_skipped() {
    let config = accepted("\u{feff}primary = 192.0.2.2\n".as_bytes());
    assert_eq!(config.primary.public, "192.0.2.2".parse::<std::net::IpAddr>().unwrap());
}

#[test]
fn comments_may_be_in_any_encoding() {
    let config = accepted(b"# caf\xe9 \x0c\nprimary = 192.0.2.2 # \xff\n");
    assert_eq!(config.primary.public, "192.0.2.2".parse::<std::net::IpAddr>().unwrap());
}

#[test]
fn lines_of_blocks_are_known() {
    let config = accepted(b"primary = 192.0.2.2\r\n\r\nvirtual a {\r\naddress = 192.0.2.9 e\r\nserver s {\r\naddress = 10.0.0.1\r\n}\r\n}");
    assert_eq!(config.virtual_servers[0].line, 3);
    assert_eq!(config.virtual_servers[0].servers[0].line, 5);
}

#[test]
fn more_than_99_words_are_read() {
    let list = "/x ".repeat(200);
    let text =
        format!("primary = 192.0.2.2\nvirtual a {{\n address = 192.0.2.9 eth0\n dirs = [ {list}]\n}}\n");
    assert_eq!(accepted(text.as_bytes()).virtual_servers.len(), 1);
}

fn warnings(text: &str) -> Vec<String> {
    let Parsed { config, diagnostics } = parse(text, &Table);
    let lines = diagnostics.iter().map(|d| d.one_line("lvs.cf".as_ref())).collect();
    assert!(config.is_some(), "{lines:#?}");
    lines
}

#[test]
fn an_expect_that_is_longer_than_what_is_read_is_told() {
    let file = |expect: &str, more: &str| {
        format!(
            "primary = 192.0.2.2\nvirtual a {{\nactive = 1\naddress = 192.0.2.9 eth0\nexpect = \"{expect}\"\n{more}\n\
             server s {{\naddress = 10.0.0.1\nactive = 1\n}}\n}}\n"
        )
    };
    let none: [&str; 0] = [];
    // An escape is one byte of the answer.
    let longest = format!("{}\\n", "x".repeat(16_383));
    assert_eq!(warnings(&file(&longest, "")), none);
    assert_eq!(
        warnings(&file(&format!("{longest}x"), "")),
        [
            "lvs.cf:5:1: warning: `expect` is 16385 bytes long and never met: only 16384 bytes of an answer are read"
        ]
    );
    let program = "send_program = /bin/check";
    assert_eq!(warnings(&file(&"x".repeat(4095), program)), none);
    assert_eq!(
        warnings(&file(&"x".repeat(4096), program)),
        [
            "lvs.cf:5:1: warning: `expect` is 4096 bytes long and never met: only 4095 bytes of the program's output are read"
        ]
    );
    // A short answer can match a long expression, and how much another monitor reads is not known.
    assert_eq!(warnings(&file(&"x*".repeat(9_000), "use_regex = 1")), none);
    assert_eq!(warnings(&file(&format!("{longest}x"), "client_monitor = /opt/monitor")), none);
}

#[test]
fn a_nat_router_moves_with_the_active_router_where_one_server_is_translated() {
    let file = |active: u8| {
        format!(
            "primary = 192.0.2.2\nnetwork = direct\nnat_router = 10.0.0.1 eth1:1\nvirtual a {{\nactive = 1\n\
             address = 192.0.2.9 eth0\nserver s {{\naddress = 10.0.0.2\nactive = {active}\nnetwork = nat\n}}\n}}\n"
        )
    };
    let moved = |text: String| -> Vec<String> {
        let config = accepted(text.as_bytes());
        config.floating_addresses().iter().map(|f| f.address.to_string()).collect()
    };
    assert_eq!(moved(file(1)), ["192.0.2.9", "10.0.0.1"]);
    assert_eq!(moved(file(0)), ["192.0.2.9"]);
}
