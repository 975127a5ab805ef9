//! What a killed director leaves in the kernel: how the next one knows it, and how it goes.

use std::collections::BTreeSet;
use std::path::PathBuf;

use daemonkit::clock::Mono;
use ipvsadm::fake::FakeKernel;
use ipvsadm::{Errno, Family, Ipvs, Protocol, ServiceId, Table};
use lvs::action::Input;
use lvs::record::Record;
use lvs::service_list::{BadLine, MAX_BYTES, parse, render};
use lvs::withdraw::carry_out;
use lvs::withdrawal::{LIMIT, Withdrawal};
use lvs_config::Config;
use proptest::prelude::*;

use crate::world::{Director, assert_lines, config, two_servers, virtual_server, without_reads};

fn tcp(address: &str) -> ServiceId {
    ServiceId::tcp(address.parse().unwrap())
}

/// `web` at 10.1.0.100 as before, and `mail` at 10.1.0.101.
fn web_and_mail() -> Config {
    let web = virtual_server("web", "10.1.0.100", "", &["10.2.0.11"]);
    config(&(web + &virtual_server("mail", "10.1.0.101", "port = 25", &["10.2.0.12"])))
}

/// A kernel with a service of somebody else.
fn with_foreign() -> FakeKernel {
    let foreign = config(&virtual_server("other", "10.1.0.200", "", &["10.2.0.77"]));
    let mut other = Director::new(&foreign);
    other.tick(0);
    other.report(1, 1, None);
    other.fake
}

const FOREIGN: [&str; 2] = ["-A -t 10.1.0.200:80 -s rr", "-a -t 10.1.0.200:80 -r 10.2.0.77:80 -m -w 1"];

#[test]
fn a_killed_directors_services_are_withdrawn_unless_the_file_still_names_them() {
    let mut killed = Director::over(with_foreign(), &web_and_mail());
    killed.tick(0);
    killed.report(10, 1, None);
    assert_eq!(killed.record, BTreeSet::from([tcp("10.1.0.100:80"), tcp("10.1.0.101:25")]));
    let mut next = killed.successor(&two_servers());
    assert_lines(
        &next.tick(20),
        &[
            "read",
            "log adopted 1 services, 1 servers",
            "log 1 leftovers",
            "-D -t 10.1.0.101:25",
            "ready",
            "spawn 1 10.2.0.11",
            "spawn 2 10.2.0.12",
        ],
    );
    assert_eq!(next.record, BTreeSet::from([tcp("10.1.0.100:80")]));
    let row = "-a -t 10.1.0.100:80 -r 10.2.0.11:80 -m -w 1";
    assert_lines(&next.table(), &[FOREIGN[0], FOREIGN[1], "-A -t 10.1.0.100:80 -s rr", row]);
    assert_lines(&without_reads(next.until(5000)), &[]);
}

#[test]
fn what_is_listed_and_not_in_the_kernel_is_forgotten() {
    let mut killed = Director::new(&web_and_mail());
    killed.tick(0);
    killed.fake.set_table(Table::default());
    let mut next = killed.successor(&two_servers());
    next.tick(0);
    assert_eq!(next.record, BTreeSet::from([tcp("10.1.0.100:80")]));
}

#[test]
fn nothing_is_listed_after_an_end_in_order() {
    let mut director = Director::over(with_foreign(), &web_and_mail());
    director.tick(0);
    director.reload(100, &two_servers());
    director.tick(100);
    assert_eq!(director.record, BTreeSet::from([tcp("10.1.0.100:80")]));
    director.at(200, Input::Shutdown);
    assert_eq!(director.record, BTreeSet::new());
    assert_lines(&director.table(), &FOREIGN);
}

#[test]
fn a_service_that_cannot_be_withdrawn_stays_listed() {
    let mut director = Director::new(&two_servers());
    director.tick(0);
    director.fake.refuse(0, Errno::ENOMEM, None);
    director.at(100, Input::Shutdown);
    assert_eq!(director.record, BTreeSet::from([tcp("10.1.0.100:80")]));
    director.until(1200);
    assert_eq!(director.record, BTreeSet::new());
}

