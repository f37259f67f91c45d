//! Both ways to access over the HTTP API, with tokens of an issuer whose keys are made here; and every refusal.

use access_requests::{KeysError, Ports, ReadKeys, Unconfigured};
use async_trait::async_trait;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use dutykey_policy::installation::{Oidc, Topic};
use dutykey_policy::profile::{Approvers, BreakGlass, Step};
use dutykey_tests::issuer::{AUDIENCE, Issuer};
use jsonwebtoken::jwk::JwkSet;
use serde_json::{Value, json};
use std::sync::Arc;
use tower::ServiceExt as _;

use super::requests::offered;
use super::world::*;

/// The issuer's keys, without asking over the network: time stands still while a socket is waited for.
struct Keys(Arc<JwkSet>);

#[async_trait]
impl ReadKeys for Keys {
    async fn keys(&self, _: &str, _: bool) -> Result<Arc<JwkSet>, KeysError> {
        Ok(self.0.clone())
    }
}

/// A company whose people call the API.
struct Office {
    world: World,
    issuer: Issuer,
    api: Router,
}

/// An answer: its status, and its body.
type Answer = (StatusCode, Value);

/// The last word of a problem's type.
fn problem((status, body): &Answer) -> (u16, &str) {
    let kind = body["type"].as_str().unwrap_or_default();
    (status.as_u16(), kind.strip_prefix("urn:dutykey:problem:").unwrap_or(kind))
}

impl Office {
    /// Ann is on call from the first hour to the fifth, Bob behind her; Cat approves first, then whoever is behind. Those
    /// on call in the first rotation are in `watch` without asking.
    async fn open() -> Self {
        let issuer = Issuer::start().await;
        let mut prod = offered(Vec::new());
        if let Some(service) = &mut prod.self_service {
            let cat = Approvers::Groups(["security".to_owned()].into());
            let behind = Approvers::OnCall(rotation_id("second"));
            service.steps = [cat, behind].map(|approvers| Step { approvers, any: 1 }).into();
        }
        let mut rescue = profile("rescue", &["db"], &[]);
        rescue.enrollment = None;
        let (people, groups) = (Default::default(), ["security".to_owned()].into());
        rescue.break_glass = Some(BreakGlass { people, groups, max_duration: h(1) });
        let mut world = Company::of(["ann", "bob", "cat", "dan"])
            .shifts("first", &[shift("ann", "1h", "5h")])
            .shifts("second", &[shift("bob", "0s", "10h"), shift("cat", "20h", "30h"), shift("dan", "40h", "41h")])
            .profile(prod)
            .profile(profile("watch", &["watch"], &["first"]))
            .profile(rescue)
            .start()
            .await;
        let oidc = Oidc {
            issuer: issuer.url.clone(),
            audience: AUDIENCE.to_owned(),
            subject_claim: "sub".to_owned(),
            email_claim: "email".to_owned(),
            groups_claim: "groups".to_owned(),
        };
        world
            .configure(|installation| {
                installation.api.oidc = Some(oidc);
                installation.api.auditors = vec!["audit".to_owned()];
            })
            .await;
        world.run_until(m(30)).await;
        let api = access_requests::router(Ports {
            store: world.store.clone(),
            queues: world.queues(),
            keys: Arc::new(Keys(Arc::new(issuer.keys()))),
            unconfigured: Unconfigured::Refused,
            clock: world.clock.clone(),
            chance: Arc::new(dutykey_runtime::clock::SeededChance::new(77)),
        });
        Self { world, issuer, api }
    }

    fn token(&self, who: &str) -> String {
        let groups: &[&str] = if who == "cat" { &["security"] } else { &["everybody"] };
        self.issuer.token(&self.issuer.claims(who, groups, self.world.clock.now()))
    }

    async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.api.clone().oneshot(request).await.unwrap();
        let (status, body) = (response.status(), to_bytes(response.into_body(), 1 << 20).await.unwrap());
        (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
    }

    async fn with(&self, token: &str, method: &str, path: &str, body: Value) -> Answer {
        let request = Request::builder().method(method).uri(path).header("authorization", format!("Bearer {token}"));
        let request = request.header("content-type", "application/json");
        let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
        self.send(request.body(body).unwrap()).await
    }

    async fn call(&self, who: &str, method: &str, path: &str, body: Value) -> Answer {
        self.with(&self.token(who), method, path, body).await
    }

