//! What is to be said of a real server or a virtual server beside its numbers: why it is not up, what an operator asked
//! for, what is under way. Pure.

use lvs_ipc::status::{
    Child, Health, LeavingStatus, Left, Override, OverrideStatus, RealServerStatus, VirtualServerStatus,
};

use super::look::{Tone, age};

/// A line below a row.
pub(super) type Note = (Tone, String);

/// The notes on a real server that are shown unasked.
pub(super) fn of_server(server: &RealServerStatus, now_ms: u64) -> Vec<Note> {
    let mut notes = Vec::new();
    if server.health.state != Health::Up && !server.health.reason.is_empty() {
        let tone = if server.health.state == Health::Down { Tone::Bad } else { Tone::Odd };
        notes.push((tone, server.health.reason.clone()));
    }
    let monitor = &server.monitor;
    if matches!(monitor.state, Child::Waiting | Child::Stopped) && !monitor.reason.is_empty() {
        let what =
            if server.monitor_process.given_up { "given up until a reload" } else { "waits to restart" };
        notes.push((Tone::Bad, format!("monitor {what}: {}", monitor.reason)));
    }
    notes.extend(climb_text(server, now_ms).map(|text| (Tone::Odd, text)));
    notes.extend(server.overrides.iter().map(|asked| (Tone::Odd, override_text(asked, now_ms))));
    notes
}

/// The notes on a virtual server.
pub(super) fn of_virtual_server(virtual_server: &VirtualServerStatus, now_ms: u64) -> Vec<Note> {
    let mut notes = Vec::new();
    if let Some(quorum) = virtual_server.quorum.as_ref().filter(|quorum| !quorum.held.state) {
        let (weight, needed) = (quorum.weight, quorum.gained_from);
        let since = age(quorum.held.since_ms, now_ms);
        notes.push((Tone::Bad, format!("quorum lost for {since}: weight {weight}, {needed} needed")));
    }
    notes.extend(virtual_server.overrides.iter().map(|asked| (Tone::Odd, override_text(asked, now_ms))));
    notes.extend(virtual_server.leaving.iter().map(|leaving| (Tone::Odd, leaving_text(leaving, now_ms))));
    notes
}

/// How far a growing weight is.
pub(super) fn climb_text(server: &RealServerStatus, now_ms: u64) -> Option<String> {
    let left = age(now_ms, server.slow_start_until_ms?);
    let now = server.weight.unwrap_or_default();
    // A director of another version may not tell.
    let full = server.slow_start_weight.map_or(String::new(), |full| format!(" of {full}"));
    Some(format!("climbing, {now}{full}, full weight in {left}"))
}

/// Who asked for what, when and why.
pub(super) fn override_text(asked: &OverrideStatus, now_ms: u64) -> String {
    let what = match &asked.what {
        Override::Drain { ended: Some(how), .. } => format!("drained ({how})"),
        Override::Drain { deadline_ms, left, ended: None } => {
            let deadline = deadline_ms.map_or(String::new(), |at| format!(", {} at most", age(now_ms, at)));
            format!("draining, {}{deadline}", left_text(*left))
        }
        Override::Weight { weight } => format!("weight {weight}"),
        Override::Disabled => "disabled".into(),
        Override::Forced => "forced to serve".into(),
        Override::Sorry => "sorry server asked for".into(),
    };
    let why = asked.reason.as_ref().map_or(String::new(), |reason| format!(": {reason}"));
    format!("{what}, by {} {} ago{why}", asked.by, age(asked.at_ms, now_ms))
}

fn leaving_text(leaving: &LeavingStatus, now_ms: u64) -> String {
    let LeavingStatus { name, address, deadline_ms, left } = leaving;
    let at_most = age(now_ms, *deadline_ms);
    format!("{name} {address} is leaving, {}, {at_most} at most", left_text(*left))
}

fn left_text(left: Option<Left>) -> String {
    left.map_or("not counted yet".into(), |left| format!("{left} left"))
}
