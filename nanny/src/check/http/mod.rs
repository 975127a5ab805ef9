//! Ask a web server for a page: HTTP/1.1, one request for each connection.
//!
//! ```text
//!  Connected -> request -> head ----> status is good -> (body, if it counts) -> verdict
//!                           |  ^
//!              1xx: ignored `--' a redirect that may be followed -> Reconnect -> Connected ...
//! ```
//!
//! The connection, and everything from there to the verdict, are limited in time each; a redirect begins anew. What an
//! answer consists of is in [`head`] and [`body`], which are fed any pieces of it.

pub mod body;
pub mod head;
pub mod reason;
pub mod redirect;
mod request;

use std::borrow::Cow;
use std::net::SocketAddr;

use checkspec::http::Statuses;
use daemonkit::clock::Mono;
use nix::errno::Errno;

use super::{Conversation, Event, Failure, Limits, Next, Success, Verdict};
use crate::expect::Expect;
use body::{Body, Rule};
use head::{Head, Reader};
pub use reason::HttpFailure;

/// What is asked of a web server.
#[derive(Debug, Clone)]
pub struct Http {
    /// `http` or `https`, as redirects name it.
    pub scheme: &'static str,
    /// The method.
    pub method: String,
    /// What is asked for first: from `/`.
    pub path: String,
    /// The `Host` field.
    pub host: String,
    /// Further fields.
    pub headers: Vec<(String, String)>,
    /// The body of the request.
    pub body: Option<Vec<u8>>,
    /// Statuses that are good.
    pub status: Statuses,
    /// What the body of the answer must look like; `None` if the status is enough.
    pub rule: Option<Rule>,
    /// How many redirects are followed.
    pub redirects: u8,
}

impl Http {
    /// A page whose body is read to its end; there must be one.
    #[must_use]
    pub fn page(path: String, host: Option<String>, server: SocketAddr) -> Self {
        Self {
            scheme: "http",
            method: "GET".to_owned(),
            path,
            host: host.unwrap_or_else(|| own_host("http", server)),
            headers: Vec::new(),
            body: None,
            status: Statuses::default(),
            rule: Some(Rule::Like(Expect::Anything)),
            redirects: 0,
        }
    }

    /// What `asked` means for this server. `rule` is what it says of the body.
    #[must_use]
    pub fn new(asked: checkspec::Http, rule: Option<Rule>, server: SocketAddr) -> Self {
        let scheme = asked.kind();
        Self {
            scheme,
            method: asked.method,
            path: asked.path,
            host: asked.host.unwrap_or_else(|| own_host(scheme, server)),
            headers: asked.headers,
            body: asked.body,
            status: asked.status,
            rule,
            redirects: asked.redirects,
        }
    }
}

/// The port that a scheme means without another.
fn usual_port(scheme: &str) -> u16 {
    if scheme == "https" { 443 } else { 80 }
}

/// The `Host` of a server without a name: its address, and its port unless that goes without saying.
fn own_host(scheme: &str, server: SocketAddr) -> String {
    let is_usual = server.port() == usual_port(scheme);
    match server {
        SocketAddr::V4(server) if is_usual => server.ip().to_string(),
        SocketAddr::V6(server) if is_usual => format!("[{}]", server.ip()),
        server => server.to_string(),
    }
}

#[derive(Debug)]
enum Phase {
    Connecting,
    Sending,
    Head(Reader),
    Body { status: u16, body: Body },
}

/// One request to one server, and those that it is redirected to.
#[derive(Debug)]
pub struct Talk<'c> {
    check: &'c Http,
    limits: Limits,
    phase: Phase,
    until: Mono,
    method: Cow<'c, str>,
    path: Cow<'c, str>,
    redirects: u8,
}

impl Conversation for Talk<'_> {
    fn step(&mut self, now: Mono, event: Event<'_>) -> Next {
        match (&mut self.phase, event) {
            (_, Event::Started) => {
                self.phase = Phase::Connecting;
                self.until = now + self.limits.connect;
                self.wait()
            }
            (Phase::Connecting, Event::Connected) => {
                self.phase = Phase::Sending;
                self.until = now + self.limits.step;
                Next::Send { bytes: self.request(), until: self.until }
            }
            (Phase::Sending, Event::Sent) => {
                self.phase = Phase::Head(Reader::new(self.method == "HEAD"));
                self.wait()
            }
            (Phase::Head(_) | Phase::Body { .. }, Event::Received(bytes)) => self.received(bytes),
            (Phase::Head(_) | Phase::Body { .. }, Event::Closed) => self.closed(),
            (_, Event::Failed(errno)) => self.failed(errno),
            (_, Event::Deadline) => self.too_late(),
            _ => self.wait(),
        }
    }

    fn answer(&self) -> &[u8] {
        match &self.phase {
            Phase::Body { body, .. } => body.kept(),
            Phase::Connecting | Phase::Sending | Phase::Head(_) => &[],
        }
    }
}

