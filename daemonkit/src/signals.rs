//! Signals as messages: one thread waits for them and passes each on; handlers do nothing else.

use std::io;
use std::thread;

use crossbeam_channel::Sender;
use signal_hook::iterator::Signals;

/// Starts a thread that sends `to_message(signal)` for each of `signals` that arrives.
///
/// From here on these signals no longer end the process. The thread ends when the channel's receiver is gone and
/// one more signal arrives. Signals of one kind that arrive together may be sent once.
///
/// # Errors
/// The operating system's, when a handler cannot be installed or the thread not be started.
pub fn forward<M, F>(signals: &[i32], to: Sender<M>, to_message: F) -> io::Result<()>
where
    M: Send + 'static,
    F: Fn(i32) -> M + Send + 'static,
{
    let mut arriving = Signals::new(signals)?;
    thread::Builder::new().name("signals".into()).spawn(move || {
        for signal in arriving.forever() {
            if to.send(to_message(signal)).is_err() {
                return;
            }
        }
    })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use nix::sys::signal::{Signal, raise};

    use super::*;

    #[test]
    fn a_signal_arrives_as_a_message() {
        let (to, from) = crossbeam_channel::bounded(4);
        forward(&[Signal::SIGUSR1 as i32], to, |signal| signal * 100).unwrap();
        raise(Signal::SIGUSR1).unwrap();
        assert_eq!(from.recv_timeout(Duration::from_secs(5)), Ok(Signal::SIGUSR1 as i32 * 100));
    }
}
