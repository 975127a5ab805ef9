//! Lines of a text, as far as edits need them: where they begin and end, whether they are blank, how they end.
//!
//! Positions are bytes of the text. A line ends at LF, CRLF or CR, as for the lexer.

use std::ops::Range;

use crate::span::Span;

fn is_end(byte: u8) -> bool {
    matches!(byte, b'\n' | b'\r')
}

/// Start of the line that `at` is in.
pub(super) fn start(text: &str, at: usize) -> usize {
    text.as_bytes()[..at].iter().rposition(|b| is_end(*b)).map_or(0, |end| end + 1)
}

/// End of the line that `at` is in, without its line end.
pub(super) fn end(text: &str, at: usize) -> usize {
    text.as_bytes()[at..].iter().position(|b| is_end(*b)).map_or(text.len(), |n| at + n)
}

/// Start of the line after the one that `at` is in; the end of the text after the last one.
pub(super) fn next(text: &str, at: usize) -> usize {
    let end = end(text, at);
    end + line_end(&text[end..]).len()
}

/// The line end that `rest` begins with, if it does.
fn line_end(rest: &str) -> &str {
    let length = if rest.starts_with("\r\n") { 2 } else { usize::from(rest.starts_with(['\n', '\r'])) };
    &rest[..length]
}

/// The line above the one that starts at `start`, with its line end.
pub(super) fn above(text: &str, start: usize) -> Option<Range<usize>> {
    let before = &text[..start];
    let end = before.strip_suffix("\r\n").or_else(|| before.strip_suffix(['\n', '\r']))?.len();
    Some(self::start(text, end)..start)
}

/// How lines end around `at`: as its own does, else as the first one does.
pub(super) fn ending(text: &str, at: usize) -> &str {
    [at, 0].into_iter().map(|at| line_end(&text[end(text, at)..])).find(|end| !end.is_empty()).unwrap_or("\n")
}

/// The blanks at the start of the line that `at` is in.
pub(super) fn indentation(text: &str, at: usize) -> &str {
    let line = &text[start(text, at)..end(text, at)];
    &line[..line.len() - line.trim_start_matches([' ', '\t']).len()]
}

/// Whether there are only blanks before `at` on its line.
pub(super) fn is_first(text: &str, at: usize) -> bool {
    is_blank(&text[start(text, at)..at])
}

/// Whether there are only blanks and a comment from `at` to the end of its line.
pub(super) fn is_last(text: &str, at: usize) -> bool {
    let rest = text[at..end(text, at)].trim_start_matches([' ', '\t']);
    rest.is_empty() || rest.starts_with('#')
}

/// Whether `line` is blank, line end aside.
pub(super) fn is_blank(line: &str) -> bool {
    line.bytes().all(|b| matches!(b, b' ' | b'\t') || is_end(b))
}

/// Whether `line` is a comment.
pub(super) fn is_comment(line: &str) -> bool {
    line.trim_start_matches([' ', '\t']).starts_with('#')
}

/// Start of the blank lines that end at the line start `at`.
pub(super) fn before_blanks(text: &str, at: usize) -> usize {
    let mut at = at;
    while let Some(line) = above(text, at).filter(|line| is_blank(&text[line.clone()])) {
        at = line.start;
    }
    at
}

/// The first position from `at` on that is no blank.
pub(super) fn after_blanks(text: &str, at: usize) -> usize {
    at + text.as_bytes()[at..].iter().take_while(|b| matches!(b, b' ' | b'\t')).count()
}

/// Where lines are added at the end of the text: blank lines stay behind them.
pub(super) fn after_contents(text: &str) -> usize {
    let last = start(text, text.len());
    if is_blank(&text[last..]) { before_blanks(text, last) } else { text.len() }
}

/// What to put at `at`, the start of a line or the end of the text, so that `lines` stand there. A text without a final line
/// end stays so.
pub(super) fn inserted(text: &str, at: usize, lines: &str, ending: &str) -> String {
    if at == text.len() && start(text, at) < at {
        format!("{ending}{lines}")
    } else {
        format!("{lines}{ending}")
    }
}

/// What to remove so that the lines of `range` go. A text without a final line end stays so.
pub(super) fn removed(text: &str, range: Range<usize>) -> Range<usize> {
    let is_unfinished = range.end == text.len() && start(text, range.end) < range.end;
    let above = above(text, range.start).filter(|_| is_unfinished);
    let start = above.map_or(range.start, |line| end(text, line.start));
    start..range.end
}

/// The line that `at` is in, as a place to report.
pub(super) fn span_of_line(text: &str, at: usize) -> Span {
    let at = at.min(text.len());
    let ends = text[..at].replace("\r\n", "\n").bytes().filter(|b| is_end(*b)).count();
    // Texts are limited to far less than 4 GiB before they get here.
    let narrow = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    Span { start: narrow(start(text, at)), end: narrow(end(text, at)), line: narrow(ends + 1) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "a\r\n\r\n b # c\rd";

    #[test]
    fn lines_end_as_they_do_for_the_lexer() {
        assert_eq!((start(TEXT, 6), end(TEXT, 6), next(TEXT, 6)), (5, 11, 12));
        assert_eq!((start(TEXT, 13), next(TEXT, 12)), (12, 13));
        assert_eq!((above(TEXT, 5), above(TEXT, 3), above(TEXT, 0)), (Some(3..5), Some(0..3), None));
        assert_eq!(
            (ending(TEXT, 0), ending(TEXT, 6), ending(TEXT, 12), ending("x", 0)),
            ("\r\n", "\r", "\r\n", "\n")
        );
        assert_eq!((span_of_line(TEXT, 7).line, span_of_line(TEXT, 13).line), (3, 4));
    }

    #[test]
    fn what_stands_beside_is_seen() {
        assert!(is_first(TEXT, 6) && !is_first(TEXT, 7) && is_last(TEXT, 7) && !is_last(TEXT, 6));
        assert_eq!((indentation(TEXT, 8), before_blanks(TEXT, 5)), (" ", 3));
    }
}
