//! What stands outside the blocks: heartbeats, and what holds for all services. The routers are in `routers.rs`.

use std::path::PathBuf;

use super::Lowering;
use super::read::{Found, Located};
use crate::diagnostic::{Code, Problem};
use crate::keys::{Directive, Section};
use crate::model::{
    Config, FailoverService, FloatingAddress, Forwarding, Heartbeat, Protocol, ServiceKind, SyncDaemon,
    Timeouts, VirtualServer,
};
use crate::span::Span;
use crate::tree::{BlockKind, Node};

impl<'a> Lowering<'a> {
    /// The whole document: `nodes`.
    pub(super) fn config(&mut self, nodes: Vec<Node>) -> Option<Config> {
        let (entries, blocks): (Vec<Node>, Vec<Node>) =
            nodes.into_iter().partition(|node| matches!(node, Node::Entry(_)));
        let found = self.entries(Section::Global, &entries);
        let service = self.choice::<ServiceKind>(&found, Directive::Service);
        let routers = self.routers(&found);
        let network = self.choice::<Forwarding>(&found, Directive::Network);
        let nat_router = self.floating(&found, Directive::NatRouter, Directive::NatNmask);
        self.nat_router_rules(&found, network, nat_router.as_ref(), routers.backup_active);
        let heartbeat = self.heartbeat(&found);
        let sync_daemon = self.sync_daemon(&found);
        let timeouts = self.timeouts(&found);
        for ignored in [
            Directive::Heartbeat,
            Directive::ReservationConflictAction,
            Directive::DebugLevel,
            Directive::Sync,
        ] {
            self.check_only(&found, ignored);
        }
        let serial_no = self.number(&found, Directive::SerialNo);
        let active_cmd = self.command(&found, Directive::ActiveCmd);
        let inactive_cmd = self.command(&found, Directive::InactiveCmd);
        let monitor_links = self.non_zero(&found, Directive::MonitorLinks);
        let metrics = self.listen(&found, Directive::Metrics);
        let monitor_user = self.user(&found, Directive::MonitorUser);
        let hard_shutdown = self.switch(&found, Directive::HardShutdown);
        let ipvsadm = self.text(&found, Directive::Ipvsadm).map(PathBuf::from);
        let rsh_command = self.text(&found, Directive::RshCommand);

        let sysctls = self.sysctls(&found);

        let (virtual_servers, failover_services) = self.blocks(blocks, service, network);
        let config = Config {
            serial_no: serial_no?,
            service: service?,
            primary: routers.primary?,
            backup: routers.backup,
            backup_active: routers.backup_active?,
            heartbeat: heartbeat?,
            network: network?,
            nat_router: nat_router.as_ref().map(|n| n.value.clone()),
            active_cmd,
            inactive_cmd,
            monitor_links: monitor_links?,
            metrics,
            monitor_user,
            hard_shutdown: hard_shutdown?,
            sync_daemon: sync_daemon?,
            timeouts: timeouts?,
            ipvsadm: ipvsadm?,
            rsh_command: rsh_command?,
            sysctls: sysctls?,
            virtual_servers,
            failover_services,
        };
        self.something_is_served(&config);
        if config.network != Forwarding::Nat
            && config.translates()
            && let Some(nat_router) = &nat_router
        {
            self.floating_address("nat_router", nat_router);
        }
        self.in_networks();
        Some(config)
    }

    /// The blocks among `nodes`. Each is dropped once it has been read, so that what it means can take its place.
    fn blocks(
        &mut self,
        nodes: Vec<Node>,
        service: Option<ServiceKind>,
        network: Option<Forwarding>,
    ) -> (Vec<VirtualServer>, Vec<FailoverService>) {
        let is_virtual =
            |node: &&Node| matches!(node, Node::Block(block) if block.kind == BlockKind::Virtual);
        let count = nodes.iter().filter(is_virtual).count();
        self.seen.expect(count);
        let mut virtual_servers = Vec::with_capacity(count);
        let mut failover_services = Vec::new();
        let mut named = Vec::with_capacity(count);
        for node in nodes {
            let Node::Block(block) = node else { continue };
            match block.kind {
                BlockKind::Virtual => {
                    let virtual_server = self.virtual_server(&block, service, network);
                    if let Some(virtual_server) = virtual_server {
                        named.extend(self.name_of(&block).filter(|_| virtual_server.active));
                        virtual_servers.push(virtual_server);
                    }
                }
                BlockKind::Failover => failover_services.extend(self.failover_service(&block, service)),
                // A server outside a block has been reported by the tree.
                BlockKind::Server => {}
            }
        }
        self.told_apart(named, "virtual server");
        (virtual_servers, failover_services)
    }

