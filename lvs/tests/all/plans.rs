//! What a reload would do, and that it is what a reload then does.

use std::collections::{BTreeMap, BTreeSet};

use daemonkit::clock::Mono;
use ipvsadm::Errno;
use lvs::engine::{Engine, Past, Settings, WallClock};
use lvs_config::Config;
use lvs_ipc::control::Command;
use proptest::prelude::*;

use crate::world::{Director, assert_lines, config, monitor_settings, serving, virtual_server};

/// One virtual server of a random file. All have the same real servers, so that they share checks.
#[derive(Debug, Clone)]
struct Block {
    moved: bool,
    marked: bool,
    /// Scheduler, method and protocol, each with what goes with it.
    kind: [&'static str; 3],
    directives: Vec<&'static str>,
    /// Weights of the servers that there are, and what else is said of them.
    servers: Vec<Option<(u16, &'static str)>>,
}

/// A random file.
#[derive(Debug, Clone)]
struct File {
    timeouts: &'static str,
    blocks: Vec<Option<Block>>,
}

fn one_of(choices: &'static [&'static str]) -> impl Strategy<Value = &'static str> {
    proptest::sample::select(choices)
}

fn block() -> impl Strategy<Value = Block> {
    let schedulers = &["", "scheduler = wlc", "scheduler = sh; sched_flags = sh-port", "scheduler = mh"];
    let methods = &[
        "",
        "network = direct",
        "network = tunnel",
        "network = tunnel; tunnel_type = gue; tunnel_port = 6080",
        "network = tunnel; tunnel_type = gre; tunnel_checksum = csum",
    ];
    let kind = [one_of(schedulers).boxed(), one_of(methods).boxed(), one_of(&["", "protocol = udp"]).boxed()];
    let directive = one_of(&[
        "quiesce_server = 1",
        "drain = 1m",
        "sorry_server = 10.2.0.99",
        "persistent = 300",
        "timeout = 3",
        "max_connections = 9",
        "slow_start = 2s",
        "slow_start = off",
        "quorum = 3; quorum_hysteresis = 1",
        "start = up",
        "start = down",
    ]);
    let server = (0u16..4, one_of(&["", "", "network = nat", "max_connections = 5", "port = 8080"]));
    let servers = proptest::collection::vec(proptest::option::weighted(0.7, server), 4);
    let directives = proptest::collection::vec(directive, 0..4);
    let rarely = || proptest::bool::weighted(0.2);
    (rarely(), rarely(), kind, directives, servers).prop_map(
        |(moved, marked, kind, mut directives, servers)| {
            directives.sort_unstable();
            directives.dedup();
            Block { moved, marked, kind, directives, servers }
        },
    )
}

fn file() -> impl Strategy<Value = File> {
    let timeouts =
        one_of(&["", "tcp_timeout = 60", "tcp_timeout = 60\nudp_timeout = 30", "udp_timeout = 20"]);
    let blocks = proptest::collection::vec(proptest::option::weighted(0.8, block()), 3);
    (timeouts, blocks).prop_map(|(timeouts, blocks)| File { timeouts, blocks })
}

fn written(File { timeouts, blocks }: &File) -> Config {
    let blocks = (0..).zip(blocks).filter_map(|(n, block): (u8, _)| Some((n, block.as_ref()?)));
    let text: String = blocks
        .map(|(n, Block { moved, marked, kind, directives, servers })| {
            let vip = format!("10.1.0.{}", 100 + n + if *moved { 50 } else { 0 });
            let servers: Vec<String> = (11..)
                .zip(servers)
                .filter_map(|(octet, server): (u8, _)| {
                    let (weight, more) = (*server)?;
                    Some(format!("10.2.0.{octet} weight = {weight}; {more}"))
                })
                .collect();
            let servers: Vec<&str> = servers.iter().map(String::as_str).collect();
            let mark = if *marked { format!("fwmark = {}", 7 + n) } else { String::new() };
            let directives = [kind.join("; "), directives.join("; "), mark].join("; ");
            virtual_server(&format!("v{n}"), &vip, &directives, &servers)
        })
        .collect();
    config(&format!("{timeouts}\n{text}"))
}

