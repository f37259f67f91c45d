//! What functions ask of the table is what their roles allow: neither less nor more. Each function's code runs over a client
//! of its own, which notes the action and the kind of partition of every request.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};

use access_requests::{DEVELOPER, DEVELOPER_GROUPS, Ports, PublishedKeys, Unconfigured};
use async_trait::async_trait;
use aws_sdk_dynamodb::Client;
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use dutykey_engine::block::{Blocks, Denial};
use dutykey_engine::catalog::Catalogs;
use dutykey_engine::look::Worker;
use dutykey_engine::ports::hints::{Hint, WriteHints as _};
use dutykey_engine::ports::ledger::{Claim, PersonChange, ReadLedger as _, WriteLedger as _};
use dutykey_engine::ports::queue::{About, Enqueue, Message, Queue, SendError};
use dutykey_engine::ports::rota::{HeldChange, ReadRota as _, RotationChange, RotationHead, UserLink, WriteRota as _};
use dutykey_engine::ports::rules::{Configured, ReadRules as _};
use dutykey_engine::sync::Syncer;
use dutykey_engine::tick::Ticker;
use dutykey_policy::block::{Denied, Reach};
use dutykey_policy::hold::Side;
use dutykey_policy::id::{AccountId, AppId};
use dutykey_policy::identity;
use dutykey_policy::profile::{BreakGlass, Profile, SelfService};
use dutykey_policy::rota::Difference;
use dutykey_runtime::clock::SeededChance;
use dutykey_store::Store;
use dutykey_targets::sandbox::{Account, OthersAct};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::roles::{READS, Statement, kind, roles};
use crate::paths::world::*;

/// What roles allow beside what this test sees asked for, each with the case in which it is.
const RARE: [(&str, &str, &str); 3] = [
    ("rotation-sync", "dynamodb:ConditionCheckItem", "a user of a second source joins a person who is known"),
    ("rotation-sync", "dynamodb:DeleteItem", "nothing is left of a rotation's day or of a person's enrollment"),
    ("provisioning", "ACCOUNT#*", "an account that somebody needs belongs to somebody else"),
];

/// A function, an action, the table or an index of it, and a kind of partition.
type Asked = (&'static str, String, String, String);

/// The table for one function.
#[derive(Debug, Clone)]
struct Noted {
    inner: SharedHttpConnector,
    function: &'static str,
    asked: Arc<Mutex<BTreeSet<Asked>>>,
}

impl HttpConnector for Noted {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let target = request.headers().get("x-amz-target").unwrap_or_default();
        let action = target.rsplit('.').next().unwrap_or_default();
        let body: Value = serde_json::from_slice(request.body().bytes().expect("a whole body")).expect("JSON");
        let noted = asked(action, &body)
            .into_iter()
            .map(|(action, place, partition)| (self.function, format!("dynamodb:{action}"), place, kind(&partition)));
        self.asked.lock().unwrap().extend(noted);
        self.inner.call(request)
    }
}

