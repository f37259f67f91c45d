//! Profiles that administrators change over HTTP, while people are on call.

use access_requests::{DEVELOPER, DEVELOPER_GROUPS, Ports, PublishedKeys, Unconfigured};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use dutykey_engine::ports::rules::ReadRules as _;
use dutykey_policy::id::{PersonId, RequestId};
use dutykey_runtime::clock::SeededChance;
use serde_json::{Value, json};
use std::sync::Arc;
use tower::ServiceExt as _;

use super::world::*;

/// A company whose administrators call the API. Nobody ever puts Root on call.
struct Office {
    world: World,
    api: Router,
}

/// An answer: its status, its `etag`, its body.
type Answer = (u16, String, Value);

/// The status and the last word of a problem's type.
fn problem((status, _, body): &Answer) -> (u16, &str) {
    let kind = body["type"].as_str().unwrap_or_default();
    (*status, kind.strip_prefix("urn:dutykey:problem:").unwrap_or(kind))
}

const NEW: (&str, &str) = ("if-none-match", "*");
const UNSAID: (&str, &str) = ("accept", "application/json");

fn version(etag: &str) -> (&str, &str) {
    ("if-match", etag)
}

impl Office {
    /// Ann is on call from the first hour to the third, then Bob to the fourth; Cat behind them from the first on. The file's
    /// profile is Cat's.
    async fn open() -> Self {
        let world = Company::of(["ann", "bob", "cat"])
            .shifts("first", &[shift("ann", "1h", "3h"), shift("bob", "3h", "4h")])
            .shifts("second", &[shift("cat", "1h", "4h")])
            .profile(profile("watch", &["logs"], &["second"]))
            .installation(|installation| installation.api.administrators = vec!["admins".to_owned()])
            .start()
            .await;
        world.run_until(m(30)).await;
        let api = access_requests::router(Ports {
            store: world.store.clone(),
            queues: world.queues(),
            keys: Arc::new(PublishedKeys::new(world.clock.clone()).unwrap()),
            unconfigured: Unconfigured::Believed,
            clock: world.clock.clone(),
            chance: Arc::new(SeededChance::new(77)),
        });
        Self { world, api }
    }

    async fn call(&self, who: &str, method: &str, path: &str, header: (&str, &str), body: Value) -> Answer {
        let request = Request::builder().method(method).uri(path).header("content-type", "application/json");
        let request = request.header(DEVELOPER, format!("{who}@example.com")).header(DEVELOPER_GROUPS, "admins");
        let request = request.header(header.0, header.1);
        let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
        let response = self.api.clone().oneshot(request.body(body).unwrap()).await.unwrap();
        let status = response.status().as_u16();
        let etag = response.headers().get("etag").map(|etag| etag.to_str().unwrap().to_owned()).unwrap_or_default();
        let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
        (status, etag, serde_json::from_slice(&body).unwrap_or(Value::Null))
    }

    async fn put(&self, who: &str, id: &str, header: (&str, &str), body: Value) -> Answer {
        self.call(who, "PUT", &format!("/v1/profiles/{id}"), header, body).await
    }

    async fn get(&self, id: &str) -> Answer {
        self.call("root", "GET", &format!("/v1/profiles/{id}"), UNSAID, Value::Null).await
    }

    async fn confirm(&self, who: &str, id: &str, digest: &Value) -> Answer {
        let body = json!({ "digest": digest });
        self.call(who, "POST", &format!("/v1/profiles/{id}/confirm"), UNSAID, body).await
    }

    /// What is recorded of a profile: each act, with who did it.
    async fn recorded(&self, id: &str) -> Vec<(String, String)> {
        let records = self.world.evidence().await;
        let its = records.iter().filter(|record| record["chain"] == format!("profile/{id}"));
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        its.map(|record| (text(&record["act"]), text(&record["actor"]))).collect()
    }

    async fn person(&self, who: &str) -> String {
        self.world.person(who).await.map(|id: PersonId| id.to_string()).expect("they have called")
    }
}

