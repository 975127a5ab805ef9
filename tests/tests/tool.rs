//! What our `ipvsadm` has beyond the original, where only a real kernel can tell: messages, JSON, completion.

use anyhow::{Context as _, Result, ensure};
use lab::{Host, Lab, at, eventually, scenarios, standard, suite_binary};
use serde_json::Value;

use crate::{ipvs_module, one_router::SOON};

scenarios! {
    each_refusal_of_the_kernel_names_what_was_found_and_what_is_there: 90,
    without_permission_or_module_the_way_out_is_named: 90,
    json_tells_what_went_through: 90,
    bash_completes_services_that_exist: 90,
}

/// Runs our `ipvsadm` with the words of a line; gives exit status, standard output and standard error.
fn ipvsadm(host: &Host, line: &str) -> Result<(i32, String, String)> {
    let done = host.program("ipvsadm").args(line.split_whitespace()).run(SOON)?;
    Ok((done.status.code().context("no signal")?, done.stdout, done.stderr))
}

/// As [`ipvsadm`] of the user `nobody`.
fn as_nobody(host: &Host, line: &str) -> Result<(i32, String, String)> {
    let nobody = ["--reuid=65534", "--regid=65534", "--clear-groups"];
    let launch =
        host.tool("setpriv").args(nobody).arg(suite_binary("ipvsadm")?).args(line.split_whitespace());
    let done = launch.run(SOON)?;
    Ok((done.status.code().context("no signal")?, done.stdout, done.stderr))
}

fn do_it(host: &Host, line: &str) -> Result<()> {
    let (status, _, errors) = ipvsadm(host, line)?;
    ensure!(status == 0, "{line}: {status}: {errors}");
    Ok(())
}

fn each_refusal_of_the_kernel_names_what_was_found_and_what_is_there(lab: &Lab) -> Result<()> {
    let cluster = lab.cluster().routers(1).build()?;
    let r1 = &cluster.router(1)?;
    do_it(r1, "-A -t 10.1.0.100:80 -s rr")?;
    do_it(r1, "-a -t 10.1.0.100:80 -r 10.2.0.101:8080 -m")?;
    let cases = [
        (
            "-A -t 10.1.0.100:443 -s wlcc",
            "-A -t 10.1.0.100:443 -s wlcc: the kernel has no scheduler wlcc and could not load its module ip_vs_wlcc \
             (ENOENT); did you mean wlc?",
        ),
        (
            "-A -t 10.1.0.100:80 -s rr",
            "-A -t 10.1.0.100:80 -s rr: the service exists already (EEXIST); -E changes it",
        ),
        (
            "-a -t 10.1.0.100:80 -r 10.2.0.101:8080 -m",
            "-a -t 10.1.0.100:80 -r 10.2.0.101:8080 -m -w 1: the service has this real server already (EEXIST); -e \
             changes it",
        ),
        (
            "-E -u 10.1.0.100:80 -s rr",
            "-E -u 10.1.0.100:80 -s rr: there is no such service (ESRCH); there is TCP 10.1.0.100:80",
        ),
        (
            "-d -t 10.1.0.100:80 -r 10.2.0.101:80",
            "-d -t 10.1.0.100:80 -r 10.2.0.101:80: the service has no such real server (ENOENT); it has \
             10.2.0.101:8080",
        ),
        (
            "-a -t 10.1.0.100:80 -r 224.0.0.1:80 -m",
            "-a -t 10.1.0.100:80 -r 224.0.0.1:80 -m -w 1: the real server's address must be a unicast address that \
             this router can route to (EINVAL)",
        ),
        ("--stop-daemon master", "--stop-daemon master: no master sync daemon runs (ESRCH)"),
        (
            "--start-daemon backup --mcast-interface eth9",
            "--start-daemon backup --mcast-interface eth9 --syncid 0: there is no interface eth9 (ENODEV)",
        ),
    ];
    for (line, message) in cases {
        assert_eq!(ipvsadm(r1, line)?, (255, String::new(), format!("ipvsadm: {message}\n")), "{line}");
    }
    let missing = "ipvsadm: there is no such service: TCP 10.1.0.100:443; there is TCP 10.1.0.100:80\n";
    assert_eq!(ipvsadm(r1, "-L -n -t 10.1.0.100:443")?, (1, String::new(), missing.to_owned()));
    Ok(())
}

const NOT_LOADED: &str = "ipvsadm: the kernel has no IPVS: the module ip_vs is not loaded; `modprobe ip_vs` loads it, as \
                          root, and not from within a container but on its host\n/sbin/modprobe was tried: ";

