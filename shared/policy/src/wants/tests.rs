use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::block::Denied;
use crate::enrollment::{Cover, replan};
use crate::id::AccountId;
use crate::look::look;
use crate::profile::{Automatic, SelfOverride};
use crate::testing::{cases, id, minute, person};
use crate::time::Span;

/// Two profiles over two rotations, one entitlement in common, another of its own, and a single value at two ranks.
struct World {
    profiles: Vec<Profile>,
    /// Versions that are not in force any more.
    older: Vec<Profile>,
    fresh: BTreeMap<RotationId, Freshness>,
    blocks: Vec<Block>,
}

impl Rules for World {
    fn profile(&self, id: &ProfileId) -> Option<&Profile> {
        self.profiles.iter().find(|profile| profile.id == *id)
    }
    fn version(&self, id: &ProfileId, version: u64) -> Option<&Profile> {
        self.older.iter().find(|profile| profile.id == *id && profile.version == version)
    }
    fn freshness(&self, rotation: &RotationId) -> Option<Freshness> {
        self.fresh.get(rotation).copied()
    }
    fn lock(&self, _: &RotationId, _: &UserId, _: &ProfileId) -> Option<Timestamp> {
        None
    }
    fn blocks(&self) -> &[Block] {
        &self.blocks
    }
    fn slot(&self, e: &EntitlementRef) -> Option<Slot> {
        Some(match e.kind.as_str() {
            "role" => Slot {
                place: Place { kind: "role".into(), id: "seat".into() },
                shape: Shape::Value { rank: e.id.parse().unwrap(), value: e.id.clone() },
            },
            _ => Slot { place: Place { kind: e.kind.clone(), id: e.id.clone() }, shape: Shape::Member },
        })
    }
    fn grants(&self, _: &AppId) -> bool {
        true
    }
}

fn entitlement(kind: &str, what: &str) -> EntitlementRef {
    EntitlementRef { app: id("directory"), kind: kind.into(), id: what.into() }
}

#[derive(Debug, Clone)]
struct Case {
    /// By profile and rotation: on call over minutes.
    shifts: Vec<(usize, i64, i64)>,
    rules: [(i64, i64); 2],
    fresh: [i64; 2],
    blocks: Vec<(usize, bool, i64, Option<i64>)>,
}

const LEASE: i64 = 240;

fn names(i: usize) -> (ProfileId, RotationId) {
    [(id("p0"), id("pd:R0")), (id("p1"), id("pd:R1"))][i].clone()
}

fn build(case: &Case) -> (Person, Vec<Enrollment>, World) {
    let minutes = |m: i64| Duration::from_secs(m.unsigned_abs() * 60);
    let mut world = World { profiles: Vec::new(), older: Vec::new(), fresh: BTreeMap::new(), blocks: Vec::new() };
    let mut enrollments = Vec::new();
    for (i, (lead, grace)) in case.rules.iter().enumerate() {
        let (profile, rotation) = names(i);
        let rule = Automatic {
            rotations: [rotation.clone()].into(),
            lead: minutes(*lead),
            grace: minutes(*grace),
            lease: minutes(LEASE),
        };
        let spans = case.shifts.iter().filter(|(p, ..)| *p == i);
        let spans = spans.filter_map(|(_, from, len)| Span::new(minute(*from), minute(from + len)));
        let covers: Vec<Cover> = spans.map(Cover::from).collect();
        let periods = replan(&[], &covers, &rule, minute(-1_000));
        let origin = Origin::Coverage(rotation.clone());
        enrollments.push(Enrollment { person: person(1), profile: profile.clone(), origin, periods, version: None });
        let fresh_at = minute(case.fresh[i]);
        let fresh = Freshness { fresh_at, failed_at: Some(fresh_at), resumed_at: None, prolonged_until: None };
        world.fresh.insert(rotation, fresh);
        world.profiles.push(Profile {
            id: profile,
            version: 1,
            name: String::new(),
            entitlements: vec![
                entitlement("group", "common"),
                entitlement("group", ["own0", "own1"][i]),
                entitlement("role", ["1", "2"][i]),
            ],
            mode: Mode::Enforce,
            enrollment: Some(rule),
            self_service: None,
            self_override: SelfOverride::Flag,
            override_lock: Duration::ZERO,
            break_glass: None,
        });
    }
    for (n, (what, revoke, from, until)) in case.blocks.iter().enumerate() {
        let denied =
            [Denied::Person(person(1)), Denied::Profile(id("p0")), Denied::Profile(id("p1")), Denied::Everything];
        world.blocks.push(Block {
            id: n.to_string(),
            denied: denied[*what].clone(),
            reach: if *revoke { Reach::Revoke } else { Reach::Freeze },
            author: "x".into(),
            from: minute(*from),
            until: until.map(|len| minute(from + len)),
        });
    }
    (linked(), enrollments, world)
}

