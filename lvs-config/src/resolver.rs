//! Reading a file without waiting for its names: they are looked up side by side, within a limit of time for all of them
//! together, and one that does not resolve keeps the address that it had last.
//!
//! The system's look-ups cannot be stopped; one that hangs is left to itself on its thread, and its answer is not
//! waited for. Last addresses (`book.rs`) are kept in memory and in a file, so that they outlive the process.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, ToSocketAddrs as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::book::{NameBook, NameChange, Question};
use crate::files::{Files, SystemFiles};
use crate::interfaces::{self, InterfaceAddress};
use crate::load::{self, LoadError, Loaded};
use crate::model::Protocol;
use crate::names::{Family, Names, SystemNames};
use crate::{Parsed, parse_with_files};

/// File name of the last addresses, in the folder of what outlives the programs.
pub const NAMES_FILE: &str = "names";
/// Look-ups side by side.
const WORKERS: usize = 16;
/// Times that a file is read for names that only turn up once others are known.
const ROUNDS: usize = 3;
/// Largest file of last addresses that is read, in bytes.
const LARGEST: u64 = 8 * 1024 * 1024;

/// How long look-ups of all names together are waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// While only names are missing whose last address is known.
    pub known: Duration,
    /// While there are others.
    pub unknown: Duration,
}

impl Patience {
    /// When somebody waits: at a start and a reload.
    pub const BRIEF: Self = Self { known: Duration::from_secs(1), unknown: Duration::from_secs(5) };
    /// In between, when at most a start or reload waits for it to be over.
    pub const LONG: Self = Self { known: Duration::from_secs(5), unknown: Duration::from_secs(5) };
}

/// Finds the addresses of a name, and those of this machine.
pub trait Lookup: Send + Sync {
    /// All addresses of `name`, none if it has none or cannot be resolved. May take its time.
    fn addresses(&self, name: &str) -> Vec<IpAddr>;

    /// The addresses of this machine's interfaces, without those of loopback; must not take time.
    fn interface_addresses(&self) -> Vec<InterfaceAddress> {
        Vec::new()
    }
}

/// The system's resolver, `getaddrinfo`, and its interfaces, `getifaddrs`.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemLookup;

impl Lookup for SystemLookup {
    fn addresses(&self, name: &str) -> Vec<IpAddr> {
        (name, 0).to_socket_addrs().map(|found| found.map(|it| it.ip()).collect()).unwrap_or_default()
    }

    fn interface_addresses(&self) -> Vec<InterfaceAddress> {
        interfaces::of_system()
    }
}

/// What a [`Resolver`] has to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NameNote {
    /// About a name.
    Changed(NameChange),
    /// About the file of last addresses, which could not be read or written.
    File(String),
}

impl fmt::Display for NameNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Changed(change) => change.fmt(f),
            Self::File(trouble) => f.write_str(trouble),
        }
    }
}

/// Reads files, and remembers the addresses of the names in them.
pub struct Resolver {
    lookup: Arc<dyn Lookup>,
    book: NameBook,
    /// Where the book is kept, and what is written there.
    file: Option<(PathBuf, String)>,
    /// Why it could not be written the last time.
    trouble: Option<String>,
    /// The last good file and the names in it, if it has any.
    good: Option<(Source, BTreeSet<Question>)>,
    notes: Vec<NameNote>,
}

impl Resolver {
    /// A resolver that remembers what is in `file`, and keeps it there.
    pub fn keeping(lookup: Arc<dyn Lookup>, file: PathBuf) -> Self {
        let (book, text, notes) = read_book(&file);
        Self { lookup, book, file: Some((file, text)), trouble: None, good: None, notes }
    }

    /// A resolver that remembers what is in `file`, and writes nothing.
    pub fn consulting(lookup: Arc<dyn Lookup>, file: &Path) -> Self {
        let book = read_book(file).0;
        Self { lookup, book, file: None, trouble: None, good: None, notes: Vec::new() }
    }

