//! Names: looked up side by side within a limit, remembered in a file, and followed when they move.

use std::collections::HashMap;
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lvs_config::{LoadError, Loaded, Lookup, NameNote, Patience, Resolver};

/// A name server that says what it is told to.
#[derive(Default)]
struct Server(Mutex<HashMap<String, Vec<IpAddr>>>);

/// What a name is to do for ever.
const HANGS: &str = "hangs";

impl Server {
    fn say(&self, name: &str, addresses: &[&str]) {
        let addresses = addresses.iter().map(|it| it.parse().expect("an address")).collect();
        self.0.lock().expect("nobody panics").insert(name.to_owned(), addresses);
    }
}

impl Lookup for Server {
    fn addresses(&self, name: &str) -> Vec<IpAddr> {
        while name.starts_with(HANGS) && !self.0.lock().expect("nobody panics").contains_key(name) {
            std::thread::park_timeout(Duration::from_secs(3600));
        }
        self.0.lock().expect("nobody panics").get(name).cloned().unwrap_or_default()
    }
}

/// Longer than anything here takes that is not to hang.
const PATIENCE: Patience = Patience { known: Duration::from_secs(60), unknown: Duration::from_secs(60) };
/// For what hangs.
const BRIEF: Patience = Patience { known: Duration::from_millis(50), unknown: Duration::from_secs(2) };

struct World {
    folder: PathBuf,
    server: Arc<Server>,
}

impl World {
    fn new(test: &str) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("names-{test}"));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).expect("a folder for tests");
        Self { folder, server: Arc::default() }
    }

    fn resolver(&self) -> Resolver {
        Resolver::keeping(Arc::clone(&self.server) as Arc<dyn Lookup>, self.book())
    }

    fn book(&self) -> PathBuf {
        self.folder.join("state/names")
    }

    fn write(&self, servers: &[&str]) -> PathBuf {
        let path = self.folder.join("lvs.cf");
        let block = |(at, name)| format!("server s{at} {{\naddress = {name}\nactive = 1\n}}\n");
        let blocks: String = servers.iter().enumerate().map(block).collect();
        let text = format!(
            "primary = 192.0.2.2\nnetwork = nat\nvirtual v {{\nactive = 1\naddress = 192.0.2.10 eth0:1\n{blocks}}}\n"
        );
        fs::write(&path, text).expect("a file for tests");
        path
    }
}

fn addresses(loaded: &Loaded) -> Vec<String> {
    loaded.config.virtual_servers[0].servers.iter().map(|server| server.address.to_string()).collect()
}

fn warnings(loaded: &Loaded) -> Vec<String> {
    loaded.warnings.iter().map(|warning| warning.one_line("lvs.cf".as_ref())).collect()
}

fn notes(resolver: &mut Resolver) -> Vec<String> {
    resolver.notes().iter().map(ToString::to_string).collect()
}

#[test]
fn names_that_hang_cost_one_limit_together_and_keep_their_last_addresses() {
    let world = World::new("hang");
    let names: Vec<String> = (0..40).map(|at| format!("{HANGS}{at}")).collect();
    let file = world.write(&names.iter().map(String::as_str).chain(["web"]).collect::<Vec<_>>());
    world.server.say("web", &["10.0.0.99"]);
    fs::create_dir_all(world.book().parent().unwrap()).unwrap();
    let lines: String =
        names.iter().enumerate().map(|(at, name)| format!("{name} ipv4 10.0.0.{at}\n")).collect();
    fs::write(world.book(), format!("{lines}web ipv4 10.0.0.99\n")).unwrap();
    let mut resolver = world.resolver();
    let loaded = resolver.load(&file, BRIEF).unwrap();
    let last: Vec<String> = (0..40).chain([99]).map(|at| format!("10.0.0.{at}")).collect();
    assert_eq!(addresses(&loaded), last);
    let told = warnings(&loaded);
    assert!(told.len() >= 40, "{told:#?}");
    assert_eq!(
        told[0],
        "lvs.cf:7:11: warning: `hangs0` cannot be resolved; its last address is used, 10.0.0.0"
    );
}

#[test]
fn a_name_that_was_never_resolved_is_an_error_that_names_it() {
    let world = World::new("never");
    let file = world.write(&["hangs", "nowhere", "web"]);
    world.server.say("web", &["10.0.0.1"]);
    let Err(error @ LoadError::Invalid { .. }) = world.resolver().load(&file, BRIEF) else {
        panic!("loaded")
    };
    let shown = file.display();
    assert_eq!(
        error.to_string().lines().collect::<Vec<_>>(),
        [
            format!(
                "{shown}:7:11: error: `address` cannot be `hangs`: the name cannot be resolved; allowed: an IPv4 or IPv6 \
                 address, or the name of a host"
            ),
            format!(
                "{shown}:11:11: error: `address` cannot be `nowhere`: the name cannot be resolved; allowed: an IPv4 or \
                 IPv6 address, or the name of a host"
            )
        ]
    );
    assert!(!world.book().exists());
}

