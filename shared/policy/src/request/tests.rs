use std::collections::BTreeSet;

use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::profile::{Automatic, Mode, SelfOverride, SelfService, Step};
use crate::testing::{cases, id, minute, person};
use crate::time::{Span, later, millis_between};

const REQUESTER: u128 = 0;
const MAX: u64 = 8 * 60;
const GRACE: u64 = 10;
const EXPIRES: u64 = 60;

fn minutes(n: u64) -> Duration {
    Duration::from_secs(n * 60)
}

/// Everything that a move is decided with, and can be changed between two.
#[derive(Debug, Clone)]
struct World {
    profile: Option<Profile>,
    /// When the requester's duty ends; `None` off call.
    duty: Option<i64>,
    /// The rest of it, by a change that has waited: from when it lasts, since when it counts, and when it ends.
    rest: Option<(i64, i64, i64)>,
    blocked: bool,
    /// Who is on call in the rotation that approves.
    second: BTreeSet<PersonId>,
    now: Timestamp,
}

fn people(who: &[u128]) -> Approvers {
    Approvers::People(who.iter().map(|n| format!("p{n}@example.com")).collect())
}

fn step(approvers: Approvers, any: u16) -> Step {
    Step { approvers, any }
}

/// A lead or another one, then whoever is on call in the second rotation.
fn two_steps() -> Vec<Step> {
    vec![step(people(&[1, 2]), 1), step(Approvers::OnCall(id("pd:SECOND")), 1)]
}

impl World {
    fn new(steps: Vec<Step>) -> Self {
        let service = SelfService {
            rotations: BTreeSet::from([id("pd:FIRST")]),
            max_duration: minutes(MAX),
            justification_required: true,
            expires: minutes(EXPIRES),
            steps,
        };
        let enrollment =
            Automatic { rotations: BTreeSet::new(), lead: Duration::ZERO, grace: minutes(GRACE), lease: minutes(240) };
        let profile = Profile {
            id: id("prod"),
            version: 3,
            name: "Production".into(),
            entitlements: Vec::new(),
            mode: Mode::Enforce,
            enrollment: Some(enrollment),
            self_service: Some(service),
            self_override: SelfOverride::Hold,
            override_lock: Duration::ZERO,
            break_glass: None,
        };
        let second = BTreeSet::from([person(4)]);
        Self { profile: Some(profile), duty: Some(600), rest: None, blocked: false, second, now: minute(0) }
    }

    fn at(&mut self, now: i64) -> &mut Self {
        self.now = minute(now);
        self
    }

    fn may(&self, approvers: &Approvers, by: &PersonId, groups: &BTreeSet<String>) -> bool {
        match approvers {
            Approvers::People(these) => {
                (0..9).any(|n| person(n) == *by && these.contains(&format!("p{n}@example.com")))
            }
            Approvers::OnCall(_) => self.second.contains(by),
            Approvers::Groups(these) => !these.is_disjoint(groups),
        }
    }

