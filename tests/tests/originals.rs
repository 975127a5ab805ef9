//! A router beside an original `pulse`, played from its datagrams: either role, in both directions.

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use lab::{Host, Lab, Program, Signal, eventually, scenarios};
use lvs_ipc::status::Role;

use crate::pair::{Pair, SOON, Timers};

scenarios! {
    a_backup_waits_while_an_original_primary_serves_and_takes_over_when_it_stops: 60,
    a_primary_waits_while_an_original_backup_serves_and_takes_over_when_it_falls_silent: 60,
    a_backup_that_serves_yields_to_an_original_primary: 60,
    a_primary_that_serves_stays_and_announces_against_an_original_backup: 60,
    strangers_and_nonsense_are_not_heard: 60,
}

const TIMERS: Timers = Timers::millis(200, 1_000);
/// The original's default port.
const PORT: u16 = 539;
const RUNNING: [u8; 4] = [0xda, 0xdb, 0xad, 0xbd];
const STOPPED: [u8; 4] = [0xbd, 0xda, 0xbd, 0xad];

/// An original on one router, and ours on the other.
struct Match {
    pair: Pair,
    ours: usize,
    pulse: Program,
    original: UdpSocket,
    to: SocketAddr,
}

impl Match {
    /// `ours` is the router, 1 (primary) or 2 (backup), on which our pulse runs.
    fn new(lab: &Lab, ours: usize) -> Result<Self> {
        let pair = Pair::new(lab, TIMERS, "")?;
        let original = socket(pair.router(3 - ours), 3 - ours)?;
        let pulse = pair.start(ours)?;
        let to = format!("10.1.0.1{ours}:{PORT}").parse()?;
        pulse.wait_for_line("pulse started", SOON)?;
        Ok(Self { pair, ours, pulse, original, to })
    }

