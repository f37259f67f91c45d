//! What the functions use of AWS beside the table, on loopback: SQS (sending), Secrets Manager (reading), SNS
//! (publishing), by the protocols that the SDKs speak. Sources: the service models in the SDKs; quotas of the SQS
//! developer guide.

mod wire;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use wire::{Answer, Batch, Entry, Message, Refusal, SecretId, json_1_1, query, read, refuse, sqs};

/// The account that everything belongs to.
pub const ACCOUNT: &str = "123456789012";
/// The region that everything is in.
pub const REGION: &str = "eu-central-1";

/// The longest batch of SQS, in bytes of its bodies together.
const MAX_BATCH: usize = 1 << 20;
/// The longest delay of SQS, in seconds.
const MAX_DELAY: u64 = 900;

/// What can be asked of the services.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Operation {
    /// SQS.
    SendMessage,
    /// SQS.
    SendMessageBatch,
    /// Secrets Manager.
    GetSecretValue,
    /// SNS.
    Publish,
}

/// How a call fails. Nothing took effect then, but for [`Fault::Entry`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// 500.
    Internal,
    /// Too many requests.
    Throttled,
    /// The role does not allow it.
    Denied,
    /// One entry of a batch, counted from 0, is refused inside an answer of status 200; the others are taken.
    Entry(usize),
}

/// A message that a queue took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// The body.
    pub body: String,
    /// How long the queue keeps it back.
    pub delay: Duration,
}

/// A message that a topic took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// The topic's ARN.
    pub topic: String,
    /// The subject, where it has one.
    pub subject: Option<String>,
    /// The text.
    pub message: String,
}

/// The services. They go away when this is dropped.
#[derive(Debug)]
pub struct FakeAws {
    address: SocketAddr,
    shared: Shared,
    serving: JoinHandle<()>,
}

#[derive(Debug, Clone, Default)]
struct Shared(Arc<Mutex<Services>>);

#[derive(Debug, Default)]
struct Services {
    queues: BTreeMap<String, Vec<Sent>>,
    secrets: BTreeMap<String, String>,
    published: Vec<Published>,
    calls: BTreeMap<Operation, usize>,
    faults: BTreeMap<Operation, VecDeque<Fault>>,
    messages: usize,
}

impl FakeAws {
    /// Starts the services, without a queue or a secret.
    ///
    /// # Errors
    /// No port is free.
    pub async fn start() -> std::io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let shared = Shared::default();
        let router = Router::new().fallback(call).with_state(shared.clone());
        let serving = tokio::spawn(async move {
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self { address, shared, serving })
    }

    /// Where all services listen.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The variables that lead an SDK here.
    #[must_use]
    pub fn environment(&self) -> Vec<(String, String)> {
        Self::environment_through(self.address)
    }

    /// The same, through a proxy.
    #[must_use]
    pub fn environment_through(proxy: SocketAddr) -> Vec<(String, String)> {
        let url = format!("http://{proxy}");
        ["SQS", "SECRETS_MANAGER", "SNS"].map(|service| (format!("AWS_ENDPOINT_URL_{service}"), url.clone())).into()
    }

    /// The URL of a queue, which is there from now on.
    #[must_use]
    pub fn queue_url(&self, name: &str) -> String {
        self.shared.lock().queues.entry(name.to_owned()).or_default();
        format!("http://{}/{ACCOUNT}/{name}", self.address)
    }

    /// The messages that a queue took since the last time, in their order.
    #[must_use]
    pub fn messages(&self, queue: &str) -> Vec<Sent> {
        self.shared.lock().queues.get_mut(queue).map(std::mem::take).unwrap_or_default()
    }

    /// The messages that topics took since the last time, in their order.
    #[must_use]
    pub fn published(&self) -> Vec<Published> {
        std::mem::take(&mut self.shared.lock().published)
    }

    /// Makes a secret, or its next version.
    pub fn put_secret(&self, name: &str, value: &str) {
        self.shared.lock().secrets.insert(name.to_owned(), value.to_owned());
    }

    /// The next `times` calls of this operation fail in this way.
    pub fn fail(&self, operation: Operation, fault: Fault, times: usize) {
        self.shared.lock().faults.entry(operation).or_default().extend(std::iter::repeat_n(fault, times));
    }

    /// How often an operation was called, failures included.
    #[must_use]
    pub fn calls(&self, operation: Operation) -> usize {
        self.shared.lock().calls.get(&operation).copied().unwrap_or_default()
    }
}

impl Drop for FakeAws {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Services> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn call(State(shared): State<Shared>, headers: HeaderMap, body: String) -> Response {
    let target = headers.get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default();
    let form: BTreeMap<String, String> = url::form_urlencoded::parse(body.as_bytes()).into_owned().collect();
    let action = form.get("Action").map(String::as_str).unwrap_or_default();
    let mut services = shared.lock();
    match (target, action) {
        ("AmazonSQS.SendMessage", _) => sqs(services.send(&body)),
        ("AmazonSQS.SendMessageBatch", _) => sqs(services.send_batch(&body)),
        ("secretsmanager.GetSecretValue", _) => json_1_1(services.secret(&body)),
        ("", "Publish") => query(services.publish(&form)),
        _ => {
            json_1_1(refuse("UnknownOperationException", format!("`{target}{action}` is not an operation of the fake")))
        }
    }
}

impl Services {
    /// Counts a call; the fault that it meets, if any. Only a batch's entry lets the rest of the call go on.
    fn begin(&mut self, operation: Operation) -> Result<Option<usize>, Refusal> {
        *self.calls.entry(operation).or_default() += 1;
        match self.faults.get_mut(&operation).and_then(VecDeque::pop_front) {
            None => Ok(None),
            Some(Fault::Entry(position)) => Ok(Some(position)),
            Some(Fault::Internal) => Err(Refusal::ours("InternalFailure", "We encountered an internal error.")),
            Some(Fault::Throttled) => refuse("ThrottlingException", "Rate exceeded"),
            Some(Fault::Denied) => {
                refuse("AccessDeniedException", "The role is not authorized to perform this action.")
            }
        }
    }

