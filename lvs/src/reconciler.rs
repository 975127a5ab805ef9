//! Keeps the kernel's table as wanted: when to read it, what to send, what was refused and when to try that again.
//!
//! It believes in the table that it last read, plus what the kernel has accepted since; so a change of health is
//! one small batch without reading anything. Once a second it reads the table and repairs what somebody else
//! changed. A refused request is held back for a while and the others go on. Sends and reads nothing itself.
//!
//! | part | knows |
//! | --- | --- |
//! | `reach` | whether the kernel can be asked at all, and when to try again |
//! | `refusals` | what it did not accept, and when to try that again |
//! | `drift` | what others changed, and how often that is told |

mod drift;
mod reach;
mod refusals;

use std::collections::{BTreeSet, HashSet};
use std::time::Duration;

use daemonkit::clock::Mono;
use ipvsadm::{KernelError, Request, ServiceId, Table, Timeouts};

use crate::action::Action;
use crate::backoff;
use crate::desired::{Wanted, WantedService};
use crate::event::Event;
use crate::kernel::Reading;
use crate::owned::Owned;
use crate::plan::{plan, timeouts_missing};
use crate::scope::{Scope, service_of};

use drift::Drift;
use reach::Reach;
use refusals::Refusals;

pub use drift::{CALM, COUNT_LIMIT, LOGGED_REPAIRS};

/// Time between two readings of the table.
pub const READ_INTERVAL: Duration = Duration::from_secs(1);
/// Longest wait before a refused request is tried again.
pub const REFUSED_LIMIT: Duration = Duration::from_secs(60);
/// Longest wait before a kernel that did not answer is asked again: no longer than what others change may stay so.
pub const UNREACHABLE_LIMIT: Duration = Duration::from_secs(2);
/// What has been asked of the kernel and not been answered.
#[derive(Debug, Clone, PartialEq)]
enum Call {
    None,
    Reading,
    Applying(Vec<Request>),
}

/// The kernel's side of the engine.
#[derive(Debug, Clone)]
pub struct Reconciler {
    wanted: Wanted,
    owned: Owned,
    /// Zero for those of which nothing is wanted.
    timeouts: Timeouts,
    believed: Option<Reading>,
    call: Call,
    read_due: Mono,
    /// What may have changed since the last plan.
    unplanned: Scope,
    /// The table equals `wanted`, but for what is refused.
    settled: bool,
    refusals: Refusals,
    reach: Reach,
    drift: Drift,
}

impl Reconciler {
    /// Knows nothing but what is recorded as ours from an earlier run, and wants nothing; reads the table at once.
    #[must_use]
    pub fn new(now: Mono, leftovers: BTreeSet<ServiceId>) -> Self {
        Self {
            wanted: Wanted::default(),
            owned: Owned::recorded(leftovers),
            timeouts: Timeouts::default(),
            believed: None,
            call: Call::None,
            read_due: now,
            unplanned: Scope::All,
            settled: false,
            refusals: Refusals::default(),
            reach: Reach::default(),
            drift: Drift::default(),
        }
    }

    /// From now on this is wanted. Services that were wanted before stay ours until they are gone.
    pub fn want(&mut self, wanted: Wanted) {
        self.owned.extend(wanted.services.iter().map(|service| service.service.id));
        if self.wanted != wanted {
            self.wanted = wanted;
            self.unplanned = Scope::All;
            self.settled = false;
        }
    }

    /// From now on this is wanted of one of the services that are wanted already.
    pub fn want_service(&mut self, service: WantedService) {
        let id = service.service.id;
        let known = self.wanted.services.iter_mut().find(|known| known.service.id == id);
        if let Some(known) = known.filter(|known| **known != service) {
            *known = service;
            self.unplanned.add(id);
            self.settled = false;
        }
    }

    /// From now on the kernel's connection timeouts are to be these, less those that are zero.
    pub fn want_timeouts(&mut self, timeouts: Timeouts) {
        if self.timeouts != timeouts {
            self.timeouts = timeouts;
            self.unplanned = Scope::All;
            self.settled = false;
        }
    }

    /// Whatever is held back for later is tried now: somebody waits for our end.
    pub fn hurry(&mut self, now: Mono) {
        self.reach.hurry(now);
        self.refusals.hurry(now);
    }

    /// How many requests the kernel refused that are to be tried again.
    #[must_use]
    pub fn refusals(&self) -> usize {
        self.refusals.len()
    }

    /// Why the kernel cannot be asked at the moment, or has not been yet; `None` if it can.
    #[must_use]
    pub fn cannot_be_asked(&self) -> Option<&str> {
        let unread = self.believed.is_none().then_some("its table has not been read yet");
        self.reach.trouble().or(unread)
    }

