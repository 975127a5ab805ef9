//! Checks that speak a service's own language, against real servers: a monitor on the router, dnsmasq, OpenSMTPD and the
//! kernel on the real server.

use std::net::SocketAddr;

use anyhow::Result;
use lab::{Cluster, Host, Lab, Program, at, scenarios, standard};

use crate::one_router::SOON;

scenarios! {
    a_name_server_is_asked_by_datagram_and_over_tcp: 40,
    a_mail_server_is_greeted: 40,
    a_machine_is_pinged_where_the_kernel_allows_it: 60,
}

/// A router and a real server, with nothing on either.
struct World {
    router: Host,
    server: Host,
    _cluster: Cluster,
}

impl World {
    fn new(lab: &Lab) -> Result<Self> {
        let cluster = lab.cluster().routers(1).real_servers(1).build()?;
        Ok(Self { router: cluster.router(1)?, server: cluster.real_server(1)?, _cluster: cluster })
    }

    /// Checks the real server twice a second. A busy machine answers within the time.
    fn check(&self, check: &str, port: u16) -> Result<Program> {
        self.check_at(check, at(standard::real_server(1), port))
    }

    fn check_at(&self, check: &str, server: SocketAddr) -> Result<Program> {
        let (address, port) = (server.ip().to_string(), server.port().to_string());
        let words = ["--report", "-n", "-h", &address, "-r", &port, "-t", "500ms", "-a", "500ms"];
        self.router.program("nanny").args(words).args(["--check", check, "--answer-timeout", "5s"]).start()
    }

    /// Starts a server that says it is ready with a line of this pattern.
    fn serve(&self, program: &str, words: &[&str], ready: &str) -> Result<Program> {
        let server = self.server.tool(program).args(words).start()?;
        server.wait_for_line(ready, SOON)?;
        Ok(server)
    }
}

