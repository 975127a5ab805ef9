//! Signals, the director's end, privileges and places to run.

use std::io::{BufRead, BufReader, PipeWriter, Read, Write};
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::time::Duration;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::signal::Signal;

use super::support::{
    Nanny, PATIENCE, command, down, eventually, is_gone, nobody, server, up, wait_for_close,
};

#[test]
fn a_signal_to_end_counts_in_the_middle_of_a_probe() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let (to, connected) = channel();
        let address = server(move |mut connection| {
            to.send(()).unwrap();
            wait_for_close(&mut connection);
        });
        let mut nanny = Nanny::check(address, "-t 1h -x never");
        connected.recv_timeout(PATIENCE).unwrap();
        nanny.signal(signal);
        let (status, took) = nanny.end();
        assert_eq!(status.code(), Some(0));
        assert!(took < Duration::from_secs(5), "{took:?}");
        assert!(!nanny.has_reported());
    }
}

#[test]
fn a_hangup_checks_now_and_skips_re_entry() {
    let healthy = Arc::new(AtomicBool::new(true));
    let state = Arc::clone(&healthy);
    let address = server(move |mut connection| {
        let _ = connection.write_all(if state.load(Ordering::SeqCst) { b"yes" } else { b"no!" });
        wait_for_close(&mut connection);
    });
    let nanny = Nanny::check(address, "-t 1h -a 100h -x yes");
    assert_eq!(nanny.report(), up("answered as expected"));
    healthy.store(false, Ordering::SeqCst);
    nanny.signal(Signal::SIGHUP);
    assert_eq!(nanny.report(), down(r#"answer begins with "no!", expected "yes""#));
    healthy.store(true, Ordering::SeqCst);
    nanny.signal(Signal::SIGHUP);
    assert_eq!(nanny.report(), up("answered as expected"));
}

#[test]
fn an_operator_overrides_the_checks_until_a_hangup() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let nanny = Nanny::check(listener.local_addr().unwrap(), "-t 20ms -a 20ms");
    assert_eq!(nanny.report(), up("connected"));
    nanny.signal(Signal::SIGUSR1);
    assert_eq!(nanny.report(), down("forced down by SIGUSR1"));
    nanny.signal(Signal::SIGUSR2);
    assert_eq!(nanny.report(), up("forced up by SIGUSR2"));
    drop(listener);
    assert!(!nanny.has_reported());
    nanny.signal(Signal::SIGHUP);
    assert_eq!(nanny.report(), down("connection refused"));
}

#[test]
fn nobody_reading_the_reports_is_the_end() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let (reader, writer) = std::io::pipe().unwrap();
    let mut child = command(&["--report", "-n", "-h", "127.0.0.1", "-p", &port, "-t", "1h"])
        .stdout(Stdio::from(OwnedFd::from(writer)))
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // It is connected, so it runs and waits for its next probe in an hour.
    listener.accept().unwrap();
    drop(reader);
    let status = eventually("the program ends", || child.try_wait().unwrap());
    assert_eq!(status.code(), Some(0));
}

#[test]
fn a_director_that_is_gone_already_is_the_end() {
    let mut command = command(&["--report", "-n", "-h", "127.0.0.1", "-p", "1"]);
    command.env("LVS_ROUTER_PARENT", "1");
    let mut nanny = Nanny::start(command);
    assert_eq!(nanny.end().0.code(), Some(0));
    assert!(!nanny.has_reported());
}

#[test]
fn the_end_of_its_director_is_its_own() {
    let program = env!("CARGO_BIN_EXE_nanny");
    let script = format!(
        "export LVS_ROUTER_PARENT=$$; {program} --report -c --nodaemon -h 127.0.0.1 -r 1 -t 1h --lvs & echo $!; wait"
    );
    let mut director = std::process::Command::new("/bin/sh");
    director.args(["-c", &script]).stdin(Stdio::null());
    let mut director = Nanny::start(director);
    let lines = [director.report(), director.report()];
    let pid = lines.iter().find(|line| line.parse::<u32>().is_ok()).unwrap();
    director.signal(Signal::SIGKILL);
    director.end();
    is_gone(pid);
}

#[test]
fn no_privilege_is_left_while_a_server_is_checked() {
    let nanny = Nanny::check(nobody(), "-t 1h");
    nanny.report();
    let status = std::fs::read_to_string(format!("/proc/{}/status", nanny.pid())).unwrap();
    let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or("?").trim();
    for set in ["CapInh:", "CapPrm:", "CapEff:", "CapAmb:"] {
        assert_eq!(u64::from_str_radix(field(set), 16), Ok(0), "{set}");
    }
    assert_eq!(field("NoNewPrivs:"), "1");
    assert_eq!(field("Threads:"), "1");
}

