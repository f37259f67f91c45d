//! Platforms that fall silent or say something else: leases, the brake, pauses of our own.

use dutykey_engine::ports::rota::{HeldChange, ReadRota, RotationChange, RotationHead, WriteRota};
use dutykey_engine::ports::witness::Event;
use dutykey_platforms::sandbox::{Fault, FaultKind, Operation, Override, Shown};
use dutykey_policy::installation::Topic;
use dutykey_policy::time::Span;
use serde_json::json;

use super::world::*;

/// Ann until minute 100, Bob after her; a lease of an hour.
fn two() -> Company {
    Company::of(["ann", "bob"])
        .shifts("primary", &[shift("ann", "1m", "30m"), shift("bob", "30m", "200m")])
        .profile(with(profile("on-call", &["prod"], &["primary"]), |rule| rule.lease = h(1)))
}

#[tokio::test(start_paused = true)]
async fn r8_a_rotation_that_cannot_be_kept_makes_only_itself_stale() {
    // More shifts on one day than are kept of a rotation.
    let crowded: Vec<_> = (0..1_001).map(|n| shift("bob", &format!("{n}s"), &format!("{}s", n + 60))).collect();
    let world = two().shifts("crowded", &crowded).start().await;
    world.run_until(m(31)).await;
    assert_eq!(world.changes("ann", "prod"), [(m(1), "added"), (m(30), "removed")], "the others go on");
    assert!(world.has("bob", "prod"));
    let id = rotation_id("crowded");
    let head = world.store.heads(std::slice::from_ref(&id)).await.unwrap().remove(&id).expect("it is watched");
    let failure = head.failure.expect("it is shown as what could not be read");
    assert!(failure.contains("at most 1000"), "it says why: {failure}");
    assert_eq!(head.fresh_at, None, "R8: it is no fresher for that");
}

#[tokio::test(start_paused = true)]
async fn p7_what_is_too_much_for_the_brake_to_hold_changes_nothing_and_is_said() {
    let at = |n: u32| format!("{}m", 100 + 5 * n);
    let gone = |n: u32| json!({ "user": "ann", "from": at(n), "to": at(n + 1), "withdrawn": "10m" });
    let crowded: Vec<_> = (0..2_100).map(gone).collect();
    let world = Company::of(["ann", "bob"])
        .shifts("primary", &[shift("bob", "1m", "20m")])
        .shifts("crowded", &crowded)
        .profile(with(profile("on-call", &["prod"], &["crowded"]), |rule| rule.lease = h(1)))
        .start()
        .await;
    world.run_until(m(20)).await;
    let id = rotation_id("crowded");
    let head = world.store.heads(std::slice::from_ref(&id)).await.unwrap().remove(&id).expect("it is watched");
    let failure = head.failure.expect("it is shown as what could not be read");
    assert!(failure.contains("2100 shifts"), "it says why: {failure}");
    let known = world.store.known(&id, Span::new(world.at(m(100)), world.at(h(200))).unwrap()).await.unwrap();
    assert_eq!(known.iter().filter(|known| known.stands()).count(), 2_100, "P6: its last view stands");
}

