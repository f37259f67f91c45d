//! A hold against a simulated target that knows the truth, driven exactly as the engine drives it.

mod company;
mod due;
mod meaning;
mod record;
mod scenarios;
mod target;

use std::time::Duration;

use jiff::Timestamp;
use proptest::prelude::*;

use self::company::{Company, Event, rank};
use self::target::{Answering, Behaviour};
use super::step::Facts;
use super::{Capabilities, Hold};
use crate::rebuild;
use crate::testing::{cases, minute};
use crate::time::to_millis;

/// A target whose reads may show for a minute what was before.
const CAPS: Capabilities = Capabilities {
    native_end: false,
    tells_owner: false,
    asynchronous: Some(Duration::from_secs(60)),
    propagation: Duration::from_secs(60),
    deadline: Duration::from_secs(10),
    session_tail: None,
};

/// What is decided with at an instant; the last reason ended at minute 9.
fn facts(now: Timestamp) -> Facts<'static> {
    Facts { now, asked: now, caps: &CAPS, rank: &rank, ended: (minute(9), minute(9)) }
}

fn answering() -> impl Strategy<Value = Answering> {
    prop_oneof![
        4 => Just(Answering::Well),
        1 => Just(Answering::Throttled),
        1 => Just(Answering::Transient),
        1 => Just(Answering::Permanent),
        1 => Just(Answering::LostWithoutEffect),
        2 => (0_i64..60).prop_map(Answering::LostWithEffectAfter),
        1 => Just(Answering::CrashBeforeCall),
        1 => (0_i64..60).prop_map(Answering::CrashWithEffectAfter),
        2 => (0_u8..=100).prop_map(Answering::CrashBeforeHandle),
        2 => Just(Answering::AcceptedDoesNothing),
        3 => (0_u8..5, 0_u8..3).prop_map(|(polls, faults)| Answering::Pending { polls, faults, fails: false }),
        1 => (0_u8..3).prop_map(|polls| Answering::Pending { polls, faults: 0, fails: true }),
    ]
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        5 => (0_usize..3, 1_i64..200).prop_map(|(value, minutes)| Event::Wanted(value, minutes)),
        4 => Just(Event::Unwanted),
        2 => prop::option::of(0_usize..4).prop_map(Event::OthersSet),
        5 => answering().prop_map(Event::NextCall),
        1 => (1_u8..4).prop_map(Event::ReadsFail),
        1 => (1_u8..4).prop_map(Event::TurnsTaken),
        1 => any::<bool>().prop_map(Event::Frozen),
    ]
}

fn gap() -> impl Strategy<Value = i64> {
    prop_oneof![3 => 0_i64..5, 3 => 5_i64..120, 2 => 120_i64..4_000, 1 => 4_000_i64..9_000]
}

fn behaviour() -> impl Strategy<Value = Behaviour> {
    let seconds = |most: i64| prop_oneof![Just(0), 1..most];
    let flags = (any::<bool>(), any::<bool>(), any::<bool>());
    (flags, prop::option::of(0_usize..4), seconds(90), seconds(1_800)).prop_map(
        |((values, native_end, tells_owner), standing, propagation, longest)| Behaviour {
            values,
            standing,
            propagation,
            longest,
            native_end: native_end && !values,
            tells_owner: tells_owner && !values,
        },
    )
}

/// What a rebuilt hold must have in common with the one that left the evidence, whose instants are whole milliseconds.
fn matters(hold: &Hold) -> impl PartialEq + std::fmt::Debug + use<> {
    let Hold { key, person, state, shape, base, set, setting, touched, ownership, due, native_end, attempts, .. } =
        hold.clone();
    let ends = (to_millis(due), native_end.map(to_millis));
    let open = hold.open.as_ref().map(|open| (open.number, open.call, to_millis(open.not_after)));
    let identities = hold.reasons.iter().cloned();
    let reasons: Vec<_> =
        identities.map(|it| (it.profile, it.version, it.origin, to_millis(it.from), to_millis(it.until))).collect();
    ((key, person, state, shape), (base, set, setting), (touched, ownership, ends), (attempts, open, reasons))
}

proptest! {
    // Everything is rebuilt after each event.
    #![proptest_config(cases(250))]

    #[test]
    fn r18_evidence_leaves_the_hold_that_left_it(
        behaviour in behaviour(),
        events in prop::collection::vec((event(), gap()), 1..16),
        chance in any::<u64>(),
    ) {
        let mut company = Company::new(behaviour, chance);
        for (event, gap) in events {
            if company.happens(event, gap).is_err() {
                // What breaks a promise is another test's.
                return Ok(());
            }
            let lines = company.lines();
            let rebuilt = rebuild::holds(lines.iter().map(String::as_str)).unwrap();
            let open = rebuilt.into_values().map(|rebuilt| rebuilt.hold).find(|hold| !hold.is_over());
            let (said, had) = (open.as_ref().map(matters), company.written.as_ref().map(matters));
            prop_assert!(said == had, "{said:#?}\n{had:#?}\n{}", company.story());
        }
    }
}

proptest! {
    #![proptest_config(cases(2_500))]

    #[test]
    fn p3_p4_p5_r1_r6_r14_hold_whatever_happens_and_it_converges_when_faults_stop(
        behaviour in behaviour(),
        events in prop::collection::vec((event(), gap()), 1..24),
        chance in any::<u64>(),
    ) {
        let mut company = Company::new(behaviour, chance);
        let outcome = events.into_iter().try_for_each(|(event, gap)| company.happens(event, gap));
        if let Err(broken) = outcome.and_then(|()| company.calm()) {
            return Err(TestCaseError::fail(format!("{broken}\n{behaviour:?}\n{}", company.story())));
        }
    }
}
