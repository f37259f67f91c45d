//! Changes of the rota at the last minute: what waits for the override lock, and who keeps access so long.

use std::time::Duration;

use dutykey_engine::block::Denial;
use dutykey_engine::ports::rota::{ReadRota as _, Waiting};
use dutykey_platforms::sandbox::{Fault, FaultKind};
use dutykey_policy::block::{Denied, Reach};
use dutykey_policy::installation::Topic;
use dutykey_policy::profile::{Profile, SelfOverride};
use serde_json::{Value, json};

use super::world::*;

/// The lock of these tests.
const LOCK: Duration = m(10);

fn locked(id: &str, lock: Duration, own: SelfOverride) -> Profile {
    Profile { override_lock: lock, self_override: own, ..profile(id, &["prod"], &["primary"]) }
}

fn held() -> Profile {
    locked("on-call", LOCK, SelfOverride::Hold)
}

/// Cat is on call until minute 180 and Ann from there on; Ann's shift goes to Bob, as the platform shows from `announced`.
fn company(announced: &str, more: Value) -> Company {
    let mut change = json!({ "user": "bob", "from": "180m", "to": "240m", "announced": announced });
    change.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let shifts = [shift("cat", "1m", "180m"), shift("ann", "180m", "240m")];
    Company::of(["ann", "bob", "cat"]).rotation("primary", json!({ "shifts": shifts, "overrides": [change] }))
}

/// Who waits.
async fn waiting(world: &World) -> Vec<Waiting> {
    let id = rotation_id("primary");
    world.store.heads(std::slice::from_ref(&id)).await.unwrap().remove(&id).expect("the rotation was read").waiting
}

/// Runs on to where Bob waits, and says until when.
async fn begun(world: &World) -> Duration {
    world.run_until(m(180)).await;
    let waiting = waiting(world).await;
    assert_eq!(waiting.len(), 1, "R16: the change waits: {waiting:?}");
    world.since(waiting[0].until)
}

/// Bob takes over when his lock has ended, Ann goes then, and nobody was missing.
fn handed_over(world: &World, until: Duration, why: &str) {
    assert_eq!(world.changes("cat", "prod"), [(m(1), "added"), (m(180), "removed")], "R12: on time, {why}");
    assert_eq!(world.changes("ann", "prod"), [(m(180), "added"), (until, "removed")], "R16: Ann keeps it, {why}");
    assert_eq!(world.changes("bob", "prod"), [(until, "added")], "R16: Bob waits out his lock, {why}");
}

async fn acts(world: &World, act: &str) -> Vec<Value> {
    world.evidence().await.into_iter().filter(|record| record["act"] == act).collect()
}

#[tokio::test(start_paused = true)]
async fn p11_r16_an_override_at_the_last_minute_waits_and_nobody_is_without_access() {
    let world = company("178m", json!({})).profile(held()).start().await;
    let until = begun(&world).await;
    assert!(until >= m(188) && until < m(190), "R16: a lock's length after it was first seen: {until:?}");
    for minute in 181..200 {
        world.run_until(m(minute)).await;
        assert_eq!(
            world.members("prod").len(),
            1,
            "R16: one is on call at minute {minute}: {:?}",
            world.members("prod")
        );
    }
    handed_over(&world, until, "as ever");
    assert!(world.lags().iter().all(|lag| *lag <= 2_000), "P12: to the second: {:?}", world.lags());

    let told = world.notices(Topic::SelfOverride);
    let (ann, bob) = (world.person("ann").await.unwrap(), world.person("bob").await.unwrap());
    assert_eq!(told.len(), 1, "P11: told once: {told:?}");
    assert!(told[0].0 <= until - LOCK + m(1), "R16: at once: {told:?}");
    assert!(told[0].1.contains(bob.as_str()) && !told[0].1.contains("bob@"), "R19: by Dutykey's ID: {}", told[0].1);

    let (began, passed) = (acts(&world, "lock.waiting").await, acts(&world, "lock.passed").await);
    assert_eq!((began.len(), passed.len()), (1, 1), "R16: all of it is in evidence");
    assert_eq!(began[0]["chain"], "rotation/pd:primary");
    assert_eq!(began[0]["after"]["gains"][0]["person"], json!(bob));
    let late = began.iter().chain(&passed).any(|record| record.to_string().contains(ann.as_str()));
    assert!(!late, "who is replaced loses nothing by the record");
    let recorded: jiff::Timestamp = passed[0]["at"].as_str().unwrap().parse().unwrap();
    assert!(world.since(recorded) <= until + s(2), "the end of a lock is recorded when it comes: {recorded}");
    assert!(waiting(&world).await.is_empty());
    world.run_until(m(241)).await;
    world.is_over().await;
}

#[tokio::test(start_paused = true)]
async fn p11_who_made_it_decides_where_the_platform_tells() {
    let flag = || locked("on-call", LOCK, SelfOverride::Flag);
    let cases = [
        ("cat", held(), true, 0, "somebody else made it"),
        ("bob", flag(), true, 1, "self-made and only flagged"),
        ("bob", held(), false, 1, "self-made and held"),
    ];
    for (by, profile, at_once, told, why) in cases {
        let world = company("178m", json!({ "by": by })).profile(profile).start().await;
        world.run_until(m(195)).await;
        let first = world.changes("bob", "prod").first().copied();
        let (time, _) = first.unwrap_or_else(|| panic!("Bob gets access, {why}"));
        assert_eq!(time == m(180), at_once, "P11: {why}, and Bob's access began at {time:?}");
        assert_eq!(world.changes("ann", "prod").is_empty(), at_once, "R16: the change passes as a whole, {why}");
        assert_eq!(world.notices(Topic::SelfOverride).len(), told, "P11: {why}");
        assert_eq!(acts(&world, "lock.flagged").await.len(), usize::from(at_once && told > 0), "P11: {why}");
    }
}

