//! A director with a kernel in memory. What it does is written down as short lines, in order.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use daemonkit::children::Exit;
use daemonkit::clock::Mono;
use ipvsadm::fake::{FakeKernel, FakeTransport};
use ipvsadm::{Ipvs, Request, ServiceId};
use lvs::action::{Action, Input, Who};
use lvs::engine::{Engine, Past, Processes, Settings, WallClock};
use lvs::event::Event;
use lvs::hook::HookCommand;
use lvs::kernel::{Kernel, Reading};
use lvs::nanny_args::MonitorSettings;
use lvs::operator_event::OperatorEvent;
use lvs::orders::State;
use lvs::sysctl::{Answer, Order, Trouble};
use lvs_config::sysctl::SysctlName;
use lvs_config::{Config, SystemNames};
use lvs_ipc::control::{Command, Plan, Reply};
use lvs_ipc::status::LvsStatus;

/// The configuration that `body` means after the address of a router.
pub(crate) fn config(body: &str) -> Config {
    let text = format!("primary = 198.51.100.1\n{body}\n");
    let parsed = lvs_config::parse(&text, &SystemNames);
    parsed.config.unwrap_or_else(|| panic!("{text}\n{:#?}", parsed.diagnostics))
}

/// A virtual server named `name` at `vip`, with further directives and servers `ADDRESS [DIRECTIVES]`.
pub(crate) fn virtual_server(name: &str, vip: &str, directives: &str, servers: &[&str]) -> String {
    let servers: String = servers
        .iter()
        .map(|server| {
            let (address, more) = server.split_once(' ').unwrap_or((server, ""));
            let more = more.replace(';', "\n");
            format!("server s{address} {{\nactive = 1\naddress = {address}\n{more}\n}}\n")
        })
        .collect();
    let directives = directives.replace(';', "\n");
    format!(
        "virtual {name} {{\nactive = 1\naddress = {vip} eth0\nscheduler = rr\n{directives}\n{servers}}}\n"
    )
}

/// `10.1.0.100:80` over 10.2.0.11 and 10.2.0.12.
pub(crate) fn two_servers() -> Config {
    config(&virtual_server("web", "10.1.0.100", "", &["10.2.0.11", "10.2.0.12"]))
}

pub(crate) fn monitor_settings() -> MonitorSettings {
    MonitorSettings { nanny: PathBuf::from("/usr/sbin/nanny"), verbose: false, foreground: true }
}

/// What the clock on the wall says at the origin of the other one.
const EPOCH: Duration = Duration::from_secs(1000);

/// The director is process 42, the monitor with token 7 process 1007.
struct Pids;

impl Processes for Pids {
    fn own(&self) -> u32 {
        42
    }

    fn monitor(&self, token: u64) -> Option<u32> {
        u32::try_from(token).ok().map(|token| 1000 + token)
    }
}

pub(crate) struct Director {
    engine: Engine,
    kernel: Ipvs<FakeTransport>,
    pub(crate) fake: FakeKernel,
    now: Mono,
    /// What is written down of the services that are its own.
    pub(crate) record: BTreeSet<ServiceId>,
    /// Why nothing can be written down.
    pub(crate) read_only: Option<String>,
    /// What the state file says.
    pub(crate) saved: State,
    /// Why the state file cannot be written.
    pub(crate) full: Option<String>,
    /// The disk takes for ever.
    pub(crate) hangs: bool,
    /// Settings of the kernel.
    pub(crate) settings: BTreeMap<SysctlName, i64>,
    /// Answers so far.
    pub(crate) replies: Vec<Reply>,
    /// Monitors started so far.
    pub(crate) monitors: Vec<u64>,
    /// The command lines of those that have been started and neither ended nor been asked to end.
    pub(crate) running: BTreeMap<u64, String>,
    /// Hooks started so far.
    pub(crate) hooks: Vec<(u64, HookCommand)>,
}

impl Director {
    pub(crate) fn new(config: &Config) -> Self {
        Self::over(FakeKernel::new(), config)
    }

