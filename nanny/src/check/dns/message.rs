//! The question and its answer as bytes, by the library `domain`, which reads them where they are.
//!
//! There is no EDNS in the question, so that every server understands it; an answer then has at most 512 bytes, or is
//! truncated.

use std::net::IpAddr;

use checkspec::Dns;
use checkspec::dns::{DomainName, Rcode, Record as Expected};
use domain::base::iana::{self, Class, Rtype};
use domain::base::message::RecordSection;
use domain::base::name::{Name, NameBuilder, ParsedName};
use domain::base::rdata::ParseRecordData;
use domain::base::record::{ParsedRecord, Record};
use domain::base::wire::ParseError;
use domain::base::{Message, MessageBuilder};
use domain::rdata::{A, Aaaa, Cname, Mx, Ns, Ptr, Soa, Srv, Txt};
use octseq::array::Array;

use super::Flaw;
use crate::check::Success;
use crate::escape::quote;

/// Longest question: a header, a name, a type and a class (RFC 1035, section 4.1).
const LONGEST: usize = 12 + LONGEST_NAME + 2 + 2;
/// Longest name in a message.
const LONGEST_NAME: usize = 255;
/// Most records that a reason names.
const NAMED: usize = 3;

/// What an answer is worth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judgement {
    /// It is as asked for.
    Good(Success),
    /// It is not.
    Bad(Flaw),
    /// It answers something else.
    Strange,
}

/// The question, under this number.
#[must_use]
pub fn query(check: &Dns, id: u16) -> Vec<u8> {
    let question = || {
        let mut message = MessageBuilder::from_target(Array::<LONGEST>::new()).ok()?;
        message.header_mut().set_id(id);
        message.header_mut().set_rd(check.is_recursive);
        let mut message = message.question();
        message.push((wire(&check.name)?, Rtype::from_int(check.record_type.0), Class::IN)).ok()?;
        Some(message.finish().as_ref().to_vec())
    };
    // All of it fits, by the limits of a domain name.
    question().unwrap_or_default()
}

/// What `bytes` are worth as an answer to `query`.
#[must_use]
pub fn judge(check: &Dns, query: &[u8], bytes: &[u8]) -> Judgement {
    let (Ok(query), Ok(answer)) = (Message::from_slice(query), Message::from_slice(bytes)) else {
        return Judgement::Strange;
    };
    if !answer.is_answer(query) && !is_bare_refusal(answer, query) {
        return Judgement::Strange;
    }
    let got = Rcode::new(answer.header().rcode().to_int());
    if !check.rcodes.contains(got) {
        return Judgement::Bad(Flaw::Rcode { got, accepted: check.rcodes });
    }
    let is_truncated = answer.header().tc();
    let found = answer.answer().and_then(|records| search(records, check, is_truncated));
    match (found, &check.expect) {
        (Ok(Found::Expected), _) => Judgement::Good(Success::AsExpected),
        (Ok(Found::Others(_)), None) => Judgement::Good(Success::Answered),
        (Ok(Found::Others(found)), Some(expected)) => {
            let expected = describe(expected);
            Judgement::Bad(match is_truncated {
                true => Flaw::Truncated { expected },
                false => Flaw::Absent { expected, found },
            })
        }
        (Err(ParseError::ShortInput | ParseError::Form(_)), _) => Judgement::Bad(Flaw::Garbled),
    }
}

/// Whether this is how a server refuses that question which does not repeat it, having not read it perhaps.
fn is_bare_refusal(answer: &Message<[u8]>, query: &Message<[u8]>) -> bool {
    let header = answer.header();
    let is_refusal = header.rcode() != iana::Rcode::NOERROR;
    is_refusal && header.qr() && header.id() == query.header().id() && answer.header_counts().qdcount() == 0
}

/// What is among the records.
enum Found {
    /// What is expected.
    Expected,
    /// Not that; what the first records of that type hold.
    Others(Vec<String>),
}

