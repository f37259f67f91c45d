//! What requests to the table cost: the client's own connector counts them.
//!
//! Read units are DynamoDB's own: 4 KiB of an item that is read consistently, half as much of one that is not; a query is
//! rounded up as a whole, each item of a batch by itself
//! (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/read-write-operations.html>). The embedded database
//! answers them with each request as DynamoDB does.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_dynamodb::Client;
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_types::body::SdkBody;
use dutykey_embedded::Embedded;
use serde::Deserialize;
use serde_json::{Value, json};

/// What some requests have cost.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Spent {
    /// Read units.
    pub(crate) read: f64,
    /// Write units, those of transactions included.
    pub(crate) written: f64,
    /// How many requests there were, by their kind and the index.
    pub(crate) requests: BTreeMap<String, u32>,
}

impl Spent {
    /// How many requests have read the whole table, or a whole index.
    pub(crate) fn scans(&self) -> u32 {
        self.requests.iter().filter(|(kind, _)| kind.starts_with("Scan")).map(|(_, times)| times).sum()
    }
}

impl fmt::Display for Spent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kinds: Vec<String> = self.requests.iter().map(|(kind, times)| format!("{times} {kind}")).collect();
        f.write_str(&kinds.join(", "))
    }
}

/// Counts what a client's requests cost. Clones count together.
#[derive(Debug, Clone, Default)]
pub(crate) struct Meter(Arc<Mutex<Spent>>);

impl Meter {
    /// A client of the database whose requests are counted.
    pub(crate) fn client(&self, embedded: &Embedded) -> Client {
        let metered = Metered { inner: embedded.connector(), meter: self.clone() };
        let http = http_client_fn(move |_, _| SharedHttpConnector::new(metered.clone()));
        Client::from_conf(embedded.config().http_client(http).build())
    }

    /// What was spent since this was last asked.
    pub(crate) fn take(&self) -> Spent {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn count(&self, action: &str, index: Option<&str>, units: f64) {
        let mut spent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let kind = index.map_or_else(|| action.to_owned(), |index| format!("{action} {index}"));
        *spent.requests.entry(kind).or_default() += 1;
        let reads = action.contains("Get") || action == "Query" || action == "Scan";
        *if reads { &mut spent.read } else { &mut spent.written } += units;
    }
}

/// The table, with its requests counted.
#[derive(Debug, Clone)]
struct Metered {
    inner: SharedHttpConnector,
    meter: Meter,
}

impl HttpConnector for Metered {
    fn call(&self, mut request: HttpRequest) -> HttpConnectorFuture {
        let target = request.headers().get("x-amz-target").unwrap_or_default();
        let action = target.rsplit('.').next().unwrap_or_default().to_owned();
        let mut asked: Value =
            request.body().bytes().and_then(|body| serde_json::from_slice(body).ok()).unwrap_or_default();
        let index = asked.get("IndexName").and_then(Value::as_str).map(str::to_owned);
        if let Some(fields) = asked.as_object_mut() {
            fields.insert("ReturnConsumedCapacity".to_owned(), json!("TOTAL"));
            *request.body_mut() = SdkBody::from(asked.to_string());
            request.headers_mut().remove("content-length");
        }
        let Self { inner, meter } = self.clone();
        HttpConnectorFuture::new(async move {
            let answer: HttpResponse = inner.call(request).await?;
            let said = answer.body().bytes().and_then(|body| serde_json::from_slice::<Said>(body).ok());
            meter.count(&action, index.as_deref(), said.map(|said| units(&said.consumed)).unwrap_or_default());
            Ok(answer)
        })
    }
}

/// What an answer says of its own cost.
#[derive(Deserialize)]
struct Said {
    #[serde(rename = "ConsumedCapacity", default)]
    consumed: Value,
}

/// One table's units, or those of a list of tables.
fn units(consumed: &Value) -> f64 {
    match consumed {
        Value::Array(tables) => tables.iter().map(units).sum(),
        one => one.get("CapacityUnits").and_then(Value::as_f64).unwrap_or_default(),
    }
}
