//! Two routers that are alike, one for each tool, and how a tool is run in either: no decisions.
//!
//! A process costs milliseconds in the lab and entering a host as much again, so each host has one thread that stays
//! inside and runs what it is told. Names are resolved from files of the arena's own, never over a network.

use std::{
    io::Write as _,
    os::unix::process::ExitStatusExt as _,
    path::PathBuf,
    process::{Command, Stdio},
    sync::mpsc::{Receiver, Sender, channel},
    thread,
};

use anyhow::{Context as _, Result, anyhow};
use lab::{Cluster, Host, HostSpec, Lab, suite_binary};

use crate::one_router::SOON;

/// Where Debian has the original, whatever the search path says.
const ORIGINAL: &str = "/usr/sbin/ipvsadm";

/// What the names in commands and listings are resolved with. Names of more than 59 letters with their port are a known
/// difference; only the address that shows it has one.
const FILES: [(&str, &str); 3] = [
    (
        "/etc/hosts",
        "127.0.0.1 localhost\n\
         10.0.0.1 www.example.com www\n\
         10.0.0.2 a-long-name-of-a-virtual.service.example longvs\n\
         10.0.0.7 a-name-that-is-longer-than-anybody-had-thought.of.example.com\n\
         10.2.0.1 rs1\n\
         10.2.0.2 a-long-name-of-a-real.server.example longrs\n\
         172.16.0.9 twenty-eight-letters.example\n\
         2001:db8::1 www6.example.com www6\n\
         2001:db8:2::1 a-long-name-of-a-real.server.in.ipv6\n",
    ),
    (
        "/etc/services",
        "http 80/tcp www # WorldWideWeb\n\
         domain 53/tcp\n\
         domain 53/udp\n\
         tftp 69/udp\n\
         https 443/tcp\n\
         http-alt 8080/tcp webcache\n\
         long-port-name 8443/tcp\n\
         diameter 3868/sctp\n",
    ),
    ("/etc/nsswitch.conf", "hosts: files\nservices: files\n"),
];

/// A tool; also the router whose table it changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tool {
    /// The C program.
    Original,
    /// The suite's.
    Ours,
}

impl Tool {
    /// Both, the measure first.
    pub(super) const BOTH: [Self; 2] = [Self::Original, Self::Ours];

    /// Its name for reports.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Original => "original",
            Self::Ours => "ours",
        }
    }
}

/// What a tool did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Outcome {
    /// Exit status, or 128 and the signal that ended it.
    pub(super) status: i32,
    /// Standard output.
    pub(super) stdout: String,
    /// Standard error.
    pub(super) stderr: String,
}

/// A command line without the program's name, and standard input.
struct Job {
    tool: PathBuf,
    words: Vec<String>,
    input: Vec<u8>,
}

/// The thread that stays inside a host.
struct Inside {
    jobs: Sender<Job>,
    outcomes: Receiver<Result<Outcome>>,
}

/// Both routers.
pub(super) struct Arena {
    original: Inside,
    ours: Inside,
    binary: PathBuf,
}

impl Arena {
    /// Two routers on networks of their own that have nobody else.
    pub(super) fn new(lab: &Lab) -> Result<Self> {
        let router = |tool: Tool, bridge: &str| {
            HostSpec::new(tool.name()).interface("eth0", bridge, ["10.1.0.11/24", "fd00:1::11/64"])
        };
        let cluster = lab.cluster().host(router(Tool::Original, "lan1")).host(router(Tool::Ours, "lan2"));
        Self::on(&cluster.build()?)
    }

    /// The hosts called as the tools are.
    pub(super) fn on(cluster: &Cluster) -> Result<Self> {
        let inside = |tool: Tool| -> Result<Inside> {
            let host = cluster.host(tool.name())?;
            use_own_names(&host)?;
            Inside::start(host)
        };
        Ok(Self {
            original: inside(Tool::Original)?,
            ours: inside(Tool::Ours)?,
            binary: suite_binary("ipvsadm")?,
        })
    }

    /// Runs a tool on the router of `place`.
    pub(super) fn run(&self, place: Tool, tool: Tool, words: &[String], input: &[u8]) -> Result<Outcome> {
        let inside = match place {
            Tool::Original => &self.original,
            Tool::Ours => &self.ours,
        };
        let path = match tool {
            Tool::Original => PathBuf::from(ORIGINAL),
            Tool::Ours => self.binary.clone(),
        };
        let job = Job { tool: path, words: words.to_vec(), input: input.to_vec() };
        inside.jobs.send(job).map_err(|_| anyhow!("the thread inside {} has ended", place.name()))?;
        inside.outcomes.recv().map_err(|_| anyhow!("the thread inside {} has ended", place.name()))?
    }
}

impl Inside {
    fn start(host: Host) -> Result<Self> {
        let (jobs, to_do) = channel::<Job>();
        let (done, outcomes) = channel();
        thread::Builder::new().name(format!("inside {}", host.name())).spawn(move || {
            let outcomes = done.clone();
            let entered = host.enter(move || {
                while let Ok(job) = to_do.recv() {
                    if outcomes.send(job.run()).is_err() {
                        return;
                    }
                }
            });
            if let Err(error) = entered {
                // Nobody waits for it any more when this fails.
                let _ = done.send(Err(error));
            }
        })?;
        Ok(Self { jobs, outcomes })
    }
}

impl Job {
    fn run(&self) -> Result<Outcome> {
        let mut child = Command::new(&self.tool)
            .args(&self.words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("start {}", self.tool.display()))?;
        if let Some(mut stdin) = child.stdin.take() {
            // A tool that stops reading at a wrong line closes the pipe, which is its right.
            let _ = stdin.write_all(&self.input);
        }
        let output = child.wait_with_output()?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let status = output.status;
        Ok(Outcome {
            status: status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0)),
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
        })
    }
}

/// Covers the files of names in the host's own mounts; the machine's stay as they are.
fn use_own_names(host: &Host) -> Result<()> {
    for (path, content) in FILES {
        let own = format!("/run/names{path}");
        host.write_file(&own, content)?;
        host.tool("mount").args(["--bind", &own, path]).run(SOON)?.success()?;
    }
    Ok(())
}
