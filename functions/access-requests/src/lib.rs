//! The HTTP API. In this release it only reads: who holds what, who will, which rotations are known, and the evidence.
//!
//! Every answer is JSON; instants are RFC 3339 in UTC with milliseconds. An error is a problem document (RFC 9457) whose
//! `type` never changes. Lists come in pages of 50, at most 200, with a cursor. Nothing here holds the credentials of a
//! platform or an app, and nothing here writes.
#![warn(missing_docs)]

mod ahead;
mod explained;
mod health;
mod lists;
mod problem;
mod query;
#[cfg(test)]
mod tests;
mod views;
mod who;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, Uri, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use dutykey_engine::ports::clock::Clock;
use dutykey_store::Store;

pub use ahead::{MAX_WINDOW, forecast};
pub use explained::{Shifts, explaining};
pub use health::health;
pub use problem::Problem;
pub use views::{HoldView, ReasonView};
pub use who::{Who, who};

/// The deadline of one request.
const DEADLINE: Duration = Duration::from_secs(30);

/// What the API reads from.
#[derive(Clone)]
pub(crate) struct Api {
    pub(crate) store: Store,
    pub(crate) clock: Arc<dyn Clock>,
}

/// Everything under `/v1`. Who may call it is for whoever serves it to see to.
pub fn router(store: Store, clock: Arc<dyn Clock>) -> Router {
    Router::new()
        .route("/v1/who", get(lists::who))
        .route("/v1/forecast", get(lists::forecast))
        .route("/v1/holds", get(lists::holds))
        .route("/v1/rotations", get(lists::rotations))
        .route("/v1/evidence", get(lists::evidence))
        .method_not_allowed_fallback(async || Problem::MethodNotAllowed)
        .layer(middleware::from_fn(timely))
        .with_state(Api { store, clock })
}

/// The answer to an address that is none.
pub async fn nowhere(uri: Uri) -> Problem {
    Problem::NotFound(query::excerpt(uri.path()))
}

async fn timely(request: Request, next: Next) -> Response {
    match tokio::time::timeout(DEADLINE, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Problem::Unavailable(format!("no answer within {} seconds", DEADLINE.as_secs())).into_response(),
    }
}

/// Headers for every answer: it is not guessed at, kept, framed or asked to run anything.
pub async fn guarded(mut response: Response) -> Response {
    let headers = response.headers_mut();
    let set: [(HeaderName, &'static str); 4] = [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CACHE_CONTROL, "no-store"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    for (name, value) in set {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}
