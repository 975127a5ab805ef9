//! What operators ask for while the director runs, and what survives its death.

use ipvsadm::Errno;
use lvs::action::Input;
use lvs_config::Config;
use lvs_config::sysctl::SysctlName;
use lvs_ipc::control::Command;
use lvs_ipc::status::{Left, Override};

use crate::world::{Director, assert_lines, carry, config, serving, virtual_server, without_reads};

const SERVERS: [&str; 2] = ["10.2.0.11", "10.2.0.12"];
/// The rows of the two servers.
const ROWS: [&str; 2] = ["-t 10.1.0.100:80 -r 10.2.0.11:80", "-t 10.1.0.100:80 -r 10.2.0.12:80"];

fn web(directives: &str, servers: &[&str]) -> Config {
    config(&virtual_server("web", "10.1.0.100", directives, servers))
}

fn drain(target: &str, deadline_ms: Option<u64>) -> Command {
    Command::Drain { target: target.into(), deadline_ms, reason: Some("disk".into()) }
}

fn undrain(target: &str) -> Command {
    Command::Undrain { target: target.into() }
}

fn disable(target: &str) -> Command {
    Command::Disable { target: target.into(), reason: None }
}

fn enable(target: &str, force: bool) -> Command {
    Command::Enable { target: target.into(), force, reason: None }
}

fn weight(target: &str, weight: u32) -> Command {
    Command::Weight { target: target.into(), weight, reason: None }
}

fn sorry(on: bool) -> Command {
    Command::Sorry { target: "web".into(), on, reason: None }
}

fn reset(target: Option<&str>) -> Command {
    Command::Reset { target: target.map(Into::into) }
}

#[test]
fn a_drained_server_keeps_its_connections_and_goes_when_none_is_left() {
    let mut director = serving(&web("", &SERVERS));
    carry(&director, 11, 2, 0);
    director.until(1000);
    assert_lines(
        &director.ask(1500, drain("web/s10.2.0.11", None)),
        &[
            &format!("-e {} -m -w 0", ROWS[0]),
            "log web/s10.2.0.11 drain without a time limit by root \"disk\"",
            "reply done: web/s10.2.0.11: draining without a time limit; 2 connections when last counted",
        ],
    );
    carry(&director, 11, 0, 1);
    assert_lines(&without_reads(director.until(60_000)), &[]);
    let told = director.status().virtual_servers[0].real_servers[0].overrides.clone();
    let left = Some(Left { active: 0, inactive: 0, persistent: 1 });
    assert_eq!(told[0].what, Override::Drain { deadline_ms: None, left, ended: None });
    assert_eq!(
        (told[0].by.as_str(), told[0].at_ms, told[0].reason.as_deref()),
        ("root", 1_001_500, Some("disk"))
    );
    // It goes on being checked.
    assert_lines(&director.report(60_000, 1, Some("x"))[1..], &[&format!("-d {}", ROWS[0])]);
    director.report(60_001, 1, None);
    carry(&director, 11, 0, 0);
    assert_lines(
        &without_reads(director.until(62_100)),
        &[
            &format!("61000 -d {}", ROWS[0]),
            "61000 log web/s10.2.0.11 drained: no connection is left, 0 connections left",
        ],
    );
    // Over, and still out; undone, back.
    assert_lines(&without_reads(director.report(63_000, 1, None)), &[]);
    let ended = director.status().virtual_servers[0].real_servers[0].overrides[0].what.clone();
    let how = Some("no connection is left".to_owned());
    assert_eq!(ended, Override::Drain { deadline_ms: None, left: None, ended: how });
    assert_lines(
        &director.ask(63_100, undrain("web/s10.2.0.11")),
        &[
            &format!("-a {} -m -w 1", ROWS[0]),
            "log web/s10.2.0.11 drain ended by root",
            "reply done: web/s10.2.0.11: drain ended",
        ],
    );
}

#[test]
fn a_drain_ends_at_its_deadline_whatever_is_left() {
    let mut director = serving(&web("", &SERVERS));
    carry(&director, 11, 3, 0);
    let asked = director.ask(500, drain("web/10.2.0.11:80", Some(5000)));
    assert_eq!(
        asked.last().unwrap(),
        "reply done: web/s10.2.0.11: draining for 5s at most; 0 connections when last counted"
    );
    assert_lines(
        &without_reads(director.until(10_000)),
        &[
            &format!("5500 -d {}", ROWS[0]),
            "5500 log web/s10.2.0.11 drained: its time is over, 3 connections left",
        ],
    );
}

