//! Apps that fail, are slow, lie, or are changed by other people.

use dutykey_policy::hold::State;
use dutykey_policy::installation::Topic;
use dutykey_targets::sandbox::{Fault, FaultKind, Operation, OthersAct};
use serde_json::json;

use super::world::*;

/// Ann is on call from minute 1 to minute 10.
fn short() -> Company {
    Company::of(["ann", "bob"]).shifts("primary", &[shift("ann", "1m", "10m")]).profile(profile(
        "on-call",
        &["prod"],
        &["primary"],
    ))
}

fn fault(kind: FaultKind, on: Operation) -> Fault {
    Fault { on: Some(on), ..Fault::always(kind) }
}

#[tokio::test(start_paused = true)]
async fn p1_a_revocation_that_fails_is_overdue_told_within_a_minute_and_retried_until_it_is_proven() {
    let world = short().start().await;
    let until = world.at(m(30));
    world.target.inject(Fault { to: until, ..fault(FaultKind::Fail, Operation::Revoke) });
    world.run_until(m(10) + s(60)).await;
    let hold = world.hold("ann").await;
    assert!(hold.overdue(world.clock.now()).is_some_and(|age| age >= s(59)), "P1: shown as overdue: {hold:#?}");
    assert!(hold.told);
    let mut last = world.target.calls(Operation::Revoke);
    for minute in [16, 21, 26] {
        world.run_until(m(minute)).await;
        let calls = world.target.calls(Operation::Revoke);
        assert!(calls > last, "P1: retried at least every five minutes, at minute {minute}");
        last = calls;
    }
    world.run_until(m(36)).await;
    let told = world.notices(Topic::Overdue);
    assert_eq!(told.len(), 1, "told once: {told:?}");
    assert!(told[0].0 <= m(10) + s(60), "P1: told within a minute: {told:?}");
    assert_eq!(world.changes("ann", "prod").len(), 2);
    world.is_over().await;
}

#[tokio::test(start_paused = true)]
async fn p1_overdue_access_is_told_within_a_minute_wherever_its_end_lies_between_two_ticks() {
    for second in [0, 1, 15, 29, 30, 31, 45, 59] {
        let end = format!("{}s", 600 + second);
        let world = Company::of(["ann"])
            .shifts("primary", &[shift("ann", "1m", &end)])
            .profile(profile("on-call", &["prod"], &["primary"]))
            .start()
            .await;
        world.target.inject(Fault { to: world.at(m(15)), ..fault(FaultKind::Fail, Operation::Revoke) });
        let end = m(10) + s(second);
        world.run_until(end + s(61)).await;
        let told = world.notices(Topic::Overdue);
        let at = told.first().map(|(at, _)| *at);
        assert!(at.is_some_and(|at| (end + s(30)..=end + s(60)).contains(&at)), "P1: the end is at {end:?}: {told:?}");
        world.run_until(m(20)).await;
        assert_eq!(world.notices(Topic::Overdue).len(), 1, "told once");
        world.is_over().await;
    }
}

#[tokio::test(start_paused = true)]
async fn p1_access_in_an_app_whose_credentials_are_gone_is_told_as_overdue_too() {
    let world = short().start().await;
    world.run_until(m(5)).await;
    world.gate.hide_credentials(true);
    world.run_until(m(11) + s(1)).await;
    assert!(world.has("ann", "prod"), "nothing of the app is decided");
    let told = world.notices(Topic::Overdue);
    assert!(told.len() == 1 && told[0].1.contains("credentials"), "P1: told within a minute, with the cause: {told:?}");
    world.run_until(m(14)).await;
    world.gate.hide_credentials(false);
    world.run_until(m(16)).await;
    assert_eq!(world.notices(Topic::Overdue).len(), 1, "told once");
    world.is_over().await;
}

#[tokio::test(start_paused = true)]
async fn p2_the_target_ends_access_by_itself_when_dutykey_is_gone() {
    let mut world = short().target("native_end", json!(true)).start().await;
    world.run_until(m(2)).await;
    let hold = world.hold("ann").await;
    assert_eq!(hold.due, world.at(m(10)), "P2: the deadline is in the record");
    assert_eq!(hold.native_end, Some(world.at(m(25))), "P2: and fifteen minutes after it at the target");
    world.kill().await;
    world.run_until(m(25) - s(1)).await;
    assert!(world.has("ann", "prod"));
    world.run_until(m(25)).await;
    assert!(!world.has("ann", "prod"), "P2: the target's own end has come");
    world.begin();
    world.run_until(m(27)).await;
    world.is_over().await;
}

