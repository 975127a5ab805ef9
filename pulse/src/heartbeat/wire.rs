//! The heartbeat datagram: four bytes that an original `pulse` understands, then our trailer, which it ignores.
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +---------------------------------------------------------------+
//! |       the original's word, in the sender's byte order         |
//! +---------------------------------------------------------------+
//! |                    "LVSR" (4c 56 53 52)                       |
//! +---------------+---------------+-------------------------------+
//! |  version = 1  |     flags     |  trailer length = 36, bytes   |
//! +---------------+---------------+-------------------------------+
//! |                             term                              |
//! +---------------------------------------------------------------+
//! |                          incarnation                          |
//! |                                                               |
//! +---------------------------------------------------------------+
//! |                           sequence                            |
//! |                                                               |
//! +---------------------------------------------------------------+
//! |              echo: incarnation of the other router            |
//! |                                                               |
//! +---------------------------------------------------------------+
//! ```
//!
//! The trailer is in network byte order. Its length counts from "LVSR" on; later versions only append, so a reader
//! takes what it knows of a longer trailer and whatever version it carries. Nothing here keeps state or decides
//! anything.

/// Length of the original's datagram.
const WORD_LEN: usize = 4;
/// Where the trailer begins, and how it is told from padding.
const MARK: &[u8; 4] = b"LVSR";
/// Version of the trailer that is written here.
const VERSION: u8 = 1;
/// Length of a version 1 trailer.
const TRAILER_LEN: u16 = 36;

/// Longest datagram that is looked at.
pub const MAX_LEN: usize = 1024;

mod flag {
    /// The sender is able to serve.
    pub(super) const FIT: u8 = 0x01;
    /// The sender's services and addresses are complete (only together with "running").
    pub(super) const SETTLED: u8 = 0x02;
    /// The sender asks the receiver to take over (only together with "stopped").
    pub(super) const TAKE_OVER: u8 = 0x04;
}

/// The original's words, as a little-endian host of its time put them on the wire.
mod word {
    pub(super) const LVS_RUNNING: u32 = 0xbdad_dbda;
    pub(super) const LVS_STOPPED: u32 = 0xadbd_dabd;
    pub(super) const STOP_ME: u32 = 0xdead_dada;
    pub(super) const HOLD: u32 = 0xdeaf_babe;
    pub(super) const HELD: u32 = 0xdeaf_dada;
}

/// Byte order of the four leading bytes: that of the sender's processor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ByteOrder {
    /// x86 and most others; what is sent until the other router shows another one.
    #[default]
    Little,
    /// An original `pulse` on a big-endian machine understands only this one.
    Big,
}

/// What the four leading bytes say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    /// "I serve."
    Running,
    /// "I do not serve."
    Stopped,
    /// "I am alive" (`HOLD` and `HELD`, which no release ever sent).
    Alive,
}

/// What a `pulse` of this suite adds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trailer {
    /// Whether the sender could serve if it had to.
    pub fit: bool,
    /// Whether a serving sender has its addresses and services complete.
    pub settled: bool,
    /// Whether a sender that does not serve asks the receiver to do so.
    pub take_over: bool,
    /// How often the service has been taken over, as far as the sender knows. Of two routers that both serve, the
    /// one with the higher term took over later and is right.
    pub term: u32,
    /// Random number of this run of the sender.
    pub incarnation: u64,
    /// Counts this run's heartbeats; a heartbeat and its copy on the other path have the same one.
    pub sequence: u64,
    /// The incarnation that the sender last heard from the receiver; 0 for none.
    pub echo: u64,
}

/// One heartbeat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heartbeat {
    /// What an original says and understands.
    pub word: Word,
    /// Byte order of the word.
    pub order: ByteOrder,
    /// What we add; `None` from an original.
    pub trailer: Option<Trailer>,
}

/// Why a datagram is no heartbeat of an LVS router.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// Fewer than four bytes.
    #[error("{0} bytes, at least {WORD_LEN} are needed")]
    Short(usize),
    /// The first four bytes mean nothing to us, for example a router that runs failover services.
    #[error("unknown word {0:02x?}")]
    UnknownWord([u8; WORD_LEN]),
    /// A trailer of ours that ends too early or has an impossible length.
    #[error("trailer of {found} bytes says {said} bytes, at least {TRAILER_LEN} are needed")]
    BadTrailer {
        /// Bytes after the word.
        found: usize,
        /// What its length field says.
        said: u16,
    },
}

