//! A new file: only what changed changes.

use lvs::action::Input;
use lvs_config::Config;

use crate::world::{self, Director, assert_lines, config, virtual_server, without_reads};

const SERVERS: [&str; 2] = ["10.2.0.11", "10.2.0.12"];

fn web(directives: &str, servers: &[&str]) -> Config {
    config(&virtual_server("web", "10.1.0.100", directives, servers))
}

/// Both servers serve, and what that took has been seen.
fn serving(config: &Config) -> Director {
    let director = world::serving(config);
    let _ = director.fake.take_requests();
    director
}

/// What was sent to the kernel.
fn kernel_lines(lines: &[String]) -> Vec<String> {
    lines.iter().filter(|line| line.starts_with('-')).cloned().collect()
}

#[test]
fn the_same_file_changes_nothing() {
    let mut director = serving(&web("", &SERVERS));
    assert_lines(&director.reload(100, &web("", &SERVERS)), &["log reloaded 1/2, monitors 0"]);
}

#[test]
fn another_order_changes_nothing() {
    let first = virtual_server("a", "10.1.0.100", "", &["10.2.0.11"]);
    let second = virtual_server("b", "10.1.0.101", "", &["10.2.0.11", "10.2.0.12"]);
    let turned = virtual_server("b", "10.1.0.101", "", &["10.2.0.12", "10.2.0.11"]);
    let mut director = serving(&config(&(first.clone() + &second)));
    director.report(30, 3, None);
    assert_lines(&director.reload(100, &config(&(turned + &first))), &["log reloaded 2/3, monitors 0"]);
}

#[test]
fn a_name_that_moved_is_taken_and_nothing_is_said_about_the_file() {
    let mut director = serving(&web("", &SERVERS));
    director.at(100, Input::Reload(Err(vec!["lvs.cf:1:1: error: one".to_owned()])));
    let refused = director.status();
    let moved = web("", &["10.2.0.11", "10.2.0.13"]);
    let lines = director.at(200, Input::Renamed(Box::new(moved)));
    let said: Vec<_> = lines.iter().filter(|line| line.starts_with("log")).collect();
    assert_eq!(said, ["log renamed, monitors 2"]);
    let status = director.status();
    assert_eq!(status.reload, refused.reload);
    assert_eq!((status.reloads.good, status.reloads.refused), (0, 1));
    assert_eq!(status.last_change.unwrap().what, "names of the file have other addresses");
    let servers: Vec<_> = status.virtual_servers[0].real_servers.iter().map(|s| s.address.as_str()).collect();
    assert_eq!(servers, ["10.2.0.11:80", "10.2.0.13:80"]);
}

#[test]
fn a_bad_file_changes_nothing_and_is_told() {
    let mut director = serving(&web("", &SERVERS));
    let problems = vec!["lvs.cf:1:1: error: one".to_owned(), "lvs.cf:2:1: error: two".to_owned()];
    assert_lines(
        &director.at(100, Input::Reload(Err(problems))),
        &["log reload refused: lvs.cf:1:1: error: one | lvs.cf:2:1: error: two"],
    );
    let status = director.status();
    assert_eq!((status.reload.state, status.reload.since_ms), (false, 100));
    assert_eq!(status.reload.reason, "lvs.cf:1:1: error: one\nlvs.cf:2:1: error: two");
    director.reload(200, &web("", &SERVERS));
    assert!(director.status().reload.state);
}

#[test]
fn a_removed_server_loses_its_row_and_its_monitor_only() {
    let mut director = serving(&web("", &SERVERS));
    assert_lines(
        &director.reload(100, &web("", &["10.2.0.12"])),
        &["terminate 1", "log reloaded 1/1, monitors 1", "-d -t 10.1.0.100:80 -r 10.2.0.11:80"],
    );
    assert_lines(&director.ended(110, 1, 0), &[]);
}

#[test]
fn a_new_server_waits_for_its_first_check() {
    let mut director = serving(&web("", &SERVERS));
    assert_lines(
        &director.reload(100, &web("", &["10.2.0.11", "10.2.0.12", "10.2.0.13"])),
        &["log reloaded 1/3, monitors 1", "spawn 3 10.2.0.13"],
    );
    assert_lines(
        &director.report(110, 3, None),
        &["log web 10.2.0.13:80 up: ok", "-a -t 10.1.0.100:80 -r 10.2.0.13:80 -m -w 1"],
    );
}

#[test]
fn a_new_weight_is_one_edit_and_no_new_monitor() {
    let mut director = serving(&web("", &SERVERS));
    assert_lines(
        &director.reload(100, &web("", &["10.2.0.11 weight = 5", "10.2.0.12"])),
        &["log reloaded 1/2, monitors 0", "-e -t 10.1.0.100:80 -r 10.2.0.11:80 -m -w 5"],
    );
}

#[test]
fn a_monitor_that_computes_weights_is_told_the_new_one() {
    let mut director = serving(&web("load_monitor = rup", &SERVERS));
    director.weight(30, 1, 8);
    assert_lines(
        &director.reload(100, &web("load_monitor = rup", &["10.2.0.11 weight = 5", "10.2.0.12"])),
        &[
            "terminate 1",
            "log reloaded 1/2, monitors 1",
            "-e -t 10.1.0.100:80 -r 10.2.0.11:80 -m -w 5",
            "spawn 3 10.2.0.11",
        ],
    );
}

