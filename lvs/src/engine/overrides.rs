//! What overrides and drains make of the wanted table, and when a drain is over.
//!
//! | override | in the table |
//! | --- | --- |
//! | drain | weight 0; out when the kernel shows no connection left, or at the deadline |
//! | disabled | out |
//! | forced | as if its check had passed |
//! | weight | this weight, while it serves |
//! | sorry | all real servers of the virtual server at weight 0, so that its sorry server serves |
//!
//! A drained server goes on being checked: one that fails is treated as any that fails. Connections are those of the
//! kernel's row as last read: established, closing (UDP flows are counted there), and persistence templates. A template
//! counts where it sends its client here again in spite of weight 0: what is drained is the client's session. Where the
//! kernel sends such a client to another server (`net.ipv4.vs.expire_quiescent_template`), it does not.
//! A UDP client that never pauses keeps its flow until the deadline.

mod following;
mod leaving;

pub(super) use leaving::Place;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use daemonkit::clock::Mono;
use ipvsadm::{Destination, DestinationEntry, DestinationId, ServiceId, Table};
use lvs_config::Config;
use lvs_config::model::VirtualServer;
use lvs_ipc::status::{Left, Override, OverrideStatus};

use super::WallClock;
use crate::health::Standing;
use crate::identity::{ServerKey, destination_id, service_id};
use crate::operator_event::OperatorEvent;
use crate::orders::{Admin, Drain, Ended, Names, Order, ServerOrders, State};

/// The least of the destinations, with which those of a service begin.
const FIRST: DestinationId = DestinationId { address: IpAddr::V4(Ipv4Addr::UNSPECIFIED), port: 0 };

/// So many orders of an earlier run are told one by one.
const TOLD_ONE_BY_ONE: usize = 20;

/// The overrides in force. Of [`State`], `down` and `climbing` are not kept here.
#[derive(Debug, Clone, Default)]
pub(super) struct Overrides {
    pub(super) state: State,
    /// Services of which something else may be wanted.
    touched: BTreeSet<ServiceId>,
    /// What has not been logged yet.
    news: Vec<OperatorEvent>,
    /// What is to survive a restart changed.
    unsaved: bool,
    /// The kernel does not send clients that it remembers to a server with weight 0.
    expires_templates: bool,
    /// No drain's time is over before this; looking for the next one takes a look at all.
    earliest: Option<Mono>,
}

impl Overrides {
    // What follows for the table.

    /// What is wanted of a server whose health asks for `standing`.
    pub(super) fn standing(&self, key: &ServerKey, standing: Standing) -> Standing {
        let mut standing = standing;
        if let Some(orders) = self.state.servers.get(key) {
            if let Some((Admin::Forced, _)) = orders.admin
                && !matches!(standing, Standing::Serving(_))
            {
                standing = Standing::Serving(None);
            }
            standing = match (&orders.weight, standing) {
                // What was found counts no more: this is the full weight, from which a climb is counted. A row that
                // was found with none may be a failure's, so that its first check is waited for.
                (Some((weight, _)), Standing::Serving(_) | Standing::Kept(1..)) => {
                    Standing::Serving(Some(*weight))
                }
                (_, standing) => standing,
            };
            standing = match orders.admin {
                Some((Admin::Disabled | Admin::Drain(Drain { ended: Some(_), .. }), _)) => Standing::Out,
                Some((Admin::Drain(_), _)) => without_new_connections(standing),
                Some((Admin::Forced, _)) | None => standing,
            };
        }
        if self.state.sorry.contains_key(&key.service) { without_new_connections(standing) } else { standing }
    }

    // Orders.

    /// The overrides of a server.
    pub(super) fn of(&self, key: &ServerKey) -> Option<&ServerOrders> {
        self.state.servers.get(key)
    }

    /// Puts `admin` in the place of the server's health; `None` ends whatever was there.
    pub(super) fn set_admin(&mut self, key: ServerKey, names: Names, admin: Option<(Admin, Order)>) {
        if let Some((Admin::Drain(Drain { deadline: Some(deadline), .. }), _)) = admin {
            self.expect(deadline);
        }
        self.edit(key, names, |orders| orders.admin = admin);
    }

    /// Gives the server a weight.
    pub(super) fn set_weight(&mut self, key: ServerKey, names: Names, weight: Option<(u16, Order)>) {
        self.edit(key, names, |orders| orders.weight = weight);
    }

    fn edit(&mut self, key: ServerKey, names: Names, edit: impl FnOnce(&mut ServerOrders)) {
        let orders =
            self.state.servers.entry(key).or_insert(ServerOrders { names, admin: None, weight: None });
        edit(orders);
        if orders.admin.is_none() && orders.weight.is_none() {
            self.state.servers.remove(&key);
        }
        self.changed(key.service);
    }

