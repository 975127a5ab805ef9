//! The program itself, as far as it goes without privileges: what it says, where, and its exit status.
#![allow(clippy::unwrap_used)] // helpers of tests

use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, Output};

const PULSE: &str = env!("CARGO_BIN_EXE_pulse");
/// The primary is this machine, whatever it is; nobody else is there.
const ALONE: &str = "primary = 127.0.0.1\nvirtual web {\nactive = 1\naddress = 192.0.2.80/24 eth0:1\nserver one {\n\
                     address = 10.0.0.1\nactive = 1\n}\n}\n";

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("pulse-{name}-{}", std::process::id()));
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

fn ended(output: Output) -> (i32, String, String) {
    let Output { status, stdout, stderr } = output;
    (status.code().unwrap(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

fn pulse(arguments: &[&str]) -> (i32, String, String) {
    ended(Command::new(PULSE).args(arguments).output().unwrap())
}

#[test]
fn a_good_file_is_said_to_be_good_with_its_virtual_servers() {
    let folder = Folder::new("good");
    let file = folder.file(ALONE);
    let told = format!("{file}: configuration OK (1 active virtual server)\n");
    assert_eq!(pulse(&["--check", &file]), (0, told, String::new()));
}

#[test]
fn a_misspelt_directive_is_shown_where_it_stands() {
    let folder = Folder::new("misspelt");
    let file = folder.file(&format!("{ALONE}dedtime = 3\n"));
    let told = format!("{file}:10:1: error: unknown directive `dedtime`; did you mean `deadtime`?\n");
    for words in [["--check", &file], ["-nc", &file]] {
        assert_eq!(pulse(&words), (78, String::new(), told.clone()));
    }
}

#[test]
fn a_wrong_command_line_is_a_usage_error() {
    let told = "pulse: invalid option '--bogus'\nTry “pulse --help”.\n".to_owned();
    assert_eq!(pulse(&["--bogus"]), (2, String::new(), told));
}

#[test]
fn asking_a_pulse_that_does_not_run_is_an_error() {
    let folder = Folder::new("status");
    let run_dir = folder.0.display().to_string();
    let told = format!("pulse: no pulse is running: nobody listens at {run_dir}/pulse.sock\n");
    assert_eq!(pulse(&["status", "--run-dir", &run_dir]), (1, String::new(), told));
}

#[test]
fn without_the_capability_to_hold_addresses_it_does_not_start() {
    let folder = Folder::new("nobody");
    let file = folder.file(ALONE);
    let program = folder.0.join("pulse");
    // Somebody else may not be able to reach the folder that it was built in. Not copied by this process: a test beside
    // this one that starts a program at that moment would keep the copy open for writing.
    assert!(Command::new("cp").arg(PULSE).arg(&program).status().unwrap().success());
    let mut command = Command::new(&program);
    command.args(["-n", "-c", &file, "--run-dir"]).arg(&folder.0);
    if std::fs::metadata("/proc/self").unwrap().uid() == 0 {
        command.gid(65534).uid(65534);
    }
    let told =
        "pulse: permission denied: floating addresses need CAP_NET_ADMIN; start pulse as root\n".to_owned();
    assert_eq!(ended(command.output().unwrap()), (77, String::new(), told));
}
