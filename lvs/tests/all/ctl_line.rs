//! The words after `lvs ctl` and `lvs diff`, and how answers look.

use std::ffi::OsString;

use lvs::args::{Command, Ctl, parse};
use lvs::ctl::{Shown, render};
use lvs_ipc::control::{Command as Asked, Listed, Plan, Reply};
use lvs_ipc::status::{Left, Override, OverrideStatus};

fn words(line: &str) -> Result<Command, String> {
    parse(line.split_whitespace().map(OsString::from)).map_err(|error| error.to_string())
}

#[track_caller]
fn asks(line: &str, command: Asked) {
    let asked = Ctl { command, run_dir: "/run/lvs-router".into(), json: false };
    assert_eq!(words(line), Ok(Command::Ctl(asked)), "{line}");
}

#[track_caller]
fn refuses(line: &str, why: &str) {
    assert_eq!(words(line), Err(why.to_owned()), "{line}");
}

#[test]
fn each_verb_is_understood() {
    let target = || "web/rs1".to_owned();
    let reason = || Some("disk".to_owned());
    asks("ctl reload", Asked::Reload);
    asks("ctl list", Asked::List);
    asks("ctl drain web/rs1", Asked::Drain { target: target(), deadline_ms: None, reason: None });
    asks(
        "ctl drain --deadline 1.5s web/rs1 --reason disk",
        Asked::Drain { target: target(), deadline_ms: Some(1500), reason: reason() },
    );
    asks("ctl undrain web/rs1", Asked::Undrain { target: target() });
    asks("ctl weight web/rs1 7", Asked::Weight { target: target(), weight: 7, reason: None });
    asks("ctl enable web/rs1", Asked::Enable { target: target(), force: false, reason: None });
    asks("ctl enable web/rs1 --force", Asked::Enable { target: target(), force: true, reason: None });
    asks("ctl disable web/rs1 --reason disk", Asked::Disable { target: target(), reason: reason() });
    asks("ctl sorry web on", Asked::Sorry { target: "web".into(), on: true, reason: None });
    asks("ctl sorry web off", Asked::Sorry { target: "web".into(), on: false, reason: None });
    asks("ctl check-now web/rs1", Asked::CheckNow { target: target() });
    asks("ctl check-now web", Asked::CheckNow { target: "web".into() });
    asks("ctl reset", Asked::Reset { target: None });
    asks("ctl reset web", Asked::Reset { target: Some("web".into()) });
    assert_eq!(words("ctl --help"), Ok(Command::Help));
    let elsewhere = Ctl { command: Asked::List, run_dir: "/r".into(), json: true };
    assert_eq!(words("--run-dir /r ctl list --json"), Ok(Command::Ctl(elsewhere.clone())));
    assert_eq!(words("ctl --json list --run-dir /r"), Ok(Command::Ctl(elsewhere)));
    let diff = Command::Diff {
        file: "new.cf".into(),
        json: false,
        run_dir: "/run/lvs-router".into(),
        state_dir: "/var/lib/lvs-router".into(),
    };
    assert_eq!(words("diff new.cf"), Ok(diff));
}

#[test]
fn what_makes_no_sense_is_refused_with_what_would() {
    refuses(
        "ctl",
        "\"ctl\" needs one of reload, drain, undrain, weight, enable, disable, sorry, reset, check-now, list",
    );
    refuses("ctl darin web/rs1", "\"ctl\" knows no \"darin\"; did you mean \"drain\"?");
    refuses("ctl drain", "usage: lvs ctl drain VIRTUAL/SERVER [--deadline TIME]");
    refuses("ctl check-now", "usage: lvs ctl check-now VIRTUAL[/SERVER]");
    refuses("ctl check-now web/rs1 --reason x", "--reason does not go with \"ctl check-now\"");
    refuses("ctl reload now", "usage: lvs ctl reload");
    refuses("ctl sorry web maybe", "usage: lvs ctl sorry VIRTUAL on|off");
    refuses("ctl weight web/rs1 65536", "\"65536\" is no weight; 0 to 65535 is allowed");
    refuses("ctl weight web/rs1 heavy", "\"heavy\" is no weight; 0 to 65535 is allowed");
    refuses("ctl undrain web/rs1 --reason x", "--reason does not go with \"ctl undrain\"");
    refuses("ctl disable web/rs1 --deadline 5m", "--deadline does not go with \"ctl disable\"");
    refuses("ctl drain web/rs1 --force", "--force does not go with \"ctl drain\"");
    refuses(
        "ctl drain web/rs1 --deadline soon",
        "--deadline: “soon” is not a time; write a number with an optional unit, such as 2, 200ms, 1.5s, 2m or 1h",
    );
    refuses("ctl --bogus", "invalid option '--bogus'");
    refuses("diff", "usage: lvs diff FILE");
    refuses("diff a -c b", "-c does not go with diff FILE");
}

#[test]
fn answers_go_where_they_belong_with_their_exit_status() {
    let lines = || vec!["one".to_owned(), "two".to_owned()];
    let done = Shown { out: "one\ntwo\n".into(), complaint: String::new(), code: 0 };
    assert_eq!(render(&Reply::done(lines()), 0), done);
    let warned = Shown { complaint: "lvs: warning: not saved\n".into(), ..done };
    assert_eq!(render(&Reply::Done { lines: lines(), warnings: vec!["not saved".into()] }, 0), warned);
    let refused = Shown { out: String::new(), complaint: "lvs: one\nlvs: two\n".into(), code: 1 };
    assert_eq!(render(&Reply::Refused { lines: lines() }, 0), refused);
    let unusable = Shown { out: String::new(), complaint: "one\ntwo\n".into(), code: 78 };
    assert_eq!(render(&Reply::Unusable { lines: lines() }, 0), unusable);
    let plan = Plan { words: lines(), requests: vec!["-D -t 10.1.0.1:80".into()], ..Plan::default() };
    assert_eq!(render(&Reply::Plan(plan), 0).out, "one\ntwo\n\nipvsadm -D -t 10.1.0.1:80\n");
    assert_eq!(render(&Reply::Plan(Plan::default()), 0).out, "nothing to do\n");
    assert_eq!(render(&Reply::Overrides { overrides: Vec::new() }, 0).out, "no overrides\n");
}

#[test]
fn each_override_is_a_line_with_who_when_and_why() {
    let left = Some(Left { active: 2, inactive: 1, persistent: 0 });
    let drain = |deadline_ms, left, ended| Override::Drain { deadline_ms, left, ended };
    let overrides = [
        ("web/rs1", drain(Some(100_000), left, None), Some("disk")),
        ("web/rs2", drain(None, None, Some("no connection is left".to_owned())), None),
        ("web/rs3", Override::Weight { weight: 7 }, None),
        ("web/rs4", Override::Disabled, None),
        ("web/rs5", Override::Forced, None),
        ("web", Override::Sorry, None),
    ]
    .map(|(target, what, reason)| Listed {
        target: target.into(),
        override_status: OverrideStatus {
            what,
            by: "root".into(),
            at_ms: 5_000,
            reason: reason.map(Into::into),
        },
    });
    assert_eq!(
        render(&Reply::Overrides { overrides: overrides.into() }, 10_000).out,
        "web/rs1  draining, 3 connections left, for 1m30s at most; by root 5s ago: disk\n\
         web/rs2  drained (no connection is left); by root 5s ago\n\
         web/rs3  weight 7; by root 5s ago\n\
         web/rs4  disabled; by root 5s ago\n\
         web/rs5  enabled by force; by root 5s ago\n\
         web  sorry on; by root 5s ago\n"
    );
}
