//! `on_up` and `on_down`: what a hook is run for, and what it finds in its environment. Pure; when one is run is decided
//! in [`crate::engine`].
//!
//! | variable | holds |
//! | --- | --- |
//! | `LVS_EVENT` | `server_up`, `server_down`, `virtual_up` or `virtual_down` |
//! | `LVS_STATE` | `up` or `down` |
//! | `LVS_VIRTUAL_SERVER` | name of the virtual server in the file |
//! | `LVS_SERVICE` | the virtual server as the kernel knows it: `TCP 192.0.2.80:80`, `FWM 80` |
//! | `LVS_REAL_SERVER` | name of the real server in the file; not set for a virtual server |
//! | `LVS_ADDRESS` | address and port of the real server, or of the virtual server |
//! | `LVS_REASON` | why, as in the log |

use std::net::SocketAddr;

use ipvsadm::{DestinationId, ServiceId};
use lvs_config::model::VirtualServer;

use crate::identity::{ServerKey, service_id};

/// Who a hook is run for: a virtual server, or one of its real servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subject {
    /// The virtual server.
    pub service: ServiceId,
    /// The real server; `None` for the virtual server itself.
    pub server: Option<DestinationId>,
}

impl std::fmt::Display for Subject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.server {
            Some(server) => write!(f, "{server} of {}", self.service),
            None => self.service.fmt(f),
        }
    }
}

/// A command to run because somebody came up or went down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HookCommand {
    /// Who.
    pub subject: Subject,
    /// Whether it came up.
    pub up: bool,
    /// The program and its arguments; at least one word.
    pub words: Vec<String>,
    /// All of its environment but `PATH`.
    pub environment: Vec<(&'static str, String)>,
}

impl HookCommand {
    /// The hook of a real server named `name`.
    #[must_use]
    pub fn of_server(words: &[String], vs: &str, name: &str, key: ServerKey, up: bool, reason: &str) -> Self {
        let subject = Subject { service: key.service, server: Some(key.server) };
        let mut hook = Self::new(words, subject, ("server_up", "server_down"), up, reason);
        hook.environment.extend([
            ("LVS_VIRTUAL_SERVER", vs.to_owned()),
            ("LVS_REAL_SERVER", name.to_owned()),
            ("LVS_ADDRESS", key.server.to_string()),
        ]);
        hook
    }

    /// The hook of a virtual server, whose quorum was gained or lost.
    #[must_use]
    pub fn of_virtual_server(
        words: &[String],
        virtual_server: &VirtualServer,
        up: bool,
        reason: &str,
    ) -> Self {
        let subject = Subject { service: service_id(virtual_server), server: None };
        let mut hook = Self::new(words, subject, ("virtual_up", "virtual_down"), up, reason);
        let address = SocketAddr::new(virtual_server.address.address, virtual_server.port);
        hook.environment.extend([
            ("LVS_VIRTUAL_SERVER", virtual_server.name.clone()),
            ("LVS_ADDRESS", address.to_string()),
        ]);
        hook
    }

    fn new(words: &[String], subject: Subject, events: (&str, &str), up: bool, reason: &str) -> Self {
        let event = if up { events.0 } else { events.1 };
        // A monitor of somebody else may say anything; a variable cannot hold everything.
        let reason = reason.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let environment = vec![
            ("LVS_EVENT", event.to_owned()),
            ("LVS_STATE", if up { "up" } else { "down" }.to_owned()),
            ("LVS_SERVICE", subject.service.to_string()),
            ("LVS_REASON", reason),
        ];
        Self { subject, up, words: words.to_vec(), environment }
    }
}
