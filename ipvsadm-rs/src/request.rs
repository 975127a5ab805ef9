//! One change asked of the kernel, and its spelling as a line of ipvsadm.

use std::fmt::{self, Write as _};
use std::net::{IpAddr, SocketAddr};

use crate::model::{
    Destination, DestinationId, Family, Forward, Granularity, Protocol, Service, ServiceFlags, ServiceId,
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

/// How an address with its port is spelled: as numbers, or with names.
pub(crate) trait Spelling {
    /// The text; `protocol` is `None` where it is not known, as with a firewall mark.
    fn endpoint(&self, address: IpAddr, port: u16, protocol: Option<Protocol>) -> String;
}

/// As numbers: `10.1.0.100:80`, `[2001:db8::1]:80`.
pub(crate) struct AsNumbers;

impl Spelling for AsNumbers {
    fn endpoint(&self, address: IpAddr, port: u16, _: Option<Protocol>) -> String {
        SocketAddr::new(address, port).to_string()
    }
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&line(self, &AsNumbers))
    }
}

/// The line of ipvsadm that asks for a change.
pub(crate) fn line(request: &Request, spelling: &dyn Spelling) -> String {
    let id = |id: &ServiceId| id_words(id, spelling);
    let to = |service: &ServiceId, id: &DestinationId| {
        let protocol = protocol_of(service);
        format!("{} -r {}", id_words(service, spelling), spelling.endpoint(id.address, id.port, protocol))
    };
    match request {
        Request::AddService(it) => format!("-A {}{}", id(&it.id), service_words(it)),
        Request::EditService(it) => format!("-E {}{}", id(&it.id), service_words(it)),
        Request::DeleteService(service) => format!("-D {}", id(service)),
        Request::AddDestination(service, it) => {
            format!("-a {}{}", to(service, &it.id), destination_words(it))
        }
        Request::EditDestination(service, it) => {
            format!("-e {}{}", to(service, &it.id), destination_words(it))
        }
        Request::DeleteDestination(service, it) => format!("-d {}", to(service, it)),
        Request::Flush => "-C".to_owned(),
        Request::Zero(None) => "-Z".to_owned(),
        Request::Zero(Some(service)) => format!("-Z {}", id(service)),
        Request::SetTimeouts(Timeouts { tcp, tcp_fin, udp }) => {
            format!("--set {} {} {}", tcp.as_secs(), tcp_fin.as_secs(), udp.as_secs())
        }
        Request::StartDaemon(daemon) => format!("--start-daemon {}", DaemonWords(daemon)),
        Request::StopDaemon(role) => format!("--stop-daemon {role}"),
    }
}

/// The protocol of a service; not known for a firewall mark.
pub(crate) fn protocol_of(service: &ServiceId) -> Option<Protocol> {
    match service {
        ServiceId::Address { protocol, .. } => Some(*protocol),
        ServiceId::FwMark { .. } => None,
    }
}

/// The option that names a service: `-t 10.1.0.100:80`, `-f 80 -6`.
fn id_words(id: &ServiceId, spelling: &dyn Spelling) -> String {
    match id {
        ServiceId::Address { protocol, address, port } => {
            let option = match protocol {
                Protocol::Tcp => "-t".to_owned(),
                Protocol::Udp => "-u".to_owned(),
                Protocol::Sctp => "--sctp-service".to_owned(),
                Protocol::Other(number) => format!("--protocol-{number}-service"),
            };
            format!("{option} {}", spelling.endpoint(*address, *port, Some(*protocol)))
        }
        ServiceId::FwMark { mark, family: Family::V4 } => format!("-f {mark}"),
        ServiceId::FwMark { mark, family: Family::V6 } => format!("-f {mark} -6"),
    }
}

