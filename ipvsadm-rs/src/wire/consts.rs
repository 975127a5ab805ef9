//! The numbers of the generic netlink family "IPVS", as in `include/uapi/linux/ip_vs.h`.
//!
//! Names follow the header so that each can be found there; the two enumerations that start messages keep
//! the header's order.

/// Name under which the family is registered (`IPVS_GENL_NAME`).
pub const FAMILY: &str = "IPVS";
/// Version of the family (`IPVS_GENL_VERSION`).
pub const VERSION: u8 = 1;

/// Commands (`enum ip_vs_genl_cmd`, `IPVS_CMD_*`).
pub mod cmd {
    /// Add a service; also the reply that carries one.
    pub const NEW_SERVICE: u8 = 1;
    /// Change a service.
    pub const SET_SERVICE: u8 = 2;
    /// Delete a service.
    pub const DEL_SERVICE: u8 = 3;
    /// Read one service, or dump all.
    pub const GET_SERVICE: u8 = 4;
    /// Add a destination; also the reply that carries one.
    pub const NEW_DEST: u8 = 5;
    /// Change a destination.
    pub const SET_DEST: u8 = 6;
    /// Delete a destination.
    pub const DEL_DEST: u8 = 7;
    /// Dump the destinations of a service.
    pub const GET_DEST: u8 = 8;
    /// Start a sync daemon; also the reply that carries one.
    pub const NEW_DAEMON: u8 = 9;
    /// Stop a sync daemon.
    pub const DEL_DAEMON: u8 = 10;
    /// Dump the sync daemons.
    pub const GET_DAEMON: u8 = 11;
    /// Set the timeouts; also the reply that carries them.
    pub const SET_CONFIG: u8 = 12;
    /// Read the timeouts.
    pub const GET_CONFIG: u8 = 13;
    /// The reply that carries version and table size.
    pub const SET_INFO: u8 = 14;
    /// Read version and table size.
    pub const GET_INFO: u8 = 15;
    /// Set counters to zero.
    pub const ZERO: u8 = 16;
    /// Delete everything.
    pub const FLUSH: u8 = 17;
}

/// Top-level attributes (`IPVS_CMD_ATTR_*`).
pub mod attr {
    /// Nest of service attributes.
    pub const SERVICE: u16 = 1;
    /// Nest of destination attributes.
    pub const DEST: u16 = 2;
    /// Nest of sync daemon attributes.
    pub const DAEMON: u16 = 3;
    /// TCP timeout in seconds, u32.
    pub const TIMEOUT_TCP: u16 = 4;
    /// TCP timeout after a FIN in seconds, u32.
    pub const TIMEOUT_TCP_FIN: u16 = 5;
    /// UDP timeout in seconds, u32.
    pub const TIMEOUT_UDP: u16 = 6;
}

/// Attributes of the information reply (`IPVS_INFO_ATTR_*`); they share numbers with the top level.
pub mod info {
    /// Version, u32.
    pub const VERSION: u16 = 1;
    /// Buckets of the connection table, u32.
    pub const CONN_TAB_SIZE: u16 = 2;
}

/// Service attributes (`IPVS_SVC_ATTR_*`).
pub mod svc {
    /// `AF_INET` or `AF_INET6`, u16.
    pub const AF: u16 = 1;
    /// IP protocol, u16 in host order.
    pub const PROTOCOL: u16 = 2;
    /// Address, 16 bytes, IPv4 in the first four.
    pub const ADDR: u16 = 3;
    /// Port, u16 in network order.
    pub const PORT: u16 = 4;
    /// Firewall mark, u32; replaces protocol, address and port.
    pub const FWMARK: u16 = 5;
    /// Scheduler, text with a final NUL.
    pub const SCHED_NAME: u16 = 6;
    /// Two u32: flags, and which of them count.
    pub const FLAGS: u16 = 7;
    /// Persistence timeout in seconds, u32.
    pub const TIMEOUT: u16 = 8;
    /// Persistence granularity: an IPv4 mask in network order, or an IPv6 prefix length in host order.
    pub const NETMASK: u16 = 9;
    /// Nest of 32-bit counters.
    pub const STATS: u16 = 10;
    /// Persistence engine, text with a final NUL.
    pub const PE_NAME: u16 = 11;
    /// Nest of 64-bit counters.
    pub const STATS64: u16 = 12;
}

/// The flag that says that a service is persistent (`IP_VS_SVC_F_PERSISTENT`).
pub const SVC_F_PERSISTENT: u32 = 0x0001;
/// The flag that the kernel sets on services in its hash table (`IP_VS_SVC_F_HASHED`).
pub const SVC_F_HASHED: u32 = 0x0002;