/// The actions of a request as IAM sees them, each with the table or the index, and the leading key.
fn asked(action: &str, body: &Value) -> Vec<(String, String, String)> {
    let pk = |item: &Value| item["pk"]["S"].as_str().unwrap_or_else(|| panic!("{item} has no key")).to_owned();
    let of_table = |action: &str, item: &Value| (action.to_owned(), "table".to_owned(), pk(item));
    let all = |value: &Value| value.as_object().expect("tables").values().cloned().collect::<Vec<_>>();
    let list = |value: &Value| value.as_array().expect("a list").clone();
    match action {
        "GetItem" | "UpdateItem" | "DeleteItem" => vec![of_table(action, &body["Key"])],
        "PutItem" => vec![of_table(action, &body["Item"])],
        "BatchGetItem" => {
            let keys = all(&body["RequestItems"]).into_iter().flat_map(|table| list(&table["Keys"]));
            keys.map(|key| of_table(action, &key)).collect()
        }
        "BatchWriteItem" => {
            let writes = all(&body["RequestItems"]).into_iter().flat_map(|table| list(&table));
            let item = |write: Value| match write.get("PutRequest") {
                Some(put) => of_table(action, &put["Item"]),
                None => of_table(action, &write["DeleteRequest"]["Key"]),
            };
            writes.map(item).collect()
        }
        "TransactWriteItems" => {
            let write = |item: Value| {
                let (what, write) = item.as_object().and_then(|item| item.iter().next()).expect("one write");
                match what.as_str() {
                    "Put" => of_table("PutItem", &write["Item"]),
                    "ConditionCheck" => of_table("ConditionCheckItem", &write["Key"]),
                    what => of_table(&format!("{what}Item"), &write["Key"]),
                }
            };
            list(&body["TransactItems"]).into_iter().map(write).collect()
        }
        "Query" => {
            let condition = body["KeyConditionExpression"].as_str().expect("a condition");
            let value = condition.split_whitespace().nth(2).expect("`partition = value` comes first");
            let partition = body["ExpressionAttributeValues"][value]["S"].as_str().expect("a partition");
            let place = body["IndexName"].as_str().unwrap_or("table");
            vec![(action.to_owned(), place.to_owned(), partition.to_owned())]
        }
        // It is about the table as such.
        "DescribeTable" => vec![(action.to_owned(), "table".to_owned(), String::new())],
        other => panic!("no role allows {other}"),
    }
}

/// Messages wait here until somebody takes them.
#[derive(Default)]
struct Messages(Mutex<VecDeque<(Queue, Message)>>);

#[async_trait]
impl Enqueue for Messages {
    async fn send(&self, queue: Queue, messages: Vec<Message>) -> Result<(), SendError> {
        self.0.lock().unwrap().extend(messages.into_iter().map(|message| (queue, message)));
        Ok(())
    }
}

/// The functions, each with a table of its own.
struct Deployed {
    world: World,
    asked: Arc<Mutex<BTreeSet<Asked>>>,
    messages: Arc<Messages>,
    syncer: Syncer,
    ticker: Ticker,
    workers: [Worker; 2],
    catalogs: Catalogs,
}

impl Deployed {
    fn of(world: World) -> Self {
        let asked: Arc<Mutex<BTreeSet<Asked>>> = Arc::default();
        let store = |function| Arc::new(store(&world, function, &asked));
        let messages: Arc<Messages> = Arc::default();
        let worker = |side, actor| {
            let store = store(actor);
            Worker {
                side,
                actor,
                ledger: store.clone(),
                rota: store.clone(),
                rules: store.clone(),
                sweeps: store.clone(),
                turns: store,
                targets: world.targets.clone(),
                queues: messages.clone(),
                clock: world.clock.clone(),
                chance: Arc::new(SeededChance::new(1)),
                witness: world.record.clone(),
            }
        };
        let workers = [worker(Side::Starts, "provisioning"), worker(Side::Ends, "revocation")];
        let provisioned = store("provisioning");
        let catalogs = Catalogs {
            catalogs: provisioned.clone(),
            rules: provisioned,
            targets: world.targets.clone(),
            queues: messages.clone(),
            clock: world.clock.clone(),
        };
        let (synced, ticked) = (store("rotation-sync"), store("handoff"));
        let syncer = Syncer {
            rota: synced.clone(),
            ledger: synced.clone(),
            rules: synced,
            platforms: world.platforms.clone(),
            queues: messages.clone(),
            clock: world.clock.clone(),
            chance: Arc::new(SeededChance::new(2)),
            witness: world.record.clone(),
        };
        let ticker = Ticker {
            due: ticked.clone(),
            numbers: ticked,
            queues: messages.clone(),
            notify: world.record.clone(),
            clock: world.clock.clone(),
            witness: world.record.clone(),
        };
        Self { world, asked, messages, syncer, ticker, workers, catalogs }
    }

