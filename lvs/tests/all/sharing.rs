//! One check feeds all virtual servers that want it.

use std::collections::{BTreeMap, BTreeSet};

use lvs_config::Config;
use lvs_ipc::status::{Child, Health};
use proptest::prelude::*;

use crate::world::{Director, assert_lines, config, virtual_server, without_reads};

/// Virtual servers at .100, .101, ..., each with these directives and 10.2.0.11.
fn all_over_one(directives: &[&str]) -> Config {
    let block = |(n, directives): (usize, &&str)| {
        virtual_server(&format!("v{n}"), &format!("10.1.0.10{n}"), directives, &["10.2.0.11"])
    };
    config(&directives.iter().enumerate().map(block).collect::<String>())
}

fn spawned(lines: &[String]) -> usize {
    lines.iter().filter(|line| line.contains("spawn")).count()
}

#[test]
fn one_monitor_feeds_three_virtual_servers() {
    let all = ["", "quiesce_server = 1; scheduler = wlc", "fwmark = 7"];
    let mut director = Director::new(&all_over_one(&all));
    assert_eq!(spawned(&director.tick(0)), 1);
    assert_lines(
        &director.report(10, 1, None),
        &[
            "log v0 10.2.0.11:80 up: ok",
            "log v1 10.2.0.11:80 up: ok",
            "log v2 10.2.0.11:80 up: ok",
            "-a -t 10.1.0.100:80 -r 10.2.0.11:80 -m -w 1",
            "-a -t 10.1.0.101:80 -r 10.2.0.11:80 -m -w 1",
            "-a -f 7 -r 10.2.0.11:80 -m -w 1",
        ],
    );
    assert_lines(
        &director.report(20, 1, Some("gone"))[3..],
        &[
            "-e -t 10.1.0.101:80 -r 10.2.0.11:80 -m -w 0",
            "-d -t 10.1.0.100:80 -r 10.2.0.11:80",
            "-d -f 7 -r 10.2.0.11:80",
        ],
    );
    let monitors: Vec<Child> = director
        .status()
        .virtual_servers
        .iter()
        .map(|virtual_server| virtual_server.real_servers[0].monitor.state)
        .collect();
    assert_eq!(monitors, [Child::Running; 3]);
}

#[test]
fn each_keeps_the_weight_of_the_file() {
    let server = |n: u8, weight: u8| {
        virtual_server(
            &format!("v{n}"),
            &format!("10.1.0.{n}"),
            "",
            &[&format!("10.2.0.11 weight = {weight}")],
        )
    };
    let mut director = Director::new(&config(&(server(1, 3) + &server(2, 9))));
    director.tick(0);
    assert_lines(
        &director.report(10, 1, None)[2..],
        &["-a -t 10.1.0.1:80 -r 10.2.0.11:80 -m -w 3", "-a -t 10.1.0.2:80 -r 10.2.0.11:80 -m -w 9"],
    );
}

#[test]
fn a_virtual_server_that_joins_knows_at_once_what_is_known() {
    for (down, known, requests) in [
        (None, "up: ok", &["-A -t 10.1.0.101:80 -s rr", "-a -t 10.1.0.101:80 -r 10.2.0.11:80 -m -w 1"][..]),
        (Some("gone"), "down: gone", &["-A -t 10.1.0.101:80 -s rr"][..]),
    ] {
        let mut director = Director::new(&all_over_one(&[""]));
        director.tick(0);
        director.report(10, 1, down);
        let lines = director.reload(100, &all_over_one(&["", ""]));
        assert_lines(&lines[..2], &[&format!("log v1 10.2.0.11:80 {known}"), "log reloaded 2/2, monitors 0"]);
        assert_lines(&lines[2..], requests);
    }
}

#[test]
fn who_joins_before_the_first_check_waits_for_it() {
    let mut director = Director::new(&all_over_one(&[""]));
    director.tick(0);
    assert_lines(
        &director.reload(5, &all_over_one(&["", ""])),
        &["log reloaded 2/2, monitors 0", "-A -t 10.1.0.101:80 -s rr"],
    );
    assert_eq!(director.report(10, 1, None).len(), 4);
}

#[test]
fn a_server_whose_check_becomes_another_ones_believes_that_one() {
    let mut director = Director::new(&all_over_one(&["", "timeout = 3"]));
    director.tick(0);
    director.report(10, 1, Some("gone"));
    director.report(20, 2, None);
    assert_lines(
        &director.reload(100, &all_over_one(&["", ""])),
        &[
            "terminate 2",
            "log v1 10.2.0.11:80 down: gone",
            "log reloaded 2/2, monitors 1",
            "-d -t 10.1.0.101:80 -r 10.2.0.11:80",
        ],
    );
}

