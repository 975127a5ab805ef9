//! What the tool shows: listings for people and programs, and rules to save.
//!
//! What it looks like is decided in [`super::render`], [`super::json`], [`super::connections`] and [`super::rules`].

use super::args::{List, Listed};
use super::names::{Names, Numeric};
use super::render::{self, Style};
use super::run::{Session, Stop};
use super::{advice, connections, exit, json, order, rules};
use crate::model::{Info, ServiceEntry, ServiceId, Table};
use crate::transport::Transport;

/// Where the kernel shows its connections.
const CONNECTIONS: &str = "/proc/net/ip_vs_conn";
/// How many bytes of a text are gathered before they are written.
const PIECE: usize = 64 << 10;

impl<'a, T: Transport> Session<'a, T> {
    /// Writes the rules that make the table anew.
    pub(super) fn save(&mut self, numeric: bool) -> Result<(), Stop> {
        let names = self.names_for(numeric);
        self.each_service(String::new(), true, |text, entry| rules::save(text, entry, names))
    }

    /// Writes a listing, and returns the exit status.
    pub(super) fn list(&mut self, list: &List) -> Result<u8, Stop> {
        let names = self.names_for(list.numeric);
        let text = match list.what {
            Listed::Timeouts => {
                let timeouts = self.ipvs.timeouts();
                let timeouts = self.read(timeouts)?;
                if list.json { json::timeouts(&timeouts)? } else { render::timeouts(&timeouts) }
            }
            Listed::Daemons => {
                let daemons = self.ipvs.daemons();
                let daemons = self.read(daemons)?;
                if list.json { json::daemons(&daemons)? } else { render::daemons(&daemons) }
            }
            Listed::Connections { engines } => {
                let table = std::fs::read(CONNECTIONS).map_err(|error| {
                    self.fail(exit::NOT_LISTED, &format!("cannot read {CONNECTIONS}: {error}"))
                })?;
                let table = String::from_utf8_lossy(&table);
                match list.json {
                    true => json::connections(&table)?,
                    false => connections::listing(&table, engines, names),
                }
            }
            Listed::Table { only, sorted, .. } if list.json => {
                let services = match only {
                    None => {
                        let table = self.ipvs.table();
                        self.read(table)?.services
                    }
                    Some(id) => vec![self.service(id)?],
                };
                json::table(&self.info()?, &Table { services }, sorted)?
            }
            Listed::Table { only, columns, exact, sorted } => {
                let style = Style { columns, exact, sorted, names };
                let show = |text: &mut String, entry: &_| render::entry(text, entry, &style);
                let mut text = render::title(columns);
                match only {
                    Some(id) => show(&mut text, &self.service(id)?),
                    None => {
                        let heading = render::banner(&self.info()?) + &text;
                        self.each_service(heading, sorted, show)?;
                        return Ok(exit::SUCCESS);
                    }
                }
                text
            }
        };
        self.output.write_all(text.as_bytes())?;
        self.output.flush()?;
        Ok(exit::SUCCESS)
    }

    pub(super) fn names_for(&self, numeric: bool) -> &'a dyn Names {
        if numeric { &Numeric } else { self.names }
    }

    fn info(&mut self) -> Result<Info, Stop> {
        let info = self.ipvs.info();
        self.read(info)
    }

    /// Writes a heading and what `show` makes of each service, as the kernel tells of them: a table of any size goes
    /// through the memory that its largest service takes.
    fn each_service(
        &mut self,
        heading: String,
        sorted: bool,
        show: impl Fn(&mut String, &ServiceEntry),
    ) -> Result<(), Stop> {
        let services = self.ipvs.services();
        let services = self.read(services)?;
        let mut text = heading;
        for entry in if sorted { order::services(&services) } else { services.iter().collect() } {
            let destinations = self.ipvs.destinations(&entry.service.id);
            let destinations = self.read(destinations)?;
            show(&mut text, &ServiceEntry { destinations, ..entry.clone() });
            if text.len() >= PIECE {
                self.output.write_all(text.as_bytes())?;
                text.clear();
            }
        }
        self.output.write_all(text.as_bytes())?;
        Ok(self.output.flush()?)
    }

    /// The one service that is asked for.
    fn service(&mut self, id: ServiceId) -> Result<ServiceEntry, Stop> {
        let entry = self.ipvs.service(&id);
        self.read(entry)?.ok_or_else(|| {
            let services = self.ipvs.services();
            let advice =
                services.map_or(String::new(), |services| advice::services(&id, &Table { services }));
            self.fail(exit::NOT_LISTED, &format!("there is no such service: {id}{advice}"))
        })
    }
}
