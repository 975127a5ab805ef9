//! Whether the kernel can be asked at all, and when to ask one that did not answer again: after a second, doubling.
//!
//! It is about the conversation (a lost socket, lost answers, a module that is gone, a missing capability), not about
//! single requests.

use std::time::Duration;

use daemonkit::clock::Mono;

use crate::backoff::Backoff;
use crate::event::Event;

#[derive(Debug, Clone)]
struct Failure {
    reason: String,
    due: Mono,
    backoff: Backoff,
}

/// What is known of the way to the kernel.
#[derive(Debug, Clone, Default)]
pub(super) struct Reach(Option<Failure>);

impl Reach {
    /// Why the kernel could not be asked the last time; `None` if it could.
    pub(super) fn trouble(&self) -> Option<&str> {
        self.0.as_ref().map(|failure| failure.reason.as_str())
    }

    /// Whether it is too early to ask again.
    pub(super) fn is_waiting(&self, now: Mono) -> bool {
        self.0.as_ref().is_some_and(|failure| now < failure.due)
    }

    /// When to ask again.
    pub(super) fn deadline(&self) -> Option<Mono> {
        self.0.as_ref().map(|failure| failure.due)
    }

    /// It may be asked again now.
    pub(super) fn hurry(&mut self, now: Mono) {
        if let Some(failure) = &mut self.0 {
            failure.due = failure.due.min(now);
        }
    }

    /// The kernel answered: whatever was wrong with asking it is over.
    pub(super) fn answered(&mut self) -> Option<Event> {
        self.0.take().map(|_| Event::KernelBack)
    }

    /// The kernel did not answer; it is asked again after at most `limit`. Says so when that is news.
    pub(super) fn failed(&mut self, now: Mono, reason: String, limit: Duration) -> Option<Event> {
        let known = self.0.take();
        let news = known.as_ref().is_none_or(|failure| failure.reason != reason);
        let mut backoff = known.map(|failure| failure.backoff).unwrap_or_default();
        let retry_in = backoff.fail(limit);
        self.0 = Some(Failure { reason: reason.clone(), due: now + retry_in, backoff });
        news.then_some(Event::KernelUnreachable { reason, retry_in })
    }
}
