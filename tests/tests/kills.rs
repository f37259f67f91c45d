//! P10: a process killed at any of its requests, before it took effect or before its answer came, costs time and nothing
//! else. The binaries, the table, the app and the clock are real; what a killed call may still do has to be waited out
//! (R1: 40 seconds), so all cases wait side by side.

mod world;

use dutykey_tests::proxy::Point;
use tokio::task::JoinSet;

use world::{Act, World};

#[tokio::test]
async fn p10_a_grant_happens_once_wherever_its_process_is_killed() {
    wherever_it_is_killed(Act::Grant).await;
}

#[tokio::test]
async fn p10_a_revocation_happens_once_wherever_its_process_is_killed() {
    wherever_it_is_killed(Act::Revoke).await;
}

async fn wherever_it_is_killed(act: Act) {
    let whole = World::new(act).await;
    let requests = whole.life(None).await;
    let truth = whole.story().await;
    assert_eq!(truth.effective(act), 1, "without a kill: {truth:?} {requests:#?}");
    let seen = ["TransactWriteItems", "PATCH"].map(|what| requests.iter().any(|request| request.contains(what)));
    assert_eq!(seen, [true; 2], "table and app are both behind the proxies: {requests:#?}");

    let mut cases = JoinSet::new();
    for n in 1..=requests.len() {
        for point in [Point::Before, Point::After] {
            cases.spawn(async move {
                let world = World::new(act).await;
                world.life(Some((n, point))).await;
                world.converge().await;
                (n, point, world.story().await)
            });
        }
    }
    let mut wrong = Vec::new();
    while let Some(case) = cases.join_next().await {
        let (n, point, story) = case.unwrap();
        if story != truth {
            wrong.push(format!("killed {point:?} request {n}, {}: {story:?}", requests[n - 1]));
        }
    }
    wrong.sort();
    assert!(wrong.is_empty(), "without a kill: {truth:?}\nbut {}", wrong.join("\nbut "));
}

#[tokio::test]
async fn p10_a_message_twice_in_a_batch_and_in_two_processes_at_once_acts_once() {
    for act in [Act::Grant, Act::Revoke] {
        let whole = World::new(act).await;
        whole.life(None).await;
        let truth = whole.story().await;

        let world = World::new(act).await;
        world.twice_in_two_processes().await;
        world.converge().await;
        assert_eq!(world.story().await, truth, "{act:?}");
    }
}

#[tokio::test]
async fn p10_messages_in_the_wrong_order_and_too_late_change_nothing() {
    for act in [Act::Grant, Act::Revoke] {
        let whole = World::new(act).await;
        whole.life(None).await;
        let truth = whole.story().await;

        let world = World::new(act).await;
        world.message_of_the_other_side().await;
        world.converge().await;
        world.message_of_the_other_side().await;
        world.converge().await;
        assert_eq!(world.story().await, truth, "{act:?}");
    }
}
