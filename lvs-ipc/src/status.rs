//! Snapshots of the daemons' state as they stand on the status sockets: one line of JSON, then end of file.
//!
//! Every state carries its reason and since when. Times are milliseconds since the Unix epoch, for people; no
//! program decides anything by them. Fields are only ever added; readers ignore what they do not know.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::counts::{Moment, Monitor, Monitors, Reloads, Repairs, Requests, Traffic};

/// Where `pulse` and `lvs` keep their sockets and pid files.
pub const RUN_DIR: &str = "/run/lvs-router";
/// Where `pulse` and `lvs` keep what outlives them and a restart of the machine.
pub const STATE_DIR: &str = "/var/lib/lvs-router";
/// File name of the status socket of `pulse` in [`RUN_DIR`].
pub const PULSE_SOCKET: &str = "pulse.sock";
/// File name of the status socket of `lvs` in [`RUN_DIR`].
pub const LVS_SOCKET: &str = "lvs.sock";
/// File name of the socket in [`RUN_DIR`] at which `lvs` tells its metrics over HTTP.
pub const LVS_METRICS_SOCKET: &str = "lvs-metrics.sock";

/// A state, why it is so and since when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Since<T> {
    /// The state.
    pub state: T,
    /// Why, in words.
    pub reason: String,
    /// Since when, in milliseconds since the Unix epoch.
    pub since_ms: u64,
}

/// What `pulse` knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PulseStatus {
    /// Version of the program.
    pub version: String,
    /// Process id.
    pub pid: u32,
    /// The configuration file in force.
    pub config: String,
    /// `serial_no` of that file.
    pub serial_no: u64,
    /// How the last reading of the file went: true when it is in force, else all that is wrong, a line each.
    pub reload: Since<bool>,
    /// Which router of the file this is: `primary` or `backup`.
    pub router: String,
    /// Whether it serves.
    pub role: Since<Role>,
    /// What is known of the other router; `None` when the file names none.
    pub peer: Option<Since<Peer>>,
    /// Each path on which heartbeats are exchanged.
    pub paths: Vec<PathStatus>,
    /// Each floating address and whether it is here.
    pub addresses: Vec<AddressStatus>,
    /// Whether `lvs` runs.
    pub lvs: Since<Child>,
    /// What the file in force says where another word takes effect only with a restart, by the directives; empty from a
    /// `pulse` that did not tell it yet.
    #[serde(default)]
    pub only_with_restart: BTreeMap<String, String>,
}

/// Whether a router serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// It holds the addresses and runs `lvs`.
    Active,
    /// It is taking the addresses and starting `lvs`.
    TakingOver,
    /// It is giving up the addresses and stopping `lvs`.
    Releasing,
    /// It waits for the other one to fail.
    Backup,
}

impl std::fmt::Display for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Active => "active",
            Self::TakingOver => "taking over",
            Self::Releasing => "releasing",
            Self::Backup => "backup",
        })
    }
}

/// What a router knows of the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Peer {
    /// Nothing heard since start.
    Unknown,
    /// It says that it serves.
    Active,
    /// It says that it does not serve.
    Backup,
    /// Nothing heard for `deadtime`.
    Dead,
}

impl std::fmt::Display for Peer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Unknown => "not heard yet",
            Self::Active => "active",
            Self::Backup => "backup",
            Self::Dead => "dead",
        })
    }
}

/// One path between the routers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathStatus {
    /// `public` or `private`.
    pub name: String,
    /// Our address.
    pub local: String,
    /// The other router's address.
    pub remote: String,
    /// Whether heartbeats come in on it.
    pub heard: Since<bool>,
}

/// One floating address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddressStatus {
    /// The address with its prefix length.
    pub address: String,
    /// The device or alias of the file.
    pub device: String,
    /// Whether it is on this router.
    pub present: bool,
}

/// A supervised program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Child {
    /// Not meant to run.
    Stopped,
    /// Started, not ready yet.
    Starting,
    /// Ready.
    Running,
    /// Asked to end.
    Stopping,
    /// It died; a restart is due.
    Waiting,
}

impl std::fmt::Display for Child {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Stopped => "stopped",
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Stopping => "stopping",
            Self::Waiting => "waiting to restart",
        })
    }
}

