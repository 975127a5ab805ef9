//! Runs one program: output bounded by its reader, never waited for, killed with everything that it started.
//!
//! The program gets `/dev/null` as standard input, a process group of its own, and none of this process's signal
//! handlers. Of what it writes to standard error the beginning is kept, for people. When it ends, what is left of its group is killed too, so that no check leaves
//! processes behind.
//!
//! It also dies with this process, however that ends. A process can ask for that only itself, so this program runs
//! itself first ([`HELPER`]), asks, and then becomes the other one ([`become_program`]). On the way it gives up what
//! privileges this process may have kept for the IPVS table.

use std::ffi::OsString;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, ChildStderr, ChildStdout, Command, ExitStatus, Stdio};

use daemonkit::children::{Exit, PARENT_ENV};
use daemonkit::privilege::keep_only;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::prctl;
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::{Pid, getppid};

/// First word of the command line of a process that is to become another program. The next ones are the number of the
/// process that it dies with, the program and its arguments.
pub const HELPER: &str = "--become";

/// Exit status of a helper that cannot become the program: it is not there, as with a shell.
pub const NOT_FOUND: u8 = 127;

/// Exit status of a helper that cannot become the program for another reason.
pub const CANNOT_RUN: u8 = 126;

/// Most bytes read at once.
const PIECE: usize = 4096;

/// Most pieces read at a time.
const PIECES: usize = 32;

/// Most bytes kept of what a program writes to standard error: more than a message quotes.
pub(crate) const COMPLAINT: usize = 256;

/// A program that was started and has not been reaped. Dropping it kills its process group.
#[derive(Debug)]
pub struct Program {
    child: Child,
    group: Pid,
    output: Option<ChildStdout>,
    errors: Option<ChildStderr>,
    complaint: Vec<u8>,
    reaped: bool,
}

/// What a look at a program gave.
enum Progress {
    /// This many bytes of output were read.
    Output(usize),
    /// Something was read from standard error.
    Complaint,
    /// Nothing new.
    Running,
    /// It has ended, and all of its output has been read.
    Ended(Exit),
}

impl Program {
    /// Starts `words`, with variables added to the environment. A program that is not there ends with status [`NOT_FOUND`].
    ///
    /// # Errors
    /// The kernel's reason why no process can be started; `EINVAL` for no words.
    pub fn start(words: &[OsString], environment: &[(String, String)]) -> Result<Self, Errno> {
        if words.is_empty() {
            return Err(Errno::EINVAL);
        }
        let mut command = Command::new("/proc/self/exe");
        command.arg0("nanny").arg(HELPER).arg(std::process::id().to_string()).args(words);
        command.envs(environment.iter().map(|(name, value)| (name, value)));
        Self::start_command(command)
    }