    /// Has the sorry server alone take new connections, or ends that.
    pub(super) fn set_sorry(&mut self, service: ServiceId, name: String, order: Option<Order>) {
        match order {
            Some(order) => drop(self.state.sorry.insert(service, (name, order))),
            None => drop(self.state.sorry.remove(&service)),
        }
        self.changed(service);
    }

    /// Has something logged with the next tick.
    pub(super) fn tell(&mut self, event: OperatorEvent) {
        self.news.push(event);
    }

    /// Whether something changed that has not been handed out by [`Overrides::take_unsaved`] yet.
    pub(super) fn is_unsaved(&self) -> bool {
        self.unsaved
    }

    fn changed(&mut self, service: ServiceId) {
        self.touched.insert(service);
        self.unsaved = true;
    }

    // Time and the kernel.

    /// From now on the kernel sends clients that it remembers to a server with weight 0 again, or to others.
    pub(super) fn set_expires_templates(&mut self, expires: bool) {
        self.expires_templates = expires;
    }

    /// What is to be waited for before `row` can go.
    pub(super) fn to_wait_for(&self, row: &DestinationEntry) -> Left {
        to_wait_for(row, self.expires_templates)
    }

    /// The table was read: how far the drains are. `retires` says of which services rows retire.
    pub(super) fn observe(&mut self, config: &Config, table: &Table, retires: impl Fn(&ServiceId) -> bool) {
        let expires = self.expires_templates;
        let rows = self.rows_to_observe(table);
        let places = self.places_to_observe(config);
        let draining = self.state.servers.iter_mut().filter_map(|(key, orders)| match &mut orders.admin {
            Some((Admin::Drain(drain), _)) if drain.ended.is_none() => Some((*key, &orders.names, drain)),
            _ => None,
        });
        let mut empty = Vec::new();
        for (key, names, drain) in draining {
            let row = places.get(&key).and_then(|id| rows.get(&(key.service, *id)).copied());
            let left = row.map(|row| to_wait_for(row, expires)).unwrap_or_default();
            // Nothing ends where nothing was, such as at an address to which the drain has just moved.
            let was_seen = drain.left.replace(left).is_some() || row.is_some();
            if is_empty(row, expires) {
                drain.ended = Some(Ended::Empty);
                empty.push((key.service, was_seen.then(|| names.to_string())));
            }
        }
        let touched = &mut self.touched;
        self.state.leaving.retain(|(service, id), leaving| {
            let row = rows.get(&(*service, *id)).copied();
            leaving.left = Some(row.map(|row| to_wait_for(row, expires)).unwrap_or_default());
            if leaving.destination.is_none() {
                leaving.destination = row.map(quiet);
                touched.insert(*service);
            }
            // Its row may have had a weight yet when it was read, or get one back.
            let is_over = is_empty(row, expires) && !retires(service);
            if is_over {
                empty.push((*service, Some(leaving.names.to_string())));
            }
            !is_over
        });
        for (service, told) in empty {
            self.changed(service);
            let drained =
                |target| OperatorEvent::Drained { target, ended: Ended::Empty, left: Left::default() };
            self.news.extend(told.map(drained));
        }
    }

