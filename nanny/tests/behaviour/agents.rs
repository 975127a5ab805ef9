//! An agent on the real server that advises on its weight and on whether to use it.

use std::io::{Read, Write};
use std::sync::{Arc, Mutex};

use super::support::{Nanny, answering, down, server, up};

/// An agent that says whatever its line is at the moment.
fn agent() -> (u16, Arc<Mutex<&'static str>>) {
    let line = Arc::new(Mutex::new("100%\n"));
    let says = Arc::clone(&line);
    let address = server(move |mut connection| {
        // Who is gone by now needs no answer.
        let _ = connection.write_all(says.lock().unwrap().as_bytes());
    });
    (address.port(), line)
}

#[test]
fn an_agent_gives_a_part_of_the_weight_and_takes_the_server_out() {
    let (port, line) = agent();
    let load = format!("agent port={port}");
    let web = answering(b"HTTP/1.0 200 OK\r\n");
    let nanny = Nanny::check_words(web, &["-t", "50ms", "-w", "10", "-s", "x", "-x", "HTTP", "-U", &load]);
    assert_eq!(nanny.report(), up("answered as expected"));
    for (says, reported) in [
        ("50%\n", "[ weight ] weight=5 reason=\"agent says 50%\"".to_owned()),
        ("drain", "[ weight ] weight=0 reason=\"agent says drain\"".to_owned()),
        ("ready\n", "[ weight ] weight=5 reason=\"agent says 50%\"".to_owned()),
        ("maint # disk\r\n", down("agent says maint, \"disk\"")),
        ("nonsense\n", String::new()),
        ("ready up 100%\n", up("agent objects no longer")),
    ] {
        *line.lock().unwrap() = says;
        if reported.is_empty() {
            let logged = nanny.log_line("load not measured");
            assert!(logged.contains("\\\"nonsense\\\" is nothing that an agent says"), "{logged}");
        } else {
            assert_eq!(nanny.report(), reported, "{says}");
        }
    }
}

#[test]
fn an_agent_is_told_what_it_wants_to_hear() {
    let address = server(|mut connection| {
        let mut question = [0; 6];
        let heard = connection.read_exact(&mut question).is_ok() && &question == b"state\n";
        let _ = connection.write_all(if heard { b"20%\n" } else { b"down\n" });
    });
    let load = format!("agent port={} send=state\\n", address.port());
    let web = answering(b"HTTP/1.0 200 OK\r\n");
    let nanny = Nanny::check_words(web, &["-t", "50ms", "-w", "10", "-s", "x", "-x", "HTTP", "-U", &load]);
    assert_eq!(nanny.report(), up("answered as expected"));
    assert_eq!(nanny.report(), "[ weight ] weight=2 reason=\"agent says 20%\"");
}

#[test]
fn a_document_tells_the_part_of_the_weight() {
    let metrics = answering(
        b"HTTP/1.1 200 OK\r\nContent-Length: 26\r\nConnection: close\r\n\r\n{\"free\": {\"cpu\": [7, 30]}}",
    );
    let load = format!("json path=/health field=free.cpu.1 port={}", metrics.port());
    let web = answering(b"HTTP/1.0 200 OK\r\n");
    let nanny = Nanny::check_words(web, &["-t", "50ms", "-w", "10", "-s", "x", "-x", "HTTP", "-U", &load]);
    assert_eq!(nanny.report(), up("answered as expected"));
    assert_eq!(nanny.report(), "[ weight ] weight=3 reason=\"server wants 30%\"");
}
