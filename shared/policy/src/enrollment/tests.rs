use std::time::Duration;

use proptest::prelude::*;

use super::{Cover, Period, coverage, replan};
use crate::profile::Automatic;
use crate::rota::{End, Shift};
use crate::testing::{cases, id, known, minute, shift};
use crate::time::Span;

fn rule(lead: u64, grace: u64) -> Automatic {
    Automatic {
        rotations: [id("pd:P1")].into(),
        lead: Duration::from_secs(lead * 60),
        grace: Duration::from_secs(grace * 60),
        lease: Duration::from_secs(4 * 3_600),
    }
}

fn plan(previous: &[Period], shifts: &[Shift], rule: &Automatic, now: i64) -> Vec<Period> {
    let known: Vec<_> = shifts.iter().map(|s| known(s.clone(), 0)).collect();
    replan(previous, &coverage(&known), rule, minute(now))
}

fn due(periods: &[Period], at: i64) -> bool {
    periods.iter().any(|period| period.contains(minute(at)))
}

fn shifts() -> impl Strategy<Value = Vec<Shift>> {
    prop::collection::vec((0_i64..300, 1_i64..90).prop_map(|(from, len)| shift("ann", from, from + len)), 0..6)
}

#[test]
fn r4_r13_running_coverage_that_is_lost_ends_now_with_its_grace_and_without_a_flap() {
    let rule = rule(0, 10);
    let before = plan(&[], &[shift("ann", 0, 100)], &rule, -5);
    let gone = plan(&before, &[], &rule, 50);
    assert_eq!(gone[0].until, End::At(minute(60)));
    assert_eq!((gone[0].from_known, gone[0].until_known), (minute(-5), minute(50)));
    assert_eq!(plan(&gone, &[], &rule, 55), gone, "looking again moves nothing");
    let moved = plan(&before, &[shift("ann", 55, 100)], &rule, 50);
    assert!((50..110).all(|at| due(&moved, at)), "a start that moves by minutes is no flap: {moved:?}");
    let touching = plan(&before, &[shift("ann", 60, 100)], &rule, 50);
    assert_eq!(touching, before, "its grace reaches the next one: nothing has changed");
    let later = plan(&before, &[shift("ann", 80, 100)], &rule, 50);
    assert!(due(&later, 59) && !due(&later, 60) && due(&later, 80), "{later:?}");
}

#[test]
fn r13_a_duty_that_never_began_has_no_grace() {
    let (wide, narrow) = (rule(15, 10), rule(0, 10));
    let shift = |from| [shift("ann", from, 100)];
    let before = plan(&[], &shift(60), &wide, -5);
    assert_eq!((before[0].duty, plan(&[], &shift(60), &narrow, -5)[0].duty), (Some(minute(60)), None));
    let now_due = |periods: &[Period], from: i64| (from..120).filter(|at| due(periods, *at)).collect::<Vec<_>>();
    assert_eq!(plan(&before, &[], &wide, 45), [], "it is gone as its lead begins");
    assert!(now_due(&plan(&before, &[], &wide, 50), 50).is_empty(), "it is gone in its lead");
    assert_eq!(now_due(&plan(&before, &[], &wide, 60), 60), (60..70).collect::<Vec<_>>(), "it is gone at its start");
    assert_eq!(now_due(&plan(&before, &[], &wide, 62), 62), (62..72).collect::<Vec<_>>(), "it is gone after its start");
    let edited = plan(&before, &shift(80), &narrow, 50);
    assert_eq!(now_due(&edited, 50), (80..110).collect::<Vec<_>>(), "its lead is gone");
    assert_eq!(edited[0].until, End::At(minute(50)), "what had begun still says when it was due");
    let moved = plan(&before, &shift(58), &narrow, 50);
    assert_eq!(now_due(&moved, 50), (50..110).collect::<Vec<_>>(), "a start that moves by minutes is no flap");
    assert_eq!((moved[0].from, moved[0].from_known), (minute(45), minute(-5)), "its beginning is no news");
    assert!(now_due(&plan(&moved, &[], &narrow, 55), 55).is_empty(), "joined, it has not begun either");
    assert_eq!(now_due(&plan(&moved, &[], &narrow, 59), 59), (59..69).collect::<Vec<_>>());
}

