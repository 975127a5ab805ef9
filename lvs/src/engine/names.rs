//! What an operator calls the thing that a request to the kernel is about: the names of the file, or addresses where it has
//! none.

use ipvsadm::Request;
use lvs_config::Config;

use crate::identity::{destination_id, service_id, sorry_id};
use crate::scope::service_of;

/// `web`, `web rs2`, `web sorry server`, `web 10.2.0.109:80`, or `TCP 10.1.0.100:80`.
pub(super) fn whose(config: &Config, request: &Request) -> String {
    let Some(service) = service_of(request) else { return "IPVS".into() };
    let virtual_server = config.active_virtual_servers().find(|v| service_id(v) == service);
    let name = virtual_server.map_or_else(|| service.to_string(), |v| v.name.clone());
    let id = match request {
        Request::AddDestination(_, to) | Request::EditDestination(_, to) => to.id,
        Request::DeleteDestination(_, id) => *id,
        _ => return name,
    };
    let server = virtual_server.and_then(|v| {
        let mut servers = v.servers.iter();
        let named = servers.find(|server| destination_id(v, server) == id).map(|server| server.name.clone());
        let is_sorry = v.sorry_server.as_ref().is_some_and(|sorry| sorry_id(v, sorry) == id);
        named.or_else(|| is_sorry.then(|| "sorry server".into()))
    });
    format!("{name} {}", server.unwrap_or_else(|| id.to_string()))
}
