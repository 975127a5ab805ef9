//! Where orders go when the file becomes another one, or a name in it gets another address.
//!
//! An order is about the server that the operator named, not about its address: it stays with the names of its virtual
//! and its real server. Where these are not in the file any more, or say which server not by themselves, it stays with the
//! address; and where the address has another name now, so that the machine that the order was given for was renamed.
//!
//! | the file has | the order is then about |
//! | --- | --- |
//! | the address in the same virtual server under another name, and the names for another address | the server with this address, unless another order is about it; told as a warning |
//! | the names, with the same address or another one | the server with these names; another one is told as a warning |
//! | the address in the same virtual server, under other names | the server with this address |
//! | neither | nothing: it is forgotten, which is told as a warning |
//!
//! A virtual server with another address, port, protocol or mark is known by its name. Names need not be unique, so only one
//! that is new takes over, and only from one that is gone.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use ipvsadm::{DestinationId, ServiceId};
use lvs_config::Config;

use super::{Overrides, names, services_of, word};
use crate::identity::{ServerKey, service_id};
use crate::operator_event::OperatorEvent;
use crate::orders::{Admin, Names, Order, ServerOrders};

/// What is looked for of an order in the file.
#[derive(Debug, Clone, Copy)]
enum By {
    Name,
    Address,
}

/// A virtual server: itself, or by its name where it is new.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Place<'a> {
    Service(ServiceId),
    New(&'a str),
}

/// The server that an order was about, and the one that it is about from now on.
type Found = (ServerKey, ServerKey);

/// The servers of the file, to be found by their names and addresses.
struct Index<'c> {
    services: BTreeSet<ServiceId>,
    names: HashMap<ServerKey, Names>,
    by_name: HashMap<(Place<'c>, &'c str), Vec<ServerKey>>,
    by_address: HashMap<(Place<'c>, DestinationId), Vec<ServerKey>>,
}

impl<'c> Index<'c> {
    fn of(config: &'c Config, before: &BTreeSet<ServiceId>) -> Self {
        let (mut all, mut by_name) = (HashMap::new(), HashMap::<_, Vec<_>>::new());
        let mut by_address = HashMap::<_, Vec<_>>::new();
        for virtual_server in config.active_virtual_servers() {
            let service = service_id(virtual_server);
            let new = (!before.contains(&service)).then_some(Place::New(virtual_server.name.as_str()));
            for server in virtual_server.active_servers() {
                let key = ServerKey::of(virtual_server, server);
                all.insert(key, names(virtual_server, &server.name));
                for place in [Some(Place::Service(service)), new].into_iter().flatten() {
                    by_name.entry((place, server.name.as_str())).or_default().push(key);
                    by_address.entry((place, key.server)).or_default().push(key);
                }
            }
        }
        Self { services: services_of(config), names: all, by_name, by_address }
    }

    /// The server that an order about `key` is about.
    fn find(&self, by: By, key: &ServerKey, names: &Names) -> Option<ServerKey> {
        let place = match self.services.contains(&key.service) {
            true => Place::Service(key.service),
            false => Place::New(&names.virtual_server),
        };
        let found = match by {
            By::Name => self.by_name.get(&(place, names.server.as_str())),
            By::Address => self.by_address.get(&(place, key.server)),
        }?;
        match found[..] {
            [only] => Some(only),
            // One of several with the same name is the one that it was.
            _ => found.iter().copied().find(|found| found == key),
        }
    }

    /// The orders about whose servers something is found, each with its server.
    fn find_all(&self, by: By, old: &BTreeMap<ServerKey, ServerOrders>) -> Vec<Found> {
        let found = old.iter().filter_map(|(key, orders)| Some((*key, self.find(by, key, &orders.names)?)));
        found.collect()
    }

    /// Those whose address has another name by now, while another address has theirs. The server at the address has no
    /// order of its own that goes by its name.
    fn renamed(&self, old: &BTreeMap<ServerKey, ServerOrders>) -> Vec<Found> {
        let named = self.find_all(By::Name, old);
        let claimed: BTreeSet<ServerKey> = named.iter().map(|(_, to)| *to).collect();
        let by_name: BTreeMap<ServerKey, ServerKey> = named.into_iter().collect();
        let mut placed = self.find_all(By::Address, old);
        placed.retain(|(from, to)| by_name.get(from).is_some_and(|name| name != to) && !claimed.contains(to));
        placed
    }
}

