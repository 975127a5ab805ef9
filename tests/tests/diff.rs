//! `ipvsadm diff` on a real kernel: one table after the other is made as a file wants it, while a client is served.

use std::{fmt::Write as _, time::Duration};

use anyhow::{Context as _, Result, ensure};
use lab::{Cluster, Finished, Host, Lab, at, scenarios, standard, suite_binary};

scenarios! {
    tables_become_those_of_files_and_no_client_notices: 60,
}

const SOON: Duration = Duration::from_secs(10);
const RULES: &str = "/run/rules";
/// How many tables are made.
const TABLES: usize = 25;
/// Requests that are answered between two changes: what was begun before a real server got the weight 0 has ended then.
const ANSWERS: usize = 3;
/// Time between two requests of the client.
const PACE: Duration = Duration::from_millis(20);
/// A machine that is busy with other things stands still for seconds; what a change loses is not answered later either.
const LOST: Duration = Duration::from_secs(4);

/// A die that falls the same way each time.
struct Dice(u64);

impl Dice {
    /// A number from 0 to `sides` - 1.
    fn roll(&mut self, sides: u64) -> u64 {
        // Constants of Knuth's MMIX.
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }

    fn one_of<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        let index = self.roll(choices.len().try_into().unwrap_or(u64::MAX));
        choices[usize::try_from(index).unwrap_or_default()]
    }
}

/// The weights of the service that the client uses, by real server; `None` where it is absent.
type Weights = [Option<u64>; 3];

/// Others than those before. Who is to leave has the weight 0 for one table, so that connections can end; somebody always
/// serves who served before.
fn next_weights(dice: &mut Dice, before: Weights) -> Weights {
    let mut after = before.map(|weight| match (weight, dice.roll(4)) {
        (Some(0), 0 | 1) => None,
        (None, 0) => None,
        (_, roll) => Some(roll),
    });
    if !after.iter().any(|weight| weight.is_some_and(|weight| weight > 0)) {
        after[0] = Some(1);
    }
    after
}

/// The service that the client uses.
fn served(dice: &mut Dice, weights: Weights) -> String {
    let vip = at(standard::vip(0), 80);
    let mut rules = format!("-A -t {vip} -s {}\n", dice.one_of(&["rr", "wrr", "lc", "wlc", "sed", "nq"]));
    for (weight, number) in weights.into_iter().zip(1..) {
        if let Some(weight) = weight {
            let server = at(standard::real_server(number), 80);
            let _ = writeln!(rules, "-a -t {vip} -r {server} -m -w {weight}");
        }
    }
    rules
}

/// A service that nobody uses, or nothing.
fn unused(dice: &mut Dice, service: &str) -> String {
    if dice.roll(3) == 0 {
        return String::new();
    }
    let (six, all_ports, datagrams) =
        (service.contains("-6") || service.contains('['), service.ends_with(":0"), service.contains("-u"));
    let scheduler = dice.one_of(&["rr", "wlc", "sh -b sh-port", "sh -b sh-fallback,sh-port", "mh", "lblcr"]);
    let kept = match (all_ports, dice.roll(3)) {
        (false, 0) => "",
        (_, 1) if !six => " -p 90 -M 255.255.255.0",
        _ => " -p 60",
    };
    let single = if datagrams && dice.roll(2) == 0 { " -o" } else { "" };
    let mut rules = format!("-A {service} -s {scheduler}{kept}{single}\n");
    let (addresses, far) = match six {
        true => (["[fd00:2::101]", "[fd00:2::102]", "[fd00:2::103]", "[::1]"], "10.2.0.104"),
        // The last is on the router itself.
        false => (["10.2.0.101", "10.2.0.102", "10.2.0.103", "127.0.0.1"], "[fd00:2::104]"),
    };
    let port = if all_ports || service.contains("-f") { 0 } else { 80 };
    for address in addresses {
        let method = dice.one_of(&["", "-m", "-g", "-i", "-i --tun-type gue --tun-port 6080 --tun-csum"]);
        let limits = dice.one_of(&["", " -x 9", " -x 9 -y 3"]);
        if !method.is_empty() {
            let _ = writeln!(rules, "-a {service} -r {address}:{port} {method}{limits} -w {}", dice.roll(4));
        }
    }
    if dice.roll(2) == 0 {
        let _ = writeln!(rules, "-a {service} -r {far}:{port} -i --tun-type gre -w {}", dice.roll(4));
    }
    rules
}

