//! `dns`: name servers that answer, refuse, lie, stammer and say nothing.

use std::io::{Read, Write};
use std::net::{SocketAddr, UdpSocket};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use super::support::{Nanny, PATIENCE, down, server, up, wait_for_close};

/// A server that answers each question with these datagrams.
fn answering(answers: impl Fn(&[u8]) -> Vec<Vec<u8>> + Send + 'static) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    thread::spawn(move || {
        let mut question = [0; 512];
        while let Ok((count, from)) = socket.recv_from(&mut question) {
            for answer in answers(&question[..count]) {
                // The monitor may have seen enough.
                let _ = socket.send_to(&answer, from);
            }
        }
    });
    address
}

/// The answer to a question: this code, and these addresses.
fn answer(question: &[u8], code: u8, addresses: &[[u8; 4]]) -> Vec<u8> {
    let mut answer = question.to_vec();
    answer[2] |= 0x80;
    answer[3] = 0x80 | code;
    answer[7] = u8::try_from(addresses.len()).unwrap();
    for address in addresses {
        // The name of the question, A, IN, a minute, four bytes.
        answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
        answer.extend(address);
    }
    answer
}

fn asked(server: SocketAddr, check: &str, more: &[&str]) -> Nanny {
    Nanny::check_words(server, &[&["--check", check], more].concat())
}

const WWW: &str = "dns name=www.example.org expect=10.0.0.1";

#[test]
fn the_code_of_the_answer_decides_when_no_record_is_expected() {
    let missing = answering(|question| vec![answer(question, 3, &[])]);
    assert_eq!(
        asked(missing, "dns name=a.example", &["-t", "5"]).report(),
        down("answered nxdomain, expected noerror")
    );
    let both = "dns name=a.example rcode=noerror,nxdomain";
    assert_eq!(asked(missing, both, &["-t", "5"]).report(), up("answered"));
    let broken = answering(|question| vec![answer(question, 2, &[])]);
    assert_eq!(
        asked(broken, both, &["-t", "5"]).report(),
        down("answered servfail, expected noerror,nxdomain")
    );
}

#[test]
fn an_expected_record_must_be_among_the_answers() {
    let two = answering(|question| vec![answer(question, 0, &[[10, 0, 0, 9], [10, 0, 0, 1]])]);
    assert_eq!(asked(two, WWW, &["-t", "5"]).report(), up("answered as expected"));
    let other = answering(|question| vec![answer(question, 0, &[[10, 0, 0, 9]])]);
    assert_eq!(asked(other, WWW, &["-t", "5"]).report(), down("answered 10.0.0.9, expected 10.0.0.1"));
}

#[test]
fn a_truncated_answer_is_told_with_what_helps() {
    let truncated = answering(|question| {
        let mut answer = answer(question, 0, &[[10, 0, 0, 9], [10, 0, 0, 1]]);
        answer[2] |= 2;
        answer.truncate(answer.len() - 10);
        vec![answer]
    });
    assert_eq!(asked(truncated, "dns", &["-t", "5"]).report(), up("answered"));
    let reason = "truncated answer without 10.0.0.1; transport=tcp gets all of it";
    assert_eq!(asked(truncated, WWW, &["-t", "5"]).report(), down(reason));
}

#[test]
fn answers_to_other_questions_are_ignored() {
    let wrong_id = |question: &[u8]| {
        let mut answer = answer(question, 0, &[[10, 0, 0, 1]]);
        answer[1] ^= 1;
        answer
    };
    let wrong_name = |question: &[u8]| {
        let mut answer = answer(question, 0, &[[10, 0, 0, 1]]);
        answer[13] = b'x';
        answer
    };
    let late = answering(move |question| {
        let right = answer(question, 0, &[[10, 0, 0, 1]]);
        vec![wrong_id(question), wrong_name(question), b"garbage".to_vec(), question.to_vec(), right]
    });
    assert_eq!(asked(late, WWW, &["-t", "5"]).report(), up("answered as expected"));
    let never = answering(move |question| vec![wrong_id(question), wrong_name(question)]);
    let reason = "no answer within 150ms; 2 to other questions ignored";
    assert_eq!(asked(never, WWW, &["-t", "150ms"]).report(), down(reason));
}

#[test]
fn garbled_records_silence_and_a_closed_port_are_told() {
    let garbled = answering(|question| {
        let mut answer = answer(question, 0, &[[10, 0, 0, 1]]);
        answer.truncate(answer.len() - 2);
        vec![answer]
    });
    assert_eq!(asked(garbled, "dns", &["-t", "5"]).report(), down("garbled answer"));
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    assert_eq!(asked(address, "dns", &["-t", "150ms"]).report(), down("no answer within 150ms"));
    // Who talks to itself alone refuses others, and the port stays taken.
    silent.connect(address).unwrap();
    assert_eq!(asked(address, "dns", &["-t", "1h"]).report(), down("port unreachable"));
}

#[test]
fn each_question_has_another_number() {
    let (to, numbers) = channel();
    let address = answering(move |question| {
        to.send([question[0], question[1]]).unwrap();
        vec![answer(question, 0, &[])]
    });
    let _nanny = asked(address, "dns", &["-t", "20ms"]);
    let mut seen: Vec<_> = (0..8).map(|_| numbers.recv_timeout(PATIENCE).unwrap()).collect();
    seen.sort_unstable();
    seen.dedup();
    // That two of eight are alike happens once in two thousand times, and more hardly ever.
    assert!(seen.len() >= 6, "{seen:?}");
}

#[test]
fn over_tcp_an_answer_may_drip_but_not_be_anothers() {
    let answered = |change: fn(&mut Vec<u8>)| {
        server(move |mut connection| {
            let mut question = [0; 512];
            let count = connection.read(&mut question).unwrap();
            let mut answer = answer(&question[2..count], 0, &[[10, 0, 0, 1]]);
            change(&mut answer);
            let length = u16::try_from(answer.len()).unwrap().to_be_bytes();
            connection.set_nodelay(true).unwrap();
            for piece in [&length[..1], &length[1..], &answer[..9], &answer[9..]] {
                let _ = connection.write_all(piece);
                thread::sleep(Duration::from_millis(5));
            }
            wait_for_close(&mut connection);
        })
    };
    let over_tcp = &format!("{WWW} transport=tcp");
    assert_eq!(asked(answered(|_| {}), over_tcp, &["-t", "5"]).report(), up("answered as expected"));
    let another = answered(|answer| answer[0] ^= 1);
    assert_eq!(asked(another, over_tcp, &["-t", "5"]).report(), down("answer to another question"));
    let short = server(|mut connection| drop(connection.write_all(b"\0\x20x")));
    let reason = r#"closed after "\x00 x", expected a DNS message"#;
    let report = asked(short, over_tcp, &["-t", "5"]).report();
    // The question, which nobody read, may come back as a reset.
    let reset = "receiving failed: connection reset by peer";
    assert!([down(reason), down(reset)].contains(&report), "{report}");
}
