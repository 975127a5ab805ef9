//! What of a stream the next expectation looks at.
//!
//! An expectation that is met takes as few bytes as meet it, and the next one looks at those that follow; so the pieces in
//! which a stream arrives change nothing. What came before something is sent is no answer to it and is thrown away. If
//! that ended in the middle of a line, as the greeting of which only the beginning was waited for, the rest of that line
//! may still be under way: the next answer begins with what has come, or after that rest, whichever is as expected.
//!
//! [`LIMIT`] bytes are looked at for each expectation. When, and for how long, is not decided here.

use crate::expect::{Expect, Judgement, LIMIT};

/// What has come and was taken by no expectation.
#[derive(Debug, Default)]
pub struct Answer {
    bytes: Vec<u8>,
    /// Whether the last byte that came was not the end of a line.
    in_line: bool,
    /// Whether the rest of a line may come that belongs to the answer before.
    has_rest: bool,
}

impl Answer {
    /// The next piece has come.
    pub fn add(&mut self, piece: &[u8]) {
        self.bytes.extend_from_slice(piece);
        self.in_line = piece.last().map_or(self.in_line, |last| *last != b'\n');
    }

    /// Something is sent, to which nothing that has come is an answer.
    pub fn ask(&mut self) {
        self.bytes.clear();
        self.has_rest = self.in_line;
    }

    /// Whether there is nothing to look at.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// What the bytes so far say. A stream that goes on for [`LIMIT`] bytes without a decision fails.
    #[must_use]
    pub fn judge(&self, expect: &Expect) -> Judgement {
        match self.look(expect).1 {
            Judgement::Undecided if self.bytes.len() >= LIMIT => Judgement::Fails,
            judgement => judgement,
        }
    }

    /// Whether what has come is as expected, now that nothing will follow. Only of an expectation that says where the
    /// answer ends can this be said and not be known before.
    #[must_use]
    pub fn is_whole(&self, expect: &Expect) -> bool {
        let Expect::Equals(expected) = expect else { return false };
        let after_rest = self.rest().map(|rest| &self.bytes[rest..]);
        self.bytes == *expected || after_rest.is_some_and(|bytes| bytes == *expected)
    }

    /// Takes the bytes that met the expectation.
    pub fn take(&mut self, expect: &Expect) {
        let (skipped, _) = self.look(expect);
        let taken = skipped + expect.extent(&self.window()[skipped..]);
        self.bytes.drain(..taken);
        self.has_rest = false;
    }

