//! What clients that mean no good can do to those that do: nothing.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use daemonkit::answering::{LIFETIME, Listener, MOST, Serving};
use daemonkit::http::Page;

const PAGE: Page = Page { path: "/metrics", content_type: "text/plain" };
/// More than the buffers of a connection hold.
const LONG: usize = 16 * 1024 * 1024;

fn serve(body: &str) -> (SocketAddr, Serving) {
    let listener = Listener::tcp("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = listener.address().unwrap();
    let body: Arc<str> = body.into();
    let serving =
        listener.serve("test", move |heard| PAGE.answer(heard, || Some(Arc::clone(&body)))).unwrap();
    (address, serving)
}

fn connect(to: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(to).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream
}

/// The whole answer to `request`.
fn ask(to: SocketAddr, request: &[u8]) -> String {
    let mut stream = connect(to);
    // A server may answer, and hang up, before it has heard all.
    let _ = stream.write_all(request);
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    String::from_utf8(answer).unwrap()
}

const GET: &[u8] = b"GET /metrics HTTP/1.1\r\n\r\n";

#[test]
fn clients_that_do_not_read_or_write_keep_nobody_waiting() {
    let (address, _serving) = serve(&"x".repeat(LONG));
    let mut mute: Vec<TcpStream> = (0..200).map(|_| connect(address)).collect();
    for deaf in &mut mute[100..] {
        // Those that came first have been closed to make room.
        let _ = deaf.write_all(GET);
    }
    let asked = Instant::now();
    assert_eq!(ask(address, GET).len(), ask(address, GET).len());
    assert!(ask(address, GET).ends_with("xxx"));
    assert!(asked.elapsed() < LIFETIME, "{:?}", asked.elapsed());
    assert!(mute.len() > MOST);
}

#[test]
fn a_request_of_a_megabyte_is_refused_and_the_refusal_arrives() {
    let (address, _serving) = serve("x");
    let mut request = b"GET /metrics HTTP/1.1\r\nX: ".to_vec();
    request.resize(1024 * 1024, b'a');
    let answer = ask(address, &request);
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    assert!(ask(address, &[0xff; 1024 * 1024]).starts_with("HTTP/1.1 400 "));
    assert!(ask(address, GET).starts_with("HTTP/1.1 200 OK\r\n"));
}

#[test]
fn a_request_may_come_byte_by_byte() {
    let (address, _serving) = serve("x");
    let mut stream = connect(address);
    stream.set_nodelay(true).unwrap();
    for byte in GET {
        stream.write_all(&[*byte]).unwrap();
    }
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\nx"), "{answer}");
}

#[test]
fn nobody_listens_any_more_when_the_handle_is_gone() {
    let (address, serving) = serve("x");
    assert!(ask(address, GET).ends_with('x'));
    drop(serving);
    let started = Instant::now();
    while TcpStream::connect(address).is_ok() {
        assert!(started.elapsed() < Duration::from_secs(20), "the port is still open");
        std::thread::yield_now();
    }
}

#[test]
fn the_port_is_free_at_once_even_while_an_answer_is_made() {
    let listener = Listener::tcp("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = listener.address().unwrap();
    let (begin, begun) = mpsc::channel();
    let (finish, finished) = mpsc::channel::<()>();
    let serving = listener
        .serve("test", move |_| {
            begin.send(()).ok()?;
            finished.recv().ok()?;
            None
        })
        .unwrap();
    let _client = connect(address);
    begun.recv_timeout(Duration::from_secs(20)).unwrap();
    drop(serving);
    Listener::tcp(SocketAddr::from(([0, 0, 0, 0], address.port()))).unwrap();
    drop(finish);
}