    /// Says `word` every `keepalive` until `done`.
    fn say_until(&self, word: [u8; 4], what: &str, done: impl Fn() -> Result<bool>) -> Result<()> {
        eventually(SOON, what, || {
            self.say(word).map_err(|error| format!("{error:#}"))?;
            match done() {
                Ok(true) => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })
    }

    fn say(&self, word: [u8; 4]) -> Result<()> {
        self.original.send_to(&word, self.to).context("send as the original")?;
        Ok(())
    }

    fn role(&self) -> Result<Role> {
        Ok(self.pair.status(self.ours)?.role.state)
    }

    /// Says `word` for three deadtimes, during which our role must stay `role`.
    fn say_for_three_deadtimes(&self, lab: &Lab, word: [u8; 4], role: Role) -> Result<()> {
        let end = lab.now() + TIMERS.deadtime * 3;
        self.say_until(word, "three deadtimes to pass", || {
            let now = self.role()?;
            ensure!(now == role, "router {} became {now}", self.ours);
            Ok(lab.now() >= end)
        })?;
        ensure!(self.role()? == role);
        Ok(())
    }

    /// The first four bytes of the datagrams that our pulse sends, from now on, until one equals `word`.
    fn wait_to_hear(&self, word: [u8; 4]) -> Result<()> {
        eventually(SOON, &format!("our pulse to say {word:02x?}"), || {
            let mut datagram = [0; 256];
            match self.original.recv(&mut datagram) {
                Ok(length) if length >= 4 && datagram[..4] == word => Ok(()),
                Ok(length) => Err(format!("{:02x?}", &datagram[..length])),
                Err(error) => Err(error.to_string()),
            }
        })
    }
}

fn socket(host: &Host, n: usize) -> Result<UdpSocket> {
    let socket = host.udp(&format!("10.1.0.1{n}:{PORT}"))?;
    socket.set_read_timeout(Some(Duration::from_millis(50)))?;
    Ok(socket)
}

fn a_backup_waits_while_an_original_primary_serves_and_takes_over_when_it_stops(lab: &Lab) -> Result<()> {
    let game = Match::new(lab, 2)?;
    game.wait_to_hear(STOPPED)?;
    game.say_for_three_deadtimes(lab, RUNNING, Role::Backup)?;
    game.say(STOPPED)?;
    game.pulse.wait_for_line("taking the service reason=\"the other router does not serve\"", SOON)?;
    game.wait_to_hear(RUNNING)?;
    game.say_until(STOPPED, "our router to be active", || Ok(game.role()? == Role::Active))?;
    game.say_for_three_deadtimes(lab, STOPPED, Role::Active)
}

fn a_primary_waits_while_an_original_backup_serves_and_takes_over_when_it_falls_silent(
    lab: &Lab,
) -> Result<()> {
    let game = Match::new(lab, 1)?;
    game.say_for_three_deadtimes(lab, RUNNING, Role::Backup)?;
    let silent = lab.now();
    let took = game.pulse.wait_for_line("taking the service reason=\"no heartbeat on any path", SOON)?;
    ensure!(
        took.at >= silent + TIMERS.deadtime - Duration::from_millis(150),
        "{:?} after {silent:?}",
        took.at
    );
    game.wait_to_hear(RUNNING)
}

fn a_backup_that_serves_yields_to_an_original_primary(lab: &Lab) -> Result<()> {
    let game = Match::new(lab, 2)?;
    // Nobody speaks: it takes the service.
    game.pulse.wait_for_line(" active reason=", SOON)?;
    let mark = lab.journal().mark();
    game.say(RUNNING)?;
    game.pulse.wait_for_line_after(mark, "giving the service back", SOON)?;
    // It says "running" once more, so that the original announces its addresses, then "stopped".
    game.wait_to_hear(RUNNING)?;
    game.say_until(RUNNING, "our router to be clean", || Ok(game.role()? == Role::Backup))?;
    game.wait_to_hear(STOPPED)?;
    ensure!(!game.pair.router(2).has_address("10.1.0.100")?);
    Ok(())
}

fn a_primary_that_serves_stays_and_announces_against_an_original_backup(lab: &Lab) -> Result<()> {
    let game = Match::new(lab, 1)?;
    game.pulse.wait_for_line(" active reason=", SOON)?;
    let wire = game.pair.cluster.capture("public")?;
    let mark = lab.journal().mark();
    game.say_for_three_deadtimes(lab, RUNNING, Role::Active)?;
    game.pulse.wait_for_line_after(mark, "announcing the addresses again", SOON)?;
    wire.wait_for("announcement", SOON, |frame| {
        frame.arp().filter(|arp| arp.is_gratuitous() && arp.sender_ip.to_string() == "10.1.0.100")
    })?;
    let said = game.pulse.lines();
    let again = said.iter().filter(|line| line.text.contains("announcing the addresses again")).count();
    ensure!((1..=4).contains(&again), "announced {again} times in three deadtimes");
    Ok(())
}

fn strangers_and_nonsense_are_not_heard(lab: &Lab) -> Result<()> {
    let game = Match::new(lab, 2)?;
    let client = game.pair.cluster.client()?;
    let nonsense: [&[u8]; 4] =
        [&[0xda, 0xdb, 0xad], &[0xbe, 0xba, 0xef, 0xbe], b"\xda\xdb\xad\xbdLVSR\x01", &[]];
    // A stranger's "running" and the other router's nonsense: neither counts as a sign of life.
    let took = "taking the service reason=\"no heartbeat on any path";
    eventually(SOON, "the router to take the service all the same", || {
        let speak = || -> Result<bool> {
            client.send_udp(game.to, &RUNNING)?;
            for datagram in nonsense {
                game.original.send_to(datagram, game.to)?;
            }
            Ok(game.pulse.lines().iter().any(|line| line.text.contains(took)))
        };
        match speak() {
            Ok(true) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })?;
    ensure!(game.pulse.exit().is_none());
    game.pulse.signal(Signal::SIGTERM)?;
    ensure!(game.pulse.wait_exit(SOON)?.success());
    Ok(())
}
