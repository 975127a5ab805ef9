//! What a configuration calls the services, rows and servers that the kernel and the monitors know by their addresses:
//! looked up once for each line of a plan, of which there may be tens of thousands.

use std::collections::HashMap;

use ipvsadm::{DestinationId, ServiceId};
use lvs_config::Config;

use crate::identity::{ServerKey, destination_id, service_id, sorry_id};

/// The names in one configuration.
#[derive(Debug)]
pub(super) struct Directory<'c> {
    services: HashMap<ServiceId, &'c str>,
    rows: HashMap<(ServiceId, DestinationId), &'c str>,
    servers: HashMap<ServerKey, (&'c str, &'c str)>,
}

impl<'c> Directory<'c> {
    /// The names of what `config` serves. Of two of one address the first one counts.
    pub(super) fn of(config: &'c Config) -> Self {
        let mut names = Self { services: HashMap::new(), rows: HashMap::new(), servers: HashMap::new() };
        for virtual_server in config.active_virtual_servers() {
            let (service, name) = (service_id(virtual_server), virtual_server.name.as_str());
            names.services.entry(service).or_insert(name);
            for server in virtual_server.active_servers() {
                let row = (service, destination_id(virtual_server, server));
                names.rows.entry(row).or_insert(&server.name);
                names.servers.entry(ServerKey::of(virtual_server, server)).or_insert((name, &server.name));
            }
            if let Some(sorry) = &virtual_server.sorry_server {
                names.rows.entry((service, sorry_id(virtual_server, sorry))).or_insert("sorry server");
            }
        }
        names
    }

    /// The virtual server's name.
    pub(super) fn service(&self, service: &ServiceId) -> Option<&'c str> {
        self.services.get(service).copied()
    }

    /// The real server's name, or what stands for it.
    pub(super) fn row(&self, service: &ServiceId, row: &DestinationId) -> Option<&'c str> {
        self.rows.get(&(*service, *row)).copied()
    }

    /// `VIRTUAL/SERVER`; the address of one that is not in the file.
    pub(super) fn server(&self, key: &ServerKey) -> String {
        self.servers.get(key).map_or_else(|| key.to_string(), |(of, name)| format!("{of}/{name}"))
    }
}
