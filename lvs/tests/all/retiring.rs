//! A file that replaces all servers of a virtual server: somebody serves at every moment.

use lvs_config::Config;
use lvs_ipc::control::Command;
use proptest::prelude::*;

use crate::world::{Director, assert_lines, carry, config, virtual_server, without_reads};

const OLD: [&str; 2] = ["10.2.0.11", "10.2.0.12 weight = 3"];
const NEW: [&str; 2] = ["10.2.0.21", "10.2.0.22"];

fn web(directives: &str, servers: &[&str]) -> Config {
    config(&virtual_server("web", "10.1.0.100", directives, servers))
}

/// The old servers serve.
fn serving(directives: &str) -> Director {
    let mut director = Director::new(&web(directives, &OLD));
    director.tick(0);
    director.report(10, 1, None);
    director.report(20, 2, None);
    director
}

/// The old servers serve, the new file has been read at 100; the new monitors are 3 and 4.
fn replaced(directives: &str) -> Director {
    let mut director = serving(directives);
    let _ = director.reload(100, &web(directives, &NEW));
    director
}

#[test]
fn the_old_servers_stay_with_their_weights_until_a_new_one_serves() {
    let mut director = serving("");
    assert_lines(
        &director.reload(100, &web("", &NEW)),
        &[
            "terminate 1",
            "terminate 2",
            "log web: 2 retiring",
            "log reloaded 1/2, monitors 4",
            "spawn 3 10.2.0.21",
            "spawn 4 10.2.0.22",
        ],
    );
    // The failure of one decides nothing.
    assert_lines(&director.report(110, 3, Some("refused")), &["log web 10.2.0.21:80 down: refused"]);
    assert_lines(
        &director.report(120, 4, None),
        &[
            "log web 10.2.0.22:80 up: ok",
            "-a -t 10.1.0.100:80 -r 10.2.0.22:80 -m -w 1",
            "-d -t 10.1.0.100:80 -r 10.2.0.11:80",
            "-d -t 10.1.0.100:80 -r 10.2.0.12:80",
        ],
    );
}

#[test]
fn the_old_servers_go_when_all_new_ones_have_failed_and_the_sorry_server_comes_only_then() {
    let mut director = replaced("sorry_server = 10.2.0.99");
    assert_lines(
        &director.table(),
        &[
            "-A -t 10.1.0.100:80 -s rr",
            "-a -t 10.1.0.100:80 -r 10.2.0.11:80 -m -w 1",
            "-a -t 10.1.0.100:80 -r 10.2.0.12:80 -m -w 3",
        ],
    );
    assert_lines(&director.report(110, 3, Some("x")), &["log web 10.2.0.21:80 down: x"]);
    assert_lines(
        &director.report(120, 4, Some("x")),
        &[
            "log web 10.2.0.22:80 down: x",
            "-a -t 10.1.0.100:80 -r 10.2.0.99:80 -m -w 1",
            "-d -t 10.1.0.100:80 -r 10.2.0.11:80",
            "-d -t 10.1.0.100:80 -r 10.2.0.12:80",
        ],
    );
}

#[test]
fn the_old_servers_do_not_stay_for_ever() {
    let mut director = replaced("timeout = 5");
    director.until(3000);
    // A minute and two limits of a check.
    assert_lines(&without_reads(director.until(70_099)), &[]);
    assert_lines(
        &without_reads(director.until(70_100)),
        &[
            "70100 log web: 2 retired unchecked",
            "70100 -d -t 10.1.0.100:80 -r 10.2.0.11:80",
            "70100 -d -t 10.1.0.100:80 -r 10.2.0.12:80",
        ],
    );
}

#[test]
fn one_server_that_stays_and_serves_is_enough() {
    let mut director = serving("");
    assert_lines(
        &director.reload(100, &web("", &[OLD[0], NEW[0]])),
        &[
            "terminate 2",
            "log reloaded 1/2, monitors 2",
            "-d -t 10.1.0.100:80 -r 10.2.0.12:80",
            "spawn 3 10.2.0.21",
        ],
    );
}

#[test]
fn one_server_that_stays_and_has_failed_is_not_enough() {
    let mut director = serving("quiesce_server = 1");
    director.report(30, 1, Some("x"));
    let lines = director.reload(100, &web("quiesce_server = 1", &[OLD[0], NEW[0]]));
    assert_lines(&lines[1..], &["log web: 1 retiring", "log reloaded 1/2, monitors 2", "spawn 3 10.2.0.21"]);
    assert_lines(
        &director.report(110, 3, None)[1..],
        &["-a -t 10.1.0.100:80 -r 10.2.0.21:80 -m -w 1", "-d -t 10.1.0.100:80 -r 10.2.0.12:80"],
    );
}