#[test]
fn the_time_of_the_file_is_the_default_and_odd_times_are_refused() {
    let mut director = serving(&web("drain = 2m", &SERVERS));
    let refused = "reply refused: a drain takes at least 1s and at most 24h";
    assert_lines(&director.ask(100, drain("web/s10.2.0.11", Some(10))), &[refused]);
    assert_lines(&director.ask(100, drain("web/s10.2.0.11", Some(86_400_001))), &[refused]);
    let asked = director.ask(100, drain("web/s10.2.0.11", None));
    assert_eq!(
        asked.last().unwrap(),
        "reply done: web/s10.2.0.11: draining for 2m at most; 0 connections when last counted"
    );
}

#[test]
fn draining_the_last_server_calls_the_sorry_server_and_says_so() {
    let mut director = serving(&web("sorry_server = 10.2.0.99; persistent = 300", &SERVERS));
    carry(&director, 11, 1, 1);
    carry(&director, 12, 1, 1);
    director.until(1000);
    director.ask(1100, drain("web/s10.2.0.11", None));
    assert_lines(
        &director.ask(1200, drain("web/s10.2.0.12", None)),
        &[
            "-a -t 10.1.0.100:80 -r 10.2.0.99:80 -m -w 1",
            &format!("-e {} -m -w 0", ROWS[1]),
            "log web/s10.2.0.12 drain without a time limit by root \"disk\"",
            "reply done: web/s10.2.0.12: draining without a time limit; 1 connection and 1 remembered client when last counted | \
             its clients are sent there again until they have been away for 5m (persistent) | \
             web: no other real server takes connections: its sorry server serves",
        ],
    );
}

/// A director with a persistent service in a kernel where `expire_quiescent_template` is this.
fn persistent(globals: &str, expires: i64) -> Director {
    let block = virtual_server("web", "10.1.0.100", "persistent = 300", &SERVERS);
    let mut director = Director::new(&config(&format!("{globals}\n{block}")));
    let name = SysctlName::parse("net.ipv4.vs.expire_quiescent_template").unwrap();
    director.settings.insert(name, expires);
    director.tick(0);
    director.report(10, 1, None);
    director.report(20, 2, None);
    carry(&director, 11, 1, 3);
    director.until(1000);
    director
}

#[test]
fn a_drain_does_not_wait_for_clients_that_the_kernel_sends_elsewhere() {
    // By default it is set to 1 where it is 0.
    let mut director = persistent("", 0);
    assert_lines(
        &director.ask(1100, drain("web/s10.2.0.11", None))[2..],
        &["reply done: web/s10.2.0.11: draining without a time limit; 1 connection when last counted | \
             its clients are sent to other real servers from now on (net.ipv4.vs.expire_quiescent_template = 1)"],
    );
    let left = Some(Left { active: 1, inactive: 0, persistent: 0 });
    let told =
        |director: &Director| director.status().virtual_servers[0].real_servers[0].overrides[0].clone();
    director.until(3000);
    assert_eq!(told(&director).what, Override::Drain { deadline_ms: None, left, ended: None });
    carry(&director, 11, 0, 3);
    let lines = without_reads(director.until(5000));
    assert_eq!(lines[0], format!("4000 -d {}", ROWS[0]));
}

#[test]
fn a_drain_waits_for_remembered_clients_as_long_as_the_kernel_sends_them_back() {
    let mut director = persistent("sysctl = leave", 0);
    let words = "its clients are sent there again until they have been away for 5m (persistent)";
    let asked = director.ask(1100, drain("web/s10.2.0.11", None));
    assert!(asked.last().unwrap().contains(words), "{asked:#?}");
    carry(&director, 11, 0, 3);
    assert_lines(&without_reads(director.until(60_000)), &[]);
    // Somebody tells the kernel otherwise.
    director.settings.values_mut().for_each(|value| *value = 1);
    let lines = without_reads(director.until(63_000));
    assert!(lines[0].ends_with(&format!("-d {}", ROWS[0])), "{lines:#?}");
}

