//! Foreign bytes made printable for reports and log lines, and the backslash sequences of `send` and `expect`.

pub use checkspec::escape::translate;

/// Most bytes of a server's answer that a message quotes.
const QUOTED: usize = 60;

/// Most bytes that are shown to whoever looks on.
const SHOWN: usize = 256;

/// The beginning of `bytes` in quotes, at most 256 bytes, everything but printable ASCII escaped. `…` after the quotes
/// tells that there is more.
#[must_use]
pub fn excerpt(bytes: &[u8]) -> String {
    let shown = &bytes[..bytes.len().min(SHOWN)];
    format!("\"{}\"{}", shown.escape_ascii(), if shown.len() == bytes.len() { "" } else { "…" })
}

/// The beginning of `bytes` in quotes: its first line, at most 60 bytes, everything but printable ASCII escaped.
/// `…` after the quotes tells that there is more.
#[must_use]
pub fn quote(bytes: &[u8]) -> String {
    let line = bytes.iter().position(|byte| matches!(byte, b'\r' | b'\n')).filter(|at| *at > 0);
    let shown = &bytes[..line.unwrap_or(bytes.len()).min(QUOTED)];
    let is_all = bytes[shown.len()..].iter().all(|byte| matches!(byte, b'\r' | b'\n'));
    format!("\"{}\"{}", shown.escape_ascii(), if is_all { "" } else { "…" })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_quote_is_one_short_printable_line() {
        assert_eq!(quote(b""), r#""""#);
        assert_eq!(quote(b"HTTP/1.1 500 Oops\r\nServer: x\r\n"), r#""HTTP/1.1 500 Oops"…"#);
        assert_eq!(quote(b"220 ready\r\n"), r#""220 ready""#);
        assert_eq!(quote(b"\n\x1b[2J\"\xff"), r#""\n\x1b[2J\"\xff""#);
        assert_eq!(quote(&[b'x'; 61]), format!("\"{}\"…", "x".repeat(60)));
    }

    #[test]
    fn an_excerpt_holds_all_lines_up_to_a_limit() {
        assert_eq!(excerpt(b"a\r\n\0\"\xff"), r#""a\r\n\x00\"\xff""#);
        assert_eq!(excerpt(&[b'x'; 257]), format!("\"{}\"…", "x".repeat(256)));
    }

    proptest! {
        #[test]
        fn translation_never_grows_and_leaves_plain_text_alone(text: Vec<u8>) {
            prop_assert!(translate(&text).len() <= text.len());
            if !text.contains(&b'\\') {
                prop_assert_eq!(translate(&text), text);
            }
        }

        #[test]
        fn what_is_doubled_comes_back(text: Vec<u8>) {
            let doubled: Vec<u8> =
                text.iter().flat_map(|b| if *b == b'\\' { vec![*b, *b] } else { vec![*b] }).collect();
            prop_assert_eq!(translate(&doubled), text);
        }

        #[test]
        fn quotes_are_bounded_printable_ascii(bytes: Vec<u8>) {
            let text = quote(&bytes);
            prop_assert!(text.len() <= 4 * QUOTED + 2 + '…'.len_utf8());
            prop_assert!(text.trim_end_matches('…').bytes().all(|b| (b' '..=b'~').contains(&b)));
        }
    }
}
