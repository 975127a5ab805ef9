use super::*;
use crate::story::event::Condition;

fn look() -> Look {
    let router = |name: &str, condition, cut, holds: &[&str], peer: &str| RouterLook {
        name: name.into(),
        condition,
        cut,
        holds: holds.iter().map(|text| (*text).to_owned()).collect(),
        peer: peer.into(),
    };
    let server = |name: &str, weight, recent, total| ServerLook {
        name: name.into(),
        weight,
        sorry: name == "sorry server",
        recent,
        total,
    };
    Look {
        at: Duration::from_millis(14_840),
        routers: vec![
            router("r1", Condition::Active, true, &["192.0.2.10", "10.0.0.1"], "takes the other for dead"),
            router("r2", Condition::Backup, false, &[], "hears nobody"),
        ],
        services: vec![ServiceLook {
            name: "web".into(),
            place: "192.0.2.10:80 wrr".into(),
            failed: 3,
            servers: vec![
                server("web1", Some(1), 10, 33),
                server("web2", Some(0), 5, 20),
                server("web3", None, 0, 0),
                server("sorry server", None, 0, 0),
            ],
        }],
    }
}

fn measurement(step: &str, expected: &str, measured: &str, held: bool) -> Measurement {
    Measurement { step: step.into(), expected: expected.into(), measured: measured.into(), held }
}

fn plain(lines: &[Line]) -> Vec<String> {
    lines.iter().map(|line| line.show(false)).collect()
}

#[test]
fn the_live_view_shows_routers_and_requests_per_real_server() {
    let rule = format!("── 14.8 s {}", "─".repeat(WIDTH - 10));
    let long = "█".repeat(LONGEST_BAR);
    let half = "█".repeat(LONGEST_BAR / 2);
    assert_eq!(
        plain(&live(&look())),
        [
            rule,
            "  r1  ACTIVE    cables cut  holds 192.0.2.10 10.0.0.1  takes the other for dead".into(),
            "  r2  backup    hears nobody".into(),
            "  web 192.0.2.10:80 wrr           3 requests failed in this step".into(),
            format!("    web1              weight 1    {long}   10/s       33"),
            format!("    web2              weight 0    {half}                     5/s       20"),
            format!("    web3              not in table{}    0/s        0", " ".repeat(34)),
            format!("    sorry server      stands by   {}    0/s        0", " ".repeat(34)),
        ]
    );
}

#[test]
fn nothing_is_wider_than_the_screen_and_plain_text_has_no_escapes() {
    let mut look = look();
    look.routers[0].holds = (1..=20).map(|n| format!("192.0.2.{n}")).collect();
    look.services[0].name = "a-very-long-name".repeat(9);
    look.services[0].servers[0].name = "another-very-long-name".repeat(4);
    look.services[0].servers[0].total = 123_456_789;
    let one = measurement(
        "a step whose name goes on and on and on",
        "an expectation that has to be broken into more than one line because it is so long",
        &"unbreakable".repeat(20),
        false,
    );
    let long = Moment { at: Duration::from_secs(123_456), text: "word ".repeat(60) };
    let all =
        [live(&look), table(std::slice::from_ref(&one)), verdict(&one), moment(&long), vec![summary(&[one])]];
    for line in all.concat() {
        let text = line.show(false);
        assert!(text.chars().count() <= WIDTH, "{} columns: {text}", text.chars().count());
        assert!(!text.contains('\x1b'), "{text}");
    }
}

#[test]
fn colours_are_escapes_around_the_same_text() {
    let coloured = router(&look().routers[0]).show(true);
    assert!(
        coloured.contains("\x1b[32mACTIVE\x1b[0m") && coloured.contains("\x1b[31mcables cut"),
        "{coloured}"
    );
}

#[test]
fn many_real_servers_are_counted_instead_of_shown() {
    let mut look = look();
    let server = look.services[0].servers[0].clone();
    look.services[0].servers = vec![server; MOST_SERVERS + 3];
    look.services.push(look.services[0].clone());
    let lines = plain(&live(&look));
    assert_eq!(lines.len(), 1 + 2 + 1 + MOST_SERVERS + 1);
    assert_eq!(lines.last().map(String::as_str), Some("    and 20 more real servers"));
}

#[test]
fn the_table_names_a_step_once_and_says_what_did_not_hold() {
    let rows = [
        measurement("steady traffic", "web: requests as 1 : 2 (wrr)", "33 : 67", true),
        measurement("steady traffic", "no request fails", "1 of 200", false),
    ];
    let rule = "─".repeat(WIDTH);
    assert_eq!(
        plain(&table(&rows)),
        [
            "  Step            Expected                      Measured".to_owned(),
            rule.clone(),
            format!("  steady traffic  web: requests as 1 : 2 (wrr)  33 : 67{}held", " ".repeat(37)),
            format!("                  no request fails              1 of 200{}NOT HELD", " ".repeat(36)),
            rule,
        ]
    );
    assert_eq!(summary(&rows).show(false), "  1 of 2 expectations did not hold.");
    assert_eq!(summary(&rows[..1]).show(false), "  The expectation held.");
}

#[test]
fn moments_and_verdicts_are_aligned() {
    let text = Moment { at: Duration::from_millis(5_820), text: "web1 ends".into() };
    assert_eq!(plain(&moment(&text)), ["   5.82 s web1 ends"]);
    let one = measurement("s", "out of use within 1.5 s", "0.69 s", true);
    assert_eq!(plain(&verdict(&one)), ["        ✓ out of use within 1.5 s: 0.69 s"]);
}

#[test]
fn times_have_as_many_digits_as_they_need() {
    let ms = Duration::from_millis;
    assert_eq!([ms(694), ms(9_994), ms(10_040)].map(seconds), ["0.69 s", "9.99 s", "10.0 s"]);
    assert_eq!([ms(4_200), ms(18_000), ms(300)].map(limit), ["4.2 s", "18 s", "0.3 s"]);
}