#[test]
fn disable_enable_and_weight_take_the_place_of_the_file_until_reset() {
    let mut director = serving(&web("", &SERVERS));
    let asked = director.ask(100, weight("web/s10.2.0.12", 7));
    assert_eq!(asked[0], format!("-e {} -m -w 7", ROWS[1]));
    assert_eq!(director.ask(200, disable("web/s10.2.0.11"))[0], format!("-d {}", ROWS[0]));
    // A load monitor's weight and a new file change nothing.
    assert_lines(&director.weight(300, 2, 40)[1..], &[]);
    assert_lines(
        &director.reload(400, &web("", &["10.2.0.11 weight = 3", "10.2.0.12 weight = 3"])),
        &["log reloaded 1/2, monitors 0"],
    );
    assert_lines(&director.ask(500, Command::List), &["reply 2 overrides"]);
    assert_eq!(director.ask(600, enable("web/s10.2.0.11", false))[0], format!("-a {} -m -w 3", ROWS[0]));
    assert_lines(
        &director.ask(700, reset(Some("web"))),
        &[
            &format!("-e {} -m -w 3", ROWS[1]),
            "log web/s10.2.0.12 weight ended by root",
            "reply done: web/s10.2.0.12: weight ended",
        ],
    );
    assert_lines(&director.ask(800, reset(None)), &["reply done: there was no override"]);
}

#[test]
fn a_forced_server_serves_whatever_its_check_says() {
    let mut director = serving(&web("", &SERVERS));
    director.report(100, 1, Some("broken check"));
    assert_eq!(director.ask(200, enable("web/s10.2.0.11", true))[0], format!("-a {} -m -w 1", ROWS[0]));
    assert_lines(&director.report(300, 1, Some("broken check")), &[]);
    assert_eq!(director.ask(400, enable("web/s10.2.0.11", false))[0], format!("-d {}", ROWS[0]));
}

#[test]
fn the_sorry_server_alone_takes_new_connections_while_asked_to() {
    let mut director = serving(&web("sorry_server = 10.2.0.99", &SERVERS));
    assert_lines(
        &director.ask(100, sorry(true))[..3],
        &[
            "-a -t 10.1.0.100:80 -r 10.2.0.99:80 -m -w 1",
            &format!("-e {} -m -w 0", ROWS[0]),
            &format!("-e {} -m -w 0", ROWS[1]),
        ],
    );
    assert!(director.status().virtual_servers[0].sorry);
    assert_eq!(director.status().virtual_servers[0].overrides[0].what, Override::Sorry);
    assert_lines(
        &director.ask(200, sorry(false))[..3],
        &[
            &format!("-e {} -m -w 1", ROWS[0]),
            &format!("-e {} -m -w 1", ROWS[1]),
            "-d -t 10.1.0.100:80 -r 10.2.0.99:80",
        ],
    );
    assert_lines(
        &director.ask(300, sorry(false)),
        &["reply refused: the sorry server of web has not been switched on"],
    );
}

#[test]
fn a_sorry_server_that_was_asked_for_and_leaves_the_file_is_told_to_be_forgotten() {
    let file = web("sorry_server = 10.2.0.99", &SERVERS);
    let mut director = serving(&file);
    director.ask(100, sorry(true));
    director.until(2000);
    assert_eq!(director.saved.sorry.len(), 1);
    let lines = director.reload(2100, &web("", &SERVERS));
    assert!(lines.contains(&"log web sorry forgotten".to_owned()), "{lines:#?}");
    director.until(4000);
    assert!(director.saved.sorry.is_empty());
    director.reload(4100, &file);
    assert!(!director.status().virtual_servers[0].sorry, "it is not in force again with the next file");
}

#[test]
fn what_cannot_be_done_is_refused_with_what_could() {
    let both = virtual_server("web", "10.1.0.100", "", &SERVERS)
        + &virtual_server("web/old", "10.1.0.101", "client_monitor = /opt/m", &["10.2.0.11"])
        + &virtual_server("inactive", "10.1.0.102", "active = 0", &["10.2.0.11"])
            .replace("active = 1\naddress = 10.1", "address = 10.1");
    let mut director = serving(&config(&both));
    for (command, answer) in [
        (undrain("wbe/s10.2.0.11"), "there is no active virtual server wbe; did you mean web?"),
        (undrain("mail/s1"), "there is no active virtual server mail; there are: web, web/old"),
        (undrain("inactive"), "there is no active virtual server inactive; there are: web, web/old"),
        (undrain("web/s10.2.0.13"), "web has no active real server s10.2.0.13; did you mean web/s10.2.0.11?"),
        (
            undrain("web"),
            "web is a virtual server; name one of its real servers, web/SERVER: s10.2.0.11, s10.2.0.12",
        ),
        (undrain("web/s10.2.0.11"), "web/s10.2.0.11 is not being drained"),
        (
            enable("web/10.2.0.11", false),
            "web/s10.2.0.11 is not disabled; \"enable --force\" has it serve whatever its check says",
        ),
        (sorry(true), "web has no sorry_server in the file"),
        (weight("web/10.2.0.11:80", 65_536), "a weight is at most 65535"),
        (
            drain("web/old/10.2.0.11", None),
            "the client_monitor of web/old keeps its rows by itself; lvs leaves them alone",
        ),
        (
            Command::Sorry { target: "web/10.2.0.12".into(), on: true, reason: None },
            "web/10.2.0.12 is a real server; name its virtual server, web",
        ),
    ] {
        assert_lines(&director.ask(100, command), &[&format!("reply refused: {answer}")]);
    }
    director.at(200, Input::Shutdown);
    let asked = director.ask(210, Command::List);
    let refused = "reply refused: lvs is ending: it withdraws its services";
    assert_eq!(asked.last().unwrap(), refused);
    for file in [Ok(Box::new(web("", &SERVERS))), Err(vec!["lvs.cf:1:1: error: one".to_owned()])] {
        let asked = director.at(220, Input::Plan(7, file));
        assert!(asked.contains(&refused.to_owned()), "{asked:#?}");
    }
}

