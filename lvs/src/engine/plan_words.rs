//! A plan in the operator's words: a line for each request to the kernel, and for what follows later.

use std::collections::BTreeMap;

use daemonkit::clock::Mono;
use ipvsadm::{Destination, DestinationEntry, DestinationId, Request, ServiceId};
use lvs_config::sysctl::SysctlName;
use lvs_ipc::status::{Health, Left};

use super::Engine;
use super::climb::Ramp;
use super::directory::Directory;
use super::overrides::{in_words, left};
use crate::difference::{self, settings};
use crate::identity::{ServerKey, destination_id, service_id};
use crate::kernel::Reading;
use crate::operator_event::OperatorEvent;
use crate::sysctl::needs::Needs;
use crate::wording::counted;

/// The plan in words, in the making.
pub(super) struct Words<'p> {
    pub(super) old: &'p Engine,
    pub(super) new: &'p Engine,
    /// What the files of `new` and `old` call things.
    pub(super) names: [&'p Directory<'p>; 2],
    /// What the kernel has before.
    pub(super) before: &'p Reading,
    pub(super) now: Mono,
    pub(super) lines: Vec<String>,
}

impl Words<'_> {
    fn say(&mut self, service: &ServiceId, what: &str) {
        let name = self.names.iter().find_map(|names| names.service(service));
        let name = name.map_or_else(|| service.to_string(), str::to_owned);
        self.lines.push(format!("{name}: {what}"));
    }

    /// One line for a request, with what the kernel said to it before.
    pub(super) fn request(&mut self, request: &Request) {
        self.change(request);
        if let Some(error) = self.old.reconciler.refusal_of(request)
            && let Some(line) = self.lines.last_mut()
        {
            line.push_str(&format!(" (so far the kernel refuses this: {error})"));
        }
    }

    fn change(&mut self, request: &Request) {
        match request {
            Request::AddService(service) => {
                self.say(&service.id, &format!("new service {}, {}", service.id, settings(service)));
            }
            Request::EditService(service) => {
                let known = self.before.table.find(&service.id);
                let what = known.map(|entry| difference::service(service, &entry.service));
                self.say(&service.id, &what.unwrap_or_else(|| settings(service)));
            }
            Request::DeleteService(id) => {
                let rows = self.before.table.find(id).map_or(&[][..], |entry| &entry.destinations);
                let servers = counted(rows.len(), "real server");
                self.say(id, &format!("service {id} withdrawn with {servers}{}", cut_off(rows)));
            }
            Request::AddDestination(id, row) => {
                let who = self.who(id, &row.id);
                let climb = self.new.policy.slow_starts.progress(&(*id, row.id));
                let full = climb.map_or(row.weight, |climb| climb.full);
                self.say(id, &format!("{who} added with {}", climbing(row.weight, full)));
            }
            Request::EditDestination(id, row) => {
                let what = self.edited(id, row);
                self.say(id, &what);
            }
            Request::DeleteDestination(id, row) => {
                let who = self.who(id, row);
                let found = self.before.table.find(id).and_then(|entry| entry.find(row));
                self.say(id, &format!("{who} removed{}", cut_off(found)));
            }
            Request::SetTimeouts(wanted) => {
                let what = difference::timeouts(wanted, &self.before.timeouts);
                self.lines.push(format!("IPVS: {what}"));
            }
            other => self.lines.push(other.to_string()),
        }
    }

    fn edited(&self, service: &ServiceId, row: &Destination) -> String {
        let who = self.who(service, &row.id);
        if let Some(leaving) = self.new.overrides.state.leaving.get(&(*service, row.id)) {
            let left = leaving.left.unwrap_or_default();
            let within = in_words(leaving.deadline.since(self.now));
            return format!(
                "{who} drained: weight 0 now, removed when no connection is left ({left}), in {within} at most"
            );
        }
        let Some(known) = self.before.table.find(service).and_then(|entry| entry.find(&row.id)) else {
            return format!("{who} changed");
        };
        format!("{who} {}", difference::destination(row, &known.destination))
    }

    /// What a row stands for.
    fn who(&self, service: &ServiceId, row: &DestinationId) -> String {
        let named = self.names.iter().find_map(|names| names.row(service, row));
        let key = (*service, *row);
        let leaving = || Some(self.new.overrides.state.leaving.get(&key)?.names.server.as_str());
        named.or_else(leaving).map_or_else(|| row.to_string(), |name| format!("{name} {row}"))
    }

    /// Rows that the file no longer names and without which nobody would serve.
    pub(super) fn retiring(&mut self) {
        for virtual_server in self.new.config.active_virtual_servers() {
            let service = service_id(virtual_server);
            let rows = self.new.retiring.count(&service);
            if rows == self.old.retiring.count(&service) || rows == 0 {
                continue;
            }
            let (go, they) = if rows == 1 { ("goes", "it is") } else { ("go", "they are") };
            let then = if virtual_server.drain.is_some() { "drained" } else { "removed" };
            let servers = counted(rows, "real server");
            self.say(
                &service,
                &format!(
                    "{servers} that the file no longer names {go} on serving until a new one can, then {they} {then}"
                ),
            );
        }
    }

    /// Servers that nobody has checked and that have no row: they wait.
    pub(super) fn first_checks(&mut self) {
        let table = self.new.reconciler.believed().cloned().unwrap_or_default();
        let mut waiting = Vec::new();
        for virtual_server in self.new.config.active_virtual_servers() {
            let service = service_id(virtual_server);
            for server in virtual_server.active_servers() {
                let key = ServerKey::of(virtual_server, server);
                let is_new = !self.old.servers.contains_key(&key);
                let unknown =
                    self.new.servers.get(&key).is_some_and(|known| known.health.state() == Health::Unknown);
                let row = destination_id(virtual_server, server);
                let has_row = table.find(&service).is_some_and(|entry| entry.find(&row).is_some());
                if is_new && unknown && !has_row {
                    let full = server.weight.value();
                    let first = Ramp::of(virtual_server.climb()).map_or(full, |ramp| {
                        self.new.policy.slow_starts.first_weight(self.now, ramp, &(service, row), full)
                    });
                    let what = format!(
                        "{} {row} added with {} when its first check passes",
                        server.name,
                        climbing(first, full)
                    );
                    waiting.push((service, what));
                }
            }
        }
        waiting.into_iter().for_each(|(service, what)| self.say(&service, &what));
    }

    /// Settings of the kernel, by what is known of this router before the new file has it looked at.
    pub(super) fn sysctls(&mut self) {
        let of = |engine: &Engine| -> BTreeMap<SysctlName, i64> {
            let all = engine.sysctls.settings_for(&Needs::of(&engine.config)).into_iter();
            all.map(|setting| (setting.name, setting.value)).collect()
        };
        let (old, new) = (of(self.old), of(self.new));
        for (name, value) in new.iter().filter(|(name, value)| old.get(name) != Some(value)) {
            self.lines.push(format!("setting of the kernel: {name} = {value}"));
        }
        for name in old.keys().filter(|name| !new.contains_key(name)) {
            self.lines.push(format!("setting of the kernel: {name} no longer kept"));
        }
    }

    /// Overrides that the new file ends.
    pub(super) fn overrides(&mut self, events: &[OperatorEvent]) {
        for event in events {
            match event {
                OperatorEvent::Dropped { target, what } => {
                    self.lines.push(format!("{target}: {what} forgotten"));
                }
                OperatorEvent::Followed { target, what, address } => {
                    self.lines.push(format!("{target}: {what} goes along to {address}"));
                }
                OperatorEvent::Stayed { target, what, was, address } => {
                    self.lines.push(format!("{target}: {what} stays with {address}, which was {was}"));
                }
                OperatorEvent::Returned(target) => {
                    self.lines.push(format!("{target}: no longer drained"));
                }
                _ => {}
            }
        }
    }
}

/// What rows that go take with them.
fn cut_off<'r>(rows: impl IntoIterator<Item = &'r DestinationEntry>) -> String {
    let all = rows.into_iter().map(left).fold(Left::default(), |sum, row| Left {
        active: sum.active.saturating_add(row.active),
        inactive: sum.inactive.saturating_add(row.inactive),
        persistent: sum.persistent.saturating_add(row.persistent),
    });
    if all.is_nothing() { String::new() } else { format!("; {all} cut off") }
}

/// The weight with which a server joins.
fn climbing(weight: u32, full: u32) -> String {
    if weight == full { format!("weight {weight}") } else { format!("weight {weight} (growing to {full})") }
}
