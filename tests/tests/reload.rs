//! A changed file, by SIGHUP: only what differs is touched, and a file that cannot be used changes nothing.

use std::{collections::BTreeMap, fmt};

use anyhow::{Result, bail, ensure};
use lab::{Behaviour, Lab, Match, Program, Signal, at, eventually, scenarios, standard};
use lvs_ipc::control::{Plan, Reply};

use crate::{
    cf::{Block, file, included, server, virtual_server},
    one_router::{CONFIG, OneRouter, SOON, counts, http, requests_since, web},
};

scenarios! {
    another_weight_or_scheduler_is_an_edit_in_place: 30,
    another_limit_of_connections_is_one_edit_and_holds_at_once: 30,
    a_server_more_or_less_touches_no_other: 30,
    another_order_changes_nothing: 30,
    an_edit_of_an_included_file_changes_only_what_is_in_it: 30,
    all_servers_replaced_under_load_and_no_request_fails: 40,
    new_servers_that_all_fail_leave_the_old_ones_no_longer_than_their_checks: 30,
    a_bad_file_changes_nothing_and_is_told_with_its_place: 30,
}

/// The folder of included files, beside the file.
const FOLDER: &str = "/etc/sysconfig/ha/lvs.d";
/// What includes them.
pub(crate) const INCLUDES: &str = "lvs.d/*.cf";
/// A file that is looked at before it is put in force.
const NEXT: &str = "/etc/sysconfig/ha/next.cf";

/// A world that serves, and what has been asked of the kernel since.
pub(crate) struct Reloading<'lab> {
    lab: &'lab Lab,
    pub(crate) world: OneRouter,
    pub(crate) lvs: Program,
    mark: usize,
    requests: Vec<String>,
}

impl<'lab> Reloading<'lab> {
    /// Starts with this file and waits until these servers of the first service have these weights.
    pub(crate) fn serve(
        lab: &'lab Lab,
        real_servers: u8,
        file: impl fmt::Display,
        weights: &[(&str, i32)],
    ) -> Result<Self> {
        Self::in_world(lab, OneRouter::nat(lab, real_servers)?, file, weights)
    }

    /// Starts with this file, which includes the other one, and waits until the first two real servers serve.
    pub(crate) fn with_included(
        lab: &'lab Lab,
        real_servers: u8,
        file: impl fmt::Display,
        included: impl fmt::Display,
    ) -> Result<Self> {
        let world = OneRouter::nat(lab, real_servers)?;
        world.router.tool("mkdir").args(["-p", FOLDER]).run(SOON)?.success()?;
        write_included(&world, included)?;
        Self::in_world(lab, world, file, &[("rs1", 1), ("rs2", 1)])
    }

    fn in_world(
        lab: &'lab Lab,
        world: OneRouter,
        file: impl fmt::Display,
        weights: &[(&str, i32)],
    ) -> Result<Self> {
        let lvs = world.serve(file, weights)?;
        let mut reloading = Self { lab, world, lvs, mark: 0, requests: Vec::new() };
        reloading.begin()?;
        Ok(reloading)
    }

    /// Only requests from now on count.
    pub(crate) fn begin(&mut self) -> Result<()> {
        // The kernel has its table before all lines about it are read; this answer comes after them.
        self.hang_up("configuration in force .*monitors_changed=0")?;
        self.mark = self.lab.journal().mark();
        Ok(())
    }

    /// Replaces the included file without telling anybody.
    pub(crate) fn include(&self, included: impl fmt::Display) -> Result<()> {
        write_included(&self.world, included)
    }

    /// What the director says that a reload of this file would do.
    pub(crate) fn plan(&self, file: impl fmt::Display) -> Result<Plan> {
        self.world.router.write_file(NEXT, file.to_string())?;
        let shown = self.world.router.program("lvs").args(["diff", "--json", NEXT]).run(SOON)?.success()?;
        match serde_json::from_str(&shown.stdout)? {
            Reply::Plan(plan) => Ok(plan),
            other => bail!("{other:?}"),
        }
    }

