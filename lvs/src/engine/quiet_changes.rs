//! What another file changes without a request to the kernel at that moment, a line each: numbers and commands that
//! matter once a real server fails or comes, and where metrics are served. A virtual server that is new or moved has no
//! such lines.

use std::collections::HashMap;
use std::time::Duration;

use lvs_config::Config;
use lvs_config::model::{Hooks, SlowStart, StartPolicy, VirtualServer};

use super::overrides::in_words;
use crate::identity::{ServerKey, service_id};

/// What is called so, and how it is written.
type Said = (&'static str, String);

/// The lines for `new` after `old`.
pub(super) fn quiet_changes(old: &Config, new: &Config) -> Vec<String> {
    let metrics =
        |config: &Config| [("metrics", config.metrics.map_or_else(nothing, |place| place.to_string()))];
    let mut lines = Vec::new();
    changes(&metrics(old), &metrics(new), |change| lines.push(change));
    let before: HashMap<_, _> =
        old.active_virtual_servers().map(|found| (service_id(found), found)).collect();
    for virtual_server in new.active_virtual_servers() {
        let Some(before) = before.get(&service_id(virtual_server)) else { continue };
        let name = &virtual_server.name;
        changes(&of_virtual(before), &of_virtual(virtual_server), |change| {
            lines.push(format!("{name}: {change}"));
        });
        let servers: HashMap<_, _> =
            before.active_servers().map(|server| (ServerKey::of(before, server), server)).collect();
        for server in virtual_server.active_servers() {
            let Some(before) = servers.get(&ServerKey::of(virtual_server, server)) else { continue };
            changes(&of_hooks(&before.hooks), &of_hooks(&server.hooks), |change| {
                lines.push(format!("{name}/{}: {change}", server.name));
            });
        }
    }
    lines
}

fn changes(old: &[Said], new: &[Said], mut say: impl FnMut(String)) {
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

fn of_hooks(hooks: &Hooks) -> [Said; 2] {
    let command = |words: &Option<Vec<String>>| {
        words.as_ref().map_or_else(nothing, |words| format!("\"{}\"", words.join(" ")))
    };
    [("on_up", command(&hooks.on_up)), ("on_down", command(&hooks.on_down))]
}

fn nothing() -> String {
    "none".to_owned()
}
