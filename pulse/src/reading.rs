//! Reads the file on a thread of its own, because names in it may take the resolver long, and looks the names up again
//! from time to time.
//!
//! Looking them up again changes nothing here: what is remembered is for the next reading, also for that of `lvs`, which
//! may be at a takeover while no name server answers.

use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use lvs_config::{LoadError, Loaded, NameChange, NameNote, Patience, Resolver};

/// Time between looking names up.
const FOLLOW_INTERVAL: Duration = Duration::from_secs(30);

/// Has the file read again.
pub struct Reading {
    wanted: Sender<()>,
    /// Readings that were asked for and have not come.
    due: usize,
}

impl Reading {
    /// Starts the thread. `resolver` has read `path` before; `deliver` gets what is read from now on.
    ///
    /// # Errors
    /// When the operating system refuses the thread.
    pub fn start(
        path: PathBuf,
        resolver: Resolver,
        deliver: impl Fn(Result<Loaded, LoadError>) + Send + 'static,
    ) -> io::Result<Self> {
        let (wanted, orders) = bounded(1);
        thread::Builder::new().name("load".into()).spawn(move || serve(&path, resolver, &orders, deliver))?;
        Ok(Self { wanted, due: 0 })
    }

    /// Has the file read, after the reading under way if there is one.
    pub fn read_again(&mut self) {
        // One that waits already will see what is in the file by then.
        self.due += usize::from(self.wanted.try_send(()).is_ok());
    }

    /// A reading has come.
    pub fn came(&mut self) {
        self.due = self.due.saturating_sub(1);
    }

    /// Whether all readings that were asked for have come.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.due == 0
    }
}

fn serve(
    path: &Path,
    mut resolver: Resolver,
    orders: &Receiver<()>,
    deliver: impl Fn(Result<Loaded, LoadError>),
) {
    loop {
        match orders.recv_timeout(FOLLOW_INTERVAL) {
            Ok(()) => deliver(load(&mut resolver, path)),
            Err(RecvTimeoutError::Timeout) => {
                let _ = resolver.refresh(Patience::LONG);
                log_names(&mut resolver);
            }
            // The owner has ended.
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

/// Reads `path`, and logs what there is to say about its names.
///
/// # Errors
/// As [`Resolver::load`].
fn load(resolver: &mut Resolver, path: &Path) -> Result<Loaded, LoadError> {
    let loaded = resolver.load(path, Patience::BRIEF);
    log_names(resolver);
    loaded
}

/// Logs what `resolver` has to say.
pub fn log_names(resolver: &mut Resolver) {
    for note in resolver.notes() {
        match note {
            NameNote::Changed(NameChange::Lost { .. }) | NameNote::File(_) => tracing::warn!("{note}"),
            NameNote::Changed(_) => tracing::info!("{note}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use lvs_config::SystemLookup;

    use super::*;

    #[test]
    fn it_is_done_when_every_reading_that_was_asked_for_has_come() {
        let nowhere = Path::new("/nonexistent/lvs.cf");
        let resolver = Resolver::consulting(Arc::new(SystemLookup), nowhere);
        // The thread goes on only when its reading is taken.
        let (to, come) = bounded(0);
        let deliver = move |loaded| to.send(loaded).unwrap_or_default();
        let mut reading = Reading::start(nowhere.into(), resolver, deliver).unwrap();
        assert!(reading.is_done());
        for _ in 0..10 {
            reading.read_again();
        }
        let mut count = 0;
        while !reading.is_done() {
            assert!(come.recv_timeout(Duration::from_secs(20)).unwrap().is_err());
            reading.came();
            count += 1;
        }
        assert!((1..=2).contains(&count), "one under way and one that waits, not {count}");
        assert!(come.try_recv().is_err(), "nothing more comes");
    }
}
