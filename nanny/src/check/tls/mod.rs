//! TLS around any conversation over a stream: what the conversation sends is encrypted, what comes is decrypted.
//!
//! ```text
//!            Started, Connected, Received, Sent, Closed ...
//!  driver --------------------------------------------------> Talk (rustls, fed with bytes) --> inner conversation
//!         <------ bytes of TLS ------------------------------      <---- plain bytes ----------
//! ```
//!
//! The inner conversation is told [`Event::Connected`] when the handshake is done. The connection, the handshake and
//! what follows are limited in time each. A verdict is held back until the server has been told the end, or what is
//! wrong with its certificate, so that its own log says so too. Nothing is remembered for the next probe: each is a
//! handshake of its own.
//!
//! Certificates begin and end by the clock on the wall, which is read where they are verified, here and in `rustls`.

pub mod client;
pub mod reason;
pub mod verifier;

use std::io::{Read, Write};
use std::sync::Arc;

use daemonkit::clock::Mono;
use nix::errno::Errno;
use rustls::pki_types::UnixTime;
use rustls::{ClientConnection, ProtocolVersion};

use super::{Conversation, Event, Failure, Limits, Next, Success, Verdict};
pub use client::Client;
pub use reason::TlsFailure;

/// Most bytes that are decrypted at once.
const PIECE: usize = 4096;

/// A conversation in TLS.
#[derive(Debug)]
pub struct Talk<'c> {
    client: &'c Client,
    limits: Limits,
    inner: Box<dyn Conversation + 'c>,
    until: Mono,
    /// From the connection on.
    connection: Option<ClientConnection>,
    phase: Phase,
    /// Whether any byte has come.
    heard: bool,
    /// The inner conversation waits until what it sends is on its way.
    sending: bool,
    /// The server has said that nothing follows; whether the inner conversation knows.
    closed: Closed,
    /// What is to be told when everything has been sent.
    ending: Option<Verdict>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Connecting,
    Handshake,
    /// The inner conversation is under way.
    Open,
    /// It is over and good; left to hear is what the server says of the client's certificate (RFC 8446, 4.4.2.4: after
    /// its part of the handshake is over).
    Consent,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Closed {
    No,
    Heard,
    Told,
}

impl Conversation for Talk<'_> {
    fn step(&mut self, now: Mono, event: Event<'_>) -> Next {
        if let Some(verdict) = self.ending.take() {
            return Next::Done(verdict);
        }
        match (self.phase, event) {
            (_, Event::Started) => {
                (self.connection, self.phase) = (None, Phase::Connecting);
                (self.heard, self.sending, self.closed) = (false, false, Closed::No);
                let next = self.inner.step(now, event);
                self.follow(now, next)
            }
            (Phase::Connecting, Event::Connected) => self.connected(now),
            (Phase::Connecting, event) => {
                let next = self.inner.step(now, event);
                self.follow(now, next)
            }
            (_, Event::Received(bytes)) => self.received(now, bytes),
            (Phase::Consent, Event::Sent) => self.flush(),
            (_, Event::Sent) => self.sent(now),
            (_, Event::Closed) => self.tcp_closed(now),
            (Phase::Handshake, Event::Failed(errno)) => Next::Done(broken(errno)),
            (Phase::Handshake, Event::Deadline) => failed(TlsFailure::Timeout(self.limits.step)),
            (Phase::Consent, Event::Deadline) => failed(TlsFailure::NoConsent(self.limits.step)),
            (Phase::Consent, Event::Failed(errno)) => {
                Next::Done(Verdict::failed("receive", errno, Failure::Receive))
            }
            (_, event) => {
                let next = self.inner.step(now, event);
                self.follow(now, next)
            }
        }
    }
}

impl<'c> Talk<'c> {
    /// A new conversation around `inner`; its first event is [`Event::Started`] or [`Event::Failed`].
    #[must_use]
    pub fn new(client: &'c Client, inner: Box<dyn Conversation + 'c>, limits: Limits) -> Self {
        Self {
            client,
            limits,
            inner,
            until: Mono::ZERO,
            connection: None,
            phase: Phase::Connecting,
            heard: false,
            sending: false,
            closed: Closed::No,
            ending: None,
        }
    }

    fn connected(&mut self, now: Mono) -> Next {
        self.phase = Phase::Handshake;
        self.until = now + self.limits.step;
        match ClientConnection::new(Arc::clone(&self.client.config), self.client.name.clone()) {
            Ok(mut connection) => {
                // What is sent is bounded by the check, and what is received is taken piece by piece.
                connection.set_buffer_limit(None);
                self.connection = Some(connection);
                self.flush()
            }
            Err(error) => failed(TlsFailure::of(&error)),
        }
    }

    fn received(&mut self, now: Mono, bytes: &[u8]) -> Next {
        // A server that speaks something else is quoted, which tells more than what TLS makes of it.
        if !std::mem::replace(&mut self.heard, true) && bytes.first().is_some_and(|byte| !is_record(*byte)) {
            return failed(TlsFailure::NoTls(bytes.to_vec()));
        }
        let mut rest = bytes;
        while !rest.is_empty() {
            let Some(connection) = &mut self.connection else { break };
            // Reading from memory fails only when nobody takes what has come.
            if !matches!(connection.read_tls(&mut rest), Ok(1..)) {
                break;
            }
            match connection.process_new_packets() {
                Ok(state) if state.peer_has_closed() && self.closed == Closed::No => {
                    self.closed = Closed::Heard;
                }
                Ok(_) => {}
                Err(error) => {
                    // An alert that says why is among what is left to send.
                    self.ending = Some(Verdict::Unhealthy(Failure::Tls(TlsFailure::of(&error))));
                    return self.flush();
                }
            }
        }
        self.go_on(now)
    }

