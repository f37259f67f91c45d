//! Access that is asked for: from the ask over its approvals to the end, cut with the duty that allowed it.

use std::collections::BTreeSet;

use dutykey_engine::request::{Caller, Once, Order, RequestError, comment_name};
use dutykey_policy::id::{EntitlementRef, RequestId};
use dutykey_policy::profile::{Approvers, Profile, SelfService, Step};
use dutykey_policy::request::{How, Refusal, Request, Stage, Verdict};
use serde_json::json;

use super::world::*;

/// Whoever is on call in the first rotation may ask for it, for two hours at most.
pub(super) fn offered(steps: Vec<Approvers>) -> Profile {
    let mut offered = profile("prod", &["prod"], &[]);
    offered.enrollment = None;
    offered.self_service = Some(SelfService {
        rotations: [rotation_id("first")].into(),
        max_duration: h(2),
        justification_required: true,
        expires: m(30),
        steps: steps.into_iter().map(|approvers| Step { approvers, any: 1 }).collect(),
    });
    offered
}

/// Ann is on call from the first hour to the fifth; Bob and Cat stand behind her.
fn company(steps: Vec<Approvers>) -> Company {
    Company::of(["ann", "bob", "cat"])
        .shifts("first", &[shift("ann", "1h", "5h")])
        .shifts("second", &[shift("bob", "0s", "10h"), shift("cat", "20h", "30h")])
        .profile(offered(steps))
}

fn people(who: &str) -> Approvers {
    Approvers::People([format!("{who}@example.com")].into())
}

fn second() -> Approvers {
    Approvers::OnCall(rotation_id("second"))
}

impl World {
    async fn caller(&self, who: &str) -> Caller {
        Caller { person: self.person(who).await.expect("the rota has shown them"), groups: BTreeSet::new() }
    }

    async fn ask(&self, who: &str, minutes: u64) -> Result<Request, RequestError> {
        let order = Order { wanted: m(minutes), justification: Some("disk full".to_owned()), incident: None };
        let (caller, profile) = (self.caller(who).await, "prod".parse().unwrap());
        let id = self.requests().ask(&caller, &profile, Some(&rotation_id("first")), order, None).await?;
        Ok(self.request(&id).await)
    }

    /// Asks for an hour under a name, by whatever duty there is.
    async fn ask_once(&self, who: &str, once: &Once) -> Result<RequestId, RequestError> {
        let order = Order { wanted: h(1), justification: Some("disk full".to_owned()), incident: None };
        let (caller, profile) = (self.caller(who).await, "prod".parse().unwrap());
        self.requests().ask(&caller, &profile, None, order, Some(once)).await
    }

    async fn request(&self, id: &RequestId) -> Request {
        self.store.request(id).await.unwrap().expect("it was made")
    }

    /// That these are the changes of Ann's, each within the two seconds that P12 allows; a newer view of the rota may have
    /// had to be read before.
    fn changed(&self, expected: &[(std::time::Duration, &str)]) {
        let changes = self.changes("ann", "prod");
        let on_time = |((at, what), (due, expected)): (&(std::time::Duration, &str), &(std::time::Duration, &str))| {
            what == expected && *due <= *at && *at <= *due + s(2)
        };
        let all = changes.len() == expected.len() && changes.iter().zip(expected).all(on_time);
        assert!(all, "P12: {changes:?}, where {expected:?} was due");
    }