/// Everything after the identity, in the order of `ipvsadm -S`.
fn service_words(service: &Service) -> String {
    let family = service.id.family();
    let mut words = format!(" -s {}", service.scheduler);
    let mut add = |option: &str, value: &dyn fmt::Display| {
        // Writing to a String cannot fail.
        let _ = write!(words, " {option} {value}");
    };
    if let Some(persistence) = &service.persistence {
        add("-p", &persistence.timeout.as_secs());
        if persistence.granularity != Granularity::single_client(family) {
            add("-M", &persistence.granularity.word(family));
        }
        if let Some(engine) = &persistence.engine {
            add("--pe", engine);
        }
    }
    if service.flags.contains(ServiceFlags::ONE_PACKET) {
        words.push_str(" -o");
    }
    if let Some(flags) = scheduler_flags_word(service) {
        let _ = write!(words, " -b {flags}");
    }
    words
}

/// The scheduler flags as `-b` takes them and listings show them, by the scheduler's own names where it has
/// some: `sh-fallback,sh-port`. `None` if no flag is set.
pub(crate) fn scheduler_flags_word(service: &Service) -> Option<String> {
    let mut words = String::new();
    for name in set_scheduler_flags(service) {
        let comma = if words.is_empty() { "" } else { "," };
        // Writing to a String cannot fail.
        let _ = write!(words, "{comma}{name}");
    }
    (!words.is_empty()).then_some(words)
}

/// The names of the scheduler flags that are set, lowest bit first.
pub(crate) fn set_scheduler_flags(service: &Service) -> impl Iterator<Item = &'static str> {
    let names = scheduler_flag_names(service.scheduler.as_str());
    let flags = [ServiceFlags::SCHEDULER_1, ServiceFlags::SCHEDULER_2, ServiceFlags::SCHEDULER_3];
    let set = service.flags;
    names.into_iter().zip(flags).filter(move |(_, flag)| set.contains(*flag)).map(|(name, _)| name)
}

/// Names of the three scheduler flags, lowest bit first.
pub(crate) fn scheduler_flag_names(scheduler: &str) -> [&'static str; 3] {
    match scheduler {
        "sh" => ["sh-fallback", "sh-port", "flag-3"],
        "mh" => ["mh-fallback", "mh-port", "flag-3"],
        _ => ["flag-1", "flag-2", "flag-3"],
    }
}

/// Everything after the identity. C ipvsadm forgets the thresholds when it saves.
fn destination_words(destination: &Destination) -> String {
    let Destination { forward, weight, upper_threshold, lower_threshold, .. } = destination;
    let mut words = format!(" {} -w {weight}", forward_option(forward));
    if *upper_threshold != 0 {
        let _ = write!(words, " -x {upper_threshold}");
    }
    if *lower_threshold != 0 {
        let _ = write!(words, " -y {lower_threshold}");
    }
    if let Forward::Tunnel(tunnel) = forward {
        words.push_str(&tunnel_words(tunnel));
    }
    words
}

/// The option of a forwarding method. The kernel's own two have none and are written as direct routing, as
/// C ipvsadm does.
fn forward_option(forward: &Forward) -> &'static str {
    match forward {
        Forward::Masquerade => "-m",
        Forward::Tunnel(_) => "-i",
        Forward::DirectRoute | Forward::Local | Forward::Bypass | Forward::Other(_) => "-g",
    }
}

fn tunnel_words(tunnel: &Tunnel) -> String {
    let checksum = |checksum: &TunnelChecksum| match checksum {
        TunnelChecksum::None => "--tun-nocsum",
        TunnelChecksum::Checksum => "--tun-csum",
        TunnelChecksum::Remote => "--tun-remcsum",
    };
    match tunnel {
        Tunnel::Ipip => " --tun-type ipip".to_owned(),
        Tunnel::Gue { port, checksum: it } => format!(" --tun-type gue --tun-port {port} {}", checksum(it)),
        Tunnel::Gre { checksum: it } => format!(" --tun-type gre {}", checksum(it)),
        Tunnel::Other { kind, port, flags } => {
            format!(" --tun-type {kind} --tun-port {port} --tun-flags {flags}")
        }
    }
}

struct DaemonWords<'a>(&'a SyncDaemon);

