//! `rr` and `wrr`: turns, whatever the servers are doing.

use anyhow::Result;
use lab::{Lab, scenarios};

use super::service::Service;
use crate::one_router::OneRouter;

scenarios! {
    round_robin_gives_each_server_its_turn: 90,
    weighted_round_robin_spreads_each_weight_over_the_round: 90,
}

/// One server after the other, however heavy and however busy it is.
fn round_robin_gives_each_server_its_turn(lab: &Lab) -> Result<()> {
    let world = OneRouter::nat(lab, 3)?;
    let mut service = Service::on(&world, 0, "rr", &[1, 5, 9])?;
    assert_eq!(service.ask(9)?, "123123123");
    // Five connections on rs2 and rs3 and none on rs1: a scheduler that counts would keep to rs1 now.
    assert_eq!(service.hold(9)?, "123123123");
    service.release(1)?;
    assert_eq!(service.hold(6)?, "123123");
    // The turn of a quiesced server is left out; afterwards it has one again.
    service.edit(2, "-w 0")?;
    assert_eq!(service.ask(4)?, "1313");
    service.edit(2, "-w 1")?;
    assert_eq!(service.ask(3)?, "123");
    Ok(())
}

/// A round has as many connections as all weights together, four for rs1, two for rs2, one for rs3, and they are
/// interleaved: the scheduler goes through the list once for each level from the highest weight down, and on each pass
/// takes the servers whose weight reaches the level. Level 4: rs1; level 3: rs1; level 2: rs1, rs2; level 1: all.
fn weighted_round_robin_spreads_each_weight_over_the_round(lab: &Lab) -> Result<()> {
    let world = OneRouter::nat(lab, 3)?;
    let mut service = Service::on(&world, 0, "wrr", &[4, 2, 1])?;
    assert_eq!(service.ask(21)?, "1112123".repeat(3));
    assert_eq!(service.hold(14)?, "1112123".repeat(2));
    // Connections do not count.
    service.release(3)?;
    assert_eq!(service.hold(7)?, "1112123");
    // Levels are as far apart as the greatest common divisor of the weights, so only their ratio counts.
    let doubled = Service::on(&world, 1, "wrr", &[40, 20, 10])?;
    assert_eq!(doubled.ask(14)?, "1112123".repeat(2));
    Ok(())
}
