//! Where a redirect leads, if that is on the same server.

use checkspec::http::{is_path, split_host};

use super::usual_port;

/// The path that `location` stands for, if it is asked of the same server in the same way: it may name the scheme and the
/// host only as they are. `from` is the path that was asked for. A fragment is left out.
#[must_use]
pub fn target(location: &str, scheme: &str, host: &str, from: &str) -> Option<String> {
    let location = location.split('#').next().unwrap_or_default();
    let here = from.split('?').next().unwrap_or_default();
    let path = match (split_scheme(location), location) {
        (Some((other, rest)), _) => {
            let rest = rest.strip_prefix("//").filter(|_| other.eq_ignore_ascii_case(scheme))?;
            authority(rest, scheme, host)?
        }
        (None, location) if location.starts_with("//") => authority(&location[2..], scheme, host)?,
        (None, location) if location.starts_with('/') => location.to_owned(),
        (None, location) if location.starts_with('?') => format!("{here}{location}"),
        (None, "") => from.to_owned(),
        (None, location) => {
            let folder = here.rfind('/').map_or("", |slash| &here[..slash]);
            format!("{folder}/{location}")
        }
    };
    is_path(&path).then_some(path)
}

/// What stands before and after the first colon, if that ends a scheme (RFC 3986, 3.1).
fn split_scheme(location: &str) -> Option<(&str, &str)> {
    let is_scheme = |text: &str| {
        text.starts_with(|c: char| c.is_ascii_alphabetic())
            && text.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
    };
    location.split_once(':').filter(|(scheme, _)| is_scheme(scheme))
}

/// The path after a host, if that is this one.
fn authority(rest: &str, scheme: &str, host: &str) -> Option<String> {
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (found, path) = rest.split_at(end);
    let (name, port) = split_host(found)?;
    let (own_name, own_port) = split_host(host)?;
    let usual = usual_port(scheme);
    let is_same = name.eq_ignore_ascii_case(own_name) && port.unwrap_or(usual) == own_port.unwrap_or(usual);
    let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    is_same.then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from_here(location: &str) -> Option<String> {
        target(location, "http", "www.example", "/a/b?c=d/e")
    }

    #[test]
    fn what_stays_on_the_server_is_followed() {
        for (location, path) in [
            ("/x", "/x"),
            ("/x?y=/z#part", "/x?y=/z"),
            ("x", "/a/x"),
            ("?x", "/a/b?x"),
            ("", "/a/b?c=d/e"),
            ("http://www.example/x", "/x"),
            ("HTTP://WWW.Example:80", "/"),
            ("http://www.example?x", "/?x"),
            ("//www.example/x", "/x"),
        ] {
            assert_eq!(from_here(location).as_deref(), Some(path), "{location}");
        }
        let secured = target("https://[::1]:443/x", "https", "[::1]", "/");
        assert_eq!(secured.as_deref(), Some("/x"));
    }

    #[test]
    fn what_leads_elsewhere_or_nowhere_is_not() {
        for location in [
            "https://www.example/x",
            "http://other.example/x",
            "http://www.example:8080/x",
            "http://me@www.example/",
            "http:/x",
            "mailto:me",
            "/a b",
            "/a\rb",
            "/\u{e9}",
        ] {
            assert_eq!(from_here(location), None, "{location}");
        }
    }
}
