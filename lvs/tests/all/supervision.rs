//! Monitors that die, hang, cannot be started, or say that starting them is no use.

use daemonkit::children::Exit;
use lvs::action::Input;
use lvs_ipc::status::{Child, Health};

use crate::world::{Director, assert_lines, config, two_servers, virtual_server, without_reads};

fn one_server() -> Director {
    let mut director = Director::new(&config(&virtual_server("web", "10.1.0.100", "", &["10.2.0.11"])));
    director.tick(0);
    director.report(10, 1, None);
    director
}

#[test]
fn a_dead_monitor_is_restarted_with_back_off_and_its_server_stays() {
    let mut director = one_server();
    assert_lines(
        &director.at(100, Input::MonitorEnded(1, Exit::Signal(9))),
        &["log monitor of 10.2.0.11:80 killed by SIGKILL, restart in 1 s"],
    );
    assert_lines(&without_reads(director.until(1100)), &["1100 spawn 2 10.2.0.11"]);
    assert_lines(
        &director.ended(1150, 2, 1),
        &["log monitor of 10.2.0.11:80 exited with status 1, restart in 2 s"],
    );
    let status = director.status();
    let server = &status.virtual_servers[0].real_servers[0];
    assert_eq!(
        (server.weight, server.health.state, server.monitor.state),
        (Some(1), Health::Up, Child::Waiting)
    );
    assert_lines(&without_reads(director.until(3150)), &["3150 spawn 3 10.2.0.11"]);
    // What an earlier one still had to say is not heard.
    assert_lines(&director.report(3160, 2, Some("late")), &[]);
    // A healthy minute, and the next failure is a first one.
    assert_lines(
        &without_reads(director.ended(63_150, 3, 1)),
        &["log monitor of 10.2.0.11:80 exited with status 1, restart in 1 s"],
    );
    assert_lines(&without_reads(director.until(64_150)), &["64150 spawn 4 10.2.0.11"]);
}

#[test]
fn a_monitor_that_starts_again_goes_on_from_what_is_known() {
    let mut director = Director::new(&two_servers());
    director.tick(0);
    let told = |director: &Director, token: u64| {
        let line = director.running[&token].split(" --was ").nth(1);
        line.map(|rest| rest.split(' ').next().unwrap().to_owned())
    };
    assert_eq!((told(&director, 1), told(&director, 2)), (None, None), "nothing is known yet");
    director.report(10, 1, Some("refused"));
    director.report(10, 2, None);
    director.ended(100, 1, 1);
    director.ended(100, 2, 1);
    director.until(1100);
    assert_eq!((told(&director, 3), told(&director, 4)), (Some("down".into()), Some("up".into())));
    // A reload that changes the check, and another director that finds what this one left.
    let other = config(&virtual_server("web", "10.1.0.100", "fall = 3", &["10.2.0.11", "10.2.0.12"]));
    director.reload(2000, &other);
    director.until(2000);
    assert_eq!((told(&director, 5), told(&director, 6)), (Some("down".into()), Some("up".into())));
    let mut next = director.successor(&other);
    next.tick(3000);
    assert_eq!((told(&next, 1), told(&next, 2)), (Some("down".into()), Some("up".into())));
}

#[test]
fn restarts_are_never_more_than_a_minute_apart() {
    let mut director = one_server();
    let mut now = 100;
    for token in 1..=10 {
        director.ended(now, token, 1);
        let lines = without_reads(director.until(now + 60_000));
        let spawned = lines[0].split(' ').next().unwrap().parse::<u64>().unwrap();
        let expected = (1000u64 << (token - 1)).min(60_000);
        assert_eq!(spawned - now, expected, "restart {token}");
        now = spawned + 10;
    }
}

#[test]
fn a_monitor_that_says_it_is_no_use_is_given_up_until_the_next_reload() {
    for status in [125, 2] {
        let mut director = one_server();
        assert_lines(
            &director.ended(100, 1, status),
            &[&format!("log monitor of 10.2.0.11:80 given up: exited with status {status}")],
        );
        assert_lines(&without_reads(director.until(600_000)), &[]);
        let server = director.status().virtual_servers[0].real_servers[0].clone();
        assert_eq!((server.weight, server.monitor.state), (Some(1), Child::Stopped));
        let same = config(&virtual_server("web", "10.1.0.100", "", &["10.2.0.11"]));
        assert_lines(
            &without_reads(director.reload(600_100, &same)),
            &["log reloaded 1/1, monitors 1", "spawn 2 10.2.0.11"],
        );
    }
}

