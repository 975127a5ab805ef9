//! `lvs status --watch` on a terminal: the program itself on a pseudo-terminal, and a director that is played.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use lvs_ipc::status::LVS_SOCKET;
use nix::pty::openpty;
use rustix::termios::{Winsize, tcsetwinsize};

use crate::status::status;

/// Patience with a busy machine.
const SOON: Duration = Duration::from_secs(20);
/// What a new picture begins with: to the upper left corner.
const HOME: &str = "\x1b[H";
/// What it ends with: what is left of the one before is cleared.
const END: &[u8] = b"\x1b[J";

/// A watch, its terminal, and what it writes there.
struct Watch {
    program: Child,
    terminal: OwnedFd,
    written: Receiver<Vec<u8>>,
    seen: Vec<u8>,
    run_dir: PathBuf,
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.program.kill().unwrap();
        self.program.wait().unwrap();
        let _ = std::fs::remove_dir_all(&self.run_dir);
    }
}

/// Answers every question with the same status until the test program ends.
fn play_director(run_dir: &Path) {
    let answer = serde_json::to_vec(&status()).unwrap();
    let listener = UnixListener::bind(run_dir.join(LVS_SOCKET)).unwrap();
    thread::spawn(move || {
        for asked in listener.incoming() {
            // Who asked may have been killed.
            let _ = asked.unwrap().write_all(&answer);
        }
    });
}

fn resize(terminal: &OwnedFd, rows: u16, columns: u16) {
    let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(terminal, size).unwrap();
}

impl Watch {
    /// `lvs status --watch` with these words on a terminal of this size.
    fn on(name: &str, rows: u16, columns: u16, words: &[&str]) -> Self {
        let run_dir = std::env::temp_dir().join(format!("lvs-watch-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&run_dir).unwrap();
        play_director(&run_dir);
        let ends = openpty(None, None).unwrap();
        resize(&ends.master, rows, columns);
        let program = Command::new(env!("CARGO_BIN_EXE_lvs"))
            .args(["status", "--watch=0.1", "--run-dir"])
            .arg(&run_dir)
            .args(words)
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .stdout(ends.slave)
            .spawn()
            .unwrap();
        let (to, written) = channel();
        let mut from = File::from(ends.master.try_clone().unwrap());
        thread::spawn(move || {
            let mut part = [0; 4096];
            // The end of the last program on a terminal is an error to whoever reads there.
            while let Ok(length @ 1..) = from.read(&mut part)
                && to.send(part[..length].to_vec()).is_ok()
            {}
        });
        Self { program, terminal: ends.master, written, seen: Vec::new(), run_dir }
    }

    /// The lines of the first picture from now on that is complete and is as wanted.
    fn wait_for(&mut self, wanted: impl Fn(&[&str]) -> bool) -> Vec<String> {
        let until = Instant::now() + SOON;
        loop {
            while let Some(end) = self.seen.windows(END.len()).position(|part| part == END) {
                let picture: Vec<u8> = self.seen.drain(..end + END.len()).collect();
                let plain = String::from_utf8(picture).unwrap().replace("\x1b[K", "");
                let lines: Vec<&str> = plain.strip_prefix(HOME).unwrap().lines().collect();
                let (_, lines) = lines.split_last().unwrap();
                if wanted(lines) {
                    return lines.iter().map(|line| (*line).to_owned()).collect();
                }
            }
            let left = until.saturating_duration_since(Instant::now());
            self.seen.extend(self.written.recv_timeout(left).unwrap());
        }
    }
}

#[test]
fn a_watch_shows_what_fits_its_terminal_and_follows_its_size() {
    let mut watch = Watch::on("size", 10, 120, &[]);
    let lines = watch.wait_for(|_| true);
    assert_eq!(lines.len(), 9, "a row is left to the cursor: {lines:#?}");
    assert!(lines[0].starts_with("lvs 1.2.3, process 42, "), "{lines:#?}");
    assert_eq!(lines[8], "… 10 lines more: lvs status VS shows one virtual server");

    resize(&watch.terminal, 40, 120);
    let all = watch.wait_for(|lines| lines.len() > 9);
    assert_eq!(all.len(), 18, "{all:#?}");
    assert_eq!(all[..8], lines[..8]);

    resize(&watch.terminal, 10, 70);
    let narrow = watch.wait_for(|lines| lines.len() < 18);
    assert_eq!(narrow.last().unwrap(), "… 11 lines more: lvs status VS shows one virtual server");
    // The eighth line takes two rows.
    assert_eq!(narrow.len(), 8, "{narrow:#?}");
}

#[test]
fn a_watch_of_what_is_named_says_only_how_much_is_missing() {
    let mut watch = Watch::on("named", 6, 120, &["web"]);
    let lines = watch.wait_for(|_| true);
    assert_eq!((lines.len(), lines[4].as_str()), (5, "… 9 lines more"), "{lines:#?}");
}
