//! The catalog: what apps have to give, read each hour, and kept where an app cannot be read.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use dutykey_engine::catalog::Catalogs;
use dutykey_engine::ports::catalog::{Catalog, ReadCatalogs, WriteCatalogs};
use dutykey_engine::ports::clock::Clock;
use dutykey_engine::ports::ledger::StoreError;
use dutykey_engine::ports::queue::{Enqueue, Message, Queue, SendError};
use dutykey_policy::catalog::{CatalogEntry, Change, Reading, Words};
use dutykey_policy::id::AppId;
use dutykey_policy::installation::{App, Installation, TargetSettings};
use dutykey_policy::time::later;
use dutykey_store::Store;
use dutykey_targets::sandbox::{Fault, FaultKind, Operation};
use serde_json::{Value, json};

use super::world::*;

/// An app with these groups: their IDs and names.
fn script(groups: &[(&str, &str)]) -> Value {
    let group = |(id, name): &(&str, &str)| json!({ "id": id, "name": name, "description": "as the app says" });
    let mut groups: Vec<Value> = groups.iter().map(group).collect();
    groups.push(json!({ "id": "everybody", "name": "All staff", "unmanageable": "it follows the directory" }));
    json!({ "groups": groups, "roles": { "order": ["viewer", "admin"] } })
}

fn app(id: &str) -> AppId {
    id.parse().unwrap()
}

impl World {
    /// What the catalog has of a kind of an app's, by ID.
    async fn listed(&self, of: &str, kind: &str) -> BTreeMap<String, CatalogEntry> {
        let page = self.store.list_entitlements(&[(app(of), kind.to_owned())], &Words::default(), None, 200).await;
        page.unwrap().items.into_iter().map(|entry| (entry.entitlement.id.clone(), entry)).collect()
    }

    async fn catalog(&self, of: &str) -> Catalog {
        self.store.catalogs(&[app(of)]).await.unwrap().remove(&app(of)).expect("somebody has read it")
    }

    /// Has the app `directory` have something else.
    async fn becomes(&mut self, script: Value) {
        let of = app("directory");
        self.configure(|installation| {
            for app in installation.apps.iter_mut().filter(|app| app.id == of) {
                app.settings = TargetSettings::Sandbox { script: script.clone() };
            }
        })
        .await;
    }
}

/// A company whose app `directory` has this script, beside a second one, `extra`.
fn company(directory: &Value) -> Company {
    let settings = TargetSettings::Sandbox { script: script(&[("x", "Extra prod")]) };
    let extra = App { id: app("extra"), settings, retiring: false };
    Company::of(["ann"])
        .target("groups", directory["groups"].clone())
        .target("roles", directory["roles"].clone())
        .installation(|installation| installation.apps.push(extra))
}

/// Its process, with catalogs read as `serve` has it done.
async fn served(company: Company) -> World {
    let mut world = company.stopped().await;
    let process = world.process(world.clock.clone(), 3);
    let serving = process.clone();
    tokio::spawn(async move { serving.catalogs().await });
    world.begin_with(process);
    world
}

/// Reads catalogs without a process, over this table.
fn reader(world: &World, catalogs: Arc<dyn WriteCatalogs>, sent: &Arc<Sent>) -> Catalogs {
    Catalogs {
        catalogs,
        rules: Arc::new(world.store.clone()),
        targets: world.targets.clone(),
        queues: sent.clone(),
        clock: world.clock.clone(),
    }
}

/// Nobody takes these messages.
#[derive(Default)]
struct Sent(Mutex<Vec<Message>>);

#[async_trait]
impl Enqueue for Sent {
    async fn send(&self, _: Queue, messages: Vec<Message>) -> Result<(), SendError> {
        self.0.lock().unwrap().extend(messages);
        Ok(())
    }
}

/// A table that takes its time for entries.
struct Slow {
    store: Store,
    clock: Arc<dyn Clock>,
}

#[async_trait]
impl ReadCatalogs for Slow {
    async fn catalogs(&self, apps: &[AppId]) -> Result<BTreeMap<AppId, Catalog>, StoreError> {
        self.store.catalogs(apps).await
    }
}

