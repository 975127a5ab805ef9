//! The canonical text of a configuration: every value in one form, without comments.
//!
//! Reading it again gives the same configuration, line numbers aside. It is for showing what a file means and for
//! proving that reading loses nothing; it is not how a file is edited.

use std::fmt::{Display, Write as _};
use std::net::SocketAddr;
use std::time::Duration;

use crate::keys::time_text;
use crate::model::{
    Check, Config, Damping, FailoverService, FloatingAddress, Forwarding, Hooks, Pace, Protocol, Quorum,
    RealServer, RouterAddresses, SlowStart, SorryServer, StartPolicy, Tunnel, TunnelChecksum, VirtualServer,
};
use crate::sched_flags;
use crate::sysctl::Sysctls;
use crate::words::{TunnelKind, climb_text};

/// `config` as an `lvs.cf`.
pub fn write(config: &Config) -> String {
    let mut out = Writer { text: String::new(), indent: "" };
    out.globals(config);
    for virtual_server in &config.virtual_servers {
        out.virtual_server(virtual_server, config);
    }
    for service in &config.failover_services {
        out.failover_service(service);
    }
    out.text
}

struct Writer {
    text: String,
    indent: &'static str,
}

impl Writer {
    fn line(&mut self, line: impl Display) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.text, "{}{line}", self.indent);
    }

    fn entry(&mut self, name: &str, value: impl Display) {
        self.line(format_args!("{name} = {value}"));
    }

    fn optional(&mut self, name: &str, value: Option<impl Display>) {
        if let Some(value) = value {
            self.entry(name, value);
        }
    }

    fn switch(&mut self, name: &str, on: bool) {
        self.entry(name, u8::from(on));
    }

    fn time(&mut self, name: &str, time: Duration) {
        self.entry(name, time_text(time));
    }

    fn text(&mut self, name: &str, text: Option<&str>) {
        self.optional(name, text.map(quoted));
    }

    fn command(&mut self, name: &str, words: Option<&Vec<String>>) {
        self.optional(name, words.map(|words| quoted(&words.join(" "))));
    }

    fn globals(&mut self, config: &Config) {
        self.entry("serial_no", config.serial_no);
        self.entry("service", config.service.name());
        self.router("primary", &config.primary);
        if let Some(backup) = &config.backup {
            self.router("backup", backup);
        }
        self.switch("backup_active", config.backup_active);
        self.entry("heartbeat_port", config.heartbeat.port);
        self.time("keepalive", config.heartbeat.keepalive);
        self.time("deadtime", config.heartbeat.deadtime);
        self.entry("network", config.network.name());
        if let Some(nat_router) = &config.nat_router {
            self.floating("nat_router", "nat_nmask", nat_router);
        }
        self.command("active_cmd", config.active_cmd.as_ref());
        self.command("inactive_cmd", config.inactive_cmd.as_ref());
        self.switch("monitor_links", config.monitor_links);
        if let Some(metrics) = config.metrics {
            self.entry("metrics", metrics);
        }
        self.text("monitor_user", config.monitor_user.as_deref());
        self.switch("hard_shutdown", config.hard_shutdown);
        self.switch("syncdaemon", config.sync_daemon.is_some());
        if let Some(daemon) = &config.sync_daemon {
            self.text("syncd_iface", Some(&daemon.interface));
            self.entry("syncd_id", daemon.id);
        }
        let timeouts = config.timeouts;
        self.optional("tcp_timeout", timeouts.tcp.map(time_text));
        self.optional("tcpfin_timeout", timeouts.tcp_fin.map(time_text));
        self.optional("udp_timeout", timeouts.udp.map(time_text));
        self.text("ipvsadm", config.ipvsadm.to_str());
        self.text("rsh_command", Some(&config.rsh_command));
        match &config.sysctls {
            Sysctls::LeaveAll => self.entry("sysctl", "leave"),
            Sysctls::Chosen(chosen) if chosen.is_empty() => {}
            Sysctls::Chosen(chosen) => {
                let items = chosen.iter().map(|(name, choice)| format!("{name}={choice} "));
                self.entry("sysctl", format_args!("[ {}]", items.collect::<String>()));
            }
        }
    }

    fn router(&mut self, name: &str, router: &RouterAddresses) {
        self.entry(name, router.public);
        self.optional(&format!("{name}_private"), router.private);
        self.text(&format!("{name}_shared"), router.shared_device.as_deref());
    }

    fn floating(&mut self, name: &str, mask: &str, floating: &FloatingAddress) {
        self.entry(name, format_args!("{} {}", floating.address, quoted(floating.device.label())));
        self.optional(mask, floating.prefix);
    }

    fn open(&mut self, keyword: &str, name: &str, indent: &'static str) {
        self.line(format_args!("{keyword} {} {{", quoted(name)));
        self.indent = indent;
    }

    fn close(&mut self, indent: &'static str) {
        self.indent = indent;
        self.line("}");
    }

    fn target(&mut self, active: bool, address: &FloatingAddress, protocol: Protocol, port: u16) {
        self.switch("active", active);
        self.floating("address", "vip_nmask", address);
        self.entry("protocol", protocol.name());
        self.entry("port", port);
    }

    fn virtual_server(&mut self, server: &VirtualServer, config: &Config) {
        self.open("virtual", &server.name, "    ");
        self.target(server.active, &server.address, server.protocol, server.port);
        self.optional("fwmark", server.fwmark);
        self.entry("scheduler", server.scheduler.name());
        let flags = sched_flags::words(server.scheduler, server.scheduler_flags);
        self.optional("sched_flags", Some(flags.join(", ")).filter(|flags| !flags.is_empty()));
        if server.one_packet {
            self.switch("one_packet", true);
        }
        if let Some(persistence) = server.persistence {
            self.time("persistent", persistence.timeout);
            self.entry("pmask", persistence.granularity);
        }
        self.network(server.forwarding, config.network);
        let sorry = server.sorry_server.map(|sorry| sorry.forwarding);
        let tunnel = tunnel_of(server.forwarding).or_else(|| tunnel_of(sorry?)).unwrap_or_default();
        self.tunnel(tunnel, Tunnel::default());
        self.sorry_server(server);
        self.switch("quiesce_server", server.quiesce);
        self.policy(server);
        self.check(&server.check);
        for real_server in &server.servers {
            self.real_server(real_server, server.forwarding, tunnel);
        }
        self.close("");
    }

    /// The method `own` where the block around has `inherited`.
    fn network(&mut self, own: Forwarding, inherited: Forwarding) {
        if own.name() != inherited.name() {
            self.entry("network", own.name());
        }
    }

    /// The tunnel `own` where the block around has `inherited`. A type takes nothing over from there, so that it needs
    /// only what differs from the defaults.
    fn tunnel(&mut self, own: Tunnel, inherited: Tunnel) {
        if own == inherited {
            return;
        }
        self.entry("tunnel_type", TunnelKind::of(own).name());
        let (port, checksum) = match own {
            Tunnel::Ipip | Tunnel::Gre { checksum: false } => (None, TunnelChecksum::None),
            Tunnel::Gue { port, checksum } => (Some(port), checksum),
            Tunnel::Gre { checksum: true } => (None, TunnelChecksum::Checksum),
        };
        self.optional("tunnel_port", port);
        if checksum != TunnelChecksum::None {
            self.entry("tunnel_checksum", checksum.name());
        }
    }

    fn sorry_server(&mut self, server: &VirtualServer) {
        let Some(SorryServer { address, port, forwarding }) = server.sorry_server else { return };
        let method = forwarding.name();
        let method = if method == server.forwarding.name() { String::new() } else { format!(" {method}") };
        if port == server.port {
            self.entry("sorry_server", format_args!("{address}{method}"));
        } else {
            self.entry("sorry_server", format_args!("{}{method}", SocketAddr::new(address, port)));
        }
    }

    fn policy(&mut self, server: &VirtualServer) {
        if server.start != StartPolicy::default() {
            self.entry("start", server.start.name());
        }
        if server.slow_start != SlowStart::default() {
            self.entry("slow_start", climb_text(server.slow_start));
        }
        self.optional("drain", server.drain.map(time_text));
        if server.quorum != Quorum::default() {
            self.entry("quorum", server.quorum.weight);
            self.entry("quorum_hysteresis", server.quorum.hysteresis);
        }
        self.hooks(&server.hooks);
    }

    fn hooks(&mut self, hooks: &Hooks) {
        self.command("on_up", hooks.on_up.as_ref());
        self.command("on_down", hooks.on_down.as_ref());
    }

    fn real_server(&mut self, server: &RealServer, network: Forwarding, tunnel: Tunnel) {
        self.open("server", &server.name, "        ");
        self.switch("active", server.active);
        self.entry("address", server.address);
        self.entry("port", server.port);
        self.entry("weight", server.weight);
        let is_set = |limit: &u32| *limit > 0;
        self.optional("max_connections", Some(server.limits.max).filter(is_set));
        self.optional("min_connections", Some(server.limits.min).filter(is_set));
        self.network(server.forwarding, network);
        self.tunnel(tunnel_of(server.forwarding).unwrap_or(tunnel), tunnel);
        self.hooks(&server.hooks);
        self.close("    ");
    }

    fn failover_service(&mut self, service: &FailoverService) {
        self.open("failover", &service.name, "    ");
        self.target(service.active, &service.address, service.protocol, service.port);
        self.check(&service.check);
        self.command("start_cmd", service.start_cmd.as_ref());
        self.command("stop_cmd", service.stop_cmd.as_ref());
        self.close("");
    }

    fn check(&mut self, check: &Check) {
        self.text("client_monitor", check.client_monitor.as_deref().and_then(|path| path.to_str()));
        self.optional("check", check.spec.as_ref());
        self.text("send", check.send.as_deref());
        self.text("expect", check.expect.as_deref());
        self.switch("use_regex", check.use_regex);
        self.text("send_program", check.send_program.as_deref());
        self.time("timeout", check.interval);
        let Pace { connect, answer, probe, failing, jitter } = check.pace;
        self.optional("connect_timeout", connect.map(time_text));
        self.optional("answer_timeout", answer.map(time_text));
        self.optional("check_timeout", probe.map(time_text));
        self.optional("failing_interval", failing.map(time_text));
        self.optional("jitter", Some(jitter).filter(|percent| *percent > 0));
        self.time("reentry", check.reentry);
        self.optional("rise", Some(check.rise).filter(|rise| *rise != 1));
        self.optional("fall", Some(check.fall).filter(|fall| *fall != 1));
        let rate = |damping: Damping| format!("{}/{}", damping.times, time_text(damping.within));
        self.optional("damping", check.damping.map(rate));
        self.text("load_monitor", check.load_monitor.as_deref());
    }
}

fn tunnel_of(forwarding: Forwarding) -> Option<Tunnel> {
    if let Forwarding::Tunnel(tunnel) = forwarding { Some(tunnel) } else { None }
}

/// `text` as one token. A text with both kinds of quotes can only have come from a token without quotes around it.
pub(crate) fn quoted(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | ':' | '/');
    if !text.is_empty() && text.chars().all(is_plain) {
        text.to_owned()
    } else if !text.contains('"') {
        format!("\"{text}\"")
    } else if !text.contains('\'') {
        format!("'{text}'")
    } else {
        text.to_owned()
    }
}