/// The monitors that run, by token: the first server that each is for.
fn monitors_of(director: &Director) -> BTreeMap<u64, String> {
    let mut first = BTreeMap::new();
    for found in director.status().virtual_servers {
        for server in found.real_servers {
            let pid = server.monitor_process.pid.map(u64::from).unwrap_or_default();
            first
                .entry(pid.saturating_sub(1000))
                .or_insert_with(|| format!("{}/{}", found.name, server.name));
        }
    }
    first
}

/// The tokens of lines that say `what` was done to a monitor.
fn tokens_of<'l>(lines: impl Iterator<Item = &'l String>, what: &str) -> Vec<u64> {
    let mut tokens = Vec::new();
    for line in lines {
        let mut words = line.split(' ').skip_while(|word| *word != what);
        if let (Some(_), Some(token)) = (words.next(), words.next()) {
            tokens.push(token.parse().unwrap());
        }
    }
    tokens
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]
    #[test]
    fn a_plan_is_what_a_reload_then_does(
        before in file(),
        after in file(),
        health in proptest::collection::vec(proptest::option::weighted(0.9, any::<bool>()), 12),
        orders in proptest::collection::vec((0u8..3, 11u8..15, 0u8..4), 0..4),
        wait in prop_oneof![Just(0u64), 0u64..3000],
    ) {
        let (before, after) = (written(&before), written(&after));
        let mut director = Director::new(&before);
        director.until(100);
        let monitors = director.monitors.clone();
        for (token, up) in monitors.into_iter().zip(health) {
            if let Some(up) = up {
                director.report(200, token, Some("told").filter(|_| !up));
            }
        }
        for (block, octet, what) in orders {
            let target = format!("v{block}/10.2.0.{octet}");
            let command = match what {
                0 => Command::Drain { target, deadline_ms: Some(60_000), reason: None },
                1 => Command::Weight { target, weight: 7, reason: None },
                2 => Command::Disable { target, reason: None },
                _ => Command::Enable { target, force: true, reason: None },
            };
            director.ask(300, command);
        }
        let now = 300 + wait;
        director.until(now);
        director.tick(now);
        let plan = director.plan(&after);
        prop_assert_eq!(&plan, &director.plan(&after), "planning changes nothing");
        let ran = monitors_of(&director);
        let done = director.reload(now, &after);
        let later = director.until(now + 100);
        let tokens = |what| tokens_of(done.iter().chain(&later), what);
        let stopped: BTreeSet<String> = tokens("terminate").iter().map(|token| ran[token].clone()).collect();
        let after_it = monitors_of(&director);
        let started: BTreeSet<String> = tokens("spawn").iter().map(|token| after_it[token].clone()).collect();
        prop_assert_eq!(plan.monitors_started.iter().cloned().collect::<BTreeSet<_>>(), started);
        prop_assert_eq!(plan.monitors_stopped.iter().cloned().collect::<BTreeSet<_>>(), stopped);
        prop_assert_eq!(plan.monitors_started.len(), tokens("spawn").len());
        prop_assert_eq!(plan.monitors_stopped.len(), tokens("terminate").len());
        let requests: Vec<String> = done.into_iter().filter(|line| line.starts_with('-')).collect();
        prop_assert_eq!(&plan.requests, &requests, "{:#?}", plan.words);
        prop_assert_eq!(director.plan(&after).words, Vec::<String>::new(), "afterwards there is nothing to do");

        // After a crash, a start with the first file does what is foretold for it.
        director.until(5000);
        director.tick(5000);
        let plan = director.plan_of_start(&before);
        prop_assert!(plan.of_start);
        let started = director.successor(&before).until(5000);
        let started: Vec<&str> =
            started.iter().filter_map(|line| line.split_once(' ')).map(|(_, what)| what).collect();
        let requests: Vec<&str> = started.iter().copied().filter(|line| line.starts_with('-')).collect();
        prop_assert_eq!(&plan.requests, &requests, "{:#?}", plan.words);
        let monitors = started.iter().filter(|line| line.starts_with("spawn")).count();
        prop_assert_eq!(plan.monitors_started.len(), monitors);
    }
}

