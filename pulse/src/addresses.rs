//! Holds and drops the floating addresses: reads what the interfaces have, lets [`crate::vip`] compare, has
//! [`crate::rtnetlink`] carry the difference out, logs what changed. When to do so is [`crate::takeover`]'s decision.

use std::io;
use std::net::IpAddr;
use std::time::Duration;

use lvs_config::model::FloatingAddress;
use lvs_ipc::status::AddressStatus;

use crate::rtnetlink::Rtnetlink;
use crate::vip::{self, Change, ChangeKind, Interface, Present, Problem};

/// Lease of the addresses of a router that has no other: long, because nobody else would take them.
const LONE_LEASE: Duration = Duration::from_secs(10);
/// Shortest lease that is surely renewed in time, as repairs come every second.
const MIN_LEASE: Duration = Duration::from_secs(2);
/// How much earlier than `deadtime` a lease has to end, so that the address is gone when the other router takes it.
const LEASE_MARGIN: Duration = Duration::from_millis(100);

/// How long an address outlives its router's `pulse`, in whole seconds: shorter than `deadtime` where that leaves room.
/// `None` stands for a router without another one.
#[must_use]
pub fn lease(deadtime: Option<Duration>) -> Duration {
    deadtime.map_or(LONE_LEASE, |deadtime| {
        Duration::from_secs(deadtime.saturating_sub(LEASE_MARGIN).as_secs()).max(MIN_LEASE)
    })
}

/// What the interfaces have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// All interfaces.
    pub interfaces: Vec<Interface>,
    /// All addresses.
    pub present: Vec<Present>,
}

/// What became of the addresses.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Outcome {
    /// Those that were missing and have been added.
    pub added: Vec<IpAddr>,
    /// All that were asked for, for the status.
    pub status: Vec<AddressStatus>,
}

/// The kernel's side of the floating addresses.
#[derive(Debug, Default)]
pub struct Addresses {
    /// Opened when it is needed, and anew after it broke.
    kernel: Option<Rtnetlink>,
    /// What could not be done the last time: each is logged once.
    problems: Vec<Problem>,
    /// Whether the kernel did not answer the last time.
    deaf: bool,
}

impl Addresses {
    /// Reads what the interfaces have; a failure is logged, and the next attempt begins anew.
    pub fn read(&mut self) -> Option<State> {
        let read = |kernel: &mut Option<Rtnetlink>| -> io::Result<State> {
            let kernel = match kernel {
                Some(kernel) => kernel,
                None => kernel.insert(Rtnetlink::open()?),
            };
            Ok(State { interfaces: kernel.interfaces()?, present: kernel.addresses()? })
        };
        match read(&mut self.kernel) {
            Ok(state) => {
                if std::mem::take(&mut self.deaf) {
                    tracing::info!("interfaces and addresses can be read again");
                }
                Some(state)
            }
            Err(error) => {
                self.kernel = None;
                if !std::mem::replace(&mut self.deaf, true) {
                    tracing::error!(%error, "cannot read interfaces and addresses, trying again every second");
                }
                None
            }
        }
    }

    /// Makes every one of `wanted` present and begins its lease anew. `None` when the kernel could not be asked.
    pub fn hold(&mut self, wanted: &[FloatingAddress], state: &State, lease: Duration) -> Option<Outcome> {
        let (changes, problems) = vip::hold(wanted, &state.interfaces, &state.present);
        self.apply(wanted, true, &changes, problems, lease)
    }

    /// Makes every one of `unwanted` absent. `None` when the kernel could not be asked.
    pub fn drop(&mut self, unwanted: &[FloatingAddress], state: &State) -> Option<Outcome> {
        let changes = vip::drop(unwanted, &state.interfaces, &state.present);
        self.apply(unwanted, false, &changes, Vec::new(), MIN_LEASE)
    }

    fn apply(
        &mut self,
        floating: &[FloatingAddress],
        hold: bool,
        changes: &[Change],
        mut problems: Vec<Problem>,
        lease: Duration,
    ) -> Option<Outcome> {
        let results = match self.kernel.as_mut()?.apply(changes, Some(lease)) {
            Ok(results) => results,
            Err(error) => {
                self.kernel = None;
                tracing::error!(%error, "cannot change addresses, trying again");
                return None;
            }
        };
        let mut added = Vec::new();
        for (change, result) in changes.iter().zip(results) {
            match result {
                Ok(()) => {
                    log(change);
                    added.extend((change.kind == ChangeKind::Add).then_some(change.address));
                }
                Err(error) => {
                    let reason = format!("cannot {} it: {error}", change.kind);
                    problems.push(Problem { address: change.address, label: change.label.clone(), reason });
                }
            }
        }
        for problem in problems.iter().filter(|problem| !self.problems.contains(problem)) {
            let Problem { address, label, reason } = problem;
            tracing::error!(%address, device = %label, %reason, "address problem");
        }
        let status = floating.iter().map(|vip| status(vip, hold, changes, &problems)).collect();
        self.problems = problems;
        Some(Outcome { added, status })
    }
}

fn log(change: &Change) {
    let Change { kind, address, prefix, label, .. } = change;
    let address = format_args!("{address}/{prefix}");
    match kind {
        ChangeKind::Add => tracing::info!(%address, device = %label, "address added"),
        ChangeKind::Remove => tracing::info!(%address, device = %label, "address removed"),
        ChangeKind::Renew => {}
    }
}

fn status(vip: &FloatingAddress, hold: bool, changes: &[Change], problems: &[Problem]) -> AddressStatus {
    let changed = changes.iter().rfind(|change| change.address == vip.address);
    let prefix = changed.map(|change| change.prefix).or(vip.prefix);
    let failed = problems.iter().any(|problem| problem.address == vip.address);
    AddressStatus {
        address: prefix.map_or(vip.address.to_string(), |prefix| format!("{}/{prefix}", vip.address)),
        device: vip.device.label().to_owned(),
        present: hold != failed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_ends_before_the_other_router_takes_over_where_whole_seconds_allow() {
        for (deadtime_ms, seconds) in [(300, 2), (2_000, 2), (3_000, 2), (3_200, 3), (6_000, 5), (18_000, 17)]
        {
            let lease = lease(Some(Duration::from_millis(deadtime_ms)));
            assert_eq!(lease, Duration::from_secs(seconds), "{deadtime_ms}");
        }
        assert_eq!(lease(None), Duration::from_secs(10));
    }
}