impl Overrides {
    /// The file is now `config`, which has other services than `before`.
    pub(in crate::engine) fn follow(&mut self, config: &Config, before: &BTreeSet<ServiceId>) {
        let mut old = std::mem::take(&mut self.state.servers);
        if !old.is_empty() {
            let index = Index::of(config, before);
            let renamed = index.renamed(&old);
            self.take_over(&index, renamed, &mut old);
            let named = index.find_all(By::Name, &old);
            self.take_over(&index, named, &mut old);
            let placed = index.find_all(By::Address, &old);
            self.take_over(&index, placed, &mut old);
        }
        for orders in old.into_values() {
            let target = orders.names.to_string();
            words(&orders)
                .for_each(|what| self.tell(OperatorEvent::Dropped { target: target.clone(), what }));
            self.unsaved = true;
        }
        self.follow_sorry(config, before);
    }

    /// Lets those of `old` be in force that were `found` to be about a server of the file about which no other is.
    fn take_over(
        &mut self,
        index: &Index<'_>,
        found: Vec<Found>,
        old: &mut BTreeMap<ServerKey, ServerOrders>,
    ) {
        for (from, to) in found {
            if self.state.servers.contains_key(&to) {
                continue;
            }
            let Some(mut orders) = old.remove(&from) else { continue };
            let names = index.names.get(&to).unwrap_or(&orders.names).clone();
            let before = std::mem::replace(&mut orders.names, names);
            self.unsaved |= from != to || before != orders.names;
            let (target, address) = (orders.names.to_string(), to.server);
            if from.server != to.server {
                words(&orders).for_each(|what| {
                    self.tell(OperatorEvent::Followed { target: target.clone(), what, address });
                });
                self.drain_anew(&mut orders);
            } else if index.find(By::Name, &from, &before).is_some_and(|named| named != to) {
                let was = before.to_string();
                words(&orders).for_each(|what| {
                    let (target, was) = (target.clone(), was.clone());
                    self.tell(OperatorEvent::Stayed { target, what, was, address });
                });
            }
            self.state.servers.insert(to, orders);
        }
    }

    /// How far a drain is says nothing of another machine.
    fn drain_anew(&mut self, orders: &mut ServerOrders) {
        if let Some((Admin::Drain(drain), _)) = &mut orders.admin {
            (drain.left, drain.ended) = (None, None);
            if let Some(deadline) = drain.deadline {
                self.expect(deadline);
            }
        }
    }

    fn follow_sorry(&mut self, config: &Config, before: &BTreeSet<ServiceId>) {
        let staying = services_of(config);
        let mut old: BTreeMap<ServiceId, (String, Order)> = std::mem::take(&mut self.state.sorry);
        let gone = old.iter().filter(|(service, _)| !staying.contains(service));
        let gone: HashMap<String, ServiceId> =
            gone.map(|(service, (name, _))| (name.clone(), *service)).collect();
        for virtual_server in config.active_virtual_servers().filter(|v| v.sorry_server.is_some()) {
            let service = service_id(virtual_server);
            let is_new = !before.contains(&service);
            let from = [Some(service), gone.get(&virtual_server.name).copied().filter(|_| is_new)];
            if let Some((_, order)) = from.into_iter().flatten().find_map(|from| old.remove(&from)) {
                self.state.sorry.insert(service, (virtual_server.name.clone(), order));
            }
        }
        for (target, _) in old.into_values() {
            self.tell(OperatorEvent::Dropped { target, what: "sorry" });
            self.unsaved = true;
        }
    }
}

/// What is called how of the orders about a server.
fn words(orders: &ServerOrders) -> impl Iterator<Item = &'static str> + use<> {
    let admin = orders.admin.as_ref().map(|(admin, _)| word(*admin));
    [admin, orders.weight.as_ref().map(|_| "weight")].into_iter().flatten()
}