#[test]
fn a_plan_tells_what_happens_at_once_and_what_later() {
    let old = virtual_server("web", "10.1.0.100", "drain = 5m", &["10.2.0.11", "10.2.0.12"]);
    let mut director = serving(&config(&old));
    director.ask(30, Command::Weight { target: "web/10.2.0.11".into(), weight: 7, reason: None });
    let directives = "drain = 5m; scheduler = wlc; timeout = 3";
    let new = virtual_server("web", "10.1.0.100", directives, &["10.2.0.12 weight = 4", "10.2.0.13"])
        + &virtual_server("mail", "10.1.0.101", "port = 25", &["10.2.0.11"]);
    let plan = director.plan(&config(&new));
    assert_lines(
        &plan.words,
        &[
            "web: scheduler wlc instead of rr",
            "web: s10.2.0.12 10.2.0.12:80 weight 4 instead of 1",
            "web: s10.2.0.11 10.2.0.11:80 drained: weight 0 now, removed when no connection is left (0 connections), in 5m at most",
            "mail: new service TCP 10.1.0.101:25, scheduler rr",
            "web: s10.2.0.13 10.2.0.13:80 added with weight 1 when its first check passes",
            "mail: s10.2.0.11 10.2.0.11:25 added with weight 1 when its first check passes",
            "monitors started: web/s10.2.0.13, mail/s10.2.0.11",
            "monitors restarted: web/s10.2.0.12",
            "monitors stopped: web/s10.2.0.11",
            "web/s10.2.0.11: weight forgotten",
            "pulse: floating address 10.1.0.101 added on eth0",
        ],
    );
    assert_lines(
        &plan.requests,
        &[
            "-E -t 10.1.0.100:80 -s wlc",
            "-e -t 10.1.0.100:80 -r 10.2.0.12:80 -m -w 4",
            "-e -t 10.1.0.100:80 -r 10.2.0.11:80 -m -w 0",
            "-A -t 10.1.0.101:25 -s rr",
        ],
    );
    assert!(director.status().virtual_servers.len() == 1, "nothing has happened");
}

#[test]
fn a_plan_of_the_file_in_force_is_empty() {
    let file = config(&virtual_server("web", "10.1.0.100", "", &["10.2.0.11", "10.2.0.12"]));
    let director = serving(&file);
    let plan = director.plan(&file);
    assert_eq!((plan.words.len(), plan.requests.len()), (0, 0), "{plan:?}");
}

#[test]
fn a_plan_for_what_goes_says_what_is_cut_off() {
    let old = virtual_server("web", "10.1.0.100", "", &["10.2.0.11", "10.2.0.12"])
        + &virtual_server("mail", "10.1.0.101", "port = 25", &["10.2.0.11"]);
    let mut director = serving(&config(&old));
    let mut table = director.fake.table();
    table
        .services
        .iter_mut()
        .flat_map(|entry| &mut entry.destinations)
        .for_each(|row| (row.active_connections, row.inactive_connections) = (2, 1));
    director.fake.set_table(table);
    director.until(1000);
    let new = virtual_server("web", "10.1.0.100", "sorry_server = 10.2.0.99", &["10.2.0.12 active = 0"]);
    assert_lines(
        &director.plan(&config(&new)).words,
        &[
            "web: sorry server 10.2.0.99:80 added with weight 1",
            "web: s10.2.0.11 10.2.0.11:80 removed; 3 connections cut off",
            "web: s10.2.0.12 10.2.0.12:80 removed; 3 connections cut off",
            "mail: service TCP 10.1.0.101:25 withdrawn with 0 real servers",
            "monitors stopped: web/s10.2.0.11, web/s10.2.0.12, mail/s10.2.0.11",
            "pulse: floating address 10.1.0.101 removed from eth0",
        ],
    );
}