#[test]
fn overrides_stay_where_they_were_when_another_virtual_server_has_the_same_name() {
    let block = |vip| virtual_server("web", vip, "sorry_server = 10.2.0.99", &SERVERS);
    let (old, new) = (block("10.1.0.100"), block("10.1.0.101"));
    let both = config(&(new.clone() + &old));
    let mut director = serving(&config(&old));
    director.ask(100, disable("web/10.2.0.11"));
    director.ask(110, sorry(true));
    director.until(5000);
    let overrides = |director: &Director| -> Vec<(String, bool, usize)> {
        let status = director.status().virtual_servers.into_iter();
        let of_servers = |servers: &[lvs_ipc::status::RealServerStatus]| {
            servers.iter().map(|server| server.overrides.len()).sum()
        };
        status.map(|v| (v.service.clone(), !v.overrides.is_empty(), of_servers(&v.real_servers))).collect()
    };
    let expected = [("TCP 10.1.0.101:80".to_owned(), false, 0), ("TCP 10.1.0.100:80".to_owned(), true, 1)];
    let mut next = director.successor(&both);
    next.until(10_000);
    assert_eq!(overrides(&next), expected, "after a restart");
    director.reload(5100, &both);
    assert_eq!(overrides(&director), expected, "after a reload");
    // The one that was there before does not inherit either.
    let lines = director.reload(5200, &config(&new));
    let forgotten: Vec<_> = lines.iter().filter(|line| line.ends_with("forgotten")).collect();
    assert_eq!(forgotten, ["log web/s10.2.0.11 disable forgotten", "log web sorry forgotten"]);
    assert_eq!(overrides(&director), [("TCP 10.1.0.101:80".to_owned(), false, 0)]);
}

#[test]
fn a_server_that_leaves_the_file_is_drained_when_its_virtual_server_says_so() {
    let mut director = serving(&web("drain = 1m", &SERVERS));
    carry(&director, 11, 1, 0);
    director.until(1000);
    assert_lines(
        &director.reload(1500, &web("drain = 1m", &SERVERS[1..])),
        &[
            "terminate 1",
            "log reloaded 1/1, monitors 1",
            &format!("-e {} -m -w 0", ROWS[0]),
            "log web/s10.2.0.11 leaves within 60 s",
        ],
    );
    director.ended(1510, 1, 0);
    let leaving = &director.status().virtual_servers[0].leaving;
    assert_eq!((leaving.len(), leaving[0].name.as_str(), leaving[0].deadline_ms), (1, "s10.2.0.11", 61_500));
    assert_lines(&director.ask(1600, Command::List), &["reply 1 overrides"]);
    assert_lines(&without_reads(director.until(30_000)), &[]);
    // Back in the file, it is as any other.
    let back = director.reload(30_000, &web("drain = 1m", &SERVERS));
    assert!(back.contains(&"log web/s10.2.0.11 is back".to_owned()), "{back:#?}");
    assert!(director.status().virtual_servers[0].leaving.is_empty());
    director.report(30_100, 3, None);
    assert_eq!(director.table()[1], format!("-a {} -m -w 1", ROWS[0]));
    // Gone again, and empty before its time is over.
    director.reload(31_000, &web("drain = 1m", &SERVERS[1..]));
    director.ended(31_010, 3, 0);
    carry(&director, 11, 0, 0);
    assert_lines(
        &without_reads(director.until(33_000)),
        &[
            &format!("32000 -d {}", ROWS[0]),
            "32000 log web/s10.2.0.11 drained: no connection is left, 0 connections left",
        ],
    );
}

