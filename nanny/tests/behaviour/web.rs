//! HTTP: servers that answer as asked, redirect, lie about a length, never stop, or speak something else.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use super::support::{Nanny, PATIENCE, answering, down, server, up, wait_for_close};

fn nanny(address: SocketAddr, check: &str) -> Nanny {
    Nanny::check_words(address, &["-t", "10", "--check", check])
}

/// Reads until the end of the head of a request.
fn read_head(connection: &mut TcpStream) -> String {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && matches!(connection.read(&mut byte), Ok(1)) {
        head.push(byte[0]);
    }
    String::from_utf8(head).unwrap()
}

#[test]
fn the_request_arrives_as_it_was_asked_for() {
    let (to, requests) = channel();
    let address = server(move |mut connection| {
        let mut request = read_head(&mut connection);
        let mut body = [0; 3];
        connection.read_exact(&mut body).unwrap();
        request.push_str(std::str::from_utf8(&body).unwrap());
        to.send(request).unwrap();
        let _ = connection.write_all(b"HTTP/1.1 202 Accepted\r\n\r\n");
    });
    let check =
        r#"http method=PUT path=/a?b=c host=www.example:81 header="X-Who: me" body=a\x09b status=200-203"#;
    assert_eq!(nanny(address, check).report(), up("status 202"));
    let request = requests.recv_timeout(PATIENCE).unwrap();
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(
        request,
        format!(
            "PUT /a?b=c HTTP/1.1\r\nHost: www.example:81\r\nConnection: close\r\nUser-Agent: nanny/{version}\r\n\
             Accept: */*\r\nX-Who: me\r\nContent-Length: 3\r\n\r\na\tb"
        )
    );
}

#[test]
fn redirects_are_followed_over_new_connections() {
    let address = server(move |mut connection| {
        let request = read_head(&mut connection);
        let answer = match request.split(' ').nth(1) {
            Some("/") => "HTTP/1.1 302 Found\r\nLocation: /in\r\n\r\n".to_owned(),
            Some("/in") => {
                let host = request.lines().find_map(|line| line.strip_prefix("Host: ")).unwrap();
                format!("HTTP/1.1 301 Moved\r\nLocation: http://{host}/there\r\n\r\n")
            }
            _ => "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nthere".to_owned(),
        };
        let _ = connection.write_all(answer.as_bytes());
    });
    assert_eq!(nanny(address, "http redirects=2 equals=there").report(), up("status 200, body as expected"));
    let reason = format!(r#"status 301 to "http://{address}/there", expected 200-299"#);
    assert_eq!(nanny(address, "http redirects=1").report(), down(&reason));
    assert_eq!(nanny(address, "http").report(), down(r#"status 302 to "/in", expected 200-299"#));
}

#[test]
fn a_length_that_is_wrong_is_told() {
    let address = server(|mut connection| {
        read_head(&mut connection);
        let _ = connection.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nall is well");
    });
    let reason = "closed after 11 of 100 bytes of the body";
    assert_eq!(nanny(address, "http contains=well").report(), down(reason));
}

#[test]
fn a_body_that_drips_does_not_prolong_the_limit() {
    let address = server(|mut connection| {
        read_head(&mut connection);
        let _ = connection.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
        while connection.write_all(b"x").is_ok() {
            thread::sleep(Duration::from_millis(20));
        }
    });
    let nanny = Nanny::check_words(address, &["-t", "500ms", "--check", "http contains=well"]);
    let report = nanny.report();
    assert!(report.contains("reason=\"only ") && report.ends_with(" of the body within 500ms\""), "{report}");
}

#[test]
fn an_endless_head_and_an_endless_body_are_given_up() {
    let fields = server(|mut connection| {
        read_head(&mut connection);
        let _ = connection.write_all(b"HTTP/1.1 200 OK\r\nX: ");
        while connection.write_all(&[b'x'; 4096]).is_ok() {}
    });
    assert_eq!(nanny(fields, "http").report(), down("the fields of the answer take more than 16384 bytes"));
    let body = server(|mut connection| {
        read_head(&mut connection);
        let _ = connection.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
        while connection.write_all(&[b'x'; 4096]).is_ok() {}
    });
    let reason = format!("body begins with \"{}\"…, expected \"well\" anywhere", "x".repeat(60));
    assert_eq!(nanny(body, "http contains=well").report(), down(&reason));
    let digest = "0".repeat(64);
    let check = format!("http sha256={digest}");
    assert_eq!(nanny(body, &check).report(), down("the body is longer than 16777216 bytes"));
}

#[test]
fn what_is_no_http_is_quoted() {
    let mail = answering(b"220 mail.example\r\n");
    let reason = r#"answer begins with "220 mail.example", expected an answer of HTTP/1.1"#;
    assert_eq!(nanny(mail, "http").report(), down(reason));
    let nul = answering(b"HTTP/1.1 200 OK\r\nA: \0\r\n\r\n");
    assert!(nanny(nul, "http").report().contains("expected an answer of HTTP/1.1"));
    let closing = server(|mut connection| {
        read_head(&mut connection);
        wait_for_close(&mut connection.try_clone().unwrap());
    });
    let silent = Nanny::check_words(closing, &["-t", "300ms", "--check", "http"]);
    assert_eq!(silent.report(), down("no answer within 300ms"));
}

#[test]
fn a_check_that_cannot_be_is_refused_with_what_is_allowed() {
    let address = "127.0.0.1:1".parse().unwrap();
    let mut nanny = nanny(address, r#"http header="Host: a""#);
    nanny.log_line("the field `Host` is written by itself; give `host`");
    assert_eq!(nanny.end().0.code(), Some(2));
}