#[test]
fn a_plan_says_nothing_of_monitors_that_go_on() {
    let web = |vip: &str| virtual_server("web", vip, "", &["10.2.0.11"]);
    let same = virtual_server("same", "10.1.0.102", "", &["10.2.0.11"]);
    let mut director = serving(&config(&(web("10.1.0.100") + &same)));
    for new in [web("10.1.0.101") + &same, web("10.1.0.101"), web("10.1.0.101") + &same] {
        let new = config(&new);
        let words = director.plan(&new).words;
        assert!(!words.is_empty() && words.iter().all(|line| !line.contains("monitors")), "{words:#?}");
        let done = director.reload(100, &new);
        assert!(!done.iter().any(|line| line.contains("spawn") || line.contains("terminate")), "{done:#?}");
    }
}

#[test]
fn a_service_that_goes_takes_the_connections_of_all_its_servers_with_it() {
    let web =
        virtual_server("web", "10.1.0.100", "protocol = udp; persistent = 60", &["10.2.0.11", "10.2.0.12"]);
    let mut director = serving(&config(&web));
    let mut table = director.fake.table();
    for row in &mut table.services[0].destinations {
        (row.inactive_connections, row.persistent_connections) = (4, 1);
    }
    director.fake.set_table(table);
    director.until(1000);
    let other = virtual_server("mail", "10.1.0.101", "start = up", &[]);
    assert_eq!(
        director.plan(&config(&other)).words[1],
        "web: service UDP 10.1.0.100:80 withdrawn with 2 real servers; 8 connections and 2 remembered clients cut off"
    );
}

#[test]
fn every_changed_value_is_told_beside_the_old_one() {
    let file = |directives: &str, of_server: &str| {
        config(&virtual_server(
            "web",
            "10.1.0.100",
            directives,
            &[&format!("10.2.0.11 {of_server}"), "10.2.0.12"],
        ))
    };
    for (old, new, line) in [
        (
            ("scheduler = sh; sched_flags = sh-port", ""),
            ("scheduler = sh; sched_flags = sh-fallback", ""),
            "web: switches sh-fallback instead of switches sh-port",
        ),
        (
            ("persistent = 60", ""),
            ("persistent = 60; pmask = 255.255.255.0", ""),
            "web: persistence 60 s /24 instead of persistence 60 s /32",
        ),
        (
            ("protocol = udp", ""),
            ("protocol = udp; one_packet = 1", ""),
            "web: switches one_packet instead of no switches",
        ),
        (("", ""), ("", "network = direct"), "web: s10.2.0.11 10.2.0.11:80 method direct instead of nat"),
        (
            ("network = tunnel", ""),
            (
                "network = tunnel; tunnel_type = gue; tunnel_port = 6080; tunnel_checksum = csum",
                "network = tunnel",
            ),
            "web: s10.2.0.11 10.2.0.11:80 method tunnel gue port 6080 csum instead of tunnel ipip",
        ),
        (
            ("", "max_connections = 9"),
            ("", "max_connections = 9; min_connections = 3"),
            "web: s10.2.0.11 10.2.0.11:80 min_connections 3 instead of none",
        ),
    ] {
        let words = serving(&file(old.0, old.1)).plan(&file(new.0, new.1)).words;
        assert!(words.contains(&line.to_owned()), "{line}\n{words:#?}");
    }
}

#[test]
fn a_plan_for_other_servers_says_that_the_old_ones_serve_on() {
    let file = |servers: &[&str], drain| config(&virtual_server("web", "10.1.0.100", drain, servers));
    for (drain, then) in [("", "removed"), ("drain = 1m", "drained")] {
        let mut director = serving(&file(&["10.2.0.11", "10.2.0.12"], drain));
        let new = file(&["10.2.0.13"], drain);
        let plan = director.plan(&new);
        let line = format!(
            "web: 2 real servers that the file no longer names go on serving until a new one can, then they are {then}"
        );
        assert_eq!(plan.words.iter().filter(|said| **said == line).count(), 1, "{:#?}", plan.words);
        director.reload(100, &new);
        assert_lines(&director.plan(&new).words, &[]);
    }
}

