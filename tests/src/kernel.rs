//! Which kernel a command of the lab runs on, and running it there.
//!
//! Native if the running kernel has IPVS and we are root, else User Mode Linux. Either way the command runs apart
//! from the machine's network and mounts, under a hard time limit, and gives its results as files in a folder.

use std::{
    env, fmt, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use nix::unistd::Uid;

use crate::{
    fetch::{self, LabKernel},
    guest::{BOOTED, GuestSpec, STATUS, TROUBLE},
    paths,
    scenario::RESULTS,
    uml,
};

/// Environment: forces the kernel, as the option `--kernel` does.
const FORCE: &str = "LVS_LAB_KERNEL";

/// A kernel with IPVS.
#[derive(Debug, Clone)]
pub enum Kernel {
    /// The running one.
    Native {
        /// A folder of tools that the machine lacks, if any.
        tools: Option<PathBuf>,
    },
    /// User Mode Linux, fetched.
    Uml(LabKernel),
}

/// What a kernel is to run.
#[derive(Debug, Clone)]
pub struct Task {
    /// Program and arguments.
    pub command: Vec<String>,
    /// Environment variables to set.
    pub env: Vec<(String, String)>,
    /// A folder, made empty, for what comes back; the command finds it by
    /// [`results_folder`](crate::results_folder).
    pub results: PathBuf,
    /// Hard time limit; the guest's boot is part of it.
    pub limit: Duration,
    /// What becomes of the command's output.
    pub console: Console,
    /// Memory of the guest in MiB.
    pub memory_mib: u32,
}

/// What becomes of a command's output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Console {
    /// Kept in the file `console` of the results.
    Kept,
    /// Kept and shown at once.
    Shown,
    /// Connected to our own terminal.
    Terminal,
}

/// How a task ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The command ended with this status (128 + n for signal n).
    Exited(i32),
    /// It was still running at its time limit.
    TimeLimit,
    /// The guest never came up.
    NeverBooted,
    /// The guest's kernel panicked.
    Panicked,
    /// The guest ended without a word about the command.
    Lost(String),
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited(code) => write!(f, "the command ended with status {code}"),
            Self::TimeLimit => write!(f, "the guest was stopped at its time limit"),
            Self::NeverBooted => write!(f, "the guest never booted"),
            Self::Panicked => write!(f, "the guest's kernel panicked"),
            Self::Lost(why) => write!(f, "the guest ended: {why}"),
        }
    }
}

impl Task {
    /// Runs `lab inside WHAT ARGS...`, that is [`run_inside`](crate::run_inside) of this executable, with its output shown.
    ///
    /// # Errors
    /// When the lab's executable or folder cannot be found.
    pub fn inside(what: &str, args: &[String], limit: Duration) -> Result<Self> {
        let lab = paths::lab_executable()?.display().to_string();
        Ok(Self {
            command: [&[lab, "inside".to_owned(), what.to_owned()], args].concat(),
            env: Vec::new(),
            results: paths::lab_folder()?.join(what),
            limit,
            console: Console::Shown,
            memory_mib: 2048,
        })
    }
}

impl Kernel {
    /// Chooses, by option, environment, or what the machine has; fetches what is missing and says what was chosen.
    ///
    /// # Errors
    /// When a forced kernel cannot be had, or the lab kernel cannot be fetched.
    pub fn choose(option: Option<&str>) -> Result<Self> {
        let forced = option.map(str::to_owned).or_else(|| env::var(FORCE).ok());
        let native = native_is_possible();
        let ours = || fetch::tools().map(|tools| Self::Native { tools });
        let (kernel, why) = match (forced.as_deref(), native) {
            (None | Some("auto"), Ok(())) => (ours()?, "it has IPVS and this is root".to_owned()),
            (None | Some("auto"), Err(why)) => (Self::Uml(fetch::lab_kernel()?), why),
            (Some("native"), Ok(())) => (ours()?, "asked for".to_owned()),
            (Some("native"), Err(why)) => bail!("the running kernel cannot be used: {why}"),
            (Some("uml"), _) => (Self::Uml(fetch::lab_kernel()?), "asked for".to_owned()),
            (Some(other), _) => bail!("kernel {other:?} is neither `native`, `uml` nor `auto`"),
        };
        match &kernel {
            Self::Native { .. } => println!("kernel: the running one ({why})"),
            Self::Uml(lab) => println!("kernel: User Mode Linux {} ({why})", lab.version),
        }
        Ok(kernel)
    }

