//! The state file: what is to survive a restart of this program, as one line of JSON.
//!
//! ```text
//! {"version":1,
//!  "servers":[{"virtual":"web","server":"rs3","service":"-t 10.1.0.100:80","address":"10.2.0.103:80",
//!              "drain":{"by":"root (process 7)","at_ms":1763776800000,"reason":"disk","deadline_ms":1763777100000}}],
//!  "sorry":[...],"leaving":[...],"down":[...],"climbing":[...]}
//! ```
//!
//! Times are milliseconds since the Unix epoch: a drain's deadline holds also across a restart of the machine. The file
//! is replaced as a whole and forced to the disk before and after, so a reader finds the old one or the new one,
//! whatever happens in between. One that cannot be read or understood is moved aside, so that it can be looked at and is
//! not written over.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use ipvsadm::{DestinationId, ServiceId};
use serde::{Deserialize, Serialize};

use crate::engine::WallClock;
use crate::identity::ServerKey;
use crate::orders::{Admin, Drain, Ended, Leaving, Names, Order, ServerOrders, State};
use crate::service_list;

/// Folder of the file, unless another one is named.
pub use lvs_ipc::status::STATE_DIR;

/// Its name in the folder.
pub const FILE: &str = "lvs.state";
/// Name under which one is kept that cannot be read or understood.
pub const BROKEN_FILE: &str = "lvs.state.broken";
/// What is written until it takes the file's place.
const NEW_FILE: &str = "lvs.state.new";
/// Only this version is understood.
const VERSION: u32 = 1;
/// Largest file that is read, in bytes.
const MAX_BYTES: u64 = 64 * 1024 * 1024;

/// The file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateFile {
    folder: PathBuf,
    path: PathBuf,
}

/// Why there is no state.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// It cannot be read.
    #[error("{}: {source}; {}", path.display(), kept(aside))]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
        /// Where it is now, or why it could not be moved there.
        aside: Result<PathBuf, String>,
    },
    /// It cannot be understood.
    #[error("{}: {reason}; {}", path.display(), kept(aside))]
    Broken {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
        /// Where it is now, or why it could not be moved there.
        aside: Result<PathBuf, String>,
    },
}

fn kept(aside: &Result<PathBuf, String>) -> String {
    match aside {
        Ok(path) => format!("kept as {}", path.display()),
        Err(reason) => format!("it cannot be moved aside: {reason}"),
    }
}

impl StateFile {
    /// The file in this folder, whether or not either exists.
    #[must_use]
    pub fn in_folder(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), path: folder.join(FILE) }
    }

    /// Its path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What it says at `clock`; nothing if it does not exist. One that cannot be read or understood is moved
    /// aside.
    ///
    /// # Errors
    /// [`StateError`]; serving can begin without.
    pub fn read(&self, clock: WallClock) -> Result<State, StateError> {
        let path = || self.path.clone();
        // Moving it takes the folder only, so it works for one that cannot be read as well.
        let read = self.text();
        let text =
            read.map_err(|source| StateError::Read { path: path(), source, aside: self.move_aside() })?;
        let Some(text) = text else { return Ok(State::default()) };
        parse(&text, clock).map_err(|reason| StateError::Broken {
            path: path(),
            reason,
            aside: self.move_aside(),
        })
    }

    /// The same for one who only looks: nothing is moved.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub fn look(&self, clock: WallClock) -> Result<State, String> {
        let what = |reason: String| format!("{}: {reason}", self.path.display());
        match self.text().map_err(|error| what(error.to_string()))? {
            Some(text) => parse(&text, clock).map_err(what),
            None => Ok(State::default()),
        }
    }

    /// What is in it; `None` if it does not exist.
    fn text(&self) -> io::Result<Option<Vec<u8>>> {
        let mut text = Vec::new();
        match File::open(&self.path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
            Ok(file) => file.take(MAX_BYTES + 1).read_to_end(&mut text).map(|_| Some(text)),
        }
    }

    fn move_aside(&self) -> Result<PathBuf, String> {
        let aside = self.folder.join(BROKEN_FILE);
        fs::rename(&self.path, &aside).map(|()| aside).map_err(|error| error.to_string())
    }

    /// Has it say `state`, whose times are those of `clock`.
    ///
    /// # Errors
    /// The operating system's; then the file is as it was.
    pub fn write(&self, state: &State, clock: WallClock) -> io::Result<()> {
        fs::create_dir_all(&self.folder)?;
        let new = self.folder.join(NEW_FILE);
        self.replace(&new, render(state, clock).as_bytes()).inspect_err(|_| {
            // What little it holds would make a full disk fuller. The first error is the one to tell.
            let _ = fs::remove_file(&new);
        })
    }

    fn replace(&self, new: &Path, text: &[u8]) -> io::Result<()> {
        let mut file = File::options().write(true).create(true).truncate(true).mode(0o600).open(new)?;
        file.write_all(text)?;
        file.sync_all()?;
        fs::rename(new, &self.path)?;
        File::open(&self.folder)?.sync_all()
    }
}

