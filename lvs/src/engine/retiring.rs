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
//! sorry server called; what that makes of the table is decided elsewhere.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use daemonkit::clock::Mono;
use ipvsadm::{Destination, DestinationId, ServiceId};
use lvs_config::model::VirtualServer;
use lvs_ipc::status::Health;

use super::Engine;
use crate::action::Action;
use crate::desired::{WantedService, real_servers};
use crate::event::Event;
use crate::identity::{destination_id, service_id, sorry_id};
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

    /// When the next ones have stayed long enough.
    pub(super) fn deadline(&self) -> Option<Mono> {
        self.0.values().map(|retirement| retirement.until).min()
    }
}

impl Engine {
    /// Lets those rows retire without which nobody would serve until the first checks. Says which.
    pub(super) fn retire(&mut self, now: Mono) -> Vec<Action> {
        let servers = &self.servers;
        self.retiring.0.retain(|service, _| servers.keys().any(|key| key.service == *service));
        let candidates: Vec<(&VirtualServer, Vec<Destination>)> = self
            .config
            .active_virtual_servers()
            .map(|virtual_server| (virtual_server, self.unclaimed(virtual_server)))
            .filter(|(_, rows)| !rows.is_empty())
            .collect();
        // A row that the file names again is a real server's and goes by its health.
        let claimed_all = |service: &ServiceId| candidates.iter().all(|(v, _)| service_id(v) != *service);
        self.retiring.0.retain(|service, _| !claimed_all(service));
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
        events.into_iter().map(Action::Log).collect()
    }

    /// The rows of its service that take connections and that the file does not name.
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
        let rows = entry.destinations.iter().map(|row| &row.destination);
        rows.filter(|row| row.weight > 0 && !claimed.contains(&row.id)).cloned().collect()
    }

    /// Whether a server of this service has not been checked yet.
    fn waits(&self, service: &ServiceId) -> bool {
        let mut servers = self.servers.iter().filter(|(key, _)| key.service == *service);
        servers.any(|(_, server)| server.health.state() == Health::Unknown)
    }

    /// Whether the servers of the file that take connections are enough.
    fn has_enough(&self, virtual_server: &VirtualServer) -> bool {
        let (_, tally) = real_servers(virtual_server, |key| self.standing_of(key));
        !Tally { awaited: false, ..tally }.loses(virtual_server.quorum)
    }

    /// Adds the rows that retire to what is wanted, as long as they are needed.
    pub(super) fn keep_retiring(&mut self, services: &mut [WantedService]) {
        for wanted in services {
            let id = wanted.service.id;
            let Some(retirement) = self.retiring.0.get(&id) else { continue };
            let virtual_server = self.config.active_virtual_servers().find(|v| service_id(v) == id);
            if self.waits(&id) && virtual_server.is_some_and(|v| !self.has_enough(v)) {
                add(wanted, &retirement.rows);
            } else {
                self.retiring.0.remove(&id);
            }
        }
    }

    /// Ends what has lasted long enough, and says so.
    pub(super) fn end_retirements(&mut self, now: Mono) -> Vec<Action> {
        let over: Vec<(ServiceId, Retirement)> =
            self.retiring.0.extract_if(|_, retirement| retirement.until <= now).collect();
        let ended = over.into_iter().map(|(service, retirement)| {
            self.stale.add(service);
            Action::Log(Event::RetiredUnchecked { vs: retirement.vs, servers: retirement.rows.len() })
        });
        ended.collect()
    }
}

fn add(wanted: &mut WantedService, rows: &[Destination]) {
    for row in rows {
        match wanted.destinations.iter_mut().find(|known| known.id == row.id) {
            // It is wanted with weight 0: it is to be drained once it is not needed any more.
            Some(known) => known.weight = row.weight,
            None => wanted.destinations.push(row.clone()),
        }
    }
}
