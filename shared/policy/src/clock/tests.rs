use std::time::Duration;

use jiff::Timestamp;
use proptest::prelude::*;

use super::{Answer, Doubt, Reading, Trust};
use crate::testing::{cases, second};
use crate::time::{earlier, later, to_millis};

/// A machine whose clock is right for as long as nobody sets it.
struct Machine {
    trust: Trust,
    /// Seconds that have really passed.
    passed: i64,
    /// Of these, seconds for which it slept.
    slept: i64,
    /// By how many seconds its clock is wrong.
    wrong: i64,
}

impl Machine {
    fn new() -> Self {
        let mut machine = Self { trust: Trust::default(), passed: 0, slept: 0, wrong: 0 };
        assert_eq!(machine.doubt(), None, "nothing was heard yet");
        machine
    }

    fn reading(&self) -> Reading {
        let steady = Duration::from_secs((self.passed - self.slept).unsigned_abs());
        Reading { wall: second(self.passed + self.wrong), steady }
    }

    fn doubt(&mut self) -> Option<Doubt> {
        let reading = self.reading();
        self.trust.doubt(reading)
    }

    /// An answer of a place whose clock is wrong by so many seconds.
    fn hears(&mut self, from: &str, wrong: i64) -> Option<i64> {
        let date = second(self.passed + wrong);
        let reading = self.reading();
        self.trust.hear(&Answer { from, date, took: Duration::from_millis(100), elsewhere: true }, reading)
    }

    fn sleeps(&mut self, seconds: i64) {
        self.passed += seconds;
        self.slept += seconds;
    }
}

#[test]
fn r25_a_clock_that_differs_from_another_is_in_doubt_until_it_agrees() {
    for wrong in [-3_600, -6, 6, 3_600] {
        let mut machine = Machine::new();
        machine.wrong = wrong;
        assert!(machine.hears("pd", 0).is_some(), "somebody may want to know");
        let doubt = machine.doubt().unwrap_or_else(|| panic!("{wrong} s wrong and in no doubt"));
        let text = doubt.to_string();
        assert!(text.contains(if wrong > 0 { "ahead of" } else { "behind" }) && text.contains("pd"), "{text}");
        machine.passed += 60;
        assert_eq!(machine.hears("pd", 0), None, "it is said once");
        assert!(machine.doubt().is_some(), "time alone makes nothing right");
        machine.wrong = 0;
        assert!(machine.doubt().is_some(), "it was set, and nobody has agreed yet");
        assert_eq!(machine.hears("pd", 0), None);
        assert_eq!(machine.doubt(), None);
    }
}

#[test]
fn r25_one_place_whose_clock_is_wrong_stops_nobody_while_another_agrees() {
    let mut machine = Machine::new();
    machine.hears("app", 60);
    assert!(machine.doubt().is_some(), "of two clocks nobody can tell which is wrong");
    machine.hears("pd", 0);
    assert_eq!(machine.doubt(), None);
    assert_eq!(machine.hears("app", 60), None);
    assert_eq!(machine.doubt(), None, "in whatever order they are heard");
    machine.passed += 3_599;
    assert_eq!(machine.doubt(), None, "it has run evenly since");
    machine.hears("app", 60);
    machine.passed += 1;
    assert!(machine.doubt().is_some(), "what is an hour old counts no more");
    machine.passed += 3_600;
    assert_eq!(machine.doubt(), None, "nor does what a place said that is never heard again");
}

#[test]
fn r25_a_machine_that_slept_waits_for_somebody_who_agrees() {
    let mut machine = Machine::new();
    machine.hears("pd", 0);
    machine.sleeps(8 * 3_600);
    assert_eq!(machine.doubt(), Some(Doubt::Jumped { by_ms: 8 * 3_600_000 }), "what was heard before counts no more");
    machine.passed += 1;
    machine.hears("pd", 0);
    assert_eq!(machine.doubt(), None, "it goes on as soon as it is confirmed");
}

#[test]
fn r25_a_machine_that_wakes_with_a_wrong_clock_goes_on_waiting() {
    let mut machine = Machine::new();
    machine.hears("pd", 0);
    machine.sleeps(3_600);
    machine.wrong = 3_600;
    assert_eq!(machine.doubt(), Some(Doubt::Jumped { by_ms: 7_200_000 }));
    machine.passed += 5;
    machine.hears("pd", 0);
    machine.passed += 600;
    assert!(matches!(machine.doubt(), Some(Doubt::Differs { ahead_ms: 3_598_900, .. })), "{:?}", machine.doubt());
}

#[test]
fn r25_a_jump_that_nobody_contradicts_is_believed_after_thirty_seconds() {
    let mut machine = Machine::new();
    machine.sleeps(60);
    assert!(machine.doubt().is_some());
    machine.passed += 29;
    assert!(machine.doubt().is_some());
    machine.passed += 1;
    assert_eq!(machine.doubt(), None, "there may be nobody to ask");
    machine.wrong = -60;
    assert_eq!(machine.doubt(), Some(Doubt::Jumped { by_ms: -60_000 }), "a clock that is set back has jumped too");
}

