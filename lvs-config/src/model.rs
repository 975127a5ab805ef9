//! What an `lvs.cf` means once it has been understood: plain data, every value in range.
//!
//! Nothing here reads text or checks anything; `lower.rs` builds these types and is the only place that decides
//! defaults. The vocabulary is the file's own. How a virtual server looks to the kernel is `lvs`' business.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU16;
use std::path::PathBuf;
use std::time::Duration;

use crate::sysctl::Sysctls;
use crate::units::{Device, FwMark, Weight};

/// A whole configuration. Built only by [`crate::parse`] and [`crate::load()`].
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Edit counter of the tools that write the file (`serial_no`); the daemons only show it.
    pub serial_no: u64,
    /// Which list of services the routers run (`service`).
    pub service: ServiceKind,
    /// Addresses of the router that the file calls primary. Public: `primary`, private: `primary_private`.
    pub primary: RouterAddresses,
    /// Addresses of the other router (`backup`, `backup_private`); `None` when the router stands alone
    /// (`backup` missing or `0.0.0.0`).
    pub backup: Option<RouterAddresses>,
    /// Whether heartbeats are exchanged (`backup_active`); never true without [`Config::backup`].
    pub backup_active: bool,
    /// Heartbeat port and timers.
    pub heartbeat: Heartbeat,
    /// Forwarding method of every virtual server that does not choose its own (`network`); a tunnel is [`Tunnel::Ipip`].
    pub network: Forwarding,
    /// Floating inside address of a NAT router (`nat_router`, `nat_nmask`). It is meant only when
    /// [`Config::translates`].
    pub nat_router: Option<FloatingAddress>,
    /// Command run when this router becomes active, split into words (`active_cmd`).
    pub active_cmd: Option<Vec<String>>,
    /// Command run at start and when this router stops being active, split into words (`inactive_cmd`).
    pub inactive_cmd: Option<Vec<String>>,
    /// Whether a router that loses one of its own links counts as failed (`monitor_links`).
    pub monitor_links: bool,
    /// Where `lvs` serves its metrics over HTTP (`metrics`); `None`: nowhere.
    pub metrics: Option<SocketAddr>,
    /// As whom checks are made, by name or as `UID:GID` (`monitor_user`); `None`: as the default user.
    pub monitor_user: Option<String>,
    /// Accepted for old files (`hard_shutdown`). A dead monitor is restarted whatever it says.
    pub hard_shutdown: bool,
    /// The kernel's connection synchronisation (`syncdaemon`, `syncd_iface`, `syncd_id`); `None` when off.
    pub sync_daemon: Option<SyncDaemon>,
    /// Connection timeouts of the kernel; `None` leaves one as it is.
    pub timeouts: Timeouts,
    /// Path of an `ipvsadm` (`ipvsadm`). Kept for `client_monitor` programs that want one; we do not run it.
    pub ipvsadm: PathBuf,
    /// Command for `load_monitor = uptime` (`rsh_command`).
    pub rsh_command: String,
    /// What is asked of the kernel's settings (`sysctl`).
    pub sysctls: Sysctls,
    /// Virtual servers in file order, inactive ones included.
    pub virtual_servers: Vec<VirtualServer>,
    /// Failover services in file order (`service = fos`), inactive ones included.
    pub failover_services: Vec<FailoverService>,
}

impl Config {
    /// The virtual servers that are to be served: those with `active = 1`.
    pub fn active_virtual_servers(&self) -> impl Iterator<Item = &VirtualServer> {
        self.virtual_servers.iter().filter(|v| v.active)
    }

    /// Whether [`Forwarding::Nat`] is the method of the file, or of any real server that is to be served.
    pub fn translates(&self) -> bool {
        let is_nat = |method| method == Forwarding::Nat;
        let mut servers = self.active_virtual_servers().flat_map(VirtualServer::active_servers);
        is_nat(self.network) || servers.any(|server| is_nat(server.forwarding))
    }

    /// Every address that moves with the active router, each once, in file order: the VIPs of the active virtual
    /// servers, then `nat_router` when [`Config::translates`].
    pub fn floating_addresses(&self) -> Vec<&FloatingAddress> {
        let mut found: Vec<&FloatingAddress> = Vec::new();
        let nat_router = self.nat_router.as_ref().filter(|_| self.translates());
        for address in self.active_virtual_servers().map(|v| &v.address).chain(nat_router) {
            if !found.iter().any(|f| f.address == address.address) {
                found.push(address);
            }
        }
        found
    }
}

/// `service`: which kind of service the pair of routers runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServiceKind {
    /// `lvs`: load balancing.
    Lvs,
    /// `fos`: failover services on the routers themselves.
    Fos,
}

