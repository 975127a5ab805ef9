//! Two elections and the network between them in simulated time, and what has to hold whatever the network does.

use std::time::Duration;

use daemonkit::clock::Mono;
use proptest::prelude::*;

use crate::election::{Action, Cause, Election, Input, Router, Settings};
use crate::heartbeat::wire::{ByteOrder, Heartbeat, Trailer, Word};

const KEEPALIVE: Duration = Duration::from_millis(2_000);
const DEADTIME: Duration = Duration::from_millis(6_000);
const PRIMARY: usize = 0;
const BACKUP: usize = 1;

/// One router and what became of its decisions.
struct Node {
    election: Election,
    alive: bool,
    /// Nothing is handled, and what arrives lies unread.
    frozen: bool,
    serving: bool,
    /// How often it announced its addresses again because the other one served too.
    announced: u32,
    last: Vec<Cause>,
}

impl Node {
    fn runs(&self) -> bool {
        self.alive && !self.frozen
    }
}

/// A datagram under way.
struct InFlight {
    arrives: Mono,
    to: usize,
    path: usize,
    heartbeat: Heartbeat,
}

/// Two routers joined by two paths.
struct Pair {
    now: Mono,
    nodes: [Node; 2],
    in_flight: Vec<InFlight>,
    /// Whether datagrams from a router get through a path: `open[from][path]`.
    open: [[bool; 2]; 2],
    delay: Duration,
    /// Of 100 datagrams so many are lost.
    loss: u64,
    random: u64,
    /// How long both have served at once without a break, and the longest such time.
    both_since: Option<Mono>,
    longest_both: Duration,
    /// How long nobody has served without a break, and the longest such time.
    none_since: Option<Mono>,
    longest_none: Duration,
}

fn node(now: Mono, router: Router, incarnation: u64) -> Node {
    let settings = Settings { router, paths: 2, keepalive: KEEPALIVE, deadtime: DEADTIME, incarnation };
    Node {
        election: Election::new(now, settings),
        alive: true,
        frozen: false,
        serving: false,
        announced: 0,
        last: Vec::new(),
    }
}

impl Pair {
    fn new() -> Self {
        let now = Mono::from_millis(1_000_000);
        Self {
            now,
            nodes: [node(now, Router::Primary, 1), node(now, Router::Backup, 2)],
            in_flight: Vec::new(),
            open: [[true; 2]; 2],
            delay: Duration::from_millis(1),
            loss: 0,
            random: 0x9e37_79b9_7f4a_7c15,
            both_since: None,
            longest_both: Duration::ZERO,
            none_since: Some(now),
            longest_none: Duration::ZERO,
        }
    }

    /// A pair in which the primary serves and both know it.
    fn settled() -> Self {
        let mut pair = Self::new();
        pair.run(10_000);
        assert_eq!(pair.serving(), [true, false]);
        pair.forget();
        pair
    }

    fn serving(&self) -> [bool; 2] {
        [PRIMARY, BACKUP].map(|n| self.nodes[n].alive && self.nodes[n].serving)
    }

    /// Measures anew from here.
    fn forget(&mut self) {
        self.both_since = self.both_since.map(|_| self.now);
        self.none_since = self.none_since.map(|_| self.now);
        self.longest_both = Duration::ZERO;
        self.longest_none = Duration::ZERO;
        self.nodes.iter_mut().for_each(|node| node.last.clear());
    }

    /// Lets `millis` milliseconds pass.
    fn run(&mut self, millis: u64) {
        let end = self.now + Duration::from_millis(millis);
        while let Some(next) = self.next_event().filter(|next| *next <= end) {
            self.now = self.now.max(next);
            self.deliver();
            for n in [PRIMARY, BACKUP] {
                if self.nodes[n].runs() && self.nodes[n].election.deadline().is_some_and(|at| at <= self.now)
                {
                    self.step(n, Input::Tick);
                }
            }
        }
        self.now = end;
        self.account();
    }

    fn next_event(&self) -> Option<Mono> {
        let deadlines =
            self.nodes.iter().filter(|node| node.runs()).filter_map(|node| node.election.deadline());
        let readable = self.in_flight.iter().filter(|datagram| !self.nodes[datagram.to].frozen);
        deadlines.chain(readable.map(|datagram| datagram.arrives)).min()
    }

    fn deliver(&mut self) {
        let now = self.now;
        let nodes = &self.nodes;
        let readable = |datagram: &mut InFlight| datagram.arrives <= now && !nodes[datagram.to].frozen;
        let arrived: Vec<_> = self.in_flight.extract_if(.., readable).collect();
        for InFlight { to, path, heartbeat, .. } in arrived {
            if self.nodes[to].alive {
                self.step(to, Input::Heartbeat { path, heartbeat });
            }
        }
    }

