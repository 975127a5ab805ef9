//! What somebody who looks on is told: `--once`, and `-n -v`.

use std::io::{Read, Write};
use std::sync::mpsc::channel;
use std::time::Duration;

use nix::sys::signal::Signal;

use super::support::{
    Nanny, PATIENCE, answering, command, healthy, nobody, once, server, unhealthy, wait_for_close,
};

#[test]
fn one_probe_is_told_in_a_line_and_by_the_exit_status() {
    assert_eq!(once(answering(b"220 x"), r#"tcp expect="220 ""#, ""), healthy("answered as expected"));
    assert_eq!(once(nobody(), "tcp", ""), unhealthy("connection refused"));
}

#[test]
fn one_probe_that_is_broken_off_says_nothing_and_is_unknown() {
    let (to, connected) = channel();
    let address = server(move |mut connection| {
        to.send(()).unwrap();
        wait_for_close(&mut connection);
    });
    let (host, port) = (address.ip().to_string(), address.port().to_string());
    let mut nanny =
        Nanny::start(command(&["--once", "-h", &host, "-p", &port, "-t", "1h", "--check", "tcp any"]));
    connected.recv_timeout(PATIENCE).unwrap();
    nanny.signal(Signal::SIGTERM);
    assert_eq!(nanny.end().0.code(), Some(3));
    assert!(!nanny.has_reported());
}

#[test]
fn each_step_of_a_probe_is_told_in_the_foreground() {
    let address = server(|mut connection| {
        connection.write_all(b"220 \x1b[2J ready\r\n").unwrap();
        connection.read_exact(&mut [0; 6]).unwrap();
        connection.write_all(b"500 no\r\n").unwrap();
        wait_for_close(&mut connection);
    });
    let (host, port) = (address.ip().to_string(), address.port().to_string());
    let check = r#"tcp expect="220 " send=QUIT\r\n expect=221"#;
    let nanny = Nanny::start(command(&["-n", "-v", "-h", &host, "-p", &port, "-t", "1h", "--check", check]));
    for part in [
        "connected",
        r#"received 16 bytes "220 \x1b[2J ready\r\n""#,
        r#"step 1 of 3 done: expect "220 ""#,
        r#"sent 6 bytes "QUIT\r\n""#,
        r#"step 2 of 3 done: send "QUIT\r\n""#,
        r#"received 8 bytes "500 no\r\n""#,
        r#"step 3 of 3 failed: expect "221""#,
    ] {
        let line = nanny.log_line("ms: ");
        assert!(line.contains("after ") && line.ends_with(part), "{line}");
    }
    nanny.log_line("probe failed");
}

#[test]
fn what_a_program_does_is_told_too() {
    let nanny = Nanny::start(command(&["-n", "-v", "-h", "127.0.0.1", "-e", "echo hello", "-t", "1h"]));
    assert!(nanny.log_line("received").ends_with(r#"received 6 bytes "hello\n""#));
    nanny.log_line("the program exited with status 0");
}

#[test]
fn a_monitor_of_lvs_tells_no_bytes() {
    let nanny = Nanny::check(answering(b"secret"), "-t 20ms -x sec -v");
    nanny.log_line("probe passed");
    let line = nanny.log_line("");
    assert!(!line.contains("secret"), "{line}");
}

#[test]
fn all_of_a_probe_has_a_limit_too() {
    // Each byte is an answer in time; together they take too long.
    let address = server(|mut connection| {
        while connection.write_all(b"a").is_ok() {
            std::thread::sleep(Duration::from_millis(60));
        }
    });
    let check = ["tcp"].into_iter().chain(std::iter::repeat_n("any", 100)).collect::<Vec<_>>().join(" ");
    let outcome = once(address, &check, "--answer-timeout 10s --check-timeout 300ms");
    assert_eq!(outcome, unhealthy("not over within 300ms"));
}
