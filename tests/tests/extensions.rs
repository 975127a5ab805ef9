//! What `lvs.cf` can ask of the kernel beyond the original: `lvs` programs it, and traffic behaves like it.

use anyhow::Result;
use lab::{Behaviour, Forwarding, Lab, Match, at, eventually, scenarios, standard};

use crate::{
    cf::{file, server, virtual_server},
    forwarding::{
        mixed::holder,
        witness::{Transport, Witness, ask, converse},
    },
    one_router::{OneRouter, SOON, be_gateway, counts, http, web},
};

scenarios! {
    the_switches_of_a_scheduler_reach_the_kernel: 30,
    each_datagram_is_scheduled_by_itself: 30,
    associations_are_checked_and_served: 30,
    each_server_is_reached_in_its_own_way: 60,
    a_sorry_server_behind_nat_serves_on_a_port_of_its_own: 30,
}

/// The C `ipvsadm` shows what there is, before and after a change of the file.
fn the_switches_of_a_scheduler_reach_the_kernel(lab: &Lab) -> Result<()> {
    let world = OneRouter::nat(lab, 1)?;
    let hashed = |scheduler: &str, flags: &str| {
        file([virtual_server("web", 0).set("scheduler", scheduler).set("sched_flags", flags)])
    };
    let lvs = world.start_lvs(hashed("sh", "sh-port, sh-fallback"))?;
    let is_listed = |line: &str| {
        eventually(SOON, line, || {
            let rules = world.ipvsadm("-S -n").map_err(|error| format!("{error:#}"))?;
            if rules == format!("{line}\n") { Ok(()) } else { Err(rules) }
        })
    };
    is_listed("-A -t 10.1.0.100:80 -s sh -b sh-fallback,sh-port")?;
    world.write(hashed("mh", "mh-port"))?;
    lvs.signal(lab::Signal::SIGHUP)?;
    is_listed("-A -t 10.1.0.100:80 -s mh -b mh-port")
}

/// All from one port of the client's, which without it would stay with one server.
fn each_datagram_is_scheduled_by_itself(lab: &Lab) -> Result<()> {
    let world = OneRouter::on(lab.cluster().routers(1).real_servers(2).direct_routing().build()?)?;
    let to = at(standard::vip(0), 1812);
    let mut witnesses = Vec::new();
    let mut radius = virtual_server("radius", 0)
        .set("network", "direct")
        .set("protocol", "udp")
        .set("port", 1812)
        .set("send_program", "/bin/true");
    for (n, real) in (1..).zip(&world.servers) {
        witnesses.push(Witness::start(real.host(), Transport::Udp, to)?);
        radius = radius.with(server(n).set("address", format_args!("10.1.0.20{n}")));
    }
    let both = [("rs1", 1), ("rs2", 1)];
    let lvs = world.start_lvs(file([radius.clone().set("one_packet", 1)]))?;
    world.wait_for_weights(Match::Udp(to), &both)?;
    assert!(world.service(Match::Udp(to))?.one_packet);

    let socket = world.client.udp("10.1.0.2:0")?;
    let answers = |count: usize| -> Result<Vec<String>> {
        (0..count).map(|_| Ok(ask(&socket, to)?.0.server)).collect()
    };
    let each = answers(6)?;
    assert_ne!(each[0], each[1]);
    assert_eq!(each[2..], each[..4], "not in turn");

    world.write(file([radius]))?;
    lvs.signal(lab::Signal::SIGHUP)?;
    eventually(SOON, "one-packet scheduling to end", || match world.service(Match::Udp(to)) {
        Ok(service) if !service.one_packet => Ok(()),
        other => Err(format!("{other:?}")),
    })?;
    let together = answers(6)?;
    assert_eq!(together, vec![together[0].clone(); 6]);
    Ok(())
}

/// A server that takes no associations is no server.
fn associations_are_checked_and_served(lab: &Lab) -> Result<()> {
    let world = OneRouter::nat(lab, 2)?;
    let to = at(standard::vip(0), 3868);
    let start = |n: u8| {
        Witness::start(world.server(n.into()).host(), Transport::Sctp, at(standard::real_server(n), 3868))
    };
    let _first = start(1)?;
    let diameter = virtual_server("diameter", 0).checked_often().set("protocol", "sctp").set("port", 3868);
    world.start_lvs(file([diameter.weights(&[1, 1])]))?;
    world.wait_for_weights(Match::Sctp(to), &[("rs1", 1)])?;
    let (_, answer) = converse(&world.client, Transport::Sctp, at("10.1.0.2".parse()?, 0), to, 1000)?;
    assert_eq!(answer.server, "rs1");
    let _second = start(2)?;
    world.wait_for_weights(Match::Sctp(to), &[("rs1", 1), ("rs2", 1)])
}

