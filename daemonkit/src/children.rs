//! Child processes of a supervisor: known by token, tied to this process's life, reaped without blocking.
//!
//! A child gets its arguments, standard input from `/dev/null`, one pipe as standard output (read by
//! [`crate::lines`]), this process's standard error for its log, and the number of its parent in [`PARENT_ENV`],
//! with which it binds itself to this process by [`die_with_parent`]. That works without `unsafe` code between
//! fork and exec. The service manager's variables are this process's own and not passed on. Nothing here decides when to
//! start or stop a child.
//!
//! A program may lie on a file system that does not answer; whoever starts it waits in the kernel then, and no signal
//! helps. So a foreign program without power is started by a thread of its own, for which nobody waits longer than
//! [`START_PATIENCE`]. A start that takes longer counts as a child until it is known how it went.

use std::collections::HashMap;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender, TryRecvError};
use std::thread;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::prctl;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, getppid};

use crate::notify;
use crate::privilege::{keep_only, no_new_privileges};

/// Environment variable that carries the supervisor's process id to a child.
pub const PARENT_ENV: &str = "LVS_ROUTER_PARENT";

/// Longest time for which [`Children::spawn_powerless`] waits. A program starts in a fraction of it.
pub const START_PATIENCE: Duration = Duration::from_millis(250);
/// The status of a program that could not be started, known only later; the same as in a shell.
const NOT_STARTED: i32 = 127;

/// How a child ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// It exited with this status.
    Status(i32),
    /// This signal ended it.
    Signal(i32),
}

impl Exit {
    /// Whether it ended with status `code`.
    #[must_use]
    pub fn is(self, code: u8) -> bool {
        self == Self::Status(i32::from(code))
    }
}

impl std::fmt::Display for Exit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Status(status) => write!(f, "exited with status {status}"),
            Self::Signal(number) => match Signal::try_from(*number) {
                Ok(signal) => write!(f, "killed by {signal}"),
                Err(_) => write!(f, "killed by signal {number}"),
            },
        }
    }
}

/// The children of this process. Use it from one thread that lives as long as the process does: a child's death
/// signal follows the *thread* that started it.
#[derive(Debug, Default)]
pub struct Children {
    tokens: HashMap<Pid, u64>,
    pids: HashMap<u64, Pid>,
    /// A thread without capabilities that has nothing to do.
    powerless: Option<SyncSender<Order>>,
    /// Starts that take long, by token.
    late: HashMap<u64, Late>,
    /// Ends of children that may be of a start that takes long, until it is known.
    strays: HashMap<Pid, Exit>,
}

/// What starts a program.
type Start = Box<dyn FnOnce() -> io::Result<Child> + Send>;

/// A program to start, and where to tell how that went.
type Order = (Start, SyncSender<io::Result<Child>>);

/// A start whose outcome is not known.
#[derive(Debug)]
struct Late {
    answered: Receiver<io::Result<Child>>,
    /// What its process group gets as soon as there is one.
    signal: Option<Signal>,
}

impl Children {
    /// Starts `command`, a program that binds itself to this process, under `token`, and returns the reading end of its
    /// standard output.
    ///
    /// # Errors
    /// Why the program could not be started; nothing is left behind then.
    pub fn spawn(&mut self, token: u64, mut command: Command) -> io::Result<OwnedFd> {
        command.env(PARENT_ENV, std::process::id().to_string()).stdin(Stdio::null());
        self.spawn_as_is(token, command)
    }

    /// Starts `command` like [`Children::spawn`] and gives it `input` to read from its standard input.
    ///
    /// # Errors
    /// Why the program could not be started or its input not be prepared.
    pub fn spawn_with_input(
        &mut self,
        token: u64,
        mut command: Command,
        input: String,
    ) -> io::Result<OwnedFd> {
        let (reader, mut writer) = io::pipe()?;
        command.env(PARENT_ENV, std::process::id().to_string()).stdin(reader);
        let output = self.spawn_as_is(token, command)?;
        // More than a pipe holds would make this thread wait for the child. One that does not read it all is free not to.
        thread::Builder::new().name("input".into()).spawn(move || writer.write_all(input.as_bytes()))?;
        Ok(output)
    }

