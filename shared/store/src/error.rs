//! The SDK's errors as the engine knows them.

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use dutykey_engine::ports::ledger::StoreError;

/// The longest foreign text in an error, in characters.
const LONGEST: usize = 500;

/// Foreign text, bounded and with control characters as escapes.
pub(crate) fn bounded(text: &str) -> String {
    text.chars()
        .take(LONGEST)
        .flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] })
        .collect()
}

/// Why a write was refused.
#[derive(Debug)]
pub(crate) enum Refused {
    /// The conditions of these writes did not hold, by their place in the request. Nothing was written.
    Conditions(Vec<usize>),
    /// Another transaction had one of the items in hand. Nothing was written.
    Conflict,
    /// Something else.
    Store(StoreError),
}

impl Refused {
    /// The error for a caller to whom each refusal means that somebody else was faster.
    pub(crate) fn changed(self, what: impl std::fmt::Display) -> StoreError {
        match self {
            Self::Conditions(_) | Self::Conflict => StoreError::Changed(what.to_string()),
            Self::Store(error) => error,
        }
    }
}

/// The error of a request that has no condition.
pub(crate) fn store_error<E, R>(error: SdkError<E, R>) -> StoreError
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
    R: std::fmt::Debug + 'static,
{
    match refused(error) {
        Refused::Store(error) => error,
        Refused::Conditions(_) | Refused::Conflict => StoreError::Unavailable("a transaction was under way".to_owned()),
    }
}

/// Why a single write was refused.
pub(crate) fn refused<E, R>(error: SdkError<E, R>) -> Refused
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
    R: std::fmt::Debug + 'static,
{
    let Some(service) = error.as_service_error() else {
        let what = aws_sdk_dynamodb::error::DisplayErrorContext(&error).to_string();
        return Refused::Store(StoreError::Unavailable(bounded(&what)));
    };
    let said = bounded(&format!("{}: {}", service.code().unwrap_or("?"), service.message().unwrap_or("no message")));
    match service.code() {
        Some("ConditionalCheckFailedException") => Refused::Conditions(vec![0]),
        Some("TransactionConflictException") => Refused::Conflict,
        Some("ValidationException" | "ItemCollectionSizeLimitExceededException") => {
            Refused::Store(StoreError::Limit(format!("the table refuses the request: {said}")))
        }
        _ => Refused::Store(StoreError::Unavailable(said)),
    }
}

/// Why a transaction was refused.
pub(crate) fn transaction_refused<R>(error: SdkError<TransactWriteItemsError, R>) -> Refused
where
    R: std::fmt::Debug + 'static,
{
    let Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) = error.as_service_error() else {
        return refused(error);
    };
    let reasons = cancelled.cancellation_reasons();
    let mut failed = Vec::new();
    for (place, reason) in reasons.iter().enumerate() {
        let said = || bounded(reason.message().unwrap_or("no message"));
        match reason.code() {
            None | Some("None") => {}
            Some("ConditionalCheckFailed" | "DuplicateItem") => failed.push(place),
            Some("TransactionConflict") => return Refused::Conflict,
            Some("ValidationError" | "ItemCollectionSizeLimitExceeded") => {
                return Refused::Store(StoreError::Limit(format!("the table refuses the change: {}", said())));
            }
            Some(other) => return Refused::Store(StoreError::Unavailable(format!("{}: {}", bounded(other), said()))),
        }
    }
    if failed.is_empty() {
        return Refused::Store(StoreError::Unavailable(bounded(cancelled.message().unwrap_or("cancelled"))));
    }
    Refused::Conditions(failed)
}