impl Heartbeat {
    /// Reads a datagram. Bytes after the word that are not our trailer are ignored, as an original does.
    ///
    /// # Errors
    /// [`WireError`] says what is wrong; such a datagram proves nothing about the other router.
    pub fn parse(datagram: &[u8]) -> Result<Self, WireError> {
        let (word_bytes, rest) =
            datagram.split_first_chunk::<WORD_LEN>().ok_or(WireError::Short(datagram.len()))?;
        let (word, order) = parse_word(*word_bytes)?;
        let trailer = if rest.starts_with(MARK) { Some(parse_trailer(rest)?) } else { None };
        Ok(Self { word, order, trailer })
    }

    /// Writes the datagram.
    #[must_use]
    pub fn emit(&self) -> Vec<u8> {
        let value = match self.word {
            Word::Running => word::LVS_RUNNING,
            Word::Stopped => word::LVS_STOPPED,
            Word::Alive => word::HELD,
        };
        let mut datagram = match self.order {
            ByteOrder::Little => value.to_le_bytes().to_vec(),
            ByteOrder::Big => value.to_be_bytes().to_vec(),
        };
        if let Some(trailer) = &self.trailer {
            emit_trailer(trailer, &mut datagram);
        }
        datagram
    }
}

fn parse_word(bytes: [u8; WORD_LEN]) -> Result<(Word, ByteOrder), WireError> {
    let known = |value| match value {
        word::LVS_RUNNING | word::STOP_ME => Some(Word::Running),
        word::LVS_STOPPED => Some(Word::Stopped),
        word::HOLD | word::HELD => Some(Word::Alive),
        _ => None,
    };
    let little = known(u32::from_le_bytes(bytes)).map(|word| (word, ByteOrder::Little));
    little
        .or_else(|| known(u32::from_be_bytes(bytes)).map(|word| (word, ByteOrder::Big)))
        .ok_or(WireError::UnknownWord(bytes))
}

fn parse_trailer(rest: &[u8]) -> Result<Trailer, WireError> {
    let too_short = |said| WireError::BadTrailer { found: rest.len(), said };
    let mut fields = Reader { rest: rest.get(MARK.len()..).unwrap_or_default() };
    let (Some([_version, flags]), Some(length)) = (fields.take::<2>(), fields.take::<2>()) else {
        return Err(too_short(0));
    };
    let length = u16::from_be_bytes(length);
    if length < TRAILER_LEN || usize::from(length) > rest.len() {
        return Err(too_short(length));
    }
    let (Some(term), Some(incarnation), Some(sequence), Some(echo)) =
        (fields.take::<4>(), fields.take::<8>(), fields.take::<8>(), fields.take::<8>())
    else {
        return Err(too_short(length));
    };
    Ok(Trailer {
        fit: flags & flag::FIT != 0,
        settled: flags & flag::SETTLED != 0,
        take_over: flags & flag::TAKE_OVER != 0,
        term: u32::from_be_bytes(term),
        incarnation: u64::from_be_bytes(incarnation),
        sequence: u64::from_be_bytes(sequence),
        echo: u64::from_be_bytes(echo),
    })
}

fn emit_trailer(trailer: &Trailer, datagram: &mut Vec<u8>) {
    let bit = |set, flag| if set { flag } else { 0 };
    let flags = bit(trailer.fit, flag::FIT)
        | bit(trailer.settled, flag::SETTLED)
        | bit(trailer.take_over, flag::TAKE_OVER);
    datagram.extend_from_slice(MARK);
    datagram.extend_from_slice(&[VERSION, flags]);
    datagram.extend_from_slice(&TRAILER_LEN.to_be_bytes());
    datagram.extend_from_slice(&trailer.term.to_be_bytes());
    for field in [trailer.incarnation, trailer.sequence, trailer.echo] {
        datagram.extend_from_slice(&field.to_be_bytes());
    }
}

