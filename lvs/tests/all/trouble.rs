//! A kernel that is changed by others, refuses, or does not answer.

use std::time::Duration;

use ipvsadm::{Errno, Ipvs, Request, Scheduler, Table, Timeouts};
use lvs::action::Input;

use crate::world::{Director, assert_lines, config, two_servers, virtual_server, without_reads};

fn serving() -> Director {
    let mut director = Director::new(&two_servers());
    director.tick(0);
    director.report(10, 1, None);
    director.report(20, 2, None);
    director
}

#[test]
fn a_director_is_ready_only_when_the_kernel_has_taken_a_service() {
    let mut director = Director::new(&two_servers());
    director.fake.refuse(0, Errno::ENOENT, None);
    let refused = director.tick(0);
    assert!(refused.iter().any(|line| line.contains("refused")), "{refused:?}");
    assert!(!refused.iter().any(|line| line.ends_with("ready")), "{refused:?}");
    let accepted = director.until(2000);
    assert!(accepted.iter().any(|line| line.ends_with("ready")), "{accepted:?}");
}

#[test]
fn a_flushed_table_is_rebuilt_within_a_second_and_logged() {
    let mut director = serving();
    let before = director.table();
    director.fake.set_table(Table::default());
    assert_lines(
        &director.until(1000),
        &[
            "1000 read",
            "1000 log drift web: service missing",
            "1000 log drift web s10.2.0.11: real server missing",
            "1000 log drift web s10.2.0.12: real server missing",
            "1000 -A -t 10.1.0.100:80 -s rr",
            "1000 -a -t 10.1.0.100:80 -r 10.2.0.11:80 -m -w 1",
            "1000 -a -t 10.1.0.100:80 -r 10.2.0.12:80 -m -w 1",
        ],
    );
    assert_eq!(director.table(), before);
}

#[test]
fn changed_rows_are_put_right_and_foreign_rows_in_our_service_are_removed() {
    let mut director = serving();
    let mut table = director.fake.table();
    let service = &mut table.services[0];
    service.service.scheduler = Scheduler::WLC;
    service.destinations[0].destination.weight = 9;
    let mut stranger = service.destinations[1].clone();
    stranger.destination.id.port = 8080;
    service.destinations.push(stranger);
    director.fake.set_table(table);
    let lines = without_reads(director.until(1000));
    assert_lines(
        &lines,
        &[
            "1000 log drift web: scheduler wlc instead of rr",
            "1000 log drift web s10.2.0.11: weight 9 instead of 1",
            "1000 log drift web 10.2.0.12:8080: real server that should not be there, with weight 1",
            "1000 -E -t 10.1.0.100:80 -s rr",
            "1000 -e -t 10.1.0.100:80 -r 10.2.0.11:80 -m -w 1",
            "1000 -d -t 10.1.0.100:80 -r 10.2.0.12:8080",
        ],
    );
}

/// Somebody sets the first row's weight every second; what is told in that time.
fn fight(director: &mut Director, seconds: std::ops::Range<u64>) -> Vec<String> {
    let mut told = Vec::new();
    for second in seconds {
        let mut table = director.fake.table();
        table.services[0].destinations[0].destination.weight = 7;
        director.fake.set_table(table);
        let lines = director.until(second * 1000 + 1000);
        told.extend(lines.into_iter().filter(|line| line.contains(" log ")));
        assert_eq!(director.fake.table().services[0].destinations[0].destination.weight, 1);
    }
    told
}

#[test]
fn two_writers_that_fight_are_told_line_by_line_at_first_and_then_as_a_number_less_and_less_often() {
    let mut director = serving();
    let told = fight(&mut director, 0..200);
    let one = "log drift web s10.2.0.11: weight 7 instead of 1";
    assert!(told[..20].iter().all(|line| line.ends_with(one)), "{told:#?}");
    let last = "last web s10.2.0.11: weight 7 instead of 1";
    let number = |at: u64, count: u64| format!("{at}000 log {count} more drift, {last}");
    let expected = [(21, 1), (22, 1), (24, 2), (28, 4), (36, 8), (52, 16), (84, 32), (144, 60)];
    assert_eq!(told[20..], expected.map(|(at, count)| number(at, count)));
    let status = director.status().table;
    assert_eq!(
        (status.state, status.reason),
        (
            true,
            "as wanted, but somebody else keeps changing our services: 200 repairs in 199 s, the last web s10.2.0.11: \
             weight 7 instead of 1"
                .to_owned()
        )
    );
    // What was not told is told, and then there is calm.
    let end = director.until(300_000);
    let told: Vec<&String> = end.iter().filter(|line| line.contains(" log ")).collect();
    assert_eq!(told, [&number(204, 56)]);
    assert_eq!(director.status().table.reason, "as wanted");
    assert_eq!(fight(&mut director, 300..301), [format!("301000 {one}")]);
}

