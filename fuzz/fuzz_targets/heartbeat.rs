//! Datagrams to heartbeats. What is read must be written and read again as the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pulse::heartbeat::wire::Heartbeat;

fuzz_target!(|datagram: &[u8]| {
    if let Ok(heartbeat) = Heartbeat::parse(datagram) {
        assert_eq!(Heartbeat::parse(&heartbeat.emit()), Ok(heartbeat));
    }
});