    fn step(&mut self, n: usize, input: Input) {
        for action in self.nodes[n].election.step(self.now, input) {
            match action {
                Action::Send(heartbeat) => self.send(n, heartbeat),
                Action::TakeOver(cause) => {
                    self.nodes[n].serving = true;
                    self.nodes[n].last.push(cause);
                }
                Action::Release(cause) => {
                    self.nodes[n].serving = false;
                    self.nodes[n].last.push(cause);
                }
                Action::Announce => self.nodes[n].announced += 1,
                Action::Path(_) | Action::Peer(..) => {}
            }
            self.account();
        }
    }

    fn send(&mut self, from: usize, heartbeat: Heartbeat) {
        for path in [0, 1] {
            // xorshift64: the same losses for the same seed.
            self.random ^= self.random << 13;
            self.random ^= self.random >> 7;
            self.random ^= self.random << 17;
            if self.open[from][path] && self.random % 100 >= self.loss {
                let arrives = self.now + self.delay * u32::try_from(path + 1).unwrap();
                self.in_flight.push(InFlight { arrives, to: 1 - from, path, heartbeat });
            }
        }
    }

    fn account(&mut self) {
        let now = self.now;
        let count = |holds: bool, since: &mut Option<Mono>, longest: &mut Duration| {
            if let Some(began) = *since {
                *longest = (*longest).max(now.since(began));
            }
            *since = if holds { since.or(Some(now)) } else { None };
        };
        let serving = self.serving();
        count(serving == [true, true], &mut self.both_since, &mut self.longest_both);
        count(serving == [false, false], &mut self.none_since, &mut self.longest_none);
    }

    fn kill(&mut self, n: usize) {
        self.nodes[n].alive = false;
        self.account();
    }

    fn restart(&mut self, n: usize, incarnation: u64) {
        let router = if n == PRIMARY { Router::Primary } else { Router::Backup };
        self.nodes[n] = node(self.now, router, incarnation);
        self.account();
    }
}

#[test]
fn routers_started_together_let_the_primary_serve_within_a_keepalive() {
    let mut pair = Pair::new();
    pair.run(2_010);
    assert_eq!(pair.serving(), [true, false]);
    pair.run(60_000);
    assert_eq!((pair.serving(), pair.longest_both), ([true, false], Duration::ZERO));
}

#[test]
fn backup_takes_over_after_deadtime_and_the_returned_primary_waits() {
    let mut pair = Pair::settled();
    pair.kill(PRIMARY);
    pair.run(6_000);
    assert_eq!(pair.serving(), [false, true]);
    assert_eq!(pair.nodes[BACKUP].last, [Cause::PeerSilent(DEADTIME)]);
    assert!(pair.longest_none <= DEADTIME, "{:?}", pair.longest_none);
    pair.restart(PRIMARY, 3);
    pair.run(60_000);
    assert_eq!(pair.serving(), [false, true]);
    assert_eq!(pair.longest_both, Duration::ZERO);
}

#[test]
fn a_single_cut_path_changes_nothing() {
    for path in [0, 1] {
        let mut pair = Pair::settled();
        pair.open[PRIMARY][path] = false;
        pair.open[BACKUP][path] = false;
        pair.run(60_000);
        assert_eq!((pair.serving(), pair.longest_both), ([true, false], Duration::ZERO));
    }
}

#[test]
fn an_isolated_primary_gives_way_when_the_links_return() {
    let mut pair = Pair::settled();
    pair.open = [[false; 2]; 2];
    pair.run(20_000);
    assert_eq!(pair.serving(), [true, true], "nobody can know better while nothing gets through");
    pair.open = [[true; 2]; 2];
    pair.forget();
    pair.run(10_000);
    assert_eq!(pair.serving(), [false, true]);
    assert!(pair.longest_both <= KEEPALIVE + pair.delay * 2, "{:?}", pair.longest_both);
    assert_eq!(pair.nodes[PRIMARY].last, [Cause::HigherTerm { ours: 1, theirs: 2 }]);
    assert_eq!(pair.nodes[BACKUP].last, []);
}

#[test]
fn whoever_speaks_first_when_the_links_return_the_router_that_stays_announces_again() {
    for heal_after in (10_000..14_000).step_by(250) {
        let mut pair = Pair::settled();
        pair.open = [[false; 2]; 2];
        pair.run(heal_after);
        pair.open = [[true; 2]; 2];
        assert_eq!(pair.nodes[BACKUP].announced, 0);
        pair.run(5_000);
        assert_eq!(pair.serving(), [false, true]);
        assert_eq!(pair.nodes[BACKUP].announced, 1, "{heal_after}");
    }
}

