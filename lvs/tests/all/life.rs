//! A director from its first reading of the table to its exit.

use lvs::action::Input;
use lvs_config::sysctl::SysctlName;
use lvs_ipc::status::{Child, Health};

use crate::world::{Director, assert_lines, config, two_servers, virtual_server, without_reads};

#[test]
fn a_server_serves_from_its_first_good_check_to_its_first_bad_one() {
    let mut director = Director::new(&two_servers());
    assert_lines(
        &director.tick(0),
        &["read", "-A -t 10.1.0.100:80 -s rr", "ready", "spawn 1 10.2.0.11", "spawn 2 10.2.0.12"],
    );
    assert_lines(
        &director.report(10, 1, None),
        &["log web 10.2.0.11:80 up: ok", "-a -t 10.1.0.100:80 -r 10.2.0.11:80 -m -w 1"],
    );
    assert_lines(&director.report(20, 2, Some("refused")), &["log web 10.2.0.12:80 down: refused"]);
    assert_lines(&director.report(30, 1, None), &[]);
    assert_lines(
        &director.report(40, 1, Some("timed out")),
        &["log web 10.2.0.11:80 down: timed out", "-d -t 10.1.0.100:80 -r 10.2.0.11:80"],
    );
    assert_lines(&director.until(2500), &["1000 read", "2000 read"]);
}

#[test]
fn reports_that_arrive_together_become_one_batch() {
    let mut director = Director::new(&two_servers());
    director.tick(0);
    let _ = director.fake.take_requests();
    let line = || "[ active ] rs=x took_ms=1 reason=\"ok\"".to_owned();
    // The engine acts on ticks only, and the shell gives one after all that has arrived.
    let mut lines = director.at(5, Input::Line(99, "from a monitor nobody knows".into()));
    lines.extend(director.at(5, Input::Line(1, line())));
    assert_lines(&lines, &["log web 10.2.0.11:80 up: ok", "-a -t 10.1.0.100:80 -r 10.2.0.11:80 -m -w 1"]);
    assert_eq!(director.fake.take_requests().len(), 1);
}

#[test]
fn the_sorry_server_comes_before_the_last_server_goes_and_goes_after_the_first_is_back() {
    let body = virtual_server("web", "10.1.0.100", "sorry_server = 10.2.0.99", &["10.2.0.11"]);
    let mut director = Director::new(&config(&body));
    director.tick(0);
    director.report(10, 1, None);
    assert_lines(
        &director.report(20, 1, Some("x"))[1..],
        &["-a -t 10.1.0.100:80 -r 10.2.0.99:80 -m -w 1", "-d -t 10.1.0.100:80 -r 10.2.0.11:80"],
    );
    assert!(director.status().virtual_servers[0].sorry);
    assert_lines(
        &director.report(30, 1, None)[1..],
        &["-a -t 10.1.0.100:80 -r 10.2.0.11:80 -m -w 1", "-d -t 10.1.0.100:80 -r 10.2.0.99:80"],
    );
}

/// A director at its first tick, over two servers and a sorry server.
fn starting_with_a_sorry_server() -> Director {
    let servers = &["10.2.0.11", "10.2.0.12"];
    let body = virtual_server("web", "10.1.0.100", "sorry_server = 10.2.0.99", servers);
    let mut director = Director::new(&config(&body));
    assert_lines(
        &director.tick(0),
        &["read", "-A -t 10.1.0.100:80 -s rr", "ready", "spawn 1 10.2.0.11", "spawn 2 10.2.0.12"],
    );
    director
}

const SORRY: &str = "-a -t 10.1.0.100:80 -r 10.2.0.99:80 -m -w 1";

#[test]
fn a_start_does_not_call_the_sorry_server_while_the_first_checks_are_under_way() {
    let mut director = starting_with_a_sorry_server();
    assert_lines(&director.report(20, 2, None)[1..], &["-a -t 10.1.0.100:80 -r 10.2.0.12:80 -m -w 1"]);
    // Once somebody served, nobody is waited for any more.
    assert_lines(&director.report(30, 2, Some("x"))[1..], &[SORRY, "-d -t 10.1.0.100:80 -r 10.2.0.12:80"]);
}

#[test]
fn the_sorry_server_is_called_as_soon_as_every_first_check_has_failed() {
    let mut director = starting_with_a_sorry_server();
    assert_lines(&director.report(20, 1, Some("x"))[1..], &[]);
    assert_lines(&director.report(30, 2, Some("x"))[1..], &[SORRY]);
}

#[test]
fn first_checks_that_take_long_are_waited_for_no_longer_than_a_second() {
    let mut director = starting_with_a_sorry_server();
    director.report(20, 1, Some("x"));
    assert_lines(&without_reads(director.until(999)), &[]);
    assert_lines(&without_reads(director.until(3000)), &[&format!("1000 {SORRY}")]);
}

