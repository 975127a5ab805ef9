//! How large a table is, in numbers and words. Pure.

use std::fmt;

/// How large a table is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Size {
    /// Virtual services.
    pub(crate) services: u16,
    /// Real servers of each.
    pub(crate) servers: u16,
}

impl Size {
    pub(crate) const fn new(services: u16, servers: u16) -> Self {
        Self { services, servers }
    }

    /// Real servers of all services together.
    pub(crate) fn all_servers(self) -> usize {
        usize::from(self.services) * usize::from(self.servers)
    }

    /// Services and real servers: one rule each.
    pub(crate) fn rows(self) -> usize {
        usize::from(self.services) + self.all_servers()
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.services / 1000, self.services % 1000) {
            (0, units) => write!(f, "{units}")?,
            (thousands, units) => write!(f, "{thousands},{units:03}")?,
        }
        write!(f, " × {}", self.servers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_reads_as_services_times_servers() {
        let shown = [Size::new(100, 10), Size::new(1000, 50), Size::new(12_034, 1)].map(|s| s.to_string());
        assert_eq!(shown, ["100 × 10", "1,000 × 50", "12,034 × 1"]);
    }
}