/// Waits until the monitor says that the server is up.
fn is_up(nanny: &Program, reason: &str) -> Result<()> {
    nanny.wait_for_line(&format!(r#"^\[ active \] .* reason="?{reason}"?$"#), SOON).map(drop)
}

/// Waits until the monitor says that the server is down.
fn is_down(nanny: &Program, reason: &str) -> Result<()> {
    nanny.wait_for_line(&format!(r#"^\[inactive\] .* reason="?{reason}"?$"#), SOON).map(drop)
}

fn a_name_server_is_asked_by_datagram_and_over_tcp(lab: &Lab) -> Result<()> {
    let world = World::new(lab)?;
    let text = |letter: &str| format!("--txt-record=big.example.org,{}", letter.repeat(200));
    let texts = ["a", "b", "c", "d"].map(text);
    let words = [
        &["--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--pid-file"][..],
        &["--user=root", "--group=root", "--log-facility=-"],
        &["--host-record=www.example.org,10.9.0.1,fd00:9::1", "--mx-host=example.org,mail.example.org,10"],
        &["--local=/example.org/"],
        &texts.each_ref().map(String::as_str),
    ]
    .concat();
    let dnsmasq = world.serve("dnsmasq", &words, "started, version")?;
    for check in [
        "dns name=www.example.org expect=10.9.0.1",
        "dns name=WWW.example.org type=AAAA expect=fd00:9::1",
        "dns name=example.org type=MX expect=mail.example.org",
        "dns name=www.example.org transport=tcp expect=10.9.0.1",
        &format!("dns name=big.example.org type=TXT transport=tcp expect={}", "c".repeat(200)),
    ] {
        let nanny = world.check(check, 53)?;
        is_up(&nanny, "answered as expected")?;
        nanny.stop();
    }
    let truncated = "truncated answer without .*; transport=tcp gets all of it";
    for (check, reason) in [
        ("dns name=www.example.org expect=10.9.0.2", "answered 10.9.0.1, expected 10.9.0.2"),
        ("dns name=nobody.example.org", "answered nxdomain, expected noerror"),
        ("dns name=elsewhere.example", "answered refused, expected noerror"),
        ("dns name=big.example.org type=TXT expect=x", truncated),
    ] {
        let nanny = world.check(check, 53)?;
        is_down(&nanny, reason)?;
        nanny.stop();
    }
    let nanny = world.check("dns name=nobody.example.org rcode=nxdomain", 53)?;
    is_up(&nanny, "answered")?;
    dnsmasq.stop();
    is_down(&nanny, "port unreachable")
}

/// What OpenSMTPD finds on a machine that it is installed on: users, folders and names, here for itself alone.
const INSTALLED_MAIL_SERVER: &str = "
set -e
mount -t tmpfs none /var/spool
mkdir -m 711 /var/spool/smtpd
mount -t tmpfs none /var/lib
mkdir -p /var/lib/opensmtpd/empty /run/opensmtpd
for file in passwd group; do cp /etc/$file /run/$file; done
for user in opensmtpd:x:65001 opensmtpq:x:65002; do
    echo $user:${user##*:}::/nonexistent:/bin/false >> /run/passwd
    echo $user: >> /run/group
done
# It looks up who visits it; there is nobody to ask.
echo 'lookup file' > /run/resolv.conf
echo '10.2.0.11 r1' > /run/hosts
for file in passwd group hosts resolv.conf; do
    [ ! -e /etc/$file ] || mount --bind /run/$file /etc/$file
done
exec smtpd -d -f /run/smtpd.conf
";

fn a_mail_server_is_greeted(lab: &Lab) -> Result<()> {
    let world = World::new(lab)?;
    let config = "listen on 10.2.0.101 port 25 hostname mail.example.org\n\
                  action \"local\" maildir\nmatch for local action \"local\"\n";
    world.server.write_file("/run/smtpd.conf", config)?;
    let file = world.server.write_file("/run/mail", INSTALLED_MAIL_SERVER)?;
    let before = world.check("smtp", 25)?;
    is_down(&before, "connection refused")?;
    let file = file.to_string_lossy();
    let smtpd = world.serve("unshare", &["--mount", "sh", &file], "OpenSMTPD .* starting")?;
    is_up(&before, "answered as expected")?;
    let named = world.check("smtp helo=lb1.example.org", 25)?;
    is_up(&named, "answered as expected")?;
    smtpd.stop();
    is_down(&named, "(connection refused|closed before answering|.*connection reset by peer)")
}

fn a_machine_is_pinged_where_the_kernel_allows_it(lab: &Lab) -> Result<()> {
    let world = World::new(lab)?;
    world.router.set_sysctl("net.ipv4.ping_group_range", "1 0")?;
    let refused = world.check("ping", 0)?;
    let reason = "cannot check; the state stays as it is .*net.ipv4.ping_group_range must allow";
    refused.wait_for_line(reason, SOON)?;
    world.router.set_sysctl("net.ipv4.ping_group_range", "0 2147483647")?;
    is_up(&refused, "answered")?;
    refused.stop();

    let (v4, v6) = (at(standard::real_server(1), 0), "[fd00:2::101]:0".parse()?);
    for (check, server, setting) in [
        ("ping", v4, "net.ipv4.icmp_echo_ignore_all"),
        ("ping size=4000", v4, "net.ipv4.icmp_echo_ignore_all"),
        ("ping", v6, "net.ipv6.icmp.echo_ignore_all"),
    ] {
        let nanny = world.check_at(check, server)?;
        is_up(&nanny, "answered")?;
        let mark = lab.journal().mark();
        world.server.set_sysctl(setting, "1")?;
        is_down(&nanny, "no answer within 5s")?;
        world.server.set_sysctl(setting, "0")?;
        nanny.wait_for_line_after(mark, r"^\[ active \]", SOON)?;
        nanny.stop();
    }
    Ok(())
}
