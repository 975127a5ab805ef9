//! What a `keepalived.conf` says of the routers themselves, as far as `lvs.cf` has a place for it: addresses that move,
//! who the two routers are, how often they tell that they are alive, and settings of the kernel.
//!
//! `pulse` moves all addresses together and speaks heartbeats of its own, so most of VRRP has no equivalent.

use std::collections::HashSet;
use std::net::IpAddr;
use std::time::Duration;

use super::group::Target;
use super::notes::{Note, Notes};
use super::output::Output;
use super::server::Way;
use super::service::{self, Part};
use super::tree::Node;
use super::values;
use crate::diagnostic::shown;
use crate::keys::time_text;
use crate::names::Family;
use crate::units::Device;

/// Between heartbeats, when nothing is given.
const ADVERT: Duration = Duration::from_secs(1);
/// Longest interval between heartbeats of `lvs.cf`.
const LONGEST: Duration = Duration::from_secs(3600);

/// An address that the active router has.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Floating {
    address: IpAddr,
    prefix: u8,
    device: String,
    place: super::source::Place,
}

impl Floating {
    fn text(&self) -> String {
        format!("{}/{} {}", self.address, self.prefix, crate::write::quoted(&self.device))
    }
}

/// Own address and the other router's, and whether this one is the primary.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Pair {
    own: IpAddr,
    other: IpAddr,
    is_primary: Option<bool>,
}

/// What is known of the routers.
#[derive(Debug, Default)]
pub(super) struct Routers {
    floating: Vec<Floating>,
    pair: Option<Pair>,
    has_vrrp: bool,
    advert: Option<Duration>,
    timeouts: Vec<(&'static str, String)>,
    sync_daemon: Option<(String, u8)>,
    /// The address of the services of firewall marks, by family.
    of_marks: Vec<(Family, String)>,
    nat_router: Option<String>,
    network: Option<Way>,
    notes: Vec<Note>,
}

/// Keywords of a VRRP instance that are understood here, or mean nothing to anybody else.
const UNDERSTOOD: [&str; 10] = [
    "interface",
    "state",
    "unicast_src_ip",
    "mcast_src_ip",
    "unicast_peer",
    "advert_int",
    "virtual_ipaddress",
    "virtual_ipaddress_excluded",
    "virtual_router_id",
    "priority",
];

impl Routers {
    /// Reads everything but virtual servers.
    pub(super) fn read(nodes: &[Node], notes: &mut Notes) -> Self {
        notes.begin();
        let mut routers = Self::default();
        for node in nodes {
            match node.keyword() {
                "vrrp_instance" => routers.instance(node, notes),
                "global_defs" => routers.globals(node, nodes, notes),
                "virtual_server" | "virtual_server_group" => {}
                "vrrp_sync_group" => notes.leave(node.place, &node.words, "all addresses move together"),
                "SSL" => notes.leave(node.place, &node.words, "checks do not speak TLS"),
                _ => notes.leave(node.place, &node.words, "has no equivalent in lvs.cf"),
            }
        }
        routers.notes = notes.part();
        routers
    }

    fn instance(&mut self, node: &Node, notes: &mut Notes) {
        self.has_vrrp = true;
        let value =
            |keyword: &str| node.nodes.iter().find(|n| n.keyword() == keyword).and_then(Node::argument);
        let interface = value("interface");
        let list = |keyword: &'static str| node.nodes.iter().filter(move |n| n.keyword() == keyword);
        for block in list("virtual_ipaddress").chain(list("virtual_ipaddress_excluded")) {
            for line in &block.nodes {
                self.floating_address(line, interface, notes);
            }
        }
        let source = value("unicast_src_ip").or(value("mcast_src_ip")).and_then(|text| text.parse().ok());
        let peers: Vec<IpAddr> =
            list("unicast_peer").flat_map(|n| &n.nodes).filter_map(|n| n.keyword().parse().ok()).collect();
        if let (Some(own), [other]) = (source, peers.as_slice()) {
            let is_primary = match value("state") {
                Some("MASTER") => Some(true),
                Some("BACKUP") => Some(false),
                _ => None,
            };
            self.pair.get_or_insert(Pair { own, other: *other, is_primary });
        } else if peers.len() > 1 {
            notes.leave(node.place, &node.words, "there are two routers, not more");
        }
        let advert =
            value("advert_int").and_then(values::time).filter(|time| !time.is_zero() && *time <= LONGEST);
        self.advert = self.advert.or(advert);
        let left: Vec<&str> =
            node.nodes.iter().map(Node::keyword).filter(|keyword| !UNDERSTOOD.contains(keyword)).collect();
        if !left.is_empty() {
            let left = left.join(", ");
            let message =
                format!("{}: {}: no equivalent in lvs.cf", shown(&node.words.join(" ")), shown(&left));
            notes.add(node.place, message);
        }
    }

