//! The changes of one event of a table's stream, side by side, each with its own end.
//!
//! The event source mapping has `ReportBatchItemFailures`: Lambda comes again with the change that the answer names and
//! with all behind it. So the first that failed is named, and no other.

use std::num::NonZeroUsize;

use futures_util::{StreamExt, stream};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::lambda::{Failure, caught};

/// An event of a table's stream. The events' own crate brings a library for dates along for it, so it is read here.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct StreamEvent {
    /// The changes of one shard, in their order.
    #[serde(rename = "Records")]
    pub records: Vec<Change>,
}

/// A change of an item.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Change {
    /// What happened to the item.
    #[serde(rename = "eventName")]
    pub what: What,
    /// The item.
    #[serde(rename = "dynamodb")]
    pub item: Changed,
}

/// What happened to an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum What {
    /// It is new.
    Insert,
    /// It is another.
    Modify,
    /// It is gone.
    Remove,
}

/// The item of a change. Attributes are as DynamoDB has them in JSON: `{"S":"…"}`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Changed {
    /// Its key.
    pub keys: Value,
    /// The item as it is now; `None` where it is gone.
    #[serde(default)]
    pub new_image: Option<Value>,
    /// Where in the stream the change is.
    pub sequence_number: String,
}

/// The answer to an event of a stream.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StreamBatchResponse {
    /// The change with which Lambda comes again, if any.
    pub batch_item_failures: Vec<BatchItemFailure>,
}

/// A change with which Lambda comes again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BatchItemFailure {
    /// Its sequence number.
    pub item_identifier: String,
}

/// Handles every change, at most `most` at the same time. A handler's error and a panic fail that change, which comes
/// again with all behind it. A failed change is logged here, with its `error_type`; nobody else needs to.
pub async fn each<H, F>(event: StreamEvent, most: NonZeroUsize, handle: H) -> StreamBatchResponse
where
    H: Fn(Change) -> F,
    F: Future<Output = Result<(), Failure>>,
{
    let handle = &handle;
    let failed = stream::iter(event.records)
        .map(|change| async move {
            let number = change.item.sequence_number.clone();
            let done = caught(async { handle(change).await }).await;
            done.err().map(|failure| {
                let kind = failure.kind();
                tracing::error!(%number, error_type = %kind, "a change of the table failed and comes again: {failure}");
                number
            })
        })
        .buffered(most.get())
        .filter_map(std::future::ready)
        .collect::<Vec<_>>()
        .await;
    let first = failed.into_iter().next().map(|number| BatchItemFailure { item_identifier: number });
    StreamBatchResponse { batch_item_failures: first.into_iter().collect() }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use serde_json::json;

    use super::*;
    use crate::lambda::ErrorType;

    fn event(numbers: &[&str]) -> StreamEvent {
        let record = |number: &&str| {
            json!({
                "eventName": "INSERT", "eventSource": "aws:dynamodb", "eventID": "1", "awsRegion": "eu-central-1",
                "dynamodb": {
                    "Keys": {"pk": {"S": "SYSTEM"}, "sk": {"S": "HEAD"}}, "NewImage": {"v": {"N": "1"}},
                    "SequenceNumber": number, "SizeBytes": 26, "StreamViewType": "NEW_IMAGE",
                },
            })
        };
        serde_json::from_value(json!({ "Records": numbers.iter().map(record).collect::<Vec<_>>() })).unwrap()
    }

    const THREE: NonZeroUsize = NonZeroUsize::new(3).unwrap();

    #[tokio::test]
    async fn p10_lambda_comes_again_from_the_first_change_that_failed() {
        let seen = RefCell::new(Vec::new());
        let answer = each(event(&["9", "10", "11", "12"]), THREE, |change| {
            let number = change.item.sequence_number;
            seen.borrow_mut().push(number.clone());
            async move {
                match number.as_str() {
                    "10" => Err(Failure::new(ErrorType::Bucket, "the bucket is away")),
                    "11" => panic!("a bug"),
                    _ => Ok(()),
                }
            }
        })
        .await;
        assert_eq!(seen.into_inner(), ["9", "10", "11", "12"], "one that fails stops no other");
        let answer = serde_json::to_value(answer).unwrap();
        assert_eq!(answer, json!({"batchItemFailures": [{"itemIdentifier": "10"}]}));
    }

    #[tokio::test]
    async fn an_event_without_failures_answers_an_empty_list() {
        let answer = each(event(&["1", "2"]), THREE, |_| async { Ok(()) }).await;
        assert_eq!(serde_json::to_value(answer).unwrap(), json!({"batchItemFailures": []}));
    }
}
