//! Whether Dutykey is at work, for whoever asks from outside.

use std::sync::Arc;

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
use serde_json::json;

/// `GET /healthz`: 200, or 503 with reasons where the table cannot be read or no tick ran for three minutes. Anybody may
/// ask, so the reasons are no more than that; the log has the rest.
pub(crate) fn router(store: Store, clock: Arc<dyn Clock>) -> Router {
    Router::new().route("/healthz", get(healthz)).with_state((store, clock))
}

async fn healthz(State((store, clock)): State<(Store, Arc<dyn Clock>)>) -> Response {
    let problem = match store.pulse().await {
        Err(error) => {
            tracing::error!(%error, "the table cannot be read: {error}");
            Some("the table cannot be read")
        }
        Ok(pulse) => {
            let late = pulse.ticked_at.is_none_or(|at| millis_between(at, clock.now()) > PAUSE_MS);
            late.then_some("nothing has looked for what is due for three minutes")
        }
    };
    match problem {
        None => Json(json!({ "status": "ok" })).into_response(),
        Some(why) => {
            (StatusCode::SERVICE_UNAVAILABLE, Json(json!({ "status": "failing", "reasons": [why] }))).into_response()
        }
    }
}
