//! `virtual_server` blocks: what they mean, and how `lvs.cf` says it.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::time::Duration;

use super::check::{self, Checker, Probe};
use super::group::{self, Groups, Target};
use super::notes::{Note, Notes};
use super::output::Output;
use super::routers::Routers;
use super::server::{self, Around, Method, Server, Way};
use super::source::Place;
use super::timing::Timing;
use super::tree::Node;
use super::{MAX_SERVICES, values};
use crate::keys::time_text;
use crate::model::{Protocol, Scheduler, SlowStart, WeightUse};
use crate::names::Family;
use crate::words;

/// Interval between checks when none is given.
const INTERVAL: Duration = Duration::from_secs(60);
/// Limit of connecting and of each answer when none is given.
const STEP: Duration = Duration::from_secs(5);
/// `persistence_timeout` without a number.
const PERSISTENCE: &str = "360";

/// A part of the result.
pub(super) enum Part {
    /// A `virtual` block.
    Service(Box<Service>),
    /// A block that cannot be carried.
    Lost { place: Place, words: Vec<String>, notes: Vec<Note> },
}

/// A virtual server.
#[derive(Debug, Clone)]
pub(super) struct Service {
    place: Place,
    words: Vec<String>,
    pub(super) target: Target,
    name: String,
    protocol: Protocol,
    scheduler: Scheduler,
    flags: Vec<String>,
    one_packet: bool,
    persistent: Option<String>,
    pmask: Option<String>,
    method: Method,
    sorry: Option<Sorry>,
    quorum: Option<u32>,
    hysteresis: Option<u32>,
    on_up: Option<String>,
    on_down: Option<String>,
    family: Option<Family>,
    snmp_name: Option<String>,
    timing: Timing,
    servers: Vec<Server>,
    check: Check,
    notes: Vec<Note>,
}

#[derive(Debug, Clone)]
struct Sorry {
    address: IpAddr,
    port: Option<u16>,
    method: Option<Method>,
}

/// What holds for all servers.
#[derive(Debug, Clone, Default)]
struct Check {
    probe: Option<Probe>,
    interval: Option<Duration>,
    step: Option<Duration>,
    run_time: Option<Duration>,
    failing: Option<Duration>,
    fall: Option<u32>,
    inhibit: bool,
    alpha: bool,
}

/// Every virtual server among `nodes`, with what cannot be carried in its place.
pub(super) fn all(nodes: &[Node], notes: &mut Notes) -> Vec<Part> {
    notes.begin();
    let groups = group::groups(nodes, notes);
    let mut parts = Vec::new();
    let mut known = Known::default();
    for node in nodes.iter().filter(|node| node.keyword() == "virtual_server") {
        notes.begin();
        let services = read(node, &groups, &mut known, notes);
        let notes = notes.part();
        if services.is_empty() {
            parts.push(Part::Lost { place: node.place, words: node.words.clone(), notes });
        }
        parts.extend(services.into_iter().map(|service| Part::Service(Box::new(service))));
    }
    parts
}

/// What must be there once only.
#[derive(Default)]
struct Known {
    services: HashSet<(Target, Protocol)>,
    names: HashSet<String>,
}

impl Known {
    /// `wanted`, or something like it that is not there yet.
    fn name(&mut self, wanted: &str) -> String {
        let numbered = (2..).map(|n| format!("{wanted}-{n}"));
        let mut names = std::iter::once(wanted.to_owned()).chain(numbered);
        let free = names.find(|name| !self.names.contains(name)).unwrap_or_default();
        self.names.insert(free.clone());
        free
    }
}

fn read(node: &Node, groups: &Groups, known: &mut Known, notes: &mut Notes) -> Vec<Service> {
    let targets = group::targets(node, groups, notes);
    let Some(first) = targets.first() else { return Vec::new() };
    let mut service = Service::read(node, *first, &targets, notes);
    let mut services = Vec::new();
    for target in targets {
        let target = match target {
            Target::Mark(mark, family) => Target::Mark(mark, family.or(service.family)),
            address @ Target::Address(..) => address,
        };
        if known.services.len() >= MAX_SERVICES {
            notes.add(node.place, format!("{}: there are too many virtual servers", node.words.join(" ")));
            break;
        }
        if !known.services.insert((target, service.protocol)) {
            notes.add(
                node.place,
                format!("{}: this service is there already", Service::plain_name(target, service.protocol)),
            );
            continue;
        }
        let wanted =
            service.snmp_name.clone().unwrap_or_else(|| Service::plain_name(target, service.protocol));
        service.name = known.name(&wanted);
        service.target = target;
        services.push(service.clone());
    }
    // What could not be carried is said once for all that a group stands for.
    if let Some(first) = services.first_mut() {
        let inner: Vec<Note> = first.servers.iter().flat_map(|server| server.notes.clone()).collect();
        first.notes = notes.part().into_iter().filter(|note| !inner.contains(note)).collect();
    }
    for further in services.iter_mut().skip(1) {
        further.servers.iter_mut().for_each(|server| server.notes.clear());
    }
    services
}

