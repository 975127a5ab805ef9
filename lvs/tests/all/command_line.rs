//! Words to commands, and how answers look.

use std::ffi::OsString;
use std::path::PathBuf;

use lvs::args::{Command, HELP, Mode, Run, Withdraw, parse};
use lvs::dry_run::render;
use lvs::status_view;

use crate::world::{Director, config, monitor_settings, virtual_server};

fn run() -> Run {
    let (run_dir, state_dir) = ("/run/lvs-router".into(), "/var/lib/lvs-router".into());
    Run { mode: Mode::Daemon, config: None, nanny: None, run_dir, state_dir, verbose: false }
}

#[track_caller]
fn understands(words: &str, command: &Command) {
    assert_eq!(parse(words.split_whitespace().map(OsString::from)).unwrap(), *command, "{words}");
}

#[track_caller]
fn refuses(words: &str, message: &str) {
    let error = parse(words.split_whitespace().map(OsString::from)).unwrap_err();
    assert_eq!(error.to_string(), message, "{words}");
}

#[test]
fn the_originals_options_are_understood() {
    understands("", &Command::Run(run()));
    for foreground in ["-n", "--nodaemon", "--nodaemon --nofork", "--nofork -n"] {
        understands(foreground, &Command::Run(Run { mode: Mode::Foreground, ..run() }));
    }
    understands("--nofork -v", &Command::Run(Run { mode: Mode::NoFork, verbose: true, ..run() }));
    for file in ["-c /x.cf", "-c/x.cf", "--configfile /x.cf", "--configfile=/x.cf"] {
        understands(file, &Command::Run(Run { config: Some("/x.cf".into()), ..run() }));
    }
    understands("-t -n", &Command::DryRun(Run { mode: Mode::Foreground, ..run() }));
    understands("--test-start", &Command::DryRun(run()));
}

#[test]
fn our_own_options_are_understood() {
    let nanny = Some(PathBuf::from("/n"));
    understands("--nanny /n --run-dir /r", &Command::Run(Run { nanny, run_dir: "/r".into(), ..run() }));
    for check in ["--check /x.cf", "check /x.cf", "-n check /x.cf", "-c /x.cf --check"] {
        understands(check, &Command::Check { json: false, file: Some("/x.cf".into()) });
    }
    understands("check", &Command::Check { json: false, file: None });
    understands("check --json /x", &Command::Check { json: true, file: Some("/x".into()) });
    understands("status", &Command::Status { json: false, run_dir: "/run/lvs-router".into() });
    understands("--run-dir /r status --json", &Command::Status { json: true, run_dir: "/r".into() });
}

#[test]
fn withdrawing_is_understood() {
    let asked = || Withdraw { run_dir: "/run/lvs-router".into(), syslog: false, verbose: false };
    understands("--withdraw", &Command::Withdraw(asked()));
    understands("--nofork --withdraw", &Command::Withdraw(Withdraw { syslog: true, ..asked() }));
    understands(
        "--nodaemon --run-dir /r --withdraw -v",
        &Command::Withdraw(Withdraw { run_dir: "/r".into(), verbose: true, ..asked() }),
    );
    refuses("--withdraw -c x", "-c does not go with --withdraw");
    refuses("--withdraw -t", "-t does not go with --withdraw");
    refuses("--withdraw --json", "--json does not go with --withdraw");
    refuses("--check --withdraw", "--withdraw does not go with check");
    refuses("status --withdraw", "--withdraw does not go with status");
}

#[test]
fn help_and_version_win() {
    for help in ["-h", "--help", "-?", "-c /x --help --version", "status --help"] {
        understands(help, &Command::Help);
    }
    understands("-n --version", &Command::Version);
}

#[test]
fn what_makes_no_sense_is_refused_by_name() {
    refuses("--frobnicate", "invalid option '--frobnicate'");
    refuses("-c", "missing argument for option '-c'");
    refuses(
        "start",
        "unexpected word \"start\"; the commands are \"check\", \"status\", \"ctl\" and \"diff\", and none to serve",
    );
    refuses(
        "check a b",
        "unexpected word \"b\"; the commands are \"check\", \"status\", \"ctl\" and \"diff\", and none to serve",
    );
    refuses("--json", "--json does not go with serving; it belongs to \"lvs check\" and \"lvs status\"");
    refuses("status -t", "-t does not go with status");
    refuses("status -c x", "-c does not go with status");
    refuses("check -t", "-t does not go with check");
    refuses("-c a check b", "-c does not go with check FILE");
}