    /// Starts `command` as it is, without the detour by [`HELPER`].
    pub(crate) fn start_command(mut command: Command) -> Result<Self, Errno> {
        command.env_remove(PARENT_ENV).process_group(0);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child =
            command.spawn().map_err(|error| error.raw_os_error().map_or(Errno::EIO, Errno::from_raw))?;
        let group = Pid::from_raw(i32::try_from(child.id()).map_err(|_| Errno::EOVERFLOW)?);
        let (output, errors) = (child.stdout.take(), child.stderr.take());
        let started = Self { child, group, output, errors, complaint: Vec::new(), reaped: false };
        for stream in started.streams() {
            fcntl(stream, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        }
        Ok(started)
    }

    /// Where standard output and standard error arrive, each until its end.
    pub fn streams(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let output = self.output.as_ref().map(AsFd::as_fd);
        output.into_iter().chain(self.errors.as_ref().map(AsFd::as_fd))
    }

    /// The beginning of what it has written to standard error, at most 256 bytes.
    #[must_use]
    pub fn complaint(&self) -> &[u8] {
        &self.complaint
    }

    /// Passes on the output that there is, piece by piece, and tells how the program ended once it has. Never waits, and
    /// comes back after a pipe full even from a program that writes without end.
    pub fn drain(&mut self, mut take: impl FnMut(&[u8])) -> Option<Exit> {
        let mut buffer = [0; PIECE];
        for _ in 0..PIECES {
            match self.look(&mut buffer) {
                Progress::Output(count) => take(&buffer[..count]),
                Progress::Complaint => {}
                Progress::Running => return None,
                Progress::Ended(exit) => return Some(exit),
            }
        }
        None
    }

    /// Reads a piece of output into `buffer`, or finds out that the program has ended. Never waits.
    fn look(&mut self, buffer: &mut [u8]) -> Progress {
        // Asked before reading, so that output written before the end is not missed.
        let has_ended = self.has_ended();
        if let Some(count) = read_some(&mut self.output, buffer) {
            return Progress::Output(count);
        }
        if let Some(count) = read_some(&mut self.errors, buffer) {
            let room = COMPLAINT.saturating_sub(self.complaint.len());
            self.complaint.extend_from_slice(&buffer[..count.min(room)]);
            return Progress::Complaint;
        }
        if !has_ended {
            return Progress::Running;
        }
        self.kill_group();
        match self.child.try_wait() {
            Ok(Some(status)) => {
                self.reaped = true;
                Progress::Ended(exit(status))
            }
            Ok(None) | Err(_) => Progress::Running,
        }
    }

    /// Whether it has ended; it stays unreaped, so that its process group's number cannot be another's yet.
    fn has_ended(&self) -> bool {
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
        matches!(waitid(Id::Pid(self.group), flags), Ok(status) if status != WaitStatus::StillAlive)
    }

    fn kill_group(&self) {
        // Once it has been reaped, the group's number may be another's.
        if !self.reaped {
            // Fails only when nothing is left of the group.
            let _ = killpg(self.group, Signal::SIGKILL);
        }
    }

    /// Kills the program with its group. It still has to be reaped: see [`Dying`].
    #[must_use]
    pub fn kill(mut self) -> Dying {
        self.kill_group();
        (self.output, self.errors) = (None, None);
        Dying(self)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if !self.reaped {
            self.kill_group();
            // Reaps it if it is gone already; otherwise the death of this process will.
            let _ = self.child.try_wait();
        }
    }
}

/// A program that has been killed. It is gone when the kernel lets go of it, which may take as long as the system call
/// that it is stuck in.
#[derive(Debug)]
pub struct Dying(Program);

impl Dying {
    /// Reaps it if it is gone by now, and returns it otherwise.
    #[must_use]
    pub fn still_there(mut self) -> Option<Self> {
        if self.is_gone() { None } else { Some(self) }
    }