#[test]
fn of_many_refusals_at_once_the_first_are_told_and_the_rest_is_a_number() {
    let servers: Vec<String> = (1..=50).map(|number| format!("10.2.0.{number}")).collect();
    let servers: Vec<&str> = servers.iter().map(String::as_str).collect();
    let mut director = Director::new(&config(&virtual_server("web", "10.1.0.100", "start = up", &servers)));
    // The service is taken and no server.
    (0..50).for_each(|_| director.fake.refuse(1, Errno::ENOMEM, None));
    let count = |lines: &[String], text: &str| lines.iter().filter(|line| line.contains(text)).count();
    let refused = director.tick(0);
    assert_eq!(count(&refused, "log refused for 1 s"), 20, "{refused:#?}");
    assert_eq!(count(&refused, "log 30 more refused"), 1, "{refused:#?}");
    let accepted = director.until(3000);
    assert_eq!(count(&accepted, "log no longer refused"), 20, "{accepted:#?}");
    assert_eq!(count(&accepted, "log 30 more no longer refused"), 1, "{accepted:#?}");
    assert_eq!(director.fake.table().services[0].destinations.len(), 50);
}

#[test]
fn a_slip_or_two_is_no_fight() {
    let mut director = serving();
    fight(&mut director, 0..2);
    assert_eq!(director.status().table.reason, "as wanted");
    fight(&mut director, 2..3);
    assert!(director.status().table.reason.starts_with("as wanted, but somebody else keeps changing"));
}

#[test]
fn a_module_that_is_taken_out_and_comes_back_is_told_and_its_table_rebuilt() {
    let mut director = serving();
    let before = director.table();
    director.fake.unload(true);
    let no_ipvs = "the kernel has no IPVS: the module ip_vs is not loaded; `modprobe ip_vs` loads it, as root, and not from \
                   within a container but on its host";
    // Not taken for a refusal of this row.
    assert_lines(
        &director.report(500, 1, Some("x")),
        &[
            "log web 10.2.0.11:80 down: x",
            "-d -t 10.1.0.100:80 -r 10.2.0.11:80",
            &format!("log unreachable for 1 s: {no_ipvs}"),
        ],
    );
    assert_lines(&director.until(8000), &["1500 read", "3500 read", "5500 read", "7500 read"]);
    let status = director.status();
    assert_eq!((status.table.state, status.table.reason.as_str()), (false, no_ipvs));
    director.report(8100, 1, None);
    director.fake.unload(false);
    director.fake.set_table(Table::default());
    assert_lines(
        &director.until(10_000)[..4],
        &[
            "9500 read",
            "9500 log kernel back",
            "9500 log drift web: service missing",
            "9500 log drift web s10.2.0.11: real server missing",
        ],
    );
    assert_eq!(director.table(), before);
    assert!(director.status().table.state);
}

#[test]
fn a_lost_capability_is_told_with_what_to_do() {
    let mut director = serving();
    director.fake.forbid(true);
    let lines = director.until(3500);
    let denied = "permission denied: IPVS needs CAP_NET_ADMIN in the initial user namespace: be root, and not that of a \
                  container with a user namespace of its own";
    assert_lines(&lines, &["1000 read", &format!("1000 log unreachable for 1 s: {denied}"), "2000 read"]);
    assert_eq!(director.status().table.reason, denied);
    director.fake.forbid(false);
    assert_lines(&director.until(4000), &["4000 read", "4000 log kernel back"]);
}

