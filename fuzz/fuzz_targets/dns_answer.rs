//! An answer to a question to a name server: whatever it is, over UDP and over TCP, whole or in pieces, the verdict comes
//! at once or at the end of the time, and is the same for all pieces.
//!
//! The input is a byte that says what is expected and how the bytes that follow are used: as a whole datagram, or as what
//! follows header and question of an answer to the question that was asked, whose counts they begin with.
#![no_main]

use std::time::Duration;

use checkspec::{Check, Dns};
use daemonkit::clock::Mono;
use libfuzzer_sys::fuzz_target;
use nanny::check::dns::message::query;
use nanny::check::dns::Talk;
use nanny::check::{Conversation, Event, Limits, Next, Verdict};

const ID: u16 = 7;
const CHECKS: [&str; 8] = [
    "dns name=a.example",
    "dns name=a.example expect=10.0.0.1",
    "dns name=a.example rcode=any type=AAAA expect=::1",
    "dns name=a.example rcode=any type=MX expect=b.example",
    "dns name=a.example type=NS expect=b.example",
    "dns name=a.example type=SOA expect=b.example",
    "dns name=a.example type=SRV expect=b.example",
    "dns name=a.example type=TXT expect=text",
];

fuzz_target!(|bytes: &[u8]| {
    let Some((choice, rest)) = bytes.split_first() else { return };
    let text = CHECKS[usize::from(*choice % 8)];
    let datagram = asked(text);
    let stream = asked(&format!("{text} transport=tcp"));
    let answer = if *choice & 8 == 0 { rest.to_vec() } else { ours(&datagram, rest) };

    let whole = verdict(&datagram, &[&answer]);
    // In a stream the same message means the same, but that there are no strangers.
    let Ok(length) = u16::try_from(answer.len()) else { return };
    let framed = [&length.to_be_bytes(), &answer[..]].concat();
    let streamed = verdict(&stream, &[&framed]);
    assert_eq!(is_healthy(&streamed), is_healthy(&whole), "{streamed:?} and {whole:?}");
    let (first, second) = framed.split_at(framed.len() * usize::from(*choice) / 255);
    assert_eq!(verdict(&stream, &[first, second]), streamed);
    if let Verdict::Unhealthy(failure) = whole {
        assert!(failure.to_string().len() < 1024, "{failure}");
    }
});

fn asked(text: &str) -> Dns {
    match text.parse() {
        Ok(Check::Dns(dns)) => dns,
        other => panic!("{other:?}"),
    }
}

/// An answer to our question with these flags, counts and records.
fn ours(check: &Dns, rest: &[u8]) -> Vec<u8> {
    let mut answer = query(check, ID);
    let (counts, records) = rest.split_at(rest.len().min(4));
    answer.iter_mut().skip(2).zip([0x80]).for_each(|(byte, flag)| *byte |= flag);
    let places = [2, 3, 6, 7];
    for (place, byte) in places.into_iter().zip(counts) {
        answer[place] |= byte;
    }
    answer.extend_from_slice(records);
    answer
}

fn verdict(check: &Dns, pieces: &[&[u8]]) -> Verdict {
    let mut talk = Talk::new(check, Limits::each(Duration::from_secs(1)), ID);
    let received = pieces.iter().filter(|piece| !piece.is_empty()).map(|piece| Event::Received(piece));
    let start = [Event::Started, Event::Connected, Event::Sent];
    for event in start.into_iter().chain(received).chain([Event::Deadline]) {
        if let Next::Done(verdict) = talk.step(Mono::ZERO, event) {
            return verdict;
        }
    }
    panic!("the end of the time ends every conversation");
}

fn is_healthy(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Healthy(_))
}
