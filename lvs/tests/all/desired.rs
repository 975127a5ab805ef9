//! The wanted table for every way in which a file can ask for it.

use std::collections::BTreeMap;

use ipvsadm::Request;
use lvs::desired::wanted;
use lvs::health::Standing;
use lvs_config::Config;
use proptest::prelude::*;

use crate::world::{assert_lines, config, virtual_server};

/// The wanted table as lines, when each server stands as told by the last octet of its address.
fn lines(config: &Config, standing: impl Fn(u8) -> Standing) -> Vec<String> {
    let last_octet = |address: std::net::IpAddr| match address {
        std::net::IpAddr::V4(v4) => v4.octets()[3],
        std::net::IpAddr::V6(v6) => v6.octets()[15],
    };
    let wanted = wanted(config, |key| standing(last_octet(key.server.address)));
    let lines = wanted.services.iter().flat_map(|service| {
        let id = service.service.id;
        let rows =
            service.destinations.iter().map(move |to| Request::AddDestination(id, to.clone()).to_string());
        std::iter::once(Request::AddService(service.service.clone()).to_string()).chain(rows)
    });
    lines.collect()
}

fn all_up(config: &Config) -> Vec<String> {
    lines(config, |_| Standing::Serving(None))
}

#[test]
fn address_translation_keeps_the_servers_port() {
    let body = virtual_server("web", "10.1.0.100", "port = 80", &["10.2.0.11 port = 8080; weight = 3"]);
    assert_lines(
        &all_up(&config(&body)),
        &["-A -t 10.1.0.100:80 -s rr", "-a -t 10.1.0.100:80 -r 10.2.0.11:8080 -m -w 3"],
    );
}

#[test]
fn direct_routing_and_tunnelling_take_the_services_port() {
    for (network, option) in [("direct", "-g -w 1"), ("tunnel", "-i -w 1 --tun-type ipip")] {
        let body =
            virtual_server("dns", "10.1.0.100", "port = 53; protocol = udp", &["10.2.0.11 port = 8080"]);
        assert_lines(
            &all_up(&config(&format!("network = {network}\n{body}"))),
            &["-A -u 10.1.0.100:53 -s rr", &format!("-a -u 10.1.0.100:53 -r 10.2.0.11:53 {option}")],
        );
    }
}

#[test]
fn a_firewall_mark_has_the_family_of_the_vip_and_port_zero_unless_translated() {
    let marked = |network: &str, vip: &str, server: &str| {
        let body = virtual_server("web", vip, "port = 80; fwmark = 4294967295", &[server]);
        all_up(&config(&format!("network = {network}\n{body}")))
    };
    assert_lines(
        &marked("direct", "10.1.0.100", "10.2.0.11"),
        &["-A -f 4294967295 -s rr", "-a -f 4294967295 -r 10.2.0.11:0 -g -w 1"],
    );
    assert_lines(
        &marked("nat", "2001:db8::1", "2001:db8::11"),
        &["-A -f 4294967295 -6 -s rr", "-a -f 4294967295 -6 -r [2001:db8::11]:80 -m -w 1"],
    );
}

#[test]
fn persistence_has_its_granularity() {
    let persistent = |directives: &str| all_up(&config(&virtual_server("w", "10.1.0.100", directives, &[])));
    assert_lines(&persistent("persistent = 300"), &["-A -t 10.1.0.100:80 -s rr -p 300"]);
    assert_lines(
        &persistent("persistent = 300; pmask = 255.255.0.0"),
        &["-A -t 10.1.0.100:80 -s rr -p 300 -M 255.255.0.0"],
    );
}

#[test]
fn every_scheduler_of_the_file_is_one_of_the_kernel() {
    for known in ipvsadm::Scheduler::KNOWN {
        let body = virtual_server("web", "10.1.0.100", &format!("scheduler = {known}"), &[]);
        assert_lines(&all_up(&config(&body)), &[&format!("-A -t 10.1.0.100:80 -s {known}")]);
    }
}

#[test]
fn protocol_flags_and_one_packet_scheduling_are_the_services() {
    let service = |directives: &str| all_up(&config(&virtual_server("w", "10.1.0.100", directives, &[])));
    for (directives, line) in [
        ("protocol = sctp", "-A --sctp-service 10.1.0.100:80 -s rr"),
        ("protocol = udp; one_packet = 1", "-A -u 10.1.0.100:80 -s rr -o"),
        ("fwmark = 7; network = direct; one_packet = 1", "-A -f 7 -s rr -o"),
        ("scheduler = sh; sched_flags = sh-port", "-A -t 10.1.0.100:80 -s sh -b sh-port"),
        (
            "scheduler = mh; sched_flags = mh-port, mh-fallback",
            "-A -t 10.1.0.100:80 -s mh -b mh-fallback,mh-port",
        ),
        ("scheduler = wlc; sched_flags = flag-3", "-A -t 10.1.0.100:80 -s wlc -b flag-3"),
    ] {
        assert_lines(&service(directives), &[line]);
    }
}

