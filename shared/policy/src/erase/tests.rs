use std::collections::BTreeMap;

use super::*;
use crate::block::{Denied, Reach};
use crate::enrollment::{Origin, Period};
use crate::installation::Link;
use crate::profile::BreakGlass;
use crate::rota::End;
use crate::testing::{automatic, held, id, installation, minute, person, shift};

/// Ann, who is the user `ann` of `rota`.
fn ann() -> Person {
    Person {
        email: Some("ann@example.com".to_owned()),
        name: Some("Ann".to_owned()),
        users: [(id("rota"), id("ann"))].into(),
        ..Person::nobody(person(1))
    }
}

/// A company that names nobody.
fn company() -> Installation {
    Installation { links: Vec::new(), ..installation() }
}

/// At minute 100 nothing of Ann is left.
fn nothing<'a>(person: &'a Person, installation: &'a Installation) -> Known<'a> {
    Known {
        person,
        unreadable: &[],
        enrollments: &[],
        holds: &[],
        requests: &[],
        unreviewed: None,
        blocks: &[],
        installation,
        shifts: &[],
        users: &[],
        now: minute(100),
    }
}

fn enrollment(until: i64) -> Enrollment {
    let (from, until) = (minute(0), End::At(minute(until)));
    Enrollment {
        person: person(1),
        profile: id("on-call"),
        origin: Origin::Coverage(id("rota:primary")),
        periods: vec![Period { from, until, from_known: from, until_known: from, duty: None }],
        version: None,
    }
}

fn block(denied: Denied, until: Option<i64>) -> Block {
    let (author, reach) = ("per_admin".to_owned(), Reach::Revoke);
    Block { id: "B".to_owned(), denied, reach, author, from: minute(0), until: until.map(minute) }
}

fn user(name: &str, email: &str) -> PlatformUser {
    PlatformUser { id: id(name), email: Some(email.to_owned()), name: None, active: None }
}

#[test]
fn r19_whose_access_is_over_may_be_erased_by_somebody_else() {
    let (ann, company) = (ann(), company());
    let past = [enrollment(100)];
    let blocks = [block(Denied::Person(person(1)), Some(100)), block(Denied::Person(person(2)), None)];
    let shifts = [(id::<RotationId>("rota:primary"), vec![shift("ann", 0, 100), shift("bob", 0, 500)])];
    let users = [(id::<SourceId>("rota"), vec![user("bob", "bob@example.com"), user("zoe", "ann@elsewhere.org")])];
    let known =
        Known { enrollments: &past, blocks: &blocks, shifts: &shifts, users: &users, ..nothing(&ann, &company) };
    assert_eq!(may_be_erased(&known, &person(2)), Ok(()), "what is over, or somebody else's, is in nobody's way");
    assert_eq!(may_be_erased(&known, &person(1)), Err(Refusal::Own), "the act is somebody else's to answer for");
}

#[test]
fn r19_nobody_is_erased_whose_access_or_denial_is_not_over() {
    let (ann, company) = (ann(), company());
    let of = |known: Known<'_>| may_be_erased(&known, &person(2));
    let none = nothing(&ann, &company);
    let unreadable = ["LIVE#HOLD#x".to_owned()];
    let holds = [held()];
    let ahead = [enrollment(101)];
    let emergency: EmergencyId = id("emg_01JD0000000000000000000000");
    let lasting = [block(Denied::Person(person(1)), None)];
    let later = [block(Denied::Enrollment(person(1), id("on-call")), Some(101))];
    assert_eq!(of(Known { unreadable: &unreadable, ..none }), Err(Refusal::Unreadable("LIVE#HOLD#x".to_owned())));
    assert_eq!(of(Known { holds: &holds, ..none }), Err(Refusal::Holds));
    assert_eq!(of(Known { enrollments: &ahead, ..none }), Err(Refusal::Enrolled(id("on-call"))));
    assert_eq!(of(Known { unreviewed: Some(&emergency), ..none }), Err(Refusal::Unreviewed(emergency.clone())));
    for blocks in [&lasting, &later] {
        assert_eq!(of(Known { blocks, ..none }), Err(Refusal::Blocked("B".to_owned())), "R2: it would be lost");
    }
}

#[test]
fn r19_nobody_is_erased_whom_the_next_read_would_meet_again() {
    let (ann, company) = (ann(), company());
    let of = |known: Known<'_>| may_be_erased(&known, &person(2));
    let none = nothing(&ann, &company);
    let open = Shift { end: End::Open, ..shift("ann", 0, 1) };
    for ahead in [shift("ann", 0, 101), shift("ann", 500, 600), open] {
        let shifts = [(id::<RotationId>("rota:primary"), vec![ahead])];
        assert_eq!(of(Known { shifts: &shifts, ..none }), Err(Refusal::OnCall(id("rota:primary"))));
    }
    for (source, listed) in [("rota", user("ann", "new@example.com")), ("pd", user("P1", " Ann@Example.com"))] {
        let users = [(id::<SourceId>(source), vec![listed])];
        assert_eq!(of(Known { users: &users, ..none }), Err(Refusal::Listed(id(source))), "by ID, or by address");
    }
    let said = Link { person: "Ann@example.com".to_owned(), sources: BTreeMap::new(), apps: BTreeMap::new() };
    let linked = Installation { links: vec![said], ..company.clone() };
    let people = ["ann@example.com".to_owned()].into();
    let rule = BreakGlass { people, groups: Default::default(), max_duration: std::time::Duration::from_secs(3_600) };
    let taking = Profile { break_glass: Some(rule), ..automatic() };
    let profiled = Installation { profiles: vec![taking], ..company.clone() };
    for installation in [&linked, &profiled] {
        assert_eq!(of(Known { installation, ..none }), Err(Refusal::Configured));
    }
}

#[test]
fn r19_the_record_of_an_erasure_has_nothing_that_is_erased() {
    let record = erased(&person(1), &person(2), 3);
    let said = serde_json::to_string(&record).expect("it can be written");
    assert_eq!((record.act.as_str(), record.actor), (ERASED, person(2).to_string()));
    assert!(said.contains(person(1).as_str()) && !said.contains('@'), "{said}");
}
