//! The body of an answer: where it ends, and whether it is as it should be.
//!
//! What is compared is kept up to [`KEPT`] bytes, and a body that is longer is judged by these. A SHA-256 is of the
//! whole body, of which nothing has to be kept, up to [`HASHED`] bytes.

use std::fmt;
use std::time::Duration;

use checkspec::http::hexadecimal;
use ring::digest::{Context, SHA256};

use super::HttpFailure;
use super::head::Framing;
use crate::expect::{Expect, LIMIT};

/// Most bytes of a body that are kept and compared.
pub const KEPT: usize = 64 * 1024;
/// Longest body of which a SHA-256 is made, in bytes.
pub const HASHED: u64 = 16 * 1024 * 1024;
/// Longest line with the length of a chunk, in bytes.
const CHUNK_LINE: usize = 1024;

/// What a body must look like.
#[derive(Debug, Clone)]
pub enum Rule {
    /// Like this.
    Like(Expect),
    /// It has this SHA-256.
    Sha256([u8; 32]),
}

/// A body on its way.
#[derive(Debug)]
pub struct Body {
    place: Place,
    /// Its length, if that was said beforehand.
    length: Option<u64>,
    count: u64,
    taken: Taken,
}

/// What the next byte is.
#[derive(Debug)]
enum Place {
    /// One of the body, of which this many are left.
    Counted(u64),
    /// One of the body, which goes on until the connection is closed.
    Unbounded,
    /// In the line with the length of a chunk, of which this has come.
    ChunkLine(Vec<u8>),
    /// One of a chunk, of which this many are left.
    Chunk(u64),
    /// In the line end after a chunk, of which this many bytes are left.
    ChunkEnd(usize),
    /// In the fields after the last chunk: bytes of this line, and of all.
    Trailer { line: usize, all: usize },
    /// None: it is complete.
    End,
}

/// What has come of the body itself.
enum Taken {
    Kept(Vec<u8>),
    Hashed(Box<Context>),
}

impl fmt::Debug for Taken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kept(bytes) => write!(f, "Kept({} bytes)", bytes.len()),
            Self::Hashed(_) => f.write_str("Hashed"),
        }
    }
}

impl Body {
    /// A body of which nothing has come.
    #[must_use]
    pub fn new(framing: Framing, rule: &Rule) -> Self {
        let (place, length) = match framing {
            Framing::Length(0) => (Place::End, Some(0)),
            Framing::Length(length) => (Place::Counted(length), Some(length)),
            Framing::Chunked => (Place::ChunkLine(Vec::new()), None),
            Framing::Closed => (Place::Unbounded, None),
        };
        let taken = match rule {
            Rule::Like(_) => Taken::Kept(Vec::new()),
            Rule::Sha256(_) => Taken::Hashed(Box::new(Context::new(&SHA256))),
        };
        Self { place, length, count: 0, taken }
    }

    /// What of it has come and was kept.
    #[must_use]
    pub fn kept(&self) -> &[u8] {
        match &self.taken {
            Taken::Kept(bytes) => bytes,
            Taken::Hashed(_) => &[],
        }
    }

