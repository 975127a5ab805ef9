//! Every detail of one real server. Pure.

use std::fmt::Write as _;

use lvs_ipc::status::{Health, RealServerStatus, VirtualServerStatus};

use super::look::{Colours, Tone, age};
use super::notes;
use crate::wording::{counted, late_starts};

/// The details, one to a line.
pub(super) fn render(
    virtual_server: &VirtualServerStatus,
    server: &RealServerStatus,
    now_ms: u64,
    colours: Colours,
) -> String {
    let mut text = String::new();
    let title = format!("{}/{}", virtual_server.name, server.name);
    let VirtualServerStatus { service, scheduler, .. } = virtual_server;
    // Writing to a String cannot fail.
    let _ =
        writeln!(text, "{}: {} of {service} {scheduler}", colours.paint(Tone::Title, &title), server.address);
    let mut line = |name: &str, value: String| {
        let _ = writeln!(text, "  {name:<12} {value}");
    };
    let tone = match server.health.state {
        Health::Up => Tone::Good,
        Health::Down => Tone::Bad,
        Health::Unknown => Tone::Odd,
    };
    let since = age(server.health.since_ms, now_ms);
    let state = colours.paint(tone, &server.health.state.to_string());
    let changes = counted(server.health_changes, "change");
    line("state", format!("{state} for {since}: {}; {changes}", server.health.reason));
    let weight = |weight: Option<u32>| weight.map_or("none".to_owned(), |weight| weight.to_string());
    line("weight", format!("{}, {} wanted", weight(server.weight), weight(server.weight_wanted)));
    line("method", server.forwarding.clone());
    if let Some(check) = &virtual_server.check {
        line("check", check.clone());
    }
    if let Some(now) = server.connections {
        let (active, inactive, persistent) = (now.active, now.inactive, now.persistent);
        line("connections", format!("{active} active, {inactive} inactive, {persistent} persistent"));
    }
    if let Some(traffic) = server.traffic {
        let now = traffic.per_second;
        let passed = |total: u64, rate: u64| format!("{total} ({rate}/s)");
        line("scheduled", passed(traffic.connections, now.connections));
        line("packets in", passed(traffic.packets_in, now.packets_in));
        line("packets out", passed(traffic.packets_out, now.packets_out));
        line("bytes in", passed(traffic.bytes_in, now.bytes_in));
        line("bytes out", passed(traffic.bytes_out, now.bytes_out));
    }
    let process = server.monitor_process;
    let pid = process.pid.map_or(String::new(), |pid| format!(" as process {pid}"));
    let (starts, failures) = (counted(process.starts, "start"), counted(process.failures, "failure"));
    let (state, since) = (server.monitor.state, age(server.monitor.since_ms, now_ms));
    let reason = &server.monitor.reason;
    let late = late_starts(process.late_starts);
    line("monitor", format!("{state}{pid} for {since}: {reason}; {starts}, {failures}{late}"));
    if let Some(last) = &server.last_change {
        line("last change", format!("{} ago: {}", age(last.at_ms, now_ms), last.what));
    }
    if let Some(climb) = notes::climb_text(server, now_ms) {
        line("slow start", climb);
    }
    for asked in &server.overrides {
        line("override", notes::override_text(asked, now_ms));
    }
    text
}