    /// Replaces the file, sends SIGHUP and waits until it is in force, with exactly these further requests to the
    /// kernel (nothing that came before is still under way).
    pub(crate) fn reload(&mut self, file: impl fmt::Display, requests: &[&str]) -> Result<()> {
        self.world.write(file)?;
        self.hang_up("configuration in force")?;
        self.requests.extend(requests.iter().map(|request| (*request).to_owned()));
        let wanted = &self.requests;
        eventually(SOON, &format!("the requests {wanted:?}"), || {
            let seen =
                requests_since(self.lab, &self.lvs, self.mark).map_err(|error| format!("{error:#}"))?;
            if seen.len() >= wanted.len() { Ok(()) } else { Err(format!("{seen:?}")) }
        })?;
        // A second reading of the same file is answered after everything that the first one caused.
        self.hang_up("configuration in force .*monitors_changed=0")?;
        assert_eq!(requests_since(self.lab, &self.lvs, self.mark)?, self.requests);
        Ok(())
    }

    /// Sends SIGHUP and waits for this line.
    pub(crate) fn hang_up(&self, answer: &str) -> Result<()> {
        let mark = self.lab.journal().mark();
        self.lvs.signal(Signal::SIGHUP)?;
        self.lvs.wait_for_line_after(mark, answer, SOON)?;
        Ok(())
    }

    /// The monitors that run.
    pub(crate) fn nannies(&self) -> Result<BTreeMap<String, i32>> {
        self.world.nannies(&self.lvs)
    }
}

fn write_included(world: &OneRouter, included: impl fmt::Display) -> Result<()> {
    world.router.write_file(format!("{FOLDER}/six.cf"), included.to_string())?;
    Ok(())
}

/// Connections and counters survive.
fn another_weight_or_scheduler_is_an_edit_in_place(lab: &Lab) -> Result<()> {
    let web_with = |weights: &[u16], scheduler: &str| {
        file([virtual_server("web", 0).set("scheduler", scheduler).weights(weights)])
    };
    let mut story = Reloading::serve(lab, 2, web_with(&[1, 1], "rr"), &[("rs1", 1), ("rs2", 1)])?;
    let mut held = story.world.hold(http())?;
    let nannies = story.nannies()?;
    let counted = story.world.counters()?;

    let number = &held.server[2..].to_owned();
    let mut weights = [1, 1];
    weights[number.parse::<usize>()? - 1] = 5;
    let edit = format!("-e -t 10.1.0.100:80 -r 10.2.0.10{number}:80 -m -w 5");
    story.reload(web_with(&weights, "rr"), &[&edit])?;
    assert_eq!(story.world.counters()?, counted);
    story.reload(web_with(&weights, "wrr"), &["-E -t 10.1.0.100:80 -s wrr"])?;
    assert_eq!(story.world.counters()?, counted);

    assert_eq!(story.nannies()?, nannies);
    let service = story.world.service(web())?;
    let rows: BTreeMap<_, _> =
        service.destinations.iter().map(|row| (row.address, (row.weight, row.active))).collect();
    assert_eq!(rows[&at(standard::real_server(number.parse()?), 80)], (5, 1), "{service}");
    assert_eq!(held.ask()?, held.server);
    Ok(())
}

/// A full server gets no more, and one that was full gets as many as it may now.
fn another_limit_of_connections_is_one_edit_and_holds_at_once(lab: &Lab) -> Result<()> {
    let web_with = |max: u32, min: u32| {
        let limited = server(1).set("max_connections", max).set("min_connections", min);
        file([virtual_server("web", 0).with(limited).with(server(2))])
    };
    let mut story = Reloading::serve(lab, 2, web_with(2, 2), &[("rs1", 1), ("rs2", 1)])?;
    let nannies = story.nannies()?;
    let mut held = Vec::new();
    let mut hold = |story: &Reloading<'_>, count: usize| -> Result<BTreeMap<String, usize>> {
        for _ in 0..count {
            held.push(story.world.hold(http())?);
        }
        let by_server = |name: &str| held.iter().filter(|held| held.server == name).count();
        Ok(["rs1", "rs2"].map(|name| (name.to_owned(), by_server(name))).into())
    };
    assert_eq!(hold(&story, 6)?, counts(&[("rs1", 2), ("rs2", 4)]));
    story.reload(web_with(4, 3), &["-e -t 10.1.0.100:80 -r 10.2.0.101:80 -m -w 1 -x 4 -y 3"])?;
    assert_eq!(hold(&story, 6)?, counts(&[("rs1", 4), ("rs2", 8)]));
    assert_eq!(story.nannies()?, nannies);
    Ok(())
}

