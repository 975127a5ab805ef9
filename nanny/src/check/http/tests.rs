//! Whole conversations with web servers that answer well, badly, in pieces, or not at all.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::expect::{Expect, LIMIT};

fn server() -> SocketAddr {
    "10.2.0.11:8080".parse().unwrap()
}

fn check(text: &str, rule: Option<Rule>) -> Http {
    match text.parse() {
        Ok(checkspec::Check::Http(asked)) => Http::new(asked, rule, server()),
        other => panic!("{other:?}"),
    }
}

fn like(text: &str) -> Option<Rule> {
    Some(Rule::Like(Expect::Literal(text.into())))
}

fn at(millis: u64) -> Mono {
    Mono::from_millis(millis)
}

fn started(check: &Http) -> Talk<'_> {
    let mut talk = Talk::new(check, Limits::each(Duration::from_secs(2)));
    talk.step(at(0), Event::Started);
    talk
}

/// The request that follows a connection.
fn connected(talk: &mut Talk<'_>) -> String {
    match talk.step(at(10), Event::Connected) {
        Next::Send { bytes, until } => {
            assert_eq!(until, at(2_010));
            assert_eq!(talk.step(at(11), Event::Sent), Next::Wait { until });
            String::from_utf8(bytes).unwrap()
        }
        other => panic!("{other:?}"),
    }
}

/// What is said of an answer whose pieces end at `cuts`, and of the end of the connection after it.
fn verdict(check: &Http, answer: &[u8], cuts: &[usize]) -> String {
    let mut talk = started(check);
    connected(&mut talk);
    let mut ends: Vec<usize> =
        cuts.iter().map(|cut| cut % (answer.len() + 1)).chain([answer.len()]).collect();
    ends.sort_unstable();
    let mut begin = 0;
    for end in ends {
        let piece = &answer[begin..end];
        begin = end;
        match talk.step(at(20), Event::Received(piece)) {
            Next::Wait { .. } => {}
            next => return told(next),
        }
    }
    told(talk.step(at(30), Event::Closed))
}

fn told(next: Next) -> String {
    match next {
        Next::Done(Verdict::Healthy(success)) => success.to_string(),
        Next::Done(Verdict::Unhealthy(failure)) => format!("down: {failure}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_head_decides_when_nothing_is_said_of_the_body() {
    let check = check("http", None);
    let answer = b"HTTP/1.1 204 No Content\r\n\r\n";
    for cut in 0..answer.len() {
        assert_eq!(verdict(&check, answer, &[cut]), "status 204");
    }
    assert_eq!(
        verdict(&check, b"HTTP/1.1 503 Service Unavailable\r\nServer: x\r\n\r\n", &[]),
        "down: status 503 \"Service Unavailable\", expected 200-299"
    );
    assert_eq!(
        verdict(&check, b"HTTP/1.1 301 Moved\r\nLocation: https://www.example/\r\n\r\n", &[]),
        "down: status 301 to \"https://www.example/\", expected 200-299"
    );
}

#[test]
fn the_request_names_the_server_unless_a_host_is_given() {
    let by_address = check("http path=/health", None);
    let request = connected(&mut started(&by_address));
    assert!(request.starts_with("GET /health HTTP/1.1\r\nHost: 10.2.0.11:8080\r\nConnection: close\r\n"));
    let by_name = check("https host=www.example", None);
    assert!(connected(&mut started(&by_name)).contains("\r\nHost: www.example\r\n"));
    for (scheme, address, host) in [
        ("http", "10.2.0.11:80", "10.2.0.11"),
        ("https", "10.2.0.11:80", "10.2.0.11:80"),
        ("https", "[2001:db8::1]:443", "[2001:db8::1]"),
        ("http", "[2001:db8::1]:443", "[2001:db8::1]:443"),
    ] {
        assert_eq!(own_host(scheme, address.parse().unwrap()), host);
    }
}

#[test]
fn a_body_is_read_to_its_end_and_compared() {
    let check = check("http", like("all is well"));
    let good = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nall \r\n7\r\nis well\r\n0\r\n\r\n";
    for first in 0..good.len() {
        assert_eq!(verdict(&check, good, &[first, first + 1]), "status 200, body as expected");
    }
    for (answer, told) in [
        (
            &b"HTTP/1.0 200 OK\r\n\r\nall is lost"[..],
            "down: body begins with \"all is lost\", expected \"all is well\"",
        ),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "down: no body, expected \"all is well\""),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nall is well",
            "down: closed after 11 of 20 bytes of the body",
        ),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nall is well",
            "down: closed after 0 bytes of the body",
        ),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nall is well\r\n",
            "down: \"all is well\" where a chunk of the answer should begin or end",
        ),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\nContent-Length: 12\r\n\r\nall is well",
            "down: the answer says that it is \"12\" bytes long",
        ),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n\x1f\x8b",
            "down: the answer is encoded in a way that is not known: \"gzip\"",
        ),
    ] {
        assert_eq!(verdict(&check, answer, &[]), told);
    }
}

