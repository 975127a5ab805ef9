//! A Unix socket on which whoever may asks for something: one line in, one line out, and the connection ends.
//!
//! ```text
//! thread "control" ── accepts ──> thread "asked", one per client ── Request ──> owner
//!                                         ^──────── ControlSocket::reply(id, line) ──┘
//! ```
//!
//! Only root and this process's own user may ask; the socket's mode says so, and the kernel's word about the other end
//! is checked besides. A client has [`READ_LIMIT`] for its line, its answer takes [`ANSWER_LIMIT`] at most, and no more
//! than [`MOST_CLIENTS`] are served at once, so a client costs the owner one message and others nothing. Who is one too
//! many is told so after its line has been read: a client whose writing fails may never look for an answer. What lines
//! mean is not decided here; what is refused here is told in a line that the owner words.

use std::collections::HashMap;
use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Sender, bounded};
use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use nix::unistd::{Uid, User};

use crate::clock::Mono;

/// How long a client may take to send its line.
pub const READ_LIMIT: Duration = Duration::from_secs(2);
/// How long an answer may take.
pub const ANSWER_LIMIT: Duration = Duration::from_secs(60);
/// How long a client may keep a part of its answer waiting.
pub const WRITE_LIMIT: Duration = Duration::from_secs(5);
/// Most clients at once, and most that are being sent away.
pub const MOST_CLIENTS: usize = 16;
/// The socket is for its owner.
const MODE: u32 = 0o600;
/// How long the owner may leave a full channel to itself.
const HAND_OVER_LIMIT: Duration = Duration::from_secs(2);

/// Who asks, as the kernel knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Name of the user, or its number where it has none.
    pub user: String,
    /// As whom it logged in before it became that user, where the kernel keeps account of that (`CONFIG_AUDIT`,
    /// `pam_loginuid`) and it is somebody else.
    pub login: Option<String>,
    /// Process id.
    pub pid: i32,
}

impl std::fmt::Display for Caller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let login = self.login.as_ref().map_or_else(String::new, |login| format!("login {login}, "));
        write!(f, "{} ({login}process {})", self.user, self.pid)
    }
}

/// A line that came in, to be answered with [`ControlSocket::reply`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Names the answer.
    pub id: u64,
    /// The line, without its newline.
    pub line: String,
    /// Who sent it.
    pub caller: Caller,
}

/// Why a client gets no answer of the owner's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is neither root nor the user of this process.
    #[error("only root may ask")]
    NotAllowed,
    /// There are [`MOST_CLIENTS`] already.
    #[error("too many requests at once; try again")]
    TooMany,
    /// No line that fits came in time.
    #[error("no request of one line, bounded in length and time")]
    NoRequest,
    /// The owner did not answer in time; what was asked for may be done yet.
    #[error("no answer in time; look at the status")]
    NoAnswer,
}

/// What all threads share.
#[derive(Debug, Default)]
struct Shared {
    waiting: Mutex<HashMap<u64, Sender<String>>>,
    last_id: AtomicU64,
}

impl Shared {
    fn waiting(&self) -> MutexGuard<'_, HashMap<u64, Sender<String>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The answering side; dropping it removes the socket's file.
#[derive(Debug)]
pub struct ControlSocket {
    path: PathBuf,
    shared: Arc<Shared>,
}

impl ControlSocket {
    /// Listens at `path`, replacing what a crashed predecessor left there; its folder is made when missing. Each line of
    /// at most `longest` bytes goes to `to` as `to_message(request)`; a client that is refused here gets
    /// `in_words(refusal)`.
    ///
    /// # Errors
    /// The operating system's, when the socket or its thread cannot be made.
    pub fn listen<M, F>(
        path: &Path,
        longest: usize,
        in_words: fn(Refusal) -> String,
        to: Sender<M>,
        to_message: F,
    ) -> io::Result<Self>
    where
        M: Send + 'static,
        F: Fn(Request) -> M + Send + Sync + 'static,
    {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(path)?;
        fs::set_permissions(path, fs::Permissions::from_mode(MODE))?;
        let shared = Arc::new(Shared::default());
        let hand_over = move |request| to.send_timeout(to_message(request), HAND_OVER_LIMIT).is_ok();
        let serving = Arc::new(Serving { shared: Arc::clone(&shared), longest, in_words, hand_over });
        thread::Builder::new().name("control".into()).spawn(move || serve(&listener, &serving))?;
        Ok(Self { path: path.to_owned(), shared })
    }

