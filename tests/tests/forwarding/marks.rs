//! Firewall marks: what packets have in common is for a rule to say, here nftables'.
//!
//! Kernels that are made small, as that of User Mode Linux is, have nftables for bridges alone. So the router's public
//! interface is the port of a bridge of its own, where the rules mark packets before IP sees them.

use std::{net::IpAddr, time::Duration};

use anyhow::{Result, ensure};
use lab::{Lab, Match, at, eventually, scenarios};

use super::{
    witness::{Answer, Transport},
    world::{FAMILIES, Family, VIPS, World},
};
use crate::one_router::SOON;

scenarios! {
    a_client_of_either_port_stays_with_its_server_until_its_persistence_ends: 90,
}

/// Seconds of persistence: longer than a busy machine lets a client wait between two requests.
const PERSISTENCE: u32 = 5;
/// When the last client has been forgotten at the latest: the kernel gives a client another term if it finds a connection
/// of its at the end of one.
const FORGOTTEN: Duration = Duration::from_secs(2 * PERSISTENCE as u64 + 5);

impl Family {
    /// The mark of its packets; both families have services of their own.
    fn mark(self) -> u32 {
        match self {
            Self::V4 => 7,
            Self::V6 => 8,
        }
    }
}

/// Marks what comes for ports 80 and 443 of the VIPs.
fn mark_packets(world: &World) -> Result<()> {
    let [vip, vip6] = VIPS.map(|vip| format!("address add {vip} dev outside"));
    world.router.ip(&[
        "link add outside type bridge forward_delay 0 mcast_snooping 0",
        "link set eth0 master outside",
        "link set outside up",
        "address flush dev eth0 scope global",
        "address add 10.1.0.11/24 dev outside",
        &vip,
        "address add fd00:1::11/64 dev outside nodad",
        &vip6,
    ])?;
    let rules = "add table bridge marks
        add chain bridge marks incoming { type filter hook prerouting priority 0; }
        add rule bridge marks incoming ip daddr 10.1.0.100 tcp dport { 80, 443 } meta mark set 7
        add rule bridge marks incoming ip6 daddr fd00:1::100 tcp dport { 80, 443 } meta mark set 8
    ";
    let file = world.router.write_file("/run/marks.nft", rules)?;
    world.router.tool("nft").arg("-f").arg(file).run(SOON)?.success()?;
    Ok(())
}

/// What our listing of connections remembers of clients beyond their connections.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Template {
    client: String,
    mark: String,
    server: String,
}

impl Template {
    /// As the listing writes it: without ports, and the mark where a VIP would be, in its first four octets.
    fn new(family: Family, client: IpAddr, server: IpAddr) -> Self {
        let mark = match family {
            Family::V4 => "0.0.0.7:0",
            Family::V6 => "[0:8::]:0",
        };
        Self { client: at(client, 0).to_string(), mark: mark.to_owned(), server: at(server, 0).to_string() }
    }
}

/// The templates in our listing, sorted, none with more time left than persistence gives.
fn templates(world: &World) -> Result<Vec<Template>> {
    let listing = world.ipvsadm("-L -n -c")?;
    let mut found = Vec::new();
    // Two lines of headings.
    for line in listing.lines().skip(2) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let ["IP", left, _, client, mark, server] = words[..] else { continue };
        ensure!(left <= format!("00:{PERSISTENCE:02}").as_str(), "{line}");
        let [client, mark, server] = [client, mark, server].map(str::to_owned);
        found.push(Template { client, mark, server });
    }
    found.sort();
    Ok(found)
}

/// A shop on one port and its payment page on the other, in both families.
fn a_client_of_either_port_stays_with_its_server_until_its_persistence_ends(lab: &Lab) -> Result<()> {
    let mut world = World::on(lab.cluster().routers(1).real_servers(2).direct_routing().build()?)?;
    world.client.ip(&["address add 10.1.0.3/24 dev eth0", "address add fd00:1::3/64 dev eth0 nodad"])?;
    mark_packets(&world)?;
    for family in FAMILIES {
        for peer in [family.client(), family.neighbour(1), family.neighbour(2)] {
            world.wait_until_reachable(peer)?;
        }
    }
    // The end of a persistence waits for the end of its connections.
    world.rules(&["--set 0 1 0"])?;
    for family in FAMILIES {
        let (mark, six) = (family.mark(), if family == Family::V6 { " -6" } else { "" });
        world.rules(&[format!("-A -f {mark}{six} -s rr -p {PERSISTENCE}")])?;
        for n in 1..=2 {
            let (server, row) = (world.server(n)?, at(family.neighbour(n), 0));
            for port in [80, 81, 443] {
                world.witness(&server, Transport::Tcp, at(family.vip(), port))?;
            }
            world.rules(&[format!("-a -f {mark}{six} -r {row} -g")])?;
            world.row(Match::FwMark(mark), row)?;
        }
    }

    let mut others = Vec::new();
    for family in FAMILIES {
        let ask = |client, port| -> Result<String> {
            let answer: Answer = world.ask_from(client, Transport::Tcp, at(family.vip(), port), 0)?;
            assert_eq!(answer.reached, at(family.vip(), port));
            Ok(answer.server)
        };
        let [one, another] = [family.client(), family.other_client()];
        let server = ask(one, 80)?;
        let other = ask(another, 443)?;
        assert_ne!(server, other, "both clients share a server");
        for port in [443, 80, 443] {
            assert_eq!(ask(one, port)?, server);
            assert_eq!(ask(another, port)?, other);
        }
        let row = |name: &str| family.neighbour(if name == "rs1" { 1 } else { 2 });
        let mut kept = templates(&world)?;
        kept.retain(|template| template.client.starts_with('[') == (family == Family::V6));
        let [mine, theirs] = [(one, &server), (another, &other)]
            .map(|(client, name)| Template::new(family, client, row(name)));
        assert_eq!(kept, [mine, theirs]);
        let unmarked = ask(one, 81).expect_err("port 81 has no mark");
        ensure!(format!("{unmarked:#}").contains("Connection refused"), "{unmarked:#}");
        others.push((family, other, server));
    }
    eventually(FORGOTTEN, "the kernel to forget the clients", || {
        let kept = templates(&world).map_err(|error| format!("{error:#}"))?;
        if kept.is_empty() { Ok(()) } else { Err(format!("{kept:?}")) }
    })?;
    for (family, other, server) in others {
        let answer = world.ask_from(family.other_client(), Transport::Tcp, at(family.vip(), 80), 0)?;
        assert_eq!(answer.server, server, "it still keeps to {other}");
    }
    Ok(())
}