    /// A line such as `192.0.2.1/24 dev eth0 label eth0:1`.
    fn floating_address(&mut self, line: &Node, interface: Option<&str>, notes: &mut Notes) {
        let after = |keyword: &str| {
            let at = line.words.iter().position(|word| word == keyword)?;
            line.words.get(at + 1).map(String::as_str)
        };
        let Some((address, prefix)) = values::prefixed(line.keyword()) else {
            notes.leave(line.place, &line.words, "not an address");
            return;
        };
        let device = after("dev")
            .or(interface)
            .filter(|name| Device::new(name).is_ok_and(|d| d.label() == d.interface()));
        // An address may have a label of its own device; more than that `lvs.cf` cannot say.
        let label = after("label").filter(|label| {
            let on = Device::new(label).is_ok_and(|label| Some(label.interface()) == device);
            on && address.is_ipv4() && !self.floating.iter().any(|known| known.device == *label)
        });
        let Some(device) = label.or(device) else {
            notes.leave(line.place, &line.words, "it has no device");
            return;
        };
        if !self.floating.iter().any(|known| known.address == address) {
            self.floating.push(Floating { address, prefix, device: device.to_owned(), place: line.place });
        }
    }

    fn globals(&mut self, node: &Node, nodes: &[Node], notes: &mut Notes) {
        let mut left = Vec::new();
        for inner in &node.nodes {
            match inner.keyword() {
                "lvs_timeouts" => self.kernel_timeouts(inner, notes),
                "lvs_sync_daemon" => self.sync_daemon(inner, nodes, notes),
                other => left.push(other),
            }
        }
        if !left.is_empty() {
            let message = format!("global_defs: {}: no equivalent in lvs.cf", shown(&left.join(", ")));
            notes.add(node.place, message);
        }
    }

    fn kernel_timeouts(&mut self, node: &Node, notes: &mut Notes) {
        for pair in node.arguments().chunks(2) {
            let directive = match pair.first().map(String::as_str) {
                Some("tcp") => "tcp_timeout",
                Some("tcpfin") => "tcpfin_timeout",
                Some("udp") => "udp_timeout",
                _ => "",
            };
            match pair.get(1).filter(|value| value.parse::<u32>().is_ok()) {
                Some(value) if !directive.is_empty() => self.timeouts.push((directive, value.clone())),
                _ => notes.leave(node.place, &node.words, "not understood to its end"),
            }
        }
    }

    /// `lvs_sync_daemon DEVICE INSTANCE [id N] …`; without an id it is the one of the instance.
    fn sync_daemon(&mut self, node: &Node, nodes: &[Node], notes: &mut Notes) {
        let [interface, instance, rest @ ..] = node.arguments() else {
            notes.leave(node.place, &node.words, "a device and an instance are missing");
            return;
        };
        let mut id =
            nodes.iter().find(|n| n.keyword() == "vrrp_instance" && n.argument() == Some(instance)).and_then(
                |n| n.nodes.iter().find(|n| n.keyword() == "virtual_router_id")?.argument()?.parse().ok(),
            );
        for pair in rest.chunks(2) {
            match pair {
                [word, value] if word == "id" => id = value.parse().ok(),
                _ => notes.leave(node.place, &node.words, "only its device and its id can be said"),
            }
        }
        if Device::new(interface).is_ok_and(|device| device.label() == device.interface()) {
            self.sync_daemon = Some((interface.clone(), id.unwrap_or(0)));
        } else {
            notes.leave(node.place, &node.words, "not a device");
        }
    }