    pub(crate) fn over(fake: FakeKernel, config: &Config) -> Self {
        Self::after(Mono::ZERO, fake, config, BTreeSet::new(), State::default())
    }

    /// The next one, at once after this one was killed.
    pub(crate) fn successor(&self, config: &Config) -> Self {
        Self::after(self.now, self.fake.clone(), config, self.record.clone(), self.saved.clone())
    }

    /// One that starts at `now` with what earlier ones left.
    pub(crate) fn after(
        now: Mono,
        fake: FakeKernel,
        config: &Config,
        record: BTreeSet<ServiceId>,
        saved: State,
    ) -> Self {
        let kernel = Ipvs::with_transport(fake.connect()).unwrap();
        let settings = Settings { config_path: "/etc/lvs.cf".into(), monitors: monitor_settings() };
        let mut engine = Engine::new(now, settings, config.clone(), record.clone());
        let since_epoch = EPOCH + now.since(Mono::ZERO);
        engine.restore(WallClock { now, since_epoch }, Ok(saved.clone()));
        let (monitors, hooks, running, replies) = (Vec::new(), Vec::new(), BTreeMap::new(), Vec::new());
        Self {
            engine,
            kernel,
            fake,
            now,
            record,
            read_only: None,
            saved,
            full: None,
            hangs: false,
            settings: BTreeMap::new(),
            replies,
            monitors,
            running,
            hooks,
        }
    }

    /// From now on the kernel drops what answers there are beyond so many.
    pub(crate) fn lose_answers_beyond(&mut self, answers: usize) {
        self.kernel = Ipvs::with_transport(self.fake.connect().with_capacity(answers)).unwrap();
    }

    /// What is done at `millis` when `input` arrives.
    pub(crate) fn at(&mut self, millis: u64, input: Input) -> Vec<String> {
        self.now = Mono::from_millis(millis);
        let mut done = Vec::new();
        let mut inputs = vec![input];
        for _ in 0..100 {
            let input = if inputs.is_empty() { Input::Tick } else { inputs.remove(0) };
            let ticked = input == Input::Tick;
            for action in self.engine.step(self.now, input) {
                let answer = self.carry_out(action, &mut done);
                inputs.extend(answer);
            }
            if ticked && inputs.is_empty() {
                return done;
            }
        }
        panic!("the director does not come to rest: {done:#?}");
    }

    pub(crate) fn tick(&mut self, millis: u64) -> Vec<String> {
        self.at(millis, Input::Tick)
    }

    /// Everything that is done up to `millis` when nothing happens, each line after its time.
    pub(crate) fn until(&mut self, millis: u64) -> Vec<String> {
        let mut all = Vec::new();
        for _ in 0..10_000 {
            let Some(deadline) = self.engine.deadline().filter(|at| *at <= Mono::from_millis(millis)) else {
                return all;
            };
            let due = u64::try_from(deadline.max(self.now).since(Mono::ZERO).as_millis()).unwrap();
            all.extend(self.tick(due).into_iter().map(|line| format!("{due} {line}")));
            if all.last().is_some_and(|line| line.contains(" exit ")) {
                return all;
            }
        }
        panic!("too much to do before {millis}");
    }

    /// The monitor `token` says that its server is up, or why it is down.
    pub(crate) fn report(&mut self, millis: u64, token: u64, down: Option<&str>) -> Vec<String> {
        let line = match down {
            None => "[ active ] rs=x took_ms=1 reason=\"ok\"".to_owned(),
            Some(reason) => format!("[inactive] rs=x took_ms=1 reason=\"{reason}\""),
        };
        self.at(millis, Input::Line(token, line))
    }

    pub(crate) fn weight(&mut self, millis: u64, token: u64, weight: u16) -> Vec<String> {
        self.at(millis, Input::Line(token, format!("[ weight ] rs=x weight={weight} reason=\"load\"")))
    }

    pub(crate) fn ended(&mut self, millis: u64, token: u64, status: i32) -> Vec<String> {
        self.running.remove(&token);
        self.at(millis, Input::MonitorEnded(token, Exit::Status(status)))
    }

