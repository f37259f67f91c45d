use std::time::Duration;

use super::*;
use crate::testing::minute;

fn someone(number: usize) -> PersonId {
    format!("per_01JD{number:022}").parse().unwrap()
}

fn everybody_but(number: usize, of: usize) -> BTreeSet<PersonId> {
    (0..of).filter(|n| *n != number).map(someone).collect()
}

fn census(others: usize, answered: usize, inactive: usize) -> Census {
    Census { others, answered, inactive }
}

#[test]
fn r2_many_are_at_least_two_and_more_than_half() {
    for (others, answered, inactive, gone, many) in [
        (0, 0, 0, 1, false), // the only one
        (1, 1, 0, 1, false), // one of two
        (1, 1, 1, 1, true),  // both
        (3, 3, 1, 1, false), // two of four
        (3, 3, 2, 1, true),  // three of four
        (5, 0, 0, 1, false), // nothing is known of the others
        (2, 2, 0, 3, true),  // three went before, of five
        (999, 20, 20, 1, true),
        (999, 20, 10, 1, false),
        (999, 20, 11, 1, true),
    ] {
        assert_eq!(
            census(others, answered, inactive).many(gone),
            many,
            "{inactive} of {answered} of {others}, {gone} gone"
        );
    }
}

#[test]
fn r2_r7_a_slow_drain_adds_up_and_what_was_found_waits_together() {
    let mut roll = Roll::default();
    let active = |from: usize| (from..10).map(someone).collect::<BTreeSet<_>>();
    let mut verdicts = Vec::new();
    for n in 0..8 {
        let others = active(n + 1);
        let census = census(others.len(), others.len(), 0);
        verdicts.push(roll.found(&someone(n), &others, census, minute(5 * i64::try_from(n).unwrap())));
    }
    use Verdict::{Gone, Joins, Trips};
    assert_eq!(verdicts, [Gone, Gone, Gone, Gone, Gone, Trips, Joins, Joins], "R7: the sixth of ten is too many");
    let (all, people) = roll.group(Word::Waiting).unwrap();
    assert_eq!(people.len(), 3);
    let shown = roll.digests(Word::Waiting)[1].clone();
    assert_ne!(shown, all);
    assert_eq!(roll.say(&shown, Word::Released), Some(2), "R7: a release passes exactly those who were shown");
    assert_eq!(roll.word(&someone(7)), Some(Word::Waiting));
    assert_eq!(roll.say(&shown, Word::Released), None, "R7: said once");
    assert_eq!(roll.say(&all, Word::Released), None, "R7: another plan now");
    roll.settled(&someone(5));
    assert_eq!(roll.word(&someone(5)), None);
}

#[test]
fn r2_leavers_over_days_never_trip_the_brake() {
    let mut roll = Roll::default();
    let mut now = minute(0);
    for n in 0..9 {
        let others = (n + 1..10).map(someone).collect::<BTreeSet<_>>();
        let census = census(others.len(), others.len(), 0);
        assert_eq!(roll.found(&someone(n), &others, census, now), Verdict::Gone, "{n}");
        now = later(now, Duration::from_secs(3_601));
    }
    assert_eq!(roll.gone.len(), 1, "what is over an hour old is forgotten");
}

#[test]
fn r2_a_roll_is_bounded() {
    let mut roll = Roll::default();
    for n in 0..MOST + 5 {
        let verdict = roll.found(&someone(n), &everybody_but(n, 4), census(3, 3, 3), minute(1));
        assert_eq!(verdict, if n == 0 { Verdict::Trips } else { Verdict::Joins });
    }
    assert_eq!(roll.held.len(), MOST);
}
