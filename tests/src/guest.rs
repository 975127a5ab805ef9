//! The guest's first process.
//!
//! The lab kernel starts this executable as process 1 with the host's file system, read-only, as its root. It lays
//! a memory file system over that, so that everything can be written and the host sees nothing, loads
//! the kernel modules, mounts the one folder through which results come back, runs the command, writes down its
//! exit status and powers off. Natively (no guest) the same command runs in private namespaces instead.

use std::{
    convert::Infallible,
    fs::{self, File},
    io,
    os::unix::process::{CommandExt as _, ExitStatusExt as _},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, anyhow, ensure};
use nix::{
    errno::Errno,
    mount::{MntFlags, MsFlags, mount, umount2},
    sched::{CloneFlags, unshare},
    sys::{
        reboot::{RebootMode, reboot},
        termios::{OutputFlags, SetArg, tcgetattr, tcsetattr},
        wait::{WaitStatus, waitpid},
    },
    unistd::{chdir, dup2_stderr, pivot_root, sync},
};
use serde::{Deserialize, Serialize};

use crate::{
    modules,
    namespace::{self, make_mounts_private, mount_fresh},
    topology::PRIVATE_FOLDERS,
};

/// In the results folder: written when the guest is up.
pub(crate) const BOOTED: &str = "booted";
/// In the results folder: the command's exit status as a number, 128 + n for signal n.
pub(crate) const STATUS: &str = "status";
/// In the results folder: why the guest could not run the command.
pub(crate) const TROUBLE: &str = "trouble";

/// The guest's terminal that is connected to the host's standard input and output.
const TERMINAL: &str = "/dev/tty0";

/// How much longer than the host the guest lets a command run: it powers itself off only when the host is gone.
const GRACE: Duration = Duration::from_secs(30);

/// What to run, and what the guest needs for it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct GuestSpec {
    /// The module tree (`.../7.2.7`); none natively.
    pub(crate) modules: Option<PathBuf>,
    /// The folder shared with the host.
    pub(crate) results: PathBuf,
    /// Program and arguments.
    pub(crate) command: Vec<String>,
    /// Environment variables set in addition to the guest's few.
    pub(crate) env: Vec<(String, String)>,
    /// The command's current folder.
    pub(crate) folder: PathBuf,
    /// Time limit on the host's side, in seconds.
    pub(crate) limit_seconds: u64,
    /// Whether a person sits at the console.
    pub(crate) interactive: bool,
}

impl GuestSpec {
    fn load(path: &Path) -> Result<Self> {
        let text = fs::read(path).with_context(|| format!("read {}", path.display()))?;
        serde_json::from_slice(&text).with_context(|| format!("parse {}", path.display()))
    }

    fn command(&self) -> Result<Command> {
        let (program, args) = self.command.split_first().ok_or_else(|| anyhow!("no command"))?;
        let mut command = Command::new(program);
        command.args(args).current_dir(&self.folder).envs(self.env.iter().cloned());
        Ok(command)
    }
}

/// Process 1 of the guest: never returns.
pub(crate) fn first_process(spec: &Path) -> ! {
    let outcome = GuestSpec::load(spec).and_then(|spec| {
        enter_overlay(&spec)?;
        fs::write(spec.results.join(BOOTED), "").context("write into the results folder")?;
        live(&spec).inspect_err(|error| {
            // The console is the fallback, below.
            let _ = fs::write(spec.results.join(TROUBLE), format!("{error:#}\n"));
        })
    });
    if let Err(error) = outcome {
        eprintln!("lab guest: {error:#}");
    }
    power_off()
}

fn power_off() -> ! {
    sync();
    match reboot(RebootMode::RB_POWER_OFF) {
        Ok(never) => match never {},
        // Ending process 1 stops the kernel too, less politely.
        Err(_) => std::process::exit(1),
    }
}

/// Loads the modules, runs the command to its end and writes its status.
fn live(spec: &GuestSpec) -> Result<()> {
    // Modules of tunnels would put a device of each kind into every network namespace.
    namespace::write_sysctl("net.core.fb_tunnels_only_for_init_net", "2")?;
    if let Some(tree) = &spec.modules {
        modules::load(tree, modules::LAB)?;
        link_module_tree(tree)?;
    }
    for folder in PRIVATE_FOLDERS {
        fs::create_dir_all(folder).with_context(|| format!("create {folder}"))?;
    }
    loopback_up(spec)?;
    let limit = Duration::from_secs(spec.limit_seconds) + GRACE;
    thread::Builder::new().name("time limit".to_owned()).spawn(move || {
        thread::sleep(limit);
        power_off();
    })?;
    let terminal = || File::options().read(true).write(true).open(TERMINAL).context("open the terminal");
    let mut command = spec.command()?;
    if spec.interactive {
        command = with_job_control(&command);
        command.stdin(terminal()?);
    } else {
        leave_output_alone(&terminal()?)?;
        command.stdin(Stdio::null());
    }
    command.stdout(terminal()?).stderr(terminal()?);
    let child = command.spawn().with_context(|| format!("start {}", spec.command[0]))?;
    drop(command);
    let status = wait_as_first_process(&child)?;
    let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
    fs::write(spec.results.join(STATUS), code.to_string()).context("write the exit status")?;
    Ok(())
}

