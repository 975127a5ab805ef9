//! An echo request and its reply (RFC 792, RFC 4443), over a socket that the kernel gives to processes without
//! privileges. It fills in the checksum and the number of the socket, and hands over what carries that number.
//!
//! The kernel does not look at who sends a reply. So each request has a number and a beginning of its payload that cannot
//! be guessed, and what does not carry both is somebody else's: it changes nothing.

use std::net::IpAddr;

use daemonkit::clock::Mono;
use nix::errno::Errno;

use super::progress::Progress;
use super::{Conversation, Event, Fault, Limits, Next, Success, Transport, Verdict};

/// Type of an echo request and of its reply, in ICMP.
const ICMP: (u8, u8) = (8, 0);
/// The same in ICMPv6.
const ICMPV6: (u8, u8) = (128, 129);

/// Bytes that tell a reply from others: the header, and the secret after it.
const TOLD: usize = 8 + 8;

/// An echo request as it was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Echo {
    /// Bytes that follow the header of the request, at least 16.
    pub size: u16,
    /// Type of the request, and of its reply.
    types: (u8, u8),
}

impl Echo {
    /// A request of this size to a server.
    #[must_use]
    pub fn new(size: u16, server: IpAddr) -> Self {
        Self { size, types: if server.is_ipv4() { ICMP } else { ICMPV6 } }
    }
}

/// One request.
#[derive(Debug)]
pub struct Talk {
    echo: Echo,
    secret: u64,
    progress: Progress,
}

impl Conversation for Talk {
    fn step(&mut self, now: Mono, event: Event<'_>) -> Next {
        match event {
            Event::Started => self.progress.connect(now),
            Event::Connected => self.progress.send(now, self.message(self.echo.types.0)),
            Event::Sent => self.progress.sent(),
            Event::Received(bytes) if self.is_reply(bytes) => Next::healthy(Success::Answered),
            Event::Failed(errno @ (Errno::EACCES | Errno::EPERM)) if self.progress.is_opening() => {
                let doing = "ping, which net.ipv4.ping_group_range must allow to this process's group";
                Next::Done(Verdict::Unknown(Fault { doing, errno }))
            }
            Event::Failed(errno) => self.progress.failed(errno),
            Event::Deadline => self.progress.late(Vec::new(), ""),
            Event::Received(_) | Event::Closed | Event::Exited { .. } => self.progress.wait(),
        }
    }
}

impl Talk {
    /// A new conversation, whose request carries `secret`; its first event is [`Event::Started`] or [`Event::Failed`].
    #[must_use]
    pub fn new(echo: Echo, limits: Limits, secret: u64) -> Self {
        Self { echo, secret, progress: Progress::new(Transport::Udp, limits) }
    }

    /// The request or the reply: header, secret, and letters up to the size. Two bytes of the secret are the number.
    fn message(&self, kind: u8) -> Vec<u8> {
        let secret = self.secret.to_be_bytes();
        let header = [kind, 0, 0, 0, 0, 0, secret[6], secret[7]];
        let letters = (b'a'..=b'z').cycle();
        let payload = secret.into_iter().chain(letters).take(self.echo.size.into());
        header.into_iter().chain(payload).collect()
    }