#[test]
fn overrides_of_what_the_file_no_longer_names_are_forgotten_and_move_with_their_virtual_server() {
    let mut director = serving(&web("", &SERVERS));
    director.ask(100, disable("web/s10.2.0.11"));
    director.ask(110, weight("web/s10.2.0.12", 9));
    let moved = config(&virtual_server("web", "10.1.0.200", "", &SERVERS));
    director.reload(200, &moved);
    assert_lines(&director.table()[1..], &["-a -t 10.1.0.200:80 -r 10.2.0.12:80 -m -w 9"]);
    let without = config(&virtual_server("web", "10.1.0.200", "", &["10.2.0.11"]));
    let lines = director.reload(300, &without);
    assert!(lines.contains(&"log web/s10.2.0.12 weight forgotten".to_owned()), "{lines:#?}");
    assert_lines(&director.ask(400, Command::List), &["reply 1 overrides"]);
}

#[test]
fn overrides_and_drains_survive_a_death() {
    let file = web("drain = 1m", &["10.2.0.11", "10.2.0.12", "10.2.0.13"]);
    let mut director = serving(&file);
    director.report(30, 3, None);
    carry(&director, 11, 1, 0);
    carry(&director, 13, 1, 0);
    director.ask(100, drain("web/s10.2.0.11", Some(50_000)));
    director.ask(110, weight("web/s10.2.0.12", 9));
    let without = web("drain = 1m", &SERVERS);
    director.reload(200, &without);
    director.until(2000);
    let mut next = director.successor(&without);
    assert_lines(
        &next.tick(2000)[..4],
        &[
            "read",
            "log web/s10.2.0.11 drain by root \"disk\" of 1 s ago in force again",
            "log web/s10.2.0.12 weight 9 by root \"\" of 1 s ago in force again",
            "log adopted 1 services, 2 servers",
        ],
    );
    next.report(2010, 1, None);
    next.report(2020, 2, None);
    assert_lines(
        &next.table()[1..],
        &[
            &format!("-a {} -m -w 0", ROWS[0]),
            &format!("-a {} -m -w 9", ROWS[1]),
            "-a -t 10.1.0.100:80 -r 10.2.0.13:80 -m -w 0",
        ],
    );
    // The deadlines are those that were given.
    let lines = without_reads(next.until(70_000));
    assert_eq!(lines[0], format!("50100 -d {}", ROWS[0]));
    assert!(
        lines.iter().any(|line| line.starts_with("60200 -d -t 10.1.0.100:80 -r 10.2.0.13:80")),
        "{lines:#?}"
    );
}

#[test]
fn a_full_disk_is_told_once_and_tried_again() {
    let mut director = serving(&web("", &SERVERS));
    director.until(2000);
    director.full = Some("/s/lvs.state: No space left on device".into());
    let lines = director.ask(2000, disable("web/s10.2.0.11"));
    let told = "in force, but not saved, so a restart of lvs would not know it: /s/lvs.state: No space left on device";
    assert_lines(
        &lines[lines.len() - 2..],
        &[
            "log not saved: /s/lvs.state: No space left on device",
            &format!("reply done: web/s10.2.0.11: out of the table until it is enabled; warning: {told}"),
        ],
    );
    // What changes nothing and what only asks are as ever.
    assert_lines(&director.ask(2100, reset(Some("web/s10.2.0.12"))), &["reply done: there was no override"]);
    assert_lines(&director.ask(2200, Command::List), &["reply 1 overrides"]);
    assert_lines(&without_reads(director.until(30_000)), &[]);
    let told = director.status().state_file.unwrap();
    assert_eq!((told.state, told.reason.as_str()), (false, "/s/lvs.state: No space left on device"));
    director.full = None;
    assert_lines(&without_reads(director.until(45_000)), &["32000 log saved again"]);
    assert!(director.status().state_file.unwrap().state);
    assert_eq!(director.saved.servers.len(), 1);
}

#[test]
fn who_asks_when_there_is_room_again_has_all_saved_at_once() {
    let mut director = serving(&web("", &SERVERS));
    director.until(2000);
    director.full = Some("No space left on device".into());
    director.ask(2000, disable("web/s10.2.0.11"));
    director.full = None;
    assert_lines(
        &director.ask(2100, weight("web/s10.2.0.12", 7))[2..],
        &["log saved again", "reply done: web/s10.2.0.12: weight 7 until it is reset"],
    );
    assert_eq!(director.saved.servers.len(), 2);
}