#[test]
fn a_monitor_that_cannot_be_started_is_tried_again() {
    let mut director = Director::new(&two_servers());
    director.tick(0);
    assert_lines(
        &director.at(1, Input::SpawnFailed(1, "/usr/sbin/nanny: not found".into())),
        &["log monitor of 10.2.0.11:80 not started: /usr/sbin/nanny: not found, retry in 1 s"],
    );
    assert_lines(&without_reads(director.until(1001)), &["1001 spawn 3 10.2.0.11"]);
}

#[test]
fn a_monitor_of_ours_that_lives_on_without_output_is_replaced() {
    let mut director = one_server();
    assert_lines(&director.at(100, Input::OutputEnded(1)), &[]);
    assert_lines(
        &without_reads(director.until(3200)),
        &["2100 log monitor of 10.2.0.11:80 mute", "2100 terminate 1", "3100 spawn 2 10.2.0.11"],
    );
    assert_lines(&without_reads(director.until(4200)), &["4100 kill 1"]);
    assert_lines(&director.at(4300, Input::MonitorEnded(1, Exit::Signal(9))), &[]);
}

#[test]
fn the_end_of_the_output_before_the_exit_is_no_second_failure() {
    let mut director = one_server();
    director.at(100, Input::OutputEnded(1));
    assert_eq!(director.ended(101, 1, 125), ["log monitor of 10.2.0.11:80 given up: exited with status 125"]);
    assert_lines(&without_reads(director.until(10_000)), &[]);
}

#[test]
fn a_foreign_monitor_may_close_its_output() {
    let body = virtual_server("web", "10.1.0.100", "client_monitor = /opt/mon", &["10.2.0.11"]);
    let mut director = Director::new(&config(&body));
    director.tick(0);
    director.at(100, Input::OutputEnded(1));
    assert_lines(&without_reads(director.until(10_000)), &[]);
}

#[test]
fn many_monitors_are_started_in_bursts() {
    let servers: Vec<String> = (1..=40).map(|n| format!("10.2.0.{n}")).collect();
    let servers: Vec<&str> = servers.iter().map(String::as_str).collect();
    let mut director = Director::new(&config(&virtual_server("web", "10.1.0.100", "", &servers)));
    let spawned = |lines: &[String]| lines.iter().filter(|line| line.contains("spawn")).count();
    assert_eq!(spawned(&director.tick(0)), 16);
    assert_eq!(spawned(&director.tick(9)), 0);
    assert_eq!(spawned(&director.tick(10)), 16);
    assert_eq!(spawned(&director.until(20)), 8);
}

#[test]
fn monitors_that_died_together_are_restarted_in_bursts_between_which_others_are_heard() {
    let servers: Vec<String> = (1..=40).map(|n| format!("10.2.0.{n}")).collect();
    let servers: Vec<&str> = servers.iter().map(String::as_str).collect();
    let mut director = Director::new(&config(&virtual_server("web", "10.1.0.100", "", &servers)));
    director.until(20);
    for token in 1..=40 {
        director.ended(100, token, 1);
    }
    let spawned = |lines: &[String]| lines.iter().filter(|line| line.contains("spawn")).count();
    assert_eq!(spawned(&director.tick(1100)), 16);
    assert_lines(&director.report(1100, 41, None)[..1], &[&format!("log web {}:80 up: ok", "10.2.0.1")]);
    assert_eq!(spawned(&director.until(1100)), 24 - 16);
}

#[test]
fn what_several_monitors_say_about_themselves_is_told_once() {
    let mut director = Director::new(&two_servers());
    director.tick(0);
    let mut say = |millis: u64, token: u64, reason: &str| {
        director.at(millis, Input::Line(token, format!("[ notice ] rs=x reason=\"{reason}\"")))
    };
    assert_lines(&say(10, 1, "no Landlock"), &["log notice of 10.2.0.11:80: no Landlock"]);
    assert_lines(&say(11, 2, "no Landlock"), &[]);
    assert_lines(&say(12, 2, "no seccomp"), &["log notice of 10.2.0.12:80: no seccomp"]);
    let lines: Vec<String> = (0..100_u64).flat_map(|n| say(20 + n, 1, &n.to_string())).collect();
    assert_eq!(lines.len(), 30, "whatever a monitor says, the log does not fill up");
}

#[test]
fn a_line_that_is_no_report_changes_nothing() {
    let mut director = one_server();
    assert_lines(&director.at(20, Input::Line(1, "hello".into())), &["log not a report: \"hello\""]);
}
