//! How the service is taken and given back, once [`crate::election`] has decided. Pure.
//!
//! Taking: hold the addresses, announce them, start `lvs`, switch the kernel's connection synchronisation, run
//! `active_cmd`. The heartbeat that tells the other router to stop has gone out before. Giving back: drop the
//! addresses, stop announcing, stop `lvs`, switch the synchronisation back, run `inactive_cmd`. Only the first step of
//! giving back happens before the heartbeat that invites the other router, so that it never waits for our processes.
//!
//! | `lvs` is | event | becomes | what is done |
//! | --- | --- | --- | --- |
//! | stopped | take | starting | start it |
//! | starting | ready | running | settled, fit |
//! | starting | not ready in [`READY_LIMIT`] | starting | unfit, log; it may still come |
//! | starting, running | exits | waiting | restart at once if it ran for a second, else backed off |
//! | waiting | time comes | starting | start it |
//! | starting, running | give back | stopping | SIGTERM |
//! | stopping | [`STOP_LIMIT`] passes | stopping | SIGKILL |
//! | stopping | exits | stopped, or starting when the service was taken again meanwhile | |
//! | waiting | give back | stopping | withdraw what the dead one left in the kernel |
//!
//! A `pulse` that starts begins with the last line too: an earlier run may have left services and addresses.
//!
//! Addresses are desired state: they are compared with what the interfaces have every [`REPAIR_INTERVAL`], repaired and
//! their lease renewed. A failure to start or keep `lvs` never drops the addresses by itself; it makes this router
//! unfit, and the election hands over if the other one can do better.

use std::time::Duration;

use daemonkit::children::Exit;
use daemonkit::clock::Mono;
use daemonkit::exit;
use lvs_ipc::status::Child;

/// How long `lvs` may take until its first plan is in the kernel.
pub const READY_LIMIT: Duration = Duration::from_secs(10);
/// How long `lvs` may take to withdraw its services before it is killed.
pub const STOP_LIMIT: Duration = Duration::from_secs(8);
/// How often addresses are compared with what the interfaces have.
pub const REPAIR_INTERVAL: Duration = Duration::from_secs(1);
/// Shortest time between two starts of `lvs`.
const RESTART_MIN: Duration = Duration::from_secs(1);
/// Longest time between two starts of `lvs`.
const RESTART_MAX: Duration = Duration::from_secs(60);
/// An `lvs` that ran for so long is healthy: the back-off begins anew.
const HEALTHY: Duration = Duration::from_secs(60);
/// So many deaths in a row without a healthy minute make this router unfit.
const DEATHS_UNTIL_UNFIT: u32 = 3;
/// How long after the end of a program that announces another one is started.
const ANNOUNCE_AGAIN: Duration = Duration::from_secs(60);
/// A router that gave the service back because it was unfit counts as fit again after so long.
const PENALTY: Duration = Duration::from_secs(60);

/// What happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// The program starts.
    Begin,
    /// The election took the service.
    Take,
    /// The election gave the service back.
    GiveBack,
    /// `lvs` could not be started.
    SpawnFailed(String),
    /// `lvs` said that its first plan is in the kernel.
    LvsReady,
    /// `lvs` ended.
    LvsExited(Exit),
    /// The program that announces ended although it should go on.
    AnnouncerEnded,
    /// Pass a SIGHUP on.
    Reload,
    /// Time has passed.
    Tick,
    /// The program is to end as soon as nothing of it is left.
    Leave,
}

/// What is to be done, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Make sure that all floating addresses are here, and renew their lease.
    HoldAddresses,
    /// Make sure that no floating address is here.
    DropAddresses,
    /// Announce all floating addresses, then again from time to time.
    Announce,
    /// Stop announcing.
    StopAnnouncing,
    /// Start `lvs`.
    StartLvs,
    /// Start `lvs` only to withdraw what an earlier one left in the kernel.
    WithdrawLeftovers,
    /// Ask `lvs` to withdraw its services and end.
    TerminateLvs,
    /// End `lvs`, which did not end when asked.
    KillLvs,
    /// Tell `lvs` to read its file again.
    ReloadLvs,
    /// The kernel is to send connections to the other router (`true`) or receive them (`false`).
    SyncConnections(bool),
    /// Run `active_cmd` (`true`) or `inactive_cmd` (`false`).
    RunCommand(bool),
    /// Addresses and services are complete.
    Settled,
    /// Whether this router can run the service.
    Fitness(Result<(), String>),
    /// `lvs` is in this state now, for this reason.
    Lvs(Child, String),
    /// Nothing is left: end the program.
    Exit,
}

