//! Evidence: one transaction with what it records, exported and verified without the table.

use std::collections::BTreeMap;

use dutykey_engine::ports::ledger::{StoreError, WriteLedger};
use dutykey_engine::ports::rules::WriteRules;
use dutykey_policy::evidence::{Chain, Fault, Verified, Verifier};
use dutykey_store::stream::{added, is_evidence};
use dutykey_store::{Exported, Range, keys};

use crate::harness::{World, at, change, draft, hold, world};
use crate::rules::installation;

fn verify(export: &[u8], since: Option<Verified>) -> Result<Verified, Fault> {
    let mut verifier = since.map_or_else(Verifier::default, Verifier::since);
    for line in String::from_utf8_lossy(export).lines() {
        verifier.line(line)?;
    }
    verifier.finish()
}

async fn export(world: &World, only: Option<&Chain>, range: Range) -> (Vec<u8>, Exported) {
    let mut out = Vec::new();
    let exported = world.store.export(only, range, &mut out).await.unwrap();
    (out, exported)
}

/// Two people with a few records each, and a configuration.
async fn history() -> World {
    let world = world().await;
    world.store.configure(0, &installation(&["on-call"]), at("2026-11-23T08:00:00Z")).await.unwrap();
    for number in [1, 2] {
        let id = world.somebody(number).await;
        let mut head = world.live(&id).await.head;
        for hour in 10..14 {
            let mut next = change(&id, &head);
            next.at = at(&format!("2026-11-23T{hour}:00:00Z"));
            next.evidence = vec![draft("first.act"), draft("second.act")];
            next.holds = vec![hold(&id, "prod")];
            head = world.committed(&next).await;
        }
    }
    world
}

#[tokio::test]
async fn p9_an_export_verifies_offline() {
    let world = history().await;
    let (whole, exported) = export(&world, None, Range::default()).await;
    let verified = verify(&whole, None).expect("a fresh export verifies");
    assert_eq!(exported, Exported { chains: 3, records: 1 + 2 * 9 });
    assert_eq!(verified.records, exported.records);
    let chains: Vec<String> = verified.heads.keys().cloned().collect();
    let lines: Vec<String> = String::from_utf8(whole.clone()).unwrap().lines().map(str::to_owned).collect();
    let order: Vec<usize> =
        chains.iter().map(|chain| lines.iter().position(|line| line.contains(chain)).unwrap()).collect();
    assert!(order.is_sorted(), "sorted by chain: {chains:?} at {order:?}");

    let ann = Chain::Person(crate::harness::person(1));
    assert_eq!(world.store.chain_head(&ann).await.unwrap(), verified.heads[&ann.to_string()]);
    let (one, exported) = export(&world, Some(&ann), Range::default()).await;
    assert_eq!(exported, Exported { chains: 1, records: 9 });
    assert_eq!(verify(&one, None).unwrap().heads.len(), 1);

    let id = crate::harness::person(1);
    world.committed(&change(&id, &world.live(&id).await.head)).await;
    let (later, _) = export(&world, None, Range::default()).await;
    verify(&later, Some(verified)).expect("all that the earlier export held is still there");
}

#[tokio::test]
async fn p9_every_flipped_byte_and_every_missing_line_is_found() {
    let world = history().await;
    let ann = Chain::Person(crate::harness::person(1));
    let (whole, _) = export(&world, Some(&ann), Range::default()).await;
    let before = verify(&whole, None).unwrap();
    for place in 0..whole.len() {
        let mut forged = whole.clone();
        forged[place] ^= 1;
        assert!(
            verify(&forged, Some(before.clone())).is_err(),
            "byte {place} of {:?} was flipped unnoticed",
            String::from_utf8_lossy(&whole[place.saturating_sub(40)..(place + 20).min(whole.len())])
        );
    }
    let (whole, _) = export(&world, None, Range::default()).await;
    let lines: Vec<&str> = std::str::from_utf8(&whole).unwrap().lines().collect();
    for missing in 0..lines.len() {
        let left: Vec<&str> = lines.iter().enumerate().filter(|(i, _)| *i != missing).map(|(_, line)| *line).collect();
        assert!(verify(left.join("\n").as_bytes(), None).is_err(), "line {missing} was removed unnoticed");
    }
}

