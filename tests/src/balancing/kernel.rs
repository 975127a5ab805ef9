//! What the kernel has: one row, asked for so cheaply that the asking is not measured, and all of them.

use std::{
    net::{SocketAddr, SocketAddrV4},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use ipvsadm::{Ipvs, ServiceId};

use super::files::Balancing;
use crate::{Host, Match, eventually};

/// Between two looks at a row.
const LOOK: Duration = Duration::from_millis(2);

/// Waits until a real server of a service has this weight; when that was seen.
pub(crate) fn wait_for_weight(
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
        equals(host, file).map_err(|error| format!("{error:#}"))
    })
}

fn equals(host: &Host, file: &Balancing) -> Result<()> {
    let table = host.ipvs_table()?;
    ensure!(
        table.len() == file.services(),
        "the kernel has {} services, not {}",
        table.len(),
        file.services()
    );
    let mut found: Vec<_> = table
        .iter()
        .flat_map(|service| {
            service.destinations.iter().map(|row| (service.matches, row.address, i64::from(row.weight)))
        })
        .collect();
    let mut wanted: Vec<_> = file
        .rows()
        .map(|row| (Match::Tcp(row.service.into()), SocketAddr::from(row.server), i64::from(row.weight)))
        .collect();
    found.sort_unstable_by_key(|row| format!("{row:?}"));
    wanted.sort_unstable_by_key(|row| format!("{row:?}"));
    let different = found.iter().zip(&wanted).find(|(found, wanted)| found != wanted);
    ensure!(
        found.len() == wanted.len() && different.is_none(),
        "the kernel has {} rows, not {}; the first that differs: {different:?}",
        found.len(),
        wanted.len()
    );
    Ok(())
}
