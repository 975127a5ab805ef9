//! Changed files in a row, one of every kind, while clients ask all virtual servers: nobody notices, nothing is asked of the
//! kernel that a change does not take or that `lvs diff` did not foretell, and a check that a change does not concern goes on
//! in the same process.

use std::{collections::BTreeSet, net::SocketAddr, time::Duration};

use anyhow::{Context as _, Result, ensure};
use lab::{Lab, Match, Probe, at, eventually, scenarios, standard};

use crate::{
    cf::{Block, file, included, server, virtual_server},
    one_router::{OneRouter, SOON, http},
    reload::{INCLUDES, Reloading},
};

scenarios! {
    changes_of_every_kind_cost_no_request_and_restart_no_other_check: 240,
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

/// A change: what it is, the files after it, the requests to the kernel that it takes, what it makes of the checks, and where
/// clients find the shop after it.
struct Change {
    what: &'static str,
    file: Block,
    included: Block,
    requests: &'static [&'static str],
    checks: Checks,
    shop_at: Option<SocketAddr>,
}

/// The virtual servers as a file has them, one of them in a file that it includes.
#[derive(Clone)]
struct Shape {
    web: Block,
    web_servers: Vec<Block>,
    shop: Option<Block>,
    shop_servers: Vec<Block>,
    shop_at: Option<SocketAddr>,
    six: Block,
    marked: Option<Block>,
    timeout: Option<u16>,
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
            shop_at: Some(at(standard::vip(1), 80)),
            marked: None,
            timeout: None,
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
        all.extend(self.marked.clone());
        if self.backwards {
            all.reverse();
        }
        let file = file(all).set("include", INCLUDES);
        self.timeout.map_or(file.clone(), |seconds| file.set("tcp_timeout", seconds))
    }

    /// The file that is included.
    fn included(&self) -> Block {
        included([self.six.clone()])
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
        let (file, included) = (self.shape.file(), self.shape.included());
        self.changes.push(Change { what, file, included, requests, checks, shop_at: self.shape.shop_at });
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
        self.then("a timeout", &["--set 800 0 0"], SAME, |shape| shape.timeout = Some(800));
        self.then("no timeout", &[], SAME, |shape| shape.timeout = None);
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
        self.then("its method", &["-e -t 10.1.0.101:80 -r 10.2.0.102:80 -g -w 0"], SAME, |shape| {
            shape.shop_servers[1] = server(2).set("weight", 0).set("network", "direct");
        });
        self.then(
            "its address",
            &["-d -t 10.1.0.101:80 -r 10.2.0.102:80", "-a -t 10.1.0.101:80 -r 10.2.0.104:80 -m -w 0"],
            Checks { end: 0, begin: 1 },
            |shape| shape.shop_servers[1] = server(2).set("weight", 0).set("address", "10.2.0.104"),
        );
        self.then(
            "a server gone",
            &["-d -t 10.1.0.101:80 -r 10.2.0.104:80"],
            Checks { end: 1, begin: 0 },
            |shape| shape.shop_servers.truncate(1),
        );
    }

    /// What the kernel need not know.
    fn nothing_for_the_kernel(&mut self) {
        self.then("another order", &[], SAME, |shape| shape.backwards = true);
        self.then("other names, and a sorry server that is not needed", &[], SAME, |shape| {
            shape.web = shape.web.clone().headed("virtual www").set("sorry_server", "10.2.0.104");
            shape.web_servers[0] = shape.web_servers[0].clone().headed("server first");
        });
        self.web("a quorum", &[], "quorum", "2");
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

    /// Whole virtual servers. Nobody asks for the place that goes, and then somebody for the new one.
    fn virtual_servers(&mut self) {
        self.then(
            "another VIP",
            &[
                "-A -t 10.1.0.102:80 -s rr",
                "-a -t 10.1.0.102:80 -r 10.2.0.101:80 -m -w 1",
                "-D -t 10.1.0.101:80",
            ],
            SAME,
            |shape| {
                shape.shop = shape.shop.clone().map(|shop| shop.set("address", "10.1.0.102 eth0:3"));
                shape.shop_at = Some(at(standard::vip(2), 80));
            },
        );
        self.then(
            "another port",
            &[
                "-A -t 10.1.0.102:443 -s rr",
                "-D -t 10.1.0.102:80",
                "-a -t 10.1.0.102:443 -r 10.2.0.101:443 -m -w 1",
            ],
            Checks { end: 1, begin: 1 },
            |shape| {
                shape.shop = shape.shop.clone().map(|shop| shop.set("port", 443));
                shape.shop_at = Some(at(standard::vip(2), 443));
            },
        );
        self.then(
            "a sorry server that is needed",
            &[
                "-a -t 10.1.0.102:443 -r 10.2.0.103:443 -m -w 1",
                "-e -t 10.1.0.102:443 -r 10.2.0.101:443 -m -w 0",
            ],
            SAME,
            |shape| {
                shape.shop = shape.shop.clone().map(|shop| shop.set("sorry_server", "10.2.0.103"));
                shape.shop_servers[0] = server(1).set("weight", 0);
            },
        );
        self.then("a firewall mark", &["-A -f 7 -s rr", "-a -f 7 -r 10.2.0.101:80 -m -w 1"], SAME, |shape| {
            shape.marked = Some(virtual_server("marked", 1).set("fwmark", 7).with(server(1)));
        });
        self.then(
            "another mark",
            &["-A -f 8 -s rr", "-a -f 8 -r 10.2.0.101:80 -m -w 1", "-D -f 7"],
            SAME,
            |shape| shape.marked = shape.marked.clone().map(|marked| marked.set("fwmark", 8)),
        );
        self.then("a virtual server gone", &["-D -t 10.1.0.102:443"], Checks { end: 1, begin: 0 }, |shape| {
            (shape.shop, shape.shop_at) = (None, None);
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

fn changes_of_every_kind_cost_no_request_and_restart_no_other_check(lab: &Lab) -> Result<()> {
    let changes = changes();
    ensure!(changes.len() >= 20, "{} changes", changes.len());
    let mut story = Reloading::with_included(lab, 4, Shape::first().file(), Shape::first().included())?;
    // Where the shop will move to; floating addresses are no business of lvs.
    story.world.router.add_address("eth0", "10.1.0.102/24")?;
    let vip6 = at(standard::vip6(0), 80);
    let mut shop_at = Shape::first().shop_at;
    for vip in [Some(http()), shop_at, Some(vip6)].into_iter().flatten() {
        story.world.wait_for_weights(Match::Tcp(vip), &[("rs1", 1), ("rs2", 1)])?;
    }
    story.begin()?;
    let mut shop = shop_at.map(|vip| ask(&story.world, vip)).transpose()?;
    let others = [ask(&story.world, http())?, ask(&story.world, vip6)?];
    for change in &changes {
        if change.shop_at != shop_at {
            shop.take().map_or(Ok(()), unharmed).context(change.what)?;
        }
        make(&mut story, change).context(change.what)?;
        if change.shop_at != shop_at {
            shop_at = change.shop_at;
            shop = shop_at.map(|vip| ask(&story.world, vip)).transpose().context(change.what)?;
        }
    }
    lab.note(format!("{} changes, each as its plan said", changes.len()));
    others.into_iter().try_for_each(unharmed)
}

/// Has the change made, and holds what happens against what it takes and against its plan. What waits for a first check is no
/// request of the plan yet, but a line of it.
fn make(story: &mut Reloading<'_>, change: &Change) -> Result<()> {
    let Change { what, file, included, requests, checks, .. } = change;
    story.include(included)?;
    let plan = story.plan(file)?;
    let (at_once, later) = requests.split_at(plan.requests.len().min(requests.len()));
    assert_eq!(plan.requests, at_once, "{:#?}", plan.words);
    let waiting = plan.words.iter().filter(|line| line.ends_with(" when its first check passes")).count();
    assert_eq!(waiting, later.len(), "{:#?}", plan.words);
    let foretold = Checks { end: plan.monitors_stopped.len(), begin: plan.monitors_started.len() };
    assert_eq!(foretold, *checks, "{:#?}", plan.words);
    ensure!(!plan.words.is_empty() || *what == "another order", "nothing is foretold");
    let before = monitors(story)?;
    story.reload(file, requests)?;
    eventually(SOON, &format!("{checks:?} after {what}"), || {
        let after = monitors(story).map_err(|error| format!("{error:#}"))?;
        let seen =
            Checks { end: before.difference(&after).count(), begin: after.difference(&before).count() };
        if seen == *checks { Ok(()) } else { Err(format!("{seen:?}")) }
    })
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