    fn store(&self, function: &'static str) -> Store {
        store(&self.world, function, &self.asked)
    }

    /// A tick and a read each minute, and every message by its function.
    async fn run(&self, minutes: u64) {
        for _ in 0..minutes {
            let next = dutykey_policy::time::later(self.world.clock.now(), m(1));
            self.messages.send(Queue::Sync, vec![Message::rota("pd".parse().unwrap(), None, "test")]).await.unwrap();
            self.store("handoff").notice_restore(self.world.clock.now()).await.unwrap();
            self.ticker.tick().await.unwrap();
            loop {
                let due = |(_, message): &(Queue, Message)| message.not_before.is_none_or(|at| at <= next);
                let taken = {
                    let mut waiting = self.messages.0.lock().unwrap();
                    waiting.iter().position(due).and_then(|place| waiting.remove(place))
                };
                let Some((queue, message)) = taken else { break };
                match queue {
                    Queue::Sync => self.syncer.take(&message).await.unwrap(),
                    Queue::Provisioning => match &message.about {
                        About::Catalog { app, .. } => self.catalogs.take(app.as_ref()).await.unwrap(),
                        _ => self.workers[0].take(&message).await.unwrap(),
                    },
                    Queue::Revocation => {
                        assert!(!matches!(message.about, About::Sweep { .. }), "revocation may not touch sweeps");
                        self.workers[1].take(&message).await.unwrap();
                    }
                }
            }
            self.world.clock.sleep_until(next).await;
        }
    }
}

fn store(world: &World, function: &'static str, asked: &Arc<Mutex<BTreeSet<Asked>>>) -> Store {
    let noted = Noted { inner: world.embedded.connector(), function, asked: asked.clone() };
    let http = http_client_fn(move |_, _| SharedHttpConnector::new(noted.clone()));
    Store::new(Client::from_conf(world.embedded.config().http_client(http).build()), "dutykey")
}

/// May be asked for by whoever is on call, and taken by administrators.
fn offered() -> Profile {
    let mut offered = profile("logs", &["logs"], &[]);
    offered.enrollment = None;
    offered.self_service = Some(SelfService {
        rotations: [rotation_id("primary")].into(),
        max_duration: h(1),
        justification_required: true,
        expires: m(30),
        steps: Vec::new(),
    });
    let (people, groups) = (Default::default(), ["admins".to_owned()].into());
    offered.break_glass = Some(BreakGlass { people, groups, max_duration: h(1) });
    offered
}

/// The API, as administrators and auditors call it.
struct Called(Router);

impl Called {
    fn at(deployed: &Deployed) -> Self {
        Self(access_requests::router(Ports {
            store: deployed.store("access-requests"),
            queues: deployed.messages.clone(),
            keys: Arc::new(PublishedKeys::new(deployed.world.clock.clone()).unwrap()),
            unconfigured: Unconfigured::Believed,
            clock: deployed.world.clock.clone(),
            chance: Arc::new(SeededChance::new(3)),
        }))
    }

    async fn call(&self, who: &str, method: &str, path: &str, body: Value) -> (u16, Value) {
        self.call_on(("if-none-match", "*"), who, method, path, body).await
    }

    /// The same, of something that is said by this header.
    async fn call_on(&self, of: (&str, &str), who: &str, method: &str, path: &str, body: Value) -> (u16, Value) {
        let request = Request::builder().method(method).uri(path).header(DEVELOPER, format!("{who}@example.com"));
        let request = request.header(DEVELOPER_GROUPS, "audit, admins").header("content-type", "application/json");
        let request = request.header("idempotency-key", "1").header(of.0, of.1);
        let request = request.body(Body::from(body.to_string())).unwrap();
        let response = self.0.clone().oneshot(request).await.unwrap();
        let (status, body) = (response.status().as_u16(), to_bytes(response.into_body(), 1 << 20).await.unwrap());
        (status, serde_json::from_slice::<Value>(&body).unwrap_or(Value::Null))
    }
}

