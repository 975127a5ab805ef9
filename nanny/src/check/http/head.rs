//! The head of an answer: its status, and how long its body is.
//!
//! Lines and fields are cut by the crate `httparse`. Interim answers (1xx, but for 101, which ends HTTP) are skipped.
//! All heads together may have [`LIMIT`] bytes and each [`MOST_FIELDS`] fields.

use super::HttpFailure;
use crate::expect::LIMIT;

/// Most fields of one head.
pub const MOST_FIELDS: usize = 100;

/// What counts of a head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The status, from 100 to 999.
    pub status: u16,
    /// What stands after it.
    pub reason: Vec<u8>,
    /// Where it points to.
    pub location: Option<Vec<u8>>,
    /// How long the body is.
    pub framing: Framing,
}

/// How long a body is (RFC 9112, 6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// This many bytes.
    Length(u64),
    /// In chunks, each with its length.
    Chunked,
    /// Until the connection is closed.
    Closed,
}

/// Reads a head from any pieces.
#[derive(Debug)]
pub struct Reader {
    received: Vec<u8>,
    /// Where the head begins that is being read; before it are interim ones.
    begin: usize,
    asked_for_head: bool,
}

impl Reader {
    /// Reads the answer to a request, which may have been one for the head only (`HEAD`).
    #[must_use]
    pub fn new(asked_for_head: bool) -> Self {
        Self { received: Vec::new(), begin: 0, asked_for_head }
    }

    /// The next piece has come. Returns the head once it is complete, and what of the body came with it.
    ///
    /// # Errors
    /// Why it is none that can be used.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<Option<(Head, Vec<u8>)>, HttpFailure> {
        self.received.extend_from_slice(bytes);
        loop {
            let end = self.received.len().min(LIMIT);
            let Some((head, len)) = parse(&self.received[self.begin..end], self.asked_for_head)? else {
                return if end < LIMIT { Ok(None) } else { Err(HttpFailure::HeadTooLong) };
            };
            self.begin += len;
            if !(100..=199).contains(&head.status) || head.status == 101 {
                return Ok(Some((head, self.received.split_off(self.begin))));
            }
        }
    }

    /// Gives up what has come, for a message.
    pub fn give(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.received).split_off(self.begin)
    }
}

/// The head at the beginning of `bytes` and its length, if it is complete.
fn parse(bytes: &[u8], asked_for_head: bool) -> Result<Option<(Head, usize)>, HttpFailure> {
    let mut fields = [httparse::EMPTY_HEADER; MOST_FIELDS];
    let mut answer = httparse::Response::new(&mut fields);
    let len = match answer.parse(bytes) {
        Ok(httparse::Status::Complete(len)) => len,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => return Err(HttpFailure::TooManyFields),
        Err(_) => return Err(HttpFailure::NoHttp { got: bytes.to_vec() }),
    };
    let status = answer.code.unwrap_or(0);
    let field = |name: &'static str| {
        let fields = answer.headers.iter().filter(move |field| field.name.eq_ignore_ascii_case(name));
        fields.map(|field| field.value)
    };
    let framing = if asked_for_head || matches!(status, 100..=199 | 204 | 304) {
        Framing::Length(0)
    } else {
        framing(field("Transfer-Encoding"), field("Content-Length"))?
    };
    let location = field("Location").next().map(<[u8]>::to_vec);
    let reason = answer.reason.unwrap_or("").as_bytes().to_vec();
    Ok(Some((Head { status, reason, location, framing }, len)))
}

