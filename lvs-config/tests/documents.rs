//! The files that people read and copy: the example, those under docs/examples, and the reference.

mod common;

use std::fs;
use std::path::Path;
use std::time::Duration;

use common::{Table, files};
use lvs_config::model::{
    Check, Forwarding, Hooks, Limits, Pace, Protocol, Quorum, RealServer, Scheduler, SchedulerFlags,
    ServiceKind, SlowStart, SorryServer, StartPolicy, Timeouts, VirtualServer,
};
use lvs_config::units::Weight;
use lvs_config::{Config, SystemFiles, parse_with_files, reference_man, reference_markdown};

fn without_warnings(path: &Path) -> Config {
    let text = fs::read(path).expect("the file is there");
    let parsed = parse_with_files(&text, path, &Table, &SystemFiles);
    let lines: Vec<String> = parsed.diagnostics.iter().map(|d| d.one_line(path)).collect();
    assert_eq!(lines, [""; 0]);
    parsed.config.expect("no errors")
}

fn example() -> Config {
    without_warnings(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../lvs.cf.example"))
}

fn real_server(name: &str, line: u32, address: &str, port: u16, weight: u32) -> RealServer {
    RealServer {
        name: name.to_owned(),
        line,
        active: true,
        address: address.parse().expect("an address"),
        port,
        weight: Weight::new(weight).expect("a weight"),
        limits: Limits::default(),
        forwarding: Forwarding::Nat,
        hooks: Hooks::default(),
    }
}

fn check(send: &str, expect: &str) -> Check {
    Check {
        client_monitor: None,
        spec: None,
        send: Some(send.to_owned()),
        expect: Some(expect.to_owned()),
        use_regex: false,
        send_program: None,
        interval: Duration::from_secs(1),
        pace: Pace::default(),
        reentry: Duration::from_secs(3),
        rise: 1,
        fall: 1,
        damping: None,
        load_monitor: Some("none".to_owned()),
    }
}

#[test]
fn the_example_is_a_pair_of_nat_routers() {
    let config = example();
    assert_eq!(config.serial_no, 1);
    assert_eq!(config.service, ServiceKind::Lvs);
    assert_eq!(config.primary.public.to_string(), "192.0.2.2");
    assert_eq!(config.primary.private.unwrap().to_string(), "172.16.0.1");
    let backup = config.backup.unwrap();
    assert_eq!(backup.public.to_string(), "192.0.2.3");
    assert_eq!(backup.private.unwrap().to_string(), "172.16.0.2");
    assert!(config.backup_active);
    assert_eq!(config.heartbeat.port, 539);
    assert_eq!(config.heartbeat.keepalive, Duration::from_secs(1));
    assert_eq!(config.heartbeat.deadtime, Duration::from_secs(3));
    assert_eq!(config.network, Forwarding::Nat);
    let nat_router = config.nat_router.unwrap();
    assert_eq!(nat_router.address.to_string(), "10.0.0.1");
    assert_eq!(nat_router.prefix, Some(24));
    assert_eq!((nat_router.device.interface(), nat_router.device.label()), ("eth1", "eth1:1"));
    assert_eq!((config.active_cmd, config.inactive_cmd, config.sync_daemon), (None, None, None));
    assert!(!config.monitor_links);
    assert_eq!(config.timeouts, Timeouts::default());
    assert_eq!(config.failover_services, []);
}

#[test]
fn the_example_moves_three_addresses() {
    let config = example();
    let moved: Vec<String> =
        config.floating_addresses().iter().map(|f| format!("{} {}", f.address, f.device)).collect();
    assert_eq!(moved, ["192.0.2.10 eth0:1", "192.0.2.11 eth0:2", "10.0.0.1 eth1:1"]);
}

#[test]
fn the_example_serves_a_web_site_and_a_line_service() {
    let config = example();
    let [web, orders] = config.virtual_servers.as_slice() else { panic!("{:#?}", config.virtual_servers) };
    let expected_web = VirtualServer {
        name: "web".to_owned(),
        line: web.line,
        active: true,
        address: web.address.clone(),
        protocol: Protocol::Tcp,
        port: 80,
        fwmark: None,
        scheduler: Scheduler::Wrr,
        scheduler_flags: SchedulerFlags::default(),
        one_packet: false,
        persistence: None,
        forwarding: Forwarding::Nat,
        sorry_server: Some(SorryServer {
            address: "10.0.0.99".parse().unwrap(),
            port: 80,
            forwarding: Forwarding::Nat,
        }),
        quorum: Quorum { weight: 1, hysteresis: 0 },
        start: StartPolicy::Probe,
        slow_start: SlowStart::default(),
        drain: None,
        hooks: Hooks::default(),
        quiesce: true,
        check: check(r"GET / HTTP/1.0\r\n\r\n", "HTTP/"),
        servers: vec![
            real_server("web1", web.servers[0].line, "10.0.0.11", 80, 1),
            real_server("web2", web.servers[1].line, "10.0.0.12", 80, 2),
            real_server("web3", web.servers[2].line, "10.0.0.13", 80, 3),
        ],
    };
    assert_eq!(*web, expected_web);
    assert_eq!((web.address.address.to_string().as_str(), web.address.prefix), ("192.0.2.10", Some(24)));
    let expected_orders = VirtualServer {
        name: "orders".to_owned(),
        line: orders.line,
        address: orders.address.clone(),
        port: 7000,
        scheduler: Scheduler::Rr,
        sorry_server: None,
        quiesce: false,
        check: check(r"PING\n", "PONG"),
        servers: vec![
            real_server("orders1", orders.servers[0].line, "10.0.0.11", 7070, 1),
            real_server("orders2", orders.servers[1].line, "10.0.0.12", 7070, 1),
        ],
        ..expected_web
    };
    assert_eq!(*orders, expected_orders);
    assert_eq!(
        (orders.address.address.to_string().as_str(), orders.address.prefix),
        ("192.0.2.11", Some(24))
    );
}

#[test]
fn every_example_is_read_without_a_warning() {
    let examples = files("../docs/examples");
    assert!(examples.len() >= 4, "only {} examples", examples.len());
    for path in examples {
        let config = without_warnings(&path);
        assert!(config.active_virtual_servers().count() > 0, "{}", path.display());
    }
}

#[test]
fn the_references_are_what_the_table_says() {
    for (file, generated, option) in
        [("docs/lvs.cf.md", reference_markdown(), ""), ("docs/man/lvs.cf.5", reference_man(), " man")]
    {
        let written =
            fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(file)).unwrap();
        assert!(
            written == generated,
            "{file} is out of date: cargo run -p lvs-config --example lvs_cf_reference{option} > {file}"
        );
    }
}

