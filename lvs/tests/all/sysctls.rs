//! The kernel's settings: what is wanted, and what is done from one reading to the next.

use std::collections::{BTreeMap, BTreeSet};

use daemonkit::clock::Mono;
use lvs::sysctl::event::SysctlEvent;
use lvs::sysctl::files::{SysctlFiles, set_back};
use lvs::sysctl::keeper::{Keeper, Step};
use lvs::sysctl::memory::Remembered;
use lvs::sysctl::needs::Needs;
use lvs::sysctl::plan::plan;
use lvs::sysctl::{Answer, Facts, Order, Trouble};

use crate::world::{assert_lines, config, virtual_server};

const FORWARD: &str = "net.ipv4.ip_forward";
const FORWARD6: &str = "net.ipv6.conf.all.forwarding";

/// What a file needs: global directives, and virtual servers.
fn needs(globals: &str, virtual_servers: &[String]) -> Needs {
    Needs::of(&config(&format!("{globals}\n{}", virtual_servers.concat())))
}

fn nat() -> Needs {
    needs("", &[virtual_server("web", "10.1.0.100", "", &["10.2.0.11", "10.2.0.12"])])
}

/// A router whose real servers are behind eth1.
fn facts() -> Facts {
    let interfaces = ["lo", "eth0", "eth1"].map(str::to_owned).into();
    Facts { interfaces, towards: BTreeMap::from([([10, 2, 0, 11].into(), "eth1".into())]) }
}

fn planned(needs: &Needs) -> Vec<String> {
    let settings = plan(needs, &facts()).into_iter();
    settings.map(|setting| format!("{}={}", setting.name, setting.value)).collect()
}

#[test]
fn nat_needs_forwarding_and_no_redirects_where_its_real_servers_are() {
    assert_lines(
        &planned(&nat()),
        &[
            "net.ipv4.ip_forward=1",
            "net.ipv4.conf.all.send_redirects=0",
            "net.ipv4.conf.eth1.send_redirects=0",
        ],
    );
}

#[test]
fn direct_routing_and_tunnels_need_nothing() {
    for network in ["direct", "tunnel"] {
        let needs = needs(
            &format!("network = {network}"),
            &[virtual_server("web", "10.1.0.100", "", &["10.2.0.11"])],
        );
        assert_lines(&planned(&needs), &[]);
    }
}

#[test]
fn a_single_server_or_sorry_server_by_nat_needs_what_nat_needs() {
    let one = virtual_server("web", "10.1.0.100", "network = direct", &["10.2.0.11 network = nat"]);
    assert_eq!(planned(&needs("", &[one]))[0], "net.ipv4.ip_forward=1");
    let sorry = "network = direct;sorry_server = 10.2.0.99 nat";
    let sorry = virtual_server("web", "10.1.0.100", sorry, &["10.2.0.11"]);
    assert_eq!(planned(&needs("", &[sorry]))[0], "net.ipv4.ip_forward=1");
}

#[test]
fn ipv6_by_nat_needs_forwarding_and_keeps_router_advertisements() {
    let needs = needs("", &[virtual_server("web", "2001:db8::1", "", &["fd00:2::11"])]);
    assert_lines(
        &planned(&needs),
        &[
            "net.ipv6.conf.eth0.accept_ra=2",
            "net.ipv6.conf.eth1.accept_ra=2",
            "net.ipv6.conf.all.forwarding=1",
        ],
    );
}

#[test]
fn persistence_and_pure_udp_need_records_to_end() {
    let persistent = virtual_server("web", "10.1.0.100", "network = direct;persistent = 300", &["10.2.0.11"]);
    assert_lines(&planned(&needs("", &[persistent])), &["net.ipv4.vs.expire_quiescent_template=1"]);
    let udp = |port| virtual_server("dns", "10.1.0.100", &format!("network = direct;{port}"), &["10.2.0.11"]);
    let (dns, web) = (udp("port = 53;protocol = udp"), udp("port = 80"));
    assert_lines(&planned(&needs("", std::slice::from_ref(&dns))), &["net.ipv4.vs.expire_nodest_conn=1"]);
    assert_lines(&planned(&needs("", &[dns, web])), &[]);
}