#[test]
fn what_is_undone_is_saved_too_when_nobody_knows_what_the_file_says() {
    let mut director = serving(&web("", &SERVERS));
    director.until(2000);
    // The disk failed after the file had been replaced.
    director.full = Some("Input/output error".into());
    director.ask(2000, disable("web/s10.2.0.11"));
    director.full = None;
    let done = director.ask(2100, enable("web/s10.2.0.11", false));
    assert!(done.contains(&"log saved again".to_owned()), "{done:#?}");
}

#[test]
fn a_disk_that_hangs_keeps_nobody_waiting_for_long() {
    let mut director = serving(&web("", &SERVERS));
    director.until(2000);
    director.hangs = true;
    let done = director.order(2000, disable("web/s10.2.0.11"));
    assert_lines(&done, &[&format!("-d {}", ROWS[0]), "log web/s10.2.0.11 disable by root \"\""]);
    director.order(3000, weight("web/s10.2.0.12", 7));
    let slow =
        "in force, but not saved, so a restart of lvs would not know it: the disk has not taken it yet";
    let first = "reply done: web/s10.2.0.11: out of the table until it is enabled";
    assert_lines(
        &without_reads(director.until(30_000)),
        &[
            "7000 log not saved: the disk has not taken it yet",
            &format!("7000 {first}; warning: {slow}"),
            &format!("7000 reply done: web/s10.2.0.12: weight 7 until it is reset; warning: {slow}"),
        ],
    );
    assert!(!director.status().state_file.unwrap().state);
    // From here on there is nothing to wait for.
    let ended = director.ask(30_000, enable("web/s10.2.0.11", false));
    assert_eq!(ended.last().unwrap(), &format!("reply done: web/s10.2.0.11: disable ended; warning: {slow}"));
    director.hangs = false;
    assert_lines(&without_reads(director.at(31_000, Input::Saved(Ok(())))), &["log saved again"]);
    director.until(33_000);
    assert_eq!(director.saved.servers.len(), 1);
}

#[test]
fn a_director_that_ends_waits_a_moment_for_the_disk_and_tells_who_waits() {
    let mut director = serving(&web("", &SERVERS));
    director.until(2000);
    director.hangs = true;
    director.order(2000, disable("web/s10.2.0.11"));
    director.at(2100, Input::Shutdown);
    for token in [1, 2] {
        director.ended(2100 + token, token, 0);
    }
    let told = "in force, but not saved, so a restart of lvs would not know it: lvs is ending";
    assert_lines(
        &without_reads(director.until(9000)),
        &[
            &format!(
                "3100 reply done: web/s10.2.0.11: out of the table until it is enabled; warning: {told}"
            ),
            "3100 exit 0",
        ],
    );
}

#[test]
fn what_is_asked_for_while_the_disk_is_busy_is_saved_before_the_end() {
    let mut director = serving(&web("", &SERVERS));
    director.until(2000);
    director.hangs = true;
    director.order(2000, disable("web/s10.2.0.11"));
    director.order(2050, weight("web/s10.2.0.12", 7));
    director.hangs = false;
    director.at(2100, Input::Shutdown);
    for token in [1, 2] {
        director.ended(2100 + token, token, 0);
    }
    assert_lines(
        &director.at(2200, Input::Saved(Ok(()))),
        &[
            "reply done: web/s10.2.0.11: out of the table until it is enabled",
            "reply done: web/s10.2.0.12: weight 7 until it is reset",
            "exit 0",
        ],
    );
    assert_eq!(director.saved.servers.len(), 2);
}

#[test]
fn servers_that_leave_belong_to_their_own_virtual_server_and_each_has_its_own_time() {
    let file = |servers: &[&str]| {
        let [a, b, c] = [("a", "10.1.0.100", "10"), ("b", "10.1.0.101", "20"), ("c", "10.1.0.102", "30")]
            .map(|(name, vip, time)| virtual_server(name, vip, &format!("drain = {time}"), servers));
        config(&format!("{a}{b}{c}"))
    };
    let mut director = Director::new(&file(&["10.2.0.11", "10.2.0.12", "10.2.0.13"]));
    director.tick(0);
    (1..10).for_each(|token| drop(director.report(token, token, None)));
    carry(&director, 11, 1, 0);
    carry(&director, 13, 1, 0);
    director.until(900);
    director.reload(1000, &file(&["10.2.0.12"]));
    for told in &director.status().virtual_servers {
        let leaving: Vec<&str> = told.leaving.iter().map(|leaving| leaving.name.as_str()).collect();
        assert_eq!(leaving, ["s10.2.0.11", "s10.2.0.13"], "{}", told.name);
    }
    let lines = director.until(40_000);
    let gone: Vec<&str> = lines.iter().filter(|line| line.contains(" -d ")).map(String::as_str).collect();
    assert_eq!(
        gone,
        [
            "11000 -d -t 10.1.0.100:80 -r 10.2.0.11:80",
            "11000 -d -t 10.1.0.100:80 -r 10.2.0.13:80",
            "21000 -d -t 10.1.0.101:80 -r 10.2.0.11:80",
            "21000 -d -t 10.1.0.101:80 -r 10.2.0.13:80",
            "31000 -d -t 10.1.0.102:80 -r 10.2.0.11:80",
            "31000 -d -t 10.1.0.102:80 -r 10.2.0.13:80",
        ]
    );
}

