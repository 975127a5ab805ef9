//! `slow_start`: a real server that joins a service gets its full share of the work little by little.
//!
//! Its weight rises in up to [`STEPS`] equal steps from a sixteenth of the full one (at least 1) to the full one, evenly
//! spread over the time that the file gives; the full weight may change on the way, the share goes on. Who joins is
//! judged by the rows that take connections, whatever the reason that they do or do not:
//!
//! - Nobody served: the service itself starts, and there is nobody whose work a newcomer could spare. Whoever else is
//!   there and comes up within two intervals of the checks belongs to that start, and gets its full weight too.
//! - Somebody serves: who did not a moment ago joins and climbs, be it new in the file or back after a failure.
//! - A server that is left alone has nobody to leave work to: it stops climbing and has its full weight.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use daemonkit::clock::Mono;
use ipvsadm::{DestinationId, ServiceId};

use crate::desired::WantedService;

/// Most weights that a climbing server has one after the other, the full one included.
const STEPS: u32 = 16;

/// What the file says about the slow starts of one service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rule {
    /// How long a climb takes.
    pub(super) time: Duration,
    /// How long others may take to come up when the service starts.
    pub(super) together: Duration,
}

/// A server on its way to its full weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Climb {
    since: Mono,
    /// The step that its weight has, from 1 to [`STEPS`].
    step: u32,
}

/// One service that starts its servers slowly.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Service {
    time: Duration,
    /// Who takes connections.
    serving: BTreeSet<DestinationId>,
    /// Until when these may still come up as part of the service's own start.
    starting: Option<(Mono, BTreeSet<DestinationId>)>,
    climbing: BTreeMap<DestinationId, Climb>,
}

/// The slow starts of all services.
#[derive(Debug, Clone, Default)]
pub(super) struct SlowStarts(HashMap<ServiceId, Service>);

impl SlowStarts {
    /// Lowers the weights of those servers of `wanted`, which has full ones, that are still climbing. `all` tells the real
    /// servers, also those that do not serve; `serving`, which rows took connections before the first time that this is
    /// asked about a service.
    pub(super) fn apply(
        &mut self,
        now: Mono,
        rule: Rule,
        wanted: &mut WantedService,
        all: impl FnOnce() -> BTreeSet<DestinationId>,
        serving: impl FnOnce() -> BTreeSet<DestinationId>,
    ) {
        let service = self
            .0
            .entry(wanted.service.id)
            .or_insert_with(|| Service { serving: serving(), ..Service::default() });
        let real_servers = wanted.destinations.len() - usize::from(wanted.sorry);
        let serve = wanted.destinations.iter().take(real_servers).filter(|row| row.weight > 0);
        service.serve(now, rule, serve.map(|row| row.id).collect(), all);
        for row in &mut wanted.destinations {
            if let Some(climb) = service.climbing.get(&row.id) {
                row.weight = part(row.weight, climb.step);
            }
        }
    }

    /// Nothing is started slowly in this service any more.
    pub(super) fn forget(&mut self, service: &ServiceId) {
        self.0.remove(service);
    }

    /// Forgets services that nobody wants any more.
    pub(super) fn retain(&mut self, is_wanted: impl Fn(&ServiceId) -> bool) {
        self.0.retain(|service, _| is_wanted(service));
    }

    /// Services in which a server is due for its next step at `now`.
    pub(super) fn due(&self, now: Mono) -> impl Iterator<Item = ServiceId> + '_ {
        let is_due = move |service: &Service| service.next_step().is_some_and(|due| due <= now);
        self.0.iter().filter(move |(_, service)| is_due(service)).map(|(id, _)| *id)
    }

    /// When the next server is due for its next step.
    pub(super) fn deadline(&self) -> Option<Mono> {
        self.0.values().filter_map(Service::next_step).min()
    }

    /// When this server will have its full weight, if it climbs.
    pub(super) fn until(&self, service: &ServiceId, server: &DestinationId) -> Option<Mono> {
        let service = self.0.get(service)?;
        service.climbing.get(server).map(|climb| climb.since + service.time)
    }
}

impl Service {
    /// From now on these serve.
    fn serve(
        &mut self,
        now: Mono,
        rule: Rule,
        serving: BTreeSet<DestinationId>,
        all: impl FnOnce() -> BTreeSet<DestinationId>,
    ) {
        self.time = rule.time;
        let before = std::mem::replace(&mut self.serving, serving);
        if before.is_empty() && !self.serving.is_empty() {
            let others = all().difference(&self.serving).copied().collect();
            self.starting = Some((now + rule.together, others));
        }
        if self.serving.is_empty() || self.starting.as_ref().is_some_and(|(until, _)| *until < now) {
            self.starting = None;
        }
        for newcomer in self.serving.difference(&before) {
            let starts = self.starting.as_mut().is_some_and(|(_, others)| others.remove(newcomer));
            if !before.is_empty() && !starts {
                self.climbing.insert(*newcomer, Climb { since: now, step: 1 });
            }
        }
        if self.serving.len() == 1 {
            self.climbing.clear();
        }
        let serving = &self.serving;
        self.climbing.retain(|server, climb| {
            climb.step = step(now.since(climb.since), rule.time);
            climb.step < STEPS && serving.contains(server)
        });
    }

