//! What of the kernel's table a plan touches; how it does so is tested where the differences are made.

use std::collections::BTreeSet;

use ipvsadm::fake::FakeKernel;
use ipvsadm::{
    Destination, DestinationId, Forward, Ipvs, Request, Scheduler, Service, ServiceId, Table, Tunnel,
};
use lvs::desired::{Wanted, WantedService};
use lvs::plan::plan;
use proptest::prelude::*;

/// Up to six services that a plan may be about, by number.
fn service_id(number: u8) -> ServiceId {
    ServiceId::tcp(std::net::SocketAddr::from(([10, 1, 0, number], 80)))
}

fn destination(number: u8, weight: u32, forward: Forward) -> Destination {
    let address = std::net::IpAddr::from([10, 2, 0, number]);
    Destination { weight, ..Destination::new(DestinationId::new(address, 80), forward) }
}

fn forward() -> impl Strategy<Value = Forward> {
    prop_oneof![Just(Forward::Masquerade), Just(Forward::DirectRoute), Just(Forward::Tunnel(Tunnel::Ipip))]
}

fn service(number: u8) -> impl Strategy<Value = WantedService> {
    let scheduler = prop_oneof![Just(Scheduler::RR), Just(Scheduler::WLC)];
    let destinations = proptest::collection::btree_map(1u8..6, (0u32..3, forward()), 0..5);
    (scheduler, destinations).prop_map(move |(scheduler, destinations)| WantedService {
        service: Service::new(service_id(number), scheduler),
        destinations: destinations.into_iter().map(|(n, (w, f))| destination(n, w, f)).collect(),
        left_alone: BTreeSet::new(),
        sorry: false,
    })
}

/// Some of the services `numbers`.
fn services(numbers: std::ops::Range<u8>) -> impl Strategy<Value = Wanted> {
    let one = |number| proptest::option::of(service(number));
    numbers
        .map(one)
        .collect::<Vec<_>>()
        .prop_map(|services| Wanted { services: services.into_iter().flatten().collect() })
}

fn table_of(wanted: &Wanted) -> Table {
    let mut table = Table::default();
    let requests = wanted.services.iter().flat_map(|service| {
        let id = service.service.id;
        let rows = service.destinations.iter().map(move |to| Request::AddDestination(id, to.clone()));
        std::iter::once(Request::AddService(service.service.clone())).chain(rows)
    });
    table.apply(&requests.collect::<Vec<_>>());
    table
}

/// What counts of a table, whatever its order.
fn content(table: &Table, keep: impl Fn(&ServiceId) -> bool) -> BTreeSet<String> {
    let kept = table.services.iter().filter(|entry| keep(&entry.service.id));
    kept.flat_map(|entry| {
        let id = entry.service.id;
        let rows =
            entry.destinations.iter().map(move |row| Request::AddDestination(id, row.destination.clone()));
        std::iter::once(Request::AddService(entry.service.clone()))
            .chain(rows)
            .map(|request| request.to_string())
    })
    .collect()
}

proptest! {
    /// Services 0 to 3 are ours, 4 and 5 are foreign.
    #[test]
    fn a_plan_makes_the_table_as_wanted_and_leaves_foreign_services_alone(
        before in services(0..6),
        wanted in services(0..4),
    ) {
        let kernel = FakeKernel::new();
        kernel.set_table(table_of(&before));
        let mut ipvs = Ipvs::with_transport(kernel.connect()).unwrap();
        let owned: BTreeSet<ServiceId> = (0..4).map(service_id).collect();
        let actual = ipvs.table().unwrap();
        let requests = plan(&wanted, &actual, &owned);
        let outcomes = ipvs.apply(&requests).unwrap();
        prop_assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
        let after = ipvs.table().unwrap();
        let is_ours = |id: &ServiceId| owned.contains(id);
        prop_assert_eq!(content(&after, is_ours), content(&table_of(&wanted), is_ours));
        let foreign = |id: &ServiceId| !owned.contains(id);
        prop_assert_eq!(content(&after, foreign), content(&actual, foreign));
        prop_assert_eq!(plan(&wanted, &after, &owned), []);
        // What we believe the kernel does is what it does.
        let mut believed = actual;
        believed.apply(&requests);
        prop_assert_eq!(content(&believed, |_| true), content(&after, |_| true));
    }
}

fn wanted(destinations: Vec<Destination>) -> Wanted {
    let service = Service::new(service_id(1), Scheduler::RR);
    Wanted {
        services: vec![WantedService { service, destinations, left_alone: BTreeSet::new(), sorry: false }],
    }
}

#[test]
fn rows_left_alone_are_neither_added_nor_edited_nor_removed() {
    let before = table_of(&wanted(vec![
        destination(1, 7, Forward::Masquerade),
        destination(2, 1, Forward::Masquerade),
    ]));
    let mut after = wanted(Vec::new());
    after.services[0].left_alone.insert(destination(1, 1, Forward::Masquerade).id);
    let lines: Vec<String> =
        plan(&after, &before, &BTreeSet::new()).iter().map(ToString::to_string).collect();
    assert_eq!(lines, ["-d -t 10.1.0.1:80 -r 10.2.0.2:80"]);
}
