//! `fo` and `ovf`: the server of the highest weight gets everything, until it cannot.

use anyhow::{Result, ensure};
use lab::{Lab, scenarios};

use super::service::{Service, clients};
use crate::one_router::{OneRouter, http};

scenarios! {
    failover_gives_everything_to_the_best_available_server: 90,
    overflow_fills_a_server_up_to_its_weight_before_the_next: 90,
}

/// The weight is a rank here: how many connections there are does not matter.
fn failover_gives_everything_to_the_best_available_server(lab: &Lab) -> Result<()> {
    let world = OneRouter::nat(lab, 3)?;
    let mut service = Service::on(&world, 0, "fo", &[1, 3, 2])?;
    assert_eq!(service.hold(6)?, "222222");
    // The best has failed; the next one has room for two.
    service.edit(2, "-w 0")?;
    service.edit(3, "-w 2 -x 2")?;
    assert_eq!(service.hold(4)?, "3311");
    service.edit(2, "-w 3")?;
    assert_eq!(service.hold(2)?, "22");
    for server in 1..=3 {
        service.edit(server, "-w 0")?;
    }
    let client = clients(&world, 1)?[0];
    ensure!(service.refuses(client, http())?, "a server of weight 0 was asked");
    Ok(())
}

/// A server is left out while it has *more* active connections than its weight, so one of weight 3 holds four.
fn overflow_fills_a_server_up_to_its_weight_before_the_next(lab: &Lab) -> Result<()> {
    let world = OneRouter::nat(lab, 3)?;
    let mut service = Service::on(&world, 0, "ovf", &[1, 3, 2])?;
    assert_eq!(service.hold(9)?, "222233311");
    let client = clients(&world, 1)?[0];
    ensure!(service.refuses(client, http())?, "all three were full");
    // Closed connections do not count.
    service.release(3)?;
    assert_eq!(service.hold(1)?, "3");
    service.release(2)?;
    assert_eq!(service.hold(6)?, "222233");
    Ok(())
}
