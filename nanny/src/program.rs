//! Runs one program: output bounded by its reader, never waited for, killed with everything that it started.
//!
//! The program gets `/dev/null` as standard input and standard error, a process group of its own, and none of this
//! process's signal handlers. When it ends, what is left of its group is killed too, so that no check leaves
//! processes behind.

use std::ffi::OsString;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};

use daemonkit::children::{Exit, PARENT_ENV};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;

/// Most bytes read at once.
const PIECE: usize = 4096;

/// Most pieces read at a time: more than a pipe holds, so that none is left of a program that has ended.
const PIECES: usize = 32;

/// A program that was started and has not been reaped. Dropping it kills its process group.
#[derive(Debug)]
pub struct Program {
    child: Child,
    group: Pid,
    output: Option<ChildStdout>,
    reaped: bool,
}

/// What a look at a program gave.
enum Progress {
    /// This many bytes of output were read.
    Output(usize),
    /// Nothing new.
    Running,
    /// It has ended, and all of its output has been read.
    Ended(Exit),
}

impl Program {
    /// Starts `words`.
    ///
    /// # Errors
    /// The kernel's reason why the program cannot be started; `EINVAL` for no words.
    pub fn start(words: &[OsString]) -> Result<Self, Errno> {
        let (program, arguments) = words.split_first().ok_or(Errno::EINVAL)?;
        let mut command = Command::new(program);
        command.args(arguments).env_remove(PARENT_ENV).process_group(0);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().map_err(|error| errno(&error))?;
        let group = Pid::from_raw(i32::try_from(child.id()).map_err(|_| Errno::EOVERFLOW)?);
        let output = child.stdout.take();
        let started = Self { child, group, output, reaped: false };
        if let Some(output) = &started.output {
            fcntl(output, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        }
        Ok(started)
    }

    /// Where output arrives, until its end.
    #[must_use]
    pub fn output(&self) -> Option<BorrowedFd<'_>> {
        self.output.as_ref().map(AsFd::as_fd)
    }

    /// Passes on the output that there is, piece by piece, and tells how the program ended once it has. Never waits, and
    /// comes back after [`PIECES`] pieces even from a program that writes without end.
    pub fn drain(&mut self, mut take: impl FnMut(&[u8])) -> Option<Exit> {
        let mut buffer = [0; PIECE];
        for _ in 0..PIECES {
            match self.look(&mut buffer) {
                Progress::Output(count) => take(&buffer[..count]),
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
        if let Some(output) = &mut self.output {
            match output.read(buffer) {
                Ok(count) if count > 0 => return Progress::Output(count),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => return Progress::Running,
                Ok(_) | Err(_) => self.output = None,
            }
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
        self.output = None;
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

fn exit(status: ExitStatus) -> Exit {
    match (status.code(), status.signal()) {
        (Some(code), _) => Exit::Status(code),
        (None, signal) => Exit::Signal(signal.unwrap_or(0)),
    }
}

/// The error number behind `error`; a program name with a zero byte has none and counts as "not found".
fn errno(error: &io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::ENOENT, Errno::from_raw)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    fn run(script: &str) -> Result<(Vec<u8>, Exit), String> {
        let mut program = Program::start(&words(script)).map_err(|errno| errno.to_string())?;
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

    fn words(script: &str) -> [OsString; 3] {
        ["/bin/sh".into(), "-c".into(), script.into()]
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
    fn a_missing_program_is_an_error_and_not_a_panic() {
        let start = |word: &str| Program::start(&[OsString::from(word)]).map(|_| ());
        assert_eq!(start("/no/such/program"), Err(Errno::ENOENT));
        assert_eq!(start("/etc/passwd"), Err(Errno::EACCES));
        assert_eq!(start("a\0b"), Err(Errno::ENOENT));
        assert!(Program::start(&[]).is_err());
    }

    #[test]
    fn a_killed_program_takes_its_children_along() {
        let mut program = Program::start(&words("sleep 600 & echo $!; wait")).unwrap();
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
