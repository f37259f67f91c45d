//! What the embedded database never does by itself: lost answers, conflicts, throttling, unprocessed parts of a batch.

use std::sync::{Arc, Mutex};

use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use dutykey_embedded::Embedded;
use dutykey_engine::ports::ledger::{StoreError, WriteLedger};
use dutykey_engine::ports::rota::{Directory, ReadRota, WriteRota};
use serde_json::{Value, json};

use crate::harness::{World, change, is_changed, link, world_of};

/// What happens to a request.
#[derive(Debug, Clone)]
enum Fault {
    /// It is carried out and its answer is lost.
    Lost,
    /// It is not carried out and answered with this status and body.
    Answered(u16, Value),
    /// It is a batch, and no part of it is carried out.
    Unprocessed,
}

/// Does something to the next requests of an operation, one fault each.
#[derive(Debug, Clone)]
struct Faulty {
    inner: SharedHttpConnector,
    faults: Arc<Mutex<Vec<(&'static str, Fault)>>>,
}

impl HttpConnector for Faulty {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let target = request.headers().get("x-amz-target").unwrap_or_default();
        let mut faults = self.faults.lock().unwrap();
        let fault = faults.iter().position(|(operation, _)| target.ends_with(operation)).map(|at| faults.remove(at).1);
        let answered = |status: u16, body: &Value| {
            let response = HttpResponse::new(status.try_into().unwrap(), SdkBody::from(body.to_string()));
            HttpConnectorFuture::ready(Ok(response))
        };
        match fault {
            None => self.inner.call(request),
            Some(Fault::Lost) => {
                let answer = self.inner.call(request);
                HttpConnectorFuture::new(async move {
                    answer.await?;
                    Err(ConnectorError::io("the connection was reset".into()))
                })
            }
            Some(Fault::Answered(status, body)) => answered(status, &body),
            Some(Fault::Unprocessed) => {
                let body: Value = serde_json::from_slice(request.body().bytes().unwrap()).unwrap();
                answered(
                    200,
                    &json!({ "UnprocessedKeys": body["RequestItems"], "UnprocessedItems": body["RequestItems"] }),
                )
            }
        }
    }
}

/// A table whose requests can be disturbed.
async fn disturbed(retry: RetryConfig) -> (World, Arc<Mutex<Vec<(&'static str, Fault)>>>) {
    let embedded = Embedded::memory().unwrap();
    let faults = Arc::default();
    let faulty = Faulty { inner: embedded.connector(), faults: Arc::clone(&faults) };
    let config = embedded.config().http_client(http_client_fn(move |_, _| SharedHttpConnector::new(faulty.clone())));
    (world_of(config.retry_config(retry)).await, faults)
}

#[tokio::test(start_paused = true)]
async fn p10_a_lost_answer_that_the_sdk_retries_is_one_change() {
    let (world, faults) = disturbed(RetryConfig::standard()).await;
    let ann = world.somebody(1).await;
    let head = world.live(&ann).await.head;
    faults.lock().unwrap().push(("TransactWriteItems", Fault::Lost));
    let (done, requests) = world.requests_of(world.committed(&change(&ann, &head))).await;
    assert_eq!(requests.get("TransactWriteItems"), Some(&2), "the answer was lost once: {requests:?}");
    assert_eq!(done.chain.seq, head.chain.seq + 1);
    assert_eq!(world.live(&ann).await.head, done);
}

#[tokio::test]
async fn p10_a_lost_answer_without_a_retry_is_found_by_reading_again() {
    let (world, faults) = disturbed(RetryConfig::disabled()).await;
    let ann = world.somebody(1).await;
    let head = world.live(&ann).await.head;
    faults.lock().unwrap().push(("TransactWriteItems", Fault::Lost));
    let outcome = world.store.commit(&change(&ann, &head)).await;
    assert!(matches!(outcome, Err(StoreError::Unavailable(_))), "nobody knows whether it happened: {outcome:?}");
    assert!(is_changed(world.store.commit(&change(&ann, &head)).await), "it did happen, and not twice");
    assert_eq!(world.live(&ann).await.head.rev, head.rev + 1);
}

fn cancelled(code: &str) -> Fault {
    let kind = "com.amazonaws.dynamodb.v20120810#TransactionCanceledException";
    let reasons = json!([{ "Code": "None" }, { "Code": code, "Message": "said" }]);
    Fault::Answered(400, json!({ "__type": kind, "Message": "cancelled", "CancellationReasons": reasons }))
}

fn refused(code: &str) -> Fault {
    Fault::Answered(
        400,
        json!({ "__type": format!("com.amazonaws.dynamodb.v20120810#{code}"), "message": "x".repeat(9_999) }),
    )
}

#[tokio::test]
async fn r10_a_conflict_is_a_change_and_throttling_is_an_outage() {
    let (world, faults) = disturbed(RetryConfig::disabled()).await;
    let ann = world.somebody(1).await;
    let next = change(&ann, &world.live(&ann).await.head);
    faults.lock().unwrap().push(("TransactWriteItems", cancelled("TransactionConflict")));
    assert!(is_changed(world.store.commit(&next).await));
    for fault in [cancelled("ThrottlingError"), refused("ThrottlingException"), refused("AccessDeniedException")] {
        faults.lock().unwrap().push(("TransactWriteItems", fault));
        let outcome = world.store.commit(&next).await;
        assert!(matches!(&outcome, Err(StoreError::Unavailable(text)) if text.len() <= 600), "{outcome:?}");
    }
    for fault in [cancelled("ValidationError"), refused("ValidationException")] {
        faults.lock().unwrap().push(("TransactWriteItems", fault));
        let outcome = world.store.commit(&next).await;
        assert!(matches!(&outcome, Err(StoreError::Limit(text)) if text.len() <= 600), "{outcome:?}");
    }
    faults.lock().unwrap().push(("TransactWriteItems", cancelled("TransactionConflict")));
    let again = world.store.link_user(&link(2, "U2")).await;
    assert_eq!(again, Ok(Ok(crate::harness::person(2))), "a link that met a conflict is tried again");
    world.committed(&next).await;
}

#[tokio::test(start_paused = true)]
async fn what_a_batch_leaves_unprocessed_is_asked_for_again_and_not_for_ever() {
    let (world, faults) = disturbed(RetryConfig::disabled()).await;
    world.somebody(1).await;
    let (pd, users) = ("pd".parse().unwrap(), ["U1".parse().unwrap()]);
    faults.lock().unwrap().extend(vec![("BatchGetItem", Fault::Unprocessed); 3]);
    assert_eq!(world.store.people(&pd, &users).await.unwrap().len(), 1);
    faults.lock().unwrap().extend(vec![("BatchWriteItem", Fault::Unprocessed); 3]);
    world.store.keep_directory(&pd, &Directory::default()).await.unwrap();
    assert_eq!(world.store.directory(&pd).await, Ok(Directory::default()));
    faults.lock().unwrap().extend(vec![("BatchGetItem", Fault::Unprocessed); 30]);
    let outcome = world.store.people(&pd, &users).await;
    assert!(matches!(outcome, Err(StoreError::Unavailable(_))), "{outcome:?}");
}
