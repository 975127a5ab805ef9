//! Loading kernel modules from a module tree of our own.
//!
//! `modules.dep` of the tree says what needs what; nothing of the machine's own modules or tools takes part.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::{CStr, OsStr},
    fs::{self, File},
    path::Path,
};

use anyhow::{Context as _, Result};
use nix::{
    errno::Errno,
    kmod::{ModuleInitFlags, finit_module},
};

/// What the lab's clusters and scenarios use.
pub(crate) const LAB: &[&str] = &[
    "ip_vs",
    "ip_vs_dh",
    "ip_vs_fo",
    "ip_vs_lblc",
    "ip_vs_lblcr",
    "ip_vs_lc",
    "ip_vs_mh",
    "ip_vs_nq",
    "ip_vs_ovf",
    "ip_vs_rr",
    "ip_vs_sed",
    "ip_vs_sh",
    "ip_vs_wlc",
    "ip_vs_wrr",
    "ip_vs_ftp",
    "ip_vs_pe_sip",
    "veth",
    "bridge",
    "dummy",
    "macvlan",
    "tun",
    "ipip",
    "ip_gre",
    "ip6_tunnel",
    "sit",
    "fou",
    "fou6",
    "ip6_gre",
    "sctp",
    "sch_netem",
    "sch_ingress",
    "cls_flower",
    "cls_matchall",
    "act_gact",
    "act_skbedit",
    "nf_conntrack",
    "nf_nat",
    "nf_tables",
    "nft_ct",
    "nft_masq",
    "nft_nat",
    "nft_chain_nat",
    "nft_compat",
    "xt_mark",
    "xt_MARK",
    "xt_tcpudp",
    "xt_multiport",
    "xt_MASQUERADE",
    "ip_tables",
    "iptable_mangle",
    "iptable_filter",
    "iptable_nat",
    "af_packet",
];

/// Loads modules and what they need. One that the tree does not have is built in or not in this kernel: what needs
/// it will say so.
pub(crate) fn load(tree: &Path, names: &[&str]) -> Result<()> {
    let text = fs::read_to_string(tree.join("modules.dep")).context("read modules.dep of the lab kernel")?;
    let dependencies = parse(&text);
    let mut loaded = BTreeSet::new();
    for name in names {
        let Some((path, needs)) = dependencies.get(&canonical(name)) else { continue };
        // Listed from the nearest to the farthest: the farthest goes first.
        for path in needs.iter().rev().chain([path]) {
            if loaded.insert(*path) {
                insert(&tree.join(path)).with_context(|| format!("load module {path}"))?;
            }
        }
    }
    Ok(())
}

fn insert(path: &Path) -> Result<()> {
    let none: &CStr = c"";
    match finit_module(File::open(path)?, none, ModuleInitFlags::empty()) {
        Ok(()) | Err(Errno::EEXIST) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Module names do not tell `-` from `_`.
fn canonical(name: &str) -> String {
    name.replace('-', "_")
}

/// `path: needed path, needed path ...` by module name.
fn parse(text: &str) -> BTreeMap<String, (&str, Vec<&str>)> {
    let entries = text.lines().filter_map(|line| {
        let (path, needs) = line.split_once(':')?;
        let name = Path::new(path).file_name().and_then(OsStr::to_str)?.split('.').next()?;
        Some((canonical(name), (path, needs.split_whitespace().collect())))
    });
    entries.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dependencies_are_read_by_name() {
        let text = "kernel/net/ip-vs/ip_vs.ko: kernel/a/nf-conntrack.ko kernel/b/libcrc32c.ko\nkernel/a/nf-conntrack.ko:\n";
        let modules = parse(text);
        assert_eq!(
            modules.get("ip_vs"),
            Some(&("kernel/net/ip-vs/ip_vs.ko", vec!["kernel/a/nf-conntrack.ko", "kernel/b/libcrc32c.ko"]))
        );
        assert_eq!(modules.get("nf_conntrack"), Some(&("kernel/a/nf-conntrack.ko", vec![])));
    }
}
