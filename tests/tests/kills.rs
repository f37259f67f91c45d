//! P10: a process killed at any of its requests, before it took effect or before its answer came, costs time and nothing
//! else. The binaries, the table, what they speak to and the clock are real; what a killed call may still do has to be
//! waited out (R1: 40 seconds), so all cases wait side by side.

mod access;
mod others;
mod reading;
mod site;
mod tick;

use std::fmt::Debug;
use std::rc::Rc;

use dutykey_engine::ports::clock::Clock;
use dutykey_runtime::clock::SystemClock;
use dutykey_tests::proxy::Point;
use dutykey_tests::scim::Effect;
use jiff::Timestamp;
use tokio::task::{JoinSet, LocalSet};

use access::{Act, Changing};
use reading::{News, Reading};
use site::{Kill, Turn};
use tick::Ticking;

/// A world in which a process has something to do.
trait World: 'static {
    /// How everything is in the end.
    type Story: Debug + PartialEq;

    /// One process's life, from its start until it has done that or is killed. Answers the requests that it made.
    async fn life(&self, kill: Option<Kill>) -> Vec<String>;

    /// New processes on the same data, until everything is at rest. A world gives its turn back while it waits.
    async fn converge(&self, turn: Turn);

    async fn story(&self) -> Self::Story;
}

/// Everything ends as without a kill; answers how. Each of `speaks_to` is in one of the requests.
async fn wherever_it_is_killed<W: World>(new: impl AsyncFn() -> W + 'static, speaks_to: &[&str]) -> W::Story {
    let turn = site::turn().await;
    let whole = new().await;
    let requests = whole.life(None).await;
    whole.converge(turn).await;
    let truth = whole.story().await;
    for what in speaks_to {
        let seen = requests.iter().any(|request| request.contains(what));
        assert!(seen, "{what} is behind the proxies: {requests:#?}");
    }

    let new = Rc::new(new);
    let (mut cases, here) = (JoinSet::new(), LocalSet::new());
    for n in 1..=requests.len() {
        for point in [Point::Before, Point::After] {
            let new = new.clone();
            let case = async move {
                let turn = site::turn().await;
                let world = new().await;
                world.life(Some((n, point))).await;
                world.converge(turn).await;
                (n, point, world.story().await)
            };
            cases.spawn_local_on(case, &here);
        }
    }
    let mut wrong = Vec::new();
    let compare = async {
        while let Some(case) = cases.join_next().await {
            let (n, point, story) = case.unwrap();
            if story != truth {
                wrong.push(format!("killed {point:?} request {n}, {}: {story:#?}", requests[n - 1]));
            }
        }
    };
    here.run_until(compare).await;
    wrong.sort();
    assert!(wrong.is_empty(), "without a kill: {truth:#?}\nbut {}", wrong.join("\nbut "));
    truth
}

#[tokio::test]
async fn p10_a_grant_happens_once_wherever_its_process_is_killed() {
    access_changes_once(Act::Grant).await;
}

#[tokio::test]
async fn p10_a_revocation_happens_once_wherever_its_process_is_killed() {
    access_changes_once(Act::Revoke).await;
}

async fn access_changes_once(act: Act) {
    let truth = wherever_it_is_killed(move || Changing::new(act), &["TransactWriteItems", "PATCH"]).await;
    assert_eq!(truth.effective(act), 1, "without a kill: {truth:?}");
}

#[tokio::test]
async fn p10_a_first_view_is_taken_once_wherever_its_reader_is_killed() {
    let truth = a_view_is_taken_once(News::Everything).await;
    assert_eq!(truth.members, ["u-ann"], "without a kill: {truth:#?}");
}

#[tokio::test]
async fn p10_a_swap_is_taken_once_wherever_its_reader_is_killed() {
    let truth = a_view_is_taken_once(News::Swap).await;
    assert_eq!(truth.members, ["u-bob"], "without a kill: {truth:#?}");
}

async fn a_view_is_taken_once(news: News) -> reading::Story {
    // In whole seconds, as the platform writes times.
    let begun = Timestamp::from_second(SystemClock.now().as_second()).unwrap();
    let speaks_to = ["/schedules/PPRIM", "TransactWriteItems", "AmazonSQS.SendMessageBatch"];
    let truth = wherever_it_is_killed(move || Reading::new(news, begun), &speaks_to).await;
    let changes: u32 = truth.effects.values().map(|effect| effect.adds + effect.removes).sum();
    let expected = if news == News::Swap { 3 } else { 1 };
    assert_eq!(changes, expected, "without a kill: {truth:#?}");
    truth
}

#[tokio::test]
async fn p10_what_is_due_happens_once_wherever_its_tick_is_killed() {
    let speaks_to = ["Query", "AmazonSQS.SendMessageBatch", "UpdateItem"];
    let truth = wherever_it_is_killed(Ticking::new, &speaks_to).await;
    let once = [(1, 0), (0, 1)].map(|(adds, removes)| Effect { adds, removes });
    assert_eq!(truth.effects.values().copied().collect::<Vec<_>>(), once, "without a kill: {truth:#?}");
}

/// How it ends where nobody is killed.
async fn unkilled(act: Act) -> access::Story {
    let turn = site::turn().await;
    let whole = Changing::new(act).await;
    whole.life(None).await;
    drop(turn);
    whole.story().await
}

#[tokio::test]
async fn p10_a_message_twice_in_a_batch_and_in_two_processes_at_once_acts_once() {
    for act in [Act::Grant, Act::Revoke] {
        let truth = unkilled(act).await;
        let world = Changing::new(act).await;
        world.twice_in_two_processes().await;
        world.converge(site::turn().await).await;
        assert_eq!(world.story().await, truth, "{act:?}");
    }
}

#[tokio::test]
async fn p10_messages_in_the_wrong_order_and_too_late_change_nothing() {
    for act in [Act::Grant, Act::Revoke] {
        let truth = unkilled(act).await;
        let world = Changing::new(act).await;
        for _ in 0..2 {
            world.message_of_the_other_side().await;
            world.converge(site::turn().await).await;
        }
        assert_eq!(world.story().await, truth, "{act:?}");
    }
}
