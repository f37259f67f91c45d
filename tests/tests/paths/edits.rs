//! A configuration that is changed while people are on call.

use super::world::*;

fn company() -> Company {
    Company::of(["ann"]).shifts("primary", &[shift("ann", "1m", "30m")]).profile(profile(
        "on-call",
        &["prod", "logs"],
        &["primary"],
    ))
}

#[tokio::test(start_paused = true)]
async fn r17_an_edit_in_mid_shift_ends_what_it_drops_and_begins_what_it_adds() {
    let mut world = company().start().await;
    world.run_until(m(3)).await;
    world.configure(|i| i.profiles = vec![profile("on-call", &["prod", "db"], &["primary"])]).await;
    world.run_until(m(5)).await;
    assert!(!world.has("ann", "logs"), "R17: what is dropped ends now");
    assert!(world.has("ann", "db"), "R17: what is added starts now");
    assert_eq!(world.changes("ann", "prod").len(), 1, "R17: the rest is left alone");
    world.configure(|i| i.profiles.clear()).await;
    world.run_until(m(7)).await;
    assert!(world.members("prod").is_empty() && world.members("db").is_empty(), "R17: a deleted profile ends");
    world.is_over().await;
}

#[tokio::test(start_paused = true)]
async fn r17_a_profile_that_begins_to_enforce_begins_now() {
    let observing = dutykey_policy::profile::Profile {
        mode: dutykey_policy::profile::Mode::Observe,
        ..profile("on-call", &["prod"], &["primary"])
    };
    let mut world =
        Company::of(["ann"]).shifts("primary", &[shift("ann", "1m", "30m")]).profile(observing).start().await;
    world.run_until(m(3)).await;
    world.configure(|i| i.profiles = vec![profile("on-call", &["prod"], &["primary"])]).await;
    world.run_until(m(5)).await;
    assert!(world.has("ann", "prod"));
}

#[tokio::test(start_paused = true)]
async fn r23_what_a_retiring_app_holds_ends_now_and_nothing_begins_there() {
    let mut world = company().start().await;
    world.run_until(m(3)).await;
    world.configure(|i| i.apps.iter_mut().for_each(|app| app.retiring = true)).await;
    world.run_until(m(5)).await;
    assert!(world.members("prod").is_empty() && world.members("logs").is_empty(), "R23: its holds end");
    world.run_until(m(20)).await;
    world.is_over().await;
}

#[tokio::test(start_paused = true)]
async fn r23_a_retiring_source_ends_its_reasons_now() {
    let mut world = company().start().await;
    world.run_until(m(3)).await;
    world.configure(|i| i.sources.iter_mut().for_each(|source| source.retiring = true)).await;
    world.run_until(m(5)).await;
    assert!(world.members("prod").is_empty(), "R23: not a vanished schedule, and no lease to wait for");
    world.is_over().await;
}

#[tokio::test(start_paused = true)]
async fn r23_a_rotation_that_leaves_a_profile_ends_its_reasons_now() {
    let mut world = company().start().await;
    world.run_until(m(3)).await;
    world.configure(|i| i.profiles = vec![profile("on-call", &["prod"], &["other"])]).await;
    world.run_until(m(5)).await;
    assert!(world.members("prod").is_empty());
    world.is_over().await;
}
