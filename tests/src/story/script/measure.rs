//! What the steps wait for, and what they measure.

use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use lvs_ipc::status::Role;

use super::{CALM, PATIENCE, Script};
use crate::{
    ProbeReport, Request,
    eventually::eventually_every,
    story::{
        plan::{Member, Service},
        view::{limit, seconds},
    },
};

/// Pause between two looks at routers and clients: short against every timer, long against the cost of a look.
const PAUSE: Duration = Duration::from_millis(20);

/// Waits, looking at things that cost something.
pub(super) fn eventually<T>(
    within: Duration,
    what: &str,
    look: impl FnMut() -> Result<T, String>,
) -> Result<T> {
    eventually_every(PAUSE, within, what, look)
}

impl Script<'_> {
    /// Why a router has its role, in its own words.
    pub(super) fn reason(&self, router: usize) -> String {
        self.stage.routers[router]
            .status()
            .map_or("it does not say why".to_owned(), |status| status.role.reason)
    }

    /// Waits until a router is the active one.
    pub(super) fn wait_for_heir(&self, router: usize, allowed: Duration) -> Result<()> {
        eventually(allowed + PATIENCE, "the other router to be active", || {
            let active = self.stage.active();
            if active == Some(router) {
                Ok(())
            } else {
                Err(format!("active is {:?}", active.map(|n| self.name(n))))
            }
        })
    }

    /// Waits until each client has got some answers to requests from a moment on, and the audience has seen it.
    pub(super) fn answers(&self, from: Duration, wanted: usize, watch: Duration) -> Result<()> {
        eventually(PATIENCE * 3, &format!("{wanted} answers of every virtual server"), || {
            let seen = self.stage.seen(from);
            let fewest = seen.iter().map(|report| report.total() - report.failures().len()).min();
            let enough = fewest.is_some_and(|fewest| fewest >= wanted) && self.now() >= from + watch;
            if enough { Ok(()) } else { Err(shown(&seen)) }
        })
    }

    /// Waits until every real server that the file wants used is in a router's table.
    pub(super) fn wait_for_table(&self, router: usize, within: Duration) -> Result<()> {
        let services = &self.stage.plan.services;
        let waited = eventually(within, "all real servers in the table", || {
            let weights = self.stage.weights(router);
            let complete = services.iter().zip(&weights).all(|(service, weights)| {
                service.members.iter().zip(weights).all(|(member, weight)| as_wanted(member, *weight))
            });
            if complete { Ok(()) } else { Err(format!("{weights:?}")) }
        });
        waited.map_err(|_| {
            let unused = self.stage.routers[router].unused().join("; ");
            anyhow!("after {} not all real servers are in use: {unused}", seconds(within))
        })
    }

    /// Waits until a machine is used by all of its virtual servers, or by none, and says when.
    pub(super) fn wait_for_use(&self, machine: usize, wanted: bool, within: Duration) -> Result<Duration> {
        let router = self.active()?;
        let services = &self.stage.plan.services;
        let what = if wanted { "it to be used again" } else { "it to get no new requests" };
        eventually(within, what, || {
            let weights = self.stage.weights(router);
            let rows = services
                .iter()
                .zip(&weights)
                .flat_map(|(service, weights)| service.members.iter().zip(weights));
            let mut rows = rows.filter(|(member, _)| member.machine == machine);
            let done = rows.all(|(member, weight)| {
                if wanted { as_wanted(member, *weight) } else { weight.is_none_or(|weight| weight == 0) }
            });
            if done { Ok(self.now()) } else { Err(format!("{weights:?}")) }
        })
    }

    /// Waits until the clients are served calmly again and says how long the longest of them was not.
    ///
    /// With `surely`, an outage must come first.
    pub(super) fn outage_after(&self, from: Duration, within: Duration, surely: bool) -> Result<Duration> {
        // The last answer before the deed begins the outage.
        let before = from.saturating_sub(Duration::from_secs(1));
        let calm = |report: &ProbeReport| {
            let after = report.since(from);
            let last = after.requests.len().checked_sub(CALM).map(|n| &after.requests[n..]);
            let over = |last: &[Request]| last.iter().all(|request| request.outcome.is_ok());
            let began = !surely || !after.failures().is_empty();
            began && last.is_some_and(over)
        };
        eventually(within, "calm service after an outage", || {
            let seen = self.stage.seen(before);
            if seen.iter().all(calm) { Ok(()) } else { Err(shown(&seen)) }
        })?;
        Ok(longest_outage(&self.stage.seen(before)))
    }

    /// Measures how long a router takes to become the backup of the other, without any address.
    pub(super) fn expect_backup(
        &self,
        router: usize,
        active: usize,
        from: Duration,
        allowed: Duration,
    ) -> Result<()> {
        let at = eventually(allowed + PATIENCE, "it to be the backup", || {
            let role = self.stage.routers[router].role();
            let held =
                self.stage.routers[router].held(self.stage.plan).map_err(|error| format!("{error:#}"))?;
            if role == Some(Role::Backup) && held.is_empty() {
                Ok(self.now())
            } else {
                Err(format!("{role:?}, holds {held:?}"))
            }
        })?;
        let took = at.saturating_sub(from);
        let stays = self.stage.active() == Some(active);
        let name = self.name(router);
        self.say(format!("{name} waits as backup: {}", self.reason(router)));
        self.expect(
            &format!("{name} is backup within {}, {} stays active", limit(allowed), self.name(active)),
            &seconds(took),
            took <= allowed && stays,
        );
        Ok(())
    }

    /// Expects that nobody was left without an answer.
    pub(super) fn expect_no_failures(&self, expected: &str, seen: &[ProbeReport]) {
        let (failed, total) = failures(seen);
        self.expect(expected, &format!("{failed} of {total}"), failed == 0);
    }

    /// Answers of each member, in the file's order.
    pub(super) fn counts(&self, service: &Service, report: &ProbeReport) -> Vec<usize> {
        let servers = report.servers();
        let of = |member: &Member| {
            let host = self.stage.plan.machines[member.machine].name.as_str();
            servers.get(host).copied().unwrap_or(0)
        };
        service.members.iter().map(of).collect()
    }

    /// The machine that is to fail.
    pub(super) fn victim(&self) -> Option<usize> {
        let seen = self.stage.seen(self.now().saturating_sub(Duration::from_secs(2)));
        let machines = self.stage.plan.machines.iter().enumerate();
        let busy = machines
            .filter(|(_, m)| seen.iter().any(|report| report.servers().contains_key(m.name.as_str())));
        let busy: Vec<usize> = busy.map(|(n, _)| n).collect();
        self.stage.plan.victim(&busy)
    }

    /// What is left of the suite on a router that has been stopped.
    pub(super) fn left_on(&self, router: usize) -> Result<Left> {
        let router = &self.stage.routers[router];
        let processes = router.host.inside().processes().context("processes of a router")?;
        Ok(Left {
            addresses: router.held(self.stage.plan)?.len(),
            rows: router.host.ipvs_table()?.len(),
            processes: processes.len(),
        })
    }
}