    /// Reads and checks the file `path` and what it includes.
    ///
    /// # Errors
    /// As [`crate::load()`]. A name that cannot be resolved now and has no last address is an error of the file.
    pub fn load(&mut self, path: &Path, patience: Patience) -> Result<Loaded, LoadError> {
        let text = load::read(path).map_err(|source| LoadError::Read { path: path.to_owned(), source })?;
        let interfaces = self.lookup.interface_addresses();
        let source = Source { path: path.to_owned(), text, files: Recorded::default(), interfaces };
        let mut asked = BTreeSet::new();
        let mut rounds = 0;
        let parsed = loop {
            let (parsed, questions) = source.parse(&self.book);
            let new: BTreeSet<Question> = questions.difference(&asked).cloned().collect();
            rounds += 1;
            if new.is_empty() || rounds > ROUNDS {
                break parsed;
            }
            self.look_up(&new, patience);
            asked.extend(new);
        };
        let Some(config) = parsed.config else {
            return Err(LoadError::Invalid { path: path.to_owned(), diagnostics: parsed.diagnostics });
        };
        self.book.retain(&asked);
        self.keep();
        self.good = Some((source, asked)).filter(|(_, asked)| !asked.is_empty());
        Ok(Loaded { config, warnings: parsed.diagnostics })
    }

    /// Looks the names of the last good file up again. When an address is another, that is the file, exactly as it was
    /// read then, with the new addresses.
    pub fn refresh(&mut self, patience: Patience) -> Option<Result<Loaded, LoadError>> {
        let (source, asked) = self.good.take()?;
        let has_moved = self.look_up(&asked, patience);
        self.keep();
        let parsed = has_moved.then(|| source.parse(&self.book).0);
        let path = source.path.clone();
        self.good = Some((source, asked));
        let parsed = parsed?;
        Some(match parsed.config {
            Some(config) => Ok(Loaded { config, warnings: parsed.diagnostics }),
            None => Err(LoadError::Invalid { path, diagnostics: parsed.diagnostics }),
        })
    }

    /// What there is to say since this was last asked.
    pub fn notes(&mut self) -> Vec<NameNote> {
        std::mem::take(&mut self.notes)
    }

    /// Asks all `questions` and takes in the answers. Returns whether a name has another address.
    fn look_up(&mut self, questions: &BTreeSet<Question>, patience: Patience) -> bool {
        let mut waiting: BTreeMap<&str, bool> = BTreeMap::new();
        for question in questions {
            let is_known = self.book.address(question).is_some();
            waiting.entry(&question.0).and_modify(|known| *known &= is_known).or_insert(is_known);
        }
        let answers = ask(&self.lookup, &waiting, patience);
        let mut has_moved = false;
        for question in questions {
            let found = answers.get(&question.0).map_or(&[][..], Vec::as_slice);
            if let Some(change) = self.book.learn(question, found) {
                has_moved |= matches!(change, NameChange::Moved { .. });
                self.notes.push(NameNote::Changed(change));
            }
        }
        has_moved
    }

    /// Writes the book down if it has changed.
    fn keep(&mut self) {
        let Some((path, written)) = &mut self.file else { return };
        let text = self.book.text();
        let is_new = written.is_empty() && self.book == NameBook::default();
        if text == *written || is_new {
            return;
        }
        match write(path, &text) {
            Ok(()) => (*written, self.trouble) = (text, None),
            Err(error) => {
                let trouble =
                    format!("{}: cannot write the last addresses of names: {error}", path.display());
                // It is tried again each time that the names are looked up.
                if self.trouble.as_ref() != Some(&trouble) {
                    self.notes.push(NameNote::File(trouble.clone()));
                }
                self.trouble = Some(trouble);
            }
        }
    }
}

/// Looks `names` up side by side; each comes with whether an address of it is known. Returns the answers that came in
/// time.
fn ask(
    lookup: &Arc<dyn Lookup>,
    names: &BTreeMap<&str, bool>,
    patience: Patience,
) -> BTreeMap<String, Vec<IpAddr>> {
    let queue: Arc<Mutex<Vec<String>>> =
        Arc::new(Mutex::new(names.keys().rev().map(|&name| name.into()).collect()));
    let answers = start_workers(lookup, &queue, names.len().min(WORKERS));
    let mut unknown = names.values().filter(|known| !**known).count();
    let mut found = BTreeMap::new();
    let start = Instant::now();
    while found.len() < names.len() {
        let limit = if unknown == 0 { patience.known } else { patience.unknown };
        let Some(left) = limit.checked_sub(start.elapsed()) else { break };
        let Ok((name, addresses)) = answers.recv_timeout(left) else { break };
        unknown -= usize::from(names.get(name.as_str()) == Some(&false));
        found.insert(name, addresses);
    }
    // Whoever still looks something up ends with that.
    queue.lock().unwrap_or_else(PoisonError::into_inner).clear();
    found
}