#[tokio::test(start_paused = true)]
async fn p3_standing_access_is_kept_and_what_others_do_is_left_to_them() {
    let world = short().target("groups", json!([{ "id": "prod", "members": ["acc-ann"] }])).start().await;
    world.run_until(m(5)).await;
    assert_eq!(world.hold("ann").await.state, State::Kept);
    world.run_until(m(12)).await;
    assert!(world.has("ann", "prod") && world.changes("ann", "prod").is_empty());
    world.is_over().await;
}

#[tokio::test(start_paused = true)]
async fn r14_standing_access_that_others_take_in_mid_shift_is_wanted_and_what_they_put_back_later_is_theirs() {
    let company = Company::of(["ann"])
        .shifts("primary", &[shift("ann", "1m", "100m")])
        .profile(profile("on-call", &["prod"], &["primary"]))
        .target("groups", json!([{ "id": "prod", "members": ["acc-ann"] }]));
    let world = company.start().await;
    world.run_until(m(10)).await;
    let (account, group) = ("acc-ann".parse().unwrap(), "prod".to_owned());
    world.target.others(OthersAct::Remove { account, group });
    world.run_until(m(62)).await;
    assert!(world.has("ann", "prod"), "R14: the hourly look finds it gone, and a reason lives");
    world.run_until(m(101)).await;
    assert!(!world.has("ann", "prod"));
    world.target.others(OthersAct::Add { account: "acc-ann".parse().unwrap(), group: "prod".to_owned() });
    world.run_until(m(103)).await;
    assert!(world.has("ann", "prod"), "R14: what others put there after our end is left alone");
    world.is_over().await;
}

#[tokio::test(start_paused = true)]
async fn r14_what_others_take_away_in_mid_shift_is_told_and_not_put_back() {
    let world = Company::of(["ann"])
        .shifts("primary", &[shift("ann", "1m", "130m")])
        .profile(profile("on-call", &["prod"], &["primary"]))
        .start()
        .await;
    world.run_until(m(5)).await;
    world.target.others(OthersAct::Remove { account: "acc-ann".parse().unwrap(), group: "prod".to_owned() });
    world.run_until(m(125)).await;
    assert_eq!(world.hold("ann").await.state, State::Stuck);
    assert_eq!(world.notices(Topic::Stuck).len(), 1, "told once");
    assert!(!world.has("ann", "prod"), "R14: not put back unasked");
    world.run_until(m(132)).await;
    world.is_over().await;
}

#[tokio::test(start_paused = true)]
async fn r6_what_somebody_else_gives_while_our_grant_is_refused_is_standing() {
    let world = short().start().await;
    world.target.inject(Fault { to: world.at(m(6)), ..fault(FaultKind::Fail, Operation::Grant) });
    world.run_until(m(4)).await;
    world.target.others(OthersAct::Add { account: "acc-ann".parse().unwrap(), group: "prod".to_owned() });
    world.run_until(m(9)).await;
    assert_eq!(world.hold("ann").await.state, State::Kept);
    world.run_until(m(12)).await;
    assert!(world.has("ann", "prod"), "R6 (a): her standing access stays");
    world.is_over().await;
}

#[tokio::test(start_paused = true)]
async fn r6_a_read_that_is_older_than_our_own_revoke_is_not_standing_access() {
    let world = Company::of(["ann"])
        .shifts("primary", &[shift("ann", "1m", "5m"), shift("ann", "320s", "10m")])
        .profile(profile("on-call", &["prod"], &["primary"]))
        .target("propagation", json!("60s"))
        .start()
        .await;
    world.run_until(m(9)).await;
    assert!(world.has("ann", "prod"), "R6 (b): on call with access once the replica has caught up");
    assert_eq!(world.hold("ann").await.state, State::Held);
    world.run_until(m(13)).await;
    world.is_over().await;
}

#[tokio::test(start_paused = true)]
async fn p5_an_accepted_revocation_is_not_done_before_a_read_shows_it() {
    for kind in [FaultKind::Lie, FaultKind::LateFailure] {
        let world = short().target("asynchronous", json!("20s")).target("propagation", json!("30s")).start().await;
        world.run_until(m(5)).await;
        assert!(world.has("ann", "prod"));
        world.target.inject(Fault { times: Some(2), ..fault(kind, Operation::Revoke) });
        world.run_until(m(10) + s(25)).await;
        assert_eq!(world.holds().await.len(), 1, "P5: accepted is not done ({kind:?})");
        world.run_until(m(20)).await;
        assert_eq!(world.changes("ann", "prod").len(), 2);
        world.is_over().await;
    }
}

