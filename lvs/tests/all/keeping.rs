//! The state file: what is written is read back, and what cannot be read does no harm.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use daemonkit::clock::Mono;
use ipvsadm::{DestinationId, ServiceId};
use lvs::engine::WallClock;
use lvs::identity::ServerKey;
use lvs::orders::{Admin, Drain, Ended, Leaving, Names, Order, ServerOrders, State};
use lvs::state::{BROKEN_FILE, FILE, StateFile, parse, render};
use proptest::prelude::*;

/// One hour after start, a while after the epoch.
const CLOCK: WallClock =
    WallClock { now: Mono::from_millis(3_600_000), since_epoch: Duration::from_millis(1_763_776_800_000) };

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("lvs-state-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn service() -> ServiceId {
    ServiceId::tcp("10.1.0.100:80".parse().unwrap())
}

fn server(octet: u8) -> DestinationId {
    DestinationId::new([10, 2, 0, octet].into(), 80)
}

fn names(server: &str) -> Names {
    Names { virtual_server: "web".into(), server: server.into() }
}

fn order() -> impl Strategy<Value = Order> {
    (".{0,9}", 0u64..1 << 50, proptest::option::of(".{0,9}")).prop_map(|(by, at_ms, reason)| Order {
        by,
        at_ms,
        reason,
    })
}

fn moment() -> impl Strategy<Value = Mono> {
    (0u64..100_000_000).prop_map(Mono::from_millis)
}

fn admin() -> impl Strategy<Value = Admin> {
    let ended = proptest::option::of(prop_oneof![Just(Ended::Empty), Just(Ended::Deadline)]);
    let drain = (proptest::option::of(moment()), ended)
        .prop_map(|(deadline, ended)| Admin::Drain(Drain { deadline, left: None, ended }));
    prop_oneof![drain, Just(Admin::Disabled), Just(Admin::Forced)]
}