fn rules(dice: &mut Dice, weights: Weights) -> String {
    let mut rules = served(dice, weights);
    let others = [
        "-t 10.1.0.100:443",
        "-u 10.1.0.100:53",
        "-t 10.1.0.101:80",
        "-t 10.1.0.101:0",
        "-f 7",
        "-f 7 -6",
        "-t [fd00:1::100]:80",
    ];
    rules.extend(others.map(|service| unused(dice, service)));
    rules
}

/// Runs a line of shell in which `ipvsadm` is the original and `"$0"` is ours.
fn shell(host: &Host, line: &str) -> Result<Finished> {
    host.tool("sh").args(["-c", line]).arg(suite_binary("ipvsadm")?).run(SOON)
}

/// The table in the words of the original, and in ours, which have the thresholds. The order of the lines depends on the
/// kernel's, where a service has real servers of both families.
fn table(host: &Host) -> Result<Vec<String>> {
    let saved = shell(host, "ipvsadm -S -n && \"$0\" -S -n")?.success()?.stdout;
    let mut lines: Vec<String> = saved.lines().map(str::to_owned).collect();
    lines.sort();
    Ok(lines)
}

/// Makes the first router's table that of the rules, and checks that it is; the second router restores them from scratch.
/// Returns how many commands that took.
fn make(cluster: &Cluster, rules: &str) -> Result<usize> {
    let (r1, r2) = (cluster.router(1)?, cluster.router(2)?);
    for host in [&r1, &r2] {
        host.write_file(RULES, rules)?;
    }
    shell(&r2, &format!("ipvsadm -C && \"$0\" -R < {RULES}"))?.success()?;
    let difference = shell(&r1, &format!("\"$0\" diff -n {RULES}"))?;
    let commands = difference.stdout.lines().count();
    ensure!(difference.status.code() == Some(i32::from(commands > 0)), "{difference:?}");
    let restored = shell(&r1, &format!("\"$0\" diff -n {RULES} | \"$0\" -R"))?.success()?;
    assert_eq!((restored.stdout.as_str(), restored.stderr.as_str()), ("", ""), "{}", difference.stdout);
    assert_eq!(table(&r1)?, table(&r2)?, "after\n{}for\n{rules}", difference.stdout);
    let rest = shell(&r1, &format!("\"$0\" diff {RULES}"))?.success()?;
    assert_eq!(rest.stdout, "", "after\n{}", difference.stdout);
    Ok(commands)
}

fn tables_become_those_of_files_and_no_client_notices(lab: &Lab) -> Result<()> {
    let cluster = lab.cluster().routers(2).real_servers(3).build()?;
    let r1 = cluster.router(1)?;
    r1.add_address("eth1", standard::NAT_ROUTER)?;
    r1.add_address("eth0", "10.1.0.100/24")?;
    let servers: Vec<_> =
        (1..=3).map(|n| cluster.real_server(n)?.real_server(&[80])).collect::<Result<_>>()?;

    let mut dice = Dice(2026);
    let mut weights: Weights = [Some(1), Some(1), None];
    make(&cluster, &rules(&mut dice, weights))?;
    let probe = cluster.client()?.probe(at(standard::vip(0), 80)).every(PACE).timeout(LOST).start()?;
    let mut commands = 0;
    for number in 0..TABLES {
        probe.wait_for_successes(ANSWERS, SOON)?;
        weights = next_weights(&mut dice, weights);
        commands += make(&cluster, &rules(&mut dice, weights)).with_context(|| format!("table {number}"))?;
    }
    probe.wait_for_successes(ANSWERS, SOON)?;
    let report = probe.stop()?;
    ensure!(report.failures().is_empty(), "{report}");
    assert_eq!(report.servers().len(), servers.len(), "{report}");
    lab.note(format!("{TABLES} tables took {commands} commands; {} requests went through", report.total()));
    Ok(())
}
