//! Reads files on a thread of its own, because names in them may take the resolver long: one reading at a time, and what
//! is asked for during one is answered by another, which sees what was written meanwhile.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;

use crate::action::Who;
use crate::configuration::{self, Unusable, Usable};

/// What a file is read for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To be in force from now on; who waits for the answer, by request.
    Reload(Vec<(u64, Who)>),
    /// To tell what that would do; the request that waits for it.
    Plan(u64),
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
    deliver: Arc<dyn Fn(Box<Read>) + Send + Sync>,
    busy: bool,
    queue: VecDeque<(PathBuf, Purpose)>,
}

impl Loader {
    /// Reads `path` for reloads, and gives each file that was read to `deliver`.
    pub(crate) fn new(path: PathBuf, deliver: impl Fn(Box<Read>) + Send + Sync + 'static) -> Self {
        Self { path, deliver: Arc::new(deliver), busy: false, queue: VecDeque::new() }
    }

    /// Has the file read again, for whoever waits for it. Returns what could not be begun, and why.
    pub(crate) fn reload(&mut self, waiting: Option<(u64, Who)>) -> Option<(Purpose, String)> {
        let queued = self.queue.iter_mut().find_map(|(_, purpose)| match purpose {
            Purpose::Reload(waiting) => Some(waiting),
            Purpose::Plan(_) => None,
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
        let deliver = Arc::clone(&self.deliver);
        let (for_thread, kept) = (purpose.clone(), purpose);
        let reading = move || {
            let result = configuration::load(&path);
            deliver(Box::new(Read { purpose: for_thread, path, result }));
        };
        match thread::Builder::new().name("load".into()).spawn(reading) {
            Ok(_) => self.busy = true,
            Err(error) => return Some((kept, format!("cannot start a thread to read the file: {error}"))),
        }
        None
    }
}
