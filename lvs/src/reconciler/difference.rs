//! A repair in the operator's words: what was found, and what is wanted instead.

use ipvsadm::{Destination, Forward, Persistence, Request, Service, ServiceFlags, Table};

use crate::scope::service_of;

/// What `request` puts right in `table`, such as `weight 7 instead of 1`.
pub(super) fn in_words(request: &Request, table: &Table) -> String {
    let entry = service_of(request).and_then(|id| table.find(&id));
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
        other => other.to_string(),
    }
}

fn service(found: &Service, wanted: &Service) -> String {
    let Service { id: _, scheduler, flags, persistence, unknown: _ } = wanted;
    differences([
        (scheduler != &found.scheduler)
            .then(|| format!("scheduler {} instead of {scheduler}", found.scheduler)),
        (persistence != &found.persistence)
            .then(|| format!("{} instead of {}", lasting(found.persistence), lasting(*persistence))),
        (flags != &found.flags).then(|| format!("{} instead of {}", switches(found.flags), switches(*flags))),
    ])
}

fn destination(found: &Destination, wanted: &Destination) -> String {
    let Destination { id: _, forward, weight, upper_threshold, lower_threshold, unknown: _ } = wanted;
    let number = |name: &str, found: u32, wanted: u32| {
        (found != wanted).then(|| format!("{name} {found} instead of {wanted}"))
    };
    differences([
        number("weight", found.weight, *weight),
        (forward != &found.forward)
            .then(|| format!("method {} instead of {}", method(&found.forward), method(forward))),
        number("upper threshold", found.upper_threshold, *upper_threshold),
        number("lower threshold", found.lower_threshold, *lower_threshold),
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

fn switches(flags: ServiceFlags) -> String {
    let names = [
        (ServiceFlags::ONE_PACKET, "one-packet"),
        (ServiceFlags::SCHEDULER_1, "flag-1"),
        (ServiceFlags::SCHEDULER_2, "flag-2"),
        (ServiceFlags::SCHEDULER_3, "flag-3"),
    ];
    let set: Vec<&str> =
        names.into_iter().filter(|(flag, _)| flags.contains(*flag)).map(|(_, name)| name).collect();
    if set.is_empty() { "no switches".into() } else { format!("switches {}", set.join(",")) }
}

fn method(forward: &Forward) -> &'static str {
    match forward {
        Forward::Masquerade => "nat",
        Forward::DirectRoute => "direct",
        Forward::Tunnel(_) => "tunnel",
        Forward::Local => "local",
        _ => "another",
    }
}

#[cfg(test)]
mod tests {
    use ipvsadm::{DestinationId, Scheduler, ServiceId, Tunnel};

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

    fn table(service: Service, row: Destination) -> Table {
        let mut table = Table::default();
        let id = service.id;
        table.apply(&[Request::AddService(service), Request::AddDestination(id, row)]);
        table
    }

    #[test]
    fn every_difference_is_told_as_found_instead_of_wanted() {
        let id = http().id;
        let found =
            table(Service { scheduler: Scheduler::RR, flags: ServiceFlags::ONE_PACKET, ..http() }, row());
        assert_eq!(
            in_words(&Request::EditService(http()), &found),
            "scheduler rr instead of wlc, switches one-packet instead of no switches"
        );
        let found = table(http(), Destination { weight: 7, upper_threshold: 9, ..row() });
        let wanted = Destination { forward: Forward::Tunnel(Tunnel::Ipip), lower_threshold: 3, ..row() };
        assert_eq!(
            in_words(&Request::EditDestination(id, wanted), &found),
            "weight 7 instead of 1, method nat instead of tunnel, upper threshold 9 instead of 0, \
             lower threshold 0 instead of 3"
        );
        assert_eq!(
            in_words(&Request::DeleteDestination(id, row().id), &found),
            "real server that should not be there, with weight 7"
        );
        assert_eq!(in_words(&Request::AddService(http()), &Table::default()), "service missing");
        assert_eq!(in_words(&Request::AddDestination(id, row()), &found), "real server missing");
    }
}