#[tokio::test(start_paused = true)]
async fn p11_where_the_platform_hides_who_made_it_a_late_change_waits() {
    let company = company("178m", json!({ "by": "cat" })).platform("tells_overrides", json!(false));
    let world = company.profile(locked("on-call", LOCK, SelfOverride::Flag)).start().await;
    let until = begun(&world).await;
    world.run_until(m(200)).await;
    handed_over(&world, until, "although a manager made it");
}

#[tokio::test(start_paused = true)]
async fn r16_an_override_prepared_in_time_is_on_time() {
    for (by, told) in [(json!({}), 0), (json!({ "by": "bob" }), 1)] {
        let world = company("30m", by).profile(held()).start().await;
        world.run_until(m(190)).await;
        assert_eq!(world.changes("bob", "prod"), [(m(180), "added")], "R16: its lock ended long ago");
        assert!(world.changes("ann", "prod").is_empty());
        assert_eq!(world.notices(Topic::SelfOverride).len(), told, "P11: self-made ones are told, however early");
    }
}

#[tokio::test(start_paused = true)]
async fn r16_a_block_ends_the_reason_of_whom_the_override_replaces() {
    let world = company("178m", json!({})).profile(held()).start().await;
    let until = begun(&world).await;
    world.run_until(m(183)).await;
    let denied = Denied::Person(world.person("ann").await.unwrap());
    let (author, reason) = ("per_admin".to_owned(), "ill".to_owned());
    world.blocks().place(Denial { denied, reach: Reach::Revoke, author, reason, until: None }).await.unwrap();
    world.run_until(m(183) + s(2)).await;
    assert!(!world.has("ann", "prod"), "R16: a block ends the old reason at any time");
    world.run_until(m(200)).await;
    assert_eq!(world.changes("bob", "prod"), [(until, "added")], "R16: and opens no lock");
}

#[tokio::test(start_paused = true)]
async fn r16_an_override_that_is_taken_back_changes_nothing() {
    let world = company("178m", json!({ "withdrawn": "183m" })).profile(held()).start().await;
    begun(&world).await;
    world.run_until(m(230)).await;
    assert!(world.changes("bob", "prod").is_empty(), "R16: {:?}", world.changes("bob", "prod"));
    assert_eq!(world.changes("ann", "prod"), [(m(180), "added")], "P4: Ann keeps it without a flap, and needs no lock");
    assert_eq!(world.notices(Topic::SelfOverride).len(), 1, "who comes back gains nothing");
    let recorded = (acts(&world, "lock.dropped").await.len(), acts(&world, "lock.passed").await.len());
    assert_eq!(recorded, (1, 0), "R16: in evidence");
}

#[tokio::test(start_paused = true)]
async fn p6_r16_a_lock_ends_on_time_while_the_platform_is_down() {
    let world = company("178m", json!({})).profile(held()).start().await;
    let until = begun(&world).await;
    world.platform.inject(Fault::always(FaultKind::Outage));
    world.run_until(m(200)).await;
    handed_over(&world, until, "by what is stored");
    assert_eq!(acts(&world, "lock.passed").await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn p10_r16_a_restart_at_any_time_lengthens_no_lock_and_shortens_none() {
    for (kill, begin) in [(m(180), m(182)), (m(184), m(184)), (m(187), m(188))] {
        let mut world = company("178m", json!({})).profile(held()).start().await;
        let until = begun(&world).await;
        world.run_until(kill).await;
        world.kill().await;
        world.run_until(begin).await;
        world.begin();
        world.run_until(m(200)).await;
        assert_eq!(world.changes("bob", "prod"), [(until, "added")], "R16: killed at {kill:?}");
        assert_eq!(world.changes("ann", "prod").last(), Some(&(until, "removed")), "R16: killed at {kill:?}");
        assert_eq!(world.notices(Topic::SelfOverride).len(), 1, "told once: killed at {kill:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn r16_each_profile_has_its_own_lock_and_zero_only_flags() {
    let other = Profile {
        override_lock: Duration::ZERO,
        self_override: SelfOverride::Flag,
        ..profile("logs", &["logs"], &["primary"])
    };
    let world = company("178m", json!({})).profile(held()).profile(other).start().await;
    let until = begun(&world).await;
    world.run_until(m(200)).await;
    handed_over(&world, until, "under the profile with a lock");
    assert_eq!(world.changes("bob", "logs"), [(m(180), "added")], "R16: zero holds nothing");
    assert!(world.changes("ann", "logs").is_empty());
    let told = world.notices(Topic::SelfOverride);
    assert_eq!(told.len(), 1, "one notice for what one view brings: {told:?}");
    assert!(told[0].1.contains("logs): this counts at once"), "P11: it is flagged: {}", told[0].1);
}