    /// The next piece has come. Tells whether that is all that is looked at.
    ///
    /// # Errors
    /// Why it is no body.
    pub fn feed(&mut self, mut bytes: &[u8]) -> Result<bool, HttpFailure> {
        while !bytes.is_empty() && !self.is_enough() {
            let used = match &mut self.place {
                Place::Counted(_) | Place::Unbounded | Place::Chunk(_) => self.take(bytes)?,
                Place::ChunkLine(line) => {
                    let end = bytes.iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |at| at + 1);
                    line.extend_from_slice(&bytes[..end]);
                    if line.ends_with(b"\n") || line.len() > CHUNK_LINE {
                        self.place = chunk(line)?;
                    }
                    end
                }
                Place::ChunkEnd(left) => {
                    let expected = if *left == 2 { b'\r' } else { b'\n' };
                    if bytes[0] != expected {
                        return Err(HttpFailure::Chunk(bytes[..1].to_vec()));
                    }
                    *left -= 1;
                    if *left == 0 {
                        self.place = Place::ChunkLine(Vec::new());
                    }
                    1
                }
                Place::Trailer { line, all } => {
                    *all += 1;
                    match bytes[0] {
                        b'\n' if *line == 0 => self.place = Place::End,
                        b'\n' => *line = 0,
                        b'\r' => {}
                        _ => *line += 1,
                    }
                    if matches!(self.place, Place::Trailer { all, .. } if all > LIMIT) {
                        return Err(HttpFailure::HeadTooLong);
                    }
                    1
                }
                Place::End => bytes.len(),
            };
            bytes = &bytes[used..];
        }
        Ok(self.is_enough())
    }

    /// Takes bytes of the body itself, and tells how many.
    fn take(&mut self, bytes: &[u8]) -> Result<usize, HttpFailure> {
        let left = match &self.place {
            Place::Counted(left) | Place::Chunk(left) => *left,
            _ => u64::MAX,
        };
        let len = usize::try_from(left).map_or(bytes.len(), |left| left.min(bytes.len()));
        let len = match &mut self.taken {
            Taken::Kept(kept) => {
                let len = len.min(KEPT - kept.len());
                kept.extend_from_slice(&bytes[..len]);
                len
            }
            Taken::Hashed(context) => {
                context.update(&bytes[..len]);
                len
            }
        };
        let count = u64::try_from(len).unwrap_or(u64::MAX);
        self.count += count;
        if matches!(self.taken, Taken::Hashed(_)) && self.count > HASHED {
            return Err(HttpFailure::BodyTooLong);
        }
        match &mut self.place {
            Place::Counted(left) if *left == count => self.place = Place::End,
            Place::Chunk(left) if *left == count => self.place = Place::ChunkEnd(2),
            Place::Counted(left) | Place::Chunk(left) => *left -= count,
            _ => {}
        }
        Ok(len)
    }

    /// Whether all has come that is looked at.
    fn is_enough(&self) -> bool {
        matches!(self.place, Place::End) || matches!(&self.taken, Taken::Kept(kept) if kept.len() >= KEPT)
    }

    /// The connection was closed: that is the end of some bodies.
    ///
    /// # Errors
    /// Of others it is not.
    pub fn closed(&mut self) -> Result<(), HttpFailure> {
        match self.place {
            Place::Unbounded | Place::End => Ok(()),
            _ => Err(HttpFailure::ClosedInBody { got: self.count, of: self.length }),
        }
    }

    /// It has not come in time.
    #[must_use]
    pub fn too_late(&self, within: Duration) -> HttpFailure {
        HttpFailure::SlowBody { got: self.count, of: self.length, within }
    }

    /// Whether the body, which has come, is as it should be.
    ///
    /// # Errors
    /// It is another.
    pub fn judge(&mut self, rule: &Rule) -> Result<(), HttpFailure> {
        match (&mut self.taken, rule) {
            (Taken::Kept(kept), Rule::Like(expect)) => {
                let is_like = match expect {
                    Expect::Anything => !kept.is_empty(),
                    expect => expect.accepts(kept),
                };
                if is_like {
                    return Ok(());
                }
                Err(HttpFailure::Body { got: std::mem::take(kept), expected: expect.to_string() })
            }
            (Taken::Hashed(context), Rule::Sha256(expected)) => {
                let digest = Context::clone(context).finish();
                if digest.as_ref() == expected {
                    return Ok(());
                }
                let (got, expected) = (hexadecimal(digest.as_ref()), hexadecimal(expected));
                Err(HttpFailure::Sha256 { got, expected })
            }
            (Taken::Kept(_), Rule::Sha256(_)) | (Taken::Hashed(_), Rule::Like(_)) => Ok(()),
        }
    }
}

