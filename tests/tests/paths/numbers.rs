//! How Dutykey stands, as each tick counts it.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use dutykey_engine::brake::{Brakes, By, Word};
use dutykey_engine::ports::clock::Clock;
use dutykey_engine::ports::ledger::{Notice, StoreError};
use dutykey_engine::ports::notify::{Notify, NotifyError};
use dutykey_engine::ports::rota::{RotationChange, RotationHead, WriteRota as _};
use dutykey_engine::ports::rules::ReadRules;
use dutykey_engine::ports::summary::{Followed, KeepSummary, Lags, ReadSummary};
use dutykey_engine::ports::witness::{Event, Witness};
use dutykey_engine::summary::Summary;
use dutykey_engine::tick::Ticker;
use dutykey_platforms::sandbox::{Fault, FaultKind, Operation};
use dutykey_policy::hold::Hold;
use dutykey_policy::installation::{Rotations, Topic};
use dutykey_policy::roll::Roll;
use dutykey_policy::time::later;
use dutykey_targets::sandbox;
use jiff::Timestamp;
use serde_json::json;

use super::world::*;

/// What the last tick has counted.
fn counted(world: &World) -> Summary {
    let summary = |(_, event)| match event {
        Event::Counted(summary) => Some(summary),
        _ => None,
    };
    world.events().into_iter().rev().find_map(summary).expect("a tick has counted")
}

#[tokio::test(start_paused = true)]
async fn p1_p6_p7_p8_what_somebody_must_look_at_is_counted_each_minute() {
    let stranger = json!([{ "id": "ann", "email": "ann@example.com" }, { "id": "bob", "email": "bob@elsewhere.org" }]);
    let world = Company::of(["ann", "bob"])
        .platform("users", stranger)
        .rotation(
            "primary",
            json!({ "shifts": [
                { "user": "ann", "from": "1m", "to": "10m" },
                { "user": "bob", "from": "20m", "to": "400h" },
            ]}),
        )
        .rotation("second", json!({ "shifts": [{ "user": "ann", "from": "0m", "to": "400h", "withdrawn": "72m" }] }))
        .shifts("unused", &[shift("ann", "1m", "10m")])
        .profile(profile("on-call", &["prod"], &["primary"]))
        .profile(profile("logs", &["logs"], &["second"]))
        .start()
        .await;
    world.run_until(m(8)).await;
    let calm = counted(&world);
    assert_eq!((calm.overdue, calm.stale_sources, calm.brakes, calm.unmatched), (0, 0, 0, 1), "P8: {calm:?}");
    // From minute 10 to minute 20; nobody waits for what gives nothing.
    assert_eq!(calm.gaps, 1, "{calm:?}");

    let fails =
        sandbox::Fault { on: Some(sandbox::Operation::Revoke), ..sandbox::Fault::always(sandbox::FaultKind::Fail) };
    world.target.inject(sandbox::Fault { to: world.at(m(16)), ..fails });
    world.run_until(m(15) + s(1)).await;
    let late = counted(&world);
    assert_eq!((late.overdue, late.oldest), (1, m(5)), "P1: {late:?}");
    world.run_until(m(25)).await;
    assert_eq!((counted(&world).overdue, counted(&world).gaps), (0, 0), "{:?}", counted(&world));

    let (granted, revoked) = (counted(&world).grants, counted(&world).revocations);
    assert!(granted.is_some() && revoked.is_some(), "P12: of what has ended: {granted:?}, {revoked:?}");

    world.run_until(m(80)).await;
    assert_eq!(counted(&world).brakes, 1, "P7: {:?}", counted(&world));
    world.platform.inject(Fault { from: world.at(m(80)), ..Fault::always(FaultKind::Outage) });
    world.run_until(m(101)).await;
    assert_eq!(counted(&world).stale_sources, 1, "P6: three reads were missed");
    assert_eq!(world.store.last_summary().await, Ok(Some(counted(&world))), "the overview shows what was counted");
}