    /// Answers the request `id` with `line`, which ends with its newline. A client that has gone is no error.
    pub fn reply(&self, id: u64, line: String) {
        if let Some(client) = self.shared.waiting().remove(&id) {
            // Room for one answer, and there is one.
            let _ = client.try_send(line);
        }
    }
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// How clients are served.
struct Serving<H> {
    shared: Arc<Shared>,
    longest: usize,
    in_words: fn(Refusal) -> String,
    hand_over: H,
}

fn serve<H>(listener: &UnixListener, serving: &Arc<Serving<H>>)
where
    H: Fn(Request) -> bool + Send + Sync + 'static,
{
    // Each client's thread holds one more of one of them.
    let (served, sent_away) = (Arc::new(()), Arc::new(()));
    let full = |held: &Arc<()>| Arc::strong_count(held) > MOST_CLIENTS;
    for client in listener.incoming() {
        let Ok(mut client) = client else {
            // Out of descriptors or memory: the next attempt must not become a busy loop.
            thread::sleep(READ_LIMIT);
            continue;
        };
        let too_many = full(&served);
        if too_many && full(&sent_away) {
            // Nobody is left to wait for its line.
            write(&mut client, &(serving.in_words)(Refusal::TooMany));
            continue;
        }
        let held = Arc::clone(if too_many { &sent_away } else { &served });
        let serving = Arc::clone(serving);
        let asked = move || {
            let answer = if too_many { serving.send_away(&mut client) } else { serving.answer(&mut client) };
            write(&mut client, &answer.unwrap_or_else(serving.in_words));
            drop(held);
        };
        // Without a thread the client sees the connection end.
        let _ = thread::Builder::new().name("asked".into()).spawn(asked);
    }
}

impl<H: Fn(Request) -> bool> Serving<H> {
    fn answer(&self, client: &mut UnixStream) -> Result<String, Refusal> {
        let caller = caller(client)?;
        let line = read_line(client, self.longest)?;
        let id = self.shared.last_id.fetch_add(1, Ordering::Relaxed);
        let (to_client, from_owner) = bounded(1);
        self.shared.waiting().insert(id, to_client);
        let answer = match (self.hand_over)(Request { id, line, caller }) {
            true => from_owner.recv_timeout(ANSWER_LIMIT).ok(),
            false => None,
        };
        self.shared.waiting().remove(&id);
        answer.ok_or(Refusal::NoAnswer)
    }

    /// Takes the line of a client that is one too many, and leaves it at that.
    fn send_away(&self, client: &mut UnixStream) -> Result<String, Refusal> {
        read_line(client, self.longest)?;
        Err(Refusal::TooMany)
    }
}

fn caller(client: &UnixStream) -> Result<Caller, Refusal> {
    let known = getsockopt(client, PeerCredentials).map_err(|_| Refusal::NotAllowed)?;
    let uid = Uid::from_raw(known.uid());
    if !uid.is_root() && uid != Uid::effective() {
        return Err(Refusal::NotAllowed);
    }
    let login = fs::read_to_string(format!("/proc/{}/loginuid", known.pid())).ok();
    let login = login.and_then(|text| login_uid(&text)).filter(|login| *login != uid);
    Ok(Caller { user: name_of(uid), login: login.map(name_of), pid: known.pid() })
}

fn name_of(uid: Uid) -> String {
    User::from_uid(uid).ok().flatten().map_or_else(|| uid.to_string(), |user| user.name)
}

/// What `/proc/PID/loginuid` says; the greatest number stands for nobody (`include/linux/uidgid.h`: `INVALID_UID`).
fn login_uid(text: &str) -> Option<Uid> {
    text.trim_end().parse().ok().filter(|uid| *uid != u32::MAX).map(Uid::from_raw)
}

/// Reads up to a newline, or the end of what is sent.
fn read_line(client: &mut UnixStream, longest: usize) -> Result<String, Refusal> {
    let deadline = Mono::now() + READ_LIMIT;
    let mut line = Vec::new();
    let mut chunk = [0; 1024];
    loop {
        // A limit of nothing would mean none.
        let left = deadline.since(Mono::now()).max(Duration::from_millis(1));
        client.set_read_timeout(Some(left)).map_err(|_| Refusal::NoRequest)?;
        let count = match client.read(&mut chunk) {
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => return Err(Refusal::NoRequest),
        };
        line.extend_from_slice(&chunk[..count]);
        let end = line.iter().position(|byte| *byte == b'\n');
        if end.map_or(line.len(), |end| end + 1) > longest || Mono::now() >= deadline {
            return Err(Refusal::NoRequest);
        }
        match end {
            Some(end) => line.truncate(end),
            None if count > 0 => continue,
            None if line.is_empty() => return Err(Refusal::NoRequest),
            None => {}
        }
        return String::from_utf8(line).map_err(|_| Refusal::NoRequest);
    }
}

fn write(client: &mut UnixStream, line: &str) {
    // A client that went away or is too slow has nothing to complain about.
    let _ = client.set_write_timeout(Some(WRITE_LIMIT)).and_then(|()| client.write_all(line.as_bytes()));
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader};

