//! Two releases on one table: what another one wrote is read where it can be, kept where it is unknown, and set aside
//! where it cannot be read.

use aws_sdk_dynamodb::types::AttributeValue;
use dutykey_engine::ports::ledger::{StoreError, WriteLedger};
use dutykey_engine::ports::rota::ReadRota;
use dutykey_engine::ports::rules::{ReadDue, ReadRules};
use dutykey_policy::block::Denied;
use dutykey_policy::hold::State;
use dutykey_policy::identity::Account;
use dutykey_policy::time::Span;
use dutykey_store::keys;
use serde_json::Value;

use crate::harness::{Item, at, change, hold, nine, over, world};

/// An attribute in the form in which DynamoDB's own tools write it.
pub(crate) fn attribute(value: &Value) -> AttributeValue {
    let (kind, inner) = value.as_object().and_then(|o| o.iter().next()).expect("an attribute has a type");
    match (kind.as_str(), inner) {
        ("S", Value::String(text)) => AttributeValue::S(text.clone()),
        ("N", Value::String(number)) => AttributeValue::N(number.clone()),
        ("BOOL", Value::Bool(truth)) => AttributeValue::Bool(*truth),
        ("NULL", Value::Bool(truth)) => AttributeValue::Null(*truth),
        ("L", Value::Array(list)) => AttributeValue::L(list.iter().map(attribute).collect()),
        ("M", Value::Object(_)) => AttributeValue::M(item(inner)),
        other => panic!("no attribute: {other:?}"),
    }
}

fn item(value: &Value) -> Item {
    value.as_object().expect("an object").iter().map(|(name, value)| (name.clone(), attribute(value))).collect()
}

/// The items of a table that a released version wrote. The file is never changed: a new version gets a new one.
fn fixture(text: &str) -> Vec<Item> {
    let items: Vec<Value> = serde_json::from_str(text).unwrap();
    items.iter().map(item).collect()
}

#[tokio::test]
async fn r24_records_of_version_1_are_read() {
    let world = world().await;
    for item in fixture(include_str!("../fixtures/v1.json")) {
        world.put_raw(item).await;
    }
    let ann = "per_01JD0000000000000000000001".parse().unwrap();
    let live = world.live(&ann).await;
    assert_eq!(live.unreadable, Vec::<String>::new());
    assert_eq!((live.head.rev, live.head.chain.seq, live.head.last_at), (2, 2, Some(nine())));
    assert_eq!(live.head.next_end.map(|due| (due.at, due.cause)), Some((at("2026-11-23T17:10:00Z"), "end".to_owned())));
    assert_eq!(live.person.email.as_deref(), Some("ann@example.com"));
    assert_eq!(live.person.users[&"pd".parse().unwrap()], "PXPGF42".parse().unwrap());
    assert!(
        matches!(&live.person.accounts[&"directory".parse().unwrap()], Account::Linked(id) if id.as_str() == "2819c223")
    );
    assert!(live.enrollments[0].periods[0].contains(nine()));
    let hold = &live.holds[0];
    assert_eq!((hold.state, hold.attempts, hold.touched), (State::Granting, 1, true));
    assert_eq!(hold.open.as_ref().map(|open| open.number), Some(1));
    assert_eq!(hold.reasons[0].until, at("2026-11-23T17:10:00Z"));

    assert_eq!(world.store.due_ends(None, at("2026-11-24T00:00:00Z")).await.unwrap().len(), 1);
    assert_eq!(world.store.due_notices(nine()).await.unwrap()[0].id, "overdue/1");
    let rotation = "pd:PABC123".parse().unwrap();
    let heads = world.store.rotations(&"pd".parse().unwrap()).await.unwrap();
    assert_eq!((heads[0].id.clone(), heads[0].generation), (rotation, 7));
    let day = Span::new(nine(), at("2026-11-24T00:00:00Z")).unwrap();
    assert_eq!(world.store.known(&heads[0].id, day).await.unwrap().len(), 2);
    let blocks = world.store.blocks().await.unwrap();
    assert_eq!(blocks[0].denied, Denied::Person(ann));
    let configured = world.store.installation().await.unwrap().unwrap();
    assert_eq!((configured.version, configured.installation.profiles[0].version), (3, 2));
    assert_eq!(world.store.pulse().await.unwrap().rev, 4);
}

