//! The program `send_arp`: words to a command, the command carried out, its exit status.

mod run;

use std::process::ExitCode;

use daemonkit::exit;
use send_arp::args;

fn main() -> ExitCode {
    let command = match args::parse(std::env::args_os().skip(1)) {
        Ok(command) => command,
        Err(error) => {
            run::tell(&format_args!("{error}\nTry `send_arp --help`."));
            return exit::USAGE.into();
        }
    };
    match run::run(command) {
        Ok(status) => status.into(),
        Err(error) => {
            run::tell(&format_args!("{error:#}"));
            run::status(&error).into()
        }
    }
}
