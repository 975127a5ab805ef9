//! Twenty changed files in a row while clients ask all virtual servers: nobody notices, nothing is asked of the kernel that a
//! change does not take, and a check that a change does not concern goes on in the same process.

use std::{collections::BTreeSet, net::SocketAddr, time::Duration};

use anyhow::{Context as _, Result, ensure};
use lab::{Lab, Match, Probe, at, eventually, scenarios, standard};

use crate::{
    cf::{Block, file, server, virtual_server},
    one_router::{OneRouter, SOON, http},
    reload::Reloading,
};

scenarios! {
    twenty_changes_of_every_kind_cost_no_request_and_restart_no_other_check: 240,
}

/// Time between two requests of a client.
const PACE: Duration = Duration::from_millis(50);
/// A machine that is busy with other things stands still for seconds. What a change loses is not answered later either: a
/// refusal comes at once, and the kernel drops what belongs to a row that is gone, however often it is sent.
const LOST: Duration = Duration::from_secs(4);

/// How many processes that check end with a change, and how many begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Checks {
    end: usize,
    begin: usize,
}

/// No check becomes another.
const SAME: Checks = Checks { end: 0, begin: 0 };

/// A change: what it is, the file after it, the requests to the kernel that it takes, and what it makes of the checks.
struct Change {
    what: &'static str,
    file: Block,
    requests: &'static [&'static str],
    checks: Checks,
}

/// Three virtual servers as a file has them.
#[derive(Clone)]
struct Shape {
    web: Block,
    web_servers: Vec<Block>,
    shop: Option<Block>,
    shop_servers: Vec<Block>,
    six: Block,
    /// Whether the file says it from the end.
    backwards: bool,
}

impl Shape {
    /// All check the same real servers in the same way, so the virtual servers by IPv4 share their checks.
    fn first() -> Self {
        let six = virtual_server("six", 0).set("address", "fd00:1::100 eth0:9").set("vip_nmask", 64);
        let servers = |numbers: std::ops::RangeInclusive<u8>| numbers.map(server).collect();
        Self {
            web: full_at_once(virtual_server("web", 0)),
            web_servers: servers(1..=2),
            shop: Some(virtual_server("shop", 1)),
            shop_servers: servers(1..=2),
            six: (1..=2).fold(six, |block, n: u8| {
                block.with(server(n).set("address", format_args!("fd00:2::{}", 100 + u16::from(n))))
            }),
            backwards: false,
        }
    }

    fn file(&self) -> Block {
        let with = |block: &Block, servers: &[Block]| {
            let mut servers = servers.to_vec();
            if self.backwards {
                servers.reverse();
            }
            servers.into_iter().fold(block.clone(), Block::with)
        };
        let mut all = vec![with(&self.web, &self.web_servers)];
        all.extend(self.shop.iter().map(|shop| with(shop, &self.shop_servers)));
        all.push(self.six.clone());
        if self.backwards {
            all.reverse();
        }
        file(all)
    }
}

/// A story of changes in the making, each on top of those before it.
struct Story {
    shape: Shape,
    changes: Vec<Change>,
}

