//! Numbers, addresses and columns appended to a text.
//!
//! A listing has hundreds of thousands of them, and formatting each through the standard machinery into a text of its
//! own costs more than all the kernel does for it.

use std::fmt::Write as _;
use std::net::IpAddr;

/// Appends a number.
pub(crate) fn number(into: &mut String, number: impl itoa::Integer) {
    into.push_str(itoa::Buffer::new().format(number));
}

/// Appends a number and blanks up to `width` columns.
pub(crate) fn number_column(into: &mut String, value: u32, width: usize) {
    let start = into.len();
    number(into, value);
    fill(into, start, width);
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

/// Appends blanks until what begins at byte `start` has `width` characters.
pub(crate) fn fill(into: &mut String, start: usize, width: usize) {
    let length = into.get(start..).map_or(0, |written| written.chars().count());
    into.extend(std::iter::repeat_n(' ', width.saturating_sub(length)));
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

    #[test]
    fn columns_are_filled_by_characters_and_never_cut() {
        assert_eq!(written(|into| number_column(into, 42, 4)), "> 42  ");
        assert_eq!(written(|into| number_column(into, 12345, 4)), "> 12345");
        assert_eq!(
            written(|into| {
                into.push_str("äö");
                fill(into, 2, 3);
            }),
            "> äö "
        );
    }
}
