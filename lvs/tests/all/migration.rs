//! The words of `lvs migrate` and `lvs convert-keepalived`, and what the program prints for them.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command as Process;

use lvs::args::{Command, parse};

fn words(text: &str) -> Result<Command, String> {
    parse(text.split_whitespace().map(OsString::from)).map_err(|error| error.to_string())
}

/// Runs the program on a file of this text; its code, standard output and standard error, which name the file `FILE`.
fn run(name: &str, arguments: &[&str], text: &str) -> (i32, String, String) {
    let folder = std::env::temp_dir().join(format!("lvs-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("file");
    std::fs::write(&file, text).unwrap();
    let output = Process::new(env!("CARGO_BIN_EXE_lvs")).args(arguments).arg(&file).output().unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    let said =
        |bytes: Vec<u8>| String::from_utf8(bytes).unwrap().replace(&file.display().to_string(), "FILE");
    (output.status.code().unwrap(), said(output.stdout), said(output.stderr))
}

#[test]
fn the_words_are_understood() {
    let file = Some(PathBuf::from("/x"));
    assert_eq!(words("migrate"), Ok(Command::Migrate { file: None, clean: false }));
    assert_eq!(words("migrate --clean /x"), Ok(Command::Migrate { file: file.clone(), clean: true }));
    assert_eq!(words("migrate -c /x"), Ok(Command::Migrate { file, clean: false }));
    let conversion = |file: &str, config_id: Option<&str>| Command::ConvertKeepalived {
        file: file.into(),
        config_id: config_id.map(str::to_owned),
    };
    assert_eq!(words("convert-keepalived"), Ok(conversion("/etc/keepalived/keepalived.conf", None)));
    assert_eq!(words("convert-keepalived -i main /k"), Ok(conversion("/k", Some("main"))));
    assert_eq!(words("convert-keepalived --help"), Ok(Command::Help));
}

#[test]
fn other_words_are_refused() {
    let too_many = "unexpected word \"/y\"; usage: lvs migrate [--clean] [FILE]";
    assert_eq!(words("migrate /x /y"), Err(too_many.to_owned()));
    assert!(words("migrate -t").is_err());
    let too_many = "unexpected word \"/y\"; usage: lvs convert-keepalived [-i ID] [FILE]";
    assert_eq!(words("convert-keepalived /x /y"), Err(too_many.to_owned()));
    assert!(words("convert-keepalived --clean /x").is_err());
}

const OLD: &str = "# site\nprimary = 192.0.2.1\nheartbeat = 1\nvirtual web {\n    active = 1\n    address = 192.0.2.80 eth0:1\n    \
                   vip_nmask = 24\n    server one {\n        address = 10.0.0.1\n        active = 1\n    }\n}\n";

#[test]
fn a_file_is_explained_line_by_line() {
    let (code, out, err) = run("explain", &["migrate"], OLD);
    assert_eq!((code, err.as_str()), (0, ""));
    let heartbeat = "    3  heartbeat = 1\n           Accepted for old files; `backup_active` decides.\n           ! Piranha never \
                     looked at it: `backup_active` alone decides about heartbeats.\n           > removed\n";
    assert!(out.contains(heartbeat), "{out}");
    assert!(out.contains("\nWhatever the file says:\n"), "{out}");
    assert!(out.ends_with("\nLines that `lvs migrate --clean FILE` changes: 1\n"), "{out}");
    assert!(out.lines().all(|line| line.chars().count() <= 100), "{out}");
}

#[test]
fn the_cleaned_file_can_be_piped() {
    let (code, out, err) = run("clean", &["migrate", "--clean"], OLD);
    assert_eq!((code, out, err.as_str()), (0, OLD.replace("heartbeat = 1\n", ""), ""));
}

#[test]
fn what_cannot_be_cleaned_is_left_and_told() {
    let wrong = OLD.replace("primary = 192.0.2.1\n", "");
    let (code, out, err) = run("wrong", &["migrate", "--clean"], &wrong);
    assert_eq!((code, out), (78, wrong.replace("heartbeat = 1\n", "")));
    assert!(err.starts_with("FILE:1:1: error: `primary` is missing"), "{err}");
}

const KEEPALIVED: &str = "vrrp_instance V {\n state MASTER\n interface eth0\n unicast_src_ip 192.0.2.2\n unicast_peer {\n \
                          192.0.2.3\n }\n virtual_ipaddress {\n 192.0.2.80/24\n }\n}\nvirtual_server 192.0.2.80 443 {\n \
                          protocol TCP\n delay_loop 5\n real_server 10.0.0.1 443 {\n TCP_CHECK {\n }\n }\n}\n";

#[test]
fn a_file_of_keepalived_that_says_everything_needs_nothing_more() {
    let (code, out, err) = run("whole", &["convert-keepalived"], KEEPALIVED);
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(
        out.contains("virtual 192.0.2.80-443 {\n    active = 1\n    address = 192.0.2.80/24 eth0\n"),
        "{out}"
    );
    let (code, _, err) = run("checked", &["check"], &out);
    assert_eq!(code, 0, "{err}");
}

#[test]
fn what_is_left_and_what_is_to_be_filled_in_is_told_with_its_place() {
    let text = KEEPALIVED
        .replace("state MASTER\n", "garp_master_delay 3\n")
        .replace(" TCP_CHECK", " smtp_alert\n TCP_CHECK");
    let (code, out, err) = run("blanks", &["convert-keepalived"], &text);
    assert_eq!(code, 78);
    assert!(
        out.contains(
            "\nprimary =     # FILL IN: the address of the primary router: 192.0.2.2 or 192.0.2.3\n"
        ),
        "{out}"
    );
    assert_eq!(
        err,
        "FILE:1: not carried: vrrp_instance V: garp_master_delay: no equivalent in lvs.cf\n\
         FILE:16: not carried: smtp_alert: no mail is sent; use `on_up` and `on_down`\n\
         line 4 of the result is to be filled in: primary: the address of the primary router: 192.0.2.2 or 192.0.2.3\n\
         line 5 of the result is to be filled in: backup: the address of the backup router: 192.0.2.2 or 192.0.2.3\n"
    );
}

#[test]
fn a_missing_file_is_named() {
    for verb in ["migrate", "convert-keepalived"] {
        let output =
            Process::new(env!("CARGO_BIN_EXE_lvs")).args([verb, "/nonexistent/file"]).output().unwrap();
        assert_eq!(output.status.code(), Some(78));
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(said, "lvs: /nonexistent/file: No such file or directory (os error 2)\n");
    }
}
