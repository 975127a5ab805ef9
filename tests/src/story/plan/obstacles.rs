//! What makes a file impossible to rehearse, and what makes the rehearsal differ from the real thing.

use std::net::IpAddr;

use lvs_config::model::{Config, Forwarding, ServiceKind, VirtualServer};

/// Most machines behind the routers.
const MOST_MACHINES: usize = 60;
/// Most virtual servers.
const MOST_SERVICES: usize = 24;
/// Most real servers of all virtual servers: each has a monitor process.
const MOST_MONITORS: usize = 120;

/// Every obstacle that can be named before the networks are known.
pub(super) fn find(file: &str, config: &Config, native: bool, exists: &dyn Fn(&str) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    general(file, config, &mut found);
    for service in config.active_virtual_servers() {
        of_service(file, service, exists, &mut found);
    }
    size(file, config, &mut found);
    if native {
        for command in commands(config) {
            found.push(format!(
                "{file}: it names a command ({command}), which on the running kernel would act on this very machine; \
                 rehearse it with --kernel uml"
            ));
        }
    }
    found
}

fn general(file: &str, config: &Config, found: &mut Vec<String>) {
    let mut obstacle = |text: String| found.push(format!("{file}: {text}"));
    if config.service == ServiceKind::Fos {
        obstacle(
            "`service = fos` runs failover services on the routers themselves; the demo shows load balancing"
                .into(),
        );
        return;
    }
    if config.network != Forwarding::Nat {
        let word = config.network.name();
        obstacle(format!("`network = {word}`: the demo rehearses `network = nat` only"));
    }
    if config.nat_router.is_none() && config.network == Forwarding::Nat {
        obstacle("there is no `nat_router`, so the real servers have no way back to a client".into());
    }
    match &config.backup {
        None => obstacle("there is no `backup`: the demo needs two routers to show one taking over".into()),
        Some(_) if !config.backup_active => {
            obstacle("`backup_active = 0`: without heartbeats no router takes over for the other".into());
        }
        Some(_) => {}
    }
    if config.active_virtual_servers().next().is_none() {
        obstacle("no `virtual` block is active, so there is nothing to serve".into());
    }
    let routers = [Some(&config.primary), config.backup.as_ref()];
    let addresses = routers.into_iter().flatten().flat_map(|r| [Some(r.public), r.private]).flatten();
    let nat_router = config.nat_router.iter().map(|nat| nat.address);
    for address in addresses.chain(nat_router).filter(IpAddr::is_ipv6) {
        obstacle(format!("{address} is an IPv6 address; the demo rehearses IPv4 only"));
    }
}

fn of_service(file: &str, service: &VirtualServer, exists: &dyn Fn(&str) -> bool, found: &mut Vec<String>) {
    let mut at =
        |line: u32, text: String| found.push(format!("{file}:{line}: virtual {}: {text}", service.name));
    let line = service.line;
    if service.forwarding != Forwarding::Nat {
        at(line, format!("it forwards by `{}`; the demo rehearses `nat` only", service.forwarding.name()));
    }
    if let Some(mark) = service.fwmark {
        at(
            line,
            format!(
                "`fwmark = {mark}` needs firewall rules on the routers that mark packets, which an lvs.cf does not have"
            ),
        );
    }
    if service.address.address.is_ipv6() {
        at(line, format!("{} is an IPv6 address; the demo rehearses IPv4 only", service.address.address));
    }
    if service.active_servers().next().is_none() {
        at(line, "no `server` block in it is active, so nobody can answer".into());
    }
    for server in service.active_servers().filter(|server| server.address.is_ipv6()) {
        at(
            server.line,
            format!(
                "server {}: {} is an IPv6 address; the demo rehearses IPv4 only",
                server.name, server.address
            ),
        );
    }
    let check = &service.check;
    let program = check.send_program.as_deref().and_then(|text| text.split_whitespace().next());
    if let Some(program) = program.filter(|program| !exists(program)) {
        at(line, format!("`send_program` needs {program}, which is not on this machine"));
    }
    let monitor = check.client_monitor.as_ref().map(|path| path.display().to_string());
    if let Some(monitor) = monitor.filter(|monitor| !exists(monitor)) {
        at(line, format!("`client_monitor` needs {monitor}, which is not on this machine"));
    }
}

fn size(file: &str, config: &Config, found: &mut Vec<String>) {
    let services = config.active_virtual_servers().count();
    let monitors = config.active_virtual_servers().map(|s| s.active_servers().count()).sum();
    let mut machines: Vec<IpAddr> = config
        .active_virtual_servers()
        .flat_map(|s| s.active_servers().map(|server| server.address))
        .collect();
    machines.sort_unstable();
    machines.dedup();
    for (what, number, most) in [
        ("active virtual servers", services, MOST_SERVICES),
        ("real servers in all of them", monitors, MOST_MONITORS),
        ("machines behind the routers", machines.len(), MOST_MACHINES),
    ] {
        if number > most {
            found.push(format!(
                "{file}: {number} {what}; the demo has room for {most}: rehearse a file with fewer of them active"
            ));
        }
    }
}

/// The commands that the file lets the suite run, as directives with their values.
fn commands(config: &Config) -> Vec<String> {
    let words = |name: &str, words: &Option<Vec<String>>| {
        words.as_ref().map(|words| format!("{name} = {}", words.join(" ")))
    };
    let mut found: Vec<String> =
        [words("active_cmd", &config.active_cmd), words("inactive_cmd", &config.inactive_cmd)]
            .into_iter()
            .flatten()
            .collect();
    for service in config.active_virtual_servers() {
        let check = &service.check;
        found.extend(check.send_program.as_ref().map(|text| format!("send_program = {text}")));
        found
            .extend(check.client_monitor.as_ref().map(|path| format!("client_monitor = {}", path.display())));
    }
    found
}

/// What the rehearsal cannot show as it will be.
pub(super) fn notes(config: &Config) -> Vec<String> {
    let mut notes = Vec::new();
    for command in commands(config).iter().filter(|command| command.contains("active_cmd")) {
        notes.push(format!("`{command}` runs inside the lab, on its copy of this machine's files"));
    }
    for service in config.active_virtual_servers() {
        let check = &service.check;
        if let Some(load) = check.load_monitor.as_deref().filter(|load| *load != "none") {
            notes.push(format!(
                "virtual {}: `load_monitor = {load}` asks machines that have no such service here, so weights stay as they are",
                service.name
            ));
        }
        if let Some(program) = &check.send_program {
            notes.push(format!(
                "virtual {}: `{program}` is run against stand-ins, which answer only what `expect` says",
                service.name
            ));
        }
    }
    notes
}
