//! Listings as JSON: the bytes, what the documents say of them, and that nothing else changes.

use std::collections::BTreeSet;
use std::num::NonZeroU16;

use ipvsadm::cli::json;
use ipvsadm::fake::FakeKernel;
use ipvsadm::{
    Destination, DestinationEntry, Forward, Ipvs, Rates, Request, Scheduler, Service, ServiceEntry,
    ServiceId, Stats, SyncDaemon, SyncRole, Table, Tunnel, TunnelChecksum,
};
use serde_json::Value;

use super::manual::MANUAL;
use super::{at, kernel, run};

const README: &str = include_str!("../../README.md");

fn listed(kernel: &FakeKernel, line: &str) -> Value {
    let (status, output, errors) = run(kernel, line, "");
    assert_eq!((status, errors.as_str()), (0, ""), "{line}");
    assert_eq!(output.matches('\n').count(), 1, "one line: {output}");
    serde_json::from_str(&output).unwrap()
}

#[test]
fn the_table_is_one_line_with_settings_counters_rates_and_connections() {
    let expected = concat!(
        r#"{"schema":1,"ipvs":{"version":"1.2.1","connection_buckets":4096},"services":["#,
        r#"{"protocol":"tcp","address":"10.1.0.100","port":80,"fwmark":null,"family":"ipv4","#,
        r#""scheduler":"sh","scheduler_flags":["sh-fallback","sh-port"],"one_packet":false,"flags":24,"#,
        r#""persistence":{"timeout":360,"prefix_length":24,"mask":"255.255.255.0","engine":"sip"},"#,
        r#""stats":{"connections":18,"packets_in":97,"packets_out":90,"bytes_in":123456789,"bytes_out":7604},"#,
        r#""rates":{"connections":2,"packets_in":12,"packets_out":11,"bytes_in":787,"bytes_out":950},"#,
        r#""destinations":["#,
        r#"{"address":"10.2.0.11","port":8080,"family":"ipv4","forwarding":"masquerade","tunnel":null,"#,
        r#""weight":5,"upper_threshold":100,"lower_threshold":50,"#,
        r#""active_connections":1,"inactive_connections":8,"persistent_connections":3,"#,
        r#""stats":{"connections":18,"packets_in":97,"packets_out":90,"bytes_in":123456789,"bytes_out":7604},"#,
        r#""rates":{"connections":2,"packets_in":12,"packets_out":11,"bytes_in":787,"bytes_out":950}},"#,
        r#"{"address":"2001:db8::9","port":80,"family":"ipv6","forwarding":"tunnel","#,
        r#""tunnel":{"type":"gue","port":6080,"checksum":"checksum"},"#,
        r#""weight":1,"upper_threshold":0,"lower_threshold":0,"#,
        r#""active_connections":1,"inactive_connections":8,"persistent_connections":3,"#,
        r#""stats":{"connections":0,"packets_in":0,"packets_out":0,"bytes_in":0,"bytes_out":0},"#,
        r#""rates":{"connections":0,"packets_in":0,"packets_out":0,"bytes_in":0,"bytes_out":0}}]},"#,
        r#"{"protocol":"udp","address":"2001:db8::1","port":53,"fwmark":null,"family":"ipv6","#,
        r#""scheduler":"rr","scheduler_flags":[],"one_packet":true,"flags":4,"persistence":null,"#,
        r#""stats":{"connections":0,"packets_in":0,"packets_out":0,"bytes_in":0,"bytes_out":0},"#,
        r#""rates":{"connections":0,"packets_in":0,"packets_out":0,"bytes_in":0,"bytes_out":0},"#,
        r#""destinations":[]},"#,
        r#"{"protocol":null,"address":null,"port":null,"fwmark":7,"family":"ipv6","#,
        r#""scheduler":"nq","scheduler_flags":[],"one_packet":false,"flags":0,"persistence":null,"#,
        r#""stats":{"connections":0,"packets_in":0,"packets_out":0,"bytes_in":0,"bytes_out":0},"#,
        r#""rates":{"connections":0,"packets_in":0,"packets_out":0,"bytes_in":0,"bytes_out":0},"#,
        r#""destinations":[]}]}"#,
        "\n"
    );
    // Which columns people would see makes no difference.
    for line in [
        "-L --json",
        "-l -n --json",
        "--list --json --stats --exact",
        "-L --json --rate",
        "-L --json --thresholds --tun-info --persistent-conn --sort",
    ] {
        assert_eq!(run(&kernel(), line, ""), (0, expected.to_owned(), String::new()), "{line}");
    }
}