#[test]
fn a_plan_tells_with_which_weight_a_server_joins_and_to_which_it_grows() {
    let file = |directives: &str, servers: &[&str]| {
        let directives = format!("scheduler = wlc; {directives}");
        config(&virtual_server("web", "10.1.0.100", &directives, servers))
    };
    let (old, new) =
        ("10.2.0.11 weight = 64", ["10.2.0.12 weight = 64", "10.2.0.13", "10.2.0.14 weight = 0"]);
    let mut director = serving(&file("", &[old]));
    let after = file("", &[old, new[0], new[1], new[2]]);
    director.until(30_000);
    assert_lines(
        &director.plan(&after).words[..3],
        &[
            "web: s10.2.0.12 10.2.0.12:80 added with weight 2 (growing to 64) when its first check passes",
            "web: s10.2.0.13 10.2.0.13:80 added with weight 1 when its first check passes",
            "web: s10.2.0.14 10.2.0.14:80 added with weight 0 when its first check passes",
        ],
    );
    assert_lines(
        &director.plan(&file("slow_start = off", &[old, new[0]])).words[..1],
        &["web: s10.2.0.12 10.2.0.12:80 added with weight 64 when its first check passes"],
    );
    // Without waiting for a check it is the request itself.
    let plan = director.plan(&file("start = up", &[old, new[0]]));
    assert_lines(&plan.words[..1], &["web: s10.2.0.12 10.2.0.12:80 added with weight 2 (growing to 64)"]);
    assert_lines(&plan.requests, &["-a -t 10.1.0.100:80 -r 10.2.0.12:80 -m -w 2"]);
    director.reload(31_000, &after);
    director.report(31_010, 2, None);
    assert_lines(
        &director.table()[1..],
        &["-a -t 10.1.0.100:80 -r 10.2.0.11:80 -m -w 64", "-a -t 10.1.0.100:80 -r 10.2.0.12:80 -m -w 2"],
    );
    assert_lines(
        &director.plan(&file("slow_start = off", &[old, new[0], new[1], new[2]])).words,
        &["web: s10.2.0.12 10.2.0.12:80 weight 64 instead of 2", "web: slow_start off instead of doubling"],
    );
}

#[test]
fn a_plan_tells_what_no_request_to_the_kernel_shows() {
    let file = |head: &str, directives: &str, of_server: &str| {
        let block = virtual_server(
            "web",
            "10.1.0.100",
            directives,
            &["10.2.0.11", &format!("10.2.0.12 {of_server}")],
        );
        config(&format!("{head}\n{block}"))
    };
    let director = serving(&file("", "on_up = /bin/old", ""));
    let head = "metrics = 127.0.0.1:9100\nsysctl = [ net.ipv4.vs.conntrack=1 ]";
    let directives = "quorum = 2; quorum_hysteresis = 1; slow_start = 90s; on_up = \"/bin/new x\"";
    let plan = director.plan(&file(head, directives, "on_down = /bin/down"));
    assert_lines(
        &plan.words,
        &[
            "metrics 127.0.0.1:9100 instead of none",
            "web: quorum 2 instead of 1",
            "web: quorum_hysteresis 1 instead of 0",
            "web: slow_start 90s instead of doubling",
            "web: on_up \"/bin/new x\" instead of \"/bin/old\"",
            "web/s10.2.0.12: on_down \"/bin/down\" instead of none",
            "setting of the kernel: net.ipv4.vs.conntrack = 1",
        ],
    );
    assert_lines(&plan.requests, &[]);
}

/// Two virtual servers over the same servers: `directives` are those of the second one.
fn twins(directives: Option<&str>, vip: &str) -> Config {
    let servers = &["10.2.0.11", "10.2.0.12"][..];
    let second = directives.map(|directives| virtual_server("shop", vip, directives, servers));
    config(&(virtual_server("web", "10.1.0.100", "", servers) + &second.unwrap_or_default()))
}