    async fn ask(&self, who: &str) -> Answer {
        let ask = json!({ "profile": "prod", "duration": "1h", "justification": "disk full", "incident": "INC-7" });
        self.call(who, "POST", "/v1/requests", ask).await
    }

    async fn decide(&self, who: &str, id: &str, decision: &str) -> Answer {
        let path = format!("/v1/requests/{id}/decision");
        self.call(who, "POST", &path, json!({ "decision": decision, "comment": "as agreed" })).await
    }
}

fn id(answer: &Answer) -> String {
    assert!(answer.0.is_success(), "{answer:?}");
    answer.1["id"].as_str().unwrap().to_owned()
}

#[tokio::test(start_paused = true)]
async fn both_ways_to_access_begin_and_end_over_http() {
    let office = Office::open().await;
    office.world.run_until(m(90)).await;
    let (_, me) = office.call("ann", "GET", "/v1/me", Value::Null).await;
    assert_eq!(me["on_call"][0]["rotation"], rotation_id("first").to_string(), "{me}");
    assert_eq!(me["holds"][0]["id"], "watch", "automatic enrollment has given it: {me}");
    assert_eq!((&me["offers"][0]["profile"], &me["offers"][0]["now"]), (&json!("prod"), &json!(true)), "{me}");
    let asked = office.ask("ann").await;
    assert_eq!((asked.0, &asked.1["state"]), (StatusCode::CREATED, &json!("asked")), "{asked:?}");
    let request = id(&asked);
    let (_, waiting) = office.call("bob", "GET", "/v1/requests?waiting=true", Value::Null).await;
    assert_eq!(waiting["requests"][0]["asks"][0]["justification"], "disk full", "approvers see why: {waiting}");
    let first = office.decide("cat", &request, "approve").await;
    assert_eq!((&first.1["state"], &first.1["waits"]), (&json!("asked"), &json!(true)), "{first:?}");
    assert!(!office.world.has("ann", "prod"), "nothing is given before the last step has passed");
    let second = office.decide("bob", &request, "approve").await;
    assert_eq!(second.1["state"], "approved", "{second:?}");
    office.world.run_until(m(95)).await;
    assert!(office.world.has("ann", "prod"), "P12: what was approved is there");
    let (_, mine) = office.call("ann", "GET", "/v1/requests", Value::Null).await;
    let decisions = mine["requests"][0]["asks"][0]["decisions"].as_array().unwrap();
    let said = decisions.iter().map(|d| (d["by"]["email"].as_str().unwrap(), d["comment"].as_str().unwrap()));
    assert_eq!(
        said.collect::<Vec<_>>(),
        [("cat@example.com", "as agreed"), ("bob@example.com", "as agreed")],
        "{mine}"
    );
    office.world.run_until(h(5) + m(30)).await;
    assert!(!office.world.has("ann", "prod") && !office.world.has("ann", "watch"), "both end");
    let (_, over) = office.call("ann", "GET", &format!("/v1/requests/{request}"), Value::Null).await;
    assert_eq!(over["state"], "ended", "{over}");
    office.world.is_over().await;
}

#[tokio::test(start_paused = true)]
async fn p1_p2_what_is_taken_in_an_emergency_is_there_at_once_and_ends_by_itself() {
    let office = Office::open().await;
    office.world.run_until(m(40)).await;
    let take = json!({ "profile": "rescue", "duration": "20m", "justification": "the site is down" });
    let answer = office.call("dan", "POST", "/v1/break-glass", take.clone()).await;
    assert_eq!(problem(&answer), (403, "not-named"), "the profile names another group");
    let taken = office.call("cat", "POST", "/v1/break-glass", take).await;
    let emergency = id(&taken);
    office.world.run_until(m(41)).await;
    assert!(office.world.has("cat", "db"), "P12: nobody waits in an emergency");
    let told = office.world.notices(Topic::BreakGlass);
    assert!(matches!(told.as_slice(), [(_, text)] if text.contains(&emergency)), "everybody is told once: {told:?}");
    office.world.run_until(m(59)).await;
    assert!(office.world.has("cat", "db"));
    office.world.run_until(m(61)).await;
    assert!(!office.world.has("cat", "db"), "P1: it ends although nobody has looked at it");
    let (_, open) = office.call("ann", "GET", "/v1/break-glass", Value::Null).await;
    assert_eq!(open["emergencies"][0]["id"], emergency, "it stays to be reviewed: {open}");
    let acts: Vec<_> = office.world.evidence().await.into_iter().map(|record| record["act"].clone()).collect();
    assert!(acts.contains(&json!("break_glass.taken")), "P9: {acts:?}");
}

