//! What of the kernel's table is ours to change; how to get from what is to what is wanted is [`ipvsadm::diff`]'s business.
//! And what of its connection timeouts: those that the file names.
//!
//! Services that the file does not name are never touched, except those that it named before (`owned`), nor are the
//! rows of wanted services that a monitor program of somebody else keeps.

use std::collections::{BTreeSet, HashSet};
use std::time::Duration;

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

/// The request that gives those of `wanted` that are not zero to a kernel that has `actual`, unless it has them all. A zero
/// beside others is of a protocol that this kernel was built without, and accepts without effect.
#[must_use]
pub fn timeouts_missing(wanted: Timeouts, actual: Timeouts) -> Option<Request> {
    let all = [(wanted.tcp, actual.tcp), (wanted.tcp_fin, actual.tcp_fin), (wanted.udp, actual.udp)];
    let is_unread = actual == Timeouts::default();
    let can_have = |actual: Duration| is_unread || !actual.is_zero();
    let missing =
        all.into_iter().any(|(wanted, actual)| !wanted.is_zero() && wanted != actual && can_have(actual));
    missing.then_some(Request::SetTimeouts(wanted))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_that_the_kernel_cannot_have_is_not_asked_for_again() {
        let seconds = |tcp, tcp_fin, udp| Timeouts {
            tcp: Duration::from_secs(tcp),
            tcp_fin: Duration::from_secs(tcp_fin),
            udp: Duration::from_secs(udp),
        };
        let missing = |wanted, actual| timeouts_missing(wanted, actual).is_some();
        assert!(!missing(seconds(0, 0, 30), seconds(900, 120, 0)));
        assert!(missing(seconds(60, 0, 30), seconds(900, 120, 0)));
        assert!(missing(seconds(0, 0, 30), seconds(900, 120, 300)));
        assert!(!missing(seconds(0, 0, 30), seconds(900, 120, 30)));
        assert!(missing(seconds(0, 0, 30), seconds(0, 0, 0)));
        assert!(!missing(seconds(0, 0, 0), seconds(900, 120, 300)));
    }
}
