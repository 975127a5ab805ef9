//! What `pulse --test-start` prints: what this router would do, without doing any of it. Pure.

use std::fmt::Write;

use lvs_config::Config;
use lvs_config::model::FloatingAddress;

use crate::election::Router;
use crate::heartbeat::socket::Path;

/// The programs and files that a run would use.
#[derive(Debug, Clone, Copy)]
pub struct Programs<'a> {
    /// The configuration.
    pub config: &'a std::path::Path,
    /// The `lvs` program.
    pub lvs: &'a std::path::Path,
    /// The `send_arp` program.
    pub send_arp: &'a std::path::Path,
}

/// The plan, a line each.
#[must_use]
pub fn render(config: &Config, router: Router, paths: &[Path], programs: &Programs<'_>) -> String {
    let mut out = String::new();
    let mut line = |text: String| {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{text}");
    };
    line(format!("this is the {router} router"));
    let timers = &config.heartbeat;
    let (keepalive, deadtime) = (timers.keepalive.as_millis(), timers.deadtime.as_millis());
    for path in paths {
        let Path { name, local, remote } = path;
        line(format!(
            "{name} path: {local} -> {remote} port {}, a heartbeat every {keepalive}ms",
            timers.port
        ));
    }
    line(match paths {
        [] => "no other router: the service would be taken at once".into(),
        _ => format!("the service would be taken after {deadtime}ms without a heartbeat on any path"),
    });
    line("taking the service would".into());
    for FloatingAddress { address, prefix, device } in config.floating_addresses() {
        let prefix = prefix.map_or("prefix of its network".into(), |prefix| format!("/{prefix}"));
        line(format!("  add {address} ({prefix}) to {} as {device}", device.interface()));
    }
    line(format!("  announce them with {}", programs.send_arp.display()));
    line(format!("  run {} -c {}", programs.lvs.display(), programs.config.display()));
    if let Some(daemon) = &config.sync_daemon {
        line(format!("  send connections on {} with id {}", daemon.interface, daemon.id));
    }
    for (when, command) in [("taking", &config.active_cmd), ("giving back", &config.inactive_cmd)] {
        if let Some(words) = command {
            line(format!("{when} the service would run: {}", words.join(" ")));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use std::path::Path as FilePath;

    use super::*;

    #[test]
    fn the_plan_names_addresses_programs_and_timers() {
        let text = "primary = 192.0.2.11\nbackup = 192.0.2.12\nbackup_active = 1\nkeepalive = 500ms\ndeadtime = 2\n\
                    nat_router = 10.0.0.1 eth1:1\nnat_nmask = 255.255.255.0\nactive_cmd = \"/bin/notify up\"\n\
                    virtual a {\n active = 1\n address = 192.0.2.80 eth0:1\n}\n";
        let config = lvs_config::parse(text, &lvs_config::SystemNames).config.unwrap();
        let paths = crate::router::paths(&config, Router::Backup);
        let programs = Programs {
            config: FilePath::new("/x.cf"),
            lvs: FilePath::new("/lvs"),
            send_arp: FilePath::new("/arp"),
        };
        assert_eq!(
            render(&config, Router::Backup, &paths, &programs),
            "this is the backup router\n\
             public path: 192.0.2.12 -> 192.0.2.11 port 539, a heartbeat every 500ms\n\
             the service would be taken after 2000ms without a heartbeat on any path\n\
             taking the service would\n\
             \x20 add 192.0.2.80 (prefix of its network) to eth0 as eth0:1\n\
             \x20 add 10.0.0.1 (/24) to eth1 as eth1:1\n\
             \x20 announce them with /arp\n\
             \x20 run /lvs -c /x.cf\n\
             taking the service would run: /bin/notify up\n"
        );
    }
}
