//! The program as a user meets it, as far as that needs neither privilege nor a certain interface: output, messages,
//! exit status, and the manual page beside `--help`.

use std::collections::BTreeSet;
use std::io::Write;
use std::process::{Command, Output, Stdio};

fn send_arp(arguments: &[&str]) -> Output {
    send_arp_reading(arguments, "")
}

fn send_arp_reading(arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_send_arp"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program was built with this test");
    // The program may end without reading; then the pipe is broken, and that is not what is tested.
    let _ = child.stdin.take().expect("stdin was piped").write_all(input.as_bytes());
    child.wait_with_output().expect("the child was not waited for before")
}

fn seen(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("the program writes UTF-8");
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn dry_run_of_the_original_form_prints_its_one_frame() {
    let output =
        send_arp(&["-t", "-i", "eth0:1", "10.1.0.100", "00163E00000A", "10.1.0.255", "ffffffffffff"]);
    let frame = "eth0: 00:16:3e:00:00:0a > ff:ff:ff:ff:ff:ff ARP reply 10.1.0.100 is-at 00:16:3e:00:00:0a\n";
    assert_eq!(seen(&output), (Some(0), frame.into(), String::new()));
}

#[test]
fn the_original_form_takes_a_host_name() {
    let output = send_arp(&["-t", "localhost", "00163e00000a", "ignored", "00:16:3e:00:00:0b"]);
    let frame = "eth0: 00:16:3e:00:00:0a > 00:16:3e:00:00:0b ARP reply 127.0.0.1 is-at 00:16:3e:00:00:0a\n";
    assert_eq!(seen(&output), (Some(0), frame.into(), String::new()));
}

#[test]
fn the_original_form_names_a_missing_device() {
    let output = send_arp(&["-i", "nosuch0", "10.1.0.100", "00163e00000a", "10.1.0.255", "ffffffffffff"]);
    assert_eq!(seen(&output), (Some(1), String::new(), "send_arp: no device `nosuch0`\n".into()));
}

#[test]
fn every_unusable_line_of_a_list_is_reported_with_its_number() {
    let list = "# VIPs\n10.1.0.300\n10.1.0.100 nosuch0\n10.1.0.101 lo\n";
    let (status, stdout, stderr) = seen(&send_arp_reading(&["--stdin", "--refresh", "1s"], list));
    let lines: Vec<&str> = stderr.lines().collect();
    assert_eq!((status, stdout.as_str(), lines.len()), (Some(1), "", 3), "{stderr}");
    assert_eq!(lines[0], "send_arp: line 2: `10.1.0.300` is not an IPv4 or IPv6 address");
    assert!(
        lines[1].starts_with("send_arp: line 3: no device `nosuch0` to announce 10.1.0.100 on; there is ")
    );
    assert_eq!(
        lines[2],
        "send_arp: line 4: device `lo` is not Ethernet, 10.1.0.101 cannot be announced on it"
    );
}

#[test]
fn an_empty_list_is_announced_at_once() {
    assert_eq!(
        seen(&send_arp_reading(&["--stdin"], "# nothing to do\n")),
        (Some(0), String::new(), String::new())
    );
}

#[test]
fn an_endless_list_is_refused() {
    let list = "# ".repeat((4 << 20) / 2 + 1);
    let message = "send_arp: the list on standard input is longer than 4194304 octets\n";
    assert_eq!(seen(&send_arp_reading(&["--stdin"], &list)), (Some(1), String::new(), message.into()));
}

#[test]
fn usage_errors_end_with_status_2() {
    let message = "send_arp: --count x: a number from 0 to 1000\nTry `send_arp --help`.\n";
    assert_eq!(seen(&send_arp(&["--count", "x"])), (Some(2), String::new(), message.into()));
}

#[test]
fn version_is_the_packages() {
    let version = concat!("send_arp ", env!("CARGO_PKG_VERSION"), "\n");
    assert_eq!(seen(&send_arp(&["--version"])), (Some(0), version.into(), String::new()));
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let mut child =
        Command::new(env!("CARGO_BIN_EXE_send_arp")).arg("--help").stdout(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn messages_that_nobody_reads_change_nothing() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut child =
        Command::new(env!("CARGO_BIN_EXE_send_arp")).arg("--nonsense").stderr(writer).spawn().unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(2));
}

/// The long options that a text mentions.
fn options(text: &str) -> BTreeSet<String> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '-')
        .filter(|word| word.len() > 2 && word.starts_with("--"))
        .map(str::to_owned)
        .collect()
}

#[test]
fn manual_page_and_help_name_the_same_options() {
    let page = include_str!("../../docs/man/send_arp.8").replace("\\-", "-");
    let (_, help, _) = seen(&send_arp(&["--help"]));
    assert_eq!(options(&page), options(&help));
    assert_eq!(options(&help).len(), 11);
}

#[test]
fn help_fits_a_terminal_of_eighty_columns() {
    let (status, help, _) = seen(&send_arp(&["--help"]));
    assert_eq!(status, Some(0));
    assert_eq!(help.lines().find(|line| line.chars().count() > 80), None);
}
