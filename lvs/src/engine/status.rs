//! The engine's state as a snapshot for people and programs. Decides nothing.
//!
//! A snapshot is made when somebody asks for one; nothing is kept up to date for nobody.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use daemonkit::clock::Mono;
use ipvsadm::{ServiceEntry, ServiceId, Stats};
use lvs_config::model::{Forwarding, RealServer, VirtualServer};
use lvs_ipc::counts::{Moment, Monitor, Monitors, Rates, Repairs, Requests, Traffic};
use lvs_ipc::status::{Child, Health, LvsStatus, QuorumStatus, RealServerStatus, Since, VirtualServerStatus};

use super::counters::Happened;
use super::overrides::left;
use super::policy::reason;
use super::quorum::State;
use super::{Engine, Verdict};
use crate::desired::WantedService;
use crate::identity::{ServerKey, destination_id, service_id, sorry_id};
use crate::tally::{gained_from, lost_below};

/// Both clocks at one moment, to show times of the one as times of the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WallClock {
    /// The monotonic clock.
    pub now: Mono,
    /// Time since the Unix epoch.
    pub since_epoch: Duration,
}

impl WallClock {
    /// Reads both clocks.
    #[must_use]
    pub fn now() -> Self {
        Self::at(Mono::now())
    }

    /// Reads the clock on the wall, at `now` of the other.
    #[must_use]
    pub fn at(now: Mono) -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { now, since_epoch }
    }

    /// Milliseconds since the Unix epoch at `moment`, which has been or is to come.
    pub(crate) fn epoch_ms(self, moment: Mono) -> u64 {
        let time =
            self.since_epoch.saturating_sub(self.now.since(moment)).saturating_add(moment.since(self.now));
        u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
    }

    /// The moment that lies so many milliseconds after the Unix epoch; one before the origin is the origin.
    pub(crate) fn mono_at(self, epoch_ms: u64) -> Mono {
        let time = Duration::from_millis(epoch_ms);
        let ahead = time.saturating_sub(self.since_epoch);
        self.now - self.since_epoch.saturating_sub(time) + ahead
    }

    fn since<T>(self, state: T, reason: &str, since: Mono) -> Since<T> {
        Since { state, reason: reason.to_owned(), since_ms: self.epoch_ms(since) }
    }

    fn moment(self, happened: Option<&Happened>) -> Option<Moment> {
        happened.map(|(at, what)| Moment { what: what.clone(), at_ms: self.epoch_ms(*at) })
    }
}

/// The process ids, which the engine does not know.
pub trait Processes {
    /// That of this program.
    fn own(&self) -> u32;
    /// That of the monitor with this token.
    fn monitor(&self, token: u64) -> Option<u32>;
}

/// What a snapshot is made of beside the engine. The tables are by service: one look at each, whatever the number of
/// services.
struct View<'a> {
    clock: WallClock,
    processes: &'a dyn Processes,
    wanted: HashMap<ServiceId, &'a WantedService>,
    believed: HashMap<ServiceId, &'a ServiceEntry>,
}

impl Engine {
    /// Where the file wants metrics to be told over TCP, if anywhere.
    #[must_use]
    pub fn metrics_port(&self) -> Option<SocketAddr> {
        self.config.metrics
    }

    /// What stands on the status socket.
    #[must_use]
    pub fn status(&self, clock: WallClock, processes: &dyn Processes) -> LvsStatus {
        let wanted = &self.reconciler.wanted().services;
        let believed = self.reconciler.believed().map_or(&[][..], |table| &table.services);
        let view = View {
            clock,
            processes,
            wanted: wanted.iter().map(|wanted| (wanted.service.id, wanted)).collect(),
            believed: believed.iter().map(|entry| (entry.service.id, entry)).collect(),
        };
        let verdict = |verdict: &Verdict| clock.since(verdict.good, &verdict.reason, verdict.since);
        let counters = &self.counters;
        let last_repair = clock.moment(counters.last_repair.as_ref());
        let number = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        let (waiting, running) = (number(self.reconciler.refusals()), number(self.supervisor.running()));
        let virtual_servers = self.config.active_virtual_servers();
        LvsStatus {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: processes.own(),
            config: self.settings.config_path.display().to_string(),
            serial_no: self.config.serial_no,
            reload: verdict(&self.reload),
            table: verdict(&self.as_wanted),
            started_ms: clock.epoch_ms(counters.started),
            table_read_ms: counters.table_read.map(|at| clock.epoch_ms(at)),
            last_change: clock.moment(counters.last_change.as_ref()),
            repairs: Repairs { last: last_repair, ..counters.repairs.clone() },
            reloads: counters.reloads,
            requests: Requests { waiting, ..counters.requests },
            monitors: Monitors { running, ..counters.monitors },
            virtual_servers: virtual_servers
                .map(|server| self.virtual_server_status(&view, server))
                .collect(),
            state_file: Some(verdict(&self.saving.verdict)),
            sysctls: self.sysctls.status(),
        }
    }

