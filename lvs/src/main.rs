//! The program `lvs`: words to a command, the command carried out, its exit status.

use std::io::Write as _;
use std::process::ExitCode;

use daemonkit::exit;
use lvs::args::{self, Command, Mode};
use lvs::{ask, check, configuration, convert_keepalived, ctl, doctor, migrate, start, withdraw};

fn main() -> ExitCode {
    let command = match args::parse(std::env::args_os().skip(1)) {
        Ok(command) => command,
        Err(error) => {
            complain(&format!("{error}\nTry `lvs --help`."));
            return exit::USAGE.into();
        }
    };
    let syslog = match &command {
        Command::Run(run) => run.mode != Mode::Foreground,
        Command::Withdraw(withdraw) => withdraw.syslog,
        _ => false,
    };
    let result = match command {
        Command::Help => return print(args::HELP),
        Command::Version => return print(concat!("lvs ", env!("CARGO_PKG_VERSION"), "\n")),
        Command::Check { json, file, run_dir } => {
            return check::check(&file.unwrap_or_else(lvs_config::default_file), &run_dir, json).into();
        }
        Command::Doctor { json, file } => {
            doctor::examine(&file.unwrap_or_else(lvs_config::default_file), json).map(|(text, is_bad)| {
                let printed = print(&text);
                if is_bad { exit::FAILED.into() } else { printed }
            })
        }
        Command::Migrate { file, clean } => {
            return migrate::run(&file.unwrap_or_else(lvs_config::default_file), clean).into();
        }
        Command::ConvertKeepalived { file, config_id } => {
            return convert_keepalived::run(&file, config_id).into();
        }
        Command::Ctl(asked) => ctl::run(&asked.run_dir, &asked.command, asked.json).map(|shown| show(&shown)),
        Command::Diff { file, json, run_dir, state_dir } => {
            ctl::diff(&run_dir, &state_dir, &file, json).map(|shown| show(&shown))
        }
        Command::Status(query) => ask::status(&query).map(|()| exit::OK.into()),
        Command::DryRun(run) => start::dry_run(&run).map(|text| print(&text)),
        Command::Withdraw(asked) => withdraw::withdraw(&asked),
        Command::Run(run) => start::run(run),
    };
    result.unwrap_or_else(|error| {
        match error.downcast_ref::<configuration::Unusable>() {
            // Lines that begin with the file's name, as compilers write them.
            Some(unusable) => complain_plainly(&unusable.to_string()),
            None => complain(&format!("{error:#}")),
        }
        if syslog {
            format!("{error:#}").lines().for_each(|line| tracing::error!("{line}"));
        }
        start::failure_code(&error).into()
    })
}

/// Prints an answer to standard output and what is wrong to standard error.
fn show(shown: &ctl::Shown) -> ExitCode {
    let _ = std::io::stderr().write_all(shown.complaint.as_bytes());
    print(&shown.out);
    shown.code.into()
}

/// Prints; a reader that has gone away has seen enough.
fn print(text: &str) -> ExitCode {
    let mut out = std::io::stdout();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    exit::OK.into()
}

fn complain(text: &str) {
    complain_plainly(&format!("lvs: {text}"));
}

fn complain_plainly(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}
