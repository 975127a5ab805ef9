//! The program `ipvsadm`: parse, open, run, exit status.

use std::ffi::OsString;
use std::io::{self, Write};
use std::process::{Command as Process, ExitCode, Stdio};

use ipvsadm::cli::args::{self, Command};
use ipvsadm::cli::names::System;
use ipvsadm::cli::run::{Session, unwritten};
use ipvsadm::cli::{complete, exit, help, printable};
use ipvsadm::{Error, Ipvs, Table};

/// What loads a module of the kernel.
const MODPROBE: &str = "/sbin/modprobe";

fn main() -> ExitCode {
    let names = System::default();
    let words: Vec<OsString> = std::env::args_os().skip(1).collect();
    if let Some(words) = complete::asked(&words) {
        return show(&complete::candidates(&words, &Here));
    }
    let command = match args::parse(words, &names) {
        Ok(Command::Help) => return show(&help::help()),
        Ok(Command::Version) => return show(&help::version()),
        Ok(command) => command,
        Err(error) => {
            return fail(error.status, &error.message);
        }
    };
    let mut ipvs = match open() {
        Ok(ipvs) => ipvs,
        Err(error) => {
            return fail(exit::USAGE, &error);
        }
    };
    let mut session = Session {
        ipvs: &mut ipvs,
        names: &names,
        input: &mut io::stdin().lock(),
        output: &mut io::stdout().lock(),
        errors: &mut io::stderr().lock(),
    };
    ExitCode::from(session.run(&command))
}

/// What completion may refer to. It must not disturb: what cannot be read is not offered.
struct Here;

impl complete::Around for Here {
    fn table(&self) -> Table {
        Ipvs::open().and_then(|mut ipvs| ipvs.table()).unwrap_or_default()
    }

    fn interfaces(&self) -> Vec<String> {
        let entries = std::fs::read_dir("/sys/class/net").into_iter().flatten().flatten();
        entries.filter_map(|entry| entry.file_name().into_string().ok()).collect()
    }
}

/// Help needs no kernel.
fn show(text: &str) -> ExitCode {
    let mut output = io::stdout().lock();
    let written = output.write_all(text.as_bytes()).and_then(|()| output.flush());
    match written.err().and_then(|error| unwritten(&error)) {
        Some(message) => fail(exit::NOT_LISTED, &message),
        None => ExitCode::SUCCESS,
    }
}

/// Says why there is nothing more to do. If nobody can hear it (`eprintln!` would panic) the status still tells.
fn fail(status: u8, message: &str) -> ExitCode {
    let _ = writeln!(io::stderr(), "ipvsadm: {}", printable(message));
    ExitCode::from(status)
}

/// Opens IPVS; like the original, tries to load the module if it is not there, and says how that went.
fn open() -> Result<Ipvs, String> {
    match Ipvs::open() {
        Err(Error::NotAvailable) => {
            let tried = Process::new(MODPROBE).args(["--", "ip_vs"]).stdin(Stdio::null()).output();
            match tried {
                Ok(outcome) if outcome.status.success() => Ipvs::open().map_err(|error| error.to_string()),
                Ok(outcome) => {
                    let said = String::from_utf8_lossy(&outcome.stderr);
                    Err(format!("{}\n{MODPROBE} was tried: {}", Error::NotAvailable, said.trim()))
                }
                Err(error) => Err(format!("{}\n{MODPROBE} cannot be run: {error}", Error::NotAvailable)),
            }
        }
        other => other.map_err(|error| error.to_string()),
    }
}
