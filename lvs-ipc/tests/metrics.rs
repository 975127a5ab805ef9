//! What is exported, and that its documentation, dashboard and alert rules speak of nothing else.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeSet;
use std::path::Path;

use lvs_ipc::metrics::{all, render};
use lvs_ipc::status::LvsStatus;

/// A director with a virtual server whose name is as odd as can be.
const STATUS: &str = r#"{
 "version": "9.8.7", "pid": 4711, "config": "/etc/lvs.cf", "serial_no": 12,
 "reload": {"state": true, "reason": "read at start", "since_ms": 1000},
 "table": {"state": false, "reason": "no memory", "since_ms": 1000},
 "started_ms": 1700000000001, "table_read_ms": 1700000009002,
 "repairs": {"services_added": 1, "services_edited": 0, "services_deleted": 0, "servers_added": 3,
  "servers_edited": 2, "servers_deleted": 0, "last": {"what": "x", "at_ms": 1700000005000}},
 "reloads": {"good": 4, "refused": 5}, "requests": {"sent": 100, "refused": 6, "waiting": 1},
 "monitors": {"running": 2, "starts": 7, "failures": 3, "late_starts": 9},
 "state_file": {"state": true, "reason": "", "since_ms": 0},
 "sysctls": [{"name": "net.ipv4.ip_forward", "wanted": 1, "found": 1, "before": 0, "reason": "", "problem": null, "repairs": 8},
  {"name": "net.ipv4.vs.conntrack", "wanted": 1, "found": null, "before": null, "reason": "", "problem": "x", "repairs": 0}],
 "virtual_servers": [{
  "name": "a \"b\" \\ c", "service": "TCP 192.0.2.80:80", "scheduler": "wlc", "forwarding": "nat", "sorry": false,
  "repairs": 6, "quorum": {"held": {"state": false, "reason": "", "since_ms": 0}, "weight": 3, "lost_below": 4,
   "gained_from": 4},
  "traffic": {"connections": 10, "packets_in": 20, "packets_out": 30, "bytes_in": 40, "bytes_out": 50,
   "per_second": {"connections": 1, "packets_in": 2, "packets_out": 3, "bytes_in": 4, "bytes_out": 5}},
  "real_servers": [
   {"name": "one", "address": "10.0.0.1:80", "weight": 3, "weight_wanted": 4, "forwarding": "nat",
    "connections": {"active": 11, "inactive": 12, "persistent": 13},
    "traffic": {"connections": 14, "packets_in": 15, "packets_out": 16, "bytes_in": 17, "bytes_out": 18,
     "per_second": {"connections": 1, "packets_in": 2, "packets_out": 3, "bytes_in": 4, "bytes_out": 5}},
    "health": {"state": "up", "reason": "ok", "since_ms": 1700000001500}, "health_changes": 1,
    "monitor": {"state": "running", "reason": "started", "since_ms": 0},
    "monitor_process": {"pid": 5000, "starts": 2, "failures": 1, "late_starts": 6,
     "given_up": false},
    "overrides": [{"what": "drain", "by": "root (process 1)", "at_ms": 5}]},
   {"name": "two", "address": "10.0.0.2:80", "weight": null,
    "health": {"state": "unknown", "reason": "", "since_ms": 0},
    "monitor": {"state": "stopped", "reason": "", "since_ms": 0}, "monitor_process": {"pid": null, "starts": 1,
    "failures": 1, "given_up": true}}
  ]}]
}"#;

fn rendered() -> String {
    render(&serde_json::from_str::<LvsStatus>(STATUS).unwrap())
}