fn start_workers(
    lookup: &Arc<dyn Lookup>,
    queue: &Arc<Mutex<Vec<String>>>,
    count: usize,
) -> Receiver<(String, Vec<IpAddr>)> {
    let (to_owner, answers) = mpsc::channel();
    for _ in 0..count {
        let (lookup, queue, to_owner) = (Arc::clone(lookup), Arc::clone(queue), to_owner.clone());
        let work = move || {
            loop {
                let next = queue.lock().unwrap_or_else(PoisonError::into_inner).pop();
                let Some(name) = next else { return };
                let found = lookup.addresses(&name);
                // Nobody listens once the time is over.
                if to_owner.send((name, found)).is_err() {
                    return;
                }
            }
        };
        // Without a thread more the others have more to do; without any, no name is resolved.
        let _ = thread::Builder::new().name("name".into()).spawn(work);
    }
    answers
}

/// A file as it was read, with what it includes.
struct Source {
    path: PathBuf,
    text: Vec<u8>,
    files: Recorded,
    /// What the interfaces had when it was read.
    interfaces: Vec<InterfaceAddress>,
}

impl Source {
    /// What it means with the addresses of `book`, and which names it asked for.
    fn parse(&self, book: &NameBook) -> (Parsed, BTreeSet<Question>) {
        let names = Remembered { book, interfaces: &self.interfaces, asked: RefCell::default() };
        let parsed = parse_with_files(&self.text, &self.path, &names, &self.files);
        (parsed, names.asked.into_inner())
    }
}

/// The names of a book, and interfaces as they were.
struct Remembered<'b> {
    book: &'b NameBook,
    interfaces: &'b [InterfaceAddress],
    asked: RefCell<BTreeSet<Question>>,
}

impl Names for Remembered<'_> {
    fn host(&self, name: &str, wanted: Family) -> Option<IpAddr> {
        let question = (name.to_owned(), wanted);
        let known = self.book.address(&question);
        self.asked.borrow_mut().insert(question);
        known.map(|(address, _)| address)
    }

    fn is_of_old(&self, name: &str, wanted: Family) -> bool {
        self.book.address(&(name.to_owned(), wanted)).is_some_and(|(_, is_lost)| is_lost)
    }

    fn service(&self, name: &str, protocol: Protocol) -> Option<u16> {
        SystemNames.service(name, protocol)
    }

    fn interface_addresses(&self) -> Vec<InterfaceAddress> {
        self.interfaces.to_vec()
    }
}

/// The file system as it was when each part of it was first looked at.
#[derive(Default)]
struct Recorded {
    folders: RefCell<BTreeMap<PathBuf, Vec<OsString>>>,
    files: RefCell<BTreeMap<PathBuf, Vec<u8>>>,
}

impl Files for Recorded {
    fn names(&self, folder: &Path) -> io::Result<Vec<OsString>> {
        if let Some(names) = self.folders.borrow().get(folder) {
            return Ok(names.clone());
        }
        let names = SystemFiles.names(folder)?;
        self.folders.borrow_mut().insert(folder.to_owned(), names.clone());
        Ok(names)
    }

    fn read(&self, path: &Path, limit: usize) -> io::Result<Vec<u8>> {
        if let Some(bytes) = self.files.borrow().get(path) {
            return Ok(bytes.clone());
        }
        let bytes = SystemFiles.read(path, limit)?;
        self.files.borrow_mut().insert(path.to_owned(), bytes.clone());
        Ok(bytes)
    }
}

/// The book in `path`, the text that is there, and what is wrong with it.
fn read_book(path: &Path) -> (NameBook, String, Vec<NameNote>) {
    let told = |what: &str| NameNote::File(format!("{}: {what}", path.display()));
    let mut bytes = Vec::new();
    match File::open(path).and_then(|file| file.take(LARGEST).read_to_end(&mut bytes)) {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => {
            let trouble = told(&format!("cannot read the last addresses of names: {error}"));
            return (NameBook::default(), String::new(), vec![trouble]);
        }
    }
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let (book, faults) = NameBook::parse(&text);
    // The first says enough.
    let notes = faults.first().map(|fault| told(&format!("skipped {} of its lines: {fault}", faults.len())));
    (book, text, notes.into_iter().collect())
}

/// Replaces `path` as a whole.
fn write(path: &Path, text: &str) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut fresh = path.as_os_str().to_owned();
    // `pulse` and `lvs` write the same file.
    fresh.push(format!(".new.{}", std::process::id()));
    let fresh = PathBuf::from(fresh);
    let written = File::create(&fresh).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    let result = written.and_then(|()| fs::rename(&fresh, path));
    if result.is_err() {
        // The first error is the one to tell.
        let _ = fs::remove_file(&fresh);
    }
    result
}
