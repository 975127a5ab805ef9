//! A scripted real server: answers with its name, or hangs, resets, refuses, lies, dawdles, as it is told.
//!
//! It serves every port over TCP and UDP. On TCP a request is either one line, answered by one line
//! and the connection stays open for more, or an HTTP request, answered by a small HTTP response; either way the
//! answer names the server, so that a client sees who served it. Requests of the lab's own probes (they say
//! so) count as clients', all others as checks.

use std::{
    collections::BTreeMap,
    io::{self, BufRead as _, BufReader, Write as _},
    net::{IpAddr, Ipv6Addr, Shutdown, SocketAddr, TcpStream, UdpSocket},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result};
use socket2::{Domain, Socket, Type};

use crate::{host::Host, journal::locked};

/// The word in a request by which a probe of the lab makes itself known.
pub(crate) const PROBE_MARK: &str = "lab-probe";
/// Longest line of a request that is read; a longer one is answered all the same, in parts.
const LONGEST_LINE: usize = 8192;
/// Connections kept waiting in the kernel's queue.
const BACKLOG: i32 = 1024;
/// How long a connection may stay idle before it is closed.
const IDLE: Duration = Duration::from_secs(60);

/// What a real server does with a request.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Behaviour {
    /// Answers with its name.
    #[default]
    Answer,
    /// Answers with this text instead.
    Say(String),
    /// Answers HTTP requests with this status line (`500 Internal Server Error`), others with the text.
    Status(String),
    /// Answers with its name after a time.
    Slow(Duration),
    /// Speaks first, on accept, as mail and FTP servers do; then answers with its name.
    Greet(String),
    /// Accepts and never answers.
    Hang,
    /// Accepts and closes at once without a word.
    Close,
    /// Accepts and resets at once.
    Reset,
    /// Does not listen: the kernel refuses.
    Refuse,
    /// Says the same text whatever it is asked.
    Recite(Recital),
}

/// What [`Behaviour::Recite`] says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recital {
    /// The whole answer, byte for byte.
    pub text: Vec<u8>,
    /// Whether it is said on accept instead of after each request.
    pub speaks_first: bool,
}

/// What a real server has been asked so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// TCP connections accepted.
    pub connections: usize,
    /// Requests of the lab's probes.
    pub client_requests: usize,
    /// All other requests.
    pub checks: usize,
}

#[derive(Default)]
struct Script {
    behaviour: Mutex<BTreeMap<u16, Behaviour>>,
    connections: AtomicUsize,
    client_requests: AtomicUsize,
    checks: AtomicUsize,
    /// Connections accepted and not yet over, so that they can be broken.
    open: Mutex<BTreeMap<usize, TcpStream>>,
}

/// A port's open sockets.
struct Listening {
    tcp: Socket,
    udp: UdpSocket,
}

struct Inner {
    host: Host,
    ports: Vec<u16>,
    script: Arc<Script>,
    listening: Mutex<BTreeMap<u16, Listening>>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        for listening in std::mem::take(&mut *locked(&self.listening)).into_values() {
            listening.close();
        }
        for stream in locked(&self.script.open).values() {
            // A connection that is over already needs no closing.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Listening {
    /// Ends both threads of the port. Shutting a listening socket down wakes `accept` with an error.
    fn close(self) {
        let _ = self.tcp.shutdown(Shutdown::Both);
        // Linux wakes a reader even though it says that the socket is not connected.
        let _ = socket2::SockRef::from(&self.udp).shutdown(Shutdown::Both);
    }
}

/// A running real server; it ends when the last clone is dropped.
#[derive(Clone)]
pub struct RealServer(Arc<Inner>);

impl RealServer {
    pub(crate) fn start(host: &Host, ports: &[u16]) -> Result<Self> {
        let server = Self(Arc::new(Inner {
            host: host.clone(),
            ports: ports.to_vec(),
            script: Arc::default(),
            listening: Mutex::default(),
        }));
        for port in ports {
            server.listen(*port)?;
        }
        Ok(server)
    }

    /// The host it runs on, whose name it answers.
    pub fn host(&self) -> &Host {
        &self.0.host
    }

    /// Changes the behaviour on all ports. New connections meet it at once; open ones at their next request.
    ///
    /// # Errors
    /// When a port that was refused cannot be bound again.
    pub fn behave(&self, behaviour: &Behaviour) -> Result<()> {
        self.0.ports.iter().try_for_each(|port| self.behave_on(*port, behaviour.clone()))
    }