#[tokio::test(start_paused = true)]
async fn p6_silence_is_not_an_empty_rota_until_the_lease_is_over() {
    for kind in [FaultKind::Outage, FaultKind::NotFound, FaultKind::Garbage, FaultKind::Empty] {
        let world = two().start().await;
        world.run_until(m(2)).await;
        let faulty = Fault { from: world.at(m(2)), to: world.at(m(82)), ..Fault::always(kind) };
        world.platform.inject(Fault { on: Some(Operation::Shifts), ..faulty });
        world.run_until(m(31)).await;
        assert_eq!(
            world.changes("ann", "prod"),
            [(m(1), "added"), (m(30), "removed")],
            "P6: known ends come ({kind:?})"
        );
        assert_eq!(world.changes("bob", "prod"), [(m(30), "added")], "P6: known starts come ({kind:?})");
        if kind == FaultKind::Empty {
            // A well-formed answer is fresh: no lease runs, and the brake holds what nobody forecast.
            assert_eq!(world.notices(Topic::Brake).len(), 1);
            continue;
        }
        // The last complete view was read 45 seconds before Ann's start, or at it.
        let fresh =
            world.store.heads(&[rotation_id("primary")]).await.unwrap().remove(&rotation_id("primary")).unwrap();
        let end = world.since(fresh.fresh_at.unwrap()) + h(1);
        world.run_until(end - s(1)).await;
        assert!(world.has("bob", "prod"), "P6: the view stands until the lease is over ({kind:?})");
        let told: Vec<_> = world.notices(Topic::Stale).into_iter().map(|(at, _)| at).collect();
        assert!(!told.is_empty() && told[0] <= end - m(29), "R8: announced half an hour before: {told:?}");
        world.run_until(end + s(1)).await;
        assert!(!world.has("bob", "prod"), "R8: the lease is over ({kind:?})");
        world.run_until(m(90)).await;
        assert!(world.has("bob", "prod"), "the platform is back ({kind:?})");
        assert_eq!(world.changes("bob", "prod").len(), 3, "once, without flapping ({kind:?})");
    }
}

#[tokio::test(start_paused = true)]
async fn r8_after_a_pause_no_lease_ends_before_a_read_has_failed() {
    let mut world = two().start().await;
    world.run_until(m(40)).await;
    assert!(world.has("bob", "prod"));
    world.stop().await;
    world.run_until(m(180)).await;
    world.begin();
    world.run_until(m(195)).await;
    assert_eq!(world.changes("bob", "prod"), [(m(30), "added")], "R8: the first act is a read, and it is fresh");
    world.stop().await;

    // The platform is down when we come back.
    let mut world = two().start().await;
    world.run_until(m(40)).await;
    world.stop().await;
    world.run_until(m(120)).await;
    world.platform.inject(Fault::always(FaultKind::Outage));
    world.begin();
    world.run_until(m(132)).await;
    assert!(!world.has("bob", "prod"), "R8: the read failed, so the lease is over");
    world.is_over().await;
}

async fn head(world: &World, id: &str) -> RotationHead {
    world.store.heads(&[rotation_id(id)]).await.unwrap().remove(&rotation_id(id)).expect("the rotation was read")
}

#[tokio::test(start_paused = true)]
async fn p7_a_swap_passes_and_a_rotation_that_loses_its_only_one_waits_for_a_release() {
    let world = Company::of(["ann", "bob", "cat"])
        .rotation("primary", json!({ "shifts": [{ "user": "ann", "from": "1m", "to": "5h", "withdrawn": "72m" }] }))
        .shifts("second", &[shift("bob", "1m", "90m")])
        .profile(profile("on-call", &["prod"], &["primary", "second"]))
        .start()
        .await;
    world.run_until(m(62)).await;
    let span = Span::new(world.at(m(65)), world.at(m(70))).unwrap();
    let (user, shown) = ("cat".parse().unwrap(), Shown::from(world.at(m(63))));
    let swap = Override { user, span, by: None, replaces: None, shown };
    world.platform.add_override(&rotation_id("primary"), swap).unwrap();
    world.run_until(m(67)).await;
    assert_eq!(world.members("prod"), ["bob".to_owned(), "cat".to_owned()].into(), "P7: a swap passes");
    world.run_until(m(91)).await;
    assert_eq!(world.members("prod"), ["ann".to_owned()].into(), "P7: what nobody forecast waits, the rest goes on");
    assert_eq!(world.notices(Topic::Brake).len(), 1, "told once: {:?}", world.notices(Topic::Brake));
    answer(&world, |held| held.released = true).await;
    world.run_until(m(97)).await;
    assert!(!world.has("ann", "prod"), "P7: released, it passes");
    world.is_over().await;
}