/// The service as this router has it.
#[derive(Debug, Clone)]
pub struct Takeover {
    wanted: bool,
    leaving: bool,
    lvs: Lvs,
    /// How often in a row `lvs` ended on its own without a healthy minute.
    deaths: u32,
    unfit: Option<Unfit>,
    /// When an unfit router without the service counts as fit again.
    forgiven_at: Option<Mono>,
    repair_at: Mono,
    /// When the addresses are announced again because the program that did so ended.
    announce_at: Option<Mono>,
}

/// Why this router cannot run the service, which says what makes it fit again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unfit {
    /// `lvs` refused its file, its rights or its options: reading a good file again.
    Refused,
    /// `lvs` died again and again, or was never ready: a minute in which it did not, or in which nobody tried.
    Failing,
}

/// The supervised `lvs`, with what is known only in that state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lvs {
    Stopped,
    Starting { since: Mono, overdue: bool },
    Running { since: Mono },
    Stopping { kill_at: Mono },
    Waiting { until: Mono },
}

impl Takeover {
    /// A router that does not serve.
    #[must_use]
    pub fn new(now: Mono) -> Self {
        Self {
            wanted: false,
            leaving: false,
            lvs: Lvs::Stopped,
            deaths: 0,
            unfit: None,
            forgiven_at: None,
            repair_at: now,
            announce_at: None,
        }
    }

    /// Whether the service has been taken.
    #[must_use]
    pub fn wanted(&self) -> bool {
        self.wanted
    }

    /// When to call [`Takeover::step`] with a tick if nothing else happens.
    #[must_use]
    pub fn deadline(&self) -> Option<Mono> {
        let lvs = match self.lvs {
            Lvs::Starting { since, overdue: false } => Some(since + READY_LIMIT),
            Lvs::Stopping { kill_at } => Some(kill_at),
            Lvs::Waiting { until } => Some(until),
            Lvs::Stopped | Lvs::Starting { .. } | Lvs::Running { .. } => None,
        };
        [lvs, self.forgiven_at, self.announce_at, Some(self.repair_at)].into_iter().flatten().min()
    }

    /// Takes one event at `now`, which never runs backwards.
    pub fn step(&mut self, now: Mono, input: Input) -> Vec<Action> {
        let mut out = Vec::new();
        match input {
            Input::Begin => {
                out.push(Action::DropAddresses);
                self.withdraw_leftovers(now, "an earlier run may have left services", &mut out);
                out.extend([Action::SyncConnections(false), Action::RunCommand(false)]);
            }
            Input::Take => self.take(now, &mut out),
            Input::GiveBack => self.give_back(now, &mut out),
            Input::SpawnFailed(why) => self.lvs_ended(now, &why, false, &mut out),
            Input::LvsReady => self.lvs_ready(now, &mut out),
            Input::LvsExited(exit) => self.lvs_exited(now, exit, &mut out),
            Input::AnnouncerEnded => self.announce_at = self.wanted.then_some(now + ANNOUNCE_AGAIN),
            Input::Reload => {
                if self.unfit == Some(Unfit::Refused) {
                    self.set_fit(&mut out);
                }
                if matches!(self.lvs, Lvs::Starting { .. } | Lvs::Running { .. }) {
                    out.push(Action::ReloadLvs);
                }
            }
            Input::Tick => self.tick(now, &mut out),
            Input::Leave => {
                self.leaving = true;
                if !self.wanted {
                    out.push(Action::RunCommand(false));
                }
                self.give_back(now, &mut out);
                self.exit_if_done(&mut out);
            }
        }
        out
    }

