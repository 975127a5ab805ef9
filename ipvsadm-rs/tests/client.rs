//! The client against the fake kernel: what an operator or a daemon may rely on.
#![allow(clippy::unwrap_used)] // helpers of tests

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ipvsadm::fake::{FakeKernel, FakeTransport};
use ipvsadm::{
    Destination, Errno, Error, Family, Forward, Granularity, Ipvs, Persistence, Request, Scheduler, Service,
    ServiceId, SyncDaemon, SyncRole, Table, Timeouts, Transport, Tunnel, TunnelChecksum,
};

fn web() -> ServiceId {
    ServiceId::tcp("10.1.0.100:80".parse().unwrap())
}

fn server(text: &str) -> Destination {
    Destination::new(text.parse::<SocketAddr>().unwrap().into(), Forward::Masquerade)
}

fn add_web() -> Request {
    Request::AddService(Service::new(web(), Scheduler::WLC))
}

/// Applies requests and returns what was refused, as an operator reads it.
fn refused(kernel: &FakeKernel, requests: &[Request]) -> Vec<String> {
    let outcome = Ipvs::with_transport(kernel.connect()).unwrap().apply(requests).unwrap();
    assert_eq!(outcome.len(), requests.len());
    outcome.into_iter().filter_map(Result::err).map(|error| error.to_string()).collect()
}

#[test]
fn what_was_added_is_listed() {
    let kernel = FakeKernel::new();
    let mut ipvs = Ipvs::with_transport(kernel.connect()).unwrap();
    let gue = Tunnel::Gue { port: 6080.try_into().unwrap(), checksum: TunnelChecksum::Remote };
    let requests = [
        add_web(),
        Request::AddDestination(web(), Destination { weight: 3, ..server("10.2.0.11:8080") }),
        Request::AddDestination(
            web(),
            Destination { forward: Forward::Tunnel(gue), ..server("[2001:db8::1]:80") },
        ),
    ];
    assert!(ipvs.apply(&requests).unwrap().iter().all(Result::is_ok));
    let table = ipvs.table().unwrap();
    assert_eq!(table, kernel.table());
    let lines: Vec<String> = kernel.take_requests().iter().map(ToString::to_string).collect();
    assert_eq!(
        lines,
        [
            "-A -t 10.1.0.100:80 -s wlc",
            "-a -t 10.1.0.100:80 -r 10.2.0.11:8080 -m -w 3",
            "-a -t 10.1.0.100:80 -r [2001:db8::1]:80 -i -w 1 --tun-type gue --tun-port 6080 --tun-remcsum",
        ]
    );
    assert_eq!(table.find(&web()).unwrap().destinations[0].destination.weight, 3);
}

#[test]
fn a_refused_request_does_not_keep_its_neighbours_from_being_carried_out() {
    let kernel = FakeKernel::new();
    kernel.refuse(1, Errno::ENOMEM, Some("no more real servers today"));
    let add = |text| Request::AddDestination(web(), server(text));
    let requests = [add_web(), add("10.2.0.11:80"), add("10.2.0.12:80")];
    assert_eq!(
        refused(&kernel, &requests),
        ["-a -t 10.1.0.100:80 -r 10.2.0.11:80 -m -w 1: the kernel is out of memory (ENOMEM); \
         the kernel says: no more real servers today"]
    );
    assert_eq!(kernel.table().services[0].destinations.len(), 1);
}

#[test]
fn a_thousand_requests_take_several_batches_and_keep_their_order() {
    let kernel = FakeKernel::new();
    let mut requests = vec![add_web()];
    for index in 0..1000u32 {
        let address = std::net::Ipv4Addr::from_bits(0x0a02_0000 + index + 1);
        let id = ipvsadm::DestinationId::new(address.into(), 80);
        requests.push(Request::AddDestination(web(), Destination::new(id, Forward::DirectRoute)));
    }
    // Every request a second time: each of those, and only those, must be refused.
    requests.extend(requests.clone());
    let mut ipvs = Ipvs::with_transport(kernel.connect()).unwrap();
    let outcome = ipvs.apply(&requests).unwrap();
    assert!(outcome[..1001].iter().all(Result::is_ok));
    for (request, outcome) in requests[1001..].iter().zip(&outcome[1001..]) {
        let error = outcome.as_ref().unwrap_err();
        assert_eq!((&*error.request, error.errno), (request, Errno::EEXIST));
        assert!(error.is_already_there() && !error.is_already_gone());
    }
    assert_eq!(ipvs.table().unwrap().services[0].destinations.len(), 1000);
}

