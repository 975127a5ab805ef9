//! Reads files on a thread of its own, because names in them may take the resolver long: one reading at a time, and what
//! is asked for during one is answered by another, which sees what was written meanwhile. In between, the names in the
//! file are looked up again.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

use crate::action::Who;
use crate::configuration::{self, Reader, Unusable, Usable};

/// Time between looking up the names in the file again.
const FOLLOW_INTERVAL: Duration = Duration::from_secs(30);

/// What a file is read for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To be in force from now on; who waits for the answer, by request.
    Reload(Vec<(u64, Who)>),
    /// To tell what that would do; the request that waits for it.
    Plan(u64),
    /// Not at all: a name in the file that is in force has another address.
    Names,
}

/// A file that was read.
#[derive(Debug)]
pub(crate) struct Read {
    /// What for.
    pub(crate) purpose: Purpose,
    /// The file.
    pub(crate) path: PathBuf,
    /// What it says.
    pub(crate) result: Result<Usable, Unusable>,
}

/// The reading side.
pub(crate) struct Loader {
    /// The file that is in force.
    path: PathBuf,
    orders: Sender<(PathBuf, Purpose)>,
    busy: bool,
    queue: VecDeque<(PathBuf, Purpose)>,
}

impl Loader {
    /// Reads `path` for reloads with `reader`, who has read it before, and gives each file that was read to `deliver`.
    ///
    /// # Errors
    /// When the operating system refuses the thread.
    pub(crate) fn start(
        path: PathBuf,
        reader: Reader,
        deliver: impl Fn(Box<Read>) + Send + 'static,
    ) -> io::Result<Self> {
        let (orders, to_do) = bounded(1);
        let own = path.clone();
        thread::Builder::new().name("load".into()).spawn(move || serve(&own, reader, &to_do, deliver))?;
        Ok(Self { path, orders, busy: false, queue: VecDeque::new() })
    }

    /// Has the file read again, for whoever waits for it. Returns what could not be begun, and why.
    pub(crate) fn reload(&mut self, waiting: Option<(u64, Who)>) -> Option<(Purpose, String)> {
        let queued = self.queue.iter_mut().find_map(|(_, purpose)| match purpose {
            Purpose::Reload(waiting) => Some(waiting),
            Purpose::Plan(_) | Purpose::Names => None,
        });
        match queued {
            Some(queued) => queued.extend(waiting),
            None => {
                let waiting = waiting.into_iter().collect();
                self.queue.push_back((self.path.clone(), Purpose::Reload(waiting)));
            }
        }
        self.next()
    }

    /// Has another file read for the request `id`. Returns what could not be begun, and why.
    pub(crate) fn plan(&mut self, id: u64, path: PathBuf) -> Option<(Purpose, String)> {
        self.queue.push_back((path, Purpose::Plan(id)));
        self.next()
    }

    /// A reading is over. Returns what could not be begun, and why.
    pub(crate) fn done(&mut self) -> Option<(Purpose, String)> {
        self.busy = false;
        self.next()
    }

    fn next(&mut self) -> Option<(Purpose, String)> {
        if self.busy {
            return None;
        }
        let (path, purpose) = self.queue.pop_front()?;
        match self.orders.try_send((path, purpose)) {
            Ok(()) => self.busy = true,
            Err(refused) => {
                let (_, purpose) = refused.into_inner();
                return Some((purpose, "the thread that reads files has ended".into()));
            }
        }
        None
    }
}

/// The thread: reads what it is told to, and between that follows the names in `own`.
fn serve(own: &Path, mut reader: Reader, to_do: &Receiver<(PathBuf, Purpose)>, deliver: impl Fn(Box<Read>)) {
    loop {
        match to_do.recv_timeout(FOLLOW_INTERVAL) {
            Ok((path, purpose)) => {
                let result = match purpose {
                    Purpose::Reload(_) | Purpose::Names => reader.load(&path),
                    Purpose::Plan(_) => configuration::load(&path),
                };
                deliver(Box::new(Read { purpose, path, result }));
            }
            Err(RecvTimeoutError::Timeout) => {
                if let Some(result) = reader.follow_names(own) {
                    deliver(Box::new(Read { purpose: Purpose::Names, path: own.to_owned(), result }));
                }
            }
            // The owner has ended.
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}
