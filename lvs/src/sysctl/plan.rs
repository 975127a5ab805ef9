//! Which settings are wanted: pure, from what the configuration needs and what is known of this router.
//!
//! Only what is surely right is set without being asked for; `docs/sysctls.md` says for the others why not. What the
//! file says of a setting comes before all of it.

use lvs_config::sysctl::{Choice, SysctlName, Sysctls};

use super::Facts;
use super::needs::Needs;

/// IPv4 forwarding.
pub const IP_FORWARD: &str = "net.ipv4.ip_forward";
/// Another name of the same setting.
const IP_FORWARD_TOO: &str = "net.ipv4.conf.all.forwarding";
/// Whether the clients that the kernel remembers of a persistent service are sent to another real server when theirs has
/// weight 0, or to it again.
pub const EXPIRE_TEMPLATES: &str = "net.ipv4.vs.expire_quiescent_template";
/// IPv6 forwarding.
pub const IP6_FORWARD: &str = "net.ipv6.conf.all.forwarding";

/// A setting that is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// Which.
    pub name: SysctlName,
    /// The value.
    pub value: i64,
    /// Why, for people.
    pub reason: String,
    /// Whether the file asks for it.
    pub by_file: bool,
    /// It is wanted only where these settings had these values before.
    pub only_if: Vec<(SysctlName, i64)>,
}

/// Every setting that is wanted, in the order in which they are to be written.
#[must_use]
pub fn plan(needs: &Needs, facts: &Facts) -> Vec<Setting> {
    let Sysctls::Chosen(chosen) = &needs.chosen else { return Vec::new() };
    let says = |name: &SysctlName| {
        let other = if name.as_str() == IP_FORWARD { IP_FORWARD_TOO } else { name.as_str() };
        chosen.iter().any(|(named, _)| named == name || named.as_str() == other)
    };
    let mut wanted: Vec<Setting> = needed(needs, facts).into_iter().filter(|it| !says(&it.name)).collect();
    let by_file = chosen.iter().filter_map(|(name, choice)| match choice {
        Choice::Set(value) => Some(Setting {
            name: name.clone(),
            value: *value,
            reason: "the file asks for it".into(),
            by_file: true,
            only_if: Vec::new(),
        }),
        Choice::Leave => None,
    });
    // Forwarding first: the kernel copies it into the setting of each interface.
    let (first, rest): (Vec<_>, Vec<_>) = by_file.partition(|setting| is_leader(&setting.name));
    wanted.splice(0..0, first);
    wanted.extend(rest);
    wanted
}

/// What the configuration needs, whatever the file says of single settings.
fn needed(needs: &Needs, facts: &Facts) -> Vec<Setting> {
    let mut all = Vec::new();
    let mut need = |name: &str, value, reason: &str, only_if: &[(&str, i64)]| {
        let parsed = |name: &str| SysctlName::parse(name).ok();
        let only_if = only_if.iter().filter_map(|(name, value)| Some((parsed(name)?, *value))).collect();
        // An interface with a name that no file could give is left alone.
        if let Some(name) = parsed(name) {
            all.push(Setting { name, value, reason: reason.into(), by_file: false, only_if });
        }
    };
    if needs.nat_ipv6 {
        for interface in facts.interfaces.iter().filter(|name| *name != "lo") {
            let accept_ra = format!("net.ipv6.conf.{interface}.accept_ra");
            let reason =
                "routes from router advertisements are to stay when this router begins to forward IPv6";
            need(&accept_ra, 2, reason, &[(&accept_ra, 1), (IP6_FORWARD, 0)]);
        }
        need(IP6_FORWARD, 1, "answers of IPv6 real servers pass this router, with network = nat", &[]);
    }
    if !needs.nat_ipv4.is_empty() {
        need(IP_FORWARD, 1, "answers of real servers pass this router, with network = nat", &[]);
        let reason = "a real server that is told of a shorter way to its client answers past this router, \
                      with network = nat";
        let mut interfaces: Vec<&str> = facts.towards.values().map(String::as_str).collect();
        interfaces.sort_unstable();
        interfaces.dedup();
        // One of the two is enough to send redirects.
        if !interfaces.is_empty() {
            need("net.ipv4.conf.all.send_redirects", 0, reason, &[]);
        }
        for interface in interfaces {
            need(&format!("net.ipv4.conf.{interface}.send_redirects"), 0, reason, &[]);
        }
    }
    if needs.persistence {
        let reason = "a persistent client is not to come back to a real server that is failed or drained";
        need(EXPIRE_TEMPLATES, 1, reason, &[]);
    }
    if needs.only_udp {
        let reason = "a steady flow of UDP is not to stay with a real server that is gone";
        need("net.ipv4.vs.expire_nodest_conn", 1, reason, &[]);
    }
    all
}

/// Whether writing this setting makes the kernel write others.
pub(crate) fn is_leader(name: &SysctlName) -> bool {
    matches!(name.as_str(), IP_FORWARD | IP_FORWARD_TOO | IP6_FORWARD)
}

/// The settings that the kernel writes itself when `leader` gets the value `value`, and what it makes of each
/// (`inet_forward_change` of `net/ipv4/devinet.c`, `addrconf_forward_change` of `net/ipv6/addrconf.c`).
pub(crate) fn followers(leader: &SysctlName, value: i64, facts: &Facts) -> Vec<(SysctlName, i64)> {
    let (family, also) = match leader.as_str() {
        IP_FORWARD | IP_FORWARD_TOO => ("ipv4", Some(("net.ipv4.conf.all.accept_redirects", 1 - value))),
        IP6_FORWARD => ("ipv6", None),
        _ => return Vec::new(),
    };
    let interfaces = facts.interfaces.iter().map(String::as_str).chain(["default"]);
    let forwarding = interfaces.map(|name| (format!("net.{family}.conf.{name}.forwarding"), value));
    let also = also.map(|(name, value)| (name.to_owned(), value));
    forwarding.chain(also).filter_map(|(name, value)| Some((SysctlName::parse(&name).ok()?, value))).collect()
}