    fn sent(&mut self, now: Mono) -> Next {
        if !std::mem::take(&mut self.sending) {
            return self.go_on(now);
        }
        let next = self.inner.step(now, Event::Sent);
        self.follow(now, next)
    }

    fn tcp_closed(&mut self, now: Mono) -> Next {
        match self.phase {
            Phase::Handshake => failed(TlsFailure::Closed),
            Phase::Consent => self.consented(),
            Phase::Connecting | Phase::Open => {
                if self.closed == Closed::No {
                    self.closed = Closed::Heard;
                }
                self.go_on(now)
            }
        }
    }

    /// Tells the inner conversation the next thing that it does not know.
    fn go_on(&mut self, now: Mono) -> Next {
        let Some(connection) = &mut self.connection else { return self.flush() };
        match self.phase {
            Phase::Handshake if !connection.is_handshaking() => {
                self.phase = Phase::Open;
                let next = self.inner.step(now, Event::Connected);
                return self.follow(now, next);
            }
            Phase::Consent => return self.consented(),
            Phase::Open if !self.sending => {}
            Phase::Connecting | Phase::Handshake | Phase::Open => return self.flush(),
        }
        let mut plain = [0; PIECE];
        // An error means that there is nothing, or that nothing will follow, which is known from elsewhere.
        match connection.reader().read(&mut plain) {
            Ok(count @ 1..) => {
                let next = self.inner.step(now, Event::Received(&plain[..count]));
                self.follow(now, next)
            }
            Ok(0) | Err(_) if self.closed == Closed::Heard => {
                self.closed = Closed::Told;
                let next = self.inner.step(now, Event::Closed);
                self.follow(now, next)
            }
            Ok(_) | Err(_) => self.flush(),
        }
    }

    /// Does what the inner conversation wants.
    fn follow(&mut self, now: Mono, next: Next) -> Next {
        match next {
            Next::Send { bytes, until } => {
                self.until = until;
                self.sending = true;
                if let Some(connection) = &mut self.connection {
                    // Writing to memory without a limit does not fail.
                    let _ = connection.writer().write_all(&bytes);
                }
                self.flush()
            }
            Next::Wait { until } => {
                self.until = until;
                if self.phase == Phase::Open { self.go_on(now) } else { self.flush() }
            }
            Next::Reconnect => {
                (self.connection, self.phase) = (None, Phase::Connecting);
                Next::Reconnect
            }
            Next::Done(verdict) => self.over(now, verdict),
        }
    }

    /// The inner conversation is over.
    fn over(&mut self, now: Mono, verdict: Verdict) -> Next {
        let Some(connection) = &mut self.connection else { return Next::Done(verdict) };
        connection.send_close_notify();
        let is_late = connection.protocol_version() == Some(ProtocolVersion::TLSv1_3);
        if is_late && self.client.has_identity && verdict == Verdict::Healthy(Success::Connected) {
            self.phase = Phase::Consent;
            self.until = now + self.limits.step;
        } else {
            self.ending = Some(self.remark(verdict));
        }
        self.flush()
    }

    /// The server took the client's certificate.
    fn consented(&mut self) -> Next {
        Next::Done(self.remark(Verdict::Healthy(Success::Connected)))
    }

    /// What is to be said of the handshake and the certificates besides, if all is well.
    fn remark(&self, verdict: Verdict) -> Verdict {
        let certificates = self.connection.as_ref().and_then(|connection| connection.peer_certificates());
        let days = certificates.and_then(|chain| self.client.days_left(chain, UnixTime::now()));
        match (verdict, days) {
            (Verdict::Healthy(_), Some(days)) => Verdict::Healthy(Success::Expiring { days }),
            (Verdict::Healthy(Success::Connected), None) => Verdict::Healthy(Success::Handshake),
            (verdict, _) => verdict,
        }
    }

    /// Sends what is there to be sent, and waits otherwise.
    fn flush(&mut self) -> Next {
        let mut bytes = Vec::new();
        if let Some(connection) = &mut self.connection {
            // Writing to memory does not fail.
            while connection.wants_write() && connection.write_tls(&mut bytes).is_ok() {}
        }
        match self.ending.take() {
            Some(verdict) if bytes.is_empty() => Next::Done(verdict),
            ending => {
                self.ending = ending;
                let until = self.until;
                if bytes.is_empty() { Next::Wait { until } } else { Next::Send { bytes, until } }
            }
        }
    }
}

/// Whether a record of TLS can begin with this byte (RFC 8446, 5.1).
fn is_record(byte: u8) -> bool {
    (20..=24).contains(&byte)
}

fn failed(failure: TlsFailure) -> Next {
    Next::unhealthy(Failure::Tls(failure))
}

fn broken(errno: Errno) -> Verdict {
    Verdict::failed("speak TLS", errno, |errno| Failure::Tls(TlsFailure::Broken(errno)))
}