#[test]
fn the_file_comes_before_what_is_needed() {
    let web = || virtual_server("web", "10.1.0.100", "", &["10.2.0.11"]);
    assert_lines(&planned(&needs("sysctl = leave", &[web()])), &[]);
    let chosen = "sysctl = [ net.ipv4.vs.conntrack=1 net.ipv4.conf.all.send_redirects=leave \
                  net.ipv4.conf.eth1.send_redirects=1 ]";
    assert_lines(
        &planned(&needs(chosen, &[web()])),
        &["net.ipv4.ip_forward=1", "net.ipv4.conf.eth1.send_redirects=1", "net.ipv4.vs.conntrack=1"],
    );
    let other_name = "sysctl = [ net.ipv4.conf.all.forwarding=leave ]";
    assert!(!planned(&needs(other_name, &[web()])).contains(&"net.ipv4.ip_forward=1".to_owned()));
}

#[test]
fn every_setting_that_is_set_without_being_asked_for_is_in_the_table_for_people() {
    let table = include_str!("../../../docs/sysctls.md");
    let all = [
        virtual_server("a", "2001:db8::1", "persistent = 5;protocol = udp", &["fd00:2::11"]),
        virtual_server("b", "10.1.0.100", "protocol = udp", &["10.2.0.11"]),
    ];
    let settings = plan(&needs("", &all), &facts());
    assert_eq!(settings.len(), 8);
    for setting in settings {
        let name = setting.name.to_string().replace("eth0", "IFACE").replace("eth1", "IFACE");
        assert!(table.contains(&format!("| `{name}` | {} |", setting.value)), "{name}");
    }
}

/// A kernel with settings, and the director's keeper of them.
struct Router {
    keeper: Keeper,
    values: BTreeMap<String, i64>,
    memory: Vec<Remembered>,
    refuses: Option<String>,
    now: Mono,
    reads: usize,
}

impl Router {
    fn new(needs: Needs, values: &[(&str, i64)]) -> Self {
        let values = values.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect();
        let keeper = Keeper::new(Mono::ZERO, needs, Vec::new());
        Self { keeper, values, memory: Vec::new(), refuses: None, now: Mono::ZERO, reads: 0 }
    }

    /// A router with `network = nat` and these values of its three settings.
    fn by_nat(forward: i64, all: i64, eth1: i64) -> Self {
        Self::new(
            nat(),
            &[
                (FORWARD, forward),
                ("net.ipv4.conf.all.send_redirects", all),
                ("net.ipv4.conf.eth1.send_redirects", eth1),
            ],
        )
    }

    /// The next one, at once after this one was killed.
    fn killed(mut self, needs: Needs) -> Self {
        self.keeper = Keeper::new(self.now, needs, self.memory.clone());
        self
    }

    /// All that is done up to `millis`: values written and lines told.
    fn until(&mut self, millis: u64) -> Vec<String> {
        let mut done = Vec::new();
        for _ in 0..1000 {
            let Some(due) = self.keeper.deadline().filter(|due| *due <= Mono::from_millis(millis)) else {
                self.now = Mono::from_millis(millis);
                return done;
            };
            self.now = self.now.max(due);
            let mut steps = self.keeper.tick(self.now);
            while !steps.is_empty() {
                let mut next = Vec::new();
                for step in steps {
                    match step {
                        Step::Tell(event) => done.push(short(&event)),
                        Step::Do(order) => {
                            let answer = self.carry_out(order, &mut done);
                            next.extend(self.keeper.answer(self.now, answer));
                        }
                    }
                }
                steps = next;
            }
        }
        panic!("it does not come to rest: {done:#?}");
    }

    fn carry_out(&mut self, order: Order, done: &mut Vec<String>) -> Answer {
        match order {
            Order::Survey(addresses) => {
                assert_eq!(addresses.len(), 1);
                Answer::Surveyed(facts())
            }
            Order::Read(names) => {
                self.reads += 1;
                let read = |name: &_| self.values.get(&format!("{name}")).copied().ok_or(Trouble::Missing);
                Answer::Read(names.into_iter().map(|name| (name.clone(), read(&name))).collect())
            }
            Order::Remember(memory) => {
                self.memory = memory;
                Answer::Remembered(Ok(()))
            }
            Order::Write(values) => Answer::Written(
                values
                    .into_iter()
                    .map(|(name, value)| {
                        if let Some(reason) = &self.refuses {
                            return Err(Trouble::Failed(reason.clone()));
                        }
                        done.push(format!("{name}={value}"));
                        self.write(&name.to_string(), value);
                        Ok(())
                    })
                    .collect(),
            ),
        }
    }

