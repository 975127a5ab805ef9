//! Two routers with the whole suite, two real servers and a client: the world of the failover scenarios.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use lab::{
    Cluster, Failure, Host, Lab, Outage, Probe, Program, RealServer, Request, Stalls, at, eventually,
    standard,
};
use lvs_ipc::status::{PulseStatus, Role};

/// Where every host finds its configuration.
pub(crate) const CONFIG: &str = "/etc/sysconfig/ha/lvs.cf";
/// The two floating addresses of [`Pair`]: the VIP and the real servers' gateway.
pub(crate) const FLOATING: [&str; 2] = ["10.1.0.100", "10.2.0.1"];
/// Patience for what takes a moment on a busy machine.
pub(crate) const SOON: Duration = Duration::from_secs(10);
/// What an outage may take beyond the timers.
pub(crate) const GRACE: Duration = Duration::from_millis(200);

/// How long the machine must have stood still for a request that nobody answered in time to be its fault.
const EXCUSE: Duration = Duration::from_millis(300);

/// Heartbeat timers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timers {
    pub(crate) keepalive: Duration,
    pub(crate) deadtime: Duration,
}

impl Timers {
    /// Timers in milliseconds.
    pub(crate) const fn millis(keepalive: u64, deadtime: u64) -> Self {
        Self { keepalive: Duration::from_millis(keepalive), deadtime: Duration::from_millis(deadtime) }
    }

    /// The longest outage that a crash of the active router may cause.
    pub(crate) fn crash_limit(self) -> Duration {
        self.deadtime + self.keepalive + GRACE
    }
}

/// The world.
pub(crate) struct Pair {
    pub(crate) cluster: Cluster,
    pub(crate) routers: [Host; 2],
    /// What the machine had no time for.
    stalls: Stalls,
    /// They serve as long as this is here.
    _servers: [RealServer; 2],
}

/// The configuration of both routers, with more directives at its top level. Checks are rare and patient: health is not
/// the subject here, and a machine that is busy must not look like a server that is ill.
pub(crate) fn config(timers: Timers, more: &str) -> String {
    let Timers { keepalive, deadtime } = timers;
    format!(
        "serial_no = 1\nprimary = 10.1.0.11\nprimary_private = 10.2.0.11\nbackup = 10.1.0.12\n\
         backup_private = 10.2.0.12\nbackup_active = 1\nkeepalive = {}ms\ndeadtime = {}ms\nnetwork = nat\n\
         nat_router = 10.2.0.1 eth1:1\nnat_nmask = 255.255.255.0\n{more}\n\
         virtual web {{\n active = 1\n address = 10.1.0.100 eth0:1\n vip_nmask = 255.255.255.0\n port = 80\n\
         scheduler = rr\n timeout = 3\n reentry = 3\n\
         server one {{\n address = 10.2.0.101\n active = 1\n }}\n\
         server two {{\n address = 10.2.0.102\n active = 1\n }}\n}}\n",
        keepalive.as_millis(),
        deadtime.as_millis(),
    )
}

impl Pair {
    /// Two routers with their configuration, on which nothing runs yet.
    pub(crate) fn new(lab: &Lab, timers: Timers, more: &str) -> Result<Self> {
        let cluster = lab.cluster().routers(2).real_servers(2).build()?;
        let routers = [cluster.router(1)?, cluster.router(2)?];
        let servers =
            [cluster.real_server(1)?.real_server(&[80])?, cluster.real_server(2)?.real_server(&[80])?];
        for router in &routers {
            router.write_file(CONFIG, config(timers, more))?;
        }
        Ok(Self { cluster, routers, stalls: Stalls::watch(lab.journal())?, _servers: servers })
    }

    /// A pair of which router 1, the primary, serves with both real servers, and its two pulses.
    pub(crate) fn serving(lab: &Lab, timers: Timers, more: &str) -> Result<(Self, [Program; 2])> {
        let pair = Self::new(lab, timers, more)?;
        let pulses = [pair.start(1)?, pair.start(2)?];
        pair.wait_until_serving(1)?;
        pair.wait_for_role(2, Role::Backup)?;
        Ok((pair, pulses))
    }

    /// Router `n`, 1 or 2.
    pub(crate) fn router(&self, n: usize) -> &Host {
        &self.routers[n - 1]
    }

    /// Starts `pulse` on router `n`.
    pub(crate) fn start(&self, n: usize) -> Result<Program> {
        self.router(n).program("pulse").args(["-n"]).start()
    }

    /// What `pulse status` says on router `n`.
    pub(crate) fn status(&self, n: usize) -> Result<PulseStatus> {
        let shown = self.router(n).program("pulse").args(["status", "--json"]).run(SOON)?.success()?;
        serde_json::from_str(&shown.stdout).with_context(|| format!("status of router {n}: {}", shown.stdout))
    }

    /// Waits until `pulse status` on router `n` shows this role.
    pub(crate) fn wait_for_role(&self, n: usize, role: Role) -> Result<PulseStatus> {
        eventually(SOON, &format!("router {n} to be {role}"), || {
            let status = self.status(n).map_err(|error| format!("{error:#}"))?;
            if status.role.state == role { Ok(status) } else { Err(format!("{:?}", status.role)) }
        })
    }

    /// Waits until router `n` is active, has both floating addresses, and both real servers in its table.
    pub(crate) fn wait_until_serving(&self, n: usize) -> Result<()> {
        self.wait_for_role(n, Role::Active)?;
        eventually(SOON, &format!("router {n} to serve"), || {
            let missing = self.missing_address(n).map_err(|error| format!("{error:#}"))?;
            let table = self.router(n).ipvs_table().map_err(|error| format!("{error:#}"))?;
            let complete = table.len() == 1 && table[0].destinations.len() == 2;
            if missing.is_none() && complete { Ok(()) } else { Err(format!("{missing:?} {table:?}")) }
        })
    }

