//! `lvs status`: asks the director that runs, over its socket.

use std::io::{ErrorKind, Read as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, anyhow, ensure};
use lvs_ipc::status::{LVS_SOCKET, LvsStatus};

use crate::status_view::render;

/// Longest wait for a part of the answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// Longest answer, in bytes; a table of 40,000 real servers is a quarter of it.
const LONGEST: u64 = 64 * 1024 * 1024;

/// The answer, as JSON or as a table.
///
/// # Errors
/// When no director runs, it may not be asked, or it answers something else.
pub fn status(run_dir: &Path, json: bool) -> anyhow::Result<String> {
    let path = run_dir.join(LVS_SOCKET);
    let stream = UnixStream::connect(&path).map_err(|error| match error.kind() {
        ErrorKind::NotFound | ErrorKind::ConnectionRefused => {
            anyhow!("no lvs is running: nobody listens at {}", path.display())
        }
        _ => anyhow::Error::new(error).context(path.display().to_string()),
    })?;
    stream.set_read_timeout(Some(PATIENCE)).context("cannot limit the wait for lvs")?;
    let mut answer = String::new();
    stream
        .take(LONGEST)
        .read_to_string(&mut answer)
        .with_context(|| format!("{}: no answer", path.display()))?;
    ensure!(!answer.is_empty(), "{}: lvs is too busy to answer, or ends; try again", path.display());
    if json {
        return Ok(answer);
    }
    let status: LvsStatus = serde_json::from_str(&answer)
        .with_context(|| format!("{}: the answer is no status; try again", path.display()))?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Ok(render(&status, u64::try_from(now.as_millis()).unwrap_or(u64::MAX)))
}
