//! Carries out a [`Command`]: the part of the tool that talks to the kernel and to its standard streams.
//!
//! Changes and rules are here, what is shown is in `show`.

use std::io::{self, BufRead, Write};

use super::advice::Needs;
use super::args::{ArgsError, Command};
use super::names::Names;
use super::printable;
use super::{advice, diff, exit, help, rules};
use crate::client::Ipvs;
use crate::error::{Error, KernelError};
use crate::model::Table;
use crate::request::Request;
use crate::transport::Transport;

/// What a command works with.
pub struct Session<'a, T: Transport> {
    /// The connection to the kernel.
    pub ipvs: &'a mut Ipvs<T>,
    /// Names of hosts and services.
    pub names: &'a dyn Names,
    /// Standard input, for rules.
    pub input: &'a mut dyn BufRead,
    /// Standard output.
    pub output: &'a mut dyn Write,
    /// Standard error.
    pub errors: &'a mut dyn Write,
}

/// Why a command ended early.
pub(super) enum Stop {
    /// The output could not be written.
    Unwritten(io::Error),
    /// Said already; the exit status.
    Failed(u8),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Unwritten(error)
    }
}

impl<T: Transport> Session<'_, T> {
    /// Carries out a command and returns the exit status. Problems are said on standard error.
    pub fn run(&mut self, command: &Command) -> u8 {
        match self.carry_out(command) {
            Ok(status) | Err(Stop::Failed(status)) => status,
            Err(Stop::Unwritten(error)) => match unwritten(&error) {
                None => exit::SUCCESS,
                Some(message) => {
                    self.say(&message);
                    exit::NOT_LISTED
                }
            },
        }
    }

    fn carry_out(&mut self, command: &Command) -> Result<u8, Stop> {
        match command {
            Command::Help => self.output.write_all(help::help().as_bytes())?,
            Command::Version => self.output.write_all(help::version().as_bytes())?,
            Command::Change(request) => return self.change(&[(None, request.clone())]),
            Command::Restore => return self.restore(),
            Command::Save { numeric } => {
                self.save(*numeric)?;
            }
            Command::List(list) => return self.list(list),
            Command::Diff(diff) => return self.diff(diff),
        }
        self.output.flush()?;
        Ok(exit::SUCCESS)
    }

    /// Says why the conversation with the kernel ended.
    pub(super) fn read<A>(&mut self, answer: Result<A, Error>) -> Result<A, Stop> {
        answer.map_err(|error| self.fail(exit::NOT_LISTED, &error.to_string()))
    }

    pub(super) fn fail(&mut self, status: u8, message: &str) -> Stop {
        self.say(message);
        Stop::Failed(status)
    }

    /// Says what is wrong. If nobody can hear it the exit status still tells.
    pub(super) fn say(&mut self, message: &str) {
        let _ = writeln!(self.errors, "ipvsadm: {}", printable(message));
    }

    /// Applies changes, each with the number of its line if it came from one, and returns the last one's
    /// status.
    fn change(&mut self, requests: &[(Option<usize>, Request)]) -> Result<u8, Stop> {
        let only: Vec<Request> = requests.iter().map(|(_, request)| request.clone()).collect();
        let outcome = self.ipvs.apply(&only);
        let outcome = outcome.map_err(|error| self.fail(exit::REFUSED, &error.to_string()))?;
        let mut status = exit::SUCCESS;
        for ((number, _), outcome) in requests.iter().zip(outcome) {
            status = exit::SUCCESS;
            if let Err(error) = outcome {
                status = exit::REFUSED;
                let message = self.explained(*number, &error);
                self.say(&message);
            }
        }
        Ok(status)
    }

    /// A refusal, where it was asked for and what can be done about it. Only for a single command the table is looked
    /// at, and no more of it than is named: among many rules others may have changed it since.
    fn explained(&mut self, number: Option<usize>, error: &KernelError) -> String {
        if let Some(number) = number {
            return format!("line {number}: {error}{}", advice::to(error, None));
        }
        let services = match advice::needs(error) {
            Needs::Nothing => None,
            Needs::Services => self.ipvs.services().ok(),
            Needs::Service(id) => self.ipvs.service(&id).ok().map(|entry| entry.into_iter().collect()),
        };
        let table = services.map(|services| Table { services });
        format!("{error}{}", advice::to(error, table.as_ref()))
    }

    /// Reads rules. Changes are gathered and sent as one batch; what else a line may ask for ends a batch. As
    /// in the original a wrong line ends it all, after those above it have been carried out, and the status is
    /// that of the last line.
    fn restore(&mut self) -> Result<u8, Stop> {
        let mut batch = Vec::new();
        let mut status = exit::SUCCESS;
        for number in 1.. {
            let Some(line) = self.next_line(number)? else { break };
            match rules::read(&line, self.names) {
                Ok(None) => {}
                Ok(Some(Command::Change(request))) => batch.push((Some(number), request)),
                Ok(Some(command @ (Command::Restore | Command::Diff(_)))) => {
                    let message = match command {
                        Command::Restore => "-R cannot be one of the rules that it reads".to_owned(),
                        _ => format!("{} cannot be one of the rules that -R reads", diff::WORD),
                    };
                    let error = ArgsError { message, status: exit::REFUSED, ends_restore: true };
                    return self.wrong_line(number, &line, &error, &batch);
                }
                Ok(Some(other)) => {
                    self.change(&std::mem::take(&mut batch))?;
                    status = self.carry_out(&other)?;
                    if matches!(other, Command::Help | Command::Version) {
                        return Ok(status);
                    }
                }
                Err(error) if error.ends_restore => {
                    return self.wrong_line(number, &line, &error, &batch);
                }
                Err(error) => {
                    self.change(&std::mem::take(&mut batch))?;
                    status = error.status;
                    self.say(&format!("{}: {}", place(number, &line), error.message));
                }
            }
        }
        if batch.is_empty() { Ok(status) } else { self.change(&batch) }
    }

    fn next_line(&mut self, number: usize) -> Result<Option<String>, Stop> {
        let mut line = Vec::new();
        match self.input.read_until(b'\n', &mut line) {
            Ok(0) => Ok(None),
            // Bytes that are no text make a word that is no command, and are reported as such.
            Ok(_) => Ok(Some(String::from_utf8_lossy(&line).into_owned())),
            Err(error) => {
                let message = format!("line {number}: reading standard input failed: {error}");
                Err(self.fail(exit::NOT_LISTED, &message))
            }
        }
    }

    fn wrong_line(
        &mut self,
        number: usize,
        line: &str,
        error: &ArgsError,
        batch: &[(Option<usize>, Request)],
    ) -> Result<u8, Stop> {
        self.change(batch)?;
        let place = place(number, line);
        Err(self.fail(error.status, &format!("{place}: {}; what comes after it was not read", error.message)))
    }
}

/// What is to be said of output that could not be written: nothing if its reader has seen enough.
#[must_use]
pub fn unwritten(error: &io::Error) -> Option<String> {
    (error.kind() != io::ErrorKind::BrokenPipe)
        .then(|| format!("writing to standard output failed, what was written is not complete: {error}"))
}

/// Most characters of a line that are shown.
const SHOWN: usize = 160;

/// A line of rules with its number, for a message: cut to a length that can be read.
pub(super) fn place(number: usize, line: &str) -> String {
    let line = line.trim();
    let shown: String = line.chars().take(SHOWN).collect();
    let rest = if line.chars().nth(SHOWN).is_some() { "..." } else { "" };
    format!("line {number}: `{shown}{rest}`")
}
