//! The program itself, as far as it goes without privileges.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::process::{Command, Output};

use lvs_ipc::check::{CheckReport, Note, Place, Problem, Severity};

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("lvs-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, text: &str) -> String {
        let path = self.0.join("lvs.cf");
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn lvs(arguments: &[&str]) -> (i32, String, String) {
    let Output { status, stdout, stderr } =
        Command::new(env!("CARGO_BIN_EXE_lvs")).args(arguments).output().unwrap();
    (status.code().unwrap(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

/// No machine has this interface, so that what is said about the file is the same everywhere.
const GOOD: &str = "primary = 192.0.2.1\nvirtual web {\nactive = 1\naddress = 192.0.2.80 absent0\nserver one {\n\
                    address = 10.0.0.1\nactive = 1\n}\n}\n";

#[test]
fn a_good_file_is_said_to_be_good() {
    let folder = Folder::new("good");
    let file = folder.file(GOOD);
    for words in [["check", &file], ["--check", &file]] {
        let (code, stdout, stderr) = lvs(&words);
        assert_eq!(
            (code, stdout, stderr.as_str()),
            (0, format!("{file}: configuration OK (1 virtual server, 1 real server)\n"), "")
        );
    }
}

#[test]
fn every_problem_of_a_bad_file_is_told_and_it_is_not_served() {
    let folder = Folder::new("bad");
    let file = folder.file(&GOOD.replace("active = 1\na", "active = 7\nport = 70000\na"));
    for words in [vec!["check", &file], vec!["-n", "-c", &file], vec!["-t", "-c", &file]] {
        let (code, stdout, stderr) = lvs(&words);
        assert_eq!((code, stdout.as_str()), (78, ""));
        let lines: Vec<&str> = stderr.lines().collect();
        assert_eq!(lines.len(), 2, "{stderr}");
        assert!(lines[0].starts_with(&format!("{file}:3:10: error: `active` ")), "{stderr}");
        assert!(lines[1].starts_with(&format!("{file}:4:8: error: `port` ")), "{stderr}");
    }
}

/// What `lvs check --json` says about `file`, and its exit status.
fn checked(file: &str) -> (i32, CheckReport) {
    let (code, stdout, stderr) = lvs(&["check", "--json", file]);
    assert_eq!((stdout.lines().count(), stderr.as_str()), (1, ""));
    (code, serde_json::from_str(&stdout).unwrap())
}

/// Answers every question as a `pulse` would that runs with this file and these directives.
fn play_pulse(folder: &Folder, config: &str, said: [(&str, &str); 2]) {
    let since = |state: &str| serde_json::json!({ "state": state, "reason": "", "since_ms": 0 });
    let good = serde_json::json!({ "state": true, "reason": "", "since_ms": 0 });
    let status = serde_json::json!({
        "version": "1.2.3", "pid": 42, "config": config, "serial_no": 1, "reload": good, "router": "primary",
        "role": since("active"), "peer": null, "paths": [], "addresses": [], "lvs": since("running"),
        "only_with_restart": BTreeMap::from(said),
    });
    let listener = UnixListener::bind(folder.0.join("pulse.sock")).unwrap();
    std::thread::spawn(move || {
        for asked in listener.incoming() {
            asked.unwrap().write_all(status.to_string().as_bytes()).unwrap();
        }
    });
}

#[test]
fn what_takes_effect_only_with_a_restart_of_pulse_is_told_of_the_file_that_it_reads() {
    let folder = Folder::new("restart");
    let file = folder.file(&format!("heartbeat_port = 1539\n{GOOD}"));
    let run_dir = folder.0.to_str().unwrap();
    let other = folder.0.join("other.cf").display().to_string();
    std::fs::copy(&file, &other).unwrap();
    // The same file by another name.
    let link = folder.0.join("link.cf").display().to_string();
    std::os::unix::fs::symlink("lvs.cf", &link).unwrap();
    play_pulse(&folder, &link, [("heartbeat_port", "539"), ("backup_active", "0")]);

    let told = "heartbeat_port: 1539 instead of 539 takes effect only when pulse is restarted; until then it refuses to \
                reload this file";
    let verdict = |file: &str| format!("{file}: configuration OK (1 virtual server, 1 real server)\n");
    let checked = |file: &str| lvs(&["check", file, "--run-dir", run_dir]);
    assert_eq!(checked(&file), (0, verdict(&file), format!("{file}: warning: {told}\n")));
    assert_eq!(checked(&other), (0, verdict(&other), String::new()));

    let (code, stdout, stderr) = lvs(&["check", "--json", &file, "--run-dir", run_dir]);
    assert_eq!((code, stderr.as_str()), (0, ""));
    let report: CheckReport = serde_json::from_str(&stdout).unwrap();
    let warning = Problem {
        file: file.clone(),
        place: None,
        severity: Severity::Warning,
        code: "restart".to_owned(),
        message: told.to_owned(),
        help: None,
        note: None,
    };
    assert_eq!((report.good, report.problems), (true, vec![warning]));

    folder.file(&format!("heartbeat_port = 539\n{GOOD}"));
    assert_eq!(checked(&file), (0, verdict(&file), String::new()));
}

#[test]
fn a_file_with_warnings_is_good_for_people_and_programs() {
    let folder = Folder::new("warned");
    let file = folder.file(&GOOD.replace("active = 1\na", "active = 1\nport = 80\nport = 81\na"));
    let (code, stdout, stderr) = lvs(&["check", &file]);
    assert_eq!(code, 0);
    assert_eq!(stdout, format!("{file}: configuration OK (1 virtual server, 1 real server)\n"));
    let told = "warning: `port` is given twice; this one holds (first given at line 4)";
    assert_eq!(stderr, format!("{file}:5:1: {told}\n"));
    let note = Note {
        file: file.clone(),
        place: Place { line: 4, column: 1, length: 4 },
        message: "first given".into(),
    };
    let problem = Problem {
        file: file.clone(),
        place: Some(Place { line: 5, column: 1, length: 4 }),
        severity: Severity::Warning,
        code: "repeated".into(),
        message: "`port` is given twice; this one holds".into(),
        help: None,
        note: Some(note),
    };
    let report = CheckReport {
        file: file.clone(),
        good: true,
        virtual_servers: Some(1),
        real_servers: Some(1),
        problems: vec![problem],
    };
    assert_eq!(checked(&file), (0, report));
}

#[test]
fn programs_are_told_every_problem_of_a_bad_file() {
    let folder = Folder::new("bad-json");
    let file = folder.file(&GOOD.replace("active = 1\na", "active = 7\nport = 70000\na"));
    let (code, report) = checked(&file);
    assert_eq!((code, report.good, report.virtual_servers, report.real_servers), (78, false, None, None));
    let problems: Vec<_> =
        report.problems.iter().map(|p| (p.place.unwrap(), p.severity, p.code.as_str())).collect();
    assert_eq!(
        problems,
        [
            (Place { line: 3, column: 10, length: 1 }, Severity::Error, "out-of-range"),
            (Place { line: 4, column: 8, length: 5 }, Severity::Error, "out-of-range"),
        ]
    );
    assert!(report.problems[1].help.as_ref().unwrap().starts_with("allowed: "), "{report:?}");
}

#[test]
fn what_is_wrong_with_an_included_file_is_told_with_its_name() {
    let folder = Folder::new("included");
    std::fs::create_dir(folder.0.join("conf.d")).unwrap();
    let included = folder.0.join("conf.d/a.cf");
    std::fs::write(&included, GOOD.replace("web", "other")).unwrap();
    let file = folder.file(&format!("{GOOD}include = conf.d/*.cf\n"));
    let included = included.display().to_string();
    let (code, report) = checked(&file);
    let [warning, error] = report.problems.as_slice() else { panic!("{report:?}") };
    assert_eq!((code, warning.code.as_str(), error.code.as_str()), (78, "repeated", "conflict"));
    for problem in [warning, error] {
        assert_eq!((problem.file.as_str(), &problem.note.as_ref().unwrap().file), (included.as_str(), &file));
    }
    assert_eq!(error.place, Some(Place { line: 4, column: 11, length: 10 }));
    let (code, _, stderr) = lvs(&["check", &file]);
    assert_eq!(code, 78);
    assert!(stderr.starts_with(&format!("{included}:1:1: warning: `primary` is given twice")), "{stderr}");
    assert!(stderr.contains(&format!("\n{included}:4:11: error: another active virtual server")), "{stderr}");
}

#[test]
fn programs_are_told_what_is_wrong_with_a_file_as_a_whole() {
    let folder = Folder::new("whole");
    let failover = folder.file(&format!("service = fos\n{GOOD}"));
    for (file, kind) in [("/nonexistent/lvs.cf", "unreadable"), (failover.as_str(), "unsupported")] {
        let (code, report) = checked(file);
        assert_eq!((code, report.good, report.problems.len()), (78, false, 1), "{report:?}");
        let problem = &report.problems[0];
        assert_eq!((problem.file.as_str(), problem.place, problem.code.as_str()), (file, None, kind));
        assert_eq!((report.file.as_str(), problem.severity), (file, Severity::Error));
    }
}

#[test]
fn a_file_that_may_not_be_read_is_a_matter_of_permission() {
    let denied = lvs_config::LoadError::Read {
        path: "/etc/lvs.cf".into(),
        source: std::io::ErrorKind::PermissionDenied.into(),
    };
    assert_eq!(lvs::check::exit_code(&denied.into()), 77);
}

#[test]
fn failover_services_are_refused_in_so_many_words() {
    let folder = Folder::new("fos");
    let file = folder.file(&format!("service = fos\n{GOOD}"));
    for words in [["check", &file], ["-nc", &file]] {
        let (code, _, stderr) = lvs(&words);
        assert_eq!(code, 78);
        assert!(
            stderr.contains(&format!("{file}: error: service = fos: failover services are not supported")),
            "{stderr}"
        );
    }
}

#[test]
fn a_missing_file_is_named() {
    let (code, stdout, stderr) = lvs(&["check", "/nonexistent/lvs.cf"]);
    assert_eq!((code, stdout.as_str()), (78, ""));
    assert_eq!(stderr, "/nonexistent/lvs.cf: No such file or directory (os error 2)\n");
}

#[test]
fn a_wrong_command_line_is_a_usage_error() {
    let (code, stdout, stderr) = lvs(&["--bogus"]);
    assert_eq!((code, stdout.as_str()), (2, ""));
    assert_eq!(stderr, "lvs: invalid option '--bogus'\nTry `lvs --help`.\n");
}

#[test]
fn help_and_version_go_to_standard_output() {
    assert_eq!(lvs(&["--help"]), (0, lvs::args::HELP.to_owned(), String::new()));
    assert_eq!(lvs(&["--version"]), (0, format!("lvs {}\n", env!("CARGO_PKG_VERSION")), String::new()));
}

#[test]
fn asking_a_director_that_does_not_run_is_an_error() {
    let folder = Folder::new("status");
    let run_dir = folder.0.display().to_string();
    let (code, stdout, stderr) = lvs(&["status", "--run-dir", &run_dir]);
    assert_eq!((code, stdout.as_str()), (1, ""));
    assert_eq!(stderr, format!("lvs: no lvs is running: nobody listens at {run_dir}/lvs.sock\n"));
}

#[test]
fn withdrawing_nothing_needs_no_privilege_and_says_nothing() {
    let folder = Folder::new("withdraw");
    let run_dir = folder.0.display().to_string();
    assert_eq!(lvs(&["--withdraw", "--nodaemon", "--run-dir", &run_dir]), (0, String::new(), String::new()));
    assert_eq!(std::fs::read_dir(&folder.0).unwrap().count(), 0);
}

#[test]
fn nothing_is_withdrawn_beside_a_director_that_serves() {
    let folder = Folder::new("held");
    let run_dir = folder.0.display().to_string();
    let list = folder.0.join("lvs.services");
    std::fs::write(&list, "-t 192.0.2.80:80\n").unwrap();
    let _held = daemonkit::pidfile::PidFile::take(&folder.0.join("lvs.pid")).unwrap();
    let told = format!("lvs: {run_dir}/lvs.pid: already running as process {}\n", std::process::id());
    assert_eq!(lvs(&["--withdraw", "--nodaemon", "--run-dir", &run_dir]), (1, String::new(), told));
    assert!(list.exists());
}

#[test]
fn a_pid_file_that_cannot_be_made_is_named_once() {
    let folder = Folder::new("no-pid-file");
    let run_dir = folder.0.display().to_string();
    std::fs::write(folder.0.join("lvs.services"), "-t 192.0.2.80:80\n").unwrap();
    std::fs::create_dir(folder.0.join("lvs.pid")).unwrap();
    let told = format!("lvs: {run_dir}/lvs.pid: Is a directory (os error 21)\n");
    assert_eq!(lvs(&["--withdraw", "--nodaemon", "--run-dir", &run_dir]), (1, String::new(), told));
}

#[test]
fn a_list_that_cannot_be_read_is_named() {
    let folder = Folder::new("unreadable");
    let run_dir = folder.0.display().to_string();
    std::fs::create_dir(folder.0.join("lvs.services")).unwrap();
    let told = format!("lvs: {run_dir}/lvs.services: cannot read: Is a directory (os error 21)\n");
    assert_eq!(lvs(&["--withdraw", "--nodaemon", "--run-dir", &run_dir]), (1, String::new(), told));
}

#[test]
fn a_dry_run_needs_no_privilege() {
    let folder = Folder::new("dry");
    let file = folder.file(GOOD);
    let (code, stdout, stderr) = lvs(&["-t", "-c", &file, "--nanny", "/opt/nanny"]);
    assert_eq!((code, stderr.as_str()), (0, ""));
    assert!(stdout.contains("\nipvsadm -A -t 192.0.2.80:80 -s wlc\n"), "{stdout}");
    assert!(stdout.contains("\n/opt/nanny --report -c -h 10.0.0.1 "), "{stdout}");
}