/// Takes fields of fixed size off the front.
struct Reader<'a> {
    rest: &'a [u8],
}

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (field, rest) = self.rest.split_first_chunk::<N>()?;
        self.rest = rest;
        Some(*field)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TRAILER: Trailer = Trailer {
        fit: true,
        settled: false,
        take_over: true,
        term: 7,
        incarnation: 0x0102_0304_0506_0708,
        sequence: 0x11,
        echo: 0x22,
    };

    // Each byte: word, "LVSR", version and flags, length 36, term, incarnation, sequence, echo.
    const WITH_TRAILER: [u8; 40] = [
        0xbd, 0xda, 0xbd, 0xad, 0x4c, 0x56, 0x53, 0x52, 1, 0b101, 0, 36, 0, 0, 0, 7, 1, 2, 3, 4, 5, 6, 7, 8,
        0, 0, 0, 0, 0, 0, 0, 0x11, 0, 0, 0, 0, 0, 0, 0, 0x22,
    ];

    fn original(bytes: [u8; 4]) -> Result<(Word, ByteOrder), WireError> {
        Heartbeat::parse(&bytes).map(|heartbeat| (heartbeat.word, heartbeat.order))
    }

    #[test]
    fn reads_the_words_of_originals_of_either_byte_order() {
        assert_eq!(original([0xda, 0xdb, 0xad, 0xbd]), Ok((Word::Running, ByteOrder::Little)));
        assert_eq!(original([0xbd, 0xda, 0xbd, 0xad]), Ok((Word::Stopped, ByteOrder::Little)));
        assert_eq!(original([0xbd, 0xad, 0xdb, 0xda]), Ok((Word::Running, ByteOrder::Big)));
        assert_eq!(original([0xad, 0xbd, 0xda, 0xbd]), Ok((Word::Stopped, ByteOrder::Big)));
        assert_eq!(original([0xbe, 0xba, 0xaf, 0xde]), Ok((Word::Alive, ByteOrder::Little)));
        assert_eq!(original([0xda, 0xda, 0xaf, 0xde]), Ok((Word::Alive, ByteOrder::Little)));
    }

    #[test]
    fn a_stop_me_counts_as_running_because_only_failover_services_know_it_as_a_command() {
        assert_eq!(original([0xda, 0xda, 0xad, 0xde]), Ok((Word::Running, ByteOrder::Little)));
    }

    #[test]
    fn routers_of_failover_services_are_strangers() {
        let running = [0xbe, 0xba, 0xef, 0xbe];
        assert_eq!(original(running), Err(WireError::UnknownWord(running)));
        let stopped = [0xef, 0xbe, 0xad, 0xde];
        assert_eq!(original(stopped), Err(WireError::UnknownWord(stopped)));
    }

    #[test]
    fn writes_and_reads_the_layout_that_is_drawn_above() {
        let heartbeat = Heartbeat { word: Word::Stopped, order: ByteOrder::Little, trailer: Some(TRAILER) };
        let datagram = heartbeat.emit();
        assert_eq!(datagram, WITH_TRAILER);
        assert_eq!(Heartbeat::parse(&datagram), Ok(heartbeat));
    }

    #[test]
    fn without_a_trailer_it_is_exactly_what_an_original_sends() {
        let running = Heartbeat { word: Word::Running, order: ByteOrder::Little, trailer: None };
        assert_eq!(running.emit(), [0xda, 0xdb, 0xad, 0xbd]);
        let stopped = Heartbeat { word: Word::Stopped, order: ByteOrder::Big, trailer: None };
        assert_eq!(stopped.emit(), [0xad, 0xbd, 0xda, 0xbd]);
    }

    #[test]
    fn a_longer_trailer_of_a_later_version_is_read_as_far_as_it_is_known() {
        let heartbeat = Heartbeat { word: Word::Running, order: ByteOrder::Little, trailer: Some(TRAILER) };
        let mut datagram = heartbeat.emit();
        datagram[8] = 9;
        datagram[11] = 44;
        datagram.extend_from_slice(&[0xff; 8]);
        assert_eq!(Heartbeat::parse(&datagram), Ok(heartbeat));
    }

    #[test]
    fn rejects_what_is_cut_short() {
        assert_eq!(Heartbeat::parse(&[0xda, 0xdb, 0xad]), Err(WireError::Short(3)));
        let datagram =
            Heartbeat { word: Word::Running, order: ByteOrder::Little, trailer: Some(TRAILER) }.emit();
        for length in 8..datagram.len() {
            assert!(
                matches!(Heartbeat::parse(&datagram[..length]), Err(WireError::BadTrailer { .. })),
                "{length}"
            );
        }
    }

    #[test]
    fn bytes_that_are_no_trailer_are_ignored_as_an_original_does() {
        let parsed = Heartbeat::parse(b"\xda\xdb\xad\xbdsomething else").unwrap();
        assert_eq!((parsed.word, parsed.trailer), (Word::Running, None));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(flags in 0u8..8, term: u32, incarnation: u64, sequence: u64, echo: u64) {
            let trailer = Trailer {
                fit: flags & 1 != 0, settled: flags & 2 != 0, take_over: flags & 4 != 0,
                term, incarnation, sequence, echo,
            };
            for word in [Word::Running, Word::Stopped, Word::Alive] {
                for order in [ByteOrder::Little, ByteOrder::Big] {
                    let heartbeat = Heartbeat { word, order, trailer: Some(trailer) };
                    prop_assert_eq!(Heartbeat::parse(&heartbeat.emit()), Ok(heartbeat));
                }
            }
        }

        #[test]
        fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Heartbeat::parse(&bytes);
            let _ = Heartbeat::parse(&[b"\xda\xdb\xad\xbdLVSR".as_slice(), &bytes].concat());
        }
    }
}
