//! NAT: the router rewrites the destination, and the source of the answers on their way back.

use anyhow::{Result, ensure};
use lab::{Forwarding, Lab, Match, at, scenarios};

use super::{
    witness::Transport,
    world::{FAMILIES, Served, World},
};
use crate::one_router::be_gateway;

scenarios! {
    destinations_and_ports_are_rewritten_and_clients_are_not: 90,
}

/// The router's way: VIP port 80 is port 8080 of the real server, in both families.
fn destinations_and_ports_are_rewritten_and_clients_are_not(lab: &Lab) -> Result<()> {
    let mut world = World::on(lab.cluster().routers(1).real_servers(1).build()?)?;
    be_gateway(&world.router)?;
    let server = world.server(1)?;
    let mut served = Vec::new();
    for family in FAMILIES {
        let (vip, behind) = (at(family.vip(), 80), at(family.server(1), 8080));
        world.witness(&server, Transport::Tcp, behind)?;
        world.rules(&[format!("-A -t {vip} -s rr"), format!("-a -t {vip} -r {behind} -m")])?;
        assert_eq!(world.row(Match::Tcp(vip), behind)?.forwarding, Forwarding::Masq);

        let answer = world.ask(Transport::Tcp, vip, 0)?;
        assert_eq!((answer.server.as_str(), answer.reached), ("rs1", behind));

        for (frame, packet) in world.forwarded(&world.inside, vip, answer.client)? {
            assert_eq!(frame.destination(), Some(server.link("eth0")?.mac()));
            assert_eq!(packet.ends(), Some((answer.client, behind)));
            assert_eq!(packet.ttl, 63, "one hop less than the client sent");
        }
        for (_, packet) in world.public.pick(|frame| frame.packet().filter(|p| p.ends().is_some())) {
            let shows = packet.from == behind.ip() || packet.to == behind.ip();
            ensure!(!shows, "the client's wire shows the real server: {packet:?}");
        }
        served.push(Served { vip, row: behind, client: answer.client });
    }
    world.counters_agree(&served)
}
