//! From an lvs.cf to a cluster in which it can be rehearsed: hosts, networks, addresses, and what each server has to
//! answer. Pure; everything that stands in the way is told at once.
//!
//! The file says less than a cluster needs. What it leaves open is filled in: the routers' own addresses where only a
//! moving one is given, the private network, the client.

use std::{net::Ipv4Addr, time::Duration};

use lvs_config::model::Config;
use serde::{Deserialize, Serialize};

use super::{answer::Answer, network::Network};

mod machines;
mod networks;
mod obstacles;

/// Everything that the story needs to know of a file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Plan {
    /// The file as the user named it.
    pub(crate) file: String,
    /// Its bytes; both routers get them.
    pub(crate) text: Vec<u8>,
    /// Names in it, with their addresses: no name server is inside.
    pub(crate) names: Vec<(String, String)>,
    /// `keepalive`.
    pub(crate) keepalive: Duration,
    /// `deadtime`.
    pub(crate) deadtime: Duration,
    /// The file's primary, then its backup.
    pub(crate) routers: Vec<RouterPlan>,
    /// The client's interfaces.
    pub(crate) client: Vec<Interface>,
    /// Addresses that the client reaches without a router although its networks do not have them, and by which
    /// interface.
    pub(crate) on_link: Vec<(Ipv4Addr, String)>,
    /// The machines behind the routers.
    pub(crate) machines: Vec<Machine>,
    /// The virtual servers.
    pub(crate) services: Vec<Service>,
    /// The addresses that move with the active router.
    pub(crate) floating: Vec<Ipv4Addr>,
    /// The gateway of the machines: the last of [`Plan::floating`].
    pub(crate) gateway: Ipv4Addr,
    /// Every network with its bridge.
    pub(crate) networks: Vec<(String, Network)>,
    /// What the user should know of the difference between this cluster and theirs.
    pub(crate) notes: Vec<String>,
}

/// A router.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct RouterPlan {
    /// Its host name here.
    pub(crate) name: String,
    /// What the file calls it: `primary` or `backup`.
    pub(crate) called: String,
    /// Its public address.
    pub(crate) public: Ipv4Addr,
    /// Its interfaces.
    pub(crate) interfaces: Vec<Interface>,
}

/// An interface: name, bridge, own addresses with prefix length.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Interface {
    /// Its name (`eth0`).
    pub(crate) name: String,
    /// The bridge that it is plugged into.
    pub(crate) bridge: String,
    /// Its addresses, `192.0.2.2/24`.
    pub(crate) addresses: Vec<String>,
}

/// A machine behind the routers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Machine {
    /// Its host name here: the name of its first `server` block.
    pub(crate) name: String,
    /// Its address.
    pub(crate) address: Ipv4Addr,
    /// The same with prefix length.
    pub(crate) cidr: String,
    /// Its ports and what they answer.
    pub(crate) ports: Vec<(u16, Answer)>,
}

/// A virtual server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Service {
    /// Its name.
    pub(crate) name: String,
    /// Its VIP.
    pub(crate) vip: Ipv4Addr,
    /// Its port.
    pub(crate) port: u16,
    /// Whether it is UDP.
    pub(crate) udp: bool,
    /// Its scheduler.
    pub(crate) scheduler: String,
    /// How requests must spread.
    pub(crate) spread: Spread,
    /// Time between two checks.
    pub(crate) interval: Duration,
    /// Re-entry time of a failed server.
    pub(crate) reentry: Duration,
    /// Its real servers.
    pub(crate) members: Vec<Member>,
    /// Index of the machine that serves when no member can.
    pub(crate) sorry: Option<usize>,
}

/// A real server of a virtual server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Member {
    /// Its name in the file.
    pub(crate) name: String,
    /// Index of its machine.
    pub(crate) machine: usize,
    /// Its port.
    pub(crate) port: u16,
    /// Its weight.
    pub(crate) weight: u32,
}