impl Story {
    fn then(
        &mut self,
        what: &'static str,
        requests: &'static [&'static str],
        checks: Checks,
        act: impl FnOnce(&mut Shape),
    ) {
        act(&mut self.shape);
        self.changes.push(Change { what, file: self.shape.file(), requests, checks });
    }

    /// Sets a directive of the first virtual server.
    fn web(&mut self, what: &'static str, requests: &'static [&'static str], directive: &str, value: &str) {
        self.then(what, requests, SAME, |shape| shape.web = shape.web.clone().set(directive, value));
    }

    /// Other values of what stays.
    fn values(&mut self) {
        self.then("a weight", &["-e -t 10.1.0.100:80 -r 10.2.0.102:80 -m -w 5"], SAME, |shape| {
            shape.web_servers[1] = server(2).set("weight", 5);
        });
        self.web("a scheduler", &["-E -t 10.1.0.100:80 -s wrr"], "scheduler", "wrr");
        self.web("persistence", &["-E -t 10.1.0.100:80 -s wrr -p 60"], "persistent", "60");
        self.web(
            "its mask",
            &["-E -t 10.1.0.100:80 -s wrr -p 60 -M 255.255.255.0"],
            "pmask",
            "255.255.255.0",
        );
        self.then("no persistence", &["-E -t 10.1.0.100:80 -s wrr"], SAME, |shape| {
            shape.web = full_at_once(virtual_server("web", 0).set("scheduler", "wrr"));
        });
        self.then("switches of a scheduler", &["-E -t [fd00:1::100]:80 -s sh -b sh-port"], SAME, |shape| {
            shape.six = shape.six.clone().set("scheduler", "sh").set("sched_flags", "sh-port");
        });
        self.then("a limit", &["-e -t 10.1.0.100:80 -r 10.2.0.101:80 -m -w 1 -x 1000"], SAME, |shape| {
            shape.web_servers[0] = server(1).set("max_connections", 1000);
        });
        self.then("no limit", &["-e -t 10.1.0.100:80 -r 10.2.0.101:80 -m -w 1"], SAME, |shape| {
            shape.web_servers[0] = server(1);
        });
    }

    /// Servers that come and go. A request that is under way when its server's row goes is lost, so its weight goes before.
    fn servers(&mut self) {
        self.then(
            "a new server",
            &["-a -t 10.1.0.100:80 -r 10.2.0.103:80 -m -w 2"],
            Checks { end: 0, begin: 1 },
            |shape| {
                shape.web_servers.push(server(3).set("weight", 2));
            },
        );
        self.then("no weight", &["-e -t 10.1.0.100:80 -r 10.2.0.101:80 -m -w 0"], SAME, |shape| {
            shape.web_servers[0] = server(1).set("weight", 0);
        });
        self.then("a server inactive", &["-d -t 10.1.0.100:80 -r 10.2.0.101:80"], SAME, |shape| {
            shape.web_servers[0] = server(1).set("active", 0);
        });
        self.then("active again", &["-a -t 10.1.0.100:80 -r 10.2.0.101:80 -m -w 1"], SAME, |shape| {
            shape.web_servers[0] = server(1);
        });
        self.then("no weight there", &["-e -t 10.1.0.101:80 -r 10.2.0.102:80 -m -w 0"], SAME, |shape| {
            shape.shop_servers[1] = server(2).set("weight", 0);
        });
        self.then("a server gone", &["-d -t 10.1.0.101:80 -r 10.2.0.102:80"], SAME, |shape| {
            shape.shop_servers.truncate(1);
        });
    }

    /// What the kernel need not know.
    fn nothing_for_the_kernel(&mut self) {
        self.then("another order", &[], SAME, |shape| shape.backwards = true);
        self.then("other names, and a sorry server that is not needed", &[], SAME, |shape| {
            shape.web = shape.web.clone().headed("virtual www").set("sorry_server", "10.2.0.104");
            shape.web_servers[0] = shape.web_servers[0].clone().headed("server first");
        });
        self.then("another check", &[], Checks { end: 0, begin: 1 }, |shape| {
            shape.shop = shape
                .shop
                .clone()
                .map(|shop| shop.set("send", r#""GET / HTTP/1.0\r\n\r\n""#).set("expect", r#""HTTP""#));
        });
        self.then("another pace of checks", &[], Checks { end: 2, begin: 2 }, |shape| {
            shape.six = shape.six.clone().set("timeout", 2);
        });
    }

    /// Whole virtual servers. Nobody asks for the port that goes.
    fn virtual_servers(&mut self) {
        self.then(
            "another port",
            &[
                "-A -t 10.1.0.101:443 -s rr",
                "-D -t 10.1.0.101:80",
                "-a -t 10.1.0.101:443 -r 10.2.0.101:443 -m -w 1",
            ],
            Checks { end: 1, begin: 1 },
            |shape| shape.shop = shape.shop.clone().map(|shop| shop.set("port", 443)),
        );
        self.then("a virtual server gone", &["-D -t 10.1.0.101:443"], Checks { end: 1, begin: 0 }, |shape| {
            shape.shop = None;
        });
    }
}

/// New servers are to have the weights of the file.
fn full_at_once(virtual_server: Block) -> Block {
    virtual_server.set("slow_start", "off")
}

fn changes() -> Vec<Change> {
    let mut story = Story { shape: Shape::first(), changes: Vec::new() };
    story.values();
    story.servers();
    story.nothing_for_the_kernel();
    story.virtual_servers();
    story.changes
}

fn twenty_changes_of_every_kind_cost_no_request_and_restart_no_other_check(lab: &Lab) -> Result<()> {
    let changes = changes();
    assert_eq!(changes.len(), 20);
    let mut story = Reloading::serve(lab, 4, Shape::first().file(), &[("rs1", 1), ("rs2", 1)])?;
    let (vip2, vip6) = (at(standard::vip(1), 80), at(standard::vip6(0), 80));
    story.world.wait_for_weights(Match::Tcp(vip2), &[("rs1", 1), ("rs2", 1)])?;
    story.world.wait_for_weights(Match::Tcp(vip6), &[("rs1", 1), ("rs2", 1)])?;
    story.begin()?;
    let mut shop = Some(ask(&story.world, vip2)?);
    let others = [ask(&story.world, http())?, ask(&story.world, vip6)?];
    for Change { what, file, requests, checks } in changes {
        if what == "another port" {
            shop.take().map_or(Ok(()), unharmed)?;
        }
        let before = monitors(&story)?;
        story.reload(&file, requests).with_context(|| what.to_owned())?;
        eventually(SOON, &format!("{checks:?} after {what}"), || {
            let after = monitors(&story).map_err(|error| format!("{error:#}"))?;
            let seen =
                Checks { end: before.difference(&after).count(), begin: after.difference(&before).count() };
            if seen == checks { Ok(()) } else { Err(format!("{seen:?}")) }
        })?;
    }
    others.into_iter().try_for_each(unharmed)
}

/// A client of a virtual server that has been served a few times.
fn ask(world: &OneRouter, service: SocketAddr) -> Result<Probe> {
    let client = world.client.probe(service).every(PACE).timeout(LOST).start()?;
    client.wait_for_successes(5, SOON)?;
    Ok(client)
}

/// The processes that check.
fn monitors(story: &Reloading<'_>) -> Result<BTreeSet<i32>> {
    Ok(story.lvs.children()?.into_iter().collect())
}

/// Ends a client, all of whose requests must have been answered.
fn unharmed(client: Probe) -> Result<()> {
    client.wait_for_successes(10, SOON)?;
    let report = client.stop()?;
    ensure!(report.failures().is_empty(), "{report}");
    Ok(())
}