#[test]
fn the_router_that_stays_announces_again_even_if_the_last_word_of_the_other_one_is_lost() {
    let mut pair = Pair::settled();
    pair.open = [[false; 2]; 2];
    pair.run(10_000);
    pair.open[BACKUP] = [true; 2];
    pair.run(2_500);
    assert_eq!((pair.serving(), pair.nodes[BACKUP].announced), ([false, true], 0));
    pair.open = [[true; 2]; 2];
    pair.run(2_500);
    assert_eq!(pair.nodes[BACKUP].announced, 1);
}

#[test]
fn a_primary_that_is_not_heard_but_hears_is_told_to_stop_by_the_takeover_itself() {
    let mut pair = Pair::settled();
    pair.open[PRIMARY] = [false; 2];
    pair.run(6_010);
    assert_eq!(pair.serving(), [false, true]);
    assert!(pair.longest_both <= pair.delay, "{:?}", pair.longest_both);
    pair.run(60_000);
    assert_eq!(pair.serving(), [false, true], "and it does not flap");
}

#[test]
fn a_router_without_links_gives_way_and_takes_nothing_before_it_has_listened() {
    let mut pair = Pair::settled();
    pair.open = [[false; 2]; 2];
    pair.step(PRIMARY, Input::Linked(false));
    assert_eq!(pair.nodes[PRIMARY].last, [Cause::NoLink]);
    pair.run(60_000);
    assert_eq!(pair.serving(), [false, true]);
    pair.open = [[true; 2]; 2];
    pair.step(PRIMARY, Input::Linked(true));
    pair.run(60_000);
    assert_eq!((pair.serving(), pair.longest_both), ([false, true], Duration::ZERO));

    pair.kill(BACKUP);
    pair.step(PRIMARY, Input::Linked(false));
    pair.run(60_000);
    assert_eq!(pair.serving(), [false, false], "it could not be reached");
    pair.step(PRIMARY, Input::Linked(true));
    pair.run(5_999);
    assert_eq!(pair.serving(), [false, false]);
    pair.run(1);
    assert_eq!(pair.serving(), [true, false]);
}

#[test]
fn the_invitation_of_a_leaving_router_may_be_lost_once() {
    let mut pair = Pair::settled();
    pair.open[PRIMARY] = [false; 2];
    pair.step(PRIMARY, Input::Leave);
    pair.open[PRIMARY] = [true; 2];
    pair.run(2_010);
    assert_eq!(pair.serving(), [false, true]);
    assert_eq!(pair.nodes[BACKUP].last, [Cause::PeerAsked]);
}

#[test]
fn a_router_that_became_unfit_while_it_waited_for_the_primary_does_not_spin() {
    let mut pair = Pair::new();
    pair.step(PRIMARY, Input::Leave);
    let idle = Heartbeat {
        word: Word::Stopped,
        order: ByteOrder::Little,
        trailer: Some(Trailer {
            fit: true,
            settled: false,
            take_over: false,
            term: 0,
            incarnation: 7,
            sequence: 1,
            echo: 0,
        }),
    };
    pair.step(BACKUP, Input::Heartbeat { path: 0, heartbeat: idle });
    pair.step(BACKUP, Input::Fitness(Err("lvs exited with status 78".into())));
    pair.now = pair.now + DEADTIME;
    pair.step(BACKUP, Input::Tick);
    assert!(pair.nodes[BACKUP].election.deadline().unwrap() > pair.now);
}

#[test]
fn a_leaving_router_is_relieved_at_once() {
    let mut pair = Pair::settled();
    pair.step(PRIMARY, Input::Leave);
    pair.run(2);
    assert_eq!(pair.serving(), [false, true]);
    assert_eq!(pair.nodes[PRIMARY].last, [Cause::Leaving]);
    assert_eq!(pair.nodes[BACKUP].last, [Cause::PeerAsked]);
}

#[test]
fn an_unfit_router_is_relieved_only_by_a_fit_one() {
    let unfit = || Input::Fitness(Err("lvs exited with status 78".into()));
    let mut pair = Pair::settled();
    pair.step(BACKUP, unfit());
    pair.step(PRIMARY, unfit());
    pair.run(60_000);
    assert_eq!(pair.serving(), [true, false], "nothing would be won");
    pair.step(BACKUP, Input::Fitness(Ok(())));
    pair.run(4_000);
    assert_eq!(pair.serving(), [false, true]);
    pair.run(60_000);
    assert_eq!(pair.serving(), [false, true]);
}

