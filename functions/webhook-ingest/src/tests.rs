use std::collections::BTreeMap;

use async_trait::async_trait;
use axum::body::Body;
use axum::http::Request;
use dutykey_embedded::Embedded;
use dutykey_engine::ports::queue::SendError;
use dutykey_engine::ports::rules::WriteRules as _;
use dutykey_engine::ports::secrets::SecretError;
use dutykey_policy::installation::SecretRef;
use dutykey_policy::time::rfc3339;
use dutykey_runtime::clock::VirtualClock;
use dutykey_store::Store;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use tower::ServiceExt as _;

use super::*;

const START: &str = "2026-11-23T08:00:00Z";
const CONFIG: &str = r#"
version: 1
verified_domains: [example.com]
sources:
  - { id: pd, platform: pagerduty, token: { env: PD_TOKEN }, webhook_secret: { env: PD_HOOK } }
  - { id: lost, platform: pagerduty, token: { env: PD_TOKEN }, webhook_secret: { env: NOWHERE } }
  - { id: rota, platform: icalendar, url: ./rota.ics }
apps:
  - { id: toys, target: sandbox, script: {} }
profiles:
  - id: on-call
    name: On-call
    entitlements: [{ app: toys, kind: group, id: ops }]
    enrollment: { rotations: ["pd:PPOL001@1", "pd:PPOL001@2", "pd:PSCHED1"], lease: 4h }
"#;

#[derive(Default)]
struct Sent(Mutex<Vec<Message>>);

#[async_trait]
impl Enqueue for Sent {
    async fn send(&self, queue: Queue, messages: Vec<Message>) -> Result<(), SendError> {
        assert_eq!(queue, Queue::Sync, "R22: hints lead to reads only");
        self.0.lock().unwrap().extend(messages);
        Ok(())
    }
}

struct OneSecret;

#[async_trait]
impl ReadSecret for OneSecret {
    async fn read(&self, at: &SecretRef) -> Result<Secret, SecretError> {
        match at {
            SecretRef::Env(name) if name == "PD_HOOK" => Ok(Secret::new("shared".to_owned())),
            SecretRef::Env(name) | SecretRef::Secret(name) => {
                assert_ne!(name, "PD_TOKEN", "R22: no platform credentials");
                Err(SecretError::Missing(name.clone()))
            }
        }
    }
}

struct World {
    router: Router,
    sent: Arc<Sent>,
    embedded: Embedded,
}

async fn world() -> World {
    let embedded = Embedded::memory().unwrap();
    let store = Store::new(embedded.client(), "dutykey");
    store.create_table("test").await.unwrap();
    let start: Timestamp = START.parse().unwrap();
    let document = dutykey_runtime::config::parse(CONFIG.as_bytes(), std::path::Path::new("/")).unwrap();
    let installation = document.pin(|_| Err("it has no names".to_owned())).unwrap();
    store.configure(0, &installation, start).await.unwrap();
    let (store, sent) = (Arc::new(store), Arc::new(Sent::default()));
    let router = router(Ports {
        hints: store.clone(),
        rules: store,
        secrets: Arc::new(OneSecret),
        queues: sent.clone(),
        clock: Arc::new(VirtualClock::starting_at(start)),
    });
    World { router, sent, embedded }
}

fn event(id: &str, policy: &str) -> String {
    let at = rfc3339(START.parse().unwrap());
    format!(
        r#"{{"event":{{"id":"{id}","event_type":"incident.triggered","occurred_at":"{at}","data":{{"escalation_policy":{{"id":"{policy}"}}}}}}}}"#
    )
}

fn signed(body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(b"shared").unwrap();
    mac.update(body.as_bytes());
    format!("v1={}", dutykey_policy::rota::hex(&mac.finalize().into_bytes()))
}

impl World {
    async fn post(&self, source: &str, body: impl Into<String>, signature: Option<String>) -> u16 {
        let request = Request::post(format!("/webhooks/{source}"));
        let request = match signature {
            Some(signature) => request.header("x-pagerduty-signature", signature),
            None => request,
        };
        let answer = self.router.clone().oneshot(request.body(Body::from(body.into())).unwrap()).await.unwrap();
        answer.status().as_u16()
    }

    async fn signed(&self, body: String) -> u16 {
        let signature = signed(&body);
        self.post("pd", body, Some(signature)).await
    }

    /// What was sent: the rotation, and whether it waits.
    fn sent(&self) -> BTreeMap<String, usize> {
        let mut sent = BTreeMap::new();
        for message in self.sent.0.lock().unwrap().iter() {
            let waits = if message.not_before.is_some() { "later" } else { "now" };
            *sent
                .entry(format!("{} {waits}", serde_json::to_value(&message.about).unwrap()["rotation"]))
                .or_default() += 1;
        }
        sent
    }

    /// How many items the table has of hints.
    async fn hints(&self) -> usize {
        let items = self.embedded.client().scan().table_name("dutykey").send().await.unwrap().items.unwrap();
        items.iter().filter(|item| item["pk"].as_s().unwrap().starts_with("HINT#")).count()
    }
}

#[tokio::test]
async fn r15_nothing_is_stored_or_read_for_a_delivery_that_is_not_verified() {
    let world = world().await;
    let body = event("e1", "PPOL001");
    assert_eq!(world.post("pd", body.as_str(), None).await, 403, "no signature");
    assert_eq!(world.post("pd", body.as_str(), Some(signed("another body"))).await, 403);
    assert_eq!(world.post("nobody", body.as_str(), Some(signed(&body))).await, 404);
    assert_eq!(world.post("NOT-AN-ID", body.as_str(), Some(signed(&body))).await, 404);
    assert_eq!(world.post("rota", body.as_str(), Some(signed(&body))).await, 404, "calendars send none");
    assert_eq!(world.post("lost", body.as_str(), Some(signed(&body))).await, 503, "our fault: deliver it again");
    let long = "x".repeat(MAX_BODY + 1);
    let signature = signed(&long);
    assert_eq!(world.post("pd", long, Some(signature)).await, 413);
    assert_eq!(world.signed("{}".to_owned()).await, 400, "signed, and not understood");
    assert_eq!((world.hints().await, world.sent()), (0, BTreeMap::new()));
}

#[tokio::test(start_paused = true)]
async fn r15_a_storm_of_hints_leads_to_two_reads_of_each_level_it_concerns() {
    let world = world().await;
    for number in 0..20 {
        assert_eq!(world.signed(event(&format!("e{number}"), "PPOL001")).await, 202);
    }
    assert_eq!(world.signed(event("e0", "PPOL001")).await, 202, "a duplicate is fine");
    assert_eq!(world.signed(event("other", "PPOL999")).await, 202, "a policy that nobody's access follows");
    let expected = ["\"PPOL001@1\" now", "\"PPOL001@1\" later", "\"PPOL001@2\" now", "\"PPOL001@2\" later"];
    assert_eq!(world.sent(), expected.map(|read| (read.to_owned(), 1)).into());
}