impl Service {
    fn read(node: &Node, target: Target, targets: &[Target], notes: &mut Notes) -> Self {
        let find = |keyword: &str| node.nodes.iter().find(|inner| inner.keyword() == keyword);
        let protocol = match find("protocol") {
            Some(line) => protocol(line, notes),
            None => default_protocol(node, targets, notes),
        };
        let port = match target {
            Target::Address(_, port) => port,
            Target::Mark(..) => node.nodes.iter().find_map(server::port_of).unwrap_or(80),
        };
        let host = find("virtualhost").and_then(Node::argument);
        let mut service = Self {
            place: node.place,
            words: node.words.clone(),
            target,
            name: String::new(),
            protocol,
            scheduler: Scheduler::Wlc,
            flags: Vec::new(),
            one_packet: false,
            persistent: None,
            pmask: None,
            method: Method::nat(),
            sorry: None,
            quorum: None,
            hysteresis: None,
            on_up: None,
            on_down: None,
            family: None,
            snmp_name: None,
            timing: Timing::default(),
            servers: Vec::new(),
            check: Check::default(),
            notes: Vec::new(),
        };
        let around = Around { protocol, port, virtual_host: host };
        for inner in &node.nodes {
            if inner.keyword() == "real_server" {
                service.servers.extend(Server::read(inner, around, notes));
            } else if !service.timing.take(inner, notes) {
                service.line(inner, notes);
            }
        }
        if let (Some(hysteresis), quorum) = (service.hysteresis, service.quorum.unwrap_or(1))
            && hysteresis >= quorum
        {
            notes.add(node.place, format!("hysteresis {hysteresis}: it must be less than the quorum"));
            service.hysteresis = None;
        }
        service.common_check(notes);
        if targets.iter().all(|target| matches!(target, Target::Mark(..))) {
            service.keep_ports(notes);
        }
        service
    }

    fn line(&mut self, node: &Node, notes: &mut Notes) {
        let argument = node.argument();
        match node.keyword() {
            "lvs_sched" | "lb_algo" => match argument.and_then(words::value) {
                Some(scheduler) => self.scheduler = scheduler,
                None => notes.leave(node.place, &node.words, "no scheduler of this name is known; it is wlc"),
            },
            "flag-1" | "flag-2" | "flag-3" | "sh-port" | "sh-fallback" | "mh-port" | "mh-fallback" => {
                self.flags.push(node.keyword().to_owned());
            }
            "ops" => self.one_packet = true,
            "lvs_method" | "lb_kind" => {
                if let Some(method) = Method::read(node, notes) {
                    self.method = method;
                }
            }
            "persistence_timeout" => {
                let seconds = argument.unwrap_or(PERSISTENCE);
                self.persistent = seconds.parse::<u32>().ok().map(|seconds| seconds.to_string());
                if self.persistent.is_none() {
                    notes.leave(node.place, &node.words, "not a number of seconds");
                }
            }
            "persistence_granularity" => self.pmask = argument.and_then(values::token),
            "quorum" => self.quorum = count(node, notes),
            "hysteresis" => self.hysteresis = count(node, notes),
            "quorum_up" => self.on_up = server::hook(node, notes),
            "quorum_down" => self.on_down = server::hook(node, notes),
            "sorry_server" => self.sorry_server(node, notes),
            "sorry_server_lvs_method" => {
                let method = Method::read(node, notes);
                if let Some(sorry) = &mut self.sorry {
                    sorry.method = method;
                }
            }
            "ip_family" => self.family = argument.and_then(group::family),
            "snmp_name" => {
                self.snmp_name = argument.filter(|name| values::token(name).is_some()).map(str::to_owned);
            }
            // Read before; and only the router that has the addresses runs checks anyway.
            "protocol" | "virtualhost" | "ha_suspend" => {}
            other => notes.leave(node.place, &node.words, unknown(other)),
        }
    }

