//! What the suite does differently from the original although nothing in a file says so; `docs/compatibility.md` has all
//! of it, this is what concerns a file.

use crate::model::{Config, ServiceKind, SlowStart, VirtualServer};

/// What concerns `config`.
pub(super) fn all(config: &Config) -> Vec<String> {
    let mut found = Vec::new();
    let mut add = |holds: bool, text: &str| {
        if holds {
            found.push(text.to_owned());
        }
    };
    let has = |test: fn(&VirtualServer) -> bool| config.active_virtual_servers().any(test);
    add(config.service == ServiceKind::Fos, "pulse and lvs do not run failover services.");
    add(
        true,
        "lvs does not clear the kernel's table when it starts: it takes over its own services, and leaves those of others.",
    );
    add(
        has(|v| v.servers.iter().any(|s| s.active)),
        "A reload applies every change of the file, and only that; Piranha noticed few, and removing one server stopped its \
         service.",
    );
    add(
        has(|v| v.climb() == SlowStart::Doubling && has_weights(v)),
        "The weight of a server that comes up grows from the 32nd part, doubled every 20 seconds, as ever, but only while \
         others serve; a service that starts has its full weights at once. `slow_start` says otherwise.",
    );
    add(
        has(|v| v.slow_start == SlowStart::Doubling && v.climb() == SlowStart::Off && has_weights(v)),
        "Weights are full at once with a scheduler to which they are no shares of the work (`rr`, `lc`, `dh`, `sh`).",
    );
    add(
        has(|v| v.sorry_server.is_some()),
        "The sorry server waits for the first checks at a start; Piranha added it and took it away again.",
    );
    add(
        config.backup_active,
        "A backup that hears \"stopped\" lets the primary go first for `deadtime`; of two routers that both serve, the one \
         that took over earlier yields.",
    );
    add(
        config.backup_active,
        "The addresses are leased: a router whose pulse is killed or frozen loses them by itself.",
    );
    add(
        config.backup.is_none(),
        "A router without partner serves at once instead of after `deadtime`, and lvs is started again when it dies.",
    );
    add(
        config.active_virtual_servers().next().is_some(),
        "Addresses are added beside those of an interface, never in their place, and a reload adds and removes them, too.",
    );
    found
}

fn has_weights(virtual_server: &VirtualServer) -> bool {
    virtual_server.active_servers().any(|server| server.weight.value() > 1)
}
