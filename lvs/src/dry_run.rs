//! `lvs -t`: what serving a file would do, as lines for a shell. Pure; nothing is started or changed.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use ipvsadm::{Request, ServiceId, Table};
use lvs_config::Config;
use lvs_config::model::{StartPolicy, VirtualServer};

use crate::desired::wanted;
use crate::feeds::feeds;
use crate::health::Standing;
use crate::identity::{ServerKey, destination_id, service_id};
use crate::kernel::Reading;
use crate::nanny_args::MonitorSettings;
use crate::plan::{plan, timeouts, timeouts_missing};

/// The lines, given what the kernel has; `None` if that cannot be read.
#[must_use]
pub fn render(config: &Config, monitors: &MonitorSettings, read: Option<&Reading>) -> String {
    let mut text = String::new();
    if read.is_none() {
        text.push_str("# The kernel's table cannot be read; the lines are for an empty one.\n");
    }
    let Reading { mut table, timeouts: known } = read.cloned().unwrap_or_default();
    let kept: BTreeMap<ServerKey, u32> =
        config.active_virtual_servers().flat_map(|v| rows_kept(v, &table)).collect();
    let existing: BTreeSet<ServiceId> = table.services.iter().map(|entry| entry.service.id).collect();
    let policies: BTreeMap<ServiceId, StartPolicy> =
        config.active_virtual_servers().map(|v| (service_id(v), v.start)).collect();
    let at_once = wanted(config, |key| match kept.get(key) {
        Some(weight) => Standing::Kept(*weight),
        None => match policies.get(&key.service) {
            Some(StartPolicy::Up) => Standing::Serving(None),
            Some(StartPolicy::Probe) if !existing.contains(&key.service) => Standing::Awaited,
            _ => Standing::Out,
        },
    });
    let mut first: Vec<Request> = timeouts_missing(timeouts(config.timeouts), known).into_iter().collect();
    first.extend(plan_and_accept(&at_once, &mut table));
    section(&mut text, "At once:", &first);
    let checked = wanted(config, |_| Standing::Serving(None));
    section(
        &mut text,
        "When every real server has passed its check:",
        &plan_and_accept(&checked, &mut table),
    );
    text.push_str("# Monitors:\n");
    for feed in feeds(monitors, config) {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{}", feed.command.shell_line());
    }
    text
}

/// The servers whose row is in the table already, with its weight; they keep it until their first check.
fn rows_kept(virtual_server: &VirtualServer, table: &Table) -> Vec<(ServerKey, u32)> {
    let Some(entry) = table.find(&service_id(virtual_server)) else { return Vec::new() };
    let row = |server| entry.find(&destination_id(virtual_server, server));
    virtual_server
        .active_servers()
        .filter_map(|server| Some((server, row(server)?)))
        .map(|(server, row)| (ServerKey::of(virtual_server, server), row.destination.weight))
        .collect()
}

fn plan_and_accept(wanted: &crate::desired::Wanted, table: &mut Table) -> Vec<Request> {
    let requests = plan(wanted, table, &BTreeSet::new());
    table.apply(&requests);
    requests
}

fn section(text: &mut String, title: &str, requests: &[Request]) {
    let _ = writeln!(text, "# {title}");
    for request in requests {
        let _ = writeln!(text, "ipvsadm {request}");
    }
    if requests.is_empty() {
        text.push_str("# nothing\n");
    }
}