#[tokio::test(start_paused = true)]
async fn p13_r21_whoever_may_not_is_told_why() {
    let office = Office::open().await;
    assert_eq!(problem(&office.ask("ann").await), (409, "not-on-call"), "before her shift");
    office.world.run_until(m(90)).await;
    assert_eq!(problem(&office.ask("dan").await), (409, "not-on-call"));
    let request = id(&office.ask("ann").await);
    assert_eq!(problem(&office.decide("ann", &request, "approve").await), (403, "own-request"), "P13");
    assert_eq!(problem(&office.decide("bob", &request, "approve").await), (403, "not-approver"), "not his step yet");
    assert_eq!(problem(&office.decide("dan", &request, "deny").await), (403, "not-approver"));
    let foreign = office.call("dan", "DELETE", &format!("/v1/requests/{request}"), Value::Null).await;
    assert_eq!(problem(&foreign), (404, "not-found"), "whose it is not cannot give it back");
    assert_eq!(problem(&office.call("ann", "GET", "/v1/evidence", Value::Null).await), (403, "forbidden"));
    office.world.run_until(m(121)).await;
    assert_eq!(problem(&office.decide("cat", &request, "approve").await), (404, "not-found"), "it has expired");

    // Her second identity is another subject with the same address: it is not let in at all.
    let now = office.world.clock.now();
    let mut twin = office.issuer.claims("ann", &["security"], now);
    twin["sub"] = json!("another-subject");
    let answer = office.with(&office.issuer.token(&twin), "GET", "/v1/me", Value::Null).await;
    assert_eq!(problem(&answer), (403, "unknown-caller"), "R21: an address that somebody has is nobody else's");
    let mut unverified = office.issuer.claims("eve", &["security"], now);
    unverified["email_verified"] = json!(false);
    let answer = office.with(&office.issuer.token(&unverified), "GET", "/v1/me", Value::Null).await;
    assert_eq!(problem(&answer), (403, "unknown-caller"), "R21: an address that is not verified says nothing");
    // Once linked, the address is not looked at.
    let mut moved = office.issuer.claims("ann", &["everybody"], now);
    moved["email"] = json!("bob@example.com");
    let (_, me) = office.with(&office.issuer.token(&moved), "GET", "/v1/me", Value::Null).await;
    assert_eq!(me["person"]["email"], "ann@example.com", "R21: {me}");
}

