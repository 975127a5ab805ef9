//! What a monitor needs, as far as its settings tell. All else is given up. Pure.
//!
//! | | no program | with a check program or load monitor |
//! | --- | --- | --- |
//! | user, groups | own | own |
//! | capabilities | none | none |
//! | `no_new_privs`, not dumpable | yes | yes |
//! | core files | none | none |
//! | other resource limits | files, processes, memory, file size | – |
//! | Landlock | no file; TCP to the ports of the check; no signals or abstract sockets of others | no signals to others |
//! | seccomp | the system calls of the loop, sockets of the check | – |
//!
//! One that looks after a row of the IPVS table (only when it is run by hand) stays who it is and keeps CAP_NET_ADMIN and
//! generic netlink.

use std::net::SocketAddr;

use daemonkit::privilege::{Capability, UserIds};
use nix::libc;
use socket2::{Domain, Protocol, Type};

use super::limits::{Limit, limits};
use super::user::{User, find};
use crate::check::{Check, Medium, Transport};
use crate::probe::{echo, kind};
use crate::settings::Settings;

/// A kind of socket that may be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SocketKind {
    /// The family, `AF_…`.
    pub family: i32,
    /// The type without flags, `SOCK_…`.
    pub kind: i32,
    /// The protocol.
    pub protocol: i32,
}

/// What is needed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Who was asked for; without it the default.
    pub user: Option<User>,
    /// The capabilities that are kept.
    pub capabilities: &'static [Capability],
    /// The sockets that may be opened.
    pub sockets: Vec<SocketKind>,
    /// The TCP ports that may be connected to.
    pub tcp_ports: Vec<u16>,
    /// Whether programs are run.
    pub runs_programs: bool,
    /// Whether standard output or standard error is a regular file.
    pub writes_files: bool,
}

impl Policy {
    /// What a monitor with `settings` needs; `writes_files` tells whether standard output or standard error is a regular
    /// file.
    #[must_use]
    pub fn of(settings: &Settings, writes_files: bool) -> Self {
        let mut policy = Self {
            user: settings.user.clone(),
            capabilities: &[],
            sockets: Vec::new(),
            tcp_ports: Vec::new(),
            runs_programs: false,
            writes_files,
        };
        policy.asks(&settings.check, settings.target);
        if let Some(load) = &settings.load {
            policy.asks(&load.check, load.target);
        }
        if settings.duty.is_some() {
            policy.capabilities = &[Capability::NET_ADMIN];
            let (family, protocol) = (libc::AF_NETLINK, libc::NETLINK_GENERIC);
            policy.sockets.push(SocketKind { family, kind: libc::SOCK_RAW, protocol });
        }
        policy
    }

    fn asks(&mut self, check: &Check, target: SocketAddr) {
        match check.medium() {
            Medium::Socket(transport) => {
                self.opens(target, kind(transport));
                if transport == Transport::Tcp {
                    self.tcp_ports.push(target.port());
                }
            }
            Medium::Echo => self.opens(target, echo(target)),
            Medium::Program(_) => self.runs_programs = true,
        }
    }

    fn opens(&mut self, server: SocketAddr, (kind, protocol): (Type, Protocol)) {
        let family = Domain::for_address(server).into();
        self.sockets.push(SocketKind { family, kind: kind.into(), protocol: protocol.into() });
    }

    /// Whom to become, `None` for whoever this process is already; and for people, why that is not as it should be.
    /// `passwd` is asked for the users that there are. A user who is asked for and not there is replaced by the default, so
    /// that a check is made, and made without the rights of root.
    pub fn identity(
        &self,
        is_root: bool,
        passwd: impl Fn() -> Result<String, String>,
    ) -> (Option<UserIds>, Option<String>) {
        match &self.user {
            // To change the table takes a capability that another user has not.
            _ if !self.capabilities.is_empty() => (None, None),
            Some(_) if !is_root => (None, Some("not started by root".to_owned())),
            None if !is_root => (None, None),
            asked => match find(asked.as_ref(), &passwd) {
                Ok(ids) => (Some(ids), None),
                Err(reason) => (find(None, passwd).ok(), Some(reason)),
            },
        }
    }

    /// The limits that it lives with.
    #[must_use]
    pub fn limits(&self) -> Vec<Limit> {
        limits(self.runs_programs, self.writes_files)
    }
}
