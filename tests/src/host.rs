//! A host of the cluster: a network namespace and a mount namespace, and what can be done inside.

use std::{
    collections::BTreeMap,
    fmt, fs,
    net::{SocketAddr, TcpStream, UdpSocket},
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

use anyhow::{Context as _, Result, anyhow};
use nix::{
    sys::signal::{Signal, kill},
    time::{ClockId, clock_getres},
    unistd::Pid,
};

use crate::{
    capture::Capture,
    ip::{self, Address},
    ipvs_table::{self, Service},
    journal::{Journal, locked},
    link::Link,
    namespace::{self, Namespaces},
    probe::ProbeBuilder,
    program::{Launch, Program, suite_binary},
    realserver::RealServer,
    source_ports::{SourcePorts, anywhere},
};

/// Read timeout of the sockets that [`Host::udp`] hands out, so that no test waits for ever.
const UDP_PATIENCE: Duration = Duration::from_secs(5);

/// A host; clones are handles of the same one.
#[derive(Clone)]
pub struct Host(Arc<Inner>);

struct Inner {
    name: Arc<str>,
    inside: Namespaces,
    links: Vec<Link>,
    journal: Arc<Journal>,
    programs: Mutex<Vec<Program>>,
    /// How many programs of each label were started.
    labels: Mutex<BTreeMap<String, usize>>,
    ports: SourcePorts,
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Host {
    pub(crate) fn new(name: &str, inside: Namespaces, links: Vec<Link>, journal: &Arc<Journal>) -> Self {
        Self(Arc::new(Inner {
            name: Arc::from(name),
            inside,
            links,
            journal: Arc::clone(journal),
            programs: Mutex::default(),
            labels: Mutex::default(),
            ports: SourcePorts::default(),
        }))
    }

    /// Its name (`r1`).
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The lab's journal.
    pub fn journal(&self) -> &Arc<Journal> {
        &self.0.journal
    }

    /// Notes a deed in the journal under this host's name.
    pub fn note(&self, deed: impl fmt::Display) {
        self.0.journal.note(&self.0.name, format!("[lab: {deed}]"));
    }

    /// Runs `work` on a thread inside the host: sockets it creates are the host's.
    ///
    /// # Errors
    /// When the thread cannot enter the host.
    pub fn enter<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T> {
        self.0.inside.run(work).with_context(|| format!("in host {}", self.name()))
    }

    pub(crate) fn try_enter<T: Send>(&self, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        self.0.inside.try_run(work).with_context(|| format!("in host {}", self.name()))
    }

    /// Moves the calling thread, made for it, into the host for good.
    pub(crate) fn join(&self) -> Result<()> {
        self.0.inside.join().with_context(|| format!("enter host {}", self.name()))
    }

    pub(crate) fn inside(&self) -> &Namespaces {
        &self.0.inside
    }

    // Programs.

    /// A binary of the suite, to be started here.
    pub fn program(&self, name: &str) -> Launch {
        Launch::new(self, name, suite_binary(name))
    }

    /// Any other program, by path or found along `PATH`.
    pub fn tool(&self, name: &str) -> Launch {
        let found = crate::paths::find_in_path(name);
        Launch::new(self, name, found.ok_or_else(|| anyhow!("{name} is not installed on this machine")))
    }

    pub(crate) fn adopt(&self, program: Program) {
        locked(&self.0.programs).push(program);
    }

    /// The journal's name for a program started here; a second one of the same label gets a number.
    pub(crate) fn unique_source(&self, label: &str) -> String {
        let mut labels = locked(&self.0.labels);
        let count = labels.entry(label.to_owned()).or_insert(0);
        *count += 1;
        match *count {
            1 => format!("{}/{label}", self.name()),
            n => format!("{}/{label}#{n}", self.name()),
        }
    }

    /// All programs started here, in order of their start.
    pub fn programs(&self) -> Vec<Program> {
        locked(&self.0.programs).clone()
    }

    // Addresses, links, settings.

    /// The addresses of all interfaces.
    ///
    /// # Errors
    /// When `ip` fails.
    pub fn addresses(&self) -> Result<Vec<Address>> {
        self.try_enter(ip::addresses)
    }

    /// Whether an address (without prefix length) is on any interface.
    ///
    /// # Errors
    /// As [`Host::addresses`]; also when `address` is none.
    pub fn has_address(&self, address: &str) -> Result<bool> {
        let wanted = address.parse::<std::net::IpAddr>().with_context(|| format!("address {address}"))?;
        Ok(self.addresses()?.iter().any(|row| row.address == wanted))
    }

    /// Adds an address (`10.1.0.100/24`) to an interface, without IPv6 duplicate address detection.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn add_address(&self, interface: &str, address: &str) -> Result<()> {
        self.note(format_args!("address {address} added to {interface}"));
        self.ip(&[crate::topology::add_address_line(interface, address)])
    }

    /// Removes an address from an interface.
    ///
    /// # Errors
    /// When it is not there.
    pub fn remove_address(&self, interface: &str, address: &str) -> Result<()> {
        self.note(format_args!("address {address} removed from {interface}"));
        self.ip(&[format!("address del {address} dev {interface}")])
    }

    /// Runs `ip` with each line, as one batch (`"route add default via 10.2.0.1"`).
    ///
    /// # Errors
    /// At the first line that fails; names it.
    pub fn ip(&self, lines: &[impl AsRef<str>]) -> Result<()> {
        let lines: Vec<String> = lines.iter().map(|line| line.as_ref().to_owned()).collect();
        self.try_enter(|| ip::batch("ip", &lines))
    }

    /// The link of an interface.
    ///
    /// # Errors
    /// When there is no such interface.
    pub fn link(&self, interface: &str) -> Result<Link> {
        let found = self.0.links.iter().find(|link| link.interface == interface);
        found.cloned().ok_or_else(|| anyhow!("host {} has no interface {interface}", self.name()))
    }

    /// All its links.
    pub fn links(&self) -> &[Link] {
        &self.0.links
    }

    /// Sets a kernel setting of this host's network (`net.ipv4.ip_forward`).
    ///
    /// # Errors
    /// When the kernel refuses or does not have it.
    pub fn set_sysctl(&self, key: &str, value: &str) -> Result<()> {
        self.try_enter(|| namespace::write_sysctl(key, value))
    }

    /// Reads a kernel setting.
    ///
    /// # Errors
    /// When the kernel does not have it.
    pub fn sysctl(&self, key: &str) -> Result<String> {
        self.try_enter(|| namespace::read_sysctl(key))
    }

    // Files.

    /// Writes a file as this host sees it, parents included. `/run`, `/etc/sysconfig/ha` and `/var/lib/lvs-router` are
    /// each host's own; everything else is shared by all hosts.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write_file(&self, path: impl AsRef<Path>, content: impl AsRef<[u8]>) -> Result<PathBuf> {
        let (path, content) = (path.as_ref(), content.as_ref());
        self.enter(|| -> std::io::Result<()> {
            if let Some(folder) = path.parent() {
                fs::create_dir_all(folder)?;
            }
            fs::write(path, content)
        })?
        .with_context(|| format!("write {} in {}", path.display(), self.name()))?;
        Ok(path.to_owned())
    }

    /// Reads a file as this host sees it.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read_file(&self, path: impl AsRef<Path>) -> Result<String> {
        let path = path.as_ref();
        self.enter(|| fs::read_to_string(path))?
            .with_context(|| format!("read {} in {}", path.display(), self.name()))
    }

    // The kernel's table, sockets, players.

    /// The IPVS table of this host.
    ///
    /// # Errors
    /// When the kernel has no IPVS or shows a line that is not understood.
    pub fn ipvs_table(&self) -> Result<Vec<Service>> {
        let path = "/proc/thread-self/net/ip_vs";
        let text = self.enter(|| fs::read_to_string(path))?.context("this kernel shows no IPVS table")?;
        // The kernel prints persistence in ticks; the coarse clocks advance once a tick.
        let tick = clock_getres(ClockId::CLOCK_REALTIME_COARSE).context("length of a kernel tick")?;
        ipvs_table::parse(&text, Duration::from(tick))
    }

    /// A UDP socket of this host, bound to `address` (port 0: one that no other has), with a bounded read timeout.
    ///
    /// # Errors
    /// When it is no address, or cannot be bound.
    pub fn udp(&self, address: &str) -> Result<UdpSocket> {
        let from = address.parse().with_context(|| format!("address {address}"))?;
        self.enter(|| -> std::io::Result<UdpSocket> {
            let socket = self.ports().udp(from)?;
            socket.set_read_timeout(Some(UDP_PATIENCE))?;
            socket.set_broadcast(true)?;
            Ok(socket)
        })?
        .with_context(|| format!("bind UDP {address} in {}", self.name()))
    }

    /// Sends one datagram from a port of its own.
    ///
    /// # Errors
    /// When it cannot be sent.
    pub fn send_udp(&self, to: SocketAddr, payload: &[u8]) -> Result<()> {
        let from = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
        self.udp(from)?.send_to(payload, to).with_context(|| format!("send to {to}"))?;
        Ok(())
    }

    /// A TCP connection from this host and a port that no other has, with read and write timeouts of `within` too.
    ///
    /// # Errors
    /// When it is not established in time.
    pub fn connect(&self, to: SocketAddr, within: Duration) -> Result<TcpStream> {
        self.connect_from(anywhere(to), to, within)
    }

    /// The same from an address of this host's, and a port (0: one that no other has).
    ///
    /// # Errors
    /// When the address cannot be bound, and as [`Host::connect`].
    pub fn connect_from(&self, from: SocketAddr, to: SocketAddr, within: Duration) -> Result<TcpStream> {
        let stream = self
            .enter(|| self.ports().connect(from, to, within))?
            .with_context(|| format!("connect from {from} in {} to {to}", self.name()))?;
        stream.set_read_timeout(Some(within))?;
        stream.set_write_timeout(Some(within))?;
        Ok(stream)
    }

    /// Where its connections come from; to be used by threads that are inside.
    pub(crate) fn ports(&self) -> &SourcePorts {
        &self.0.ports
    }

    /// Starts a scripted real server on TCP and UDP ports; it answers with this host's name.
    ///
    /// # Errors
    /// When a port cannot be bound.
    pub fn real_server(&self, ports: &[u16]) -> Result<RealServer> {
        RealServer::start(self, ports)
    }

    /// A client to be started here that sends requests to `target` and records every answer and outage.
    pub fn probe(&self, target: SocketAddr) -> ProbeBuilder {
        ProbeBuilder::new(self, target)
    }

    /// Captures what this host's interface sends and receives.
    ///
    /// # Errors
    /// When the interface does not exist.
    pub fn capture(&self, interface: &str) -> Result<Capture> {
        Capture::start(&self.0.inside, interface, &self.0.journal)
    }

    /// Ends everything inside as a power cut would: by KILL, by id, the last started first.
    pub(crate) fn shut_down(&self) {
        for program in self.programs().iter().rev() {
            program.kill_at_the_end();
        }
        for pid in self.0.inside.processes().unwrap_or_default() {
            if u32::try_from(pid).is_ok_and(|pid| pid != std::process::id()) {
                // It may end by itself meanwhile, which is as good.
                let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
            }
        }
    }
}
