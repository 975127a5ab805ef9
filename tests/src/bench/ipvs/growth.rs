//! How much longer the same work takes on a larger table. Pure.

use super::super::{row::Row, size::Size};

/// Columns of the name and of each factor.
const NAME: usize = 27;
const FACTOR: usize = 11;
/// Between the two sides.
const GAP: &str = "    ";

/// A table: for each operation and side the factor from each size to the next. `rows` has the operations of the first
/// size in order, then those of the next.
pub(crate) fn lines(rows: &[Row], sizes: &[Size], operations: &[&str]) -> Vec<String> {
    let Some(first) = rows.first() else { return Vec::new() };
    let steps = || sizes.windows(2);
    let columns = |texts: Vec<String>| texts.iter().map(|t| format!("{t:>FACTOR$}")).collect::<String>();
    let width = FACTOR * steps().len();
    let to = columns(steps().map(|step| step[1].to_string()).collect());
    let larger = columns(steps().map(|step| factor(count(step[0].rows()), count(step[1].rows()))).collect());
    let mut lines = vec![
        String::new(),
        format!("{:NAME$}{:>width$}{GAP}{:>width$}", "Growth, from size to size", "ours", first.peer_name),
        format!("{:NAME$}{to}{GAP}{to}", ""),
        format!("{:NAME$}{larger}{GAP}{larger}", "rows of the table"),
    ];
    for (n, name) in operations.iter().enumerate() {
        let of_all_sizes: Vec<&Row> = rows.iter().skip(n).step_by(operations.len()).collect();
        let side = |median: &dyn Fn(&Row) -> f64| {
            columns(of_all_sizes.windows(2).map(|pair| factor(median(pair[0]), median(pair[1]))).collect())
        };
        let (ours, peer) = (side(&|row| row.ours.median()), side(&|row| row.peer.median()));
        lines.push(format!("{name:NAME$}{ours}{GAP}{peer}"));
    }
    lines
}

/// `× 9.8`
fn factor(from: f64, to: f64) -> String {
    format!("× {:.1}", to / from)
}

/// A count as a number that can be divided; tables are far smaller than what does not fit.
fn count(rows: usize) -> f64 {
    u32::try_from(rows).map_or(f64::INFINITY, f64::from)
}

#[cfg(test)]
mod tests {
    use super::{
        super::super::row::{SECONDS, Samples},
        *,
    };

    fn row(ours: f64, peer: f64) -> Row {
        let one = |value| Samples::new(vec![value]).expect("a sample");
        Row {
            what: String::new(),
            unit: SECONDS.to_owned(),
            ours: one(ours),
            peer: one(peer),
            peer_name: "ipvsadm 1.31".to_owned(),
            target: None,
        }
    }

    #[test]
    fn growth_is_shown_for_each_operation_side_and_step() {
        let sizes = [Size::new(100, 10), Size::new(1000, 10), Size::new(1000, 50)];
        let rows =
            [row(0.1, 1.0), row(0.2, 0.3), row(0.9, 10.0), row(0.2, 0.33), row(4.5, 70.0), row(0.3, 0.33)];
        assert_eq!(
            lines(&rows, &sizes, &["restore", "zero"]),
            [
                "",
                "Growth, from size to size                    ours              ipvsadm 1.31",
                "                            1,000 × 10 1,000 × 50     1,000 × 10 1,000 × 50",
                "rows of the table               × 10.0      × 4.6         × 10.0      × 4.6",
                "restore                          × 9.0      × 5.0         × 10.0      × 7.0",
                "zero                             × 1.0      × 1.5          × 1.1      × 1.0",
            ]
        );
    }
}
