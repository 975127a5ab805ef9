//! What an earlier run left in the state file, and what is left there for the next one.
//!
//! | the kernel's table has its service | a server that the file says was down |
//! | --- | --- |
//! | yes | is down until a check of it passes, unless it alone has a weight there: then it goes on until its first check |
//! | no, and `start = up` | is down until a check of it passes, unless all of its virtual server were: then they serve until their first checks |
//! | no, and another `start` | waits for its first check as any other |
//!
//! Where the table has its service, its monitor is told that it was down, so that it is back after `reentry` and not with one
//! good check. Where it has not, the failure may be of any age, such as of before a long standby: the first check decides.
//!
//! The file may be older than the table, and serving something is better than nothing. Until a check has decided, what
//! was known is also what is left for the next run, so that two deaths in a row forget no more than one.

use daemonkit::clock::Mono;
use lvs_config::model::{RealServer, StartPolicy, VirtualServer};
use lvs_ipc::status::Health;

use super::{Engine, Server, WallClock};
use crate::health::{Recalled, Standing};
use crate::identity::{ServerKey, destination_id, service_id};
use crate::orders::State;

/// What precedes the reason of a failure that an earlier run saw.
const BEFORE_RESTART: &str = "before the restart: ";

impl Engine {
    /// Takes what an earlier run left in the state file, before the first step at `clock`; or why that could not be read.
    pub fn restore(&mut self, clock: WallClock, state: Result<State, String>) {
        self.saving.read(clock.now, state.clone());
        let state = state.unwrap_or_default();
        self.known_down.clone_from(&state.down);
        self.policy.slow_starts.restore(state.climbing.clone());
        self.overrides.restore(clock, state, &self.config);
    }

    /// What is to survive a restart.
    pub(super) fn state(&self) -> State {
        let down = self.servers.iter().filter_map(|(key, server)| {
            let reason = match server.health.state() {
                Health::Up => None,
                Health::Down => Some(server.health.reason()),
                Health::Unknown => self.known_down.get(key).map(String::as_str),
            }?;
            Some((*key, reason.strip_prefix(BEFORE_RESTART).unwrap_or(reason).to_owned()))
        });
        let climbing = self.policy.slow_starts.climbs();
        State { down: down.collect(), climbing, ..self.overrides.state.clone() }
    }

    /// Lets servers be down that an earlier run knew to be, once the table has been read.
    pub(super) fn recall_down(&mut self, now: Mono) {
        if self.reconciler.believed().is_none() || self.known_down.is_empty() {
            return;
        }
        let down: Vec<(ServerKey, String, Recalled)> =
            self.config.active_virtual_servers().flat_map(|found| self.recalled(found)).collect();
        for (key, reason, recalled) in down {
            if let Some(server) = self.servers.get_mut(&key) {
                server.health.known_down(now, format!("{BEFORE_RESTART}{reason}"), recalled);
            }
        }
        let is_unknown = |server: &Server| server.health.state() == Health::Unknown;
        self.known_down.retain(|key, _| self.servers.get(key).is_some_and(is_unknown));
        self.saving.changed();
    }

    /// The servers of `virtual_server` that are down until a check of them passes, with the reason.
    fn recalled(&self, virtual_server: &VirtualServer) -> Vec<(ServerKey, String, Recalled)> {
        let table = self.reconciler.believed();
        let entry = table.and_then(|table| table.find(&service_id(virtual_server)));
        let recalled = if entry.is_some() { Recalled::Lately } else { Recalled::SomeTime };
        let known = |server: &RealServer| {
            let key = ServerKey::of(virtual_server, server);
            Some((key, self.known_down.get(&key)?.clone(), recalled))
        };
        if entry.is_none() && virtual_server.start != StartPolicy::Up {
            return Vec::new();
        }
        let serves = |server: &RealServer| match entry {
            // The kernel may know it by another port than the one that is checked.
            Some(entry) => entry
                .find(&destination_id(virtual_server, server))
                .is_some_and(|row| row.destination.weight > 0),
            None => self.may_serve(&ServerKey::of(virtual_server, server)),
        };
        // The sorry server is none of these.
        let others = virtual_server.active_servers().any(|server| known(server).is_none() && serves(server));
        virtual_server.active_servers().filter(|server| others || !serves(server)).filter_map(known).collect()
    }

    /// Whether the overrides let a healthy server take connections.
    fn may_serve(&self, key: &ServerKey) -> bool {
        matches!(self.overrides.standing(key, Standing::Serving(None)), Standing::Serving(_))
    }
}
