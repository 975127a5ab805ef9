//! A service manager for tests: listens at a socket of its own and keeps what a service tells it.

use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a service may take to say something; patience with a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// The manager; dropping it removes the socket's file.
#[derive(Debug)]
pub struct FakeManager {
    socket: UnixDatagram,
    path: PathBuf,
}

impl FakeManager {
    /// Listens at `path`, where nothing may be.
    ///
    /// # Errors
    /// Those of the system calls.
    pub fn listen(path: &Path) -> io::Result<Self> {
        let socket = UnixDatagram::bind(path)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { socket, path: path.to_owned() })
    }

    /// Where it listens.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The next datagram.
    ///
    /// # Errors
    /// When none comes, or it is no text.
    pub fn hear(&self) -> io::Result<String> {
        let mut datagram = [0; 1024];
        let length = self.socket.recv(&mut datagram)?;
        String::from_utf8(datagram[..length].to_vec()).map_err(io::Error::other)
    }

    /// What has come and was not heard yet.
    ///
    /// # Errors
    /// As [`FakeManager::hear`].
    pub fn waiting(&self) -> io::Result<Vec<String>> {
        self.socket.set_nonblocking(true)?;
        let mut texts = Vec::new();
        let ended = loop {
            match self.hear() {
                Ok(text) => texts.push(text),
                Err(error) => break error,
            }
        };
        self.socket.set_nonblocking(false)?;
        if ended.kind() == io::ErrorKind::WouldBlock { Ok(texts) } else { Err(ended) }
    }

    /// The datagrams up to `last`, each by its first line. Those for people and the signs of life are left out, but for
    /// `last` itself.
    ///
    /// # Errors
    /// When `last` does not come.
    pub fn up_to(&self, last: &str) -> io::Result<Vec<String>> {
        let mut heard = Vec::new();
        loop {
            let text = self.hear()?;
            let line = text.lines().next().unwrap_or_default();
            if line == last || !(line.starts_with("STATUS=") || line == "WATCHDOG=1") {
                heard.push(line.to_owned());
            }
            if line == last {
                return Ok(heard);
            }
        }
    }
}

impl Drop for FakeManager {
    fn drop(&mut self) {
        // A file that is left behind in a folder for tests harms nobody.
        let _ = std::fs::remove_file(&self.path);
    }
}