    /// Decides what depends on the virtual servers: which method is the usual one, and what the addresses are for that none
    /// of them has.
    pub(super) fn fit(&mut self, parts: &[Part], notes: &mut Notes) {
        notes.begin();
        let network = service::most_common_forwarding(parts);
        self.network = Some(network);
        let mut used = HashSet::new();
        let mut mark_families = HashSet::new();
        for service in parts.iter().filter_map(Part::service) {
            match service.target {
                Target::Address(address, _) => {
                    used.insert(address);
                }
                Target::Mark(..) => {
                    mark_families.insert(service.mark_family());
                }
            }
        }
        let mut spare: Vec<Floating> =
            self.floating.iter().filter(|floating| !used.contains(&floating.address)).cloned().collect();
        for family in [Family::V4, Family::V6] {
            let of_family = |floating: &Floating| Family::of(floating.address) == family;
            // One that is left over must be the one of the marks; if none is, any will do.
            let mut candidates = spare.iter().filter(|f| of_family(f));
            let only = candidates.next().filter(|_| candidates.next().is_none()).cloned();
            if let Some(only) = only.filter(|_| mark_families.contains(&family)) {
                self.of_marks.push((family, only.text()));
                spare.retain(|floating| *floating != only);
            }
        }
        let is_inside = |floating: &Floating| {
            let mut services = parts.iter().filter_map(Part::service);
            services.any(|service| service.mark_family() == Family::of(floating.address))
        };
        let is_nat = network == Way::Nat && spare.iter().all(is_inside);
        if let ([only], true) = (spare.as_slice(), is_nat) {
            self.nat_router = Some(only.text());
            let message =
                format!("{}: no virtual server has it; taken for the real servers' gateway", only.address);
            notes.add(only.place, message);
        } else {
            for floating in spare {
                notes.add(floating.place, format!("{}: no virtual server has it", floating.address));
            }
        }
        self.notes.extend(notes.part());
    }

    /// Where `address` is put, with its prefix length, when that is known.
    pub(super) fn floating(&self, address: IpAddr) -> Option<String> {
        self.floating.iter().find(|floating| floating.address == address).map(Floating::text)
    }

    /// The address of the services of firewall marks.
    pub(super) fn of_mark(&self, family: Family) -> Option<&str> {
        self.of_marks.iter().find(|(of, _)| *of == family).map(|(_, text)| text.as_str())
    }

    /// How packets get to real servers unless a virtual server says otherwise.
    pub(super) fn network(&self) -> Way {
        self.network.unwrap_or(Way::Nat)
    }

    /// Writes what stands outside of all blocks, for a source called `name`.
    pub(super) fn write(&self, name: &str, output: &mut Output<'_>) {
        output.comment(&format!("Made from {} by lvs convert-keepalived.", shown(name)));
        output.notes(&self.notes);
        output.gap();
        self.write_pair(output);
        output.entry("network", self.network().name());
        output.optional("nat_router", self.nat_router.as_deref());
        if let Some((interface, id)) = &self.sync_daemon {
            output.entry("syncdaemon", 1);
            output.entry("syncd_iface", crate::write::quoted(interface));
            output.entry("syncd_id", id);
        }
        for (directive, seconds) in &self.timeouts {
            output.entry(directive, seconds);
        }
    }

    fn write_pair(&self, output: &mut Output<'_>) {
        let (primary, backup) = match &self.pair {
            Some(Pair { own, other, is_primary: Some(true) }) => (Some(own), Some(other)),
            Some(Pair { own, other, is_primary: Some(false) }) => (Some(other), Some(own)),
            _ => (None, None),
        };
        let either = match &self.pair {
            Some(Pair { own, other, .. }) => format!(": {own} or {other}"),
            None => String::new(),
        };
        let line = |name: &str, address: Option<&IpAddr>, output: &mut Output<'_>| match address {
            Some(address) => output.entry(name, address),
            None => output.blank(name, "", &format!("the address of the {name} router{either}")),
        };
        line("primary", primary, output);
        if !self.has_vrrp {
            return;
        }
        line("backup", backup, output);
        output.entry("backup_active", 1);
        let advert = self.advert.unwrap_or(ADVERT);
        output.entry("keepalive", time_text(advert));
        // VRRP waits for three and a fraction.
        output.entry("deadtime", time_text(advert * 4));
    }
}
