//! The director is killed while it carries out a reload of thousands of changes.

use anyhow::{Result, bail};
use lab::{Balancing, Lab, Layout, Signal, scenarios, wait_for_weight};

use super::crowd::{Crowd, LONG};
use crate::one_router::SOON;

scenarios! {
    a_reload_that_a_killed_director_had_begun_is_completed_by_the_next: 120,
}

/// Virtual servers, and how many of them the other file does not have.
const SERVICES: usize = 1000;
const GONE: usize = 100;
/// A reload that was over before the director died is tried again.
const ATTEMPTS: usize = 5;

fn a_reload_that_a_killed_director_had_begun_is_completed_by_the_next(lab: &Lab) -> Result<()> {
    let crowd = Crowd::new(lab)?;
    for line in ["-A -f 5 -s sh", "-a -f 5 -r 10.9.0.1 -m -w 9"] {
        crowd.host.tool("ipvsadm").args(line.split(' ')).run(SOON)?.success()?;
    }
    let (_, foreign) = crowd.table()?;
    let all = Balancing::of(SERVICES, SERVICES * 2, Layout::Shared);
    let before = all.clone().with_weights(|_, _| 1);
    let after = all.with_weights(|_, _| 2).without_first(GONE);
    let (rows, first) = (after.rows().count(), after.first());
    for _ in 0..ATTEMPTS {
        let lvs = crowd.serve(&before)?;
        crowd.write(&after)?;
        lvs.signal(Signal::SIGHUP)?;
        wait_for_weight(&crowd.host, first.service, first.server, 2, LONG)?;
        lvs.kill9()?;
        let (own, _) = crowd.table()?;
        let done = own.iter().flat_map(|service| &service.destinations).filter(|row| row.weight == 2).count();
        lab.note(format!("killed with {} services and {done} of {rows} new rows", own.len()));
        let next = crowd.serve(&after)?;
        assert_eq!(crowd.table()?.1, foreign);
        next.kill9()?;
        if (1..rows).contains(&done) {
            return Ok(());
        }
    }
    bail!("{ATTEMPTS} reloads were over before the director died")
}
