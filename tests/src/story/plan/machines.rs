//! The machines behind the routers: one for every address of a real or sorry server, with what each port answers.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr},
};

use lvs_config::model::{Config, Protocol, Scheduler, VirtualServer};

use super::{Machine, Member, Service, Spread};
use crate::story::{
    answer::{Wish, answer},
    network::Network,
};

/// Names that are taken by hosts of another kind.
const RESERVED: [&str; 3] = ["client", "r1", "r2"];
/// Longest host name.
const LONGEST_NAME: usize = 16;

/// What is known of a machine while blocks are read.
struct Draft {
    name: String,
    address: Ipv4Addr,
    /// Wishes for each port, and who has them.
    ports: BTreeMap<u16, (Vec<Wish>, Vec<String>)>,
}

/// All machines and, by their indices, the virtual servers.
///
/// # Errors
/// For every server that is out of reach or whose check nothing can pass.
pub(super) fn place(
    file: &str,
    config: &Config,
    inside: Network,
) -> Result<(Vec<Machine>, Vec<Service>), Vec<String>> {
    let mut drafts: Vec<Draft> = Vec::new();
    let mut services = Vec::new();
    let mut problems = Vec::new();
    for virtual_server in config.active_virtual_servers() {
        let mut reach = |name: &str, line: u32, address: IpAddr, port: u16| {
            let told = |why: String| format!("{file}:{line}: virtual {}: {name}: {why}", virtual_server.name);
            let found = reach(&mut drafts, inside, virtual_server, name, address, port);
            found.map_err(|why| problems.push(told(why))).ok()
        };
        let mut members = Vec::new();
        for server in virtual_server.active_servers() {
            let machine = reach(&server.name, server.line, server.address, server.port);
            members.extend(machine.map(|machine| Member {
                name: server.name.clone(),
                machine,
                port: server.port,
                weight: server.weight.value(),
            }));
        }
        let sorry = virtual_server
            .sorry_server
            .and_then(|sorry| reach("sorry", virtual_server.line, sorry.address, sorry.port));
        services.extend(service(virtual_server, members, sorry));
    }
    let machines: Vec<Machine> =
        drafts.into_iter().filter_map(|draft| finish(file, draft, inside, &mut problems)).collect();
    if problems.is_empty() { Ok((machines, services)) } else { Err(problems) }
}

/// The index of the machine with this address, which from now on has to pass the virtual server's check.
fn reach(
    drafts: &mut Vec<Draft>,
    inside: Network,
    virtual_server: &VirtualServer,
    name: &str,
    address: IpAddr,
    port: u16,
) -> Result<usize, String> {
    let IpAddr::V4(address) = address else { return Err(format!("{address} is an IPv6 address")) };
    if !inside.has_host(address) {
        return Err(format!(
            "{address} is not in {inside}, the network of `nat_router`: the demo does not know the way between"
        ));
    }
    let wish = Wish::new(&virtual_server.check, virtual_server.protocol, virtual_server.port)?;
    let index = drafts.iter().position(|draft| draft.address == address).unwrap_or_else(|| {
        let name = unused(name, drafts);
        drafts.push(Draft { name, address, ports: BTreeMap::new() });
        drafts.len() - 1
    });
    let (wishes, who) = drafts[index].ports.entry(port).or_default();
    wishes.push(wish);
    who.push(virtual_server.name.clone());
    Ok(index)
}

/// A host name like this one that no machine has yet.
fn unused(name: &str, drafts: &[Draft]) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' || c == '_' || c == '.' { c } else { '-' };
    let name: String = name.chars().map(plain).take(LONGEST_NAME).collect();
    let is_taken = |name: &str| RESERVED.contains(&name) || drafts.iter().any(|draft| draft.name == name);
    if !name.is_empty() && !is_taken(&name) {
        return name;
    }
    // One of the first numbers is free, as there are fewer machines.
    let numbered = (2..=drafts.len() + 5).map(|n| format!("{name}-{n}"));
    numbered.into_iter().find(|name| !is_taken(name)).unwrap_or(name)
}

fn finish(file: &str, draft: Draft, inside: Network, problems: &mut Vec<String>) -> Option<Machine> {
    let mut ports = Vec::new();
    for (port, (wishes, who)) in draft.ports {
        match answer(&wishes) {
            Ok(answer) => ports.push((port, answer)),
            Err(why) => {
                problems.push(format!("{file}: virtual {}: {}:{port}: {why}", who.join(", "), draft.name));
            }
        }
    }
    let cidr = inside.cidr(draft.address);
    Some(Machine { name: draft.name, address: draft.address, cidr, ports }).filter(|_| problems.is_empty())
}

fn service(virtual_server: &VirtualServer, members: Vec<Member>, sorry: Option<usize>) -> Option<Service> {
    let IpAddr::V4(vip) = virtual_server.address.address else { return None };
    Some(Service {
        name: virtual_server.name.clone(),
        vip,
        port: virtual_server.port,
        udp: virtual_server.protocol == Protocol::Udp,
        scheduler: virtual_server.scheduler.name().to_owned(),
        spread: spread(virtual_server),
        interval: virtual_server.check.interval,
        reentry: virtual_server.check.reentry,
        members,
        sorry,
    })
}

fn spread(virtual_server: &VirtualServer) -> Spread {
    let check = &virtual_server.check;
    let weights_may_change =
        check.client_monitor.is_some() || check.load_monitor.as_deref().is_some_and(|load| load != "none");
    match virtual_server.scheduler {
        _ if virtual_server.persistence.is_some() => Spread::Anyone,
        _ if virtual_server.protocol == Protocol::Udp => Spread::Everyone,
        Scheduler::Rr => Spread::Even,
        Scheduler::Wrr if weights_may_change => Spread::Everyone,
        Scheduler::Wrr => Spread::ByWeight,
        Scheduler::Lc | Scheduler::Wlc | Scheduler::Twos => Spread::Everyone,
        Scheduler::Lblc
        | Scheduler::Lblcr
        | Scheduler::Dh
        | Scheduler::Sh
        | Scheduler::Sed
        | Scheduler::Nq
        | Scheduler::Fo
        | Scheduler::Ovf
        | Scheduler::Mh => Spread::Anyone,
    }
}
