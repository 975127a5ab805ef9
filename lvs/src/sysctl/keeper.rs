//! Keeps the settings as they are wanted, from one reading to the next. No file, no clock.
//!
//! | after | follows |
//! | --- | --- |
//! | a tick when a survey is due | survey: the wanted settings are planned anew |
//! | a tick when a reading is due | reading of all that is wanted or remembered |
//! | a reading | what differs is remembered, then written, then read again; what is right is not written |
//! | a refusal | told once, with what to do by hand; tried again after a while |
//!
//! What a setting was before is what it was when it was first read; where an earlier run wrote it and nobody else has
//! since, it is what that run had found. It is set back when the setting is not wanted any more, unless somebody else
//! has changed it by then.
//!
//! One setting is looked at whoever keeps it: what a drain of a persistent service waits for depends on it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use daemonkit::clock::Mono;
use lvs_config::sysctl::SysctlName;
use lvs_ipc::status::SysctlStatus;

use super::event::SysctlEvent;
use super::memory::Remembered;
use super::needs::Needs;
use super::plan::{EXPIRE_TEMPLATES, Setting, followers, is_leader, plan};
use super::{Answer, Facts, Order, Trouble};

/// Time between two readings.
pub const READ_INTERVAL: Duration = Duration::from_secs(1);
/// Time between two surveys of the interfaces.
pub const SURVEY_INTERVAL: Duration = Duration::from_secs(30);
/// How long a setting that was refused is not written again.
pub const REFUSED_FOR: Duration = Duration::from_secs(10);
/// Repairs of one setting within this time make one line.
pub const QUIET: Duration = Duration::from_secs(10);

/// What the keeper asks for, in the order given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Carry this out and answer.
    Do(Order),
    /// Tell this.
    Tell(SysctlEvent),
}

/// What is known of one setting.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Known {
    found: Option<i64>,
    /// Its value when it was first read, or before an earlier run wrote it.
    original: Option<i64>,
    /// Whether it has been as wanted, so that another value is somebody else's doing.
    was_right: bool,
    /// Whether it has just been written, so that another value is the kernel's doing.
    just_written: bool,
    problem: Option<String>,
    not_before: Option<Mono>,
    repairs: u64,
    untold: u64,
    told: Option<Mono>,
}

/// A write under way.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Write {
    name: SysctlName,
    value: i64,
    /// Whether it sets back; then followers are not wanted and the memory of it ends.
    back: bool,
}

/// The keeper.
#[derive(Debug, Clone)]
pub struct Keeper {
    needs: Needs,
    facts: Facts,
    settings: Vec<Setting>,
    known: BTreeMap<SysctlName, Known>,
    /// What [`EXPIRE_TEMPLATES`] was when it was last read.
    expires_templates: Option<i64>,
    memory: Vec<Remembered>,
    writes: Vec<Write>,
    awaiting: bool,
    stopping: bool,
    /// Whether writing down what was before has failed.
    forgetful: bool,
    /// Settings that could not be set back.
    given_up: BTreeSet<SysctlName>,
    survey_due: Option<Mono>,
    read_due: Mono,
}

impl Keeper {
    /// A keeper after an earlier run that left `memory`.
    #[must_use]
    pub fn new(now: Mono, needs: Needs, memory: Vec<Remembered>) -> Self {
        let mut keeper = Self {
            needs: Needs::default(),
            facts: Facts::default(),
            settings: Vec::new(),
            known: BTreeMap::new(),
            expires_templates: None,
            memory,
            writes: Vec::new(),
            awaiting: false,
            stopping: false,
            forgetful: false,
            given_up: BTreeSet::new(),
            survey_due: None,
            read_due: now,
        };
        keeper.want(now, needs);
        keeper
    }

    /// What is needed from now on.
    pub fn want(&mut self, now: Mono, needs: Needs) {
        let surveys = needs.nat_ipv6 || !needs.nat_ipv4.is_empty();
        self.needs = needs;
        self.survey_due = surveys.then_some(now);
        if !surveys {
            self.make_plan(now);
        }
    }

    /// Every setting that would be wanted with `needs`, by what is known of this router now.
    #[must_use]
    pub fn settings_for(&self, needs: &Needs) -> Vec<Setting> {
        plan(needs, &self.facts)
    }

