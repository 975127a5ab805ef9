//! Slow start: a real server that joins a service gets its full share of the work little by little. How its weight grows is
//! [`Ramp`]'s; who climbs, and since when, is decided here.
//!
//! The full weight may change on the way, and the climb goes on. Who joins is judged by the rows that take connections,
//! whatever the reason that they do or do not:
//!
//! - Nobody of those served: the service itself starts, and there is nobody whose work a newcomer could spare. Whoever else is
//!   there and comes up within a few seconds or checks belongs to that start, and gets its full weight too.
//! - Somebody serves: who did not a moment ago joins and climbs, be it new in the file or back after a failure.
//! - A server that is left alone has nobody to leave work to: it stops climbing and has its full weight.
//!
//! A climb goes on after a restart of this program, at the place that the clock on the wall says, and not before the one
//! that the kernel's weight shows: the clock may have been set back. Who is not in the kernel's table then has not gone on.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use daemonkit::clock::Mono;
use ipvsadm::{DestinationId, ServiceId};

use super::climb::Ramp;
use crate::desired::WantedService;

/// A real server's row in a service.
pub(super) type Row = (ServiceId, DestinationId);

/// What the file says about the slow starts of one service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rule {
    /// How a weight grows.
    pub(super) ramp: Ramp,
    /// How long others may take to come up when the service starts.
    pub(super) together: Duration,
}

/// What else is known of a service; asked for when it is needed.
pub(super) trait Around {
    /// The rows of all its real servers, also of those that do not serve.
    fn all(&self) -> BTreeSet<DestinationId>;
    /// The real servers that take connections in the kernel's table, with their weights.
    fn found(&self) -> BTreeMap<DestinationId, u32>;
    /// Those that stay as they were found until their first check, with their weights in the file.
    fn kept(&self) -> BTreeMap<DestinationId, u32>;
}

/// A server on its way to its full weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Climb {
    since: Mono,
    /// The full weight, as last wanted.
    full: u32,
}

/// A climb, for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Progress {
    /// The full weight.
    pub(super) full: u32,
    /// When it will be there.
    pub(super) until: Mono,
}

/// One service that starts its servers slowly.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Service {
    ramp: Ramp,
    /// Who takes connections.
    serving: BTreeSet<DestinationId>,
    /// Until when these may still come up as part of the service's own start.
    starting: Option<(Mono, BTreeSet<DestinationId>)>,
    climbing: BTreeMap<DestinationId, Climb>,
    /// When the next one has another weight.
    due: Option<Mono>,
}

/// The slow starts of all services.
#[derive(Debug, Clone, Default)]
pub(super) struct SlowStarts {
    services: HashMap<ServiceId, Service>,
    /// The services by when they are due; most are not.
    due: BTreeSet<(Mono, ServiceId)>,
    /// Since when servers climbed in an earlier run, until their services are looked at.
    restored: BTreeMap<Row, Mono>,
    /// Who climbs has changed.
    unsaved: bool,
}

impl SlowStarts {
    /// Lowers the weights of those servers of `wanted`, which has full ones, that are still climbing.
    pub(super) fn apply(&mut self, now: Mono, rule: Rule, wanted: &mut WantedService, around: &impl Around) {
        let id = wanted.service.id;
        let rows = wanted.destinations.len() - usize::from(wanted.sorry);
        let rows = wanted.destinations.get_mut(..rows).unwrap_or_default();
        let mut full: BTreeMap<DestinationId, u32> =
            rows.iter().filter(|row| row.weight > 0).map(|row| (row.id, row.weight)).collect();
        let (mut service, found) = match self.services.remove(&id) {
            Some(known) => (known, None),
            None => {
                let found = around.found();
                (Service::new(rule.ramp, found.keys().copied().collect()), Some(found))
            }
        };
        let before = service.climbs();
        service.ramp = rule.ramp;
        let newcomers = service.serve(now, rule.together, full.keys().copied().collect(), || around.all());
        let restored = found.map(|found| (self.take_restored(&id), found));
        let has_climbs = !before.is_empty() || !newcomers.is_empty();
        if has_climbs || restored.as_ref().is_some_and(|(climbs, _)| !climbs.is_empty()) {
            let kept = around.kept();
            full.extend(kept.iter().filter(|(row, _)| service.serving.contains(row)));
            let newcomers = newcomers.into_iter().filter(|row| !kept.contains_key(row));
            service.climbing.extend(newcomers.map(|row| (row, Climb { since: now, full: 0 })));
            if let Some((climbs, found)) = restored {
                service.resume(now, &climbs, &found, &full);
            }
            service.go_on(now, &full);
            for row in rows.iter_mut().filter(|row| !kept.contains_key(&row.id)) {
                if let Some(climb) = service.climbing.get(&row.id) {
                    row.weight = rule.ramp.weight(row.weight, now.since(climb.since));
                }
            }
        }
        self.unsaved |= before != service.climbs();
        self.put(now, id, service);
    }

