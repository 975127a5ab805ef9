//! What is offered when a command line is completed, and that bash makes of it what it should.

use std::process::Command as Process;

use ipvsadm::Table;
use ipvsadm::cli::complete::{self, Around};
use ipvsadm::cli::options::{COMMANDS, fitting};

use super::{kernel, run, words};

/// The fake kernel's table, and two interfaces.
struct Fake;

impl Around for Fake {
    fn table(&self) -> Table {
        let kernel = kernel();
        assert_eq!(run(&kernel, "-A -t 10.1.0.100:443 -s rr", "").0, 0);
        assert_eq!(run(&kernel, "-A -f 7 -s rr", "").0, 0);
        kernel.table()
    }

    fn interfaces(&self) -> Vec<String> {
        vec!["eth0".to_owned(), "lo".to_owned()]
    }
}

/// The candidates for the last word of a line, without their explanations; a blank at its end begins a new word.
fn offered(line: &str) -> Vec<String> {
    let mut typed: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
    if line.is_empty() || line.ends_with(' ') {
        typed.push(String::new());
    }
    let text = complete::candidates(&typed, &Fake);
    text.lines().map(|line| line.split('\t').next().unwrap().to_owned()).collect()
}

#[test]
fn commands_come_first_then_the_options_that_fit() {
    let all = [
        "-A",
        "-E",
        "-D",
        "-C",
        "-R",
        "-S",
        "-a",
        "-e",
        "-d",
        "-L",
        "-Z",
        "--set",
        "--start-daemon",
        "--stop-daemon",
        "-h",
        "-v",
    ];
    assert_eq!(offered(""), all);
    assert_eq!(offered("-"), all);
    assert_eq!(offered("--st"), ["--start-daemon", "--stop-daemon"]);
    assert_eq!(offered("-A "), ["-t", "-u", "--sctp-service", "-f", "-s", "-b", "-p", "-M", "--pe", "-o"]);
    assert_eq!(offered("-A --s"), ["--sctp-service", "--scheduler", "--sched-flags"]);
    assert_eq!(offered("-C "), Vec::<String>::new());
    assert_eq!(offered("-L --j"), ["--json"]);
}

#[test]
fn what_was_given_or_has_no_use_is_not_offered_again() {
    assert_eq!(offered("-A -t 10.0.0.1:80 -s rr "), ["-b", "-p", "-M", "--pe", "-o"]);
    assert_eq!(offered("-D -f 7 "), ["-6"]);
    assert_eq!(offered("-At 10.0.0.1:80 -p50 --netmask=24 --sc"), ["--scheduler", "--sched-flags"]);
    assert_eq!(offered("-a -t 10.0.0.1:80 -r 10.2.0.1 --tun"), Vec::<String>::new());
    assert_eq!(
        offered("-a -t 10.0.0.1:80 -r 10.2.0.1 -i --tun"),
        ["--tun-type", "--tun-port", "--tun-nocsum", "--tun-csum", "--tun-remcsum"]
    );
}

#[test]
fn values_follow_their_option() {
    assert_eq!(
        offered("-A -s "),
        ["rr", "wrr", "lc", "wlc", "lblc", "lblcr", "dh", "sh", "sed", "nq", "fo", "ovf", "mh", "twos"]
    );
    assert_eq!(offered("-E --scheduler l"), ["lc", "lblc", "lblcr"]);
    assert_eq!(offered("-E --scheduler=l"), ["--scheduler=lc", "--scheduler=lblc", "--scheduler=lblcr"]);
    assert_eq!(offered("-A -s mh -b "), ["mh-fallback", "mh-port", "flag-3"]);
    assert_eq!(offered("-A -s sh -b sh-port,"), ["sh-port,sh-fallback", "sh-port,flag-3"]);
    assert_eq!(offered("-A -p 50 --pe "), ["sip"]);
    assert_eq!(offered("-a -i --tun-type g"), ["gue", "gre"]);
    assert_eq!(offered("--start-daemon "), ["master", "backup"]);
    assert_eq!(offered("--stop-daemon b"), ["backup"]);
    assert_eq!(offered("--start-daemon master --mcast-interface "), ["eth0", "lo"]);
    assert_eq!(offered("-a -w "), Vec::<String>::new());
}

