//! A Unix socket that gives whoever connects one snapshot and hangs up. It never reads.
//!
//! The owner of the state publishes a text whenever it changes; a thread of its own serves it. A reader that does
//! not read is dropped after [`WRITE_LIMIT`], so it costs other readers little and the daemon nothing.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// How long one reader may keep the thread waiting.
pub const WRITE_LIMIT: Duration = Duration::from_millis(500);

/// The publishing side; dropping it removes the socket's file.
#[derive(Debug)]
pub struct StatusSocket {
    path: PathBuf,
    latest: Arc<Mutex<Arc<str>>>,
}

impl StatusSocket {
    /// Listens at `path` with file mode `mode`, replacing what a crashed predecessor left there. Its folder is
    /// made when missing. Until the first [`StatusSocket::publish`] readers get nothing.
    ///
    /// # Errors
    /// The operating system's, when the socket or its thread cannot be made.
    pub fn listen(path: &Path, mode: u32) -> io::Result<Self> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(path)?;
        fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
        let latest: Arc<Mutex<Arc<str>>> = Arc::new(Mutex::new(Arc::from("")));
        let served = Arc::clone(&latest);
        thread::Builder::new().name("status".into()).spawn(move || serve(&listener, &served))?;
        Ok(Self { path: path.to_owned(), latest })
    }

    /// Replaces what readers get from now on.
    pub fn publish(&self, snapshot: String) {
        *self.latest.lock().unwrap_or_else(PoisonError::into_inner) = Arc::from(snapshot);
    }
}

impl Drop for StatusSocket {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

fn serve(listener: &UnixListener, latest: &Mutex<Arc<str>>) {
    for reader in listener.incoming() {
        let Ok(mut reader) = reader else {
            // Out of descriptors or memory: the next attempt must not become a busy loop.
            thread::sleep(WRITE_LIMIT);
            continue;
        };
        let snapshot = Arc::clone(&latest.lock().unwrap_or_else(PoisonError::into_inner));
        // A reader that went away or is too slow has nothing to complain about.
        let _ =
            reader.set_write_timeout(Some(WRITE_LIMIT)).and_then(|()| reader.write_all(snapshot.as_bytes()));
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::unix::net::UnixStream;

    use super::*;

    fn read(path: &Path) -> String {
        let mut text = String::new();
        UnixStream::connect(path).unwrap().read_to_string(&mut text).unwrap();
        text
    }

    #[test]
    fn every_reader_gets_the_latest_snapshot() {
        let path = std::env::temp_dir().join(format!("status-{}/x.sock", std::process::id()));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "left behind").unwrap();
        let socket = StatusSocket::listen(&path, 0o640).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
        socket.publish("first\n".into());
        assert_eq!(read(&path), "first\n");
        socket.publish("second\n".into());
        assert_eq!((read(&path), read(&path)), ("second\n".into(), "second\n".into()));
        drop(socket);
        assert!(!path.exists());
        fs::remove_dir(path.parent().unwrap()).unwrap();
    }
}
