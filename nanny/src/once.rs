//! One probe for a person or a script: a line on standard output and an exit status, `nanny --once`.
//!
//! ```text
//! healthy rs=10.2.0.11:80 took_ms=3 reason="answered as expected"
//! ```

use std::io::{self, Write};
use std::net::SocketAddr;
use std::time::Duration;

use daemonkit::exit;

use crate::check::Verdict;

/// Exit status when nothing became known of the server.
pub const UNKNOWN: u8 = 3;

/// Writes what became of the only probe, and returns the exit status that says so. It says so also when nobody reads.
#[must_use]
pub fn tell(target: SocketAddr, verdict: &Verdict, took: Duration) -> u8 {
    let _ = io::stdout().write_all(line(target, verdict, took).as_bytes());
    match verdict {
        Verdict::Healthy(_) => exit::OK,
        Verdict::Unhealthy(_) => exit::FAILED,
        Verdict::Unknown(_) => UNKNOWN,
    }
}

fn line(target: SocketAddr, verdict: &Verdict, took: Duration) -> String {
    let (outcome, reason) = match verdict {
        Verdict::Healthy(reason) => ("healthy", reason.to_string()),
        Verdict::Unhealthy(reason) => ("unhealthy", reason.to_string()),
        Verdict::Unknown(reason) => ("unknown", reason.to_string()),
    };
    format!("{outcome} rs={target} took_ms={} reason=\"{reason}\"\n", took.as_millis())
}

#[cfg(test)]
mod tests {
    use nix::errno::Errno;

    use super::*;
    use crate::check::{Failure, Fault, Success};

    #[test]
    fn a_verdict_is_one_line() {
        let told = |verdict| line("10.2.0.11:80".parse().unwrap(), &verdict, Duration::from_micros(3_900));
        assert_eq!(
            told(Verdict::Healthy(Success::AsExpected)),
            "healthy rs=10.2.0.11:80 took_ms=3 reason=\"answered as expected\"\n"
        );
        assert_eq!(
            told(Verdict::Unhealthy(Failure::Mismatch { got: b"a\nb".into(), expected: "\"c\"".into() })),
            "unhealthy rs=10.2.0.11:80 took_ms=3 reason=\"answer begins with \"a\"…, expected \"c\"\"\n"
        );
        assert_eq!(
            told(Verdict::Unknown(Fault { doing: "connect", errno: Errno::EMFILE })),
            "unknown rs=10.2.0.11:80 took_ms=3 reason=\"cannot connect: too many open files\"\n"
        );
    }
}