#[tokio::test(start_paused = true)]
async fn r7_what_an_administrator_has_discarded_is_held_on_and_waits_for_nobody() {
    let world = Company::of(["ann"])
        .rotation("primary", json!({ "shifts": [{ "user": "ann", "from": "1m", "to": "400h", "withdrawn": "72m" }] }))
        .profile(profile("on-call", &["prod"], &["primary"]))
        .start()
        .await;
    world.run_until(m(80)).await;
    assert_eq!(counted(&world).brakes, 1, "P7: {:?}", counted(&world));
    let brakes = Brakes::over(Arc::new(world.store.clone()), world.clock.clone());
    let held = brakes.holding().await.unwrap().rotations;
    brakes.say(&held[0].1.digest, Word::Discard, &By::CommandLine).await.unwrap();
    world.run_until(m(90)).await;
    assert_eq!(counted(&world).brakes, 0, "the alarm ends with the word, not with what is held: {:?}", counted(&world));
    assert_eq!(brakes.holding().await.unwrap().rotations.len(), 1, "it is held for as long as it is shown");
}

#[tokio::test(start_paused = true)]
async fn p6_p8_a_rotation_is_counted_for_as_long_as_something_hangs_on_it() {
    let stranger = json!([{ "id": "ann", "email": "ann@example.com" }, { "id": "bob", "email": "bob@elsewhere.org" }]);
    let mut world = Company::of(["ann", "bob"])
        .platform("users", stranger)
        .shifts("primary", &[shift("ann", "1m", "10h")])
        .shifts("deleted", &[shift("bob", "1m", "10h")])
        .profile(profile("on-call", &["prod"], &["primary"]))
        .profile(profile("logs", &["logs"], &["deleted"]))
        .start()
        .await;
    let stale_and_unmatched = |world: &World| (counted(world).stale_sources, counted(world).unmatched);
    world.run_until(m(8)).await;
    assert_eq!(stale_and_unmatched(&world), (0, 1), "P8: {:?}", counted(&world));
    let (on, rotation) = (Some(Operation::Shifts), Some(rotation_id("deleted")));
    let gone = Fault { from: world.at(m(8)), on, rotation, ..Fault::always(FaultKind::NotFound) };
    world.platform.inject(gone);
    world.run_until(m(30)).await;
    assert_eq!(stale_and_unmatched(&world), (1, 1), "P6: a profile names it: {:?}", counted(&world));
    world.configure(|installation| drop(installation.profiles.pop())).await;
    world.run_until(m(32)).await;
    assert_eq!(stale_and_unmatched(&world), (0, 0), "nothing hangs on it: {:?}", counted(&world));
    let listed = ["primary", "deleted"].map(str::to_owned).to_vec();
    world.configure(|installation| installation.sources[0].rotations = Rotations::Listed(listed)).await;
    world.run_until(m(34)).await;
    assert_eq!(stale_and_unmatched(&world), (1, 1), "the configuration lists it: {:?}", counted(&world));
}

#[tokio::test(start_paused = true)]
async fn r15_every_request_to_a_platform_is_counted_not_every_rotation() {
    let world = Company::of(["ann"])
        .shifts("primary", &[shift("ann", "1m", "10h")])
        .profile(profile("on-call", &["prod"], &["primary"]))
        .start()
        .await;
    world.run_until(m(64)).await;
    let asked = |(_, event)| match event {
        Event::PlatformAsked(requests) => Some(requests),
        _ => None,
    };
    let counted: u64 = world.events().into_iter().filter_map(asked).sum();
    let kinds = [Operation::Check, Operation::Users, Operation::Teams, Operation::Rotations, Operation::Shifts];
    assert_eq!(counted, kinds.map(|kind| world.platform.calls(kind)).iter().sum::<u64>());
}

/// A table that does not answer when it is to be counted.
struct Silent;

