//! One change asked of the kernel, and its spelling as a line of ipvsadm.

use std::fmt::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::model::{
    Destination, DestinationId, Family, Forward, Persistence, Protocol, Service, ServiceFlags, ServiceId,
    SyncDaemon, SyncRole, Timeouts, Tunnel, TunnelChecksum,
};

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
        match self {
            Self::AddService(service) => write!(f, "-A {}", ServiceLine(service)),
            Self::EditService(service) => write!(f, "-E {}", ServiceLine(service)),
            Self::DeleteService(id) => write!(f, "-D {}", IdWords(id)),
            Self::AddDestination(id, to) => write!(f, "-a {} {}", IdWords(id), DestinationWords(to)),
            Self::EditDestination(id, to) => write!(f, "-e {} {}", IdWords(id), DestinationWords(to)),
            Self::DeleteDestination(id, to) => write!(f, "-d {} -r {to}", IdWords(id)),
            Self::Flush => f.write_str("-C"),
            Self::Zero(None) => f.write_str("-Z"),
            Self::Zero(Some(id)) => write!(f, "-Z {}", IdWords(id)),
            Self::SetTimeouts(to) => {
                write!(f, "--set {} {} {}", to.tcp.as_secs(), to.tcp_fin.as_secs(), to.udp.as_secs())
            }
            Self::StartDaemon(daemon) => write!(f, "--start-daemon {}", DaemonWords(daemon)),
            Self::StopDaemon(role) => write!(f, "--stop-daemon {role}"),
        }
    }
}

/// The option that names a service: `-t 10.1.0.100:80`, `-f 80 -6`.
struct IdWords<'a>(&'a ServiceId);

impl fmt::Display for IdWords<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            ServiceId::Address { protocol, address, port } => {
                let option = match protocol {
                    Protocol::Tcp => "-t",
                    Protocol::Udp => "-u",
                    Protocol::Sctp => "--sctp-service",
                    Protocol::Other(number) => return write!(f, "--protocol-{number} {address}:{port}"),
                };
                write!(f, "{option} {}", SocketAddr::new(*address, *port))
            }
            ServiceId::FwMark { mark, family: Family::V4 } => write!(f, "-f {mark}"),
            ServiceId::FwMark { mark, family: Family::V6 } => write!(f, "-f {mark} -6"),
        }
    }
}

struct ServiceLine<'a>(&'a Service);

impl fmt::Display for ServiceLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let service = self.0;
        write!(f, "{} -s {}", IdWords(&service.id), service.scheduler)?;
        if let Some(persistence) = &service.persistence {
            write!(f, " -p {}", persistence.timeout.as_secs())?;
            if persistence.granularity != service.id.family().bits() {
                write!(f, " -M {}", granularity_word(persistence, service.id.family()))?;
            }
            if let Some(engine) = &persistence.engine {
                write!(f, " --pe {engine}")?;
            }
        }
        if let Some(flags) = scheduler_flags_word(service) {
            write!(f, " -b {flags}")?;
        }
        if service.flags.contains(ServiceFlags::ONE_PACKET) {
            f.write_str(" -o")?;
        }
        Ok(())
    }
}

/// The persistence granularity as `-M` takes it: a mask for IPv4, a prefix length for IPv6.
pub(crate) fn granularity_word(persistence: &Persistence, family: Family) -> String {
    match family {
        Family::V4 => prefix_to_mask(persistence.granularity).to_string(),
        Family::V6 => persistence.granularity.to_string(),
    }
}

/// The IPv4 mask of a prefix length; lengths above 32 count as 32.
pub(crate) fn prefix_to_mask(length: u8) -> Ipv4Addr {
    let host_bits = 32 - u32::from(length.min(32));
    Ipv4Addr::from_bits(u32::MAX.checked_shl(host_bits).unwrap_or(0))
}

/// The scheduler flags as `-b` takes them and listings show them, by the scheduler's own names where it has
/// some: `sh-fallback,sh-port`. `None` if no flag is set.
pub(crate) fn scheduler_flags_word(service: &Service) -> Option<String> {
    let names = scheduler_flag_names(service.scheduler.as_str());
    let flags = [ServiceFlags::SCHEDULER_1, ServiceFlags::SCHEDULER_2, ServiceFlags::SCHEDULER_3];
    let mut words = String::new();
    for (name, _) in names.iter().zip(flags).filter(|(_, flag)| service.flags.contains(*flag)) {
        let comma = if words.is_empty() { "" } else { "," };
        // Writing to a String cannot fail.
        let _ = write!(words, "{comma}{name}");
    }
    (!words.is_empty()).then_some(words)
}

/// Names of the three scheduler flags, lowest bit first.
pub(crate) fn scheduler_flag_names(scheduler: &str) -> [&'static str; 3] {
    match scheduler {
        "sh" => ["sh-fallback", "sh-port", "flag-3"],
        "mh" => ["mh-fallback", "mh-port", "flag-3"],
        _ => ["flag-1", "flag-2", "flag-3"],
    }
}

struct DestinationWords<'a>(&'a Destination);

impl fmt::Display for DestinationWords<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Destination { id, forward, weight, upper_threshold, lower_threshold } = self.0;
        write!(f, "-r {id} {} -w {weight}", forward_option(forward))?;
        if *upper_threshold != 0 {
            write!(f, " -x {upper_threshold}")?;
        }
        if *lower_threshold != 0 {
            write!(f, " -y {lower_threshold}")?;
        }
        if let Forward::Tunnel(tunnel) = forward {
            tunnel_words(f, tunnel)?;
        }
        Ok(())
    }
}

/// The option of a forwarding method. The kernel's own two have none and are written as direct routing, as
/// C ipvsadm does.
fn forward_option(forward: &Forward) -> &'static str {
    match forward {
        Forward::Masquerade => "-m",
        Forward::Tunnel(_) => "-i",
        Forward::DirectRoute | Forward::Local | Forward::Bypass => "-g",
    }
}

fn tunnel_words(f: &mut fmt::Formatter<'_>, tunnel: &Tunnel) -> fmt::Result {
    let checksum = match tunnel {
        Tunnel::Ipip => return Ok(()),
        Tunnel::Gue { port, checksum } => {
            write!(f, " --tun-type gue --tun-port {port}")?;
            checksum
        }
        Tunnel::Gre { checksum } => {
            f.write_str(" --tun-type gre")?;
            checksum
        }
    };
    f.write_str(match checksum {
        TunnelChecksum::None => " --tun-nocsum",
        TunnelChecksum::Checksum => " --tun-csum",
        TunnelChecksum::Remote => " --tun-remcsum",
    })
}

struct DaemonWords<'a>(&'a SyncDaemon);

impl fmt::Display for DaemonWords<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let SyncDaemon { role, interface, sync_id, max_len, group, port, ttl } = self.0;
        write!(f, "{role} --mcast-interface {interface} --syncid {sync_id}")?;
        if let Some(length) = max_len {
            write!(f, " --sync-maxlen {length}")?;
        }
        match group {
            Some(IpAddr::V4(group)) => write!(f, " --mcast-group {group}")?,
            Some(IpAddr::V6(group)) => write!(f, " --mcast-group [{group}]")?,
            None => {}
        }
        if let Some(port) = port {
            write!(f, " --mcast-port {port}")?;
        }
        if let Some(ttl) = ttl {
            write!(f, " --mcast-ttl {ttl}")?;
        }
        Ok(())
    }
}
