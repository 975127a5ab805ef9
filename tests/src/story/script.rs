//! The steps of the story, in their order, and what each expects. Every wait is bounded; what takes longer than it may
//! is measured all the same, and told.

use std::{cell::RefCell, net::IpAddr, time::Duration};

use anyhow::{Context as _, Result, anyhow};
use lvs_ipc::status::Role;

use super::{
    event::{Event, Measurement, Moment, Teller},
    plan::{Member, Service, Spread},
    stage::Stage,
    view::{limit, seconds},
};
use crate::{ProbeReport, Request, eventually::eventually_every};

/// What an outage may take beyond the timers.
const GRACE: Duration = Duration::from_millis(200);
/// What the start of programs and the report of a check may take beyond the timers.
const PROMPT: Duration = Duration::from_millis(500);
/// How much longer than allowed something is waited for, so that its real length can be told.
const PATIENCE: Duration = Duration::from_secs(20);
/// Answers that each client gets while nothing is disturbed.
const STEADY: usize = 100;
/// Answers that each client gets after a disturbance, before it counts as over.
const CALM: usize = 40;
/// How long undisturbed traffic is watched at least, so that an audience sees it.
const STEADY_WATCH: Duration = Duration::from_secs(4);
/// The same after a disturbance.
const CALM_WATCH: Duration = Duration::from_secs(2);
/// Pause between two looks at routers and clients: short against every timer, long against the cost of a look.
const PAUSE: Duration = Duration::from_millis(20);
/// Requests a spread may be off by, as several are under way at a time.
const UNDER_WAY: usize = 2;

/// Waits, looking at things that cost something.
fn eventually<T>(within: Duration, what: &str, look: impl FnMut() -> Result<T, String>) -> Result<T> {
    eventually_every(PAUSE, within, what, look)
}

/// One run of the story.
pub(super) struct Script<'a> {
    pub(super) stage: &'a Stage<'a>,
    pub(super) teller: &'a Teller,
    step: RefCell<String>,
}

impl<'a> Script<'a> {
    /// A story on this stage.
    pub(super) fn new(stage: &'a Stage<'a>, teller: &'a Teller) -> Self {
        Self { stage, teller, step: RefCell::default() }
    }

    /// Plays all steps.
    ///
    /// # Errors
    /// When the story cannot go on; the step that could not be finished has been measured as not held.
    pub(super) fn play(&self) -> Result<()> {
        let played = self.steps();
        if let Err(error) = &played {
            self.expect("the step comes to its end", &format!("{error:#}"), false);
        }
        played
    }

    fn steps(&self) -> Result<()> {
        self.start()?;
        self.steady_traffic()?;
        self.a_server_dies_and_returns()?;
        let first = self.active()?;
        let second = 1 - first;
        self.active_vanishes(first, second)?;
        self.vanished_returns(first, second)?;
        self.active_steps_down(second, first)?;
        self.starts_again(second, first)?;
        self.stop(second, first)
    }

    // Telling.

    fn begin(&self, step: &str) {
        step.clone_into(&mut self.step.borrow_mut());
        self.stage.begin_step();
        self.teller.tell(&Event::Step(step.to_owned()));
    }

    fn say(&self, text: impl Into<String>) {
        self.teller.tell(&Event::Happened(Moment { at: self.stage.lab.now(), text: text.into() }));
    }

    fn expect(&self, expected: &str, measured: &str, held: bool) {
        self.teller.tell(&Event::Measured(Measurement {
            step: self.step.borrow().clone(),
            expected: expected.to_owned(),
            measured: measured.to_owned(),
            held,
        }));
    }

    fn name(&self, router: usize) -> &str {
        self.stage.routers[router].name()
    }

    fn now(&self) -> Duration {
        self.stage.lab.now()
    }

    fn active(&self) -> Result<usize> {
        self.stage.active().ok_or_else(|| anyhow!("not exactly one router is active"))
    }

    // Steps.

