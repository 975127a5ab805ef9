//! Reads files on a thread of its own, because names in them may take the resolver long: one reading at a time, and what
//! is asked for during one is answered by another, which sees what was written meanwhile. In between, the names in the
//! file are looked up again every [`FOLLOW_INTERVAL`], however much is asked for. Two readings begin at least [`PACE`]
//! apart, so that a storm of signals is a few readings, of which the last sees the last content.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

use crate::action::Who;
use crate::configuration::{Reader, Unusable, Usable};

/// Time between looking up the names in the file again.
const FOLLOW_INTERVAL: Duration = Duration::from_secs(30);

/// Shortest time between the beginnings of two readings.
const PACE: Duration = Duration::from_millis(200);

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
    /// What is being read is for this.
    busy: Option<Purpose>,
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
        Ok(Self { path, orders, busy: None, queue: VecDeque::new() })
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

    /// Whether the file is being read for a reload, or is going to be.
    pub(crate) fn is_reloading(&self) -> bool {
        let queued = self.queue.iter().map(|(_, purpose)| purpose);
        self.busy.iter().chain(queued).any(|purpose| matches!(purpose, Purpose::Reload(_)))
    }

    /// A reading is over. Returns what could not be begun, and why.
    pub(crate) fn done(&mut self) -> Option<(Purpose, String)> {
        self.busy = None;
        self.next()
    }

    fn next(&mut self) -> Option<(Purpose, String)> {
        if self.busy.is_some() {
            return None;
        }
        let (path, purpose) = self.queue.pop_front()?;
        match self.orders.try_send((path, purpose.clone())) {
            Ok(()) => self.busy = Some(purpose),
            Err(_) => return Some((purpose, "the thread that reads files has ended".into())),
        }
        None
    }
}

/// The thread: reads what it is told to, and between that follows the names in `own`.
fn serve(own: &Path, mut reader: Reader, to_do: &Receiver<(PathBuf, Purpose)>, deliver: impl Fn(Box<Read>)) {
    let mut not_before = Instant::now();
    let mut follow_at = Instant::now() + FOLLOW_INTERVAL;
    loop {
        match next(to_do, follow_at) {
            Next::Read(path, purpose) => {
                thread::sleep(not_before.saturating_duration_since(Instant::now()));
                not_before = Instant::now() + PACE;
                let result = match purpose {
                    Purpose::Reload(_) | Purpose::Names => reader.load(&path),
                    Purpose::Plan(_) => reader.consult(&path),
                };
                deliver(Box::new(Read { purpose, path, result }));
            }
            Next::Follow => {
                follow_at = Instant::now() + FOLLOW_INTERVAL;
                if let Some(result) = reader.follow_names(own) {
                    deliver(Box::new(Read { purpose: Purpose::Names, path: own.to_owned(), result }));
                }
            }
            Next::End => return,
        }
    }
}

/// What the thread does next.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    /// Read this file.
    Read(PathBuf, Purpose),
    /// Look the names up again.
    Follow,
    /// End, because the owner has.
    End,
}

