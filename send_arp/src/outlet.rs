//! One interface's share of the rounds: what still may be announced there, and how it went.
//!
//! An address that this host held at the start and does not hold any more is left out: announcing it would draw the
//! traffic of the router that has it now. So a burst or a refresh that outlives the address does no harm, even when
//! whoever started it cannot stop it. Addresses that the host never held (announced for somebody else) always go out.
//!
//! A round that a slow link cut short is continued by the next one where it stopped, so that every address gets its
//! turn.
//!
//! Does not decide when a round is due, nor does it print: it returns what there is to say, once per change.

use std::collections::HashSet;
use std::net::IpAddr;

use nix::errno::Errno;

use crate::plan::Batch;
use crate::socket::Sink;

/// An interface with the frames of a round.
#[derive(Debug)]
pub struct Outlet<S> {
    device: String,
    sink: S,
    frames: Vec<(IpAddr, Vec<u8>)>,
    held_at_start: HashSet<IpAddr>,
    withheld: HashSet<IpAddr>,
    trouble: Option<Errno>,
    /// Where the next round begins: at the first frame that the last one left over.
    begin: usize,
    /// Frames taken so far, over all rounds.
    taken: usize,
    complete: bool,
}

impl<S: Sink> Outlet<S> {
    /// The batch on its way to `sink`; `held` are the addresses of the interface now.
    pub fn new(batch: &Batch, sink: S, held: &[IpAddr]) -> Self {
        let frames: Vec<_> = batch.frames.iter().map(|frame| (frame.address(), frame.emit())).collect();
        let held: HashSet<_> = held.iter().copied().collect();
        let held_at_start =
            frames.iter().map(|(address, _)| *address).filter(|one| held.contains(one)).collect();
        Outlet {
            device: batch.device.clone(),
            sink,
            frames,
            held_at_start,
            withheld: HashSet::new(),
            trouble: None,
            begin: 0,
            taken: 0,
            complete: false,
        }
    }

    /// Name of the interface.
    #[must_use]
    pub fn device(&self) -> &str {
        &self.device
    }

