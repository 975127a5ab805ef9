//! IPVS, the Linux Virtual Server, over generic netlink.
//!
//! ```no_run
//! use ipvsadm::{Destination, Forward, Ipvs, Request, Scheduler, Service, ServiceId};
//!
//! let mut ipvs = Ipvs::open()?;
//! let web = ServiceId::tcp("10.1.0.100:80".parse().unwrap());
//! let server: std::net::SocketAddr = "10.2.0.11:80".parse().unwrap();
//! let outcome = ipvs.apply(&[
//!     Request::AddService(Service::new(web, Scheduler::WLC)),
//!     Request::AddDestination(web, Destination::new(server.into(), Forward::Masquerade)),
//! ])?;
//! for refused in outcome.into_iter().filter_map(Result::err) {
//!     eprintln!("{refused}");
//! }
//! for entry in ipvs.table()?.services {
//!     println!("{} -> {} real servers", entry.service.id, entry.destinations.len());
//! }
//! # Ok::<(), ipvsadm::Error>(())
//! ```
//!
//! | module | holds |
//! | --- | --- |
//! | [`model`] | what IPVS can be asked for and tells: services, destinations, counters; no netlink |
//! | [`Request`] | one change, displayed as the line of ipvsadm that asks for it |
//! | [`Ipvs`] | batches of changes with one outcome each; the table, timeouts, daemons |
//! | [`Transport`] | the seam to the kernel; [`Netlink`] is the real one |
//! | [`wire`] | the bytes: for fuzzers, captures and fake kernels |
//! | `cli` | with the feature `cli` (default): the command line of the program `ipvsadm` |
//! | `fake` | with the feature `fake`: a kernel in memory, for tests without privileges |
//!
//! Nothing here retries a change, watches the table or decides what it should be.

#[cfg(feature = "cli")]
pub mod cli;
mod client;
mod conversation;
mod error;
#[cfg(feature = "fake")]
pub mod fake;
pub mod model;
mod request;
mod transport;
pub mod wire;

pub use client::Ipvs;
pub use error::{Error, KernelError};
pub use model::{
    BadName, Destination, DestinationEntry, DestinationId, Family, Forward, Granularity, Info, Persistence,
    PersistenceEngine, Protocol, Rates, Scheduler, Service, ServiceEntry, ServiceFlags, ServiceId, Stats,
    SyncDaemon, SyncRole, Table, Timeouts, Tunnel, TunnelChecksum, UnknownAttributes,
};
pub use nix::errno::Errno;
pub use request::Request;
pub use transport::{Netlink, Transport};
