//! Which schedulers there are: those that the kernel has, and what is said of others.

use std::{collections::BTreeSet, fs};

use anyhow::{Context as _, Result, ensure};
use lab::{Lab, scenarios};
use nix::sys::utsname::uname;

use super::service::{Service, clients, ipvsadm};
use crate::one_router::{OneRouter, http, web};

scenarios! {
    exactly_the_schedulers_of_the_kernel_are_accepted: 90,
    an_unknown_scheduler_is_refused_by_name: 90,
    a_service_without_scheduler_refuses_connections: 90,
}

/// Those that Linux ships. The lab's own kernel is configured without the last, `twos`; where a kernel has it, it has to
/// be accepted and to serve like all the others.
const SHIPPED: [&str; 14] =
    ["rr", "wrr", "lc", "wlc", "lblc", "lblcr", "dh", "sh", "sed", "nq", "fo", "ovf", "mh", "twos"];

/// The names `ip_vs_NAME` of the running kernel's modules, built in or not, that are schedulers.
fn schedulers_of_the_kernel() -> Result<BTreeSet<String>> {
    let tree = format!("/lib/modules/{}", uname()?.release().to_string_lossy());
    let mut found = BTreeSet::new();
    for list in ["modules.dep", "modules.builtin"] {
        let path = format!("{tree}/{list}");
        let text = fs::read_to_string(&path).with_context(|| path.clone())?;
        let paths = text.lines().filter_map(|line| line.split(':').next());
        let names = paths.filter_map(|path| path.rsplit('/').next()?.split('.').next());
        found.extend(names.filter_map(|name| name.strip_prefix("ip_vs_")).map(str::to_owned));
    }
    // An application helper and a persistence engine.
    found.remove("ftp");
    found.remove("pe_sip");
    Ok(found)
}

/// Each serves a connection as soon as it is accepted. Those that the kernel does not have are refused.
fn exactly_the_schedulers_of_the_kernel_are_accepted(lab: &Lab) -> Result<()> {
    let world = OneRouter::nat(lab, 1)?;
    let mut accepted = BTreeSet::new();
    for scheduler in SHIPPED {
        if ipvsadm(&world, &format!("-A -t 10.1.0.101:80 -s {scheduler}"))?.status.success() {
            ipvsadm(&world, "-C")?.success()?;
            let service = Service::on(&world, 0, scheduler, &[1])?;
            assert_eq!(service.ask(1)?, "1", "{scheduler}");
            let kept = world.router.ipvs_table()?;
            assert_eq!(kept[0].scheduler, scheduler);
            ipvsadm(&world, "-C")?.success()?;
            accepted.insert(scheduler.to_owned());
        }
    }
    assert_eq!(accepted, schedulers_of_the_kernel()?);
    Ok(())
}

/// By the kernel, where it could be a module's name, and by the tool where it could not: the message says what was asked
/// for, what was looked for, and what is allowed.
fn an_unknown_scheduler_is_refused_by_name(lab: &Lab) -> Result<()> {
    let world = OneRouter::nat(lab, 1)?;
    let shipped = SHIPPED.join(", ");
    let cases = [
        (
            "nonesuch",
            format!(
                "-A -t 10.1.0.100:80 -s nonesuch: the kernel has no scheduler nonesuch and could not load its module \
                 ip_vs_nonesuch (ENOENT); those of Linux are {shipped}"
            ),
        ),
        (
            "too-long-for-the-kernel",
            "-s: `too-long-for-the-kernel` is not a scheduler name: 1 to 15 printable ASCII characters without spaces \
             are allowed, the first not a #"
                .to_owned(),
        ),
    ];
    for (scheduler, message) in cases {
        let tried = ipvsadm(&world, &format!("-A -t 10.1.0.100:80 -s {scheduler}"))?;
        assert_eq!(tried.stderr, format!("ipvsadm: {message}\n"));
        assert_eq!((tried.status.code(), tried.stdout.as_str()), (Some(255), ""));
    }
    assert_eq!(world.router.ipvs_table()?, []);
    Ok(())
}

/// `none` is a scheduler's name to the tool; to the kernel it means that nobody gets a connection.
fn a_service_without_scheduler_refuses_connections(lab: &Lab) -> Result<()> {
    let world = OneRouter::nat(lab, 1)?;
    let service = Service::on(&world, 0, "none", &[1])?;
    let client = clients(&world, 1)?[0];
    ensure!(service.refuses(client, http())?, "a connection was scheduled by nobody");
    assert_eq!(world.service(web())?.scheduler, "none");
    Ok(())
}