#[test]
fn a_changed_check_restarts_its_monitors_and_keeps_health() {
    let mut director = serving(&web("", &SERVERS));
    assert_lines(
        &director.reload(100, &web("timeout = 3", &SERVERS)),
        &[
            "terminate 1",
            "terminate 2",
            "log reloaded 1/2, monitors 2",
            "spawn 3 10.2.0.11",
            "spawn 4 10.2.0.12",
        ],
    );
    assert_lines(&director.report(110, 3, None), &[]);
    // The old one is not heard any more.
    assert_lines(&director.report(120, 1, Some("late")), &[]);
}

#[test]
fn scheduler_and_persistence_are_edited_in_place() {
    let mut director = serving(&web("", &SERVERS));
    assert_lines(
        &director.reload(100, &web("scheduler = wlc", &SERVERS)),
        &["log reloaded 1/2, monitors 0", "-E -t 10.1.0.100:80 -s wlc"],
    );
    assert_lines(
        &director.reload(200, &web("persistent = 300; pmask = 255.255.255.0", &SERVERS))[1..],
        &["-E -t 10.1.0.100:80 -s rr -p 300 -M 255.255.255.0"],
    );
}

#[test]
fn a_virtual_server_that_moves_serves_at_the_new_place_before_it_leaves_the_old() {
    let mut director = serving(&web("", &SERVERS));
    director.report(30, 2, Some("x"));
    let moved = config(&virtual_server("web", "10.1.0.200", "", &SERVERS));
    let lines = director.reload(100, &moved);
    assert_lines(
        &kernel_lines(&lines),
        &["-A -t 10.1.0.200:80 -s rr", "-a -t 10.1.0.200:80 -r 10.2.0.11:80 -m -w 1", "-D -t 10.1.0.100:80"],
    );
    let marked = config(&virtual_server("web", "10.1.0.200", "fwmark = 9", &SERVERS));
    let lines = director.reload(200, &marked);
    assert_lines(
        &kernel_lines(&lines),
        &["-A -f 9 -s rr", "-a -f 9 -r 10.2.0.11:80 -m -w 1", "-D -t 10.1.0.200:80"],
    );
}

#[test]
fn a_removed_virtual_server_is_withdrawn_and_then_no_longer_ours() {
    let both = virtual_server("a", "10.1.0.100", "", &["10.2.0.11"])
        + &virtual_server("b", "10.1.0.101", "", &["10.2.0.12"]);
    let mut director = serving(&config(&both));
    let removed = director.fake.table();
    assert_lines(
        &director.reload(100, &config(&virtual_server("a", "10.1.0.100", "", &["10.2.0.11"]))),
        &["terminate 2", "log reloaded 1/1, monitors 1", "-D -t 10.1.0.101:80"],
    );
    director.ended(110, 2, 0);
    director.until(1500);
    // Somebody else adds it again: not our business now.
    director.fake.set_table(removed);
    assert_lines(&without_reads(director.until(5000)), &[]);
}

#[test]
fn another_forwarding_method_edits_the_rows() {
    let mut director = serving(&web("", &SERVERS));
    let direct = config(&format!("network = direct\n{}", virtual_server("web", "10.1.0.100", "", &SERVERS)));
    let lines = director.reload(100, &direct);
    assert_lines(
        &kernel_lines(&lines),
        &["-e -t 10.1.0.100:80 -r 10.2.0.11:80 -g -w 1", "-e -t 10.1.0.100:80 -r 10.2.0.12:80 -g -w 1"],
    );
}

#[test]
fn a_server_checked_on_another_port_keeps_its_row_under_direct_routing() {
    let direct = |port: u16| {
        config(&format!(
            "network = direct\n{}",
            virtual_server("web", "10.1.0.100", "", &[&format!("10.2.0.11 port = {port}")])
        ))
    };
    let mut director = Director::new(&direct(80));
    director.tick(0);
    director.report(10, 1, None);
    assert_lines(
        &director.reload(100, &direct(8080)),
        &["terminate 1", "log reloaded 1/1, monitors 2", "spawn 2 10.2.0.11"],
    );
    assert_lines(
        &director.report(110, 2, Some("x")),
        &["log web 10.2.0.11:8080 down: x", "-d -t 10.1.0.100:80 -r 10.2.0.11:80"],
    );
}

#[test]
fn a_reload_while_stopping_is_ignored() {
    let mut director = serving(&web("", &SERVERS));
    director.at(100, Input::Shutdown);
    assert_lines(&director.reload(110, &web("", &SERVERS)), &[]);
}

#[test]
fn one_changed_weight_among_ten_thousand_servers_is_one_request_and_no_monitor() {
    let file = |weight: u32| {
        let servers: Vec<String> = (0..100).map(|n| format!("10.2.{n}.1 weight = 1")).collect();
        let block = |n: u32| {
            let last = format!("10.3.0.1 weight = {}", if n == 99 { weight } else { 1 });
            let servers: Vec<&str> =
                servers.iter().take(99).map(String::as_str).chain([last.as_str()]).collect();
            virtual_server(&format!("v{n}"), &format!("10.1.0.{n}"), "start = up", &servers)
        };
        config(&(0..100).map(block).collect::<String>())
    };
    let mut director = Director::new(&file(1));
    director.until(500);
    assert_eq!(director.table().len(), 100 + 10_000);
    // All hundred virtual servers have the same hundred servers, so a hundred checks do.
    assert_eq!(director.running.len(), 100);
    assert_lines(
        &director.reload(600, &file(2)),
        &["log reloaded 100/10000, monitors 0", "-e -t 10.1.0.99:80 -r 10.3.0.1:80 -m -w 2"],
    );
}
