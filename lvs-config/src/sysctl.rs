//! The kernel's network settings that the file may name (`sysctl`): how each is called, where it is below
//! `/proc/sys`, and which values it takes. A setting that is not in this table cannot be named, so no file can make
//! the router write anywhere else.
//!
//! Names and ranges: `Documentation/networking/ipvs-sysctl.rst` and `ip-sysctl.rst` of the kernel. Which settings a
//! configuration needs is `lvs`' business.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::RangeInclusive;

use crate::suggest::nearest;

/// Longest name of a network interface: `IFNAMSIZ` of `linux/if.h` without the final NUL.
const LONGEST_INTERFACE: usize = 15;
/// Largest value of the settings without another limit: the kernel keeps them in an `int`.
const INT_MAX: i64 = i32::MAX as i64;

/// A name, the smallest and the largest value.
type Limits = (&'static str, i64, i64);

/// A setting that there is once.
const FIXED: &[Limits] = &[
    ("net.ipv4.ip_forward", 0, 1),
    ("net.ipv4.ip_nonlocal_bind", 0, 1),
    ("net.ipv4.neigh.default.gc_thresh1", 0, INT_MAX),
    ("net.ipv4.neigh.default.gc_thresh2", 0, INT_MAX),
    ("net.ipv4.neigh.default.gc_thresh3", 0, INT_MAX),
    ("net.ipv4.vs.am_droprate", 1, INT_MAX),
    ("net.ipv4.vs.amemthresh", 0, INT_MAX),
    ("net.ipv4.vs.backup_only", 0, 1),
    ("net.ipv4.vs.cache_bypass", 0, 1),
    ("net.ipv4.vs.conn_lfactor", -8, 8),
    ("net.ipv4.vs.conn_max", 0, INT_MAX),
    ("net.ipv4.vs.conn_reuse_mode", 0, 3),
    ("net.ipv4.vs.conntrack", 0, 1),
    ("net.ipv4.vs.drop_entry", 0, 3),
    ("net.ipv4.vs.drop_packet", 0, 3),
    ("net.ipv4.vs.est_nice", -20, 19),
    ("net.ipv4.vs.expire_nodest_conn", 0, 1),
    ("net.ipv4.vs.expire_quiescent_template", 0, 1),
    ("net.ipv4.vs.ignore_tunneled", 0, 1),
    ("net.ipv4.vs.nat_icmp_send", 0, 1),
    ("net.ipv4.vs.pmtu_disc", 0, 1),
    ("net.ipv4.vs.run_estimation", 0, 1),
    ("net.ipv4.vs.schedule_icmp", 0, 1),
    ("net.ipv4.vs.secure_tcp", 0, 3),
    ("net.ipv4.vs.sloppy_sctp", 0, 1),
    ("net.ipv4.vs.sloppy_tcp", 0, 1),
    ("net.ipv4.vs.snat_reroute", 0, 1),
    ("net.ipv4.vs.svc_lfactor", -8, 8),
    ("net.ipv4.vs.sync_persist_mode", 0, 1),
    ("net.ipv4.vs.sync_ports", 1, 8),
    ("net.ipv4.vs.sync_qlen_max", 0, INT_MAX),
    ("net.ipv4.vs.sync_refresh_period", 0, INT_MAX),
    ("net.ipv4.vs.sync_retries", 0, 3),
    ("net.ipv4.vs.sync_sock_size", 0, INT_MAX),
    ("net.ipv4.vs.sync_version", 0, 1),
    ("net.ipv6.neigh.default.gc_thresh1", 0, INT_MAX),
    ("net.ipv6.neigh.default.gc_thresh2", 0, INT_MAX),
    ("net.ipv6.neigh.default.gc_thresh3", 0, INT_MAX),
    ("net.netfilter.nf_conntrack_max", 0, INT_MAX),
];

/// Settings that there are for each interface, for `all` and for `default`: the part before the interface's name,
/// and then what may follow it.
const OF_INTERFACE: &[(&str, &[Limits])] = &[
    (
        "net.ipv4.conf.",
        &[
            ("accept_local", 0, 1),
            ("accept_redirects", 0, 1),
            ("arp_announce", 0, 2),
            ("arp_filter", 0, 1),
            ("arp_ignore", 0, 8),
            ("forwarding", 0, 1),
            ("log_martians", 0, 1),
            ("route_localnet", 0, 1),
            ("rp_filter", 0, 2),
            ("secure_redirects", 0, 1),
            ("send_redirects", 0, 1),
            ("src_valid_mark", 0, 1),
        ],
    ),
    ("net.ipv6.conf.", &[("accept_ra", 0, 2), ("accept_redirects", 0, 1), ("forwarding", 0, 1)]),
];

/// The name of a setting of the table, as sysctl(8) writes it; a dot in the name of an interface stays a dot.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SysctlName(String);

/// Why a text names no setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownSysctl {
    /// A name that it was probably meant to be.
    pub nearest: Option<String>,
}