    pub(crate) fn reload(&mut self, millis: u64, config: &Config) -> Vec<String> {
        self.at(millis, Input::Reload(Ok(Box::new(config.clone()))))
    }

    /// An operator asks for something.
    pub(crate) fn order(&mut self, millis: u64, command: Command) -> Vec<String> {
        let at_ms = u64::try_from(EPOCH.as_millis()).unwrap() + millis;
        let who = Who { by: "root".into(), at_ms };
        self.at(millis, Input::Control(7, command, who))
    }

    /// The same; the last line is the answer.
    pub(crate) fn ask(&mut self, millis: u64, command: Command) -> Vec<String> {
        let mut done = self.order(millis, command);
        let answer = done.iter().position(|line| line.starts_with("reply ")).unwrap();
        let answer = done.remove(answer);
        done.push(answer);
        done
    }

    /// What a reload would do.
    pub(crate) fn plan(&self, config: &Config) -> Plan {
        self.engine.plan(self.now, config.clone())
    }

    /// What starting another one would do, were this one killed.
    pub(crate) fn plan_of_start(&self, config: &Config) -> Plan {
        let settings = Settings { config_path: "/etc/lvs.cf".into(), monitors: monitor_settings() };
        let past = Past { left: Ok(self.record.clone()), state: Ok(self.saved.clone()) };
        let read = Reading { table: self.fake.table(), timeouts: self.fake.timeouts() };
        let clock = WallClock { now: self.now, since_epoch: EPOCH + self.now.since(Mono::ZERO) };
        Engine::plan_of_start(clock, settings, config.clone(), past, Ok(read))
    }

    pub(crate) fn status(&self) -> LvsStatus {
        let clock = WallClock { now: self.now, since_epoch: self.now.since(Mono::ZERO) };
        self.engine.status(clock, &Pids)
    }

    /// The kernel's table as `ipvsadm -S -n` would write it.
    pub(crate) fn table(&self) -> Vec<String> {
        let table = self.fake.table();
        let lines = table.services.iter().flat_map(|entry| {
            let id = entry.service.id;
            let service = Request::AddService(entry.service.clone()).to_string();
            let rows = entry
                .destinations
                .iter()
                .map(move |row| Request::AddDestination(id, row.destination.clone()));
            std::iter::once(service).chain(rows.map(|row| row.to_string()))
        });
        lines.collect()
    }

    /// A kernel that has [`Director::settings`] and no others.
    fn sysctl(&mut self, order: Order) -> Answer {
        match order {
            Order::Read(names) => {
                let found = |name: &SysctlName| self.settings.get(name).copied().ok_or(Trouble::Missing);
                Answer::Read(names.into_iter().map(|name| (name.clone(), found(&name))).collect())
            }
            Order::Write(values) => {
                let written = values.into_iter().map(|(name, value)| {
                    let found = self.settings.get_mut(&name).ok_or(Trouble::Missing)?;
                    *found = value;
                    Ok(())
                });
                Answer::Written(written.collect())
            }
            order => order.without_settings(),
        }
    }