    /// Starts somebody else's program, which knows nothing of this process and may outlive it, under `token`.
    ///
    /// # Errors
    /// Why the program could not be started.
    pub fn spawn_foreign(&mut self, token: u64, mut command: Command) -> io::Result<OwnedFd> {
        command.env_remove(PARENT_ENV).stdin(Stdio::null());
        self.spawn_as_is(token, command)
    }

    /// Starts somebody else's program like [`Children::spawn_foreign`], but without any capability, and so that neither it
    /// nor what it runs can gain one. What it writes to standard error comes with its standard output.
    ///
    /// When it has not been started within [`START_PATIENCE`], [`Children::pid`] knows no process for it yet; if it turns
    /// out that it cannot be started, [`Children::reap`] tells status 127. How many start at once is up to the caller.
    ///
    /// # Errors
    /// Why the program could not be started, or this process's privileges not be given up for it.
    pub fn spawn_powerless(&mut self, token: u64, mut command: Command) -> io::Result<OwnedFd> {
        let (output, writer) = io::pipe()?;
        command.env_remove(PARENT_ENV).stdin(Stdio::null()).process_group(0);
        command.stdout(writer.try_clone()?).stderr(writer);
        notify::hide_from(&mut command);
        self.start_powerless(token, Box::new(move || command.spawn()))?;
        Ok(output.into())
    }

    fn start_powerless(&mut self, token: u64, start: Start) -> io::Result<()> {
        let orders = match self.powerless.take() {
            Some(orders) => orders,
            None => start_powerless_thread()?,
        };
        let (answer, answered) = mpsc::sync_channel(1);
        let gone = || io::Error::other("the thread that starts programs without privileges has ended");
        orders.send((start, answer)).map_err(|_| gone())?;
        match answered.recv_timeout(START_PATIENCE) {
            Ok(child) => {
                self.powerless = Some(orders);
                self.know(token, &child?)
            }
            // The thread ends after this, and the next program gets a new one.
            Err(RecvTimeoutError::Timeout) => {
                self.late.insert(token, Late { answered, signal: None });
                Ok(())
            }
            Err(RecvTimeoutError::Disconnected) => Err(gone()),
        }
    }

    /// Takes what has become of starts that took long; those that are over already.
    fn take_late(&mut self) -> Vec<(u64, Exit)> {
        let mut over = Vec::new();
        for (token, late) in std::mem::take(&mut self.late) {
            let outcome = match late.answered.try_recv() {
                Ok(outcome) => outcome.and_then(|child| self.know(token, &child)),
                Err(TryRecvError::Empty) => {
                    self.late.insert(token, late);
                    continue;
                }
                Err(TryRecvError::Disconnected) => Err(io::Error::other("nobody knows why")),
            };
            if let Err(error) = outcome {
                tracing::warn!(%error, "a program could not be started");
                over.push((token, Exit::Status(NOT_STARTED)));
            } else if let Some(exit) = self.pids.get(&token).and_then(|pid| self.strays.remove(pid)) {
                self.pids.remove(&token).and_then(|pid| self.tokens.remove(&pid));
                over.push((token, exit));
            } else if let Some(signal) = late.signal {
                self.signal_group(token, signal);
            }
        }
        if self.late.is_empty() {
            self.strays.clear();
        }
        over
    }

    fn spawn_as_is(&mut self, token: u64, mut command: Command) -> io::Result<OwnedFd> {
        command.stdout(Stdio::piped()).process_group(0);
        notify::hide_from(&mut command);
        let mut child = command.spawn()?;
        self.know(token, &child)?;
        child.stdout.take().map(OwnedFd::from).ok_or_else(|| io::Error::other("no pipe to the child"))
    }

