//! What the health of all real servers of a virtual server together makes of the table: quorum, sorry server and slow
//! start, on top of what each server's own standing asks for.

use std::collections::BTreeSet;

use daemonkit::clock::Mono;
use ipvsadm::{DestinationId, Table};
use lvs_config::model::{Quorum, VirtualServer};

use super::quorum::{Quorums, State};
use super::slow_start::{Rule, SlowStarts};
use super::{Engine, Server};
use crate::action::Action;
use crate::desired::{Wanted, WantedService, real_servers, wanted};
use crate::event::Event;
use crate::health::Standing;
use crate::hook::HookCommand;
use crate::identity::{ServerKey, destination_id, service_id, sorry_id};
use crate::scope::Scope;
use crate::tally::{Tally, gained_from, lost_below};

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
        let (mut wanted, tally) = real_servers(virtual_server, standing);
        let (state, is_news) = self.quorums.judge(now, id, virtual_server.quorum, tally, checked);
        if state == State::Lost {
            wanted.call_sorry_server(virtual_server);
        }
        match virtual_server.slow_start {
            None => self.slow_starts.forget(&id),
            Some(time) => {
                let together = virtual_server.check.interval * 2;
                let ids =
                    || virtual_server.active_servers().map(|server| destination_id(virtual_server, server));
                let before = || serving(virtual_server, table);
                self.slow_starts.apply(now, Rule { time, together }, &mut wanted, || ids().collect(), before);
            }
        }
        (wanted, is_news.then_some((state == State::Held, tally)))
    }
}

/// The real servers that take connections in `table`.
fn serving(virtual_server: &VirtualServer, table: &Table) -> BTreeSet<DestinationId> {
    let sorry = virtual_server.sorry_server.map(|sorry| sorry_id(virtual_server, &sorry));
    let rows = table.find(&service_id(virtual_server)).into_iter().flat_map(|entry| &entry.destinations);
    let serving = rows.map(|row| &row.destination).filter(|row| row.weight > 0 && Some(row.id) != sorry);
    serving.map(|row| row.id).collect()
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
