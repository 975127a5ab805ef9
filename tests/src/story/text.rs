//! Lines of text with colours, cut to the width of the screen. Pure.

/// Widest line that is written.
pub(crate) const WIDTH: usize = 100;

/// How a piece of text is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    /// As it is.
    Plain,
    /// A heading.
    Bold,
    /// Beside the point.
    Dim,
    /// As it should be.
    Good,
    /// On its way.
    Middling,
    /// Not as it should be.
    Bad,
}

impl Tone {
    /// The escape sequence's number, as ECMA-48 has it under SGR.
    fn code(self) -> &'static str {
        match self {
            Self::Plain => "0",
            Self::Bold => "1",
            Self::Dim => "2",
            Self::Good => "32",
            Self::Middling => "33",
            Self::Bad => "31",
        }
    }
}

/// A line in pieces.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Line(Vec<(Tone, String)>);

impl Line {
    /// A line of one piece.
    pub(crate) fn new(tone: Tone, text: impl Into<String>) -> Self {
        Self::default().then(tone, text)
    }

    /// Adds a piece.
    pub(crate) fn then(mut self, tone: Tone, text: impl Into<String>) -> Self {
        self.0.push((tone, text.into()));
        self
    }

    /// Adds blanks up to a column.
    pub(crate) fn up_to(self, column: usize) -> Self {
        let missing = column.saturating_sub(self.width());
        self.then(Tone::Plain, " ".repeat(missing))
    }

    /// Number of columns.
    pub(crate) fn width(&self) -> usize {
        self.0.iter().map(|(_, text)| text.chars().count()).sum()
    }

    /// The text, at most [`WIDTH`] columns; with escape sequences only where colours are wanted.
    pub(crate) fn show(&self, colour: bool) -> String {
        let mut shown = String::new();
        let mut room = WIDTH;
        let too_long = self.width() > WIDTH;
        for (tone, text) in &self.0 {
            let length = text.chars().count();
            let cut = too_long && length >= room;
            let piece: String = if cut {
                text.chars().take(room.saturating_sub(1)).chain(['…']).collect()
            } else {
                text.clone()
            };
            if colour && *tone != Tone::Plain && !piece.is_empty() {
                shown.push_str(&format!("\x1b[{}m{piece}\x1b[0m", tone.code()));
            } else {
                shown.push_str(&piece);
            }
            if cut {
                break;
            }
            room -= length;
        }
        let end = shown.trim_end().len();
        shown.truncate(end);
        shown
    }
}

/// Breaks a text between words into lines of at most `width` columns.
pub(crate) fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_line_is_cut_to_the_width_with_and_without_colours() {
        let line = Line::new(Tone::Bold, "a".repeat(60)).then(Tone::Bad, "b".repeat(60));
        let plain = line.show(false);
        assert_eq!(plain.chars().count(), WIDTH);
        assert!(plain.ends_with("b…") && !plain.contains('\x1b'), "{plain}");
        let visible = line.show(true).replace("\x1b[1m", "").replace("\x1b[31m", "").replace("\x1b[0m", "");
        assert_eq!(visible, plain);
    }

    #[test]
    fn a_line_of_just_the_width_is_whole() {
        let line = Line::new(Tone::Plain, "x".repeat(WIDTH));
        assert_eq!(line.show(false), "x".repeat(WIDTH));
    }

    #[test]
    fn a_text_breaks_between_words() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("extraordinary", 5), ["extraordinary"]);
    }
}
