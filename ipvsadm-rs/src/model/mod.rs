//! The vocabulary of IPVS as an operator knows it: services, destinations, counters, timeouts, sync daemons.
//!
//! Types only. What can be written down here is what the kernel can be asked for; nothing in this
//! module knows netlink, sockets or the command line.

mod daemon;
mod destination;
mod foreign;
mod granularity;
mod scheduler;
mod service;
mod stats;
mod table;
mod unknown;

pub use daemon::{SyncDaemon, SyncRole};
pub use destination::{Destination, DestinationId, Forward, Tunnel, TunnelChecksum};
pub use foreign::Foreign;
pub use granularity::Granularity;
pub use scheduler::{BadName, PersistenceEngine, Scheduler};
pub use service::{Family, Persistence, Protocol, Service, ServiceFlags, ServiceId};
pub use stats::{Rates, Stats};
pub use table::{DestinationEntry, Info, ServiceEntry, Table, Timeouts};
pub use unknown::UnknownAttributes;
