//! Which new services still wait for their first checks, so that a sorry server is not called for the moment that
//! these take.
//!
//! A connection to a sorry server that goes again breaks, while one that is refused is tried again. So a service that
//! was not in the kernel is empty at first, until enough servers of it serve, all have failed, or [`PATIENCE`] is over.
//! What that makes of the table is decided elsewhere.

use std::collections::HashMap;
use std::time::Duration;

use daemonkit::clock::Mono;
use ipvsadm::ServiceId;

/// Longest time that a new service waits for its first checks before its sorry server is called.
const PATIENCE: Duration = Duration::from_secs(1);

/// The services that wait, and until when.
#[derive(Debug, Clone, Default)]
pub(super) struct FirstChecks(HashMap<ServiceId, Mono>);

impl FirstChecks {
    /// This service is new. One that waits already does not wait longer.
    pub(super) fn await_those_of(&mut self, now: Mono, service: ServiceId) {
        self.0.entry(service).or_insert(now + PATIENCE);
    }

    /// Whether the servers of this service that have not been checked yet are waited for.
    pub(super) fn are_awaited(&self, service: &ServiceId) -> bool {
        self.0.contains_key(service)
    }

    /// Enough servers of this service serve, or its sorry server was called and stays until they do: whoever is unknown yet
    /// need not be waited for.
    pub(super) fn end(&mut self, service: &ServiceId) {
        self.0.remove(service);
    }

    /// The services that have waited long enough; they wait no more.
    pub(super) fn overdue(&mut self, now: Mono) -> Vec<ServiceId> {
        self.0.extract_if(|_, until| *until <= now).map(|(service, _)| service).collect()
    }

    /// When the next one has waited long enough.
    pub(super) fn deadline(&self) -> Option<Mono> {
        self.0.values().min().copied()
    }
}
