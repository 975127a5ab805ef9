//! What `pulse status` shows: the snapshot of a running `pulse` as a table for people. Pure.

use std::fmt::Write;
use std::time::Duration;

use lvs_ipc::status::PulseStatus;

/// The table, with ages as of `now_ms`, milliseconds since the Unix epoch.
#[must_use]
pub fn render(status: &PulseStatus, now_ms: u64) -> String {
    let mut out = String::new();
    let mut line = |label: &str, text: &str| {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{label:<10}{text}");
    };
    let since = |ms: u64| age(Duration::from_millis(now_ms.saturating_sub(ms)));
    line("router", &format!("{}, pulse {} (pid {})", status.router, status.version, status.pid));
    line("config", &format!("{}, serial_no {}", status.config, status.serial_no));
    let role = &status.role;
    line("role", &format!("{} for {}: {}", role.state, since(role.since_ms), role.reason));
    match &status.peer {
        Some(peer) => line("peer", &format!("{} for {}: {}", peer.state, since(peer.since_ms), peer.reason)),
        None => line("peer", "none: the file names no other router"),
    }
    for path in &status.paths {
        let heard = if path.heard.state { "heard" } else { "silent" };
        let ends = format!("{} -> {}", path.local, path.remote);
        line("path", &format!("{:<8} {ends}  {heard} for {}", path.name, since(path.heard.since_ms)));
    }
    for address in &status.addresses {
        let here = if address.present { "here" } else { "not here" };
        line("address", &format!("{} {}  {here}", address.address, address.device));
    }
    let lvs = &status.lvs;
    line("lvs", &format!("{} for {}: {}", lvs.state, since(lvs.since_ms), lvs.reason));
    out
}

/// An age in its two largest units.
fn age(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m {}s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{}h {}m", seconds / 3_600, seconds / 60 % 60),
        _ => format!("{}d {}h", seconds / 86_400, seconds / 3_600 % 24),
    }
}

#[cfg(test)]
mod tests {
    use lvs_ipc::status::{AddressStatus, Child, PathStatus, Peer, Role, Since};

    use super::*;

    fn since<T>(state: T, reason: &str, since_ms: u64) -> Since<T> {
        Since { state, reason: reason.into(), since_ms }
    }

    #[test]
    fn the_table_says_why_and_since_when() {
        let status = PulseStatus {
            version: "0.1.0".into(),
            pid: 4711,
            config: "/etc/sysconfig/ha/lvs.cf".into(),
            serial_no: 12,
            router: "backup".into(),
            role: since(Role::Active, "no heartbeat on any path for 6000ms", 1_000),
            peer: Some(since(Peer::Dead, "no heartbeat on any path for 6000ms", 1_000)),
            paths: vec![PathStatus {
                name: "public".into(),
                local: "192.0.2.12".into(),
                remote: "192.0.2.11".into(),
                heard: since(false, "silent", 0),
            }],
            addresses: vec![AddressStatus {
                address: "192.0.2.80/24".into(),
                device: "eth0:1".into(),
                present: true,
            }],
            lvs: since(Child::Running, "its first plan is in the kernel", 61_000),
        };
        assert_eq!(
            render(&status, 3_661_000),
            "router    backup, pulse 0.1.0 (pid 4711)\n\
             config    /etc/sysconfig/ha/lvs.cf, serial_no 12\n\
             role      active for 1h 1m: no heartbeat on any path for 6000ms\n\
             peer      dead for 1h 1m: no heartbeat on any path for 6000ms\n\
             path      public   192.0.2.12 -> 192.0.2.11  silent for 1h 1m\n\
             address   192.0.2.80/24 eth0:1  here\n\
             lvs       running for 1h 0m: its first plan is in the kernel\n"
        );
    }
}
