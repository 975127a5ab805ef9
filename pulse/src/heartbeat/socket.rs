//! The UDP sockets of the heartbeat paths: bound to our addresses, one receiving thread each.
//!
//! A datagram is passed on only if it comes from the other router, on whichever path, and is a heartbeat. It is read
//! and stamped on the receiving thread, so that a busy owner does not age it.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Sender, TrySendError};
use daemonkit::clock::Mono;
use socket2::{Domain, Protocol, Socket, Type};

use super::wire::{Heartbeat, MAX_LEN};

/// Longest wait for room in the queue of a link.
const SEND_LIMIT: Duration = Duration::from_millis(1);

/// One path between the routers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path {
    /// `public` or `private`.
    pub name: &'static str,
    /// Our end.
    pub local: IpAddr,
    /// The other router's end.
    pub remote: IpAddr,
}

/// Why a path cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot receive heartbeats on {address}, this router's end of the {path} path: {reason}")]
pub struct BindError {
    /// Its name.
    pub path: &'static str,
    /// Our address and port.
    pub address: SocketAddr,
    /// What the kernel said.
    pub reason: io::Error,
}

/// A heartbeat that came in.
#[derive(Debug, Clone, PartialEq)]
pub struct Received {
    /// Index of the path whose far end sent it.
    pub path: usize,
    /// What it says.
    pub heartbeat: Heartbeat,
    /// When it came in.
    pub at: Mono,
}

/// The sockets of all paths, in the order of the paths.
#[derive(Debug)]
pub struct Sockets {
    sockets: Vec<(UdpSocket, SocketAddr)>,
}

impl Sockets {
    /// Binds a socket to our end of each path.
    ///
    /// # Errors
    /// [`BindError`] for the first that cannot be bound.
    pub fn bind(paths: &[Path], port: u16) -> Result<Self, BindError> {
        let bind = |path: &Path| {
            let address = SocketAddr::new(path.local, port);
            let failed = |reason| BindError { path: path.name, address, reason };
            let socket = open(address).map_err(failed)?;
            // A link that takes nothing for a while must not keep heartbeats from the other path.
            socket.set_write_timeout(Some(SEND_LIMIT)).map_err(failed)?;
            Ok((socket, SocketAddr::new(path.remote, port)))
        };
        Ok(Self { sockets: paths.iter().map(bind).collect::<Result<_, _>>()? })
    }

    /// Starts the receiving threads.
    ///
    /// # Errors
    /// When a descriptor cannot be copied or a thread not be started.
    pub fn receive<M, F>(&self, paths: &[Path], to: &Sender<M>, to_message: F) -> io::Result<()>
    where
        M: Send + 'static,
        F: Fn(Received) -> M + Clone + Send + 'static,
    {
        for (socket, _) in &self.sockets {
            let socket = socket.try_clone()?;
            let remotes: Vec<IpAddr> = paths.iter().map(|path| path.remote).collect();
            let (to, to_message) = (to.clone(), to_message.clone());
            thread::Builder::new()
                .name("heartbeat".into())
                .spawn(move || receive(&socket, &remotes, &to, &to_message))?;
        }
        Ok(())
    }

    /// Sends `datagram` on every path. The result of each is returned in the order of the paths.
    #[must_use]
    pub fn send(&self, datagram: &[u8]) -> Vec<io::Result<()>> {
        self.sockets.iter().map(|(socket, to)| socket.send_to(datagram, to).map(|_| ())).collect()
    }
}

/// Opens a socket that is bound to `address` even while no interface has it: at boot the private link may come up after
/// us, and one path is better than none.
fn open(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    match address {
        SocketAddr::V4(_) => socket.set_freebind_v4(true)?,
        SocketAddr::V6(_) => socket.set_freebind_v6(true)?,
    }
    socket.bind(&address.into())?;
    Ok(socket.into())
}

fn receive<M>(socket: &UdpSocket, remotes: &[IpAddr], to: &Sender<M>, to_message: &dyn Fn(Received) -> M) {
    let mut datagram = [0; MAX_LEN];
    loop {
        let (length, from) = match socket.recv_from(&mut datagram) {
            Ok(received) => received,
            // Such as a port that is closed on the other side: the kernel reports it once, on the next call.
            Err(error) => {
                tracing::debug!(%error, "receiving heartbeats");
                continue;
            }
        };
        let Some(path) = remotes.iter().position(|remote| *remote == from.ip()) else {
            tracing::debug!(%from, "datagram of a stranger");
            continue;
        };
        match Heartbeat::parse(&datagram[..length]) {
            Ok(heartbeat) => {
                tracing::debug!(%from, word = ?heartbeat.word, "heartbeat received");
                let message = to_message(Received { path, heartbeat, at: Mono::now() });
                // A full channel means a flood; whoever sends it must not be able to exhaust our memory.
                if let Err(TrySendError::Disconnected(_)) = to.try_send(message) {
                    return;
                }
            }
            Err(error) => tracing::debug!(%from, %error, "datagram is no heartbeat"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sending_never_waits_for_a_link() {
        let loopback = IpAddr::from([127, 0, 0, 1]);
        let paths = [Path { name: "public", local: loopback, remote: loopback }];
        let sockets = Sockets::bind(&paths, 0).unwrap();
        let limit = sockets.sockets[0].0.write_timeout().unwrap().unwrap();
        assert!(limit < Duration::from_millis(20), "{limit:?}");
    }

    #[test]
    fn a_path_whose_address_is_not_here_yet_is_bound_all_the_same() {
        for ends in ["198.51.100.1 198.51.100.2", "2001:db8::1 2001:db8::2"] {
            let (local, remote) = ends.split_once(' ').unwrap();
            let (local, remote) = (local.parse().unwrap(), remote.parse().unwrap());
            let sockets = Sockets::bind(&[Path { name: "private", local, remote }], 0).unwrap();
            assert_eq!(sockets.sockets[0].0.local_addr().unwrap().ip(), local);
        }
    }

    #[test]
    fn a_path_whose_port_is_taken_is_named() {
        let loopback = IpAddr::from([127, 0, 0, 1]);
        let paths = [Path { name: "private", local: loopback, remote: loopback }];
        let first = Sockets::bind(&paths, 0).unwrap();
        let port = first.sockets[0].0.local_addr().unwrap().port();
        assert_eq!(
            Sockets::bind(&paths, port).unwrap_err().to_string(),
            format!(
                "cannot receive heartbeats on 127.0.0.1:{port}, this router's end of the private path: \
                 Address already in use (os error 98)"
            )
        );
    }
}
