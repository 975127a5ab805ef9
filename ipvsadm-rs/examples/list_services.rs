//! Lists services, their real servers and open connections: `cargo run --example list_services`, as root.

use std::process::ExitCode;

use ipvsadm::{Error, Ipvs};

fn main() -> ExitCode {
    match list() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("list_services: {error}");
            ExitCode::FAILURE
        }
    }
}

fn list() -> Result<(), Error> {
    let mut ipvs = Ipvs::open()?;
    println!("IPVS {}", ipvs.info()?.version_text());
    for entry in ipvs.table()?.services {
        println!(
            "{} by {}, {} connections so far",
            entry.service.id, entry.service.scheduler, entry.stats.connections
        );
        for real_server in entry.destinations {
            let destination = real_server.destination;
            println!(
                "  {} weight {}: {} active, {} inactive",
                destination.id,
                destination.weight,
                real_server.active_connections,
                real_server.inactive_connections
            );
        }
    }
    Ok(())
}