fn linked() -> Person {
    let account: AccountId = id("a1");
    Person { accounts: [(id("directory"), Account::Linked(account))].into(), ..Person::nobody(person(1)) }
}

/// What should be true at a minute, the slow way: place, rank, how many profiles give it, frozen.
fn model(case: &Case, at: i64) -> BTreeMap<String, (i64, usize, bool)> {
    let mut places: BTreeMap<String, (i64, usize, bool)> = BTreeMap::new();
    for (i, (lead, grace)) in case.rules.iter().enumerate() {
        let due = case.shifts.iter().any(|(p, from, len)| *p == i && from - lead <= at && at < from + len + grace);
        let live = |(what, _, from, until): &&(usize, bool, i64, Option<i64>)| {
            let concerns = [0, 3].contains(what) || *what == i + 1;
            concerns && *from <= at && until.is_none_or(|len| at < from + len)
        };
        let blocked = case.blocks.iter().filter(|(_, revoke, ..)| *revoke).any(|block| live(&block));
        let frozen = case.blocks.iter().filter(|(_, revoke, ..)| !*revoke).any(|block| live(&block));
        if !due || blocked || at >= case.fresh[i] + LEASE {
            continue;
        }
        for (place, rank) in [("common", 0), (["own0", "own1"][i], 0), ("seat", i as i64 + 1)] {
            let entry = places.entry(place.to_owned()).or_insert((rank, 0, true));
            *entry = (entry.0.max(rank), entry.1 + 1, entry.2 && frozen);
        }
    }
    places
}

fn said(wants: &Wants) -> BTreeMap<String, (i64, usize, bool)> {
    let rank = |shape: &Shape| match shape {
        Shape::Member => 0,
        Shape::Value { rank, .. } => *rank,
    };
    let one =
        |(key, want): (&HoldKey, &Want)| (key.place.id.clone(), (rank(&want.shape), want.reasons.len(), want.frozen));
    wants.places.iter().map(one).collect()
}

fn case() -> impl Strategy<Value = Case> {
    let shifts = prop::collection::vec((0_usize..2, 0_i64..500, 1_i64..120), 0..8);
    let blocks = prop::collection::vec((0_usize..4, any::<bool>(), -50_i64..500, prop::option::of(1_i64..200)), 0..3);
    let minutes = || (0_i64..30, 0_i64..60);
    (shifts, [minutes(), minutes()], [-100_i64..500, -100_i64..500], blocks)
        .prop_map(|(shifts, rules, fresh, blocks)| Case { shifts, rules, fresh, blocks })
}

