//! Capture of frames on a bridge or an interface, with the kernel's time stamps.
//!
//! An AF_PACKET socket, read by a thread of its own until the last handle is gone. It keeps every frame up to a
//! bound and decides nothing.

use std::{
    io::IoSliceMut,
    os::fd::AsRawFd as _,
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant, SystemTime},
};

use anyhow::{Context as _, Result, anyhow};
use nix::{
    ifaddrs::getifaddrs,
    sys::socket::{
        ControlMessageOwned, LinkAddr, MsgFlags, bind, recvmsg, setsockopt,
        sockopt::{RcvBuf, ReceiveTimestampns},
    },
};
use socket2::{Domain, Protocol, Socket, Type};

use crate::{
    frame::{Arp, Frame, NeighbourAdvertisement, Udp},
    journal::{Journal, locked},
    namespace::Namespaces,
    pcap,
};

/// `ETH_P_ALL` of `linux/if_ether.h`, in network byte order as packet(7) wants it.
const ALL_PROTOCOLS: i32 = (0x0003_u16.to_be()) as i32;
/// Longest frame read; longer ones (offloaded segments) are cut off, which leaves their headers.
const LONGEST_FRAME: usize = 2048;
/// Frames kept.
const CAPACITY: usize = 1_000_000;
/// Receive buffer of the socket in bytes, so that a burst waits for us instead of being lost.
const RECEIVE_BUFFER: usize = 4 << 20;
/// How often the thread looks whether it is still wanted.
const LOOK: Duration = Duration::from_millis(100);

#[derive(Default)]
struct Film {
    frames: Mutex<Vec<Frame>>,
    grown: Condvar,
    ended: AtomicBool,
}

/// A running capture; it ends when the last clone is dropped.
#[derive(Clone)]
pub struct Capture {
    film: Arc<Film>,
    /// Ends the thread when the last handle is dropped.
    _guard: Arc<Guard>,
}

struct Guard {
    film: Arc<Film>,
    place: Arc<str>,
    journal: Arc<Journal>,
}

impl Drop for Guard {
    /// Leaves a summary in the journal and the frames in a file beside it.
    fn drop(&mut self) {
        self.film.ended.store(true, Ordering::Relaxed);
        let frames = locked(&self.film.frames);
        let kept = crate::results_folder().and_then(|folder| pcap::save(&folder, &self.place, &frames));
        let kept = kept.map_or_else(String::new, |name| format!("; kept as {name}"));
        self.journal.note(&self.place, format!("{}{kept}", summary(&frames)));
    }
}

/// How many frames of each kind there are.
fn summary(frames: &[Frame]) -> String {
    let count = |is: fn(&Frame) -> bool| frames.iter().filter(|frame| is(frame)).count();
    let arps = count(|frame| frame.arp().is_some());
    let gratuitous = count(|frame| frame.arp().is_some_and(|arp| arp.is_gratuitous()));
    let advertisements = count(|frame| frame.neighbour_advertisement().is_some());
    let datagrams = count(|frame| frame.udp().is_some());
    format!(
        "{} frames: {arps} ARP ({gratuitous} gratuitous), {advertisements} NA, {datagrams} UDP",
        frames.len()
    )
}

impl Capture {
    pub(crate) fn start(inside: &Namespaces, interface: &str, journal: &Arc<Journal>) -> Result<Self> {
        let socket = inside.try_run(|| open(interface)).with_context(|| format!("capture on {interface}"))?;
        let film = Arc::new(Film::default());
        let guard = Arc::new(Guard {
            film: Arc::clone(&film),
            place: Arc::from(format!("capture/{interface}")),
            journal: Arc::clone(journal),
        });
        let (writer, journal) = (Arc::clone(&film), Arc::clone(journal));
        thread::Builder::new().name(format!("capture {interface}")).spawn(move || {
            while !writer.ended.load(Ordering::Relaxed) {
                if let Some(frame) = receive(&socket, &journal) {
                    let mut frames = locked(&writer.frames);
                    if frames.len() < CAPACITY {
                        frames.push(frame);
                    }
                    drop(frames);
                    writer.grown.notify_all();
                }
            }
        })?;
        Ok(Self { film, _guard: guard })
    }

