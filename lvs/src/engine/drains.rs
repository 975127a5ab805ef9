//! Where overrides and drains meet the rest of the engine: the table that was read, the standing of servers, and the log.

use daemonkit::clock::Mono;

use super::Engine;
use crate::action::Action;
use crate::event::Event;
use crate::health::Standing;
use crate::identity::ServerKey;

impl Engine {
    /// The table was read: how far the drains are.
    pub(super) fn observe_drains(&mut self) {
        self.overrides.set_expires_templates(self.sysctls.expires_templates());
        if let Some(table) = self.reconciler.believed() {
            self.overrides.observe(&self.config, table, |service| self.retiring.covers(service));
        }
        self.stale_where_touched();
    }

    /// The table was read for the first time: what was taken out of the file while nobody looked is drained as well.
    pub(super) fn let_found_leave(&mut self, now: Mono) {
        let recorded = std::mem::take(&mut self.recorded);
        self.overrides.set_expires_templates(self.sysctls.expires_templates());
        if let Some(table) = self.reconciler.believed() {
            self.overrides.let_found_leave(now, &self.config, table, &recorded);
        }
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
