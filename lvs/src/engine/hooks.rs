//! When hooks are run: few at once, none for long, and for each subject one at a time, the newest state last.
//!
//! | subject \ event | ordered | ended |
//! | --- | --- | --- |
//! | idle | waits for its turn | – |
//! | waiting | the newer order takes its place | – |
//! | running for the same state | what waited is dropped: the hook knows already | next |
//! | running for the other state | waits, in place of what waited | next |
//!
//! So a server that flaps cannot pile anything up. A hook that runs longer than [`LIMIT`] is killed with all that it
//! started. Nobody waits for hooks, not even the end of the director.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use daemonkit::children::Exit;
use daemonkit::clock::Mono;

use crate::action::{Action, Input};
use crate::event::Event;
use crate::hook::{HookCommand, Subject};

/// Longest time that a hook may run.
pub(super) const LIMIT: Duration = Duration::from_secs(30);
/// Most hooks that run at the same time.
pub(super) const AT_ONCE: usize = 8;
/// Most lines of a hook that are logged.
pub(super) const LINES: usize = 20;

/// Tokens of hooks are apart from those of monitors, which count up from 1.
const TOKENS: u64 = 1 << 63;

/// A hook that was started and has not ended.
#[derive(Debug, Clone)]
struct Running {
    subject: Subject,
    up: bool,
    since: Mono,
    killed: bool,
    lines: usize,
}

/// The hooks.
#[derive(Debug, Clone, Default)]
pub(super) struct Hooks {
    running: BTreeMap<u64, Running>,
    waiting: VecDeque<HookCommand>,
    started: u64,
}

impl Hooks {
    /// Whether this is about a hook and not about a monitor.
    pub(super) fn concerns(input: &Input) -> bool {
        match input {
            Input::Line(token, _)
            | Input::OutputEnded(token)
            | Input::MonitorEnded(token, _)
            | Input::SpawnFailed(token, _) => *token >= TOKENS,
            _ => false,
        }
    }

    /// Takes what concerns a hook.
    pub(super) fn step(&mut self, now: Mono, input: Input) -> Vec<Action> {
        let event = match input {
            Input::Line(token, line) => self.running.get_mut(&token).and_then(|hook| hook.said(line)),
            Input::MonitorEnded(token, exit) => self.running.remove(&token).map(|hook| hook.ended(now, exit)),
            Input::SpawnFailed(token, reason) => self
                .running
                .remove(&token)
                .map(|hook| Event::HookNotStarted { subject: hook.subject.to_string(), reason }),
            _ => None,
        };
        event.map(Action::Log).into_iter().collect()
    }

    /// These are to be run, as soon as it is their turn.
    pub(super) fn extend(&mut self, hooks: impl IntoIterator<Item = HookCommand>) {
        hooks.into_iter().for_each(|hook| self.order(hook));
    }

    fn order(&mut self, hook: HookCommand) {
        let subject = hook.subject;
        let place = self.waiting.iter().position(|waiting| waiting.subject == subject);
        let knows = self.running.values().any(|running| running.subject == subject && running.up == hook.up);
        match place {
            Some(place) if knows => drop(self.waiting.remove(place)),
            Some(place) => self.waiting[place] = hook,
            None if knows => {}
            None => self.waiting.push_back(hook),
        }
    }

    /// Starts whose turn it is, and kills what runs too long.
    pub(super) fn tick(&mut self, now: Mono) -> Vec<Action> {
        let mut actions = Vec::new();
        for (token, hook) in self.running.iter_mut().filter(|(_, hook)| hook.is_overdue(now)) {
            hook.killed = true;
            actions.push(Action::Kill(*token));
        }
        while let Some(place) = self.next() {
            let Some(hook) = self.waiting.remove(place) else { break };
            let token = TOKENS + self.started;
            self.started += 1;
            let running = Running { subject: hook.subject, up: hook.up, since: now, killed: false, lines: 0 };
            self.running.insert(token, running);
            actions.push(Action::RunHook(token, hook));
        }
        actions
    }

    /// The first that waits and may run now.
    fn next(&self) -> Option<usize> {
        let is_idle = |subject| self.running.values().all(|running| running.subject != subject);
        let mut waiting = self.waiting.iter();
        if self.running.len() < AT_ONCE { waiting.position(|hook| is_idle(hook.subject)) } else { None }
    }

    /// What has not been started is not started any more.
    pub(super) fn stop(&mut self) {
        self.waiting.clear();
    }

    /// The next moment at which [`Hooks::tick`] has something to do.
    pub(super) fn deadline(&self) -> Option<Mono> {
        let turn = self.next().map(|_| Mono::ZERO);
        let overdue = self.running.values().filter(|hook| !hook.killed).map(|hook| hook.since + LIMIT);
        overdue.chain(turn).min()
    }
}

impl Running {
    fn is_overdue(&self, now: Mono) -> bool {
        !self.killed && now.since(self.since) >= LIMIT
    }

    /// A line of its output, for the log unless it says too much.
    fn said(&mut self, line: String) -> Option<Event> {
        self.lines += 1;
        (self.lines <= LINES).then(|| Event::HookSaid { subject: self.subject.to_string(), line })
    }

    fn ended(self, now: Mono, exit: Exit) -> Event {
        Event::HookEnded {
            subject: self.subject.to_string(),
            up: self.up,
            exit,
            took: now.since(self.since),
            killed: self.killed,
            lines_not_logged: self.lines.saturating_sub(LINES),
        }
    }
}

