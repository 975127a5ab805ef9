//! The file that lists our services, so that the next run knows its predecessor's leftovers.
//!
//! It is replaced as a whole, so a reader finds the old list or the new one; and it is not forced to the disk,
//! because what it lists does not outlive the kernel either. What is in it is decided elsewhere.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use ipvsadm::ServiceId;

use crate::service_list;

/// File name in the run directory.
pub const FILE: &str = "lvs.services";
/// What is written until it takes the file's place.
const NEW_FILE: &str = "lvs.services.new";
/// Bad lines that are logged one by one; the rest is counted.
const LOGGED_LINES: usize = 8;

/// The file. Only the holder of the pid file may write it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    path: PathBuf,
    new_path: PathBuf,
}

impl Record {
    /// The file in this folder, whether or not it exists.
    #[must_use]
    pub fn in_folder(run_dir: &Path) -> Self {
        Self { path: run_dir.join(FILE), new_path: run_dir.join(NEW_FILE) }
    }

    /// Its path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The services that it lists, none if it does not exist. Logs lines that list none.
    ///
    /// # Errors
    /// The operating system's.
    pub fn read(&self) -> io::Result<BTreeSet<ServiceId>> {
        let mut text = Vec::new();
        match File::open(&self.path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(BTreeSet::new()),
            Err(error) => return Err(error),
            // One byte more shows that there is more than is read.
            Ok(file) => file.take(service_list::MAX_BYTES as u64 + 1).read_to_end(&mut text)?,
        };
        let path = self.path.display();
        if text.len() > service_list::MAX_BYTES {
            tracing::warn!(%path, bytes = service_list::MAX_BYTES, "the list is too long; its end is left out");
        }
        let (services, bad) = service_list::parse(&text);
        for line in bad.iter().take(LOGGED_LINES) {
            tracing::warn!("{path}: {line}");
        }
        if bad.len() > LOGGED_LINES {
            tracing::warn!(%path, count = bad.len() - LOGGED_LINES, "more lines that name no service");
        }
        Ok(services)
    }

    /// Lists these services from now on; none removes the file.
    ///
    /// # Errors
    /// The operating system's; then the file is as it was.
    pub fn write(&self, services: &BTreeSet<ServiceId>) -> io::Result<()> {
        if !services.is_empty() {
            fs::write(&self.new_path, service_list::render(services))?;
            return fs::rename(&self.new_path, &self.path);
        }
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }
}
