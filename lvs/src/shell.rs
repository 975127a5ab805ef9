//! Where decisions meet the world: one thread owns the engine, the children and the kernel connection.
//!
//! ```text
//! thread "signals" ── TERM INT HUP CHLD ──┐
//! thread "lines"   ── monitors' lines ────┤
//! thread "load"    ── a file read ────────┼─> bounded channel ─> owner: engine, children, kernel
//! thread "control" ── requests ───────────┤                        ├─> whoever asked: an answer, a snapshot
//! thread "save"    ── a state written ────┤                        └─> thread "save": a state to write
//! thread "status"  ── asked for one ──────┘
//! ```
//!
//! The owner waits at one place, never longer than [`LONGEST_WAIT`]. Reading a file has a thread of its own because
//! names in it may take the resolver long; one reading at a time, and a signal during it causes one more.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use crossbeam_channel::{Receiver, bounded};
use daemonkit::children::Children;
use daemonkit::clock::Mono;
use daemonkit::control_socket::{self, ControlSocket, Refusal};
use daemonkit::lines::{self, LineReader};
use daemonkit::notify::Notifier;
use daemonkit::{log, signals};
use ipvsadm::{Request, ServiceId};
use lvs_config::Config;
use lvs_ipc::control::{Command as Asked, MAX_REQUEST, Reply};
use lvs_ipc::ready::READY;
use nix::sys::signal::Signal;

use crate::action::{Action, Input, Who};
use crate::configuration::{Reader, Usable};
use crate::engine::{Engine, Processes, WallClock};
use crate::hook::HookCommand;
use crate::kernel::Kernel;
use crate::last_words::LastWords;
use crate::loader::{Loader, Purpose, Read};
use crate::nanny_args::MonitorCommand;
use crate::record::Record;
use crate::saver::Saver;
use crate::snapshots::{Reply as Snapshot, Snapshots};
use crate::state::StateFile;
use crate::telling::{Listeners, Telling};

/// Longest wait for something to happen.
pub const LONGEST_WAIT: Duration = Duration::from_secs(1);
/// Messages that wait for the owner; whoever has one more waits.
const CHANNEL: usize = 4096;
/// Messages taken at once before the engine is given a tick.
const BATCH: usize = 1024;
/// Time between two looks at what to tell the service manager.
const SUMMARY_INTERVAL: Duration = Duration::from_secs(1);
/// Ticks in a row without looking at the channel.
const ROUNDS: usize = 32;
/// Where programs are looked for. All that a monitor finds in its environment, but for the journal's stream.
const SAFE_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What other threads tell the owner.
#[derive(Debug)]
enum Message {
    Signal(i32),
    Output(u64, lines::Event),
    Loaded(Box<Read>),
    Asked(Snapshot),
    Control(control_socket::Request),
    Saved(Result<(), String>),
}

/// What the owner works with.
pub struct Outside<K> {
    /// Who keeps the table.
    pub kernel: K,
    /// The list of our services.
    pub record: Record,
    /// Where to tell the status.
    pub listeners: Listeners,
    /// What survives a restart.
    pub state_file: StateFile,
    /// Where to listen for requests.
    pub control_path: PathBuf,
    /// The file to read for a reload.
    pub config_path: PathBuf,
    /// Who has read it and will again.
    pub reader: Reader,
    /// The way to the service manager.
    pub notifier: Notifier,
}

/// The owner.
pub struct Shell<K> {
    engine: Engine,
    kernel: K,
    record: Record,
    children: Children,
    lines: LineReader,
    last_words: LastWords,
    telling: Telling,
    /// Who waits for a snapshot.
    asked: Vec<Snapshot>,
    control: ControlSocket,
    saver: Saver,
    messages: Receiver<Message>,
    loader: Loader,
    /// What is odd in the file that somebody asked to have read, for the answer, by request.
    warnings: BTreeMap<u64, Vec<String>>,
    pending: VecDeque<Input>,
    notifier: Notifier,
    /// When the service manager is told next how many serve.
    summary_due: Mono,
    now: Mono,
}