fn state() -> impl Strategy<Value = State> {
    let admin = proptest::option::of((admin(), order()));
    let weight = proptest::option::of((any::<u16>(), order()));
    let orders = (".{0,9}", admin, weight).prop_map(|(name, admin, weight)| ServerOrders {
        names: names(&name),
        admin,
        weight,
    });
    let servers = proptest::collection::btree_map(0u8..9, orders, 0..4);
    let sorry = proptest::option::of((".{0,9}", order()));
    let leaving = proptest::collection::btree_map(10u8..19, (moment(), moment()), 0..3);
    let down = proptest::collection::btree_map(0u8..9, ".{0,9}", 0..3);
    let climbing = proptest::collection::btree_map(0u8..9, moment(), 0..3);
    (servers, sorry, leaving, down, climbing).prop_map(|(servers, sorry, leaving, down, climbing)| {
        let key = |octet| ServerKey { service: service(), server: server(octet) };
        State {
            servers: servers.into_iter().map(|(octet, orders)| (key(octet), orders)).collect(),
            sorry: sorry.into_iter().map(|sorry| (service(), sorry)).collect(),
            leaving: leaving
                .into_iter()
                .map(|(octet, (since, deadline))| {
                    let leaving =
                        Leaving { names: names("rs"), destination: None, since, deadline, left: None };
                    ((service(), server(octet)), leaving)
                })
                .collect(),
            down: down.into_iter().map(|(octet, reason)| (key(octet), reason)).collect(),
            climbing: climbing.into_iter().map(|(n, since)| ((service(), server(n)), since)).collect(),
        }
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(state in state()) {
        prop_assert_eq!(parse(render(&state, CLOCK).as_bytes(), CLOCK), Ok(state));
    }

    #[test]
    fn any_text_is_read_without_panic(text in ".{0,200}") {
        let _ = parse(text.as_bytes(), CLOCK);
    }
}

#[test]
fn a_deadline_is_a_time_of_day_whatever_the_other_clock_says_after_a_restart() {
    let drain = Drain { deadline: Some(CLOCK.now + Duration::from_secs(300)), left: None, ended: None };
    let order = Order { by: "root".into(), at_ms: 5, reason: None };
    let orders = ServerOrders { names: names("rs"), admin: Some((Admin::Drain(drain), order)), weight: None };
    let key = ServerKey { service: service(), server: server(1) };
    let state = State { servers: [(key, orders)].into(), ..State::default() };
    let text = render(&state, CLOCK);
    // The machine was started anew, and two minutes have passed.
    let later = WallClock {
        now: Mono::from_millis(9_000),
        since_epoch: CLOCK.since_epoch + Duration::from_secs(120),
    };
    let read = parse(text.as_bytes(), later).unwrap();
    let Some((Admin::Drain(drain), _)) = read.servers[&key].admin else { panic!("{read:?}") };
    assert_eq!(drain.deadline, Some(Mono::from_millis(9_000 + 180_000)));
}

#[test]
fn a_file_that_cannot_be_understood_is_told_and_kept_aside() {
    let folder = Folder::new("broken");
    let file = StateFile::in_folder(&folder.0);
    assert_eq!(file.read(CLOCK).unwrap(), State::default());
    let service = r#"{"version":1,"down":[{"service":"x","address":"10.2.0.1:80","reason":""}]}"#;
    for (text, reason) in [
        ("", "EOF while parsing a value at line 1 column 0"),
        ("{\"version\":2}", "it is of version 2, and this program knows only version 1"),
        (service, "\"x\" names no service"),
    ] {
        fs::write(folder.0.join(FILE), text).unwrap();
        let told = file.read(CLOCK).unwrap_err().to_string();
        let aside = folder.0.join(BROKEN_FILE);
        assert_eq!(told, format!("{}: {reason}; kept as {}", file.path().display(), aside.display()));
        assert_eq!(fs::read_to_string(aside).unwrap(), text);
        assert!(!file.path().exists());
    }
}

#[test]
fn a_file_that_cannot_be_read_is_told_and_not_written_over() {
    let folder = Folder::new("unreadable");
    let file = StateFile::in_folder(&folder.0);
    // A folder can be opened and not be read, also by root.
    fs::create_dir(file.path()).unwrap();
    fs::write(file.path().join("drains"), "of the operator").unwrap();
    let told = file.read(CLOCK).unwrap_err().to_string();
    let aside = folder.0.join(BROKEN_FILE);
    let expected =
        format!("{}: Is a directory (os error 21); kept as {}", file.path().display(), aside.display());
    assert_eq!(told, expected);
    file.write(&State::default(), CLOCK).unwrap();
    assert_eq!(fs::read_to_string(aside.join("drains")).unwrap(), "of the operator");
    assert_eq!(file.read(CLOCK).unwrap(), State::default());
}

#[test]
fn the_file_is_replaced_as_a_whole_and_its_folder_is_made() {
    let folder = Folder::new("written");
    let below = folder.0.join("lvs-router");
    let file = StateFile::in_folder(&below);
    let key = ServerKey { service: service(), server: server(1) };
    let climbing = [((service(), server(2)), CLOCK.now)].into();
    let state = State { down: [(key, "timed out".to_owned())].into(), climbing, ..State::default() };
    file.write(&state, CLOCK).unwrap();
    assert_eq!(file.read(CLOCK).unwrap(), state);
    assert_eq!(
        fs::read_to_string(file.path()).unwrap(),
        "{\"version\":1,\"servers\":[],\"sorry\":[],\"leaving\":[],\"down\":[{\"service\":\"-t 10.1.0.100:80\",\
         \"address\":\"10.2.0.1:80\",\"reason\":\"timed out\"}],\"climbing\":[{\"service\":\"-t 10.1.0.100:80\",\
         \"row\":\"10.2.0.2:80\",\"since_ms\":1763776800000}]}\n"
    );
    assert_eq!(fs::read_dir(&below).unwrap().count(), 1);
    // What cannot be written leaves the old one.
    fs::create_dir(below.join("lvs.state.new")).unwrap();
    assert!(file.write(&State::default(), CLOCK).is_err());
    assert_eq!(file.read(CLOCK).unwrap(), state);
}