#[test]
fn each_refusal_is_said_in_an_operators_words() {
    let kernel = FakeKernel::new();
    kernel.set_schedulers(&[Scheduler::RR, Scheduler::WLC]);
    let nowhere = ServiceId::udp("10.1.0.100:53".parse().unwrap());
    let six = ServiceId::tcp("[2001:db8::80]:80".parse().unwrap());
    let heavy = Destination { weight: 1 << 31, ..server("10.2.0.11:80") };
    let persistence =
        Persistence { timeout: Duration::from_secs(9), granularity: Granularity::prefix(0), engine: None };
    let group = SyncDaemon {
        group: Some("10.0.0.1".parse().unwrap()),
        ..SyncDaemon::new(SyncRole::Master, "eth0", 1)
    };
    let daemon = Request::StartDaemon(SyncDaemon::new(SyncRole::Backup, "eth0", 1));
    let requests = [
        add_web(),
        add_web(),
        Request::AddService(Service::new(nowhere, Scheduler::MH)),
        Request::AddService(Service { persistence: Some(persistence), ..Service::new(six, Scheduler::RR) }),
        Request::EditService(Service::new(nowhere, Scheduler::RR)),
        Request::AddDestination(nowhere, server("10.2.0.11:53")),
        Request::AddDestination(web(), heavy),
        Request::AddDestination(web(), server("224.0.0.1:80")),
        Request::AddDestination(web(), server("[2001:db8::1]:80")),
        Request::EditDestination(web(), server("10.2.0.11:80")),
        Request::DeleteDestination(web(), server("10.2.0.11:80").id),
        Request::DeleteService(nowhere),
        Request::SetTimeouts(Timeouts { tcp: Duration::from_secs(3_000_000), ..Timeouts::default() }),
        Request::StopDaemon(SyncRole::Backup),
        Request::StartDaemon(group),
        daemon.clone(),
        daemon,
    ];
    let said = refused(&kernel, &requests);
    let endings: Vec<&str> = said.iter().map(|line| line.rsplit_once(": ").unwrap().1).collect();
    assert_eq!(
        endings,
        [
            "the service exists already (EEXIST)",
            "the kernel has no scheduler mh and could not load its module ip_vs_mh (ENOENT)",
            "an IPv6 persistence granularity is a prefix length from 1 to 128 (EINVAL)",
            "there is no such service (ESRCH)",
            "there is no such service (ESRCH)",
            "the weight is above 2147483647, or the lower threshold above the upper (ERANGE)",
            "the real server's address must be a unicast address that this router can route to (EINVAL)",
            "a real server of the other address family can be reached by tunnelling only (EINVAL)",
            "the service has no such real server (ENOENT)",
            "the service has no such real server (ENOENT)",
            "there is no such service (ESRCH)",
            "a timeout is too long for the kernel (EINVAL)",
            "no backup sync daemon runs (ESRCH)",
            "10.0.0.1 is not a multicast group (EINVAL)",
            "the backup sync daemon runs already (EEXIST)",
        ]
    );
}

#[test]
fn every_granularity_that_ipv6_cannot_have_is_named() {
    let holes = Granularity::mask("255.0.255.0".parse().unwrap());
    for granularity in [Granularity::prefix(0), Granularity::prefix(129), holes] {
        let id = ServiceId::tcp("[2001:db8::1]:80".parse().unwrap());
        let persistence = Persistence::per_client(Duration::from_secs(60), Family::V6);
        let persistence = Some(Persistence { granularity, ..persistence });
        let service = Service { persistence, ..Service::new(id, Scheduler::RR) };
        let said = refused(&FakeKernel::new(), &[Request::AddService(service)]);
        let end = "an IPv6 persistence granularity is a prefix length from 1 to 128 (EINVAL)";
        assert!(said.len() == 1 && said[0].ends_with(end), "{said:?}");
    }
}

#[test]
fn removing_what_is_gone_is_told_apart_from_failure() {
    let kernel = FakeKernel::new();
    let mut ipvs = Ipvs::with_transport(kernel.connect()).unwrap();
    let gone = [Request::DeleteService(web()), Request::DeleteDestination(web(), server("10.2.0.11:80").id)];
    for outcome in ipvs.apply(&gone).unwrap() {
        assert!(outcome.unwrap_err().is_already_gone());
    }
    let edit = ipvs.apply(&[Request::EditDestination(web(), server("10.2.0.11:80"))]).unwrap();
    assert!(!edit[0].as_ref().unwrap_err().is_already_gone());
}