#[test]
fn a_plan_says_of_monitors_only_what_becomes_of_processes() {
    let monitors = |before: &Config, after: &Config| -> Vec<String> {
        let plan = serving(before).plan(after);
        plan.words.into_iter().filter(|line| line.starts_with("monitors")).collect()
    };
    let (one, two) = (twins(None, ""), twins(Some(""), "10.1.0.101"));
    assert_lines(&monitors(&two, &one), &[]);
    assert_lines(&monitors(&one, &two), &[]);
    assert_lines(&monitors(&two, &twins(Some(""), "10.1.0.102")), &[]);
    let split = twins(Some("timeout = 3"), "10.1.0.101");
    assert_lines(&monitors(&two, &split), &["monitors started: shop/s10.2.0.11, shop/s10.2.0.12"]);
    assert_lines(&monitors(&split, &two), &["monitors stopped: shop/s10.2.0.11, shop/s10.2.0.12"]);
    let both = config(&two_with("timeout = 3"));
    assert_lines(
        &monitors(&two, &both),
        &[
            "monitors restarted: web/s10.2.0.11 (also for shop/s10.2.0.11), web/s10.2.0.12 (also for shop/s10.2.0.12)",
        ],
    );
}

fn two_with(directives: &str) -> String {
    let block = |name, vip| virtual_server(name, vip, directives, &["10.2.0.11", "10.2.0.12"]);
    block("web", "10.1.0.100") + &block("shop", "10.1.0.101")
}

#[test]
fn a_plan_for_many_new_servers_names_also_the_monitors_that_start_in_their_turn() {
    let servers: Vec<String> = (1..=40).map(|n| format!("10.2.1.{n}")).collect();
    let all: Vec<&str> = servers.iter().map(String::as_str).collect();
    let file = |servers: &[&str]| config(&virtual_server("web", "10.1.0.100", "", servers));
    let mut director = serving(&file(&all[..2]));
    let plan = director.plan(&file(&all));
    assert_eq!(plan.monitors_started.len(), 38);
    let mut done = director.reload(100, &file(&all));
    done.extend(director.until(200));
    assert_eq!(tokens_of(done.iter(), "spawn").len(), 38);
}

#[test]
fn a_plan_tells_names_and_what_waits_for_a_server_that_has_no_row_now() {
    let file = |name: &str, directives: &str, second: &str| {
        config(&virtual_server(name, "10.1.0.100", directives, &["10.2.0.11", second]))
    };
    let mut director = Director::new(&file("web", "", "10.2.0.12"));
    director.tick(0);
    director.report(10, 1, None);
    director.report(20, 2, Some("x"));
    let second = "10.2.0.12 weight = 5; max_connections = 9; network = direct";
    let new = file("www", "sorry_server = 10.2.0.99", second);
    assert_lines(
        &director.plan(&new).words,
        &[
            "www: name www instead of web",
            "www: sorry_server 10.2.0.99:80 by nat instead of none",
            "www/s10.2.0.12: weight 5 instead of 1",
            "www/s10.2.0.12: max_connections 9 instead of none",
            "www/s10.2.0.12: method direct instead of nat",
        ],
    );
    director.reload(100, &new);
    director.report(110, 1, Some("x"));
    // In use it is rows that change, and they are told once.
    let other = file("www", "sorry_server = 10.2.0.98", second);
    assert_lines(
        &director.plan(&other).words,
        &["www: sorry server 10.2.0.98:80 added with weight 1", "www: sorry server 10.2.0.99:80 removed"],
    );
}

/// One virtual server, the first of whose two real servers has this weight.
fn weighing(weight: u8) -> Config {
    let servers = [&*format!("10.2.0.11 weight = {weight}"), "10.2.0.12"];
    config(&virtual_server("web", "10.1.0.100", "", &servers))
}

#[test]
fn a_weight_that_an_order_hides_is_told_all_the_same() {
    let mut director = serving(&weighing(1));
    director.ask(30, Command::Drain { target: "web/10.2.0.11".into(), deadline_ms: None, reason: None });
    assert_lines(&director.plan(&weighing(5)).words, &["web/s10.2.0.11: weight 5 instead of 1"]);
}

