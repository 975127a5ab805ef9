//! When what is to survive a restart is saved: soon after it changed, not more often than [`INTERVAL`], and again after a
//! failure, which stops nothing and is told once.

use std::time::Duration;

use daemonkit::clock::Mono;

use super::Verdict;
use crate::action::Action;
use crate::operator_event::OperatorEvent;
use crate::orders::State;

/// Shortest time between two savings.
const INTERVAL: Duration = Duration::from_secs(1);
/// Time until one that failed is tried again.
const RETRY: Duration = Duration::from_secs(10);

/// What has been saved, and what has not.
#[derive(Debug, Clone)]
pub(super) struct Saving {
    /// What the file says, as far as is known.
    saved: State,
    /// What is being written.
    under_way: Option<State>,
    /// Something may be different.
    changed: bool,
    due: Mono,
    /// Whether the last one went well.
    pub(super) verdict: Verdict,
}

impl Saving {
    /// The file says nothing.
    pub(super) fn new(now: Mono) -> Self {
        let verdict = Verdict { good: true, reason: "nothing to save yet".into(), since: now };
        Self { saved: State::default(), under_way: None, changed: false, due: now, verdict }
    }

    /// The file was read and says this; or why it could not be.
    pub(super) fn read(&mut self, now: Mono, result: Result<State, String>) {
        match result {
            Ok(state) => self.saved = state,
            Err(reason) => self.verdict.update(now, false, reason),
        }
        self.changed = true;
    }

    /// Something that is to survive a restart may have changed.
    pub(super) fn changed(&mut self) {
        self.changed = true;
    }

    /// This program is about to end.
    pub(super) fn hurry(&mut self, now: Mono) {
        self.due = now;
    }

    /// Saves `state` when that is due.
    pub(super) fn tick(&mut self, now: Mono, state: State) -> Option<Action> {
        if self.deadline().is_none_or(|due| now < due) {
            return None;
        }
        self.changed = false;
        if state == self.saved {
            return None;
        }
        self.under_way = Some(state.clone());
        Some(Action::Save(Box::new(state)))
    }

    /// It was written, or why not. Says so when that is news.
    pub(super) fn written(&mut self, now: Mono, result: Result<(), String>) -> Option<OperatorEvent> {
        let state = self.under_way.take();
        let good_before = self.verdict.good;
        match result {
            Ok(()) => {
                self.saved = state.unwrap_or_default();
                self.due = now + INTERVAL;
                self.verdict.update(now, true, "saved".into());
                (!good_before).then_some(OperatorEvent::SavedAgain)
            }
            Err(reason) => {
                self.changed = true;
                self.due = now + RETRY;
                let news = good_before || self.verdict.reason != reason;
                self.verdict.update(now, false, reason.clone());
                news.then_some(OperatorEvent::NotSaved(reason))
            }
        }
    }

    /// When [`Saving::tick`] has something to do.
    pub(super) fn deadline(&self) -> Option<Mono> {
        (self.changed && self.under_way.is_none()).then_some(self.due)
    }
}
