//! Captured frames as a file that every network analyser reads (the pcap format of `pcap-savefile(5)`).

use std::{fs, path::Path};

use crate::frame::Frame;

/// Magic number of the format with microseconds, in our own byte order as the format allows.
const MAGIC: u32 = 0xa1b2_c3d4;
/// `LINKTYPE_ETHERNET`.
const ETHERNET: u32 = 1;
/// Longest frame that a reader must expect.
const LONGEST: u32 = 65_535;

/// Writes the frames to a file named after where they were seen, and returns its name if that was possible.
pub(crate) fn save(folder: &Path, place: &str, frames: &[Frame]) -> Option<String> {
    let stem = place.replace('/', "-");
    let free = |n: &u32| !folder.join(format!("{stem}-{n}.pcap")).exists();
    let name = format!("{stem}-{}.pcap", (1..1000).find(free)?);
    fs::write(folder.join(&name), encode(frames)).ok().map(|()| name)
}

/// The file's bytes: header, then each frame behind its time (since the lab started) and its length, twice.
fn encode(frames: &[Frame]) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend(MAGIC.to_ne_bytes());
    // Version 2.4.
    bytes.extend(2_u16.to_ne_bytes());
    bytes.extend(4_u16.to_ne_bytes());
    for number in [0, 0, LONGEST, ETHERNET] {
        bytes.extend(number.to_ne_bytes());
    }
    for frame in frames {
        let seconds = u32::try_from(frame.at.as_secs()).unwrap_or(u32::MAX);
        let length = u32::try_from(frame.bytes.len()).unwrap_or(u32::MAX);
        for number in [seconds, frame.at.subsec_micros(), length, length] {
            bytes.extend(number.to_ne_bytes());
        }
        bytes.extend(&frame.bytes);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_frame_stands_behind_its_time_and_length() {
        let frame = Frame { at: Duration::from_micros(2_000_003), bytes: vec![7; 5] };
        let bytes = encode(&[frame]);
        assert_eq!(bytes.len(), 24 + 16 + 5);
        let numbers = |from: usize| bytes[from..from + 4].try_into().map(u32::from_ne_bytes).ok();
        assert_eq!(
            [numbers(24), numbers(28), numbers(32), numbers(36)],
            [Some(2), Some(3), Some(5), Some(5)]
        );
        assert_eq!(bytes[40..], [7; 5]);
    }
}
