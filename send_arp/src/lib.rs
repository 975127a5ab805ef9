//! Tells the LAN that an address moved to another station: gratuitous ARP for IPv4, unsolicited neighbour
//! advertisements for IPv6.
//!
//! ```text
//!  args ───┐                          announcement
//!          ├──► entries ──► plan ────► frame ──► octets ──► outlet ──► socket ──► LAN
//!  list ───┘                 ▲                               ▲  ▲
//!               interfaces ──┴───────────────────────────────┘  └── schedule (when)
//! ```
//!
//! After a takeover the neighbours still send to the old router until they learn the new MAC address. They are told
//! several times because a frame can be lost, and in both forms of ARP because some equipment heeds only one.
//!
//! Everything but [`socket`] is pure. The program `send_arp` adds the clock, the dropping of privileges and
//! the output.
//!
//! ```
//! use send_arp::announcement::gratuitous_arp;
//! use send_arp::frame::{Frame, Operation};
//! use send_arp::mac::Mac;
//!
//! let mac: Mac = "00:16:3e:12:34:56".parse()?;
//! let frame = gratuitous_arp(Operation::Reply, [10, 1, 0, 100].into(), mac);
//! assert_eq!(frame.emit().len(), 60);
//! assert_eq!(Frame::parse(&frame.emit()), Ok(frame));
//! # Ok::<(), send_arp::mac::MacError>(())
//! ```

pub mod announcement;
pub mod args;
pub mod frame;
pub mod list;
pub mod mac;
pub mod outlet;
pub mod plan;
pub mod schedule;
pub mod socket;