/// `ip` may be among the fetched tools, which only the command's own search path names.
fn loopback_up(spec: &GuestSpec) -> Result<()> {
    let output = Command::new("ip")
        .args(["link", "set", "lo", "up"])
        .envs(spec.env.iter().cloned())
        .output()
        .context("start ip (package iproute2)")?;
    ensure!(output.status.success(), "ip link set lo up: {}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(())
}

/// Makes the terminal the command's own, so that Ctrl-C and job control work.
fn with_job_control(inner: &Command) -> Command {
    let mut outer = Command::new("setsid");
    outer.args(["--ctty", "--wait"]).arg(inner.get_program()).args(inner.get_args());
    outer.envs(inner.get_envs().filter_map(|(key, value)| Some((key, value?))));
    if let Some(folder) = inner.get_current_dir() {
        outer.current_dir(folder);
    }
    outer
}

/// Lets bytes through the terminal as they are: no carriage returns are added.
fn leave_output_alone(terminal: &File) -> Result<()> {
    let mut settings = tcgetattr(terminal).context("settings of the terminal")?;
    settings.output_flags.remove(OutputFlags::OPOST);
    tcsetattr(terminal, SetArg::TCSANOW, &settings).context("set up the terminal")
}

/// Reaps every orphan, as process 1 must, until the child ends.
fn wait_as_first_process(child: &Child) -> Result<ExitStatus> {
    let wanted = i32::try_from(child.id()).context("process id")?;
    loop {
        match waitpid(None, None) {
            Ok(WaitStatus::Exited(pid, code)) if pid.as_raw() == wanted => {
                return Ok(ExitStatus::from_raw((code & 0xff) << 8));
            }
            Ok(WaitStatus::Signaled(pid, signal, _)) if pid.as_raw() == wanted => {
                return Ok(ExitStatus::from_raw(signal as i32));
            }
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error).context("wait for the command"),
        }
    }
}

/// Puts a writable memory layer over the host's files and makes it the root.
fn enter_overlay(spec: &GuestSpec) -> Result<()> {
    mount_fresh("proc", Path::new("/proc"))?;
    if let Some(tree) = &spec.modules {
        modules::load(tree, &["overlay"])?;
    }
    let base = ["/mnt", "/media", "/srv", "/tmp"].map(Path::new).into_iter().find(|folder| folder.is_dir());
    let base = base.ok_or_else(|| anyhow!("the host has neither /mnt, /media, /srv nor /tmp"))?;
    mount_fresh("tmpfs", base)?;
    let [upper, work, root] = ["upper", "work", "root"].map(|name| base.join(name));
    for folder in [&upper, &work, &root] {
        fs::create_dir(folder).with_context(|| format!("create {}", folder.display()))?;
    }
    let options = format!("lowerdir=/,upperdir={},workdir={}", upper.display(), work.display());
    mount(Some("overlay"), &root, Some("overlay"), MsFlags::empty(), Some(options.as_str()))
        .context("mount the overlay")?;
    chdir(&root)?;
    // The new root on top of the old one, which is then let go (pivot_root(2), "pivot_root(".", ".")").
    pivot_root(".", ".").context("change the root")?;
    umount2(".", MntFlags::MNT_DETACH).context("let the old root go")?;
    chdir("/")?;
    mount_fresh("proc", Path::new("/proc"))?;
    mount_fresh("sysfs", Path::new("/sys"))?;
    mount_fresh("devtmpfs", Path::new("/dev"))?;
    for (kind, folder) in [("devpts", "/dev/pts"), ("tmpfs", "/dev/shm"), ("tmpfs", "/run")] {
        fs::create_dir_all(folder).with_context(|| format!("create {folder}"))?;
        mount_fresh(kind, Path::new(folder))?;
    }
    let shared = spec.results.to_str().ok_or_else(|| anyhow!("results folder is not UTF-8"))?;
    mount(Some("hostfs"), &spec.results, Some("hostfs"), MsFlags::empty(), Some(shared))
        .context("mount the results folder")
}

/// Lets `modprobe`, called by programs or by the kernel, find the lab kernel's modules.
fn link_module_tree(tree: &Path) -> Result<()> {
    let release = nix::sys::utsname::uname()?.release().to_owned();
    let link = Path::new("/lib/modules").join(release);
    if link.exists() {
        return Ok(());
    }
    fs::create_dir_all("/lib/modules")?;
    std::os::unix::fs::symlink(tree, &link).with_context(|| format!("link {}", link.display()))
}

/// Natively: becomes the command, in network and mount namespaces of its own. Returns only on failure.
///
/// # Errors
/// When the namespaces cannot be made or the command cannot be started.
pub(crate) fn become_native(spec: &Path) -> Result<Infallible> {
    let spec = GuestSpec::load(spec)?;
    unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS).context("make private namespaces")?;
    make_mounts_private()?;
    loopback_up(&spec)?;
    fs::write(spec.results.join(BOOTED), "")?;
    // The command's two outputs are one, as in a guest.
    dup2_stderr(io::stdout()).context("join the outputs")?;
    let error = spec.command()?.exec();
    Err(error).with_context(|| format!("start {}", spec.command[0]))
}
