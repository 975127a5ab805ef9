//! Whether this router could serve: what keeps it from it, seen from `lvs` and from its links. Pure.

use std::net::IpAddr;

use lvs_config::model::FloatingAddress;

use crate::vip::{Interface, Present};

/// What keeps this router from serving; each says why not, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fitness {
    /// Whether `lvs` runs when it should.
    pub lvs: Result<(), String>,
    /// Whether the links of the heartbeat paths are up, where `monitor_links` asks for it.
    pub links: Result<(), String>,
}

impl Default for Fitness {
    fn default() -> Self {
        Self { lvs: Ok(()), links: Ok(()) }
    }
}

impl Fitness {
    /// Both together.
    ///
    /// # Errors
    /// The first reason against it.
    pub fn verdict(&self) -> Result<(), String> {
        self.lvs.clone().and_then(|()| self.links.clone())
    }
}

/// Whether every interface that carries one of `addresses` is up and has a carrier.
///
/// # Errors
/// In words, the first interface that cannot be used.
pub fn links_of(
    addresses: impl IntoIterator<Item = IpAddr>,
    interfaces: &[Interface],
    present: &[Present],
) -> Result<(), String> {
    for address in addresses {
        let Some(there) = present.iter().find(|there| there.address == address) else {
            return Err(format!("no interface has {address} any more"));
        };
        if let Some(interface) = interfaces.iter().find(|i| i.index == there.index && !i.running) {
            return Err(format!("the link of {} is down", interface.name));
        }
    }
    Ok(())
}

/// Whether any interface is up that carries one of `ends` or is to carry one of `floating`; true when none of them is
/// known, because then nothing is known of links.
#[must_use]
pub fn any_link_up(
    ends: impl IntoIterator<Item = IpAddr>,
    floating: &[FloatingAddress],
    interfaces: &[Interface],
    present: &[Present],
) -> bool {
    let carries = |end: IpAddr| present.iter().find(|there| there.address == end).map(|there| there.index);
    let ends: Vec<u32> = ends.into_iter().filter_map(carries).collect();
    let named = |interface: &Interface| floating.iter().any(|vip| vip.device.interface() == interface.name);
    let mut ours = interfaces.iter().filter(|i| ends.contains(&i.index) || named(i)).peekable();
    ours.peek().is_none() || ours.any(|interface| interface.running)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_that_is_down_or_lost_its_address_is_named() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        let ends = || [ip("192.0.2.11"), ip("10.9.0.1")];
        let present = |index, address, prefix| Present { index, address: ip(address), prefix };
        let here = [present(2, "192.0.2.11", 24), present(3, "10.9.0.1", 30)];
        let interface = |index, name: &str| Interface { index, name: name.into(), running: true };
        let mut links = [interface(2, "eth0"), interface(3, "eth1")];
        assert_eq!(links_of(ends(), &links, &here), Ok(()));
        assert_eq!(links_of(ends(), &links, &here[..1]), Err("no interface has 10.9.0.1 any more".into()));
        assert!(any_link_up(ends(), &[], &links, &here));
        links[1].running = false;
        assert_eq!(links_of(ends(), &links, &here), Err("the link of eth1 is down".into()));
        assert!(any_link_up(ends(), &[], &links, &here), "eth0 is up");
        links[0].running = false;
        assert!(!any_link_up(ends(), &[], &links, &here));
        assert!(any_link_up([ip("198.51.100.1")], &[], &links, &here), "nothing is known");
        let device = lvs_config::units::Device::new("eth2:1").unwrap();
        let vip = FloatingAddress { address: ip("192.0.2.80"), prefix: None, device };
        let links = [links[0].clone(), links[1].clone(), interface(4, "eth2")];
        assert!(any_link_up(ends(), &[vip], &links, &here), "clients may still come by eth2");
    }
}
