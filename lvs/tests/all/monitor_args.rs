//! The command line of monitors, word for word, and as our own nanny reads it.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use daemonkit::privilege::UserIds;
use lvs::nanny_args::{MonitorCommand, MonitorSettings};
use nanny::args::{Args, Invocation, parse};
use nanny::confine::user::User;
use nanny::health::State;
use proptest::prelude::*;

use crate::world::{config, monitor_settings, virtual_server};

fn command(head: &str, directives: &str, server: &str) -> MonitorCommand {
    let config = config(&format!("{head}\n{}", virtual_server("web", "10.1.0.100", directives, &[server])));
    let virtual_server = &config.virtual_servers[0];
    MonitorCommand::new(&monitor_settings(), &config, virtual_server, &virtual_server.servers[0])
}

fn read_by_nanny(command: &MonitorCommand) -> Args {
    match parse(command.arguments.iter().map(OsString::from)) {
        Ok(Invocation::Run(args)) => *args,
        other => panic!("{:?}: {other:?}", command.arguments),
    }
}

#[test]
fn rise_and_fall_are_told_to_our_own_monitor_when_they_are_not_one() {
    let line = |directives: &str| command("", directives, "10.2.0.11").shell_line();
    assert!(line("rise = 3; fall = 2").contains(" -a 180 --rise 3 --fall 2 -I "));
    assert_eq!(line("rise = 1; fall = 1"), line(""));
    let read = read_by_nanny(&command("", "fall = 100", "10.2.0.11"));
    assert_eq!((read.rise, read.fall), (None, Some(100)));
    let one = |directives: &str| command("", directives, "10.2.0.11");
    assert_ne!(one("fall = 2").identity(), one("").identity());
}

#[test]
fn what_is_said_of_the_pace_is_told_to_our_own_monitor() {
    let directives = "timeout = 6; connect_timeout = 500ms; answer_timeout = 2; check_timeout = 5; \
                      failing_interval = 1500ms; jitter = 10; damping = 3/10m; rise = 2";
    let line = command("", directives, "10.2.0.11").shell_line();
    let pace = " -a 180 --rise 2 --connect-timeout 500ms --answer-timeout 2 --check-timeout 5 \
                --failing-interval 1500ms --jitter 10 --damping 3/600 -I ";
    assert!(line.contains(pace), "{line}");
    let read = read_by_nanny(&command("", directives, "10.2.0.11"));
    let millis = |time: Option<Duration>| time.map(|time| time.as_millis());
    assert_eq!((millis(read.connect_timeout), millis(read.answer_timeout)), (Some(500), Some(2000)));
    assert_eq!((millis(read.check_timeout), millis(read.failing_interval)), (Some(5000), Some(1500)));
    let damping = read.damping.unwrap();
    assert_eq!((read.jitter, damping.times, damping.within), (10, 3, Duration::from_secs(600)));
    let foreign =
        command("", &format!("client_monitor = /bin/other; {directives}"), "10.2.0.11").shell_line();
    assert!(foreign.contains(" -a 180 -I "), "{foreign}");
    let one = |directives: &str| command("", directives, "10.2.0.11");
    for directive in directives.split("; ") {
        assert_ne!(one(directive).identity(), one("").identity(), "{directive}");
    }
}

#[test]
fn a_check_is_told_to_our_own_monitor_in_place_of_what_it_replaces() {
    let directives = "protocol = udp; send = x; use_regex = 1; expect = y; check = tcp send=\"a b\" port=81";
    assert_eq!(
        command("", directives, "10.2.0.11").shell_line(),
        "/usr/sbin/nanny --report -c -h 10.2.0.11 -p 80 -r 80 --check 'tcp send=\"a b\" port=81' -a 180 -I /sbin/ipvsadm \
         -t 10 -w 1 -V 10.1.0.100 -M m --nodaemon --lvs"
    );
    let read = read_by_nanny(&command("", directives, "10.2.0.11"));
    assert_eq!(read.check.unwrap().to_string(), "tcp send=\"a b\" port=81");
    let foreign = "client_monitor = /bin/other; check = tcp; send = x";
    assert!(!command("", foreign, "10.2.0.11").shell_line().contains("--check"));
}