#[test]
fn a_plan_tells_what_pulse_makes_of_a_file() {
    let file = |head: &str, vip: &str, directives: &str| {
        config(&format!("{head}\n{}", virtual_server("web", vip, directives, &["10.2.0.11", "10.2.0.12"])))
    };
    let pulse = |old: &Config, new: &Config| -> Vec<String> {
        let words = serving(old).plan(new).words;
        words.into_iter().filter(|line| line.starts_with("pulse")).collect()
    };
    let old = file("", "10.1.0.100", "");
    let head = "backup = 198.51.100.2\nbackup_active = 1\nheartbeat_port = 1050\nkeepalive = 1\ndeadtime = 9\n\
                syncdaemon = 1\nactive_cmd = \"/bin/mail up\"\nmonitor_links = 1";
    assert_lines(
        &pulse(&old, &file(head, "10.1.0.100", "vip_nmask = 255.255.255.0")),
        &[
            "pulse: backup, backup_private, backup_active, heartbeat_port, syncdaemon, syncd_iface, syncd_id changed: a \
             pulse that runs refuses the whole file, and tells lvs nothing, until it is restarted",
            "pulse: keepalive 1s instead of 2s",
            "pulse: deadtime 9s instead of 5s",
            "pulse: monitor_links 1 instead of 0",
            "pulse: active_cmd \"/bin/mail up\" instead of none",
            "pulse: floating address 10.1.0.100 with /24 instead of the mask of its network: removed and added again",
        ],
    );
    assert_lines(
        &pulse(&old, &file("nat_router = 10.2.0.254 eth1:1", "10.1.0.105", "")),
        &[
            "pulse: floating address 10.1.0.100 removed from eth0",
            "pulse: floating address 10.1.0.105 added on eth0",
            "pulse: floating address 10.2.0.254 added on eth1:1",
        ],
    );
    let at = |device: &str| file("", "10.1.0.100", &format!("address = 10.1.0.100 {device}"));
    assert_lines(
        &pulse(&at("eth0:1"), &at("eth0:2")),
        &["pulse: floating address 10.1.0.100 on eth0:2 instead of eth0:1, the next time that it is added"],
    );
    assert_lines(
        &pulse(&at("eth0:1"), &at("eth1:1")),
        &["pulse: floating address 10.1.0.100 on eth1:1 instead of eth0:1"],
    );
    assert_lines(
        &pulse(&old, &config("")),
        &[
            "pulse: no active virtual server: pulse refuses the file",
            "pulse: floating address 10.1.0.100 removed from eth0",
        ],
    );
}

#[test]
fn a_plan_for_a_kernel_that_cannot_be_asked_says_so_and_what_is_due() {
    let mut director = serving(&weighing(1));
    director.fake.forbid(true);
    director.until(4500);
    let reason = director.status().table.reason;
    let plan = director.plan(&weighing(5));
    assert_lines(
        &plan.words,
        &[
            &format!("the kernel cannot be asked: {reason}; this is for its table as it was last known"),
            "web: s10.2.0.11 10.2.0.11:80 weight 5 instead of 1",
        ],
    );
    assert_lines(&plan.requests, &["-e -t 10.1.0.100:80 -r 10.2.0.11:80 -m -w 5"]);
    director.fake.forbid(false);
    let done = director.reload(4600, &weighing(5));
    let requests: Vec<String> = done.into_iter().filter(|line| line.starts_with('-')).collect();
    assert_eq!(requests, plan.requests, "a reload asks at once");
}

#[test]
fn a_plan_for_a_kernel_that_was_never_asked_is_for_an_empty_table() {
    let file = config(&virtual_server("web", "10.1.0.100", "start = up", &["10.2.0.11"]));
    let mut director = Director::new(&file);
    director.fake.forbid(true);
    director.until(4500);
    let reason = director.status().table.reason;
    let plan = director.plan(&file);
    let said = format!("the kernel cannot be asked: {reason}; this is for an empty table");
    assert_eq!(plan.words[0], said);
    assert_eq!(plan.requests.len(), 2, "{:?}", plan.requests);
}

