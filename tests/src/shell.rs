//! `cargo lab shell`: the standard cluster to play in.

use std::{env, fs, os::unix::fs::PermissionsExt as _, path::Path, process::Command, time::Duration};

use anyhow::{Context as _, Result, ensure};

use crate::{
    Cluster, Lab,
    kernel::{Console, Kernel, Outcome, Task},
    program::programs_folder,
};

/// A session longer than this was forgotten.
const LIMIT: Duration = Duration::from_secs(24 * 3600);
/// Where the commands of the session are.
const COMMANDS: &str = "/run/lab";
const ROUTERS: u8 = 2;
const REAL_SERVERS: u8 = 3;

/// Boots and gives the terminal to a shell in the cluster.
///
/// # Errors
/// When there is no kernel to run on or it does not come up.
pub fn run(kernel: &Kernel) -> Result<()> {
    let task = Task { console: Console::Terminal, ..Task::inside("shell", &[], LIMIT)? };
    let outcome = kernel.run(&task)?;
    ensure!(matches!(outcome, Outcome::Exited(_)), "{outcome}");
    Ok(())
}

/// Inside the kernel: builds the cluster and becomes a shell until that ends.
///
/// # Errors
/// When the cluster cannot be built.
pub(crate) fn inside() -> Result<()> {
    let lab = Lab::new();
    let cluster = lab.cluster().routers(ROUTERS).real_servers(REAL_SERVERS).build()?;
    let mut servers = Vec::new();
    for n in 1..=REAL_SERVERS {
        servers.push(cluster.real_server(n)?.real_server(&[80, 53])?);
    }
    let commands = Path::new(COMMANDS);
    fs::create_dir_all(commands)?;
    write_on(&cluster, &commands.join("on"))?;
    let help = help();
    fs::write(commands.join("help.txt"), &help)?;
    fs::write(
        commands.join("rc"),
        format!(
            "PS1='lab# '\nlab-help() {{ cat {COMMANDS}/help.txt; }}\n_on() {{ [ \"$COMP_CWORD\" = 1 ] && COMPREPLY=($(compgen -W \"{}\" -- \"$2\")); }}\ncomplete -o default -F _on on\n",
            names(&cluster)
        ),
    )?;
    print!("{help}");
    let path =
        format!("{COMMANDS}:{}:{}", programs_folder()?.display(), env::var("PATH").unwrap_or_default());
    Command::new("bash")
        .args(["--rcfile", &format!("{COMMANDS}/rc"), "-i"])
        .env("PATH", path)
        .status()
        .context("start bash")?;
    Ok(())
}

fn names(cluster: &Cluster) -> String {
    cluster.hosts().iter().map(crate::Host::name).collect::<Vec<_>>().join(" ")
}

/// The command `on HOST COMMAND...`.
fn write_on(cluster: &Cluster, path: &Path) -> Result<()> {
    let mut cases = String::new();
    for host in cluster.hosts() {
        let options = host.inside().nsenter_options().join(" ");
        cases.push_str(&format!("{}) into='{options}' ;;\n", host.name()));
    }
    let script = format!(
        "#!/bin/bash\nname=$1; shift\ncase $name in\n{cases}*) echo \"usage: on HOST [COMMAND...]; hosts: {}\" >&2; exit 2 ;;\nesac\n\
         [ $# -gt 0 ] || set -- env PS1=\"$name# \" bash --norc -i\nexec nsenter $into -- \"$@\"\n",
        names(cluster)
    );
    fs::write(path, script)?;
    Ok(fs::set_permissions(path, fs::Permissions::from_mode(0o755))?)
}

fn help() -> String {
    "\
A cluster of network namespaces:

  public  10.1.0.0/24  fd00:1::/64   client .2   r1 .11   r2 .12          VIPs: .100 and up
  inside  10.2.0.0/24  fd00:2::/64               r1 .11   r2 .12          rs1 .101  rs2 .102  rs3 .103
                                                 .1 floats: the real servers' default gateway

  on HOST COMMAND...   runs a command on a host          on HOST   opens a shell there
  lab-help             shows this again                  exit      ends the lab

The real servers answer on port 80 (and 53, TCP and UDP) with their names. The suite's programs are in PATH.
Each host has its own /run, /etc/sysconfig/ha, /etc/lvs-router and /var/lib/lvs-router. To try it by hand:

  on r1 ip address add 10.2.0.1/24 dev eth1
  on r1 ip address add 10.1.0.100/24 dev eth0
  on r1 ipvsadm -A -t 10.1.0.100:80 -s rr
  on r1 ipvsadm -a -t 10.1.0.100:80 -r 10.2.0.101:80 -m
  on client curl http://10.1.0.100/

"
    .to_owned()
}
