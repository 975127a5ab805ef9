//! `lvs doctor` on a real router: things are broken one by one, and each is told with what to type; what real servers are
//! told to type makes them serve.

use anyhow::{Context as _, Result, ensure};
use lab::{Host, HostSpec, Lab, Match, at, scenarios, standard, suite_binary};
use serde::Deserialize;

use crate::{
    cf::{Block, file, server, virtual_server},
    one_router::{CONFIG, OneRouter, SOON, be_gateway, counts, http},
};

scenarios! {
    what_is_broken_is_told_with_what_to_type: 40,
    real_servers_that_do_as_they_are_told_serve: 60,
}

/// What matters here of a finding.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct Finding {
    severity: String,
    code: String,
    found: String,
    commands: Vec<String>,
}

/// What matters here of what real servers need.
#[derive(Debug, Deserialize)]
struct Recipe {
    servers: Vec<String>,
    commands: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Report {
    findings: Vec<Finding>,
    real_servers: Vec<Recipe>,
}

/// What the doctor finds, and the exit status. Its line is longer than the journal keeps.
fn report(router: &Host) -> Result<(Report, Option<i32>)> {
    let json = "/run/doctor.json";
    let line = format!("\"$0\" doctor --json {CONFIG} > {json}");
    let ended = router.tool("sh").args(["-c", &line]).arg(suite_binary("lvs")?).run(SOON)?;
    let report = serde_json::from_str(&router.read_file(json)?).with_context(|| format!("{ended:?}"))?;
    Ok((report, ended.status.code()))
}

/// Types lines into a shell.
fn types(host: &Host, lines: &[impl AsRef<str>]) -> Result<()> {
    let lines: Vec<&str> = lines.iter().map(AsRef::as_ref).collect();
    host.note(format_args!("typed: {}", lines.join("; ")));
    host.tool("sh").args(["-e", "-c", &lines.join("\n")]).run(SOON)?.success()?;
    Ok(())
}

/// A slip of an administrator.
struct Slip {
    /// What is typed.
    typed: &'static str,
    severity: &'static str,
    code: &'static str,
    found: &'static str,
    /// The commands that are told.
    told: &'static [&'static str],
    /// What is to be typed beside them for all to be right again.
    mended: &'static str,
}

const SLIPS: [Slip; 9] = [
    Slip {
        typed: "sysctl -q -w net.ipv4.ip_forward=0",
        severity: "warning",
        code: "forwarding_off",
        found: "net.ipv4.ip_forward is 0",
        told: &["sysctl -w net.ipv4.ip_forward=1"],
        mended: "",
    },
    Slip {
        typed: "sysctl -q -w net.ipv4.conf.eth1.send_redirects=1",
        severity: "warning",
        code: "redirects_on",
        found: "net.ipv4.conf.eth1.send_redirects is 1",
        told: &["sysctl -w net.ipv4.conf.eth1.send_redirects=0"],
        mended: "",
    },
    Slip {
        typed: "ip route replace default via 10.2.0.254; sysctl -q -w net.ipv4.conf.eth0.rp_filter=1",
        severity: "warning",
        code: "rp_filter_strict",
        found: "rp_filter is strict on eth0, and the default route leads out of eth1",
        told: &["sysctl -w net.ipv4.conf.eth0.rp_filter=2"],
        mended: "ip route replace default via 10.1.0.2",
    },
    Slip {
        typed: "ip route replace 10.3.0.0/24 via 10.2.0.254",
        severity: "error",
        code: "direct_by_gateway",
        found: "the way to rs2 (10.3.0.102), direct routing, is by 10.2.0.254",
        told: &[],
        mended: "ip route replace 10.3.0.0/24 dev eth1",
    },
    Slip {
        typed: "ip route replace unreachable 10.3.0.0/24; ip route del 10.3.0.0/24 dev eth1 || true",
        severity: "error",
        code: "no_route",
        found: "there is no route to rs2 (10.3.0.102)",
        told: &[],
        mended: "ip route del unreachable 10.3.0.0/24; ip route replace 10.3.0.0/24 dev eth1",
    },
    Slip {
        typed: "ip link set eth1 mtu 1280",
        severity: "error",
        code: "mtu_too_small",
        found: "eth1 carries 1280 bytes, the tunnel (IP in IP) to rs3 needs 20 of them: 1260 are left, 1280 are wanted",
        told: &["ip link set eth1 mtu 1300 # where the network can"],
        mended: "ip link set eth1 mtu 1600",
    },
    Slip {
        typed: "ip address del 10.1.0.100/24 dev eth0",
        severity: "note",
        code: "vip_absent",
        found: "10.1.0.100 is not on this router",
        told: &[],
        mended: "ip address add 10.1.0.100/24 dev eth0",
    },
    Slip {
        typed: "ip link set front down",
        severity: "error",
        code: "interface_down",
        found: "front is down",
        told: &["ip link set front up"],
        mended: "",
    },
    Slip {
        typed: "ip link add back type bridge; ip address add 10.1.0.101/32 dev back; ip link del front",
        severity: "error",
        code: "interface_missing",
        found: "there is no interface front",
        told: &[],
        mended: "ip link set back down; ip link set back name front; ip link set front up",
    },
];

/// A virtual server by each method: NAT, direct routing on an interface of its own, IPv6 in a tunnel of IPv4.
fn three_methods() -> Block {
    let web = virtual_server("web", 0).with(server(1));
    let far = virtual_server("far", 1)
        .set("address", "10.1.0.101 front:1")
        .set("network", "direct")
        .with(server(2).set("address", "10.3.0.102"));
    let six = virtual_server("six", 2)
        .set("address", "fd00:1::100 eth0:3")
        .set("network", "tunnel")
        .with(server(3));
    file([web, far, six])
}

