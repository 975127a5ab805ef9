//! What is counted of the director's own doings, from what the engine is told and what it asks for.
//!
//! It sees every input and every action and decides nothing. A reload resets nothing but what is known of real servers
//! that are gone.

use std::collections::BTreeMap;

use daemonkit::clock::Mono;
use ipvsadm::{Request, ServiceId};
use lvs_ipc::counts::{Monitors, Reloads, Repairs, Requests};

use crate::action::{Action, Input};
use crate::event::Event;
use crate::identity::ServerKey;
use crate::scope::service_of;
use crate::supervisor::Supervisor;

/// Something that happened.
pub(super) type Happened = (Mono, String);

/// The counters.
#[derive(Debug, Clone)]
pub(super) struct Counters {
    pub(super) started: Mono,
    pub(super) table_read: Option<Mono>,
    /// Without the last one, which is `last_repair`.
    pub(super) repairs: Repairs,
    pub(super) last_repair: Option<Happened>,
    pub(super) repairs_of: BTreeMap<ServiceId, u64>,
    pub(super) reloads: Reloads,
    pub(super) requests: Requests,
    /// Without their number.
    pub(super) monitors: Monitors,
    pub(super) servers: BTreeMap<ServerKey, ServerCounts>,
    pub(super) last_change: Option<Happened>,
}

/// What is counted of one real server.
#[derive(Debug, Clone, Default)]
pub(super) struct ServerCounts {
    pub(super) health_changes: u64,
    pub(super) starts: u64,
    pub(super) failures: u64,
    pub(super) late_starts: u64,
    pub(super) last_change: Option<Happened>,
}

impl Counters {
    pub(super) fn new(now: Mono) -> Self {
        Self {
            started: now,
            table_read: None,
            repairs: Repairs::default(),
            last_repair: None,
            repairs_of: BTreeMap::new(),
            reloads: Reloads::default(),
            requests: Requests::default(),
            monitors: Monitors::default(),
            servers: BTreeMap::new(),
            last_change: None,
        }
    }

    /// The engine is told this.
    pub(super) fn hear(&mut self, now: Mono, input: &Input) {
        match input {
            Input::Table(Ok(_)) => self.table_read = Some(now),
            Input::Applied(Ok(outcomes)) => {
                self.requests.refused += count(outcomes.iter().filter(|outcome| outcome.is_err()));
            }
            _ => {}
        }
    }

    /// The engine asks for this. What befalls a monitor befalls all real servers that share it; `server_of` finds the one
    /// that an operator calls `VIRTUAL/SERVER`.
    pub(super) fn see(
        &mut self,
        now: Mono,
        actions: &[Action],
        monitors: &Supervisor,
        server_of: impl Fn(&str) -> Option<ServerKey>,
    ) {
        for action in actions {
            match action {
                Action::Apply(requests) => self.requests.sent += count(requests),
                Action::Log(Event::Operator(event)) => {
                    if let Some((target, what)) = event.change() {
                        self.ordered(now, target, server_of(target), what);
                    }
                }
                Action::Log(event) => self.event(now, event, monitors),
                _ => {}
            }
        }
    }

    /// Forgets the real servers and services that are gone.
    pub(super) fn retain(
        &mut self,
        server_stays: impl Fn(&ServerKey) -> bool,
        service_stays: impl Fn(&ServiceId) -> bool,
    ) {
        self.servers.retain(|key, _| server_stays(key));
        self.repairs_of.retain(|service, _| service_stays(service));
    }

    fn event(&mut self, now: Mono, event: &Event, monitors: &Supervisor) {
        match event {
            Event::Health { vs, key, to, reason, .. } => {
                self.of(key).health_changes += 1;
                self.changed(now, vs, key, format!("{to}: {reason}"));
            }
            Event::Weight { vs, key, to, reason } => {
                self.changed(now, vs, key, format!("weight {to}: {reason}"));
            }
            Event::Quorum { vs, held, reason, .. } => {
                let state = if *held { "held" } else { "lost" };
                self.last_change = Some((now, format!("{vs} quorum {state}: {reason}")));
            }
            Event::Drift { request, what } => self.repaired(now, request, what.as_deref()),
            Event::Reloaded { .. } => {
                self.reloads.good += 1;
                self.last_change = Some((now, "the file was read again".into()));
            }
            Event::Renamed { .. } => {
                self.last_change = Some((now, "names of the file have other addresses".into()));
            }
            Event::ReloadRefused(_) => self.reloads.refused += 1,
            Event::MonitorStarted { key, .. } => {
                self.monitors.starts += 1;
                monitors.sharing(key).iter().for_each(|key| self.of(key).starts += 1);
            }
            Event::MonitorEnded { key, .. }
            | Event::MonitorNotStarted { key, .. }
            | Event::MonitorGivenUp { key, .. }
            | Event::MonitorMute { key, .. } => {
                self.monitors.failures += 1;
                monitors.sharing(key).iter().for_each(|key| self.of(key).failures += 1);
            }
            _ => {}
        }
    }

    /// The monitor of these real servers has begun so many checks late.
    pub(super) fn late(&mut self, keys: &[ServerKey], starts: u64) {
        self.monitors.late_starts += starts;
        keys.iter().for_each(|key| self.of(key).late_starts += starts);
    }

    fn of(&mut self, key: &ServerKey) -> &mut ServerCounts {
        self.servers.entry(*key).or_default()
    }

    fn changed(&mut self, now: Mono, vs: &str, key: &ServerKey, what: String) {
        self.last_change = Some((now, format!("{vs}/{} {what}", key.server)));
        self.of(key).last_change = Some((now, what));
    }

    /// What an operator asked for changed something of a virtual server, or of this real server.
    fn ordered(&mut self, now: Mono, target: &str, server: Option<ServerKey>, what: String) {
        self.last_change = Some((now, format!("{target} {what}")));
        if let Some(key) = server {
            self.of(&key).last_change = Some((now, what));
        }
    }

    fn repaired(&mut self, now: Mono, request: &Request, what: Option<&str>) {
        let counter = match request {
            Request::AddService(_) => &mut self.repairs.services_added,
            Request::EditService(_) => &mut self.repairs.services_edited,
            Request::DeleteService(_) => &mut self.repairs.services_deleted,
            Request::AddDestination(..) => &mut self.repairs.servers_added,
            Request::EditDestination(..) => &mut self.repairs.servers_edited,
            Request::DeleteDestination(..) => &mut self.repairs.servers_deleted,
            Request::SetTimeouts(_) => &mut self.repairs.timeouts_set,
            // Nothing else is ever missing.
            _ => return,
        };
        *counter += 1;
        let text = what.map_or_else(|| format!("ipvsadm {request}"), str::to_owned);
        self.last_repair = Some((now, text));
        if let Some(service) = service_of(request) {
            *self.repairs_of.entry(service).or_default() += 1;
        }
    }
}

fn count<T>(things: impl IntoIterator<Item = T>) -> u64 {
    things.into_iter().map(|_| 1).sum()
}