fn groups(gives: &[&str]) -> Value {
    gives.iter().map(|id| json!({ "app": "directory", "kind": "group", "id": id })).collect()
}

/// A profile of whoever is on call in the rotation.
fn automatic(gives: &[&str], rotation: &str) -> Value {
    json!({
        "name": "Production", "entitlements": groups(gives), "override_lock": 0, "self_override": "flag",
        "enrollment": { "rotations": [rotation_id(rotation)], "lead": 0 },
    })
}

/// The same with another value of a key.
fn changed(profile: &Value, key: &str, value: Value) -> Value {
    let mut profile = profile.clone();
    profile[key] = value;
    profile
}

/// A profile for which whoever is on call behind may ask.
fn offered(gives: &[&str]) -> Value {
    json!({
        "name": "On request", "entitlements": groups(gives),
        "self_service": { "rotations": [rotation_id("second")], "max_duration": "4h", "policy": "auto_approve" },
    })
}

#[tokio::test(start_paused = true)]
async fn r17_an_edit_over_http_ends_what_it_drops_and_begins_what_it_adds() {
    let office = Office::open().await;
    let made = office.put("root", "prod", NEW, automatic(&["prod", "db"], "first")).await;
    assert_eq!((made.0, made.1.as_str(), &made.2["owner"]), (201, "\"1\"", &json!("api")), "{made:?}");
    office.world.run_until(h(2)).await;
    assert!(office.world.has("ann", "prod") && office.world.has("ann", "db"), "her shift has begun");

    let next = automatic(&["prod", "logs"], "first");
    let (status, _, preview) = office.call("root", "POST", "/v1/profiles/prod/preview", UNSAID, next.clone()).await;
    assert_eq!((status, &preview["needs_another"]), (200, &json!(false)), "Root gains nothing: {preview}");
    let whats = |list: &str| -> Vec<(String, String)> {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let items = preview[list].as_array().unwrap().iter();
        items.map(|item| (text(&item["person"]["email"]), text(&item["id"]))).collect()
    };
    let of = |what: &str| ["ann", "bob"].map(|who| (format!("{who}@example.com"), what.to_owned()));
    assert_eq!((whats("gains"), whats("losses")), (of("logs").into(), of("db").into()), "R17: {preview}");
    assert_eq!(whats("ends_now"), of("db")[..1], "R17: Ann has it now");
    assert!(office.world.has("ann", "db"), "looking changes nothing");

    let put = office.put("root", "prod", version(&made.1), next).await;
    assert_eq!((put.0, put.1.as_str()), (200, "\"2\""), "{put:?}");
    office.world.run_until(h(2) + s(10)).await;
    assert!(!office.world.has("ann", "db"), "R17: what is dropped ends now");
    assert!(office.world.has("ann", "logs"), "R17: what is added begins now");
    assert_eq!(office.world.changes("ann", "prod").len(), 1, "R17: the rest is left alone");

    let (status, _, loss) = office.call("root", "GET", "/v1/profiles/prod/deletion", UNSAID, Value::Null).await;
    let ends = loss["ends_now"].as_array().unwrap().iter();
    let ends: Vec<&str> = ends.map(|ending| ending["id"].as_str().unwrap()).collect();
    assert_eq!((status, ends), (200, vec!["logs", "prod"]), "R17: what Ann would lose at once: {loss}");
    assert_eq!(
        loss["losses"].as_array().map(Vec::len),
        Some(4),
        "Bob, who comes after her, would have neither: {loss}"
    );
    assert!(office.world.has("ann", "logs"), "looking changes nothing");

    let (_, etag, _) = office.get("prod").await;
    let gone = office.call("root", "DELETE", "/v1/profiles/prod", version(&etag), Value::Null).await;
    assert_eq!(gone.0, 204, "{gone:?}");
    office.world.run_until(h(2) + s(20)).await;
    assert!(office.world.members("prod").is_empty() && !office.world.has("ann", "logs"), "R17: all its reasons end");
    assert_eq!(problem(&office.get("prod").await), (404, "not-found"));
    let root = office.person("root").await;
    let acts = ["profile.made", "profile.changed", "profile.deleted"].map(|act| (act.to_owned(), root.clone()));
    assert_eq!(office.recorded("prod").await, acts, "P9");
    office.world.run_until(h(5)).await;
    office.world.is_over().await;
}

