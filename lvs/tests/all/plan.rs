//! Plans, carried out step by step on a kernel in memory.

use std::collections::BTreeSet;

use ipvsadm::fake::FakeKernel;
use ipvsadm::{
    Destination, DestinationId, Forward, Ipvs, Request, Scheduler, Service, ServiceId, Table, Tunnel,
};
use lvs::desired::{Wanted, WantedService};
use lvs::plan::{accept, plan};
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
    for service in &wanted.services {
        accept(&mut table, &Request::AddService(service.service.clone()));
        for to in &service.destinations {
            accept(&mut table, &Request::AddDestination(service.service.id, to.clone()));
        }
    }
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

fn serves(table: &Table, id: &ServiceId) -> bool {
    table.find(id).is_some_and(|entry| entry.destinations.iter().any(|row| row.destination.weight > 0))
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
        for request in &requests {
            accept(&mut believed, request);
        }
        prop_assert_eq!(content(&believed, |_| true), content(&after, |_| true));
    }

    #[test]
    fn no_step_of_a_plan_leaves_a_service_without_the_servers_that_it_has_before_and_after(
        before in services(0..4),
        wanted in services(0..4),
    ) {
        let owned: BTreeSet<ServiceId> = (0..4).map(service_id).collect();
        let mut table = table_of(&before);
        let after = table_of(&wanted);
        let lasting: Vec<ServiceId> =
            (0..4).map(service_id).filter(|id| serves(&table, id) && serves(&after, id)).collect();
        for request in plan(&wanted, &table.clone(), &owned) {
            accept(&mut table, &request);
            for id in &lasting {
                prop_assert!(serves(&table, id), "{id} serves nobody after {request}");
            }
        }
    }

    #[test]
    fn a_plan_has_at_most_one_request_per_service_and_row(before in services(0..4), wanted in services(0..4)) {
        let owned: BTreeSet<ServiceId> = (0..4).map(service_id).collect();
        let requests = plan(&wanted, &table_of(&before), &owned);
        let mut seen = BTreeSet::new();
        for request in requests {
            let subject = match request {
                Request::AddService(service) | Request::EditService(service) => (service.id, None),
                Request::DeleteService(id) => (id, None),
                Request::AddDestination(id, to) | Request::EditDestination(id, to) => (id, Some(to.id)),
                Request::DeleteDestination(id, to) => (id, Some(to)),
                other => panic!("{other}"),
            };
            prop_assert!(seen.insert(subject), "{subject:?} twice");
        }
    }
}

fn wanted(destinations: Vec<Destination>) -> Wanted {
    let service = Service::new(service_id(1), Scheduler::RR);
    Wanted {
        services: vec![WantedService { service, destinations, left_alone: BTreeSet::new(), sorry: false }],
    }
}

#[test]
fn new_servers_come_first_then_quiet_ones_then_removals() {
    let masquerade = |number, weight| destination(number, weight, Forward::Masquerade);
    let before = table_of(&wanted(vec![masquerade(1, 1), masquerade(2, 1)]));
    let after = wanted(vec![masquerade(2, 0), masquerade(3, 1)]);
    let lines: Vec<String> =
        plan(&after, &before, &BTreeSet::new()).iter().map(ToString::to_string).collect();
    assert_eq!(
        lines,
        [
            "-a -t 10.1.0.1:80 -r 10.2.0.3:80 -m -w 1",
            "-e -t 10.1.0.1:80 -r 10.2.0.2:80 -m -w 0",
            "-d -t 10.1.0.1:80 -r 10.2.0.1:80",
        ]
    );
}

#[test]
fn a_server_on_the_router_itself_is_not_edited_for_ever() {
    let after = wanted(vec![destination(1, 1, Forward::Masquerade)]);
    let before = table_of(&wanted(vec![destination(1, 1, Forward::Local)]));
    assert_eq!(plan(&after, &before, &BTreeSet::new()), []);
    let before = table_of(&wanted(vec![destination(1, 2, Forward::Local)]));
    assert_eq!(plan(&after, &before, &BTreeSet::new()).len(), 1);
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
