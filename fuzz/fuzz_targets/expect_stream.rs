//! An expectation and an answer that arrives in any pieces. The verdict must be that of an answer that arrives at
//! once.
//!
//! The input is an expectation, a NUL, cuts, a NUL, the answer. The expectation is `=` and a literal, or `~` and a
//! regular expression, or anything else for "at least one byte". The first cut tells how often the answer is
//! repeated, so that short inputs reach the limit of an answer; each of the others is a place in 255ths of it.
#![no_main]

use std::time::Duration;

use checkspec::posix;
use daemonkit::clock::Mono;
use libfuzzer_sys::fuzz_target;
use nanny::check::exchange::Talk;
use nanny::check::{Conversation, Event, Exchange, Limits, Next, Transport, Verdict};
use nanny::expect::{Expect, Judgement, LIMIT};
use nanny::escape;

fuzz_target!(|bytes: &[u8]| {
    let mut parts = bytes.splitn(3, |byte| *byte == 0);
    let (Some(expectation), Some(cuts), Some(answer)) = (parts.next(), parts.next(), parts.next()) else {
        return;
    };
    let Some(expect) = read(expectation) else { return };
    let (times, cuts) = cuts.split_first().unwrap_or((&1, &[]));
    let mut answer = answer.repeat(usize::from(*times));
    answer.truncate(2 * LIMIT);

    let whole = verdict(&expect, &answer, &[]);
    let pieces = verdict(&expect, &answer, cuts);
    if !depends_on_the_end(expectation) {
        assert_eq!(is_healthy(&pieces), is_healthy(&whole), "{expect}: {pieces:?} and {whole:?}");
    }
    // What is final stays so.
    if expect.judge(&answer) == Judgement::Fails {
        answer.push(b'x');
        assert_eq!(expect.judge(&answer), Judgement::Fails, "{expect}");
    }
});

fn read(expectation: &[u8]) -> Option<Expect> {
    match expectation {
        [b'=', literal @ ..] => Some(Expect::Literal(escape::translate(literal))),
        [b'~', expression @ ..] => {
            if let Ok(text) = str::from_utf8(expression) {
                let once = posix::translate(text);
                assert_eq!(posix::translate(&once), once);
            }
            Expect::pattern(expression).ok()
        }
        _ => Some(Expect::Anything),
    }
}

/// Whether a regular expression may match the end of what has arrived: `$` and word boundaries do by design, and
/// flags can make others do.
fn depends_on_the_end(expectation: &[u8]) -> bool {
    let has = |part: &[u8]| expectation.windows(part.len()).any(|it| it == part);
    let parts: [&[u8]; 7] = [b"$", b"\\b", b"\\B", b"\\z", b"\\<", b"\\>", b"(?"];
    expectation.first() == Some(&b'~') && parts.into_iter().any(has)
}

/// What a check says of a server that answers in pieces that end at `cuts` and then closes.
fn verdict(expect: &Expect, answer: &[u8], cuts: &[u8]) -> Verdict {
    let exchange = Exchange::ask(Transport::Tcp, Vec::new(), Some(expect.clone()));
    let mut ends: Vec<usize> = cuts.iter().map(|cut| answer.len() * usize::from(*cut) / 255).collect();
    ends.push(answer.len());
    ends.sort_unstable();
    ends.dedup();
    let mut conversation = Talk::new(&exchange, Limits::each(Duration::from_secs(1)));
    let mut begin = 0;
    let pieces = ends.into_iter().filter(|end| *end > 0).map(|end| {
        let piece = &answer[begin..end];
        begin = end;
        Event::Received(piece)
    });
    for event in [Event::Started, Event::Connected].into_iter().chain(pieces).chain([Event::Closed]) {
        if let Next::Done(verdict) = conversation.step(Mono::ZERO, event) {
            return verdict;
        }
    }
    panic!("a closed stream ends every conversation");
}

fn is_healthy(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Healthy(_))
}