    fn carry_out(&mut self, action: Action, done: &mut Vec<String>) -> Option<Input> {
        match action {
            Action::Spawn(token, command) => {
                let at = command.arguments.iter().position(|word| word == "-h").unwrap();
                self.monitors.push(token);
                self.running.insert(token, command.shell_line());
                done.push(format!("spawn {token} {}", command.arguments[at + 1]));
            }
            Action::RunHook(token, hook) => {
                done.push(format!("hook {} of {}", hook.words.join(" "), hook.subject));
                self.hooks.push((token, hook));
            }
            Action::CheckNow(token) => done.push(format!("check now {token}")),
            Action::Terminate(token) => {
                self.running.remove(&token);
                done.push(format!("terminate {token}"));
            }
            Action::Kill(token) => done.push(format!("kill {token}")),
            Action::ReadTable => {
                done.push("read".into());
                return Some(Input::Table(Kernel::read(&mut self.kernel)));
            }
            Action::Record(services) => {
                if let Some(reason) = &self.read_only {
                    return Some(Input::Recorded(Err(reason.clone())));
                }
                self.record = services;
                return Some(Input::Recorded(Ok(())));
            }
            Action::Sysctl(order) => return Some(Input::Sysctl(self.sysctl(order))),
            Action::Apply(requests) => {
                for request in &requests {
                    if let Request::AddService(service) = request {
                        let listed = self.read_only.is_some() || self.record.contains(&service.id);
                        assert!(listed, "{request} is sent and not written down");
                    }
                }
                done.extend(requests.iter().map(ToString::to_string));
                return Some(Input::Applied(Kernel::apply(&mut self.kernel, &requests)));
            }
            Action::Save(_) if self.hangs => {}
            Action::Save(state) => {
                let result = self.full.clone().map_or(Ok(()), Err);
                if result.is_ok() {
                    self.saved = *state;
                }
                return Some(Input::Saved(result));
            }
            Action::Reply(_, reply) => {
                done.push(format!("reply {}", told(&reply)));
                self.replies.push(reply);
            }
            Action::Ready => done.push("ready".into()),
            Action::Log(event) => done.extend(short(&event).map(|line| format!("log {line}"))),
            Action::Exit(code) => done.push(format!("exit {code}")),
        }
        None
    }
}

/// An event in a few words; nothing for what is logged on demand only.
fn short(event: &Event) -> Option<String> {
    Some(match event {
        Event::Health { vs, key, to, reason, .. } => format!("{vs} {} {to}: {reason}", key.server),
        Event::Weight { key, to, .. } => format!("{} weight {to}", key.server),
        Event::Quorum { vs, held, weight, needed, reason } => {
            let state = if *held { "held" } else { "lost" };
            format!("{vs} quorum {state}: {weight}/{needed}: {reason}")
        }
        Event::HookSaid { line, .. } => format!("hook said {line}"),
        Event::HookEnded { exit, killed, .. } => {
            format!("hook {exit}{}", if *killed { ", killed" } else { "" })
        }
        Event::HookNotStarted { reason, .. } => format!("hook not started: {reason}"),
        Event::Adopted { services, servers } => format!("adopted {services} services, {servers} servers"),
        Event::Leftovers(services) => format!("{services} leftovers"),
        Event::NotRecorded(reason) => format!("not recorded: {reason}"),
        Event::RecordedAgain => "recorded again".into(),
        Event::Drift { what, .. } => format!("drift {}", what.as_ref()?),
        Event::MoreDrift { count, last } => format!("{count} more drift, last {last}"),
        Event::Refused { error, retry_in } => format!("refused for {}: {error}", seconds(retry_in)),
        Event::MoreRefused(count) => format!("{count} more refused"),
        Event::MoreNoLongerRefused(count) => format!("{count} more no longer refused"),
        Event::NoLongerRefused(request) => format!("no longer refused {request}"),
        Event::KernelUnreachable { reason, retry_in } => {
            format!("unreachable for {}: {reason}", seconds(retry_in))
        }
        Event::KernelBack => "kernel back".into(),
        Event::MonitorStarted { .. } => return None,
        Event::MonitorEnded { key, exit, restart_in, .. } => {
            format!("monitor of {} {exit}, restart in {}", key.server, seconds(restart_in))
        }
        Event::MonitorNotStarted { key, reason, retry_in, .. } => {
            format!("monitor of {} not started: {reason}, retry in {}", key.server, seconds(retry_in))
        }
        Event::MonitorGivenUp { key, exit, .. } => format!("monitor of {} given up: {exit}", key.server),
        Event::MonitorMute { key, .. } => format!("monitor of {} mute", key.server),
        Event::MonitorNotice { key, reason, .. } => format!("notice of {}: {reason}", key.server),
        Event::NoReport { reason, .. } => reason.clone(),
        Event::Reloaded { virtual_servers, real_servers, monitors_changed } => {
            format!("reloaded {virtual_servers}/{real_servers}, monitors {monitors_changed}")
        }
        Event::Renamed { monitors_changed } => format!("renamed, monitors {monitors_changed}"),
        Event::Retiring { vs, servers } => format!("{vs}: {servers} retiring"),
        Event::RetiredUnchecked { vs, servers } => format!("{vs}: {servers} retired unchecked"),
        Event::ReloadRefused(lines) => format!("reload refused: {}", lines.join(" | ")),
        Event::Stopping { services } => format!("stopping {services} services"),
        Event::Sysctl(event) => format!("{event:?}"),
        Event::StopTimedOut { left } => format!("stop timed out: {left}"),
        Event::Operator(event) => operator(event),
    })
}

