//! What a reload would do, told without doing it: a clone of the engine takes the new configuration, a kernel that accepts
//! everything answers it, and what it asks for is written down. So the plan is made by the very code that a reload runs.
//!
//! In words, a line for each request and each thing that follows later; the requests themselves beside them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use daemonkit::clock::Mono;
use ipvsadm::{Destination, DestinationEntry, DestinationId, Request, ServiceId};
use lvs_config::Config;
use lvs_config::model::VirtualServer;
use lvs_config::sysctl::SysctlName;
use lvs_ipc::control::Plan;
use lvs_ipc::status::{Health, Left};

use super::climb::Ramp;
use super::monitors::Monitors;
use super::overrides::{in_words, left};
use super::pulse_changes::pulse_changes;
use super::quiet_changes::quiet_changes;
use super::{Engine, Settings, WallClock};
use crate::action::{Action, Input};
use crate::difference::{self, settings};
use crate::event::Event;
use crate::identity::{ServerKey, destination_id, service_id, sorry_id};
use crate::kernel::Reading;
use crate::operator_event::OperatorEvent;
use crate::orders::State;
use crate::sysctl::needs::Needs;

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
        let before = after.reconciler.believed_reading().cloned().unwrap_or_default();
        let reload = Input::Reload(Ok(Box::new(config)));
        let followed = follow(&mut after, now, Some(reload), &Reading::default());
        let unasked = self.reconciler.cannot_be_asked().map(|reason| {
            format!("the kernel cannot be asked: {reason}; this is for its table as it was last known")
        });
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
        let mut words = Words { old: self, new: after, before, now, lines: said };
        requests.iter().for_each(|request| words.request(request));
        words.retiring();
        words.first_checks();
        let monitors = Monitors::of(self, after);
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

/// The plan in words, in the making.
struct Words<'p> {
    old: &'p Engine,
    new: &'p Engine,
    /// What the kernel has before.
    before: &'p Reading,
    now: Mono,
    lines: Vec<String>,
}

