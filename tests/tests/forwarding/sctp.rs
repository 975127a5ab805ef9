//! SCTP: associations are scheduled as connections are.

use anyhow::Result;
use lab::{Forwarding, Lab, Match, at, scenarios};

use super::{
    tunnel::{self, add_ip_ends},
    witness::Transport,
    world::{FAMILIES, Served, World},
};
use crate::one_router::be_gateway;

scenarios! {
    associations_are_served_through_nat: 90,
    associations_are_served_by_direct_routing_and_through_tunnels: 90,
}

/// Both ends bind one address, so that none but the VIP and the client's appears within the association.
fn associations_are_served_through_nat(lab: &Lab) -> Result<()> {
    let mut world = World::on(lab.cluster().routers(1).real_servers(1).build()?)?;
    be_gateway(&world.router)?;
    let server = world.server(1)?;
    let mut served = Vec::new();
    for family in FAMILIES {
        let (vip, behind) = (at(family.vip(), 3868), at(family.server(1), 13868));
        world.witness(&server, Transport::Sctp, behind)?;
        world.rules(&[
            format!("-A --sctp-service {vip} -s rr"),
            format!("-a --sctp-service {vip} -r {behind} -m"),
        ])?;
        assert_eq!(world.row(Match::Sctp(vip), behind)?.forwarding, Forwarding::Masq);

        let answer = world.ask(Transport::Sctp, vip, 20_000)?;
        assert_eq!((answer.server.as_str(), answer.reached), ("rs1", behind));
        for (_, packet) in world.forwarded(&world.inside, vip, answer.client)? {
            assert_eq!((packet.protocol, packet.ends()), (132, Some((answer.client, behind))));
        }
        served.push(Served { vip, row: behind, client: answer.client });
    }
    world.counters_agree(&served)
}

/// Ports 3868 by direct routing and 3869 through a tunnel to the same real server, which answers by itself. What goes
/// through the tunnel has room in it: what has not is sent twice.
fn associations_are_served_by_direct_routing_and_through_tunnels(lab: &Lab) -> Result<()> {
    let mut world = tunnel::world(lab)?;
    let server = world.server(1)?;
    add_ip_ends(&server)?;
    let mut served = Vec::new();
    for family in FAMILIES {
        let direct = (3868, family.neighbour(1), "-g", Forwarding::Route, 20_000);
        let tunnelled = (3869, family.server(1), "-i", Forwarding::Tunnel, 1_000);
        for (port, row, option, forwarding, octets) in [direct, tunnelled] {
            let (vip, row) = (at(family.vip(), port), at(row, port));
            world.witness(&server, Transport::Sctp, vip)?;
            world.rules(&[
                format!("-A --sctp-service {vip} -s rr"),
                format!("-a --sctp-service {vip} -r {row} {option}"),
            ])?;
            assert_eq!(world.row(Match::Sctp(vip), row)?.forwarding, forwarding);

            let answer = world.ask(Transport::Sctp, vip, octets)?;
            assert_eq!((answer.server.as_str(), answer.reached), ("rs1", vip));
            let wire = if forwarding == Forwarding::Route { &world.public } else { &world.inside };
            for (_, packet) in world.forwarded(wire, vip, answer.client)? {
                let carried = packet.inside().map_or_else(|| packet.clone(), |(_, carried)| carried);
                assert_eq!(packet.inside().is_some(), forwarding == Forwarding::Tunnel);
                assert_eq!((carried.protocol, carried.ends()), (132, Some((answer.client, vip))));
            }
            let remembered = format!("SCTP {} {vip} {row}", answer.client);
            assert_eq!(world.connections(answer.client)?, [remembered]);
            served.push(Served { vip, row, client: answer.client });
        }
    }
    world.counters_agree(&served)
}
