//! What monitors may do on this kernel: that it is as little as it can be, that it is told, and that all works all the same.

use std::fs;

use anyhow::{Context as _, Result, ensure};
use lab::{Lab, Signal, eventually, scenarios};
use nanny::confine::user;
use nix::sys::signal::kill;
use nix::unistd::Pid;

use crate::{
    cf::{file, virtual_server},
    one_router::{OneRouter, SOON, web},
};

scenarios! {
    monitors_run_as_their_own_user_without_privileges_and_do_what_they_did: 40,
    what_this_kernel_lacks_is_logged_once: 30,
}

/// Both servers of the service.
const BOTH: [(&str, i32); 2] = [("rs1", 1), ("rs2", 1)];

/// A field of `/proc/PID/status`.
fn field(pid: i32, name: &str) -> Result<String> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let value = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    Ok(value.with_context(|| format!("{pid} has no {name}"))?.trim().to_owned())
}

/// Another user is signalled by `lvs`, ends with it although the kernel forgets a death signal when the user changes, and
/// runs programs as itself.
fn monitors_run_as_their_own_user_without_privileges_and_do_what_they_did(lab: &Lab) -> Result<()> {
    let world = OneRouter::nat(lab, 2)?;
    world
        .router
        .write_file("/etc/sysconfig/ha/who", "id -u; grep -E 'CapEff|NoNewPrivs' /proc/self/status\n")?;
    let own = user::find(None, user::read).map_err(anyhow::Error::msg)?;
    let program = virtual_server("programs", 1)
        .set("timeout", "500ms")
        .set("send_program", r#""/bin/sh /etc/sysconfig/ha/who""#)
        .set("expect", format_args!(r#""{}\nCapEff:\t0000000000000000\nNoNewPrivs:\t1""#, own.uid))
        .weights(&[1]);
    let lvs =
        world.serve(file([virtual_server("web", 0).checked_often().weights(&[1, 1]), program]), &BOTH)?;
    lvs.wait_for_line("real server up vs=programs .*reason=\"program passed\"", SOON)?;
    let nannies = world.nannies(&lvs)?;
    ensure!(nannies.len() == 3, "{nannies:?}");
    for (name, pid) in &nannies {
        let pid = *pid;
        assert_eq!(field(pid, "Uid")?, [own.uid.to_string().as_str(); 4].join("\t"), "{name}");
        assert_eq!(field(pid, "Groups")?, "", "{name}");
        for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
            assert_eq!(field(pid, set)?, "0000000000000000", "{set} of {name}");
        }
        assert_eq!(field(pid, "NoNewPrivs")?, "1", "{name}");
        // A program would inherit the filter.
        let filter = if name.starts_with("10.1.0.101:") { "0" } else { "2" };
        assert_eq!(field(pid, "Seccomp")?, filter, "{name}");
    }

    // Root reaches them, and so does the director, which keeps the right to.
    let first = Pid::from_raw(nannies["10.1.0.100:80 10.2.0.101"]);
    kill(first, Signal::SIGUSR1)?;
    world.wait_for_weights(web(), &BOTH[1..])?;
    kill(first, Signal::SIGHUP)?;
    world.wait_for_weights(web(), &BOTH)?;
    lvs.kill9()?;
    eventually(SOON, "the monitors to end", || {
        let is_there = |pid: &&i32| field(**pid, "State").is_ok_and(|state| !state.starts_with('Z'));
        let left: Vec<&i32> = nannies.values().filter(is_there).collect();
        if left.is_empty() { Ok(()) } else { Err(format!("{left:?} run")) }
    })
}

/// The lab's kernel has seccomp and no Landlock; a machine's own kernel may have both.
fn what_this_kernel_lacks_is_logged_once(lab: &Lab) -> Result<()> {
    let world = OneRouter::nat(lab, 2)?;
    let lvs = world.serve(file([virtual_server("web", 0).checked_often().weights(&[1, 1])]), &BOTH)?;
    let about = |part: &str| lvs.lines().iter().filter(|line| line.text.contains(part)).count();
    let lines: Vec<String> = lvs.lines().into_iter().map(|line| line.text).collect();
    let has_landlock = lines.iter().any(|line| line.contains(" confined ") && !line.contains("landlock=0"));
    assert_eq!(about("a monitor's notice"), usize::from(!has_landlock), "{lines:#?}");
    if !has_landlock {
        lvs.wait_for_line(
            "not fully confined; missing: Landlock \\(not (enabled )?in this kernel\\)\"",
            SOON,
        )?;
    }
    eventually(SOON, "both monitors to say what holds", || {
        let own = user::find(None, user::read)?;
        let count = about(&format!(" confined user={own} caps=none no_new_privs=1 seccomp=filter landlock="));
        if count == 2 { Ok(()) } else { Err(format!("{count} of 2")) }
    })
}
