//! Where decisions meet the world: one thread owns the engine, the children and the kernel connection.
//!
//! ```text
//! thread "signals" ── TERM INT HUP CHLD ──┐
//! thread "lines"   ── monitors' lines ────┼─> bounded channel ─> owner: engine, children, kernel
//! thread "load"    ── a file read ────────┤                        └─> whoever asked: a snapshot
//! thread "status"  ── asked for one ──────┘
//! ```
//!
//! The owner waits at one place, never longer than [`LONGEST_WAIT`]. Reading a file has a thread of its own because
//! names in it may take the resolver long; one reading at a time, and a signal during it causes one more.

use std::collections::{BTreeSet, VecDeque};
use std::io::Write as _;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use crossbeam_channel::{Receiver, Sender, bounded};
use daemonkit::answering::{Listener, Serving};
use daemonkit::children::Children;
use daemonkit::clock::Mono;
use daemonkit::lines::{self, LineReader};
use daemonkit::signals;
use ipvsadm::{Request, ServiceId};
use lvs_ipc::ready::READY;
use lvs_ipc::status::LvsStatus;
use nix::sys::signal::Signal;

use crate::action::{Action, Input};
use crate::configuration::{self, Unusable, Usable};
use crate::engine::{Engine, Processes, WallClock};
use crate::hook::HookCommand;
use crate::kernel::Kernel;
use crate::nanny_args::MonitorCommand;
use crate::record::Record;
use crate::snapshots::{Reply, Snapshots, Written};

/// Longest wait for something to happen.
pub const LONGEST_WAIT: Duration = Duration::from_secs(1);
/// Messages that wait for the owner; whoever has one more waits.
const CHANNEL: usize = 4096;
/// Messages taken at once before the engine is given a tick.
const BATCH: usize = 1024;
/// Ticks in a row without looking at the channel.
const ROUNDS: usize = 32;
/// Where programs are looked for. All that a monitor finds in its environment.
const SAFE_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What other threads tell the owner.
#[derive(Debug)]
enum Message {
    Signal(i32),
    Output(u64, lines::Event),
    Loaded(Box<Result<Usable, Unusable>>),
    Asked(Reply),
}

/// The owner.
pub struct Shell<K> {
    engine: Engine,
    kernel: K,
    record: Record,
    children: Children,
    lines: LineReader,
    _status: Serving,
    /// Who waits for a snapshot.
    asked: Vec<Reply>,
    messages: Receiver<Message>,
    loader: Loader,
    pending: VecDeque<Input>,
    now: Mono,
}

