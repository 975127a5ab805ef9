//! How much memory processes hold.

use std::fs;

use anyhow::{Context as _, Result};

/// Megabytes that processes hold together: of pages shared with others, their part.
pub(crate) fn proportional_megabytes(processes: &[i32]) -> Result<f64> {
    processes.iter().map(|pid| megabytes(*pid)).sum()
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
