//! Lines of rules, and words of a command line, to commands of `ipvsadm`. A change that results is displayed as a
//! rule, which must be read as the same change.
#![no_main]

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;

use ipvsadm::cli::args::{self, ArgsError, Command};
use ipvsadm::cli::names::Numeric;
use ipvsadm::cli::rules;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    for line in String::from_utf8_lossy(bytes).lines() {
        if let Some(outcome) = rules::read(line, &Numeric).transpose() {
            outcome_is_sound(outcome);
        }
    }
    // Words may hold what a line cannot: blanks, nothing at all, bytes that are no text.
    let words = bytes.split(|byte| *byte == 0).map(|word| OsString::from_vec(word.to_vec()));
    outcome_is_sound(args::parse(words, &Numeric));
});

fn outcome_is_sound(outcome: Result<Command, ArgsError>) {
    match outcome {
        Ok(Command::Change(request)) => {
            let line = request.to_string();
            // Rules know neither quotes nor escapes, so a name that looks like a comment cannot be one.
            if line.contains(" #") {
                return;
            }
            assert_eq!(rules::read(&line, &Numeric), Ok(Some(Command::Change(request))), "{line}");
        }
        Ok(_) => {}
        Err(error) => assert!(!error.message.is_empty()),
    }
}
