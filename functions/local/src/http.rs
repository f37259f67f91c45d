//! What a server answers on loopback: health, metrics, webhooks and the API.

use std::net::IpAddr;
use std::sync::Arc;

use access_requests::{Problem, guarded, nowhere};
use axum::Router;
use axum::extract::{Request, State};
use axum::http::{Uri, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use dutykey_runtime::metrics::{CONTENT_TYPE, Metrics};

/// Everything that a server answers. It listens on loopback only, and a page in a browser that has another name for it is
/// refused.
pub(crate) fn router(api: access_requests::Ports, measured: Arc<Metrics>, webhooks: webhook_ingest::Ports) -> Router {
    let (store, clock) = (api.store.clone(), api.clock.clone());
    let now = clock.now();
    Router::new()
        .route("/metrics", get(metrics))
        .with_state(measured)
        // The process ticks itself: until its first tick nothing is amiss.
        .merge(access_requests::health(store, clock, now))
        .merge(access_requests::router(api))
        .merge(webhook_ingest::router(webhooks))
        .fallback(nowhere)
        .layer(middleware::from_fn(named_loopback))
        .layer(middleware::map_response(guarded))
}

async fn metrics(State(measured): State<Arc<Metrics>>) -> Response {
    ([(header::CONTENT_TYPE, CONTENT_TYPE)], measured.prometheus("default")).into_response()
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