impl fmt::Display for DaemonWords<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let SyncDaemon { role, interface, sync_id, max_len, group, port, ttl } = self.0;
        write!(f, "{role} --mcast-interface {interface} --syncid {sync_id}")?;
        if let Some(length) = max_len {
            write!(f, " --sync-maxlen {length}")?;
        }
        if let Some(group) = group {
            write!(f, " --mcast-group {group}")?;
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

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;
    use std::time::Duration;

    use super::*;
    use crate::model::{Persistence, PersistenceEngine, Scheduler};

    #[test]
    fn every_request_is_displayed_as_the_line_that_asks_for_it() {
        let web = ServiceId::tcp("10.1.0.100:80".parse().unwrap());
        let mark = ServiceId::FwMark { mark: NonZeroU32::new(7).unwrap(), family: Family::V6 };
        let sip = PersistenceEngine::new("sip").ok();
        let kept = Persistence {
            timeout: Duration::from_secs(60),
            granularity: Granularity::prefix(24),
            engine: sip,
        };
        let service = Service {
            flags: ServiceFlags::SCHEDULER_1 | ServiceFlags::SCHEDULER_2 | ServiceFlags::ONE_PACKET,
            persistence: Some(kept),
            ..Service::new(web, Scheduler::SH)
        };
        let six = Service {
            persistence: Some(Persistence { granularity: Granularity::prefix(64), engine: None, ..kept }),
            ..Service::new(mark, Scheduler::RR)
        };
        let id = |text: &str| DestinationId::from(text.parse::<SocketAddr>().unwrap());
        let full = Destination {
            weight: 5,
            upper_threshold: 100,
            lower_threshold: 50,
            ..Destination::new(id("10.2.0.11:80"), Forward::Masquerade)
        };
        let tunnel = |tunnel| Destination::new(id("[2001:db8::1]:80"), Forward::Tunnel(tunnel));
        let daemon = SyncDaemon {
            group: Some("ff02::99".parse().unwrap()),
            ttl: Some(3),
            ..SyncDaemon::new(SyncRole::Master, "eth0", 5)
        };
        let seconds = Duration::from_secs;
        let table = [
            (
                Request::AddService(service),
                "-A -t 10.1.0.100:80 -s sh -p 60 -M 255.255.255.0 --pe sip -o -b sh-fallback,sh-port",
            ),
            (Request::EditService(six), "-E -f 7 -6 -s rr -p 60 -M 64"),
            (Request::DeleteService(mark), "-D -f 7 -6"),
            (
                Request::AddDestination(web, full.clone()),
                "-a -t 10.1.0.100:80 -r 10.2.0.11:80 -m -w 5 -x 100 -y 50",
            ),
            (
                Request::EditDestination(web, tunnel(Tunnel::Ipip)),
                "-e -t 10.1.0.100:80 -r [2001:db8::1]:80 -i -w 1 --tun-type ipip",
            ),
            (
                Request::AddDestination(web, tunnel(Tunnel::Gre { checksum: TunnelChecksum::Checksum })),
                "-a -t 10.1.0.100:80 -r [2001:db8::1]:80 -i -w 1 --tun-type gre --tun-csum",
            ),
            (Request::DeleteDestination(web, full.id), "-d -t 10.1.0.100:80 -r 10.2.0.11:80"),
            (Request::Flush, "-C"),
            (Request::Zero(None), "-Z"),
            (Request::Zero(Some(web)), "-Z -t 10.1.0.100:80"),
            (
                Request::SetTimeouts(Timeouts { tcp: seconds(1), tcp_fin: seconds(2), udp: seconds(0) }),
                "--set 1 2 0",
            ),
            (
                Request::StartDaemon(daemon),
                "--start-daemon master --mcast-interface eth0 --syncid 5 --mcast-group ff02::99 --mcast-ttl 3",
            ),
            (Request::StopDaemon(SyncRole::Backup), "--stop-daemon backup"),
        ];
        for (request, line) in table {
            assert_eq!(request.to_string(), line);
        }
    }
}
