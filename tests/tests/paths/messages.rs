//! Messages that come twice, late, in another order or never, and several workers at once.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use dutykey_engine::ports::clock::Clock;
use dutykey_engine::ports::queue::{Message, Queue};
use dutykey_platforms::sandbox::{Fault, FaultKind, Operation};
use dutykey_policy::time::later;
use jiff::Timestamp;
use serde_json::Value;

use super::world::*;

fn company() -> Company {
    Company::of(["ann", "bob"])
        .shifts("primary", &[shift("ann", "2m", "5m"), shift("bob", "5m", "8m")])
        .profile(profile("on-call", &["prod", "logs"], &["primary"]))
        .target("latency_ms", serde_json::json!(200))
}

async fn as_if_nothing_had_happened(world: &World) {
    for (who, from, to) in [("ann", 2, 5), ("bob", 5, 8)] {
        for group in ["prod", "logs"] {
            let changes = world.changes(who, group);
            let what: Vec<_> = changes.iter().map(|(_, what)| *what).collect();
            assert_eq!(
                what,
                ["added", "removed"],
                "P10: one grant and one revocation of {who} in {group}: {changes:?}"
            );
            for ((at, _), due) in changes.iter().zip([m(from), m(to)]) {
                assert!(*at >= due && *at <= due + s(75), "P10: {who} in {group} at {at:?}, due {due:?}");
            }
        }
    }
    world.is_over().await;
}

#[tokio::test(start_paused = true)]
async fn p10_messages_that_come_again_and_again_change_nothing() {
    let mut world = company().stopped().await;
    let process = world.process(world.clock.clone(), 7);
    let queues = process.queues();
    world.begin_with(process);
    for second in (0..600_u64).step_by(13) {
        world.run_until(s(second)).await;
        for who in ["bob", "ann", "bob", "ann"] {
            let Some(person) = world.person(who).await else { continue };
            for queue in [Queue::Revocation, Queue::Provisioning, Queue::Sync] {
                let message = Message::person(person.clone(), "again");
                let at = world.clock.now();
                queues.send(queue, vec![message.clone().at(later(at, s(second % 5))), message]).await.unwrap();
            }
        }
    }
    as_if_nothing_had_happened(&world).await;
}

#[tokio::test(start_paused = true)]
async fn p10_what_a_lost_message_said_is_found_by_the_tick() {
    let mut world = company().start().await;
    // A process that is killed loses every message that waits; the next one begins with none.
    for second in [118, 119, 299, 300, 479, 480] {
        world.run_until(s(second)).await;
        world.kill().await;
        world.run_until(s(second) + Duration::from_millis(500)).await;
        world.begin();
    }
    world.run_until(m(10)).await;
    as_if_nothing_had_happened(&world).await;
}

/// A clock that is ahead of another, or behind it.
struct Skewed(Arc<dyn Clock>, jiff::SignedDuration);

#[async_trait]
impl Clock for Skewed {
    fn now(&self) -> Timestamp {
        self.0.now() + self.1
    }
    async fn sleep_until(&self, at: Timestamp) {
        self.0.sleep_until(at.checked_sub(self.1).unwrap_or(at)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn r25_two_workers_whose_clocks_differ_do_not_flap() {
    for millis in [50, -50] {
        let mut world = company().start().await;
        let clock = Skewed(world.clock.clone(), jiff::SignedDuration::from_millis(millis));
        world.begin_with(world.process(Arc::new(clock), 99));
        world.run_until(m(10)).await;
        for (who, group) in [("ann", "prod"), ("ann", "logs"), ("bob", "prod"), ("bob", "logs")] {
            assert_eq!(world.changes(who, group).len(), 2, "R25: no flap of {who}: {:?}", world.changes(who, group));
        }
        world.is_over().await;
    }
}

#[tokio::test(start_paused = true)]
async fn p9_each_call_has_its_attempt_in_the_evidence_and_the_chain_verifies() {
    let world = company().start().await;
    world.run_until(m(10)).await;
    let evidence = world.evidence().await;
    let effects = world.target.effects().len();
    let is_attempt = |record: &&Value| record["act"].as_str().is_some_and(|act| act.ends_with(".attempt"));
    let attempts: Vec<_> = evidence.iter().filter(is_attempt).collect();
    assert_eq!(attempts.len(), effects, "P9: each effect has exactly one attempt before it: {attempts:#?}");
}

#[tokio::test(start_paused = true)]
async fn r15_a_source_that_takes_longer_than_its_pace_is_read_once_at_a_time() {
    let mut company = Company::of(["ann"]).profile(profile("on-call", &["prod"], &["r0"]));
    for number in 0..20 {
        company = company.shifts(&format!("r{number}"), &[shift("ann", "0m", "100h")]);
    }
    let world = company.start().await;
    world.run_until(m(4)).await;
    // Twenty rotations of 25 s each: a read takes more than eight minutes, and is due every five.
    let slow = Fault { on: Some(Operation::Shifts), after: Some(s(25)), ..Fault::always(FaultKind::Slow) };
    world.platform.inject(slow);
    let before = world.platform.calls(Operation::Shifts);
    world.run_until(m(64)).await;
    let reads = world.platform.calls(Operation::Shifts) - before;
    assert!(
        (100..=140).contains(&reads),
        "{reads} rotations were read in an hour: six reads of twenty, or a little more"
    );
}
