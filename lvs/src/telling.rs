//! Where the status is told: two Unix sockets in the run directory and, if asked for, a TCP port for collectors of metrics.
//!
//! | where | gives |
//! | --- | --- |
//! | `lvs.sock` | one line of JSON to whoever connects |
//! | `lvs-metrics.sock`, the port | the metrics over HTTP, path `/metrics` |
//!
//! Each has a thread of its own, and none can hold up the owner or another; see [`daemonkit::answering`]. A port that is
//! asked for on the command line is there from the start or the director does not start. One that the file asks for may
//! come later: the director serves without it, says so, and tries again.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use daemonkit::answering::{Listener, Serving};
use daemonkit::clock::Mono;
use daemonkit::http::Page;
use lvs_ipc::exposition::CONTENT_TYPE;
use lvs_ipc::metrics;
use lvs_ipc::status::{LVS_METRICS_SOCKET, LVS_SOCKET, LvsStatus};

use crate::snapshots::{Snapshots, Written};

/// The status is for root and its group.
const SOCKET_MODE: u32 = 0o660;
/// What is served over HTTP.
const PAGE: Page = Page { path: "/metrics", content_type: CONTENT_TYPE };
/// Time between two attempts to listen at a port.
const RETRY: Duration = Duration::from_secs(5);

/// The sockets, before anybody is answered.
#[derive(Debug)]
pub struct Listeners {
    status: Listener,
    metrics: Listener,
    port: Option<Listener>,
}

impl Listeners {
    /// Opens the sockets in `run_dir` and the port of the command line, if there is one.
    ///
    /// # Errors
    /// The operating system's, with the place that it is about.
    pub fn open(run_dir: &Path, port: Option<SocketAddr>) -> anyhow::Result<Self> {
        let unix = |name| {
            let path = run_dir.join(name);
            Listener::unix(&path, SOCKET_MODE).with_context(|| format!("{}: cannot listen", path.display()))
        };
        let tcp =
            |address| Listener::tcp(address).with_context(|| format!("--metrics {address}: cannot listen"));
        Ok(Self {
            status: unix(LVS_SOCKET)?,
            metrics: unix(LVS_METRICS_SOCKET)?,
            port: port.map(tcp).transpose()?,
        })
    }
}

/// The sockets while they are served; dropping it ends that.
pub struct Telling {
    snapshots: Snapshots,
    _status: Serving,
    _metrics: Serving,
    port: Port,
}

/// The port.
enum Port {
    /// The command line's, for good.
    Fixed { _serving: Serving },
    /// The file's.
    Open { address: SocketAddr, _serving: Serving },
    /// None; the one that is wanted could not be opened, if one is.
    Closed { failed: Option<Failed> },
}

/// An address at which nobody could listen.
struct Failed {
    address: SocketAddr,
    due: Mono,
}

impl Telling {
    /// Starts to answer.
    ///
    /// # Errors
    /// When the operating system refuses a thread.
    pub fn start(listeners: Listeners, snapshots: Snapshots) -> io::Result<Self> {
        let Listeners { status, metrics, port } = listeners;
        Ok(Self {
            _status: serve_status(status, snapshots.clone())?,
            _metrics: serve_metrics(metrics, snapshots.clone())?,
            port: match port {
                Some(port) => Port::Fixed { _serving: serve_metrics(port, snapshots.clone())? },
                None => Port::Closed { failed: None },
            },
            snapshots,
        })
    }

    /// The file asks for this port, or for none. Opens, moves or closes it.
    pub fn want_port(&mut self, now: Mono, wanted: Option<SocketAddr>) {
        match (&mut self.port, wanted) {
            (Port::Fixed { .. }, _) | (Port::Closed { failed: None }, None) => {}
            (Port::Open { address, .. }, Some(wanted)) if *address == wanted => {}
            (Port::Closed { failed: Some(failed) }, Some(wanted))
                if failed.address == wanted && now < failed.due => {}
            (_, None) => self.port = Port::Closed { failed: None },
            (port, Some(wanted)) => {
                let again = matches!(port, Port::Closed { failed: Some(failed) } if failed.address == wanted);
                // Two addresses may need the same port.
                *port = Port::Closed { failed: None };
                self.open_port(now, wanted, again);
            }
        }
    }

    fn open_port(&mut self, now: Mono, address: SocketAddr, again: bool) {
        let opened = Listener::tcp(address).and_then(|port| serve_metrics(port, self.snapshots.clone()));
        self.port = match opened {
            Ok(serving) => {
                tracing::info!(%address, "metrics are served");
                Port::Open { address, _serving: serving }
            }
            Err(error) => {
                if !again {
                    tracing::error!(%address, %error, retry_in = ?RETRY, "metrics: cannot listen");
                }
                Port::Closed { failed: Some(Failed { address, due: now + RETRY }) }
            }
        };
    }
}

/// Gives whoever connects a snapshot as one line of JSON; nothing while there is none.
fn serve_status(listener: Listener, snapshots: Snapshots) -> io::Result<Serving> {
    let mut written = Written::default();
    listener.serve("status", move |_| {
        let line = snapshots.get().map(|snapshot| written.text(&snapshot, as_json));
        Some(Arc::from(line.as_deref().unwrap_or_default().as_bytes()))
    })
}

fn serve_metrics(listener: Listener, snapshots: Snapshots) -> io::Result<Serving> {
    let mut written = Written::default();
    listener.serve("metrics", move |heard| {
        PAGE.answer(heard, || Some(written.text(&snapshots.get()?, metrics::render)))
    })
}

fn as_json(status: &LvsStatus) -> String {
    serde_json::to_string(status).map(|line| line + "\n").unwrap_or_else(|error| {
        tracing::error!(%error, "cannot write the status");
        String::new()
    })
}
