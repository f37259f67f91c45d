//! An issuer's keys, by its discovery document (OpenID Connect Discovery 1.0 §4).

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use dutykey_engine::ports::clock::Clock;
use dutykey_policy::time::later;
use jiff::Timestamp;
use jsonwebtoken::jwk::JwkSet;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::sync::Mutex;

/// The deadline of one of the two requests.
const DEADLINE: Duration = Duration::from_secs(5);
/// The longest answer, in bytes.
const LONGEST: usize = 1 << 20;
/// How long keys are used before they are read again.
const FRESH: Duration = Duration::from_secs(3_600);
/// How long they are used where they cannot be read again.
const STALE: Duration = Duration::from_secs(86_400);
/// How often a key that nobody knows has them read again at most.
const AGAIN: Duration = Duration::from_secs(60);

/// An issuer's keys could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the keys of the issuer {issuer} cannot be read now: {problem}")]
pub struct KeysError {
    issuer: String,
    problem: String,
}

/// The power to read an issuer's keys.
#[async_trait]
pub trait ReadKeys: Send + Sync {
    /// The issuer's keys; read `again` where the ones that are known lack one, if that is not too soon.
    async fn keys(&self, issuer: &str, again: bool) -> Result<Arc<JwkSet>, KeysError>;
}

/// Keys as the issuer publishes them, kept for a while.
pub struct PublishedKeys {
    http: reqwest::Client,
    clock: Arc<dyn Clock>,
    kept: Mutex<Option<Kept>>,
}

impl std::fmt::Debug for PublishedKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PublishedKeys").finish_non_exhaustive()
    }
}

struct Kept {
    issuer: String,
    keys: Arc<JwkSet>,
    read_at: Timestamp,
    asked_at: Timestamp,
}

#[derive(Deserialize)]
struct Discovery {
    issuer: String,
    jwks_uri: String,
}

impl PublishedKeys {
    /// Reads keys over HTTPS; over HTTP from this machine only.
    ///
    /// # Errors
    /// The HTTP client cannot be made.
    pub fn new(clock: Arc<dyn Clock>) -> Result<Self, reqwest::Error> {
        let client = reqwest::Client::builder().timeout(DEADLINE).redirect(reqwest::redirect::Policy::none());
        Ok(Self { http: client.build()?, clock, kept: Mutex::new(None) })
    }

    async fn read(&self, issuer: &str) -> Result<JwkSet, String> {
        let about: Discovery =
            self.get(&format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'))).await?;
        if about.issuer != issuer {
            return Err("its discovery document is another issuer's".to_owned());
        }
        self.get(&about.jwks_uri).await
    }

    async fn get<T: DeserializeOwned>(&self, address: &str) -> Result<T, String> {
        let address = reqwest::Url::parse(address).map_err(|_| "an address of it is none".to_owned())?;
        let host = address.host_str().unwrap_or_default();
        let here = matches!(host, "localhost" | "127.0.0.1" | "[::1]");
        if address.scheme() != "https" && !(here && address.scheme() == "http") {
            return Err("an address of it is not https".to_owned());
        }
        let mut answer = self.http.get(address).send().await.map_err(|error| error.without_url().to_string())?;
        if !answer.status().is_success() {
            return Err(format!("it answers {}", answer.status().as_u16()));
        }
        let mut body = Vec::new();
        while let Some(part) = answer.chunk().await.map_err(|error| error.without_url().to_string())? {
            body.extend_from_slice(&part);
            if body.len() > LONGEST {
                return Err(format!("its answer is longer than {LONGEST} bytes"));
            }
        }
        serde_json::from_slice(&body).map_err(|_| "its answer cannot be read".to_owned())
    }
}

#[async_trait]
impl ReadKeys for PublishedKeys {
    async fn keys(&self, issuer: &str, again: bool) -> Result<Arc<JwkSet>, KeysError> {
        // Whoever comes meanwhile waits for this one's answer.
        let mut kept = self.kept.lock().await;
        let now = self.clock.now();
        let known = kept.as_mut().filter(|kept| kept.issuer == issuer);
        if let Some(known) = &known {
            let fresh = later(known.read_at, FRESH) > now && !again;
            if fresh || later(known.asked_at, AGAIN) > now {
                return Ok(known.keys.clone());
            }
        }
        match (self.read(issuer).await, known) {
            (Ok(keys), _) => {
                let keys = Arc::new(keys);
                *kept = Some(Kept { issuer: issuer.to_owned(), keys: keys.clone(), read_at: now, asked_at: now });
                Ok(keys)
            }
            (Err(problem), Some(known)) if later(known.read_at, STALE) > now => {
                tracing::warn!(issuer, problem, "the keys of {issuer} stay as they were read before: {problem}");
                known.asked_at = now;
                Ok(known.keys.clone())
            }
            (Err(problem), _) => Err(KeysError { issuer: issuer.to_owned(), problem }),
        }
    }
}