/// How one router is reached by the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouterAddresses {
    /// Address on the public network; also tells a router which of the two it is.
    pub public: IpAddr,
    /// Address on the private link; `None` when heartbeats use the public network only.
    pub private: Option<IpAddr>,
    /// Shared SCSI device of failover services (`primary_shared`, `backup_shared`); accepted, unused.
    pub shared_device: Option<String>,
}

/// Heartbeat transport and timers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heartbeat {
    /// UDP port on both routers (`heartbeat_port`).
    pub port: u16,
    /// Send interval (`keepalive`).
    pub keepalive: Duration,
    /// Silence after which the partner counts as dead (`deadtime`); always longer than `keepalive`.
    pub deadtime: Duration,
}

/// `network`: how a packet gets from the router to a real server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Forwarding {
    /// `nat`: addresses are rewritten in both directions.
    Nat,
    /// `direct`: the frame is sent to the real server's MAC address unchanged.
    Direct,
    /// `tunnel`: the packet travels inside another IP packet, built like this.
    Tunnel(Tunnel),
}

/// `tunnel_type`, with what each type has of `tunnel_port` and `tunnel_checksum`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Tunnel {
    /// `ipip`: IP in IP.
    #[default]
    Ipip,
    /// `gue`: generic UDP encapsulation.
    Gue {
        /// `tunnel_port`: UDP port of the real server's end.
        port: NonZeroU16,
        /// `tunnel_checksum`.
        checksum: TunnelChecksum,
    },
    /// `gre`.
    Gre {
        /// `tunnel_checksum`: `csum` when true, else `none`.
        checksum: bool,
    },
}

/// `tunnel_checksum`: checksum of the outer packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum TunnelChecksum {
    /// `none`.
    #[default]
    None,
    /// `csum`: computed by the router.
    Checksum,
    /// `remcsum`: remote checksum offload.
    Remote,
}

/// An address that only the active router holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FloatingAddress {
    /// The address.
    pub address: IpAddr,
    /// Prefix length from `vip_nmask`, `nat_nmask` or a `/N` suffix; `None`: that of the network which the device
    /// is already in, else the class default of old (IPv4) or 128 (IPv6).
    pub prefix: Option<u8>,
    /// The device, with the alias label that the file gives.
    pub device: Device,
}

/// The kernel's connection synchronisation daemon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncDaemon {
    /// Interface on which connections are multicast (`syncd_iface`).
    pub interface: String,
    /// Id that both routers share (`syncd_id`), 0 to 255.
    pub id: u8,
}

/// Kernel connection timeouts in whole seconds; `None` leaves the kernel's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Timeouts {
    /// Idle established TCP (`tcp_timeout`).
    pub tcp: Option<Duration>,
    /// TCP after a FIN (`tcpfin_timeout`).
    pub tcp_fin: Option<Duration>,
    /// UDP (`udp_timeout`).
    pub udp: Option<Duration>,
}

/// A `virtual` block.
#[derive(Debug, Clone, PartialEq)]
pub struct VirtualServer {
    /// The name on the block's first line.
    pub name: String,
    /// Line of the block's first line, counted from 1.
    pub line: u32,
    /// `active`.
    pub active: bool,
    /// `address` and `vip_nmask`: the VIP.
    pub address: FloatingAddress,
    /// `protocol`.
    pub protocol: Protocol,
    /// `port`.
    pub port: u16,
    /// `fwmark`: packets are chosen by this mark instead of by address and port.
    pub fwmark: Option<FwMark>,
    /// `scheduler`.
    pub scheduler: Scheduler,
    /// `sched_flags`.
    pub scheduler_flags: SchedulerFlags,
    /// `one_packet`: each datagram is scheduled by itself; only with UDP or a firewall mark.
    pub one_packet: bool,
    /// `persistent` and `pmask`.
    pub persistence: Option<Persistence>,
    /// Forwarding method of those of its servers that do not choose their own (`network`, `tunnel_type`, ...).
    pub forwarding: Forwarding,
    /// `sorry_server`: serves when no real server can, or when the quorum is lost.
    pub sorry_server: Option<SorryServer>,
    /// `quorum` and `quorum_hysteresis`.
    pub quorum: Quorum,
    /// `start`: what its real servers are before their first check.
    pub start: StartPolicy,
    /// `slow_start`, as the file asks for it; [`VirtualServer::climb`] is what comes of it.
    pub slow_start: SlowStart,
    /// `drain`: how long a server that leaves the file keeps its connections at most, 1 s to 24 h; `None`: it is removed
    /// at once.
    pub drain: Option<Duration>,
    /// `on_up` and `on_down`: quorum reached and lost.
    pub hooks: Hooks,
    /// `quiesce_server`: a failed server keeps its row with weight 0.
    pub quiesce: bool,
    /// How its real servers are checked.
    pub check: Check,
    /// `server` blocks in file order, inactive ones included.
    pub servers: Vec<RealServer>,
}

