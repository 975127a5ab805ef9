//! What another file changes without a request to the kernel at that moment, a line each: numbers, names and commands that
//! matter once a real server fails or comes, and where metrics are served. A virtual server that is new or moved has no
//! such lines.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use ipvsadm::{Destination, DestinationId, Request, ServiceId};
use lvs_config::Config;
use lvs_config::model::{Hooks, RealServer, SlowStart, StartPolicy, VirtualServer};

use super::overrides::in_words;
use crate::difference::method;
use crate::identity::{ServerKey, destination_id, forward, service_id, sorry_id};
use crate::scope::service_of;

/// What is called so, and how it is written.
type Said = (&'static str, String);

/// What the requests of a plan have said already.
struct Told<'r> {
    /// Rows that are added or edited.
    set: HashMap<(ServiceId, DestinationId), &'r Destination>,
    /// Rows that are removed.
    removed: BTreeSet<(ServiceId, DestinationId)>,
}

impl<'r> Told<'r> {
    fn by(requests: &'r [Request]) -> Self {
        let mut told = Self { set: HashMap::new(), removed: BTreeSet::new() };
        for request in requests {
            let Some(service) = service_of(request) else { continue };
            match request {
                Request::AddDestination(_, row) | Request::EditDestination(_, row) => {
                    told.set.insert((service, row.id), row);
                }
                Request::DeleteDestination(_, row) => {
                    told.removed.insert((service, *row));
                }
                _ => {}
            }
        }
        told
    }

    fn is_about(&self, row: (ServiceId, DestinationId)) -> bool {
        self.set.contains_key(&row) || self.removed.contains(&row)
    }
}

/// The lines for `new` after `old`, beside those for `requests`.
pub(super) fn quiet_changes(old: &Config, new: &Config, requests: &[Request]) -> Vec<String> {
    let metrics =
        |config: &Config| [("metrics", config.metrics.map_or_else(nothing, |place| place.to_string()))];
    let told = Told::by(requests);
    let mut lines = Vec::new();
    changes(&metrics(old), &metrics(new), |change| lines.push(change));
    lines.extend(timeouts(old, new, requests));
    let before: HashMap<_, _> =
        old.active_virtual_servers().map(|found| (service_id(found), found)).collect();
    for virtual_server in new.active_virtual_servers() {
        let Some(before) = before.get(&service_id(virtual_server)) else { continue };
        let name = &virtual_server.name;
        let mut say = |change: String| lines.push(format!("{name}: {change}"));
        changes(&of_virtual(before), &of_virtual(virtual_server), &mut say);
        if !is_sorry_told(&told, before) && !is_sorry_told(&told, virtual_server) {
            changes(&[of_sorry(before)], &[of_sorry(virtual_server)], &mut say);
        }
        let servers: HashMap<_, _> =
            before.active_servers().map(|server| (ServerKey::of(before, server), server)).collect();
        for server in virtual_server.active_servers() {
            let Some(known) = servers.get(&ServerKey::of(virtual_server, server)) else { continue };
            let row = told.set.get(&(service_id(virtual_server), destination_id(virtual_server, server)));
            let say = |change| lines.push(format!("{name}/{}: {change}", server.name));
            changes(&of_server(known, server, row.copied()), &of_server(server, server, None), say);
        }
    }
    lines
}

/// Timeouts that the kernel keeps, or has already.
fn timeouts(old: &Config, new: &Config, requests: &[Request]) -> Vec<String> {
    let all = |of: &Config| [of.timeouts.tcp, of.timeouts.tcp_fin, of.timeouts.udp];
    let names = ["tcp_timeout", "tcpfin_timeout", "udp_timeout"];
    let is_told = requests.iter().any(|request| matches!(request, Request::SetTimeouts(_)));
    let seconds = |time: Duration| format!("{} s", time.as_secs());
    let all = names.into_iter().zip(all(old).into_iter().zip(all(new)));
    let changed = all.filter(|(_, (old, new))| old != new);
    let lines = changed.filter_map(|(name, (old, new))| match (old, new) {
        (Some(kept), None) => Some(format!("{name} no longer set: the kernel keeps {}", seconds(kept))),
        (old, Some(new)) if !is_told => {
            Some(format!("{name} {} instead of {}", seconds(new), old.map_or_else(nothing, seconds)))
        }
        _ => None,
    });
    lines.collect()
}

