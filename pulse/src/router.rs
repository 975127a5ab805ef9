//! What this router has to know of the file: which of the two it is, and the paths to the other.

use std::net::IpAddr;

use lvs_config::Config;
use lvs_config::model::{RouterAddresses, ServiceKind};

use crate::election::Router;
use crate::heartbeat::socket::Path;

/// Why `pulse` cannot run with a file that is otherwise in order.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RouterError {
    /// `service = fos`.
    #[error("service = fos: failover services are not supported, only service = lvs")]
    FailoverServices,
    /// No virtual server has `active = 1`.
    #[error("no virtual server is active: at least one “virtual” block needs active = 1")]
    NothingToServe,
    /// This machine has neither of the two public addresses.
    #[error("this machine has neither the address of primary ({primary}) nor that of backup ({backup})")]
    Stranger {
        /// `primary` of the file.
        primary: IpAddr,
        /// `backup` of the file, or a word for none.
        backup: String,
    },
    /// This is the backup, but no heartbeats are exchanged.
    #[error("this machine is the backup router, but backup_active = 0: only the primary runs")]
    BackupInactive,
}

/// Tells from this machine's addresses which router it is.
///
/// # Errors
/// [`RouterError`], when the file gives this machine nothing to do.
pub fn identify(config: &Config, local: &[IpAddr]) -> Result<Router, RouterError> {
    serves_something(config)?;
    if local.contains(&config.primary.public) {
        return Ok(Router::Primary);
    }
    match &config.backup {
        Some(backup) if local.contains(&backup.public) && config.backup_active => Ok(Router::Backup),
        Some(backup) if local.contains(&backup.public) => Err(RouterError::BackupInactive),
        backup => Err(RouterError::Stranger {
            primary: config.primary.public,
            backup: backup.as_ref().map_or("none".into(), |backup| backup.public.to_string()),
        }),
    }
}

/// The paths to the other router, public first; none when there is no other router.
#[must_use]
pub fn paths(config: &Config, router: Router) -> Vec<Path> {
    let Some(backup) = config.backup.as_ref().filter(|_| config.backup_active) else { return Vec::new() };
    let (own, other) = match router {
        Router::Primary => (&config.primary, backup),
        Router::Backup => (backup, &config.primary),
    };
    let private =
        |addresses: &RouterAddresses| addresses.private.filter(|private| *private != addresses.public);
    let mut paths = vec![Path { name: "public", local: own.public, remote: other.public }];
    if let (Some(local), Some(remote)) = (private(own), private(other)) {
        paths.push(Path { name: "private", local, remote });
    }
    paths
}

/// Whether a running `pulse` can go from `old` to `new`.
///
/// # Errors
/// Why not, in words: the directives that it changes and that take effect only with a restart, because sockets and the
/// other router's identity hang on them; or what gives this machine nothing to do.
pub fn reloadable(old: &Config, new: &Config) -> Result<(), String> {
    serves_something(new).map_err(|error| error.to_string())?;
    let changed = old.restarts_pulse(new);
    match changed[..] {
        [] => Ok(()),
        _ => Err(format!("{} change only with a restart", changed.join(", "))),
    }
}

fn serves_something(config: &Config) -> Result<(), RouterError> {
    if config.service == ServiceKind::Fos {
        return Err(RouterError::FailoverServices);
    }
    config.active_virtual_servers().next().map(drop).ok_or(RouterError::NothingToServe)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(extra: &str) -> Config {
        let text = format!(
            "primary = 192.0.2.11\nprimary_private = 10.9.0.1\nbackup = 192.0.2.12\nbackup_private = 10.9.0.2\n\
             {extra}\nvirtual a {{\n active = 1\n address = 192.0.2.80 eth0:1\n}}\n"
        );
        lvs_config::parse(&text, &lvs_config::SystemNames).config.unwrap()
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_router_finds_itself_by_its_public_address() {
        let both = config("backup_active = 1");
        assert_eq!(identify(&both, &[ip("127.0.0.1"), ip("192.0.2.11")]), Ok(Router::Primary));
        assert_eq!(identify(&both, &[ip("192.0.2.12"), ip("10.9.0.1")]), Ok(Router::Backup));
        let stranger = identify(&both, &[ip("192.0.2.80")]).unwrap_err().to_string();
        assert!(stranger.contains("192.0.2.11") && stranger.contains("192.0.2.12"), "{stranger}");
        let alone = config("backup_active = 0");
        assert_eq!(identify(&alone, &[ip("192.0.2.12")]), Err(RouterError::BackupInactive));
    }

    #[test]
    fn failover_services_are_refused_by_name() {
        let fos = config("backup_active = 1\nservice = fos");
        assert_eq!(identify(&fos, &[ip("192.0.2.11")]), Err(RouterError::FailoverServices));
    }

    #[test]
    fn a_reload_that_needs_a_restart_names_the_directives() {
        let old = config("backup_active = 1");
        assert_eq!(reloadable(&old, &config("backup_active = 1\nkeepalive = 1")), Ok(()));
        assert_eq!(
            reloadable(&old, &config("backup_active = 1\nheartbeat_port = 540\nsyncdaemon = 1")),
            Err("heartbeat_port, syncdaemon, syncd_iface, syncd_id change only with a restart".into())
        );
        let other = config("backup_active = 1\nprimary_shared = /dev/sda1");
        assert_eq!(reloadable(&old, &other), Ok(()), "nobody uses it");
        let fos = reloadable(&old, &config("backup_active = 1\nservice = fos")).unwrap_err();
        assert!(fos.starts_with("service = fos:"), "{fos}");
    }

    #[test]
    fn each_router_sees_the_paths_from_its_own_end() {
        let both = config("backup_active = 1");
        let path = |name, local, remote| Path { name, local: ip(local), remote: ip(remote) };
        assert_eq!(
            paths(&both, Router::Primary),
            [path("public", "192.0.2.11", "192.0.2.12"), path("private", "10.9.0.1", "10.9.0.2")]
        );
        assert_eq!(
            paths(&both, Router::Backup),
            [path("public", "192.0.2.12", "192.0.2.11"), path("private", "10.9.0.2", "10.9.0.1")]
        );
        assert_eq!(paths(&config("backup_active = 0"), Router::Primary), []);
    }
}
