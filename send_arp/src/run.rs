//! Carries a [`Command`] out: looks at the host, opens links, drops privileges, keeps the schedule, tells the user.

use std::fmt::Display;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs};

use anyhow::{Context, Result, bail, ensure};
use crossbeam_channel::{Receiver, RecvTimeoutError};
use daemonkit::clock::Mono;
use daemonkit::{children, exit, privilege, signals};
use nix::sys::signal::Signal;
use send_arp::announcement;
use send_arp::args::{Announce, Command, HELP, Original};
use send_arp::list::{self, Entry};
use send_arp::outlet::Outlet;
use send_arp::plan::{self, Batch};
use send_arp::schedule::{Round, Schedule};
use send_arp::socket::{Interfaces, Link, LinkError, Sink};

/// Does what the command line asks for and returns the exit status.
///
/// # Errors
/// When nothing could be done at all. What fails for some addresses only is printed, and counts in the status.
pub(crate) fn run(command: Command) -> Result<u8> {
    match command {
        Command::Help => print(HELP),
        Command::Version => print(concat!("send_arp ", env!("CARGO_PKG_VERSION"), "\n")),
        Command::Original(original) => send_original(&original),
        Command::Announce(announce) => {
            ensure!(children::die_with_parent()?, "the supervisor that started this has ended");
            send_announcements(&announce)
        }
    }
}

/// The exit status for an error of [`run`].
pub(crate) fn status(error: &anyhow::Error) -> u8 {
    match error.downcast_ref::<LinkError>() {
        Some(error) if error.is_permission() => exit::NO_PERMISSION,
        _ => exit::FAILED,
    }
}

/// Writes to standard output. A reader that has seen enough is no failure.
fn print(text: &str) -> Result<u8> {
    match io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(error).context("cannot write the output")
        }
        _ => Ok(exit::OK),
    }
}

/// Says something on standard error. Nobody may be there to read it; that stops no announcement.
pub(crate) fn tell(message: &dyn Display) {
    let _ = writeln!(io::stderr(), "send_arp: {message}");
}

/// The lines of a dry run.
fn render(batches: &[Batch]) -> String {
    let lines = |batch: &Batch| -> String {
        batch.frames.iter().map(|frame| format!("{}: {frame}\n", batch.device)).collect()
    };
    batches.iter().map(lines).collect()
}

fn send_original(original: &Original) -> Result<u8> {
    let address = resolve(&original.source)?;
    let frame = announcement::original_reply(address, original.mac, original.destination);
    if original.dry_run {
        return print(&render(&[Batch { device: original.device.clone(), frames: vec![frame] }]));
    }
    let link = read_interfaces()?.open(&original.device)?;
    drop_privileges()?;
    link.send_all(&[&frame.emit()]).with_context(|| original.device.clone())?;
    if original.verbose {
        tell(&format_args!("{}: {frame}", original.device));
    }
    Ok(exit::OK)
}

/// Sockets once open need no capability. Called while there is one thread, as each thread has its own.
fn drop_privileges() -> Result<()> {
    privilege::keep_only(&[])?;
    Ok(privilege::no_new_privileges()?)
}

/// The IPv4 address that a dotted quad or a host name stands for.
fn resolve(host: &str) -> Result<Ipv4Addr> {
    let found = (host, 0).to_socket_addrs().with_context(|| format!("SRC_IP `{host}`"))?;
    let v4 = |address: SocketAddr| match address.ip() {
        IpAddr::V4(v4) => Some(v4),
        IpAddr::V6(_) => None,
    };
    found.filter_map(v4).next().with_context(|| format!("SRC_IP `{host}` has no IPv4 address"))
}

fn read_interfaces() -> Result<Interfaces> {
    Interfaces::read().context("cannot list the network interfaces")
}

