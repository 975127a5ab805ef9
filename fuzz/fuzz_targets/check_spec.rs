//! The text of a check, as it stands in lvs.cf and on the monitor's command line: what is read is written so that it reads
//! back as the same, and what is refused is refused at a place in the text.
#![no_main]

use checkspec::Check;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    match text.parse::<Check>() {
        Ok(check) => {
            let written = check.to_string();
            assert_eq!(written.parse(), Ok(check), "{text:?} was written as {written:?}");
        }
        Err(error) => {
            assert!(text.get(error.place.clone()).is_some(), "{text:?}: {error} at {:?}", error.place);
            assert!(!error.to_string().contains(char::is_control), "{text:?}: {error:?}");
        }
    }
});
