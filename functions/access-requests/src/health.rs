//! Whether Dutykey is at work, for whoever asks from outside.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Json, Router};
use dutykey_engine::ports::clock::Clock;
use dutykey_engine::ports::rules::ReadRules as _;
use dutykey_engine::snapshot::PAUSE_MS;
use dutykey_policy::time::millis_between;
use dutykey_store::Store;
use jiff::Timestamp;
use serde_json::json;

/// How long the table may take to show that it can be read.
const PATIENCE: Duration = Duration::from_secs(5);

#[derive(Clone)]
struct Health {
    store: Store,
    clock: Arc<dyn Clock>,
    since: Timestamp,
}

/// `GET /healthz`: 200, or 503 with reasons where the table cannot be read, no tick ran for three minutes, or a restored
/// table waits to be released. Anybody may ask, so the reasons are no more than that; the log has the rest.
///
/// Ticks are expected from `since` on: a process that ticks itself is well until its first one is late, and
/// [`Timestamp::MIN`] is for whoever knows of ticks only by the table.
pub fn health(store: Store, clock: Arc<dyn Clock>, since: Timestamp) -> Router {
    Router::new().route("/healthz", get(healthz)).with_state(Health { store, clock, since })
}

async fn healthz(State(Health { store, clock, since }): State<Health>) -> Response {
    let problem = match tokio::time::timeout(PATIENCE, store.pulse()).await {
        Err(_) => {
            tracing::error!("the table does not answer within {} s", PATIENCE.as_secs());
            Some("the table does not answer")
        }
        Ok(Err(error)) => {
            tracing::error!(%error, "the table cannot be read: {error}");
            Some("the table cannot be read")
        }
        Ok(Ok(pulse)) if pulse.standstill.is_some() => Some("the table was restored, and waits to be released"),
        Ok(Ok(pulse)) => {
            let last = pulse.ticked_at.unwrap_or(Timestamp::MIN).max(since);
            let late = millis_between(last, clock.now()) > PAUSE_MS;
            late.then_some("nothing has looked for what is due for three minutes")
        }
    };
    let doubt = clock.doubt().map(|doubt| doubt.to_string());
    let reasons: Vec<String> = doubt.into_iter().chain(problem.map(str::to_owned)).collect();
    if reasons.is_empty() {
        return Json(json!({ "status": "ok" })).into_response();
    }
    (StatusCode::SERVICE_UNAVAILABLE, Json(json!({ "status": "failing", "reasons": reasons }))).into_response()
}
