//! A measured row: samples of ours and of a peer, how they compare, and whether that is enough. Pure.
//!
//! Everything that is measured is better when it is less: time, failed requests, memory.

use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};

/// The unit of times, in which [`Samples`] of durations are.
pub(crate) const SECONDS: &str = "s";

/// What several rounds measured, in the row's unit: never empty, every value finite and not negative.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Samples(Vec<f64>);

impl Samples {
    /// Samples in the order in which they were taken.
    ///
    /// # Errors
    /// When there are none, or one of them is no measurement.
    pub(crate) fn new(samples: Vec<f64>) -> Result<Self> {
        ensure!(!samples.is_empty(), "nothing was measured");
        let strange = samples.iter().find(|value| !value.is_finite() || **value < 0.0);
        ensure!(strange.is_none(), "{strange:?} is no measurement");
        Ok(Self(samples))
    }

    /// The sample in the middle; the mean of the two there if their number is even.
    pub(crate) fn median(&self) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        if sorted.len() % 2 == 1 { sorted[middle] } else { f64::midpoint(sorted[middle - 1], sorted[middle]) }
    }

    /// The least.
    pub(crate) fn least(&self) -> f64 {
        self.0.iter().copied().fold(f64::INFINITY, f64::min)
    }

    /// The most.
    pub(crate) fn most(&self) -> f64 {
        self.0.iter().copied().fold(0.0, f64::max)
    }
}

/// One thing that ours and a peer did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Row {
    /// What was done (`restore 1,000 × 10`).
    pub(crate) what: String,
    /// The unit of the samples ([`SECONDS`], `requests`, `kB`).
    pub(crate) unit: String,
    /// Ours.
    pub(crate) ours: Samples,
    /// The peer's, or one sample that is the most allowed.
    pub(crate) peer: Samples,
    /// Name and version of the peer (`ipvsadm 1.31`).
    pub(crate) peer_name: String,
    /// The [`ratio`](Self::ratio) to reach; a row without one only informs.
    pub(crate) target: Option<f64>,
}

impl Row {
    /// How many times better ours is: the peer's median divided by ours. Nothing if ours is 0 and the peer's is not, which
    /// no number says.
    pub(crate) fn ratio(&self) -> Option<f64> {
        ratio(self.ours.median(), self.peer.median())
    }

    /// Whether the target is reached, if there is one.
    pub(crate) fn met(&self) -> Option<bool> {
        let target = self.target?;
        Some(self.ratio().is_none_or(|ratio| ratio >= target))
    }

    /// The row as it is written for programs.
    pub(crate) fn record(&self) -> Record<'_> {
        Record {
            what: &self.what,
            unit: &self.unit,
            ours: self.ours.median(),
            peer: self.peer.median(),
            peer_name: &self.peer_name,
            ratio: self.ratio(),
            target: self.target,
            met: self.met(),
        }
    }
}

/// `peer / ours`, where two zeros are equally good.
fn ratio(ours: f64, peer: f64) -> Option<f64> {
    match (ours == 0.0, peer == 0.0) {
        (false, _) => Some(peer / ours),
        (true, true) => Some(1.0),
        (true, false) => None,
    }
}

/// An element of the list in `target/lab/bench/NAME.json`. The values are medians.
#[derive(Debug, PartialEq, Serialize)]
pub(crate) struct Record<'a> {
    what: &'a str,
    unit: &'a str,
    ours: f64,
    peer: f64,
    peer_name: &'a str,
    ratio: Option<f64>,
    target: Option<f64>,
    met: Option<bool>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(values: &[f64]) -> Samples {
        Samples::new(values.to_vec()).expect("samples")
    }

    fn row(ours: &[f64], peer: &[f64], target: Option<f64>) -> Row {
        Row {
            what: "restore 1,000 × 10".to_owned(),
            unit: SECONDS.to_owned(),
            ours: samples(ours),
            peer: samples(peer),
            peer_name: "ipvsadm 1.31".to_owned(),
            target,
        }
    }

    #[test]
    fn the_median_is_the_one_in_the_middle_whatever_the_order() {
        let odd = samples(&[9.0, 1.0, 2.0]);
        assert_eq!((odd.median(), odd.least(), odd.most()), (2.0, 1.0, 9.0));
        assert_eq!(samples(&[4.0, 1.0, 2.0, 100.0]).median(), 3.0);
        assert_eq!(samples(&[7.0]).median(), 7.0);
    }

    #[test]
    fn what_is_no_measurement_is_refused() {
        assert_eq!(Samples::new(Vec::new()).expect_err("empty").to_string(), "nothing was measured");
        for value in [f64::NAN, f64::INFINITY, -1.0] {
            assert!(Samples::new(vec![1.0, value]).is_err(), "{value}");
        }
    }

    #[test]
    fn a_ratio_above_one_means_that_ours_is_better() {
        assert_eq!(row(&[0.5], &[4.0], None).ratio(), Some(8.0));
        assert_eq!(row(&[4.0], &[2.0], None).ratio(), Some(0.5));
    }

    #[test]
    fn a_target_is_met_when_it_is_reached() {
        assert_eq!(row(&[0.5], &[4.0], Some(8.0)).met(), Some(true));
        assert_eq!(row(&[0.5], &[3.99], Some(8.0)).met(), Some(false));
        assert_eq!(row(&[0.5], &[4.0], None).met(), None);
    }

    #[test]
    fn nothing_is_better_than_zero() {
        assert_eq!(row(&[0.0], &[3.0], Some(1.0)).ratio(), None);
        assert_eq!(row(&[0.0], &[3.0], Some(1.0)).met(), Some(true));
        assert_eq!(row(&[0.0], &[0.0], Some(1.0)).met(), Some(true));
        assert_eq!(row(&[1.0], &[0.0], Some(1.0)).met(), Some(false));
    }

    #[test]
    fn a_row_for_programs_has_the_agreed_names_and_medians() {
        let record = serde_json::to_string(&row(&[0.75, 0.25, 0.5], &[4.0, 5.0, 3.0], Some(8.0)).record());
        assert_eq!(
            record.expect("JSON"),
            r#"{"what":"restore 1,000 × 10","unit":"s","ours":0.5,"peer":4.0,"peer_name":"ipvsadm 1.31","ratio":8.0,"target":8.0,"met":true}"#
        );
    }

    #[test]
    fn a_row_that_only_informs_has_neither_target_nor_verdict() {
        let record = serde_json::to_string(&row(&[0.0], &[4.0], None).record()).expect("JSON");
        assert!(record.ends_with(r#""ratio":null,"target":null,"met":null}"#), "{record}");
    }
}
