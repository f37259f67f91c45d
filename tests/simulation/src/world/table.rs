//! The table, with everything between it and Dutykey that may go wrong.

use std::sync::Arc;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::IdentityCache;
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use dutykey_embedded::Embedded;
use dutykey_store::Store;
use serde_json::json;

use super::World;
use super::faults::TableTrouble;
use super::newer::KeptTable;
use super::writes::CountedTable;
use crate::plan::Happening;

/// The table's name.
pub const TABLE: &str = "dutykey";

/// A table, through a client that has no time and no chance but the world's.
#[must_use]
pub fn store(embedded: &Embedded, world: &Arc<World>, faults: bool) -> Store {
    let inner = counted(embedded, world);
    let connector = if faults { SharedHttpConnector::new(FaultyTable { inner, world: world.clone() }) } else { inner };
    Store::new(client(connector, embedded, world), TABLE)
}

/// The way to the table, on which the world counts what is written, and sees what is replaced.
#[must_use]
pub fn counted(embedded: &Embedded, world: &World) -> SharedHttpConnector {
    let kept = SharedHttpConnector::new(KeptTable::new(embedded.connector(), world.newer.clone()));
    SharedHttpConnector::new(CountedTable::new(kept, world.writes.clone()))
}

/// A client that has no time and no chance but the world's.
#[must_use]
pub fn client(connector: SharedHttpConnector, embedded: &Embedded, world: &World) -> Client {
    let config = embedded
        .config()
        .identity_cache(IdentityCache::no_cache())
        .time_source(world.clock.clone())
        .sleep_impl(world.clock.clone())
        .http_client(http_client_fn(move |_, _| connector.clone()));
    Client::from_conf(config.build())
}

/// The table as a worker meets it.
#[derive(Debug, Clone)]
struct FaultyTable {
    inner: SharedHttpConnector,
    world: Arc<World>,
}

impl FaultyTable {
    /// The same request without the SDK's token, which comes from a chance of its own. A token matters to a request that is
    /// sent again, and here none is; the database would keep each for ten minutes of a time that is not the world's.
    fn tokenless(mut request: HttpRequest) -> HttpRequest {
        const FIELD: &str = r#","ClientRequestToken":""#;
        let body = request.body().bytes().and_then(|bytes| std::str::from_utf8(bytes).ok());
        let Some((before, after)) = body.and_then(|body| body.split_once(FIELD)) else { return request };
        let Some((_, after)) = after.split_once('"') else { return request };
        *request.body_mut() = SdkBody::from(format!("{before}{after}"));
        request
    }

    async fn answer(self, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
        let request = Self::tokenless(request);
        let transaction =
            request.headers().get("x-amz-target").is_some_and(|name| name.ends_with("TransactWriteItems"));
        self.world.point("the table").await;
        self.world.latency(1, 12).await;
        let trouble = self.world.trouble(|happening| match happening {
            Happening::Table(fault) => Some((fault.kind, fault.from, fault.to, fault.one_in)),
            _ => None,
        });
        let refusal = |kind: &str, reasons: serde_json::Value| {
            let kind = format!("com.amazonaws.dynamodb.v20120810#{kind}");
            let body = json!({ "__type": kind, "Message": "said", "message": "said", "CancellationReasons": reasons });
            let status = 400.try_into().map_err(|_| ConnectorError::user("a status".into()))?;
            Ok(HttpResponse::new(status, SdkBody::from(body.to_string())))
        };
        let lost = || Err(ConnectorError::io("the connection was reset".into()));
        let answer = match trouble {
            Some(TableTrouble::Throttled) => {
                self.world.struck("table: throttled");
                refusal("ThrottlingException", json!([]))
            }
            Some(TableTrouble::Conflict) if transaction => {
                self.world.struck("table: transaction conflict");
                refusal("TransactionCanceledException", json!([{ "Code": "TransactionConflict" }]))
            }
            Some(TableTrouble::LostRequest) => {
                self.world.struck("table: request lost");
                lost()
            }
            Some(TableTrouble::LostAnswer) => {
                self.world.struck("table: answer lost");
                let _ = self.inner.call(request).await;
                lost()
            }
            _ => self.inner.call(request).await,
        };
        self.world.point("the table's answer").await;
        answer
    }
}

impl HttpConnector for FaultyTable {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        HttpConnectorFuture::new(self.clone().answer(request))
    }
}
