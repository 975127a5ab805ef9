//! The cable between a host's interface and its bridge: cut, silenced, slowed, restored.
//!
//! Everything is done at the far end, in the namespace of the bridges, so that the host sees only what a real
//! machine would see of its cable.

use std::{fmt, sync::Arc, time::Duration};

use anyhow::Result;

use crate::{ip, journal::Journal, namespace::Namespaces};

/// A veth pair: the host's interface and its port in a bridge.
#[derive(Clone)]
pub struct Link {
    pub(crate) host: Arc<str>,
    pub(crate) interface: String,
    pub(crate) port: String,
    pub(crate) bridge: String,
    pub(crate) mac: [u8; 6],
    pub(crate) lan: Arc<Namespaces>,
    pub(crate) journal: Arc<Journal>,
}

/// What a bad line does to frames, in both directions alike.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Impairment {
    /// Extra delay of each frame toward the host.
    pub delay: Duration,
    /// Variation of the delay.
    pub jitter: Duration,
    /// Share of frames lost, in percent (0 to 100).
    pub loss_percent: f64,
    /// Share of frames doubled, in percent.
    pub duplicate_percent: f64,
}

impl fmt::Display for Impairment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "delay {}us {}us loss {}% duplicate {}%",
            self.delay.as_micros(),
            self.jitter.as_micros(),
            self.loss_percent,
            self.duplicate_percent
        )
    }
}

impl Link {
    /// The host's interface.
    pub fn interface(&self) -> &str {
        &self.interface
    }

    /// The bridge at the other end.
    pub fn bridge(&self) -> &str {
        &self.bridge
    }

    /// The host's hardware address.
    pub fn mac(&self) -> [u8; 6] {
        self.mac
    }

    pub(crate) fn mac_text(&self) -> String {
        self.mac.map(|byte| format!("{byte:02x}")).join(":")
    }

    /// Pulls the cable: the interface loses its carrier, as a card does.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn cut(&self) -> Result<()> {
        self.note("cut");
        self.batch("ip", &[format!("link set {} down", self.port)])
    }

    /// Pulls several cables at the same moment, as when a machine loses its power.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn cut_together(links: &[Self]) -> Result<()> {
        let Some(first) = links.first() else { return Ok(()) };
        links.iter().for_each(|link| link.note("cut"));
        let lines: Vec<_> = links.iter().map(|link| format!("link set {} down", link.port)).collect();
        first.batch("ip", &lines)
    }

    /// Drops every frame in both directions while the carrier stays: a switch gone mad, a wrong VLAN.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn silence(&self) -> Result<()> {
        self.note("silenced");
        self.batch("bridge", &[format!("link set dev {} state 0", self.port)])
    }

    /// Drops the frames that the host sends; it still hears everyone.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn silence_sending(&self) -> Result<()> {
        self.note("silenced in sending");
        self.batch(
            "tc",
            &[
                format!("qdisc replace dev {} ingress", self.port),
                format!("filter replace dev {} ingress prio 1 matchall action drop", self.port),
            ],
        )
    }

    /// Drops the frames that are meant for the host; everyone still hears it.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn silence_receiving(&self) -> Result<()> {
        self.impair(Impairment { loss_percent: 100.0, ..Impairment::default() })
    }

    /// Delays, loses or doubles the frames toward the host.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn impair(&self, impairment: Impairment) -> Result<()> {
        self.note(&format!("impaired: {impairment}"));
        self.batch("tc", &[format!("qdisc replace dev {} root netem {impairment}", self.port)])
    }

    /// Undoes everything that was done to this link.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn restore(&self) -> Result<()> {
        self.note("restored");
        self.lan.try_run(|| {
            for kind in ["root", "ingress"] {
                // The common case is that there is none to delete, which tc reports as a failure.
                let _ = ip::output("tc", &["qdisc", "del", "dev", &self.port, kind]);
            }
            ip::batch("ip", &[format!("link set {} up", self.port)])?;
            ip::batch("bridge", &[format!("link set dev {} state 3", self.port)])
        })
    }

    fn batch(&self, tool: &str, lines: &[String]) -> Result<()> {
        self.lan.try_run(|| ip::batch(tool, lines))
    }

    fn note(&self, deed: &str) {
        self.journal.note(&self.host, format!("[lab: link {} {deed}]", self.interface));
    }
}
