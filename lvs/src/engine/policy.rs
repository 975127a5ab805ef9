//! What the health of all real servers of a virtual server together makes of the table: quorum, sorry server and slow
//! start, on top of what each server's own standing asks for.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use daemonkit::clock::Mono;
use ipvsadm::{DestinationId, Table};
use lvs_config::model::{Quorum, RealServer, VirtualServer};

use super::climb::Ramp;
use super::quorum::{Quorums, State};
use super::slow_start::{Around, Rule, SlowStarts};
use super::{Engine, Server};
use crate::action::Action;
use crate::desired::{Wanted, WantedService, real_servers, wanted};
use crate::event::Event;
use crate::health::Standing;
use crate::hook::HookCommand;
use crate::identity::{ServerKey, destination_id, service_id, sorry_id};
use crate::scope::Scope;
use crate::tally::{Tally, gained_from, lost_below};

/// Shortest time within which servers count as coming up together when a service starts: starting many monitors takes
/// a while, however short the interval of their checks.
const TOGETHER: Duration = Duration::from_secs(5);

/// What is remembered from one look at a virtual server to the next.
#[derive(Debug, Clone, Default)]
pub(super) struct Policy {
    pub(super) quorums: Quorums,
    pub(super) slow_starts: SlowStarts,
}

impl Engine {
    /// Tells the reconciler what is wanted of the services about which something may have changed. Returns what is to
    /// be said about them.
    pub(super) fn say_what_is_wanted(&mut self, now: Mono) -> Vec<Action> {
        let scope = std::mem::take(&mut self.stale);
        if self.stop_by.is_some() {
            if scope == Scope::All {
                self.policy = Policy::default();
                self.reconciler.want(Wanted::default());
            }
            return Vec::new();
        }
        let standing = |key: &ServerKey| {
            let awaited = self.first_checks.are_awaited(&key.service) || self.retiring.covers(&key.service);
            let standing = self.servers.get(key).map_or(Standing::Out, |server| server.standing(awaited));
            self.overrides.standing(key, standing)
        };
        // What was there before is part of every decision, so none is made before that is known.
        let Some(table) = self.reconciler.believed() else {
            self.reconciler.want(wanted(&self.config, standing));
            return Vec::new();
        };
        let is_checked = |key: &ServerKey| self.servers.get(key).is_some_and(Server::is_checked);
        let (mut services, mut actions, mut decided) = (Vec::new(), Vec::new(), Vec::new());
        let mut seen = BTreeSet::new();
        for virtual_server in self.config.active_virtual_servers() {
            let id = service_id(virtual_server);
            if !scope.contains(&id) || !seen.insert(id) {
                continue;
            }
            let mut keys =
                virtual_server.active_servers().map(|server| ServerKey::of(virtual_server, server));
            let checked =
                keys.any(|key| is_checked(&key)) || virtual_server.active_servers().next().is_none();
            let (mut service, news) = self.policy.service(now, virtual_server, standing, checked, table);
            if service.sorry || self.policy.quorums.is_held(&id) {
                decided.push(id);
            }
            self.overrides.add_leaving(&mut service);
            services.push(service);
            if let Some((held, tally)) = news {
                actions.extend(told(virtual_server, held, tally));
                self.hooks.extend(hook(virtual_server, held, tally));
            }
        }
        decided.iter().for_each(|service| self.first_checks.end(service));
        self.keep_retiring(now, &mut services);
        if scope == Scope::All {
            self.policy.quorums.retain(|service| seen.contains(service));
            self.policy.slow_starts.retain(|service| seen.contains(service));
            self.reconciler.want(Wanted { services });
        } else {
            services.into_iter().for_each(|service| self.reconciler.want_service(service));
        }
        if self.policy.slow_starts.take_unsaved() {
            self.saving.changed();
        }
        actions
    }
}

impl Policy {
    /// What is wanted of one service in a kernel that has `table`; and, when its quorum is news, whether it is held and
    /// what was counted. `checked` is whether a check has decided anything about it yet.
    fn service(
        &mut self,
        now: Mono,
        virtual_server: &VirtualServer,
        standing: impl Fn(&ServerKey) -> Standing,
        checked: bool,
        table: &Table,
    ) -> (WantedService, Option<(bool, Tally)>) {
        let id = service_id(virtual_server);
        let (mut wanted, tally) = real_servers(virtual_server, &standing);
        let (state, is_news) = self.quorums.judge(now, id, virtual_server.quorum, tally, checked);
        if state == State::Lost {
            wanted.call_sorry_server(virtual_server);
        }
        match Ramp::of(virtual_server.climb()) {
            None => self.slow_starts.forget(&id),
            Some(ramp) => {
                let together = (virtual_server.check.interval * 2).max(TOGETHER);
                let around = Surroundings { virtual_server, table, standing };
                self.slow_starts.apply(now, Rule { ramp, together }, &mut wanted, &around);
            }
        }
        (wanted, is_news.then_some((state == State::Held, tally)))
    }
}

/// What slow starts may ask of a virtual server.
struct Surroundings<'a, S> {
    virtual_server: &'a VirtualServer,
    table: &'a Table,
    standing: S,
}

impl<S: Fn(&ServerKey) -> Standing> Around for Surroundings<'_, S> {
    fn all(&self) -> BTreeSet<DestinationId> {
        let servers = self.virtual_server.active_servers();
        servers.map(|server| destination_id(self.virtual_server, server)).collect()
    }

    fn found(&self) -> BTreeMap<DestinationId, u32> {
        let sorry = self.virtual_server.sorry_server.map(|sorry| sorry_id(self.virtual_server, &sorry));
        let entry = self.table.find(&service_id(self.virtual_server));
        let rows = entry.into_iter().flat_map(|entry| &entry.destinations).map(|row| &row.destination);
        let serving = rows.filter(|row| row.weight > 0 && Some(row.id) != sorry);
        serving.map(|row| (row.id, row.weight)).collect()
    }

    fn kept(&self) -> BTreeMap<DestinationId, u32> {
        let is_kept = |server: &&RealServer| {
            matches!((self.standing)(&ServerKey::of(self.virtual_server, server)), Standing::Kept(_))
        };
        let kept = self.virtual_server.active_servers().filter(is_kept);
        kept.map(|server| (destination_id(self.virtual_server, server), server.weight.value())).collect()
    }
}

/// The log line about a quorum. Where the file says nothing about it, the health of the servers has said it all.
fn told(virtual_server: &VirtualServer, held: bool, tally: Tally) -> Option<Action> {
    let is_asked_for = virtual_server.quorum != Quorum::default()
        || virtual_server.hooks.on_up.is_some()
        || virtual_server.hooks.on_down.is_some();
    is_asked_for.then(|| {
        Action::Log(Event::Quorum {
            vs: virtual_server.name.clone(),
            held,
            weight: tally.weight,
            needed: if held { lost_below(virtual_server.quorum) } else { gained_from(virtual_server.quorum) },
            reason: reason(tally),
        })
    })
}

fn hook(virtual_server: &VirtualServer, held: bool, tally: Tally) -> Option<HookCommand> {
    let hooks = &virtual_server.hooks;
    let words = if held { hooks.on_up.as_deref() } else { hooks.on_down.as_deref() }?;
    Some(HookCommand::of_virtual_server(words, virtual_server, held, &reason(tally)))
}

/// Why a quorum is held or lost.
pub(super) fn reason(tally: Tally) -> String {
    let Tally { weight, usable, all, .. } = tally;
    format!("{usable} of {all} real servers take connections, with weight {weight}")
}
