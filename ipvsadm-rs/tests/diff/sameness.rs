//! What counts as a difference.

use std::time::Duration;

use ipvsadm::{
    Destination, Family, Forward, Granularity, Persistence, Request, Scheduler, Service, Stats, Table,
    Tunnel, UnknownAttributes,
};

use crate::tables::{destination_id, entry, lines, service_id, table};

fn of_one(destination: Destination) -> Table {
    Table { services: vec![entry(Service::new(service_id(0), Scheduler::RR), vec![destination])] }
}

fn of_service(service: Service) -> Table {
    Table { services: vec![entry(service, Vec::new())] }
}

fn server() -> Destination {
    Destination::new(destination_id(1), Forward::Masquerade)
}

fn from_a_newer_kernel() -> UnknownAttributes {
    UnknownAttributes::new(vec![(77, vec![1, 2, 3])])
}

#[test]
fn counters_connections_and_order_are_no_difference() {
    let wanted = table(&[(0, "1*1 2*2"), (1, "1*1")]);
    let mut busy = table(&[(1, "1*1"), (0, "2*2 1*1")]);
    for entry in &mut busy.services {
        entry.stats = Stats { connections: 9, ..Stats::default() };
        entry.destinations[0].active_connections = 3;
        entry.destinations[0].stats = entry.stats;
    }
    assert_eq!(busy.diff(&wanted), []);
    assert_eq!(wanted.diff(&busy), []);
}

#[test]
fn every_setting_is_a_difference() {
    let service = Service::new(service_id(2), Scheduler::RR);
    let keep = |seconds| Some(Persistence::per_client(Duration::from_secs(seconds), Family::V4));
    let services = [
        (Service { scheduler: Scheduler::SH, ..service.clone() }, "-E -u 10.1.0.100:80 -s sh"),
        (
            Service { flags: ipvsadm::ServiceFlags::ONE_PACKET, ..service.clone() },
            "-E -u 10.1.0.100:80 -s rr -o",
        ),
        (Service { persistence: keep(60), ..service.clone() }, "-E -u 10.1.0.100:80 -s rr -p 60"),
    ];
    for (wanted, line) in services {
        let (before, wanted) = (of_service(service.clone()), of_service(wanted));
        assert_eq!(lines(&before.diff(&wanted)), [line]);
        assert_eq!(lines(&wanted.diff(&before)), ["-E -u 10.1.0.100:80 -s rr"]);
    }
    let destinations = [
        (Destination { weight: 5, ..server() }, "-m -w 5"),
        (Destination { upper_threshold: 9, ..server() }, "-m -w 1 -x 9"),
        (Destination { upper_threshold: 9, lower_threshold: 3, ..server() }, "-m -w 1 -x 9 -y 3"),
        (Destination { forward: Forward::DirectRoute, ..server() }, "-g -w 1"),
        (Destination { forward: Forward::Tunnel(Tunnel::Ipip), ..server() }, "-i -w 1 --tun-type ipip"),
    ];
    for (wanted, words) in destinations {
        let line = format!("-e -t 10.1.0.100:80 -r 10.2.0.11:80 {words}");
        assert_eq!(lines(&of_one(server()).diff(&of_one(wanted))), [line]);
    }
}

#[test]
fn a_server_on_the_router_itself_is_not_edited_for_ever() {
    let local = of_one(Destination { forward: Forward::Local, ..server() });
    for forward in [Forward::Masquerade, Forward::DirectRoute, Forward::Tunnel(Tunnel::Ipip), Forward::Local]
    {
        assert_eq!(local.diff(&of_one(Destination { forward, ..server() })), []);
    }
    let heavier = of_one(Destination { weight: 2, ..server() });
    assert_eq!(lines(&local.diff(&heavier)), ["-e -t 10.1.0.100:80 -r 10.2.0.11:80 -m -w 2"]);
    // The other way round somebody asks for what the kernel has not chosen.
    assert_eq!(of_one(server()).diff(&local).len(), 1);
}

#[test]
fn parts_of_a_second_of_persistence_are_no_difference() {
    let keep = |timeout| {
        let persistence = Some(Persistence::per_client(timeout, Family::V4));
        of_service(Service { persistence, ..Service::new(service_id(0), Scheduler::RR) })
    };
    let minute = keep(Duration::from_secs(60));
    assert_eq!(minute.diff(&keep(Duration::from_millis(60_900))), []);
    assert_eq!(lines(&minute.diff(&keep(Duration::from_secs(61)))), ["-E -t 10.1.0.100:80 -s rr -p 61"]);
    // More seconds than the kernel can be asked for.
    assert_eq!(keep(Duration::from_secs(u32::MAX.into())).diff(&keep(Duration::MAX)), []);
}

#[test]
fn a_prefix_longer_than_an_ipv4_address_is_not_asked_for_for_ever() {
    let keep = |granularity| {
        let persistence = Persistence::per_client(Duration::from_secs(60), Family::V4);
        let persistence = Some(Persistence { granularity, ..persistence });
        of_service(Service { persistence, ..Service::new(service_id(0), Scheduler::RR) })
    };
    // What the kernel says of it.
    let whole = keep(Granularity::prefix(32));
    assert_eq!(whole.diff(&keep(Granularity::prefix(64))), []);
    assert_eq!(whole.diff(&keep(Granularity::prefix(24))).len(), 1);
}

#[test]
fn what_a_newer_kernel_says_stays_through_a_change_of_something_else() {
    let known = Destination { unknown: from_a_newer_kernel(), ..server() };
    let actual = of_one(known.clone());
    assert_eq!(actual.diff(&of_one(server())), []);
    assert_eq!(
        actual.diff(&of_one(Destination { weight: 4, ..server() })),
        [Request::EditDestination(service_id(0), Destination { weight: 4, ..known.clone() })]
    );
    // Where it is wanted itself, it is a setting like others.
    assert_eq!(of_one(server()).diff(&actual), [Request::EditDestination(service_id(0), known)]);

    let plain = Service::new(service_id(0), Scheduler::RR);
    let known = Service { unknown: from_a_newer_kernel(), ..plain.clone() };
    assert_eq!(of_service(known.clone()).diff(&of_service(plain.clone())), []);
    assert_eq!(
        of_service(known.clone()).diff(&of_service(Service { scheduler: Scheduler::SH, ..plain.clone() })),
        [Request::EditService(Service { scheduler: Scheduler::SH, ..known.clone() })]
    );
    assert_eq!(of_service(plain).diff(&of_service(known.clone())), [Request::EditService(known)]);
}
