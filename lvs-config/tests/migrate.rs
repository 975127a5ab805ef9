//! Files of the original, explained and cleaned: the cleaned file means the same, and nothing obsolete is left in it.

mod common;

use std::fs;
use std::path::Path;

use common::{Table, files, meaning};
use lvs_config::{Change, Config, Migration, NoFiles, migrate, parse};

fn migrated(text: &str) -> Migration {
    migrate(Path::new("lvs.cf"), text.as_bytes(), &Table, &NoFiles)
}

fn cleaned(text: &str) -> String {
    String::from_utf8(migrated(text).clean).expect("text")
}

/// What the cleaned file may lose: what has no effect.
fn effective(config: Config) -> Config {
    let mut config = meaning(config);
    config.hard_shutdown = true;
    let has_monitor = config.virtual_servers.iter().any(|v| v.check.client_monitor.is_some());
    if !has_monitor {
        config.ipvsadm = "/sbin/ipvsadm".into();
    }
    if !config.virtual_servers.iter().any(|v| v.check.load_monitor.as_deref() == Some("uptime")) {
        config.rsh_command = "rsh".to_owned();
    }
    for router in [Some(&mut config.primary), config.backup.as_mut()].into_iter().flatten() {
        router.shared_device = None;
    }
    for check in config.virtual_servers.iter_mut().map(|v| &mut v.check) {
        check.load_monitor = check.load_monitor.take().filter(|monitor| monitor != "none");
        if check.send_program.is_some() {
            check.send = None;
        }
        check.use_regex &= check.expect.is_some();
    }
    for service in &mut config.failover_services {
        service.check.load_monitor = service.check.load_monitor.take().filter(|monitor| monitor != "none");
    }
    config
}

const BODY: &str = "virtual web {\n active = 1\n address = 192.0.2.80 eth0:1\n vip_nmask = 255.255.255.0\n server one {\n  \
                    address = 10.0.0.1\n  active = 1\n }\n}\n";

/// A whole file with `directives` outside of all blocks.
fn file(directives: &str) -> String {
    format!("primary = 192.0.2.1\n{directives}{BODY}")
}

/// A whole file with `directives` in its virtual server.
fn block(directives: &str) -> String {
    file("").replace(" server one", &format!("{directives} server one"))
}

/// The quirk of `text`'s line `line`, and what becomes of it.
fn told(text: &str, line: u32) -> (String, Option<Change>) {
    let found = migrated(text);
    let line = found.lines.into_iter().find(|l| l.line == line).expect("the line");
    (line.quirks.join(" "), line.change)
}

#[test]
fn valid_files_mean_the_same_when_they_are_clean() {
    let mut early = 0;
    for path in files("testdata/valid") {
        let bytes = fs::read(&path).unwrap();
        let parsed = parse(&bytes, &Table);
        let mut before = parsed.config.unwrap();
        let migration = migrate(&path, &bytes, &Table, &NoFiles);
        let after = parse(&migration.clean, &Table).config.unwrap();
        if parsed.diagnostics.iter().any(|d| d.message.starts_with("this `port` is also that")) {
            // The one thing that is as it was in Piranha, not as it would be here.
            early += 1;
            let ports = after.virtual_servers.iter().flat_map(|v| &v.servers).map(|s| s.port);
            for (server, port) in before.virtual_servers.iter_mut().flat_map(|v| &mut v.servers).zip(ports) {
                server.port = port;
            }
        }
        assert_eq!(effective(after), effective(before), "{}", path.display());
    }
    assert_eq!(early, 1);
}

#[test]
fn what_is_clean_stays_as_it_is() {
    for path in files("testdata/valid").into_iter().chain(files("testdata/broken")) {
        let once = migrate(&path, &fs::read(&path).unwrap(), &Table, &NoFiles).clean;
        let twice = migrate(&path, &once, &Table, &NoFiles);
        assert_eq!(
            String::from_utf8_lossy(&twice.clean),
            String::from_utf8_lossy(&once),
            "{}",
            path.display()
        );
    }
}

#[test]
fn cleaning_never_adds_an_error() {
    for path in files("testdata/valid").into_iter().chain(files("testdata/broken")) {
        let bytes = fs::read(&path).unwrap();
        let migration = migrate(&path, &bytes, &Table, &NoFiles);
        assert!(
            migration.after.len() <= migration.before.len(),
            "{}: {:#?}",
            path.display(),
            migration.after
        );
    }
}

#[test]
fn directives_without_effect_go_and_comments_stay() {
    let obsolete = "# ours\nheartbeat = 1\ndebug_level = NONE\nsync = 0\nhard_shutdown = 1\nrsh_command = ssh\n\
                    ipvsadm = /usr/sbin/ipvsadm\nreservation_conflict_action = preempt\nprimary_shared = /dev/sda\n";
    let migration = migrated(&file(obsolete));
    assert_eq!(String::from_utf8(migration.clean).unwrap(), file("# ours\n"));
    assert_eq!(migration.after, []);
    let removed = migration.lines.iter().filter(|line| line.change == Some(Change::Removed)).count();
    assert_eq!(removed, 8);
}