    /// Whether this is the reply, or as much of a long one as the driver reads. Checksum and socket number are the
    /// kernel's.
    fn is_reply(&self, bytes: &[u8]) -> bool {
        let reply = self.message(self.echo.types.1);
        bytes.len() >= TOLD && bytes[..2] == reply[..2] && reply[6..].starts_with(&bytes[6..])
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    const SECRET: u64 = 0x0102_0304_0506_0708;
    const LIMITS: Limits =
        Limits { connect: Duration::from_secs(1), step: Duration::from_secs(2), total: None };

    fn at(millis: u64) -> Mono {
        Mono::from_millis(millis)
    }

    /// A conversation that has sent its request, and the request.
    fn asked(size: u16, server: &str) -> (Talk, Vec<u8>) {
        let mut talk = Talk::new(Echo::new(size, server.parse().unwrap()), LIMITS, SECRET);
        talk.step(at(0), Event::Started);
        let Next::Send { bytes, until } = talk.step(at(10), Event::Connected) else {
            panic!("sends nothing")
        };
        assert_eq!(until, at(2_010));
        assert_eq!(talk.step(at(20), Event::Sent), Next::Wait { until });
        (talk, bytes)
    }

    /// What the server makes of the request.
    fn reply(request: &[u8], kind: u8) -> Vec<u8> {
        // Checksum and number of the socket, as the kernel fills them in.
        [&[kind, 0, 0xab, 0xcd, 0x12, 0x34], &request[6..]].concat()
    }

    #[test]
    fn a_request_carries_a_number_a_secret_and_letters() {
        let (_, request) = asked(16, "10.0.0.1");
        assert_eq!(request, b"\x08\0\0\0\0\0\x07\x08\x01\x02\x03\x04\x05\x06\x07\x08abcdefgh");
        assert_eq!(asked(16, "2001:db8::1").1[..2], [128, 0]);
        assert_eq!(asked(1_000, "10.0.0.1").1.len(), 1_008);
    }

    #[test]
    fn the_reply_to_it_is_proof_of_life() {
        for (server, kind) in [("10.0.0.1", 0), ("2001:db8::1", 129)] {
            let (mut talk, request) = asked(56, server);
            let reply = reply(&request, kind);
            assert_eq!(talk.step(at(30), Event::Received(&reply)), Next::healthy(Success::Answered));
        }
        let (mut talk, request) = asked(9_000, "10.0.0.1");
        let cut = &reply(&request, 0)[..4_096];
        assert_eq!(talk.step(at(30), Event::Received(cut)), Next::healthy(Success::Answered));
    }

    #[test]
    fn whatever_else_comes_is_of_others() {
        let (mut talk, request) = asked(56, "10.0.0.1");
        let ours = reply(&request, 0);
        let mut wrong: Vec<Vec<u8>> = [0, 1, 6, 7, 8, 15, 63]
            .map(|at| {
                let mut other = ours.clone();
                other[at] ^= 1;
                other
            })
            .into();
        wrong.extend([request.clone(), reply(&request, 129), ours[..15].to_vec(), Vec::new()]);
        wrong.push([&ours[..], b"x"].concat());
        for other in wrong {
            assert_eq!(
                talk.step(at(30), Event::Received(&other)),
                Next::Wait { until: at(2_010) },
                "{other:?}"
            );
        }
        let silence = Next::unhealthy(crate::check::Failure::NoAnswer(LIMITS.step));
        assert_eq!(talk.step(at(2_010), Event::Deadline), silence);
    }

    #[test]
    fn a_kernel_that_gives_no_such_socket_says_nothing_about_the_server() {
        let opened = |errno| {
            let echo = Echo::new(56, "10.0.0.1".parse().unwrap());
            Talk::new(echo, LIMITS, SECRET).step(at(0), Event::Failed(errno))
        };
        let Next::Done(Verdict::Unknown(fault)) = opened(Errno::EACCES) else { panic!("known") };
        assert_eq!(
            fault.to_string(),
            "cannot ping, which net.ipv4.ping_group_range must allow to this process's group: permission denied"
        );
        assert!(matches!(opened(Errno::EMFILE), Next::Done(Verdict::Unknown(_))));
        // What a packet filter of this machine refuses is no matter of sockets.
        let (mut talk, _) = asked(56, "10.0.0.1");
        let refused = talk.step(at(30), Event::Failed(Errno::EPERM));
        assert!(matches!(refused, Next::Done(Verdict::Unhealthy(_))), "{refused:?}");
    }

    proptest! {
        #[test]
        fn no_bytes_pass_for_a_reply_without_the_secret(bytes: Vec<u8>) {
            let (mut talk, _) = asked(16, "10.0.0.1");
            prop_assert_eq!(talk.step(at(30), Event::Received(&bytes)), Next::Wait { until: at(2_010) });
        }
    }
}