impl VirtualServer {
    /// The real servers with `active = 1`.
    pub fn active_servers(&self) -> impl Iterator<Item = &RealServer> {
        self.servers.iter().filter(|s| s.active)
    }

    /// How weights grow here. Not at all where nobody heeds them; and nobody who did not ask for it gets a climb by which
    /// no work grows little by little.
    #[must_use]
    pub fn climb(&self) -> SlowStart {
        match self.scheduler.use_of_weights() {
            WeightUse::None => SlowStart::Off,
            WeightUse::Rank | WeightUse::Deal if self.slow_start == SlowStart::Doubling => SlowStart::Off,
            WeightUse::Rank | WeightUse::Deal | WeightUse::Share => self.slow_start,
        }
    }
}

/// `slow_start`: how the weight of a real server grows that comes up while others serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum SlowStart {
    /// `off`: it is there at once.
    Off,
    /// `doubling`, as Piranha's monitor did it: from the 32nd part, at least 1, doubled every 20 seconds.
    #[default]
    Doubling,
    /// A time: in even steps, 1 s to 1 h long.
    Even(Duration),
}

/// The server of last resort. The kernel gives it the weight 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SorryServer {
    /// Its address.
    pub address: IpAddr,
    /// Its port; the virtual server's unless it is reached by [`Forwarding::Nat`].
    pub port: u16,
    /// How it is reached; the virtual server's method when it has none of its own.
    pub forwarding: Forwarding,
}

/// How much of a virtual server must be up for it to count as usable, in weights as in the file.
///
/// The quorum is lost when the sum of the weights of servers that are up falls below `weight - hysteresis`, and reached
/// again when it is at least `weight + hysteresis`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quorum {
    /// `quorum`, 1 to 2,147,483,647.
    pub weight: u32,
    /// `quorum_hysteresis`, less than [`Quorum::weight`].
    pub hysteresis: u32,
}

impl Default for Quorum {
    fn default() -> Self {
        Self { weight: 1, hysteresis: 0 }
    }
}

/// `start`: what a real server is until its first check has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum StartPolicy {
    /// `up`: it serves with its weight until a check says otherwise.
    Up,
    /// `down`: it has failed until its first good check; the sorry server serves.
    Down,
    /// `probe`: it is out of the table; the sorry server is not called while first checks are under way.
    #[default]
    Probe,
}

/// `on_up` and `on_down`: commands to run, split into words, never empty.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Hooks {
    /// Run when it comes up (a server) or reaches its quorum (a virtual server).
    pub on_up: Option<Vec<String>>,
    /// Run when it fails or loses its quorum.
    pub on_down: Option<Vec<String>>,
}

/// `protocol` of a virtual server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// `tcp`.
    Tcp,
    /// `udp`.
    Udp,
    /// `sctp`.
    Sctp,
}

/// `scheduler`: the kernel's scheduling algorithms by their kernel names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheduler {
    /// `rr`: round robin.
    Rr,
    /// `wrr`: weighted round robin.
    Wrr,
    /// `lc`: least connections.
    Lc,
    /// `wlc`: weighted least connections.
    Wlc,
    /// `lblc`: locality-based least connections.
    Lblc,
    /// `lblcr`: locality-based least connections with replication.
    Lblcr,
    /// `dh`: destination hashing.
    Dh,
    /// `sh`: source hashing.
    Sh,
    /// `sed`: shortest expected delay.
    Sed,
    /// `nq`: never queue.
    Nq,
    /// `fo`: weighted failover.
    Fo,
    /// `ovf`: weighted overflow.
    Ovf,
    /// `mh`: Maglev hashing.
    Mh,
    /// `twos`: power of two choices.
    Twos,
}

/// What weights above 0 are to a scheduler (kernel, `net/netfilter/ipvs/ip_vs_*.c`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WeightUse {
    /// They are all the same.
    None,
    /// The greatest one takes all.
    Rank,
    /// They say who gets which clients; another weight deals anew.
    Deal,
    /// They are shares of the work.
    Share,
}

impl Scheduler {
    /// What weights above 0 are to this scheduler.
    #[must_use]
    pub const fn use_of_weights(self) -> WeightUse {
        match self {
            Self::Rr | Self::Lc | Self::Dh => WeightUse::None,
            Self::Fo => WeightUse::Rank,
            Self::Sh | Self::Mh => WeightUse::Deal,
            Self::Wrr
            | Self::Wlc
            | Self::Lblc
            | Self::Lblcr
            | Self::Sed
            | Self::Nq
            | Self::Ovf
            | Self::Twos => WeightUse::Share,
        }
    }
}