    fn start(&self) -> Result<()> {
        self.begin("both routers start");
        let plan = self.stage.plan;
        let from = self.now();
        self.stage.send_clients()?;
        for router in &self.stage.routers {
            router.start()?;
        }
        self.say(format!(
            "pulse -n -c lvs.cf starts on {} (the file's primary) and {} (its backup); a client asks for every virtual server",
            self.name(0),
            self.name(1)
        ));
        let slowest_check = plan.services.iter().map(|service| service.interval).max().unwrap_or_default();
        let allowed = plan.deadtime + plan.keepalive + slowest_check + PROMPT * 2;
        let active = eventually(allowed + PATIENCE, "one active and one waiting router", || {
            let roles: Vec<_> = self.stage.routers.iter().map(super::stage::Router::role).collect();
            let backups = roles.iter().filter(|role| **role == Some(Role::Backup)).count();
            self.stage.active().filter(|_| backups == 1).ok_or_else(|| format!("{roles:?}"))
        })?;
        self.say(format!(
            "{} is active, {} waits: {}",
            self.name(active),
            self.name(1 - active),
            self.reason(active)
        ));
        self.wait_for_table(active, allowed + PATIENCE)?;
        let first = |report: &ProbeReport| {
            report.requests.iter().find(|request| request.outcome.is_ok()).map(|request| request.at)
        };
        let answered = eventually(allowed + PATIENCE, "an answer of every virtual server", || {
            let seen = self.stage.seen(from);
            let firsts: Option<Vec<Duration>> = seen.iter().map(first).collect();
            firsts.and_then(|firsts| firsts.into_iter().max()).ok_or_else(|| shown(&seen))
        })?;
        let took = answered.saturating_sub(from);
        let held: Vec<String> =
            self.stage.routers[active].held(plan)?.iter().map(IpAddr::to_string).collect();
        self.say(format!(
            "lvs has filled its table, a nanny checks each real server; {} holds {}",
            self.name(active),
            held.join(", ")
        ));
        self.expect(
            &format!("one is active, all services answer within {}", limit(allowed)),
            &format!("{}, {}", self.name(active), seconds(took)),
            took <= allowed && held.len() == plan.floating.len(),
        );
        Ok(())
    }

    fn steady_traffic(&self) -> Result<()> {
        self.begin("steady traffic");
        let from = self.now();
        self.answers(from, STEADY, STEADY_WATCH)?;
        let seen = self.stage.seen(from);
        for (service, report) in self.stage.plan.services.iter().zip(&seen) {
            let counts = self.counts(service, report);
            let (expected, held) = spread(service, &counts);
            let measured: Vec<String> = counts.iter().map(usize::to_string).collect();
            self.expect(&expected, &measured.join(" : "), held);
        }
        self.expect_no_failures("no request fails", &seen);
        Ok(())
    }

    fn a_server_dies_and_returns(&self) -> Result<()> {
        let Some(victim) = self.victim() else {
            self.say("no real server has another one beside it, so none is killed");
            return Ok(());
        };
        let machine = &self.stage.plan.machines[victim];
        let services: Vec<&Service> = self.stage.plan.services.iter().filter(|s| s.has(victim)).collect();
        let slowest =
            |of: &dyn Fn(&Service) -> Duration| services.iter().map(|s| of(s)).max().unwrap_or_default();
        let (interval, reentry) = (slowest(&|s| s.interval), slowest(&|s| s.reentry));

        self.begin(&format!("{} dies", machine.name));
        let from = self.now();
        self.stage.set_alive(victim, false)?;
        self.say(format!("the programs on {} ({}) end; its ports are closed", machine.name, machine.address));
        // A refused connection is known at once, so the next check tells.
        let allowed = interval + PROMPT;
        let gone = self.wait_for_use(victim, false, allowed + PATIENCE)?;
        let took = gone.saturating_sub(from);
        self.answers(gone, CALM, CALM_WATCH)?;
        self.expect(
            &format!("out of use within {} (one check)", limit(allowed)),
            &format!("{}, {} failed", seconds(took), failed_before(&self.stage.seen(from), gone)),
            took <= allowed,
        );
        self.expect_no_failures("after that no request fails", &self.stage.seen(gone));

        self.begin(&format!("{} returns", machine.name));
        let from = self.now();
        self.stage.set_alive(victim, true)?;
        self.say(format!(
            "{} answers again; it must pass its checks for {} first",
            machine.name,
            limit(reentry)
        ));
        let (least, most) = (reentry.saturating_sub(interval), reentry + interval * 2 + PROMPT);
        let took = self.wait_for_use(victim, true, most + PATIENCE)?.saturating_sub(from);
        let back = self.now();
        self.answers(back, CALM, CALM_WATCH)?;
        self.expect(
            &format!("used again after {} to {} (re-entry)", limit(least), limit(most)),
            &seconds(took),
            (least..=most).contains(&took),
        );
        self.expect_no_failures("no request fails", &self.stage.seen(from));
        Ok(())
    }

