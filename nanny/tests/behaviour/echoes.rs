//! `ping`: machines that answer, as far as this one may ask.

use std::net::SocketAddr;

use super::support::{Nanny, up};

/// The groups that may have such sockets, and that of a process, as the kernel tells them.
fn is_allowed_to_ping(pid: &str) -> bool {
    let read = |path: &str| std::fs::read_to_string(path).unwrap();
    let range: Vec<u32> = read("/proc/sys/net/ipv4/ping_group_range")
        .split_whitespace()
        .map(|group| group.parse().unwrap())
        .collect();
    let status = read(&format!("/proc/{pid}/status"));
    let groups = status.lines().find_map(|line| line.strip_prefix("Gid:")).unwrap();
    let group: u32 = groups.split_whitespace().nth(1).unwrap().parse().unwrap();
    (range[0]..=range[1]).contains(&group)
}

fn assert_pinged(server: &str, check: &str) {
    let server: SocketAddr = server.parse().unwrap();
    let nanny = Nanny::check_words(server, &["-t", "5", "--check", check]);
    match nanny.report_or_line("cannot check; the state stays as it is") {
        Ok(report) => assert_eq!(report, up("answered")),
        Err(line) => {
            assert!(line.contains("net.ipv4.ping_group_range must allow"), "{line}");
            assert!(!is_allowed_to_ping(&nanny.pid().to_string()));
        }
    }
}

#[test]
fn this_machine_answers_or_it_is_said_why_it_cannot_be_asked() {
    assert_pinged("127.0.0.1:0", "ping");
    assert_pinged("127.0.0.1:0", "ping size=16");
    assert_pinged("127.0.0.1:0", "ping size=9000");
    assert_pinged("[::1]:0", "ping");
}