#[test]
fn a_service_without_active_servers_has_nobody_to_wait_for() {
    let servers = &["10.2.0.11 active = 0"];
    let body = virtual_server("web", "10.1.0.100", "sorry_server = 10.2.0.99", servers);
    let mut director = Director::new(&config(&body));
    assert_lines(&director.tick(0), &["read", "-A -t 10.1.0.100:80 -s rr", SORRY, "ready"]);
}

#[test]
fn a_sorry_server_that_serves_already_stays_while_new_servers_are_checked() {
    let mut director = starting_with_a_sorry_server();
    director.report(20, 1, Some("x"));
    director.report(30, 2, Some("x"));
    let more = &["10.2.0.11", "10.2.0.12", "10.2.0.13"];
    let more = config(&virtual_server("web", "10.1.0.100", "sorry_server = 10.2.0.99", more));
    assert_lines(&director.reload(40, &more), &["log reloaded 1/3, monitors 1", "spawn 3 10.2.0.13"]);
    // Nor does the next one take it away that finds it.
    let lines = director.successor(&more).tick(50);
    assert_lines(&lines[..2], &["read", "log adopted 1 services, 0 servers"]);
    assert!(lines[2..].iter().all(|line| !line.starts_with('-')), "{lines:#?}");
}

#[test]
fn a_quiescing_service_keeps_a_failed_server_at_weight_zero_and_calls_the_sorry_server() {
    let body =
        virtual_server("web", "10.1.0.100", "quiesce_server = 1; sorry_server = 10.2.0.99", &["10.2.0.11"]);
    let mut director = Director::new(&config(&body));
    director.tick(0);
    director.report(10, 1, None);
    assert_lines(
        &director.report(20, 1, Some("x"))[1..],
        &["-a -t 10.1.0.100:80 -r 10.2.0.99:80 -m -w 1", "-e -t 10.1.0.100:80 -r 10.2.0.11:80 -m -w 0"],
    );
    assert_lines(
        &director.report(30, 1, None)[1..],
        &["-e -t 10.1.0.100:80 -r 10.2.0.11:80 -m -w 1", "-d -t 10.1.0.100:80 -r 10.2.0.99:80"],
    );
}

#[test]
fn a_weight_report_holds_until_the_next_report() {
    let mut director = Director::new(&two_servers());
    director.tick(0);
    director.report(10, 1, None);
    assert_lines(
        &director.weight(20, 1, 40),
        &["log 10.2.0.11:80 weight 40", "-e -t 10.1.0.100:80 -r 10.2.0.11:80 -m -w 40"],
    );
    assert_lines(&director.weight(30, 1, 40), &[]);
    assert_lines(&director.report(40, 1, None), &["-e -t 10.1.0.100:80 -r 10.2.0.11:80 -m -w 1"]);
}

#[test]
fn rows_of_a_crashed_predecessor_stay_until_the_first_check_decides() {
    let mut first = Director::new(&two_servers());
    first.tick(0);
    first.report(10, 1, None);
    first.report(20, 2, None);
    first.weight(30, 2, 7);
    let mut second = Director::over(first.fake.clone(), &two_servers());
    let _ = second.fake.take_requests();
    assert_lines(
        &second.tick(0),
        &["read", "log adopted 1 services, 2 servers", "ready", "spawn 1 10.2.0.11", "spawn 2 10.2.0.12"],
    );
    assert_lines(&without_reads(second.until(5000)), &[]);
    assert_eq!(second.status().virtual_servers[0].real_servers[1].weight, Some(7));
    assert_lines(
        &second.report(5100, 1, Some("refused")),
        &["log web 10.2.0.11:80 down: refused", "-d -t 10.1.0.100:80 -r 10.2.0.11:80"],
    );
    assert_lines(&second.report(5200, 2, None)[1..], &["-e -t 10.1.0.100:80 -r 10.2.0.12:80 -m -w 1"]);
}

#[test]
fn rows_that_the_file_does_not_name_are_removed_at_start_and_foreign_services_are_not() {
    let foreign = virtual_server("other", "10.1.0.200", "", &["10.2.0.77"]);
    let mut other = Director::new(&config(&foreign));
    other.tick(0);
    other.report(1, 1, None);
    let wider = virtual_server("web", "10.1.0.100", "", &["10.2.0.11", "10.2.0.66"]);
    let mut before = Director::over(other.fake.clone(), &config(&wider));
    before.tick(0);
    before.report(1, 1, None);
    before.report(1, 2, None);
    let mut director = Director::over(other.fake.clone(), &two_servers());
    assert_lines(
        &director.tick(0),
        &[
            "read",
            "log adopted 1 services, 1 servers",
            "-d -t 10.1.0.100:80 -r 10.2.0.66:80",
            "ready",
            "spawn 1 10.2.0.11",
            "spawn 2 10.2.0.12",
        ],
    );
    assert_lines(
        &director.table(),
        &[
            "-A -t 10.1.0.200:80 -s rr",
            "-a -t 10.1.0.200:80 -r 10.2.0.77:80 -m -w 1",
            "-A -t 10.1.0.100:80 -s rr",
            "-a -t 10.1.0.100:80 -r 10.2.0.11:80 -m -w 1",
        ],
    );
}

