//! Datagrams as the kernel sends them to messages, and messages to what they mean. What is read must be written and
//! read again as the same, on both levels.
#![no_main]

use ipvsadm::wire::ack::{self, Body};
use ipvsadm::wire::destination::DestinationAttribute;
use ipvsadm::wire::service::ServiceAttribute;
use ipvsadm::wire::{Attribute, Message, daemon, destination, message, service, stats};
use ipvsadm::{Family, Stats};
use libfuzzer_sys::fuzz_target;

/// The number under which answers of the family come; the kernel chooses one.
const FAMILY: u16 = 0x1e;

fuzz_target!(|bytes: &[u8]| {
    for raw in ack::split(bytes).map_while(Result::ok) {
        if let Ok(incoming) = ack::parse(&raw, FAMILY)
            && let Body::Answer(answer) = incoming.body
            && let Ok(message) = answer.message()
        {
            message_survives(&message);
        }
    }
    // The same without the headers, which are hard to guess: a command and its attributes, and a nest of each kind.
    let Some((command, attributes)) = bytes.split_first() else { return };
    if let Ok(message) = Message::parse(*command, attributes) {
        message_survives(&message);
    }
    nests_survive(attributes);
});

fn message_survives(message: &Message) {
    let again = rewritten(message);
    assert_eq!(rewritten(&again), again);
    if !has_wide_numbers_in_narrow_counters(message) {
        assert_eq!(again, *message);
    }
    if let Ok(Some(request)) = message.to_request() {
        let again = rewritten(&Message::of_request(&request)).to_request();
        assert_eq!(again, Ok(Some(request)));
    }
    assert_eq!(
        Message::new(0, message::timeout_attributes(&message.timeouts())).timeouts(),
        message.timeouts()
    );
    // Nothing to compare with: it only must not panic.
    let _ = message.info();
}

/// No kernel sends 64 bits where 32 belong; they are read, but stop at the largest of 32 bits when written.
fn has_wide_numbers_in_narrow_counters(message: &Message) -> bool {
    let narrowed = |counters: &Stats| stats::parse(&stats::emit(counters, false));
    message.attributes.iter().any(|attribute| match attribute {
        Attribute::Service(nest) => nest
            .iter()
            .any(|it| matches!(it, ServiceAttribute::Stats(stats) if narrowed(stats).as_ref() != Ok(stats))),
        Attribute::Destination(nest) => nest.iter().any(
            |it| matches!(it, DestinationAttribute::Stats(stats) if narrowed(stats).as_ref() != Ok(stats)),
        ),
        _ => false,
    })
}

/// `message` after a journey as bytes.
fn rewritten(message: &Message) -> Message {
    let mut datagram = Vec::new();
    message.write(FAMILY, 0, 1, &mut datagram);
    let mut messages = ack::split(&datagram);
    let raw = messages.next().expect("one message was written").expect("it is well-formed");
    assert!(messages.next().is_none());
    match ack::parse(&raw, FAMILY).expect("it can be read").body {
        Body::Answer(answer) => answer.message().expect("its attributes can be read"),
        other => panic!("{other:?}"),
    }
}

fn nests_survive(nest: &[u8]) {
    if let Ok(attributes) = service::parse(nest)
        && let Ok((service, stats)) = service::service(&attributes)
    {
        assert_eq!(service::service(&service::entry_attributes(&service, stats)), Ok((service, stats)));
    }
    if let Ok(attributes) = destination::parse(nest) {
        for family in [Family::V4, Family::V6] {
            if let Ok(entry) = destination::entry(&attributes, family) {
                let again = destination::entry(&destination::entry_attributes(&entry), family);
                assert_eq!(again, Ok(entry));
            }
        }
    }
    if let Ok(attributes) = daemon::parse(nest)
        && let Ok(daemon) = daemon::daemon(&attributes)
    {
        assert_eq!(daemon::daemon(&daemon::attributes(&daemon)), Ok(daemon));
    }
    if let Ok(counters) = stats::parse(nest) {
        assert_eq!(stats::parse(&stats::emit(&counters, true)), Ok(counters));
    }
}
