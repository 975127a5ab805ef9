//! A process under the confinement of a nanny that tries what it should not be able to do, and prints a line
//! `ATTEMPT=OUTCOME` for each: `done`, or the name of the error.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitCode, Stdio};

use nanny::args::{Invocation, parse};
use nanny::confine::policy::Policy;
use nanny::confine::{Confinement, files, syscalls};
use nanny::settings::Settings;
use nix::errno::Errno;
use nix::libc;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, Uid, getpid, setuid};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

/// `LAYERS OTHER_PORT OPTION...`: the layers of the confinement, a port of this machine that is not the check's, and the
/// options of a nanny.
pub(crate) fn run(mut words: impl Iterator<Item = String>) -> ExitCode {
    let (layers, other_port) = (words.next().unwrap(), words.next().unwrap().parse().unwrap());
    let settings = match parse(words.map(OsString::from)) {
        Ok(Invocation::Run(args)) => Settings::resolve(&args).unwrap(),
        other => panic!("{other:?}"),
    };
    // What it may signal otherwise, being the same user: its own child, which is outside of what follows.
    // It ends when this process does, because its standard input ends then.
    let mut other = Command::new("/bin/cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    confine(&layers, &Policy::of(&settings, false));
    attempts(&settings, other_port, &other);
    // If this works, the program prints the outcome.
    let refusal = Command::new("/bin/echo").arg("become a program=done").exec();
    put("become a program", Err::<(), _>(refusal));
    drop(other.stdin.take());
    // Refused, where there is a filter.
    let _ = other.wait();
    ExitCode::SUCCESS
}

fn confine(layers: &str, policy: &Policy) {
    let mut missing = Vec::new();
    let confinement = Confinement::begin(policy).unwrap();
    match layers {
        "landlock" => println!("landlock={}", files::restrict(policy, &mut missing).unwrap()),
        "seccomp" => println!("seccomp={}", syscalls::restrict(policy, &mut missing)),
        _ => {
            let confined = confinement.finish().unwrap();
            println!("landlock={}\nseccomp={}", confined.landlock, confined.syscalls);
            println!("capabilities={:#x}", confined.capabilities);
            missing = confined.missing;
        }
    }
    println!("missing={}", missing.join(", "));
}

fn attempts(settings: &Settings, other_port: u16, other: &Child) {
    let socket = |family: i32, kind: Type, protocol: i32| {
        Socket::new(Domain::from(family), kind, Some(Protocol::from(protocol)))
    };
    put("tcp socket", socket(libc::AF_INET, Type::STREAM, libc::IPPROTO_TCP));
    put("udp socket", socket(libc::AF_INET, Type::DGRAM, libc::IPPROTO_UDP));
    put("sctp socket", socket(libc::AF_INET, Type::STREAM, libc::IPPROTO_SCTP));
    put("ipv6 socket", socket(libc::AF_INET6, Type::STREAM, libc::IPPROTO_TCP));
    put("raw socket", socket(libc::AF_INET, Type::RAW, libc::IPPROTO_ICMP));
    put("ping socket", socket(libc::AF_INET, Type::DGRAM, libc::IPPROTO_ICMP));
    put("unix socket", socket(libc::AF_UNIX, Type::DGRAM, 0));
    put("netlink socket", socket(libc::AF_NETLINK, Type::RAW, libc::NETLINK_ROUTE));
    put("generic netlink socket", socket(libc::AF_NETLINK, Type::RAW, libc::NETLINK_GENERIC));
    put("packet socket", socket(libc::AF_PACKET, Type::RAW, 0));
    put("connect to the server", connect(settings.target));
    put("connect elsewhere", connect(SocketAddr::new(settings.target.ip(), other_port)));
    put("listen", TcpListener::bind("127.0.0.1:0"));
    put("read a file", File::open("/etc/passwd"));
    let path = std::env::temp_dir().join(format!("intruder-{}", std::process::id()));
    put("write a file", File::create(&path));
    // It is there only if the line above says so.
    let _ = std::fs::remove_file(path);
    put("list a folder", std::fs::read_dir("/"));
    let pid = Pid::from_raw(i32::try_from(other.id()).unwrap());
    put("signal another", kill(pid, Signal::SIGCONT).map_err(io::Error::from));
    put("signal itself", kill(getpid(), Signal::SIGCONT).map_err(io::Error::from));
    put("start a program", Command::new("/bin/true").stdin(Stdio::inherit()).status());
    let (_, hard) = getrlimit(Resource::RLIMIT_CORE).unwrap_or((0, 0));
    let raised = setrlimit(Resource::RLIMIT_CORE, hard.saturating_add(1), hard.saturating_add(1));
    put("raise a limit", raised.map_err(io::Error::from));
    put("become another", setuid(Uid::from_raw(1)).map_err(io::Error::from));
}

fn connect(to: SocketAddr) -> io::Result<()> {
    let socket = Socket::new(Domain::for_address(to), Type::STREAM, Some(Protocol::TCP))?;
    socket.connect(&SockAddr::from(to))
}

fn put<T>(attempt: &str, outcome: io::Result<T>) {
    match outcome {
        Ok(_) => println!("{attempt}=done"),
        Err(error) => {
            println!("{attempt}={:?}", error.raw_os_error().map_or(Errno::UnknownErrno, Errno::from_raw));
        }
    }
}
