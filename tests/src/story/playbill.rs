//! What is announced before the story begins: the file, its timers, the cluster that is made of it. Pure.

use std::{net::Ipv4Addr, time::Duration};

use super::{
    network::Network,
    plan::{Interface, Plan},
    text::{Line, Tone, WIDTH, wrap},
    view::limit,
};

/// Columns of the labels.
const LABEL: usize = 12;
/// Columns of network and device.
const NETWORK: usize = 34;
/// Machines named; of more only the number is told.
const MOST_NAMED: usize = 12;
/// A blank at which no line is broken (U+00A0).
const BOUND: &str = "\u{a0}";
/// A story that is longer than this is announced as a long one.
const LONG: Duration = Duration::from_secs(90);

/// The announcement.
pub(crate) fn playbill(plan: &Plan) -> Vec<Line> {
    let mut lines = vec![Line::default(), Line::new(Tone::Bold, format!("A rehearsal of {}", plan.file))];
    let about = "Two routers, the real servers behind them and a client are started inside the lab kernel; then things \
                 break, one after the other.";
    lines.extend(wrap(about, WIDTH).into_iter().map(|text| Line::new(Tone::Plain, text)));
    lines.push(Line::default());
    lines.extend(labelled("serves", &services(plan)));
    lines.extend(labelled("timers", &timers(plan)));
    for (bridge, network) in &plan.networks {
        let device = plan.routers[0].interfaces.iter().find(|interface| interface.bridge == *bridge);
        let device = device.map_or("", |device| device.name.as_str());
        let place = format!("{bridge:<9}{device:<7}{network}");
        lines.extend(entry(&place, NETWORK, &who(plan, bridge, *network)));
    }
    lines.extend(labelled("moving", &moving(plan)));
    lines.extend(labelled("takes", &duration(plan.estimate())));
    for note in &plan.notes {
        lines.extend(labelled("note", note));
    }
    lines
}

/// How long it takes, in words.
fn duration(estimate: Duration) -> String {
    let seconds = estimate.as_secs();
    if estimate <= LONG {
        return format!("about {seconds} seconds");
    }
    let minutes = seconds.div_ceil(60);
    format!(
        "about {minutes} minutes: the timers of the file (deadtime, keepalive, timeout, reentry) are kept as they are"
    )
}

fn services(plan: &Plan) -> String {
    let of = |service: &super::plan::Service| {
        let count = service.members.len();
        let servers = if count == 1 { "server" } else { "servers" };
        let sorry = if service.sorry.is_some() { " and a sorry server" } else { "" };
        format!("{} {} ({}, {count} real {servers}{sorry})", service.name, service.place(), service.scheduler)
    };
    together(&plan.services.iter().map(of).collect::<Vec<_>>())
}

fn timers(plan: &Plan) -> String {
    let range = |of: &dyn Fn(&super::plan::Service) -> Duration| {
        let least = plan.services.iter().map(of).min().unwrap_or_default();
        let most = plan.services.iter().map(of).max().unwrap_or_default();
        if least == most { limit(most) } else { format!("{} to {}", limit(least), limit(most)) }
    };
    format!(
        "a heartbeat every {}, dead after {} of silence; checks every {}, re-entry after {}",
        limit(plan.keepalive),
        limit(plan.deadtime),
        range(&|service| service.interval),
        range(&|service| service.reentry)
    )
}

/// Who is plugged into a bridge, with addresses.
fn who(plan: &Plan, bridge: &str, network: Network) -> String {
    let own = |name: &str, interfaces: &[Interface]| {
        let interface = interfaces.iter().find(|interface| interface.bridge == bridge)?;
        let addresses: Vec<&str> =
            interface.addresses.iter().filter_map(|address| address.split('/').next()).collect();
        Some(format!("{name} {}", addresses.join(" ")))
    };
    let mut found: Vec<String> = own("client", &plan.client).into_iter().collect();
    found.extend(plan.routers.iter().filter_map(|router| own(&router.name, &router.interfaces)));
    let machines: Vec<_> = plan.machines.iter().filter(|machine| network.has_host(machine.address)).collect();
    found.extend(
        machines.iter().take(MOST_NAMED).map(|machine| format!("{} {}", machine.name, machine.address)),
    );
    if let Some(more) = machines.len().checked_sub(MOST_NAMED).filter(|more| *more > 0) {
        found.push(format!("and {more} more"));
    }
    together(&found)
}

/// A list that is broken only between its items.
fn together(items: &[String]) -> String {
    items.iter().map(|item| item.replace(' ', BOUND)).collect::<Vec<_>>().join(", ")
}

fn moving(plan: &Plan) -> String {
    let purpose = |address: &Ipv4Addr| {
        let names: Vec<&str> =
            plan.services.iter().filter(|s| s.vip == *address).map(|service| service.name.as_str()).collect();
        if names.is_empty() { "the real servers' gateway".to_owned() } else { names.join(", ") }
    };
    let shown: Vec<String> = plan.floating.iter().map(|a| format!("{a} ({})", purpose(a))).collect();
    together(&shown)
}

fn labelled(label: &str, text: &str) -> Vec<Line> {
    entry(label, LABEL, text)
}

/// A label and a text beside it, broken between words; the text begins at least at column `column`.
fn entry(label: &str, column: usize, text: &str) -> Vec<Line> {
    let column = column.max(label.chars().count() + 4);
    let lines = wrap(text, WIDTH - column);
    let line = |(n, text): (usize, String)| {
        let first = if n == 0 { format!("  {label}") } else { String::new() };
        Line::new(Tone::Dim, first).up_to(column).then(Tone::Plain, text.replace(BOUND, " "))
    };
    lines.into_iter().enumerate().map(line).collect()
}