    /// Changes the behaviour on one port.
    ///
    /// # Errors
    /// As [`RealServer::behave`].
    pub fn behave_on(&self, port: u16, behaviour: Behaviour) -> Result<()> {
        self.0.host.note(format_args!("real server port {port}: {behaviour:?}"));
        let refuse = behaviour == Behaviour::Refuse;
        locked(&self.0.script.behaviour).insert(port, behaviour);
        if !refuse {
            return self.listen(port);
        }
        if let Some(listening) = locked(&self.0.listening).remove(&port) {
            listening.close();
        }
        Ok(())
    }

    /// What it has been asked so far.
    pub fn counts(&self) -> Counts {
        let script = &self.0.script;
        Counts {
            connections: script.connections.load(Ordering::Relaxed),
            client_requests: script.client_requests.load(Ordering::Relaxed),
            checks: script.checks.load(Ordering::Relaxed),
        }
    }

    /// Number of TCP connections open now.
    pub fn open_connections(&self) -> usize {
        locked(&self.0.script.open).len()
    }

    /// Breaks all open connections.
    pub fn break_connections(&self) {
        self.0.host.note("real server breaks its connections");
        for stream in locked(&self.0.script.open).values() {
            // One that is over already needs no breaking.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    fn listen(&self, port: u16) -> Result<()> {
        let mut all = locked(&self.0.listening);
        if all.contains_key(&port) {
            return Ok(());
        }
        let name: Arc<str> = Arc::from(self.0.host.name());
        let (tcp, udp) = self
            .0
            .host
            .enter(|| -> io::Result<_> {
                Ok((tcp_listener(port)?, UdpSocket::from(bound(port, Type::DGRAM)?)))
            })?
            .with_context(|| format!("listen on port {port} in {name}"))?;
        let (acceptor, receiver) = (tcp.try_clone()?, udp.try_clone()?);
        let (script, called) = (Arc::clone(&self.0.script), Arc::clone(&name));
        thread::Builder::new().name(format!("{name}:{port}")).spawn(move || {
            while let Ok((socket, _)) = acceptor.accept() {
                let (script, name) = (Arc::clone(&script), Arc::clone(&called));
                // A connection for which there is no thread is dropped, as by a server out of memory.
                let _ = thread::Builder::new()
                    .name(format!("{name}:{port} conn"))
                    .spawn(move || script.serve(&name, port, &socket.into()));
            }
        })?;
        let script = Arc::clone(&self.0.script);
        thread::Builder::new()
            .name(format!("{name}:{port}/udp"))
            .spawn(move || script.serve_udp(&name, port, &receiver))?;
        all.insert(port, Listening { tcp, udp });
        Ok(())
    }
}

/// A socket bound to a port of every address of both families, in the calling thread's network.
fn bound(port: u16, kind: Type) -> io::Result<Socket> {
    let socket = Socket::new(Domain::IPV6, kind, None)?;
    socket.set_only_v6(false)?;
    socket.set_reuse_address(true)?;
    socket.bind(&SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), port).into())?;
    Ok(socket)
}

fn tcp_listener(port: u16) -> io::Result<Socket> {
    let socket = bound(port, Type::STREAM)?;
    socket.listen(BACKLOG)?;
    Ok(socket)
}

impl Script {
    fn behaviour(&self, port: u16) -> Behaviour {
        locked(&self.behaviour).get(&port).cloned().unwrap_or_default()
    }

