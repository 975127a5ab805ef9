//! `--check tcp`: dialogues with servers that answer in pieces, lie, drip, flood and break off.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use socket2::SockRef;

use super::support::{Nanny, PATIENCE, answering, healthy, once, server, unhealthy, wait_for_close};

const QUIT: &str = r#"tcp expect="220 " send=QUIT\r\n expect="221 ""#;

/// A server that says `greeting`, reads a line, and says `answer`, piece by piece.
fn talking(
    greeting: &'static [&'static [u8]],
    answer: &'static [&'static [u8]],
) -> (SocketAddr, Receiver<Vec<u8>>) {
    let (to, requests) = channel();
    let say = |connection: &mut TcpStream, pieces: &[&[u8]]| {
        for piece in pieces {
            let _ = connection.write_all(piece);
            thread::sleep(Duration::from_millis(10));
        }
    };
    let address = server(move |mut connection| {
        connection.set_nodelay(true).unwrap();
        say(&mut connection, greeting);
        let mut request = [0; 64];
        let count = connection.read(&mut request).unwrap_or(0);
        let _ = to.send(request[..count].to_vec());
        say(&mut connection, answer);
        wait_for_close(&mut connection);
    });
    (address, requests)
}

#[test]
fn a_dialogue_is_understood_in_any_pieces() {
    let understood = |(address, requests): (SocketAddr, Receiver<Vec<u8>>)| {
        assert_eq!(once(address, QUIT, ""), healthy("answered as expected"));
        assert_eq!(requests.recv_timeout(PATIENCE).unwrap(), b"QUIT\r\n");
    };
    understood(talking(&[b"220 ready\r\n"], &[b"221 bye\r\n"]));
    understood(talking(&[b"2", b"2", b"0", b" ", b"ready\r", b"\n"], &[b"22", b"1 b"]));
}

#[test]
fn the_rest_of_a_greeting_that_comes_after_the_request_is_no_answer() {
    let (address, _) = talking(&[b"220 "], &[b"mail ready\r\n221 bye\r\n"]);
    assert_eq!(once(address, QUIT, ""), healthy("answered as expected"));
}

#[test]
fn a_wrong_answer_is_told_with_its_step() {
    let (address, _) = talking(&[b"220 ready\r\n"], &[b"500 what?\r\n"]);
    let reason = r#"step 3 of 3: answer begins with "500 what?", expected "221 ""#;
    assert_eq!(once(address, QUIT, ""), unhealthy(reason));
    let (address, _) = talking(&[b"220 ready\r\n"], &[]);
    assert_eq!(
        once(address, QUIT, "--answer-timeout 150ms"),
        unhealthy("step 3 of 3: no answer within 150ms")
    );
}

#[test]
fn zeros_and_other_bytes_go_both_ways() {
    let (address, requests) = talking(&[], &[b"\x00\x01", b"\xff\x00OK\x00"]);
    assert_eq!(
        once(address, r#"tcp send="\x00\xff \x00" contains=\x00OK\x00"#, ""),
        healthy("answered as expected")
    );
    assert_eq!(requests.recv_timeout(PATIENCE).unwrap(), b"\x00\xff \x00");
    let wrong = r#"answer begins with "\x00\x01", expected "\x00\x02""#;
    assert_eq!(once(answering(b"\x00\x01"), r"tcp send=q expect=\x00\x02", ""), unhealthy(wrong));
}

#[test]
fn an_answer_that_must_be_all_needs_the_end_of_the_connection() {
    let closing = server(|mut connection| drop(connection.write_all(b"OK")));
    assert_eq!(once(closing, "tcp equals=OK", ""), healthy("answered as expected"));
    assert_eq!(
        once(closing, "tcp equals=OKAY", ""),
        unhealthy(r#"closed after "OK", expected exactly "OKAY""#)
    );
    let lasting = answering(b"OK");
    let late = unhealthy(r#"only "OK" within 150ms, expected exactly "OK""#);
    assert_eq!(once(lasting, "tcp equals=OK", "--answer-timeout 150ms"), late);
}

#[test]
fn a_server_that_resets_what_it_accepted_is_unhealthy() {
    let address = server(|connection| SockRef::from(&connection).set_linger(Some(Duration::ZERO)).unwrap());
    let (status, told) = once(address, "tcp send=q any", "");
    // The reset may be noticed while connecting, sending or receiving.
    assert_eq!(status, Some(1), "{told}");
    assert!(told.contains("connection reset by peer") || told.contains("broken pipe"), "{told}");
}

#[test]
fn a_server_that_drips_is_given_up_when_its_answer_is_due() {
    let address = server(|mut connection| {
        while connection.write_all(b"2").is_ok() {
            thread::sleep(Duration::from_millis(60));
        }
    });
    let (status, told) = once(address, "tcp contains=220", "--answer-timeout 300ms");
    assert_eq!(status, Some(1));
    assert!(told.contains("reason=\"only \"2"), "{told}");
    assert!(told.ends_with(" within 300ms, expected \"220\" anywhere\""), "{told}");
}

#[test]
fn a_flood_costs_no_memory_and_ends_with_a_verdict() {
    let address = server(|mut connection| while connection.write_all(&[b'x'; 65_536]).is_ok() {});
    let shown = "x".repeat(60);
    for (check, reason) in [
        (
            "tcp contains=needle",
            format!(
                "answer begins with \"{shown}\"…, expected \"needle\" anywhere within the first 16384 bytes"
            ),
        ),
        (
            "tcp any regex=^y*$",
            format!(
                "step 2 of 2: answer begins with \"{shown}\"…, expected a match of \"^y*$\" within the first 16384 bytes"
            ),
        ),
        ("tcp equals=xxx", format!("answer begins with \"{shown}\"…, expected exactly \"xxx\"")),
    ] {
        assert_eq!(once(address, check, ""), unhealthy(&reason));
    }
    let nanny = Nanny::check_words(address, &["--check", "tcp contains=needle", "-t", "10ms", "-v"]);
    for _ in 0..20 {
        nanny.log_line("probe failed");
    }
    let status = std::fs::read_to_string(format!("/proc/{}/status", nanny.pid())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap().trim();
    let kilobytes: u64 = peak.trim_end_matches(" kB").parse().unwrap();
    assert!(kilobytes < 50_000, "{peak}");
}
