//! What the status counts: the kernel's numbers, and the director's own doings across reloads.

use ipvsadm::{Request, Stats, Table};
use lvs::action::Input;
use lvs_ipc::control::Command;
use lvs_ipc::counts::{Moment, Monitor, Rates, Reloads, Repairs, Requests, Traffic};
use lvs_ipc::status::{Left, LvsStatus};

use crate::world::{Director, assert_lines, config, two_servers, virtual_server};

/// Two servers that serve, at 100 ms.
fn serving() -> Director {
    let mut director = Director::new(&two_servers());
    director.tick(0);
    director.report(100, 1, None);
    director.report(100, 2, None);
    director
}

/// Changes the kernel's table behind the director's back.
fn meddle(director: &Director, with: impl FnOnce(&mut Table)) {
    let mut table = director.fake.table();
    with(&mut table);
    director.fake.set_table(table);
}

#[test]
fn the_kernels_numbers_are_those_of_its_last_reading() {
    let mut director = serving();
    let rates = Rates { connections: 1, packets_in: 2, packets_out: 3, bytes_in: 4, bytes_out: 5 };
    let counted = Traffic {
        connections: 10,
        packets_in: 20,
        packets_out: 30,
        bytes_in: 40,
        bytes_out: 50,
        per_second: rates,
    };
    meddle(&director, |table| {
        let rates = ipvsadm::Rates { cps: 1, pps_in: 2, pps_out: 3, bps_in: 4, bps_out: 5 };
        let stats =
            Stats { connections: 10, packets_in: 20, packets_out: 30, bytes_in: 40, bytes_out: 50, rates };
        let entry = &mut table.services[0];
        entry.stats = stats;
        let row = &mut entry.destinations[1];
        row.stats = stats;
        (row.active_connections, row.inactive_connections, row.persistent_connections) = (7, 8, 9);
    });
    assert_eq!(director.status().virtual_servers[0].traffic, Some(Traffic::default()), "not read yet");
    director.until(1500);
    let status = director.status();
    assert_eq!(status.table_read_ms, Some(1000));
    let web = &status.virtual_servers[0];
    assert_eq!((web.traffic, web.forwarding.as_str()), (Some(counted), "nat"));
    let [one, two] = &web.real_servers[..] else { panic!("{web:?}") };
    assert_eq!((one.traffic, one.connections), (Some(Traffic::default()), Some(Left::default())));
    assert_eq!(two.traffic, Some(counted));
    assert_eq!(two.connections, Some(Left { active: 7, inactive: 8, persistent: 9 }));
    assert_eq!((two.weight, two.weight_wanted, two.forwarding.as_str()), (Some(1), Some(1), "nat"));
}

#[test]
fn a_server_that_is_out_has_no_numbers_of_the_kernels() {
    let mut director = serving();
    director.report(200, 1, Some("timed out"));
    let one = director.status().virtual_servers[0].real_servers[0].clone();
    assert_eq!((one.weight, one.weight_wanted, one.traffic, one.connections), (None, None, None, None));
    assert_eq!(one.health_changes, 2);
    assert_eq!(one.last_change, Some(Moment { what: "down: timed out".into(), at_ms: 200 }));
    let overall = director.status().last_change.unwrap();
    assert_eq!(overall, Moment { what: "web/10.2.0.11:80 down: timed out".into(), at_ms: 200 });
}

#[test]
fn repairs_are_counted_by_kind_and_by_service() {
    let mut director = serving();
    meddle(&director, |table| table.services.clear());
    director.until(1500);
    let repaired = Repairs { services_added: 1, servers_added: 2, ..Repairs::default() };
    let last = Moment { what: "web s10.2.0.12: real server missing".into(), at_ms: 1000 };
    assert_eq!(director.status().repairs, Repairs { last: Some(last), ..repaired.clone() });
    meddle(&director, |table| table.services[0].destinations[0].destination.weight = 7);
    director.until(2500);
    meddle(&director, |table| {
        let id = table.services[0].service.id;
        let row = table.services[0].destinations[0].destination.clone();
        let mut foreign = row.clone();
        foreign.id.address = [10, 2, 0, 99].into();
        assert_eq!(table.apply(&[Request::AddDestination(id, foreign)]), [Ok(())]);
        table.services[0].service.scheduler = ipvsadm::Scheduler::WLC;
    });
    director.until(3500);
    let repairs = director.status().repairs;
    assert_eq!((repairs.servers_edited, repairs.servers_deleted, repairs.services_edited), (1, 1, 1));
    assert_eq!((repairs.count(), director.status().virtual_servers[0].repairs), (6, 6));
    director.until(9500);
    assert_eq!(director.status().repairs, repairs, "nothing is repaired twice");
}

#[test]
fn a_large_repair_is_counted_to_the_last_request() {
    let servers: Vec<String> = (1..=60).map(|n| format!("10.2.0.{n}")).collect();
    let servers: Vec<&str> = servers.iter().map(String::as_str).collect();
    let mut director = Director::new(&config(&virtual_server("web", "10.1.0.100", "", &servers)));
    director.until(200);
    for token in 1..=60 {
        director.report(300, token, None);
    }
    meddle(&director, |table| table.services.clear());
    director.until(1500);
    let repairs = director.status().repairs;
    assert_eq!((repairs.services_added, repairs.servers_added, repairs.count()), (1, 60, 61));
}