#[test]
fn each_server_has_its_limits_and_the_sorry_server_none() {
    let directives = "max_connections = 100; min_connections = 50; sorry_server = 10.2.0.99";
    let servers = ["10.2.0.11", "10.2.0.12 max_connections = 60", "10.2.0.13 max_connections = 0"];
    let body = config(&virtual_server("w", "10.1.0.100", directives, &servers));
    assert_lines(
        &all_up(&body)[1..],
        &[
            "-a -t 10.1.0.100:80 -r 10.2.0.11:80 -m -w 1 -x 100 -y 50",
            "-a -t 10.1.0.100:80 -r 10.2.0.12:80 -m -w 1 -x 60 -y 50",
            "-a -t 10.1.0.100:80 -r 10.2.0.13:80 -m -w 1",
        ],
    );
    let nobody = lines(&body, |_| Standing::Out);
    assert_lines(&nobody[1..], &["-a -t 10.1.0.100:80 -r 10.2.0.99:80 -m -w 1"]);
}

#[test]
fn each_server_is_reached_in_its_own_way() {
    let servers = [
        "10.2.0.11",
        "10.2.0.12 network = nat; port = 8080",
        "10.2.0.13 network = tunnel",
        "10.2.0.14 network = tunnel; tunnel_type = ipip",
        "10.2.0.15 network = tunnel; tunnel_port = 5555; tunnel_checksum = remcsum",
        "10.2.0.16 network = tunnel; tunnel_type = gre; tunnel_checksum = csum",
    ];
    let directives = "network = direct; tunnel_type = gue; tunnel_checksum = csum";
    assert_lines(
        &all_up(&config(&virtual_server("web", "10.1.0.100", directives, &servers)))[1..],
        &[
            "-a -t 10.1.0.100:80 -r 10.2.0.11:80 -g -w 1",
            "-a -t 10.1.0.100:80 -r 10.2.0.12:8080 -m -w 1",
            "-a -t 10.1.0.100:80 -r 10.2.0.13:80 -i -w 1 --tun-type gue --tun-port 6080 --tun-csum",
            "-a -t 10.1.0.100:80 -r 10.2.0.14:80 -i -w 1 --tun-type ipip",
            "-a -t 10.1.0.100:80 -r 10.2.0.15:80 -i -w 1 --tun-type gue --tun-port 5555 --tun-remcsum",
            "-a -t 10.1.0.100:80 -r 10.2.0.16:80 -i -w 1 --tun-type gre --tun-csum",
        ],
    );
}

#[test]
fn the_sorry_server_is_reached_in_its_own_way() {
    let row = |directives: &str| {
        let body = virtual_server("web", "10.1.0.100", directives, &["10.2.0.11"]);
        lines(&config(&body), |_| Standing::Failed).pop().unwrap()
    };
    for (directives, line) in [
        ("network = direct; sorry_server = 10.2.0.99", "-a -t 10.1.0.100:80 -r 10.2.0.99:80 -g -w 1"),
        (
            "network = direct; sorry_server = 10.2.0.99:8080 nat",
            "-a -t 10.1.0.100:80 -r 10.2.0.99:8080 -m -w 1",
        ),
        (
            "network = nat; tunnel_type = gre; sorry_server = 10.2.0.99 tunnel",
            "-a -t 10.1.0.100:80 -r 10.2.0.99:80 -i -w 1 --tun-type gre --tun-nocsum",
        ),
        ("fwmark = 7; network = nat; sorry_server = 10.2.0.99:8080", "-a -f 7 -r 10.2.0.99:8080 -m -w 1"),
        ("fwmark = 7; network = nat; sorry_server = 10.2.0.99 direct", "-a -f 7 -r 10.2.0.99:0 -g -w 1"),
    ] {
        assert_lines(&[row(directives)], &[line]);
    }
}

#[test]
fn inactive_servers_and_virtual_servers_are_not_wanted() {
    let body = virtual_server("web", "10.1.0.100", "", &["10.2.0.11 active = 0", "10.2.0.12"])
        + &virtual_server("off", "10.1.0.101", "active = 0", &["10.2.0.11"]);
    assert_lines(
        &all_up(&config(&body)),
        &["-A -t 10.1.0.100:80 -s rr", "-a -t 10.1.0.100:80 -r 10.2.0.12:80 -m -w 1"],
    );
}

