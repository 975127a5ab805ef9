//! What a running `pulse` knows of itself, and how `pulse status` shows it. Each change is logged here, once, with its
//! reason; nothing is decided.

use std::fmt::Write;
use std::path::Path as FilePath;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lvs_config::Config;
use lvs_ipc::status::{AddressStatus, Child, PathStatus, Peer, PulseStatus, Role, Since};

use crate::election::{Cause, PeerState, Router};
use crate::heartbeat::paths::Change;
use crate::heartbeat::socket::Path;

/// The snapshot, and whether it has changed since it was last asked for.
#[derive(Debug)]
pub struct Status {
    snapshot: PulseStatus,
    changed: bool,
}

impl Status {
    /// A router that has just started.
    #[must_use]
    pub fn new(config_path: &FilePath, config: &Config, router: Router, paths: &[Path]) -> Self {
        let path = |path: &Path| PathStatus {
            name: path.name.into(),
            local: path.local.to_string(),
            remote: path.remote.to_string(),
            heard: since(true, "assumed at start"),
        };
        let snapshot = PulseStatus {
            version: env!("CARGO_PKG_VERSION").into(),
            pid: std::process::id(),
            config: config_path.display().to_string(),
            serial_no: config.serial_no,
            reload: since(true, "read at start"),
            router: router.to_string(),
            role: since(Role::Backup, "just started"),
            peer: (!paths.is_empty()).then(|| since(Peer::Unknown, "just started")),
            paths: paths.iter().map(path).collect(),
            addresses: Vec::new(),
            lvs: since(Child::Stopped, "just started"),
            // A file that says something else is refused.
            only_with_restart: config
                .only_with_restart()
                .map(|(names, said)| (names.to_owned(), said))
                .into(),
        };
        Self { snapshot, changed: true }
    }

    /// The snapshot.
    #[must_use]
    pub fn snapshot(&self) -> &PulseStatus {
        &self.snapshot
    }

    /// One line for people: the role and its reason.
    #[must_use]
    pub fn summary(&self) -> String {
        let Since { state, reason, .. } = &self.snapshot.role;
        let refused = if self.snapshot.reload.state { "" } else { "; the file is refused" };
        format!("{state}: {reason}{refused}")
    }

    /// The snapshot as a line of JSON, if it has changed since the last call.
    pub fn changed(&mut self) -> Option<String> {
        if !std::mem::take(&mut self.changed) {
            return None;
        }
        match serde_json::to_string(&self.snapshot) {
            Ok(text) => Some(text + "\n"),
            Err(error) => {
                tracing::error!(%error, "cannot write the status");
                None
            }
        }
    }

    /// This router's role.
    pub fn set_role(&mut self, role: Role, reason: String) {
        self.snapshot.role = Since { state: role, reason, since_ms: unix_ms() };
        self.changed = true;
    }

    /// A router that was taking over has its addresses and services complete.
    pub fn set_settled(&mut self) {
        let role = &self.snapshot.role;
        if role.state == Role::TakingOver {
            let took_ms = unix_ms().saturating_sub(role.since_ms);
            tracing::info!(reason = %role.reason, took_ms, "active");
            self.set_role(Role::Active, role.reason.clone());
        }
    }

    /// What is known of the other router.
    pub fn set_peer(&mut self, state: PeerState, cause: &Cause) {
        let peer = match state {
            PeerState::Unknown => Peer::Unknown,
            PeerState::Serving => Peer::Active,
            PeerState::Waiting => Peer::Backup,
            PeerState::Gone => Peer::Dead,
        };
        tracing::info!(peer = %peer, reason = %cause, "other router");
        self.snapshot.peer = Some(since(peer, &cause.to_string()));
        self.changed = true;
    }

    /// A path fell silent or is heard again.
    pub fn set_path(&mut self, change: Change) {
        let Some(path) = self.snapshot.paths.get_mut(change.path) else { return };
        let silent_ms = u64::try_from(change.silence.as_millis()).unwrap_or(u64::MAX);
        let (name, remote) = (&path.name, &path.remote);
        if change.heard {
            tracing::info!(path = %name, %remote, silent_ms, "heartbeat path works again");
            path.heard = since(true, "heartbeats arrive");
        } else {
            tracing::warn!(path = %name, %remote, silent_ms, "heartbeat path is dead");
            path.heard = since(false, "no heartbeat for deadtime");
        }
        self.changed = true;
    }

