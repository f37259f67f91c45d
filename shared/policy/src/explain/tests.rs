use std::collections::BTreeMap;
use std::time::Duration;

use super::*;
use crate::block::Denied;
use crate::enrollment::Period;
use crate::hold::{Retry, Side};
use crate::id::{Place, UserId};
use crate::profile::{Automatic, SelfOverride};
use crate::rota::End;
use crate::testing::{id, minute, person, shift};
use crate::wants::{Freshness, Shape, Slot};

struct World {
    profile: Profile,
    fresh_at: Timestamp,
    blocks: Vec<Block>,
}

impl Rules for World {
    fn profile(&self, id: &ProfileId) -> Option<&Profile> {
        Some(&self.profile).filter(|profile| profile.id == *id)
    }
    fn version(&self, id: &ProfileId, version: u64) -> Option<&Profile> {
        self.profile(id).filter(|profile| profile.version == version)
    }
    fn freshness(&self, _: &RotationId) -> Option<Freshness> {
        let (failed_at, resumed_at, prolonged_until) = (Some(self.fresh_at), None, None);
        Some(Freshness { fresh_at: self.fresh_at, failed_at, resumed_at, prolonged_until })
    }
    fn lock(&self, _: &RotationId, user: &UserId, _: &ProfileId) -> Option<Timestamp> {
        (user.as_str() == "late").then(|| minute(60))
    }
    fn blocks(&self) -> &[Block] {
        &self.blocks
    }
    fn slot(&self, e: &EntitlementRef) -> Option<Slot> {
        let place = Place { kind: e.kind.clone(), id: e.id.clone() };
        (e.id != "missing").then_some(Slot { place, shape: Shape::Member })
    }
    fn grants(&self, app: &AppId) -> bool {
        app.as_str() != "old"
    }
}

fn world() -> (Person, Enrollment, World) {
    let rotation: RotationId = id("pd:R");
    let profile = Profile {
        id: id("on-call"),
        version: 3,
        name: "On-call".into(),
        entitlements: vec![EntitlementRef { app: id("directory"), kind: "group".into(), id: "g1".into() }],
        mode: Mode::Enforce,
        enrollment: Some(Automatic {
            rotations: [rotation.clone()].into(),
            lead: Duration::ZERO,
            grace: Duration::ZERO,
            lease: Duration::from_secs(4 * 3_600),
        }),
        self_service: None,
        self_override: SelfOverride::Flag,
        override_lock: Duration::ZERO,
        break_glass: None,
    };
    let period = |from, until| Period {
        from: minute(from),
        until: End::At(minute(until)),
        from_known: minute(0),
        until_known: minute(0),
        duty: None,
    };
    let periods = vec![period(60, 120), period(600, 700)];
    let enrollment = Enrollment {
        person: person(1),
        profile: id("on-call"),
        origin: Origin::Coverage(rotation),
        periods,
        version: None,
    };
    let accounts = [(id("directory"), Account::Linked(id("a1")))].into();
    let person = Person { accounts, ..Person::nobody(person(1)) };
    (person, enrollment, World { profile, fresh_at: minute(60), blocks: vec![] })
}

fn ask(person: &Person, enrollments: &[Enrollment], holds: &[Hold], world: &World, at: i64) -> Explanation {
    let shift = Shift { native_id: Some("S1".into()), ..shift("ann", 60, 120) };
    let explanation = explain(person, enrollments, holds, &id("on-call"), world, |_| Some(&shift), minute(at));
    serde_json::to_value(&explanation).expect("it can be written");
    explanation
}

fn says(explanation: &Explanation, what: &str) {
    assert!(explanation.to_string().contains(what), "`{what}` is not in:\n{explanation}");
}

