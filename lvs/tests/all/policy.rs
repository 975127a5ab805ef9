//! What the health of all servers of a virtual server together makes of the table: quorum, start policies, slow start.

use lvs_config::Config;
use lvs_ipc::status::Health;

use crate::world::{Director, assert_lines, config, virtual_server, without_reads};

const SERVERS: [&str; 3] = ["10.2.0.11 weight = 2", "10.2.0.12 weight = 2", "10.2.0.13 weight = 2"];

fn web(directives: &str, servers: &[&str]) -> Config {
    config(&virtual_server("web", "10.1.0.100", directives, servers))
}

/// `ipvsadm` lines about servers of the service, in short: `-a 11 2` for adding 10.2.0.11 with weight 2.
fn short(lines: Vec<String>) -> Vec<String> {
    let shorten = |line: String| {
        let Some((head, tail)) = line.split_once(" -t 10.1.0.100:80 -r 10.2.0.") else { return line };
        let server = tail.split(':').next().unwrap_or_default();
        match tail.split_once("-w ") {
            Some((_, weight)) => format!("{head} {server} {}", weight.split(' ').next().unwrap_or_default()),
            None => format!("{head} {server}"),
        }
    };
    without_reads(lines).into_iter().map(shorten).collect()
}

/// A director whose servers 1, 2, ... are all up at 10 ms.
fn serving(config: &Config, servers: u64) -> Director {
    let mut director = Director::new(config);
    director.tick(0);
    for monitor in 1..=servers {
        director.report(10, monitor, None);
    }
    director
}

#[test]
fn a_lost_quorum_calls_the_sorry_server_and_quiesces_the_others_until_there_are_enough_and_more() {
    let file = web("quorum = 4; quorum_hysteresis = 1; sorry_server = 10.2.0.99", &SERVERS);
    let mut director = serving(&file, 3);
    assert_lines(&short(director.report(20, 1, Some("x")))[1..], &["-d 11"]);
    let lost = "log web quorum lost: 2/5: 1 of 3 real servers take connections, with weight 2";
    assert_lines(&short(director.report(30, 2, Some("x")))[1..], &[lost, "-a 99 1", "-e 13 0", "-d 12"]);
    let web = &director.status().virtual_servers[0];
    let quorum = web.quorum.clone().unwrap();
    assert_eq!((web.sorry, quorum.held.state, quorum.held.since_ms), (true, false, 30));
    assert_eq!((quorum.weight, quorum.lost_below, quorum.gained_from), (2, 3, 5));
    assert_eq!((web.real_servers[2].weight, web.real_servers[2].health.state), (Some(0), Health::Up));
    // Within the band nothing changes, but who is healthy is there, ready for connections.
    assert_lines(&short(director.report(40, 2, None))[1..], &["-a 12 0"]);
    let held = "log web quorum held: 6/3: 3 of 3 real servers take connections, with weight 6";
    assert_lines(
        &short(director.report(50, 1, None))[1..],
        &[held, "-a 11 2", "-e 12 2", "-e 13 2", "-d 99"],
    );
    assert!(director.status().virtual_servers[0].quorum.clone().unwrap().held.state);
}

#[test]
fn without_a_sorry_server_the_others_go_on_and_the_loss_is_told() {
    let mut director = serving(&web("quorum = 4", &SERVERS), 3);
    director.report(20, 1, Some("x"));
    let lost = "log web quorum lost: 2/4: 1 of 3 real servers take connections, with weight 2";
    assert_lines(&short(director.report(30, 2, Some("x")))[1..], &[lost, "-d 12"]);
    let held = "log web quorum held: 4/4: 2 of 3 real servers take connections, with weight 4";
    assert_lines(&short(director.report(40, 2, None))[1..], &[held, "-a 12 2"]);
}

#[test]
fn a_start_waits_for_the_first_checks_before_it_calls_a_quorum_lost() {
    let mut director = Director::new(&web("quorum = 4; sorry_server = 10.2.0.99", &SERVERS));
    director.tick(0);
    assert_lines(&short(director.report(10, 1, None))[1..], &["-a 11 2"]);
    let held = "log web quorum held: 4/4: 2 of 3 real servers take connections, with weight 4";
    assert_lines(&short(director.report(20, 2, None))[1..], &[held, "-a 12 2"]);
    let mut late = Director::new(&web("quorum = 4; sorry_server = 10.2.0.99", &SERVERS));
    late.tick(0);
    late.report(10, 1, None);
    let lost = "1000 log web quorum lost: 2/4: 1 of 3 real servers take connections, with weight 2";
    assert_lines(&short(late.until(5000)), &[lost, "1000 -a 99 1", "1000 -e 11 0"]);
}