    /// What became of the floating addresses.
    pub fn set_addresses(&mut self, addresses: Vec<AddressStatus>) {
        self.changed |= self.snapshot.addresses != addresses;
        self.snapshot.addresses = addresses;
    }

    /// What `lvs` does now; `expected` says whether that is in order. Its end completes a release.
    pub fn set_lvs(&mut self, state: Child, reason: String, expected: bool) {
        if expected {
            tracing::info!(state = %state, %reason, "lvs");
        } else {
            tracing::warn!(state = %state, %reason, "lvs");
        }
        self.snapshot.lvs = Since { state, reason, since_ms: unix_ms() };
        self.changed = true;
        if state == Child::Stopped && self.snapshot.role.state == Role::Releasing {
            let reason = self.snapshot.role.reason.clone();
            tracing::info!(%reason, "backup");
            self.set_role(Role::Backup, reason);
        }
    }

    /// The file was read again and is in force, with this edit counter.
    pub fn set_read(&mut self, serial_no: u64) {
        tracing::info!(serial_no, "configuration read again");
        self.snapshot.serial_no = serial_no;
        self.snapshot.reload = since(true, "read again");
        self.changed = true;
    }

    /// The file was read again and refused, for a reason of one or more lines.
    pub fn set_refused(&mut self, why: &str) {
        for problem in why.lines() {
            tracing::error!(problem, "configuration refused");
        }
        tracing::error!("the configuration in force stays as it was");
        self.snapshot.reload = since(false, why);
        self.changed = true;
    }
}

fn since<T>(state: T, reason: &str) -> Since<T> {
    Since { state, reason: reason.to_owned(), since_ms: unix_ms() }
}

/// Wall-clock time in milliseconds since the Unix epoch, for people.
#[must_use]
pub fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

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
    if !status.reload.state {
        let refused = format!("refused {} ago; what is in force stays", since(status.reload.since_ms));
        line("reload", &refused);
        status.reload.reason.lines().for_each(|problem| line("", problem));
    }
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
    use std::collections::BTreeMap;

    use super::*;

    fn at<T>(state: T, reason: &str, since_ms: u64) -> Since<T> {
        Since { state, reason: reason.into(), since_ms }
    }

    #[test]
    fn the_table_says_why_and_since_when() {
        let status = PulseStatus {
            version: "0.1.0".into(),
            pid: 4711,
            config: "/etc/sysconfig/ha/lvs.cf".into(),
            serial_no: 12,
            reload: at(false, "lvs.cf:3:1: error: first\nlvs.cf:9:1: error: second", 3_600_000),
            router: "backup".into(),
            role: at(Role::Active, "no heartbeat on any path for 6000ms", 1_000),
            peer: Some(at(Peer::Dead, "no heartbeat on any path for 6000ms", 1_000)),
            paths: vec![PathStatus {
                name: "public".into(),
                local: "192.0.2.12".into(),
                remote: "192.0.2.11".into(),
                heard: at(false, "silent", 0),
            }],
            addresses: vec![AddressStatus {
                address: "192.0.2.80/24".into(),
                device: "eth0:1".into(),
                present: true,
            }],
            lvs: at(Child::Running, "its first plan is in the kernel", 61_000),
            only_with_restart: BTreeMap::new(),
        };
        assert_eq!(
            render(&status, 3_661_000),
            "router    backup, pulse 0.1.0 (pid 4711)\n\
             config    /etc/sysconfig/ha/lvs.cf, serial_no 12\n\
             reload    refused 1m 1s ago; what is in force stays\n\
             \x20         lvs.cf:3:1: error: first\n\
             \x20         lvs.cf:9:1: error: second\n\
             role      active for 1h 1m: no heartbeat on any path for 6000ms\n\
             peer      dead for 1h 1m: no heartbeat on any path for 6000ms\n\
             path      public   192.0.2.12 -> 192.0.2.11  silent for 1h 1m\n\
             address   192.0.2.80/24 eth0:1  here\n\
             lvs       running for 1h 0m: its first plan is in the kernel\n"
        );
    }
}