/// The new one is checked and serves; the old one leaves; the others and their monitors do not notice.
fn a_server_more_or_less_touches_no_other(lab: &Lab) -> Result<()> {
    let web_of = |servers: &[u8]| {
        file([servers.iter().fold(virtual_server("web", 0), |block, n| block.with(server(*n)))])
    };
    let mut story = Reloading::serve(lab, 3, web_of(&[1, 2]), &[("rs1", 1), ("rs2", 1)])?;
    let probe = story.world.probe()?;
    let two = story.nannies()?;

    story.reload(web_of(&[1, 2, 3]), &["-a -t 10.1.0.100:80 -r 10.2.0.103:80 -m -w 1"])?;
    let three = story.nannies()?;
    assert_eq!(three.len(), 3);
    ensure!(two.iter().all(|(server, pid)| three.get(server) == Some(pid)), "{two:?} became {three:?}");
    probe.wait_for_successes(10, SOON)?;

    story.reload(web_of(&[2, 3]), &["-d -t 10.1.0.100:80 -r 10.2.0.101:80"])?;
    let from = lab.now();
    let mut expected = three;
    expected.remove("10.1.0.100:80 10.2.0.101");
    eventually(SOON, "the monitor of rs1 to end", || {
        let nannies = story.nannies().map_err(|error| format!("{error:#}"))?;
        if nannies == expected { Ok(()) } else { Err(format!("{nannies:?}")) }
    })?;
    probe.wait_for_successes(10, SOON)?;
    let report = probe.stop()?.since(from);
    assert_eq!(report.servers().into_keys().collect::<Vec<_>>(), ["rs2", "rs3"]);
    ensure!(report.failures().is_empty(), "{report}");
    Ok(())
}

/// There and back again, with another scheduler each time: the old servers serve until the new ones have passed.
fn all_servers_replaced_under_load_and_no_request_fails(lab: &Lab) -> Result<()> {
    let web_of = |servers: [u8; 2], scheduler: &str| {
        let block = virtual_server("web", 0).checked_often().set("scheduler", scheduler);
        file([servers.iter().fold(block, |block, n| block.with(server(*n)))])
    };
    let story = Reloading::serve(lab, 4, web_of([1, 2], "rr"), &[("rs1", 1), ("rs2", 1)])?;
    let probe = story.world.probe()?;
    for round in 0..4 {
        let (servers, scheduler) = if round % 2 == 0 { ([3, 4], "wlc") } else { ([1, 2], "rr") };
        story.world.write(web_of(servers, scheduler))?;
        story.hang_up("the old real servers serve until a new one has passed its check vs=web servers=2")?;
        let names = servers.map(|n| format!("rs{n}"));
        story.world.wait_for_weights(web(), &names.each_ref().map(|name| (name.as_str(), 1)))?;
        let from = lab.now();
        probe.wait_for_successes(10, SOON)?;
        let report = probe.report().since(from);
        ensure!(
            report.servers().keys().all(|by| names.iter().any(|name| name == by)),
            "{names:?} replaced: {report}"
        );
    }
    let report = probe.stop()?;
    ensure!(report.failures().is_empty(), "{report}");
    lab.note(format!("all servers replaced four times under load: {report}"));
    // The service itself was only edited.
    let made = requests_since(lab, &story.lvs, story.mark)?;
    let services: Vec<&String> =
        made.iter().filter(|line| line.starts_with("-A") || line.starts_with("-D")).collect();
    ensure!(services.is_empty(), "{services:?}");
    Ok(())
}

/// What the file does not name any more does not outlive the answer that nobody else can serve.
fn new_servers_that_all_fail_leave_the_old_ones_no_longer_than_their_checks(lab: &Lab) -> Result<()> {
    let web_of = |servers: &[u8]| {
        file([servers
            .iter()
            .fold(virtual_server("web", 0).checked_often(), |block, n| block.with(server(*n)))])
    };
    let story = Reloading::serve(lab, 4, web_of(&[1, 2]), &[("rs1", 1), ("rs2", 1)])?;
    story.world.server(3).behave(&Behaviour::Refuse)?;
    story.world.server(4).behave(&Behaviour::Hang)?;
    story.world.write(web_of(&[3, 4]))?;
    story.hang_up("configuration in force")?;
    story.lvs.wait_for_line("real server down vs=web rs=10.2.0.103:80", SOON)?;
    story.lvs.wait_for_line("real server down vs=web rs=10.2.0.104:80", SOON)?;
    story.world.wait_for_weights(web(), &[])?;
    story.world.server(3).behave(&Behaviour::Answer)?;
    story.world.wait_for_weights(web(), &[("rs3", 1)])
}

