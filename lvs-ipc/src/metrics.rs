//! The metrics of `lvs`: a snapshot of its status in, the text for Prometheus out. Pure.
//!
//! What is exported stands in three tables, from which `docs/metrics.md` is checked too. Names are stable: a metric may
//! come, none changes its meaning. Rates are not exported, because a collector computes them from the counters.

use crate::counts::Traffic;
use crate::exposition::{Kind, Metric, Value, labels, write};
use crate::status::{
    Child, Health, LvsStatus, Override, RealServerStatus, SysctlStatus, VirtualServerStatus,
};

/// Labels of what is told of a virtual server.
const OF_VIRTUAL: &[&str] = &["vs", "service"];
/// Labels of what is told of a real server.
const OF_REAL: &[&str] = &["vs", "service", "rs", "address"];

/// Samples of a metric of the director: values of its label, if it has one, and numbers.
type Samples = Vec<(String, Value)>;

/// Metrics of a `T`, each with how its value is found; `None` is told of nobody.
type Table<T> = &'static [(Metric, fn(&T) -> Option<Value>)];
/// Metrics of the director, each with how its samples are found.
type DirectorTable = &'static [(Metric, fn(&LvsStatus) -> Samples)];

const fn counter(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Metric {
    Metric { name, kind: Kind::Counter, labels, help }
}

const fn gauge(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Metric {
    Metric { name, kind: Kind::Gauge, labels, help }
}

fn one(value: impl Into<Value>) -> Samples {
    vec![(String::new(), value.into())]
}

fn maybe(value: Option<Value>) -> Samples {
    value.map(|value| (String::new(), value)).into_iter().collect()
}

fn settings(lvs: &LvsStatus, value: fn(&SysctlStatus) -> Value) -> Samples {
    lvs.sysctls.iter().map(|setting| (setting.name.clone(), value(setting))).collect()
}

/// What is told of the director.
const DIRECTOR: DirectorTable = &[
    (gauge("lvs_build_info", &["version"], "Always 1; the label tells the version of the program."), |lvs| {
        vec![(lvs.version.clone(), Value::Count(1))]
    }),
    (
        gauge("lvs_process_start_time_seconds", &[], "When the director began to serve, as Unix time."),
        |lvs| one(Value::Millis(lvs.started_ms)),
    ),
    (gauge("lvs_config_serial_number", &[], "serial_no of the configuration in force."), |lvs| {
        one(Value::Count(lvs.serial_no))
    }),
    (
        gauge(
            "lvs_config_in_force",
            &[],
            "1 when the configuration file as last read is in force, 0 when it was refused.",
        ),
        |lvs| one(lvs.reload.state),
    ),
    (
        counter(
            "lvs_reloads_total",
            &["result"],
            "Readings of the configuration file after the first: good or refused.",
        ),
        |lvs| {
            let count = |result: &str, count| (result.to_owned(), Value::Count(count));
            vec![count("good", lvs.reloads.good), count("refused", lvs.reloads.refused)]
        },
    ),
    (
        gauge(
            "lvs_table_as_wanted",
            &[],
            "1 when the table of the kernel is as wanted, 0 when something keeps it from being so.",
        ),
        |lvs| one(lvs.table.state),
    ),
    (
        gauge(
            "lvs_table_read_timestamp_seconds",
            &[],
            "When the table of the kernel was last read, as Unix time.",
        ),
        |lvs| maybe(lvs.table_read_ms.map(Value::Millis)),
    ),
    (
        counter(
            "lvs_table_repairs_total",
            &["kind"],
            "Changes of our services by others that were put right, by what that took.",
        ),
        |lvs| lvs.repairs.by_kind().map(|(kind, count)| (kind.to_owned(), Value::Count(count))).into(),
    ),
    (
        gauge(
            "lvs_table_last_repair_timestamp_seconds",
            &[],
            "When a change by others was last put right, as Unix time.",
        ),
        |lvs| maybe(lvs.repairs.last.as_ref().map(|last| Value::Millis(last.at_ms))),
    ),
    (counter("lvs_kernel_requests_total", &[], "Requests sent to the kernel."), |lvs| {
        one(Value::Count(lvs.requests.sent))
    }),
    (
        counter(
            "lvs_kernel_requests_refused_total",
            &[],
            "Requests that the kernel refused, each attempt counted.",
        ),
        |lvs| one(Value::Count(lvs.requests.refused)),
    ),
    (
        gauge(
            "lvs_kernel_requests_waiting",
            &[],
            "Requests that the kernel refused and that are to be tried again.",
        ),
        |lvs| one(Value::Count(lvs.requests.waiting)),
    ),
    (gauge("lvs_monitors_running", &[], "Monitors (nanny) that run."), |lvs| {
        one(Value::Count(lvs.monitors.running))
    }),
    (counter("lvs_monitor_starts_total", &[], "Starts of monitors."), |lvs| {
        one(Value::Count(lvs.monitors.starts))
    }),
    (
        counter(
            "lvs_monitor_failures_total",
            &[],
            "Monitors that ended by themselves, could not be started or had to be replaced.",
        ),
        |lvs| one(Value::Count(lvs.monitors.failures)),
    ),
    (
        counter(
            "lvs_check_late_starts_total",
            &[],
            "Checks that began later than they were due, by more than 0.1 s or a tenth of their interval.",
        ),
        |lvs| one(Value::Count(lvs.monitors.late_starts)),
    ),
    (
        gauge(
            "lvs_state_saved",
            &[],
            "1 when what is to survive a restart is in the state file, 0 when it could not be written.",
        ),
        |lvs| maybe(lvs.state_file.as_ref().map(|saved| saved.state.into())),
    ),
    (
        gauge(
            "lvs_setting_as_wanted",
            &["name"],
            "1 while a setting of the kernel has the value that is wanted, 0 while it has not.",
        ),
        |lvs| settings(lvs, |setting| (setting.found == Some(setting.wanted)).into()),
    ),
    (
        counter(
            "lvs_setting_repairs_total",
            &["name"],
            "Changes of a setting of the kernel by others that were put right.",
        ),
        |lvs| settings(lvs, |setting| Value::Count(setting.repairs)),
    ),
];

/// What is told of a virtual server.
const VIRTUAL: Table<VirtualServerStatus> = &[
    (gauge("lvs_virtual_server_real_servers", OF_VIRTUAL, "Active real servers in the file."), |vs| {
        Some(count(vs, |_| true))
    }),
    (gauge("lvs_virtual_server_real_servers_up", OF_VIRTUAL, "Real servers whose check is good."), |vs| {
        Some(count(vs, |rs| rs.health.state == Health::Up))
    }),
    (
        gauge(
            "lvs_virtual_server_real_servers_serving",
            OF_VIRTUAL,
            "Real servers that get new connections: in the table with a weight above 0.",
        ),
        |vs| Some(count(vs, |rs| rs.weight.is_some_and(|weight| weight > 0))),
    ),
    (
        gauge(
            "lvs_virtual_server_real_servers_leaving",
            OF_VIRTUAL,
            "Real servers that the file does not name any more and that are being drained.",
        ),
        |vs| Some(Value::Count(vs.leaving.iter().map(|_| 1).sum())),
    ),
    (gauge("lvs_virtual_server_sorry_serving", OF_VIRTUAL, "1 while the sorry server serves."), |vs| {
        Some(vs.sorry.into())
    }),
    (
        gauge(
            "lvs_virtual_server_quorum_held",
            OF_VIRTUAL,
            "1 while enough real servers take connections, 0 while too few do; absent until that is decided.",
        ),
        |vs| vs.quorum.as_ref().map(|quorum| quorum.held.state.into()),
    ),
    (
        gauge(
            "lvs_virtual_server_quorum_weight",
            OF_VIRTUAL,
            "Weight, as in the file, of the real servers that take connections.",
        ),
        |vs| vs.quorum.as_ref().map(|quorum| Value::Count(quorum.weight)),
    ),
    (gauge("lvs_virtual_server_in_table", OF_VIRTUAL, "1 while the kernel has the service."), |vs| {
        Some(vs.traffic.is_some().into())
    }),
    (
        counter(
            "lvs_virtual_server_repairs_total",
            OF_VIRTUAL,
            "Changes of this service and its real servers by others that were put right.",
        ),
        |vs| Some(Value::Count(vs.repairs)),
    ),
    (
        counter(
            "lvs_virtual_server_connections_total",
            OF_VIRTUAL,
            "Connections scheduled, as the kernel counts them.",
        ),
        |vs| counted(vs.traffic, |traffic| traffic.connections),
    ),
    (counter("lvs_virtual_server_incoming_packets_total", OF_VIRTUAL, "Packets from clients."), |vs| {
        counted(vs.traffic, |traffic| traffic.packets_in)
    }),
    (
        counter(
            "lvs_virtual_server_outgoing_packets_total",
            OF_VIRTUAL,
            "Packets to clients; 0 unless answers pass through this router.",
        ),
        |vs| counted(vs.traffic, |traffic| traffic.packets_out),
    ),
    (counter("lvs_virtual_server_incoming_bytes_total", OF_VIRTUAL, "Bytes from clients."), |vs| {
        counted(vs.traffic, |traffic| traffic.bytes_in)
    }),
    (
        counter(
            "lvs_virtual_server_outgoing_bytes_total",
            OF_VIRTUAL,
            "Bytes to clients; 0 unless answers pass through this router.",
        ),
        |vs| counted(vs.traffic, |traffic| traffic.bytes_out),
    ),
];

/// What is told of a real server of a virtual server.
const REAL: Table<RealServerStatus> = &[
    (
        gauge(
            "lvs_real_server_up",
            OF_REAL,
            "1 when its check is good, 0 when it is not or has not been made yet.",
        ),
        |rs| Some((rs.health.state == Health::Up).into()),
    ),
    (
        gauge("lvs_real_server_checked", OF_REAL, "1 when it has been checked since the director knows it."),
        |rs| Some((rs.health.state != Health::Unknown).into()),
    ),
    (
        gauge(
            "lvs_real_server_health_timestamp_seconds",
            OF_REAL,
            "Since when its health is as it is, as Unix time.",
        ),
        |rs| Some(Value::Millis(rs.health.since_ms)),
    ),
    (counter("lvs_real_server_health_changes_total", OF_REAL, "Changes of its health."), |rs| {
        Some(Value::Count(rs.health_changes))
    }),
    (
        gauge(
            "lvs_real_server_weight",
            OF_REAL,
            "Its weight in the kernel; absent while it is not in the table.",
        ),
        |rs| rs.weight.map(|weight| Value::Count(weight.into())),
    ),
    (
        gauge(
            "lvs_real_server_weight_wanted",
            OF_REAL,
            "The weight that it should have in the kernel; absent while it should not be in the table.",
        ),
        |rs| rs.weight_wanted.map(|weight| Value::Count(weight.into())),
    ),
    (gauge("lvs_real_server_active_connections", OF_REAL, "Established connections."), |rs| {
        rs.connections.map(|now| Value::Count(now.active.into()))
    }),
    (
        gauge(
            "lvs_real_server_inactive_connections",
            OF_REAL,
            "Connections in any other state, and those of UDP.",
        ),
        |rs| rs.connections.map(|now| Value::Count(now.inactive.into())),
    ),
    (
        gauge(
            "lvs_real_server_persistent_connections",
            OF_REAL,
            "Clients that come back to this server because of persistence.",
        ),
        |rs| rs.connections.map(|now| Value::Count(now.persistent.into())),
    ),
    (
        counter(
            "lvs_real_server_connections_total",
            OF_REAL,
            "Connections scheduled, as the kernel counts them.",
        ),
        |rs| counted(rs.traffic, |traffic| traffic.connections),
    ),
    (counter("lvs_real_server_incoming_packets_total", OF_REAL, "Packets from clients."), |rs| {
        counted(rs.traffic, |traffic| traffic.packets_in)
    }),
    (
        counter(
            "lvs_real_server_outgoing_packets_total",
            OF_REAL,
            "Packets to clients; 0 unless answers pass through this router.",
        ),
        |rs| counted(rs.traffic, |traffic| traffic.packets_out),
    ),
    (counter("lvs_real_server_incoming_bytes_total", OF_REAL, "Bytes from clients."), |rs| {
        counted(rs.traffic, |traffic| traffic.bytes_in)
    }),
    (
        counter(
            "lvs_real_server_outgoing_bytes_total",
            OF_REAL,
            "Bytes to clients; 0 unless answers pass through this router.",
        ),
        |rs| counted(rs.traffic, |traffic| traffic.bytes_out),
    ),
    (gauge("lvs_real_server_monitor_running", OF_REAL, "1 while the monitor that checks it runs."), |rs| {
        Some((rs.monitor.state == Child::Running).into())
    }),
    (
        gauge(
            "lvs_real_server_monitor_given_up",
            OF_REAL,
            "1 when its monitor ended for good and waits for a reload.",
        ),
        |rs| Some(rs.monitor_process.given_up.into()),
    ),
    (
        counter("lvs_real_server_monitor_starts_total", OF_REAL, "Starts of the monitor that checks it."),
        |rs| Some(Value::Count(rs.monitor_process.starts)),
    ),
    (
        counter(
            "lvs_real_server_monitor_failures_total",
            OF_REAL,
            "How often that monitor ended by itself, could not be started or had to be replaced.",
        ),
        |rs| Some(Value::Count(rs.monitor_process.failures)),
    ),
    (
        counter(
            "lvs_real_server_check_late_starts_total",
            OF_REAL,
            "Checks of it that began later than they were due.",
        ),
        |rs| Some(Value::Count(rs.monitor_process.late_starts)),
    ),
    (
        gauge(
            "lvs_real_server_overridden",
            OF_REAL,
            "1 while an operator has asked for something else than the file and the check.",
        ),
        |rs| Some((!rs.overrides.is_empty()).into()),
    ),
    (gauge("lvs_real_server_draining", OF_REAL, "1 while it is being drained."), |rs| {
        let draining = |asked: &Override| matches!(asked, Override::Drain { ended: None, .. });
        Some(rs.overrides.iter().any(|asked| draining(&asked.what)).into())
    }),
];

/// Scheduler and forwarding method, which are no numbers.
const VIRTUAL_INFO: Metric = gauge(
    "lvs_virtual_server_info",
    &["vs", "service", "scheduler", "method"],
    "Always 1; the labels tell scheduler and forwarding method.",
);

fn count(vs: &VirtualServerStatus, which: impl Fn(&&RealServerStatus) -> bool) -> Value {
    Value::Count(vs.real_servers.iter().filter(which).map(|_| 1).sum())
}

fn counted(traffic: Option<Traffic>, which: impl Fn(Traffic) -> u64) -> Option<Value> {
    traffic.map(|traffic| Value::Count(which(traffic)))
}

/// All that is exported, in order.
pub fn all() -> impl Iterator<Item = &'static Metric> {
    let director = DIRECTOR.iter().map(|(metric, _)| metric);
    let virtual_servers = std::iter::once(&VIRTUAL_INFO).chain(VIRTUAL.iter().map(|(metric, _)| metric));
    director.chain(virtual_servers).chain(REAL.iter().map(|(metric, _)| metric))
}

/// The text.
#[must_use]
pub fn render(status: &LvsStatus) -> String {
    let mut text = String::new();
    for (metric, samples) in DIRECTOR {
        let samples = samples(status).into_iter();
        write(&mut text, metric, samples.map(|(value, number)| (labels(metric.labels, &[&value]), number)));
    }
    let virtual_servers: Vec<(String, &VirtualServerStatus)> =
        status.virtual_servers.iter().map(|vs| (labels(OF_VIRTUAL, &[&vs.name, &vs.service]), vs)).collect();
    let infos = status.virtual_servers.iter().map(|vs| {
        let values = [&*vs.name, &vs.service, &vs.scheduler, &vs.forwarding];
        (labels(VIRTUAL_INFO.labels, &values), Value::Count(1))
    });
    write(&mut text, &VIRTUAL_INFO, infos);
    for (metric, value) in VIRTUAL {
        write(&mut text, metric, virtual_servers.iter().filter_map(|(of, vs)| Some((of, value(vs)?))));
    }
    let real_servers: Vec<(String, &RealServerStatus)> = status
        .virtual_servers
        .iter()
        .flat_map(|vs| vs.real_servers.iter().map(move |rs| (vs, rs)))
        .map(|(vs, rs)| (labels(OF_REAL, &[&vs.name, &vs.service, &rs.name, &rs.address]), rs))
        .collect();
    for (metric, value) in REAL {
        write(&mut text, metric, real_servers.iter().filter_map(|(of, rs)| Some((of, value(rs)?))));
    }
    text
}