    /// What the kernel said to a request that is to be tried again.
    #[must_use]
    pub fn refusal_of(&self, request: &Request) -> Option<String> {
        self.refusals.of(request)
    }

    /// What is wanted.
    #[must_use]
    pub fn wanted(&self) -> &Wanted {
        &self.wanted
    }

    /// The kernel's table as far as known; `None` until it could be read.
    #[must_use]
    pub fn believed(&self) -> Option<&Table> {
        self.believed.as_ref().map(|read| &read.table)
    }

    /// The same with what else is read.
    #[must_use]
    pub fn believed_reading(&self) -> Option<&Reading> {
        self.believed.as_ref()
    }

    /// Whether all that the kernel accepts has been done.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.settled
    }

    /// Whether anything can be served: the table has one of the wanted services, or none is wanted.
    #[must_use]
    pub fn serves(&self) -> bool {
        let Some(table) = self.believed() else { return false };
        let wanted = &self.wanted.services;
        wanted.is_empty() || wanted.iter().any(|wanted| table.find(&wanted.service.id).is_some())
    }

    /// What keeps the table from being as wanted; `None` when it is.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        if let Some(reason) = self.reach.trouble() {
            return Some(reason.to_owned());
        }
        if self.believed.is_none() {
            return Some("the kernel's table has not been read yet".into());
        }
        self.refusals.trouble()
    }

    /// Whether the table is as wanted, and what is to be said about that.
    #[must_use]
    pub fn verdict(&self, now: Mono) -> (bool, String) {
        match (self.trouble(), self.drift.contested(now)) {
            (Some(trouble), _) => (false, trouble),
            (None, Some(contested)) => (true, format!("as wanted, but {contested}")),
            (None, None) => (true, "as wanted".into()),
        }
    }

    /// The table was read. Reports what has been changed behind our back, with the name that `whose` gives to what each
    /// repair is about; `tick` then repairs it.
    pub fn table(
        &mut self,
        now: Mono,
        result: Result<Reading, String>,
        whose: &dyn Fn(&Request) -> String,
    ) -> Vec<Action> {
        self.call = Call::None;
        let read = match result {
            Ok(read) => read,
            Err(reason) => return self.not_answered(now, reason),
        };
        let mut actions = self.answered();
        self.read_due = now + READ_INTERVAL;
        if let Some(before) = self.believed.replace(read) {
            let repairs = self.repairs(&before);
            if let Some(read) = &self.believed {
                actions.extend(self.drift.read(now, repairs, read, whose).into_iter().map(Action::Log));
            }
        }
        self.unplanned = Scope::All;
        self.owned.try_again();
        actions
    }

    /// Takes what has been asked of the kernel and not been answered as done; for one who only thinks.
    pub fn take_as_answered(&mut self) {
        if let Call::Applying(requests) = std::mem::replace(&mut self.call, Call::None)
            && let Some(believed) = &mut self.believed
        {
            believed.apply(&requests);
        }
    }

    /// Says how many services in the table are ours and not wanted, if any.
    #[must_use]
    pub fn tell_leftovers(&self) -> Option<Action> {
        let table = self.believed()?;
        let named: BTreeSet<ServiceId> = self.wanted.services.iter().map(|s| s.service.id).collect();
        let is_left = |id: &&ServiceId| !named.contains(id) && table.find(id).is_some();
        let count = self.owned.ids().iter().filter(is_left).count();
        (count > 0).then_some(Action::Log(Event::Leftovers(count)))
    }

    /// The list of what is ours was written, or not, which stops nothing.
    pub fn recorded(&mut self, result: Result<(), String>) -> Vec<Action> {
        self.owned.written(result).into_iter().collect()
    }

    /// What must be done now and did not have to be done while there was `before`.
    fn repairs(&self, before: &Reading) -> Vec<Request> {
        let Some(read) = &self.believed else { return Vec::new() };
        let repairs = self.missing(read);
        if repairs.is_empty() {
            return Vec::new();
        }
        let pending: HashSet<Request> = self.missing(before).into_iter().collect();
        repairs.into_iter().filter(|repair| !pending.contains(repair)).collect()
    }

    /// All that turns `read` into what is wanted.
    fn missing(&self, read: &Reading) -> Vec<Request> {
        let timeouts = timeouts_missing(self.timeouts, read.timeouts);
        timeouts.into_iter().chain(plan(&self.wanted, &read.table, self.owned.ids())).collect()
    }

    /// A batch was answered.
    pub fn applied(
        &mut self,
        now: Mono,
        result: Result<Vec<Result<(), KernelError>>, String>,
    ) -> Vec<Action> {
        let Call::Applying(requests) = std::mem::replace(&mut self.call, Call::None) else {
            return Vec::new();
        };
        requests.iter().filter_map(service_of).for_each(|id| self.unplanned.add(id));
        let outcomes = match result {
            Ok(outcomes) => outcomes,
            Err(reason) => {
                // Any part of it may have been done.
                self.read_due = now;
                return self.not_answered(now, reason);
            }
        };
        let mut actions = self.answered();
        if let Some(believed) = &mut self.believed {
            let done = requests.iter().zip(&outcomes).filter(|(_, outcome)| outcome.is_ok());
            believed.apply(&done.map(|(request, _)| request.clone()).collect::<Vec<_>>());
        }
        let news = requests.into_iter().zip(outcomes).filter_map(|(request, outcome)| match outcome {
            Ok(()) => self.accepted(&request),
            Err(error) => self.refused(now, request, error),
        });
        let news = refusals::in_short(news.collect());
        actions.extend(news.into_iter().map(Action::Log));
        actions
    }

    fn accepted(&mut self, request: &Request) -> Option<Event> {
        if let Request::DeleteService(id) = request
            && !self.wanted.services.iter().any(|s| s.service.id == *id)
        {
            self.owned.remove(id);
        }
        self.refusals.accepted(request)
    }

    fn refused(&mut self, now: Mono, request: Request, error: KernelError) -> Option<Event> {
        // Whatever the reason, the table is not what we believed it to be, or somebody should look.
        self.read_due = now;
        let limit = self.patience(REFUSED_LIMIT);
        self.refusals.refused(now, request, error, limit)
    }

    /// The kernel answered: whatever was wrong with asking it is over.
    fn answered(&mut self) -> Vec<Action> {
        self.reach.answered().map(Action::Log).into_iter().collect()
    }

    fn not_answered(&mut self, now: Mono, reason: String) -> Vec<Action> {
        let limit = self.patience(UNREACHABLE_LIMIT);
        self.reach.failed(now, reason, limit).map(Action::Log).into_iter().collect()
    }

    /// Longest wait before something is tried again, `usual` unless only removals are left: then somebody waits for
    /// our end.
    fn patience(&self, usual: Duration) -> Duration {
        if self.wanted.services.is_empty() { backoff::FIRST } else { usual }
    }

    /// Asks the kernel for the next thing: its table when a reading is due, else what is missing.
    pub fn tick(&mut self, now: Mono) -> Vec<Action> {
        if self.call != Call::None || self.reach.is_waiting(now) {
            return Vec::new();
        }
        if now >= self.read_due || self.believed.is_none() {
            self.call = Call::Reading;
            return vec![Action::ReadTable];
        }
        if self.refusals.deadline().is_some_and(|due| due <= now) {
            self.unplanned = Scope::All;
        }
        if self.unplanned.is_empty() && self.settled {
            return Vec::new();
        }
        let (requests, mut actions) = self.next_batch(now);
        self.settled = requests.is_empty();
        // Before the requests: whatever happens in between, nothing of ours is in the kernel and not listed.
        actions.extend(self.owned.record());
        if !requests.is_empty() {
            self.call = Call::Applying(requests.clone());
            actions.push(Action::Apply(requests));
        }
        actions
    }

    /// What is missing in the kernel, less what it refuses for the time being and what depends on that.
    fn next_batch(&mut self, now: Mono) -> (Vec<Request>, Vec<Action>) {
        let Some(read) = &self.believed else { return Default::default() };
        let table = &read.table;
        let scope = std::mem::take(&mut self.unplanned);
        let mut missing = match &scope {
            Scope::All => self.missing(read),
            Scope::Services(ids) => {
                let concerned = |service: &&WantedService| scope.contains(&service.service.id);
                let services = self.wanted.services.iter().filter(concerned).cloned().collect();
                let owned = self.owned.ids().intersection(ids).copied().collect();
                // One of no service that is refused is over when it is not missing.
                let timeouts = timeouts_missing(self.timeouts, read.timeouts);
                timeouts.into_iter().chain(plan(&Wanted { services }, table, &owned)).collect()
            }
        };
        if scope == Scope::All {
            let named: BTreeSet<ServiceId> = self.wanted.services.iter().map(|s| s.service.id).collect();
            let existing: BTreeSet<ServiceId> = table.services.iter().map(|s| s.service.id).collect();
            self.owned.retain(|id| existing.contains(id) || named.contains(id));
        }
        let over = self.refusals.forget_what_is_not_missing(&missing, &scope);
        let actions = over.into_iter().map(Action::Log).collect();
        self.refusals.hold_back(now, &mut missing);
        (missing, actions)
    }

    /// The next moment at which [`Reconciler::tick`] has something to do; `None` while an answer is awaited.
    #[must_use]
    pub fn deadline(&self) -> Option<Mono> {
        if self.call != Call::None {
            return None;
        }
        if let Some(due) = self.reach.deadline() {
            return Some(due);
        }
        Some(self.refusals.deadline().map_or(self.read_due, |due| due.min(self.read_due)))
    }
}