impl<K: Kernel> Shell<K> {
    /// Starts the threads. From here on signals no longer end the process.
    ///
    /// # Errors
    /// When the operating system refuses a thread, a handler or the control socket.
    pub fn start(engine: Engine, outside: Outside<K>) -> anyhow::Result<Self> {
        let Outside { kernel, record, listeners, state_file, control_path, config_path, reader, notifier } =
            outside;
        let (to_owner, messages) = bounded(CHANNEL);
        let watched = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGCHLD];
        signals::forward(&watched.map(|signal| signal as i32), to_owner.clone(), Message::Signal)
            .context("cannot watch signals")?;
        let lines = LineReader::start(to_owner.clone(), Message::Output)
            .context("cannot start the thread that reads the monitors")?;
        let asking = to_owner.clone();
        let snapshots = Snapshots::new(move |reply| asking.try_send(Message::Asked(reply)).is_ok());
        let telling =
            Telling::start(listeners, snapshots).context("cannot start the threads that tell the status")?;
        let in_words = |refusal: Refusal| Reply::refused(refusal.to_string()).to_line();
        let control =
            ControlSocket::listen(&control_path, MAX_REQUEST, in_words, to_owner.clone(), Message::Control)
                .with_context(|| format!("{}: cannot listen", control_path.display()))?;
        let to_saved = to_owner.clone();
        let saver = Saver::start(state_file, move |result| drop(to_saved.send(Message::Saved(result))))
            .context("cannot start the thread that saves the state")?;
        // Nobody listens only when the process is about to end.
        let deliver = move |read| drop(to_owner.send(Message::Loaded(read)));
        let loader = Loader::start(config_path, reader, deliver)
            .context("cannot start the thread that reads the file")?;
        Ok(Self {
            engine,
            kernel,
            record,
            children: Children::default(),
            lines,
            last_words: LastWords::default(),
            telling,
            asked: Vec::new(),
            control,
            saver,
            messages,
            loader,
            warnings: BTreeMap::new(),
            pending: VecDeque::new(),
            notifier,
            summary_due: Mono::ZERO,
            now: Mono::now(),
        })
    }

    /// Serves until the engine wants to end; returns the exit code.
    pub fn run(mut self) -> u8 {
        loop {
            if let Some(code) = self.settle() {
                self.notifier.stopping();
                self.saver.finish(LONGEST_WAIT);
                return code;
            }
            self.tell_the_status();
            self.telling.want_port(self.now, self.engine.metrics_port());
            self.tell_the_manager();
            let deadlines = [self.engine.deadline(), self.notifier.deadline(), self.last_words.deadline()];
            let wait = match deadlines.into_iter().flatten().min() {
                _ if !self.pending.is_empty() => Duration::ZERO,
                Some(deadline) => deadline.since(Mono::now()).min(LONGEST_WAIT),
                None => LONGEST_WAIT,
            };
            if let Ok(message) = self.messages.recv_timeout(wait) {
                self.take(message);
                for _ in 1..BATCH {
                    let Ok(message) = self.messages.try_recv() else { break };
                    self.take(message);
                }
            }
            self.reap();
        }
    }

    /// Takes the children that have ended and have nothing more to say.
    fn reap(&mut self) {
        let now = Mono::now();
        let mut over = self.last_words.overdue(now);
        for (token, exit) in self.children.reap() {
            over.extend(self.last_words.ended(now, token, exit).map(|exit| (token, exit)));
        }
        self.pending.extend(over.into_iter().map(|(token, exit)| Input::MonitorEnded(token, exit)));
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Signal(signal) if signal == Signal::SIGCHLD as i32 => {}
            Message::Signal(signal) if signal == Signal::SIGHUP as i32 => {
                self.reload(None);
            }
            Message::Signal(_) => {
                self.notifier.stopping();
                self.pending.push_back(Input::Shutdown);
            }
            Message::Asked(reply) => self.asked.push(reply),
            Message::Output(token, lines::Event::Line(line)) => {
                self.pending.push_back(Input::Line(token, line));
            }
            Message::Output(token, lines::Event::End) => self.pending.push_back(
                self.last_words
                    .closed(token)
                    .map_or(Input::OutputEnded(token), |exit| Input::MonitorEnded(token, exit)),
            ),
            Message::Loaded(read) if read.purpose == Purpose::Names => self.read(*read),
            Message::Loaded(read) => {
                self.read(*read);
                let failed = self.loader.done();
                self.not_read(failed);
            }
            Message::Control(request) => self.asked_for(&request),
            Message::Saved(result) => self.pending.push_back(Input::Saved(result)),
        }
    }

    /// Somebody asks for something. What needs a file waits until it has been read.
    fn asked_for(&mut self, request: &control_socket::Request) {
        let id = request.id;
        let at_ms = WallClock::now().since_epoch.as_millis();
        let who = Who { by: request.caller.to_string(), at_ms: u64::try_from(at_ms).unwrap_or(u64::MAX) };
        match Asked::parse(&request.line) {
            Err(error) => self.control.reply(id, Reply::refused(error.to_string()).to_line()),
            Ok(Asked::Reload) => self.reload(Some((id, who))),
            Ok(Asked::Diff { path }) => {
                let failed = self.loader.plan(id, path.into());
                self.not_read(failed);
            }
            Ok(command) => self.pending.push_back(Input::Control(id, command, who)),
        }
    }

    /// Has the file read, for whoever waits for it.
    fn reload(&mut self, waiting: Option<(u64, Who)>) {
        self.notifier.reloading(Mono::now());
        let failed = self.loader.reload(waiting);
        self.not_read(failed);
    }

    /// A file was read: the engine takes it, or tells what it would do with it.
    fn read(&mut self, read: Read) {
        if let (Purpose::Reload(waiting), Ok(usable)) = (&read.purpose, &read.result) {
            warn_about(&read.path, usable);
            let warnings: Vec<String> =
                usable.warnings.iter().map(|warning| warning.one_line(&read.path)).collect();
            if !warnings.is_empty() {
                self.warnings.extend(waiting.iter().map(|(id, _)| (*id, warnings.clone())));
            }
        }
        let result = match read.result {
            Ok(usable) => Ok(Box::new(usable.config)),
            Err(unusable) => Err(unusable.lines()),
        };
        self.hand_in(read.purpose, result);
    }

    /// A file could not be read at all.
    fn not_read(&mut self, failed: Option<(Purpose, String)>) {
        if let Some((purpose, reason)) = failed {
            self.hand_in(purpose, Err(vec![reason]));
        }
    }

    fn hand_in(&mut self, purpose: Purpose, result: Result<Box<Config>, Vec<String>>) {
        match purpose {
            Purpose::Reload(waiting) => {
                self.pending.push_back(Input::Reload(result));
                self.summary_due = self.now;
                let waiting = waiting.into_iter().map(|(id, who)| Input::Control(id, Asked::Reload, who));
                self.pending.extend(waiting);
            }
            Purpose::Plan(id) => self.pending.push_back(Input::Plan(id, result)),
            Purpose::Names => match result {
                Ok(config) => self.pending.push_back(Input::Renamed(config)),
                Err(problems) => {
                    tracing::error!("a name has an address that cannot be used; the one before is");
                    problems.iter().for_each(|problem| tracing::error!("{problem}"));
                }
            },
        }
    }

    /// Tells the engine what is pending and carries out what it asks for, until it has nothing more to do now.
    fn settle(&mut self) -> Option<u8> {
        let mut rounds = 0;
        while rounds < ROUNDS {
            let input = self.pending.pop_front().unwrap_or(Input::Tick);
            let ticked = input == Input::Tick;
            rounds += usize::from(ticked);
            // The clock is monotonic, but only as seen by one processor.
            self.now = self.now.max(Mono::now());
            for action in self.engine.step(self.now, input) {
                if let Action::Exit(code) = action {
                    return Some(code);
                }
                let answer = self.execute(action);
                self.pending.extend(answer);
            }
            if ticked && self.pending.is_empty() {
                return None;
            }
        }
        None
    }

    fn execute(&mut self, action: Action) -> Option<Input> {
        match action {
            Action::Spawn(token, command) => {
                let failed = self.spawn(token, &command).err()?;
                return Some(Input::SpawnFailed(token, format!("{}: {failed}", command.program.display())));
            }
            Action::RunHook(token, hook) => {
                let failed = self.run_hook(token, &hook).err()?;
                let program = hook.words.first().map_or("", String::as_str);
                return Some(Input::SpawnFailed(token, format!("{program}: {failed}")));
            }
            Action::CheckNow(token) => self.children.signal(token, Signal::SIGHUP),
            Action::Terminate(token) => self.children.signal(token, Signal::SIGTERM),
            Action::Kill(token) => self.children.signal_group(token, Signal::SIGKILL),
            Action::ReadTable => return Some(Input::Table(self.kernel.read())),
            Action::Record(services) => return Some(write_down(&self.record, &services)),
            Action::Save(state) => {
                let clock = WallClock::at(self.now);
                return (!self.saver.save(*state, clock))
                    .then(|| Input::Saved(Err("the disk has not taken the last one yet".into())));
            }
            Action::Reply(id, reply) => {
                let warnings = self.warnings.remove(&id).unwrap_or_default();
                self.control.reply(id, reply.with_warnings(warnings).to_line());
            }
            Action::Sysctl(order) => return Some(Input::Sysctl(self.kernel.sysctl(order))),
            Action::Apply(requests) => return Some(apply(&mut self.kernel, &requests)),
            Action::Ready => {
                self.notifier.ready();
                // Whoever closed it does not want to know.
                let mut out = std::io::stdout();
                let _ = writeln!(out, "{READY}").and_then(|()| out.flush());
            }
            Action::Log(event) => event.log(),
            Action::Exit(_) => {}
        }
        None
    }

    fn spawn(&mut self, token: u64, command: &MonitorCommand) -> std::io::Result<()> {
        let mut process = Command::new(&command.program);
        process.args(&command.arguments).env_clear().env("PATH", SAFE_PATH);
        // It logs to where this process does.
        process.envs(std::env::var_os(log::JOURNAL_ENV).map(|stream| (log::JOURNAL_ENV, stream)));
        let output = self.children.spawn(token, process)?;
        self.listen(token, output)
    }

    /// Has the output of the child `token` read.
    fn listen(&mut self, token: u64, output: OwnedFd) -> std::io::Result<()> {
        self.lines.add(token, output)?;
        self.last_words.opened(token);
        Ok(())
    }

    fn run_hook(&mut self, token: u64, hook: &HookCommand) -> std::io::Result<()> {
        let (program, arguments) = hook.words.split_first().ok_or(std::io::ErrorKind::InvalidInput)?;
        let mut process = Command::new(program);
        process.args(arguments).env_clear().env("PATH", SAFE_PATH);
        process.envs(hook.environment.iter().map(|(name, value)| (name, value)));
        let output = self.children.spawn_powerless(token, process)?;
        if self.children.pid(token).is_none() {
            tracing::warn!(program, "a hook takes long to start; does its file system answer?");
        }
        self.listen(token, output)
    }

    /// Says to the service manager that the loop goes round, and what it does.
    fn tell_the_manager(&mut self) {
        if self.notifier.is_heard() && self.now >= self.summary_due {
            self.summary_due = self.now + SUMMARY_INTERVAL;
            self.notifier.status(&self.engine.summary());
        }
        if !self.loader.is_reloading() && self.pending.is_empty() {
            self.notifier.reloaded();
        }
        self.notifier.turn(self.now);
    }

    /// Gives a snapshot to those who have asked for one.
    fn tell_the_status(&mut self) {
        if self.asked.is_empty() {
            return;
        }
        let status = Arc::new(self.engine.status(WallClock::at(self.now), &self.children));
        // One who has given up waiting is not there any more.
        self.asked.drain(..).for_each(|reply| drop(reply.try_send(Arc::clone(&status))));
    }
}

impl Processes for Children {
    fn own(&self) -> u32 {
        std::process::id()
    }

    fn monitor(&self, token: u64) -> Option<u32> {
        self.pid(token).and_then(|pid| u32::try_from(pid).ok())
    }
}

/// Sends requests to the kernel, and logs each.
pub(crate) fn apply<K: Kernel>(kernel: &mut K, requests: &[Request]) -> Input {
    for request in requests {
        tracing::debug!(%request, "kernel");
    }
    Input::Applied(kernel.apply(requests))
}

/// Writes the list of our services.
pub(crate) fn write_down(record: &Record, services: &BTreeSet<ServiceId>) -> Input {
    let written = record.write(services);
    Input::Recorded(written.map_err(|error| format!("{}: {error}", record.path().display())))
}

/// Logs what is odd in a file that is taken.
pub fn warn_about(path: &std::path::Path, usable: &Usable) {
    for warning in &usable.warnings {
        tracing::warn!("{}", warning.one_line(path));
    }
}
