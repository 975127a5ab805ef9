//! Lines of a monitor to reports. What is read is written as one bounded line, which must be read as the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lvs_ipc::report::{MAX_LINE, Report};

/// A line of this length holds no part that is cut, in bytes.
const LONGEST_UNCUT: usize = 128;

fuzz_target!(|bytes: &[u8]| {
    let line = String::from_utf8_lossy(bytes);
    let Ok(report) = Report::parse(&line) else { return };
    let written = report.to_string();
    assert!(written.len() <= MAX_LINE, "{} bytes: {written}", written.len());
    assert!(!written.contains(char::is_control), "{written:?}");
    let again = Report::parse(&written);
    assert_eq!(again.as_ref().map(ToString::to_string), Ok(written));
    // Writing cuts what is long and replaces what is not printable, and nothing else.
    if line.len() <= LONGEST_UNCUT && !line.contains(char::is_control) {
        assert_eq!(again, Ok(report));
    }
});