    fn send(&mut self, body: &str) -> Answer {
        self.begin(Operation::SendMessage)?;
        let Message { queue_url, message_body, delay_seconds } = read(body)?;
        let queue = self.queue(&queue_url)?;
        fits(message_body.len())?;
        let taken = self.take(&queue, message_body, delay_seconds)?;
        Ok(json!(taken))
    }

    fn send_batch(&mut self, body: &str) -> Answer {
        let refused = self.begin(Operation::SendMessageBatch)?;
        let Batch { queue_url, entries } = read(body)?;
        let queue = self.queue(&queue_url)?;
        let mut ids: Vec<&str> = entries.iter().map(|entry| entry.id.as_str()).collect();
        ids.sort_unstable();
        ids.dedup();
        if entries.is_empty() {
            return refuse("EmptyBatchRequest", "There should be at least one entry in the batch.");
        } else if entries.len() > 10 {
            return refuse("TooManyEntriesInBatchRequest", "A batch has at most 10 entries.");
        } else if ids.len() < entries.len() {
            return refuse("BatchEntryIdsNotDistinct", "Two entries have one ID.");
        }
        fits(entries.iter().map(|entry| entry.message_body.len()).sum())?;
        let (mut successful, mut failed) = (Vec::new(), Vec::new());
        for (position, Entry { id, message_body, delay_seconds }) in entries.into_iter().enumerate() {
            let taken = if refused == Some(position) {
                Err(Refusal::ours("InternalError", "Try again."))
            } else {
                self.take(&queue, message_body, delay_seconds)
            };
            match taken {
                Ok(mut taken) => {
                    taken.insert("Id", id);
                    successful.push(taken);
                }
                Err(Refusal { status, code, text }) => {
                    let fault = status == StatusCode::BAD_REQUEST;
                    failed.push(json!({"Id": id, "SenderFault": fault, "Code": code, "Message": text}));
                }
            }
        }
        // The service leaves an empty list out.
        let lists = [("Successful", json!(successful)), ("Failed", json!(failed))];
        Ok(lists.into_iter().filter(|(_, list)| *list != json!([])).collect())
    }

    /// The name of a queue that is there.
    fn queue(&self, url: &str) -> Result<String, Refusal> {
        let name = url.rsplit('/').next().unwrap_or_default();
        if self.queues.contains_key(name) {
            return Ok(name.to_owned());
        }
        refuse("QueueDoesNotExist", format!("The queue `{name}` does not exist; a test makes one with `queue_url`."))
    }

    fn take(&mut self, queue: &str, body: String, delay: u64) -> Result<BTreeMap<&'static str, String>, Refusal> {
        if delay > MAX_DELAY {
            return refuse("InvalidParameterValue", format!("DelaySeconds is {delay}; it is at most {MAX_DELAY}."));
        }
        self.messages += 1;
        let id = format!("5fea7756-0ea4-451a-a703-{:012x}", self.messages);
        let digest = format!("{:x}", md5::compute(&body));
        self.queues.entry(queue.to_owned()).or_default().push(Sent { body, delay: Duration::from_secs(delay) });
        Ok([("MessageId", id), ("MD5OfMessageBody", digest)].into())
    }

    fn secret(&mut self, body: &str) -> Answer {
        self.begin(Operation::GetSecretValue)?;
        let SecretId { secret_id } = read(body)?;
        // By name, or by ARN: `…:secret:NAME-` and six characters.
        let name = match secret_id.split_once(":secret:") {
            Some((_, tail)) => tail.rsplit_once('-').map_or(tail, |(name, _)| name),
            None => secret_id.as_str(),
        };
        let Some(value) = self.secrets.get(name) else {
            return refuse("ResourceNotFoundException", "Secrets Manager can't find the specified secret.");
        };
        Ok(json!({
            "ARN": format!("arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:{name}-a1b2c3"),
            "Name": name,
            "VersionId": "a1b2c3d4-5678-90ab-cdef-000000000001",
            "SecretString": value,
            "VersionStages": ["AWSCURRENT"],
            "CreatedDate": 1_795_418_100.0,
        }))
    }

    fn publish(&mut self, form: &BTreeMap<String, String>) -> Answer {
        self.begin(Operation::Publish)?;
        let (Some(topic), Some(message)) = (form.get("TopicArn"), form.get("Message")) else {
            return refuse("InvalidParameter", "Invalid parameter: TopicArn or Message is not there.");
        };
        let subject = form.get("Subject").cloned();
        self.published.push(Published { topic: topic.clone(), subject, message: message.clone() });
        Ok(json!(format!("94f20ce6-13c5-43a0-9a9e-{:012x}", self.published.len())))
    }
}

fn fits(bytes: usize) -> Result<(), Refusal> {
    if bytes <= MAX_BATCH {
        Ok(())
    } else {
        refuse("BatchRequestTooLong", format!("{bytes} bytes are over {MAX_BATCH}."))
    }
}