#[test]
fn services_and_real_servers_are_those_that_exist() {
    assert_eq!(offered("-D -t "), ["10.1.0.100:80", "10.1.0.100:443"]);
    assert_eq!(offered("-a --tcp-service=10.1.0.100:4"), ["--tcp-service=10.1.0.100:443"]);
    assert_eq!(offered("-E -u "), ["[2001:db8::1]:53"]);
    assert_eq!(offered("-L --sctp-service "), Vec::<String>::new());
    // The mark is there for both families.
    assert_eq!(offered("-Z -f "), ["7"]);
    // What is to be added is not there yet.
    assert_eq!(offered("-A -t "), Vec::<String>::new());
    assert_eq!(offered("-a -t 10.1.0.100:80 -r "), Vec::<String>::new());
    for command in ["-d", "-e"] {
        assert_eq!(
            offered(&format!("{command} -t 10.1.0.100:80 -r ")),
            ["[2001:db8::9]:80", "10.2.0.11:8080"]
        );
    }
    assert_eq!(offered("-d -t 10.1.0.100:443 -r "), Vec::<String>::new());
    assert_eq!(offered("-d -r "), Vec::<String>::new());
}

#[test]
fn every_option_that_fits_a_command_is_offered_after_it() {
    for command in COMMANDS {
        let long = offered(&format!(
            "--{} {} --",
            command.long,
            if command.long.contains("daemon") { "master" } else { "" }
        ));
        for key in fitting(command.key).0 {
            let only_later = ["ipv6", "tun-type", "tun-port", "tun-nocsum"];
            let name = key.row().long;
            assert!(
                only_later.contains(&name) || long.contains(&format!("--{name}")),
                "--{}: {name}",
                command.long
            );
        }
    }
}

#[test]
fn candidates_carry_their_explanation_behind_a_tab() {
    assert_eq!(
        complete::candidates(&["-D".to_owned(), "--tcp".to_owned()], &Fake),
        "--tcp-service\tTCP service; [address]:port for IPv6\n"
    );
    assert_eq!(complete::candidates(&["-As".to_owned(), "wl".to_owned()], &Fake), "wlc\n");
}

#[test]
fn nonsense_before_the_cursor_offers_nothing_or_what_still_makes_sense() {
    assert_eq!(offered("--no-such -A --sche"), ["--scheduler", "--sched-flags"]);
    assert_eq!(offered("-A --no-such="), Vec::<String>::new());
    assert_eq!(offered("-A --scheduler=a=b --pe=x=y --o"), ["--ops"]);
    assert_eq!(offered("-- -A "), offered(""));
    assert_eq!(complete::candidates(&[], &Fake), complete::candidates(&[String::new()], &Fake));
    assert_eq!(complete::asked(&words("-L complete")), None);
    assert_eq!(complete::asked(&words("complete")), Some(Vec::new()));
}

const BASH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../packaging/completions/ipvsadm.bash");

/// What bash replies for a line of which it takes `piece` to be the word at the cursor.
fn bash(line: &str, piece: &str) -> Vec<String> {
    let script = "source \"$1\"; COMP_LINE=$2 COMP_POINT=${#2}; _ipvsadm \"$4\" \"$3\" before; printf '%s\\n' \"${COMPREPLY[@]}\"";
    let program = env!("CARGO_BIN_EXE_ipvsadm");
    let output = Process::new("bash")
        .args(["--norc", "-c", script, "bash", BASH, line, piece, program])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
    String::from_utf8(output.stdout).unwrap().lines().filter(|it| !it.is_empty()).map(str::to_owned).collect()
}

#[test]
fn bash_replies_with_what_the_program_offers() {
    assert_eq!(bash("ipvsadm -A -s w", "w"), ["wrr", "wlc"]);
    assert_eq!(bash("/sbin/ipvsadm --start-daemon ", ""), ["master", "backup"]);
    assert_eq!(bash("ipvsadm --sta", "--sta"), ["--start-daemon"]);
    // Bash breaks words at `=` and colons; what is before the break must not be repeated.
    assert_eq!(bash("ipvsadm -A --scheduler=wl", "wl"), ["wlc"]);
    assert_eq!(bash("ipvsadm -A -s nonsense", "nonsense"), Vec::<String>::new());
    // Files are bash's own business.
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.to");
    assert_eq!(bash(&format!("ipvsadm diff {folder}"), folder), [format!("{folder}ml")]);
}
