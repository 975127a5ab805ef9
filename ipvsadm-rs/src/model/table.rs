//! A snapshot of what the kernel holds.

use std::time::Duration;

use super::{Destination, DestinationId, Service, ServiceId, Stats};

/// All services with their destinations, in the kernel's order.
///
/// A snapshot of one moment only if nobody changes the table meanwhile. The kernel tells the services, and then the
/// destinations of each, in pieces of some dozen entries, and finds the next piece by counting: when somebody else
/// removes an entry between two pieces, another one that nobody touched can be missing, and Linux (up to 7.2) does not
/// say so. A list in pieces is therefore read until it names the same entries twice in a row, five times at most; only
/// under changes without a pause can one be missing here. A service that goes between its list and that of its
/// destinations has none. Nothing is here twice.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Table {
    /// The services.
    pub services: Vec<ServiceEntry>,
}

impl Table {
    /// The entry of one service.
    #[must_use]
    pub fn find(&self, id: &ServiceId) -> Option<&ServiceEntry> {
        self.services.iter().find(|entry| entry.service.id == *id)
    }
}

/// A service that exists, its counters and its destinations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceEntry {
    /// The service.
    pub service: Service,
    /// Its counters.
    pub stats: Stats,
    /// Its destinations, in the kernel's order.
    pub destinations: Vec<DestinationEntry>,
}

impl ServiceEntry {
    /// The entry of one destination.
    #[must_use]
    pub fn find(&self, id: &DestinationId) -> Option<&DestinationEntry> {
        self.destinations.iter().find(|entry| entry.destination.id == *id)
    }
}

/// A destination that exists, and what it carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DestinationEntry {
    /// The destination.
    pub destination: Destination,
    /// Connections in an established state.
    pub active_connections: u32,
    /// Connections in any other state, such as `TIME_WAIT`, and those of UDP.
    pub inactive_connections: u32,
    /// Persistence templates that point here.
    pub persistent_connections: u32,
    /// Its counters.
    pub stats: Stats,
}

impl DestinationEntry {
    /// A destination that carries nothing yet.
    #[must_use]
    pub fn unused(destination: Destination) -> Self {
        Self {
            destination,
            active_connections: 0,
            inactive_connections: 0,
            persistent_connections: 0,
            stats: Stats::default(),
        }
    }
}

/// How long the kernel keeps an idle connection entry; whole seconds.
///
/// When set, zero means "keep what is".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Timeouts {
    /// Established TCP connections.
    pub tcp: Duration,
    /// TCP connections after a FIN.
    pub tcp_fin: Duration,
    /// UDP.
    pub udp: Duration,
}

/// What the kernel's IPVS is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Info {
    /// Version as one number: 0x010201 is 1.2.1; [`Info::version_text`] formats it.
    pub version: u32,
    /// Number of hash buckets of the connection table.
    pub table_size: u32,
}

impl Info {
    /// The version as text, such as `1.2.1`.
    #[must_use]
    pub fn version_text(&self) -> String {
        let [_, major, minor, patch] = self.version.to_be_bytes();
        format!("{major}.{minor}.{patch}")
    }
}
