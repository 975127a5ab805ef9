//! Differences between two states of the kernel's table in the operator's words, by the names of `lvs.cf`. A repair is
//! told as what was found instead of what is wanted, a plan as what will be instead of what is: `weight 7 instead of 1`.

use std::num::NonZeroU32;
use std::time::Duration;

use ipvsadm::{
    Destination, Forward, Persistence, Request, Service, ServiceFlags, Timeouts, Tunnel, TunnelChecksum,
};

use crate::kernel::Reading;
use crate::scope::service_of;

/// What `request` puts right in what was read, such as `weight 7 instead of 1`.
pub(crate) fn repair(request: &Request, read: &Reading) -> String {
    let entry = service_of(request).and_then(|id| read.table.find(&id));
    match request {
        Request::AddService(_) => "service missing".into(),
        Request::DeleteService(_) => "service that nobody asked for".into(),
        Request::EditService(wanted) => {
            entry.map_or_else(String::new, |entry| service(&entry.service, wanted))
        }
        Request::AddDestination(..) => "real server missing".into(),
        Request::DeleteDestination(_, id) => {
            let weight = entry.and_then(|entry| entry.find(id)).map(|row| row.destination.weight);
            format!("real server that should not be there, with weight {}", weight.unwrap_or_default())
        }
        Request::EditDestination(_, wanted) => {
            let row = entry.and_then(|entry| entry.find(&wanted.id));
            row.map_or_else(String::new, |row| destination(&row.destination, wanted))
        }
        Request::SetTimeouts(wanted) => timeouts(&read.timeouts, wanted),
        other => other.to_string(),
    }
}

/// How the timeouts `this` differ from `other`, as far as both are given.
pub(crate) fn timeouts(this: &Timeouts, other: &Timeouts) -> String {
    let one = |name: &str, this: Duration, other: Duration| {
        let differ = this != other && !this.is_zero() && !other.is_zero();
        differ.then(|| format!("{name} {} s instead of {} s", this.as_secs(), other.as_secs()))
    };
    differences([
        one("tcp_timeout", this.tcp, other.tcp),
        one("tcpfin_timeout", this.tcp_fin, other.tcp_fin),
        one("udp_timeout", this.udp, other.udp),
    ])
}

