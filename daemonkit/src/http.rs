//! The part of HTTP/1.1 that a page for a collector of metrics needs: one GET, one answer, the end.
//!
//! What was heard so far, in; what to answer, out. No body is read, no connection kept. Where the bytes come from and
//! how long is waited for them is [`crate::answering`]'s business.

use std::sync::Arc;

use crate::answering::LONGEST_REQUEST;

/// Header fields that a request may have.
const MOST_FIELDS: usize = 64;

/// The one page of a server.
#[derive(Debug, Clone, Copy)]
pub struct Page {
    /// Its path, such as `/metrics`.
    pub path: &'static str,
    /// Its media type.
    pub content_type: &'static str,
}

impl Page {
    /// The answer to the request of which `heard` is all that has arrived; `None` if more of it is to come. `body` is
    /// asked only when the request is for this page; it has `None` when there is nothing to give.
    pub fn answer(self, heard: &[u8], body: impl FnOnce() -> Option<Arc<str>>) -> Option<Arc<[u8]>> {
        let mut fields = [httparse::EMPTY_HEADER; MOST_FIELDS];
        let mut request = httparse::Request::new(&mut fields);
        match request.parse(heard) {
            Ok(httparse::Status::Complete(_)) => {}
            Ok(httparse::Status::Partial) if heard.len() < LONGEST_REQUEST => return None,
            Ok(httparse::Status::Partial) | Err(httparse::Error::TooManyHeaders) => {
                return Some(refusal("431 Request Header Fields Too Large", "", "the request is too long"));
            }
            Err(_) => return Some(refusal("400 Bad Request", "", "this is not an HTTP request")),
        }
        let path = request.path.unwrap_or_default().split('?').next();
        if path != Some(self.path) {
            let there_is = format!("there is only {}", self.path);
            return Some(refusal("404 Not Found", "", &there_is));
        }
        if request.method != Some("GET") {
            return Some(refusal("405 Method Not Allowed", "Allow: GET\r\n", "only GET is understood"));
        }
        let Some(body) = body() else {
            return Some(refusal("503 Service Unavailable", "", "the program is busy; try again"));
        };
        Some(message("200 OK", self.content_type, "", &body))
    }
}

fn refusal(status: &str, fields: &str, reason: &str) -> Arc<[u8]> {
    message(status, "text/plain; charset=utf-8", fields, &format!("{reason}\n"))
}

fn message(status: &str, content_type: &str, fields: &str, body: &str) -> Arc<[u8]> {
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\n{fields}Connection: close\r\n\r\n"
    );
    [head.as_bytes(), body.as_bytes()].concat().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: Page = Page { path: "/metrics", content_type: "text/plain; version=0.0.4" };

    fn answered(heard: &str) -> Option<String> {
        let answer = PAGE.answer(heard.as_bytes(), || Some("a 1\n".into()))?;
        Some(String::from_utf8(answer.to_vec()).unwrap())
    }

    fn status(heard: &str) -> String {
        answered(heard).unwrap().lines().next().unwrap().to_owned()
    }

    #[test]
    fn the_page_is_given_with_its_length_and_the_connection_ends() {
        let told = "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: 4\r\n\
                    Connection: close\r\n\r\na 1\n";
        assert_eq!(answered("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").unwrap(), told);
        assert_eq!(answered("GET /metrics?a=b HTTP/1.0\r\n\r\n").unwrap(), told);
    }

    #[test]
    fn a_request_in_pieces_is_awaited_until_its_empty_line() {
        let whole = "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n";
        for end in 0..whole.len() {
            assert_eq!(answered(&whole[..end]), None, "{end}");
        }
        assert_eq!(status(whole), "HTTP/1.1 200 OK");
    }

    #[test]
    fn what_is_not_the_page_is_refused_with_the_reason() {
        let not_found = answered("GET / HTTP/1.1\r\n\r\n").unwrap();
        assert!(not_found.starts_with("HTTP/1.1 404 Not Found\r\n"), "{not_found}");
        assert!(not_found.ends_with("\r\n\r\nthere is only /metrics\n"), "{not_found}");
        assert_eq!(status("GET /metrics/ HTTP/1.1\r\n\r\n"), "HTTP/1.1 404 Not Found");
        let not_allowed = answered("POST /metrics HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc").unwrap();
        assert!(not_allowed.starts_with("HTTP/1.1 405 Method Not Allowed\r\n"), "{not_allowed}");
        assert!(not_allowed.contains("\r\nAllow: GET\r\n"), "{not_allowed}");
        assert_eq!(status("HEAD /metrics HTTP/1.1\r\n\r\n"), "HTTP/1.1 405 Method Not Allowed");
    }

    #[test]
    fn garbage_and_endless_requests_are_refused() {
        for garbage in
            ["\u{0}\u{1}\u{2}", "\u{16}\u{3}\u{1}", "GET  HTTP/1.1\r\n\r\n", "GET /metrics SPDY/3\r\n"]
        {
            assert_eq!(status(garbage), "HTTP/1.1 400 Bad Request", "{garbage:?}");
        }
        let long = format!("GET /metrics HTTP/1.1\r\nX: {}", "a".repeat(LONGEST_REQUEST));
        assert_eq!(status(&long[..LONGEST_REQUEST]), "HTTP/1.1 431 Request Header Fields Too Large");
        assert_eq!(answered(&long[..LONGEST_REQUEST - 1]), None);
        let many = format!("GET /metrics HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(MOST_FIELDS + 1));
        assert_eq!(status(&many), "HTTP/1.1 431 Request Header Fields Too Large");
    }

    #[test]
    fn a_page_without_a_body_is_unavailable_for_now() {
        let answer = PAGE.answer(b"GET /metrics HTTP/1.1\r\n\r\n", || None).unwrap();
        assert!(answer.starts_with(b"HTTP/1.1 503 Service Unavailable\r\n"));
    }
}
