//! The command line: words to [`Command`]. Pure; `--help` says what is accepted.
//!
//! There are two forms. Piranha's, `SRC_IP SRC_MAC TARG_IP TARG_MAC`, is recognised by exactly four words of which
//! the second and the fourth are MAC addresses. No MAC address can be read as an IP address, so four addresses of the
//! new form are never taken for it.

use std::ffi::OsString;
use std::ops::RangeInclusive;
use std::time::Duration;

use daemonkit::duration::{self, DurationError};
use lexopt::Arg::{Long, Short, Value};
use thiserror::Error;

use crate::list::{self, AddressError, Entry, LineError, Origin};
use crate::mac::{Mac, MacError};
use crate::plan::{Defaults, Form};

/// Text of `--help`.
pub const HELP: &str = "\
Usage: send_arp [OPTION]... ADDRESS...
       send_arp [OPTION]... --stdin
       send_arp [-i DEV] SRC_IP SRC_MAC TARG_IP TARG_MAC

Tells the LAN at which MAC address an IP address is found now: gratuitous ARP
for IPv4, unsolicited neighbour advertisements for IPv6.

  -i, --interface DEV  announce on DEV, also if that does not hold the address;
                       eth0:1 means eth0 [default: the one that holds it]
      --mac MAC        announce at MAC [default: the interface's own]
      --stdin          read a list from standard input until its end: one
                       ADDRESS [DEV [MAC]] per line, comments after #
      --form FORM      ARP form: reply, request or both [default: both]
      --count N        rounds, 0 to 1000 [default: 5]
      --interval TIME  from round to round, 1ms to 1h [default: 1s]
      --refresh TIME   after that a round every TIME, 1s to 24h, until SIGTERM
  -t, --dry-run        print the frames of one round and send nothing
  -v, --verbose        say what is sent
  -h, --help           show this help
      --version        show the version

TIME is a number with ms, s, m or h; without a unit it is seconds. MAC is six
pairs of hexadecimal digits, with or without colons.

The last form is Piranha's: it sends one ARP reply to the station TARG_MAC which
says that SRC_IP is at SRC_MAC, on eth0 if no DEV is given. TARG_IP is ignored.

Exit status: 0 announced, 1 something could not be announced, 2 usage,
77 no permission (needs CAP_NET_RAW).
";

/// The device of the original form when none is given.
const ORIGINAL_DEVICE: &str = "eth0";
const COUNT: RangeInclusive<u32> = 0..=1000;
const INTERVAL: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_secs(3600);
const REFRESH: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(24 * 3600);

/// What the user wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Print [`HELP`].
    Help,
    /// Print the version.
    Version,
    /// Send the one frame of Piranha's `send_arp`.
    Original(Original),
    /// Announce addresses.
    Announce(Announce),
}

/// Piranha's command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Original {
    /// The interface, without alias label.
    pub device: String,
    /// `SRC_IP`: a dotted quad or a host name.
    pub source: String,
    /// `SRC_MAC`.
    pub mac: Mac,
    /// `TARG_MAC`.
    pub destination: Mac,
    /// Print and do not send.
    pub dry_run: bool,
    /// Say what is sent.
    pub verbose: bool,
}

/// An announcement of addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announce {
    /// The addresses; `None` means that they come on standard input.
    pub entries: Option<Vec<Entry>>,
    /// What holds for entries that do not say otherwise.
    pub defaults: Defaults,
    /// Rounds of the burst.
    pub count: u32,
    /// Time from round to round.
    pub interval: Duration,
    /// Time from round to round after the burst, which is then repeated for ever.
    pub refresh: Option<Duration>,
    /// Print and do not send.
    pub dry_run: bool,
    /// Say what is sent.
    pub verbose: bool,
}

