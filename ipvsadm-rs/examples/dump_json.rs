//! Writes the table as JSON: `cargo run --example dump_json`, as root.
//!
//! It is what `ipvsadm -L --json` writes, through the feature `cli`; for another shape go through [`ipvsadm::Table`]
//! yourself, as `list_services` does.

use std::error::Error;
use std::process::ExitCode;

use ipvsadm::Ipvs;
use ipvsadm::cli::json;

fn main() -> ExitCode {
    match dump() {
        Ok(text) => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("dump_json: {error}");
            ExitCode::FAILURE
        }
    }
}

fn dump() -> Result<String, Box<dyn Error>> {
    let mut ipvs = Ipvs::open()?;
    let info = ipvs.info()?;
    let table = ipvs.table()?;
    Ok(json::table(&info, &table, true)?)
}