/// Waits for an order, but no longer than until `follow_at`; then no order comes first.
fn next(to_do: &Receiver<(PathBuf, Purpose)>, follow_at: Instant) -> Next {
    if Instant::now() >= follow_at {
        return Next::Follow;
    }
    match to_do.recv_deadline(follow_at) {
        Ok((path, purpose)) => Next::Read(path, purpose),
        Err(RecvTimeoutError::Timeout) => Next::Follow,
        Err(RecvTimeoutError::Disconnected) => Next::End,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use crossbeam_channel::{Receiver, unbounded};

    use super::*;

    const GOOD: &str =
        "primary = 192.0.2.1\nvirtual web {\nactive = 1\naddress = 192.0.2.80 eth0\nscheduler = rr\n}\n";
    /// Patience with a busy machine.
    const SOON: Duration = Duration::from_secs(20);

    /// A loader of a file of its own, and what it has read.
    fn loader(name: &str, text: &str) -> (Loader, Receiver<Box<Read>>, PathBuf) {
        let path = std::env::temp_dir().join(format!("lvs-loader-{name}-{}.cf", std::process::id()));
        fs::write(&path, text).unwrap();
        let (sender, read) = unbounded();
        let reader = Reader::new(&std::env::temp_dir());
        let deliver = move |file| drop(sender.send(file));
        (Loader::start(path.clone(), reader, deliver).unwrap(), read, path)
    }

    fn serial(read: &Read) -> Option<u64> {
        read.result.as_ref().ok().map(|usable| usable.config.serial_no)
    }

    #[test]
    fn a_storm_of_requests_is_a_few_readings_and_the_last_sees_the_last_content() {
        let (mut loader, read, path) = loader("storm", GOOD);
        let started = Instant::now();
        let mut seen = Vec::new();
        for serial_no in 1..=100 {
            fs::write(&path, format!("serial_no = {serial_no}\n{GOOD}")).unwrap();
            assert_eq!(loader.reload(None), None);
            thread::sleep(Duration::from_millis(2));
            for read in read.try_iter() {
                seen.push(serial(&read));
                assert_eq!(loader.done(), None);
            }
        }
        while loader.busy.is_some() {
            seen.push(serial(&read.recv_timeout(SOON).unwrap()));
            assert_eq!(loader.done(), None);
        }
        let most = started.elapsed().as_millis() / PACE.as_millis() + 1;
        assert!(seen.len() >= 2 && seen.len() as u128 <= most, "{seen:?} in {:?}", started.elapsed());
        assert_eq!(seen.last(), Some(&Some(100)));
        fs::remove_file(path).unwrap();
    }

    #[test]
    fn orders_without_end_do_not_put_off_that_names_are_followed() {
        let (orders, to_do) = bounded(1);
        let order = || (PathBuf::from("/other.cf"), Purpose::Plan(1));
        let now = Instant::now();
        orders.send(order()).unwrap();
        assert_eq!(next(&to_do, now), Next::Follow, "it is time, and an order waits");
        let (path, purpose) = order();
        assert_eq!(next(&to_do, now + SOON), Next::Read(path, purpose));
        assert_eq!(next(&to_do, now + Duration::from_millis(20)), Next::Follow, "nobody asks");
        drop(orders);
        assert_eq!(next(&to_do, Instant::now() + SOON), Next::End);
    }

    #[test]
    fn a_plan_takes_last_addresses_of_names_from_the_folder_of_the_reader() {
        let folder = std::env::temp_dir().join(format!("lvs-loader-names-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        // No label of a name is so long, so nobody is asked for it.
        let name = "n".repeat(64);
        fs::write(folder.join(lvs_config::NAMES_FILE), format!("{name} ipv4 10.2.0.11\n")).unwrap();
        let (path, (sender, read)) = (folder.join("other.cf"), unbounded());
        let server = format!("server one {{\nactive = 1\naddress = {name}\n}}\n}}\n");
        fs::write(&path, GOOD.replace("}\n", &server)).unwrap();
        let deliver = move |file| drop(sender.send(file));
        let mut loader = Loader::start(folder.join("own.cf"), Reader::new(&folder), deliver).unwrap();
        assert_eq!(loader.plan(9, path), None);
        let planned: Box<Read> = read.recv_timeout(SOON).unwrap();
        let config = planned.result.unwrap().config;
        assert_eq!(config.virtual_servers[0].servers[0].address.to_string(), "10.2.0.11");
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn half_a_file_is_refused_and_the_whole_is_read_next() {
        let (mut loader, read, path) = loader("half", &GOOD[..GOOD.len() - 5]);
        assert_eq!(loader.reload(None), None);
        let half = read.recv_timeout(SOON).unwrap();
        assert!(half.result.is_err(), "{half:?}");
        fs::write(&path, GOOD).unwrap();
        assert_eq!(loader.done(), None);
        assert_eq!(loader.reload(None), None);
        assert!(read.recv_timeout(SOON).unwrap().result.is_ok());
        fs::remove_file(path).unwrap();
    }

    #[test]
    fn who_waits_while_a_reading_is_under_way_is_answered_together_by_the_next() {
        let (mut loader, read, path) = loader("waiting", GOOD);
        for _ in 0..3 {
            assert_eq!(loader.reload(None), None);
        }
        assert_eq!(loader.queue.len(), 1);
        assert_eq!(loader.plan(9, path.clone()), None);
        assert!(loader.is_reloading());
        let reload = Purpose::Reload(Vec::new());
        for (expected, reloads_then) in [(reload.clone(), true), (reload, false), (Purpose::Plan(9), false)] {
            assert_eq!(read.recv_timeout(SOON).unwrap().purpose, expected);
            assert_eq!(loader.done(), None);
            assert_eq!(loader.is_reloading(), reloads_then);
        }
        assert!(loader.busy.is_none());
        fs::remove_file(path).unwrap();
    }
}
