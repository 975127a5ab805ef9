//! The spelling of a change as a line of ipvsadm, with numbers or names.

use std::fmt::{self, Write as _};
use std::net::IpAddr;

use crate::model::{
    Destination, DestinationId, Family, Forward, Granularity, Protocol, Service, ServiceFlags, ServiceId,
    SyncDaemon, Timeouts, Tunnel, TunnelChecksum,
};
use crate::request::Request;
use crate::text;

/// How an address with its port is spelled: as numbers, or with names.
pub(crate) trait Spelling {
    /// Appends the text; `protocol` is `None` where it is not known, as with a firewall mark.
    fn endpoint(&self, into: &mut String, address: IpAddr, port: u16, protocol: Option<Protocol>);
}

/// As numbers: `10.1.0.100:80`, `[2001:db8::1]:80`.
pub(crate) struct AsNumbers;

impl Spelling for AsNumbers {
    fn endpoint(&self, into: &mut String, address: IpAddr, port: u16, _: Option<Protocol>) {
        text::endpoint(into, address, port);
    }
}

/// The line of ipvsadm that asks for a change.
pub(crate) fn line(request: &Request, spelling: &dyn Spelling) -> String {
    let mut line = String::new();
    push_line(&mut line, request, spelling);
    line
}

fn push_line(line: &mut String, request: &Request, spelling: &dyn Spelling) {
    match request {
        Request::AddService(it) => push_service(line, "-A ", it, spelling),
        Request::EditService(it) => push_service(line, "-E ", it, spelling),
        Request::DeleteService(service) => push_id(line, "-D ", service, spelling),
        Request::AddDestination(service, it) => push_destination(line, "-a ", service, it, spelling),
        Request::EditDestination(service, it) => push_destination(line, "-e ", service, it, spelling),
        Request::DeleteDestination(service, it) => push_destination_id(line, "-d ", service, it, spelling),
        Request::Flush => line.push_str("-C"),
        Request::Zero(None) => line.push_str("-Z"),
        Request::Zero(Some(service)) => push_id(line, "-Z ", service, spelling),
        Request::SetTimeouts(Timeouts { tcp, tcp_fin, udp }) => {
            add(line, format_args!("--set {} {} {}", tcp.as_secs(), tcp_fin.as_secs(), udp.as_secs()));
        }
        Request::StartDaemon(daemon) => add(line, format_args!("--start-daemon {}", DaemonWords(daemon))),
        Request::StopDaemon(role) => add(line, format_args!("--stop-daemon {role}")),
    }
}

/// Appends formatted text, which cannot fail.
fn add(line: &mut String, words: fmt::Arguments<'_>) {
    let _ = line.write_fmt(words);
}

/// Appends the line that asks for a service: a command and all that follows.
pub(crate) fn push_service(line: &mut String, command: &str, service: &Service, spelling: &dyn Spelling) {
    push_id(line, command, &service.id, spelling);
    push_service_words(line, service);
}

/// Appends the line that asks for a destination: a command and all that follows.
pub(crate) fn push_destination(
    line: &mut String,
    command: &str,
    service: &ServiceId,
    to: &Destination,
    spelling: &dyn Spelling,
) {
    push_destination_id(line, command, service, &to.id, spelling);
    push_destination_words(line, to);
}

fn push_destination_id(
    line: &mut String,
    command: &str,
    service: &ServiceId,
    to: &DestinationId,
    spelling: &dyn Spelling,
) {
    push_id(line, command, service, spelling);
    line.push_str(" -r ");
    spelling.endpoint(line, to.address, to.port, protocol_of(service));
}

/// The protocol of a service; not known for a firewall mark.
pub(crate) fn protocol_of(service: &ServiceId) -> Option<Protocol> {
    match service {
        ServiceId::Address { protocol, .. } => Some(*protocol),
        ServiceId::FwMark { .. } => None,
    }
}