impl<'c> Talk<'c> {
    /// A new conversation; its first event is [`Event::Started`] or [`Event::Failed`].
    #[must_use]
    pub fn new(check: &'c Http, limits: Limits) -> Self {
        Self {
            check,
            limits,
            phase: Phase::Connecting,
            until: Mono::ZERO,
            method: Cow::Borrowed(&check.method),
            path: Cow::Borrowed(&check.path),
            redirects: check.redirects,
        }
    }

    fn wait(&self) -> Next {
        Next::Wait { until: self.until }
    }

    fn request(&self) -> Vec<u8> {
        let body = self.check.body.as_deref().filter(|_| self.method == self.check.method);
        request::write(&self.method, &self.path, &self.check.host, &self.check.headers, body)
    }

    fn received(&mut self, bytes: &[u8]) -> Next {
        match &mut self.phase {
            Phase::Head(reader) => match reader.feed(bytes) {
                Ok(None) => self.wait(),
                Ok(Some((head, rest))) => self.judge(&head, &rest),
                Err(failure) => failed(failure),
            },
            Phase::Body { body, .. } => {
                let outcome = body.feed(bytes);
                self.read(outcome)
            }
            Phase::Connecting | Phase::Sending => self.wait(),
        }
    }

    /// The head of an answer is there, and `rest`, the beginning of its body.
    fn judge(&mut self, head: &Head, rest: &[u8]) -> Next {
        if let Some((method, path)) = self.onward(head) {
            self.redirects -= 1;
            self.method = method;
            self.path = Cow::Owned(path);
            self.phase = Phase::Connecting;
            return Next::Reconnect;
        }
        if !self.check.status.contain(head.status) {
            return failed(HttpFailure::Status {
                status: head.status,
                said: head.reason.clone(),
                location: head.location.clone(),
                expected: self.check.status.to_string(),
            });
        }
        let Some(rule) = &self.check.rule else {
            return Next::healthy(Success::Status(head.status));
        };
        let mut body = Body::new(head.framing, rule);
        let outcome = body.feed(rest);
        self.phase = Phase::Body { status: head.status, body };
        self.read(outcome)
    }

    /// The method and the path to ask for next, if the answer says so and it may be followed.
    fn onward(&self, head: &Head) -> Option<(Cow<'c, str>, String)> {
        if self.redirects == 0 {
            return None;
        }
        let location = head.location.as_deref().and_then(|location| str::from_utf8(location).ok())?;
        // RFC 9110, 15.4: as everybody does it, what follows a POST is a GET unless the server insists.
        let method = match (head.status, &*self.method) {
            (301 | 302, "POST") => Cow::Borrowed("GET"),
            (303, method) if method != "HEAD" => Cow::Borrowed("GET"),
            (301 | 302 | 303 | 307 | 308, _) => self.method.clone(),
            _ => return None,
        };
        redirect::target(location, self.check.scheme, &self.check.host, &self.path).map(|path| (method, path))
    }

    /// What follows from how far the body has been read.
    fn read(&mut self, outcome: Result<bool, HttpFailure>) -> Next {
        let (Phase::Body { status, body }, Some(rule)) = (&mut self.phase, &self.check.rule) else {
            return self.wait();
        };
        match outcome {
            Ok(false) => self.wait(),
            Ok(true) => match body.judge(rule) {
                Ok(()) => Next::healthy(Success::Page(*status)),
                Err(failure) => failed(failure),
            },
            Err(failure) => failed(failure),
        }
    }

    fn closed(&mut self) -> Next {
        match &mut self.phase {
            Phase::Head(reader) => match reader.give() {
                got if got.is_empty() => Next::unhealthy(Failure::Closed),
                got => Next::unhealthy(Failure::ClosedAfter { got, expected: reason::AN_ANSWER.to_owned() }),
            },
            Phase::Body { body, .. } => {
                let outcome = body.closed().map(|()| true);
                self.read(outcome)
            }
            Phase::Connecting | Phase::Sending => self.wait(),
        }
    }

    fn failed(&self, errno: Errno) -> Next {
        Next::Done(match self.phase {
            Phase::Connecting => Verdict::failed("connect", errno, Failure::Connect),
            Phase::Sending => Verdict::failed("send", errno, Failure::Send),
            Phase::Head(_) | Phase::Body { .. } => Verdict::failed("receive", errno, Failure::Receive),
        })
    }

    fn too_late(&mut self) -> Next {
        let within = self.limits.step;
        Next::unhealthy(match &mut self.phase {
            Phase::Connecting => Failure::ConnectTimeout(self.limits.connect),
            Phase::Sending => Failure::SendTimeout(within),
            Phase::Head(reader) => match reader.give() {
                got if got.is_empty() => Failure::NoAnswer(within),
                got => Failure::Incomplete { within, got, expected: reason::AN_ANSWER.to_owned() },
            },
            Phase::Body { body, .. } => Failure::Http(body.too_late(within)),
        })
    }
}

fn failed(failure: HttpFailure) -> Next {
    Next::unhealthy(Failure::Http(failure))
}

#[cfg(test)]
mod tests;
