//! `lvs ctl check-now`: which monitors are told, and what is answered.

use lvs_ipc::control::Command;

use crate::world::{Director, assert_lines, config, virtual_server};

const SERVERS: [&str; 2] = ["10.2.0.11", "10.2.0.12"];

fn check_now(target: &str) -> Command {
    Command::CheckNow { target: target.into() }
}

/// Two virtual servers with the same check of .11, and one of them with .12, all started and none heard of.
fn two() -> Director {
    let web = virtual_server("web", "10.1.0.100", "", &SERVERS);
    let shop = virtual_server("shop", "10.1.0.101", "", &SERVERS[..1]);
    let mut director = Director::new(&config(&format!("{web}{shop}")));
    director.tick(0);
    director
}

#[test]
fn monitors_that_have_spoken_are_told_once_each() {
    let mut director = two();
    director.report(10, 1, None);
    director.report(10, 2, Some("gone"));
    assert_lines(
        &director.ask(100, check_now("web/s10.2.0.11")),
        &[
            "check now 1",
            "log web/s10.2.0.11 check asked for by root",
            "reply done: web/s10.2.0.11: checked now, for 1 server with the same check too",
        ],
    );
    assert_lines(
        &director.ask(200, check_now("web/10.2.0.12:80")),
        &[
            "check now 2",
            "log web/10.2.0.12:80 check asked for by root",
            "reply done: web/s10.2.0.12: checked now",
        ],
    );
    let all = director.ask(300, check_now("web"));
    assert_eq!(all.iter().filter(|line| line.starts_with("check now")).count(), 2, "{all:?}");
    assert!(all.iter().any(|line| line.contains("web/s10.2.0.11: checked now, for 1 server")), "{all:?}");
}

#[test]
fn one_that_cannot_be_told_says_why() {
    let mut director = two();
    assert_lines(
        &director.ask(5, check_now("shop")),
        &["reply refused: shop/s10.2.0.11: not now: its first check is under way"],
    );
    director.report(10, 1, None);
    director.ended(20, 1, 1);
    let refused = director.ask(30, check_now("shop/s10.2.0.11")).join("\n");
    assert!(refused.contains("not now: its monitor is started again soon: "), "{refused}");
    director.until(5000);
    assert_lines(
        &director.ask(5000, check_now("shop/s10.2.0.11")),
        &["reply refused: shop/s10.2.0.11: not now: its first check is under way"],
    );
}

#[test]
fn what_is_not_there_or_not_ours_is_refused() {
    let own = virtual_server("own", "10.1.0.102", "client_monitor = /bin/other", &SERVERS);
    let empty = virtual_server("empty", "10.1.0.103", "", &[]);
    let mut director = Director::new(&config(&format!("{own}{empty}")));
    director.tick(0);
    for (target, why) in [
        ("own", "the client_monitor of own checks in its own time"),
        ("empty", "empty has no active real server"),
        ("emty", "there is no active virtual server emty; did you mean empty?"),
    ] {
        assert_lines(&director.ask(10, check_now(target)), &[&format!("reply refused: {why}")]);
    }
}
