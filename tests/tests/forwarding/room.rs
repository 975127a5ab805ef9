//! Room in a tunnel: what is packed has to be smaller than the wire's MTU by the headers around it.

use anyhow::Result;
use lab::{Lab, at, eventually, scenarios};

use super::{
    tunnel::{self, add_end, add_ip_ends},
    witness::Transport,
    world::{FAMILIES, Family, Served, World},
};
use crate::one_router::SOON;

scenarios! {
    who_sends_too_much_is_told_the_room_there_is: 90,
    a_smaller_segment_size_leaves_room_from_the_start: 90,
}

/// Octets of a request and of its answer: several windows of segments.
const MANY: usize = 100_000;
/// MTU of every wire.
const MTU: usize = 1500;

/// The longest packet that the router has packed up, once so many octets were packed.
fn longest_packed(world: &World, octets: usize) -> Result<Option<usize>> {
    eventually(SOON, "the request on the inside wire", || {
        let packed = world.inside.pick(|frame| {
            let packet = frame.packet()?;
            packet.inside().map(|_| packet.length)
        });
        let lengths: Vec<usize> = packed.into_iter().map(|(_, length)| length).collect();
        let total: usize = lengths.iter().sum();
        if total > octets { Ok(lengths.into_iter().max()) } else { Err(format!("{total} octets")) }
    })
}

/// What the router told the client of the room on the way to a VIP.
fn told(world: &World, family: Family) -> Vec<u32> {
    let words =
        world.public.pick(|frame| frame.packet()?.too_big().filter(|word| word.about == family.vip()));
    words.into_iter().map(|(_, word)| word.mtu).collect()
}

/// A client with full segments, as nobody told it of the tunnel: it learns from the router and sends again.
fn who_sends_too_much_is_told_the_room_there_is(lab: &Lab) -> Result<()> {
    let mut world = tunnel::world(lab)?;
    let server = world.server(1)?;
    add_ip_ends(&server)?;
    server.ip(&["fou add port 6080 gue", "fou add port 6080 gue -6"])?;
    add_end(&server, "grefour", "gre", Family::V4)?;
    add_end(&server, "gresix", "ip6gre", Family::V6)?;
    // The headers of IP, then of GRE or UDP and GUE; each kind leaves less room than the one before, so that each is told.
    let kinds = [("", 0), (" --tun-type gre", 4), (" --tun-type gue --tun-port 6080", 12)];
    let mut requests = 0;
    for (family, header) in [(Family::V4, 20), (Family::V6, 40)] {
        let mut expected = Vec::new();
        for ((options, more), port) in kinds.into_iter().zip(8001..) {
            let (vip, row) = (at(family.vip(), port), at(family.server(1), port));
            world.witness(&server, Transport::Tcp, vip)?;
            world.rules(&[format!("-A -t {vip} -s rr"), format!("-a -t {vip} -r {row} -i{options}")])?;
            let answer = world.ask(Transport::Tcp, vip, MANY)?;
            assert_eq!((answer.server.as_str(), answer.reached), ("rs1", vip), "{options}");
            expected.push(u32::try_from(MTU - header - more)?);
            requests += MANY;
            assert_eq!(longest_packed(&world, requests)?, Some(MTU), "{options}");
            eventually(SOON, &format!("the client to be told {expected:?}"), || {
                let mut told = told(&world, family);
                // Segments that were under way together are told alike.
                told.dedup();
                if told == expected { Ok(()) } else { Err(format!("{told:?}")) }
            })?;
        }
    }
    Ok(())
}

/// What an operator sets on the real server: it asks its clients for segments that fit.
fn a_smaller_segment_size_leaves_room_from_the_start(lab: &Lab) -> Result<()> {
    let mut world = tunnel::world(lab)?;
    let server = world.server(1)?;
    add_ip_ends(&server)?;
    server.ip(&[
        "route replace 10.1.0.0/24 dev eth1 advmss 1400",
        "route replace fd00:1::/64 dev eth1 metric 256 advmss 1400",
    ])?;
    let mut served = Vec::new();
    for family in FAMILIES {
        let (vip, row) = (at(family.vip(), 80), at(family.server(1), 80));
        world.witness(&server, Transport::Tcp, vip)?;
        world.rules(&[format!("-A -t {vip} -s rr"), format!("-a -t {vip} -r {row} -i")])?;
        let answer = world.ask(Transport::Tcp, vip, MANY)?;
        assert_eq!((answer.server.as_str(), answer.reached), ("rs1", vip));
        // The segment, the headers of TCP and IP, and the outer header.
        let header = if family == Family::V4 { 20 } else { 40 };
        let packed = world.forwarded(&world.inside, vip, answer.client)?;
        let longest = packed.iter().map(|(_, packet)| packet.length).max();
        assert_eq!(longest, Some(1400 + 20 + 2 * header));
        served.push(Served { vip, row, client: answer.client });
    }
    world.counters_agree(&served)?;
    for family in FAMILIES {
        assert_eq!(told(&world, family), Vec::<u32>::new());
    }
    Ok(())
}
