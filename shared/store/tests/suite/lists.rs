//! Pages for people to look at.

use std::collections::BTreeSet;

use dutykey_engine::ports::ledger::StoreError;
use dutykey_engine::ports::summary::ReadSummary;
use dutykey_policy::evidence::Chain;
use dutykey_policy::hold::{Act, Hold};
use dutykey_policy::time::Span;
use dutykey_store::{Cursor, MAX_PAGE};

use crate::harness::{at, change, enrollment, hold, over, world};

#[tokio::test]
async fn every_page_together_has_everything_once() {
    let world = world().await;
    let (mut people, mut groups) = (BTreeSet::new(), BTreeSet::new());
    for number in 0..23 {
        let id = world.somebody(number).await;
        let mut next = change(&id, &world.live(&id).await.head);
        next.holds = vec![hold(&id, &format!("g{number}")), over(hold(&id, &format!("ended{number}")))];
        next.enrollments = vec![enrollment(&id, if number < 9 { "on-call" } else { "other" })];
        world.committed(&next).await;
        people.insert(id);
        groups.insert(format!("g{number}"));
    }
    for size in [1, 4, 23, 1_000] {
        let (mut seen, mut cursor) = (Vec::new(), None);
        loop {
            let page = world.store.list_people(cursor.as_ref(), size).await.unwrap();
            assert!(page.items.len() <= size.min(MAX_PAGE));
            seen.extend(page.items.into_iter().map(|listed| listed.person.id));
            cursor = page.next.map(|next| Cursor::new(next.as_str()));
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(seen.len(), people.len(), "pages of {size}");
        assert_eq!(seen.into_iter().collect::<BTreeSet<_>>(), people, "pages of {size}");
    }
    let holds = world.store.list_open_holds(None, 200).await.unwrap();
    assert_eq!(holds.items.into_iter().map(|hold| hold.key.place.id).collect::<BTreeSet<_>>(), groups);
    let enrolled = world.store.list_enrollments(&"on-call".parse().unwrap(), None, 200).await.unwrap();
    assert_eq!(enrolled.items.len(), 9);
    let chains = world.store.list_chains().await.unwrap();
    assert_eq!(chains.len(), 24);
    assert!(chains.contains(&Chain::System));
}

#[tokio::test]
async fn ended_holds_are_found_by_the_time_of_their_end() {
    let world = world().await;
    let ann = world.somebody(1).await;
    let mut next = change(&ann, &world.live(&ann).await.head);
    for hour in 10..20 {
        let mut ended = over(hold(&ann, &format!("{hour}")));
        ended.since = at(&format!("2026-11-23T{hour}:00:00Z"));
        next.holds.push(ended);
    }
    world.committed(&next).await;
    let span = Span::new(at("2026-11-23T12:00:00Z"), at("2026-11-23T15:00:00Z")).unwrap();
    let first = world.store.list_ended_holds(&ann, span, None, 2).await.unwrap();
    let second = world.store.list_ended_holds(&ann, span, first.next.as_ref(), 2).await.unwrap();
    let found: Vec<String> = first.items.into_iter().chain(second.items).map(|hold| hold.key.place.id).collect();
    assert_eq!(found, ["12", "13", "14"]);
}

#[tokio::test]
async fn a_cursor_from_elsewhere_is_refused() {
    let world = world().await;
    for text in ["", "zz", "7b7d", "é", "7b227368617264223a302c226166746572223a7b22706b223a2278227d7d"] {
        let outcome = world.store.list_people(Some(&Cursor::new(text)), 10).await;
        assert!(matches!(outcome, Err(StoreError::Limit(_))), "{text}: {outcome:?}");
    }
}

#[tokio::test]
async fn p1_holds_that_are_past_due_are_found_without_the_others_and_the_oldest_first() {
    let world = world().await;
    let ann = world.somebody(1).await;
    let mut next = change(&ann, &world.live(&ann).await.head);
    for hour in 10..20 {
        let mut open = hold(&ann, &format!("{hour}"));
        open.due = at(&format!("2026-11-23T{hour}:00:00Z"));
        next.holds.push(open);
    }
    next.holds.push(over(hold(&ann, "ended")));
    world.committed(&next).await;
    let found = async |now: &str, most: usize| -> Vec<String> {
        let holds = world.store.past_due(at(now), most).await.unwrap();
        holds.into_iter().map(|hold| hold.key.place.id).collect()
    };
    assert_eq!(found("2026-11-23T12:30:00Z", 100).await, ["10", "11", "12"]);
    assert_eq!(found("2026-11-23T18:30:00Z", 2).await, ["10", "11"], "no more than asked for");
    assert_eq!(found("2026-11-23T10:00:00Z", 100).await, Vec::<String>::new(), "what is due now is not past due");
}

#[tokio::test]
async fn p12_how_late_acts_were_is_found_by_when_what_they_were_for_ended() {
    let world = world().await;
    let ann = world.somebody(1).await;
    let mut next = change(&ann, &world.live(&ann).await.head);
    let act = |due: &str, started: &str| {
        let (due, started) = (at(due), at(started));
        Some(Act { due, known: due, started, turn_since: None, done: Some(started) })
    };
    for (hour, revoked_late) in [("10", "00.250"), ("12", "01"), ("13", "00")] {
        let ended = at(&format!("2026-11-23T{hour}:00:05Z"));
        let granted = act("2026-11-23T08:00:00Z", "2026-11-23T08:00:00.040Z");
        let revoked = act(&format!("2026-11-23T{hour}:00:00Z"), &format!("2026-11-23T{hour}:00:{revoked_late}Z"));
        next.holds.push(Hold { since: ended, granted, revoked, ..over(hold(&ann, hour)) });
    }
    let untouched = Hold { granted: None, revoked: None, ..over(hold(&ann, "untouched")) };
    next.holds.push(Hold { since: at("2026-11-23T14:00:00Z"), ..untouched });
    world.committed(&next).await;
    let lags = world.store.lags(at("2026-11-23T11:00:00Z")).await.unwrap();
    assert_eq!((lags.granted, lags.revoked), (vec![40, 40], vec![1_000, 0]), "of the two that ended since");
}