    async fn approve(&self, who: &str, id: &RequestId) -> Result<(), RequestError> {
        self.requests().decide(&self.caller(who).await, id, Verdict::Approve, None).await
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_is_approved_step_by_step_gives_access_and_ends() {
    let world = company(vec![people("cat"), second()]).start().await;
    world.run_until(m(30)).await;
    assert_eq!(world.ask("ann", 60).await, Err(Refusal::NotOnCall.into()), "before her shift");
    world.run_until(m(90)).await;
    let asked = world.ask("ann", 60).await.unwrap();
    assert_eq!(world.approve("ann", &asked.id).await, Err(Refusal::OwnRequest.into()), "P13");
    assert_eq!(world.approve("bob", &asked.id).await, Err(Refusal::NotApprover.into()), "his step is not next");
    world.approve("cat", &asked.id).await.unwrap();
    world.run_until(m(95)).await;
    assert_eq!(world.changes("ann", "prod"), [], "nothing is given before the last step has passed");
    world.approve("bob", &asked.id).await.unwrap();
    assert_eq!(world.approve("bob", &asked.id).await, Err(Refusal::Decided.into()));
    world.run_until(m(100)).await;
    world.changed(&[(m(95), "added")]);
    world.run_until(h(4)).await;
    world.changed(&[(m(95), "added"), (m(155), "removed")]);
    assert_eq!(world.live("ann").await.requests, [], "what is over leaves the live items");
    world.is_over().await;
    let acts = world.evidence().await;
    let acts: Vec<&str> = acts.iter().filter_map(|record| record["act"].as_str()).collect();
    let acts: Vec<&str> = acts.into_iter().filter(|act| act.starts_with("request.")).collect();
    assert_eq!(
        acts,
        ["request.asked", "request.decided", "request.decided", "request.approved", "request.ended"],
        "P9: each move is on record once"
    );
}

#[tokio::test(start_paused = true)]
async fn two_approvals_at_once_give_one_enrollment() {
    let world = company(vec![Approvers::People(["bob@example.com".into(), "cat@example.com".into()].into())]);
    let world = world.start().await;
    world.run_until(m(90)).await;
    let asked = world.ask("ann", 60).await.unwrap();
    let (one, other) = tokio::join!(world.approve("bob", &asked.id), world.approve("cat", &asked.id));
    let refused = [&one, &other].into_iter().filter(|outcome| **outcome == Err(Refusal::Decided.into())).count();
    assert_eq!(refused, 1, "{one:?} {other:?}");
    let enrollments = world.live("ann").await.enrollments;
    assert_eq!(enrollments.len(), 1, "{enrollments:?}");
}

#[tokio::test(start_paused = true)]
async fn p9_what_two_say_at_once_is_kept_of_both() {
    let mut profile = offered(vec![Approvers::People(["bob@example.com".into(), "cat@example.com".into()].into())]);
    profile.self_service.as_mut().unwrap().steps[0].any = 2;
    let world = Company::of(["ann", "bob", "cat"])
        .shifts("first", &[shift("ann", "1h", "5h")])
        .shifts("second", &[shift("bob", "0s", "10h"), shift("cat", "20h", "30h")])
        .profile(profile)
        .start()
        .await;
    world.run_until(m(90)).await;
    let asked = world.ask("ann", 60).await.unwrap();
    let (bob, cat) = (world.caller("bob").await, world.caller("cat").await);
    let requests = world.requests();
    let say = |by| requests.decide(by, &asked.id, Verdict::Approve, Some(by.person.to_string()));
    let (one, other) = tokio::join!(say(&bob), say(&cat));
    assert_eq!((one, other), (Ok(()), Ok(())));
    let decided = world.request(&asked.id).await;
    let by: Vec<_> = decided.asks().flat_map(|ask| &ask.decisions).map(|decision| decision.by.clone()).collect();
    let names: Vec<_> = (0..2).map(|nth| (asked.person.clone(), comment_name(&asked.id, nth))).collect();
    let texts = world.store.texts(&names).await.unwrap();
    let said: Vec<_> = names.iter().map(|(_, name)| texts.get(name).cloned()).collect();
    assert_eq!(said, by.iter().map(|by| Some(by.to_string())).collect::<Vec<_>>(), "each comment is its decision's");
}

#[tokio::test(start_paused = true)]
async fn an_ask_that_nobody_decides_expires() {
    let world = company(vec![second()]).start().await;
    world.run_until(m(90)).await;
    let asked = world.ask("ann", 60).await.unwrap();
    world.run_until(m(119)).await;
    assert_eq!(world.live("ann").await.requests.len(), 1);
    world.run_until(m(121)).await;
    assert_eq!(world.live("ann").await.requests, [], "it was looked at when it expired");
    assert_eq!(world.approve("bob", &asked.id).await, Err(RequestError::NoRequest(asked.id)));
    assert_eq!(world.changes("ann", "prod"), []);
}

#[tokio::test(start_paused = true)]
async fn r13_an_override_that_takes_the_duty_away_cuts_the_access() {
    let taken = json!({ "user": "cat", "from": "2h", "to": "5h", "announced": "119m" });
    let rota = json!({ "shifts": [shift("ann", "1h", "5h")], "overrides": [taken] });
    let world = Company::of(["ann", "bob", "cat"]).rotation("first", rota).profile(offered(Vec::new())).start().await;
    world.run_until(m(90)).await;
    let approved = world.ask("ann", 120).await.unwrap();
    let until = approved.access().map(|access| access.until).expect("a policy without steps approves at once");
    assert!(until >= world.at(m(210)) && until <= world.at(m(210) + s(2)), "what was wanted counts from then: {until}");
    world.run_until(m(180)).await;
    // The rota is read once more right before the hand-off.
    world.changed(&[(m(90), "added"), (h(2), "removed")]);
}

#[tokio::test(start_paused = true)]
async fn r13_however_much_somebody_has_asked_for_ends_with_the_duty() {
    // More than one transaction takes.
    const ASKED: usize = 40;
    let taken = json!({ "user": "cat", "from": "2h", "to": "5h", "announced": "119m" });
    let shifts = [shift("ann", "1h", "5h"), shift("ann", "6h", "7h")];
    let rota = json!({ "shifts": shifts, "overrides": [taken] });
    let world = Company::of(["ann", "bob", "cat"])
        .rotation("first", rota)
        .profile(offered(Vec::new()))
        .profile(profile("later", &["logs"], &["first"]))
        .start()
        .await;
    world.run_until(m(90)).await;
    for _ in 0..ASKED {
        world.ask("ann", 120).await.expect("nothing says that it is too much");
    }
    world.run_until(m(180)).await;
    world.changed(&[(m(90), "added"), (h(2), "removed")]);
    assert_eq!(world.live("ann").await.requests, [], "all of them are over");
    world.run_until(m(361)).await;
    assert!(world.has("ann", "logs"), "P12: nothing of it stands in the way of what comes next");
}

#[tokio::test(start_paused = true)]
async fn r17_a_request_holds_what_is_in_both_versions() {
    let mut world = company(Vec::new()).start().await;
    world.run_until(m(90)).await;
    world.ask("ann", 120).await.unwrap();
    world.run_until(m(95)).await;
    let group = |id: &str| EntitlementRef { app: "directory".parse().unwrap(), kind: "group".into(), id: id.into() };
    world.configure(|installation| installation.profiles[0].entitlements.push(group("db"))).await;
    world.run_until(m(105)).await;
    assert_eq!((world.has("ann", "prod"), world.has("ann", "db")), (true, false), "R17: no approver saw it");
    world.configure(|installation| installation.profiles[0].entitlements = vec![group("db")]).await;
    world.run_until(m(115)).await;
    assert_eq!((world.has("ann", "prod"), world.has("ann", "db")), (false, false), "R17: what is dropped ends now");
}

#[tokio::test(start_paused = true)]
async fn r13_what_is_given_back_is_gone_at_once() {
    let world = company(Vec::new()).start().await;
    world.run_until(m(90)).await;
    let approved = world.ask("ann", 120).await.unwrap();
    world.run_until(m(100)).await;
    world.requests().cancel(&world.caller("ann").await, &approved.id).await.unwrap();
    let back = world.request(&approved.id).await;
    assert!(matches!(back.stage, Stage::Over { how: How::GivenBack, .. }), "{back:?}");
    world.run_until(m(101)).await;
    world.changed(&[(m(90), "added"), (m(100), "removed")]);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_decided_by_a_rota_that_is_too_old() {
    let down = json!([{ "fault": "outage", "from": "80m", "to": "200m" }]);
    let world = company(Vec::new()).platform("faults", down).start().await;
    world.run_until(m(90)).await;
    assert_eq!(world.ask("ann", 60).await, Err(RequestError::StaleRota(rotation_id("first"))));
    assert_eq!(world.since(world.clock.now()), m(90) + s(5), "a newer view is waited for, and no longer");
    assert_eq!(world.changes("ann", "prod"), []);
}

#[tokio::test(start_paused = true)]
async fn whoever_tries_again_is_told_what_they_have_made_whatever_has_become_of_it() {
    let down = json!([{ "fault": "outage", "from": "95m", "to": "150m" }]);
    let mut world = company(Vec::new()).platform("faults", down).start().await;
    world.run_until(m(90)).await;
    let once = Once { name: "a".to_owned(), of: "an hour".to_owned() };
    let first = world.ask_once("ann", &once).await.unwrap();
    world.run_until(m(120)).await;
    assert_eq!(world.ask_once("ann", &once).await, Ok(first.clone()), "the platform is down");
    assert_eq!(world.since(world.clock.now()), m(120), "no newer view is waited for");
    world.run_until(h(6)).await;
    assert_eq!(world.ask_once("ann", &once).await, Ok(first.clone()), "the shift is over");
    world.configure(|installation| installation.profiles.clear()).await;
    assert_eq!(world.ask_once("ann", &once).await, Ok(first), "nobody may ask for it any more");
    let other = Once { of: "two hours".to_owned(), ..once };
    assert_eq!(world.ask_once("ann", &other).await, Err(RequestError::NameReused));
}