#[test]
fn the_sorry_server_serves_exactly_when_nobody_else_can() {
    let sorry = "-a -t 10.1.0.100:81 -r 10.2.0.99:81 -m -w 1".to_owned();
    let with = |directives: &str, servers: &[&str], standing: Standing| {
        let directives = format!("port = 81; sorry_server = 10.2.0.99; {directives}");
        let body = virtual_server("web", "10.1.0.100", &directives, servers);
        lines(&config(&body), |_| standing).contains(&sorry)
    };
    let one: &[&str] = &["10.2.0.11"];
    assert!(with("", &[], Standing::Serving(None)), "no server at all");
    assert!(with("", &["10.2.0.11 active = 0"], Standing::Serving(None)), "no active server");
    assert!(with("", one, Standing::Out));
    assert!(with("", one, Standing::Failed));
    assert!(with("quiesce_server = 1", one, Standing::Failed));
    assert!(with("", one, Standing::Serving(Some(0))));
    assert!(with("", one, Standing::Kept(0)));
    assert!(with("", &["10.2.0.11 weight = 0"], Standing::Serving(None)));
    assert!(!with("", one, Standing::Awaited));
    assert!(with("", &[], Standing::Awaited), "nobody to wait for");
    assert!(!with("", one, Standing::Serving(None)));
    assert!(!with("", one, Standing::Kept(1)));
}

#[test]
fn rows_of_a_foreign_monitor_are_left_alone() {
    let body = virtual_server("web", "10.1.0.100", "client_monitor = /opt/mon", &["10.2.0.11"]);
    let wanted = wanted(&config(&body), |_| Standing::Serving(None));
    let service = &wanted.services[0];
    assert!(service.destinations.is_empty());
    assert_eq!(service.left_alone.iter().map(ToString::to_string).collect::<Vec<_>>(), ["10.2.0.11:80"]);
}

#[test]
fn one_address_checked_on_two_ports_is_one_row_under_direct_routing() {
    let body = virtual_server(
        "web",
        "10.1.0.100",
        "",
        &["10.2.0.11 port = 80; weight = 2", "10.2.0.11 port = 81; weight = 5"],
    );
    assert_lines(
        &all_up(&config(&format!("network = direct\n{body}")))[1..],
        &["-a -t 10.1.0.100:80 -r 10.2.0.11:80 -g -w 5"],
    );
}

fn standing() -> impl Strategy<Value = Standing> {
    prop_oneof![
        Just(Standing::Out),
        Just(Standing::Awaited),
        Just(Standing::Failed),
        (0u32..3).prop_map(Standing::Kept),
        proptest::option::of(0u16..3).prop_map(Standing::Serving),
    ]
}

proptest! {
    #[test]
    fn every_service_is_wanted_and_serves_if_it_can(
        standings in proptest::collection::vec(standing(), 0..6),
        quiesce: bool,
        sorry: bool,
    ) {
        let servers: Vec<String> = (0..standings.len()).map(|n| format!("10.2.0.{n}")).collect();
        let servers: Vec<&str> = servers.iter().map(String::as_str).collect();
        let mut directives = format!("quiesce_server = {}", u8::from(quiesce));
        if sorry {
            directives += "; sorry_server = 10.2.0.99";
        }
        let config = config(&virtual_server("web", "10.1.0.100", &directives, &servers));
        let by_octet: BTreeMap<u8, Standing> = (0..).zip(standings.iter().copied()).collect();
        let all = wanted(&config, |key| match key.server.address {
            std::net::IpAddr::V4(v4) => by_octet[&v4.octets()[3]],
            std::net::IpAddr::V6(_) => Standing::Out,
        });
        let service = &all.services[0];
        let usable = |standing: &Standing| match standing {
            Standing::Out | Standing::Awaited | Standing::Failed | Standing::Draining => false,
            Standing::Kept(weight) => *weight > 0,
            Standing::Serving(weight) => *weight != Some(0),
        };
        let any = standings.iter().any(usable);
        let awaited = standings.contains(&Standing::Awaited);
        prop_assert_eq!(service.sorry, sorry && !any && !awaited);
        prop_assert_eq!(service.destinations.iter().any(|to| to.weight > 0), any || service.sorry);
        let expected = standings.iter().filter(|s| match s {
            Standing::Out | Standing::Awaited => false,
            Standing::Failed => quiesce,
            Standing::Kept(_) | Standing::Draining | Standing::Serving(_) => true,
        }).count() + usize::from(service.sorry);
        prop_assert_eq!(service.destinations.len(), expected);
    }
}
