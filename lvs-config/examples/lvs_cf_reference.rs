//! Prints docs/lvs.cf.md.

use std::io::Write as _;

fn main() -> std::io::Result<()> {
    std::io::stdout().write_all(lvs_config::reference_markdown().as_bytes())
}
