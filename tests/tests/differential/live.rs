//! Both tools list real connections alike: TCP, UDP, IPv6 and persistence, on a router of each.

use std::net::TcpStream;

use anyhow::{Result, bail, ensure};
use lab::{Cluster, Host, HostSpec, Lab, RealServer};

use super::{
    arena::{Arena, Outcome, Tool},
    duel::{LISTINGS, owned},
};
use crate::one_router::SOON;

/// How often a listing is taken anew because a second passed between two of its lines.
const TRIES: usize = 10;

/// The routers' virtual addresses; both have real servers of the same addresses.
const VIPS: [(Tool, &str, &str); 2] =
    [(Tool::Original, "10.1.0.100", "fd00:1::100"), (Tool::Ours, "10.1.0.101", "fd00:1::101")];

/// The same traffic through both routers, then every listing of each by ours, by the original, and by ours again:
/// the original's is one of ours, whatever a second changed between.
pub(super) fn listings_of_real_connections_are_the_same(lab: &Lab) -> Result<()> {
    let cluster = cluster(lab)?;
    let arena = Arena::on(&cluster)?;
    let mut servers: Vec<RealServer> = Vec::new();
    let mut held: Vec<TcpStream> = Vec::new();
    for (tool, vip, vip6) in VIPS {
        servers.push(cluster.host(&format!("{}-rs", tool.name()))?.real_server(&[53, 80])?);
        let router = cluster.host(tool.name())?;
        router.add_address("eth0", &format!("{vip}/24"))?;
        router.add_address("eth0", &format!("{vip6}/64"))?;
        let restored = arena.run(tool, tool, &owned(&["-R"]), rules(vip, vip6).as_bytes())?;
        ensure!(restored.status == 0 && restored.stderr.is_empty(), "{restored:?}");
        held.extend(traffic(&cluster.client()?, vip, vip6)?);
    }
    for (place, ..) in VIPS {
        let connections = arena.run(place, Tool::Original, &owned(&["-L", "-c", "-n"]), b"")?.stdout;
        for part in ["ESTABLISHED", "UDP ", "[fd00:1::2]:", ":0 "] {
            ensure!(connections.contains(part), "no {part:?} among the connections:\n{connections}");
        }
        LISTINGS.iter().try_for_each(|words| same(&arena, place, &owned(words)))?;
    }
    Ok(())
}

/// A client, the routers, and behind each a real server.
fn cluster(lab: &Lab) -> Result<Cluster> {
    let mut builder = lab.cluster();
    builder =
        builder.host(HostSpec::new("client").interface("eth0", "public", ["10.1.0.2/24", "fd00:1::2/64"]));
    for (tool, n) in [(Tool::Original, 11), (Tool::Ours, 12)] {
        let (name, inside) = (tool.name(), format!("in{n}"));
        let router = HostSpec::new(name)
            .interface("eth0", "public", [format!("10.1.0.{n}/24"), format!("fd00:1::{n}/64")])
            .interface("eth1", &inside, ["10.2.0.1/24", "fd00:2::1/64"])
            .forwarding();
        let server = HostSpec::new(format!("{name}-rs"))
            .interface("eth0", &inside, ["10.2.0.101/24", "fd00:2::101/64"])
            .gateway("10.2.0.1")
            .gateway("fd00:2::1");
        builder = builder.host(router).host(server);
    }
    builder.build()
}

fn rules(vip: &str, vip6: &str) -> String {
    format!(
        "-A -t {vip}:80 -s rr\n-a -t {vip}:80 -r 10.2.0.101:80 -m\n\
         -A -t {vip}:443 -s wlc -p 300 -M 255.255.255.0\n-a -t {vip}:443 -r 10.2.0.101:80 -m -x 9 -y 3\n\
         -A -u {vip}:53 -s rr\n-a -u {vip}:53 -r 10.2.0.101:53 -m\n\
         -A -t [{vip6}]:80 -s rr -p 300\n-a -t [{vip6}]:80 -r [fd00:2::101]:80 -m\n"
    )
}

/// Connections that stay open, and datagrams.
fn traffic(client: &Host, vip: &str, vip6: &str) -> Result<Vec<TcpStream>> {
    let mut held = Vec::new();
    for to in [format!("{vip}:80"), format!("{vip}:443"), format!("[{vip6}]:80")] {
        for _ in 0..3 {
            held.push(client.connect(to.parse()?, SOON)?);
        }
        // One of the three ends.
        held.pop();
    }
    for _ in 0..3 {
        client.send_udp(format!("{vip}:53").parse()?, b"question")?;
    }
    Ok(held)
}

fn same(arena: &Arena, place: Tool, words: &[String]) -> Result<()> {
    let take = |tool| arena.run(place, tool, words, b"");
    let saves = words.iter().any(|word| word == "-S");
    let plain = |it: Outcome| if saves { super::duel::without_thresholds(it) } else { it };
    let mut last = None;
    for _ in 0..TRIES {
        let (before, original, after) =
            (plain(take(Tool::Ours)?), take(Tool::Original)?, plain(take(Tool::Ours)?));
        if original == before || original == after {
            return Ok(());
        }
        last = Some((original, after));
    }
    let Some((original, ours)) = last else { return Ok(()) };
    bail!(
        "`ipvsadm {}` on the router of {}\noriginal:\n{}\nours:\n{}",
        words.join(" "),
        place.name(),
        original.stdout,
        ours.stdout
    )
}