#[test]
fn a_busy_kernel_is_read_again_at_once_and_one_that_stays_busy_a_second_later() {
    let mut director = serving();
    director.fake.refuse_dumps(3);
    assert_lines(&director.until(1000), &["1000 read"]);
    director.fake.interrupt_dumps(3);
    assert_lines(&director.until(2000), &["2000 read"]);
    director.fake.refuse_dumps(10);
    let busy = "the table changed, or the kernel was busy, during each of 10 attempts to read it";
    assert_lines(&director.until(3000), &["3000 read", &format!("3000 log unreachable for 1 s: {busy}")]);
    assert_lines(&director.until(4000), &["4000 read", "4000 log kernel back"]);
}

#[test]
fn many_repairs_are_logged_in_part() {
    let servers: Vec<String> = (1..=30).map(|n| format!("10.2.0.{n}")).collect();
    let servers: Vec<&str> = servers.iter().map(String::as_str).collect();
    let mut director = Director::new(&config(&virtual_server("web", "10.1.0.100", "", &servers)));
    director.until(50);
    for token in 1..=30 {
        director.report(60, token, None);
    }
    director.fake.set_table(Table::default());
    let lines = director.until(1000);
    assert_eq!(lines.iter().filter(|line| line.contains("log drift")).count(), 20);
    assert!(
        lines.iter().any(|line| line.starts_with("1000 log 11 more drift, last web s10.2.0.")),
        "{lines:#?}"
    );
    assert_eq!(director.table().len(), 31);
}

#[test]
fn somebody_who_was_faster_is_no_failure() {
    let mut director = serving();
    director.report(30, 1, Some("x"));
    let mut table = director.fake.table();
    table.services[0].destinations.clear();
    director.fake.set_table(table);
    // The row to remove is gone; the other one has to come back.
    assert_lines(
        &director.report(40, 2, Some("x")),
        &["log web 10.2.0.12:80 down: x", "-d -t 10.1.0.100:80 -r 10.2.0.12:80", "read"],
    );
    assert!(director.status().table.state);
}

#[test]
fn an_edit_of_a_row_that_is_gone_becomes_an_addition() {
    let mut director = serving();
    let mut table = director.fake.table();
    table.services[0].destinations.remove(0);
    director.fake.set_table(table);
    assert_lines(
        &director.weight(40, 1, 5),
        &[
            "log 10.2.0.11:80 weight 5",
            "-e -t 10.1.0.100:80 -r 10.2.0.11:80 -m -w 5",
            "read",
            "log drift web s10.2.0.11: real server missing",
            "-a -t 10.1.0.100:80 -r 10.2.0.11:80 -m -w 5",
        ],
    );
}

#[test]
fn a_refused_service_is_tried_again_later_and_the_others_are_served() {
    let body = virtual_server("odd", "10.1.0.99", "scheduler = mh", &["10.2.0.11"])
        + &virtual_server("web", "10.1.0.100", "", &["10.2.0.11"]);
    let mut director = Director::new(&config(&body));
    director.fake.set_schedulers(&[Scheduler::RR]);
    let lines = director.tick(0);
    let refused = "ipvsadm -A -t 10.1.0.99:80 -s mh: the kernel has no scheduler mh and could not load its module ip_vs_mh (ENOENT)";
    assert_lines(
        &lines[..6],
        &[
            "read",
            "-A -t 10.1.0.99:80 -s mh",
            "-A -t 10.1.0.100:80 -s rr",
            &format!("log refused for 1 s: {refused}"),
            "read",
            "ready",
        ],
    );
    // One check speaks for both.
    assert_lines(
        &director.report(10, 1, None),
        &[
            "log odd 10.2.0.11:80 up: ok",
            "log web 10.2.0.11:80 up: ok",
            "-a -t 10.1.0.100:80 -r 10.2.0.11:80 -m -w 1",
        ],
    );
    let status = director.status();
    assert_eq!((status.table.state, status.table.reason.as_str()), (false, refused));
    // Tried at 1 s, 3 s, 7 s; said once.
    let tries = |lines: Vec<String>| lines.into_iter().filter(|line| line.contains("-A")).collect::<Vec<_>>();
    assert_lines(
        &tries(director.until(7000)),
        &["1000 -A -t 10.1.0.99:80 -s mh", "3000 -A -t 10.1.0.99:80 -s mh", "7000 -A -t 10.1.0.99:80 -s mh"],
    );
    director.fake.set_schedulers(Scheduler::KNOWN);
    let lines = without_reads(director.until(15_000));
    assert_lines(
        &lines,
        &[
            "15000 -A -t 10.1.0.99:80 -s mh",
            "15000 -a -t 10.1.0.99:80 -r 10.2.0.11:80 -m -w 1",
            "15000 log no longer refused -A -t 10.1.0.99:80 -s mh",
        ],
    );
    assert!(director.status().table.state);
}