#[test]
fn an_unfit_backup_takes_over_all_the_same_when_the_other_one_dies() {
    let mut pair = Pair::settled();
    pair.step(BACKUP, Input::Fitness(Err("lvs exited with status 78".into())));
    pair.kill(PRIMARY);
    pair.run(6_000);
    assert_eq!(pair.serving(), [false, true]);
}

#[test]
fn a_frozen_router_gives_way_before_it_asks_and_believes_nothing_that_lay_unread() {
    // 6.5s: of these the first keepalive is not missing, yet the other one has heard nothing for deadtime.
    for (router, other) in [(PRIMARY, BACKUP), (BACKUP, PRIMARY)] {
        for (frozen_ms, tick_first) in [(30_000, false), (30_000, true), (6_500, false), (6_500, true)] {
            let mut pair = Pair::settled();
            if router == BACKUP {
                pair.kill(PRIMARY);
                pair.run(7_000);
                pair.restart(PRIMARY, 9);
                pair.run(10_000);
                pair.forget();
            }
            // From right after a heartbeat, so that nothing but the keepalive is missing at first.
            let next = pair.nodes[router].election.deadline().unwrap();
            pair.run(u64::try_from(next.since(pair.now).as_millis()).unwrap());
            pair.nodes[router].frozen = true;
            pair.run(frozen_ms);
            assert!(pair.nodes[other].serving, "the other one took over");
            pair.nodes[router].frozen = false;
            if tick_first {
                pair.step(router, Input::Tick);
            }
            pair.run(60_000);
            let case = format!("{router} {frozen_ms} {tick_first}");
            assert!(
                matches!(pair.nodes[router].last[..], [Cause::Frozen(_)]),
                "{case} {:?}",
                pair.nodes[router].last
            );
            assert!(
                matches!(pair.nodes[other].last[..], [Cause::PeerSilent(_)]),
                "{case} {:?}",
                pair.nodes[other].last
            );
        }
    }
}

#[test]
fn a_frozen_backup_does_not_take_its_own_absence_for_the_death_of_the_other() {
    let mut pair = Pair::settled();
    pair.now = pair.now + Duration::from_secs(30);
    pair.step(BACKUP, Input::Tick);
    assert_eq!(pair.serving(), [true, false]);
    pair.run(60_000);
    assert_eq!(pair.serving(), [true, false]);
}

#[test]
fn a_lone_router_serves_at_once() {
    let now = Mono::from_millis(1);
    let settings = Settings {
        router: Router::Primary,
        paths: 0,
        keepalive: KEEPALIVE,
        deadtime: DEADTIME,
        incarnation: 1,
    };
    let mut election = Election::new(now, settings);
    assert_eq!(election.deadline(), Some(now));
    assert_eq!(election.step(now, Input::Tick), [Action::TakeOver(Cause::Alone)]);
    assert_eq!(election.deadline(), None, "nobody to talk to");
}

/// What a router does on hearing `word` from an original.
fn hear(election: &mut Election, now: u64, word: Word) -> Vec<String> {
    let heartbeat = Heartbeat { word, order: ByteOrder::Little, trailer: None };
    let actions = election.step(Mono::from_millis(now), Input::Heartbeat { path: 0, heartbeat });
    let name = |action: &Action| match action {
        Action::Send(heartbeat) => Some(format!("send {:?}", heartbeat.word)),
        Action::TakeOver(_) => Some("take over".into()),
        Action::Release(_) => Some("release".into()),
        Action::Announce => Some("announce".into()),
        Action::Path(_) | Action::Peer(..) => None,
    };
    actions.iter().filter_map(name).collect()
}

fn facing_an_original(router: Router) -> Election {
    let settings = Settings { router, paths: 1, keepalive: KEEPALIVE, deadtime: DEADTIME, incarnation: 1 };
    Election::new(Mono::ZERO, settings)
}

#[test]
fn either_router_takes_over_from_an_original_that_stopped() {
    for router in [Router::Primary, Router::Backup] {
        let mut election = facing_an_original(router);
        assert_eq!(hear(&mut election, 100, Word::Running), [""; 0]);
        assert_eq!(hear(&mut election, 200, Word::Stopped), ["send Running", "take over"]);
        assert_eq!(hear(&mut election, 300, Word::Stopped), [""; 0]);
    }
}

