//! Real servers that the file does not name any more and that are drained: by a reload, or because they are found in the
//! kernel after a restart.
//!
//! Such a server keeps its row with weight 0, unchecked, when its virtual server has `drain`, until no connection is left
//! or that time is over, or an operator ends it; one that is back in the file is as any other. While its virtual server has
//! rows that retire, it may be one of those that serve: its drain begins when that is over.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::net::SocketAddr;
use std::time::Duration;

use daemonkit::clock::Mono;
use ipvsadm::{Destination, DestinationEntry, DestinationId, ServiceId, Table};
use lvs_config::Config;
use lvs_ipc::control::Listed;
use lvs_ipc::status::{LeavingStatus, Override};

use super::{FIRST, Overrides, WallClock, names, quiet, rows_of, shown};
use crate::desired::WantedService;
use crate::engine::target::fits;
use crate::identity::{destination_id, service_id, sorry_id};
use crate::operator_event::OperatorEvent;
use crate::orders::{Leaving, Names, Order};

/// Its service, and its row there.
pub(in crate::engine) type Place = (ServiceId, DestinationId);

impl Overrides {
    /// Adds the rows of servers that are leaving.
    pub(in crate::engine) fn add_leaving(&self, wanted: &mut WantedService) {
        let id = wanted.service.id;
        let mut leaving =
            self.leaving_of(&id).filter_map(|(_, leaving)| leaving.destination.as_ref()).peekable();
        if leaving.peek().is_some() {
            let known: HashSet<DestinationId> = wanted.destinations.iter().map(|known| known.id).collect();
            let free: Vec<Destination> = leaving.filter(|row| !known.contains(&row.id)).cloned().collect();
            // Before a sorry server, which is the last.
            wanted.destinations.splice(0..0, free);
        }
    }

    /// The servers of a service that are leaving.
    pub(in crate::engine) fn leaving_of(
        &self,
        service: &ServiceId,
    ) -> impl Iterator<Item = (&(ServiceId, DestinationId), &Leaving)> {
        let service = *service;
        self.state.leaving.range((service, FIRST)..).take_while(move |((of, _), _)| *of == service)
    }

    /// The file `new` follows `old`: its servers that `new` does not name leave when their virtual server says so, and
    /// those that it names again stay. `table` is the kernel's.
    pub(in crate::engine) fn let_leave(&mut self, now: Mono, old: &Config, new: &Config, table: &Table) {
        self.forget_returned(new);
        for virtual_server in new.active_virtual_servers() {
            let service = service_id(virtual_server);
            let (Some(within), Some(entry)) = (virtual_server.drain, table.find(&service)) else { continue };
            let named = rows_of(virtual_server);
            let before = old.active_virtual_servers().filter(|before| service_id(before) == service);
            for before in before.filter(|before| before.check.client_monitor.is_none()) {
                for server in before.active_servers() {
                    let id = destination_id(before, server);
                    if let Some(row) = entry.find(&id).filter(|_| !named.contains(&id)) {
                        self.leave(now, within, service, names(virtual_server, &server.name), row);
                    }
                }
            }
        }
    }

    /// The table was read for the first time. What is in the services that an earlier run had recorded as ours, and
    /// `config` does not name, was taken out of the file while nobody looked.
    pub(in crate::engine) fn let_found_leave(
        &mut self,
        now: Mono,
        config: &Config,
        table: &Table,
        recorded: &BTreeSet<ServiceId>,
    ) {
        for virtual_server in config.active_virtual_servers() {
            let service = service_id(virtual_server);
            let ours = virtual_server.check.client_monitor.is_none() && recorded.contains(&service);
            let (Some(within), true) = (virtual_server.drain, ours) else { continue };
            let Some(entry) = table.find(&service) else { continue };
            let sorry = virtual_server.sorry_server.map(|sorry| sorry_id(virtual_server, &sorry));
            let named = rows_of(virtual_server);
            for row in &entry.destinations {
                let id = row.destination.id;
                let is_known = named.contains(&id)
                    || sorry == Some(id)
                    || self.state.leaving.contains_key(&(service, id));
                let is_idle = row.destination.weight == 0 && self.to_wait_for(row).is_nothing();
                if !is_known && !is_idle {
                    self.leave(now, within, service, names(virtual_server, &id.to_string()), row);
                }
            }
        }
    }

    fn leave(
        &mut self,
        now: Mono,
        within: Duration,
        service: ServiceId,
        names: Names,
        row: &DestinationEntry,
    ) {
        self.tell(OperatorEvent::Leaving { target: names.to_string(), within });
        let (destination, left) = (Some(quiet(row)), Some(self.to_wait_for(row)));
        let deadline = now + within;
        let leaving = Leaving { names, destination, since: now, deadline, left };
        self.state.leaving.entry((service, row.destination.id)).or_insert(leaving);
        self.expect(deadline);
        self.changed(service);
    }