#[cfg(test)]
mod tests {
    use ipvsadm::{DestinationId, ServiceId};

    use super::*;
    use crate::identity::ServerKey;

    fn hook(server: u8, up: bool) -> HookCommand {
        let service = ServiceId::tcp("10.1.0.100:80".parse().unwrap());
        let key = ServerKey { service, server: DestinationId::new([10, 2, 0, server].into(), 80) };
        HookCommand::of_server(&["/bin/hook".into()], "web", "rs", key, up, "x")
    }

    /// What is started at `seconds`: last octet of the server and state.
    fn started(hooks: &mut Hooks, seconds: u64) -> Vec<String> {
        let actions = hooks.tick(Mono::from_millis(seconds * 1000));
        actions
            .into_iter()
            .map(|action| match action {
                Action::RunHook(_, hook) => {
                    let server = hook.subject.server.unwrap().address.to_string();
                    format!("{}{}", server.rsplit('.').next().unwrap(), if hook.up { "+" } else { "-" })
                }
                Action::Kill(token) => format!("kill {}", token - TOKENS),
                other => panic!("{other:?}"),
            })
            .collect()
    }

    fn end(hooks: &mut Hooks, number: u64) -> Vec<Action> {
        hooks.step(Mono::from_millis(5), Input::MonitorEnded(TOKENS + number, Exit::Status(0)))
    }

    #[test]
    fn one_subject_runs_one_hook_at_a_time_and_the_newest_state_wins() {
        let mut hooks = Hooks::default();
        hooks.order(hook(1, false));
        assert_eq!(hooks.deadline(), Some(Mono::ZERO));
        assert_eq!(started(&mut hooks, 0), ["1-"]);
        for up in [true, false, true, false, true] {
            hooks.order(hook(1, up));
            assert_eq!(started(&mut hooks, 1), [""; 0]);
        }
        assert_eq!(end(&mut hooks, 0).len(), 1);
        assert_eq!(started(&mut hooks, 2), ["1+"]);
        // What runs for "up" is told nothing new by a failure that is over already.
        hooks.order(hook(1, false));
        hooks.order(hook(1, true));
        end(&mut hooks, 1);
        assert_eq!((started(&mut hooks, 3), hooks.deadline()), (vec![], None));
    }

    #[test]
    fn an_order_that_is_replaced_keeps_its_turn() {
        let mut hooks = Hooks::default();
        for server in 1..=10 {
            hooks.order(hook(server, false));
        }
        assert_eq!(started(&mut hooks, 0), ["1-", "2-", "3-", "4-", "5-", "6-", "7-", "8-"]);
        hooks.order(hook(9, true));
        end(&mut hooks, 3);
        assert_eq!(started(&mut hooks, 1), ["9+"]);
        end(&mut hooks, 4);
        assert_eq!(started(&mut hooks, 1), ["10-"]);
    }

    #[test]
    fn a_hook_that_runs_too_long_is_killed_once_and_its_end_is_told() {
        let mut hooks = Hooks::default();
        hooks.order(hook(1, true));
        started(&mut hooks, 0);
        assert_eq!(hooks.deadline(), Some(Mono::from_millis(30_000)));
        assert_eq!(started(&mut hooks, 29), [""; 0]);
        assert_eq!(started(&mut hooks, 30), ["kill 0"]);
        assert_eq!((started(&mut hooks, 31), hooks.deadline()), (vec![], None));
        let ended = hooks.step(Mono::from_millis(30_001), Input::MonitorEnded(TOKENS, Exit::Signal(9)));
        let [Action::Log(Event::HookEnded { killed: true, exit, took, .. })] = &ended[..] else {
            panic!("{ended:?}")
        };
        assert_eq!((*exit, *took), (Exit::Signal(9), Duration::from_millis(30_001)));
    }

    #[test]
    fn of_a_talkative_hook_the_first_lines_are_logged_and_the_rest_is_counted() {
        let mut hooks = Hooks::default();
        hooks.order(hook(1, true));
        started(&mut hooks, 0);
        let mut say = || hooks.step(Mono::ZERO, Input::Line(TOKENS, "x".into())).len();
        assert_eq!((0..25).map(|_| say()).sum::<usize>(), LINES);
        let ended = end(&mut hooks, 0);
        let [Action::Log(Event::HookEnded { lines_not_logged: 5, .. })] = &ended[..] else {
            panic!("{ended:?}")
        };
    }

    #[test]
    fn what_cannot_be_started_is_told_and_the_end_starts_nothing_more() {
        let mut hooks = Hooks::default();
        hooks.order(hook(1, true));
        started(&mut hooks, 0);
        hooks.order(hook(1, false));
        hooks.order(hook(2, false));
        let failed = hooks.step(Mono::ZERO, Input::SpawnFailed(TOKENS, "no such file".into()));
        let [Action::Log(Event::HookNotStarted { subject, reason })] = &failed[..] else {
            panic!("{failed:?}")
        };
        assert_eq!((subject.as_str(), reason.as_str()), ("10.2.0.1:80 of TCP 10.1.0.100:80", "no such file"));
        hooks.stop();
        assert_eq!((started(&mut hooks, 1), hooks.deadline()), (vec![], None));
        let monitor = Input::OutputEnded(7);
        assert!(Hooks::concerns(&Input::OutputEnded(TOKENS)) && !Hooks::concerns(&monitor));
    }
}
