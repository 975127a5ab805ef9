//! The engine's state as a snapshot for people and programs. Decides nothing.

use std::time::Duration;

use daemonkit::clock::Mono;
use ipvsadm::DestinationId;
use lvs_config::model::{RealServer, VirtualServer};
use lvs_ipc::status::{Child, Health, LvsStatus, RealServerStatus, Since, VirtualServerStatus};

use super::{Engine, Verdict};
use crate::identity::{ServerKey, destination_id, service_id, sorry_id};

/// Both clocks at one moment, to show times of the one as times of the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WallClock {
    /// The monotonic clock.
    pub now: Mono,
    /// Time since the Unix epoch.
    pub since_epoch: Duration,
}

impl WallClock {
    /// Milliseconds since the Unix epoch at `moment`.
    fn epoch_ms(self, moment: Mono) -> u64 {
        let time = self.since_epoch.saturating_sub(self.now.since(moment));
        u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
    }

    fn since<T>(self, state: T, reason: &str, since: Mono) -> Since<T> {
        Since { state, reason: reason.to_owned(), since_ms: self.epoch_ms(since) }
    }
}

impl Engine {
    /// What stands on the status socket.
    #[must_use]
    pub fn status(&self, clock: WallClock, pid: u32) -> LvsStatus {
        let verdict = |verdict: &Verdict| clock.since(verdict.good, &verdict.reason, verdict.since);
        LvsStatus {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid,
            config: self.settings.config_path.display().to_string(),
            serial_no: self.config.serial_no,
            reload: verdict(&self.reload),
            table: verdict(&self.as_wanted),
            virtual_servers: self
                .config
                .active_virtual_servers()
                .map(|virtual_server| self.virtual_server_status(clock, virtual_server))
                .collect(),
            state_file: None,
        }
    }

    /// What the snapshot shows of the table and is not our doing: rows that monitors of others keep.
    pub(super) fn weights_of_others(&self) -> Vec<(DestinationId, u32)> {
        let services =
            self.reconciler.wanted().services.iter().filter(|wanted| !wanted.left_alone.is_empty());
        services
            .filter_map(|wanted| self.reconciler.believed()?.find(&wanted.service.id))
            .flat_map(|entry| &entry.destinations)
            .map(|row| (row.destination.id, row.destination.weight))
            .collect()
    }

    fn virtual_server_status(&self, clock: WallClock, virtual_server: &VirtualServer) -> VirtualServerStatus {
        let id = service_id(virtual_server);
        let entry = self.reconciler.believed().and_then(|table| table.find(&id));
        let sorry = virtual_server.sorry_server.as_ref().is_some_and(|sorry| {
            let id = sorry_id(virtual_server, sorry);
            entry.is_some_and(|entry| entry.find(&id).is_some())
        });
        VirtualServerStatus {
            name: virtual_server.name.clone(),
            service: id.to_string(),
            scheduler: crate::desired::scheduler(virtual_server.scheduler).to_string(),
            sorry,
            real_servers: virtual_server
                .active_servers()
                .map(|server| {
                    let id = destination_id(virtual_server, server);
                    let weight = entry.and_then(|entry| entry.find(&id)).map(|row| row.destination.weight);
                    self.real_server_status(clock, ServerKey::of(virtual_server, server), server, weight)
                })
                .collect(),
            overrides: Vec::new(),
            leaving: Vec::new(),
        }
    }

    fn real_server_status(
        &self,
        clock: WallClock,
        key: ServerKey,
        server: &RealServer,
        weight: Option<u32>,
    ) -> RealServerStatus {
        let health = self.servers.get(&key).map(|known| &known.health);
        RealServerStatus {
            name: server.name.clone(),
            address: key.server.to_string(),
            weight,
            health: health.map_or_else(
                || clock.since(Health::Unknown, "", clock.now),
                |health| clock.since(health.state(), health.reason(), health.since()),
            ),
            monitor: self.supervisor.state(&key).map_or_else(
                || clock.since(Child::Stopped, "", clock.now),
                |(state, reason, since)| clock.since(state, reason, since),
            ),
            overrides: Vec::new(),
        }
    }
}
