//! Telling people: always a log line; a signed webhook where the configuration names one; an SNS topic on AWS.
//!
//! Webhooks carry the headers of [Standard Webhooks](https://www.standardwebhooks.com): `webhook-id`,
//! `webhook-timestamp` and `webhook-signature`, the last being `v1,` and the base64 of the HMAC-SHA256 over
//! `id.timestamp.body` with the secret's bytes (base64 after `whsec_`, else the text itself).

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dutykey_engine::ports::clock::Clock;
use dutykey_engine::ports::ledger::Notice;
use dutykey_engine::ports::notify::{Notify, NotifyError};
use dutykey_engine::ports::rules::ReadRules;
use dutykey_engine::ports::secrets::ReadSecret;
use dutykey_policy::installation::NotifyChannel;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::json;
use sha2::Sha256;

use crate::lambda::bounded;

/// The deadline of one delivery.
const DEADLINE: Duration = Duration::from_secs(5);
/// What the SNS topic is called among the channels that have taken a notice. No channel's ID has a space.
const TOPIC: &str = "the topic";

/// Tells people on every channel that wants it.
pub struct Notices {
    rules: Arc<dyn ReadRules>,
    secrets: Arc<dyn ReadSecret>,
    clock: Arc<dyn Clock>,
    http: reqwest::Client,
    topic: Option<Topic>,
}

/// An SNS topic.
#[derive(Debug, Clone)]
pub struct Topic {
    /// The client.
    pub client: aws_sdk_sns::Client,
    /// The topic's ARN.
    pub arn: String,
}

impl std::fmt::Debug for Notices {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Notices").field("topic", &self.topic).finish_non_exhaustive()
    }
}

impl Notices {
    /// Tells people by what the installation's `notify` says.
    ///
    /// # Errors
    /// The HTTP client cannot be made.
    pub fn new(
        rules: Arc<dyn ReadRules>,
        secrets: Arc<dyn ReadSecret>,
        clock: Arc<dyn Clock>,
        topic: Option<Topic>,
    ) -> Result<Self, NotifyError> {
        let client = reqwest::Client::builder().timeout(DEADLINE).redirect(reqwest::redirect::Policy::none());
        let http = client.build().map_err(|error| NotifyError::from(error.to_string()))?;
        Ok(Self { rules, secrets, clock, http, topic })
    }

    async fn post(&self, channel: &NotifyChannel, notice: &Notice) -> Result<(), String> {
        let failed = |what: String| bounded(&format_args!("channel `{}`: {what}", channel.id));
        let url = self.secrets.read(&channel.url).await.map_err(|error| failed(error.to_string()))?;
        let secret = self.secrets.read(&channel.secret).await.map_err(|error| failed(error.to_string()))?;
        let body = json!({"id": notice.id, "topic": notice.topic, "at": dutykey_policy::time::rfc3339(notice.at), "text": notice.text}).to_string();
        let timestamp = self.clock.now().as_second().to_string();
        let signature = signature(secret.expose(), &notice.id, &timestamp, &body).map_err(failed)?;
        let request = self
            .http
            .post(url.expose())
            .header("content-type", "application/json")
            .header("webhook-id", &notice.id)
            .header("webhook-timestamp", timestamp)
            .header("webhook-signature", signature)
            .body(body);
        // The address may be a secret itself: the error must not repeat it.
        let answer = request.send().await.map_err(|error| failed(error.without_url().to_string()))?;
        if answer.status().is_success() {
            Ok(())
        } else {
            Err(failed(format!("answered {}", answer.status().as_u16())))
        }
    }

    async fn publish(&self, topic: &Topic, notice: &Notice) -> Result<(), String> {
        let subject = serde_json::to_value(notice.topic)
            .ok()
            .and_then(|topic| topic.as_str().map(str::to_owned))
            .unwrap_or_default();
        let call =
            topic.client.publish().topic_arn(&topic.arn).subject(format!("Dutykey: {subject}")).message(&notice.text);
        call.send()
            .await
            .map(|_| ())
            .map_err(|error| bounded(&format_args!("the topic: {}", crate::aws::fault(&error))))
    }
}

/// Whether a channel could be told something: its address and its secret can be read and are what they must be. Nothing
/// is sent. Answers what is wrong, a sentence each.
pub async fn faults(channel: &NotifyChannel, secrets: &dyn ReadSecret) -> Vec<String> {
    let mut faults = Vec::new();
    match secrets.read(&channel.url).await {
        Ok(url) if !is_address(url.expose()) => faults.push("its `url` leads to no http or https address".to_owned()),
        Ok(_) => {}
        Err(error) => faults.push(error.to_string()),
    }
    match secrets.read(&channel.secret).await {
        Ok(secret) => faults.extend(signature(secret.expose(), "", "", "").err()),
        Err(error) => faults.push(error.to_string()),
    }
    faults
}

fn is_address(text: &str) -> bool {
    reqwest::Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
}

/// The value of `webhook-signature`.
///
/// # Errors
/// A secret after `whsec_` that is not base64.
fn signature(secret: &str, id: &str, timestamp: &str, body: &str) -> Result<String, String> {
    let key = match secret.strip_prefix("whsec_") {
        Some(encoded) => STANDARD.decode(encoded).map_err(|_| "its secret is not base64 after `whsec_`".to_owned())?,
        None => secret.as_bytes().to_vec(),
    };
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).map_err(|error| error.to_string())?;
    mac.update(format!("{id}.{timestamp}.{body}").as_bytes());
    Ok(format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())))
}

#[async_trait]
impl Notify for Notices {
    async fn tell(&self, notice: &Notice) -> Result<(), NotifyError> {
        tracing::warn!(notice.id = %notice.id, notice.topic = ?notice.topic, "{}", notice.text);
        let settings = self.rules.settings().await.map_err(|error| NotifyError::from(error.to_string()))?;
        let channels = settings.map(|settings| settings.notify).unwrap_or_default();
        let mut ends = Vec::new();
        if let Some(topic) = self.topic.as_ref().filter(|_| !notice.told.contains(TOPIC)) {
            ends.push((TOPIC, self.publish(topic, notice).await));
        }
        for channel in channels.iter().filter(|channel| channel.on.contains(&notice.topic)) {
            if !notice.told.contains(&channel.id) {
                ends.push((channel.id.as_str(), self.post(channel, notice).await));
            }
        }
        let failed: Vec<&str> = ends.iter().filter_map(|(_, end)| Some(end.as_ref().err()?.as_str())).collect();
        if failed.is_empty() {
            return Ok(());
        }
        let what = failed.join("; ");
        let told = ends.iter().filter(|(_, end)| end.is_ok()).map(|(channel, _)| (*channel).to_owned()).collect();
        Err(NotifyError { what, told })
    }
}

#[cfg(test)]
mod tests;
