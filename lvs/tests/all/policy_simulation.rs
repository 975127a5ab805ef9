//! Quorums, start policies and slow starts under anything in any order: at every moment a service with a server that is
//! up has somebody who takes connections, and in the end the weights are those of the file and nothing moves any more.

use std::collections::{BTreeMap, BTreeSet};

use lvs_config::Config;
use lvs_config::model::{SlowStart, VirtualServer};
use lvs_ipc::status::{Health, RealServerStatus, VirtualServerStatus};
use proptest::prelude::*;

use crate::world::{Director, config, virtual_server, without_reads};

#[derive(Debug, Clone)]
enum Happening {
    Report(usize, bool),
    Reload(usize),
    Crash(usize),
    Flush,
    Wait(u64),
}

const FILES: usize = 6;

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        8 => (0usize..8, any::<bool>()).prop_map(|(n, up)| Happening::Report(n, up)),
        2 => (0usize..FILES).prop_map(Happening::Reload),
        1 => (0usize..FILES).prop_map(Happening::Crash),
        1 => Just(Happening::Flush),
        4 => (1u64..9000).prop_map(Happening::Wait),
    ]
}

/// Files with the same service; what it asks for and whom it has differs.
fn files() -> [Config; FILES] {
    let all = ["10.2.0.11 weight = 40", "10.2.0.12 weight = 3", "10.2.0.13", "10.2.0.14 weight = 100"];
    let file = |directives: &str, servers: &[&str]| {
        let other =
            virtual_server("other", "10.1.0.101", "scheduler = sed; sorry_server = 10.2.0.98", &all[..2]);
        config(&format!("{}{other}", virtual_server("web", "10.1.0.100", directives, servers)))
    };
    let sorry = "sorry_server = 10.2.0.99";
    [
        file(&format!("scheduler = wlc; slow_start = 20; {sorry}"), &all),
        file(
            &format!("quorum = 43; quorum_hysteresis = 2; scheduler = wrr; slow_start = 7; {sorry}"),
            &all[..3],
        ),
        file("quorum = 100; scheduler = wrr; start = up", &all[1..]),
        file(
            &format!("start = down; quiesce_server = 1; scheduler = wlc; slow_start = 9; {sorry}"),
            &all[..2],
        ),
        file(
            &format!(
                "start = up; scheduler = wrr; slow_start = off; quorum = 4; quorum_hysteresis = 3; {sorry}"
            ),
            &all[1..3],
        ),
        file(&format!("scheduler = wlc; quorum = 1000; {sorry}"), &all),
    ]
}

/// The rows of a service by address.
fn rows(director: &Director, told: &VirtualServerStatus) -> BTreeMap<String, u32> {
    let table = director.fake.table();
    let entry = table.services.iter().find(|entry| entry.service.id.to_string() == told.service).unwrap();
    let rows = entry.destinations.iter().map(|row| &row.destination);
    rows.map(|row| (row.id.address.to_string(), row.weight)).collect()
}

/// What holds at every moment at which the kernel has been told everything. `at_rest`: nothing climbs any more.
fn check(director: &Director, file: &Config, at_rest: bool) -> Result<(), TestCaseError> {
    let status = director.status();
    for (told, asked) in status.virtual_servers.iter().zip(&file.virtual_servers) {
        check_service(&rows(director, told), told, asked, at_rest)?;
    }
    Ok(())
}

/// Whether no check of this run has decided anything about it.
fn is_unchecked(server: &RealServerStatus) -> bool {
    server.health.state == Health::Unknown || server.health.reason.starts_with("before the restart: ")
}

fn check_service(
    rows: &BTreeMap<String, u32>,
    told: &VirtualServerStatus,
    asked: &VirtualServer,
    at_rest: bool,
) -> Result<(), TestCaseError> {
    let held = told.quorum.as_ref().map(|quorum| quorum.held.state);
    let sorry = asked.sorry_server.map(|sorry| sorry.address.to_string());
    // Who is waited for while others retire is not missed.
    let named: BTreeSet<String> = asked.servers.iter().map(|server| server.address.to_string()).collect();
    let retire = rows.keys().any(|address| !named.contains(address) && Some(address) != sorry.as_ref());
    let waits = retire && told.real_servers.iter().any(is_unchecked);
    if let Some(quorum) = told.quorum.as_ref().filter(|quorum| !quorum.held.state || !waits) {
        let band = if quorum.held.state {
            quorum.weight >= quorum.lost_below
        } else {
            quorum.weight < quorum.gained_from
        };
        prop_assert!(band, "{quorum:?}");
    }
    let stands_in = sorry.is_some() && held == Some(false);
    prop_assert_eq!(
        sorry.is_some_and(|sorry| rows.get(&sorry) == Some(&1)),
        stands_in,
        "{:?} {:?}",
        told,
        rows
    );
    let mut is_up = false;
    for (server, in_file) in told.real_servers.iter().zip(&asked.servers) {
        let weight = rows.get(&in_file.address.to_string()).copied();
        let full = in_file.weight.value();
        is_up |= server.health.state == Health::Up;
        match server.health.state {
            Health::Up if stands_in => prop_assert_eq!(weight, Some(0), "{:?}", server),
            Health::Up if at_rest => prop_assert_eq!(weight, Some(full), "{:?}", server),
            Health::Up => {
                let part = weight.unwrap_or(0);
                let least = match asked.climb() {
                    SlowStart::Off => full,
                    SlowStart::Doubling => (full >> 5).max(1),
                    SlowStart::Even(_) => full.div_ceil(16),
                };
                prop_assert!((least..=full).contains(&part), "{server:?} {part}");
            }
            Health::Down => {
                prop_assert!(
                    weight.is_none_or(|weight| asked.quiesce && weight == 0),
                    "{server:?} {weight:?}"
                );
            }
            Health::Unknown => {}
        }
        prop_assert!(!at_rest || server.slow_start_until_ms.is_none(), "{server:?}");
    }
    prop_assert!(!is_up || rows.values().any(|weight| *weight > 0), "{told:?} {rows:?}");
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]
    #[test]
    fn whoever_has_a_server_that_is_up_is_served_and_all_comes_to_rest(
        happenings in proptest::collection::vec(happening(), 0..60),
    ) {
        let files = files();
        let (mut director, mut now, mut current) = (Director::new(&files[0]), 0, 0);
        director.tick(0);
        for happening in &happenings {
            match *happening {
                Happening::Report(number, up) => {
                    let started = &director.monitors;
                    let token = started.get(started.len().wrapping_sub(1 + number)).copied().unwrap_or(0);
                    director.report(now, token, Some("told").filter(|_| !up));
                }
                Happening::Reload(number) => {
                    current = number;
                    director.reload(now, &files[number]);
                }
                Happening::Crash(number) => {
                    current = number;
                    director = director.successor(&files[number]);
                    director.tick(now);
                }
                Happening::Flush => {
                    director.fake.set_table(ipvsadm::Table::default());
                    director.until(now + 1000);
                    now += 1000;
                }
                Happening::Wait(millis) => {
                    director.until(now + millis);
                    now += millis;
                }
            }
            check(&director, &files[current], false)?;
        }
        director.until(now + 140_000);
        check(&director, &files[current], true)?;
        let more = without_reads(director.until(now + 160_000));
        prop_assert_eq!(more, Vec::<String>::new());
    }
}