/// A virtual server with servers of these names and addresses.
fn named(servers: &[(&str, &str)]) -> Config {
    let blocks = servers.iter().map(|(name, address)| {
        virtual_server("web", "10.1.0.100", "", &[address]).replace(&format!("s{address}"), name)
    });
    // One block with all servers.
    let joined: String =
        blocks.map(|block| block[block.find("server ").unwrap()..block.len() - 2].to_owned()).collect();
    config(
        &(virtual_server("web", "10.1.0.100", "", &[]).trim_end().trim_end_matches('}').to_owned()
            + &joined
            + "}\n"),
    )
}

#[test]
fn an_order_is_about_the_server_that_was_named_whatever_address_it_has() {
    let old = named(&[("one", "10.2.0.11"), ("two", "10.2.0.12")]);
    let mut director = serving(&old);
    director.ask(100, disable("web/one"));
    director.ask(110, weight("web/two", 9));
    // Its name has another address by now.
    let moved = named(&[("one", "10.2.0.21"), ("two", "10.2.0.12")]);
    let lines = director.at(200, Input::Renamed(Box::new(moved.clone())));
    assert!(lines.contains(&"log web/one disable goes to 10.2.0.21:80".to_owned()), "{lines:#?}");
    director.report(210, 3, None);
    let overridden = |director: &Director| -> Vec<(String, usize)> {
        let servers = director.status().virtual_servers.remove(0).real_servers.into_iter();
        servers.map(|server| (server.name, server.overrides.len())).collect()
    };
    assert_eq!(overridden(&director), [("one".to_owned(), 1), ("two".to_owned(), 1)]);
    let rows = [format!("-a {} -m -w 9", ROWS[1])];
    assert_eq!(director.table()[1..], rows);
    // Also while nobody looked.
    director.until(3000);
    let again = named(&[("one", "10.2.0.31"), ("two", "10.2.0.12")]);
    let mut next = director.successor(&again);
    let lines = next.tick(3000);
    assert!(lines.contains(&"log web/one disable goes to 10.2.0.31:80".to_owned()), "{lines:#?}");
    next.report(3100, 1, None);
    assert_eq!(next.table()[1..], rows);
    // Two that change places keep their orders by name; one with another name, by address.
    director.reload(3200, &named(&[("one", "10.2.0.12"), ("two", "10.2.0.21")]));
    let whats = |director: &Director| -> Vec<Override> {
        let servers = director.status().virtual_servers.remove(0).real_servers.into_iter();
        servers.map(|server| server.overrides[0].what.clone()).collect()
    };
    assert_eq!(whats(&director), [Override::Disabled, Override::Weight { weight: 9 }]);
    director.reload(3300, &named(&[("uno", "10.2.0.12"), ("two", "10.2.0.21")]));
    assert_eq!(whats(&director), [Override::Disabled, Override::Weight { weight: 9 }]);
    // Of two with its name none can be said to be the one; of those that had it, each is itself.
    let lines =
        director.reload(3400, &named(&[("uno", "10.2.0.41"), ("uno", "10.2.0.42"), ("two", "10.2.0.21")]));
    assert!(lines.contains(&"log web/uno disable forgotten".to_owned()), "{lines:#?}");
}

/// The names of the servers that have orders.
fn overridden(director: &Director) -> Vec<String> {
    let servers = director.status().virtual_servers.remove(0).real_servers.into_iter();
    servers.filter(|server| !server.overrides.is_empty()).map(|server| server.name).collect()
}