    fn missing_address(&self, n: usize) -> Result<Option<&'static str>> {
        for address in FLOATING {
            if !self.router(n).has_address(address)? {
                return Ok(Some(address));
            }
        }
        Ok(None)
    }

    /// Waits until nothing of the service is left on router `n`: addresses, table, programs other than `pulse`.
    pub(crate) fn wait_until_clean(&self, n: usize) -> Result<()> {
        let router = self.router(n);
        eventually(SOON, &format!("nothing to be left on router {n}"), || {
            let look = || -> Result<String> {
                let mut left: Vec<String> = Vec::new();
                for address in FLOATING {
                    left.extend(router.has_address(address)?.then(|| address.to_owned()));
                }
                left.extend(router.ipvs_table()?.iter().map(|service| service.matches.to_string()));
                left.extend(programs_on(router)?.into_iter().filter(|name| name != "pulse"));
                Ok(left.join(", "))
            };
            let left = look().map_err(|error| format!("{error:#}"))?;
            if left.is_empty() { Ok(()) } else { Err(left) }
        })
    }

    /// Starts a client that asks the VIP for a page every 10 ms and is impatient, so that an outage is measured to a
    /// tenth of a second. On a busy machine it may lose patience without any outage.
    pub(crate) fn impatient_client(&self) -> Result<Probe> {
        self.client(Duration::from_millis(100))
    }

    /// Starts a client that asks as often and waits so long that only a lost packet, or a refusal, is a failure.
    pub(crate) fn patient_client(&self) -> Result<Probe> {
        self.client(Duration::from_millis(900))
    }

    fn client(&self, patience: Duration) -> Result<Probe> {
        let target = at(standard::vip(0), 80);
        let probe = self
            .cluster
            .client()?
            .probe(target)
            .every(Duration::from_millis(10))
            .timeout(patience)
            .start()?;
        probe.wait_for_successes(20, SOON)?;
        Ok(probe)
    }

    /// Waits until the client has been served for a while since `since`, and fails if any request failed that the machine
    /// had time for.
    pub(crate) fn ensure_no_outage(&self, lab: &Lab, probe: Probe, since: Duration) -> Result<()> {
        self.outage(lab, &probe, since)?;
        let report = probe.stop()?.since(since);
        let stalled =
            |request: &Request| self.stalls.between(request.at, request.at + request.took) >= EXCUSE;
        let excused = |request: &Request| request.outcome == Err(Failure::Timeout) && stalled(request);
        let failed: Vec<_> = report.failures().into_iter().filter(|request| !excused(request)).collect();
        ensure!(failed.is_empty(), "requests failed: {failed:?}; {:?}", report.reasons());
        Ok(())
    }

    /// Waits until the client is served again, and fails if it was not for longer than `limit`, from success to success
    /// and without the time that the machine stood still.
    pub(crate) fn ensure_outage_within(
        &self,
        lab: &Lab,
        probe: Probe,
        since: Duration,
        limit: Duration,
    ) -> Result<()> {
        let outage = self.outage(lab, &probe, since)?;
        probe.stop()?;
        let Some((outage, gap)) = outage.and_then(|outage| Some((outage.clone(), outage.gap()?))) else {
            return Ok(());
        };
        let stalled = self.stalls.between(outage.last_success, outage.last_success + gap);
        ensure!(
            gap <= limit + stalled,
            "the client's outage was {} ms, at most {} ms are allowed, and {} ms that the machine stood still",
            gap.as_millis(),
            limit.as_millis(),
            stalled.as_millis()
        );
        Ok(())
    }

    /// The longest outage, once the client is served again.
    fn outage(&self, lab: &Lab, probe: &Probe, since: Duration) -> Result<Option<Outage>> {
        eventually(SOON, "the client to be served again", || {
            let report = probe.report().since(since);
            let served = report.requests.iter().rev().take_while(|request| request.outcome.is_ok()).count();
            if served >= 50 { Ok(()) } else { Err(format!("{served} requests served in a row")) }
        })?;
        let report = probe.report();
        // A request that fails at the very end is the beginning of nothing that can be measured.
        let outage =
            report.outages().into_iter().filter(|outage| outage.gap().is_some()).max_by_key(Outage::gap);
        lab.note(format!(
            "outage of {} ms, {} of {} requests failed; the machine stood still for {} ms",
            outage.as_ref().and_then(Outage::gap).unwrap_or_default().as_millis(),
            report.since(since).failures().len(),
            report.since(since).total(),
            self.stalls.between(since, lab.now()).as_millis()
        ));
        Ok(outage)
    }
}

/// Names of the suite's programs that run in a host's network namespace.
pub(crate) fn programs_on(host: &Host) -> Result<Vec<String>> {
    let here = host.enter(|| std::fs::read_link("/proc/thread-self/ns/net"))??;
    let mut found = Vec::new();
    for process in std::fs::read_dir("/proc")? {
        let process = process?.path();
        // A process may end while it is looked at; then it is not there.
        let inside = std::fs::read_link(process.join("ns/net")).is_ok_and(|namespace| namespace == here);
        let name = std::fs::read_to_string(process.join("comm")).unwrap_or_default();
        if inside && ["pulse", "lvs", "nanny", "send_arp"].contains(&name.trim()) {
            found.push(name.trim().to_owned());
        }
    }
    Ok(found)
}