    fn count(&self, request: &str) {
        let counter = if request.contains(PROBE_MARK) { &self.client_requests } else { &self.checks };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// Serves one connection to its end.
    fn serve(&self, name: &str, port: u16, stream: &TcpStream) {
        let id = self.connections.fetch_add(1, Ordering::Relaxed);
        if let Ok(handle) = stream.try_clone() {
            locked(&self.open).insert(id, handle);
        }
        // The client's doing ends a connection with any error; that is not ours to judge.
        let _ = self.converse(name, port, stream);
        locked(&self.open).remove(&id);
    }

    fn converse(&self, name: &str, port: u16, mut stream: &TcpStream) -> io::Result<()> {
        stream.set_read_timeout(Some(IDLE))?;
        stream.set_write_timeout(Some(IDLE))?;
        stream.set_nodelay(true)?;
        match self.behaviour(port) {
            Behaviour::Reset => return socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO)),
            Behaviour::Close => return Ok(()),
            Behaviour::Greet(text) => stream.write_all(format!("{text}\r\n").as_bytes())?,
            Behaviour::Recite(recital) => return self.recite(&recital, stream),
            _ => {}
        }
        let mut reader = BufReader::new(stream);
        loop {
            let Some(line) = read_line(&mut reader)? else { return Ok(()) };
            let http = line.contains(" HTTP/");
            let stay = !http || wants_to_stay(&mut reader)?;
            self.count(&line);
            let mut status = "200 OK".to_owned();
            let mut text = name.to_owned();
            match self.behaviour(port) {
                Behaviour::Answer | Behaviour::Greet(_) | Behaviour::Refuse => {}
                Behaviour::Recite(recital) => return self.recite(&recital, stream),
                Behaviour::Say(other) => text = other,
                Behaviour::Status(line) if http => status = line,
                Behaviour::Status(line) => text = line,
                Behaviour::Slow(time) => thread::sleep(time),
                Behaviour::Hang => continue,
                Behaviour::Close => return Ok(()),
                Behaviour::Reset => return socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO)),
            }
            stream.write_all(answer(http, stay, &status, &text).as_bytes())?;
            if !stay {
                return Ok(());
            }
        }
    }

    /// Says its text after each piece of a request, however that ends, and closes after an HTTP request.
    fn recite(&self, recital: &Recital, mut stream: &TcpStream) -> io::Result<()> {
        let mut piece = [0; LONGEST_LINE];
        if recital.speaks_first {
            stream.write_all(&recital.text)?;
        }
        loop {
            let length = io::Read::read(&mut stream, &mut piece)?;
            let request = String::from_utf8_lossy(&piece[..length]);
            if length == 0 {
                return Ok(());
            }
            self.count(&request);
            if !recital.speaks_first {
                stream.write_all(&recital.text)?;
            }
            if request.contains(" HTTP/") {
                return Ok(());
            }
        }
    }

    fn serve_udp(&self, name: &str, port: u16, socket: &UdpSocket) {
        let mut buffer = [0; LONGEST_LINE];
        // A socket that was shut down reads nothing from nobody, or fails: then the port is closed.
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            if from.port() == 0 || from.ip().is_unspecified() {
                return;
            }
            self.count(&String::from_utf8_lossy(&buffer[..length]));
            let text = match self.behaviour(port) {
                Behaviour::Say(text) | Behaviour::Status(text) => text,
                Behaviour::Hang | Behaviour::Close | Behaviour::Reset => continue,
                Behaviour::Recite(recital) => {
                    // The asker may be gone.
                    let _ = socket.send_to(&recital.text, from);
                    continue;
                }
                Behaviour::Slow(time) => {
                    thread::sleep(time);
                    name.to_owned()
                }
                Behaviour::Answer | Behaviour::Greet(_) | Behaviour::Refuse => name.to_owned(),
            };
            // The asker may be gone.
            let _ = socket.send_to(format!("{text}\n").as_bytes(), from);
        }
    }
}

fn answer(http: bool, stay: bool, status: &str, text: &str) -> String {
    if !http {
        return format!("{text}\n");
    }
    let connection = if stay { "keep-alive" } else { "close" };
    let length = text.len() + 1;
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\nConnection: {connection}\r\n\r\n{text}\n"
    )
}

/// Reads the headers of an HTTP request: whether the connection shall stay open.
fn wants_to_stay(reader: &mut BufReader<&TcpStream>) -> io::Result<bool> {
    let mut stay = false;
    while let Some(header) = read_line(reader)?.filter(|header| !header.is_empty()) {
        stay |= header.eq_ignore_ascii_case("connection: keep-alive");
    }
    Ok(stay)
}

/// A line without its end; nothing at the end of the stream.
fn read_line(reader: &mut BufReader<&TcpStream>) -> io::Result<Option<String>> {
    let mut bytes = Vec::new();
    io::Read::take(&mut *reader, LONGEST_LINE as u64).read_until(b'\n', &mut bytes)?;
    if bytes.is_empty() {
        return Ok(None);
    }
    Ok(Some(String::from_utf8_lossy(&bytes).trim_end_matches(['\r', '\n']).to_owned()))
}
