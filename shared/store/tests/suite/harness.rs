//! A fresh table for each test, a count of the requests that reach it, and values to put in it.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::interceptors::BeforeTransmitInterceptorContextRef;
use aws_sdk_dynamodb::config::{
    BehaviorVersion, Builder, ConfigBag, Credentials, Intercept, Region, RuntimeComponents,
};
use aws_sdk_dynamodb::error::BoxError;
use aws_sdk_dynamodb::types::AttributeValue;
use dutykey_embedded::Embedded;
use dutykey_engine::ports::ledger::{
    Committed, LivePerson, Notice, PersonChange, PersonHead, ReadLedger, StoreError, WriteLedger,
};
use dutykey_engine::ports::rota::{UserLink, WriteRota};
use dutykey_policy::enrollment::{Enrollment, Origin, Period};
use dutykey_policy::evidence::Draft;
use dutykey_policy::hold::{Hold, Outcome, State};
use dutykey_policy::id::{HoldKey, PersonId, Place};
use dutykey_policy::installation::Topic;
use dutykey_policy::rota::End;
use dutykey_policy::wants::{Reason, Shape, Want};
use dutykey_store::Store;
use dutykey_store::keys::Key;
use jiff::Timestamp;
use serde_json::json;

pub(crate) type Item = HashMap<String, AttributeValue>;

/// A table of its own.
pub(crate) struct World {
    pub(crate) store: Store,
    pub(crate) client: Client,
    pub(crate) table: String,
    requests: Requests,
}

/// Counts requests by operation as they leave.
#[derive(Debug, Clone, Default)]
struct Requests(Arc<Mutex<BTreeMap<String, u32>>>);

impl Intercept for Requests {
    fn name(&self) -> &'static str {
        "requests"
    }

    fn read_before_transmit(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let target = context.request().headers().get("x-amz-target").unwrap_or_default();
        let operation = target.rsplit('.').next().unwrap_or_default().to_owned();
        *self.0.lock().unwrap().entry(operation).or_default() += 1;
        Ok(())
    }
}

/// The configuration of a client: of the embedded database, or of the server that the environment names.
fn config() -> Builder {
    match std::env::var("DUTYKEY_TEST_DYNAMODB") {
        Ok(url) => aws_sdk_dynamodb::Config::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::new("local"))
            .credentials_provider(Credentials::new("test", "test", None, None, "test"))
            .endpoint_url(url),
        Err(_) => Embedded::memory().unwrap().config(),
    }
}

/// A fresh table behind this client.
pub(crate) async fn world_of(config: Builder) -> World {
    static TABLES: AtomicU32 = AtomicU32::new(0);
    let table = format!("dutykey-test-{}-{}", std::process::id(), TABLES.fetch_add(1, Ordering::Relaxed));
    let requests = Requests::default();
    let client = Client::from_conf(config.interceptor(requests.clone()).build());
    let store = Store::new(client.clone(), &table);
    store.create_table("table-1").await.unwrap();
    World { store, client, table, requests }
}

/// A fresh table.
pub(crate) async fn world() -> World {
    world_of(config()).await
}

impl World {
    /// The requests of some work, by operation.
    pub(crate) async fn requests_of<T>(&self, work: impl Future<Output = T>) -> (T, BTreeMap<String, u32>) {
        self.requests.0.lock().unwrap().clear();
        let done = work.await;
        (done, std::mem::take(&mut *self.requests.0.lock().unwrap()))
    }

    /// An item as it is.
    pub(crate) async fn raw(&self, key: &Key) -> Option<Item> {
        let request = self.client.get_item().table_name(&self.table).set_key(Some(key_item(key))).consistent_read(true);
        request.send().await.unwrap().item
    }

    /// Puts an item as it is.
    pub(crate) async fn put_raw(&self, item: Item) {
        self.client.put_item().table_name(&self.table).set_item(Some(item)).send().await.unwrap();
    }

    /// Sets one attribute of an item.
    pub(crate) async fn set_raw(&self, key: &Key, name: &str, value: AttributeValue) {
        let mut item = self.raw(key).await.expect("the item is there");
        item.insert(name.to_owned(), value);
        self.put_raw(item).await;
    }

    /// Removes an item.
    pub(crate) async fn remove_raw(&self, key: &Key) {
        let request = self.client.delete_item().table_name(&self.table).set_key(Some(key_item(key)));
        request.send().await.unwrap();
    }

