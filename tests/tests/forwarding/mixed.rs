//! Rows of different methods in one service, the router itself among them, and what cannot be mixed.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use lab::{Forwarding, HostSpec, Lab, Match, at, scenarios, standard};

use super::{
    witness::Transport,
    world::{FAMILIES, Family, Served, World},
};
use crate::one_router::{SOON, be_gateway};

scenarios! {
    methods_mix_in_one_service: 90,
    only_tunnels_lead_to_the_other_version_of_ip: 90,
}

/// A host that holds the VIPs on `lo`.
pub(crate) fn holder(name: &str) -> HostSpec {
    let mut host = HostSpec::new(name);
    host.accept_directly(standard::vip(0));
    host.accept_directly(standard::vip6(0));
    host
}

/// In turn: rs1 by NAT, rs2 by direct routing, rs3 through a tunnel, and the router itself.
fn methods_mix_in_one_service(lab: &Lab) -> Result<()> {
    let cluster =
        lab.cluster()
            .routers(1)
            .real_servers(1)
            .host(holder("rs2").interface("eth0", standard::PUBLIC, ["10.1.0.202/24", "fd00:1::202/64"]))
            .host(
                holder("rs3")
                    .interface("eth0", standard::INSIDE, ["10.2.0.103/24", "fd00:2::103/64"])
                    .interface("eth1", standard::PUBLIC, ["10.1.0.203/24", "fd00:1::203/64"]),
            )
            .build()?;
    let mut world = World::on(cluster)?;
    be_gateway(&world.router)?;
    // From whichever of its addresses the router sends.
    world.server(3)?.ip(&[
        "link add four type ipip local 10.2.0.103",
        "link add six type ip6tnl mode any local fd00:2::103",
        "link set four up",
        "link set six up",
    ])?;
    let mut served = Vec::new();
    for family in FAMILIES {
        let vip = at(family.vip(), 80);
        let rows = [
            ("rs1", at(family.server(1), 80), "-m", Forwarding::Masq),
            ("rs2", at(family.neighbour(2), 80), "-g", Forwarding::Route),
            ("rs3", at(family.server(3), 80), "-i", Forwarding::Tunnel),
            ("r1", at(family.router(), 80), "-g", Forwarding::Route),
        ];
        world.rules(&[format!("-A -t {vip} -s rr")])?;
        for (name, row, option, forwarding) in &rows {
            // Only NAT has another address at its end than the VIP.
            let reached = if *forwarding == Forwarding::Masq { *row } else { vip };
            let host = world.host(name)?;
            world.witness(&host, Transport::Tcp, reached)?;
            world.rules(&[format!("-a -t {vip} -r {row} {option}")])?;
            assert_eq!(world.row(Match::Tcp(vip), *row)?.forwarding, *forwarding);
        }
        let mut times = BTreeMap::new();
        for _ in 0..8 {
            let answer = world.ask(Transport::Tcp, vip, 0)?;
            let found = rows.iter().find(|(name, ..)| *name == answer.server);
            let (name, row, ..) = *found.with_context(|| format!("{answer:?}"))?;
            *times.entry(name).or_insert(0) += 1;
            served.push(Served { vip, row, client: answer.client });
        }
        assert_eq!(times, BTreeMap::from([("r1", 2), ("rs1", 2), ("rs2", 2), ("rs3", 2)]));
    }
    world.counters_agree(&served)
}

/// Rewriting a destination or a hardware address makes no IPv6 of IPv4; packing one into the other does.
fn only_tunnels_lead_to_the_other_version_of_ip(lab: &Lab) -> Result<()> {
    let world = World::on(lab.cluster().routers(1).build()?)?;
    for (inner, outer) in [(Family::V4, Family::V6), (Family::V6, Family::V4)] {
        let (vip, row) = (at(inner.vip(), 80), at(outer.server(1), 80));
        world.rules(&[format!("-A -t {vip} -s rr")])?;
        for method in ["-m", "-g"] {
            let line = format!("-a -t {vip} -r {row} {method}");
            let refused = world.router.program("ipvsadm").args(line.split(' ')).run(SOON)?;
            assert_eq!(refused.status.code(), Some(2), "{line}");
            ensure!(refused.stderr.contains("can be reached by tunnelling (-i) only"), "{}", refused.stderr);
        }
        world.rules(&[format!("-a -t {vip} -r {row} -i")])?;
        assert_eq!(world.row(Match::Tcp(vip), row)?.forwarding, Forwarding::Tunnel);
    }
    Ok(())
}
