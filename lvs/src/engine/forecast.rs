//! What a reload would do, told without doing it: a clone of the engine takes the new configuration, a kernel that accepts
//! everything answers it, and what it asks for is written down. So the plan is made by the very code that a reload runs.
//! So is the plan of a start, by an engine that begins with what an earlier run left.
//!
//! What it is in words says `plan_words`; `monitors`, `quiet_changes` and `pulse_changes` add what no request shows.

use std::collections::{BTreeSet, VecDeque};

use daemonkit::clock::Mono;
use ipvsadm::{Request, ServiceId};
use lvs_config::Config;
use lvs_ipc::control::Plan;

use super::directory::Directory;
use super::monitors::Monitors;
use super::plan_words::Words;
use super::pulse_changes::pulse_changes;
use super::quiet_changes::quiet_changes;
use super::{Engine, Settings, WallClock};
use crate::action::{Action, Input};
use crate::event::Event;
use crate::kernel::Reading;
use crate::operator_event::OperatorEvent;
use crate::orders::State;

/// Most steps until the clone must have come to rest.
const STEPS: usize = 256;

/// What an earlier run left, or why that cannot be told.
#[derive(Debug, Clone)]
pub struct Past {
    /// The services that it recorded as its own.
    pub left: Result<BTreeSet<ServiceId>, String>,
    /// What was to survive it.
    pub state: Result<State, String>,
}

impl Engine {
    /// What a reload of `config` would do now.
    #[must_use]
    pub fn plan(&self, now: Mono, config: Config) -> Plan {
        let mut after = self.clone();
        after.reconciler.take_as_answered();
        let known = after.reconciler.believed_reading();
        let table = if known.is_some() { "its table as it was last known" } else { "an empty table" };
        let before = known.cloned().unwrap_or_default();
        let reload = Input::Reload(Ok(Box::new(config)));
        let followed = follow(&mut after, now, Some(reload), &Reading::default());
        let unasked = self
            .reconciler
            .cannot_be_asked()
            .map(|reason| format!("the kernel cannot be asked: {reason}; this is for {table}"));
        let said = unasked.into_iter().collect();
        let mut plan = self.planned(&after, &before, now, followed, said);
        plan.words.extend(pulse_changes(&self.config, &after.config));
        plan
    }

    /// What a director of `config` does at first that begins at `clock`, after what an earlier one left, with a kernel that has
    /// `read`.
    #[must_use]
    pub fn plan_of_start(
        clock: WallClock,
        settings: Settings,
        config: Config,
        past: Past,
        read: Result<Reading, String>,
    ) -> Plan {
        let Past { left, state } = past;
        let now = clock.now;
        let failures = [
            read.as_ref()
                .err()
                .map(|why| format!("the kernel's table cannot be read: {why}; this is for an empty one")),
            left.as_ref().err().map(|why| format!("what an earlier run left cannot be read: {why}")),
            state.as_ref().err().map(|why| format!("what an earlier run remembered cannot be read: {why}")),
        ];
        let nothing = Config { virtual_servers: Vec::new(), ..config.clone() };
        let before = Self::new(now, settings.clone(), nothing, BTreeSet::new());
        let mut after = Self::new(now, settings, config, left.unwrap_or_default());
        after.restore(clock, state);
        let read = read.unwrap_or_default();
        let followed = follow(&mut after, now, None, &read);
        let said = failures.into_iter().flatten().collect();
        Plan { of_start: true, ..before.planned(&after, &read, now, followed, said) }
    }

    /// What follows from the way of this engine to `after`, beside what was `said` already.
    fn planned(
        &self,
        after: &Self,
        before: &Reading,
        now: Mono,
        (requests, events): (Vec<Request>, Vec<OperatorEvent>),
        said: Vec<String>,
    ) -> Plan {
        let (old, new) = (Directory::of(&self.config), Directory::of(&after.config));
        let mut words = Words { old: self, new: after, names: [&new, &old], before, now, lines: said };
        requests.iter().for_each(|request| words.request(request));
        words.retiring();
        words.first_checks();
        let monitors = Monitors::of((self, &old), (after, &new));
        words.lines.extend(monitors.lines());
        words.overrides(&events);
        words.lines.extend(quiet_changes(&self.config, &after.config, &requests));
        words.sysctls();
        let requests = requests.iter().map(ToString::to_string).collect();
        let Monitors { started: monitors_started, stopped: monitors_stopped, .. } = monitors;
        Plan { words: words.lines, requests, monitors_started, monitors_stopped, ..Plan::default() }
    }
}

/// Lets `engine` take `input`, if any, and come to rest; what it asked the kernel for, and what it would have logged. The
/// kernel has what the engine knows it to have, or `read`.
fn follow(
    engine: &mut Engine,
    now: Mono,
    input: Option<Input>,
    read: &Reading,
) -> (Vec<Request>, Vec<OperatorEvent>) {
    let (mut requests, mut events) = (Vec::new(), Vec::new());
    let mut inputs: VecDeque<Input> = input.into_iter().collect();
    for _ in 0..STEPS {
        let input = inputs.pop_front().unwrap_or(Input::Tick);
        let ticked = input == Input::Tick;
        let actions = engine.step(now, input);
        let mut idle = true;
        for action in actions {
            match action {
                Action::Apply(batch) => {
                    idle = false;
                    inputs.push_back(Input::Applied(Ok(vec![Ok(()); batch.len()])));
                    requests.extend(batch);
                }
                Action::ReadTable => {
                    idle = false;
                    let read = engine.reconciler.believed_reading().unwrap_or(read).clone();
                    inputs.push_back(Input::Table(Ok(read)));
                }
                Action::Log(Event::Operator(event)) => events.push(event),
                _ => {}
            }
        }
        if ticked && idle {
            break;
        }
    }
    (requests, events)
}
