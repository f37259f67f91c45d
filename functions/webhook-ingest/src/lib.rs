//! Webhooks of platforms. A webhook is a hint: it is verified, taken once, joined with others, and makes a read come
//! sooner; its body is never the source of who is on call.
//!
//! This is the most exposed code of all, so its power is the smallest: it reads the configuration and the signing secrets
//! of webhooks, writes hints and nothing else, and holds no credentials of a platform or an app. Nothing is stored before
//! the signature was verified.
//!
//! # The budget
//! All hints of a source together may have at most [`reads_per_minute`] rotations read in a minute. A read of a rotation
//! takes about ten requests at most, so that this is half of what the platform allows; the other half stays for the
//! schedule. What a hint then does not bring, the schedule's next read does.
#![warn(missing_docs)]

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use dutykey_engine::ports::clock::Clock;
use dutykey_engine::ports::hints::{Hint, Taken, WriteHints};
use dutykey_engine::ports::ledger::StoreError;
use dutykey_engine::ports::queue::{Enqueue, Message, Queue};
use dutykey_engine::ports::rules::ReadRules;
use dutykey_engine::ports::secrets::{ReadSecret, Secret};
use dutykey_platforms::webhook::{self, About, WebhookError};
use dutykey_policy::id::RotationId;
use dutykey_policy::installation::{Installation, PlatformSettings, Rotations, Source};
use dutykey_policy::time::{later, millis_between};
use jiff::Timestamp;

/// The longest delivery, in bytes.
pub const MAX_BODY: usize = 256 * 1024;
/// How long the configuration is kept: a storm of forgeries must not read the table each time.
const KEEP: Duration = Duration::from_secs(30);
/// At most this many signing secrets are tried.
const MAX_SECRETS: usize = 8;

/// What the function may use.
#[derive(Clone)]
pub struct Ports {
    /// Hints.
    pub hints: Arc<dyn WriteHints>,
    /// The sources, and which rotations profiles name.
    pub rules: Arc<dyn ReadRules>,
    /// The signing secrets of webhooks.
    pub secrets: Arc<dyn ReadSecret>,
    /// The queue of reads.
    pub queues: Arc<dyn Enqueue>,
    /// Time.
    pub clock: Arc<dyn Clock>,
}

impl std::fmt::Debug for Ports {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ports").finish_non_exhaustive()
    }
}

/// The configuration, and when it was read.
type Kept = (Timestamp, Arc<Installation>);

#[derive(Clone)]
struct Ingest {
    ports: Ports,
    kept: Arc<Mutex<Option<Kept>>>,
}

/// `POST /webhooks/{source}`: 202, also for a duplicate; 403 for a bad signature or none; 404 for an unknown source, or
/// one whose platform has no webhooks; 413 over 256 KiB; 400 for what is signed and cannot be understood; 503 where it
/// should be delivered again.
pub fn router(ports: Ports) -> Router {
    Router::new()
        .route("/webhooks/{source}", post(take))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(Ingest { ports, kept: Arc::default() })
}

/// How many rotations hints of the source may have read in a minute. PagerDuty allows 960 requests in a minute (its REST
/// API, *Rate Limits*): half of them, at ten for each read.
#[must_use]
pub fn reads_per_minute(settings: &PlatformSettings) -> u32 {
    match settings {
        PlatformSettings::Pagerduty { .. } => 960 / 2 / 10,
        PlatformSettings::Icalendar { .. } | PlatformSettings::Sandbox { .. } => 0,
    }
}

