//! The real server's row in the IPVS table, for a nanny that is run by hand or by an old script.
//!
//! It holds what the row should be and what it is believed to be, and says which change comes next. That the kernel
//! already has a row, or no longer has it, is drift and corrected; any other refusal is kept for a later attempt.
//! Under `lvs` none of this is used.

use ipvsadm::{Destination, Request, ServiceId};
use nix::errno::Errno;

/// A row as it should be while the server is up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Duty {
    /// The service, which must exist.
    pub service: ServiceId,
    /// The row at full weight.
    pub destination: Destination,
    /// Whether a server that is down keeps its row, with weight 0, so that its connections live on.
    pub quiesce: bool,
}

/// What the kernel is believed to have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Listed {
    No,
    /// With this weight; `None` when only its existence is known.
    Yes(Option<u32>),
}

/// The row's wanted and believed state.
#[derive(Debug)]
pub struct Row {
    duty: Duty,
    wanted: Option<u32>,
    listed: Listed,
}

impl Row {
    /// No row is wanted, and none is believed to be there.
    #[must_use]
    pub fn new(duty: Duty) -> Self {
        Self { duty, wanted: None, listed: Listed::No }
    }

    /// The server is up, at full weight.
    pub fn up(&mut self) {
        self.wanted = Some(self.duty.destination.weight);
    }

    /// The server is up, with this weight.
    pub fn weight(&mut self, weight: u16) {
        self.wanted = Some(weight.into());
    }

    /// The server is down. A row that there is stays as a quiesced one if that is asked for.
    pub fn down(&mut self) {
        let keeps_row = self.duty.quiesce && self.listed != Listed::No;
        self.wanted = keeps_row.then_some(0);
    }

    /// The monitor ends: no row, not even a quiesced one.
    pub fn withdraw(&mut self) {
        self.wanted = None;
    }

    /// The change that comes next, or `None` when the row is as it should be.
    #[must_use]
    pub fn next_request(&self) -> Option<Request> {
        let with = |weight| Destination { weight, ..self.duty.destination.clone() };
        let service = self.duty.service;
        match (self.wanted, self.listed) {
            (Some(weight), Listed::No) => Some(Request::AddDestination(service, with(weight))),
            (Some(weight), Listed::Yes(now)) if now != Some(weight) => {
                Some(Request::EditDestination(service, with(weight)))
            }
            (None, Listed::Yes(_)) => Some(Request::DeleteDestination(service, self.duty.destination.id)),
            (Some(_), Listed::Yes(_)) | (None, Listed::No) => None,
        }
    }

    /// Takes the kernel's answer to the last change into account; false means that it was refused.
    pub fn answered(&mut self, answer: Result<(), Errno>) -> bool {
        let is_listed = !matches!(self.listed, Listed::No);
        self.listed = match (answer, self.wanted, is_listed) {
            (Ok(()), Some(weight), _) => Listed::Yes(Some(weight)),
            (Ok(()) | Err(Errno::ENOENT | Errno::ESRCH), None, _) => Listed::No,
            (Err(Errno::EEXIST), Some(_), false) => Listed::Yes(None),
            (Err(Errno::ENOENT), Some(_), true) => Listed::No,
            (Err(_), _, _) => return false,
        };
        true
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use ipvsadm::{DestinationId, Forward};

    use super::*;

    fn row(quiesce: bool) -> Row {
        let address = |text: &str| text.parse::<SocketAddr>().unwrap();
        let id = DestinationId::from(address("10.2.0.11:80"));
        Row::new(Duty {
            service: ServiceId::tcp(address("10.1.0.100:80")),
            destination: Destination { weight: 5, ..Destination::new(id, Forward::Masquerade) },
            quiesce,
        })
    }

    fn next(row: &Row) -> Option<String> {
        row.next_request().map(|request| request.to_string())
    }

    #[track_caller]
    fn asks(row: &Row, expected: &str) {
        assert_eq!(next(row).as_deref(), Some(expected));
    }

    const ADD: &str = "-a -t 10.1.0.100:80 -r 10.2.0.11:80 -m -w 5";
    const EDIT: &str = "-e -t 10.1.0.100:80 -r 10.2.0.11:80 -m -w 5";
    const QUIESCE: &str = "-e -t 10.1.0.100:80 -r 10.2.0.11:80 -m -w 0";
    const DELETE: &str = "-d -t 10.1.0.100:80 -r 10.2.0.11:80";

    #[test]
    fn a_row_is_added_when_up_and_deleted_when_down() {
        let mut row = row(false);
        assert_eq!(next(&row), None);
        row.up();
        asks(&row, ADD);
        assert!(row.answered(Ok(())));
        assert_eq!(next(&row), None);
        row.down();
        asks(&row, DELETE);
        assert!(row.answered(Ok(())));
        assert_eq!(next(&row), None);
    }

    #[test]
    fn a_quiesced_row_stays_with_weight_zero_and_goes_at_the_end() {
        let mut row = row(true);
        row.down();
        assert_eq!(next(&row), None, "a server that never was up gets no row");
        row.up();
        row.answered(Ok(()));
        row.down();
        asks(&row, QUIESCE);
        row.answered(Ok(()));
        row.up();
        asks(&row, EDIT);
        row.answered(Ok(()));
        row.down();
        row.answered(Ok(()));
        row.withdraw();
        asks(&row, DELETE);
    }

    #[test]
    fn drift_is_corrected_and_other_refusals_are_tried_again() {
        let mut row = row(false);
        row.up();
        assert!(row.answered(Err(Errno::EEXIST)));
        asks(&row, EDIT);
        assert!(row.answered(Err(Errno::ENOENT)));
        asks(&row, ADD);
        assert!(!row.answered(Err(Errno::ESRCH)), "the service is missing");
        asks(&row, ADD);
        assert!(row.answered(Ok(())));
        row.down();
        assert!(row.answered(Err(Errno::ENOENT)));
        assert_eq!(next(&row), None);
    }
}