    /// Whether every frame that was due was taken at least once.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.complete
    }

    /// Sends one round. `held` are the addresses of the interface now. Returns how many frames were due, and one
    /// message for each thing that changed since the round before.
    pub fn round(&mut self, held: &[IpAddr]) -> (usize, Vec<String>) {
        let held: HashSet<_> = held.iter().copied().collect();
        let mut messages = Vec::new();
        messages.extend(self.withhold(self.held_at_start.difference(&held).copied().collect()));
        let mut frames: Vec<&[u8]> = self
            .frames
            .iter()
            .filter(|(address, _)| !self.withheld.contains(address))
            .map(|(_, bytes)| bytes.as_slice())
            .collect();
        let due = frames.len();
        let begin = if self.begin < due { self.begin } else { 0 };
        frames.rotate_left(begin);
        let trouble = self.sink.send_all(&frames).err();
        let taken = trouble.map_or(due, |error| error.sent);
        self.begin = if taken < due { (begin + taken) % due } else { 0 };
        self.taken += taken;
        self.complete |= self.taken >= due;
        let errno = trouble.map(|error| error.errno);
        if errno != self.trouble {
            messages.push(match trouble {
                Some(error) => format!("{}: {error}", self.device),
                None => format!("{}: sending again", self.device),
            });
            self.trouble = errno;
        }
        (due, messages)
    }

    fn withhold(&mut self, gone: HashSet<IpAddr>) -> Option<String> {
        if gone == self.withheld {
            return None;
        }
        self.withheld = gone;
        let device = &self.device;
        Some(match (self.withheld.iter().min(), self.withheld.len()) {
            (None, _) => format!("{device}: every address is here again, announcing all of them"),
            (Some(one), 1) => format!("{device}: {one} is not here any more, not announcing it"),
            (Some(one), count) => {
                format!("{device}: {count} addresses ({one}, …) are not here any more, not announcing them")
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};
    use std::net::IpAddr;

    use nix::errno::Errno;

    use super::Outlet;
    use crate::announcement::gratuitous_arp;
    use crate::frame::{Frame, Operation};
    use crate::mac::Mac;
    use crate::plan::Batch;
    use crate::socket::{SendError, Sink};

    const MAC: Mac = Mac([0x00, 0x16, 0x3e, 0, 0, 1]);

    #[derive(Default)]
    struct Wire {
        broken: Cell<Option<Errno>>,
        room: Cell<Option<usize>>,
        seen: RefCell<Vec<IpAddr>>,
    }

    impl Sink for &Wire {
        fn send_all(&self, frames: &[&[u8]]) -> Result<(), SendError> {
            if let Some(errno) = self.broken.get() {
                return Err(SendError { sent: 0, all: frames.len(), errno });
            }
            let room = self.room.get().unwrap_or(usize::MAX).min(frames.len());
            self.seen
                .borrow_mut()
                .extend(frames[..room].iter().map(|bytes| Frame::parse(bytes).unwrap().address()));
            if room < frames.len() {
                return Err(SendError { sent: room, all: frames.len(), errno: Errno::ENOBUFS });
            }
            Ok(())
        }
    }

    impl Wire {
        fn take(&self) -> Vec<IpAddr> {
            self.seen.take()
        }
    }

    fn vip(last: u8) -> IpAddr {
        [10, 1, 0, last].into()
    }

    fn batch(last: &[u8]) -> Batch {
        let frames =
            last.iter().map(|&last| gratuitous_arp(Operation::Reply, [10, 1, 0, last].into(), MAC)).collect();
        Batch { device: "eth0".into(), frames }
    }

    fn quiet(due: usize) -> (usize, Vec<String>) {
        (due, vec![])
    }

    #[test]
    fn an_address_that_left_the_interface_is_not_announced_until_it_returns() {
        let wire = Wire::default();
        let (both, one) = ([vip(1), vip(2)], [vip(1)]);
        let mut outlet = Outlet::new(&batch(&[1, 2]), &wire, &both);
        assert_eq!(outlet.round(&both), quiet(2));
        assert_eq!(wire.take(), both);

        let gone = "eth0: 10.1.0.2 is not here any more, not announcing it";
        assert_eq!(outlet.round(&one), (1, vec![gone.to_owned()]));
        assert_eq!(outlet.round(&one), quiet(1));
        assert_eq!(wire.take(), [vip(1), vip(1)]);

        let all_gone = "eth0: 2 addresses (10.1.0.1, …) are not here any more, not announcing them";
        assert_eq!(outlet.round(&[]), (0, vec![all_gone.to_owned()]));
        let back = "eth0: every address is here again, announcing all of them";
        assert_eq!(outlet.round(&both), (2, vec![back.to_owned()]));
        assert_eq!(wire.take(), both);
    }

    #[test]
    fn an_address_of_somebody_else_is_always_announced() {
        let wire = Wire::default();
        let mut outlet = Outlet::new(&batch(&[9]), &wire, &[vip(1)]);
        assert_eq!(outlet.round(&[]), quiet(1));
        assert_eq!(wire.take(), [vip(9)]);
    }

    #[test]
    fn trouble_is_told_once_and_so_is_its_end() {
        let wire = Wire::default();
        let mut outlet = Outlet::new(&batch(&[1]), &wire, &[]);
        wire.broken.set(Some(Errno::ENETDOWN));
        let down = "eth0: sent 0 of 1 frames: Network is down";
        assert_eq!(outlet.round(&[]), (1, vec![down.to_owned()]));
        assert_eq!(outlet.round(&[]), quiet(1));
        assert!(!outlet.is_complete());

        wire.broken.set(None);
        assert_eq!(outlet.round(&[]), (1, vec!["eth0: sending again".to_owned()]));
        assert_eq!(outlet.round(&[]), quiet(1));
        assert!(outlet.is_complete());
    }

    #[test]
    fn a_slow_link_gives_every_address_its_turn() {
        let wire = Wire::default();
        wire.room.set(Some(2));
        let mut outlet = Outlet::new(&batch(&[1, 2, 3]), &wire, &[]);
        let slow = "eth0: sent 2 of 3 frames: the link drains too slowly";
        assert_eq!(outlet.round(&[]), (3, vec![slow.to_owned()]));
        assert!(!outlet.is_complete());
        assert_eq!(outlet.round(&[]), quiet(3));
        assert!(outlet.is_complete());
        assert_eq!(wire.take(), [vip(1), vip(2), vip(3), vip(1)]);
    }
}
