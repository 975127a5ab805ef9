//! The kernel's settings as a part of what the director keeps; [`crate::sysctl`] decides, this hooks it in.

use daemonkit::clock::Mono;

use super::Engine;
use crate::action::Action;
use crate::event::Event;
use crate::sysctl::Answer;
use crate::sysctl::keeper::{Keeper, Step};
use crate::sysctl::memory::Remembered;
use crate::sysctl::needs::Needs;

impl Engine {
    /// The same director, before its first step, after a run that left these settings to be set back.
    #[must_use]
    pub fn after_sysctls(mut self, now: Mono, left_behind: Vec<Remembered>) -> Self {
        self.sysctls = Keeper::new(now, Needs::of(&self.config), left_behind);
        self
    }

    pub(super) fn sysctls_tick(&mut self, now: Mono) -> Vec<Action> {
        actions(self.sysctls.tick(now))
    }

    pub(super) fn sysctls_answer(&mut self, now: Mono, answer: Answer) -> Vec<Action> {
        actions(self.sysctls.answer(now, answer))
    }
}

fn actions(steps: Vec<Step>) -> Vec<Action> {
    let action = |step| match step {
        Step::Do(order) => Action::Sysctl(order),
        Step::Tell(event) => Action::Log(Event::Sysctl(event)),
    };
    steps.into_iter().map(action).collect()
}
