//! What an operator means: `VIRTUAL` or `VIRTUAL/SERVER`, by the names in the file, a real server also by its address with
//! or without port.
//!
//! Names may hold slashes, so every slash is tried as the one between the two; there is nothing to quote. What fits in
//! two ways, or not at all, is refused with what would fit.

use std::net::{IpAddr, SocketAddr};

use lvs_config::Config;
use lvs_config::model::{RealServer, VirtualServer};
use lvs_config::nearest;

/// A real server with its virtual server.
pub(super) type Server<'c> = (&'c VirtualServer, &'c RealServer);

/// Why a target does not name what is meant, for the operator.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Miss {
    /// Nothing of the file fits it.
    Unknown(String),
    /// Something of the file does: more than one thing, or another kind of thing.
    Unfit(String),
}

impl From<Miss> for String {
    fn from(miss: Miss) -> Self {
        let (Miss::Unknown(why) | Miss::Unfit(why)) = miss;
        why
    }
}

/// What a target names.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Target<'c> {
    /// A virtual server.
    Virtual(&'c VirtualServer),
    /// A real server.
    Server(Server<'c>),
}

/// The real server that `target` names.
///
/// # Errors
/// What is wrong, for the operator.
pub(super) fn server<'c>(config: &'c Config, target: &str) -> Result<Server<'c>, Miss> {
    match any(config, target)? {
        Target::Server(found) => Ok(found),
        Target::Virtual(found) => {
            let names: Vec<&str> = found.active_servers().map(|server| server.name.as_str()).collect();
            let which = if names.is_empty() { "it has none".to_owned() } else { list(&names) };
            Err(Miss::Unfit(format!(
                "{target} is a virtual server; name one of its real servers, {target}/SERVER: {which}"
            )))
        }
    }
}

/// The virtual server that `target` names.
///
/// # Errors
/// What is wrong, for the operator.
pub(super) fn virtual_server<'c>(config: &'c Config, target: &str) -> Result<&'c VirtualServer, Miss> {
    match any(config, target)? {
        Target::Virtual(found) => Ok(found),
        Target::Server((virtual_server, _)) => Err(Miss::Unfit(format!(
            "{target} is a real server; name its virtual server, {}",
            virtual_server.name
        ))),
    }
}

/// What `target` names.
///
/// # Errors
/// What is wrong, for the operator.
pub(super) fn any<'c>(config: &'c Config, target: &str) -> Result<Target<'c>, Miss> {
    let mut found: Vec<Target<'c>> = with_name(config, target).map(Target::Virtual).collect();
    for (at, _) in target.match_indices('/') {
        let (virtual_name, server_name) = (&target[..at], &target[at + 1..]);
        for virtual_server in with_name(config, virtual_name) {
            let servers = virtual_server.active_servers().filter(|server| {
                fits(&server.name, SocketAddr::new(server.address, server.port), server_name)
            });
            found.extend(servers.map(|server| Target::Server((virtual_server, server))));
        }
    }
    match found[..] {
        [only] => Ok(only),
        [] => Err(Miss::Unknown(unknown(config, target))),
        _ => Err(Miss::Unfit(format!("{target} fits {} of the file: {}", found.len(), places(&found)))),
    }
}

fn with_name<'c>(config: &'c Config, name: &str) -> impl Iterator<Item = &'c VirtualServer> {
    config.active_virtual_servers().filter(move |virtual_server| virtual_server.name == name)
}

/// Whether `word` is the name of a server or its address, with or without port, however that is written.
pub(super) fn fits(name: &str, place: SocketAddr, word: &str) -> bool {
    if name == word {
        return true;
    }
    if let Ok(address) = word.parse::<SocketAddr>() {
        return place == address;
    }
    let bare = word.strip_prefix('[').and_then(|word| word.strip_suffix(']')).unwrap_or(word);
    bare.parse::<IpAddr>().is_ok_and(|address| place.ip() == address)
}

fn places(found: &[Target<'_>]) -> String {
    let places: Vec<String> = found
        .iter()
        .map(|target| match target {
            Target::Virtual(found) => format!("{} (line {})", found.name, found.line),
            Target::Server((of, found)) => {
                let place = SocketAddr::new(found.address, found.port);
                format!("{}/{} {place} (line {})", of.name, found.name, found.line)
            }
        })
        .collect();
    places.join(", ")
}

fn unknown(config: &Config, target: &str) -> String {
    // The longest name that fits says which virtual server was meant.
    let cuts = target.match_indices('/').map(|(at, _)| at);
    let known =
        cuts.filter_map(|at| Some((with_name(config, &target[..at]).next()?, &target[at + 1..]))).next_back();
    if let Some((virtual_server, word)) = known {
        let names: Vec<&str> = virtual_server.active_servers().map(|server| server.name.as_str()).collect();
        return format!(
            "{} has no active real server {word}{}",
            virtual_server.name,
            suggestion(word, &names, &format!("{}/", virtual_server.name))
        );
    }
    let word = target.split_once('/').map_or(target, |(virtual_name, _)| virtual_name);
    let names: Vec<&str> =
        config.active_virtual_servers().map(|virtual_server| virtual_server.name.as_str()).collect();
    format!("there is no active virtual server {word}{}", suggestion(word, &names, ""))
}

/// `; did you mean …?`, or which there are.
fn suggestion(word: &str, names: &[&str], prefix: &str) -> String {
    match nearest(word, names.iter().copied()) {
        Some(near) => format!("; did you mean {prefix}{near}?"),
        None if names.is_empty() => "; there is none".to_owned(),
        None => format!("; there are: {}", list(names)),
    }
}

/// The first few of them.
fn list(names: &[&str]) -> String {
    const SHOWN: usize = 8;
    let shown = names.iter().take(SHOWN).copied().collect::<Vec<_>>().join(", ");
    if names.len() > SHOWN { format!("{shown}, …") } else { shown }
}
