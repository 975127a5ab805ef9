//! POSIX extended regular expressions, as old files hold them, in the syntax of the crate `regex`.
//!
//! The two agree but for two things that old expressions use. Inside brackets `[`, `&` and `~` are ordinary characters
//! to POSIX; `[[]` is how one writes a bracket where a backslash hung the original. And a repetition count may lack its
//! beginning, as in `{,3}`. Everything else, backslashes included, passes through unchanged and means what the crate
//! says.

/// Rewrites `expression`. What is malformed stays so, for the crate to complain about.
#[must_use]
pub fn translate(expression: &str) -> String {
    let mut out = String::with_capacity(expression.len() + 8);
    let mut rest = expression;
    while let Some(first) = rest.chars().next() {
        let len = match first {
            '[' => bracket(rest, &mut out),
            '\\' => copy(rest, pair(rest), &mut out),
            '{' if rest.starts_with("{,") => {
                out.push_str("{0,");
                2
            }
            _ => copy(rest, first.len_utf8(), &mut out),
        };
        rest = &rest[len..];
    }
    out
}

/// Copies the first `len` bytes of `text`, and returns their number.
fn copy(text: &str, len: usize, out: &mut String) -> usize {
    out.push_str(&text[..len]);
    len
}

/// Length of a backslash and the character after it.
fn pair(text: &str) -> usize {
    text.chars().take(2).map(char::len_utf8).sum()
}

/// Rewrites the bracket expression at the beginning of `text` into `out`, and returns its length.
fn bracket(text: &str, out: &mut String) -> usize {
    let start = if text.starts_with("[^") { 2 } else { 1 };
    out.push_str(&text[..start]);
    let mut at = start;
    while let Some(next) = text[at..].chars().next() {
        let rest = &text[at..];
        let class = rest.starts_with("[:").then(|| rest.find(":]")).flatten();
        at += match (next, class) {
            ('[', Some(end)) => copy(rest, end + 2, out),
            ('\\', _) => copy(rest, pair(rest), out),
            (']', _) if at > start => {
                out.push(']');
                return at + 1;
            }
            (']' | '[' | '&' | '~', _) => {
                out.push('\\');
                copy(rest, 1, out)
            }
            _ => copy(rest, next.len_utf8(), out),
        };
    }
    at
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_both_agree_on_is_left_alone() {
        for same in [
            "^HTTP/1.[01] [23]",
            "a{2}b{2,}c{2,3}(d|e)*f+g?$",
            "[[:alpha:][:digit:]_-]+",
            "[^0-9]",
            r"\d\.\{[\d\]]",
            "",
            "é[é]",
        ] {
            assert_eq!(translate(same), same);
        }
    }

    #[test]
    fn ordinary_characters_in_brackets_are_escaped() {
        for (posix, ours) in [
            ("[[]OK[]]", r"[\[]OK[\]]"),
            ("[^]x]", r"[^\]x]"),
            ("[a&&b~~c]", r"[a\&\&b\~\~c]"),
            ("a{,3}[{,}]", "a{0,3}[{,}]"),
            (r"[[\]&&", r"[\[\]\&\&"),
            ("[[:alpha:", r"[\[:alpha:"),
            ("(", "("),
            ("\\", "\\"),
        ] {
            assert_eq!(translate(posix), ours);
        }
    }

    proptest! {
        #[test]
        fn any_text_is_rewritten_without_panic_and_no_second_time(text in r"[\[\]{}^\\:a&~,0-9é-]{0,24}") {
            let once = translate(&text);
            prop_assert!(once.len() >= text.len());
            prop_assert_eq!(translate(&once), once);
        }
    }
}
