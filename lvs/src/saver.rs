//! Writes the state file on a thread of its own: a disk may be slow, and serving does not wait for it.

use std::io;
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::engine::WallClock;
use crate::orders::State;
use crate::state::StateFile;

/// The side that has something to write; one state at a time.
#[derive(Debug)]
pub(crate) struct Saver {
    to_thread: Option<Sender<(State, WallClock)>>,
    ended: Receiver<()>,
}

impl Saver {
    /// Starts the thread, which tells `deliver` what became of each writing.
    ///
    /// # Errors
    /// The operating system's.
    pub(crate) fn start(
        file: StateFile,
        deliver: impl Fn(Result<(), String>) + Send + 'static,
    ) -> io::Result<Self> {
        let (to_thread, states) = bounded::<(State, WallClock)>(1);
        let (end, ended) = bounded(1);
        let writing = move || {
            for (state, clock) in states {
                let written = file.write(&state, clock);
                deliver(written.map_err(|error| format!("{}: {error}", file.path().display())));
            }
            let _ = end.send(());
        };
        thread::Builder::new().name("save".into()).spawn(writing)?;
        Ok(Self { to_thread: Some(to_thread), ended })
    }

    /// Writes `state`, whose times are those of `clock`. False when the last one has not been written yet.
    pub(crate) fn save(&self, state: State, clock: WallClock) -> bool {
        self.to_thread.as_ref().is_some_and(|thread| thread.try_send((state, clock)).is_ok())
    }

    /// Waits until all is written, `limit` at most.
    pub(crate) fn finish(mut self, limit: Duration) {
        drop(self.to_thread.take());
        let _ = self.ended.recv_timeout(limit);
    }
}