#[test]
fn a_backup_yields_to_an_original_primary_after_saying_running_once_more() {
    let mut election = facing_an_original(Router::Backup);
    election.step(Mono::from_millis(10), Input::Force);
    assert_eq!(hear(&mut election, 100, Word::Running), ["send Running", "release", "send Stopped"]);
}

#[test]
fn a_primary_stays_against_an_original_backup_and_announces_at_most_once_a_deadtime() {
    let mut election = facing_an_original(Router::Primary);
    election.step(Mono::from_millis(0), Input::Force);
    let mut announced = Vec::new();
    for now in (100..=13_000).step_by(100) {
        let actions = hear(&mut election, now, Word::Running);
        assert!(!actions.contains(&"release".into()), "{now}: {actions:?}");
        announced.extend(actions.contains(&"announce".into()).then_some(now));
    }
    assert_eq!(announced, [100, 6_100, 12_100]);
}

#[test]
fn the_last_of_many_conflicts_is_answered_too() {
    let mut election = facing_an_original(Router::Primary);
    election.step(Mono::from_millis(0), Input::Force);
    assert_eq!(hear(&mut election, 100, Word::Running), ["send Running", "announce"]);
    assert_eq!(hear(&mut election, 200, Word::Running), [""; 0]);
    assert_eq!(hear(&mut election, 300, Word::Stopped), [""; 0]);
    let mut announced = Vec::new();
    while let Some(at) = election.deadline().filter(|at| *at <= Mono::from_millis(60_000)) {
        let again = election.step(at, Input::Tick).contains(&Action::Announce);
        announced.extend(again.then_some(at));
    }
    assert_eq!(announced, [Mono::from_millis(6_100)]);
}

#[test]
fn hold_and_held_keep_a_router_waiting() {
    let mut election = facing_an_original(Router::Backup);
    for now in (1_000..60_000).step_by(1_000) {
        assert_eq!(hear(&mut election, now, Word::Alive), [""; 0]);
        let actions = election.step(Mono::from_millis(now), Input::Tick);
        assert!(!actions.iter().any(|action| matches!(action, Action::TakeOver(_))), "{now}: {actions:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever happened before: once the network works again, one router serves within a deadtime and two keepalives,
    /// never two for longer than a keepalive and the way there and back, and it stays so.
    #[test]
    fn a_working_network_ends_in_exactly_one_serving_router(
        seed in 1u64..u64::MAX,
        trouble in proptest::collection::vec((0u8..8, 100u64..15_000), 0..12),
        loss in 0u64..60,
    ) {
        let mut pair = Pair::new();
        pair.random = seed;
        for (round, (what, millis)) in trouble.into_iter().enumerate() {
            pair.loss = loss;
            match what {
                0 => pair.open = [[false; 2]; 2],
                1 => pair.open[PRIMARY] = [false; 2],
                2 => pair.open[BACKUP] = [false; 2],
                3 => pair.open = [[true; 2]; 2],
                4 => pair.kill(PRIMARY),
                5 => pair.kill(BACKUP),
                6 if !pair.nodes[PRIMARY].alive => pair.restart(PRIMARY, 100 + round as u64),
                7 if !pair.nodes[BACKUP].alive => pair.restart(BACKUP, 200 + round as u64),
                _ => {}
            }
            pair.run(millis);
        }
        pair.open = [[true; 2]; 2];
        pair.loss = 0;
        for n in [PRIMARY, BACKUP] {
            if !pair.nodes[n].alive {
                pair.restart(n, 1_000 + n as u64);
            }
        }
        pair.forget();
        let patience = DEADTIME + KEEPALIVE * 2;
        pair.run(u64::try_from(patience.as_millis()).unwrap());
        let serving = pair.serving();
        prop_assert_eq!(serving.iter().filter(|serves| **serves).count(), 1, "{:?}", serving);
        prop_assert!(pair.longest_both <= KEEPALIVE + pair.delay * 4, "both for {:?}", pair.longest_both);
        pair.forget();
        pair.run(120_000);
        prop_assert_eq!(pair.serving(), serving, "it does not change any more");
        prop_assert_eq!(pair.longest_both, Duration::ZERO);
    }

    /// Losses alone, however unlucky short of a whole deadtime, never make a router serve beside another for long.
    #[test]
    fn lost_heartbeats_cost_at_most_a_keepalive_of_both_serving(seed in 1u64..u64::MAX, loss in 0u64..30) {
        let mut pair = Pair::settled();
        pair.random = seed;
        pair.loss = loss;
        pair.run(600_000);
        prop_assert!(pair.longest_both <= KEEPALIVE * 3, "both for {:?}", pair.longest_both);
        prop_assert_eq!(pair.longest_none, Duration::ZERO);
    }
}
