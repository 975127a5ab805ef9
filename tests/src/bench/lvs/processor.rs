//! How busy processes are.

use std::{
    fs, thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};

/// How long processes must be calm.
const SPAN: Duration = Duration::from_millis(300);
/// What they may use of the processor in that time, in hundredths of a second: a tenth of it.
const CALM: u64 = 3;

/// Waits until processes together use next to nothing of the processor.
pub(crate) fn wait_until_calm(processes: &[i32], within: Duration) -> Result<()> {
    let start = Instant::now();
    let mut before = used(processes)?;
    while start.elapsed() < within {
        thread::sleep(SPAN);
        let now = used(processes)?;
        if now.saturating_sub(before) <= CALM {
            return Ok(());
        }
        before = now;
    }
    bail!("processes {processes:?} are busy for longer than {within:?}")
}

/// Time on the processor since their start, in hundredths of a second.
fn used(processes: &[i32]) -> Result<u64> {
    let one = |pid: &i32| {
        let path = format!("/proc/{pid}/stat");
        let text = fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
        ticks(&text).with_context(|| format!("{path} is of another form: {text}"))
    };
    processes.iter().map(one).sum()
}

/// User and system time of a line of `/proc/PID/stat` (proc(5): fields 14 and 15). The name of the program, field 2, may
/// have blanks in it and ends with the last parenthesis.
fn ticks(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut times = rest.split_whitespace().skip(11);
    let mut time = || times.next()?.parse::<u64>().ok();
    Some(time()? + time()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_times_are_found_behind_any_name() {
        let line = "784 (a b) c) S 1 784 1 0 -1 4194560 512 0 0 0 24 13 7 9 20 0 1 0 10 1 2";
        assert_eq!(ticks(line), Some(37));
        assert_eq!(ticks("nothing"), None);
    }
}