/// What follows a line with the length of a chunk (RFC 9112, 7.1).
fn chunk(line: &[u8]) -> Result<Place, HttpFailure> {
    match httparse::parse_chunk_size(line) {
        Ok(httparse::Status::Complete((_, 0))) => Ok(Place::Trailer { line: 0, all: 0 }),
        Ok(httparse::Status::Complete((_, length))) => Ok(Place::Chunk(length)),
        Ok(httparse::Status::Partial) | Err(_) => Err(HttpFailure::Chunk(line.to_vec())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn like(expect: Expect) -> Rule {
        Rule::Like(expect)
    }

    fn literal(text: &str) -> Rule {
        like(Expect::Literal(text.into()))
    }

    /// What is said of a body that comes in pieces of `size` bytes, and then the end of the connection.
    fn verdict(framing: Framing, rule: &Rule, bytes: &[u8], size: usize) -> Result<(), HttpFailure> {
        let mut body = Body::new(framing, rule);
        for piece in bytes.chunks(size) {
            if body.feed(piece)? {
                return body.judge(rule);
            }
        }
        body.closed()?;
        body.judge(rule)
    }

    #[test]
    fn chunks_are_put_together_whatever_the_pieces() {
        let rule = like(Expect::pattern(b"^abcdefghij$").unwrap());
        let bytes = b"3;x=y\r\nabc\r\n0007\r\ndefghij\r\n0\r\nA: b\r\nC: d\r\n\r\n";
        for size in 1..bytes.len() {
            assert_eq!(verdict(Framing::Chunked, &rule, bytes, size), Ok(()), "{size}");
        }
    }

    #[test]
    fn chunks_that_are_none_are_told() {
        let verdict = |bytes: &[u8]| verdict(Framing::Chunked, &literal("a"), bytes, 5);
        assert_eq!(verdict(b"xyz\r\n"), Err(HttpFailure::Chunk(b"xyz\r\n".into())));
        assert_eq!(verdict(b"1\r\nab\r\n"), Err(HttpFailure::Chunk(b"b".into())));
        assert_eq!(verdict(b"1\r\na\r\n"), Err(HttpFailure::ClosedInBody { got: 1, of: None }));
        assert_eq!(verdict(b"1\r\na\r\n0\r\n"), Err(HttpFailure::ClosedInBody { got: 1, of: None }));
        let endless_line = [b'1'; 2 * CHUNK_LINE];
        assert!(matches!(verdict(&endless_line), Err(HttpFailure::Chunk(_))));
        let endless_trailer = [b"0\r\n".to_vec(), b"A: b\r\n".repeat(LIMIT)].concat();
        assert_eq!(verdict(&endless_trailer), Err(HttpFailure::HeadTooLong));
    }

    #[test]
    fn a_body_ends_where_its_length_says_or_is_incomplete() {
        let rule = literal("ab");
        assert_eq!(verdict(Framing::Length(2), &rule, b"abHTTP", 3), Ok(()));
        assert_eq!(
            verdict(Framing::Length(3), &rule, b"ab", 1),
            Err(HttpFailure::ClosedInBody { got: 2, of: Some(3) })
        );
        assert_eq!(verdict(Framing::Closed, &rule, b"abc", 1), Ok(()));
        let empty = HttpFailure::Body { got: vec![], expected: "anything".into() };
        assert_eq!(verdict(Framing::Length(0), &like(Expect::Anything), b"", 1), Err(empty));
    }

    #[test]
    fn an_endless_body_is_judged_by_its_beginning() {
        let rule = like(Expect::pattern(b"needle").unwrap());
        let mut bytes = vec![b'x'; KEPT];
        bytes.extend_from_slice(b"needle");
        let failure = verdict(Framing::Closed, &rule, &bytes, 4096).unwrap_err();
        assert!(matches!(&failure, HttpFailure::Body { got, .. } if got.len() == KEPT), "{failure:?}");
        assert_eq!(verdict(Framing::Closed, &literal("xx"), &bytes, 4096), Ok(()));
    }

    #[test]
    fn a_sha256_is_of_the_whole_body() {
        // FIPS 180-2, B.1 and B.2: one block and two.
        for (text, digest) in [
            ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
            (
                "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
                "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
            ),
        ] {
            let rule = Rule::Sha256(parse(digest));
            for size in 1..text.len() {
                assert_eq!(verdict(Framing::Closed, &rule, text.as_bytes(), size), Ok(()));
            }
            let failure = verdict(Framing::Closed, &rule, b"abd", 3).unwrap_err();
            assert!(matches!(failure, HttpFailure::Sha256 { expected, .. } if expected == digest));
        }
        let mut body = Body::new(Framing::Closed, &Rule::Sha256([0; 32]));
        let mebibyte = vec![0; 1 << 20];
        for _ in 0..16 {
            assert_eq!(body.feed(&mebibyte), Ok(false));
        }
        assert_eq!(body.feed(b"x"), Err(HttpFailure::BodyTooLong));
    }

    fn parse(digest: &str) -> [u8; 32] {
        let pair = |at: usize| u8::from_str_radix(&digest[2 * at..2 * at + 2], 16).unwrap();
        std::array::from_fn(pair)
    }
}
