//! Webhooks: whatever is sent, only what is signed is taken.
//!
//! An input is the address, a line feed, the signatures, a line feed and the body. In the signatures `{good}` stands for the
//! body's true signature and `{other}` for one under a secret that is not of the source.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use axum::body::Body;
use axum::http::{HeaderValue, Request, Uri};
use dutykey_engine::ports::hints::{Hint, Taken, WriteHints};
use dutykey_engine::ports::ledger::StoreError;
use dutykey_engine::ports::queue::{Enqueue, Message, Queue, SendError};
use dutykey_engine::ports::rules::{Configured, Pulse, ReadRules};
use dutykey_engine::ports::secrets::{ReadSecret, Secret, SecretError};
use dutykey_policy::block::Block;
use dutykey_policy::id::ProfileId;
use dutykey_policy::installation::{Installation, SecretRef};
use dutykey_policy::profile::Profile;
use dutykey_policy::rota::hex;
use dutykey_runtime::clock::VirtualClock;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use tokio::runtime::{Builder, Runtime};
use tower::ServiceExt as _;
use webhook_ingest::{Ports, router};

const CONFIG: &str = r#"
version: 1
verified_domains: [example.com]
sources:
  - { id: pd, platform: pagerduty, token: { env: PD_TOKEN }, webhook_secret: [{ env: HOOK }, { env: EMPTY }] }
  - { id: rota, platform: icalendar, url: ./rota.ics }
apps:
  - { id: toys, target: sandbox, script: {} }
profiles:
  - id: on-call
    name: On-call
    entitlements: [{ app: toys, kind: group, id: ops }]
    enrollment: { rotations: ["pd:PPOL001@1", "pd:PPOL001@2", "pd:PSCHED1"], lease: 4h }
"#;
const SECRET: &str = "shared";

/// Everything that the function may use, as it remembers what was done with it.
struct Surroundings {
    installation: Installation,
    taken: Mutex<Vec<Hint>>,
    sent: Mutex<Vec<Message>>,
}

#[async_trait]
impl WriteHints for Surroundings {
    async fn take(&self, hint: &Hint) -> Result<Taken, StoreError> {
        self.taken.lock().unwrap().push(hint.clone());
        Ok(Taken::First(hint.at))
    }
}

#[async_trait]
impl Enqueue for Surroundings {
    async fn send(&self, _: Queue, messages: Vec<Message>) -> Result<(), SendError> {
        self.sent.lock().unwrap().extend(messages);
        Ok(())
    }
}

#[async_trait]
impl ReadSecret for Surroundings {
    async fn read(&self, at: &SecretRef) -> Result<Secret, SecretError> {
        match at {
            SecretRef::Env(name) if name == "HOOK" => Ok(Secret::new(SECRET.to_owned())),
            SecretRef::Env(name) if name == "EMPTY" => Ok(Secret::new(String::new())),
            other => panic!("R22: no credentials of a platform are asked for, and {other:?} was"),
        }
    }
}

#[async_trait]
impl ReadRules for Surroundings {
    async fn installation(&self) -> Result<Option<Configured>, StoreError> {
        Ok(Some(Configured {
            version: 1,
            at: jiff::Timestamp::UNIX_EPOCH,
            installation: self.installation.clone(),
            made: Default::default(),
        }))
    }

    async fn profiles(&self, _: &[ProfileId]) -> Result<Vec<Profile>, StoreError> {
        Ok(self.installation.profiles.clone())
    }

    async fn versions(&self, _: &BTreeSet<(ProfileId, u64)>) -> Result<Vec<Profile>, StoreError> {
        Ok(Vec::new())
    }

    async fn all_profiles(&self) -> Result<Vec<Profile>, StoreError> {
        Ok(self.installation.profiles.clone())
    }

    async fn blocks(&self) -> Result<Vec<Block>, StoreError> {
        Ok(Vec::new())
    }

    async fn pulse(&self) -> Result<Pulse, StoreError> {
        Ok(Pulse::default())
    }
}