#[async_trait]
impl ReadSummary for Silent {
    async fn followed(&self) -> Result<(Vec<Followed>, Roll), StoreError> {
        std::future::pending().await
    }
    async fn past_due(&self, _: Timestamp, _: usize) -> Result<Vec<Hold>, StoreError> {
        Err(StoreError::Unavailable("it is down".to_owned()))
    }
    async fn lags(&self, _: Timestamp) -> Result<Lags, StoreError> {
        Err(StoreError::Unavailable("it is down".to_owned()))
    }
}

#[async_trait]
impl KeepSummary for Silent {
    async fn keep_summary(&self, summary: &Summary) -> Result<(), StoreError> {
        panic!("nothing could be counted, and this is to be kept: {summary:?}")
    }
}

struct Nobody;

impl Witness for Nobody {
    fn saw(&self, event: &Event) {
        assert!(!matches!(event, Event::Counted(_)), "nothing could be counted");
    }
}

#[async_trait]
impl Notify for Nobody {
    async fn tell(&self, _: &Notice) -> Result<(), NotifyError> {
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn p12_a_tick_neither_waits_for_numbers_nor_fails_for_them() {
    let world = Company::of(["ann"]).profile(profile("on-call", &["prod"], &["primary"])).stopped().await;
    let store = Arc::new(world.store.clone());
    let ticker = Ticker {
        due: store.clone(),
        numbers: Arc::new(Silent),
        queues: world.process(world.clock.clone(), 7).queues(),
        notify: Arc::new(Nobody),
        clock: world.clock.clone(),
        witness: Arc::new(Nobody),
    };
    ticker.tick().await.expect("the tick has done its work");
    assert_eq!(store.pulse().await.unwrap().ticked_at, Some(world.epoch));
    assert!(world.since(world.clock.now()) <= s(10), "numbers are given up: {:?}", world.since(world.clock.now()));
}

/// Tells what is new in four seconds, and takes as long to fail with everything else.
struct Slow {
    clock: Arc<dyn Clock>,
    tried: Mutex<Vec<String>>,
}

#[async_trait]
impl Notify for Slow {
    async fn tell(&self, notice: &Notice) -> Result<(), NotifyError> {
        self.tried.lock().unwrap().push(notice.id.clone());
        self.clock.sleep_until(later(self.clock.now(), s(4))).await;
        if notice.failures == 0 { Ok(()) } else { Err("it hangs".to_owned().into()) }
    }
}

#[tokio::test(start_paused = true)]
async fn p12_notices_that_fail_each_time_hold_up_none_that_is_new() {
    let world = Company::of(["ann"]).profile(profile("on-call", &["prod"], &["primary"])).stopped().await;
    let store = Arc::new(world.store.clone());
    let notice = |(id, failures): (&str, u32)| {
        let (id, text) = (id.to_owned(), id.to_owned());
        Notice { failures, ..Notice::new(id, Topic::Overdue, text, world.epoch) }
    };
    let notices = [("a", 9), ("b", 2), ("c", 9), ("new", 0)].map(notice).to_vec();
    let head = RotationHead::new(rotation_id("primary"), "primary".to_owned());
    let change = RotationChange { expected: 0, head, at: world.epoch, known: None, evidence: Vec::new(), notices };
    store.change_rotation(&change).await.unwrap();
    let notify = Arc::new(Slow { clock: world.clock.clone(), tried: Mutex::default() });
    let ticker = Ticker {
        due: store,
        numbers: Arc::new(Silent),
        queues: world.process(world.clock.clone(), 7).queues(),
        notify: notify.clone(),
        clock: world.clock.clone(),
        witness: Arc::new(Nobody),
    };
    let ticked = ticker.tick().await.expect("the tick has done its work");
    let tried = notify.tried.lock().unwrap().clone();
    assert_eq!(tried, ["new", "b", "a"], "in ten seconds: what has failed least comes first");
    assert_eq!(ticked.notices, 1, "what is new is told");
}
