//! Items of any version, through the store over a table in memory: what cannot be read is set aside or an error, and what is
//! read and saved again loses nothing that this release does not know.
//!
//! An input is a list of items in the form of DynamoDB's own tools. They are put over those of a released version.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::AttributeValue;
use dutykey_engine::ports::ledger::{FindPeople as _, PersonChange, ReadLedger as _, StoreError, WriteLedger as _};
use dutykey_engine::ports::roll::ReadRoll as _;
use dutykey_engine::ports::rota::{KnownChange, ReadRota as _, RotationChange, WriteRota as _};
use dutykey_engine::ports::rules::{ReadDue as _, ReadRules as _, WritePulse as _};
use dutykey_engine::ports::sweep::WorkSweeps as _;
use dutykey_policy::evidence::Chain;
use dutykey_policy::id::PersonId;
use dutykey_policy::time::Span;
use dutykey_store::{Store, keys};
use jiff::Timestamp;
use serde_json::Value;

use crate::table::{Item, Table, item_of, key};

/// What another release wrote beside what this one knows.
const UNKNOWN: &str = "of_another_release";
const MOST: usize = 6;

thread_local!(static TABLE: Table = Table::new());

/// Takes one input.
pub(crate) fn take(data: &[u8]) {
    let Ok(Value::Array(values)) = serde_json::from_slice(data) else { return };
    let mut items: Vec<Item> = values.iter().filter_map(item_of).take(MOST).collect();
    if items.is_empty() {
        return;
    }
    TABLE.with(|table| {
        for item in &mut items {
            item.insert(
                UNKNOWN.to_owned(),
                AttributeValue::M([("n".to_owned(), AttributeValue::N("1".to_owned()))].into()),
            );
        }
        items.retain(|item| table.put(item.clone()));
        let before = table.everything();
        table.runtime.block_on(used(&table.store(), &items));
        let after = table.everything();
        for item in &items {
            assert_nothing_lost(&key(item), &before, &after);
        }
        table.restore(&after);
    });
}

/// Where the item still is, it has what this release does not know.
fn assert_nothing_lost(
    key: &(String, String),
    before: &BTreeMap<(String, String), Item>,
    after: &BTreeMap<(String, String), Item>,
) {
    if let (Some(before), Some(after)) = (before.get(key), after.get(key)) {
        assert_eq!(before.get(UNKNOWN), after.get(UNKNOWN), "{key:?} has lost what another release wrote");
    }
}

/// Reads everything that the items may concern, and saves again what could be read.
async fn used(store: &Store, items: &[Item]) {
    for (pk, sk) in items.iter().map(key) {
        // An error is an answer; what matters is that there is one, and what is in the table afterwards.
        let _ = match pk.split_once('#').map_or(pk.as_str(), |(kind, _)| kind) {
            "PERSON" => person(store, &pk).await,
            "SOURCE" | "ROTATION" | "LINK" => rotations(store).await,
            "CONFIG" | "PROFILE" => rules(store).await,
            "BLOCK" => store.blocks().await.map(drop),
            "PULSE" => pulse(store).await,
            "NOTICE" => notices(store).await,
            "ROLL" => store.roll(pk.trim_start_matches("ROLL#")).await.map(drop),
            "SWEEP" => sweeps(store, pk.trim_start_matches("SWEEP#")).await,
            "ADDRESS" => store.find_person(pk.trim_start_matches("ADDRESS#")).await.map(drop),
            _ => store.installation_id().await.map(drop),
        };
        let _ = match sk.split_once('#').map_or(sk.as_str(), |(kind, _)| kind) {
            "EVIDENCE" => store.export(None, dutykey_store::Range::default(), &mut std::io::sink()).await.map(drop),
            _ => Ok(()),
        };
    }
    if items.iter().any(|item| item.contains_key(keys::LISTS.partition)) {
        let _ = store.list_people(None, 50).await;
        let _ = store.list_open_holds(None, 50).await;
        let _ = store.list_rotations(None, 50).await;
        let _ = store.list_enrollments(&"on-call".parse().unwrap(), None, 50).await;
        let _ = store.list_chains().await;
    }
    if items.iter().any(|item| item.contains_key(keys::DUE.partition) || item.contains_key(keys::ENDS.partition)) {
        let _ = store.due_starts(None, now()).await;
        let _ = store.due_ends(None, now()).await;
        let _ = store.due_rotations(now()).await;
    }
}

fn now() -> Timestamp {
    "2026-11-23T12:00:00Z".parse().unwrap()
}

fn everything() -> Span {
    Span::new("2026-11-20T00:00:00Z".parse().unwrap(), "2026-11-27T00:00:00Z".parse().unwrap()).unwrap()
}

async fn person(store: &Store, pk: &str) -> Result<(), StoreError> {
    let Some(id) = keys::person_of(pk) else { return Ok(()) };
    let _ = store.list_ended_holds(&id, everything(), None, 50).await;
    let _ = store.evidence(&Chain::Person(id.clone()), 1, 50).await;
    let _ = store.who(std::slice::from_ref(&id)).await;
    let Some(live) = store.load(&id).await? else { return Ok(()) };
    let change = PersonChange {
        identity: Some(live.person.clone()),
        enrollments: live.enrollments.clone(),
        holds: live.holds.clone(),
        ..PersonChange::nothing(&live, now())
    };
    store.commit(&change).await?;
    let again = store.load(&id).await?.expect("a person who was saved is there");
    let joined: Vec<_> = again.unreadable.iter().filter(|key| !live.unreadable.contains(key)).collect();
    assert!(joined.is_empty(), "what was read and saved again cannot be read any more: {joined:?}");
    Ok(())
}

async fn rotations(store: &Store) -> Result<(), StoreError> {
    let source = "pd".parse().unwrap();
    let _ = store.directory(&source).await;
    let _: Result<BTreeMap<_, PersonId>, _> = store.people(&source, &["PXPGF42".parse().unwrap()]).await;
    for head in store.rotations(&source).await? {
        let known = match store.known(&head.id, everything()).await {
            Ok(shifts) => Some(KnownChange { within: everything(), shifts }),
            Err(_) => None,
        };
        let _ = store.chain_head(&Chain::Rotation(head.id.clone())).await;
        let change = RotationChange {
            expected: head.generation,
            head,
            at: now(),
            known,
            evidence: Vec::new(),
            notices: Vec::new(),
        };
        let _ = store.change_rotation(&change).await;
    }
    Ok(())
}

async fn rules(store: &Store) -> Result<(), StoreError> {
    let _ = store.profiles(&["on-call".parse().unwrap()]).await;
    let _ = store.all_profiles().await;
    store.installation().await.map(drop)
}

async fn pulse(store: &Store) -> Result<(), StoreError> {
    let pulse = store.pulse().await?;
    store.keep_pulse(&pulse).await
}

async fn notices(store: &Store) -> Result<(), StoreError> {
    for notice in store.due_notices(now()).await? {
        store.postpone(&notice).await?;
    }
    Ok(())
}

async fn sweeps(store: &Store, id: &str) -> Result<(), StoreError> {
    let _ = store.due_sweeps(now()).await;
    let Some(sweep) = store.sweep(id).await? else { return Ok(()) };
    let _ = store.sweep_page(&sweep).await;
    store.keep_sweep(&sweep).await
}
