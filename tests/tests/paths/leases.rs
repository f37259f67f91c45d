//! Leases that an administrator prolongs while the platform is down.

use std::sync::Arc;
use std::time::Duration;

use dutykey_engine::brake::By;
use dutykey_engine::ports::rota::{ReadRota, RotationHead};
use dutykey_engine::prolong::{LeaseError, Leases};
use dutykey_platforms::sandbox::{Fault, FaultKind};
use dutykey_policy::installation::Topic;
use dutykey_policy::lease::Refusal;
use dutykey_policy::time::rfc3339;
use dutykey_runtime::clock::SeededChance;
use serde_json::json;

use super::world::*;

/// Ann from the first minute on; a lease of an hour.
fn ann(until: &str) -> Company {
    Company::of(["ann"])
        .shifts("primary", &[shift("ann", "1m", until)])
        .profile(with(profile("on-call", &["prod"], &["primary"]), |rule| rule.lease = h(1)))
}

/// The platform answers no more, from now on and until then.
fn goes_down(world: &World, until: Duration) {
    let (from, to) = (world.clock.now(), world.at(until));
    world.platform.inject(Fault { from, to, ..Fault::always(FaultKind::Outage) });
}

async fn prolong(world: &World, until: Duration) -> Result<RotationHead, LeaseError> {
    let shared = Arc::new(world.store.clone());
    let leases = Leases {
        rota: shared.clone(),
        ledger: shared.clone(),
        rules: shared,
        queues: world.queues(),
        clock: world.clock.clone(),
        chance: Arc::new(SeededChance::new(299)),
    };
    leases.prolong(&rotation_id("primary"), world.at(until), "the platform is down", &By::CommandLine).await
}

async fn head(world: &World) -> RotationHead {
    let id = rotation_id("primary");
    world.store.heads(std::slice::from_ref(&id)).await.unwrap().remove(&id).expect("the rotation was read")
}

#[tokio::test(start_paused = true)]
async fn p6_r8_a_prolonged_lease_ends_when_an_administrator_said_and_not_before() {
    let world = ann("5h").start().await;
    world.run_until(m(42)).await;
    let refused = Err(LeaseError::Refused(rotation_id("primary"), Refusal::Fresh));
    assert_eq!(prolong(&world, m(172)).await, refused, "the next view would void it");
    goes_down(&world, m(182));
    let fresh = world.since(head(&world).await.fresh_at.unwrap());
    let (end, until) = (fresh + h(1), m(172));
    // By then the end of the lease has been sent already.
    world.run_until(end - s(20)).await;
    prolong(&world, until).await.unwrap();
    world.run_until(until - s(1)).await;
    assert_eq!(world.changes("ann", "prod"), [(m(1), "added")], "P6: the view stands past the end of its lease");
    let told: Vec<_> = world.notices(Topic::Stale).into_iter().map(|(at, _)| at).collect();
    for (what, due) in [("at half-time", fresh + (until - fresh) / 2), ("half an hour before", until - m(30))] {
        assert!(told.iter().any(|at| (due..=due + m(2)).contains(at)), "R8: announced {what}, at {due:?}: {told:?}");
    }
    world.run_until(until + s(1)).await;
    assert!(!world.has("ann", "prod"), "R8: the prolonged lease is over");

    world.run_until(m(190)).await;
    assert!(world.has("ann", "prod"), "the platform is back");
    assert_eq!(world.changes("ann", "prod").len(), 3, "once, without flapping");
    let head = head(&world).await;
    assert_eq!((head.prolonged_until, head.prolonged_why), (None, None), "a fresh view begins its lease anew");
    let records = world.evidence().await;
    let said: Vec<_> = records.iter().filter(|record| record["act"] == "rotation.prolonged").collect();
    assert_eq!(said.len(), 1, "P9: {said:?}");
    let ends = [end, until].map(|at| json!({ "until": rfc3339(world.at(at)) }));
    assert_eq!([said[0]["before"].clone(), said[0]["after"].clone()], ends, "P9: until when before and after");
}

#[tokio::test(start_paused = true)]
async fn r13_the_app_s_own_end_moves_with_a_prolonged_lease_and_one_that_is_over_begins_again() {
    let world = ann("open").target("native_end", json!(true)).start().await;
    world.run_until(m(42)).await;
    goes_down(&world, h(24));
    world.run_until(m(60)).await;
    prolong(&world, m(152)).await.unwrap();
    world.run_until(m(62)).await;
    let hold = world.hold("ann").await;
    assert_eq!(hold.due, world.at(m(152)), "R9: everybody is looked at, and what they hold is due later");
    assert!(hold.native_end > Some(hold.due), "R13: the app's own end moves on: {:?}", hold.native_end);
    world.run_until(m(153)).await;
    assert!(!world.has("ann", "prod"), "R8: the prolonged lease is over");

    prolong(&world, m(203)).await.unwrap();
    world.run_until(m(155)).await;
    assert!(world.has("ann", "prod"), "R8: a lease that is over begins again");
    world.run_until(m(204)).await;
    assert_eq!(world.changes("ann", "prod").len(), 4, "R8: and ends at its new end, once");
    world.is_over().await;
}
