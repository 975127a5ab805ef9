//! One server in several virtual servers: checked once, and known to all.

use std::time::Duration;

use anyhow::{Result, ensure};
use lab::{Behaviour, Lab, Match, Program, Signal, at, eventually, scenarios, standard};

use crate::{
    cf::{Block, INTERVAL, file, virtual_server},
    one_router::{OneRouter, SOON, http, web},
};

scenarios! {
    one_check_feeds_three_virtual_servers: 40,
    a_virtual_server_that_joins_serves_without_a_check_of_its_own: 30,
}

/// Time over which checks are counted.
const COUNTED: Duration = Duration::from_secs(3);

/// Two VIPs and a firewall mark, with different schedulers and weights, over the same two servers.
fn three() -> [Block; 3] {
    [
        virtual_server("web", 0).checked_often().weights(&[1, 2]),
        virtual_server("shop", 1)
            .checked_often()
            .set("scheduler", "wlc")
            .set("slow_start", "off")
            .weights(&[3, 4]),
        virtual_server("marked", 1)
            .checked_often()
            .set("fwmark", 7)
            .set("quiesce_server", 1)
            .weights(&[5, 6]),
    ]
}

fn wait_for_all(world: &OneRouter, weights: [&[(&str, i32)]; 3]) -> Result<()> {
    let services = [web(), Match::Tcp(at(standard::vip(1), 80)), Match::FwMark(7)];
    services
        .into_iter()
        .zip(weights)
        .try_for_each(|(service, weights)| world.wait_for_weights(service, weights))
}

fn shown_monitors(world: &OneRouter) -> Result<Vec<String>> {
    let servers = world.status()?.virtual_servers.into_iter().flat_map(|shown| shown.real_servers);
    Ok(servers.map(|server| format!("{} {}", server.address, server.monitor.state)).collect())
}

fn reload(lab: &Lab, world: &OneRouter, lvs: &Program, blocks: &[Block]) -> Result<()> {
    world.write(file(blocks.to_vec()))?;
    let mark = lab.journal().mark();
    lvs.signal(Signal::SIGHUP)?;
    lvs.wait_for_line_after(mark, "configuration in force", SOON)?;
    Ok(())
}

/// The server that fails leaves all three, and what it sees of checks is one check's.
fn one_check_feeds_three_virtual_servers(lab: &Lab) -> Result<()> {
    let world = OneRouter::nat(lab, 2)?;
    let blocks = three();
    let lvs = world.start_lvs(file(blocks.clone()))?;
    wait_for_all(&world, [&[("rs1", 1), ("rs2", 2)], &[("rs1", 3), ("rs2", 4)], &[("rs1", 5), ("rs2", 6)]])?;
    let nannies = world.nannies(&lvs)?;
    assert_eq!(nannies.keys().collect::<Vec<_>>(), ["10.1.0.100:80 10.2.0.101", "10.1.0.100:80 10.2.0.102"]);
    assert_eq!(lvs.children()?.len(), 2);
    let running = ["10.2.0.101:80 running", "10.2.0.102:80 running"].repeat(3);
    eventually(SOON, "the status to show a monitor for each", || {
        let shown = shown_monitors(&world).map_err(|error| format!("{error:#}"))?;
        if shown == running { Ok(()) } else { Err(format!("{shown:?}")) }
    })?;

    // However long it took: each check of one monitor is at least an interval after the one before.
    let (before, from) = (world.server(1).counts().connections, lab.now());
    eventually(SOON, "checks to be counted", || {
        if lab.now() - from >= COUNTED { Ok(()) } else { Err(format!("{:?}", lab.now() - from)) }
    })?;
    let (seen, took) = (world.server(1).counts().connections - before, lab.now() - from);
    let most = usize::try_from(took.as_millis() / INTERVAL.as_millis())? + 2;
    ensure!((3..=most).contains(&seen), "{seen} checks in {took:?}, of one monitor at most {most}");
    lab.note(format!("{seen} checks in {took:?} for three virtual servers"));

    world.server(1).behave(&Behaviour::Refuse)?;
    wait_for_all(&world, [&[("rs2", 2)], &[("rs2", 4)], &[("rs1", 0), ("rs2", 6)]])?;
    world.server(1).behave(&Behaviour::Answer)?;
    wait_for_all(&world, [&[("rs1", 1), ("rs2", 2)], &[("rs1", 3), ("rs2", 4)], &[("rs1", 5), ("rs2", 6)]])?;

    // The one in whose name the checks run goes, and they go on.
    reload(lab, &world, &lvs, &blocks[1..])?;
    eventually(SOON, "the service to go", || match world.service(web()) {
        Ok(service) => Err(service.to_string()),
        Err(_) => Ok(()),
    })?;
    assert_eq!(world.nannies(&lvs)?, nannies);
    world.server(2).behave(&Behaviour::Refuse)?;
    world.wait_for_weights(Match::Tcp(at(standard::vip(1), 80)), &[("rs1", 3)])
}

/// What is known of its servers holds for it too, the moment it is added.
fn a_virtual_server_that_joins_serves_without_a_check_of_its_own(lab: &Lab) -> Result<()> {
    let world = OneRouter::nat(lab, 2)?;
    let blocks = three();
    let lvs = world.start_lvs(file([blocks[1].clone()]))?;
    world.wait_for_weights(Match::Tcp(at(standard::vip(1), 80)), &[("rs1", 3), ("rs2", 4)])?;
    let nannies = world.nannies(&lvs)?;
    // From now on a check of its own would not tell for a while.
    for server in &world.servers {
        server.behave(&Behaviour::Slow(INTERVAL / 2))?;
    }
    let from = lab.now();
    reload(lab, &world, &lvs, &[blocks[1].clone(), blocks[0].clone()])?;
    world.wait_for_weights(web(), &[("rs1", 1), ("rs2", 2)])?;
    lab.note(format!("serves {:?} after the file was written", lab.now() - from));
    for server in &world.servers {
        server.behave(&Behaviour::Answer)?;
    }
    world.ask(http())?;
    assert_eq!(world.nannies(&lvs)?, nannies);
    lvs.wait_for_line("real server up vs=web rs=10.2.0.101:80", SOON)?;
    Ok(())
}
