//! TLS: certificates that are not good, versions that will not do, servers that speak something else or nothing.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::SystemTime;

use rustls::ServerConnection;
use rustls::version::TLS12;

use super::authority::{Authority, Certified, DAY, answering};
use super::support::{self, Nanny, down, server, up, wait_for_close};

fn nanny(address: SocketAddr, check: &str) -> Nanny {
    Nanny::check_words(address, &["-t", "10", "--check", check])
}

/// Longer than the time that these checks have, and shorter than a test may take.
fn impatient(address: SocketAddr, check: &str) -> Nanny {
    Nanny::check_words(address, &["-t", "300ms", "--check", check])
}

#[test]
fn a_good_certificate_for_the_address_or_the_name_is_enough() {
    let ca = Authority::new();
    let address = answering(ca.certify_well(&["127.0.0.1", "www.example"]).serving(), b"");
    let authority = ca.ca();
    let by_address = nanny(address, &format!("tls ca={authority}"));
    assert_eq!(by_address.report(), up("TLS handshake done"));
    let by_name = nanny(address, &format!("tls ca={authority} sni=www.example min=1.3"));
    assert_eq!(by_name.report(), up("TLS handshake done"));
}

#[test]
fn a_certificate_that_is_not_good_is_told_by_what_is_wrong_with_it() {
    let ca = Authority::new();
    let authority = ca.ca();
    let (soon, long_ago) = (SystemTime::now() + 10 * DAY, SystemTime::now() - 3 * DAY - DAY / 2);
    let good = answering(ca.certify_well(&["a.example", "b.example", "10.9.8.7"]).serving(), b"");
    let expired = answering(ca.certify(&["127.0.0.1"], long_ago).serving(), b"");
    let early = answering(ca.certify(&["127.0.0.1"], soon + 300 * DAY + DAY / 2).serving(), b"");
    let nameless = answering(ca.certify_well(&[]).serving(), b"");
    let itself = answering(Certified::by_itself(&["127.0.0.1"], soon).serving(), b"");
    let other = answering(Authority::new().certify_well(&["127.0.0.1"]).serving(), b"");
    for (address, options, reason) in [
        (expired, "", "certificate expired 3 days ago"),
        (early, "", "certificate is not valid for another 10 days"),
        (good, "", "certificate is for a.example, b.example, 10.9.8.7, not for 127.0.0.1"),
        (good, "sni=c.example", "certificate is for a.example, b.example, 10.9.8.7, not for c.example"),
        (nameless, "", "certificate is for no name at all, not for 127.0.0.1"),
        (itself, "", "certificate is self-signed and not trusted"),
        (other, "", "certificate is signed by nobody who is trusted"),
    ] {
        let refusing = nanny(address, &format!("tls ca={authority} {options}"));
        assert_eq!(refusing.report(), down(reason));
        let trusting = nanny(address, &format!("tls verify=off {options}"));
        assert_eq!(trusting.report(), up("TLS handshake done"), "{reason}");
    }
}

#[test]
fn a_self_signed_certificate_can_be_trusted_by_itself_but_not_for_another_name_or_after_its_end() {
    let folder = Authority::new();
    let end = SystemTime::now() + 10 * DAY;
    let own = Certified::by_itself(&["127.0.0.1"], end);
    let file = folder.file("own.pem", &own.pem);
    let address = answering(own.serving(), b"");
    assert_eq!(nanny(address, &format!("tls ca={file}")).report(), up("TLS handshake done"));
    assert_eq!(
        nanny(address, &format!("tls ca={file} sni=www.example")).report(),
        down("certificate is for 127.0.0.1, not for www.example")
    );
    let old = Certified::by_itself(&["127.0.0.1"], SystemTime::now() - DAY - DAY / 2);
    let file = folder.file("old.pem", &old.pem);
    let address = answering(old.serving(), b"");
    assert_eq!(nanny(address, &format!("tls ca={file}")).report(), down("certificate expired 1 day ago"));
}

