//! What of the kernel's table is ours to change; how to get from what is to what is wanted is [`ipvsadm::diff`]'s business.
//!
//! Services that the file does not name are never touched, except those that it named before (`owned`), nor are the
//! rows of wanted services that a monitor program of somebody else keeps.

use std::collections::{BTreeSet, HashSet};

use ipvsadm::{DestinationId, Planner, Request, ServiceId, Table};

use crate::desired::Wanted;

/// Requests that turn `actual` into `wanted`, as far as services of `wanted` and of `owned` are concerned.
#[must_use]
pub fn plan(wanted: &Wanted, actual: &Table, owned: &BTreeSet<ServiceId>) -> Vec<Request> {
    let left_alone: HashSet<(ServiceId, DestinationId)> = wanted
        .services
        .iter()
        .flat_map(|wanted| wanted.left_alone.iter().map(|to| (wanted.service.id, *to)))
        .collect();
    let rows = wanted.services.iter().map(|wanted| (&wanted.service, &wanted.destinations));
    Planner::new()
        .remove_only(&|service| owned.contains(service))
        .leave_alone(&|service, to| left_alone.contains(&(*service, *to)))
        .plan(actual, rows)
}