async fn take(
    State(ingest): State<Ingest>,
    Path(source): Path<String>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> StatusCode {
    let body = match body {
        Ok(body) => body,
        Err(rejected) => return rejected.status(),
    };
    match ingest.take(&source, &headers, &body).await {
        Ok(()) => StatusCode::ACCEPTED,
        Err(refused) => refused.status(),
    }
}

/// Why a delivery is not taken.
enum Refused {
    Unknown,
    Webhook(WebhookError),
    /// The platform delivers it again.
    Later,
}

impl Refused {
    fn status(&self) -> StatusCode {
        match self {
            Self::Unknown => StatusCode::NOT_FOUND,
            Self::Webhook(error) => StatusCode::from_u16(error.status()).unwrap_or(StatusCode::BAD_REQUEST),
            Self::Later => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

impl Ingest {
    async fn take(&self, source: &str, headers: &HeaderMap, body: &[u8]) -> Result<(), Refused> {
        let Ports { hints, queues, clock, .. } = &self.ports;
        let installation = self.installation().await.map_err(|error| {
            tracing::error!(error = %error, "a webhook waits, for the table cannot be read: {error}");
            Refused::Later
        })?;
        let known = installation.sources.iter().find(|known| known.id.as_str() == source && !known.retiring);
        let source = known.ok_or(Refused::Unknown)?;
        let hint = self.verified(source, headers, body).await?;
        let rotations = match &hint.about {
            About::Policy(policy) => watched(&installation, source, policy),
            About::Nothing => Vec::new(),
        };
        let hint = Hint {
            source: source.id.clone(),
            id: hint.id,
            about: rotations.first().map(|rotation| rotation.key.clone()),
            rotations: u32::try_from(rotations.len()).unwrap_or(u32::MAX),
            most: reads_per_minute(&source.settings),
            at: clock.now(),
        };
        let taken = hints.take(&hint).await.map_err(|error| {
            tracing::warn!(source.id = %source.id, error = %error, "a hint of `{}` waits to be delivered again: {error}", source.id);
            Refused::Later
        })?;
        tracing::debug!(source.id = %source.id, hint.taken = ?taken, "a hint of `{}` came: {taken:?}", source.id);
        let Taken::First(at) = taken else { return Ok(()) };
        let reads = rotations.iter().map(|rotation| {
            let message = Message::rota(source.id.clone(), Some(rotation.local()), "webhook");
            if at > hint.at { message.at(at) } else { message }
        });
        // A read that could not be asked for now comes with the schedule: delivering the hint again would not bring it.
        if let Err(error) = queues.send(Queue::Sync, reads.collect()).await {
            tracing::warn!(source.id = %source.id, error = %error, "a hint of `{}` leads to no read before the schedule's: {error}", source.id);
        }
        Ok(())
    }

    async fn verified(&self, source: &Source, headers: &HeaderMap, body: &[u8]) -> Result<webhook::Hint, Refused> {
        let places = match &source.settings {
            PlatformSettings::Pagerduty { webhook_secrets, .. } => webhook_secrets.as_slice(),
            PlatformSettings::Icalendar { .. } | PlatformSettings::Sandbox { .. } => &[],
        };
        let mut secrets: Vec<Secret> = Vec::new();
        let mut unread = false;
        for place in places.iter().take(MAX_SECRETS) {
            match self.ports.secrets.read(place).await {
                Ok(secret) => secrets.push(secret),
                Err(error) => {
                    unread = true;
                    tracing::warn!(source.id = %source.id, error = %error, "webhooks of `{}` cannot all be verified: {error}", source.id);
                }
            }
        }
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        webhook::verify(&source.settings, header, body, &secrets, self.ports.clock.now()).map_err(|error| match error {
            // It may be signed with the secret that could not be read.
            WebhookError::BadSignature if unread => Refused::Later,
            error => {
                tracing::info!(source.id = %source.id, error = %error, "a webhook of `{}` was refused: {error}", source.id);
                Refused::Webhook(error)
            }
        })
    }

    /// The configuration, read again when it is old.
    async fn installation(&self) -> Result<Arc<Installation>, StoreError> {
        let now = self.ports.clock.now();
        let fresh = |at: Timestamp| millis_between(at, now) >= 0 && now < later(at, KEEP);
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((_, installation)) = kept.filter(|(at, _)| fresh(*at)) {
            return Ok(installation);
        }
        let Some(configured) = self.ports.rules.installation().await? else {
            return Err(StoreError::Unavailable("there is no configuration yet".to_owned()));
        };
        let installation = Arc::new(configured.installation);
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = Some((now, installation.clone()));
        Ok(installation)
    }
}

/// The levels of an escalation policy that anybody's access follows, or that the source is told to read. A policy without
/// any leads to no read, though it may point at schedules that are followed: PagerDuty sends no event of a schedule, and
/// what happens to an incident changes none, so that such a read would spend the budget of hints on nothing new.
fn watched(installation: &Installation, source: &Source, policy: &str) -> Vec<RotationId> {
    let profiles = &installation.profiles;
    let enrolling = profiles.iter().filter_map(|profile| profile.enrollment.as_ref()).flat_map(|rule| &rule.rotations);
    let asking = profiles.iter().filter_map(|profile| profile.self_service.as_ref()).flat_map(|rule| &rule.rotations);
    let mut rotations: BTreeSet<RotationId> = enrolling.chain(asking).cloned().collect();
    if let Rotations::Listed(listed) = &source.rotations {
        rotations.extend(listed.iter().filter_map(|local| format!("{}:{local}", source.id).parse().ok()));
    }
    let level = |id: &RotationId| id.source == source.id && id.key == policy && id.level.is_some();
    rotations.into_iter().filter(level).collect()
}