fn is_sorry_told(told: &Told<'_>, virtual_server: &VirtualServer) -> bool {
    let sorry = virtual_server.sorry_server.as_ref();
    sorry.is_some_and(|sorry| told.is_about((service_id(virtual_server), sorry_id(virtual_server, sorry))))
}

/// Says each of `new` that is something else than its place in `old`.
pub(super) fn changes(old: &[Said], new: &[Said], mut say: impl FnMut(String)) {
    for ((what, before), (_, after)) in old.iter().zip(new).filter(|((_, old), (_, new))| old != new) {
        say(format!("{what} {after} instead of {before}"));
    }
}

fn of_virtual(virtual_server: &VirtualServer) -> Vec<Said> {
    let time = |time: Option<Duration>| time.map_or_else(nothing, in_words);
    let climb = |climb| match climb {
        SlowStart::Off => "off".to_owned(),
        SlowStart::Doubling => "doubling".to_owned(),
        SlowStart::Even(time) => in_words(time),
    };
    let start = match virtual_server.start {
        StartPolicy::Up => "up",
        StartPolicy::Down => "down",
        StartPolicy::Probe => "probe",
    };
    let mut all = vec![
        ("name", virtual_server.name.clone()),
        ("quorum", virtual_server.quorum.weight.to_string()),
        ("quorum_hysteresis", virtual_server.quorum.hysteresis.to_string()),
        ("start", start.to_owned()),
        ("slow_start", climb(virtual_server.slow_start)),
        ("drain", time(virtual_server.drain)),
        ("quiesce_server", u8::from(virtual_server.quiesce).to_string()),
    ];
    all.extend(of_hooks(&virtual_server.hooks));
    all
}

fn of_sorry(virtual_server: &VirtualServer) -> Said {
    let sorry = virtual_server.sorry_server.as_ref();
    let place = sorry.map(|sorry| {
        format!("{} by {}", sorry_id(virtual_server, sorry), method(&forward(sorry.forwarding)))
    });
    ("sorry_server", place.unwrap_or_else(nothing))
}

/// What the file says of `server`; where a request has given its row what the file says of `new`, the same as of that.
fn of_server(server: &RealServer, new: &RealServer, row: Option<&Destination>) -> Vec<Said> {
    let limits = |server: &RealServer| (server.limits.max, server.limits.min);
    let has = |what: bool| if what { new } else { server };
    let weight = has(row.is_some_and(|row| row.weight == new.weight.value())).weight;
    let limits =
        limits(has(row.is_some_and(|row| (row.upper_threshold, row.lower_threshold) == limits(new))));
    let by = has(row.is_some_and(|row| row.forward == forward(new.forwarding))).forwarding;
    let number = |limit: u32| if limit == 0 { nothing() } else { limit.to_string() };
    let mut all = vec![
        ("name", server.name.clone()),
        ("weight", weight.to_string()),
        ("max_connections", number(limits.0)),
        ("min_connections", number(limits.1)),
        ("method", method(&forward(by))),
    ];
    all.extend(of_hooks(&server.hooks));
    all
}

fn of_hooks(hooks: &Hooks) -> [Said; 2] {
    [("on_up", command(hooks.on_up.as_ref())), ("on_down", command(hooks.on_down.as_ref()))]
}

/// A command as the file has it.
pub(super) fn command(words: Option<&Vec<String>>) -> String {
    words.map_or_else(nothing, |words| format!("\"{}\"", words.join(" ")))
}

fn nothing() -> String {
    "none".to_owned()
}
