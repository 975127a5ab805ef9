//! Who gets the requests: schedulers, forwarding methods, persistence, marks and protocols, as `lvs` sets them up.

use std::{collections::BTreeSet, fs, net::SocketAddr, path::Path};

use anyhow::{Context as _, Result, ensure};
use lab::{Behaviour, Forwarding, Host, Lab, Match, at, eventually, scenarios, standard};
use regex::Regex;

use crate::{
    cf::{Block, file, server, virtual_server},
    one_router::{OneRouter, SOON, counts, http, web},
};

scenarios! {
    the_example_serves_by_weight_and_in_turn: 30,
    least_connections_prefer_the_idle_server: 30,
    direct_and_tunnel_servers_answer_the_client_themselves: 30,
    a_client_stays_with_its_server_until_its_persistence_ends: 30,
    a_mark_joins_two_ports_into_one_service: 30,
    datagrams_take_turns: 30,
    ipv6_clients_are_served_through_nat: 30,
}

/// The addresses of `lvs.cf.example` and what takes their place in the standard cluster.
const EXAMPLE: [(&str, &str); 12] = [
    ("192.0.2.0", "10.1.0.0"),
    ("192.0.2.2", "10.1.0.11"),
    ("192.0.2.3", "10.1.0.12"),
    ("192.0.2.10", "10.1.0.100"),
    ("192.0.2.11", "10.1.0.101"),
    ("172.16.0.1", "10.2.0.11"),
    ("172.16.0.2", "10.2.0.12"),
    ("10.0.0.1", "10.2.0.1"),
    ("10.0.0.11", "10.2.0.101"),
    ("10.0.0.12", "10.2.0.102"),
    ("10.0.0.13", "10.2.0.103"),
    ("10.0.0.99", "10.2.0.104"),
];

/// `lvs.cf.example` for the standard cluster: only its addresses are others.
fn example() -> Result<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../lvs.cf.example");
    let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let directives: String =
        text.lines().filter(|line| !line.starts_with('#')).map(|l| l.to_owned() + "\n").collect();
    let address = Regex::new(r"\b\d+\.\d+\.\d+\.\d+\b")?;
    let mut unknown = Vec::new();
    let mapped = address.replace_all(&directives, |found: &regex::Captures<'_>| {
        let old = &found[0];
        match EXAMPLE.iter().find(|(theirs, _)| *theirs == old) {
            Some((_, ours)) => (*ours).to_owned(),
            None if old.starts_with("255.") => old.to_owned(),
            None => {
                unknown.push(old.to_owned());
                String::new()
            }
        }
    });
    let shape = |text: &str| address.replace_all(text, "ADDRESS").into_owned();
    ensure!(shape(&mapped) == shape(&directives), "more than addresses changed: {mapped}");
    let mapped = mapped.into_owned();
    ensure!(unknown.is_empty(), "addresses of the example without a place in the cluster: {unknown:?}");
    Ok(mapped)
}

/// The file that newcomers start from does what its comments say, request by request.
fn the_example_serves_by_weight_and_in_turn(lab: &Lab) -> Result<()> {
    let world = OneRouter::nat(lab, 4)?;
    for (n, server) in world.servers.iter().enumerate() {
        server.behave_on(7070, Behaviour::Say(format!("PONG rs{}", n + 1)))?;
    }
    world.serve(example()?, &[("rs1", 1), ("rs2", 2), ("rs3", 3)])?;
    let orders = at(standard::vip(1), 7000);
    world.wait_for_weights(Match::Tcp(orders), &[("rs1", 1), ("rs2", 1)])?;

    assert_eq!(world.ask_times(http(), 60)?, counts(&[("rs1", 10), ("rs2", 20), ("rs3", 30)]));
    let first = world.ask(orders)?;
    for _ in 0..10 {
        let (second, third) = (world.ask(orders)?, world.ask(orders)?);
        assert_ne!(second, first);
        assert_eq!(third, first);
    }
    assert_eq!(world.server(4).counts().checks, 0, "the sorry server was asked");
    Ok(())
}

