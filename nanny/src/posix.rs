//! POSIX extended regular expressions, as old files hold them, in the syntax of the crate `regex`.
//!
//! The two agree but for three things that old expressions use: a `[` inside brackets is an ordinary character (`[[]` is
//! how one writes a bracket where a backslash hung the original), `&` and `~` are too, and so is a `{` that begins no
//! repetition count (as in `{"status":"ok"}`). Everything else, backslashes included, passes through unchanged and means
//! what the crate says.

/// Rewrites `expression`. What is malformed stays so, for the crate to complain about.
#[must_use]
pub fn translate(expression: &str) -> String {
    let mut out = String::with_capacity(expression.len() + 8);
    let mut rest = expression;
    while let Some(first) = rest.chars().next() {
        let (text, len) = match first {
            '\\' => pair(rest),
            '[' => {
                let len = bracket(rest, &mut out);
                rest = &rest[len..];
                continue;
            }
            '{' if !begins_count(rest) || out.is_empty() => ("\\{", 1),
            _ => (&rest[..first.len_utf8()], first.len_utf8()),
        };
        out.push_str(text);
        rest = &rest[len..];
    }
    out
}

/// A backslash and the character after it.
fn pair(text: &str) -> (&str, usize) {
    let len = text.chars().take(2).map(char::len_utf8).sum();
    (&text[..len], len)
}

/// Whether `text` begins with `{2}`, `{2,}`, `{2,3}` or `{,3}`.
fn begins_count(text: &str) -> bool {
    let is_number = |word: &str| word.bytes().all(|byte| byte.is_ascii_digit());
    let Some((count, _)) = text[1..].split_once('}') else { return false };
    let (least, most) = count.split_once(',').unwrap_or((count, count));
    is_number(least) && is_number(most) && !(least.is_empty() && most.is_empty())
}

/// Rewrites the bracket expression at the beginning of `text` into `out`, and returns its length.
fn bracket(text: &str, out: &mut String) -> usize {
    let start = if text.starts_with("[^") { 2 } else { 1 };
    out.push_str(&text[..start]);
    let mut at = start;
    while let Some(next) = text[at..].chars().next() {
        let rest = &text[at..];
        let class = rest.starts_with("[:").then(|| rest.find(":]")).flatten();
        let (piece, len) = match (next, class) {
            ('[', Some(end)) => (&rest[..end + 2], end + 2),
            ('\\', _) => pair(rest),
            (']', _) if at == start => ("\\]", 1),
            (']', _) => {
                out.push(']');
                return at + 1;
            }
            ('[', None) => ("\\[", 1),
            ('&', _) => ("\\&", 1),
            ('~', _) => ("\\~", 1),
            _ => (&rest[..next.len_utf8()], next.len_utf8()),
        };
        out.push_str(piece);
        at += len;
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
    fn brackets_and_braces_that_are_ordinary_characters_are_escaped() {
        for (posix, ours) in [
            ("[[]OK[]]", r"[\[]OK[\]]"),
            ("[^]x]", r"[^\]x]"),
            ("[a&&b~~c]", r"[a\&\&b\~\~c]"),
            (r#"{"status":"ok"}"#, r#"\{"status":"ok"}"#),
            ("{2}", r"\{2}"),
            ("a{x}b{,}c{", r"a\{x}b\{,}c\{"),
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