proptest! {
    #![proptest_config(cases(60))]

    #[test]
    fn p1_p4_r13_what_is_wanted_is_the_models_at_every_minute(case in case()) {
        let (person, enrollments, world) = build(&case);
        for at in -60..700 {
            let wants = wants(&person, &enrollments, &world, minute(at));
            prop_assert_eq!(said(&wants), model(&case, at), "at minute {}", at);
            for want in wants.places.values() {
                prop_assert!(want.reasons.iter().all(|r| r.from <= minute(at) && minute(at) < r.until));
            }
        }
    }

    #[test]
    fn p12_whoever_looks_only_when_told_misses_no_change(case in case()) {
        let (person, enrollments, world) = build(&case);
        // The end of a lease is watched on the rotation.
        let leases: Vec<i64> = case.fresh.iter().map(|at| at + LEASE).collect();
        let mut at = -60;
        while at < 700 {
            let look = look(&person, &enrollments, &[], &[], &world, minute(at));
            let wants = wants(&person, &enrollments, &world, minute(at));
            prop_assert!(wants.next_start.is_none_or(|next| next > minute(at)), "announced in the past");
            prop_assert!(wants.next_end.is_none_or(|next| next > minute(at)), "announced in the past");
            prop_assert!(look.holds.iter().all(|p| p.want.as_ref().is_some_and(|w| !w.frozen)), "a freeze begins nothing");
            let announced = [wants.next_start, wants.next_end].into_iter().flatten();
            let next = (at + 1..700).find(|m| announced.clone().any(|a| a <= minute(*m)) || leases.contains(m)).unwrap_or(700);
            for between in at..next {
                prop_assert_eq!(model(&case, between), model(&case, at), "missed: told {} at {}, changed at {}", next, at, between);
            }
            at = next;
        }
    }
}

#[test]
fn p8_doubt_and_inactivity_deny_are_looked_at_in_time_and_never_in_a_loop() {
    let case = Case { shifts: vec![(0, 3 * 1_440, 60)], rules: [(0, 0); 2], fresh: [3 * 1_440; 2], blocks: vec![] };
    let (mut person, enrollments, world) = build(&case);
    let directory: AppId = id("directory");
    person.accounts.clear();
    let day_before = minute(2 * 1_440);
    assert_eq!(wants(&person, &enrollments, &world, minute(0)).next_start, Some(day_before), "looked up a day before");
    assert!(wants(&person, &enrollments, &world, day_before).unresolved.contains(&directory));
    let doubt = Account::Doubtful { doubt: crate::identity::Doubt::Ambiguous, again: minute(60) };
    person.accounts.insert(directory.clone(), doubt);
    assert_eq!(wants(&person, &enrollments, &world, minute(0)).next_start, Some(day_before), "in doubt, all the same");
    assert!(wants(&person, &enrollments, &world, minute(3 * 1_440)).places.is_empty(), "doubt denies");
    person.accounts.clear();
    person.active = Some(false);
    let look = wants(&person, &enrollments, &world, minute(3 * 1_440 - 10));
    assert!(look.unresolved.is_empty() && look.next_start > Some(minute(3 * 1_440 - 10)), "{look:?}");
    let mut leaver = linked();
    leaver.active = Some(false);
    assert!(wants(&leaver, &enrollments, &world, minute(3 * 1_440)).places.is_empty(), "R2: a leaver holds nothing");
}

#[test]
fn p8_an_account_is_looked_up_a_day_before_and_in_doubt_when_its_time_has_come() {
    let (day_before, start) = (2 * 1_440, 3 * 1_440);
    let case = Case { shifts: vec![(0, start, 60)], rules: [(0, 0); 2], fresh: [start; 2], blocks: vec![] };
    let (_, enrollments, world) = build(&case);
    let directory: AppId = id("directory");
    let again = day_before + 60;
    let cases = [
        (None, None, again, (true, start)),
        (None, Some(false), day_before, (false, start)),
        (Some(again), None, 0, (false, day_before)),
        (Some(again), None, day_before, (false, again)),
        (Some(again), None, again, (true, start)),
        (Some(start + 30), None, start, (false, start + 30)),
    ];
    for (in_doubt, active, now, (looked_up, next)) in cases {
        let doubt = crate::identity::Doubt::Ambiguous;
        let account = in_doubt.map(|again| Account::Doubtful { doubt, again: minute(again) });
        let accounts = account.map(|account| (directory.clone(), account)).into_iter().collect();
        let wants = wants(&Person { active, accounts, ..linked() }, &enrollments, &world, minute(now));
        let said = (wants.unresolved.contains(&directory), wants.next_start);
        assert_eq!(said, (looked_up, Some(minute(next))), "in doubt until {in_doubt:?}, active {active:?}, at {now}");
    }
}

