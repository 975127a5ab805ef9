//! A check of a web server and an answer that arrives in any pieces. The verdict must be that of an answer that arrives
//! at once, and no answer may take more memory than the check allows.
//!
//! The input is what the body must look like, a NUL, cuts, a NUL, the answer. The first is `=` and what it begins with, `#`
//! for a SHA-256, `>` for a redirect that is followed, or anything else for no matter. The first cut tells how often the
//! answer is repeated, so that short inputs reach the limits; each of the others is a place in 255ths of it.
#![no_main]

use std::time::Duration;

use daemonkit::clock::Mono;
use libfuzzer_sys::fuzz_target;
use nanny::check::http::body::Rule;
use nanny::check::http::{Http, Talk};
use nanny::check::{Conversation, Event, Limits, Next, Verdict};
use nanny::expect::Expect;

fuzz_target!(|bytes: &[u8]| {
    let mut parts = bytes.splitn(3, |byte| *byte == 0);
    let (Some(wanted), Some(cuts), Some(answer)) = (parts.next(), parts.next(), parts.next()) else {
        return;
    };
    let check = check(wanted);
    let (times, cuts) = cuts.split_first().unwrap_or((&1, &[]));
    let answer = answer.repeat(usize::from(*times));
    let whole = outcome(&check, &answer, &[]);
    let pieces = outcome(&check, &answer, cuts);
    assert_eq!(whole, pieces, "{check:?}");
});

fn check(wanted: &[u8]) -> Http {
    let rule = match wanted {
        [b'=', literal @ ..] => Some(Rule::Like(Expect::Literal(literal.to_vec()))),
        [b'#', ..] => Some(Rule::Sha256([7; 32])),
        _ => None,
    };
    Http {
        scheme: "http",
        method: "GET".to_owned(),
        path: "/".to_owned(),
        host: "www.example".to_owned(),
        headers: Vec::new(),
        body: None,
        status: Default::default(),
        rule,
        redirects: u8::from(wanted.first() == Some(&b'>')),
    }
}

/// What a check says of a server that answers in pieces that end at `cuts` and then closes, but for what it quotes, of which
/// there may have been less.
fn outcome(check: &Http, answer: &[u8], cuts: &[u8]) -> String {
    let mut ends: Vec<usize> = cuts.iter().map(|cut| answer.len() * usize::from(*cut) / 255).collect();
    ends.push(answer.len());
    ends.sort_unstable();
    ends.dedup();
    let mut conversation = Talk::new(check, Limits::each(Duration::from_secs(1)));
    let mut begin = 0;
    let pieces = ends.into_iter().filter(|end| *end > 0).map(|end| {
        let piece = &answer[begin..end];
        begin = end;
        Event::Received(piece)
    });
    let events = [Event::Started, Event::Connected, Event::Sent].into_iter().chain(pieces);
    for event in events.chain([Event::Closed]) {
        match conversation.step(Mono::ZERO, event) {
            Next::Done(Verdict::Healthy(success)) => return success.to_string(),
            Next::Done(Verdict::Unhealthy(failure)) => {
                let text = failure.to_string();
                assert!(text.len() < 1000 && !text.contains(char::is_control), "{text:?}");
                return text.split('"').next().unwrap_or_default().to_owned();
            }
            Next::Done(Verdict::Unknown(fault)) => panic!("{fault}"),
            Next::Reconnect => return "redirected".to_owned(),
            Next::Send { .. } | Next::Wait { .. } => {}
        }
    }
    panic!("a closed stream ends every conversation");
}
