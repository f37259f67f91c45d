//! Hints against the table.

use dutykey_engine::ports::hints::{Hint, Taken, WriteHints};
use dutykey_policy::time::later;
use jiff::Timestamp;
use std::time::Duration;

use crate::harness::world;

fn hint(id: &str, about: Option<&str>, seconds: u64) -> Hint {
    let start: Timestamp = "2026-11-23T08:00:00Z".parse().unwrap();
    Hint {
        source: "pd".parse().unwrap(),
        id: id.to_owned(),
        about: about.map(str::to_owned),
        rotations: 2,
        most: 5,
        at: later(start, Duration::from_secs(seconds)),
    }
}

#[tokio::test]
async fn r15_hints_are_taken_once_and_joined_to_one_read_in_thirty_seconds() {
    let world = world().await;
    let take = async |hint: Hint| world.store.take(&hint).await.unwrap();
    let at = |seconds| Taken::First(hint("", None, seconds).at);
    assert_eq!(take(hint("e1", Some("P1"), 0)).await, at(0), "the first is read at once");
    assert_eq!(take(hint("e1", Some("P1"), 1)).await, Taken::Duplicate);
    assert_eq!(take(hint("e2", Some("P1"), 2)).await, at(30), "the second is followed by a read of its own");
    assert_eq!(take(hint("e3", Some("P1"), 20)).await, Taken::Joined, "the third has that one before it");
    assert_eq!(take(hint("e3", Some("P1"), 71 * 3_600)).await, Taken::Duplicate, "IDs are known for 72 hours");
    assert_eq!(take(hint("e4", None, 3)).await, Taken::Joined, "a test delivery asks for nothing");
    assert_eq!(take(hint("e5", Some("P1"), 61)).await, at(61));
}

#[tokio::test]
async fn r15_all_hints_of_a_source_together_stay_within_their_budget() {
    let world = world().await;
    let take = async |hint: Hint| world.store.take(&hint).await.unwrap();
    assert!(matches!(take(hint("e1", Some("P1"), 0)).await, Taken::First(_)));
    assert!(matches!(take(hint("e2", Some("P2"), 1)).await, Taken::First(_)));
    assert_eq!(
        take(hint("e3", Some("P3"), 2)).await,
        Taken::OverBudget,
        "two reads of two rotations, and five at most"
    );
    assert!(matches!(take(hint("e4", Some("P3"), 60)).await, Taken::First(_)), "the next minute has its own");
}

#[tokio::test]
async fn p10_of_hints_that_come_at_once_two_lead_to_reads() {
    let world = world().await;
    let hints: Vec<Hint> = (0..6).map(|n| hint(&format!("e{n}"), Some("P1"), 0)).collect();
    let tasks = hints.into_iter().map(|hint| {
        let store = world.store.clone();
        tokio::spawn(async move { store.take(&hint).await })
    });
    let mut first = 0;
    for task in tasks.collect::<Vec<_>>() {
        first += usize::from(matches!(task.await.unwrap().unwrap(), Taken::First(_)));
    }
    assert_eq!(first, 2, "one now, one after thirty seconds for all that came meanwhile");
}
