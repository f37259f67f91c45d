//! Counts the writes after which something else may be due, where the database carries them out: whatever becomes of an
//! answer on its way, what has taken effect counts.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use dutykey_store::keys;
use serde_json::Value;

/// How many writes there were after which something else may be due. Clones count together.
#[derive(Debug, Clone, Default)]
pub struct Writes(Arc<AtomicU64>);

impl Writes {
    /// How many there were.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The database, with its writes counted. It does not know the world, which may have it in turn.
#[derive(Debug)]
pub struct CountedTable {
    inner: SharedHttpConnector,
    writes: Writes,
}

impl CountedTable {
    /// Counts what is written here.
    #[must_use]
    pub fn new(inner: SharedHttpConnector, writes: Writes) -> Self {
        Self { inner, writes }
    }
}

impl HttpConnector for CountedTable {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let counts = may_move_what_is_due(&request);
        let (answer, Writes(writes)) = (self.inner.call(request), self.writes.clone());
        HttpConnectorFuture::new(async move {
            let answer = answer.await;
            // Refused: a condition did not hold. Of anything else that went wrong nobody knows how far it came.
            let refused = answer.as_ref().is_ok_and(|answer| answer.status().is_client_error());
            if counts && !refused {
                writes.fetch_add(1, Ordering::Relaxed);
            }
            answer
        })
    }
}

/// Whether a request writes anything but the pulse and what stands beside it, which each tick writes and no index has.
fn may_move_what_is_due(request: &HttpRequest) -> bool {
    let target = request.headers().get("x-amz-target").unwrap_or_default();
    match target.rsplit('.').next().unwrap_or_default() {
        "GetItem" | "BatchGetItem" | "Query" | "Scan" => false,
        "UpdateItem" => !is_of_the_pulse(request),
        _ => true,
    }
}

fn is_of_the_pulse(request: &HttpRequest) -> bool {
    let asked: Option<Value> = request.body().bytes().and_then(|bytes| serde_json::from_slice(bytes).ok());
    let partition = asked.as_ref().and_then(|asked| asked.pointer("/Key/pk/S")).and_then(Value::as_str);
    let pulse = keys::pulse();
    partition == Some(pulse.pk.as_str())
}