    /// As the kernel does: forwarding is copied into the setting of each interface.
    fn write(&mut self, name: &str, value: i64) {
        self.values.insert(name.to_owned(), value);
        if name == FORWARD {
            for interface in ["default", "lo", "eth0", "eth1"] {
                self.values.insert(format!("net.ipv4.conf.{interface}.forwarding"), value);
            }
            self.values.insert("net.ipv4.conf.all.accept_redirects".into(), 1 - value);
        }
    }

    fn stop(&mut self, millis: u64) -> Vec<String> {
        self.keeper.stop(Mono::from_millis(millis));
        let done = self.until(millis);
        assert!(self.keeper.is_settled());
        done
    }
}

fn short(event: &SysctlEvent) -> String {
    match event {
        SysctlEvent::Set { name, found, .. } => format!("set {name} was {found}"),
        SysctlEvent::Repaired { name, found, times, .. } => format!("repair {name} was {found} x{times}"),
        SysctlEvent::Refused { name, problem, .. } => format!("refused {name}: {problem}"),
        SysctlEvent::Right(name) => format!("right {name}"),
        SysctlEvent::Missing(name) => format!("missing {name}"),
        SysctlEvent::Restored { name, original, .. } => format!("back {name} to {original}"),
        SysctlEvent::LeftAsIs { name, found } => format!("left {name} at {found}"),
        SysctlEvent::NotRestored { name, problem, .. } => format!("not back {name}: {problem}"),
        SysctlEvent::NotRemembered(reason) => format!("not remembered: {reason}"),
    }
}

#[test]
fn what_is_right_is_not_written_and_read_once_a_second() {
    let mut router = Router::by_nat(1, 0, 0);
    assert_lines(&router.until(10_500), &[]);
    assert_eq!(router.reads, 11);
    assert!(router.memory.is_empty());
    assert_lines(&router.stop(11_000), &[]);
}

#[test]
fn what_is_wrong_is_written_once_and_set_back_in_reverse_order() {
    let mut router = Router::by_nat(0, 1, 0);
    assert_lines(
        &router.until(2000),
        &[
            "set net.ipv4.ip_forward was 0",
            "set net.ipv4.conf.all.send_redirects was 1",
            "net.ipv4.ip_forward=1",
            "net.ipv4.conf.all.send_redirects=0",
        ],
    );
    assert_eq!(router.memory.len(), 2);
    let status = router.keeper.status();
    assert_eq!((status[0].wanted, status[0].found, status[0].before), (1, Some(1), Some(0)));
    assert_lines(
        &router.stop(3000),
        &[
            "back net.ipv4.conf.all.send_redirects to 1",
            "back net.ipv4.ip_forward to 0",
            "net.ipv4.conf.all.send_redirects=1",
            "net.ipv4.ip_forward=0",
        ],
    );
    assert!(router.memory.is_empty());
}

#[test]
fn a_change_by_somebody_else_is_repaired_told_and_counted() {
    let mut router = Router::by_nat(1, 0, 0);
    router.until(1500);
    router.write(FORWARD, 0);
    let repair = ["repair net.ipv4.ip_forward was 0 x1", "net.ipv4.ip_forward=1"];
    assert_lines(&router.until(3400), &repair);
    // Whoever does so again and again fills no log.
    for second in 4..9 {
        router.write(FORWARD, 0);
        assert_lines(&router.until(second * 1000 + 900), &["net.ipv4.ip_forward=1"]);
    }
    router.until(20_000);
    router.write(FORWARD, 0);
    let again = ["repair net.ipv4.ip_forward was 0 x6", "net.ipv4.ip_forward=1"];
    assert_lines(&router.until(21_900), &again);
    assert_eq!(router.keeper.status()[0].repairs, 7);
    // It was right before us.
    assert_lines(&router.stop(22_000), &[]);
}

