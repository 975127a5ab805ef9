//! Real servers that the file does not name any more and that are drained: found after a restart, and at an operator's
//! word.

use lvs_config::Config;
use lvs_ipc::control::Command;

use crate::world::{Director, assert_lines, carry, config, serving, virtual_server, without_reads};

const SERVERS: [&str; 2] = ["10.2.0.11", "10.2.0.12"];
/// The rows of the two servers.
const ROWS: [&str; 2] = ["-t 10.1.0.100:80 -r 10.2.0.11:80", "-t 10.1.0.100:80 -r 10.2.0.12:80"];

fn web(directives: &str, servers: &[&str]) -> Config {
    config(&virtual_server("web", "10.1.0.100", directives, servers))
}

fn drain(target: &str, deadline_ms: Option<u64>) -> Command {
    Command::Drain { target: target.into(), deadline_ms, reason: None }
}

fn undrain(target: &str) -> Command {
    Command::Undrain { target: target.into() }
}

fn disable(target: &str) -> Command {
    Command::Disable { target: target.into(), reason: Some("now".into()) }
}

/// A director from whose file the first server was taken while it had a connection.
fn leaving() -> Director {
    let mut director = serving(&web("drain = 1m", &SERVERS));
    carry(&director, 11, 1, 0);
    director.until(1000);
    director.reload(1500, &web("drain = 1m", &SERVERS[1..]));
    director.ended(1510, 1, 0);
    director.until(3000);
    director
}

#[test]
fn a_server_taken_out_of_the_file_while_nobody_looked_is_drained_as_well() {
    let file = |servers: &[&str]| web("drain = 1m; sorry_server = 10.2.0.99", servers);
    let mut director = serving(&file(&SERVERS));
    carry(&director, 11, 1, 0);
    director.until(2000);
    let mut next = director.successor(&file(&SERVERS[1..]));
    let lines = next.tick(2000);
    assert!(lines.contains(&"log web/10.2.0.11:80 leaves within 60 s".to_owned()), "{lines:#?}");
    assert_lines(
        &next.table()[1..],
        &[&format!("-a {} -m -w 0", ROWS[0]), &format!("-a {} -m -w 1", ROWS[1])],
    );
    next.report(2010, 1, None);
    next.until(4000);
    // Another death makes the time no longer.
    let mut third = next.successor(&file(&SERVERS[1..]));
    let lines = third.tick(4000);
    assert!(!lines.iter().any(|line| line.contains("leaves")), "{lines:#?}");
    third.report(4010, 1, None);
    assert_lines(
        &without_reads(third.until(63_000)),
        &[
            "62000 log web/10.2.0.11:80 drained: its time is over, 1 connection left",
            &format!("62000 -d {}", ROWS[0]),
        ],
    );
}

#[test]
fn only_rows_of_recorded_services_with_something_left_are_drained_after_a_restart() {
    let mut director = serving(&web("drain = 1m", &SERVERS));
    director.until(2000);
    // It has weight 0 and no connection.
    director.ask(2100, Command::Weight { target: "web/s10.2.0.11".into(), weight: 0, reason: None });
    director.until(4000);
    let mut next = director.successor(&web("drain = 1m", &SERVERS[1..]));
    let lines = next.tick(4000);
    assert!(lines.contains(&format!("-d {}", ROWS[0])), "{lines:#?}");
    assert!(next.status().virtual_servers[0].leaving.is_empty());
    // Somebody else's service that the file names by now.
    carry(&director, 12, 1, 0);
    let mut stranger = Director::over(director.fake.clone(), &web("drain = 1m", &["10.2.0.13"]));
    stranger.tick(4000);
    stranger.report(4010, 1, None);
    assert!(!stranger.table().iter().any(|row| row.contains("10.2.0.12")), "{:#?}", stranger.table());
}

#[test]
fn what_cannot_be_done_with_a_server_that_is_leaving_says_what_can() {
    let mut director = leaving();
    let leaves = "reply refused: web/s10.2.0.11 is leaving because the file no longer names it; put it back there and reload, \
                  or end it with \"disable\"";
    let target = || "web/s10.2.0.11".to_owned();
    for command in [
        undrain("web/s10.2.0.11"),
        undrain("web/10.2.0.11:80"),
        Command::Weight { target: target(), weight: 3, reason: None },
        Command::Enable { target: target(), force: true, reason: None },
        Command::Reset { target: Some(target()) },
    ] {
        assert_lines(&director.ask(3100, command), &[leaves]);
    }
    assert_lines(
        &director.ask(3500, drain("web/s10.2.0.11", None)),
        &[
            "reply refused: web/s10.2.0.11 is drained already because the file no longer names it, for 58s at most; \
           1 connection when last counted; \"drain --deadline\" gives it another time, \"disable\" ends it",
        ],
    );
    let refused = "reply refused: a drain takes at least 1s and at most 24h";
    assert_lines(&director.ask(3600, drain("web/s10.2.0.11", Some(10))), &[refused]);
    let unknown = "reply refused: web has no active real server s10.2.0.13; did you mean web/s10.2.0.12?";
    assert_lines(&director.ask(3700, undrain("web/s10.2.0.13")), &[unknown]);
}