#[test]
fn a_list_that_cannot_be_written_is_told_once_and_stops_nothing() {
    let mut director = Director::new(&two_servers());
    director.read_only = Some("lvs.services: Read-only file system".into());
    assert_lines(
        &director.tick(0),
        &[
            "read",
            "-A -t 10.1.0.100:80 -s rr",
            "log not recorded: lvs.services: Read-only file system",
            "ready",
            "spawn 1 10.2.0.11",
            "spawn 2 10.2.0.12",
        ],
    );
    assert_lines(&director.until(3500), &["1000 read", "2000 read", "3000 read"]);
    director.read_only = None;
    assert_lines(&director.until(4500), &["4000 read", "4000 log recorded again"]);
    assert_eq!(director.record, BTreeSet::from([tcp("10.1.0.100:80")]));
}

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("lvs-leftovers-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.0).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// What `lvs --withdraw` does to `fake` when `record` is what a killed director wrote.
fn withdraw(fake: &FakeKernel, record: &Record) -> u8 {
    let mut kernel = Ipvs::with_transport(fake.connect()).unwrap();
    carry_out(Withdrawal::new(Mono::now(), record.read().unwrap()), &mut kernel, record)
}

#[test]
fn withdrawing_removes_exactly_what_is_listed_and_then_the_list() {
    let folder = Folder::new("withdraw");
    let record = Record::in_folder(&folder.0);
    let mut killed = Director::over(with_foreign(), &web_and_mail());
    killed.tick(0);
    record.write(&killed.record).unwrap();
    assert_eq!(folder.names(), ["lvs.services"]);
    // What is refused is tried again.
    killed.fake.refuse(0, Errno::ENOMEM, None);
    assert_eq!(withdraw(&killed.fake, &record), 0);
    assert_lines(&killed.table(), &FOREIGN);
    assert_eq!(folder.names(), Vec::<String>::new());
}

#[test]
fn a_withdrawal_that_does_not_succeed_ends_in_time_and_keeps_the_list() {
    let at = Mono::from_millis;
    let mut withdrawal = Withdrawal::new(at(0), BTreeSet::from([tcp("10.1.0.100:80")]));
    let mut now = at(0);
    for _ in 0..100 {
        let actions = withdrawal.step(now, Input::Tick);
        assert!(!actions.iter().any(|action| matches!(action, lvs::action::Action::Record(_))));
        if actions.contains(&lvs::action::Action::Exit(1)) {
            assert_eq!(now, Mono::ZERO + LIMIT);
            return;
        }
        if actions.contains(&lvs::action::Action::ReadTable) {
            withdrawal.step(now, Input::Table(Err("the kernel did not answer within 2 s".into())));
        }
        now = withdrawal.deadline().max(now);
    }
    panic!("does not end");
}

#[test]
fn a_list_is_read_strictly() {
    let good = "-t 10.1.0.100:80\n-u [2001:db8::1]:53\n-f 80\n-f 80 -6\n";
    let (services, bad) = parse(good.as_bytes());
    let mark = |family| ServiceId::FwMark { mark: 80.try_into().unwrap(), family };
    let dns = ServiceId::udp("[2001:db8::1]:53".parse().unwrap());
    assert_eq!(services, BTreeSet::from([tcp("10.1.0.100:80"), dns, mark(Family::V4), mark(Family::V6)]));
    assert_eq!((bad, render(&services)), (Vec::new(), good.to_owned()));
    for line in [
        "",
        "-t",
        "-t 10.1.0.100",
        "-t 10.1.0.100:080",
        "-t 10.1.0.100:80 -s rr",
        "-t www:80",
        " -f 1",
        "-f 0",
        "-f 1 -4",
        "-f -6",
        "-f 4294967296",
        "-x 10.1.0.100:80",
        "-t [fe80::1%2]:80",
        "-t 10.1.0.100:80\r",
        "# x",
    ] {
        let (services, bad) = parse(format!("-f 7\n{line}\n-f 9\n").as_bytes());
        assert_eq!(render(&services), "-f 7\n-f 9\n", "{line:?}");
        assert_eq!(bad, [BadLine { number: 2, text: line.trim_end().into() }]);
    }
    let (services, bad) = parse(b"-f 7\n-t 10.1.0.100:8");
    assert_eq!((services.len(), bad.len()), (1, 1), "the end of the last line may be missing");
    assert_eq!(
        bad[0].to_string(),
        r#"line 2: "-t 10.1.0.100:8" names no service; such as "-t 10.1.0.100:80" is allowed"#
    );
}

#[test]
fn a_list_without_end_is_read_up_to_a_limit() {
    let text = "-f 80\n".repeat(MAX_BYTES / 6 + 10);
    let (services, bad) = parse(text.as_bytes());
    assert_eq!((services.len(), bad.len()), (1, 1), "the line that is cut off does not count");
    let folder = Folder::new("long");
    let record = Record::in_folder(&folder.0);
    std::fs::write(record.path(), &text).unwrap();
    assert_eq!(record.read().unwrap().len(), 1);
}

fn any_service() -> impl Strategy<Value = ServiceId> {
    let protocol = prop_oneof![Just(Protocol::Tcp), Just(Protocol::Udp), Just(Protocol::Sctp)];
    let family = prop_oneof![Just(Family::V4), Just(Family::V6)];
    prop_oneof![
        (protocol, any::<std::net::IpAddr>(), any::<u16>())
            .prop_map(|(protocol, address, port)| ServiceId::Address { protocol, address, port }),
        (any::<std::num::NonZeroU32>(), family).prop_map(|(mark, family)| ServiceId::FwMark { mark, family }),
    ]
}

proptest! {
    #[test]
    fn what_is_listed_is_read_back(services in proptest::collection::btree_set(any_service(), 0..20)) {
        prop_assert_eq!(parse(render(&services).as_bytes()), (services, Vec::new()));
    }

    #[test]
    fn any_bytes_are_read(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let (services, _) = parse(&bytes);
        prop_assert_eq!(parse(render(&services).as_bytes()).0, services);
    }
}