/// Looks at all records up to the expected one. What is behind the cut of a truncated message does not count.
fn search(records: RecordSection<'_, [u8]>, check: &Dns, is_truncated: bool) -> Result<Found, ParseError> {
    let wanted = Rtype::from_int(check.record_type.0);
    let mut others = Vec::new();
    for record in records {
        let looked = record.and_then(|record| match &check.expect {
            Some(expected) if record.rtype() == wanted && record.class() == Class::IN => {
                look(&record, expected).map(Some)
            }
            _ => Ok(None),
        });
        match looked {
            Ok(Some((true, _))) => return Ok(Found::Expected),
            Ok(Some((false, value))) if others.len() < NAMED => others.push(value),
            Ok(_) => {}
            Err(_) if is_truncated => break,
            Err(error) => return Err(error),
        }
    }
    Ok(Found::Others(others))
}

/// Whether a record holds what is expected, and what it holds.
fn look(record: &ParsedRecord<'_, [u8]>, expected: &Expected) -> Result<(bool, String), ParseError> {
    Ok(match expected {
        Expected::Address(expected) => {
            let address = address(record)?;
            (address == *expected, address.to_string())
        }
        Expected::Name(expected) => {
            let host = host(record)?;
            (is_named(&host, expected), quote(host.to_string().as_bytes()))
        }
        Expected::Text(expected) => {
            let text = data::<Txt<_>>(record)?;
            let text: Vec<u8> = text.iter().flatten().copied().collect();
            (text == *expected, quote(&text))
        }
    })
}

/// The data of a record, which must be of that type.
fn data<'a, Data: ParseRecordData<'a, [u8]>>(record: &ParsedRecord<'a, [u8]>) -> Result<Data, ParseError> {
    let of_type = record.to_record::<Data>()?;
    of_type.map(Record::into_data).ok_or(ParseError::ShortInput)
}

fn address(record: &ParsedRecord<'_, [u8]>) -> Result<IpAddr, ParseError> {
    Ok(match record.rtype() {
        Rtype::AAAA => data::<Aaaa>(record)?.addr().into(),
        _ => data::<A>(record)?.addr().into(),
    })
}

/// The host that a record names.
fn host<'a>(record: &ParsedRecord<'a, [u8]>) -> Result<ParsedName<&'a [u8]>, ParseError> {
    Ok(match record.rtype() {
        Rtype::NS => data::<Ns<_>>(record)?.into_nsdname(),
        Rtype::CNAME => data::<Cname<_>>(record)?.into_cname(),
        Rtype::PTR => data::<Ptr<_>>(record)?.into_ptrdname(),
        Rtype::MX => *data::<Mx<_>>(record)?.exchange(),
        Rtype::SRV => *data::<Srv<_>>(record)?.target(),
        _ => *data::<Soa<_>>(record)?.mname(),
    })
}

/// Whether two names are the same; case does not count.
fn is_named(host: &ParsedName<&[u8]>, expected: &DomainName) -> bool {
    let labels = host.iter().filter(|label| !label.is_root());
    labels
        .map(AsRef::as_ref)
        .map(<[u8]>::to_ascii_lowercase)
        .eq(expected.labels().map(|label| label.to_ascii_lowercase().into_bytes()))
}

/// The name as it is in a message.
fn wire(name: &DomainName) -> Option<Name<Array<LONGEST_NAME>>> {
    let mut wire = NameBuilder::<Array<LONGEST_NAME>>::new();
    for label in name.labels() {
        wire.append_label(label.as_bytes()).ok()?;
    }
    wire.into_name().ok()
}