/// What a service is set to: `scheduler sh, switches sh-port`.
pub(crate) fn settings(service: &Service) -> String {
    let Service { id: _, scheduler, flags, persistence, unknown: _ } = service;
    let all = [
        Some(format!("scheduler {scheduler}")),
        persistence.is_some().then(|| lasting(*persistence)),
        (*flags != ServiceFlags::NONE).then(|| switches(service)),
    ];
    all.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// How `this` differs from `other`, each difference as `this instead of that`.
pub(crate) fn service(this: &Service, other: &Service) -> String {
    let Service { id: _, scheduler, flags, persistence, unknown: _ } = this;
    differences([
        (*scheduler != other.scheduler)
            .then(|| format!("scheduler {scheduler} instead of {}", other.scheduler)),
        (*persistence != other.persistence)
            .then(|| format!("{} instead of {}", lasting(*persistence), lasting(other.persistence))),
        (*flags != other.flags).then(|| format!("{} instead of {}", switches(this), switches(other))),
    ])
}

/// Likewise for a destination.
pub(crate) fn destination(this: &Destination, other: &Destination) -> String {
    let Destination { id: _, forward, weight, upper_threshold, lower_threshold, unknown: _ } = this;
    let limit = |name: &str, this: u32, other: u32| {
        let word =
            |limit| NonZeroU32::new(limit).map_or_else(|| "none".to_owned(), |limit| limit.to_string());
        (this != other).then(|| format!("{name} {} instead of {}", word(this), word(other)))
    };
    differences([
        (*weight != other.weight).then(|| format!("weight {weight} instead of {}", other.weight)),
        (*forward != other.forward)
            .then(|| format!("method {} instead of {}", method(forward), method(&other.forward))),
        limit("max_connections", *upper_threshold, other.upper_threshold),
        limit("min_connections", *lower_threshold, other.lower_threshold),
    ])
}

fn differences<const N: usize>(all: [Option<String>; N]) -> String {
    let all: Vec<String> = all.into_iter().flatten().collect();
    if all.is_empty() { "changed".into() } else { all.join(", ") }
}

fn lasting(persistence: Option<Persistence>) -> String {
    match persistence {
        None => "no persistence".into(),
        Some(Persistence { timeout, granularity, engine }) => {
            let engine = engine.map_or_else(String::new, |engine| format!(" by {engine}"));
            format!("persistence {} s {granularity}{engine}", timeout.as_secs())
        }
    }
}

fn switches(service: &Service) -> String {
    let one_packet = service.flags.contains(ServiceFlags::ONE_PACKET).then_some("one_packet");
    let set: Vec<&str> = one_packet.into_iter().chain(service.scheduler_flag_names()).collect();
    if set.is_empty() { "no switches".into() } else { format!("switches {}", set.join(",")) }
}

/// A forwarding method, with all that tells one tunnel from another.
pub(crate) fn method(forward: &Forward) -> String {
    match forward {
        Forward::Masquerade => "nat".into(),
        Forward::DirectRoute => "direct".into(),
        Forward::Tunnel(Tunnel::Ipip) => "tunnel ipip".into(),
        Forward::Tunnel(Tunnel::Gue { port, checksum }) => {
            let checksum = match checksum {
                TunnelChecksum::None => "",
                TunnelChecksum::Checksum => " csum",
                TunnelChecksum::Remote => " remcsum",
            };
            format!("tunnel gue port {port}{checksum}")
        }
        Forward::Tunnel(Tunnel::Gre { checksum }) => {
            format!("tunnel gre{}", if *checksum { " csum" } else { "" })
        }
        Forward::Tunnel(Tunnel::Other { kind, port, flags }) => {
            format!("tunnel of type {kind} port {port} switches {:#x}", flags.number())
        }
        Forward::Local => "local".into(),
        _ => "another".into(),
    }
}

#[cfg(test)]
mod tests {
    use ipvsadm::{DestinationId, Scheduler, ServiceId, Table};

    use super::*;

    fn http() -> Service {
        Service::new(ServiceId::tcp(([10, 1, 0, 100], 80).into()), Scheduler::WLC)
    }

    fn row() -> Destination {
        Destination {
            weight: 1,
            ..Destination::new(DestinationId::new([10, 2, 0, 11].into(), 80), Forward::Masquerade)
        }
    }

    fn read(service: Service, row: Destination) -> Reading {
        let mut table = Table::default();
        let id = service.id;
        table.apply(&[Request::AddService(service), Request::AddDestination(id, row)]);
        Reading { table, ..Reading::default() }
    }

    #[test]
    fn every_difference_is_told_as_found_instead_of_wanted() {
        let id = http().id;
        let found =
            read(Service { scheduler: Scheduler::RR, flags: ServiceFlags::ONE_PACKET, ..http() }, row());
        assert_eq!(
            repair(&Request::EditService(http()), &found),
            "scheduler rr instead of wlc, switches one_packet instead of no switches"
        );
        let found = read(http(), Destination { weight: 7, upper_threshold: 9, ..row() });
        let wanted = Destination { forward: Forward::Tunnel(Tunnel::Ipip), lower_threshold: 3, ..row() };
        assert_eq!(
            repair(&Request::EditDestination(id, wanted), &found),
            "weight 7 instead of 1, method nat instead of tunnel ipip, max_connections 9 instead of none, \
             min_connections none instead of 3"
        );
        assert_eq!(
            repair(&Request::DeleteDestination(id, row().id), &found),
            "real server that should not be there, with weight 7"
        );
        assert_eq!(repair(&Request::AddService(http()), &Reading::default()), "service missing");
        assert_eq!(repair(&Request::AddDestination(id, row()), &found), "real server missing");
    }

    #[test]
    fn timeouts_are_told_where_both_are_given() {
        let seconds = |tcp, tcp_fin, udp| {
            let [tcp, tcp_fin, udp] = [tcp, tcp_fin, udp].map(Duration::from_secs);
            Timeouts { tcp, tcp_fin, udp }
        };
        let read = Reading { timeouts: seconds(60, 120, 300), ..Reading::default() };
        assert_eq!(
            repair(&Request::SetTimeouts(seconds(900, 0, 30)), &read),
            "tcp_timeout 60 s instead of 900 s, udp_timeout 300 s instead of 30 s"
        );
    }

    #[test]
    fn tunnels_and_switches_are_told_apart() {
        let gue = |port: u16, checksum| {
            let port = port.try_into().unwrap();
            Destination { forward: Forward::Tunnel(Tunnel::Gue { port, checksum }), ..row() }
        };
        let gre = Destination { forward: Forward::Tunnel(Tunnel::Gre { checksum: true }), ..row() };
        let plain = gue(6080, TunnelChecksum::None);
        assert_eq!(
            destination(&plain, &gue(6081, TunnelChecksum::Remote)),
            "method tunnel gue port 6080 instead of tunnel gue port 6081 remcsum"
        );
        assert_eq!(destination(&gre, &plain), "method tunnel gre csum instead of tunnel gue port 6080");
        let hashed = |flags| Service { flags, scheduler: Scheduler::SH, ..http() };
        let both = hashed(ServiceFlags::ONE_PACKET | ServiceFlags::SCHEDULER_2);
        assert_eq!(
            service(&both, &hashed(ServiceFlags::SCHEDULER_1)),
            "switches one_packet,sh-port instead of switches sh-fallback"
        );
        assert_eq!(settings(&both), "scheduler sh, switches one_packet,sh-port");
    }
}
