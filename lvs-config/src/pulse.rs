//! What `pulse` makes of a file that changed while it runs: the part that its own decisions and those of a plan share.

use crate::model::Config;

impl Config {
    /// The directives about which `new` says something else and that `pulse` takes over only with a restart, because its
    /// sockets and what it is to the other router hang on them. Those that go together are named together.
    #[must_use]
    pub fn restarts_pulse(&self, new: &Self) -> Vec<&'static str> {
        let directives = [
            ("primary, primary_private", self.primary == new.primary),
            ("backup, backup_private", self.backup == new.backup),
            ("backup_active", self.backup_active == new.backup_active),
            ("heartbeat_port", self.heartbeat.port == new.heartbeat.port),
            ("syncdaemon, syncd_iface, syncd_id", self.sync_daemon == new.sync_daemon),
        ];
        directives.into_iter().filter(|(_, same)| !same).map(|(names, _)| names).collect()
    }
}