#[async_trait]
impl WriteCatalogs for Slow {
    async fn entries(&self, app: &AppId) -> Result<Reading, StoreError> {
        self.store.entries(app).await
    }
    async fn keep_catalog(&self, catalog: &Catalog) -> Result<Catalog, StoreError> {
        self.store.keep_catalog(catalog).await
    }
    async fn change_entries(&self, changes: &[Change]) -> Result<(), StoreError> {
        self.clock.sleep_until(later(self.clock.now(), m(2))).await;
        self.store.change_entries(changes).await
    }
}

fn usual() -> Company {
    company(&script(&[("prod", "Prod operators"), ("logs", "Log readers")]))
}

/// An app with so many groups.
fn large(groups: usize) -> Value {
    let groups: Vec<(String, String)> = (0..groups).map(|n| (format!("g{n:03}"), format!("Group {n}"))).collect();
    script(&groups.iter().map(|(id, name)| (id.as_str(), name.as_str())).collect::<Vec<_>>())
}

#[tokio::test(start_paused = true)]
async fn the_catalog_follows_the_app_within_an_hour() {
    let mut world = served(usual()).await;
    world.run_until(m(1)).await;
    let groups = world.listed("directory", "group").await;
    assert_eq!(groups.keys().collect::<Vec<_>>(), ["everybody", "logs", "prod"]);
    assert_eq!(groups["everybody"].unmanageable.as_deref(), Some("it follows the directory"));
    assert_eq!(groups["prod"].description.as_deref(), Some("as the app says"));
    assert_eq!(world.listed("directory", "role").await.into_keys().collect::<Vec<_>>(), ["admin", "viewer"]);
    assert_eq!(world.listed("extra", "group").await.len(), 2, "each app has its own catalog");
    let first = world.catalog("directory").await;
    assert_eq!((first.refreshed_at, &first.failure), (Some(world.epoch), &None));

    world.becomes(script(&[("prod", "Live operators"), ("new", "New")])).await;
    world.run_until(m(59)).await;
    assert_eq!(world.listed("directory", "group").await, groups, "the next reading is not yet due");
    world.run_until(m(61)).await;
    let renamed = world.listed("directory", "group").await;
    assert_eq!(renamed.keys().collect::<Vec<_>>(), ["everybody", "new", "prod"], "`logs` is gone");
    assert_eq!((renamed["prod"].name.as_str(), renamed["prod"].seen_at), ("Live operators", world.at(h(1))));
    assert_eq!(renamed["everybody"], groups["everybody"], "what has not changed is not written");
    let place = [(app("directory"), "group".to_owned())];
    let found = world.store.list_entitlements(&place, &Words::of("prod"), None, 50).await.unwrap();
    assert_eq!(found.items, [], "a renamed group is not found by its old name");

    let before = world.catalog("directory").await;
    world.run_until(m(121)).await;
    let after = world.catalog("directory").await;
    assert_eq!(after, Catalog { rev: before.rev + 1, refreshed_at: Some(world.at(h(2))), ..before }, "one write");
}

#[tokio::test(start_paused = true)]
async fn p6_an_app_that_cannot_be_read_keeps_its_last_catalog_and_says_since_when() {
    let world = served(usual()).await;
    world.run_until(m(30)).await;
    let groups = world.listed("directory", "group").await;
    let fault = Fault { on: Some(Operation::Catalog), ..Fault::always(FaultKind::Permanent) };
    world.target.inject(Fault { to: world.at(m(150)), ..fault });
    world.run_until(m(61)).await;
    let failing = world.catalog("directory").await;
    let failure = failing.failure.clone().expect("it says what is wrong");
    assert_eq!((failing.refreshed_at, failure.since), (Some(world.epoch), world.at(h(1))));
    assert!(failure.because.contains("the target refuses"), "{}", failure.because);
    assert_eq!(world.listed("directory", "group").await, groups);
    assert_eq!(world.catalog("extra").await.refreshed_at, Some(world.at(h(1))), "it delays no other app");
    world.run_until(m(121)).await;
    assert_eq!(world.catalog("directory").await, failing, "since the first failure");
    world.run_until(m(181)).await;
    let healed = world.catalog("directory").await;
    assert_eq!((healed.refreshed_at, healed.failure), (Some(world.at(h(3))), None));
}

