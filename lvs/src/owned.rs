//! Which services in the kernel are ours, whatever the file says by now, and whether that has been written down.

use std::collections::BTreeSet;

use ipvsadm::ServiceId;

use crate::action::Action;
use crate::event::Event;

/// The services that are ours, and what is known of the record of them.
#[derive(Debug, Clone)]
pub struct Owned {
    ids: BTreeSet<ServiceId>,
    /// The record is to be written: it lists something else, as far as is known.
    unrecorded: bool,
    /// The last record could not be written.
    failed: bool,
}

impl Owned {
    /// Those that the record lists.
    #[must_use]
    pub fn recorded(ids: BTreeSet<ServiceId>) -> Self {
        Self { ids, unrecorded: false, failed: false }
    }

    /// The services.
    #[must_use]
    pub fn ids(&self) -> &BTreeSet<ServiceId> {
        &self.ids
    }

    /// These are ours from now on.
    pub fn extend(&mut self, ids: impl IntoIterator<Item = ServiceId>) {
        for id in ids {
            self.unrecorded |= self.ids.insert(id);
        }
    }

    /// This one is gone.
    pub fn remove(&mut self, id: &ServiceId) {
        self.unrecorded |= self.ids.remove(id);
    }

    /// Only those that `keep` names are still there.
    pub fn retain(&mut self, keep: impl Fn(&ServiceId) -> bool) {
        let before = self.ids.len();
        self.ids.retain(keep);
        self.unrecorded |= self.ids.len() != before;
    }

    /// What to write down, if anything changed.
    pub fn record(&mut self) -> Option<Action> {
        std::mem::take(&mut self.unrecorded).then(|| Action::Record(self.ids.clone()))
    }

    /// Whether the record was written; says so when that is news.
    pub fn written(&mut self, result: Result<(), String>) -> Option<Action> {
        let failed_before = std::mem::replace(&mut self.failed, result.is_err());
        match result {
            Err(reason) => (!failed_before).then_some(Action::Log(Event::NotRecorded(reason))),
            Ok(()) => failed_before.then_some(Action::Log(Event::RecordedAgain)),
        }
    }

    /// Has a record that could not be written be tried again.
    pub fn try_again(&mut self) {
        self.unrecorded |= self.failed;
    }
}