    /// These rows of a service retire no more: those of them that leave have from now on the time that they were given. The
    /// time of others that leave went on.
    pub(in crate::engine) fn begin_leaving(&mut self, now: Mono, service: ServiceId, rows: &[Destination]) {
        let retired: HashSet<DestinationId> = rows.iter().map(|row| row.id).collect();
        let mut earliest: Option<Mono> = None;
        let leaving = self.state.leaving.range_mut((service, FIRST)..);
        for ((_, id), leaving) in leaving.take_while(|((of, _), _)| *of == service) {
            if retired.contains(id) {
                let within = leaving.deadline.since(leaving.since);
                (leaving.since, leaving.deadline) = (now, now + within);
            }
            earliest = Some(earliest.map_or(leaving.deadline, |known| known.min(leaving.deadline)));
        }
        if let Some(earliest) = earliest {
            self.expect(earliest);
            self.unsaved = true;
        }
    }

    /// The servers that `target` names among those that are leaving: `VIRTUAL/SERVER` by the name in the file that had
    /// it, or by its address with or without port.
    pub(in crate::engine) fn leaving_named(&self, target: &str) -> impl Iterator<Item = (Place, &Leaving)> {
        let is_meant = |place: &Place, leaving: &Leaving| {
            let Names { virtual_server, server } = &leaving.names;
            let word = target.strip_prefix(virtual_server.as_str()).and_then(|rest| rest.strip_prefix('/'));
            word.is_some_and(|word| fits(server, SocketAddr::new(place.1.address, place.1.port), word))
        };
        let found = self.state.leaving.iter().filter(move |(place, leaving)| is_meant(place, leaving));
        found.map(|(place, leaving)| (*place, leaving))
    }

    /// From `now` on, one that is leaving has so much time.
    pub(in crate::engine) fn set_leaving_time(&mut self, now: Mono, place: &Place, within: Duration) {
        if let Some(leaving) = self.state.leaving.get_mut(place) {
            let deadline = now + within;
            (leaving.since, leaving.deadline) = (now, deadline);
            self.expect(deadline);
            self.changed(place.0);
        }
    }

    /// One that is leaving goes at once.
    pub(in crate::engine) fn end_leaving(&mut self, place: &Place) {
        self.state.leaving.remove(place);
        self.changed(place.0);
    }

    /// Servers that `config` names are not leaving, and those of a virtual server that it does not name are gone.
    pub(super) fn forget_returned(&mut self, config: &Config) {
        if self.state.leaving.is_empty() {
            return;
        }
        let mut named: HashMap<ServiceId, BTreeSet<DestinationId>> = HashMap::new();
        for virtual_server in config.active_virtual_servers() {
            named.entry(service_id(virtual_server)).or_insert_with(|| rows_of(virtual_server));
        }
        let mut returned = Vec::new();
        let before = self.state.leaving.len();
        self.state.leaving.retain(|(service, id), leaving| {
            let Some(rows) = named.get(service) else { return false };
            let is_named = rows.contains(id);
            if is_named {
                returned.push(leaving.names.to_string());
            }
            !is_named
        });
        self.unsaved |= self.state.leaving.len() != before;
        returned.into_iter().for_each(|target| self.tell(OperatorEvent::Returned(target)));
    }

    /// The servers of a service that are leaving, for people.
    pub(in crate::engine) fn leaving_status(
        &self,
        clock: WallClock,
        service: &ServiceId,
    ) -> Vec<LeavingStatus> {
        self.leaving_of(service)
            .map(|((_, row), leaving)| LeavingStatus {
                name: leaving.names.server.clone(),
                address: row.to_string(),
                deadline_ms: clock.epoch_ms(leaving.deadline),
                left: leaving.left,
            })
            .collect()
    }

    /// The same as overrides: it is the file that asks for them.
    pub(in crate::engine) fn list_leaving(&self, clock: WallClock, service: &ServiceId) -> Vec<Listed> {
        self.leaving_of(service)
            .map(|(_, leaving)| {
                let deadline_ms = Some(clock.epoch_ms(leaving.deadline));
                let what = Override::Drain { deadline_ms, left: leaving.left, ended: None };
                let order =
                    Order { by: "the file".into(), at_ms: clock.epoch_ms(leaving.since), reason: None };
                Listed { target: leaving.names.to_string(), override_status: shown(what, &order) }
            })
            .collect()
    }
}