#[test]
fn what_is_no_answer_is_quoted() {
    let check = check("http", None);
    for (answer, told) in [
        (&b""[..], "down: closed before answering"),
        (b"HTTP/1.1 2", "down: closed after \"HTTP/1.1 2\", expected an answer of HTTP/1.1"),
        (
            b"SSH-2.0-OpenSSH\r\n",
            "down: answer begins with \"SSH-2.0-OpenSSH\", expected an answer of HTTP/1.1",
        ),
        (b"\0\0\0", "down: answer begins with \"\\x00\\x00\\x00\", expected an answer of HTTP/1.1"),
    ] {
        assert_eq!(verdict(&check, answer, &[]), told);
    }
    let huge = [b"HTTP/1.1 200 OK\r\nA: ".to_vec(), vec![b'x'; 2 * LIMIT]].concat();
    assert_eq!(verdict(&check, &huge, &[]), "down: the fields of the answer take more than 16384 bytes");
}

#[test]
fn what_does_not_come_in_time_is_told_with_what_did() {
    let check = check("http", like("all"));
    let late = |pieces: &[&[u8]]| {
        let mut talk = started(&check);
        connected(&mut talk);
        for piece in pieces {
            assert_eq!(talk.step(at(1_000), Event::Received(piece)), Next::Wait { until: at(2_010) });
        }
        told(talk.step(at(2_010), Event::Deadline))
    };
    assert_eq!(late(&[]), "down: no answer within 2s");
    assert_eq!(late(&[b"HTTP"]), "down: only \"HTTP\" within 2s, expected an answer of HTTP/1.1");
    assert_eq!(late(&[b"HTTP/1.1 200 -\r\n\r\na"]), "down: only 1 byte of the body within 2s");
    assert_eq!(
        late(&[b"HTTP/1.1 200 -\r\nContent-Length: 9\r\n\r\n", b"al"]),
        "down: only 2 of 9 bytes of the body within 2s"
    );
}

#[test]
fn a_head_that_was_asked_for_has_no_body_whatever_it_says() {
    let check = check("http method=HEAD", None);
    assert!(connected(&mut started(&check)).starts_with("HEAD / HTTP/1.1\r\n"));
    assert_eq!(verdict(&check, b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", &[]), "status 200");
}

#[test]
fn a_redirect_is_followed_over_a_new_connection_as_often_as_asked() {
    let check = check("http method=POST body=x redirects=2", None);
    let mut talk = started(&check);
    let request = connected(&mut talk);
    assert!(request.starts_with("POST / ") && request.ends_with("Content-Length: 1\r\n\r\nx"), "{request}");
    let onward = |talk: &mut Talk<'_>, status: u16, location: &str| {
        let answer = format!("HTTP/1.1 {status} -\r\nLocation: {location}\r\n\r\n");
        talk.step(at(20), Event::Received(answer.as_bytes()))
    };
    assert_eq!(onward(&mut talk, 302, "/login"), Next::Reconnect);
    assert_eq!(talk.step(at(0), Event::Started), Next::Wait { until: at(2_000) });
    let request = connected(&mut talk);
    assert!(request.starts_with("GET /login ") && !request.contains("Content-Length"), "{request}");
    assert_eq!(onward(&mut talk, 307, "http://10.2.0.11:8080/in"), Next::Reconnect);
    talk.step(at(0), Event::Started);
    assert!(connected(&mut talk).starts_with("GET /in "));
    assert_eq!(
        told(onward(&mut talk, 302, "/in")),
        "down: status 302 to \"/in\", expected 200-299",
        "as often as asked"
    );
}

#[test]
fn a_redirect_elsewhere_is_an_answer_like_any_other() {
    let check = check("http redirects=2", None);
    let answer = b"HTTP/1.1 301 -\r\nLocation: http://other.example/\r\n\r\n";
    assert_eq!(
        verdict(&check, answer, &[]),
        "down: status 301 to \"http://other.example/\", expected 200-299"
    );
    let check = self::check("http redirects=2 status=301", None);
    assert_eq!(verdict(&check, answer, &[]), "status 301");
}

#[test]
fn a_failed_connection_is_told_by_where_it_failed() {
    let check = check("http redirects=1", None);
    let mut talk = started(&check);
    connected(&mut talk);
    talk.step(at(20), Event::Received(b"HTTP/1.1 302 -\r\nLocation: /\r\n\r\n"));
    assert_eq!(told(talk.step(at(20), Event::Failed(Errno::ECONNREFUSED))), "down: connection refused");
    let mut talk = started(&check);
    connected(&mut talk);
    let reset = talk.step(at(20), Event::Failed(Errno::ECONNRESET));
    assert_eq!(told(reset), "down: receiving failed: connection reset by peer");
}

/// Pieces of which answers are made, good and bad.
fn part() -> impl Strategy<Value = &'static [u8]> {
    prop::sample::select(vec![
        &b"HTTP/1.1 200 OK\r\n"[..],
        b"HTTP/1.1 100 -\r\n\r\n",
        b"HTTP/1.1 404\r\n",
        b"Content-Length: 3\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Location: /\r\n",
        b"\r\n",
        b"\r\n",
        b"3\r\nabc\r\n",
        b"0\r\n",
        b"abc",
        b"\0",
        b": x\r\n",
    ])
}

proptest! {
    #[test]
    fn the_pieces_in_which_an_answer_comes_change_nothing(
        parts in prop::collection::vec(part(), 0..8), cuts: [usize; 4], counts: bool,
    ) {
        let answer = parts.concat();
        let check = check("http", if counts { like("abc") } else { None });
        let (whole, pieces) = (verdict(&check, &answer, &[]), verdict(&check, &answer, &cuts));
        // What is quoted may have been less.
        let kind = |told: &str| told.split('"').next().unwrap().to_owned();
        prop_assert_eq!(kind(&whole), kind(&pieces), "{:?}", String::from_utf8_lossy(&answer));
    }
}