    fn active_vanishes(&self, active: usize, backup: usize) -> Result<()> {
        let plan = self.stage.plan;
        let (gone, heir) = (self.name(active).to_owned(), self.name(backup).to_owned());
        self.begin(&format!("{gone} vanishes"));
        let captures = self.stage.listen()?;
        let from = self.now();
        self.stage.routers[active].set_cut(true)?;
        self.say(format!(
            "all cables of {gone}, the active router, are cut; {heir} hears no heartbeat any more"
        ));
        let allowed = plan.deadtime + plan.keepalive + GRACE;
        let outage = self.outage_after(from, allowed + PATIENCE, true)?;
        self.expect(
            &format!("outage ≤ {} (deadtime + keepalive + 0.2 s)", limit(allowed)),
            &seconds(outage),
            outage <= allowed,
        );
        self.wait_for_heir(backup, Duration::ZERO)?;
        self.say(format!("{heir} is active: {}", self.reason(backup)));
        let announced = eventually(PATIENCE, "gratuitous ARPs", || {
            let found = self.stage.announcements(backup, &captures);
            if found.len() == plan.floating.len() { Ok(found) } else { Err(format!("{found:?}")) }
        });
        let announced = announced.unwrap_or_else(|_| self.stage.announcements(backup, &captures));
        let first = announced.values().filter_map(|times| times.first()).max();
        let after =
            first.map_or("never".to_owned(), |at| format!("after {}", seconds(at.saturating_sub(from))));
        self.expect(
            &format!("gratuitous ARPs for {} addresses", plan.floating.len()),
            &format!("{} {after}", announced.len()),
            announced.len() == plan.floating.len(),
        );
        Ok(())
    }

    fn vanished_returns(&self, returned: usize, active: usize) -> Result<()> {
        let plan = self.stage.plan;
        let name = self.name(returned).to_owned();
        self.begin(&format!("{name} returns"));
        let from = self.now();
        self.stage.routers[returned].set_cut(false)?;
        self.say(format!(
            "the cables of {name} are back; it still believes that it serves, and hears the other"
        ));
        let allowed = plan.keepalive * 2 + PROMPT;
        self.expect_backup(returned, active, from, allowed)?;
        self.answers(self.now(), CALM, CALM_WATCH)?;
        let seen = self.stage.seen(from);
        let (failed, total) = failures(&seen);
        let pause = longest_outage(&seen);
        let pause_shown = if failed > 0 { format!(", {}", seconds(pause)) } else { String::new() };
        self.expect(
            &format!("no second outage (none above {})", limit(GRACE)),
            &format!("{failed} of {total}{pause_shown}"),
            pause <= GRACE,
        );
        Ok(())
    }

    fn active_steps_down(&self, active: usize, backup: usize) -> Result<()> {
        let plan = self.stage.plan;
        let (leaving, heir) = (self.name(active).to_owned(), self.name(backup).to_owned());
        self.begin(&format!("{leaving} steps down"));
        let from = self.now();
        self.stage.routers[active].terminate()?;
        self.say(format!(
            "pulse on {leaving}, the active router, gets SIGTERM, as `systemctl stop` sends it"
        ));
        self.wait_for_heir(backup, plan.keepalive)?;
        self.say(format!("{heir} is active: {}", self.reason(backup)));
        let outage = self.outage_after(from, PATIENCE, false)?;
        let (failed, _) = failures(&self.stage.seen(from));
        self.expect(
            &format!("outage ≤ {} (one keepalive)", limit(plan.keepalive)),
            &format!("{}, {failed} failed", seconds(outage)),
            outage <= plan.keepalive,
        );
        let code = self.stage.routers[active].ended(PATIENCE)?;
        let left = self.left_on(active)?;
        let code = code.map_or("killed by a signal".to_owned(), |code| format!("status {code}"));
        self.expect(
            &format!("{leaving} ends with status 0, leaving nothing"),
            &format!("{code}, {left}"),
            code == "status 0" && left.is_empty(),
        );
        Ok(())
    }

