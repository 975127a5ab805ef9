//! The director's decisions: what monitors say and what the file asks, in; monitors to start and requests to the
//! kernel, out. No clock, no file, no process, no socket.
//!
//! ```text
//!  file ──> Config ──┐
//!                    ├─> desired ──> reconciler ──> requests ──> kernel
//!  reports ─> health ┘                   ^───────── table (every second)
//!  Config ──> supervisor ──> monitors to start and stop
//! ```
//!
//! | input | serving | stopping |
//! | --- | --- | --- |
//! | `Reload(Ok)` | difference: monitors, health kept for what stays, new table wanted | ignored |
//! | `Reload(Err)` | nothing changes; logged, in the status | ignored |
//! | `Renamed` | as `Reload(Ok)`, but nothing is said about the file | ignored |
//! | `Line` | health or weight of the servers that its monitor is for | ignored |
//! | `MonitorEnded`, `SpawnFailed`, `OutputEnded` | restart later; health stays | one less to wait for |
//! | `Table`, `Applied` | adoption, drift, refusals | as serving |
//! | `Sysctl` | settings of the kernel kept as needed | set back, then as serving |
//! | `Recorded` | a failure is logged, and tried again at the next reading | as serving |
//! | `Control`, `Plan` | done or told, and answered; a reload when it has settled | refused |
//! | `Saved` | a failure is logged, and tried again later | as serving |
//! | `Tick` | start monitors, read or change the table, ready | withdraw; exit when all is done |
//! | `Shutdown` | stopping: nothing is wanted any more | ignored |

mod check_now;
mod climb;
mod control;
mod counters;
mod departing;
mod directory;
mod drains;
mod first_checks;
mod forecast;
mod hooks;
mod monitors;
mod names;
mod overrides;
mod plan_words;
mod policy;
mod pulse_changes;
mod quiet_changes;
mod quorum;
mod recall;
mod reload;
mod reloads;
mod retiring;
mod saving;
mod slow_start;
mod status;
mod sysctls;
mod target;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use daemonkit::clock::Mono;
use daemonkit::exit;
use ipvsadm::{ServiceId, Timeouts};
use lvs_config::Config;
use lvs_config::model::{self, StartPolicy};
use lvs_ipc::report::Report;
use lvs_ipc::status::Health;

use crate::action::{Action, Input};
use crate::event::Event;
use crate::health::{ServerHealth, Standing};
use crate::hook::HookCommand;
use crate::identity::{ServerKey, destination_id, service_id, sorry_id};
use crate::kernel::Reading;
use crate::nanny_args::MonitorSettings;
use crate::reconciler::Reconciler;
use crate::scope::Scope;
use crate::supervisor::Supervisor;
use crate::sysctl::keeper::Keeper;
use crate::sysctl::needs::Needs;

use counters::Counters;
use first_checks::FirstChecks;
use hooks::Hooks;
use names::whose;
use overrides::Overrides;
use policy::Policy;
use retiring::Retiring;
use saving::Saving;

pub use forecast::Past;
pub use status::{Processes, WallClock};

/// Longest time between being asked to stop and ending, whatever is left then.
pub const STOP_LIMIT: Duration = Duration::from_secs(6);
/// How long before that the kernel's settings are set back at the latest, although something still needs them.
pub const SET_BACK_TIME: Duration = Duration::from_secs(2);

/// Most different notices of monitors that are logged: there are a handful.
const MOST_NOTICES: usize = 32;

/// What does not come from the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The file, for the status.
    pub config_path: PathBuf,
    /// How monitors are started.
    pub monitors: MonitorSettings,
}

/// A yes or no with its reason and time.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Verdict {
    good: bool,
    reason: String,
    since: Mono,
}

impl Verdict {
    /// Takes a new verdict; the time stays when yes stays yes or no stays no.
    fn update(&mut self, now: Mono, good: bool, reason: String) {
        if self.good != good {
            self.since = now;
        }
        self.good = good;
        self.reason = reason;
    }
}

/// What is known of one active real server.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Server {
    /// Name of its virtual server in the file, for people.
    vs: String,
    /// Its own name in the file.
    name: String,
    /// What to run when it comes up or fails.
    hooks: model::Hooks,
    health: ServerHealth,
}

