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
async fn p12_a_rotation_may_give_more_profiles_than_one_transaction_takes() {
    const PROFILES: usize = 120;
    let mut company = Company::of(["ann"]).shifts("primary", &[shift("ann", "1m", "30m")]);
    for number in 0..PROFILES {
        company = company.profile(profile(&format!("profile-{number}"), &["prod"], &["primary"]));
    }
    let world = company.start().await;
    world.run_until(m(2)).await;
    assert_eq!(world.live("ann").await.enrollments.len(), PROFILES, "she is in each of them");
    world.run_until(m(31)).await;
    assert_eq!(world.changes("ann", "prod"), [(m(1), "added"), (m(30), "removed")]);
    world.is_over().await;
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

#[tokio::test(start_paused = true)]
async fn an_edit_that_concerns_nobody_on_call_has_nobody_looked_at() {
    let people: Vec<String> = (0..60).map(|n| format!("p{n:02}")).collect();
    let shifts: Vec<_> = people.iter().map(|who| shift(who, "0m", "10h")).collect();
    let mut world = Company::of(people.iter().map(String::as_str))
        .shifts("primary", &shifts)
        .shifts("second", &[shift("p00", "0m", "10h")])
        .profile(profile("on-call", &["prod"], &["primary"]))
        .start()
        .await;
    world.run_until(m(3)).await;
    let quiet = world.gate.table_requests();
    world.configure(|i| i.profiles.push(profile("other", &["logs"], &["second"]))).await;
    world.configure(|i| i.brake.rotation = 60).await;
    world.run_until(m(5)).await;
    let asked = world.gate.table_requests() - quiet;
    assert_eq!(world.members("logs"), ["p00".to_owned()].into(), "whom it concerns has it");
    assert!(asked < 60 * 5, "{asked} requests of the table: people were looked at whom the edit does not concern");

    // Whom an app belongs to concerns everybody who may have something there.
    world.configure(|i| i.apps.iter_mut().for_each(|app| app.retiring = true)).await;
    world.run_until(m(7)).await;
    assert!(world.members("prod").is_empty(), "R23: its holds end");
}