/// Held connections count; closed ones hardly do.
fn least_connections_prefer_the_idle_server(lab: &Lab) -> Result<()> {
    let world = OneRouter::nat(lab, 2)?;
    let both = [("rs1", 1), ("rs2", 1)];
    world.serve(file([virtual_server("web", 0).set("scheduler", "wlc").weights(&[1, 1])]), &both)?;
    let mut held = Vec::new();
    for _ in 0..8 {
        held.push(world.hold(http())?);
    }
    held.retain(|connection| connection.server == "rs2");
    assert_eq!(held.len(), 4);
    eventually(SOON, "rs1 to be idle", || {
        let service = world.service(web()).map_err(|error| format!("{error:#}"))?;
        let rs1 = service.destination(at(standard::real_server(1), 80)).map(|row| row.active);
        if rs1 == Some(0) { Ok(()) } else { Err(service.to_string()) }
    })?;
    for n in 0..4 {
        held.push(world.hold(http())?);
        assert_eq!(held[4 + n].server, "rs1", "connection {n}");
    }
    Ok(())
}

/// Real servers that hold the VIP themselves: behind their own interface, and at the end of a tunnel.
fn direct_and_tunnel_servers_answer_the_client_themselves(lab: &Lab) -> Result<()> {
    let cluster = lab.cluster().routers(1).real_servers(2).direct_routing().build()?;
    let world = OneRouter::on(cluster)?;
    for (server, n) in world.servers.iter().zip(1..) {
        let tunnel = format!("link add tunnel type ipip local {}", standard::real_server(n));
        server.host().ip(&[&tunnel, "link set tunnel up", "address add 10.1.0.101/32 dev tunnel"])?;
    }
    let direct = (1..=2).fold(virtual_server("direct", 0).set("network", "direct"), |block, n| {
        block.with(server(n).set("address", format_args!("10.1.0.20{n}")))
    });
    let tunnel = virtual_server("tunnel", 1).set("network", "tunnel").weights(&[1, 1]);
    let both = [("rs1", 1), ("rs2", 1)];
    world.serve(file([direct, tunnel]), &both)?;
    let tunnelled = at(standard::vip(1), 80);
    world.wait_for_weights(Match::Tcp(tunnelled), &both)?;

    // No router has the servers' gateway, so an answer through a router would get lost.
    for (to, forwarding) in [(http(), Forwarding::Route), (tunnelled, Forwarding::Tunnel)] {
        assert_eq!(world.ask_times(to, 20)?, counts(&[("rs1", 10), ("rs2", 10)]), "{forwarding:?}");
        let rows = world.service(Match::Tcp(to))?.destinations;
        ensure!(rows.iter().all(|row| row.forwarding == forwarding), "{rows:?}");
    }
    Ok(())
}

/// One datagram from an address of the client's, and who answered.
fn ask_by_datagram(client: &Host, from: &str, to: SocketAddr) -> Result<String> {
    let socket = client.udp(from)?;
    socket.send_to(b"hello", to)?;
    let mut answer = [0; 64];
    let length = socket.recv(&mut answer).context("answer to a datagram")?;
    Ok(String::from_utf8_lossy(&answer[..length]).trim_end().to_owned())
}

/// A virtual server of datagrams that are answered.
fn names(vip: u8) -> Block {
    virtual_server("names", vip)
        .checked_often()
        .set("protocol", "udp")
        .set("port", 53)
        .set("send", "hello")
        .set("expect", "rs")
        .weights(&[1, 1])
}

/// Without persistence each request would go to the other server.
fn a_client_stays_with_its_server_until_its_persistence_ends(lab: &Lab) -> Result<()> {
    let world = OneRouter::nat(lab, 2)?;
    world.client.add_address("eth0", "10.1.0.3/24")?;
    let to = at(standard::vip(0), 53);
    // The end of a persistence waits for the end of its connections.
    world.start_lvs(file([names(0).set("persistent", 2)]).set("udp_timeout", 1))?;
    world.wait_for_weights(Match::Udp(to), &[("rs1", 1), ("rs2", 1)])?;

    let first = ask_by_datagram(&world.client, "10.1.0.2:0", to)?;
    let other = ask_by_datagram(&world.client, "10.1.0.3:0", to)?;
    assert_ne!(other, first, "another client shares the server");
    for _ in 0..5 {
        assert_eq!(ask_by_datagram(&world.client, "10.1.0.3:0", to)?, other);
        assert_eq!(ask_by_datagram(&world.client, "10.1.0.2:0", to)?, first);
    }
    let last = lab.now();
    eventually(SOON, "the kernel to forget the client", || {
        let connections =
            world.router.read_file("/proc/thread-self/net/ip_vs_conn").map_err(|e| format!("{e:#}"))?;
        if connections.lines().count() == 1 { Ok(()) } else { Err(connections) }
    })?;
    let kept = lab.now() - last;
    ensure!((1.9..4.0).contains(&kept.as_secs_f64()), "persistence of 2 s lasted {kept:?}");
    // The scheduler's turn is past the second client's server.
    assert_eq!(ask_by_datagram(&world.client, "10.1.0.3:0", to)?, first);
    Ok(())
}

