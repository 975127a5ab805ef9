//! What of the kernel's table is ours to change; how to get from what is to what is wanted is [`ipvsadm::diff`]'s business.
//! And what of its connection timeouts: those that the file names.
//!
//! Services that the file does not name are never touched, except those that it named before (`owned`), nor are the
//! rows of wanted services that a monitor program of somebody else keeps.

use std::collections::{BTreeSet, HashSet};

use ipvsadm::{DestinationId, Planner, Request, ServiceId, Table, Timeouts};
use lvs_config::model;

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

/// The timeouts that the file names; zero for the others, of which it wants nothing.
#[must_use]
pub fn timeouts(wanted: model::Timeouts) -> Timeouts {
    let model::Timeouts { tcp, tcp_fin, udp } = wanted;
    Timeouts {
        tcp: tcp.unwrap_or_default(),
        tcp_fin: tcp_fin.unwrap_or_default(),
        udp: udp.unwrap_or_default(),
    }
}

/// The request that gives those of `wanted` that are not zero to a kernel that has `actual`, unless it has them all.
#[must_use]
pub fn timeouts_missing(wanted: Timeouts, actual: Timeouts) -> Option<Request> {
    let all = [(wanted.tcp, actual.tcp), (wanted.tcp_fin, actual.tcp_fin), (wanted.udp, actual.udp)];
    let missing = all.into_iter().any(|(wanted, actual)| !wanted.is_zero() && wanted != actual);
    missing.then_some(Request::SetTimeouts(wanted))
}
