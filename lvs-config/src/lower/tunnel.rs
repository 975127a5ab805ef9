//! `network` and `tunnel_…`: how packets get to a real server, and what must not be together there.

use std::num::NonZeroU16;

use super::Lowering;
use super::read::{Found, Located};
use crate::diagnostic::{Code, Problem};
use crate::keys::Directive;
use crate::model::{Forwarding, Protocol, Tunnel, TunnelChecksum};
use crate::span::Span;
use crate::words::TunnelKind;

/// Port of the real server's end where none is given.
const DEFAULT_PORT: NonZeroU16 = NonZeroU16::new(6080).expect("not zero");

/// What can be said about a tunnel.
const TUNNEL: [Directive; 3] = [Directive::TunnelType, Directive::TunnelPort, Directive::TunnelChecksum];

impl TunnelKind {
    /// A tunnel of this kind as it is when nothing else is said.
    fn plain(self) -> Tunnel {
        match self {
            Self::Ipip => Tunnel::Ipip,
            Self::Gue => Tunnel::Gue { port: DEFAULT_PORT, checksum: TunnelChecksum::None },
            Self::Gre => Tunnel::Gre { checksum: false },
        }
    }
}

/// `method`, by `tunnel` if it is one.
pub(super) fn through(method: Forwarding, tunnel: Option<Tunnel>) -> Option<Forwarding> {
    match method {
        Forwarding::Tunnel(_) => tunnel.map(Forwarding::Tunnel),
        method @ (Forwarding::Nat | Forwarding::Direct) => Some(method),
    }
}

impl<'a> Lowering<'a> {
    /// The tunnel of a block, and where its type is given; `inherited` is that of the block around.
    pub(super) fn tunnel(
        &mut self,
        found: &Found<'_>,
        inherited: Option<Located<Tunnel>>,
    ) -> Option<Located<Tunnel>> {
        if !TUNNEL.into_iter().any(|directive| found.is_given(directive)) {
            return inherited;
        }
        // Read whatever becomes of the type, for what may be wrong with them.
        let port = self.port(found, Directive::TunnelPort, Protocol::Udp);
        let port = port.filter(|_| found.entry(Directive::TunnelPort).is_some());
        let checksum = self.choice::<TunnelChecksum>(found, Directive::TunnelChecksum);
        let checksum = checksum.filter(|_| found.entry(Directive::TunnelChecksum).is_some());
        let is_own = found.is_given(Directive::TunnelType);
        let own = self.choice::<TunnelKind>(found, Directive::TunnelType);
        let base = if is_own {
            Located { value: own?.plain(), span: found.span(Directive::TunnelType)? }
        } else {
            inherited?
        };
        let port = port.and_then(|port| NonZeroU16::new(port.value));
        let with_port = self.with_port(found, &base, port);
        let known = Located { value: with_port.unwrap_or(base.value), span: base.span };
        let value = self.with_checksum(found, &known, checksum)?;
        with_port.map(|_| Located { value, ..known })
    }

    fn with_port(
        &mut self,
        found: &Found<'_>,
        base: &Located<Tunnel>,
        port: Option<NonZeroU16>,
    ) -> Option<Tunnel> {
        let Some(port) = port else { return Some(base.value) };
        if let Tunnel::Gue { checksum, .. } = base.value {
            return Some(Tunnel::Gue { port, checksum });
        }
        let kind = TunnelKind::of(base.value).name();
        let message = format!("`tunnel_port` cannot be with `tunnel_type = {kind}`");
        self.tunnel_conflict(
            found.span(Directive::TunnelPort)?,
            message,
            base.span,
            "`tunnel_type = gue` only",
        );
        None
    }

    fn with_checksum(
        &mut self,
        found: &Found<'_>,
        base: &Located<Tunnel>,
        checksum: Option<TunnelChecksum>,
    ) -> Option<Tunnel> {
        let Some(checksum) = checksum else { return Some(base.value) };
        let allowed = match (base.value, checksum) {
            (Tunnel::Gue { port, .. }, checksum) => return Some(Tunnel::Gue { port, checksum }),
            (Tunnel::Gre { .. }, TunnelChecksum::None) => return Some(Tunnel::Gre { checksum: false }),
            (Tunnel::Gre { .. }, TunnelChecksum::Checksum) => return Some(Tunnel::Gre { checksum: true }),
            (Tunnel::Ipip, TunnelChecksum::None) => return Some(Tunnel::Ipip),
            (_, TunnelChecksum::Remote) => "`tunnel_type = gue` only",
            (Tunnel::Ipip, TunnelChecksum::Checksum) => "`tunnel_type = gue` or `gre` only",
        };
        let kind = TunnelKind::of(base.value).name();
        let message =
            format!("`tunnel_checksum = {}` cannot be with `tunnel_type = {kind}`", checksum.name());
        self.tunnel_conflict(found.span(Directive::TunnelChecksum)?, message, base.span, allowed);
        None
    }

    /// Where the type is not given, there is no place for it to point at.
    fn tunnel_conflict(&mut self, span: Span, message: String, kind: Span, allowed: &str) {
        let problem = Problem::error(Code::Conflict, span, message).help(format!("allowed with {allowed}"));
        self.report.add(if kind == Span::START { problem } else { problem.note(kind, "the type is given") });
    }

    /// Warns of what is said about a tunnel in a block of whose `methods` none is one; `network` is where the block's is
    /// given.
    pub(super) fn useless_tunnel(
        &mut self,
        found: &Found<'_>,
        methods: impl IntoIterator<Item = Forwarding>,
        network: Option<Span>,
    ) {
        if methods.into_iter().any(|method| matches!(method, Forwarding::Tunnel(_))) {
            return;
        }
        for directive in TUNNEL {
            if let Some(span) = found.span(directive) {
                let name = span.of(self.text);
                let message = format!("`{name}` has no effect without `network = tunnel`");
                let problem = Problem::warning(Code::NoEffect, span, message);
                self.if_valid.push(match network {
                    Some(network) => problem.note(network, "the method is given"),
                    None => problem,
                });
            }
        }
    }
}