#[test]
fn a_check_is_shared_unless_it_is_about_one_virtual_server() {
    let of = |directives: &str| command("", directives, "10.2.0.11 port = 80");
    let [web, other] = ["port = 80", "port = 8080; protocol = udp"];
    let is_shared = |check: &str| {
        of(&format!("{web}; check = {check}")).identity()
            == of(&format!("{other}; check = {check}")).identity()
    };
    assert!(is_shared("tcp"));
    assert!(is_shared("program run=/bin/x"));
    assert!(!is_shared("program run=\"/bin/x %v\""));
    assert!(!is_shared("program run=/bin/x warning=50"));
    assert_ne!(of("check = tcp").identity(), of("check = tcp any").identity());
    assert_ne!(of("check = tcp").identity(), of("").identity());
    assert_eq!(of("check = tcp   any").identity(), of("check = 'tcp any'").identity());
}

#[test]
fn our_own_monitor_is_told_as_whom_to_run_when_the_file_says_so() {
    let numbered = command("monitor_user = 998:997", "", "10.2.0.11");
    let numbers = UserIds { uid: 998, gid: 997 };
    assert_eq!(read_by_nanny(&numbered).user, Some(User::Numbered(numbers)));
    assert_ne!(numbered.identity(), command("", "", "10.2.0.11").identity());
    let foreign = command("monitor_user = root", "client_monitor = /opt/mon", "10.2.0.11");
    assert_eq!(foreign, command("", "client_monitor = /opt/mon", "10.2.0.11"));
}

#[test]
fn everything_stands_in_the_originals_order() {
    let head = "network = tunnel\nrsh_command = ssh\nipvsadm = /opt/ipvsadm";
    let directives = "port = 53; protocol = udp; fwmark = 9; send = \"a b\\r\\n\"; expect = OK; \
                      send_program = \"/bin/x %h\"; use_regex = 1; quiesce_server = 1; timeout = 6; \
                      reentry = 15; load_monitor = uptime";
    let command = command(head, directives, "10.2.0.11 port = 80; weight = 3");
    assert_eq!(command.program, Path::new("/usr/sbin/nanny"));
    assert_eq!(
        command.shell_line(),
        "/usr/sbin/nanny --report -c -h 10.2.0.11 -p 53 -r 80 -f 9 -u -e '/bin/x %h' -s 'a b\\r\\n' -x OK -q --regex \
         -a 15 -I /opt/ipvsadm -t 6 -w 3 -V 10.1.0.100 -M i -U ssh --nodaemon --lvs"
    );
}

#[test]
fn one_of_ours_that_starts_is_told_what_was_and_when_to_probe() {
    let plain = command("", "timeout = 10", "10.2.0.11");
    let told = read_by_nanny(&plain.clone().handed_over(1, Some(false)));
    assert_eq!((told.was, told.phase), (State::Down, Some(Duration::from_millis(6181))));
    assert_eq!(read_by_nanny(&plain.clone().handed_over(2, Some(true))).was, State::Up);
    let unknown = plain.clone().handed_over(2, None);
    assert_eq!(unknown.arguments[plain.arguments.len()..], ["--phase", "2361ms"]);
    let foreign = command("", "client_monitor = /opt/mon", "10.2.0.11");
    assert_eq!(foreign.clone().handed_over(3, Some(true)), foreign);
}