#[test]
fn a_check_goes_on_while_anybody_wants_it() {
    let mut director = Director::new(&all_over_one(&["", ""]));
    director.tick(0);
    director.report(10, 1, None);
    let second = virtual_server("v1", "10.1.0.101", "", &["10.2.0.11"]);
    // The one in whose name it was started goes.
    assert_lines(
        &director.reload(100, &config(&second)),
        &["log reloaded 1/1, monitors 0", "-D -t 10.1.0.100:80"],
    );
    assert_lines(
        &director.report(110, 1, Some("gone")),
        &["log v1 10.2.0.11:80 down: gone", "-d -t 10.1.0.101:80 -r 10.2.0.11:80"],
    );
    // When it is restarted it speaks for who is left.
    director.ended(120, 1, 1);
    assert_eq!(spawned(&director.until(2000)), 1);
    assert!(director.running[&2].contains(" -V 10.1.0.101 "), "{}", director.running[&2]);
    assert_lines(
        &without_reads(director.reload(3000, &config(""))),
        &["terminate 2", "log reloaded 0/0, monitors 1", "-D -t 10.1.0.101:80"],
    );
}

#[test]
fn monitors_that_give_weights_or_are_somebody_elses_speak_for_one_server_only() {
    for directives in ["load_monitor = rup", "client_monitor = /opt/mon"] {
        let mut director = Director::new(&all_over_one(&[directives, directives]));
        assert_eq!(spawned(&director.tick(0)), 2, "{directives}");
    }
}

/// What each of up to four virtual servers has: none, or the check of each of its up to three servers.
type World = Vec<Option<Vec<(u8, u8)>>>;

fn worlds() -> impl Strategy<Value = World> {
    let servers = proptest::collection::btree_map(1u8..4, 3u8..6, 1..4);
    let one = proptest::option::weighted(0.8, servers.prop_map(|servers| servers.into_iter().collect()));
    proptest::collection::vec(one, 4)
}

/// Each server under a virtual server of its own, so that checks may differ.
fn file(world: &World) -> Config {
    let mut text = String::new();
    for (n, servers) in world.iter().enumerate() {
        for (server, timeout) in servers.iter().flatten() {
            let name = format!("v{n}s{server}");
            let directives = format!("timeout = {timeout}");
            text += &virtual_server(
                &name,
                &format!("10.1.{n}.{server}"),
                &directives,
                &[&format!("10.2.0.{server}")],
            );
        }
    }
    config(&text)
}

/// The server and the timeout on a monitor's command line.
fn check_of(line: &str) -> (String, String) {
    let words: Vec<&str> = line.split(' ').collect();
    let after = |option: &str| words[words.iter().position(|word| *word == option).unwrap() + 1].to_owned();
    (after("-h"), after("-t"))
}

fn checks(director: &Director) -> BTreeMap<(String, String), u64> {
    let running = director.running.iter();
    running.map(|(token, line)| (check_of(line), *token)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
    /// Whatever is reloaded and said: there is one monitor per distinct check, one that is wanted before and after is
    /// not restarted, and whoever uses a check that has spoken believes what it said last.
    #[test]
    fn every_server_believes_its_check_and_no_check_runs_twice(
        steps in proptest::collection::vec((worlds(), proptest::collection::vec((0usize..12, any::<bool>()), 0..6)), 1..6),
    ) {
        let mut director = Director::new(&file(&Vec::new()));
        director.tick(0);
        let mut now = 0;
        let mut said: BTreeMap<u64, bool> = BTreeMap::new();
        for (world, reports) in &steps {
            let before = checks(&director);
            director.reload(now + 1, &file(world));
            director.until(now + 900);
            now += 1000;
            let after = checks(&director);
            prop_assert_eq!(after.len(), director.running.len(), "{:?}", director.running);
            let wanted: BTreeSet<(String, String)> = world
                .iter()
                .flatten()
                .flatten()
                .map(|(server, timeout)| (format!("10.2.0.{server}"), timeout.to_string()))
                .collect();
            prop_assert_eq!(after.keys().cloned().collect::<BTreeSet<_>>(), wanted);
            for (check, token) in &before {
                prop_assert!(after.get(check).is_none_or(|now| now == token), "{check:?} was restarted");
            }
            for (number, up) in reports {
                let tokens: Vec<u64> = after.values().copied().collect();
                if let Some(token) = tokens.get(number % tokens.len().max(1)) {
                    director.report(now, *token, Some("told").filter(|_| !up));
                    said.insert(*token, *up);
                }
            }
            let status = director.status();
            let servers = world.iter().flatten().flatten();
            for (told, (server, timeout)) in status.virtual_servers.iter().zip(servers) {
                let check = (format!("10.2.0.{server}"), timeout.to_string());
                let health = told.real_servers[0].health.state;
                if let Some(up) = said.get(&after[&check]) {
                    prop_assert_eq!(health, if *up { Health::Up } else { Health::Down }, "{:?}", told);
                }
            }
        }
    }
}
