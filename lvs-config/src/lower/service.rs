//! `virtual` and `failover` blocks.

use std::net::IpAddr;

use super::Lowering;
use super::conflicts::Name;
use super::policy::Policy;
use super::read::{Found, Located};
use super::server::Around;
use super::tunnel::through;
use crate::diagnostic::{Code, Problem};
use crate::keys::{Directive, Key, Section};
use crate::model::{
    Check, FailoverService, FloatingAddress, Forwarding, Persistence, Protocol, Scheduler, ServiceKind,
    Tunnel, VirtualServer,
};
use crate::names::Family;
use crate::span::Span;
use crate::tree::{Block, BlockKind, Node};
use crate::units::FwMark;

/// Directives that mean something for load balancing only.
const BALANCING: [Directive; 21] = [
    Directive::SorryServer,
    Directive::Fwmark,
    Directive::Network,
    Directive::Scheduler,
    Directive::SchedFlags,
    Directive::OnePacket,
    Directive::Persistent,
    Directive::Pmask,
    Directive::QuiesceServer,
    Directive::MaxConnections,
    Directive::MinConnections,
    Directive::SlowStart,
    Directive::Drain,
    Directive::Start,
    Directive::Quorum,
    Directive::QuorumHysteresis,
    Directive::OnUp,
    Directive::OnDown,
    Directive::TunnelType,
    Directive::TunnelPort,
    Directive::TunnelChecksum,
];

/// What both kinds of block have.
struct Common {
    name: Option<String>,
    line: u32,
    active: Option<bool>,
    address: Option<Located<FloatingAddress>>,
    protocol: Option<Protocol>,
    port: Option<Located<u16>>,
    check: Option<Check>,
}

impl<'a> Lowering<'a> {
    /// A `virtual` block; `None` when it cannot be used, which has been reported.
    pub(super) fn virtual_server(
        &mut self,
        block: &Block,
        kind: Option<ServiceKind>,
        network: Option<Forwarding>,
    ) -> Option<VirtualServer> {
        let found = self.entries(Section::Service, &block.nodes);
        let common = self.common(block, &found);
        let is_served = common.active == Some(true) && kind == Some(ServiceKind::Lvs);
        for directive in [Directive::StartCmd, Directive::StopCmd] {
            self.command(&found, directive);
            self.not_in_this_block(&found, directive, "virtual");
        }
        let fwmark = self.fwmark(&found);
        let scheduler = self.choice::<Scheduler>(&found, Directive::Scheduler);
        let family = common.address.as_ref().map(|a| Family::of(a.value.address));
        let persistence = self.persistence(&found, family);
        let own_network = self.choice::<Forwarding>(&found, Directive::Network);
        let method = if found.is_given(Directive::Network) { own_network } else { network };
        let tunnel = self.tunnel(&found, Some(Located { value: Tunnel::default(), span: Span::START }));
        let forwarding =
            method.and_then(|method| through(method, tunnel.as_ref().map(|tunnel| tunnel.value)));
        let scheduler_flags = self.scheduler_flags(&found, scheduler);
        let has_mark = fwmark.as_ref().is_none_or(|f| f.value.is_some());
        let quiesce = self.switch(&found, Directive::QuiesceServer);
        let sorry = self.sorry(&found, common.protocol);
        let Policy { quorum, start, slow_start, drain, hooks } = self.policy(&found);
        if is_served {
            self.service_key(&common, fwmark.as_ref());
            if let Some(address) = &common.address {
                self.floating_address("the VIP", address);
            }
        }
        let limits = self.default_limits(&found);
        let around = Around {
            is_active: is_served,
            family,
            port: common.port.as_ref().map(|p| p.value),
            has_fwmark: fwmark.as_ref().is_some_and(|f| f.value.is_some()),
            forwarding,
            network: found.span(Directive::Network),
            tunnel,
            limits,
        };
        let sorry = sorry.and_then(|sorry| self.sorry_server(sorry, &around));
        let servers = self.servers(block, &around, sorry.as_ref());
        self.default_port_order(block, &found);
        let is_foreign = common.check.as_ref().is_some_and(|check| check.client_monitor.is_some());
        self.useless_limits(&found, is_foreign, &servers);
        self.useless_with_a_foreign_monitor(&found, is_foreign);
        self.useless_slow_start(&found, scheduler, slow_start, common.check.as_ref(), &servers);
        let quorum = quorum.inspect(|quorum| self.quorum_can_be_reached(&found, *quorum, &servers));
        if is_served && sorry.is_none() {
            self.somebody_has_a_weight(block, common.check.as_ref(), &servers);
        }
        let mut used = servers.iter().filter(|server| server.active).map(|server| server.forwarding);
        let translates = used.any(|method| method == Forwarding::Nat)
            || (servers.is_empty() && forwarding == Some(Forwarding::Nat));
        let one_packet = self.one_packet(&found, common.protocol, has_mark, translates);
        let methods = servers.iter().map(|server| server.forwarding).chain(forwarding);
        let methods = methods.chain(sorry.as_ref().map(|sorry| sorry.value.forwarding));
        self.useless_tunnel(&found, methods, around.network);
        if is_served && let Some(check) = &common.check {
            self.something_is_asked(&found, common.protocol, check);
        }
        if is_served && !servers.iter().any(|s| s.active) {
            let message = "this virtual server has no active real server";
            self.if_valid.push(Problem::warning(Code::NoEffect, block.keyword, message));
        }
        Some(VirtualServer {
            name: common.name?,
            line: common.line,
            active: common.active?,
            address: common.address?.value,
            protocol: common.protocol?,
            port: common.port?.value,
            fwmark: fwmark?.value,
            scheduler: scheduler?,
            scheduler_flags: scheduler_flags?,
            one_packet: one_packet?,
            persistence: persistence?,
            forwarding: forwarding?,
            sorry_server: sorry.map(|s| s.value),
            quorum: quorum?,
            start: start?,
            slow_start: slow_start?,
            drain,
            hooks,
            quiesce: quiesce?,
            check: common.check?,
            servers,
        })
    }

