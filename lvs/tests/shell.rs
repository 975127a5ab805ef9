//! The shell with real processes, signals and files, over a kernel in memory. One test, because signals and ended
//! children belong to the whole process.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use daemonkit::clock::Mono;
use daemonkit::fake_manager::FakeManager;
use daemonkit::notify::Notifier;
use ipvsadm::fake::FakeKernel;
use ipvsadm::{Ipvs, Table};
use lvs::configuration::Reader;
use lvs::engine::{Engine, Settings};
use lvs::nanny_args::MonitorSettings;
use lvs::record::Record;
use lvs::shell::{Outside, Shell};
use lvs::state::StateFile;
use lvs::telling::Listeners;
use lvs_ipc::control::{Command, Reply};
use lvs_ipc::status::LvsStatus;
use nix::sys::signal::{Signal, raise};

const CONFIG: &str = "
primary = 192.0.2.1
virtual web {
active = 1
address = 192.0.2.80 eth0
scheduler = wrr
server one {
address = 10.0.0.1
active = 1
weight = 3
}
}
";

/// Says what stands in the file `health` beside it, whenever that changes; ends well when asked to.
const MONITOR: &str = "#!/bin/sh
trap 'echo gone >> $0.log; exit 0' TERM
while :; do
    now=$(cat $0.health)
    [ \"$now\" = \"$said\" ] || echo \"$now rs=10.0.0.1:80 took_ms=1 reason=\\\"told so\\\"\"
    said=$now
    sleep 0.02
done
";

/// Name of the service manager's socket in the folder of the test.
const MANAGER: &str = "manager";
/// Longest silence that the service manager puts up with: the loop has to go round more often than it would by itself.
const SILENCE: Duration = Duration::from_millis(600);

/// Waits until `condition` holds.
#[track_caller]
fn eventually(what: &str, condition: impl Fn() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < Duration::from_secs(20), "not within 20 s: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn weight(kernel: &FakeKernel) -> Option<u32> {
    let table = kernel.table();
    table.services.first()?.destinations.first().map(|row| row.destination.weight)
}

fn status(socket: &Path) -> LvsStatus {
    let mut text = String::new();
    UnixStream::connect(socket).unwrap().read_to_string(&mut text).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn executable(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// Serves until told to end.
fn serve(kernel: &FakeKernel, folder: &Path, config_path: PathBuf, monitor: PathBuf) -> u8 {
    let mut reader = Reader::new(folder);
    let config = reader.load(&config_path).unwrap().config;
    let monitors = MonitorSettings { nanny: monitor, verbose: false, foreground: true };
    let record = Record::in_folder(folder);
    let settings = Settings { config_path: config_path.clone(), monitors };
    let engine = Engine::new(Mono::now(), settings, config, record.read().unwrap());
    let listeners = Listeners::open(folder, None).unwrap();
    let kernel = Ipvs::with_transport(kernel.connect()).unwrap();
    let outside = Outside {
        kernel,
        record,
        listeners,
        state_file: StateFile::in_folder(&folder.join("state")),
        control_path: folder.join("lvs-control.sock"),
        config_path,
        reader,
        notifier: Notifier::new(folder.join(MANAGER).as_os_str(), Some(SILENCE)).unwrap(),
    };
    Shell::start(engine, outside).unwrap().run()
}

#[test]
fn reports_reloads_and_signals_reach_the_kernel() {
    let folder = std::env::temp_dir().join(format!("lvs-shell-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let (config_path, monitor) = (folder.join("lvs.cf"), folder.join("monitor"));
    let (health, log) = (folder.join("monitor.health"), folder.join("monitor.log"));
    fs::write(&config_path, CONFIG).unwrap();
    fs::write(&health, "[ active ]").unwrap();
    executable(&monitor, MONITOR);
    let manager = FakeManager::listen(&folder.join(MANAGER)).unwrap();
    let kernel = FakeKernel::new();
    let serving = {
        let (kernel, folder, config_path) = (kernel.clone(), folder.clone(), config_path.clone());
        std::thread::spawn(move || serve(&kernel, &folder, config_path, monitor))
    };

    eventually("the server serves", || weight(&kernel) == Some(3));
    assert_eq!(manager.up_to("READY=1").unwrap(), ["READY=1"]);
    let serves = "STATUS=1 of 1 real servers serve";
    assert_eq!(manager.up_to(serves).unwrap(), [serves]);
    let services = folder.join("lvs.services");
    assert_eq!(fs::read_to_string(&services).unwrap(), "-t 192.0.2.80:80\n");
    fs::write(&health, "[inactive]").unwrap();
    eventually("the server is out", || weight(&kernel).is_none());
    fs::write(&health, "[ active ]").unwrap();
    eventually("the server is back", || weight(&kernel) == Some(3));

    fs::write(&config_path, "nonsense").unwrap();
    raise(Signal::SIGHUP).unwrap();
    let socket = folder.join("lvs.sock");
    eventually("the bad file is told", || !status(&socket).reload.state);
    assert!(status(&socket).reload.reason.contains("lvs.cf:1:1: error: "));
    assert_eq!(weight(&kernel), Some(3));
    let refused = "STATUS=1 of 1 real servers serve; the file is refused";
    assert_eq!(manager.up_to(refused).unwrap(), ["RELOADING=1", refused]);
    assert_eq!(manager.up_to("READY=1").unwrap(), ["READY=1"]);

    fs::write(&config_path, CONFIG.replace("weight = 3", "weight = 9")).unwrap();
    for _ in 0..20 {
        raise(Signal::SIGHUP).unwrap();
    }
    eventually("the new weight", || weight(&kernel) == Some(9));
    eventually("the good file is told", || status(&socket).reload.state);
    assert!(!log.exists(), "the monitor was left alone");

    kernel.set_table(Table::default());
    eventually("the table is repaired", || weight(&kernel) == Some(9));

    // How many readings the signals were is left to the loader.
    let mut reloads = manager.up_to("READY=1").unwrap();
    reloads.dedup();
    assert_eq!(reloads, ["RELOADING=1", "READY=1"]);
    for _ in 0..3 {
        assert_eq!(manager.up_to("WATCHDOG=1").unwrap().last().unwrap(), "WATCHDOG=1");
    }

    let odd = CONFIG.replace("192.0.2.1\n", "192.0.2.1\nkeepalive = 6\ndeadtime = 10\n");
    fs::write(&config_path, odd).unwrap();
    let mut asking = UnixStream::connect(folder.join("lvs-control.sock")).unwrap();
    asking.write_all(Command::Reload.to_line().as_bytes()).unwrap();
    asking.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut answer = String::new();
    BufReader::new(asking).read_line(&mut answer).unwrap();
    let Reply::Done { lines, warnings } = serde_json::from_str(&answer).unwrap() else { panic!("{answer}") };
    assert!(lines[0].ends_with("lvs.cf is in force: 1 virtual server, 1 real server"), "{lines:?}");
    assert!(warnings[0].contains("lvs.cf:4:12: warning: "), "{warnings:?}");

    raise(Signal::SIGTERM).unwrap();
    let ending = manager.up_to("STOPPING=1").unwrap();
    assert!(ending[..ending.len() - 1].iter().all(|line| line == "RELOADING=1" || line == "READY=1"));
    assert_eq!(serving.join().unwrap(), 0);
    assert_eq!(kernel.table(), Table::default());
    assert_eq!(fs::read_to_string(&log).unwrap(), "gone\n", "one monitor, asked to end");
    assert!(!socket.exists() && !services.exists());
    fs::remove_dir_all(folder).unwrap();
}
