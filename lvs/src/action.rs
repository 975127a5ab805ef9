//! What the engine is told and what it asks for: the whole protocol between the decisions and the shell.

use std::collections::BTreeSet;

use daemonkit::children::Exit;
use ipvsadm::{KernelError, Request, ServiceId};
use lvs_config::Config;
use lvs_ipc::control::{Command, Reply};

use crate::event::Event;
use crate::hook::HookCommand;
use crate::kernel::Reading;
use crate::nanny_args::MonitorCommand;
use crate::orders::State;
use crate::sysctl;

/// Who asks for something, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Who {
    /// User and process, for people.
    pub by: String,
    /// Milliseconds since the Unix epoch.
    pub at_ms: u64,
}

/// Something that happened. Only [`Input::Tick`] makes the engine act on the kernel or start monitors, so a burst
/// of reports becomes one batch of requests.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// The file was read again: the new configuration, or one line per problem.
    Reload(Result<Box<Config>, Vec<String>>),
    /// A name in the file has another address: the file as it was read last, with that.
    Renamed(Box<Config>),
    /// The monitor with this token wrote a line.
    Line(u64, String),
    /// The output of the monitor with this token ended.
    OutputEnded(u64),
    /// The monitor with this token ended.
    MonitorEnded(u64, Exit),
    /// The monitor with this token could not be started.
    SpawnFailed(u64, String),
    /// Answer to [`Action::ReadTable`].
    Table(Result<Reading, String>),
    /// Answer to [`Action::Apply`]: one outcome per request, or why the kernel could not be asked; then any part
    /// of the requests may have been done.
    Applied(Result<Vec<Result<(), KernelError>>, String>),
    /// Answer to [`Action::Record`]: done, or why not.
    Recorded(Result<(), String>),
    /// Answer to [`Action::Save`]: done, or why not.
    Saved(Result<(), String>),
    /// Somebody asks for something; a reload is asked for when the file has been read. Answered by [`Action::Reply`].
    Control(u64, Command, Who),
    /// Somebody asks what a reload of this file would do; answered by [`Action::Reply`].
    Plan(u64, Result<Box<Config>, Vec<String>>),
    /// Answer to [`Action::Sysctl`].
    Sysctl(sysctl::Answer),
    /// Time has passed, or all inputs that had arrived have been told.
    Tick,
    /// Withdraw and end.
    Shutdown,
}

/// Something to do, in the order given.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Start a monitor; its lines and its end come back under this token.
    Spawn(u64, MonitorCommand),
    /// Have the monitor with this token check at once (SIGHUP).
    CheckNow(u64),
    /// Ask the monitor with this token to end (SIGTERM).
    Terminate(u64),
    /// End the monitor with this token and all that it started (SIGKILL).
    Kill(u64),
    /// Start a hook, which nobody waits for; its lines and its end come back under this token like a monitor's.
    RunHook(u64, HookCommand),
    /// Read the kernel's table and timeouts; answered by [`Input::Table`].
    ReadTable,
    /// Write down that these services are ours, for the next run; answered by [`Input::Recorded`].
    Record(BTreeSet<ServiceId>),
    /// Write down what is to survive a restart, without waiting for the disk; answered by [`Input::Saved`].
    Save(Box<State>),
    /// Answer to [`Input::Control`] and [`Input::Plan`].
    Reply(u64, Reply),
    /// Send these requests to the kernel; answered by [`Input::Applied`].
    Apply(Vec<Request>),
    /// Look at the kernel's settings, or change them; answered by [`Input::Sysctl`].
    Sysctl(sysctl::Order),
    /// The first plan is in the kernel: tell whoever waits for it.
    Ready,
    /// Write a log line.
    Log(Event),
    /// End this program with this exit code.
    Exit(u8),
}
