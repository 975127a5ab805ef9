//! The part of a status that was asked for by name. Pure.

use lvs_ipc::status::{LvsStatus, VirtualServerStatus};

/// A name that nothing has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no {what} {name:?}; there are {there_are}")]
pub struct Unknown {
    what: &'static str,
    name: String,
    there_are: String,
}

/// Leaves of `status` the virtual servers and real servers that `names` names, as `VS` or `VS/RS`; all if it names none. A
/// virtual server goes by its name or by what the kernel knows it by, a real server by its name or address.
///
/// # Errors
/// [`Unknown`], for the first name that nothing has.
pub fn select(status: LvsStatus, names: &[String]) -> Result<LvsStatus, Unknown> {
    if names.is_empty() {
        return Ok(status);
    }
    let mut virtual_servers = Vec::new();
    for name in names {
        let whole = named(&status, name);
        if !whole.is_empty() {
            virtual_servers.extend(whole.into_iter().cloned());
            continue;
        }
        let (of, server) = name.rsplit_once('/').unwrap_or((name, ""));
        let within = named(&status, of);
        if within.is_empty() {
            let there_are = list(status.virtual_servers.iter().map(|vs| vs.name.as_str()));
            return Err(Unknown { what: "virtual server", name: of.to_owned(), there_are });
        }
        let parts: Vec<VirtualServerStatus> =
            within.iter().map(|vs| part(vs, server)).filter(|part| !part.real_servers.is_empty()).collect();
        if parts.is_empty() {
            let servers = within.iter().flat_map(|vs| &vs.real_servers);
            let there_are = list(servers.map(|rs| rs.name.as_str()));
            return Err(Unknown { what: "real server", name: server.to_owned(), there_are });
        }
        virtual_servers.extend(parts);
    }
    Ok(LvsStatus { virtual_servers, ..status })
}

fn named<'a>(status: &'a LvsStatus, name: &str) -> Vec<&'a VirtualServerStatus> {
    let address = |vs: &VirtualServerStatus| vs.service.split(' ').nth(1) == Some(name);
    status.virtual_servers.iter().filter(|vs| vs.name == name || vs.service == name || address(vs)).collect()
}

/// The virtual server with only the real servers that go by `name`.
fn part(of: &VirtualServerStatus, name: &str) -> VirtualServerStatus {
    let mut part = of.clone();
    part.real_servers.retain(|server| server.name == name || server.address == name);
    part
}

fn list<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let mut names: Vec<&str> = names.collect();
    names.dedup();
    if names.is_empty() { "none".into() } else { names.join(", ") }
}