#[test]
fn why_somebody_has_access_names_shift_rotation_profile_version_and_end() {
    let (person, enrollment, world) = world();
    let wanted = wants(&person, std::slice::from_ref(&enrollment), &world, minute(90));
    let (key, want) = wanted.places.into_iter().next().unwrap();
    let hold = Hold::wanted(key, person.id.clone(), &want, minute(60));
    let held = Hold { state: State::Held, ..hold.clone() };
    let answer = ask(&person, std::slice::from_ref(&enrollment), &[held], &world, 90);
    assert_eq!(answer.has, Extent::All);
    says(
        &answer,
        "held because of shift S1 of rotation pd:R under profile on-call version 3, until 2026-03-02T02:00:00.000Z",
    );
    let retry =
        |side, because: &str| Some(Retry { at: minute(91), side, failures: 1, because: because.into(), turn: None });
    let cases = [
        (State::Granting, retry(Side::Starts, "throttled"), "to be granted because of shift S1"),
        (State::Granting, retry(Side::Starts, "throttled"), "throttled; tried again at 2026-03-02T01:31:00.000Z"),
        (State::Stuck, retry(Side::Starts, "no licence"), "stuck, wanted because of"),
        (State::Stuck, retry(Side::Ends, "no licence"), "stuck in being taken back"),
        (State::Ending, None, "being taken back, due at"),
        (State::Kept, None, "kept: it was there before Dutykey"),
    ];
    for (state, retry, what) in cases {
        let hold = Hold { state, retry, ..hold.clone() };
        says(&ask(&person, std::slice::from_ref(&enrollment), &[hold], &world, 90), what);
    }
    let gone = Hold { state: State::Ended(Outcome::WrittenOff), ..hold };
    says(&ask(&person, &[], &[gone], &world, 90), "an administrator has written it off, and nothing has shown");
}

#[test]
fn why_not_names_what_is_missing() {
    let (person, enrollment, world) = world();
    let all = std::slice::from_ref(&enrollment);
    says(&ask(&person, &[], &[], &world, 90), "not on call in any rotation of the profile: pd:R");
    says(&ask(&person, all, &[], &world, 10), "the next period begins at 2026-03-02T01:00:00.000Z by rotation pd:R");
    let late = Person { users: [(id("pd"), id("late"))].into(), ..person.clone() };
    says(&ask(&late, all, &[], &world, 59), "waits for the override lock until 2026-03-02T01:00:00.000Z");
    says(&ask(&person, all, &[], &world, 90), "wanted; it is begun with the next look");
    let stale = World { fresh_at: minute(-200), profile: world.profile.clone(), blocks: vec![] };
    says(&ask(&person, all, &[], &stale, 90), "its lease ended at 2026-03-02T00:40:00.000Z");
    let block = Block {
        id: "B1".into(),
        denied: Denied::Person(person.id.clone()),
        reach: Reach::Revoke,
        author: "admin".into(),
        from: minute(0),
        until: None,
    };
    let blocked = World { blocks: vec![block], profile: world.profile.clone(), fresh_at: minute(60) };
    says(&ask(&person, all, &[], &blocked, 90), "blocked by admin (block B1) until somebody lifts it");
    let inactive = Person { active: Some(false), active_at: None, ..person.clone() };
    says(&ask(&inactive, all, &[], &world, 90), "not active");
    let erased = Person { erased: Some(minute(5)), accounts: BTreeMap::new(), ..person.clone() };
    says(&ask(&erased, &[], &[], &world, 90), "erased on 2026-03-02T00:05:00.000Z");
    let doubt = Account::Doubtful { doubt: Doubt::Ambiguous, again: minute(100) };
    let doubtful = Person { accounts: [(id("directory"), doubt)].into(), ..person.clone() };
    says(&ask(&doubtful, all, &[], &world, 90), "no account in directory: ambiguous");
    says(
        &ask(&Person { accounts: BTreeMap::new(), ..person.clone() }, all, &[], &world, 90),
        "no account in directory yet",
    );
    let observed = World {
        profile: Profile { mode: Mode::Observe, ..world.profile.clone() },
        blocks: vec![],
        fresh_at: minute(60),
    };
    says(&ask(&person, all, &[], &observed, 90), "mode observe");
    let mut entitlements = world.profile.entitlements.clone();
    entitlements[0].id = "missing".into();
    entitlements.push(EntitlementRef { app: id("old"), ..entitlements[0].clone() });
    let wrong =
        World { profile: Profile { entitlements, ..world.profile.clone() }, blocks: vec![], fresh_at: minute(60) };
    says(&ask(&person, all, &[], &wrong, 90), "directory/group/missing does not exist in its app");
    says(&ask(&person, all, &[], &wrong, 90), "old is being retired");
    let asked_for = World { profile: Profile { enrollment: None, ..world.profile.clone() }, ..wrong };
    says(&ask(&person, &[], &[], &asked_for, 90), "the profile enrolls nobody by itself, and there is no request");
    let unknown = explain(&person, all, &[], &id("other"), &world, |_| None, minute(90));
    assert_eq!(unknown.answers, [Answer::NoProfile]);
}

