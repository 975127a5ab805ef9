//! What an operator asks for while the director runs, carried out and answered.
//!
//! A plan comes here after the file has been read, and so does a reload, which `reloads` answers. Everything is refused as a whole or done.

use std::time::Duration;

use daemonkit::clock::Mono;
use ipvsadm::DestinationEntry;
use lvs_config::Config;
use lvs_config::model::{Protocol, VirtualServer};
use lvs_config::units::Weight;
use lvs_ipc::control::{Command, Listed, Reply};

use super::overrides::{in_words, left, names, row_in, word};
use super::target::{self, Target};
use super::{Engine, WallClock};
use crate::action::{Action, Who};
use crate::desired::wanted_service;
use crate::identity::{ServerKey, service_id};
use crate::operator_event::OperatorEvent;
use crate::orders::{Admin, Drain, Names, Order};
use crate::sysctl::plan::EXPIRE_TEMPLATES;

/// Shortest and longest time that a drain may be given.
pub(super) const DEADLINES: std::ops::RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_secs(24 * 3600);

/// What was done, a line each, or why nothing was.
pub(super) type Outcome = Result<Vec<String>, String>;

impl Engine {
    /// Does what `who` asks for; the answer goes to whoever waits for `id`. If it is to survive a restart, then when
    /// that is certain.
    pub(super) fn control(&mut self, now: Mono, id: u64, command: Command, who: Who) -> Vec<Action> {
        if command == Command::Reload && self.stop_by.is_none() {
            return self.reload_asked(now, id, who.by);
        }
        let command = match command {
            Command::CheckNow { target } if self.stop_by.is_none() => {
                return self.check_now(id, target, who.by);
            }
            other => other,
        };
        let is_order = !matches!(command, Command::Reload | Command::List | Command::Diff { .. });
        match self.reply(now, command, who) {
            Reply::Done { lines, .. } if is_order && self.overrides.is_unsaved() => {
                self.saving.answer_when_saved(now, id, lines);
                Vec::new()
            }
            reply => vec![Action::Reply(id, reply)],
        }
    }

    /// Tells what a reload of a file would do.
    pub(super) fn tell_plan(
        &self,
        now: Mono,
        id: u64,
        file: Result<Box<Config>, Vec<String>>,
    ) -> Vec<Action> {
        let reply = match file {
            _ if self.stop_by.is_some() => ending(),
            Ok(config) => Reply::Plan(self.plan(now, *config)),
            Err(lines) => Reply::Unusable { lines },
        };
        vec![Action::Reply(id, reply)]
    }

    fn reply(&mut self, now: Mono, command: Command, who: Who) -> Reply {
        if self.stop_by.is_some() {
            return ending();
        }
        let Who { by, at_ms } = who;
        let order = Order { by, at_ms, reason: command.reason().map(str::to_owned) };
        let outcome = match command {
            Command::List => {
                let clock = WallClock { now, since_epoch: Duration::from_millis(at_ms) };
                return Reply::Overrides { overrides: self.list(clock) };
            }
            // The file is read elsewhere, and then this is asked for.
            Command::Reload | Command::Diff { .. } => Err("this needs a file that has been read".to_owned()),
            // Answered before, with signals to monitors.
            Command::CheckNow { .. } => Err("nothing can be checked now".to_owned()),
            Command::Drain { target, deadline_ms, .. } => {
                self.drain(now, &target, deadline_ms.map(Duration::from_millis), order)
            }
            Command::Undrain { target } => self.undrain(&target, order),
            Command::Weight { target, weight, .. } => self.weigh(&target, weight, order),
            Command::Enable { target, force, .. } => self.enable(&target, force, order),
            Command::Disable { target, .. } => self.disable(&target, order),
            Command::Sorry { target, on, .. } => self.sorry(&target, on, order),
            Command::Reset { target } => self.reset(target.as_deref(), &order),
        };
        self.stale_where_touched();
        match outcome {
            Ok(lines) => Reply::done(lines),
            Err(why) => Reply::refused(why),
        }
    }

    fn drain(&mut self, now: Mono, target: &str, within: Option<Duration>, order: Order) -> Outcome {
        if let Some(leaving) = self.departing(target)? {
            return self.drain_leaving(now, leaving, within, order);
        }
        let (virtual_server, key, names) = self.changeable(target)?;
        if within.is_some_and(|within| !DEADLINES.contains(&within)) {
            return Err("a drain takes at least 1s and at most 24h".into());
        }
        if matches!(
            self.overrides.of(&key).and_then(|known| known.admin.as_ref()),
            Some((Admin::Disabled, _))
        ) {
            return Err(format!("{names} is disabled, so it is out of the table already"));
        }
        let within = within.or(virtual_server.drain);
        let left = self.row(&key).map(|row| self.overrides.to_wait_for(row));
        let limit = within
            .map_or_else(|| "without a time limit".into(), |time| format!("for {} at most", in_words(time)));
        let mut lines = vec![match left {
            Some(left) => format!("{names}: draining {limit}; {left} when last counted"),
            None => format!("{names}: draining; it is not in the table"),
        }];
        lines.extend(left.and_then(|_| waiting_for(virtual_server, self.sysctls.expires_templates())));
        let (service, has_sorry) = (key.service, virtual_server.sorry_server.is_some());
        let virtual_name = virtual_server.name.clone();
        let drain = Drain { deadline: within.map(|within| now + within), left: None, ended: None };
        self.order(key, names, Admin::Drain(drain), format!("drain {limit}"), order);
        if !self.takes_connections(&service) {
            let then = if has_sorry { "its sorry server serves" } else { "new connections are refused" };
            lines.push(format!("{virtual_name}: no other real server takes connections: {then}"));
        }
        Ok(lines)
    }