    fn starts_again(&self, back: usize, active: usize) -> Result<()> {
        let plan = self.stage.plan;
        let name = self.name(back).to_owned();
        self.begin(&format!("{name} starts again"));
        let from = self.now();
        self.stage.routers[back].start()?;
        self.say(format!("pulse is started on {name}, so that the pair is complete"));
        self.expect_backup(back, active, from, plan.deadtime + PROMPT)?;
        self.answers(self.now(), CALM, CALM_WATCH)?;
        self.expect_no_failures("no request fails", &self.stage.seen(from));
        Ok(())
    }

    fn stop(&self, backup: usize, active: usize) -> Result<()> {
        self.begin("both routers stop");
        self.stage.hush()?;
        for router in [backup, active] {
            self.stage.routers[router].terminate()?;
            self.stage.routers[router].ended(PATIENCE)?;
        }
        self.say("the client is done; both pulses got SIGTERM, the waiting one first");
        for router in [backup, active] {
            let left = self.left_on(router)?;
            self.expect(
                &format!("nothing is left on {}", self.name(router)),
                &left.to_string(),
                left.is_empty(),
            );
        }
        Ok(())
    }

    // What several steps need.

    /// Why a router has its role, in its own words.
    fn reason(&self, router: usize) -> String {
        self.stage.routers[router]
            .status()
            .map_or("it does not say why".to_owned(), |status| status.role.reason)
    }

    /// Waits until a router is the active one.
    fn wait_for_heir(&self, router: usize, allowed: Duration) -> Result<()> {
        eventually(allowed + PATIENCE, "the other router to be active", || {
            let active = self.stage.active();
            if active == Some(router) {
                Ok(())
            } else {
                Err(format!("active is {:?}", active.map(|n| self.name(n))))
            }
        })
    }

    /// Waits until each client has got some answers to requests from a moment on, and the audience has seen it.
    fn answers(&self, from: Duration, wanted: usize, watch: Duration) -> Result<()> {
        eventually(PATIENCE * 3, &format!("{wanted} answers of every virtual server"), || {
            let seen = self.stage.seen(from);
            let fewest = seen.iter().map(|report| report.total() - report.failures().len()).min();
            let enough = fewest.is_some_and(|fewest| fewest >= wanted) && self.now() >= from + watch;
            if enough { Ok(()) } else { Err(shown(&seen)) }
        })
    }

    /// Waits until every real server that the file wants used is in a router's table.
    fn wait_for_table(&self, router: usize, within: Duration) -> Result<()> {
        let services = &self.stage.plan.services;
        eventually(within, "all real servers in the table", || {
            let weights = self.stage.weights(router);
            let complete = services.iter().zip(&weights).all(|(service, weights)| {
                service.members.iter().zip(weights).all(|(member, weight)| as_wanted(member, *weight))
            });
            if complete { Ok(()) } else { Err(format!("{weights:?}")) }
        })
    }

    /// Waits until a machine is used by all of its virtual servers, or by none, and says when.
    fn wait_for_use(&self, machine: usize, wanted: bool, within: Duration) -> Result<Duration> {
        let router = self.active()?;
        let services = &self.stage.plan.services;
        let what = if wanted { "it to be used again" } else { "it to get no new requests" };
        eventually(within, what, || {
            let weights = self.stage.weights(router);
            let rows = services
                .iter()
                .zip(&weights)
                .flat_map(|(service, weights)| service.members.iter().zip(weights));
            let mut rows = rows.filter(|(member, _)| member.machine == machine);
            let done = rows.all(|(member, weight)| {
                if wanted { as_wanted(member, *weight) } else { weight.is_none_or(|weight| weight == 0) }
            });
            if done { Ok(self.now()) } else { Err(format!("{weights:?}")) }
        })
    }