    /// Replaces what is known of a service.
    fn put(&mut self, now: Mono, id: ServiceId, mut service: Service) {
        let due = service.next_step(now);
        if due != service.due {
            self.forget_due(&id, service.due);
            self.due.extend(due.map(|due| (due, id)));
            service.due = due;
        }
        self.services.insert(id, service);
    }

    fn forget_due(&mut self, id: &ServiceId, due: Option<Mono>) {
        if let Some(due) = due {
            self.due.remove(&(due, *id));
        }
    }

    fn take_restored(&mut self, service: &ServiceId) -> BTreeMap<DestinationId, Mono> {
        let concerned = self.restored.iter().filter(|((of, _), _)| of == service);
        let climbs: BTreeMap<DestinationId, Mono> =
            concerned.map(|((_, row), since)| (*row, *since)).collect();
        for row in climbs.keys() {
            self.restored.remove(&(*service, *row));
            self.unsaved = true;
        }
        climbs
    }

    /// Nothing is started slowly in this service any more.
    pub(super) fn forget(&mut self, id: &ServiceId) {
        if let Some(service) = self.services.remove(id) {
            self.forget_due(id, service.due);
            self.unsaved |= !service.climbing.is_empty();
        }
    }

    /// Forgets services that nobody wants any more; all that are wanted have been looked at.
    pub(super) fn retain(&mut self, is_wanted: impl Fn(&ServiceId) -> bool) {
        let gone: Vec<ServiceId> = self.services.keys().filter(|id| !is_wanted(id)).copied().collect();
        gone.iter().for_each(|id| self.forget(id));
        self.unsaved |= !self.restored.is_empty();
        self.restored.clear();
    }

    /// These climbed in an earlier run, since then.
    pub(super) fn restore(&mut self, climbs: BTreeMap<Row, Mono>) {
        self.restored = climbs;
    }

    /// Servers have other rows than before: `moved` are the old ones by the new. They go on as they are, in the same service
    /// or in one that was not known.
    pub(super) fn follow(&mut self, moved: &BTreeMap<Row, Row>) {
        let mut new: BTreeMap<ServiceId, Service> = BTreeMap::new();
        for ((service, row), (old_service, old_row)) in moved {
            if service == old_service {
                if let Some(known) = self.services.get_mut(service) {
                    known.rename(old_row, *row);
                }
            } else if let Some(old) = self.services.get(old_service)
                && let Some(climb) = old.climbing.get(old_row)
                && !self.services.contains_key(service)
            {
                let known = new.entry(*service).or_insert_with(|| Service::new(old.ramp, BTreeSet::new()));
                known.climbing.insert(*row, *climb);
            }
        }
        self.services.extend(new);
    }

    /// Services in which a server is due for its next step at `now`.
    pub(super) fn due(&self, now: Mono) -> impl Iterator<Item = ServiceId> + '_ {
        self.due.iter().take_while(move |(due, _)| *due <= now).map(|(_, id)| *id)
    }

    /// When the next server is due for its next step.
    pub(super) fn deadline(&self) -> Option<Mono> {
        self.due.first().map(|(due, _)| *due)
    }

    /// How far this server is, if it climbs.
    pub(super) fn progress(&self, (service, row): &Row) -> Option<Progress> {
        let service = self.services.get(service)?;
        let climb = service.climbing.get(row)?;
        Some(Progress { full: climb.full, until: climb.since + service.ramp.length(climb.full) })
    }

    /// The weight with which a server would join that does not serve yet.
    pub(super) fn first_weight(&self, now: Mono, ramp: Ramp, (service, row): &Row, full: u32) -> u32 {
        let joins = self.services.get(service).is_some_and(|service| service.is_joined_by(now, row));
        if joins { ramp.weight(full, Duration::ZERO) } else { full }
    }

    /// Who climbs, and since when.
    pub(super) fn climbs(&self) -> BTreeMap<Row, Mono> {
        let running = self.services.iter().flat_map(|(id, service)| {
            service.climbing.iter().map(move |(row, climb)| ((*id, *row), climb.since))
        });
        self.restored.iter().map(|(row, since)| (*row, *since)).chain(running).collect()
    }

    /// Whether something changed that is to survive a restart.
    pub(super) fn take_unsaved(&mut self) -> bool {
        std::mem::take(&mut self.unsaved)
    }
}