#[test]
fn forty_monitors_probe_in_forty_different_hundredths_of_the_interval_and_their_gaps_are_even() {
    for first in [1, 7, 1000, u64::MAX - 20] {
        let plain = command("", "timeout = 10", "10.2.0.11");
        let phase = |number: u64| {
            let told = read_by_nanny(&plain.clone().handed_over(number, None));
            u64::try_from(told.phase.unwrap().as_millis()).unwrap()
        };
        let mut phases: Vec<u64> = (0..40).map(|n| phase(first.wrapping_add(n))).collect();
        phases.sort_unstable();
        let around = phases.iter().skip(1).copied().chain([phases[0] + 10_000]);
        let gaps: Vec<u64> = phases.iter().zip(around).map(|(one, next)| next - one).collect();
        // Evenly it would be 250 ms each.
        assert!(gaps.iter().all(|gap| (100..=500).contains(gap)), "{gaps:?}");
        let slots: BTreeSet<u64> = phases.iter().map(|phase| phase / 100).collect();
        assert_eq!(slots.len(), 40, "{phases:?}");
        assert!(phases.iter().all(|phase| (1..=10_000).contains(phase)));
    }
}

#[test]
fn the_least_that_is_said() {
    assert_eq!(
        command("", "", "10.2.0.11").arguments.join(" "),
        "--report -c -h 10.2.0.11 -p 80 -r 80 -a 180 -I /sbin/ipvsadm -t 10 -w 1 -V 10.1.0.100 -M m --nodaemon --lvs"
    );
}

#[test]
fn sctp_is_told_to_every_monitor() {
    for monitor in ["", "; client_monitor = /opt/mon"] {
        let command = command("", &format!("port = 3868; protocol = sctp{monitor}"), "10.2.0.11");
        assert!(command.shell_line().contains(" -r 3868 --sctp -a "), "{}", command.shell_line());
        assert!(read_by_nanny(&command).sctp);
    }
}

#[test]
fn a_foreign_monitor_is_not_asked_to_report() {
    let command =
        command("network = direct", "client_monitor = /opt/mon; load_monitor = /opt/load", "10.2.0.11");
    assert_eq!(
        command.shell_line(),
        "/opt/mon -c -h 10.2.0.11 -p 80 -r 80 -a 180 -I /sbin/ipvsadm -t 10 -w 1 -V 10.1.0.100 -M g \
         -U /opt/load --nodaemon --lvs"
    );
}

#[test]
fn monitors_of_a_director_in_the_background_log_to_syslog_but_foreign_ones_keep_their_output() {
    let background = MonitorSettings { foreground: false, ..monitor_settings() };
    for (directives, end) in [("", "-M m --lvs"), ("client_monitor = /opt/mon", "-M m --nodaemon --lvs")] {
        let config = config(&virtual_server("web", "10.1.0.100", directives, &["10.2.0.11"]));
        let web = &config.virtual_servers[0];
        let command = MonitorCommand::new(&background, &config, web, &web.servers[0]);
        assert!(command.shell_line().ends_with(end), "{}", command.shell_line());
    }
}

#[test]
fn only_times_below_a_second_carry_a_unit() {
    let command = command("", "timeout = 200ms; reentry = 2m", "10.2.0.11");
    let args = read_by_nanny(&command);
    assert!(command.shell_line().contains(" -a 120 ") && command.shell_line().contains(" -t 200ms "));
    assert_eq!(args.interval, Some(Duration::from_millis(200)));
    assert_eq!(args.reentry, Some(Duration::from_secs(120)));
}

#[test]
fn a_weight_matters_only_to_a_monitor_that_computes_with_it() {
    for (directives, same) in [
        ("", true),
        ("load_monitor = none", true),
        ("load_monitor = rup", false),
        ("client_monitor = /m", false),
    ] {
        let one = command("", directives, "10.2.0.11 weight = 1");
        let two = command("", directives, "10.2.0.11 weight = 2");
        assert_eq!(one.identity() == two.identity(), same, "{directives}");
    }
}

