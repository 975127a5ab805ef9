//! Columns of a listing: what is appended to a text is cut or filled to its width.

use std::fmt::Write as _;

use crate::text::number;

/// Appends a number and blanks up to `width` columns.
pub(super) fn number_column(into: &mut String, value: u32, width: usize) {
    let start = into.len();
    number(into, value);
    fill(into, start, width);
}

/// Appends blanks until what begins at byte `start` has `width` characters.
pub(super) fn fill(into: &mut String, start: usize, width: usize) {
    let length = into.get(start..).map_or(0, |written| written.chars().count());
    into.extend(std::iter::repeat_n(' ', width.saturating_sub(length)));
}

/// Cuts a name that begins at byte `start` and is too long for its column.
pub(super) fn cut(text: &mut String, start: usize, most: usize) {
    let end = text.get(start..).and_then(|name| name.char_indices().nth(most));
    if let Some((end, _)) = end {
        text.truncate(start + end);
    }
}

/// A counter in nine columns, in thousands and more with a letter unless it must be exact.
pub(super) fn large(text: &mut String, number: u64, exact: bool) {
    const K: u64 = 1000;
    // Writing to a String cannot fail.
    let _ = match number {
        _ if exact || number < 100 * K * K => write!(text, " {number:>8}"),
        _ if number < K * K * K => write!(text, "{:>8}K", number / K),
        _ if number < 100 * K * K * K => write!(text, "{:>8}M", number / (K * K)),
        _ if number < 100 * K * K * K * K => write!(text, "{:>8}G", number / (K * K * K)),
        _ => write!(text, "{:>8}T", number / (K * K * K * K)),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `append` makes of a text that begins with two other bytes.
    fn written(append: impl FnOnce(&mut String)) -> String {
        let mut text = String::from("> ");
        append(&mut text);
        text
    }

    #[test]
    fn columns_are_filled_by_characters_and_never_cut() {
        assert_eq!(written(|into| number_column(into, 42, 4)), "> 42  ");
        assert_eq!(written(|into| number_column(into, 12345, 4)), "> 12345");
        let name = |into: &mut String| {
            into.push_str("äö");
            fill(into, 2, 3);
        };
        assert_eq!(written(name), "> äö ");
    }

    #[test]
    fn large_counters_are_shortened_as_in_the_original() {
        for (number, exact, shown) in [
            (0, false, ">         0"),
            (99_999_999, false, ">  99999999"),
            (100_000_000, false, ">   100000K"),
            (1_000_000_000, false, ">     1000M"),
            (100_000_000_000, false, ">      100G"),
            (100_000_000_000_000, false, ">      100T"),
            (123_456_789_012, true, ">  123456789012"),
        ] {
            assert_eq!(written(|into| large(into, number, exact)), shown);
        }
    }

    #[test]
    fn long_host_names_are_cut_to_their_column() {
        for (name, most, shown) in [("abcdef", 4, "> abcd"), ("äöü", 2, "> äö"), ("ab", 4, "> ab")] {
            let cut = |into: &mut String| {
                into.push_str(name);
                cut(into, 2, most);
            };
            assert_eq!(written(cut), shown);
        }
    }
}
