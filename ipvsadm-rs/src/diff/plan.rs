//! Which requests, and in which order; the reasons are in the parent module.

use std::collections::{HashMap, HashSet};

use super::same::{destination_change, service_change};
use super::{Planner, Removal};
use crate::model::{Destination, DestinationEntry, Service, ServiceEntry, ServiceId, Table};
use crate::request::Request;

/// Requests by the phase that they belong to.
#[derive(Default)]
struct Phases {
    /// What comes and what stays.
    build: Vec<Request>,
    /// Destinations that leave.
    clear: Vec<Request>,
}

impl Planner<'_> {
    /// The requests that make `actual` as wanted, in the order in which they are to be carried out: services with their
    /// destinations, such as [`Table::rows`] gives.
    pub fn plan<'w, D>(
        &self,
        actual: &Table,
        wanted: impl IntoIterator<Item = (&'w Service, D)>,
    ) -> Vec<Request>
    where
        D: IntoIterator<Item = &'w Destination>,
    {
        let existing = by_id(&actual.services, |entry| entry.service.id);
        let mut phases = Phases::default();
        let mut named: HashSet<ServiceId> = HashSet::with_capacity(existing.len());
        for (service, destinations) in wanted {
            if named.insert(service.id) {
                let destinations = self.in_order(service.id, destinations);
                match existing.get(&service.id) {
                    None => create(service, &destinations, &mut phases),
                    Some(entry) => self.change(entry, service, &destinations, &mut phases),
                }
            }
        }
        let Phases { mut build, mut clear } = phases;
        build.append(&mut clear);
        let leaves = |id: &ServiceId| !named.contains(id) && (self.may_remove)(id);
        let mut seen = HashSet::new();
        for entry in &actual.services {
            if leaves(&entry.service.id) && seen.insert(entry.service.id) {
                self.remove_service(entry, &mut build);
            }
        }
        build
    }

    /// The wanted destinations that are ours, each once: those that serve, then the others.
    fn in_order<'w>(
        &self,
        service: ServiceId,
        destinations: impl IntoIterator<Item = &'w Destination>,
    ) -> Vec<&'w Destination> {
        let mut seen = HashSet::new();
        let mut ours: Vec<&Destination> = destinations
            .into_iter()
            .filter(|to| !(self.left_alone)(&service, &to.id) && seen.insert(to.id))
            .collect();
        ours.sort_by_key(|to| to.weight == 0);
        ours
    }

    fn change(
        &self,
        entry: &ServiceEntry,
        service: &Service,
        destinations: &[&Destination],
        phases: &mut Phases,
    ) {
        let id = service.id;
        phases.build.extend(service_change(&entry.service, service).map(Request::EditService));
        let mut leaving = by_id(&entry.destinations, |entry| entry.destination.id);
        for to in destinations {
            phases.build.extend(match leaving.remove(&to.id) {
                None => Some(Request::AddDestination(id, (*to).clone())),
                Some(is) => {
                    destination_change(&is.destination, to).map(|to| Request::EditDestination(id, to))
                }
            });
        }
        for row in &entry.destinations {
            let leaves = leaving.remove(&row.destination.id).is_some();
            if leaves && !(self.left_alone)(&id, &row.destination.id) {
                self.remove_destination(id, row, &mut phases.clear);
            }
        }
    }

    fn remove_destination(&self, service: ServiceId, row: &DestinationEntry, requests: &mut Vec<Request>) {
        match self.removal {
            Removal::QuiesceFirst if row.destination.weight > 0 => requests.push(quiesce(service, row)),
            Removal::QuiesceFirst if is_connected(row) => {}
            _ => requests.push(Request::DeleteDestination(service, row.destination.id)),
        }
    }

    fn remove_service(&self, entry: &ServiceEntry, requests: &mut Vec<Request>) {
        let id = entry.service.id;
        let serving = |row: &&DestinationEntry| row.destination.weight > 0;
        let busy = |row: &DestinationEntry| serving(&row) || is_connected(row);
        match self.removal {
            Removal::QuiesceFirst if entry.destinations.iter().any(busy) => {
                requests.extend(entry.destinations.iter().filter(serving).map(|row| quiesce(id, row)));
            }
            _ => requests.push(Request::DeleteService(id)),
        }
    }
}

fn create(service: &Service, destinations: &[&Destination], phases: &mut Phases) {
    phases.build.push(Request::AddService(service.clone()));
    phases.build.extend(destinations.iter().map(|to| Request::AddDestination(service.id, (*to).clone())));
}

fn quiesce(service: ServiceId, row: &DestinationEntry) -> Request {
    Request::EditDestination(service, Destination { weight: 0, ..row.destination.clone() })
}

fn is_connected(row: &DestinationEntry) -> bool {
    row.active_connections > 0 || row.inactive_connections > 0
}

/// The entries by what identifies them; of several the first.
fn by_id<E, I: Eq + std::hash::Hash>(entries: &[E], id: impl Fn(&E) -> I) -> HashMap<I, &E> {
    let mut found = HashMap::with_capacity(entries.len());
    for entry in entries {
        found.entry(id(entry)).or_insert(entry);
    }
    found
}