#[test]
fn a_successor_goes_on_with_the_sorry_server_that_it_finds() {
    let file = web("quorum = 4; quorum_hysteresis = 1; sorry_server = 10.2.0.99", &SERVERS);
    let mut first = serving(&file, 3);
    first.report(20, 1, Some("x"));
    first.report(30, 2, Some("x"));
    first.report(40, 2, None);
    let mut second = first.successor(&file);
    let start = short(second.tick(50));
    assert!(!start.iter().any(|line| line.starts_with('-')), "{start:#?}");
    // A check of its own confirms what it has found.
    let lost = "log web quorum lost: 2/5: 1 of 3 real servers take connections, with weight 2";
    assert_lines(&short(second.report(60, 2, None))[1..], &[lost]);
    assert_lines(&short(second.report(70, 3, None))[1..], &[]);
    assert_lines(&short(second.report(80, 1, None))[2..], &["-a 11 2", "-e 12 2", "-e 13 2", "-d 99"]);
}

#[test]
fn a_reload_that_asks_for_less_gives_the_quorum_back_at_once() {
    let mut director = serving(&web("quorum = 6; sorry_server = 10.2.0.99", &SERVERS), 3);
    director.report(20, 1, Some("x"));
    let less = web("quorum = 3; sorry_server = 10.2.0.99", &SERVERS);
    let held = "log web quorum held: 4/3: 2 of 3 real servers take connections, with weight 4";
    let lines = short(director.reload(30, &less));
    assert_lines(&lines, &["log reloaded 1/3, monitors 0", held, "-e 12 2", "-e 13 2", "-d 99"]);
}

#[test]
fn servers_assumed_to_be_up_serve_at_once_and_leave_with_the_first_failure() {
    let file = web("start = up; sorry_server = 10.2.0.99; quiesce_server = 1", &SERVERS[..2]);
    let mut director = Director::new(&file);
    let lines = short(director.tick(0));
    assert_lines(&lines[..4], &["-A -t 10.1.0.100:80 -s rr", "-a 11 2", "-a 12 2", "ready"]);
    assert_eq!(director.status().virtual_servers[0].real_servers[0].health.state, Health::Unknown);
    assert_lines(&short(director.report(10, 1, Some("x")))[1..], &["-e 11 0"]);
    assert_lines(&short(director.report(10, 2, Some("x")))[1..], &["-a 99 1", "-e 12 0"]);
}

#[test]
fn servers_that_count_as_failed_let_the_sorry_server_serve_at_once() {
    let mut director = Director::new(&web("start = down; sorry_server = 10.2.0.99", &SERVERS[..2]));
    let lines = short(director.tick(0));
    assert_lines(&lines[..3], &["-A -t 10.1.0.100:80 -s rr", "-a 99 1", "ready"]);
    assert_lines(&short(director.report(10, 1, None))[1..], &["-a 11 2", "-d 99"]);
}

#[test]
fn a_restart_keeps_what_serves_whatever_the_policy_for_a_start() {
    let file = web("start = down; sorry_server = 10.2.0.99", &SERVERS[..2]);
    let mut second = serving(&file, 2).successor(&file);
    let lines = short(second.tick(50));
    assert_lines(
        &lines,
        &["log adopted 1 services, 2 servers", "ready", "spawn 1 10.2.0.11", "spawn 2 10.2.0.12"],
    );
}

const HEAVY: [&str; 2] = ["10.2.0.11 weight = 32", "10.2.0.12 weight = 32"];

