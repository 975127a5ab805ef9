//! The fake kernel's table, and what becomes of each change: the checks of `ip_vs_ctl.c`, in its order.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use nix::errno::Errno;

use crate::model::{
    Destination, DestinationEntry, DestinationId, Family, Forward, Scheduler, Service, ServiceEntry,
    ServiceId, Stats, SyncDaemon, SyncRole, Table, Timeouts,
};
use crate::request::Request;

/// Longest timeout that the kernel takes, in seconds: `INT_MAX / HZ` for the usual 1000 ticks per second.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(2_147_483);

#[derive(Debug)]
pub(super) struct State {
    pub(super) table: Table,
    pub(super) timeouts: Timeouts,
    pub(super) daemons: Vec<SyncDaemon>,
    pub(super) schedulers: Vec<Scheduler>,
}

impl Default for State {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            table: Table::default(),
            timeouts: Timeouts { tcp: seconds(900), tcp_fin: seconds(120), udp: seconds(300) },
            daemons: Vec::new(),
            schedulers: Scheduler::KNOWN.to_vec(),
        }
    }
}

impl State {
    pub(super) fn apply(&mut self, request: &Request) -> Result<(), Errno> {
        match request {
            Request::AddService(service) => self.add_service(service),
            Request::EditService(service) => self.edit_service(service),
            Request::DeleteService(id) => {
                let index = self.index(id)?;
                self.table.services.remove(index);
                Ok(())
            }
            Request::AddDestination(id, to) => self.add_destination(id, to),
            Request::EditDestination(id, to) => {
                let daemons = !self.daemons.is_empty();
                let entry = self.entry(id)?;
                check_destination(id, to, daemons)?;
                destination(entry, &to.id)?.destination = to.clone();
                Ok(())
            }
            Request::DeleteDestination(id, to) => {
                let entry = self.entry(id)?;
                destination(entry, to)?;
                entry.destinations.retain(|it| it.destination.id != *to);
                Ok(())
            }
            Request::Flush => {
                self.table.services.clear();
                Ok(())
            }
            Request::Zero(None) => {
                self.table.services.iter_mut().for_each(zero);
                Ok(())
            }
            Request::Zero(Some(id)) => self.entry(id).map(zero),
            Request::SetTimeouts(to) => self.set_timeouts(to),
            Request::StartDaemon(daemon) => self.start_daemon(daemon),
            Request::StopDaemon(role) => self.stop_daemon(*role),
        }
    }

    fn index(&self, id: &ServiceId) -> Result<usize, Errno> {
        self.table.services.iter().position(|it| it.service.id == *id).ok_or(Errno::ESRCH)
    }

    fn entry(&mut self, id: &ServiceId) -> Result<&mut ServiceEntry, Errno> {
        self.table.services.iter_mut().find(|it| it.service.id == *id).ok_or(Errno::ESRCH)
    }

    fn add_service(&mut self, service: &Service) -> Result<(), Errno> {
        if self.index(&service.id).is_ok() {
            return Err(Errno::EEXIST);
        }
        self.check_service(service)?;
        let (service, stats) = (service.clone(), Stats::default());
        self.table.services.push(ServiceEntry { service, stats, destinations: Vec::new() });
        Ok(())
    }

    fn edit_service(&mut self, service: &Service) -> Result<(), Errno> {
        let index = self.index(&service.id)?;
        self.check_service(service)?;
        if let Some(entry) = self.table.services.get_mut(index) {
            entry.service = service.clone();
        }
        Ok(())
    }

    fn check_service(&self, service: &Service) -> Result<(), Errno> {
        let engine = service.persistence.and_then(|it| it.engine);
        if !self.schedulers.contains(&service.scheduler) || engine.is_some_and(|it| it.as_str() != "sip") {
            return Err(Errno::ENOENT);
        }
        match service.persistence {
            Some(it) if service.id.family() == Family::V6 => match it.granularity.prefix_length() {
                Some(1..=128) => Ok(()),
                _ => Err(Errno::EINVAL),
            },
            _ => Ok(()),
        }
    }

    fn add_destination(&mut self, id: &ServiceId, to: &Destination) -> Result<(), Errno> {
        let daemons = !self.daemons.is_empty();
        let entry = self.entry(id)?;
        check_destination(id, to, daemons)?;
        if entry.find(&to.id).is_some() {
            return Err(Errno::EEXIST);
        }
        check_address(to.id.address)?;
        entry.destinations.push(DestinationEntry::unused(to.clone()));
        Ok(())
    }

    fn set_timeouts(&mut self, to: &Timeouts) -> Result<(), Errno> {
        if [to.tcp, to.tcp_fin, to.udp].iter().any(|it| *it > LONGEST_TIMEOUT) {
            return Err(Errno::EINVAL);
        }
        let Timeouts { tcp, tcp_fin, udp } = &mut self.timeouts;
        for (now, wanted) in [(tcp, to.tcp), (tcp_fin, to.tcp_fin), (udp, to.udp)] {
            if !wanted.is_zero() {
                *now = wanted;
            }
        }
        Ok(())
    }

    fn start_daemon(&mut self, daemon: &SyncDaemon) -> Result<(), Errno> {
        let mixed = |entry: &ServiceEntry| {
            let family = entry.service.id.family();
            entry.destinations.iter().any(|it| Family::of(it.destination.id.address) != family)
        };
        if self.table.services.iter().any(mixed) || daemon.group.is_some_and(|it| !it.is_multicast()) {
            return Err(Errno::EINVAL);
        }
        if self.daemons.iter().any(|it| it.role == daemon.role) {
            return Err(Errno::EEXIST);
        }
        let group = IpAddr::V4(Ipv4Addr::new(224, 0, 0, 81));
        self.daemons.push(SyncDaemon {
            max_len: daemon.max_len.or(Some(1472)),
            group: daemon.group.or(Some(group)),
            port: daemon.port.or(Some(8848)),
            ttl: daemon.ttl.or(Some(1)),
            ..daemon.clone()
        });
        Ok(())
    }

    fn stop_daemon(&mut self, role: SyncRole) -> Result<(), Errno> {
        let index = self.daemons.iter().position(|it| it.role == role).ok_or(Errno::ESRCH)?;
        self.daemons.remove(index);
        Ok(())
    }
}

fn destination<'a>(
    entry: &'a mut ServiceEntry,
    id: &DestinationId,
) -> Result<&'a mut DestinationEntry, Errno> {
    entry.destinations.iter_mut().find(|it| it.destination.id == *id).ok_or(Errno::ENOENT)
}

/// What holds for adding and changing alike. That the port must not change with direct routing is not
/// among it: the kernel takes such a destination and forwards to the service's port.
fn check_destination(id: &ServiceId, to: &Destination, daemons: bool) -> Result<(), Errno> {
    let mixed = id.family() != Family::of(to.id.address);
    if mixed && (daemons || !matches!(to.forward, Forward::Tunnel(_))) {
        return Err(Errno::EINVAL);
    }
    if i32::try_from(to.weight).is_err() || to.lower_threshold > to.upper_threshold {
        return Err(Errno::ERANGE);
    }
    Ok(())
}

fn check_address(address: IpAddr) -> Result<(), Errno> {
    let broadcast = address == IpAddr::V4(Ipv4Addr::BROADCAST);
    if address.is_multicast() || address.is_unspecified() || broadcast {
        return Err(Errno::EINVAL);
    }
    Ok(())
}

fn zero(entry: &mut ServiceEntry) {
    entry.stats = Stats::default();
    for destination in &mut entry.destinations {
        destination.stats = Stats::default();
    }
}
