//! How much of a text a terminal shows at once. Pure.

use crate::wording::counted;

/// A terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Screen {
    /// Rows of text below each other, the last of which is left to the cursor.
    rows: usize,
    /// Characters in a row; a longer line goes on in the next.
    columns: usize,
}

impl Screen {
    /// A terminal of this size; nothing for one that does not know its own, such as a serial line.
    pub(crate) fn new(rows: u16, columns: u16) -> Option<Self> {
        (rows > 0 && columns > 0).then(|| Self { rows: rows.into(), columns: columns.into() })
    }

    /// As many of the first lines as fit. When that is not all, the last line says how many are missing, and, where
    /// it fits, what to do about it.
    pub(crate) fn fit(self, text: &str, remedy: &str) -> String {
        let room = self.rows.saturating_sub(1);
        if text.lines().map(|line| self.rows_of(line)).sum::<usize>() <= room {
            return text.to_owned();
        }
        let mut left = room.saturating_sub(1);
        let fits = |line: &&str| {
            let rest = left.checked_sub(self.rows_of(line));
            left = rest.unwrap_or(0);
            rest.is_some()
        };
        let lines: Vec<&str> = text.lines().take_while(fits).collect();
        let missing = format!("… {} more", counted(text.lines().count() - lines.len(), "line"));
        let remedied = format!("{missing}: {remedy}");
        let fits = !remedy.is_empty() && remedied.chars().count() <= self.columns;
        let last: String = if fits { remedied } else { missing.chars().take(self.columns).collect() };
        lines.into_iter().chain([last.as_str()]).map(|line| format!("{line}\n")).collect()
    }

    fn rows_of(self, line: &str) -> usize {
        width(line).div_ceil(self.columns).max(1)
    }
}

/// Characters of a line that are seen: colours are not.
fn width(line: &str) -> usize {
    let mut hidden = false;
    let seen = |character: char| {
        let escape = character == '\x1b';
        let seen = !hidden && !escape;
        // An escape sequence for a colour ends with its letter.
        hidden = escape || (hidden && !character.is_ascii_alphabetic());
        seen
    };
    line.chars().map(seen).filter(|seen| *seen).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn screen(rows: u16, columns: u16) -> Screen {
        Screen::new(rows, columns).unwrap()
    }

    #[test]
    fn what_fits_is_shown_as_it_is() {
        let text = "one\ntwo\n\nfour\n";
        assert_eq!(screen(5, 4).fit(text, "go away"), text);
        assert_eq!(screen(5, 4).fit("", "go away"), "");
    }

    #[test]
    fn the_last_row_but_the_cursors_says_how_much_is_missing() {
        let text = "1\n2\n3\n4\n5\n";
        assert_eq!(screen(5, 40).fit(text, "go away"), "1\n2\n3\n… 2 lines more: go away\n");
        assert_eq!(screen(5, 40).fit(text, ""), "1\n2\n3\n… 2 lines more\n");
        assert_eq!(screen(6, 40).fit(text, "go away"), text);
        assert_eq!(screen(2, 40).fit(text, "go away"), "… 5 lines more: go away\n");
        assert_eq!(screen(1, 40).fit(text, "go away"), "… 5 lines more: go away\n", "no room at all");
    }

    #[test]
    fn the_remedy_is_left_out_where_it_does_not_fit_and_the_rest_is_cut() {
        let text = "1\n2\n3\n";
        assert_eq!(screen(3, 23).fit(text, "go away"), "1\n… 2 lines more: go away\n");
        assert_eq!(screen(3, 22).fit(text, "go away"), "1\n… 2 lines more\n");
        assert_eq!(screen(3, 5).fit(text, "go away"), "1\n… 2 l\n");
    }

    #[test]
    fn a_long_line_takes_several_rows_of_which_colours_take_none() {
        let coloured = "\x1b[31mfour\x1b[0m\n";
        assert_eq!(screen(3, 4).fit(&coloured.repeat(2), ""), coloured.repeat(2));
        let text = "four5\nsix\nseven\n";
        assert_eq!(screen(5, 4).fit(text, ""), "four5\nsix\n… 1 \n");
        assert_eq!(screen(4, 40).fit(text, ""), text);
        assert_eq!(screen(3, 4).fit(text, ""), "… 3 \n", "half a line is not shown");
    }

    #[test]
    fn a_terminal_that_does_not_know_its_size_shows_all() {
        assert_eq!((Screen::new(0, 80), Screen::new(25, 0)), (None, None));
    }
}