#[test]
fn why_not_names_nothing_that_is_not_in_the_way() {
    let other = person(2);
    let (person, enrollment, mut world) = world();
    let block = |denied: Denied, until: Option<i64>| Block {
        id: "B1".into(),
        denied,
        reach: Reach::Revoke,
        author: "admin".into(),
        from: minute(0),
        until: until.map(minute),
    };
    world.blocks = vec![block(Denied::Person(other), None), block(Denied::Person(person.id.clone()), Some(60))];
    let late = Person { users: [(id("pd"), id("late"))].into(), ..person.clone() };
    let answer = ask(&late, std::slice::from_ref(&enrollment), &[], &world, 60);
    let only = matches!(answer.answers[..], [Answer::Reason { .. }, Answer::Entitlement { .. }]);
    assert!(only, "neither another's block, nor one that is over, nor a lock that is:\n{answer}");

    let (origin, periods) = (Origin::BreakGlass("emg_1".into()), vec![enrollment.periods[0]]);
    let taken = Enrollment { origin, periods, ..enrollment };
    let answer = ask(&person, &[taken], &[], &world, 60);
    let nothing = Answer::NotEnrolled { rotations: vec![id("pd:R")] };
    assert_eq!((answer.has, answer.answers), (Extent::None, vec![nothing]), "R17: nobody may take it any more");
}

#[test]
fn r23_the_next_period_is_of_a_rotation_that_the_profile_still_names() {
    let (person, left, mut world) = world();
    world.profile.enrollment.as_mut().unwrap().rotations = [id("pd:S")].into();
    let answers = |enrollments: &[Enrollment]| ask(&person, enrollments, &[], &world, 10).answers;
    let nothing = Answer::NotEnrolled { rotations: vec![id("pd:S")] };
    assert_eq!(answers(std::slice::from_ref(&left)), [nothing], "what it was enrolled by has left the profile");
    let origin = Origin::Coverage(id("pd:S"));
    let named = Enrollment { origin: origin.clone(), periods: vec![left.periods[1]], ..left.clone() };
    let later = Answer::Next { at: minute(600), origin };
    assert_eq!(answers(&[left, named]), [later], "the earlier one gives nothing");
}

#[test]
fn p1_how_much_somebody_has_is_told_by_what_is_in_place() {
    let (person, enrollment, mut world) = world();
    let all = std::slice::from_ref(&enrollment);
    let wanted = wants(&person, all, &world, minute(90));
    let (key, want) = wanted.places.into_iter().next().unwrap();
    let hold = Hold::wanted(key, person.id.clone(), &want, minute(60));
    let in_state = |state: State| Hold { state, ..hold.clone() };
    let (over, held) = (in_state(State::Ended(Outcome::Proven)), in_state(State::Held));
    assert_eq!(ask(&person, all, &[over, held.clone()], &world, 90).has, Extent::All, "it was given again");
    assert_eq!(ask(&person, all, &[hold], &world, 90).has, Extent::None, "P5: what is to be granted is not there");
    let second = EntitlementRef { id: "g2".into(), ..world.profile.entitlements[0].clone() };
    world.profile.entitlements.push(second);
    let half = ask(&person, all, std::slice::from_ref(&held), &world, 90);
    assert_eq!(half.has, Extent::Some);
    says(&half, "directory/group/g2: wanted; it is begun with the next look");
    world.blocks = vec![Block {
        id: "B1".into(),
        denied: Denied::Everything,
        reach: Reach::Freeze,
        author: "admin".into(),
        from: minute(0),
        until: Some(minute(600)),
    }];
    let frozen = ask(&person, all, &[held], &world, 90);
    says(&frozen, "new grants are frozen by admin (block B1) until 2026-03-02T10:00:00.000Z");
    says(&frozen, "directory/group/g2: wanted, but not begun");
}
