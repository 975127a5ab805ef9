//! When what is to survive a restart is saved: soon after it changed, not more often than [`INTERVAL`], and again after a
//! failure, which stops nothing and is told once.
//!
//! Whoever changed something is answered when that has been saved, or told that it has not: what is asked for is saved at
//! once, and a disk that takes longer than [`PATIENCE`] is not waited for. A program that ends waits for it a moment, so
//! that what was asked for while an older state was being written is saved too.

use std::time::Duration;

use daemonkit::clock::Mono;
use lvs_ipc::control::Reply;

use super::Verdict;
use crate::action::Action;
use crate::event::Event;
use crate::operator_event::OperatorEvent;
use crate::orders::State;

/// Shortest time between two savings that nobody waits for.
const INTERVAL: Duration = Duration::from_secs(1);
/// Time until one that failed is tried again.
const RETRY: Duration = Duration::from_secs(10);
/// Longest time that a disk may take before it is told.
const PATIENCE: Duration = Duration::from_secs(5);
/// Longest time that the end of the program waits for the disk.
const LAST: Duration = Duration::from_secs(1);
/// What is told then.
const SLOW: &str = "the disk has not taken it yet";

/// What was done, for whoever waits for the answer with this number.
#[derive(Debug, Clone)]
struct Answer {
    id: u64,
    lines: Vec<String>,
}

impl Answer {
    fn saved(self) -> Action {
        Action::Reply(self.id, Reply::done(self.lines))
    }

    fn not_saved(self, reason: &str) -> Action {
        let warning = format!("in force, but not saved, so a restart of lvs would not know it: {reason}");
        Action::Reply(self.id, Reply::done(self.lines).with_warnings(vec![warning]))
    }
}

/// A state that is being written.
#[derive(Debug, Clone)]
struct Writing {
    state: State,
    /// Who has asked for something in it.
    answers: Vec<Answer>,
    /// When it takes too long; `None` when that has been told.
    late: Option<Mono>,
}

/// What has been saved, and what has not.
#[derive(Debug, Clone)]
pub(super) struct Saving {
    /// What the file says; `None` when that is not known.
    saved: Option<State>,
    under_way: Option<Writing>,
    /// Who has asked for something that is in no state yet that is being written.
    waiting: Vec<Answer>,
    /// Something may be different.
    changed: bool,
    due: Mono,
    /// Until when the end of the program waits; `None` when it does not end, or waits no longer.
    ending: Option<Mono>,
    /// It ends, and what has changed is to be saved as soon as what is under way has been.
    owed: bool,
    /// Whether the last one went well.
    pub(super) verdict: Verdict,
}

impl Saving {
    /// The file says nothing.
    pub(super) fn new(now: Mono) -> Self {
        let verdict = Verdict { good: true, reason: "nothing to save yet".into(), since: now };
        let saved = Some(State::default());
        let (under_way, waiting) = (None, Vec::new());
        Self { saved, under_way, waiting, changed: false, due: now, ending: None, owed: false, verdict }
    }

    /// The file was read and says this; or why it could not be.
    pub(super) fn read(&mut self, now: Mono, result: Result<State, String>) {
        match result {
            Ok(state) => self.saved = Some(state),
            Err(reason) => self.verdict.update(now, false, reason),
        }
        self.changed = true;
    }

    /// Something that is to survive a restart may have changed.
    pub(super) fn changed(&mut self) {
        self.changed = true;
    }

    /// Something changed because `id` asked for it, who is told `lines` when it is saved.
    pub(super) fn answer_when_saved(&mut self, now: Mono, id: u64, lines: Vec<String>) {
        self.waiting.push(Answer { id, lines });
        self.changed = true;
        self.hurry(now);
    }

    /// Somebody waits, or this program is about to end.
    fn hurry(&mut self, now: Mono) {
        self.due = self.due.min(now);
    }

    /// Whether [`Saving::save`] has something to do.
    pub(super) fn is_due(&self, now: Mono) -> bool {
        self.save_due().is_some_and(|due| due <= now)
    }

