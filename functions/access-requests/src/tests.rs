use axum::body::{Body, to_bytes};
use axum::http::Request as HttpRequest;
use dutykey_embedded::Embedded;
use dutykey_engine::ports::ledger::{PersonChange, ReadLedger as _, WriteLedger as _};
use dutykey_engine::ports::queue::{Message, Queue, SendError};
use dutykey_engine::ports::rota::{UserLink, WriteRota as _};
use dutykey_engine::ports::rules::WriteRules as _;
use dutykey_policy::enrollment::{Enrollment, Origin, Period};
use dutykey_policy::hold::{Act, Hold, Outcome, State};
use dutykey_policy::id::{HoldKey, PersonId, Place};
use dutykey_policy::rota::End;
use dutykey_policy::wants::{Reason, Shape, Want};
use dutykey_runtime::clock::{SeededChance, VirtualClock};
use dutykey_tests::issuer::Issuer;
use jiff::Timestamp;
use jsonwebtoken::jwk::JwkSet;
use serde_json::Value;
use std::sync::Mutex;
use tower::ServiceExt as _;

use super::*;

const CONFIG: &str = r#"
version: 1
verified_domains: [example.com]
api: { administrators: { groups: [admins] }, auditors: { groups: [audit] } }
sources: [{ id: rota, platform: icalendar, url: ./rota.ics, rotation: primary }]
apps: [{ id: toys, target: sandbox, script: {} }]
profiles:
  - id: on-call
    name: On-call
    entitlements: [{ app: toys, kind: group, id: ops }]
    enrollment: { rotations: ["rota:primary"], lease: 4h }
    break_glass: { people: [ann@example.com], groups: [leads], max_duration: 1h }
"#;

mod acting;
mod configuring;
mod erasing;

/// An hour of the day.
fn at(hour: u8) -> Timestamp {
    format!("2026-11-23T{hour:02}:00:00Z").parse().unwrap()
}

/// Nobody takes messages.
struct NoQueues;

#[async_trait::async_trait]
impl Enqueue for NoQueues {
    async fn send(&self, _: Queue, _: Vec<Message>) -> Result<(), SendError> {
        Ok(())
    }
}

struct World {
    store: Store,
    router: Router,
}

/// It is noon.
async fn world() -> World {
    let store = Store::new(Embedded::memory().unwrap().client(), "dutykey");
    store.create_table("test").await.unwrap();
    let document = dutykey_runtime::config::parse(CONFIG.as_bytes(), std::path::Path::new("/")).unwrap();
    let installation = document.pin(|_| Err("it has no names".to_owned())).unwrap();
    store.configure(0, &installation, at(1)).await.unwrap();
    let clock = Arc::new(VirtualClock::starting_at(at(12)));
    let ports = Ports {
        store: store.clone(),
        queues: Arc::new(NoQueues),
        keys: Arc::new(PublishedKeys::new(clock.clone()).unwrap()),
        unconfigured: Unconfigured::Believed,
        clock,
        chance: Arc::new(SeededChance::new(5)),
    };
    let router = router(ports).fallback(nowhere).layer(middleware::map_response(guarded));
    World { store, router }
}

impl World {
    async fn ask(&self, method: &str, path: &str) -> (u16, Value, Response) {
        self.ask_as(None, method, path).await
    }

    /// Asks as a developer who says who they are and in which group.
    async fn ask_as(&self, who: Option<(&str, &str)>, method: &str, path: &str) -> (u16, Value, Response) {
        let mut request = HttpRequest::builder().method(method).uri(path);
        if let Some((who, group)) = who {
            request = request.header(DEVELOPER, who).header(DEVELOPER_GROUPS, group);
        }
        let request = request.body(Body::empty()).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = to_bytes(body, 1 << 20).await.unwrap();
        let value = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        (parts.status.as_u16(), value, Response::from_parts(parts, Body::empty()))
    }

