//! Numbers and addresses appended to a text.
//!
//! A listing has hundreds of thousands of them, and formatting each through the standard machinery into a text of its
//! own costs more than all the kernel does for it.

use std::fmt::Write as _;
use std::net::IpAddr;

/// Appends a number.
pub(crate) fn number(into: &mut String, number: impl itoa::Integer) {
    into.push_str(itoa::Buffer::new().format(number));
}

/// Appends an address.
pub(crate) fn address(into: &mut String, address: IpAddr) {
    match address {
        IpAddr::V4(address) => {
            for (index, octet) in address.octets().into_iter().enumerate() {
                if index > 0 {
                    into.push('.');
                }
                number(into, octet);
            }
        }
        // Writing to a String cannot fail.
        IpAddr::V6(address) => drop(write!(into, "{address}")),
    }
}

/// Appends an address and a port: `10.1.0.100:80`, `[2001:db8::1]:80`.
pub(crate) fn endpoint(into: &mut String, host: IpAddr, port: u16) {
    if host.is_ipv6() {
        into.push('[');
    }
    address(into, host);
    into.push_str(if host.is_ipv6() { "]:" } else { ":" });
    number(into, port);
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;

    fn written(append: impl FnOnce(&mut String)) -> String {
        let mut text = String::from("> ");
        append(&mut text);
        text
    }

    #[test]
    fn endpoints_are_written_as_the_standard_library_does() {
        for text in ["0.0.0.0:0", "255.255.255.255:65535", "10.1.0.100:80", "[::1]:53", "[2001:db8::1]:80"] {
            let at: SocketAddr = text.parse().unwrap();
            assert_eq!(written(|into| endpoint(into, at.ip(), at.port())), format!("> {text}"));
            assert_eq!(written(|into| address(into, at.ip())), format!("> {}", at.ip()));
        }
    }
}
