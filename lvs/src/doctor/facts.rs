//! What can be seen on this router, as plain data.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::routes::{Interface, Route};

/// Whether IPVS can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ipvs {
    /// It answers.
    Available,
    /// The kernel has it not, or its module is not loaded.
    Missing,
    /// It is there, and we may not use it.
    NotPermitted,
    /// Anything else.
    Failed(String),
}

/// What is known of one real server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Way {
    /// The way to it; `None` when there is none.
    pub route: Option<Route>,
    /// Whether the kernel has asked for its hardware address in vain.
    pub silent: bool,
}

/// Everything that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// Whether IPVS can be used.
    pub ipvs: Ipvs,
    /// Settings of the kernel that were looked at; one that is not there is not in it.
    pub settings: BTreeMap<String, i64>,
    /// Interfaces by name.
    pub interfaces: BTreeMap<String, Interface>,
    /// Addresses of this router.
    pub addresses: BTreeSet<IpAddr>,
    /// Ways to real servers.
    pub ways: BTreeMap<IpAddr, Way>,
    /// Interface of the default route to IPv4 clients.
    pub default_interface: Option<String>,
    /// UDP ports that somebody listens at, or `None` when that cannot be read.
    pub udp_ports: Option<BTreeSet<u16>>,
}

impl Facts {
    /// A setting; `None` when the kernel has it not.
    #[must_use]
    pub fn setting(&self, name: &str) -> Option<i64> {
        self.settings.get(name).copied()
    }
}
