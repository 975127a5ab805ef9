//! Where overrides and drains meet the rest of the engine: the table that was read, the standing of servers, the log and
//! the state file.

use std::collections::{BTreeMap, BTreeSet};

use daemonkit::clock::Mono;
use ipvsadm::ServiceId;
use lvs_ipc::status::Health;

use super::Engine;
use crate::action::Action;
use crate::event::Event;
use crate::health::Standing;
use crate::identity::ServerKey;
use crate::orders::State;

/// What precedes the reason of a failure that an earlier run saw.
const BEFORE_RESTART: &str = "before the restart: ";

impl Engine {
    /// Takes what an earlier run left in the state file, before the first step; or why that could not be read.
    pub fn restore(&mut self, now: Mono, state: Result<State, String>) {
        self.saving.read(now, state.clone());
        let state = state.unwrap_or_default();
        self.known_down.clone_from(&state.down);
        self.overrides.restore(state, &self.config);
    }

    /// What is to survive a restart.
    fn state(&self) -> State {
        let down = self.servers.iter().filter(|(_, server)| server.health.state() == Health::Down);
        let down = down.map(|(key, server)| {
            let reason = server.health.reason();
            (*key, reason.strip_prefix(BEFORE_RESTART).unwrap_or(reason).to_owned())
        });
        State { down: down.collect(), ..self.overrides.state.clone() }
    }

    /// Lets servers of services that are in the table be down that an earlier run knew to be. Of services that are not,
    /// nothing is known: what failed may have been long ago. Where nobody else has a weight, those that the kernel gives
    /// one keep it until their first check: the file may be older than the kernel's table, and serving something is
    /// better than nothing.
    pub(super) fn recall_down(&mut self, now: Mono) {
        let Some(table) = self.reconciler.believed() else { return };
        let down: BTreeMap<ServerKey, String> = std::mem::take(&mut self.known_down);
        let has_weight = |key: &ServerKey| {
            let row = table.find(&key.service).and_then(|entry| entry.find(&key.server));
            row.is_some_and(|row| row.destination.weight > 0)
        };
        // The sorry server is none of these.
        let others = self.servers.keys().filter(|key| !down.contains_key(key) && has_weight(key));
        let served: BTreeSet<ServiceId> = others.map(|key| key.service).collect();
        for (key, reason) in &down {
            let exists = table.find(&key.service).is_some();
            if !exists || has_weight(key) && !served.contains(&key.service) {
                continue;
            }
            if let Some(server) = self.servers.get_mut(key) {
                server.health.known_down(now, format!("{BEFORE_RESTART}{reason}"));
            }
        }
    }

    /// The table was read: how far the drains are.
    pub(super) fn observe_drains(&mut self) {
        if let Some(table) = self.reconciler.believed() {
            self.overrides.observe(&self.config, table, |service| self.retiring.covers(service));
        }
        self.stale_where_touched();
    }

    /// Ends the drains whose time is over. Before the table has been read nobody knows which rows retire.
    pub(super) fn end_drains(&mut self, now: Mono) {
        if self.reconciler.believed().is_some() {
            self.overrides.tick(now, |service| self.retiring.covers(service));
        }
        self.stale_where_touched();
    }

    /// When [`Engine::end_drains`] may have something to do.
    pub(super) fn drain_deadline(&self) -> Option<Mono> {
        self.overrides.deadline().filter(|_| self.reconciler.believed().is_some())
    }

    /// Where overrides changed, something else may be wanted.
    pub(super) fn stale_where_touched(&mut self) {
        for service in self.overrides.take_touched() {
            self.stale.add(service);
        }
    }

    /// What is wanted of a server, by its health and its overrides.
    pub(super) fn standing_of(&self, key: &ServerKey) -> Standing {
        let awaited = self.first_checks.are_awaited(&key.service) || self.retiring.covers(&key.service);
        let standing = self.servers.get(key).map_or(Standing::Out, |server| server.standing(awaited));
        self.overrides.standing(key, standing)
    }

    /// Log lines that are due, and the state when it is to be saved.
    pub(super) fn tell_and_save(&mut self, now: Mono) -> Vec<Action> {
        let news = self.overrides.take_news();
        let mut actions: Vec<Action> =
            news.into_iter().map(|event| Action::Log(Event::Operator(event))).collect();
        if self.overrides.take_unsaved() {
            self.saving.changed();
        }
        actions.extend(self.saving.tick(now));
        if self.saving.is_due(now) {
            let state = self.state();
            actions.extend(self.saving.save(now, state));
        }
        actions
    }
}
