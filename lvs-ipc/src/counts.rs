//! What is counted: by the kernel for each service and real server, by `lvs` about itself.
//!
//! Counters only grow while the counting program lives, those of the kernel while the service or real server stays in
//! its table; a reload of the file resets none. Fields are only ever added.

use serde::{Deserialize, Serialize};

/// What the kernel counted of a service or a real server since that came into its table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Traffic {
    /// Connections scheduled.
    pub connections: u64,
    /// Packets from clients.
    pub packets_in: u64,
    /// Packets to clients; 0 unless answers pass through this router.
    pub packets_out: u64,
    /// Bytes from clients.
    pub bytes_in: u64,
    /// Bytes to clients; 0 unless answers pass through this router.
    pub bytes_out: u64,
    /// The kernel's estimates of the last seconds, per second.
    pub per_second: Rates,
}

/// The kernel's estimates, per second; all 0 when `net.ipv4.vs.run_estimation` is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Rates {
    /// Connections.
    pub connections: u64,
    /// Packets from clients.
    pub packets_in: u64,
    /// Packets to clients.
    pub packets_out: u64,
    /// Bytes from clients.
    pub bytes_in: u64,
    /// Bytes to clients.
    pub bytes_out: u64,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moment {
    /// What, in words.
    pub what: String,
    /// When, in milliseconds since the Unix epoch.
    pub at_ms: u64,
}

/// What others did to our services behind our back and was put right, by what that took.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Repairs {
    /// Services that had been deleted.
    pub services_added: u64,
    /// Services that had been changed.
    pub services_edited: u64,
    /// Services of ours that should not have been there.
    pub services_deleted: u64,
    /// Real servers that had been deleted.
    pub servers_added: u64,
    /// Real servers that had been changed.
    pub servers_edited: u64,
    /// Real servers that should not have been in our services.
    pub servers_deleted: u64,
    /// Changes of the connection timeouts.
    #[serde(default)]
    pub timeouts_set: u64,
    /// The last one.
    pub last: Option<Moment>,
}

impl Repairs {
    /// The counters with the names of their kinds.
    #[must_use]
    pub fn by_kind(&self) -> [(&'static str, u64); 7] {
        [
            ("service_added", self.services_added),
            ("service_edited", self.services_edited),
            ("service_deleted", self.services_deleted),
            ("server_added", self.servers_added),
            ("server_edited", self.servers_edited),
            ("server_deleted", self.servers_deleted),
            ("timeouts_set", self.timeouts_set),
        ]
    }

    /// All of them.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.by_kind().iter().map(|(_, count)| count).sum()
    }
}

/// Readings of the configuration file after the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Reloads {
    /// Those that came into force.
    pub good: u64,
    /// Those that could not be used; nothing changed then.
    pub refused: u64,
}

/// Requests to the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Requests {
    /// Sent.
    pub sent: u64,
    /// Refused, each attempt counted.
    pub refused: u64,
    /// Refused and to be tried again, at this moment.
    pub waiting: u64,
}

/// All monitors together. One that checks for several virtual servers counts once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Monitors {
    /// Those that run at this moment.
    pub running: u64,
    /// How often one was started.
    pub starts: u64,
    /// How often one ended by itself, could not be started or had to be replaced.
    pub failures: u64,
    /// How many checks began later than they were due.
    #[serde(default)]
    pub late_starts: u64,
}

/// The process that checks a real server; it may check for other virtual servers too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Monitor {
    /// Its process id while it runs.
    pub pid: Option<u32>,
    /// How often one was started.
    pub starts: u64,
    /// How often one ended by itself, could not be started or had to be replaced.
    pub failures: u64,
    /// How many checks began later than they were due.
    #[serde(default)]
    pub late_starts: u64,
    /// Whether it ended saying that it would end again, and is left alone until the file is read again.
    pub given_up: bool,
}
