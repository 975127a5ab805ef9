//! Backslash sequences of `send` and `expect`: any bytes can be written with them and read back, and any bytes can
//! be shown in a message.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nanny::escape::{quote, translate};

fuzz_target!(|bytes: &[u8]| {
    assert!(translate(bytes).len() <= bytes.len());
    let written = escaped(bytes);
    assert_eq!(translate(&written), bytes, "{}", written.escape_ascii());

    let quoted = quote(bytes);
    let shown = quoted.strip_suffix('…').unwrap_or(&quoted);
    assert!(shown.bytes().all(|byte| matches!(byte, b' '..=b'~')), "{quoted:?}");
    // 60 bytes of the form `\xff`, and the quotes.
    assert!(shown.len() <= 4 * 60 + 2, "{quoted}");
    assert!(shown.len() >= 2 && shown.starts_with('"') && shown.ends_with('"'), "{quoted}");
});

/// `bytes` with every one escaped that has a sequence.
fn escaped(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(2 * bytes.len());
    for byte in bytes {
        match byte {
            b'\r' => out.extend(b"\\r"),
            b'\n' => out.extend(b"\\n"),
            b'\t' => out.extend(b"\\t"),
            b'\\' | b'\'' | b'"' => out.extend([b'\\', *byte]),
            _ => out.push(*byte),
        }
    }
    out
}
