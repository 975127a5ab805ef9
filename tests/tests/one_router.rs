//! One router that runs `lvs`, its real servers and a client: the world of the scenarios in which nothing fails over.

use std::{
    collections::BTreeMap,
    fmt, fs,
    io::{BufRead as _, BufReader, Write as _},
    net::{IpAddr, SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use lab::{Cluster, Host, Lab, Match, Probe, Program, RealServer, Service, at, eventually, standard};
use lvs_ipc::status::LvsStatus;
use regex::Regex;
use socket2::SockRef;

/// Where `lvs` finds its configuration.
pub(crate) const CONFIG: &str = "/etc/sysconfig/ha/lvs.cf";
/// Patience for what takes a moment on a busy machine.
pub(crate) const SOON: Duration = Duration::from_secs(10);
/// The ports of every real server.
pub(crate) const PORTS: [u16; 4] = [53, 80, 443, 7070];

/// Time between two requests of a probe.
const PACE: Duration = Duration::from_millis(20);
/// A request that is not answered by then is lost: a busy machine is faster, and a lost packet is sent again later.
const LOST: Duration = Duration::from_millis(900);
/// The kernel adds its counters up every two seconds only; the last packets of a connection that has ended, and an
/// acknowledgement that is put off, are later by less.
const LATE_PACKETS: Duration = Duration::from_millis(2200);

/// The world.
pub(crate) struct OneRouter {
    pub(crate) client: Host,
    pub(crate) router: Host,
    pub(crate) servers: Vec<RealServer>,
    /// Who is where.
    names: BTreeMap<IpAddr, String>,
    _cluster: Cluster,
}

impl OneRouter {
    /// The standard cluster with this many real servers, whose gateway is the router.
    pub(crate) fn nat(lab: &Lab, real_servers: u8) -> Result<Self> {
        let world = Self::on(lab.cluster().routers(1).real_servers(real_servers).build()?)?;
        be_gateway(&world.router)?;
        Ok(world)
    }

    /// Any cluster with one standard router and real servers. The router gets three VIPs.
    pub(crate) fn on(cluster: Cluster) -> Result<Self> {
        let router = cluster.router(1)?;
        for vip in ["10.1.0.100/24", "10.1.0.101/24", "fd00:1::100/64"] {
            router.add_address("eth0", vip)?;
        }
        let mut servers = Vec::new();
        let mut names = BTreeMap::new();
        for host in cluster.hosts().iter().filter(|host| host.name().starts_with("rs")) {
            names.extend(host.addresses()?.into_iter().map(|row| (row.address, host.name().to_owned())));
            servers.push(host.real_server(&PORTS)?);
        }
        Ok(Self { client: cluster.client()?, router, servers, names, _cluster: cluster })
    }

    /// Real server `n`, from 1.
    pub(crate) fn server(&self, n: usize) -> &RealServer {
        &self.servers[n - 1]
    }

    // The director.

    /// Starts `lvs` with this file and waits until it is ready. It tells its requests to the kernel in the log.
    pub(crate) fn start_lvs(&self, file: impl fmt::Display) -> Result<Program> {
        self.write(file)?;
        let lvs = self.router.program("lvs").args(["--nodaemon", "-v", "-c", CONFIG]).start()?;
        lvs.wait_for_line("^ready$", SOON)?;
        Ok(lvs)
    }

    /// The same, and waits until these servers of the first service have these weights.
    pub(crate) fn serve(&self, file: impl fmt::Display, weights: &[(&str, i32)]) -> Result<Program> {
        let lvs = self.start_lvs(file)?;
        self.wait_for_weights(web(), weights)?;
        Ok(lvs)
    }

    /// Writes the file without telling anybody.
    pub(crate) fn write(&self, file: impl fmt::Display) -> Result<()> {
        self.router.write_file(CONFIG, file.to_string())?;
        Ok(())
    }

    /// What `lvs status` says.
    pub(crate) fn status(&self) -> Result<LvsStatus> {
        let shown = self.router.program("lvs").args(["status", "--json"]).run(SOON)?.success()?;
        serde_json::from_str(&shown.stdout).with_context(|| format!("status: {}", shown.stdout))
    }

    /// The monitors that a `lvs` runs, by what they check: process ids by service and real server.
    pub(crate) fn nannies(&self, lvs: &Program) -> Result<BTreeMap<String, i32>> {
        let mut found = BTreeMap::new();
        for pid in lvs.children()? {
            // One that ended meanwhile has no command line.
            let line = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let words: Vec<&str> = line.split('\0').collect();
            let value = |option| words.windows(2).find(|pair| pair[0] == option).map(|pair| pair[1]);
            if let (Some(vip), Some(port), Some(server)) = (value("-V"), value("-p"), value("-h")) {
                found.insert(format!("{vip}:{port} {server}"), pid);
            }
        }
        Ok(found)
    }

    // The kernel's table.

    /// A service of the kernel's table.
    pub(crate) fn service(&self, wanted: Match) -> Result<Service> {
        let table = self.router.ipvs_table()?;
        let found = table.iter().find(|service| service.matches == wanted);
        found.cloned().with_context(|| format!("no service {wanted} in {table:?}"))
    }

    /// The weights of a service by server.
    pub(crate) fn weights(&self, service: Match) -> Result<BTreeMap<String, i32>> {
        let rows = self.service(service)?.destinations.into_iter();
        let named = rows.map(|row| {
            let ip = row.address.ip();
            (self.names.get(&ip).cloned().unwrap_or_else(|| ip.to_string()), row.weight)
        });
        Ok(named.collect())
    }

    /// Waits until a service has exactly these servers with these weights.
    pub(crate) fn wait_for_weights(&self, service: Match, wanted: &[(&str, i32)]) -> Result<()> {
        let wanted: BTreeMap<String, i32> = wanted.iter().map(|(name, w)| ((*name).to_owned(), *w)).collect();
        eventually(SOON, &format!("{service} to have {wanted:?}"), || {
            let weights = self.weights(service).map_err(|error| format!("{error:#}"))?;
            if weights == wanted { Ok(()) } else { Err(format!("{weights:?}")) }
        })
    }

    /// Runs the C `ipvsadm`.
    pub(crate) fn ipvsadm(&self, line: &str) -> Result<String> {
        Ok(self.router.tool("ipvsadm").args(line.split(' ')).run(SOON)?.success()?.stdout)
    }

    /// Services and rows as rules of `ipvsadm`, and all that the kernel has counted, octet by octet.
    pub(crate) fn rows(&self) -> Result<String> {
        Ok(self.ipvsadm("-S -n")? + &self.counters()?)
    }

    /// Connections, packets and octets of each row, once the last packets of what has ended are through.
    pub(crate) fn counters(&self) -> Result<String> {
        let mut last = (Instant::now(), String::new());
        eventually(SOON, "the counters to stand still", || {
            let seen = self.ipvsadm("-L -n --stats --exact").map_err(|error| format!("{error:#}"))?;
            if seen != last.1 {
                last = (Instant::now(), seen);
            }
            if last.0.elapsed() > LATE_PACKETS { Ok(last.1.clone()) } else { Err(last.1.clone()) }
        })
    }

    // The client.

    /// One request on a connection of its own: who answered.
    pub(crate) fn ask(&self, to: SocketAddr) -> Result<String> {
        self.hold(to).map(|held| held.server)
    }

    /// Who answered so many requests, one after the other.
    pub(crate) fn ask_times(&self, to: SocketAddr, count: usize) -> Result<BTreeMap<String, usize>> {
        let mut answers = BTreeMap::new();
        for _ in 0..count {
            *answers.entry(self.ask(to)?).or_default() += 1;
        }
        Ok(answers)
    }

    /// A connection that stays open, and who is at its other end.
    pub(crate) fn hold(&self, to: SocketAddr) -> Result<Held> {
        Held::on(self.client.connect(to, SOON)?)
    }

    /// The same from an address of the client's, and a port (0: any).
    pub(crate) fn hold_from(&self, from: SocketAddr, to: SocketAddr) -> Result<Held> {
        Held::on(self.client.connect_from(from, to, SOON)?)
    }

    /// A client of the first service, once it has been served a few times.
    pub(crate) fn probe(&self) -> Result<Probe> {
        let probe = self.client.probe(http()).every(PACE).timeout(LOST).start()?;
        probe.wait_for_successes(5, SOON)?;
        Ok(probe)
    }
}

/// An open connection through the VIP.
pub(crate) struct Held {
    stream: BufReader<TcpStream>,
    /// Who answered first.
    pub(crate) server: String,
}

impl Held {
    fn on(stream: TcpStream) -> Result<Self> {
        let mut held = Self { stream: BufReader::new(stream), server: String::new() };
        held.server = held.ask()?;
        Ok(held)
    }

    /// Ends the connection at once, without saying goodbye.
    pub(crate) fn reset(self) -> Result<()> {
        SockRef::from(self.stream.get_ref()).set_linger(Some(Duration::ZERO)).context("reset a connection")
    }

    /// Asks again on the same connection.
    pub(crate) fn ask(&mut self) -> Result<String> {
        self.stream.get_mut().write_all(b"hello\n").context("send on an open connection")?;
        let mut line = String::new();
        self.stream.read_line(&mut line).context("answer on an open connection")?;
        ensure!(line.ends_with('\n'), "the open connection was closed");
        Ok(line.trim_end().to_owned())
    }
}

/// Makes a standard router the gateway of its real servers, in both families.
pub(crate) fn be_gateway(router: &Host) -> Result<()> {
    [standard::NAT_ROUTER, standard::NAT_ROUTER6]
        .into_iter()
        .try_for_each(|it| router.add_address("eth1", it))
}

/// The first service: TCP port 80 of the first VIP.
pub(crate) fn web() -> Match {
    Match::Tcp(http())
}

/// Where the first service is.
pub(crate) fn http() -> SocketAddr {
    at(standard::vip(0), 80)
}

/// Answers by server, as [`OneRouter::ask_times`] counts them.
pub(crate) fn counts(expected: &[(&str, usize)]) -> BTreeMap<String, usize> {
    expected.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
}

/// Requests that `lvs` sent to the kernel from a mark of the journal on, as lines of `ipvsadm`.
pub(crate) fn requests_since(lab: &Lab, lvs: &Program, mark: usize) -> Result<Vec<String>> {
    let request = Regex::new("kernel request=\"(.*)\"")?;
    let (entries, _) = lab.journal().all();
    let lines = entries.iter().skip(mark).filter(|entry| *entry.source == *lvs.name());
    Ok(lines.filter_map(|entry| Some(request.captures(&entry.text)?[1].to_owned())).collect())
}
