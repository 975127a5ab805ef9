//! `smtp`: mail servers that greet, refuse, drip, talk for ever and say nothing.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use super::support::{Nanny, PATIENCE, answering, down, server, up, wait_for_close};

/// A server that greets and answers each command with the next of `replies`, and what it is told.
fn talking(replies: &'static [&'static str]) -> (SocketAddr, Receiver<String>) {
    let (to, told) = channel();
    let address = server(move |mut connection| {
        let commands = BufReader::new(connection.try_clone().unwrap());
        let _ = connection.write_all(replies[0].as_bytes());
        for (command, reply) in commands.lines().map_while(Result::ok).zip(&replies[1..]) {
            let _ = to.send(command);
            let _ = connection.write_all(reply.as_bytes());
        }
    });
    (address, told)
}

fn greeted(server: SocketAddr, limit: &str) -> String {
    Nanny::check_words(server, &["-t", limit, "--check", "smtp helo=lb1.example.org"]).report()
}

#[test]
fn a_server_that_greets_is_told_good_bye() {
    let (address, told) = talking(&["220-mail\r\n220 ready\r\n", "250-mail\r\n250 HELP\r\n", "221 bye\r\n"]);
    let nanny = Nanny::check_words(address, &["-t", "5", "--check", "smtp helo=lb1.example.org"]);
    assert_eq!(nanny.report(), up("answered as expected"));
    assert_eq!(told.recv_timeout(PATIENCE).unwrap(), "EHLO lb1.example.org");
    assert_eq!(told.recv_timeout(PATIENCE).unwrap(), "QUIT");
}

#[test]
fn an_old_server_is_told_helo() {
    let (address, told) = talking(&["220 mail\n", "502 unimplemented\n", "250 mail\n"]);
    assert_eq!(greeted(address, "5"), up("answered as expected"));
    let commands: Vec<String> = told.try_iter().take(2).collect();
    assert_eq!(commands, ["EHLO lb1.example.org", "HELO lb1.example.org"]);
}

#[test]
fn refusals_are_quoted() {
    assert_eq!(
        greeted(answering(b"421 too busy\r\n"), "5"),
        down(r#"greeting "421 too busy", expected 220"#)
    );
    assert_eq!(greeted(answering(b"554 go away\r\n"), "5"), down(r#"greeting "554 go away", expected 220"#));
    let (address, _told) = talking(&["220 mail\r\n", "451 not now\r\n"]);
    assert_eq!(greeted(address, "5"), down(r#"reply to EHLO "451 not now", expected 250"#));
    assert_eq!(
        greeted(answering(b"HTTP/1.1 400 Bad Request\r\n"), "5"),
        down(r#"greeting "HTTP/1.1 400 Bad Request", which is no SMTP"#)
    );
}

#[test]
fn silence_and_half_a_line_are_given_up_in_time() {
    let silent = server(|mut connection| wait_for_close(&mut connection));
    assert_eq!(greeted(silent, "150ms"), down("no answer within 150ms"));
    assert_eq!(greeted(answering(b"220 ma"), "150ms"), down(r#"only "220 ma" within 150ms, expected 220"#));
    assert_eq!(greeted(server(drop), "5"), down("closed before answering"));
}

#[test]
fn a_reply_without_end_is_given_up() {
    let endless = server(|mut connection| while connection.write_all(b"220-and more\r\n").is_ok() {});
    assert_eq!(greeted(endless, "1h"), down("greeting of more than 100 lines"));
    let flood = server(|mut connection| while connection.write_all(&[b'x'; 512]).is_ok() {});
    assert_eq!(greeted(flood, "1h"), down(&format!("greeting \"{}\"…, which is no SMTP", "x".repeat(60))));
    let drip = |mut connection: TcpStream| {
        while connection.write_all(b"2").is_ok() {
            thread::sleep(Duration::from_millis(20));
        }
    };
    let report = greeted(server(drip), "150ms");
    assert!(report.starts_with("[inactive] took_ms=N reason=\"only \"2"), "{report}");
}
