//! What `lvs.cf` can ask of the kernel beyond the original: `lvs` programs it, and traffic behaves like it.

use anyhow::Result;
use lab::{Lab, Match, at, eventually, scenarios, standard};

use crate::{
    cf::{file, virtual_server},
    forwarding::witness::{Transport, Witness, ask, converse},
    one_router::{OneRouter, SOON},
};

scenarios! {
    the_switches_of_a_scheduler_reach_the_kernel: 30,
    each_datagram_is_scheduled_by_itself: 30,
    associations_are_checked_and_served: 30,
}

/// The C `ipvsadm` shows what there is, before and after a change of the file.
fn the_switches_of_a_scheduler_reach_the_kernel(lab: &Lab) -> Result<()> {
    let world = OneRouter::nat(lab, 1)?;
    let web = |scheduler: &str, flags: &str| {
        file([virtual_server("web", 0).set("scheduler", scheduler).set("sched_flags", flags)])
    };
    let lvs = world.start_lvs(web("sh", "sh-port, sh-fallback"))?;
    let is_listed = |line: &str| {
        eventually(SOON, line, || {
            let rules = world.ipvsadm("-S -n").map_err(|error| format!("{error:#}"))?;
            if rules == format!("{line}\n") { Ok(()) } else { Err(rules) }
        })
    };
    is_listed("-A -t 10.1.0.100:80 -s sh -b sh-fallback,sh-port")?;
    world.write(web("mh", "mh-port"))?;
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
    for (n, server) in (1..).zip(&world.servers) {
        witnesses.push(Witness::start(server.host(), Transport::Udp, to)?);
        radius = radius.with(crate::cf::server(n).set("address", format_args!("10.1.0.20{n}")));
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
