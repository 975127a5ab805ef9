//! Commands that are run when somebody comes up or goes down.

use daemonkit::children::Exit;
use lvs::action::Input;
use lvs_config::Config;

use crate::world::{Director, assert_lines, config, virtual_server};

fn web() -> Config {
    let servers = ["10.2.0.11 on_up = \"/bin/rs up\";on_down = \"/bin/rs down\"", "10.2.0.12"];
    let directives = "on_up = \"/bin/vs up\"; on_down = \"/bin/vs down\"; sorry_server = 10.2.0.99";
    config(&virtual_server("web", "10.1.0.100", directives, &servers))
}

fn hooks_of(lines: &[String]) -> Vec<&str> {
    lines.iter().filter_map(|line| line.strip_prefix("hook ")).collect()
}

/// The hook `number`, from 0, ends well.
fn done(director: &mut Director, millis: u64, number: usize) -> Vec<String> {
    let token = director.hooks[number].0;
    director.at(millis, Input::MonitorEnded(token, Exit::Status(0)))
}

const RS: &str = "of 10.2.0.11:80 of TCP 10.1.0.100:80";

#[test]
fn the_first_verdict_runs_the_hooks_of_the_state_and_a_repeated_one_does_not() {
    let mut director = Director::new(&web());
    director.tick(0);
    let lines = director.report(10, 1, None);
    assert_eq!(hooks_of(&lines), [&format!("/bin/rs up {RS}"), "/bin/vs up of TCP 10.1.0.100:80"]);
    assert_eq!(hooks_of(&director.report(20, 1, None)), [""; 0]);
    assert_eq!(hooks_of(&director.report(30, 2, None)), [""; 0]);
    done(&mut director, 40, 0);
    done(&mut director, 40, 1);
    assert_eq!(hooks_of(&director.report(50, 1, Some("x"))), [&format!("/bin/rs down {RS}")]);
    assert_eq!(hooks_of(&director.report(60, 2, Some("x"))), ["/bin/vs down of TCP 10.1.0.100:80"]);
}

#[test]
fn an_adoption_is_silent_and_the_first_verdict_after_it_is_not() {
    let mut first = Director::new(&web());
    first.tick(0);
    first.report(10, 1, None);
    first.report(10, 2, None);
    let mut second = first.successor(&web());
    assert_eq!(hooks_of(&second.tick(20)), [""; 0]);
    let lines = second.report(30, 1, None);
    assert_eq!(hooks_of(&lines), [&format!("/bin/rs up {RS}"), "/bin/vs up of TCP 10.1.0.100:80"]);
}

#[test]
fn a_hook_finds_out_from_its_environment_what_happened() {
    let mut director = Director::new(&web());
    director.tick(0);
    director.report(10, 1, Some("connection\trefused"));
    director.report(20, 2, Some("x"));
    let environments: Vec<_> = director
        .hooks
        .iter()
        .map(|(_, hook)| {
            let mut lines: Vec<String> =
                hook.environment.iter().map(|(name, value)| format!("{name}={value}")).collect();
            lines.sort();
            lines
        })
        .collect();
    assert_eq!(
        environments,
        [
            vec![
                "LVS_ADDRESS=10.2.0.11:80",
                "LVS_EVENT=server_down",
                "LVS_REAL_SERVER=s10.2.0.11",
                "LVS_REASON=connection refused",
                "LVS_SERVICE=TCP 10.1.0.100:80",
                "LVS_STATE=down",
                "LVS_VIRTUAL_SERVER=web",
            ],
            vec![
                "LVS_ADDRESS=10.1.0.100:80",
                "LVS_EVENT=virtual_down",
                "LVS_REASON=0 of 2 real servers take connections, with weight 0",
                "LVS_SERVICE=TCP 10.1.0.100:80",
                "LVS_STATE=down",
                "LVS_VIRTUAL_SERVER=web",
            ],
        ]
    );
}

#[test]
fn a_flapping_server_has_one_hook_running_and_the_last_state_wins() {
    let mut director = Director::new(&web());
    director.tick(0);
    director.report(0, 2, None);
    director.report(10, 1, None);
    for at in 20..120 {
        director.report(at, 1, Some("x").filter(|_| at % 2 == 0));
    }
    director.report(120, 1, Some("x"));
    let of_server = |director: &Director| {
        let of_server = director.hooks.iter().filter(|(_, hook)| hook.subject.server.is_some());
        of_server.map(|(_, hook)| hook.up).collect::<Vec<_>>()
    };
    assert_eq!(of_server(&director), [true]);
    let first = director.hooks.iter().position(|(_, hook)| hook.subject.server.is_some()).unwrap();
    let lines = done(&mut director, 130, first);
    assert_lines(&lines, &["log hook exited with status 0", &format!("hook /bin/rs down {RS}")]);
}

#[test]
fn what_a_hook_says_and_how_it_ends_is_logged_and_one_that_hangs_is_killed() {
    let mut director = Director::new(&web());
    director.tick(0);
    director.report(10, 1, None);
    let (rs, vs) = (director.hooks[0].0, director.hooks[1].0);
    assert_lines(&director.at(20, Input::Line(rs, "hello".into())), &["log hook said hello"]);
    assert_lines(&director.at(20, Input::OutputEnded(rs)), &[]);
    assert_lines(
        &director.at(30, Input::MonitorEnded(rs, Exit::Status(3))),
        &["log hook exited with status 3"],
    );
    let late = director.until(60_000);
    let killed: Vec<&String> = late.iter().filter(|line| line.contains("kill")).collect();
    assert_eq!(killed, [&format!("30010 kill {vs}")]);
    assert_lines(
        &director.at(60_000, Input::MonitorEnded(vs, Exit::Signal(9))),
        &["log hook killed by SIGKILL, killed"],
    );
    assert_lines(&director.at(60_001, Input::SpawnFailed(vs, "late".into())), &[]);
}

#[test]
fn stopping_runs_no_hook_and_waits_for_none() {
    let mut director = Director::new(&web());
    director.tick(0);
    director.report(10, 1, None);
    director.at(20, Input::Shutdown);
    director.ended(30, 1, 0);
    assert_lines(&director.ended(40, 2, 0), &["exit 0"]);
    assert_eq!(director.hooks.len(), 2);
}
