//! Carries out [`Order`]s: reads and writes below `/proc/sys`, keeps the file of what was before, and asks the kernel for
//! the way to real servers. Nothing here fails as a whole; each outcome is in the answer.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use daemonkit::clock::Mono;
use lvs_config::sysctl::SysctlName;

use super::keeper::{Keeper, Step};
use super::memory::{self, Remembered};
use super::needs::Needs;
use super::{Answer, Facts, Order, Trouble};
use crate::routes::Routes;

/// Where the kernel has its settings.
pub const PROC_SYS: &str = "/proc/sys";
/// File name in the run directory of what settings were before.
pub const FILE: &str = "lvs.sysctls";
/// What is written until it takes the file's place.
const NEW_FILE: &str = "lvs.sysctls.new";
/// Longest value that is read, in bytes.
const LONGEST_VALUE: u64 = 64;
/// Orders after which setting back is given up, were it never to come to rest.
const MOST_ORDERS: usize = 32;

/// The settings of this network namespace and what they were before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SysctlFiles {
    root: PathBuf,
    file: PathBuf,
    new_file: PathBuf,
}

impl SysctlFiles {
    /// The settings below `root` (`/proc/sys`), with the file of what was before in `run_dir`.
    #[must_use]
    pub fn new(root: &Path, run_dir: &Path) -> Self {
        Self { root: root.to_owned(), file: run_dir.join(FILE), new_file: run_dir.join(NEW_FILE) }
    }

    /// What an earlier run left to be set back; nothing if there is no such file. Logs what cannot be understood.
    #[must_use]
    pub fn left_behind(&self) -> Vec<Remembered> {
        let path = self.file.display();
        let mut text = Vec::new();
        let read = match File::open(&self.file) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Vec::new(),
            Err(error) => Err(error),
            Ok(file) => file.take(memory::MAX_BYTES as u64).read_to_end(&mut text),
        };
        if let Err(error) = read {
            tracing::error!(%path, %error, "cannot read what the kernel's settings were before an earlier run");
        }
        let (all, bad) = memory::parse(&text);
        if !bad.is_empty() {
            tracing::warn!(%path, lines = ?bad, "lines that name no setting with its value before");
        }
        all
    }

    /// Does what is asked.
    #[must_use]
    pub fn carry_out(&self, order: Order) -> Answer {
        match order {
            Order::Survey(addresses) => Answer::Surveyed(self.survey(&addresses)),
            Order::Read(names) => {
                let read = |name: SysctlName| {
                    let value = self.read(&name);
                    (name, value)
                };
                Answer::Read(names.into_iter().map(read).collect())
            }
            Order::Remember(all) => {
                let written = self.remember(&all);
                Answer::Remembered(written.map_err(|error| format!("{}: {error}", self.file.display())))
            }
            Order::Write(values) => {
                Answer::Written(values.iter().map(|(name, value)| self.write(name, *value)).collect())
            }
        }
    }

    fn read(&self, name: &SysctlName) -> Result<i64, Trouble> {
        let mut text = String::new();
        File::open(self.path(name))
            .and_then(|file| file.take(LONGEST_VALUE).read_to_string(&mut text))
            .map_err(|error| trouble(&error))?;
        text.trim().parse().map_err(|_| Trouble::Failed(format!("it is no number: {}", text.trim())))
    }

    fn write(&self, name: &SysctlName, value: i64) -> Result<(), Trouble> {
        let file = OpenOptions::new().write(true).truncate(true).open(self.path(name));
        file.and_then(|mut file| file.write_all(format!("{value}\n").as_bytes()))
            .map_err(|error| trouble(&error))
    }

    fn path(&self, name: &SysctlName) -> PathBuf {
        self.root.join(name.path())
    }

    /// Replaces the file as a whole; nothing to remember removes it.
    fn remember(&self, all: &[Remembered]) -> io::Result<()> {
        if !all.is_empty() {
            fs::write(&self.new_file, memory::render(all))?;
            return fs::rename(&self.new_file, &self.file);
        }
        match fs::remove_file(&self.file) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }

    fn survey(&self, addresses: &BTreeSet<IpAddr>) -> Facts {
        Facts { interfaces: self.interfaces(), towards: towards(addresses) }
    }

    fn interfaces(&self) -> BTreeSet<String> {
        let folder = fs::read_dir(self.root.join("net/ipv4/conf")).into_iter().flatten();
        let names = folder.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        names.filter(|name| name != "all" && name != "default").collect()
    }
}

/// The interface that leads to each of `addresses`. One without a way is left out until there is one.
fn towards(addresses: &BTreeSet<IpAddr>) -> BTreeMap<IpAddr, String> {
    if addresses.is_empty() {
        return BTreeMap::new();
    }
    let mut routes = match Routes::open() {
        Ok(routes) => routes,
        Err(error) => {
            tracing::debug!(%error, "cannot ask for routes");
            return BTreeMap::new();
        }
    };
    let found = addresses.iter().filter_map(|address| {
        let route = routes.to(*address).ok()??;
        (!route.local).then_some((*address, route.interface))
    });
    found.collect()
}

fn trouble(error: &io::Error) -> Trouble {
    match error.kind() {
        ErrorKind::NotFound => Trouble::Missing,
        _ => Trouble::Failed(error.to_string()),
    }
}

/// Sets back what an earlier run left, if anything; what cannot be set back is logged.
pub fn set_back(files: &SysctlFiles) {
    let now = Mono::now();
    let mut keeper = Keeper::new(now, Needs::default(), files.left_behind());
    keeper.stop(now);
    let mut steps = keeper.tick(now);
    for _ in 0..MOST_ORDERS {
        let mut answers = Vec::new();
        for step in steps {
            match step {
                Step::Tell(event) => event.log(),
                Step::Do(order) => answers.push(files.carry_out(order)),
            }
        }
        if answers.is_empty() && keeper.is_settled() {
            return;
        }
        steps = answers.into_iter().flat_map(|answer| keeper.answer(now, answer)).collect();
        if steps.is_empty() {
            steps = keeper.tick(now);
        }
    }
}