#[test]
fn a_kernel_that_does_not_answer_is_told_once_and_asked_again_and_again() {
    let mut director = serving();
    director.fake.hang(true);
    let lines = director.until(10_000);
    let times: Vec<&str> = lines
        .iter()
        .filter(|line| line.ends_with("read"))
        .map(|line| line.split(' ').next().unwrap())
        .collect();
    assert_eq!(times, ["1000", "2000", "4000", "6000", "8000", "10000"]);
    assert_eq!(lines.iter().filter(|line| line.contains("unreachable")).count(), 1, "{lines:#?}");
    assert!(!director.status().table.state);
    // Health goes on being heard, and is caught up with when the kernel is back.
    assert_lines(&director.report(10_100, 1, Some("x")), &["log web 10.2.0.11:80 down: x"]);
    director.fake.hang(false);
    assert_lines(
        &director.until(12_000),
        &["12000 read", "12000 log kernel back", "12000 -d -t 10.1.0.100:80 -r 10.2.0.11:80"],
    );
}

#[test]
fn answers_that_are_lost_are_told_and_the_table_is_read_before_anything_is_sent_again() {
    let servers: Vec<String> = (1..=50).map(|number| format!("10.2.0.{number}")).collect();
    let of_weight = |weight: u16| {
        let servers: Vec<String> =
            servers.iter().map(|server| format!("{server} weight = {weight}")).collect();
        let servers: Vec<&str> = servers.iter().map(String::as_str).collect();
        config(&virtual_server("web", "10.1.0.100", "start = up", &servers))
    };
    let mut director = Director::new(&of_weight(1));
    director.tick(0);
    director.lose_answers_beyond(8);
    let lines = director.reload(100, &of_weight(2));
    let told = "log unreachable for 1 s: answers of the kernel were lost because the socket's receive buffer overflowed (ENOBUFS)";
    assert!(lines.contains(&told.to_owned()), "{lines:#?}");
    assert!(!director.status().table.state);
    director.lose_answers_beyond(1000);
    // All had been done, so nothing is sent again; monitors go on being started.
    let mut after = director.until(1999);
    after.retain(|line| !line.contains(" spawn "));
    assert_lines(&after, &["1100 read", "1100 log kernel back"]);
    assert!(director.status().table.state);
    assert_eq!(director.table().iter().filter(|row| row.ends_with("-w 2")).count(), 50);
}

#[test]
fn a_stop_does_not_wait_for_the_patience_with_a_kernel_that_did_not_answer() {
    let mut director = serving();
    director.fake.hang(true);
    // Asked at 1, 2, 4 and 8 s; the next time would be 16 s.
    director.until(9000);
    for token in [1, 2] {
        director.ended(9000, token, 125);
    }
    let lines = director.at(9100, Input::Shutdown);
    assert_lines(&lines, &["log stopping 1 services", "read"]);
    director.fake.hang(false);
    assert_lines(
        &director.until(20_000)[..4],
        &["10100 read", "10100 log kernel back", "10100 -D -t 10.1.0.100:80", "10100 exit 0"],
    );
}

#[test]
fn a_stop_tries_once_more_what_the_kernel_refused_before() {
    let both = virtual_server("a", "10.1.0.100", "", &[]) + &virtual_server("b", "10.1.0.101", "", &[]);
    let mut director = Director::new(&config(&both));
    director.tick(0);
    for _ in 0..5 {
        director.fake.refuse(0, Errno::ENOMEM, None);
    }
    // Refused at 0, 1, 3, 7 and 15 s; the next time would be 31 s.
    director.reload(10, &config(&virtual_server("a", "10.1.0.100", "", &[])));
    director.until(16_000);
    let lines = director.at(16_100, Input::Shutdown);
    assert_lines(
        &without_reads(lines)[..5],
        &[
            "log stopping 1 services",
            "-D -t 10.1.0.100:80",
            "-D -t 10.1.0.101:80",
            "log no longer refused -D -t 10.1.0.101:80",
            "exit 0",
        ],
    );
}