    fn take(&mut self, now: Mono, out: &mut Vec<Action>) {
        if self.wanted || self.leaving {
            return;
        }
        self.wanted = true;
        self.deaths = 0;
        self.forgiven_at = None;
        self.repair_at = now + REPAIR_INTERVAL;
        out.extend([Action::HoldAddresses, Action::Announce]);
        if self.lvs == Lvs::Stopped {
            self.start_lvs(now, "the service was taken", out);
        }
        out.extend([Action::SyncConnections(true), Action::RunCommand(true)]);
    }

    fn give_back(&mut self, now: Mono, out: &mut Vec<Action>) {
        if !self.wanted {
            return;
        }
        self.wanted = false;
        self.announce_at = None;
        self.repair_at = now + REPAIR_INTERVAL;
        out.extend([Action::DropAddresses, Action::StopAnnouncing]);
        match self.lvs {
            Lvs::Starting { .. } | Lvs::Running { .. } => {
                self.lvs = Lvs::Stopping { kill_at: now + STOP_LIMIT };
                out.push(Action::TerminateLvs);
                out.push(Action::Lvs(Child::Stopping, "the service was given back".into()));
            }
            Lvs::Waiting { .. } => self.withdraw_leftovers(now, "the service was given back", out),
            Lvs::Stopped | Lvs::Stopping { .. } => {}
        }
        self.forgiven_at = (self.unfit == Some(Unfit::Failing)).then_some(now + PENALTY);
        out.extend([Action::SyncConnections(false), Action::RunCommand(false)]);
    }

    fn start_lvs(&mut self, now: Mono, why: &str, out: &mut Vec<Action>) {
        self.lvs = Lvs::Starting { since: now, overdue: false };
        out.push(Action::StartLvs);
        out.push(Action::Lvs(Child::Starting, why.into()));
    }

    fn withdraw_leftovers(&mut self, now: Mono, why: &str, out: &mut Vec<Action>) {
        self.lvs = Lvs::Stopping { kill_at: now + STOP_LIMIT };
        out.push(Action::WithdrawLeftovers);
        out.push(Action::Lvs(Child::Stopping, why.into()));
    }

    fn lvs_ready(&mut self, now: Mono, out: &mut Vec<Action>) {
        let Lvs::Starting { since, .. } = self.lvs else { return };
        self.lvs = Lvs::Running { since };
        out.push(Action::Lvs(Child::Running, "its first plan is in the kernel".into()));
        out.push(Action::Settled);
        if self.unfit == Some(Unfit::Failing) && self.deaths >= DEATHS_UNTIL_UNFIT {
            // It was ready before each of its deaths, too.
            self.forgiven_at = Some(now + HEALTHY);
        } else {
            self.set_fit(out);
        }
    }

    fn lvs_exited(&mut self, now: Mono, ended: Exit, out: &mut Vec<Action>) {
        let hopeless = [exit::USAGE, exit::NO_PERMISSION, exit::CONFIG].iter().any(|code| ended.is(*code));
        self.lvs_ended(now, &ended.to_string(), hopeless, out);
    }

    /// `lvs` ended, or did not start.
    fn lvs_ended(&mut self, now: Mono, why: &str, hopeless: bool, out: &mut Vec<Action>) {
        if !matches!(self.lvs, Lvs::Stopping { .. }) {
            self.lvs_died(now, why, hopeless, out);
        } else if self.wanted {
            self.start_lvs(now, "the service was taken meanwhile", out);
        } else {
            self.lvs = Lvs::Stopped;
            out.push(Action::Lvs(Child::Stopped, why.to_owned()));
            self.exit_if_done(out);
        }
    }

