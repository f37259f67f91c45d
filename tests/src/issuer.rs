//! An issuer of tokens on loopback, with keys that it makes itself.

use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use axum::Json;
use axum::extract::State;
use axum::routing::get;
use jiff::Timestamp;
use jsonwebtoken::jwk::{Jwk, JwkSet};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

/// The audience of its tokens.
pub const AUDIENCE: &str = "dutykey";

/// A running issuer.
#[derive(Debug)]
pub struct Issuer {
    /// Its name, which is its address.
    pub url: String,
    shared: Arc<Mutex<Shared>>,
    server: tokio::task::JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Shared {
    keys: Vec<Key>,
    /// How often its keys were read.
    reads: usize,
}

#[derive(Debug, Clone)]
struct Key {
    name: String,
    public: Jwk,
    private: Arc<[u8]>,
}

impl Drop for Issuer {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Key {
    #[expect(clippy::expect_used, reason = "a test without its keys has failed")]
    fn new(name: &str) -> Self {
        let pair = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new());
        let private: Arc<[u8]> = pair.expect("a key").as_ref().into();
        let key = EncodingKey::from_ec_der(&private);
        let mut public = Jwk::from_encoding_key(&key, Algorithm::ES256).expect("the public half of the key");
        public.common.key_id = Some(name.to_owned());
        Self { name: name.to_owned(), public, private }
    }
}

impl Issuer {
    /// Starts an issuer with one key.
    pub async fn start() -> Self {
        Self::start_at("127.0.0.1:0").await
    }

    /// Starts an issuer with one key at an address.
    #[expect(clippy::expect_used, reason = "a test without its server has failed")]
    pub async fn start_at(address: &str) -> Self {
        let listener = tokio::net::TcpListener::bind(address).await.expect("a free port on loopback");
        let address = listener.local_addr().expect("a bound socket has an address");
        let url = format!("http://{address}");
        let shared = Arc::new(Mutex::new(Shared { keys: vec![Key::new("first")], reads: 0 }));
        let discovery = json!({ "issuer": url, "jwks_uri": format!("{url}/keys") });
        let router = axum::Router::new()
            .route("/.well-known/openid-configuration", get(async move || Json(discovery)))
            .route("/keys", get(keys))
            .with_state(shared.clone());
        let server = tokio::spawn(async move {
            let _ = axum::serve(listener, router).await;
        });
        Self { url, shared, server }
    }

    /// Its keys, as it publishes them.
    #[must_use]
    pub fn keys(&self) -> JwkSet {
        JwkSet { keys: self.locked().keys.iter().map(|key| key.public.clone()).collect() }
    }

    /// How often its keys were read.
    #[must_use]
    pub fn reads(&self) -> usize {
        self.locked().reads
    }

    /// From now on it signs with another key, and publishes no other.
    pub fn turn_over(&self, name: &str) {
        self.locked().keys = vec![Key::new(name)];
    }

    /// What a token says of somebody at this instant, who is in these groups: valid for an hour.
    #[must_use]
    pub fn claims(&self, who: &str, groups: &[&str], now: Timestamp) -> Value {
        let now = now.as_second();
        json!({
            "iss": self.url, "aud": AUDIENCE, "sub": format!("subject-of-{who}"), "iat": now, "exp": now + 3_600,
            "email": format!("{who}@example.com"), "email_verified": true, "groups": groups,
        })
    }

    /// A signed token that says this.
    #[must_use]
    #[expect(clippy::expect_used, reason = "a test without its tokens has failed")]
    pub fn token(&self, claims: &Value) -> String {
        let key = self.locked().keys.last().cloned().expect("it has a key");
        let header = Header { kid: Some(key.name), ..Header::new(Algorithm::ES256) };
        jsonwebtoken::encode(&header, claims, &EncodingKey::from_ec_der(&key.private)).expect("a token")
    }

    fn locked(&self) -> std::sync::MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn keys(State(shared): State<Arc<Mutex<Shared>>>) -> Json<Value> {
    let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
    shared.reads += 1;
    Json(json!({ "keys": shared.keys.iter().map(|key| &key.public).collect::<Vec<_>>() }))
}