/// People look at everything; Ann asks, and Bob, who is nobody's approver, tries to decide; he takes what Cat
/// reviews; Eve makes a profile, and blocks.
async fn people_call(deployed: &Deployed) {
    let api = Called::at(deployed);
    let call = async |who: &str, method: &str, path: &str, body| api.call(who, method, path, body).await;
    let (status, me) = call("ann", "GET", "/v1/me", Value::Null).await;
    assert_eq!(status, 200, "{me}");
    let (past, future) = (deployed.world.at(m(2)), deployed.world.at(m(30)));
    let looks = [
        "/v1/who".to_owned(),
        format!("/v1/who?at={past}"),
        format!("/v1/who?at={future}"),
        "/v1/forecast".to_owned(),
        "/v1/holds".to_owned(),
        "/v1/rotations".to_owned(),
        "/v1/evidence".to_owned(),
        format!("/v1/evidence?chain=person/{}", me["person"]["id"].as_str().unwrap()),
        "/v1/evidence?chain=profile/logs".to_owned(),
        format!("/v1/evidence?chain=rotation/{}", rotation_id("primary")),
        "/v1/requests?waiting=true".to_owned(),
        "/v1/blocks".to_owned(),
        "/v1/overview".to_owned(),
        "/v1/brakes".to_owned(),
        "/v1/break-glass".to_owned(),
        "/v1/break-glass?reviewed=true".to_owned(),
        "/v1/people".to_owned(),
        format!("/v1/people/{}", me["person"]["id"].as_str().unwrap()),
        "/v1/profiles".to_owned(),
        "/v1/profiles/on-call".to_owned(),
        "/v1/profiles/on-call/enrollments".to_owned(),
        "/v1/entitlements".to_owned(),
        "/v1/entitlements?q=prod".to_owned(),
        format!("/v1/rotations/{}/shifts", rotation_id("primary")),
    ];
    for path in looks {
        let (status, answer) = call("cat", "GET", &path, Value::Null).await;
        assert_eq!(status, 200, "{path}: {answer}");
    }
    let ask = json!({ "profile": "logs", "duration": "5m", "justification": "disk full" });
    let (status, asked) = call("ann", "POST", "/v1/requests", ask).await;
    assert_eq!((status, &asked["state"]), (201, &json!("approved")), "{asked}");
    let path = format!("/v1/requests/{}", asked["id"].as_str().unwrap());
    let decided = call("bob", "POST", &format!("{path}/decision"), json!({ "decision": "deny" })).await;
    assert_eq!(decided.0, 409, "{decided:?}");
    let longer = json!({ "duration": "6m", "justification": "disk still full" });
    assert_eq!(call("ann", "POST", &format!("{path}/extend"), longer).await.0, 200);
    assert_eq!(call("ann", "GET", &path, Value::Null).await.0, 200);
    let take = json!({ "profile": "logs", "duration": "2m", "justification": "the site is down" });
    let (status, taken) = call("bob", "POST", "/v1/break-glass", take).await;
    assert_eq!(status, 201, "{taken}");
    let path = format!("/v1/break-glass/{}/review", taken["id"].as_str().unwrap());
    assert_eq!(call("cat", "POST", &path, json!({ "comment": "a drill" })).await.0, 200);
    let watch = json!({
        "name": "Watch", "mode": "observe", "entitlements": [{ "app": "directory", "kind": "group", "id": "db" }],
        "enrollment": { "rotations": [rotation_id("primary")] },
    });
    assert_eq!(call("eve", "POST", "/v1/profiles/watch/preview", watch.clone()).await.0, 200);
    assert_eq!(call("eve", "PUT", "/v1/profiles/watch", watch).await.0, 201);
    assert_eq!(call("eve", "GET", "/v1/profiles/watch/deletion", Value::Null).await.0, 200);
    let joe = deployed.world.person("joe").await.expect("the rota has shown him");
    for (denies, id) in [("person", joe.as_str()), ("profile", "on-call"), ("app", "directory")] {
        let denial =
            json!({ "denies": denies, "id": id, "reach": "freeze", "reason": "a drill", "confirm": id, "until": null });
        let (status, block) = call("eve", "POST", "/v1/blocks", denial).await;
        assert_eq!(status, 201, "{block}");
        let path = format!("/v1/blocks/{}", block["id"].as_str().unwrap());
        assert_eq!(call("eve", "DELETE", &path, Value::Null).await.0, 204, "{path}");
    }
}

