//! What is known of one real server, and what that makes of it in the kernel's table.
//!
//! Fed with reports and with what was found in the table; asks for nothing, and never looks at a clock.

use daemonkit::clock::Mono;
use lvs_ipc::status::Health;

/// What a real server's health asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Not in the table: not checked yet, or failed before it ever served.
    Out,
    /// Not in the table: its first check is under way and decides any moment, so that nobody need stand in for it.
    Awaited,
    /// Stays as it was found in the table, with this weight, until its first check decides.
    Kept(u32),
    /// Keeps its connections and gets no new ones: weight 0.
    Draining,
    /// Serves; `None` is the weight of the file.
    Serving(Option<u16>),
    /// Served and failed: out, or weight 0 where the virtual server quiesces.
    Failed,
}

/// A row that may have been in the table before the server's first check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    /// The table has not been looked at since the server became known.
    NotLooked,
    /// It was not there.
    Nothing,
    /// It was there with this weight.
    Weight(u32),
}

/// How good a failure is that an earlier run knew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recalled {
    /// The kernel has its service yet: that run has not ended long ago.
    Lately,
    /// Its service is gone: that run may have ended at any time.
    SomeTime,
}

/// Health of one real server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerHealth {
    state: Health,
    reason: String,
    since: Mono,
    reported_weight: Option<u16>,
    served: bool,
    /// Whether it serves until its first check.
    assumed_up: bool,
    /// Its state is what an earlier run knew.
    recalled: Option<Recalled>,
    found: Found,
}

impl ServerHealth {
    /// A server that nobody has checked.
    #[must_use]
    pub fn unknown(now: Mono) -> Self {
        Self {
            state: Health::Unknown,
            reason: "not checked yet".into(),
            since: now,
            reported_weight: None,
            served: false,
            recalled: None,
            assumed_up: false,
            found: Found::NotLooked,
        }
    }

    /// A server that nobody has checked and that serves until a check says otherwise.
    #[must_use]
    pub fn assumed_up(now: Mono) -> Self {
        Self {
            reason: "not checked yet, assumed to be up".into(),
            served: true,
            assumed_up: true,
            ..Self::unknown(now)
        }
    }

    /// The state.
    #[must_use]
    pub fn state(&self) -> Health {
        self.state
    }

    /// Why it is in that state.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// Since when.
    #[must_use]
    pub fn since(&self) -> Mono {
        self.since
    }

    /// What this asks of the table.
    #[must_use]
    pub fn standing(&self) -> Standing {
        match (self.state, self.found) {
            (Health::Unknown, Found::Weight(weight)) => Standing::Kept(weight),
            (Health::Unknown, _) if self.assumed_up => Standing::Serving(None),
            (Health::Unknown, _) => Standing::Out,
            (Health::Up, _) => Standing::Serving(self.reported_weight),
            (Health::Down, _) if self.served => Standing::Failed,
            (Health::Down, _) => Standing::Out,
        }
    }

    /// The table was looked at: the server's row in it has this weight, or there is none. Only the first look
    /// counts, and only before the first check: later rows are somebody else's doing.
    pub fn found(&mut self, weight: Option<u32>) {
        if self.found == Found::NotLooked {
            self.found = weight.map_or(Found::Nothing, Found::Weight);
            self.served |= weight.is_some();
        }
    }

    /// It is known from an earlier run that its last check failed; `reason` says so.
    pub fn known_down(&mut self, now: Mono, reason: String, recalled: Recalled) {
        if self.state == Health::Unknown {
            self.state = Health::Down;
            self.reason = reason;
            self.since = now;
            self.recalled = Some(recalled);
        }
    }

    /// Whether a check has decided anything, and not only one of an earlier run.
    #[must_use]
    pub fn is_checked(&self) -> bool {
        self.state != Health::Unknown && self.recalled.is_none()
    }

    /// What a monitor that starts now goes on from: what checks have decided, those of a run of lately included, or the
    /// weight that the row was found with. Nothing for one without; then the first check decides.
    #[must_use]
    pub fn was_up(&self) -> Option<bool> {
        match (self.state, self.found) {
            (Health::Up, _) => Some(true),
            (Health::Down, _) if self.recalled == Some(Recalled::SomeTime) => None,
            (Health::Down, _) => Some(false),
            (Health::Unknown, Found::Weight(weight)) if weight > 0 => Some(true),
            // A weight of 0 may be a failure, a drain, or the file's.
            (Health::Unknown, _) => None,
        }
    }

    /// A check decided. Returns the state before, when it changed; a report of the same state changes nothing but the
    /// reason and the weight, which is the file's again until the next weight report.
    pub fn checked(&mut self, now: Mono, up: bool, reason: &str) -> Option<Health> {
        let state = if up { Health::Up } else { Health::Down };
        self.reported_weight = None;
        self.served |= up;
        self.recalled = None;
        reason.clone_into(&mut self.reason);
        if self.state == state {
            return None;
        }
        let before = std::mem::replace(&mut self.state, state);
        self.since = now;
        Some(before)
    }