#[test]
fn a_missing_module_and_a_missing_privilege_are_said_at_once() {
    let kernel = FakeKernel::new();
    kernel.unload(true);
    let error = Ipvs::with_transport(kernel.connect()).unwrap_err();
    assert!(matches!(error, Error::NotAvailable));
    assert!(error.to_string().contains("modprobe ip_vs"));
    kernel.unload(false);
    kernel.forbid(true);
    let error = Ipvs::with_transport(kernel.connect()).unwrap_err();
    assert!(matches!(error, Error::Permission));
    assert!(error.to_string().contains("CAP_NET_ADMIN"));
}

#[test]
fn a_disturbed_or_busy_dump_is_tried_again_within_reason() {
    let kernel = FakeKernel::new();
    let mut ipvs = Ipvs::with_transport(kernel.connect()).unwrap();
    assert!(ipvs.apply(&[add_web()]).unwrap()[0].is_ok());
    kernel.interrupt_dumps(3);
    kernel.refuse_dumps(2);
    assert_eq!(ipvs.table().unwrap().services.len(), 1);
    kernel.interrupt_dumps(100);
    assert!(matches!(ipvs.table(), Err(Error::DumpInterrupted(10))));
    kernel.interrupt_dumps(0);
    assert_eq!(ipvs.table().unwrap().services.len(), 1);
}

#[test]
fn lost_answers_end_the_conversation_and_the_next_one_is_sound() {
    let kernel = FakeKernel::new();
    let mut ipvs = Ipvs::with_transport(kernel.connect().with_capacity(4)).unwrap();
    let requests = vec![add_web(); 10];
    assert!(matches!(ipvs.apply(&requests), Err(Error::Overrun)));
    // Only the first was new; what became of the others is not known, so the table has to tell.
    assert_eq!(ipvs.table().unwrap(), kernel.table());
    let delete = Request::DeleteService(web());
    assert_eq!(ipvs.apply(&[delete]).unwrap(), [Ok(())]);
}

#[test]
fn a_kernel_that_does_not_answer_is_not_waited_for_forever() {
    let kernel = FakeKernel::new();
    let mut ipvs = Ipvs::with_transport(kernel.connect()).unwrap();
    kernel.hang(true);
    let error = ipvs.table().unwrap_err();
    assert_eq!(error.to_string(), "the kernel did not answer within 1 s");
    kernel.hang(false);
    assert_eq!(ipvs.table().unwrap(), kernel.table());
}

/// A kernel of which only one datagram is to be had from some time on, again and again.
struct Stale {
    inner: FakeTransport,
    repeated: Option<Vec<u8>>,
    reads: Arc<AtomicUsize>,
    repeats_after: usize,
}

impl Transport for Stale {
    fn send(&mut self, datagram: &[u8]) -> io::Result<()> {
        self.inner.send(datagram)
    }

    fn receive(&mut self, messages: &mut Vec<u8>) -> io::Result<usize> {
        let reads = self.reads.fetch_add(1, Ordering::SeqCst);
        // A client that never gives up must not take the test with it.
        if reads > 10_000_000 {
            return Err(io::Error::other("read for ever"));
        }
        match &self.repeated {
            Some(stale) => messages.clone_from(stale),
            None => drop(self.inner.receive(messages)?),
        }
        if reads == self.repeats_after {
            self.repeated = Some(messages.clone());
        }
        Ok(1)
    }

    fn discard_unread(&mut self) -> io::Result<()> {
        self.inner.discard_unread()
    }

    fn answers_in_flight(&self) -> usize {
        self.inner.answers_in_flight()
    }

    fn time_limit(&self) -> Duration {
        Duration::from_millis(20)
    }
}

#[test]
fn answers_to_something_else_do_not_prolong_the_wait() {
    for changes in [true, false] {
        let (inner, reads) = (FakeKernel::new().connect(), Arc::new(AtomicUsize::new(0)));
        // The last answer of the opening is all that is ever heard again.
        let opening = opening_reads();
        let stale = Stale { inner, repeated: None, reads: Arc::clone(&reads), repeats_after: opening - 1 };
        let mut ipvs = Ipvs::with_transport(stale).unwrap();
        assert_eq!(reads.load(Ordering::SeqCst), opening);
        let ended = if changes { ipvs.apply(&[add_web()]).map(drop) } else { ipvs.table().map(drop) };
        assert!(matches!(ended, Err(Error::Timeout(limit)) if limit == Duration::from_millis(20)));
    }
}

