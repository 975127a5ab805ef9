//! What an operator may ask of a real server that the file does not name any more and that is drained: another time, or
//! its end. Everything else is the file's to say.

use std::time::Duration;

use daemonkit::clock::Mono;

use super::Engine;
use super::control::{DEADLINES, Outcome};
use super::overrides::{Place, in_words};
use super::target::{self, Miss};
use crate::operator_event::OperatorEvent;
use crate::orders::{Leaving, Order};

impl Engine {
    /// Why nothing that needs a server of the file can be done with `target`: it is leaving, or as `miss` says.
    pub(super) fn no_such_server(&self, target: &str, miss: Miss) -> String {
        let Miss::Unknown(why) = miss else { return miss.into() };
        match self.overrides.leaving_named(target).next() {
            Some((_, leaving)) => format!(
                "{} is leaving because the file no longer names it; put it back there and reload, or end it with \
                 \"disable\"",
                leaving.names
            ),
            None => why,
        }
    }

    /// The server that is leaving that `target` names, if nothing of the file fits it.
    ///
    /// # Errors
    /// More than one does, for the operator.
    pub(super) fn departing(&self, target: &str) -> Result<Option<(Place, Leaving)>, String> {
        if !matches!(target::any(&self.config, target), Err(Miss::Unknown(_))) {
            return Ok(None);
        }
        let found: Vec<(Place, &Leaving)> = self.overrides.leaving_named(target).collect();
        match found[..] {
            [] => Ok(None),
            [(place, leaving)] => Ok(Some((place, leaving.clone()))),
            _ => {
                let places: Vec<String> = found
                    .iter()
                    .map(|((service, row), leaving)| format!("{} {row} of {service}", leaving.names))
                    .collect();
                Err(format!("{target} fits {} servers that are leaving: {}", found.len(), places.join(", ")))
            }
        }
    }

    /// Gives a server that is leaving another time.
    pub(super) fn drain_leaving(
        &mut self,
        now: Mono,
        (place, leaving): (Place, Leaving),
        within: Option<Duration>,
        order: Order,
    ) -> Outcome {
        let (names, left) = (leaving.names.to_string(), leaving.left.unwrap_or_default());
        let Some(within) = within else {
            let rest = in_words(Duration::from_secs(leaving.deadline.since(now).as_secs()));
            return Err(format!(
                "{names} is drained already because the file no longer names it, for {rest} at most; {left} when last \
                 counted; \"drain --deadline\" gives it another time, \"disable\" ends it"
            ));
        };
        if !DEADLINES.contains(&within) {
            return Err("a drain takes at least 1s and at most 24h".into());
        }
        let what = format!("drain for {} at most", in_words(within));
        let line = format!("{names}: draining for {} at most; {left} when last counted", in_words(within));
        self.overrides.tell(OperatorEvent::Ordered { target: names, what, order });
        self.overrides.set_leaving_time(now, &place, within);
        Ok(vec![line])
    }

    /// Takes a server that is leaving out of the table at once.
    pub(super) fn disable_leaving(&mut self, (place, leaving): (Place, Leaving), order: Order) -> Outcome {
        let (names, left) = (leaving.names.to_string(), leaving.left.unwrap_or_default());
        if self.retiring.covers(&place.0) {
            return Err(format!("{names} serves until a real server of the file can"));
        }
        let cut =
            if left.is_nothing() { String::new() } else { format!("; {left} cut off, as last counted") };
        let line = format!("{names}: out of the table; the file no longer names it{cut}");
        self.overrides.tell(OperatorEvent::Ordered { target: names, what: "disable".into(), order });
        self.overrides.end_leaving(&place);
        Ok(vec![line])
    }
}
