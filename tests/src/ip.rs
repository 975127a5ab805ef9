//! `ip`, `tc` and `bridge`: configuration in batches, and what they list as types.
//!
//! A batch is one process, whatever its length (a process costs milliseconds in the lab), and a failure names
//! the very line. Everything here acts on the calling thread's network namespace.

use std::{
    fmt,
    io::Write as _,
    net::IpAddr,
    process::{Command, Output, Stdio},
};

use anyhow::{Context as _, Result, anyhow, bail};
use serde::Deserialize;

/// Runs `tool -batch -` (tool: `ip`, `tc` or `bridge`) with the lines.
pub(crate) fn batch(tool: &str, lines: &[String]) -> Result<()> {
    if lines.is_empty() {
        return Ok(());
    }
    let mut child = Command::new(tool)
        .args(["-batch", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {tool} (package iproute2)"))?;
    let input = child.stdin.take().map(|mut stdin| stdin.write_all((lines.join("\n") + "\n").as_bytes()));
    let output = child.wait_with_output()?;
    if output.status.success() {
        return input.transpose().map(|_| ()).with_context(|| format!("write to {tool}"));
    }
    let message = String::from_utf8_lossy(&output.stderr);
    let line = failed_line(&message).and_then(|n| lines.get(n.saturating_sub(1)));
    match line {
        Some(line) => bail!("`{tool} {line}` failed: {}", message.trim()),
        None => bail!("{tool} failed on\n{}\n{}", lines.join("\n"), message.trim()),
    }
}

/// The line number in `Command failed -:3`.
fn failed_line(message: &str) -> Option<usize> {
    message.rsplit_once("Command failed -:").and_then(|(_, n)| n.trim().parse().ok())
}

/// Runs one command and returns its standard output.
pub(crate) fn output(tool: &str, args: &[&str]) -> Result<Vec<u8>> {
    let Output { status, stdout, stderr } = Command::new(tool)
        .args(args)
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("start {tool}"))?;
    if !status.success() {
        bail!("`{tool} {}` failed: {}", args.join(" "), String::from_utf8_lossy(&stderr).trim());
    }
    Ok(stdout)
}

/// One address of an interface.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Address {
    /// The interface (`eth0`).
    pub interface: String,
    /// The address itself.
    pub address: IpAddr,
    /// Its prefix length.
    pub prefix: u8,
    /// Its label (`eth0:1`), or empty.
    pub label: String,
    /// Seconds it is still valid, where it has a finite lifetime.
    pub valid_seconds: Option<u32>,
    /// Whether IPv6 duplicate address detection is still under way.
    pub tentative: bool,
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}/{}", self.interface, self.address, self.prefix)?;
        if !self.label.is_empty() && self.label != self.interface {
            write!(f, " label {}", self.label)?;
        }
        if let Some(seconds) = self.valid_seconds {
            write!(f, " valid {seconds} s")?;
        }
        if self.tentative { write!(f, " tentative") } else { Ok(()) }
    }
}

#[derive(Deserialize)]
struct ListedInterface {
    ifname: Option<String>,
    #[serde(default)]
    addr_info: Vec<ListedAddress>,
}

#[derive(Deserialize)]
struct ListedAddress {
    local: Option<IpAddr>,
    #[serde(default)]
    prefixlen: u8,
    #[serde(default)]
    label: String,
    valid_life_time: Option<u32>,
    #[serde(default)]
    tentative: bool,
}

/// All addresses of the calling thread's network namespace.
pub(crate) fn addresses() -> Result<Vec<Address>> {
    parse_addresses(&output("ip", &["-json", "address", "show"])?)
}

fn parse_addresses(json: &[u8]) -> Result<Vec<Address>> {
    let interfaces: Vec<ListedInterface> =
        serde_json::from_slice(json).map_err(|e| anyhow!("ip -json address show: {e}"))?;
    let mut rows = Vec::new();
    for ListedInterface { ifname, addr_info } in interfaces {
        let interface = ifname.unwrap_or_default();
        rows.extend(addr_info.into_iter().filter_map(|listed| {
            Some(Address {
                interface: interface.clone(),
                address: listed.local?,
                prefix: listed.prefixlen,
                label: listed.label,
                // ip prints "forever" as the largest number.
                valid_seconds: listed.valid_life_time.filter(|seconds| *seconds != u32::MAX),
                tentative: listed.tentative,
            })
        }));
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listing_becomes_rows() {
        // `ip -json address show` of iproute2 6.1, one address with a finite life, shortened.
        let json = br#"[{},{"ifindex":2,"ifname":"eth0","addr_info":[
            {"family":"inet","local":"10.1.0.100","prefixlen":24,"scope":"global","label":"eth0:1","valid_life_time":18,"preferred_life_time":0},
            {"family":"inet6","local":"fd00:1::11","prefixlen":64,"scope":"global","tentative":true,"valid_life_time":4294967295}]}]"#;
        let rows = parse_addresses(json).expect("valid listing");
        let shown: Vec<String> = rows.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["eth0 10.1.0.100/24 label eth0:1 valid 18 s", "eth0 fd00:1::11/64 tentative"]);
    }

    #[test]
    fn the_failed_line_of_a_batch_is_found() {
        assert_eq!(failed_line("Cannot find device \"eth7\"\nCommand failed -:3\n"), Some(3));
        assert_eq!(failed_line("Cannot open netlink socket"), None);
    }
}
