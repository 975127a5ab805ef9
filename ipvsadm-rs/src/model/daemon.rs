//! The kernel's connection synchronisation daemons.

use std::fmt;
use std::net::IpAddr;

/// Direction of a sync daemon. Both may run at once, one of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SyncRole {
    /// Sends this router's connections.
    Master,
    /// Receives the other router's connections.
    Backup,
}

impl fmt::Display for SyncRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Master => "master",
            Self::Backup => "backup",
        })
    }
}

/// A sync daemon as it is asked for or reported.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SyncDaemon {
    /// Direction.
    pub role: SyncRole,
    /// Network interface of the sync messages, 1 to 15 bytes.
    pub interface: String,
    /// Identity carried in the messages; a backup with 0 accepts every sender's.
    pub sync_id: u8,
    /// Longest UDP payload in bytes; `None` lets the kernel derive it from the interface's MTU.
    pub max_len: Option<u16>,
    /// Multicast group; `None` means 224.0.0.81.
    pub group: Option<IpAddr>,
    /// UDP port; `None` means 8848.
    pub port: Option<u16>,
    /// Time to live of the messages; `None` means 1.
    pub ttl: Option<u8>,
}

impl SyncDaemon {
    /// A daemon with the kernel's defaults.
    #[must_use]
    pub fn new(role: SyncRole, interface: &str, sync_id: u8) -> Self {
        let interface = interface.to_owned();
        Self { role, interface, sync_id, max_len: None, group: None, port: None, ttl: None }
    }
}