impl Service {
    fn new(ramp: Ramp, serving: BTreeSet<DestinationId>) -> Self {
        Self { ramp, serving, starting: None, climbing: BTreeMap::new(), due: None }
    }

    /// From now on these serve. Returns who joins.
    fn serve(
        &mut self,
        now: Mono,
        together: Duration,
        serving: BTreeSet<DestinationId>,
        all: impl FnOnce() -> BTreeSet<DestinationId>,
    ) -> Vec<DestinationId> {
        let before = std::mem::replace(&mut self.serving, serving);
        let starts = before.is_disjoint(&self.serving);
        if starts && !self.serving.is_empty() {
            let others = all().difference(&self.serving).copied().collect();
            self.starting = Some((now + together, others));
        }
        if self.serving.is_empty() || self.starting.as_ref().is_some_and(|(until, _)| *until < now) {
            self.starting = None;
        }
        let mut joining = Vec::new();
        for newcomer in self.serving.difference(&before) {
            let is_one_of_them = self.starting.as_mut().is_some_and(|(_, others)| others.remove(newcomer));
            if !starts && !is_one_of_them {
                joining.push(*newcomer);
            }
        }
        joining
    }

    /// A server has another row.
    fn rename(&mut self, old: &DestinationId, new: DestinationId) {
        if self.serving.remove(old) {
            self.serving.insert(new);
        }
        if let Some(climb) = self.climbing.remove(old) {
            self.climbing.insert(new, climb);
        }
    }

    /// Whether a server that comes up now would join others.
    fn is_joined_by(&self, now: Mono, row: &DestinationId) -> bool {
        let starts =
            self.starting.as_ref().is_some_and(|(until, others)| now <= *until && others.contains(row));
        !self.serving.is_empty() && !starts
    }

    /// Goes on with climbs of an earlier run, of those that were `found` in the kernel's table with these weights.
    fn resume(
        &mut self,
        now: Mono,
        climbs: &BTreeMap<DestinationId, Mono>,
        found: &BTreeMap<DestinationId, u32>,
        full: &BTreeMap<DestinationId, u32>,
    ) {
        for (row, since) in climbs {
            let (Some(weight), Some(full)) = (found.get(row), full.get(row)) else { continue };
            let elapsed = now.since(*since).max(self.ramp.place(*full, *weight));
            self.climbing.insert(*row, Climb { since: now - elapsed, full: *full });
        }
    }

    /// Ends the climbs that are over.
    fn go_on(&mut self, now: Mono, full: &BTreeMap<DestinationId, u32>) {
        if self.serving.len() == 1 {
            self.climbing.clear();
        }
        let ramp = self.ramp;
        self.climbing.retain(|row, climb| {
            let Some(full) = full.get(row) else { return false };
            climb.full = *full;
            now.since(climb.since) < ramp.length(*full)
        });
    }

    fn climbs(&self) -> Vec<(DestinationId, Mono)> {
        self.climbing.iter().map(|(row, climb)| (*row, climb.since)).collect()
    }

    fn next_step(&self, now: Mono) -> Option<Mono> {
        let next = self.climbing.values().filter_map(|climb| {
            let next = self.ramp.next(climb.full, now.since(climb.since))?;
            Some(climb.since + next)
        });
        next.min()
    }
}

#[cfg(test)]
mod tests {
    use ipvsadm::{Destination, Forward, Scheduler, Service as VirtualServer};

    use super::*;

    fn id(n: u8) -> DestinationId {
        DestinationId::new([10, 2, 0, n].into(), 80)
    }

    fn service() -> ServiceId {
        ServiceId::tcp("10.1.0.100:80".parse().unwrap())
    }

    /// Slow starts with two seconds for a common start, over servers 1 to 9.
    struct World {
        starts: SlowStarts,
        ramp: Ramp,
        /// What the kernel has, when it is asked.
        found: Vec<(u8, u32)>,
        /// Who waits for the first check, with the weight of the file.
        kept: Vec<(u8, u32)>,
    }

    impl Around for World {
        fn all(&self) -> BTreeSet<DestinationId> {
            (1..=9).map(id).collect()
        }

