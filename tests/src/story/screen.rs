//! Standard output as a stage: lines that stay, and on a terminal a live view below them that is redrawn in place.

use std::{
    env,
    io::{IsTerminal as _, Write as _, stdout},
};

use super::text::Line;

/// Lines longer than the terminal is wide are cut instead of wrapped (DECAWM, DEC private mode 7), so that the number
/// of rows on the screen is the number of lines.
const DO_NOT_WRAP: &str = "\x1b[?7l";
const WRAP: &str = "\x1b[?7h";

/// Where the story is shown.
pub(crate) struct Screen {
    terminal: bool,
    colour: bool,
    /// Rows of the live view that is on the screen.
    rows: usize,
}

impl Screen {
    /// Standard output.
    pub(crate) fn new() -> Self {
        let terminal = stdout().is_terminal() && env::var_os("TERM").is_none_or(|term| term != "dumb");
        let wanted = env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self { terminal, colour: terminal && wanted, rows: 0 }
    }

    /// Whether a live view can be shown.
    pub(crate) fn is_live(&self) -> bool {
        self.terminal
    }

    /// Shows lines that stay, in place of the live view.
    pub(crate) fn print(&mut self, lines: &[Line]) {
        let text = self.erased() + &self.shown(lines);
        self.rows = 0;
        write(&text);
    }

    /// Draws the live view, in place of the one before.
    pub(crate) fn redraw(&mut self, lines: &[Line]) {
        if self.terminal {
            let text = format!("{}{DO_NOT_WRAP}{}{WRAP}", self.erased(), self.shown(lines));
            self.rows = lines.len();
            write(&text);
        }
    }

    fn shown(&self, lines: &[Line]) -> String {
        lines.iter().map(|line| line.show(self.colour) + "\n").collect()
    }

    /// Takes the live view away.
    fn erased(&self) -> String {
        if self.rows == 0 { String::new() } else { format!("\x1b[{}A\x1b[J", self.rows) }
    }
}

fn write(text: &str) {
    let mut out = stdout().lock();
    // A reader that has gone away has seen enough; the exit status still tells.
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