/// The director. A clone of it decides as it would, which is how a plan is made.
#[derive(Debug, Clone)]
pub struct Engine {
    settings: Settings,
    config: Config,
    servers: BTreeMap<ServerKey, Server>,
    first_checks: FirstChecks,
    retiring: Retiring,
    policy: Policy,
    hooks: Hooks,
    overrides: Overrides,
    saving: Saving,
    /// Servers that an earlier run knew to have failed, with the reason, as long as they count as unchecked.
    known_down: BTreeMap<ServerKey, String>,
    /// Services that an earlier run recorded as its own, until the table has been read.
    recorded: BTreeSet<ServiceId>,
    supervisor: Supervisor,
    reconciler: Reconciler,
    sysctls: Keeper,
    /// Who has asked for a reload and is not answered yet.
    unanswered: reloads::Unanswered,
    /// Whether the file as last read is in force.
    reload: Verdict,
    /// Whether the kernel's table is as wanted.
    as_wanted: Verdict,
    /// What monitors have said about themselves; each is logged once.
    notices: BTreeSet<String>,
    ready: bool,
    /// When the time to stop is over.
    stop_by: Option<Mono>,
    /// Services of which something else may be wanted than was last computed.
    stale: Scope,
    counters: Counters,
}

impl Engine {
    /// A director that begins to serve `config` with the first tick. Of `leftovers`, the services that an earlier
    /// run recorded as its own, it withdraws those that `config` does not name.
    #[must_use]
    pub fn new(now: Mono, settings: Settings, config: Config, leftovers: BTreeSet<ServiceId>) -> Self {
        let good = |reason: &str| Verdict { good: true, reason: reason.into(), since: now };
        let mut engine = Self {
            sysctls: Keeper::new(now, Needs::of(&config), Vec::new()),
            settings,
            config,
            servers: BTreeMap::new(),
            first_checks: FirstChecks::default(),
            retiring: Retiring::default(),
            policy: Policy::default(),
            hooks: Hooks::default(),
            overrides: Overrides::default(),
            saving: Saving::new(now),
            known_down: BTreeMap::new(),
            recorded: leftovers.clone(),
            supervisor: Supervisor::default(),
            reconciler: Reconciler::new(now, leftovers),
            unanswered: Vec::new(),
            reload: good("read at start"),
            as_wanted: Verdict { good: false, ..good("the kernel's table has not been read yet") },
            notices: BTreeSet::new(),
            ready: false,
            stop_by: None,
            stale: Scope::All,
            counters: Counters::new(now),
        };
        engine.begin(now);
        engine
    }

    /// One step; the actions come in the order in which they are to be carried out.
    pub fn step(&mut self, now: Mono, input: Input) -> Vec<Action> {
        self.counters.hear(now, &input);
        let actions = self.respond(now, input);
        let server_of = |target: &str| {
            let name = |vs: &str| target.strip_prefix(vs)?.strip_prefix('/');
            let found = self.servers.iter().find(|(_, server)| name(&server.vs) == Some(&server.name));
            found.map(|(key, _)| *key)
        };
        self.counters.see(now, &actions, &self.supervisor, server_of);
        actions
    }

    fn respond(&mut self, now: Mono, input: Input) -> Vec<Action> {
        match input {
            input if Hooks::concerns(&input) => self.hooks.step(now, input),
            Input::Tick => self.tick(now),
            Input::Line(token, line) => self.line(now, token, &line),
            Input::OutputEnded(token) => {
                self.supervisor.output_ended(now, token);
                Vec::new()
            }
            Input::Reload(_) | Input::Renamed(_) if self.stop_by.is_some() => Vec::new(),
            Input::Renamed(config) => self.rename(now, *config),
            Input::Reload(Ok(config)) => self.reload(now, *config),
            Input::Reload(Err(problems)) => {
                self.reload.update(now, false, problems.join("\n"));
                vec![Action::Log(Event::ReloadRefused(problems))]
            }
            Input::MonitorEnded(token, exit) => self.supervisor.ended(now, token, exit),
            Input::SpawnFailed(token, reason) => self.supervisor.spawn_failed(now, token, reason),
            Input::Table(result) => self.table(now, result),
            Input::Applied(result) => self.reconciler.applied(now, result),
            Input::Sysctl(answer) => self.sysctls_answer(now, answer),
            Input::Recorded(result) => self.reconciler.recorded(result),
            Input::Saved(result) => self.saving.written(now, result),
            Input::Control(id, command, who) => self.control(now, id, command, who),
            Input::Plan(id, file) => self.tell_plan(now, id, file),
            Input::Shutdown => self.shut_down(now),
        }
    }

    fn table(&mut self, now: Mono, result: Result<Reading, String>) -> Vec<Action> {
        let first = self.reconciler.believed().is_none();
        let mut actions = self.reconciler.table(now, result, &|request| whose(&self.config, request));
        if first {
            actions.extend(self.adopt(now));
            self.let_found_leave(now);
            actions.extend(self.retire(now));
            actions.extend(self.reconciler.tell_leftovers());
        }
        self.observe_drains();
        actions
    }