/// The text of the file.
#[must_use]
pub fn render(state: &State, clock: WallClock) -> String {
    // It holds nothing that JSON cannot.
    serde_json::to_string(&Document::of(state, clock)).unwrap_or_default() + "\n"
}

/// Reads the text of the file.
///
/// # Errors
/// What is wrong with it.
pub fn parse(text: &[u8], clock: WallClock) -> Result<State, String> {
    if text.len() as u64 > MAX_BYTES {
        return Err(format!("it is larger than {MAX_BYTES} bytes"));
    }
    let Version { version } = serde_json::from_slice(text).map_err(|error| error.to_string())?;
    if version != VERSION {
        return Err(format!("it is of version {version}, and this program knows only version {VERSION}"));
    }
    let document: Document = serde_json::from_slice(text).map_err(|error| error.to_string())?;
    document.meaning(clock)
}

#[derive(Deserialize)]
struct Version {
    version: u32,
}

#[derive(Serialize, Deserialize)]
struct Document {
    version: u32,
    #[serde(default)]
    servers: Vec<ServerLine>,
    #[serde(default)]
    sorry: Vec<SorryLine>,
    #[serde(default)]
    leaving: Vec<LeavingLine>,
    #[serde(default)]
    down: Vec<DownLine>,
    #[serde(default)]
    climbing: Vec<ClimbingLine>,
}

#[derive(Serialize, Deserialize)]
struct OrderPart {
    by: String,
    at_ms: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct ServerLine {
    #[serde(rename = "virtual")]
    virtual_server: String,
    server: String,
    service: String,
    address: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    drain: Option<DrainPart>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    disabled: Option<OrderPart>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    forced: Option<OrderPart>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    weight: Option<WeightPart>,
}

#[derive(Serialize, Deserialize)]
struct DrainPart {
    #[serde(flatten)]
    order: OrderPart,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    deadline_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ended: Option<EndedWord>,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum EndedWord {
    Empty,
    Deadline,
}

#[derive(Serialize, Deserialize)]
struct WeightPart {
    weight: u16,
    #[serde(flatten)]
    order: OrderPart,
}

#[derive(Serialize, Deserialize)]
struct SorryLine {
    #[serde(rename = "virtual")]
    virtual_server: String,
    service: String,
    #[serde(flatten)]
    order: OrderPart,
}

#[derive(Serialize, Deserialize)]
struct LeavingLine {
    #[serde(rename = "virtual")]
    virtual_server: String,
    server: String,
    service: String,
    /// Its address and port, as the kernel knows it.
    row: String,
    since_ms: u64,
    deadline_ms: u64,
}

#[derive(Serialize, Deserialize)]
struct DownLine {
    service: String,
    address: String,
    reason: String,
}

#[derive(Serialize, Deserialize)]
struct ClimbingLine {
    service: String,
    /// Its address and port, as the kernel knows it.
    row: String,
    since_ms: u64,
}

impl Document {
    fn of(state: &State, clock: WallClock) -> Self {
        let State { servers, sorry, leaving, down, climbing } = state;
        Self {
            version: VERSION,
            servers: servers.iter().map(|(key, orders)| ServerLine::of(key, orders, clock)).collect(),
            sorry: sorry
                .iter()
                .map(|(service, (name, order))| SorryLine {
                    virtual_server: name.clone(),
                    service: service_word(service),
                    order: OrderPart::of(order),
                })
                .collect(),
            leaving: leaving
                .iter()
                .map(|((service, row), leaving)| LeavingLine {
                    virtual_server: leaving.names.virtual_server.clone(),
                    server: leaving.names.server.clone(),
                    service: service_word(service),
                    row: row.to_string(),
                    since_ms: clock.epoch_ms(leaving.since),
                    deadline_ms: clock.epoch_ms(leaving.deadline),
                })
                .collect(),
            down: down
                .iter()
                .map(|(key, reason)| DownLine {
                    service: service_word(&key.service),
                    address: key.server.to_string(),
                    reason: reason.clone(),
                })
                .collect(),
            climbing: climbing
                .iter()
                .map(|((service, row), since)| ClimbingLine {
                    service: service_word(service),
                    row: row.to_string(),
                    since_ms: clock.epoch_ms(*since),
                })
                .collect(),
        }
    }