    fn sorry_server(&mut self, node: &Node, notes: &mut Notes) {
        match node.argument().and_then(|text| text.parse().ok()) {
            Some(address) => {
                self.sorry = Some(Sorry { address, port: server::port_of(node), method: None });
            }
            None => notes.leave(node.place, &node.words, "not an address"),
        }
    }

    /// `lvs.cf` checks all servers of a virtual server in one way: that of most of them.
    fn common_check(&mut self, notes: &mut Notes) {
        let timings: Vec<Timing> = self.servers.iter().map(|server| server.timing(self.timing)).collect();
        let probes: Vec<Probe> = self
            .servers
            .iter()
            .map(|server| server.checker.as_ref().map_or(Probe(None), |checker| checker.probe.clone()))
            .collect();
        let falls: Vec<u32> = self
            .servers
            .iter()
            .zip(&timings)
            .map(|(server, timing)| {
                let default = server.checker.as_ref().map_or(1, |checker| checker.retries);
                timing.retry.unwrap_or(default) + 1
            })
            .collect();
        let intervals: Vec<Duration> = timings.iter().map(|t| t.interval.unwrap_or(INTERVAL)).collect();
        let steps = self.of_checked(&timings, |_, timing| timing.step);
        let failing = self.of_checked(&timings, |_, timing| timing.failing);
        let run_times = self.of_checked(&timings, |checker, _| checker.run_time);
        let inhibit: Vec<bool> = timings.iter().map(|t| t.inhibit.unwrap_or(false)).collect();
        let alpha: Vec<bool> = timings.iter().map(|t| t.alpha.unwrap_or(false)).collect();
        let mut common = Common { servers: &self.servers, notes };
        self.check = Check {
            probe: common.of(&probes, "the check"),
            interval: common.of(&intervals, "delay_loop"),
            step: common.of(&steps, "connect_timeout").flatten(),
            run_time: common.of(&run_times, "misc_timeout").flatten(),
            failing: common.of(&failing, "delay_before_retry").flatten(),
            fall: common.of(&falls, "retry"),
            inhibit: common.of(&inhibit, "inhibit_on_failure").unwrap_or(false),
            alpha: common.of(&alpha, "alpha").unwrap_or(false),
        };
    }

    /// Of each server what `of` says of its checker; one without any has what the others have.
    fn of_checked(
        &self,
        timings: &[Timing],
        of: fn(&Checker, &Timing) -> Option<Duration>,
    ) -> Vec<Option<Duration>> {
        let given: Vec<Option<Option<Duration>>> = self
            .servers
            .iter()
            .zip(timings)
            .map(|(server, timing)| server.checker.as_ref().map(|checker| of(checker, timing)))
            .collect();
        let usual = given.iter().flatten().next().copied().flatten();
        given.into_iter().map(|value| value.unwrap_or(usual)).collect()
    }

    /// Under NAT keepalived leaves the ports of marked packets as they are, which `port = 0` says; a check needs a port.
    fn keep_ports(&mut self, notes: &mut Notes) {
        let needs_no_port = self.check.probe.as_ref().is_some_and(|probe| !probe.needs_port());
        for server in &mut self.servers {
            if server.method.as_ref().unwrap_or(&self.method).forwarding != Way::Nat {
                continue;
            }
            if needs_no_port {
                server.port = Some(0);
            } else {
                let message = format!(
                    "real_server {}: marked packets to any port go to the one that is checked; with a `port` in the \
                     `check`, `port = 0` here keeps theirs",
                    server.address
                );
                notes.add(server.place, message);
            }
        }
    }

    /// How the service is named when nothing names it.
    fn plain_name(target: Target, protocol: Protocol) -> String {
        match (target, protocol) {
            (Target::Address(address, port), Protocol::Tcp) => format!("{address}-{port}"),
            (Target::Address(address, port), other) => format!("{address}-{port}-{}", other.name()),
            (Target::Mark(mark, Some(Family::V6)), _) => format!("fwmark-{mark}-inet6"),
            (Target::Mark(mark, _), _) => format!("fwmark-{mark}"),
        }
    }

    /// How packets get to its servers.
    pub(super) fn forwarding(&self) -> Way {
        self.method.forwarding
    }

    /// A port for the checks of a service that has none.
    fn checked_port(&self) -> u16 {
        self.servers.iter().find_map(|server| server.port.filter(|port| *port > 0)).unwrap_or(80)
    }

