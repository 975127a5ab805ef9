//! Answers for tests, as bytes.

use checkspec::{Check, Dns};

/// A check of that text.
pub(super) fn asked(text: &str) -> Dns {
    match text.parse() {
        Ok(Check::Dns(dns)) => dns,
        other => panic!("{other:?}"),
    }
}

/// An answer to a question.
#[derive(Debug, Clone, Default)]
pub(super) struct Answer {
    pub(super) code: u8,
    pub(super) truncated: bool,
    pub(super) records: Vec<Vec<u8>>,
    /// How many bytes are missing at its end.
    pub(super) cut: usize,
}

impl Answer {
    pub(super) fn bytes(&self, query: &[u8]) -> Vec<u8> {
        let mut bytes = query.to_vec();
        bytes[2] |= if self.truncated { 0x82 } else { 0x80 };
        bytes[3] = 0x80 | self.code;
        bytes[7] = u8::try_from(self.records.len()).unwrap();
        bytes.extend(self.records.concat());
        bytes.truncate(bytes.len() - self.cut);
        bytes
    }
}

/// A record of the name that was asked for.
pub(super) fn record(kind: u8, data: &[u8]) -> Vec<u8> {
    let length = u8::try_from(data.len()).unwrap();
    [&[0xc0, 12, 0, kind, 0, 1, 0, 0, 0, 60, 0, length], data].concat()
}

/// A name as it is in a message.
pub(super) fn name(text: &str) -> Vec<u8> {
    let label = |label: &str| [&[u8::try_from(label.len()).unwrap()], label.as_bytes()].concat();
    text.split('.').flat_map(label).chain([0]).collect()
}
