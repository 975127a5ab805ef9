//! What `pulse` makes of a file that changed while it runs: the part that its own decisions and those of a plan share.

use std::net::IpAddr;

use crate::model::{Config, RouterAddresses};

impl Config {
    /// The directives that `pulse` takes over only with a restart, because its sockets and what it is to the other router
    /// hang on them, and what the file says of each. Those that go together are named together.
    #[must_use]
    pub fn only_with_restart(&self) -> [(&'static str, String); 5] {
        let none = || "none".to_owned();
        let private = |address: Option<IpAddr>| address.map_or_else(none, |address| address.to_string());
        let router = |router: &RouterAddresses| format!("{}, {}", router.public, private(router.private));
        let daemon =
            self.sync_daemon.as_ref().map(|daemon| format!("1, {}, {}", daemon.interface, daemon.id));
        [
            ("primary, primary_private", router(&self.primary)),
            ("backup, backup_private", self.backup.as_ref().map_or_else(none, router)),
            ("backup_active", u8::from(self.backup_active).to_string()),
            ("heartbeat_port", self.heartbeat.port.to_string()),
            ("syncdaemon, syncd_iface, syncd_id", daemon.unwrap_or_else(|| "0".to_owned())),
        ]
    }

    /// Those of them about which `new` says something else.
    #[must_use]
    pub fn restarts_pulse(&self, new: &Self) -> Vec<&'static str> {
        let both = self.only_with_restart().into_iter().zip(new.only_with_restart());
        both.filter(|(old, new)| old != new).map(|((names, _), _)| names).collect()
    }
}
