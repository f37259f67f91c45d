//! DynamoDB's operations by the name that a request's `X-Amz-Target` carries, with bodies as they are on the wire.

use dynoxide::{Database, DynoxideError};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// An answer as it goes over the wire.
pub(crate) struct Answer {
    /// The HTTP status.
    pub(crate) status: u16,
    /// JSON.
    pub(crate) body: String,
}

/// Carries out the operation that the target names (`DynamoDB_20120810.PutItem`).
pub(crate) fn answer(database: &Database, target: &str, body: &str) -> Answer {
    let operation = target.rsplit_once('.').map_or(target, |(_, operation)| operation);
    match dispatch(database, operation, body) {
        Ok(body) => Answer { status: 200, body },
        Err(error) => Answer { status: error.status_code(), body: error.to_json() },
    }
}

fn dispatch(database: &Database, operation: &str, body: &str) -> Result<String, DynoxideError> {
    match operation {
        "BatchGetItem" => run(body, |request| database.batch_get_item(request)),
        "BatchWriteItem" => run(body, |request| database.batch_write_item(request)),
        "CreateTable" => run(body, |request| database.create_table(request)),
        "DeleteItem" => run(body, |request| database.delete_item(request)),
        "DeleteTable" => run(body, |request| database.delete_table(request)),
        "DescribeTable" => run(body, |request| database.describe_table(request)),
        "DescribeTimeToLive" => run(body, |request| database.describe_time_to_live(request)),
        "GetItem" => run(body, |request| database.get_item(request)),
        "ListTables" => run(body, |request| database.list_tables(request)),
        "PutItem" => run(body, |request| database.put_item(request)),
        "Query" => run(body, |request| database.query(request)),
        "Scan" => run(body, |request| database.scan(request)),
        "TransactGetItems" => run(body, |request| database.transact_get_items(request)),
        "TransactWriteItems" => run(body, |request| database.transact_write_items(request)),
        "UpdateItem" => run(body, |request| database.update_item(request)),
        "UpdateTimeToLive" => run(body, |request| database.update_time_to_live(request)),
        other => Err(DynoxideError::ValidationException(format!("the embedded database does not offer {other}"))),
    }
}

fn run<Request: DeserializeOwned, Response: Serialize>(
    body: &str,
    operation: impl FnOnce(Request) -> Result<Response, DynoxideError>,
) -> Result<String, DynoxideError> {
    let request = serde_json::from_str(body).map_err(|error| invalid(&error))?;
    let response = operation(request)?;
    serde_json::to_string(&response).map_err(|error| DynoxideError::InternalServerError(error.to_string()))
}

/// A body that is no request. The database marks what it says of one for its own server; the mark is not for others.
fn invalid(error: &serde_json::Error) -> DynoxideError {
    let text = error.to_string();
    let marks = ["VALIDATION_REQUEST:", "VALIDATION:", "SERIALIZATION:"];
    let said = marks.iter().find_map(|mark| text.strip_prefix(mark)).unwrap_or(&text);
    DynoxideError::ValidationException(said.to_owned())
}
