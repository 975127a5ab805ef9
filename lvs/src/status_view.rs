//! The status as a table for people. Pure.

use std::fmt::Write as _;

use lvs_ipc::status::{Child, LvsStatus, RealServerStatus, Since, VirtualServerStatus};

/// Columns of a real server's row.
const TITLES: [&str; 7] = ["REAL SERVER", "ADDRESS", "WEIGHT", "HEALTH", "FOR", "MONITOR", "REASON"];

/// The table. `now_ms` is the time in milliseconds since the Unix epoch.
#[must_use]
pub fn render(status: &LvsStatus, now_ms: u64) -> String {
    let mut text = format!("lvs {} (process {})\n", status.version, status.pid);
    let LvsStatus { config, serial_no, .. } = status;
    // Writing to a String cannot fail.
    let _ = writeln!(text, "file   {config} serial_no {serial_no}: {}", verdict(&status.reload, now_ms));
    let _ = writeln!(text, "table  {}", verdict(&status.table, now_ms));
    let rows: Vec<Vec<[String; 7]>> = status
        .virtual_servers
        .iter()
        .map(|v| v.real_servers.iter().map(|server| row(server, now_ms)).collect())
        .collect();
    let titles = TITLES.map(str::to_owned);
    let all = || rows.iter().flatten().chain([&titles]);
    let widths: [usize; 7] =
        std::array::from_fn(|at| all().map(|row| row[at].chars().count()).max().unwrap_or(0));
    for (virtual_server, rows) in status.virtual_servers.iter().zip(&rows) {
        heading(&mut text, virtual_server);
        if !rows.is_empty() {
            line(&mut text, &titles, &widths);
        }
        for row in rows {
            line(&mut text, row, &widths);
        }
    }
    text
}

fn verdict(verdict: &Since<bool>, now_ms: u64) -> String {
    let word = if verdict.state { "good" } else { "NOT GOOD" };
    let reason = verdict.reason.replace('\n', "\n         ");
    format!("{word} for {}: {reason}", age(verdict.since_ms, now_ms))
}

fn heading(text: &mut String, virtual_server: &VirtualServerStatus) {
    let VirtualServerStatus { name, service, scheduler, sorry, real_servers, .. } = virtual_server;
    let up = real_servers.iter().filter(|server| server.weight.is_some_and(|weight| weight > 0)).count();
    let _ = write!(text, "\n{name}: {service} {scheduler}, {up} of {} serving", real_servers.len());
    text.push_str(if *sorry { ", the sorry server serves\n" } else { "\n" });
}

fn row(server: &RealServerStatus, now_ms: u64) -> [String; 7] {
    [
        server.name.clone(),
        server.address.clone(),
        server.weight.map_or_else(|| "-".into(), |weight| weight.to_string()),
        server.health.state.to_string(),
        age(server.health.since_ms, now_ms),
        server.monitor.state.to_string(),
        reason(server),
    ]
}

/// Why the server is up or down; and why nobody checks it, if so.
fn reason(server: &RealServerStatus) -> String {
    let RealServerStatus { health, monitor, .. } = server;
    match monitor.state {
        Child::Waiting | Child::Stopped if !monitor.reason.is_empty() => {
            format!("{}; monitor: {}", health.reason, monitor.reason)
        }
        _ => health.reason.clone(),
    }
}

fn line(text: &mut String, row: &[String; 7], widths: &[usize; 7]) {
    let mut line = String::from(" ");
    for (word, width) in row.iter().zip(widths) {
        let _ = write!(line, " {word:width$} ");
    }
    let _ = writeln!(text, "{}", line.trim_end());
}

/// How long ago, in its two greatest units.
fn age(since_ms: u64, now_ms: u64) -> String {
    let seconds = now_ms.saturating_sub(since_ms) / 1000;
    match (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60, seconds % 60) {
        (0, 0, 0, s) => format!("{s}s"),
        (0, 0, m, s) => format!("{m}m{s:02}s"),
        (0, h, m, _) => format!("{h}h{m:02}m"),
        (d, h, _, _) => format!("{d}d{h:02}h"),
    }
}
