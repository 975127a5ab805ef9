//! A whole `pulse` on the loopback interface under a service manager, as a router that waits: the other one is not there
//! and has more time to speak up than the test takes. One test, because signals belong to the whole process.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::time::Duration;

use daemonkit::fake_manager::FakeManager;
use daemonkit::notify::Notifier;
use lvs_config::{Patience, Resolver, SystemLookup};
use nix::sys::signal::{Signal, raise};
use pulse::heartbeat::socket::Sockets;
use pulse::{programs, router, shell};

/// The signs of life are to come more often than the loop would go round by itself.
const SILENCE: Duration = Duration::from_millis(300);

fn config(port: u16) -> String {
    format!(
        "primary = 127.0.0.2\nbackup = 127.0.0.1\nbackup_active = 1\nheartbeat_port = {port}\nkeepalive = 60\n\
         deadtime = 600\nvirtual web {{\nactive = 1\naddress = 192.0.2.80/24 lo:1\nserver one {{\n\
         address = 10.0.0.1\nactive = 1\n}}\n}}\n"
    )
}

#[test]
fn the_service_manager_is_told_what_happens_in_its_order() {
    let folder = std::env::temp_dir().join(format!("pulse-supervised-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let (file, lvs) = (folder.join("lvs.cf"), folder.join("lvs"));
    let free = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
    fs::write(&file, config(free)).unwrap();
    // There is nothing to withdraw.
    fs::write(&lvs, "#!/bin/sh\n").unwrap();
    fs::set_permissions(&lvs, fs::Permissions::from_mode(0o755)).unwrap();

    let mut resolver = Resolver::consulting(Arc::new(SystemLookup), &folder.join("names"));
    let config_in_force = resolver.load(&file, Patience::BRIEF).unwrap().config;
    let router = router::identify(&config_in_force, &[IpAddr::V4(Ipv4Addr::LOCALHOST)]).unwrap();
    let paths = router::paths(&config_in_force, router);
    let manager = FakeManager::listen(&folder.join("manager")).unwrap();
    let setup = shell::Setup {
        sockets: Sockets::bind(&paths, free).unwrap(),
        config: config_in_force,
        resolver,
        router,
        paths,
        programs: programs::Settings {
            send_arp: lvs.clone(),
            lvs,
            config: file.clone(),
            run_dir: folder.clone(),
            foreground: true,
            verbose: false,
        },
        force_active: false,
        incarnation: 1,
        notifier: Notifier::new(manager.path().as_os_str(), Some(SILENCE)).unwrap(),
    };
    let running = std::thread::spawn(|| shell::run(setup));

    assert_eq!(manager.up_to("READY=1").unwrap(), ["READY=1"]);
    manager.up_to("STATUS=backup: just started").unwrap();
    for _ in 0..3 {
        assert_eq!(manager.up_to("WATCHDOG=1").unwrap(), ["WATCHDOG=1"]);
    }
    for (text, status) in [
        (
            config(free).replace("10.0.0.1", "nonsense = 1"),
            "STATUS=backup: just started; the file is refused",
        ),
        (config(free).replace("10.0.0.1", "10.0.0.2"), "STATUS=backup: just started"),
    ] {
        fs::write(&file, text).unwrap();
        raise(Signal::SIGHUP).unwrap();
        assert_eq!(manager.up_to(status).unwrap(), ["RELOADING=1", status]);
        assert_eq!(manager.up_to("READY=1").unwrap(), ["READY=1"]);
    }
    raise(Signal::SIGTERM).unwrap();
    assert_eq!(manager.up_to("STOPPING=1").unwrap(), ["STOPPING=1"]);
    running.join().unwrap().unwrap();
    fs::remove_dir_all(folder).unwrap();
}
