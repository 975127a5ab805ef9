//! Signals by the hundred and somebody who writes into the same table all the time, while the director reads and repairs
//! thousands of rows.

use anyhow::{Result, ensure};
use lab::{Balancing, Lab, Layout, Match, Signal, scenarios};

use super::crowd::{Crowd, LONG};
use crate::one_router::requests_since;

scenarios! {
    a_storm_of_signals_and_changes_by_others_ends_with_everybodys_table_as_they_want_it: 120,
}

const SERVICES: usize = 500;
const SIGNALS: u32 = 100;
/// Somebody else's services, in which and by which our rows change places in what a reading shows.
const WRITER: &str = "
ipvsadm -A -f 5 -s rr; ipvsadm -a -f 5 -r 10.9.0.1 -m
for n in $(seq 60); do
    ipvsadm -e -f 5 -r 10.9.0.1 -m -w $n
    ipvsadm -A -f $((1000 + n)) -s rr
    ipvsadm -a -f $((1000 + n)) -r 10.9.0.$n -m -w $n
    ipvsadm -e -t 10.1.0.$n:80 -r 10.9.0.1:80 -m -w 999
    ipvsadm -d -t 10.1.1.$n:80 -r 10.9.1.1:80
    [ $((n % 2)) = 0 ] || ipvsadm -D -f $((1000 + n))
done 2>&1
echo written";

/// What the writer leaves: the weight by mark.
fn left() -> Vec<(Match, i32)> {
    let even = (2..=60).step_by(2).map(|n| (Match::FwMark(1000 + n), i32::try_from(n).unwrap_or(0)));
    std::iter::once((Match::FwMark(5), 60)).chain(even).collect()
}

fn a_storm_of_signals_and_changes_by_others_ends_with_everybodys_table_as_they_want_it(
    lab: &Lab,
) -> Result<()> {
    let crowd = Crowd::new(lab)?;
    let file = Balancing::of(SERVICES, SERVICES * 10, Layout::Shared);
    let lvs = crowd.serve_verbosely(&file)?;
    let mark = lab.journal().mark();
    let writer = crowd.host.tool("sh").args(["-c", WRITER]).start()?;
    for weight in 1..=SIGNALS {
        crowd.write(&file.clone().with_last_weight(weight))?;
        lvs.signal(Signal::SIGHUP)?;
    }
    writer.wait_for_line("^written$", LONG)?;
    crowd.wait_until_equal(&file.with_last_weight(SIGNALS))?;

    let (_, foreign) = crowd.table()?;
    let mut found: Vec<_> = foreign
        .iter()
        .map(|service| (service.matches, service.destinations.first().map_or(0, |row| row.weight)))
        .collect();
    found.sort_unstable();
    assert_eq!(found, left());
    let requests = requests_since(lab, &lvs, mark)?;
    ensure!(!requests.iter().any(|request| request.contains(" -f ")), "{requests:?}");
    // Nothing that interrupts a reading is taken for a kernel that does not answer.
    let (entries, _) = lab.journal().all();
    let lost = entries.iter().skip(mark).find(|entry| entry.text.contains("cannot reach IPVS"));
    ensure!(lost.is_none(), "{lost:?}");
    let status = crowd.status()?;
    ensure!(status.table.state, "{:?}", status.table);
    lab.note(format!("{} reloads, {:?}, {} requests", status.reloads.good, status.repairs, requests.len()));
    Ok(())
}
