//! `sorry_server`: address, port and method of the server of last resort.

use std::net::IpAddr;

use super::Lowering;
use super::read::{Argument, Found, Located};
use super::server::Around;
use super::tunnel::through;
use crate::diagnostic::{Code, Problem};
use crate::keys::{Directive, Key};
use crate::model::{Forwarding, Protocol, SorryServer};
use crate::span::Span;
use crate::words;

/// What the file says, each where it stands.
pub(super) struct Sorry {
    address: Located<IpAddr>,
    port: Option<Located<u16>>,
    method: Option<Located<Forwarding>>,
}

impl<'a> Lowering<'a> {
    /// What is said of a sorry server; `None` also for an unspecified address, which means none.
    pub(super) fn sorry(&mut self, found: &Found<'_>, protocol: Option<Protocol>) -> Option<Sorry> {
        let key = Key::of(found.section, Directive::SorryServer)?;
        let entry = found.entry(Directive::SorryServer)?;
        let (first, second) = if entry.values(self.text).count() < 2 {
            let [first] = self.values(key, entry)?;
            (first, None)
        } else {
            let [first, second] = self.values(key, entry)?;
            (first, Some(second))
        };
        let method = match second {
            None => None,
            Some(token) => {
                let text = token.text(self.text);
                let value = words::value::<Forwarding>(text).or_else(|| {
                    let argument = Argument { key, text, span: token.span() };
                    self.reject_word(argument, &words::all::<Forwarding>())
                });
                Some(Located { value: value?, span: token.span() })
            }
        };
        let whole = Argument { key, text: first.text(self.text), span: first.span() };
        let (host, port) = split(whole);
        let address = self.host_of(host, None);
        let port = match port {
            None => None,
            Some(port) if port.text.is_empty() => {
                return self.reject(Code::BadValue, whole, "the port after `:` is missing");
            }
            Some(port) => {
                let value = self.port_of(port, protocol.unwrap_or(Protocol::Tcp))?;
                Some(Located { value, span: port.span })
            }
        };
        let address = address.map(|address| Located { span: whole.span, ..address })?;
        (!address.value.is_unspecified()).then_some(Sorry { address, port, method })
    }

    /// The sorry server of a virtual server, with what that has in place of what is not said.
    pub(super) fn sorry_server(&mut self, sorry: Sorry, around: &Around) -> Option<Located<SorryServer>> {
        let Sorry { address, port, method } = sorry;
        let forwarding = match &method {
            Some(method) => through(method.value, around.tunnel.as_ref().map(|tunnel| tunnel.value)),
            None => around.forwarding,
        };
        self.family_rule(around.family, forwarding, &address, "sorry server");
        let (forwarding, usual) = (forwarding?, around.port?);
        if let Some(port) = &port
            && port.value != usual
            && forwarding != Forwarding::Nat
        {
            let message = format!("packets keep port {usual} with `network = {}`", forwarding.name());
            let problem = Problem::error(Code::Conflict, port.span, message);
            let method = method.map(|method| method.span).or(around.network);
            let problem = match method {
                Some(span) => problem.note(span, "the method is given"),
                None => problem,
            };
            self.report
                .add(problem.help("a sorry server with a port of its own needs `nat` behind its address"));
            return None;
        }
        let value =
            SorryServer { address: address.value, port: port.map_or(usual, |port| port.value), forwarding };
        Some(Located { value, span: address.span })
    }
}

/// Takes `ADDRESS:PORT` or `[ADDRESS]:PORT` apart. An IPv6 address without brackets is all address.
fn split(whole: Argument<'_>) -> (Argument<'_>, Option<Argument<'_>>) {
    let part = |text, start: usize| {
        let start = whole.span.start + u32::try_from(start).unwrap_or(u32::MAX);
        Argument { text, span: Span { start, ..whole.span }, ..whole }
    };
    let text = whole.text;
    if let Some((host, rest)) = text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        match rest.strip_prefix(':') {
            Some(port) => (part(host, 1), Some(part(port, host.len() + 3))),
            None if rest.is_empty() => (part(host, 1), None),
            None => (whole, None),
        }
    } else {
        match text.split_once(':') {
            Some((host, port)) if !port.contains(':') => (part(host, 0), Some(part(port, host.len() + 1))),
            _ => (whole, None),
        }
    }
}