    /// Waits until the clients are served calmly again and says how long the longest of them was not.
    ///
    /// With `surely`, an outage must come first.
    fn outage_after(&self, from: Duration, within: Duration, surely: bool) -> Result<Duration> {
        // The last answer before the deed begins the outage.
        let before = from.saturating_sub(Duration::from_secs(1));
        let calm = |report: &ProbeReport| {
            let after = report.since(from);
            let last = after.requests.len().checked_sub(CALM).map(|n| &after.requests[n..]);
            let over = |last: &[Request]| last.iter().all(|request| request.outcome.is_ok());
            let began = !surely || !after.failures().is_empty();
            began && last.is_some_and(over)
        };
        eventually(within, "calm service after an outage", || {
            let seen = self.stage.seen(before);
            if seen.iter().all(calm) { Ok(()) } else { Err(shown(&seen)) }
        })?;
        Ok(longest_outage(&self.stage.seen(before)))
    }

    /// Measures how long a router takes to become the backup of the other, without any address.
    fn expect_backup(&self, router: usize, active: usize, from: Duration, allowed: Duration) -> Result<()> {
        let at = eventually(allowed + PATIENCE, "it to be the backup", || {
            let role = self.stage.routers[router].role();
            let held =
                self.stage.routers[router].held(self.stage.plan).map_err(|error| format!("{error:#}"))?;
            if role == Some(Role::Backup) && held.is_empty() {
                Ok(self.now())
            } else {
                Err(format!("{role:?}, holds {held:?}"))
            }
        })?;
        let took = at.saturating_sub(from);
        let stays = self.stage.active() == Some(active);
        let name = self.name(router);
        self.say(format!("{name} waits as backup: {}", self.reason(router)));
        self.expect(
            &format!("{name} is backup within {}, {} stays active", limit(allowed), self.name(active)),
            &seconds(took),
            took <= allowed && stays,
        );
        Ok(())
    }

    fn expect_no_failures(&self, expected: &str, seen: &[ProbeReport]) {
        let (failed, total) = failures(seen);
        self.expect(expected, &format!("{failed} of {total}"), failed == 0);
    }

    /// Answers of each member, in the file's order.
    fn counts(&self, service: &Service, report: &ProbeReport) -> Vec<usize> {
        let servers = report.servers();
        let of = |member: &Member| {
            let host = self.stage.plan.machines[member.machine].name.as_str();
            servers.get(host).copied().unwrap_or(0)
        };
        service.members.iter().map(of).collect()
    }

    /// The machine that is to fail.
    fn victim(&self) -> Option<usize> {
        let seen = self.stage.seen(self.now().saturating_sub(Duration::from_secs(2)));
        let machines = self.stage.plan.machines.iter().enumerate();
        let busy = machines
            .filter(|(_, m)| seen.iter().any(|report| report.servers().contains_key(m.name.as_str())));
        let busy: Vec<usize> = busy.map(|(n, _)| n).collect();
        self.stage.plan.victim(&busy)
    }

    /// What is left of the suite on a router that has been stopped.
    fn left_on(&self, router: usize) -> Result<Left> {
        let router = &self.stage.routers[router];
        let processes = router.host.inside().processes().context("processes of a router")?;
        Ok(Left {
            addresses: router.held(self.stage.plan)?.len(),
            rows: router.host.ipvs_table()?.len(),
            processes: processes.len(),
        })
    }
}

/// What is left of the suite on a router.
struct Left {
    addresses: usize,
    rows: usize,
    processes: usize,
}

impl Left {
    fn is_empty(&self) -> bool {
        self.addresses + self.rows + self.processes == 0
    }
}

impl std::fmt::Display for Left {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.is_empty() {
            return f.write_str("nothing");
        }
        let Self { addresses, rows, processes } = self;
        write!(f, "{addresses} addresses, {rows} table rows, {processes} processes")
    }
}

/// Failed and all requests.
fn failures(seen: &[ProbeReport]) -> (usize, usize) {
    let failed = seen.iter().map(|report| report.failures().len()).sum();
    (failed, seen.iter().map(ProbeReport::total).sum())
}

/// The longest time that a client was without an answer; one that it still is without is the longest.
fn longest_outage(seen: &[ProbeReport]) -> Duration {
    let gaps = seen.iter().filter_map(ProbeReport::longest_outage);
    gaps.map(|outage| outage.gap().unwrap_or(Duration::MAX)).max().unwrap_or_default()
}