    /// The kernel's rows of services with drains.
    fn rows_to_observe<'t>(
        &self,
        table: &'t Table,
    ) -> HashMap<(ServiceId, DestinationId), &'t DestinationEntry> {
        let leaving = self.state.leaving.keys().map(|(service, _)| *service);
        let concerned: HashSet<ServiceId> = self.draining().map(|key| key.service).chain(leaving).collect();
        if concerned.is_empty() {
            return HashMap::new();
        }
        let entries = table.services.iter().filter(|entry| concerned.contains(&entry.service.id));
        let rows = entries.flat_map(|entry| {
            let service = entry.service.id;
            entry.destinations.iter().map(move |row| ((service, row.destination.id), row))
        });
        rows.collect()
    }

    /// What the kernel knows the servers by of services with drains that operators asked for.
    fn places_to_observe(&self, config: &Config) -> HashMap<ServerKey, DestinationId> {
        let concerned: HashSet<ServiceId> = self.draining().map(|key| key.service).collect();
        if concerned.is_empty() {
            return HashMap::new();
        }
        let services = config.active_virtual_servers().filter(|v| concerned.contains(&service_id(v)));
        let servers = services.flat_map(|v| {
            v.active_servers().map(move |server| (ServerKey::of(v, server), destination_id(v, server)))
        });
        servers.collect()
    }

    /// The servers that an operator drains and that still have their rows.
    fn draining(&self) -> impl Iterator<Item = &ServerKey> {
        let drains = |orders: &ServerOrders| {
            matches!(orders.admin, Some((Admin::Drain(Drain { ended: None, .. }), _)))
        };
        self.state.servers.iter().filter(move |(_, orders)| drains(orders)).map(|(key, _)| key)
    }

    /// Ends the drains whose time is over; `retires` says of which services rows retire.
    pub(super) fn tick(&mut self, now: Mono, retires: impl Fn(&ServiceId) -> bool) {
        if self.deadline().is_none_or(|deadline| now < deadline) {
            return;
        }
        let mut over = Vec::new();
        for (key, orders) in &mut self.state.servers {
            if let Some((Admin::Drain(drain), _)) = &mut orders.admin
                && drain.ended.is_none()
                && drain.deadline.is_some_and(|deadline| deadline <= now)
            {
                drain.ended = Some(Ended::Deadline);
                over.push((key.service, orders.names.to_string(), drain.left));
            }
        }
        self.state.leaving.retain(|(service, _), leaving| {
            let is_over = leaving.deadline <= now && !retires(service);
            if is_over {
                over.push((*service, leaving.names.to_string(), leaving.left));
            }
            !is_over
        });
        for (service, target, left) in over {
            self.changed(service);
            let left = left.unwrap_or_default();
            self.tell(OperatorEvent::Drained { target, ended: Ended::Deadline, left });
        }
        self.look_for_earliest(retires);
    }

    /// Not before when a drain's time is over. A tick then finds out when the next one's is.
    pub(super) fn deadline(&self) -> Option<Mono> {
        self.earliest
    }

    /// There is a drain whose time is over then.
    fn expect(&mut self, deadline: Mono) {
        self.earliest = Some(self.earliest.map_or(deadline, |known| known.min(deadline)));
    }

    /// Looks at all drains, except those that have to wait until no row of their service retires.
    fn look_for_earliest(&mut self, retires: impl Fn(&ServiceId) -> bool) {
        let drains = self.state.servers.values().filter_map(|orders| match orders.admin {
            Some((Admin::Drain(Drain { deadline, ended: None, .. }), _)) => deadline,
            _ => None,
        });
        let leaving = self.state.leaving.iter().filter(|((service, _), _)| !retires(service));
        self.earliest = drains.chain(leaving.map(|(_, leaving)| leaving.deadline)).min();
    }

    // Another file.

    /// Takes what an earlier run left, as far as `config` names it.
    pub(super) fn restore(&mut self, clock: WallClock, state: State, config: &Config) {
        self.state = State { down: Default::default(), climbing: Default::default(), ..state };
        // Which services there were is not known, so that each may be one that moved.
        self.follow(config, &BTreeSet::new());
        self.forget_returned(config);
        self.look_for_earliest(|_| false);
        self.tell_recalled(clock);
    }

    /// Whoever asked may not think of it any more, and the other router has heard nothing of it.
    fn tell_recalled(&mut self, clock: WallClock) {
        let servers = self.state.servers.values().flat_map(|orders| {
            let admin = orders.admin.as_ref().map(|(admin, order)| (word(*admin).to_owned(), order));
            let weight = orders.weight.as_ref().map(|(weight, order)| (format!("weight {weight}"), order));
            let target = orders.names.to_string();
            admin.into_iter().chain(weight).map(move |(what, order)| (target.clone(), what, order))
        });
        let sorry =
            self.state.sorry.values().map(|(name, order)| (name.clone(), "sorry on".to_owned(), order));
        let mut news: Vec<OperatorEvent> = servers
            .chain(sorry)
            .map(|(target, what, order)| {
                let age = clock.since_epoch.saturating_sub(Duration::from_millis(order.at_ms));
                OperatorEvent::Recalled { target, what, order: order.clone(), age }
            })
            .collect();
        let more = news.len().saturating_sub(TOLD_ONE_BY_ONE);
        news.truncate(TOLD_ONE_BY_ONE);
        news.extend((more > 0).then_some(OperatorEvent::MoreRecalled(more)));
        self.news.extend(news);
    }

    // What follows for others.

    /// The overrides of a server, for people.
    pub(super) fn of_server(&self, clock: WallClock, key: &ServerKey) -> Vec<OverrideStatus> {
        let Some(orders) = self.of(key) else { return Vec::new() };
        let admin = orders.admin.as_ref().map(|(admin, order)| {
            let what = match *admin {
                Admin::Disabled => Override::Disabled,
                Admin::Forced => Override::Forced,
                Admin::Drain(drain) => Override::Drain {
                    deadline_ms: drain.deadline.map(|deadline| clock.epoch_ms(deadline)),
                    left: drain.left.filter(|_| drain.ended.is_none()),
                    ended: drain.ended.map(|ended| ended.to_string()),
                },
            };
            shown(what, order)
        });
        let weight = orders.weight.as_ref().map(|(weight, order)| {
            let weight = u32::from(*weight);
            shown(Override::Weight { weight }, order)
        });
        admin.into_iter().chain(weight).collect()
    }

    /// The override of a virtual server, for people.
    pub(super) fn of_virtual(&self, service: &ServiceId) -> Option<OverrideStatus> {
        self.state.sorry.get(service).map(|(_, order)| shown(Override::Sorry, order))
    }

    /// The services of which something else may be wanted than before.
    pub(super) fn take_touched(&mut self) -> BTreeSet<ServiceId> {
        std::mem::take(&mut self.touched)
    }

    /// What is to be logged.
    pub(super) fn take_news(&mut self) -> Vec<OperatorEvent> {
        std::mem::take(&mut self.news)
    }

    /// Whether something changed that is to survive a restart.
    pub(super) fn take_unsaved(&mut self) -> bool {
        std::mem::take(&mut self.unsaved)
    }
}

