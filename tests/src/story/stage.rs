//! The cluster of a plan, built inside the kernel: routers with the file, stand-ins for the real servers, a client
//! for each virtual server. What can be asked of them is asked as any user of the suite would: by the status socket
//! of `pulse`, the kernel's table, the addresses of the interfaces.

use std::{
    collections::BTreeMap,
    fs,
    io::Read as _,
    net::{IpAddr, SocketAddr},
    os::unix::net::UnixStream,
    path::Path,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, Result, anyhow};
use lvs_ipc::status::{Health, LVS_SOCKET, LvsStatus, PULSE_SOCKET, Peer, PulseStatus, RUN_DIR, Role, Since};
use nix::mount::{MsFlags, mount};
use serde::de::DeserializeOwned;

use super::{
    answer::MARKER,
    event::{Condition, Look, RouterLook, ServerLook, ServiceLook},
    plan::{Machine, Plan, RouterPlan, Service},
};
use crate::{
    Behaviour, Capture, Cluster, Host, HostSpec, Lab, Match, Probe, ProbeReport, Program, RealServer, Signal,
    journal::locked, realserver::Recital,
};

/// Where both routers find the file.
const CONFIG: &str = "/etc/sysconfig/ha/lvs.cf";
/// Each client asks so often within a `keepalive`, as outages are measured against it ...
const PER_KEEPALIVE: u32 = 25;
/// ... but not more often, nor more seldom, than this.
const PACES: [Duration; 2] = [Duration::from_millis(10), Duration::from_millis(40)];
/// Clients at full pace; many together are slower, so that the lab's processor is not the bottleneck.
const BRISK: u32 = 2;
/// How long the status socket may take.
const STATUS_PATIENCE: Duration = Duration::from_secs(1);
/// The stretch of time behind a rate.
const RATE: Duration = Duration::from_secs(1);

/// A router.
pub(super) struct Router {
    pub(super) host: Host,
    pub(super) plan: RouterPlan,
    pulse: Mutex<Option<Program>>,
    cut: AtomicBool,
}

/// Everything that plays a part.
pub(super) struct Stage<'a> {
    pub(super) lab: &'a Lab,
    pub(super) plan: &'a Plan,
    pub(super) routers: Vec<Router>,
    servers: Vec<RealServer>,
    client: Host,
    clients: Mutex<Vec<Probe>>,
    cluster: Cluster,
    step_began: Mutex<Duration>,
}

impl<'a> Stage<'a> {
    /// Builds it; the servers answer, nothing runs on the routers, nobody asks.
    pub(super) fn build(lab: &'a Lab, plan: &'a Plan) -> Result<Self> {
        let cluster = cluster(lab, plan)?;
        let client = cluster.client()?;
        let routes: Vec<String> =
            plan.on_link.iter().map(|(vip, device)| format!("route add {vip}/32 dev {device}")).collect();
        client.ip(&routes)?;
        let mut routers = Vec::new();
        for router in &plan.routers {
            let host = cluster.host(&router.name)?;
            provide(&host, plan)?;
            routers.push(Router {
                host,
                plan: router.clone(),
                pulse: Mutex::default(),
                cut: AtomicBool::new(false),
            });
        }
        let mut servers = Vec::new();
        for machine in &plan.machines {
            let ports: Vec<u16> = machine.ports.iter().map(|(port, _)| *port).collect();
            let server = cluster.host(&machine.name)?.real_server(&ports)?;
            recite(&server, machine)?;
            servers.push(server);
        }

        Ok(Self {
            lab,
            plan,
            routers,
            servers,
            client,
            clients: Mutex::default(),
            cluster,
            step_began: Mutex::default(),
        })
    }