    fn next_step(&self) -> Option<Mono> {
        self.climbing.values().map(|climb| climb.since + begin(climb.step + 1, self.time)).min()
    }
}

/// The step of a climb of this length at this time.
fn step(elapsed: Duration, time: Duration) -> u32 {
    (2..=STEPS).take_while(|step| begin(*step, time) <= elapsed).last().unwrap_or(1)
}

/// When a step begins, in whole milliseconds: the first at once, the last after the whole time.
fn begin(step: u32, time: Duration) -> Duration {
    let nanos = time.as_nanos() * u128::from(step - 1) / u128::from(STEPS - 1);
    Duration::from_millis(u64::try_from(nanos.div_ceil(1_000_000)).unwrap_or(u64::MAX))
}

/// What is given of a full weight: so many sixteenths, rounded up.
fn part(full: u32, step: u32) -> u32 {
    let part = (u64::from(full) * u64::from(step)).div_ceil(STEPS.into());
    u32::try_from(part).unwrap_or(full)
}

#[cfg(test)]
mod tests {
    use ipvsadm::{Destination, Forward, Scheduler, Service as VirtualServer};
    use proptest::prelude::*;

    use super::*;

    fn id(n: u8) -> DestinationId {
        DestinationId::new([10, 2, 0, n].into(), 80)
    }

    fn service() -> ServiceId {
        ServiceId::tcp("10.1.0.100:80".parse().unwrap())
    }

    /// Slow starts of 15 seconds, with two seconds for a common start, over servers 1 to 9.
    struct World(SlowStarts, Duration);

    impl World {
        fn new() -> Self {
            Self(SlowStarts::default(), Duration::from_secs(15))
        }

        /// The weights at `millis` of servers that would have these without a slow start.
        fn at(&mut self, millis: u64, full: &[(u8, u32)]) -> Vec<u32> {
            self.after(&[], millis, full)
        }

        /// The same, where `found` served before the first time.
        fn after(&mut self, found: &[u8], millis: u64, full: &[(u8, u32)]) -> Vec<u32> {
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
            let rule = Rule { time: self.1, together: Duration::from_secs(2) };
            let now = Mono::from_millis(millis);
            let before = || found.iter().copied().map(id).collect();
            self.0.apply(now, rule, &mut wanted, || (1..=9).map(id).collect(), before);
            assert!(self.0.deadline().is_none_or(|deadline| deadline > now), "a step is due again");
            wanted.destinations.iter().map(|row| row.weight).collect()
        }

        /// Every change from now on, with nothing else happening.
        fn climb(&mut self, full: &[(u8, u32)]) -> Vec<(u64, Vec<u32>)> {
            let mut seen = Vec::new();
            while let Some(deadline) = self.0.deadline() {
                assert_eq!(self.0.due(deadline).collect::<Vec<_>>(), [service()]);
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
        assert_eq!(world.0.deadline(), None);
    }

    #[test]
    fn a_small_weight_begins_at_one_and_a_climb_between_whole_milliseconds_ends_in_time() {
        let mut world = World::new();
        world.1 = Duration::from_secs(1);
        world.at(0, &[(1, 3)]);
        assert_eq!(world.at(5000, &[(1, 3), (2, 3)]), [3, 1]);
        let weights = world.climb(&[(1, 3), (2, 3)]);
        assert_eq!(weights[0], (5067, vec![3, 1]));
        assert_eq!(weights[4], (5334, vec![3, 2]));
        assert_eq!(weights[9], (5667, vec![3, 3]));
        assert_eq!(weights[14], (6000, vec![3, 3]));
        assert_eq!(weights.len(), 15);
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
        assert_eq!(world.0.until(&service(), &id(2)), Some(Mono::from_millis(25_000)));
        world.1 = Duration::from_secs(30);
        assert_eq!(world.at(14_000, &[(1, 16), (2, 160)]), [16, 30]);
        world.1 = Duration::from_secs(4);
        assert_eq!(world.at(14_001, &[(1, 16), (2, 160)]), [16, 160]);
        assert_eq!(world.0.until(&service(), &id(2)), None);
    }

    #[test]
    fn rows_that_were_in_the_kernel_before_do_not_climb_and_others_do() {
        let mut world = World::new();
        assert_eq!(world.after(&[1, 2], 0, &[(1, 16), (2, 16), (3, 16)]), [16, 16, 1]);
        world.0.forget(&service());
        assert_eq!(world.after(&[], 10, &[(1, 16), (3, 16)]), [16, 16]);
        world.0.retain(|_| false);
        assert_eq!(world.0.deadline(), None);
    }

    proptest! {
        #[test]
        fn a_climb_only_rises_and_never_leaves_the_service_without_work(
            full in 1u32..70_000,
            millis in 1000u64..3_600_000,
            looks in prop::collection::vec(0u64..300_000, 1..30),
        ) {
            let time = Duration::from_millis(millis);
            let (mut now, mut last) = (0, 0);
            for look in looks {
                now += look;
                let weight = part(full, step(Duration::from_millis(now), time));
                prop_assert!(weight >= last && weight >= full.div_ceil(16) && weight <= full);
                prop_assert_eq!(now >= millis, step(Duration::from_millis(now), time) == STEPS);
                last = weight;
            }
        }
    }
}
