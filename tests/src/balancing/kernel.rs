//! What the kernel has: one row, asked for so cheaply that the asking is not measured, and all of them.

use std::{
    net::{SocketAddr, SocketAddrV4},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use ipvsadm::{Ipvs, ServiceId};

use super::Balancing;
use crate::{Host, eventually};

/// Between two looks at a row.
const LOOK: Duration = Duration::from_millis(2);

/// Waits until a real server of a service has this weight; when that was seen.
///
/// # Errors
/// When it takes longer than `within`, or the kernel has no IPVS.
pub fn wait_for_weight(
    host: &Host,
    service: SocketAddrV4,
    server: SocketAddrV4,
    weight: u32,
    within: Duration,
) -> Result<Instant> {
    let service = ServiceId::tcp(service.into());
    let server = SocketAddr::from(server).into();
    let what = || format!("{service} to have {server} with weight {weight} within {within:?}");
    host.try_enter(|| {
        let mut ipvs = Ipvs::open().context("ask the kernel")?;
        let start = Instant::now();
        while start.elapsed() < within {
            // There may be no such service yet.
            let rows = ipvs.destinations(&service).unwrap_or_default();
            if rows.iter().any(|row| row.destination.id == server && row.destination.weight == weight) {
                return Ok(Instant::now());
            }
            thread::sleep(LOOK);
        }
        bail!("waited too long")
    })
    .with_context(what)
}

/// How long the table may differ from the file: a reading of the whole may show a row twice and leave one out while the
/// kernel enlarges its own hash table.
const PATIENCE: Duration = Duration::from_secs(10);

/// Waits until the table is the file's: nothing is missing, too many or has another weight.
pub(crate) fn wait_until_equal(host: &Host, file: &Balancing) -> Result<()> {
    eventually(PATIENCE, "the table to be the file's", || {
        let table = host.ipvs_table().map_err(|error| format!("{error:#}"))?;
        file.equals(&table).map_err(|error| format!("{error:#}"))
    })
}
