//! Writers of one object take turns.

use std::collections::BTreeSet;
use std::time::Duration;

use dutykey_engine::ports::turns::ReadTurns;
use dutykey_engine::ports::witness::Event;
use dutykey_policy::hold::{Act, State};
use serde_json::json;

use super::world::*;

/// People with these numbers.
fn people(numbers: std::ops::Range<usize>) -> Vec<String> {
    numbers.map(|number| format!("p{number:03}")).collect()
}

fn set(people: &[String]) -> BTreeSet<String> {
    people.iter().cloned().collect()
}

/// A company whose app answers after 300 ms and bears only so many calls at a time.
fn company(people: &[String], shifts: &[serde_json::Value], serialize: serde_json::Value) -> Company {
    Company::of(people.iter().map(String::as_str))
        .shifts("primary", shifts)
        .profile(profile("on-call", &["prod"], &["primary"]))
        .target("latency_ms", json!(300))
        .target("serialize", serialize)
}

/// The proven revocations until now.
fn revoked(world: &World) -> Vec<Act> {
    let act = |(_, event): (Duration, Event)| match event {
        Event::Revoked(hold) => hold.revoked,
        _ => None,
    };
    world.events().into_iter().filter_map(act).collect()
}

async fn nobody_holds_a_turn(world: &World, key: &str) {
    let left = world.store.turns(&"directory".parse().unwrap(), key).await.unwrap();
    assert!(left.is_empty(), "a turn is given back with its result: {left:#?}");
}

#[tokio::test(start_paused = true)]
async fn r11_a_group_that_bears_one_call_at_a_time_is_handed_over_without_a_conflict() {
    let people = people(0..20);
    let shifts = people.iter().enumerate();
    let shifts: Vec<_> =
        shifts.map(|(n, who)| if n < 10 { shift(who, "0s", "10m") } else { shift(who, "10m", "20m") }).collect();
    let world = company(&people, &shifts, json!("place")).start().await;
    world.run_until(m(13)).await;
    assert_eq!(world.members("prod"), set(&people[10..]));
    world.run_until(m(23)).await;
    world.is_over().await;
    nobody_holds_a_turn(&world, "place/group/prod").await;
    assert_eq!(world.gate.conflicts(), 0, "R11: a conflict is what turns are for");
    let failed = world.evidence().await.into_iter().filter(|record| record["act"] == "attempt.failed").count();
    assert_eq!(failed, 0, "R12: a wait for a turn is no failure");
    let waits: Vec<i64> = revoked(&world).iter().map(Act::turn_wait_ms).collect();
    let waited = waits.iter().any(|wait| *wait > 1_000);
    assert!(waited && world.lags().iter().all(|lag| *lag <= 2_000), "R12: {waits:?} are apart from {:?}", world.lags());
}

#[tokio::test(start_paused = true)]
async fn r11_ends_do_not_wait_behind_two_hundred_grants() {
    let people = people(0..204);
    let shifts = people.iter().enumerate();
    let shifts: Vec<_> =
        shifts.map(|(n, who)| if n < 4 { shift(who, "0s", "10m") } else { shift(who, "10m", "612s") }).collect();
    let world = company(&people, &shifts, json!({ "by": "app", "turns": 3 })).start().await;
    world.run_until(m(10) + s(10)).await;
    // Two of the three turns are closed to grants. An end holds one for 600 ms, its call and the read after it; it looks
    // again after at least 500 ms, then at least a second. So with three others it finds both held at two looks at most,
    // which costs at most three seconds; two more are those that anybody has.
    let ends = revoked(&world);
    let late: Vec<i64> =
        ends.iter().map(|act| act.started.duration_since(act.due).as_millis().try_into().unwrap()).collect();
    assert!(
        ends.len() == 4 && late.iter().all(|late| *late <= 5_000),
        "R11: the ends left {late:?} ms after their time"
    );
    let waiting = world.holds().await.into_iter().filter(|hold| hold.state == State::Wanted);
    let (mut waits, mut failures) = (0, 0);
    for retry in waiting.filter_map(|hold| hold.retry) {
        waits += usize::from(retry.turn.is_some());
        failures += retry.failures;
    }
    assert!(
        waits >= 150 && failures == 0,
        "R12: {waits} grants are shown waiting for a turn, with {failures} failures"
    );
    let members = world.members("prod");
    assert!(members.len() >= 5 && members.is_subset(&set(&people[4..])), "the grants' own turn is used: {members:?}");
    assert_eq!(world.gate.conflicts(), 0, "R11: a conflict is what turns are for");
    world.run_until(m(12)).await;
    world.is_over().await;
    nobody_holds_a_turn(&world, "app").await;
}

#[tokio::test(start_paused = true)]
async fn r11_the_turn_of_a_worker_that_died_is_free_after_its_time() {
    let names = ["ann", "bob"].map(str::to_owned);
    let shifts = [shift("ann", "62s", "10m"), shift("bob", "215s", "10m")];
    // A tick sends messages 150 s ahead: that of the other start is not lost with the process.
    let mut world = company(&names, &shifts, json!("place")).target("deadline", json!("150s")).start().await;
    world.run_until(s(62) + Duration::from_millis(450)).await;
    world.kill().await;
    let open = world.hold("ann").await.open.expect("the worker died during its call");
    assert_eq!(open.turns.len(), 1, "it died with a turn");
    world.begin();
    let free = world.since(open.not_after);
    world.run_until(free).await;
    assert_eq!(world.changes("bob", "prod"), [], "R11: nobody calls while the dead worker's call may still act");
    world.run_until(free + s(17)).await;
    assert!(world.has("bob", "prod"), "R11: after that it is as free as any: the next look is within 15 s");
    world.run_until(m(12)).await;
    world.is_over().await;
    assert_eq!(world.gate.conflicts(), 0);
    nobody_holds_a_turn(&world, "place/group/prod").await;
}

#[tokio::test(start_paused = true)]
async fn r11_an_operation_keeps_its_turn_until_it_is_polled_to_its_end() {
    let people = people(0..3);
    let shifts: Vec<_> = people.iter().map(|who| shift(who, "1m", "4m")).collect();
    let world = company(&people, &shifts, json!("app")).target("asynchronous", json!("8s")).start().await;
    world.run_until(m(3)).await;
    assert_eq!(world.members("prod"), set(&people));
    world.run_until(m(8)).await;
    world.is_over().await;
    assert_eq!(world.gate.conflicts(), 0, "R11: the operation is under way until its end, and so is the turn");
    nobody_holds_a_turn(&world, "app").await;
}
