//! What a director knows of failures that an earlier one saw, and what it leaves for the next.

use std::collections::BTreeSet;

use daemonkit::clock::Mono;
use ipvsadm::fake::FakeKernel;
use lvs_config::Config;
use lvs_ipc::control::Command;

use crate::world::{Director, assert_lines, config, serving, virtual_server};

const SERVERS: [&str; 2] = ["10.2.0.11", "10.2.0.12"];
/// The rows of the two servers.
const ROWS: [&str; 2] = ["-t 10.1.0.100:80 -r 10.2.0.11:80", "-t 10.1.0.100:80 -r 10.2.0.12:80"];

fn web(directives: &str, servers: &[&str]) -> Config {
    config(&virtual_server("web", "10.1.0.100", directives, servers))
}

/// Why each server of the first virtual server is in its state.
fn reasons(director: &Director) -> Vec<String> {
    let servers = director.status().virtual_servers.remove(0).real_servers;
    servers.into_iter().map(|server| server.health.reason).collect()
}

#[test]
fn a_server_known_to_be_down_is_not_kept_for_its_first_check() {
    let file = web("quiesce_server = 1", &SERVERS);
    let mut director = serving(&file);
    director.report(100, 1, Some("timed out"));
    director.until(2000);
    // Somebody gave the row its weight back while nobody looked.
    let mut table = director.fake.table();
    table.services[0].destinations[0].destination.weight = 1;
    director.fake.set_table(table);
    let mut next = director.successor(&file);
    let lines = next.tick(2000);
    assert!(lines.contains(&format!("-e {} -m -w 0", ROWS[0])), "{lines:#?}");
    let told = &next.status().virtual_servers[0].real_servers;
    assert_eq!(told[0].health.reason, "before the restart: timed out");
    assert_eq!(told[1].health.reason, "not checked yet");
    assert_eq!(next.report(2100, 1, None)[0], "log web 10.2.0.11:80 up: ok");
}

#[test]
fn the_last_server_with_a_weight_is_not_taken_out_because_of_an_old_state_file() {
    let file = web("sorry_server = 10.2.0.99", &SERVERS);
    let mut director = serving(&file);
    director.report(100, 1, Some("timed out"));
    director.report(200, 2, Some("timed out"));
    director.until(2000);
    assert_eq!(director.saved.down.len(), 2);
    // It comes back, which cannot be saved before the director is killed.
    director.full = Some("No space left on device".into());
    director.report(2100, 1, None);
    let before = director.table();
    assert!(before.contains(&format!("-a {} -m -w 1", ROWS[0])), "{before:#?}");
    let mut next = director.successor(&file);
    next.tick(2100);
    assert_eq!(next.table(), before);
    let told = &next.status().virtual_servers[0].real_servers;
    assert_eq!(told[0].health.reason, "not checked yet");
    assert_eq!(told[1].health.reason, "before the restart: timed out");
}

#[test]
fn what_was_known_of_a_service_that_is_gone_is_not_believed() {
    let mut director = serving(&web("", &SERVERS));
    director.report(100, 1, Some("timed out"));
    director.until(2000);
    director.fake.set_table(Default::default());
    let mut next = director.successor(&web("", &SERVERS));
    next.tick(2000);
    assert_eq!(next.status().virtual_servers[0].real_servers[0].health.reason, "not checked yet");
}

#[test]
fn two_deaths_in_a_row_forget_no_failure() {
    let file = web("start = up; quiesce_server = 1", &["10.2.0.11 on_down = \"/bin/tell\"", SERVERS[1]]);
    let mut director = serving(&file);
    director.report(100, 1, Some("timed out"));
    director.until(2000);
    let saved = director.saved.clone();
    assert_eq!(saved.down.len(), 1);
    let mut second = director.successor(&file);
    second.tick(2000);
    assert_eq!(second.saved, saved, "before anything has been checked");
    second.report(2100, 1, Some("refused"));
    second.until(4000);
    let down: Vec<&str> = second.saved.down.values().map(String::as_str).collect();
    assert_eq!(down, ["refused"], "a check that says the same is news of its reason");
    let mut third = second.successor(&file);
    third.tick(4000);
    assert_eq!(reasons(&third)[0], "before the restart: refused");
    assert!(third.table().contains(&format!("-a {} -m -w 0", ROWS[0])), "{:#?}", third.table());
    let confirmed = third.report(4100, 1, Some("refused"));
    assert_lines(&confirmed, &[]);
    assert!(third.hooks.is_empty(), "the first one has told");
}

#[test]
fn a_failure_is_kept_while_the_table_cannot_be_read() {
    let file = web("", &SERVERS);
    let mut director = serving(&file);
    director.report(100, 1, Some("timed out"));
    director.until(2000);
    let saved = director.saved.clone();
    let mut next = director.successor(&file);
    next.fake.unload(true);
    next.tick(2000);
    assert_eq!(reasons(&next)[0], "not checked yet");
    assert_eq!(next.saved, saved);
}

#[test]
fn the_row_of_a_server_that_is_checked_at_another_port_counts() {
    let direct = "network = direct; fwmark = 7; port = 80; sorry_server = 10.2.0.99";
    let file = web(direct, &["10.2.0.11 port = 8080", "10.2.0.12 port = 8080"]);
    let mut director = serving(&file);
    director.report(100, 1, Some("timed out"));
    director.report(200, 2, Some("timed out"));
    director.until(2000);
    director.full = Some("No space left on device".into());
    director.report(2100, 1, None);
    let before = director.table();
    assert!(before.contains(&"-a -f 7 -r 10.2.0.11:0 -g -w 1".to_owned()), "{before:#?}");
    let mut next = director.successor(&file);
    next.tick(2100);
    assert_eq!(next.table(), before);
    assert_eq!(reasons(&next), ["not checked yet", "before the restart: timed out"]);
}

