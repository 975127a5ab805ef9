//! Real servers that the file does not name any more and that go on serving until one that it names can: a file that
//! replaces all servers of a virtual server at once leaves no gap while the new ones wait for their first checks.
//!
//! | of a service with retiring rows | then |
//! | --- | --- |
//! | enough servers of the file for its quorum, by default one, can take connections | they go |
//! | all servers of the file have been checked, and none can | they go; a sorry server may serve |
//! | they have stayed for [`patience`] | they go |
//!
//! They keep the weight that they had. The servers of the file count as awaited meanwhile, so that no quorum is lost and no
//! sorry server called; what that makes of the table is decided elsewhere. Where a sorry server is called all the same,
//! because an operator asks for that or the quorum was lost before, it serves alone: they have weight 0 as long.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use daemonkit::clock::Mono;
use ipvsadm::{Destination, DestinationId, ServiceId};
use lvs_config::model::VirtualServer;

use super::{Engine, Server};
use crate::action::Action;
use crate::desired::{WantedService, real_servers};
use crate::event::Event;
use crate::identity::{ServerKey, destination_id, service_id, sorry_id};
use crate::tally::Tally;

/// Time to start the monitors of a large file.
const START: Duration = Duration::from_secs(60);

/// Longest time that the rows of a virtual server retire. A check has a limit for its connection and one for the answer.
fn patience(virtual_server: &VirtualServer) -> Duration {
    START + virtual_server.check.interval * 2
}

/// The rows that retire, by service.
#[derive(Debug, Clone, Default)]
pub(super) struct Retiring(HashMap<ServiceId, Retirement>);

#[derive(Debug, Clone)]
struct Retirement {
    /// Name of the virtual server in the file.
    vs: String,
    rows: Vec<Destination>,
    until: Mono,
}

impl Retiring {
    /// Whether rows of this service retire.
    pub(super) fn covers(&self, service: &ServiceId) -> bool {
        self.0.contains_key(service)
    }

    /// How many rows of this service retire.
    pub(super) fn count(&self, service: &ServiceId) -> usize {
        self.0.get(service).map_or(0, |retirement| retirement.rows.len())
    }

    /// When the next ones have stayed long enough.
    pub(super) fn deadline(&self) -> Option<Mono> {
        self.0.values().map(|retirement| retirement.until).min()
    }
}

impl Engine {
    /// Lets those rows retire without which nobody would serve until the first checks. Says which.
    pub(super) fn retire(&mut self, now: Mono) -> Vec<Action> {
        let candidates: Vec<(&VirtualServer, Vec<Destination>)> = self
            .config
            .active_virtual_servers()
            .map(|virtual_server| (virtual_server, self.unclaimed(virtual_server)))
            .filter(|(_, rows)| !rows.is_empty())
            .collect();
        // A row that the file names again is a real server's and goes by its health.
        let unclaimed: HashSet<ServiceId> = candidates.iter().map(|(v, _)| service_id(v)).collect();
        let lasts =
            |service: &ServiceId| unclaimed.contains(service) && self.servers_of(service).next().is_some();
        let over: Vec<ServiceId> =
            self.retiring.0.keys().filter(|service| !lasts(service)).copied().collect();
        let mut events = Vec::new();
        for (virtual_server, rows) in candidates {
            let id = service_id(virtual_server);
            if !self.waits(&id) || self.has_enough(virtual_server) {
                continue;
            }
            let vs = virtual_server.name.clone();
            events.push(Event::Retiring { vs: vs.clone(), servers: rows.len() });
            // Another file meanwhile does not make the wait longer.
            let until = self.retiring.0.get(&id).map_or(now + patience(virtual_server), |known| known.until);
            self.retiring.0.insert(id, Retirement { vs, rows, until });
        }
        over.into_iter().for_each(|service| self.end_retirement(now, service));
        events.into_iter().map(Action::Log).collect()
    }