/// Eve applies a configuration in which others audit, and Ann confirms it.
async fn a_configuration_is_applied(deployed: &Deployed) {
    let (api, store) = (Called::at(deployed), &deployed.world.store);
    let Configured { version, mut installation, made, .. } = store.installation().await.unwrap().unwrap();
    installation.profiles.retain(|profile| !made.contains(&profile.id));
    installation.api.auditors.push("others".to_owned());
    let said = dutykey_runtime::config::said(&installation);
    let (status, preview) = api.call("eve", "POST", "/v1/configuration/preview", said.clone()).await;
    assert_eq!((status, &preview["needs_another"]), (200, &json!(true)), "{preview}");
    let of = format!("\"{version}\"");
    let (status, waits) = api.call_on(("if-match", &of), "eve", "PUT", "/v1/configuration", said).await;
    assert_eq!((status, &waits["digest"]), (202, &preview["digest"]), "{waits}");
    assert_eq!(api.call("ann", "GET", "/v1/configuration", Value::Null).await.1["proposal"]["digest"], waits["digest"]);
    let digest = json!({ "digest": waits["digest"] });
    let (status, confirmed) = api.call("ann", "POST", "/v1/configuration/confirm", digest).await;
    assert_eq!((status, &confirmed["version"]), (200, &json!(version + 1)), "{confirmed}");
}

/// The brake holds a change of a rotation, and an administrator discards it.
async fn a_change_is_discarded(deployed: &Deployed) {
    let (store, id) = (&deployed.world.store, rotation_id("primary"));
    let head = store.heads(std::slice::from_ref(&id)).await.unwrap().remove(&id).unwrap();
    let change = Difference { removed: Vec::new(), added: Vec::new() };
    let (digest, since) = (change.digest(), deployed.world.clock.now());
    let held = HeldChange {
        digest: digest.clone(),
        since,
        why: "a drill".to_owned(),
        change,
        released: false,
        discarded: false,
    };
    let expected = head.generation;
    let head = RotationHead { held: Some(held), ..head };
    let change = RotationChange { expected, head, at: since, known: None, evidence: vec![], notices: vec![] };
    store.change_rotation(&change).await.unwrap();
    let path = format!("/v1/brakes/{digest}/discard");
    assert_eq!(Called::at(deployed).call("eve", "POST", &path, Value::Null).await.0, 200);
}

/// A rotation cannot be read, and an administrator prolongs its leases.
async fn a_lease_is_prolonged(deployed: &Deployed) {
    let (store, id, now) = (&deployed.world.store, rotation_id("primary"), deployed.world.clock.now());
    let head = store.heads(std::slice::from_ref(&id)).await.unwrap().remove(&id).unwrap();
    let (expected, head) = (head.generation, RotationHead { failed_at: Some(now), ..head });
    let change = RotationChange { expected, head, at: now, known: None, evidence: vec![], notices: vec![] };
    store.change_rotation(&change).await.unwrap();
    let path = format!("/v1/rotations/{id}/prolong");
    let asked = json!({ "until": deployed.world.at(h(10)).to_string(), "reason": "a drill" });
    let api = Called::at(deployed);
    assert_eq!(api.call("eve", "POST", &path, asked).await.0, 200);
    let (_, shown) = api.call("eve", "GET", "/v1/rotations", Value::Null).await;
    assert_eq!(shown["rotations"][0]["prolonged_why"], "a drill", "{shown}");
}