    fn undrain(&mut self, target: &str, order: Order) -> Outcome {
        let (_, key, names) = self.changeable(target)?;
        match self.overrides.of(&key).and_then(|known| known.admin.as_ref()) {
            Some((admin @ Admin::Drain(_), _)) => {
                let what = word(*admin);
                Ok(vec![self.undo(key, names, what, order.by)])
            }
            _ => Err(format!("{names} is not being drained")),
        }
    }

    fn weigh(&mut self, target: &str, weight: u32, order: Order) -> Outcome {
        let (_, key, names) = self.changeable(target)?;
        let weight = u16::try_from(weight).map_err(|_| format!("a weight is at most {}", Weight::MAX))?;
        let line = format!("{names}: weight {weight} until it is reset");
        let (target, what) = (names.to_string(), format!("weight {weight}"));
        self.overrides.tell(OperatorEvent::Ordered { target, what, order: order.clone() });
        self.overrides.set_weight(key, names, Some((weight, order)));
        Ok(vec![line])
    }

    fn enable(&mut self, target: &str, force: bool, order: Order) -> Outcome {
        let (_, key, names) = self.changeable(target)?;
        if force {
            let line = format!("{names}: serves, whatever its check says, until it is disabled or reset");
            self.order(key, names, Admin::Forced, "enable --force".into(), order);
            return Ok(vec![line]);
        }
        match self.overrides.of(&key).and_then(|known| known.admin.as_ref()) {
            Some((Admin::Drain(_), _)) => Err(format!("{names} is being drained; \"undrain\" ends that")),
            Some((admin, _)) => {
                let what = word(*admin);
                Ok(vec![self.undo(key, names, what, order.by)])
            }
            None => Err(format!(
                "{names} is not disabled; \"enable --force\" has it serve whatever its check says"
            )),
        }
    }

    fn disable(&mut self, target: &str, order: Order) -> Outcome {
        if let Some(leaving) = self.departing(target)? {
            return self.disable_leaving(leaving, order);
        }
        let (_, key, names) = self.changeable(target)?;
        let cut = self.row(&key).map(left).filter(|left| !left.is_nothing());
        let cut = cut.map_or_else(String::new, |left| format!("; {left} cut off, as last counted"));
        let line = format!("{names}: out of the table until it is enabled{cut}");
        self.order(key, names, Admin::Disabled, "disable".into(), order);
        Ok(vec![line])
    }

    fn sorry(&mut self, target: &str, on: bool, order: Order) -> Outcome {
        let virtual_server = target::virtual_server(&self.config, target)?;
        let (service, name) = (service_id(virtual_server), virtual_server.name.clone());
        if virtual_server.sorry_server.is_none() {
            return Err(format!("{name} has no sorry_server in the file"));
        }
        let is_on = self.overrides.state.sorry.contains_key(&service);
        if !on && !is_on {
            return Err(format!("the sorry server of {name} has not been switched on"));
        }
        if on {
            let (target, what) = (name.clone(), "sorry on".to_owned());
            self.overrides.tell(OperatorEvent::Ordered { target, what, order: order.clone() });
            self.overrides.set_sorry(service, name.clone(), Some(order));
            return Ok(vec![format!("{name}: the sorry server alone takes new connections")]);
        }
        self.overrides.tell(OperatorEvent::Undone { target: name.clone(), what: "sorry", by: order.by });
        self.overrides.set_sorry(service, name.clone(), None);
        Ok(vec![format!("{name}: the sorry server serves when no real server can")])
    }

