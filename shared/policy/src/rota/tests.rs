use proptest::prelude::*;

use super::*;
use crate::testing::{cases, known, minute, shift};

fn view(from: i64, to: i64, shifts: Vec<Shift>) -> View {
    View { window: Span::new(minute(from), minute(to)).unwrap(), read_at: minute(from), shifts }
}

#[test]
fn r15_a_shift_outside_the_window_is_not_gone() {
    let shifts = [shift("past", 0, 60), shift("now", 60, 200), shift("later", 500, 600), shift("edge", 300, 400)];
    let known: Vec<_> = shifts.iter().map(|s| known(s.clone(), 0)).collect();
    let change = difference(&known, &view(60, 300, vec![]));
    assert_eq!(
        change.removed,
        [shift("now", 60, 200)],
        "half-open: what ends or begins at the window's edge is outside"
    );
    let after = accept(&known, &change, None, minute(70), minute(0));
    assert_eq!(after.iter().filter(|k| k.stands()).count(), 3);
    let gone = after.iter().find(|k| !k.stands()).unwrap();
    assert!(gone.believed_at(minute(69)) && !gone.believed_at(minute(70)), "it counted until it was gone");
}

#[test]
fn r4_a_shift_is_known_by_who_and_when_and_not_by_what_explains_it() {
    let base = vec![shift("ann", 0, 60)];
    let explained = [
        Shift { native_id: Some("v3".into()), ..base[0].clone() },
        Shift { cause: Cause::Override, ..base[0].clone() },
        Shift { maker: Some("bob".parse().unwrap()), ..base[0].clone() },
    ];
    for other in explained {
        assert_eq!(digest(&base), digest(std::slice::from_ref(&other)), "{other:?}");
        let view = view(-10, 100, vec![other.clone()]);
        assert!(difference(&[known(base[0].clone(), -100)], &view).is_empty(), "nobody's duty changes: {other:?}");
    }
    let others = [
        vec![shift("bob", 0, 60)],
        vec![shift("ann", 0, 61)],
        vec![Shift { end: End::Open, ..base[0].clone() }],
        vec![],
    ];
    for other in others {
        assert_ne!(digest(&base), digest(&other), "{other:?}");
    }
    let (gone, come) =
        (Difference { removed: base.clone(), added: vec![] }, Difference { removed: vec![], added: base });
    assert_ne!(gone.digest(), come.digest(), "a release of the one is not a release of the other");
}

#[test]
fn p9_whoever_was_believed_to_be_on_call_stays_known_and_what_never_counted_is_forgotten() {
    let gone = |start: i64, at: i64| KnownShift { gone: Some(minute(at)), ..known(shift("ann", start, start + 10), 0) };
    let stays = |k: KnownShift| !accept(&[k], &Difference::default(), None, minute(90), minute(60)).is_empty();
    for (start, at, expected) in [(40, 50, true), (50, 50, false), (100, 60, false), (100, 61, true)] {
        assert_eq!(stays(gone(start, at)), expected, "it began at minute {start} and was gone at {at}");
    }
    assert!(stays(known(shift("ann", 0, 10), 0)), "what is not gone is never forgotten");
}

#[test]
fn r4_a_shifts_name_tells_its_rotation_its_beginning_and_its_user_and_no_more() {
    let rotation: RotationId = "pd:team.night@2".parse().unwrap();
    let name = shift("ann", 60, 120).name(&rotation);
    assert_eq!(Shift::named(&name), Some((rotation.clone(), minute(60))), "{name}");
    assert_eq!(shift("ann", 60, 90).name(&rotation), name, "it keeps its name when it is cut");
    assert_ne!(shift("bob", 60, 120).name(&rotation), name);
    for other in ["", "pd:P1", "pd:P1.soon.0a", "60.0a", "nobody.60.0a"] {
        assert_eq!(Shift::named(other), None, "{other:?}");
    }
}

#[test]
fn p1_a_declared_gap_is_nobody_on_call() {
    let gap = Shift { user: None, ..shift("ann", 120, 180) };
    let shifts = [shift("bob", 0, 60), shift("ann", 60, 120), gap, shift("bob", 180, 240)];
    let found: Vec<&str> = users(&shifts).into_iter().map(UserId::as_str).collect();
    assert_eq!(found, ["ann", "bob"], "and everybody else is there once");
}

#[test]
fn p1_a_duty_that_was_shown_twice_is_gone_as_a_whole() {
    let twin = |native: &str| Shift { native_id: Some(native.to_owned()), ..shift("ann", 0, 60) };
    let nothing: [KnownShift; 0] = [];
    let twice = view(0, 100, vec![twin("event/1"), twin("event/2")]);
    let known = accept(&nothing, &difference(&nothing, &twice), None, minute(0), minute(0));
    let once = view(0, 100, vec![twin("event/2")]);
    assert!(difference(&known, &once).is_empty(), "R4: she is on call by the other");
    let other = view(0, 100, vec![shift("bob", 0, 60)]);
    let after = accept(&known, &difference(&known, &other), None, minute(10), minute(0));
    let standing: Vec<&Shift> = after.iter().filter(|k| k.stands()).map(|k| &k.shift).collect();
    assert_eq!(standing, [&other.shifts[0]], "whoever is replaced has nothing left that speaks for them");
}

/// Shifts of few people at few times, so that some say the same for other reasons.
fn shifts() -> impl Strategy<Value = Vec<Shift>> {
    let native = prop::option::of(prop::sample::select(vec!["1", "2"]));
    let one = (0_usize..3, 0_i64..50, 1_i64..20, native).prop_map(|(u, from, len, native)| Shift {
        native_id: native.map(str::to_owned),
        ..shift(["a", "b", "c"][u], from, from + len)
    });
    prop::collection::btree_set(one, 0..8).prop_map(|set| set.into_iter().collect())
}

proptest! {
    #![proptest_config(cases(300))]

    #[test]
    fn r15_what_was_accepted_is_what_the_view_says_inside_and_what_stood_outside(before in shifts(), said in shifts(), from in 0_i64..40, len in 1_i64..40) {
        let known: Vec<_> = before.iter().map(|s| known(s.clone(), -100)).collect();
        let view = view(from, from + len, said);
        let view = View { shifts: view.shifts.iter().filter(|s| s.touches(&view.window)).cloned().collect(), ..view };
        let after = accept(&known, &difference(&known, &view), None, minute(from), minute(-1_000));
        let standing: BTreeSet<_> = after.iter().filter(|k| k.stands()).map(|k| k.shift.duty()).collect();
        let outside = before.iter().filter(|s| !s.touches(&view.window));
        prop_assert_eq!(standing, view.shifts.iter().chain(outside).map(Shift::duty).collect::<BTreeSet<_>>());
        prop_assert!(difference(&after, &view).is_empty(), "the same view again changes nothing");
        let past: BTreeSet<&Shift> = after.iter().filter(|k| k.believed_at(minute(-1))).map(|k| &k.shift).collect();
        prop_assert_eq!(past, before.iter().collect::<BTreeSet<_>>(), "what was believed stays known");
    }
}
