//! The status as people see it, whole and in parts.

use ipvsadm::Stats;
use lvs::selection::select;
use lvs::status_view::{Colours, render};
use lvs_ipc::status::{Left, LvsStatus, Override, OverrideStatus, QuorumStatus, Since, SysctlStatus};

use crate::world::{Director, config, virtual_server};

/// Two virtual servers; of the first, one real server is up and one is down.
pub(crate) fn status() -> LvsStatus {
    let body = virtual_server("web", "10.1.0.100", "", &["10.2.0.11", "10.2.0.12 weight = 30"])
        + &virtual_server("idle", "10.1.0.101", "sorry_server = 10.2.0.99", &[]);
    let mut director = Director::new(&config(&format!("serial_no = 4\n{body}")));
    director.tick(0);
    director.report(2_000, 2, None);
    director.report(70_000, 1, Some("connection refused"));
    let mut table = director.fake.table();
    let rates = ipvsadm::Rates { cps: 12, pps_in: 340, pps_out: 330, bps_in: 34_000, bps_out: 1_200_000 };
    let stats = Stats {
        connections: 123_456,
        packets_in: 2_345_678,
        packets_out: 2_245_678,
        bytes_in: 345_678_901,
        bytes_out: 12_345_678_901,
        rates,
    };
    table.services[0].stats = stats;
    let row = &mut table.services[0].destinations[0];
    row.stats = stats;
    (row.active_connections, row.inactive_connections, row.persistent_connections) = (120, 45_000, 7);
    director.fake.set_table(table);
    director.until(80_000);
    let mut status = director.status();
    "1.2.3".clone_into(&mut status.version);
    status
}

/// A day and some hours later.
const NOW: u64 = 93_662_000;

fn shown(status: &LvsStatus, names: &[&str]) -> String {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    render(&select(status.clone(), &names).unwrap(), NOW, !names.is_empty(), Colours::Off)
}

#[test]
fn the_status_is_a_table_for_people() {
    let text = shown(&status(), &[]);
    assert_eq!(
        text,
        "lvs 1.2.3, process 42, for 1d02h
file      /etc/lvs.cf, serial_no 4: good for 1d02h: read at start
table     good for 1d02h: as wanted
monitors  2 running, 2 starts, 0 failures
changed   1d01h ago: web/10.2.0.11:80 down: connection refused

web: TCP 10.1.0.100:80 rr nat, 1 of 2 serving
  total  123K connections, packets 2.3M in 2.2M out, bytes 345M in 12.3G out
  per s  12 connections, packets 340 in 330 out, bytes 34.0K in 1.2M out
  SERVER      ADDRESS       WEIGHT  STATE  FOR    ACTIVE  INACT  PERS  CONN/S  B/S IN  B/S OUT
  s10.2.0.11  10.2.0.11:80  -       down   1d01h       -      -     -       -       -        -
      connection refused
  s10.2.0.12  10.2.0.12:80  30      up     1d02h     120  45.0K     7      12   34.0K     1.2M

idle: TCP 10.1.0.101:80 rr nat, 0 of 0 serving, the sorry server serves
  total  0 connections, packets 0 in 0 out, bytes 0 in 0 out
  per s  0 connections, packets 0 in 0 out, bytes 0 in 0 out
  quorum lost for 1d02h: weight 0, 1 needed
"
    );
    assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
}

#[test]
fn a_real_server_that_is_named_alone_is_told_in_every_detail() {
    assert_eq!(
        shown(&status(), &["web/s10.2.0.12"]),
        "web/s10.2.0.12: 10.2.0.12:80 of TCP 10.1.0.100:80 rr
  state        up for 1d02h: ok; 1 change
  weight       30, 30 wanted
  method       nat
  connections  120 active, 45000 inactive, 7 persistent
  scheduled    123456 (12/s)
  packets in   2345678 (340/s)
  packets out  2245678 (330/s)
  bytes in     345678901 (34000/s)
  bytes out    12345678901 (1200000/s)
  monitor      running as process 1002 for 1d02h: started; 1 start, 0 failures
  last change  1d02h ago: up: ok
"
    );
}

#[test]
fn a_check_in_one_line_is_among_the_details() {
    let body = virtual_server("web", "10.1.0.100", "check = tcp  send=\"QUIT\\r\\n\"", &["10.2.0.11"]);
    let mut director = Director::new(&config(&body));
    director.tick(0);
    let status = director.status();
    assert_eq!(status.virtual_servers[0].check.as_deref(), Some("tcp send=QUIT\\r\\n"));
    let text = shown(&status, &["web/s10.2.0.11"]);
    assert!(text.contains("\n  method       nat\n  check        tcp send=QUIT\\r\\n\n"), "{text}");
}