    /// The rows of its service that take connections, or retire already, and that the file does not name.
    fn unclaimed(&self, virtual_server: &VirtualServer) -> Vec<Destination> {
        let table = self.reconciler.believed();
        let entry = table.and_then(|table| table.find(&service_id(virtual_server)));
        // The rows of somebody else's monitors are theirs to remove.
        let Some(entry) = entry.filter(|_| virtual_server.check.client_monitor.is_none()) else {
            return Vec::new();
        };
        let sorry = virtual_server.sorry_server.as_ref().map(|sorry| sorry_id(virtual_server, sorry));
        let servers = virtual_server.active_servers().map(|server| destination_id(virtual_server, server));
        let claimed: BTreeSet<DestinationId> = servers.chain(sorry).collect();
        // Those beside a sorry server have no weight for the moment.
        let known = self.retiring.0.get(&entry.service.id).map_or(&[][..], |retirement| &retirement.rows);
        let known: HashMap<DestinationId, &Destination> = known.iter().map(|row| (row.id, row)).collect();
        let rows = entry.destinations.iter().map(|row| &row.destination);
        let rows = rows.filter(|row| !claimed.contains(&row.id));
        rows.filter_map(|row| if row.weight > 0 { Some(row) } else { known.get(&row.id).copied() })
            .cloned()
            .collect()
    }

    /// Whether a server of this service has not been checked yet. What an earlier run knew is no check.
    fn waits(&self, service: &ServiceId) -> bool {
        self.servers_of(service).any(|server| !server.is_checked())
    }

    /// What is known of the servers of a service.
    fn servers_of(&self, service: &ServiceId) -> impl Iterator<Item = &Server> {
        let service = *service;
        let least = DestinationId::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);
        let from = self.servers.range(ServerKey { service, server: least }..);
        from.take_while(move |(key, _)| key.service == service).map(|(_, server)| server)
    }

    /// Whether the servers of the file that take connections are enough.
    fn has_enough(&self, virtual_server: &VirtualServer) -> bool {
        let (_, tally) = real_servers(virtual_server, |key| self.standing_of(key));
        !Tally { awaited: false, ..tally }.loses(virtual_server.quorum)
    }

    /// Adds the rows that retire to what is wanted, as long as they are needed.
    pub(super) fn keep_retiring(&mut self, now: Mono, services: &mut [WantedService]) {
        if self.retiring.0.is_empty() {
            return;
        }
        let mut named: HashMap<ServiceId, &VirtualServer> = HashMap::new();
        for virtual_server in self.config.active_virtual_servers() {
            named.entry(service_id(virtual_server)).or_insert(virtual_server);
        }
        let mut over = Vec::new();
        for wanted in services {
            let id = wanted.service.id;
            let Some(retirement) = self.retiring.0.get(&id) else { continue };
            if self.waits(&id) && named.get(&id).is_some_and(|v| !self.has_enough(v)) {
                add(wanted, &retirement.rows);
            } else {
                over.push(id);
            }
        }
        over.into_iter().for_each(|service| self.end_retirement(now, service));
    }

    /// From now on its rows are as the file and its drains say.
    fn end_retirement(&mut self, now: Mono, service: ServiceId) {
        let rows = self.retiring.0.remove(&service).map(|retirement| retirement.rows);
        self.overrides.begin_leaving(now, service, &rows.unwrap_or_default());
    }

    /// Ends what has lasted long enough, and says so.
    pub(super) fn end_retirements(&mut self, now: Mono) -> Vec<Action> {
        let over: Vec<(ServiceId, Retirement)> =
            self.retiring.0.extract_if(|_, retirement| retirement.until <= now).collect();
        let ended = over.into_iter().map(|(service, retirement)| {
            self.stale.add(service);
            self.overrides.begin_leaving(now, service, &retirement.rows);
            Action::Log(Event::RetiredUnchecked { vs: retirement.vs, servers: retirement.rows.len() })
        });
        ended.collect()
    }
}

fn add(wanted: &mut WantedService, rows: &[Destination]) {
    let places = wanted.destinations.iter().enumerate().map(|(place, known)| (known.id, place));
    let places: HashMap<DestinationId, usize> = places.collect();
    let mut more = Vec::new();
    for row in rows {
        let known = places.get(&row.id).and_then(|place| wanted.destinations.get_mut(*place));
        match known {
            // The sorry server serves alone; they keep their connections.
            Some(_) if wanted.sorry => {}
            None if wanted.sorry => more.push(Destination { weight: 0, ..row.clone() }),
            // It is wanted with weight 0: it is to be drained once it is not needed any more.
            Some(known) => known.weight = row.weight,
            None => more.push(row.clone()),
        }
    }
    // Before a sorry server, which is the last.
    wanted.destinations.splice(0..0, more);
}
