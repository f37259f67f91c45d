//! The records of one SQS event, side by side, each with its own end.
//!
//! The event source mapping has `ReportBatchItemFailures`: what the answer names comes again, what it does not name is
//! deleted. So a record is left out of the answer only when its handler returned `Ok`.
//!
//! For Lambda an answer is a success, whatever it names: `Errors`, and with it alarms and roll-backs, would not see a
//! release that can do nothing. So where no record was done there is an error instead, by which all come again too.

use std::num::NonZeroUsize;

use aws_lambda_events::sqs::SqsMessage;
pub use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use futures_util::{StreamExt, stream};
use serde::de::DeserializeOwned;

use crate::lambda::{ErrorType, Failure, caught};

/// Handles every record, at most `most` at the same time. A body that is not a `T`, a handler's error and a panic fail that
/// record and no other. A failed record is logged here, with its `error_type`; nobody else needs to.
///
/// A failed record without an ID is named by an empty text, by which Lambda takes the whole batch as failed: it comes
/// again too.
///
/// # Errors
/// Every record failed. It is of the kind of the first that did, and says why.
pub async fn each<T, H, F>(event: SqsEvent, most: NonZeroUsize, handle: H) -> Result<SqsBatchResponse, Failure>
where
    T: DeserializeOwned,
    H: Fn(T) -> F,
    F: Future<Output = Result<(), Failure>>,
{
    let handle = &handle;
    let all = event.records.len();
    let failed = stream::iter(event.records)
        .map(|record| async move {
            let done = match read(&record) {
                Ok(message) => caught(async { handle(message).await }).await,
                Err(failure) => Err(failure),
            };
            let id = record.message_id.unwrap_or_default();
            done.err().map(|failure| {
                tracing::error!(message_id = %id, error_type = %failure.kind(), "a record failed and comes again: {failure}");
                (id, failure)
            })
        })
        .buffer_unordered(most.get())
        .filter_map(std::future::ready)
        .collect::<Vec<_>>()
        .await;
    if failed.len() == all
        && let Some((_, first)) = failed.first()
    {
        return Err(Failure::new(first.kind(), format_args!("none of {all} records was done: {first}")));
    }
    let mut response = SqsBatchResponse::default();
    response.set_failures(failed.into_iter().map(|(id, _)| id));
    Ok(response)
}

fn read<T: DeserializeOwned>(record: &SqsMessage) -> Result<T, Failure> {
    let body = record.body.as_deref().unwrap_or_default();
    serde_json::from_str(body).map_err(|error| {
        Failure::new(ErrorType::Input, format_args!("its body is not a message of this queue: {error}"))
    })
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};
    use std::time::Duration;

    use serde::Deserialize;
    use serde_json::{Value, json};
    use tokio::time::{Instant, sleep};

    use super::*;

    #[derive(Debug, Deserialize)]
    struct Note {
        person: String,
    }

    /// The event as Lambda sends it, with the records' IDs and bodies.
    fn event(records: &[(&str, &str)]) -> SqsEvent {
        let records: Vec<Value> = records.iter().map(|(id, body)| json!({"messageId": id, "body": body})).collect();
        serde_json::from_value(json!({ "Records": records })).unwrap()
    }

    fn answer(response: &SqsBatchResponse) -> Value {
        serde_json::to_value(response).unwrap()
    }

    const FIVE: NonZeroUsize = NonZeroUsize::new(5).unwrap();

    #[tokio::test]
    async fn p10_what_was_not_done_comes_again_and_nothing_else() {
        let event = event(&[
            ("1", r#"{"person":"fine"}"#),
            ("2", "not json"),
            ("3", r#"{"person":"refused"}"#),
            ("4", r#"{"person":"panics"}"#),
            ("5", r#"{"rotation":"x"}"#),
            ("6", r#"{"person":"fine"}"#),
        ]);
        let seen = RefCell::new(Vec::new());
        let response = each(event, FIVE, |note: Note| {
            seen.borrow_mut().push(note.person.clone());
            async move {
                match note.person.as_str() {
                    "refused" => Err(Failure::new(ErrorType::Table, "the table is away")),
                    "panics" => panic!("a bug"),
                    _ => Ok(()),
                }
            }
        })
        .await
        .unwrap();
        let failed = ["2", "3", "4", "5"].map(|id| json!({"itemIdentifier": id}));
        assert_eq!(answer(&response), json!({ "batchItemFailures": failed }), "the partial answer to SQS");
        assert_eq!(seen.into_inner(), ["fine", "refused", "panics", "fine"]);
    }

    #[tokio::test]
    async fn p10_a_failed_record_without_an_id_fails_the_batch_and_is_not_lost() {
        let fine = json!({"messageId": "2", "body": r#"{"person":"fine"}"#});
        let event: SqsEvent = serde_json::from_value(json!({"Records": [{"body": "broken"}, fine]})).unwrap();
        let response = each(event, FIVE, |_: Note| async { Ok(()) }).await.unwrap();
        assert_eq!(answer(&response), json!({"batchItemFailures": [{"itemIdentifier": ""}]}));
    }

    #[tokio::test]
    async fn r24_a_batch_of_which_nothing_was_done_is_an_error_that_alarms_and_roll_backs_see() {
        let (panics, refused) = (r#"{"person":"panics"}"#, r#"{"person":"refused"}"#);
        let cases = [
            (vec![("1", refused)], ErrorType::Table, "none of 1 records was done: the table is away"),
            (vec![("1", "not json"), ("2", refused)], ErrorType::Input, "none of 2 records was done: its body is not"),
            (vec![("1", panics), ("2", panics)], ErrorType::Panic, "none of 2 records was done: the handler panicked"),
        ];
        for (records, kind, says) in cases {
            let done = each(event(&records), NonZeroUsize::MIN, |note: Note| async move {
                match note.person.as_str() {
                    "panics" => panic!("a bug"),
                    _ => Err(Failure::new(ErrorType::Table, "the table is away")),
                }
            });
            let failure = done.await.expect_err(says);
            assert_eq!(failure.kind(), kind, "{failure}");
            assert!(failure.to_string().starts_with(says), "{failure}");
        }
    }

    #[tokio::test]
    async fn a_batch_without_failures_answers_an_empty_list() {
        for records in [&[("1", r#"{"person":"a"}"#)][..], &[]] {
            let response = each(event(records), FIVE, |_: Note| async { Ok(()) }).await.unwrap();
            assert_eq!(answer(&response), json!({"batchItemFailures": []}));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn p12_records_run_side_by_side_and_a_slow_one_holds_up_no_other() {
        let bodies: Vec<_> = (0..9).map(|n| (format!("{n}"), format!(r#"{{"person":"{n}"}}"#))).collect();
        let records: Vec<_> = bodies.iter().map(|(id, body)| (id.as_str(), body.as_str())).collect();
        let (now, most, last) = (Cell::new(0), Cell::new(0), Cell::new(Duration::ZERO));
        let began = Instant::now();
        each(event(&records), FIVE, |note: Note| {
            let (now, most, last) = (&now, &most, &last);
            async move {
                now.set(now.get() + 1);
                most.set(most.get().max(now.get()));
                last.set(began.elapsed());
                sleep(Duration::from_secs(if note.person == "0" { 60 } else { 2 })).await;
                now.set(now.get() - 1);
                Ok(())
            }
        })
        .await
        .unwrap();
        assert_eq!(most.get(), 5, "records at the same time");
        assert_eq!(
            last.get(),
            Duration::from_secs(2),
            "when the last of nine began: four of five places are free by then"
        );
        assert_eq!(began.elapsed(), Duration::from_secs(60));
    }
}
