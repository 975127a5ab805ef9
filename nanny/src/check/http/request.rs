//! A request as bytes.

use std::fmt::Write as _;

/// Writes a request. Everything that goes into its lines has been held to the characters that can stand there; see
/// [`checkspec::http`].
pub(super) fn write(
    method: &str,
    path: &str,
    host: &str,
    headers: &[(String, String)],
    body: Option<&[u8]>,
) -> Vec<u8> {
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n");
    let own = [("User-Agent", concat!("nanny/", env!("CARGO_PKG_VERSION"))), ("Accept", "*/*")];
    let is_given = |name: &str| headers.iter().any(|(given, _)| given.eq_ignore_ascii_case(name));
    let own = own.into_iter().filter(|(name, _)| !is_given(name));
    let given = headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    for (name, value) in own.chain(given) {
        // Writing to a string does not fail.
        let _ = write!(head, "{name}: {value}\r\n");
    }
    if let Some(body) = body {
        let _ = write!(head, "Content-Length: {}\r\n", body.len());
    }
    head.push_str("\r\n");
    let mut request = head.into_bytes();
    request.extend_from_slice(body.unwrap_or_default());
    request
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_says_who_asks_and_that_it_is_the_only_one() {
        let request = write("GET", "/a?b", "www.example", &[], None);
        assert_eq!(
            String::from_utf8(request).unwrap(),
            concat!(
                "GET /a?b HTTP/1.1\r\nHost: www.example\r\nConnection: close\r\nUser-Agent: nanny/",
                env!("CARGO_PKG_VERSION"),
                "\r\nAccept: */*\r\n\r\n"
            )
        );
    }

    #[test]
    fn fields_that_are_given_take_the_place_of_its_own_and_a_body_has_its_length() {
        let headers = [("user-agent".to_owned(), "me".to_owned()), ("Accept".to_owned(), String::new())];
        let request = write("POST", "/", "[::1]:8080", &headers, Some(b"a\0b"));
        assert_eq!(
            request,
            b"POST / HTTP/1.1\r\nHost: [::1]:8080\r\nConnection: close\r\nuser-agent: me\r\nAccept: \r\n\
              Content-Length: 3\r\n\r\na\0b"
        );
    }
}
