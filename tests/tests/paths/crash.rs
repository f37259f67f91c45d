//! A table that fails and a process that is killed, at every point of a short path.

use super::gate::Trip;
use super::world::*;

/// Ann is on call from 1:02 to 1:08.
fn company() -> Company {
    Company::of(["ann"]).shifts("primary", &[shift("ann", "62s", "68s")]).profile(profile(
        "on-call",
        &["prod"],
        &["primary"],
    ))
}

/// The path in which something happens at one point.
async fn path(number: u64, trip: Trip) {
    let mut world = company().start().await;
    world.run_until(s(61)).await;
    world.gate.set(Some((number, trip)));
    let gate = world.gate.clone();
    tokio::select! {
        () = world.run_until(s(75)) => {}
        () = gate.death() => {
            world.kill().await;
            world.gate.set(None);
            world.begin();
        }
    }
    world.run_until(s(75)).await;
    world.gate.set(None);
    world.run_until(m(4)).await;
    let changes = world.changes("ann", "prod");
    let what: Vec<_> = changes.iter().map(|(_, what)| *what).collect();
    assert!(
        what.is_empty() || what == ["added", "removed"],
        "P10: {trip:?} at point {number}: never a second grant or revocation: {changes:?}"
    );
    world.is_over().await;
}

/// How many points a path has that nothing disturbs.
async fn points() -> u64 {
    let world = company().start().await;
    world.run_until(s(61)).await;
    world.gate.set(None);
    world.run_until(s(75)).await;
    world.gate.passed()
}

#[tokio::test(start_paused = true)]
async fn p10_a_process_that_is_killed_at_any_point_ends_as_if_it_had_lived() {
    for number in 0..points().await {
        path(number, Trip::Dead).await;
    }
}

#[tokio::test(start_paused = true)]
async fn p10_a_table_that_fails_at_any_point_costs_time_and_no_call() {
    // Each fault at every third point, each from another one on: together every point is struck.
    for (first, trip) in [Trip::Throttled, Trip::LostAnswer, Trip::Conflict].into_iter().enumerate() {
        for number in (first as u64..points().await).step_by(3) {
            path(number, trip).await;
        }
    }
}
