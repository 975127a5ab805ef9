//! A director with very many virtual servers. The real servers are addresses of its own host, which all answer. Services
//! of firewall marks are somebody else's.

use std::{io::Read as _, os::unix::net::UnixStream, time::Duration};

use anyhow::{Context as _, Result};
use lab::{
    Balancing, Cluster, Host, HostSpec, Lab, Match, Program, REAL_SERVERS, RealServer, Service, eventually,
};
use lvs_ipc::status::LvsStatus;

use crate::one_router::CONFIG;

/// Patience with what is large.
pub(super) const LONG: Duration = Duration::from_secs(30);

/// The world.
pub(super) struct Crowd {
    pub(super) host: Host,
    _answers: RealServer,
    _cluster: Cluster,
}

impl Crowd {
    pub(super) fn new(lab: &Lab) -> Result<Self> {
        let cluster = lab.cluster().host(HostSpec::new("crowd")).build()?;
        let host = cluster.host("crowd")?;
        host.ip(&["link set lo up", &format!("route add local {REAL_SERVERS} dev lo")])?;
        let answers = host.real_server(&[80])?;
        Ok(Self { host, _answers: answers, _cluster: cluster })
    }

    /// Writes the file without telling anybody.
    pub(super) fn write(&self, file: &Balancing) -> Result<()> {
        self.host.write_file(CONFIG, file.lvs_cf())?;
        Ok(())
    }

    /// Starts `lvs` with this file and waits until all of it is in the kernel.
    pub(super) fn serve(&self, file: &Balancing) -> Result<Program> {
        self.start(file, &["--nodaemon", "-c", CONFIG])
    }

    /// The same; it tells its requests to the kernel in the log.
    pub(super) fn serve_verbosely(&self, file: &Balancing) -> Result<Program> {
        self.start(file, &["--nodaemon", "-v", "-c", CONFIG])
    }

    fn start(&self, file: &Balancing, arguments: &[&str]) -> Result<Program> {
        self.write(file)?;
        let lvs = self.host.program("lvs").args(arguments).start()?;
        lvs.wait_for_line("^ready$", LONG)?;
        self.wait_until_equal(file)?;
        Ok(lvs)
    }

    /// Waits until the kernel has what the file has.
    pub(super) fn wait_until_equal(&self, file: &Balancing) -> Result<()> {
        eventually(LONG, "the table to be the file's", || {
            let (own, _) = self.table().map_err(|error| format!("{error:#}"))?;
            file.equals(&own).map_err(|error| format!("{error:#}"))
        })
    }

    /// The kernel's table: the services of `lvs`, and those of others.
    pub(super) fn table(&self) -> Result<(Vec<Service>, Vec<Service>)> {
        let is_own = |service: &Service| !matches!(service.matches, Match::FwMark(_));
        Ok(self.host.ipvs_table()?.into_iter().partition(is_own))
    }

    /// What `lvs` says of itself: a line too long for the journal.
    pub(super) fn status(&self) -> Result<LvsStatus> {
        let read = || -> std::io::Result<String> {
            let mut stream = UnixStream::connect("/run/lvs-router/lvs.sock")?;
            stream.set_read_timeout(Some(LONG))?;
            let mut text = String::new();
            stream.read_to_string(&mut text)?;
            Ok(text)
        };
        let text = self.host.enter(read)?.context("ask lvs for its status")?;
        serde_json::from_str(&text).context("understand the status")
    }
}
