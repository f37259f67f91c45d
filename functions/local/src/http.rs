//! What a server answers on loopback: health, metrics, webhooks and the API.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use access_requests::{Problem, guarded, nowhere};
use axum::extract::{Request, State};
use axum::http::{StatusCode, Uri, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Json, Router};
use dutykey_engine::ports::clock::Clock;
use dutykey_engine::ports::rules::ReadRules as _;
use dutykey_engine::snapshot::PAUSE_MS;
use dutykey_policy::time::{millis_between, rfc3339};
use dutykey_runtime::metrics::{CONTENT_TYPE, Metrics};
use dutykey_store::Store;
use jiff::Timestamp;
use serde_json::json;

/// How long the table may take to show that it can be read.
const PATIENCE: Duration = Duration::from_secs(5);

/// What the server says about itself.
#[derive(Clone)]
pub(crate) struct Health {
    pub(crate) store: Store,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) metrics: Arc<Metrics>,
    /// When the process began: until its first tick nothing is amiss.
    pub(crate) since: Timestamp,
}

/// Everything that a server answers. Who may call it is who may use this machine: it listens on loopback only, and a
/// page in a browser that has another name for it is refused.
pub(crate) fn router(health: Health, webhooks: webhook_ingest::Ports) -> Router {
    let api = access_requests::router(health.store.clone(), health.clock.clone());
    Router::new()
        .route("/healthz", get(healthz))
        .route("/metrics", get(metrics))
        .with_state(health)
        .merge(api)
        .merge(webhook_ingest::router(webhooks))
        .fallback(nowhere)
        .layer(middleware::from_fn(named_loopback))
        .layer(middleware::map_response(guarded))
}

async fn healthz(State(health): State<Health>) -> Response {
    let now = health.clock.now();
    let mut reasons: Vec<String> = health.clock.doubt().into_iter().collect();
    let problem = match tokio::time::timeout(PATIENCE, health.store.pulse()).await {
        Err(_) => Some("the table does not answer".to_owned()),
        Ok(Err(error)) => Some(format!("the table cannot be read: {error}")),
        Ok(Ok(pulse)) => {
            let last = pulse.ticked_at.unwrap_or(Timestamp::MIN).max(health.since);
            let late = millis_between(last, now) > PAUSE_MS;
            late.then(|| format!("nothing has looked for what is due since {}", rfc3339(last)))
        }
    };
    reasons.extend(problem);
    if reasons.is_empty() {
        return Json(json!({"status": "ok"})).into_response();
    }
    (StatusCode::SERVICE_UNAVAILABLE, Json(json!({"status": "failing", "reasons": reasons}))).into_response()
}

async fn metrics(State(health): State<Health>) -> Response {
    ([(header::CONTENT_TYPE, CONTENT_TYPE)], health.metrics.prometheus("default")).into_response()
}

/// Refuses requests for another name than loopback's: a web page may have its own name lead here (DNS rebinding).
async fn named_loopback(request: Request, next: Next) -> Response {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    if host.is_some_and(is_loopback) { next.run(request).await } else { Problem::Host.into_response() }
}

fn is_loopback(host: &str) -> bool {
    let Ok(uri) = format!("http://{host}/").parse::<Uri>() else { return false };
    let name = uri.host().unwrap_or_default();
    let plain = host == uri.port_u16().map_or_else(|| name.to_owned(), |port| format!("{name}:{port}"));
    let address = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    plain && (name.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback()))
}

#[cfg(test)]
mod tests {
    use super::is_loopback;

    #[test]
    fn r21_only_loopbacks_own_names_are_answered() {
        for host in
            ["localhost", "LocalHost:8080", "127.0.0.1", "127.0.0.1:8080", "127.8.9.1:80", "[::1]:8080", "[::1]"]
        {
            assert!(is_loopback(host), "{host} is this machine");
        }
        let others =
            ["", "example.com", "localhost.example.com", "127.0.0.1.example.com", "10.0.0.1", "[::2]", "0.0.0.0"];
        for host in
            others.into_iter().chain(["localhost@example.com", "me@localhost", "localhost/x", "localhost:x", "a b"])
        {
            assert!(!is_loopback(host), "{host} is not");
        }
    }
}