    /// Runs a task to its end.
    ///
    /// # Errors
    /// When it cannot be started at all; everything later is an [`Outcome`].
    pub fn run(&self, task: &Task) -> Result<Outcome> {
        if task.results.exists() {
            fs::remove_dir_all(&task.results).with_context(|| format!("empty {}", task.results.display()))?;
        }
        fs::create_dir_all(&task.results).with_context(|| format!("create {}", task.results.display()))?;
        let results = task.results.canonicalize()?;
        let (modules, tools) = match self {
            Self::Native { tools } => (None, tools.clone()),
            Self::Uml(lab) => (Some(lab.modules.clone()), lab.tools.clone()),
        };
        let mut env = vec![
            ("PATH".to_owned(), paths::search_path(tools.as_deref())),
            ("HOME".to_owned(), "/root".to_owned()),
            ("TERM".to_owned(), env::var("TERM").unwrap_or_else(|_| "dumb".to_owned())),
            ("LANG".to_owned(), "C.UTF-8".to_owned()),
            (RESULTS.to_owned(), results.display().to_string()),
        ];
        env.extend(task.env.iter().cloned());
        let spec = GuestSpec {
            modules,
            results: results.clone(),
            command: task.command.clone(),
            env,
            folder: paths::workspace_folder().to_owned(),
            limit_seconds: task.limit.as_secs(),
            interactive: task.console == Console::Terminal,
        };
        let spec_path = results.join("spec.json");
        fs::write(&spec_path, serde_json::to_vec_pretty(&spec)?)?;
        let lab = paths::lab_executable()?;
        let command = match self {
            Self::Native { .. } => {
                let mut command = Command::new(lab);
                command.arg("become-native").arg(&spec_path);
                command
            }
            Self::Uml(kernel) => uml::command(kernel, &lab, &spec_path, &results, task.memory_mib)?,
        };
        let end = supervise(command, task, &results)?;
        Ok(outcome(&end, &results, matches!(self, Self::Native { .. })))
    }
}

/// What the running kernel lacks, if anything.
fn native_is_possible() -> Result<(), String> {
    if !Uid::effective().is_root() {
        return Err("this is not root".to_owned());
    }
    let table = Path::new("/proc/net/ip_vs");
    if !table.exists() {
        // A machine without modprobe, or a kernel without the module, is the same to us: there is no IPVS.
        let _ = Command::new("modprobe").arg("ip_vs").stdout(Stdio::null()).stderr(Stdio::null()).status();
    }
    if table.exists() { Ok(()) } else { Err("the running kernel has no IPVS".to_owned()) }
}

/// How the process that we started for a task ended.
enum End {
    Exited(Option<i32>),
    TimeLimit,
}

/// Runs the process under the time limit.
fn supervise(command: Command, task: &Task, results: &Path) -> Result<End> {
    let status = crate::guests::run(command, task.limit, task.console, &results.join("console"))?;
    Ok(status.map_or(End::TimeLimit, |status| End::Exited(status.code())))
}

/// Reads from the results folder what happened.
fn outcome(end: &End, results: &Path, native: bool) -> Outcome {
    let read = |name: &str| fs::read_to_string(results.join(name)).ok();
    if let Some(code) = read(STATUS).and_then(|text| text.trim().parse().ok()) {
        return Outcome::Exited(code);
    }
    let console = fs::read(results.join("console")).unwrap_or_default();
    let console = String::from_utf8_lossy(&console);
    match end {
        End::TimeLimit => Outcome::TimeLimit,
        _ if console.contains("Kernel panic") => Outcome::Panicked,
        _ if !results.join(BOOTED).exists() => Outcome::NeverBooted,
        // Natively the process is the command itself; a guest that ran its command to the end says so.
        End::Exited(Some(code)) if native => Outcome::Exited(*code),
        End::Exited(_) => {
            let trouble = read(TROUBLE).map(|text| text.trim_end().to_owned());
            Outcome::Lost(trouble.unwrap_or_else(|| "without saying why".to_owned()))
        }
    }
}
