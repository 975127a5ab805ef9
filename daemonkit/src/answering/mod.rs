//! A listening socket on which few, short and mutually distrustful clients are answered, one answer each.
//!
//! One thread holds all connections and waits for none of them: a client that does not read, does not write, or
//! never ends its request costs the others nothing. There are at most [`MOST`] connections; one more closes the
//! oldest. None lives longer than [`LIFETIME`], and no more than [`LONGEST_REQUEST`] bytes of it are kept. What is
//! said is decided by a function of what was heard; see [`crate::status_socket`] and [`crate::http`].

mod client;

use std::collections::VecDeque;
use std::fs;
use std::io::{self, ErrorKind, PipeReader, PipeWriter};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{Shutdown, shutdown};
use nix::unistd::{Group, chown};

use crate::clock::Mono;

use client::{Client, Stream};

/// Most connections at a time.
pub const MOST: usize = 32;
/// Longest life of a connection; the usual patience of whoever collects metrics.
pub const LIFETIME: Duration = Duration::from_secs(10);
/// Bytes of a request that are kept; what comes after them is read and dropped.
pub const LONGEST_REQUEST: usize = 8192;
/// Pause when no connection can be accepted, as without descriptors: the next attempt must not be a busy loop.
const OUT_OF_DESCRIPTORS: Duration = Duration::from_millis(100);

/// The group whose members may ask too, where there is such a group.
pub const READERS: &str = "lvs";

/// A socket that listens and that nobody serves yet; clients wait.
#[derive(Debug)]
pub struct Listener {
    socket: Socket,
    path: Option<SocketPath>,
}

#[derive(Debug)]
enum Socket {
    Unix(UnixListener),
    Tcp(TcpListener),
}

/// The file of a Unix socket; dropping it removes the file.
#[derive(Debug)]
struct SocketPath(PathBuf);

impl Drop for SocketPath {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// Without that group, or the right to give it the file, the file stays with the group of this process.
fn give_to_readers(path: &Path) {
    if let Ok(Some(group)) = Group::from_name(READERS) {
        let _ = chown(path, None, Some(group.gid));
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Unix(listener) => listener.as_fd(),
            Self::Tcp(listener) => listener.as_fd(),
        }
    }
}

/// A socket that is served; dropping it ends that. Its port is free at once, even while the thread makes an answer.
#[derive(Debug)]
pub struct Serving {
    _path: Option<SocketPath>,
    /// The thread ends when the other end of this pipe does.
    _alive: PipeWriter,
    _listening: Listening,
}

/// A socket that listens; dropping it ends that, whoever else holds the socket.
#[derive(Debug)]
struct Listening(Arc<Socket>);

impl Drop for Listening {
    fn drop(&mut self) {
        // It listens, so this cannot fail; and nothing would be lost but time.
        let _ = shutdown(self.0.as_fd().as_raw_fd(), Shutdown::Read);
    }
}

impl Listener {
    /// Listens at `path` with file mode `mode`, replacing what a crashed predecessor left there. Its folder is made
    /// when missing. The file belongs to the group [`READERS`], where there is one and this process may give it away.
    ///
    /// # Errors
    /// The operating system's.
    pub fn unix(path: &Path, mode: u32) -> io::Result<Self> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        match fs::remove_file(path) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(path)?;
        let path = SocketPath(path.to_owned());
        fs::set_permissions(&path.0, fs::Permissions::from_mode(mode))?;
        give_to_readers(&path.0);
        listener.set_nonblocking(true)?;
        Ok(Self { socket: Socket::Unix(listener), path: Some(path) })
    }

    /// Listens at a TCP address and port.
    ///
    /// # Errors
    /// The operating system's.
    pub fn tcp(address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        Ok(Self { socket: Socket::Tcp(listener), path: None })
    }

    /// Where a TCP listener listens, with the port that it got.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        match &self.socket {
            Socket::Tcp(listener) => listener.local_addr().ok(),
            Socket::Unix(_) => None,
        }
    }

    /// Starts the thread `name`. Whenever more of a connection's request has arrived, `answer` is asked with all of
    /// it, at first with nothing; its answer is sent and the connection closed. `None` waits for more.
    ///
    /// # Errors
    /// The operating system's, when the thread or its pipe cannot be made.
    pub fn serve<A>(self, name: &str, answer: A) -> io::Result<Serving>
    where
        A: FnMut(&[u8]) -> Option<Arc<[u8]>> + Send + 'static,
    {
        let (ended, alive) = io::pipe()?;
        let socket = Arc::new(self.socket);
        let listening = Listening(Arc::clone(&socket));
        thread::Builder::new().name(name.to_owned()).spawn(move || run(&socket, &ended, answer))?;
        Ok(Serving { _path: self.path, _alive: alive, _listening: listening })
    }
}

fn run(socket: &Socket, ended: &PipeReader, mut answer: impl FnMut(&[u8]) -> Option<Arc<[u8]>>) {
    let mut clients: VecDeque<Client> = VecDeque::new();
    loop {
        let mut waiting = vec![
            PollFd::new(ended.as_fd(), PollFlags::POLLIN),
            PollFd::new(socket.as_fd(), PollFlags::POLLIN),
        ];
        waiting.extend(clients.iter().map(|client| PollFd::new(client.as_fd(), client.awaited())));
        match poll(&mut waiting, patience(&clients)) {
            Ok(_) | Err(Errno::EINTR) => {}
            // Only a defect can make the wait fail; without it nobody could be answered any more.
            Err(_) => return,
        }
        let is_ready = |waiting: &PollFd| waiting.any().unwrap_or(true);
        if is_ready(&waiting[0]) {
            return;
        }
        let newcomers = is_ready(&waiting[1]);
        let ready: Vec<bool> = waiting[2..].iter().map(is_ready).collect();
        for (client, _) in clients.iter_mut().zip(ready).filter(|(_, ready)| *ready) {
            client.go_on(&mut answer);
        }
        if newcomers {
            accept(socket, &mut clients, &mut answer);
        }
        let now = Mono::now();
        clients.retain(|client| !client.is_over(now));
    }
}

/// The longest time to wait for anything.
fn patience(clients: &VecDeque<Client>) -> PollTimeout {
    let Some(first) = clients.iter().map(Client::until).min() else { return PollTimeout::NONE };
    let millis = first.since(Mono::now()).as_millis() + 1;
    PollTimeout::try_from(millis).unwrap_or(PollTimeout::MAX)
}

/// Takes the clients that have come, few enough that those already here are not kept waiting.
fn accept(
    socket: &Socket,
    clients: &mut VecDeque<Client>,
    answer: &mut impl FnMut(&[u8]) -> Option<Arc<[u8]>>,
) {
    for _ in 0..MOST / 4 {
        let accepted = match socket {
            Socket::Unix(listener) => listener.accept().map(|(stream, _)| Stream::Unix(stream)),
            Socket::Tcp(listener) => listener.accept().map(|(stream, _)| Stream::Tcp(stream)),
        };
        let stream = match accepted {
            Ok(stream) => stream,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return,
            Err(error) if error.kind() == ErrorKind::ConnectionAborted => continue,
            Err(_) => return thread::sleep(OUT_OF_DESCRIPTORS),
        };
        if stream.set_nonblocking().is_err() {
            continue;
        }
        let client = Client::new(stream, answer);
        if client.is_over(Mono::now()) {
            continue;
        }
        if clients.len() >= MOST {
            clients.pop_front();
        }
        clients.push_back(client);
    }
}