    /// When to call [`Engine::step`] with [`Input::Tick`] if nothing happens before.
    #[must_use]
    pub fn deadline(&self) -> Option<Mono> {
        let waiting = [self.first_checks.deadline(), self.retiring.deadline(), self.answer_deadline()];
        let (monitors, kernel) = (self.supervisor.deadline(), self.reconciler.deadline());
        let (climbs, hooks) = (self.policy.slow_starts.deadline(), self.hooks.deadline());
        let own = [climbs, hooks, self.drain_deadline(), self.saving.deadline(), self.sysctls.deadline()];
        let set_back = self.stop_by.map(|by| by - SET_BACK_TIME).filter(|_| !self.sysctls.is_stopping());
        [monitors, kernel, self.stop_by, set_back].into_iter().chain(waiting).chain(own).flatten().min()
    }

    fn line(&mut self, now: Mono, token: u64, line: &str) -> Vec<Action> {
        let keys = self.supervisor.servers_of(token).to_vec();
        let Some(first) = keys.first() else { return Vec::new() };
        match Report::parse(line) {
            Ok(Report::Late { starts, .. }) => {
                self.counters.late(&keys, starts.into());
                Vec::new()
            }
            Ok(Report::Notice { reason, .. }) => self.notice(*first, reason),
            Ok(report) => {
                self.supervisor.heard(token, &report);
                keys.into_iter().flat_map(|key| self.told(now, key, &report)).collect()
            }
            Err(error) => {
                vec![Action::Log(Event::NoReport {
                    vs: self.vs_of(first),
                    key: *first,
                    reason: error.to_string(),
                })]
            }
        }
    }

    /// What a monitor said about itself.
    fn notice(&mut self, key: ServerKey, reason: String) -> Vec<Action> {
        if self.notices.len() >= MOST_NOTICES || !self.notices.insert(reason.clone()) {
            return Vec::new();
        }
        vec![Action::Log(Event::MonitorNotice { vs: self.vs_of(&key), key, reason })]
    }

    fn vs_of(&self, key: &ServerKey) -> String {
        self.servers.get(key).map_or_else(String::new, |server| server.vs.clone())
    }

    /// What a monitor said, for one of the servers that it speaks for.
    fn told(&mut self, now: Mono, key: ServerKey, report: &Report) -> Vec<Action> {
        let Some(server) = self.servers.get_mut(&key) else { return Vec::new() };
        let was_checked = server.is_checked();
        let event =
            match report {
                Report::Active { took, reason, .. } => server.checked(now, key, true, *took, reason),
                Report::Inactive { took, reason, .. } => server.checked(now, key, false, *took, reason),
                Report::Weight { weight, reason, .. } => server.health.weighed(*weight).then(|| {
                    Event::Weight { vs: server.vs.clone(), key, to: *weight, reason: reason.clone() }
                }),
                // These are not about the server.
                Report::Late { .. } | Report::Notice { .. } => return Vec::new(),
            };
        self.hooks.extend(event.as_ref().and_then(|event| server.hook(event)));
        self.stale.add(key.service);
        if event.is_some() || !was_checked {
            self.saving.changed();
        }
        event.map(Action::Log).into_iter().collect()
    }

    fn tick(&mut self, now: Mono) -> Vec<Action> {
        self.first_checks.overdue(now).into_iter().for_each(|service| self.stale.add(service));
        self.policy.slow_starts.due(now).for_each(|service| self.stale.add(service));
        self.end_drains(now);
        let mut news = self.end_retirements(now);
        news.extend(self.say_what_is_wanted(now));
        let mut actions = self.reconciler.tick(now);
        if actions.is_empty() {
            // Starting programs takes long; the table comes first, and its answer brings the next tick.
            let servers = &self.servers;
            let was_up = |key: &ServerKey| servers.get(key)?.health.was_up();
            actions = self.supervisor.tick(now, was_up);
            actions.extend(self.hooks.tick(now));
        }
        actions.extend(self.sysctls_tick(now));
        actions.splice(0..0, news);
        let (good, reason) = self.reconciler.verdict(now);
        self.as_wanted.update(now, good, reason);
        // With every service refused this router serves nobody, and the other one may do better.
        if !self.ready && self.reconciler.is_settled() && self.reconciler.serves() {
            self.ready = true;
            actions.insert(0, Action::Ready);
        }
        actions.extend(self.answer_reloads(now));
        actions.extend(self.tell_and_save(now));
        actions.extend(self.finish(now));
        actions
    }

