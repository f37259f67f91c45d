use std::time::Duration;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::profile::{Automatic, SelfOverride};
use crate::rota::End;
use crate::testing::{cases, id, known, minute, person, shift};
use crate::wants::Freshness;

fn profile(name: &str, rotations: &[&str], lead: i64, grace: i64, groups: &[&str]) -> Profile {
    let minutes = |n: i64| Duration::from_secs(n.unsigned_abs() * 60);
    let entitlement = |group: &&str| EntitlementRef { app: id("directory"), kind: "group".into(), id: (*group).into() };
    Profile {
        id: id(name),
        version: 2,
        name: name.into(),
        entitlements: groups.iter().map(entitlement).collect(),
        mode: Mode::Enforce,
        enrollment: Some(Automatic {
            rotations: rotations.iter().map(|r| id(r)).collect(),
            lead: minutes(lead),
            grace: minutes(grace),
            lease: minutes(240),
        }),
        self_service: None,
        self_override: SelfOverride::Flag,
        override_lock: Duration::ZERO,
        break_glass: None,
    }
}

type Users = BTreeMap<(SourceId, UserId), Result<Shown, Doubt>>;

fn users() -> Users {
    let shown = |n, email: &str| Ok(Shown { id: Some(person(n)), email: Some(email.to_owned()), erased: None });
    [
        ((id("pd"), id("ann")), shown(1, "ann@example.com")),
        ((id("rota"), id("ann-too")), shown(1, "ann@example.com")),
        ((id("pd"), id("bob")), shown(2, "bob@example.com")),
        ((id("pd"), id("twin")), Err(Doubt::Ambiguous)),
    ]
    .into()
}

fn run(window: (i64, i64), shifts: &[(&str, Vec<Shift>)], profiles: &[Profile]) -> Forecast {
    let known = |shifts: &Vec<Shift>| shifts.iter().cloned().map(KnownShift::from).collect();
    let shifts = shifts.iter().map(|(rotation, shifts)| (id(rotation), known(shifts))).collect();
    let window = Span::new(minute(window.0), minute(window.1)).unwrap();
    forecast(&Input { window, shifts: &shifts, views: &Views::default(), users: &users(), profiles })
}

#[test]
fn a_forecast_has_the_shape_of_the_contract() {
    let forecast =
        run((0, 600), &[("pd:P1", vec![shift("ann", 60, 120)])], &[profile("on-call", &["pd:P1"], 5, 10, &["g1"])]);
    let ann = json!({"id": person(1), "email": "ann@example.com"});
    let (start, end) = ("2026-03-02T00:55:00.000Z", "2026-03-02T02:10:00.000Z");
    assert_eq!(
        serde_json::to_value(&forecast).unwrap(),
        json!({
            "from": "2026-03-02T00:00:00.000Z", "to": "2026-03-02T10:00:00.000Z",
            "holds": [{
                "person": ann, "profile": "on-call", "app": "directory", "kind": "group", "id": "g1", "start": start, "end": end,
                "reasons": [{"kind": "coverage", "ref": "pd:P1", "start": start, "end": end}],
                "why": format!("on call in pd:P1 under profile on-call version 2, from {start} until {end}"),
            }],
            "gaps": [
                {"rotation": "pd:P1", "start": "2026-03-02T00:00:00.000Z", "end": "2026-03-02T01:00:00.000Z"},
                {"rotation": "pd:P1", "start": "2026-03-02T02:00:00.000Z", "end": "2026-03-02T10:00:00.000Z"},
            ],
            "unmatched": [],
            "shifts": [{
                "rotation": "pd:P1", "person": ann, "user": "ann",
                "start": "2026-03-02T01:00:00.000Z", "end": "2026-03-02T02:00:00.000Z",
            }],
        })
    );
}

#[test]
fn p4_two_ways_to_one_entitlement_are_one_hold_with_both_reasons() {
    let profiles = [profile("a", &["pd:P1"], 0, 10, &["g1"]), profile("b", &["rota:main"], 0, 0, &["g1", "g2"])];
    let shifts = [("pd:P1", vec![shift("ann", 0, 60)]), ("rota:main", vec![shift("ann-too", 70, 120)])];
    let forecast = run((0, 600), &shifts, &profiles);
    let holds: Vec<_> = forecast.holds.iter().map(|h| (h.id.as_str(), h.start, h.end, h.reasons.len())).collect();
    assert_eq!(
        holds,
        [("g1", minute(0), Some(minute(120)), 2), ("g2", minute(70), Some(minute(120)), 1)],
        "they touch"
    );
}

#[test]
fn r16_a_late_change_is_forecast_with_its_lock() {
    let (ann, bob) = (shift("ann", 60, 120), shift("bob", 60, 120));
    let replaced = KnownShift { gone: Some(minute(58)), ..known(ann, 0) };
    let late = KnownShift { reached: Some(minute(600)), ..known(bob, 58) };
    let shifts = [(id("pd:P1"), vec![replaced, late])].into();
    let lock = Duration::from_secs(600);
    let profiles = [Profile { override_lock: lock, ..profile("on-call", &["pd:P1"], 5, 0, &["g1"]) }];
    let window = Span::new(minute(0), minute(600)).unwrap();
    let views = Views::default();
    let forecast = forecast(&Input { window, shifts: &shifts, views: &views, users: &users(), profiles: &profiles });
    let holds: Vec<_> = forecast.holds.iter().map(|hold| (hold.person.id.clone(), hold.start, hold.end)).collect();
    let (ann, bob) = (Some(person(1)), Some(person(2)));
    assert_eq!(holds, [(ann, minute(55), Some(minute(68))), (bob, minute(68), Some(minute(120)))]);
    assert!(forecast.holds[1].why.ends_with(", after the override lock"), "P12: {}", forecast.holds[1].why);
    assert_eq!(forecast.shifts.len(), 1, "of the rota itself it shows what stands");
}