#[tokio::test(start_paused = true)]
async fn r11_an_app_that_asks_to_wait_is_asked_again_then_and_not_before() {
    let world = served(usual()).await;
    let fault = Fault { on: Some(Operation::Catalog), times: Some(2), ..Fault::always(FaultKind::Throttled) };
    world.target.inject(Fault { after: Some(s(40)), ..fault });
    world.run_until(s(79)).await;
    assert_eq!(world.target.calls(Operation::Catalog), 2);
    world.run_until(s(81)).await;
    assert_eq!(world.target.calls(Operation::Catalog), 3);
    assert_eq!(world.listed("directory", "group").await.len(), 3);
    world.target.inject(Fault {
        on: Some(Operation::Catalog),
        after: Some(m(10)),
        ..Fault::always(FaultKind::Throttled)
    });
    world.run_until(m(61)).await;
    assert_eq!(world.target.calls(Operation::Catalog), 4, "beyond the deadline it is not waited for");
    assert!(world.catalog("directory").await.failure.is_some());
}

#[tokio::test(start_paused = true)]
async fn p6_a_large_catalog_that_is_suddenly_almost_empty_is_believed_after_a_day() {
    let mut world = company(&large(300)).stopped().await;
    let of = app("directory");
    let catalogs = reader(&world, Arc::new(world.store.clone()), &Arc::default());
    catalogs.take(Some(&of)).await.unwrap();
    assert_eq!(world.store.entries(&of).await.unwrap().len(), 303);
    world.becomes(script(&[("new", "New")])).await;
    for hour in [1, 2, 24] {
        world.run_until(h(hour)).await;
        catalogs.take(Some(&of)).await.unwrap();
        assert_eq!(
            world.store.entries(&of).await.unwrap().len(),
            304,
            "what is new is taken in, and nothing is taken out"
        );
        let catalog = world.catalog("directory").await;
        assert_eq!(catalog.refreshed_at, Some(world.at(h(hour))), "the app was read");
        let failure = catalog.failure.expect("it says what is doubted");
        assert_eq!(failure.since, world.at(h(1)));
        assert!(failure.because.contains("lacks 300"), "{}", failure.because);
    }
    world.run_until(h(25)).await;
    catalogs.take(Some(&of)).await.unwrap();
    assert_eq!(world.listed("directory", "group").await.into_keys().collect::<Vec<_>>(), ["everybody", "new"]);
    assert_eq!(world.catalog("directory").await.failure, None);
}

#[tokio::test(start_paused = true)]
async fn p10_a_catalog_too_large_for_one_run_is_written_in_several_by_one_at_a_time() {
    let world = company(&large(500)).stopped().await;
    let of = app("directory");
    let sent = Arc::new(Sent::default());
    let slow = Slow { store: world.store.clone(), clock: world.clock.clone() };
    let catalogs = reader(&world, Arc::new(slow), &sent);
    let mut written = Vec::new();
    for _ in 0..3 {
        // The second of each two that come together finds that the first is at work.
        let (one, other) = tokio::join!(catalogs.take(Some(&of)), catalogs.take(Some(&of)));
        one.and(other).unwrap();
        written.push(world.store.entries(&of).await.unwrap().len());
        let catalog = world.catalog("directory").await;
        let whole = written.last() == Some(&503);
        assert_eq!((catalog.digest.is_some(), catalog.failure.is_none()), (whole, whole), "{catalog:?}");
    }
    assert_eq!(written, [200, 400, 503]);
    assert_eq!(*sent.0.lock().unwrap(), vec![Message::catalog(Some(of), "more"); 2], "what is left follows at once");
}

#[tokio::test(start_paused = true)]
async fn r23_an_app_that_retires_is_not_read() {
    let retiring = |installation: &mut Installation| installation.apps.iter_mut().for_each(|one| one.retiring = true);
    let world = served(usual().installation(retiring)).await;
    world.run_until(m(5)).await;
    assert_eq!(world.listed("directory", "group").await.len(), 3);
    assert_eq!(world.store.catalogs(&[app("extra")]).await.unwrap(), BTreeMap::new());
}