#[test]
fn what_is_done_with_an_answer_is_no_part_of_a_check() {
    let plain = command("", "", "10.2.0.11");
    for same in ["quiesce_server = 1", "fwmark = 3", "load_monitor = none", "scheduler = wlc"] {
        assert_eq!(command("", same, "10.2.0.11").identity(), plain.identity(), "{same}");
    }
    assert_eq!(command("network = direct\nipvsadm = /x", "", "10.2.0.11").identity(), plain.identity());
    let others = [
        "timeout = 3",
        "reentry = 3",
        "send = x",
        "expect = x",
        "send_program = /x",
        "protocol = udp",
        "use_regex = 1; expect = x",
    ];
    for other in others {
        assert_ne!(command("", other, "10.2.0.11").identity(), plain.identity(), "{other}");
    }
    assert_ne!(command("", "", "10.2.0.12").identity(), plain.identity());
    assert_ne!(command("", "", "10.2.0.11 port = 81").identity(), plain.identity());
}

#[test]
fn the_virtual_port_matters_where_it_makes_a_check_ask_for_a_page() {
    let on = |port: u16, more: &str| command("", &format!("port = {port}; {more}"), "10.2.0.11 port = 8080");
    assert_ne!(on(80, "").identity(), on(81, "").identity());
    assert_eq!(on(82, "").identity(), on(81, "").identity());
    assert_eq!(on(80, "expect = x").identity(), on(81, "expect = x").identity());
}

#[test]
fn words_are_quoted_for_a_shell() {
    let command = command("", "expect = \"it's\"; send = \"a|b\"", "10.2.0.11");
    assert!(command.shell_line().contains(r"-s 'a|b' -x 'it'\''s' "), "{}", command.shell_line());
}

proptest! {
    #[test]
    fn our_nanny_reads_back_what_the_file_says(
        texts in proptest::collection::vec(proptest::option::of("[a-zA-Z0-9 =_%/:-]{1,20}"), 3),
        flags in proptest::array::uniform3(any::<bool>()),
        fwmark in 0u32..3,
        weight: u16,
        seconds in 1u64..1000,
        network in proptest::sample::select(vec!["nat", "direct", "tunnel"]),
    ) {
        let [regex, quiesce, udp] = flags;
        let mut directives = format!(
            "use_regex = {}; quiesce_server = {}; fwmark = {fwmark}; timeout = {seconds}; port = 7",
            u8::from(regex), u8::from(quiesce),
        );
        for (name, text) in ["send", "expect", "send_program"].iter().zip(&texts) {
            if let Some(text) = text {
                directives += &format!("; {name} = \"{text}\"");
            }
        }
        if udp {
            directives += "; protocol = udp";
        }
        let text = format!(
            "primary = 198.51.100.1\nnetwork = {network}\n{}",
            virtual_server("web", "10.1.0.100", &directives, &[&format!("10.2.0.11 weight = {weight}; port = 99")])
        );
        // What the file's own rules refuse never gets here.
        let parsed = lvs_config::parse(&text, &lvs_config::SystemNames);
        prop_assume!(parsed.config.is_some());
        let config = parsed.config.unwrap();
        let virtual_server = &config.virtual_servers[0];
        let command =
            MonitorCommand::new(&monitor_settings(), &config, virtual_server, &virtual_server.servers[0]);
        let args = read_by_nanny(&command);
        let bytes = |text: &Option<String>| text.as_ref().map(|text| text.clone().into_bytes());
        let check = &virtual_server.check;
        prop_assert_eq!(args.server.map(|a| a.to_string()), Some("10.2.0.11".to_owned()));
        prop_assert_eq!((args.port, args.real_port, args.weight), (Some(7), Some(99), Some(weight)));
        prop_assert_eq!((args.send, args.expect, args.program), (bytes(&check.send), bytes(&check.expect), bytes(&check.send_program)));
        prop_assert_eq!((args.regex, args.quiesce, args.udp, args.fwmark), (regex, quiesce, udp, fwmark));
        prop_assert_eq!(args.interval, Some(Duration::from_secs(seconds)));
        prop_assert!(args.report && args.lvs && args.foreground && args.no_fork && !args.verbose);
    }
}