#[test]
fn a_retired_server_that_comes_back_keeps_its_row() {
    let mut director = replaced("");
    assert_lines(
        &director.reload(200, &web("", &OLD)),
        &[
            "terminate 3",
            "terminate 4",
            "log reloaded 1/2, monitors 4",
            "spawn 5 10.2.0.11",
            "spawn 6 10.2.0.12",
        ],
    );
}

#[test]
fn a_virtual_server_without_servers_waits_for_nobody() {
    let mut director = Director::new(&web("", &OLD[..1]));
    director.tick(0);
    director.report(10, 1, None);
    assert_lines(
        &director.reload(100, &web("", &[])),
        &["terminate 1", "log reloaded 1/0, monitors 1", "-d -t 10.1.0.100:80 -r 10.2.0.11:80"],
    );
}

#[test]
fn a_successor_with_other_servers_lets_those_that_it_finds_serve_until_then() {
    let mut director = Director::new(&web("", &OLD[..1]));
    director.tick(0);
    director.report(10, 1, None);
    let mut next = director.successor(&web("", &NEW[..1]));
    assert_lines(
        &next.tick(100),
        &["read", "log adopted 1 services, 0 servers", "log web: 1 retiring", "ready", "spawn 1 10.2.0.21"],
    );
    assert_lines(
        &next.report(110, 1, None)[1..],
        &["-a -t 10.1.0.100:80 -r 10.2.0.21:80 -m -w 1", "-d -t 10.1.0.100:80 -r 10.2.0.11:80"],
    );
}

/// The table while the sorry server serves beside the old servers.
const QUIET: [&str; 4] = [
    "-A -t 10.1.0.100:80 -s rr",
    "-a -t 10.1.0.100:80 -r 10.2.0.11:80 -m -w 0",
    "-a -t 10.1.0.100:80 -r 10.2.0.12:80 -m -w 0",
    "-a -t 10.1.0.100:80 -r 10.2.0.99:80 -m -w 1",
];

#[test]
fn a_sorry_server_that_an_operator_asks_for_serves_alone_and_the_old_servers_keep_their_connections() {
    let mut director = replaced("sorry_server = 10.2.0.99");
    director.ask(200, Command::Sorry { target: "web".into(), on: true, reason: None });
    assert_lines(&sorted(director.table()), &QUIET);
    // Another file meanwhile does not take their rows.
    director.reload(300, &web("sorry_server = 10.2.0.99", &["10.2.0.31"]));
    assert_lines(&sorted(director.table()), &QUIET);
    let token = director.monitors.last().copied().unwrap();
    director.report(400, token, None);
    director.ask(500, Command::Sorry { target: "web".into(), on: false, reason: None });
    assert_lines(
        &director.table(),
        &["-A -t 10.1.0.100:80 -s rr", "-a -t 10.1.0.100:80 -r 10.2.0.31:80 -m -w 1"],
    );
}

#[test]
fn a_sorry_server_that_is_called_because_all_new_servers_are_disabled_serves_alone() {
    let mut director = replaced("sorry_server = 10.2.0.99");
    for server in ["web/s10.2.0.21", "web/s10.2.0.22"] {
        director.ask(200, Command::Disable { target: server.into(), reason: None });
    }
    assert_lines(&sorted(director.table()), &QUIET);
}

#[test]
fn a_failure_that_an_earlier_run_saw_does_not_end_the_wait() {
    for directives in ["", "sorry_server = 10.2.0.99"] {
        let mut director = Director::new(&web(directives, &OLD));
        director.tick(0);
        director.report(10, 1, None);
        director.report(20, 2, Some("x"));
        director.until(2000);
        let serves = ["-A -t 10.1.0.100:80 -s rr", "-a -t 10.1.0.100:80 -r 10.2.0.11:80 -m -w 1"];
        assert_lines(&director.table(), &serves);
        let mut next = director.successor(&web(directives, &OLD[1..]));
        next.tick(2000);
        let told = &next.status().virtual_servers[0].real_servers[0];
        assert_eq!(told.health.reason, "before the restart: x");
        assert_lines(&next.table(), &serves);
        let lines = next.report(2100, 1, Some("x"));
        assert_eq!(lines.last().unwrap(), "-d -t 10.1.0.100:80 -r 10.2.0.11:80", "{lines:#?}");
    }
}