    /// Sends a body as a developer in a group.
    async fn call(&self, (who, group): (&str, &str), method: &str, path: &str, body: Value) -> (u16, Value) {
        let request = HttpRequest::builder().method(method).uri(path).header("content-type", "application/json");
        let request = request.header(DEVELOPER, format!("{who}@example.com")).header(DEVELOPER_GROUPS, group);
        let response = self.router.clone().oneshot(request.body(Body::from(body.to_string())).unwrap()).await.unwrap();
        let status = response.status().as_u16();
        let bytes = to_bytes(response.into_body(), 1 << 20).await.unwrap();
        (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
    }

    async fn get(&self, path: &str) -> Value {
        let (status, value, _) = self.ask("GET", path).await;
        assert_eq!(status, 200, "{path}: {value}");
        value
    }

    /// A person with this name, on call from one hour to another, with a hold that is in this state.
    async fn person(&self, number: u8, name: &str, hours: (u8, u8), state: State) -> PersonId {
        let fresh: PersonId = format!("per_01JD00000000000000000000{number:02}").parse().unwrap();
        let link = UserLink {
            source: "rota".parse().unwrap(),
            user: name.parse().unwrap(),
            address: format!("{name}@example.com"),
            name: None,
            fresh: fresh.clone(),
            said: false,
            at: at(1),
        };
        let id = self.store.link_user(&link).await.unwrap().unwrap();
        let live = self.store.load(&id).await.unwrap().unwrap();
        let (from, until) = (at(hours.0), at(hours.1));
        let origin = Origin::Coverage("rota:primary".parse().unwrap());
        let profile: dutykey_policy::id::ProfileId = "on-call".parse().unwrap();
        let known = at(1);
        let reason = Reason {
            profile: profile.clone(),
            version: 1,
            origin: origin.clone(),
            from,
            until,
            rolling: false,
            from_known: known,
            until_known: known,
        };
        let key = HoldKey {
            app: "toys".parse().unwrap(),
            account: format!("acc-{name}").parse().unwrap(),
            place: Place { kind: "group".to_owned(), id: "ops".to_owned() },
        };
        let want = Want { shape: Shape::Member, reasons: vec![reason], frozen: false };
        let act = |at| Some(Act { due: at, known, started: at, turn_since: None, done: Some(at) });
        let over = matches!(state, State::Ended(_));
        let held = Hold {
            state,
            since: if over { until } else { from },
            granted: act(from),
            revoked: act(until).filter(|_| over),
            ..Hold::wanted(key, id.clone(), &want, from)
        };
        let period = Period { from, until: End::At(until), from_known: known, until_known: known, duty: None };
        let enrollment = Enrollment { person: id.clone(), profile, origin, periods: vec![period], version: None };
        let planned = state == State::Wanted;
        let change = PersonChange {
            enrollments: vec![enrollment],
            holds: if planned { Vec::new() } else { vec![held] },
            ..PersonChange::nothing(&live, at(2))
        };
        self.store.commit(&change).await.unwrap();
        id
    }
}

fn names(holds: &Value) -> Vec<&str> {
    holds["holds"].as_array().unwrap().iter().map(|hold| hold["person"]["email"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn who_holds_what_now_before_and_later() {
    let world = world().await;
    world.person(10, "ann", (10, 14), State::Held).await;
    world.person(11, "bob", (6, 10), State::Ended(Outcome::Proven)).await;
    world.person(12, "cat", (14, 18), State::Wanted).await;
    let now = world.get("/v1/who").await;
    assert_eq!(names(&now), ["ann@example.com"]);
    let hold = &now["holds"][0];
    assert_eq!((&hold["state"], &hold["until"]), (&"held".into(), &"2026-11-23T14:00:00.000Z".into()));
    assert_eq!(hold["reasons"][0]["ref"], "rota:primary");
    assert!(hold["why"].as_str().unwrap().starts_with("held because of coverage of rotation rota:primary"), "{hold}");
    let then = world.get("/v1/who?at=2026-11-23T09:59:59Z").await;
    assert_eq!((names(&then), &then["holds"][0]["state"]), (vec!["bob@example.com"], &"held".into()));
    let after = world.get("/v1/who?at=2026-11-23T10:00:00Z").await;
    assert_eq!(names(&after), ["ann@example.com"], "an end is not inside");
    assert_eq!(names(&world.get("/v1/who?at=2026-11-23T05:59:59Z").await), Vec::<&str>::new());
    let later = world.get("/v1/who?at=2026-11-23T14:00:00Z").await;
    assert_eq!((names(&later), &later["holds"][0]["state"]), (vec!["cat@example.com"], &"forecast".into()));
}

#[tokio::test]
async fn lists_come_in_pages_and_each_thing_once() {
    let world = world().await;
    for number in 10..17 {
        world.person(number, &format!("user{number}"), (10, 14), State::Held).await;
    }
    let (mut seen, mut path) = (Vec::new(), "/v1/holds?limit=3".to_owned());
    loop {
        let page = world.get(&path).await;
        assert!(page["holds"].as_array().unwrap().len() <= 3);
        seen.extend(names(&page).into_iter().map(str::to_owned));
        let Some(next) = page["next"].as_str() else { break };
        path = format!("/v1/holds?limit=3&cursor={next}");
    }
    seen.sort();
    assert_eq!(seen, (10..17).map(|number| format!("user{number}@example.com")).collect::<Vec<_>>());
}

#[tokio::test]
async fn p9_evidence_comes_as_the_text_that_its_hashes_are_of() {
    let world = world().await;
    let id = world.person(10, "ann", (10, 14), State::Held).await;
    let page = world.get(&format!("/v1/evidence?chain=person/{id}&limit=1")).await;
    let stored = world.store.evidence(&dutykey_policy::evidence::Chain::Person(id), 1, 1).await.unwrap();
    assert_eq!(page["records"][0], stored[0].line.as_str());
    assert_eq!(page["next_seq"], 2);
    assert_eq!(world.get("/v1/evidence").await["chain"], "system");
    let applied =
        async |more: &str| world.get(&format!("/v1/evidence?{more}")).await["records"].as_array().map(Vec::len);
    assert_eq!(applied("act=configuration.&from=2026-11-23T01:00:00Z").await, Some(1));
    assert_eq!(applied("act=hold.").await, Some(0), "nothing of the kind is on the chain");
    assert_eq!(applied("to=2026-11-23T01:00:00Z").await, Some(0), "an end is not inside");
}

#[tokio::test]
async fn p9_the_pages_of_an_export_together_are_checked_elsewhere() {
    let world = world().await;
    let id = world.person(10, "ann", (10, 14), State::Held).await;
    let live = world.store.load(&id).await.unwrap().unwrap();
    let said = |act: &str| dutykey_policy::evidence::Draft {
        act: act.to_owned(),
        actor: "test".to_owned(),
        subject: Value::Null,
        before: Value::Null,
        after: Value::Null,
        why: Value::Null,
    };
    let evidence = vec![said("test.one"), said("test.two")];
    world.store.commit(&PersonChange { evidence, ..PersonChange::nothing(&live, at(3)) }).await.unwrap();
    let mut path = Some(format!("/v1/evidence?chain=person/{id}&limit=1"));
    let (mut pages, mut lines) = (0, Vec::new());
    while let Some(next) = path {
        let request = HttpRequest::builder().uri(&next).header("accept", "application/jsonl");
        let response = world.router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        let link = response.headers().get("link").map(|link| link.to_str().unwrap().to_owned());
        assert_eq!(response.status().as_u16(), 200);
        assert_eq!(response.headers()["content-type"], "application/jsonl");
        let text = String::from_utf8(to_bytes(response.into_body(), 1 << 20).await.unwrap().to_vec()).unwrap();
        lines.extend(text.lines().map(str::to_owned));
        path = link.map(|link| link.trim_start_matches('<').split_once('>').unwrap().0.to_owned());
        pages += 1;
    }
    let verified = |lines: &[String]| {
        let mut verifier = dutykey_policy::evidence::Verifier::default();
        lines.iter().try_for_each(|line| verifier.line(line))?;
        verifier.finish()
    };
    let records = verified(&lines).unwrap().records;
    assert_eq!((records, records > 1), (pages, true), "each page has one record, the last one the end too");
    lines.remove(lines.len() - 2);
    assert!(verified(&lines).is_err(), "a record that is gone is missed");
    let refused = HttpRequest::builder().uri("/v1/evidence?act=hold.").header("accept", "application/jsonl");
    let refused = world.router.clone().oneshot(refused.body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(refused.status().as_u16(), 400, "what is picked from could not be checked");
}

#[tokio::test]
async fn what_cannot_be_answered_is_a_problem_with_a_type_of_its_own() {
    let world = world().await;
    let long = format!("/v1/holds?cursor={}", "a".repeat(5_000));
    for (method, path, status, name) in [
        ("GET", "/v1/who?at=noon", 400, "invalid-parameter"),
        ("GET", "/v1/who?when=now", 400, "invalid-parameter"),
        ("GET", "/v1/holds?limit=201", 400, "invalid-parameter"),
        ("GET", "/v1/holds?limit=1&limit=2", 400, "invalid-parameter"),
        ("GET", "/v1/holds?cursor=xyz", 400, "invalid-cursor"),
        ("GET", "/v1/holds?cursor=abcd", 400, "invalid-cursor"),
        ("GET", long.as_str(), 414, "query-too-long"),
        ("GET", "/v1/forecast?from=2026-11-23T00:00:00Z&to=2027-11-23T00:00:00Z", 400, "invalid-parameter"),
        ("GET", "/v1/evidence?chain=person/ann", 400, "invalid-parameter"),
        ("GET", "/v1/entitlements?app=another", 400, "invalid-parameter"),
        ("GET", "/v1/entitlements?q=--", 400, "invalid-parameter"),
        ("GET", "/v1/entitlements?cursor=abcd", 400, "invalid-cursor"),
        ("GET", "/v1/nothing", 404, "not-found"),
        ("POST", "/v1/who", 405, "method-not-allowed"),
    ] {
        let (got, problem, response) = world.ask(method, path).await;
        let expected = format!("urn:dutykey:problem:{name}");
        assert_eq!((got, &problem["type"]), (status, &Value::from(expected)), "{method} {path}: {problem}");
        assert_eq!(problem["status"], status);
        let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok());
        assert_eq!(header("content-type"), Some("application/problem+json"));
        assert_eq!((header("x-content-type-options"), header("cache-control")), (Some("nosniff"), Some("no-store")));
    }
}

#[tokio::test]
async fn who_ticks_itself_is_well_until_its_first_tick_is_late_and_everybody_else_needs_one() {
    use dutykey_engine::ports::rules::{Pulse, WritePulse as _};

    let store = world().await.store;
    let status = async |since: Timestamp, now: &str| {
        let clock = Arc::new(VirtualClock::starting_at(now.parse().unwrap()));
        let request = HttpRequest::builder().uri("/healthz").body(Body::empty()).unwrap();
        health(store.clone(), clock, since).oneshot(request).await.unwrap().status().as_u16()
    };
    assert_eq!(status(Timestamp::MIN, "2026-11-23T12:00:00Z").await, 503, "no tick ever ran");
    assert_eq!(status(at(12), "2026-11-23T12:02:30Z").await, 200, "the process has just begun");
    assert_eq!(status(at(12), "2026-11-23T12:03:01Z").await, 503, "its first tick is late");
    store.keep_pulse(&Pulse { ticked_at: Some(at(13)), ..Pulse::default() }).await.unwrap();
    for since in [Timestamp::MIN, at(12)] {
        assert_eq!(status(since, "2026-11-23T13:02:30Z").await, 200, "a tick ran");
        assert_eq!(status(since, "2026-11-23T13:03:01Z").await, 503, "none for three minutes");
    }
}

/// An address of this path.
fn address(path: &str) -> String {
    let named = path.replace("{id}", "req_01JD0000000000000000000000").replace("{profile}", "on-call");
    named
        .replace("{person}", "per_01JD0000000000000000000000")
        .replace("{rotation}", "rota:primary")
        .replace("{block}", "01JD0000000000000000000000")
        .replace("{hold}", "per_01JD0000000000000000000000.0123456789abcdef0123")
        .replace("{shift}", "rota:primary.1763899200000.0123456789ab")
        .replace("{emergency}", "emg_01JD0000000000000000000000")
        .replace("{digest}", &"ab".repeat(32))
}

/// Who may call an endpoint, as its description says.
fn may(callers: &str, caller: &str) -> bool {
    match callers {
        "anyone" => true,
        "person" | "requester" | "approver" => caller != "this machine",
        // Nobody has the hold that the test names.
        "administrator" | "holder" => caller == "administrator",
        "reviewer" => matches!(caller, "auditor" | "administrator"),
        "auditor" => matches!(caller, "this machine" | "auditor" | "administrator"),
        other => panic!("the description names {other}, which this test does not know"),
    }
}

#[tokio::test]
async fn r21_every_endpoint_is_open_to_those_whom_its_description_names_and_to_nobody_else() {
    let world = world().await;
    let callers = [
        ("this machine", None),
        ("person", Some(("ann@example.com", "everybody"))),
        ("auditor", Some(("cat@example.com", "audit"))),
        ("administrator", Some(("dan@example.com", "admins"))),
        ("stranger", Some(("eve@elsewhere.com", "admins"))),
    ];
    let document = world.get("/v1/openapi.json").await;
    assert_eq!(document["openapi"].as_str().map(|version| &version[..3]), Some("3.1"));
    let mut checked = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let described = operation["x-callers"].as_str().unwrap_or_else(|| panic!("{method} {path} names nobody"));
            assert!(operation["responses"]["default"].is_object(), "{method} {path} may answer with a problem");
            let address = address(path);
            for (caller, who) in callers {
                let (status, answer, _) = world.ask_as(who, &method.to_uppercase(), &address).await;
                let open = caller != "stranger" && may(described, caller);
                let what = format!("{method} {path} as {caller}, described for {described}: {status} {answer}");
                assert_eq!(status != 401 && status != 403, open, "{what}");
                // What is let in gets as far as what it asks for, and is not turned away for having asked wrongly.
                assert!(!open || [200, 404, 400, 409, 415].contains(&status), "{what}");
                checked += 1;
            }
        }
    }
    assert_eq!(checked, 5 * 46, "each endpoint with each caller");
}

#[tokio::test]
async fn r18_a_restored_table_is_read_and_not_changed_until_it_is_rebuilt() {
    let world = world().await;
    let (admin, denial) =
        (("eve", "admins"), serde_json::json!({ "denies": "app", "id": "toys", "reason": "a drill" }));
    let look = async || world.ask_as(Some(("cat@example.com", "audit")), "GET", "/v1/profiles").await.0;
    assert_eq!(look().await, 200);
    world.store.stand_still("a restore", at(12)).await.unwrap();
    let (status, problem) = world.call(admin, "POST", "/v1/blocks", denial.clone()).await;
    assert!(status == 503 && problem["detail"].to_string().contains("rebuild"), "{status} {problem}");
    assert_eq!(look().await, 200, "whoever is known may look");
    world.store.rebuilt("a restore", at(12)).await.unwrap();
    assert_ne!(
        world.call(admin, "POST", "/v1/blocks", denial).await.0,
        503,
        "a denial may be needed before the release"
    );
}

#[tokio::test]
async fn the_description_and_the_routes_are_the_same() {
    let world = world().await;
    let document = world.get("/v1/openapi.json").await;
    let said =
        &document["paths"]["/v1/profiles/{profile}"]["put"]["requestBody"]["content"]["application/json"]["schema"];
    assert_eq!(said["$ref"], "#/components/schemas/ProfileDefinition");
    let definition = &document["components"]["schemas"]["ProfileDefinition"]["properties"];
    assert!(definition["entitlements"].is_object() && definition["id"].is_null(), "the file's own words: {definition}");
    let whole = &document["paths"]["/v1/configuration"]["put"]["requestBody"]["content"]["application/json"]["schema"];
    assert_eq!(whole["$ref"], "#/components/schemas/ConfigurationDefinition");
    let definition = &document["components"]["schemas"]["ConfigurationDefinition"]["properties"];
    assert!(definition["sources"].is_object(), "the file's own words: {definition}");
    for (path, item) in document["paths"].as_object().unwrap() {
        let described: Vec<String> = item.as_object().unwrap().keys().map(|method| method.to_uppercase()).collect();
        let address = address(path);
        for method in ["GET", "PUT", "POST", "DELETE", "PATCH"] {
            let (status, answer, _) = world.ask_as(Some(("ann@example.com", "admins")), method, &address).await;
            let known = described.iter().any(|one| one == method);
            assert_eq!(status != 405, known, "{method} {path} is answered with {status}: {answer}");
            let nowhere = answer["detail"].as_str().is_some_and(|detail| detail.contains("there is no /v1"));
            assert!(!nowhere, "{method} {path} is described and leads nowhere");
        }
    }
}

/// A clock that is set by hand.
struct Dial(Mutex<Timestamp>);

impl Dial {
    fn set(&self, at: Timestamp) {
        *self.0.lock().unwrap() = at;
    }
}

#[async_trait::async_trait]
impl Clock for Dial {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }

    async fn sleep_until(&self, _: Timestamp) {}
}

#[tokio::test]
async fn r21_an_issuer_s_keys_are_kept_and_read_again_for_a_key_that_nobody_knows() {
    let issuer = Issuer::start().await;
    let clock = Arc::new(Dial(Mutex::new(at(12))));
    let published = PublishedKeys::new(clock.clone()).unwrap();
    let read = async |again: bool| JwkSet::clone(&*published.keys(&issuer.url, again).await.unwrap());
    assert_eq!((read(false).await, read(false).await), (issuer.keys(), issuer.keys()));
    assert_eq!(issuer.reads(), 1, "they are kept");
    issuer.turn_over("second");
    assert_ne!(read(true).await, issuer.keys());
    assert_eq!(issuer.reads(), 1, "a stranger's key does not have them read more than once a minute");
    clock.set(at(12) + jiff::SignedDuration::from_secs(61));
    assert_eq!((read(true).await, issuer.reads()), (issuer.keys(), 2));
    let (url, keys) = (issuer.url.clone(), issuer.keys());
    drop(issuer);
    clock.set(at(14));
    assert_eq!(*published.keys(&url, false).await.unwrap(), keys, "an issuer that is down locks nobody out");
    clock.set(at(14) + jiff::SignedDuration::from_hours(24));
    assert!(published.keys(&url, false).await.is_err(), "but not for ever");
    let far = published.keys("http://id.example.com", false).await.unwrap_err();
    assert!(far.to_string().contains("not https"), "{far}");
}

#[tokio::test]
async fn a_person_a_profile_and_a_rotation_say_who_holds_what_and_why() {
    let world = world().await;
    let ann = world.person(10, "ann", (10, 14), State::Held).await;
    world.person(11, "bob", (6, 10), State::Ended(Outcome::Proven)).await;
    let people = world.get("/v1/people").await;
    assert_eq!(people["people"].as_array().map(Vec::len), Some(2), "{people}");
    let full = world.get(&format!("/v1/people/{ann}")).await;
    assert_eq!(
        (&full["person"]["email"], &full["holds"][0]["id"]),
        (&"ann@example.com".into(), &"ops".into()),
        "{full}"
    );
    assert_eq!(full["users"]["rota"], "ann", "{full}");
    assert_eq!(full["enrollments"][0]["reasons"][0]["ref"], "rota:primary", "{full}");
    let profile = world.get("/v1/profiles/on-call").await;
    assert_eq!((&profile["entitlements"][0]["id"], &profile["enrolls"][0]), (&"ops".into(), &"rota:primary".into()));
    assert_eq!(world.get("/v1/profiles").await["profiles"], Value::from(vec![profile]));
    let inside = world.get("/v1/profiles/on-call/enrollments").await;
    assert_eq!(inside["enrollments"].as_array().map(Vec::len), Some(1), "Bob's is over: {inside}");
    assert_eq!(inside["enrollments"][0]["person"]["id"], ann.to_string());
    let (status, problem, _) = world.ask("GET", "/v1/rotations/rota:primary/shifts").await;
    assert_eq!(status, 404, "no view has shown it yet: {problem}");
}

#[tokio::test]
async fn r20_what_is_proposed_waits_for_a_day() {
    use dutykey_engine::ports::profiles::WriteProfiles as _;
    use dutykey_engine::ports::rules::ReadRules as _;
    use dutykey_policy::edit::Proposal;

    let world = world().await;
    let author: PersonId = "per_01JD0000000000000000000010".parse().unwrap();
    let mut wanted = world.store.all_profiles().await.unwrap().remove(0);
    wanted.id = "made".parse().unwrap();
    for (hours, expected) in [(23, 200), (24, 404)] {
        let since = at(12) - jiff::SignedDuration::from_hours(hours);
        let proposal = Proposal::new(wanted.clone(), author.clone(), 1, Default::default(), since);
        world.store.propose(&proposal).await.unwrap();
        let (status, answer, _) = world.ask("GET", "/v1/profiles/made").await;
        assert_eq!(status, expected, "{answer}");
        let shown = (status == 200).then_some(proposal.digest.as_str());
        assert_eq!(answer["proposal"]["digest"].as_str(), shown, "{answer}");
    }
}

#[tokio::test]
async fn r2_r20_an_administrator_denies_and_another_lifts_what_would_give_the_first_more() {
    let world = world().await;
    let ann = world.person(10, "ann", (10, 14), State::Held).await;
    let call = async |who: &str, method: &str, path: &str, body| world.call((who, "admins"), method, path, body).await;
    let block = |denies: &str, id: &str, confirm: &str| serde_json::json!({ "denies": denies, "id": id, "reach": "revoke", "reason": "laptop stolen", "confirm": confirm });
    let (status, problem) = call("dan", "POST", "/v1/blocks", block("person", ann.as_str(), "ann")).await;
    assert_eq!((status, &problem["type"]), (422, &"urn:dutykey:problem:unconfirmed".into()), "{problem}");
    let stranger = block("person", "per_01JD0000000000000000000099", "per_01JD0000000000000000000099");
    assert_eq!(call("dan", "POST", "/v1/blocks", stranger).await.0, 422, "nobody has this ID");
    let (status, placed) = call("dan", "POST", "/v1/blocks", block("person", ann.as_str(), ann.as_str())).await;
    assert_eq!((status, &placed["person"]), (201, &ann.to_string().into()), "{placed}");
    let (_, app) = call("dan", "POST", "/v1/blocks", block("app", "toys", "toys")).await;
    let listed = world.get("/v1/blocks").await;
    let reasons: Vec<_> = listed["blocks"].as_array().unwrap().iter().map(|block| &block["reason"]).collect();
    assert_eq!(reasons, ["laptop stolen"; 2], "{listed}");
    for denied in [&placed, &app] {
        let path = format!("/v1/blocks/{}", denied["id"].as_str().unwrap());
        let (status, problem) = call("ann", "DELETE", &path, Value::Null).await;
        assert_eq!((status, &problem["type"]), (403, &"urn:dutykey:problem:own-gain".into()), "R20: {problem}");
        assert_eq!(call("dan", "DELETE", &path, Value::Null).await.0, 204);
        assert_eq!(call("dan", "DELETE", &path, Value::Null).await.0, 404, "it is lifted");
    }
    assert_eq!(world.get("/v1/blocks").await["blocks"], serde_json::json!([]));
}

#[tokio::test]
async fn the_catalog_says_what_apps_have_which_profiles_give_it_and_how_fresh_that_is() {
    use dutykey_engine::ports::catalog::{Catalog, CatalogFailure, WriteCatalogs as _};
    use dutykey_policy::catalog::{CatalogEntry, Change};
    use dutykey_policy::id::EntitlementRef;

    let world = world().await;
    let never = world.get("/v1/entitlements").await;
    let nothing = serde_json::json!({
        "entitlements": [], "apps": [{ "app": "toys", "refreshed_at": null, "failure": null }], "next": null, "unreadable": [],
    });
    assert_eq!(never, nothing, "nobody has read the app yet");

    let entry = |kind: &str, id: &str, name: &str, why: Option<&str>| {
        let entitlement = EntitlementRef { app: "toys".parse().unwrap(), kind: kind.to_owned(), id: id.to_owned() };
        let after = CatalogEntry::new(entitlement, name, Some("as the app says"), why, at(1)).unwrap();
        Change::Write { before: None, after }
    };
    let all = [
        entry("group", "ops", "Production operators", None),
        entry("group", "all", "Everybody in production", Some("it follows the directory")),
        entry("role", "admin", "Operator", None),
    ];
    world.store.change_entries(&all).await.unwrap();
    let failure = CatalogFailure { since: at(10), because: "the target cannot do it now: closed".to_owned() };
    let kinds = ["group", "role"].map(str::to_owned).into();
    let mut catalog = Catalog::new("toys".parse().unwrap());
    (catalog.refreshed_at, catalog.kinds, catalog.failure) = (Some(at(9)), kinds, Some(failure));
    world.store.keep_catalog(&catalog).await.unwrap();

    let ids = async |query: &str| -> Vec<String> {
        let page = world.get(&format!("/v1/entitlements{query}")).await;
        let listed = page["entitlements"].as_array().unwrap();
        listed.iter().map(|entry| entry["id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(ids("?q=prod").await, ["all", "ops"]);
    assert_eq!(ids("?q=OPER&app=toys").await, ["ops", "admin"]);
    assert_eq!(ids("?q=oper&kind=role").await, ["admin"]);
    assert_eq!(ids("?q=prod%20op").await, ["ops"], "each of the words begins one of the name's");
    assert_eq!(ids("?q=duction").await, Vec::<String>::new());
    assert_eq!(ids("?kind=permission").await, Vec::<String>::new());
    assert_eq!(ids("?q=").await, ["all", "ops", "admin"]);

    let page = world.get("/v1/entitlements?limit=1").await;
    let first = serde_json::json!({
        "app": "toys", "kind": "group", "id": "all", "name": "Everybody in production", "description": "as the app says",
        "manageable": false, "why_not": "it follows the directory", "profiles": [],
    });
    assert_eq!(page["entitlements"], serde_json::json!([first]));
    assert_eq!(page["apps"][0]["refreshed_at"], "2026-11-23T09:00:00.000Z", "{page}");
    assert_eq!(page["apps"][0]["failure"]["since"], "2026-11-23T10:00:00.000Z", "the last reading stands, and says so");
    let next = page["next"].as_str().unwrap();
    let page = world.get(&format!("/v1/entitlements?limit=1&cursor={next}")).await;
    let second = &page["entitlements"][0];
    let expected = (&"ops".into(), &true.into(), &serde_json::json!(["on-call"]));
    assert_eq!((&second["id"], &second["manageable"], &second["profiles"]), expected, "{page}");
}