/// What is left of the suite on a router.
pub(super) struct Left {
    addresses: usize,
    rows: usize,
    processes: usize,
}

impl Left {
    /// Whether it is nothing.
    pub(super) fn is_empty(&self) -> bool {
        self.addresses + self.rows + self.processes == 0
    }
}

impl std::fmt::Display for Left {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.is_empty() {
            return f.write_str("nothing");
        }
        let Self { addresses, rows, processes } = self;
        write!(f, "{addresses} addresses, {rows} table rows, {processes} processes")
    }
}

/// Failed and all requests.
pub(super) fn failures(seen: &[ProbeReport]) -> (usize, usize) {
    let failed = seen.iter().map(|report| report.failures().len()).sum();
    (failed, seen.iter().map(ProbeReport::total).sum())
}

/// The longest time that a client was without an answer; one that it still is without is the longest.
pub(super) fn longest_outage(seen: &[ProbeReport]) -> Duration {
    let gaps = seen.iter().filter_map(ProbeReport::longest_outage);
    gaps.map(|outage| outage.gap().unwrap_or(Duration::MAX)).max().unwrap_or_default()
}

/// Whether a member is in the table with the weight that the file gives, as far as it gives one above 0.
fn as_wanted(member: &Member, weight: Option<i32>) -> bool {
    weight.is_some_and(|weight| weight > 0 || member.weight == 0)
}

/// Reports for a failure's message.
pub(super) fn shown(seen: &[ProbeReport]) -> String {
    seen.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// Failed requests that were started before a moment.
pub(super) fn failed_before(seen: &[ProbeReport], until: Duration) -> usize {
    let early = |report: &ProbeReport| report.failures().iter().filter(|request| request.at < until).count();
    seen.iter().map(early).sum()
}
