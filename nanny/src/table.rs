//! Keeps the server's row in the kernel's IPVS table, when that is this process's duty: asks for what [`Row`] wants,
//! and asks again after a refusal. Nothing that the kernel says ends the monitor.

use std::time::Duration;

use daemonkit::clock::Mono;
use ipvsadm::{Errno, Ipvs, Request};

use crate::row::{Duty, Row};

/// Time between two attempts.
const RETRY: Duration = Duration::from_secs(1);

/// Most changes in one attempt: add, find it there, edit, find it gone.
const CHANGES: usize = 4;

/// The row and the way to the kernel.
#[derive(Debug)]
pub struct Table {
    row: Row,
    ipvs: Option<Ipvs>,
    retry_at: Option<Mono>,
    complained: bool,
}

impl Table {
    /// Nothing has been asked for yet.
    #[must_use]
    pub fn new(duty: Duty) -> Self {
        Self { row: Row::new(duty), ipvs: None, retry_at: None, complained: false }
    }

    /// When to call [`Table::settle`] again, if there is reason to.
    #[must_use]
    pub fn deadline(&self) -> Option<Mono> {
        self.retry_at
    }

    /// Changes what is wanted, and asks the kernel for it.
    pub fn want(&mut self, now: Mono, change: impl FnOnce(&mut Row)) {
        change(&mut self.row);
        self.settle(now);
    }

    /// Asks the kernel for what is still missing.
    pub fn settle(&mut self, now: Mono) {
        self.retry_at = None;
        for _ in 0..CHANGES {
            let Some(request) = self.row.next_request() else {
                if std::mem::take(&mut self.complained) {
                    tracing::info!("the IPVS table is as it should be again");
                }
                return;
            };
            if let Err(reason) = self.ask(&request) {
                if !std::mem::replace(&mut self.complained, true) {
                    tracing::warn!(reason = %reason, "the IPVS table cannot be changed; trying again");
                }
                break;
            }
        }
        self.retry_at = self.row.next_request().map(|_| now + RETRY);
    }

    fn ask(&mut self, request: &Request) -> Result<(), String> {
        let ipvs = match &mut self.ipvs {
            Some(ipvs) => ipvs,
            None => self.ipvs.insert(Ipvs::open().map_err(|error| error.to_string())?),
        };
        let mut outcome = ipvs.apply(std::slice::from_ref(request)).map_err(|error| {
            // The next attempt opens a new connection.
            self.ipvs = None;
            error.to_string()
        })?;
        let answer = outcome.pop().unwrap_or(Ok(()));
        let errno: Result<(), Errno> = answer.as_ref().copied().map_err(|refused| refused.errno);
        match (self.row.answered(errno), answer) {
            (false, Err(refused)) => Err(refused.to_string()),
            _ => {
                tracing::debug!(change = %request, "IPVS table");
                Ok(())
            }
        }
    }
}