#[test]
fn after_an_orderly_stop_nobody_who_had_failed_is_assumed_to_be_up_beside_others() {
    let file = web("start = up", &SERVERS);
    let mut director = serving(&file);
    director.report(100, 1, Some("timed out"));
    director.until(2000);
    director.fake.set_table(Default::default());
    let mut next = director.successor(&file);
    next.tick(2000);
    assert_eq!(reasons(&next), ["before the restart: timed out", "not checked yet, assumed to be up"]);
    assert_lines(&next.table()[1..], &[&format!("-a {} -m -w 1", ROWS[1])]);
    // With all of them failed, the file is as good as nothing.
    director.report(2100, 2, Some("timed out"));
    director.until(4000);
    assert_eq!(director.saved.down.len(), 2);
    director.fake.set_table(Default::default());
    let mut next = director.successor(&file);
    next.tick(4000);
    assert_lines(
        &next.table()[1..],
        &ROWS.map(|row| format!("-a {row} -m -w 1")).each_ref().map(String::as_str),
    );
}

#[test]
fn after_a_takeover_the_first_checks_decide_and_the_orders_of_this_router_are_told() {
    let file = web("", &SERVERS);
    let mut director = serving(&file);
    let reason = Some("disk".to_owned());
    director.ask(1000, Command::Disable { target: "web/s10.2.0.11".into(), reason });
    director.ask(2000, Command::Weight { target: "web/s10.2.0.12".into(), weight: 7, reason: None });
    director.report(3000, 2, Some("timed out"));
    director.until(5000);
    assert_eq!(director.saved.down.len(), 1);
    // This router has stood by for forty days. Whatever was ordered on the other one is not known here.
    let now = Mono::from_millis(40 * 86_400_000);
    let fake = FakeKernel::new();
    let mut next = Director::after(now, fake, &file, BTreeSet::new(), director.saved.clone());
    let told = next.tick(40 * 86_400_000);
    let recalled: Vec<&str> =
        told.iter().filter(|line| line.ends_with("in force again")).map(String::as_str).collect();
    assert_eq!(
        recalled,
        [
            "log web/s10.2.0.11 disable by root \"disk\" of 3455999 s ago in force again",
            "log web/s10.2.0.12 weight 7 by root \"\" of 3455998 s ago in force again",
        ]
    );
    assert_eq!(reasons(&next), ["not checked yet", "not checked yet"]);
    assert_lines(&next.table()[1..], &[]);
    for token in [1, 2] {
        next.report(40 * 86_400_000 + 10, token, None);
    }
    assert_lines(&next.table()[1..], &[&format!("-a {} -m -w 7", ROWS[1])]);
}

#[test]
fn a_weight_that_was_asked_for_has_no_unchecked_server_serve_that_was_found_with_none() {
    let file = web("slow_start = off", &SERVERS);
    let mut director = serving(&file);
    director.ask(1000, Command::Weight { target: "web/s10.2.0.11".into(), weight: 7, reason: None });
    director.until(3000);
    // It was taken out of service by hand while nobody looked.
    let mut table = director.fake.table();
    table.services[0].destinations[0].destination.weight = 0;
    director.fake.set_table(table);
    let mut next = director.successor(&file);
    next.tick(3000);
    assert_lines(
        &next.table()[1..],
        &[&format!("-a {} -m -w 0", ROWS[0]), &format!("-a {} -m -w 1", ROWS[1])],
    );
    next.report(3100, 1, None);
    assert_eq!(next.table()[1], format!("-a {} -m -w 7", ROWS[0]));
}

#[test]
fn after_a_takeover_a_failure_of_any_age_costs_no_reentry() {
    const LATER: u64 = 40 * 86_400_000;
    let file = web("start = up; slow_start = off", &SERVERS);
    let mut director = serving(&file);
    director.report(3000, 2, Some("timed out"));
    director.until(5000);
    assert_eq!(director.saved.down.len(), 1);
    // What is still served is of a moment ago.
    let mut at_once = director.successor(&file);
    at_once.tick(5000);
    let was = |director: &Director| -> Vec<Option<String>> {
        let word = |line: &String| {
            line.split_once("--was ").map(|(_, was)| was.split(' ').next().unwrap().to_owned())
        };
        director.running.values().map(word).collect()
    };
    assert_eq!(was(&at_once), [Some("up".to_owned()), Some("down".to_owned())]);
    // This router has stood by for forty days.
    let (now, fake) = (Mono::from_millis(LATER), FakeKernel::new());
    let mut next = Director::after(now, fake, &file, BTreeSet::new(), director.saved.clone());
    next.tick(LATER);
    assert_eq!(reasons(&next), ["not checked yet, assumed to be up", "before the restart: timed out"]);
    assert_eq!(was(&next), [None, None]);
    assert_lines(&next.table()[1..], &[&format!("-a {} -m -w 1", ROWS[0])]);
    next.report(LATER + 10, 2, None);
    assert_lines(
        &next.table()[1..],
        &ROWS.map(|row| format!("-a {row} -m -w 1")).each_ref().map(String::as_str),
    );
}
