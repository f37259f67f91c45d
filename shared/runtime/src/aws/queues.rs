//! The queues, as SQS has them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::SendMessageBatchRequestEntry;
use dutykey_engine::ports::clock::Clock;
use dutykey_engine::ports::queue::{Enqueue, Message, Queue, SendError};
use dutykey_policy::time::{later, millis_between};
use jiff::Timestamp;
use tokio::task::JoinSet;

use crate::environment::queue_variable;

/// At most this many messages in one call, and at most this long a delay in seconds (SQS's developer guide, "Amazon SQS
/// message quotas").
const BATCH: usize = 10;
const LONGEST_DELAY: i64 = 900;

/// A message is delivered this long before its time, for the worker waits out the rest and cannot win back what is late.
const EARLY_MS: i64 = 1_000;

/// How often what SQS did not take is sent again, and how long before that.
const TRIES: u32 = 4;
const PAUSE: Duration = Duration::from_millis(100);

/// At most this many calls side by side.
const SIDE_BY_SIDE: usize = 16;

/// The power to send messages, by SQS.
#[derive(Clone)]
pub struct SqsQueues {
    client: Client,
    addresses: BTreeMap<Queue, String>,
    clock: Arc<dyn Clock>,
}

impl fmt::Debug for SqsQueues {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqsQueues").field("addresses", &self.addresses).finish_non_exhaustive()
    }
}

impl SqsQueues {
    /// The queues at these addresses. What is sent to another one is an error.
    #[must_use]
    pub fn new(client: Client, addresses: BTreeMap<Queue, String>, clock: Arc<dyn Clock>) -> Self {
        Self { client, addresses, clock }
    }
}

#[async_trait]
impl Enqueue for SqsQueues {
    /// Every batch is tried, also after one that failed: a message that was sent twice costs time, and one that was not
    /// sent costs more.
    async fn send(&self, queue: Queue, messages: Vec<Message>) -> Result<(), SendError> {
        let Some(address) = self.addresses.get(&queue) else {
            return Err(SendError(format!("this function has no {}", queue_variable(queue))));
        };
        let mut result = Ok(());
        let mut calls = JoinSet::new();
        for batch in messages.chunks(BATCH) {
            if calls.len() >= SIDE_BY_SIDE {
                result = result.and(joined(calls.join_next().await));
            }
            let (client, address) = (self.client.clone(), address.clone());
            calls.spawn(send_batch(client, address, batch.to_vec(), Arc::clone(&self.clock)));
        }
        while let Some(done) = calls.join_next().await {
            result = result.and(joined(Some(done)));
        }
        result
    }
}

fn joined(done: Option<Result<Result<(), SendError>, tokio::task::JoinError>>) -> Result<(), SendError> {
    match done {
        None => Ok(()),
        Some(Ok(result)) => result,
        Some(Err(_)) => Err(SendError("the sender was stopped".to_owned())),
    }
}

/// Sends up to ten messages; those that SQS could not take for its own reasons again, a few times.
async fn send_batch(
    client: Client,
    address: String,
    messages: Vec<Message>,
    clock: Arc<dyn Clock>,
) -> Result<(), SendError> {
    let mut open: BTreeMap<String, Message> =
        messages.into_iter().enumerate().map(|(index, message)| (index.to_string(), message)).collect();
    let mut refusal = String::new();
    for attempt in 0..TRIES {
        if attempt > 0 {
            clock.sleep_until(later(clock.now(), PAUSE * 2_u32.pow(attempt - 1))).await;
        }
        // The delay is reckoned anew: it shrinks while we wait.
        let now = clock.now();
        let entries = open.iter().map(|(id, message)| entry(id, message, now)).collect::<Result<Vec<_>, _>>()?;
        let answer = client.send_message_batch().queue_url(&address).set_entries(Some(entries)).send().await;
        let answer = answer.map_err(|error| SendError(super::fault(&error)))?;
        for sent in answer.successful() {
            open.remove(sent.id());
        }
        if open.is_empty() {
            return Ok(());
        }
        if let Some(failed) = answer.failed().first() {
            refusal = format!("{}: {}", failed.code(), failed.message().unwrap_or_default());
        }
        if answer.failed().iter().any(|failed| failed.sender_fault()) {
            break;
        }
    }
    Err(refused(&format!("{} messages were not taken: {refusal}", open.len())))
}

fn entry(id: &str, message: &Message, now: Timestamp) -> Result<SendMessageBatchRequestEntry, SendError> {
    let body = serde_json::to_string(message).map_err(|error| refused(&error.to_string()))?;
    let builder = SendMessageBatchRequestEntry::builder().id(id).message_body(body);
    builder.delay_seconds(delay(message.not_before, now)).build().map_err(|error| refused(&error.to_string()))
}

/// The delay in whole seconds: a second before the message's time, rounded down, within what SQS can.
fn delay(not_before: Option<Timestamp>, now: Timestamp) -> i32 {
    let seconds = not_before.map_or(0, |at| (millis_between(now, at) - EARLY_MS).div_euclid(1_000));
    i32::try_from(seconds.clamp(0, LONGEST_DELAY)).unwrap_or_default()
}