    /// A `failover` block; `None` when it cannot be used, which has been reported.
    pub(super) fn failover_service(
        &mut self,
        block: &Block,
        kind: Option<ServiceKind>,
    ) -> Option<FailoverService> {
        let found = self.entries(Section::Service, &block.nodes);
        let common = self.common(block, &found);
        let is_served = common.active == Some(true) && kind == Some(ServiceKind::Fos);
        let family = common.address.as_ref().map(|a| Family::of(a.value.address));
        // Read for what may be wrong with them, then told to be useless.
        self.sorry(&found, common.protocol);
        self.tunnel(&found, Some(Located { value: Tunnel::default(), span: Span::START }));
        self.policy(&found);
        self.fwmark(&found);
        self.choice::<Forwarding>(&found, Directive::Network);
        let scheduler = self.choice::<Scheduler>(&found, Directive::Scheduler);
        self.scheduler_flags(&found, scheduler);
        self.switch(&found, Directive::OnePacket);
        self.persistence(&found, family);
        self.switch(&found, Directive::QuiesceServer);
        self.default_limits(&found);
        for directive in BALANCING {
            self.not_in_this_block(&found, directive, "failover");
        }
        for node in &block.nodes {
            let Node::Block(server) = node else { continue };
            let message = "a `server` block has no effect in a `failover` block";
            self.report.add(Problem::warning(Code::NoEffect, server.keyword, message));
        }
        let start_cmd = self.command(&found, Directive::StartCmd);
        let stop_cmd = self.command(&found, Directive::StopCmd);
        if is_served {
            for (directive, name) in [(Directive::StartCmd, "start_cmd"), (Directive::StopCmd, "stop_cmd")] {
                if !found.is_given(directive) {
                    let message = format!("this failover service has no `{name}`");
                    self.report.add(Problem::error(Code::Missing, block.keyword, message));
                }
            }
            if let Some(address) = &common.address {
                self.floating_address("the VIP", address);
            }
        }
        Some(FailoverService {
            name: common.name?,
            line: common.line,
            active: common.active?,
            address: common.address?.value,
            protocol: common.protocol?,
            port: common.port?.value,
            check: common.check?,
            start_cmd,
            stop_cmd,
        })
    }

    fn not_in_this_block(&mut self, found: &Found<'_>, directive: Directive, keyword: &str) {
        let name = Key::of(Section::Service, directive).map_or("", |key| key.name);
        let message = format!("`{name}` has no effect in a `{keyword}` block");
        self.warn_no_effect(found, directive, &message);
    }

