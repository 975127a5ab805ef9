//! `lvs ctl check-now`: which monitors are told to check at once, and what is answered.
//!
//! What a check finds comes as ever, by a report. Nothing of this is an override, and nothing of it is saved.

use std::collections::BTreeSet;

use lvs_config::model::{RealServer, VirtualServer};
use lvs_ipc::control::Reply;

use super::Engine;
use super::overrides::names;
use super::target::{self, Target};
use crate::action::Action;
use crate::identity::ServerKey;
use crate::operator_event::OperatorEvent;
use crate::wording::counted;

impl Engine {
    /// Has the real servers that `target` names checked, as `by` asks; the answer goes to whoever waits for `id`.
    pub(super) fn check_now(&mut self, id: u64, target: String, by: String) -> Vec<Action> {
        match self.prompted(&target) {
            Ok((tokens, lines)) => {
                self.overrides.tell(OperatorEvent::CheckAsked { target, by });
                let signals = tokens.into_iter().map(Action::CheckNow);
                signals.chain([Action::Reply(id, Reply::done(lines))]).collect()
            }
            Err(lines) => vec![Action::Reply(id, Reply::Refused { lines })],
        }
    }

    /// The monitors to tell, and what that comes to for each server; or why there is none.
    fn prompted(&self, target: &str) -> Result<(BTreeSet<u64>, Vec<String>), Vec<String>> {
        let found =
            target::any(&self.config, target).map_err(|miss| vec![self.no_such_server(target, miss)])?;
        let servers: Vec<(&VirtualServer, &RealServer)> = match found {
            Target::Server(server) => vec![server],
            Target::Virtual(of) => of.active_servers().map(|server| (of, server)).collect(),
        };
        if let Some((of, _)) = servers.iter().find(|(of, _)| of.check.client_monitor.is_some()) {
            return Err(vec![format!("the client_monitor of {} checks in its own time", of.name)]);
        }
        let meant: BTreeSet<ServerKey> =
            servers.iter().map(|(of, server)| ServerKey::of(of, server)).collect();
        let mut tokens = BTreeSet::new();
        let mut lines = Vec::new();
        for (of, server) in servers {
            let (key, name) = (ServerKey::of(of, server), names(of, &server.name));
            match self.supervisor.promptable(&key) {
                Ok(token) => {
                    tokens.insert(token);
                    let shared =
                        self.supervisor.sharing(&key).iter().filter(|user| !meant.contains(user)).count();
                    let for_others = match shared {
                        0 => String::new(),
                        others => format!(", for {} with the same check too", counted(others, "server")),
                    };
                    lines.push(format!("{name}: checked now{for_others}"));
                }
                Err(why) => lines.push(format!("{name}: not now: {why}")),
            }
        }
        match (tokens.is_empty(), lines.is_empty()) {
            (_, true) => Err(vec![format!("{target} has no active real server")]),
            (true, false) => Err(lines),
            (false, false) => Ok((tokens, lines)),
        }
    }
}
