//! The SDK's HTTP connector that answers a request by calling the database.

use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use dynoxide::Database;
use tokio::runtime::Handle;

use crate::operations;

/// Where a request runs.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Work {
    /// Where it is awaited.
    Inline,
    /// On one of the runtime's threads for work that blocks.
    BlockingThread,
}

/// Answers requests from a database in this process.
pub(crate) struct InProcess {
    database: Database,
    work: Work,
}

impl InProcess {
    pub(crate) fn new(database: Database, work: Work) -> Self {
        Self { database, work }
    }
}

impl std::fmt::Debug for InProcess {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("InProcess").field("work", &self.work).finish_non_exhaustive()
    }
}

impl HttpConnector for InProcess {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (database, work) = (self.database.clone(), self.work);
        HttpConnectorFuture::new(async move {
            let target = request.headers().get("x-amz-target").unwrap_or_default().to_owned();
            let body = request.body().bytes().map(|bytes| String::from_utf8_lossy(bytes).into_owned());
            let body = body.ok_or_else(|| refused("a streamed body"))?;
            let answer = match (work, Handle::try_current()) {
                (Work::BlockingThread, Ok(runtime)) => {
                    let work = runtime.spawn_blocking(move || operations::answer(&database, &target, &body));
                    work.await.map_err(|error| ConnectorError::other(error.into(), None))?
                }
                _ => operations::answer(&database, &target, &body),
            };
            let status = StatusCode::try_from(answer.status).map_err(|_| refused("a status out of range"))?;
            let mut response = HttpResponse::new(status, SdkBody::from(answer.body));
            response.headers_mut().insert("content-type", "application/x-amz-json-1.0");
            Ok(response)
        })
    }
}

fn refused(what: &str) -> ConnectorError {
    ConnectorError::user(format!("the embedded database has no use for {what}").into())
}
