//! A Unix socket that gives whoever connects one snapshot and hangs up. Nothing that is written to it is read.
//!
//! The owner of the state publishes a text whenever it changes; a thread of its own serves it, bounded as
//! [`crate::answering`] says.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use crate::answering::{Listener, Serving};

/// The publishing side; dropping it removes the socket's file.
#[derive(Debug)]
pub struct StatusSocket {
    latest: Arc<Mutex<Arc<[u8]>>>,
    _serving: Serving,
}

impl StatusSocket {
    /// Listens at `path` with file mode `mode`, as [`Listener::unix`] does. Until the first
    /// [`StatusSocket::publish`] readers get nothing.
    ///
    /// # Errors
    /// The operating system's, when the socket or its thread cannot be made.
    pub fn listen(path: &Path, mode: u32) -> io::Result<Self> {
        let latest: Arc<Mutex<Arc<[u8]>>> = Arc::new(Mutex::new(Arc::from([])));
        let served = Arc::clone(&latest);
        let answer = move |_: &[u8]| Some(Arc::clone(&served.lock().unwrap_or_else(PoisonError::into_inner)));
        let serving = Listener::unix(path, mode)?.serve("status", answer)?;
        Ok(Self { latest, _serving: serving })
    }

    /// Replaces what readers get from now on.
    pub fn publish(&self, snapshot: String) {
        *self.latest.lock().unwrap_or_else(PoisonError::into_inner) = Arc::from(snapshot.into_bytes());
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Read;
    use std::os::unix::fs::PermissionsExt;
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