#[test]
fn last_addresses_outlive_the_process() {
    let world = World::new("outlive");
    let file = world.write(&["web", "10.0.0.2"]);
    world.server.say("web", &["10.0.0.1"]);
    assert_eq!(addresses(&world.resolver().load(&file, PATIENCE).unwrap()), ["10.0.0.1", "10.0.0.2"]);
    world.server.say("web", &[]);
    let mut next = world.resolver();
    let loaded = next.load(&file, PATIENCE).unwrap();
    assert_eq!(addresses(&loaded), ["10.0.0.1", "10.0.0.2"]);
    assert_eq!(warnings(&loaded).len(), 1);
    assert_eq!(notes(&mut next), ["web cannot be resolved and keeps its last address, 10.0.0.1"]);
    // And a program that only looks leaves the file alone.
    let before = fs::read_to_string(world.book()).unwrap();
    world.server.say("web", &["10.0.0.7"]);
    let mut looking = Resolver::consulting(Arc::clone(&world.server) as Arc<dyn Lookup>, &world.book());
    assert_eq!(addresses(&looking.load(&file, PATIENCE).unwrap()), ["10.0.0.7", "10.0.0.2"]);
    assert_eq!(fs::read_to_string(world.book()).unwrap(), before);
}

#[test]
fn a_name_that_moves_changes_the_file_as_it_was_read_and_nothing_else() {
    let world = World::new("moves");
    let file = world.write(&["web", "db"]);
    world.server.say("web", &["10.0.0.1"]);
    world.server.say("db", &["10.0.0.5", "10.0.0.6"]);
    let mut resolver = world.resolver();
    resolver.load(&file, PATIENCE).unwrap();
    // Somebody edits the file and is not done yet.
    fs::write(&file, "half").unwrap();
    world.server.say("db", &["10.0.0.6", "10.0.0.5"]);
    assert!(resolver.refresh(PATIENCE).is_none());
    world.server.say("web", &["10.0.0.9"]);
    let loaded = resolver.refresh(PATIENCE).unwrap().unwrap();
    assert_eq!(addresses(&loaded), ["10.0.0.9", "10.0.0.5"]);
    assert_eq!(notes(&mut resolver), ["web has another address: 10.0.0.9, before 10.0.0.1"]);
    world.server.say("web", &[]);
    assert!(resolver.refresh(PATIENCE).is_none());
    assert!(resolver.refresh(PATIENCE).is_none());
    world.server.say("web", &["10.0.0.9"]);
    assert!(resolver.refresh(PATIENCE).is_none());
    assert_eq!(
        notes(&mut resolver),
        [
            "web cannot be resolved and keeps its last address, 10.0.0.9",
            "web can be resolved again: 10.0.0.9 as before"
        ]
    );
    assert!(fs::read_to_string(world.book()).unwrap().ends_with("\ndb ipv4 10.0.0.5\nweb ipv4 10.0.0.9\n"));
}

#[test]
fn a_file_that_a_name_makes_wrong_is_told_and_not_taken() {
    let world = World::new("wrong");
    let file = world.write(&["web", "db"]);
    world.server.say("web", &["10.0.0.1"]);
    world.server.say("db", &["10.0.0.2"]);
    let mut resolver = world.resolver();
    resolver.load(&file, PATIENCE).unwrap();
    world.server.say("web", &["10.0.0.2"]);
    let Some(Err(LoadError::Invalid { diagnostics, .. })) = resolver.refresh(PATIENCE) else {
        panic!("taken")
    };
    assert_eq!(diagnostics[0].message, "this real server is given twice");
    // It is still looked up, and right again when the name is.
    world.server.say("web", &["10.0.0.3"]);
    assert_eq!(addresses(&resolver.refresh(PATIENCE).unwrap().unwrap()), ["10.0.0.3", "10.0.0.2"]);
}

#[test]
fn a_file_without_names_asks_nobody_and_writes_nothing() {
    let world = World::new("none");
    let file = world.write(&["10.0.0.1"]);
    let mut resolver = world.resolver();
    resolver.load(&file, PATIENCE).unwrap();
    assert!(resolver.refresh(PATIENCE).is_none());
    assert!(!world.book().exists());
}

#[test]
fn a_book_that_cannot_be_read_or_written_is_told_and_stops_nothing() {
    let world = World::new("broken-book");
    let file = world.write(&["web"]);
    world.server.say("web", &["10.0.0.1"]);
    fs::create_dir_all(world.book()).unwrap();
    let mut resolver = world.resolver();
    assert_eq!(addresses(&resolver.load(&file, PATIENCE).unwrap()), ["10.0.0.1"]);
    let told = resolver.notes();
    let shown = world.book().display().to_string();
    let [NameNote::File(read), NameNote::File(write)] = told.as_slice() else { panic!("{told:#?}") };
    assert!(read.starts_with(&format!("{shown}: cannot read the last addresses of names: ")), "{read}");
    assert!(write.starts_with(&format!("{shown}: cannot write the last addresses of names: ")), "{write}");
    // Once is enough, however often it is tried again.
    resolver.load(&file, PATIENCE).unwrap();
    resolver.refresh(PATIENCE);
    assert_eq!(notes(&mut resolver), [] as [String; 0]);
    fs::remove_dir(world.book()).unwrap();
    fs::write(world.book(), b"web ipv4 10.0.0.1\n\xff\xfe\nnonsense\n").unwrap();
    let mut resolver = world.resolver();
    resolver.load(&file, PATIENCE).unwrap();
    assert_eq!(
        notes(&mut resolver),
        [format!("{shown}: skipped 2 of its lines: line 2: no name with family and address")]
    );
    assert!(fs::read_to_string(world.book()).unwrap().ends_with("\nweb ipv4 10.0.0.1\n"));
}
