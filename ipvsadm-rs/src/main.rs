//! The program `ipvsadm`: parse, open, run, exit status.

use std::ffi::OsString;
use std::io::{self, Write};
use std::process::{Command as Process, ExitCode, Stdio};

use ipvsadm::cli::args::{self, Command};
use ipvsadm::cli::names::System;
use ipvsadm::cli::run::Session;
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
            eprintln!("ipvsadm: {}", printable(&error.message));
            return ExitCode::from(error.status);
        }
    };
    let mut ipvs = match open() {
        Ok(ipvs) => ipvs,
        Err(error) => {
            eprintln!("ipvsadm: {error}");
            return ExitCode::from(exit::USAGE);
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

/// Help needs no kernel. A reader that has seen enough is no error.
fn show(text: &str) -> ExitCode {
    match io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => ExitCode::from(exit::NOT_LISTED),
        _ => ExitCode::SUCCESS,
    }
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