#[tokio::test]
async fn p9_a_record_removed_from_the_table_is_missed() {
    let world = history().await;
    let ann = Chain::Person(crate::harness::person(1));
    let last = world.store.chain_head(&ann).await.unwrap().seq;
    for seq in [last, 3] {
        world.remove_raw(&keys::evidence(&ann, seq)).await;
        let (whole, _) = export(&world, None, Range::default()).await;
        let fault = verify(&whole, None).expect_err("the head still names the record");
        assert_eq!(fault.chain, ann.to_string());
    }
}

#[tokio::test]
async fn r18_each_record_is_in_an_item_that_the_stream_shows_as_evidence_of_its_chain() {
    let world = history().await;
    let (whole, _) = export(&world, None, Range::default()).await;
    let mut shown = BTreeMap::new();
    for item in world.everything().await {
        let image = serde_json::to_value(serde_dynamo::Item::from(item)).unwrap();
        if is_evidence(&image) {
            let added = added(image).expect("evidence of this release");
            shown.extend(added.lines.into_iter().map(|line| ((added.chain.to_string(), line.seq), line.line)));
        }
    }
    let shown: Vec<String> = shown.into_values().collect();
    let lines: Vec<String> = String::from_utf8(whole).unwrap().lines().map(str::to_owned).collect();
    assert_eq!(shown, lines[..lines.len() - 1], "all but the closing line of an export");
}

#[tokio::test]
async fn p9_evidence_is_never_written_over() {
    let world = world().await;
    let ann = world.somebody(1).await;
    let head = world.live(&ann).await.head;
    let after = world.committed(&change(&ann, &head)).await;
    let records = world.store.evidence(&Chain::Person(ann.clone()), 1, 10).await.unwrap();
    // As in a table restored from a backup: the head is older than the evidence.
    let key = keys::person_head(&ann);
    let mut old = world.raw(&key).await.unwrap();
    let chain = serde_json::to_value(&head.chain).unwrap();
    old.insert(
        "chain".to_owned(),
        crate::releases::attribute(&serde_json::json!({ "M": {
        "seq": { "N": chain["seq"].to_string() }, "hash": { "S": chain["hash"] }
    } })),
    );
    world.put_raw(old).await;
    let mut next = change(&ann, &after);
    next.head.chain = head.chain;
    let outcome = world.store.commit(&next).await;
    assert!(
        matches!(&outcome, Err(StoreError::Unreadable { problem, .. }) if problem.contains("restored")),
        "{outcome:?}"
    );
    assert_eq!(world.store.evidence(&Chain::Person(ann), 1, 10).await.unwrap(), records);
}

#[tokio::test]
async fn a_part_of_the_time_is_a_partial_export_that_verifies() {
    let world = history().await;
    let range = Range { from: Some(at("2026-11-23T11:00:00Z")), to: Some(at("2026-11-23T13:00:00Z")) };
    let (part, exported) = export(&world, None, range).await;
    assert_eq!(exported, Exported { chains: 2, records: 8 }, "two changes with two records for each of two people");
    assert_eq!(verify(&part, None).unwrap().records, 8);
    assert!(String::from_utf8_lossy(&part).ends_with("\"partial\":true}\n"));
}

#[tokio::test]
async fn evidence_is_read_from_any_number_on() {
    let world = history().await;
    let ann = Chain::Person(crate::harness::person(1));
    for from in 1..=9 {
        let seqs: Vec<u64> = world.store.evidence(&ann, from, 4).await.unwrap().iter().map(|line| line.seq).collect();
        assert_eq!(seqs, (from..=9).take(4).collect::<Vec<u64>>());
    }
    assert_eq!(world.store.evidence(&ann, 10, 4).await, Ok(vec![]));
}

#[tokio::test]
async fn p9_records_of_one_change_that_fill_more_than_one_item_stay_in_order() {
    let world = world().await;
    let ann = world.somebody(1).await;
    let mut next = change(&ann, &world.live(&ann).await.head);
    let mut big = draft("big.act");
    big.after = serde_json::json!("x".repeat(90_000));
    next.evidence = vec![big; 7];
    world.committed(&next).await;
    let (whole, _) = export(&world, None, Range::default()).await;
    assert_eq!(verify(&whole, None).unwrap().records, 8);
}

#[tokio::test]
async fn a_number_with_a_fraction_is_no_evidence() {
    let world = world().await;
    let ann = world.somebody(1).await;
    let before = world.live(&ann).await;
    let mut next = change(&ann, &before.head);
    next.evidence[0].after = serde_json::json!(0.5);
    next.holds = vec![hold(&ann, "prod")];
    assert!(world.store.commit(&next).await.is_err());
    assert_eq!(world.live(&ann).await, before, "no change without its evidence");
}
