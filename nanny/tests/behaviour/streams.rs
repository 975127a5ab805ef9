//! TCP: servers that answer, refuse, hang, drip, lie and break off.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use socket2::{Domain, SockRef, Socket, Type};

use super::support::{Nanny, PATIENCE, answering, down, nobody, server, up, wait_for_close};

#[test]
fn a_server_goes_down_at_once_and_comes_back_after_re_entry() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let nanny = Nanny::check(address, "-t 40ms -a 200ms -v");
    assert_eq!(nanny.report(), up("connected"));
    drop(listener);
    assert_eq!(nanny.report(), down("connection refused"));
    nanny.log_line("from=up to=down");
    let _listener = TcpListener::bind(address).unwrap();
    assert_eq!(nanny.report(), up("connected"));
    let mut passed = 0;
    while !nanny.log_line(" reason=connected").contains("from=down to=up") {
        passed += 1;
    }
    assert_eq!(passed, 5, "200 ms of re-entry are five probes 40 ms apart");
}

#[test]
fn good_probes_count_only_in_a_row() {
    let probes = Arc::new(AtomicUsize::new(0));
    let asked = Arc::clone(&probes);
    // Bad, two good ones, bad, then good for ever; three in a row are needed.
    let address = server(move |mut connection| {
        let is_bad = [0, 3].contains(&asked.fetch_add(1, Ordering::SeqCst));
        let _ = connection.write_all(if is_bad { b"no!" } else { b"yes" });
        wait_for_close(&mut connection);
    });
    let nanny = Nanny::check(address, "-t 20ms -a 60ms -x yes");
    assert_eq!(nanny.report(), down(r#"answer begins with "no!", expected "yes""#));
    assert_eq!(nanny.report(), up("answered as expected"));
    assert!(probes.load(Ordering::SeqCst) >= 7, "{probes:?}");
}

#[test]
fn nobody_listening_is_a_refusal() {
    let nanny = Nanny::check(nobody(), "-t 1");
    assert_eq!(nanny.report(), down("connection refused"));
}

#[test]
fn a_server_too_busy_to_take_connections_is_given_up_after_the_interval() {
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    listener.bind(&"127.0.0.1:0".parse::<std::net::SocketAddr>().unwrap().into()).unwrap();
    listener.listen(0).unwrap();
    let address = listener.local_addr().unwrap().as_socket().unwrap();
    // Fill the queue; the kernel then ignores whoever else knocks.
    let mut queued = Vec::new();
    for _ in 0..64 {
        match std::net::TcpStream::connect_timeout(&address, Duration::from_millis(100)) {
            Ok(connection) => queued.push(connection),
            Err(_) => break,
        }
    }
    let nanny = Nanny::check(address, "-t 150ms");
    assert_eq!(nanny.report(), down("no connection within 150ms"));
}

#[test]
fn a_server_that_hangs_gives_no_answer() {
    let address = server(|mut connection| wait_for_close(&mut connection));
    let nanny = Nanny::check(address, "-t 150ms -x HTTP");
    assert_eq!(nanny.report(), down("no answer within 150ms"));
}

#[test]
fn the_wrong_text_is_quoted_in_the_report() {
    let address = answering(b"HTTP/1.1 500 Oops\r\nServer: x\r\n\r\n");
    let nanny = Nanny::check_words(address, &["-t", "1", "-x", "HTTP/1.1 200"]);
    let reason = r#"answer begins with "HTTP/1.1 500 Oops"…, expected "HTTP/1.1 200""#;
    assert_eq!(nanny.report(), down(reason));
}

#[test]
fn an_answer_cannot_forge_a_report() {
    let address = answering(b"\n[ active ] \x1b[2J\0\xff\n");
    let nanny = Nanny::check(address, "-t 1 -x yes");
    let reason = r#"answer begins with "\n[ active ] \x1b[2J\x00\xff\n", expected "yes""#;
    assert_eq!(nanny.report(), down(reason));
}

#[test]
fn an_answer_may_come_in_pieces() {
    let address = server(|mut connection| {
        connection.set_nodelay(true).unwrap();
        for piece in ["HT", "TP/1", ".1 20", "0 OK"] {
            let _ = connection.write_all(piece.as_bytes());
            thread::sleep(Duration::from_millis(15));
        }
    });
    let nanny = Nanny::check_words(address, &["-t", "2", "-x", "HTTP/1.1 200"]);
    assert_eq!(nanny.report(), up("answered as expected"));
    let nanny = Nanny::check_words(address, &["-t", "2", "--regex", "-x", r"1\.1 2[0-9]+ "]);
    assert_eq!(nanny.report(), up("answered as expected"));
}

#[test]
fn dripping_bytes_do_not_prolong_the_limit() {
    let address = server(|mut connection| {
        let drip = |byte: &u8| {
            thread::sleep(Duration::from_millis(40));
            connection.write_all(&[*byte]).is_ok()
        };
        b"HTTP/1.1 200 OK but slow".iter().all(drip);
    });
    let nanny = Nanny::check_words(address, &["-t", "200ms", "-x", "HTTP/1.1 200"]);
    let report = nanny.report();
    assert!(report.starts_with("[inactive] took_ms=N reason=\"only \"H"), "{report}");
    assert!(report.ends_with(" within 200ms, expected \"HTTP/1.1 200\"\""), "{report}");
}

#[test]
fn an_endless_answer_is_given_up_without_the_expected_text() {
    let address = server(|mut connection| while connection.write_all(&[b'x'; 4096]).is_ok() {});
    let nanny = Nanny::check(address, "-t 10 --regex -x needle");
    let reason = format!(
        "answer begins with \"{}\"…, expected a match of \"needle\" within the first 16384 bytes",
        "x".repeat(60)
    );
    assert_eq!(nanny.report(), down(&reason));
}

#[test]
fn closing_before_or_within_the_answer_is_down() {
    let nanny = Nanny::check(server(drop), "-t 1 -x *");
    assert_eq!(nanny.report(), down("closed before answering"));
    let short = server(|mut connection| drop(connection.write_all(b"HT")));
    let nanny = Nanny::check(short, "-t 1 -x HTTP");
    assert_eq!(nanny.report(), down(r#"closed after "HT", expected "HTTP""#));
}

#[test]
fn a_reset_is_told_from_a_close() {
    let address = server(|mut connection| {
        // After the request has come, so that the connection is not reset before it is noticed.
        connection.read_exact(&mut [0]).unwrap();
        SockRef::from(&connection).set_linger(Some(Duration::ZERO)).unwrap();
    });
    let nanny = Nanny::check(address, "-t 1 -s q -x yes");
    assert_eq!(nanny.report(), down("receiving failed: connection reset by peer"));
}

#[test]
fn a_star_means_any_answer() {
    let nanny = Nanny::check(answering(b"\0"), "-t 1 -x *");
    assert_eq!(nanny.report(), up("answered"));
}

#[test]
fn the_request_arrives_with_its_escapes_translated() {
    let (to, requests) = channel();
    let address = server(move |mut connection| {
        let mut request = [0; 64];
        let count = connection.read(&mut request).unwrap();
        to.send(request[..count].to_vec()).unwrap();
        let _ = connection.write_all(b"ok");
    });
    let nanny = Nanny::check_words(address, &["-t", "1", "-s", r"a\tb\.\r\n", "-x", "ok"]);
    assert_eq!(nanny.report(), up("answered as expected"));
    assert_eq!(requests.recv_timeout(PATIENCE).unwrap(), b"a\tb\\.\r\n");
}

#[test]
fn virtual_port_80_is_asked_for_a_page_when_nothing_else_is_said() {
    let address = server(move |mut connection| {
        let mut request = [0; 64];
        let count = connection.read(&mut request).unwrap();
        let answer: &[u8] =
            if request[..count] == *b"GET / HTTP/1.0\r\n\r\n" { b"HTTP/1.0 404 -\r\n" } else { b"?" };
        let _ = connection.write_all(answer);
    });
    let nanny = Nanny::check(address, "-t 1 -p 80");
    assert_eq!(nanny.report(), up("answered as expected"));
}

#[test]
fn a_server_with_an_ipv6_address_is_checked() {
    let listener = TcpListener::bind("[::1]:0").unwrap();
    let nanny = Nanny::check(listener.local_addr().unwrap(), "-t 1");
    assert_eq!(nanny.report(), up("connected"));
}
