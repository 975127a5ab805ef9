//! What is said when the kernel refuses: what was asked, what was found, what there is instead.

use std::cell::Cell;
use std::fmt::Write as _;
use std::io;
use std::time::Duration;

use ipvsadm::cli::names::Numeric;
use ipvsadm::cli::run::Session;
use ipvsadm::fake::{FakeKernel, FakeTransport};
use ipvsadm::{Error, Ipvs, Scheduler, Transport};

use super::{kernel, parse, run};

/// What a refused command says and its status; nothing goes to standard output.
fn refusal(kernel: &FakeKernel, line: &str) -> (String, u8) {
    let (status, output, errors) = run(kernel, line, "");
    assert_eq!(output, "", "{line}");
    (errors, status)
}

/// As [`refusal`] with the status of a refused change.
fn says(kernel: &FakeKernel, line: &str) -> String {
    let (message, status) = refusal(kernel, line);
    assert_eq!(status, 255, "{line}: {message}");
    message
}

/// A kernel with the services that some rules make.
fn with(rules: &str) -> FakeKernel {
    let kernel = FakeKernel::new();
    assert_eq!(run(&kernel, "-R", rules), (0, String::new(), String::new()));
    kernel
}

#[test]
fn a_misspelt_scheduler_gets_the_one_that_was_meant() {
    assert_eq!(
        says(&FakeKernel::new(), "-A -t 10.0.0.1:80 -s wlcc"),
        "ipvsadm: -A -t 10.0.0.1:80 -s wlcc: the kernel has no scheduler wlcc and could not load its module ip_vs_wlcc \
         (ENOENT); did you mean wlc?\n"
    );
    assert_eq!(
        says(&FakeKernel::new(), "-A -t 10.0.0.1:80 -s roundrobin"),
        "ipvsadm: -A -t 10.0.0.1:80 -s roundrobin: the kernel has no scheduler roundrobin and could not load its module \
         ip_vs_roundrobin (ENOENT); those of Linux are rr, wrr, lc, wlc, lblc, lblcr, dh, sh, sed, nq, fo, ovf, mh, twos\n"
    );
}

#[test]
fn a_scheduler_that_this_kernel_lacks_names_its_module() {
    let kernel = FakeKernel::new();
    kernel.set_schedulers(&[Scheduler::RR]);
    assert_eq!(
        says(&kernel, "-A -t 10.0.0.1:80 -s mh"),
        "ipvsadm: -A -t 10.0.0.1:80 -s mh: the kernel has no scheduler mh and could not load its module ip_vs_mh (ENOENT); \
         `modprobe ip_vs_mh` says why, if that is what is missing\n"
    );
    assert_eq!(
        says(&kernel, "-A -t 10.0.0.1:80 -s mh -p 60 --pe sip"),
        "ipvsadm: -A -t 10.0.0.1:80 -s mh -p 60 --pe sip: the kernel has no scheduler mh or no persistence engine sip, and \
         could not load the module ip_vs_mh or ip_vs_pe_sip (ENOENT); `modprobe -a ip_vs_mh ip_vs_pe_sip` says which, and \
         why\n"
    );
}

#[test]
fn what_exists_already_can_be_changed() {
    let kernel = with("-A -t 10.0.0.1:80\n-a -t 10.0.0.1:80 -r 10.2.0.1 -m\n");
    assert_eq!(
        says(&kernel, "-A -t 10.0.0.1:80 -s rr"),
        "ipvsadm: -A -t 10.0.0.1:80 -s rr: the service exists already (EEXIST); -E changes it\n"
    );
    assert_eq!(
        says(&kernel, "-a -t 10.0.0.1:80 -r 10.2.0.1 -m -w 5"),
        "ipvsadm: -a -t 10.0.0.1:80 -r 10.2.0.1:80 -m -w 5: the service has this real server already (EEXIST); -e changes \
         it\n"
    );
}

#[test]
fn a_missing_service_gets_those_that_there_are() {
    assert_eq!(
        says(&FakeKernel::new(), "-D -t 10.0.0.1:80"),
        "ipvsadm: -D -t 10.0.0.1:80: there is no such service (ESRCH); there are no services at all\n"
    );
    // Those of the same address first: the wrong port, or the wrong protocol.
    let kernel = with("-A -t 10.0.0.9:80\n-A -t 10.0.0.1:443\n-A -u 10.0.0.1:80\n-A -f 7\n");
    for line in ["-E -t 10.0.0.1:80 -s rr", "-D -t 10.0.0.1:80", "-Z -t 10.0.0.1:80"] {
        assert_eq!(
            says(&kernel, line),
            format!(
                "ipvsadm: {line}: there is no such service (ESRCH); there is TCP 10.0.0.1:443, UDP 10.0.0.1:80 and 2 more \
                 (ipvsadm -L -n lists them)\n"
            )
        );
    }
    assert_eq!(
        says(&kernel, "-a -f 7 -6 -r [2001:db8::1]:80 -i"),
        "ipvsadm: -a -f 7 -6 -r [2001:db8::1]:80 -i -w 1 --tun-type ipip: there is no such service (ESRCH); there is FWM 7 \
         and 3 more (ipvsadm -L -n lists them)\n"
    );
    assert_eq!(
        says(&kernel, "-d -t 10.0.0.5:80 -r 10.2.0.1:80"),
        "ipvsadm: -d -t 10.0.0.5:80 -r 10.2.0.1:80: there is no such service (ESRCH); there is TCP 10.0.0.9:80, \
         TCP 10.0.0.1:443, UDP 10.0.0.1:80, FWM 7\n"
    );
    assert_eq!(
        refusal(&kernel, "-L -n -t 10.0.0.1:80"),
        (
            "ipvsadm: there is no such service: TCP 10.0.0.1:80; there is TCP 10.0.0.1:443, UDP 10.0.0.1:80 and 2 more \
             (ipvsadm -L -n lists them)\n"
                .to_owned(),
            1
        )
    );
}