        fn found(&self) -> BTreeMap<DestinationId, u32> {
            self.found.iter().map(|(n, weight)| (id(*n), *weight)).collect()
        }

        fn kept(&self) -> BTreeMap<DestinationId, u32> {
            self.kept.iter().map(|(n, weight)| (id(*n), *weight)).collect()
        }
    }

    impl World {
        /// Even climbs of 15 seconds.
        fn new() -> Self {
            Self::with(Ramp::Even(Duration::from_secs(15)))
        }

        fn with(ramp: Ramp) -> Self {
            Self { starts: SlowStarts::default(), ramp, found: Vec::new(), kept: Vec::new() }
        }

        /// The weights at `millis` of servers that would have these without a slow start.
        fn at(&mut self, millis: u64, full: &[(u8, u32)]) -> Vec<u32> {
            let row = |(n, weight): &(u8, u32)| Destination {
                weight: *weight,
                ..Destination::new(id(*n), Forward::Masquerade)
            };
            let mut wanted = WantedService {
                service: VirtualServer::new(service(), Scheduler::WRR),
                destinations: full.iter().map(row).collect(),
                left_alone: BTreeSet::new(),
                sorry: false,
            };
            let rule = Rule { ramp: self.ramp, together: Duration::from_secs(2) };
            let now = Mono::from_millis(millis);
            let mut starts = std::mem::take(&mut self.starts);
            starts.apply(now, rule, &mut wanted, self);
            self.starts = starts;
            assert!(self.starts.deadline().is_none_or(|deadline| deadline > now), "a step is due again");
            wanted.destinations.iter().map(|row| row.weight).collect()
        }

        fn until(&self, n: u8) -> Option<Mono> {
            self.starts.progress(&(service(), id(n))).map(|progress| progress.until)
        }

        /// The next run of this program, which knows what was saved, over a kernel with these weights.
        fn restarted(&self, found: &[(u8, u32)]) -> Self {
            let mut starts = SlowStarts::default();
            starts.restore(self.starts.climbs());
            Self { starts, ramp: self.ramp, found: found.to_vec(), kept: Vec::new() }
        }

        /// Every change from now on, with nothing else happening.
        fn climb(&mut self, full: &[(u8, u32)]) -> Vec<(u64, Vec<u32>)> {
            let mut seen = Vec::new();
            while let Some(deadline) = self.starts.deadline() {
                assert_eq!(self.starts.due(deadline).collect::<Vec<_>>(), [service()]);
                let millis = u64::try_from(deadline.since(Mono::ZERO).as_millis()).unwrap();
                seen.push((millis, self.at(millis, full)));
            }
            seen
        }
    }

    #[test]
    fn a_server_that_is_back_climbs_in_sixteen_even_steps() {
        let mut world = World::new();
        assert_eq!(world.at(0, &[(1, 32), (2, 32)]), [32, 32]);
        assert_eq!(world.at(5000, &[(1, 32)]), [32]);
        assert_eq!(world.at(10_000, &[(1, 32), (2, 32)]), [32, 2]);
        let expected: Vec<(u64, Vec<u32>)> =
            (1..16).map(|step| (10_000 + 1000 * u64::from(step), vec![32, 2 + 2 * step])).collect();
        assert_eq!(world.climb(&[(1, 32), (2, 32)]), expected);
        assert_eq!(world.starts.deadline(), None);
    }

    #[test]
    fn a_small_weight_begins_at_one_and_takes_a_look_only_where_it_changes() {
        let mut world = World::new();
        world.ramp = Ramp::Even(Duration::from_secs(1));
        world.at(0, &[(1, 3)]);
        assert_eq!(world.at(5000, &[(1, 3), (2, 3)]), [3, 1]);
        let weights = world.climb(&[(1, 3), (2, 3)]);
        assert_eq!(weights, [(5334, vec![3, 2]), (5667, vec![3, 3])]);
    }

    #[test]
    fn who_comes_up_with_the_service_has_its_full_weight() {
        let mut world = World::new();
        assert_eq!(world.at(0, &[]), Vec::<u32>::new());
        assert_eq!(world.at(100, &[(1, 16)]), [16]);
        assert_eq!(world.at(2100, &[(1, 16), (2, 16)]), [16, 16]);
        assert_eq!(world.at(2101, &[(1, 16), (2, 16), (3, 16)]), [16, 16, 1]);
    }

    #[test]
    fn who_served_since_the_start_and_failed_climbs_however_soon_it_is_back() {
        let mut world = World::new();
        world.at(0, &[(1, 16), (2, 16)]);
        world.at(500, &[(1, 16)]);
        assert_eq!(world.at(600, &[(1, 16), (2, 16)]), [16, 1]);
    }

