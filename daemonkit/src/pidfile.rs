//! A pid file that is also a lock: only one process at a time can hold it, and a file that a crash left behind
//! locks nobody out.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

/// A held pid file; dropping it removes the file.
#[derive(Debug)]
pub struct PidFile {
    path: PathBuf,
    lock: Flock<File>,
}

/// Why a pid file could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum PidFileError {
    /// Another process holds it.
    #[error("{}: already running as process {pid}", path.display())]
    Held {
        /// The file.
        path: PathBuf,
        /// What the file says of its holder.
        pid: String,
    },
    /// It cannot be made, locked or written.
    #[error("{}: {reason}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why. Not a source of this error: chains of errors would say it twice.
        reason: io::Error,
    },
}

/// How often to begin anew when the file is removed while it is being taken.
const ATTEMPTS: usize = 10;

/// Whether `path` still names the file that was opened.
fn is_still(path: &Path, file: &File) -> io::Result<bool> {
    let opened = file.metadata()?;
    match std::fs::metadata(path) {
        Ok(named) => Ok((named.dev(), named.ino()) == (opened.dev(), opened.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

impl PidFile {
    /// Takes `path`, making its folder when missing, and writes this process's id into it.
    ///
    /// # Errors
    /// [`PidFileError::Held`] when another process holds it, [`PidFileError::Io`] otherwise.
    pub fn take(path: &Path) -> Result<Self, PidFileError> {
        let io_error = |reason| PidFileError::Io { path: path.to_owned(), reason };
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(io_error)?;
        }
        for _ in 0..ATTEMPTS {
            // Not truncated: until the lock is ours the content is somebody else's.
            let mut options = File::options();
            let file =
                options.create(true).truncate(false).read(true).write(true).open(path).map_err(io_error)?;
            let lock = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
                Ok(lock) => lock,
                Err((file, Errno::EWOULDBLOCK)) => {
                    let mut pid = String::new();
                    let _ = file.take(16).read_to_string(&mut pid);
                    return Err(PidFileError::Held { path: path.to_owned(), pid: pid.trim().to_owned() });
                }
                Err((_, errno)) => return Err(io_error(errno.into())),
            };
            // A holder that ended between our two steps has removed the file: what we locked locks nobody out.
            if is_still(path, &lock).map_err(io_error)? {
                let mut held = Self { path: path.to_owned(), lock };
                held.write_own_id()?;
                return Ok(held);
            }
        }
        Err(io_error(io::Error::other("it is removed again and again")))
    }

    /// Writes this process's id again: a daemon that takes its file before it forks has another one afterwards.
    ///
    /// # Errors
    /// [`PidFileError::Io`].
    pub fn write_own_id(&mut self) -> Result<(), PidFileError> {
        let written = self
            .lock
            .set_len(0)
            .and_then(|()| self.lock.rewind())
            .and_then(|()| writeln!(self.lock, "{}", std::process::id()));
        written.map_err(|reason| PidFileError::Io { path: self.path.clone(), reason })
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        // A file that stays behind is harmless: the lock goes with this process.
        let _ = std::fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_was_removed_meanwhile_is_not_taken_for_the_one_that_was_opened() {
        let path = std::env::temp_dir().join(format!("pidfile-removed-{}", std::process::id()));
        let opened = File::create(&path).unwrap();
        assert!(is_still(&path, &opened).unwrap());
        std::fs::remove_file(&path).unwrap();
        assert!(!is_still(&path, &opened).unwrap());
        std::fs::write(&path, "another").unwrap();
        assert!(!is_still(&path, &opened).unwrap());
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn a_second_holder_is_told_who_the_first_is() {
        let folder = std::env::temp_dir().join(format!("pidfile-{}", std::process::id()));
        let path = folder.join("run/test.pid");
        let mut first = PidFile::take(&path).unwrap();
        first.write_own_id().unwrap();
        let refused = PidFile::take(&path).unwrap_err().to_string();
        assert_eq!(refused, format!("{}: already running as process {}", path.display(), std::process::id()));
        drop(first);
        assert!(!path.exists());
        std::fs::write(&path, "99999\n").unwrap();
        drop(PidFile::take(&path).unwrap());
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_reason_is_said_once_in_a_chain_of_errors() {
        let error = PidFile::take(Path::new("/dev/null/test.pid")).unwrap_err();
        assert!(std::error::Error::source(&error).is_none());
        assert_eq!(error.to_string(), "/dev/null/test.pid: File exists (os error 17)");
    }
}