fn shown(what: Override, order: &Order) -> OverrideStatus {
    let Order { by, at_ms, reason } = order.clone();
    OverrideStatus { what, by, at_ms, reason }
}

/// The row of a server of the file, if it has one.
pub(super) fn row_in<'t>(config: &Config, table: &'t Table, key: &ServerKey) -> Option<&'t DestinationEntry> {
    table.find(&key.service)?.find(&row_of(config, key)?)
}

/// What is wanted of a server that is to get no new connections: its row at weight 0 where it has one.
fn without_new_connections(standing: Standing) -> Standing {
    match standing {
        Standing::Serving(_) | Standing::Kept(_) => Standing::Draining,
        // Nobody waits for a check that decides nothing.
        Standing::Awaited => Standing::Out,
        other => other,
    }
}

/// Whether there is nothing to wait for: the kernel has no row, or one that gets nothing and has nothing.
fn is_empty(row: Option<&DestinationEntry>, expires_templates: bool) -> bool {
    row.is_none_or(|row| row.destination.weight == 0 && to_wait_for(row, expires_templates).is_nothing())
}

/// The row with no new connections.
fn quiet(row: &DestinationEntry) -> Destination {
    Destination { weight: 0, ..row.destination.clone() }
}

/// What a row carries.
pub(super) fn left(row: &DestinationEntry) -> Left {
    Left {
        active: row.active_connections,
        inactive: row.inactive_connections,
        persistent: row.persistent_connections,
    }
}

/// What of it comes here again or stays at weight 0.
fn to_wait_for(row: &DestinationEntry, expires_templates: bool) -> Left {
    let all = left(row);
    if expires_templates { Left { persistent: 0, ..all } } else { all }
}

/// The services of the virtual servers that `config` serves.
pub(super) fn services_of(config: &Config) -> BTreeSet<ServiceId> {
    config.active_virtual_servers().map(service_id).collect()
}

fn find<'c>(config: &'c Config, service: &ServiceId) -> Option<&'c VirtualServer> {
    config.active_virtual_servers().find(|virtual_server| service_id(virtual_server) == *service)
}

/// What the kernel knows a server of the file by.
fn row_of(config: &Config, key: &ServerKey) -> Option<DestinationId> {
    let virtual_server = find(config, &key.service)?;
    let server = virtual_server.active_servers().find(|s| ServerKey::of(virtual_server, s) == *key)?;
    Some(destination_id(virtual_server, server))
}

fn rows_of(virtual_server: &VirtualServer) -> BTreeSet<DestinationId> {
    virtual_server.active_servers().map(|server| destination_id(virtual_server, server)).collect()
}

/// The names of a server of `virtual_server`.
pub(super) fn names(virtual_server: &VirtualServer, server: &str) -> Names {
    Names { virtual_server: virtual_server.name.clone(), server: server.to_owned() }
}

/// What an override is called where it is told that it ended.
pub(super) fn word(admin: Admin) -> &'static str {
    match admin {
        Admin::Drain(_) => "drain",
        Admin::Disabled => "disable",
        Admin::Forced => "enable --force",
    }
}

/// A time as an operator writes it: `5m`, `90s`, `1.5s`.
pub(super) fn in_words(time: Duration) -> String {
    match (time.as_secs(), time.subsec_millis()) {
        (seconds, 0) if seconds >= 3600 && seconds % 3600 == 0 => format!("{}h", seconds / 3600),
        (seconds, 0) if seconds >= 60 && seconds % 60 == 0 => format!("{}m", seconds / 60),
        (seconds, 0) => format!("{seconds}s"),
        (seconds, millis) => format!("{}ms", seconds * 1000 + u64::from(millis)),
    }
}
