//! What an operator has asked for and what is to survive a restart, as plain data. What follows from it for the table is
//! decided in [`crate::engine`]; how it stands on the disk, in [`crate::state`].

use std::collections::BTreeMap;

use daemonkit::clock::Mono;
use ipvsadm::{Destination, DestinationId, ServiceId};
use lvs_ipc::status::Left;

use crate::identity::ServerKey;

/// Who asked for something, when and why; for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// User and process.
    pub by: String,
    /// When, in milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// Why, if that was said.
    pub reason: Option<String>,
}

/// How a drain ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// No connection was left.
    Empty,
    /// Its time was over.
    Deadline,
}

impl std::fmt::Display for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Empty => "no connection is left",
            Self::Deadline => "its time is over",
        })
    }
}

/// A drain of a real server of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drain {
    /// When it ends at the latest; `None`: when no connection is left.
    pub deadline: Option<Mono>,
    /// What the server still has, as last read.
    pub left: Option<Left>,
    /// How it ended; the server is out of the table then.
    pub ended: Option<Ended>,
}

/// What takes the place of a real server's health.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admin {
    /// No new connections, and out of the table when it has none left.
    Drain(Drain),
    /// Out of the table, whatever its check says.
    Disabled,
    /// In the table, whatever its check says.
    Forced,
}

/// Names in the file, for people, and to know a server again that moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    /// Virtual server.
    pub virtual_server: String,
    /// Real server.
    pub server: String,
}

impl std::fmt::Display for Names {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.virtual_server, self.server)
    }
}

/// The overrides of one real server; at least one of the two.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerOrders {
    /// Its names.
    pub names: Names,
    /// In place of its health.
    pub admin: Option<(Admin, Order)>,
    /// In place of its weight.
    pub weight: Option<(u16, Order)>,
}

/// A real server that the file does not name any more and that is being drained.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaving {
    /// Its names in the file that named it.
    pub names: Names,
    /// Its row, with weight 0; `None` until the table has been read.
    pub destination: Option<Destination>,
    /// Since when.
    pub since: Mono,
    /// When it is taken out at the latest.
    pub deadline: Mono,
    /// What it still has, as last read.
    pub left: Option<Left>,
}

/// What is to survive a restart.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct State {
    /// Overrides of real servers.
    pub servers: BTreeMap<ServerKey, ServerOrders>,
    /// Virtual servers whose sorry server alone takes new connections, by name.
    pub sorry: BTreeMap<ServiceId, (String, Order)>,
    /// Real servers that are being drained because the file does not name them any more.
    pub leaving: BTreeMap<(ServiceId, DestinationId), Leaving>,
    /// Real servers whose last check failed, with its reason.
    pub down: BTreeMap<ServerKey, String>,
    /// Rows whose weights grow to the full ones, and since when.
    pub climbing: BTreeMap<(ServiceId, DestinationId), Mono>,
}
