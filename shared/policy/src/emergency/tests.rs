use std::collections::BTreeSet;
use std::time::Duration;

use super::*;
use crate::profile::{BreakGlass, SelfOverride};
use crate::rota::End;
use crate::testing::{id, minute, person};

fn profile(rule: Option<BreakGlass>) -> Profile {
    Profile {
        id: id("prod"),
        version: 3,
        name: "Production".into(),
        entitlements: Vec::new(),
        mode: Mode::Enforce,
        enrollment: None,
        self_service: None,
        self_override: SelfOverride::Hold,
        override_lock: Duration::ZERO,
        break_glass: rule,
    }
}

fn hour() -> Option<BreakGlass> {
    Some(BreakGlass { people: BTreeSet::new(), groups: BTreeSet::new(), max_duration: Duration::from_secs(3_600) })
}

fn wish(minutes: u64) -> Wish {
    let wanted = Duration::from_secs(minutes * 60);
    Wish { wanted, justification: Some("digest".into()), incident: Some("INC-1".into()) }
}

const NAMED: Known = Known { named: true, blocked: false, now: Timestamp::UNIX_EPOCH };

fn take(wish: Wish, rule: Option<BreakGlass>, known: Known) -> Result<Emergency, Refusal> {
    take_of(&profile(rule), wish, known)
}

fn take_of(profile: &Profile, wish: Wish, known: Known) -> Result<Emergency, Refusal> {
    let known = Known { now: minute(0), ..known };
    Emergency::taken(id("emg_01JD0000000000000000000000"), person(1), profile, wish, known)
}

#[test]
fn who_is_named_takes_it_at_once_and_it_ends_by_itself() {
    let taken = take(wish(30), hour(), NAMED).unwrap();
    assert_eq!((taken.access.from, taken.access.until), (minute(0), minute(30)));
    let enrollment = taken.enrollment();
    assert_eq!(enrollment.version, Some(3), "R17: it never grows beyond what was taken");
    assert_eq!(enrollment.periods[0].until, End::At(minute(30)), "P2: its end is known before it begins");
    let record = taken.record(None, "access-requests");
    assert_eq!((record.act.as_str(), &record.why["justification"]), ("break_glass.taken", &"digest".into()));
}

#[test]
fn each_refusal_has_its_reason() {
    assert_eq!(take(wish(30), None, NAMED), Err(Refusal::NotNamed), "the profile has no break-glass");
    assert_eq!(take(wish(30), hour(), Known { named: false, ..NAMED }), Err(Refusal::NotNamed));
    assert_eq!(take(wish(30), hour(), Known { blocked: true, ..NAMED }), Err(Refusal::Blocked), "R2");
    let observing = Profile { mode: Mode::Observe, ..profile(hour()) };
    assert_eq!(take_of(&observing, wish(30), NAMED), Err(Refusal::Observes), "it would say taken and give nothing");
    let silent = Wish { justification: None, ..wish(30) };
    assert_eq!(take(silent, hour(), NAMED), Err(Refusal::Unjustified));
    for minutes in [0, 61] {
        assert_eq!(take(wish(minutes), hour(), NAMED), Err(Refusal::Duration), "{minutes} minutes");
    }
    assert!(take(wish(60), hour(), NAMED).is_ok(), "the limit itself is allowed");
}

#[test]
fn it_stays_open_until_somebody_else_has_reviewed_it_once() {
    let taken = take(wish(30), hour(), NAMED).unwrap();
    let review = |by| Review { by: person(by), at: minute(90), comment: "digest".into() };
    assert_eq!(taken.reviewed(review(1)), Err(Refusal::OwnReview));
    let back = taken.given_back(minute(10)).unwrap();
    let ended = Access { until: minute(10), until_known: minute(10), ..taken.access };
    assert_eq!((back.access, &back.review), (ended, &None), "given back, it is still to be reviewed");
    assert_eq!(back.record(Some(&taken), "x").act, "break_glass.given_back");
    assert_eq!(back.given_back(minute(10)), Err(Refusal::Over));
    assert_eq!(taken.given_back(minute(30)), Err(Refusal::Over), "it has ended by itself");
    let closed = back.reviewed(review(2)).unwrap();
    assert_eq!(closed.record(Some(&back), "x").act, "break_glass.reviewed");
    assert_eq!(closed.reviewed(review(3)), Err(Refusal::Reviewed));
    let running = taken.reviewed(review(2)).unwrap();
    let back = running.given_back(minute(10)).unwrap();
    assert_eq!(back.record(Some(&running), "x").act, "break_glass.given_back", "it may be reviewed while it lasts");
}

#[test]
fn p1_what_is_given_back_as_it_begins_gives_nothing() {
    let back = take(wish(30), hour(), NAMED).unwrap().given_back(minute(0)).unwrap();
    assert_eq!(back.enrollment().periods, []);
}

#[test]
fn r17_what_was_taken_is_only_ever_cut() {
    let enrollment = take(wish(60), hour(), NAMED).unwrap().enrollment();
    let until = |cut: Option<Enrollment>| cut.map(|cut| cut.periods[0].until);
    assert_eq!(until(cut(&enrollment, Some(&profile(hour())), minute(10))), None, "nothing has changed");
    let half = hour().map(|rule| BreakGlass { max_duration: Duration::from_secs(1_800), ..rule });
    let shorter = cut(&enrollment, Some(&profile(half.clone())), minute(10)).unwrap();
    let Period { until: end, until_known, .. } = shorter.periods[0];
    assert_eq!((end, until_known), (End::At(minute(30)), minute(10)), "the new limit counts from the beginning");
    assert_eq!(cut(&shorter, Some(&profile(hour())), minute(20)), None, "a later edit gives nothing back");
    assert_eq!(until(cut(&enrollment, Some(&profile(half)), minute(40))), Some(End::At(minute(40))), "it ends now");
    assert_eq!(until(cut(&enrollment, None, minute(20))), Some(End::At(minute(20))), "the profile is gone");
    assert_eq!(until(cut(&enrollment, None, minute(61))), None, "it is over already");
}