    /// One line for people: how many real servers serve, that is, have a weight in the kernel's table.
    #[must_use]
    pub fn summary(&self) -> String {
        let table = self.reconciler.believed().map_or(&[][..], |table| &table.services);
        let table: HashMap<ServiceId, &ServiceEntry> =
            table.iter().map(|entry| (entry.service.id, entry)).collect();
        let (mut serving, mut all) = (0, 0);
        for virtual_server in self.config.active_virtual_servers() {
            let entry = table.get(&service_id(virtual_server));
            for server in virtual_server.active_servers() {
                let row = entry.and_then(|entry| entry.find(&destination_id(virtual_server, server)));
                serving += usize::from(row.is_some_and(|row| row.destination.weight > 0));
                all += 1;
            }
        }
        let refused = if self.reload.good { "" } else { "; the file is refused" };
        format!("{serving} of {all} real servers serve{refused}")
    }

    fn virtual_server_status(&self, view: &View<'_>, virtual_server: &VirtualServer) -> VirtualServerStatus {
        let id = service_id(virtual_server);
        let entry = view.believed.get(&id).copied();
        let sorry = virtual_server.sorry_server.as_ref().is_some_and(|sorry| {
            let id = sorry_id(virtual_server, sorry);
            entry.is_some_and(|entry| entry.find(&id).is_some())
        });
        let servers = virtual_server.active_servers();
        VirtualServerStatus {
            name: virtual_server.name.clone(),
            service: id.to_string(),
            scheduler: crate::desired::scheduler(virtual_server.scheduler).to_string(),
            forwarding: method(virtual_server.forwarding).to_owned(),
            check: virtual_server.check.spec.as_ref().map(ToString::to_string),
            sorry,
            traffic: entry.map(|entry| traffic(&entry.stats)),
            repairs: self.counters.repairs_of.get(&id).copied().unwrap_or_default(),
            real_servers: servers
                .map(|server| self.real_server_status(view, virtual_server, server))
                .collect(),
            overrides: self.overrides.of_virtual(&id).into_iter().collect(),
            leaving: self.overrides.leaving_status(view.clock, &id),
            quorum: self.quorum_status(view.clock, virtual_server),
        }
    }

    fn real_server_status(
        &self,
        view: &View<'_>,
        virtual_server: &VirtualServer,
        server: &RealServer,
    ) -> RealServerStatus {
        let clock = view.clock;
        let key = ServerKey::of(virtual_server, server);
        let id = destination_id(virtual_server, server);
        let row = view.believed.get(&key.service).and_then(|entry| entry.find(&id));
        let wanted = view.wanted.get(&key.service).map_or(&[][..], |wanted| &wanted.destinations);
        let health = self.servers.get(&key).map(|known| &known.health);
        let monitor = self.supervisor.state(&key);
        let counts = self.counters.servers.get(&key);
        let climb = self.policy.slow_starts.progress(&(key.service, id));
        RealServerStatus {
            name: server.name.clone(),
            address: key.server.to_string(),
            weight: row.map(|row| row.destination.weight),
            weight_wanted: wanted.iter().find(|row| row.id == id).map(|row| row.weight),
            forwarding: method(server.forwarding).to_owned(),
            connections: row.map(left),
            traffic: row.map(|row| traffic(&row.stats)),
            health: health.map_or_else(
                || clock.since(Health::Unknown, "", clock.now),
                |health| clock.since(health.state(), health.reason(), health.since()),
            ),
            health_changes: counts.map_or(0, |counts| counts.health_changes),
            last_change: clock.moment(counts.and_then(|counts| counts.last_change.as_ref())),
            monitor: monitor.map_or_else(
                || clock.since(Child::Stopped, "", clock.now),
                |(state, reason, since)| clock.since(state, reason, since),
            ),
            monitor_process: Monitor {
                pid: self.supervisor.token_of(&key).and_then(|token| view.processes.monitor(token)),
                starts: counts.map_or(0, |counts| counts.starts),
                failures: counts.map_or(0, |counts| counts.failures),
                late_starts: counts.map_or(0, |counts| counts.late_starts),
                given_up: monitor.is_some_and(|(state, ..)| state == Child::Stopped),
            },
            overrides: self.overrides.of_server(clock, &key),
            slow_start_until_ms: climb.map(|climb| clock.epoch_ms(climb.until)),
            slow_start_weight: climb.map(|climb| climb.full),
        }
    }

    fn quorum_status(&self, clock: WallClock, virtual_server: &VirtualServer) -> Option<QuorumStatus> {
        let quorum = self.policy.quorums.of(&service_id(virtual_server))?;
        let held = match quorum.state() {
            State::Undecided => return None,
            State::Held => true,
            State::Lost => false,
        };
        let tally = quorum.tally();
        Some(QuorumStatus {
            held: clock.since(held, &reason(tally), quorum.since()),
            weight: tally.weight,
            lost_below: lost_below(virtual_server.quorum),
            gained_from: gained_from(virtual_server.quorum),
        })
    }
}

fn traffic(stats: &Stats) -> Traffic {
    let Stats { connections, packets_in, packets_out, bytes_in, bytes_out, rates } = *stats;
    let per_second = Rates {
        connections: rates.cps,
        packets_in: rates.pps_in,
        packets_out: rates.pps_out,
        bytes_in: rates.bps_in,
        bytes_out: rates.bps_out,
    };
    Traffic { connections, packets_in, packets_out, bytes_in, bytes_out, per_second }
}

/// The file's word for a forwarding method.
fn method(forwarding: Forwarding) -> &'static str {
    match forwarding {
        Forwarding::Nat => "nat",
        Forwarding::Direct => "direct",
        Forwarding::Tunnel(_) => "tunnel",
    }
}
