//! Tunnelling: the router packs a packet into another one for the real server, which unpacks it and answers by itself.
//!
//! Each kind of tunnel carries each version of IP in each. At its end an interface of the real server unpacks: `ipip`
//! and `sit` what comes in IPv4, `ip6tnl` what comes in IPv6, `gre` and `ip6gre` GRE; `ip fou` takes GUE off first.

use anyhow::{Context as _, Result, ensure};
use lab::{Forwarding, Host, Lab, Match, Tunnel, at, scenarios};

use super::{
    witness::Transport,
    world::{FAMILIES, Family, Served, World},
};

scenarios! {
    ip_in_ip_carries_either_version_in_either: 90,
    gue_carries_either_version_in_either_with_and_without_checksums: 90,
    gre_carries_either_version_in_either_with_and_without_checksums: 90,
}

/// The first port of the services; each has one of its own.
const FIRST_PORT: u16 = 8001;

/// A kind of tunnel: options of `ipvsadm`, and whether a packet is packed like that.
type Kind = (&'static str, fn(Tunnel) -> bool);

/// A real server that holds the VIP on `lo` and is reached on the inside wire.
pub(super) fn world(lab: &Lab) -> Result<World> {
    World::on(lab.cluster().routers(1).real_servers(1).direct_routing().build()?)
}

/// Gives a real server the end of a tunnel from the router (`type ...` of `ip link add`).
pub(super) fn add_end(server: &Host, name: &str, kind: &str, outer: Family) -> Result<()> {
    let ends = format!("local {} remote {}", outer.server(1), outer.router());
    server.ip(&[format!("link add {name} type {kind} {ends}"), format!("link set {name} up")])
}

/// The interfaces that take IPv4 and IPv6 out of IPv4 and IPv6.
pub(super) fn add_ip_ends(server: &Host) -> Result<()> {
    add_end(server, "four", "ipip", Family::V4)?;
    add_end(server, "sixinfour", "sit", Family::V4)?;
    add_end(server, "six", "ip6tnl mode any", Family::V6)
}

/// One exchange through each kind of tunnel, for each version of IP in each, every one by a service of its own.
fn through(world: &mut World, kinds: &[Kind], first_port: u16) -> Result<Vec<Served>> {
    let server = world.server(1)?;
    let mut served = Vec::new();
    let cases =
        kinds.iter().flat_map(|kind| FAMILIES.map(|inner| FAMILIES.map(|outer| (kind, inner, outer))));
    for (((options, is_right), inner, outer), port) in cases.flatten().zip(first_port..) {
        let (vip, row) = (at(inner.vip(), port), at(outer.server(1), port));
        let case = format!("{inner:?} in {outer:?} {options}");
        world.witness(&server, Transport::Tcp, vip)?;
        world.rules(&[format!("-A -t {vip} -s rr"), format!("-a -t {vip} -r {row} -i{options}")])?;
        assert_eq!(world.row(Match::Tcp(vip), row)?.forwarding, Forwarding::Tunnel, "{case}");

        let answer = world.ask(Transport::Tcp, vip, 0)?;
        assert_eq!((answer.server.as_str(), answer.reached), ("rs1", vip), "{case}");

        let packed = world.forwarded(&world.inside, vip, answer.client).context(case.clone())?;
        for (frame, packet) in packed {
            assert_eq!(frame.destination(), Some(server.link("eth0")?.mac()), "{case}");
            assert_eq!((packet.from, packet.to), (outer.router(), outer.server(1)), "{case}");
            let Some((tunnel, carried)) = packet.inside() else { anyhow::bail!("{case}: {packet:?}") };
            ensure!(is_right(tunnel), "{case}: {tunnel:?}");
            assert_eq!(carried.ends(), Some((answer.client, vip)), "{case}");
        }
        let remembered = format!("TCP {} {vip} {row}", answer.client);
        assert_eq!(world.connections(answer.client)?, [remembered], "{case}");
        served.push(Served { vip, row, client: answer.client });
    }
    Ok(served)
}

fn ip_in_ip_carries_either_version_in_either(lab: &Lab) -> Result<()> {
    let mut world = world(lab)?;
    add_ip_ends(&world.server(1)?)?;
    let served = through(&mut world, &[("", |tunnel| tunnel == Tunnel::Ipip)], FIRST_PORT)?;
    world.counters_agree(&served)
}

/// With a remote checksum the router leaves it to the real server to fill in that of what is carried.
fn gue_carries_either_version_in_either_with_and_without_checksums(lab: &Lab) -> Result<()> {
    let mut world = world(lab)?;
    let server = world.server(1)?;
    add_ip_ends(&server)?;
    server.ip(&["fou add port 6080 gue", "fou add port 6080 gue -6"])?;
    let kinds: [Kind; 3] = [
        (" --tun-type gue --tun-port 6080 --tun-nocsum", |tunnel| {
            tunnel == Tunnel::Gue { checksum: 0, remote_checksum: false }
        }),
        (" --tun-type gue --tun-port 6080 --tun-csum", |tunnel| {
            matches!(tunnel, Tunnel::Gue { checksum: 1.., remote_checksum: false })
        }),
        (" --tun-type gue --tun-port 6080 --tun-remcsum", |tunnel| {
            matches!(tunnel, Tunnel::Gue { checksum: _, remote_checksum: true })
        }),
    ];
    let served = through(&mut world, &kinds, FIRST_PORT)?;
    world.counters_agree(&served)
}

/// An interface takes what comes with a checksum or what comes without, as it is told; never both.
fn gre_carries_either_version_in_either_with_and_without_checksums(lab: &Lab) -> Result<()> {
    let mut world = world(lab)?;
    let server = world.server(1)?;
    let kinds: [(&str, Kind); 2] = [
        ("", (" --tun-type gre --tun-nocsum", |tunnel| tunnel == Tunnel::Gre { checksum: None })),
        (
            " csum",
            (" --tun-type gre --tun-csum", |tunnel| matches!(tunnel, Tunnel::Gre { checksum: Some(_) })),
        ),
    ];
    let mut served = Vec::new();
    for ((flag, kind), first_port) in kinds.into_iter().zip([FIRST_PORT, FIRST_PORT + 100]) {
        add_end(&server, "four", &format!("gre{flag}"), Family::V4)?;
        add_end(&server, "six", &format!("ip6gre{flag}"), Family::V6)?;
        served.extend(through(&mut world, &[kind], first_port)?);
        server.ip(&["link del four", "link del six"])?;
    }
    world.counters_agree(&served)
}