#[test]
fn a_drain_of_the_file_begins_when_the_old_servers_are_not_needed_any_more() {
    let mut director = serving("drain = 10");
    carry(&director, 11, 2, 0);
    carry(&director, 12, 1, 0);
    director.reload(100, &web("drain = 10", &NEW));
    let rows = director.table();
    director.until(15_000);
    assert_eq!(director.table(), rows);
    assert_lines(
        &without_reads(director.report(15_000, 3, None)),
        &[
            "log web 10.2.0.21:80 up: ok",
            "-a -t 10.1.0.100:80 -r 10.2.0.21:80 -m -w 1",
            "-e -t 10.1.0.100:80 -r 10.2.0.11:80 -m -w 0",
            "-e -t 10.1.0.100:80 -r 10.2.0.12:80 -m -w 0",
        ],
    );
    director.report(15_100, 4, None);
    carry(&director, 12, 0, 0);
    let lines = director.until(40_000);
    let gone: Vec<&str> = lines.iter().filter(|line| line.contains(" -d ")).map(String::as_str).collect();
    assert_eq!(
        gone,
        ["16000 -d -t 10.1.0.100:80 -r 10.2.0.12:80", "25000 -d -t 10.1.0.100:80 -r 10.2.0.11:80"]
    );
}

#[test]
fn the_end_of_the_wait_gives_no_time_to_a_server_that_was_leaving_before() {
    for (begin, gone) in [(8000, 10_100), (12_000, 12_000)] {
        let mut director = serving("drain = 10");
        carry(&director, 11, 2, 0);
        carry(&director, 12, 1, 0);
        director.reload(100, &web("drain = 10", &OLD[..1]));
        director.until(5000);
        director.reload(5000, &web("drain = 10", &NEW));
        director.until(begin);
        let first = director.report(begin, 3, None).into_iter().map(|line| format!("{begin} {line}"));
        let lines: Vec<String> = first.chain(director.until(40_000)).collect();
        let out: Vec<&str> = lines.iter().filter(|line| line.contains(" -d ")).map(String::as_str).collect();
        assert_eq!(
            out,
            [
                format!("{gone} -d -t 10.1.0.100:80 -r 10.2.0.12:80"),
                format!("{} -d -t 10.1.0.100:80 -r 10.2.0.11:80", begin + 10_000)
            ]
        );
    }
}

#[test]
fn a_drain_whose_time_passed_while_the_old_servers_retired_survives_a_death() {
    let file = web("drain = 10", &NEW);
    let mut director = Director::new(&web("drain = 10", &OLD[..1]));
    director.tick(0);
    director.report(10, 1, None);
    carry(&director, 11, 2, 0);
    director.reload(100, &file);
    director.until(15_000);
    let mut next = director.successor(&file);
    next.tick(15_000);
    next.report(15_100, 1, None);
    assert_eq!(next.table()[1], "-a -t 10.1.0.100:80 -r 10.2.0.11:80 -m -w 0", "{:#?}", next.table());
}

fn sorted(mut lines: Vec<String>) -> Vec<String> {
    lines.sort();
    lines
}

fn some_servers() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::btree_set(11u8..17, 1..4).prop_map(|servers| servers.into_iter().collect())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
    /// Whatever file follows whatever file: a service that has a server has one after each single request, until a
    /// check of every server of the file has failed.
    #[test]
    fn servers_that_are_replaced_leave_no_gap(
        files in proptest::collection::vec(some_servers(), 2..6),
        sorry: bool,
    ) {
        let directives = if sorry { "sorry_server = 10.2.0.99" } else { "" };
        let file = |servers: &Vec<u8>| {
            let servers: Vec<String> = servers.iter().map(|n| format!("10.2.0.{n}")).collect();
            web(directives, &servers.iter().map(String::as_str).collect::<Vec<_>>())
        };
        let mut director = Director::new(&file(&files[0]));
        director.tick(0);
        director.report(10, 1, None);
        let mut now = 100;
        for servers in &files[1..] {
            let mut lines = director.reload(now, &file(servers));
            lines.extend(director.until(now + 500));
            prop_assert!(director.table().len() >= 2, "{lines:#?}\n{:#?}", director.table());
            // One that does not serve yet answers.
            if let Some(token) = director.running.keys().next_back().copied() {
                lines.extend(director.report(now + 500, token, None));
            }
            prop_assert!(director.table().len() >= 2, "{lines:#?}");
            prop_assert!(!director.table().iter().any(|row| row.contains("10.2.0.99")), "{lines:#?}");
            now += 1000;
        }
    }
}
