//! `lvs convert-keepalived`: keepalived serves its file, `lvs` serves what became of it, and the kernel's table is the same.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use lab::{Lab, eventually, scenarios};

use crate::one_router::{OneRouter, SOON};

scenarios! {
    a_converted_file_makes_the_table_that_keepalived_makes: 60,
}

const SOURCE: &str = "/etc/keepalived/keepalived.conf";

/// Something of everything: methods, tunnels, flags, persistence, groups, a mark, a server that is down, a sorry server.
/// Nobody listens on ports 4443 and 7001.
const KEEPALIVED: &str = r#"
$CHECK= \
    TCP_CHECK { \
        connect_timeout 1 \
        retry 0 \
    }
vrrp_instance V {
    state MASTER
    interface eth0
    virtual_router_id 9
    unicast_src_ip 10.1.0.11
    unicast_peer {
        10.1.0.12
    }
    virtual_ipaddress {
        10.1.0.100/24
        10.1.0.101/24
        10.1.0.102/24
    }
}
virtual_server_group several {
    10.1.0.100 8080
    10.1.0.100-101 8081
}
virtual_server 10.1.0.100 80 {
    delay_loop 1
    lvs_sched wrr
    protocol TCP
    persistence_timeout 300
    persistence_granularity 255.255.255.0
    real_server 10.2.0.101 80 {
        weight 3
        $CHECK
    }
    real_server 10.2.0.102 80 {
        weight 2
        $CHECK
    }
}
virtual_server 10.1.0.100 443 {
    delay_loop 1
    lvs_sched sh
    sh-port
    protocol TCP
    inhibit_on_failure
    real_server 10.2.0.101 443 {
        $CHECK
    }
    real_server 10.2.0.102 4443 {
        $CHECK
    }
}
virtual_server 10.1.0.101 53 {
    lvs_sched rr
    lvs_method DR
    protocol UDP
    ops
    real_server 10.2.0.101 53 {
        MISC_CHECK {
            misc_path "/bin/true"
        }
    }
}
virtual_server 10.1.0.101 7000 {
    delay_loop 1
    protocol TCP
    sorry_server 10.2.0.102 7070
    real_server 10.2.0.101 7001 {
        $CHECK
    }
}
virtual_server fwmark 5 {
    lvs_sched mh
    lvs_method TUN type gue port 6080 csum
    real_server 10.2.0.101 0 {
    }
    real_server 10.2.0.102 0 {
        lvs_method TUN type gre
    }
}
virtual_server fwmark 6 {
    lvs_method NAT
    real_server 10.2.0.101 0 {
    }
}
virtual_server group several {
    lvs_sched lc
    protocol TCP
    real_server 10.2.0.101 7070 {
        weight 0
    }
    real_server 10.2.0.102 7070 {
        weight 7
    }
}
"#;

fn rules(world: &OneRouter) -> Result<BTreeSet<String>> {
    Ok(world.ipvsadm("-S -n")?.lines().map(str::to_owned).collect())
}

fn a_converted_file_makes_the_table_that_keepalived_makes(lab: &Lab) -> Result<()> {
    let world = OneRouter::nat(lab, 2)?;
    world.router.write_file(SOURCE, KEEPALIVED)?;
    let words = ["-n", "-l", "-C", "-f", SOURCE, "-p", "/run/ka.pid", "-c", "/run/kc.pid"];
    let keepalived = world.router.tool("keepalived").args(words).start()?;
    let theirs = eventually(SOON, "keepalived's table", || {
        let rules = rules(&world).map_err(|error| format!("{error:#}"))?;
        let has = |text: &str| rules.iter().any(|rule| rule.contains(text));
        let is_settled =
            has("-r 10.2.0.102:7070 -m -w 1") && !has(":7001") && has(":4443 -m -w 0") && has("-f 6 -r");
        if is_settled { Ok(rules) } else { Err(format!("{rules:#?}")) }
    })?;
    keepalived.stop();
    eventually(SOON, "keepalived's table to go", || match rules(&world) {
        Ok(rules) if rules.is_empty() => Ok(()),
        other => Err(format!("{other:?}")),
    })?;

    let converted = world.router.program("lvs").args(["convert-keepalived", SOURCE]).run(SOON)?.success()?;
    ensure!(!converted.stderr.contains("to be filled in"), "{}", converted.stderr);
    world.start_lvs(&converted.stdout)?;
    eventually(SOON, &format!("the table {theirs:#?}"), || match rules(&world) {
        Ok(ours) if ours == theirs => Ok(()),
        other => Err(format!("{other:#?}")),
    })
}
