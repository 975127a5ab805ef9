//! `lc`, `wlc`, `sed` and `nq`: the open connections decide, each time by another rule.
//!
//! | scheduler | takes the server with the least | of weights 1, 2, 4, all idle: the first seven |
//! | --- | --- | --- |
//! | `lc` | load | 1 2 3 1 2 3 1 |
//! | `wlc` | load / weight | 1 2 3 3 2 3 3 |
//! | `sed` | (active + 1) / weight: the new connection counts, closed ones do not | 3 2 3 3 1 2 3 |
//! | `nq` | the first that is idle; else as `sed` | 1 2 3 3 3 2 3 |

use anyhow::{Result, ensure};
use lab::{Lab, scenarios};

use super::service::Service;
use crate::one_router::OneRouter;

scenarios! {
    least_connection_fills_servers_evenly_whatever_they_weigh: 30,
    weighted_least_connection_fills_servers_in_proportion: 30,
    shortest_expected_delay_counts_the_connection_to_come: 30,
    never_queue_prefers_any_idle_server: 30,
    closed_connections_weigh_a_256th_or_nothing: 60,
}

/// Weights of rs1, rs2, rs3.
const WEIGHTS: [u16; 3] = [1, 2, 4];

/// More closed connections than one open one can weigh as much as.
const MOST: usize = 1000;

/// Connections 3, 2, 2 after the first seven.
fn least_connection_fills_servers_evenly_whatever_they_weigh(lab: &Lab) -> Result<()> {
    let world = OneRouter::nat(lab, 3)?;
    let mut service = Service::on(&world, 0, "lc", &WEIGHTS)?;
    assert_eq!(service.hold(7)?, "1231231");
    // Now 3, 0, 0, and both have two closed ones that weigh the same: rs2, rs3, rs2, rs3; at 3, 2, 2 again the same
    // two; at 3, 3, 3 it is rs1, which has closed none.
    service.release(2)?;
    service.release(3)?;
    assert_eq!(service.hold(7)?, "2323231");
    Ok(())
}

/// Connections 1, 2, 4 after the first seven: all have 1 for each unit of weight.
fn weighted_least_connection_fills_servers_in_proportion(lab: &Lab) -> Result<()> {
    let world = OneRouter::nat(lab, 3)?;
    let mut service = Service::on(&world, 0, "wlc", &WEIGHTS)?;
    assert_eq!(service.hold(7)?, "1233233");
    // Now 1, 2, 0 with four closed ones at rs3, which make it a little busier than its weight: with 0, 1, 2, 3 open
    // ones it has the least load by weight, with 4 no longer. Of the other two rs1 is the first.
    service.release(3)?;
    assert_eq!(service.hold(5)?, "33331");
    Ok(())
}

/// From 1/1, 1/2, 1/4 on: rs3 is the quickest, and stays so until it has as long a queue for its weight as rs2.
fn shortest_expected_delay_counts_the_connection_to_come(lab: &Lab) -> Result<()> {
    let world = OneRouter::nat(lab, 3)?;
    let mut service = Service::on(&world, 0, "sed", &WEIGHTS)?;
    assert_eq!(service.hold(7)?, "3233123");
    // Now 0, 0, 4. Delays 1/1, 1/2, 5/4: rs2. 1/1, 2/2, 5/4: rs1. 2/1, 2/2, 5/4: rs2. 2/1, 3/2, 5/4: rs3.
    service.release(1)?;
    service.release(2)?;
    assert_eq!(service.hold(4)?, "2123");
    Ok(())
}

/// Every idle server first; then as shortest expected delay from 1, 1, 1 on.
fn never_queue_prefers_any_idle_server(lab: &Lab) -> Result<()> {
    let world = OneRouter::nat(lab, 3)?;
    let mut service = Service::on(&world, 0, "nq", &WEIGHTS)?;
    assert_eq!(service.hold(7)?, "1233323");
    // Now 0, 2, 0: rs1 is idle, although rs3 would be quicker (1/4); then rs3 is idle. Delays from 1, 2, 1 on: 2/1, 3/2,
    // 2/4: rs3.
    service.release(1)?;
    service.release(3)?;
    assert_eq!(service.hold(3)?, "133");
    Ok(())
}

/// How many connections rs2, which closes all of them, gets before rs1, which keeps one open, gets one.
fn turn(service: &Service<'_>) -> Result<usize> {
    // The end of a connection is not counted in the moment when the client closes it.
    let ask = || service.ask(1).and_then(|server| service.wait_until_counted().map(|()| server));
    let before = service.counted()?[1].1;
    while ask()? == "2" {
        let closed = service.counted()?[1].1;
        ensure!(closed - before < MOST, "rs1 gets nothing");
    }
    Ok(service.counted()?[1].1)
}

/// rs1 has one connection open, rs2 has closed so many that it is no longer better: where each scheduler turns to rs1.
///
/// An open connection weighs as much as 256 closed ones, or 257 in kernels that count it also among all (7.2 does). Of
/// equals rs1 wins. With twice the weight rs2 may have closed twice as many, of which those of rs1 itself are the rest.
fn closed_connections_weigh_a_256th_or_nothing(lab: &Lab) -> Result<()> {
    let world = OneRouter::nat(lab, 2)?;
    let mut service = Service::on(&world, 0, "fo", &[2, 1])?;
    assert_eq!(service.hold(1)?, "1");
    service.schedule("lc")?;
    let open = turn(&service)?;
    ensure!([256, 257].contains(&open), "an open connection weighs as much as {open} closed ones");
    assert_eq!(service.counted()?, [(1, 1), (0, open)]);
    // 1 and 2: rs1 has weight 1 now.
    service.edit(1, "-w 1")?;
    service.edit(2, "-w 2")?;
    service.schedule("wlc")?;
    assert_eq!(turn(&service)?, 2 * (open + 1));
    assert_eq!(service.counted()?, [(1, 2), (0, 2 * (open + 1))]);
    // To these two rs2 is idle, and its delay shorter: 1 and not 2, at equal weights.
    service.edit(2, "-w 1")?;
    for scheduler in ["sed", "nq"] {
        service.schedule(scheduler)?;
        assert_eq!(service.ask(1)?, "2", "{scheduler}");
        service.wait_until_counted()?;
    }
    service.schedule("wlc")?;
    assert_eq!(service.ask(1)?, "1");
    Ok(())
}