    /// All frames so far.
    pub fn frames(&self) -> Vec<Frame> {
        locked(&self.film.frames).clone()
    }

    /// All ARP messages so far, with their times.
    pub fn arps(&self) -> Vec<(Duration, Arp)> {
        self.pick(Frame::arp)
    }

    /// All UDP datagrams to a port so far, with their times.
    pub fn udp_to(&self, port: u16) -> Vec<(Duration, Udp)> {
        self.pick(|frame| frame.udp().filter(|udp| udp.to.port() == port))
    }

    /// All IPv6 neighbour advertisements so far, with their times.
    pub fn neighbour_advertisements(&self) -> Vec<(Duration, NeighbourAdvertisement)> {
        self.pick(Frame::neighbour_advertisement)
    }

    /// What `read` finds in each frame so far, with the frame's time.
    pub fn pick<T>(&self, read: impl Fn(&Frame) -> Option<T>) -> Vec<(Duration, T)> {
        locked(&self.film.frames).iter().filter_map(|frame| Some((frame.at, read(frame)?))).collect()
    }

    /// Waits until a frame (from the first on) has in it what `read` looks for.
    ///
    /// # Errors
    /// When none has in time; says how many frames there were.
    pub fn wait_for<T>(
        &self,
        what: &str,
        within: Duration,
        read: impl Fn(&Frame) -> Option<T>,
    ) -> Result<(Duration, T)> {
        let deadline = Instant::now() + within;
        let mut frames = locked(&self.film.frames);
        let mut seen = 0;
        loop {
            if let Some(found) = frames[seen..].iter().find_map(|frame| Some((frame.at, read(frame)?))) {
                return Ok(found);
            }
            seen = frames.len();
            let left = deadline.checked_duration_since(Instant::now()).filter(|left| !left.is_zero());
            let left = left.ok_or_else(|| anyhow!("no {what} within {within:?} among {seen} frames"))?;
            frames = self.film.grown.wait_timeout(frames, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// An AF_PACKET socket bound to an interface of the calling thread's network namespace.
fn open(interface: &str) -> Result<Socket> {
    let socket = Socket::new(Domain::PACKET, Type::RAW, Some(Protocol::from(ALL_PROTOCOLS)))?;
    // Its link-layer address says which interface is meant; the protocol stays the socket's own.
    let address = getifaddrs()?
        .filter(|entry| entry.interface_name == interface)
        .find_map(|entry| entry.address.and_then(|address| address.as_link_addr().copied()))
        .ok_or_else(|| anyhow!("there is no interface {interface}"))?;
    bind(socket.as_raw_fd(), &address).context("bind")?;
    setsockopt(&socket, ReceiveTimestampns, &true).context("time stamps")?;
    setsockopt(&socket, RcvBuf, &RECEIVE_BUFFER).context("receive buffer")?;
    socket.set_read_timeout(Some(LOOK))?;
    Ok(socket)
}

/// The next frame, or nothing if none came for a while.
fn receive(socket: &Socket, journal: &Journal) -> Option<Frame> {
    let mut bytes = vec![0; LONGEST_FRAME];
    let mut control = nix::cmsg_space!(nix::sys::time::TimeSpec);
    let mut parts = [IoSliceMut::new(&mut bytes)];
    let received =
        recvmsg::<LinkAddr>(socket.as_raw_fd(), &mut parts, Some(&mut control), MsgFlags::empty()).ok()?;
    let stamp = received.cmsgs().ok()?.find_map(|message| match message {
        ControlMessageOwned::ScmTimestampns(stamp) => Some(Duration::from(stamp)),
        _ => None,
    });
    let length = received.bytes;
    // The stamp is wall-clock time: what counts is how long ago it was.
    let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).ok()?;
    let age = stamp.map_or(Duration::ZERO, |stamp| wall.saturating_sub(stamp));
    let at = journal.now().saturating_sub(age);
    bytes.truncate(length);
    Some(Frame { at, bytes })
}
