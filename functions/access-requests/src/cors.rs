//! Web pages of other origins, where the configuration lets them call (Fetch Standard, "CORS protocol"): none by default.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{HeaderName, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use dutykey_engine::ports::rules::ReadRules;
use tower::{Layer as _, ServiceExt as _, service_fn};
use tower_http::cors::CorsLayer;

use crate::Problem;
use crate::requests::IDEMPOTENCY_KEY;

/// How long a browser remembers what a page may send.
const REMEMBERED: Duration = Duration::from_secs(600);

/// Answers a page's calls with the headers that let it read them, where its origin may call. To every other call nothing
/// is added: a browser keeps the answer from the page. A page says who calls with a token and in no other way: cookies do
/// not count, and what a developer says of themselves is not among the headers that it may send.
pub(crate) async fn cors(State(rules): State<Arc<dyn ReadRules>>, request: Request, next: Next) -> Response {
    let Some(origin) = request.headers().get(header::ORIGIN).cloned() else { return next.run(request).await };
    let api = match rules.settings().await {
        Ok(settings) => settings.unwrap_or_default().api,
        Err(error) => return Problem::from(error).into_response(),
    };
    if api.oidc.is_none() || !api.origins.iter().any(|allowed| origin == allowed.as_str()) {
        return next.run(request).await;
    }
    let headers = [header::AUTHORIZATION, header::CONTENT_TYPE, header::IF_MATCH, header::IF_NONE_MATCH];
    let layer = CorsLayer::new()
        .allow_origin(origin)
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::DELETE])
        .allow_headers(headers.into_iter().chain([HeaderName::from_static(IDEMPOTENCY_KEY)]).collect::<Vec<_>>())
        .expose_headers([header::ETAG, header::LOCATION, header::LINK])
        .max_age(REMEMBERED);
    let rest = service_fn(move |request| {
        let next = next.clone();
        async move { Ok::<Response, Infallible>(next.run(request).await) }
    });
    let answered: Result<Response, Infallible> = layer.layer(rest).oneshot(request).await;
    answered.unwrap_or_else(|never| match never {})
}
