//! Secrets: environment variables, and Secrets Manager behind a short memory.
//!
//! A secret is a plain text, not JSON; line ends after it are left out, since files and consoles add them. It is kept for
//! a while (`DUTYKEY_SECRET_TTL`), so that a hand-off of many people asks for it once. When Secrets Manager does not
//! answer, the last value serves for at most [`STALE`] longer: an outage there must not keep access from ending. Where it
//! answers that there is no such secret, none is served.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::operation::get_secret_value::GetSecretValueError;
use dutykey_engine::ports::clock::Clock;
use dutykey_engine::ports::secrets::{ReadSecret, Secret, SecretError};
use dutykey_policy::installation::SecretRef;
use dutykey_policy::time::{later, millis_between};
use jiff::Timestamp;

/// How long beyond its time a secret may serve that cannot be read again.
pub const STALE: Duration = Duration::from_secs(3_600);

/// After a read that failed the next one waits this long.
const PAUSE: Duration = Duration::from_secs(2);

/// The power to fetch secrets from where they are kept under names.
#[async_trait]
pub trait Fetch: Send + Sync {
    /// The secret's text.
    async fn fetch(&self, name: &str) -> Result<Secret, SecretError>;
}

/// Secrets Manager.
#[async_trait]
impl Fetch for Client {
    async fn fetch(&self, name: &str) -> Result<Secret, SecretError> {
        let place = || format!("`{name}` in Secrets Manager");
        match self.get_secret_value().secret_id(name).send().await {
            Ok(answer) => match answer.secret_string() {
                Some(text) => Ok(Secret::new(text.to_owned())),
                None => Err(SecretError::Unavailable(place(), "it is binary; store it as text".to_owned())),
            },
            Err(error) => match error.as_service_error() {
                Some(GetSecretValueError::ResourceNotFoundException(_)) => Err(SecretError::Missing(place())),
                _ => Err(SecretError::Unavailable(place(), crate::aws::fault(&error))),
            },
        }
    }
}

type Lookup = dyn Fn(&str) -> Option<String> + Send + Sync;

/// The power to read secrets: from the environment and, where a way to it is given, from Secrets Manager.
pub struct Secrets {
    lookup: Box<Lookup>,
    manager: Option<Arc<dyn Fetch>>,
    clock: Arc<dyn Clock>,
    ttl: Duration,
    slots: Mutex<HashMap<String, Arc<tokio::sync::Mutex<Slot>>>>,
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secrets").field("ttl", &self.ttl).finish_non_exhaustive()
    }
}

/// What is remembered of one secret. Its lock is held while it is read, so that all who ask wait for one answer.
#[derive(Default)]
struct Slot {
    /// The last value, and when it was read.
    value: Option<(Secret, Timestamp)>,
    /// The last failure since then, and when it was.
    failure: Option<(SecretError, Timestamp)>,
}

impl Secrets {
    /// Reads variables with `lookup`, and names with `manager`; without one they are missing. A value is read again when
    /// it is `ttl` old.
    #[must_use]
    pub fn new(
        lookup: impl Fn(&str) -> Option<String> + Send + Sync + 'static,
        manager: Option<Arc<dyn Fetch>>,
        clock: Arc<dyn Clock>,
        ttl: Duration,
    ) -> Self {
        Self { lookup: Box::new(lookup), manager, clock, ttl, slots: Mutex::default() }
    }

    fn slot(&self, name: &str) -> Arc<tokio::sync::Mutex<Slot>> {
        // A map of locks is whole whoever panicked while holding it.
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(slots.entry(name.to_owned()).or_default())
    }

    async fn managed(&self, name: &str) -> Result<Secret, SecretError> {
        let Some(manager) = &self.manager else {
            let place = format!("`{name}` in Secrets Manager");
            return Err(SecretError::Unavailable(place, "this process does not use Secrets Manager".to_owned()));
        };
        let slot = self.slot(name);
        let mut slot = slot.lock().await;
        let now = self.clock.now();
        if let Some(secret) = slot.younger_than(self.ttl, now) {
            return Ok(secret);
        }
        if let Some((error, at)) = &slot.failure
            && is_within(*at, PAUSE, now)
        {
            let error = error.clone();
            return slot.stale(self.ttl, now).ok_or(error);
        }
        let read = manager.fetch(name).await.and_then(|secret| {
            usable(secret.expose()).ok_or_else(|| SecretError::Missing(format!("`{name}` in Secrets Manager")))
        });
        let now = self.clock.now();
        match read {
            Ok(secret) => {
                *slot = Slot { value: Some((secret.clone(), now)), failure: None };
                Ok(secret)
            }
            Err(error) => {
                if matches!(error, SecretError::Missing(_)) {
                    slot.value = None;
                }
                slot.failure = Some((error.clone(), now));
                let stale = slot.stale(self.ttl, now);
                if stale.is_some() {
                    tracing::warn!(%error, "a secret could not be read again; its last value serves for now");
                }
                stale.ok_or(error)
            }
        }
    }
}

impl Slot {
    fn younger_than(&self, age: Duration, now: Timestamp) -> Option<Secret> {
        self.value.as_ref().filter(|(_, at)| is_within(*at, age, now)).map(|(secret, _)| secret.clone())
    }

    fn stale(&self, ttl: Duration, now: Timestamp) -> Option<Secret> {
        self.younger_than(ttl.saturating_add(STALE), now)
    }
}

/// Whether `now` is less than `by` after `at`, and not before it: a clock that was set back proves nothing.
fn is_within(at: Timestamp, by: Duration, now: Timestamp) -> bool {
    millis_between(at, now) >= 0 && now < later(at, by)
}

/// The text without the line ends after it; `None` where nothing is left.
fn usable(text: &str) -> Option<Secret> {
    let text = text.trim_end_matches(['\r', '\n']);
    (!text.is_empty()).then(|| Secret::new(text.to_owned()))
}

#[async_trait]
impl ReadSecret for Secrets {
    async fn read(&self, at: &SecretRef) -> Result<Secret, SecretError> {
        match at {
            SecretRef::Env(name) => (self.lookup)(name)
                .as_deref()
                .and_then(usable)
                .ok_or_else(|| SecretError::Missing(format!("the environment variable `{name}`"))),
            SecretRef::Secret(name) => self.managed(name).await,
        }
    }
}

#[cfg(test)]
mod tests;
