//! `sh` and `dh`: the client's, or the destination's, address decides and nothing else.
//!
//! Both deal 256 places out to the servers in the order of the list, like cards: `dh` one at a time, `sh` as many in a row
//! as the server weighs. An address has the place that Fibonacci hashing gives it, so everybody's server is known.

use std::net::{IpAddr, SocketAddr};

use anyhow::{Result, ensure};
use lab::{Lab, at, scenarios};

use super::service::{Service, clients, elsewhere};
use crate::one_router::{OneRouter, http};

scenarios! {
    source_hashing_keeps_a_client_on_its_server: 90,
    source_hashing_may_count_the_port: 90,
    source_hashing_may_fall_back_to_another_server: 90,
    destination_hashing_keeps_an_address_on_its_server: 90,
}

/// 2^32 divided by the square of the golden ratio, as `linux/hash.h` has it.
const GOLDEN_RATIO: u32 = 0x61c8_8647;

/// The place of an address among 256: the top eight bits of its product with that number. Where ports count, the
/// port is added to the address before.
fn place(address: IpAddr, port: u16) -> usize {
    let number = match address {
        IpAddr::V4(address) => address.to_bits(),
        IpAddr::V6(_) => unreachable!("the scenarios of this file have IPv4 clients"),
    };
    (number.wrapping_add(port.into()).wrapping_mul(GOLDEN_RATIO) >> 24) as usize
}

/// Forty ports of a client.
pub(super) fn ports(client: SocketAddr) -> Vec<SocketAddr> {
    (40_001..=40_040).map(|port| at(client.ip(), port)).collect()
}

/// The servers of these clients when `hand` is dealt again and again: `1233` where the third of three weighs 2.
pub(super) fn dealt(clients: &[SocketAddr], hand: &str) -> String {
    let server = |client: &SocketAddr| hand.as_bytes()[place(client.ip(), client.port()) % hand.len()];
    clients.iter().map(|client| char::from(server(client))).collect()
}

/// A hundred clients, weights 1, 2, 3. A client's port and the servers' load do not matter; which servers there are does.
fn source_hashing_keeps_a_client_on_its_server(lab: &Lab) -> Result<()> {
    let world = OneRouter::nat(lab, 3)?;
    let mut service = Service::on(&world, 0, "sh", &[1, 2, 3])?;
    let clients = clients(&world, 100)?;
    let servers = dealt(&clients, "122333");
    ensure!(["1", "2", "3"].iter().all(|server| servers.contains(server)), "badly chosen clients: {servers}");
    assert_eq!(service.ask_from(&clients)?, servers);
    assert_eq!(service.ask_from(&clients)?, servers);
    let same = [clients[0]; 20];
    assert_eq!(service.hold_between(&same, http())?, servers[..1].repeat(20));
    assert_eq!(service.ask_from(&clients)?, servers);
    Ok(())
}

/// With the port, one client is as many, each with a server of its own.
fn source_hashing_may_count_the_port(lab: &Lab) -> Result<()> {
    let world = OneRouter::nat(lab, 3)?;
    let client = clients(&world, 1)?[0];
    let ports = ports(client);
    let service = Service::of_datagrams(&world, "sh", &[1, 1, 1])?;
    let server = dealt(&[client], "123");
    assert_eq!(service.ask_by_datagram(&ports)?, server.repeat(ports.len()));
    service.schedule("sh -b sh-port")?;
    let servers = dealt(&ports, "123");
    assert_eq!(service.ask_by_datagram(&ports)?, servers);
    assert_eq!(service.ask_by_datagram(&ports)?, servers);
    Ok(())
}

/// A client whose server is quiesced or full is refused, or with the flag goes to another one, always the same.
/// The other clients do not notice.
fn source_hashing_may_fall_back_to_another_server(lab: &Lab) -> Result<()> {
    let world = OneRouter::nat(lab, 3)?;
    let service = Service::on(&world, 0, "sh", &[1, 1, 1])?;
    let clients = clients(&world, 60)?;
    let servers = dealt(&clients, "123");
    let (theirs, others): (Vec<_>, Vec<_>) =
        clients.iter().copied().partition(|client| dealt(&[*client], "123") == "1");
    ensure!(theirs.len() > 1 && others.len() > 1, "badly chosen clients: {servers}");
    service.edit(1, "-w 0")?;
    for client in &theirs {
        ensure!(service.refuses(*client, http())?, "{client} was served");
    }
    assert_eq!(service.ask_from(&others)?, dealt(&others, "123"));

    service.schedule("sh -b sh-fallback")?;
    let fallback = service.ask_from(&theirs)?;
    ensure!(!fallback.contains('1'), "the quiesced server was asked: {fallback}");
    assert_eq!(service.ask_from(&theirs)?, fallback);
    assert_eq!(service.ask_from(&others)?, dealt(&others, "123"));

    service.edit(1, "-w 1 -x 1")?;
    assert_eq!(service.ask_from(&theirs[..1])?, "1");
    assert_eq!(service.ask_from(&theirs)?, fallback, "rs1 had as many as it may");
    Ok(())
}

/// Forty addresses of one service, asked by two clients: each address has its server, however heavy or busy that is.
fn destination_hashing_keeps_an_address_on_its_server(lab: &Lab) -> Result<()> {
    let world = OneRouter::nat(lab, 3)?;
    let mut service = Service::on_a_network(&world, "dh", &[1, 2, 3])?;
    let clients = clients(&world, 42)?;
    for n in 1..=40 {
        let servers = dealt(&[at(elsewhere(n).ip(), 0)], "123").repeat(2);
        assert_eq!(service.hold_between(&clients[..2], elsewhere(n))?, servers, "address {n}");
    }
    let busiest = dealt(&[at(elsewhere(1).ip(), 0)], "123").repeat(10);
    assert_eq!(service.hold_between(&[clients[0]; 10], elsewhere(1))?, busiest);
    // There is no falling back. (The kernel limits how often it refuses the same client.)
    service.edit(1, "-w 0")?;
    for (n, client) in (1..=40).zip(&clients[2..]) {
        let its = dealt(&[at(elsewhere(n).ip(), 0)], "123") == "1";
        assert_eq!(service.refuses(*client, elsewhere(n))?, its, "address {n}");
    }
    Ok(())
}