impl<K: Kernel> Shell<K> {
    /// Starts the threads. From here on signals no longer end the process.
    ///
    /// # Errors
    /// When the operating system refuses a thread or a handler.
    pub fn start(
        engine: Engine,
        kernel: K,
        record: Record,
        status: Listener,
        config_path: PathBuf,
    ) -> anyhow::Result<Self> {
        let (to_owner, messages) = bounded(CHANNEL);
        let watched = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGCHLD];
        signals::forward(&watched.map(|signal| signal as i32), to_owner.clone(), Message::Signal)
            .context("cannot watch signals")?;
        let lines = LineReader::start(to_owner.clone(), Message::Output)
            .context("cannot start the thread that reads the monitors")?;
        let asking = to_owner.clone();
        let snapshots = Snapshots::new(move |reply| asking.try_send(Message::Asked(reply)).is_ok());
        let status =
            serve_status(status, snapshots).context("cannot start the thread that tells the status")?;
        Ok(Self {
            engine,
            kernel,
            record,
            children: Children::default(),
            lines,
            _status: status,
            asked: Vec::new(),
            messages,
            loader: Loader { path: config_path, to_owner, busy: false, again: false },
            pending: VecDeque::new(),
            now: Mono::now(),
        })
    }

    /// Serves until the engine wants to end; returns the exit code.
    pub fn run(mut self) -> u8 {
        loop {
            if let Some(code) = self.settle() {
                return code;
            }
            self.tell_the_status();
            let wait = match self.engine.deadline() {
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
            let ended = self.children.reap();
            self.pending.extend(ended.into_iter().map(|(token, exit)| Input::MonitorEnded(token, exit)));
        }
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Signal(signal) if signal == Signal::SIGCHLD as i32 => {}
            Message::Signal(signal) if signal == Signal::SIGHUP as i32 => {
                let failed = self.loader.load();
                self.pending.extend(failed.map(|reason| Input::Reload(Err(vec![reason]))));
            }
            Message::Signal(_) => self.pending.push_back(Input::Shutdown),
            Message::Asked(reply) => self.asked.push(reply),
            Message::Output(token, lines::Event::Line(line)) => {
                self.pending.push_back(Input::Line(token, line));
            }
            Message::Output(token, lines::Event::End) => self.pending.push_back(Input::OutputEnded(token)),
            Message::Loaded(result) => {
                if let Ok(usable) = &*result {
                    warn_about(&self.loader.path, usable);
                }
                let result = match *result {
                    Ok(usable) => Ok(Box::new(usable.config)),
                    Err(unusable) => Err(unusable.lines()),
                };
                self.pending.push_back(Input::Reload(result));
                let failed = self.loader.loaded();
                self.pending.extend(failed.map(|reason| Input::Reload(Err(vec![reason]))));
            }
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
            Action::Terminate(token) => self.children.signal(token, Signal::SIGTERM),
            Action::Kill(token) => self.children.signal_group(token, Signal::SIGKILL),
            Action::ReadTable => return Some(Input::Table(self.kernel.table())),
            Action::Record(services) => return Some(write_down(&self.record, &services)),
            Action::Apply(requests) => return Some(apply(&mut self.kernel, &requests)),
            Action::Ready => {
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
        let output = self.children.spawn(token, process)?;
        self.lines.add(token, output)
    }

    fn run_hook(&mut self, token: u64, hook: &HookCommand) -> std::io::Result<()> {
        let (program, arguments) = hook.words.split_first().ok_or(std::io::ErrorKind::InvalidInput)?;
        let mut process = Command::new(program);
        process.args(arguments).env_clear().env("PATH", SAFE_PATH);
        process.envs(hook.environment.iter().map(|(name, value)| (name, value)));
        let output = self.children.spawn_powerless(token, process)?;
        self.lines.add(token, output)
    }

    /// Gives a snapshot to those who have asked for one.
    fn tell_the_status(&mut self) {
        if self.asked.is_empty() {
            return;
        }
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let status = Arc::new(self.engine.status(WallClock { now: self.now, since_epoch }, &self.children));
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

/// Gives whoever connects a snapshot as one line of JSON; nothing while there is none.
fn serve_status(listener: Listener, snapshots: Snapshots) -> std::io::Result<Serving> {
    let mut written = Written::default();
    listener.serve("status", move |_| {
        let line = snapshots.get().map(|snapshot| written.text(&snapshot, as_json));
        Some(Arc::from(line.as_deref().unwrap_or_default().as_bytes()))
    })
}

fn as_json(status: &LvsStatus) -> String {
    serde_json::to_string(status).map(|line| line + "\n").unwrap_or_else(|error| {
        tracing::error!(%error, "cannot write the status");
        String::new()
    })
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

/// Reads the file on a thread of its own.
struct Loader {
    path: PathBuf,
    to_owner: Sender<Message>,
    busy: bool,
    again: bool,
}

impl Loader {
    /// Starts a reading, or has one more follow the one under way. Returns why it could not be started.
    fn load(&mut self) -> Option<String> {
        if self.busy {
            self.again = true;
            return None;
        }
        let (path, to_owner) = (self.path.clone(), self.to_owner.clone());
        let reading = move || {
            // Nobody listens only when the process is about to end.
            let _ = to_owner.send(Message::Loaded(Box::new(configuration::load(&path))));
        };
        match thread::Builder::new().name("load".into()).spawn(reading) {
            Ok(_) => self.busy = true,
            Err(error) => return Some(format!("cannot start a thread to read the file: {error}")),
        }
        None
    }

    /// A reading is over.
    fn loaded(&mut self) -> Option<String> {
        self.busy = false;
        if std::mem::take(&mut self.again) { self.load() } else { None }
    }
}
