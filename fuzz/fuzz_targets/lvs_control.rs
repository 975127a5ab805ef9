//! Lines on the control socket to requests. What is read is written as one bounded line, which must be read as the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lvs_ipc::control::{Command, MAX_REASON};

fuzz_target!(|bytes: &[u8]| {
    let line = String::from_utf8_lossy(bytes);
    let Ok(command) = Command::parse(&line) else { return };
    if let Some(reason) = command.reason() {
        assert!(reason.chars().count() <= MAX_REASON, "{reason}");
        assert!(!reason.contains(char::is_control), "{reason:?}");
    }
    let written = command.to_line();
    assert!(written.ends_with('\n') && written.trim_end_matches('\n').lines().count() == 1, "{written:?}");
    assert_eq!(Command::parse(&written), Ok(command));
});