#[test]
fn monitors_run_as_a_user_by_name_or_by_numbers() {
    let parsed = |value: &str| {
        let text = format!("primary = 192.0.2.1\n{value}\n");
        lvs_config::parse(&text, &lvs_config::SystemNames)
    };
    for good in ["nobody", "0:0"] {
        assert_eq!(
            parsed(&format!("monitor_user = {good}")).config.unwrap().monitor_user.as_deref(),
            Some(good)
        );
    }
    assert_eq!(parsed("").config.unwrap().monitor_user, None);
    let problems = parsed("monitor_user = 99").diagnostics;
    assert!(problems[0].message.starts_with("`monitor_user` cannot be `99`"), "{problems:?}");
}

#[test]
fn metrics_are_served_at_an_address_and_a_port_above_the_privileged_ones() {
    let parsed = |value: &str| {
        let text = format!("primary = 192.0.2.1\nmetrics = {value}\n");
        let parsed = lvs_config::parse(&text, &lvs_config::SystemNames);
        (parsed.config.and_then(|config| config.metrics), parsed.diagnostics)
    };
    for good in ["192.0.2.2:9646", "[::1]:1024"] {
        assert_eq!(parsed(good).0, Some(good.parse().unwrap()));
    }
    for bad in ["192.0.2.2", "9646", "192.0.2.2:1023", "192.0.2.2:70000"] {
        let (metrics, problems) = parsed(bad);
        assert_eq!(metrics, None);
        assert!(problems[0].message.starts_with(&format!("`metrics` cannot be `{bad}`")), "{problems:?}");
    }
}
