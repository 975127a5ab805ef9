//! How much memory a director holds by itself.

use std::fs;

use anyhow::{Context as _, Result};

use super::super::rounds::Side;
use crate::Program;

/// Megabytes of the director's own processes: shared pages count for each user's part of them.
///
/// Ours is one process; its children are monitors, which check. The peer's parent has one child, which does everything.
pub(crate) fn of_director(director: &Program, side: Side) -> Result<f64> {
    let mut processes = vec![director.pid()];
    if side == Side::Peer {
        processes.extend(director.children()?);
    }
    processes.into_iter().map(megabytes).sum()
}

fn megabytes(pid: i32) -> Result<f64> {
    let path = format!("/proc/{pid}/smaps_rollup");
    let text = fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
    let kilobytes = proportional(&text).with_context(|| format!("{path} has no line `Pss:`"))?;
    Ok(f64::from(kilobytes) / 1024.0)
}

/// The kilobytes of the line `Pss:`.
fn proportional(text: &str) -> Option<u32> {
    let value = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    value.trim().strip_suffix("kB")?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_proportional_set_size_is_found_among_its_relatives() {
        let text = "55d0-7ffc ---p 00000000 00:00 0    [rollup]\nRss:     1160 kB\nPss:      356 kB\nPss_Anon: 92 kB\n";
        assert_eq!(proportional(text), Some(356));
        assert_eq!(proportional("Rss: 1 kB\n"), None);
    }
}