#[test]
fn r23_a_rotation_that_leaves_a_profile_ends_its_reasons_now() {
    let case = Case { shifts: vec![(0, 0, 60), (0, 100, 60)], rules: [(0, 0); 2], fresh: [0; 2], blocks: vec![] };
    let (person, enrollments, mut world) = build(&case);
    let given = wants(&person, &enrollments, &world, minute(10));
    assert_eq!((given.places.len(), given.next_start), (3, Some(minute(100))));
    world.profiles[0].enrollment.as_mut().unwrap().rotations = [id("pd:R1")].into();
    let left = wants(&person, &enrollments, &world, minute(10));
    assert_eq!(left, Wants::default(), "nothing of it begins later either");
}

#[test]
fn p12_a_late_end_was_due_when_its_own_reason_ended_in_its_own_period() {
    let case = Case { shifts: vec![(0, 0, 600)], rules: [(0, 0); 2], fresh: [600; 2], blocks: vec![] };
    let (person, on_call, world) = build(&case);
    let known = minute(-1);
    let period = |from: i64| Period {
        from: minute(from),
        until: crate::rota::End::At(minute(from + 100)),
        from_known: known,
        until_known: known,
        duty: None,
    };
    let (profile, origin) = (names(0).0, Origin::Request("req_1".into()));
    let reason = Reason {
        profile: profile.clone(),
        version: 1,
        origin: origin.clone(),
        from: minute(200),
        until: minute(300),
        rolling: false,
        from_known: known,
        until_known: known,
    };
    let found = |periods: &[i64], now: i64| {
        let asked = Enrollment {
            person: person.id.clone(),
            profile: profile.clone(),
            origin: origin.clone(),
            periods: periods.iter().map(|from| period(*from)).collect(),
            version: None,
        };
        let enrollments = [on_call.clone(), vec![asked]].concat();
        ended(std::slice::from_ref(&reason), &enrollments, &world, minute(now))
    };
    for now in [300, 900] {
        assert_eq!(found(&[100, 200, 300], now), (minute(300), known), "found at minute {now}");
    }
    assert_eq!(found(&[100, 200, 300], 250), (minute(250), minute(250)), "what is denied ends when that is found");
    assert_eq!(found(&[100, 300], 900), (minute(900), minute(900)), "what no period explains, too");
}

#[test]
fn r8_what_ends_with_a_lease_was_due_with_the_lease() {
    let case = Case { shifts: vec![(0, 0, 600)], rules: [(0, 0); 2], fresh: [0; 2], blocks: vec![] };
    let (person, enrollments, world) = build(&case);
    let live = wants(&person, &enrollments, &world, minute(100));
    let reasons = &live.places.values().next().unwrap().reasons;
    let due = ended(reasons, &enrollments, &world, minute(300));
    assert_eq!(due, (minute(LEASE), minute(LEASE)), "however late that is found, and long before the shift ends");
}

#[test]
fn r13_each_reason_carries_its_own_grace_and_a_late_end_finds_when_it_was_due() {
    let case =
        Case { shifts: vec![(0, 0, 600), (1, 0, 570)], rules: [(0, 10), (0, 120)], fresh: [600; 2], blocks: vec![] };
    let (person, enrollments, world) = build(&case);
    let live = wants(&person, &enrollments, &world, minute(300));
    let common = live.places.iter().find(|(key, _)| key.place.id == "common").unwrap().1;
    assert_eq!(common.until(), minute(690), "B's end with B's grace, not the latest end with anybody's");
    assert_eq!(common.began(), (minute(0), minute(-1_000)), "P12: when it was due, and known");
    let (due, _) = ended(&common.reasons, &enrollments, &world, minute(900));
    assert_eq!(due, minute(690), "found late, it is still late");
    assert_eq!(ended(&[], &enrollments, &world, minute(5)), (minute(5), minute(5)));
}

