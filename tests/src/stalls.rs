//! How long the machine stood still, as far as a scenario is concerned: a machine with other things to do gives it the
//! processor late, and then whatever it measures takes longer, through no fault of what is tested.
//!
//! A thread asks to be woken every few milliseconds and remembers how late that was. What is measured in the same time is
//! judged by its limit and that lateness together; a machine that is idle adds nothing.

use std::{
    sync::{
        Arc, Mutex,
        mpsc::{self, RecvTimeoutError, Sender},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};

use crate::journal::{Journal, locked};

/// Time between two wakings.
const TICK: Duration = Duration::from_millis(5);
/// Every kernel wakes a thread a little late.
const USUAL: Duration = Duration::from_millis(1);

/// A time that passed without us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stall {
    /// When it ended.
    end: Duration,
    took: Duration,
}

/// The stalls since it was started; it ends when it is dropped.
pub struct Stalls {
    seen: Arc<Mutex<Vec<Stall>>>,
    /// Ends the thread when it is dropped.
    _running: Sender<()>,
}

impl Stalls {
    /// Begins to watch; times are those of the journal.
    ///
    /// # Errors
    /// When there is no thread to be had.
    pub fn watch(journal: &Arc<Journal>) -> Result<Self> {
        let (running, ended) = mpsc::channel::<()>();
        let seen = Arc::<Mutex<Vec<Stall>>>::default();
        let (journal, stalls) = (Arc::clone(journal), Arc::clone(&seen));
        let watcher = thread::Builder::new().name("stalls".to_owned());
        watcher
            .spawn(move || {
                let mut asked = Instant::now();
                while ended.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
                    let took = asked.elapsed().saturating_sub(TICK);
                    if took > USUAL {
                        locked(&stalls).push(Stall { end: journal.now(), took });
                    }
                    asked = Instant::now();
                }
            })
            .context("start the watch for stalls")?;
        Ok(Self { seen, _running: running })
    }

    /// How much of the time between two moments since the lab started was none for us.
    pub fn between(&self, from: Duration, to: Duration) -> Duration {
        sum(&locked(&self.seen), from, to)
    }
}

fn sum(stalls: &[Stall], from: Duration, to: Duration) -> Duration {
    let within = |stall: &Stall| {
        let start = stall.end.saturating_sub(stall.took);
        stall.end.min(to).saturating_sub(start.max(from))
    };
    stalls.iter().map(within).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    #[test]
    fn stalls_count_as_far_as_they_lie_between_the_moments() {
        let stall = |start, end| Stall { end: ms(end), took: ms(end - start) };
        let stalls = [stall(10, 30), stall(40, 50), stall(100, 200)];
        assert_eq!(sum(&stalls, ms(0), ms(1000)), ms(130));
        assert_eq!(sum(&stalls, ms(20), ms(45)), ms(15));
        assert_eq!(sum(&stalls, ms(120), ms(150)), ms(30));
        assert_eq!(sum(&stalls, ms(60), ms(90)), ms(0));
    }
}