    /// Whether the kernel sends the clients that it remembers of a persistent service to others when their real server has
    /// weight 0; not where that could not be read.
    #[must_use]
    pub fn expires_templates(&self) -> bool {
        self.expires_templates.is_some_and(|value| value != 0)
    }

    /// From now on nothing is needed: everything is set back.
    pub fn stop(&mut self, now: Mono) {
        if !self.stopping {
            self.stopping = true;
            self.want(now, Needs::default());
        }
    }

    /// Whether nothing is needed any more.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.stopping
    }

    /// Whether everything has been set back that could be.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        !self.awaiting && self.memory.iter().all(|entry| self.given_up.contains(&entry.name))
    }

    /// When to tick if nothing happens before.
    #[must_use]
    pub fn deadline(&self) -> Option<Mono> {
        if self.awaiting {
            return None;
        }
        let reads = self.needs.persistence || !self.settings.is_empty() || !self.is_settled();
        [self.survey_due, reads.then_some(self.read_due)].into_iter().flatten().min()
    }

    /// Time has passed.
    pub fn tick(&mut self, now: Mono) -> Vec<Step> {
        if self.awaiting || self.deadline().is_none_or(|due| due > now) {
            return Vec::new();
        }
        self.awaiting = true;
        if self.survey_due.is_some_and(|due| due <= now) {
            return vec![Step::Do(Order::Survey(self.needs.nat_ipv4.clone()))];
        }
        let looked_at = self.needs.persistence.then(|| SysctlName::parse(EXPIRE_TEMPLATES).ok()).flatten();
        vec![Step::Do(Order::Read(self.names().into_iter().chain(looked_at).collect()))]
    }

    /// An order has been carried out.
    pub fn answer(&mut self, now: Mono, answer: Answer) -> Vec<Step> {
        self.awaiting = false;
        match answer {
            Answer::Surveyed(facts) => {
                self.survey_due = Some(now + SURVEY_INTERVAL);
                self.facts = facts;
                self.make_plan(now);
                Vec::new()
            }
            Answer::Read(values) => self.read(now, &values),
            Answer::Remembered(result) => {
                let mut steps = Vec::new();
                if let (Err(reason), false) = (&result, self.forgetful) {
                    steps.push(Step::Tell(SysctlEvent::NotRemembered(reason.clone())));
                }
                self.forgetful = result.is_err();
                steps.extend(self.send_writes());
                steps
            }
            Answer::Written(results) => self.written(now, results),
        }
    }

    fn make_plan(&mut self, now: Mono) {
        let settings = plan(&self.needs, &self.facts);
        if settings != self.settings {
            self.settings = settings;
            self.read_due = now;
            self.given_up.clear();
        }
        if self.stopping {
            self.read_due = now;
        }
    }

    /// All that is to be known: what is wanted, what it depends on, what is to be set back, and what the kernel will
    /// change along with it.
    fn names(&self) -> BTreeSet<SysctlName> {
        let wanted = self.settings.iter().flat_map(|setting| {
            let unread = is_leader(&setting.name) && self.original(&setting.name).is_none();
            let also = if unread { followers(&setting.name, 0, &self.facts) } else { Vec::new() };
            let conditions = setting.only_if.iter().map(|(name, _)| name.clone());
            let also = also.into_iter().map(|(name, _)| name);
            std::iter::once(setting.name.clone()).chain(conditions).chain(also).collect::<Vec<_>>()
        });
        wanted.chain(self.memory.iter().map(|entry| entry.name.clone())).collect()
    }

    fn original(&self, name: &SysctlName) -> Option<i64> {
        self.known.get(name)?.original
    }

    fn read(&mut self, now: Mono, values: &BTreeMap<SysctlName, Result<i64, Trouble>>) -> Vec<Step> {
        self.read_due = now + READ_INTERVAL;
        let looked_at = values.iter().find(|(name, _)| name.as_str() == EXPIRE_TEMPLATES);
        self.expires_templates = looked_at.and_then(|(_, value)| value.as_ref().ok().copied());
        let names = self.names();
        for (name, value) in values.iter().filter(|(name, _)| names.contains(*name)) {
            self.note(name, value);
        }
        let mut steps = Vec::new();
        let wanted: Vec<Setting> =
            self.settings.iter().filter(|setting| self.applies(setting)).cloned().collect();
        for setting in &wanted {
            let told = match values.get(&setting.name) {
                Some(Ok(found)) => self.compare(now, setting, *found),
                Some(Err(trouble)) => self.unreadable(now, setting, trouble),
                None => None,
            };
            steps.extend(told.map(Step::Tell));
        }
        let memory_before = self.memory.clone();
        self.remember();
        steps.extend(self.set_back(&wanted).into_iter().map(Step::Tell));
        if self.memory != memory_before {
            self.awaiting = true;
            steps.push(Step::Do(Order::Remember(self.memory.clone())));
        } else {
            steps.extend(self.send_writes());
        }
        steps
    }

    /// Takes a value as found, and the first one as what was before.
    fn note(&mut self, name: &SysctlName, value: &Result<i64, Trouble>) {
        let by_us = self.memory.iter().find(|entry| entry.name == *name);
        let known = self.known.entry(name.clone()).or_default();
        let found = value.as_ref().ok().copied();
        known.found = found;
        if let (None, Some(found)) = (known.original, found) {
            let ours = by_us.filter(|entry| entry.written == found);
            known.original = Some(ours.map_or(found, |entry| entry.original));
            if ours.is_none() {
                // Somebody else has changed it since, or the machine has been started anew.
                self.memory.retain(|entry| entry.name != *name);
            }
        }
    }

    fn applies(&self, setting: &Setting) -> bool {
        setting.only_if.iter().all(|(name, value)| self.original(name) == Some(*value))
    }

    fn compare(&mut self, now: Mono, setting: &Setting, found: i64) -> Option<SysctlEvent> {
        let Setting { name, value, reason, .. } = setting;
        let known = self.known.entry(name.clone()).or_default();
        let just_written = std::mem::take(&mut known.just_written);
        if found == *value {
            known.was_right = true;
            known.not_before = None;
            return known.problem.take().map(|_| SysctlEvent::Right(name.clone()));
        }
        if just_written {
            return self.refused(now, setting, format!("the kernel made {found} of it"));
        }
        if known.not_before.is_some_and(|until| now < until) {
            return None;
        }
        self.writes.push(Write { name: name.clone(), value: *value, back: false });
        let (name, wanted, reason) = (name.clone(), *value, reason.clone());
        if known.problem.is_some() {
            return None;
        }
        if !known.was_right {
            return Some(SysctlEvent::Set { name, found, wanted, reason });
        }
        known.repairs += 1;
        known.untold += 1;
        if known.told.is_some_and(|told| now < told + QUIET) {
            return None;
        }
        known.told = Some(now);
        let times = std::mem::take(&mut known.untold);
        Some(SysctlEvent::Repaired { name, found, wanted, reason, times })
    }

    fn unreadable(&mut self, now: Mono, setting: &Setting, trouble: &Trouble) -> Option<SysctlEvent> {
        match trouble {
            Trouble::Failed(problem) => self.refused(now, setting, problem.clone()),
            Trouble::Missing if !setting.by_file => None,
            Trouble::Missing => {
                let known = self.known.entry(setting.name.clone()).or_default();
                let is_new = known.problem.replace("this kernel has no such setting".into()).is_none();
                is_new.then(|| SysctlEvent::Missing(setting.name.clone()))
            }
        }
    }

    fn refused(&mut self, now: Mono, setting: &Setting, problem: String) -> Option<SysctlEvent> {
        let known = self.known.entry(setting.name.clone()).or_default();
        known.not_before = Some(now + REFUSED_FOR);
        let is_new = known.problem.as_ref() != Some(&problem);
        known.problem = Some(problem.clone());
        let Setting { name, value, reason, .. } = setting.clone();
        is_new.then_some(SysctlEvent::Refused { name, wanted: value, reason, problem })
    }

    /// Puts what is about to be written, and was something else before, into the memory.
    fn remember(&mut self) {
        for write in &self.writes {
            let known = self.known.get(&write.name);
            let Some(original) = known.and_then(|known| known.original) else { continue };
            if let Some(entry) = self.memory.iter_mut().find(|entry| entry.name == write.name) {
                entry.written = write.value;
            } else if original != write.value {
                let dragged = followers(&write.name, original, &self.facts).into_iter();
                let followers = dragged.filter_map(|(name, left)| {
                    let before = self.known.get(&name)?.original?;
                    (before != left).then_some((name, before))
                });
                let followers = followers.collect();
                let (name, written) = (write.name.clone(), write.value);
                self.memory.push(Remembered { name, original, written, followers });
            }
        }
    }

    /// Plans to set back what is remembered and not wanted any more, the last one first.
    fn set_back(&mut self, wanted: &[Setting]) -> Vec<SysctlEvent> {
        let is_wanted = |name: &SysctlName| wanted.iter().any(|setting| setting.name == *name);
        let (known, given_up) = (&self.known, &self.given_up);
        let mut events = Vec::new();
        let mut forgotten = Vec::new();
        for Remembered { name, original, written, followers } in self.memory.iter().rev() {
            if is_wanted(name) || given_up.contains(name) {
                continue;
            }
            let (name, original) = (name.clone(), *original);
            match known.get(&name).and_then(|known| known.found) {
                Some(found) if found == *written => {
                    let back = |(name, value)| Write { name, value, back: true };
                    self.writes.push(back((name.clone(), original)));
                    self.writes.extend(followers.iter().cloned().map(back));
                    events.push(SysctlEvent::Restored { name, found, original });
                }
                found => {
                    events.extend(found.map(|found| SysctlEvent::LeftAsIs { name: name.clone(), found }));
                    forgotten.push(name);
                }
            }
        }
        self.memory.retain(|entry| !forgotten.contains(&entry.name));
        events
    }

    fn send_writes(&mut self) -> Option<Step> {
        if self.writes.is_empty() {
            return None;
        }
        self.awaiting = true;
        let writes = self.writes.iter().map(|write| (write.name.clone(), write.value));
        Some(Step::Do(Order::Write(writes.collect())))
    }

    fn written(&mut self, now: Mono, results: Vec<Result<(), Trouble>>) -> Vec<Step> {
        let mut events = Vec::new();
        let mut done = BTreeSet::new();
        for (write, result) in std::mem::take(&mut self.writes).into_iter().zip(results) {
            let Write { name, value, back } = write;
            let problem = match result {
                Ok(()) => None,
                Err(Trouble::Missing) => Some("it is gone".to_owned()),
                Err(Trouble::Failed(problem)) => Some(problem),
            };
            let setting = self.settings.iter().find(|setting| setting.name == name).cloned();
            match (problem, setting) {
                (None, _) if back => {
                    // When it is wanted again, what was before may be something else.
                    for (follower, _) in followers(&name, value, &self.facts) {
                        self.known.remove(&follower);
                    }
                    self.known.remove(&name);
                    done.insert(name);
                }
                (None, _) => self.known.entry(name).or_default().just_written = true,
                (Some(problem), _) if back => {
                    if self.memory.iter().any(|entry| entry.name == name) {
                        self.given_up.insert(name.clone());
                    }
                    events.push(SysctlEvent::NotRestored { name, original: value, problem });
                }
                (Some(problem), Some(setting)) => events.extend(self.refused(now, &setting, problem)),
                (Some(_), None) => {}
            }
        }
        // What could not be written is as it was; nothing needs to be remembered of it.
        let unwritten = |name: &SysctlName| {
            self.known.get(name).is_some_and(|known| known.problem.is_some() && known.found == known.original)
        };
        let before = self.memory.len();
        let kept = self.memory.iter().filter(|it| !done.contains(&it.name) && !unwritten(&it.name));
        self.memory = kept.cloned().collect();
        let mut steps: Vec<Step> = events.into_iter().map(Step::Tell).collect();
        if self.memory.len() != before {
            self.awaiting = true;
            steps.push(Step::Do(Order::Remember(self.memory.clone())));
        }
        // What was written is looked at once more, at once.
        self.read_due = now;
        steps
    }

    /// Every setting that is wanted, for the status.
    #[must_use]
    pub fn status(&self) -> Vec<SysctlStatus> {
        let applying = self.settings.iter().filter(|setting| self.applies(setting));
        let shown = applying.map(|setting| {
            let known = self.known.get(&setting.name);
            let before = self.memory.iter().find(|entry| entry.name == setting.name);
            SysctlStatus {
                name: setting.name.to_string(),
                wanted: setting.value,
                found: known.and_then(|known| known.found),
                before: before.map(|entry| entry.original),
                reason: setting.reason.clone(),
                problem: known.and_then(|known| known.problem.clone()),
                repairs: known.map_or(0, |known| known.repairs),
            }
        });
        shown.collect()
    }
}