#[test]
fn r25_a_late_answer_contradicts_nobody_and_confirms_nothing() {
    let mut machine = Machine::new();
    machine.sleeps(60);
    let made_late = |machine: &Machine, ago| Answer {
        from: "the table",
        date: second(machine.passed - ago),
        took: Duration::from_secs(20),
        elsewhere: true,
    };
    for ago in [0, 10, 20] {
        let (answer, reading) = (made_late(&machine, ago), machine.reading());
        assert_eq!(machine.trust.hear(&answer, reading), None, "made {ago} s ago, within the time that it took");
        assert!(matches!(machine.doubt(), Some(Doubt::Jumped { .. })), "it could be wrong by 20 s and look the same");
    }
    let (answer, reading) = (made_late(&machine, 25), machine.reading());
    assert_eq!(machine.trust.hear(&answer, reading), Some(4_000), "before it was asked for");
}

#[test]
fn r25_this_machines_own_word_confirms_nothing_but_may_pass_on_anothers() {
    let mut machine = Machine::new();
    let answer = |date| Answer { from: "localhost", date, took: Duration::ZERO, elsewhere: false };
    machine.hears("pd", 60);
    let reading = machine.reading();
    machine.trust.hear(&answer(reading.wall), reading);
    assert!(machine.doubt().is_some(), "it is the same clock");
    let mut machine = Machine::new();
    machine.trust.hear(&answer(later(reading.wall, Duration::from_secs(60))), reading);
    assert!(machine.doubt().is_some());
    machine.trust.hear(&answer(reading.wall), reading);
    assert_eq!(machine.doubt(), None, "what it passes on agrees again");
}

/// Milliseconds after an instant, or before it.
fn shifted(at: Timestamp, by_ms: i64) -> Timestamp {
    Timestamp::from_millisecond(at.as_millisecond() + by_ms).unwrap()
}

#[test]
fn r25_a_clock_is_contradicted_from_three_seconds_on_and_the_second_that_a_date_leaves_out() {
    for (ahead_ms, contradicted) in [(4_000, None), (4_001, Some(3_001)), (-3_000, None), (-3_001, Some(-3_001))] {
        let (mut trust, date) = (Trust::default(), second(1_000));
        let now = Reading { wall: shifted(date, ahead_ms), steady: Duration::from_secs(1) };
        let answer = Answer { from: "pd", date, took: Duration::ZERO, elsewhere: true };
        assert_eq!(trust.hear(&answer, now), contradicted, "{ahead_ms} ms ahead");
        assert_eq!(trust.doubt(now).is_some(), contradicted.is_some(), "{ahead_ms} ms ahead");
    }
}

#[test]
fn r25_two_clocks_of_a_machine_that_come_apart_by_more_than_three_seconds_have_jumped() {
    for (by_ms, jumped) in [(3_000, false), (3_001, true), (-3_000, false), (-3_001, true)] {
        let mut trust = Trust::default();
        let started = Reading { wall: second(0), steady: Duration::ZERO };
        assert_eq!(trust.doubt(started), None);
        let now = Reading { wall: shifted(second(60), by_ms), steady: Duration::from_secs(60) };
        assert_eq!(trust.doubt(now), jumped.then_some(Doubt::Jumped { by_ms }));
    }
}

proptest! {
    #![proptest_config(cases(512))]

    #[test]
    fn r25_a_clock_that_is_right_is_never_contradicted_by_one_that_is(
        ages in prop::collection::vec((0_u64..20_000, 0_u64..20_000), 1..20),
    ) {
        let mut trust = Trust::default();
        let mut steady = Duration::from_secs(7);
        for (took, made) in ages {
            let took = Duration::from_millis(took);
            steady += took;
            let wall = later(second(0), steady);
            let made = earlier(wall, took.min(Duration::from_millis(made)));
            let date = Timestamp::from_second(made.as_second()).unwrap();
            let answer = Answer { from: "pd", date, took, elsewhere: true };
            prop_assert_eq!(trust.hear(&answer, Reading { wall: to_millis(wall), steady }), None);
            prop_assert_eq!(trust.doubt(Reading { wall: to_millis(wall), steady }), None);
        }
    }

    #[test]
    fn r25_who_agrees_is_wrong_by_three_seconds_at_most(
        wrong in -20_000_i64..20_000, took in 0_u64..20_000, made in 0_u64..20_000,
    ) {
        let mut trust = Trust::default();
        let steady = Duration::from_secs(100);
        trust.doubt(Reading { wall: second(0), steady: Duration::ZERO });
        let truth = later(second(1_000), steady);
        let wall = if wrong >= 0 { later(truth, Duration::from_millis(wrong.unsigned_abs())) } else { earlier(truth, Duration::from_millis(wrong.unsigned_abs())) };
        let now = Reading { wall, steady };
        let took = Duration::from_millis(took);
        let made = earlier(truth, took.min(Duration::from_millis(made)));
        let date = Timestamp::from_second(made.as_second()).unwrap();
        trust.hear(&Answer { from: "pd", date, took, elsewhere: true }, now);
        if trust.doubt(now).is_none() {
            prop_assert!(wrong.abs() <= 3_000, "a jumped clock that is {wrong} ms wrong was confirmed");
        }
    }
}
