use proptest::prelude::*;

use super::*;
use crate::enrollment::Origin;
use crate::hold::{Attempt, Outcome, Retry, Side};
use crate::id::{HoldKey, Place};
use crate::testing::{cases, held, id, minute, person};
use crate::wants::{Reason, Shape, Want};

/// The canonical bytes of the first release. They never change: a new form is a new version beside it.
const GOLDEN: &str = include_str!("golden-v1.jsonl");

fn draft(n: i64) -> Draft {
    let why =
        json!({"n": n, "text": "ä \u{2028} \u{7} \"€\" 😀", "big": (1_i64 << 53) - 1, "small": 1 - (1_i64 << 53)});
    Draft {
        act: "test.act".into(),
        actor: "handoff".into(),
        subject: json!({"z": 1, "a": [true, null]}),
        before: Value::Null,
        after: json!({}),
        why,
    }
}

fn of_a_hold() -> Vec<Draft> {
    let reason = Reason {
        profile: id("on-call"),
        version: 3,
        origin: Origin::Coverage(id("pd:PABC123")),
        from: minute(0),
        until: minute(480),
        rolling: false,
        from_known: minute(-60),
        until_known: minute(-60),
    };
    let want = Want { shape: Shape::Member, reasons: vec![reason], frozen: false };
    let place = Place { kind: "group".into(), id: "g-1".into() };
    let key = HoldKey { app: id("directory"), account: id("a-1"), place };
    let wanted = Hold::wanted(key, person(1), &want, minute(0));
    let held = Hold { state: State::Held, touched: true, attempts: 1, checked_at: Some(minute(1)), ..wanted.clone() };
    let ended = Hold { state: State::Ended(Outcome::Proven), touched: false, attempts: 2, ..held.clone() };
    let steps = [(None, &wanted), (Some(&wanted), &held), (Some(&held), &ended), (Some(&ended), &ended)];
    steps.into_iter().filter_map(|(before, after)| of_hold(before, after, "provisioning")).collect()
}

fn export(chains: &[(Chain, Vec<Draft>)], partial: bool, skip: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut heads = BTreeMap::new();
    for (chain, drafts) in chains {
        let records = append(chain, &ChainHead::default(), minute(1), drafts).unwrap();
        heads.insert(chain.to_string(), records.last().unwrap().head.clone());
        lines.extend(records.into_iter().skip(skip).map(|record| record.line));
    }
    lines.push(serde_json::to_string(&Closing { heads, partial }).unwrap());
    lines
}

fn check(lines: &[String], since: Option<Verified>) -> Result<Verified, Fault> {
    let mut verifier = since.map(Verifier::since).unwrap_or_default();
    lines.iter().try_for_each(|line| verifier.line(line))?;
    verifier.finish()
}

fn sample(n: i64) -> Vec<String> {
    export(&[(Chain::Person(person(1)), (0..n).map(draft).collect()), (Chain::System, vec![draft(7)])], false, 0)
}

#[test]
fn p9_r19_the_canonical_bytes_are_those_of_the_first_release() {
    let chains = [
        (Chain::Person(person(1)), of_a_hold()),
        (Chain::System, vec![draft(1)]),
        (Chain::Rotation(id("pd:P1@2")), vec![draft(-1)]),
    ];
    let written = export(&chains, false, 0).join("\n") + "\n";
    assert_eq!(written, GOLDEN, "the form of records must not change; a new form is a new version");
    let golden: Vec<String> = GOLDEN.lines().map(str::to_owned).collect();
    assert_eq!(
        check(&golden, None).unwrap().records,
        5,
        "three changes of a hold, and what changed nothing leaves none"
    );
}

#[test]
fn p9_what_happened_to_a_hold_has_its_word() {
    let attempt = |number: u32, call: Call| {
        let (started, not_after) = (minute(1), minute(2));
        Some(Attempt { number, call, started, not_after, pending: None, turns: Vec::new() })
    };
    let retry = |failures: u32| {
        let because = "the app does not answer".to_owned();
        Some(Retry { at: minute(5), side: Side::Starts, failures, because, turn: None })
    };
    let held = Hold { touched: true, ..held() };
    let wanted = Hold { state: State::Wanted, touched: false, ..held.clone() };
    let granting = Hold { state: State::Granting, open: attempt(1, Call::Grant), ..wanted.clone() };
    let revoking = Hold { state: State::Ending, open: attempt(2, Call::Revoke), ..held.clone() };
    let extending = Hold { open: attempt(2, Call::Extend), ..held.clone() };
    let again = Hold { open: attempt(3, Call::Extend), ..held.clone() };
    let failed = Hold { retry: retry(1), ..held.clone() };
    let reasoned = Hold { reasons: Vec::new(), ..held.clone() };
    let bounded = Hold { native_end: Some(minute(90)), ..held.clone() };
    let read = Hold { checked_at: Some(minute(3)), ..held.clone() };
    for (before, after, act) in [
        (&wanted, &granting, Some("grant.attempt")),
        (&held, &revoking, Some("revoke.attempt")),
        (&held, &extending, Some("extend.attempt")),
        (&extending, &again, Some("extend.attempt")),
        (&extending, &extending, None),
        (&granting, &held, Some("hold.held")),
        (&extending, &held, Some("attempt.answered")),
        (&extending, &failed, Some("attempt.failed")),
        (&failed, &held, None),
        (&held, &reasoned, Some("hold.reasons")),
        (&held, &bounded, Some("hold.changed")),
        (&held, &read, None),
    ] {
        let said = of_hold(Some(before), after, "provisioning").map(|draft| draft.act);
        assert_eq!(said.as_deref(), act, "{before:#?}\n{after:#?}");
    }
    assert_eq!(of_hold(Some(&extending), &failed, "provisioning").unwrap().after["failures"], 1);
}

