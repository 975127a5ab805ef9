//! Snapshots of the director for the threads that answer its clients: the owner makes one when it is asked for one, and
//! whoever asks again soon gets the same.
//!
//! So the status costs nothing while nobody asks, and many who ask cost the owner no more than [`FRESH`] allows.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crossbeam_channel::{Sender, bounded};
use daemonkit::clock::Mono;
use lvs_ipc::status::LvsStatus;

/// How long a snapshot is given again.
pub const FRESH: Duration = Duration::from_millis(100);
/// Longest wait for the owner, who may be in the middle of a large batch.
pub const PATIENCE: Duration = Duration::from_secs(3);

/// Where the owner puts a snapshot.
pub type Reply = Sender<Arc<LvsStatus>>;

/// The asking side; clones share what they know.
#[derive(Clone)]
pub struct Snapshots {
    ask: Arc<dyn Fn(Reply) -> bool + Send + Sync>,
    last: Arc<Mutex<Option<Made>>>,
}

/// A snapshot and when it was made.
type Made = (Mono, Arc<LvsStatus>);

impl Snapshots {
    /// `ask` tells the owner where a snapshot is wanted, without waiting; false if that is not possible now.
    pub fn new(ask: impl Fn(Reply) -> bool + Send + Sync + 'static) -> Self {
        Self { ask: Arc::new(ask), last: Arc::default() }
    }

    /// A snapshot not older than [`FRESH`]; `None` when the owner makes none within [`PATIENCE`].
    #[must_use]
    pub fn get(&self) -> Option<Arc<LvsStatus>> {
        // Whoever else wants one meanwhile waits for this one.
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((made, snapshot)) = &*last
            && Mono::now().since(*made) < FRESH
        {
            return Some(Arc::clone(snapshot));
        }
        let (reply, made) = bounded(1);
        if !(self.ask)(reply) {
            return None;
        }
        let snapshot = made.recv_timeout(PATIENCE).ok()?;
        *last = Some((Mono::now(), Arc::clone(&snapshot)));
        Some(snapshot)
    }
}

/// The text of the last snapshot, so that each is written once.
#[derive(Default)]
pub struct Written(Option<(Arc<LvsStatus>, Arc<str>)>);

impl Written {
    /// What `write` makes of a snapshot, from memory if it is the one of the last time.
    pub fn text(&mut self, snapshot: &Arc<LvsStatus>, write: impl FnOnce(&LvsStatus) -> String) -> Arc<str> {
        match &self.0 {
            Some((of, text)) if Arc::ptr_eq(of, snapshot) => Arc::clone(text),
            _ => {
                let text: Arc<str> = write(snapshot).into();
                self.0 = Some((Arc::clone(snapshot), Arc::clone(&text)));
                text
            }
        }
    }
}