fn operator(event: &OperatorEvent) -> String {
    match event {
        OperatorEvent::Ordered { target, what, order } => {
            format!("{target} {what} by {} {:?}", order.by, order.reason.as_deref().unwrap_or_default())
        }
        OperatorEvent::Recalled { target, what, order, age } => {
            let reason = order.reason.as_deref().unwrap_or_default();
            format!("{target} {what} by {} {reason:?} of {} ago in force again", order.by, seconds(age))
        }
        OperatorEvent::MoreRecalled(count) => format!("{count} more in force again"),
        OperatorEvent::Undone { target, what, by } => format!("{target} {what} ended by {by}"),
        OperatorEvent::Dropped { target, what } => format!("{target} {what} forgotten"),
        OperatorEvent::Followed { target, what, address } => format!("{target} {what} goes to {address}"),
        OperatorEvent::Stayed { target, what, was, address } => {
            format!("{target} {what} stays with {address}, which was {was}")
        }
        OperatorEvent::Leaving { target, within } => format!("{target} leaves within {}", seconds(within)),
        OperatorEvent::Returned(target) => format!("{target} is back"),
        OperatorEvent::Drained { target, ended, left } => format!("{target} drained: {ended}, {left} left"),
        OperatorEvent::CheckAsked { target, by } => format!("{target} check asked for by {by}"),
        OperatorEvent::ReloadAsked(by) => format!("reload asked for by {by}"),
        OperatorEvent::NotSaved(reason) => format!("not saved: {reason}"),
        OperatorEvent::SavedAgain => "saved again".into(),
    }
}

/// An answer in a line.
fn told(reply: &Reply) -> String {
    match reply {
        Reply::Done { lines, warnings } => {
            let warnings: String = warnings.iter().map(|line| format!("; warning: {line}")).collect();
            format!("done: {}{warnings}", lines.join(" | "))
        }
        Reply::Refused { lines } => format!("refused: {}", lines.join(" | ")),
        Reply::Unusable { lines } => format!("unusable: {}", lines.join(" | ")),
        Reply::Overrides { overrides } => format!("{} overrides", overrides.len()),
        Reply::Plan(plan) => format!("plan: {}", plan.words.join(" | ")),
    }
}

fn seconds(time: &Duration) -> String {
    format!("{} s", time.as_secs())
}

/// The lines without readings, which are due every second.
pub(crate) fn without_reads(lines: Vec<String>) -> Vec<String> {
    lines.into_iter().filter(|line| !line.ends_with("read")).collect()
}

/// The kernel shows this many connections for the row of the server `10.2.0.octet`.
pub(crate) fn carry(director: &Director, octet: u8, active: u32, persistent: u32) {
    let mut table = director.fake.table();
    for row in table.services.iter_mut().flat_map(|entry| &mut entry.destinations) {
        if row.destination.id.address == std::net::Ipv4Addr::new(10, 2, 0, octet) {
            row.active_connections = active;
            row.persistent_connections = persistent;
        }
    }
    director.fake.set_table(table);
}

/// Strings compared with literals.
#[track_caller]
pub(crate) fn assert_lines(actual: &[String], expected: &[&str]) {
    assert_eq!(actual, expected, "\nactual:\n{}", actual.join("\n"));
}

/// A director whose file has two servers, both of which serve; the monitors are 1 and 2.
pub(crate) fn serving(config: &Config) -> Director {
    let mut director = Director::new(config);
    director.tick(0);
    director.report(10, 1, None);
    director.report(20, 2, None);
    director
}
