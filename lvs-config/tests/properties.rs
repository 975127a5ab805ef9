//! What holds for all texts: reading never panics, and what was read can be written and read again.

mod common;

use std::path::Path;

use common::{Table, meaning};
use lvs_config::{Severity, parse, write};
use proptest::collection::vec;
use proptest::prelude::{ProptestConfig, Strategy, any, prop_oneof};
use proptest::sample::{Index, select};
use proptest::{prop_assert, prop_assert_eq, proptest};

const VALID: [&str; 10] = [
    include_str!("../testdata/valid/nat.cf"),
    include_str!("../testdata/valid/lax.cf"),
    include_str!("../testdata/valid/extensions.cf"),
    include_str!("../testdata/valid/failover.cf"),
    include_str!("../testdata/valid/scheduling.cf"),
    include_str!("../testdata/valid/limits.cf"),
    include_str!("../testdata/valid/methods.cf"),
    include_str!("../testdata/valid/policy.cf"),
    include_str!("../testdata/valid/unmeant.cf"),
    include_str!("../testdata/valid/sysctls.cf"),
];

/// Pieces that mean something somewhere.
const PIECES: [&str; 75] = [
    "=",
    "{",
    "}",
    "\"",
    "'",
    "#",
    "\n",
    "\r\n",
    "\r",
    " ",
    "\t",
    "\\",
    "0",
    "1",
    "-1",
    "80",
    "65536",
    "08",
    "0x1f",
    "1.5s",
    "200ms",
    "99999999999999999999",
    "0.0.0.0",
    "192.0.2.9",
    "10.1",
    "2001:db8::1",
    "/24",
    "/129",
    "eth0:1",
    "255.255.0.0",
    "255.0.255.0",
    "virtual",
    "virtual a {",
    "server",
    "server b {",
    "failover c {",
    "primary = 192.0.2.2\n",
    "address = 192.0.2.7 eth0:3\n",
    "active = 1\n",
    "port =",
    "fwmark = 1\n",
    "one_packet = 1\n",
    "sched_flags =",
    "sh-port",
    "max_connections = 5\n",
    "min_connections =",
    ", flag-3",
    "sysctl = [ net.ipv4.ip_forward=1 ]\n",
    "sysctl = leave\n",
    "persistent = 5\n",
    "tunnel_type = gue\n",
    "tunnel_port = 5\n",
    "tunnel_checksum = csum\n",
    "network = tunnel\n",
    "network = nat\n",
    "sorry_server = 10.0.0.99",
    "[2001:db8::9]",
    ":81",
    " nat",
    "quorum = 2\n",
    "quorum_hysteresis = 1\n",
    "slow_start = 5\n",
    "slow_start = off\n",
    "slow_start = doubling\n",
    "drain = 5\n",
    "start = down\n",
    "rise = 2\n",
    "fall = 2\n",
    "on_up = \"a b\"\n",
    "pmask = 1\n",
    "é",
    "\u{0}",
    "\u{fffd}",
    "[ a ]",
    "a\"b'c",
];

/// Every outcome is a configuration without errors, or errors and none; and all of it can be shown.
fn outcome_is_sound(bytes: &[u8]) -> Result<(), proptest::test_runner::TestCaseError> {
    let parsed = parse(bytes, &Table);
    let has_errors = parsed.diagnostics.iter().any(|d| d.severity == Severity::Error);
    prop_assert_eq!(parsed.config.is_none(), has_errors);
    for diagnostic in parsed.diagnostics.iter().take(10) {
        let line = diagnostic.one_line(Path::new("lvs.cf"));
        prop_assert!(!line.contains(['\n', '\r']), "{line:?}");
        prop_assert!(!diagnostic.annotated(Path::new("lvs.cf"), true).is_empty());
        let end = diagnostic.place.column - 1 + diagnostic.place.length;
        prop_assert!(end as usize <= diagnostic.place.source.chars().count(), "{diagnostic:?}");
    }
    if let Some(config) = parsed.config {
        let text = write(&config);
        let again = parse(&text, &Table);
        prop_assert_eq!(again.config.map(meaning), Some(meaning(config)), "{}", text);
    }
    Ok(())
}

fn mutated() -> impl Strategy<Value = Vec<u8>> {
    let edit = (
        any::<Index>(),
        0..40_usize,
        prop_oneof![select(&PIECES[..]).prop_map(|p| p.as_bytes().to_vec()), vec(any::<u8>(), 0..3)],
    );
    (select(&VALID[..]), vec(edit, 1..6)).prop_map(|(text, edits)| {
        let mut bytes = text.as_bytes().to_vec();
        for (at, removed, inserted) in edits {
            let start = at.index(bytes.len() + 1);
            let end = (start + removed).min(bytes.len());
            bytes.splice(start..end, inserted);
        }
        bytes
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_read_without_panic(bytes in vec(any::<u8>(), 0..400)) {
        outcome_is_sound(&bytes)?;
    }

    #[test]
    fn any_sequence_of_meaningful_pieces_is_read_without_panic(pieces in vec(select(&PIECES[..]), 0..60)) {
        outcome_is_sound(pieces.concat().as_bytes())?;
    }

    #[test]
    fn damaged_files_are_read_without_panic(bytes in mutated()) {
        outcome_is_sound(&bytes)?;
    }

    #[test]
    fn texts_survive_writing(send in "[ -~]{0,30}", name in "[!-~]{1,12}", weight in 0..=65535_u32, ms in 10..3_600_000_u32) {
        let quote = if send.contains('"') { '\'' } else { '"' };
        let text = format!(
            "primary = 192.0.2.2\nvirtual {name} {{\n address = 192.0.2.9 eth0\n send = {quote}{send}{quote}\n \
             timeout = {ms}ms\n server s {{\n address = 10.0.0.1\n weight = {weight}\n }}\n}}\n"
        );
        outcome_is_sound(text.as_bytes())?;
        let plain = !send.contains(quote) && name.chars().all(char::is_alphanumeric);
        let parsed = parse(&text, &Table);
        if plain {
            let config = parsed.config.expect("nothing is wrong with it");
            let server = &config.virtual_servers[0];
            prop_assert_eq!(server.check.send.clone().unwrap_or_default(), send);
            prop_assert_eq!(server.check.interval.as_millis(), u128::from(ms));
            prop_assert_eq!(server.servers[0].weight.value(), weight);
        }
    }
}