fn refused(text: &str) -> SendError {
    SendError(text.chars().take(500).flat_map(char::escape_debug).collect())
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use aws_sdk_sqs::config::{BehaviorVersion, Credentials, Region};
    use axum::{Json, Router, extract::State, routing::post};
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::clock::SystemClock;

    /// A queue service that refuses the first `refusals` messages that it is shown, and remembers the rest.
    #[derive(Default)]
    struct Service {
        refusals: Mutex<usize>,
        sender_fault: bool,
        calls: Mutex<Vec<usize>>,
        taken: Mutex<Vec<(Message, i64)>>,
    }

    async fn answer(State(service): State<Arc<Service>>, body: String) -> Json<Value> {
        let body: Value = serde_json::from_str(&body).expect("JSON");
        let entries = body["Entries"].as_array().cloned().unwrap_or_default();
        service.calls.lock().expect("calls").push(entries.len());
        let (mut successful, mut failed) = (Vec::new(), Vec::new());
        for entry in entries {
            let mut refusals = service.refusals.lock().expect("refusals");
            if *refusals > 0 {
                *refusals -= 1;
                failed.push(json!({
                    "Id": entry["Id"], "SenderFault": service.sender_fault, "Code": "InternalError", "Message": "later"
                }));
            } else {
                let message = serde_json::from_str(entry["MessageBody"].as_str().expect("a body")).expect("a message");
                let delay = entry["DelaySeconds"].as_i64().expect("a delay");
                service.taken.lock().expect("taken").push((message, delay));
                successful.push(json!({ "Id": entry["Id"], "MessageId": "m", "MD5OfMessageBody": "" }));
            }
        }
        Json(json!({ "Successful": successful, "Failed": failed }))
    }

    async fn queues(service: Service) -> (SqsQueues, Arc<Service>) {
        let service = Arc::new(service);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = format!("http://{}", listener.local_addr().expect("an address"));
        let app = Router::new().route("/", post(answer)).with_state(Arc::clone(&service));
        tokio::spawn(async move { axum::serve(listener, app).await });
        let config = aws_sdk_sqs::Config::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::from_static("eu-central-1"))
            .credentials_provider(Credentials::new("id", "key", None, None, "test"))
            .endpoint_url(&address)
            .build();
        let addresses = BTreeMap::from([(Queue::Revocation, format!("{address}/123456789012/revocation"))]);
        (SqsQueues::new(Client::from_conf(config), addresses, Arc::new(SystemClock)), service)
    }

    fn message(number: usize) -> Message {
        Message::rota("pd".parse().expect("an ID"), Some(format!("R{number}")), "test")
    }

    #[tokio::test]
    async fn every_message_is_sent_in_batches_of_ten_and_what_is_refused_again() {
        let (queues, service) = queues(Service { refusals: Mutex::new(7), ..Service::default() }).await;
        let messages: Vec<_> = (0..23).map(message).collect();
        queues.send(Queue::Revocation, messages.clone()).await.expect("all taken in the end");
        let mut taken: Vec<_> = service.taken.lock().expect("taken").iter().map(|(m, _)| m.about.clone()).collect();
        taken.sort();
        let mut sent: Vec<_> = messages.into_iter().map(|m| m.about).collect();
        sent.sort();
        assert_eq!(taken, sent, "each once");
        assert!(service.calls.lock().expect("calls").iter().all(|entries| (1..=10).contains(entries)));
    }

    #[tokio::test]
    async fn what_is_refused_for_good_is_an_error_after_a_bounded_number_of_tries() {
        let (queues, service) = queues(Service { refusals: Mutex::new(usize::MAX), ..Service::default() }).await;
        let error = queues.send(Queue::Revocation, vec![message(1)]).await.expect_err("never taken");
        assert_eq!(error.to_string(), "could not send to the queue: 1 messages were not taken: InternalError: later");
        assert_eq!(service.calls.lock().expect("calls").len(), 4);

        let service = Service { refusals: Mutex::new(usize::MAX), sender_fault: true, ..Service::default() };
        let (queues, service) = self::queues(service).await;
        queues.send(Queue::Revocation, vec![message(1)]).await.expect_err("never taken");
        assert_eq!(service.calls.lock().expect("calls").len(), 1, "our own fault is not cured by trying again");
    }

    #[tokio::test]
    async fn a_message_for_later_carries_its_delay_and_a_queue_without_address_is_named() {
        let (queues, service) = queues(Service::default()).await;
        let at = later(SystemClock.now(), Duration::from_secs(100));
        queues.send(Queue::Revocation, vec![message(1).at(at)]).await.expect("taken");
        let (sent, delay) = service.taken.lock().expect("taken")[0].clone();
        assert_eq!(sent.not_before, Some(at));
        assert!((90..=99).contains(&delay), "a second early and rounded down, not {delay}");
        let error = queues.send(Queue::Sync, vec![message(1)]).await.expect_err("no address");
        assert!(error.to_string().contains("DUTYKEY_SYNC_QUEUE_URL"), "{error}");
    }

    proptest! {
        #[test]
        fn p12_a_message_is_never_late_and_at_most_two_seconds_early(ahead in -2_000_000..2_000_000_i64) {
            let now = Timestamp::from_millisecond(1_774_746_000_123).expect("an instant");
            let at = Timestamp::from_millisecond(1_774_746_000_123 + ahead).expect("an instant");
            let delivered = i64::from(delay(Some(at), now)) * 1_000;
            prop_assert!((0..=900_000).contains(&delivered));
            if ahead >= 1_000 {
                prop_assert!(delivered <= ahead - 1_000);
            }
            if (1_000..=901_000).contains(&ahead) {
                prop_assert!(delivered > ahead - 2_000);
            }
            prop_assert_eq!(delay(None, now), 0);
        }
    }
}
