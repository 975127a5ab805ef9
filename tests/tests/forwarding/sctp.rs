//! SCTP: associations are scheduled as connections are.

use anyhow::Result;
use lab::{Forwarding, Lab, Match, at, scenarios};

use super::{
    witness::Transport,
    world::{FAMILIES, Served, World},
};
use crate::one_router::be_gateway;

scenarios! {
    associations_are_served_through_nat: 90,
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