#[test]
fn a_reload_is_counted_and_resets_nothing_of_what_stays() {
    let mut director = serving();
    director.report(200, 1, Some("timed out"));
    director.report(300, 1, None);
    director.ended(400, 2, 1);
    meddle(&director, |table| table.services[0].destinations[0].destination.weight = 7);
    director.until(1500);
    let before = director.status();
    assert_eq!(before.reloads, Reloads::default());
    director.at(1600, Input::Reload(Err(vec!["lvs.cf:1:1: error: x".into()])));
    let body = virtual_server("web", "10.1.0.100", "", &["10.2.0.11", "10.2.0.13"]);
    director.reload(1700, &config(&body));
    let after = director.status();
    assert_eq!(after.reloads, Reloads { good: 1, refused: 1 });
    assert_eq!((after.repairs.count(), after.started_ms), (1, 0));
    assert_eq!(after.virtual_servers[0].repairs, 1);
    let [one, new] = &after.virtual_servers[0].real_servers[..] else { panic!("{after:?}") };
    assert_eq!((one.health_changes, one.monitor_process.starts), (3, 1));
    assert_eq!(one.last_change, Some(Moment { what: "up: ok".into(), at_ms: 300 }));
    assert_eq!((new.health_changes, &new.last_change), (0, &None));
    let overall = after.last_change.unwrap();
    assert_eq!(overall, Moment { what: "the file was read again".into(), at_ms: 1700 });
}

#[test]
fn starts_and_failures_of_a_monitor_are_counted_and_its_process_is_named() {
    let mut director = serving();
    let monitor = |director: &Director| director.status().virtual_servers[0].real_servers[0].monitor_process;
    let running = Monitor { pid: Some(1001), starts: 1, failures: 0, late_starts: 0, given_up: false };
    assert_eq!(monitor(&director), running);
    director.ended(400, 1, 1);
    assert_eq!(monitor(&director), Monitor { pid: None, failures: 1, ..running });
    director.until(2000);
    assert_eq!(monitor(&director), Monitor { pid: Some(1003), starts: 2, failures: 1, ..running });
    director.ended(2100, 3, 125);
    assert_eq!(monitor(&director), Monitor { pid: None, starts: 2, failures: 2, given_up: true, ..running });
}

#[test]
fn checks_that_began_late_are_counted_for_all_who_share_the_monitor_and_change_nothing_else() {
    let mut director = serving();
    let before = director.status();
    for starts in [3, 1] {
        let line = format!("[  late  ] rs=10.2.0.11:80 starts={starts} worst_ms=140");
        assert_lines(&director.at(400, Input::Line(1, line)), &[]);
    }
    let after = director.status();
    assert_eq!((after.monitors.late_starts, before.monitors.late_starts), (4, 0));
    let servers = |status: &LvsStatus| status.virtual_servers[0].real_servers.clone();
    let [one, other] = &servers(&after)[..] else { panic!("{after:?}") };
    assert_eq!((one.monitor_process.late_starts, other.monitor_process.late_starts), (4, 0));
    assert_eq!((&one.health, one.weight), (&servers(&before)[0].health, servers(&before)[0].weight));
}

#[test]
fn requests_are_counted_and_those_that_the_kernel_refuses() {
    let mut director = serving();
    assert_eq!(director.status().requests, Requests { sent: 3, refused: 0, waiting: 0 });
    director.fake.refuse(0, ipvsadm::Errno::ENOMEM, None);
    let body = virtual_server("web", "10.1.0.100", "", &["10.2.0.11", "10.2.0.12", "10.2.0.13 weight = 5"]);
    director.reload(500, &config(&body));
    director.report(600, 3, None);
    assert_eq!(director.status().requests, Requests { sent: 4, refused: 1, waiting: 1 });
}

#[test]
fn what_operators_do_and_the_quorum_are_changes() {
    let mut director = Director::new(&config(&virtual_server(
        "web",
        "10.1.0.100",
        "quorum = 2",
        &["10.2.0.11", "10.2.0.12"],
    )));
    director.tick(0);
    director.report(100, 1, None);
    director.report(110, 2, None);
    let last = |director: &Director| {
        let status = director.status();
        let of_server = status.virtual_servers[0].real_servers[0].last_change.clone();
        (status.last_change.unwrap().what, of_server.unwrap().what)
    };
    assert_eq!(last(&director).0, "web quorum held: 2 of 2 real servers take connections, with weight 2");
    let target = || "web/s10.2.0.11".to_owned();
    let reason = Some("new kernel".to_owned());
    director.order(200, Command::Weight { target: target(), weight: 7, reason: reason.clone() });
    assert_eq!(last(&director).1, "weight 7 by root: new kernel");
    assert_eq!(last(&director).0, "web/s10.2.0.11 weight 7 by root: new kernel");
    director.order(300, Command::Disable { target: target(), reason: None });
    assert_eq!(last(&director).1, "disable by root");
    director.order(400, Command::Enable { target: target(), force: false, reason: None });
    assert_eq!(last(&director).1, "disable ended by root");
    director.order(500, Command::Drain { target: target(), deadline_ms: Some(5000), reason: None });
    director.until(7000);
    assert_eq!(last(&director).1, "drained: no connection is left");
}