#[test]
fn directives_that_somebody_uses_stay() {
    let used = block(" load_monitor = uptime\n").replace("primary", "rsh_command = ssh\nprimary");
    assert_eq!(cleaned(&used), used);
    let used = block(" client_monitor = /opt/check\n").replace("primary", "ipvsadm = /opt/ipvsadm\nprimary");
    assert_eq!(cleaned(&used), used);
}

#[test]
fn in_a_virtual_server_the_same_holds() {
    let useless = " send = \"x\"\n send_program = /bin/true\n use_regex = 1\n pmask = 255.0.0.0\n load_monitor = none\n \
                   start_cmd = /bin/true\n master = x\n dirs = [ a b ]\n";
    assert_eq!(cleaned(&block(useless)), block(" send_program = /bin/true\n"));
}

#[test]
fn numbers_become_what_they_were_read_as() {
    assert_eq!(cleaned(&file("heartbeat_port = 01033\n")), file("heartbeat_port = 539\n"));
    assert_eq!(cleaned(&file("serial_no = 0x10\n")), file("serial_no = 16\n"));
    assert_eq!(
        cleaned(&file("keepalive = \"\"\ndeadtime = +7\n")),
        file("keepalive = \"0\"\ndeadtime = 7\n")
    );
    assert_eq!(cleaned(&file("syncd_id = 300\n")), file("syncd_id = 44\n"));
    assert_eq!(cleaned(&file("backup = 10.1\n")), file("backup = 10.0.0.1\n"));
    assert_eq!(cleaned(&block(" timeout = 0\n reentry = 0\n")), block(" timeout = 10\n reentry = 180\n"));
}

#[test]
fn of_directives_given_twice_the_last_one_stays() {
    assert_eq!(
        cleaned(&file("keepalive = 1\nkeepalive = 2\ndeadtime = 9\n")),
        file("keepalive = 2\ndeadtime = 9\n")
    );
}

#[test]
fn a_server_before_the_port_of_its_block_keeps_the_port_that_it_had() {
    let text = block("").replace(" }\n}", " }\n port = 8080\n}");
    let clean = cleaned(&text);
    assert!(clean.contains("  active = 1\n  port = 80\n }\n port = 8080\n"), "{clean}");
    assert_eq!(migrated(&text).after, []);
}

#[test]
fn the_end_of_the_file_closes_blocks_and_what_stands_behind_a_brace_goes() {
    let text = file("").trim_end().trim_end_matches('}').to_owned();
    assert_eq!(cleaned(&text), file(""));
    assert_eq!(cleaned(&file("").replace(" }\n", " } nonsense = 1 x\n")), file(""));
}

#[test]
fn all_lines_end_in_the_same_way_and_that_piranha_read_only_one_is_said() {
    let crlf = file("").replace('\n', "\r\n");
    assert_eq!(cleaned(&crlf), file(""));
    assert!(
        told(&crlf, 1).0.starts_with("Lines end with CR and LF: of such a file Piranha read the first line")
    );
}

#[test]
fn what_piranha_refused_is_said() {
    for refused in ["port=80\n", "keepalive = 2 # often\n"] {
        let text = file(refused).replace("port=80\n", "keepalive=2\n");
        assert!(told(&text, 1).0.starts_with("Piranha refused this file at line 2 already"), "{refused}");
    }
    assert_eq!(told(&file(""), 1).0, "");
}

#[test]
fn quirks_are_told_where_they_are() {
    let (text, change) = told(&block(" expect = \"*\"\n"), 6);
    assert!(text.starts_with("Piranha took even an immediate end"), "{text}");
    assert_eq!(change, None);
    let program = block(" send_program = /bin/x\n");
    assert!(told(&program, 6).0.starts_with("Without `expect` Piranha took the server for down"));
    assert!(told(&block(" expect = \"a\\.b\"\n"), 6).0.starts_with("A backslash before this letter hung"));
    let no_mask = file("").replace(" vip_nmask = 255.255.255.0\n", "");
    assert!(told(&no_mask, 4).0.starts_with("There is no `vip_nmask`"));
    let zero = file("").replace("  active = 1\n }", "  active = 1\n  weight = 0\n }");
    assert_eq!(told(&zero, 9).0, "Piranha made 1 of it. Here it is 0: no new connections.");
    let never = file("keepalive = 6\ndeadtime = 6\n");
    assert!(told(&never, 3).0.starts_with("It is not longer than `keepalive`"));
}