/// Nothing is wrong before, between and after.
fn what_is_broken_is_told_with_what_to_type(lab: &Lab) -> Result<()> {
    let world = OneRouter::on(lab.cluster().routers(1).build()?)?;
    let router = &world.router;
    router.remove_address("eth0", "10.1.0.101/24")?;
    types(
        router,
        &[
            "sysctl -q -w net.ipv4.conf.all.send_redirects=0 net.ipv4.conf.eth1.send_redirects=0",
            "ip link add front type bridge",
            "ip link set front up",
            "ip address add 10.1.0.101/32 dev front",
            "ip link set eth1 mtu 1600",
            "ip route add default via 10.1.0.2",
            "ip route add 10.3.0.0/24 dev eth1",
        ],
    )?;
    world.write(three_methods())?;
    let healthy = router.program("lvs").args(["doctor", CONFIG]).run(SOON)?.success()?;
    ensure!(healthy.stdout.starts_with("This router\n  nothing is wrong\n\n"), "{}", healthy.stdout);

    for slip in SLIPS {
        types(router, &[slip.typed])?;
        let (found, code) = report(router).context(slip.code)?;
        let wanted = Finding {
            severity: slip.severity.into(),
            code: slip.code.into(),
            found: slip.found.into(),
            commands: slip.told.iter().map(ToString::to_string).collect(),
        };
        assert_eq!(found.findings, [wanted]);
        assert_eq!(code, Some(i32::from(slip.severity != "note")), "{}", slip.code);
        if !slip.told.is_empty() {
            types(router, slip.told)?;
            let (after, _) = report(router)?;
            ensure!(after.findings.iter().all(|it| it.code != slip.code), "{}: {after:?}", slip.code);
        }
        types(router, &[slip.mended])?;
        assert_eq!(report(router)?.0.findings, [], "after {}", slip.code);
    }
    silence(router)
}

/// A real server that does not answer the router is told, once the router has asked for it.
fn silence(router: &Host) -> Result<()> {
    router.send_udp("10.2.0.101:9".parse()?, b"are you there?")?;
    let (found, code) = report(router)?;
    let told: Vec<&str> = found.findings.iter().map(|it| it.found.as_str()).collect();
    assert_eq!((told, code), (vec!["rs1 (10.2.0.101) does not answer on eth1"], Some(1)));
    types(router, &["ip neighbour replace 10.2.0.101 lladdr 02:00:00:00:00:65 dev eth1"])?;
    assert_eq!(report(router)?.0.findings, []);
    Ok(())
}

/// Machines with addresses and a strict filter, and nothing else; then each types what the doctor tells it.
fn real_servers_that_do_as_they_are_told_serve(lab: &Lab) -> Result<()> {
    let bare = |n: u8| {
        let strict = HostSpec::new(format!("rs{n}")).sysctl("net.ipv4.conf.default.rp_filter", "1");
        strict.sysctl("net.ipv4.conf.all.rp_filter", "1")
    };
    let mut cluster = lab
        .cluster()
        .routers(1)
        .host(bare(1).interface("eth0", standard::INSIDE, ["10.2.0.101/24"]))
        .host(bare(2).interface("eth0", standard::PUBLIC, ["10.1.0.202/24"]));
    for n in 3..=5 {
        let host = bare(n).interface("eth0", standard::INSIDE, [format!("10.2.0.10{n}/24")]);
        cluster = cluster.host(host.interface("eth1", standard::PUBLIC, [format!("10.1.0.20{n}/24")]));
    }
    let world = OneRouter::on(cluster.build()?)?;
    be_gateway(&world.router)?;
    let tunnel = |n: u8, kind: &str| server(n).set("network", "tunnel").set("tunnel_type", kind);
    let web = virtual_server("web", 0)
        .with(server(1))
        .with(server(2).set("network", "direct").set("address", "10.1.0.202"))
        .with(tunnel(3, "ipip"))
        .with(tunnel(4, "gue"))
        .with(tunnel(5, "gre").set("tunnel_checksum", "csum"));
    // The same VIP and the same tunnels once more.
    let https = virtual_server("https", 0).set("port", 443).with(tunnel(3, "ipip")).with(tunnel(4, "gue"));
    let file = file([web, https]);
    world.write(&file)?;

    let recipes = report(&world.router)?.0.real_servers;
    let told: Vec<&String> = recipes.iter().flat_map(|recipe| &recipe.servers).collect();
    let inside = |n: u8| format!("10.2.0.10{n}");
    assert_eq!(told, [&inside(1), "10.1.0.202", &inside(3), &inside(4), &inside(5), &inside(3), &inside(4)]);
    for (recipe, n) in recipes.iter().zip([1, 2, 3, 4, 5, 3, 4]) {
        types(world.server(n).host(), &recipe.commands).with_context(|| format!("{recipe:?}"))?;
    }
    let names = ["rs1", "rs2", "rs3", "rs4", "rs5"];
    let _lvs = world.serve(file, &names.map(|name| (name, 1)))?;
    assert_eq!(world.ask_times(http(), 10)?, counts(&names.map(|name| (name, 2))));
    let second = at(standard::vip(0), 443);
    world.wait_for_weights(Match::Tcp(second), &[("rs3", 1), ("rs4", 1)])?;
    assert_eq!(world.ask_times(second, 4)?, counts(&[("rs3", 2), ("rs4", 2)]));
    Ok(())
}
