//! What several of these tests need.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses a part of it")]

use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use lvs_config::model::Protocol;
use lvs_config::{Config, Family, Names};

/// A small world of names.
pub struct Table;

impl Names for Table {
    fn host(&self, name: &str, wanted: Family) -> Option<IpAddr> {
        match (name, wanted) {
            ("dual.example", Family::V6) => "2001:db8::80".parse().ok(),
            ("dual.example", Family::V4) => "192.0.2.80".parse().ok(),
            ("ns.example", _) => "10.44.0.53".parse().ok(),
            _ => None,
        }
    }

    fn service(&self, name: &str, _: Protocol) -> Option<u16> {
        match name {
            "domain" => Some(53),
            "http" => Some(80),
            _ => None,
        }
    }
}

/// The `.cf` files in a folder of this package, sorted.
pub fn files(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("a readable folder").path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "cf"));
    files.sort();
    files
}

/// `config` with all line numbers 0: they belong to a text, not to what it means.
pub fn meaning(mut config: Config) -> Config {
    for virtual_server in &mut config.virtual_servers {
        virtual_server.line = 0;
        for server in &mut virtual_server.servers {
            server.line = 0;
        }
    }
    for service in &mut config.failover_services {
        service.line = 0;
    }
    config
}
