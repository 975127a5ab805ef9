//! What a plan says of the processes that check: which begin, which end, and which take the place of another. A monitor
//! that several virtual servers share is one process, and goes on as long as one of them wants it as it is.

use std::collections::BTreeSet;

use lvs_config::Config;

use super::Engine;
use crate::feeds::Feed;
use crate::identity::{ServerKey, service_id};
use crate::supervisor::Changes;

/// The processes that begin and end, by the first server that each is for.
#[derive(Debug)]
pub(super) struct Monitors {
    /// Those that begin.
    pub(super) started: Vec<String>,
    /// Those that end.
    pub(super) stopped: Vec<String>,
    lines: Vec<String>,
}

impl Monitors {
    /// What becomes of the monitors of `old`, of which `new` is a later state.
    pub(super) fn of(old: &Engine, new: &Engine) -> Self {
        let Changes { started, stopped } = new.supervisor.changes_since(&old.supervisor);
        let is_of = |feeds: &[&Feed], feed: &Feed| {
            let users: BTreeSet<&ServerKey> = feeds.iter().flat_map(|feed| &feed.users).collect();
            feed.users.iter().any(|user| users.contains(user))
        };
        let (restarted, fresh): (Vec<&Feed>, Vec<&Feed>) =
            started.iter().copied().partition(|feed| is_of(&stopped, feed));
        let ended: Vec<&Feed> = stopped.iter().copied().filter(|feed| !is_of(&restarted, feed)).collect();
        let told = |what: &str, config: &Config, feeds: &[&Feed]| {
            let names: Vec<String> = feeds.iter().map(|feed| in_words(config, feed)).collect();
            (!names.is_empty()).then(|| format!("monitors {what}: {}", names.join(", ")))
        };
        let lines = [
            told("started", &new.config, &fresh),
            told("restarted", &new.config, &restarted),
            told("stopped", &old.config, &ended),
        ];
        let names = |config: &Config, feeds: &[&Feed]| {
            feeds.iter().map(|feed| name_of(config, &feed.name())).collect()
        };
        Self {
            started: names(&new.config, &started),
            stopped: names(&old.config, &stopped),
            lines: lines.into_iter().flatten().collect(),
        }
    }

    /// The lines for people.
    pub(super) fn lines(&self) -> impl Iterator<Item = String> {
        self.lines.iter().cloned()
    }
}

/// The first server, and with whom it shares the monitor.
fn in_words(config: &Config, feed: &Feed) -> String {
    let name = name_of(config, &feed.name());
    match &feed.users[..] {
        [] | [_] => name,
        [_, other] => format!("{name} (also for {})", name_of(config, other)),
        users => format!("{name} (also for {} others)", users.len() - 1),
    }
}

/// `VIRTUAL/SERVER` of a server of the file.
fn name_of(config: &Config, key: &ServerKey) -> String {
    let virtual_server = config.active_virtual_servers().find(|found| service_id(found) == key.service);
    let found = virtual_server.and_then(|found| {
        let server = found.active_servers().find(|server| ServerKey::of(found, server) == *key)?;
        Some(format!("{}/{}", found.name, server.name))
    });
    found.unwrap_or_else(|| key.to_string())
}