    /// Lets servers that nobody has checked yet keep the rows that the table has for them. Says what was found
    /// of ours, if anything. A service that is not there begins with waiting for its first checks.
    fn adopt(&mut self, now: Mono) -> Option<Action> {
        let table = self.reconciler.believed()?;
        let (mut services, mut servers) = (0, 0);
        for virtual_server in self.config.active_virtual_servers() {
            let service = service_id(virtual_server);
            let entry = table.find(&service);
            match entry {
                None if virtual_server.start == StartPolicy::Probe => {
                    self.first_checks.await_those_of(now, service);
                }
                None => {}
                Some(entry) => {
                    let sorry = virtual_server.sorry_server.map(|sorry| sorry_id(virtual_server, &sorry));
                    let row = sorry.and_then(|sorry| entry.find(&sorry));
                    self.policy.quorums.found(
                        now,
                        service,
                        row.is_some_and(|row| row.destination.weight > 0),
                    );
                }
            }
            services += usize::from(entry.is_some());
            for server in virtual_server.active_servers() {
                let id = destination_id(virtual_server, server);
                let row = entry.and_then(|entry| entry.find(&id));
                servers += usize::from(row.is_some());
                if let Some(known) = self.servers.get_mut(&ServerKey::of(virtual_server, server)) {
                    known.health.found(row.map(|row| row.destination.weight));
                }
            }
        }
        self.recall_down(now);
        self.stale = Scope::All;
        (services > 0).then_some(Action::Log(Event::Adopted { services, servers }))
    }

    fn shut_down(&mut self, now: Mono) -> Vec<Action> {
        if self.stop_by.is_some() {
            return Vec::new();
        }
        self.stop_by = Some(now + STOP_LIMIT);
        self.hooks.stop();
        self.reconciler.hurry(now);
        // Withdrawing does not wait for what nobody needs any more; they stay as they are.
        self.reconciler.want_timeouts(Timeouts::default());
        self.stale = Scope::All;
        let services = self.reconciler.wanted().services.len();
        let mut actions = vec![Action::Log(Event::Stopping { services })];
        self.saving.end(now);
        actions.extend(self.supervisor.want(now, Vec::new()).actions);
        actions
    }

    /// Ends when stopping is done or takes too long.
    fn finish(&mut self, now: Mono) -> Vec<Action> {
        let Some(stop_by) = self.stop_by else { return Vec::new() };
        let withdrawn = self.reconciler.is_settled() && self.reconciler.trouble().is_none();
        let leaving = self.supervisor.leaving();
        let is_done = withdrawn && leaving == 0;
        // What is still in the kernel needs its settings, but what cannot be withdrawn must not keep them for good.
        if is_done || now + SET_BACK_TIME >= stop_by {
            self.sysctls.stop(now);
        }
        if is_done && self.sysctls.is_settled() && !self.saving.delays_end() {
            return self.exit(None, exit::OK);
        }
        if now < stop_by {
            return Vec::new();
        }
        let mut left = self.reconciler.trouble().unwrap_or_default();
        if leaving > 0 {
            left = format!("{leaving} monitors still run {left}");
        }
        self.exit(Some(Event::StopTimedOut { left }), exit::FAILED)
    }

    fn exit(&mut self, news: Option<Event>, code: u8) -> Vec<Action> {
        let answers = self.saving.give_up();
        news.map(Action::Log).into_iter().chain(answers).chain([Action::Exit(code)]).collect()
    }
}

impl Server {
    /// What its health asks of the table, when its first check is awaited or not.
    fn standing(&self, awaited: bool) -> Standing {
        match self.health.standing() {
            // What an earlier run knew is no check.
            Standing::Out if awaited && !self.is_checked() => Standing::Awaited,
            standing => standing,
        }
    }

    fn checked(
        &mut self,
        now: Mono,
        key: ServerKey,
        up: bool,
        took: Duration,
        reason: &str,
    ) -> Option<Event> {
        let from = self.health.checked(now, up, reason)?;
        let to = if up { Health::Up } else { Health::Down };
        Some(Event::Health { vs: self.vs.clone(), key, from, to, reason: reason.to_owned(), took })
    }

    /// Whether a check has decided anything about it yet.
    fn is_checked(&self) -> bool {
        self.health.is_checked()
    }

    /// What to run because of `event`, if it is one that changes its health.
    fn hook(&self, event: &Event) -> Option<HookCommand> {
        let Event::Health { key, to, reason, .. } = event else { return None };
        let up = *to == Health::Up;
        let words = if up { self.hooks.on_up.as_deref() } else { self.hooks.on_down.as_deref() }?;
        Some(HookCommand::of_server(words, &self.vs, &self.name, *key, up, reason))
    }
}