#[test]
fn a_server_that_is_leaving_goes_when_an_operator_says_so() {
    let mut director = leaving();
    assert_lines(
        &director.ask(3500, drain("web/s10.2.0.11", Some(5000))),
        &[
            "log web/s10.2.0.11 drain for 5s at most by root \"\"",
            "reply done: web/s10.2.0.11: draining for 5s at most; 1 connection when last counted",
        ],
    );
    assert_lines(
        &without_reads(director.until(10_000)),
        &[
            &format!("8500 -d {}", ROWS[0]),
            "8500 log web/s10.2.0.11 drained: its time is over, 1 connection left",
        ],
    );
    let mut director = leaving();
    assert_lines(
        &director.ask(3500, disable("web/10.2.0.11")),
        &[
            &format!("-d {}", ROWS[0]),
            "log web/s10.2.0.11 disable by root \"now\"",
            "reply done: web/s10.2.0.11: out of the table; the file no longer names it; 1 connection cut off, as last counted",
        ],
    );
    director.until(6000);
    assert!(director.saved.leaving.is_empty() && director.saved.servers.is_empty());
}

/// Two virtual servers of one name; each server with its protocol.
fn dns(servers: &[&str]) -> Config {
    let block = |more: &str| virtual_server("dns", "10.1.0.100", &format!("drain = 1m; {more}"), servers);
    config(&(block("protocol = tcp") + &block("protocol = udp")))
}

/// A director of [`dns`] with connections to the first server, which has left both.
fn both_leaving(next: &Config) -> Director {
    let mut director = Director::new(&dns(&SERVERS));
    director.tick(0);
    (1..5).for_each(|token| drop(director.report(token, token, None)));
    carry(&director, 11, 1, 0);
    director.until(1000);
    director.reload(1500, next);
    director.until(3000);
    director
}

#[test]
fn of_two_servers_that_are_leaving_and_fit_none_is_ended() {
    let mut director = both_leaving(&dns(&SERVERS[1..]));
    let (table, saved) = (director.table(), director.saved.clone());
    assert_eq!(saved.leaving.len(), 2);
    for command in [disable("dns/s10.2.0.11"), drain("dns/10.2.0.11:80", Some(5000))] {
        let target =
            if matches!(command, Command::Disable { .. }) { "dns/s10.2.0.11" } else { "dns/10.2.0.11:80" };
        let refused = format!(
            "reply refused: {target} fits 2 servers that are leaving: dns/s10.2.0.11 10.2.0.11:80 of TCP 10.1.0.100:80, \
             dns/s10.2.0.11 10.2.0.11:80 of UDP 10.1.0.100:80"
        );
        assert_lines(&director.ask(3100, command), &[&refused]);
    }
    director.until(6000);
    assert_eq!((director.table(), director.saved.clone()), (table, saved));
}

#[test]
fn what_fits_several_servers_of_the_file_does_not_mean_one_that_is_leaving() {
    let text = |address: &str| {
        let start = "server s10.2.0.11 {\nactive = 1\naddress = ";
        let block = |protocol: &str| {
            virtual_server("dns", "10.1.0.100", &format!("drain = 1m; protocol = {protocol}"), &SERVERS)
                .replace(&format!("{start}10.2.0.11"), &format!("{start}{address}"))
        };
        config(&(block("tcp") + &block("udp")))
    };
    let mut director = both_leaving(&text("10.2.0.21"));
    let saved = director.saved.clone();
    assert_eq!(saved.leaving.len(), 2);
    for command in [disable("dns/s10.2.0.11"), drain("dns/s10.2.0.11", Some(5000)), undrain("dns/s10.2.0.11")]
    {
        let answer = director.ask(3100, command).pop().unwrap();
        assert!(
            answer.starts_with(
                "reply refused: dns/s10.2.0.11 fits 2 of the file: dns/s10.2.0.11 10.2.0.21:80 (line "
            ),
            "{answer}"
        );
    }
    director.until(6000);
    assert_eq!(director.saved, saved);
}

#[test]
fn the_address_of_a_server_that_is_leaving_is_known_however_it_is_written() {
    let file = |servers: &[&str]| {
        let servers: Vec<String> = servers.iter().map(|server| format!("{server} port = 80")).collect();
        let servers: Vec<&str> = servers.iter().map(String::as_str).collect();
        let block = virtual_server("web", "2001:db8:1::100", "drain = 1m; protocol = tcp", &servers);
        config(&block.replace("server s2001:db8:2::", "server s"))
    };
    let mut director = serving(&file(&["2001:db8:2::11", "2001:db8:2::12"]));
    director.reload(1500, &file(&["2001:db8:2::12"]));
    let left = |director: &Director| director.status().virtual_servers[0].leaving.len();
    assert_eq!(left(&director), 1);
    let done = director.ask(1600, disable("web/[2001:DB8:2:0::11]:80"));
    assert_eq!(done.last().unwrap(), "reply done: web/s11: out of the table; the file no longer names it");
    assert_eq!(left(&director), 0);
}
