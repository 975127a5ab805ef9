//! Programs in hosts: started, watched line by line, signalled, and stopped by their id.
//!
//! A [`Program`] is a handle. The process belongs to the host and is killed when the lab ends, so that a failure
//! report still finds it running; [`Program::stop`] ends it politely before (TERM, a bounded wait, KILL). The process is
//! not reaped while there is a handle, so its id stays its own and a signal never hits a stranger.

use std::{
    ffi::{OsStr, OsString},
    fmt, fs,
    io::{BufRead as _, BufReader, Read},
    os::unix::process::ExitStatusExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use nix::{
    sys::{
        signal::{Signal, kill},
        wait::{Id, WaitPidFlag, WaitStatus, waitid},
    },
    unistd::Pid,
};
use regex::Regex;

use crate::{
    host::Host,
    journal::{Entry, Journal, locked},
};

/// How long a program may take to obey TERM before it is killed.
const OBEY_TERM: Duration = Duration::from_secs(3);
/// How long a killed process may take to be gone; only a kernel fault takes longer.
const OBEY_KILL: Duration = Duration::from_secs(5);
/// Longest line kept of a program's output, in bytes; the rest of a longer one is cut off. A status of a dozen virtual servers
/// is one line.
const LONGEST_LINE: usize = 64 * 1024;

/// The folder of the suite's binaries: where this executable is, or above it for a test executable.
///
/// # Errors
/// When the path of this executable cannot be read.
pub fn programs_folder() -> Result<PathBuf> {
    let me = std::env::current_exe().context("path of this executable")?;
    let folder = me.parent().ok_or_else(|| anyhow!("{} has no folder", me.display()))?;
    Ok(match folder.file_name() {
        Some(name) if name == "deps" => folder.parent().unwrap_or(folder).to_owned(),
        _ => folder.to_owned(),
    })
}

/// The path of a binary of the suite.
///
/// # Errors
/// When it is not built.
pub fn suite_binary(name: &str) -> Result<PathBuf> {
    let path = programs_folder()?.join(name);
    ensure!(path.is_file(), "{} is not built: run `cargo build --workspace` first", path.display());
    Ok(path)
}

/// A program about to be started in a host; made by [`Host::program`] and [`Host::tool`].
#[must_use = "a launch does nothing until `start` or `run`"]
pub struct Launch {
    host: Host,
    path: Result<PathBuf>,
    label: String,
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    folder: Option<PathBuf>,
}

impl Launch {
    pub(crate) fn new(host: &Host, name: &str, path: Result<PathBuf>) -> Self {
        let label = Path::new(name).file_name().map_or(name.to_owned(), |n| n.to_string_lossy().into_owned());
        Self { host: host.clone(), path, label, args: Vec::new(), env: Vec::new(), folder: None }
    }

    /// Adds an argument.
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    pub fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// Sets an environment variable; the others are inherited.
    pub fn env(mut self, key: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.env.push((key.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Sets the current folder.
    pub fn folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder = Some(folder.into());
        self
    }

    /// Names it in the journal; by default the program's own name.
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    /// Starts it.
    ///
    /// # Errors
    /// When it is not built, not installed or cannot be executed.
    pub fn start(self) -> Result<Program> {
        let path = self.path?;
        let mut command = Command::new(&path);
        command.args(&self.args).envs(self.env.iter().map(|(k, v)| (k, v)));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        if let Some(folder) = &self.folder {
            command.current_dir(folder);
        }
        let journal = Arc::clone(self.host.journal());
        let mark = journal.mark();
        let child = self
            .host
            .enter(move || command.spawn())?
            .with_context(|| format!("cannot start {} in {}", path.display(), self.host.name()))?;
        let program = Program(Arc::new(Process::watch(child, &self.label, &self.host, journal, mark)?));
        let shown: Vec<_> = self.args.iter().map(|a| a.to_string_lossy()).collect();
        self.host.note(format!("started {} {} (pid {})", self.label, shown.join(" "), program.pid()));
        self.host.adopt(program.clone());
        Ok(program)
    }

    /// Runs it to its end, at most `within`.
    ///
    /// # Errors
    /// As [`Launch::start`], and when it does not end in time.
    pub fn run(self, within: Duration) -> Result<Finished> {
        let program = self.start()?;
        let status = program.wait_exit(within)?;
        let (stdout, stderr) = program.outputs();
        Ok(Finished { status, stdout, stderr })
    }
}

/// A program that ran to its end.
#[derive(Debug, Clone)]
pub struct Finished {
    /// How it ended.
    pub status: ExitStatus,
    /// Its standard output (lines end with `\n`).
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

impl Finished {
    /// Itself, if the exit status is 0.
    ///
    /// # Errors
    /// Otherwise, with status and standard error.
    pub fn success(self) -> Result<Self> {
        ensure!(self.status.success(), "{}: {}{}", self.status, self.stdout, self.stderr);
        Ok(self)
    }
}

/// Which of the two outputs a line came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stream {
    Out,
    Err,
}

#[derive(Default)]
struct Progress {
    lines: Vec<(Stream, String)>,
    exit: Option<ExitStatus>,
    open_streams: usize,
}

/// The process behind a handle.
struct Process {
    pid: Pid,
    source: Arc<str>,
    journal: Arc<Journal>,
    /// Journal mark from before the start.
    mark: usize,
    progress: Arc<Mutex<Progress>>,
    /// Kept unreaped so that the id stays taken.
    child: Mutex<Child>,
}

impl Process {
    fn watch(mut child: Child, label: &str, host: &Host, journal: Arc<Journal>, mark: usize) -> Result<Self> {
        let pid = Pid::from_raw(i32::try_from(child.id()).context("process id")?);
        let source: Arc<str> = Arc::from(host.unique_source(label));
        let progress = Arc::new(Mutex::new(Progress { open_streams: 2, ..Progress::default() }));
        let reader = |stream, input: Option<Box<dyn Read + Send>>| {
            let (journal, source, progress) =
                (Arc::clone(&journal), Arc::clone(&source), Arc::clone(&progress));
            thread::Builder::new().name(format!("read {source}")).spawn(move || {
                if let Some(input) = input {
                    read_lines(input, |line| {
                        locked(&progress).lines.push((stream, line.clone()));
                        journal.note(&source, line);
                    });
                }
                locked(&progress).open_streams -= 1;
                journal.nudge();
            })
        };
        reader(Stream::Out, child.stdout.take().map(|s| Box::new(s) as Box<dyn Read + Send>))?;
        reader(Stream::Err, child.stderr.take().map(|s| Box::new(s) as Box<dyn Read + Send>))?;
        let (journal_of_exit, progress_of_exit, source_of_exit) =
            (Arc::clone(&journal), Arc::clone(&progress), Arc::clone(&source));
        thread::Builder::new().name(format!("wait {source}")).spawn(move || {
            let exit = wait_without_reaping(pid);
            let shown = exit.map_or("end unknown".to_owned(), |e| e.to_string());
            locked(&progress_of_exit).exit = Some(exit.unwrap_or_default());
            journal_of_exit.note(&source_of_exit, format!("[ended: {shown}]"));
        })?;
        Ok(Self { pid, source, journal, mark, progress, child: Mutex::new(child) })
    }

    fn exit(&self) -> Option<ExitStatus> {
        locked(&self.progress).exit
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        if let Some(exit) = self.exit() {
            bail!("{} cannot get {signal}: it has ended ({exit})", self.source);
        }
        kill(self.pid, signal).with_context(|| format!("send {signal} to {}", self.source))
    }

    fn wait_exit(&self, within: Duration) -> Option<ExitStatus> {
        self.journal.wait_for(0, within, |_| self.exit())
    }

    /// TERM, a bounded wait, KILL, reap. CONT first: a stopped process obeys nothing.
    fn stop(&self) {
        if self.exit().is_none() {
            // It may end by itself between the look and the signal, which is as good.
            let _ = self.signal(Signal::SIGTERM);
            let _ = self.signal(Signal::SIGCONT);
            if self.wait_exit(OBEY_TERM).is_none() {
                self.journal.note(&self.source, "[lab: did not obey TERM, killing it]");
                let _ = self.signal(Signal::SIGKILL);
            }
        }
    }

    /// KILL, without waiting.
    fn kill(&self) {
        if self.exit().is_none() {
            // It may end by itself between the look and the signal, which is as good.
            let _ = kill(self.pid, Signal::SIGKILL);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if self.wait_exit(OBEY_KILL).is_some() {
            let _ = locked(&self.child).wait();
        }
    }
}

/// Waits for the end of a child and leaves it as a zombie.
pub(crate) fn wait_without_reaping(pid: Pid) -> Option<ExitStatus> {
    loop {
        match waitid(Id::Pid(pid), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT) {
            // The raw form of wait(2): exit code in the second byte, signal in the first.
            Ok(WaitStatus::Exited(_, code)) => return Some(ExitStatus::from_raw((code & 0xff) << 8)),
            Ok(WaitStatus::Signaled(_, signal, _)) => return Some(ExitStatus::from_raw(signal as i32)),
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(_) => return None,
        }
    }
}

/// Hands on every line, without its end, bytes that are not UTF-8 replaced, over-long ones cut.
fn read_lines(input: impl Read, mut line: impl FnMut(String)) {
    let mut input = BufReader::new(input);
    let mut bytes = Vec::new();
    loop {
        bytes.clear();
        match input.read_until(b'\n', &mut bytes) {
            Ok(0) | Err(_) => return,
            Ok(_) => {
                let text = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
                let kept = text.get(..LONGEST_LINE).unwrap_or(text);
                line(String::from_utf8_lossy(kept).into_owned());
            }
        }
    }
}

/// A started program; clones are handles of the same process.
#[derive(Clone)]
pub struct Program(Arc<Process>);

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (pid {})", self.0.source, self.0.pid)
    }
}

impl Program {
    /// Its process id.
    pub fn pid(&self) -> i32 {
        self.0.pid.as_raw()
    }

    /// Its name in the journal (`r1/pulse`).
    pub fn name(&self) -> &str {
        &self.0.source
    }

    /// Waits until it writes (or has written) a line that matches the regular expression, and returns that line.
    ///
    /// # Errors
    /// When it does not in time or ends before; with its last lines.
    pub fn wait_for_line(&self, pattern: &str, within: Duration) -> Result<Entry> {
        self.wait_for_line_after(self.0.mark, pattern, within)
    }

    /// The same, for lines from a mark of the journal on ([`Journal::mark`]): for what must happen *again*.
    ///
    /// # Errors
    /// As [`Program::wait_for_line`].
    pub fn wait_for_line_after(&self, mark: usize, pattern: &str, within: Duration) -> Result<Entry> {
        let pattern = Regex::new(pattern).context("pattern of wait_for_line")?;
        let process = &self.0;
        let mut seen = 0;
        let found = process.journal.wait_for(mark, within, |entries| {
            // State first: lines are recorded before the streams count as closed.
            let over = {
                let progress = locked(&process.progress);
                progress.exit.is_some() && progress.open_streams == 0
            };
            let fresh = entries.get(seen..).unwrap_or_default();
            seen = entries.len();
            let line = fresh.iter().find(|e| e.source == process.source && pattern.is_match(&e.text));
            line.map(|entry| Some(entry.clone())).or(over.then_some(None))
        });
        match found {
            Some(Some(entry)) => Ok(entry),
            Some(None) => bail!("{} ended without a line like /{pattern}/{}", self.name(), self.tail(10)),
            None => {
                bail!("{} wrote no line like /{pattern}/ within {within:?}{}", self.name(), self.tail(10))
            }
        }
    }

    /// Sends a signal.
    ///
    /// # Errors
    /// When it has ended.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        self.0.journal.note(&self.0.source, format!("[lab: {signal}]"));
        self.0.signal(signal)
    }

    /// Kills it without notice and waits until it is gone.
    ///
    /// # Errors
    /// When it has ended before.
    pub fn kill9(&self) -> Result<()> {
        self.signal(Signal::SIGKILL)?;
        self.wait_exit(OBEY_KILL).map(drop)
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// When it does not end in time; with its last lines.
    pub fn wait_exit(&self, within: Duration) -> Result<ExitStatus> {
        self.0
            .wait_exit(within)
            .ok_or_else(|| anyhow!("{} did not end within {within:?}{}", self.name(), self.tail(10)))
    }

    /// Its exit status, if it has ended.
    pub fn exit(&self) -> Option<ExitStatus> {
        self.0.exit()
    }

    /// Ends it: TERM, a bounded wait, KILL. Nothing happens if it has ended already.
    pub fn stop(&self) {
        self.0.stop();
    }

    pub(crate) fn kill_at_the_end(&self) {
        self.0.kill();
    }

    /// All its lines so far, in order of arrival, each with its time.
    pub fn lines(&self) -> Vec<Entry> {
        self.0
            .journal
            .wait_for(self.0.mark, Duration::ZERO, |entries| {
                Some(entries.iter().filter(|e| e.source == self.0.source).cloned().collect())
            })
            .unwrap_or_default()
    }

    /// The ids of its direct children.
    ///
    /// # Errors
    /// When `/proc` cannot be read.
    pub fn children(&self) -> Result<Vec<i32>> {
        children(self.pid())
    }

    /// Standard output and standard error so far, whole.
    pub fn outputs(&self) -> (String, String) {
        // The streams may close a moment after the process is gone.
        self.0.journal.wait_for(0, OBEY_TERM, |_| {
            let progress = locked(&self.0.progress);
            (progress.exit.is_none() || progress.open_streams == 0).then_some(())
        });
        let progress = locked(&self.0.progress);
        let of = |wanted: Stream| {
            let lines = progress.lines.iter().filter(|(stream, _)| *stream == wanted);
            lines.fold(String::new(), |text, (_, line)| text + line + "\n")
        };
        (of(Stream::Out), of(Stream::Err))
    }

    fn tail(&self, count: usize) -> String {
        let lines = self.lines();
        if lines.is_empty() {
            return "; it wrote nothing".to_owned();
        }
        let from = lines.len().saturating_sub(count);
        lines[from..].iter().fold("; its last lines:".to_owned(), |text, entry| format!("{text}\n  {entry}"))
    }
}

/// The ids of the direct children of a process, all of its threads' included.
///
/// # Errors
/// When `/proc` cannot be read.
pub fn children(pid: i32) -> Result<Vec<i32>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").context("list /proc")?.flatten() {
        let Some(child) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        // A process that ended meanwhile is nobody's child.
        let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else { continue };
        if parent_in_stat(&stat) == Some(pid) {
            found.push(child);
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// The parent's id in a line of `/proc/PID/stat`: the second word after the name, which may contain anything.
fn parent_in_stat(stat: &str) -> Option<i32> {
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parent_is_found_behind_an_odd_name() {
        assert_eq!(parent_in_stat("12 (a) b) S 7 12 12 0"), Some(7));
        assert_eq!(parent_in_stat("12 (a"), None);
    }

    #[test]
    fn lines_are_cut_and_never_lost() {
        let mut lines = Vec::new();
        let long = "x".repeat(LONGEST_LINE + 1);
        read_lines(format!("one\n\n{long}\nend").as_bytes(), |line| lines.push(line.len()));
        assert_eq!(lines, [3, 0, LONGEST_LINE, 3]);
    }
}
