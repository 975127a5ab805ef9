//! What can go wrong, in an operator's words.
//!
//! Two levels, because they call for different answers: a [`KernelError`] refuses one request while its
//! neighbours in the batch stand; an [`Error`] ends a conversation with the kernel.

use std::fmt;
use std::io;

use nix::errno::Errno;

use crate::model::{Destination, Family, Forward, Service, ServiceId, SyncDaemon};
use crate::request::Request;
use crate::wire::WireError;

/// The conversation with the kernel broke, or could not begin.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The kernel knows no generic netlink family "IPVS".
    #[error(
        "the kernel has no IPVS: the module ip_vs is not loaded; `modprobe ip_vs` loads it, as root, and not from within \
         a container but on its host"
    )]
    NotAvailable,
    /// The caller may not administer IPVS.
    #[error(
        "permission denied: IPVS needs CAP_NET_ADMIN in the initial user namespace: be root, and not that of a container \
         with a user namespace of its own"
    )]
    Permission,
    /// A system call on the netlink socket failed.
    #[error("{doing} the netlink socket failed: {source}")]
    Socket {
        /// What was tried, such as "receiving from".
        doing: &'static str,
        /// The system's reason.
        source: io::Error,
    },
    /// The kernel did not answer in time.
    #[error("the kernel did not answer within {} s", .0.as_secs())]
    Timeout(std::time::Duration),
    /// The kernel dropped answers because the receive buffer was full: what was asked may or may not have
    /// been done. Read the table to find out.
    #[error("answers of the kernel were lost because the socket's receive buffer overflowed (ENOBUFS)")]
    Overrun,
    /// A dump was interrupted by changes, or the kernel was busy, each time it was tried.
    #[error("the table changed, or the kernel was busy, during each of {0} attempts to read it")]
    DumpInterrupted(u32),
    /// A question (not a change) was refused.
    #[error("the kernel refused {question}: {}{}", sentence(*.errno), Extended(.extended.as_deref()))]
    Refused {
        /// What was asked, such as "the list of services".
        question: &'static str,
        /// The kernel's reason.
        errno: Errno,
        /// The kernel's own words, if it gave any.
        extended: Option<String>,
    },
    /// Bytes of the kernel could not be understood.
    #[error("the kernel's answer cannot be read: {0}")]
    Wire(#[from] WireError),
    /// The kernel answered something else than what was asked for.
    #[error("the kernel's answer to {0} holds nothing of that kind")]
    Unexpected(&'static str),
}

/// The kernel refused one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KernelError {
    /// The request.
    pub request: Box<Request>,
    /// The kernel's reason.
    pub errno: Errno,
    /// The kernel's own words (extended acknowledgement), if it gave any.
    pub extended: Option<String>,
}

impl KernelError {
    /// Whether an addition failed only because the thing is there already: somebody else was faster, which
    /// for a caller that reconciles is drift and not a failure.
    #[must_use]
    pub fn is_already_there(&self) -> bool {
        let adds = matches!(
            *self.request,
            Request::AddService(_) | Request::AddDestination(..) | Request::StartDaemon(_)
        );
        adds && self.errno == Errno::EEXIST
    }

    /// Whether a removal failed only because the thing is gone already.
    #[must_use]
    pub fn is_already_gone(&self) -> bool {
        let removes = matches!(
            *self.request,
            Request::DeleteService(_) | Request::DeleteDestination(..) | Request::StopDaemon(_)
        );
        removes && matches!(self.errno, Errno::ENOENT | Errno::ESRCH)
    }