    fn something_is_served(&mut self, config: &Config) {
        let (keyword, is_served) = match config.service {
            ServiceKind::Lvs => ("virtual", config.active_virtual_servers().next().is_some()),
            ServiceKind::Fos => ("failover", config.failover_services.iter().any(|f| f.active)),
        };
        if !is_served {
            let message = format!("no `{keyword}` block is active: nothing is served");
            self.if_valid.push(Problem::warning(Code::NoEffect, Span::START, message));
        }
    }

    /// Warns that `directive`, if it is there, has no effect.
    pub(super) fn warn_no_effect(&mut self, found: &Found<'_>, directive: Directive, message: &str) {
        if let Some(span) = found.span(directive) {
            self.report.add(Problem::warning(Code::NoEffect, span, message));
        }
    }

    fn nat_router_rules(
        &mut self,
        found: &Found<'_>,
        network: Option<Forwarding>,
        nat_router: Option<&Located<FloatingAddress>>,
        backup_active: Option<bool>,
    ) {
        let Some(nat_router) = nat_router else {
            if found.is_given(Directive::NatRouter) {
                return;
            }
            self.warn_no_effect(found, Directive::NatNmask, "`nat_nmask` has no effect without `nat_router`");
            if network == Some(Forwarding::Nat) && backup_active == Some(true) {
                let span = found.span(Directive::Network).unwrap_or(Span::START);
                let message = "`network = nat` without `nat_router`";
                let help = "after a failover the real servers' gateway would still be the other router";
                self.if_valid.push(Problem::warning(Code::Missing, span, message).help(help));
            }
            return;
        };
        if nat_router.value.address.is_unspecified() {
            let message = format!("`nat_router` cannot be `{}`", nat_router.value.address);
            let problem = Problem::error(Code::BadValue, nat_router.span, message);
            self.report.add(problem.help("allowed: the address of one host"));
        } else if network == Some(Forwarding::Nat) {
            self.floating_address("nat_router", nat_router);
        }
    }

    fn heartbeat(&mut self, found: &Found<'_>) -> Option<Heartbeat> {
        let port = self.port(found, Directive::HeartbeatPort, Protocol::Udp);
        let keepalive = self.time(found, Directive::Keepalive);
        let deadtime = self.time(found, Directive::Deadtime);
        let (keepalive, deadtime) = (keepalive?, deadtime?);
        // Where only one of the two is given, the other one's default has no place of its own.
        let span = if found.is_given(Directive::Deadtime) { deadtime.span } else { keepalive.span };
        let shown = |time| crate::keys::time_text(time);
        let (dead, keep) = (shown(deadtime.value), shown(keepalive.value));
        if deadtime.value <= keepalive.value {
            let message = format!("`deadtime` ({dead}) is not longer than `keepalive` ({keep})");
            let problem = Problem::error(Code::Conflict, span, message);
            self.report.add(problem.help("allowed: more than `keepalive`; three times it is usual"));
        } else if deadtime.value < keepalive.value * 2 {
            let message = format!("`deadtime` ({dead}) is less than twice `keepalive` ({keep})");
            let problem = Problem::warning(Code::Conflict, span, message);
            self.report.add(problem.help("one lost heartbeat would be a failover; three times is usual"));
        }
        Some(Heartbeat { port: port?.value, keepalive: keepalive.value, deadtime: deadtime.value })
    }

    fn sync_daemon(&mut self, found: &Found<'_>) -> Option<Option<SyncDaemon>> {
        let on = self.switch(found, Directive::Syncdaemon);
        let interface = self.interface(found, Directive::SyncdIface);
        let id = self.number(found, Directive::SyncdId);
        let daemon = SyncDaemon { interface: interface?, id: u8::try_from(id?).ok()? };
        Some(on?.then_some(daemon))
    }

    fn timeouts(&mut self, found: &Found<'_>) -> Option<Timeouts> {
        let [tcp, tcp_fin, udp] = [Directive::TcpTimeout, Directive::TcpfinTimeout, Directive::UdpTimeout]
            .map(|directive| {
                self.time(found, directive).map(|time| Some(time.value).filter(|t| !t.is_zero()))
            });
        Some(Timeouts { tcp: tcp?, tcp_fin: tcp_fin?, udp: udp? })
    }
}