#[test]
fn after_kill_the_next_run_knows_what_was_before() {
    let mut router = Router::by_nat(0, 0, 0);
    router.until(2000);
    let mut router = router.killed(nat());
    assert_lines(&router.until(4000), &[]);
    assert_lines(&router.stop(5000), &["back net.ipv4.ip_forward to 0", "net.ipv4.ip_forward=0"]);
}

#[test]
fn after_kill_and_a_change_by_somebody_else_theirs_is_what_was_before() {
    let mut router = Router::new(
        needs("sysctl = [ net.ipv4.vs.conn_reuse_mode=3 ]", &[]),
        &[("net.ipv4.vs.conn_reuse_mode", 1)],
    );
    router.until(2000);
    router.write("net.ipv4.vs.conn_reuse_mode", 2);
    let mut router = router.killed(needs("sysctl = [ net.ipv4.vs.conn_reuse_mode=3 ]", &[]));
    router.until(4000);
    let back = ["back net.ipv4.vs.conn_reuse_mode to 2", "net.ipv4.vs.conn_reuse_mode=2"];
    assert_lines(&router.stop(5000), &back);
}

#[test]
fn a_file_that_needs_nothing_any_more_sets_back_what_an_earlier_run_wrote() {
    let mut router = Router::by_nat(0, 0, 0);
    router.until(2000);
    let mut router = router.killed(Needs::default());
    assert_lines(&router.until(4000), &["back net.ipv4.ip_forward to 0", "net.ipv4.ip_forward=0"]);
    assert_eq!(router.keeper.deadline(), None);
}

#[test]
fn a_change_just_before_the_end_stays() {
    let mut router = Router::new(
        needs("sysctl = [ net.ipv4.vs.conn_reuse_mode=3 ]", &[]),
        &[("net.ipv4.vs.conn_reuse_mode", 1)],
    );
    router.until(2000);
    router.write("net.ipv4.vs.conn_reuse_mode", 2);
    assert_lines(&router.stop(2100), &["left net.ipv4.vs.conn_reuse_mode at 2"]);
    assert!(router.memory.is_empty());
}

#[test]
fn a_reload_sets_back_what_the_new_file_does_not_need() {
    let mut router = Router::by_nat(0, 1, 0);
    router.until(2000);
    router.keeper.want(Mono::from_millis(2000), needs("sysctl = [ net.ipv4.ip_forward=1 ]", &[]));
    let back = ["back net.ipv4.conf.all.send_redirects to 1", "net.ipv4.conf.all.send_redirects=1"];
    assert_lines(&router.until(4000), &back);
    assert_lines(&router.stop(5000), &["back net.ipv4.ip_forward to 0", "net.ipv4.ip_forward=0"]);
}

#[test]
fn what_cannot_be_written_is_told_once_and_right_when_done_by_hand() {
    let mut router = Router::by_nat(0, 0, 0);
    router.refuses = Some("Read-only file system (os error 30)".into());
    assert_lines(
        &router.until(60_000),
        &[
            "set net.ipv4.ip_forward was 0",
            "refused net.ipv4.ip_forward: Read-only file system (os error 30)",
        ],
    );
    let status = router.keeper.status();
    assert_eq!(status[0].problem.as_deref(), Some("Read-only file system (os error 30)"));
    assert!(router.memory.is_empty());
    router.write(FORWARD, 1);
    assert_lines(&router.until(62_000), &["right net.ipv4.ip_forward"]);
    assert_eq!(router.keeper.status()[0].problem, None);
    assert_lines(&router.stop(63_000), &[]);
}

#[test]
fn what_cannot_be_set_back_keeps_nobody_from_ending_and_is_not_forgotten() {
    let mut router = Router::by_nat(0, 0, 0);
    router.until(2000);
    router.refuses = Some("Permission denied (os error 13)".into());
    let told =
        ["back net.ipv4.ip_forward to 0", "not back net.ipv4.ip_forward: Permission denied (os error 13)"];
    assert_lines(&router.stop(3000), &told);
    assert_eq!(router.memory.len(), 1);
}