#[tokio::test(start_paused = true)]
async fn r17_a_request_never_grows_and_loses_what_is_dropped() {
    let office = Office::open().await;
    let made = office.put("root", "ask", NEW, offered(&["db"])).await;
    assert_eq!(made.0, 201, "{made:?}");
    office.world.run_until(h(2)).await;
    let ask = json!({ "profile": "ask", "duration": "3h", "justification": "disk full" });
    let (status, _, asked) = office.call("cat", "POST", "/v1/requests", UNSAID, ask).await;
    assert_eq!((status, &asked["state"]), (201, &json!("approved")), "{asked}");
    office.world.run_until(h(2) + m(1)).await;
    assert!(office.world.has("cat", "db"));
    let grown = office.put("root", "ask", version(&made.1), offered(&["db", "prod"])).await;
    office.world.run_until(h(2) + m(2)).await;
    assert!(office.world.has("cat", "db") && !office.world.has("cat", "prod"), "R17: nobody approved the rest");
    let other = office.put("root", "ask", version(&grown.1), offered(&["prod"])).await;
    assert_eq!(other.0, 200, "{other:?}");
    office.world.run_until(h(2) + m(2) + s(10)).await;
    assert!(!office.world.has("cat", "db") && !office.world.has("cat", "prod"), "R17: what is dropped ends now");
    let id: RequestId = asked["id"].as_str().unwrap().parse().unwrap();
    assert!(office.world.store.request(&id).await.unwrap().is_some_and(|it| !it.is_over()), "the request itself lives");
    office.world.run_until(h(5)).await;
    office.world.is_over().await;
}

#[tokio::test(start_paused = true)]
async fn r20_what_gives_its_author_more_waits_for_another_administrator() {
    let office = Office::open().await;
    let mine = automatic(&["prod"], "first");
    let (_, _, preview) = office.call("ann", "POST", "/v1/profiles/mine/preview", UNSAID, mine.clone()).await;
    assert_eq!(preview["needs_another"], true, "{preview}");
    let (status, _, waits) = office.put("ann", "mine", NEW, mine.clone()).await;
    assert_eq!((status, &waits["digest"]), (202, &preview["digest"]), "{waits}");
    office.world.run_until(h(2)).await;
    assert!(!office.world.has("ann", "prod"), "R20: it has not taken effect");
    let (_, etag, shown) = office.get("mine").await;
    assert_eq!((etag.as_str(), &shown["version"]), ("", &json!(0)), "{shown}");
    assert_eq!(shown["proposal"]["by"]["email"], "ann@example.com", "{shown}");
    assert_eq!(shown["proposal"]["wanted"]["entitlements"], groups(&["prod"]), "{shown}");

    assert_eq!(problem(&office.confirm("ann", "mine", &waits["digest"]).await), (403, "own-gain"), "R20");
    assert_eq!(problem(&office.confirm("root", "mine", &json!("0".repeat(64))).await), (409, "preview-again"));
    assert_eq!(problem(&office.confirm("root", "other", &waits["digest"]).await), (404, "not-found"));
    let confirmed = office.confirm("root", "mine", &waits["digest"]).await;
    assert_eq!((confirmed.0, confirmed.1.as_str()), (200, "\"1\""), "{confirmed:?}");
    assert_eq!(confirmed.2["proposal"], Value::Null, "nothing waits any more");
    office.world.run_until(h(2) + s(10)).await;
    assert!(office.world.has("ann", "prod"), "another administrator has confirmed it");
    let [ann, root] = [office.person("ann").await, office.person("root").await];
    let acts = [("profile.proposed".to_owned(), ann), ("profile.made".to_owned(), root)];
    assert_eq!(office.recorded("mine").await, acts, "P9");

    // Less is nobody's gain, even where it is the author's own.
    let observed = changed(&mine, "mode", json!("observe"));
    let less = office.put("ann", "mine", version("\"1\""), observed).await;
    assert_eq!((less.0, less.1.as_str()), (200, "\"2\""), "{less:?}");
    let (_, _, again) = office.put("ann", "mine", version("\"2\""), mine).await;
    let elsewhere = office.put("root", "unrelated", NEW, offered(&["logs"])).await;
    assert_eq!(elsewhere.0, 201, "{elsewhere:?}");
    let late = office.confirm("root", "mine", &again["digest"]).await;
    assert_eq!(problem(&late), (409, "preview-again"), "R20: something has changed meanwhile");
    office.world.run_until(h(5)).await;
    office.world.is_over().await;
}

