//! One change asked of the kernel. How it is spelled as a line of ipvsadm is the business of [`mod@line`].

pub(crate) mod line;

use std::fmt;

use crate::model::{Destination, DestinationId, Service, ServiceId, SyncDaemon, SyncRole, Timeouts};

/// A change of the kernel's table, timeouts or daemons.
///
/// [`Display`](fmt::Display) writes the line that C `ipvsadm -S -n` writes, or that would be typed, such as
/// `-a -t 10.1.0.100:80 -r 10.2.0.11:80 -m -w 1`; `ipvsadm -R` reads it back.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Request {
    /// Add a service that does not exist yet.
    AddService(Service),
    /// Change everything but the identity of a service that exists.
    EditService(Service),
    /// Remove a service and its destinations.
    DeleteService(ServiceId),
    /// Add a destination that does not exist yet to a service that does.
    AddDestination(ServiceId, Destination),
    /// Change everything but the identity of a destination that exists.
    EditDestination(ServiceId, Destination),
    /// Remove a destination.
    DeleteDestination(ServiceId, DestinationId),
    /// Remove all services.
    Flush,
    /// Set the counters of one service and its destinations, or of all, to zero.
    Zero(Option<ServiceId>),
    /// Set the timeouts; zero keeps what is.
    SetTimeouts(Timeouts),
    /// Start a sync daemon.
    StartDaemon(SyncDaemon),
    /// Stop a sync daemon.
    StopDaemon(SyncRole),
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&line::line(self, &line::AsNumbers))
    }
}
