//! From the text of `--check` to the conversation that it asks for: one arm for each kind.
//!
//! The text has been read already ([`checkspec`]); what it says is right in itself. Decided here is what it needs besides,
//! such as an expression that can be compiled in bounded memory. What is in files is read here, once: later this process may
//! not open any.

use std::net::SocketAddr;

use checkspec::TlsExchange;
use checkspec::exchange as spec;
use checkspec::http::Body;
use checkspec::program::Surroundings;
use checkspec::smtp::HeloName;

use super::exchange::{Exchange, Step};
use super::http::{Http, body::Rule};
use super::ping::Echo;
use super::program::ProgramCheck;
use super::smtp::Greeting;
use super::tls::Client;
use super::{Kind, Transport};
use crate::expect::Expect;

/// The protocol inside of `https` (RFC 7301, 6).
const HTTP_1_1: &[u8] = b"http/1.1";

/// What `check` asks of the server in these surroundings.
///
/// # Errors
/// Why that cannot be done, as a sentence about the check.
pub fn kind(check: checkspec::Check, surroundings: Surroundings<'_>) -> Result<Kind, String> {
    let Surroundings { server, .. } = surroundings;
    let target = SocketAddr::new(server.ip(), check.port().unwrap_or(server.port()));
    match check {
        checkspec::Check::Exchange(asked) => exchange(asked).map(Kind::Exchange),
        checkspec::Check::Http(asked) => http(asked, target),
        checkspec::Check::Tls(asked) => tls_exchange(asked, target),
        checkspec::Check::Dns(asked) => Ok(Kind::Dns(asked)),
        checkspec::Check::Smtp(asked) => {
            Ok(Kind::Smtp(Greeting { helo: asked.helo.unwrap_or_else(own_name) }))
        }
        checkspec::Check::Ping(asked) => Ok(Kind::Ping(Echo::new(asked.size, surroundings.server.ip()))),
        checkspec::Check::Program(asked) => program(asked, surroundings).map(Kind::Program),
    }
}

fn exchange(asked: spec::Exchange) -> Result<Exchange, String> {
    let steps = asked.steps.into_iter().map(step).collect::<Result<_, _>>()?;
    Ok(Exchange { transport: asked.transport, steps, silence_is_up: asked.silence_is_up })
}

fn program(asked: checkspec::Program, surroundings: Surroundings<'_>) -> Result<ProgramCheck, String> {
    let words = asked.command(surroundings).into_iter().map(Into::into).collect();
    let expect = asked.expect.map(expect).transpose()?;
    Ok(ProgramCheck { words, environment: asked.environment, expect, warning: asked.warning })
}

fn http(asked: checkspec::Http, server: SocketAddr) -> Result<Kind, String> {
    let rule = match asked.expect.clone() {
        None => None,
        Some(Body::Like(expect)) => Some(Rule::Like(self::expect(expect)?)),
        Some(Body::Sha256(digest)) => Some(Rule::Sha256(digest)),
    };
    let client = match &asked.tls {
        None => None,
        Some(tls) => Some(Client::new(tls, asked.host_name(), server.ip(), Some(HTTP_1_1))?),
    };
    let http = Kind::Http(Http::new(asked, rule, server));
    Ok(match client {
        None => http,
        Some(client) => Kind::Secured { client, inside: Box::new(http) },
    })
}

fn tls_exchange(asked: TlsExchange, server: SocketAddr) -> Result<Kind, String> {
    let client = Client::new(&asked.tls, None, server.ip(), None)?;
    let inside = exchange(spec::Exchange {
        transport: Transport::Tcp,
        port: None,
        steps: asked.steps,
        silence_is_up: false,
    })?;
    Ok(Kind::Secured { client, inside: Box::new(Kind::Exchange(inside)) })
}

fn step(asked: spec::Step) -> Result<Step, String> {
    match asked {
        spec::Step::Send(bytes) => Ok(Step::Send(bytes)),
        spec::Step::Expect(expect) => self::expect(expect).map(Step::Expect),
    }
}

/// What an answer must look like, ready to be looked for.
///
/// # Errors
/// As [`kind`].
pub fn expect(asked: spec::Expect) -> Result<Expect, String> {
    Ok(match asked {
        spec::Expect::Any => Expect::Anything,
        spec::Expect::Begins(bytes) => Expect::Literal(bytes),
        spec::Expect::Contains(bytes) => Expect::Contains(bytes),
        spec::Expect::Equals(bytes) => Expect::Equals(bytes),
        spec::Expect::Matches(pattern) => Expect::pattern(pattern.as_str().as_bytes())
            .map_err(|reason| format!("the expression `{pattern}` cannot be used ({reason})"))?,
    })
}

/// How this machine introduces itself: by its host name, if it has one that can be said.
fn own_name() -> HeloName {
    let name = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok());
    name.and_then(|name| name.parse().ok()).unwrap_or_else(HeloName::localhost)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn here() -> Surroundings<'static> {
        Surroundings { server: ([10, 2, 0, 11], 80).into(), service: "10.1.0.100:443", weight: 7 }
    }

    #[test]
    fn a_program_is_told_about_its_surroundings() {
        let check = r#"program run="check '%h %p' %v/%w" env=A=1 regex=^up warning=50"#.parse().unwrap();
        let Ok(Kind::Program(program)) = kind(check, here()) else { panic!("refused") };
        assert_eq!(program.words, ["check", "10.2.0.11 80", "10.1.0.100:443/7"]);
        assert_eq!(program.environment, [("A".to_owned(), "1".to_owned())]);
        assert_eq!(
            (program.expect.unwrap().to_string(), program.warning),
            ("a match of \"^up\"".into(), Some(50))
        );
    }

    #[test]
    fn this_machine_introduces_itself_by_its_name_or_by_the_one_given() {
        let helo = |text: &str| match kind(text.parse().unwrap(), here()) {
            Ok(Kind::Smtp(greeting)) => greeting.helo.to_string(),
            other => panic!("{other:?}"),
        };
        assert_eq!(helo("smtp helo=lb1.example.org"), "lb1.example.org");
        assert!(!helo("smtp").is_empty());
    }

    #[test]
    fn an_exchange_keeps_its_steps() {
        let check = r#"sctp any send="a\x00" expect=b contains=c equals=d regex=^e"#.parse().unwrap();
        let Ok(Kind::Exchange(exchange)) = kind(check, here()) else { panic!("refused") };
        let steps: Vec<String> = exchange.steps.iter().map(ToString::to_string).collect();
        let wanted = [
            "expect anything",
            r#"send "a\x00""#,
            r#"expect "b""#,
            r#"expect "c" anywhere"#,
            r#"expect exactly "d""#,
            r#"expect a match of "^e""#,
        ];
        assert_eq!(steps, wanted);
        assert_eq!(exchange.transport, Transport::Sctp);
    }

    #[test]
    fn an_expression_that_takes_too_much_memory_is_refused() {
        let check = "tcp regex=((a{1000}){1000}){1000}".parse().unwrap();
        let Err(reason) = kind(check, here()) else { panic!("accepted") };
        assert!(reason.starts_with("the expression `((a{1000}){1000}){1000}` cannot be used"), "{reason}");
    }
}
