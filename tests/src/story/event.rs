//! What the cast inside the kernel tells the screen outside: one line of JSON per event, in a file of the results
//! folder.
//!
//! The file is opened, appended to and closed for each event, because a guest's writes reach the host when a file is
//! closed.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Serialize};

/// Something that the audience is to know.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Event {
    /// A step begins.
    Step(String),
    /// Something happened.
    Happened(Moment),
    /// How everything looks now.
    Look(Look),
    /// What came of an expectation.
    Measured(Measurement),
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Moment {
    /// When, since the story began.
    pub(crate) at: Duration,
    /// What.
    pub(crate) text: String,
}

/// What came of an expectation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Measurement {
    /// The step.
    pub(crate) step: String,
    /// What must be.
    pub(crate) expected: String,
    /// What was.
    pub(crate) measured: String,
    /// Whether it is as it must be.
    pub(crate) held: bool,
}

/// How everything looks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Look {
    /// When, since the story began.
    pub(crate) at: Duration,
    /// The routers.
    pub(crate) routers: Vec<RouterLook>,
    /// The virtual servers.
    pub(crate) services: Vec<ServiceLook>,
}

/// A router as `pulse status` tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RouterLook {
    /// Its name.
    pub(crate) name: String,
    /// What can be said of it.
    pub(crate) condition: Condition,
    /// Whether its cables are cut.
    pub(crate) cut: bool,
    /// The moving addresses that it holds.
    pub(crate) holds: Vec<String>,
    /// What it knows of the other, in words.
    pub(crate) peer: String,
}

/// Whether a router serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Condition {
    /// Its `pulse` does not run.
    Off,
    /// It serves.
    Active,
    /// It is taking over or giving back.
    Changing,
    /// It waits.
    Backup,
}

/// A virtual server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ServiceLook {
    /// Its name.
    pub(crate) name: String,
    /// Its address, port and scheduler.
    pub(crate) place: String,
    /// Requests that failed in this step.
    pub(crate) failed: usize,
    /// Its real servers.
    pub(crate) servers: Vec<ServerLook>,
}

/// A real server of a virtual server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ServerLook {
    /// Its name.
    pub(crate) name: String,
    /// Its weight in the kernel's table; nothing when it is not in there.
    pub(crate) weight: Option<i32>,
    /// Whether it serves only when no other can.
    pub(crate) sorry: bool,
    /// Requests that it answered in the last second.
    pub(crate) recent: usize,
    /// Requests that it answered in this step.
    pub(crate) total: usize,
}

/// Where events are written, inside.
#[derive(Debug)]
pub(crate) struct Teller {
    path: PathBuf,
}

impl Teller {
    /// Writes to this file.
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// Tells an event. Nobody can be told that nobody can be told, so a failure is lost.
    pub(crate) fn tell(&self, event: &Event) {
        let Ok(mut line) = serde_json::to_vec(event) else { return };
        line.push(b'\n');
        let file = OpenOptions::new().create(true).append(true).open(&self.path);
        let _ = file.and_then(|mut file| file.write_all(&line));
    }
}

/// Where events are read, outside.
#[derive(Debug)]
pub(crate) struct Listener {
    path: PathBuf,
    read: u64,
    /// The beginning of a line whose end has not come yet.
    rest: Vec<u8>,
}

impl Listener {
    /// Reads from this file, which need not exist yet; one that an earlier story left is removed.
    ///
    /// # Errors
    /// When there is one that cannot be removed.
    pub(crate) fn new(path: &Path) -> io::Result<Self> {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(Self { path: path.to_owned(), read: 0, rest: Vec::new() }),
        }
    }

    /// The events since the last call. A line that is no event is left out.
    pub(crate) fn events(&mut self) -> Vec<Event> {
        let mut fresh = Vec::new();
        let read = File::open(&self.path).and_then(|mut file| {
            file.seek(SeekFrom::Start(self.read))?;
            file.read_to_end(&mut fresh)
        });
        // No file yet, or one that cannot be read just now: then there is nothing new.
        let Ok(length) = read else { return Vec::new() };
        self.read += length as u64;
        self.rest.extend_from_slice(&fresh);
        let Some(end) = self.rest.iter().rposition(|byte| *byte == b'\n') else { return Vec::new() };
        let tail = self.rest.split_off(end + 1);
        let whole = std::mem::replace(&mut self.rest, tail);
        whole.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_is_heard_once_and_in_order() {
        let path = std::env::temp_dir().join(format!("lab-events-{}", std::process::id()));
        let mut listener = Listener::new(&path).expect("a temporary folder");
        assert_eq!(listener.events(), []);
        let teller = Teller::new(path.clone());
        let happened =
            |text: &str| Event::Happened(Moment { at: Duration::from_millis(7), text: text.into() });
        teller.tell(&Event::Step("start".into()));
        teller.tell(&happened("one"));
        assert_eq!(listener.events(), [Event::Step("start".into()), happened("one")]);
        let mut file = OpenOptions::new().append(true).open(&path).expect("the file is there");
        file.write_all(b"{\"Step\":\"en").expect("it can be written");
        assert_eq!(listener.events(), []);
        file.write_all(b"d\"}\n").expect("it can be written");
        assert_eq!(listener.events(), [Event::Step("end".into())]);
        fs::remove_file(&path).expect("it is ours");
    }
}