    /// Saves `state`, unless the file says it already.
    pub(super) fn save(&mut self, now: Mono, state: State) -> Vec<Action> {
        self.changed = false;
        let answers = std::mem::take(&mut self.waiting);
        if self.saved.as_ref() == Some(&state) {
            return answers.into_iter().map(Answer::saved).collect();
        }
        self.under_way = Some(Writing { state: state.clone(), answers, late: Some(now + PATIENCE) });
        vec![Action::Save(Box::new(state))]
    }

    /// It was written, or why not.
    pub(super) fn written(&mut self, now: Mono, result: Result<(), String>) -> Vec<Action> {
        let Some(Writing { state, answers, .. }) = self.under_way.take() else { return Vec::new() };
        let (news, answers): (_, Vec<Action>) = match result {
            Ok(()) => {
                self.saved = Some(state);
                self.pause(now, INTERVAL);
                let again = !self.verdict.good;
                self.verdict.update(now, true, "saved".into());
                (again.then_some(OperatorEvent::SavedAgain), answers.into_iter().map(Answer::saved).collect())
            }
            Err(reason) => {
                // It may have failed after the file was replaced.
                self.saved = None;
                self.changed = true;
                self.pause(now, RETRY);
                let told = answers.into_iter().map(|answer| answer.not_saved(&reason)).collect();
                (self.failed(now, reason), told)
            }
        };
        news.map(|event| Action::Log(Event::Operator(event))).into_iter().chain(answers).collect()
    }

    /// Whoever waits is not to wait any longer when the disk takes too long, and it is told.
    pub(super) fn tick(&mut self, now: Mono) -> Vec<Action> {
        self.ending = self.ending.filter(|until| now < *until);
        let Some(writing) = &mut self.under_way else { return Vec::new() };
        let is_late = writing.late.is_none_or(|late| late <= now);
        if !is_late {
            return Vec::new();
        }
        let answers = std::mem::take(&mut writing.answers).into_iter().chain(self.waiting.drain(..));
        let told: Vec<Action> = answers.map(|answer| answer.not_saved(SLOW)).collect();
        let news = writing.late.take().and_then(|_| self.failed(now, SLOW.into()));
        news.map(|event| Action::Log(Event::Operator(event))).into_iter().chain(told).collect()
    }

    /// This program is to end.
    pub(super) fn end(&mut self, now: Mono) {
        self.ending = Some(now + LAST);
        self.owed = self.under_way.is_some();
        self.hurry(now);
    }

    /// Whether the end of the program waits for the disk.
    pub(super) fn delays_end(&self) -> bool {
        self.under_way.is_some() && self.ending.is_some()
    }

    /// This program ends now: whoever still waits is told.
    pub(super) fn give_up(&mut self) -> Vec<Action> {
        let under_way = self.under_way.iter_mut().flat_map(|writing| std::mem::take(&mut writing.answers));
        let waiting = std::mem::take(&mut self.waiting);
        under_way.chain(waiting).map(|answer| answer.not_saved("lvs is ending")).collect()
    }

    /// When there is something to do.
    pub(super) fn deadline(&self) -> Option<Mono> {
        match &self.under_way {
            Some(writing) => writing.late.into_iter().chain(self.ending).min(),
            None => self.save_due(),
        }
    }

    fn save_due(&self) -> Option<Mono> {
        (self.changed && self.under_way.is_none()).then_some(self.due)
    }

    /// Leaves the disk alone for a while, unless somebody waits or there will be no other time.
    fn pause(&mut self, now: Mono, pause: Duration) {
        let at_once = std::mem::take(&mut self.owed) || !self.waiting.is_empty();
        self.due = if at_once { now } else { now + pause };
    }

    fn failed(&mut self, now: Mono, reason: String) -> Option<OperatorEvent> {
        let news = self.verdict.good || self.verdict.reason != reason;
        self.verdict.update(now, false, reason.clone());
        news.then_some(OperatorEvent::NotSaved(reason))
    }
}
