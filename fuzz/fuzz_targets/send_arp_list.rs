//! Lists of addresses to announce. Every line is an entry, a problem or blank; an entry written as a line must be
//! read as the same, and a problem can be shown.
#![no_main]

use libfuzzer_sys::fuzz_target;
use send_arp::list::{Entry, Origin, parse};

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    let count = text.lines().count();
    let (entries, problems) = parse(&text);
    assert!(entries.len() + problems.len() <= count);
    for entry in entries {
        is_within(entry.origin, count);
        let line = line(&entry);
        let again = Entry { origin: Origin::Line(1), ..entry };
        assert_eq!(parse(&line), (vec![again], Vec::new()), "{line}");
    }
    for problem in problems {
        is_within(problem.origin, count);
        let message = problem.to_string();
        assert!(!message.contains(char::is_control), "{message:?}");
    }
});

fn is_within(origin: Origin, count: usize) {
    assert!(matches!(origin, Origin::Line(number) if (1..=count).contains(&number)), "{origin} of {count}");
}

fn line(entry: &Entry) -> String {
    let mut line = entry.address.to_string();
    if let Some(device) = &entry.device {
        line = format!("{line} {device}");
    }
    if let Some(mac) = &entry.mac {
        line = format!("{line} {mac}");
    }
    line
}