fn describe(expected: &Expected) -> String {
    match expected {
        Expected::Address(address) => address.to_string(),
        Expected::Name(name) => quote(name.as_str().as_bytes()),
        Expected::Text(text) => quote(text),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::check::dns::samples::{Answer, asked, name, record};

    fn judged(check: &str, answer: &Answer) -> Judgement {
        let check = asked(check);
        let query = query(&check, 7);
        judge(&check, &query, &answer.bytes(&query))
    }

    fn is_good(check: &str, answer: &Answer) -> bool {
        matches!(judged(check, answer), Judgement::Good(_))
    }

    fn reason(check: &str, answer: &Answer) -> String {
        match judged(check, answer) {
            Judgement::Bad(flaw) => flaw.to_string(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_question_is_a_header_a_name_a_type_and_a_class() {
        let asked_for = query(&asked("dns name=a.example.org type=MX"), 0x1234);
        assert_eq!(asked_for, b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x01a\x07example\x03org\0\0\x0f\0\x01");
        let of_the_root = query(&asked("dns recursion=off type=65"), 1);
        assert_eq!(of_the_root, b"\0\x01\0\0\0\x01\0\0\0\0\0\0\0\0\x41\0\x01");
        let longest = format!("dns name={0}.{0}.{0}.{1}", "x".repeat(63), "x".repeat(61));
        assert_eq!(query(&asked(&longest), 1).len(), LONGEST);
    }

    #[test]
    fn any_answer_of_a_good_code_will_do_when_no_record_is_expected() {
        let (empty, missing) = (Answer::default(), Answer { code: 3, ..Answer::default() });
        assert_eq!(judged("dns", &empty), Judgement::Good(Success::Answered));
        assert_eq!(reason("dns", &missing), "answered nxdomain, expected noerror");
        assert!(is_good("dns rcode=nxdomain", &missing) && !is_good("dns rcode=nxdomain", &empty));
        assert!(is_good("dns rcode=any", &missing) && is_good("dns rcode=any", &empty));
        let odd = Answer { code: 11, ..Answer::default() };
        assert_eq!(reason("dns rcode=noerror,nxdomain", &odd), "answered 11, expected noerror,nxdomain");
    }

    #[test]
    fn the_expected_record_may_be_any_of_its_type() {
        let a = |last| record(1, &[10, 0, 0, last]);
        let alias = record(5, &name("real.example.org"));
        let three = Answer { records: vec![alias, a(1), a(2)], ..Answer::default() };
        let www = "dns name=www.example.org expect=10.0.0.";
        assert_eq!(judged(&format!("{www}2"), &three), Judgement::Good(Success::AsExpected));
        assert_eq!(reason(&format!("{www}3"), &three), "answered 10.0.0.1 10.0.0.2, expected 10.0.0.3");
        let none = Answer::default();
        assert_eq!(reason(&format!("{www}3"), &none), "answered without such a record, expected 10.0.0.3");
        let many = Answer { records: (1..9).map(a).collect(), ..Answer::default() };
        assert_eq!(
            reason(&format!("{www}9"), &many),
            "answered 10.0.0.1 10.0.0.2 10.0.0.3, expected 10.0.0.9"
        );
    }

    #[test]
    fn each_type_is_looked_at_where_it_holds_what_is_expected() {
        let v6 = "2001:db8::1".parse::<std::net::Ipv6Addr>().unwrap().octets();
        let host = name("Mail.example.org");
        let after = |before: &[u8]| [before, &host].concat();
        let soa = [&host[..], &name("root.example.org"), &[0; 20]].concat();
        for (check, kind, data) in [
            ("type=AAAA expect=2001:db8::1", 28, v6.to_vec()),
            ("type=NS expect=mail.example.org", 2, host.clone()),
            ("type=CNAME expect=mail.EXAMPLE.org.", 5, host.clone()),
            ("type=PTR expect=mail.example.org", 12, host.clone()),
            ("type=MX expect=mail.example.org", 15, after(&[0, 10])),
            ("type=SRV expect=mail.example.org", 33, after(&[0; 6])),
            ("type=SOA expect=mail.example.org", 6, soa),
            (r#"type=TXT expect="v=spf1 -all""#, 16, b"\x06v=spf1\x05 -all".to_vec()),
        ] {
            let answer = Answer { records: vec![record(kind, &data)], ..Answer::default() };
            assert_eq!(
                judged(&format!("dns {check}"), &answer),
                Judgement::Good(Success::AsExpected),
                "{check}"
            );
        }
        let other = Answer { records: vec![record(2, &name("ns 1.example"))], ..Answer::default() };
        let expected = r#"answered "ns\\ 1.example", expected "ns1.example""#;
        assert_eq!(reason("dns type=NS expect=ns1.example", &other), expected);
        let text = Answer { records: vec![record(16, b"\x01\x1b")], ..Answer::default() };
        assert_eq!(reason("dns type=TXT expect=x", &text), r#"answered "\x1b", expected "x""#);
    }

    #[test]
    fn other_numbers_and_questions_are_strange_and_a_bare_refusal_is_not() {
        let check = asked("dns name=a.example rcode=any");
        let ours = query(&check, 7);
        let whole = Answer::default().bytes(&ours);
        assert_eq!(judge(&check, &ours, &whole), Judgement::Good(Success::Answered));
        assert_eq!(judge(&check, &query(&check, 8), &whole), Judgement::Strange);
        assert_eq!(judge(&check, &query(&asked("dns name=b.example"), 7), &whole), Judgement::Strange);
        assert_eq!(
            judge(&check, &query(&asked("dns name=a.example type=NS"), 7), &whole),
            Judgement::Strange
        );
        assert_eq!(judge(&check, &ours, &ours), Judgement::Strange, "the question is no answer");
        assert_eq!(
            judge(&check, &query(&asked("dns name=A.EXAMPLE"), 7), &whole),
            Judgement::Good(Success::Answered)
        );
        let bare = |flags: u8, code: u8| [0, 7, flags, code, 0, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(judge(&check, &ours, &bare(0x80, 1)), Judgement::Good(Success::Answered));
        assert_eq!(judge(&check, &ours, &bare(0x80, 0)), Judgement::Strange, "success repeats the question");
        assert_eq!(judge(&check, &ours, &bare(0, 1)), Judgement::Strange);
        for len in 0..12 {
            assert_eq!(judge(&check, &ours, &whole[..len]), Judgement::Strange, "{len} bytes");
        }
    }

    #[test]
    fn a_truncated_answer_counts_as_far_as_it_goes() {
        let truncated = Answer {
            truncated: true,
            cut: 3,
            records: vec![record(1, &[10, 0, 0, 1]); 2],
            ..Answer::default()
        };
        assert!(is_good("dns", &truncated) && is_good("dns expect=10.0.0.1", &truncated));
        assert_eq!(
            reason("dns expect=10.0.0.2", &truncated),
            "truncated answer without 10.0.0.2; transport=tcp gets all of it"
        );
    }

    #[test]
    fn records_that_cannot_be_read_spoil_an_answer() {
        let cut = Answer { cut: 3, records: vec![record(1, &[10, 0, 0, 1]); 2], ..Answer::default() };
        assert_eq!(reason("dns", &cut), "garbled answer");
        assert_eq!(reason("dns expect=10.0.0.2", &cut), "garbled answer");
        for (kind, data) in [(1, &[10, 0, 0][..]), (2, &[0xc0, 0xff]), (2, &[63, b'x']), (16, &[9, b'x'])] {
            let answer = Answer { records: vec![record(kind, data)], ..Answer::default() };
            let check = match kind {
                1 => "dns expect=10.0.0.1",
                2 => "dns type=NS expect=a.example",
                _ => "dns type=TXT expect=x",
            };
            assert_eq!(reason(check, &answer), "garbled answer", "{kind} {data:?}");
        }
    }

    #[test]
    fn names_that_point_at_themselves_end() {
        let check = asked("dns name=a type=NS expect=b");
        let ours = query(&check, 7);
        // The data begins after the header, the question (7 bytes) and the record's first 12 bytes.
        let itself = u8::try_from(ours.len() + 12).unwrap();
        for data in [&[0xc0, itself][..], &[1, b'x', 0xc0, itself]] {
            let bytes = Answer { records: vec![record(2, data)], ..Answer::default() }.bytes(&ours);
            assert_eq!(judge(&check, &ours, &bytes), Judgement::Bad(Flaw::Garbled), "{data:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_judged(bytes: Vec<u8>, after_the_question: Vec<u8>, count in 0..4_u8) {
            for check in ["dns", "dns expect=10.0.0.1", "dns type=TXT expect=x", "dns type=MX expect=a"] {
                let check = asked(check);
                let ours = query(&check, 7);
                let _ = judge(&check, &ours, &bytes);
                let mut answer = Answer::default().bytes(&ours);
                answer[7] = count;
                answer.extend_from_slice(&after_the_question);
                prop_assert_ne!(judge(&check, &ours, &answer), Judgement::Strange);
            }
        }
    }
}