#[test]
fn every_sample_has_its_exact_value() {
    let text = rendered();
    let samples: BTreeSet<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    let vs = r#"vs="a \"b\" \\ c",service="TCP 192.0.2.80:80""#;
    let one = format!(r#"{{{vs},rs="one",address="10.0.0.1:80"}}"#);
    let two = format!(r#"{{{vs},rs="two",address="10.0.0.2:80"}}"#);
    let expected = [
        "lvs_build_info{version=\"9.8.7\"} 1".to_owned(),
        "lvs_process_start_time_seconds 1700000000.001".into(),
        "lvs_config_serial_number 12".into(),
        "lvs_config_in_force 1".into(),
        "lvs_reloads_total{result=\"good\"} 4".into(),
        "lvs_reloads_total{result=\"refused\"} 5".into(),
        "lvs_table_as_wanted 0".into(),
        "lvs_table_read_timestamp_seconds 1700000009.002".into(),
        "lvs_table_repairs_total{kind=\"service_added\"} 1".into(),
        "lvs_table_repairs_total{kind=\"server_added\"} 3".into(),
        "lvs_table_repairs_total{kind=\"server_edited\"} 2".into(),
        "lvs_table_last_repair_timestamp_seconds 1700000005.000".into(),
        "lvs_kernel_requests_total 100".into(),
        "lvs_kernel_requests_refused_total 6".into(),
        "lvs_kernel_requests_waiting 1".into(),
        "lvs_monitors_running 2".into(),
        "lvs_monitor_starts_total 7".into(),
        "lvs_monitor_failures_total 3".into(),
        "lvs_check_late_starts_total 9".into(),
        "lvs_state_saved 1".into(),
        "lvs_setting_as_wanted{name=\"net.ipv4.ip_forward\"} 1".into(),
        "lvs_setting_as_wanted{name=\"net.ipv4.vs.conntrack\"} 0".into(),
        "lvs_setting_repairs_total{name=\"net.ipv4.ip_forward\"} 8".into(),
        format!("lvs_virtual_server_info{{{vs},scheduler=\"wlc\",method=\"nat\"}} 1"),
        format!("lvs_virtual_server_real_servers{{{vs}}} 2"),
        format!("lvs_virtual_server_real_servers_up{{{vs}}} 1"),
        format!("lvs_virtual_server_real_servers_serving{{{vs}}} 1"),
        format!("lvs_virtual_server_real_servers_leaving{{{vs}}} 0"),
        format!("lvs_virtual_server_sorry_serving{{{vs}}} 0"),
        format!("lvs_virtual_server_quorum_held{{{vs}}} 0"),
        format!("lvs_virtual_server_quorum_weight{{{vs}}} 3"),
        format!("lvs_virtual_server_in_table{{{vs}}} 1"),
        format!("lvs_virtual_server_repairs_total{{{vs}}} 6"),
        format!("lvs_virtual_server_connections_total{{{vs}}} 10"),
        format!("lvs_virtual_server_incoming_packets_total{{{vs}}} 20"),
        format!("lvs_virtual_server_outgoing_packets_total{{{vs}}} 30"),
        format!("lvs_virtual_server_incoming_bytes_total{{{vs}}} 40"),
        format!("lvs_virtual_server_outgoing_bytes_total{{{vs}}} 50"),
        format!("lvs_real_server_up{one} 1"),
        format!("lvs_real_server_checked{two} 0"),
        format!("lvs_real_server_health_timestamp_seconds{one} 1700000001.500"),
        format!("lvs_real_server_health_changes_total{one} 1"),
        format!("lvs_real_server_weight{one} 3"),
        format!("lvs_real_server_weight_wanted{one} 4"),
        format!("lvs_real_server_active_connections{one} 11"),
        format!("lvs_real_server_inactive_connections{one} 12"),
        format!("lvs_real_server_persistent_connections{one} 13"),
        format!("lvs_real_server_connections_total{one} 14"),
        format!("lvs_real_server_incoming_packets_total{one} 15"),
        format!("lvs_real_server_outgoing_packets_total{one} 16"),
        format!("lvs_real_server_incoming_bytes_total{one} 17"),
        format!("lvs_real_server_outgoing_bytes_total{one} 18"),
        format!("lvs_real_server_monitor_running{one} 1"),
        format!("lvs_real_server_monitor_running{two} 0"),
        format!("lvs_real_server_monitor_given_up{two} 1"),
        format!("lvs_real_server_monitor_starts_total{one} 2"),
        format!("lvs_real_server_monitor_failures_total{one} 1"),
        format!("lvs_real_server_check_late_starts_total{one} 6"),
        format!("lvs_real_server_check_late_starts_total{two} 0"),
        format!("lvs_real_server_overridden{one} 1"),
        format!("lvs_real_server_draining{one} 1"),
    ];
    for sample in &expected {
        assert!(samples.contains(sample.as_str()), "{sample}\nis not in\n{text}");
    }
    // Whatever is not in the table has no weight and no traffic, which is not the same as none.
    let absent = ["weight", "active_connections", "connections_total", "incoming_bytes_total"];
    for metric in absent {
        assert!(!text.contains(&format!("lvs_real_server_{metric}{two}")), "{metric}\n{text}");
    }
}

#[test]
fn every_metric_is_described_once_and_named_by_the_rules() {
    let text = rendered();
    let mut names = BTreeSet::new();
    for metric in all() {
        assert!(names.insert(metric.name), "{} twice", metric.name);
        assert_eq!(metric.kind == lvs_ipc::exposition::Kind::Counter, metric.name.ends_with("_total"));
        assert!(metric.name.starts_with("lvs_") && metric.help.ends_with('.'), "{metric:?}");
        let lines = |start: String| text.lines().filter(|line| line.starts_with(&start)).count();
        assert_eq!(lines(format!("# HELP {} ", metric.name)), 1, "{} is in the sample", metric.name);
        assert_eq!(lines(format!("# TYPE {} {}", metric.name, metric.kind)), 1);
        assert!(lines(metric.name.to_owned()) >= 1);
    }
    // Samples of a metric stand together, below its description.
    let mut current = "";
    for line in text.lines() {
        match line.strip_prefix("# TYPE ") {
            Some(described) => current = described.split(' ').next().unwrap(),
            None if line.starts_with('#') => {}
            None => assert_eq!(line.split(['{', ' ']).next(), Some(current)),
        }
    }
}

fn document(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn the_documentation_lists_exactly_what_is_exported() {
    let document = document("metrics.md");
    let listed: Vec<&str> = document.lines().filter(|line| line.starts_with("| `lvs_")).collect();
    let exported: Vec<String> = all()
        .map(|metric| {
            let labels: Vec<String> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
            format!("| `{}` | {} | {} | {} |", metric.name, metric.kind, labels.join(", "), metric.help)
        })
        .collect();
    assert_eq!(listed, exported, "docs/metrics.md should have\n{}\n", exported.join("\n"));
}

/// The words of `text` that look like metrics of ours.
fn metrics_in(text: &str) -> BTreeSet<&str> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|word| word.starts_with("lvs_"))
        .collect()
}

fn assert_all_are_exported(used: &BTreeSet<&str>) {
    let exported: BTreeSet<&str> = all().map(|metric| metric.name).collect();
    let unknown: Vec<&&str> = used.difference(&exported).collect();
    assert!(unknown.is_empty(), "not exported: {unknown:?}");
    assert!(!used.is_empty());
}

#[test]
fn the_dashboard_is_json_and_asks_only_for_what_is_exported() {
    let text = document("grafana/lvs-router.json");
    let dashboard: serde_json::Value = serde_json::from_str(&text).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let expressions: Vec<&str> = panels
        .iter()
        .flat_map(|panel| panel["targets"].as_array().into_iter().flatten())
        .map(|target| target["expr"].as_str().unwrap())
        .collect();
    assert!(expressions.len() >= panels.len() / 2, "{expressions:?}");
    assert_all_are_exported(&metrics_in(&text));
    let variables = dashboard["templating"]["list"].as_array().unwrap();
    let names: Vec<&str> = variables.iter().map(|variable| variable["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["datasource", "instance", "vs"]);
    let ids: BTreeSet<u64> = panels.iter().map(|panel| panel["id"].as_u64().unwrap()).collect();
    assert_eq!(ids.len(), panels.len(), "each panel has an id of its own");
}

#[test]
fn the_alert_rules_ask_only_for_what_is_exported_and_explain_themselves() {
    let text = document("prometheus/alerts.yml");
    let rules: Vec<&str> = text.split("\n      - alert: ").skip(1).collect();
    assert!(rules.len() >= 8, "{}", rules.len());
    let mut used = BTreeSet::new();
    for rule in rules {
        let name = rule.lines().next().unwrap();
        for part in ["expr:", "severity:", "summary:", "description:"] {
            assert!(rule.contains(part), "{name} has no {part}");
        }
        let expression = rule.split("expr:").nth(1).unwrap().split("labels:").next().unwrap();
        used.extend(metrics_in(expression));
    }
    assert_all_are_exported(&used);
}
