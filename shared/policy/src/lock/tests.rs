use proptest::prelude::*;

use super::*;
use crate::enrollment::replan;
use crate::profile::Automatic;
use crate::rota::{End, Shift, View, accept, difference};
use crate::testing::{cases, id, minute, shift};

/// How far every view of these tests speaks.
const REACH: i64 = 1_000;

fn lock(minutes: u64) -> Lock {
    Lock { wait: Duration::from_secs(minutes * 60), own: SelfOverride::Hold }
}

fn made_by(maker: &str, shift: Shift) -> Shift {
    Shift { maker: Some(id(maker)), ..shift }
}

/// What is known after these views, each at its minute; the first has none before it.
fn history(views: &[(i64, Vec<Shift>)]) -> Vec<KnownShift> {
    let mut known = Vec::new();
    for (number, (at, shifts)) in views.iter().enumerate() {
        let window = Span::new(minute(-REACH), minute(REACH)).unwrap();
        let view = View { window, read_at: minute(*at), shifts: shifts.clone() };
        let reached = (number > 0).then_some(window.end);
        known = accept(&known, &difference(&known, &view), reached, minute(*at), minute(-REACH));
    }
    known
}

/// Who is on call for the minute `t` of the rota, by what is in force at the minute `x`.
fn at(known: &[KnownShift], lock: Lock, now: i64, t: i64, x: i64) -> Vec<String> {
    let found = in_force(known, lock, minute(now));
    let on = |cover: &&Cover| cover.span.contains(minute(t)) && cover.opens <= minute(x) && minute(x) < cover.closes;
    let users = found.covers.iter().filter(|(_, covers)| covers.iter().any(|cover| on(&cover)));
    users.map(|(user, _)| user.to_string()).collect()
}

#[test]
fn r16_a_late_change_waits_as_a_whole() {
    // Ann's shift of minute 180 goes to Bob at minute 178.
    let (ann, bob) = (shift("ann", 180, 660), shift("bob", 180, 660));
    let known = history(&[(0, vec![ann]), (178, vec![bob])]);
    for (x, who) in [(178, "ann"), (187, "ann"), (188, "bob"), (600, "bob")] {
        assert_eq!(at(&known, lock(10), 178, 200, x), [who], "R16: at minute {x}");
    }
    let found = in_force(&known, lock(10), minute(178));
    let (from, until) = (minute(180), Some(minute(188)));
    let user = &id("bob");
    assert_eq!(found.gains, [Gain { user, from, since: minute(178), until, own: false, told: true }]);
    assert_eq!(at(&known, lock(0), 178, 200, 178), ["bob"], "zero only flags");
    let flagged = in_force(&known, lock(0), minute(178)).gains;
    assert_eq!(flagged, [Gain { user, from, since: minute(178), until: None, own: false, told: true }]);
    assert_eq!(in_force(&known, lock(0), minute(179)).gains, [], "once");
}

#[test]
fn r16_who_made_it_decides_where_the_platform_tells() {
    let flag = Lock { own: SelfOverride::Flag, ..lock(10) };
    let after = |maker: Option<&str>, lock| {
        let bob = shift("bob", 10, 60);
        let bob = maker.map_or(bob.clone(), |maker| made_by(maker, bob));
        let known = history(&[(0, vec![shift("ann", 10, 60)]), (20, vec![bob])]);
        let gains = in_force(&known, lock, minute(20)).gains.len();
        (at(&known, lock, 20, 30, 20), gains)
    };
    let (ann, bob) = (vec!["ann".to_owned()], vec!["bob".to_owned()]);
    assert_eq!(after(Some("cat"), lock(10)), (bob.clone(), 0), "somebody else made it: at once, and nothing to tell");
    assert_eq!(after(Some("bob"), lock(10)), (ann.clone(), 1), "self-made, held");
    assert_eq!(after(Some("bob"), flag), (bob, 1), "self-made, flagged");
    assert_eq!(after(None, flag), (ann, 1), "where nobody tells, it waits whatever is said of self-made ones");
}

#[test]
fn r16_what_comes_in_at_the_far_end_is_no_change() {
    let mut known = history(&[(0, vec![shift("ann", 0, 60)]), (10, vec![shift("ann", 0, 60), shift("bob", 30, 90)])]);
    known[1].reached = Some(minute(50));
    assert_eq!(at(&known, lock(30), 10, 45, 35), ["ann"], "of this minute the view before had spoken");
    assert_eq!(at(&known, lock(30), 10, 55, 35), ["ann", "bob"], "and of this one it had not");
}

#[test]
fn r12_nobody_is_kept_past_their_own_end() {
    let known = history(&[(0, vec![shift("ann", 0, 60)]), (58, vec![shift("bob", 30, 90)])]);
    assert_eq!(at(&known, lock(10), 58, 59, 59), ["ann"]);
    assert_eq!(at(&known, lock(10), 58, 60, 60), Vec::<String>::new(), "Ann was to go, and Bob waits");
    assert_eq!(at(&known, lock(10), 58, 68, 68), ["bob"]);
}