    /// The family of a service of a firewall mark.
    pub(super) fn mark_family(&self) -> Family {
        let of_servers = self.servers.first().map(|server| Family::of(server.address));
        self.family.or(of_servers).unwrap_or(Family::V4)
    }

    fn write(&self, routers: &Routers, network: Way, output: &mut Output<'_>) {
        output.gap();
        output.origin(self.place, &self.words);
        output.open(&format!("virtual {}", crate::write::quoted(&self.name)));
        output.notes(&self.notes);
        output.entry("active", 1);
        self.write_target(routers, output);
        output.entry("protocol", self.protocol.name());
        if self.method.forwarding != network {
            output.entry("network", self.method.forwarding.name());
        }
        for (directive, value) in &self.method.tunnel {
            output.entry(directive, value);
        }
        output.entry("scheduler", self.scheduler.name());
        if !self.flags.is_empty() {
            output.entry("sched_flags", self.flags.join(","));
        }
        if self.one_packet {
            output.entry("one_packet", 1);
        }
        output.optional("persistent", self.persistent.as_deref());
        output.optional("pmask", self.pmask.as_deref().filter(|_| self.persistent.is_some()));
        // Where weights are shares, ours grow unless the file says otherwise.
        if self.scheduler.use_of_weights() == WeightUse::Share {
            output.entry("slow_start", words::climb_text(SlowStart::Off));
        }
        self.write_check(output);
        self.write_quorum(output);
        let mut names = Known::default();
        for server in &self.servers {
            let name = names.name(&server.address.to_string());
            server.write(&name, &self.method, output);
        }
        output.close();
    }

    fn write_target(&self, routers: &Routers, output: &mut Output<'_>) {
        match self.target {
            Target::Address(address, port) => {
                match routers.floating(address) {
                    Some(floating) => output.entry("address", floating),
                    None => output.blank(
                        "address",
                        &address.to_string(),
                        "the device of this address, such as eth0",
                    ),
                }
                output.entry("port", port);
            }
            Target::Mark(mark, family) => {
                let family = family.unwrap_or_else(|| self.mark_family());
                match routers.of_mark(family) {
                    Some(floating) => output.entry("address", floating),
                    None => {
                        let kind = if family == Family::V6 { "IPv6" } else { "IPv4" };
                        let wanted =
                            format!("an {kind} address whose packets carry the mark {mark}, and its device");
                        output.blank("address", "", &wanted);
                    }
                }
                output.entry("fwmark", mark);
                let port = self.checked_port();
                output.entry("port", port);
            }
        }
    }

    fn virtual_port(&self) -> u16 {
        match self.target {
            Target::Address(_, port) => port,
            Target::Mark(..) => self.checked_port(),
        }
    }

    fn write_check(&self, output: &mut Output<'_>) {
        let fallback = check::fallback(self.protocol);
        let probe = self.check.probe.as_ref().unwrap_or(&fallback);
        match &probe.0 {
            None => output.entry("send_program", "/bin/true"),
            Some(check) => output.entry("check", check),
        }
        let interval = self.check.interval.unwrap_or(INTERVAL);
        output.entry("timeout", time_text(interval));
        let step = self.check.step.unwrap_or(STEP);
        let is_shorter = |limit: &Duration| *limit != interval;
        let connect = Some(step).filter(|_| probe.connects()).filter(is_shorter);
        output.optional("connect_timeout", connect.map(time_text));
        let is_program = matches!(probe.0, Some(checkspec::Check::Program(_)));
        let answer = if is_program { self.check.run_time } else { Some(step) };
        let answer = answer.filter(|_| probe.waits_for_answers()).filter(is_shorter);
        output.optional("answer_timeout", answer.map(time_text));
        output.optional("failing_interval", self.check.failing.map(time_text));
        // One good check is enough, as in keepalived.
        output.entry("reentry", "1ms");
        output.optional("fall", self.check.fall.filter(|fall| *fall > 1));
        output.entry("start", if self.check.alpha { "down" } else { "up" });
        if self.check.inhibit {
            output.entry("quiesce_server", 1);
        }
    }

    fn write_quorum(&self, output: &mut Output<'_>) {
        output.optional("quorum", self.quorum);
        output.optional("quorum_hysteresis", self.hysteresis);
        if let Some(sorry) = &self.sorry {
            output.entry("sorry_server", self.sorry_text(sorry));
        }
        output.optional("on_up", self.on_up.as_deref());
        output.optional("on_down", self.on_down.as_deref());
    }