    /// Lets the clients ask, one for each virtual server, until [`Stage::hush`].
    pub(super) fn send_clients(&self) -> Result<()> {
        let many = u32::try_from(self.plan.services.len()).unwrap_or(u32::MAX);
        let pace =
            (self.plan.keepalive / PER_KEEPALIVE).clamp(PACES[0], PACES[1]) * many.div_ceil(BRISK).max(1);
        for service in &self.plan.services {
            let target = SocketAddr::new(service.vip.into(), service.port);
            let probe = self.client.probe(target).every(pace).marker(MARKER);
            let probe = if service.udp { probe.udp() } else { probe };
            locked(&self.clients).push(probe.start()?);
        }
        Ok(())
    }

    /// Ends the clients.
    pub(super) fn hush(&self) -> Result<()> {
        let clients = std::mem::take(&mut *locked(&self.clients));
        clients.into_iter().try_for_each(|client| client.stop().map(drop))
    }

    /// What each client saw from `from` on.
    pub(super) fn seen(&self, from: Duration) -> Vec<ProbeReport> {
        locked(&self.clients).iter().map(|client| client.report_since(from)).collect()
    }

    /// From now on requests are counted anew.
    pub(super) fn begin_step(&self) {
        *locked(&self.step_began) = self.lab.now();
    }

    /// A machine stops or begins to answer on all its ports.
    pub(super) fn set_alive(&self, machine: usize, alive: bool) -> Result<()> {
        let server = self.servers.get(machine).ok_or_else(|| anyhow!("no machine {machine}"))?;
        if alive { recite(server, &self.plan.machines[machine]) } else { server.behave(&Behaviour::Refuse) }
    }

    /// Captures on every network.
    pub(super) fn listen(&self) -> Result<Vec<Capture>> {
        self.plan.networks.iter().map(|(bridge, _)| self.cluster.capture(bridge)).collect()
    }

    /// Times of the gratuitous ARPs about each moving address that a router has sent, as captured.
    pub(super) fn announcements(
        &self,
        router: usize,
        captures: &[Capture],
    ) -> BTreeMap<IpAddr, Vec<Duration>> {
        let macs: Vec<[u8; 6]> = self.routers[router].host.links().iter().map(crate::Link::mac).collect();
        let mut found = BTreeMap::new();
        for (at, arp) in captures.iter().flat_map(Capture::arps) {
            let moving = self.plan.floating.contains(&arp.sender_ip) && macs.contains(&arp.sender_mac);
            if arp.is_gratuitous() && moving {
                found.entry(IpAddr::V4(arp.sender_ip)).or_insert_with(Vec::new).push(at);
            }
        }
        found
    }

    /// The index of the one router that serves; of those whose cables are cut nothing is known.
    pub(super) fn active(&self) -> Option<usize> {
        let roles: Vec<_> =
            self.routers.iter().map(|router| router.role().filter(|_| !router.is_cut())).collect();
        let mut active = roles.iter().enumerate().filter(|(_, role)| **role == Some(Role::Active));
        let first = active.next()?.0;
        active.next().is_none().then_some(first)
    }

    /// The weight of each member of each virtual server in a router's table; nothing for one that is not there.
    pub(super) fn weights(&self, router: usize) -> Vec<Vec<Option<i32>>> {
        let table = self.routers[router].host.ipvs_table().unwrap_or_default();
        let of = |service: &Service| {
            let vip = SocketAddr::new(service.vip.into(), service.port);
            let wanted = if service.udp { Match::Udp(vip) } else { Match::Tcp(vip) };
            let row = table.iter().find(|row| row.matches == wanted);
            let weight = |machine: usize, port: u16| {
                let at = SocketAddr::new(self.plan.machines[machine].address.into(), port);
                row.and_then(|row| row.destination(at)).map(|destination| destination.weight)
            };
            let members = service.members.iter().map(|member| weight(member.machine, member.port));
            members.chain(service.sorry.map(|machine| weight(machine, service.port))).collect()
        };
        self.plan.services.iter().map(of).collect()
    }