#[test]
fn r8_the_end_of_a_stale_view_s_lease_is_said_and_cuts_nothing() {
    let rotation: RotationId = id("pd:P1");
    let turns = vec![known(shift("ann", 60, 240), 0), known(shift("bob", 240, 600), 0)];
    let shifts = BTreeMap::from([(rotation.clone(), turns)]);
    let profiles = [profile("on-call", &["pd:P1"], 0, 0, &["g1"])];
    let window = Span::new(minute(0), minute(600)).unwrap();
    let ahead = |failed_at: Option<Timestamp>, now: i64| {
        let view = Freshness { fresh_at: minute(0), failed_at, resumed_at: None, prolonged_until: None };
        let views = Views { fresh: [(rotation.clone(), view)].into(), now: minute(now) };
        forecast(&Input { window, shifts: &shifts, views: &views, users: &users(), profiles: &profiles }).holds
    };
    let ends = |holds: &[Forecasted]| -> Vec<(Option<Timestamp>, Option<Timestamp>)> {
        holds.iter().map(|hold| (hold.end, hold.reasons[0].lease_end)).collect()
    };
    let expected = |lease_end: Option<Timestamp>| [(Some(minute(240)), None), (Some(minute(600)), lease_end)];
    let fresh = ahead(None, 119);
    assert_eq!(ends(&fresh), expected(None), "the next read begins the lease anew");
    for (what, stale) in [("a read has failed", ahead(Some(minute(5)), 10)), ("nobody reads it", ahead(None, 120))] {
        assert_eq!(ends(&stale), expected(Some(minute(240))), "{what}: what ends by itself by then has no need of it");
        assert_eq!(stale[0].why, fresh[0].why, "{what}");
        let lease = "but not beyond 2026-03-02T04:00:00.000Z, when the lease of the stale view ends, \
                     unless the rota is read again";
        assert_eq!(stale[1].why, format!("{}, {lease}", fresh[1].why), "{what}");
    }
}

#[test]
fn p8_doubt_open_ends_declared_gaps_and_observed_profiles_are_shown_as_what_they_are() {
    let open = Shift { end: End::Open, ..shift("bob", 100, 101) };
    let nobody = Shift { user: None, ..shift("x", 50, 100) };
    let watched = Profile { mode: Mode::Observe, ..profile("watched", &["pd:P1"], 0, 0, &["g1"]) };
    let shifts = [("pd:P1", vec![shift("twin", 0, 30), shift("new", 30, 50), nobody, open])];
    let forecast = run((0, 600), &shifts, &[watched]);
    let doubts: Vec<_> = forecast.unmatched.iter().map(|u| (u.user.as_str(), u.problem)).collect();
    assert_eq!(doubts, [("twin", Doubt::Ambiguous), ("new", Doubt::Unmatched)]);
    assert_eq!(forecast.gaps, [Gap { rotation: id("pd:P1"), start: minute(50), end: minute(100) }]);
    assert_eq!(forecast.holds.len(), 1);
    assert!(forecast.holds[0].observed && forecast.holds[0].end.is_none(), "{:?}", forecast.holds);
    assert_eq!(forecast.shifts.len(), 4);
}

proptest! {
    #![proptest_config(cases(150))]

    #[test]
    fn p1_the_forecast_is_the_models_minute_by_minute(
        turns in prop::collection::vec((0_usize..2, 0_usize..2, 0_i64..200, 1_i64..50), 0..10),
        rules in prop::collection::vec((0_i64..20, 0_i64..20), 2),
    ) {
        let rotations = ["pd:A", "pd:B"];
        let mut shifts: Vec<(&str, Vec<Shift>)> = rotations.iter().map(|r| (*r, vec![])).collect();
        for (rotation, user, from, len) in &turns {
            shifts[*rotation].1.push(shift(["ann", "bob"][*user], *from, from + len));
        }
        let profiles = [
            profile("a", &["pd:A"], rules[0].0, rules[0].1, &["common", "a"]),
            profile("b", &["pd:A", "pd:B"], rules[1].0, rules[1].1, &["common"]),
        ];
        let forecast = run((0, 300), &shifts, &profiles);
        for at in 0..300 {
            for (user, who) in [(0, person(1)), (1, person(2))] {
                for (group, gives) in [("common", vec![(0, 0), (0, 1), (1, 1)]), ("a", vec![(0, 0)])] {
                    let model = turns.iter().any(|(rotation, u, from, len)| *u == user && gives.iter().any(|(r, p)| {
                        let (lead, grace): (i64, i64) = rules[*p];
                        r == rotation && from - lead <= at && at < from + len + grace
                    }));
                    let said = forecast.holds.iter().filter(|h| h.id == group && h.person.id.as_ref() == Some(&who));
                    let said = said.filter(|h| h.start <= minute(at) && h.end.is_none_or(|end| minute(at) < end)).count();
                    prop_assert_eq!(said, usize::from(model), "{} at {}", group, at);
                }
            }
            for (i, rotation) in rotations.iter().enumerate() {
                let covered = turns.iter().any(|(r, _, from, len)| *r == i && *from <= at && at < from + len);
                let gap = forecast.gaps.iter().any(|g| g.rotation.to_string() == *rotation && g.start <= minute(at) && minute(at) < g.end);
                prop_assert_eq!(gap, !covered, "{} at {}", rotation, at);
            }
        }
    }
}