fn framing<'a>(
    codings: impl Iterator<Item = &'a [u8]>,
    lengths: impl Iterator<Item = &'a [u8]>,
) -> Result<Framing, HttpFailure> {
    let codings: Vec<&[u8]> = codings.collect();
    match codings.as_slice() {
        [] => {}
        [coding] if coding.eq_ignore_ascii_case(b"chunked") => return Ok(Framing::Chunked),
        other => return Err(HttpFailure::Coding(other.join(&b", "[..]))),
    }
    let mut known: Option<u64> = None;
    for length in lengths {
        let number = Some(length).filter(|text| text.iter().all(u8::is_ascii_digit));
        let number = number.and_then(|text| str::from_utf8(text).ok()?.parse().ok());
        if number.is_none() || known.is_some_and(|known| Some(known) != number) {
            return Err(HttpFailure::Length(length.to_vec()));
        }
        known = number;
    }
    Ok(known.map_or(Framing::Closed, Framing::Length))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Option<(Head, Vec<u8>)>, HttpFailure> {
        Reader::new(false).feed(text.as_bytes())
    }

    fn framing_of(fields: &str) -> Result<Framing, HttpFailure> {
        read(&format!("HTTP/1.1 200 OK\r\n{fields}\r\n")).map(|read| read.unwrap().0.framing)
    }

    #[test]
    fn status_reason_and_location_are_what_counts() {
        let (head, rest) = read("HTTP/1.0 301 Moved on\r\nlocation: /there\r\nContent-Length: 2\r\n\r\nab")
            .unwrap()
            .unwrap();
        let framing = Framing::Length(2);
        let location = Some(b"/there".to_vec());
        assert_eq!(head, Head { status: 301, reason: b"Moved on".into(), location, framing });
        assert_eq!(rest, b"ab");
    }

    #[test]
    fn the_length_of_a_body_is_said_in_one_way() {
        assert_eq!(framing_of(""), Ok(Framing::Closed));
        assert_eq!(framing_of("Content-Length: 12\r\n"), Ok(Framing::Length(12)));
        assert_eq!(framing_of("Content-Length: 12\r\ncontent-length: 12\r\n"), Ok(Framing::Length(12)));
        assert_eq!(framing_of("Transfer-Encoding: Chunked\r\nContent-Length: 12\r\n"), Ok(Framing::Chunked));
        for length in ["12, 12", "-1", "+1", "", "1e3", "99999999999999999999", "twelve"] {
            assert_eq!(
                framing_of(&format!("Content-Length: {length}\r\n")),
                Err(HttpFailure::Length(length.into()))
            );
        }
        let two = framing_of("Content-Length: 1\r\nContent-Length: 2\r\n");
        assert_eq!(two, Err(HttpFailure::Length(b"2".into())));
        let coding = framing_of("Transfer-Encoding: gzip, chunked\r\n");
        assert_eq!(coding, Err(HttpFailure::Coding(b"gzip, chunked".into())));
    }

    #[test]
    fn answers_without_a_body_have_none() {
        for status in ["101 x", "204 x", "304 x"] {
            let (head, _) =
                read(&format!("HTTP/1.1 {status}\r\nContent-Length: 5\r\n\r\n")).unwrap().unwrap();
            assert_eq!(head.framing, Framing::Length(0), "{status}");
        }
        let mut reader = Reader::new(true);
        let (head, _) = reader.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n").unwrap().unwrap();
        assert_eq!(head.framing, Framing::Length(0));
    }

    #[test]
    fn interim_answers_are_skipped() {
        let (head, rest) =
            read("HTTP/1.1 103 Early\r\nA: b\r\n\r\nHTTP/1.1 100 -\r\n\r\nHTTP/1.1 200 OK\r\n\r\nx")
                .unwrap()
                .unwrap();
        assert_eq!((head.status, rest.as_slice()), (200, &b"x"[..]));
        let mut reader = Reader::new(false);
        let endless = b"HTTP/1.1 100 Continue\r\n\r\n".repeat(1000);
        assert_eq!(reader.feed(&endless), Err(HttpFailure::HeadTooLong));
    }

    #[test]
    fn a_head_is_bounded_in_bytes_and_fields() {
        let mut reader = Reader::new(false);
        assert_eq!(reader.feed(b"HTTP/1.1 200 OK\r\nA: "), Ok(None));
        assert_eq!(reader.feed(&[b'x'; LIMIT]), Err(HttpFailure::HeadTooLong));
        let fields = "A: b\r\n".repeat(MOST_FIELDS + 1);
        assert_eq!(framing_of(&fields), Err(HttpFailure::TooManyFields));
        assert_eq!(framing_of(&"A: b\r\n".repeat(MOST_FIELDS)), Ok(Framing::Closed));
    }

    #[test]
    fn what_is_no_http_is_seen_at_once() {
        for text in ["SSH-2.0-x\r\n", "\0", "HTTP/2 200\r\n", "HTTP/1.1 2OO\r\n", "HTTP/1.1 200 OK\r\n\0: x"]
        {
            let got = text.as_bytes().to_vec();
            assert_eq!(read(text), Err(HttpFailure::NoHttp { got }), "{text:?}");
        }
        assert_eq!(read("HTTP"), Ok(None));
    }
}
