//! Who asked for a reload is answered when the file has done what it can: when all that it changes is in the kernel or
//! refused by it, or after [`PATIENCE`], because the kernel may not answer at all. What then is not as it should be is
//! a part of the answer.

use std::time::Duration;

use daemonkit::clock::Mono;
use lvs_ipc::control::Reply;

use super::Engine;
use super::control::ending;
use crate::action::Action;
use crate::operator_event::OperatorEvent;
use crate::wording::counted;

/// How long whoever asks for a reload waits for the kernel.
pub(super) const PATIENCE: Duration = Duration::from_secs(3);

/// Requests whose file is in force and whose answer is due: each with the latest time for it.
pub(super) type Unanswered = Vec<(u64, Mono)>;

impl Engine {
    /// The file was read because of the request `id` of `by`.
    pub(super) fn reload_asked(&mut self, now: Mono, id: u64, by: String) -> Vec<Action> {
        self.overrides.tell(OperatorEvent::ReloadAsked(by));
        if !self.reload.good {
            let lines = self.reload.reason.lines().map(str::to_owned).collect();
            return vec![Action::Reply(id, Reply::Unusable { lines })];
        }
        self.unanswered.push((id, now + PATIENCE));
        Vec::new()
    }

    /// When to answer although the kernel has not.
    pub(super) fn answer_deadline(&self) -> Option<Mono> {
        self.unanswered.first().map(|(_, latest)| *latest)
    }

    /// Answers those who wait, if it is time for that.
    pub(super) fn answer_reloads(&mut self, now: Mono) -> Vec<Action> {
        let is_settled = self.reconciler.is_settled();
        let (due, later): (Unanswered, Unanswered) = std::mem::take(&mut self.unanswered)
            .into_iter()
            .partition(|(_, latest)| is_settled || *latest <= now || self.stop_by.is_some());
        self.unanswered = later;
        due.into_iter().map(|(id, _)| Action::Reply(id, self.reloaded())).collect()
    }

    /// What the reload has come to.
    fn reloaded(&self) -> Reply {
        if self.stop_by.is_some() {
            return ending();
        }
        let path = self.settings.config_path.display();
        let size = format!(
            "{}, {}",
            counted(self.config.active_virtual_servers().count(), "virtual server"),
            counted(self.servers.len(), "real server")
        );
        let trouble = match self.reconciler.trouble() {
            None if self.reconciler.is_settled() => {
                return Reply::done(vec![format!("{path} is in force: {size}")]);
            }
            None => "the kernel takes long".into(),
            Some(trouble) => trouble,
        };
        Reply::Done {
            lines: vec![format!("{path} is taken: {size}")],
            warnings: vec![format!("the kernel's table is not as it asks, and it is tried again: {trouble}")],
        }
    }
}
