//! Many virtual servers at once: as our file, as the peer's, and as the kernel shows them. Pure, but for [`kernel`].

pub(crate) mod kernel;

use std::{
    fmt::Write as _,
    net::{SocketAddr, SocketAddrV4},
};

use anyhow::{Result, ensure};

use crate::{Match, Service};

/// The network of all real servers.
pub const REAL_SERVERS: &str = "10.9.0.0/16";
/// The port of everything.
pub(crate) const PORT: u16 = 80;
/// Time between two checks, in seconds; as much is the patience of a check.
const INTERVAL: u32 = 60;

/// Which real servers the virtual servers have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// Mostly different ones.
    Spread,
    /// The same.
    Shared,
}

/// One row: a real server of a virtual server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// The virtual server.
    pub service: SocketAddrV4,
    /// The real server.
    pub server: SocketAddrV4,
    /// Its weight.
    pub weight: u32,
}

/// No row, of a file without any.
const NONE: Row = Row { service: NOWHERE, server: NOWHERE, weight: 0 };
const NOWHERE: SocketAddrV4 = SocketAddrV4::new(std::net::Ipv4Addr::UNSPECIFIED, 0);

/// What is balanced: TCP services under `wlc` by NAT, whose real servers have different weights.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Balancing(Vec<(SocketAddrV4, Vec<Row>)>);

impl Balancing {
    /// So many virtual servers with so many real servers together, as evenly as possible.
    pub fn of(services: usize, servers: usize, layout: Layout) -> Self {
        let each = servers / services;
        let more = servers % services;
        let virtual_servers = (0..services).map(|n| {
            let service = address(10, 1 + n / 62_500, n / 250 % 250, n % 250 + 1);
            let last = match layout {
                Layout::Spread => n % 200 + 1,
                Layout::Shared => 1,
            };
            let server = |s: usize| Row {
                service,
                server: address(10, 9, s, last),
                weight: u32::try_from(s + 1).unwrap_or(u32::MAX),
            };
            (service, (0..each + usize::from(n < more)).map(server).collect())
        });
        Self(virtual_servers.collect())
    }

    /// All rows, in the order of the file.
    pub fn rows(&self) -> impl Iterator<Item = &Row> {
        self.0.iter().flat_map(|(_, servers)| servers)
    }

    /// The virtual servers.
    pub fn services(&self) -> usize {
        self.0.len()
    }

    /// The first row.
    pub fn first(&self) -> Row {
        self.rows().next().copied().unwrap_or(NONE)
    }

    /// The last row.
    pub fn last(&self) -> Row {
        self.rows().last().copied().unwrap_or(NONE)
    }

    /// The same, with this weight in the last row.
    pub fn with_last_weight(mut self, weight: u32) -> Self {
        if let Some(server) = self.0.last_mut().and_then(|(_, servers)| servers.last_mut()) {
            server.weight = weight;
        }
        self
    }

    /// The same, with these weights: for each virtual server and each of its real servers, both from 0.
    #[must_use]
    pub fn with_weights(mut self, weight: impl Fn(usize, usize) -> u32) -> Self {
        for (n, (_, servers)) in self.0.iter_mut().enumerate() {
            servers.iter_mut().enumerate().for_each(|(s, server)| server.weight = weight(n, s));
        }
        self
    }

    /// The same without the first virtual servers, so many of them.
    #[must_use]
    pub fn without_first(mut self, count: usize) -> Self {
        self.0.drain(..count.min(self.0.len()));
        self
    }

    /// Compares it with a table: nothing is missing, too many or has another weight.
    ///
    /// # Errors
    /// What is different.
    pub fn equals(&self, table: &[Service]) -> Result<()> {
        let services = self.services();
        ensure!(table.len() == services, "the kernel has {} services, not {services}", table.len());
        let found = table.iter().flat_map(|service| {
            service.destinations.iter().map(|row| (service.matches, row.address, i64::from(row.weight)))
        });
        let wanted = self
            .rows()
            .map(|row| (Match::Tcp(row.service.into()), SocketAddr::from(row.server), i64::from(row.weight)));
        let (mut found, mut wanted): (Vec<_>, Vec<_>) = (found.collect(), wanted.collect());
        found.sort_unstable();
        wanted.sort_unstable();
        let different = found.iter().zip(&wanted).find(|(found, wanted)| found != wanted);
        ensure!(
            found.len() == wanted.len() && different.is_none(),
            "the kernel has {} rows, not {}; the first that differs: {different:?}",
            found.len(),
            wanted.len()
        );
        Ok(())
    }