    /// `lvs` ended, or did not start, although it was wanted.
    fn lvs_died(&mut self, now: Mono, why: &str, hopeless: bool, out: &mut Vec<Action>) {
        let (Lvs::Starting { since, .. } | Lvs::Running { since }) = self.lvs else { return };
        let lived = now.since(since);
        self.deaths = if lived >= HEALTHY { 1 } else { self.deaths + 1 };
        self.forgiven_at = None;
        let back_off = RESTART_MIN.saturating_mul(1 << self.deaths.min(7).saturating_sub(1)).min(RESTART_MAX);
        self.lvs = Lvs::Waiting { until: (since + back_off).max(now) };
        out.push(Action::Lvs(Child::Waiting, why.to_owned()));
        if hopeless {
            self.set_unfit(Unfit::Refused, format!("lvs {why}"), out);
        } else if self.deaths >= DEATHS_UNTIL_UNFIT {
            self.set_unfit(Unfit::Failing, format!("lvs {why}"), out);
        }
    }

    fn set_unfit(&mut self, unfit: Unfit, why: String, out: &mut Vec<Action>) {
        if self.unfit.replace(unfit).is_none() {
            out.push(Action::Fitness(Err(why)));
        }
    }

    fn set_fit(&mut self, out: &mut Vec<Action>) {
        self.forgiven_at = None;
        if self.unfit.take().is_some() {
            out.push(Action::Fitness(Ok(())));
        }
    }

    fn tick(&mut self, now: Mono, out: &mut Vec<Action>) {
        if now >= self.repair_at {
            self.repair_at = now + REPAIR_INTERVAL;
            out.push(if self.wanted { Action::HoldAddresses } else { Action::DropAddresses });
        }
        if self.announce_at.is_some_and(|at| now >= at) {
            self.announce_at = None;
            out.push(Action::Announce);
        }
        if self.forgiven_at.is_some_and(|at| now >= at) {
            self.set_fit(out);
        }
        match &mut self.lvs {
            Lvs::Starting { since, overdue } if !*overdue && now.since(*since) >= READY_LIMIT => {
                *overdue = true;
                let why = format!("lvs is not ready after {}s", READY_LIMIT.as_secs());
                self.set_unfit(Unfit::Failing, why, out);
            }
            Lvs::Stopping { kill_at } if now >= *kill_at => {
                // Should even that not help, the same is tried again.
                *kill_at = now + STOP_LIMIT;
                out.push(Action::KillLvs);
            }
            Lvs::Waiting { until } if now >= *until => self.start_lvs(now, "it died", out),
            _ => {}
        }
    }