#[test]
fn a_shortage_of_descriptors_here_says_nothing_about_the_server() {
    let mut command = std::process::Command::new("/bin/sh");
    let program = env!("CARGO_BIN_EXE_nanny");
    let script = format!("ulimit -n 5; exec {program} --report -n -h 127.0.0.1 -p 1 -t 20ms");
    command.args(["-c", &script]).stdin(Stdio::null()).env_remove("JOURNAL_STREAM");
    let nanny = Nanny::start(command);
    let line = nanny.log_line("cannot check");
    assert!(line.contains("reason=\"cannot connect: too many open files\""), "{line}");
    assert!(!nanny.has_reported());
}

#[test]
fn a_failover_monitor_ends_with_its_verdict() {
    let mut never_up = Nanny::check(nobody(), "--fos -t 20ms");
    assert_eq!(never_up.report(), down("connection refused"));
    assert_eq!(never_up.end().0.code(), Some(1));

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut was_up = Nanny::check(listener.local_addr().unwrap(), "--fos --lvs -t 20ms");
    assert_eq!(was_up.report(), up("connected"));
    drop(listener);
    assert_eq!(was_up.end().0.code(), Some(0));
}

#[test]
fn without_a_terminal_it_still_reports() {
    let port = nobody().port().to_string();
    let nanny = Nanny::start(command(&["--report", "-c", "-h", "127.0.0.1", "-p", &port, "-t", "1h"]));
    assert_eq!(nanny.report(), down("connection refused"));
}

#[test]
fn a_daemon_leaves_its_starter() {
    // Nothing listens, so this failover monitor ends by itself after two probes.
    let port = nobody().port().to_string();
    let mut starter = Nanny::start(command(&["--fos", "-h", "127.0.0.1", "-p", &port, "-t", "20ms"]));
    assert_eq!(starter.end().0.code(), Some(0));
    assert!(!starter.has_reported(), "a daemon's standard output is /dev/null");
}

#[test]
fn each_transition_is_one_line_of_the_log() {
    let port = nobody().port().to_string();
    for (report, level) in [(None, " WARN "), (Some("--report"), " DEBUG ")] {
        let words = ["-v", "-n", "-h", "127.0.0.1", "-V", "10.1.0.100", "-r", &port, "-p", "1", "-t", "1h"];
        let nanny = Nanny::start(command(&report.into_iter().chain(words).collect::<Vec<_>>()));
        let line = nanny.log_line("real server down");
        let fields =
            format!("vs=10.1.0.100:1 rs=127.0.0.1:{port} from=unknown to=down reason=\"connection refused\"");
        assert!(line.contains(level) && line.contains(&fields), "{line}");
    }
}

#[test]
fn transitions_that_are_reported_are_left_for_the_reader_to_log() {
    let mut nanny = Nanny::check(nobody(), "-t 1h");
    assert_eq!(nanny.report(), down("connection refused"));
    nanny.signal(Signal::SIGUSR2);
    assert_eq!(nanny.report(), up("forced up by SIGUSR2"));
    nanny.signal(Signal::SIGTERM);
    assert_eq!(nanny.end().0.code(), Some(0));
    assert_eq!(nanny.rest_of_the_log(), Vec::<String>::new());
}

#[test]
fn a_reader_that_does_not_read_delays_nothing_and_gets_its_report_later() {
    let (reader, writer) = std::io::pipe().unwrap();
    let filled = fill(&writer);
    let port = nobody().port().to_string();
    let mut command = command(&["--report", "-n", "-v", "-h", "127.0.0.1", "-p", &port, "-t", "20ms"]);
    command.stdout(Stdio::from(OwnedFd::from(writer))).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    drop(command);
    // It goes on probing although its report does not fit.
    let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
    for _ in 0..5 {
        log.by_ref().map_while(Result::ok).find(|line| line.contains("probe failed")).unwrap();
    }
    let mut reader = BufReader::new(reader);
    std::io::copy(&mut reader.by_ref().take(filled), &mut std::io::sink()).unwrap();
    let mut report = String::new();
    reader.read_line(&mut report).unwrap();
    assert!(
        report.starts_with("[inactive] ") && report.ends_with("reason=\"connection refused\"\n"),
        "{report}"
    );
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Writes to a pipe until nothing more fits, and returns how many bytes did.
fn fill(mut pipe: &PipeWriter) -> u64 {
    fcntl(pipe, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
    let mut filled = 0;
    while let Ok(count) = pipe.write(&[b'x'; 4096]) {
        filled += u64::try_from(count).unwrap();
    }
    fcntl(pipe, FcntlArg::F_SETFL(OFlag::empty())).unwrap();
    filled
}