#[test]
fn the_manual_page_names_every_option_of_the_help() {
    let manual = include_str!("../../../docs/man/lvs.8").replace("\\-", "-");
    let options: Vec<&str> = HELP
        .split(|c: char| !(c.is_ascii_alphanumeric() || c == '-'))
        .filter(|word| word.starts_with('-') && word.len() > 1)
        .collect();
    assert!(options.len() > 15, "{options:?}");
    for option in options {
        assert!(manual.contains(option), "{option} is not in the manual page");
    }
    for code in [
        0,
        daemonkit::exit::FAILED,
        daemonkit::exit::USAGE,
        daemonkit::exit::NO_PERMISSION,
        daemonkit::exit::CONFIG,
    ] {
        assert!(manual.contains(&format!("\n.B {code}\n")), "exit status {code} is not in the manual page");
    }
    assert!(HELP.lines().all(|line| line.len() <= 80));
}

#[test]
fn a_dry_run_prints_requests_and_monitors() {
    let body = virtual_server("web", "10.1.0.100", "sorry_server = 10.2.0.99", &["10.2.0.11"]);
    let config = config(&body);
    let monitor = "/usr/sbin/nanny --report -c -h 10.2.0.11 -p 80 -r 80 -a 180 -I /sbin/ipvsadm -t 10 -w 1 -V 10.1.0.100 \
                   -M m --nodaemon --lvs";
    assert_eq!(
        render(&config, &monitor_settings(), None),
        format!(
            "# The kernel's table cannot be read; the lines are for an empty one.\n\
             # At once:\n\
             ipvsadm -A -t 10.1.0.100:80 -s rr\n\
             # When every real server has passed its check:\n\
             ipvsadm -a -t 10.1.0.100:80 -r 10.2.0.11:80 -m -w 1\n\
             # Monitors:\n\
             {monitor}\n"
        )
    );
    let mut director = Director::new(&config);
    director.tick(0);
    director.report(1, 1, None);
    director.weight(2, 1, 9);
    assert_eq!(
        render(&config, &monitor_settings(), Some(&director.fake.table())),
        format!(
            "# At once:\n# nothing\n# When every real server has passed its check:\n\
             ipvsadm -e -t 10.1.0.100:80 -r 10.2.0.11:80 -m -w 1\n# Monitors:\n{monitor}\n"
        )
    );
}

#[test]
fn the_status_is_a_table_for_people() {
    let body = virtual_server("web", "10.1.0.100", "", &["10.2.0.11", "10.2.0.12 weight = 30"])
        + &virtual_server("idle", "10.1.0.101", "sorry_server = 10.2.0.99", &[]);
    let mut director = Director::new(&config(&format!("serial_no = 4\n{body}")));
    director.tick(0);
    director.report(2_000, 2, None);
    director.report(70_000, 1, Some("connection refused"));
    let mut status = director.status();
    "1.2.3".clone_into(&mut status.version);
    assert_eq!(
        status_view::render(&status, 93_662_000),
        "lvs 1.2.3 (process 42)
file   /etc/lvs.cf serial_no 4: good for 1d02h: read at start
table  good for 1d02h: as wanted

web: TCP 10.1.0.100:80 rr, 1 of 2 serving
  REAL SERVER  ADDRESS       WEIGHT  HEALTH  FOR     MONITOR  REASON
  s10.2.0.11   10.2.0.11:80  -       down    1d01h   running  connection refused
  s10.2.0.12   10.2.0.12:80  30      up      1d02h   running  ok

idle: TCP 10.1.0.101:80 rr, 0 of 0 serving, the sorry server serves
"
        .replace("FOR     MONITOR", "FOR    MONITOR")
        .replace("1d01h   running", "1d01h  running")
        .replace("1d02h   running", "1d02h  running")
    );
}

#[test]
fn the_status_says_why_nobody_checks_a_server() {
    let servers = ["10.2.0.11", "10.2.0.12"];
    let mut director = Director::new(&config(&virtual_server("web", "10.1.0.100", "", &servers)));
    director.tick(0);
    director.report(10, 1, None);
    director.ended(20, 1, 1);
    director.ended(20, 2, 2);
    let shown = status_view::render(&director.status(), 20);
    let rows: Vec<&str> = shown.lines().skip(6).collect();
    assert_eq!(
        rows,
        [
            "  s10.2.0.11   10.2.0.11:80  1       up       0s   waiting to restart  ok; monitor: exited with status 1",
            "  s10.2.0.12   10.2.0.12:80  -       unknown  0s   stopped             not checked yet; monitor: exited \
             with status 2",
        ]
    );
}
