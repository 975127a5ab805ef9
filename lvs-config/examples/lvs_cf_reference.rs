//! Prints docs/lvs.cf.md, or with the argument `man` docs/man/lvs.cf.5.

use std::io::Write as _;

fn main() -> std::io::Result<()> {
    let is_man = std::env::args().nth(1).is_some_and(|argument| argument == "man");
    let text = if is_man { lvs_config::reference_man() } else { lvs_config::reference_markdown() };
    std::io::stdout().write_all(text.as_bytes())
}
