//! Anything in any order: reports, deaths, reloads, crashes, meddling and a kernel that refuses or does not answer. Whatever
//! happened, once it is over the table is as the file and the health ask for, and foreign services are untouched.

use std::collections::BTreeSet;

use ipvsadm::{Destination, DestinationId, Errno, Forward, Request, Scheduler, Service, ServiceId, Table};
use lvs::action::Input;
use lvs_config::Config;
use lvs_ipc::status::Health;
use proptest::prelude::*;

use crate::world::{Director, config, virtual_server};

#[derive(Debug, Clone)]
enum Happening {
    Report(usize, bool),
    Weight(usize, u16),
    Death(usize),
    Reload(usize),
    BadReload,
    Crash(usize),
    Flush,
    Meddle(usize),
    Refuse(usize),
    Hang(bool),
    Wait(u64),
}

fn happening() -> impl Strategy<Value = Happening> {
    let number = 0usize..8;
    prop_oneof![
        6 => (number.clone(), any::<bool>()).prop_map(|(n, up)| Happening::Report(n, up)),
        1 => (number.clone(), 0u16..50).prop_map(|(n, weight)| Happening::Weight(n, weight)),
        1 => number.clone().prop_map(Happening::Death),
        2 => (0usize..4).prop_map(Happening::Reload),
        1 => Just(Happening::BadReload),
        1 => (0usize..4).prop_map(Happening::Crash),
        1 => Just(Happening::Flush),
        1 => number.clone().prop_map(Happening::Meddle),
        1 => number.prop_map(Happening::Refuse),
        1 => any::<bool>().prop_map(Happening::Hang),
        4 => (1u64..3000).prop_map(Happening::Wait),
    ]
}

/// Four files of which each shares something with the others.
fn configs() -> [Config; 4] {
    let servers = &["10.2.0.11", "10.2.0.12 weight = 3"][..];
    let sorry = "sorry_server = 10.2.0.99";
    [
        config(&virtual_server("web", "10.1.0.100", sorry, servers)),
        config(&virtual_server("web", "10.1.0.100", "quiesce_server = 1; scheduler = wlc", servers)),
        config(&virtual_server("web", "10.1.0.101", sorry, servers)),
        config(&format!(
            "network = direct\n{}{}",
            virtual_server(
                "web",
                "10.1.0.100",
                "quiesce_server = 1; sorry_server = 10.2.0.99",
                &servers[1..]
            ),
            virtual_server("dns", "10.1.0.100", "port = 53; protocol = udp; timeout = 3", servers),
        )),
    ]
}

fn foreign() -> Service {
    Service::new(ServiceId::tcp("10.1.0.200:80".parse().unwrap()), Scheduler::RR)
}

fn happen(
    director: &mut Director,
    now: &mut u64,
    happening: &Happening,
    configs: &[Config; 4],
    current: &mut usize,
) {
    let monitor = |director: &Director, number: usize| {
        let started = &director.monitors;
        started.get(started.len().wrapping_sub(1 + number % started.len().max(1))).copied().unwrap_or(0)
    };
    match *happening {
        Happening::Report(number, up) => {
            let token = monitor(director, number);
            director.report(*now, token, Some("told").filter(|_| !up));
        }
        Happening::Weight(number, weight) => {
            let token = monitor(director, number);
            director.weight(*now, token, weight);
        }
        Happening::Death(number) => {
            let token = monitor(director, number);
            director.ended(*now, token, 1);
        }
        Happening::Reload(number) => {
            *current = number;
            director.reload(*now, &configs[number]);
        }
        Happening::BadReload => {
            director.at(*now, Input::Reload(Err(vec!["x".into()])));
        }
        Happening::Crash(number) => {
            *current = number;
            // Nobody starts on a kernel that does not answer.
            director.fake.hang(false);
            *director = director.successor(&configs[number]);
        }
        Happening::Flush => {
            let mut table = director.fake.table();
            table.services.retain(|entry| entry.service.id == foreign().id);
            director.fake.set_table(table);
        }
        Happening::Meddle(number) => director.fake.set_table(meddled(director.fake.table(), number)),
        Happening::Refuse(skip) => director.fake.refuse(skip, Errno::ENOMEM, None),
        Happening::Hang(hanging) => director.fake.hang(hanging),
        Happening::Wait(millis) => {
            director.until(*now + millis);
            *now += millis;
        }
    }
}

