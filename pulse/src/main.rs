//! The program `pulse`: words, file, sockets, privileges, then [`pulse::shell`]. Each step that can fail for a reason
//! that a user can mend says so before the program leaves the terminal.

use std::fmt::Display;
use std::fs::File;
use std::io::{self, Read, Write};
use std::net::IpAddr;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use daemonkit::log::{self, Sink};
use daemonkit::notify::Notifier;
use daemonkit::pidfile::{PidFile, PidFileError};
use daemonkit::{exit, privilege, program};
use lvs_config::{NAMES_FILE, Patience, Resolver, SystemLookup};
use lvs_ipc::status::{PULSE_SOCKET, PulseStatus, STATE_DIR};
use pulse::args::{self, Command, Run};
use pulse::heartbeat::socket::Sockets;
use pulse::rtnetlink::Rtnetlink;
use pulse::{dry_run, programs, reading, router, shell, status};

/// Why the program ends, and with which status.
struct Failure {
    status: u8,
    text: String,
}

impl Failure {
    fn new(status: u8, text: &dyn Display) -> Self {
        Self { status, text: format!("pulse: {text}") }
    }

    /// A file that cannot be used. The lines begin with its name, as compilers write them.
    fn of_file(error: &lvs_config::LoadError) -> Self {
        Self { status: exit::CONFIG, text: error.to_string() }
    }
}

fn main() -> ExitCode {
    let result = match args::parse(std::env::args_os().skip(1)) {
        Ok(Command::Help) => print(args::HELP),
        Ok(Command::Version) => print(concat!("pulse ", env!("CARGO_PKG_VERSION"), "\n")),
        Ok(Command::Check(file)) => check(&file),
        Ok(Command::Status { json, run_dir }) => show_status(json, &run_dir),
        Ok(Command::Run(run)) => start(&run),
        Err(error) => Err(Failure::new(exit::USAGE, &format_args!("{error}\nTry “pulse --help”."))),
    };
    match result {
        Ok(()) => exit::OK.into(),
        Err(Failure { status, text }) => {
            // Nothing is left to be done for a terminal that is gone.
            let _ = writeln!(io::stderr(), "{text}");
            status.into()
        }
    }
}

/// The exit status for an error of the system.
fn status_of(error: &io::Error) -> u8 {
    match error.kind() {
        io::ErrorKind::PermissionDenied => exit::NO_PERMISSION,
        _ => exit::FAILED,
    }
}

/// Writes to standard output; a reader that has seen enough is no failure.
fn print(text: &str) -> Result<(), Failure> {
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure::new(exit::FAILED, &error)),
        _ => Ok(()),
    }
}

fn check(file: &Path) -> Result<(), Failure> {
    let mut resolver = Resolver::consulting(Arc::new(SystemLookup), &names_file());
    let loaded = load(&mut resolver, file)?;
    for warning in &loaded.warnings {
        // As with errors: nothing is left to be done for a terminal that is gone.
        let _ = writeln!(io::stderr(), "{}", warning.one_line(file));
    }
    let count = loaded.config.active_virtual_servers().count();
    let s = if count == 1 { "" } else { "s" };
    print(&format!("{}: configuration OK ({count} active virtual server{s})\n", file.display()))
}

fn load(resolver: &mut Resolver, file: &Path) -> Result<lvs_config::Loaded, Failure> {
    resolver.load(file, Patience::BRIEF).map_err(|error| Failure::of_file(&error))
}

fn names_file() -> PathBuf {
    Path::new(STATE_DIR).join(NAMES_FILE)
}

fn show_status(json: bool, run_dir: &Path) -> Result<(), Failure> {
    let path = run_dir.join(PULSE_SOCKET);
    let failed =
        |error: io::Error| Failure::new(status_of(&error), &format_args!("{}: {error}", path.display()));
    let mut text = String::new();
    let mut socket = UnixStream::connect(&path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => Failure::new(
            exit::FAILED,
            &format_args!("no pulse is running: nobody listens at {}", path.display()),
        ),
        _ => failed(error),
    })?;
    socket.set_read_timeout(Some(Duration::from_secs(2))).map_err(failed)?;
    socket.read_to_string(&mut text).map_err(failed)?;
    if json {
        return print(&text);
    }
    let snapshot: PulseStatus = serde_json::from_str(&text).map_err(|error| failed(error.into()))?;
    print(&status::render(&snapshot, status::unix_ms()))
}

