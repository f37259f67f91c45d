//! The roll of a directory.

use dutykey_engine::ports::ledger::WriteLedger;
use dutykey_engine::ports::roll::{ReadRoll, RollChange, WriteRoll};
use dutykey_engine::ports::rules::ReadDue;
use dutykey_policy::evidence::Chain;
use dutykey_policy::id::PersonId;
use dutykey_policy::roll::{Held, Roll, Word};

use crate::harness::{World, at, change, draft, is_changed, nine, notice, world};

fn held(person: &PersonId) -> Held {
    Held { person: person.clone(), since: nine(), word: Word::Waiting }
}

fn rolled(roll: Roll) -> RollChange {
    RollChange { directory: "okta".to_owned(), roll, evidence: vec![draft("brake.held")] }
}

async fn said_active(world: &World, person: &PersonId, active: bool, asked: &str) {
    let live = world.live(person).await;
    let mut next = change(person, &live.head);
    let mut known = live.person;
    (known.active, known.active_at) = (Some(active), Some(at(asked)));
    next.identity = Some(known);
    world.committed(&next).await;
}

#[tokio::test]
async fn r2_of_two_findings_at_once_the_second_is_judged_with_the_first() {
    let world = world().await;
    let (ann, bob) = (world.somebody(1).await, world.somebody(2).await);
    assert_eq!(world.store.roll("okta").await.unwrap(), Roll::default());
    let mut of_ann = change(&ann, &world.live(&ann).await.head);
    of_ann.roll = Some(rolled(Roll { held: vec![held(&ann)], ..Roll::default() }));
    let mut of_bob = change(&bob, &world.live(&bob).await.head);
    of_bob.roll = Some(rolled(Roll { held: vec![held(&bob)], ..Roll::default() }));
    world.committed(&of_ann).await;
    assert!(is_changed(world.store.commit(&of_bob).await), "R2: the roll is another one now");
    assert_eq!(world.live(&bob).await.head, of_bob.head, "P9: nothing of it was written");
    let mut roll = world.store.roll("okta").await.unwrap();
    assert_eq!((roll.rev, roll.held.len()), (1, 1));
    roll.held.push(held(&bob));
    of_bob.roll = Some(rolled(roll));
    world.committed(&of_bob).await;
    let roll = world.store.roll("okta").await.unwrap();
    assert_eq!((roll.rev, roll.held), (2, vec![held(&ann), held(&bob)]));
    let recorded = world.store.evidence(&Chain::System, 1, 10).await.unwrap();
    assert_eq!(recorded.len(), 2, "R18: each on the installation's own chain");
}

#[tokio::test]
async fn r2_r9_a_word_on_a_roll_is_one_transaction_with_a_sweep() {
    let world = world().await;
    let change = rolled(Roll { held: vec![held(&world.somebody(1).await)], ..Roll::default() });
    world.store.say(&change, &[notice("brake/1")], nine()).await.unwrap();
    assert!(is_changed(world.store.say(&change, &[notice("brake/2")], nine()).await));
    assert_eq!(world.store.due_sweeps(nine()).await.unwrap().len(), 1);
    assert_eq!(world.store.due_notices(nine()).await.unwrap().len(), 1);
    assert_eq!(world.store.evidence(&Chain::System, 1, 10).await.unwrap().len(), 1);
}

#[tokio::test]
async fn r2_whom_the_directory_has_shown_active_lately_is_found() {
    let world = world().await;
    let (ann, bob, cat) = (world.somebody(1).await, world.somebody(2).await, world.somebody(3).await);
    said_active(&world, &ann, true, "2026-11-23T09:00:00Z").await;
    said_active(&world, &bob, true, "2026-11-23T07:00:00Z").await;
    said_active(&world, &cat, true, "2026-11-23T09:00:00Z").await;
    said_active(&world, &cat, false, "2026-11-23T09:10:00Z").await;
    let since = |text: &str| world.store.active_since(at(text));
    assert_eq!(since("2026-11-23T08:00:00Z").await.unwrap(), [ann.clone()].into());
    assert_eq!(since("2026-11-23T07:00:00Z").await.unwrap(), [ann.clone(), bob.clone()].into());
    assert!(since("2026-11-23T09:00:01Z").await.unwrap().is_empty());
    let known = world.store.persons(&[ann.clone(), bob]).await.unwrap();
    assert_eq!((known.len(), known[&ann].active), (2, Some(true)));
}
