//! What a platform's webhook says: that something has happened, and so that a read is due. Nothing in its body is believed
//! beyond that, and nothing is asked of a platform here: verifying a delivery needs its signing secrets only.

use std::time::Duration;

use dutykey_engine::ports::secrets::Secret;
use dutykey_policy::installation::PlatformSettings;
use dutykey_policy::time::later;
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use serde::Deserialize;
use sha2::Sha256;

/// How old the event of a delivery may be. PagerDuty redelivers for 48 hours, and the IDs of deliveries are remembered
/// for as long as this, so that nothing can be replayed after it was forgotten.
pub const OLDEST: Duration = Duration::from_secs(72 * 3_600);

/// PagerDuty's header of signatures, `v1=HEX,v1=HEX`: several while a secret is being replaced.
const PAGERDUTY_SIGNATURE: &str = "x-pagerduty-signature";

/// A verified reason to read again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hint {
    /// The event's own ID, the same on every delivery of it. It is part of what is signed.
    pub id: String,
    /// The platform's word for what happened: `incident.triggered`.
    pub event: String,
    /// When it happened, by the platform's clock.
    pub occurred_at: Timestamp,
    /// What to read.
    pub about: About,
}

/// What a hint makes worth reading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum About {
    /// The rotations of the escalation policy with this ID, which is the platform's: `SOURCE:ID@N` for each N.
    Policy(String),
    /// Nothing in particular; a test delivery, or an event that names no policy.
    Nothing,
}

/// Why a delivery leads to no hint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WebhookError {
    /// The platform sends no webhooks that could be verified.
    #[error("this platform has no webhooks; remove the address where they are sent from")]
    Unsupported,
    /// No signature, or none that any of the secrets has made.
    #[error("the delivery is not signed with a secret of this source; compare the subscription's secret with ours")]
    BadSignature,
    /// Signed, and not understood.
    #[error("the delivery is signed and cannot be understood: {0}")]
    Malformed(String),
    /// Signed, and too old to be told from a replay.
    #[error("the delivery's event is older than 72 hours ({0}) and may be a replay")]
    Old(Timestamp),
}

impl WebhookError {
    /// The status to answer with. PagerDuty drops a delivery that is answered with any of these.
    #[must_use]
    pub fn status(&self) -> u16 {
        match self {
            Self::Unsupported => 404,
            Self::BadSignature => 403,
            Self::Malformed(_) | Self::Old(_) => 400,
        }
    }
}

/// Verifies a delivery to a source. `header` finds a header by its lower-case name, `body` is the body as it came, and
/// `secrets` are those of the source: any of them may have signed it, an empty one has signed nothing.
///
/// # Errors
/// See [`WebhookError`]. The signature comes first: nothing unsigned is looked into.
pub fn verify<'a>(
    platform: &PlatformSettings,
    header: impl Fn(&str) -> Option<&'a str>,
    body: &[u8],
    secrets: &[Secret],
    now: Timestamp,
) -> Result<Hint, WebhookError> {
    match platform {
        PlatformSettings::Pagerduty { .. } => {
            let signatures = header(PAGERDUTY_SIGNATURE).ok_or(WebhookError::BadSignature)?;
            if !pagerduty_signed(signatures, body, secrets) {
                return Err(WebhookError::BadSignature);
            }
            let hint = pagerduty_hint(body)?;
            if later(hint.occurred_at, OLDEST) < now {
                return Err(WebhookError::Old(hint.occurred_at));
            }
            Ok(hint)
        }
        PlatformSettings::Icalendar { .. } | PlatformSettings::Sandbox { .. } => Err(WebhookError::Unsupported),
    }
}

/// Whether any `v1` signature is the HMAC-SHA256 of the raw body under any of the secrets (PagerDuty, *Verifying
/// Webhook Signatures*). Signatures of other versions count for nothing. Compared in constant time.
fn pagerduty_signed(signatures: &str, body: &[u8], secrets: &[Secret]) -> bool {
    let signatures: Vec<[u8; 32]> =
        signatures.split(',').filter_map(|one| unhex(one.trim().strip_prefix("v1=")?)).collect();
    secrets.iter().filter(|secret| !secret.expose().is_empty()).any(|secret| {
        // HMAC takes keys of every length.
        Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes()).is_ok_and(|mac| {
            let mac = mac.chain_update(body);
            signatures.iter().any(|signature| mac.clone().verify_slice(signature).is_ok())
        })
    })
}

/// 32 bytes of hexadecimal.
fn unhex(text: &str) -> Option<[u8; 32]> {
    let digit = |c: u8| char::from(c).to_digit(16).and_then(|d| u8::try_from(d).ok());
    let pairs = text.as_bytes().chunks(2).map(|pair| match pair {
        [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
        _ => None,
    });
    pairs.collect::<Option<Vec<u8>>>()?.try_into().ok()
}

#[derive(Deserialize)]
struct Delivery {
    event: Event,
}

#[derive(Deserialize)]
struct Event {
    id: String,
    event_type: String,
    occurred_at: Timestamp,
    #[serde(default)]
    data: Option<Data>,
}

#[derive(Deserialize)]
struct Data {
    #[serde(default)]
    escalation_policy: Option<Named>,
}

#[derive(Deserialize)]
struct Named {
    id: String,
}

/// What a V3 webhook says (PagerDuty, *V3 Overview*). `X-Webhook-Id` is not used: it is not signed, so that whoever has one
/// delivery could send it again under another.
fn pagerduty_hint(body: &[u8]) -> Result<Hint, WebhookError> {
    let malformed = |e: String| WebhookError::Malformed(e.chars().flat_map(char::escape_debug).take(500).collect());
    let event = serde_json::from_slice::<Delivery>(body).map_err(|e| malformed(e.to_string()))?.event;
    for (name, text) in [("id", &event.id), ("event_type", &event.event_type)] {
        if text.is_empty() || text.len() > 256 || text.chars().any(char::is_control) {
            return Err(malformed(format!("its {name} is empty, too long or not text")));
        }
    }
    let policy = event.data.and_then(|data| data.escalation_policy).map(|policy| policy.id);
    let policy = policy.filter(|id| id.len() <= 64 && id.bytes().all(|b| b.is_ascii_alphanumeric()));
    let about = policy.map_or(About::Nothing, About::Policy);
    Ok(Hint { id: event.id, event: event.event_type, occurred_at: event.occurred_at, about })
}

#[cfg(test)]
mod tests;
