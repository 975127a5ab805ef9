//! What a monitor that has been taken over can do: each attempt, made by a process under the confinement that the program
//! puts on itself, layer by layer and all together.
//!
//! The attempts are made by this executable, started again as [`intruder`]; it has one thread, as the program has. What the
//! kernel here lacks is skipped, and named as ignored.

#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod intruder;

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::process::{Command, ExitCode};

use libtest_mimic::{Arguments, Failed, Trial};

/// The word by which this executable knows that it is to make the attempts.
const INTRUDER: &str = "intruder";

/// What came of each attempt.
type Outcomes = BTreeMap<String, String>;

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1).peekable();
    if words.next_if(|word| word == INTRUDER).is_some() {
        return intruder::run(words);
    }
    let kernel = intrude("all", "-p 1");
    let landlock: u32 = kernel["landlock"].parse().unwrap();
    let seccomp = kernel["seccomp"] == "true";
    let trials = vec![
        trial(
            "nothing_but_the_check_can_be_done",
            nothing_but_the_check_can_be_done,
            landlock >= 6 && seccomp,
        ),
        trial("each_kind_of_check_opens_its_own_sockets", each_kind_of_check_opens_its_own_sockets, seccomp),
        trial(
            "the_filter_alone_stops_all_but_other_ports",
            the_filter_alone_stops_all_but_other_ports,
            seccomp,
        ),
        trial("landlock_alone_closes_files_ports_and_signals", landlock_alone, landlock >= 6),
        trial("programs_can_do_what_programs_do_but_not_signal_others", programs, landlock >= 6),
        trial("the_table_takes_netlink_and_nothing_more", the_table, seccomp),
        trial("what_is_missing_is_told", what_is_missing_is_told, true),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

/// A test, ignored where the kernel lacks what it is about.
fn trial(name: &'static str, test: fn(), possible: bool) -> Trial {
    let run = move || {
        test();
        Ok::<(), Failed>(())
    };
    Trial::test(name, run).with_ignored_flag(!possible)
}

/// The outcomes under `layers` of the confinement of a nanny with `line` as its options; its server is this machine.
fn intrude(layers: &str, line: &str) -> Outcomes {
    // Somebody listens at the port of the check, and at another.
    let (own, other) = (TcpListener::bind("127.0.0.1:0").unwrap(), TcpListener::bind("127.0.0.1:0").unwrap());
    let port = |listener: &TcpListener| listener.local_addr().unwrap().port().to_string();
    let (own_port, other_port) = (port(&own), port(&other));
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([INTRUDER, layers, &other_port]);
    // As root, so that no refusal is owed to the user alone.
    command.args(["-h", "127.0.0.1", "-r", &own_port, "--user", "0:0"]);
    let output = command.args(line.split_whitespace()).output().unwrap();
    let (text, errors) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}: {text}{errors}", output.status);
    text.lines().filter_map(|line| line.split_once('=')).map(|(a, b)| (a.to_owned(), b.to_owned())).collect()
}

/// Asserts what came of each of these attempts.
#[track_caller]
fn assert_outcomes(outcomes: &Outcomes, expected: &[(&str, &str)]) {
    for (attempt, outcome) in expected {
        assert_eq!(outcomes.get(*attempt).map(String::as_str), Some(*outcome), "{attempt}: {outcomes:#?}");
    }
}

fn nothing_but_the_check_can_be_done() {
    let outcomes = intrude("all", "-p 1");
    assert_outcomes(
        &outcomes,
        &[
            ("tcp socket", "done"),
            ("connect to the server", "done"),
            ("signal itself", "done"),
            ("connect elsewhere", "EACCES"),
            ("listen", "EPERM"),
            ("read a file", "EPERM"),
            ("write a file", "EPERM"),
            ("list a folder", "EPERM"),
            ("udp socket", "EPERM"),
            ("ipv6 socket", "EPERM"),
            ("unix socket", "EPERM"),
            ("netlink socket", "EPERM"),
            ("packet socket", "EPERM"),
            ("raw socket", "EPERM"),
            ("signal another", "EPERM"),
            ("start a program", "EPERM"),
            ("raise a limit", "EPERM"),
            ("become another", "EPERM"),
            ("become a program", "EPERM"),
        ],
    );
    assert_eq!(outcomes["capabilities"], "0x0");
}

fn each_kind_of_check_opens_its_own_sockets() {
    let kinds = ["tcp socket", "udp socket", "sctp socket", "ipv6 socket"];
    // Whether the kernel lets anybody have one is another matter, and fails with EACCES.
    assert_ne!(intrude("seccomp", "--check ping")["ping socket"], "EPERM");
    assert_eq!(intrude("seccomp", "-p 1")["ping socket"], "EPERM");
    let refused = |line: &str| {
        let outcomes = intrude("seccomp", line);
        kinds.map(|kind| outcomes[kind] == "EPERM")
    };
    assert_eq!(refused("-p 1"), [false, true, true, true]);
    assert_eq!(refused("-u -s x"), [true, false, true, true]);
    assert_eq!(refused("--sctp"), [true, true, false, true]);
    assert_eq!(refused("-p 1 -h ::1"), [true, true, true, false]);
    assert_eq!(refused("--check ping"), [true; 4]);
}

fn the_filter_alone_stops_all_but_other_ports() {
    assert_outcomes(
        &intrude("seccomp", "-p 1"),
        &[
            ("connect to the server", "done"),
            ("connect elsewhere", "done"),
            ("read a file", "EPERM"),
            ("write a file", "EPERM"),
            ("unix socket", "EPERM"),
            ("packet socket", "EPERM"),
            ("signal another", "EPERM"),
            ("start a program", "EPERM"),
            ("become a program", "EPERM"),
        ],
    );
}

fn landlock_alone() {
    assert_outcomes(
        &intrude("landlock", "-p 1"),
        &[
            ("connect to the server", "done"),
            ("connect elsewhere", "EACCES"),
            ("listen", "EACCES"),
            ("read a file", "EACCES"),
            ("write a file", "EACCES"),
            ("list a folder", "EACCES"),
            ("signal another", "EPERM"),
            ("start a program", "EACCES"),
            ("become a program", "EACCES"),
        ],
    );
}

fn programs() {
    for line in ["-p 1 -e /bin/true", "-p 1 -U rup"] {
        let outcomes = intrude("all", line);
        assert_outcomes(
            &outcomes,
            &[
                ("read a file", "done"),
                ("list a folder", "done"),
                ("udp socket", "done"),
                ("unix socket", "done"),
                ("start a program", "done"),
                ("signal another", "EPERM"),
                ("packet socket", "EPERM"),
                ("become a program", "done"),
            ],
        );
        assert_eq!((&*outcomes["capabilities"], &*outcomes["seccomp"]), ("0x0", "false"));
    }
}

fn the_table() {
    assert_outcomes(
        &intrude("seccomp", "-p 1 -V 10.1.0.100 --lvs"),
        &[
            ("tcp socket", "done"),
            ("generic netlink socket", "done"),
            ("netlink socket", "EPERM"),
            ("unix socket", "EPERM"),
            ("read a file", "EPERM"),
        ],
    );
}

fn what_is_missing_is_told() {
    let outcomes = intrude("all", "-p 1");
    let told = |part: &str| outcomes["missing"].contains(part);
    assert_eq!(told("Landlock"), outcomes["landlock"].parse::<u32>().unwrap() < 6, "{outcomes:?}");
    assert_eq!(told("seccomp"), outcomes["seccomp"] == "false", "{outcomes:?}");
}
