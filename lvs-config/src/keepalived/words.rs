//! A line of a `keepalived.conf` to its words.
//!
//! Words are separated by blanks. Quotes of either kind may begin anywhere in a word and keep blanks in it; a backslash
//! in them is an escape, as in a shell. A brace that is a word of its own outside quotes is a brace.

/// A word, or a brace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Word {
    /// Text, without its quotes.
    Text(String),
    /// `{`.
    Open,
    /// `}`.
    Close,
}

/// `line` without what `#` or `!` makes a comment, and without blanks around it. Neither is special in double quotes or
/// behind a backslash.
pub(super) fn without_comment(line: &str) -> &str {
    let mut in_quotes = false;
    let mut characters = line.char_indices();
    while let Some((at, c)) = characters.next() {
        match c {
            '"' => in_quotes = !in_quotes,
            '\\' => {
                characters.next();
            }
            '#' | '!' if !in_quotes => return line[..at].trim(),
            _ => {}
        }
    }
    line.trim()
}

/// The words of `line`, which has no comment; and whether a quote was left open.
pub(super) fn split(line: &str) -> (Vec<Word>, bool) {
    let mut words = Vec::new();
    let mut rest = line.trim_start();
    let mut is_open = false;
    while !rest.is_empty() {
        let (word, length, closed) = first(rest);
        is_open |= !closed;
        words.push(word);
        rest = rest[length..].trim_start();
    }
    (words, is_open)
}

/// The first word of `text`, its length there, and whether its quotes are closed.
fn first(text: &str) -> (Word, usize, bool) {
    let bare_end = text.find(char::is_whitespace).unwrap_or(text.len());
    match &text[..bare_end] {
        "{" => return (Word::Open, 1, true),
        "}" => return (Word::Close, 1, true),
        // `}}` and `}` before something else close, too; nothing begins with a brace.
        bare if bare.starts_with('}') => return (Word::Close, 1, true),
        // `name{`: the brace opens. A macro's `${NAME}` does not end so.
        bare if bare.len() > 1 && bare.ends_with('{') && !bare.contains(['"', '\'']) => {
            return (Word::Text(bare[..bare.len() - 1].to_owned()), bare_end - 1, true);
        }
        _ => {}
    }
    let mut out = String::new();
    let mut quote = None;
    let mut rest = text.char_indices();
    while let Some((at, c)) = rest.next() {
        match (quote, c) {
            (None, c) if c.is_whitespace() => return (Word::Text(out), at, true),
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), c) if open == c => quote = None,
            (_, '\\') if quote.is_some() => escape(&mut rest, &mut out),
            (_, c) => out.push(c),
        }
    }
    (Word::Text(out), text.len(), quote.is_none())
}

/// What stands behind a backslash.
fn escape(rest: &mut std::str::CharIndices<'_>, out: &mut String) {
    let Some((_, c)) = rest.next() else {
        out.push('\\');
        return;
    };
    match c {
        'a' => out.push('\u{7}'),
        'b' => out.push('\u{8}'),
        'E' => out.push('\u{1b}'),
        'f' => out.push('\u{c}'),
        'n' => out.push('\n'),
        'r' => out.push('\r'),
        't' => out.push('\t'),
        'v' => out.push('\u{b}'),
        'x' => out.push(number(rest, 16, 2).unwrap_or('x')),
        '0'..='7' => {
            let mut value = c.to_digit(8).unwrap_or(0);
            let more = digits(rest, 8, 2);
            for digit in more.chars() {
                value = value * 8 + digit.to_digit(8).unwrap_or(0);
            }
            out.push(char::from_u32(value).unwrap_or('\0'));
        }
        other => out.push(other),
    }
}

fn number(rest: &mut std::str::CharIndices<'_>, radix: u32, most: usize) -> Option<char> {
    char::from_u32(u32::from_str_radix(&digits(rest, radix, most), radix).ok()?)
}

/// Takes up to `most` digits from `rest`.
fn digits(rest: &mut std::str::CharIndices<'_>, radix: u32, most: usize) -> String {
    let found: String = rest.as_str().chars().take_while(|c| c.is_digit(radix)).take(most).collect();
    for _ in found.chars() {
        rest.next();
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(line: &str) -> Vec<String> {
        let (words, is_open) = split(line);
        assert!(!is_open, "{line}");
        words
            .into_iter()
            .map(|word| match word {
                Word::Text(text) => text,
                Word::Open => "OPEN".to_owned(),
                Word::Close => "CLOSE".to_owned(),
            })
            .collect()
    }

    #[test]
    fn quotes_hold_words_together_and_disappear() {
        assert_eq!(texts(r#"abcd" efg h jkl "mnop"#), ["abcd efg h jkl mnop"]);
        assert_eq!(texts(r#"abcd "efg h jkl" mnop"#), ["abcd", "efg h jkl", "mnop"]);
        assert_eq!(texts(r#"up "/bin/x 'a b' \"c\" \x41\101\n""#), ["up", "/bin/x 'a b' \"c\" AA\n"]);
    }

    #[test]
    fn braces_are_words_of_their_own() {
        assert_eq!(texts("real_server 192.0.2.1 80 {"), ["real_server", "192.0.2.1", "80", "OPEN"]);
        assert_eq!(texts("TCP_CHECK{"), ["TCP_CHECK", "OPEN"]);
        assert_eq!(texts("}} a \"{\""), ["CLOSE", "CLOSE", "a", "{"]);
    }

    #[test]
    fn comments_begin_with_either_mark_outside_double_quotes() {
        assert_eq!(without_comment(" a b ! c"), "a b");
        assert_eq!(without_comment(r#"up "/bin/echo #x !y" # z"#), r#"up "/bin/echo #x !y""#);
        assert_eq!(without_comment(r"a \# b"), r"a \# b");
        assert_eq!(without_comment("# all"), "");
    }

    #[test]
    fn a_quote_that_is_left_open_is_told() {
        assert!(split("a \"b c").1);
    }
}