    /// How everything looks.
    pub(super) fn look(&self) -> Look {
        let at = self.lab.now();
        let weights = self.active().map(|router| self.weights(router));
        let seen = self.seen((*locked(&self.step_began)).min(at.saturating_sub(RATE)));
        let services = self.plan.services.iter().enumerate().map(|(n, service)| {
            let empty = ProbeReport::default();
            let weights = weights.as_ref().and_then(|weights| weights.get(n));
            self.service_look(service, weights.map(Vec::as_slice), seen.get(n).unwrap_or(&empty), at)
        });
        let services = services.collect();
        Look { at, routers: self.routers.iter().map(Router::look).collect(), services }
    }

    fn service_look(
        &self,
        service: &Service,
        weights: Option<&[Option<i32>]>,
        seen: &ProbeReport,
        now: Duration,
    ) -> ServiceLook {
        let in_step = seen.since(*locked(&self.step_began));
        let recent = seen.since(now.saturating_sub(RATE));
        let (totals, recents) = (in_step.servers(), recent.servers());
        let server = |n: usize, name: &str, machine: usize, sorry: bool| {
            let host = self.plan.machines[machine].name.as_str();
            ServerLook {
                name: name.to_owned(),
                weight: weights.and_then(|weights| weights.get(n).copied().flatten()),
                sorry,
                recent: recents.get(host).copied().unwrap_or(0),
                total: totals.get(host).copied().unwrap_or(0),
            }
        };
        let members = service.members.iter().enumerate();
        let members = members.map(|(n, member)| server(n, &member.name, member.machine, false));
        let sorry = service.sorry.map(|machine| server(service.members.len(), "sorry server", machine, true));
        ServiceLook {
            name: service.name.clone(),
            place: format!("{} {}", service.place(), service.scheduler),
            failed: in_step.failures().len(),
            servers: members.chain(sorry).collect(),
        }
    }
}

impl Router {
    /// Its name.
    pub(super) fn name(&self) -> &str {
        &self.plan.name
    }

    /// Starts `pulse` as an init script would, but in the foreground.
    pub(super) fn start(&self) -> Result<()> {
        *locked(&self.pulse) = Some(self.host.program("pulse").args(["-n", "-c", CONFIG]).start()?);
        Ok(())
    }

    /// Asks `pulse` to end.
    pub(super) fn terminate(&self) -> Result<()> {
        self.pulse()?.signal(Signal::SIGTERM)
    }

    /// Waits for the end of `pulse` and returns its exit code; none after a signal.
    pub(super) fn ended(&self, within: Duration) -> Result<Option<i32>> {
        Ok(self.pulse()?.wait_exit(within)?.code())
    }

    fn pulse(&self) -> Result<Program> {
        locked(&self.pulse).clone().ok_or_else(|| anyhow!("no pulse was started on {}", self.name()))
    }

    /// Pulls all cables, or plugs them in.
    pub(super) fn set_cut(&self, cut: bool) -> Result<()> {
        self.cut.store(cut, Ordering::Relaxed);
        self.host.links().iter().try_for_each(|link| if cut { link.cut() } else { link.restore() })
    }

    fn is_cut(&self) -> bool {
        self.cut.load(Ordering::Relaxed)
    }

    /// What its `pulse` says of itself, if it runs.
    pub(super) fn status(&self) -> Option<PulseStatus> {
        self.ask(PULSE_SOCKET)
    }

    /// The real servers that its `lvs` does not use, and why, in words.
    pub(super) fn unused(&self) -> Vec<String> {
        let Some(status) = self.ask::<LvsStatus>(LVS_SOCKET) else {
            return vec!["lvs does not run".to_owned()];
        };
        let mut found = Vec::new();
        for service in &status.virtual_servers {
            for server in service.real_servers.iter().filter(|server| server.health.state != Health::Up) {
                let Since { state, reason, .. } = &server.health;
                found.push(format!("{} of {} is {state}: {reason}", server.name, service.name));
            }
        }
        found
    }

    /// What stands on a status socket, if somebody serves it.
    fn ask<T: DeserializeOwned>(&self, socket: &str) -> Option<T> {
        let socket = Path::new(RUN_DIR).join(socket);
        let read = || -> std::io::Result<String> {
            let mut stream = UnixStream::connect(&socket)?;
            stream.set_read_timeout(Some(STATUS_PATIENCE))?;
            let mut text = String::new();
            stream.read_to_string(&mut text)?;
            Ok(text)
        };
        serde_json::from_str(&self.host.enter(read).ok()?.ok()?).ok()
    }

