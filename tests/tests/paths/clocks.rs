//! A machine whose clock is wrong, and one that sleeps.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use dutykey_engine::ports::clock::Clock;
use dutykey_policy::time::{later, rfc3339};
use dutykey_runtime::clock::WatchedClock;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;

use super::world::{Company, World, h, m, profile, s, shift};

/// A clock that can be set. Whoever sleeps by it sees that at once.
pub(crate) struct Settable {
    inner: Arc<dyn Clock>,
    ahead: watch::Sender<SignedDuration>,
}

impl Settable {
    pub(crate) fn over(inner: Arc<dyn Clock>) -> Self {
        Self { inner, ahead: watch::Sender::new(SignedDuration::ZERO) }
    }

    /// Sets it so far ahead of the clock beneath it.
    fn set(&self, ahead: SignedDuration) {
        self.ahead.send_replace(ahead);
    }
}

#[async_trait]
impl Clock for Settable {
    fn now(&self) -> Timestamp {
        self.inner.now() + *self.ahead.borrow()
    }

    async fn sleep_until(&self, at: Timestamp) {
        let mut ahead = self.ahead.subscribe();
        while self.now() < at {
            let beneath = at.checked_sub(*ahead.borrow_and_update()).unwrap_or(at);
            tokio::select! {
                () = self.inner.sleep_until(beneath) => {}
                _ = ahead.changed() => {}
            }
        }
    }
}

/// Ann is on call until two, then Bob until half past four.
async fn company() -> (World, Arc<Settable>) {
    let shifts = [shift("ann", "10m", "2h"), shift("bob", "2h", "270m")];
    let company = Company::of(["ann", "bob"]).shifts("r", &shifts).profile(profile("on-call", &["prod"], &["r"]));
    let mut world = company.stopped().await;
    let wall = Arc::new(Settable::over(world.truth.clone()));
    let clock = Arc::new(WatchedClock::over(wall.clone()));
    world.gate.heard_by(clock.clone(), world.truth.clone());
    world.begin_with(world.process(clock, 7));
    (world, wall)
}

/// When what happened to them, in whole minutes.
fn story(world: &World) -> Vec<(&'static str, &'static str, u64)> {
    let of = |who| world.changes(who, "prod").into_iter().map(move |(at, what)| (who, what, at.as_secs() / 60));
    ["ann", "bob"].into_iter().flat_map(of).collect()
}

#[tokio::test(start_paused = true)]
async fn r25_a_worker_whose_clock_is_wrong_decides_nothing_until_it_agrees_again() {
    for wrong in [SignedDuration::from_hours(3), SignedDuration::from_secs(-5)] {
        let (mut world, wall) = company().await;
        world.run_until(m(115)).await;
        assert_eq!(story(&world), [("ann", "added", 10)]);
        wall.set(wrong);
        world.run_until(m(130)).await;
        assert_eq!(story(&world), [("ann", "added", 10)], "R25: neither an early nor a late end by a wrong clock");
        wall.set(SignedDuration::ZERO);
        world.run_until(m(131)).await;
        assert_eq!(story(&world), [("ann", "added", 10), ("ann", "removed", 130), ("bob", "added", 130)]);
        let [set, right, now] = [m(115), m(130), m(131)].map(|after| rfc3339(world.at(after)));
        let evidence = world.evidence().await;
        let since: Vec<&str> =
            evidence.iter().filter_map(|record| record["at"].as_str()).filter(|at| *at > &*set).collect();
        assert!(
            !since.is_empty() && since.iter().all(|at| (&*right..=&*now).contains(at)),
            "R25: nothing is recorded by a wrong clock, and what is has the time of a right one: {since:?}"
        );
        world.run_until(h(5)).await;
        world.stop().await;
        world.is_over().await;
    }
}

#[tokio::test(start_paused = true)]
async fn r25_a_laptop_that_slept_goes_on_as_soon_as_its_clock_is_confirmed() {
    let (mut world, _) = company().await;
    world.run_until(m(60)).await;
    assert_eq!(story(&world), [("ann", "added", 10)]);
    // The world goes on, and nothing in the machine does.
    world.truth.set(SignedDuration::from_hours(3));
    assert_eq!(world.clock.now(), world.at(h(4)));
    world.run_until(h(4) + s(20)).await;
    assert_eq!(story(&world), [("ann", "added", 10), ("ann", "removed", 240), ("bob", "added", 240)]);
    world.run_until(h(5)).await;
    world.stop().await;
    world.is_over().await;
}

#[tokio::test(start_paused = true)]
async fn r25_a_laptop_that_wakes_with_a_wrong_clock_takes_nothing_away() {
    let (mut world, wall) = company().await;
    world.run_until(m(60)).await;
    world.truth.set(SignedDuration::from_mins(30));
    wall.set(SignedDuration::from_mins(45));
    assert!(
        later(world.clock.now(), Duration::from_secs(45 * 60)) > world.at(h(2)),
        "by its clock Ann's shift is over"
    );
    world.run_until(h(2) - s(1)).await;
    assert_eq!(story(&world), [("ann", "added", 10)], "R25: the person on call keeps their access");
    wall.set(SignedDuration::ZERO);
    world.run_until(h(2) + m(1)).await;
    assert_eq!(story(&world), [("ann", "added", 10), ("ann", "removed", 120), ("bob", "added", 120)]);
    world.stop().await;
}