#[test]
fn r16_whoever_is_gone_when_their_lock_ends_never_was_in_force() {
    let known = history(&[(0, vec![]), (20, vec![shift("ann", 0, 90)]), (30, vec![shift("bob", 0, 90)])]);
    assert_eq!(at(&known, lock(10), 30, 60, 30), Vec::<String>::new(), "Ann is not kept, for she never was on call");
    assert_eq!(at(&known, lock(10), 30, 60, 40), ["bob"]);
}

#[test]
fn r16_whoever_was_kept_went_when_nobody_waited_any_more_and_not_with_the_next_view() {
    let whole = |user: &str| vec![shift(user, 10, 90)];
    let replaced = [(0, whole("ann")), (20, whole("bob")), (50, whole("cat"))];
    let withdrawn = [(0, whole("ann")), (20, whole("bob")), (25, vec![])];
    let returned = [(0, whole("ann")), (20, whole("bob")), (25, whole("ann"))];
    let cases = [
        (&replaced, 29, "ann"),
        (&replaced, 30, "bob"),
        (&replaced, 59, "bob"),
        (&replaced, 60, "cat"),
        (&withdrawn, 24, "ann"),
        (&withdrawn, 25, ""),
        (&returned, 25, "ann"),
    ];
    for (views, x, who) in cases {
        let on_call = at(&history(views), lock(10), views[2].0, 60, x);
        assert_eq!(on_call.join(" "), who, "R16: at minute {x} of {views:?}");
    }
}

#[test]
fn r16_what_waits_is_told_once_for_each_user_and_only_while_it_waits_and_is_not_over() {
    let gains = |known: &[KnownShift], now: i64| {
        let gains = in_force(known, lock(10), minute(now)).gains.into_iter();
        gains.map(|gain| (gain.user.to_string(), gain.from, gain.until)).collect::<Vec<_>>()
    };
    let late = vec![shift("bob", 200, 500), shift("cat", 300, 400)];
    let known = history(&[(0, vec![shift("ann", 200, 400)]), (100, late)]);
    let until = Some(minute(110));
    let expected = [("bob".to_owned(), minute(200), until), ("cat".to_owned(), minute(300), until)];
    assert_eq!(gains(&known, 109), expected, "once, in however many parts the rota falls");
    assert_eq!(gains(&known, 110), [], "they wait no more");
    let known = history(&[(0, vec![]), (55, vec![shift("bob", 30, 60)])]);
    assert_eq!(gains(&known, 59), [("bob".to_owned(), minute(59), Some(minute(65)))]);
    assert_eq!(gains(&known, 60), [], "it is over, and its lock is not");
}

#[test]
fn r16_people_are_told_of_what_is_self_made_or_begins_within_an_hour_of_its_lock() {
    let gains = |known: &[KnownShift]| {
        let gains = in_force(known, lock(10), minute(100)).gains.into_iter();
        gains.map(|gain| (gain.from, gain.own, gain.told)).collect::<Vec<_>>()
    };
    for (from, told) in [(169, true), (170, false)] {
        let known = history(&[(0, vec![]), (100, vec![shift("bob", from, 500)])]);
        assert_eq!(gains(&known), [(minute(from), false, told)], "its lock ends at minute 110");
    }
    let parts = vec![shift("bob", 300, 400), made_by("bob", shift("bob", 400, 500))];
    let known = history(&[(0, vec![]), (100, parts)]);
    assert_eq!(gains(&known), [(minute(300), true, true)], "what is self-made in part is self-made");
}

#[test]
fn r16_lead_does_not_open_a_lock_and_grace_follows_its_end() {
    let rule = Automatic {
        rotations: [id("pd:P1")].into(),
        lead: Duration::from_secs(300),
        grace: Duration::from_secs(120),
        lease: Duration::from_secs(4 * 3_600),
    };
    let known = history(&[(0, vec![shift("ann", 180, 660)]), (178, vec![shift("bob", 180, 660)])]);
    let found = in_force(&known, lock(10), minute(178));
    let periods = |user: &str| {
        let periods = replan(&[], &found.covers[&id::<UserId>(user)], &rule, minute(178));
        periods.into_iter().map(|period| (period.from, period.until)).collect::<Vec<_>>()
    };
    assert_eq!(periods("ann"), [(minute(175), End::At(minute(190)))]);
    assert_eq!(periods("bob"), [(minute(188), End::At(minute(662)))]);
    let early = history(&[(0, vec![shift("ann", 180, 660)]), (167, vec![shift("bob", 180, 660)])]);
    let found = in_force(&early, lock(10), minute(167));
    let bob = replan(&[], &found.covers[&id::<UserId>("bob")], &rule, minute(167));
    assert_eq!(bob[0].from, minute(177), "as much of the lead as the lock leaves");
}