    /// As our file. Every real server serves at once, as keepalived has it.
    pub fn lvs_cf(&self) -> String {
        let mut text = String::from("serial_no = 1\nprimary = 10.200.0.1\nservice = lvs\nnetwork = nat\n");
        for (n, (service, servers)) in self.0.iter().enumerate() {
            // Writing to a string does not fail.
            let _ = writeln!(
                text,
                "virtual v{n} {{\n    active = 1\n    address = {} eth0:{n}\n    port = {PORT}\n    scheduler = wlc\n    \
                 timeout = {INTERVAL}\n    start = up",
                service.ip()
            );
            for (s, Row { server, weight, .. }) in servers.iter().enumerate() {
                let _ = writeln!(
                    text,
                    "    server s{s} {{\n        active = 1\n        address = {}\n        weight = {weight}\n    }}",
                    server.ip()
                );
            }
            text.push_str("}\n");
        }
        text
    }

    /// As keepalived's file, with the same check.
    pub fn keepalived_conf(&self) -> String {
        let mut text = String::new();
        for (service, servers) in &self.0 {
            let _ = writeln!(
                text,
                "virtual_server {} {PORT} {{\n    delay_loop {INTERVAL}\n    lvs_sched wlc\n    lvs_method NAT\n    \
                 protocol TCP",
                service.ip()
            );
            for Row { server, weight, .. } in servers {
                let _ = writeln!(
                    text,
                    "    real_server {} {PORT} {{\n        weight {weight}\n        TCP_CHECK {{\n            \
                     connect_timeout {INTERVAL}\n        }}\n    }}",
                    server.ip()
                );
            }
            text.push_str("}\n");
        }
        text
    }
}

/// An address of four numbers, none of which is above 255 for the sizes that are used.
fn address(a: usize, b: usize, c: usize, d: usize) -> SocketAddrV4 {
    let octet = |n: usize| u8::try_from(n).unwrap_or(u8::MAX);
    SocketAddrV4::new([octet(a), octet(b), octet(c), octet(d)].into(), PORT)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use lvs_config::SystemNames;

    use super::*;

    #[test]
    fn servers_are_spread_evenly_and_no_row_is_there_twice() {
        let all = Balancing::of(2284, 37_298, Layout::Spread);
        let rows: BTreeSet<_> = all.rows().map(|row| (row.service, row.server)).collect();
        let sizes: BTreeSet<usize> = all.0.iter().map(|(_, servers)| servers.len()).collect();
        assert_eq!((all.services(), all.rows().count(), rows.len()), (2284, 37_298, 37_298));
        assert_eq!(sizes, BTreeSet::from([16, 17]));
    }

    #[test]
    fn shared_servers_are_the_same_for_every_virtual_server() {
        let all = Balancing::of(1000, 10_000, Layout::Shared);
        let servers: BTreeSet<_> = all.rows().map(|row| row.server).collect();
        assert_eq!((all.rows().count(), servers.len()), (10_000, 10));
    }

    #[test]
    fn our_file_is_good_and_has_the_rows_in_order() {
        let all = Balancing::of(3, 7, Layout::Spread).with_last_weight(77);
        let parsed = lvs_config::parse(all.lvs_cf(), &SystemNames);
        assert_eq!(parsed.diagnostics, []);
        let config = parsed.config.expect("a good file");
        let rows = config
            .virtual_servers
            .iter()
            .flat_map(|v| v.servers.iter().map(|s| (v.address.address, s.address, s.weight.value())));
        let wanted =
            all.rows().map(|row| ((*row.service.ip()).into(), (*row.server.ip()).into(), row.weight));
        assert_eq!(rows.collect::<Vec<_>>(), wanted.collect::<Vec<_>>());
        assert_eq!(all.last().weight, 77);
    }

    #[test]
    fn the_peers_file_says_the_same() {
        assert_eq!(
            Balancing::of(1, 1, Layout::Shared).keepalived_conf(),
            "virtual_server 10.1.0.1 80 {\n    delay_loop 60\n    lvs_sched wlc\n    lvs_method NAT\n    protocol TCP\n    \
             real_server 10.9.0.1 80 {\n        weight 1\n        TCP_CHECK {\n            connect_timeout 60\n        }\n    \
             }\n}\n"
        );
    }
}