#[test]
fn a_setting_that_the_kernel_does_not_have_is_told_only_if_the_file_asks_for_it() {
    let mut router = Router::new(nat(), &[]);
    assert_lines(&router.until(5000), &[]);
    assert!(router.keeper.status().iter().all(|setting| setting.problem.is_none()));
    let mut router = Router::new(needs("sysctl = [ net.ipv4.vs.conntrack=1 ]", &[]), &[]);
    assert_lines(&router.until(5000), &["missing net.ipv4.vs.conntrack"]);
    assert_eq!(router.keeper.status()[0].problem.as_deref(), Some("this kernel has no such setting"));
}

#[test]
fn what_the_kernel_changes_along_with_forwarding_is_set_back_too() {
    let mut router = Router::by_nat(0, 0, 0);
    for (name, value) in [
        ("net.ipv4.conf.eth1.forwarding", 1),
        ("net.ipv4.conf.eth0.forwarding", 0),
        ("net.ipv4.conf.all.accept_redirects", 0),
    ] {
        router.write(name, value);
    }
    router.until(2000);
    assert_eq!(router.values["net.ipv4.conf.eth0.forwarding"], 1);
    router.stop(3000);
    assert_eq!(router.values["net.ipv4.conf.eth0.forwarding"], 0);
    assert_eq!(router.values["net.ipv4.conf.eth1.forwarding"], 1);
    assert_eq!(router.values["net.ipv4.conf.all.accept_redirects"], 0);
}

#[test]
fn router_advertisements_stay_only_where_they_were_taken() {
    let needs = needs("", &[virtual_server("web", "2001:db8::1", "", &["fd00:2::11"])]);
    let values = [(FORWARD6, 0), ("net.ipv6.conf.eth0.accept_ra", 1), ("net.ipv6.conf.eth1.accept_ra", 0)];
    let mut router = Router::new(needs.clone(), &values);
    let survey_of_none = |router: &mut Router| {
        // The stand-in of a survey expects an address; IPv6 asks for none.
        let Some(Step::Do(Order::Survey(addresses))) = router.keeper.tick(Mono::ZERO).pop() else {
            panic!("no survey");
        };
        assert_eq!(addresses, BTreeSet::new());
        router.keeper.answer(Mono::ZERO, Answer::Surveyed(facts()));
    };
    survey_of_none(&mut router);
    assert_lines(
        &router.until(2000),
        &[
            "set net.ipv6.conf.eth0.accept_ra was 1",
            "set net.ipv6.conf.all.forwarding was 0",
            "net.ipv6.conf.eth0.accept_ra=2",
            "net.ipv6.conf.all.forwarding=1",
        ],
    );
    let mut router = Router::new(needs, &[(FORWARD6, 1), ("net.ipv6.conf.eth0.accept_ra", 1)]);
    survey_of_none(&mut router);
    assert_lines(&router.until(2000), &[]);
}

#[test]
fn files_are_written_below_their_root_and_set_back_after_a_crash() {
    let folder = std::env::temp_dir().join(format!("lvs-sysctls-{}", std::process::id()));
    let path = folder.join("net/ipv4/vs/conntrack");
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, "0\n").unwrap();
    let files = SysctlFiles::new(&folder, &folder);
    let needs = needs("sysctl = [ net.ipv4.vs.conntrack=1 net.ipv4.vs.sloppy_tcp=1 ]", &[]);
    let mut keeper = Keeper::new(Mono::ZERO, needs, files.left_behind());
    let mut steps = keeper.tick(Mono::ZERO);
    while let Some(step) = steps.pop() {
        if let Step::Do(order) = step {
            steps = keeper.answer(Mono::ZERO, files.carry_out(order));
        }
    }
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "1\n");
    let list = folder.join("lvs.sysctls");
    assert_eq!(std::fs::read_to_string(&list).unwrap(), "net.ipv4.vs.conntrack 0 1\n");
    assert!(!folder.join("net/ipv4/vs/sloppy_tcp").exists());
    set_back(&files);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "0\n");
    assert!(!list.exists());
    std::fs::remove_dir_all(folder).unwrap();
}
