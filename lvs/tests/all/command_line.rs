//! Words to commands, and how answers look.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use lvs::args::{Command, Form, HELP, Mode, Query, Run, Withdraw, parse};
use lvs::dry_run::render;
use lvs::kernel::Reading;

use crate::world::{Director, config, monitor_settings, virtual_server};

fn run() -> Run {
    let (run_dir, state_dir) = ("/run/lvs-router".into(), "/var/lib/lvs-router".into());
    Run { mode: Mode::Daemon, config: None, nanny: None, run_dir, state_dir, verbose: false, metrics: None }
}

const RUN_DIR: &str = "/run/lvs-router";

fn checked(json: bool, file: Option<&str>, run_dir: &str) -> Command {
    Command::Check { json, file: file.map(PathBuf::from), run_dir: run_dir.into() }
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
    let metrics = Some("[::1]:9646".parse().unwrap());
    understands("--metrics [::1]:9646", &Command::Run(Run { metrics, ..run() }));
    understands("--nanny /n --run-dir /r", &Command::Run(Run { nanny, run_dir: "/r".into(), ..run() }));
    for check in ["--check /x.cf", "check /x.cf", "-n check /x.cf", "-c /x.cf --check"] {
        understands(check, &checked(false, Some("/x.cf"), RUN_DIR));
    }
    understands("check", &checked(false, None, RUN_DIR));
    understands("check --json /x", &checked(true, Some("/x"), RUN_DIR));
    understands("check /x --run-dir /r", &checked(false, Some("/x"), "/r"));
    let query = Query { form: Form::Table, watch: None, names: vec![], run_dir: "/run/lvs-router".into() };
    let status = |query: Query| Command::Status(query);
    understands("status", &status(query.clone()));
    let json = Query { form: Form::Json, run_dir: "/r".into(), ..query.clone() };
    understands("--run-dir /r status --json", &status(json));
    understands("status --metrics", &status(Query { form: Form::Metrics, ..query.clone() }));
    let names = vec!["web".to_owned(), "mail/one".into()];
    understands("status web mail/one", &status(Query { names: names.clone(), ..query.clone() }));
    let every = |seconds| Some(Duration::from_secs_f64(seconds));
    for (words, watch) in [
        ("status --watch", every(2.0)),
        ("status --watch 0.5", every(0.5)),
        ("status --watch=3600", every(3600.0)),
    ] {
        understands(words, &status(Query { watch, ..query.clone() }));
    }
    let named = Query { watch: every(2.0), names, ..query };
    understands("status --watch web mail/one", &status(named));
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
    for bad in ["9646", "localhost:9646", "192.0.2.2", "192.0.2.2:70000", "::1:9646:"] {
        let told = "not ADDRESS:PORT, such as 192.0.2.2:9646 or [::1]:9646";
        refuses(&format!("--metrics {bad}"), &format!("--metrics \"{bad}\": {told}"));
    }
    for bad in ["0", "0.09", "3601", "-1", "NaN", "x"] {
        refuses(
            &format!("status --watch={bad}"),
            &format!("--watch \"{bad}\": not a time from 0.1 to 3600 seconds"),
        );
    }
    refuses("--watch", "--watch does not go with anything but status");
    refuses("check --metrics 192.0.2.2:1", "--metrics does not go with check");
    refuses("--withdraw --metrics 192.0.2.2:1", "--metrics does not go with --withdraw");
    refuses("status --json --metrics", "--metrics does not go with --json");
    refuses("status --metrics web", "--metrics does not go with a name");
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
        "unexpected word \"start\"; the commands are \"check\", \"doctor\", \"status\", \"ctl\", \"diff\", \"migrate\" and \"convert-keepalived\", and none to serve",
    );
    refuses(
        "check a b",
        "unexpected word \"b\"; the commands are \"check\", \"doctor\", \"status\", \"ctl\", \"diff\", \"migrate\" and \"convert-keepalived\", and none to serve",
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
        render(
            &config,
            &monitor_settings(),
            Some(&Reading { table: director.fake.table(), timeouts: director.fake.timeouts() })
        ),
        format!(
            "# At once:\n# nothing\n# When every real server has passed its check:\n\
             ipvsadm -e -t 10.1.0.100:80 -r 10.2.0.11:80 -m -w 1\n# Monitors:\n{monitor}\n"
        )
    );
}