    fn know(&mut self, token: u64, child: &Child) -> io::Result<()> {
        let pid = Pid::from_raw(i32::try_from(child.id()).map_err(io::Error::other)?);
        self.tokens.insert(pid, token);
        self.pids.insert(token, pid);
        Ok(())
    }

    /// Process id of the child `token`, while it has not been reaped.
    #[must_use]
    pub fn pid(&self, token: u64) -> Option<i32> {
        self.pids.get(&token).map(|pid| pid.as_raw())
    }

    /// Whether no child is left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pids.is_empty() && self.late.is_empty()
    }

    /// Sends `signal` to the child `token`; nothing happens when it has been reaped.
    pub fn signal(&self, token: u64, signal: Signal) {
        if let Some(pid) = self.pids.get(&token) {
            // It is our child and not reaped, so the id is still its own; it may be a zombie, which is no error.
            let _ = kill(*pid, signal);
        }
    }

    /// Sends `signal` to the child `token` and to whatever runs in its process group; to one that is still being started,
    /// when it has been.
    pub fn signal_group(&mut self, token: u64, signal: Signal) {
        if let Some(late) = self.late.get_mut(&token) {
            late.signal = Some(signal);
        }
        if let Some(pid) = self.pids.get(&token) {
            let _ = kill(Pid::from_raw(-pid.as_raw()), signal);
        }
    }

    /// Reaps every child that has ended, without waiting for any.
    pub fn reap(&mut self) -> Vec<(u64, Exit)> {
        let mut ended = self.take_late();
        loop {
            let (pid, exit) = match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::Exited(pid, status)) => (pid, Exit::Status(status)),
                Ok(WaitStatus::Signaled(pid, signal, _)) => (pid, Exit::Signal(signal as i32)),
                Err(Errno::EINTR) => continue,
                Ok(_) | Err(_) => return ended,
            };
            if let Some(token) = self.tokens.remove(&pid) {
                self.pids.remove(&token);
                ended.push((token, exit));
            } else if !self.late.is_empty() {
                self.strays.insert(pid, exit);
            }
        }
    }
}

/// Starts a thread that has no capabilities and starts what it is told to: a program has those of the thread that starts
/// it. It ends when nobody can tell it anything any more.
fn start_powerless_thread() -> io::Result<SyncSender<Order>> {
    let (orders, ordered) = mpsc::sync_channel::<Order>(1);
    let run = move || {
        for (start, answer) in ordered {
            // Again each time: whatever went wrong, nothing is started with privileges.
            let given_up = keep_only(&[]).and_then(|()| no_new_privileges());
            // Who asked takes the answer, now or later.
            let _ = answer.send(given_up.map_err(io::Error::other).and_then(|()| start()));
        }
    };
    thread::Builder::new().name("powerless".into()).spawn(run)?;
    Ok(orders)
}