/// In one virtual server: NAT to another port, direct routing, and each kind of tunnel. The monitors reach all of them, and
/// so do the requests.
fn each_server_is_reached_in_its_own_way(lab: &Lab) -> Result<()> {
    let mut cluster = lab.cluster().routers(1).real_servers(1);
    for n in 2..=5 {
        let inside = [format!("10.2.0.10{n}/24")];
        let public = [format!("10.1.0.20{n}/24")];
        let host = holder(&format!("rs{n}"));
        let host = host.interface("eth0", standard::INSIDE, inside.iter().map(String::as_str));
        cluster = cluster.host(host.interface("eth1", standard::PUBLIC, public.iter().map(String::as_str)));
    }
    let world = OneRouter::on(cluster.build()?)?;
    be_gateway(&world.router)?;
    let end = |n: u8, kind: &str| -> Result<()> {
        let add = format!("link add end type {kind} local 10.2.0.10{n}");
        world.server(n.into()).host().ip(&[add, "link set end up".to_owned()])
    };
    end(3, "ipip")?;
    end(4, "ipip")?;
    world.server(4).host().ip(&["fou add port 5555 gue"])?;
    end(5, "gre csum")?;

    let tunnel = |n: u8, kind: &str| server(n).set("network", "tunnel").set("tunnel_type", kind);
    let all = virtual_server("web", 0)
        .set("network", "direct")
        .with(server(1).set("network", "nat").set("port", 443))
        .with(server(2).set("address", "10.1.0.202"))
        .with(tunnel(3, "ipip"))
        .with(tunnel(4, "gue").set("tunnel_port", 5555).set("tunnel_checksum", "csum"))
        .with(tunnel(5, "gre").set("tunnel_checksum", "csum"));
    let names = ["rs1", "rs2", "rs3", "rs4", "rs5"];
    let lvs = world.serve(file([all]), &names.map(|name| (name, 1)))?;
    let row = |address: &str| -> Result<Option<Forwarding>> {
        Ok(world.service(web())?.destination(address.parse()?).map(|row| row.forwarding.clone()))
    };
    assert_eq!(row("10.2.0.101:443")?, Some(Forwarding::Masq));
    assert_eq!(row("10.1.0.202:80")?, Some(Forwarding::Route));
    for tunnelled in ["10.2.0.103:80", "10.2.0.104:80", "10.2.0.105:80"] {
        assert_eq!(row(tunnelled)?, Some(Forwarding::Tunnel), "{tunnelled}");
    }
    assert_eq!(world.ask_times(http(), 10)?, counts(&names.map(|name| (name, 2))));

    // Another way for one of them: its row is changed, and it goes on serving.
    let packed = virtual_server("web", 0).set("network", "direct").with(tunnel(4, "ipip"));
    world.server(4).host().ip(&["fou del port 5555"])?;
    world.write(file([packed]))?;
    lvs.signal(lab::Signal::SIGHUP)?;
    world.wait_for_weights(web(), &[("rs4", 1)])?;
    eventually(SOON, "rs4 to be reached by IP in IP", || match world.ask(http()) {
        Ok(server) if server == "rs4" => Ok(()),
        other => Err(format!("{other:?}")),
    })
}

/// The virtual server's own method keeps ports; the sorry server is reached by another one.
fn a_sorry_server_behind_nat_serves_on_a_port_of_its_own(lab: &Lab) -> Result<()> {
    let world = OneRouter::nat(lab, 2)?;
    let web = virtual_server("web", 0)
        .checked_often()
        .set("network", "direct")
        .set("sorry_server", "10.2.0.102:443 nat")
        .with(server(1).set("network", "nat"));
    let _lvs = world.serve(file([web]), &[("rs1", 1)])?;
    assert_eq!(world.ask(http())?, "rs1");
    world.server(1).behave(&Behaviour::Refuse)?;
    world.wait_for_weights(self::web(), &[("rs2", 1)])?;
    let service = world.service(self::web())?;
    let sorry = service.destination(at(standard::real_server(2), 443));
    assert_eq!(sorry.map(|row| row.forwarding.clone()), Some(Forwarding::Masq), "{service}");
    assert_eq!(world.ask(http())?, "rs2");
    world.server(1).behave(&Behaviour::Answer)?;
    world.wait_for_weights(self::web(), &[("rs1", 1)])?;
    assert_eq!(world.ask(http())?, "rs1");
    Ok(())
}
