//! Taking a configuration: what stays keeps its health and its monitor, and only the rest changes.
//!
//! A server that joins a monitor which has spoken already knows at once what that one said.
//!
//! A virtual server that moved (another address, port, protocol or mask under the same name) takes the health of
//! its servers along, so that the new service serves before the old one goes; and what climbs goes on climbing.

use std::collections::{BTreeMap, HashMap};

use daemonkit::clock::Mono;
use ipvsadm::DestinationId;
use lvs_config::Config;
use lvs_config::model::{RealServer, StartPolicy, VirtualServer};

use super::overrides::services_of;
use super::slow_start::Row;
use super::{Engine, Server};
use crate::action::Action;
use crate::event::Event;
use crate::feeds::feeds;
use crate::health::ServerHealth;
use crate::identity::{ServerKey, destination_id, service_id};
use crate::plan::timeouts;
use crate::scope::Scope;
use crate::supervisor::Rearranged;
use crate::sysctl::needs::Needs;

impl Engine {
    /// Makes the first configuration, which is in `self` already, the one in force.
    pub(super) fn begin(&mut self, now: Mono) {
        self.servers = servers_of(now, &self.config, |_, _| None);
        let feeds = feeds(&self.settings.monitors, &self.config);
        // There is nothing to stop yet.
        let _ = self.supervisor.want(now, feeds);
        self.reconciler.want_timeouts(timeouts(self.config.timeouts));
    }

    /// Takes the configuration of a file that was read again. Whoever asks for that may have put right what kept the kernel
    /// from accepting something: it is asked again at once.
    pub(super) fn reload(&mut self, now: Mono, config: Config) -> Vec<Action> {
        self.reconciler.hurry(now);
        let (mut actions, monitors_changed) = self.take(now, config);
        self.reload.update(now, true, "read again".into());
        actions.push(Action::Log(Event::Reloaded {
            virtual_servers: self.config.active_virtual_servers().count(),
            real_servers: self.servers.len(),
            monitors_changed,
        }));
        actions
    }

    /// Takes the configuration in force with other addresses of its names. The file on the disk may be another one by
    /// now; what was said of it holds.
    pub(super) fn rename(&mut self, now: Mono, config: Config) -> Vec<Action> {
        let (mut actions, monitors_changed) = self.take(now, config);
        actions.push(Action::Log(Event::Renamed { monitors_changed }));
        actions
    }

    /// Makes another configuration the one in force; returns also how many monitors that changes.
    fn take(&mut self, now: Mono, config: Config) -> (Vec<Action>, usize) {
        let old_config = std::mem::replace(&mut self.config, config);
        let old = std::mem::take(&mut self.servers);
        let moved = moved_servers(&old_config, &self.config);
        self.servers = servers_of(now, &self.config, |name, key| {
            let before = old.get(&key).or_else(|| old.get(moved.get(&(name, key.server))?));
            before.map(|server| server.health.clone())
        });
        self.overrides.follow(&self.config, &services_of(&old_config));
        self.policy.slow_starts.follow(&moved_rows(&old_config, &self.config, &moved));
        if let Some(table) = self.reconciler.believed() {
            self.overrides.let_leave(now, &old_config, &self.config, table);
        }
        self.saving.changed();
        self.forget_weights_of(&old_config);
        let services = services_of(&self.config);
        self.counters.retain(|key| self.servers.contains_key(key), |id| services.contains(id));
        // The table was read within the last second; a row that is there already need not wait for a check.
        let _ = self.adopt(now);
        self.sysctls.want(now, Needs::of(&self.config));
        self.stale = Scope::All;
        self.reconciler.want_timeouts(timeouts(self.config.timeouts));
        let feeds = feeds(&self.settings.monitors, &self.config);
        let Rearranged { mut actions, changed: monitors_changed, known } = self.supervisor.want(now, feeds);
        for (key, report) in known {
            actions.extend(self.told(now, key, &report));
        }
        actions.extend(self.retire(now));
        (actions, monitors_changed)
    }

    /// A weight that a monitor computed was relative to the file's; where that changed, it is void.
    fn forget_weights_of(&mut self, old: &Config) {
        let weights: HashMap<ServerKey, u32> =
            each_server(old).map(|(v, server)| (ServerKey::of(v, server), server.weight.value())).collect();
        for (virtual_server, server) in each_server(&self.config) {
            let key = ServerKey::of(virtual_server, server);
            if weights.get(&key).is_some_and(|before| *before != server.weight.value())
                && let Some(known) = self.servers.get_mut(&key)
            {
                known.health.forget_reported_weight();
            }
        }
    }
}

/// The active servers of the active virtual servers.
fn each_server(config: &Config) -> impl Iterator<Item = (&VirtualServer, &RealServer)> {
    config.active_virtual_servers().flat_map(|v| v.active_servers().map(move |server| (v, server)))
}

/// The servers of `config` with the health that is known of them.
fn servers_of<'a>(
    now: Mono,
    config: &'a Config,
    mut known: impl FnMut(&'a str, ServerKey) -> Option<ServerHealth>,
) -> BTreeMap<ServerKey, Server> {
    each_server(config)
        .map(|(virtual_server, server)| {
            let key = ServerKey::of(virtual_server, server);
            let unknown = || match virtual_server.start {
                StartPolicy::Up => ServerHealth::assumed_up(now),
                StartPolicy::Down | StartPolicy::Probe => ServerHealth::unknown(now),
            };
            let known = Server {
                vs: virtual_server.name.clone(),
                name: server.name.clone(),
                hooks: server.hooks.clone(),
                health: known(&virtual_server.name, key).unwrap_or_else(unknown),
            };
            (key, known)
        })
        .collect()
}

/// The rows that servers of `old` had, by those which the same ones have in `new`, where these are others; `moved` are
/// the servers that moved.
fn moved_rows(
    old: &Config,
    new: &Config,
    moved: &HashMap<(&str, DestinationId), ServerKey>,
) -> BTreeMap<Row, Row> {
    let row = |virtual_server: &VirtualServer, server: &RealServer| {
        (service_id(virtual_server), destination_id(virtual_server, server))
    };
    let before: HashMap<ServerKey, Row> =
        each_server(old).map(|(v, server)| (ServerKey::of(v, server), row(v, server))).collect();
    let rows = each_server(new).filter_map(|(v, server)| {
        let key = ServerKey::of(v, server);
        let known = before.get(&key).or_else(|| before.get(moved.get(&(v.name.as_str(), key.server))?));
        Some((row(v, server), *known?))
    });
    rows.filter(|(new, old)| new != old).collect()
}

/// Servers of virtual servers that are gone under their old identity, by the name of their virtual server and
/// what is checked.
fn moved_servers<'a>(old: &'a Config, new: &Config) -> HashMap<(&'a str, DestinationId), ServerKey> {
    let staying = services_of(new);
    each_server(old)
        .map(|(virtual_server, server)| (virtual_server, ServerKey::of(virtual_server, server)))
        .filter(|(_, key)| !staying.contains(&key.service))
        .map(|(virtual_server, key)| ((virtual_server.name.as_str(), key.server), key))
        .collect()
}