#[tokio::test]
async fn r24_an_update_keeps_attributes_that_this_release_does_not_know() {
    let world = world().await;
    let ann = world.somebody(1).await;
    let mut next = change(&ann, &world.live(&ann).await.head);
    next.holds = vec![hold(&ann, "prod")];
    next.identity = Some(world.live(&ann).await.person);
    next.head = world.committed(&next).await;
    let live = keys::hold(&ann, &next.holds[0].key);
    let known = [live.clone(), keys::person_head(&ann), keys::person_links(&ann), keys::person_text(&ann)];
    for key in &known {
        world.set_raw(key, "of_the_next_release", AttributeValue::S("kept".to_owned())).await;
    }
    let mut held = next.holds[0].clone();
    held.state = State::Held;
    next.holds = vec![held.clone()];
    next.head = world.committed(&next).await;
    for key in &known {
        let item = world.raw(key).await.unwrap();
        assert!(item.contains_key("of_the_next_release"), "{key} lost what another release wrote");
    }
    let ended = over(held);
    next.holds = vec![ended.clone()];
    world.committed(&next).await;
    let item = world.raw(&keys::ended_hold(&ended)).await.unwrap();
    assert!(item.contains_key("of_the_next_release"), "an ended hold takes everything with it");
    assert!(!item.contains_key("list"), "an ended hold is not listed as open");
}

#[tokio::test]
async fn r24_a_field_that_becomes_absent_is_removed() {
    let world = world().await;
    let ann = world.somebody(1).await;
    let mut next = change(&ann, &world.live(&ann).await.head);
    let mut asked = hold(&ann, "prod");
    asked.setting = Some("admin".to_owned());
    next.holds = vec![asked.clone()];
    next.head = world.committed(&next).await;
    assert_eq!(world.live(&ann).await.holds, vec![asked.clone()]);
    asked.setting = None;
    next.holds = vec![asked.clone()];
    world.committed(&next).await;
    assert_eq!(world.live(&ann).await.holds, vec![asked]);
}

#[tokio::test]
async fn r24_a_record_that_cannot_be_read_is_set_aside_and_not_written_over() {
    let world = world().await;
    let ann = world.somebody(1).await;
    let mut next = change(&ann, &world.live(&ann).await.head);
    next.holds = vec![hold(&ann, "a"), hold(&ann, "b"), hold(&ann, "c")];
    next.head = world.committed(&next).await;
    let [a, b, _] = [0, 1, 2].map(|place| keys::hold(&ann, &next.holds[place].key));
    world.set_raw(&a, "state", AttributeValue::S("of the next release".to_owned())).await;
    world.set_raw(&b, "v", AttributeValue::N("2".to_owned())).await;

    let live = world.live(&ann).await;
    assert_eq!(live.holds, vec![hold(&ann, "c")], "the rest of the person goes on");
    assert_eq!(live.unreadable, vec![a.to_string(), b.to_string()]);
    let page = world.store.list_open_holds(None, 50).await.unwrap();
    assert_eq!((page.items.len(), page.unreadable.len()), (1, 2), "the rest of the page goes on");

    next.holds = vec![hold(&ann, "b")];
    let outcome = world.store.commit(&next).await;
    assert!(matches!(&outcome, Err(StoreError::Unreadable { key, .. }) if *key == b.to_string()), "{outcome:?}");
    assert_eq!(world.live(&ann).await.head, next.head, "nothing of the change was written");
}