    #[test]
    fn a_server_that_was_not_there_at_the_start_climbs_however_soon_it_is_added() {
        let mut world = World::new();
        world.at(0, &[(1, 16)]);
        assert_eq!(world.at(600, &[(1, 16), (77, 16)]), [16, 1]);
    }

    #[test]
    fn a_service_that_was_down_altogether_starts_at_once() {
        let mut world = World::new();
        world.at(0, &[(1, 16), (2, 16)]);
        world.at(9000, &[(1, 0), (2, 0)]);
        assert_eq!(world.at(9500, &[(1, 16), (2, 0)]), [16, 0]);
        assert_eq!(world.at(9900, &[(1, 16), (2, 16)]), [16, 16]);
    }

    #[test]
    fn the_last_one_left_does_not_climb_on() {
        let mut world = World::new();
        world.at(0, &[(1, 16), (2, 16)]);
        world.at(5000, &[(1, 16)]);
        assert_eq!(world.at(6000, &[(1, 16), (2, 16)]), [16, 1]);
        assert_eq!(world.at(7000, &[(2, 16)]), [16]);
        assert_eq!(world.at(8000, &[(1, 16), (2, 16)]), [1, 16]);
    }

    #[test]
    fn a_weight_that_changes_on_the_way_keeps_its_share_and_so_does_a_time() {
        let mut world = World::new();
        world.at(0, &[(1, 16), (2, 16)]);
        world.at(5000, &[(1, 16)]);
        world.at(10_000, &[(1, 16), (2, 16)]);
        assert_eq!(world.at(13_000, &[(1, 16), (2, 160)]), [16, 40]);
        assert_eq!(world.until(2), Some(Mono::from_millis(25_000)));
        world.ramp = Ramp::Even(Duration::from_secs(30));
        assert_eq!(world.at(14_000, &[(1, 16), (2, 160)]), [16, 30]);
        world.ramp = Ramp::Even(Duration::from_secs(4));
        assert_eq!(world.at(14_001, &[(1, 16), (2, 160)]), [16, 160]);
        assert_eq!(world.until(2), None);
    }

    #[test]
    fn rows_that_were_in_the_kernel_before_do_not_climb_and_others_do() {
        let mut world = World::new();
        world.found = vec![(1, 16), (2, 16)];
        assert_eq!(world.at(0, &[(1, 16), (2, 16), (3, 16)]), [16, 16, 1]);
        world.starts.forget(&service());
        assert_eq!(world.starts.deadline(), None);
        world.found = Vec::new();
        assert_eq!(world.at(10, &[(1, 16), (3, 16)]), [16, 16]);
        world.at(3000, &[(1, 16), (2, 16), (3, 16)]);
        assert!(world.starts.deadline().is_some());
        world.starts.retain(|_| false);
        assert_eq!(world.starts.deadline(), None);
    }

    #[test]
    fn a_server_that_is_back_climbs_as_ever_without_a_word_in_the_file() {
        let mut world = World::with(Ramp::Doubling);
        assert_eq!(world.at(0, &[(1, 64), (2, 64)]), [64, 64]);
        world.at(1000, &[(1, 64)]);
        assert_eq!(world.at(5000, &[(1, 64), (2, 64)]), [64, 2]);
        let climb = world.climb(&[(1, 64), (2, 64)]);
        let expected = [(25, 4), (45, 8), (65, 16), (85, 32), (105, 64)];
        assert_eq!(climb, expected.map(|(at, weight)| (at * 1000, vec![64, weight])));
    }

    #[test]
    fn a_weight_of_one_has_nothing_to_climb_and_zero_stays_zero() {
        let mut world = World::with(Ramp::Doubling);
        world.at(0, &[(1, 1)]);
        assert_eq!(world.at(5000, &[(1, 1), (2, 1), (3, 0)]), [1, 1, 0]);
        assert_eq!((world.starts.deadline(), world.starts.climbs()), (None, BTreeMap::new()));
    }

    #[test]
    fn those_who_take_the_place_of_all_others_at_once_start_the_service() {
        let mut world = World::with(Ramp::Doubling);
        world.at(0, &[(1, 64), (2, 64)]);
        assert_eq!(world.at(9000, &[(3, 64), (4, 64)]), [64, 64]);
        assert_eq!(world.at(20_000, &[(3, 64), (4, 64), (1, 64)]), [64, 64, 2]);
    }

