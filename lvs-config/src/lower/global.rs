//! What stands outside the blocks: the routers, their heartbeats, and what holds for all services.

use std::net::IpAddr;
use std::path::PathBuf;

use super::Lowering;
use super::read::{Found, Located};
use crate::diagnostic::{Code, Problem};
use crate::keys::{Directive, Section};
use crate::model::{
    Config, FloatingAddress, Forwarding, Heartbeat, Protocol, RouterAddresses, ServiceKind, SyncDaemon,
    Timeouts,
};
use crate::names::Family;
use crate::span::Span;
use crate::tree::{BlockKind, Node};

/// The two routers as far as they could be read.
struct Routers {
    primary: Option<RouterAddresses>,
    backup: Option<RouterAddresses>,
    backup_active: Option<bool>,
}

impl<'a> Lowering<'a> {
    /// The whole document.
    pub(super) fn config(&mut self) -> Option<Config> {
        let document = self.document;
        let found = self.entries(Section::Global, &document.nodes);
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
        let hard_shutdown = self.switch(&found, Directive::HardShutdown);
        let ipvsadm = self.text(&found, Directive::Ipvsadm).map(PathBuf::from);
        let rsh_command = self.text(&found, Directive::RshCommand);

        let mut virtual_servers = Vec::new();
        let mut failover_services = Vec::new();
        for node in &document.nodes {
            let Node::Block(block) = node else { continue };
            match block.kind {
                BlockKind::Virtual => virtual_servers.extend(self.virtual_server(block, service, network)),
                BlockKind::Failover => failover_services.extend(self.failover_service(block, service)),
                // A server outside a block has been reported by the tree.
                BlockKind::Server => {}
            }
        }
        let config = Config {
            serial_no: serial_no?,
            service: service?,
            primary: routers.primary?,
            backup: routers.backup,
            backup_active: routers.backup_active?,
            heartbeat: heartbeat?,
            network: network?,
            nat_router: nat_router.map(|n| n.value),
            active_cmd,
            inactive_cmd,
            monitor_links: monitor_links?,
            hard_shutdown: hard_shutdown?,
            sync_daemon: sync_daemon?,
            timeouts: timeouts?,
            ipvsadm: ipvsadm?,
            rsh_command: rsh_command?,
            virtual_servers,
            failover_services,
        };
        self.something_is_served(&config);
        Some(config)
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

    fn routers(&mut self, found: &Found<'a>) -> Routers {
        let primary = self.host(found, Directive::Primary, Family::V4);
        let primary = self.specified(found, Directive::Primary, primary);
        if !found.is_given(Directive::Primary) {
            let problem = Problem::error(Code::Missing, Span::START, "`primary` is missing");
            self.report
                .add(problem.help("write `primary = ADDRESS`, the public address of the primary router"));
        }
        let family = primary.as_ref().map_or(Family::V4, |p| Family::of(p.value));
        let backup = self.host(found, Directive::Backup, family).filter(|b| !b.value.is_unspecified());
        let primary_private = self.host(found, Directive::PrimaryPrivate, family);
        let primary_private = self.specified(found, Directive::PrimaryPrivate, primary_private);
        let private_family = primary_private.as_ref().map_or(family, |p| Family::of(p.value));
        let backup_private = self.host(found, Directive::BackupPrivate, private_family);
        let backup_private = self.specified(found, Directive::BackupPrivate, backup_private);
        let backup_active = self.switch(found, Directive::BackupActive);
        let has_backup = backup.is_some();
        let backup_is_known = has_backup || self.is_absent_or_zero(found);
        if backup_active == Some(true) && !has_backup && backup_is_known {
            let message = "`backup_active` has no effect without a `backup`";
            self.warn_no_effect(found, Directive::BackupActive, message);
        }
        self.pair_rules(primary.as_ref(), backup.as_ref(), "`backup` is the address of `primary`");
        self.pair_rules(
            primary_private.as_ref(),
            backup_private.as_ref(),
            "`backup_private` is the address of `primary_private`",
        );
        for address in [&primary, &backup, &primary_private, &backup_private].into_iter().flatten() {
            self.router_address(address);
        }
        let (primary_private, backup_private) = if has_backup {
            self.private_link(found, [primary.as_ref(), backup.as_ref()], primary_private, backup_private)
        } else {
            (primary_private.map(|p| p.value), None)
        };
        let primary_shared = self.text(found, Directive::PrimaryShared);
        let backup_shared = self.text(found, Directive::BackupShared);
        let router = |public: Located<IpAddr>, private, shared_device| RouterAddresses {
            public: public.value,
            private,
            shared_device,
        };
        Routers {
            primary: primary.map(|public| router(public, primary_private, primary_shared)),
            backup: backup.map(|public| router(public, backup_private, backup_shared)),
            backup_active: backup_active.map(|on| on && has_backup),
        }
    }

    /// Whether `backup` says, or leaves it at, that there is none; as opposed to being wrong.
    fn is_absent_or_zero(&self, found: &Found<'a>) -> bool {
        let Some(entry) = found.entry(Directive::Backup) else { return !found.is_given(Directive::Backup) };
        let values = self.document.values(entry);
        matches!(values, [one] if one.text(self.document.text).parse().is_ok_and(|a: IpAddr| a.is_unspecified()))
    }

    /// `address` unless it is 0.0.0.0 or ::, which is reported.
    fn specified(
        &mut self,
        found: &Found<'a>,
        directive: Directive,
        address: Option<Located<IpAddr>>,
    ) -> Option<Located<IpAddr>> {
        let address = address?;
        if !address.value.is_unspecified() {
            return Some(address);
        }
        let name = found.entry(directive).map_or("", |entry| entry.name.text(self.document.text));
        let message = format!("`{name}` cannot be `{}`", address.value);
        self.report.add(
            Problem::error(Code::BadValue, address.span, message).help("allowed: the address of one host"),
        );
        None
    }

    /// Two ends of a path for heartbeats: different, and of one family.
    fn pair_rules(&mut self, one: Option<&Located<IpAddr>>, other: Option<&Located<IpAddr>>, if_equal: &str) {
        let (Some(one), Some(other)) = (one, other) else { return };
        let message = if one.value == other.value {
            if_equal
        } else if Family::of(one.value) != Family::of(other.value) {
            "the two routers' addresses must be of one family"
        } else {
            return;
        };
        let problem = Problem::error(Code::Conflict, other.span, message);
        self.report.add(problem.note(one.span, "the other address is"));
    }

    /// The ends of the private link, if both are there and it is another one than the public network.
    fn private_link(
        &mut self,
        found: &Found<'a>,
        public: [Option<&Located<IpAddr>>; 2],
        primary: Option<Located<IpAddr>>,
        backup: Option<Located<IpAddr>>,
    ) -> (Option<IpAddr>, Option<IpAddr>) {
        match (primary, backup) {
            (Some(primary), Some(backup)) => {
                let is_public = |private: &Located<IpAddr>| {
                    public.into_iter().flatten().any(|p| p.value == private.value)
                };
                if let Some(same) = [&primary, &backup].into_iter().find(|private| is_public(private)) {
                    let message = "this is a public address: there is no private link";
                    self.report.add(Problem::warning(Code::NoEffect, same.span, message));
                    return (None, None);
                }
                (Some(primary.value), Some(backup.value))
            }
            (Some(primary), None) => {
                if !found.is_given(Directive::BackupPrivate) {
                    let problem = Problem::error(
                        Code::Missing,
                        primary.span,
                        "`primary_private` without `backup_private`",
                    );
                    self.report.add(problem.help("give the private addresses of both routers or of none"));
                }
                (None, None)
            }
            (None, Some(_)) => {
                if !found.is_given(Directive::PrimaryPrivate) {
                    let message = "`backup_private` has no effect without `primary_private`";
                    self.warn_no_effect(found, Directive::BackupPrivate, message);
                }
                (None, None)
            }
            (None, None) => (None, None),
        }
    }

    /// Warns that `directive`, if it is there, has no effect.
    pub(super) fn warn_no_effect(&mut self, found: &Found<'a>, directive: Directive, message: &str) {
        if let Some(span) = found.span(directive) {
            self.report.add(Problem::warning(Code::NoEffect, span, message));
        }
    }

    fn nat_router_rules(
        &mut self,
        found: &Found<'a>,
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

    fn heartbeat(&mut self, found: &Found<'a>) -> Option<Heartbeat> {
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

    fn sync_daemon(&mut self, found: &Found<'a>) -> Option<Option<SyncDaemon>> {
        let on = self.switch(found, Directive::Syncdaemon);
        let interface = self.interface(found, Directive::SyncdIface);
        let id = self.number(found, Directive::SyncdId);
        let daemon = SyncDaemon { interface: interface?, id: u8::try_from(id?).ok()? };
        Some(on?.then_some(daemon))
    }

    fn timeouts(&mut self, found: &Found<'a>) -> Option<Timeouts> {
        let [tcp, tcp_fin, udp] = [Directive::TcpTimeout, Directive::TcpfinTimeout, Directive::UdpTimeout]
            .map(|directive| {
                self.time(found, directive).map(|time| Some(time.value).filter(|t| !t.is_zero()))
            });
        Some(Timeouts { tcp: tcp?, tcp_fin: tcp_fin?, udp: udp? })
    }
}
