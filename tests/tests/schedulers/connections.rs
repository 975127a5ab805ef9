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
    least_connection_fills_servers_evenly_whatever_they_weigh: 90,
    weighted_least_connection_fills_servers_in_proportion: 90,
    shortest_expected_delay_counts_the_connection_to_come: 90,
    never_queue_prefers_any_idle_server: 90,
    a_closed_connection_weighs_a_256th: 90,
    one_state_has_four_answers: 90,
}

/// Weights of rs1, rs2, rs3.
const WEIGHTS: [u16; 3] = [1, 2, 4];

/// More closed connections than two open ones can weigh as much as.
const MOST: usize = 1000;

/// In turns as long as none is closed: connections are 3, 2, 2 after the first seven.
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

/// Connections by weight are 0 at first. Of equals the first wins, so that they become: rs1 1/1, rs2 1/2, rs3 1/4, rs3
/// 2/4, rs2 2/2, rs3 3/4, rs3 4/4. That is one for each unit of weight.
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

/// Delays are 1/1, 1/2, 1/4 at first. Of equals the first wins, so that they become: rs3 2/4, rs2 2/2, rs3 3/4, rs3 4/4,
/// rs1 2/1, rs2 3/2, rs3 5/4. Connections are 1, 2, 4 then.
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

/// Every idle server first. Delays are 2/1, 2/2, 2/4 then, and become: rs3 3/4, rs3 4/4, rs2 3/2 (before rs3, the equal),
/// rs3 5/4. Connections are 1, 2, 4 then.
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

/// Asks until rs1, which keeps connections open, gets another one, and says how many rs2 has closed by then.
fn turn(service: &Service<'_>) -> Result<usize> {
    let before = service.counted()?[1].1;
    while service.ask_counted(1)? == "2" {
        let closed = service.counted()?[1].1;
        ensure!(closed - before < MOST, "rs1 gets nothing");
    }
    Ok(service.counted()?[1].1)
}

/// rs1 keeps two connections open; rs2 closes its own, and gets one after the other until they weigh as much. Of equals rs1
/// wins, so that it gets the next, which is closed too. With twice the weight rs2 may then have twice the load.
///
/// An open connection weighs 256 closed ones by the rule; to Linux 7.2 one more, as if it counted among the closed
/// ones too. Whichever it is, two weigh exactly twice that.
fn a_closed_connection_weighs_a_256th(lab: &Lab) -> Result<()> {
    let world = OneRouter::nat(lab, 2)?;
    let mut service = Service::on(&world, 0, "fo", &[2, 1])?;
    assert_eq!(service.hold(2)?, "11");
    service.schedule("lc")?;
    let two = turn(&service)?;
    ensure!([2 * 256, 2 * 257].contains(&two), "two open connections weigh as much as {two} closed ones");
    assert_eq!(service.counted()?, [(2, 1), (0, two)]);
    service.edit(1, "-w 1")?;
    service.edit(2, "-w 2")?;
    service.schedule("wlc")?;
    assert_eq!(turn(&service)?, 2 * (two + 1));
    assert_eq!(service.counted()?, [(2, 2), (0, 2 * (two + 1))]);
    Ok(())
}

/// Of these four servers, each is the best for one scheduler:
///
/// | | open | closed | weight | |
/// | --- | --- | --- | --- | --- |
/// | rs1 | 0 | 2 | 1 | `nq`: the first idle one |
/// | rs2 | 0 | 1 | 1 | `lc`: the least load |
/// | rs3 | 0 | 3 | 4 | `wlc`: 3/4 where rs1 has 2/1, rs2 1/1, and rs4 has more than 256/10 |
/// | rs4 | 1 | 0 | 10 | `sed`: (1 + 1)/10 where rs3 has (0 + 1)/4 |
///
/// What each scheduler does next tells it from those that would begin alike, such as `dh` and `lblc`, which keep to one
/// server, and `wrr`, which begins with the heaviest.
fn one_state_has_four_answers(lab: &Lab) -> Result<()> {
    let world = OneRouter::nat(lab, 4)?;
    let mut service = Service::on(&world, 0, "fo", &[2, 0, 0, 0])?;
    assert_eq!(service.ask(2)?, "11");
    service.edit(2, "-w 3")?;
    assert_eq!(service.ask(1)?, "2");
    service.edit(3, "-w 4")?;
    assert_eq!(service.ask(3)?, "333");
    service.edit(4, "-w 10")?;
    assert_eq!(service.hold(1)?, "4");
    for server in [1, 2] {
        service.edit(server, "-w 1")?;
    }
    service.wait_until_counted()?;
    assert_eq!(service.counted()?, [(0, 2), (0, 1), (0, 3), (1, 0)]);
    // Idle ones as long as there are any, rs1 again as soon as it is.
    service.schedule("nq")?;
    assert_eq!(service.hold(2)?, "12");
    service.release(1)?;
    assert_eq!(service.hold(1)?, "1");
    service.release(1)?;
    service.release(2)?;
    assert_eq!(service.counted()?, [(0, 4), (0, 2), (0, 3), (1, 0)]);
    // 4, 2, 3 closed ones; 4, 3, 3: rs2 is the first; 4, 4, 3.
    service.schedule("lc")?;
    assert_eq!(service.ask_counted(3)?, "223");
    assert_eq!(service.counted()?, [(0, 4), (0, 4), (0, 4), (1, 0)]);
    // From 4/4 on until 16/4 is as much as 4/1.
    service.schedule("wlc")?;
    assert_eq!(service.ask_counted(13)?, "3333333333331");
    // Of rs3 and rs4: 1/4 and 2/10, 1/4 and 3/10, 2/4 and 3/10, 2/4 and 4/10, 2/4 and 5/10.
    service.schedule("sed")?;
    assert_eq!(service.hold(5)?, "43443");
    Ok(())
}