#[test]
fn a_missing_real_server_gets_those_of_its_service() {
    let kernel = with("-A -t 10.0.0.1:80\n-A -t 10.0.0.2:80\n-a -t 10.0.0.1:80 -r 10.2.0.1:8080 -m\n");
    assert_eq!(
        says(&kernel, "-d -t 10.0.0.1:80 -r 10.2.0.1:80"),
        "ipvsadm: -d -t 10.0.0.1:80 -r 10.2.0.1:80: the service has no such real server (ENOENT); it has 10.2.0.1:8080\n"
    );
    assert_eq!(
        says(&kernel, "-e -t 10.0.0.2:80 -r 10.2.0.1:80 -m -w 0"),
        "ipvsadm: -e -t 10.0.0.2:80 -r 10.2.0.1:80 -m -w 0: the service has no such real server (ENOENT); it has none at \
         all\n"
    );
}

#[test]
fn among_rules_the_line_is_named_and_the_table_is_not_read() {
    let rules = "-A -t 10.0.0.1:80 -s wlcc\n-D -t 10.0.0.1:80\n";
    let (status, _, errors) = run(&FakeKernel::new(), "-R", rules);
    assert_eq!(status, 255);
    assert_eq!(
        errors,
        "ipvsadm: line 1: -A -t 10.0.0.1:80 -s wlcc: the kernel has no scheduler wlcc and could not load its module \
         ip_vs_wlcc (ENOENT); did you mean wlc?\n\
         ipvsadm: line 2: -D -t 10.0.0.1:80: there is no such service (ESRCH)\n"
    );
}

#[test]
fn a_wrong_line_is_shown_without_its_control_characters_and_not_at_any_length() {
    let (_, _, errors) = run(&FakeKernel::new(), "-R", "-A -t\u{1b}[31m\u{7}\n");
    assert_eq!(
        errors,
        "ipvsadm: line 1: `-A -t\\u{1b}[31m\\u{7}`: -t `\\u{1b}[31m\\u{7}`: `\\u{1b}[31m\\u{7}` is neither an address nor the name of a \
         host with an IPv4 address; what comes after it was not read\n"
    );
    let long = format!("-A -t 10.0.0.1:80 -x {}\n", "7".repeat(10_000));
    let (_, _, errors) = run(&FakeKernel::new(), "-R", &long);
    assert!(errors.contains("777...`: -x does not go with -A"), "{errors}");
    assert!(errors.len() < 400, "{errors}");
}

#[test]
fn a_sync_daemon_that_does_not_run_is_said_so() {
    let says = |line| says(&kernel(), line);
    assert_eq!(
        says("--stop-daemon master"),
        "ipvsadm: --stop-daemon master: no master sync daemon runs (ESRCH)\n"
    );
}

#[test]
fn without_module_or_permission_the_way_out_is_named() {
    let kernel = FakeKernel::new();
    kernel.unload(true);
    let error = Ipvs::with_transport(kernel.connect()).unwrap_err();
    assert!(matches!(error, Error::NotAvailable));
    assert_eq!(
        error.to_string(),
        "the kernel has no IPVS: the module ip_vs is not loaded; `modprobe ip_vs` loads it, as root, and not from within a \
         container but on its host"
    );
    kernel.unload(false);
    kernel.forbid(true);
    let error = Ipvs::with_transport(kernel.connect()).unwrap_err();
    assert!(matches!(error, Error::Permission));
    assert_eq!(
        error.to_string(),
        "permission denied: IPVS needs CAP_NET_ADMIN in the initial user namespace: be root, and not that of a container \
         with a user namespace of its own"
    );
}

/// Counts what is sent.
struct Counting<'a>(FakeTransport, &'a Cell<usize>);

impl Transport for Counting<'_> {
    fn send(&mut self, datagram: &[u8]) -> io::Result<()> {
        self.1.set(self.1.get() + 1);
        self.0.send(datagram)
    }

    fn receive(&mut self, messages: &mut Vec<u8>) -> io::Result<usize> {
        self.0.receive(messages)
    }

    fn discard_unread(&mut self) -> io::Result<()> {
        self.0.discard_unread()
    }

    fn answers_in_flight(&self) -> usize {
        self.0.answers_in_flight()
    }

    fn time_limit(&self) -> Duration {
        self.0.time_limit()
    }
}

#[test]
fn an_explanation_does_not_read_the_real_servers_of_every_service() {
    let rules = (1..=100).fold(String::new(), |mut rules, port| {
        let _ = writeln!(rules, "-A -t 10.0.0.1:{port}\n-a -t 10.0.0.1:{port} -r 10.2.0.1 -m");
        rules
    });
    let kernel = with(&rules);
    for line in ["-D -t 10.0.0.2:80", "-d -t 10.0.0.1:80 -r 10.2.0.2", "-L -t 10.0.0.2:80"] {
        let sent = Cell::new(0);
        let mut ipvs = Ipvs::with_transport(Counting(kernel.connect(), &sent)).unwrap();
        let mut errors = Vec::new();
        let mut session = Session {
            ipvs: &mut ipvs,
            names: &Numeric,
            input: &mut io::empty(),
            output: &mut io::sink(),
            errors: &mut errors,
        };
        assert_ne!(session.run(&parse(line)), 0);
        // Two to begin with, the command, and two to explain its refusal.
        assert!(sent.get() <= 5, "{line}: {} requests", sent.get());
    }
}