    fn exit_if_done(&self, out: &mut Vec<Action>) {
        if self.leaving && self.lvs == Lvs::Stopped {
            out.push(Action::Exit);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Mono {
        Mono::from_millis(seconds * 1000)
    }

    fn lvs(state: Child, why: &str) -> Action {
        Action::Lvs(state, why.into())
    }

    fn taken() -> Takeover {
        let mut service = Takeover::new(at(0));
        service.step(at(0), Input::Take);
        service
    }

    fn running() -> Takeover {
        let mut service = taken();
        service.step(at(0), Input::LvsReady);
        service
    }

    #[test]
    fn the_service_is_taken_addresses_first_and_is_settled_when_lvs_is_ready() {
        let mut service = Takeover::new(at(0));
        assert_eq!(
            service.step(at(0), Input::Take),
            [
                Action::HoldAddresses,
                Action::Announce,
                Action::StartLvs,
                lvs(Child::Starting, "the service was taken"),
                Action::SyncConnections(true),
                Action::RunCommand(true),
            ]
        );
        assert_eq!(service.step(at(0), Input::Take), []);
        assert_eq!(
            service.step(at(1), Input::LvsReady),
            [lvs(Child::Running, "its first plan is in the kernel"), Action::Settled]
        );
    }

    #[test]
    fn the_service_is_given_back_addresses_first_and_the_program_ends_after_lvs() {
        let mut service = running();
        assert_eq!(
            service.step(at(5), Input::Leave),
            [
                Action::DropAddresses,
                Action::StopAnnouncing,
                Action::TerminateLvs,
                lvs(Child::Stopping, "the service was given back"),
                Action::SyncConnections(false),
                Action::RunCommand(false),
            ]
        );
        assert_eq!(service.step(at(6), Input::Take), [], "a leaving router takes nothing");
        assert_eq!(
            service.step(at(6), Input::LvsExited(Exit::Status(0))),
            [lvs(Child::Stopped, "exited with status 0"), Action::Exit]
        );
    }

    #[test]
    fn a_start_cleans_up_before_the_service_can_be_taken() {
        let mut service = Takeover::new(at(0));
        assert_eq!(
            service.step(at(0), Input::Begin),
            [
                Action::DropAddresses,
                Action::WithdrawLeftovers,
                lvs(Child::Stopping, "an earlier run may have left services"),
                Action::SyncConnections(false),
                Action::RunCommand(false),
            ]
        );
        let taken = service.step(at(0), Input::Take);
        assert!(taken.contains(&Action::HoldAddresses) && !taken.contains(&Action::StartLvs), "{taken:?}");
        let cleaned = service.step(at(0), Input::LvsExited(Exit::Status(0)));
        assert!(cleaned.contains(&Action::StartLvs), "{cleaned:?}");
    }

    #[test]
    fn a_clean_up_that_cannot_be_started_holds_nothing_up() {
        let mut service = Takeover::new(at(0));
        service.step(at(0), Input::Begin);
        let failed = service.step(at(0), Input::SpawnFailed("no such file".into()));
        assert_eq!(failed, [lvs(Child::Stopped, "no such file")]);
        assert!(service.step(at(1), Input::Take).contains(&Action::StartLvs));
    }

    #[test]
    fn a_service_taken_meanwhile_starts_even_if_the_clean_up_could_not() {
        let mut service = Takeover::new(at(0));
        service.step(at(0), Input::Begin);
        service.step(at(0), Input::Take);
        let failed = service.step(at(0), Input::SpawnFailed("no such file".into()));
        assert!(failed.contains(&Action::StartLvs), "{failed:?}");
    }

    #[test]
    fn the_time_between_two_starts_doubles_up_to_a_minute() {
        let mut service = taken();
        let mut now = at(0);
        let mut waits = Vec::new();
        for _ in 0..8 {
            service.step(now, Input::SpawnFailed("no such file".into()));
            let Lvs::Waiting { until } = service.lvs else { panic!("{service:?}") };
            waits.push(until.since(now).as_secs());
            now = until;
            service.step(now, Input::Tick);
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60]);
    }

    #[test]
    fn a_router_without_the_service_leaves_at_once() {
        let left = Takeover::new(at(0)).step(at(1), Input::Leave);
        assert_eq!(left, [Action::RunCommand(false), Action::Exit]);
    }

    #[test]
    fn an_lvs_that_does_not_end_is_killed() {
        let mut service = running();
        service.step(at(5), Input::GiveBack);
        assert_eq!(service.step(at(12), Input::Tick), [Action::DropAddresses]);
        assert_eq!(service.step(at(13), Input::Tick), [Action::DropAddresses, Action::KillLvs]);
    }

    #[test]
    fn a_service_taken_again_waits_for_the_old_lvs() {
        let mut service = running();
        service.step(at(5), Input::GiveBack);
        let again = service.step(at(6), Input::Take);
        assert!(!again.contains(&Action::StartLvs), "{again:?}");
        assert_eq!(
            service.step(at(7), Input::LvsExited(Exit::Status(0))),
            [Action::StartLvs, lvs(Child::Starting, "the service was taken meanwhile")]
        );
    }

    #[test]
    fn a_dead_lvs_is_restarted_at_once_then_backed_off_and_makes_the_router_unfit() {
        let mut service = running();
        let killed = || Input::LvsExited(Exit::Signal(9));
        assert_eq!(service.step(at(9), killed()), [lvs(Child::Waiting, "killed by SIGKILL")]);
        assert_eq!(service.deadline(), Some(at(1)), "the repair that is due");
        assert_eq!(
            service.step(at(9), Input::Tick),
            [Action::HoldAddresses, Action::StartLvs, lvs(Child::Starting, "it died")]
        );
        service.step(at(9), killed());
        assert_eq!(service.step(at(10), Input::Tick), [Action::HoldAddresses], "two seconds between starts");
        service.step(at(11), Input::Tick);
        assert_eq!(
            service.step(at(11), killed()),
            [lvs(Child::Waiting, "killed by SIGKILL"), Action::Fitness(Err("lvs killed by SIGKILL".into()))]
        );
        let restarted = service.step(at(15), Input::Tick);
        assert!(restarted.contains(&Action::StartLvs), "{restarted:?}");
    }

    #[test]
    fn an_lvs_that_refuses_its_file_makes_the_router_unfit_until_another_file_is_read() {
        let mut service = taken();
        let refused = service.step(at(0), Input::LvsExited(Exit::Status(78)));
        assert!(refused.contains(&Action::Fitness(Err("lvs exited with status 78".into()))), "{refused:?}");
        let given_back = service.step(at(1), Input::GiveBack);
        assert!(given_back.contains(&Action::WithdrawLeftovers), "{given_back:?}");
        service.step(at(1), Input::LvsExited(Exit::Status(0)));
        assert_eq!(service.step(at(600), Input::Tick), [Action::DropAddresses]);
        assert_eq!(service.step(at(601), Input::Reload), [Action::Fitness(Ok(()))]);
    }

    #[test]
    fn an_lvs_that_dies_after_each_start_makes_the_router_unfit_until_it_has_run_for_a_minute() {
        let mut service = running();
        for second in [1, 10, 20] {
            service.step(at(second), Input::LvsExited(Exit::Signal(9)));
            service.step(at(second + 5), Input::Tick);
        }
        assert_eq!(service.unfit, Some(Unfit::Failing));
        let ready = service.step(at(25), Input::LvsReady);
        assert!(!ready.iter().any(|action| matches!(action, Action::Fitness(_))), "{ready:?}");
        assert_eq!(service.step(at(84), Input::Tick), [Action::HoldAddresses]);
        assert_eq!(service.step(at(85), Input::Tick), [Action::HoldAddresses, Action::Fitness(Ok(()))]);
    }

    #[test]
    fn an_unfit_router_that_gave_the_service_back_counts_as_fit_after_the_penalty() {
        let mut service = taken();
        service.step(at(10), Input::Tick);
        assert_eq!(service.unfit, Some(Unfit::Failing), "never ready");
        service.step(at(11), Input::GiveBack);
        service.step(at(11), Input::LvsExited(Exit::Status(0)));
        assert_eq!(service.step(at(70), Input::Tick), [Action::DropAddresses]);
        assert_eq!(service.step(at(71), Input::Tick), [Action::DropAddresses, Action::Fitness(Ok(()))]);
    }

    #[test]
    fn an_lvs_that_is_never_ready_makes_the_router_unfit_once() {
        let mut service = taken();
        let hold = Action::HoldAddresses;
        assert_eq!(
            service.step(at(10), Input::Tick),
            [hold.clone(), Action::Fitness(Err("lvs is not ready after 10s".into()))]
        );
        assert_eq!(service.step(at(11), Input::Tick), [hold]);
    }

    #[test]
    fn announcing_goes_on_after_the_program_that_did_so_ended() {
        let mut service = running();
        assert_eq!(service.step(at(1), Input::AnnouncerEnded), []);
        assert_eq!(service.step(at(60), Input::Tick), [Action::HoldAddresses]);
        assert_eq!(service.step(at(61), Input::Tick), [Action::HoldAddresses, Action::Announce]);
        assert_eq!(service.step(at(62), Input::Tick), [Action::HoldAddresses]);
        service.step(at(63), Input::GiveBack);
        service.step(at(63), Input::AnnouncerEnded);
        assert!(!service.step(at(200), Input::Tick).contains(&Action::Announce));
    }

    #[test]
    fn a_reload_reaches_only_an_lvs_that_runs() {
        assert_eq!(Takeover::new(at(0)).step(at(0), Input::Reload), []);
        assert_eq!(running().step(at(1), Input::Reload), [Action::ReloadLvs]);
    }

    #[test]
    fn addresses_are_compared_every_second_in_both_roles() {
        let mut service = Takeover::new(at(0));
        assert_eq!(service.step(at(0), Input::Tick), [Action::DropAddresses]);
        assert_eq!(service.step(at(0), Input::Tick), [], "an early tick does nothing");
        assert_eq!(service.deadline(), Some(at(1)));
    }
}