/// Binds this process to the supervisor that started it: it gets SIGTERM when that one ends. Returns false when
/// the supervisor has ended already, and true when no supervisor of ours started this process.
///
/// # Errors
/// When the variable is no process id or the kernel refuses.
pub fn die_with_parent() -> io::Result<bool> {
    let Ok(text) = std::env::var(PARENT_ENV) else { return Ok(true) };
    let parent: i32 = text.parse().map_err(|_| {
        io::Error::new(io::ErrorKind::InvalidInput, format!("{PARENT_ENV}={text}: not a process id"))
    })?;
    prctl::set_pdeathsig(Signal::SIGTERM)?;
    // It may have ended before the line above; then another process is our parent by now.
    Ok(getppid() == Pid::from_raw(parent))
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::time::{Duration, Instant};

    use super::*;

    // One test, because `reap` takes any child of the test process.
    #[test]
    fn a_child_is_started_signalled_and_reaped() {
        let mut children = Children::default();
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", "echo $LVS_ROUTER_PARENT$NOTIFY_SOCKET; exec sleep 60"])
            .env("NOTIFY_SOCKET", "/x");
        let pipe = children.spawn(7, command).unwrap();
        let mut first_line = [0; 64];
        let count = std::fs::File::from(pipe).read(&mut first_line).unwrap();
        assert_eq!(&first_line[..count], format!("{}\n", std::process::id()).as_bytes());
        assert!(children.pid(7).is_some() && !children.is_empty());

        children.signal_group(7, Signal::SIGKILL);
        let started = Instant::now();
        let mut ended = children.reap();
        while ended.is_empty() && started.elapsed() < Duration::from_secs(5) {
            thread::yield_now();
            ended = children.reap();
        }
        assert_eq!(ended, [(7, Exit::Signal(9))]);
        assert!(children.is_empty() && children.pid(7).is_none());
        assert_eq!(ended[0].1.to_string(), "killed by SIGKILL");
        assert!(children.spawn(8, Command::new("/no/such/program")).is_err());
        assert!(children.is_empty());
        has_no_power_and_its_errors_are_heard(&mut children);
        starts_that_hang_stop_nobody(&mut children);
    }

    fn starts_that_hang_stop_nobody(children: &mut Children) {
        let mut releases = Vec::new();
        for (token, program) in [(20, "/bin/true"), (21, "/no/such/program"), (22, "/bin/sleep")] {
            let (release, released) = mpsc::channel::<()>();
            releases.push(release);
            let hang = move || {
                released.recv().map_err(io::Error::other)?;
                Command::new(program).arg("60").process_group(0).spawn()
            };
            children.start_powerless(token, Box::new(hang)).unwrap();
            assert!(children.pid(token).is_none() && !children.is_empty());
        }
        assert_eq!(children.reap(), []);
        // Others can be started meanwhile, by another thread.
        let mut pipe = std::fs::File::from(children.spawn_powerless(23, Command::new("/bin/true")).unwrap());
        pipe.read_to_end(&mut Vec::new()).unwrap();
        children.signal_group(22, Signal::SIGKILL);
        releases.iter().for_each(|release| release.send(()).unwrap());
        let started = Instant::now();
        let mut ended = Vec::new();
        while !children.is_empty() && started.elapsed() < Duration::from_secs(5) {
            ended.extend(children.reap());
        }
        ended.sort_by_key(|(token, _)| *token);
        let (done, not_started) = (Exit::Status(0), Exit::Status(127));
        assert_eq!(ended, [(20, done), (21, not_started), (22, Exit::Signal(9)), (23, done)]);
        assert!(children.strays.is_empty() && children.tokens.is_empty());
    }

    fn has_no_power_and_its_errors_are_heard(children: &mut Children) {
        let mut command = Command::new("/bin/sh");
        command.env("NOTIFY_SOCKET", "/x");
        command.args([
            "-c",
            "echo oops$NOTIFY_SOCKET >&2; grep -E '^(CapPrm|CapEff|NoNewPrivs)' /proc/self/status",
        ]);
        let pipe = children.spawn_powerless(9, command).unwrap();
        let mut text = String::new();
        std::fs::File::from(pipe).read_to_string(&mut text).unwrap();
        let expected = "oops\nCapPrm:\t0000000000000000\nCapEff:\t0000000000000000\nNoNewPrivs:\t1\n";
        assert_eq!(text, expected);
        let started = Instant::now();
        while !children.is_empty() && started.elapsed() < Duration::from_secs(5) {
            children.reap();
        }
        assert!(children.is_empty());
        assert!(children.spawn_powerless(10, Command::new("/no/such/program")).is_err());
        assert!(children.is_empty());
        // This thread has what it had.
        assert!(!std::fs::read_to_string("/proc/thread-self/status").unwrap().contains("NoNewPrivs:\t1"));
    }
}
