//! `ping`: machines that answer, as far as this one may ask.

use std::net::SocketAddr;

use socket2::{Domain, Protocol, Socket, Type};

use super::support::{Nanny, up};

/// Whether this process may have such sockets. Where it may not, the tests below check what is said about that.
fn may_ping() -> bool {
    Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::ICMPV4)).is_ok()
}

fn assert_pinged(server: &str, check: &str) {
    let server: SocketAddr = server.parse().unwrap();
    let nanny = Nanny::check_words(server, &["-t", "5", "--check", check]);
    if may_ping() {
        assert_eq!(nanny.report(), up("answered"));
    } else {
        let line = nanny.log_line("cannot check; the state stays as it is");
        assert!(line.contains("net.ipv4.ping_group_range must allow"), "{line}");
        assert!(!nanny.has_reported());
    }
}

#[test]
fn this_machine_answers_or_it_is_said_why_it_cannot_be_asked() {
    assert_pinged("127.0.0.1:0", "ping");
    assert_pinged("127.0.0.1:0", "ping size=16");
    assert_pinged("127.0.0.1:0", "ping size=9000");
    assert_pinged("[::1]:0", "ping");
}