    fn meaning(self, clock: WallClock) -> Result<State, String> {
        let mut state = State::default();
        for line in self.servers {
            let (key, orders) = line.meaning(clock)?;
            state.servers.insert(key, orders);
        }
        for SorryLine { virtual_server, service, order } in self.sorry {
            state.sorry.insert(service_of(&service)?, (virtual_server, order.meaning()));
        }
        for line in self.leaving {
            let leaving = Leaving {
                names: Names { virtual_server: line.virtual_server, server: line.server },
                destination: None,
                since: clock.mono_at(line.since_ms),
                deadline: clock.mono_at(line.deadline_ms),
                left: None,
            };
            state.leaving.insert((service_of(&line.service)?, server_of(&line.row)?), leaving);
        }
        for DownLine { service, address, reason } in self.down {
            state.down.insert(key_of(&service, &address)?, reason);
        }
        for ClimbingLine { service, row, since_ms } in self.climbing {
            state.climbing.insert((service_of(&service)?, server_of(&row)?), clock.mono_at(since_ms));
        }
        Ok(state)
    }
}

impl ServerLine {
    fn of(key: &ServerKey, orders: &ServerOrders, clock: WallClock) -> Self {
        let mut line = Self {
            virtual_server: orders.names.virtual_server.clone(),
            server: orders.names.server.clone(),
            service: service_word(&key.service),
            address: key.server.to_string(),
            drain: None,
            disabled: None,
            forced: None,
            weight: None,
        };
        match &orders.admin {
            Some((Admin::Drain(drain), order)) => {
                line.drain = Some(DrainPart {
                    order: OrderPart::of(order),
                    deadline_ms: drain.deadline.map(|deadline| clock.epoch_ms(deadline)),
                    ended: drain.ended.map(|ended| match ended {
                        Ended::Empty => EndedWord::Empty,
                        Ended::Deadline => EndedWord::Deadline,
                    }),
                });
            }
            Some((Admin::Disabled, order)) => line.disabled = Some(OrderPart::of(order)),
            Some((Admin::Forced, order)) => line.forced = Some(OrderPart::of(order)),
            None => {}
        }
        line.weight = orders
            .weight
            .as_ref()
            .map(|(weight, order)| WeightPart { weight: *weight, order: OrderPart::of(order) });
        line
    }

    fn meaning(self, clock: WallClock) -> Result<(ServerKey, ServerOrders), String> {
        let key = key_of(&self.service, &self.address)?;
        let drain = self.drain.map(|part| {
            let ended = part.ended.map(|word| match word {
                EndedWord::Empty => Ended::Empty,
                EndedWord::Deadline => Ended::Deadline,
            });
            let deadline = part.deadline_ms.map(|ms| clock.mono_at(ms));
            (Admin::Drain(Drain { deadline, left: None, ended }), part.order.meaning())
        });
        let disabled = self.disabled.map(|order| (Admin::Disabled, order.meaning()));
        let forced = self.forced.map(|order| (Admin::Forced, order.meaning()));
        let names = Names { virtual_server: self.virtual_server, server: self.server };
        let weight = self.weight.map(|part| (part.weight, part.order.meaning()));
        Ok((key, ServerOrders { names, admin: drain.or(disabled).or(forced), weight }))
    }
}

impl OrderPart {
    fn of(order: &Order) -> Self {
        let Order { by, at_ms, reason } = order.clone();
        Self { by, at_ms, reason }
    }

    fn meaning(self) -> Order {
        let Self { by, at_ms, reason } = self;
        Order { by, at_ms, reason }
    }
}

fn service_word(service: &ServiceId) -> String {
    // Only services of another protocol than the file can name have no words.
    service_list::words(service).unwrap_or_default()
}

fn service_of(word: &str) -> Result<ServiceId, String> {
    service_list::service(word).ok_or_else(|| format!("{word:?} names no service"))
}

fn server_of(word: &str) -> Result<DestinationId, String> {
    let address: SocketAddr = word.parse().map_err(|_| format!("{word:?} is no address with a port"))?;
    Ok(DestinationId::from(address))
}

fn key_of(service: &str, server: &str) -> Result<ServerKey, String> {
    Ok(ServerKey { service: service_of(service)?, server: server_of(server)? })
}