    /// Its role, if its `pulse` runs.
    pub(super) fn role(&self) -> Option<Role> {
        self.status().map(|status| status.role.state)
    }

    /// The moving addresses that its interfaces really have.
    pub(super) fn held(&self, plan: &Plan) -> Result<Vec<IpAddr>> {
        let rows = self.host.addresses()?;
        let moving = plan.floating.iter().map(|address| IpAddr::V4(*address));
        Ok(moving.filter(|address| rows.iter().any(|row| row.address == *address)).collect())
    }

    fn look(&self) -> RouterLook {
        let (name, cut) = (self.name().to_owned(), self.is_cut());
        let Some(status) = self.status() else {
            return RouterLook {
                name,
                condition: Condition::Off,
                cut,
                holds: Vec::new(),
                peer: String::new(),
            };
        };
        let condition = match status.role.state {
            Role::Active => Condition::Active,
            Role::TakingOver | Role::Releasing => Condition::Changing,
            Role::Backup => Condition::Backup,
        };
        let present = status.addresses.iter().filter(|address| address.present);
        let plain = |text: &str| text.split('/').next().unwrap_or(text).to_owned();
        let heard: Vec<&str> =
            status.paths.iter().filter(|path| path.heard.state).map(|path| path.name.as_str()).collect();
        let peer = match status.peer.as_ref().map(|peer| peer.state) {
            Some(Peer::Active | Peer::Backup) if !heard.is_empty() => {
                format!("hears the other on {}", heard.join(" and "))
            }
            Some(Peer::Dead) => "takes the other for dead".to_owned(),
            _ => "hears nobody".to_owned(),
        };
        RouterLook { name, condition, cut, holds: present.map(|a| plain(&a.address)).collect(), peer }
    }
}

/// The hosts and their cables.
fn cluster(lab: &Lab, plan: &Plan) -> Result<Cluster> {
    let plugged = |host: HostSpec, interfaces: &[super::plan::Interface]| {
        let one = |host: HostSpec, i: &super::plan::Interface| {
            host.interface(&i.name, &i.bridge, i.addresses.clone())
        };
        interfaces.iter().fold(host, one)
    };
    let mut builder = lab.cluster().host(plugged(HostSpec::new("client"), &plan.client));
    for router in &plan.routers {
        builder = builder.host(plugged(HostSpec::new(&router.name), &router.interfaces).forwarding());
    }
    for machine in &plan.machines {
        let host = HostSpec::new(&machine.name).interface("eth0", "inside", [machine.cidr.clone()]);
        builder = builder.host(host.gateway(&plan.gateway.to_string()));
    }
    builder.build()
}

/// Gives a router the file, and the names in it, as there is no name server.
fn provide(router: &Host, plan: &Plan) -> Result<()> {
    let hosts = plan.names.iter().fold("127.0.0.1 localhost\n".to_owned(), |text, (name, address)| {
        text + &format!("{address} {name}\n")
    });
    router
        .enter(|| -> Result<()> {
            fs::write(CONFIG, &plan.text).with_context(|| format!("write {CONFIG}"))?;
            if plan.names.is_empty() {
                return Ok(());
            }
            let mine = "/run/hosts";
            fs::write(mine, hosts).with_context(|| format!("write {mine}"))?;
            mount(Some(mine), "/etc/hosts", None::<&str>, MsFlags::MS_BIND, None::<&str>)
                .context("put the file's names in place of /etc/hosts")
        })?
        .with_context(|| format!("in host {}", router.name()))
}

fn recite(server: &RealServer, machine: &Machine) -> Result<()> {
    machine.ports.iter().try_for_each(|(port, answer)| {
        let recital = Recital { text: answer.of(&machine.name), speaks_first: answer.speaks_first };
        server.behave_on(*port, Behaviour::Recite(recital))
    })
}