#[test]
fn stopping_withdraws_exactly_its_own_services_and_waits_for_the_monitors() {
    let foreign = virtual_server("other", "10.1.0.200", "", &["10.2.0.77"]);
    let mut other = Director::new(&config(&foreign));
    other.tick(0);
    other.report(1, 1, None);
    let mut director = Director::over(other.fake.clone(), &two_servers());
    director.tick(0);
    director.report(10, 1, None);
    assert_lines(
        &director.at(100, Input::Shutdown),
        &["log stopping 1 services", "terminate 1", "terminate 2", "-D -t 10.1.0.100:80"],
    );
    assert_lines(&director.at(110, Input::Shutdown), &[]);
    assert_lines(&director.report(120, 2, None), &[]);
    assert_lines(&director.ended(130, 2, 0), &[]);
    assert_lines(&without_reads(director.until(2150)), &["2100 kill 1"]);
    assert_lines(&director.ended(2160, 1, 0), &["exit 0"]);
    assert_lines(
        &director.table(),
        &["-A -t 10.1.0.200:80 -s rr", "-a -t 10.1.0.200:80 -r 10.2.0.77:80 -m -w 1"],
    );
}

#[test]
fn stopping_is_bounded_even_if_nothing_can_be_stopped() {
    let mut director = Director::new(&two_servers());
    director.tick(0);
    director.fake.hang(true);
    director.at(100, Input::Shutdown);
    let lines = director.until(7000);
    assert_eq!(lines.last().map(String::as_str), Some("6100 exit 1"), "{lines:#?}");
    assert!(lines.iter().any(|line| line.starts_with("6100 log stop timed out: 2 monitors")), "{lines:#?}");
}

#[test]
fn the_kernel_is_set_back_also_when_nothing_can_be_withdrawn() {
    let forward: SysctlName = SysctlName::parse("net.ipv4.ip_forward").unwrap();
    let unreachable = |director: &mut Director| director.fake.unload(true);
    let hung = |director: &mut Director| director.fake.hang(true);
    for (trouble, is_there) in [(unreachable as fn(&mut Director), true), (hung, true), (|_| {}, false)] {
        let mut director = Director::new(&two_servers());
        director.settings.insert(forward.clone(), 0);
        director.until(50);
        assert_eq!(director.settings[&forward], 1);
        trouble(&mut director);
        director.at(100, Input::Shutdown);
        if !is_there {
            // The table is withdrawn at once; a monitor does not end even when it is killed.
            director.ended(150, 1, 0);
        }
        director.until(4000);
        assert_eq!(director.settings[&forward], 1, "what is still there needs it");
        let lines = director.until(7000);
        assert_eq!(director.settings[&forward], 0, "{lines:#?}");
        assert_eq!(lines.last().map(String::as_str), Some("6100 exit 1"), "{lines:#?}");
    }
}

#[test]
fn the_status_tells_state_reason_and_time() {
    let mut director = Director::new(&config(&format!(
        "serial_no = 7\n{}",
        virtual_server("web", "10.1.0.100", "fwmark = 80", &["10.2.0.11", "10.2.0.12 weight = 3"])
    )));
    director.tick(0);
    director.report(10, 2, None);
    director.report(30, 1, Some("connection refused"));
    let status = director.status();
    assert_eq!((status.serial_no, status.config.as_str()), (7, "/etc/lvs.cf"));
    assert_eq!((status.table.state, status.table.reason.as_str()), (true, "as wanted"));
    let web = &status.virtual_servers[0];
    assert_eq!((web.service.as_str(), web.scheduler.as_str(), web.sorry), ("FWM 80", "rr", false));
    let [one, two] = &web.real_servers[..] else { panic!("{web:?}") };
    assert_eq!((one.address.as_str(), one.weight, one.health.state), ("10.2.0.11:80", None, Health::Down));
    assert_eq!((one.health.reason.as_str(), one.health.since_ms), ("connection refused", 30));
    assert_eq!((two.weight, two.health.since_ms, two.monitor.state), (Some(3), 10, Child::Running));
}