/// Destination attributes (`IPVS_DEST_ATTR_*`).
pub mod dest {
    /// Address, 16 bytes, IPv4 in the first four.
    pub const ADDR: u16 = 1;
    /// Port, u16 in network order.
    pub const PORT: u16 = 2;
    /// Forwarding method, u32, see [`super::fwd`].
    pub const FWD_METHOD: u16 = 3;
    /// Weight, u32 (signed in the kernel).
    pub const WEIGHT: u16 = 4;
    /// Upper connection threshold, u32.
    pub const U_THRESH: u16 = 5;
    /// Lower connection threshold, u32.
    pub const L_THRESH: u16 = 6;
    /// Active connections, u32, in replies.
    pub const ACTIVE_CONNS: u16 = 7;
    /// Inactive connections, u32, in replies.
    pub const INACT_CONNS: u16 = 8;
    /// Persistence templates, u32, in replies.
    pub const PERSIST_CONNS: u16 = 9;
    /// Nest of 32-bit counters.
    pub const STATS: u16 = 10;
    /// `AF_INET` or `AF_INET6`, u16; the service's if absent.
    pub const ADDR_FAMILY: u16 = 11;
    /// Nest of 64-bit counters.
    pub const STATS64: u16 = 12;
    /// Encapsulation, u8, see [`super::tun`].
    pub const TUN_TYPE: u16 = 13;
    /// UDP port of GUE, u16 in network order.
    pub const TUN_PORT: u16 = 14;
    /// Checksum bits of the tunnel, u16, see [`super::tun`].
    pub const TUN_FLAGS: u16 = 15;
}

/// Forwarding methods (`IP_VS_CONN_F_*`).
pub mod fwd {
    /// The bits that say the method; the rest of the word is connection flags.
    pub const MASK: u32 = 0x0007;
    /// Masquerading.
    pub const MASQ: u32 = 0;
    /// Local node.
    pub const LOCALNODE: u32 = 1;
    /// Tunnel.
    pub const TUNNEL: u32 = 2;
    /// Direct routing.
    pub const DROUTE: u32 = 3;
    /// Cache bypass.
    pub const BYPASS: u32 = 4;
}

/// Encapsulations (`IP_VS_CONN_F_TUNNEL_TYPE_*`) and their checksum bits (`IP_VS_TUNNEL_ENCAP_FLAG_*`).
pub mod tun {
    /// IP in IP.
    pub const IPIP: u8 = 0;
    /// Generic UDP encapsulation.
    pub const GUE: u8 = 1;
    /// GRE.
    pub const GRE: u8 = 2;
    /// Checksum.
    pub const FLAG_CSUM: u16 = 1;
    /// Remote checksum offload.
    pub const FLAG_REMCSUM: u16 = 2;
}

/// Sync daemon attributes (`IPVS_DAEMON_ATTR_*`).
pub mod daemon {
    /// Which daemon, u32, see [`super::sync`].
    pub const STATE: u16 = 1;
    /// Interface, text with a final NUL.
    pub const MCAST_IFN: u16 = 2;
    /// Identity, u32 of which 8 bits count.
    pub const SYNC_ID: u16 = 3;
    /// Longest message, u16.
    pub const SYNC_MAXLEN: u16 = 4;
    /// IPv4 group, 4 bytes.
    pub const MCAST_GROUP: u16 = 5;
    /// IPv6 group, 16 bytes.
    pub const MCAST_GROUP6: u16 = 6;
    /// UDP port, u16 in **host** order, unlike the other ports.
    pub const MCAST_PORT: u16 = 7;
    /// Time to live, u8.
    pub const MCAST_TTL: u16 = 8;
}

/// Which sync daemon (`IP_VS_STATE_*`).
pub mod sync {
    /// The sender.
    pub const MASTER: u32 = 1;
    /// The receiver.
    pub const BACKUP: u32 = 2;
}

/// Counters and rates (`IPVS_STATS_ATTR_*`), the same in both nests.
pub mod stats {
    /// Connections.
    pub const CONNS: u16 = 1;
    /// Packets from clients.
    pub const INPKTS: u16 = 2;
    /// Packets to clients.
    pub const OUTPKTS: u16 = 3;
    /// Bytes from clients; u64 in both nests.
    pub const INBYTES: u16 = 4;
    /// Bytes to clients; u64 in both nests.
    pub const OUTBYTES: u16 = 5;
    /// Connections per second.
    pub const CPS: u16 = 6;
    /// Packets per second from clients.
    pub const INPPS: u16 = 7;
    /// Packets per second to clients.
    pub const OUTPPS: u16 = 8;
    /// Bytes per second from clients.
    pub const INBPS: u16 = 9;
    /// Bytes per second to clients.
    pub const OUTBPS: u16 = 10;
}

/// Address families as they travel (`AF_INET`, `AF_INET6` of Linux).
pub mod af {
    /// IPv4.
    pub const INET: u16 = 2;
    /// IPv6.
    pub const INET6: u16 = 10;
}