/// `sched_flags`: switches of the scheduler, which gives them their meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SchedulerFlags {
    /// `sh-fallback`, `mh-fallback` or `flag-1`.
    pub first: bool,
    /// `sh-port`, `mh-port` or `flag-2`.
    pub second: bool,
    /// `flag-3`.
    pub third: bool,
}

/// Persistence of a virtual server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Persistence {
    /// Lifetime of a template (`persistent`), whole seconds.
    pub timeout: Duration,
    /// How many leading bits of a client's address are compared (`pmask`): 32 or 128 means each client alone.
    pub granularity: u8,
}

/// How a real server is checked. Text is as in the file, escapes untouched: `nanny` translates them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// `client_monitor`; `None` is the suite's own `nanny`.
    pub client_monitor: Option<PathBuf>,
    /// `check`: takes the place of `send`, `expect`, `use_regex` and `send_program`, which are not there beside it. `None`
    /// also with a `client_monitor`, which does not know it.
    pub spec: Option<checkspec::Check>,
    /// `send`.
    pub send: Option<String>,
    /// `expect`.
    pub expect: Option<String>,
    /// `use_regex`.
    pub use_regex: bool,
    /// `send_program`: takes the place of `send`.
    pub send_program: Option<String>,
    /// `timeout`: time between probes and limit of each step of a probe that has none of its own.
    pub interval: Duration,
    /// `connect_timeout`, `answer_timeout`, `check_timeout`, `failing_interval` and `jitter`.
    pub pace: Pace,
    /// `reentry`: how long a failed server must answer well before it is used again.
    pub reentry: Duration,
    /// `rise`: so many good checks in a row are needed, beside [`Check::reentry`], before a failed server is used again; 1
    /// to 100.
    pub rise: u32,
    /// `fall`: so many failed checks in a row make a server that is up a failed one; 1 to 100.
    pub fall: u32,
    /// `damping`: how often a server may fail within which time before it is kept out for longer; `None`: any number of
    /// times.
    pub damping: Option<Damping>,
    /// `load_monitor`: `none`, `uptime`, `rup`, `ruptime` or a program; `None` when not given.
    pub load_monitor: Option<String>,
}

/// How long a probe and the time to the next one may be, where that is not [`Check::interval`]. Times are 10 ms to 1 h.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pace {
    /// `connect_timeout`: limit of connecting.
    pub connect: Option<Duration>,
    /// `answer_timeout`: limit of each answer, and of a program.
    pub answer: Option<Duration>,
    /// `check_timeout`: limit of all of a probe; `None`: that of its steps together.
    pub probe: Option<Duration>,
    /// `failing_interval`: time between probes while the last one has failed.
    pub failing: Option<Duration>,
    /// `jitter`: by how many percent a time between probes may differ, 0 to 50.
    pub jitter: u8,
}

/// `damping`: a server flaps that fails more than `times` times within `within`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Damping {
    /// 1 to 100.
    pub times: u32,
    /// 1 s to 24 h.
    pub within: Duration,
}

/// A `server` block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RealServer {
    /// The name on the block's first line.
    pub name: String,
    /// Line of the block's first line, counted from 1.
    pub line: u32,
    /// `active`.
    pub active: bool,
    /// `address`.
    pub address: IpAddr,
    /// `port`; the virtual server's when not given.
    pub port: u16,
    /// `weight`.
    pub weight: Weight,
    /// `max_connections` and `min_connections`, the virtual server's where it has none of its own.
    pub limits: Limits,
    /// Its forwarding method, the virtual server's where it has none of its own.
    pub forwarding: Forwarding,
    /// `on_up` and `on_down`.
    pub hooks: Hooks,
}

/// How many connections a real server takes, open and closing ones together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// `max_connections`: at this many it gets no new ones; 0 means no limit.
    pub max: u32,
    /// `min_connections`: below this many it gets new ones again, at most [`Limits::max`]; 0 means three quarters of
    /// that.
    pub min: u32,
}

/// A `failover` block.
#[derive(Debug, Clone, PartialEq)]
pub struct FailoverService {
    /// The name on the block's first line.
    pub name: String,
    /// Line of the block's first line, counted from 1.
    pub line: u32,
    /// `active`.
    pub active: bool,
    /// `address` and `vip_nmask`.
    pub address: FloatingAddress,
    /// `protocol`.
    pub protocol: Protocol,
    /// `port`.
    pub port: u16,
    /// How the partner's service is checked.
    pub check: Check,
    /// `start_cmd`, split into words.
    pub start_cmd: Option<Vec<String>>,
    /// `stop_cmd`, split into words.
    pub stop_cmd: Option<Vec<String>>,
}