    /// A server of weight 64 that came up at 100 s, in a director that was killed at 145 s.
    fn killed_at_eight() -> World {
        let mut world = World::with(Ramp::Doubling);
        world.at(90_000, &[(1, 64)]);
        world.at(100_000, &[(1, 64), (2, 64)]);
        assert_eq!(world.at(145_000, &[(1, 64), (2, 64)]), [64, 8]);
        assert!(world.starts.take_unsaved());
        world
    }

    #[test]
    fn a_climb_goes_on_after_a_restart_where_it_would_be() {
        let mut world = killed_at_eight().restarted(&[(1, 64), (2, 8)]);
        // Until its first check a row stays as it is, even when it is time for the next step.
        world.kept = vec![(1, 64), (2, 64)];
        assert_eq!(world.at(146_000, &[(1, 64), (2, 8)]), [64, 8]);
        assert_eq!(world.starts.deadline(), Some(Mono::from_millis(160_000)));
        assert_eq!(world.at(160_000, &[(1, 64), (2, 8)]), [64, 8]);
        world.kept = Vec::new();
        assert_eq!(world.at(161_000, &[(1, 64), (2, 64)]), [64, 16]);
        let expected = [(180, 32), (200, 64)];
        assert_eq!(
            world.climb(&[(1, 64), (2, 64)]),
            expected.map(|(at, weight)| (at * 1000, vec![64, weight]))
        );
        assert_eq!(world.starts.climbs(), BTreeMap::new());
    }

    #[test]
    fn a_climb_that_would_be_over_is_over_after_a_restart() {
        let mut world = killed_at_eight().restarted(&[(1, 64), (2, 8)]);
        assert_eq!(world.at(200_000, &[(1, 64), (2, 64)]), [64, 64]);
        assert_eq!(world.starts.deadline(), None);
    }

    #[test]
    fn a_clock_that_was_set_back_costs_no_place() {
        let ahead = Mono::from_millis(9_000_000);
        let mut world = World::with(Ramp::Doubling);
        world.starts.restore([((service(), id(2)), ahead)].into());
        world.found = vec![(1, 64), (2, 8)];
        assert_eq!(world.at(146_000, &[(1, 64), (2, 64)]), [64, 8]);
        assert_eq!(world.until(2), Some(Mono::from_millis(206_000)), "60 s are left");
    }

    #[test]
    fn who_was_not_in_the_kernel_has_not_gone_on_and_what_is_not_wanted_is_forgotten() {
        let mut world = killed_at_eight().restarted(&[(1, 64)]);
        assert_eq!(world.at(150_000, &[(1, 64), (2, 64)]), [64, 2]);
        let mut world = killed_at_eight().restarted(&[]);
        assert_eq!(world.at(150_000, &[(1, 64), (2, 64)]), [64, 64]);
        let mut world = killed_at_eight().restarted(&[]);
        world.starts.retain(|_| true);
        assert!(world.starts.take_unsaved());
        assert_eq!(world.starts.climbs(), BTreeMap::new());
    }

    #[test]
    fn who_has_another_row_goes_on() {
        let mut world = killed_at_eight();
        let elsewhere = ServiceId::tcp("10.1.0.200:80".parse().unwrap());
        let moved: BTreeMap<Row, Row> =
            [((elsewhere, id(7)), (service(), id(2))), ((elsewhere, id(8)), (service(), id(1)))].into();
        world.starts.follow(&moved);
        let since = Mono::from_millis(100_000);
        assert_eq!(world.starts.climbs().get(&(elsewhere, id(7))), Some(&since));
        world.starts.follow(&[((service(), id(3)), (service(), id(2)))].into());
        assert_eq!(world.at(146_000, &[(1, 64), (3, 64)]), [64, 8]);
        world.starts.follow(&[((service(), id(4)), (service(), id(1)))].into());
        assert_eq!(world.at(147_000, &[(4, 64), (3, 64)]), [64, 8]);
    }

    #[test]
    fn the_first_weight_of_a_server_that_waits_is_the_one_with_which_it_joins() {
        let mut world = World::with(Ramp::Doubling);
        let first = |world: &World, millis| {
            let now = Mono::from_millis(millis);
            world.starts.first_weight(now, Ramp::Doubling, &(service(), id(2)), 64)
        };
        assert_eq!(first(&world, 0), 64);
        world.at(0, &[(1, 64)]);
        assert_eq!((first(&world, 2000), first(&world, 2001)), (64, 2));
    }
}
