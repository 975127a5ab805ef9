//! Watches how fast services work: `cargo run --example watch_rates [ROUNDS]`, as root. One line for each busy service
//! and second, five rounds unless told otherwise.
//!
//! The kernel estimates rates by itself (unless `net.ipv4.vs.run_estimation` is 0), so nothing has to be remembered
//! from one round to the next.

use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use ipvsadm::{Error, Ipvs};

fn main() -> ExitCode {
    let rounds = match std::env::args().nth(1).map(|word| word.parse::<u32>()) {
        None => 5,
        Some(Ok(rounds)) => rounds,
        Some(Err(error)) => {
            eprintln!("watch_rates: the number of rounds: {error}");
            return ExitCode::from(2);
        }
    };
    match watch(rounds) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("watch_rates: {error}");
            ExitCode::FAILURE
        }
    }
}

fn watch(rounds: u32) -> Result<(), Error> {
    let mut ipvs = Ipvs::open()?;
    for round in 1..=rounds {
        for entry in ipvs.table()?.services {
            let rates = entry.stats.rates;
            if rates.pps_in > 0 {
                println!(
                    "{round}: {}: {} connections/s, {} packets/s and {} bytes/s in, {} bytes/s out",
                    entry.service.id, rates.cps, rates.pps_in, rates.bps_in, rates.bps_out
                );
            }
        }
        if round < rounds {
            thread::sleep(Duration::from_secs(1));
        }
    }
    Ok(())
}