/// Appends a command and the option that names a service: `-A -t 10.1.0.100:80`, `-D -f 80 -6`.
fn push_id(line: &mut String, command: &str, id: &ServiceId, spelling: &dyn Spelling) {
    line.push_str(command);
    match id {
        ServiceId::Address { protocol, address, port } => {
            match protocol {
                Protocol::Tcp => line.push_str("-t "),
                Protocol::Udp => line.push_str("-u "),
                Protocol::Sctp => line.push_str("--sctp-service "),
                Protocol::Other(it) => add(line, format_args!("--protocol-{}-service ", it.number())),
            }
            spelling.endpoint(line, *address, *port, Some(*protocol));
        }
        ServiceId::FwMark { mark, family: Family::V4 } => add(line, format_args!("-f {mark}")),
        ServiceId::FwMark { mark, family: Family::V6 } => add(line, format_args!("-f {mark} -6")),
    }
}

/// Everything after the identity, in the order of `ipvsadm -S`.
fn push_service_words(line: &mut String, service: &Service) {
    let family = service.id.family();
    line.push_str(" -s ");
    line.push_str(service.scheduler.as_str());
    if let Some(persistence) = &service.persistence {
        add(line, format_args!(" -p {}", persistence.timeout.as_secs()));
        if persistence.granularity != Granularity::single_client(family) {
            add(line, format_args!(" -M {}", persistence.granularity.word(family)));
        }
        if let Some(engine) = &persistence.engine {
            add(line, format_args!(" --pe {engine}"));
        }
    }
    if service.flags.contains(ServiceFlags::ONE_PACKET) {
        line.push_str(" -o");
    }
    if let Some(flags) = scheduler_flags_word(service) {
        add(line, format_args!(" -b {flags}"));
    }
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
fn push_destination_words(line: &mut String, destination: &Destination) {
    let Destination { forward, weight, upper_threshold, lower_threshold, .. } = destination;
    line.push_str(forward_option(forward));
    text::number(line, *weight);
    for (option, threshold) in [(" -x ", *upper_threshold), (" -y ", *lower_threshold)] {
        if threshold != 0 {
            line.push_str(option);
            text::number(line, threshold);
        }
    }
    if let Forward::Tunnel(tunnel) = forward {
        push_tunnel_words(line, tunnel);
    }
}

/// The option of a forwarding method, and that of the weight that follows. The kernel's own two have none and are written as direct routing, as
/// C ipvsadm does.
fn forward_option(forward: &Forward) -> &'static str {
    match forward {
        Forward::Masquerade => " -m -w ",
        Forward::Tunnel(_) => " -i -w ",
        Forward::DirectRoute | Forward::Local | Forward::Bypass | Forward::Other(_) => " -g -w ",
    }
}

fn push_tunnel_words(line: &mut String, tunnel: &Tunnel) {
    let checksum = |checksum: &TunnelChecksum| match checksum {
        TunnelChecksum::None => "--tun-nocsum",
        TunnelChecksum::Checksum => "--tun-csum",
        TunnelChecksum::Remote => "--tun-remcsum",
    };
    match tunnel {
        Tunnel::Ipip => line.push_str(" --tun-type ipip"),
        Tunnel::Gue { port, checksum: it } => {
            add(line, format_args!(" --tun-type gue --tun-port {port} {}", checksum(it)));
        }
        Tunnel::Gre { checksum: false } => line.push_str(" --tun-type gre --tun-nocsum"),
        Tunnel::Gre { checksum: true } => line.push_str(" --tun-type gre --tun-csum"),
        Tunnel::Other { kind, port, flags } => {
            let flags = flags.number();
            add(line, format_args!(" --tun-type {kind} --tun-port {port} --tun-flags {flags}"));
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
    use std::net::SocketAddr;
    use std::num::NonZeroU32;
    use std::time::Duration;

    use super::*;
    use crate::model::{Persistence, PersistenceEngine, Scheduler, SyncRole};

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
                Request::AddDestination(web, tunnel(Tunnel::Gre { checksum: true })),
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