fn send_announcements(announce: &Announce) -> Result<u8> {
    let (entries, mut unusable) = match &announce.entries {
        Some(entries) => (entries.clone(), 0),
        None => read_list()?,
    };
    let interfaces = read_interfaces()?;
    let (batches, problems) = plan::plan(&entries, &announce.defaults, interfaces.list());
    for problem in &problems {
        tell(&problem);
    }
    unusable += problems.len();
    let partly = if unusable == 0 { exit::OK } else { exit::FAILED };
    if announce.dry_run {
        return Ok(print(&render(&batches))?.max(partly));
    }
    let (mut outlets, unopened) = open(&batches, &interfaces)?;
    drop_privileges()?;
    if !outlets.is_empty() {
        // Only a refresh is expected to be ended by a signal. A burst that is, dies of it.
        let stop = if announce.refresh.is_some() { stop_signals()? } else { crossbeam_channel::never() };
        keep_announcing(announce, &mut outlets, interfaces, &stop)?;
    }
    let complete = unopened == 0 && outlets.iter().all(Outlet::is_complete);
    Ok(if complete { partly } else { exit::FAILED })
}

/// One outlet per batch, and how many could not be opened (each has been reported). A lack of permission ends it all.
fn open(batches: &[Batch], interfaces: &Interfaces) -> Result<(Vec<Outlet<Link>>, usize)> {
    let mut outlets = Vec::new();
    for batch in batches {
        match interfaces.open(&batch.device) {
            Ok(link) => outlets.push(Outlet::new(batch, link, interfaces.held(&batch.device))),
            Err(error) if error.is_permission() => return Err(error.into()),
            Err(error) => tell(&error),
        }
    }
    let unopened = batches.len() - outlets.len();
    Ok((outlets, unopened))
}

/// The entries on standard input, and how many lines were unusable (each has been reported).
fn read_list() -> Result<(Vec<Entry>, usize)> {
    let mut bytes = Vec::new();
    let input = io::stdin().lock();
    let length = input.take(list::MAX_LIST + 1).read_to_end(&mut bytes).context("standard input")?;
    if u64::try_from(length)? > list::MAX_LIST {
        bail!("the list on standard input is longer than {} octets", list::MAX_LIST);
    }
    let (entries, problems) = list::parse(&String::from_utf8_lossy(&bytes));
    for problem in &problems {
        tell(&problem);
    }
    Ok((entries, problems.len()))
}

fn stop_signals() -> Result<Receiver<()>> {
    let (to, stop) = crossbeam_channel::bounded(1);
    signals::forward(&[Signal::SIGTERM as i32, Signal::SIGINT as i32], to, |_| ())
        .context("cannot wait for signals")?;
    Ok(stop)
}

/// Sends every round when it is due, until the schedule ends or a signal comes. The first round relies on the picture
/// of the interfaces that the plan was made from, each later one on a new picture.
fn keep_announcing(
    announce: &Announce,
    outlets: &mut [Outlet<Link>],
    interfaces: Interfaces,
    stop: &Receiver<()>,
) -> Result<()> {
    let mut schedule = Schedule::new(Mono::now(), announce.count, announce.interval, announce.refresh);
    let mut picture = Some(interfaces);
    while let Some(deadline) = schedule.deadline() {
        match stop.recv_timeout(deadline.since(Mono::now())) {
            Err(RecvTimeoutError::Timeout) => {}
            Ok(()) | Err(RecvTimeoutError::Disconnected) => return Ok(()),
        }
        let Some(round) = schedule.step(Mono::now()) else { continue };
        let interfaces = picture.take().map_or_else(read_interfaces, Ok)?;
        for outlet in outlets.iter_mut() {
            let (frames, messages) = outlet.round(interfaces.held(outlet.device()));
            for message in messages {
                tell(&message);
            }
            if announce.verbose {
                let round = name(round, announce.count);
                tell(&format_args!("{}: {round}: {frames} frames", outlet.device()));
            }
        }
    }
    Ok(())
}

fn name(round: Round, count: u32) -> String {
    match round {
        Round::Burst(number) => format!("round {number} of {count}"),
        Round::Refresh => "refresh".to_owned(),
    }
}
