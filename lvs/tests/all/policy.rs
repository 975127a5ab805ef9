//! What the health of all servers of a virtual server together makes of the table: quorum, start policies, slow start.

use lvs_config::Config;
use lvs_ipc::control::Command;
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
    let mut director = serving(&web("scheduler = wrr; slow_start = 15", &HEAVY), 2);
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
    let mut director = serving(&web("scheduler = wrr; slow_start = 15", &HEAVY), 2);
    director.report(20, 2, Some("x"));
    director.report(1000, 2, None);
    director.until(4000);
    let more = web("scheduler = wrr; slow_start = 15", &[HEAVY[0], HEAVY[1], "10.2.0.13 weight = 32"]);
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
    let mut director = serving(&web("scheduler = wrr; slow_start = 15; load_monitor = uptime", &HEAVY), 2);
    director.report(20, 2, Some("x"));
    director.report(1000, 2, None);
    director.until(4900);
    assert_lines(&short(director.weight(4900, 2, 160))[1..], &["-e 12 40"]);
    assert_lines(&short(director.until(5000)), &["5000 -e 12 50"]);
}

#[test]
fn a_service_that_starts_or_was_lost_altogether_has_its_weights_at_once() {
    let mut director =
        Director::new(&web("scheduler = wrr; slow_start = 15; sorry_server = 10.2.0.99", &HEAVY));
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
    let mut director = serving(&web("scheduler = wrr; slow_start = 15", &HEAVY), 2);
    director.report(20, 2, Some("x"));
    director.report(1000, 2, None);
    assert_lines(&short(director.report(2000, 1, Some("x")))[1..], &["-e 12 32", "-d 11"]);
    assert_lines(&short(director.until(60_000)), &[]);
}

const SIXTY_FOUR: [&str; 2] = ["10.2.0.11 weight = 64", "10.2.0.12 weight = 64"];

/// Of two servers of weight 64 the second one came up at 100 s while the first served.
fn climbing(directives: &str) -> Director {
    let mut director = serving(&web(directives, &SIXTY_FOUR), 2);
    director.report(20, 2, Some("x"));
    director.until(99_000);
    director.report(100_000, 2, None);
    director
}

/// What is done with weights up to `millis`, as `short` says it.
fn weights(director: &mut Director, millis: u64) -> Vec<String> {
    short(director.until(millis))
}

#[test]
fn without_a_word_in_the_file_weights_grow_as_with_piranha() {
    let mut director = serving(&web("scheduler = wlc", &SIXTY_FOUR), 2);
    director.report(20, 2, Some("x"));
    director.until(99_000);
    assert_lines(&short(director.report(100_000, 2, None))[1..], &["-a 12 2"]);
    let told = &director.status().virtual_servers[0].real_servers[1];
    assert_eq!((told.weight, told.weight_wanted, told.slow_start_weight), (Some(2), Some(2), Some(64)));
    assert_eq!(told.slow_start_until_ms, Some(200_000));
    let expected =
        ["120000 -e 12 4", "140000 -e 12 8", "160000 -e 12 16", "180000 -e 12 32", "200000 -e 12 64"];
    assert_lines(&weights(&mut director, 400_000), &expected);
    let told = &director.status().virtual_servers[0].real_servers[1];
    assert_eq!((told.slow_start_until_ms, told.slow_start_weight), (None, None));
}

#[test]
fn weights_that_are_no_shares_of_the_work_and_those_that_are_not_to_grow_are_full_at_once() {
    for scheduler in ["rr", "lc", "dh", "sh", "mh", "fo", "wlc; slow_start = off", "wrr; slow_start = 0"] {
        let mut director = climbing(&format!("scheduler = {scheduler}"));
        assert_eq!(director.status().virtual_servers[0].real_servers[1].weight, Some(64), "{scheduler}");
        assert_lines(&weights(&mut director, 400_000), &[]);
    }
    // Who asks for a time gets it where it means anything.
    let asked = |scheduler: &str| {
        let director = climbing(&format!("scheduler = {scheduler}; slow_start = 15"));
        director.status().virtual_servers[0].real_servers[1].weight
    };
    assert_eq!([asked("sh"), asked("fo"), asked("rr")], [Some(4), Some(4), Some(64)]);
}

