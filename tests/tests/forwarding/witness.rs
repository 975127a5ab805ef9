//! A real server that tells what it saw, and its client.
//!
//! Over TCP and SCTP a request is a line with a number and so many octets; the answer is a line (who answers, the
//! client's address, the address at which it was reached) and as many octets. A datagram is answered by such a line
//! from the very address that it was sent to, as a server behind a VIP of its own has to.

use std::{
    io::{self, BufRead as _, BufReader, Read, Write},
    net::{SocketAddr, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use lab::Host;
use socket2::{Domain, Protocol, Socket, Type};

use crate::one_router::SOON;

/// How often a server's thread looks whether it is still wanted.
const LOOK: Duration = Duration::from_millis(100);
/// Connections kept waiting in the kernel's queue.
const BACKLOG: i32 = 16;
/// Octets that are written at once; more than a message of SCTP need not pass.
const PIECE: usize = 8192;
/// Longest datagram that is read.
const LONGEST_DATAGRAM: usize = 2048;

/// What carries the conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transport {
    Tcp,
    Sctp,
    Udp,
}

impl Transport {
    fn socket(self, of: SocketAddr) -> io::Result<Socket> {
        let (kind, protocol) = match self {
            Self::Tcp => (Type::STREAM, Protocol::TCP),
            Self::Sctp => (Type::STREAM, Protocol::SCTP),
            Self::Udp => (Type::DGRAM, Protocol::UDP),
        };
        Socket::new(Domain::for_address(of), kind, Some(protocol))
    }
}

/// What a client learned from an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    /// The name of the host that answered.
    pub(crate) server: String,
    /// The client's address and port, as the server saw it.
    pub(crate) client: SocketAddr,
    /// The address and port at which the server was reached.
    pub(crate) reached: SocketAddr,
}

impl Answer {
    fn line(&self) -> String {
        format!("{} {} {}\n", self.server, self.client, self.reached)
    }

    fn read(line: &str) -> Result<Self> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [server, client, reached] = words[..] else { anyhow::bail!("answer {line:?}") };
        Ok(Self { server: server.to_owned(), client: client.parse()?, reached: reached.parse()? })
    }
}

/// A running server; it ends soon after it is dropped.
pub(crate) struct Witness(Arc<AtomicBool>);

impl Drop for Witness {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Witness {
    /// Starts one on an address and port of a host.
    pub(crate) fn start(host: &Host, transport: Transport, at: SocketAddr) -> Result<Self> {
        let socket = host
            .enter(|| -> io::Result<Socket> {
                let socket = transport.socket(at)?;
                socket.set_reuse_address(true)?;
                socket.bind(&at.into())?;
                if transport != Transport::Udp {
                    socket.listen(BACKLOG)?;
                }
                socket.set_read_timeout(Some(LOOK))?;
                Ok(socket)
            })?
            .with_context(|| format!("{transport:?} {at} in {}", host.name()))?;
        let ended = Arc::new(AtomicBool::new(false));
        let (seen, name) = (Arc::clone(&ended), host.name().to_owned());
        thread::Builder::new().name(format!("{name} {at}")).spawn(move || match transport {
            Transport::Udp => answer_datagrams(&name, at, &socket.into(), &seen),
            Transport::Tcp | Transport::Sctp => accept(&name, &socket, &seen),
        })?;
        Ok(Self(ended))
    }
}

/// Serves one connection after the other.
fn accept(name: &str, socket: &Socket, ended: &AtomicBool) {
    while !ended.load(Ordering::Relaxed) {
        if let Ok((connection, _)) = socket.accept() {
            // What went wrong is the client's to tell.
            let _ = serve(name, &connection);
        }
    }
}

fn serve(name: &str, connection: &Socket) -> Result<()> {
    connection.set_read_timeout(Some(SOON))?;
    connection.set_write_timeout(Some(SOON))?;
    let address = |of: socket2::SockAddr| of.as_socket().context("an address of another family");
    let (client, reached) = (address(connection.peer_addr()?)?, address(connection.local_addr()?)?);
    let mut reader = BufReader::new(connection);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let octets: usize = line.trim_end().parse()?;
    read_octets(&mut reader, octets)?;
    let answer = Answer { server: name.to_owned(), client, reached };
    write_octets(connection, &answer.line(), octets)
}

fn answer_datagrams(name: &str, at: SocketAddr, socket: &UdpSocket, ended: &AtomicBool) {
    let mut buffer = [0; LONGEST_DATAGRAM];
    while !ended.load(Ordering::Relaxed) {
        if let Ok((_, client)) = socket.recv_from(&mut buffer) {
            let answer = Answer { server: name.to_owned(), client, reached: at };
            // The asker may be gone.
            let _ = socket.send_to(answer.line().as_bytes(), client);
        }
    }
}

/// One exchange on a connection of its own, with so many octets either way: the client's own address and the answer.
pub(crate) fn converse(
    client: &Host,
    transport: Transport,
    from: SocketAddr,
    to: SocketAddr,
    octets: usize,
) -> Result<(SocketAddr, Answer)> {
    let connect = || -> io::Result<Socket> {
        let socket = transport.socket(to)?;
        socket.bind(&from.into())?;
        socket.connect_timeout(&to.into(), SOON)?;
        Ok(socket)
    };
    let what = || format!("{transport:?} from {} to {to}", client.name());
    let connection = client.enter(connect)?.with_context(what)?;
    connection.set_read_timeout(Some(SOON))?;
    connection.set_write_timeout(Some(SOON))?;
    let own = connection.local_addr()?.as_socket().context("an address of another family")?;
    write_octets(&connection, &format!("{octets}\n"), octets).with_context(what)?;
    let mut reader = BufReader::new(&connection);
    let mut line = String::new();
    reader.read_line(&mut line).with_context(what)?;
    read_octets(&mut reader, octets).with_context(what)?;
    ensure!(reader.read(&mut [0])? == 0, "{} said more than it was asked for", what());
    Ok((own, Answer::read(&line)?))
}

/// One datagram from a socket of the client's, and the answer to it with the address that it came from.
pub(crate) fn ask(socket: &UdpSocket, to: SocketAddr) -> Result<(Answer, SocketAddr)> {
    socket.send_to(b"who is there", to)?;
    let mut buffer = [0; LONGEST_DATAGRAM];
    let (length, from) = socket.recv_from(&mut buffer).with_context(|| format!("answer from {to}"))?;
    Ok((Answer::read(&String::from_utf8_lossy(&buffer[..length]))?, from))
}

/// Octet number `n` of all that is sent: one that is lost, doubled or displaced is noticed.
fn octet(n: usize) -> u8 {
    u8::try_from(n % 251).unwrap_or(0)
}

fn write_octets(mut connection: &Socket, line: &str, octets: usize) -> Result<()> {
    let all: Vec<u8> = line.bytes().chain((0..octets).map(octet)).collect();
    for piece in all.chunks(PIECE) {
        connection.write_all(piece)?;
    }
    Ok(())
}

fn read_octets(reader: &mut impl Read, octets: usize) -> Result<()> {
    let mut all = vec![0; octets];
    reader.read_exact(&mut all).with_context(|| format!("read {octets} octets"))?;
    ensure!(all.iter().enumerate().all(|(n, read)| *read == octet(n)), "not the octets that were sent");
    Ok(())
}