fn without_permission_or_module_the_way_out_is_named(lab: &Lab) -> Result<()> {
    let cluster = lab.cluster().routers(1).build()?;
    let r1 = &cluster.router(1)?;
    let refused = "ipvsadm: permission denied: IPVS needs CAP_NET_ADMIN in the initial user namespace: be root, and not \
                   that of a container with a user namespace of its own\n";
    for line in ["-L -n", "-L --json", "-C"] {
        assert_eq!(as_nobody(r1, line)?, (2, String::new(), refused.to_owned()), "{line}");
    }
    if !ipvs_module::is_of_the_lab(r1)? {
        lab.note("modules are not taken out of a kernel that is not the lab's own");
        return Ok(());
    }
    ipvs_module::take_out(r1)?;

    let (status, output, errors) = as_nobody(r1, "-L -n")?;
    assert_eq!((status, output.as_str()), (2, ""));
    ensure!(errors.starts_with(NOT_LOADED) && errors.contains("Operation not permitted"), "{errors}");

    let bare = "mount -t tmpfs none /lib/modules && exec \"$0\" -L -n";
    let launch = r1.tool("unshare").args(["-m", "sh", "-c", bare]).arg(suite_binary("ipvsadm")?);
    let done = launch.run(SOON)?;
    assert_eq!((done.status.code(), done.stdout.as_str()), (Some(2), ""));
    ensure!(done.stderr.starts_with(NOT_LOADED) && done.stderr.contains("not found"), "{}", done.stderr);

    // Root finds the module loaded for it.
    do_it(r1, "-L -n")
}

/// A listing as JSON.
fn json(host: &Host, line: &str) -> Result<Value> {
    let (status, output, errors) = ipvsadm(host, line)?;
    ensure!(status == 0, "{line}: {status}: {errors}");
    serde_json::from_str(&output).with_context(|| format!("{line}: {output}"))
}

fn json_tells_what_went_through(lab: &Lab) -> Result<()> {
    let cluster = lab.cluster().routers(1).real_servers(1).build()?;
    let r1 = &cluster.router(1)?;
    r1.add_address("eth1", standard::NAT_ROUTER)?;
    r1.add_address("eth0", "10.1.0.100/24")?;
    let _server = cluster.real_server(1)?.real_server(&[80])?;
    do_it(r1, "-A -t 10.1.0.100:80 -s wrr")?;
    do_it(r1, "-a -t 10.1.0.100:80 -r 10.2.0.101:80 -m -w 7")?;
    let probe = cluster.client()?.probe(at(standard::vip(0), 80)).start()?;
    probe.wait_for_successes(10, SOON)?;
    let report = probe.stop()?;
    let made = report.total();

    let service = eventually(SOON, "all connections to be counted", || {
        let listed = json(r1, "-L --json").map_err(|error| format!("{error:#}"))?;
        let service = listed["services"][0].clone();
        if service["stats"]["connections"] == made { Ok(service) } else { Err(listed.to_string()) }
    })?;
    let destination = &service["destinations"][0];
    assert_eq!((&service["address"], &service["port"]), (&"10.1.0.100".into(), &80.into()));
    assert_eq!((&service["scheduler"], &destination["weight"]), (&"wrr".into(), &7.into()));
    assert_eq!(
        (&destination["address"], &destination["forwarding"]),
        (&"10.2.0.101".into(), &"masquerade".into())
    );
    assert_eq!(destination["stats"]["connections"], made);
    let known = |field: &str| destination[field].as_u64().context("a number");
    let known = known("active_connections")? + known("inactive_connections")?;

    let connections = json(r1, "-L -c --json")?;
    let connections = connections["connections"].as_array().context("a list")?;
    ensure!(u64::try_from(connections.len())? <= known, "{} of {known}", connections.len());
    let first = connections.first().context("connections linger")?;
    assert_eq!(first["client"]["address"], standard::CLIENT.to_string());
    assert_eq!(first["destination"], serde_json::json!({"address": "10.2.0.101", "port": 80}));
    assert_eq!(json(r1, "-L --timeout --json")?["timeouts"]["tcp"], 900);
    assert_eq!(json(r1, "-L --daemon --json")?["daemons"], serde_json::json!([]));
    Ok(())
}

fn bash_completes_services_that_exist(lab: &Lab) -> Result<()> {
    let cluster = lab.cluster().routers(1).build()?;
    let r1 = &cluster.router(1)?;
    do_it(r1, "-A -t 10.1.0.100:80 -s rr")?;
    do_it(r1, "-A -t [fd00:1::100]:443 -s rr")?;
    do_it(r1, "-a -t 10.1.0.100:80 -r 10.2.0.101:8080 -m")?;
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../packaging/completions/ipvsadm.bash");
    let script =
        r#"source "$1"; COMP_LINE=$2 COMP_POINT=${#2}; _ipvsadm "$4" "$3" x; echo "${COMPREPLY[@]}""#;
    let replies = |line: &str, piece: &str| -> Result<String> {
        let launch = r1.tool("bash").args(["--norc", "-c", script, "bash"]).arg(file).args([line, piece]);
        Ok(launch.arg(suite_binary("ipvsadm")?).run(SOON)?.success()?.stdout)
    };
    assert_eq!(replies("ipvsadm -D -t 1", "1")?, "10.1.0.100:80\n");
    // Bash has broken the word at the colon.
    assert_eq!(replies("ipvsadm -D -t 10.1.0.100:", "")?, "80\n");
    assert_eq!(replies("ipvsadm -D -t [", "[")?, "[fd00:1::100]:443\n");
    assert_eq!(replies("ipvsadm -d -t 10.1.0.100:80 -r ", "")?, "10.2.0.101:8080\n");
    Ok(())
}
