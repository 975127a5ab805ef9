//! The host's interfaces and raw sockets on them: the only file that meets the kernel.
//!
//! Opening a [`Link`] needs `CAP_NET_RAW`, sending on it does not, so the program drops the capability in between.
//! The links never receive anything: they are bound to no protocol.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::Duration;

use daemonkit::clock::Mono;
use nix::errno::Errno;
use nix::ifaddrs::getifaddrs;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, LinkAddr, MsgFlags, SockFlag, SockType, SockaddrStorage, bind, send, socket,
};
use thiserror::Error;

use crate::mac::Mac;
use crate::plan::Interface;

/// ARP's number for Ethernet among the kinds of link (`include/uapi/linux/if_arp.h: ARPHRD_ETHER`).
const ARPHRD_ETHER: u16 = 1;
/// Longest wait for room during one [`Sink::send_all`]. A working link drains in milliseconds.
const SEND_WAIT: Duration = Duration::from_millis(200);
/// How soon to look again whether the interface's queue has room.
const QUEUE_RETRY: Duration = Duration::from_millis(2);

/// The interfaces of this host at one moment.
#[derive(Debug, Clone, Default)]
pub struct Interfaces {
    list: Vec<Interface>,
    links: HashMap<String, LinkAddr>,
}

/// Why a link cannot be opened.
#[derive(Debug, Error)]
pub enum LinkError {
    /// There is no such interface, or not any more.
    #[error("no device `{0}`")]
    NoDevice(String),
    /// The kernel refused.
    #[error("cannot open a packet socket on {device}: {}{}", .errno.desc(), permission_hint(*.errno))]
    Socket {
        /// The interface.
        device: String,
        /// The kernel's reason.
        errno: Errno,
    },
}

impl LinkError {
    /// Whether it failed for lack of `CAP_NET_RAW`.
    #[must_use]
    pub fn is_permission(&self) -> bool {
        matches!(self, LinkError::Socket { errno: Errno::EPERM | Errno::EACCES, .. })
    }
}

fn permission_hint(errno: Errno) -> &'static str {
    if matches!(errno, Errno::EPERM | Errno::EACCES) { "; it takes root or CAP_NET_RAW" } else { "" }
}

impl Interfaces {
    /// Asks the kernel.
    ///
    /// # Errors
    /// When the kernel does not list its interfaces.
    pub fn read() -> io::Result<Self> {
        let mut found = Interfaces::default();
        let mut addresses: HashMap<String, Vec<IpAddr>> = HashMap::new();
        for one in getifaddrs()? {
            let Some(address) = one.address else { continue };
            // The C library names an IPv4 address after its label, `eth0:1`; the interface is before the colon.
            let name = crate::list::strip_alias(&one.interface_name).to_owned();
            if let Some(link) = address.as_link_addr() {
                found.links.insert(name, *link);
            } else {
                addresses.entry(name).or_default().extend(ip_address(&address));
            }
        }
        found.list = found
            .links
            .iter()
            .map(|(name, link)| Interface {
                name: name.clone(),
                mac: ethernet_address(link),
                addresses: addresses.remove(name).unwrap_or_default(),
                forwards_ipv6: forwards_ipv6(name),
            })
            .collect();
        found.list.sort_by_key(|one| found.links.get(&one.name).map(LinkAddr::ifindex));
        Ok(found)
    }

    /// Every interface, in the kernel's order.
    #[must_use]
    pub fn list(&self) -> &[Interface] {
        &self.list
    }

    /// The addresses that `device` holds; none if there is no such interface.
    #[must_use]
    pub fn held(&self, device: &str) -> &[IpAddr] {
        self.list.iter().find(|one| one.name == device).map_or(&[], |one| &one.addresses)
    }

    /// Opens a socket that sends raw frames by `device`.
    ///
    /// # Errors
    /// [`LinkError`] when the interface is not among these, or the kernel refuses.
    pub fn open(&self, device: &str) -> Result<Link, LinkError> {
        let address = self.links.get(device).ok_or_else(|| LinkError::NoDevice(device.to_owned()))?;
        let refused = |errno| LinkError::Socket { device: device.to_owned(), errno };
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let fd = socket(AddressFamily::Packet, SockType::Raw, flags, None).map_err(refused)?;
        bind(fd.as_raw_fd(), address).map_err(refused)?;
        Ok(Link { fd })
    }
}

fn ip_address(address: &SockaddrStorage) -> Option<IpAddr> {
    let v4 = address.as_sockaddr_in().map(|one| one.ip().into());
    v4.or_else(|| address.as_sockaddr_in6().map(|one| one.ip().into()))
}