/// What `lvs` knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LvsStatus {
    /// Version of the program.
    pub version: String,
    /// Process id.
    pub pid: u32,
    /// The configuration file in force.
    pub config: String,
    /// `serial_no` of that file.
    pub serial_no: u64,
    /// How the last reading of the file went: true when the file is in force.
    pub reload: Since<bool>,
    /// Whether the kernel's table is as wanted, and what is wrong if not.
    pub table: Since<bool>,
    /// When the process began to serve.
    #[serde(default)]
    pub started_ms: u64,
    /// When the kernel's table was last read, from which the numbers of connections and traffic are; `None` when it
    /// could not be.
    #[serde(default)]
    pub table_read_ms: Option<u64>,
    /// What changed last.
    #[serde(default)]
    pub last_change: Option<Moment>,
    /// What others changed in our services and was put right.
    #[serde(default)]
    pub repairs: Repairs,
    /// Readings of the file after the first.
    #[serde(default)]
    pub reloads: Reloads,
    /// Requests to the kernel.
    #[serde(default)]
    pub requests: Requests,
    /// The monitors.
    #[serde(default)]
    pub monitors: Monitors,
    /// The active virtual servers.
    pub virtual_servers: Vec<VirtualServerStatus>,
    /// Whether what is to survive a restart (overrides, drains, failed servers) is in the state file, and why not.
    #[serde(default)]
    pub state_file: Option<Since<bool>>,
    /// The kernel's settings that are wanted.
    #[serde(default)]
    pub sysctls: Vec<SysctlStatus>,
}

/// A setting of the kernel that the virtual servers or the file ask for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SysctlStatus {
    /// Its name, as sysctl(8) writes it.
    pub name: String,
    /// The value that it should have.
    pub wanted: i64,
    /// The value that it has; `None` when this kernel does not have it or it cannot be read.
    pub found: Option<i64>,
    /// The value that it gets back when it is not wanted any more; `None` when it had the wanted one by itself.
    pub before: Option<i64>,
    /// Why it should have that value.
    pub reason: String,
    /// Why it cannot be given that value, if so.
    pub problem: Option<String>,
    /// How often a change by somebody else was repaired.
    pub repairs: u64,
}

/// One virtual server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VirtualServerStatus {
    /// Its name in the file.
    pub name: String,
    /// How the kernel knows it: `TCP 192.0.2.80:80` or `FWM 80`.
    pub service: String,
    /// Scheduler.
    pub scheduler: String,
    /// Forwarding method of the file: `nat`, `direct` or `tunnel`.
    #[serde(default)]
    pub forwarding: String,
    /// How its real servers are checked, as `check` in the file says it; `None` when other directives do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check: Option<String>,
    /// Whether the sorry server serves.
    pub sorry: bool,
    /// What the kernel counted; `None` when it is not in the table.
    #[serde(default)]
    pub traffic: Option<Traffic>,
    /// How often others changed it or its real servers and that was put right.
    #[serde(default)]
    pub repairs: u64,
    /// Its real servers.
    pub real_servers: Vec<RealServerStatus>,
    /// What an operator asked for about the virtual server as a whole.
    #[serde(default)]
    pub overrides: Vec<OverrideStatus>,
    /// Real servers that the file does not name any more and that are being drained.
    #[serde(default)]
    pub leaving: Vec<LeavingStatus>,
    /// Whether enough of its real servers take connections; `None` until that is decided.
    #[serde(default)]
    pub quorum: Option<QuorumStatus>,
}

/// The quorum of a virtual server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuorumStatus {
    /// Whether there are enough real servers.
    pub held: Since<bool>,
    /// Weight, as in the file, of the real servers that take connections.
    pub weight: u64,
    /// The quorum is lost when the weight is less.
    pub lost_below: u64,
    /// A lost quorum is held again when the weight is this.
    pub gained_from: u64,
}

