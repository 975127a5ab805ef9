//! IPVS, the Linux Virtual Server, over generic netlink.
//!
//! IPVS balances connections in the kernel: a *service* (address and port, or a firewall mark) spreads what clients
//! begin over its *destinations*, the real servers. This crate reads and changes that table:
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
//! # What it needs
//!
//! Linux with the module `ip_vs`, and CAP_NET_ADMIN in the initial user namespace, for reading too. Without the one
//! [`Ipvs::open`] says [`Error::NotAvailable`], without the other [`Error::Permission`]. The table is that of the network
//! namespace in which the calling thread opens it. The kernel announces no changes: who wants to see those of others
//! reads the table again.
//!
//! # What can go wrong
//!
//! Two things, kept apart. An [`Error`] ends a conversation: no permission, no answer, answers lost. A [`KernelError`]
//! refuses one change of a batch, and the others stand; it displays as the line of ipvsadm that was refused and the
//! reason in words. For a caller that reconciles, [`KernelError::is_already_there`] and
//! [`KernelError::is_already_gone`] tell drift from failure. With the feature `fake` this runs anywhere:
//!
//! ```
//! # #[cfg(feature = "fake")] {
//! use ipvsadm::fake::FakeKernel;
//! use ipvsadm::{Errno, Ipvs, Request, Scheduler, Service, ServiceId};
//!
//! let kernel = FakeKernel::new();
//! let mut ipvs = Ipvs::with_transport(kernel.connect())?;
//! let web = ServiceId::tcp("10.1.0.100:80".parse().unwrap());
//! let add = Request::AddService(Service::new(web, Scheduler::RR));
//! let outcome = ipvs.apply(&[add.clone(), add, Request::Zero(None)])?;
//!
//! assert_eq!(outcome[0], Ok(()));
//! let refused = outcome[1].as_ref().unwrap_err();
//! assert_eq!(refused.errno, Errno::EEXIST);
//! assert!(refused.is_already_there());
//! assert_eq!(refused.to_string(), "-A -t 10.1.0.100:80 -s rr: the service exists already (EEXIST)");
//! // The refused one has kept nothing after it from being carried out.
//! assert_eq!(outcome[2], Ok(()));
//! # }
//! # Ok::<(), ipvsadm::Error>(())
//! ```
//!
//! # Map
//!
//! | module | holds |
//! | --- | --- |
//! | [`model`] | what IPVS can be asked for and tells: services, destinations, counters; no netlink |
//! | [`diff`] | the requests that turn one table into another, in a safe order |
//! | [`Request`] | one change, displayed as the line of ipvsadm that asks for it |
//! | [`Ipvs`] | batches of changes with one outcome each; the table, timeouts, daemons |
//! | [`Transport`] | the seam to the kernel; [`Netlink`] is the real one |
//! | [`wire`] | the bytes: for fuzzers, captures and fake kernels |
//! | `cli` | with the feature `cli` (default): the command line of the program `ipvsadm` |
//! | `fake` | with the feature `fake`: a kernel in memory, for tests without privileges |
//!
//! | feature | default | brings |
//! | --- | --- | --- |
//! | `cli` | yes | the module `cli` and the program; needs dns-lookup, lexopt, serde, serde_json, strsim |
//! | `fake` | no | the module `fake`; needs nothing more |
//!
//! Times are whole seconds in the kernel: what is finer in a [`Duration`](std::time::Duration) is cut off. Counters and
//! rates are 64 bits wide.
//!
//! Nothing here retries a change, watches the table or decides what it should be; [`Table::diff`] says how to get there.

mod apply;
#[cfg(feature = "cli")]
pub mod cli;
mod client;
mod conversation;
pub mod diff;
mod error;
#[cfg(feature = "fake")]
pub mod fake;
pub mod model;
mod request;
mod text;
mod transport;
pub mod wire;

pub use client::Ipvs;
pub use diff::{Planner, Removal};
pub use error::{Error, KernelError};
pub use model::{
    BadName, Destination, DestinationEntry, DestinationId, Family, Foreign, Forward, Granularity, Info,
    Persistence, PersistenceEngine, Protocol, Rates, Scheduler, Service, ServiceEntry, ServiceFlags,
    ServiceId, Stats, SyncDaemon, SyncRole, Table, Timeouts, Tunnel, TunnelChecksum, UnknownAttributes,
};
pub use nix::errno::Errno;
pub use request::Request;
pub use transport::{Netlink, Transport};