    /// Somebody who exists.
    pub(crate) async fn somebody(&self, number: u32) -> PersonId {
        let linked = self.store.link_user(&link(number, &format!("U{number}"))).await.unwrap();
        linked.expect("nobody else has the address")
    }

    /// The live items of somebody who exists.
    pub(crate) async fn live(&self, person: &PersonId) -> LivePerson {
        self.store.load(person).await.unwrap().expect("the person is there")
    }

    /// Commits a change that nobody stands against.
    pub(crate) async fn committed(&self, change: &PersonChange) -> PersonHead {
        match self.store.commit(change).await.unwrap() {
            Committed::Done(head) => head,
            Committed::Claimed(apps) => panic!("claimed by others: {apps:?}"),
        }
    }

    /// Everything in the table.
    pub(crate) async fn everything(&self) -> Vec<Item> {
        let pages = self.client.scan().table_name(&self.table).into_paginator().items();
        let items: Result<Vec<Item>, _> = pages.send().collect().await;
        items.unwrap()
    }
}

pub(crate) fn key_item(key: &Key) -> Item {
    HashMap::from([
        ("pk".to_owned(), AttributeValue::S(key.pk.clone())),
        ("sk".to_owned(), AttributeValue::S(key.sk.clone())),
    ])
}

pub(crate) fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

pub(crate) fn nine() -> Timestamp {
    at("2026-11-23T09:00:00Z")
}

pub(crate) fn person(number: u32) -> PersonId {
    format!("per_01JD{number:022}").parse().unwrap()
}

pub(crate) fn link(number: u32, user: &str) -> UserLink {
    UserLink {
        source: "pd".parse().unwrap(),
        user: user.parse().unwrap(),
        address: format!("person{number}@example.com"),
        name: Some(format!("Person {number}")),
        fresh: person(number),
        said: false,
        at: nine(),
    }
}

/// A change that changes nothing yet.
pub(crate) fn change(person: &PersonId, head: &PersonHead) -> PersonChange {
    PersonChange {
        person: person.clone(),
        head: head.clone(),
        at: nine(),
        next_start: head.next_start.clone(),
        next_end: head.next_end.clone(),
        identity: None,
        claims: Vec::new(),
        enrollments: Vec::new(),
        holds: Vec::new(),
        requests: Vec::new(),
        emergency: None,
        texts: Vec::new(),
        made: None,
        turns: Vec::new(),
        roll: None,
        evidence: vec![draft("test.act")],
        notices: Vec::new(),
    }
}

pub(crate) fn draft(act: &str) -> Draft {
    Draft {
        act: act.to_owned(),
        actor: "test".to_owned(),
        subject: json!({ "number": 1 }),
        before: json!(null),
        after: json!({ "text": "älter" }),
        why: json!([]),
    }
}

pub(crate) fn enrollment(person: &PersonId, profile: &str) -> Enrollment {
    Enrollment {
        person: person.clone(),
        profile: profile.parse().unwrap(),
        origin: Origin::Coverage("pd:PABC123@1".parse().unwrap()),
        periods: vec![Period {
            from: nine(),
            until: End::At(at("2026-11-23T17:00:00Z")),
            from_known: nine(),
            until_known: nine(),
            duty: None,
        }],
        version: None,
    }
}

pub(crate) fn hold(person: &PersonId, group: &str) -> Hold {
    let key = HoldKey {
        app: "directory".parse().unwrap(),
        account: "2819c223".parse().unwrap(),
        place: Place { kind: "group".to_owned(), id: group.to_owned() },
    };
    let reason = Reason {
        profile: "on-call".parse().unwrap(),
        version: 1,
        origin: Origin::Coverage("pd:PABC123".parse().unwrap()),
        from: nine(),
        until: at("2026-11-23T17:00:00Z"),
        rolling: false,
        from_known: nine(),
        until_known: nine(),
    };
    Hold::wanted(key, person.clone(), &Want { shape: Shape::Member, reasons: vec![reason], frozen: false }, nine())
}

pub(crate) fn over(mut hold: Hold) -> Hold {
    hold.state = State::Ended(Outcome::Proven);
    hold.since = at("2026-11-23T17:00:01Z");
    hold
}

pub(crate) fn notice(id: &str) -> Notice {
    Notice::new(id.to_owned(), Topic::Overdue, "late".to_owned(), nine())
}

pub(crate) fn is_changed<T: std::fmt::Debug>(outcome: Result<T, StoreError>) -> bool {
    match outcome {
        Err(StoreError::Changed(_)) => true,
        Ok(_) => false,
        other => panic!("neither done nor refused as late: {other:?}"),
    }
}