#[test]
fn a_successor_goes_on_climbing_where_it_would_be() {
    let file = web("scheduler = wlc", &SIXTY_FOUR);
    let mut first = climbing("scheduler = wlc");
    first.until(145_000);
    // Nobody directs for a while.
    let mut second = first.successor(&file);
    let start = short(second.tick(165_000));
    assert!(!start.iter().any(|line| line.starts_with('-')), "{start:#?}");
    assert_lines(&short(second.report(165_100, 1, None))[1..], &[]);
    assert_lines(&short(second.report(165_200, 2, None))[1..], &["-e 12 16"]);
    assert_eq!(second.status().virtual_servers[0].real_servers[1].slow_start_until_ms, Some(200_000));
    assert_lines(&weights(&mut second, 400_000), &["180000 -e 12 32", "200000 -e 12 64"]);
    assert!(second.saved.climbing.is_empty(), "{:?}", second.saved);
}

#[test]
fn a_successor_forgets_climbs_where_the_kernel_was_cleared() {
    let file = web("scheduler = wlc; start = up", &SIXTY_FOUR);
    let first = climbing("scheduler = wlc; start = up");
    assert_eq!(first.saved.climbing.len(), 1);
    first.fake.set_table(ipvsadm::Table::default());
    let mut second = first.successor(&file);
    let start = short(second.tick(105_000));
    assert_lines(&start[1..3], &["-a 11 64", "-a 12 64"]);
}

#[test]
fn a_server_that_is_known_again_goes_on_climbing_after_a_reload() {
    let servers = SIXTY_FOUR.map(|server| format!("{server}; port = 8080"));
    let servers = [servers[0].as_str(), servers[1].as_str()];
    let file = |name: &str, vip: &str, directives: &str| {
        config(&virtual_server(name, vip, &format!("scheduler = wlc; {directives}"), &servers))
    };
    let mut director = serving(&file("web", "10.1.0.100", ""), 2);
    director.report(20, 2, Some("x"));
    director.until(99_000);
    director.report(100_000, 2, None);
    director.until(145_000);
    let of = |director: &Director| {
        let told = &director.status().virtual_servers[0].real_servers[1];
        (told.weight, told.slow_start_until_ms)
    };
    // Another address: another service.
    director.reload(146_000, &file("web", "10.1.0.200", ""));
    assert_eq!(of(&director), (Some(8), Some(200_000)));
    assert_eq!(director.saved.climbing.len(), 1);
    // Other rows, as the port of the packet stays.
    let lines = director.reload(147_000, &file("web", "10.1.0.200", "network = direct"));
    assert!(lines.contains(&"-a -t 10.1.0.200:80 -r 10.2.0.11:80 -g -w 64".to_owned()), "{lines:#?}");
    assert_eq!(of(&director), (Some(8), Some(200_000)));
    // Another name, and a time: half of it is over.
    director.reload(150_000, &file("shop", "10.1.0.200", "network = direct; slow_start = 100"));
    assert_eq!(of(&director), (Some(32), Some(200_000)));
    director.reload(151_000, &file("shop", "10.1.0.200", "network = direct; slow_start = off"));
    assert_eq!(of(&director), (Some(64), None));
}

#[test]
fn a_weight_that_an_operator_gives_is_the_one_to_which_it_grows() {
    let mut director = climbing("scheduler = wlc");
    let weight = Command::Weight { target: "web/s10.2.0.12".into(), weight: 128, reason: None };
    director.ask(121_000, weight);
    let told = &director.status().virtual_servers[0].real_servers[1];
    assert_eq!((told.weight, told.slow_start_weight), (Some(8), Some(128)));
    let mut second = director.successor(&web("scheduler = wlc", &SIXTY_FOUR));
    second.tick(121_500);
    assert_eq!(second.status().virtual_servers[0].real_servers[1].weight, Some(8));
}

#[test]
fn stopping_forgets_what_climbs() {
    let mut director = serving(&web("scheduler = wrr; slow_start = 15", &HEAVY), 2);
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