    fn common(&mut self, block: &Block, found: &Found<'_>) -> Common {
        let active = self.switch(found, Directive::Active);
        let protocol = self.choice::<Protocol>(found, Directive::Protocol);
        let port = self.port(found, Directive::Port, protocol.unwrap_or(Protocol::Tcp));
        let address = self.floating(found, Directive::Address, Directive::VipNmask);
        let address = self.usable_address(block, found, active, address, |a| a.address);
        let check = self.check(found);
        self.check_only(found, Directive::Master);
        self.check_only(found, Directive::Dirs);
        Common {
            name: self.block_name(block),
            line: block.keyword.line,
            active,
            address,
            protocol,
            port,
            check,
        }
    }

    pub(super) fn name_of(&self, block: &Block) -> Option<Name<'a>> {
        block.name.map(|name| Name { text: name.text(self.text), span: name.span() })
    }

    pub(super) fn block_name(&self, block: &Block) -> Option<String> {
        self.name_of(block).map(|name| name.text.to_owned())
    }

    /// The address of a block or server. Without one, an active thing is an error; an inactive one, which configuration
    /// tools leave behind, is left out.
    pub(super) fn usable_address<T>(
        &mut self,
        block: &Block,
        found: &Found<'_>,
        active: Option<bool>,
        address: Option<Located<T>>,
        of: impl Fn(&T) -> IpAddr,
    ) -> Option<Located<T>> {
        let keyword = block.kind.keyword();
        let is_active = active != Some(false);
        match address {
            Some(address) if is_active && of(&address.value).is_unspecified() => {
                let message =
                    format!("`address` cannot be `{}` in an active `{keyword}` block", of(&address.value));
                let problem = Problem::error(Code::BadValue, address.span, message);
                self.report.add(problem.help("allowed: the address of one host"));
                None
            }
            None if !found.is_given(Directive::Address) => {
                let example = if block.kind == BlockKind::Server { "ADDRESS" } else { "ADDRESS DEVICE" };
                let help = format!("write `address = {example}`");
                if is_active {
                    let message = format!("this `{keyword}` block has no `address`");
                    self.report.add(Problem::error(Code::Missing, block.keyword, message).help(help));
                } else {
                    let message = format!("this inactive `{keyword}` block has no `address` and is left out");
                    self.if_valid.push(Problem::warning(Code::Missing, block.keyword, message).help(help));
                }
                None
            }
            other => other,
        }
    }

    fn persistence(&mut self, found: &Found<'_>, family: Option<Family>) -> Option<Option<Persistence>> {
        let timeout = self.time(found, Directive::Persistent);
        let mask = self.mask(found, Directive::Pmask, family);
        let timeout = timeout?.value;
        if timeout.is_zero() {
            self.warn_no_effect(found, Directive::Pmask, "`pmask` has no effect without `persistent`");
            return Some(None);
        }
        let single_client = if family == Some(Family::V6) { 128 } else { 32 };
        Some(Some(Persistence { timeout, granularity: mask.map_or(single_client, |m| m.value) }))
    }

    /// Whether each datagram is scheduled by itself.
    fn one_packet(
        &mut self,
        found: &Found<'_>,
        protocol: Option<Protocol>,
        has_mark: bool,
        translates: bool,
    ) -> Option<bool> {
        let one_packet = self.switch(found, Directive::OnePacket)?;
        let Some(span) = found.span(Directive::OnePacket).filter(|_| one_packet) else {
            return Some(one_packet);
        };
        if let Some(protocol @ (Protocol::Tcp | Protocol::Sctp)) = protocol.filter(|_| !has_mark) {
            let message = format!("`one_packet` cannot be with `protocol = {}`", protocol.name());
            let problem = Problem::error(Code::Conflict, span, message);
            self.report.add(problem.help("allowed with `protocol = udp` or a `fwmark` only"));
            return None;
        }
        if translates {
            let message =
                "answers are not translated with `one_packet`: they come from the real server's address";
            let problem = Problem::warning(Code::Conflict, span, message);
            self.if_valid.push(problem.help("use `network = direct` or `tunnel`, or a rule of the firewall"));
        }
        Some(true)
    }

    fn service_key(&mut self, common: &Common, fwmark: Option<&Located<Option<FwMark>>>) {
        let Some(address) = &common.address else { return };
        let Some(Located { value: mark, span }) = fwmark else { return };
        match (mark, &common.port, common.protocol) {
            (Some(mark), _, _) => self.unique_mark(*mark, *span, Family::of(address.value.address)),
            (None, Some(port), Some(protocol)) => self.unique_service(address, port.value, protocol),
            _ => {}
        }
    }
}