    /// A monitor asked for a weight. True when that changes anything: only a serving server has a weight.
    pub fn weighed(&mut self, weight: u16) -> bool {
        let changed = self.state == Health::Up && self.reported_weight != Some(weight);
        if changed {
            self.reported_weight = Some(weight);
        }
        changed
    }

    /// The file's weight changed; a reported one was relative to the old.
    pub fn forget_reported_weight(&mut self) {
        self.reported_weight = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Mono = Mono::from_millis(7);

    #[test]
    fn an_unchecked_server_is_out_unless_it_was_found_in_the_table() {
        let mut health = ServerHealth::unknown(Mono::ZERO);
        assert_eq!(health.standing(), Standing::Out);
        health.found(Some(5));
        assert_eq!(health.standing(), Standing::Kept(5));
        health.found(None);
        assert_eq!(health.standing(), Standing::Kept(5), "only the first look counts");
        let mut health = ServerHealth::unknown(Mono::ZERO);
        health.found(None);
        health.found(Some(5));
        assert_eq!(health.standing(), Standing::Out);
    }

    #[test]
    fn a_server_that_is_assumed_to_be_up_serves_unless_the_table_knows_better() {
        let mut health = ServerHealth::assumed_up(Mono::ZERO);
        health.found(None);
        assert_eq!((health.state(), health.standing()), (Health::Unknown, Standing::Serving(None)));
        assert_eq!(health.checked(NOW, false, "x"), Some(Health::Unknown));
        assert_eq!(health.standing(), Standing::Failed, "it has served");
        let mut quiesced = ServerHealth::assumed_up(Mono::ZERO);
        quiesced.found(Some(0));
        assert_eq!(quiesced.standing(), Standing::Kept(0));
    }

    #[test]
    fn a_server_that_never_served_is_not_quiesced() {
        let mut health = ServerHealth::unknown(Mono::ZERO);
        assert_eq!(health.checked(NOW, false, "connection refused"), Some(Health::Unknown));
        assert_eq!((health.standing(), health.reason()), (Standing::Out, "connection refused"));
        assert_eq!(health.checked(NOW, true, "answered"), Some(Health::Down));
        assert_eq!(health.standing(), Standing::Serving(None));
        assert_eq!(health.checked(NOW, false, "timed out"), Some(Health::Up));
        assert_eq!(health.standing(), Standing::Failed);
    }

    #[test]
    fn an_adopted_server_that_fails_its_first_check_has_served() {
        let mut health = ServerHealth::unknown(Mono::ZERO);
        health.found(Some(0));
        health.checked(NOW, false, "x");
        assert_eq!(health.standing(), Standing::Failed);
    }

    #[test]
    fn a_monitor_goes_on_from_the_last_check_or_from_the_weight_that_was_found() {
        let mut health = ServerHealth::unknown(Mono::ZERO);
        assert_eq!(health.was_up(), None);
        health.found(Some(1));
        assert_eq!(health.was_up(), Some(true));
        health.checked(NOW, false, "x");
        assert_eq!(health.was_up(), Some(false));
        health.checked(NOW, true, "x");
        assert_eq!(health.was_up(), Some(true));
        let mut quiesced = ServerHealth::assumed_up(Mono::ZERO);
        quiesced.found(Some(0));
        assert_eq!(quiesced.was_up(), None);
        quiesced.known_down(NOW, "before".into(), Recalled::Lately);
        assert_eq!(quiesced.was_up(), Some(false));
        let mut gone = ServerHealth::assumed_up(Mono::ZERO);
        gone.known_down(NOW, "before".into(), Recalled::SomeTime);
        assert_eq!((gone.was_up(), gone.standing()), (None, Standing::Failed));
        gone.checked(NOW, false, "x");
        assert_eq!(gone.was_up(), Some(false));
    }

    #[test]
    fn a_repeated_report_keeps_the_time_but_not_the_reason_and_the_reported_weight() {
        let mut health = ServerHealth::unknown(Mono::ZERO);
        health.checked(NOW, true, "first");
        assert!(health.weighed(40));
        assert!(!health.weighed(40));
        assert_eq!(health.standing(), Standing::Serving(Some(40)));
        assert_eq!(health.checked(Mono::from_millis(99), true, "second"), None);
        assert_eq!((health.since(), health.reason()), (NOW, "second"));
        assert_eq!(health.standing(), Standing::Serving(None));
    }

    #[test]
    fn a_weight_for_a_server_that_does_not_serve_is_ignored() {
        let mut health = ServerHealth::unknown(Mono::ZERO);
        assert!(!health.weighed(3));
        health.checked(NOW, true, "x");
        assert_eq!(health.standing(), Standing::Serving(None));
    }
}