/// How many datagrams it takes to open a connection.
fn opening_reads() -> usize {
    let (inner, reads) = (FakeKernel::new().connect(), Arc::new(AtomicUsize::new(0)));
    let all = Stale { inner, repeated: None, reads: Arc::clone(&reads), repeats_after: usize::MAX };
    Ipvs::with_transport(all).unwrap();
    reads.load(Ordering::SeqCst)
}

#[test]
fn timeouts_daemons_and_one_service_are_read() {
    let kernel = FakeKernel::new();
    let mut ipvs = Ipvs::with_transport(kernel.connect()).unwrap();
    let seconds = Duration::from_secs;
    let daemon = SyncDaemon::new(SyncRole::Master, "eth1", 7);
    let outcome = ipvs
        .apply(&[
            add_web(),
            Request::SetTimeouts(Timeouts { tcp: seconds(60), ..Timeouts::default() }),
            Request::StartDaemon(daemon),
            Request::Zero(None),
        ])
        .unwrap();
    assert!(outcome.iter().all(Result::is_ok));
    assert_eq!(
        ipvs.timeouts().unwrap(),
        Timeouts { tcp: seconds(60), tcp_fin: seconds(120), udp: seconds(300) }
    );
    assert_eq!(ipvs.daemons().unwrap(), kernel.daemons());
    assert_eq!(ipvs.daemons().unwrap()[0].port, Some(8848));
    assert_eq!(ipvs.service(&web()).unwrap().unwrap().service.scheduler, Scheduler::WLC);
    assert_eq!(ipvs.service(&ServiceId::udp("10.1.0.100:53".parse().unwrap())).unwrap(), None);
    assert_eq!(ipvs.info().unwrap().version_text(), "1.2.1");
}

#[test]
fn a_connection_may_be_given_to_another_thread() {
    fn is_send<T: Send>() {}
    is_send::<Ipvs>();
    is_send::<Error>();
    is_send::<FakeKernel>();
}

/// A kernel whose table changes, as others see to, just before each of the first few requests.
struct Restless {
    inner: FakeTransport,
    kernel: FakeKernel,
    changes: Arc<Mutex<u32>>,
    asked: Arc<AtomicUsize>,
}

impl Transport for Restless {
    fn send(&mut self, datagram: &[u8]) -> io::Result<()> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let mut changes = self.changes.lock().unwrap();
        if *changes > 0 {
            *changes -= 1;
            let mut table = self.kernel.table();
            table.services.swap_remove(0);
            self.kernel.set_table(table);
        }
        self.inner.send(datagram)
    }

    fn receive(&mut self, messages: &mut Vec<u8>) -> io::Result<usize> {
        self.inner.receive(messages)
    }

    fn discard_unread(&mut self) -> io::Result<()> {
        self.inner.discard_unread()
    }

    fn answers_in_flight(&self) -> usize {
        self.inner.answers_in_flight()
    }

    fn time_limit(&self) -> Duration {
        self.inner.time_limit()
    }
}

/// How many services are read, and with how many requests, when there are some and others remove one before each of the
/// first `changes` requests.
fn read_while_others_remove(services: u16, changes: u32) -> (usize, usize) {
    let kernel = FakeKernel::new();
    let mut table = Table::default();
    for port in 1..=services {
        let id = ServiceId::tcp(([10, 1, 0, 100], port).into());
        table.apply(&[Request::AddService(Service::new(id, Scheduler::RR))]);
    }
    kernel.set_table(table);
    let asked = Arc::new(AtomicUsize::new(0));
    let inner = kernel.connect();
    let changes_left = Arc::new(Mutex::new(0));
    let restless = Restless { inner, kernel, changes: Arc::clone(&changes_left), asked: Arc::clone(&asked) };
    let mut ipvs = Ipvs::with_transport(restless).unwrap();
    asked.store(0, Ordering::SeqCst);
    *changes_left.lock().unwrap() = changes;
    (ipvs.services().unwrap().len(), asked.load(Ordering::SeqCst))
}

#[test]
fn a_list_in_pieces_is_read_until_it_stands_still() {
    // The fake kernel has three entries in a piece.
    assert_eq!(read_while_others_remove(3, 0), (3, 1), "one piece is of one moment");
    assert_eq!(read_while_others_remove(20, 0), (20, 2));
    assert_eq!(read_while_others_remove(20, 2), (18, 3));
    assert_eq!(read_while_others_remove(20, 3), (17, 4));
    // Somebody who never rests is not waited for.
    assert_eq!(read_while_others_remove(20, 15), (15, 5));
}