#[test]
fn a_server_that_is_back_climbs_from_a_sixteenth_to_its_weight_in_fifteen_more_requests() {
    let mut director = serving(&web("slow_start = 15", &HEAVY), 2);
    director.report(20, 2, Some("x"));
    assert_lines(&short(director.report(1000, 2, None))[1..], &["-a 12 2"]);
    let status = director.status();
    assert_eq!(status.virtual_servers[0].real_servers[1].slow_start_until_ms, Some(16_000));
    let expected: Vec<String> =
        (1..16).map(|step| format!("{} -e 12 {}", 1000 + 1000 * step, 2 + 2 * step)).collect();
    let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
    assert_lines(&short(director.until(60_000)), &expected);
    assert_eq!(director.status().virtual_servers[0].real_servers[1].slow_start_until_ms, None);
}

#[test]
fn a_climb_outlives_a_reload_and_a_repair_and_a_new_server_climbs_too() {
    let mut director = serving(&web("slow_start = 15", &HEAVY), 2);
    director.report(20, 2, Some("x"));
    director.report(1000, 2, None);
    director.until(4000);
    let more = web("slow_start = 15", &[HEAVY[0], HEAVY[1], "10.2.0.13 weight = 32"]);
    let lines = short(director.reload(4100, &more));
    assert_lines(&lines, &["log reloaded 1/3, monitors 1", "spawn 3 10.2.0.13"]);
    assert_lines(&short(director.report(4200, 3, None))[1..], &["-a 13 2"]);
    director.fake.set_table(ipvsadm::Table::default());
    let repaired = short(director.until(5100));
    let rows: Vec<&str> =
        repaired.iter().map(String::as_str).filter(|line| line.starts_with("5000 -a")).collect();
    assert_eq!(rows, ["5000 -a 11 32", "5000 -a 12 10", "5000 -a 13 2"], "{repaired:#?}");
    assert_lines(&short(director.until(5300)), &["5200 -e 13 4"]);
}

#[test]
fn a_weight_that_follows_the_load_climbs_in_proportion() {
    let mut director = serving(&web("slow_start = 15; load_monitor = uptime", &HEAVY), 2);
    director.report(20, 2, Some("x"));
    director.report(1000, 2, None);
    director.until(4900);
    assert_lines(&short(director.weight(4900, 2, 160))[1..], &["-e 12 40"]);
    assert_lines(&short(director.until(5000)), &["5000 -e 12 50"]);
}

#[test]
fn a_service_that_starts_or_was_lost_altogether_has_its_weights_at_once() {
    let mut director = Director::new(&web("slow_start = 15; sorry_server = 10.2.0.99", &HEAVY));
    director.tick(0);
    assert_lines(&short(director.report(10, 1, None))[1..], &["-a 11 32"]);
    assert_lines(&short(director.report(900, 2, None))[1..], &["-a 12 32"]);
    director.report(1000, 1, Some("x"));
    director.report(1100, 2, Some("x"));
    assert_lines(&short(director.report(9000, 2, None))[1..], &["-a 12 32", "-d 99"]);
    assert_lines(&short(director.report(9900, 1, None))[1..], &["-a 11 32"]);
}

#[test]
fn the_only_server_left_has_its_full_weight() {
    let mut director = serving(&web("slow_start = 15", &HEAVY), 2);
    director.report(20, 2, Some("x"));
    director.report(1000, 2, None);
    assert_lines(&short(director.report(2000, 1, Some("x")))[1..], &["-e 12 32", "-d 11"]);
    assert_lines(&short(director.until(60_000)), &[]);
}

#[test]
fn stopping_forgets_what_climbs() {
    let mut director = serving(&web("slow_start = 15", &HEAVY), 2);
    director.report(20, 2, Some("x"));
    director.report(1000, 2, None);
    director.at(1500, lvs::action::Input::Shutdown);
    director.ended(1600, 1, 0);
    assert_lines(&director.ended(1700, 2, 0), &["exit 0"]);
}

#[test]
fn a_server_that_was_to_retire_and_is_named_again_goes_by_its_health() {
    let file = |servers: &[&str]| web("quorum = 1000", servers);
    let mut director = serving(&file(&SERVERS[..1]), 1);
    director.reload(20, &file(&SERVERS[1..2]));
    assert!(director.table().iter().any(|row| row.contains("10.2.0.11:80")), "it does not retire");
    director.reload(30, &file(&SERVERS[..2]));
    let monitor = director.monitors.last().copied().unwrap_or_default();
    director.report(40, monitor, Some("x"));
    assert!(!director.table().iter().any(|row| row.contains("10.2.0.11:80")), "it serves though it is down");
}
