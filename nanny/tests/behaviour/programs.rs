//! External programs as checks: status, output, time, and what they leave behind.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use nix::sys::signal::Signal;

use super::support::{Nanny, down, eventually, is_gone, up};

/// A folder with an executable shell script, removed when the test ends.
struct Script {
    folder: PathBuf,
}

impl Script {
    fn new(name: &str, text: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("nanny-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let script = Self { folder };
        let path = script.path("check");
        std::fs::write(&path, format!("#!/bin/sh\ncd {}\n{text}\n", script.folder.display())).unwrap();
        // Run by root, programs are another user's.
        for (path, mode) in [(&path, 0o755), (&script.folder, 0o777)] {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        }
        script
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn check(&self, line: &str) -> Nanny {
        let program = format!("{} %h %p x%h", self.path("check").display());
        let words: Vec<&str> = ["-e", &program].into_iter().chain(line.split_whitespace()).collect();
        Nanny::check_words(SocketAddr::from(([127, 0, 0, 9], 7)), &words)
    }

    /// The process id that the script writes into its file `name`.
    fn pid(&self, name: &str) -> String {
        let read = |path: &Path| std::fs::read_to_string(path).ok().filter(|text| text.ends_with('\n'));
        eventually("the script tells a process id", || read(&self.path(name))).trim().to_owned()
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

#[test]
fn the_status_decides_and_the_address_is_filled_in() {
    let script = Script::new("status", r#"[ "$*" = "127.0.0.9 7 x%h" ]"#);
    assert_eq!(script.check("-t 5").report(), up("program passed"));
    let script = Script::new("fails", "exit 3");
    assert_eq!(script.check("-t 5").report(), down("program exited with status 3"));
    let script = Script::new("complains", "echo no route >&2; echo more >&2; exit 3");
    assert_eq!(script.check("-t 5").report(), down(r#"program exited with status 3, saying "no route"…"#));
    let script = Script::new("crashes", "kill -SEGV $$");
    assert_eq!(script.check("-t 5").report(), down("program killed by SIGSEGV"));
}

#[test]
fn the_output_must_be_what_is_expected_and_the_status_zero() {
    let script = Script::new("output", "echo OK");
    assert_eq!(script.check("-t 5 -x OK").report(), up("program passed"));
    assert_eq!(script.check("-t 5 -x O").report(), down(r#"program wrote "OK", expected exactly "O""#));
    let script = Script::new("liar", "echo OK; exit 1");
    assert_eq!(script.check("-t 5 -x OK").report(), down(r#"program exited with status 1, saying "OK""#));
}

#[test]
fn a_plugin_is_told_about_the_server_and_may_warn() {
    let text = r#"echo "$PLUGIN says $*"; [ "$*" = "-H 127.0.0.9:7 of - at 9 a b" ] && exit 1; exit 2"#;
    let script = Script::new("plugin", text);
    let plugin = |options: &str| {
        let run = format!("{} -H %h:%p of %v at %w 'a b'", script.path("check").display());
        let check = format!(r#"program run="{run}" env=PLUGIN=x {options}"#);
        let server = SocketAddr::from(([127, 0, 0, 9], 7));
        Nanny::check_words(server, &["-t", "5", "-w", "9", "--check", &check])
    };
    let warned = plugin("warning=40 contains=\"x says\"");
    assert_eq!(warned.report(), up("program warned: 40% of the weight"));
    assert_eq!(warned.report(), "[ weight ] weight=4 reason=\"check leaves 40%\"");
    let said = r#"program exited with status 1, saying "x says -H 127.0.0.9:7 of - at 9 a b""#;
    assert_eq!(plugin("").report(), down(said));
}

#[test]
fn a_missing_program_is_down() {
    let nanny =
        Nanny::check_words(([127, 0, 0, 1], 1).into(), &["-t", "1", "-e", "/no/such/check", "-x", "OK"]);
    assert_eq!(nanny.report(), down("program exited with status 127 (not found)"));
    let nanny = Nanny::check(([127, 0, 0, 1], 1).into(), "-t 1 -e /etc/passwd");
    assert_eq!(nanny.report(), down("program exited with status 126 (cannot be run)"));
}

#[test]
fn a_program_that_hangs_is_killed_with_all_its_children() {
    let script = Script::new("hangs", "sleep 1000 & echo $! >grandchild; echo $$ >child; wait");
    let nanny = script.check("-t 300ms");
    let (child, grandchild) = (script.pid("child"), script.pid("grandchild"));
    assert_eq!(nanny.report(), down("program killed after 300ms"));
    is_gone(&child);
    is_gone(&grandchild);
}

#[test]
fn more_output_than_a_pipe_holds_does_not_stop_the_program() {
    let script = Script::new("flood", "head -c 300000 /dev/zero");
    assert_eq!(script.check("-t 10").report(), up("program passed"));
    let report = script.check("-t 10 -x OK").report();
    assert!(report.starts_with("[inactive] took_ms=N reason=\"program wrote \"\\x00"), "{report}");
}

#[test]
fn an_end_in_mid_probe_takes_the_program_along() {
    let script = Script::new("term", "trap '' TERM; sleep 1000 & echo $! >grandchild; echo $$ >child; wait");
    let mut nanny = script.check("-t 1h");
    let (child, grandchild) = (script.pid("child"), script.pid("grandchild"));
    nanny.signal(Signal::SIGTERM);
    assert_eq!(nanny.end().0.code(), Some(0));
    is_gone(&child);
    is_gone(&grandchild);
}

#[test]
fn a_violent_end_takes_the_program_along_too() {
    let script = Script::new("kill", "echo $$ >child; exec sleep 1000");
    let mut nanny = script.check("-t 1h");
    let child = script.pid("child");
    nanny.signal(Signal::SIGKILL);
    nanny.end();
    is_gone(&child);
}

#[test]
fn a_program_gets_no_signals_blocked_nor_the_directors_number() {
    let script = Script::new("clean", "grep SigBlk /proc/self/status; echo ${LVS_ROUTER_PARENT:-none}");
    let path = script.path("check").display().to_string();
    let words = ["--report", "-n", "-h", "127.0.0.1", "-t", "5", "-e", &path, "-T", "-x"];
    let expected = "SigBlk:\t0000000000000000\nnone";
    let mut command = super::support::command(&words);
    command.arg(expected).env("LVS_ROUTER_PARENT", std::process::id().to_string());
    assert_eq!(Nanny::start(command).report(), up("program passed"));
}

/// It can fail only where the tests are run by root: others have no capability to pass on.
#[test]
fn a_program_gets_no_capability_even_when_the_monitor_keeps_one_for_the_table() {
    let script = Script::new("caps", "grep CapEff /proc/self/status");
    let path = script.path("check").display().to_string();
    // The output is never what is expected, so the table is left alone.
    let words = ["-n", "-h", "127.0.0.1", "-V", "10.1.0.100", "--lvs", "-t", "5", "-e", &path, "-x", "x"];
    assert_eq!(
        Nanny::start(super::support::command(&words)).report(),
        down(r#"program wrote "CapEff:\t0000000000000000", expected exactly "x""#)
    );
}