#[tokio::test(start_paused = true)]
async fn r23_whoever_changes_a_profile_says_what_they_change_and_the_file_s_are_the_file_s() {
    let office = Office::open().await;
    let wanted = || automatic(&["prod"], "first");
    let (status, etag, _) = office.get("watch").await;
    assert_eq!((status, etag.as_str()), (200, "\"1\""));
    for said in [version(&etag), NEW, UNSAID] {
        assert_eq!(problem(&office.put("root", "watch", said, wanted()).await), (409, "file-owned"), "R23: {said:?}");
        let deleted = office.call("root", "DELETE", "/v1/profiles/watch", said, Value::Null).await;
        assert_eq!(problem(&deleted), (409, "file-owned"), "R23: {said:?}");
    }
    assert_eq!(problem(&office.put("root", "prod", UNSAID, wanted()).await), (428, "precondition-required"));
    assert_eq!(problem(&office.put("root", "prod", version("\"1\""), wanted()).await), (412, "stale-version"));
    assert_eq!(office.put("root", "prod", NEW, wanted()).await.0, 201);
    assert_eq!(problem(&office.put("root", "prod", NEW, wanted()).await), (412, "stale-version"), "it is there");
    let named = changed(&wanted(), "name", json!("Other"));
    assert_eq!(office.put("root", "prod", version("\"1\""), named.clone()).await.1, "\"2\"");
    assert_eq!(problem(&office.put("root", "prod", version("\"1\""), wanted()).await), (412, "stale-version"));
    assert_eq!(office.put("root", "prod", version("\"2\""), named).await.1, "\"2\"", "the same again is no change");
    let deleted = office.call("root", "DELETE", "/v1/profiles/prod", version("\"1\""), Value::Null).await;
    assert_eq!(problem(&deleted), (412, "stale-version"));
    let deleted = office.call("root", "DELETE", "/v1/profiles/prod", UNSAID, Value::Null).await;
    assert_eq!(problem(&deleted), (428, "precondition-required"));
    assert_eq!(problem(&office.put("root", "prod", version("2"), wanted()).await), (400, "invalid-parameter"));
    let faulty = changed(&wanted(), "enrollment", json!({ "rotations": ["pager:first"] }));
    let refused = office.put("root", "prod", version("\"2\""), faulty).await;
    assert_eq!(problem(&refused), (422, "invalid-field"));
    assert!(refused.2["detail"].as_str().unwrap().contains("`pager` is not a configured source"), "{refused:?}");
    let definition = office.get("prod").await.2["definition"].clone();
    let same = office.put("root", "prod", version("\"2\""), definition).await;
    assert_eq!((same.0, same.1.as_str()), (200, "\"2\""), "what is shown can be sent back: {same:?}");
    let versions = office.world.store.all_profiles().await.unwrap();
    assert_eq!(versions.iter().map(|it| (it.id.as_str(), it.version)).collect::<Vec<_>>(), [("prod", 2), ("watch", 1)]);
}