#[test]
fn an_end_that_is_carried_out_late_still_finds_when_it_was_due() {
    let rule = rule(5, 10);
    let before = plan(&[], &[shift("ann", 0, 100)], &rule, -60);
    // It ends with its grace at minute 110.
    let kept = 110 + 48 * 60;
    for (now, is_kept) in [(110, true), (24 * 60, true), (kept - 1, true), (kept, false), (72 * 60, false)] {
        let expected = if is_kept { before.clone() } else { vec![] };
        assert_eq!(plan(&before, &[], &rule, now), expected, "the rota has it no more, at minute {now}");
        assert_eq!(plan(&[], &[shift("ann", 0, 100)], &rule, now).len(), expected.len(), "it has, at minute {now}");
    }
}

#[test]
fn p12_what_has_ended_is_found_between_what_the_rota_says_now() {
    let rule = rule(0, 0);
    let before = plan(&[], &[shift("ann", 100, 200)], &rule, -5);
    let after = plan(&before, &[shift("ann", 0, 100), shift("ann", 200, 300)], &rule, 250);
    assert_eq!(after.len(), 3, "those that only touch it do not replace it: {after:?}");
    assert_eq!(after[1], before[0]);
}

#[test]
fn r16_somebody_is_on_call_within_their_stretch_and_while_it_is_in_force() {
    let span = Span::new(minute(10), minute(90)).unwrap();
    let cover = |opens: i64, closes: i64| Cover { span, opens: minute(opens), closes: minute(closes) };
    let cases = [(cover(0, 100), 10, 90), (cover(20, 100), 20, 90), (cover(0, 50), 10, 50), (cover(95, 100), 0, 0)];
    for (cover, from, to) in cases {
        let on_call: Vec<i64> = (0..100).filter(|at| cover.counts(minute(*at))).collect();
        assert_eq!(on_call, (from..to).collect::<Vec<_>>(), "{cover:?}");
    }
}

proptest! {
    #![proptest_config(cases(300))]

    #[test]
    fn r13_periods_are_coverage_with_lead_and_grace_minute_by_minute(shifts in shifts(), lead in 0_u64..40, grace in 0_u64..40) {
        let periods = plan(&[], &shifts, &rule(lead, grace), -100);
        let (lead, grace) = (lead as i64, grace as i64);
        for at in -60..460 {
            let model = shifts.iter().any(|s| minute(at) >= s.start - jiff::Span::new().minutes(lead)
                && minute(at) < s.end.or_max() + jiff::Span::new().minutes(grace));
            prop_assert_eq!(due(&periods, at), model, "at minute {}", at);
        }
        prop_assert!(periods.windows(2).all(|pair| pair[0].until.or_max() < pair[1].from), "sorted, none touching");
    }

    #[test]
    fn r4_shifts_that_are_cut_or_joined_differently_change_nothing(
        shifts in shifts(), cut in 1_i64..40, lead in 0_u64..20, grace in 0_u64..20, now in -10_i64..400,
    ) {
        let rule = rule(lead, grace);
        let before = plan(&[], &shifts, &rule, -100);
        let pieces: Vec<Shift> = shifts.iter().flat_map(|s| {
            let middle = s.start + jiff::Span::new().minutes(cut);
            if middle >= s.end.or_max() { return vec![s.clone()] }
            vec![Shift { end: End::At(middle), native_id: Some("v3".into()), ..s.clone() }, Shift { start: middle, ..s.clone() }]
        }).collect();
        prop_assert_eq!(plan(&before, &pieces, &rule, now), plan(&before, &shifts, &rule, now));
        prop_assert_eq!(plan(&before, &shifts, &rule, now), before, "and nothing is known anew");
    }

    #[test]
    fn r13_whatever_the_rota_says_next_nothing_that_runs_is_cut_before_its_grace(
        first in shifts(), then in shifts(), grace in 0_u64..30, now in 0_i64..300,
    ) {
        let rule = rule(0, grace);
        let before = plan(&[], &first, &rule, -100);
        let after = plan(&before, &then, &rule, now);
        for at in -10..430 {
            let covered = |shifts: &[Shift]| shifts.iter().any(|s| s.start <= minute(at) && minute(at) < s.end.or_max());
            prop_assert!(at < now || !covered(&then) || due(&after, at), "new coverage counts at minute {}", at);
            let stale = at >= now + grace as i64 && due(&after, at) && !due(&plan(&[], &then, &rule, now), at);
            prop_assert!(!stale, "old coverage counts no longer at minute {}", at);
        }
        prop_assert!(after.windows(2).all(|pair| pair[0].until.or_max() <= pair[1].from), "no overlap: {:?}", after);
    }
}
