//! Withdrawing what an earlier run left in the kernel, and nothing else: no file is served, no monitor runs.
//!
//! | input | follows |
//! | --- | --- |
//! | `Tick` | read the table, remove what is listed; exit 0 when nothing of it is left, 1 when the time is over |
//! | `Table`, `Applied`, `Recorded` | known to the reconciler |
//! | anything else | nothing |

use std::collections::BTreeSet;
use std::time::Duration;

use daemonkit::clock::Mono;
use daemonkit::exit;
use ipvsadm::ServiceId;

use crate::action::{Action, Input};
use crate::event::Event;
use crate::reconciler::Reconciler;

/// Longest time that withdrawing takes, whatever is left then; less than a supervisor waits before it kills.
pub const LIMIT: Duration = Duration::from_secs(6);

/// A withdrawal under way.
#[derive(Debug)]
pub struct Withdrawal {
    reconciler: Reconciler,
    end_by: Mono,
}

impl Withdrawal {
    /// Will withdraw `leftovers`.
    #[must_use]
    pub fn new(now: Mono, leftovers: BTreeSet<ServiceId>) -> Self {
        Self { reconciler: Reconciler::new(now, leftovers), end_by: now + LIMIT }
    }

    /// One step; the actions come in the order in which they are to be carried out.
    pub fn step(&mut self, now: Mono, input: Input) -> Vec<Action> {
        match input {
            Input::Table(result) => {
                let first = self.reconciler.believed().is_none();
                let mut actions = self.reconciler.table(now, result, &ToString::to_string);
                if first {
                    actions.extend(self.reconciler.tell_leftovers());
                }
                actions
            }
            Input::Applied(result) => self.reconciler.applied(now, result),
            Input::Recorded(result) => self.reconciler.recorded(result),
            Input::Tick => self.tick(now),
            _ => Vec::new(),
        }
    }

    fn tick(&mut self, now: Mono) -> Vec<Action> {
        let mut actions = self.reconciler.tick(now);
        let trouble = self.reconciler.trouble();
        if self.reconciler.is_settled() && trouble.is_none() {
            actions.push(Action::Exit(exit::OK));
        } else if now >= self.end_by {
            let left = trouble.unwrap_or_else(|| "the kernel was still being asked".into());
            actions.extend([Action::Log(Event::StopTimedOut { left }), Action::Exit(exit::FAILED)]);
        }
        actions
    }

    /// When to call [`Withdrawal::step`] with [`Input::Tick`] if nothing happens before.
    #[must_use]
    pub fn deadline(&self) -> Mono {
        self.reconciler.deadline().map_or(self.end_by, |due| due.min(self.end_by))
    }
}