impl Words<'_> {
    fn say(&mut self, service: &ServiceId, what: &str) {
        let name =
            virtual_server(&self.new.config, service).or_else(|| virtual_server(&self.old.config, service));
        let name = name.map_or_else(|| service.to_string(), |found| found.name.clone());
        self.lines.push(format!("{name}: {what}"));
    }

    /// One line for a request, with what the kernel said to it before.
    fn request(&mut self, request: &Request) {
        self.change(request);
        if let Some(error) = self.old.reconciler.refusal_of(request)
            && let Some(line) = self.lines.last_mut()
        {
            line.push_str(&format!(" (so far the kernel refuses this: {error})"));
        }
    }

    fn change(&mut self, request: &Request) {
        match request {
            Request::AddService(service) => {
                self.say(&service.id, &format!("new service {}, {}", service.id, settings(service)));
            }
            Request::EditService(service) => {
                let known = self.before.table.find(&service.id);
                let what = known.map(|entry| difference::service(service, &entry.service));
                self.say(&service.id, &what.unwrap_or_else(|| settings(service)));
            }
            Request::DeleteService(id) => {
                let rows = self.before.table.find(id).map_or(&[][..], |entry| &entry.destinations);
                let servers = counted(rows.len(), "real server");
                self.say(id, &format!("service {id} withdrawn with {servers}{}", cut_off(rows)));
            }
            Request::AddDestination(id, row) => {
                let who = self.who(id, &row.id);
                let climb = self.new.policy.slow_starts.progress(&(*id, row.id));
                let full = climb.map_or(row.weight, |climb| climb.full);
                self.say(id, &format!("{who} added with {}", climbing(row.weight, full)));
            }
            Request::EditDestination(id, row) => {
                let what = self.edited(id, row);
                self.say(id, &what);
            }
            Request::DeleteDestination(id, row) => {
                let who = self.who(id, row);
                let found = self.before.table.find(id).and_then(|entry| entry.find(row));
                self.say(id, &format!("{who} removed{}", cut_off(found)));
            }
            Request::SetTimeouts(wanted) => {
                let what = difference::timeouts(wanted, &self.before.timeouts);
                self.lines.push(format!("IPVS: {what}"));
            }
            other => self.lines.push(other.to_string()),
        }
    }

    fn edited(&self, service: &ServiceId, row: &Destination) -> String {
        let who = self.who(service, &row.id);
        if let Some(leaving) = self.new.overrides.state.leaving.get(&(*service, row.id)) {
            let left = leaving.left.unwrap_or_default();
            let within = in_words(leaving.deadline.since(self.now));
            return format!(
                "{who} drained: weight 0 now, removed when no connection is left ({left}), in {within} at most"
            );
        }
        let Some(known) = self.before.table.find(service).and_then(|entry| entry.find(&row.id)) else {
            return format!("{who} changed");
        };
        format!("{who} {}", difference::destination(row, &known.destination))
    }

    /// What a row stands for.
    fn who(&self, service: &ServiceId, row: &DestinationId) -> String {
        let named = [&self.new.config, &self.old.config].into_iter().find_map(|config| {
            let found = virtual_server(config, service)?;
            let server = found.active_servers().find(|server| destination_id(found, server) == *row);
            let sorry = || found.sorry_server.as_ref().filter(|sorry| sorry_id(found, sorry) == *row);
            server.map(|server| server.name.clone()).or_else(|| sorry().map(|_| "sorry server".to_owned()))
        });
        let key = (*service, *row);
        let leaving = || Some(self.new.overrides.state.leaving.get(&key)?.names.server.clone());
        named.or_else(leaving).map_or_else(|| row.to_string(), |name| format!("{name} {row}"))
    }

    /// Rows that the file no longer names and without which nobody would serve.
    fn retiring(&mut self) {
        for virtual_server in self.new.config.active_virtual_servers() {
            let service = service_id(virtual_server);
            let rows = self.new.retiring.count(&service);
            if rows == self.old.retiring.count(&service) || rows == 0 {
                continue;
            }
            let (go, they) = if rows == 1 { ("goes", "it is") } else { ("go", "they are") };
            let then = if virtual_server.drain.is_some() { "drained" } else { "removed" };
            let servers = counted(rows, "real server");
            self.say(
                &service,
                &format!(
                    "{servers} that the file no longer names {go} on serving until a new one can, then {they} {then}"
                ),
            );
        }
    }

    /// Servers that nobody has checked and that have no row: they wait.
    fn first_checks(&mut self) {
        let table = self.new.reconciler.believed().cloned().unwrap_or_default();
        let mut waiting = Vec::new();
        for virtual_server in self.new.config.active_virtual_servers() {
            let service = service_id(virtual_server);
            for server in virtual_server.active_servers() {
                let key = ServerKey::of(virtual_server, server);
                let is_new = !self.old.servers.contains_key(&key);
                let unknown =
                    self.new.servers.get(&key).is_some_and(|known| known.health.state() == Health::Unknown);
                let row = destination_id(virtual_server, server);
                let has_row = table.find(&service).is_some_and(|entry| entry.find(&row).is_some());
                if is_new && unknown && !has_row {
                    let full = server.weight.value();
                    let first = Ramp::of(virtual_server.climb()).map_or(full, |ramp| {
                        self.new.policy.slow_starts.first_weight(self.now, ramp, &(service, row), full)
                    });
                    let what = format!(
                        "{} {row} added with {} when its first check passes",
                        server.name,
                        climbing(first, full)
                    );
                    waiting.push((service, what));
                }
            }
        }
        waiting.into_iter().for_each(|(service, what)| self.say(&service, &what));
    }

    /// Settings of the kernel, by what is known of this router before the new file has it looked at.
    fn sysctls(&mut self) {
        let of = |engine: &Engine| -> BTreeMap<SysctlName, i64> {
            let all = engine.sysctls.settings_for(&Needs::of(&engine.config)).into_iter();
            all.map(|setting| (setting.name, setting.value)).collect()
        };
        let (old, new) = (of(self.old), of(self.new));
        for (name, value) in new.iter().filter(|(name, value)| old.get(name) != Some(value)) {
            self.lines.push(format!("setting of the kernel: {name} = {value}"));
        }
        for name in old.keys().filter(|name| !new.contains_key(name)) {
            self.lines.push(format!("setting of the kernel: {name} no longer kept"));
        }
    }

    fn overrides(&mut self, events: &[OperatorEvent]) {
        for event in events {
            match event {
                OperatorEvent::Dropped { target, what } => {
                    self.lines.push(format!("{target}: {what} forgotten"));
                }
                OperatorEvent::Followed { target, what, address } => {
                    self.lines.push(format!("{target}: {what} goes along to {address}"));
                }
                OperatorEvent::Returned(target) => {
                    self.lines.push(format!("{target}: no longer drained"));
                }
                _ => {}
            }
        }
    }
}

fn virtual_server<'c>(config: &'c Config, service: &ServiceId) -> Option<&'c VirtualServer> {
    config.active_virtual_servers().find(|found| service_id(found) == *service)
}

/// What rows that go take with them.
fn cut_off<'r>(rows: impl IntoIterator<Item = &'r DestinationEntry>) -> String {
    let all = rows.into_iter().map(left).fold(Left::default(), |sum, row| Left {
        active: sum.active.saturating_add(row.active),
        inactive: sum.inactive.saturating_add(row.inactive),
        persistent: sum.persistent.saturating_add(row.persistent),
    });
    if all.is_nothing() { String::new() } else { format!("; {all} cut off") }
}

/// The weight with which a server joins.
fn climbing(weight: u32, full: u32) -> String {
    if weight == full { format!("weight {weight}") } else { format!("weight {weight} (growing to {full})") }
}

fn counted(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}
