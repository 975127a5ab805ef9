//! Requests that the kernel did not accept: when each may be tried again, and what depends on it meanwhile.
//!
//! What failed only because somebody else changed the table is no refusal the first time: a new reading shows what is to
//! be done instead. Each refusal is told once, and has a back-off of its own;
//! of many at once the first are told one by one and the others as a number.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::Duration;

use daemonkit::clock::Mono;
use ipvsadm::{Errno, KernelError, Request, ServiceId};

use crate::backoff::Backoff;
use crate::event::Event;
use crate::scope::{Scope, service_of};

/// Of one answer of the kernel, so many refusals are told one by one, and so many that are over.
pub(super) const TOLD_ONE_BY_ONE: usize = 20;

#[derive(Debug, Clone)]
struct Refusal {
    error: KernelError,
    due: Mono,
    backoff: Backoff,
}

/// The requests that are held back.
#[derive(Debug, Clone, Default)]
pub(super) struct Refusals {
    held: HashMap<Request, Refusal>,
    /// The services among them, without which their servers cannot be added.
    services: HashSet<ServiceId>,
    /// When the next one may be tried again.
    retry_due: Option<Mono>,
    /// Requests that failed only because the table was not as believed; a second time it is a refusal.
    raced: HashSet<Request>,
}

impl Refusals {
    /// How many.
    pub(super) fn len(&self) -> usize {
        self.held.len()
    }

    /// What the kernel said to this one.
    pub(super) fn of(&self, request: &Request) -> Option<String> {
        self.held.get(request).map(|refusal| refusal.error.reason())
    }

    /// When the next one may be tried again.
    pub(super) fn deadline(&self) -> Option<Mono> {
        self.retry_due
    }

    /// All may be tried again now.
    pub(super) fn hurry(&mut self, now: Mono) {
        for refusal in self.held.values_mut() {
            refusal.due = refusal.due.min(now);
            self.retry_due = Some(now);
        }
    }

    /// What the kernel said; `None` when it accepts everything.
    pub(super) fn trouble(&self) -> Option<String> {
        let first = self.held.values().map(|refusal| in_words(&refusal.error)).min()?;
        match self.held.len() {
            1 => Some(first),
            count => Some(format!("{first} (and {} more)", count - 1)),
        }
    }

    /// The kernel accepted a request.
    pub(super) fn accepted(&mut self, request: &Request) -> Option<Event> {
        self.raced.remove(request);
        self.held.remove(request)?;
        if let Request::AddService(service) = request {
            self.services.remove(&service.id);
        }
        Some(Event::NoLongerRefused(request.clone()))
    }

    /// The kernel refused a request, which is held back for at most `limit`. Says so when that is news.
    pub(super) fn refused(
        &mut self,
        now: Mono,
        request: Request,
        error: KernelError,
        limit: Duration,
    ) -> Option<Event> {
        if matches!(&request, Request::AddDestination(id, _) if self.services.contains(id)) {
            return None;
        }
        if is_race(&error) && self.raced.insert(request.clone()) {
            return None;
        }
        let known = self.held.remove(&request);
        let news = known.as_ref().is_none_or(|refusal| refusal.error.errno != error.errno);
        let mut backoff = known.map(|refusal| refusal.backoff).unwrap_or_default();
        let retry_in = backoff.fail(limit);
        let text = in_words(&error);
        if let Request::AddService(service) = &request {
            self.services.insert(service.id);
        }
        self.held.insert(request, Refusal { error, due: now + retry_in, backoff });
        news.then_some(Event::Refused { error: text, retry_in })
    }

    /// Takes out of `missing` what is held back for the time being and what depends on that.
    pub(super) fn hold_back(&mut self, now: Mono, missing: &mut Vec<Request>) {
        let held = |request: &Request| self.held.get(request).is_some_and(|refusal| now < refusal.due);
        let no_service: BTreeSet<ServiceId> = missing
            .iter()
            .filter_map(|request| match request {
                Request::AddService(service) if held(request) => Some(service.id),
                _ => None,
            })
            .collect();
        missing.retain(|request| match request {
            Request::AddDestination(id, _) if no_service.contains(id) => false,
            _ => !held(request),
        });
        self.retry_due = self.held.values().map(|refusal| refusal.due).filter(|due| *due > now).min();
    }

    /// Drops what, as far as `missing` tells about its service, is not wanted any more.
    pub(super) fn forget_what_is_not_missing(&mut self, missing: &[Request], scope: &Scope) -> Vec<Event> {
        if self.held.is_empty() && self.raced.is_empty() {
            return Vec::new();
        }
        let missing: HashSet<&Request> = missing.iter().collect();
        let is_over = |request: &Request| {
            service_of(request).is_none_or(|id| scope.contains(&id)) && !missing.contains(request)
        };
        self.raced.retain(|request| !is_over(request));
        let over = self.held.extract_if(|request, _| is_over(request)).map(|(request, _)| request);
        let mut events = Vec::new();
        for request in over {
            if let Request::AddService(service) = &request {
                self.services.remove(&service.id);
            }
            events.push(Event::NoLongerRefused(request));
        }
        in_short(events)
    }
}

/// What is told of `events`, which happened at once: the first [`TOLD_ONE_BY_ONE`] of each kind, and how many more.
pub(super) fn in_short(mut events: Vec<Event>) -> Vec<Event> {
    let (mut refused, mut over) = (0_usize, 0_usize);
    events.retain(|event| {
        let count = match event {
            Event::Refused { .. } => &mut refused,
            Event::NoLongerRefused(_) => &mut over,
            _ => return true,
        };
        *count += 1;
        *count <= TOLD_ONE_BY_ONE
    });
    let more = |count: usize| Some(count.saturating_sub(TOLD_ONE_BY_ONE)).filter(|more| *more > 0);
    events.extend(more(refused).map(Event::MoreRefused));
    events.extend(more(over).map(Event::MoreNoLongerRefused));
    events
}

/// A refusal with its request as it would be typed.
fn in_words(error: &KernelError) -> String {
    format!("ipvsadm {error}")
}

/// Whether a request failed only because somebody else changed the table, which a new reading shows.
fn is_race(error: &KernelError) -> bool {
    let vanished = match *error.request {
        Request::EditDestination(..) => matches!(error.errno, Errno::ENOENT | Errno::ESRCH),
        Request::EditService(_) | Request::AddDestination(..) => error.errno == Errno::ESRCH,
        _ => false,
    };
    vanished || error.is_already_there() || error.is_already_gone()
}