/// An administrator's word on what the brake holds of `primary`.
async fn answer(world: &World, word: impl Fn(&mut HeldChange)) {
    let mut head = head(world, "primary").await;
    word(head.held.as_mut().expect("the change waits"));
    let change = RotationChange {
        expected: head.generation,
        head,
        at: world.clock.now(),
        known: None,
        evidence: Vec::new(),
        notices: Vec::new(),
    };
    world.store.change_rotation(&change).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn p7_what_an_administrator_discards_does_not_pass_with_a_lease() {
    for (discarded, holds) in [(false, false), (true, true)] {
        let withdrawn = [("ann", "20h"), ("bob", "3h")]
            .map(|(user, to)| json!({ "user": user, "from": "1m", "to": to, "withdrawn": "72m" }));
        let world = Company::of(["ann", "bob"])
            .rotation("primary", json!({ "shifts": withdrawn }))
            .profile(profile("on-call", &["prod"], &["primary"]))
            .start()
            .await;
        world.run_until(m(80)).await;
        answer(&world, |held| held.discarded = discarded).await;
        let plan = head(&world, "primary").await.held.expect("the change waits");
        world.run_until(h(4)).await;
        assert_eq!(world.members("prod"), ["ann".to_owned()].into(), "P7: what waits ends as it was known");
        assert_eq!(head(&world, "primary").await.held, Some(plan), "R7: what has ended makes no other plan of it");
        world.run_until(h(10)).await;
        assert_eq!(world.has("ann", "prod"), holds, "P7: discarded is {discarded}");
        assert_eq!(world.notices(Topic::Brake).len(), 1, "told once");
    }
}

#[tokio::test(start_paused = true)]
async fn p7_a_slow_drain_adds_up() {
    let shifts: Vec<_> = (0..8)
        .map(|n| json!({ "user": format!("p{n}"), "from": "1m", "to": "10h", "withdrawn": format!("{}m", 62 + 5 * n) }))
        .collect();
    let people: Vec<String> = (0..8).map(|n| format!("p{n}")).collect();
    let world = Company::of(people.iter().map(String::as_str))
        .rotation("primary", json!({ "shifts": shifts }))
        .profile(profile("on-call", &["prod"], &["primary"]))
        .start()
        .await;
    world.run_until(m(110)).await;
    assert!(world.members("prod").len() >= 4, "P7: at most half may drain away: {:?}", world.members("prod"));
}

/// Bob takes over from Ann at minute 30; one minute before, he gives his shift to Cat.
fn late_override() -> Company {
    Company::of(["ann", "bob", "cat"])
        .rotation(
            "primary",
            json!({
                "shifts": [shift("ann", "1m", "30m"), shift("bob", "30m", "60m")],
                "overrides": [{ "user": "cat", "from": "30m", "to": "60m", "announced": "29m" }],
            }),
        )
        .profile(profile("on-call", &["prod"], &["primary"]))
}

fn is_cats(world: &World, why: &str) {
    assert_eq!(world.changes("cat", "prod"), [(m(30), "added")], "R15: read once more before the boundary, {why}");
    assert_eq!(world.changes("ann", "prod").last(), Some(&(m(30), "removed")));
    assert!(world.changes("bob", "prod").is_empty());
}

#[tokio::test(start_paused = true)]
async fn r15_an_override_made_shortly_before_a_hand_off_counts() {
    let world = late_override().start().await;
    world.run_until(m(31)).await;
    is_cats(&world, "as ever");
    let reads = world.platform.calls(Operation::Shifts);
    assert!(reads <= 9, "R15: {reads} reads in half an hour: seven by the schedule, and one before each boundary");
}

#[tokio::test(start_paused = true)]
async fn r15_a_read_that_fails_takes_nothing_from_the_one_before_the_boundary() {
    let world = late_override().start().await;
    world.run_until(m(24)).await;
    let outage = Fault { from: world.at(m(24)), to: world.at(m(28)), ..Fault::always(FaultKind::Outage) };
    world.platform.inject(outage);
    world.run_until(m(31)).await;
    assert!(world.events().iter().any(|(_, event)| matches!(event, Event::ViewFailed { .. })), "a read has failed");
    is_cats(&world, "although the read of the schedule failed");
}