    use crossbeam_channel::{Receiver, unbounded};

    use super::*;

    struct World {
        path: PathBuf,
        requests: Receiver<Request>,
        socket: Option<ControlSocket>,
    }

    impl World {
        fn new(name: &str) -> Self {
            let path =
                std::env::temp_dir().join(format!("control-{name}-{}", std::process::id())).join("x.sock");
            let (to, requests) = unbounded();
            let in_words = |refusal: Refusal| format!("refused: {refusal}\n");
            let socket = ControlSocket::listen(&path, 64, in_words, to, |request| request).unwrap();
            Self { path, requests, socket: Some(socket) }
        }

        fn send(&self, bytes: &[u8]) -> UnixStream {
            let mut client = UnixStream::connect(&self.path).unwrap();
            client.write_all(bytes).unwrap();
            client
        }

        fn next(&self) -> Request {
            self.requests.recv_timeout(Duration::from_secs(10)).unwrap()
        }
    }

    impl Drop for World {
        fn drop(&mut self) {
            drop(self.socket.take());
            assert!(!self.path.exists());
            fs::remove_dir(self.path.parent().unwrap()).unwrap();
        }
    }

    fn answer(client: UnixStream) -> String {
        let mut line = String::new();
        BufReader::new(client).read_line(&mut line).unwrap();
        line
    }

    #[test]
    fn a_caller_is_told_with_its_login_where_there_was_one() {
        assert_eq!(login_uid("1000\n"), Some(Uid::from_raw(1000)));
        assert_eq!(login_uid("0"), Some(Uid::from_raw(0)));
        for none in ["4294967295", "4294967296", "-1", "", "root"] {
            assert_eq!(login_uid(none), None, "{none:?}");
        }
        let caller = |login: Option<&str>| {
            Caller { user: "root".into(), login: login.map(str::to_owned), pid: 4711 }.to_string()
        };
        assert_eq!(caller(Some("alice")), "root (login alice, process 4711)");
        assert_eq!(caller(None), "root (process 4711)");
    }

    #[test]
    fn each_client_gets_the_answer_to_its_own_line_and_is_known() {
        let world = World::new("two");
        let mode = fs::metadata(&world.path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600);
        let first = world.send(b"one\n");
        let one = world.next();
        // The end of what is sent ends a line too.
        let second = world.send(b"two");
        second.shutdown(std::net::Shutdown::Write).unwrap();
        let two = world.next();
        assert_eq!((one.line.as_str(), two.line.as_str()), ("one", "two"));
        assert_eq!(one.caller.pid, i32::try_from(std::process::id()).unwrap());
        assert!(!one.caller.user.is_empty());
        let socket = world.socket.as_ref().unwrap();
        socket.reply(two.id, "2\n".into());
        socket.reply(one.id, "1\n".into());
        socket.reply(99, "nobody asked\n".into());
        assert_eq!((answer(first), answer(second)), ("1\n".into(), "2\n".into()));
    }

    #[test]
    fn a_line_that_is_too_long_missing_or_no_text_never_reaches_the_owner() {
        let world = World::new("odd");
        let refused = "refused: no request of one line, bounded in length and time\n";
        for bytes in [&[b'x'; 64][..], &[b'x'; 65][..], b"\xff\n"] {
            let client = world.send(bytes);
            let _ = client.shutdown(std::net::Shutdown::Write);
            if bytes.len() == 64 {
                // The longest that fits, without its newline.
                assert_eq!(world.next().line.len(), 64);
                continue;
            }
            assert_eq!(answer(client), refused);
        }
        let silent = world.send(b"");
        assert_eq!(answer(silent), refused);
        assert!(world.requests.try_recv().is_err());
    }

    #[test]
    fn one_client_too_many_is_sent_away() {
        let world = World::new("many");
        let clients: Vec<UnixStream> = (0..MOST_CLIENTS).map(|_| world.send(b"wait\n")).collect();
        let waiting: Vec<Request> = clients.iter().map(|_| world.next()).collect();
        let refused = "refused: too many requests at once; try again\n";
        assert_eq!(answer(world.send(b"more\n")), refused);
        // Not before its line is read, so that the writing of it does not fail.
        let mut hesitant = world.send(b"");
        hesitant.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        let early = hesitant.read(&mut [0; 1]).unwrap_err();
        assert_eq!(early.kind(), io::ErrorKind::WouldBlock);
        hesitant.set_read_timeout(None).unwrap();
        hesitant.write_all(b"more\n").unwrap();
        assert_eq!(answer(hesitant), refused);
        for request in waiting {
            world.socket.as_ref().unwrap().reply(request.id, "done\n".into());
        }
        for client in clients {
            assert_eq!(answer(client), "done\n");
        }
    }
}
