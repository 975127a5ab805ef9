//! What a table is after changes: the kernel's bookkeeping, without a kernel.
//!
//! For whoever must know what a list of requests leads to before, or instead of, reading the table again. Whether a
//! kernel would accept a value is not decided here, only whether a thing is there.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::iter;

use nix::errno::Errno;

use crate::error::KernelError;
use crate::model::{
    Destination, DestinationEntry, DestinationId, Service, ServiceEntry, ServiceId, Stats, Table,
};
use crate::request::Request;

impl Table {
    /// Makes changes in their order and returns what became of each, as [`crate::Ipvs::apply`] does with the kernel's
    /// table: what adds a thing that is there is refused with `EEXIST`, what needs a service that is not with `ESRCH`, a
    /// destination that is not with `ENOENT`. Timeouts and daemons are no part of a table and accepted.
    ///
    /// Linear in the size of the table and the number of changes.
    pub fn apply(&mut self, requests: &[Request]) -> Vec<Result<(), KernelError>> {
        let mut ledger = Ledger::of(&mut self.services);
        let outcome = requests.iter().map(|request| {
            let refusal = |errno| KernelError { request: Box::new(request.clone()), errno, extended: None };
            ledger.apply(request).map_err(refusal)
        });
        let outcome = outcome.collect();
        ledger.close();
        outcome
    }
}

/// A table's services with their places, and those of the destinations that have been asked for.
struct Ledger<'a> {
    services: &'a mut Vec<ServiceEntry>,
    places: Places<ServiceId>,
    /// By the place of their service.
    destinations: HashMap<usize, Places<DestinationId>>,
}

/// Where the entries of a list are. What is removed stays in the list until the end, so that places stay right.
struct Places<I> {
    of: HashMap<I, usize>,
    removed: HashSet<usize>,
}

impl<I: Eq + Hash> Places<I> {
    /// Of several entries with one identity the first counts.
    fn of(ids: impl Iterator<Item = I>) -> Self {
        let mut of = HashMap::new();
        for (place, id) in ids.enumerate() {
            of.entry(id).or_insert(place);
        }
        Self { of, removed: HashSet::new() }
    }

    /// The next entry in a list of this length.
    fn add(&mut self, id: I, place: usize) {
        self.of.insert(id, place);
    }

    fn remove(&mut self, id: &I) -> Option<usize> {
        let place = self.of.remove(id)?;
        self.removed.insert(place);
        Some(place)
    }

    fn clear<E>(&self, entries: &mut Vec<E>) {
        if !self.removed.is_empty() {
            let mut place = 0..;
            entries.retain(|_| place.next().is_some_and(|place| !self.removed.contains(&place)));
        }
    }
}

impl<'a> Ledger<'a> {
    fn of(services: &'a mut Vec<ServiceEntry>) -> Self {
        let places = Places::of(services.iter().map(|entry| entry.service.id));
        Self { services, places, destinations: HashMap::new() }
    }

    fn close(self) {
        for (place, destinations) in &self.destinations {
            if let Some(entry) = self.services.get_mut(*place) {
                destinations.clear(&mut entry.destinations);
            }
        }
        self.places.clear(self.services);
    }

    fn apply(&mut self, request: &Request) -> Result<(), Errno> {
        match request {
            Request::AddService(service) => return self.add_service(service),
            Request::EditService(service) => self.service(&service.id)?.service = service.clone(),
            Request::DeleteService(id) => {
                self.places.remove(id).ok_or(Errno::ESRCH)?;
            }
            Request::AddDestination(id, to) => return self.add_destination(id, to),
            Request::EditDestination(id, to) => {
                let (rows, places) = self.destinations(id)?;
                let place = places.of.get(&to.id).ok_or(Errno::ENOENT)?;
                rows.get_mut(*place).ok_or(Errno::ENOENT)?.destination = to.clone();
            }
            Request::DeleteDestination(id, to) => {
                self.destinations(id)?.1.remove(to).ok_or(Errno::ENOENT)?;
            }
            Request::Flush => {
                self.services.clear();
                self.places = Places::of(iter::empty());
                self.destinations.clear();
            }
            Request::Zero(None) => self.services.iter_mut().for_each(zero),
            Request::Zero(Some(id)) => zero(self.service(id)?),
            Request::SetTimeouts(_) | Request::StartDaemon(_) | Request::StopDaemon(_) => {}
        }
        Ok(())
    }

    fn service(&mut self, id: &ServiceId) -> Result<&mut ServiceEntry, Errno> {
        let place = self.places.of.get(id).ok_or(Errno::ESRCH)?;
        self.services.get_mut(*place).ok_or(Errno::ESRCH)
    }

    /// The destinations of a service, and their places.
    fn destinations(
        &mut self,
        id: &ServiceId,
    ) -> Result<(&mut Vec<DestinationEntry>, &mut Places<DestinationId>), Errno> {
        let place = self.places.of.get(id).ok_or(Errno::ESRCH)?;
        let rows = &mut self.services.get_mut(*place).ok_or(Errno::ESRCH)?.destinations;
        let places = self.destinations.entry(*place);
        let places = places.or_insert_with(|| Places::of(rows.iter().map(|row| row.destination.id)));
        Ok((rows, places))
    }

    fn add_service(&mut self, service: &Service) -> Result<(), Errno> {
        if self.places.of.contains_key(&service.id) {
            return Err(Errno::EEXIST);
        }
        self.places.add(service.id, self.services.len());
        let (service, stats) = (service.clone(), Stats::default());
        self.services.push(ServiceEntry { service, stats, destinations: Vec::new() });
        Ok(())
    }

    fn add_destination(&mut self, id: &ServiceId, to: &Destination) -> Result<(), Errno> {
        let (rows, places) = self.destinations(id)?;
        if places.of.contains_key(&to.id) {
            return Err(Errno::EEXIST);
        }
        places.add(to.id, rows.len());
        rows.push(DestinationEntry::unused(to.clone()));
        Ok(())
    }
}

fn zero(entry: &mut ServiceEntry) {
    entry.stats = Stats::default();
    for destination in &mut entry.destinations {
        destination.stats = Stats::default();
    }
}
