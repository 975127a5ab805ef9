//! What somebody else changed behind our back: told in the operator's words, and no more often than anybody wants to read.
//!
//! Two programs that both want their way can go on for days. So the first repairs are told one by one, the further ones
//! as a number, at first each second, then less and less often, until there has been nothing to repair for [`CALM`].

use std::time::Duration;

use daemonkit::clock::Mono;
use ipvsadm::Request;

use crate::backoff::Backoff;
use crate::difference::repair;
use crate::event::Event;
use crate::kernel::Reading;

/// Repairs that are told one by one, until there is calm.
pub const LOGGED_REPAIRS: usize = 20;
/// Longest time between two numbers of repairs.
pub const COUNT_LIMIT: Duration = Duration::from_secs(60);
/// Time without repairs after which a next one is a first one.
pub const CALM: Duration = Duration::from_secs(60);
/// Readings with something to repair, without calm, after which somebody is said to keep changing things.
const CONTESTED: usize = 3;

/// The repairs since there was calm.
#[derive(Debug, Clone, Default)]
pub(super) struct Drift(Option<Unrest>);

#[derive(Debug, Clone)]
struct Unrest {
    since: Mono,
    last: Mono,
    /// Readings of the table that showed something to repair.
    readings: usize,
    repairs: usize,
    last_in_words: String,
    told: usize,
    untold: usize,
    count_due: Mono,
    backoff: Backoff,
}

impl Drift {
    /// What there is was read: these repairs are due. `whose` names the servers that a request is about.
    pub(super) fn read(
        &mut self,
        now: Mono,
        repairs: Vec<Request>,
        read: &Reading,
        whose: &dyn Fn(&Request) -> String,
    ) -> Vec<Event> {
        if self.0.as_ref().is_some_and(|unrest| unrest.untold == 0 && now.since(unrest.last) >= CALM) {
            self.0 = None;
        }
        let words = |request: &Request| format!("{}: {}", whose(request), repair(request, read));
        if let Some(last) = repairs.last() {
            let unrest = self.0.get_or_insert_with(|| Unrest::new(now));
            unrest.last = now;
            unrest.readings += 1;
            unrest.repairs += repairs.len();
            unrest.last_in_words = words(last);
        }
        let Some(unrest) = &mut self.0 else { return Vec::new() };
        let mut events = Vec::with_capacity(repairs.len());
        for request in repairs {
            let tell = unrest.told < LOGGED_REPAIRS;
            unrest.told += usize::from(tell);
            unrest.untold += usize::from(!tell);
            let what = tell.then(|| words(&request));
            events.push(Event::Drift { request, what });
        }
        events.extend(unrest.count(now));
        events
    }

    /// Whether somebody keeps changing things, in words.
    pub(super) fn contested(&self, now: Mono) -> Option<String> {
        let unrest = self.0.as_ref()?;
        let is_recent = now.since(unrest.last) < CALM;
        (is_recent && unrest.readings >= CONTESTED).then(|| {
            let seconds = now.since(unrest.since).as_secs();
            format!(
                "somebody else keeps changing our services: {} repairs in {seconds} s, the last {}",
                unrest.repairs, unrest.last_in_words
            )
        })
    }
}

impl Unrest {
    fn new(now: Mono) -> Self {
        Self {
            since: now,
            last: now,
            readings: 0,
            repairs: 0,
            last_in_words: String::new(),
            told: 0,
            untold: 0,
            count_due: now,
            backoff: Backoff::default(),
        }
    }

    /// The number of repairs that nobody has been told of, when it is time for that.
    fn count(&mut self, now: Mono) -> Option<Event> {
        if self.untold == 0 || now < self.count_due {
            return None;
        }
        self.count_due = now + self.backoff.fail(COUNT_LIMIT);
        Some(Event::MoreDrift { count: std::mem::take(&mut self.untold), last: self.last_in_words.clone() })
    }
}
