//! Datagrams: scheduled together as a connection, or each for itself (one-packet scheduling).

use std::net::{SocketAddr, UdpSocket};

use anyhow::Result;
use lab::{Lab, Match, at, scenarios};

use super::{
    witness::{Transport, ask},
    world::{FAMILIES, Family, World},
};
use crate::one_router::be_gateway;

scenarios! {
    one_packet_scheduling_sends_each_datagram_anew_and_remembers_none: 90,
    one_packet_scheduling_does_not_translate_the_answers_of_nat: 90,
}

/// Who answers so many datagrams of a socket, all seen to come from it and answered by the VIP.
fn ask_times(socket: &UdpSocket, to: SocketAddr, count: usize) -> Result<Vec<String>> {
    let mut servers = Vec::new();
    for _ in 0..count {
        let (answer, from) = ask(socket, to)?;
        assert_eq!((answer.client, answer.reached, from), (socket.local_addr()?, to, to));
        servers.push(answer.server);
    }
    Ok(servers)
}

/// The same datagrams from the same port, with and without the flag.
fn one_packet_scheduling_sends_each_datagram_anew_and_remembers_none(lab: &Lab) -> Result<()> {
    let mut world = World::on(lab.cluster().routers(1).real_servers(2).direct_routing().build()?)?;
    for family in FAMILIES {
        let to = at(family.vip(), 53);
        world.rules(&[format!("-A -u {to} -s rr -o")])?;
        for n in 1..=2 {
            let server = world.server(n)?;
            world.witness(&server, Transport::Udp, to)?;
            world.rules(&[format!("-a -u {to} -r {} -g", at(family.neighbour(n), 53))])?;
        }
        let socket = world.client.udp(&at(family.client(), 0).to_string())?;
        let answered = ask_times(&socket, to, 6)?;
        assert_ne!(answered[0], answered[1]);
        assert_eq!(answered[2..], answered[..4], "not in turn");
        assert_eq!(world.connections(socket.local_addr()?)?, Vec::<String>::new());

        world.rules(&[format!("-E -u {to} -s rr")])?;
        let answered = ask_times(&socket, to, 6)?;
        assert_eq!(answered, vec![answered[0].clone(); 6]);
        let row = if answered[0] == "rs1" { family.neighbour(1) } else { family.neighbour(2) };
        let client = socket.local_addr()?;
        assert_eq!(world.connections(client)?, [format!("UDP {client} {to} {}", at(row, 53))]);
    }
    Ok(())
}

/// Nothing is remembered, so nothing tells an answer's source to become the VIP: it needs a rule of the firewall's.
fn one_packet_scheduling_does_not_translate_the_answers_of_nat(lab: &Lab) -> Result<()> {
    let mut world = World::on(lab.cluster().routers(1).real_servers(1).build()?)?;
    be_gateway(&world.router)?;
    let (to, behind) = (at(Family::V4.vip(), 53), at(Family::V4.server(1), 53));
    let server = world.server(1)?;
    world.witness(&server, Transport::Udp, behind)?;
    world.rules(&[format!("-A -u {to} -s rr -o"), format!("-a -u {to} -r {behind} -m")])?;
    let service = world.router.ipvs_table()?.into_iter().find(|service| service.matches == Match::Udp(to));
    assert_eq!(service.map(|service| service.one_packet), Some(true));

    let socket = world.client.udp(&at(Family::V4.client(), 0).to_string())?;
    let (answer, from) = ask(&socket, to)?;
    assert_eq!((answer.client, answer.reached), (socket.local_addr()?, behind));
    assert_eq!(from, behind);
    world.rules(&[format!("-E -u {to} -s rr")])?;
    assert_eq!(ask(&socket, to)?.1, to);
    Ok(())
}