fn sign(secret: &str, body: &[u8]) -> String {
    let mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap().chain_update(body);
    hex(&mac.finalize().into_bytes())
}

struct World {
    runtime: Runtime,
    surroundings: Arc<Surroundings>,
    router: axum::Router,
}

impl World {
    fn new() -> Self {
        let runtime = Builder::new_current_thread().enable_time().build().unwrap();
        let document = dutykey_runtime::config::parse(CONFIG.as_bytes(), std::path::Path::new("/")).unwrap();
        let installation = document.pin(|_| Err("it has no names".to_owned())).unwrap();
        let surroundings = Surroundings { installation, taken: Mutex::default(), sent: Mutex::default() };
        let surroundings = Arc::new(surroundings);
        let router = runtime.block_on(async {
            router(Ports {
                hints: surroundings.clone(),
                rules: surroundings.clone(),
                secrets: surroundings.clone(),
                queues: surroundings.clone(),
                clock: Arc::new(VirtualClock::starting_at("2026-11-23T08:00:00Z".parse().unwrap())),
            })
        });
        Self { runtime, surroundings, router }
    }

    fn post(&self, uri: &Uri, signatures: Option<&HeaderValue>, body: &[u8]) -> u16 {
        let mut request = Request::post(uri.clone()).body(Body::from(body.to_vec())).unwrap();
        if let Some(signatures) = signatures {
            request.headers_mut().insert("x-pagerduty-signature", signatures.clone());
        }
        self.runtime.block_on(self.router.clone().oneshot(request)).unwrap().status().as_u16()
    }
}

thread_local!(static WORLD: World = World::new());

/// Takes one input.
pub(crate) fn take(data: &[u8]) {
    let mut parts = data.splitn(3, |byte| *byte == b'\n');
    let (Some(address), Some(signatures), Some(body)) = (parts.next(), parts.next(), parts.next()) else { return };
    let Ok(uri) = std::str::from_utf8(address).unwrap_or_default().parse::<Uri>() else { return };
    let (good, other) = (sign(SECRET, body), sign("another", body));
    let signatures = String::from_utf8_lossy(signatures).replace("{good}", &good).replace("{other}", &other);
    let Ok(signatures) = HeaderValue::from_str(&signatures) else { return };

    WORLD.with(|world| {
        let Surroundings { taken, sent, .. } = &*world.surroundings;
        let is_signed = signatures.to_str().is_ok_and(|signatures| {
            let mut one = signatures.split(',').filter_map(|one| one.trim().strip_prefix("v1="));
            one.any(|one| one.eq_ignore_ascii_case(&good))
        });
        let status = world.post(&uri, Some(&signatures), body);
        assert!(matches!(status, 202 | 400 | 403 | 404 | 413), "it answers {status}");
        let (hints, messages) = (std::mem::take(&mut *taken.lock().unwrap()), sent.lock().unwrap().drain(..).count());
        assert_eq!(hints.len(), usize::from(status == 202), "what is taken is answered with 202, and nothing else is");
        let refused = |status: u16| if uri.path() == "/webhooks/pd" { status == 403 } else { status >= 400 };
        assert!(is_signed || refused(status), "without a true signature it answers {status}");
        assert!(messages <= 2, "one policy has two levels here, and {messages} reads are asked for");
        for hint in hints {
            assert!(is_signed && hint.source.as_str() == "pd", "taken without a signature: {hint:?}");
            assert!((1..=256).contains(&hint.id.len()), "an ID of {} bytes", hint.id.len());
        }

        let unsigned = [None, HeaderValue::from_str(&format!("v1={other}")).ok(), HeaderValue::from_str(&good).ok()];
        for signatures in unsigned {
            let status = world.post(&uri, signatures.as_ref(), body);
            assert!(refused(status), "without a true signature it answers {status}");
        }
        assert!(taken.lock().unwrap().is_empty() && sent.lock().unwrap().is_empty(), "taken without a signature");
    });
}
