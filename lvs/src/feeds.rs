//! Which servers one monitor is for: servers of any virtual servers that want exactly the same check.
//!
//! Only groups; what a check is says [`crate::nanny_args`], and what becomes of a monitor [`crate::supervisor`].

use std::collections::HashMap;

use lvs_config::Config;
use lvs_config::model::{RealServer, VirtualServer};

use crate::identity::ServerKey;
use crate::nanny_args::{CheckIdentity, MonitorCommand, MonitorSettings};

/// One monitor and whom it is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Feed {
    /// How it is started: as for the first of its users.
    pub command: MonitorCommand,
    /// Name of the virtual server of the first of its users, for the log.
    pub vs: String,
    /// The servers that its reports are about, at least one, in the order of the file.
    pub users: Vec<ServerKey>,
}

impl Feed {
    /// The server that stands for all of them in the log.
    #[must_use]
    pub fn name(&self) -> ServerKey {
        self.users[0]
    }
}

/// The monitors that the active servers of `config` need, in the order in which they are first wanted.
#[must_use]
pub fn feeds(settings: &MonitorSettings, config: &Config) -> Vec<Feed> {
    let virtual_servers = config.active_virtual_servers();
    let servers = virtual_servers.flat_map(|v| v.active_servers().map(move |server| (v, server)));
    let command = |(v, server): (&VirtualServer, &RealServer)| {
        (ServerKey::of(v, server), v.name.clone(), MonitorCommand::new(settings, config, v, server))
    };
    group(servers.map(command).collect())
}

fn group(commands: Vec<(ServerKey, String, MonitorCommand)>) -> Vec<Feed> {
    let mut feeds: Vec<Feed> = Vec::with_capacity(commands.len());
    for (place, (user, vs, command)) in places(&commands).into_iter().zip(commands) {
        match feeds.get_mut(place) {
            Some(feed) => feed.users.push(user),
            None => feeds.push(Feed { command, vs, users: vec![user] }),
        }
    }
    feeds
}

/// For each command, which of the distinct checks it is.
fn places(commands: &[(ServerKey, String, MonitorCommand)]) -> Vec<usize> {
    let mut known: HashMap<CheckIdentity<'_>, usize> = HashMap::with_capacity(commands.len());
    let mut places = Vec::with_capacity(commands.len());
    for (_, _, command) in commands {
        let next = known.len();
        places.push(*known.entry(command.identity()).or_insert(next));
    }
    places
}