#[test]
fn r8_a_lease_after_a_pause_of_our_own_waits_for_a_read() {
    let lease = Duration::from_secs(3_600);
    let fresh =
        Freshness { fresh_at: minute(0), failed_at: None, resumed_at: Some(minute(900)), prolonged_until: None };
    assert_eq!(fresh.lease_end(lease), minute(910), "ten minutes to ask the platform");
    for (failed, end) in [(899, 910), (900, 60), (901, 60)] {
        let asked = Freshness { failed_at: Some(minute(failed)), ..fresh };
        assert_eq!(asked.lease_end(lease), minute(end), "the pause was over at 900, and a read failed at {failed}");
    }
    assert_eq!(Freshness { prolonged_until: Some(minute(950)), ..fresh }.lease_end(lease), minute(950));
}

#[test]
fn r8_what_has_run_out_is_kept_after_a_pause_of_our_own_and_begins_nothing() {
    let case = Case { shifts: vec![(0, 0, 2_000)], rules: [(0, 0); 2], fresh: [0; 2], blocks: vec![] };
    let (person, enrollments, mut world) = build(&case);
    let (_, rotation) = names(0);
    let failed = |at: Option<i64>| {
        let fresh_at = minute(0);
        Freshness { fresh_at, failed_at: at.map(minute), resumed_at: Some(minute(900)), prolonged_until: None }
    };
    let mut frozen = |failed: Freshness, at: i64| {
        world.fresh.insert(rotation.clone(), failed);
        wants(&person, &enrollments, &world, minute(at)).places.values().map(|want| want.frozen).max()
    };
    assert_eq!(frozen(failed(None), LEASE - 1), Some(false), "a lease that runs begins what is due");
    assert_eq!(frozen(failed(None), LEASE), Some(true), "it had run out before Dutykey was back");
    assert_eq!(frozen(failed(None), 909), Some(true), "what is there stays until the platform was asked");
    assert_eq!(frozen(failed(None), 910), None, "but for ten minutes at most");
    assert_eq!(frozen(failed(Some(901)), 901), None, "it was asked in vain");
}

#[test]
fn p12_a_lease_that_had_ended_in_a_pause_of_our_own_is_not_late_by_the_pause() {
    let lease = Duration::from_secs(3_600);
    let asked = |failed: i64| Freshness {
        fresh_at: minute(0),
        failed_at: Some(minute(failed)),
        resumed_at: Some(minute(900)),
        prolonged_until: None,
    };
    assert_eq!(asked(903).lease_end_known(lease), minute(903), "then the platform was asked in vain");
    assert_eq!(asked(900).lease_end_known(lease), minute(900), "with the first act");
    assert_eq!(asked(950).lease_end_known(lease), minute(910), "asked later, it had ended by itself");
    let lasting = Freshness { prolonged_until: Some(minute(950)), ..asked(903) };
    assert_eq!(lasting.lease_end_known(lease), minute(950), "what ends after the pause has nothing to do with it");
    let before = Freshness { resumed_at: None, ..asked(903) };
    assert_eq!(before.lease_end_known(lease), minute(60), "without a pause it is as late as it is");
}

#[test]
fn r2_a_freeze_leaves_break_glass_alone_unless_it_says_so() {
    let case = Case { shifts: vec![], rules: [(0, 0); 2], fresh: [600; 2], blocks: vec![] };
    let (person, _, mut world) = build(&case);
    world.profiles[0].break_glass = Some(crate::profile::BreakGlass {
        people: BTreeSet::new(),
        groups: BTreeSet::new(),
        max_duration: Duration::from_secs(3_600),
    });
    let period = Period {
        from: minute(0),
        until: crate::rota::End::At(minute(60)),
        from_known: minute(0),
        until_known: minute(0),
        duty: None,
    };
    let enrolled = |origin: Origin| Enrollment {
        person: person.id.clone(),
        profile: world.profiles[0].id.clone(),
        origin,
        periods: vec![period],
        version: None,
    };
    let (asked, broken) = (enrolled(Origin::Request("r1".into())), enrolled(Origin::BreakGlass("g1".into())));
    for (reach, frozen) in [(Reach::Freeze, [true, false]), (Reach::FreezeAll, [true, true])] {
        world.blocks = vec![Block {
            id: "B1".into(),
            denied: Denied::Everything,
            reach,
            author: "admin".into(),
            from: minute(5),
            until: Some(minute(30)),
        }];
        for (enrollment, frozen) in [&asked, &broken].into_iter().zip(frozen) {
            let wants = wants(&person, std::slice::from_ref(enrollment), &world, minute(10));
            assert!(!wants.places.is_empty(), "R2: a freeze ends nothing");
            assert!(wants.places.values().all(|want| want.frozen == frozen), "R2: {reach:?}, {:?}", enrollment.origin);
            assert_eq!(wants.next_start, Some(minute(30)), "R2: its end is looked at");
        }
    }
}

