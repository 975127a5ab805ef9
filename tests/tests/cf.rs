//! Files `lvs.cf` in the making: blocks with directives, so that a scenario names only what matters to it.

use std::{fmt, time::Duration};

/// Time between two checks of a real server where servers fail, which is also the limit of each step of a check.
pub(crate) const INTERVAL: Duration = Duration::from_millis(300);
/// Time for which a failed server must be good again there.
pub(crate) const REENTRY: Duration = Duration::from_millis(900);

/// A block: directives, then blocks within it. The file itself is one without a header.
#[derive(Debug, Clone)]
pub(crate) struct Block {
    header: Option<String>,
    directives: Vec<(String, String)>,
    blocks: Vec<Block>,
}

impl Block {
    fn new(header: Option<String>) -> Self {
        Self { header, directives: Vec::new(), blocks: Vec::new() }
    }

    /// Sets a directive, in place of what it was before.
    pub(crate) fn set(mut self, directive: &str, value: impl fmt::Display) -> Self {
        self.directives.retain(|(known, _)| known != directive);
        self.directives.push((directive.to_owned(), value.to_string()));
        self
    }

    /// Checks the real servers of this virtual server every [`INTERVAL`], with re-entry after [`REENTRY`].
    pub(crate) fn checked_often(self) -> Self {
        let millis = |time: Duration| format!("{}ms", time.as_millis());
        self.set("timeout", millis(INTERVAL)).set("reentry", millis(REENTRY))
    }

    /// The same block under another header (`server first`).
    pub(crate) fn headed(self, header: &str) -> Self {
        Self { header: Some(header.to_owned()), ..self }
    }

    /// Adds a block within.
    pub(crate) fn with(mut self, block: Self) -> Self {
        self.blocks.push(block);
        self
    }

    /// Adds the standard real servers `rs1`, `rs2`, ... with these weights.
    pub(crate) fn weights(self, weights: &[u16]) -> Self {
        (1..).zip(weights).fold(self, |block, (n, weight)| block.with(server(n).set("weight", weight)))
    }

    fn write(&self, f: &mut fmt::Formatter<'_>, indent: usize) -> fmt::Result {
        for (directive, value) in &self.directives {
            writeln!(f, "{:indent$}{directive} = {value}", "")?;
        }
        for block in &self.blocks {
            writeln!(f, "{:indent$}{} {{", "", block.header.as_deref().unwrap_or_default())?;
            block.write(f, indent + 4)?;
            writeln!(f, "{:indent$}}}", "")?;
        }
        Ok(())
    }
}

impl fmt::Display for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, 0)
    }
}

/// A file for the standard cluster with one router, by NAT.
pub(crate) fn file(virtual_servers: impl IntoIterator<Item = Block>) -> Block {
    let file = Block::new(None)
        .set("serial_no", 1)
        .set("primary", "10.1.0.11")
        .set("network", "nat")
        .set("nat_router", "10.2.0.1 eth1:1");
    virtual_servers.into_iter().fold(file, Block::with)
}

/// A file that another one includes.
pub(crate) fn included(virtual_servers: impl IntoIterator<Item = Block>) -> Block {
    virtual_servers.into_iter().fold(Block::new(None), Block::with)
}

/// A virtual server on the standard VIP `vip`, from 0: TCP port 80, in turns. A check asks for a page; it is so patient
/// that a busy machine never fails it.
pub(crate) fn virtual_server(name: &str, vip: u8) -> Block {
    Block::new(Some(format!("virtual {name}")))
        .set("active", 1)
        .set("address", format_args!("10.1.0.{} eth0:{}", 100 + vip, 1 + vip))
        .set("port", 80)
        .set("scheduler", "rr")
        .set("timeout", 3)
}

/// The standard real server `n`, from 1, at its inside address.
pub(crate) fn server(n: u8) -> Block {
    Block::new(Some(format!("server rs{n}")))
        .set("active", 1)
        .set("address", format_args!("10.2.0.{}", 100 + n))
}
