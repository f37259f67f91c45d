use std::time::Duration;

use super::*;
use crate::testing::{minute, second};

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
    let words = [5, 6, 7].map(|number| roll.word(&someone(number)));
    assert_eq!(words, [Word::Released, Word::Released, Word::Waiting].map(Some));
    assert_eq!(roll.say(&shown, Word::Released), None, "R7: said once");
    assert_eq!(roll.say(&all, Word::Released), None, "R7: another plan now");
    roll.settled(&someone(5));
    assert_eq!((roll.word(&someone(5)), roll.gone.len()), (None, 5));
    roll.settled(&someone(0));
    assert_eq!((roll.held.len(), roll.gone.len()), (2, 4), "whoever was cut off and is active again");
}

#[test]
fn r2_whoever_went_within_the_hour_counts_once_with_whoever_goes_now() {
    let mut roll = Roll::default();
    for now in [0, 1] {
        let verdict = roll.found(&someone(0), &everybody_but(0, 2), census(1, 1, 0), minute(now));
        assert_eq!((verdict, roll.gone.len()), (Verdict::Gone, 1), "one of two");
    }
    for (now, verdict) in [(2, Verdict::Trips), (60, Verdict::Trips), (61, Verdict::Gone)] {
        let found = roll.clone().found(&someone(1), &BTreeSet::new(), census(0, 0, 0), minute(now));
        assert_eq!(found, verdict, "the other of two at minute {now}, an hour after the first or less");
    }
}

#[test]
fn r2_the_brake_holds_whoever_comes_next_for_an_hour_unless_something_is_said() {
    let cases = [
        (Word::Waiting, 3_599, true),
        (Word::Waiting, 3_600, false),
        (Word::Released, 1, false),
        (Word::Discarded, 1, false),
    ];
    for (word, now, brakes) in cases {
        let held = vec![Held { person: someone(0), since: second(0), word }];
        let roll = Roll { held, ..Roll::default() };
        assert_eq!(roll.brakes(second(now)), brakes, "{word:?} after {now} seconds");
    }
}

#[test]
fn r2_who_waits_or_was_released_is_forgotten_after_a_week_and_what_was_discarded_stays_so() {
    let words = [Word::Waiting, Word::Released, Word::Discarded];
    let held = |number: usize| Held { person: someone(number), since: minute(0), word: words[number] };
    let week = 7 * 24 * 60;
    for (now, expected) in [(week - 1, words.to_vec()), (week, vec![Word::Discarded])] {
        let mut roll = Roll { held: (0..3).map(held).collect(), ..Roll::default() };
        assert_eq!(roll.found(&someone(9), &everybody_but(9, 4), census(4, 4, 0), minute(now)), Verdict::Gone);
        let left: Vec<Word> = roll.held.iter().map(|held| held.word).collect();
        assert_eq!(left, expected, "at minute {now}");
    }
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
    let gone = |number: usize| Gone { person: someone(number), at: minute(1) };
    let mut roll = Roll { gone: (1..MOST).map(gone).collect(), ..Roll::default() };
    for number in [MOST, MOST + 1] {
        let verdict = roll.found(&someone(number), &BTreeSet::new(), census(100_000, 20, 0), minute(1));
        assert_eq!((verdict, roll.gone.len()), (Verdict::Gone, MOST));
    }
}
