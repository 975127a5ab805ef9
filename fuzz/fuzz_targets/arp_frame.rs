//! Frames to announcements. What is read must be written and read again as the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use send_arp::frame::{Frame, FrameError, MIN_FRAME};

/// Where the checksum of a neighbour advertisement is: after Ethernet and IPv6 headers, type and code.
const CHECKSUM: std::ops::Range<usize> = 56..58;

fuzz_target!(|bytes: &[u8]| {
    let mut outcome = Frame::parse(bytes);
    if let Err(FrameError::Checksum { computed, .. }) = outcome {
        // Beyond guessing, so it is put right.
        let mut bytes = bytes.to_vec();
        bytes[CHECKSUM].copy_from_slice(&computed.to_be_bytes());
        outcome = Frame::parse(&bytes);
        assert!(!matches!(outcome, Err(FrameError::Checksum { .. })), "{outcome:?}");
    }
    match outcome {
        Ok(frame) => {
            let written = frame.emit();
            assert!(written.len() >= MIN_FRAME);
            assert_eq!(Frame::parse(&written), Ok(frame));
            assert!(!frame.to_string().contains(char::is_control));
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
