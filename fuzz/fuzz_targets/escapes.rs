//! Backslash sequences of `send` and `expect`, and of the values of a check: any bytes can be written with them and read
//! back, and any bytes can be shown in a message.
#![no_main]

use checkspec::words::{Line, split, unescape};
use libfuzzer_sys::fuzz_target;
use nanny::escape::{excerpt, quote, translate};

fuzz_target!(|bytes: &[u8]| {
    assert!(translate(bytes).len() <= bytes.len());
    let written = escaped(bytes);
    assert_eq!(translate(&written), bytes, "{}", written.escape_ascii());

    in_a_check(bytes);

    let all = excerpt(bytes);
    assert!(all.trim_end_matches('…').bytes().all(|byte| matches!(byte, b' '..=b'~')), "{all:?}");

    let quoted = quote(bytes);
    let shown = quoted.strip_suffix('…').unwrap_or(&quoted);
    assert!(shown.bytes().all(|byte| matches!(byte, b' '..=b'~')), "{quoted:?}");
    // 60 bytes of the form `\xff`, and the quotes.
    assert!(shown.len() <= 4 * 60 + 2, "{quoted}");
    assert!(shown.len() >= 2 && shown.starts_with('"') && shown.ends_with('"'), "{quoted}");
});

/// As the value of an option of a check.
fn in_a_check(bytes: &[u8]) {
    let mut line = Line::default();
    line.word("tcp");
    line.bytes("send", bytes);
    line.word("any");
    let words: Vec<_> = split(line.as_str()).into_iter().flatten().map(|word| word.value).collect();
    if line.as_str().len() <= checkspec::words::LONGEST {
        let [None, Some(value), None] = words[..] else { panic!("{words:?} of {}", line.as_str()) };
        assert_eq!(unescape(value).as_deref(), Ok(bytes), "{value}");
    }
    if let Ok(text) = str::from_utf8(bytes) {
        assert!(unescape(text).is_ok_and(|value| value.len() <= text.len()) || text.contains("\\x"));
    }
}

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
