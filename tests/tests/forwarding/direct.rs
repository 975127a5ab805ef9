//! Direct routing: the router passes a packet on as it is, to the real server's hardware address.

use anyhow::{Result, ensure};
use lab::{Forwarding, Lab, Match, at, scenarios};

use super::{
    witness::Transport,
    world::{FAMILIES, Family, Served, World},
};

scenarios! {
    packets_reach_the_real_server_untouched_and_answers_pass_the_router_by: 90,
}

/// The real server holds the VIP on `lo` and does not tell the network (`arp_ignore`, `arp_announce`).
fn packets_reach_the_real_server_untouched_and_answers_pass_the_router_by(lab: &Lab) -> Result<()> {
    let mut world = World::on(lab.cluster().routers(1).real_servers(1).direct_routing().build()?)?;
    let server = world.server(1)?;
    let its_mac = server.link("eth1")?.mac();
    let mut served = Vec::new();
    for family in FAMILIES {
        let (vip, row) = (at(family.vip(), 80), at(family.neighbour(1), 80));
        world.witness(&server, Transport::Tcp, vip)?;
        world.rules(&[format!("-A -t {vip} -s rr"), format!("-a -t {vip} -r {row} -g")])?;
        assert_eq!(world.row(Match::Tcp(vip), row)?.forwarding, Forwarding::Route);

        let answer = world.ask(Transport::Tcp, vip, 0)?;
        assert_eq!((answer.server.as_str(), answer.reached), ("rs1", vip));

        for (frame, packet) in world.forwarded(&world.public, vip, answer.client)? {
            assert_eq!(frame.destination(), Some(its_mac));
            assert_eq!(packet.ends(), Some((answer.client, vip)));
        }
        let remembered = format!("TCP {} {vip} {row}", answer.client);
        assert_eq!(world.connections(answer.client)?, [remembered]);
        let answers = world.public.pick(|frame| {
            let ends = frame.packet()?.ends()?;
            (ends == (vip, answer.client)).then(|| (frame.source(), frame.destination()))
        });
        ensure!(!answers.is_empty(), "no answer on the wire");
        let straight = (Some(its_mac), Some(world.client.link("eth0")?.mac()));
        ensure!(answers.iter().all(|(_, way)| *way == straight), "{answers:?}");
        served.push(Served { vip, row, client: answer.client });
    }
    world.counters_agree(&served)?;
    let mut told = world.public.arps();
    told.retain(|(_, arp)| arp.sender_mac == its_mac && Family::V4.vip() == arp.sender_ip);
    ensure!(told.is_empty(), "the real server told the network of the VIP: {told:?}");
    let mut told = world.public.neighbour_advertisements();
    told.retain(|(_, na)| na.source_mac == its_mac && Family::V6.vip() == na.target);
    ensure!(told.is_empty(), "the real server told the network of the VIP: {told:?}");
    Ok(())
}