/// A shop and its payment page: whoever got a server for one port gets it for the other.
fn a_mark_joins_two_ports_into_one_service(lab: &Lab) -> Result<()> {
    const MARK: u32 = 7;
    let world = OneRouter::nat(lab, 2)?;
    for (n, server) in world.servers.iter().enumerate() {
        server.behave_on(443, Behaviour::Say(format!("payment at rs{}", n + 1)))?;
    }
    let mark = |port| {
        format!(
            "filter add dev eth0 ingress protocol ip flower ip_proto tcp dst_port {port} action skbedit mark {MARK}"
        )
    };
    for rule in ["qdisc add dev eth0 ingress".to_owned(), mark(80), mark(443)] {
        world.router.tool("tc").args(rule.split(' ')).run(SOON)?.success()?;
    }
    let shop = virtual_server("shop", 0).set("fwmark", MARK).set("persistent", 60).weights(&[1, 1]);
    world.start_lvs(file([shop]))?;
    world.wait_for_weights(Match::FwMark(MARK), &[("rs1", 1), ("rs2", 1)])?;

    let payment = at(standard::vip(0), 443);
    let mut used = BTreeSet::new();
    for address in ["10.1.0.3", "10.1.0.4"] {
        // The newest address of a network is not the one that a client uses by itself.
        world.client.ip(&[
            format!("address add {address}/24 dev eth0"),
            format!("route replace 10.1.0.100 dev eth0 src {address}"),
        ])?;
        let server = world.ask(http())?;
        for _ in 0..3 {
            assert_eq!(world.ask(payment)?, format!("payment at {server}"));
            assert_eq!(world.ask(http())?, server);
        }
        used.insert(server);
    }
    assert_eq!(used.len(), 2, "both clients were sent to {used:?}");
    Ok(())
}

/// Each datagram is a request of its own.
fn datagrams_take_turns(lab: &Lab) -> Result<()> {
    let world = OneRouter::nat(lab, 2)?;
    let to = at(standard::vip(0), 53);
    world.start_lvs(file([names(0)]))?;
    world.wait_for_weights(Match::Udp(to), &[("rs1", 1), ("rs2", 1)])?;

    let first = ask_by_datagram(&world.client, "10.1.0.2:0", to)?;
    for _ in 0..5 {
        let second = ask_by_datagram(&world.client, "10.1.0.2:0", to)?;
        assert_ne!(second, first);
        assert_eq!(ask_by_datagram(&world.client, "10.1.0.2:0", to)?, first);
    }
    world.server(1).behave(&Behaviour::Refuse)?;
    world.wait_for_weights(Match::Udp(to), &[("rs2", 1)])?;
    assert_eq!(ask_by_datagram(&world.client, "10.1.0.2:0", to)?, "rs2");
    Ok(())
}

/// The same in the other family.
fn ipv6_clients_are_served_through_nat(lab: &Lab) -> Result<()> {
    let world = OneRouter::nat(lab, 2)?;
    let to = at(standard::vip6(0), 80);
    let web6 = (1..=2).fold(virtual_server("web6", 0).set("address", "fd00:1::100/64 eth0"), |block, n| {
        block.with(server(n).set("address", format_args!("fd00:2::10{n}")))
    });
    world.start_lvs(file([web6]))?;
    world.wait_for_weights(Match::Tcp(to), &[("rs1", 1), ("rs2", 1)])?;
    assert_eq!(world.ask_times(to, 20)?, counts(&[("rs1", 10), ("rs2", 10)]));
    Ok(())
}
