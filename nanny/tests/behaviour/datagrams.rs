//! UDP: a reply is the only proof of life.

use std::net::{SocketAddr, UdpSocket};
use std::thread;

use super::support::{Nanny, down, healthy, once, unhealthy, up};

/// A server that answers each datagram with `answer`, as long as the test runs.
fn answering(answer: &'static [u8]) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    thread::spawn(move || {
        let mut request = [0; 64];
        while let Ok((_, from)) = socket.recv_from(&mut request) {
            socket.send_to(answer, from).unwrap();
        }
    });
    address
}

#[test]
fn any_reply_will_do_when_nothing_is_expected() {
    assert_eq!(Nanny::check(answering(b"x"), "-u -t 1 -s q").report(), up("answered"));
    assert_eq!(Nanny::check(answering(b""), "-u -t 1 -s q").report(), up("answered"));
    assert_eq!(
        Nanny::check(answering(b""), "--UDP -t 1 --send_str q --expect_str *").report(),
        up("answered")
    );
}

#[test]
fn a_datagram_must_be_as_expected() {
    let server = answering(b"pong 1");
    assert_eq!(Nanny::check(server, "-u -t 1 -s ping -x pong").report(), up("answered as expected"));
    assert_eq!(
        Nanny::check(server, r"-u -t 1 -s ping --regex -x ^pong\s\d$").report(),
        up("answered as expected")
    );
    let wrong = down(r#"answer begins with "pong 1", expected "pong 12""#);
    assert_eq!(Nanny::check_words(server, &["-u", "-t", "1", "-s", "ping", "-x", "pong 12"]).report(), wrong);
}

#[test]
fn silence_is_down() {
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let nanny = Nanny::check(silent.local_addr().unwrap(), "-u -t 150ms -s q");
    assert_eq!(nanny.report(), down("no answer within 150ms"));
    let unasked = Nanny::check(silent.local_addr().unwrap(), "-u -t 150ms");
    unasked.log_line("a UDP server that is sent nothing answers nothing");
    assert_eq!(unasked.report(), down("no answer within 150ms"));
}

#[test]
fn a_closed_port_is_down_as_soon_as_its_machine_says_so() {
    let closed = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let nanny = Nanny::check(closed, "-u -t 1h -s q");
    assert_eq!(nanny.report(), down("port unreachable"));
}

#[test]
fn silence_is_up_where_it_is_said_and_a_closed_port_never() {
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let check = "udp send=q silence=up";
    let outcome = once(silent.local_addr().unwrap(), check, "--answer-timeout 150ms");
    assert_eq!(outcome, healthy("took the datagram and did not refuse it"));
    assert_eq!(once(answering(b""), check, ""), healthy("answered"));
    let closed = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    assert_eq!(once(closed, check, ""), unhealthy("port unreachable"));
}

#[test]
fn an_answer_from_somebody_else_is_none() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let stranger = UdpSocket::bind("127.0.0.1:0").unwrap();
    thread::spawn(move || {
        let mut request = [0; 64];
        while let Ok((_, from)) = socket.recv_from(&mut request) {
            stranger.send_to(b"yes", from).unwrap();
        }
    });
    let outcome = once(address, "udp send=q expect=yes", "--answer-timeout 150ms");
    assert_eq!(outcome, unhealthy("no answer within 150ms"));
}

#[test]
fn a_dialogue_of_datagrams_takes_one_for_each_answer() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    thread::spawn(move || {
        let mut request = [0; 64];
        while let Ok((count, from)) = socket.recv_from(&mut request) {
            let answer: &[u8] = if request[..count] == *b"\x00one" { b"\x001" } else { b"2\x00" };
            socket.send_to(answer, from).unwrap();
        }
    });
    let check = r"udp send=\x00one equals=\x001 send=two";
    assert_eq!(once(address, &format!(r"{check} contains=\x00"), ""), healthy("answered as expected"));
    let wrong = r#"step 4 of 4: answer begins with "2\x00", expected exactly "2""#;
    assert_eq!(once(address, &format!("{check} equals=2"), ""), unhealthy(wrong));
}
