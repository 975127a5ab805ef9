//! `send_arp` on a real wire: which octets leave, what neighbours learn from them, and when it keeps silent.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use lab::{Arp, Capture, Cluster, Host, HostSpec, Lab, Program, Signal, eventually, scenarios};
use regex::Regex;

scenarios! {
    each_form_alone_moves_the_neighbour: 30,
    piranhas_command_line_sends_its_one_frame: 30,
    a_list_is_announced_five_times_in_both_forms: 30,
    an_address_that_left_is_not_announced_any_more: 30,
    no_capability_is_left_while_announcing: 30,
}

const OLD: &str = "02:00:00:00:0a:01";
const NEW: &str = "02:00:00:00:0a:02";
const VIP: &str = "10.1.0.100";
const VIP6: &str = "fd00:1::100";
const SOON: Duration = Duration::from_secs(5);

/// A neighbour that believes the VIPs at the old router, and the router that holds them now.
struct World {
    neighbour: Host,
    router: Host,
    wire: Capture,
    _cluster: Cluster,
}

impl World {
    fn new(lab: &Lab) -> Result<Self> {
        let cluster = lab
            .cluster()
            .host(HostSpec::new("near").interface("eth0", "lan", ["10.1.0.2/24", "fd00:1::2/64"]))
            .host(HostSpec::new("router").interface("eth0", "lan", ["10.1.0.12/24", "fd00:1::12/64"]))
            .build()?;
        let (neighbour, router) = (cluster.host("near")?, cluster.host("router")?);
        router.ip(&[format!("link set eth0 address {NEW}")])?;
        router.add_address("eth0", "10.1.0.100/24")?;
        router.add_address("eth0", "fd00:1::100/64")?;
        let wire = cluster.capture("lan")?;
        Ok(Self { neighbour, router, wire, _cluster: cluster })
    }

    /// Makes the neighbour believe in the old router again.
    fn believe_in_the_old_router(&self) -> Result<()> {
        self.neighbour
            .ip(&[VIP, VIP6].map(|vip| format!("neigh replace {vip} lladdr {OLD} dev eth0 nud stale")))
    }

    /// Where the neighbour believes an address to be.
    fn believed(&self, address: &str) -> Result<String> {
        let shown = self.neighbour.tool("ip").args(["neigh", "show", address]).run(SOON)?.success()?;
        let mac = Regex::new("lladdr ([0-9a-f:]+)")?;
        let found = mac.captures(&shown.stdout).and_then(|found| found.get(1));
        Ok(found.with_context(|| format!("no neighbour {address}: {}", shown.stdout))?.as_str().to_owned())
    }

    /// Runs `send_arp` on the router to its good end.
    fn send_arp(&self, arguments: &str) -> Result<()> {
        self.router.program("send_arp").args(arguments.split(' ')).run(SOON * 2)?.success()?;
        Ok(())
    }

    /// Starts `send_arp` on the router with an endless refresh and waits for its first frame.
    fn start_refresh(&self, arguments: &str) -> Result<Program> {
        let program = self.router.program("send_arp").args(arguments.split(' ')).start()?;
        self.wire.wait_for("announcement", SOON, |frame| frame.arp().filter(about_vip))?;
        Ok(program)
    }

    /// The announcements of the VIP, of which there must be `count` very soon and no more.
    fn announced(&self, count: usize) -> Result<Vec<(Duration, Arp)>> {
        eventually(SOON, &format!("{count} announcements"), || {
            let seen = self.announcements();
            if seen.len() >= count { Ok(()) } else { Err(format!("{seen:?}")) }
        })?;
        let seen = self.announcements();
        ensure!(seen.len() == count, "more than {count} announcements: {seen:?}");
        Ok(seen)
    }

    /// The announcements of the VIP so far.
    fn announcements(&self) -> Vec<(Duration, Arp)> {
        self.wire.arps().into_iter().filter(|(_, arp)| about_vip(arp)).collect()
    }
}

fn about_vip(arp: &Arp) -> bool {
    arp.is_gratuitous() && arp.sender_ip.to_string() == VIP
}

/// Neighbours learn from the reply, from the request and from the advertisement alone.
fn each_form_alone_moves_the_neighbour(lab: &Lab) -> Result<()> {
    let world = World::new(lab)?;
    for (arguments, address) in [
        ("--count 1 --form reply 10.1.0.100", VIP),
        ("--count 1 --form request 10.1.0.100", VIP),
        ("10.1.0.100 020000000a02 10.1.0.255 ffffffffffff", VIP),
        ("--count 1 fd00:1::100", VIP6),
    ] {
        world.believe_in_the_old_router()?;
        assert_eq!(world.believed(address)?, OLD);
        world.send_arp(arguments)?;
        eventually(SOON, &format!("{address} to move after send_arp {arguments}"), || {
            let mac = world.believed(address).map_err(|error| error.to_string())?;
            if mac == NEW { Ok(()) } else { Err(mac) }
        })?;
    }
    Ok(())
}