    /// What the errno means for this request, in words.
    #[must_use]
    pub fn reason(&self) -> String {
        match (&*self.request, self.errno) {
            (Request::AddService(_), Errno::EEXIST) => "the service exists already".into(),
            (Request::AddDestination(..), Errno::EEXIST) => "the service has this real server already".into(),
            (Request::StartDaemon(daemon), Errno::EEXIST) => {
                format!("the {} sync daemon runs already", daemon.role)
            }
            (Request::StartDaemon(daemon), Errno::ENODEV) => {
                format!("there is no interface {}", daemon.interface)
            }
            (Request::StopDaemon(role), Errno::ESRCH) => format!("no {role} sync daemon runs"),
            (Request::AddService(service) | Request::EditService(service), Errno::ENOENT) => {
                no_module(service)
            }
            (_, Errno::ENOENT) => "the service has no such real server".into(),
            (_, Errno::ESRCH) => "there is no such service".into(),
            (Request::AddDestination(id, to) | Request::EditDestination(id, to), Errno::EINVAL) => {
                invalid_destination(id, to)
            }
            (Request::AddService(service) | Request::EditService(service), Errno::EINVAL) => {
                invalid_service(service)
            }
            (Request::SetTimeouts(_), Errno::EINVAL) => "a timeout is too long for the kernel".into(),
            (Request::StartDaemon(daemon), Errno::EINVAL) => invalid_daemon(daemon),
            (_, errno) => sentence(errno).into_owned(),
        }
    }
}

fn no_module(service: &Service) -> String {
    let scheduler = service.scheduler;
    match service.persistence.and_then(|persistence| persistence.engine) {
        None => {
            format!("the kernel has no scheduler {scheduler} and could not load its module ip_vs_{scheduler}")
        }
        Some(engine) => format!(
            "the kernel has no scheduler {scheduler} or no persistence engine {engine}, and could not load the module \
             ip_vs_{scheduler} or ip_vs_pe_{engine}"
        ),
    }
}

fn invalid_service(service: &Service) -> String {
    let granularity = service.persistence.and_then(|it| it.granularity.prefix_length());
    if service.id.family() == Family::V6
        && service.persistence.is_some()
        && !matches!(granularity, Some(1..=128))
    {
        return "an IPv6 persistence granularity is a prefix length from 1 to 128".into();
    }
    "the kernel allows no such combination of address, scheduler and flags".into()
}

fn invalid_destination(id: &ServiceId, to: &Destination) -> String {
    let same_family = id.family() == Family::of(to.id.address);
    match to.forward {
        Forward::Tunnel(_) if !same_family => {
            "a real server of the other address family is not possible while a sync daemon runs".into()
        }
        _ if !same_family => {
            "a real server of the other address family can be reached by tunnelling only".into()
        }
        _ => "the real server's address must be a unicast address that this router can route to".into(),
    }
}

fn invalid_daemon(daemon: &SyncDaemon) -> String {
    let interface = &daemon.interface;
    match daemon.group {
        Some(group) if !group.is_multicast() => format!("{group} is not a multicast group"),
        _ => format!(
            "the interface {interface} must be able to multicast, and no real server may be of the other \
             address family than its service"
        ),
    }
}

impl fmt::Display for KernelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { request, errno, extended } = self;
        write!(f, "{request}: {} ({errno:?}){}", self.reason(), Extended(extended.as_deref()))
    }
}

impl std::error::Error for KernelError {}

/// `; the kernel says: ...`, or nothing.
struct Extended<'a>(Option<&'a str>);

impl fmt::Display for Extended<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(text) => write!(f, "; the kernel says: {text}"),
            None => Ok(()),
        }
    }
}

/// What an errno of the IPVS family means when the request adds nothing to it.
fn sentence(errno: Errno) -> std::borrow::Cow<'static, str> {
    match errno {
        Errno::EPERM => "CAP_NET_ADMIN in the initial user namespace is needed".into(),
        Errno::EINVAL => "a value is not allowed, or one is missing".into(),
        Errno::ERANGE => "the weight is above 2147483647, or the lower threshold above the upper".into(),
        Errno::EAFNOSUPPORT => "the kernel has no IPv6, or the address family is unknown".into(),
        Errno::ENODEV => "there is no such interface".into(),
        Errno::ENOMEM => "the kernel is out of memory".into(),
        Errno::EMSGSIZE => "the message is too long for the kernel".into(),
        Errno::EINTR | Errno::EBUSY | Errno::EAGAIN => "the kernel was busy; try again".into(),
        other => other.desc().into(),
    }
}