#[test]
fn a_request_that_always_comes_too_late_does_not_turn_into_a_busy_loop() {
    let mut director = serving();
    director.fake.refuse(0, Errno::ESRCH, None);
    director.fake.refuse(0, Errno::ESRCH, None);
    director.fake.refuse(0, Errno::ESRCH, None);
    let lines = director.weight(40, 1, 5);
    let edits = lines.iter().filter(|line| line.starts_with("-e")).count();
    assert_eq!(edits, 2, "once as a race, once as a refusal: {lines:#?}");
    assert!(lines.iter().any(|line| line.starts_with("log refused for 1 s")), "{lines:#?}");
}

#[test]
fn timeouts_of_the_file_are_kept_and_the_others_left_alone() {
    let body =
        |timeouts: &str| config(&format!("{timeouts}\n{}", virtual_server("web", "10.1.0.100", "", &[])));
    let mut director = Director::new(&body("tcp_timeout = 60"));
    assert_lines(&director.tick(0), &["read", "--set 60 0 0", "-A -t 10.1.0.100:80 -s rr", "ready"]);
    assert_eq!(director.fake.timeouts().tcp.as_secs(), 60);
    assert_lines(&director.reload(10, &body("tcp_timeout = 60")), &["log reloaded 1/0, monitors 0"]);
    // What somebody else sets is put right, where the file has a wish.
    set_timeouts(&director, [600, 90, 90]);
    assert_lines(
        &director.until(1500),
        &["1000 read", "1000 log drift IPVS: tcp_timeout 600 s instead of 60 s", "1000 --set 60 0 0"],
    );
    assert_eq!(seconds(&director), [60, 90, 90]);
    let repairs = director.status().repairs;
    assert_eq!(
        (repairs.timeouts_set, repairs.last.unwrap().what.as_str()),
        (1, "IPVS: tcp_timeout 600 s instead of 60 s")
    );
    assert_lines(&without_reads(director.until(2500)), &[]);

    let other = body("udp_timeout = 30");
    let plan = director.plan(&other);
    let kept = "tcp_timeout no longer set: the kernel keeps 60 s";
    assert_lines(&plan.words, &["IPVS: udp_timeout 30 s instead of 90 s", kept]);
    assert_lines(&director.reload(2600, &other), &["log reloaded 1/0, monitors 0", "--set 0 0 30"]);
    // The kernel has this already.
    let plan = director.plan(&body("tcp_timeout = 60; udp_timeout = 30".replace("; ", "\n").as_str()));
    assert_eq!(
        (plan.words, plan.requests),
        (vec!["tcp_timeout 60 s instead of none".to_owned()], Vec::new())
    );
    assert_lines(&director.plan(&body("")).words, &["udp_timeout no longer set: the kernel keeps 30 s"]);
    assert_lines(&director.reload(2700, &body("")), &["log reloaded 1/0, monitors 0"]);
    assert_eq!(seconds(&director), [60, 90, 30]);
}

#[test]
fn timeouts_that_the_kernel_refuses_hold_up_nothing_and_no_end() {
    let file = format!("tcp_timeout = 60\n{}", virtual_server("web", "10.1.0.100", "", &[]));
    let mut director = Director::new(&config(&file));
    director.fake.refuse(0, Errno::EINVAL, None);
    let lines = director.tick(0);
    assert_eq!(lines.last().unwrap(), "ready", "{lines:#?}");
    let end = director.at(100, Input::Shutdown);
    assert_eq!(end.last().unwrap(), "exit 0", "{end:#?}");
    assert!(!end.iter().any(|line| line.starts_with("--set")), "{end:#?}");
}

fn set_timeouts(director: &Director, seconds: [u64; 3]) {
    let [tcp, tcp_fin, udp] = seconds.map(Duration::from_secs);
    let mut other = Ipvs::with_transport(director.fake.connect()).unwrap();
    let outcomes = other.apply(&[Request::SetTimeouts(Timeouts { tcp, tcp_fin, udp })]).unwrap();
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
}

fn seconds(director: &Director) -> [u64; 3] {
    let Timeouts { tcp, tcp_fin, udp } = director.fake.timeouts();
    [tcp, tcp_fin, udp].map(|time| time.as_secs())
}
