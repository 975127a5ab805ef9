//! Builds a service with two real servers, twice the load on the second: `cargo run --example build_service
//! 10.1.0.100:80 10.2.0.11:80 10.2.0.12:80`, as root.
//!
//! One batch, one outcome for each change: what is there already is taken as it is.

use std::net::SocketAddr;
use std::process::ExitCode;

use ipvsadm::{Destination, Error, Forward, Ipvs, Request, Scheduler, Service, ServiceId};

fn main() -> ExitCode {
    let addresses: Result<Vec<SocketAddr>, _> = std::env::args().skip(1).map(|word| word.parse()).collect();
    let Ok(Ok([vip, first, second])) = addresses.map(<[SocketAddr; 3]>::try_from) else {
        eprintln!("usage: build_service VIP:PORT SERVER:PORT SERVER:PORT");
        return ExitCode::from(2);
    };
    match build(vip, first, second) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("build_service: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Returns how many changes were refused.
fn build(vip: SocketAddr, first: SocketAddr, second: SocketAddr) -> Result<usize, Error> {
    let id = ServiceId::tcp(vip);
    let server = |address: SocketAddr, weight| Destination {
        weight,
        ..Destination::new(address.into(), Forward::Masquerade)
    };
    let mut ipvs = Ipvs::open()?;
    let outcome = ipvs.apply(&[
        Request::AddService(Service::new(id, Scheduler::WRR)),
        Request::AddDestination(id, server(first, 1)),
        Request::AddDestination(id, server(second, 2)),
    ])?;
    let mut refused = 0;
    for error in outcome.into_iter().filter_map(Result::err) {
        if !error.is_already_there() {
            eprintln!("{error}");
            refused += 1;
        }
    }
    Ok(refused)
}