/// Somebody who has left, whom a source knew and who had an account, is erased.
async fn somebody_is_erased(deployed: &Deployed) {
    let (api, store, now) = (Called::at(deployed), &deployed.world.store, deployed.world.clock.now());
    let link = UserLink {
        source: "pd".parse().unwrap(),
        user: "zoe".parse().unwrap(),
        address: "zoe@example.com".to_owned(),
        name: None,
        fresh: "per_01JD0000000000000000000099".parse().unwrap(),
        said: false,
        at: now,
    };
    let zoe = store.link_user(&link).await.unwrap().unwrap();
    let live = store.load(&zoe).await.unwrap().unwrap();
    let (app, account): (AppId, AccountId) = ("directory".parse().unwrap(), "acc-zoe".parse().unwrap());
    let mut person = live.person.clone();
    person.accounts.insert(app.clone(), identity::Account::Linked(account.clone()));
    let claims = vec![Claim { app, account, from: None }];
    let change = PersonChange { identity: Some(person), claims, ..PersonChange::nothing(&live, now) };
    store.commit(&change).await.unwrap();
    assert_eq!(api.call("zoe", "GET", "/v1/me", Value::Null).await.0, 200);
    let (status, erased) = api.call("eve", "POST", &format!("/v1/people/{zoe}/erase"), json!({ "confirm": zoe })).await;
    assert_eq!((status, erased["erased"].is_string()), (200, true), "{erased}");
}

/// Hand-offs of an app whose calls take turns and fail for a while, somebody whom nothing matches, a request, blocks on
/// a person, a profile and everything, and leavers whom the brake holds; webhooks, and health.
async fn lived() -> BTreeSet<Asked> {
    let people = ["ann", "bob", "cat", "dan", "joe"];
    let shifts = [
        shift("ann", "0s", "20m"),
        shift("bob", "20m", "40m"),
        shift("cat", "0s", "70m"),
        shift("dan", "0s", "70m"),
        shift("eve", "5m", "50m"),
        shift("joe", "50m", "2d"),
    ];
    let user = |id: &str| json!({ "id": id, "email": format!("{id}@example.com"), "active": true });
    let mut users: Vec<Value> = people.iter().map(|id| user(id)).collect();
    users.push(json!({ "id": "eve", "email": "eve@elsewhere.org", "active": true }));
    let world = Company::of(people)
        .platform("users", json!(users))
        .shifts("primary", &shifts)
        .profile(profile("on-call", &["prod"], &["primary"]))
        .profile(offered())
        .target("serialize", json!("place"))
        .target("faults", json!([{ "fault": "fail", "on": "revoke", "group": "prod", "from": "20m", "to": "23m" }]))
        .installation(|installation| {
            installation.api.auditors = vec!["audit".to_owned()];
            installation.api.administrators = vec!["admins".to_owned()];
            installation.directory = Some("directory".to_owned());
            installation.sync.directory_every = m(10);
        })
        .stopped()
        .await;
    let deployed = Deployed::of(world);
    for function in ["rotation-sync", "webhook-ingest", "access-requests", "handoff", "provisioning", "revocation"] {
        deployed.store(function).installation_id().await.unwrap();
    }
    deployed.messages.send(Queue::Provisioning, vec![Message::catalog(None, "test")]).await.unwrap();
    deployed.run(10).await;
    let (store, clock) = (Arc::new(deployed.world.store.clone()), deployed.world.clock.clone());

    people_call(&deployed).await;
    a_configuration_is_applied(&deployed).await;
    deployed.run(15).await;
    a_change_is_discarded(&deployed).await;
    a_lease_is_prolonged(&deployed).await;

    let blocks = Blocks {
        blocks: store.clone(),
        queues: deployed.messages.clone(),
        clock: clock.clone(),
        chance: Arc::new(SeededChance::new(4)),
    };
    let cat = deployed.world.person("cat").await.expect("the rota has shown her");
    for denied in [Denied::Person(cat), Denied::Profile("on-call".parse().unwrap()), Denied::Everything] {
        let (author, reason) = ("per_admin".to_owned(), "a drill".to_owned());
        let placed = Denial { denied, reach: Reach::Revoke, author, reason, until: None };
        let block = blocks.place(placed).await.unwrap();
        deployed.run(2).await;
        blocks.lift(&block.id, "per_other").await.unwrap();
        deployed.run(2).await;
    }
    for who in ["bob", "cat", "dan"] {
        let account = format!("acc-{who}").parse().unwrap();
        let gone = Account { id: account, address: format!("{who}@example.com"), active: false };
        deployed.world.target.others(OthersAct::Account(gone));
    }
    deployed.run(40).await;
    let api = Called::at(&deployed);
    let (_, brakes) = api.call("ann", "GET", "/v1/brakes", Value::Null).await;
    let digest = brakes["people"][0]["digest"].as_str().expect("the brake holds leavers");
    let path = format!("/v1/brakes/{digest}/release");
    assert_eq!(api.call("ann", "POST", &path, Value::Null).await.0, 200);
    somebody_is_erased(&deployed).await;

    let webhooks = deployed.store("webhook-ingest");
    webhooks.installation().await.unwrap();
    for id in ["1", "1", "2"] {
        let (about, at) = (Some("primary".to_owned()), clock.now());
        let hint = Hint { source: "pd".parse().unwrap(), id: id.to_owned(), about, rotations: 1, most: 10, at };
        webhooks.take(&hint).await.unwrap();
    }
    deployed.store("access-requests").pulse().await.unwrap();
    deployed.store("handoff").installation().await.unwrap();
    deployed.asked.lock().unwrap().clone()
}