#[tokio::test(start_paused = true)]
async fn r1_a_revocation_waits_for_a_grant_that_hangs_and_takes_effect_late() {
    let company = Company::of(["ann", "bob"])
        .rotation(
            "primary",
            json!({
                "shifts": [shift("ann", "1m", "10m")],
                "overrides": [{ "user": "bob", "from": "65s", "to": "10m", "announced": "62s" }],
            }),
        )
        .profile(profile("on-call", &["prod"], &["primary"]))
        .installation(|installation| installation.sync.every = s(5));
    let world = company.start().await;
    let slow = Fault { after: Some(s(25)), times: Some(1), ..fault(FaultKind::Slow, Operation::Grant) };
    world.target.inject(slow);
    world.run_until(m(5)).await;
    assert_eq!(world.members("prod"), ["bob".to_owned()].into(), "R1: the hung grant of Ann was taken back");
    let ann = world.changes("ann", "prod");
    assert_eq!(ann.len(), 2, "R1: it came late and went: {ann:?}");
    assert!(ann[1].0 >= m(1) + s(40), "R1: revoked only when the grant can act no more: {ann:?}");
    world.run_until(m(12)).await;
    world.is_over().await;
}

#[tokio::test(start_paused = true)]
async fn r3_two_profiles_on_one_role_leave_the_base_behind() {
    let world = Company::of(["ann"])
        .shifts("primary", &[shift("ann", "1m", "5m")])
        .shifts("second", &[shift("ann", "3m", "9m")])
        .profile(profile("manages", &["role:manager"], &["primary"]))
        .profile(profile("administers", &["role:admin"], &["second"]))
        .target("roles", json!({ "order": ["responder", "manager", "admin"], "values": { "acc-ann": "responder" } }))
        .start()
        .await;
    for (minute, role) in [(2, "manager"), (4, "admin"), (7, "admin"), (10, "responder")] {
        world.run_until(m(minute)).await;
        assert_eq!(world.role("ann").as_deref(), Some(role), "R3: at minute {minute}");
    }
    world.is_over().await;
}

#[tokio::test(start_paused = true)]
async fn r9_a_target_that_is_down_for_an_hour_with_a_hundred_ends_due_costs_a_bounded_number_of_calls() {
    let people: Vec<String> = (0..100).map(|n| format!("p{n:03}")).collect();
    let shifts: Vec<_> = people.iter().map(|who| shift(who, "1m", "5m")).collect();
    let world = Company::of(people.iter().map(String::as_str))
        .shifts("primary", &shifts)
        .profile(profile("on-call", &["prod"], &["primary"]))
        .start()
        .await;
    world.run_until(m(4)).await;
    assert_eq!(world.members("prod").len(), 100);
    let before = (world.target.calls(Operation::Revoke), world.target.calls(Operation::Observe));
    world.target.inject(Fault { to: world.at(m(65)), ..fault(FaultKind::Fail, Operation::Revoke) });
    world.run_until(m(65)).await;
    let after = (world.target.calls(Operation::Revoke), world.target.calls(Operation::Observe));
    // Ten tries while the wait doubles to five minutes, then one every five minutes.
    assert!(after.0 - before.0 <= 100 * 22, "R9: {} revocations were tried", after.0 - before.0);
    assert!(after.1 - before.1 <= 100 * 24, "R9: {} reads", after.1 - before.1);
    assert_eq!(world.notices(Topic::Overdue).len(), 100);
    world.run_until(m(71)).await;
    world.is_over().await;
}

#[tokio::test(start_paused = true)]
async fn r10_a_profile_of_a_hundred_entitlements_is_given_and_taken_in_three_transactions() {
    let groups: Vec<String> = (0..100).map(|n| format!("g{n:03}")).collect();
    let names: Vec<&str> = groups.iter().map(String::as_str).collect();
    let world = Company::of(["ann"])
        .shifts("primary", &[shift("ann", "1m", "5m")])
        .profile(profile("on-call", &names, &["primary"]))
        .target("groups", json!(groups.iter().map(|id| json!({ "id": id })).collect::<Vec<_>>()))
        .start()
        .await;
    world.run_until(m(1) + s(2)).await;
    assert_eq!(world.target.truth().members.len(), 100);
    let late = world.lags().into_iter().max().unwrap();
    assert!(late <= 2_000, "P12: the last of 100 left {late} ms after its time");
    world.run_until(m(5) + s(2)).await;
    world.is_over().await;
}