/// What can be said in advance about the spread of one client's requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Spread {
    /// Each server gets as many as any other (`rr`).
    Even,
    /// Each server gets as many as its weight says (`wrr`).
    ByWeight,
    /// Every server gets some (`lc`, `wlc`, `twos`).
    Everyone,
    /// One client may be served by one server alone: persistence, hashing, failover, the least
    /// busy of idle ones.
    Anyone,
}

/// Where the file is and what it says.
pub(crate) struct Source<'a> {
    /// As the user named it.
    pub(crate) file: &'a str,
    /// Its bytes.
    pub(crate) text: &'a [u8],
    /// What it means.
    pub(crate) config: &'a Config,
    /// The names that were looked up in it.
    pub(crate) names: Vec<(String, String)>,
    /// Whether commands of the file would run on this very machine.
    pub(crate) native: bool,
}

/// Why a file cannot be rehearsed: one line for each obstacle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Obstacles(pub(crate) Vec<String>);

impl Plan {
    /// Plans the cluster of a file. `exists` tells whether a program of the file is on this machine.
    ///
    /// # Errors
    /// All obstacles, in the file's order as far as they have a line.
    pub(crate) fn new(source: Source<'_>, exists: &dyn Fn(&str) -> bool) -> Result<Self, Obstacles> {
        let Source { file, text, config, names, native } = source;
        let found = obstacles::find(file, config, native, exists);
        if !found.is_empty() {
            return Err(Obstacles(found));
        }
        let plan = || -> Result<Self, Vec<String>> {
            let wiring = networks::wire(config).map_err(|why| vec![format!("{file}: {why}")])?;
            let (machines, services) = machines::place(file, config, wiring.inside)?;
            Ok(Self {
                file: file.to_owned(),
                text: text.to_vec(),
                names,
                keepalive: config.heartbeat.keepalive,
                deadtime: config.heartbeat.deadtime,
                routers: wiring.routers,
                client: wiring.client,
                on_link: wiring.on_link,
                machines,
                services,
                floating: wiring.floating,
                gateway: wiring.gateway,
                networks: wiring.networks,
                notes: obstacles::notes(config),
            })
        };
        plan().map_err(Obstacles)
    }

    /// Number of the machine that is to fail: one whose services all have another to go on with, if there is one.
    /// `served` are the machines that answer now.
    pub(crate) fn victim(&self, served: &[usize]) -> Option<usize> {
        let alternatives = |machine: usize| {
            let of = |service: &Service| {
                let others = |m: &&Member| m.machine != machine && m.weight > 0;
                service.members.iter().filter(others).count() + usize::from(service.sorry.is_some())
            };
            self.services.iter().filter(|s| s.has(machine)).map(of).min().unwrap_or(0)
        };
        let candidates =
            || served.iter().copied().filter(|machine| self.services.iter().any(|s| s.has(*machine)));
        candidates().find(|machine| alternatives(*machine) > 0)
    }

    /// How long the story takes, roughly.
    pub(crate) fn estimate(&self) -> Duration {
        let slowest =
            |of: &dyn Fn(&Service) -> Duration| self.services.iter().map(of).max().unwrap_or_default();
        let check = slowest(&|service| service.interval);
        let reentry = slowest(&|service| service.reentry);
        // The program starts, servers come up, traffic is watched after each of seven deeds.
        let fixed = Duration::from_secs(22);
        fixed + self.deadtime + self.keepalive * 6 + check * 3 + reentry
    }
}

impl Service {
    /// Whether a machine is one of its real servers.
    pub(crate) fn has(&self, machine: usize) -> bool {
        self.members.iter().any(|member| member.machine == machine)
    }

    /// Its address and port for people.
    pub(crate) fn place(&self) -> String {
        format!("{}:{}{}", self.vip, self.port, if self.udp { "/udp" } else { "" })
    }
}

#[cfg(test)]
mod tests;