    fn with<T>(&self, act: impl FnOnce(&Known<'_>) -> T) -> T {
        let span = self.duty.and_then(|end| Span::new(minute(-60), minute(end)));
        let rest = self.rest.and_then(|(from, opens, end)| {
            Some(Cover { opens: minute(opens), ..Cover::from(Span::new(minute(from), minute(end))?) })
        });
        let covers: Vec<Cover> = span.into_iter().map(Cover::from).chain(rest).collect();
        let may = |approvers: &Approvers, by: &PersonId, groups: &BTreeSet<String>| self.may(approvers, by, groups);
        let profile = self.profile.as_ref();
        act(&Known { profile, covers: &covers, blocked: self.blocked, may: &may, now: self.now })
    }

    fn ask(&self, wanted: u64) -> Result<Request, Refusal> {
        let (request, profile) = (id("req_01JD0000000000000000000000"), id("prod"));
        self.with(|known| Request::asked(request, person(REQUESTER), profile, id("pd:FIRST"), wish(wanted), known))
    }

    fn decide(&self, request: &Request, by: u128, verdict: Verdict) -> Result<Request, Refusal> {
        let decision = Decision { by: person(by), groups: groups(by), at: self.now, verdict, comment: None };
        self.with(|known| request.decided(decision, known))
    }

    fn approve(&self, request: &Request, by: u128) -> Result<Request, Refusal> {
        self.decide(request, by, Verdict::Approve)
    }

    fn settle(&self, request: &Request) -> Request {
        self.with(|known| request.settled(known))
    }

    fn steps(&mut self) -> &mut Vec<Step> {
        &mut self.profile.as_mut().and_then(|profile| profile.self_service.as_mut()).unwrap().steps
    }
}

/// Person 6 and 7 are in a group of approvers.
fn groups(by: u128) -> BTreeSet<String> {
    if by >= 6 { BTreeSet::from(["leads".to_owned()]) } else { BTreeSet::new() }
}

fn wish(wanted: u64) -> Wish {
    Wish { wanted: minutes(wanted), justification: Some("0".repeat(64)), incident: None }
}

fn until(request: &Request) -> Option<Timestamp> {
    request.access().map(|access| access.until)
}

/// When its access ends, and since when that is known.
fn end(request: &Request) -> Option<(Timestamp, Timestamp)> {
    request.access().map(|access| (access.until, access.until_known))
}

fn how(request: &Request) -> Option<How> {
    match request.stage {
        Stage::Over { how, .. } => Some(how),
        Stage::Asked(_) | Stage::Approved { .. } => None,
    }
}

#[test]
fn each_step_is_passed_in_its_turn_by_another_person() {
    let mut world = World::new(two_steps());
    let asked = world.ask(60).unwrap();
    assert_eq!(until(&asked), None, "nothing is given before it was approved");
    assert_eq!(world.approve(&asked, 4), Err(Refusal::NotApprover), "the second step is not next");
    let first = world.at(5).approve(&asked, 1).unwrap();
    assert_eq!((until(&first), world.with(|known| first.steps(known))), (None, Some((1, 2))));
    assert_eq!(world.approve(&first, 2), Err(Refusal::NotApprover), "the first step has passed");
    let approved = world.at(10).approve(&first, 4).unwrap();
    assert_eq!(until(&approved), Some(minute(70)), "what was wanted counts from the approval");
    assert_eq!(world.approve(&approved, 4), Err(Refusal::Decided), "two approvals at once give one enrollment");
    world.steps()[1] = step(people(&[1]), 1);
    assert_eq!(world.approve(&first, 1), Err(Refusal::Repeated), "nobody's word counts for two steps");
}

#[test]
fn p13_nobody_decides_their_own_request() {
    let mut world = World::new(vec![step(people(&[REQUESTER, 1]), 1)]);
    let asked = world.ask(60).unwrap();
    for verdict in [Verdict::Approve, Verdict::Deny] {
        assert_eq!(world.decide(&asked, REQUESTER, verdict), Err(Refusal::OwnRequest));
    }
    let (by, groups, verdict) = (person(1), BTreeSet::new(), Verdict::Approve);
    let decision = Decision { by, groups, at: world.now, verdict, comment: None };
    let decided = world.with(|known| asked.decided(decision, &Known { may: &nobody, ..*known }));
    assert_eq!(decided, Err(Refusal::NotApprover), "a move for which nobody may decide");
    world.steps()[0] = step(people(&[1, 2]), 2);
    let once = world.approve(&asked, 1).unwrap();
    assert_eq!(world.approve(&once, 1), Err(Refusal::Repeated), "two of two are two people");
    assert!(until(&world.approve(&once, 2).unwrap()).is_some());
}

#[test]
fn whoever_has_stopped_being_an_approver_does_not_count() {
    let mut world = World::new(two_steps());
    let first = world.approve(&world.ask(60).unwrap(), 1).unwrap();
    world.steps()[0] = step(people(&[2]), 1);
    assert_eq!(world.approve(&first, 4), Err(Refusal::NotApprover), "the first step is open again");
    let again = world.approve(&first, 2).unwrap();
    assert!(until(&world.approve(&again, 4).unwrap()).is_some());
}

#[test]
fn what_is_asked_for_must_be_on_offer_and_the_requester_on_call() {
    let mut world = World::new(two_steps());
    for wanted in [0, MAX + 1] {
        assert_eq!(world.ask(wanted), Err(Refusal::Duration));
    }
    world.blocked = true;
    assert_eq!(world.ask(60), Err(Refusal::Blocked), "R2");
    world.blocked = false;
    world.duty = None;
    assert_eq!(world.ask(60), Err(Refusal::NotOnCall));
    world.duty = Some(600);
    let unjustified = Wish { justification: None, ..wish(60) };
    let (request, profile) = (id("req_01JD0000000000000000000000"), id("prod"));
    let asked = |rotation: &str, wish: Wish| {
        let (request, rotation): (RequestId, _) = (Clone::clone(&request), id(rotation));
        world.with(|known| Request::asked(request, person(REQUESTER), Clone::clone(&profile), rotation, wish, known))
    };
    assert_eq!(asked("pd:FIRST", unjustified), Err(Refusal::Unjustified));
    assert_eq!(asked("pd:SECOND", wish(60)), Err(Refusal::NotOffered));
    let at_once = World::new(Vec::new()).ask(60).unwrap();
    assert_eq!(until(&at_once), Some(minute(60)), "a policy without steps approves at once");
}

#[test]
fn an_ask_that_nobody_decides_expires_and_so_does_one_whose_duty_is_over() {
    let mut world = World::new(two_steps());
    let asked = world.ask(60).unwrap();
    assert_eq!(asked.due(), Some(minute(60)));
    assert_eq!(world.at(59).settle(&asked), asked);
    assert_eq!(how(&world.at(60).settle(&asked)), Some(How::Expired));
    assert_eq!(world.approve(&asked, 1), Err(Refusal::Decided), "it has expired, whoever has looked");
    world.at(5).duty = None;
    assert_eq!(how(&world.settle(&asked)), Some(How::Expired), "R4: it was asked for by this duty");
    assert_eq!(world.approve(&asked, 1), Err(Refusal::Decided), "the requester is on call at the approval too");
    world.duty = Some(600);
    assert_eq!(how(&world.decide(&asked, 1, Verdict::Deny).unwrap()), Some(How::Denied));
    assert_eq!(how(&world.with(|known| asked.cancelled(known)).unwrap()), Some(How::Cancelled));
}

#[test]
fn r13_access_ends_with_the_duty_and_its_grace_and_is_cut_with_it() {
    let mut world = World::new(Vec::new());
    world.duty = Some(30);
    let approved = world.ask(120).unwrap();
    assert_eq!(until(&approved), Some(minute(40)), "the end of the duty with its grace, once");
    assert_eq!(world.at(5).settle(&approved), approved, "an end that has not moved is no news");
    world.at(10).duty = Some(20);
    let cut = world.settle(&approved);
    assert_eq!(end(&cut), Some((minute(30), minute(10))), "an override takes the end of it away, as is known now");
    world.duty = Some(600);
    assert_eq!(world.settle(&cut), cut, "longer only if asked");
    world.at(12).duty = None;
    let lost = world.settle(&cut);
    assert_eq!(until(&lost), Some(minute(22)), "an end that nobody forecast has grace from when it was found");
    assert_eq!(world.at(15).settle(&lost), lost, "once");
    for now in [22, 300] {
        let over = world.at(now).settle(&lost);
        let as_it_was = (Some(How::Ended), lost.access());
        assert_eq!((how(&over), over.access()), as_it_was, "found at minute {now}: it ended when it was to end");
    }
}

#[test]
fn r13_no_other_duty_says_when_one_that_is_gone_has_ended() {
    for (duty, rest) in [(None, None), (Some(0), None), (None, Some((300, -5, 400)))] {
        let mut world = World::new(Vec::new());
        let approved = world.ask(120).unwrap();
        (world.duty, world.rest) = (duty, rest);
        let lost = world.at(12).settle(&approved);
        let graced = (None, Some(minute(22)));
        assert_eq!((how(&lost), until(&lost)), graced, "grace from when it was found, beside {duty:?} and {rest:?}");
    }
}

#[test]
fn r16_a_duty_goes_on_where_a_change_that_has_waited_goes_on_with_it() {
    let mut world = World::new(Vec::new());
    world.duty = Some(30);
    let until_with = |world: &mut World, rest| {
        world.rest = Some(rest);
        until(&world.ask(120).unwrap())
    };
    assert_eq!(until_with(&mut world, (30, -5, 90)), Some(minute(100)), "it counts already");
    assert_eq!(until_with(&mut world, (30, 30, 90)), Some(minute(100)), "it will when the first part ends");
    assert_eq!(until_with(&mut world, (30, 31, 90)), Some(minute(40)), "a minute between is off call");
    assert_eq!(until_with(&mut world, (31, -5, 90)), Some(minute(40)), "another duty");
}

#[test]
fn more_time_is_asked_for_and_decided_like_the_first() {
    let mut world = World::new(two_steps());
    let first = world.approve(&world.ask(60).unwrap(), 1).unwrap();
    let approved = world.approve(&first, 4).unwrap();
    let longer = |world: &World, request: &Request, wanted| world.with(|known| request.longer(wish(wanted), known));
    assert_eq!(longer(&world, &first, 60), Err(Refusal::NotApproved));
    assert_eq!(longer(&world, &approved, 30), Err(Refusal::NoLonger));
    let asked = longer(world.at(50), &approved, 60).unwrap();
    assert_eq!((until(&asked), asked.due()), (Some(minute(60)), Some(minute(60))), "nothing moves before it is passed");
    assert_eq!(longer(&world, &asked, 60), Err(Refusal::Waiting));
    let denied = world.decide(&asked, 2, Verdict::Deny).unwrap();
    assert_eq!(denied.stage, approved.stage, "what was approved goes on");
    assert_eq!(denied.past.len(), 2, "and what was asked and denied stays known");
    let passed = world.approve(&world.approve(&asked, 2).unwrap(), 4).unwrap();
    assert_eq!(until(&passed), Some(minute(110)));
    let far = longer(world.at(100), &passed, MAX).unwrap();
    let far = world.approve(&world.approve(&far, 2).unwrap(), 4).unwrap();
    assert_eq!(until(&far), Some(minute(MAX as i64)), "no longer than the profile allows from the beginning on");
}

#[test]
fn r13_more_time_that_the_duty_does_not_have_moves_nothing() {
    let mut world = World::new(two_steps());
    let first = world.approve(&world.ask(60).unwrap(), 1).unwrap();
    let approved = world.approve(&first, 4).unwrap();
    let asked = world.at(30).with(|known| approved.longer(wish(60), known)).unwrap();
    world.at(31).duty = Some(45);
    let cut = world.settle(&asked);
    assert_eq!(end(&cut), Some((minute(55), minute(31))), "the duty ends sooner than what was approved");
    let first = world.at(40).approve(&cut, 2).unwrap();
    let passed = world.approve(&first, 4).unwrap();
    assert_eq!((passed.access(), passed.ask()), (cut.access(), None), "its end was known before it was passed");
}

#[test]
fn p9_an_ask_for_more_time_that_has_expired_stays_known_when_there_is_another() {
    let mut world = World::new(two_steps());
    let first = world.approve(&world.ask(200).unwrap(), 1).unwrap();
    let approved = world.approve(&first, 4).unwrap();
    let longer = |world: &World, request: &Request| world.with(|known| request.longer(wish(400), known)).unwrap();
    let asked = longer(world.at(10), &approved);
    let again = longer(world.at(80), &asked);
    let asks: Vec<Timestamp> = again.asks().map(|ask| ask.at).collect();
    assert_eq!(asks, [0, 10, 80].map(minute));
}

#[test]
fn r17_a_profile_that_is_deleted_or_offered_no_more_ends_it_now() {
    let mut world = World::new(Vec::new());
    let approved = world.ask(60).unwrap();
    let asked = World::new(two_steps()).ask(60).unwrap();
    let mut shorter = world.clone();
    let service = shorter.profile.as_mut().and_then(|profile| profile.self_service.as_mut()).unwrap();
    service.max_duration = minutes(20);
    assert_eq!(until(&shorter.at(5).settle(&approved)), Some(minute(20)), "a new limit counts for what is approved");
    world.at(5).profile = None;
    let over = world.settle(&approved);
    assert_eq!((how(&over), until(&over)), (Some(How::Ended), Some(minute(5))));
    assert_eq!(how(&world.settle(&asked)), Some(How::Expired));
    assert_eq!(over.enrollment().version, Some(3), "R17: what was approved is bound to its version");
}

#[test]
fn r13_what_is_given_back_ends_at_once() {
    let mut world = World::new(Vec::new());
    let approved = world.ask(60).unwrap();
    let back = world.at(20).with(|known| approved.cancelled(known)).unwrap();
    assert_eq!((how(&back), until(&back)), (Some(How::GivenBack), Some(minute(20))));
    let period = back.enrollment().periods[0];
    assert_eq!((period.until, period.until_known), (End::At(minute(20)), minute(20)));
    assert_eq!(world.with(|known| back.cancelled(known)), Err(Refusal::Decided));
}

/// One thing that happens.
#[derive(Debug, Clone)]
enum Move {
    Wait(i64),
    Approve(u128),
    Deny(u128),
    Cancel,
    Longer(u64),
    Duty(Option<i64>),
    Second(u128),
    Policy(Vec<Step>),
    Limit(u64),
    Offered(bool),
    Blocked(bool),
}

fn a_step() -> impl Strategy<Value = Step> {
    let approvers = prop_oneof![
        proptest::collection::btree_set(0..5_u128, 1..4).prop_map(|who| people(&who.into_iter().collect::<Vec<_>>())),
        Just(Approvers::OnCall(id("pd:SECOND"))),
        Just(Approvers::Groups(BTreeSet::from(["leads".to_owned()]))),
    ];
    (approvers, 1..3_u16).prop_map(|(approvers, any)| step(approvers, any))
}

fn policy() -> impl Strategy<Value = Vec<Step>> {
    proptest::collection::vec(a_step(), 0..3)
}

fn a_move() -> impl Strategy<Value = Move> {
    prop_oneof![
        3 => (0..40_i64).prop_map(Move::Wait),
        8 => (0..8_u128).prop_map(Move::Approve),
        1 => (0..8_u128).prop_map(Move::Deny),
        1 => Just(Move::Cancel),
        3 => (0..MAX + 60).prop_map(Move::Longer),
        2 => proptest::option::weighted(0.8, -30..700_i64).prop_map(Move::Duty),
        1 => (1..8_u128).prop_map(Move::Second),
        1 => policy().prop_map(Move::Policy),
        1 => (10..MAX).prop_map(Move::Limit),
        1 => proptest::bool::weighted(0.8).prop_map(Move::Offered),
        1 => proptest::bool::weighted(0.3).prop_map(Move::Blocked),
    ]
}

/// Whether there are as many people as the steps need, each for one step: every way is tried.
fn enough(world: &World, steps: &[Step], approved: &[Decision]) -> bool {
    let Some((step, rest)) = steps.split_first() else { return true };
    fn choose(world: &World, step: &Step, needed: u16, from: &[Decision], left: Vec<Decision>, rest: &[Step]) -> bool {
        if needed == 0 {
            return enough(world, rest, &[left, from.to_vec()].concat());
        }
        let Some((first, others)) = from.split_first() else { return false };
        let taken = world.may(&step.approvers, &first.by, &first.groups)
            && choose(world, step, needed - 1, others, left.clone(), rest);
        taken || choose(world, step, needed, others, [left, vec![first.clone()]].concat(), rest)
    }
    choose(world, step, step.any, approved, Vec::new(), rest)
}

proptest! {
    #![proptest_config(cases(2_000))]

    /// Whatever happens in whatever order: access has the word of enough people who may give it then, none of them the
    /// requester; it never outlives what allows it; it grows by an approved ask only; and what is over stays over.
    #[test]
    fn p1_p4_p13_a_request_gives_no_more_than_was_approved(
        steps in policy(),
        moves in proptest::collection::vec(a_move(), 1..40),
    ) {
        let mut world = World::new(steps);
        let offered = world.profile.clone();
        let Ok(mut request) = world.ask(90) else { return Ok(()) };
        let mut said: Vec<Decision> = Vec::new();
        let mut clock = 0;
        for one in moves {
            let before = request.clone();
            let mut passes = false;
            match one {
                Move::Wait(by) => { clock += by; world.at(clock); }
                Move::Approve(by) => if let Ok(next) = world.approve(&request, by) {
                    let decision =
                        Decision { by: person(by), groups: groups(by), at: world.now, verdict: Verdict::Approve, comment: None };
                    said.push(decision);
                    passes = true;
                    request = next;
                },
                Move::Deny(by) => if let Ok(next) = world.decide(&request, by, Verdict::Deny) { request = next; },
                Move::Cancel => if let Ok(next) = world.with(|known| request.cancelled(known)) { request = next; },
                Move::Longer(wanted) => if let Ok(next) = world.with(|known| request.longer(wish(wanted), known)) {
                    said.clear();
                    passes = true;
                    request = next;
                },
                Move::Duty(end) => world.duty = end,
                Move::Second(by) => world.second = BTreeSet::from([person(by)]),
                Move::Policy(steps) => if world.profile.is_some() { *world.steps() = steps; },
                Move::Limit(max) => if let Some(service) =
                    world.profile.as_mut().and_then(|profile| profile.self_service.as_mut()) {
                    service.max_duration = minutes(max);
                },
                Move::Offered(offers) => world.profile = if offers { offered.clone() } else { None },
                Move::Blocked(blocked) => world.blocked = blocked,
            }
            let settled = world.settle(&request);
            prop_assert_eq!(&world.settle(&settled), &settled, "settling is done once");
            request = settled;
            if before.is_over() {
                prop_assert_eq!(&request, &before, "what is over stays over");
                continue;
            }
            let grew = until(&request) > until(&before);
            if grew {
                prop_assert!(passes, "P1: access grows by an approval only");
                let steps = world.steps().clone();
                prop_assert!(enough(&world, &steps, &said), "P13: {steps:?} passed by {said:?}");
                prop_assert!(said.iter().all(|decision| decision.by != person(REQUESTER)), "P13: own request");
                prop_assert!(!world.blocked, "R2: granted under a block");
                let service = world.profile.as_ref().and_then(|profile| profile.self_service.clone()).unwrap();
                let access = request.access().unwrap();
                prop_assert!(millis_between(access.from, access.until) <= service.max_duration.as_millis() as i64);
                let duty = world.duty.map(|end| later(minute(end), minutes(GRACE)));
                prop_assert!(duty.is_some_and(|duty| access.until <= duty), "R13: past the end of the duty");
            }
            if let Some(access) = request.access().filter(|_| !request.is_over()) {
                prop_assert!(world.now < access.until, "P1: it ends on time");
                let ends = world.duty.filter(|end| minute(*end) > world.now);
                let bound = ends.map_or(later(world.now, minutes(GRACE)), |end| later(minute(end), minutes(GRACE)));
                prop_assert!(access.until <= bound, "P1: it outlives the duty");
                prop_assert!(world.profile.is_some(), "R17: the profile is gone");
            }
        }
    }
}

#[test]
fn p9_each_move_of_a_request_is_on_record_once() {
    let mut world = World::new(two_steps());
    let acts = |before: Option<&Request>, after: &Request| -> Vec<String> {
        of_request(before, after, "access-requests").into_iter().map(|draft| draft.act).collect()
    };
    let asked = world.ask(60).unwrap();
    assert_eq!(acts(None, &asked), ["request.asked"]);
    let refused = world.decide(&asked, 1, Verdict::Deny).unwrap();
    assert_eq!(acts(Some(&asked), &refused), ["request.decided", "request.denied"]);
    let first = world.approve(&asked, 1).unwrap();
    assert_eq!(acts(Some(&asked), &first), ["request.decided"]);
    let approved = world.approve(&first, 4).unwrap();
    assert_eq!(acts(Some(&first), &approved), ["request.decided", "request.approved"]);
    assert_eq!(acts(Some(&approved), &approved), Vec::<String>::new());
    let asked_again = world.at(50).with(|known| approved.longer(wish(60), known)).unwrap();
    assert_eq!(acts(Some(&approved), &asked_again), ["request.longer"]);
    let denied = world.decide(&asked_again, 2, Verdict::Deny).unwrap();
    assert_eq!(acts(Some(&asked_again), &denied), ["request.decided"]);
    world.duty = Some(45);
    let cut = world.at(51).settle(&denied);
    assert_eq!((acts(Some(&denied), &cut), until(&cut)), (vec!["request.cut".to_owned()], Some(minute(55))));
    let over = world.at(55).settle(&cut);
    assert_eq!(acts(Some(&cut), &over), ["request.ended"]);
    assert_eq!(acts(Some(&over), &over), Vec::<String>::new(), "once");
    let at_once = World::new(Vec::new()).ask(60).unwrap();
    assert_eq!(acts(None, &at_once), ["request.asked", "request.approved"]);
}

#[test]
fn p9_the_record_says_what_was_asked_for_and_what_was_decided_of_it() {
    let world = World::new(two_steps());
    let asked = world.ask(60).unwrap();
    let said = of_request(None, &asked, "access-requests").remove(0);
    assert_eq!(said.after, json!({ "wanted": "1h", "expires": "2026-03-02T01:00:00.000Z", "incident": null }));
    let decided = of_request(Some(&asked), &world.approve(&asked, 1).unwrap(), "access-requests").remove(0);
    let at = "2026-03-02T00:00:00.000Z";
    assert_eq!(decided.after, json!({ "by": person(1), "groups": [], "verdict": "approve", "at": at }));
}