    /// Gives up all bytes, for a message.
    pub fn give(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.bytes)
    }

    fn window(&self) -> &[u8] {
        &self.bytes[..self.bytes.len().min(LIMIT)]
    }

    /// The length of the rest of the line before, if it has come.
    fn rest(&self) -> Option<usize> {
        let end = self.window().iter().position(|byte| *byte == b'\n');
        end.map(|end| end + 1).filter(|_| self.has_rest)
    }

    /// How many bytes do not belong to the answer, and what the others say.
    fn look(&self, expect: &Expect) -> (usize, Judgement) {
        match (expect.judge(self.window()), self.rest()) {
            (judgement @ Judgement::Matches, _) => (0, judgement),
            (_, Some(rest)) => (rest, expect.judge(&self.window()[rest..])),
            (_, None) if self.has_rest => (0, Judgement::Undecided),
            (judgement, None) => (0, judgement),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn literal(text: &str) -> Expect {
        Expect::Literal(text.into())
    }

    /// What each of `expects` says, one after the other, of a stream that arrives in pieces that end at `cuts`.
    fn story(expects: &[Expect], stream: &[u8], cuts: &[usize]) -> Vec<Judgement> {
        let mut ends: Vec<usize> = cuts.iter().map(|cut| cut % (stream.len() + 1)).collect();
        ends.push(stream.len());
        ends.sort_unstable();
        let (mut answer, mut judgements, mut begin) = (Answer::default(), Vec::new(), 0);
        for end in ends {
            answer.add(&stream[begin..end]);
            begin = end;
            while let Some(expect) = expects.get(judgements.len()).filter(|_| !answer.is_empty()) {
                match answer.judge(expect) {
                    Judgement::Undecided => break,
                    Judgement::Fails => return [judgements, vec![Judgement::Fails]].concat(),
                    Judgement::Matches => {
                        answer.take(expect);
                        judgements.push(Judgement::Matches);
                    }
                }
            }
        }
        judgements
    }

    #[test]
    fn each_expectation_goes_on_after_the_bytes_that_met_the_one_before() {
        let pattern = Expect::pattern(br"\d+ ").unwrap();
        let expects = [literal("220 "), Expect::Contains(b"ESMTP".into()), Expect::Anything, pattern];
        assert_eq!(story(&expects, b"220 mail ESMTP (12 )", &[]), [Judgement::Matches; 4]);
        assert_eq!(
            story(&[literal("220"), literal("mail")], b"220 mail", &[]).last(),
            Some(&Judgement::Fails)
        );
    }

    #[test]
    fn the_rest_of_a_line_before_the_request_is_passed_over() {
        let mut answer = Answer::default();
        answer.add(b"220 ");
        answer.ask();
        assert!(answer.is_empty());
        answer.add(b"mail ready\r");
        assert_eq!(answer.judge(&literal("221 ")), Judgement::Undecided);
        answer.add(b"\n2");
        assert_eq!(answer.judge(&literal("221 ")), Judgement::Undecided);
        answer.add(b"21 bye");
        assert_eq!(answer.judge(&literal("221 ")), Judgement::Matches);
        answer.take(&literal("221 "));
        assert_eq!(answer.judge(&literal("bye")), Judgement::Matches);
    }

    #[test]
    fn after_a_whole_line_the_answer_begins_at_once() {
        let mut answer = Answer::default();
        answer.add(b"220 mail ready\r\n");
        answer.ask();
        answer.add(b"500 what?\r\n221 ");
        assert_eq!(answer.judge(&literal("221 ")), Judgement::Fails);
    }

    #[test]
    fn a_stream_without_a_decision_fails_at_the_limit() {
        let mut answer = Answer::default();
        let expect = Expect::Contains(b"needle".into());
        answer.add(&[b'x'; LIMIT - 1]);
        assert_eq!(answer.judge(&expect), Judgement::Undecided);
        answer.add(b"needle");
        assert_eq!(answer.judge(&expect), Judgement::Fails, "what is beyond the limit is not looked at");
    }

    #[test]
    fn only_the_end_says_that_an_answer_is_all_that_comes() {
        let expect = Expect::Equals(b"OK".into());
        let mut answer = Answer::default();
        answer.add(b"OK");
        assert_eq!(answer.judge(&expect), Judgement::Undecided);
        assert!(answer.is_whole(&expect) && !answer.is_whole(&literal("OK")));
        answer.add(b"\n");
        assert_eq!(answer.judge(&expect), Judgement::Fails);
        assert!(Answer::default().is_whole(&Expect::Equals(Vec::new())));
    }

    fn expect() -> impl Strategy<Value = Expect> {
        prop_oneof![
            Just(Expect::Anything),
            "[ab]{1,3}".prop_map(|text| literal(&text)),
            "[ab]{1,3}".prop_map(|text| Expect::Contains(text.into())),
            prop::sample::select(vec!["a+b", "^b", "b|aa", "^.?ab+a", "a*"])
                .prop_map(|text| Expect::pattern(text.as_bytes()).unwrap()),
        ]
    }

    proptest! {
        #[test]
        fn pieces_change_nothing(
            expects in prop::collection::vec(expect(), 1..5), stream in "[ab]{0,16}", cuts: [usize; 4],
        ) {
            let whole = story(&expects, stream.as_bytes(), &[]);
            prop_assert_eq!(story(&expects, stream.as_bytes(), &cuts), whole);
        }
    }
}