#[tokio::test(start_paused = true)]
async fn r21_a_token_counts_only_as_the_issuer_made_it() {
    let office = Office::open().await;
    let now = office.world.clock.now();
    let with = |change: Value| {
        let mut claims = office.issuer.claims("ann", &["everybody"], now);
        claims.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        office.issuer.token(&claims)
    };
    let forged = |header: Value| {
        let part = |value: &Value| base64_url(value.to_string().as_bytes());
        format!("{}.{}.{}", part(&header), part(&office.issuer.claims("ann", &[], now)), base64_url(b"signature"))
    };
    let good = with(json!({}));
    let (head, signature) = good.rsplit_once('.').unwrap();
    let other = Issuer::start().await;
    let cases = [
        ("another audience", with(json!({ "aud": "another" })), "invalid-token"),
        ("another issuer", with(json!({ "iss": "https://elsewhere.example.com" })), "invalid-token"),
        ("expired", with(json!({ "exp": now.as_second() - 61 })), "invalid-token"),
        ("not yet", with(json!({ "nbf": now.as_second() + 120 })), "invalid-token"),
        ("no end", with(json!({ "exp": null })), "invalid-token"),
        ("no subject", with(json!({ "sub": "" })), "invalid-token"),
        ("alg: none", forged(json!({ "alg": "none", "kid": "first" })), "invalid-token"),
        ("alg: HS256", forged(json!({ "alg": "HS256", "kid": "first" })), "invalid-token"),
        ("a made-up signature", forged(json!({ "alg": "ES256", "kid": "first" })), "invalid-token"),
        ("an unknown key", forged(json!({ "alg": "ES256", "kid": "unknown" })), "invalid-token"),
        ("another's key", other.token(&office.issuer.claims("ann", &[], now)), "invalid-token"),
        ("a changed claim", format!("{}x.{signature}", &head[..head.len() - 1]), "invalid-token"),
        ("no token at all", "nonsense".to_owned(), "invalid-token"),
    ];
    for (what, token, expected) in cases {
        let answer = office.with(&token, "GET", "/v1/me", Value::Null).await;
        assert_eq!(problem(&answer), (401, expected), "{what}: {answer:?}");
    }
    assert_eq!(office.with(&good, "GET", "/v1/me", Value::Null).await.0, StatusCode::OK, "and the good one counts");
    let bare = office.send(Request::get("/v1/me").body(Body::empty()).unwrap()).await;
    assert_eq!(problem(&bare), (401, "no-token"));
    // Groups are what the token says, never split.
    let crowd = with(json!({ "groups": "x audit" }));
    let answer = office.with(&crowd, "GET", "/v1/evidence", Value::Null).await;
    assert_eq!(problem(&answer), (403, "forbidden"), "R21: one text is one group");
    let auditor = with(json!({ "groups": ["x", "audit"] }));
    assert_eq!(office.with(&auditor, "GET", "/v1/evidence", Value::Null).await.0, StatusCode::OK);
    // Whoever decides must have signed in lately.
    let old = with(json!({ "iat": now.as_second() - 3_601, "groups": ["security"] }));
    let path = "/v1/requests/req_01JD0000000000000000000000/decision";
    let answer = office.with(&old, "POST", path, json!({ "decision": "approve" })).await;
    assert_eq!(problem(&answer), (401, "old-token"), "R21");
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_read_is_refused_and_what_is_sent_twice_is_asked_once() {
    let office = Office::open().await;
    office.world.run_until(m(90)).await;
    let token = office.token("ann");
    let post = async |kind: &str, body: String| {
        let request = Request::post("/v1/requests").header("authorization", format!("Bearer {token}"));
        office.send(request.header("content-type", kind).body(Body::from(body)).unwrap()).await
    };
    let json = "application/json";
    assert_eq!(problem(&post(json, "{".into()).await), (400, "malformed-body"));
    assert_eq!(problem(&post("text/plain", "{}".into()).await), (415, "wrong-media-type"));
    assert_eq!(problem(&post(json, format!("\"{}\"", "x".repeat(70_000))).await), (413, "body-too-long"));
    assert_eq!(problem(&post(json, r#"{"profile":"prod"}"#.into()).await), (422, "invalid-field"));
    let with = |field: &str, value: Value| {
        let mut ask = json!({ "profile": "prod", "duration": "1h", "justification": "disk full" });
        ask[field] = value;
        ask.to_string()
    };
    let cases = [
        ("justification", json!("x".repeat(2_001)), (422, "invalid-field")),
        ("justification", json!(null), (422, "justification-required")),
        ("incident", json!("x".repeat(201)), (422, "invalid-field")),
        ("duration", json!("an hour"), (422, "invalid-field")),
        ("duration", json!("0s"), (422, "wrong-duration")),
        ("duration", json!("3h"), (422, "wrong-duration")),
        ("profile", json!("Not A Profile"), (422, "invalid-field")),
        ("profile", json!("another"), (404, "not-found")),
        ("profile", json!("watch"), (403, "not-offered")),
        ("rotation", json!(rotation_id("second").to_string()), (403, "not-offered")),
        ("surprise", json!(1), (422, "invalid-field")),
    ];
    for (field, value, expected) in cases {
        assert_eq!(problem(&post(json, with(field, value.clone())).await), expected, "{field}: {value}");
    }

    let once = async |key: &str, body: String| {
        let request = Request::post("/v1/requests").header("authorization", format!("Bearer {token}"));
        let request = request.header("content-type", json).header("idempotency-key", key);
        office.send(request.body(Body::from(body)).unwrap()).await
    };
    let ask = with("incident", json!("INC-7"));
    let (one, again) = tokio::join!(once("a", ask.clone()), once("a", ask.clone()));
    let later = once("a", ask.clone()).await;
    assert_eq!((id(&one), id(&one)), (id(&again), id(&later)), "the same is asked for once");
    assert_eq!(problem(&once("a", with("duration", json!("2h"))).await), (422, "idempotency-key-reused"));
    assert_ne!(id(&once("b", ask.clone()).await), id(&one));
    office.world.run_until(h(3)).await;
    assert_eq!(problem(&once("a", ask).await), (401, "invalid-token"), "a replayed token has expired");
}

fn base64_url(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}
