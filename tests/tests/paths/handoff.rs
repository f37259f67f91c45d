//! Beginnings, ends and hand-offs when nothing fails.

use dutykey_engine::ports::rota::ReadRota as _;
use dutykey_policy::hold::State;
use jiff::Timestamp;
use serde_json::json;

use super::world::*;

#[tokio::test(start_paused = true)]
async fn p12_a_shift_gives_access_at_its_start_and_takes_it_at_its_end() {
    let world = Company::of(["ann"])
        .shifts("primary", &[shift("ann", "1h", "2h")])
        .profile(profile("on-call", &["prod"], &["primary"]))
        .start()
        .await;
    world.run_until(m(90)).await;
    let hold = world.hold("ann").await;
    assert_eq!((hold.state, hold.due), (State::Held, world.at(h(2))));
    assert_eq!(world.changes("ann", "prod"), [(h(1), "added")], "P12: the call leaves at the start of the shift");
    world.run_until(h(3)).await;
    assert_eq!(world.changes("ann", "prod"), [(h(1), "added"), (h(2), "removed")]);
    world.is_over().await;
}

#[tokio::test(start_paused = true)]
async fn p12_two_hundred_people_hand_off_at_one_instant_within_two_seconds() {
    let people: Vec<String> = (0..200).map(|n| format!("p{n:03}")).collect();
    let shifts = people.iter().enumerate();
    let shifts: Vec<_> =
        shifts.map(|(n, who)| if n < 100 { shift(who, "0s", "8h") } else { shift(who, "8h", "16h") }).collect();
    let world = Company::of(people.iter().map(String::as_str))
        .shifts("primary", &shifts)
        .profile(profile("on-call", &["prod"], &["primary"]))
        .target("latency_ms", json!(300))
        .start()
        .await;
    world.run_until(h(8) + m(1)).await;
    assert_eq!(world.members("prod"), people[100..].iter().cloned().collect());
    let late = world.lags().into_iter().max().unwrap();
    assert!(late <= 2_000, "P12: the last of 200 first calls left {late} ms after its time");
    world.run_until(h(16) + m(1)).await;
    world.is_over().await;
}

#[tokio::test(start_paused = true)]
async fn an_idle_company_asks_little_of_the_table() {
    let world = Company::of(["ann"])
        .shifts("primary", &[shift("ann", "1h", "100h")])
        .profile(profile("on-call", &["prod"], &["primary"]))
        .start()
        .await;
    world.run_until(h(2)).await;
    let before = world.gate.table_requests();
    world.run_until(h(5)).await;
    let each_hour = (world.gate.table_requests() - before) / 3;
    // A tick reads four shards of each of five lists, the lags, the configuration, each source and its own memory, a sync
    // what it changes.
    assert!(each_hour < 60 * 33, "{each_hour} requests an hour with one quiet hold: something runs in circles");
}

#[tokio::test(start_paused = true)]
async fn r18_a_restored_table_begins_ends_and_records_nothing_until_it_is_rebuilt_and_released() {
    let world = Company::of(["ann", "bob"])
        .shifts("primary", &[shift("ann", "1h", "2h"), shift("bob", "2h", "4h")])
        .profile(profile("on-call", &["prod"], &["primary"]))
        .start()
        .await;
    world.run_until(m(90)).await;
    world.store.stand_still("a restore", world.clock.now()).await.unwrap();
    let (records, fresh) = (world.evidence().await.len(), fresh_at(&world).await);
    world.run_until(m(150)).await;
    assert_eq!(world.members("prod"), ["ann".to_owned()].into(), "nothing ends, and nothing begins");
    assert_eq!((world.evidence().await.len(), fresh_at(&world).await), (records, fresh), "and no rota is read");

    world.store.rebuilt("a restore", world.clock.now()).await.unwrap();
    world.run_until(m(170)).await;
    assert!(fresh_at(&world).await > fresh, "what is on the rota is read again");
    assert_eq!(world.members("prod"), ["ann".to_owned()].into(), "nobody has looked yet");

    world.store.release("test", world.clock.now()).await.unwrap();
    world.run_until(m(175)).await;
    assert_eq!(world.members("prod"), ["bob".to_owned()].into(), "what was due is done");
    world.run_until(h(5)).await;
    world.is_over().await;
}

async fn fresh_at(world: &World) -> Option<Timestamp> {
    let id = rotation_id("primary");
    world.store.heads(std::slice::from_ref(&id)).await.unwrap()[&id].fresh_at
}