#[test]
fn r17_what_was_asked_for_gives_what_is_in_both_versions() {
    let case = Case { shifts: Vec::new(), rules: [(0, 0), (0, 0)], fresh: [0, 0], blocks: Vec::new() };
    let (person, _, mut world) = build(&case);
    let group = |name: &str| entitlement("group", name);
    let version = |version, groups: &[&str]| Profile {
        version,
        entitlements: groups.iter().map(|name| group(name)).collect(),
        ..world.profiles[0].clone()
    };
    (world.older, world.profiles) = (vec![version(1, &["logs", "dropped"])], vec![version(2, &["logs", "added"])]);
    let period = Period {
        from: minute(0),
        until: crate::rota::End::At(minute(60)),
        from_known: minute(0),
        until_known: minute(0),
        duty: None,
    };
    let given = |version: Option<u64>| -> Vec<String> {
        let enrollment = Enrollment {
            person: person.id.clone(),
            profile: world.profiles[0].id.clone(),
            origin: Origin::Request("req_1".into()),
            periods: vec![period],
            version,
        };
        let wants = wants(&person, &[enrollment], &world, minute(10));
        wants.places.into_keys().map(|key| key.place.id).collect()
    };
    assert_eq!(given(Some(1)), ["logs"], "R17: neither what no approver saw nor what was dropped");
    assert_eq!(given(Some(2)), ["added", "logs"]);
    assert_eq!(given(None), ["added", "logs"], "R17: automatic enrollment follows the profile");
    assert_eq!(given(Some(7)), Vec::<String>::new(), "R17: what cannot be compared gives nothing");
}

#[test]
fn r17_break_glass_ends_with_its_offer_and_a_lowered_limit_cuts_it() {
    let case = Case { shifts: Vec::new(), rules: [(0, 0), (0, 0)], fresh: [0, 0], blocks: Vec::new() };
    let (person, _, mut world) = build(&case);
    let period = Period {
        from: minute(0),
        until: crate::rota::End::At(minute(60)),
        from_known: minute(0),
        until_known: minute(0),
        duty: None,
    };
    let taken = Enrollment {
        person: person.id.clone(),
        profile: world.profiles[0].id.clone(),
        origin: Origin::BreakGlass("emg_1".into()),
        periods: vec![period],
        version: Some(1),
    };
    let mut until = |limit: Option<i64>| {
        let rule = |minutes: i64| crate::profile::BreakGlass {
            people: BTreeSet::new(),
            groups: BTreeSet::new(),
            max_duration: Duration::from_secs(minutes.unsigned_abs() * 60),
        };
        world.profiles[0].break_glass = limit.map(rule);
        let wants = wants(&person, std::slice::from_ref(&taken), &world, minute(10));
        (wants.places.values().map(Want::until).max(), wants.next_end)
    };
    assert_eq!(until(Some(60)), (Some(minute(60)), Some(minute(60))));
    assert_eq!(until(Some(40)), (Some(minute(40)), Some(minute(40))), "R17: the new limit counts from its beginning");
    assert_eq!(until(Some(10)), (None, None), "R17: it has been over since the edit");
    assert_eq!(until(None), (None, None), "R17: nobody may take it any more");
}
