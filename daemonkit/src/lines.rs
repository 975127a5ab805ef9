//! Reads the lines that children write, all of them on one thread.
//!
//! A line is text up to a newline. What is longer than [`MAX_LINE`] is cut there and the rest dropped, so that a
//! child cannot make its parent grow; what is not UTF-8 is replaced. The end of a pipe is told once, after its
//! last line.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::thread;

use crossbeam_channel::{Receiver, Sender, unbounded};
use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::eventfd::{EfdFlags, EventFd};

/// Longest line passed on, in bytes.
pub const MAX_LINE: usize = 4096;

/// Token of the event descriptor; children count up from 1.
const WAKE: u64 = 0;

/// What one child's pipe gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A line, without its newline.
    Line(String),
    /// The pipe ended: nobody can write to it any more.
    End,
}

/// Handle of the reading thread, which ends when an event finds nobody listening.
#[derive(Debug)]
pub struct LineReader {
    new_pipes: Sender<(u64, OwnedFd)>,
    wake: EventFd,
}

impl LineReader {
    /// Starts the thread; each event goes to `to` as `to_message(token, event)`.
    ///
    /// # Errors
    /// The operating system's, when the thread or its descriptors cannot be made.
    pub fn start<M, F>(to: Sender<M>, to_message: F) -> io::Result<Self>
    where
        M: Send + 'static,
        F: Fn(u64, Event) -> M + Send + 'static,
    {
        let wake = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?;
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let woken = wake.as_fd().try_clone_to_owned()?;
        epoll.add(&woken, EpollEvent::new(EpollFlags::EPOLLIN, WAKE))?;
        let (new_pipes, incoming) = unbounded();
        let deliver = move |token, event| to.send(to_message(token, event)).is_ok();
        let mut reading = Reading { epoll, woken: woken.into(), incoming, pipes: HashMap::new() };
        thread::Builder::new().name("lines".into()).spawn(move || reading.run(&deliver))?;
        Ok(Self { new_pipes, wake })
    }

    /// Adds a pipe; its events carry `token`, which must not be 0 nor that of a pipe still open.
    ///
    /// # Errors
    /// When the reading thread is gone or cannot be woken.
    pub fn add(&self, token: u64, pipe: OwnedFd) -> io::Result<()> {
        self.new_pipes.send((token, pipe)).map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
        self.wake.write(1)?;
        Ok(())
    }
}

/// The thread's own state.
struct Reading {
    epoll: Epoll,
    woken: File,
    incoming: Receiver<(u64, OwnedFd)>,
    pipes: HashMap<u64, Pipe>,
}

/// One child's pipe and the beginning of a line not yet finished.
struct Pipe {
    file: File,
    partial: Vec<u8>,
}

impl Reading {
    fn run(&mut self, deliver: &dyn Fn(u64, Event) -> bool) {
        let mut ready = [EpollEvent::empty(); 64];
        loop {
            let count = match self.epoll.wait(&mut ready, EpollTimeout::NONE) {
                Ok(count) => count,
                Err(Errno::EINTR) => continue,
                // Only a defect can make the wait fail; without it nothing could be read any more.
                Err(_) => return,
            };
            for event in &ready[..count] {
                match event.data() {
                    WAKE => self.accept_pipes(),
                    token if self.read_from(token, deliver) => {}
                    _nobody_listens => return,
                }
            }
        }
    }

    /// Takes over the pipes that were added.
    fn accept_pipes(&mut self) {
        // The counter's value says nothing; reading it re-arms the event.
        let _ = self.woken.read(&mut [0; 8]);
        while let Ok((token, pipe)) = self.incoming.try_recv() {
            if self.epoll.add(&pipe, EpollEvent::new(EpollFlags::EPOLLIN, token)).is_ok() {
                self.pipes.insert(token, Pipe { file: pipe.into(), partial: Vec::new() });
            }
        }
    }

    /// Reads once, so that a child that never stops writing cannot keep the others waiting.
    /// False when nobody listens any more.
    fn read_from(&mut self, token: u64, deliver: &dyn Fn(u64, Event) -> bool) -> bool {
        let Some(pipe) = self.pipes.get_mut(&token) else { return true };
        let mut chunk = [0; 4096];
        match pipe.file.read(&mut chunk) {
            Ok(0) => {}
            Ok(count) => return pipe.split(&chunk[..count], &mut |line| deliver(token, Event::Line(line))),
            Err(error) if matches!(error.kind(), io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock) => {
                return true;
            }
            Err(_) => {}
        }
        if let Some(mut ended) = self.pipes.remove(&token) {
            // Closing the descriptor takes it out of the epoll set.
            if !ended.partial.is_empty() {
                ended.split(b"\n", &mut |line| deliver(token, Event::Line(line)));
            }
        }
        deliver(token, Event::End)
    }
}

impl Pipe {
    /// Passes on the lines that `chunk` completes. False as soon as nobody listens.
    fn split(&mut self, chunk: &[u8], line: &mut dyn FnMut(String) -> bool) -> bool {
        for piece in chunk.split_inclusive(|byte| *byte == b'\n') {
            let (text, complete) = piece.strip_suffix(b"\n").map_or((piece, false), |text| (text, true));
            let room = MAX_LINE.saturating_sub(self.partial.len());
            self.partial.extend_from_slice(&text[..text.len().min(room)]);
            if complete {
                let whole = String::from_utf8_lossy(&self.partial).into_owned();
                self.partial.clear();
                if !line(whole) {
                    return false;
                }
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::time::Duration;

    use super::*;

    fn next(from: &Receiver<(u64, Event)>) -> (u64, Event) {
        from.recv_timeout(Duration::from_secs(5)).unwrap()
    }

    #[test]
    fn lines_of_several_pipes_arrive_with_their_tokens_and_their_end() {
        let (to, from) = unbounded();
        let reader = LineReader::start(to, |token, event| (token, event)).unwrap();
        let (first, mut first_in) = io::pipe().unwrap();
        let (second, mut second_in) = io::pipe().unwrap();
        reader.add(1, first.into()).unwrap();
        reader.add(2, second.into()).unwrap();
        first_in.write_all(b"one\ntw").unwrap();
        assert_eq!(next(&from), (1, Event::Line("one".into())));
        second_in.write_all(b"other\n").unwrap();
        assert_eq!(next(&from), (2, Event::Line("other".into())));
        first_in.write_all(b"o\nrest without newline").unwrap();
        drop(first_in);
        assert_eq!(next(&from), (1, Event::Line("two".into())));
        assert_eq!(next(&from), (1, Event::Line("rest without newline".into())));
        assert_eq!(next(&from), (1, Event::End));
    }

    #[test]
    fn a_line_without_end_is_cut_and_does_not_grow() {
        let (to, from) = unbounded();
        let reader = LineReader::start(to, |token, event| (token, event)).unwrap();
        let (pipe, mut pipe_in) = io::pipe().unwrap();
        reader.add(7, pipe.into()).unwrap();
        pipe_in.write_all(&vec![b'x'; 3 * MAX_LINE]).unwrap();
        pipe_in.write_all(b"\nnext\n").unwrap();
        assert_eq!(next(&from), (7, Event::Line("x".repeat(MAX_LINE))));
        assert_eq!(next(&from), (7, Event::Line("next".into())));
    }
}
