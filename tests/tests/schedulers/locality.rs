//! `lblc` and `lblcr`: a destination address stays on its server, or servers, as long as they keep up.
//!
//! Both are for transparent caches: one service, here by mark, has many destination addresses. An address without a
//! server gets the one that `wlc` would take, and keeps it. It is overloaded when it has more active connections than its
//! weight while some server has less than half as many as its own weight: then `lblc` moves the address to the server of least
//! load, while `lblcr` adds that one to the address's set of servers, and takes the least loaded of the set.

use std::time::Duration;

use anyhow::Result;
use lab::{Lab, eventually, scenarios};

use super::service::{Service, clients, elsewhere};
use crate::one_router::{OneRouter, SOON};

scenarios! {
    locality_moves_a_destination_off_an_overloaded_server: 90,
    locality_with_replication_adds_servers_to_a_destination: 90,
}

/// After how many seconds without change a set is made smaller.
const EXPIRATION: &str = "net.ipv4.vs.lblcr_expiration";
/// The longest tick of a kernel's clock, which counts that time.
const TICK: Duration = Duration::from_millis(10);

/// Three servers of weight 2, so that the fourth connection for one address finds its server overloaded: it has three,
/// while another has none. Each connection comes from another client.
fn service<'w>(world: &'w OneRouter, scheduler: &str) -> Result<Service<'w>> {
    Service::on_a_network(world, scheduler, &[2, 2, 2])
}

/// Addresses 1 and 2 come to rs1 and rs2; address 1 fills rs1, then moves to rs3, the idle one. When rs3 is overloaded
/// nobody is idle and it stays.
fn locality_moves_a_destination_off_an_overloaded_server(lab: &Lab) -> Result<()> {
    let world = OneRouter::nat(lab, 3)?;
    let mut service = service(&world, "lblc")?;
    let clients = clients(&world, 12)?;
    assert_eq!(service.hold_between(&clients[..2], elsewhere(1))?, "11");
    assert_eq!(service.hold_between(&clients[..1], elsewhere(2))?, "2");
    assert_eq!(service.hold_between(&clients[2..8], elsewhere(1))?, "133333");
    assert_eq!(service.hold_between(&clients[1..4], elsewhere(2))?, "222");
    // rs1 is idle again. Address 1, whose server is overloaded, moves back to it at once; address 2, too, has a server with
    // four, but after that nobody is idle any more.
    service.release(1)?;
    assert_eq!(service.hold_between(&clients[8..9], elsewhere(1))?, "1");
    assert_eq!(service.hold_between(&clients[4..6], elsewhere(2))?, "22");
    assert_eq!(service.hold_between(&clients[9..11], elsewhere(1))?, "11");
    // Open connections are 3, 6, 5 now. An address whose server is quiesced moves to the least load, and stays there.
    service.edit(2, "-w 0")?;
    assert_eq!(service.hold_between(&clients[6..7], elsewhere(2))?, "1");
    service.edit(2, "-w 2")?;
    assert_eq!(service.hold_between(&clients[7..9], elsewhere(2))?, "11");
    Ok(())
}

/// The same until each of the three servers has three connections for address 1. From there on `lblc` would stay with
/// rs3; here all three are in the set, the last added first, and share.
fn locality_with_replication_adds_servers_to_a_destination(lab: &Lab) -> Result<()> {
    let world = OneRouter::nat(lab, 3)?;
    let mut service = service(&world, "lblcr")?;
    let clients = clients(&world, 16)?;
    assert_eq!(service.hold_between(&clients[..9], elsewhere(1))?, "111222333");
    assert_eq!(service.hold_between(&clients[9..15], elsewhere(1))?, "321321");
    // Another address has no part in that set: of equals it gets the first of the list, and only that one.
    assert_eq!(service.hold_between(&clients[..3], elsewhere(2))?, "111");
    // A server of the set that is free again gets the next ones.
    service.release(2)?;
    assert_eq!(service.hold_between(&clients[..3], elsewhere(1))?, "222");

    // Open connections are 8, 3, 5 now. A set of several that has not changed for a time (here none) loses its busiest
    // server with the next connection.
    let changed = lab.now();
    world.router.set_sysctl(EXPIRATION, "0")?;
    eventually(SOON, "the clock of the kernel to advance", || {
        let passed = lab.now() - changed;
        if passed > TICK { Ok(()) } else { Err(format!("{passed:?}")) }
    })?;
    assert_eq!(service.hold_between(&clients[3..4], elsewhere(1))?, "2");
    world.router.set_sysctl(EXPIRATION, "86400")?;
    // From 4 and 5 on the other two share, also when they have more than rs1's 8.
    assert_eq!(service.hold_between(&clients[4..16], elsewhere(1))?, "23".repeat(6));
    Ok(())
}
