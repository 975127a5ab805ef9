//! When the checks of many monitors begin: never many at once, neither after a start nor after a reload. The director and
//! the monitors are the real ones, in simulated time.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::time::Duration;

use daemonkit::clock::Mono;
use lvs_config::Config;
use nanny::args::{Invocation, parse};
use nanny::check::{Success, Verdict};
use nanny::monitor::{Action, Input, Monitor};
use nanny::settings::Settings;

use crate::world::{Director, config, virtual_server};

/// Time between two checks of a server, in milliseconds.
const INTERVAL: u64 = 6000;
/// Time that each check takes.
const TOOK: Duration = Duration::from_millis(2);
/// How long a time is looked at for how many checks begin in it.
const WINDOW: u64 = 100;
/// Most monitors that begin in such a time: 16 every 10 ms, and those of its two ends.
const PACE: usize = 16 * 11;

/// So many real servers, each of its own.
fn servers(count: usize) -> Config {
    let addresses: Vec<String> = (0..count).map(|n| format!("10.2.{}.{}", n / 250, n % 250 + 1)).collect();
    let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
    config(&virtual_server("web", "10.1.0.100", "timeout = 6", &addresses))
}

/// When each monitor was started, in milliseconds, by the lines of the director.
fn starts(lines: &[String]) -> BTreeMap<u64, u64> {
    let start = |line: &String| {
        let mut words = line.split(' ');
        let at = words.next()?.parse().ok()?;
        (words.next()? == "spawn").then_some(())?;
        Some((words.next()?.parse().ok()?, at))
    };
    lines.iter().filter_map(start).collect()
}

/// When a monitor begins its checks up to `until`, in milliseconds.
fn checks(command: &str, started: u64, until: u64) -> Vec<u64> {
    let Ok(Invocation::Run(args)) = parse(command.split(' ').skip(1).map(OsString::from)) else {
        panic!("{command}")
    };
    let mut now = Mono::from_millis(started);
    let mut monitor = Monitor::new(now, Settings::resolve(&args).unwrap().rules, 0);
    let mut begun = Vec::new();
    while now <= Mono::from_millis(until) {
        assert!(monitor.step(now, Input::Tick).contains(&Action::StartProbe));
        begun.push(u64::try_from(now.since(Mono::ZERO).as_millis()).unwrap());
        let verdict = Verdict::Healthy(Success::Connected);
        monitor.step(now + TOOK, Input::Probed { verdict, took: TOOK });
        now = monitor.deadline().unwrap();
    }
    begun
}

/// The most checks that begin within [`WINDOW`], of those that begin from `from` on.
fn most(begun: &[u64], from: u64) -> usize {
    let begun: Vec<u64> = begun.iter().copied().filter(|at| *at >= from).collect();
    let within = |n: usize| begun[n..].iter().take_while(|at| **at < begun[n] + WINDOW).count();
    (0..begun.len()).map(within).max().unwrap()
}

/// What would begin in each [`WINDOW`] if it were all the same, and half as much again.
fn half_more_than_even(servers: usize) -> usize {
    servers * usize::try_from(WINDOW).unwrap() * 3 / 2 / usize::try_from(INTERVAL).unwrap()
}

#[test]
fn checks_are_spread_evenly_after_a_start_and_after_a_reload() {
    let (few, many, reloaded, end) = (1500, 3000, 20_000, 45_000);
    let mut director = Director::new(&servers(few));
    let mut started = starts(&director.until(reloaded));
    assert_eq!(started.len(), few);
    director.reload(reloaded, &servers(many));
    started.extend(starts(&director.until(end)));
    // Those of the first burst, which the reload itself starts, are told without their time.
    for token in director.running.keys() {
        started.entry(*token).or_insert(reloaded);
    }
    assert_eq!(started.len(), many);

    let mut begun: Vec<u64> =
        started.iter().flat_map(|(token, started)| checks(&director.running[token], *started, end)).collect();
    begun.sort_unstable();
    let before: Vec<u64> = begun.iter().copied().filter(|at| *at < reloaded).collect();
    // The first checks come as the monitors do; from an interval after the last of them on all is even.
    let all_begun = started.values().copied().filter(|at| *at < reloaded).max().unwrap();
    assert!(most(&begun, 0) <= PACE + half_more_than_even(many), "{}", most(&begun, 0));
    let (steady, allowed) = (most(&before, all_begun + INTERVAL), half_more_than_even(few));
    assert!(steady <= allowed, "{steady} checks in {WINDOW} ms, not {allowed}");
    let last = started.values().copied().max().unwrap();
    let (steady, allowed) = (most(&begun, last + INTERVAL), half_more_than_even(many));
    assert!(steady <= allowed, "{steady} checks in {WINDOW} ms, not {allowed}");
}