impl SysctlName {
    /// Reads a name.
    ///
    /// # Errors
    /// When the table has no such setting.
    pub fn parse(text: &str) -> Result<Self, UnknownSysctl> {
        match Row::of(text) {
            Some(_) => Ok(Self(text.to_owned())),
            None => Err(UnknownSysctl { nearest: suggestion(text) }),
        }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its file, relative to `/proc/sys`.
    pub fn path(&self) -> String {
        match Row::of(&self.0) {
            Some(Row { interface: Some((prefix, interface, key)), .. }) => {
                format!("{}{interface}/{key}", prefix.replace('.', "/"))
            }
            _ => self.0.replace('.', "/"),
        }
    }

    /// The values that it takes.
    pub fn range(&self) -> RangeInclusive<i64> {
        Row::of(&self.0).map_or(0..=0, |row| row.min..=row.max)
    }
}

impl fmt::Display for SysctlName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What the file asks of one setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// It is to have this value.
    Set(i64),
    /// It is left alone, whatever the configuration would need.
    Leave,
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Set(value) => value.fmt(f),
            Self::Leave => f.write_str("leave"),
        }
    }
}

/// `sysctl`: what the file asks of the kernel's settings, beside those that its virtual servers need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sysctls {
    /// Nothing is touched (`leave`).
    LeaveAll,
    /// What is needed is set, except where the file says otherwise.
    Chosen(BTreeMap<SysctlName, Choice>),
}

impl Default for Sysctls {
    fn default() -> Self {
        Self::Chosen(BTreeMap::new())
    }
}

/// One setting of the table.
struct Row<'t> {
    /// What comes before the interface, the interface, and the setting's own name.
    interface: Option<(&'static str, &'t str, &'static str)>,
    min: i64,
    max: i64,
}

impl<'t> Row<'t> {
    fn of(text: &'t str) -> Option<Self> {
        if let Some((_, min, max)) = FIXED.iter().find(|(name, ..)| *name == text) {
            return Some(Self { interface: None, min: *min, max: *max });
        }
        let (prefix, keys) = OF_INTERFACE.iter().find(|(prefix, _)| text.starts_with(prefix))?;
        let (interface, key) = text[prefix.len()..].rsplit_once('.')?;
        let (key, min, max) = keys.iter().find(|(known, ..)| *known == key)?;
        let row = Self { interface: Some((prefix, interface, key)), min: *min, max: *max };
        is_interface(interface).then_some(row)
    }
}

/// Whether an interface can be called so, by the characters that people give them. The kernel takes more; but none with
/// a slash.
fn is_interface(name: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '@' | '+');
    !matches!(name, "" | "." | "..") && name.len() <= LONGEST_INTERFACE && name.chars().all(is_plain)
}

/// The name that `text` was probably meant to be. Without `net.` and what follows it a name is recognised too.
fn suggestion(text: &str) -> Option<String> {
    let last = text.rsplit('.').next().unwrap_or(text);
    for (prefix, keys) in OF_INTERFACE {
        let Some((interface, key)) = text.strip_prefix(prefix).and_then(|rest| rest.rsplit_once('.')) else {
            continue;
        };
        let near = nearest(key, keys.iter().map(|(name, ..)| *name))?;
        return is_interface(interface).then(|| format!("{prefix}{interface}.{near}"));
    }
    let own = |name: &'static str| name.rsplit('.').next().unwrap_or(name);
    let near = nearest(last, FIXED.iter().map(|(name, ..)| own(name)))?;
    let mut candidates = FIXED.iter().map(|(name, ..)| *name).filter(|name| own(name) == near);
    candidates.next().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nearest_to(text: &str) -> Option<String> {
        SysctlName::parse(text).unwrap_err().nearest
    }

    #[test]
    fn a_name_has_a_file_and_a_range() {
        let name = SysctlName::parse("net.ipv4.vs.conn_reuse_mode").unwrap();
        assert_eq!((name.path().as_str(), name.range()), ("net/ipv4/vs/conn_reuse_mode", 0..=3));
        let name = SysctlName::parse("net.ipv4.conf.eth0.100.rp_filter").unwrap();
        assert_eq!((name.path().as_str(), name.range()), ("net/ipv4/conf/eth0.100/rp_filter", 0..=2));
        let name = SysctlName::parse("net.ipv6.conf.all.forwarding").unwrap();
        assert_eq!(name.path(), "net/ipv6/conf/all/forwarding");
    }

    #[test]
    fn a_name_cannot_lead_out_of_the_table() {
        for bad in [
            "kernel.core_pattern",
            "net.ipv4.conf.../../kernel.rp_filter",
            "net.ipv4.conf.a/b.rp_filter",
            "net.ipv4.conf...rp_filter",
            "net.ipv4.conf.rp_filter",
            "net.ipv4.conf.an_interface_with_a_long_name.rp_filter",
            "net/ipv4/ip_forward",
            "",
        ] {
            assert!(SysctlName::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_misspelt_name_is_recognised() {
        assert_eq!(nearest_to("net.ipv4.vs.contrack"), Some("net.ipv4.vs.conntrack".into()));
        assert_eq!(nearest_to("ip_forward"), Some("net.ipv4.ip_forward".into()));
        assert_eq!(nearest_to("net.ipv4.conf.eth0.rp_fliter"), Some("net.ipv4.conf.eth0.rp_filter".into()));
        assert_eq!(nearest_to("kernel.panic"), None);
    }
}