fn allows(statement: &Statement, (_, action, place, kind): &Asked) -> bool {
    let index = statement.index().unwrap_or("table");
    statement.actions.contains(action) && index == place && (kind.is_empty() || statement.keys.contains(kind))
}

#[tokio::test(start_paused = true)]
async fn p13_roles_allow_what_functions_ask_of_the_table_and_nothing_else() {
    let (roles, asked) = (roles(), lived().await);
    let missing: Vec<_> = asked.iter().filter(|one| !roles[one.0].iter().any(|it| allows(it, one))).collect();
    assert!(missing.is_empty(), "roles.yaml does not allow what the code does: {missing:#?}");

    let mut spare = BTreeSet::new();
    for (name, statements) in &roles {
        let of = || asked.iter().filter(|one| one.0 == name);
        for statement in statements.iter().filter(|it| it.is_of_the_table()) {
            let place = statement.index().unwrap_or("table");
            let reads = statement.actions.iter().all(|action| READS.contains(&action.as_str()));
            let unused = |action: &&String| !of().any(|one| one.1 == **action && one.2 == place);
            spare.extend(statement.actions.iter().filter(unused).map(|action| (name.as_str(), place, action.as_str())));
            let untouched = |key: &&String| {
                !of().any(|one| one.2 == place && one.3 == **key && READS.contains(&one.1.as_str()) == reads)
            };
            let how = if reads { "reads" } else { "writes" };
            spare.extend(statement.keys.iter().filter(untouched).map(|key| (name.as_str(), how, key.as_str())));
        }
    }
    let rare = |(name, _, what): &(&str, &str, &str)| RARE.iter().any(|(of, known, _)| of == name && known == what);
    spare.retain(|one| !rare(one));
    assert!(spare.is_empty(), "roles.yaml allows what nobody was seen to do; drop it, or say in RARE when: {spare:#?}");
}