    fn reset(&mut self, target: Option<&str>, order: &Order) -> Outcome {
        let is_meant: Box<dyn Fn(&ServerKey) -> bool> =
            match target.map(|target| self.any(target)).transpose()? {
                None => Box::new(|_| true),
                Some(Target::Virtual(found)) => {
                    let service = service_id(found);
                    Box::new(move |key| key.service == service)
                }
                Some(Target::Server((of, found))) => {
                    let meant = ServerKey::of(of, found);
                    Box::new(move |key| *key == meant)
                }
            };
        let mut lines = Vec::new();
        let servers = self.overrides.state.servers.iter().filter(|(key, _)| is_meant(key));
        for (key, orders) in servers.map(|(key, orders)| (*key, orders.clone())).collect::<Vec<_>>() {
            if let Some((admin, _)) = orders.admin {
                lines.push(self.undo(key, orders.names.clone(), word(admin), order.by.clone()));
            }
            if orders.weight.is_some() {
                let target = orders.names.to_string();
                lines.push(format!("{target}: weight ended"));
                self.overrides.tell(OperatorEvent::Undone { target, what: "weight", by: order.by.clone() });
                self.overrides.set_weight(key, orders.names, None);
            }
        }
        let of_servers =
            matches!(target.map(|target| target::any(&self.config, target)), Some(Ok(Target::Server(_))));
        let sorry = self.overrides.state.sorry.iter().filter(|(service, _)| {
            // A service stands for itself; the address of the server does not matter.
            let any = ipvsadm::DestinationId::new(std::net::Ipv4Addr::UNSPECIFIED.into(), 0);
            !of_servers && is_meant(&ServerKey { service: **service, server: any })
        });
        for (service, name) in sorry.map(|(service, (name, _))| (*service, name.clone())).collect::<Vec<_>>()
        {
            lines.push(format!("{name}: sorry ended"));
            let by = order.by.clone();
            self.overrides.tell(OperatorEvent::Undone { target: name.clone(), what: "sorry", by });
            self.overrides.set_sorry(service, name, None);
        }
        if lines.is_empty() {
            lines.push("there was no override".into());
        }
        Ok(lines)
    }

    fn any(&self, target: &str) -> Result<Target<'_>, String> {
        target::any(&self.config, target).map_err(|miss| self.no_such_server(target, miss))
    }

    /// The server that `target` names, if its row is ours to change.
    fn changeable(&self, target: &str) -> Result<(&VirtualServer, ServerKey, Names), String> {
        let (virtual_server, server) =
            target::server(&self.config, target).map_err(|miss| self.no_such_server(target, miss))?;
        if virtual_server.check.client_monitor.is_some() {
            let name = &virtual_server.name;
            return Err(format!(
                "the client_monitor of {name} keeps its rows by itself; lvs leaves them alone"
            ));
        }
        let key = ServerKey::of(virtual_server, server);
        Ok((virtual_server, key, names(virtual_server, &server.name)))
    }

    fn order(&mut self, key: ServerKey, names: Names, admin: Admin, what: String, order: Order) {
        let target = names.to_string();
        self.overrides.tell(OperatorEvent::Ordered { target, what, order: order.clone() });
        self.overrides.set_admin(key, names, Some((admin, order)));
    }

    /// Ends what took the place of a server's health; says so.
    fn undo(&mut self, key: ServerKey, names: Names, what: &'static str, by: String) -> String {
        let target = names.to_string();
        self.overrides.tell(OperatorEvent::Undone { target: target.clone(), what, by });
        self.overrides.set_admin(key, names, None);
        format!("{target}: {what} ended")
    }

    /// A server's row, if it has one.
    fn row(&self, key: &ServerKey) -> Option<&DestinationEntry> {
        row_in(&self.config, self.reconciler.believed()?, key)
    }

    /// Whether a real server of `service` is to have a weight above 0.
    fn takes_connections(&self, service: &ipvsadm::ServiceId) -> bool {
        let virtual_server = self.config.active_virtual_servers().find(|known| service_id(known) == *service);
        virtual_server.is_some_and(|known| {
            let wanted = wanted_service(known, |key| self.standing_of(key));
            let rows = wanted.destinations.iter().filter(|row| row.weight > 0).count();
            rows > usize::from(wanted.sorry)
        })
    }

    /// Every override, in the order of the file.
    fn list(&self, clock: WallClock) -> Vec<Listed> {
        let mut all = Vec::new();
        for virtual_server in self.config.active_virtual_servers() {
            let service = service_id(virtual_server);
            let of_virtual = self.overrides.of_virtual(&service);
            all.extend(
                of_virtual
                    .map(|override_status| Listed { target: virtual_server.name.clone(), override_status }),
            );
            for server in virtual_server.active_servers() {
                let target = names(virtual_server, &server.name).to_string();
                let found = self.overrides.of_server(clock, &ServerKey::of(virtual_server, server));
                all.extend(
                    found
                        .into_iter()
                        .map(|override_status| Listed { target: target.clone(), override_status }),
                );
            }
            all.extend(self.overrides.list_leaving(clock, &service));
        }
        all
    }
}

/// The answer to everything while the services are being withdrawn.
pub(super) fn ending() -> Reply {
    Reply::refused("lvs is ending: it withdraws its services")
}

/// What holds a drain up that an operator may not expect.
fn waiting_for(virtual_server: &VirtualServer, expires_templates: bool) -> Option<String> {
    if virtual_server.persistence.is_some() && expires_templates {
        return Some(format!(
            "its clients are sent to other real servers from now on ({EXPIRE_TEMPLATES} = 1)"
        ));
    }
    if let Some(persistence) = virtual_server.persistence {
        return Some(format!(
            "its clients are sent there again until they have been away for {} (persistent)",
            in_words(persistence.timeout)
        ));
    }
    let is_udp = virtual_server.protocol == Protocol::Udp && virtual_server.fwmark.is_none();
    is_udp.then(|| "a UDP client that never pauses stays there until the time is over".to_owned())
}