/// Somebody adds a row, changes a weight or removes a row of whatever services there are, but for the foreign one.
fn meddled(mut table: Table, number: usize) -> Table {
    for entry in table.services.iter_mut().filter(|entry| entry.service.id != foreign().id) {
        let Some(mut row) = entry.destinations.first().cloned() else { continue };
        match number % 3 {
            0 => {
                row.destination.id.port = 9999;
                entry.destinations.push(row);
            }
            1 => entry.destinations[0].destination.weight += 100,
            _ => drop(entry.destinations.remove(0)),
        }
    }
    table
}

/// Checks the kernel's table against what the status says of health, by the rules of the manual page.
fn check(director: &Director, config: &Config) -> Result<(), TestCaseError> {
    let status = director.status();
    prop_assert!(status.table.state, "{}", status.table.reason);
    let table = director.fake.table();
    let served: BTreeSet<String> = table.services.iter().map(|entry| entry.service.id.to_string()).collect();
    let mut expected: BTreeSet<String> = status.virtual_servers.iter().map(|v| v.service.clone()).collect();
    expected.insert(foreign().id.to_string());
    prop_assert_eq!(served, expected);
    for (told, asked) in status.virtual_servers.iter().zip(&config.virtual_servers) {
        let entry = table.services.iter().find(|entry| entry.service.id.to_string() == told.service).unwrap();
        let mut rows = 0;
        let mut usable = 0;
        for server in &told.real_servers {
            let address = server.address.rsplit_once(':').unwrap().0;
            let row = entry.destinations.iter().find(|row| row.destination.id.address.to_string() == address);
            let weight = row.map(|row| row.destination.weight);
            rows += usize::from(weight.is_some());
            usable += usize::from(weight.is_some_and(|weight| weight > 0));
            match server.health.state {
                Health::Up => {
                    prop_assert!(weight.is_some(), "{server:?}");
                }
                Health::Down => {
                    prop_assert!(weight.is_none_or(|weight| asked.quiesce && weight == 0), "{server:?}");
                }
                Health::Unknown => {}
            }
        }
        let sorry = usize::from(asked.sorry_server.is_some() && usable == 0);
        prop_assert_eq!(entry.destinations.len(), rows + sorry, "{:?}", entry);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]
    #[test]
    fn in_the_end_the_table_is_right_and_foreign_services_are_untouched(
        happenings in proptest::collection::vec(happening(), 0..40),
    ) {
        let configs = configs();
        let mut director = Director::new(&configs[0]);
        let mut seen = Table::default();
        let row = Destination::new(DestinationId::new([10, 9, 9, 9].into(), 80), Forward::Masquerade);
        seen.apply(&[Request::AddService(foreign()), Request::AddDestination(foreign().id, row)]);
        director.fake.set_table(seen.clone());
        director.tick(0);
        let (mut now, mut current) = (0, 0);
        // The kernel is out of memory a few times, not for ever.
        let mut refusals = 0;
        for happening in &happenings {
            refusals += usize::from(matches!(happening, Happening::Refuse(_)));
            if refusals > 3 && matches!(happening, Happening::Refuse(_)) {
                continue;
            }
            happen(&mut director, &mut now, happening, &configs, &mut current);
        }
        director.fake.hang(false);
        // Refusals that were ordered and have not come yet come now; then all that is held back is tried again.
        director.until(now + 130_000);
        check(&director, &configs[current])?;
        let kept = director.fake.table();
        prop_assert_eq!(kept.find(&foreign().id), seen.find(&foreign().id));
        director.at(now + 130_001, Input::Shutdown);
        let end = director.until(now + 136_000);
        prop_assert_eq!(director.fake.table().services.len(), 1, "{:#?}", end);
    }
}