#[test]
fn a_part_goes_by_names_or_addresses() {
    let status = status();
    let rows = |names: &[&str]| {
        let text = shown(&status, names);
        (text.contains("\nweb: "), text.contains("\nidle: "), text.matches(" 10.2.0.1").count())
    };
    assert_eq!(rows(&["web"]), (true, false, 2));
    assert_eq!(rows(&["TCP 10.1.0.100:80"]), (true, false, 2));
    assert_eq!(rows(&["10.1.0.101:80", "web/10.2.0.11:80"]), (true, true, 1));
    let unknown = |name: &str| select(status.clone(), &[name.to_owned()]).unwrap_err().to_string();
    assert_eq!(unknown("wbe"), "there is no virtual server \"wbe\"; there are web, idle");
    assert_eq!(unknown("wbe/x"), "there is no virtual server \"wbe\"; there are web, idle");
    let no_server = "there is no real server \"x\"; there are s10.2.0.11, s10.2.0.12";
    assert_eq!(unknown("web/x"), no_server);
    assert_eq!(unknown("idle/x"), "there is no real server \"x\"; there are none");
}

#[test]
fn what_is_not_as_usual_stands_below_its_server() {
    let mut status = status();
    let web = &mut status.virtual_servers[0];
    let held = Since { state: false, reason: String::new(), since_ms: NOW - 5_000 };
    web.quorum = Some(QuorumStatus { held, weight: 30, lost_below: 31, gained_from: 31 });
    let server = &mut web.real_servers[1];
    server.weight = Some(7);
    server.slow_start_until_ms = Some(NOW + 61_000);
    server.slow_start_weight = Some(30);
    let left = Some(Left { active: 2, inactive: 1, persistent: 0 });
    let by = "root (process 9)".to_owned();
    server.overrides = vec![
        OverrideStatus {
            what: Override::Drain { deadline_ms: Some(NOW + 240_000), left, ended: None },
            by: by.clone(),
            at_ms: NOW - 60_000,
            reason: Some("new disk".into()),
        },
        OverrideStatus { what: Override::Weight { weight: 5 }, by, at_ms: NOW - 1_000, reason: None },
    ];
    let text = shown(&status, &["web"]);
    let notes: Vec<&str> = text.lines().filter(|line| line.starts_with("  ")).skip(1).collect();
    assert_eq!(notes[1], "  quorum lost for 5s: weight 30, 31 needed");
    assert!(notes[5].contains(" 7/30 "), "{text}");
    assert_eq!(
        notes[6..],
        [
            "      climbing, 7 of 30, full weight in 1m01s",
            "      draining, 3 connections left, 4m00s at most, by root (process 9) 1m00s ago: new disk",
            "      weight 5, by root (process 9) 1s ago",
        ]
    );
}

#[test]
fn the_status_says_why_nobody_checks_a_server() {
    let servers = ["10.2.0.11", "10.2.0.12"];
    let mut director = Director::new(&config(&virtual_server("web", "10.1.0.100", "", &servers)));
    director.tick(0);
    director.report(10, 1, None);
    director.ended(20, 1, 1);
    director.ended(20, 2, 2);
    let text = render(&director.status(), 20, false, Colours::Off);
    let notes: Vec<&str> = text.lines().filter(|line| line.starts_with("      ")).collect();
    assert_eq!(
        notes,
        [
            "      monitor waits to restart: exited with status 1",
            "      not checked yet",
            "      monitor given up until a reload: exited with status 2",
        ]
    );
}

#[test]
fn settings_of_the_kernel_are_shown_when_somebody_should_know() {
    let setting = |name: &str, found, repairs, problem: Option<&str>| SysctlStatus {
        name: name.to_owned(),
        wanted: 1,
        found,
        before: None,
        reason: "why".into(),
        problem: problem.map(str::to_owned),
        repairs,
    };
    let mut status = status();
    status.sysctls = vec![
        setting("as.wanted", Some(1), 0, None),
        setting("not.read.yet", None, 0, None),
        setting("repaired", Some(1), 3, None),
        setting("changed", Some(0), 1, None),
        setting("refused", Some(0), 0, Some("Read-only file system (os error 30)")),
        setting("absent", None, 0, Some("this kernel has no such setting")),
    ];
    let text = shown(&status, &[]);
    let lines: Vec<&str> = text.lines().filter(|line| line.starts_with("setting")).collect();
    assert_eq!(
        lines,
        [
            "setting   repaired is 1, 3 repairs",
            "setting   changed is 0, 1 wanted, 1 repair",
            "setting   refused is 0, 1 wanted: Read-only file system (os error 30)",
            "setting   absent cannot be read, 1 wanted: this kernel has no such setting",
        ]
    );
}

#[test]
fn colours_change_nothing_but_colours() {
    let status = status();
    let coloured = render(&status, NOW, false, Colours::On);
    assert!(coloured.contains("\x1b[32mup\x1b[0m") && coloured.contains("\x1b[31mdown\x1b[0m"), "{coloured}");
    let mut plain = String::new();
    for (at, part) in coloured.split("\x1b[").enumerate() {
        plain.push_str(if at == 0 { part } else { part.split_once('m').unwrap().1 });
    }
    assert_eq!(plain, render(&status, NOW, false, Colours::Off));
}