#[test]
fn a_certificate_that_ends_soon_is_a_warning_and_no_failure() {
    let ca = Authority::new();
    let ends = SystemTime::now() + 12 * DAY + DAY / 2;
    let address = answering(ca.certify(&["127.0.0.1"], ends).serving(), b"");
    let authority = ca.ca();
    let warned = nanny(address, &format!("tls ca={authority} expiry=30d"));
    assert_eq!(warned.report(), up("healthy, but a certificate ends in 12 days"));
    warned.log_line("real server needs attention");
    let content = nanny(address, &format!("tls ca={authority} expiry=12d"));
    assert_eq!(content.report(), up("TLS handshake done"));
}

#[test]
fn pages_are_asked_for_and_steps_are_taken_in_tls() {
    let ca = Authority::new();
    let config = ca.certify_well(&["127.0.0.1", "www.example"]).serving();
    let page = answering(Arc::clone(&config), b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine");
    let authority = ca.ca();
    let web = nanny(page, &format!("https ca={authority} host=www.example:8443 equals=fine"));
    assert_eq!(web.report(), up("status 200, body as expected"));
    let poor = nanny(page, &format!("https ca={authority} status=404"));
    assert_eq!(poor.report(), down(r#"status 200 "OK", expected 404"#));
    let mail = answering(config, b"+OK ready\r\n");
    let steps = nanny(mail, &format!(r"tls ca={authority} send=CAPA\r\n expect=+OK equals=\x20ready\r\n"));
    assert_eq!(steps.report(), up("answered as expected"));
}

#[test]
fn a_server_that_demands_a_certificate_gets_one_or_says_so() {
    let ca = Authority::new();
    let config = ca.demanding(&ca.certify_well(&["127.0.0.1"]));
    let address = answering(config, b"");
    let authority = ca.ca();
    let me = ca.certify_well(&["me.example"]);
    let (cert, key) = (ca.file("me.pem", &me.pem), ca.file("me.key", &me.key.serialize_pem()));
    let known = nanny(address, &format!("tls ca={authority} cert={cert} key={key}"));
    assert_eq!(known.report(), up("TLS handshake done"));
    let other = Authority::new();
    let stranger = other.certify_well(&["me.example"]);
    let (cert, key) =
        (other.file("me.pem", &stranger.pem), other.file("me.key", &stranger.key.serialize_pem()));
    let unknown = nanny(address, &format!("tls ca={authority} cert={cert} key={key}"));
    assert_eq!(unknown.report(), down("server does not trust the client certificate (unknown authority)"));
    let without = nanny(address, &format!("tls ca={authority} any"));
    assert_eq!(without.report(), down("server demands a client certificate"));
}

#[test]
fn versions_that_are_not_in_common_are_told() {
    // A ServerHello of TLS 1.0 (RFC 2246, 7.4.1.3) with a cipher of its time, and the alert of one that speaks no other.
    let mut hello = vec![22, 3, 1, 0, 42, 2, 0, 0, 38, 3, 1];
    hello.extend([7; 32]);
    hello.extend([0, 0, 0x2f, 0]);
    for answer in [hello, vec![21, 3, 1, 0, 2, 2, 70]] {
        let address = server(move |mut connection| {
            let _ = connection.read(&mut [0; 4096]);
            let _ = connection.write_all(&answer);
            wait_for_close(&mut connection);
        });
        assert_eq!(nanny(address, "tls verify=off").report(), down("no version of TLS in common"));
    }
    let ca = Authority::new();
    let certified = ca.certify_well(&["127.0.0.1"]);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config =
        rustls::ServerConfig::builder_with_provider(provider).with_protocol_versions(&[&TLS12]).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(certified.key.serialize_der()).unwrap();
    let config =
        config.with_no_client_auth().with_single_cert(vec![certified.certificate.clone()], key).unwrap();
    let address = answering(Arc::new(config), b"");
    let authority = ca.ca();
    assert_eq!(nanny(address, &format!("tls ca={authority}")).report(), up("TLS handshake done"));
    let strict = nanny(address, &format!("tls ca={authority} min=1.3"));
    assert_eq!(strict.report(), down("no version of TLS in common"));
}

#[test]
fn a_server_that_speaks_something_else_is_quoted() {
    let talkative = support::answering(b"220 mail.example ESMTP\r\n");
    let reason = "no TLS: answer begins with \"220 mail.example ESMTP\"";
    assert_eq!(nanny(talkative, "tls").report(), down(reason));
    let web = support::answering(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    assert_eq!(nanny(web, "https").report(), down("no TLS: answer begins with \"HTTP/1.1 400 Bad Request\""));
    let garbage = support::answering(b"\x16\x03\x01\xff\xff\0\0\0");
    assert!(nanny(garbage, "tls").report().contains("TLS failed: "));
}

#[test]
fn silence_and_an_end_in_the_handshake_are_told() {
    let silent = server(|mut connection| wait_for_close(&mut connection));
    assert_eq!(impatient(silent, "https").report(), down("no TLS handshake within 300ms"));
    let brief = server(|mut connection| {
        let _ = connection.read(&mut [0; 4096]);
    });
    assert_eq!(nanny(brief, "https").report(), down("closed in the TLS handshake"));
}

#[test]
fn silence_after_the_handshake_is_no_answer() {
    let ca = Authority::new();
    let config = ca.certify_well(&["127.0.0.1"]).serving();
    let address = server(move |mut socket| {
        let mut connection = ServerConnection::new(Arc::clone(&config)).unwrap();
        while connection.is_handshaking() {
            if connection.complete_io(&mut socket).is_err() {
                return;
            }
        }
        wait_for_close(&mut socket);
    });
    // Long enough for a handshake on a busy machine.
    let check = format!("https ca={}", ca.ca());
    let nanny = Nanny::check_words(address, &["-t", "3", "--check", &check]);
    assert_eq!(nanny.report(), down("no answer within 3s"));
}

#[test]
fn files_that_cannot_be_used_are_told_by_name() {
    let ca = Authority::new();
    let (good, text) = (ca.ca(), ca.file("text", "nothing of the kind\n"));
    let me = ca.certify_well(&["me.example"]);
    let (cert, key) = (ca.file("me.pem", &me.pem), ca.file("me.key", &me.key.serialize_pem()));
    let other = ca.certify_well(&["other.example"]);
    let other = ca.file("other.key", &other.key.serialize_pem());
    for (options, reason) in [
        (
            "ca=/does/not/exist".to_owned(),
            "ca=/does/not/exist cannot be read: No such file or directory".to_owned(),
        ),
        (format!("ca={text}"), format!("ca={text} has no certificate in PEM")),
        (format!("ca={good} cert={text} key={key}"), format!("cert={text} has no certificate in PEM")),
        (format!("ca={good} cert={cert} key={text}"), format!("key={text} has no private key in PEM")),
        (format!("ca={good} cert={cert} key={other}"), format!("key={other} does not go with cert={cert}")),
    ] {
        let address = "127.0.0.1:1".parse().unwrap();
        let mut nanny = nanny(address, &format!("tls {options}"));
        nanny.log_line(&reason);
        assert_eq!(nanny.end().0.code(), Some(2), "{reason}");
    }
}

#[test]
fn an_alert_in_the_middle_of_the_connection_is_the_reason() {
    let ca = Authority::new();
    let config = ca.certify_well(&["127.0.0.1"]).serving();
    let address = server(move |mut socket| {
        let mut connection = ServerConnection::new(Arc::clone(&config)).unwrap();
        while connection.is_handshaking() {
            if connection.complete_io(&mut socket).is_err() {
                return;
            }
        }
        // In plain text after the handshake: whatever that is, it is no TLS.
        let _ = socket.write_all(b"\x17\x03\x03\x00\x20broken broken broken broken brok");
        wait_for_close(&mut socket);
    });
    let nanny = nanny(address, &format!("tls ca={} any", ca.ca()));
    let report = nanny.report();
    assert!(report.contains("TLS failed: cannot decrypt peer's message"), "{report}");
}