/// Old scripts get what they always got, octet by octet.
fn piranhas_command_line_sends_its_one_frame(lab: &Lab) -> Result<()> {
    let world = World::new(lab)?;
    world.send_arp("-i eth0:1 10.1.0.100 020000000a02 10.1.0.255 FFFFFFFFFFFF")?;
    world.wire.wait_for("announcement", SOON, |frame| frame.arp().filter(about_vip))?;
    let frames = world.wire.pick(|frame| frame.arp().filter(about_vip).map(|_| frame.bytes.clone()));
    let expected = [
        &[0xff; 6][..],
        &[2, 0, 0, 0, 10, 2, 8, 6, 0, 1, 8, 0, 6, 4, 0, 2],
        &[2, 0, 0, 0, 10, 2, 10, 1, 0, 100],
        &[2, 0, 0, 0, 10, 2, 10, 1, 0, 100],
        &[0; 18],
    ];
    assert_eq!(frames.into_iter().map(|(_, bytes)| bytes).collect::<Vec<_>>(), [expected.concat()]);
    Ok(())
}

/// The defaults: all addresses of a takeover, five rounds a second apart, a bad line reported and no obstacle.
fn a_list_is_announced_five_times_in_both_forms(lab: &Lab) -> Result<()> {
    let world = World::new(lab)?;
    let list = "# takeover\n10.1.0.100 eth0:1\n10.1.0.101 nosuch\nfd00:1::100\n";
    let shell = world.router.tool("sh").args(["-c", "printf %s \"$1\" | \"$0\" --stdin"]);
    let finished = shell.arg(lab::suite_binary("send_arp")?).arg(list).run(SOON * 2)?;
    assert_eq!(finished.status.code(), Some(1));
    ensure!(finished.stderr.contains("line 3: no device `nosuch`"), "{}", finished.stderr);

    let seen = world.announced(10)?;
    assert_eq!(seen.iter().map(|(_, arp)| arp.operation).collect::<Vec<_>>(), [2, 1].repeat(5));
    for round in seen.windows(3).step_by(2) {
        let pause = round[2].0.saturating_sub(round[0].0);
        ensure!(pause > Duration::from_millis(900), "rounds only {pause:?} apart");
    }
    let advertisements: Vec<_> = world
        .wire
        .neighbour_advertisements()
        .into_iter()
        .map(|(_, one)| one)
        .filter(|one| one.overrides)
        .collect();
    let about_vip6 = advertisements.iter().filter(|one| one.target.to_string() == VIP6);
    assert_eq!(about_vip6.filter(|one| one.mac == Some([2, 0, 0, 0, 10, 2])).count(), 5);
    Ok(())
}

/// A refresh that outlives the address draws no traffic from the router that has it now.
fn an_address_that_left_is_not_announced_any_more(lab: &Lab) -> Result<()> {
    let world = World::new(lab)?;
    let program = world.start_refresh("-v --count 1 --refresh 1s 10.1.0.100 10.1.0.12")?;
    world.router.remove_address("eth0", "10.1.0.100/24")?;
    program.wait_for_line("10.1.0.100 is not here any more", SOON)?;
    let before = world.announcements().len();
    for _ in 0..2 {
        let mark = lab.journal().mark();
        program.wait_for_line_after(mark, "refresh: 2 frames", SOON)?;
    }
    assert_eq!(world.announcements().len(), before);

    world.router.add_address("eth0", "10.1.0.100/24")?;
    program.wait_for_line("every address is here again", SOON)?;
    program.signal(Signal::SIGTERM)?;
    assert_eq!(program.wait_exit(SOON)?.code(), Some(0));
    world.announced(before + 2)?;
    Ok(())
}

/// Once its sockets are open it is as powerless as anybody.
fn no_capability_is_left_while_announcing(lab: &Lab) -> Result<()> {
    let world = World::new(lab)?;
    let program = world.start_refresh("--refresh 1s 10.1.0.100")?;
    let status = world.router.read_file(format!("/proc/{}/status", program.pid()))?;
    let held: Vec<_> = status.lines().filter(|line| line.starts_with("Cap")).collect();
    assert_eq!(held, ["Inh", "Prm", "Eff", "Bnd", "Amb"].map(|set| format!("Cap{set}:\t0000000000000000")));
    ensure!(status.contains("NoNewPrivs:\t1"), "{status}");
    Ok(())
}