/// Whether a member is in the table with the weight that the file gives, as far as it gives one above 0.
fn as_wanted(member: &Member, weight: Option<i32>) -> bool {
    weight.is_some_and(|weight| weight > 0 || member.weight == 0)
}

fn shown(seen: &[ProbeReport]) -> String {
    seen.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

fn failed_before(seen: &[ProbeReport], until: Duration) -> usize {
    let early = |report: &ProbeReport| report.failures().iter().filter(|request| request.at < until).count();
    seen.iter().map(early).sum()
}

/// How a virtual server's answers must be spread over its members, and whether they are.
fn spread(service: &Service, counts: &[usize]) -> (String, bool) {
    let Service { name, scheduler, members, .. } = service;
    let weights: Vec<usize> =
        members.iter().map(|m| usize::try_from(m.weight).unwrap_or(usize::MAX)).collect();
    let total: usize = counts.iter().sum();
    let used =
        |wanted: &dyn Fn(usize, usize) -> bool| counts.iter().zip(&weights).all(|(c, w)| wanted(*c, *w));
    match service.spread {
        Spread::Even => {
            let served =
                || counts.iter().zip(&weights).filter(|(_, weight)| **weight > 0).map(|(count, _)| *count);
            let even = served().max().unwrap_or(0) <= served().min().unwrap_or(0) + UNDER_WAY;
            (format!("{name}: as many requests for each ({scheduler})"), even && total > 0)
        }
        Spread::ByWeight => {
            let divisor = weights.iter().copied().fold(0, common_divisor).max(1);
            let parts: Vec<usize> = weights.iter().map(|weight| weight / divisor).collect();
            let sum: usize = parts.iter().sum::<usize>().max(1);
            let largest = parts.iter().copied().max().unwrap_or(0);
            let near = |count: usize, part: usize| {
                (count * sum).abs_diff(total * part) <= (UNDER_WAY + largest) * sum
            };
            let words: Vec<String> = parts.iter().map(usize::to_string).collect();
            let held = counts.iter().zip(&parts).all(|(count, part)| near(*count, *part)) && total > 0;
            (format!("{name}: requests as {} ({scheduler})", words.join(" : ")), held)
        }
        Spread::Everyone => (
            format!("{name}: some requests for each ({scheduler})"),
            used(&|count, weight| (count > 0) == (weight > 0)),
        ),
        Spread::Anyone => (format!("{name}: requests are answered ({scheduler})"), total > 0),
    }
}

fn common_divisor(a: usize, b: usize) -> usize {
    if b == 0 { a } else { common_divisor(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(spread: Spread, weights: &[u32]) -> Service {
        let member = |weight: &u32| Member { name: "s".into(), machine: 0, port: 80, weight: *weight };
        Service {
            name: "web".into(),
            vip: [192, 0, 2, 10].into(),
            port: 80,
            udp: false,
            scheduler: "wrr".into(),
            spread,
            interval: Duration::from_secs(1),
            reentry: Duration::from_secs(1),
            members: weights.iter().map(member).collect(),
            sorry: None,
        }
    }

    #[test]
    fn a_spread_is_judged_as_the_scheduler_has_it() {
        let held = |kind, weights: &[u32], counts: &[usize]| spread(&service(kind, weights), counts).1;
        assert!(held(Spread::ByWeight, &[100, 200, 300], &[33, 67, 101]));
        assert!(!held(Spread::ByWeight, &[1, 2, 3], &[50, 75, 75]));
        assert!(held(Spread::Even, &[1, 5, 0], &[100, 99, 0]));
        assert!(!held(Spread::Even, &[1, 1], &[100, 90]));
        assert!(!held(Spread::Everyone, &[1, 1], &[100, 0]));
        assert!(held(Spread::Anyone, &[1, 1], &[100, 0]));
        for kind in [Spread::ByWeight, Spread::Even, Spread::Everyone, Spread::Anyone] {
            assert!(!held(kind, &[1, 1], &[0, 0]), "{kind:?}");
        }
    }

    #[test]
    fn weights_are_told_in_lowest_terms() {
        let text = spread(&service(Spread::ByWeight, &[100, 200, 300]), &[1, 2, 3]).0;
        assert_eq!(text, "web: requests as 1 : 2 : 3 (wrr)");
    }
}