/// The slow, obvious reference: minute by minute of what is known, for one minute of the rota.
fn model(known: &[KnownShift], lock: Lock, t: i64, x: i64) -> BTreeSet<String> {
    let showing = |user: &str, x: i64| {
        let theirs = known.iter().filter(|k| k.shift.user.as_ref().is_some_and(|u| u.as_str() == user));
        let here = theirs.filter(|k| k.shift.covers(minute(t)) && k.believed_at(minute(x)));
        here.cloned().collect::<Vec<_>>()
    };
    let free = |user: &str, x: i64| {
        lock.wait.is_zero()
            || showing(user, x).iter().any(|k| match &k.shift.maker {
                _ if k.reached.is_none_or(|reached| minute(t) >= reached) => true,
                Some(maker) if maker.as_str() == user => lock.own == SelfOverride::Flag,
                Some(_) => true,
                None => false,
            })
    };
    let wait = i64::try_from(lock.wait.as_secs() / 60).unwrap();
    let long = |user: &str, x: i64| (x - wait..=x).all(|y| !showing(user, y).is_empty());
    let mut in_force = BTreeSet::new();
    for x in 0..=x {
        let shown: BTreeSet<String> =
            ["a", "b", "c"].into_iter().filter(|user| !showing(user, x).is_empty()).map(str::to_owned).collect();
        let gain = |user: &&String| !in_force.contains(*user);
        let waits = |user: &&String| !free(user, x) && !long(user, x);
        if shown.iter().filter(gain).any(|user| waits(&user)) {
            let passes: Vec<String> = shown.iter().filter(gain).filter(|user| !waits(user)).cloned().collect();
            in_force.extend(passes);
        } else {
            in_force = shown;
        }
    }
    in_force
}

fn shifts() -> impl Strategy<Value = Vec<Shift>> {
    let maker = prop::sample::select(vec![None, None, Some("a"), Some("b")]);
    let one = (0_usize..3, 0_i64..24, 1_i64..16, maker).prop_map(|(user, from, length, maker)| Shift {
        maker: maker.map(id),
        ..shift(["a", "b", "c"][user], from, from + length)
    });
    prop::collection::btree_set(one, 0..4).prop_map(|set| set.into_iter().collect())
}

/// Views of random minutes, and how far the one before had spoken.
fn views() -> impl Strategy<Value = Vec<(i64, Vec<Shift>, i64)>> {
    let reach = prop::sample::select(vec![12_i64, REACH, REACH]);
    let views = prop::collection::btree_map(0_i64..30, (shifts(), reach), 1..6);
    views.prop_map(|views| views.into_iter().map(|(at, (shifts, reach))| (at, shifts, reach)).collect())
}

proptest! {
    #![proptest_config(cases(300))]

    #[test]
    fn p11_r16_who_is_on_call_under_a_lock_minute_by_minute(views in views(), wait in 0_u64..12, flag: bool) {
        let own = if flag { SelfOverride::Flag } else { SelfOverride::Hold };
        let lock = Lock { own, ..lock(wait) };
        let (mut known, mut first): (Vec<KnownShift>, _) = (Vec::new(), true);
        for (now, shifts, reach) in &views {
            let window = Span::new(minute(-REACH), minute(REACH)).unwrap();
            let view = View { window, read_at: minute(*now), shifts: shifts.clone() };
            let reached = (!std::mem::take(&mut first)).then(|| minute(*reach));
            known = accept(&known, &difference(&known, &view), reached, minute(*now), minute(-REACH));
            let found = in_force(&known, lock, minute(*now));
            for t in (0..40).step_by(3) {
                for x in (*now..now + 14).step_by(2) {
                    let on = |c: &Cover| c.span.contains(minute(t)) && c.opens <= minute(x) && minute(x) < c.closes;
                    let users = found.covers.iter().filter(|(_, covers)| covers.iter().any(on));
                    let users: BTreeSet<String> = users.map(|(user, _)| user.to_string()).collect();
                    prop_assert_eq!(users, model(&known, lock, t, x), "rota minute {}, seen at {}, at {}", t, now, x);
                }
            }
        }
    }

    #[test]
    fn r4_how_a_duty_is_cut_is_no_change(shifts in shifts(), cut in 1_i64..8, wait in 1_u64..12, now in 0_i64..30) {
        let halves = |s: &Shift| {
            let middle = s.start + jiff::Span::new().minutes(cut);
            if middle >= s.end.or_max() { return vec![s.clone()] }
            vec![Shift { end: End::At(middle), ..s.clone() }, Shift { start: middle, ..s.clone() }]
        };
        let pieces: Vec<Shift> = shifts.iter().flat_map(halves).collect();
        let known = history(&[(-5, shifts.clone()), (now, pieces)]);
        let found = in_force(&known, lock(wait), minute(now));
        prop_assert_eq!(&found.gains, &vec![]);
        for t in 0..40 {
            prop_assert_eq!(at(&known, lock(wait), now, t, now), at(&history(&[(-5, shifts.clone())]), lock(wait), now, t, now));
        }
        prop_assert!(found.covers.values().flatten().all(|c| c.closes == Timestamp::MAX && c.opens == Timestamp::MIN));
    }
}