fn start(run: &Run) -> Result<(), Failure> {
    // A daemon works in the root directory, so paths must not depend on where it was started.
    let absolute = |path: PathBuf| std::path::absolute(&path).unwrap_or(path);
    let config_path = absolute(run.config.clone().unwrap_or_else(lvs_config::default_file));
    let run_dir = absolute(run.run_dir.clone());
    let mut resolver = if run.dry_run {
        Resolver::consulting(Arc::new(SystemLookup), &names_file())
    } else {
        Resolver::keeping(Arc::new(SystemLookup), names_file())
    };
    let loaded = load(&mut resolver, &config_path)?;
    let config = loaded.config;
    let local = local_addresses()?;
    let router = router::identify(&config, &local)
        .map_err(|error| Failure::new(exit::CONFIG, &format_args!("{}: {error}", config_path.display())))?;
    let paths = router::paths(&config, router);
    let lvs = absolute(run.lvs.clone().unwrap_or_else(|| program::beside_this_one("lvs")));
    let send_arp = absolute(run.send_arp.clone().unwrap_or_else(|| program::beside_this_one("send_arp")));
    if run.dry_run {
        let programs = dry_run::Programs { config: &config_path, lvs: &lvs, send_arp: &send_arp };
        return print(&dry_run::render(&config, router, &paths, &programs));
    }
    if !privilege::holds(privilege::Capability::NET_ADMIN)
        .map_err(|error| Failure::new(exit::NO_PERMISSION, &error))?
    {
        let missing = "permission denied: floating addresses need CAP_NET_ADMIN; start pulse as root";
        return Err(Failure::new(exit::NO_PERMISSION, &missing));
    }
    program::protect_new_files();
    let mut pid_file = PidFile::take(&run_dir.join("pulse.pid")).map_err(|error| {
        let status = match &error {
            PidFileError::Io { reason, .. } => status_of(reason),
            PidFileError::Held { .. } => exit::FAILED,
        };
        Failure::new(status, &error)
    })?;
    let sockets = Sockets::bind(&paths, config.heartbeat.port)
        .map_err(|error| Failure::new(status_of(&error.reason), &error))?;
    let incarnation =
        random().map_err(|error| Failure::new(exit::FAILED, &format_args!("/dev/urandom: {error}")))?;
    if run.foreground {
        log::start("pulse", Sink::foreground(), run.verbose);
    } else {
        // Forks; no thread has been started yet.
        nix::unistd::daemon(false, false)
            .map_err(|error| Failure::new(exit::FAILED, &format_args!("cannot become a daemon: {error}")))?;
        log::start("pulse", Sink::Syslog, run.verbose);
        pid_file.write_own_id().map_err(|error| Failure::new(exit::FAILED, &error))?;
    }
    reading::log_names(&mut resolver);
    for warning in &loaded.warnings {
        tracing::warn!(problem = %warning.one_line(&config_path), "configuration");
    }
    for path in paths.iter().filter(|path| !local.contains(&path.local)) {
        tracing::warn!(path = path.name, local = %path.local, "no interface has this router's end of the path yet");
    }
    privilege::keep_for_self(&[privilege::Capability::NET_ADMIN])
        .map_err(|error| Failure::new(exit::NO_PERMISSION, &error))?;
    let programs = programs::Settings {
        lvs,
        send_arp,
        config: config_path,
        run_dir,
        foreground: run.foreground,
        verbose: run.verbose,
    };
    let force_active = run.force_active;
    let notifier = Notifier::from_environment();
    let setup = shell::Setup {
        config,
        resolver,
        router,
        paths,
        sockets,
        programs,
        force_active,
        incarnation,
        notifier,
    };
    shell::run(setup).map_err(|error| {
        tracing::error!("{error:#}");
        Failure::new(exit::FAILED, &format_args!("{error:#}"))
    })
}

fn local_addresses() -> Result<Vec<IpAddr>, Failure> {
    let read = || Rtnetlink::open()?.addresses();
    let addresses = read().map_err(|error| {
        Failure::new(exit::FAILED, &format_args!("cannot read this machine's addresses: {error}"))
    })?;
    Ok(addresses.into_iter().map(|present| present.address).collect())
}

/// A number that no earlier run had, never 0.
fn random() -> io::Result<u64> {
    let mut bytes = [0; 8];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(u64::from_ne_bytes(bytes).max(1))
}
