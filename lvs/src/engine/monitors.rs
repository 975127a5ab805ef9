//! What a plan says of the processes that check: which begin, which end, and which take the place of another. A monitor
//! that several virtual servers share is one process, and goes on as long as one of them wants it as it is.

use std::collections::HashSet;

use super::Engine;
use super::directory::Directory;
use crate::feeds::Feed;
use crate::identity::ServerKey;
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
    /// What becomes of the monitors of `old`, of which `new` is a later state; each with the names in its file.
    pub(super) fn of(old: (&Engine, &Directory<'_>), new: (&Engine, &Directory<'_>)) -> Self {
        let Changes { started, stopped } = new.0.supervisor.changes_since(&old.0.supervisor);
        let (before, now) = (users(&stopped), users(&started));
        let (restarted, fresh): (Vec<&Feed>, Vec<&Feed>) =
            started.iter().copied().partition(|feed| is_for_any(feed, &before));
        let ended: Vec<&Feed> = stopped.iter().copied().filter(|feed| !is_for_any(feed, &now)).collect();
        let told = |what: &str, names: &Directory<'_>, feeds: &[&Feed]| {
            let names: Vec<String> = feeds.iter().map(|feed| in_words(names, feed)).collect();
            (!names.is_empty()).then(|| format!("monitors {what}: {}", names.join(", ")))
        };
        let lines = [
            told("started", new.1, &fresh),
            told("restarted", new.1, &restarted),
            told("stopped", old.1, &ended),
        ];
        let all = |names: &Directory<'_>, feeds: &[&Feed]| {
            feeds.iter().map(|feed| names.server(&feed.name())).collect()
        };
        Self {
            started: all(new.1, &started),
            stopped: all(old.1, &stopped),
            lines: lines.into_iter().flatten().collect(),
        }
    }

    /// The lines for people.
    pub(super) fn lines(&self) -> impl Iterator<Item = String> {
        self.lines.iter().cloned()
    }
}

/// The servers that any of `feeds` is for.
fn users<'f>(feeds: &[&'f Feed]) -> HashSet<&'f ServerKey> {
    feeds.iter().flat_map(|feed| &feed.users).collect()
}

fn is_for_any(feed: &Feed, users: &HashSet<&ServerKey>) -> bool {
    feed.users.iter().any(|user| users.contains(user))
}

/// The first server, and with whom it shares the monitor.
fn in_words(names: &Directory<'_>, feed: &Feed) -> String {
    let name = names.server(&feed.name());
    match &feed.users[..] {
        [] | [_] => name,
        [_, other] => format!("{name} (also for {})", names.server(other)),
        users => format!("{name} (also for {} others)", users.len() - 1),
    }
}
