//! What an operator can do about a refusal of the kernel: the command that would fit, the name that was meant, what
//! there is instead.
//!
//! Pure: the refusal and, where one was read, a snapshot of the table come in.

use std::fmt::Display;

use super::suggest::did_you_mean;
use crate::error::KernelError;
use crate::model::{DestinationId, Scheduler, Service, ServiceId, Table};
use crate::request::Request;
use nix::errno::Errno;

/// Most entries of the table that are named.
const MOST: usize = 4;

/// What of the table [`to`] could say more with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Needs {
    Nothing,
    /// All services, without their real servers.
    Services,
    /// One service with its real servers.
    Service(ServiceId),
}

/// What has to be read of the table to explain a refusal.
pub(super) fn needs(error: &KernelError) -> Needs {
    match (&*error.request, error.errno) {
        (Request::EditDestination(id, _) | Request::DeleteDestination(id, _), Errno::ENOENT) => {
            Needs::Service(*id)
        }
        (request, Errno::ESRCH) if service_of(request).is_some() => Needs::Services,
        _ => Needs::Nothing,
    }
}

/// The advice, beginning with `; `, or nothing.
pub(super) fn to(error: &KernelError, table: Option<&Table>) -> String {
    match (&*error.request, error.errno) {
        (Request::AddService(_), Errno::EEXIST) => "; -E changes it".to_owned(),
        (Request::AddDestination(..), Errno::EEXIST) => "; -e changes it".to_owned(),
        (Request::AddService(it) | Request::EditService(it), Errno::ENOENT) => scheduler(it),
        (Request::EditDestination(id, _) | Request::DeleteDestination(id, _), Errno::ENOENT) => {
            table.map_or(String::new(), |table| real_servers(id, table))
        }
        (request, Errno::ESRCH) => match (service_of(request), table) {
            (Some(id), Some(table)) => services(&id, table),
            _ => String::new(),
        },
        _ => String::new(),
    }
}

fn service_of(request: &Request) -> Option<ServiceId> {
    match request {
        Request::EditService(service) => Some(service.id),
        Request::DeleteService(id)
        | Request::AddDestination(id, _)
        | Request::EditDestination(id, _)
        | Request::DeleteDestination(id, _)
        | Request::Zero(Some(id)) => Some(*id),
        _ => None,
    }
}

fn scheduler(service: &Service) -> String {
    let scheduler = service.scheduler;
    if Scheduler::KNOWN.contains(&scheduler) {
        // The kernel does not say which of the two it lacks.
        return match service.persistence.and_then(|it| it.engine) {
            None => format!("; `modprobe ip_vs_{scheduler}` says why, if that is what is missing"),
            Some(engine) => {
                format!("; `modprobe -a ip_vs_{scheduler} ip_vs_pe_{engine}` says which, and why")
            }
        };
    }
    let known = || Scheduler::KNOWN.iter().map(Scheduler::as_str);
    match did_you_mean("", scheduler.as_str(), known()) {
        none if none.is_empty() => {
            format!("; those of Linux are {}", known().collect::<Vec<_>>().join(", "))
        }
        found => found,
    }
}

/// The services that there are instead, those of the same address or mark before others.
pub(super) fn services(missing: &ServiceId, table: &Table) -> String {
    let ids = || table.services.iter().map(|entry| entry.service.id);
    let alike: Vec<_> = ids().filter(|it| is_alike(it, missing)).collect();
    let these = if alike.is_empty() { ids().collect() } else { alike };
    match named(&these, table.services.len()) {
        None => "; there are no services at all".to_owned(),
        Some(names) => format!("; there is {names}"),
    }
}

fn is_alike(one: &ServiceId, other: &ServiceId) -> bool {
    match (one, other) {
        (ServiceId::Address { address: one, .. }, ServiceId::Address { address: other, .. }) => one == other,
        (ServiceId::FwMark { mark: one, .. }, ServiceId::FwMark { mark: other, .. }) => one == other,
        _ => false,
    }
}

fn real_servers(id: &ServiceId, table: &Table) -> String {
    let Some(entry) = table.find(id) else { return String::new() };
    let ids: Vec<DestinationId> = entry.destinations.iter().map(|it| it.destination.id).collect();
    match named(&ids, ids.len()) {
        None => "; it has none at all".to_owned(),
        Some(names) => format!("; it has {names}"),
    }
}

/// The first few names, and how many of `all` are left. `None` if there is none.
fn named(items: &[impl Display], all: usize) -> Option<String> {
    if items.is_empty() {
        return None;
    }
    let names: Vec<String> = items.iter().take(MOST).map(ToString::to_string).collect();
    let names = names.join(", ");
    Some(match all.saturating_sub(items.len().min(MOST)) {
        0 => names,
        more => format!("{names} and {more} more (ipvsadm -L -n lists them)"),
    })
}