    fn sorry_text(&self, sorry: &Sorry) -> String {
        let forwarding = sorry.method.as_ref().unwrap_or(&self.method).forwarding;
        let port = sorry.port.filter(|port| forwarding == Way::Nat && *port != self.virtual_port());
        let address = match (sorry.address, port) {
            (IpAddr::V6(address), Some(port)) => format!("[{address}]:{port}"),
            (address, Some(port)) => format!("{address}:{port}"),
            (address, None) => address.to_string(),
        };
        if forwarding == self.method.forwarding {
            address
        } else {
            format!("{address} {}", forwarding.name())
        }
    }
}

impl Part {
    /// The virtual server, if it could be carried.
    pub(super) fn service(&self) -> Option<&Service> {
        match self {
            Self::Service(service) => Some(service),
            Self::Lost { .. } => None,
        }
    }

    pub(super) fn write(&self, routers: &Routers, output: &mut Output<'_>) {
        match self {
            Self::Service(service) => service.write(routers, routers.network(), output),
            Self::Lost { place, words, notes } => {
                output.gap();
                output.origin(*place, words);
                output.notes(notes);
            }
        }
    }
}

/// Finds what most servers have.
struct Common<'a, 'n> {
    servers: &'a [Server],
    notes: &'n mut Notes,
}

impl Common<'_, '_> {
    /// The value that most of `values`, one for each server, have; the others are noted as `what`.
    fn of<T: Clone + PartialEq>(&mut self, values: &[T], what: &str) -> Option<T> {
        let first = values.first()?;
        if values.iter().all(|value| value == first) {
            return Some(first.clone());
        }
        let mut counts: Vec<(&T, usize)> = Vec::new();
        for value in values {
            match counts.iter_mut().find(|(known, _)| *known == value) {
                Some((_, count)) => *count += 1,
                None => counts.push((value, 1)),
            }
        }
        let most = counts.iter().map(|(_, count)| *count).max()?;
        let (common, _) = counts.into_iter().find(|(_, count)| *count == most)?;
        for (server, value) in self.servers.iter().zip(values) {
            if value != common {
                let message = format!(
                    "real_server {}: {what} is not that of the other servers; it gets theirs",
                    server.address
                );
                self.notes.add(server.place, message);
            }
        }
        Some(common.clone())
    }
}

fn protocol(node: &Node, notes: &mut Notes) -> Protocol {
    let word = node.argument().unwrap_or_default().to_ascii_lowercase();
    words::value(&word).unwrap_or_else(|| {
        notes.leave(node.place, &node.words, "neither TCP, UDP nor SCTP; it is TCP");
        Protocol::Tcp
    })
}

/// Without `protocol`, keepalived takes UDP for an address; a firewall mark has none, and checks are made over TCP.
fn default_protocol(node: &Node, targets: &[Target], notes: &mut Notes) -> Protocol {
    if targets.iter().all(|target| matches!(target, Target::Mark(..))) {
        return Protocol::Tcp;
    }
    notes.leave(node.place, &node.words, "without `protocol` it is UDP, in keepalived too");
    Protocol::Udp
}

fn count(node: &Node, notes: &mut Notes) -> Option<u32> {
    let count = node.argument().and_then(|text| text.parse().ok());
    if count.is_none() {
        notes.leave(node.place, &node.words, "not a number");
    }
    count
}

/// Why a setting of a virtual server cannot be carried.
fn unknown(keyword: &str) -> &'static str {
    match keyword {
        "smtp_alert" => "no mail is sent; use `on_up` and `on_down`",
        "omega" => "commands are not run when lvs ends",
        "persistence_engine" => "there are no persistence engines",
        "sorry_server_inhibit" => "the sorry server is added when it is needed",
        "ssl" | "SSL" => "checks do not speak TLS",
        "nat_mask" => "it has no effect in keepalived either",
        _ => "not known in a virtual_server",
    }
}

/// How many virtual servers there are of each method, to find the most common one.
pub(super) fn most_common_forwarding(parts: &[Part]) -> Way {
    let mut counts: HashMap<Way, usize> = HashMap::new();
    for service in parts.iter().filter_map(Part::service) {
        *counts.entry(service.forwarding()).or_default() += 1;
    }
    let count = |forwarding: Way| counts.get(&forwarding).copied().unwrap_or(0);
    [Way::Tunnel, Way::Direct, Way::Nat].into_iter().max_by_key(|f| count(*f)).unwrap_or(Way::Nat)
}