#[test]
fn a_plan_that_has_thousands_of_checks_begin_again_names_each() {
    const SERVERS: usize = 4000;
    let file = |timeout: u8| {
        let servers: Vec<String> =
            (0..SERVERS).map(|n| format!("10.2.{}.{}", n / 250, n % 250 + 1)).collect();
        let servers: Vec<&str> = servers.iter().map(String::as_str).collect();
        config(&virtual_server("web", "10.1.0.100", &format!("start = up\ntimeout = {timeout}"), &servers))
    };
    let mut director = Director::new(&file(5));
    director.until(500);
    let plan = director.plan(&file(6));
    assert_lines(&plan.requests, &[]);
    let restarted = plan.words.iter().find_map(|line| line.strip_prefix("monitors restarted: ")).unwrap();
    assert!(restarted.starts_with("web/s10.2.0.1, web/s10.2.0.2, "), "{restarted}");
    assert_eq!(restarted.split(", ").count(), plan.monitors_stopped.len());
    assert_eq!(plan.monitors_started.len(), SERVERS);
}

#[test]
fn what_the_kernel_refused_is_tried_at_once_by_a_reload_and_told_in_the_plan() {
    let mut director = serving(&weighing(1));
    director.fake.refuse(0, Errno::ENOMEM, None);
    director.reload(100, &weighing(5));
    let plan = director.plan(&weighing(5));
    let line = "web: s10.2.0.11 10.2.0.11:80 weight 5 instead of 1 (so far the kernel refuses this: the kernel is out of memory)";
    assert_lines(&plan.words, &[line]);
    let done = director.reload(200, &weighing(5));
    assert!(done.contains(&"-e -t 10.1.0.100:80 -r 10.2.0.11:80 -m -w 5".to_owned()), "{done:#?}");
    assert_lines(&director.plan(&weighing(5)).words, &[]);
}

#[test]
fn a_plan_for_a_start_knows_what_an_earlier_run_left() {
    let file = |directives: &str| {
        config(&virtual_server("web", "10.1.0.100", directives, &["10.2.0.11", "10.2.0.12"]))
    };
    let mut director = serving(&file("start = up"));
    director.ask(30, Command::Disable { target: "web/10.2.0.11".into(), reason: None });
    director.until(2000);
    let other = virtual_server("mail", "10.1.0.101", "port = 25; start = up", &["10.2.0.12"]);
    assert_lines(
        &director.plan_of_start(&config(&other)).words,
        &[
            "mail: new service TCP 10.1.0.101:25, scheduler rr",
            "mail: s10.2.0.12 10.2.0.12:25 added with weight 1",
            "TCP 10.1.0.100:80: service TCP 10.1.0.100:80 withdrawn with 1 real server",
            "monitors started: mail/s10.2.0.12",
            "web/s10.2.0.11: disable forgotten",
            "setting of the kernel: net.ipv4.ip_forward = 1",
        ],
    );
    director.fake.set_table(ipvsadm::Table::default());
    let plan = director.plan_of_start(&file("start = up"));
    assert_lines(
        &plan.requests,
        &["-A -t 10.1.0.100:80 -s rr", "-a -t 10.1.0.100:80 -r 10.2.0.12:80 -m -w 1"],
    );
    let settings = Settings { config_path: "/etc/lvs.cf".into(), monitors: monitor_settings() };
    let clock = WallClock { now: Mono::ZERO, since_epoch: std::time::Duration::ZERO };
    let past = Past { left: Err("list: no".into()), state: Err("state: no".into()) };
    let blind = Engine::plan_of_start(clock, settings, file("start = up"), past, Err("no kernel".into()));
    assert_lines(
        &blind.words[..3],
        &[
            "the kernel's table cannot be read: no kernel; this is for an empty one",
            "what an earlier run left cannot be read: list: no",
            "what an earlier run remembered cannot be read: state: no",
        ],
    );
    assert_eq!(blind.requests.len(), 3);
}
