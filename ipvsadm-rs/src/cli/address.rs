//! `host[:port]` as the original reads it.

use std::net::{IpAddr, Ipv6Addr};

use super::names::Names;
use crate::model::Protocol;

/// An address, and a port if one was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Endpoint {
    /// Address.
    pub address: IpAddr,
    /// Port.
    pub port: Option<u16>,
}

/// Reads `host[:port]`, `[address]:port` or a bare IPv6 address. Protocol decides among service names.
///
/// # Errors
/// A sentence that says which part is wrong.
pub fn parse(text: &str, protocol: Protocol, names: &dyn Names) -> Result<Endpoint, String> {
    if let Some(rest) = text.strip_prefix('[') {
        let (address, port) = rest
            .split_once("]:")
            .ok_or_else(|| format!("`{text}` has a `[` but no `]:port` (as in `[2001:db8::1]:80`)"))?;
        let address: Ipv6Addr = address
            .parse()
            .map_err(|_| format!("`{address}` is not an IPv6 address, and brackets are for those"))?;
        return Ok(Endpoint { address: address.into(), port: Some(self::port(port, protocol, names)?) });
    }
    if let Ok(address) = text.parse::<Ipv6Addr>() {
        return Ok(Endpoint { address: address.into(), port: None });
    }
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if host.contains(':') => return Err(unbracketed(text, host, port)),
        Some((host, port)) => (host, Some(self::port(port, protocol, names)?)),
        None => (text, None),
    };
    // A lone number is far more often a forgotten address than the address 0.0.0.80.
    let lone_number = port.is_none() && host.bytes().all(|byte| byte.is_ascii_digit());
    let address = match host.parse() {
        Ok(address) => Some(address),
        Err(_) if lone_number => None,
        Err(_) => names.address(host),
    };
    let address = address.ok_or_else(|| {
        format!("`{host}` is neither an address nor the name of a host with an IPv4 address")
    })?;
    Ok(Endpoint { address: address.into(), port })
}

/// More than one colon, and yet no IPv6 address.
fn unbracketed(text: &str, host: &str, port: &str) -> String {
    match host.parse::<Ipv6Addr>() {
        Ok(address) => format!("an IPv6 address with a port is written with brackets: `[{address}]:{port}`"),
        Err(_) => {
            format!("`{text}` is not an IPv6 address; with a port one is written as in `[2001:db8::1]:80`")
        }
    }
}

fn port(text: &str, protocol: Protocol, names: &dyn Names) -> Result<u16, String> {
    // Like the original takes blanks and a sign before the digits.
    if let Some(port) = text.trim_ascii_start().parse::<i32>().ok().and_then(|port| u16::try_from(port).ok())
    {
        return Ok(port);
    }
    names
        .port(text, protocol)
        .ok_or_else(|| format!("`{text}` is neither a port from 0 to 65535 nor a known {protocol} service"))
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::super::names::Numeric;
    use super::*;

    fn read(text: &str) -> Result<Endpoint, String> {
        parse(text, Protocol::Tcp, &Numeric)
    }

    #[test]
    fn addresses_are_read_with_and_without_port() {
        let four = IpAddr::V4(Ipv4Addr::new(10, 1, 0, 100));
        let six: IpAddr = "2001:db8::1".parse().unwrap();
        assert_eq!(read("10.1.0.100:80"), Ok(Endpoint { address: four, port: Some(80) }));
        assert_eq!(read("10.1.0.100"), Ok(Endpoint { address: four, port: None }));
        assert_eq!(read("[2001:db8::1]:80"), Ok(Endpoint { address: six, port: Some(80) }));
        assert_eq!(read("2001:db8::1"), Ok(Endpoint { address: six, port: None }));
    }

    #[test]
    fn a_wrong_part_is_named() {
        let says = |text| read(text).unwrap_err();
        let nobody =
            |host| format!("`{host}` is neither an address nor the name of a host with an IPv4 address");
        assert_eq!(says("80"), nobody("80"));
        assert_eq!(
            says("10.0.0.1:99999"),
            "`99999` is neither a port from 0 to 65535 nor a known TCP service"
        );
        assert_eq!(says("10.0.0.1:"), "`` is neither a port from 0 to 65535 nor a known TCP service");
        assert_eq!(
            says("[2001:db8::1]"),
            "`[2001:db8::1]` has a `[` but no `]:port` (as in `[2001:db8::1]:80`)"
        );
        assert_eq!(says("[10.0.0.1]:80"), "`10.0.0.1` is not an IPv6 address, and brackets are for those");
        assert_eq!(says("no.such.host:80"), nobody("no.such.host"));
        assert_eq!(says(""), nobody(""));
    }

    #[test]
    fn an_ipv6_address_whose_port_lacks_brackets_gets_them() {
        let says = |text| read(text).unwrap_err();
        assert_eq!(
            says("2001:db8:1:2:3:4:5:6:80"),
            "an IPv6 address with a port is written with brackets: `[2001:db8:1:2:3:4:5:6]:80`"
        );
        assert_eq!(
            says("fe80::1::80"),
            "`fe80::1::80` is not an IPv6 address; with a port one is written as in `[2001:db8::1]:80`"
        );
        assert_eq!(
            says("10.0.0.1:80:90"),
            "`10.0.0.1:80:90` is not an IPv6 address; with a port one is written as in `[2001:db8::1]:80`"
        );
    }
}