#[test]
fn an_order_stays_with_a_machine_that_was_renamed_and_whose_name_another_has() {
    let mut director = serving(&named(&[("rs1", "10.2.0.11"), ("rs2", "10.2.0.12")]));
    director.ask(100, disable("web/rs1"));
    director.until(2000);
    let renamed = named(&[("rs1-old", "10.2.0.11"), ("rs2", "10.2.0.12"), ("rs1", "10.2.0.13")]);
    let mut next = director.successor(&renamed);
    let stays = "log web/rs1-old disable stays with 10.2.0.11:80, which was web/rs1".to_owned();
    let lines = next.tick(2000);
    assert!(lines.contains(&stays), "while nobody looked: {lines:#?}");
    assert_eq!(overridden(&next), ["rs1-old"]);
    let lines = director.reload(2100, &renamed);
    assert!(lines.contains(&stays), "{lines:#?}");
    assert_eq!(overridden(&director), ["rs1-old"]);
    director.report(2200, 3, None);
    assert!(!director.table().iter().any(|row| row.contains("10.2.0.11")), "{:#?}", director.table());
    // The new name is what it goes by from now on.
    director.until(4000);
    let mut next = director.successor(&renamed);
    assert!(!next.tick(4000).iter().any(|line| line.contains("stays")));
    assert_eq!(overridden(&next), ["rs1-old"]);
    // What has an order that goes by its own name is not taken for a renamed one.
    director.ask(4100, weight("web/rs2", 9));
    let chain = named(&[("rs1-old", "10.2.0.12"), ("rs2", "10.2.0.11"), ("rs1", "10.2.0.13")]);
    let lines = director.reload(4200, &chain);
    assert!(lines.contains(&"log web/rs1-old disable goes to 10.2.0.12:80".to_owned()), "{lines:#?}");
    assert!(lines.contains(&"log web/rs2 weight goes to 10.2.0.11:80".to_owned()), "{lines:#?}");
}

#[test]
fn a_drain_that_follows_a_name_begins_anew_there_and_does_not_end_where_it_never_was() {
    let servers = |address| named(&[("rs1", address), ("rs2", "10.2.0.12")]);
    let mut director = serving(&servers("10.2.0.11"));
    carry(&director, 11, 2, 0);
    director.until(900);
    director.ask(1000, drain("web/rs1", None));
    director.until(3000);
    let lines = director.reload(3100, &servers("10.2.0.21"));
    assert!(lines.contains(&"log web/rs1 drain goes to 10.2.0.21:80".to_owned()), "{lines:#?}");
    let lines = director.until(10_000);
    assert!(!lines.iter().any(|line| line.contains("drained")), "{lines:#?}");
    director.report(10_100, 3, None);
    assert!(!director.table().iter().any(|row| row.contains("10.2.0.21")), "{:#?}", director.table());
}

#[test]
fn a_reload_is_answered_when_the_kernel_has_done_or_refused_it_or_does_not_answer() {
    let told = |lines: &[String]| {
        let told = lines.iter().filter(|line| line.contains("reply ")).cloned();
        told.collect::<Vec<_>>()
    };
    let with = |weight: u16| web("", &[&format!("10.2.0.11 weight = {weight}"), SERVERS[1]]);
    let taken = "reply done: /etc/lvs.cf is taken: 1 virtual server, 2 real servers; warning: the kernel's table is not as \
                 it asks, and it is tried again: ";
    let mut director = serving(&with(1));
    director.until(2000);
    director.reload(2100, &with(2));
    assert_eq!(
        told(&director.order(2100, Command::Reload)),
        ["reply done: /etc/lvs.cf is in force: 1 virtual server, 2 real servers"]
    );

    director.fake.refuse(0, Errno::EINVAL, None);
    director.reload(3100, &with(3));
    assert_eq!(
        told(&director.order(3100, Command::Reload)),
        [format!(
            "{taken}ipvsadm -e {} -m -w 3: the real server's address must be a unicast address that this router \
                  can route to (EINVAL)",
            ROWS[0]
        )]
    );

    director.until(20_000);
    director.fake.unload(true);
    director.reload(20_100, &with(4));
    assert_eq!(told(&director.order(20_100, Command::Reload)), [""; 0]);
    assert_eq!(told(&director.until(23_099)), [""; 0]);
    let late = told(&director.until(23_100));
    assert_eq!(late.len(), 1, "{late:#?}");
    assert!(late[0].starts_with(&format!("23100 {taken}")), "{late:#?}");

    director.reload(23_200, &with(5));
    director.order(23_200, Command::Reload);
    let ended = director.at(23_300, Input::Shutdown);
    assert_eq!(told(&ended), ["reply refused: lvs is ending: it withdraws its services"]);
}