#[test]
fn one_service_has_the_shape_of_the_table_and_a_missing_one_writes_nothing() {
    let all = listed(&kernel(), "-L --json");
    let one = listed(&kernel(), "-L -u [2001:db8::1]:53 --json");
    assert_eq!(one["services"], Value::Array(vec![all["services"][1].clone()]));
    assert_eq!((&one["schema"], &one["ipvs"]), (&all["schema"], &all["ipvs"]));
    let (status, output, _) = run(&kernel(), "-L --json -t 10.9.9.9:80", "");
    assert_eq!((status, output.as_str()), (1, ""));
}

#[test]
fn services_stay_in_the_kernels_order_when_asked_for() {
    let marks = |line| {
        let services = listed(&kernel(), line)["services"].clone();
        services.as_array().unwrap().iter().map(|it| it["fwmark"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(marks("-L --json"), [Value::Null, Value::Null, 7.into()]);
    assert_eq!(marks("-L --json --nosort"), [7.into(), Value::Null, Value::Null]);
}

#[test]
fn the_largest_counter_is_exact() {
    let kernel = FakeKernel::new();
    let stats = Stats { bytes_in: u64::MAX, ..Stats::default() };
    let service = Service::new(ServiceId::tcp(at("10.0.0.1:80")), Scheduler::RR);
    kernel.set_table(Table { services: vec![ServiceEntry { service, stats, destinations: Vec::new() }] });
    assert_eq!(listed(&kernel, "-L --json")["services"][0]["stats"]["bytes_in"], u64::MAX);
}

#[test]
fn timeouts_and_daemons_have_objects_of_their_own() {
    let kernel = FakeKernel::new();
    let output = |line| run(&kernel, line, "").1;
    assert_eq!(
        output("-L --timeout --json"),
        "{\"schema\":1,\"timeouts\":{\"tcp\":900,\"tcp_fin\":120,\"udp\":300}}\n"
    );
    assert_eq!(output("-L --daemon --json"), "{\"schema\":1,\"daemons\":[]}\n");
    let mut ipvs = Ipvs::with_transport(kernel.connect()).unwrap();
    let daemon = Request::StartDaemon(SyncDaemon::new(SyncRole::Master, "eth0", 5));
    assert_eq!(ipvs.apply(&[daemon]).unwrap(), [Ok(())]);
    assert_eq!(
        output("-L --daemon --json"),
        concat!(
            r#"{"schema":1,"daemons":[{"role":"master","interface":"eth0","sync_id":5,"max_length":1472,"#,
            r#""group":"224.0.0.81","port":8848,"ttl":1}]}"#,
            "\n"
        )
    );
}

/// As Linux writes them, an IPv6 one and one with the data of an engine among them.
const CONNECTIONS: &str = "\
Pro FromIP   FPrt ToIP     TPrt DestIP   DPrt State       Expires PEName PEData
TCP 0A010002 9776 0A010064 0050 0A02000B 1F90 ESTABLISHED     899
UDP 0A010002 13C4 0A010064 13C4 0A02000C 13C4 UDP              50 sip 1234@host
TCP [2001:0db8:0000:0000:0000:0000:0000:0009] 9776 [2001:0db8:0000:0000:0000:0000:0000:0001] 0050 0A02000B 0050 NONE 1
";

#[test]
fn connections_are_complete_and_numeric() {
    assert_eq!(
        json::connections(CONNECTIONS).unwrap(),
        concat!(
            r#"{"schema":1,"connections":[{"protocol":"tcp","state":"ESTABLISHED","expires":899,"#,
            r#""client":{"address":"10.1.0.2","port":38774},"service":{"address":"10.1.0.100","port":80},"#,
            r#""destination":{"address":"10.2.0.11","port":8080},"engine":null,"engine_data":null},"#,
            r#"{"protocol":"udp","state":"UDP","expires":50,"client":{"address":"10.1.0.2","port":5060},"#,
            r#""service":{"address":"10.1.0.100","port":5060},"#,
            r#""destination":{"address":"10.2.0.12","port":5060},"engine":"sip","engine_data":"1234@host"},"#,
            r#"{"protocol":"tcp","state":"NONE","expires":1,"client":{"address":"2001:db8::9","port":38774},"#,
            r#""service":{"address":"2001:db8::1","port":80},"#,
            r#""destination":{"address":"10.2.0.11","port":80},"engine":null,"engine_data":null}]}"#,
            "\n"
        )
    );
    assert_eq!(json::connections("Pro\n").unwrap(), "{\"schema\":1,\"connections\":[]}\n");
}

/// The table of which README shows the listing.
fn shown() -> FakeKernel {
    let stats = |connections| Stats {
        connections,
        packets_in: 6 * connections,
        packets_out: 4 * connections,
        bytes_in: 680 * connections,
        bytes_out: 5210 * connections,
        rates: Rates { cps: 12, pps_in: 72, pps_out: 48, bps_in: 8160, bps_out: 62_520 },
    };
    let server =
        Destination { weight: 2, ..Destination::new(at("10.2.0.11:80").into(), Forward::Masquerade) };
    let destination = DestinationEntry {
        destination: server,
        active_connections: 3,
        inactive_connections: 41,
        persistent_connections: 0,
        stats: stats(9000),
    };
    let service = Service::new(ServiceId::tcp(at("10.1.0.100:80")), Scheduler::WLC);
    let kernel = FakeKernel::new();
    let entry = ServiceEntry { service, stats: stats(9000), destinations: vec![destination] };
    kernel.set_table(Table { services: vec![entry] });
    kernel
}

#[test]
fn the_readme_shows_what_is_written() {
    let (_, after) = README.split_once("```json\n").expect("an example");
    let (example, _) = after.split_once("```").unwrap();
    let example: Value = serde_json::from_str(example).expect("README holds JSON");
    assert_eq!(listed(&shown(), "-L --json"), example);
}

/// The names of all fields in a value.
fn fields(value: &Value, into: &mut BTreeSet<String>) {
    match value {
        Value::Object(object) => {
            for (name, value) in object {
                into.insert(name.clone());
                fields(value, into);
            }
        }
        Value::Array(values) => values.iter().for_each(|it| fields(it, into)),
        _ => {}
    }
}

#[test]
fn the_manual_page_describes_every_field_and_no_other() {
    let mut written = BTreeSet::new();
    let kernel = kernel();
    for line in ["-L --json", "-L --timeout --json"] {
        fields(&listed(&kernel, line), &mut written);
    }
    fields(&serde_json::from_str(&json::connections(CONNECTIONS).unwrap()).unwrap(), &mut written);
    let daemon = SyncDaemon::new(SyncRole::Master, "eth0", 5);
    fields(&serde_json::from_str(&json::daemons(&[daemon]).unwrap()).unwrap(), &mut written);

    let section = MANUAL.split_once(".SH JSON").expect("a section").1;
    let section = section.split_once(".SH ").expect("another section").0;
    let described: BTreeSet<String> = section
        .lines()
        .filter_map(|line| line.strip_prefix(".B "))
        .flat_map(|line| line.split(", "))
        .map(|name| name.replace('\\', ""))
        .collect();
    assert_eq!(written, described);
}

#[test]
fn every_way_to_forward_has_a_word() {
    let cases = [
        (Forward::Masquerade, r#""masquerade",null"#),
        (Forward::Local, r#""local",null"#),
        (Forward::DirectRoute, r#""direct_route",null"#),
        (Forward::Bypass, r#""bypass",null"#),
        (Forward::Tunnel(Tunnel::Ipip), r#""tunnel",{"checksum":"none","port":null,"type":"ipip"}"#),
        (
            Forward::Tunnel(Tunnel::Gre { checksum: false }),
            r#""tunnel",{"checksum":"none","port":null,"type":"gre"}"#,
        ),
        (
            Forward::Tunnel(Tunnel::Gue { port: NonZeroU16::MIN, checksum: TunnelChecksum::Remote }),
            r#""tunnel",{"checksum":"remote","port":1,"type":"gue"}"#,
        ),
    ];
    for (forward, words) in cases {
        let mut table = shown().table();
        table.services[0].destinations[0].destination.forward = forward;
        let info = ipvsadm::Info { version: 0x01_02_01, table_size: 4096 };
        let written: Value = serde_json::from_str(&json::table(&info, &table, true).unwrap()).unwrap();
        let destination = &written["services"][0]["destinations"][0];
        assert_eq!(format!("{},{}", destination["forwarding"], destination["tunnel"]), words);
    }
}
