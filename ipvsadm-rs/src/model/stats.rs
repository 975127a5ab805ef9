//! Counters and rates of a service or a destination.

/// What passed through, counted since creation or the last [`crate::Request::Zero`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Stats {
    /// Connections scheduled.
    pub connections: u64,
    /// Packets from clients.
    pub packets_in: u64,
    /// Packets to clients; 0 unless replies pass through the router.
    pub packets_out: u64,
    /// Bytes from clients.
    pub bytes_in: u64,
    /// Bytes to clients; 0 unless replies pass through the router.
    pub bytes_out: u64,
    /// The kernel's estimates over the last seconds; all 0 if `net.ipv4.vs.run_estimation` is 0.
    pub rates: Rates,
}

/// The kernel's rate estimates, per second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Rates {
    /// Connections per second.
    pub cps: u64,
    /// Packets per second from clients.
    pub pps_in: u64,
    /// Packets per second to clients.
    pub pps_out: u64,
    /// Bytes per second from clients.
    pub bps_in: u64,
    /// Bytes per second to clients.
    pub bps_out: u64,
}
