//! Blocks and sweeps.

use dutykey_engine::ports::blocks::{Concerned, WriteBlocks};
use dutykey_engine::ports::ledger::WriteLedger;
use dutykey_engine::ports::rules::{ReadDue, ReadRules};
use dutykey_engine::ports::sweep::{Sweep, WorkSweeps};
use dutykey_policy::block::{Block, Denied, Reach};
use dutykey_policy::evidence::{Chain, Sealed};
use dutykey_policy::id::PersonId;
use dutykey_store::keys;
use jiff::Timestamp;

use crate::harness::{World, at, change, enrollment, is_changed, nine, person, world};

const REASON: &str = "a stolen laptop";

fn block(id: &str, denied: Denied, until: Option<Timestamp>) -> Block {
    Block { id: id.to_owned(), denied, reach: Reach::Revoke, author: "per_admin".to_owned(), from: nine(), until }
}

fn reason() -> Sealed {
    Sealed::new(REASON, [7; 32])
}

async fn lines(world: &World, chain: &Chain) -> Vec<String> {
    world.store.evidence(chain, 1, 50).await.unwrap().into_iter().map(|line| line.line).collect()
}

#[tokio::test]
async fn r2_a_block_on_a_person_is_one_transaction_that_overtakes_whoever_decided_without_it() {
    let world = world().await;
    let ann = world.somebody(1).await;
    let stale = change(&ann, &world.live(&ann).await.head);
    let denied = block("B1", Denied::Person(ann.clone()), None);
    let placed = world.store.place(&denied, &reason(), nine()).await.unwrap();
    assert_eq!(placed, Some(Concerned::Person(ann.clone())));
    assert_eq!(world.store.blocks().await.unwrap(), vec![denied.clone()]);
    assert!(is_changed(world.store.commit(&stale).await), "R2: an intent that was decided without the block loses");
    let head = world.live(&ann).await.head;
    let due = [head.next_start.clone(), head.next_end.clone()].map(|due| due.map(|due| due.at));
    assert_eq!(due, [Some(nine()), Some(nine())], "R9: the person is due now");
    let recorded = lines(&world, &Chain::Person(ann.clone())).await;
    assert_eq!(recorded.len(), 2);
    let record = recorded.last().unwrap();
    assert!(record.contains("block.placed") && record.contains(&reason().digest()), "{record}");
    assert!(!record.contains(REASON), "R19: the text lies beside the chain");
    let text = world.raw(&keys::block_text(Some(&ann), "B1")).await.expect("the text lies with the person");
    assert_eq!(text["text"].as_s().unwrap(), REASON);

    assert_eq!(world.store.place(&denied, &reason(), nine()).await.unwrap(), placed, "P10: the same again");
    assert_eq!(lines(&world, &Chain::Person(ann.clone())).await.len(), 2, "P10: is recorded once");
    let other = block("B1", Denied::Everything, None);
    assert!(is_changed(world.store.place(&other, &reason(), nine()).await), "an ID is never given to something else");

    assert_eq!(world.store.lift("B1", "per_other", nine()).await.unwrap(), placed);
    assert_eq!(world.store.lift("B1", "per_other", nine()).await.unwrap(), None, "there is no such block any more");
    assert!(world.store.blocks().await.unwrap().is_empty());
    assert!(lines(&world, &Chain::Person(ann)).await.last().unwrap().contains("block.lifted"));
}

#[tokio::test]
async fn r2_a_block_on_nobody_is_refused_and_one_that_has_ended_cannot_be_lifted() {
    let world = world().await;
    let nobody = block("B1", Denied::Person(person(9)), None);
    assert_eq!(world.store.place(&nobody, &reason(), nine()).await.unwrap(), None);
    assert!(world.store.blocks().await.unwrap().is_empty(), "nothing was written");
    let until = at("2026-11-23T10:00:00Z");
    world.store.place(&block("B2", Denied::Everything, Some(until)), &reason(), nine()).await.unwrap();
    assert_eq!(world.store.lift("B2", "per_other", until).await.unwrap(), None);
    let item = world.raw(&keys::block("B2")).await.unwrap();
    assert_eq!(item["ttl"].as_n().unwrap(), &(until.as_second() + 86_400).to_string(), "each look reads every block");
    assert_eq!(lines(&world, &Chain::System).await.len(), 1);
}

#[tokio::test]
async fn r9_a_block_on_many_writes_a_sweep_that_reaches_each_of_them_once() {
    let world = world().await;
    let mut all: Vec<PersonId> = Vec::new();
    for number in 0..120 {
        let id = world.somebody(number).await;
        if number % 2 == 0 {
            let mut next = change(&id, &world.live(&id).await.head);
            next.enrollments = vec![enrollment(&id, "on-call")];
            world.committed(&next).await;
        }
        all.push(id);
    }
    let enrolled: Vec<PersonId> = all.iter().step_by(2).cloned().collect();
    let cases = [
        ("B1", Denied::Everything, Chain::System, all.clone()),
        ("B2", Denied::App("directory".parse().unwrap()), Chain::System, all.clone()),
        ("B3", Denied::Profile("on-call".parse().unwrap()), Chain::Profile("on-call".parse().unwrap()), enrolled),
    ];
    for (id, denied, chain, mut expected) in cases {
        let before = lines(&world, &chain).await.len();
        let placed = world.store.place(&block(id, denied, None), &reason(), nine()).await.unwrap();
        let Some(Concerned::Sweep(sweep)) = placed else { panic!("many are concerned: {placed:?}") };
        assert_eq!(lines(&world, &chain).await.len(), before + 1);
        assert!(world.store.list_chains().await.unwrap().contains(&chain), "P9: an export has it");
        let due: Vec<Sweep> = world.store.due_sweeps(nine()).await.unwrap();
        assert_eq!(due.iter().map(|due| &due.id).collect::<Vec<_>>(), [&sweep], "R9: the tick finds it");
        let mut found = Vec::new();
        loop {
            let mut now = world.store.sweep(&sweep).await.unwrap().expect("it is not over");
            let page = world.store.sweep_page(&now).await.unwrap();
            assert!(page.people.len() <= 50, "R9: in pages");
            found.extend(page.people);
            let Some(next) = page.next else {
                world.store.end_sweep(&now).await.unwrap();
                break;
            };
            (now.after, now.due) = (Some(next), at("2026-11-23T09:02:00Z"));
            world.store.keep_sweep(&now).await.unwrap();
            assert!(is_changed(world.store.keep_sweep(&now).await), "P10: of two workers one goes on");
            assert!(world.store.due_sweeps(nine()).await.unwrap().is_empty(), "somebody is at work on it");
        }
        found.sort();
        expected.sort();
        assert_eq!(found, expected, "R9: {id}");
        assert_eq!(world.store.sweep(&sweep).await.unwrap(), None, "it is over");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn p10_blocks_that_are_placed_at_once_are_all_recorded() {
    let world = world().await;
    let ann = world.somebody(1).await;
    let mut places = tokio::task::JoinSet::new();
    for number in 0..4 {
        let (store, ann) = (world.store.clone(), ann.clone());
        places.spawn(async move {
            let denied = if number % 2 == 0 { Denied::Person(ann) } else { Denied::Everything };
            store.place(&block(&format!("B{number}"), denied, None), &reason(), nine()).await
        });
    }
    for placed in places.join_all().await {
        assert!(placed.unwrap().is_some());
    }
    assert_eq!(world.store.blocks().await.unwrap().len(), 4);
    assert_eq!(lines(&world, &Chain::Person(ann)).await.len(), 3);
    assert_eq!(lines(&world, &Chain::System).await.len(), 2);
}
