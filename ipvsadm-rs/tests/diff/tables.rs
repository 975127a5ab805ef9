//! Tables to take the difference of: few services and destinations, so that two tables have many in common.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::time::Duration;

use ipvsadm::{
    Destination, DestinationEntry, DestinationId, Family, Forward, Persistence, PersistenceEngine, Protocol,
    Request, Scheduler, Service, ServiceEntry, ServiceFlags, ServiceId, Stats, Table, Tunnel, TunnelChecksum,
};
use proptest::prelude::*;

/// One of eight services; every kind there is.
pub(crate) fn service_id(number: u8) -> ServiceId {
    let mark = |family| ServiceId::FwMark { mark: NonZeroU32::new(7).unwrap(), family };
    let at = |text: &str| text.parse::<SocketAddr>().unwrap();
    match number % 8 {
        0 => ServiceId::tcp(at("10.1.0.100:80")),
        1 => ServiceId::tcp(at("10.1.0.101:80")),
        2 => ServiceId::udp(at("10.1.0.100:80")),
        3 => ServiceId::Address { protocol: Protocol::Sctp, address: at("10.1.0.100:80").ip(), port: 80 },
        4 => mark(Family::V4),
        5 => mark(Family::V6),
        6 => ServiceId::tcp(at("[2001:db8::100]:80")),
        _ => ServiceId::tcp(at("10.1.0.100:0")),
    }
}

/// One of twelve real servers, half of them of either family.
pub(crate) fn destination_id(number: u8) -> DestinationId {
    let port = if number.is_multiple_of(3) { 8080 } else { 80 };
    match number % 12 {
        host @ 0..6 => DestinationId::new(Ipv4Addr::new(10, 2, 0, 10 + host).into(), port),
        host => DestinationId::new(IpAddr::from([0x2001, 0xdb8, 0, 2, 0, 0, 0, u16::from(host)]), port),
    }
}

pub(crate) fn entry(service: Service, destinations: Vec<Destination>) -> ServiceEntry {
    let destinations = destinations.into_iter().map(DestinationEntry::unused);
    ServiceEntry { service, stats: Stats::default(), destinations: destinations.collect() }
}

/// The table that rules as `ipvsadm -S -n` writes them make; real servers by number, as `NUMBER*WEIGHT`.
pub(crate) fn table(services: &[(u8, &str)]) -> Table {
    let service = |(number, destinations): &(u8, &str)| {
        let destination = |text: &str| {
            let (number, weight) = text.split_once('*').unwrap();
            let id = destination_id(number.parse().unwrap());
            Destination { weight: weight.parse().unwrap(), ..Destination::new(id, Forward::Masquerade) }
        };
        let destinations = destinations.split_whitespace().map(destination).collect();
        entry(Service::new(service_id(*number), Scheduler::WLC), destinations)
    };
    Table { services: services.iter().map(service).collect() }
}

pub(crate) fn lines(requests: &[Request]) -> Vec<String> {
    requests.iter().map(ToString::to_string).collect()
}

/// What a table asks for, in an order of its own: two that differ in nothing but order and counters are equal.
pub(crate) fn content(table: &Table) -> Vec<(ServiceId, Service, Vec<Destination>)> {
    let mut services: Vec<_> = table
        .rows()
        .map(|(service, destinations)| {
            let mut destinations: Vec<Destination> = destinations.cloned().collect();
            destinations.sort_by_key(|it| it.id);
            (service.id, service.clone(), destinations)
        })
        .collect();
    services.sort_by_key(|(id, ..)| *id);
    services
}

fn forward(mixed: bool) -> impl Strategy<Value = Forward> {
    let checksum = prop_oneof![Just(TunnelChecksum::None), Just(TunnelChecksum::Checksum)];
    let tunnel = prop_oneof![
        Just(Tunnel::Ipip),
        (1u16..3, checksum)
            .prop_map(|(port, checksum)| Tunnel::Gue { port: port.try_into().unwrap(), checksum }),
        any::<bool>().prop_map(|checksum| Tunnel::Gre { checksum }),
    ]
    .prop_map(Forward::Tunnel);
    // A real server of the other family can be reached by tunnelling only.
    let plain = if mixed { 0 } else { 3 };
    prop_oneof![plain => Just(Forward::Masquerade), plain => Just(Forward::DirectRoute), 1 => tunnel]
}

fn destination(service: ServiceId, number: u8) -> impl Strategy<Value = Destination> {
    let id = destination_id(number);
    let mixed = Family::of(id.address) != service.family();
    (forward(mixed), 0u32..3, 0u32..3, 0u32..2).prop_map(move |(forward, weight, upper, lower)| Destination {
        weight,
        upper_threshold: upper,
        lower_threshold: lower.min(upper),
        ..Destination::new(id, forward)
    })
}

fn persistence(family: Family) -> impl Strategy<Value = Option<Persistence>> {
    let per_client = move |seconds| Persistence::per_client(Duration::from_secs(seconds), family);
    let engine = prop::option::of(Just(PersistenceEngine::new("sip").unwrap()));
    prop::option::of(
        (1u64..3, engine).prop_map(move |(seconds, engine)| Persistence { engine, ..per_client(seconds) }),
    )
}

fn one_service(number: u8) -> impl Strategy<Value = ServiceEntry> {
    let id = service_id(number);
    let scheduler = prop_oneof![Just(Scheduler::RR), Just(Scheduler::WLC), Just(Scheduler::SH)];
    let flags = prop_oneof![
        Just(ServiceFlags::NONE),
        Just(ServiceFlags::SCHEDULER_1),
        Just(ServiceFlags::SCHEDULER_1 | ServiceFlags::SCHEDULER_2),
    ];
    let rows: Vec<_> = (0u8..12).map(|number| prop::option::weighted(0.4, destination(id, number))).collect();
    (scheduler, flags, persistence(id.family()), rows.prop_shuffle()).prop_map(
        move |(scheduler, flags, persistence, rows)| {
            let service = Service { flags, persistence, ..Service::new(id, scheduler) };
            entry(service, rows.into_iter().flatten().collect())
        },
    )
}

/// Some of the eight services with some of the twelve real servers each, in any order.
pub(crate) fn any_table() -> impl Strategy<Value = Table> {
    let services: Vec<_> = (0u8..8).map(|number| prop::option::of(one_service(number))).collect();
    services.prop_shuffle().prop_map(|services| Table { services: services.into_iter().flatten().collect() })
}
