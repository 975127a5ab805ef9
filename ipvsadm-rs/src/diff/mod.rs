//! From the table that is to the table that should be: the fewest requests, in a safe order.
//!
//! ```
//! # #[cfg(feature = "fake")] {
//! use ipvsadm::fake::FakeKernel;
//! use ipvsadm::{Destination, Forward, Ipvs, Request, Scheduler, Service, ServiceId, Table};
//!
//! // With a real kernel: Ipvs::open()?
//! let mut ipvs = Ipvs::with_transport(FakeKernel::new().connect())?;
//! let web = ServiceId::tcp("10.1.0.100:80".parse().unwrap());
//! let server = |text: &str| {
//!     let at: std::net::SocketAddr = text.parse().unwrap();
//!     Destination::new(at.into(), Forward::Masquerade)
//! };
//! let mut wanted = Table::default();
//! wanted.apply(&[
//!     Request::AddService(Service::new(web, Scheduler::WLC)),
//!     Request::AddDestination(web, server("10.2.0.11:80")),
//! ]);
//! let requests = ipvs.table()?.diff(&wanted);
//! ipvs.apply(&requests)?;
//!
//! // Another real server takes over: the new one comes first.
//! wanted.apply(&[
//!     Request::DeleteDestination(web, server("10.2.0.11:80").id),
//!     Request::AddDestination(web, server("10.2.0.12:80")),
//! ]);
//! let requests = ipvs.table()?.diff(&wanted);
//! let lines: Vec<String> = requests.iter().map(ToString::to_string).collect();
//! assert_eq!(
//!     lines,
//!     ["-a -t 10.1.0.100:80 -r 10.2.0.12:80 -m -w 1", "-d -t 10.1.0.100:80 -r 10.2.0.11:80"]
//! );
//! ipvs.apply(&requests)?;
//! assert_eq!(ipvs.table()?.diff(&wanted), []);
//! # }
//! # Ok::<(), ipvsadm::Error>(())
//! ```
//!
//! # Order
//!
//! | first to last | why |
//! | --- | --- |
//! | each service that is new, at once followed by its destinations, those of weight 0 last | a service without destinations refuses clients whom a mark or a service for every port may have served until now |
//! | each service that stays: its settings, then destinations that are to serve, then those of weight 0 | somebody who serves now or then always does |
//! | destinations that leave | all that replaces them is there, in every service |
//! | services that leave | one that moves serves at its new place first |
//!
//! So a service that had a destination of weight above 0 and is to have one has one after every single request, and
//! a batch that ends in the middle leaves behind a table that serves; another difference completes it.
//!
//! There is one request at most for each service and destination, and none that changes nothing. The kernel can change
//! everything about a service and a destination but what identifies it, so what stays is never removed and made
//! again: connections and counters live on.
//!
//! # What counts as different
//!
//! Settings only: never counters, connections or order. And of settings what the kernel can tell apart:
//!
//! - A destination that reads as [`Forward::Local`] is as wanted whatever its forwarding method should be: a kernel may
//!   show so what is on the router itself, no matter what was asked for. (Linux 7 shows what was asked for.)
//! - Persistence has whole seconds.
//! - [Unknown attributes](crate::UnknownAttributes) of a newer kernel differ only where some are wanted. Where none are,
//!   a change of other things keeps those that there are.
//!
//! Of services or destinations that a table holds twice, which no kernel's does, the first one counts.

mod plan;
mod same;

use crate::model::{Destination, DestinationId, Service, ServiceId, Table};
use crate::request::Request;

#[cfg(doc)]
use crate::model::Forward;

impl Table {
    /// The requests that make this table as `wanted`, to be carried out in their order by [`crate::Ipvs::apply`]. None
    /// if it is so already. What leaves is removed at once; [`Planner`] can do it more gently, or change a part of the
    /// table only. [The module](crate::diff) says in which order and what counts as different.
    #[must_use]
    pub fn diff(&self, wanted: &Self) -> Vec<Request> {
        Planner::new().plan(self, wanted.rows())
    }

    /// The services, each with its destinations, without what they carry: what can be asked for.
    pub fn rows(&self) -> impl Iterator<Item = (&Service, impl Iterator<Item = &Destination>)> {
        self.services.iter().map(|entry| {
            let destinations = entry.destinations.iter().map(|entry| &entry.destination);
            (&entry.service, destinations)
        })
    }
}

/// How destinations and services leave that are there and not wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Removal {
    /// They are deleted.
    ///
    /// The kernel drops every further packet of their connections (or resets these, with the sysctl
    /// `net.ipv4.vs.expire_nodest_conn`), and a weight of 0 just before would not change that.
    #[default]
    AtOnce,
    /// They get the weight 0, and are deleted by a later difference: when the table shows that they have it and no
    /// connection, active or inactive, is left.
    ///
    /// No connection breaks, provided that the caller reads the table and applies the difference again from time to
    /// time, until [`Table::diff`] is empty. It may take as long as clients do, and persistent ones come back to a
    /// server of weight 0 (unless `net.ipv4.vs.expire_quiescent_template` is set).
    QuiesceFirst,
}

/// What a difference may touch, and how: [`Table::diff`] with choices, and without need of a [`Table`] that is wanted.
///
/// ```
/// use ipvsadm::{Planner, Removal, ServiceId, Table};
///
/// # let (actual, wanted) = (Table::default(), Table::default());
/// let ours = |id: &ServiceId| id.port() == 80;
/// let requests = Planner::new().removal(Removal::QuiesceFirst).remove_only(&ours).plan(&actual, wanted.rows());
/// assert_eq!(requests, []);
/// ```
#[derive(Clone, Copy)]
pub struct Planner<'a> {
    removal: Removal,
    may_remove: &'a dyn Fn(&ServiceId) -> bool,
    left_alone: &'a dyn Fn(&ServiceId, &DestinationId) -> bool,
}

impl Default for Planner<'_> {
    fn default() -> Self {
        Self::new()
    }
}

impl<'a> Planner<'a> {
    /// May touch everything, and removes it at once.
    #[must_use]
    pub fn new() -> Self {
        Self { removal: Removal::AtOnce, may_remove: &|_| true, left_alone: &|_, _| false }
    }

    /// How what is not wanted leaves.
    #[must_use]
    pub fn removal(self, removal: Removal) -> Self {
        Self { removal, ..self }
    }

    /// Which services leave if they are not wanted. All others that are not wanted stay as they are.
    #[must_use]
    pub fn remove_only(self, may_remove: &'a dyn Fn(&ServiceId) -> bool) -> Self {
        Self { may_remove, ..self }
    }

    /// Which destinations of wanted services are somebody else's: neither added nor changed nor removed, wanted or not.
    #[must_use]
    pub fn leave_alone(self, left_alone: &'a dyn Fn(&ServiceId, &DestinationId) -> bool) -> Self {
        Self { left_alone, ..self }
    }
}