/// One real server of a virtual server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RealServerStatus {
    /// Its name in the file.
    pub name: String,
    /// Address and port.
    pub address: String,
    /// Weight in the kernel; `None` when it is not in the table.
    pub weight: Option<u32>,
    /// Weight that it should have in the kernel; `None` when it should not be in the table.
    #[serde(default)]
    pub weight_wanted: Option<u32>,
    /// Forwarding method: `nat`, `direct` or `tunnel`.
    #[serde(default)]
    pub forwarding: String,
    /// Its connections; `None` when it is not in the table.
    #[serde(default)]
    pub connections: Option<Left>,
    /// What the kernel counted; `None` when it is not in the table.
    #[serde(default)]
    pub traffic: Option<Traffic>,
    /// Its health.
    pub health: Since<Health>,
    /// How often its health has changed.
    #[serde(default)]
    pub health_changes: u64,
    /// What changed last.
    #[serde(default)]
    pub last_change: Option<Moment>,
    /// State of its monitor.
    pub monitor: Since<Child>,
    /// The monitor's process.
    #[serde(default)]
    pub monitor_process: Monitor,
    /// What an operator asked for.
    #[serde(default)]
    pub overrides: Vec<OverrideStatus>,
    /// When its weight will have grown to the full one, in milliseconds since the Unix epoch; `None` when it does not grow.
    #[serde(default)]
    pub slow_start_until_ms: Option<u64>,
    /// The full weight to which its weight grows; `None` when it does not grow.
    #[serde(default)]
    pub slow_start_weight: Option<u32>,
}

/// Something that an operator asked for, until it is undone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OverrideStatus {
    /// What.
    #[serde(flatten)]
    pub what: Override,
    /// Who asked for it: user and process.
    pub by: String,
    /// When, in milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// Why, if that was said.
    #[serde(default)]
    pub reason: Option<String>,
}

/// Kinds of overrides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum Override {
    /// The real server gets no new connections and is taken out when it has none left.
    Drain {
        /// When it is taken out at the latest, in milliseconds since the Unix epoch; `None`: no limit.
        #[serde(default)]
        deadline_ms: Option<u64>,
        /// What it still has, as last read; `None` until the table has been read, and when it has ended.
        #[serde(default)]
        left: Option<Left>,
        /// How it ended; `None` while it goes on.
        #[serde(default)]
        ended: Option<String>,
    },
    /// The real server has this weight.
    Weight {
        /// The weight.
        weight: u32,
    },
    /// The real server is out of the table, whatever its check says.
    Disabled,
    /// The real server serves, whatever its check says.
    Forced,
    /// The sorry server alone takes new connections.
    Sorry,
}

/// What a real server still carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Left {
    /// Established connections.
    pub active: u32,
    /// Other connections: closing ones, and those of UDP.
    pub inactive: u32,
    /// Clients that the kernel sends here again because of persistence.
    pub persistent: u32,
}

impl Left {
    /// Whether it carries nothing.
    #[must_use]
    pub fn is_nothing(self) -> bool {
        self == Self::default()
    }
}

impl std::fmt::Display for Left {
    /// In words: `3 connections`, `1 connection and 2 remembered clients`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let counted = |count: u32, what: &str| match count {
            1 => format!("1 {what}"),
            _ => format!("{count} {what}s"),
        };
        f.write_str(&counted(self.active.saturating_add(self.inactive), "connection"))?;
        match self.persistent {
            0 => Ok(()),
            clients => write!(f, " and {}", counted(clients, "remembered client")),
        }
    }
}

/// A real server that the file does not name any more and that has connections left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeavingStatus {
    /// Its name in the file that named it.
    pub name: String,
    /// Address and port, as the kernel knows it.
    pub address: String,
    /// When it is taken out at the latest, in milliseconds since the Unix epoch.
    pub deadline_ms: u64,
    /// What it still has, as last read.
    #[serde(default)]
    pub left: Option<Left>,
}

/// Health of a real server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// Not checked yet.
    Unknown,
    /// Passed.
    Up,
    /// Failed.
    Down,
}

impl std::fmt::Display for Health {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Unknown => "unknown",
            Self::Up => "up",
            Self::Down => "down",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_lower_case_words_on_the_wire() {
        let role = Since { state: Role::TakingOver, reason: "peer silent".into(), since_ms: 5 };
        let text = serde_json::to_string(&role).unwrap();
        assert_eq!(text, r#"{"state":"taking_over","reason":"peer silent","since_ms":5}"#);
        assert_eq!(serde_json::from_str::<Since<Role>>(&text).unwrap(), role);
    }

    #[test]
    fn a_reader_ignores_fields_it_does_not_know() {
        let newer = r#"{"state":"up","reason":"r","since_ms":1,"colour":"green"}"#;
        assert_eq!(serde_json::from_str::<Since<Health>>(newer).unwrap().state, Health::Up);
    }
}
