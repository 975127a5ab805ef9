//! From the table that is to the table that should be: the smallest list of requests, in an order in which no
//! service is ever without a server that it had before and has after.
//!
//! | order | why |
//! | --- | --- |
//! | each service before its destinations | the kernel wants it so |
//! | destinations that take connections, then those of weight 0, then removals | somebody always serves |
//! | services that are no longer wanted last | a service that moved serves at its new place first |
//!
//! Services that the file does not name are never touched, except those that it named before (`owned`).

use std::collections::{BTreeSet, HashMap};

use ipvsadm::{
    Destination, DestinationEntry, DestinationId, Forward, Request, Service, ServiceEntry, ServiceId, Stats,
    Table,
};

use crate::desired::{Wanted, WantedService};

/// Requests that turn `actual` into `wanted`, as far as services of `wanted` and of `owned` are concerned.
#[must_use]
pub fn plan(wanted: &Wanted, actual: &Table, owned: &BTreeSet<ServiceId>) -> Vec<Request> {
    let existing: HashMap<ServiceId, &ServiceEntry> =
        actual.services.iter().map(|entry| (entry.service.id, entry)).collect();
    let mut requests = Vec::new();
    for service in &wanted.services {
        match existing.get(&service.service.id) {
            None => create(service, &mut requests),
            Some(entry) => change(service, entry, &mut requests),
        }
    }
    let named: BTreeSet<ServiceId> = wanted.services.iter().map(|service| service.service.id).collect();
    let left_over = owned.iter().filter(|id| !named.contains(id) && existing.contains_key(id));
    requests.extend(left_over.map(|id| Request::DeleteService(*id)));
    requests
}

fn create(wanted: &WantedService, requests: &mut Vec<Request>) {
    let id = wanted.service.id;
    requests.push(Request::AddService(wanted.service.clone()));
    requests.extend(wanted.destinations.iter().map(|to| Request::AddDestination(id, to.clone())));
}

fn change(wanted: &WantedService, entry: &ServiceEntry, requests: &mut Vec<Request>) {
    let id = wanted.service.id;
    if !same_service(&wanted.service, &entry.service) {
        requests.push(Request::EditService(wanted.service.clone()));
    }
    let existing: HashMap<DestinationId, &Destination> =
        entry.destinations.iter().map(|entry| (entry.destination.id, &entry.destination)).collect();
    let (serving, quiet): (Vec<&Destination>, Vec<&Destination>) =
        wanted.destinations.iter().partition(|to| to.weight > 0);
    for to in serving.into_iter().chain(quiet) {
        match existing.get(&to.id) {
            None => requests.push(Request::AddDestination(id, to.clone())),
            Some(is) if same_destination(to, is) => {}
            Some(_) => requests.push(Request::EditDestination(id, to.clone())),
        }
    }
    let kept: BTreeSet<DestinationId> =
        wanted.destinations.iter().map(|to| to.id).chain(wanted.left_alone.iter().copied()).collect();
    let left_over =
        entry.destinations.iter().map(|entry| entry.destination.id).filter(|to| !kept.contains(to));
    requests.extend(left_over.map(|to| Request::DeleteDestination(id, to)));
}

/// Whether the kernel's service is the wanted one. Persistence counts whole seconds only.
fn same_service(wanted: &Service, actual: &Service) -> bool {
    let persistence =
        |service: &Service| service.persistence.map(|p| (p.timeout.as_secs(), p.granularity, p.engine));
    wanted.scheduler == actual.scheduler
        && wanted.flags == actual.flags
        && persistence(wanted) == persistence(actual)
}

/// Whether the kernel's row is the wanted one. The kernel shows a server on the router itself as local, whatever
/// forwarding method was asked for.
fn same_destination(wanted: &Destination, actual: &Destination) -> bool {
    let forward = if actual.forward == Forward::Local { actual.forward } else { wanted.forward };
    (actual.forward, actual.weight) == (forward, wanted.weight)
        && actual.upper_threshold == wanted.upper_threshold
        && actual.lower_threshold == wanted.lower_threshold
}

/// What `table` looks like once the kernel has accepted `request`. Requests about other things than services and
/// destinations change nothing.
pub fn accept(table: &mut Table, request: &Request) {
    let (id, change) = match request {
        Request::AddService(service) => {
            if table.find(&service.id).is_none() {
                let entry = ServiceEntry {
                    service: service.clone(),
                    stats: Stats::default(),
                    destinations: Vec::new(),
                };
                table.services.push(entry);
            }
            return;
        }
        Request::DeleteService(id) => return table.services.retain(|entry| entry.service.id != *id),
        Request::EditService(service) => (service.id, Change::Service(service.clone())),
        Request::AddDestination(id, to) | Request::EditDestination(id, to) => (*id, Change::Put(to.clone())),
        Request::DeleteDestination(id, to) => (*id, Change::Remove(*to)),
        _ => return,
    };
    let Some(entry) = table.services.iter_mut().find(|entry| entry.service.id == id) else { return };
    match change {
        Change::Service(service) => entry.service = service,
        Change::Remove(to) => entry.destinations.retain(|entry| entry.destination.id != to),
        Change::Put(to) => match entry.destinations.iter_mut().find(|known| known.destination.id == to.id) {
            Some(known) => known.destination = to,
            None => entry.destinations.push(unused(to)),
        },
    }
}

/// A change of one service's entry.
enum Change {
    Service(Service),
    Put(Destination),
    Remove(DestinationId),
}

/// A destination that carries nothing yet.
fn unused(destination: Destination) -> DestinationEntry {
    DestinationEntry {
        destination,
        active_connections: 0,
        inactive_connections: 0,
        persistent_connections: 0,
        stats: Stats::default(),
    }
}