/// Two services, and the same two services written down differently.
fn another_order_changes_nothing(lab: &Lab) -> Result<()> {
    let (web, shop) = (|| virtual_server("web", 0), || virtual_server("shop", 1));
    let one_way = file([web().weights(&[1, 2]), shop().weights(&[3, 4])]);
    let backwards = |block: Block, weights: [u16; 2]| {
        block.with(server(2).set("weight", weights[1])).with(server(1).set("weight", weights[0]))
    };
    let other_way = file([backwards(shop(), [3, 4]), backwards(web(), [1, 2])]).set("serial_no", 2);
    let mut story = Reloading::serve(lab, 2, one_way, &[("rs1", 1), ("rs2", 2)])?;
    let shop = Match::Tcp(at(standard::vip(1), 80));
    story.world.wait_for_weights(shop, &[("rs1", 3), ("rs2", 4)])?;
    story.mark = lab.journal().mark();
    story.world.ask(http())?;
    let (nannies, rows) = (story.nannies()?, story.world.rows()?);
    story.reload(format!("# turned around\n{other_way}\n# end"), &[])?;
    assert_eq!(story.nannies()?, nannies);
    assert_eq!(story.world.rows()?, rows);
    assert_eq!(story.world.status()?.serial_no, 2);
    Ok(())
}

/// The file itself stays as it was.
fn an_edit_of_an_included_file_changes_only_what_is_in_it(lab: &Lab) -> Result<()> {
    let main = || file([virtual_server("web", 0).weights(&[1, 1])]).set("include", INCLUDES);
    let shop = |weights: &[u16]| included([virtual_server("shop", 1).weights(weights)]);
    let mut story = Reloading::with_included(lab, 2, main(), shop(&[1, 1]))?;
    let vip = Match::Tcp(at(standard::vip(1), 80));
    story.world.wait_for_weights(vip, &[("rs1", 1), ("rs2", 1)])?;
    story.begin()?;
    let nannies = story.nannies()?;
    story.include(shop(&[1, 7]))?;
    let edit = ["-e -t 10.1.0.101:80 -r 10.2.0.102:80 -m -w 7"];
    assert_eq!(story.plan(main())?.words, ["shop: rs2 10.2.0.102:80 weight 7 instead of 1"]);
    story.reload(main(), &edit)?;
    assert_eq!(story.nannies()?, nannies);
    // A mistake in it is told with its own name, and changes nothing.
    story.include("colour = blue\n")?;
    story.hang_up(&format!("{FOLDER}/six.cf:1:1: error: unknown directive `colour`"))?;
    story.world.wait_for_weights(vip, &[("rs1", 1), ("rs2", 7)])
}

/// The last good file stays in force until there is another.
fn a_bad_file_changes_nothing_and_is_told_with_its_place(lab: &Lab) -> Result<()> {
    let good = file([virtual_server("web", 0).weights(&[1, 1])]);
    let story = Reloading::serve(lab, 2, &good, &[("rs1", 1), ("rs2", 1)])?;
    story.world.ask(http())?;
    let (nannies, rows) = (story.nannies()?, story.world.rows()?);
    story.world.write(format!("colour = blue\n{good}"))?;
    story.hang_up(&format!("{CONFIG}:1:1: error: unknown directive `colour`"))?;
    story.lvs.wait_for_line("the file cannot be used; nothing changed problems=1", SOON)?;
    assert_eq!(story.nannies()?, nannies);
    assert_eq!(story.world.rows()?, rows);
    let told = |state: bool, reason: &str| {
        eventually(SOON, &format!("the status to say {reason:?}"), || {
            let reload = story.world.status().map_err(|error| format!("{error:#}"))?.reload;
            if reload.state == state && reload.reason == reason { Ok(()) } else { Err(format!("{reload:?}")) }
        })
    };
    told(false, &format!("{CONFIG}:1:1: error: unknown directive `colour`"))?;
    story.world.router.tool("rm").arg(CONFIG).run(SOON)?.success()?;
    story.hang_up(&format!("{CONFIG}: No such file"))?;
    let missing = story.world.status()?.reload;
    ensure!(!missing.state && missing.reason.starts_with(CONFIG), "{missing:?}");
    assert_eq!(story.nannies()?, nannies);
    assert_eq!(story.world.rows()?, rows);
    story.world.write(&good)?;
    story.hang_up("configuration in force")?;
    told(true, "read again")
}