/// Why the command line cannot be used.
#[derive(Debug, Error)]
pub enum UsageError {
    /// An unknown option, or one without its value.
    #[error(transparent)]
    Option(#[from] lexopt::Error),
    /// A value that the option does not take.
    #[error("{option} {value}: {allowed}")]
    Value {
        /// The option.
        option: &'static str,
        /// What was found.
        value: String,
        /// What is allowed.
        allowed: &'static str,
    },
    /// A value that is not a time.
    #[error("{0}: {1}")]
    Time(&'static str, DurationError),
    /// A device name or MAC address that cannot be.
    #[error("{0}: {1}")]
    Word(&'static str, LineError),
    /// A word that is not an address.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// Piranha's form with one of its MAC addresses misspelt.
    #[error("{0}: {1}")]
    OriginalMac(&'static str, MacError),
    /// An option of the new form together with Piranha's form.
    #[error("{0} does not go with SRC_IP SRC_MAC TARG_IP TARG_MAC")]
    NotOriginal(&'static str),
    /// Nothing to announce.
    #[error("no address given: name at least one, or give a list to --stdin")]
    NoAddress,
    /// Two sources of addresses.
    #[error("addresses on the command line do not go with --stdin")]
    TwoSources,
    /// No round at all.
    #[error("--count 0 announces nothing without --refresh")]
    NoRound,
}

/// Options as they come, before they are fitted together.
#[derive(Default)]
struct Words {
    device: Option<String>,
    mac: Option<Mac>,
    stdin: bool,
    form: Option<Form>,
    count: Option<u32>,
    interval: Option<Duration>,
    refresh: Option<Duration>,
    dry_run: bool,
    verbose: bool,
    operands: Vec<String>,
}

/// Reads the arguments, without the program's name.
///
/// # Errors
/// [`UsageError`] for the first thing that cannot be used.
pub fn parse<I>(arguments: I) -> Result<Command, UsageError>
where
    I: IntoIterator,
    I::Item: Into<OsString>,
{
    let mut words = Words::default();
    let mut parser = lexopt::Parser::from_args(arguments);
    while let Some(argument) = parser.next()? {
        match argument {
            Short('h') | Long("help") => return Ok(Command::Help),
            Long("version") => return Ok(Command::Version),
            Short('i') | Long("interface") => {
                let device = list::parse_device(&text(&mut parser)?);
                words.device = Some(device.map_err(|error| UsageError::Word("--interface", error))?);
            }
            Long("mac") => {
                let mac = list::parse_station(&text(&mut parser)?);
                words.mac = Some(mac.map_err(|error| UsageError::Word("--mac", error))?);
            }
            Long("stdin") => words.stdin = true,
            Long("form") => words.form = Some(form(text(&mut parser)?)?),
            Long("count") => words.count = Some(count(text(&mut parser)?)?),
            Long("interval") => {
                words.interval = Some(time("--interval", INTERVAL, "1ms to 1h", &text(&mut parser)?)?);
            }
            Long("refresh") => {
                words.refresh = Some(time("--refresh", REFRESH, "1s to 24h", &text(&mut parser)?)?);
            }
            Short('t') | Long("dry-run") => words.dry_run = true,
            Short('v') | Long("verbose") => words.verbose = true,
            Value(operand) => words.operands.push(operand.to_string_lossy().into_owned()),
            other => return Err(other.unexpected().into()),
        }
    }
    match original_macs(&words.operands)? {
        Some(macs) => words.original(macs).map(Command::Original),
        None => words.announce().map(Command::Announce),
    }
}

/// `SRC_MAC` and `TARG_MAC` when the operands are Piranha's form. One of the two alone shows that the form was meant.
fn original_macs(operands: &[String]) -> Result<Option<(Mac, Mac)>, UsageError> {
    let [_, source, _, target] = operands else { return Ok(None) };
    match (source.parse(), target.parse()) {
        (Ok(source), Ok(target)) => Ok(Some((source, target))),
        (Ok(_), Err(error)) => Err(UsageError::OriginalMac("TARG_MAC", error)),
        (Err(error), Ok(_)) => Err(UsageError::OriginalMac("SRC_MAC", error)),
        (Err(_), Err(_)) => Ok(None),
    }
}

impl Words {
    fn original(self, (mac, destination): (Mac, Mac)) -> Result<Original, UsageError> {
        let foreign = [
            ("--mac", self.mac.is_some()),
            ("--stdin", self.stdin),
            ("--form", self.form.is_some()),
            ("--count", self.count.is_some()),
            ("--interval", self.interval.is_some()),
            ("--refresh", self.refresh.is_some()),
        ];
        if let Some((option, _)) = foreign.into_iter().find(|(_, given)| *given) {
            return Err(UsageError::NotOriginal(option));
        }
        Ok(Original {
            device: self.device.unwrap_or_else(|| ORIGINAL_DEVICE.to_owned()),
            source: self.operands.into_iter().next().ok_or(UsageError::NoAddress)?,
            mac,
            destination,
            dry_run: self.dry_run,
            verbose: self.verbose,
        })
    }

    fn announce(self) -> Result<Announce, UsageError> {
        let entries = match (self.stdin, self.operands.is_empty()) {
            (true, true) => None,
            (true, false) => return Err(UsageError::TwoSources),
            (false, true) => return Err(UsageError::NoAddress),
            (false, false) => Some(self.operands.iter().map(|word| entry(word)).collect::<Result<_, _>>()?),
        };
        let count = self.count.unwrap_or(5);
        if count == 0 && self.refresh.is_none() {
            return Err(UsageError::NoRound);
        }
        Ok(Announce {
            entries,
            defaults: Defaults { device: self.device, mac: self.mac, form: self.form.unwrap_or(Form::Both) },
            count,
            interval: self.interval.unwrap_or(Duration::from_secs(1)),
            refresh: self.refresh,
            dry_run: self.dry_run,
            verbose: self.verbose,
        })
    }
}

fn entry(word: &str) -> Result<Entry, AddressError> {
    let address = list::parse_address(word)?;
    Ok(Entry { origin: Origin::CommandLine, address, device: None, mac: None })
}

fn text(parser: &mut lexopt::Parser) -> Result<String, lexopt::Error> {
    Ok(parser.value()?.to_string_lossy().into_owned())
}

fn form(value: String) -> Result<Form, UsageError> {
    match value.as_str() {
        "reply" => Ok(Form::Reply),
        "request" => Ok(Form::Request),
        "both" => Ok(Form::Both),
        _ => Err(UsageError::Value { option: "--form", value, allowed: "one of reply, request, both" }),
    }
}

fn count(value: String) -> Result<u32, UsageError> {
    let number = value.parse().ok().filter(|number| COUNT.contains(number));
    number.ok_or(UsageError::Value { option: "--count", value, allowed: "a number from 0 to 1000" })
}

fn time(
    option: &'static str,
    range: RangeInclusive<Duration>,
    allowed: &'static str,
    value: &str,
) -> Result<Duration, UsageError> {
    let time = duration::parse(value).map_err(|error| UsageError::Time(option, error))?;
    let usage = || UsageError::Value { option, value: value.to_owned(), allowed };
    range.contains(&time).then_some(time).ok_or_else(usage)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Announce, Command, Original, parse};
    use crate::list::{Entry, Origin};
    use crate::mac::Mac;
    use crate::plan::{Defaults, Form};

    const MAC: Mac = Mac([0x00, 0x16, 0x3e, 0, 0, 0x0a]);

    fn line(text: &str) -> Result<Command, String> {
        parse(text.split_whitespace()).map_err(|error| error.to_string())
    }

    fn announce(addresses: &[&str]) -> Announce {
        let entry = |address: &&str| Entry {
            origin: Origin::CommandLine,
            address: address.parse().unwrap(),
            device: None,
            mac: None,
        };
        Announce {
            entries: Some(addresses.iter().map(entry).collect()),
            defaults: Defaults { device: None, mac: None, form: Form::Both },
            count: 5,
            interval: Duration::from_secs(1),
            refresh: None,
            dry_run: false,
            verbose: false,
        }
    }

    #[test]
    fn four_words_with_macs_second_and_fourth_are_piranhas_form() {
        let expected = Original {
            device: "eth0".into(),
            source: "10.1.0.100".into(),
            mac: MAC,
            destination: Mac::BROADCAST,
            dry_run: false,
            verbose: false,
        };
        let plain = line("10.1.0.100 00163E00000A 10.1.0.255 ffffffffffff");
        assert_eq!(plain, Ok(Command::Original(expected.clone())));
        let device = line("-i eth1:3 vip.example 00:16:3e:00:00:0a anything ff:ff:ff:ff:ff:ff");
        let expected = Original { device: "eth1".into(), source: "vip.example".into(), ..expected };
        assert_eq!(device, Ok(Command::Original(expected)));
    }

    #[test]
    fn four_addresses_are_the_new_form() {
        let addresses = ["10.1.0.1", "2001:db8::2", "10.1.0.3", "2001:db8:1:2:3:4:5:6"];
        assert_eq!(line(&addresses.join(" ")), Ok(Command::Announce(announce(&addresses))));
    }

    #[test]
    fn every_option_reaches_its_field() {
        let options =
            "-i eth0:1 --mac 00163e00000a --form request --count 3 --interval 200ms --refresh 1.5m -t -v";
        let expected = Announce {
            entries: None,
            defaults: Defaults { device: Some("eth0".into()), mac: Some(MAC), form: Form::Request },
            count: 3,
            interval: Duration::from_millis(200),
            refresh: Some(Duration::from_secs(90)),
            dry_run: true,
            verbose: true,
        };
        assert_eq!(line(&format!("{options} --stdin")), Ok(Command::Announce(expected)));
    }

    #[test]
    fn help_and_version_win_over_what_follows() {
        assert_eq!(line("--help --nonsense"), Ok(Command::Help));
        assert_eq!(line("-h"), Ok(Command::Help));
        assert_eq!(line("10.0.0.1 --version"), Ok(Command::Version));
    }

    #[test]
    fn usage_errors_name_the_word_and_what_is_allowed() {
        let mac = "is not a MAC address: six pairs of hexadecimal digits, such as 00:16:3e:12:34:56 or 00163E123456";
        for (words, message) in [
            ("", "no address given: name at least one, or give a list to --stdin".to_owned()),
            ("--stdin 10.0.0.1", "addresses on the command line do not go with --stdin".to_owned()),
            ("10.0.0.300", "`10.0.0.300` is not an IPv4 or IPv6 address".to_owned()),
            ("224.0.0.1", "224.0.0.1 is a multicast address, which cannot be announced".to_owned()),
            ("10.0.0.1 00:16:3e:00:00:0a", "`00:16:3e:00:00:0a` is not an IPv4 or IPv6 address".to_owned()),
            ("10.0.0.1 0016 10.0.0.255 ffffffffffff", format!("SRC_MAC: `0016` {mac}")),
            ("10.0.0.1 00163e00000a 10.0.0.255 ffff", format!("TARG_MAC: `ffff` {mac}")),
            (
                "--count 2 10.0.0.1 00163e00000a 10.0.0.255 ffffffffffff",
                "--count does not go with SRC_IP SRC_MAC TARG_IP TARG_MAC".to_owned(),
            ),
            ("--count 1001 10.0.0.1", "--count 1001: a number from 0 to 1000".to_owned()),
            ("--count -1 10.0.0.1", "--count -1: a number from 0 to 1000".to_owned()),
            ("--count 0 10.0.0.1", "--count 0 announces nothing without --refresh".to_owned()),
            ("--form both,reply 10.0.0.1", "--form both,reply: one of reply, request, both".to_owned()),
            ("--interval 0 10.0.0.1", "--interval 0: 1ms to 1h".to_owned()),
            ("--refresh 500ms 10.0.0.1", "--refresh 500ms: 1s to 24h".to_owned()),
            ("--mac 0016 10.0.0.1", format!("--mac: `0016` {mac}")),
            (
                "--mac ffffffffffff 10.0.0.1",
                "--mac: ff:ff:ff:ff:ff:ff is not the MAC address of a station: it is zero or a group address"
                    .to_owned(),
            ),
            (
                "-i a/b 10.0.0.1",
                "--interface: `a/b` is not a device name: 1 to 15 characters without `/`".to_owned(),
            ),
            ("--fast 10.0.0.1", "invalid option '--fast'".to_owned()),
            ("10.0.0.1 --mac", "missing argument for option '--mac'".to_owned()),
        ] {
            assert_eq!(line(words), Err(message), "{words}");
        }
        assert!(line("--interval 5x 10.0.0.1").unwrap_err().starts_with("--interval: "));
    }
}