    /// Reaps it if it is gone by now.
    pub fn is_gone(&mut self) -> bool {
        self.0.reaped = self.0.reaped || !matches!(self.0.child.try_wait(), Ok(None));
        self.0.reaped
    }
}

/// Reads what there is from a stream that does not block, and closes it at its end.
fn read_some(stream: &mut Option<impl Read>, buffer: &mut [u8]) -> Option<usize> {
    loop {
        match stream.as_mut()?.read(buffer) {
            Ok(count) if count > 0 => return Some(count),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return None,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Ok(_) | Err(_) => *stream = None,
        }
    }
}

fn exit(status: ExitStatus) -> Exit {
    match (status.code(), status.signal()) {
        (Some(code), _) => Exit::Status(code),
        (None, signal) => Exit::Signal(signal.unwrap_or(0)),
    }
}

/// Makes this process die with its parent, hold no capability and become a program, as the words after [`HELPER`] say.
/// Returns the exit status when it cannot.
pub fn become_program(mut words: impl Iterator<Item = OsString>) -> u8 {
    let parent = words.next().and_then(|word| word.to_str()?.parse().ok()).map(Pid::from_raw);
    let Some(program) = words.next() else { return CANNOT_RUN };
    // The parent may have ended before the request; then this process has another one by now.
    if prctl::set_pdeathsig(Signal::SIGKILL).is_err() || Some(getppid()) != parent {
        return CANNOT_RUN;
    }
    // Without this a program run by root would keep what the parent kept, in spite of `no_new_privs`.
    if keep_only(&[]).is_err() {
        return CANNOT_RUN;
    }
    match Command::new(program).args(words).exec().kind() {
        io::ErrorKind::NotFound => NOT_FOUND,
        _ => CANNOT_RUN,
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    fn start(script: &str) -> Program {
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", script]);
        Program::start_command(shell).unwrap()
    }

    fn run(script: &str) -> Result<(Vec<u8>, Exit), String> {
        let mut program = start(script);
        let mut output = Vec::new();
        let started = Instant::now();
        while started.elapsed() < Duration::from_secs(10) {
            if let Some(exit) = program.drain(|piece| output.extend_from_slice(piece)) {
                return Ok((output, exit));
            }
            std::thread::yield_now();
        }
        Err("still running".into())
    }

    #[test]
    fn output_and_end_are_told_in_order() {
        assert_eq!(run("echo one; echo two"), Ok((b"one\ntwo\n".into(), Exit::Status(0))));
        assert_eq!(run("echo x; exit 3"), Ok((b"x\n".into(), Exit::Status(3))));
        assert_eq!(run("kill -9 $$"), Ok((vec![], Exit::Signal(9))));
        assert_eq!(run("exec >&-; exit 4"), Ok((vec![], Exit::Status(4))));
    }

    #[test]
    fn what_a_left_over_child_keeps_open_is_not_waited_for() {
        assert_eq!(run("sleep 600 & echo done"), Ok((b"done\n".into(), Exit::Status(0))));
    }

    #[test]
    fn more_than_a_pipe_full_of_output_is_read_while_it_runs() {
        let (output, exit) = run("head -c 200000 /dev/zero").unwrap();
        assert_eq!((output.len(), exit), (200_000, Exit::Status(0)));
    }

    #[test]
    fn the_beginning_of_a_complaint_is_kept_and_the_rest_hinders_nobody() {
        let mut program = start("head -c 200000 /dev/zero | tr '\\0' x >&2; exit 3");
        let started = Instant::now();
        let exit = loop {
            assert!(started.elapsed() < Duration::from_secs(10), "still running");
            if let Some(exit) = program.drain(|piece| panic!("{piece:?}")) {
                break exit;
            }
        };
        assert_eq!((exit, program.complaint()), (Exit::Status(3), &[b'x'; COMPLAINT][..]));
    }

    #[test]
    fn a_helper_without_sense_gives_up() {
        assert_eq!(become_program([].into_iter()), CANNOT_RUN);
        assert_eq!(
            become_program(["1".into(), "/bin/true".into()].into_iter()),
            CANNOT_RUN,
            "another's child"
        );
        assert_eq!(Program::start(&[], &[]).map(|_| ()), Err(Errno::EINVAL));
    }

    #[test]
    fn a_killed_program_takes_its_children_along() {
        let mut program = start("sleep 600 & echo $!; wait");
        let mut output = Vec::new();
        let started = Instant::now();
        while !output.ends_with(b"\n") {
            assert!(started.elapsed() < Duration::from_secs(10));
            assert_eq!(program.drain(|piece| output.extend_from_slice(piece)), None);
        }
        let grandchild = String::from_utf8_lossy(&output).trim().to_owned();
        let mut dying = program.kill();
        while !dying.is_gone() || is_running(&grandchild) {
            assert!(started.elapsed() < Duration::from_secs(10), "{grandchild} still runs");
        }
    }

    /// A process that has been killed may stay a zombie where nobody reaps orphans.
    fn is_running(pid: &str) -> bool {
        let status = std::fs::read_to_string(format!("/proc/{pid}/stat"));
        status.is_ok_and(|stat| !stat.rsplit(')').next().unwrap().trim_start().starts_with(['Z', 'X']))
    }
}
