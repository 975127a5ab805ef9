//! Backslash sequences of the old directives and options, `send` and `expect`.
//!
//! They are the six of the original; any other sequence stays as it is written, so that regular expressions can hold
//! their own. Those in the value of a check's option are [`crate::words`]' business.

/// Translates `\r`, `\n`, `\t`, `\\`, `\'` and `\"`. A backslash before anything else, or at the end, is kept.
#[must_use]
pub fn translate(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, tail @ ..] = rest {
        let translated = match (first, tail.first()) {
            (b'\\', Some(b'r')) => Some(b'\r'),
            (b'\\', Some(b'n')) => Some(b'\n'),
            (b'\\', Some(b't')) => Some(b'\t'),
            (b'\\', Some(mark @ (b'\\' | b'\'' | b'"'))) => Some(*mark),
            _ => None,
        };
        out.push(translated.unwrap_or(*first));
        rest = &tail[usize::from(translated.is_some())..];
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_six_sequences_are_translated() {
        assert_eq!(translate(br#"GET /\r\n\t\\ \'x\'\""#), b"GET /\r\n\t\\ 'x'\"");
    }

    #[test]
    fn other_sequences_and_a_last_backslash_are_kept() {
        assert_eq!(translate(br"\d+\.\x00"), br"\d+\.\x00");
        assert_eq!(translate(br"\"), br"\");
        assert_eq!(translate(br"a\\\"), br"a\\");
    }
}
