//! What the `pulse` that runs would make of a file, as far as `lvs check` tells it: which directives of the file that it
//! reads take effect only when it is restarted. No `pulse`, one that may not be asked, and another file are nothing to tell.

use std::fs;
use std::io::Read as _;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use lvs_config::Config;
use lvs_ipc::status::{PULSE_SOCKET, PulseStatus};

/// Longest wait for a part of the answer, which is there at once.
const PATIENCE: Duration = Duration::from_secs(1);
/// Longest answer, in bytes; one with a thousand addresses is a tenth of it.
const LONGEST: u64 = 1024 * 1024;

/// What to tell about the file `path`, which says `config`: a line for each group of directives.
pub(crate) fn restarts(run_dir: &Path, path: &Path, config: &Config) -> Vec<String> {
    match ask(run_dir) {
        Some(pulse) if is_same(Path::new(&pulse.config), path) => differences(&pulse, config),
        _ => Vec::new(),
    }
}

fn ask(run_dir: &Path) -> Option<PulseStatus> {
    let stream = UnixStream::connect(run_dir.join(PULSE_SOCKET)).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    let mut answer = String::new();
    stream.take(LONGEST).read_to_string(&mut answer).ok()?;
    serde_json::from_str(&answer).ok()
}

/// Whether two paths lead to one file.
fn is_same(one: &Path, other: &Path) -> bool {
    let real = |path| fs::canonicalize(path).ok();
    real(one).is_some_and(|path| real(other) == Some(path))
}

fn differences(pulse: &PulseStatus, config: &Config) -> Vec<String> {
    let lines = config.only_with_restart().into_iter().filter_map(|(names, said)| {
        let in_force = pulse.only_with_restart.get(names).filter(|in_force| **in_force != said)?;
        Some(format!(
            "{names}: {said} instead of {in_force} takes effect only when pulse is restarted; until then it refuses \
             to reload this file"
        ))
    });
    lines.collect()
}
