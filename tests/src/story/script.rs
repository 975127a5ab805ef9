//! The steps of the story, in their order, and what each expects. Every wait is bounded; what takes longer than it may
//! is measured all the same, and told.

use std::{cell::RefCell, net::IpAddr, time::Duration};

use anyhow::{Result, anyhow};
use lvs_ipc::status::Role;

use super::{
    event::{Event, Measurement, Moment, Teller},
    plan::Service,
    spread::spread,
    stage::Stage,
    view::{limit, seconds},
};
use crate::ProbeReport;

mod measure;

use measure::{eventually, failed_before, failures, longest_outage, shown};

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
            self.say(format!("the story breaks off: {error:#}"));
            self.expect("the step comes to its end", "it broke off", false);
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
        // The first good check may come at once, the last one a whole interval late.
        let (least, most) = (reentry.saturating_sub(interval + GRACE), reentry + interval * 2 + PROMPT);
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
        self.wait_for_heir(backup, allowed)?;
        self.say(format!("{heir} is active: {}", self.reason(backup)));
        let outage = self.outage_after(from, allowed + PATIENCE, true)?;
        self.expect(
            &format!("outage ≤ {} (deadtime + keepalive + 0.2 s)", limit(allowed)),
            &seconds(outage),
            outage <= allowed,
        );
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
            "the cables of {name} are back; it gave way when it lost them, and hears that the other one serves"
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
        // Starting programs takes its time, however short the timers are.
        let allowed = plan.keepalive.max(GRACE);
        let why = if plan.keepalive < GRACE { "as a keepalive is less" } else { "one keepalive" };
        self.expect(
            &format!("outage ≤ {} ({why})", limit(allowed)),
            &format!("{}, {failed} failed", seconds(outage)),
            outage <= allowed,
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
}