#[test]
fn p9_a_chain_leaves_out_no_number_and_begins_at_its_beginning() {
    let after = |head: &ChainHead, n: i64| append(&Chain::System, head, minute(1), &[draft(n)]).unwrap().remove(0);
    let checked = |records: &[&Record]| {
        let heads = records.iter().map(|record| ("system".to_owned(), record.head.clone())).collect();
        let closing = serde_json::to_string(&Closing { heads, partial: false }).unwrap();
        let lines: Vec<String> = records.iter().map(|record| record.line.clone()).chain([closing]).collect();
        check(&lines, None).map(|_| ()).map_err(|fault| (fault.seq, fault.problem))
    };
    let first = after(&ChainHead::default(), 1);
    assert_eq!(checked(&[&first, &after(&first.head, 2)]), Ok(()));
    let skipping = after(&ChainHead { seq: 5, ..first.head.clone() }, 2);
    assert_eq!(checked(&[&first, &skipping]), Err((6, "it should be 2".to_owned())), "it names the one before");
    let headless = after(&ChainHead { seq: 0, ..first.head.clone() }, 2);
    assert_eq!(checked(&[&headless]), Err((1, "the first record names one before it".to_owned())));
}

#[test]
fn p9_what_has_no_canonical_form_is_refused() {
    for number in [json!(0.5), json!(1e3), json!(u64::MAX), json!(1_i64 << 53), json!(i64::MIN)] {
        let draft = Draft { why: json!({"deep": [number]}), ..draft(0) };
        assert!(append(&Chain::System, &ChainHead::default(), minute(0), &[draft]).is_err());
    }
}

#[test]
fn p9_an_export_is_compared_with_an_earlier_one() {
    let (short, long) = (sample(3), sample(5));
    let earlier = check(&short, None).unwrap();
    assert_eq!(check(&long, Some(earlier.clone())).unwrap().records, 6, "what it held is still there");
    let fault = check(&short, Some(check(&long, None).unwrap())).unwrap_err();
    assert_eq!((fault.chain, fault.seq), (format!("person/{}", person(1)), 4), "a missing tail is named");
    let other =
        export(&[(Chain::Person(person(1)), (10..20).map(draft).collect()), (Chain::System, vec![draft(7)])], false, 0);
    let fault = check(&other, Some(earlier.clone())).unwrap_err();
    assert_eq!(fault.seq, 3, "a chain that was replaced as a whole verifies alone, and not against the earlier one");
    assert!(check(&other, None).is_ok());
    let alone = export(&[(Chain::Person(person(1)), (0..5).map(draft).collect())], false, 0);
    assert_eq!(check(&alone, Some(earlier)).unwrap_err().chain, "system", "a missing chain is named");
}

#[test]
fn p9_a_partial_export_says_so_and_continues_the_earlier_one() {
    let drafts = |range: std::ops::Range<i64>| vec![(Chain::System, range.map(draft).collect::<Vec<_>>())];
    let earlier = |n| check(&export(&drafts(0..n), false, 0), None).unwrap();
    assert!(check(&export(&drafts(0..5), true, 2), None).is_ok());
    assert_eq!(check(&export(&drafts(0..5), false, 2), None).unwrap_err().problem, "the records before it are missing");
    assert!(check(&export(&drafts(0..5), true, 2), Some(earlier(2))).is_ok());
    assert!(check(&export(&drafts(0..5), true, 2), Some(earlier(4))).is_ok());
    assert_eq!(check(&export(&drafts(0..5), true, 2), Some(earlier(1))).unwrap_err().seq, 2, "a hole between the two");
    assert_eq!(check(&export(&drafts(10..15), true, 2), Some(earlier(2))).unwrap_err().seq, 3, "another chain");
}

proptest! {
    #![proptest_config(cases(300))]

    #[test]
    fn p9_whatever_is_tampered_with_is_found(line in 0_usize..7, at in any::<prop::sample::Index>(), with in 32_u8..127, how in 0_u8..4) {
        let mut lines = sample(5);
        let whole = lines.clone();
        match how {
            0 => {
                let at = at.index(lines[line].len());
                let Some(true) = lines[line].is_char_boundary(at).then(|| lines[line].is_char_boundary(at + 1)) else { return Ok(()) };
                lines[line].replace_range(at..=at, &char::from(with).to_string());
            }
            1 => { lines.remove(line); }
            2 => { let other = (line + 1) % 7; lines.swap(line, other); }
            _ => { let twice = lines[line].clone(); lines.insert(line, twice); }
        }
        let same_chains = |lines: &[String]| {
            let mut lines = lines.to_vec();
            lines.sort_by_key(|line| line.contains("\"chain\":\"system\""));
            lines
        };
        // Where the closing line stays last, records of different chains may stand in any order.
        let harmless = lines == whole || (how == 2 && lines.last() == whole.last() && same_chains(&lines) == same_chains(&whole));
        prop_assert_eq!(check(&lines, None).is_ok(), harmless, "line {} of {:?}", line, lines);
    }
}
