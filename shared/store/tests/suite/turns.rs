//! Turns: taken once, free after their time, given back with the result.

use std::time::Duration;

use dutykey_engine::ports::ledger::{MAX_HOLD_ITEMS, PersonChange, WriteLedger};
use dutykey_engine::ports::turns::ReadTurns;
use dutykey_policy::id::PersonId;
use dutykey_policy::time::later;
use dutykey_policy::turn::{Change, Read, Taken};
use dutykey_store::keys;
use jiff::Timestamp;

use crate::harness::{World, change, hold, is_changed, nine, over, world};

fn taken(person: &PersonId, attempt: u32, not_after: Timestamp) -> Box<Taken> {
    Box::new(Taken {
        app: "directory".parse().unwrap(),
        key: "place/group/prod # 1".to_owned(),
        number: 0,
        person: person.clone(),
        hold: hold(person, "prod # 1").key,
        attempt,
        not_after,
    })
}

/// A change of the person with this turn and their hold.
async fn with(world: &World, person: &PersonId, turn: Change) -> PersonChange {
    let mut next = change(person, &world.live(person).await.head);
    next.holds = vec![hold(person, "prod # 1")];
    next.turns = vec![turn];
    next
}

async fn read(world: &World) -> Read {
    world.store.turns(&"directory".parse().unwrap(), "place/group/prod # 1").await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn r11_of_twenty_takers_of_one_turn_one_wins_and_the_others_write_nothing() {
    let world = world().await;
    let mut takers = tokio::task::JoinSet::new();
    for number in 0..20 {
        let person = world.somebody(number).await;
        let take = with(&world, &person, Change::Take(taken(&person, 1, later(nine(), Duration::from_secs(40))), None));
        let (store, take) = (world.store.clone(), take.await);
        takers.spawn(async move { (!is_changed(store.commit(&take).await)).then_some(person) });
    }
    let won: Vec<PersonId> = takers.join_all().await.into_iter().flatten().collect();
    assert_eq!(won.len(), 1, "R11: one of them has the turn: {won:?}");
    let held = read(&world).await;
    assert_eq!(held[&0].as_ref().map(|held| &held.person), Some(&won[0]));
    let mut holds = 0;
    for number in 0..20 {
        holds += world.live(&crate::harness::person(number)).await.holds.len();
    }
    assert_eq!(holds, 1, "who gets no turn has no intent in the table either");
}

#[tokio::test]
async fn r11_a_turn_whose_time_is_over_is_taken_over_once_and_its_last_holder_leaves_it_alone() {
    let world = world().await;
    let [ann, bob, cat] = [world.somebody(1).await, world.somebody(2).await, world.somebody(3).await];
    let first = taken(&ann, 1, nine());
    world.committed(&with(&world, &ann, Change::Take(first.clone(), None)).await).await;
    let until = later(nine(), Duration::from_secs(40));
    let over = |person: &PersonId, over: &Taken| Change::Take(taken(person, 1, until), Some(Box::new(over.clone())));
    let (bobs, cats) = (with(&world, &bob, over(&bob, &first)).await, with(&world, &cat, over(&cat, &first)).await);
    world.committed(&bobs).await;
    assert!(is_changed(world.store.commit(&cats).await), "it is not as it was read any more");

    for change in [Change::Keep(first.clone()), Change::Give(first)] {
        world.committed(&with(&world, &ann, change).await).await;
        assert_eq!(read(&world).await[&0], Some(*taken(&bob, 1, until)), "what is another's by now is left out");
    }
    let longer = later(until, Duration::from_secs(40));
    world.committed(&with(&world, &bob, Change::Keep(taken(&bob, 1, longer))).await).await;
    assert_eq!(read(&world).await[&0], Some(*taken(&bob, 1, longer)), "a pending operation keeps its turn");
    world.committed(&with(&world, &bob, Change::Give(taken(&bob, 2, until))).await).await;
    assert_eq!(read(&world).await.len(), 1, "the turn of another attempt is another's");
    world.committed(&with(&world, &bob, Change::Give(taken(&bob, 1, until))).await).await;
    assert_eq!(read(&world).await, Read::new(), "given back with the result, whatever its time");
}

#[tokio::test]
async fn r24_a_turn_of_a_later_release_is_held() {
    let world = world().await;
    let ann = world.somebody(1).await;
    let first = taken(&ann, 1, nine());
    world.committed(&with(&world, &ann, Change::Take(first.clone(), None)).await).await;
    let key = keys::turn(&first.app, &first.key, 0);
    world.set_raw(&key, "v", aws_sdk_dynamodb::types::AttributeValue::N("2".to_owned())).await;
    assert_eq!(read(&world).await, Read::from([(0, None)]), "it is there, and whose it is cannot be read");
}

#[tokio::test]
async fn r11_as_many_holds_as_their_turns_allow_are_one_transaction() {
    let world = world().await;
    let ann = world.somebody(1).await;
    let holds: Vec<_> = (0..MAX_HOLD_ITEMS / 4).map(|number| hold(&ann, &format!("group-{number}"))).collect();
    let turns = |change: fn(Box<Taken>) -> Change| -> Vec<Change> {
        let turn = |number: u8, key: &str| {
            change(Box::new(Taken {
                key: key.to_owned(),
                number,
                ..*taken(&ann, 1, later(nine(), Duration::from_secs(40)))
            }))
        };
        (0..u8::try_from(holds.len()).unwrap()).flat_map(|number| [turn(number, "a"), turn(number, "b")]).collect()
    };
    let mut next = change(&ann, &world.live(&ann).await.head);
    (next.holds, next.turns) = (holds.clone(), turns(|turn| Change::Take(turn, None)));
    next.head = world.committed(&next).await;
    (next.holds, next.turns) = (holds.iter().cloned().map(over).collect(), turns(Change::Give));
    world.committed(&next).await;
    assert_eq!(world.live(&ann).await.holds, vec![]);
}