fn ethernet_address(link: &LinkAddr) -> Option<Mac> {
    (link.hatype() == ARPHRD_ETHER && link.halen() == 6).then(|| link.addr().map(Mac)).flatten()
}

/// `net.ipv6.conf.DEVICE.forwarding`; without IPv6 there is no such file, and nothing to forward.
fn forwards_ipv6(device: &str) -> bool {
    fs::read_to_string(format!("/proc/sys/net/ipv6/conf/{device}/forwarding"))
        .is_ok_and(|value| value.trim_end() != "0")
}

/// A socket that sends raw Ethernet frames by one interface.
#[derive(Debug)]
pub struct Link {
    fd: OwnedFd,
}

/// Sending stopped before the last frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("sent {sent} of {all} frames: {}", reason(*.errno))]
pub struct SendError {
    /// Frames that the kernel took.
    pub sent: usize,
    /// Frames there were.
    pub all: usize,
    /// Why it took no more; [`Errno::EAGAIN`] or [`Errno::ENOBUFS`] when there was no room for too long.
    pub errno: Errno,
}

fn reason(errno: Errno) -> &'static str {
    if matches!(errno, Errno::EAGAIN | Errno::ENOBUFS) { "the link drains too slowly" } else { errno.desc() }
}

/// Where frames go: a [`Link`], or a double in tests.
pub trait Sink {
    /// Sends the frames in order.
    ///
    /// # Errors
    /// [`SendError`] at the first frame that is not taken; the ones after it are not tried.
    fn send_all(&self, frames: &[&[u8]]) -> Result<(), SendError>;
}

impl Sink for Link {
    /// Sends the frames in order, waiting 200 ms at most in total for room.
    fn send_all(&self, frames: &[&[u8]]) -> Result<(), SendError> {
        let mut give_up: Option<Mono> = None;
        for (sent, frame) in frames.iter().enumerate() {
            loop {
                let errno = match send(self.fd.as_raw_fd(), frame, MsgFlags::empty()) {
                    Ok(_) => break,
                    Err(errno) => errno,
                };
                let limit = *give_up.get_or_insert_with(|| Mono::now() + SEND_WAIT);
                if Mono::now() >= limit || !self.wait_for_room(errno, limit) {
                    return Err(SendError { sent, all: frames.len(), errno });
                }
            }
        }
        Ok(())
    }
}

impl Link {
    /// Waits for what makes another attempt worth while after `errno`, not longer than until `limit`. False when
    /// nothing does.
    fn wait_for_room(&self, errno: Errno, limit: Mono) -> bool {
        let left = limit.since(Mono::now());
        // Whether the wait succeeded, timed out or was interrupted, the next attempt shows how things are.
        let wait = |fds: &mut [PollFd], time| {
            let _ = poll(fds, PollTimeout::try_from(time).unwrap_or(PollTimeout::MAX));
        };
        match errno {
            Errno::EINTR => {}
            // The socket's own buffer is full, and says when it is not.
            Errno::EAGAIN => wait(&mut [PollFd::new(self.fd.as_fd(), PollFlags::POLLOUT)], left),
            // The interface's queue is full, which no event tells the end of.
            Errno::ENOBUFS => wait(&mut [], left.min(QUEUE_RETRY)),
            _ => return false,
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use nix::errno::Errno;

    use super::{Interfaces, LinkError, SendError};

    #[test]
    fn the_loopback_interface_is_listed_and_is_not_ethernet() {
        let interfaces = Interfaces::read().unwrap();
        let lo = interfaces.list().iter().find(|one| one.name == "lo").unwrap();
        assert_eq!(lo.mac, None);
    }

    #[test]
    fn an_unknown_device_is_named() {
        let error = Interfaces::default().open("eth7").unwrap_err();
        assert_eq!(error.to_string(), "no device `eth7`");
        assert!(!error.is_permission());
    }

    #[test]
    fn a_lack_of_permission_says_what_it_takes() {
        let error = LinkError::Socket { device: "eth0".into(), errno: Errno::EPERM };
        assert!(error.is_permission());
        assert_eq!(
            error.to_string(),
            "cannot open a packet socket on eth0: Operation not permitted; it takes root or CAP_NET_RAW"
        );
    }

    #[test]
    fn an_interrupted_batch_says_how_far_it_came() {
        let down = SendError { sent: 0, all: 40, errno: Errno::ENETDOWN };
        assert_eq!(down.to_string(), "sent 0 of 40 frames: Network is down");
        let full = SendError { sent: 7, all: 40, errno: Errno::EAGAIN };
        assert_eq!(full.to_string(), "sent 7 of 40 frames: the link drains too slowly");
    }
}
