//! How one client's requests must be spread over the real servers of a virtual server, and whether they are. Pure.

use super::plan::{Service, Spread};

/// Requests a spread may be off by, as several are under way at a time.
const UNDER_WAY: usize = 2;

/// How a virtual server's answers must be spread over its members, and whether they are.
pub(super) fn spread(service: &Service, counts: &[usize]) -> (String, bool) {
    let Service { name, scheduler, members, .. } = service;
    let weights: Vec<usize> =
        members.iter().map(|m| usize::try_from(m.weight).unwrap_or(usize::MAX)).collect();
    let total: usize = counts.iter().sum();
    let used =
        |wanted: &dyn Fn(usize, usize) -> bool| counts.iter().zip(&weights).all(|(c, w)| wanted(*c, *w));
    match service.spread {
        Spread::Even => {
            let served =
                || counts.iter().zip(&weights).filter(|(_, weight)| **weight > 0).map(|(count, _)| *count);
            let even = served().max().unwrap_or(0) <= served().min().unwrap_or(0) + UNDER_WAY;
            (format!("{name}: as many requests for each ({scheduler})"), even && total > 0)
        }
        Spread::ByWeight => {
            let divisor = weights.iter().copied().fold(0, common_divisor).max(1);
            let parts: Vec<usize> = weights.iter().map(|weight| weight / divisor).collect();
            let sum: usize = parts.iter().sum::<usize>().max(1);
            let largest = parts.iter().copied().max().unwrap_or(0);
            let near = |count: usize, part: usize| {
                (count * sum).abs_diff(total * part) <= (UNDER_WAY + largest) * sum
            };
            let words: Vec<String> = parts.iter().map(usize::to_string).collect();
            let held = counts.iter().zip(&parts).all(|(count, part)| near(*count, *part)) && total > 0;
            (format!("{name}: requests as {} ({scheduler})", words.join(" : ")), held)
        }
        Spread::Everyone => (
            format!("{name}: some requests for each ({scheduler})"),
            used(&|count, weight| (count > 0) == (weight > 0)),
        ),
        Spread::Anyone => (format!("{name}: requests are answered ({scheduler})"), total > 0),
    }
}

fn common_divisor(a: usize, b: usize) -> usize {
    if b == 0 { a } else { common_divisor(b, a % b) }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::story::plan::Member;

    fn service(spread: Spread, weights: &[u32]) -> Service {
        let member = |weight: &u32| Member { name: "s".into(), machine: 0, port: 80, weight: *weight };
        Service {
            name: "web".into(),
            vip: [192, 0, 2, 10].into(),
            port: 80,
            udp: false,
            scheduler: "wrr".into(),
            spread,
            interval: Duration::from_secs(1),
            reentry: Duration::from_secs(1),
            members: weights.iter().map(member).collect(),
            sorry: None,
        }
    }

    #[test]
    fn a_spread_is_judged_as_the_scheduler_has_it() {
        let held = |kind, weights: &[u32], counts: &[usize]| spread(&service(kind, weights), counts).1;
        assert!(held(Spread::ByWeight, &[100, 200, 300], &[33, 67, 101]));
        assert!(!held(Spread::ByWeight, &[1, 2, 3], &[50, 75, 75]));
        assert!(held(Spread::Even, &[1, 5, 0], &[100, 99, 0]));
        assert!(!held(Spread::Even, &[1, 1], &[100, 90]));
        assert!(!held(Spread::Everyone, &[1, 1], &[100, 0]));
        assert!(held(Spread::Anyone, &[1, 1], &[100, 0]));
        for kind in [Spread::ByWeight, Spread::Even, Spread::Everyone, Spread::Anyone] {
            assert!(!held(kind, &[1, 1], &[0, 0]), "{kind:?}");
        }
    }

    #[test]
    fn weights_are_told_in_lowest_terms() {
        let text = spread(&service(Spread::ByWeight, &[100, 200, 300]), &[1, 2, 3]).0;
        assert_eq!(text, "web: requests as 1 : 2 : 3 (wrr)");
    }
}
