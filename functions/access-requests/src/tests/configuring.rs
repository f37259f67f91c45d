//! A whole configuration that administrators apply over HTTP.

use dutykey_engine::ports::configuration::WriteConfiguration as _;
use dutykey_engine::ports::rules::{ReadDue as _, ReadRules as _};
use dutykey_engine::ports::sweep::Among;
use dutykey_policy::evidence::Chain;
use dutykey_runtime::config;
use serde_json::json;

use super::*;

const DAN: (&str, &str) = ("dan", "admins");
const CAT: (&str, &str) = ("cat", "admins");

/// The status and the last word of a problem's type.
fn problem((status, body): &(u16, Value)) -> (u16, &str) {
    let kind = body["type"].as_str().unwrap_or_default();
    (*status, kind.strip_prefix("urn:dutykey:problem:").unwrap_or(kind))
}

impl World {
    /// What is in force, in the words of the file.
    async fn file(&self) -> Value {
        config::said(&self.store.installation().await.unwrap().unwrap().installation)
    }

    async fn put(&self, (who, group): (&str, &str), etag: Option<&str>, query: &str, said: &Value) -> (u16, Value) {
        let request = HttpRequest::builder().method("PUT").uri(format!("/v1/configuration{query}"));
        let request = request.header(DEVELOPER, format!("{who}@example.com")).header(DEVELOPER_GROUPS, group);
        let request = request.header("content-type", "application/json");
        let request = etag.into_iter().fold(request, |request, etag| request.header("if-match", etag));
        let response = self.router.clone().oneshot(request.body(Body::from(said.to_string())).unwrap()).await.unwrap();
        let status = response.status().as_u16();
        let bytes = to_bytes(response.into_body(), 1 << 20).await.unwrap();
        (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
    }

    async fn confirm(&self, who: (&str, &str), digest: &Value) -> (u16, Value) {
        self.call(who, "POST", "/v1/configuration/confirm", json!({ "digest": digest })).await
    }

    async fn configuration(&self) -> Value {
        let (status, answer) = self.call(DAN, "GET", "/v1/configuration", Value::Null).await;
        assert_eq!(status, 200, "{answer}");
        answer
    }

    /// What is recorded of the installation as a whole.
    async fn recorded(&self) -> Vec<Value> {
        let lines = self.store.evidence(&Chain::System, 1, 20).await.unwrap();
        lines.iter().map(|line| serde_json::from_str(&line.line).unwrap()).collect()
    }
}

/// The file with another value at a place.
fn with(file: &Value, place: &str, value: Value) -> Value {
    let mut file = file.clone();
    *file.pointer_mut(place).unwrap_or_else(|| panic!("{place} is not there")) = value;
    file
}

/// Says that an account is Ann's.
fn linked(file: &Value) -> Value {
    with(file, "/people/links", json!([{ "person": "ann@example.com", "apps": { "toys": "acc-dan" } }]))
}

#[tokio::test]
async fn r20_a_configuration_that_gives_its_author_nothing_is_in_force_at_once() {
    let world = world().await;
    let file = world.file().await;
    let next = with(&file, "/profiles/0/name", json!("Other"));
    let (status, preview) = world.call(DAN, "POST", "/v1/configuration/preview", next.clone()).await;
    assert_eq!((status, &preview["needs_another"], &preview["version"]), (200, &json!(false), &json!(1)), "{preview}");
    let key = json!({ "key": "name", "before": "On-call", "after": "Other" });
    let change = json!({ "what": "changed", "part": "profile", "id": "on-call", "keys": [key], "more": 0 });
    assert_eq!(preview["changes"], json!([change]), "{preview}");
    assert_eq!(preview["unforeseen"].as_array().map(Vec::len), Some(1), "nobody has read its rotation: {preview}");
    assert_eq!(world.configuration().await["version"], 1, "looking changes nothing");

    let (status, answer) = world.put(DAN, Some("\"1\""), "", &next).await;
    assert_eq!((status, &answer["version"], &answer["proposal"]), (200, &json!(2), &Value::Null), "{answer}");
    assert_eq!(answer["profiles"], json!([{ "id": "on-call", "version": 2, "owner": "file" }]), "{answer}");
    let swept = world.store.due_sweeps(at(13)).await.unwrap();
    assert_eq!(swept[0].among, Among::Profile("on-call".parse().unwrap()), "R9: those in it are looked at: {swept:?}");
    let last = world.recorded().await.pop().unwrap();
    assert_eq!(last["act"], "configuration.applied", "P9: {last}");
    assert!(last["actor"].as_str().unwrap().starts_with("per_"), "P9: it names its author: {last}");

    assert_eq!(world.put(DAN, Some("\"2\""), "", &next).await.1["version"], 2, "the same again is no change");
    assert_eq!(problem(&world.put(DAN, Some("\"1\""), "", &file).await), (412, "stale-version"));
    assert_eq!(problem(&world.put(DAN, None, "", &file).await), (428, "precondition-required"));
}

#[tokio::test]
async fn r20_whoever_writes_a_link_cannot_confirm_it_and_another_administrator_can() {
    let world = world().await;
    let next = linked(&world.file().await);
    let (status, waits) = world.put(DAN, Some("\"1\""), "", &next).await;
    assert_eq!((status, &waits["by"]["email"]), (202, &json!("dan@example.com")), "{waits}");
    let shown = world.configuration().await;
    assert_eq!((&shown["version"], &shown["proposal"]), (&json!(1), &waits), "it is not in force, and is shown");
    let change = &shown["proposal"]["changes"][0];
    assert_eq!(change["id"], "ann@example.com", "{shown}");
    let leads = json!({ "key": "apps.toys", "after": "acc-dan" });
    assert!(change["keys"].as_array().unwrap().contains(&leads), "Cat sees to whose account it leads: {change}");

    let digest = &waits["digest"];
    assert_eq!(problem(&world.confirm(DAN, digest).await), (403, "own-gain"));
    assert_eq!(problem(&world.confirm(("cat", "audit"), digest).await), (403, "forbidden"));
    assert_eq!(problem(&world.confirm(CAT, &json!("0".repeat(64))).await), (409, "preview-again"));
    let (status, confirmed) = world.confirm(CAT, digest).await;
    assert_eq!((status, &confirmed["version"], &confirmed["proposal"]), (200, &json!(2), &Value::Null), "{confirmed}");
    let installation = world.store.installation().await.unwrap().unwrap().installation;
    assert_eq!(installation.links[0].person, "ann@example.com");
    assert_eq!(problem(&world.confirm(CAT, digest).await), (404, "not-found"), "nothing waits any more");

    let recorded = world.recorded().await;
    let acts: Vec<_> = recorded.iter().map(|record| record["act"].as_str().unwrap()).collect();
    assert_eq!(acts, ["configuration.applied", "configuration.proposed", "configuration.applied"], "P9");
    let (proposed, applied) = (&recorded[1], &recorded[2]);
    assert_eq!(applied["why"]["proposed"]["by"], proposed["actor"], "P9: {applied}");
    assert_ne!(applied["actor"], proposed["actor"], "P9: both are named: {applied}");
    assert!(recorded.iter().all(|record| !record.to_string().contains('@')), "R19: {recorded:?}");
}

#[tokio::test]
async fn r20_what_was_judged_on_an_older_configuration_is_not_confirmed() {
    let world = world().await;
    let next = linked(&world.file().await);
    let (_, waits) = world.put(DAN, Some("\"1\""), "", &next).await;
    let mut other = world.store.installation().await.unwrap().unwrap().installation;
    other.profiles[0].name = "Other".to_owned();
    world.store.configure(1, &other, at(12)).await.unwrap();
    assert_eq!(world.configuration().await["proposal"], Value::Null, "it counts no more");
    assert_eq!(problem(&world.confirm(CAT, &waits["digest"]).await), (409, "preview-again"));

    // A newer one takes its place.
    let (_, first) = world.put(DAN, Some("\"2\""), "", &next).await;
    let more = with(&next, "/people/links/0/person", json!("bob@example.com"));
    let (_, second) = world.put(CAT, Some("\"2\""), "", &more).await;
    assert_eq!(problem(&world.confirm(CAT, &first["digest"]).await), (403, "own-gain"), "hers waits now");
    assert_eq!(world.confirm(DAN, &second["digest"]).await.0, 200);
    assert_eq!(world.store.proposed_configuration(at(12)).await, Ok(None));
}

#[tokio::test]
async fn r23_what_somebody_holds_keeps_its_app_and_source_until_it_has_ended() {
    let world = world().await;
    world.person(10, "ann", (10, 14), State::Held).await;
    let mut bare = world.file().await;
    for part in ["sources", "apps", "profiles"] {
        bare[part] = json!([]);
    }
    let (_, preview) = world.call(DAN, "POST", "/v1/configuration/preview", bare.clone()).await;
    let ends = &preview["ends_now"][0];
    assert_eq!((&ends["person"]["email"], &ends["id"]), (&json!("ann@example.com"), &json!("ops")), "R17: {preview}");
    assert_eq!(preview["retiring"].as_array().map(Vec::len), Some(2), "{preview}");
    let refused = world.put(DAN, Some("\"1\""), "", &bare).await;
    assert_eq!(problem(&refused), (409, "retires"));
    assert!(refused.1["detail"].as_str().unwrap().contains("source `rota`"), "{refused:?}");
    let (status, done) = world.put(DAN, Some("\"1\""), "?retire=true", &bare).await;
    assert_eq!(status, 200, "what leaves gives nobody more: {done}");
    let retires = |id: &str| json!([{ "id": id, "retiring": true }]);
    assert_eq!((&done["sources"], &done["apps"]), (&retires("rota"), &retires("toys")), "{done}");
    let (_, again) = world.put(DAN, Some("\"2\""), "", &bare).await;
    assert_eq!(again["version"], 2, "what retires needs no second word, and is no change: {again}");
}

#[tokio::test]
async fn r20_what_nobody_may_bring_over_the_api_is_refused_by_its_key() {
    let world = world().await;
    let file = world.file().await;
    for who in [("ann", "everybody"), ("cat", "audit")] {
        assert_eq!(problem(&world.put(who, Some("\"1\""), "", &file).await), (403, "forbidden"), "{who:?}");
    }
    let more = |part: &str, item: Value| {
        let mut file = file.clone();
        file[part].as_array_mut().unwrap().push(item);
        file
    };
    let token = json!({ "env": "AWS_SECRET_ACCESS_KEY" });
    let scim = json!({ "id": "scim", "target": "scim", "base_url": "https://scim.example.com", "token": token });
    let retiring = json!({ "id": "scim", "target": "scim", "retiring": true });
    for (said, key) in [
        (more("apps", scim), "apps.scim.token"),
        (more("apps", retiring), "apps[1].retiring"),
        (more("apps", json!({ "id": "more", "target": "sandbox", "script": {} })), "apps.more.target"),
        (with(&file, "/sources/0/url", json!("/etc/passwd")), "sources.rota.url"),
        (with(&file, "/sources/0/url", json!("http://127.0.0.1:9001/next")), "sources.rota.url"),
        (with(&file, "/profiles/0/enrollment/rotations/0", json!("pager:x")), "profiles[0].enrollment.rotations[0]"),
        (with(&file, "/version", json!(2)), "version"),
        (json!("text"), "must be a mapping"),
        (json!({ "long": "a".repeat(100_000) }), "long"),
    ] {
        let refused = world.put(DAN, Some("\"1\""), "", &said).await;
        assert_eq!(problem(&refused), (422, "invalid-field"), "{key}");
        assert!(refused.1["detail"].as_str().unwrap().contains(key), "{key}: {refused:?}");
    }
    let oversized = json!({ "long": "a".repeat(config::MAX_BYTES) });
    assert_eq!(problem(&world.put(DAN, Some("\"1\""), "", &oversized).await), (413, "body-too-long"));
    for query in ["?retire=perhaps", "?force=true"] {
        assert_eq!(problem(&world.put(DAN, Some("\"1\""), query, &file).await), (400, "invalid-parameter"), "{query}");
    }
    assert_eq!(world.configuration().await["version"], 1, "nothing was changed");
    assert_eq!(world.recorded().await.len(), 1, "and nothing proposed");
}
